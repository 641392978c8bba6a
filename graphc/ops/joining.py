"""Ops that put tensors side by side, and their inverses: concat, stack, split, unstack."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from graphc.errors import ArgumentError, ShapeError
from graphc.ir.arguments import checked_axis
from graphc.ir.leaf import as_tensor
from graphc.ir.lowering import Pieces
from graphc.ir.node import TensorType
from graphc.ir.opdef import Application, Example, Generator, Gradients, Inference, OpDef
from graphc.ir.parts import partwise
from graphc.ir.registry import BUILDER, Builder, public, register
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.definition import convert, promote_inputs
from graphc.shapes import Size, as_size, size_sum, whole_number

__all__ = ["concat", "split", "stack", "unstack"]


# --- concat ------------------------------------------------------------------------------------


def _infer_concat(call: Inference) -> TensorType:
    axis, first = call.attrs["axis"], call.types[0]
    for number, x in enumerate(call.types):
        if x.ndim != first.ndim:
            raise ShapeError(
                f"concat: ranks differ: input {number} is {x}, the first {first}",
                details=[f"input 0: {first}    input {number}: {x}"],
                fix="all inputs need the same number of axes; gc.stack adds one",
            )
        if x.shape == first.shape:
            continue
        for other in range(x.ndim):
            if other != axis:
                call.require_equal(
                    first.shape[other],
                    x.shape[other],
                    f"input {number} is {x}, the first {first}: sizes of axis {other} differ",
                    fix=f"all sizes but that of axis {axis} must be equal",
                )
    total = size_sum([x.shape[axis] for x in call.types])
    return TensorType(first.dtype, (*first.shape[:axis], total, *first.shape[axis + 1 :]))


def _vjp_concat(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    sizes = [x.shape[a.attrs["axis"]] for x in a.inputs]
    return _pieces(gradients[0], a.attrs["axis"], sizes)


def _jvp_concat(b: Builder, a: Application, tangents: Gradients) -> Gradients:
    if all(tangent is None for tangent in tangents):
        return [None]
    parts = [
        b.broadcast_to(convert(0, x.dtype), x.shape) if tangent is None else tangent
        for x, tangent in zip(a.inputs, tangents, strict=True)
    ]
    return [CONCAT(*parts, **a.attrs)]


def _concat_examples(rng: Generator) -> list[Example]:
    groups: list[tuple[int, tuple[tuple[int, ...], ...]]] = [
        (0, ((3,), (4,))),
        (0, ((1,), (0,), (5,))),
        (1, ((2, 3), (2, 1), (2, 4))),
        (-1, ((2, 0, 3), (2, 0, 2))),
        (0, ((7, 1),)),
    ]
    return [
        Example(
            lambda *xs, axis=axis: concat(xs, axis),
            tuple(rng.normal(size=shape) for shape in shapes),
        )
        for axis, shapes in groups
    ]


CONCAT = register(
    OpDef(
        "concat",
        infer=_infer_concat,
        reference=lambda attrs, *arrays: np.concatenate(arrays, attrs["axis"]),
        lower=Pieces(),
        vjp=_vjp_concat,
        jvp=_jvp_concat,
        traits=frozenset({"linear"}),
        parts=partwise,
        examples=_concat_examples,
    )
)


def _tensors(name: str, arrays: Any) -> tuple[Tensor, ...]:
    if isinstance(arrays, Tensor) and not (arrays.ndim and isinstance(arrays.shape[0], int)):
        raise ArgumentError(
            f"{name}: a tensor is no list of tensors",
            details=[f"got {arrays.type}"],
            source=current_source(),
            fix=f"write gc.{name}([a, b])",
        )
    held = list(arrays)
    if not held:
        raise ShapeError(
            f"{name}: needs at least one array",
            source=current_source(),
            fix="give a list of one array or more",
        )
    return promote_inputs(name, *held)


@public
def concat(arrays: Sequence[Any], axis: int | None = 0) -> Tensor:
    """Arrays side by side along an axis they have; without `axis` (None) all are flattened first.

    dtypes are promoted. All sizes but that of `axis` must be equal (ShapeError; symbolic sizes are
    checked at the call).
    """
    tensors = _tensors("concat", arrays)
    if axis is None:
        tensors, axis = tuple(BUILDER.reshape(tensor, (-1,)) for tensor in tensors), 0
    if tensors[0].ndim == 0:
        raise ShapeError(
            "concat: scalars have no axis to be joined along",
            source=current_source(),
            fix="use gc.stack",
        )
    axis = checked_axis("concat", axis, tensors[0].ndim)
    return tensors[0] if len(tensors) == 1 else CONCAT(*tensors, axis=axis)


@public
def stack(arrays: Sequence[Any], axis: int = 0) -> Tensor:
    """Arrays of one shape side by side along a new axis at position `axis` of the result."""
    tensors = _tensors("stack", arrays)
    axis = checked_axis("stack", axis, tensors[0].ndim + 1)
    for number, tensor in enumerate(tensors):
        if tensor.ndim != tensors[0].ndim:
            raise ShapeError(
                f"stack: ranks differ: input {number} is {tensor.type}, the first "
                f"{tensors[0].type}",
                source=current_source(),
                fix="give arrays of one shape; gc.concat joins along an axis they have",
            )
    return concat([BUILDER.expand_dims(tensor, axis) for tensor in tensors], axis)


# --- split -------------------------------------------------------------------------------------


def _pieces(x: Tensor | None, axis: int, sizes: Sequence[Size]) -> list[Tensor]:
    """Consecutive slices along an axis."""
    assert x is not None
    pieces: list[Tensor] = []
    start: Size = 0
    for size in sizes:
        starts = [start if other == axis else 0 for other in range(x.ndim)]
        shape = [size if other == axis else x.shape[other] for other in range(x.ndim)]
        pieces.append(BUILDER.slice_within(x, starts, shape))
        start = start + size
    return pieces


@public
def split(x: Any, indices_or_sections: int | Sequence[Size], axis: int = 0) -> list[Tensor]:
    """Consecutive pieces along `axis`.

    indices_or_sections: a number of equal pieces, which must divide the size (ShapeError), or the
    positions to cut at.
    """
    x = as_tensor(x)
    axis = checked_axis("split", axis, x.ndim)
    size = x.shape[axis]
    count = whole_number(indices_or_sections)
    if count is not None:
        if count < 1 or not isinstance(size, int) or size % count:
            raise ShapeError(
                f"split: {count} equal pieces of axis {axis}, whose size is {size}",
                source=current_source(),
                fix="the number must divide a static size; or give the positions to cut at",
            )
        return _pieces(x, axis, [size // count] * count)
    if isinstance(indices_or_sections, str) or not isinstance(indices_or_sections, Iterable):
        raise ShapeError(
            f"split: {indices_or_sections!r} says nothing about pieces",
            source=current_source(),
            fix="give a number of equal pieces, or the positions to cut at",
        )
    cuts = [None, *(as_size(cut) for cut in indices_or_sections), None]
    before = (slice(None),) * axis
    return [BUILDER.getitem(x, (*before, slice(start, stop))) for start, stop in pairwise(cuts)]


@public
def unstack(x: Any, axis: int = 0) -> tuple[Tensor, ...]:
    """The entries along an axis of static size, without that axis."""
    x = as_tensor(x)
    axis = checked_axis("unstack", axis, x.ndim)
    size = x.shape[axis]
    if not isinstance(size, int):
        raise ShapeError(
            f"unstack: axis {axis} of {x.type} has a symbolic size",
            source=current_source(),
            fix="give the size of the axis as an int",
        )
    return tuple(BUILDER.squeeze(piece, axis) for piece in _pieces(x, axis, [1] * size))
