"""Graph: a snapshot of what a function computes, in topological order."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any

from graphc.ir.leaf import VARIABLE, Variable
from graphc.ir.lowering import While
from graphc.ir.node import Attributes, Node, sizes_in
from graphc.ir.tensor import Tensor
from graphc.ir.traversal import topological_order
from graphc.records import dataclass
from graphc.shapes import Dim


@dataclass(frozen=True, eq=False)
class Graph:
    """inputs are placeholders; updates are pairs (variable, new value), all simultaneous.

    Passes take a Graph and return a new one. `nodes` is computed once: leaves and ops, inputs
    before users.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    updates: tuple[tuple[Variable, Tensor], ...] = ()
    name: str = "function"
    output_names: tuple[str | None, ...] = ()
    nodes: tuple[Node, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.output_names:
            object.__setattr__(self, "output_names", (None,) * len(self.outputs))
        order = topological_order(self.results)
        object.__setattr__(self, "nodes", tuple(after_counted_sizes(order)))

    @property
    def results(self) -> tuple[Tensor, ...]:
        """All values that must be computed: outputs, then new values of the updates."""
        return (*self.outputs, *(value for _, value in self.updates))

    @property
    def updated(self) -> tuple[Variable, ...]:
        """The variables that are updated, in the order of the updates."""
        return tuple([variable for variable, _ in self.updates])

    @property
    def variables(self) -> tuple[Variable, ...]:
        """Variables that are read or updated, each once, in order of first appearance."""
        found: dict[int, Variable] = {}
        for node in self.nodes:
            if node.op is VARIABLE:
                found.setdefault(id(node), Variable(node))
        for variable, _ in self.updates:
            found.setdefault(id(variable.node), variable)
        return tuple(found.values())

    def with_results(self, results: Sequence[Tensor]) -> "Graph":
        """The same function with other expressions for outputs and updates."""
        count = len(self.outputs)
        updates = tuple(
            (variable, value)
            for (variable, _), value in zip(self.updates, results[count:], strict=True)
        )
        return Graph(self.inputs, tuple(results[:count]), updates, self.name, self.output_names)

    def replace(self, replacement: Mapping[tuple[int, int], Tensor]) -> "Graph":
        """Replace results by value key; keys that are missing stay."""
        return self.with_results([replacement.get(t.key, t) for t in self.results])


# --- sizes that loops bind -----------------------------------------------------------------------


def counted_size(node: Node) -> str | None:
    """The symbol that the node binds to the number of its steps, if it is such a loop."""
    return str(node.attrs["length"]) if type(node.op.lower) is While else None


def after_counted_sizes(order: list[Node]) -> list[Node]:
    """`order`, with nodes that use a size which a loop among them binds behind that loop."""
    binders = {symbol: node for node in order if (symbol := counted_size(node)) is not None}
    if not binders:
        return order
    before: dict[int, list[Node]] = {}
    for node in order:
        used = {symbol for size in _sizes_of(node) for symbol in size.symbols()}
        loops = [binders[symbol] for symbol in sorted(used & binders.keys())]
        before[id(node)] = [tensor.node for tensor in node.inputs] + [
            loop for loop in loops if loop is not node
        ]
    result: list[Node] = []
    done: set[int] = set()
    stack = [(node, False) for node in reversed(order)]
    while stack:
        node, opened = stack.pop()
        if opened:
            result.append(node)
        elif id(node) not in done:
            done.add(id(node))
            stack.append((node, True))
            stack += [(one, False) for one in reversed(before[id(node)]) if id(one) not in done]
    return result


def _sizes_of(node: Node) -> Iterator[Dim]:
    yield from sizes_in(tuple(size for type_ in node.types for size in type_.shape))
    yield from sizes_in(tuple(node.attrs.values()))


# --- graphs inside graphs ------------------------------------------------------------------------
# The bodies of loops and branches are attributes: a graph, or a tuple of graphs.


def bodies_of(node: Node) -> tuple[Graph, ...]:
    """The graphs that are attributes of a node, in order of the attributes' names."""
    attrs = node.attrs
    if not attrs:
        return ()
    found: list[Graph] = []
    for name in sorted(attrs) if len(attrs) > 1 else attrs:
        value = attrs[name]
        if isinstance(value, Graph):
            found.append(value)
        elif isinstance(value, tuple):
            found.extend([item for item in value if isinstance(item, Graph)])
    return tuple(found)


def nested_nodes(graph: Graph) -> Iterator[Node]:
    """The nodes of a graph and of the bodies in it, at every depth; each body once."""
    waiting, seen = [graph], {id(graph)}
    while waiting:
        for node in waiting.pop().nodes:
            yield node
            for body in bodies_of(node):
                if id(body) not in seen:
                    seen.add(id(body))
                    waiting.append(body)


def map_graphs(attrs: Attributes, change: Callable[[Graph], Graph]) -> dict[str, Any]:
    """The attributes with every graph among them changed."""

    def changed(value: Any) -> Any:
        if isinstance(value, Graph):
            return change(value)
        if isinstance(value, tuple):
            return tuple(changed(item) for item in value)
        return value

    return {name: changed(value) for name, value in attrs.items()}
