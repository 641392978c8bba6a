"""Products of matrices in half precision: summed in float32, rounded once.

    void @product(ptr out, ptr a, ptr b, i64 m, i64 n, i64 k, ptr area, i64 threads)

The operands are widened into the area, our float32 product runs on them, its result is rounded.
"""

from dataclasses import replace

from graphc.backends.llvm.emitter import emit_kernel
from graphc.backends.llvm.gemm import (
    AREA_POINTER,
    MATRICES,
    SIZES,
    THREADS,
    area_bytes,
    functions_of,
)
from graphc.backends.llvm.gemm_rows import Arithmetic, Layout
from graphc.backends.llvm.scopes import Code
from graphc.backends.llvm.target import Target
from graphc.backends.llvm.text import FunctionText, Val
from graphc.dtypes import DType, float32
from graphc.loops.ir import For, Kernel, Parameter, Store
from graphc.scalar.expr import Index, Load, cast
from graphc.shapes import Dim, Size

ALIGNMENT = 64


def half_area_bytes(layout: Layout, target: Target, m: Size, n: Size, k: Size) -> Size:
    wide = 4 * (m * k + k * n + m * n) + ALIGNMENT
    return wide + area_bytes(replace(layout, dtype=float32), target, m, n, k)


def half_functions(layout: Layout, target: Target) -> dict[str, FunctionText]:
    """Every routine of the product, by name."""
    wide, half = replace(layout, dtype=float32), layout.dtype
    widen, narrow = f"widen_{half.name}", f"narrow_{half.name}"
    found = functions_of(wide, target)
    for name, source, result in ((widen, half, float32), (narrow, float32, half)):
        found[name] = emit_kernel(_conversion(source, result), target, whole=True).named(name)

    x = Arithmetic(Code(has_fma=target.has_fma))
    (out, a, b), (m, n, k) = MATRICES, SIZES
    counts = [x.mul(m, k), x.mul(k, n), x.mul(m, n)]
    places, end = [AREA_POINTER], x.const(0)
    for count in counts:
        end = x.add(end, x.mul(count, float32.itemsize))
        places.append(x.at(AREA_POINTER, end))
    up = x.add(end, x.const(ALIGNMENT - 1))
    inner = x.at(AREA_POINTER, x.code.operation("and", up, x.const(-ALIGNMENT)))

    def convert(name: str, target_of: Val, source: Val, count: Val) -> None:
        x.call(name, (target_of, source, count))

    convert(widen, places[0], a, counts[0])
    convert(widen, places[1], b, counts[1])
    x.call(wide.name, (places[2], places[0], places[1], m, n, k, inner, THREADS))
    convert(narrow, out, places[2], counts[2])
    x.code.builder.line("ret void")
    given = (*MATRICES, *SIZES, AREA_POINTER, THREADS)
    found[layout.name] = x.function(layout.name, given, target)
    return found


def _conversion(source: DType, result: DType) -> Kernel:
    n, i = Dim.symbol("n"), Dim.symbol("i")
    value = cast(Load("x", (Index(i),), source), result)
    return Kernel(
        "conversion",
        (Parameter("out", result, (n,), written=True), Parameter("x", source, (n,))),
        ("n",),
        (For("i", n, "vector", (Store("out", (Index(i),), value),)),),
    )
