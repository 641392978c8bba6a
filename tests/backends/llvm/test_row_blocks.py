"""Rows of known length in blocks: passes over all rows of a block, one after the other."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

import graphc as gc
from graphc.backends.llvm.row_blocks import LONGEST, ROWS, in_blocks
from graphc.dtypes import bool_, float32
from graphc.ir.tensor import Tensor
from graphc.loops.ir import Accumulate, Accumulator, For, If, Let, Scratch, Statement, Store
from graphc.loops.tidy import statements_of, with_sizes
from graphc.scalar import expr as s
from graphc.scalar.expr import Expr, Index, Load, Local
from graphc.shapes import Dim, Size, dim_min, evaluate

n, i, j = Dim.symbol("n"), Dim.symbol("i"), Dim.symbol("j")


def load(buffer: str, *place: Size) -> Load:
    return Load(buffer, tuple(map(Index, place)), float32)


def store(buffer: str, value: Expr, *place: Size) -> Store:
    return Store(buffer, tuple(map(Index, place)), value)


def over(*body: Statement, length: Size = 37) -> For:
    return For("j", length, "vector", body)


TOTAL = Accumulator("total", "add", float32)
SUM = over(Accumulate("total", load("x", i, j)))
LOG = Let("t", s.log(Local("total", float32)))
LESS = over(store("out", s.sub(load("x", i, j), Local("t", float32)), i, j))


def rows(*body: Statement, extent: Size = n) -> For:
    return For("i", extent, "parallel", body)


def blocks(*body: Statement, extent: Size = n) -> Sequence[Statement] | None:
    """The passes of a block; None if the rows are left as they are."""
    (loop,) = in_blocks([rows(*body, extent=extent)])
    assert isinstance(loop, For)
    return None if loop.axis == "i" else loop.body


def test_form() -> None:
    found = blocks(TOTAL, SUM, LOG, LESS)
    assert found is not None
    arrays, loops = found[:2], found[2:]
    assert [(one.name, one.shape) for one in arrays if isinstance(one, Scratch)] == [
        ("total.rows", (ROWS,)),
        ("t.rows", (ROWS,)),
    ]
    assert [one.kind for one in loops if isinstance(one, For)] == ["serial", "vector", "serial"]
    first, numbers, last = (one.body for one in loops if isinstance(one, For))
    place = i + ROWS * Dim.symbol("i_block")
    assert first == (
        TOTAL,
        over(Accumulate("total", load("x", place, j))),
        store("total.rows", Local("total", float32), i),
    )
    assert numbers == (
        Let("t", s.log(load("total.rows", i))),
        store("t.rows", Local("t", float32), i),
    )
    assert last == (
        Let("t.row", load("t.rows", i)),
        over(store("out", s.sub(load("x", place, j), Local("t.row", float32)), place, j)),
    )


def test_the_name_of_a_size_is_not_taken() -> None:
    size = Dim.symbol("i_block")
    (loop,) = in_blocks([rows(TOTAL, SUM, LOG, LESS, extent=size)])
    assert isinstance(loop, For)
    assert loop.axis == "i_block_"


def test_where_rows_are_left_alone() -> None:
    assert blocks(TOTAL, SUM, LOG, LESS, extent=1000) is not None
    assert blocks(TOTAL, SUM, LOG, LESS, extent=31) is None, "few rows"
    assert blocks(TOTAL, SUM, store("out", Local("total", float32), i)) is None, "nothing to do"
    unequal: list[tuple[Size, Size]] = [(101, 101), (Dim.symbol("m"), Dim.symbol("p"))]
    for lengths in (*unequal, (Dim.symbol("m"), 101)):
        first, last = (
            For("j", length, "vector", one.body)
            for length, one in zip(lengths, (SUM, LESS), strict=True)
        )
        assert blocks(TOTAL, first, LOG, last) is None, "long rows, or of two lengths"
    condition = Let("c", s.lt(Local("total", float32), s.constant(0.0, float32)))
    assert condition.value.dtype == bool_
    assert blocks(TOTAL, SUM, LOG, condition, LESS) is None
    read = Let("y", load("out", i, 0))
    assert blocks(TOTAL, SUM, LOG, LESS, read, LESS) is not None, "by the same row alone"
    assert blocks(SUM, LOG, LESS) is None, "a sum over all rows"
    assert blocks(TOTAL, SUM, LOG, For("k", 2, "serial", (LESS,))) is None
    best = Accumulator("total", "argmax", float32, "place")
    assert blocks(best, SUM, LOG, LESS) is None


def test_rows_that_are_read_once() -> None:
    """The more there is to do with the sum, the longer rows may be."""
    result = store("out", Local("t", float32), i)

    def is_cut(length: Size, number: Let = LOG, extent: Size = n) -> bool:
        body = TOTAL, For("j", length, "vector", SUM.body), number, result
        return blocks(*body, extent=extent) is not None

    assert is_cut(37) and is_cut(320) and is_cut(37, extent=8)
    assert not is_cut(321) and not is_cut(37, extent=7)
    light = Let("t", s.add(Local("total", float32), load("b", i)))
    assert is_cut(16, light) and not is_cut(17, light)


def test_rows_of_unknown_length() -> None:
    """Short ones are cut, at most LONGEST of what is read twice; long ones run one by one."""
    m = Dim.symbol("m")
    passes = [For("j", m, "vector", one.body) for one in (SUM, LESS)]
    row = rows(TOTAL, passes[0], LOG, passes[1])
    (loop,) = in_blocks([row])
    assert isinstance(loop, For)
    short, long = loop.body
    assert isinstance(short, If) and isinstance(long, If)
    assert short.condition == s.le(Index(m), Index(LONGEST))
    assert long.condition == s.lt(Index(LONGEST), Index(m))
    for length, together in ((0, ROWS), (LONGEST, ROWS), (LONGEST + 1, 1), (10**6, 1)):
        known = {"m": length, "n": 1000}
        assert evaluate(loop.extent, known) == -(-1000 // together)
        first = next(one for one in short.body if isinstance(one, For))
        assert evaluate(first.extent, {**known, "i_block": 0}) == together
        assert evaluate(first.extent, {**known, "i_block": 1000 // together}) == 1000 % together
    elements = [
        one for one in statements_of(short.body) if isinstance(one, For) and one.axis == "j"
    ]
    assert {one.extent for one in elements} == {dim_min(m, LONGEST)}
    assert [one for one in long.body if isinstance(one, For)] != []
    assert long.body == tuple(with_sizes(row.body, {"i": Dim.symbol("i_block")}))
    light = rows(TOTAL, passes[0], store("out", Local("total", float32), i))
    assert in_blocks([light]) == (light,), "nothing to do"


def test_sums_over_the_rows() -> None:
    """Each element of a sum takes the rows in their order, so rows may be serial."""
    add = over(store("sums", s.add(load("sums", j), Local("t", float32)), j))
    rest = (TOTAL, SUM, LOG)

    def is_cut(*body: Statement) -> bool:
        (loop,) = in_blocks([For("i", n, "serial", body)])
        return isinstance(loop, For) and loop.axis != "i"

    assert is_cut(*rest, add)
    assert is_cut(*rest, LESS, add)
    assert not is_cut(*rest, add, store("out", load("sums", 0), i)), "a sum on its way"
    assert not is_cut(*rest, LESS, LESS), "the last one of two counts"
    assert not is_cut(*rest, LESS, Let("y", load("out", i, 0))), "what is stored is read"
    assert not is_cut(*rest, add, add)


def softmax(x: Tensor, c: Tensor, g: Tensor) -> list[Tensor]:
    y = gc.nn.softmax(x, axis=-1)
    return [y, gc.grad(gc.sum(y * c), x)]


def log_softmax(x: Tensor, c: Tensor, g: Tensor) -> list[Tensor]:
    y = gc.nn.log_softmax(x, axis=-1)
    return [y, gc.logsumexp(x, axis=-1), gc.grad(gc.sum(y * c), x)]


def layer_norm(x: Tensor, c: Tensor, g: Tensor) -> list[Tensor]:
    d = x - gc.mean(x, axis=-1, keepdims=True)
    y = d / gc.sqrt(gc.mean(d * d, axis=-1, keepdims=True) + 1e-5) * g
    return [y, *gc.grad(gc.sum(y * c), [x, g])]


def picked(x: Tensor, c: Tensor, g: Tensor) -> list[Tensor]:
    """Numbers of the row beside its sums, extrema, a scale that all rows share."""
    share = x / (gc.sum(gc.abs(x), axis=-1, keepdims=True) + c[..., :1] ** 2)
    largest = gc.max(share * g[0], axis=-1)
    return [share, largest, gc.sqrt(gc.sum(share * share, axis=-1)) * c[..., -1]]


def numbers(x: Tensor, c: Tensor, g: Tensor) -> list[Tensor]:
    """Of rows that are read once."""
    largest = gc.log1p(gc.abs(gc.max(x, axis=-1)))
    return [gc.tanh(gc.sum(x * g, axis=-1) + c[..., 0]), largest, gc.sqrt(gc.sum(x * x, axis=-1))]


def mixture(x: Tensor, c: Tensor, g: Tensor) -> list[Tensor]:
    """What a pass stores is read by later ones."""
    precision = gc.exp(-c)
    terms = gc.nn.log_softmax(x, axis=-1) - c - ((g - x) * precision) ** 2
    value = gc.logsumexp(terms, axis=-1)
    return [precision, value, *gc.grad(gc.sum(value), [x, c])]


BUILD = (softmax, log_softmax, layer_norm, picked, numbers, mixture)
Build = Callable[[Tensor, Tensor, Tensor], list[Tensor]]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("width", [1, 5, 13, 37, 128])
@pytest.mark.parametrize("build", BUILD)
def test_values(build: Build, width: int, dtype: str) -> None:
    x, c = (gc.placeholder(name, ("n", width), dtype) for name in "xc")
    g = gc.placeholder("g", (width,), dtype)
    outputs = build(x, c, g)
    function = gc.function([x, c, g], outputs, on_unused_input="ignore")
    meaning = gc.function([x, c, g], outputs, on_unused_input="ignore", backend="reference")
    random = np.random.default_rng(0)
    scale = random.normal(size=width).astype(dtype)
    tolerance = 2e-4 if dtype == "float32" else 1e-11
    for size in (0, 1, 15, 16, 17, 100):
        data, other = (random.normal(size=(size, width)).astype(dtype) for _ in "xc")
        if size > 5:
            data[5, 0] = np.nan
            data[6, 0], data[7, 0] = np.inf, -np.inf
        with np.errstate(all="ignore"):
            wanted = meaning(data, other, scale)
        for found, expected in zip(function(data, other, scale), wanted, strict=True):
            np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("build", BUILD)
def test_values_of_rows_of_any_length(build: Build) -> None:
    x, c = (gc.placeholder(name, ("n", "m")) for name in "xc")
    g = gc.placeholder("g", ("m",))
    outputs = build(x, c, g)
    function = gc.function([x, c, g], outputs, on_unused_input="ignore")
    meaning = gc.function([x, c, g], outputs, on_unused_input="ignore", backend="reference")
    random = np.random.default_rng(0)
    for width in (1, 15, 16, 17, 37, 100, 101, 257, 321):
        scale = random.normal(size=width).astype("float32")
        for size in (0, 1, 15, 17, 33):
            data, other = (random.normal(size=(size, width)).astype("float32") for _ in "xc")
            wanted = meaning(data, other, scale)
            for found, expected in zip(function(data, other, scale), wanted, strict=True):
                np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("build", BUILD)
def test_threads_and_known_sizes_change_no_bit(build: Build) -> None:
    random = np.random.default_rng(0)
    shape, width = (7, 331, 21), 21
    arrays = [random.normal(size=size).astype("float32") for size in (shape, shape, (width,))]
    found = []
    for sizes in (shape, ("a", "b", width)):
        x, c = (gc.placeholder(name, sizes) for name in "xc")
        g = gc.placeholder("g", (width,))
        outputs = build(x, c, g)
        for threads in (1, 2):
            f = gc.function([x, c, g], outputs, threads=threads, on_unused_input="ignore")
            found.append(f(*arrays))
    for other in found[1:]:
        for one, same in zip(found[0], other, strict=True):
            if build is layer_norm and one.shape == (width,):  # summed in chunks of known length
                np.testing.assert_allclose(one, same, rtol=1e-4, atol=1e-3)
            else:
                np.testing.assert_array_equal(one, same)
