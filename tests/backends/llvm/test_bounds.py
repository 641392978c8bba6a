"""No access outside an array: arrays that end where the process may not read or write."""

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from graphc.dtypes import DType, bool_, float32, float64, int8, int64
from graphc.loops.ir import Accumulate, Accumulator, For, If, Kernel, Parameter, Store
from graphc.scalar import expr as s
from graphc.scalar.expr import Const, Expr, Index, Load, Local
from graphc.shapes import Dim, Size
from tests.backends.llvm.fences import Fenced

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs mprotect")

Run = Callable[[Kernel, Mapping[str, np.ndarray], Mapping[str, int]], None]
Array = np.ndarray[Any, Any]
Place = Callable[[Array], Array]

SIZES = [0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100]
n, m, i, j = (Dim.symbol(name) for name in "nmij")


@pytest.fixture(params=["end", "start"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """place(values): a copy in fenced memory of its own."""
    fences: list[Fenced] = []

    def put(values: Array) -> Array:
        fence = Fenced(4)
        fences.append(fence)
        if values.size == 0:  # an address that must not be touched
            return np.ndarray(values.shape, values.dtype, buffer=fence.map, offset=0)
        return fence.array(values, request.param == "end")

    yield put


def load(buffer: str, *sizes: Size, dtype: DType = float32) -> Expr:
    return Load(buffer, tuple(Index(size) for size in sizes), dtype)


@pytest.mark.parametrize("dtype", [float32, float64, int8, bool_], ids=str)
def test_elementwise(run: Run, place: Place, dtype: DType) -> None:
    value = s.maximum(load("x", i, dtype=dtype), load("y", i, dtype=dtype))
    kernel = Kernel(
        "max",
        (
            Parameter("x", dtype, (n,)),
            Parameter("y", dtype, (n,)),
            Parameter("out", dtype, (n,), written=True),
        ),
        ("n",),
        (For("i", n, "vector", (Store("out", (Index(i),), value),)),),
    )
    for size in SIZES:
        x, y, out = (place((np.arange(size) % 2 == k).astype(dtype)) for k in (0, 1, 0))
        run(kernel, {"x": x, "y": y, "out": out}, {"n": size})
        np.testing.assert_array_equal(out, np.maximum(x, y))


@pytest.mark.parametrize("index", [n - 1 - i, 3 * i, i // 2], ids=str)
def test_strided_reads(run: Run, place: Place, index: Size) -> None:
    kernel = Kernel(
        "pick",
        (Parameter("x", float32, (m,)), Parameter("out", float32, (n,), written=True)),
        ("n", "m"),
        (For("i", n, "vector", (Store("out", (Index(i),), load("x", index)),)),),
    )
    assert isinstance(index, Dim)
    for size in SIZES:
        picked = [index.evaluate({"i": p, "n": size}) for p in range(size)]
        length = max(picked, default=-1) + 1
        x, out = place(np.arange(length, dtype=np.float32)), place(np.zeros(size, np.float32))
        run(kernel, {"x": x, "out": out}, {"n": size, "m": length})
        np.testing.assert_array_equal(out, x[picked] if size else x[:0])


def test_strided_writes(run: Run, place: Place) -> None:
    store = Store("out", (Index(2 * i + 1),), load("x", i))
    kernel = Kernel(
        "spread",
        (Parameter("x", float32, (n,)), Parameter("out", float32, (2 * n,), written=True)),
        ("n",),
        (For("i", n, "vector", (store,)),),
    )
    for size in SIZES:
        x, out = place(np.arange(size, dtype=np.float32)), place(np.zeros(2 * size, np.float32))
        run(kernel, {"x": x, "out": out}, {"n": size})
        np.testing.assert_array_equal(out[1::2], x)


def test_indirect_reads(run: Run, place: Place) -> None:
    number = load("ids", i, dtype=int64)
    kernel = Kernel(
        "take",
        (
            Parameter("x", float32, (m,)),
            Parameter("ids", int64, (n,)),
            Parameter("out", float32, (n,), written=True),
        ),
        ("n", "m"),
        (For("i", n, "vector", (Store("out", (Index(i),), Load("x", (number,), float32)),)),),
    )
    x = place(np.arange(5, dtype=np.float32))
    for size in SIZES:
        ids = place(np.arange(size, dtype=np.int64) % 5)
        out = place(np.zeros(size, np.float32))
        run(kernel, {"x": x, "ids": ids, "out": out}, {"n": size, "m": 5})
        np.testing.assert_array_equal(out, x[ids])


def test_rows_and_hoisted_loads(run: Run, place: Place) -> None:
    """scale[0] and bias[i] are read before loops that may not run."""
    value = s.add(s.mul(load("x", i, j), load("scale", 0)), load("bias", i))
    row = (
        Accumulator("a", "add", float32),
        For("j", m, "vector", (Accumulate("a", value),)),
        Store("out", (Index(i),), Local("a", float32)),
    )
    kernel = Kernel(
        "rows",
        (
            Parameter("x", float32, (n, m)),
            Parameter("scale", float32, (m,)),
            Parameter("bias", float32, (n,)),
            Parameter("out", float32, (n,), written=True),
        ),
        ("n", "m"),
        (For("i", n, "parallel", row),),
    )
    for rows in (0, 1, 3):
        for columns in SIZES:
            x = place(np.ones((rows, columns), np.float32))
            scale, bias = place(np.ones(columns, np.float32)), place(np.ones(rows, np.float32))
            out = place(np.zeros(rows, np.float32))
            arrays = {"x": x, "scale": scale, "bias": bias, "out": out}
            run(kernel, arrays, {"n": rows, "m": columns})
            np.testing.assert_array_equal(out, np.full(rows, 2 * columns, np.float32))


def test_guarded_reads(run: Run, place: Place) -> None:
    """Padding on both sides reads nothing outside, also of an empty array."""
    inside = s.and_(s.le(Index(0), Index(i - 3)), s.lt(Index(i - 3), Index(m)))
    moved = s.minimum(s.maximum(Index(i - 3), Index(0)), Index(m - 1))
    value = s.select(inside, Load("x", (moved,), float32), Const(0.0, float32))
    kernel = Kernel(
        "pad",
        (Parameter("x", float32, (m,)), Parameter("out", float32, (n,), written=True)),
        ("n", "m"),
        (For("i", n, "vector", (Store("out", (Index(i),), value),)),),
    )
    for size in SIZES:
        x, out = place(np.ones(size, np.float32)), place(np.zeros(size + 7, np.float32))
        run(kernel, {"x": x, "out": out}, {"n": size + 7, "m": size})
        np.testing.assert_array_equal(out, np.pad(np.ones(size, np.float32), (3, 4)))


def test_guarded_scalar_reads(run: Run, place: Place) -> None:
    """One element per row that is there for some rows only."""
    inside = s.lt(Index(i), Index(m))
    held = Load("x", (s.minimum(Index(i), Index(m - 1)),), float32)
    value = s.add(s.select(inside, held, Const(5.0, float32)), load("y", j))
    kernel = Kernel(
        "rows",
        (
            Parameter("x", float32, (m,)),
            Parameter("y", float32, (4,)),
            Parameter("out", float32, (n, 4), written=True),
        ),
        ("n", "m"),
        (
            For(
                "i",
                n,
                "parallel",
                (For("j", 4, "vector", (Store("out", (Index(i), Index(j)), value),)),),
            ),
        ),
    )
    for size in (0, 1, 5):
        x, y = place(np.ones(size, np.float32)), place(np.ones(4, np.float32))
        out = place(np.zeros((size + 3, 4), np.float32))
        run(kernel, {"x": x, "y": y, "out": out}, {"n": size + 3, "m": size})
        wanted = np.r_[np.full(size, 2.0), np.full(3, 6.0)]
        np.testing.assert_array_equal(out, np.repeat(wanted[:, None], 4, 1))


def test_condition_on_lanes(run: Run, place: Place) -> None:
    """x[i - 5] is read where the condition of the statement holds."""
    body = If(s.le(Index(5), Index(i)), (Store("out", (Index(i - 5),), load("x", i - 5)),))
    kernel = Kernel(
        "shift",
        (Parameter("x", float32, (n - 5,)), Parameter("out", float32, (n - 5,), written=True)),
        ("n",),
        (For("i", n, "vector", (body,)),),
    )
    for size in SIZES[3:]:
        x = place(np.arange(size, dtype=np.float32))
        out = place(np.zeros(size, np.float32))
        run(kernel, {"x": x, "out": out}, {"n": size + 5})
        np.testing.assert_array_equal(out, x)
