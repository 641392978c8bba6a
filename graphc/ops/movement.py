"""Ops that move elements without computing: new shapes, new axis orders."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc.dims import divide
from graphc.errors import ShapeError
from graphc.ir.arguments import AxisLike, ShapeLike, checked_axes, checked_axis, checked_shape
from graphc.ir.batch import shifted, with_attributes
from graphc.ir.leaf import as_tensor
from graphc.ir.lowering import IndexMap, LoweringContext, Reinterpret
from graphc.ir.node import TensorType
from graphc.ir.opdef import Application, Example, Generator, Gradients, Inference, OpDef
from graphc.ir.parts import partwise
from graphc.ir.registry import Builder, public, register
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.definition import linear_jvp
from graphc.scalar.expr import Expr
from graphc.shapes import (
    Shape,
    Size,
    dim_max,
    floor_div,
    format_shape,
    size_product,
)

__all__ = [
    "expand_dims",
    "matrix_transpose",
    "moveaxis",
    "permute_dims",
    "reshape",
    "squeeze",
    "swapaxes",
    "transpose",
]

SHAPES: tuple[tuple[int, ...], ...] = ((), (0,), (1,), (7,), (2, 0, 3), (3, 1, 5), (2, 3, 4))


def _examples(
    build: Callable[[Tensor], Tensor], minimum_rank: int = 0
) -> Callable[[Generator], list[Example]]:
    """`build` on random arrays of 0-d, size-0, size-1 and ordinary shapes."""

    def examples(rng: Generator) -> list[Example]:
        return [
            Example(build, (rng.normal(size=shape),))
            for shape in SHAPES
            if len(shape) >= minimum_rank
        ]

    return examples


# --- reshape ---------------------------------------------------------------------------------


def _infer_reshape(call: Inference) -> TensorType:
    (x,), shape = call.types, call.attrs["shape"]
    call.require_equal(
        size_product(x.shape),
        size_product(shape),
        f"{format_shape(x.shape)} and {format_shape(shape)} differ in their number of elements",
        fix="the product of the sizes must stay the same; one size may be -1",
    )
    return TensorType(x.dtype, shape)


def _vjp_reshape(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    return [b.reshape(gradients[0], a.inputs[0].shape)]


RESHAPE = register(
    OpDef(
        "reshape",
        infer=_infer_reshape,
        reference=lambda attrs, x: np.reshape(x, attrs["shape"]),
        lower=Reinterpret(),
        vjp=_vjp_reshape,
        jvp=linear_jvp,
        batch=with_attributes(lambda batch: {"shape": (batch.size, *batch.attrs["shape"])}),
        traits=frozenset({"linear"}),
        parts=partwise,
        examples=lambda rng: [
            *_examples(lambda x: reshape(x, (-1,)))(rng),
            *_examples(lambda x: reshape(x, (1, *x.shape[::-1])))(rng),
            *_examples(lambda x: reshape(x, (x.shape[0], -1)), minimum_rank=2)(rng),
            Example(lambda x: reshape(x, (4, 3, 1)), (rng.normal(size=(2, 6)),)),
        ],
    )
)


@public
def reshape(x: Any, shape: ShapeLike, *, copy: bool | None = None) -> Tensor:
    """The same elements in row-major order under another shape. copy: without meaning, for values
    never change.

    shape: sizes; one may be -1 and is computed, also from symbolic sizes. ShapeError if the number
    of elements differs; where sizes are symbolic that is checked at the call.
    """
    x = as_tensor(x)
    sizes = checked_shape("reshape", shape)
    unknown = [axis for axis, size in enumerate(sizes) if size == -1]
    if len(unknown) > 1 or any(isinstance(size, int) and size < -1 for size in sizes):
        raise ShapeError(
            f"reshape: {format_shape(sizes)} is not a shape",
            source=current_source(),
            fix="sizes are >= 0; one of them may be -1",
        )
    if unknown:
        axis = unknown[0]
        known = size_product((*sizes[:axis], *sizes[axis + 1 :]))
        sizes = (*sizes[:axis], _missing_size(x, known, sizes), *sizes[axis + 1 :])
    return x if sizes == x.shape else RESHAPE(x, shape=sizes)


def _missing_size(x: Tensor, known: Size, wanted: Shape) -> Size:
    """total / known, exactly if that is a polynomial; else rounded, and `infer` demands it."""
    total = size_product(x.shape)
    if isinstance(total, int) and isinstance(known, int):
        if known == 0 or total % known:
            raise ShapeError(
                f"reshape: {format_shape(x.shape)} does not fit {format_shape(wanted)}",
                details=[f"{total} elements are no multiple of {known}"],
                source=current_source(),
                fix="the product of the other sizes must divide the number of elements",
            )
        return total // known
    if known != 0:
        quotient, rest = divide(total, known)
        if rest == 0:
            return quotient
    return floor_div(total, dim_max(known, 1))


# --- the order of axes -----------------------------------------------------------------------


def _lower_permute_dims(context: LoweringContext, index: tuple[Expr, ...]) -> Expr:
    axes = context.attrs["axes"]
    picked = dict(zip(axes, index, strict=True))
    return context.read(0, tuple(picked[axis] for axis in range(len(axes))))


def _vjp_permute_dims(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    axes = a.attrs["axes"]
    return [b.permute_dims(gradients[0], tuple(axes.index(axis) for axis in range(len(axes))))]


PERMUTE_DIMS = register(
    OpDef(
        "permute_dims",
        infer=lambda call: TensorType(
            call.types[0].dtype, tuple(call.types[0].shape[axis] for axis in call.attrs["axes"])
        ),
        reference=lambda attrs, x: np.transpose(x, attrs["axes"]),
        lower=IndexMap(_lower_permute_dims),
        vjp=_vjp_permute_dims,
        jvp=linear_jvp,
        batch=with_attributes(
            lambda batch: {"axes": (0, *(axis + 1 for axis in batch.attrs["axes"]))}
        ),
        traits=frozenset({"linear", "view"}),
        parts=partwise,
        examples=lambda rng: [
            *_examples(lambda x: transpose(x), minimum_rank=2)(rng),
            *_examples(lambda x: permute_dims(x, (1, 2, 0)), minimum_rank=3)(rng),
        ],
    )
)


@public
def permute_dims(x: Any, axes: Sequence[int]) -> Tensor:
    """Axis `k` of the result is axis `axes[k]` of x. axes: every axis of x once."""
    x = as_tensor(x)
    order = checked_axes("permute_dims", tuple(axes), x.ndim)
    if len(order) != x.ndim:
        raise ShapeError(
            f"permute_dims: {len(order)} axes given for ndim {x.ndim}",
            source=current_source(),
            fix=f"name every axis once, for example {tuple(range(x.ndim))[::-1]}",
        )
    return x if order == tuple(range(x.ndim)) else PERMUTE_DIMS(x, axes=order)


@public
def transpose(x: Any, axes: Sequence[int] | None = None) -> Tensor:
    """The axes in the given order; reversed if none is given."""
    x = as_tensor(x)
    return permute_dims(x, tuple(range(x.ndim))[::-1] if axes is None else axes)


@public
def matrix_transpose(x: Any) -> Tensor:
    """The last two axes exchanged; ShapeError for fewer than two axes."""
    x = as_tensor(x)
    if x.ndim < 2:
        raise ShapeError(
            f"matrix_transpose: needs at least 2 axes, got {x.type}",
            source=current_source(),
            fix="give a matrix, or a stack of matrices",
        )
    return swapaxes(x, -1, -2)


@public
def swapaxes(x: Any, axis1: int, axis2: int) -> Tensor:
    """Two axes exchanged."""
    x = as_tensor(x)
    first, second = (checked_axis("swapaxes", axis, x.ndim) for axis in (axis1, axis2))
    order = list(range(x.ndim))
    order[first], order[second] = second, first
    return permute_dims(x, order)


@public
def moveaxis(x: Any, source: AxisLike, destination: AxisLike) -> Tensor:
    """Axes moved to new positions; the others keep their order."""
    x = as_tensor(x)
    sources = checked_axes("moveaxis", source, x.ndim)
    destinations = checked_axes("moveaxis", destination, x.ndim)
    if len(sources) != len(destinations):
        raise ShapeError(
            f"moveaxis: {len(sources)} source axes for {len(destinations)} destinations",
            source=current_source(),
            fix="name as many places as axes",
        )
    order = [axis for axis in range(x.ndim) if axis not in sources]
    for target, axis in sorted(zip(destinations, sources, strict=True)):
        order.insert(target, axis)
    return permute_dims(x, order)


# --- axes of size 1 --------------------------------------------------------------------------


def _infer_squeeze(call: Inference) -> TensorType:
    (x,), axes = call.types, call.attrs["axis"]
    for axis in axes:
        call.require_equal(
            x.shape[axis],
            1,
            f"axis {axis} of {format_shape(x.shape)} is not of size 1",
            fix="only axes of size 1 can be dropped; x[:, 0] picks one entry",
        )
    return TensorType(x.dtype, tuple(n for axis, n in enumerate(x.shape) if axis not in axes))


SQUEEZE = register(
    OpDef(
        "squeeze",
        infer=_infer_squeeze,
        reference=lambda attrs, x: np.squeeze(x, attrs["axis"]),
        lower=Reinterpret(),
        vjp=lambda b, a, gradients: [b.expand_dims(gradients[0], a.attrs["axis"])],
        jvp=linear_jvp,
        batch=shifted("axis"),
        traits=frozenset({"linear", "view"}),
        parts=partwise,
        examples=lambda rng: [
            Example(lambda x: squeeze(x, 1), (rng.normal(size=(3, 1, 5)),)),
            Example(lambda x: squeeze(x, (0, -1)), (rng.normal(size=(1, 4, 1)),)),
            Example(lambda x: squeeze(x, (0,)), (rng.normal(size=(1, 0)),)),
            Example(lambda x: squeeze(x, 0), (rng.normal(size=(1,)),)),
        ],
    )
)


@public
def squeeze(x: Any, axis: AxisLike | None = None) -> Tensor:
    """Drop axes of size 1; without `axis`, all that are known to be of size 1.

    A symbolic size that is named in `axis` is checked at the call.
    """
    x = as_tensor(x)
    if axis is None:
        axes = tuple(position for position, size in enumerate(x.shape) if size == 1)
    else:
        axes = tuple(sorted(checked_axes("squeeze", axis, x.ndim)))
    return SQUEEZE(x, axis=axes) if axes else x


def _infer_expand_dims(call: Inference) -> TensorType:
    (x,), axes = call.types, call.attrs["axis"]
    sizes = iter(x.shape)
    ndim = x.ndim + len(axes)
    return TensorType(x.dtype, tuple(1 if k in axes else next(sizes) for k in range(ndim)))


EXPAND_DIMS = register(
    OpDef(
        "expand_dims",
        infer=_infer_expand_dims,
        reference=lambda attrs, x: np.expand_dims(x, attrs["axis"]),
        lower=Reinterpret(),
        vjp=lambda b, a, gradients: [b.squeeze(gradients[0], a.attrs["axis"])],
        jvp=linear_jvp,
        batch=shifted("axis"),
        traits=frozenset({"linear", "view"}),
        parts=partwise,
        examples=lambda rng: [
            *_examples(lambda x: expand_dims(x, -1))(rng),
            *_examples(lambda x: expand_dims(x, (0, 2)), minimum_rank=1)(rng),
        ],
    )
)


@public
def expand_dims(x: Any, axis: AxisLike = 0) -> Tensor:
    """New axes of size 1 at the positions `axis` of the result."""
    x = as_tensor(x)
    axis = (axis,) if axis is None else axis  # which is no axis
    count = len(axis) if isinstance(axis, Sequence) else 1
    axes = tuple(sorted(checked_axes("expand_dims", axis, x.ndim + count)))
    return EXPAND_DIMS(x, axis=axes) if axes else x
