"""Reductions against numpy: dtypes, NaN, ties, empty axes, zeros in products, errors."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.backends.reference.interpreter import evaluate_tensors
from graphc.errors import DTypeError, ShapeError
from graphc.gradient_check import verify_grad

Compute = Callable[..., Any]
NAN, INF = np.nan, np.inf
NAMES = ("sum", "prod", "max", "min", "any", "all")


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2), (2, 1), ()])
@pytest.mark.parametrize("name", NAMES)
def test_values(name: str, axis: Any, keepdims: bool) -> None:
    rng = np.random.default_rng(0)
    for dtype in ("float32", "float64", "int32", "uint8", "bool"):
        if dtype == "bool" and name in ("max", "min"):
            continue
        array = rng.integers(0, 3, (2, 3, 4)).astype(dtype)
        x = gc.placeholder("x", (None, None, None), dtype)
        result = getattr(gc, name)(x, axis=axis, keepdims=keepdims)
        expected = getattr(np, name)(array, axis=axis, keepdims=keepdims)
        actual = evaluate_tensors([result], {x: array})[0]
        np.testing.assert_array_equal(actual, expected)
        if axis != () or name not in ("sum", "prod"):
            assert actual.dtype == expected.dtype


def test_result_dtypes() -> None:
    def dtype_of(name: str, dtype: str) -> str:
        return str(getattr(gc, name)(gc.placeholder("x", (3,), dtype)).dtype)

    assert dtype_of("sum", "bool") == dtype_of("sum", "int8") == "int64"
    assert dtype_of("prod", "bool") == dtype_of("prod", "int32") == "int64"
    assert dtype_of("sum", "uint8") == dtype_of("prod", "uint64") == "uint64"
    assert dtype_of("sum", "float32") == "float32" and dtype_of("max", "int8") == "int8"
    assert gc.sum(gc.placeholder("x", (3,)), dtype="float64").dtype == np.float64
    assert dtype_of("argmax", "float32") == "int64" and dtype_of("any", "float32") == "bool"


def test_nan_propagates(compute: Compute) -> None:
    x = np.array([[1, NAN, 3], [NAN, INF, NAN], [1, 2, -INF]], np.float32)
    high, low, first, last, total = compute(
        lambda x: (
            gc.max(x, axis=1),
            gc.min(x, axis=1),
            gc.argmax(x, axis=1),
            gc.argmin(x, axis=1),
            gc.sum(x, axis=1),
        ),
        x,
    )
    np.testing.assert_array_equal(high, [NAN, NAN, 2])
    np.testing.assert_array_equal(low, [NAN, NAN, -INF])
    assert first.tolist() == [1, 0, 1] and last.tolist() == [1, 0, 2]
    np.testing.assert_array_equal(total, [NAN, NAN, -INF])


def test_positions(compute: Compute) -> None:
    x = np.array([[1, 5, 5], [5, 0, 0]], np.float32)
    flat, rows, columns, kept, low = compute(
        lambda x: (
            gc.argmax(x),
            x.argmax(axis=1),
            x.argmax(axis=0),
            gc.argmax(x, keepdims=True),
            gc.argmin(x, axis=-1),
        ),
        x,
    )
    assert (flat, rows.tolist(), columns.tolist(), kept.tolist()) == (1, [1, 0], [1, 0, 0], [[1]])
    assert low.tolist() == [0, 1]
    assert compute(gc.argmax, np.array([False, True, True])) == 1
    assert compute(lambda x: gc.argmax(x), np.float32(3)) == 0


def test_first_position_wins_in_long_rows(compute: Compute) -> None:
    x = np.zeros((3, 1000), np.float32)
    x[1, [377, 700]] = 1
    x[2, [999, 3]] = NAN
    assert compute(lambda x: gc.argmax(x, axis=1), x).tolist() == [0, 377, 3]
    assert compute(lambda x: gc.argmin(x, axis=1), x).tolist() == [0, 0, 3]


def test_logic_of_any_dtype(compute: Compute) -> None:
    x = np.array([[0.0, NAN], [0.0, -0.0], [2.0, 1.0]], np.float32)
    some, every = compute(lambda x: (gc.any(x, axis=1), gc.all(x, axis=1)), x)
    assert some.tolist() == [True, False, True] and every.tolist() == [False, False, True]


# --- empty axes --------------------------------------------------------------------------------


def test_of_nothing(compute: Compute) -> None:
    x = np.zeros((0, 2), np.float32)
    total, product, some, every, high = compute(
        lambda x: (
            gc.sum(x, axis=0),
            gc.prod(x),
            gc.any(x),
            gc.all(x),
            gc.max(x, axis=0, initial=-3),
        ),
        x,
    )
    assert total.tolist() == [0, 0] and product == 1 and not some and every
    assert high.tolist() == [-3, -3]


@pytest.mark.parametrize("name", ["max", "min", "argmax", "argmin"])
def test_extrema_of_nothing_are_refused(compute: Compute, name: str) -> None:
    x = gc.placeholder("x", (2, 0))
    with pytest.raises(ShapeError, match=f"{name}: axis 1 is empty") as caught:
        getattr(gc, name)(x, axis=1)
    assert "test_reduce.py:" in str(caught.value)
    assert getattr(gc, name)(x, axis=0).shape == (0,)


@pytest.mark.parametrize("name", ["max", "argmin"])
def test_extrema_of_nothing_are_refused_at_the_call(name: str) -> None:
    x = gc.placeholder("x", (None, 3))
    f = gc.function([x], getattr(gc, name)(x, axis=0))
    f(np.ones((2, 3), np.float32))
    with pytest.raises(gc.errors.GraphcError, match="must not be empty") as caught:
        f(np.ones((0, 3), np.float32))
    assert "test_reduce.py:" in str(caught.value)


# --- gradients ---------------------------------------------------------------------------------


def gradient(build: Callable[..., Any], array: Any) -> Any:
    held = np.asarray(array, np.float32)
    x = gc.placeholder("x", [None] * held.ndim)
    return evaluate_tensors([gc.grad(gc.sum(build(x)), x)], {x: held})[0].tolist()


def test_the_first_of_the_largest_gets_the_gradient() -> None:
    assert gradient(gc.max, [1, 5, 5, 2]) == [0, 1, 0, 0]
    assert gradient(gc.min, [1, 5, 1]) == [1, 0, 0]
    assert gradient(gc.max, [[1, 7], [7, 7]]) == [[0, 1], [0, 0]]
    assert gradient(lambda x: gc.max(x, axis=0), [[1, 7], [7, 7]]) == [[0, 1], [1, 0]]
    assert gradient(lambda x: gc.max(x, axis=(0, 2)), [[[1, 3]], [[3, 2]]]) == [[[0, 1]], [[0, 0]]]
    assert gradient(gc.max, [1, NAN, NAN]) == [0, 1, 0]
    assert gradient(lambda x: gc.max(x, initial=9), [1, 5]) == [0, 0]


def test_products_with_zeros() -> None:
    assert gradient(gc.prod, [2, 0, 3]) == [0, 6, 0]
    assert gradient(gc.prod, [0, 5, 0]) == [0, 0, 0]
    assert gradient(gc.prod, [2, 3, 4]) == [12, 8, 6]
    rows = [[2, 0], [0, 0], [3, 5]]
    assert gradient(lambda x: gc.prod(x, axis=1), rows) == [[0, 2], [0, 0], [5, 3]]


def test_second_derivatives_of_products_with_zeros() -> None:
    for row in ([2.0, 0.0, 3.0], [0.0, 5.0, 0.0], [2.0, 3.0, 4.0]):
        x = gc.placeholder("x", (3,), "float64")
        hessian = evaluate_tensors([gc.hessian(gc.prod(x), x)], {x: np.array(row)})[0]
        a, b, c = row
        np.testing.assert_allclose(hessian, [[0, c, b], [c, 0, a], [b, a, 0]])


def test_gradient_over_an_empty_axis_is_empty() -> None:
    verify_grad(lambda x: gc.max(x, axis=0, initial=0.5), [np.zeros((0, 3))])
    assert gradient(gc.sum, np.zeros((2, 0))) == [[], []]


# --- errors ------------------------------------------------------------------------------------


def test_axes_that_do_not_exist() -> None:
    x = gc.placeholder("x", (3, 4))
    for build in (gc.sum, gc.max, gc.argmax, gc.any):
        with pytest.raises(ShapeError, match="axis 2 is out of range for ndim 2") as caught:
            build(x, axis=2)
        assert "test_reduce.py:" in str(caught.value)
    with pytest.raises(ShapeError, match="twice"):
        gc.sum(x, axis=(0, -2))


def test_extrema_need_numbers() -> None:
    with pytest.raises(DTypeError, match="max: not for bool") as caught:
        gc.max(gc.placeholder("x", (3,), "bool"))
    assert "test_reduce.py:" in str(caught.value)
