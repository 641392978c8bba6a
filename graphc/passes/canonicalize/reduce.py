"""Reductions in canonical form: over the fewest axes, once, and of the smaller tensor."""

from graphc.dtypes import is_floating, is_half
from graphc.ir.leaf import CONSTANT
from graphc.ir.opdef import OpDef
from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor
from graphc.passes.canonicalize.arith import power_of_two
from graphc.rewrite.pattern import Number, P, any_op, attr, const, either, var
from graphc.rewrite.rule import Context, rule
from graphc.shapes import size_product

X, C = var("x"), const("c")
Axes = tuple[int, ...]

# Reductions that may be taken in several steps, and whose value over one element is that element.
STEPWISE = frozenset({"sum", "prod", "max", "min", "any", "all"})


def _stepwise(op: OpDef) -> bool:
    return op.name in STEPWISE


@rule(any_op(_stepwise))
def reduce_axes_of_one(b: Builder, root: Tensor) -> Tensor | None:
    """sum(x, axes of size 1) = squeeze(x);  sum(x, no axes) = x;  likewise prod, max, min. The sum
    of -0.0 alone is -0.0"""
    (x,) = root.node.inputs
    axes: Axes = root.node.attrs["axes"]
    if x.dtype != root.dtype or any(x.shape[axis] != 1 for axis in axes):
        return None
    return x if root.node.attrs["keepdims"] or not axes else b.squeeze(x, axes)


@rule(any_op(_stepwise))
def reduce_of_reduce(b: Builder, root: Tensor, context: Context) -> Tensor | None:
    """sum(sum(x, a), b) = sum(x, both), where nothing else uses the inner sum;  likewise prod, max,
    min, any, all"""
    (inner,) = root.node.inputs
    if inner.op is not root.op or not context.single_use(inner):
        return None
    (x,), (first, outer) = inner.node.inputs, (inner.node.attrs["axes"], root.node.attrs["axes"])
    if inner.node.attrs != {**root.node.attrs, "axes": first}:
        return None
    keepdims = root.node.attrs["keepdims"]
    left = [axis for axis in range(x.ndim) if keepdims or axis not in first]
    axes = tuple(sorted({*first, *(left[axis] for axis in outer)}))
    return root.op(x, **{**root.node.attrs, "axes": axes})


@rule(P.expand_dims(either(*(getattr(P, name)(X, keepdims=False) for name in sorted(STEPWISE))),
                    axis=attr("axis")))  # fmt: skip
def keep_reduced_axes(b: Builder, root: Tensor, x: Tensor, axis: Axes) -> Tensor | None:
    """expand_dims(sum(x, a), a) = sum(x, a, keepdims=True)"""
    reduced = root.node.inputs[0].node
    if tuple(sorted(reduced.attrs["axes"])) != axis:
        return None
    return reduced.op(x, **{**reduced.attrs, "keepdims": True})


@rule(P.squeeze(either(*(getattr(P, name)(X, keepdims=True) for name in sorted(STEPWISE))),
                axis=attr("axis")))  # fmt: skip
def drop_reduced_axes(b: Builder, root: Tensor, x: Tensor, axis: Axes) -> Tensor | None:
    """squeeze(sum(x, a, keepdims=True), a) = sum(x, a)"""
    reduced = root.node.inputs[0].node
    if tuple(sorted(reduced.attrs["axes"])) != axis:
        return None
    return reduced.op(x, **{**reduced.attrs, "keepdims": False})


@rule(P.sum(P.multiply(X, C)))
def sum_of_scaled(b: Builder, root: Tensor, x: Tensor, c: Number) -> Tensor | None:
    """sum(x * c) = sum(x) * c for powers of two, positive so that a sum of 0.0 stays 0.0"""
    product = root.node.inputs[0]
    if not power_of_two(c, x.dtype) or c < 0 or x.shape != product.shape:
        return None
    return b.multiply(root.op(x, **root.node.attrs), c)


@rule(P.sum(P.broadcast_to(X), axes=attr("axes"), keepdims=attr("keepdims")))
def sum_of_broadcast(
    b: Builder, root: Tensor, x: Tensor, axes: Axes, keepdims: bool
) -> Tensor | None:
    """sum(broadcast_to(x, s)) = x * number of copies, where all axes are copies; for values that
    may be infinite only if there is at least one copy"""
    shape = root.node.inputs[0].shape
    offset = len(shape) - x.ndim
    if any(axis >= offset and x.shape[axis - offset] != 1 for axis in axes):
        return None
    if x.dtype != root.dtype or is_half(root.dtype):  # too narrow to hold the number
        return None
    copies = size_product([shape[axis] for axis in axes])
    counted = isinstance(copies, int) and copies > 0
    if is_floating(x.dtype) and not counted and not _finite(x):
        return None
    own = tuple(axis - offset for axis in axes if axis >= offset)
    one = x if keepdims else b.squeeze(x, own) if own else x
    return b.multiply(one, b.as_tensor(copies, root.dtype))


def _finite(x: Tensor) -> bool:
    if x.op is not CONSTANT:
        return False
    value = x.node.attrs["value"]
    return bool(((value - value) == 0).all() and (value >= 0).all())


REDUCE = (
    reduce_axes_of_one,
    reduce_of_reduce,
    keep_reduced_axes,
    drop_reduced_axes,
    sum_of_scaled,
    sum_of_broadcast,
)
