"""Axes of at most one entry stretch beside larger ones, whatever is fed."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc

BACKENDS = ("reference", "interpreter", "llvm", "numba_cpu")
SHAPES = [(2, 3), (3, 1), (1, 4), (2, 0), (0, 3), (5, 17)]

CASES: dict[str, Callable[[Any], Any]] = {
    "first column": lambda x: x + x[:, :1],
    "last column": lambda x: x - x[..., -1:],
    "first row": lambda x: x[:1] * x,
    "corner": lambda x: x * x[:1, :1] + 1,
    "fewer axes": lambda x: x + x[0:1].sum(0)[-1:],
    "two columns": lambda x: x[:, :1] * x[:, :2],
    "three operands": lambda x: where(x > x[:, :1], x, x[:1]),
    "scaled": lambda x: (x - x[:, -1:]) / (1 + abs(x[:1])),
}


def where(*args: Any) -> Any:
    return (gc if any(isinstance(arg, gc.Tensor) for arg in args) else np).where(*args)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", CASES)
def test_values_are_those_of_numpy(name: str, backend: str) -> None:
    build = CASES[name]
    x = gc.placeholder("x", ("n", "m"), "float64")
    f = gc.function([x], build(x), backend=backend)
    for shape in SHAPES:
        array = np.random.default_rng(1).normal(size=shape)
        np.testing.assert_array_equal(f(array), build(array), err_msg=str(shape))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["first column", "corner", "scaled", "two columns"])
def test_gradients_are_those_of_differences(name: str, backend: str) -> None:
    x = gc.placeholder("x", ("n", "m"), "float64")
    cost = gc.sum(gc.sin(CASES[name](x)))
    gradient = gc.function([x], gc.grad(cost, x), backend=backend)
    value = gc.function([x], cost, backend="reference")
    for shape in SHAPES:
        array = np.random.default_rng(2).normal(size=shape)
        expected = np.zeros(shape)
        for place in np.ndindex(shape):
            step = np.zeros(shape)
            step[place] = 1e-6
            expected[place] = (value(array + step) - value(array - step)) / 2e-6
        np.testing.assert_allclose(gradient(array), expected, rtol=1e-6, atol=1e-8)


def test_where_no_entry_is_left_to_stretch() -> None:
    """The third column from the right is not there: [n, 0] does not broadcast to [n, 1]."""
    x = gc.placeholder("x", ("n", "m"), "float64")
    f = gc.function([x], x + x[:, -2:-1])
    assert f(np.ones((2, 3))).shape == (2, 3)
    assert f(np.ones((2, 0))).shape == (2, 0)
    with pytest.raises(gc.FeedError, match="broadcasting"):
        f(np.ones((2, 1)))
    y = gc.placeholder("y", ("n", "k"), "float64")
    g = gc.function([x, y], x[:, :1] + y)
    np.testing.assert_array_equal(g(np.full((2, 3), 2.0), np.ones((2, 5))), np.full((2, 5), 3.0))
    assert g(np.ones((2, 3)), np.ones((2, 0))).shape == (2, 0)
    with pytest.raises(gc.FeedError, match="broadcasting"):
        g(np.ones((2, 0)), np.ones((2, 5)))
    h = gc.function([x], x[:, :1] + np.ones(5))
    assert h(np.ones((2, 1))).shape == (2, 5)
    with pytest.raises(gc.FeedError, match="broadcasting"):
        h(np.ones((2, 0)))


def test_two_columns_do_not_stretch_to_three() -> None:
    x = gc.placeholder("x", ("n", "m"))
    f = gc.function([x], x / x[:, :2])
    assert f(np.ones((2, 2), "float32")).shape == (2, 2)
    with pytest.raises(gc.FeedError, match=r"m = 3, min\(m, 2\) = 2"):
        f(np.ones((2, 3), "float32"))


def test_broadcast_to_and_arrays() -> None:
    x = gc.placeholder("x", ("n", "m"), "float64")
    y = gc.placeholder("y", ("b", "n", "m"), "float64")
    f = gc.function([x, y], gc.broadcast_to(x[:, :1], y.shape))
    array = np.arange(6.0).reshape(2, 3)
    expected = np.broadcast_to(array[:, :1], (4, 2, 3))
    np.testing.assert_array_equal(f(array, np.ones((4, 2, 3))), expected)
    g = gc.function([x], gc.broadcast_arrays(x[:1], x, x[:, -1:]))
    for one, other in zip(
        g(array), np.broadcast_arrays(array[:1], array, array[:, -1:]), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_transforms_and_dtypes() -> None:
    x = gc.placeholder("x", ("b", "n", "m"), "complex128")
    f = gc.function([x], gc.vmap(lambda row: row * row[:, :1] - row[:1])(x))
    rng = np.random.default_rng(3)
    array = rng.normal(size=(2, 3, 4)) + 1j * rng.normal(size=(2, 3, 4))
    expected = array * array[:, :, :1] - array[:, :1]
    np.testing.assert_allclose(f(array), expected, rtol=1e-14)
    k = gc.placeholder("k", ("n",), "int32")
    g = gc.function([k], [k - k[:1], gc.minimum(k[-1:], k), k[:1] == k])
    numbers = np.array([3, 1, 4, 1], "int32")
    for one, other in zip(
        g(numbers), [numbers - 3, np.minimum(1, numbers), numbers == 3], strict=True
    ):
        assert one.dtype == other.dtype and np.array_equal(one, other)


def test_the_graph_reads_back() -> None:
    x = gc.placeholder("x", ("n", "m"), "float64")
    f = gc.function([x], x - x[:, -1:], name="f")
    again = gc.parse_graph(f.graph_text("before"))
    array = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(
        gc.function(again.inputs, again.outputs[0])(array), array - array[:, -1:]
    )
