"""Comparison, logic, selection and conversion: NaN, truth values, branches not taken, errors."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.backends.reference.interpreter import evaluate_tensors
from graphc.errors import DTypeError, ShapeError

Compute = Callable[..., Any]
NAN, INF = np.nan, np.inf

COMPARISONS: dict[str, Callable[..., Any]] = {
    "equal": np.equal,
    "not_equal": np.not_equal,
    "less": np.less,
    "less_equal": np.less_equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
}


@pytest.mark.parametrize("name", COMPARISONS)
def test_comparisons(compute: Compute, name: str) -> None:
    function, oracle = getattr(gc, name), COMPARISONS[name]
    floats = np.array([-INF, -1.0, -0.0, 0.0, 1.0, NAN], np.float32)
    for values in (
        floats,
        np.array([-1, 0, 5]),
        np.array([0, 200], np.uint8),
        np.array([False, True]),
    ):
        x, y = np.broadcast_arrays(values[:, None], values)
        result = compute(function, x.copy(), y.copy())
        assert result.dtype == np.bool_
        np.testing.assert_array_equal(result, oracle(x, y))


def test_kinds_of_floats(compute: Compute) -> None:
    x = [1.0, NAN, INF, -INF, 3.4e38]
    nan, inf, finite = compute(lambda x: (gc.isnan(x), gc.isinf(x), gc.isfinite(x)), x)
    assert nan.tolist() == [False, True, False, False, False]
    assert inf.tolist() == [False, False, True, True, False]
    assert finite.tolist() == [True, False, False, False, True]
    nan, inf, finite = compute(
        lambda x: (gc.isnan(x), gc.isinf(x), gc.isfinite(x)), np.array([3, 0])
    )
    assert (nan.any(), inf.any(), finite.all()) == (False, False, True)


def test_logic_takes_any_dtype(compute: Compute) -> None:
    x, y = [0.0, -0.0, 0.5, NAN], np.array([0, 7, 0, -1])
    both, either, one, no = compute(
        lambda x, y: (
            gc.logical_and(x, y),
            gc.logical_or(x, y),
            gc.logical_xor(x, y),
            gc.logical_not(x),
        ),
        x,
        y,
    )
    assert both.tolist() == [False, False, False, True]
    assert either.tolist() == [False, True, True, True]
    assert one.tolist() == [False, True, True, False]
    assert no.tolist() == [True, True, False, False]


def test_where_takes_one_side_exactly(compute: Compute) -> None:
    condition = np.array([True, False, True, False])
    x, y = [NAN, 1.0, -0.0, INF], [2.0, NAN, INF, -0.0]
    result = compute(gc.where, condition, x, y)
    np.testing.assert_array_equal(result, [NAN, NAN, -0.0, -0.0])
    assert np.signbit(result[2:]).all()


def test_where_promotes_values_and_takes_any_condition() -> None:
    c, x = gc.placeholder("c", (3, 1), "int8"), gc.placeholder("x", (4,))
    assert str(gc.where(c, x, 0).type) == "float32[3, 4]"
    assert gc.where(c, 1, 0).dtype == np.int64
    assert gc.where(c, x, np.float64(0)).dtype == np.float64


@pytest.mark.parametrize(
    "function",
    [
        lambda x: gc.where(x > 0, gc.sqrt(x), 0),
        lambda x: gc.where(x > 0, x * gc.log(x), 0),
        lambda x: gc.where(x > 0, 1 / x, 0),
        lambda x: gc.where(x > 0, x**0.5, 0),
        lambda x: gc.where(x > 0, gc.exp(1 / x), 0),
        lambda x: gc.where(x <= 0, 0, gc.sum(gc.sqrt(x), axis=0)),
    ],
)
def test_gradients_do_not_leak_from_the_branch_not_taken(function: Callable[..., Any]) -> None:
    x = gc.placeholder("x", (1,))
    gradient = gc.grad(gc.sum(function(x)), x)
    assert evaluate_tensors([gradient], {x: np.zeros(1, np.float32)})[0].tolist() == [0.0]


def test_conversion(compute: Compute) -> None:
    x = [1.9, -1.9, 0.0, 1e9, 300.0]
    whole, truth, wide = compute(
        lambda x: (x.astype("int32"), gc.astype(x, bool), gc.cast(x, "float64")), x
    )
    assert whole.tolist() == [1, -1, 0, 10**9, 300]
    assert truth.tolist() == [True, True, False, True, True]
    assert compute(lambda x: x.astype(bool), [NAN, -0.0]).tolist() == [True, False]
    np.testing.assert_array_equal(wide, np.array(x, np.float32).astype(np.float64))
    assert wide.dtype == np.float64


def test_conversion_to_the_same_dtype_is_nothing() -> None:
    x = gc.placeholder("x", (3,))
    assert x.astype("float32") is x and x.astype(float) is x


def test_gradient_through_conversion() -> None:
    x = gc.placeholder("x", (2,))
    gradient = gc.grad(gc.sum(gc.square(x.astype("float64"))), x)
    assert gradient.dtype == np.float32
    with pytest.raises(gc.errors.DisconnectedError, match="without a derivative"):
        gc.grad(gc.sum(x.astype("int32") * 2.0), x)


def test_errors_name_the_line() -> None:
    x = gc.placeholder("x", (3,))
    with pytest.raises(DTypeError, match="astype: not a dtype") as caught:
        x.astype("float31")
    assert "test_comparison.py:" in str(caught.value)
    with pytest.raises(ShapeError, match="where: shapes do not broadcast") as refused:
        gc.where(x > 0, x, gc.placeholder("y", (2,)))
    assert "test_comparison.py:" in str(refused.value)
