"""Graphs in other symbolic sizes: types, attributes and bodies say other sizes in place of some."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from graphc.ir.graph import Graph
from graphc.ir.node import Node, TensorType, substitute_dims
from graphc.ir.tensor import Tensor
from graphc.shapes import Dim, Size


def resized(
    results: Sequence[Tensor], nodes: Sequence[Node], sizes: Mapping[str, Size]
) -> list[Tensor]:
    """The results with other sizes in `nodes`, which are in topological order."""
    return _Resizer(sizes).results(results, nodes)


def resized_attributes(attrs: Mapping[str, Any], sizes: Mapping[str, Size]) -> dict[str, Any]:
    """Attributes with other sizes, in graphs among them too."""
    resizer = _Resizer(sizes)
    return {name: resizer.value(value) for name, value in attrs.items()}


def mentions(value: Any, names: Collection[str]) -> bool:
    """Whether an attribute has one of these symbols in it, graphs included."""
    if isinstance(value, tuple):
        return any(mentions(item, names) for item in value)
    if isinstance(value, Dim):
        return not value.symbols().isdisjoint(names)
    if isinstance(value, TensorType):
        return mentions(value.shape, names)
    if isinstance(value, Graph):
        leaves = [tensor.node for tensor in value.inputs]
        return any(node_mentions(node, names) for node in (*leaves, *value.nodes))
    return False


def node_mentions(node: Node, names: Collection[str]) -> bool:
    return mentions(node.types, names) or any(
        mentions(value, names) for value in node.attrs.values()
    )


class _Resizer:
    """bodies: those made so far, by the id of the old: one that is used twice stays one."""

    def __init__(self, sizes: Mapping[str, Size]) -> None:
        self.sizes = sizes
        self.bodies: dict[int, Graph] = {}

    def results(self, results: Sequence[Tensor], nodes: Sequence[Node]) -> list[Tensor]:
        made: dict[int, Node] = {}

        def new(tensor: Tensor) -> Tensor:
            node = made.get(id(tensor.node))
            return tensor if node is None else Tensor(node, tensor.index, tensor._name)

        for node in nodes:
            inputs = tuple(map(new, node.inputs))
            attrs, types = node.attrs, node.types
            if node_mentions(node, self.sizes):
                attrs = {name: self.value(value) for name, value in attrs.items()}
                types = tuple(map(self.value, types))
            elif all(a is b for a, b in zip(inputs, node.inputs, strict=True)):
                continue
            made[id(node)] = Node(node.op, inputs, attrs, types, node.sources)
        return [new(tensor) for tensor in results]

    def value(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(self.value, value))
        if isinstance(value, TensorType):
            return TensorType(value.dtype, substitute_dims(value.shape, self.sizes))
        return self.body(value) if isinstance(value, Graph) else substitute_dims(value, self.sizes)

    def body(self, old: Graph) -> Graph:
        if id(old) not in self.bodies:
            nodes = list(dict.fromkeys((*(tensor.node for tensor in old.inputs), *old.nodes)))
            every = self.results([*old.inputs, *old.outputs], nodes)
            count = len(old.inputs)
            self.bodies[id(old)] = Graph(tuple(every[:count]), tuple(every[count:]), name=old.name)
        return self.bodies[id(old)]
