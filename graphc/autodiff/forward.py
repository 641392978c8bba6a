"""Forward mode: one walk from the inputs to the outputs."""

from collections.abc import Sequence
from typing import Any

from graphc.autodiff.activity import Key, active_values, is_active, passes_derivatives
from graphc.autodiff.arguments import (
    Disconnected,
    Tensors,
    check_floating,
    fill_tangents,
    fit_to,
    flatten,
    flatten_like,
    zeros_for,
)
from graphc.autodiff.cotangent import sum_to_shape, total_of
from graphc.autodiff.gradient import stabilize_for_differentiation
from graphc.autodiff.reverse import application_of, apply_rule, backpropagate, expand, in_dtype
from graphc.errors import GradientError
from graphc.ir.leaf import placeholder
from graphc.ir.lowering import Composite
from graphc.ir.node import Node
from graphc.ir.opdef import Gradients
from graphc.ir.registry import BUILDER, public
from graphc.ir.source import source_scope
from graphc.ir.tensor import Tensor
from graphc.ir.traversal import topological_order

__all__ = ["jvp"]

b = BUILDER


@public
def jvp(outputs: Tensors, wrt: Tensors, tangents: Any, disconnected: Disconnected = "raise") -> Any:
    """Jacobian-vector product: how the outputs change when `wrt` moves along `tangents`.

    outputs: one tensor, or lists, tuples and dicts of them, floating, of any shape. tangents: one
    per `wrt`, each broadcastable to its shape (tensors, arrays or numbers). The result has the
    structure of `outputs`; each tangent has the shape and dtype of its output. Theano's `Rop`.
    disconnected: what to do for an output that depends smoothly on none of `wrt`, as in `grad`.

    An op without a forward rule uses its gradient rule twice: the rule is linear in the cotangent
    u, and the gradient by u of <vjp(u), tangent> is the tangent of the output.

    Errors as in `grad`; E307 for tangents that do not fit.

    >>> gc.jvp(A @ x, x, t)          # A @ t
    """
    sources, structure = flatten(outputs, "outputs")
    targets, given_for = flatten(wrt, "wrt")
    check_floating(sources, "outputs")
    check_floating(targets, "wrt")
    given = flatten_like(tangents, given_for, "tangents for wrt")
    starts = [
        (target, fit_to(tangent, target, "tangent"))
        for target, tangent in zip(targets, given, strict=True)
    ]
    stable = stabilize_for_differentiation(sources, targets)
    results = push_forward(stable, starts)
    results = fill_flat(results, stable, targets)
    return structure.pack(fill_tangents(results, sources, targets, disconnected))


def fill_flat(
    results: Sequence[Tensor | None], outputs: Sequence[Tensor], targets: Sequence[Tensor]
) -> list[Tensor | None]:
    """Zeros for outputs that depend on the targets through flat ops only, such as floor."""
    if all(result is not None for result in results):
        return list(results)
    active = active_values(topological_order(outputs), [target.key for target in targets])
    return [
        zeros_for(output) if result is None and output.key in active else result
        for result, output in zip(results, outputs, strict=True)
    ]


def push_forward(
    outputs: Sequence[Tensor],
    starts: Sequence[tuple[Tensor, Tensor]],
    *,
    leaves: frozenset[Key] = frozenset(),
) -> list[Tensor | None]:
    """The tangent of each output, None where it is zero. starts: pairs (tensor, its tangent).

    leaves: values whose tangent is their start, or zero, whatever they are computed from.
    """
    ends = {key[0] for key in leaves}
    order = topological_order(outputs, lambda node: id(node) in ends)
    active = active_values(order, [tensor.key for tensor, _ in starts])
    given: dict[Key, list[Tensor]] = {}
    for tensor, tangent in starts:
        given.setdefault(tensor.key, []).append(tangent)
    tangents: dict[Key, Tensor] = {}
    for node in order:
        keys = [(id(node), index) for index in range(len(node.types))]
        with source_scope(node.sources):
            moved: Gradients = [None] * len(keys)
            if passes_derivatives(node) and is_active(node, active) and id(node) not in ends:
                moved = push_through(node, [tangents.get(t.key) for t in node.inputs])
            for key, through in zip(keys, moved, strict=True):
                own = [] if through is None or key not in active else [through]
                terms = given.get(key, []) + own
                if terms:
                    tangents[key] = total_of(terms)
    return [tangents.get(output.key) for output in outputs]


def push_through(node: Node, tangents: Gradients) -> list[Tensor | None]:
    """The tangents of the outputs of one node, each in the shape and dtype of its output."""
    if all(tangent is None for tangent in tangents):
        return [None] * len(node.types)
    if node.op.jvp is not None:
        results: Gradients = node.op.jvp(b, application_of(node), tangents)
    elif node.op.vjp is None and isinstance(node.op.lower, Composite):
        leaves = frozenset(tensor.key for tensor in node.inputs)
        starts = {
            tensor.key: (tensor, tangent)
            for tensor, tangent in zip(node.inputs, tangents, strict=True)
            if tangent is not None
        }
        results = push_forward(expand(node), list(starts.values()), leaves=leaves)
    else:
        results = transpose_twice(node, tangents)
    return [
        None if result is None else conform(result, output)
        for result, output in zip(results, application_of(node).outputs, strict=True)
    ]


def conform(tangent: Tensor, output: Tensor) -> Tensor:
    return sum_to_shape(in_dtype(tangent, output), output.shape)


def transpose_twice(node: Node, tangents: Gradients) -> list[Tensor | None]:
    """The tangents from the gradient rule alone; see `jvp`."""
    cotangents = [placeholder(None, type_.shape, type_.dtype) for type_ in node.types]
    pulled = apply_rule(node, cotangents)
    seeds = [
        (result, tangent)
        for result, tangent in zip(pulled, tangents, strict=True)
        if result is not None and tangent is not None
    ]
    aligned = [(sum_to_shape(result, tangent.shape), tangent) for result, tangent in seeds]
    leaves = frozenset(tensor.key for tensor in node.inputs)
    moved = backpropagate(aligned, cotangents, leaves=leaves).gradients
    dummies = {id(cotangent.node) for cotangent in cotangents}
    for gradient in moved:
        if gradient is not None and any(id(n) in dummies for n in topological_order([gradient])):
            raise GradientError(
                f"{node.op.name}: the gradient rule is not linear in the cotangent, "
                "so no forward derivative follows from it",
                code="E304",
                source=node.sources[0] if node.sources else None,
                fix="give the op a jvp rule",
            )
    return moved
