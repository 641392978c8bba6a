"""Axes of one entry, stretched to any size: broadcast_to, broadcast_arrays.

The op `stretch` is broadcast_to where the size is known to be 0 or 1 and not which of them.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.errors import ShapeError
from graphc.ir.arguments import ShapeLike, checked_shape
from graphc.ir.batch import Batch, with_attributes
from graphc.ir.leaf import as_tensor
from graphc.ir.lowering import IndexMap, LoweringContext
from graphc.ir.node import TensorType
from graphc.ir.opdef import Application, Example, Generator, Gradients, Inference, OpDef
from graphc.ir.parts import partwise
from graphc.ir.registry import Builder, public, register
from graphc.ir.stretching import at_most_one, stretched, stretched_to
from graphc.ir.tensor import Tensor
from graphc.ops.definition import linear_jvp
from graphc.scalar.expr import Expr, Index
from graphc.shapes import broadcast_shapes, dim_max, dim_min, format_shape

__all__ = ["broadcast_arrays", "broadcast_to"]


def _infer_broadcast_to(call: Inference) -> TensorType:
    (x,), shape = call.types, call.attrs["shape"]
    text = f"{format_shape(x.shape)} to {format_shape(shape)}"
    if x.ndim > len(shape):
        raise ShapeError(
            f"broadcast_to: {text} would drop axes",
            fix="give a shape of at least as many axes; gc.reshape or gc.squeeze drop axes",
        )
    for axis in range(-x.ndim, 0):
        if x.shape[axis] != 1:
            call.require_equal(
                x.shape[axis], shape[axis], f"{text}, axis {axis}", fix="only size 1 stretches"
            )
    return TensorType(x.dtype, shape)


def _batch_broadcast_to(batch: Batch) -> Sequence[Tensor]:
    shape = batch.attrs["shape"]
    return batch.apply([batch.aligned(0, len(shape))], shape=(batch.size, *shape))


BROADCAST_TO = register(
    OpDef(
        "broadcast_to",
        infer=_infer_broadcast_to,
        reference=lambda attrs, x: np.broadcast_to(x, attrs["shape"]).copy(),
        lower=IndexMap(lambda context, index: context.read_broadcast(0, index)),
        vjp=lambda b, a, gradients: [gradients[0]],  # the driver sums what was stretched
        jvp=linear_jvp,
        batch=_batch_broadcast_to,
        traits=frozenset({"linear", "view"}),
        parts=partwise,
        examples=lambda rng: [
            *[
                Example(lambda x: broadcast_to(x, (2, 3, *x.shape)), (rng.normal(size=shape),))
                for shape in ((), (0,), (1,), (7,), (2, 0, 3), (3, 1, 5))
            ],
            Example(lambda x: broadcast_to(x, (3, 4, 5)), (rng.normal(size=(4, 1)),)),
            Example(lambda x: broadcast_to(x, (0, 3)), (rng.normal(size=(1, 3)),)),
        ],
    )
)


def _infer_stretch(call: Inference) -> TensorType:
    (x,), shape = call.types, call.attrs["shape"]
    text = f"broadcasting {format_shape(x.shape)} to {format_shape(shape)}"
    for axis, (own, size) in enumerate(zip(x.shape, shape, strict=True)):
        if own != size and (own == 1 or at_most_one(own)):  # an entry, where one is read
            call.require_equal(dim_max(own, dim_min(size, 1)), own, f"{text}, axis {axis}")
        elif own != size:
            call.require_equal(own, size, f"{text}, axis {axis}", fix="only size 1 stretches")
    return TensorType(x.dtype, shape)


def _lower_stretch(context: LoweringContext, index: tuple[Expr, ...]) -> Expr:
    own, shape = context.inputs[0].shape, context.attrs["shape"]
    sizes = zip(own, shape, index, strict=True)
    return context.read(0, tuple(item if size == to else Index(0) for size, to, item in sizes))


def _vjp_stretch(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    own, (gradient,) = a.inputs[0].shape, gradients
    assert gradient is not None
    axes = tuple(axis for axis, size in enumerate(a.attrs["shape"]) if size != own[axis])
    return [b.broadcast_to(b.sum(gradient, axis=axes, keepdims=True), own)]


def _stretch_examples(rng: Generator) -> list[Example]:
    def first_column(x: Tensor) -> Tensor:
        return STRETCH(x[:, :1], shape=x.shape)

    return [Example(first_column, (rng.normal(size=shape),)) for shape in ((4, 3), (0, 3), (2, 0))]


STRETCH: OpDef = register(
    OpDef(
        "stretch",
        infer=_infer_stretch,
        reference=lambda attrs, x: np.broadcast_to(x, attrs["shape"]).copy(),
        lower=IndexMap(_lower_stretch),
        vjp=_vjp_stretch,
        jvp=linear_jvp,
        batch=with_attributes(lambda batch: {"shape": (batch.size, *batch.attrs["shape"])}),
        traits=frozenset({"linear", "view"}),
        parts=partwise,
        examples=_stretch_examples,
    )
)


@public
def broadcast_to(x: Any, shape: ShapeLike) -> Tensor:
    """x stretched to `shape` by numpy's rules. A symbolic size stretches if it is known to be at
    most 1, as that of x[:, :1] is.
    """
    sizes = checked_shape("broadcast_to", shape)
    x = stretched_to(as_tensor(x), sizes)
    return x if sizes == x.shape else BROADCAST_TO(x, shape=sizes)


@public
def broadcast_arrays(*arrays: Any) -> list[Tensor]:
    """All arrays stretched to their common shape."""
    tensors = stretched([as_tensor(array) for array in arrays]) if arrays else ()
    # Sizes that disagree are found by broadcast_to, which knows how to say it.
    shape = broadcast_shapes([tensor.shape for tensor in tensors], lambda a, b, axis: None)
    return [broadcast_to(tensor, shape) for tensor in tensors]
