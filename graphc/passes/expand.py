"""Composite ops are replaced by the graphs that they stand for, until none is left.

A composite whose argument makes part of its graph superfluous has a rule before the general one.
"""

from graphc.ir.lowering import Composite
from graphc.ir.registry import BUILDER, Builder
from graphc.ir.tensor import Tensor
from graphc.passes.stabilize import SHIFTED, Axes
from graphc.rewrite.pattern import P, any_op, attr
from graphc.rewrite.rule import rule


@rule(P.logsumexp(SHIFTED, axes=attr("axes"), keepdims=attr("keepdims")))
def logsumexp_of_shifted(b: Builder, root: Tensor, axes: Axes, keepdims: bool) -> Tensor:
    """logsumexp(x - m, a) = log(sum(exp(x - s), a)) + (s - m) for m = max(x, a)

    s is m where that is finite, else 0: one maximum less, in the form of logsumexp(x).
    """
    x, largest = root.node.inputs[0].node.inputs
    shift = b.where(b.isfinite(largest), largest, 0)
    total = b.sum(b.exp(b.subtract(x, shift)), axis=axes, keepdims=True)
    result = b.add(b.log(total), b.subtract(shift, largest))
    return result if keepdims else b.squeeze(result, axes)


@rule(any_op(lambda op: isinstance(op.lower, Composite)))
def expand_composite(b: Builder, root: Tensor) -> Tensor | tuple[Tensor, ...]:
    """composite(x, ...) = its graph of simpler ops"""
    node = root.node
    assert isinstance(node.op.lower, Composite)
    return node.op.lower.build(BUILDER, *node.inputs, **node.attrs)


EXPAND = (logsumexp_of_shifted, expand_composite)
