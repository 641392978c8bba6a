"""Sums of a loop that a step adds few entries to.

    s' = s + scatter_add(i, v)    =    s.at[i].add(v)

The gradient by an array of which every step reads some entries is such a sum. The right side is
lowered to additions in place (loops/overwritten.py): a step costs what its entries cost.
"""

from collections.abc import Mapping, Sequence

from graphc.dtypes import is_half
from graphc.ir.leaf import scalar_value
from graphc.ir.node import Node
from graphc.ir.registry import BUILDER
from graphc.ir.source import source_scope
from graphc.ir.tensor import Tensor
from graphc.ir.traversal import topological_order, users_of
from graphc.passes.loops import Body

Users = Mapping[int, Sequence[Node]]


def add_entries(body: Body) -> bool:
    """Rewrites what carries become; whether any changed."""
    results = [*(following for _, _, following in body.carries), *body.outputs]
    users = users_of(topological_order(results))
    changed = False
    for number, (state, initial, following) in enumerate(body.carries):
        links = _links(state, following, users)
        if any(node.op.name == "add" for node, _ in links):
            body.carries[number] = (state, initial, _rebuilt(state, links))
            changed = True
    return changed


def _links(state: Tensor, following: Tensor, users: Users) -> list[tuple[Node, Tensor]]:
    """What makes the next state of this one, the last first, if it is changes of entries alone.

    With each scatter itself, and with each sum the scattered entries that it adds.
    """
    links: list[tuple[Node, Tensor]] = []
    if is_half(state.dtype):
        return links  # their sums are wider than they are
    while following.key != state.key:
        node = following.node
        if links and len(users[id(node)]) > 1:
            return []
        if node.op.name == "scatter":
            links.append((node, following))
            following = node.inputs[0]
            continue
        added = [tensor for tensor in node.inputs if _adds_entries(tensor, state)]
        if node.op.name != "add" or len(added) != 1 or len(users[id(added[0].node)]) > 1:
            return []
        links.append((node, added[0]))
        left, right = node.inputs
        following = right if added[0] is left else left
    return links


def _adds_entries(tensor: Tensor, state: Tensor) -> bool:
    """Whether a tensor is zero but for the entries that it scatters."""
    node = tensor.node
    if tensor.shape != state.shape:
        return False
    if node.op.name == "scatter_add":
        return True
    if node.op.name != "scatter" or node.attrs["mode"] != "add":
        return False
    start = node.inputs[0]
    uniform = start.node.inputs[0] if start.op.name == "broadcast_to" else start
    return bool(scalar_value(uniform) == 0)


def _rebuilt(state: Tensor, links: Sequence[tuple[Node, Tensor]]) -> Tensor:
    value = state
    for node, changed in reversed(links):
        with source_scope(node.sources):
            entries = changed.node
            if entries.op.name == "scatter_add":
                indices, values = entries.inputs
                axes = (entries.attrs["axis"],)
                value = BUILDER.scatter(value, [indices], values, axes, mode="add")
            else:
                value = entries.op(value, *entries.inputs[1:], **entries.attrs)
    return value
