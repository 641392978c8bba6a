"""Padding: entries added around a tensor, of one value or made from its borders."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.dtypes import Scalar
from graphc.errors import DTypeError, ShapeError
from graphc.ir.batch import with_attributes
from graphc.ir.leaf import as_tensor
from graphc.ir.lowering import IndexMap, LoweringContext
from graphc.ir.node import Node, TensorType
from graphc.ir.opdef import Application, Example, Gradients, Inference, OpDef
from graphc.ir.parts import Parts, Value
from graphc.ir.registry import BUILDER, Builder, public, register
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.definition import convert, promote_inputs
from graphc.scalar import expr as s
from graphc.scalar.expr import Expr, Index
from graphc.shapes import Size, as_size, dim_max, format_shape, lower_bound

__all__ = ["pad"]

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
    the other end). Borders wider than the axis repeat it, and its mirror image, as numpy.pad does.
    Raises ShapeError for other modes, negative widths and empty axes, which have nothing to repeat.
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
        x = BUILDER.concat([first, x, last], axis)
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
    if isinstance(pad_width, np.ndarray):
        pad_width = pad_width.tolist()
    single = not isinstance(pad_width, Sequence)
    if single:
        pairs = [(pad_width, pad_width)] * x.ndim
    elif len(pad_width) == 2 and not any(isinstance(w, Sequence | np.ndarray) for w in pad_width):
        pairs = [tuple(pad_width)] * x.ndim
    else:
        pairs = [
            tuple(pair) if isinstance(pair, Sequence | np.ndarray) else (pair,)
            for pair in pad_width
        ]
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
    """Borders along one axis: slices of x where it surely is long enough, else entry by entry."""
    size, skip = x.shape[axis], _BORDERS[mode]
    if size == 0 and (before, after) != (0, 0):
        raise ShapeError(
            f"pad: axis {axis} of {x.type} is empty, mode {mode!r} needs an entry to repeat",
            source=current_source(),
            fix='pad with mode="constant"',
        )

    def border(width: Size, start: Size, first: Size) -> Tensor:
        count = 1 if mode == "edge" else width
        left = lower_bound(size - skip - count)
        if mode != "edge" and (left is None or left < 0):
            return BUILDER.take(x, _places(first, width, size, mode), axis)
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
        pieces.insert(0, border(before, first, -before))
    if after != 0:
        pieces.append(border(after, last, size))
    return BUILDER.concat(pieces, axis)


def _places(first: Size, width: Size, size: Size, mode: str) -> Tensor:
    """Which entry of an axis stands at each of the `width` places from `first` on, if the axis and,
    but for "wrap", its mirror image are repeated without end in both directions."""
    period = {"wrap": size, "symmetric": 2 * size, "reflect": 2 * size - 2}[mode]
    places = BUILDER.remainder(BUILDER.arange(first, first + width), dim_max(period, 1))
    if mode == "wrap":
        return places
    return BUILDER.minimum(places, period - (1 if mode == "symmetric" else 0) - places)
