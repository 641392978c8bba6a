"""Convolutions and their gradients for many examples at once: the examples become part of an axis.

Which axis follows from the operand that is the same for all examples. Of g = convolution(x, w),

    w, the filter     x and g hold the examples in the batch
    g                 x and w in the channels in of every group
    x                 w and g in the channels out of every group
    none              every example has groups of its own
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from graphc.ir.batch import Batch
from graphc.ir.registry import BUILDER
from graphc.ir.tensor import Tensor
from graphc.ops.convolution_setting import per_group
from graphc.shapes import Shape, Size

if TYPE_CHECKING:
    from graphc.ir.batch import BatchRule

Axes = dict[str, tuple[int, Size]]  # by tensor: the axis that takes the examples, parts before them


def batch_rule(roles: str) -> "BatchRule":
    """The rule of the op that makes roles[2] of roles[0] and roles[1]."""

    def rule(batch: Batch) -> Sequence[Tensor]:
        same = [role for number, role in enumerate(roles[:2]) if not batch.mapped(number)]
        axes = _axes(batch, same[0] if same else None)
        inputs = [
            _folded(batch.inputs[number], *axes[role])
            if batch.mapped(number)
            else batch.inputs[number]
            for number, role in enumerate(roles[:2])
        ]
        changes = {} if same else {"groups": batch.attrs["groups"] * batch.size}
        (output,) = batch.apply(inputs, **changes)
        return [_unfolded(output, *axes[roles[2]], batch.size, batch.node.types[0].shape)]

    return rule


def _axes(batch: Batch, same: str | None) -> Axes:
    last, groups = batch.attrs["channels_last"], batch.attrs["groups"]
    channels = batch.node.types[0].ndim - 1 if last else 1
    outer, inner = (channels, channels - 1) if last else (0, 1)
    match same:
        case "w":
            return {"x": (0, 1), "g": (0, 1)}
        case "g":
            return {"x": (channels, groups), "w": (inner, 1)}
        case "x":
            return {"w": (outer, groups), "g": (channels, groups)}
    return {"x": (channels, 1), "g": (channels, 1), "w": (outer, 1)}


def _folded(tensor: Tensor, axis: int, parts: Size) -> Tensor:
    """[e, .., parts * rest, ..] as [.., parts * e * rest, ..]"""
    size, shape = tensor.shape[0], tensor.shape[1:]
    whole = (*shape[:axis], shape[axis] * size, *shape[axis + 1 :])
    if parts == 1:
        return BUILDER.reshape(BUILDER.moveaxis(tensor, 0, axis), whole)
    rest = per_group(shape[axis], parts)
    split = BUILDER.reshape(tensor, (size, *shape[:axis], parts, rest, *shape[axis + 1 :]))
    return BUILDER.reshape(BUILDER.moveaxis(split, 0, axis + 1), whole)


def _unfolded(tensor: Tensor, axis: int, parts: Size, size: Size, shape: Shape) -> Tensor:
    """[.., parts * e * rest, ..] as [e, *shape], where the shape has parts * rest at the axis."""
    if parts == 1:
        split = BUILDER.reshape(tensor, (*shape[:axis], size, *shape[axis:]))
        return BUILDER.moveaxis(split, axis, 0)
    rest = per_group(shape[axis], parts)
    split = BUILDER.reshape(tensor, (*shape[:axis], parts, size, rest, *shape[axis + 1 :]))
    return BUILDER.reshape(BUILDER.moveaxis(split, axis + 1, 0), (size, *shape))
