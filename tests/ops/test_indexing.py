"""take, take_along_axis, one_hot and their transposes: values, derivatives, bad indices."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.backends.reference.interpreter import evaluate_tensors
from graphc.errors import DTypeError, IndexOutOfRange, ShapeError
from graphc.gradient_check import verify_grad
from graphc.ir.tensor import Tensor

RNG = np.random.default_rng(0)


def draw_indices(size: int, shape: tuple[int, ...], dtype: str = "int64") -> np.ndarray:
    return RNG.integers(-size, size, size=shape).astype(dtype)


def value(build: Callable[..., Tensor], *arrays: np.ndarray, symbolic: bool = False) -> np.ndarray:
    """The reference's value; symbolic sizes are named by their number."""
    shapes = [[f"n{n}" if symbolic and n != 1 else n for n in array.shape] for array in arrays]
    inputs = [
        gc.placeholder(f"x{k}", shape, array.dtype)
        for k, (shape, array) in enumerate(zip(shapes, arrays, strict=True))
    ]
    return evaluate_tensors([build(*inputs)], dict(zip(inputs, arrays, strict=True)))[0]


TAKES: list[tuple[tuple[int, ...], tuple[int, ...], int]] = [
    ((5,), (), 0),
    ((5,), (7,), 0),
    ((5,), (0,), 0),
    ((1,), (2, 3), 0),
    ((4, 3), (2, 2), 0),
    ((4, 3), (5,), 1),
    ((2, 0, 3), (2,), 2),
    ((2, 3, 5), (), 1),
    ((3, 1, 5), (1, 0), -1),
    ((0, 4), (3,), 1),
]


@pytest.mark.parametrize("symbolic", [False, True])
@pytest.mark.parametrize("case", TAKES, ids=str)
def test_take_equals_numpy(case: Any, symbolic: bool) -> None:
    shape, index_shape, axis = case
    x = RNG.normal(size=shape)
    for dtype in ("int8", "int32", "int64"):
        i = draw_indices(shape[axis], index_shape, dtype)
        result = value(lambda x, i: gc.take(x, i, axis=axis), x, i, symbolic=symbolic)
        np.testing.assert_array_equal(result, np.take(x, i, axis=axis))
        fixed = value(lambda x, i=i: gc.take(x, i, axis=axis), x, symbolic=symbolic)
        np.testing.assert_array_equal(fixed, result)


@pytest.mark.parametrize("case", TAKES, ids=str)
def test_take_derivatives(case: Any) -> None:
    shape, index_shape, axis = case
    i = draw_indices(shape[axis], index_shape)
    verify_grad(lambda x: gc.take(x, i, axis=axis), [RNG.normal(size=shape)])
    verify_grad(
        lambda x: gc.grad(gc.sum(gc.take(x, i, axis=axis) ** 3), x), [RNG.normal(size=shape)]
    )


def test_take_without_axis_is_flat() -> None:
    x = RNG.normal(size=(2, 3))
    np.testing.assert_array_equal(value(lambda x: gc.take(x, [4, -1]), x), np.take(x, [4, -1]))
    assert value(lambda x: gc.take(x, []), x).shape == (0,)


def test_a_constant_scalar_is_a_slice() -> None:
    x = gc.placeholder("x", ("n", 3))
    assert gc.take(x, -1, axis=1).node.inputs[0].op.name == "slice"
    assert gc.take(x, gc.constant(1), axis=0).shape == (3,)


# --- scatter_add -------------------------------------------------------------------------------


@pytest.mark.parametrize("symbolic", [False, True])
@pytest.mark.parametrize("case", TAKES, ids=str)
def test_scatter_add_is_the_transpose_of_take(case: Any, symbolic: bool) -> None:
    """sum(take(x, i) * v) == sum(x * scatter_add(i, v)), entries added up where i repeats."""
    shape, index_shape, axis = case
    x, i = RNG.normal(size=shape), draw_indices(shape[axis], index_shape)
    v = RNG.normal(size=np.take(x, i, axis=axis).shape)
    total = value(lambda v, i: gc.scatter_add(i, v, axis, shape[axis]), v, i, symbolic=symbolic)
    assert total.shape == shape
    np.testing.assert_allclose((x * total).sum(), (np.take(x, i, axis=axis) * v).sum(), rtol=1e-12)


def test_scatter_add_adds_in_order() -> None:
    """1 disappears beside 1e16: only the order of j explains the sum."""
    v = np.array([1e16, 1.0, 1.0, -1e16])
    assert value(lambda v: gc.scatter_add([0, 0, 0, 0], v, 0, 1), v) == 0
    assert value(lambda v: gc.scatter_add([0, 0, 0, 0], v, 0, 1), v[[0, 3, 1, 2]]) == 2


def test_scatter_add_of_integers() -> None:
    v = np.arange(4, dtype="int32")
    result = value(lambda v: gc.scatter_add([2, 2, -1, 0], v, 0, 3), v)
    np.testing.assert_array_equal(result, np.array([3, 0, 3], "int32"))
    assert result.dtype == "int32"


# --- take_along_axis ---------------------------------------------------------------------------

ALONG: list[tuple[tuple[int, ...], tuple[int, ...], int]] = [
    ((5,), (3,), 0),
    ((4, 3), (4, 1), 1),
    ((4, 3), (4, 7), 1),
    ((4, 3), (2, 3), 0),
    ((4, 3), (1, 3), 0),
    ((2, 1, 3), (2, 5, 3), 1),
    ((0, 3), (0, 1), 1),
    ((2, 3), (2, 0), 1),
    ((4, 3), (1, 2), 1),
    ((1, 3), (4, 2), 1),
]


@pytest.mark.parametrize("symbolic", [False, True])
@pytest.mark.parametrize("case", ALONG, ids=str)
def test_take_along_axis_equals_numpy(case: Any, symbolic: bool) -> None:
    shape, index_shape, axis = case
    x, i = RNG.normal(size=shape), draw_indices(shape[axis], index_shape)
    result = value(lambda x, i: gc.take_along_axis(x, i, axis), x, i, symbolic=symbolic)
    np.testing.assert_array_equal(result, np.take_along_axis(x, i, axis))


@pytest.mark.parametrize("case", ALONG, ids=str)
def test_take_along_axis_derivatives(case: Any) -> None:
    shape, index_shape, axis = case
    x, i = RNG.normal(size=shape), draw_indices(shape[axis], index_shape)
    verify_grad(lambda x: gc.take_along_axis(x, i, axis), [x])
    verify_grad(lambda x: gc.grad(gc.sum(gc.take_along_axis(x, i, axis) ** 3), x), [x])


def test_one_entry_a_row_needs_no_scatter() -> None:
    """The gradient of picking labels is a selection: it fuses with what is around it."""
    x, labels = gc.placeholder("x", ("n", 10)), gc.placeholder("labels", ("n", 1), "int64")
    gradient = gc.grad(gc.sum(gc.take_along_axis(x, labels, 1)), x)
    assert gradient.op.name == "where"
    assert gradient.shape == x.shape


# --- one_hot -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["bool", "int32", "float32", "float64"])
@pytest.mark.parametrize("shape", [(), (0,), (1,), (7,), (2, 3)], ids=str)
def test_one_hot(shape: tuple[int, ...], dtype: str) -> None:
    i = draw_indices(4, shape)
    for axis in range(-1, len(shape) + 1):
        result = value(lambda i, axis=axis: gc.one_hot(i, 4, dtype, axis=axis), i)
        assert result.dtype == dtype
        expected = np.moveaxis(np.eye(4, dtype=dtype)[i], -1, axis)
        np.testing.assert_array_equal(result, expected)


def test_one_hot_of_a_symbolic_number_of_classes() -> None:
    x = gc.placeholder("x", (None, "classes"), "float64")
    labels = gc.placeholder("labels", (None,), "int64")
    hot = gc.one_hot(labels, gc.dim("classes"), "float64")
    array, i = RNG.normal(size=(3, 5)), np.array([4, 0, 4])
    (result,) = evaluate_tensors([gc.sum(hot * x, axis=1)], {x: array, labels: i})
    np.testing.assert_array_equal(result, array[np.arange(3), i])


# --- bad indices -------------------------------------------------------------------------------

STATIC: dict[str, tuple[Callable[[Any], Any], str]] = {
    "take": (lambda x: gc.take(x, [0, 4], axis=1), r"take: index 4 is .* axis 1 of size 4"),
    "take negative": (lambda x: gc.take(x, -4, axis=0), r"index -4 is .* axis 0 of size 3"),
    "take from nothing": (lambda x: gc.take(x[:0], 0, axis=0), "the axis is empty"),
    "scatter_add": (lambda x: gc.scatter_add([0, 1, 5], x, 0, 5), r"index 5 is .* of size 5"),
    "along": (
        lambda x: gc.take_along_axis(x, np.array([[0], [1], [9]]), 1),
        r"take_along_axis: index 9 is .* axis 1 of size 4",
    ),
    "one_hot": (lambda x: gc.one_hot([1, 2, 3], 3), r"one_hot: index 3 is .* of size 3"),
}


@pytest.mark.parametrize("name", STATIC)
def test_constant_indices_are_checked_while_building(name: str) -> None:
    build, message = STATIC[name]
    x = gc.placeholder("x", (3, 4))
    with pytest.raises(IndexOutOfRange, match=message) as info:
        build(x)
    assert info.value.code == "E401"
    assert "test_indexing.py:" in str(info.value)


RUN_TIME: dict[str, tuple[Callable[[Any, Any], Any], int]] = {
    "take": (lambda x, i: gc.take(x, i, axis=0), 3),
    "scatter_add": (lambda x, i: gc.scatter_add(i, x[:2], 0, 3), 3),
    "along": (lambda x, i: gc.take_along_axis(x, gc.broadcast_to(i, (3, 2)), 1), 4),
    "one_hot": (lambda x, i: gc.one_hot(i, 3), 3),
    "gradient": (lambda x, i: gc.grad(gc.sum(gc.take(x, i, axis=0)), x), 3),
    "getitem": (lambda x, i: x[:, i], 4),
}


@pytest.mark.parametrize("symbolic", [False, True])
@pytest.mark.parametrize("name", RUN_TIME)
def test_computed_indices_are_checked_at_run_time(name: str, symbolic: bool) -> None:
    build, size = RUN_TIME[name]
    array = RNG.normal(size=(3, 4))
    x = gc.placeholder("x", ("n", "m") if symbolic and name != "along" else (3, 4), "float64")
    i = gc.placeholder("i", (2,), "int64")
    y = build(x, i)
    evaluate_tensors([y], {x: array, i: np.array([-size, size - 1])})
    for bad in (size, -size - 1):
        message = f"index {bad} is out of range for axis . of size {size}"
        with pytest.raises(IndexOutOfRange, match=message) as info:
            evaluate_tensors([y], {x: array, i: np.array([0, bad])})
        assert "test_indexing.py:" in str(info.value)


BAD: dict[str, tuple[Callable[[Any], Any], type[Exception], str]] = {
    "float": (lambda x: gc.take(x, [1.0], axis=0), DTypeError, "take: .* got float32"),
    "bool": (lambda x: gc.one_hot(x > 0, 2), DTypeError, "one_hot: .* got bool"),
    "uint64": (lambda x: gc.take(x, np.array([1], "uint64"), axis=0), DTypeError, "not uint64"),
    "axis": (lambda x: gc.take(x, 0, axis=2), ShapeError, "take: axis 2 is out of range"),
    "rank": (lambda x: gc.take_along_axis(x, [0], 1), ShapeError, "as many axes as x"),
    "sizes": (
        lambda x: gc.take_along_axis(x, np.zeros((5, 1), "int64"), 1),
        ShapeError,
        "axis -2: 3 != 5|5 != 3",
    ),
    "number": (
        lambda x: gc.scatter_add([0, 1], x, 0, 5),
        ShapeError,
        "indices and values differ in number: 2 != 3",
    ),
    "places": (lambda x: gc.scatter_add([[0] * 6] * 2, x, 0, 5), ShapeError, "broadcast"),
    "sum": (lambda x: gc.scatter_add([0, 1, 2], x, 2, 5), ShapeError, "axis 2 is out of range"),
    "size": (lambda x: gc.scatter_add([0, 1, 2], x, 0, -1), ShapeError, "size=-1"),
}


@pytest.mark.parametrize("name", BAD)
def test_errors_name_the_line(name: str) -> None:
    build, kind, message = BAD[name]
    x = gc.placeholder("x", (3, 4))
    with pytest.raises(kind, match=message) as info:
        build(x)
    assert "test_indexing.py:" in str(info.value)
