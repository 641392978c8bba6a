"""x[key], slices and their gradient: against numpy, with static and symbolic sizes."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.backends.reference.interpreter import evaluate_tensors
from graphc.errors import (
    DTypeError,
    FeedError,
    IndexOutOfRange,
    ShapeError,
    SymbolicValueError,
)
from graphc.gradient_check import verify_grad


def both_ways(build: Callable[[Any], Any], array: np.ndarray) -> np.ndarray:
    """The value with a static placeholder, which must equal that with symbolic sizes."""
    results = []
    for shape in (array.shape, [None] * array.ndim):
        x = gc.placeholder("x", shape, array.dtype)
        results.append(evaluate_tensors([build(x)], {x: array})[0])
    static, symbolic = results
    np.testing.assert_array_equal(static, symbolic)
    return static


def test_every_slice_of_short_axes() -> None:
    bounds = (None, -4, -3, -1, 0, 1, 2, 3, 5)
    for size in range(4):
        array = np.arange(size, dtype="float64")
        x = gc.placeholder("x", (size,), "float64")
        y = gc.placeholder("y", (None,), "float64")
        keys = [slice(*key) for key in itertools.product(bounds, bounds, (None, 1, -1, 2, -3))]
        values = evaluate_tensors([x[key] for key in keys], {x: array})
        symbolic = evaluate_tensors([y[key] for key in keys], {y: array})
        for key, value, other in zip(keys, values, symbolic, strict=True):
            np.testing.assert_array_equal(value, array[key], err_msg=f"{size} {key}")
            np.testing.assert_array_equal(other, array[key], err_msg=f"symbolic {size} {key}")


def test_symbolic_bounds_mean_what_numpy_means() -> None:
    x = gc.placeholder("x", ("n",), "float64")
    n, k = gc.dim("n"), gc.dim("k")
    bounds: list[Any] = [n - 1, n - 2, n - 3, n + 2, n // 2, k, -k, k - n, 2 * n - k]
    for start, stop, step in itertools.product([None, *bounds], [None, *bounds], (1, -1, 2)):
        y = x[slice(start, stop, step)]
        for sizes in ({"n": 0, "k": 0}, {"n": 1, "k": 0}, {"n": 4, "k": 3}, {"n": 5, "k": 7}):
            array = np.arange(sizes["n"], dtype="float64")
            (value,) = evaluate_tensors([y], {x: array}, sizes)
            first, last = (None if b is None else b.evaluate(sizes) for b in (start, stop))
            np.testing.assert_array_equal(
                value, array[first:last:step], err_msg=f"{start}:{stop}:{step} {sizes}"
            )


KEYS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "int": (1, (3, 4)),
    "last": (-1, (3, 4)),
    "ints": ((0, -2), (3, 4)),
    "numpy int": (np.int32(2), (3, 4)),
    "ellipsis": (..., (3, 4)),
    "ellipsis int": ((..., 1), (2, 3, 4)),
    "ellipsis between": ((0, ..., slice(1, 3)), (2, 5, 3, 4)),
    "new axis": ((None, slice(None), None), (3, 4)),
    "new axes and ints": ((1, None, ..., None, 0), (2, 3, 4)),
    "negative steps": ((slice(None, None, -1), slice(-1, 0, -2)), (3, 6)),
    "empty": (slice(2, 1), (3, 4)),
    "empty axis": ((slice(None), slice(1, None)), (3, 0)),
    "nothing": ((), (3,)),
    "scalar": (..., ()),
    "scalar new axis": ((None, ...), ()),
    "list": ([2, 0, -1], (3, 4)),
    "empty list": ([], (3, 4)),
    "array": (np.array([[0, 1], [2, 2]]), (3, 4)),
    "array second": ((slice(1, None), [3, 0, 3]), (3, 4)),
    "array, int": ((slice(None), [1, 0], 2), (2, 3, 4)),
    "int, array": ((1, [1, 0]), (2, 3, 4)),
    "int apart from array": ((0, slice(None), [1, 0, 2]), (2, 4, 3)),
    "array apart from int": (([1, 0], slice(1, 3), -1), (2, 4, 3)),
    "array apart behind a slice": ((slice(None), [0, 1], None, 2), (2, 3, 4)),
    "array apart by ellipsis": ((0, ..., [1, 1]), (2, 3, 4)),
    "nothing between": ((slice(None), 0, ..., [1, 2]), (2, 3, 4)),
    "nothing between with a new axis": ((None, [1, 0], ..., -1), (3, 4)),
    "array of rank 2 apart": ((0, slice(None), np.array([[0, 1], [2, 0]])), (2, 4, 3)),
    "slices around": ((slice(None, None, 2), [1, 0], slice(None, None, -1)), (3, 2, 4)),
}


@pytest.mark.parametrize("name", KEYS)
def test_equals_numpy(name: str) -> None:
    key, shape = KEYS[name]
    array = np.random.default_rng(0).normal(size=shape)
    np.testing.assert_array_equal(both_ways(lambda x: x[key], array), array[key])


@pytest.mark.parametrize("name", KEYS)
def test_derivatives(name: str) -> None:
    key, shape = KEYS[name]
    array = np.random.default_rng(0).normal(size=shape)
    verify_grad(lambda x: gc.square(x[key]), [array])


def test_integer_tensors() -> None:
    x = gc.placeholder("x", (3, 4), "float64")
    i = gc.placeholder("i", (), "int64")
    rows = gc.placeholder("rows", (2,), "int32")
    array = np.random.default_rng(0).normal(size=(3, 4))
    picked = np.array([2, -3], "int32")
    feeds = {x: array, i: np.asarray(-1), rows: picked}
    builds: list[Callable[[Any, Any, Any], Any]] = [
        lambda x, i, rows: x[i],
        lambda x, i, rows: x[:, i],
        lambda x, i, rows: x[i, i],
        lambda x, i, rows: x[rows],
        lambda x, i, rows: x[rows, 1:],
        lambda x, i, rows: x[rows, i],
        lambda x, i, rows: x[None, rows, ..., i],
    ]
    for build in builds:
        (value,) = evaluate_tensors([build(x, i, rows)], feeds)
        np.testing.assert_array_equal(value, build(array, -1, picked))


def test_differences_along_a_symbolic_axis_have_one_size() -> None:
    x = gc.placeholder("x", ("n",))
    n = gc.dim("n")
    assert x[1:].shape == x[:-1].shape == x[: n - 1].shape
    assert x[1:].shape != x[:].shape
    assert x[:].shape == x[::-1].shape == (n,)
    assert (x[1:] - x[:-1]).shape == x[1:].shape


def test_a_whole_slice_is_no_node() -> None:
    x = gc.placeholder("x", ("n", 3))
    assert x[:] is x
    assert x[..., :3] is x


# --- the gradient ------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [1, -1, 2, -3])
@pytest.mark.parametrize("size", [0, 1, 2, 3, 7, 8])
def test_slice_gradient_of_symbolic_sizes(size: int, step: int) -> None:
    """Zeros around the values, wherever the slice begins and however few entries there are."""
    x = gc.placeholder("x", ("n", 2), "float64")
    array = np.random.default_rng(0).normal(size=(size, 2))
    for start, stop in itertools.product((None, 1, -3), (None, 5, -1)):
        key = slice(start, stop, step)
        (value,) = evaluate_tensors([gc.grad(gc.sum(gc.square(x[key])), x)], {x: array})
        expected = np.zeros_like(array)
        expected[key] = 2 * array[key]
        np.testing.assert_array_equal(value, expected, err_msg=str(key))


def test_the_gradient_of_a_slice_is_one_node() -> None:
    x = gc.placeholder("x", ("n", 6))
    gradient = gc.grad(gc.sum(gc.square(x[:, 2:4])), x)
    assert gradient.op.name == "slice_gradient"
    assert gradient.shape == x.shape


# --- errors ------------------------------------------------------------------------------------

BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "index": (3, IndexOutOfRange, r"E401\] index 3 is out of range for axis 0 of size 3"),
    "negative": ((0, -5), IndexOutOfRange, "index -5 is out of range for axis 1 of size 4"),
    "constant": ([0, 7], IndexOutOfRange, "index 7 is out of range for axis 0 of size 3"),
    "too many": ((0, 0, 0), IndexOutOfRange, r"too many indices: 3 for float32\[3, 4\]"),
    "two ellipses": ((..., ...), IndexOutOfRange, "only one ellipsis"),
    "step 0": (slice(None, None, 0), ShapeError, "step is an int other than 0"),
    "step float": (slice(None, None, 1.5), SymbolicValueError, "step must be an int"),
    "bound float": (slice(1.0, None), SymbolicValueError, "start must be an int"),
    "bool": (True, SymbolicValueError, "cannot index with True of type bool"),
    "mask": (np.array([True, False]), IndexOutOfRange, r"a mask of shape \[2\] for the axes"),
    "float": (1.0, SymbolicValueError, "cannot index with 1.0"),
    "float array": (np.array([1.0]), DTypeError, "integer dtype, got float64"),
    "name": ("a", SymbolicValueError, "cannot index with 'a'"),
    "two arrays": (([0, 1], [1, 2, 3]), ShapeError, "gather: shapes do not broadcast"),
}


@pytest.mark.parametrize("name", BAD)
def test_errors_name_the_line(name: str) -> None:
    key, kind, message = BAD[name]
    x = gc.placeholder("x", (3, 4))
    with pytest.raises(kind, match=message) as info:
        x[key]
    assert "test_slicing.py:" in str(info.value)
    assert "x[key]" in str(info.value)


def test_symbolic_bounds_are_refused() -> None:
    x = gc.placeholder("x", (3,))
    i = gc.placeholder("i", (), "int64")
    with pytest.raises(
        SymbolicValueError, match=r"how many entries \[:\.\.\.\] has depends on values"
    ):
        x[:i]


def test_an_int_on_a_symbolic_axis_is_checked_at_the_call() -> None:
    x = gc.placeholder("x", ("n", 2))
    f = gc.function([x], [x[2], x[-3]], backend="reference")
    array = np.arange(6, dtype="float32").reshape(3, 2)
    np.testing.assert_array_equal(f(array), [array[2], array[-3]])
    with pytest.raises(IndexOutOfRange, match="index 2 is out of range for axis 0") as info:
        f(array[:2])
    assert "test_slicing.py:" in str(info.value)


def test_a_symbolic_int_is_checked_at_the_call() -> None:
    x = gc.placeholder("x", ("n",))
    last = gc.function([x], x[gc.dim("n") - 1], backend="reference")
    assert last(np.array([1.0, 2.0], "float32")) == 2
    with pytest.raises(IndexOutOfRange, match="out of range"):
        last(np.zeros(0, "float32"))
    y = gc.placeholder("y", ("k",))
    picked = gc.function([x, y], x[gc.dim("k")] + 0 * gc.sum(y), backend="reference")
    assert picked(np.arange(4, dtype="float32"), np.zeros(3, "float32")) == 3
    with pytest.raises(IndexOutOfRange, match="out of range"):
        picked(np.arange(4, dtype="float32"), np.zeros(4, "float32"))


def test_a_bad_position_is_an_index_error_while_building() -> None:
    x = gc.placeholder("x", (5,))
    with pytest.raises(IndexOutOfRange, match="entries 3 to 6 are out of range for axis 0"):
        gc.strided_slice(x, (3,), (4,))
    with pytest.raises(ShapeError, match="one start, size and step"):
        gc.strided_slice(x, (0, 0), (1, 1))


def test_iteration_and_unpacking() -> None:
    x = gc.placeholder("x", (3, 2), "float64")
    array = np.random.default_rng(0).normal(size=(3, 2))
    first, *rest = x
    values = evaluate_tensors([first, *rest], {x: array})
    np.testing.assert_array_equal(values, array)


def test_entries_of_a_symbolic_number_must_be_there() -> None:
    """Native code read past the array."""
    x, w = gc.placeholder("x", ("n",)), gc.placeholder("w", ("k",))
    ahead = gc.strided_slice(x, (1,), (w.shape[0],))
    back = gc.strided_slice(x, (5,), (w.shape[0],), (-2,))
    f, g = (gc.function([x, w], y, on_unused_input="ignore") for y in (ahead, back))
    rows = gc.placeholder("rows", ("n", 10))
    assert gc.strided_slice(rows, (0, 2), (rows.shape[0], 5)).node.inputs == (rows,)
    values = np.arange(6, dtype=np.float32)
    np.testing.assert_array_equal(f(values, np.ones(5, "float32")), values[1:])
    np.testing.assert_array_equal(g(values, np.ones(3, "float32")), values[5::-2])
    assert f(values[:0], values[:0]).shape == g(values[:0], values[:0]).shape == (0,)
    for function, n, k in ((f, 6, 6), (f, 0, 1), (g, 6, 4), (g, 5, 1)):
        with pytest.raises(FeedError, match=r"k = |n = "):
            function(values[:n], np.ones(k, "float32"))
