"""Slices that begin where tensors say: x[i * B : (i + 1) * B], and those by JAX's names."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.ir.registry import BUILDER

X = np.arange(30.0).reshape(10, 3)


def arguments(size: Any = 10) -> tuple[Any, Any]:
    return gc.placeholder("x", (size, 3), "float64"), gc.placeholder("i", (), "int32")


@pytest.mark.parametrize("backend", ["reference", "interpreter", "llvm", "numba_cpu"])
@pytest.mark.parametrize("size", [10, "n"])
@pytest.mark.parametrize(
    "subscript",
    [
        lambda x, i: x[i * 2 : (i + 1) * 2],
        lambda x, i: x[i : i + 4, 1:],
        lambda x, i: x[i + 1 : i + 6 : 2],
        lambda x, i: x[i + 5 : i - 1 : -2, ::-1],
        lambda x, i: x[3 + i : i : -1],
        lambda x, i: x[i - 1 : -1 - (1 - i) + 2],
        lambda x, i: x[i + 2 : i],
        lambda x, i: x[None, i : i + 2, ..., 1],
        lambda x, i: x[i : i + 2, i - 1 : i + 1],
        lambda x, i: x[i : i + 3, [2, 0]],
        lambda x, i: x[..., i - 1 : i + 1],
    ],
)
def test_slices_are_those_of_numpy(subscript: Any, size: Any, backend: str) -> None:
    x, i = arguments(size)
    f = gc.function([x, i], subscript(x, i), backend=backend)
    for place in (1, 2):
        np.testing.assert_array_equal(f(X, place), subscript(X, place))


def test_sizes_of_the_result_are_known() -> None:
    x, i = arguments("n")
    half = x.shape[0] // 2
    assert x[i * 4 : (i + 1) * 4].shape == (4, 3)
    assert x[i * half : i * half + half].shape == (half, 3)
    assert x[i.astype("int64") + half : half + 5 + i].shape == (5, 3)
    two = gc.constant(2)
    assert x[two : two + 3].shape == x[2:5].shape
    assert x[gc.as_tensor(half) :].shape == x[half:].shape


def test_minibatches_as_in_theano() -> None:
    data, i = gc.variable(X), gc.placeholder("i", (), "int64")
    x = gc.placeholder("x", (None, 3), "float64")
    w = gc.variable(np.ones(3))
    cost = (x @ w).sum()
    updates = {w: w - 0.1 * gc.grad(cost, w)}
    f = gc.function([i], cost, updates=updates, givens={x: data[i * 5 : (i + 1) * 5]})
    assert f(1) == X[5:].sum()
    np.testing.assert_allclose(w.value, 1 - 0.1 * X[5:].sum(axis=0))


@pytest.mark.parametrize(("place", "text"), [(3, "from 9 on"), (-1, "from -3 on"), (9, "from 27")])
def test_what_is_out_of_range_is_said_with_the_line(place: int, text: str) -> None:
    x, i = arguments("n")
    w = gc.variable(np.zeros((3, 3)))
    f = gc.function([x, i], updates={w: x[i * 3 : i * 3 + 3]})  # this line
    with pytest.raises(gc.IndexOutOfRange, match=rf"\[E402\] a slice of 3 entries {text}") as found:
        f(X, place)
    assert "axis 0 of size 10" in str(found.value)
    assert "this line" in str(found.value)
    assert "start in [0, 7]" in str(found.value)
    assert not w.value.any()


def test_an_axis_that_is_too_short() -> None:
    x, i = arguments()
    with pytest.raises(
        gc.IndexOutOfRange, match="a slice of 11 entries is out of range for axis 0"
    ):
        x[i : i + 11]
    x, i = arguments("n")
    with pytest.raises(gc.IndexOutOfRange, match="take fewer entries"):
        gc.function([x, i], x[i : i + 11])(X, 0)


@pytest.mark.parametrize(
    ("subscript", "code", "text"),
    [
        (lambda x, i: x[i:], "E215", r"how many entries \[\.\.\.:\] has depends on values"),
        (lambda x, i: x[:i], "E215", r"gc\.take\(x, i\*B \+ gc\.arange\(B\), axis=0\)"),
        (lambda x, i: x[i : 2 * i], "E215", r"how many entries \[\.\.\.:\.\.\.\] has"),
        (lambda x, i: x[i * i : i * i + 2], "E215", r"x\[i : i \+ n\] has n entries"),
        (lambda x, i: x[i : i + 2 : 0], "E215", "depends on values"),
        (lambda x, i: x[i : i + 0.5], "E214", r"stop must be an integer scalar, got float32\[\]"),
        (
            lambda x, i: x[gc.arange(2) : 3],
            "E214",
            r"start must be an integer scalar, got int64\[2",
        ),
        (lambda x, i: x[i.astype("int8") * 2 : i.astype("int8") * 2 + 2], "E215", "depends on"),
    ],
)
def test_slices_of_unknown_length(subscript: Any, code: str, text: str) -> None:
    with pytest.raises(gc.GraphcError, match=text) as found:
        subscript(*arguments())
    assert found.value.code == code


def test_one_tensor_twice_is_one_start() -> None:
    x, i = arguments()
    start = i * i
    assert x[start : start + 2].shape == (2, 3)


def test_gradients_lie_where_was_read() -> None:
    x, i = arguments("n")
    y = x[i * 2 : i * 2 + 3, i - 1 : i + 1]
    expected = np.zeros((10, 3))
    expected[4:7, 1:3] = 2 * X[4:7, 1:3]
    gradient = gc.grad((y * y).sum(), x)
    np.testing.assert_array_equal(gc.function([x, i], gradient)(X, 2), expected)
    gc.verify_grad(lambda x, i: gc.sin(x[i : i + 4, i : i - 2 : -1]), [X, 2])


def test_gradients_of_maybe_empty_slices() -> None:
    x = gc.placeholder("x", ("n",), "float64")
    i = gc.placeholder("i", (), "int64")
    some = x.shape[0] // 4
    y = x[i : i + some]
    f = gc.function([x, i], [y, gc.grad(gc.sum(y * y), x)])
    for size in (2, 9):
        point = np.arange(1.0, size + 1)
        value, slope = f(point, 1)
        expected = np.zeros(size)
        expected[1 : 1 + size // 4] = 2 * point[1 : 1 + size // 4]
        np.testing.assert_array_equal(value, point[1 : 1 + size // 4])
        np.testing.assert_array_equal(slope, expected)


# --- writing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["reference", "interpreter", "llvm", "numba_cpu"])
def test_at_writes_where_a_slice_reads(backend: str) -> None:
    x, i = arguments("n")
    outputs = [
        x.at[i * 2 : i * 2 + 2].set(0),
        x.at[i : i + 5 : 2, 1].add(100.0),
        x.at[i + 3 : i : -1, [2, 0]].multiply(-1),
        x.at[..., i : i + 1].set(x[..., :1]),
        x.at[i : i + 2].get(),
    ]
    found = gc.function([x, i], outputs, backend=backend)(X, 2)
    expected = [X.copy() for _ in range(4)]
    expected[0][4:6] = 0
    expected[1][2:7:2, 1] += 100
    expected[2][5:2:-1, [2, 0]] *= -1
    expected[3][:, 2:3] = X[:, :1]
    for one, other in zip(found, [*expected, X[2:4]], strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(gc.IndexOutOfRange):
        gc.function([x, i], outputs[0], backend=backend)(X, -1)


def test_a_state_of_a_loop_is_written_in_place() -> None:
    start = gc.placeholder("start", (64, 8), "float64")

    def step(k: Any, state: Any) -> Any:
        return gc.dynamic_update_slice_in_dim(state, gc.full((2, 8), k), k * 2, axis=0)

    f = gc.function([start], gc.fori_loop(0, 30, step, start))
    expected = np.repeat(np.arange(32.0), 2)[:, None] * np.ones(8)
    expected[60:] = -1
    np.testing.assert_array_equal(f(-np.ones((64, 8))), expected)
    assert "in_place" in f.loops()


# --- by the names of JAX -----------------------------------------------------------------------


def test_starts_are_moved_into_range() -> None:
    x, i = arguments("n")
    f = gc.function([x, i], gc.dynamic_slice(x, (i, 0), (4, 2)))
    g = gc.function([x, i], gc.dynamic_update_slice(x, np.zeros((4, 2)), (i, 1)))
    for place, first in ((0, 0), (3, 3), (6, 6), (7, 6), (99, 6), (-1, 6), (-7, 3), (-99, 0)):
        np.testing.assert_array_equal(f(X, place), X[first : first + 4, :2])
        expected = X.copy()
        expected[first : first + 4, 1:] = 0
        np.testing.assert_array_equal(g(X, place), expected)


def test_starts_as_one_tensor_and_along_one_axis() -> None:
    x, _ = arguments()
    starts = gc.placeholder("starts", (2,), "int64")
    value = {x: X, starts: [8, 1]}
    np.testing.assert_array_equal(gc.run(gc.dynamic_slice(x, starts, [3, 2]), value), X[7:, 1:])
    np.testing.assert_array_equal(gc.run(gc.dynamic_slice_in_dim(x, 2, 3), {x: X}), X[2:5])
    np.testing.assert_array_equal(gc.run(gc.dynamic_slice_in_dim(x, -1, 2, 1), {x: X}), X[:, 1:])
    assert gc.dynamic_slice(x, (5, 5), (10, 3)) is x
    written = gc.dynamic_update_slice_in_dim(x, np.zeros((10, 1)), starts[1], axis=1)
    np.testing.assert_array_equal(gc.run(written, value)[:, 1], np.zeros(10))


@pytest.mark.parametrize(
    ("build", "code", "text"),
    [
        (lambda x, i: gc.dynamic_slice(x, (i,), (2, 3)), "E101", "1 starts and 2 sizes for 2 axes"),
        (lambda x, i: gc.dynamic_slice(x, i, (2, 3)), "E101", "1 starts and 2 sizes for 2 axes"),
        (lambda x, i: gc.dynamic_slice(x, (i, 0), (2, 4)), "E401", "4 entries .* axis 1 of size 3"),
        (lambda x, i: gc.dynamic_slice(x, (i * 0.5, 0), (2, 3)), "E214", "start 0 must be an int"),
        (
            lambda x, i: gc.dynamic_update_slice(x, np.zeros(3), (i, 0)),
            "E101",
            "1 sizes for 2 axes",
        ),
    ],
)
def test_what_does_not_fit(build: Callable[..., Any], code: str, text: str) -> None:
    with pytest.raises(gc.GraphcError, match=text) as found:
        build(*arguments())
    assert found.value.code == code


def test_each_example_has_its_own_start() -> None:
    x, _ = arguments()
    starts = gc.placeholder("starts", (4, 2), "int64")
    values = {x: X, starts: [[0, 0], [2, 1], [-1, 7], [3, 0]]}

    def crop(start: Any) -> Any:
        return gc.dynamic_slice(x, start, (3, 2))

    def paint(start: Any) -> Any:
        return gc.dynamic_update_slice(x, -x[:2, :1], start)

    for one in (crop, paint):
        expected = [gc.run(one(starts[k]), values) for k in range(4)]
        np.testing.assert_array_equal(gc.run(gc.vmap(one)(starts), values), expected)
    many = gc.vmap(lambda i: x[i : i + 2])(starts[:, 0])
    with pytest.raises(gc.IndexOutOfRange):
        gc.run(many, values)
    slopes = gc.grad(gc.vmap(lambda s: (crop(s) ** 2).sum())(starts).sum(), x)
    each = sum(gc.run(gc.grad((crop(starts[k]) ** 2).sum(), x), values) for k in range(4))
    np.testing.assert_array_equal(gc.run(slopes, values), each)


@pytest.mark.parametrize("backend", ["reference", "interpreter", "llvm"])
def test_values_beyond_the_end_raise_on_every_backend(backend: str) -> None:
    """numpy's slices end where the array ends, and values of one entry then went nowhere."""
    x, values = gc.placeholder("x", ("n",)), gc.placeholder("values", ("k",))
    f = gc.function([x, values], BUILDER.update_slice_at(x, values, [1], [0]), backend=backend)
    ones = np.ones(3, "float32")
    np.testing.assert_array_equal(f(0 * ones, ones[:2]), [0, 1, 1])
    with pytest.raises(gc.IndexOutOfRange, match="E402"):
        f(ones[:1], ones[:1])
