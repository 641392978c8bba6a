"""Names of the sizes that loops bind, renamed where a loop comes to stand in a graph twice.

A loop that counts its steps binds a size, which its stacked outputs and their users have in their
types. Two copies of it on other values take other numbers of steps: each needs a name of its own.
In text they are numbered from 0 in every graph; what is read from text gets new names.
"""

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import count

from graphc.ir.graph import Graph, counted_size, nested_nodes
from graphc.ir.node import Node, sizes_in
from graphc.ir.resizing import resized
from graphc.ir.tensor import Tensor
from graphc.ir.traversal import topological_order
from graphc.shapes import Dim


class _Names:
    """Names that no loop has had, also none that was read from text."""

    def __init__(self) -> None:
        self.next = 0
        self.lock = threading.Lock()

    def fresh(self) -> str:
        with self.lock:
            self.next += 1
            return f"steps_{self.next - 1}"

    def reserve(self, name: str) -> None:
        number = name.removeprefix("steps_")
        if number.isdecimal():
            with self.lock:
                self.next = max(self.next, int(number) + 1)


_NAMES = _Names()


def fresh_length(name: str = "") -> str:
    """A name for the steps of a new loop, or of a copy of the loop that binds `name`."""
    return _NAMES.fresh()


def reserve_length(length: Dim) -> None:
    """A loop binds this size: no loop to come gets the name."""
    _NAMES.reserve(str(length))


def bound_names(nodes: Iterable[Node]) -> list[str]:
    """The sizes that the loops among `nodes` bind, each once."""
    return list(dict.fromkeys(name for name in map(counted_size, nodes) if name is not None))


def numbered_lengths(graph: Graph) -> Graph:
    """The graph as its text shows it: loops bind steps_0, steps_1, ... in order of appearance."""
    names = bound_names(nested_nodes(graph))
    if not names:
        return graph
    taken = {s for t in graph.inputs for size in sizes_in(t.shape) for s in size.symbols()}
    free = (name for number in count() if (name := f"steps_{number}") not in taken)
    return _renamed(graph, dict(zip(names, free, strict=False)))


def fresh_lengths(graph: Graph) -> Graph:
    """The graph with names for lengths that no loop has had so far."""
    return _renamed(graph, {name: fresh_length() for name in bound_names(nested_nodes(graph))})


def _renamed(graph: Graph, names: Mapping[str, str]) -> Graph:
    changed = {old: Dim.symbol(new) for old, new in names.items() if old != new}
    if not changed:
        return graph
    return graph.with_results(resized(graph.results, graph.nodes, changed))


def with_own_lengths(
    results: Sequence[Tensor],
    shared: Collection[int],
    name_of: Callable[[str], str],
    copies: Callable[[Node], bool] = lambda node: True,
) -> list[Tensor]:
    """`results`, in which the loops that are copies bind sizes of other names.

    shared: nodes (by id) at which the copied part ends: they and what they read stay as they are.
    name_of: old name -> new name. copies: which loops to rename.
    """
    order = topological_order(results, lambda node: id(node) in shared)
    inside = [node for node in order if id(node) not in shared]
    names = bound_names([node for node in inside if copies(node)])
    mapping = {name: Dim.symbol(new) for name in names if (new := name_of(name)) != name}
    return resized(results, inside, mapping) if mapping else list(results)
