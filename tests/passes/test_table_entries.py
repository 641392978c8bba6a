"""Of large tables that change in few rows, those rows alone are written."""

from collections.abc import Callable

import numpy as np
import pytest

import graphc as gc
from graphc.ir.tensor import Tensor

ROWS, WIDTH = 1 << 12, 4
Build = Callable[[Tensor, Tensor, Tensor], Tensor]


def added(i: Tensor, v: Tensor) -> Tensor:
    return gc.scatter_add(i, v, 0, ROWS)


CHANGES: dict[str, Build] = {
    "sum": lambda t, a, c: t + a,
    "other side": lambda t, a, c: a + t,
    "difference": lambda t, a, c: t - a,
    "step": lambda t, a, c: t - c * a,
    "known step": lambda t, a, c: t - a * 0.25,
    "several factors": lambda t, a, c: t + -(c * a) * 3.0,
    "decay": lambda t, a, c: t * 0.5 - c * a,
    "two tables": lambda t, a, c: t - c * a + a.at[0].add(1.0),
}
AS_BEFORE: dict[str, Build] = {
    "read again": lambda t, a, c: (t - c * a) * gc.sum(a),
    "negated": lambda t, a, c: a - t,
    "another factor": lambda t, a, c: t - a * t,
}


def compiled(build: Build, dtype: str = "float64", rows: int = ROWS) -> gc.Function:
    t = gc.placeholder("t", (rows, WIDTH), dtype)
    i, v = gc.placeholder("i", ("n",), "int64"), gc.placeholder("v", ("n", WIDTH), dtype)
    c = gc.placeholder("c", (), dtype)
    entries = gc.scatter_add(i, v, 0, rows)
    return gc.function([t, i, v, c], build(t, entries, c), on_unused_input="ignore")


def ops(f: gc.Function) -> list[str]:
    return [node.op.name for node in f.stages.graph.nodes if "scatter" in node.op.name]


@pytest.mark.parametrize("name", CHANGES)
def test_rows_are_written_alone(name: str) -> None:
    f = compiled(CHANGES[name])
    assert "scatter_add" not in ops(f) or name == "two tables"
    rng = np.random.default_rng(0)
    table, c = rng.normal(size=(ROWS, WIDTH)), np.array(0.3)
    for count in (0, 1, 9):
        i, v = rng.integers(-5, 5, count), rng.normal(size=(count, WIDTH))
        entries = np.zeros_like(table)
        np.add.at(entries, i, v)
        expected = gc.run(CHANGES[name](*map(gc.constant, (table, entries, c))))
        np.testing.assert_allclose(f(table, i, v, c), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", AS_BEFORE)
def test_where_the_sum_itself_is_wanted(name: str) -> None:
    assert ops(compiled(AS_BEFORE[name])) == ["scatter_add"]


def test_small_tables_halves_and_many_entries_are_as_before() -> None:
    step = CHANGES["step"]
    assert ops(compiled(step)) == ["scatter"]
    assert ops(compiled(step, rows=ROWS - 1)) == ["scatter_add"]
    assert ops(compiled(step, "bfloat16")) == ["scatter_add"]
    t = gc.placeholder("t", (ROWS, WIDTH))
    for count, op in ((ROWS // 4, "scatter"), (ROWS // 4 + 1, "scatter_add")):
        i, v = gc.placeholder("i", (count,), "int64"), gc.placeholder("v", (count, WIDTH))
        assert ops(gc.function([t, i, v], t - added(i, v))) == [op]


def test_training_an_embedding_touches_the_rows_of_the_batch() -> None:
    """Large variables are changed where they are; an error leaves them alone."""
    table = gc.variable(np.ones((1 << 16, 16), "float32"), "table")  # 4 MiB
    i, rate = gc.placeholder("i", ("n",), "int64"), gc.placeholder("rate", ())
    loss = gc.sum(gc.tanh(table[i]) ** 2)
    train = gc.function([i, rate], loss, updates={table: table - rate * gc.grad(loss, table)})
    expected, rows = table.value.astype("float64"), np.array([3, 9, 3, -1])
    for _ in range(4):
        at = table.storage.array.ctypes.data
        train(rows, 0.1)
        assert table.storage.array.ctypes.data == at
        wave = np.tanh(expected[rows])
        np.subtract.at(expected, rows, 0.2 * wave * (1 - wave**2))
        np.testing.assert_allclose(table.value, expected, rtol=1e-5)
    with pytest.raises(gc.IndexOutOfRange):
        train(np.array([0, 1 << 16]), 0.1)
    np.testing.assert_allclose(table.value, expected, rtol=1e-5)
