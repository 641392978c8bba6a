"""Checks that indices are in range: which a program makes, and behind which of its steps."""

from collections.abc import Mapping, Sequence

import numpy as np

from graphc.ir.graph import Graph
from graphc.ir.leaf import CONSTANT
from graphc.ir.lowering import IndexCheck as OpIndexCheck
from graphc.ir.node import Node
from graphc.ir.tensor import Tensor
from graphc.loops.ir import IndexCheck
from graphc.loops.values import Key, context_of, root_of
from graphc.shapes import Size, size_product


def indices_to_check(graph: Graph) -> list[tuple[Node, OpIndexCheck]]:
    """The checks that the ops of a graph ask for."""
    found: list[tuple[Node, OpIndexCheck]] = []
    for node in graph.nodes:
        if node.op.index_checks is not None:
            found += [(node, check) for check in node.op.index_checks(context_of(node))]
    return found


def index_checks(
    checked: Sequence[tuple[Node, OpIndexCheck]],
    place: Mapping[Key, int],
    buffer_of: Mapping[Key, str],
) -> dict[int, list[IndexCheck]]:
    """For each step the checks behind it; -1: before all steps.

    A check runs right after its indices are computed, before any kernel that reads them. place: the
    step that computes a value.
    """
    checks: dict[int, list[IndexCheck]] = {}
    seen: set[tuple[str, Size, Size]] = set()
    for node, check in checked:
        root = root_of(node.inputs[check.input])
        buffer = buffer_of[root.key]
        minimum = -check.size if check.minimum is None else check.minimum
        if (buffer, minimum, check.size) in seen:
            continue
        seen.add((buffer, minimum, check.size))
        if _are_known(root, minimum, check.size):
            continue
        step = IndexCheck(
            buffer,
            size_product(root.shape),
            minimum,
            check.size,
            check.axis,
            check.op or node.op.name,
            node.sources,
            check.error,
        )
        checks.setdefault(place.get(root.key, -1), []).append(step)
    return checks


def _are_known(indices: Tensor, minimum: Size, size: Size) -> bool:
    """Whether the indices are a constant whose elements are in range."""
    node = indices.node
    if node.op is not CONSTANT or not (isinstance(minimum, int) and isinstance(size, int)):
        return False
    value: np.ndarray = node.attrs["value"]
    return value.size == 0 or (minimum <= value.min() and bool(value.max() < size))
