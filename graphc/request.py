"""What a caller of `function` asked for, as a graph."""

from collections.abc import Sequence
from typing import Any

from graphc.function_checks import check_placeholders
from graphc.ir.graph import Graph
from graphc.ir.source import Sources
from graphc.ir.tensor import Tensor
from graphc.records import dataclass
from graphc.signature import named_updates, output_names, with_default_updates
from graphc.structure import Structure
from graphc.substitution import Givens, substitute_tensors


@dataclass(frozen=True)
class Request:
    """Inputs, outputs in their structure, and givens, all checked; updates come later."""

    inputs: tuple[Tensor, ...]
    outputs: Sequence[Tensor]
    structure: Structure
    givens: Givens
    name: str
    sources: Sources
    default_updates: bool

    def graph(self, updates: Any, more: Sequence[Tensor] = (), unused: str = "ignore") -> Graph:
        """The graph with these updates; more: outputs that are not for the caller."""
        pairs = named_updates(updates, self.sources)
        results = [*self.outputs, *more, *(value for _, value in pairs)]
        if self.givens.tensors:
            results = substitute_tensors(results, self.givens)
        count = len(results) - len(pairs)
        new = zip(pairs, results[count:], strict=True)
        graph = Graph(
            self.inputs,
            tuple(results[:count]),
            tuple((variable, value) for (variable, _), value in new),
            self.name,
            (*output_names(self.structure), *([None] * len(more))),
        )
        if self.default_updates:
            graph = with_default_updates(graph, self.sources)
        check_placeholders(graph, self.sources, unused)
        return graph
