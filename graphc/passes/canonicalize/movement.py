"""Transposes, slices and reversals in canonical form: composed, and gone where they do nothing."""

from typing import Any

from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor
from graphc.rewrite.pattern import P, attr, var
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
    return b.strided_slice(x, combined, sizes, strides)


@rule(P.slice(P.broadcast_to(X), sizes=attr("sizes")))
def slice_of_broadcast(b: Builder, x: Tensor, sizes: Sizes) -> Tensor | None:
    """broadcast_to(x, s)[a:b] = broadcast_to(x, b - a) for x of one element"""
    return b.broadcast_to(x, sizes) if x.ndim == 0 else None


@rule(P.flip(P.flip(X, axis=attr("axis")), axis=attr("axis")))
def flip_of_flip(b: Builder, x: Tensor) -> Tensor:
    """flip(flip(x)) = x"""
    return x


@rule(P.concat(X), P.stop_gradient(P.stop_gradient(X)))
def idle_movement(b: Builder, root: Tensor, x: Tensor) -> Tensor:
    """concat([x]) = x;  stop_gradient(stop_gradient(x)) = stop_gradient(x)"""
    return x if root.op.name == "concat" else root.node.inputs[0]


MOVEMENT = (
    identity_transpose,
    transpose_of_transpose,
    transpose_of_broadcast,
    full_slice,
    slice_of_slice,
    slice_of_broadcast,
    flip_of_flip,
    idle_movement,
)
