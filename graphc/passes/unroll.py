"""Several steps of a loop are written out one after the other, where the user asks for it.

    for t in 0 .. n: step(t)   =   for s in 0 .. n//k: step(s*k); ...; step(s*k + k - 1)

What is left over is a loop of its own. After derivatives are taken and products have left the loop:
both look at single steps.
"""

from collections.abc import Sequence

from graphc.ir.graph import Graph
from graphc.ir.lowering import Scan
from graphc.ir.node import Node
from graphc.ir.tensor import Tensor
from graphc.ops.loop_segments import Steps, unrolled_loop
from graphc.passes.nested import rebuild


def unroll(graph: Graph) -> Graph:
    """The graph with such loops written out."""

    def replace(node: Node, inputs: list[Tensor]) -> Sequence[Tensor] | None:
        attrs = node.attrs
        if not isinstance(node.op.lower, Scan) or attrs["unroll"] == 1 or attrs["anchored"]:
            return None
        count, until = attrs["carries"], attrs["carries"] + attrs["sequences"]
        steps = Steps(
            attrs["body"],
            tuple(inputs[:count]),
            tuple(inputs[count:until]),
            tuple(inputs[until:]),
            attrs["length"],
            attrs["reverse"],
            attrs["unroll"],
            attrs["local"],
        )
        final, stacked = unrolled_loop(steps)
        return [*final, *stacked]

    return rebuild(graph, replace)
