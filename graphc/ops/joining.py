"""Ops that put tensors side by side, and their inverses: concat, stack, pad, split, unstack."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from graphc.dtypes import Scalar
from graphc.errors import ArgumentError, DTypeError, ShapeError
from graphc.ir.arguments import checked_axis
from graphc.ir.batch import with_attributes
from graphc.ir.leaf import as_tensor
from graphc.ir.lowering import IndexMap, LoweringContext, Pieces
from graphc.ir.node import Node, TensorType
from graphc.ir.opdef import Application, Example, Generator, Gradients, Inference, OpDef
from graphc.ir.parts import Parts, Value, partwise
from graphc.ir.registry import BUILDER, Builder, public, register
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.definition import convert, promote_inputs
from graphc.scalar import expr as s
from graphc.scalar.expr import Expr, Index
from graphc.shapes import (
    Size,
    as_size,
    format_shape,
    lower_bound,
    size_sum,
    whole_number,
)

__all__ = ["concat", "pad", "split", "stack", "unstack"]


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


# --- pad ---------------------------------------------------------------------------------------

Widths = tuple[tuple[Size, Size], ...]


def _infer_pad(call: Inference) -> TensorType:
    (x,), widths = call.types, call.attrs["widths"]
    for axis, (size, pair) in enumerate(zip(x.shape, widths, strict=True)):
        if pair != (0, 0) and (lower_bound(size) or 0) < 1:
            raise ShapeError(f"pad: axis {axis} of {x} may be empty")
    shape = tuple(
        before + size + after for size, (before, after) in zip(x.shape, widths, strict=True)
    )
    return TensorType(x.dtype, shape)


def _lower_pad(context: LoweringContext, index: tuple[Expr, ...]) -> Expr:
    (x,), widths = context.inputs, context.attrs["widths"]
    picked = [s.sub(item, Index(before)) for item, (before, _) in zip(index, widths, strict=True)]
    padded = [axis for axis, pair in enumerate(widths) if pair != (0, 0)]
    value = s.constant(context.attrs["value"], x.dtype)
    return context.read_within(0, tuple(picked), padded, value)


def _vjp_pad(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    starts = [before for before, _ in a.attrs["widths"]]
    return [b.slice_within(gradients[0], starts, a.inputs[0].shape)]


def _jvp_pad(b: Builder, a: Application, tangents: Gradients) -> Gradients:
    return [None if tangents[0] is None else PAD(tangents[0], widths=a.attrs["widths"], value=0)]


def _pad_parts(b: Builder, node: Node, inputs: Sequence[Value]) -> Parts:
    (x,), value = inputs, node.attrs["value"]
    assert isinstance(x, Parts)
    widths = node.attrs["widths"]
    halves = zip(x, (value.real, value.imag), strict=True)
    return Parts(*(PAD(part, widths=widths, value=number) for part, number in halves))


PAD = register(
    OpDef(
        "pad",
        infer=_infer_pad,
        reference=lambda attrs, x: np.pad(
            x, attrs["widths"], constant_values=np.asarray(attrs["value"]).astype(x.dtype)
        ),
        lower=IndexMap(_lower_pad),
        vjp=_vjp_pad,
        jvp=_jvp_pad,
        batch=with_attributes(lambda batch: {"widths": ((0, 0), *batch.attrs["widths"])}),
        parts=_pad_parts,
        examples=lambda rng: [
            Example(lambda x: pad(x, 2), (rng.normal(size=(3,)),)),
            Example(lambda x: pad(x, (1, 3)), (rng.normal(size=(0,)),)),
            Example(
                lambda x: pad(x, ((0, 1), (2, 0)), constant_values=7), (rng.normal(size=(2, 3)),)
            ),
            Example(lambda x: pad(x, ((0, 0), (1, 1), (0, 2))), (rng.normal(size=(2, 1, 3)),)),
        ],
    )
)


@public
def pad(
    x: Any,
    pad_width: Size | Sequence[Any],
    mode: str = "constant",
    constant_values: Scalar = 0,
) -> Tensor:
    """x with entries added before and after, along each axis.

    pad_width: one width, one pair (before, after) for all axes, or a pair for each axis; symbolic
    sizes are allowed. mode: "constant" (constant_values; 0 is false for bool), "edge" (the border
    repeated), "reflect" (mirrored without the border entry), "symmetric" (with it) or "wrap" (from
    the other end); the mirrored ones take widths up to the size of the axis (minus 1 for
    "reflect").
    """
    tensor = as_tensor(x)
    widths = _widths(tensor, pad_width)
    if mode == "constant":
        value = _pad_value(tensor, constant_values)
        return _pad_constant(tensor, widths, value)
    if mode not in _BORDERS:
        raise ShapeError(
            f"pad: unknown mode {mode!r}",
            source=current_source(),
            fix=f"modes are constant, {', '.join(_BORDERS)}",
        )
    for axis, (before, after) in enumerate(widths):
        tensor = _pad_axis(tensor, axis, before, after, mode)
    return tensor


def _pad_constant(x: Tensor, widths: Widths, value: Scalar) -> Tensor:
    padded = [axis for axis, pair in enumerate(widths) if pair != (0, 0)]
    if not padded:
        return x
    if all((lower_bound(x.shape[axis]) or 0) >= 1 for axis in padded):
        return PAD(x, widths=widths, value=value)
    number = convert(value, x.dtype)
    for axis in padded:  # nothing can be read from an axis that may be empty: join pieces
        shapes = [(*x.shape[:axis], width, *x.shape[axis + 1 :]) for width in widths[axis]]
        first, last = (BUILDER.broadcast_to(number, shape) for shape in shapes)
        x = concat([first, x, last], axis)
    return x


def _pad_value(x: Tensor, value: Any) -> Scalar:
    """The number as it will be written; DTypeError if the dtype of x cannot hold it."""
    number = value.item() if isinstance(value, np.generic) else value
    if not isinstance(number, Scalar):
        raise ShapeError(
            f"pad: constant_values is one number, got {type(value).__name__}",
            source=current_source(),
            fix="use gc.concat to add values that are computed",
        )
    if x.dtype.kind == "b" and number == 0:
        return False
    if promote_inputs("pad", x, number)[0].dtype != x.dtype:
        raise DTypeError(
            f"pad: {number!r} does not fit {x.dtype.name}",
            code="E214",
            source=current_source(),
            fix=f"cast x first, or pad with a value of {x.dtype.name}",
        )
    return number


def _widths(x: Tensor, pad_width: Any) -> Widths:
    """A pair for each axis; ShapeError for anything else."""
    single = not isinstance(pad_width, Sequence | np.ndarray)
    if single:
        pairs = [(pad_width, pad_width)] * x.ndim
    elif len(pad_width) == 2 and not any(isinstance(w, Sequence | np.ndarray) for w in pad_width):
        pairs = [tuple(pad_width)] * x.ndim
    else:
        pairs = [tuple(pair) for pair in pad_width]
        pairs = pairs * x.ndim if len(pairs) == 1 else pairs
    widths = [tuple(as_size(width) for width in pair) for pair in pairs]
    least = [lower_bound(width) for pair in widths for width in pair]
    if len(widths) != x.ndim or any(len(pair) != 2 for pair in widths):
        raise ShapeError(
            f"pad: {len(widths)} pairs of widths for {x.type}",
            source=current_source(),
            fix="give a pair (before, after) for each axis",
        )
    if any(bound is None or bound < 0 for bound in least):
        raise ShapeError(
            "pad: a width is or may be negative",
            details=[f"got {', '.join(map(format_shape, widths))}"],
            source=current_source(),
            fix="widths are >= 0; use a slice to cut",
        )
    return tuple((before, after) for before, after in widths)


# mode -> the first entry of x that a border holds, counted from the near end of the axis.
_BORDERS = {"edge": 0, "reflect": 1, "symmetric": 0, "wrap": 0}


def _pad_axis(x: Tensor, axis: int, before: Size, after: Size, mode: str) -> Tensor:
    """Borders along one axis, as slices of x."""
    size, skip = x.shape[axis], _BORDERS[mode]

    def border(width: Size, start: Size) -> Tensor:
        count = 1 if mode == "edge" else width
        if isinstance(size, int) and isinstance(count, int) and size - skip < count:
            raise ShapeError(
                f"pad: a border of {count} by mode {mode!r} needs more than the {size} entries "
                f"of axis {axis}",
                source=current_source(),
                fix='give a smaller border, or mode="constant"',
            )
        starts = [start if other == axis else 0 for other in range(x.ndim)]
        shape = (*x.shape[:axis], count, *x.shape[axis + 1 :])
        piece = BUILDER.strided_slice(x, starts, shape)
        if mode == "edge":
            return BUILDER.broadcast_to(piece, (*shape[:axis], width, *shape[axis + 1 :]))
        return piece if mode == "wrap" else BUILDER.flip(piece, axis)

    near = {"edge": (0, size - 1), "wrap": (size - before, 0)}
    first, last = near.get(mode, (skip, size - after - skip))
    pieces = [x]
    if before != 0:
        pieces.insert(0, border(before, first))
    if after != 0:
        pieces.append(border(after, last))
    return concat(pieces, axis)
