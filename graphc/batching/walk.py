"""From a graph for one example to a graph for many: one walk from the inputs to the outputs.

What depends on no mapped input stays as it is, and is computed once for all examples.
"""

from collections.abc import Sequence

from graphc.errors import VerificationError
from graphc.ir.batch import Batch, broadcasting, one_by_one, shifted
from graphc.ir.lowering import Composite, Cumulative, Pieces, Reduction, Sort
from graphc.ir.node import Node
from graphc.ir.registry import BUILDER
from graphc.ir.source import source_scope
from graphc.ir.tensor import Tensor
from graphc.ir.traversal import topological_order
from graphc.shapes import Size

Key = tuple[int, int]

_ALONG_AXIS = {
    Reduction: shifted("axes"),
    Cumulative: shifted("axis"),
    Sort: shifted("axis"),
    Pieces: shifted("axis"),
}


class Batching:
    """The values for `size` examples that are known so far, by the values for one."""

    def __init__(self, size: Size) -> None:
        self.size = size
        self._known: dict[Key, Tensor] = {}
        self._done: dict[int, Node] = {}  # held, so that no other node gets its id

    def assume(self, one: Tensor, all_: Tensor) -> None:
        """What a tensor is for all examples: with one axis more in front, or the same for all."""
        self._known[one.key] = all_
        self._done[id(one.node)] = one.node

    def batched(
        self, tensors: Sequence[Tensor], pairs: Sequence[tuple[Tensor, Tensor]] = ()
    ) -> list[Tensor]:
        """The tensors for all examples, the axis of the examples in front; those that do not
        depend on the example as they are. pairs: what to assume before."""
        for one, all_ in pairs:
            self.assume(one, all_)
        for node in topological_order(tensors, lambda node: id(node) in self._done):
            if id(node) not in self._done:
                self._done[id(node)] = node
                self._visit(node)
        return [self._value(tensor) for tensor in tensors]

    def _value(self, tensor: Tensor) -> Tensor:
        return self._known.get(tensor.key, tensor)

    def _visit(self, node: Node) -> None:
        known = self._known
        if not any(tensor.key in known for tensor in node.inputs):
            return
        inputs = tuple(self._value(tensor) for tensor in node.inputs)
        with source_scope(node.sources):
            if any(a.ndim > b.ndim for a, b in zip(inputs, node.inputs, strict=True)):
                outputs = self._apply(node, inputs)
            else:
                outputs = node.op.apply(inputs, node.attrs)
        for index, output in enumerate(outputs):
            known[id(node), index] = output

    def _apply(self, node: Node, inputs: tuple[Tensor, ...]) -> Sequence[Tensor]:
        op = node.op
        batch = Batch(node, inputs, self.size, self.batched, Batching(self.size).batched)
        if op.batch is not None:
            outputs = op.batch(batch)
            self._check(node, outputs)
        elif "elementwise" in op.traits:
            outputs = broadcasting(batch)
        elif isinstance(op.lower, Composite):  # composites of composites: as deep as ops are made
            built = op.lower.build(BUILDER, *node.inputs, **node.attrs)
            outputs = self.batched(built if isinstance(built, tuple) else (built,))
        else:
            outputs = _ALONG_AXIS.get(type(op.lower), one_by_one)(batch)
        return outputs

    def _check(self, node: Node, outputs: Sequence[Tensor]) -> None:
        ranks = [type_.ndim for type_ in node.types]
        if len(outputs) != len(ranks) or any(
            output.dtype != type_.dtype or output.ndim not in (type_.ndim, type_.ndim + 1)
            for output, type_ in zip(outputs, node.types, strict=True)
        ):
            raise VerificationError(
                f"{node.op.name}: the batching rule gave {[str(t.type) for t in outputs]} "
                f"for {[str(t) for t in node.types]}",
                source=node.sources[0] if node.sources else None,
            )
