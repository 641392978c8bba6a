"""Short rows run side by side: a lane for each row."""

from collections.abc import Callable

import numpy as np
import pytest

import graphc as gc
from graphc.backends.llvm.short_rows import side_by_side
from graphc.dtypes import float32, int64
from graphc.ir.tensor import Tensor
from graphc.loops.ir import Accumulate, Accumulator, For, Let, Scratch, Statement, Store
from graphc.scalar import expr as s
from graphc.scalar.expr import Expr, Index, Load, Local
from graphc.shapes import Dim, Size


def load(buffer: str, *place: Size) -> Load:
    return Load(buffer, tuple(map(Index, place)), float32)


def store(buffer: str, value: Expr, *place: Size) -> Store:
    return Store(buffer, tuple(map(Index, place)), value)


n, i, j = Dim.symbol("n"), Dim.symbol("i"), Dim.symbol("j")
DOT = (
    Accumulator("dot", "add", float32),
    For("j", 3, "vector", (Accumulate("dot", s.mul(load("w", j), load("x", i, j))),)),
)
SUM = For(
    "j",
    3,
    "vector",
    (store("sums", s.add(load("sums", j), s.mul(Local("dot", float32), load("x", i, j))), j),),
)


def rows(*body: Statement, extent: Size = n, length: Size = 3) -> For:
    changed = [For("j", length, o.kind, o.body) if isinstance(o, For) else o for o in body]
    return For("i", extent, "serial", tuple(changed))


def is_turned(loop: For) -> bool:
    return any(isinstance(one, For) and one.kind == "vector" for one in side_by_side([loop]))


def test_form() -> None:
    turned = side_by_side([rows(*DOT, SUM)])
    assert [one.name for one in turned[:3] if isinstance(one, Accumulator)] == [
        "sums.0",
        "sums.1",
        "sums.2",
    ]
    lanes = turned[3]
    assert isinstance(lanes, For) and (lanes.kind, lanes.extent) == ("vector", n)
    assert [type(one) for one in lanes.body] == [Let] * 3 + [Accumulate] * 3
    assert turned[4:] == tuple(
        store("sums", s.add(load("sums", place), Local(f"sums.{place}", float32)), place)
        for place in range(3)
    )


def test_where_it_pays() -> None:
    out = store("out", Local("dot", float32), i)
    assert is_turned(rows(*DOT, out))
    assert is_turned(rows(*DOT, SUM))
    assert not is_turned(rows(*DOT, out, extent=8)), "too few rows"
    assert not is_turned(rows(*DOT, out, length=13)), "long rows"
    assert not is_turned(rows(*DOT, out, length=Dim.symbol("m"))), "rows of unknown length"
    heavy = Accumulate("dot", s.exp(s.exp(load("x", i, j))))
    assert not is_turned(rows(DOT[0], For("j", 3, "vector", (heavy,)), out)), "heavy elements"


def test_rows_that_only_move_stay_rows() -> None:
    """Their elements lie side by side; where they lie is no work."""
    place = Let("place", Load("picked", (Index(i),), int64))
    read = Load("x", (Local("place", int64), Index(j)), float32)
    moved = For("j", 3, "vector", (store("out", read, i, j),))
    assert not is_turned(rows(place, moved, length=8))
    assert is_turned(rows(place, moved, length=2)), "a small part of a vector"
    computed = For("j", 3, "vector", (store("out", s.exp(read), i, j),))
    assert is_turned(rows(place, computed)), "three heavy elements of a vector of sixteen"
    assert not is_turned(rows(place, computed, length=5))
    scaled = For("j", 3, "vector", (store("out", s.mul(Local("f", float32), read), i, j),))
    assert is_turned(rows(place, Let("f", s.exp(load("y", i))), scaled, length=8))


def test_rows_stay_apart() -> None:
    same = store("out", Local("dot", float32), 0)
    assert not is_turned(rows(*DOT, same)), "all rows write to one place"
    fed = store("out", s.add(Local("dot", float32), load("out", i - 1)), i)
    assert not is_turned(rows(*DOT, fed)), "a row reads what another one wrote"
    assert not is_turned(rows(*DOT, SUM, store("out", load("sums", 0), i))), "a sum on its way"
    for step, apart in ((3, True), (2, False), (-3, True), (1, False)):
        scaled = s.mul(Local("dot", float32), load("x", i, j))
        element = For("j", 3, "vector", (store("out", scaled, i * step + j),))
        found = is_turned(rows(*DOT, element))
        assert found == apart, "later rows write over what earlier ones wrote"
    twice = (store("out", Local("dot", float32), i), store("out", load("y", i), i + 1))
    assert not is_turned(rows(*DOT, *twice)), "so do two stores"
    kept = For("j", 3, "vector", (store("kept", load("x", i, j), j),))
    array = Scratch("kept", float32, (3,))
    read = store("out", load("kept", 2), i)
    assert is_turned(rows(array, kept, read))
    assert not is_turned(rows(array, kept, store("out", load("kept", i), i)))


def regression(x: Tensor, w: Tensor) -> list[Tensor]:
    loss = gc.sum(gc.log1p(gc.exp(x @ w)))
    return [loss, gc.grad(loss, w)]


def whole(x: Tensor, w: Tensor) -> list[Tensor]:
    return [gc.sum(gc.max(x * w, axis=1) ** 2), gc.max(gc.sum(x, axis=1), initial=-9)]


def norms(x: Tensor, w: Tensor) -> list[Tensor]:
    scaled = x / gc.sqrt(gc.sum(x * x, axis=1, keepdims=True) + 1)
    return [scaled, gc.max(scaled * w, axis=1), gc.sum(scaled, axis=0)]


def softmax(x: Tensor, w: Tensor) -> list[Tensor]:
    return [gc.softmax(x * w, axis=1)]


def best(x: Tensor, w: Tensor) -> list[Tensor]:
    return [
        gc.argmax(x, axis=1),
        gc.argmin(x * w, axis=1),
        gc.max(x, axis=1),
        gc.take_along_axis(x, gc.argmin(x, axis=1, keepdims=True), axis=1),
    ]


def truths(x: Tensor, w: Tensor) -> list[Tensor]:
    whole = gc.astype(x > w, "int32") * 3
    return [
        gc.any(x > w, axis=1),
        gc.all(x < w + 1, axis=1),
        gc.sum(whole * whole, axis=1),
        gc.argmax(whole, axis=1),
        gc.max(gc.astype(whole, "int64"), axis=1),
    ]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("width", [1, 3, 9, 12])
@pytest.mark.parametrize("build", [best, truths, regression, whole, norms, softmax])
def test_values(build: Callable[[Tensor, Tensor], list[Tensor]], width: int, dtype: str) -> None:
    x, w = gc.placeholder("x", ("n", width), dtype), gc.placeholder("w", (width,), dtype)
    outputs = build(x, w)
    function = gc.function([x, w], outputs)
    meaning = gc.function([x, w], outputs, backend="interpreter")
    random = np.random.default_rng(0)
    weights = random.normal(size=width).astype(dtype)
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    for size in (0, 1, 2, 7, 33, 300):
        data = random.normal(size=(size, width)).astype(dtype)
        if size > 5:
            data[5, 0] = np.nan
            data[6, -1] = data[6, width // 2] = np.nan
        if size > 32:
            data[7:11, width // 2 :] = 0.5
            data[11] = -np.inf
            data[12] = np.inf
        for found, expected in zip(function(data, weights), meaning(data, weights), strict=True):
            np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("width", [1, 2, 3])
@pytest.mark.parametrize("extremum", [gc.argmax, gc.argmin])
def test_extrema_of_all_rows(extremum: Callable[[Tensor], Tensor], width: int) -> None:
    """Of columns that are part of a wider array: the position runs through all rows."""
    x = gc.placeholder("x", ("n", 5))
    part = x[:, :width]
    outputs = [extremum(part), extremum(gc.sum(part * part, axis=1)), gc.any(part > 3)]
    found = gc.function([x], outputs, backend="llvm")
    meaning = gc.function([x], outputs, backend="reference")
    for size in (1, 2, 33, 300):
        data = np.round(np.random.default_rng(size).normal(size=(size, 5)) * 2).astype("float32")
        for last in (data, np.where(data == 1, np.nan, data), np.zeros_like(data)):
            for one, other in zip(found(last), meaning(last), strict=True):
                np.testing.assert_array_equal(one, other)
