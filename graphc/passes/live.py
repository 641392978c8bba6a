"""Outputs, carries and inputs of loops and branches that no result needs are dropped.

From the last user upwards. What a loop hands on is needed if a needed output, or another needed
carry, is computed from it.
"""

from collections.abc import Sequence
from dataclasses import replace

from graphc.ir.graph import Graph
from graphc.ir.leaf import PLACEHOLDER
from graphc.ir.lowering import Branches
from graphc.ir.node import Node
from graphc.ir.tensor import Tensor
from graphc.ir.traversal import topological_order
from graphc.passes.loops import Body, is_loop
from graphc.passes.nested import Key, rebuild
from graphc.records import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    """What is left of a node: positions of its outputs and inputs, and the reduced loop."""

    outputs: list[int]
    inputs: list[int]
    body: Body | None = None


def drop_unneeded(graph: Graph) -> Graph:
    """The graph with what is needed of its loops and branches."""
    needed = {tensor.key for tensor in graph.results}
    parts: dict[int, Part] = {}
    for node in reversed(graph.nodes):
        if not any((id(node), n) in needed for n in range(len(node.types))):
            continue
        if is_loop(node):
            part = _part_of_loop(node, needed)
        elif isinstance(node.op.lower, Branches):
            part = _part_of_branches(node, needed)
        else:
            needed.update(tensor.key for tensor in node.inputs)
            continue
        parts[id(node)] = part
        needed.update(node.inputs[position].key for position in part.inputs)

    def reduce(node: Node, inputs: list[Tensor]) -> Sequence[Tensor] | None:
        part = parts.get(id(node))
        if part is None:
            return None
        whole = len(part.outputs) == len(node.types) and len(part.inputs) == len(node.inputs)
        if whole:
            return None
        made = _reduced_loop(node, inputs, part) if part.body else _reduced(node, inputs, part)
        values = dict(zip(part.outputs, made, strict=True))
        return [values.get(n, Tensor(node, n)) for n in range(len(node.types))]

    return rebuild(graph, reduce)


def _used(results: Sequence[Tensor]) -> set[Key]:
    """The placeholders that the results depend on."""
    return {(id(one), 0) for one in topological_order(results) if one.op is PLACEHOLDER}


# --- loops ---------------------------------------------------------------------------------------


def _part_of_loop(node: Node, needed: set[Key]) -> Part:
    """Carries are added until no needed output or carry is computed from another one."""
    body = Body.of(node, node.inputs)
    count = len(body.carries)
    outputs = [n for n in range(len(body.outputs)) if (id(node), count + n) in needed]
    states = {n for n in range(count) if (id(node), n) in needed}
    tests = [] if body.test is None else [body.test]
    while True:
        wanted = tests + [body.outputs[n] for n in outputs] + [body.carries[n][2] for n in states]
        used = _used(wanted)
        grown = states | {n for n in range(count) if body.carries[n][0].key in used}
        if grown == states:
            break
        states = grown
    kept = sorted(states)
    inner = node.attrs["body"].inputs
    if node.attrs["anchored"]:
        used.add(inner[-1].key)
    reduced = replace(
        body,
        carries=[body.carries[n] for n in kept],
        sequences=[pair for pair in body.sequences if pair[0].key in used],
        shared=[pair for pair in body.shared if pair[0].key in used],
        outputs=[body.outputs[n] for n in outputs],
    )
    read = {state.key for state, _, _ in reduced.carries} | used
    inputs = [position for position, tensor in enumerate(inner) if tensor.key in read]
    return Part([*kept, *(count + n for n in outputs)], inputs, reduced)


def _reduced_loop(node: Node, inputs: Sequence[Tensor], part: Part) -> Sequence[Tensor]:
    body = part.body
    assert body is not None
    outer = {inner.key: new for inner, new in zip(node.attrs["body"].inputs, inputs, strict=True)}
    body.carries = [(state, outer[state.key], following) for state, _, following in body.carries]
    body.sequences = [(inner, outer[inner.key]) for inner, _ in body.sequences]
    body.shared = [(inner, outer[inner.key]) for inner, _ in body.shared]
    return body.build()


# --- branches ------------------------------------------------------------------------------------


def _part_of_branches(node: Node, needed: set[Key]) -> Part:
    outputs = [n for n in range(len(node.types)) if (id(node), n) in needed]
    read = {0}
    for branch in node.attrs["branches"]:
        used = _used([branch.outputs[n] for n in outputs])
        read.update(p for p, tensor in enumerate(branch.inputs, 1) if tensor.key in used)
    return Part(outputs, sorted(read))


def _reduced(node: Node, inputs: Sequence[Tensor], part: Part) -> Sequence[Tensor]:
    branches = tuple(
        Graph(
            tuple(branch.inputs[p - 1] for p in part.inputs[1:]),
            tuple(branch.outputs[n] for n in part.outputs),
            name=branch.name,
        )
        for branch in node.attrs["branches"]
    )
    kept = [inputs[p] for p in part.inputs]
    return node.op.apply(kept, {**node.attrs, "branches": branches})
