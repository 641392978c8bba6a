"""Transposes, slices and reversals in canonical form: composed, and gone where they do nothing."""

from typing import Any

from graphc.dtypes import is_floating
from graphc.ir.leaf import constant
from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor
from graphc.rewrite.pattern import P, any_op, attr, var
from graphc.rewrite.rule import rule

X = var("x")


@rule(P.permute_dims(X, axes=attr("axes")))
def identity_transpose(b: Builder, x: Tensor, axes: tuple[int, ...]) -> Tensor | None:
    """permute_dims(x, (0, 1, ...)) = x"""
    return x if axes == tuple(range(x.ndim)) else None


@rule(P.permute_dims(P.permute_dims(X, axes=attr("inner")), axes=attr("outer")))
def transpose_of_transpose(
    b: Builder, x: Tensor, inner: tuple[int, ...], outer: tuple[int, ...]
) -> Tensor:
    """permute_dims(permute_dims(x, p), q) = permute_dims(x, p[q])"""
    return b.permute_dims(x, tuple(inner[axis] for axis in outer))


@rule(P.permute_dims(P.broadcast_to(X), axes=attr("axes")))
def transpose_of_broadcast(
    b: Builder, root: Tensor, x: Tensor, axes: tuple[int, ...]
) -> Tensor | None:
    """permute_dims(broadcast_to(x, s), p) = broadcast_to(x, s[p]) for x of one element"""
    return b.broadcast_to(x, root.shape) if x.ndim == 0 else None


Sizes = tuple[Any, ...]


@rule(P.slice(X, starts=attr("starts"), sizes=attr("sizes"), steps=attr("steps")))
def full_slice(
    b: Builder, x: Tensor, starts: Sizes, sizes: Sizes, steps: tuple[int, ...]
) -> Tensor | None:
    """x[0:n] = x for x of n entries"""
    rows = zip(starts, sizes, steps, x.shape, strict=True)
    whole = all(start == 0 and size == n and (step == 1 or n == 1) for start, size, step, n in rows)
    return x if whole else None


@rule(
    P.slice(
        P.slice(X, starts=attr("starts"), steps=attr("steps")),
        starts=attr("outer_starts"),
        sizes=attr("sizes"),
        steps=attr("outer_steps"),
    )
)
def slice_of_slice(
    b: Builder,
    x: Tensor,
    starts: Sizes,
    steps: tuple[int, ...],
    outer_starts: Sizes,
    sizes: Sizes,
    outer_steps: tuple[int, ...],
) -> Tensor:
    """x[a::s][b::t] = x[a + b*s::s*t]"""
    combined = [a + c * s for a, s, c in zip(starts, steps, outer_starts, strict=True)]
    strides = [s * t for s, t in zip(steps, outer_steps, strict=True)]
    return b.slice_within(x, combined, sizes, strides)


@rule(P.slice(P.broadcast_to(X), sizes=attr("sizes")))
def slice_of_broadcast(b: Builder, x: Tensor, sizes: Sizes) -> Tensor | None:
    """broadcast_to(x, s)[a:b] = broadcast_to(x, b - a) for x of one element"""
    return b.broadcast_to(x, sizes) if x.ndim == 0 else None


@rule(P.slice_gradient(X))
def gradient_of_an_empty_slice(b: Builder, root: Tensor, x: Tensor) -> Tensor | None:
    """slice_gradient(x) = 0 for x without entries"""
    return b.broadcast_to(constant(0, x.dtype), root.shape) if 0 in x.shape else None


@rule(P.flip(P.flip(X, axis=attr("axis")), axis=attr("axis")))
def flip_of_flip(b: Builder, x: Tensor) -> Tensor:
    """flip(flip(x)) = x"""
    return x


@rule(P.concat(X), P.stop_gradient(P.stop_gradient(X)))
def idle_movement(b: Builder, root: Tensor, x: Tensor) -> Tensor:
    """concat([x]) = x;  stop_gradient(stop_gradient(x)) = stop_gradient(x)"""
    return x if root.op.name == "concat" else root.node.inputs[0]


SUMS = ("add", "add_n")
PIECES = 64  # terms of a sum that are looked at


@rule(any_op(lambda op: op.name in SUMS, lambda names: {*SUMS, "slice_gradient"}.issuperset(names)))
def sum_of_pieces(b: Builder, root: Tensor) -> Tensor | None:
    """slice_gradient(x, start=a) + slice_gradient(y, start=a + n) = slice_gradient(concat([x + 0.0,
    y + 0.0]), start=a) for x of n entries: neighbours along one axis, of any number and in any
    order; and the concatenation alone if it is the whole. (-0.0 + 0.0 is 0.0.)
    """
    terms = _terms(root)
    if terms is None:
        return None
    starts = [term.node.attrs["starts"] for term in terms]
    axes = [axis for axis in range(root.ndim) if any(s[axis] != starts[0][axis] for s in starts)]
    if len(axes) != 1:
        return None
    (axis,) = axes
    pieces = {start[axis]: term.node.inputs[0] for start, term in zip(starts, terms, strict=True)}
    first = {*pieces} - {start + piece.shape[axis] for start, piece in pieces.items()}
    if len(pieces) != len(terms) or len(first) != 1:
        return None
    (begin,) = first
    ordered: list[Tensor] = []
    at = begin
    while at in pieces:
        ordered.append(pieces.pop(at))
        at = at + ordered[-1].shape[axis]
    others = [size for a, size in enumerate(ordered[0].shape) if a != axis]
    same = all([n for a, n in enumerate(p.shape) if a != axis] == others for p in ordered)
    if pieces or not same:
        return None
    whole = tuple(begin if a == axis else start for a, start in enumerate(starts[0]))
    ordered = [part for piece in ordered for part in _parts(piece, axis)]
    if is_floating(root.dtype):
        ordered = [b.add(piece, constant(0, root.dtype)) for piece in ordered]
    joined = b.concat(ordered, axis=axis)
    if joined.shape == root.shape:
        return joined
    return b.slice_gradient(joined, root.shape, whole, terms[0].node.attrs["steps"])


def _parts(tensor: Tensor, axis: int) -> tuple[Tensor, ...]:
    """What a tensor is a concatenation of along the axis."""
    node = tensor.node
    joined = node.op.name == "concat" and node.attrs["axis"] == axis
    return node.inputs if joined else (tensor,)


def _terms(root: Tensor) -> list[Tensor] | None:
    """The terms of a sum, if all of them are slice gradients without steps."""
    found: list[Tensor] = []
    pending = [root]
    while pending:
        one = pending.pop()
        if one.op.name in SUMS:
            pending += one.node.inputs
        elif one.op.name == "slice_gradient" and set(one.node.attrs["steps"]) == {1}:
            found.append(one)
        else:
            return None
        if len(found) + len(pending) > PIECES:
            return None
    return found


MOVEMENT = (
    identity_transpose,
    transpose_of_transpose,
    transpose_of_broadcast,
    full_slice,
    slice_of_slice,
    slice_of_broadcast,
    gradient_of_an_empty_slice,
    flip_of_flip,
    idle_movement,
    sum_of_pieces,
)
