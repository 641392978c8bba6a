"""Routines of matrix products alone: compiled, called, and compared with numpy."""

import ctypes
from collections.abc import Callable, Sequence
from functools import cache
from itertools import cycle
from typing import Any

import numpy as np

from graphc.backends.llvm.gemm import area_bytes, functions_of
from graphc.backends.llvm.gemm_layout import Layout
from graphc.backends.llvm.jit import Library, Module, module_object
from graphc.backends.llvm.one_thread import PARALLEL
from graphc.backends.llvm.pool import parallel_address
from graphc.backends.llvm.target import Target
from graphc.backends.llvm.text import module_text
from tests.backends.llvm.fences import Fenced

Array = np.ndarray[Any, Any]
Place = Callable[[Array], Array]
Sizes = tuple[int, int, int]
Product = Callable[[Array, Array, Array, Array, Sizes], None]


def text_of(layout: Layout, target: Target) -> str:
    text = module_text(list(functions_of(layout, target).values()))
    return text.replace(f"define internal void @{layout.name}(", f"define void @{layout.name}(")


@cache
def compiled(layout: Layout, target: Target) -> tuple[Library, Product]:
    image = module_object(Module(text_of(layout, target)), target)
    library = Library([image], [layout.name], {PARALLEL: parallel_address()})
    types = [ctypes.c_void_p] * 3 + [ctypes.c_int64] * 6 + [ctypes.c_void_p] + [ctypes.c_int64] * 2
    function = ctypes.CFUNCTYPE(None, *types)(library.address(layout.name))

    def product(out: Array, a: Array, b: Array, area: Array, sizes: Sizes) -> None:
        out_at, a_at, b_at, area_at = (one.ctypes.data for one in (out, a, b, area))
        rows = (out.shape[1], a.shape[1], b.shape[1])
        function(out_at, a_at, b_at, *sizes, *rows, area_at, area.size // 2, 2)

    return library, product


def check(layout: Layout, target: Target, place: Place, sizes: Sequence[Sizes]) -> None:
    """The routine at sizes (m, n, k) against numpy; place: puts arrays where they shall lie."""
    rng = np.random.default_rng(0)
    _, product = compiled(layout, target)
    for m, n, k in sizes:
        a, b = (rng.normal(size=shape).astype(layout.dtype) for shape in ((m, k), (k, n)))
        left = place(np.ascontiguousarray(a.T) if layout.transpose_a else a)
        right = place(np.ascontiguousarray(b.T) if layout.transpose_b else b)
        out = place(np.full((m, n), np.nan, layout.dtype))
        size = 2 * area_bytes(layout, target)
        product(out, left, right, place(np.full(size, 255, np.uint8)), (m, n, k))
        exact = a.astype(np.float64) @ b.astype(np.float64)
        error = np.abs(out - exact).max(initial=0.0)
        assert error <= (k + 1) * 8 * np.finfo(layout.dtype).eps, (m, n, k)


def between_fences(at_end: bool) -> Place:
    """Result, operands and area of a product, in turns, each in fenced memory of its own."""
    turns = cycle([*(Fenced(64) for _ in range(3)), Fenced(512)])
    return lambda values: next(turns).array(values, at_end)
