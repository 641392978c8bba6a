"""A graph as a networkx MultiDiGraph, for drawing and for graph algorithms."""

import networkx

from graphc.ir.graph import Graph
from graphc.ir.leaf import CONSTANT, PLACEHOLDER, VARIABLE
from graphc.ir.printer import Names, format_application, format_sources
from graphc.ir.registry import public

KINDS = {PLACEHOLDER.name: "input", VARIABLE.name: "variable", CONSTANT.name: "constant"}


@public
def to_networkx(graph: Graph) -> "networkx.MultiDiGraph":
    """Nodes 0, 1, ... in topological order, then one per result; edges run with the data.

    Node attributes: label, op, kind ("input", "variable", "constant", "op", "output", "update"),
    type, source. Edge attributes: input (its position), output (of the producer), type.
    """
    names = Names(graph)
    drawn = networkx.MultiDiGraph(name=graph.name)
    number = {id(node): position for position, node in enumerate(graph.nodes)}
    for node in graph.nodes:
        operands = [names.operand(tensor) for tensor in node.inputs]
        own = names.of.get((id(node), 0))
        leaf = node.op.name in KINDS
        label = own if own and leaf else format_application(node, operands)
        drawn.add_node(
            number[id(node)],
            label=str(node.attrs["value"]) if own is None and node.op is CONSTANT else label,
            op=node.op.name,
            kind=KINDS.get(node.op.name, "op"),
            type=", ".join(map(str, node.types)),
            source=format_sources(node.sources),
        )
        for position, tensor in enumerate(node.inputs):
            drawn.add_edge(
                number[id(tensor.node)],
                number[id(node)],
                input=position,
                output=tensor.index,
                type=str(tensor.type),
            )
    labels = [("output", name or "output") for name in graph.output_names]
    labels += [("update", names.operand(variable)) for variable, _ in graph.updates]
    for offset, ((kind, label), tensor) in enumerate(zip(labels, graph.results, strict=True)):
        result = len(graph.nodes) + offset
        drawn.add_node(
            result, label=label, op=kind, kind=kind, type=str(tensor.type), source=tensor.source
        )
        drawn.add_edge(
            number[id(tensor.node)], result, input=0, output=tensor.index, type=str(tensor.type)
        )
    return drawn
