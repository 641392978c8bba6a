"""Eigenvalues and singular values: with their vectors, or alone.

    gesdd(a), of which U and Vh are read nowhere   ->  gesdd_values(a)
    gesdd_values(a) beside gesdd(a), whose U is    ->  the values of gesdd(a)

Without vectors a routine does a third of the work; after one with vectors there is nothing left to
do, as where a sum of singular values stands beside its gradient. Complex matrices have no routines
for values alone.
"""

from collections.abc import Sequence
from typing import NamedTuple

from graphc.ir.graph import Graph
from graphc.ir.node import Node
from graphc.ir.registry import BUILDER
from graphc.ir.source import Sources, merge_sources, source_scope
from graphc.ir.tensor import Tensor
from graphc.passes.nested import Key, rebuild


class Routine(NamedTuple):
    """What computes values alone, and where values are among the results of what computes both."""

    alone: str
    values: tuple[int, ...]


BOTH = {
    "syevd": Routine("syevd_values", (0,)),
    "geev": Routine("geev_values", (0, 1)),
    "gesdd": Routine("gesdd_values", (1,)),
}
ALONE = {routine.alone: name for name, routine in BOTH.items()}


def share_spectra(graph: Graph) -> Graph:
    """The graph with vectors where something reads them, and values computed once."""
    asked = [node for node in graph.nodes if node.op.name in BOTH or node.op.name in ALONE]
    if not asked:
        return graph
    read = {tensor.key for node in graph.nodes for tensor in node.inputs}
    read |= {tensor.key for tensor in graph.results}

    def reads_vectors(node: Node) -> bool:
        places = BOTH[node.op.name].values if node.op.name in BOTH else ()
        return any((id(node), n) in read for n in range(len(node.types)) if n not in places)

    whole: dict[tuple[str, Key], Node] = {}
    sources: dict[tuple[str, Key], Sources] = {}
    for node in asked:
        key = _what(node)
        sources[key] = merge_sources(sources.get(key, ()), node.sources)
        if node.op.name in BOTH and reads_vectors(node):
            whole.setdefault(key, node)
    made: dict[int, Sequence[Tensor]] = {}
    numbers = {id(node) for node in asked}

    def replace(node: Node, inputs: list[Tensor]) -> Sequence[Tensor] | None:
        if id(node) not in numbers:
            return None  # a loop
        routine, both = BOTH[_what(node)[0]], whole.get(_what(node))
        is_alone = node.op.name in ALONE
        if both is None:
            if is_alone:
                return None
            values = [*BUILDER.lapack(routine.alone, *inputs, caller=node.attrs["caller"])]
        else:
            if id(both) not in made:
                with source_scope(sources[_what(node)]):
                    made[id(both)] = both.op.apply(inputs, both.attrs)
            if node is both:
                return made[id(both)]
            if not is_alone and reads_vectors(node):
                return None  # others of the same matrix: those of full factors
            values = [made[id(both)][n] for n in routine.values]
        if is_alone:
            return values
        known = dict(zip(routine.values, values, strict=True))
        return [known.get(n, Tensor(node, n)) for n in range(len(node.types))]

    return rebuild(graph, replace, numbers)


def _what(node: Node) -> tuple[str, Key]:
    """The routine that computes both, and the matrix."""
    return ALONE.get(node.op.name, node.op.name), node.inputs[0].key
