"""Long sums for few elements: cut into chunks, the same bits on any threads."""

import itertools
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.backends.llvm.gemm import area_bytes
from graphc.backends.llvm.gemm_chunks import GAP, STEP, room_bytes
from graphc.backends.llvm.gemm_layout import Layout
from graphc.backends.llvm.gemm_split import LONG, MOST_ROWS, PARTIAL
from graphc.backends.llvm.gemm_tile import tile_for
from graphc.backends.llvm.target import host
from graphc.dtypes import DType, float32, float64
from tests.backends.llvm.fences import Fenced
from tests.backends.llvm.products import compiled

Array = np.ndarray[Any, Any]
TURNS = list(itertools.product((False, True), repeat=2))
SHAPES = [(3, 5, 3 * LONG + 1), (MOST_ROWS, 11, 2 * LONG), (33, 130, 2 * LONG + 77)]


def operands(dtype: DType, turned: tuple[bool, bool], m: int, n: int, k: int) -> list[Array]:
    """As they are stored."""
    rng = np.random.default_rng(m + n + k)
    shapes = ((k, m) if turned[0] else (m, k), (n, k) if turned[1] else (k, n))
    return [rng.normal(size=shape).astype(dtype) for shape in shapes]


def straight(arrays: list[Array], turned: tuple[bool, bool]) -> list[Array]:
    return [one.T if turn else one for one, turn in zip(arrays, turned, strict=True)]


@pytest.mark.parametrize("symbolic", [False, True], ids=["static", "symbolic"])
@pytest.mark.parametrize("dtype", [float32, float64], ids=str)
@pytest.mark.parametrize("turned", TURNS, ids=str)
def test_same_bits_on_any_threads(turned: tuple[bool, bool], dtype: DType, symbolic: bool) -> None:
    made: list[Any] = []
    for m, n, k in SHAPES:
        arrays = operands(dtype, turned, m, n, k)
        if not symbolic or not made:
            names = (
                ("k", "m") if turned[0] else ("m", "k"),
                ("n", "k") if turned[1] else ("k", "n"),
            )
            sizes = names if symbolic else [array.shape for array in arrays]
            a, b = (
                gc.placeholder(name, size, dtype) for name, size in zip("ab", sizes, strict=True)
            )
            product = (a.T if turned[0] else a) @ (b.T if turned[1] else b)
            made = [gc.function([a, b], product, backend="llvm", threads=t) for t in (1, 2, 3, 4)]
        found = [f(*arrays) for f in made]
        left, right = (one.astype(np.float64) for one in straight(arrays, turned))
        bound = 512 * np.finfo(dtype).eps * k**0.5
        assert np.abs(found[0] - left @ right).max() <= bound, (m, n, k)
        for other in found[1:]:
            np.testing.assert_array_equal(other, found[0])


@pytest.mark.parametrize("at_end", [False, True], ids=["start", "end"])
def test_sizes_between_fences(at_end: bool) -> None:
    layout = Layout(float32, transpose_a=True, transpose_b=False, long=True)
    fenced = [Fenced(512) for _ in range(4)]
    _, product = compiled(layout, host())
    for m, n, k in ((5, 7, 2 * LONG), (6, 16, 2 * LONG + 5)):
        arrays = operands(float32, (True, False), m, n, k)
        area = np.full(2 * area_bytes(layout, host()), 255, np.uint8)
        given = [np.full((m, n), np.nan, "float32"), *arrays, area]
        out, a, b, area = (
            one.array(array, at_end) for one, array in zip(fenced, given, strict=True)
        )
        product(out, a, b, area, (m, n, k))
        np.testing.assert_allclose(out, arrays[0].T @ arrays[1], atol=1e-2)


def test_sums_of_chunks_fit_beside_the_rows() -> None:
    """What a product of few rows copies ends before the sums of its chunks begin."""
    for dtype in (float32, float64):
        tile = tile_for(host(), Layout(dtype, False, False).type)
        rows = -(-MOST_ROWS // tile.rows) * tile.rows
        copied = STEP * tile.columns + rows * (STEP + GAP)
        assert copied + PARTIAL <= room_bytes(tile)


@pytest.mark.parametrize("threads", [1, 3])
def test_epilogues_come_after_the_last_chunk(threads: int) -> None:
    k = 2 * LONG + 3
    w = gc.variable(np.ones((6, 20), "float32"), "w")
    x, d = gc.placeholder("x", ("k", 6)), gc.placeholder("d", ("k", 20))
    step = gc.function(
        [x, d], None, updates=[(w, w - 0.5 * (x.T @ d))], backend="llvm", threads=threads
    )
    a, b = operands(float32, (True, False), 6, 20, k)
    step(a, b)
    np.testing.assert_allclose(w.value, 1 - 0.5 * (a.T @ b), atol=1e-2)

    y, v = gc.placeholder("y", ("b", 4, "k")), gc.placeholder("v", ("k", 9))
    f = gc.function([y, v], gc.nn.softmax(y @ v * 0.01), backend="llvm", threads=threads)
    rng = np.random.default_rng(0)
    c, e = rng.normal(size=(3, 4, k)).astype("float32"), rng.normal(size=(k, 9)).astype("float32")
    wanted = np.exp(c @ e * 0.01)
    np.testing.assert_allclose(f(c, e), wanted / wanted.sum(-1, keepdims=True), atol=1e-4)
