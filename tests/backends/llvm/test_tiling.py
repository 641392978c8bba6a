"""Loops across the rows of an array: transposed in registers, tile by tile."""

import itertools

import numpy as np
import pytest

import graphc as gc
from graphc.backends.llvm.target import host

EDGES = (0, 1, 7, 8, 9, 15, 16, 17, 63, 64, 65, 130)
LONG = [(3, 511), (511, 3), (9, 513), (1025, 17), (520, 70), (66, 2050)]
ORDERS = [(0, 2, 3, 1), (0, 3, 1, 2), (3, 2, 1, 0), (0, 3, 2, 1), (2, 3, 0, 1)]


def matrix(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    values = np.random.default_rng(0).integers(-100, 100, shape)
    return values.astype(gc.placeholder("x", (), dtype).dtype)


def reads_rows_together(f: gc.Function) -> bool:
    return "load <4 x float>" in f.llvm()


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "float16", "bool"])
def test_symbolic_sizes(dtype: str) -> None:
    x = gc.placeholder("x", ("n", "m"), dtype)
    f = gc.function([x], x.T)
    for shape in [*itertools.product(EDGES, EDGES), *LONG]:
        values = matrix(shape, dtype)
        np.testing.assert_array_equal(f(values), values.T)


def test_beside_other_operands() -> None:
    x, y = gc.placeholder("x", ("n", "m")), gc.placeholder("y", ("m", "n"))
    half = gc.where(y > 0, x.T, -y)  # x is read in some lanes only
    f = gc.function([x, y], [x.T * 2 + y, gc.exp(x.T / 100) - gc.tanh(y), half])
    for shape in [*itertools.product((1, 8, 17, 66), (3, 16, 65)), *LONG]:
        a, b = matrix(shape, "float32"), matrix(shape[::-1], "float32")
        first, second, third = f(a, b)
        np.testing.assert_array_equal(first, a.T * 2 + b)
        np.testing.assert_allclose(second, np.exp(a.T / 100) - np.tanh(b), rtol=2e-6, atol=1e-6)
        np.testing.assert_array_equal(third, np.where(b > 0, a.T, -b))


def test_beside_what_is_computed_once_for_a_row() -> None:
    """Between the loops stands what depends on the row alone, or on the matrix alone."""
    x, v = gc.placeholder("x", ("k", "n", "m")), gc.placeholder("v", ("k", "m"))
    f = gc.function([x, v], ((x - gc.exp(v)[:, None]) / gc.sum(v, axis=1)[:, None, None]).mT)
    assert "= exp(v" in f.loops() and reads_rows_together(f)
    for shape in [(k, n, m) for k in (0, 1, 3) for n, m in [(8, 16), (1, 65), (130, 17), *LONG]]:
        a = np.random.default_rng(0).normal(size=shape).astype("float32")
        b = np.random.default_rng(1).uniform(1, 2, (shape[0], shape[2])).astype("float32")
        expected = ((a - np.exp(b)[:, None]) / b.sum(1)[:, None, None]).swapaxes(1, 2)
        np.testing.assert_allclose(f(a, b), expected, rtol=2e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 200), (2, 129), (5, 300), (64, 64), (67, 150), (1000, 40)])
def test_known_sizes(shape: tuple[int, int]) -> None:
    x = gc.placeholder("x", shape)
    f = gc.function([x], x.T + 1)
    values = matrix(shape, "float32")
    np.testing.assert_array_equal(f(values), values.T + 1)


@pytest.mark.parametrize("order", ORDERS)
def test_orders_of_four_axes(order: tuple[int, ...]) -> None:
    x = gc.placeholder("x", ("a", "b", "c", "d"))
    f = gc.function([x], gc.permute_dims(x, order) + 1)
    for shape in [(2, 3, 4, 5), (3, 17, 2, 70), (1, 66, 9, 8), (2, 0, 3, 4), (20, 5, 1, 130)]:
        values = matrix(shape, "float32")
        np.testing.assert_array_equal(f(values), values.transpose(order) + 1)


def test_known_and_unknown_sizes() -> None:
    x = gc.placeholder("x", ("n", 33, 3))
    f = gc.function([x], [gc.permute_dims(x, (2, 0, 1)) * 2, gc.permute_dims(x, (0, 2, 1)) * 3])
    for count in (0, 1, 40):
        values = matrix((count, 33, 3), "float32")
        first, second = f(values)
        np.testing.assert_array_equal(first, values.transpose(2, 0, 1) * 2)
        np.testing.assert_array_equal(second, values.transpose(0, 2, 1) * 3)


def test_the_number_of_threads_changes_no_bit() -> None:
    x = gc.placeholder("x", ("n", "m"))
    values = np.random.default_rng(1).normal(size=(1501, 1202)).astype(np.float32)
    one, two = (gc.function([x], gc.sin(x.T) + 1, threads=k)(values) for k in (1, 2))
    np.testing.assert_array_equal(one, two)


@pytest.mark.skipif(host().has_gathers, reason="has instructions that gather")
def test_several_rows_are_read_together() -> None:
    x = gc.placeholder("x", ("n", "m"))
    assert reads_rows_together(gc.function([x], x.T + 1))
    assert not reads_rows_together(gc.function([x], x + 1))


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 300), (300, 0), (2, 0, 5), (0, 3, 300)])
def test_no_elements(shape: tuple[int, ...]) -> None:
    x = gc.placeholder("x", shape, "float32")
    turned = gc.permute_dims(x, tuple(reversed(range(len(shape)))))
    found = gc.function([x], turned + 1, backend="llvm")(np.zeros(shape, "float32"))
    assert found.shape == shape[::-1]
