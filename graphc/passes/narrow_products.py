"""Products of matrices read narrow numbers where they are, and compute in a wider dtype.

A product in half precision is computed in float32 and rounded once, one of narrow integers in int32
and taken modulo the size of theirs. As two steps: the second becomes part of what follows.
"""

from graphc.dtypes import bfloat16, float16, float32, int8, int16, int32, uint8, uint16
from graphc.ir.node import Node
from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor
from graphc.ops.wide_matmul import WIDE_MATMUL
from graphc.rewrite.pattern import P, var
from graphc.rewrite.rule import rule

X, Y = var("x"), var("y")
BYTES = {int8, uint8}
MOVES = ("reshape", "permute_dims", "expand_dims", "squeeze")
NARROW = {float32: (float16, bfloat16), int32: (int8, uint8, int16, uint16)}


@rule(P.matmul(X, Y))
def product_of_narrow(b: Builder, root: Tensor, x: Tensor, y: Tensor) -> Tensor | None:
    """x @ y = astype(wide_matmul(x, y, dtype=wide), narrow)"""
    if root.dtype == uint16:  # the same modulo 2**16, and int16 is multiplied in pairs
        x, y = b.astype(x, int16), b.astype(y, int16)
    for wide, narrow in NARROW.items():
        if root.dtype in narrow:
            return b.astype(WIDE_MATMUL(x, y, dtype=wide, **root.node.attrs), root.dtype)
    return None


@rule(P.matmul(X, Y))
def product_of_widened(b: Builder, root: Tensor, x: Tensor, y: Tensor) -> Tensor | None:
    """astype(x, wide) @ astype(y, wide) = wide_matmul(x, y, dtype=wide)"""
    first, second = _before_cast(x), _before_cast(y)
    if first is None or second is None:
        return None
    if first.dtype != second.dtype and not {first.dtype, second.dtype} <= BYTES:
        return None
    if first.dtype not in NARROW.get(root.dtype, ()):
        return None
    return WIDE_MATMUL(first, second, dtype=root.dtype, **root.node.attrs)


@rule(P.wide_matmul(X, Y))
def product_of_bytes(b: Builder, root: Tensor, x: Tensor, y: Tensor) -> Tensor | None:
    """wide_matmul(astype(x, int16), astype(y, int16)) = wide_matmul(x, y) for bytes x and y"""
    first, second = _before_cast(x), _before_cast(y)
    if x.dtype != int16 or first is None or second is None:
        return None
    if not {first.dtype, second.dtype} <= BYTES:
        return None
    return WIDE_MATMUL(first, second, **root.node.attrs)


def _before_cast(x: Tensor) -> Tensor | None:
    """What was cast, moved as what became of it."""
    moves: list[Node] = []
    while x.op.name in MOVES:
        moves.append(x.node)
        x = x.node.inputs[0]
    if x.op.name != "astype":
        return None
    x = x.node.inputs[0]
    for node in reversed(moves):
        x = node.op(x, **node.attrs)
    return x


NARROW_PRODUCTS = (product_of_narrow, product_of_widened, product_of_bytes)
