"""Our matrix product beside OpenBLAS, call by call in turns: GFLOP/s, and the ratio of times.

python benchmarks/gemm.py [f32|f64] [nn|nt|tn|tt] [MxNxK ...]
python benchmarks/gemm.py strided     operands that are views, beside numpy and torch
python benchmarks/gemm.py narrow      bfloat16, float16 and integers, beside torch and JAX
python benchmarks/gemm.py threads     one and two threads; only an idle machine tells anything

All on one thread but for the last, on the same operands, the least time of many calls. Below 1
ours is faster.
"""

import argparse
import ctypes
import importlib
import math
import re
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import graphc as gc
from graphc.backends.blas_threads import BlasThreads, openblas_paths
from graphc.backends.llvm.gemm import area_bytes, functions_of
from graphc.backends.llvm.gemm_layout import Layout
from graphc.backends.llvm.jit import Library, Module, module_object
from graphc.backends.llvm.target import host
from graphc.backends.llvm.text import module_text
from graphc.dtypes import float32, float64
from graphc.function import Function
from graphc.loops.ir import Contraction
from graphc.shapes import evaluate, size_product

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
    (1, 512, 784),
    (1000, 1, 1000),
    (1, 1, 100_000),
    (64, 64, 100_000),
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
    name = "scipy_cblas_sgemm64_" if layout.dtype == float32 else "scipy_cblas_dgemm64_"
    libraries = [ctypes.CDLL(path) for path in openblas_paths()]
    found = [getattr(library, name) for library in libraries if hasattr(library, name)]
    if not found:
        return None
    real = ctypes.c_float if layout.dtype == float32 else ctypes.c_double
    flags, sizes = [ctypes.c_int32] * 3, [ctypes.c_int64] * 3
    matrix = [ctypes.c_void_p, ctypes.c_int64]
    types = [*flags, *sizes, real, *matrix, *matrix, real, *matrix]
    routine: Callable[..., None] = ctypes.CFUNCTYPE(None, *types)(
        ctypes.cast(found[0], ctypes.c_void_p).value or 0
    )
    return routine


def measure(layout: Layout, shapes: list[tuple[int, int, int]]) -> None:
    library, product = ours(layout)
    other = openblas(layout)
    rng = np.random.default_rng(0)
    ratios: list[float] = []
    print(f"{layout.name:22}    ours  OpenBLAS   ratio")
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
        print(f"{m:6}{n:6}{k:8}{rates[0]:10.1f}{rates[1]:10.1f}{ratios[-1]:8.2f}")
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    print(f"geometric mean of the ratios {mean:.2f}\n")
    del library


# --- operands that are views -------------------------------------------------------------------


def heads(x: Any, count: int, order: Callable[..., Any]) -> Any:
    """(b, s, count*d) -> (b, count, s, d)"""
    return order(x.reshape((*x.shape[:-1], count, x.shape[-1] // count)), (0, 2, 1, 3))


Product = Callable[[Any, Any, Callable[..., Any]], Any]

# Name, shapes, and the product by methods that graphc, numpy and torch have; `order` moves axes.
STRIDED: list[tuple[str, tuple[int, ...], tuple[int, ...], Product]] = [
    ("first columns", (1024, 1024), (512, 512), lambda x, w, order: x[:, :512] @ w),
    ("last columns", (1024, 1031), (512, 512), lambda x, w, order: x[:, 519:] @ w),
    ("a block of the weights", (512, 256), (1024, 768), lambda x, w, order: x @ w[256:512, :256]),
    ("rows of odd steps", (2048, 256), (256, 256), lambda x, w, order: x[1::2] @ w),
    ("thirds of qkv", (1024, 768), (1024, 768), lambda x, y, order: x[:, :256] @ y[:, 512:].T),
    (
        "heads, scores",
        (8, 128, 256),
        (8, 128, 256),
        lambda q, k, order: heads(q, 8, order) @ order(heads(k, 8, order), (0, 1, 3, 2)),
    ),
    (
        "heads, long rows",
        (2, 512, 512),
        (2, 512, 512),
        lambda q, k, order: heads(q, 8, order) @ order(heads(k, 8, order), (0, 1, 3, 2)),
    ),
    (
        "transposed batch axis",
        (64, 32, 128),
        (32, 128, 128),
        lambda x, w, order: order(x, (1, 0, 2)) @ w,
    ),
    ("the last of each sequence", (64, 128, 256), (256, 256), lambda x, w, order: x[:, -1] @ w),
]


def views_of(function: Function) -> tuple[int, int]:
    """Operands that are read through views, and the bytes that copies of them would have."""
    count = size = 0
    program = function.stages.program
    assert program is not None
    for step in program.all_steps:
        if isinstance(step, Contraction) and (step.rows or step.offsets):
            for number in (1, 2):
                columns = step.shapes[number][1]
                if step.distances[number] != columns or step.starts[number] != 0:
                    count += 1
                    whole = size_product((*step.batch, *step.shapes[number]))
                    size += step.dtype.itemsize * evaluate(whole, {})
    return count, size


def least_times(calls: list[Call], limit: float = LIMIT) -> list[float]:
    """Of many calls in turns."""
    best = [math.inf] * len(calls)
    end = time.perf_counter() + limit
    while time.perf_counter() < end:
        for number, call in enumerate(calls):
            start = time.perf_counter()
            call()
            best[number] = min(best[number], time.perf_counter() - start)
    return best


def strided() -> None:
    """Each product as a function, its result in memory that is there already where that goes."""
    torch: Any = None
    try:
        torch = importlib.import_module("torch")
        torch.set_num_threads(1)
    except ImportError:
        print("torch is not installed: without it")
    rng = np.random.default_rng(0)
    titles = ("ours us", "numpy us", "torch us", "ratio", "views", "KB uncopied")
    print(f"{'operands':26}" + "".join(f"{title:>12}" for title in titles))
    for name, left, right, product in STRIDED:
        arrays = [rng.normal(size=shape).astype("float32") for shape in (left, right)]
        x, w = gc.placeholder("x", left), gc.placeholder("w", right)
        f = gc.function([x, w], product(x, w, gc.permute_dims), threads=1)
        out = f(*arrays)
        wanted = product(*arrays, np.transpose)
        np.testing.assert_allclose(out, wanted, rtol=1e-3, atol=1e-3)
        calls: list[Call] = [
            lambda f=f, arrays=arrays, out=out: f(*arrays, out=out),
            lambda arrays=arrays, product=product: product(*arrays, np.transpose),
        ]
        if torch is not None:
            pair = [torch.from_numpy(array) for array in arrays]
            calls.append(lambda pair=pair, product=product: product(*pair, torch.permute))
        times = least_times(calls)
        cells = [1e6 * seconds for seconds in times] + [math.nan] * (3 - len(times))
        count, size = views_of(f)
        row = "".join(f"{cell:12.0f}" for cell in cells)
        print(f"{name:26}{row}{times[0] / min(times[1:]):12.2f}{count:12}{size / 1024:12.0f}")


# --- narrow numbers ------------------------------------------------------------------------------

NARROW = [(256, 256, 256), (512, 512, 512), (64, 1024, 1024), (1024, 1024, 1024), (250, 333, 1001)]
WIDE = {"bfloat16": "bfloat16", "float16": "float16", "int8": "int32", "int32": "int32"}


def narrow(shapes: list[tuple[int, int, int]]) -> None:
    """Results have the dtype of the operands, of int8 int32. torch has no integer products but
    `torch._int_mm`."""
    rng = np.random.default_rng(0)
    print(
        f"{'':9}{'m':>6}{'n':>6}{'k':>6}{'ours us':>12}{'torch us':>12}{'JAX us':>12}{'ratio':>8}"
    )
    for dtype, wide in WIDE.items():
        for m, n, k in shapes:
            arrays = [rng.normal(size=shape, scale=9) for shape in ((m, k), (k, n))]
            a, b = (one.astype(gc.as_dtype(dtype)) for one in arrays)
            x, y = gc.placeholder("x", (m, k), dtype), gc.placeholder("y", (k, n), dtype)
            product = x @ y if wide == dtype else x.astype(wide) @ y.astype(wide)
            f = gc.function([x, y], product, threads=1)
            calls: list[Call] = [lambda f=f, a=a, b=b: f(a, b)]
            calls += [_with_torch(a, b, dtype), _with_jax(a, b, wide)]
            known = [call for call in calls if call is not None]
            times = dict(zip(map(id, known), least_times(known), strict=True))
            cells = [times.get(id(call), math.nan) for call in calls]
            row = "".join(f"{1e6 * cell:12.0f}" for cell in cells)
            best = min((cell for cell in cells[1:] if cell == cell), default=math.nan)
            print(f"{dtype:9}{m:6}{n:6}{k:6}{row}{cells[0] / best:8.2f}", flush=True)


def _with_torch(a: np.ndarray, b: np.ndarray, dtype: str) -> Any:
    try:
        torch: Any = importlib.import_module("torch")
    except ImportError:
        return None
    torch.set_num_threads(1)
    if dtype == "float16" or dtype == "int32":
        return None  # takes a hundred times as long
    kind = getattr(torch, dtype)
    pair = [torch.from_numpy(one.astype("float32")).to(kind) for one in (a, b)]
    multiply = torch._int_mm if dtype == "int8" else torch.mm
    try:
        multiply(*pair)
    except RuntimeError:
        return None  # not of these sizes
    return lambda: multiply(*pair)


def _with_jax(a: np.ndarray, b: np.ndarray, wide: str) -> Any:
    try:
        jax: Any = importlib.import_module("jax")
    except ImportError:
        return None
    multiply = jax.jit(lambda x, y: jax.lax.dot(x, y, preferred_element_type=wide))
    pair = [jax.numpy.asarray(one) for one in (a, b)]
    return lambda: multiply(*pair).block_until_ready()


# --- threads -------------------------------------------------------------------------------------


def scaling(shapes: list[tuple[int, int, int]]) -> None:
    """Products of dense matrices on one thread and on two."""
    rng = np.random.default_rng(0)
    print(f"{'':4}{'m':>6}{'n':>6}{'k':>6}{'1 thread us':>14}{'2 threads us':>14}{'times':>8}")
    for letters in ("nn", "nt", "tn"):
        for m, n, k in shapes:
            shape_a = (k, m) if letters[0] == "t" else (m, k)
            shape_b = (n, k) if letters[1] == "t" else (k, n)
            a, b = gc.placeholder("a", shape_a), gc.placeholder("b", shape_b)
            product = (a.T if letters[0] == "t" else a) @ (b.T if letters[1] == "t" else b)
            arrays = [rng.normal(size=shape).astype("float32") for shape in (shape_a, shape_b)]
            functions = [gc.function([a, b], product, threads=count) for count in (1, 2)]
            outs = [f(*arrays) for f in functions]
            assert outs[0].tobytes() == outs[1].tobytes()
            calls: list[Call] = [
                lambda f=f, arrays=arrays, out=out: f(*arrays, out=out)
                for f, out in zip(functions, outs, strict=True)
            ]
            one, two = least_times(calls)
            print(f"{letters:4}{m:6}{n:6}{k:6}{1e6 * one:14.0f}{1e6 * two:14.0f}{one / two:8.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("words", nargs="*", help="as above")
    words = parser.parse_args().words
    dtypes = [d for d, name in ((float32, "f32"), (float64, "f64")) if name in words]
    turns = [word for word in words if re.fullmatch("[nt]{2}", word)] or ["nn", "nt", "tn", "tt"]
    shapes = [tuple(map(int, word.split("x"))) for word in words if "x" in word]
    if "threads" in words:
        scaling([(s[0], s[1], s[2]) for s in shapes] or SHAPES[:6])
        return
    with BlasThreads(1):
        if "strided" in words:
            strided()
            return
        if "narrow" in words:
            narrow([(s[0], s[1], s[2]) for s in shapes] or NARROW)
            return
        for dtype in dtypes or [float32, float64]:
            for letters in turns:
                layout = Layout(dtype, letters[0] == "t", letters[1] == "t", vectors=True)
                measure(layout, [(s[0], s[1], s[2]) for s in shapes] or SHAPES)


if __name__ == "__main__":
    main()
