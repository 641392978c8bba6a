"""Branches: known selectors, and work that only one branch needs.

choose    a branch with a known selector is put in place of the whole
sink      what is computed before, and read by a single branch alone, is computed in it
"""

from collections.abc import Sequence

from graphc.ir.graph import Graph
from graphc.ir.leaf import scalar_value
from graphc.ir.lengths import bound_names
from graphc.ir.lowering import Branches, Leaf
from graphc.ir.node import Node
from graphc.ir.source import source_scope
from graphc.ir.tensor import Tensor
from graphc.ops.bodies import inner_input, is_generated, substituted, written_out
from graphc.passes.nested import rebuild


def is_branches(node: Node) -> bool:
    return isinstance(node.op.lower, Branches)


def choose_branches(graph: Graph) -> Graph:
    """cond(True, then, otherwise) = then"""
    taken = set(bound_names(graph.nodes))

    def own_name(name: str) -> str:
        names = (name, *(f"{name}_{number}" for number in range(len(taken) + 1)))
        free = next(one for one in names if one not in taken)
        taken.add(free)
        return free

    def replace(node: Node, inputs: list[Tensor]) -> Sequence[Tensor] | None:
        selector = scalar_value(inputs[0]) if is_branches(node) else None
        if selector is None or len(node.attrs["branches"]) == 1:  # one branch is a checkpoint
            return None
        branches = node.attrs["branches"]
        chosen: Graph = branches[min(max(int(selector), 0), len(branches) - 1)]
        return written_out(chosen, inputs[1:], own_name)

    return rebuild(graph, replace)


def sink_into_branches(graph: Graph) -> Graph:
    """y = f(x); cond(p, y, 0) = cond(p, f(x), 0), where nothing else reads y"""
    if not any(is_branches(node) for node in graph.nodes):
        return graph
    place = _places(graph)
    if not place:
        return graph
    moved: dict[int, list[Node]] = {}  # into the branches of a node: old nodes, inputs first
    for node in graph.nodes:
        if id(node) in place:
            moved.setdefault(place[id(node)][0], []).append(node)
    made: dict[int, Sequence[Tensor]] = {}

    def new(tensor: Tensor) -> Tensor:
        values = made.get(id(tensor.node))
        return tensor if values is None else _named(values[tensor.index], tensor._name)

    for node in graph.nodes:
        inputs = [new(tensor) for tensor in node.inputs]
        if id(node) in moved:
            groups: list[list[Node]] = [[] for _ in node.attrs["branches"]]
            for one in moved[id(node)]:
                groups[place[id(one)][1]].append(new(Tensor(one)).node)
            with source_scope(node.sources):
                made[id(node)] = _with_moved(node, inputs, groups)
        elif any(one is not old for one, old in zip(inputs, node.inputs, strict=True)):
            fresh = Node(node.op, tuple(inputs), node.attrs, node.types, node.sources)
            made[id(node)] = [Tensor(fresh, n) for n in range(len(node.types))]
    return graph.with_results([new(tensor) for tensor in graph.results])


def _named(tensor: Tensor, name: str | None) -> Tensor:
    return tensor if name is None or tensor.name else Tensor(tensor.node, tensor.index, name)


def _places(graph: Graph) -> dict[int, tuple[int, int]]:
    """Where nodes move to: node -> (node with branches, number of the branch), by id."""
    users: dict[int, list[tuple[Node, int]]] = {}
    readers: dict[int, list[list[int]]] = {}
    for node in graph.nodes:
        for position, tensor in enumerate(node.inputs):
            users.setdefault(id(tensor.node), []).append((node, position))
        if is_branches(node) and len(node.attrs["branches"]) > 1:
            readers[id(node)] = _readers(node)
    fixed = {id(tensor.node) for tensor in graph.results}
    place: dict[int, tuple[int, int]] = {}
    for node in reversed(graph.nodes):
        stays = isinstance(node.op.lower, Leaf) or is_generated(Tensor(node))
        if id(node) in fixed or stays or id(node) not in users:
            continue
        targets: set[tuple[int, int] | None] = set()
        for user, position in users[id(node)]:
            if id(user) in place:
                targets.add(place[id(user)])
            else:
                found = readers[id(user)][position] if id(user) in readers else []
                targets.add((id(user), found[0]) if len(found) == 1 else None)
        target = targets.pop() if len(targets) == 1 else None
        if target is not None:
            place[id(node)] = target
    return place


def _readers(node: Node) -> list[list[int]]:
    """For each input the branches that read it; the selector is read by none of them alone."""
    found: list[list[int]] = [[] for _ in node.inputs]
    for number, branch in enumerate(node.attrs["branches"]):
        read = {tensor.key for inner in branch.nodes for tensor in inner.inputs}
        read.update(tensor.key for tensor in branch.outputs)
        for position, tensor in enumerate(branch.inputs, 1):
            if tensor.key in read:
                found[position].append(number)
    return found


def _with_moved(
    node: Node, inputs: Sequence[Tensor], groups: Sequence[Sequence[Node]]
) -> Sequence[Tensor]:
    """The node with `groups`, which compute some of its inputs, inside its branches."""
    branches: tuple[Graph, ...] = node.attrs["branches"]
    inside = {id(one) for group in groups for one in group}
    kept = [p for p in range(1, len(inputs)) if id(inputs[p].node) not in inside]
    outer = {inputs[p].key: inputs[p] for p in kept}
    for group in groups:
        for tensor in (tensor for one in group for tensor in one.inputs):
            if id(tensor.node) not in inside and not is_generated(tensor):
                outer.setdefault(tensor.key, tensor)
    bodies: list[Graph] = []
    for branch in branches:
        values = dict(zip([t.key for t in branch.inputs], inputs[1:], strict=True))
        fresh = [inner_input(tensor, f"outer{n}") for n, tensor in enumerate(outer.values())]
        whole = substituted(branch.outputs, values)
        body = substituted(whole, dict(zip(outer, fresh, strict=True)))
        bodies.append(Graph(tuple(fresh), tuple(body), name=branch.name))
    return node.op.apply([inputs[0], *outer.values()], {**node.attrs, "branches": tuple(bodies)})
