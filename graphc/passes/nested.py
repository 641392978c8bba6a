"""Graphs in graphs: how passes get at the bodies of loops and branches, and rebuild around them."""

from collections.abc import Callable, Collection, Sequence

from graphc.ir.graph import Graph, bodies_of, map_graphs
from graphc.ir.lowering import Branches, Scan, While
from graphc.ir.node import Node
from graphc.ir.source import source_scope
from graphc.ir.tensor import Tensor
from graphc.ops.bodies import is_filled, substituted

Key = tuple[int, int]
Replace = Callable[[Node, list[Tensor]], "Sequence[Tensor] | None"]


def has_bodies(graph: Graph) -> bool:
    return any(holds_bodies(node) for node in graph.nodes)


def holds_bodies(node: Node) -> bool:
    return isinstance(node.op.lower, Scan | While | Branches)


def rebuild(graph: Graph, replace: Replace, others: Collection[int] = ()) -> Graph:
    """The graph with `replace(node, new inputs)` for every loop and branch it answers for.

    others: ids of further nodes that it is asked about.
    """
    made: dict[int, Sequence[Tensor]] = {}

    def new(tensor: Tensor) -> Tensor:
        values = made.get(id(tensor.node))
        if values is None:
            return tensor
        value = values[tensor.index]
        return (
            value
            if tensor._name is None or value.name
            else Tensor(value.node, value.index, tensor._name)
        )

    for node in graph.nodes:
        inputs = [new(tensor) for tensor in node.inputs]
        if holds_bodies(node) or id(node) in others:
            with source_scope(node.sources):
                values = replace(node, inputs)
            if values is not None:
                made[id(node)] = values
                continue
        if any(one is not old for one, old in zip(inputs, node.inputs, strict=True)):
            fresh = Node(node.op, tuple(inputs), node.attrs, node.types, node.sources)
            made[id(node)] = [Tensor(fresh, n) for n in range(len(node.types))]
    return graph.with_results([new(tensor) for tensor in graph.results])


def fill_bodies(graph: Graph) -> Graph:
    """Numbers, sizes and uniform arrays that bodies get from outside are made inside."""

    def replace(node: Node, inputs: list[Tensor]) -> Sequence[Tensor] | None:
        first = first_shared(node)
        until = len(inputs) - bool(node.attrs.get("anchored"))
        places = [p for p in range(first, until) if is_filled(inputs[p])]
        if not places:
            return None
        kept = [p for p in range(len(inputs)) if p not in places]
        start = len(inputs) - len(bodies_of(node)[0].inputs)

        def filled(body: Graph) -> Graph:
            values = {body.inputs[p - start].key: inputs[p] for p in places}
            own = tuple(body.inputs[p - start] for p in kept if p >= start)
            return Graph(own, tuple(substituted(body.outputs, values)), name=body.name)

        return node.op.apply([inputs[p] for p in kept], map_graphs(node.attrs, filled))

    return rebuild(graph, replace)


def first_shared(node: Node) -> int:
    """The first input that stays the same: in loops after carries and sequences."""
    if isinstance(node.op.lower, Branches):
        return 1
    carries: int = node.attrs["carries"]
    sequences: int = node.attrs["sequences"]
    return carries + sequences


def map_bodies(graph: Graph, improve: Callable[[Graph], Graph]) -> Graph:
    """The graph with every body improved; equal bodies are improved once."""
    improved: dict[int, Graph] = {}

    def once(body: Graph) -> Graph:
        if id(body) not in improved:
            improved[id(body)] = improve(body)
        return improved[id(body)]

    def replace(node: Node, inputs: list[Tensor]) -> Sequence[Tensor] | None:
        assert bodies_of(node)
        return node.op.apply(inputs, map_graphs(node.attrs, once))

    return rebuild(graph, replace)
