"""Stores past the cache: the same values everywhere, and nothing outside the arrays."""

from collections.abc import Mapping

import numpy as np
import pytest

from graphc.backends.llvm.compiling import compiled_program
from graphc.backends.llvm.target import host
from graphc.dtypes import DType, float16, float32, float64, int8
from graphc.loops.ir import Accumulate, Accumulator, For, Kernel, Parameter, Statement, Store
from graphc.scalar import expr as s
from graphc.scalar.expr import Expr, Index, Load, Local
from graphc.shapes import Dim, Size
from tests.backends.llvm.conftest import program_of

n, m, i, j = (Dim.symbol(name) for name in "nmij")
STREAMS = host().vector_bytes > 16  # narrower vectors write a line in too many parts
SIZES = [0, 1, 7, 255, 256, 257, 263, 1021, 2048]


def load(buffer: str, *sizes: Size, dtype: DType = float32) -> Expr:
    return Load(buffer, tuple(Index(size) for size in sizes), dtype)


def run(kernel: Kernel, arrays: list[np.ndarray], sizes: list[int]) -> str:
    """Run with a cache so small that every kernel goes past it; its text."""
    target = host()._replace(cache_bytes=1)
    executable = compiled_program(program_of(kernel), target, 1)
    executable.bind(sizes, [])(arrays)
    return executable.texts["llvm"]


def shifted(values: np.ndarray, elements: int) -> np.ndarray:
    """A copy that begins so many elements behind a line, between numbers that must stay."""
    memory = np.full(values.size + 512, 77, values.dtype)
    start = -memory.ctypes.data % 64 // values.itemsize + elements
    placed = memory[start : start + values.size].reshape(values.shape)
    placed[...] = values
    return placed


def intact(array: np.ndarray) -> bool:
    """Whether what stands around a shifted array is as it was."""
    memory = array.base
    assert memory is not None
    return int((memory == 77).sum()) == memory.size - array.size


@pytest.mark.parametrize("static", [False, True], ids=["symbol", "number"])
@pytest.mark.parametrize("dtype", [float32, float64, float16, int8], ids=str)
def test_elementwise(dtype: DType, static: bool) -> None:
    for size in SIZES:
        extent: Size = size if static else n
        kernel = Kernel(
            "double",
            (Parameter("x", dtype, (extent,)), Parameter("out", dtype, (extent,), written=True)),
            () if static else ("n",),
            (
                For(
                    "i",
                    extent,
                    "vector",
                    (Store("out", (Index(i),), s.add(*2 * [load("x", i, dtype=dtype)])),),
                ),
            ),
        )
        x = (np.arange(size) % 30).astype(dtype)
        for shift in (0, 1, 5, 15) if size > 200 else (0, 3):
            out = shifted(np.zeros_like(x), shift)
            text = run(kernel, [shifted(x, 2), out], [] if static else [size])
            np.testing.assert_array_equal(out, x + x)
            assert intact(out)
        if dtype in (float32, float64) and (size * dtype.itemsize >= 1024 or not static):
            assert "!nontemporal" in text or not STREAMS


@pytest.mark.parametrize("columns", [1, 255, 257, 320])
def test_rows_with_a_sum(columns: int) -> None:
    """A row that is stored while it is summed, at every distance from a line."""
    body: tuple[Statement, ...] = (
        Accumulator("total", "add", float32),
        For(
            "j",
            columns,
            "vector",
            (
                Accumulate("total", load("x", i, j)),
                Store("out", (Index(i), Index(j)), s.neg(load("x", i, j))),
            ),
        ),
        Store("sums", (Index(i),), Local("total", float32)),
    )
    kernel = Kernel(
        "rows",
        (
            Parameter("x", float32, (7, columns)),
            Parameter("out", float32, (7, columns), written=True),
            Parameter("sums", float32, (7,), written=True),
        ),
        (),
        (For("i", 7, "parallel", body),),
    )
    x = np.random.default_rng(0).integers(-9, 9, (7, columns)).astype(np.float32)
    arrays: Mapping[str, np.ndarray] = {
        "x": x,
        "out": shifted(np.zeros_like(x), 3),
        "sums": np.zeros(7, np.float32),
    }
    run(kernel, list(arrays.values()), [])
    np.testing.assert_array_equal(arrays["out"], -x)
    np.testing.assert_array_equal(arrays["sums"], x.sum(1))
    assert intact(arrays["out"])


def test_what_is_read_or_small_stays_in_the_cache() -> None:
    kernel = Kernel(
        "inplace",
        (Parameter("x", float32, (512,), written=True),),
        (),
        (For("i", 512, "vector", (Store("x", (Index(i),), s.neg(load("x", i))),)),),
    )
    x = np.arange(512, dtype=np.float32)
    assert "!nontemporal" not in run(kernel, [x], [])
    np.testing.assert_array_equal(x, -np.arange(512))
    assert "!nontemporal" not in compiled_program(program_of(kernel), host(), 1).texts["llvm"]


@pytest.mark.parametrize("static", [False, True], ids=["symbol", "number"])
def test_half_of_the_cache_is_enough(static: bool) -> None:
    """Caches that others share forget early."""
    extent: Size = 4096 if static else n
    kernel = Kernel(
        "double",
        (Parameter("x", float32, (extent,)), Parameter("out", float32, (extent,), written=True)),
        () if static else ("n",),
        (For("i", extent, "vector", (Store("out", (Index(i),), s.add(*2 * [load("x", i)])),)),),
    )

    def text(cache_bytes: int) -> str:
        target = host()._replace(cache_bytes=cache_bytes)
        return compiled_program(program_of(kernel), target, 1).texts["llvm"]

    touched = 2 * 4 * 4096
    if static:
        assert "!nontemporal" in text(2 * touched - 2) or not STREAMS
        assert "!nontemporal" not in text(2 * touched)
    else:
        assert str(touched) in text(2 * touched) or not STREAMS
