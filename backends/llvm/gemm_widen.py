"""Rows of a narrow matrix as a product multiplies them: widened, or with their signs flipped.

void @widen(ptr out, ptr row, i64 count)
"""

from graphc.backends.llvm.emitter import emit_kernel
from graphc.backends.llvm.gemm_tile import Tile
from graphc.backends.llvm.target import Target
from graphc.backends.llvm.text import FunctionText
from graphc.dtypes import DType, float32, int32
from graphc.loops.ir import For, Kernel, Parameter, Store
from graphc.scalar.expr import Index, Load, cast, like, xor
from graphc.shapes import Dim

_BY_TYPE: dict[str, DType] = {"float": float32, "i32": int32}


def widen_function(name: str, tile: Tile, target: Target) -> FunctionText:
    """From what operands are to what the tile multiplies, or some of which it does at once."""
    assert tile.narrow is not None
    wide = tile.parts or _BY_TYPE[tile.type]
    n, i = Dim.symbol("n"), Dim.symbol("i")
    value = cast(Load("x", (Index(i),), tile.narrow), wide)
    if tile.flips:
        value = xor(value, like(value, 0x80))
    kernel = Kernel(
        "widen",
        (Parameter("out", wide, (n,), written=True), Parameter("x", tile.narrow, (n,))),
        ("n",),
        (For("i", n, "vector", (Store("out", (Index(i),), value),)),),
    )
    return emit_kernel(kernel, target, whole=True).named(name)[0]
