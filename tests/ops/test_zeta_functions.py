"""zeta and polygamma: mpmath on wide ranges, poles, reflection, derivatives, errors."""

import mpmath as mp
import numpy as np
import pytest

import graphc as gc
from graphc.errors import DTypeError
from tests.ops.accuracy import (
    assert_accurate,
    assert_second_derivative,
    assert_values,
    logarithmic,
    ranges,
    uniform,
    value_of,
)

NAN, INF = float("nan"), float("inf")


def test_zeta() -> None:
    assert_accurate(
        gc.zeta, mp.zeta, 1 + logarithmic(1e-3, 100), logarithmic(1e-2, 100)[::-1].copy()
    )
    assert_accurate(lambda q: gc.zeta(2.0, q), lambda q: mp.zeta(2, q), logarithmic(1e-10, 1e10))


def test_zeta_at_special_arguments() -> None:
    s = np.array([2, 2, 1, 0.5, 2, INF, INF, INF, NAN, 2, 2, 1e17, 2, 1e3, 1.5])
    q = np.array([1, 0, 3, 1, INF, 1, 2, 0.5, 1, NAN, -1.5, 3, 1e300, 1, 1e300])
    expected = [np.pi**2 / 6, INF, INF, NAN, 0, 1, 0, INF, NAN, NAN, NAN, 0, 1e-300, 1, 2e-150]
    np.testing.assert_allclose(value_of(gc.zeta, s, q), expected, rtol=1e-14)
    reference = value_of(gc.zeta, s, q, backend="reference")
    np.testing.assert_allclose(reference, expected, rtol=1e-14)


def test_derivatives_of_zeta() -> None:
    assert_second_derivative(lambda q: gc.zeta(2.5, q), np.array([0.4, 1.0, 3.0, 20.0]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_derivative_of_zeta_by_its_first_argument(dtype: str) -> None:
    points = [
        (1.01, 0.3),
        (1.5, 2.0),
        (2.0, 1.0),
        (7.25, 0.9),
        (4.0, 40.0),
        (30.0, 1.0),
        (3.0, 1e6),
    ]
    s, q = gc.placeholder("s", ("n",), dtype), gc.placeholder("q", ("n",), dtype)
    values = [np.array(column, dtype) for column in zip(*points, strict=True)]
    slope = gc.grad(gc.sum(gc.zeta(s, q)), s)
    found = gc.function([s, q], slope)(*values)
    expected = [
        float(mp.zeta(mp.mpf(float(a)), mp.mpf(float(b)), derivative=1))
        for a, b in zip(*values, strict=True)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-6 if dtype == "float32" else 1e-11)
    edges = gc.function([s, q], slope)(
        np.array([0.5, 2, 1e4, 3], dtype), np.array([1, -1, 5, np.inf], dtype)
    )
    np.testing.assert_array_equal(edges, [np.nan, np.nan, 0, 0])


@pytest.mark.parametrize("n", [1, 2, 3, 7, 20])
def test_polygamma(n: int) -> None:
    x = ranges(logarithmic(1e-1, 1e1), uniform(0.5, 15))
    assert_accurate(lambda t: gc.polygamma(n, t), lambda t: mp.polygamma(n, t), x)


@pytest.mark.parametrize("n", [1, 2, 3, 6])
def test_polygamma_of_negative_numbers(n: int) -> None:
    x = uniform(-12, 0)
    assert_accurate(lambda t: gc.polygamma(n, t), lambda t: mp.polygamma(n, t), x)
    reference = value_of(lambda t: gc.polygamma(n, t), x, backend="reference")
    np.testing.assert_allclose(reference, value_of(lambda t: gc.polygamma(n, t), x), rtol=1e-11)


def test_polygamma_at_special_arguments() -> None:
    odd = [(0.0, INF), (-0.0, INF), (-1.0, INF), (-5.0, INF), (-INF, INF), (INF, 0.0), (NAN, NAN)]
    even = [
        (0.0, -INF),
        (-0.0, -INF),
        (-1.0, -INF),
        (-5.0, -INF),
        (-INF, -INF),
        (INF, -0.0),
        (NAN, NAN),
    ]
    for backend in ("reference", "llvm"):
        assert_values(lambda x: gc.polygamma(1, x), odd, backend)
        assert_values(lambda x: gc.polygamma(2, x), even, backend)
    assert value_of(lambda x: gc.polygamma(1, x), np.array([1e300])) == pytest.approx([1e-300])


def test_polygamma_of_order_0_is_digamma() -> None:
    assert gc.polygamma(0, gc.placeholder("x", ())).node.op.name == "digamma"


@pytest.mark.parametrize("n", [-1, 1.0, True, None])
def test_an_order_that_is_none(n: object) -> None:
    with pytest.raises(DTypeError, match="order is an int >= 0"):
        gc.polygamma(n, 1.0)  # type: ignore[arg-type]


def test_derivatives_of_polygamma() -> None:
    assert_second_derivative(lambda x: gc.polygamma(1, x), np.array([-1.6, 0.7, 2.0, 9.0]))
