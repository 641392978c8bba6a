"""Walks over graphs. All are iterative: user graphs may be 100,000 nodes deep."""

from collections.abc import Callable, Iterable

from graphc.ir.node import Node
from graphc.ir.tensor import Tensor


def topological_order(
    outputs: Iterable[Tensor], stop: Callable[[Node], bool] | None = None
) -> list[Node]:
    """All nodes that `outputs` depend on, inputs before users, in order of first use.

    A node for which `stop` holds is listed but not walked through.
    """
    order: list[Node] = []
    done: set[int] = set()
    for output in outputs:
        # A node is listed when what stands above it on the stack is: its inputs, then None.
        stack: list[Node | None] = [output.node]
        opened: list[Node] = []
        while stack:
            node = stack.pop()
            if node is None:
                order.append(opened.pop())
                continue
            if id(node) in done:
                continue
            done.add(id(node))
            if not node.inputs or (stop is not None and stop(node)):
                order.append(node)
                continue
            opened.append(node)
            stack.append(None)
            for tensor in reversed(node.inputs):
                if id(tensor.node) not in done:
                    stack.append(tensor.node)
    return order


def users_of(order: Iterable[Node]) -> dict[int, list[Node]]:
    """For each node (by id) the nodes that take one of its outputs as input."""
    users: dict[int, list[Node]] = {}
    for node in order:
        for producer in {id(tensor.node) for tensor in node.inputs}:
            users.setdefault(producer, []).append(node)
    return users


def path_to(output: Tensor, target: Tensor) -> list[Node]:
    """One shortest chain of nodes from `output` down to `target`; empty if there is none."""
    parent: dict[int, Node | None] = {id(output.node): None}
    frontier = [output.node]
    while frontier:
        following: list[Node] = []
        for node in frontier:
            if node is target.node:
                chain: list[Node] = []
                current: Node | None = node
                while current is not None:
                    chain.append(current)
                    current = parent[id(current)]
                return chain[::-1]
            for tensor in node.inputs:
                if id(tensor.node) not in parent:
                    parent[id(tensor.node)] = node
                    following.append(tensor.node)
        frontier = following
    return []
