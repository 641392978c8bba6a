"""Complex values become pairs of real ones, with the rule that each op brings (`ir.parts`).

At the borders a complex array is its floats with a trailing axis of 2, which is how numpy keeps it
in memory: placeholders, variables and results change their type, and no array is copied. What
works on real numbers alone stays as it is. Loops hand on both parts of a carry.
"""

from collections.abc import Iterable, Sequence

from graphc.dtypes import is_complex, real_dtype
from graphc.ir.graph import Graph, bodies_of, map_graphs
from graphc.ir.leaf import CONSTANT, PLACEHOLDER, VARIABLE, Variable, constant
from graphc.ir.lowering import Composite
from graphc.ir.node import Node, TensorType, has_complex_type
from graphc.ir.parts import Parts, Value, expanded, joined
from graphc.ir.registry import BUILDER
from graphc.ir.source import source_scope
from graphc.ir.tensor import Tensor
from graphc.ir.traversal import topological_order

b = BUILDER
Key = tuple[int, int]


def has_complex(graph: Graph) -> bool:
    """Whether any value is complex, in the bodies of loops too."""
    return (
        any(is_complex(tensor.dtype) for tensor in graph.inputs)
        or any(has_complex_type(node) for node in graph.nodes)
        or any(has_complex(body) for node in graph.nodes for body in bodies_of(node))
    )


def split_complex(graph: Graph) -> Graph:
    """The same function of real tensors. Variables keep their storage."""
    splitter = _Splitter()
    inputs = tuple(splitter.border(tensor) for tensor in graph.inputs)
    variables = {variable.key: splitter.border(variable) for variable in graph.variables}
    results = [joined(b, value) for value in splitter.values(graph.results)]
    count = len(graph.outputs)
    return Graph(
        inputs,
        tuple(_named(new, old) for new, old in zip(results, graph.outputs, strict=False)),
        tuple(
            (Variable(variables[variable.key].node), new)
            for (variable, _), new in zip(graph.updates, results[count:], strict=True)
        ),
        graph.name,
        graph.output_names,
    )


def _named(new: Tensor, old: Tensor) -> Tensor:
    """The result under the name that the user gave it."""
    if old._name is None or new.name is not None:
        return new
    return Tensor(new.node, new.index, old._name)


class _Splitter:
    """The new value of every old one. Iterative over nodes; only composites and loops nest."""

    def __init__(self) -> None:
        self.done: dict[Key, Value] = {}
        self.visited: set[int] = set()
        self.alive: list[Node] = []  # what composites stood for: keys are identities
        # Of all bodies: a loop and the one that its gradient added share values, which have to be
        # shared afterwards too, or the loops would not be merged.
        self.inside: _Splitter | None = None

    def border(self, leaf: Tensor) -> Tensor:
        """A placeholder or variable; a complex one gets a trailing axis of 2."""
        self.visited.add(id(leaf.node))
        self.alive.append(leaf.node)
        if not is_complex(leaf.dtype):
            self.done[leaf.key] = leaf
            return leaf
        attrs = leaf.node.attrs
        declared = TensorType(real_dtype(leaf.dtype), (*leaf.shape, 2))
        whole = Tensor(
            Node(leaf.op, (), {**attrs, "type": declared}, (declared,), leaf.node.sources)
        )
        with source_scope(leaf.sources):
            halves = zip((whole[..., 0], whole[..., 1]), ("real", "imag"), strict=True)
            named = [Tensor(x.node, x.index, f"{leaf.name}_{side}") for x, side in halves]
            self.done[leaf.key] = Parts(*named)
        return whole

    def values(self, tensors: Sequence[Tensor]) -> list[Value]:
        for node in topological_order(tensors, lambda node: id(node) in self.visited):
            if id(node) not in self.visited:
                self.visit(node)
        return [self.done[tensor.key] for tensor in tensors]

    def visit(self, node: Node) -> None:
        self.visited.add(id(node))
        self.alive.append(node)
        inputs = [self.done[tensor.key] for tensor in node.inputs]
        with source_scope(node.sources):
            values = self.rebuilt(node, inputs)
        for position, value in enumerate(values):
            old = Tensor(node, position)
            self.done[old.key] = _named(value, old) if isinstance(value, Tensor) else value

    def rebuilt(self, node: Node, inputs: list[Value]) -> Iterable[Value]:
        if node.op is PLACEHOLDER or node.op is VARIABLE:
            self.border(Tensor(node))
            return (self.done[(id(node), 0)],)
        bodies = bodies_of(node)
        if bodies and (has_complex_type(node) or any(map(has_complex, bodies))):
            return self.around_bodies(node, inputs)
        if not has_complex_type(node):
            return _same_op(node, inputs)
        if node.op is CONSTANT:
            value = node.attrs["value"]
            return (Parts(constant(value.real), constant(value.imag)),)
        assert node.op.parts is not None, node.op.name
        if node.op.parts is expanded:
            assert isinstance(node.op.lower, Composite)
            built = node.op.lower.build(b, *node.inputs, **node.attrs)
            return self.values(built if isinstance(built, tuple) else (built,))
        found = node.op.parts(b, node, inputs)
        outputs = (found,) if isinstance(found, Tensor | Parts) else tuple(found)
        return tuple(_shaped(value, one) for value, one in zip(outputs, node.types, strict=True))

    def around_bodies(self, node: Node, inputs: list[Value]) -> Iterable[Value]:
        """A loop or a branch: both parts of what is complex go into the bodies and come out."""

        def split(body: Graph) -> Graph:
            inner = self.inside = self.inside or _Splitter()
            leaves = [leaf for tensor in body.inputs for leaf in inner.part_leaves(tensor)]
            results = [part for value in inner.values(body.outputs) for part in _flat(value)]
            return Graph(tuple(leaves), tuple(results), name=body.name)

        attrs = map_graphs(node.attrs, split)
        if "carries" in attrs:
            carries, until = attrs["carries"], attrs["carries"] + attrs.get("sequences", 0)
            counts = [len(_flat(value)) for value in inputs]
            attrs = {**attrs, "carries": sum(counts[:carries])}
            if "sequences" in attrs:
                attrs["sequences"] = sum(counts[carries:until])
        outputs = iter(node.op.apply([part for value in inputs for part in _flat(value)], attrs))
        return [
            Parts(next(outputs), next(outputs)) if is_complex(one.dtype) else next(outputs)
            for one in node.types
        ]

    def part_leaves(self, leaf: Tensor) -> list[Tensor]:
        """The inputs of a loop's body that stand for one of the old body's."""
        if leaf.key in self.done:
            return _flat(self.done[leaf.key])
        self.visited.add(id(leaf.node))
        self.alive.append(leaf.node)
        if not is_complex(leaf.dtype):
            self.done[leaf.key] = leaf
            return [leaf]
        declared = TensorType(real_dtype(leaf.dtype), leaf.shape)
        name = leaf.node.attrs["name"]
        halves = [PLACEHOLDER(name=f"{name}_{side}", type=declared) for side in ("real", "imag")]
        self.done[leaf.key] = Parts(*halves)
        return halves


def _flat(value: Value) -> list[Tensor]:
    return [value] if isinstance(value, Tensor) else [*value]


def _same_op(node: Node, inputs: Sequence[Value]) -> tuple[Tensor, ...]:
    if any(new is not old for new, old in zip(inputs, node.inputs, strict=True)):
        node = Node(node.op, tuple(inputs), node.attrs, node.types, node.sources)  # type: ignore[arg-type]
    return tuple(Tensor(node, position) for position in range(len(node.types)))


def _shaped(value: Value, expected: TensorType) -> Value:
    """A rule may leave a part smaller where it broadcasts."""
    if isinstance(value, Tensor):
        return value
    return Parts(
        *(p if p.shape == expected.shape else b.broadcast_to(p, expected.shape) for p in value)
    )
