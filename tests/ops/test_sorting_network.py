"""Short rows that are put in order side by side."""

from typing import Any

import numpy as np
import pytest

import graphc as gc

DTYPES = ("float32", "float64", "float16", "int8", "uint8", "int32", "int64", "uint64", "bool")


def rows(size: int, dtype: str, count: int = 1100) -> np.ndarray:
    """Ties, both zeros, infinities and nan among them."""
    rng = np.random.default_rng(size)
    x = np.round(rng.normal(size=(count, size)) * 3)
    if dtype.startswith("float"):
        x[rng.random(x.shape) < 0.05] = np.nan
        x[rng.random(x.shape) < 0.05] = np.inf
        x[rng.random(x.shape) < 0.05] = -0.0
    return (
        (x > 0) if dtype == "bool" else np.abs(x).astype(dtype) if "u" in dtype else x.astype(dtype)
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [2, 3, 8, 13, 16])
def test_values_and_positions(size: int, dtype: str) -> None:
    x = rows(size, dtype)
    given = gc.placeholder("x", x.shape, dtype)
    for descending in (False, True):
        out = [
            gc.sort(given, descending=descending),
            gc.argsort(given, descending=descending),
            *gc.top_k(given, min(size, 3), largest=descending),
        ]
        f = gc.function([given], out, backend="llvm")
        assert "row_sort" not in f.graph_text() and "sort_key" in f.graph_text()
        wanted = gc.function([given], out, backend="reference")(x)
        for found, value in zip(f(x), wanted, strict=True):
            np.testing.assert_array_equal(found, value)


@pytest.mark.parametrize("backend", ["llvm", "interpreter", "numba_cpu"])
@pytest.mark.parametrize("axis", [0, 1])
def test_along_any_axis_with_symbolic_rows(axis: int, backend: str) -> None:
    shape: tuple[Any, ...] = (5, "n", 2) if axis == 0 else ("n", 5, 2)
    given = gc.placeholder("x", shape, "float64")
    out = [gc.sort(given, axis=axis), gc.argsort(given, axis=axis), gc.median(given, axis=axis)]
    f = gc.function([given], out, backend=backend)
    for count in (0, 1, 9):
        x = np.random.default_rng(count).normal(size=[5, count, 2] if axis == 0 else [count, 5, 2])
        values, positions, middle = f(x)
        np.testing.assert_array_equal(values, np.sort(x, axis=axis))
        np.testing.assert_array_equal(positions, np.argsort(x, axis=axis))
        np.testing.assert_array_equal(middle, np.median(x, axis=axis))


def test_what_leads_to_nothing_is_left_out() -> None:
    """The median of 9 and the larger of two: one kernel, and few comparisons."""
    x = gc.placeholder("x", ("n", 9))
    for out, most in ((gc.median(x, axis=1), 50), (gc.top_k(x, 1)[0], 9)):
        f = gc.function([x], out, backend="llvm")
        text = f.graph_text()
        assert f.stats()["kernels"] == 1
        assert text.count(" = minimum(") + text.count(" = maximum(") < most


def test_gradients_and_batches() -> None:
    x = np.random.default_rng(0).permutation(np.linspace(-1, 1, 320)).reshape(80, 4)
    given = gc.placeholder("x", x.shape, "float64")
    weights = np.arange(4.0)
    slope = gc.grad(gc.sum(gc.sort(gc.sin(given), axis=1) * weights), given)
    wanted = np.cos(x) * np.argsort(np.argsort(np.sin(x), axis=1), axis=1)
    np.testing.assert_allclose(gc.function([given], slope)(x), wanted, rtol=1e-12)
    f = gc.function([given], gc.vmap(lambda row: gc.sort(row))(given), backend="llvm")
    np.testing.assert_array_equal(f(x), np.sort(x, axis=1))
    assert "sort_key" in f.graph_text()


def test_few_rows_are_sorted_one_by_one() -> None:
    x = gc.placeholder("x", (7, 16))
    assert "row_sort" in gc.function([x], gc.sort(x), backend="llvm").graph_text()
