"""Our matrix product beside OpenBLAS, call by call in turns: GFLOP/s, and the ratio of times.

python benchmarks/gemm.py [f32|f64] [nn|nt|tn|tt] [MxNxK ...]

Both on one thread, on the same operands, the least time of many calls. Below 1 ours is faster.
"""

import ctypes
import math
import re
import sys
import time
from collections.abc import Callable

import numpy as np

from graphc.backends.blas_threads import BlasThreads
from graphc.backends.llvm.blas import find_blas
from graphc.backends.llvm.gemm import area_bytes, functions_of
from graphc.backends.llvm.gemm_layout import Layout
from graphc.backends.llvm.jit import Library, Module, module_object
from graphc.backends.llvm.target import host
from graphc.backends.llvm.text import module_text
from graphc.dtypes import float32, float64

SHAPES = [  # m, n, k
    (128, 512, 784),
    (128, 10, 512),
    (128, 512, 10),
    (784, 512, 128),
    (512, 10, 128),
    (32, 32, 64),
    (64, 64, 64),
    (16, 16, 32),
    (4, 512, 512),
    (8, 256, 256),
    (16, 1024, 1024),
    (32, 512, 512),
    (37, 41, 43),
    (101, 77, 333),
    (257, 301, 509),
    (512, 512, 512),
    (509, 521, 523),
    (1024, 1024, 1024),
    (256, 2500, 2000),
    (2500, 2000, 256),
    (2048, 2048, 2048),
    (1000, 10, 1000),
    (10, 1000, 1000),
    (1000, 3, 64),
]
LIMIT = 0.5  # seconds a shape
Call = Callable[[], None]


def ours(layout: Layout) -> tuple[Library, Callable[..., None]]:
    text = module_text(list(functions_of(layout, host()).values()))
    name = f"void @{layout.name}("
    text = text.replace(f"define internal {name}", f"define {name}")
    library = Library([module_object(Module(text), host())], [layout.name], {})
    pointer, word = ctypes.c_void_p, ctypes.c_int64
    types = [*[pointer] * 3, *[word] * 6, pointer, word, word]
    return library, ctypes.CFUNCTYPE(None, *types)(library.address(layout.name))


def openblas(layout: Layout) -> Callable[..., None] | None:
    blas = find_blas()
    if blas is None or blas.style != "cblas":
        return None
    real = ctypes.c_float if layout.dtype == float32 else ctypes.c_double
    flags, sizes = [ctypes.c_int32] * 3, [ctypes.c_int64] * 3
    matrix = [ctypes.c_void_p, ctypes.c_int64]
    types = [*flags, *sizes, real, *matrix, *matrix, real, *matrix]
    letter = "s" if layout.dtype == float32 else "d"
    return ctypes.CFUNCTYPE(None, *types)(blas.addresses[f"{letter}gemm"])


def measure(layout: Layout, shapes: list[tuple[int, int, int]]) -> None:
    library, product = ours(layout)
    other = openblas(layout)
    rng = np.random.default_rng(0)
    ratios: list[float] = []
    print(f"{layout.name:18}      ours  OpenBLAS   ratio")
    for m, n, k in shapes:
        a = rng.normal(size=(k, m) if layout.transpose_a else (m, k)).astype(layout.dtype)
        b = rng.normal(size=(n, k) if layout.transpose_b else (k, n)).astype(layout.dtype)
        out, size = np.empty((m, n), layout.dtype), area_bytes(layout, host())
        area = np.empty(size + 64, np.uint8)
        at = -(-area.ctypes.data // 64) * 64
        pointers, rows = (one.ctypes.data for one in (out, a, b)), (n, a.shape[1], b.shape[1])
        first = (*pointers, m, n, k, *rows, at, size, 1)
        turned = (101, 111 + layout.transpose_a, 111 + layout.transpose_b)
        operands = (a.ctypes.data, a.shape[1], b.ctypes.data, b.shape[1])
        second = (*turned, m, n, k, 1.0, *operands, 0.0, out.ctypes.data, n)
        best = [math.inf, math.inf]
        end = time.perf_counter() + LIMIT
        while time.perf_counter() < end:
            start = time.perf_counter()
            product(*first)
            middle = time.perf_counter()
            if other is not None:
                other(*second)
            best = [
                min(best[0], middle - start),
                min(best[1], time.perf_counter() - middle),
            ]
        rates = [2e-9 * m * n * k / seconds for seconds in best]
        ratios.append(best[0] / best[1])
        print(f"{m:6}{n:6}{k:6}{rates[0]:10.1f}{rates[1]:10.1f}{ratios[-1]:8.2f}")
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    print(f"geometric mean of the ratios {mean:.2f}\n")
    del library


def main() -> None:
    words = sys.argv[1:]
    dtypes = [d for d, name in ((float32, "f32"), (float64, "f64")) if name in words]
    turns = [word for word in words if re.fullmatch("[nt]{2}", word)] or ["nn", "nt", "tn", "tt"]
    shapes = [tuple(map(int, word.split("x"))) for word in words if "x" in word]
    with BlasThreads(1):
        for dtype in dtypes or [float32, float64]:
            for letters in turns:
                layout = Layout(dtype, letters[0] == "t", letters[1] == "t")
                measure(layout, [(s[0], s[1], s[2]) for s in shapes] or SHAPES)


if __name__ == "__main__":
    main()
