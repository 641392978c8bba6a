"""Neighbours that lanes read with a stride are loaded together."""

from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.backends.llvm.target import host

SIZES = (0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 101)


def mixed(x: Any, columns: tuple[int, ...]) -> Any:
    """No two columns alike: a wrong one shows."""
    total = x[:, columns[0]] * 3
    for place, column in enumerate(columns[1:]):
        total = total + x[:, column] * (place + 5)
    return total


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64"])
@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (2, (1, 0)),
        (3, (0, 1, 2)),
        (4, (0, 1, 2, 3)),
        (5, (4, 3, 2, 1, 0)),
        (9, (0, 1, 2, 3, 4, 5, 6, 7, 8)),
        (11, (1, 2, 4, 7, 8, 9, 10)),
    ],
)
def test_every_length_of_the_rest(width: int, columns: tuple[int, ...], dtype: str) -> None:
    x = gc.placeholder("x", ("n", width), dtype)
    outputs = [mixed(x, columns), x[:, columns[0]] - x[:, columns[-1]]]
    f = gc.function([x], outputs)
    plain = gc.function([x], outputs, backend="interpreter")
    for size in SIZES:
        a = np.arange(size * width).reshape(size, width).astype(dtype)
        for found, wanted in zip(f(a), plain(a), strict=True):
            np.testing.assert_array_equal(found, wanted)


def test_rows_of_unknown_length() -> None:
    x = gc.placeholder("x", ("n", "m"), "float32")
    f = gc.function([x], mixed(x, (2, 1, 0)))
    for size in SIZES:
        a = np.arange(5.0 * size, dtype="float32").reshape(size, 5)
        np.testing.assert_array_equal(f(a), a[:, 2] * 3 + a[:, 1] * 5 + a[:, 0] * 6)


@pytest.mark.skipif(host().has_gathers, reason="has instructions that gather")
def test_one_load_for_each_row() -> None:
    x = gc.placeholder("x", (64, 4), "float32")
    f = gc.function([x], mixed(x, (0, 1, 2, 3)))
    text = f.llvm()
    assert "load <4 x float>" in text and "insertelement" not in text


def test_elements_that_only_some_lanes_want_are_loaded_alone() -> None:
    x, i = gc.placeholder("x", ("n", 2), "float64"), gc.placeholder("i", ("n",), "int64")
    f = gc.function([x, i], gc.where(i > 0, x[:, 0], x[:, 1]))
    for size in SIZES:
        a, b = np.arange(2.0 * size).reshape(size, 2), np.arange(size) % 2
        np.testing.assert_array_equal(f(a, b), np.where(b > 0, a[:, 0], a[:, 1]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tables_read_by_index(dtype: str) -> None:
    """Two elements at the places of one index: what lanes agree on stays in the address."""
    t, i = gc.placeholder("t", ("m",), dtype), gc.placeholder("i", ("n",), "int64")
    y = gc.placeholder("y", ("n",), dtype)
    f = gc.function([t, i, y], t[: t.shape[0] // 2][i] * y + t[t.shape[0] // 2 :][i])
    rng = np.random.default_rng(0)
    for size in SIZES:
        table, places = rng.normal(size=10).astype(dtype), rng.integers(-5, 5, size)
        other = rng.normal(size=size).astype(dtype)
        wanted = table[:5][places] * other + table[5:][places]
        np.testing.assert_allclose(f(table, places, other), wanted, rtol=1e-5, atol=1e-6)
