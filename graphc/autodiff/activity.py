"""Which values carry derivatives, and why one does not."""

from collections.abc import Iterable, Sequence

from graphc.dtypes import is_inexact
from graphc.errors import DisconnectedError
from graphc.ir.graph import bodies_of
from graphc.ir.leaf import PLACEHOLDER, VARIABLE
from graphc.ir.node import Node
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ir.traversal import path_to, topological_order

__all__ = [
    "Key",
    "active_values",
    "depends_smoothly",
    "describe",
    "disconnected_error",
    "is_active",
    "passes_derivatives",
    "refuse_constants_of_bodies",
    "written",
]

Key = tuple[int, int]
LISTED = 6  # how many blocking ops or leaves an error names


def passes_derivatives(node: Node) -> bool:
    """Whether the op has a derivative that is not zero everywhere."""
    return "nondifferentiable" not in node.op.traits


def active_values(order: Iterable[Node], wrt: Iterable[Key]) -> set[Key]:
    """The values among `order` (inputs before users) that change smoothly with `wrt`."""
    active = set(wrt)
    for node in order:
        if passes_derivatives(node) and is_active(node, active):
            for index, type_ in enumerate(node.types):
                if is_inexact(type_.dtype):
                    active.add((id(node), index))
    return active


def is_active(node: Node, active: set[Key]) -> bool:
    """Whether any input of the node is active."""
    return any(tensor.key in active for tensor in node.inputs)


def depends_smoothly(outputs: Sequence[Tensor], wrt: Tensor, refused: Iterable[Node] = ()) -> bool:
    """Whether ops with derivatives lead from `wrt` to an output, in the graph as it is.

    refused: nodes whose rule gave no gradient for an active input; the answer is no then.
    """
    if any(True for _ in refused):
        return False
    active = active_values(topological_order(outputs), [wrt.key])
    return any(output.key in active for output in outputs)


# --- errors ------------------------------------------------------------------------------------


def refuse_constants_of_bodies(outputs: Sequence[Tensor], targets: Sequence[Tensor]) -> None:
    """DisconnectedError for a target that a loop or branch makes for itself: scalar constants and
    fills are part of a body that uses them, and no derivative comes out of it."""
    leaves = {
        id(target.node): target
        for target in targets
        if not target.node.inputs and target.node.op not in (PLACEHOLDER, VARIABLE)
    }
    pending = [outputs] if leaves else []
    while pending:
        for node in topological_order(pending.pop()):
            for body in bodies_of(node):
                pending.append(body.outputs)
                for inner in topological_order(body.outputs):
                    if id(inner) in leaves:
                        raise _constant_of_a_body(leaves[id(inner)], node)


def _constant_of_a_body(target: Tensor, loop: Node) -> DisconnectedError:
    return DisconnectedError(
        f"{describe(target)} is a constant inside of {loop.op.name}: no derivative leads out of it",
        details=[
            f"{describe(target)}: {target.type}   {written(target.node)}",
            f"{loop.op.name} uses it   {written(loop)}",
        ],
        source=current_source(),
        fix="make it a variable or a placeholder",
    )


def disconnected_error(
    outputs: Sequence[Tensor], wrt: Tensor, refused: Iterable[Node] = ()
) -> DisconnectedError:
    """The error for `outputs` without a derivative by `wrt`.

    E302 lists the ops that block the way, with the user's lines; E303 says where the way ends, if
    there is none at all. refused: nodes whose rule gave no gradient for an active input.
    """
    order = topological_order(outputs)
    blocking = _blocking(order, [wrt.key], {id(node) for node in refused})
    names = " and ".join(describe(output) for output in outputs[:3])
    if blocking:
        return DisconnectedError(
            f"{names} depends on {describe(wrt)} only through ops without a derivative",
            code="E302",
            details=[f"blocked by {node.op.name:<12} {written(node)}" for node in blocking[:LISTED]]
            + (["..."] if len(blocking) > LISTED else []),
            source=current_source(),
            fix="use a smooth op in its place (softmax for argmax, sigmoid for a comparison), "
            'or pass disconnected="zero"',
        )
    return no_path(outputs, wrt, names, order)


def _blocking(order: Sequence[Node], wrt: Sequence[Key], stopped: set[int]) -> list[Node]:
    """The nodes at which derivatives by `wrt` end; of a loop or a branch those inside it."""
    found: list[Node] = []
    pending = [(order, wrt, stopped)]
    while pending:
        order, wrt, stopped = pending.pop()
        active = active_values(order, wrt)
        for node in order:
            passes = any((id(node), i) in active for i in range(len(node.types)))
            if not is_active(node, active) or (passes and id(node) not in stopped):
                continue
            bodies = bodies_of(node)
            pending += [
                (topological_order(body.outputs), [one.key for one in body.inputs], set())
                for body in bodies
            ]
            if not bodies:
                found.append(node)
    return found


def no_path(
    outputs: Sequence[Tensor], wrt: Tensor, names: str, order: Sequence[Node]
) -> DisconnectedError:
    leaves = [Tensor(node) for node in order if node.op in (PLACEHOLDER, VARIABLE)]
    leaves = [leaf for leaf in leaves if leaf.key != wrt.key]
    active = active_values(order, [wrt.key])
    takers = [node for node in order if bodies_of(node) and is_active(node, active)]
    found = ", ".join(describe(leaf) for leaf in leaves[:LISTED]) or "constants alone"
    details = [
        *(f"{describe(output)}: {output.type}   {written(output.node)}" for output in outputs[:3]),
        f"{describe(wrt)}: {wrt.type}   {written(wrt.node)}",
        f"every path from {names} ends at {found}" + (", ..." if len(leaves) > LISTED else ""),
        *(
            f"{describe(wrt)} goes into {node.op.name}, but not into this result of it   "
            f"{written(node)}"
            for node in takers[:1]
        ),
    ]
    fix = 'differentiate by a tensor that the cost is built from, or pass disconnected="zero"'
    if wrt.node.inputs and any(
        path_to(output, leaf) for output in outputs for leaf in wrt.node.inputs
    ):
        fix = (
            f"differentiate by the tensor that went into the cost; {describe(wrt)} was only "
            "built from the same values"
        )
    return DisconnectedError(
        f"{names} does not depend on {describe(wrt)}",
        details=details,
        source=current_source(),
        fix=fix,
    )


def describe(tensor: Tensor) -> str:
    """`x`, or `tanh (train.py:12)` for a value without a name."""
    if tensor.name:
        return tensor.name
    return f"{tensor.node.op.name} ({tensor.source})" if tensor.source else tensor.node.op.name


def written(node: Node) -> str:
    return node.sources[0].describe() if node.sources else "(line unknown)"
