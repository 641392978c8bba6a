"""States of a loop of which a step changes few entries.

    s' = s + scatter_add(i, v)              =    s.at[i].add(v)
    s' = update_slice(s, v)                 =    s.at[places of the slice].set(v)

The gradient by an array of which every step reads some entries is such a sum. The right sides are
lowered to changes in place (loops/overwritten.py): a step costs what its entries cost.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import prod
from typing import Any

import numpy as np

from graphc.dtypes import is_half
from graphc.ir.leaf import constant, scalar_value
from graphc.ir.node import Node
from graphc.ir.registry import BUILDER
from graphc.ir.source import source_scope
from graphc.ir.tensor import Tensor
from graphc.ir.traversal import topological_order, users_of
from graphc.passes.loops import Body
from graphc.shapes import size_product

FEW = 4  # a slice of more than one part in so many is written like the whole array

Users = Mapping[int, Sequence[Node]]
Change = Callable[[Tensor], Tensor]  # of the state


def change_entries(body: Body) -> bool:
    """Rewrites what carries become; whether any changed."""
    results = [*(following for _, _, following in body.carries), *body.outputs]
    users = users_of(topological_order(results))
    changed = False
    for number, (state, initial, following) in enumerate(body.carries):
        links = _links(state, following, users)
        if all(change is None for _, change in links):
            continue
        value = state
        for node, change in reversed(links):
            with source_scope(node.sources):
                value = _as_before(node, value) if change is None else change(value)
        body.carries[number] = (state, initial, value)
        changed = True
    return changed


def _as_before(node: Node, value: Tensor) -> Tensor:
    return node.op(value, *node.inputs[1:], **node.attrs)


def _links(state: Tensor, following: Tensor, users: Users) -> list[tuple[Node, Change | None]]:
    """What makes the next state of this one, the last first, if it is changes of entries alone;
    with what each becomes, None for a scatter, which stays."""
    links: list[tuple[Node, Change | None]] = []
    while following.key != state.key:
        node = following.node
        if links and len(users[id(node)]) > 1:
            return []
        if node.op.name == "scatter":
            links.append((node, None))
            following = node.inputs[0]
            continue
        found = _sum(node, users) if node.op.name == "add" else _placed(node)
        if found is None or following.shape != state.shape:
            return []
        following, change = found
        links.append((node, change))
    return links


def _sum(node: Node, users: Users) -> tuple[Tensor, Change] | None:
    """What entries are added to, and how."""
    if is_half(node.types[0].dtype):
        return None  # sums of entries are wider than they are
    left, right = node.inputs
    for start, entries in ((left, right), (right, left)):
        adds = _addition(entries)
        if adds is not None and start.shape == entries.shape and len(users[id(entries.node)]) == 1:
            return start, adds
    return None


def _addition(entries: Tensor) -> Change | None:
    """The addition of a tensor that is zero but for what it scatters."""
    node = entries.node
    if node.op.name == "scatter_add":
        indices, values = node.inputs
        axes = (node.attrs["axis"],)
        return lambda state: BUILDER.scatter(state, [indices], values, axes, mode="add")
    if node.op.name != "scatter" or node.attrs["mode"] != "add":
        return None
    return partial(_as_before, node) if is_zero(node.inputs[0]) else None


def _placed(node: Node) -> tuple[Tensor, Change] | None:
    """The tensor of which a slice is replaced, and how."""
    if node.op.name != "update_slice":
        return None
    old, values = node.inputs
    places = _places(node, old, values)
    if places is None:
        return None
    axes, indices = places
    return old, lambda state: BUILDER.scatter(state, indices, values, axes)


def _places(node: Node, old: Tensor, values: Tensor) -> tuple[tuple[int, ...], list[Tensor]] | None:
    """The axes that a slice cuts, side by side, and the positions along each; None for a large
    slice, and where they are not known."""
    shape, starts, steps = old.shape, node.attrs["starts"], node.attrs["steps"]
    cut = [
        axis
        for axis, (size, count) in enumerate(zip(shape, values.shape, strict=True))
        if (starts[axis], steps[axis]) != (0, 1) or count != size
    ]
    counts = [count for axis in cut if isinstance(count := values.shape[axis], int)]
    known = len(counts) == len(cut) and all(isinstance(starts[axis], int) for axis in cut)
    if not cut or not known or cut != list(range(cut[0], cut[-1] + 1)):
        return None
    whole = size_product([shape[axis] for axis in cut])
    if isinstance(whole, int) and prod(counts) * FEW > whole:
        return None
    indices: list[Tensor] = []
    for number, axis in enumerate(cut):
        positions = starts[axis] + steps[axis] * np.arange(counts[number], dtype=np.int64)
        indices.append(constant(positions.reshape((-1,) + (1,) * (len(cut) - 1 - number))))
    return tuple(cut), indices


def is_zero(tensor: Tensor) -> bool:
    """Zeros everywhere; a sum that starts from them is never -0.0."""
    return bool(_everywhere(tensor) == 0)


def _everywhere(tensor: Tensor) -> Any:
    """The number that all elements are, if it is known; else None."""
    return scalar_value(tensor.node.inputs[0] if tensor.op.name == "broadcast_to" else tensor)
