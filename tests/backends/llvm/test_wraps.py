"""Rows that are read around their ends: cut there, the same numbers."""

from collections.abc import Sequence

import numpy as np
import pytest

import graphc as gc
from graphc.backends.llvm.wraps import MOST, SHORTEST, unwrapped
from graphc.dtypes import float32
from graphc.ir.tensor import Tensor
from graphc.loops.ir import For, Let, Statement, Store
from graphc.loops.tidy import values_of, with_sizes
from graphc.scalar import expr as s
from graphc.scalar.expr import Call, Expr, Index, Load, Local, walk
from graphc.shapes import Dim, Size, ceil_div, dim_min, evaluate

i, j = Dim.symbol("i"), Dim.symbol("j")
SHAPES = [(33,), (1000,), (40_003,), (3, 32), (7, 131), (2, 5, 64)]


def place(turn: int, one: Size, two: Size) -> Expr:
    return s.select(s.lt(Index(j), Index(turn)), Index(one), Index(two))


def row(*body: Statement, length: Size = 700) -> Sequence[Statement]:
    (rows,) = unwrapped([For("i", 5, "parallel", (For("j", length, "vector", body),))])
    assert isinstance(rows, For)
    return rows.body


def read(*index: Expr) -> Load:
    return Load("x", (Index(i), *index), float32)


def store(value: Expr, at: Size = j) -> Store:
    return Store("out", (Index(i), Index(at)), value)


def test_form() -> None:
    p = Let("p", place(1, j + 699, j - 1))
    q = Let("q", place(699, j + 1, j - 699))
    value = s.add(read(Local("p", p.value.dtype)), read(Local("q", q.value.dtype)))
    assert row(p, q, store(value)) == (
        For("j", 1, "vector", (store(s.add(read(Index(j + 699)), read(Index(j + 1)))),)),
        For("j", 698, "vector", (store(s.add(read(Index(j)), read(Index(j + 2))), j + 1),)),
        For("j", 1, "vector", (store(s.add(read(Index(j + 698)), read(Index(j))), j + 699),)),
    )


def test_what_stays() -> None:
    both = store(read(place(1, j + 699, j - 1)))
    assert len(row(both)) == 2
    assert len(row(both, length=SHORTEST - 1)) == 1, "short"
    assert len(row(both, length=Dim.symbol("n"))) == 1, "a length that is not known"
    ends = store(s.add(read(place(1, j + 699, j - 1)), read(place(699, j + 1, j - 699))))
    assert len(row(ends, length=Dim.symbol("n"))) == 3, "two such places"
    named = Let("p", place(1, j + 699, j - 1))
    assert len(row(named, store(read(Local("p", named.value.dtype))), length=Dim.symbol("n"))) == 3
    assert len(row(store(read(place(0, j + 700, j))))) == 1, "the first place is for nothing"
    many = [store(read(place(turn, j + turn, j - turn))) for turn in range(1, MOST + 1)]
    assert len(row(*many)) == 1 and len(row(*many[:-1])) == MOST
    slanted = s.select(s.lt(Index(j), Index(i)), Index(j + 1), Index(j))
    assert len(row(Let("p", slanted), store(read(Index(j))), length=Dim.symbol("n"))) == 1
    other = s.select(s.lt(Index(i), Index(1)), Index(j + 1), Index(j))
    assert len(row(store(read(other)))) == 1, "which row it is decides"


def test_one_long_row_of_unknown_length_and_chunks_of_it() -> None:
    """Masked loads of what lies behind an array take a hundred times as long as loads."""
    n, c = Dim.symbol("n"), Dim.symbol("c")
    value = s.select(s.lt(Index(j), Index(1)), Index(j + n - 1), Index(j - 1))
    whole = For("j", n, "vector", (Store("out", (Index(j),), Load("x", (value,), float32)),))
    turned = [whole, *unwrapped([whole], inside=True)]
    choices = [
        any(isinstance(p, Call) for v in values_of([item]) for p in walk(v)) for item in turned
    ]
    assert choices == [True, True, False, True]
    length = dim_min(4096, n - 4096 * c)
    part = For("j", length, "vector", tuple(with_sizes(whole.body, {"j": j + 4096 * c})))
    (chunks,) = unwrapped([For("c", ceil_div(n, 4096), "parallel", (part,))])
    assert isinstance(chunks, For)
    pieces = [item for item in chunks.body if isinstance(item, For)]
    for size in (1, 2, 4096, 4097, 10000):
        for chunk in range(-(-size // 4096)):
            known = {"n": size, "c": chunk}
            lengths = [evaluate(piece.extent, known) for piece in pieces]
            assert sum(lengths) == evaluate(length, known)
            assert lengths == [not chunk, sum(lengths) - (not chunk), 0]


@pytest.mark.parametrize("shift", [1, -1, 3, 5000])
def test_long_rows_of_unknown_length_with_sums(shift: int) -> None:
    u = gc.placeholder("u", ("n",), "int32")
    y = gc.roll(u, shift) - 2 * u + gc.roll(u, -1) * 3
    functions = [gc.function([u], [y, gc.sum(y * y)], threads=threads) for threads in (1, 2)]
    for size in (0, 1, 2, 3, 31, 33, 4096, 4999, 5000, 5001, 131_101):
        values = np.random.default_rng(0).integers(-9, 9, size).astype("int32")
        wanted = np.roll(values, shift) - 2 * values + np.roll(values, -1) * 3
        for f in functions:
            found, total = f(values)
            np.testing.assert_array_equal(found, wanted)
            assert total == (wanted.astype("int64") ** 2).sum()


def neighbours(u: Tensor, shift: int) -> list[Tensor]:
    last = u.ndim - 1
    v = gc.roll(u, shift, axis=0) * 2 - u
    w = gc.roll(v, -shift, axis=last) + v * v + gc.roll(v, 3, axis=last)
    return [w, gc.sum(w), gc.argmax(w, axis=last), gc.max(w, axis=last)]


def expected(u: np.ndarray, shift: int) -> list[np.ndarray]:
    v = np.roll(u, shift, 0) * 2 - u
    w = np.roll(v, -shift, -1) + v * v + np.roll(v, 3, -1)
    return [w, w.sum(dtype=np.float64), w.argmax(-1), w.max(-1)]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
@pytest.mark.parametrize("shift", [1, 2, 17])
@pytest.mark.parametrize(
    "shape", [(33,), (1000,), (40_003,), (3, 32), (7, 131), (2, 5, 64)], ids=str
)
def test_values(shape: tuple[int, ...], shift: int, dtype: str) -> None:
    u = gc.placeholder("u", shape, dtype)
    values = np.random.default_rng(0).integers(-9, 9, shape).astype(dtype)
    found = []
    for threads in (1, 2):
        f = gc.function([u], neighbours(u, shift), threads=threads)
        assert "gather" not in f.llvm()
        found.append(f(values))
    for one, other, wanted in zip(*found, expected(values, shift), strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(one, wanted)


@pytest.mark.parametrize("shift", [1, -2, 17])
@pytest.mark.parametrize("ndim", [1, 2])
def test_lengths_that_are_not_known(ndim: int, shift: int) -> None:
    u = gc.placeholder("u", ("n", "m")[-ndim:])
    f = gc.function([u], neighbours(u, shift))
    for size in (1, 2, 3, 4, 16, 17, 18, 33, 40, 1000):
        shape = (5, size)[-ndim:]
        values = np.random.default_rng(0).integers(-9, 9, shape).astype("float32")
        for found, wanted in zip(f(values), expected(values, shift), strict=True):
            np.testing.assert_array_equal(found, wanted)


def test_in_a_loop() -> None:
    def step(cells: Tensor) -> Tensor:
        sides = gc.roll(cells, 1, axis=0) + cells + gc.roll(cells, -1, axis=0)
        count = gc.roll(sides, 1, axis=1) + sides + gc.roll(sides, -1, axis=1) - cells
        return gc.where((count == 3) | ((cells == 1) & (count == 2)), 1, 0).astype("float32")

    start = gc.placeholder("start", (40, 48))
    f = gc.function([start], gc.fori_loop(0, 30, lambda _, cells: step(cells), start))
    cells = np.zeros((40, 48), np.float32)
    for place in ((0, 1), (1, 2), (2, 0), (2, 1), (2, 2)):  # a glider: a step aside in four
        cells[place] = 1
    moved = np.roll(cells, (28 // 4, 28 // 4), (0, 1))
    assert not np.array_equal(f(cells), moved)
    g = gc.function([start], gc.fori_loop(0, 28, lambda _, cells: step(cells), start))
    np.testing.assert_array_equal(g(cells), moved)
