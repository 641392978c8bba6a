"""Sums and products of elements in half precision are float32, and rounded once.

As two casts: the first becomes part of what is computed before, the second of what follows.
"""

from graphc.dtypes import float32, is_half
from graphc.ir.lowering import Reduction
from graphc.ir.node import Node
from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor
from graphc.rewrite.pattern import P, var
from graphc.rewrite.rule import rule

X = var("x")


def is_narrow_sum(node: Node) -> bool:
    """A sum or product of elements in half precision."""
    lower = node.op.lower
    if not isinstance(lower, Reduction) or lower.combine not in ("add", "mul"):
        return False
    return is_half(node.types[0].dtype)


@rule(P.sum(X))
def sum_of_narrow(b: Builder, root: Tensor, x: Tensor) -> Tensor | None:
    """sum(x) = astype(sum(astype(x, float32)), narrow)"""
    return _widely(b, root, x)


@rule(P.prod(X))
def product_of_narrow(b: Builder, root: Tensor, x: Tensor) -> Tensor | None:
    """prod(x) = astype(prod(astype(x, float32)), narrow)"""
    return _widely(b, root, x)


def _widely(b: Builder, root: Tensor, x: Tensor) -> Tensor | None:
    if not is_half(root.dtype):
        return None
    return b.astype(root.op(b.astype(x, float32), **root.node.attrs), root.dtype)


NARROW_SUMS = (sum_of_narrow, product_of_narrow)
