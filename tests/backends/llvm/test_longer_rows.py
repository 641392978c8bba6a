"""Reductions of a few columns, whose rows follow each other: of rows some times as long, first."""

from collections.abc import Callable

import numpy as np
import pytest

import graphc as gc
from graphc.backends.llvm.longer_rows import with_longer_rows
from graphc.backends.llvm.target import host
from graphc.dtypes import DType, bool_, float16, float32, int8, int32, int64, uint8
from graphc.ir.tensor import Tensor
from graphc.loops.ir import Accumulate, Accumulator, For, Kernel, Parameter, Scratch, Store
from graphc.scalar.expr import Call, Expr, Index, Load, Local, cast
from graphc.shapes import Dim, Size

i, j, n = (Dim.symbol(name) for name in "ijn")
DTYPES = (bool_, uint8, int8, float16, int32, float32)
REDUCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sum": lambda x: gc.sum(x, axis=0, dtype="float64"),
    "max": lambda x: gc.max(x, axis=0),
    "min": lambda x: gc.min(x, axis=0),
    "prod": lambda x: gc.prod(x, axis=0, dtype="int32"),
    "any": lambda x: gc.any(x, axis=0),
    "all": lambda x: gc.all(x, axis=0),
    "compared": lambda x: gc.any(x[:-1] > x[1:], axis=0),
    "two": lambda x: gc.max(x, axis=0) - gc.min(x * x, axis=0),
    "variance": lambda x: gc.var(x.astype("float32"), axis=0),
    "place": lambda x: gc.argmax(x, axis=0),
}


def of_columns(
    value: Expr, extent: Size = 3, rows: Size = n, width: Size = 3
) -> tuple[Kernel, For]:
    store = Store("out", (Index(j),), Local("total", value.dtype))
    steps = For("i", rows, "serial", (Accumulate("total", value),))
    loop = For("j", extent, "vector", (Accumulator("total", "add", value.dtype), steps, store))
    matrix = Parameter("x", float32, (n, width))
    out = Parameter("out", value.dtype, (extent,), written=True)
    row = Parameter("y", float32, (extent,))
    return Kernel("k", (matrix, row, out), ("n",), (loop,)), loop


X = Load("x", (Index(i), Index(j)), float32)


def test_the_two_parts() -> None:
    kernel, loop = of_columns(X)
    room, longer, rest = with_longer_rows(kernel, [loop], host())
    count = host().native_lanes(4)
    assert isinstance(room, Scratch) and room.shape == (3 * count,)
    assert isinstance(longer, For) and longer.extent == 3 * count
    assert isinstance(rest, For) and rest.extent == 3


@pytest.mark.parametrize(
    ("value", "given"),
    [
        (X, {"width": 4, "extent": 3}),  # a slice
        (X, {"extent": 5, "width": 5}),  # memory is the limit
        (X, {"rows": 40}),
        (Call("sub", (X, Load("y", (Index(j),), float32)), float32), {}),
        (Load("x", (Index(2 * i), Index(j)), float32), {}),
        (cast(Index(i), float32), {}),
        (Call("mul", (X, cast(Index(j), float32)), float32), {}),
        (Load("x", (cast(X, int64), Index(j)), float32), {}),
    ],
    ids=str,
)
def test_what_stays(value: Expr, given: dict[str, int]) -> None:
    kernel, loop = of_columns(value, **given)
    assert with_longer_rows(kernel, [loop], host()) == (loop,)


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_results(name: str, dtype: DType) -> None:
    if dtype == bool_ and name in ("prod", "two", "place", "max", "min"):
        dtype = int8
    rng = np.random.default_rng(0)
    for columns in (2, 3, 7):
        x = gc.placeholder("x", ("n", columns), dtype)
        result = REDUCTIONS[name](x)
        one, two = (gc.function([x], result, backend="llvm", threads=t) for t in (1, 2))
        slow = gc.function([x], result, backend="reference")
        for rows in (2, 63, 65, 1537, 20000):
            array = (rng.integers(0, 30, (rows, columns)) < 29).astype(dtype)
            if name == "any":
                array[:] = 0
            if rows == 1537:
                place = rng.integers(rows), rng.integers(columns)
                array[place] = array[place] == 0
            found = one(array)
            np.testing.assert_allclose(found, slow(array), rtol=2e-5, atol=2e-6)
            assert two(array).tobytes() == found.tobytes()
