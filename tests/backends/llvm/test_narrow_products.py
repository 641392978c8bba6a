"""Products of narrow matrices: widened as they are packed, or some neighbours at once."""

from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.backends.llvm.compiling import compiled_program
from graphc.backends.llvm.target import host
from graphc.dtypes import (
    DType,
    bfloat16,
    float16,
    float32,
    int8,
    int16,
    int32,
    int64,
    is_half,
    uint8,
    uint16,
    uint32,
)
from graphc.loops.interpreter import run_program
from graphc.loops.ir import Buffer, Contraction, Program
from graphc.shapes import Dim, Shape
from tests.backends.llvm.targets import lesser_target

n, m, k = (Dim.symbol(name) for name in "nmk")
PAIRS = [
    (bfloat16, float32),
    (float16, float32),
    (int8, int32),
    (uint8, int32),
    (int16, int32),
    (uint16, int32),
]
MIXED = [(uint8, int8), (int8, uint8)]
SAME = [(int32, int32), (int64, int64), (uint32, uint32)]
FLIPS = [(a, b) for a in (False, True) for b in (False, True)]
EXTENTS = [
    *((0, 3, 2), (3, 0, 2), (3, 2, 0), (1, 1, 1), (1, 40, 130), (40, 1, 131)),
    *((7, 17, 33), (6, 64, 1), (6, 64, 2), (13, 65, 3), (50, 129, 64), (97, 31, 301), (5, 7, 2049)),
]


def numbers(shape: tuple[int, ...], dtype: DType, seed: int) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(seed)
    if is_half(dtype):
        return rng.normal(size=shape).astype(dtype)
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)


def program_of(
    narrow: DType, wide: DType, flips: tuple[bool, bool], other: DType | None = None
) -> Program:
    operands = None if narrow == wide else (narrow, other or narrow)
    step = Contraction("out", "a", "b", wide, n, m, k, *flips, operands=operands)
    shapes: dict[str, tuple[DType, Shape]] = {
        "a": (narrow, (k, n) if flips[0] else (n, k)),
        "b": (other or narrow, (m, k) if flips[1] else (k, m)),
        "out": (wide, (n, m)),
    }
    buffers = {
        name: Buffer(name, dtype, shape, "output" if name == "out" else "input")
        for name, (dtype, shape) in shapes.items()
    }
    return Program("product", ("n", "m", "k"), buffers, (step,), ("out",))


def check(
    target: Any,
    narrow: DType,
    wide: DType,
    flips: tuple[bool, bool],
    other: DType | None = None,
) -> None:
    program = program_of(narrow, wide, flips, other)
    executable = compiled_program(program, target, 1)
    for rows, columns, inner in EXTENTS:
        a = numbers((inner, rows) if flips[0] else (rows, inner), narrow, 0)
        b = numbers((columns, inner) if flips[1] else (inner, columns), other or narrow, 1)
        out, wanted = (np.empty((rows, columns), wide) for _ in range(2))
        executable.bind([rows, columns, inner], [])([a, b, out])
        double = np.float64 if wide == float32 else wide
        left, right = a.astype(double), b.astype(double)
        wanted = (left.T if flips[0] else left) @ (right.T if flips[1] else right)
        if wide == float32:
            np.testing.assert_allclose(out, wanted, rtol=1e-5, atol=3e-5 * (inner + 1) ** 0.5)
        else:
            np.testing.assert_array_equal(out, wanted)


@pytest.mark.parametrize("flips", FLIPS, ids=str)
@pytest.mark.parametrize(("narrow", "wide"), [*PAIRS, *SAME], ids=str)
def test_products_of_narrow_matrices(narrow: DType, wide: DType, flips: tuple[bool, bool]) -> None:
    check(host(), narrow, wide, flips)


@pytest.mark.parametrize("name", ["sse2", "avx2", "avx512"])
@pytest.mark.parametrize(("narrow", "wide"), [*PAIRS, *SAME[:2]], ids=str)
def test_products_on_lesser_processors(narrow: DType, wide: DType, name: str) -> None:
    if (narrow, name) == (float16, "sse2"):
        return  # its conversions are calls of a library
    for flips in (FLIPS[0], FLIPS[3]):
        check(lesser_target(name), narrow, wide, flips)


@pytest.mark.parametrize("name", ["host", "half", "sse2", "avx2", "avx512"])
@pytest.mark.parametrize(("first", "second"), MIXED, ids=str)
def test_products_of_unsigned_and_signed_bytes(first: DType, second: DType, name: str) -> None:
    target = host() if name in ("host", "half") else lesser_target(name)
    if name == "half":
        if not target.has_quads or target.vector_bytes < 64:
            pytest.skip("this processor has no such instruction for both sizes")
        target = target._replace(vector_bytes=32, masked_sizes=frozenset((4, 8)))
    for flips in FLIPS if name == "host" else (FLIPS[0], FLIPS[3]):
        check(target, first, int32, flips, second)


@pytest.mark.parametrize("backend", ["reference", "interpreter", "numba_cpu", "llvm"])
@pytest.mark.parametrize(("first", "second"), MIXED, ids=str)
def test_mixed_bytes_are_multiplied_as_they_are(first: DType, second: DType, backend: str) -> None:
    """In int32 where they were cast to it, in int16, their common dtype, where they were not."""
    x, y = gc.placeholder("x", ("m", "k"), first), gc.placeholder("y", ("n", "k"), second)
    batch = gc.placeholder("z", (3, "k", "n"), second)
    wide = [one.astype(int32) for one in (x, y, batch)]
    outputs = [wide[0] @ wide[1].mT, wide[1] @ wide[0].mT, wide[0] @ wide[2], x @ y.mT]
    f = gc.function([x, y, batch], outputs, backend=backend)
    if backend != "reference":
        assert "wide_matmul(x, y" in f.graph_text()
    for rows, columns, inner in ((1, 1, 1), (7, 33, 5), (20, 70, 64)):
        a, b = numbers((rows, inner), first, 0), numbers((columns, inner), second, 1)
        c = numbers((3, inner, columns), second, 2)
        found = f(a, b, c)
        one, two, three = (value.astype(int32) for value in (a, b, c))
        wanted = [one @ two.T, two @ one.T, one @ three, (one @ two.T).astype(int16)]
        for result, right in zip(found, wanted, strict=True):
            assert result.dtype == right.dtype
            np.testing.assert_array_equal(result, right)


@pytest.mark.parametrize("flips", FLIPS, ids=str)
@pytest.mark.parametrize("dtype", [int8, uint8], ids=str)
def test_bytes_four_at_a_time_in_half_registers(dtype: DType, flips: tuple[bool, bool]) -> None:
    """As of AVX-VNNI, without masks of bytes."""
    if not host().has_quads or host().vector_bytes < 64:
        pytest.skip("this processor has no such instruction for both sizes")
    target = host()._replace(vector_bytes=32, masked_sizes=frozenset((4, 8)))
    check(target, dtype, int32, flips)


@pytest.mark.parametrize(("left", "right"), [(int8, int8), (uint8, uint8), *MIXED], ids=str)
def test_sums_of_extreme_bytes(left: DType, right: DType) -> None:
    """Nothing is cut off between the products and the sum, which is right modulo 2**32."""
    lefts, rights = np.iinfo(left), np.iinfo(right)
    x, y = gc.placeholder("x", ("m", "k"), left), gc.placeholder("y", ("k", "n"), right)
    f = gc.function([x, y], x.astype(int32) @ y.astype(int32), backend="llvm")
    for inner in (1, 2, 3, 4, 5, 35000, 70001):
        for first in (lefts.min, lefts.max):
            for second in (rights.min, rights.max):
                a, b = np.full((8, inner), first, left), np.full((inner, 70), second, right)
                wanted = np.int64(int(first) * int(second) * inner).astype(np.int32)
                np.testing.assert_array_equal(f(a, b), wanted)


@pytest.mark.parametrize(("narrow", "wide"), PAIRS, ids=str)
def test_the_interpreter_agrees(narrow: DType, wide: DType) -> None:
    program = program_of(narrow, wide, (False, True))
    a, b = numbers((3, 5), narrow, 0), numbers((4, 5), narrow, 1)
    out = np.empty((3, 4), wide)
    run_program(program, {"n": 3, "m": 4, "k": 5}, {"a": a, "b": b, "out": out})
    np.testing.assert_allclose(out, a.astype(wide) @ b.astype(wide).T, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("dtype", [bfloat16, float16, int8], ids=str)
def test_long_sums_and_many_threads(dtype: DType, threads: int) -> None:
    """The bits do not depend on the number of threads; sums of odd lengths are cut at even ones."""
    x, y = gc.placeholder("x", ("n", 20), dtype), gc.placeholder("y", ("n", 70), dtype)
    wide = float32 if is_half(dtype) else int32
    product_ = gc.matmul(x.astype(wide), y.astype(wide), transpose_a=True)
    f = gc.function([x, y], product_, backend="llvm", threads=threads)
    one = gc.function([x, y], product_, backend="llvm", threads=1)
    for rows in (20000, 20001):
        a, b = numbers((rows, 20), dtype, 0), numbers((rows, 70), dtype, 1)
        found = f(a, b)
        np.testing.assert_array_equal(found, one(a, b))
        double = np.float64 if is_half(dtype) else np.int64
        wanted = a.astype(double).T @ b.astype(double)
        if is_half(dtype):
            np.testing.assert_allclose(found, wanted, atol=1e-2)
        else:
            np.testing.assert_array_equal(found, wanted.astype(np.int32))


@pytest.mark.parametrize("backend", ["llvm", "numba_cpu", "interpreter"])
@pytest.mark.parametrize("dtype", [bfloat16, float16, int8, uint8, int16, uint16], ids=str)
def test_results_are_rounded_once(dtype: DType, backend: str) -> None:
    """By what follows the product, in its own kernel."""
    x, y = gc.placeholder("x", (9, 33), dtype), gc.placeholder("y", (33, 17), dtype)
    b = gc.placeholder("b", (17,), dtype)
    f = gc.function([x, y, b], gc.maximum(x @ y + b, 0), backend=backend)
    a, c, d = numbers((9, 33), dtype, 0), numbers((33, 17), dtype, 1), numbers((17,), dtype, 2)
    wide = np.float64 if is_half(dtype) else np.int64
    rounded = (a.astype(wide) @ c.astype(wide)).astype(dtype)
    wanted = np.maximum(rounded + d, 0)
    found = f(a, c, d)
    assert found.dtype == dtype
    tolerance = {bfloat16: 2e-2, float16: 2e-3}.get(dtype, 0)
    np.testing.assert_allclose(
        found.astype(np.float64), wanted.astype(np.float64), rtol=tolerance, atol=5 * tolerance
    )
    assert "wide_matmul" in f.graph_text()


def test_casts_before_a_product_are_part_of_it() -> None:
    x, y = gc.placeholder("x", ("n", 64), "bfloat16"), gc.placeholder("y", (64, 32), "bfloat16")
    f = gc.function([x, y], x.astype("float32") @ y.astype("float32"), backend="llvm")
    assert f.graph_text().count("astype") == 0
    a, b = numbers((30, 64), bfloat16, 0), numbers((64, 32), bfloat16, 1)
    found = f(a, b)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, a.astype("f4") @ b.astype("f4"), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [bfloat16, float16], ids=str)
@pytest.mark.parametrize("size", [64, 33])
def test_weights_of_loops(size: int, dtype: DType) -> None:
    """Packed once before the loop, where rows of the other operand are read as they are."""
    w, first = gc.placeholder("w", (size, size), dtype), gc.placeholder("h", (20, size), dtype)
    xs = gc.placeholder("xs", (5, 20, size), dtype)

    def step(h: gc.Tensor, x: gc.Tensor) -> tuple[gc.Tensor, gc.Tensor]:
        h = gc.tanh(h @ w + x)
        return h, h

    results = gc.scan(step, first, xs)[1]
    values = [numbers((size, size), dtype, 0) * dtype.type(0.1)]
    values += [numbers(shape, dtype, 1) for shape in ((20, size), (5, 20, size))]
    f = gc.function([w, first, xs], results, backend="llvm")
    slow = gc.function([w, first, xs], results, backend="interpreter")
    found, wanted = (one(*values).astype("f4") for one in (f, slow))
    np.testing.assert_allclose(found, wanted, rtol=0.05, atol=0.02)


def test_batches_of_narrow_matrices() -> None:
    """Attention in bfloat16: strides of operands and of results are of unlike elements."""
    rng = np.random.default_rng(0)
    q, key, v = (gc.placeholder(name, ("b", 3, 70, 40), "bfloat16") for name in ("q", "k", "v"))
    weights = gc.nn.softmax(q @ key.mT / 6.0, axis=-1)
    f = gc.function([q, key, v], weights @ v, backend="llvm")
    values = [rng.normal(size=(2, 3, 70, 40)).astype(bfloat16) for _ in range(3)]
    found = f(*values).astype("f4")
    a, b, c = (value.astype("f8") for value in values)
    scores = a @ b.swapaxes(-1, -2) / 6.0
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    wanted = scores / scores.sum(-1, keepdims=True) @ c
    np.testing.assert_allclose(found, wanted, rtol=5e-2, atol=2e-2)
