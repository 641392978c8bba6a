"""Our own matrix product: right numbers at all sizes, no access outside, on all processors."""

import ctypes
import itertools

import llvmlite.binding as llvm
import numpy as np
import pytest

import graphc as gc
from graphc.backends.llvm.gemm import area_bytes
from graphc.backends.llvm.gemm_layout import Layout
from graphc.backends.llvm.gemm_split import MOST_ROWS
from graphc.backends.llvm.jit import Module, module_assembly
from graphc.backends.llvm.target import host
from graphc.dtypes import DType, float32, float64
from tests.backends.llvm.products import Sizes, between_fences, check, compiled, text_of
from tests.backends.llvm.targets import lesser_target, other_target

LAYOUTS = [
    Layout(dtype, a, b)
    for dtype, a, b in itertools.product((float32, float64), (False, True), (False, True))
]
LAYOUTS += [Layout(dtype, True, False, turned=True) for dtype in (float32, float64)]
LAYOUTS += [
    Layout(dtype, False, b, few=few, slim=few == 0 and host().vector_bytes == 64)
    for dtype in (float32, float64)
    for b in (False, True)
    for few in (0, 2, 3)
]
SIZES: list[Sizes] = [
    *((m, n, k) for m in range(3) for n in range(3) for k in range(3)),
    *(
        (tile + d, tile * 2 + d, k)
        for tile in (4, 6, 8, 16, 24)
        for d in (-1, 0, 1)
        for k in (3, 8)
    ),
    (6, 16, 129),
    *((13, 16 * vectors + d, 70) for vectors in range(5) for d in (1, 2, 4, 5, 9)),
    (13, 37, 257),
    (7, 5, 600),
    (29, 3, 70),
]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
@pytest.mark.parametrize("at_end", [False, True], ids=["start", "end"])
def test_sizes_between_fences(layout: Layout, at_end: bool) -> None:
    """The area, too, lies between pages that nobody may touch."""
    check(layout, host(), between_fences(at_end), SIZES)


@pytest.mark.parametrize("letters", ["nn", "nt", "tn", "tt", "tn turned", "nn few", "nt few"])
def test_rows_apart_on_any_threads(letters: str) -> None:
    """Matrices inside of larger ones: nothing else is written, and threads show nowhere."""
    flags = letters[0] == "t", letters[1] == "t"
    turned, few = "turned" in letters, "few" in letters
    layout = Layout(float32, *flags, divides=True, turned=turned, few=4 * few)
    library, _ = compiled(layout, host())
    types = [ctypes.c_void_p] * 3 + [ctypes.c_int64] * 6 + [ctypes.c_void_p] + [ctypes.c_int64] * 2
    function = ctypes.CFUNCTYPE(None, *types)(library.address(layout.name))
    rng = np.random.default_rng(0)
    room = area_bytes(layout, host())
    area = np.empty(8 * room + 64, np.uint8)
    for m, n, k in [
        (0, 3, 4),
        (3, 0, 4),
        (5, 7, 0),
        (31, 1100, 530),
        (300, 70, 90),
        (300, 10, 700),
        (301, 3, 700),
        (300, 4, 70),
        (150, 257, 64),
        (150, 98, 64),
        (150, 170, 300),
        (1030, 60, 1100),
    ]:
        if layout.turned and n > MOST_ROWS:
            continue
        a, b = (rng.normal(size=shape).astype("float32") for shape in ((m, k), (k, n)))
        stored = [a.T if layout.transpose_a else a, b.T if layout.transpose_b else b]
        large = [np.ascontiguousarray(np.pad(one, ((0, 0), (0, 13)))) for one in stored]
        found = []
        for threads in (1, 2, 3, 5):
            out = np.full((m, n + 5), 7, "float32")
            matrices = [out, *large]
            rows = [one.shape[1] for one in matrices]
            at = -(-area.ctypes.data // 64) * 64
            function(*(one.ctypes.data for one in matrices), m, n, k, *rows, at, room, threads)
            assert (out[:, n:] == 7).all()
            found.append(out[:, :n])
        np.testing.assert_allclose(found[0], a @ b, atol=1e-3)
        for other in found[1:]:
            np.testing.assert_array_equal(other, found[0])


@pytest.mark.parametrize("columns", [2, 3, 10, 20])
def test_the_gradient_of_few_columns_is_turned(columns: int) -> None:
    """With its update as the epilogue, for any number of rows that are summed."""
    rng = np.random.default_rng(0)
    start = rng.normal(size=(96, columns)).astype("float32")
    w, moment = gc.variable(start, "w"), gc.variable(np.zeros_like(start), "moment")
    x, d = gc.placeholder("x", ("n", 96)), gc.placeholder("d", ("n", columns))
    new = 0.5 * moment + x.T @ d
    updates = [(moment, new), (w, w - 0.1 * new)]
    step = gc.function([x, d], None, updates=updates, backend="llvm", threads=2)
    expected, velocity = start.astype(float), np.zeros(start.shape)
    for n in (300, 0, 1, 257):
        a, b = (rng.normal(size=(n, size)).astype("float32") for size in (96, columns))
        step(a, b)
        velocity = 0.5 * velocity + a.T.astype(float) @ b
        expected = expected - 0.1 * velocity
        np.testing.assert_allclose(w.value, expected, atol=1e-3)
    if host().vector_bytes > 16:  # tiles of narrower vectors may fit as they are
        assert "_turned_divides.followed" in step.llvm()


@pytest.mark.parametrize("columns", [2, 3, 4])
def test_a_product_of_few_columns_is_of_dot_products(columns: int) -> None:
    """As a last layer is, with its bias and activation as the epilogue."""
    rng = np.random.default_rng(0)
    w, bias = (rng.normal(size=size).astype("float32") for size in ((70, columns), (columns,)))
    x = gc.placeholder("x", ("n", 70))
    f = gc.function([x], gc.nn.relu(x @ gc.constant(w) + bias), backend="llvm", threads=2)
    for n in (0, 1, 7, 24, 301):
        a = rng.normal(size=(n, 70)).astype("float32")
        np.testing.assert_allclose(f(a), np.maximum(a @ w + bias, 0), atol=1e-4)
    assert ("@few_f32" in f.llvm()) == (columns <= host().native_lanes(4) // 4)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("columns", [3, 4, 5, 6, 7, 8, 22, 40, 69])
def test_half_a_vector_holds_the_last_columns(columns: int, dtype: str, transposed: bool) -> None:
    """Or, where sums are long and rows many, they are dot products."""
    rng = np.random.default_rng(columns)
    for length in (1, 9, 300):
        shape = (length, "n") if transposed else ("n", length)
        x, w = gc.placeholder("x", shape, dtype), gc.placeholder("w", (length, columns), dtype)
        f = gc.function([x, w], gc.matmul(x, w, transpose_a=transposed) + 1, threads=1)
        if host().vector_bytes == 64 and length == 9:
            assert ("_slim" in f.llvm()) == (columns % 64 % 32 <= 32 // np.dtype(dtype).itemsize)
        for rows in (0, 1, 4, 24, 75, 300):
            a, b = rng.normal(size=(rows, length)), rng.normal(size=(length, columns))
            a, b = a.astype(dtype), b.astype(dtype)
            found = f(a.T if transposed else a, b)
            wanted = a.astype("float64") @ b.astype("float64") + 1
            np.testing.assert_allclose(found, wanted, atol=5e-4 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize("name", ["sse2", "avx2"])
def test_lesser_processors(name: str) -> None:
    target = lesser_target(name)
    few = Layout(float32, False, False, few=4)
    for layout in (Layout(float32, True, True), Layout(float64, False, False), few):
        check(layout, target, lambda values: values, SIZES)


@pytest.mark.skipif(llvm.llvm_version_info[0] < 21, reason="older LLVM keeps a few on the stack")
@pytest.mark.parametrize("name", ["avx512", "neon"])
def test_sums_stay_in_registers(name: str) -> None:
    """The innermost loop multiplies and adds as often as it should, and spills nothing."""
    target = other_target(name)
    assembly = module_assembly(Module(text_of(Layout(float32, False, False), target)), target)
    loops = [
        block for block in assembly.split("\n.LBB") if "fmadd231ps" in block or "fmla" in block
    ]
    assert loops
    for block in loops:
        count = block.count("vfmadd231ps") + block.count("fmla")
        assert count in (24, 16, 12, 8)  # of a tile, a low one, half a one, a narrow one
        assert "(%rsp)" not in block and "[sp" not in block


@pytest.mark.parametrize("dtype", [float32, float64], ids=str)
def test_run_time_sizes(dtype: DType) -> None:
    """One function for matrices and for what turns out to be vectors, or nothing."""
    x, w = gc.placeholder("x", ("n", "k"), dtype), gc.placeholder("w", ("k", "m"), dtype)
    f = gc.function([x, w], [x @ w, x.T @ x, w @ w.T], backend="llvm")
    rng = np.random.default_rng(0)
    for n, k, m in [(0, 3, 4), (1, 5, 6), (7, 1, 1), (33, 64, 17), (100, 300, 77), (5, 0, 6)]:
        a, b = (rng.normal(size=size).astype(dtype) for size in ((n, k), (k, m)))
        for result, exact in zip(f(a, b), (a @ b, a.T @ a, b @ b.T), strict=True):
            assert result.shape == exact.shape
            np.testing.assert_allclose(result, exact, atol=1e-3)


def test_batches() -> None:
    """Each of a batch, one matrix for all, and vectors of a batch."""
    x = gc.placeholder("x", ("b", 1, "n", 40))
    w, v = gc.placeholder("w", (3, 40, 33)), gc.placeholder("v", ("b", 1, 40, "p"))
    f = gc.function([x, w, v], [x @ w, x @ v, gc.matmul(v.mT, w)], backend="llvm")
    rng = np.random.default_rng(0)
    for count, n, p in ((2, 17, 30), (1, 1, 1), (0, 4, 4), (5, 64, 2)):
        shapes = ((count, 1, n, 40), (3, 40, 33), (count, 1, 40, p))
        a, b, c = (rng.normal(size=shape).astype("float32") for shape in shapes)
        for result, exact in zip(f(a, b, c), (a @ b, a @ c, c.mT @ b), strict=True):
            np.testing.assert_allclose(result, exact, atol=1e-4)


def test_rows_do_not_depend_on_where_they_stand() -> None:
    """Chunks of rows are the same numbers as the whole: fixed order of the sums."""
    x, w = gc.placeholder("x", ("n", 300)), gc.placeholder("w", (300, 50))
    f = gc.function([x, w], x @ w, backend="llvm")
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(90, 300)).astype("float32"), rng.normal(size=(300, 50))
    whole = f(a, b.astype("float32"))
    np.testing.assert_array_equal(f(a[:7], b.astype("float32")), whole[:7])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_halves(dtype: str) -> None:
    """Summed in float32 and rounded once: the same bits as numpy's float32 product, rounded."""
    x, w = gc.placeholder("x", ("b", "n", "k"), dtype), gc.placeholder("w", ("k", "m"), dtype)
    f = gc.function([x, w], [x @ w, x.mT @ x, gc.tanh(x @ w)], backend="llvm")
    rng = np.random.default_rng(0)
    for b, n, k, m in [(1, 7, 40, 33), (3, 64, 65, 66), (2, 1, 9, 1), (0, 3, 4, 5), (2, 3, 0, 4)]:
        # Small whole numbers: every order of the sums gives the same.
        wide = [rng.integers(-3, 4, size=size).astype("float32") for size in ((b, n, k), (k, m))]
        half = [one.astype(x.dtype) for one in wide]
        exact = wide[0] @ wide[1]
        found = f(*half)
        np.testing.assert_array_equal(found[0], exact.astype(x.dtype))
        np.testing.assert_array_equal(found[1], (wide[0].mT @ wide[0]).astype(x.dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("columns", [17, 18, 33, 36, 40, 65, 66, 68, 97, 257])
def test_the_last_few_columns(dtype: str, columns: int) -> None:
    """With an epilogue, sums in several steps, and any number of rows and threads."""
    rng = np.random.default_rng(columns)
    for length in (50, 700):
        x, w = (
            gc.placeholder("x", ("n", length), dtype),
            gc.placeholder("w", (length, columns), dtype),
        )
        v = gc.placeholder("v", (columns, length), dtype)
        results = [gc.tanh(x @ w / 9 + 0.5), x @ v.T]
        single, double = (gc.function([x, w, v], results, threads=n) for n in (1, 2))
        b, c = rng.normal(size=(length, columns)), rng.normal(size=(columns, length))
        for rows in (1, 2, 24, 75):
            feeds = [one.astype(dtype) for one in (rng.normal(size=(rows, length)), b, c)]
            found = single(*feeds)
            a = feeds[0].astype("float64")
            wanted = [np.tanh(a @ feeds[1] / 9 + 0.5), a @ feeds[2].T.astype("float64")]
            for one, other, same in zip(found, wanted, double(*feeds), strict=True):
                np.testing.assert_allclose(one, other, atol=5e-4 if dtype == "float32" else 1e-11)
                np.testing.assert_array_equal(one, same)
