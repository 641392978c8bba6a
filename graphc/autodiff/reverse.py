"""Reverse mode: one walk from the outputs to the inputs.

The walk is over the topological order, so graphs of any depth work and the cost is linear in the
nodes between `wrt` and the outputs. Op rules stay small because the walk does the rest: it adds
what flows together, undoes broadcasting, drops gradients of integers and of what does not matter,
casts to the dtype of the input, carries `where` (see `autodiff.cotangent`) and gives gradient
nodes the user's line of the node they belong to.

Complex numbers: inside the walk a cotangent g of z says dL = Re(g dz), without a conjugate. So the
rule of a holomorphic op is the one for real numbers, multiplication by f'(z), and only the few ops
that are not holomorphic (real, imag, conj, abs, ...) know of complex numbers. What users see is the
conjugate, dL/dx + i dL/dy, which is the direction of steepest ascent: `autodiff.gradient` turns
gradients and cotangents where they enter and leave.
"""

import cmath
from collections.abc import Callable, Sequence
from dataclasses import field, replace

from graphc.autodiff.activity import Key, active_values, is_active, passes_derivatives
from graphc.autodiff.carry import carry
from graphc.autodiff.cotangent import (
    Cotangent,
    Gate,
    accumulate,
    balanced,
    broadcasts,
    fit,
    narrow,
    settle,
)
from graphc.dtypes import is_bool, is_complex
from graphc.errors import GradientError
from graphc.ir.graph import Graph
from graphc.ir.leaf import scalar_value
from graphc.ir.lowering import Composite
from graphc.ir.node import Node
from graphc.ir.opdef import Application, Gradients
from graphc.ir.registry import BUILDER
from graphc.ir.source import source_scope
from graphc.ir.tensor import Tensor
from graphc.ir.traversal import topological_order
from graphc.records import dataclass

__all__ = ["Backward", "application_of", "backpropagate", "expand", "in_dtype", "is_select"]


@dataclass(slots=True)
class Backward:
    """gradients: one per wrt, None where nothing arrived. refused: nodes whose rule stopped it."""

    gradients: list[Tensor | None]
    refused: list[Node] = field(default_factory=list)


def backpropagate(
    seeds: Sequence[tuple[Tensor, Tensor]],
    wrt: Sequence[Tensor],
    *,
    fixed: frozenset[Key] = frozenset(),
    leaves: frozenset[Key] = frozenset(),
    constant: frozenset[Key] = frozenset(),
) -> Backward:
    """The gradients by `wrt` of the sum over all (output, cotangent) in `seeds`.

    fixed: values whose cotangent is its seed, or nothing: what flows into them is dropped.
    leaves: values through which nothing flows on; their nodes are not walked through either.
    constant: values through which nothing flows on, beside others of the same nodes.
    """
    stops = leaves | constant
    ends = {key[0] for key in leaves}
    order = topological_order([output for output, _ in seeds], lambda node: id(node) in ends)
    wanted = {tensor.key for tensor in wrt}
    active = active_values(order, wanted) - (fixed - wanted)
    pending: dict[Key, list[Cotangent]] = {}
    for output, seed in seeds:
        pending.setdefault(output.key, []).append(Cotangent(seed))
    found: dict[Key, Tensor] = {}
    refused: list[Node] = []
    for node in reversed(order):
        keys = [(id(node), index) for index in range(len(node.types))]
        if not any(key in pending for key in keys):
            continue
        with source_scope(node.sources):
            arrived = {key: accumulate(pending.pop(key)) for key in keys if key in pending}
            for key in wanted.intersection(arrived):
                found[key] = settle(arrived[key])
            flowing = [None if key in stops else arrived.get(key) for key in keys]
            if not any(flowing) or not passes_derivatives(node) or not is_active(node, active):
                continue
            for tensor, part in zip(node.inputs, pull_back(node, flowing, active), strict=True):
                if part is None:
                    if tensor.key in active:
                        refused.append(node)
                elif tensor.key in active and tensor.key not in fixed:
                    pending.setdefault(tensor.key, []).append(part)
    return Backward([found.get(tensor.key) for tensor in wrt], refused)


def pull_back(
    node: Node, cotangents: Sequence[Cotangent | None], active: set[Key]
) -> list[Cotangent | None]:
    """The cotangents of the inputs of one node, each in the shape and dtype of its input."""
    first = cotangents[0]
    if is_select(node):
        assert first is not None
        return select_branches(node, first, active)
    if first is not None and "elementwise" in node.op.traits:
        results = apply_rule(node, [first.value], active)
        return [
            None if result is None else pull_element(node, first, result, tensor)
            for result, tensor in zip(results, node.inputs, strict=True)
        ]
    parts: list[Cotangent | None]
    if all(c is None or c.plain for c in cotangents):
        bare = apply_rule(node, [None if c is None else c.value for c in cotangents], active)
        parts = [None if result is None else Cotangent(result) for result in bare]
    else:
        parts = carry(cotangents, lambda gradients: apply_rule(node, gradients, active), node)
    if "branches" in node.op.traits:
        parts = [under_branch(node, n, part) for n, part in enumerate(parts)]
    return [
        None if part is None else fit(part, tensor.shape)
        for part, tensor in zip(parts, node.inputs, strict=True)
    ]


def pull_element(node: Node, cotangent: Cotangent, result: Tensor, tensor: Tensor) -> Cotangent:
    """An elementwise rule's result, under what the cotangent was under."""
    if broadcasts(result.shape, node.types[0].shape):  # a constant, such as zeros
        return fit(Cotangent(result), tensor.shape)
    origin = cotangent.origin
    if origin is not None and origin.key == cotangent.value.key and keeps_zeros(result, origin):
        origin = result
    return fit(Cotangent(result, cotangent.gate, origin), tensor.shape)


def keeps_zeros(result: Tensor, value: Tensor) -> bool:
    """Whether a rule's result is certainly 0, not NaN, where `value` is: value * 0.5, -value."""
    if result.key == value.key:
        return True
    node = result.node
    others = [tensor for tensor in node.inputs if tensor.key != value.key]
    if len(others) == len(node.inputs) or "elementwise" not in node.op.traits:
        return False
    if is_select(node):
        return all(scalar_value(tensor) == 0 for tensor in others[1:])
    constants = [scalar_value(tensor) for tensor in others]
    return all(c is not None and c != 0 and cmath.isfinite(c) for c in constants)


# --- where -------------------------------------------------------------------------------------


def is_select(node: Node) -> bool:
    """Whether the op picks between inputs 1 and 2 by input 0."""
    return "select" in node.op.traits or node.op.name == "where"


def select_branches(node: Node, cotangent: Cotangent, active: set[Key]) -> list[Cotangent | None]:
    """where(c, a, b): the cotangent flows to `a` under the gate c, to `b` under not c."""
    condition, *branches = node.inputs
    parts: list[Cotangent | None] = [None]
    for tensor, branch in zip(branches, (True, False), strict=True):
        if tensor.key in active:
            parts.append(fit(narrow(cotangent, condition, branch), tensor.shape))
        else:
            parts.append(None)
    return parts


def under_branch(node: Node, position: int, part: Cotangent | None) -> Cotangent | None:
    """What flows out of an input that some of the branches read flows only if one is taken.

    The branches not taken contribute zero; the gate keeps 0 * inf out of what was computed before.
    """
    if part is None or part.gate is not None or not node.inputs[position].node.inputs:
        return part
    branches, selector = node.attrs["branches"], node.inputs[0]
    taken = [n for n, branch in enumerate(branches) if reads(branch, branch.inputs[position - 1])]
    if len(taken) == len(branches):
        return part
    if is_bool(selector.dtype):
        return narrow(part, selector, taken == [1])
    chosen = BUILDER.clip(selector, 0, len(branches) - 1)
    tests = [BUILDER.equal(chosen, n) for n in taken]
    return replace(part, gate=Gate(balanced(BUILDER.logical_or, tests)))


def reads(graph: Graph, tensor: Tensor) -> bool:
    """Whether a result of the graph is computed from its input `tensor`."""
    return any(node is tensor.node for node in graph.nodes)


# --- rules -------------------------------------------------------------------------------------


def application_of(node: Node, active: set[Key] | None = None) -> Application:
    """The node with its output tensors; gradients are wanted for active inputs."""
    outputs = tuple(Tensor(node, index) for index in range(len(node.types)))
    if active is None:
        return Application(node, outputs)
    return Application(node, outputs, tuple(tensor.key in active for tensor in node.inputs))


def apply_rule(
    node: Node, gradients: Gradients, active: set[Key] | None = None
) -> list[Tensor | None]:
    """The op's vjp, checked: one gradient or None per input, in the dtype of the input."""
    rule = node.op.vjp or default_rule(node)
    results = list(rule(BUILDER, application_of(node, active), gradients))
    if len(results) != len(node.inputs):
        raise GradientError(
            f"{node.op.name}: the gradient rule gave {len(results)} gradients "
            f"for {len(node.inputs)} inputs",
            code="E307",
            source=node.sources[0] if node.sources else None,
            fix="return one gradient, or None, for each input",
        )
    return [
        None if result is None else in_dtype(result, tensor)
        for result, tensor in zip(results, node.inputs, strict=True)
    ]


def in_dtype(result: Tensor, like: Tensor) -> Tensor:
    """A derivative in the dtype of what it belongs to; of a complex one the real part counts."""
    if result.dtype == like.dtype:
        return result
    if is_complex(result.dtype) and not is_complex(like.dtype):
        result = BUILDER.real(result)
    return result.astype(like.dtype)


def expand(node: Node) -> tuple[Tensor, ...]:
    """The simpler graph of a composite op."""
    assert isinstance(node.op.lower, Composite)
    built = node.op.lower.build(BUILDER, *node.inputs, **node.attrs)
    return built if isinstance(built, tuple) else (built,)


def default_rule(node: Node) -> Callable[..., Gradients]:
    """For an op without a vjp: through its composition of simpler ops, or GradientError E304."""
    if not isinstance(node.op.lower, Composite):
        raise GradientError(
            f"{node.op.name} has no derivative",
            code="E304",
            source=node.sources[0] if node.sources else None,
            fix="gc.stop_gradient(...) around it treats the value as constant; "
            "gc.custom_gradient gives it a derivative",
        )

    def rule(b: object, application: Application, gradients: Gradients) -> Gradients:
        seeds = [
            (output, gradient)
            for output, gradient in zip(expand(node), gradients, strict=True)
            if gradient is not None
        ]
        leaves = frozenset(tensor.key for tensor in node.inputs)
        results = backpropagate(seeds, node.inputs, leaves=leaves).gradients
        seen: set[Key] = set()
        for position, tensor in enumerate(node.inputs):
            if tensor.key in seen:  # the first position holds the sum of all
                results[position] = None
            seen.add(tensor.key)
        return results

    return rule
