"""Arithmetic: promotion, integers, signed zeros, NaN, kinks, long sums, errors."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.backends.reference.interpreter import evaluate_tensors
from graphc.errors import DTypeError, ShapeError

Compute = Callable[..., Any]
NAN, INF = np.nan, np.inf


def same(actual: Any, expected: Any) -> None:
    """Equal to the last bit, the sign of zero included, and of one dtype."""
    expected = np.asarray(expected, actual.dtype)
    np.testing.assert_array_equal(actual, expected)
    np.testing.assert_array_equal(
        np.signbit(actual[~np.isnan(actual)]), np.signbit(expected[~np.isnan(expected)])
    )


# --- promotion ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "left, right, expected",
    [
        ("float32", 2, "float32"),
        ("float32", 2.5, "float32"),
        ("float32", True, "float32"),
        ("int32", 2, "int32"),
        ("int32", 2.5, "float32"),
        ("int64", "float32", "float32"),
        ("float32", "float64", "float64"),
        ("int8", "uint8", "int16"),
        ("bool", 1, "int64"),
        ("uint8", "int64", "int64"),
    ],
)
def test_promotion(left: str, right: Any, expected: str) -> None:
    x = gc.placeholder("x", (3,), left)
    y = gc.placeholder("y", (3,), right) if isinstance(right, str) else right
    assert gc.add(x, y).dtype == gc.multiply(y, x).dtype == expected


def test_symbolic_sizes_are_weak() -> None:
    x = gc.placeholder("x", ("n",))
    assert (x / x.shape[0]).dtype == np.float32
    value = evaluate_tensors([x * x.shape[0]], {x: np.ones(3, np.float32)})[0]
    assert value.tolist() == [3.0, 3.0, 3.0]


def test_division_makes_floats_and_keeps_float32() -> None:
    n = gc.placeholder("n", (2,), "int64")
    assert (n / 2).dtype == np.float32
    assert (n.astype("float64") / n).dtype == np.float64


# --- values ------------------------------------------------------------------------------------


def test_integers_wrap_around_and_divide_to_zero(compute: Compute) -> None:
    x = np.array([-7, 7, -128, 127], np.int8)
    y = np.array([2, -2, 0, 127], np.int8)
    total, quotient, rest = compute(lambda x, y: (x + y, x // y, x % y), x, y)
    assert total.tolist() == [-5, 5, -128, -2]
    assert quotient.tolist() == [-4, -4, 0, 1]
    assert rest.tolist() == [1, -1, 0, 0]


def test_extrema_propagate_nan(compute: Compute) -> None:
    x, y = [1.0, NAN, 3.0, -INF], [NAN, 2.0, 1.0, INF]
    larger, smaller = compute(lambda x, y: (gc.maximum(x, y), gc.minimum(x, y)), x, y)
    same(larger, [NAN, NAN, 3, INF])
    same(smaller, [NAN, NAN, 1, -INF])


def test_clip_keeps_nan_and_lets_max_win(compute: Compute) -> None:
    x = [-2.0, 0.5, 9.0, NAN, -INF]
    both, low, high, crossed = compute(
        lambda x: (gc.clip(x, 0, 1), gc.clip(x, min=0), gc.clip(x, max=1), x.clip(1, -1)), x
    )
    same(both, [0, 0.5, 1, NAN, 0])
    same(low, [0, 0.5, 9, NAN, 0])
    same(high, [-2, 0.5, 1, NAN, -INF])
    same(crossed, [-1, -1, -1, NAN, -1])


def test_rounding_keeps_signs_of_zero_and_halves_go_to_even(compute: Compute) -> None:
    x = [-0.5, 0.5, 1.5, 2.5, -1.2, -0.0, NAN, INF]
    down, up, cut, near = compute(lambda x: (gc.floor(x), gc.ceil(x), gc.trunc(x), gc.round(x)), x)
    same(down, [-1, 0, 1, 2, -2, -0.0, NAN, INF])
    same(up, [-0.0, 1, 2, 3, -1, -0.0, NAN, INF])
    same(cut, [-0.0, 0, 1, 2, -1, -0.0, NAN, INF])
    same(near, [-0.0, 0, 2, 2, -1, -0.0, NAN, INF])


def test_signs(compute: Compute) -> None:
    x = [-3.0, 0.0, 2.0, NAN, -INF]
    sign, size, copied = compute(lambda x: (gc.sign(x), abs(x), gc.copysign(2.0, x)), x)
    assert np.array_equal(sign, [-1, 0, 1, NAN, -1], equal_nan=True)
    same(size, [3, 0, 2, NAN, INF])
    assert copied[[0, 1, 2, 4]].tolist() == [-2, 2, 2, -2]
    unsigned = compute(lambda x: (gc.sign(x), gc.abs(x)), np.array([0, 9], np.uint8))
    assert [a.tolist() for a in unsigned] == [[0, 1], [0, 9]]
    for dtype in ("float32", "float16", gc.bfloat16):
        (none,) = compute(lambda x: (gc.sign(x),), np.array([-0.0], dtype))
        same(none, [0.0])


def test_remainder_has_the_sign_of_the_divisor(compute: Compute) -> None:
    x, y = [5.5, -5.5, 5.5, -5.5, 1.0], [2.0, 2.0, -2.0, -2.0, INF]
    rest, quotient = compute(lambda x, y: (x % y, x // y), x, y)
    same(rest, np.remainder(np.array(x, np.float32), np.array(y, np.float32)))
    same(quotient, np.floor_divide(np.array(x, np.float32), np.array(y, np.float32)))


def test_negation_of_zero(compute: Compute) -> None:
    same(compute(lambda x: -x, [0.0, -0.0]), [-0.0, 0.0])
    same(compute(lambda x: x + 0.0, [0.0, -0.0]), [0.0, 0.0])
    same(compute(lambda x: x - 0.0, [0.0, -0.0]), [0.0, -0.0])


def test_equal_numbers_of_different_kinds_stay_apart(compute: Compute) -> None:
    same(compute(lambda x: gc.where(x > 0, x * -0.0, x * 0.0), [1.0, 0.0]), [-0.0, 0.0])
    x = gc.placeholder("x", (1,), "float64")
    values = [(x * n).node.inputs[1].node.attrs["value"] for n in (1, True, 1.0, 0.1)]
    values += [(x.astype("float32") * 0.1).node.inputs[1].node.attrs["value"]]
    assert [v.dtype.name for v in values] == ["float64"] * 4 + ["float32"]


# --- gradients at kinks ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "build, expected",
    [
        (lambda x: abs(x), [-1, 0, 1]),
        (lambda x: gc.maximum(x, 0), [0, 1, 1]),
        (lambda x: gc.maximum(0, x), [0, 0, 1]),
        (lambda x: gc.minimum(x, 0), [1, 1, 0]),
        (lambda x: gc.clip(x, 0, 2), [0, 1, 1]),
        (lambda x: gc.floor(x) + gc.sign(x) + gc.round(x), [0, 0, 0]),
        (lambda x: gc.copysign(x, -1.0), [1, 0, -1]),
        (lambda x: x % 5, [1, 1, 1]),
    ],
)
def test_gradient_at_kinks(build: Callable[..., Any], expected: list[float]) -> None:
    x = gc.placeholder("x", (3,))
    gradient = gc.grad(gc.sum(build(x)), x)
    value = evaluate_tensors([gradient], {x: np.array([-2, 0, 2], np.float32)})[0]
    assert value.tolist() == expected


# --- errors ------------------------------------------------------------------------------------


def test_shapes_that_do_not_broadcast() -> None:
    x, y = gc.placeholder("x", (3, 4)), gc.placeholder("y", (3,))
    with pytest.raises(ShapeError, match=r"add: shapes do not broadcast") as caught:
        gc.add(x, y)
    assert "test_elementwise.py:" in str(caught.value) and "gc.add(x, y)" in str(caught.value)


def test_bool_is_not_a_number() -> None:
    x = gc.placeholder("x", (3,), "bool")
    with pytest.raises(DTypeError, match=r"subtract: not for bool") as caught:
        gc.subtract(x, x)
    assert "test_elementwise.py:" in str(caught.value)
    with pytest.raises(DTypeError, match="positive"):
        gc.positive(x)


def test_dtypes_without_a_common_one() -> None:
    x, y = gc.placeholder("x", (3,), "int64"), gc.placeholder("y", (3,), "uint64")
    with pytest.raises(DTypeError, match="multiply: ") as caught:
        gc.multiply(x, y)
    assert "test_elementwise.py:" in str(caught.value)


def test_an_integer_must_fit_its_dtype() -> None:
    x = gc.placeholder("x", (3,), "int8")
    with pytest.raises(DTypeError, match=r"add: .*300.*int8"):
        gc.add(x, 300)
    with pytest.raises(DTypeError, match="an integer does not fit"):
        gc.add(gc.placeholder("y"), 10**400)


def test_what_is_not_an_array() -> None:
    with pytest.raises(DTypeError, match="add: ") as caught:
        gc.add(gc.placeholder("x"), "one")
    assert "test_elementwise.py:" in str(caught.value)


def test_number_of_arguments() -> None:
    with pytest.raises(TypeError, match=r"add: missing a required argument: 'x2'"):
        gc.add(gc.placeholder("x"))


def test_documentation() -> None:
    assert gc.add.__name__ == "add" and gc.add.__module__ == "graphc.ops.elementwise"
    assert "shapes that broadcast" in (gc.add.__doc__ or "")


# --- nextafter and signbit -----------------------------------------------------------------------


def special_numbers(dtype: str) -> np.ndarray:
    """Zeros, ends and middles of the range, and the neighbours of all of them."""
    limits = np.finfo(dtype)
    low, gap = float(limits.smallest_normal), float(limits.eps)
    found: list[Any] = [
        0,
        1,
        np.inf,
        np.nan,
        limits.max,
        float(limits.smallest_subnormal),
        low,
        2 * low,
    ]
    found += [low / 2, low / gap, 2 * low / gap, low / gap / 2]
    held = np.array([*found, *(-number for number in found)], dtype)
    with np.errstate(all="ignore"):
        upwards, downwards = (np.nextafter(held, dtype_end(dtype, end)) for end in (1, -1))
    return np.concatenate([held, upwards, downwards])


def dtype_end(dtype: str, sign: int) -> Any:
    return np.dtype(dtype).type(sign * np.inf)


@pytest.mark.parametrize("backend", ["reference", "llvm"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nextafter_is_exact(dtype: str, backend: str) -> None:
    x, y = (gc.placeholder(name, ("n",), dtype) for name in "xy")
    f = gc.function([x, y], [gc.nextafter(x, y), gc.signbit(x)], backend=backend)
    held = special_numbers(dtype)
    rng = np.random.default_rng(0)
    drawn = rng.normal(size=500) * 10.0 ** rng.uniform(-44, 38, 500)
    first = np.concatenate([np.repeat(held, len(held)), drawn]).astype(dtype)
    second = np.concatenate([np.tile(held, len(held)), drawn[::-1]]).astype(dtype)
    found, signs = f(first, second)
    with np.errstate(all="ignore"):
        expected = np.nextafter(first, second)
    np.testing.assert_array_equal(found, expected)
    numbers = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(found)[numbers], np.signbit(expected)[numbers])
    np.testing.assert_array_equal(signs, np.signbit(first))
