"""x[key] with several arrays, gather and masks: against numpy, on every backend."""

from collections.abc import Callable
from typing import Any, cast

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import basic_indices

import graphc as gc
from graphc.backends.reference.interpreter import evaluate_tensors
from graphc.errors import DTypeError, IndexOutOfRange, ShapeError, SymbolicValueError
from graphc.gradient_check import verify_grad

RNG = np.random.default_rng(0)


def numbers(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape)


@st.composite
def shapes_and_keys(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[Any, ...]]:
    """Any mixture of what numpy allows, in range."""
    shape = tuple(draw(st.lists(st.integers(0, 4), min_size=1, max_size=4)))
    common = tuple(draw(st.lists(st.integers(0, 3), max_size=2)))
    axes = draw(st.integers(0, len(shape)))
    ellipsis = draw(st.none() | st.integers(0, axes))
    key: list[Any] = []
    for position in range(axes):
        if position == ellipsis:
            key.append(...)
        axis = position
        if ellipsis is not None and position >= ellipsis:
            axis = len(shape) - axes + position
        size = shape[axis]
        kinds = ["slice", "none"] + (["int", "array", "array", "array"] if size else [])
        kind = draw(st.sampled_from(kinds))
        if kind == "none":
            key.append(None)
        if kind == "int":
            key.append(draw(st.integers(-size, size - 1)))
        elif kind == "array":
            kept = draw(st.integers(0, len(common)))
            own = tuple(draw(st.sampled_from([1, n])) for n in common[len(common) - kept :])
            values = st.integers(-size, size - 1)
            flat = [draw(values) for _ in range(int(np.prod(own, dtype=int)))]
            key.append(np.array(flat, dtype="int64").reshape(own))
        else:
            bounds = st.none() | st.integers(-5, 5)
            step = draw(st.sampled_from([None, 1, 2, -1, -2]))
            key.append(slice(draw(bounds), draw(bounds), step))
    return shape, tuple(key)


def placeholder(array: np.ndarray, symbolic: bool, name: str = "x") -> gc.Tensor:
    return gc.placeholder(name, [None] * array.ndim if symbolic else array.shape, array.dtype)


def broadcasting_placeholder(array: np.ndarray, name: str) -> gc.Tensor:
    """Symbolic but for axes of size 1: symbols do not broadcast against each other."""
    return gc.placeholder(name, [1 if n == 1 else None for n in array.shape], array.dtype)


@given(shapes_and_keys(), st.booleans())
@settings(max_examples=300, deadline=None)
def test_any_key_equals_numpy(case: Any, symbolic: bool) -> None:
    shape, key = case
    array = numbers(shape)
    x = placeholder(array, symbolic)
    (value,) = evaluate_tensors([x[key]], {x: array})
    np.testing.assert_array_equal(value, array[key])
    assert x[key].ndim == array[key].ndim


@given(shapes_and_keys())
@settings(max_examples=100, deadline=None)
def test_computed_indices_equal_constant_ones(case: Any) -> None:
    shape, key = case
    array = numbers(shape)
    x = placeholder(array, True)
    feeds = {x: array}
    symbolic_key: list[Any] = []
    for item in key:
        if isinstance(item, np.ndarray):
            index = broadcasting_placeholder(item, f"i{len(feeds)}")
            feeds[index] = item
            item = index
        symbolic_key.append(item)
    (value,) = evaluate_tensors([x[tuple(symbolic_key)]], feeds)
    np.testing.assert_array_equal(value, array[key])


@given(basic_indices((3, 1, 4), allow_newaxis=True, allow_ellipsis=True))
@settings(max_examples=100, deadline=None)
def test_basic_keys(key: Any) -> None:
    array = numbers((3, 1, 4))
    x = placeholder(array, True)
    (value,) = evaluate_tensors([x[key]], {x: array})
    np.testing.assert_array_equal(value, array[key])


ROWS, COLUMNS = np.array([0, -1, 2, 2]), np.array([[1], [0]])
KEYS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "pairs": ((ROWS, ROWS), (3, 4)),
    "broadcast": ((COLUMNS, ROWS), (3, 4)),
    "lists": (([0, 2], [1, 1]), (3, 4)),
    "behind a slice": ((slice(1, None), ROWS, COLUMNS), (2, 3, 4)),
    "apart": ((ROWS, slice(None), COLUMNS), (3, 2, 4)),
    "apart by None": ((ROWS, None, COLUMNS), (3, 4)),
    "apart by ellipsis": ((ROWS, ..., COLUMNS), (3, 2, 2, 4)),
    "apart behind": ((slice(None), COLUMNS, slice(None, None, -1), ROWS), (2, 3, 2, 4)),
    "with ints": ((ROWS, 1, COLUMNS), (3, 2, 4)),
    "int apart": ((0, slice(None), ROWS, COLUMNS), (2, 2, 3, 4)),
    "three": ((COLUMNS, ROWS, ROWS), (2, 3, 4)),
    "none picked": (([], []), (3, 4)),
    "scalars": ((np.array(1), np.array(-1)), (3, 4)),
    "mask": (np.array([True, False, True]), (3, 4)),
    "mask behind": ((slice(None), np.array([True, False, True])), (2, 3)),
    "mask of two axes": (np.arange(12).reshape(3, 4) % 5 < 2, (3, 4, 2)),
    "mask and array": ((np.array([True, False, True]), [0, 3]), (3, 4)),
    "mask apart": ((np.array([True, False]), slice(None), [0]), (2, 2, 3)),
    "empty mask": (np.zeros((3, 4), bool), (3, 4)),
}


@pytest.mark.parametrize("backend", ["reference", "interpreter", "llvm"])
@pytest.mark.parametrize("name", KEYS)
def test_backends(name: str, backend: str) -> None:
    key, shape = KEYS[name]
    array = numbers(shape)
    symbolic = "mask" not in name
    x = placeholder(array, symbolic)
    y = gc.exp(x)[key]
    f = gc.function([x], [y, gc.grad(gc.sum(y**2), x)], backend=backend)
    value, gradient = f(array)
    np.testing.assert_allclose(value, np.exp(array)[key], rtol=1e-14)
    expected = np.zeros(shape)
    np.add.at(expected, key, 2 * np.exp(array)[key])
    np.testing.assert_allclose(gradient, expected * np.exp(array), rtol=1e-13)


@pytest.mark.parametrize("name", ["broadcast", "apart", "mask of two axes"])
def test_numba(name: str) -> None:
    key, shape = KEYS[name]
    array = numbers(shape)
    x = placeholder(array, False)
    y = x[key]
    f = gc.function([x], [y, gc.grad(gc.sum(y**2), x)], backend="numba_cpu")
    value, gradient = f(array)
    np.testing.assert_array_equal(value, array[key])
    expected = np.zeros(shape)
    np.add.at(expected, key, 2 * array[key])
    np.testing.assert_allclose(gradient, expected, rtol=1e-13)


@pytest.mark.parametrize("name", KEYS)
def test_derivatives(name: str) -> None:
    key, shape = KEYS[name]
    verify_grad(lambda x: gc.square(x[key]), [numbers(shape)])


def test_a_list_of_bools_is_a_mask() -> None:
    x = gc.placeholder("x", (3,), "float64")
    assert x[[True, False, True]].shape == (2,)


STATIC: dict[str, tuple[Callable[[Any], Any], type[Exception], str]] = {
    "first": (lambda x: x[[3, 0], [0, 1]], IndexOutOfRange, "E401.*index 3 .* axis 0 of size 3"),
    "second": (lambda x: x[[0], [-5]], IndexOutOfRange, "E401.*index -5 .* axis 1 of size 4"),
    "shapes": (lambda x: x[[0, 1], [0, 1, 2]], ShapeError, "shapes do not broadcast"),
    "mask": (lambda x: x[np.ones(4, bool)], IndexOutOfRange, r"E403.*mask of shape \[4\]"),
    "symbolic mask": (lambda x: x[x[0] > 0, [0, 1]], SymbolicValueError, "beside another array"),
    "axes": (lambda x: gc.gather(x, ([0], [1]), (1, 0)), ShapeError, "increasing order"),
    "number": (lambda x: gc.gather(x, ([0], [1]), (1,)), ShapeError, "one for each axis"),
    "no list": (
        lambda x: gc.gather(x, cast(Any, np.array([0, 1]))),
        ShapeError,
        "not a list of arrays",
    ),
    "float": (lambda x: gc.gather(x, ([0.5],)), DTypeError, "gather: .* integer dtype"),
}


@pytest.mark.parametrize("name", STATIC)
def test_errors_name_the_line(name: str) -> None:
    build, kind, message = STATIC[name]
    x = gc.placeholder("x", (3, 4))
    with pytest.raises(kind, match=f"(?s){message}") as info:
        build(x)
    assert "test_gather.py:" in str(info.value)


@pytest.mark.parametrize("backend", ["reference", "interpreter", "llvm", "numba_cpu"])
def test_computed_indices_are_checked_before_anything_is_written(backend: str) -> None:
    x = gc.placeholder("x", ("n", "m"), "float64")
    i, j = gc.placeholder("i", ("k",), "int64"), gc.placeholder("j", ("k",), "int32")
    count = gc.variable(np.zeros(()), "count")
    f = gc.function([x, i, j], x[i, j], updates={count: count + 1}, backend=backend)
    array = numbers((3, 4))
    good = np.array([0, -3, 2]), np.array([3, -4, 0], "int32")
    np.testing.assert_array_equal(f(array, *good), array[good])
    assert count.value == 1
    bad = [
        (np.array([0, 3, 0]), good[1], "index 3 is out of range for axis 0 of size 3"),
        (good[0], np.array([0, 0, -5], "int32"), "index -5 is out of range for axis 1 of size 4"),
    ]
    for first, second, message in bad:
        with pytest.raises(IndexOutOfRange, match=f"E402.*{message}") as info:
            f(array, first, second)
        assert "test_gather.py:" in str(info.value) and "x[i, j]" in str(info.value)
        assert count.value == 1
