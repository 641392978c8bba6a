"""Products with a vector that is found at run time: numbers, bounds, and bits on any threads."""

import ctypes
import itertools

import numpy as np
import pytest

import graphc as gc
from graphc.backends.llvm.gemm import area_bytes
from graphc.backends.llvm.gemm_layout import Layout
from graphc.backends.llvm.target import host
from graphc.dtypes import DType, float32, float64
from tests.backends.llvm.products import Array, between_fences, check, compiled
from tests.backends.llvm.targets import lesser_target

LAYOUTS = [
    Layout(dtype, a, b, vectors=True)
    for dtype, a, b in itertools.product((float32, float64), (False, True), (False, True))
]
LENGTHS = [
    (1, 0),
    (1, 1),
    (2, 7),
    (3, 8),
    (4, 9),
    (5, 16),
    (7, 33),
    (17, 257),
    (1030, 3),
    (9, 2300),
]
SIZES = [size for count, k in LENGTHS for size in ((1, count, k), (count, 1, k))]
LONG = [(1, 70_001), (3, 40_000), (37, 9_001), (300, 1_201), (2100, 700)]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
@pytest.mark.parametrize("at_end", [False, True], ids=["start", "end"])
def test_sizes_between_fences(layout: Layout, at_end: bool) -> None:
    check(layout, host(), between_fences(at_end), SIZES)


@pytest.mark.parametrize("name", ["sse2", "avx2"])
def test_lesser_processors(name: str) -> None:
    target = lesser_target(name)
    for layout in (LAYOUTS[1], LAYOUTS[-2]):
        check(layout, target, lambda values: values, SIZES)


@pytest.mark.parametrize("dtype", [float32, float64], ids=str)
@pytest.mark.parametrize("letters", ["nn", "nt", "tn", "tt"])
def test_entries_apart_on_any_threads(letters: str, dtype: DType) -> None:
    """Vectors that are columns of matrices: nothing else is written, and threads show nowhere."""
    layout = Layout(dtype, letters[0] == "t", letters[1] == "t", vectors=True, divides=True)
    library, _ = compiled(layout, host())
    types = [ctypes.c_void_p] * 3 + [ctypes.c_int64] * 6 + [ctypes.c_void_p] + [ctypes.c_int64] * 2
    function = ctypes.CFUNCTYPE(None, *types)(library.address(layout.name))
    rng = np.random.default_rng(0)
    room = area_bytes(layout, host())
    area = np.empty(8 * room + 64, np.uint8)
    at = -(-area.ctypes.data // 64) * 64
    for (count, k), apart in itertools.product([*LENGTHS[:6], *LONG], (0, 3)):
        for m, n in ((1, count), (count, 1)):
            a, b = (rng.normal(size=shape).astype(dtype) for shape in ((m, k), (k, n)))
            stored = [a.T if layout.transpose_a else a, b.T if layout.transpose_b else b]
            large = [np.ascontiguousarray(np.pad(one, ((0, 0), (0, apart)))) for one in stored]
            found: list[Array] = []
            for threads in (1, 2, 3, 4):
                out = np.full((m, n + apart), 7, dtype)
                matrices = [out, *large]
                rows = [one.shape[1] for one in matrices]
                function(*(one.ctypes.data for one in matrices), m, n, k, *rows, at, room, threads)
                assert (out[:, n:] == 7).all()
                found.append(out[:, :n])
            exact = a.astype(np.float64) @ b.astype(np.float64)
            bound = 512 * np.finfo(dtype).eps * (k + 1) ** 0.5
            assert np.abs(found[0] - exact).max(initial=0.0) <= bound, (m, n, k, apart)
            for other in found[1:]:
                np.testing.assert_array_equal(other, found[0])


@pytest.mark.parametrize("threads", [1, 3])
def test_what_is_not_a_number_comes_through(threads: int) -> None:
    x, w = gc.placeholder("x", ("n", "k")), gc.placeholder("w", ("k", "m"))
    f = gc.function([x, w], x @ w, backend="llvm", threads=threads)
    a, b = np.ones((1, 1001), "float32"), np.ones((1001, 21), "float32")
    b[1000, 20], b[3, 1], a[0, 7] = np.nan, np.inf, -1
    found = f(a, b)
    assert np.isnan(found[0, 20]) and found[0, 1] == np.inf and (found[0, 2:20] == 999).all()
    assert np.isnan(f(b.T.copy(), a.T.copy())[20, 0])


def test_epilogues_and_batches_of_vectors() -> None:
    x, w = gc.placeholder("x", ("b", "n", 70)), gc.placeholder("w", (70, 90))
    bias = gc.placeholder("bias", (90,))
    f = gc.function([x, w, bias], gc.nn.relu(x @ w + bias), backend="llvm", threads=2)
    rng = np.random.default_rng(0)
    weights, shift = (rng.normal(size=size).astype("float32") for size in ((70, 90), 90))
    for b, n in ((1, 1), (5, 1), (0, 1), (40, 1), (3, 4)):
        rows = rng.normal(size=(b, n, 70)).astype("float32")
        exact = np.maximum(rows @ weights + shift, 0)
        np.testing.assert_allclose(f(rows, weights, shift), exact, atol=1e-4)
