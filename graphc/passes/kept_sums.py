"""What a later loop first makes of what an earlier one stacks is stacked in its place.

    ps = stack of p_t = h_t @ W in one loop,            es = stack of e_t = x_t + p_t,
    x_t + ps_t in the other                      ->     es_t

The gradient of a recurrent network reads of its gates no more than their sums: an array less is
read back, and what went into the sums is free before. The later loop is the only reader, and each
step only adds, subtracts or multiplies, with what both loops have: sequences, and values from
outside.
"""

from collections.abc import Hashable, Sequence

from graphc.ir.graph import Graph
from graphc.ir.leaf import PLACEHOLDER
from graphc.ir.lowering import Scan
from graphc.ir.node import Node
from graphc.ir.tensor import Tensor
from graphc.ops.bodies import substituted
from graphc.passes.loops import Body
from graphc.passes.nested import holds_bodies, rebuild
from graphc.records import dataclass

CHEAP = {"add", "subtract", "multiply"}

Key = tuple[int, int]


@dataclass
class Kept:
    """What is made of an element in the later loop, and the same in the earlier one."""

    made: Tensor
    image: Tensor


def keep_sums(graph: Graph) -> Graph:
    """The graph with such values stacked."""
    readers: dict[Key, int] = {}
    for node in graph.nodes:
        for tensor in node.inputs:
            readers[tensor.key] = readers.get(tensor.key, 0) + 1
    for tensor in graph.results:
        readers[tensor.key] = readers.get(tensor.key, 0) + 1
    found: dict[int, dict[int, Kept]] = {}  # id of the later loop: position of the sequence
    asked: dict[int, list[Tensor]] = {}  # id of the earlier one: body values that it shall stack
    for node in graph.nodes:
        stacks_read = [
            position
            for position in _sequences(node)
            if readers[node.inputs[position].key] == 1 and _is_stack(node.inputs[position])
        ]
        later = _Later(node) if stacks_read else None
        for position in stacks_read:
            assert later is not None
            kept = later.climb(position)
            if kept is not None:
                found.setdefault(id(node), {})[position] = kept
                asked.setdefault(id(node.inputs[position].node), []).append(kept.image)
    if not found:
        return graph
    stacks: dict[int, dict[Key, Tensor]] = {}

    def replace(node: Node, inputs: list[Tensor]) -> Sequence[Tensor] | None:
        if id(node) not in asked and id(node) not in found:
            return None
        body = Body.of(node, inputs)
        for position, kept in found.get(id(node), {}).items():
            earlier = node.inputs[position].node
            fresh = PLACEHOLDER(name="sum", type=kept.made.type)
            body.sequences.append((fresh, stacks[id(earlier)][kept.image.key]))
            following = [one for *_, one in body.carries]
            new = substituted([*following, *body.outputs], {kept.made.key: fresh})
            body.carries = [
                (state, initial, one)
                for (state, initial, _), one in zip(body.carries, new, strict=False)
            ]
            body.outputs = new[len(body.carries) :]
        numbers = {value.key: body.stack(value) for value in asked.get(id(node), [])}
        values = body.build()
        count = len(body.carries)
        stacks[id(node)] = {key: values[count + number] for key, number in numbers.items()}
        return values[: len(node.types)]

    return rebuild(graph, replace)


def _sequences(node: Node) -> range:
    if not isinstance(node.op.lower, Scan) or node.attrs["local"]:
        return range(0)
    carries: int = node.attrs["carries"]
    return range(carries, carries + node.attrs["sequences"])


def _is_stack(tensor: Tensor) -> bool:
    node = tensor.node
    if not isinstance(node.op.lower, Scan) or node.attrs["local"]:
        return False
    carries: int = node.attrs["carries"]
    return tensor.index >= carries


class _Later:
    """A loop that reads stacks, and what the loops that made them know of its values."""

    def __init__(self, node: Node) -> None:
        self.node, self.body = node, node.attrs["body"]
        self.results = {tensor.key for tensor in self.body.outputs}
        self.users: dict[Key, list[Node]] = {}
        for one in self.body.nodes:
            for key in dict.fromkeys(tensor.key for tensor in one.inputs):
                self.users.setdefault(key, []).append(one)
        self.earlier: dict[int, _Earlier] = {}

    def climb(self, position: int) -> Kept | None:
        """As far as the only reader of a value is one that the earlier loop could be."""
        stack = self.node.inputs[position]
        if id(stack.node) not in self.earlier:
            self.earlier[id(stack.node)] = _Earlier(stack.node, self.node)
        earlier = self.earlier[id(stack.node)]
        value = element = self.body.inputs[position]
        image: Tensor = stack.node.attrs["body"].outputs[stack.index]
        while value.key not in self.results and len(self.users.get(value.key, ())) == 1:
            (reader,) = self.users[value.key]
            made = Tensor(reader)
            if reader.op.name not in CHEAP or made.type != value.type:
                break
            inputs = [
                image if tensor.key == value.key else earlier.known.get(tensor.key)
                for tensor in reader.inputs
            ]
            new = earlier.same(reader, inputs)
            if new is None:
                break
            value, image = made, new
        return None if value is element else Kept(value, image)


class _Earlier:
    """A loop that stacks. known: what it calls values of the later one, by the keys of these."""

    def __init__(self, node: Node, later: Node) -> None:
        self.own = {
            _computation(one, one.inputs): Tensor(one)
            for one in reversed(node.attrs["body"].nodes)
            if one.op.name in CHEAP
        }
        self.known = _own_names(later, node)
        for one in later.attrs["body"].nodes:
            if one.op.name in CHEAP:
                made = self.same(one, [self.known.get(tensor.key) for tensor in one.inputs])
                if made is not None:
                    self.known[Tensor(one).key] = made

    def same(self, reader: Node, inputs: Sequence[Tensor | None]) -> Tensor | None:
        """The node that computes the same of its own values, or a new one; None: not of these."""
        known = tuple(tensor for tensor in inputs if tensor is not None)
        if len(known) < len(inputs):
            return None
        found = self.own.get(_computation(reader, known))
        if found is not None:
            return found
        return Tensor(Node(reader.op, known, reader.attrs, reader.types, reader.sources))


def _computation(node: Node, inputs: Sequence[Tensor]) -> Hashable:
    attrs = tuple(sorted(node.attrs.items()))
    return node.op.name, attrs, tuple(tensor.key for tensor in inputs)


def _own_names(later: Node, earlier: Node) -> dict[Key, Tensor]:
    """What the earlier loop calls the sequences and outer values that the later one sees."""
    names: dict[Hashable, Tensor] = {}
    for is_sequence, inner, outer in _given(earlier):
        names.setdefault((is_sequence, *_meaning(outer)), inner)
    found: dict[Key, Tensor] = {}
    for is_sequence, inner, outer in _given(later):
        own = names.get((is_sequence, *_meaning(outer)))
        if own is not None:
            found[inner.key] = own
    return found


def _meaning(tensor: Tensor) -> tuple[Hashable, ...]:
    """Equal for equal values, as far as one step tells: what left two loops is there twice."""
    node = tensor.node
    if not node.inputs or holds_bodies(node):
        return (tensor.key,)
    return (_computation(node, node.inputs), tensor.index)


def _given(node: Node) -> list[tuple[bool, Tensor, Tensor]]:
    """Body inputs behind the carries: whether it is a sequence, the input, what it stands for."""
    sequences = _sequences(node)
    return [
        (position in sequences, node.attrs["body"].inputs[position], node.inputs[position])
        for position in range(sequences.start, len(node.inputs))
    ]
