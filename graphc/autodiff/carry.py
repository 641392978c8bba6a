"""Gates through rules that are not elementwise: the rule is followed op by op.

A gradient rule builds a small graph from the cotangents. It is built once from stand-ins, then
again from the cotangents, with what each op does to a gate:

elementwise        f(value) under the same gate
copies elements    copy(value) under copy(gate)
sums elements      sum(where(gate, value, 0)) under any(gate)
anything else      op(where(gate, value, 0)); from here on zeros are recognised by value (origin)

Whether an op copies is read off its lowering: every output element is an input element or zero.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from graphc.autodiff.activity import Key
from graphc.autodiff.cotangent import (
    Cotangent,
    Gate,
    joined,
    settle,
    zero_like,
    zero_outside,
)
from graphc.dtypes import bool_, is_inexact
from graphc.ir.leaf import constant, placeholder
from graphc.ir.lowering import IndexMap, LoweringContext, Pieces, Reduction, Reinterpret
from graphc.ir.node import Node, TensorType
from graphc.ir.opdef import Gradients
from graphc.ir.registry import BUILDER
from graphc.ir.tensor import Tensor
from graphc.ir.traversal import topological_order
from graphc.scalar.expr import Call, Const, Expr, Index, Read
from graphc.shapes import Dim, Shape, dim_max

__all__ = ["carry"]

b = BUILDER
Parts = Sequence[Cotangent | None]


def carry(
    cotangents: Parts, rule: Callable[[Gradients], list[Tensor | None]], node: Node
) -> list[Cotangent | None]:
    """The rule of `node` applied to cotangents of which some carry a gate or an origin."""
    stand_ins = [
        None if c is None else placeholder(None, c.value.shape, c.value.dtype) for c in cotangents
    ]
    results = rule(stand_ins)
    states: dict[Key, Cotangent] = {
        stand_in.key: c
        for stand_in, c in zip(stand_ins, cotangents, strict=True)
        if stand_in is not None and c is not None
    }
    known = {id(node), *(id(tensor.node) for tensor in node.inputs)}
    built = [result for result in results if result is not None]
    for step in topological_order(built, lambda item: id(item) in known):
        parts = [states.get(tensor.key) for tensor in step.inputs]
        if id(step) not in known and any(part is not None for part in parts):
            for index, state in enumerate(follow(step, parts)):
                states[(id(step), index)] = state
    return [
        None if result is None else states.get(result.key, Cotangent(result)) for result in results
    ]


def follow(step: Node, parts: Parts) -> list[Cotangent]:
    """One op of a rule. parts: for each input its cotangent, None for what is not one."""
    held = [part for part in parts if part is not None]
    if all(part.plain for part in held):
        return [Cotangent(value) for value in again(step, bare(parts))]
    if len(step.types) == 1 and "elementwise" in step.op.traits:
        return [follow_elementwise(step, parts, held)]
    if len(step.types) == 1 and copies_elements(step):
        return [follow_copy(step, parts, held)]
    values = again(step, [None if part is None else settle(part) for part in parts])
    if len(parts) == 1 and isinstance(step.op.lower, Reduction) and step.op.lower.combine == "add":
        return [follow_sum(step, held[0], values[0])]
    return [Cotangent(value, origin=value) for value in values]


def follow_elementwise(step: Node, parts: Parts, held: Sequence[Cotangent]) -> Cotangent:
    first = held[0]
    if all(part.gate is first.gate and part.origin is first.origin for part in held):
        return replace(first, value=again(step, bare(parts))[0])
    (value,) = again(step, [None if part is None else settle(part) for part in parts])
    return joined(value, held)


def follow_copy(step: Node, parts: Parts, held: Sequence[Cotangent]) -> Cotangent:
    (value,) = again(step, bare(parts))
    gate, origin = None, None
    pairs = list(zip(parts, step.inputs, strict=True))
    if any(part.gate is not None for part in held):
        gate = Gate(again(step, [gate_of(part, tensor) for part, tensor in pairs])[0])
    if any(part.origin is not None for part in held):
        (origin,) = again(step, [origin_of(part, tensor) for part, tensor in pairs])
    copied = Cotangent(value, gate, origin)
    if all(part.settled is part.value for part in held):
        copied.settled = value
    return copied


def follow_sum(step: Node, part: Cotangent, value: Tensor) -> Cotangent:
    gate = None
    if part.gate is not None:
        ones = stretch(part.gate.mask, part.value.shape).astype(part.value.dtype)
        (count,) = again(step, [ones])
        gate = Gate(b.not_equal(count, zero_like(count)))
    return zero_outside(value, gate, part.origin is not None)


def bare(parts: Parts) -> list[Tensor | None]:
    return [None if part is None else part.value for part in parts]


def again(step: Node, inputs: Sequence[Tensor | None]) -> tuple[Tensor, ...]:
    """The op applied to other inputs; None keeps the input that it had."""
    merged = [old if new is None else new for new, old in zip(inputs, step.inputs, strict=True)]
    return step.op.apply(merged, step.attrs)


def gate_of(part: Cotangent | None, tensor: Tensor) -> Tensor | None:
    """The gate in the full shape; what is not a cotangent is closed, indices stay."""
    if part is None:
        return stretch(constant(False, bool_), tensor.shape) if is_inexact(tensor.dtype) else None
    mask = constant(True, bool_) if part.gate is None else part.gate.mask
    return stretch(mask, tensor.shape)


def origin_of(part: Cotangent | None, tensor: Tensor) -> Tensor | None:
    """The origin in the full shape; what is not a cotangent is zero, indices stay."""
    if part is None:
        return stretch(zero_like(tensor), tensor.shape) if is_inexact(tensor.dtype) else None
    origin = constant(1, tensor.dtype) if part.origin is None else part.origin
    return stretch(origin.astype(tensor.dtype), tensor.shape)


def stretch(tensor: Tensor, shape: Shape) -> Tensor:
    return tensor if tensor.shape == shape else b.broadcast_to(tensor, shape)


# --- copies ------------------------------------------------------------------------------------


def copies_elements(node: Node) -> bool:
    """Whether every element of the output is one element of an input, or zero."""
    lower = node.op.lower
    if isinstance(lower, Reinterpret | Pieces):
        return True
    if not isinstance(lower, IndexMap) or "linear" not in node.op.traits:
        return False
    context = LoweringContext(
        node.attrs, tuple(_with_entries(t.type) for t in node.inputs), node.types
    )
    axes = range(len(node.types[0].shape))
    return is_copy(lower.expr(context, tuple(Index(Dim.symbol(f"i{axis}")) for axis in axes)))


def _with_entries(given: TensorType) -> TensorType:
    """Lowerings may read only what is never empty; whether they copy does not rest on sizes."""
    return TensorType(given.dtype, tuple(dim_max(size, 1) for size in given.shape))


def is_copy(expr: Expr) -> bool:
    match expr:
        case Read():
            return True
        case Const(value=value):
            return value == 0
        case Call(op="select", args=(_, taken, other)):
            return is_copy(taken) and is_copy(other)
    return False
