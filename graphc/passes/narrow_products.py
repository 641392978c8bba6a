"""Products of matrices read narrow numbers where they are, and compute in a wider dtype.

A product in half precision is computed in float32 and rounded once, one of narrow integers in int32
and taken modulo the size of theirs. As two steps: the second becomes part of what follows.
"""

from graphc.dtypes import bfloat16, float16, float32, int8, int16, int32, uint8, uint16
from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor
from graphc.ops.wide_matmul import WIDE_MATMUL
from graphc.rewrite.pattern import P, var
from graphc.rewrite.rule import rule

X, Y = var("x"), var("y")
NARROW = {float32: (float16, bfloat16), int32: (int8, uint8, int16, uint16)}


@rule(P.matmul(X, Y))
def product_of_narrow(b: Builder, root: Tensor, x: Tensor, y: Tensor) -> Tensor | None:
    """x @ y = astype(wide_matmul(x, y, dtype=wide), narrow)"""
    for wide, narrow in NARROW.items():
        if root.dtype in narrow:
            return b.astype(WIDE_MATMUL(x, y, dtype=wide, **root.node.attrs), root.dtype)
    return None


@rule(P.matmul(P.astype(X), P.astype(Y)))
def product_of_widened(b: Builder, root: Tensor, x: Tensor, y: Tensor) -> Tensor | None:
    """astype(x, wide) @ astype(y, wide) = wide_matmul(x, y, dtype=wide)"""
    if x.dtype != y.dtype or x.dtype not in NARROW.get(root.dtype, ()):
        return None
    return WIDE_MATMUL(x, y, dtype=root.dtype, **root.node.attrs)


NARROW_PRODUCTS = (product_of_narrow, product_of_widened)
