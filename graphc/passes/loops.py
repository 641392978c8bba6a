"""Loops taken apart, and equal loops made one.

    merge_loops   the loop of the value and the one that saves its carries for the gradient are one

What leaves them: motion.py. Bodies are graphs: the whole pipeline runs on them as well.
"""

from collections.abc import Sequence
from typing import Any

from graphc.ir.graph import Graph
from graphc.ir.lowering import Scan, While
from graphc.ir.node import Attributes, Node
from graphc.ir.opdef import OpDef
from graphc.ir.tensor import Tensor
from graphc.ops.loop_derivatives import condition_of
from graphc.passes.nested import rebuild
from graphc.records import dataclass


def is_loop(node: Node) -> bool:
    return isinstance(node.op.lower, Scan | While)


TAKEN_APART = {"body", "condition", "carries", "sequences"}


@dataclass
class Body:
    """A loop taken apart: body inputs with the outer values they stand for, and its outputs."""

    op: OpDef
    name: str
    carries: list[tuple[Tensor, Tensor, Tensor]]  # (state, initial, following)
    sequences: list[tuple[Tensor, Tensor]]  # (element, sequence)
    shared: list[tuple[Tensor, Tensor]]  # (inner, outer)
    outputs: list[Tensor]
    test: Tensor | None  # whether another step follows, of a loop that counts its steps
    attrs: Attributes  # all that is not said above

    @staticmethod
    def of(node: Node, inputs: Sequence[Tensor]) -> "Body":
        attrs = node.attrs
        graph: Graph = attrs["body"]
        count, until = attrs["carries"], attrs["carries"] + attrs["sequences"]
        pairs = list(zip(graph.inputs, inputs, strict=True))
        return Body(
            node.op,
            graph.name,
            [
                (state, initial, following)
                for (state, initial), following in zip(pairs[:count], graph.outputs, strict=False)
            ],
            pairs[count:until],
            pairs[until:],
            list(graph.outputs[count:]),
            condition_of(attrs) if "condition" in attrs else None,
            {name: attrs[name] for name in attrs.keys() - TAKEN_APART},
        )

    def build(self) -> tuple[Tensor, ...]:
        """The loop as a new node; final carries, then outputs."""
        inputs = tuple(inner for inner, *_ in (*self.carries, *self.sequences, *self.shared))
        graph = Graph(
            inputs,
            (*(following for _, _, following in self.carries), *self.outputs),
            name=self.name,
        )
        graphs = {"body": graph}
        if self.test is not None:
            graphs["condition"] = Graph(inputs, (self.test,), name="condition")
        return self.op.apply(
            [
                *(initial for _, initial, _ in self.carries),
                *(sequence for _, sequence in self.sequences),
                *(outer for _, outer in self.shared),
            ],
            {
                **self.attrs,
                **graphs,
                "carries": len(self.carries),
                "sequences": len(self.sequences),
            },
        )

    def stack(self, tensor: Tensor) -> int:
        """The number of the output that stacks `tensor`; added if it is not there."""
        for number, output in enumerate(self.outputs):
            if output.key == tensor.key:
                return number
        self.outputs.append(tensor)
        return len(self.outputs) - 1


# --- merge -------------------------------------------------------------------------------------


def merge_loops(graph: Graph) -> Graph:
    """Loops over the same values that hand on the same carries become one with all outputs."""
    groups: dict[Any, list[Node]] = {}
    for node in graph.nodes:
        if is_loop(node):
            groups.setdefault(_identity(node), []).append(node)
    merged = {id(node): nodes for nodes in groups.values() if len(nodes) > 1 for node in nodes}
    if not merged:
        return graph
    whole: dict[int, tuple[Body, tuple[Tensor, ...]]] = {}

    def replace(node: Node, inputs: list[Tensor]) -> Sequence[Tensor] | None:
        nodes = merged.get(id(node))
        if nodes is None:
            return None
        first = id(nodes[0])
        if first not in whole:
            union = Body.of(node, inputs)
            for other in nodes:
                for output in other.attrs["body"].outputs[other.attrs["carries"] :]:
                    union.stack(output)
            whole[first] = (union, union.build())
        union, values = whole[first]
        count = len(union.carries)
        own = node.attrs["body"].outputs[count:]
        return [*values[:count], *(values[count + union.stack(output)] for output in own)]

    return rebuild(graph, replace)


def _identity(node: Node) -> Any:
    attrs = node.attrs
    body: Graph = attrs["body"]
    return (
        tuple(tensor.key for tensor in node.inputs),
        tuple(tensor.key for tensor in body.inputs),
        tuple(tensor.key for tensor in body.outputs[: attrs["carries"]]),
        condition_of(attrs).key if "condition" in attrs else None,
        *((name, attrs[name]) for name in sorted(attrs.keys() - TAKEN_APART)),
    )
