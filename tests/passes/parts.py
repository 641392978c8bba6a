"""Graphs as the passes see them: complex numbers as pairs of real ones."""

from graphc.dtypes import is_complex
from graphc.ir.graph import Graph
from graphc.passes.pipeline import real_numbers


def in_real_numbers(graph: Graph) -> Graph:
    """The graph without complex numbers, unless its inputs or results are."""
    ends = (*graph.inputs, *graph.results)
    return graph if any(is_complex(tensor.dtype) for tensor in ends) else real_numbers(graph)
