"""Reshapes, axis orders, repetition, reversal: against numpy, with static and symbolic sizes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.errors import DTypeError, ShapeError
from graphc.gradient_check import verify_grad
from tests.ops.both_ways import both_ways

SHAPES = [(), (0,), (1,), (7,), (2, 0, 3), (3, 1, 5), (2, 3, 4)]


# name -> (graphc, numpy, smallest rank)
CASES: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any], int]] = {
    "flat": (lambda x: x.flatten(), lambda x: x.reshape(-1), 0),
    "reversed shape": (
        lambda x: gc.reshape(x, x.shape[::-1]),
        lambda x: x.reshape(x.shape[::-1]),
        0,
    ),
    "transpose": (lambda x: x.T, np.transpose, 0),
    "cycle": (lambda x: gc.permute_dims(x, (1, 2, 0)), lambda x: x.transpose(1, 2, 0), 3),
    "matrix_transpose": (gc.matrix_transpose, lambda x: np.swapaxes(x, -1, -2), 2),
    "moveaxis": (lambda x: gc.moveaxis(x, 0, -1), lambda x: np.moveaxis(x, 0, -1), 1),
    "moveaxis two": (
        lambda x: gc.moveaxis(x, (0, 2), (1, 0)),
        lambda x: np.moveaxis(x, (0, 2), (1, 0)),
        3,
    ),
    "expand": (lambda x: gc.expand_dims(x, (0, -1)), lambda x: np.expand_dims(x, (0, -1)), 0),
    "squeeze": (gc.squeeze, np.squeeze, 0),
    "broadcast": (
        lambda x: gc.broadcast_to(x, (2, *x.shape)),
        lambda x: np.broadcast_to(x, (2, *x.shape)),
        0,
    ),
    "tile": (lambda x: gc.tile(x, (2, 3)), lambda x: np.tile(x, (2, 3)), 0),
    "tile once": (lambda x: gc.tile(x, 2), lambda x: np.tile(x, 2), 0),
    "tile away": (lambda x: gc.tile(x, 0), lambda x: np.tile(x, 0), 0),
    "repeat": (lambda x: gc.repeat(x, 3), lambda x: np.repeat(x, 3), 0),
    "repeat last": (lambda x: gc.repeat(x, 2, -1), lambda x: np.repeat(x, 2, -1), 1),
    "flip": (gc.flip, np.flip, 0),
    "flip first": (lambda x: gc.flip(x, 0), lambda x: np.flip(x, 0), 1),
    "roll flat": (lambda x: gc.roll(x, -3), lambda x: np.roll(x, -3), 0),
    "roll last": (lambda x: gc.roll(x, 2, -1), lambda x: np.roll(x, 2, -1), 1),
    "roll two": (
        lambda x: gc.roll(x, (7, -1), (0, 1)),
        lambda x: np.roll(x, (7, -1), (0, 1)),
        2,
    ),
    "roll one axis twice": (
        lambda x: gc.roll(x, (1, 1), 0),
        lambda x: np.roll(x, (1, 1), 0),
        1,
    ),
}


@pytest.mark.parametrize(
    ("name", "shape"),
    [(name, shape) for name in CASES for shape in SHAPES if len(shape) >= CASES[name][2]],
    ids=str,
)
def test_equals_numpy(name: str, shape: tuple[int, ...]) -> None:
    build, reference, _ = CASES[name]
    array = np.random.default_rng(0).normal(size=shape)
    np.testing.assert_array_equal(both_ways(build, array), reference(array))


@pytest.mark.parametrize("name", CASES)
def test_derivatives(name: str) -> None:
    build, _, _ = CASES[name]
    array = np.random.default_rng(0).normal(size=(2, 3, 4))
    verify_grad(lambda x: gc.square(build(x)), [array])


def test_what_changes_nothing_is_no_node() -> None:
    x = gc.placeholder("x", ("n", 3))
    assert gc.reshape(x, x.shape) is x
    assert gc.permute_dims(x, (0, 1)) is x
    assert gc.broadcast_to(x, x.shape) is x
    assert gc.squeeze(x) is x


# --- symbolic sizes ----------------------------------------------------------------------------


def test_the_missing_size_is_a_polynomial() -> None:
    n, m = gc.dim("n"), gc.dim("m")
    x = gc.placeholder("x", (n, 6, m))
    assert gc.reshape(x, (n, -1)).shape == (n, 6 * m)
    assert gc.reshape(x, (2, -1, 3)).shape == (2, n * m, 3)
    assert gc.reshape(x, (-1,)).shape == (6 * n * m,)


def test_a_size_that_need_not_divide_is_checked_at_the_call() -> None:
    x = gc.placeholder("x", ("n",), "float64")
    y = gc.reshape(x, (-1, 4))
    f = gc.function([x], y, backend="reference")
    assert f(np.zeros(12)).shape == (3, 4)
    assert f(np.zeros(0)).shape == (0, 4)
    with pytest.raises(ValueError, match=r"reshape: \[n\] and \[n//4, 4\] differ") as info:
        f(np.zeros(13))
    assert "test_movement.py:" in str(info.value)


def test_squeezing_a_symbolic_size_is_checked_at_the_call() -> None:
    x = gc.placeholder("x", ("n", 3), "float64")
    f = gc.function([x], gc.squeeze(x, 0), backend="reference")
    assert f(np.zeros((1, 3))).shape == (3,)
    with pytest.raises(ValueError, match=r"axis 0 of .* is not of size 1"):
        f(np.zeros((2, 3)))


def test_one_function_serves_all_sizes() -> None:
    x = gc.placeholder("x", ("n", None))
    f = gc.function([x], gc.roll(gc.flip(x.T, 0), 1, 0), backend="reference")
    for shape in ((1, 1), (3, 5), (4, 2), (0, 2), (2, 0)):
        array = np.random.default_rng(1).normal(size=shape).astype("float32")
        np.testing.assert_array_equal(f(array), np.roll(np.flip(array.T, 0), 1, 0))


@pytest.mark.parametrize("backend", ["reference", "llvm"])
def test_shifts_may_be_computed(backend: str) -> None:
    x, s = gc.placeholder("x", ("n", "m"), "float64"), gc.placeholder("s", (), "int32")
    pairs: list[tuple[Any, Any]] = [(s, None), (s, 1), ((s, -1), (0, 1)), (s, (0, 1)), ([s, 2], 1)]
    weights = gc.arange(x.shape[0], dtype="float64")[:, None]
    slope = gc.grad(gc.sum(gc.roll(x, s, 0) * weights), x)
    f = gc.function([x, s], [*(gc.roll(x, *pair) for pair in pairs), slope], backend=backend)
    for shape in ((3, 4), (1, 1), (0, 2), (5, 2)):
        array = np.random.default_rng(2).normal(size=shape)
        for shift in (0, 1, -7, 100):
            *found, gradient = f(array, shift)
            for one, (shifts, axis) in zip(found, pairs, strict=True):
                listed = shifts if isinstance(shifts, tuple | list) else (shifts,)
                numbers = tuple(shift if each is s else each for each in listed)
                total = (sum(numbers),) if isinstance(axis, int) else numbers
                np.testing.assert_array_equal(one, np.roll(array, total, axis))
            rows = np.broadcast_to(np.arange(shape[0])[:, None], shape)
            np.testing.assert_array_equal(gradient, np.roll(rows, -shift, 0))


def test_a_step_of_a_loop_rolls_by_what_it_gets() -> None:
    """The best value of things that fit: each weight is known when its turn comes."""
    weights, values = gc.placeholder("w", ("k",), "int64"), gc.placeholder("v", ("k",), "int64")

    def thing(best: Any, one: Any) -> tuple[Any, None]:
        weight, value = one
        taken = gc.where(gc.arange(11) >= weight, gc.roll(best, weight) + value, 0)
        return gc.maximum(best, taken), None

    best, _ = gc.scan(thing, gc.zeros((11,), dtype="int64"), (weights, values))
    assert gc.run(best, {weights: [5, 4, 6, 3], values: [10, 40, 30, 50]})[10] == 90


# --- errors ------------------------------------------------------------------------------------

BAD: dict[str, tuple[Callable[[Any], Any], str]] = {
    "reshape count": (lambda x: gc.reshape(x, (5,)), r"\[3, 4\] and \[5\] differ .*12 != 5"),
    "reshape divide": (lambda x: gc.reshape(x, (5, -1)), "does not fit"),
    "reshape two unknown": (lambda x: gc.reshape(x, (-1, -1)), "is not a shape"),
    "reshape negative": (lambda x: gc.reshape(x, (-2, 6)), "is not a shape"),
    "reshape float": (lambda x: gc.reshape(x, x.shape[0] / 2), "reshape: a size is an integer"),
    "axis": (lambda x: gc.flip(x, 2), "flip: axis 2 is out of range for ndim 2"),
    "axis twice": (lambda x: gc.permute_dims(x, (0, 0)), "name an axis twice"),
    "axes missing": (lambda x: gc.permute_dims(x, (0,)), "1 axes given for ndim 2"),
    "squeeze": (lambda x: gc.squeeze(x, 1), "axis 1 of .* is not of size 1"),
    "broadcast": (lambda x: gc.broadcast_to(x, (3, 8)), "axis -1: 4 != 8"),
    "broadcast rank": (lambda x: gc.broadcast_to(x, (4,)), "would drop axes"),
    "tile": (lambda x: gc.tile(x, -1), "counts are ints >= 0"),
    "roll": (lambda x: gc.roll(x, (1, 2, 3), (0, 1)), "3 shifts for axes"),
    "roll by a vector": (lambda x: gc.roll(x, gc.arange(2), (0, 1)), "without axes, one for each"),
    "vector transposed": (lambda x: gc.matrix_transpose(x[0]), "needs at least 2 axes"),
}


@pytest.mark.parametrize("name", BAD)
def test_errors_name_the_line(name: str) -> None:
    build, message = BAD[name]
    x = gc.placeholder("x", (3, 4))
    with pytest.raises(ShapeError, match=message) as info:
        build(x)
    assert "test_movement.py:" in str(info.value)


# --- repeat with counts --------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["reference", "llvm"])
def test_repeat_by_counts(backend: str) -> None:
    array, known = np.arange(6, dtype="float32").reshape(3, 2), np.array([2, 0, 3])
    x, counts = gc.placeholder("x", ("n", 2)), gc.placeholder("counts", ("n",), "int64")
    outputs = [gc.repeat(x, known, axis=0), gc.repeat(x, np.array([2]), axis=1)]
    outputs += [gc.repeat(x, counts, 0, size=size, fill_value=-1) for size in (3, 5, 7)]
    f = gc.function([x, counts], outputs, backend=backend)
    rows, columns, *padded = f(array, known)
    expected = np.repeat(array, known, axis=0)
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_array_equal(columns, np.repeat(array, 2, axis=1))
    behind = np.concatenate([expected, np.full((2, 2), -1)])
    for size, found in zip((3, 5, 7), padded, strict=True):
        np.testing.assert_array_equal(found, behind[:size])


def test_repeat_needs_counts_that_fit() -> None:
    x, counts = gc.placeholder("x", (3,)), gc.placeholder("counts", (3,), "int64")
    with pytest.raises(ShapeError, match="size of the result depends on counts"):
        gc.repeat(x, counts)
    with pytest.raises(ShapeError, match=r"\[3\] to \[2\]"):
        gc.repeat(x, [1, 2])
    with pytest.raises(ShapeError, match="counts are ints >= 0"):
        gc.repeat(x, [1, -1, 2])
    with pytest.raises(DTypeError, match="counts of float32"):
        gc.repeat(x, x)
