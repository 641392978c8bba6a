"""Cotangents: what flows backwards, and how `where` keeps the branch not taken out of it.

The derivative of `where(c, f(x), 0)` by `x` is `where(c, g * f'(x), 0)`. Computed rule by rule it
would be `where(c, g, 0) * f'(x)`, which is NaN wherever `c` is false and `f'(x)` is infinite. So
the selection is carried along and applied last. A cotangent is a `value` with up to two notes:

gate    a condition: the true cotangent is `where(gate, value, 0)`. `where` opens one. Elementwise
        rules are applied to the bare `value`, and each result keeps the gate. Other rules are
        followed op by op (see `autodiff.carry`): ops that copy elements take value and gate along,
        and before elements are added up, or cotangents meet, the gate is applied (`settle`). A
        gate never depends on the cotangent's value, so it is right for derivatives of any order.
origin  a tensor whose zeros mean "nothing flows here". It takes over where a gate cannot follow
        (through a matmul): there only a NaN that a rule made out of a zero of `origin` is replaced
        by zero. Anything finite passes, so derivatives of derivatives stay exact where a cotangent
        happens to be zero.

Both broadcast to the value. Graphs without `where` carry neither and are built as if this file did
not exist. Not covered: an op that mixes elements reads its own operands as they are, so in the
gradient of `where(rows, h @ W, 0)` by `W` a NaN in the rows of `h` that are not taken reaches `W`.
"""

from collections.abc import Callable, Sequence
from dataclasses import field

from graphc.ir.leaf import constant
from graphc.ir.registry import BUILDER
from graphc.ir.tensor import Tensor
from graphc.records import dataclass
from graphc.shapes import Shape

b = BUILDER
WIDE_SUM = 4  # more terms than these are added by add_n
GateKey = tuple[tuple[int, int], bool, int]

__all__ = [
    "Cotangent",
    "Gate",
    "accumulate",
    "balanced",
    "broadcasts",
    "fit",
    "narrow",
    "settle",
    "sum_to_shape",
]


@dataclass(frozen=True, slots=True, eq=False)
class Gate:
    """Where something flows.

    A gate that `where` opened knows its condition, the branch, and the gate that stood before, so
    that the gates of both branches together are recognised as the gate before.
    """

    mask: Tensor  # bool, broadcasts to the value it gates
    condition: Tensor | None = None
    branch: bool = True
    before: "Gate | None" = None

    @property
    def key(self) -> GateKey:
        return self._key(self.branch)

    @property
    def complement(self) -> GateKey:
        """The key of the gate of the other branch."""
        return self._key(not self.branch)

    def _key(self, branch: bool) -> GateKey:
        if self.condition is None:
            return (self.mask.key, branch, 0)
        return (self.condition.key, branch, id(self.before))


@dataclass(slots=True, eq=False)
class Cotangent:
    """The derivative of the cost by one value; see the module's docstring."""

    value: Tensor
    gate: Gate | None = None
    origin: Tensor | None = None
    settled: Tensor | None = field(default=None, init=False)

    @property
    def plain(self) -> bool:
        return self.gate is None and self.origin is None


def zero_like(value: Tensor) -> Tensor:
    """A scalar zero of the value's dtype."""
    return constant(0, value.dtype)


def settle(cotangent: Cotangent) -> Tensor:
    """The cotangent as one tensor, with gate and origin applied; built once."""
    if cotangent.settled is None:
        cotangent.settled = apply_notes(cotangent)
    return cotangent.settled


def apply_notes(cotangent: Cotangent) -> Tensor:
    value, keep = cotangent.value, None
    if cotangent.origin is not None and cotangent.origin.key != value.key:
        flows = b.not_equal(cotangent.origin, zero_like(cotangent.origin))
        keep = b.logical_or(flows, b.logical_not(b.isnan(value)))
    if cotangent.gate is not None:
        gate = cotangent.gate.mask
        keep = gate if keep is None else b.logical_and(gate, keep)
    return value if keep is None else b.where(keep, value, zero_like(value))


def narrow(cotangent: Cotangent, condition: Tensor, branch: bool) -> Cotangent:
    """The part of a cotangent that flows into one branch of `where(condition, ...)`."""
    before = cotangent.gate
    mask = condition if branch else b.logical_not(condition)
    if before is not None:
        mask = b.logical_and(before.mask, mask)
    return Cotangent(cotangent.value, Gate(mask, condition, branch, before), cotangent.origin)


# --- shapes ----------------------------------------------------------------------------------


def broadcast_axes(shape: Shape, target: Shape) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Which axes of `shape` numpy stretched from `target`: those it added, those of size 1."""
    added = len(shape) - len(target)
    stretched = tuple(
        added + axis for axis, size in enumerate(target) if size == 1 and shape[added + axis] != 1
    )
    return tuple(range(added)), stretched


def broadcasts(shape: Shape, target: Shape) -> bool:
    """Whether the two differ in more than the form of symbolic sizes that are equal at a call."""
    if shape == target:
        return False
    return len(shape) != len(target) or any(
        (have == 1) is not (want == 1) for have, want in zip(shape, target, strict=True)
    )


def sum_to_shape(value: Tensor, target: Shape, reduce: str = "sum") -> Tensor:
    """Undo broadcasting: reduce over the axes along which `target` was stretched.

    A value with fewer axes, or with size 1 where `target` has more, is broadcast instead.
    reduce: "sum", or "any" for gates.
    """
    if not broadcasts(value.shape, target):
        return value
    if value.ndim >= len(target):
        added, stretched = broadcast_axes(value.shape, target)
        # One reduction over all axes: it joins others over the same axes in one pass.
        if stretched:
            value = getattr(b, reduce)(value, axis=(*added, *stretched), keepdims=True)
            value = b.squeeze(value, added) if added else value
        elif added:
            value = getattr(b, reduce)(value, axis=added)
    return b.broadcast_to(value, target) if broadcasts(value.shape, target) else value


def fit(cotangent: Cotangent, shape: Shape) -> Cotangent:
    """The cotangent of an input of `shape`, from an elementwise rule's result."""
    if cotangent.plain:
        return Cotangent(sum_to_shape(cotangent.value, shape))
    if not broadcasts(cotangent.value.shape, shape):
        return cotangent
    settled = settle(cotangent)
    total = sum_to_shape(settled, shape)
    gate = None
    if cotangent.gate is not None:
        mask = cotangent.gate.mask
        if mask.shape != settled.shape:
            mask = b.broadcast_to(mask, settled.shape)
        gate = Gate(sum_to_shape(mask, shape, "any"))
    return zero_outside(total, gate, cotangent.origin is not None)


def zero_outside(value: Tensor, gate: Gate | None, soft: bool) -> Cotangent:
    """A value made of settled ones, which is 0 where nothing flows: settled as it is.

    soft: whether its zeros take over where the gate cannot follow.
    """
    cotangent = Cotangent(value, gate, value if soft else None)
    cotangent.settled = value
    return cotangent


# --- sums ------------------------------------------------------------------------------------


def balanced(combine: Callable[[Tensor, Tensor], Tensor], terms: Sequence[Tensor]) -> Tensor:
    """All terms combined as a balanced tree: depth log(n)."""
    level = list(terms)
    while len(level) > 1:
        pairs = [combine(*level[i : i + 2]) for i in range(0, len(level) - 1, 2)]
        level = pairs + level[len(pairs) * 2 :]
    return level[0]


def total_of(terms: Sequence[Tensor]) -> Tensor:
    """The sum of tensors of one shape; many go into one wide sum."""
    return b.add_n(terms) if len(terms) > WIDE_SUM else balanced(b.add, terms)


def accumulate(parts: Sequence[Cotangent]) -> Cotangent:
    """The sum of all that flows into one value.

    a + b                                       without gates
    where(g, a + b, 0)                          under one gate
    where(ga, a, 0) + where(gb, b, 0), ga | gb  under several; gates of both branches cancel
    """
    parts = merge_equal_gates(parts)
    if len(parts) == 1:
        return parts[0]
    return joined(total_of([settle(part) for part in parts]), parts)


def joined(value: Tensor, parts: Sequence[Cotangent]) -> Cotangent:
    """A value computed from settled parts that is zero where all of them are, with its notes."""
    if any(part.plain for part in parts):
        return Cotangent(value)
    gates = [part.gate for part in parts if part.gate is not None]
    gate = unite(gates) if len(gates) == len(parts) else None
    return zero_outside(value, gate, any(part.origin is not None for part in parts))


def merge_equal_gates(parts: Sequence[Cotangent]) -> list[Cotangent]:
    """Add the bare values of all parts under one gate."""
    if len(parts) == 1:
        return list(parts)
    merged: list[Cotangent] = []
    groups: dict[GateKey | None, list[Cotangent]] = {}
    for part in parts:
        if part.origin is not None:
            merged.append(part)
        else:
            groups.setdefault(None if part.gate is None else part.gate.key, []).append(part)
    for group in groups.values():
        total = total_of([part.value for part in group])
        merged.append(Cotangent(total, group[0].gate))
    return merged


def unite(gates: Sequence[Gate]) -> Gate | None:
    """The gate that is open where any of `gates` is; None if that is everywhere."""
    distinct: dict[GateKey, Gate] = {}
    for gate in gates:
        current: Gate | None = gate
        while current is not None and distinct.pop(current.complement, None) is not None:
            current = current.before
        if current is None:
            return None
        distinct[current.key] = current
    if len(distinct) == 1:
        return next(iter(distinct.values()))
    return Gate(balanced(b.logical_or, [gate.mask for gate in distinct.values()]))
