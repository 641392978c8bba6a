"""Hand-written kernels against numpy, at sizes around the lanes of a vector."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.backends.llvm.accumulate import identity_value
from graphc.backends.llvm.emitter import emit_kernel
from graphc.backends.llvm.target import host
from graphc.dtypes import DType, bool_, float16, float32, float64, int8, int32, int64, uint8
from graphc.loops.interpreter import run_kernel
from graphc.loops.ir import (
    Accumulate,
    Accumulator,
    For,
    If,
    Kernel,
    Let,
    Parameter,
    Scratch,
    Statement,
    Store,
)
from graphc.scalar import expr as s
from graphc.scalar.expr import Const, Expr, Index, Load, Local
from graphc.shapes import Dim, Size

Run = Callable[[Kernel, Mapping[str, np.ndarray], Mapping[str, int]], None]
Array = np.ndarray[Any, Any]

SIZES = [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 61, 64, 65, 127, 257]
n, m, i, j, k = (Dim.symbol(name) for name in "nmijk")


def at(*sizes: Size) -> tuple[Expr, ...]:
    return tuple(Index(size) for size in sizes)


def load(buffer: str, *sizes: Size, dtype: DType = float32) -> Expr:
    return Load(buffer, at(*sizes), dtype)


def param(name: str, *shape: Size, dtype: DType = float32, written: bool = False) -> Parameter:
    return Parameter(name, dtype, shape, written)


def elementwise(value: Expr, *parameters: Parameter, size: Size = n) -> Kernel:
    """out[i] = value"""
    out = Parameter("out", value.dtype, (size,), written=True)
    sizes = ("n",) if isinstance(size, Dim) else ()
    return Kernel(
        "elementwise",
        (*parameters, out),
        sizes,
        (For("i", size, "vector", (Store("out", at(i), value),)),),
    )


def f32(value: float) -> Const:
    return Const(value, float32)


def randoms(*shape: int, dtype: DType = float32, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    if dtype.kind == "f":
        return rng.standard_normal(shape).astype(dtype)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(dtype)
    return rng.integers(-100 if dtype.kind == "i" else 0, 100, shape).astype(dtype)


def test_elementwise_at_all_sizes(run: Run) -> None:
    value = s.add(s.mul(load("x", i), load("y", i)), f32(1.5))
    kernel = elementwise(value, param("x", n), param("y", n))
    for size in SIZES:
        x, y, out = randoms(size), randoms(size, seed=1), randoms(size)
        run(kernel, {"x": x, "y": y, "out": out}, {"n": size})
        np.testing.assert_array_equal(out, x * y + np.float32(1.5))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", [float32, float64, int8, int64, bool_, float16], ids=str)
def test_static_sizes(run: Run, size: int, dtype: DType) -> None:
    value = s.maximum(load("x", i, dtype=dtype), load("y", i, dtype=dtype))
    kernel = elementwise(
        value, param("x", size, dtype=dtype), param("y", size, dtype=dtype), size=size
    )
    x, y, out = (
        randoms(size, dtype=dtype),
        randoms(size, dtype=dtype, seed=1),
        np.empty(size, dtype),
    )
    run(kernel, {"x": x, "y": y, "out": out}, {})
    np.testing.assert_array_equal(out, np.maximum(x, y))


@pytest.mark.parametrize("dtype", [float16, float64, int8, uint8, int32, int64, bool_], ids=str)
def test_dtypes_at_all_sizes(run: Run, dtype: DType) -> None:
    value = s.add(load("x", i, dtype=dtype), load("y", i, dtype=dtype))
    kernel = elementwise(value, param("x", n, dtype=dtype), param("y", n, dtype=dtype))
    for size in SIZES:
        x, y = randoms(size, dtype=dtype), randoms(size, dtype=dtype, seed=1)
        out = np.empty(size, dtype)
        run(kernel, {"x": x, "y": y, "out": out}, {"n": size})
        np.testing.assert_array_equal(out, x + y)


def test_broadcasting_of_rows_columns_and_scalars(run: Run) -> None:
    value = s.add(s.add(load("x", i, j), load("row", j)), s.mul(load("column", i), load("one")))
    body = For("j", m, "vector", (Store("out", at(i, j), value),))
    kernel = Kernel(
        "broadcast",
        (
            param("x", n, m),
            param("row", m),
            param("column", n),
            param("one"),
            param("out", n, m, written=True),
        ),
        ("n", "m"),
        (For("i", n, "parallel", (body,)),),
    )
    for rows in (0, 1, 3):
        for columns in SIZES:
            x, row, column = randoms(rows, columns), randoms(columns), randoms(rows)
            one, out = np.array(2.5, np.float32), np.empty((rows, columns), np.float32)
            arrays = {"x": x, "row": row, "column": column, "one": one, "out": out}
            run(kernel, arrays, {"n": rows, "m": columns})
            np.testing.assert_array_equal(out, (x + row) + (column * one)[:, None])


@pytest.mark.parametrize(
    ("index", "pick"),
    [
        (2 * i, lambda x: x[::2]),
        (3 * i + 1, lambda x: x[1::3]),
        (n - 1 - i, lambda x: x[::-1]),
        (2 * n - 1 - i, lambda x: x[::-1]),
        ((i * i) // 2, None),
        (i // 3, None),
    ],
    ids=["2*i", "3*i + 1", "n - 1 - i", "2*n - 1 - i", "i*i//2", "i//3"],
)
def test_index_polynomials(run: Run, index: Size, pick: object) -> None:
    length = 200 * 200
    kernel = elementwise(load("x", index), param("x", length))
    x = randoms(length)
    for size in [size for size in SIZES if size <= 130]:
        out = np.empty(size, np.float32)
        run(kernel, {"x": x, "out": out}, {"n": size})
        assert isinstance(index, Dim)
        wanted = [x[index.evaluate({"i": p, "n": size})] for p in range(size)]
        np.testing.assert_array_equal(out, np.array(wanted, np.float32))


def test_transposed_access(run: Run) -> None:
    body = For("j", m, "vector", (Store("out", at(i, j), load("x", j, i)),))
    kernel = Kernel(
        "transpose",
        (param("x", m, n), param("out", n, m, written=True)),
        ("n", "m"),
        (For("i", n, "parallel", (body,)),),
    )
    for rows, columns in ((1, 1), (3, 17), (17, 3), (40, 133), (70, 64), (0, 3), (3, 0)):
        x, out = randoms(columns, rows), np.empty((rows, columns), np.float32)
        run(kernel, {"x": x, "out": out}, {"n": rows, "m": columns})
        np.testing.assert_array_equal(out, x.T)


def test_scatter_to_a_transposed_output(run: Run) -> None:
    body = For("j", m, "vector", (Store("out", at(j, i), load("x", i, j)),))
    kernel = Kernel(
        "transpose",
        (param("x", n, m), param("out", m, n, written=True)),
        ("n", "m"),
        (For("i", n, "parallel", (body,)),),
    )
    for rows, columns in ((1, 1), (3, 17), (17, 3), (40, 33)):
        x, out = randoms(rows, columns), np.empty((columns, rows), np.float32)
        run(kernel, {"x": x, "out": out}, {"n": rows, "m": columns})
        np.testing.assert_array_equal(out, x.T)


@pytest.mark.parametrize("dtype", [int32, int64, uint8], ids=str)
def test_gather_by_indices(run: Run, dtype: DType) -> None:
    number = s.cast(load("ids", i, dtype=dtype), int64)
    kernel = elementwise(Load("x", (number,), float32), param("x", m), param("ids", n, dtype=dtype))
    kernel = Kernel(kernel.name, kernel.parameters, ("n", "m"), kernel.body)
    x = randoms(50)
    for size in SIZES:
        ids = np.random.default_rng(0).integers(0, 50, size).astype(dtype)
        out = np.empty(size, np.float32)
        run(kernel, {"x": x, "ids": ids, "out": out}, {"n": size, "m": 50})
        np.testing.assert_array_equal(out, x[ids])


def test_rows_by_indices(run: Run) -> None:
    number = load("ids", i, dtype=int64)
    row = Load("table", (number, Index(j)), float32)
    kernel = Kernel(
        "embedding",
        (
            param("table", 10, m),
            param("ids", n, dtype=int64),
            param("out", n, m, written=True),
        ),
        ("n", "m"),
        (For("i", n, "parallel", (For("j", m, "vector", (Store("out", at(i, j), row),)),)),),
    )
    for columns in SIZES:
        table, ids = randoms(10, columns), np.array([3, 3, 9, 0], np.int64)
        out = np.empty((4, columns), np.float32)
        run(kernel, {"table": table, "ids": ids, "out": out}, {"n": 4, "m": columns})
        np.testing.assert_array_equal(out, table[ids])


# Reductions


def full_reduction(combine: str, dtype: DType, size: Size = n) -> Kernel:
    return Kernel(
        "reduce",
        (param("x", size, dtype=dtype), param("out", dtype=dtype, written=True)),
        ("n",) if isinstance(size, Dim) else (),
        (
            Accumulator("a", combine, dtype),
            For("i", size, "vector", (Accumulate("a", load("x", i, dtype=dtype)),)),
            Store("out", (), Local("a", dtype)),
        ),
    )


REDUCERS: dict[str, Any] = {
    "add": np.add,
    "mul": np.multiply,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "and": np.logical_and,
    "or": np.logical_or,
}
IDENTITIES = {"maximum": -np.inf, "minimum": np.inf}


@pytest.mark.parametrize(
    ("combine", "dtype"),
    [
        *((c, d) for c in ("add", "mul", "maximum", "minimum") for d in (float32, float64, int32)),
        ("add", int64),
        ("maximum", int8),
        ("minimum", uint8),
        ("and", bool_),
        ("or", bool_),
    ],
    ids=str,
)
def test_reductions(run: Run, combine: str, dtype: DType) -> None:
    kernel = full_reduction(combine, dtype)
    for size in SIZES:
        x, out = randoms(size, dtype=dtype), np.empty((), dtype)
        run(kernel, {"x": x, "out": out}, {"n": size})
        if size == 0 and combine in IDENTITIES:
            if dtype.kind == "f":
                assert out == IDENTITIES[combine]
            else:
                limits = np.iinfo(dtype)
                assert out == (limits.min if combine == "maximum" else limits.max)
            continue
        wanted = REDUCERS[combine].reduce(x, dtype=dtype if combine in ("add", "mul") else None)
        if dtype.kind == "f":
            np.testing.assert_allclose(out, wanted, rtol=1e-5, atol=1e-5)
        else:
            assert out == wanted


@pytest.mark.parametrize("size", SIZES)
def test_static_reductions(run: Run, size: int) -> None:
    x, out = randoms(size), np.empty((), np.float32)
    run(full_reduction("add", float32, size), {"x": x, "out": out}, {})
    np.testing.assert_allclose(out, x.astype(np.float64).sum(), rtol=1e-5, atol=1e-5)


def test_long_sums_are_accurate(run: Run) -> None:
    x = np.random.default_rng(0).random(1_000_003, np.float32)
    out = np.empty((), np.float32)
    run(full_reduction("add", float32), {"x": x, "out": out}, {"n": x.size})
    wanted = x.astype(np.float64).sum()
    assert abs(out - wanted) <= 2e-6 * wanted


def row_sums() -> Kernel:
    row = (
        Accumulator("a", "add", float32),
        For("j", m, "vector", (Accumulate("a", load("x", i, j)),)),
        Store("out", at(i), Local("a", float32)),
    )
    return Kernel(
        "rows",
        (param("x", n, m), param("out", n, written=True)),
        ("n", "m"),
        (For("i", n, "parallel", row),),
    )


def column_sums() -> Kernel:
    column = (
        Accumulator("a", "add", float32),
        For("i", n, "serial", (Accumulate("a", load("x", i, j)),)),
        Store("out", at(j), Local("a", float32)),
    )
    return Kernel(
        "columns",
        (param("x", n, m), param("out", m, written=True)),
        ("n", "m"),
        (For("j", m, "vector", column),),
    )


def test_row_and_column_sums(run: Run) -> None:
    rows_kernel, columns_kernel = row_sums(), column_sums()
    for rows, columns in ((0, 3), (3, 0), (1, 1), (5, 33), (33, 5), (700, 17), (17, 700)):
        x = randoms(rows, columns)
        out = np.empty(rows, np.float32)
        run(rows_kernel, {"x": x, "out": out}, {"n": rows, "m": columns})
        np.testing.assert_allclose(out, x.sum(1), rtol=1e-5, atol=1e-4)
        out = np.empty(columns, np.float32)
        run(columns_kernel, {"x": x, "out": out}, {"n": rows, "m": columns})
        np.testing.assert_allclose(out, x.sum(0), rtol=1e-5, atol=1e-4)


def test_sum_over_two_loops(run: Run) -> None:
    inner = For("j", m, "vector", (Accumulate("a", load("x", i, j)),))
    kernel = Kernel(
        "all",
        (param("x", n, m), param("out", written=True)),
        ("n", "m"),
        (
            Accumulator("a", "add", float32),
            For("i", n, "serial", (inner,)),
            Store("out", (), Local("a", float32)),
        ),
    )
    for rows, columns in ((0, 3), (3, 0), (1, 1), (5, 33), (33, 5), (1700, 17)):
        x, out = randoms(rows, columns), np.empty((), np.float32)
        run(kernel, {"x": x, "out": out}, {"n": rows, "m": columns})
        np.testing.assert_allclose(out, x.astype(np.float64).sum(), rtol=1e-5, atol=1e-4)


def arg_reduction(combine: str, dtype: DType) -> Kernel:
    return Kernel(
        "arg",
        (
            param("x", n, dtype=dtype),
            param("value", dtype=dtype, written=True),
            param("position", dtype=int64, written=True),
        ),
        ("n",),
        (
            Accumulator("a", combine, dtype, "p"),
            For("i", n, "vector", (Accumulate("a", load("x", i, dtype=dtype), Index(i)),)),
            Store("value", (), Local("a", dtype)),
            Store("position", (), Local("p", int64)),
        ),
    )


@pytest.mark.parametrize("dtype", [float32, float64, int32, uint8, bool_], ids=str)
@pytest.mark.parametrize("combine", ["argmax", "argmin"])
def test_positions_of_extremes(run: Run, combine: str, dtype: DType) -> None:
    kernel = arg_reduction(combine, dtype)
    pick = np.argmax if combine == "argmax" else np.argmin
    value, position = np.empty((), dtype), np.empty((), np.int64)
    for size in SIZES[1:]:
        for seed in range(5):
            x = np.random.default_rng(seed).integers(0, 5, size).astype(dtype)
            if dtype.kind == "f" and seed > 2:
                x[np.random.default_rng(seed).integers(0, size, 3)] = np.nan
            run(kernel, {"x": x, "value": value, "position": position}, {"n": size})
            assert position == pick(x)
            np.testing.assert_array_equal(value, x[pick(x)])


@pytest.mark.parametrize("dtype", [float32, float64, int32, uint8, bool_], ids=str)
@pytest.mark.parametrize("combine", ["argmax", "argmin"])
def test_positions_where_all_elements_are_the_identity(
    run: Run, combine: str, dtype: DType
) -> None:
    kernel = arg_reduction(combine, dtype)
    nothing = identity_value(combine, dtype)
    value, position = np.empty((), dtype), np.empty((), np.int64)
    for size in SIZES[1:]:
        run(
            kernel,
            {"x": np.full(size, nothing, dtype), "value": value, "position": position},
            {"n": size},
        )
        assert position == 0
        assert value == np.asarray(nothing, dtype)


def test_nan_wins_in_extremes(run: Run) -> None:
    for combine in ("maximum", "minimum"):
        kernel = full_reduction(combine, float32)
        for size in (1, 7, 33, 100):
            for place in (0, size // 2, size - 1):
                x, out = randoms(size), np.empty((), np.float32)
                x[place] = np.nan
                run(kernel, {"x": x, "out": out}, {"n": size})
                assert np.isnan(out)


def softmax() -> Kernel:
    x = load("x", i, j)
    shifted = s.exp(s.sub(x, Local("top", float32)))
    body: tuple[Statement, ...] = (
        Scratch("row", float32, (m,)),
        Accumulator("top", "maximum", float32),
        For("j", m, "vector", (Accumulate("top", x),)),
        Accumulator("total", "add", float32),
        For(
            "j",
            m,
            "vector",
            (
                Let("e", shifted),
                Store("row", at(j), Local("e", float32)),
                Accumulate("total", Local("e", float32)),
            ),
        ),
        Let("scale", s.div(f32(1.0), Local("total", float32))),
        For(
            "j",
            m,
            "vector",
            (Store("out", at(i, j), s.mul(load("row", j), Local("scale", float32))),),
        ),
    )
    return Kernel(
        "softmax",
        (param("x", n, m), param("out", n, m, written=True)),
        ("n", "m"),
        (For("i", n, "parallel", body),),
    )


def test_softmax_with_a_row_in_scratch(run: Run) -> None:
    kernel = softmax()
    for rows, columns in ((1, 1), (3, 10), (5, 33), (2, 5000), (0, 3)):
        x, out = randoms(rows, columns), np.empty((rows, columns), np.float32)
        run(kernel, {"x": x, "out": out}, {"n": rows, "m": columns})
        e = np.exp(x - x.max(1, keepdims=True, initial=-np.inf))
        np.testing.assert_allclose(out, e / e.sum(1, keepdims=True), rtol=2e-6)


def test_scratch_for_each_lane(run: Run) -> None:
    column = (
        Scratch("t", float32, (5,)),
        For("k", 5, "serial", (Store("t", at(k), load("x", k, j)),)),
        For("k", 5, "serial", (Store("out", at(k, j), load("t", 4 - k)),)),
    )
    kernel = Kernel(
        "flip",
        (param("x", 5, m), param("out", 5, m, written=True)),
        ("m",),
        (For("j", m, "vector", column),),
    )
    for columns in SIZES:
        x, out = randoms(5, columns), np.empty((5, columns), np.float32)
        run(kernel, {"x": x, "out": out}, {"m": columns})
        np.testing.assert_array_equal(out, x[::-1])


SELECTED: dict[str, tuple[Statement, ...]] = {
    "condition": (If(s.lt(f32(0.0), load("x", j)), (Store("t", at(2), load("x", j)),)),),
    "scatter": (
        Let("place", load("p", j, dtype=int64)),
        Store("t", (Local("place", int64),), load("x", j)),
    ),
    "sums": (Store("t", at(2), load("x", j)), Store("t", at(2), load("x", j), accumulate=True)),
    "extremum": (
        Store("t", at(1), load("x", j)),
        Accumulator("best", "argmax", float32, "place"),
        For("k", 3, "serial", (Accumulate("best", load("t", k), Index(k)),)),
        Store("t", at(2), Local("best", float32)),
    ),
    "inner loop": (
        For("i", 2, "serial", (Scratch("u", float32, (1,)), Store("u", at(0), load("x", j)),
                               Store("t", at(2), load("u", 0)))),
    ),
}  # fmt: skip


@pytest.mark.parametrize("extent", [n, 37, 5], ids=str)
@pytest.mark.parametrize("way", SELECTED)
def test_lanes_that_write_scratch_each_in_its_way(run: Run, way: str, extent: Size) -> None:
    """In the main loop and in the rest, as the interpreter does."""
    column = (
        Scratch("t", float32, (3,)),
        For("k", 3, "serial", (Store("t", at(k), f32(0.5)),)),
        *SELECTED[way],
        Store("out", at(j), load("t", 2)),
    )
    kernel = Kernel(
        "select",
        (
            param("x", extent),
            param("p", extent, dtype=int64),
            param("out", extent, written=True),
        ),
        ("n",),
        (For("j", extent, "vector", column),),
    )
    for size in (0, 1, 3, 8, 9, 17, 33, 61) if extent is n else (1,):
        columns = size if extent is n else int(str(extent))
        x, p = randoms(columns), np.arange(columns) % 3
        out, expected = np.zeros(columns, np.float32), np.zeros(columns, np.float32)
        run_kernel(kernel, [x, p, expected], [size])
        run(kernel, {"x": x, "p": p, "out": out}, {"n": size})
        np.testing.assert_array_equal(out, expected)


# Conditions


def test_condition_on_every_lane(run: Run) -> None:
    positive = s.lt(f32(0.0), load("x", i))
    kernel = Kernel(
        "positive",
        (
            param("x", n),
            param("out", n, written=True),
            param("count", dtype=int64, written=True),
        ),
        ("n",),
        (
            Accumulator("c", "add", int64),
            For(
                "i",
                n,
                "vector",
                (
                    If(
                        positive,
                        (Store("out", at(i), load("x", i)), Accumulate("c", Index(1))),
                    ),
                ),
            ),
            Store("count", (), Local("c", int64)),
        ),
    )
    for size in SIZES:
        x, out, count = randoms(size), np.full(size, 7, np.float32), np.empty((), np.int64)
        run(kernel, {"x": x, "out": out, "count": count}, {"n": size})
        np.testing.assert_array_equal(out, np.where(x > 0, x, np.float32(7)))
        assert count == (x > 0).sum()


def test_condition_on_a_row(run: Run) -> None:
    row = If(
        s.lt(Index(0), load("keep", i, dtype=int64)),
        (For("j", m, "vector", (Accumulate("a", load("x", i, j)),)),),
    )
    kernel = Kernel(
        "kept",
        (
            param("x", n, m),
            param("keep", n, dtype=int64),
            param("out", written=True),
        ),
        ("n", "m"),
        (
            Accumulator("a", "add", float32),
            For("i", n, "serial", (row,)),
            Store("out", (), Local("a", float32)),
        ),
    )
    x, keep, out = randoms(20, 33), randoms(20, dtype=int64), np.empty((), np.float32)
    run(kernel, {"x": x, "keep": keep, "out": out}, {"n": 20, "m": 33})
    np.testing.assert_allclose(out, x[keep > 0].sum(), rtol=1e-4)


def test_reads_moved_into_range(run: Run) -> None:
    """Padding: x[i - 2] where it exists. The clamps become masks."""
    inside = s.and_(s.le(Index(0), Index(i - 2)), s.lt(Index(i - 2), Index(m)))
    moved = s.minimum(s.maximum(Index(i - 2), Index(0)), Index(m - 1))
    value = s.select(inside, Load("x", (moved,), float32), f32(-1.0))
    kernel = Kernel(
        "pad",
        (param("x", m), param("out", n, written=True)),
        ("n", "m"),
        (For("i", n, "vector", (Store("out", at(i), value),)),),
    )
    assert "gather" not in emit_kernel(kernel, host()).text
    for size in SIZES:
        x, out = randoms(size), np.empty(size + 5, np.float32)
        run(kernel, {"x": x, "out": out}, {"n": size + 5, "m": size})
        np.testing.assert_array_equal(out, np.pad(x, (2, 3), constant_values=-1))


def test_roll_reads_neighbours(run: Run) -> None:
    place = s.select(s.lt(Index(i), Index(m)), Index(i - m + n), Index(i - m))
    kernel = Kernel(
        "roll",
        (param("x", n), param("out", n, written=True)),
        ("n", "m"),
        (For("i", n, "vector", (Store("out", at(i), Load("x", (place,), float32)),)),),
    )
    assert "gather" not in emit_kernel(kernel, host()).text
    for size in SIZES[1:]:
        for shift in (0, 1, size // 2, size - 1):
            x, out = randoms(size), np.empty(size, np.float32)
            run(kernel, {"x": x, "out": out}, {"n": size, "m": shift})
            np.testing.assert_array_equal(out, np.roll(x, shift))


def test_window_at_indirect_start(run: Run) -> None:
    """x[start + j], the start from memory: neighbours, not a gather."""
    place = s.add(load("start", dtype=int64), Index(i))
    kernel = Kernel(
        "window",
        (param("x", m), param("start", dtype=int64), param("out", n, written=True)),
        ("n", "m"),
        (For("i", n, "vector", (Store("out", at(i), Load("x", (place,), float32)),)),),
    )
    assert "gather" not in emit_kernel(kernel, host()).text
    for size in SIZES:
        x, out = randoms(size + 9), np.empty(size, np.float32)
        arrays = {"x": x, "start": np.array(4, np.int64), "out": out}
        run(kernel, arrays, {"n": size, "m": size + 9})
        np.testing.assert_array_equal(out, x[4 : 4 + size])


COMPARE: dict[str, Any] = {"lt": np.less, "le": np.less_equal, "eq": np.equal, "ne": np.not_equal}


@pytest.mark.parametrize("dtype", [float32, int8, float64], ids=str)
@pytest.mark.parametrize("op", list(COMPARE))
def test_comparisons_of_indices(run: Run, op: str, dtype: DType) -> None:
    """Lane tests: the axis against a number, on either side, also from memory."""
    start = load("start", dtype=int64)
    pairs: list[tuple[Expr, Expr]] = [
        (Index(i), Index(m)),
        (Index(m), Index(i)),
        (start, Index(i - 3)),
        (Index(2 * i + 1), s.add(start, Index(i))),
        (Index(i), Index(i + m - 7)),
        (Index(3 * i), Index(m)),
    ]
    one, zero = s.constant(1, dtype), s.constant(0, dtype)
    stores = tuple(
        Store("out", at(number, i), s.select(getattr(s, op)(x, y), one, zero))
        for number, (x, y) in enumerate(pairs)
    )
    kernel = Kernel(
        "compare",
        (
            param("start", dtype=int64),
            param("out", len(pairs), n, dtype=dtype, written=True),
        ),
        ("n", "m"),
        (For("i", n, "vector", stores),),
    )
    for size in (1, 8, 33, 300):
        for bound in (-5, 0, 3, 7, 20, 1000):
            out = np.empty((len(pairs), size), dtype)
            start_array = np.array(bound, np.int64)
            run(kernel, {"start": start_array, "out": out}, {"n": size, "m": bound})
            a, b = np.arange(size), np.full(size, bound)
            wanted = [
                COMPARE[op](x, y)
                for x, y in (
                    (a, b),
                    (b, a),
                    (b, a - 3),
                    (2 * a + 1, b + a),
                    (a, a + b - 7),
                    (3 * a, b),
                )
            ]
            np.testing.assert_array_equal(out, np.array(wanted).astype(dtype))


def test_scatter_add_in_order(run: Run) -> None:
    number = load("ids", k, dtype=int64)
    add = Store("out", (number, Index(j)), load("x", k, j), accumulate=True)
    kernel = Kernel(
        "scatter",
        (
            param("ids", n, dtype=int64),
            param("x", n, m),
            param("out", 6, m, written=True),
        ),
        ("n", "m"),
        (For("k", n, "serial", (For("j", m, "vector", (add,)),)),),
    )
    ids = np.random.default_rng(0).integers(0, 6, 40)
    for columns in (1, 7, 8, 40):
        x, out = randoms(40, columns), np.zeros((6, columns), np.float32)
        wanted = out.copy()
        np.add.at(wanted, ids, x)
        run(kernel, {"ids": ids, "x": x, "out": out}, {"n": 40, "m": columns})
        np.testing.assert_array_equal(out, wanted)


def test_sums_of_very_long_rows_keep_their_digits() -> None:
    x = gc.placeholder("x", (None, None), "int8")
    f = gc.function([x], gc.sum(gc.astype(x, "float32") * np.float32(0.1), axis=1))
    values = np.ones((1, 1 << 28), np.int8)
    np.testing.assert_allclose(f(values), values.size * float(np.float32(0.1)), rtol=5e-6)


def test_very_long_sums_keep_what_is_not_finite() -> None:
    x = gc.placeholder("x", (None, None), "int8")
    wide = gc.astype(x, "float32")
    f = gc.function([x], gc.sum(gc.where(x < 0, gc.inf, wide), axis=1))
    values = np.ones((1, 1 << 24), np.int8)
    values[0, [3, -3]] = -1
    assert f(values) == np.inf


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "int32", "int64", "bool"])
@pytest.mark.parametrize("extremum", ["argmax", "argmin"])
def test_positions_along_rows_of_any_length(extremum: str, dtype: str) -> None:
    x = gc.placeholder("x", ("n", "m"), dtype)
    wanted = getattr(np, extremum)
    f = gc.function([x], getattr(gc, extremum)(x, axis=1))
    rng = np.random.default_rng(5)
    for length in [*SIZES[1:], 128, 200, 1000, 1025]:
        values = rng.integers(-2, 3, (40, length)).astype(dtype)  # with many that are equal
        values[0] = values[1, 0]
        if dtype.startswith("float"):
            values[rng.random(values.shape) < 0.02] = np.nan
            values[rng.random(values.shape) < 0.02] = np.inf
            values[2], values[3], values[4, :-1] = np.inf, -np.inf, -np.inf
            values[5], values[6, -1] = np.nan, np.nan
        np.testing.assert_array_equal(f(values), wanted(values, axis=1), str(length))
        fixed = gc.placeholder("x", (40, length), dtype)
        g = gc.function([fixed], getattr(gc, extremum)(fixed, axis=1))
        np.testing.assert_array_equal(g(values), wanted(values, axis=1), str(length))
