"""Reductions of few columns over many rows: chunks of rows, the same for any number of threads."""

from collections.abc import Callable

import numpy as np
import pytest

import graphc as gc
from graphc.backends.llvm import column_chunks
from graphc.backends.llvm.column_chunks import in_column_chunks
from graphc.dtypes import float32
from graphc.ir.tensor import Tensor
from graphc.loops.ir import Accumulate, Accumulator, For, Scratch, Statement, Store
from graphc.scalar.expr import Index, Load, Local
from graphc.shapes import Dim, Size

ROWS = (0, 1, 255, 256, 257, 511, 512, 513, 1000, 1537)
REDUCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sum": lambda x: gc.sum(x, axis=0),
    "max": lambda x: gc.max(x, axis=0),
    "prod": lambda x: gc.prod(x / 8 + 1, axis=0),
    "any": lambda x: gc.any(x > 2.5, axis=0),
    "all": lambda x: gc.all(x < 2.5, axis=0),
    "argmin": lambda x: gc.argmin(x, axis=0),
    "var": lambda x: gc.var(x, axis=0),
    "weighted": lambda x: gc.mean(x * x, axis=0) - gc.max(x, axis=0),
}


@pytest.fixture
def short_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(column_chunks, "LENGTH", 1)


def columns_of(n: Size, columns: Size, *, stores: bool = False) -> For:
    i, j = Dim.symbol("i"), Dim.symbol("j")
    x = Load("x", (Index(i), Index(j)), float32)
    body: list[Statement] = [Accumulate("total", x)]
    if stores:
        body.append(Store("y", (Index(i), Index(j)), x))
    rows = For("i", n, "serial", tuple(body))
    out = Store("out", (Index(j),), Local("total", float32))
    return For("j", columns, "vector", (Accumulator("total", "add", float32), rows, out))


def test_what_is_cut() -> None:
    n = Dim.symbol("n")
    for loop in (columns_of(n, 3), columns_of(n, 512), columns_of(1_000_000, 10)):
        partial, chunks, totals = in_column_chunks([loop])
        assert isinstance(partial, Scratch) and partial.shape[1] == loop.extent
        assert isinstance(chunks, For) and chunks.kind == "parallel"
        assert isinstance(totals, For) and totals.kind == "vector"
    for loop in (
        columns_of(1000, 10),  # too few rows
        columns_of(n, 513),  # in tiles
        columns_of(n, Dim.symbol("m")),
        columns_of(n, 1),
        columns_of(n, 3, stores=True),
    ):
        assert in_column_chunks([loop]) == (loop,)


@pytest.mark.usefixtures("short_chunks")
@pytest.mark.parametrize("columns", [2, 3, 8, 17, 40, 100])
@pytest.mark.parametrize("name", REDUCTIONS)
def test_results(name: str, columns: int) -> None:
    x = gc.placeholder("x", ("n", columns))
    y = REDUCTIONS[name](x)
    f, slow = (gc.function([x], y, backend=backend) for backend in ("llvm", "interpreter"))
    rng = np.random.default_rng(0)
    for rows in ROWS:
        if rows == 0 and name not in ("sum", "any", "all", "prod"):
            continue
        values = rng.normal(size=(rows, columns)).round(1).astype(np.float32)
        np.testing.assert_allclose(f(values), slow(values), rtol=2e-4, atol=1e-5)


@pytest.mark.usefixtures("short_chunks")
@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "int8", "int64", "bool"])
def test_dtypes(dtype: str) -> None:
    x = gc.placeholder("x", ("n", 5), dtype)
    y = gc.any(x, axis=0) if dtype == "bool" else gc.sum(x, axis=0)
    f, slow = (gc.function([x], y, backend=backend) for backend in ("llvm", "interpreter"))
    for rows in ROWS:
        values = np.random.default_rng(rows).integers(-1, 2, (rows, 5)).astype(gc.as_dtype(dtype))
        np.testing.assert_array_equal(f(values), slow(values))


@pytest.mark.usefixtures("short_chunks")
@pytest.mark.parametrize("columns", [4, 50])
def test_the_first_of_equals_wins(columns: int) -> None:
    x = gc.placeholder("x", ("n", columns))
    f = gc.function([x], [gc.argmax(x, axis=0), gc.argmin(x, axis=0)])
    values = np.zeros((1300, columns), np.float32)
    values[[600, 601, 900]] = 1
    values[[300, 1299]] = -1
    values[700:, 1] = np.nan
    largest, smallest = f(values)
    np.testing.assert_array_equal(largest, values.argmax(0))
    np.testing.assert_array_equal(smallest, values.argmin(0))


@pytest.mark.parametrize("columns", [3, 8, 100])
def test_bits_do_not_depend_on_threads(columns: int) -> None:
    x = gc.placeholder("x", ("n", columns))
    outputs = [gc.sum(x, axis=0), gc.var(x, axis=0), gc.argmax(x, axis=0)]
    functions = [gc.function([x], outputs, threads=threads) for threads in (1, 2, 3)]
    values = np.random.default_rng(0).normal(size=(3_000_000 // columns, columns)).astype("f4")
    one, *others = ([part.tobytes() for part in f(values)] for f in functions)
    assert all(other == one for other in others)
    np.testing.assert_allclose(functions[1](values)[1], values.var(0, dtype="f8"), rtol=1e-5)
