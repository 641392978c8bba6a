"""Products of matrices in half precision: summed in float32, rounded once.

    void @product(the parameters of `gemm`)

The operands are widened into the area of the first thread, our float32 product runs on them, its
result is rounded.
"""

from dataclasses import replace

from graphc.backends.llvm.emitter import emit_kernel
from graphc.backends.llvm.gemm import (
    MATRICES,
    PRODUCT_PARAMETERS,
    ROWS,
    SIZES,
    area_bytes,
    functions_of,
)
from graphc.backends.llvm.gemm_layout import Arithmetic, Layout
from graphc.backends.llvm.parallel import AREA, STRIDE, THREADS
from graphc.backends.llvm.scopes import Code
from graphc.backends.llvm.target import Target
from graphc.backends.llvm.text import FunctionText, Val
from graphc.dtypes import DType, float32
from graphc.loops.ir import For, Kernel, Parameter, Store
from graphc.scalar.expr import Index, Load, cast
from graphc.shapes import Dim, Size, ceil_div

ALIGNMENT = 64


def half_area_bytes(layout: Layout, target: Target, m: Size, n: Size, k: Size) -> Size:
    """What each thread needs for one product; the operands are widened behind the routine's own."""
    own = area_bytes(replace(layout, dtype=float32), target)
    return ceil_div(own + 4 * (m * k + k * n + m * n), ALIGNMENT) * ALIGNMENT


def half_functions(layout: Layout, target: Target) -> dict[str, FunctionText]:
    """Every routine of the product, by name."""
    wide, half = replace(layout, dtype=float32), layout.dtype
    widen, narrow = f"widen_{half.name}", f"narrow_{half.name}"
    found = functions_of(wide, target)
    for name, source, result in ((widen, half, float32), (narrow, float32, half)):
        found[name] = emit_kernel(_conversion(source, result), target, whole=True).named(name)[0]

    x = Arithmetic(Code(has_fma=target.has_fma))
    (m, n, k), inner = SIZES, area_bytes(wide, target)
    shapes = [
        (m, n),
        (k, m) if layout.transpose_a else (m, k),
        (n, k) if layout.transpose_b else (k, n),
    ]
    places = [x.at(AREA, x.const(inner))]
    for rows, columns in shapes[:-1]:
        count = x.mul(x.mul(rows, columns), float32.itemsize)
        places.append(x.at(places[-1], count))

    def convert(name: str, number: int, *, back: bool = False) -> None:
        """Row by row: a row of the matrix, and one of the copy, which is dense."""
        (rows, columns), matrix, copy = shapes[number], MATRICES[number], places[number]

        def one(row: Val, _: list[Val]) -> list[Val]:
            of_matrix = x.at(matrix, x.mul(x.mul(row, ROWS[number]), half.itemsize))
            of_copy = x.at(copy, x.mul(x.mul(row, columns), float32.itemsize))
            pair = (of_matrix, of_copy) if back else (of_copy, of_matrix)
            x.call(name, (*pair, columns))
            return []

        x.code.loop(x.const(0), rows, 1, [], one)

    convert(widen, 1)
    convert(widen, 2)
    widths = [columns for _, columns in shapes]
    x.call(wide.name, (*places, *SIZES, *widths, AREA, STRIDE, THREADS))
    convert(narrow, 0, back=True)
    x.code.builder.line("ret void")
    found[layout.name] = x.function(layout.name, PRODUCT_PARAMETERS, target)
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
