"""Composite ops are replaced by the graphs that they stand for, until none is left."""

from graphc.ir.lowering import Composite
from graphc.ir.registry import BUILDER, Builder
from graphc.ir.tensor import Tensor
from graphc.rewrite.pattern import any_op
from graphc.rewrite.rule import rule


@rule(any_op(lambda op: isinstance(op.lower, Composite)))
def expand_composite(b: Builder, root: Tensor) -> Tensor | tuple[Tensor, ...]:
    """composite(x, ...) = its graph of simpler ops"""
    node = root.node
    assert isinstance(node.op.lower, Composite)
    return node.op.lower.build(BUILDER, *node.inputs, **node.attrs)


EXPAND = (expand_composite,)
