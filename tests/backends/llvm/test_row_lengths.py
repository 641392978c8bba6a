"""Sums along rows of unknown length: short rows by code of their own."""

from collections.abc import Callable

import numpy as np
import pytest

import graphc as gc
from graphc.backends.llvm.lanes import SHORT, pieces, survey
from graphc.backends.llvm.row_lengths import in_lengths
from graphc.dtypes import float32
from graphc.ir.tensor import Tensor
from graphc.loops.ir import Accumulate, Accumulator, For, If, Statement, Store
from graphc.scalar import expr as s
from graphc.scalar.expr import Index, Load
from graphc.shapes import Dim, Size, dim_min
from tests.backends.llvm.targets import other_target

AVX512 = other_target("avx512")
REDUCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sum": lambda x: gc.sum(x, axis=1),
    "largest": lambda x: gc.max(x, axis=1),
    "smallest": lambda x: gc.min(x, axis=1),
    "product": lambda x: gc.prod(gc.sign(x), axis=1),
    "any": lambda x: gc.any(x > 2.5, axis=1),
    "all": lambda x: gc.all(x > -2.5, axis=1),
    "several": lambda x: gc.sum(x * x, axis=1) - gc.max(x, axis=1) * gc.sum(x, axis=1),
}

n, m, i, j = map(Dim.symbol, "nmij")
X = Load("x", (Index(i), Index(j)), float32)
TOTAL, MOST = Accumulator("total", "add", float32), Accumulator("most", "maximum", float32)
SUM = Accumulate("total", X)


def over(*body: Statement, length: Size = m) -> For:
    return For("j", length, "vector", body)


def versions(*row: Statement) -> tuple[Statement, ...]:
    """What becomes of the statements of a row."""
    (rows,) = in_lengths([For("i", n, "parallel", row)], AVX512)
    assert isinstance(rows, For)
    return rows.body


def test_form() -> None:
    short, most = dim_min(m, 256), Index(256)
    assert versions(TOTAL, over(SUM)) == (
        TOTAL,
        If(s.le(Index(m), most), (over(SUM, length=short),)),
        If(s.lt(most, Index(m)), (over(SUM),)),
    )
    several = versions(TOTAL, MOST, over(SUM, Accumulate("most", X)))
    assert isinstance(several[2], If)
    assert several[2].condition == s.le(Index(m), Index(512)), "sums beside each other do not wait"


def test_where_there_is_one_version() -> None:
    for row in (
        (TOTAL, over(SUM, length=300)),
        (TOTAL, over(SUM, length=dim_min(m, 300))),
        (TOTAL, over(Accumulate("total", s.exp(X)))),  # heavy
        (Accumulator("best", "argmax", float32, "place"), over(Accumulate("best", X, Index(j)))),
        (For("j", m, "serial", (SUM,)),),
        (over(TOTAL, For("k", 16, "serial", (SUM,))),),  # a sum for each lane
    ):
        assert versions(*row) == row
    alone = (TOTAL, over(SUM))
    assert in_lengths(alone, AVX512) == alone, "one row"


@pytest.mark.parametrize("name", ["avx2", "avx512"])
def test_short_rows_take_one_vector_at_a_time(name: str) -> None:
    target = other_target(name)
    lanes, facts = target.native_lanes(4), survey((SUM,))
    short = pieces(dim_min(m, SHORT * lanes), facts, target)
    assert [piece.lanes for piece in short] == [lanes, lanes]
    assert pieces(m, facts, target)[0].lanes > lanes


def test_rows_that_are_stored_take_whole_lines_at_a_time() -> None:
    for name, lanes, rows in (("avx2", 16, 16), ("avx512", 32, 16)):
        target, facts = other_target(name), survey((Store("y", (Index(j),), X),))
        assert pieces(m, facts, target)[0].lanes == lanes
        assert pieces(m, facts, target, in_rows=True)[0].lanes == rows
        assert pieces(64, facts, target, in_rows=True) == pieces(64, facts, target)


@pytest.mark.parametrize("name", REDUCTIONS)
def test_values(name: str) -> None:
    x = gc.placeholder("x", ("n", "m"))
    y = REDUCTIONS[name](x)
    f, meaning = (gc.function([x], y, backend=backend) for backend in ("llvm", "reference"))
    random = np.random.default_rng(0)
    for width in (1, 7, 15, 16, 17, 64, 127, 255, 256, 257, 511, 513, 70000):
        for count in (0, 1, 3):
            data = random.normal(size=(count, width)).astype("float32")
            np.testing.assert_allclose(f(data), meaning(data), rtol=1e-5, atol=1e-5 * width)
    if name in ("sum", "product", "any", "all"):
        np.testing.assert_array_equal(f(np.ones((2, 0), "f")), meaning(np.ones((2, 0), "f")))
