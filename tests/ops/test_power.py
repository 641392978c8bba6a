"""Powers and roots: exact integers, special values, gradients at 0, errors."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.backends.reference.interpreter import evaluate_tensors
from graphc.errors import DTypeError, IndexOutOfRange

Compute = Callable[..., Any]
NAN, INF = np.nan, np.inf


def gradient(build: Callable[..., Any], *points: list[float]) -> list[list[float]]:
    inputs = [gc.placeholder(f"x{n}", (len(point),)) for n, point in enumerate(points)]
    gradients = gc.grad(gc.sum(build(*inputs)), inputs, disconnected="zero")
    feeds = {x: np.array(point, np.float32) for x, point in zip(inputs, points, strict=True)}
    return [value.tolist() for value in evaluate_tensors(gradients, feeds)]


def test_integer_powers_are_exact(compute: Compute) -> None:
    n = np.array([0, 1, 8, 40, 63])
    assert compute(lambda n: 2**n, n).tolist() == [1, 2, 256, 2**40, -(2**63)]
    assert compute(lambda n: 3**n, n).tolist() == np.power(3, n).tolist()
    assert compute(lambda x: x**3, np.array([-5, 7], np.int32)).tolist() == [-125, 343]
    assert compute(lambda x: x**0, np.array([0, 7], np.int32)).tolist() == [1, 1]
    assert compute(
        lambda x, n: x**n, np.array([3, 2], np.uint8), np.array([5, 9], np.uint8)
    ).tolist() == [243, 0]


def test_powers_of_python_numbers() -> None:
    assert gc.run(gc.pow(2, 8)) == 256 and gc.pow(2, 8).dtype == np.int64


def test_special_powers(compute: Compute) -> None:
    x = [0.0, 0.0, -0.0, INF, 1.0, NAN, -2.0, -2.0, 0.5]
    y = [0.0, -1.0, -1.0, 0.0, NAN, 0.0, 3.0, 0.5, INF]
    with np.errstate(all="ignore"):
        expected = np.power(np.array(x), np.array(y)).astype(np.float32)
    np.testing.assert_array_equal(compute(gc.pow, x, y), expected)


def test_roots(compute: Compute) -> None:
    x = [0.0, -0.0, 4.0, -8.0, INF, NAN]
    square, cube, inverse = compute(lambda x: (gc.sqrt(x), gc.cbrt(x), gc.rsqrt(x)), x)
    np.testing.assert_array_equal(square, [0, 0, 2, NAN, INF, NAN])
    np.testing.assert_allclose(cube, np.cbrt(np.array(x, np.float32)), rtol=2e-7)
    np.testing.assert_array_equal(inverse, [INF, -INF, 0.5, NAN, 0, NAN])
    assert np.signbit(square[1])


def test_hypot_neither_overflows_nor_underflows(compute: Compute) -> None:
    x, y = [3e30, 3e-30, 0.0, INF, -INF, NAN], [4e30, -4e-30, 0.0, NAN, 1.0, 1.0]
    expected = np.hypot(np.array(x), np.array(y)).astype(np.float32)
    np.testing.assert_allclose(compute(gc.hypot, x, y), expected, rtol=3e-7)


def test_gradients_at_zero() -> None:
    assert gradient(lambda x: x**2, [0.0, 3.0]) == [[0.0, 6.0]]
    assert gradient(lambda x: x**0, [0.0]) == [[0.0]]
    assert gradient(lambda x: x**1, [0.0]) == [[1.0]]
    assert gradient(lambda x: x**3, [0.0, 2.0]) == [[0.0, 12.0]]
    assert gradient(gc.pow, [0.0, 0.0, 2.0], [0.0, 2.0, 0.0]) == [
        [0.0, 0.0, 0.0],
        [0.0, 0.0, pytest.approx(np.log(2))],
    ]
    assert gradient(gc.hypot, [0.0, 3.0], [0.0, 4.0]) == [
        [0.0, pytest.approx(0.6)],
        [0.0, pytest.approx(0.8)],
    ]


def test_negative_integer_powers_are_refused_at_build() -> None:
    x = gc.placeholder("x", (3,), "int64")
    for exponent in (-1, np.array([1, -2, 0])):
        with pytest.raises(DTypeError, match="negative power -") as caught:
            x**exponent
        assert "test_power.py:" in str(caught.value)
    assert (x**-1.0).dtype == np.float32


def test_negative_integer_powers_are_refused_at_the_call(compute: Compute) -> None:
    with pytest.raises(IndexOutOfRange, match="-3") as caught:
        compute(lambda x, n: x**n, np.array([2, 2]), np.array([1, -3]))
    assert "test_power.py:" in str(caught.value)


@pytest.mark.parametrize("backend", ["llvm", "numba_cpu", "interpreter"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_known_powers_without_logarithms(dtype: str, backend: str) -> None:
    x = gc.placeholder("x", ("n",), dtype)
    exponents = (3, 4, -2, -3, 0.5, -0.5)
    f = gc.function([x], [x**exponent for exponent in exponents], backend=backend)
    facts = np.finfo(dtype)
    tiny, huge, eps = float(facts.smallest_subnormal), float(facts.max), float(facts.eps)
    edges = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, tiny, -tiny, huge, -huge, huge**0.51]
    bits = np.random.default_rng(0).integers(0, 255, (800, np.dtype(dtype).itemsize), "uint8")
    values = np.concatenate([np.array(edges, dtype), bits.view(dtype).ravel()])
    y = gc.placeholder("y", ("n",), dtype)
    by_logarithms = gc.function([x, y], x**y)
    for got, exponent in zip(f(values), exponents, strict=True):
        wanted = by_logarithms(values, np.full(len(values), exponent, dtype))
        np.testing.assert_allclose(got, wanted, rtol=3 * eps, atol=3 * tiny)
        numbers = ~np.isnan(wanted)
        np.testing.assert_array_equal(np.signbit(got)[numbers], np.signbit(wanted)[numbers])


def test_cubes_are_products() -> None:
    x = gc.placeholder("x", ("n",))
    assert "pow(" not in gc.function([x], [x**3, x**-2, x**0.5]).loops()
    assert "pow(" in gc.function([x], [x**3.5]).loops()
