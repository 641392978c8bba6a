"""Entries of rows, each of which has indices of its own: take_along_axis."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.dtypes import int64
from graphc.errors import ShapeError
from graphc.ir.arguments import checked_axis
from graphc.ir.batch import Batch, shifted
from graphc.ir.indices import checked_indices, position_of, positions_of
from graphc.ir.leaf import as_tensor
from graphc.ir.lowering import IndexCheck, IndexMap, LoweringContext
from graphc.ir.node import Attributes, TensorType
from graphc.ir.opdef import Application, Example, Gradients, Inference, OpDef
from graphc.ir.parts import partwise
from graphc.ir.registry import BUILDER, Builder, public, register
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.scalar import expr as s
from graphc.scalar.expr import Expr, Index
from graphc.shapes import broadcast_shapes, format_shape, size_product

__all__ = ["take_along_axis"]


def _infer_take_along_axis(call: Inference) -> TensorType:
    (x, indices), axis = call.types, call.attrs["axis"]
    if x.ndim != indices.ndim:
        raise ShapeError(
            f"take_along_axis: {x} and {indices} differ in rank",
            fix="indices have the axes of x; gc.take takes indices of any rank",
        )
    for other in range(x.ndim):
        if other != axis:
            call.require_equal(x.shape[other], indices.shape[other], f"sizes of axis {other}")
    return TensorType(x.dtype, indices.shape)


def _lower_take_along_axis(context: LoweringContext, index: tuple[Expr, ...]) -> Expr:
    axis = context.attrs["axis"]
    position = position_of(context.read(1, index), context.inputs[0].shape[axis])
    return context.read(0, (*index[:axis], position, *index[axis + 1 :]))


def _vjp_take_along_axis(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    """One entry a row: a selection, which fuses. Several: added up at their flat positions."""
    (x, indices), axis = a.inputs, a.attrs["axis"]
    gradient = gradients[0]
    if indices.shape[axis] == 1:
        label = b.squeeze(indices, axis)
        chosen = b.one_hot(label, x.shape[axis], dtype="bool", axis=axis)
        return [b.where(chosen, gradient, 0), None]
    flat = b.reshape(FLAT_POSITIONS(indices, axis=axis, size=x.shape[axis]), (-1,))
    total = b.scatter_add(flat, b.reshape(gradient, (-1,)), 0, x.size)
    return [b.reshape(total, x.shape), None]


def _jvp_take_along_axis(b: Builder, a: Application, tangents: Gradients) -> Gradients:
    if tangents[0] is None:
        return [None]
    return [TAKE_ALONG_AXIS(tangents[0], a.inputs[1], **a.attrs)]


TAKE_ALONG_AXIS = register(
    OpDef(
        "take_along_axis",
        infer=_infer_take_along_axis,
        reference=lambda attrs, x, i: np.take_along_axis(
            x, positions_of(i, x.shape[attrs["axis"]]), axis=attrs["axis"]
        ),
        lower=IndexMap(_lower_take_along_axis),
        vjp=_vjp_take_along_axis,
        jvp=_jvp_take_along_axis,
        batch=shifted("axis"),
        parts=partwise,
        examples=lambda rng: [
            Example(
                lambda x: take_along_axis(x, np.array([[2], [0], [-1], [1]]), axis=1),
                (rng.normal(size=(4, 3)),),
            ),
            Example(
                lambda x: take_along_axis(x, np.array([[1, 1, -1], [0, 2, 1]]), axis=1),
                (rng.normal(size=(2, 3)),),
            ),
            Example(
                lambda x: take_along_axis(x, np.array([[[0]], [[1]]]), axis=0),
                (rng.normal(size=(2, 1, 3)),),
            ),
            Example(lambda x: take_along_axis(x, np.array([2]), axis=0), (rng.normal(size=(3,)),)),
            Example(
                lambda x: take_along_axis(x, np.zeros((0, 1), dtype="int64"), axis=1),
                (rng.normal(size=(0, 3)),),
            ),
        ],
        index_checks=lambda context: [
            IndexCheck(1, context.attrs["axis"], context.inputs[0].shape[context.attrs["axis"]])
        ],
    )
)


@public
def take_along_axis(x: Any, indices: Any, axis: int = -1) -> Tensor:
    """x[..., indices[..., j, ...], ...]: along `axis`, each row is picked from by its own indices.

    indices: integers of the rank of x; the other axes broadcast. Result: the shape of indices.
    IndexOutOfRange as for `take`.
    """
    x = as_tensor(x)
    axis = checked_axis("take_along_axis", axis, x.ndim)
    tensor = checked_indices("take_along_axis", indices, axis, x.shape[axis])
    if tensor.ndim != x.ndim:
        raise ShapeError(
            f"take_along_axis: indices {format_shape(tensor.shape)} for {x.type}",
            source=current_source(),
            fix="indices need as many axes as x, for example labels[:, None]",
        )
    before, after = slice(None, axis), slice(axis + 1, None)
    shapes = [(*t.shape[before], 1, *t.shape[after]) for t in (x, tensor)]
    common = broadcast_shapes(shapes, lambda a, b, axis: None)  # broadcast_to finds what differs
    x, tensor = (
        BUILDER.broadcast_to(t, (*common[before], t.shape[axis], *common[after]))
        for t in (x, tensor)
    )
    return TAKE_ALONG_AXIS(x, tensor, axis=axis)


def _lower_flat_positions(context: LoweringContext, index: tuple[Expr, ...]) -> Expr:
    axis, size = context.attrs["axis"], context.attrs["size"]
    shape = (*context.output.shape[:axis], size, *context.output.shape[axis + 1 :])
    entry = (*index[:axis], position_of(context.read(0, index), size), *index[axis + 1 :])
    flat: Expr = Index(0)
    for item, extent in zip(entry, shape, strict=True):
        flat = s.add(s.mul(flat, Index(extent)), item)
    return flat


def _reference_flat_positions(attrs: Attributes, indices: np.ndarray) -> np.ndarray:
    axis, size = attrs["axis"], attrs["size"]
    shape = (*indices.shape[:axis], size, *indices.shape[axis + 1 :])
    grid = list(np.indices(indices.shape, dtype=np.int64))
    grid[axis] = positions_of(indices, size)
    flat = np.zeros(indices.shape, dtype=np.int64)
    for item, extent in zip(grid, shape, strict=True):
        flat = flat * extent + item
    return flat


def _batch_flat_positions(batch: Batch) -> Sequence[Tensor]:
    """The positions in the arrays of all examples, less where each begins."""
    shape, axis = batch.node.inputs[0].shape, batch.attrs["axis"]
    (flat,) = batch.apply(batch.inputs, axis=axis + 1)
    apart = size_product((*shape[:axis], batch.attrs["size"], *shape[axis + 1 :]))
    return [BUILDER.subtract(flat, BUILDER.multiply(batch.numbers(flat.ndim), apart))]


# Where an entry that `take_along_axis` reads lies in the flat array.
FLAT_POSITIONS: OpDef = register(
    OpDef(
        "flat_positions",
        infer=lambda call: TensorType(int64, call.types[0].shape),
        reference=_reference_flat_positions,
        lower=IndexMap(_lower_flat_positions),
        batch=_batch_flat_positions,
        traits=frozenset({"nondifferentiable"}),
        examples=lambda rng: [
            Example(
                lambda i: FLAT_POSITIONS(i.astype("int64"), axis=1, size=4),
                (rng.integers(-4, 4, size=(3, 5)).astype(np.float64),),
                differentiable=False,
            ),
            Example(
                lambda i: FLAT_POSITIONS(i.astype("int32"), axis=0, size=3),
                (rng.integers(-3, 3, size=(0, 2)).astype(np.float64),),
                differentiable=False,
            ),
        ],
        index_checks=lambda context: [IndexCheck(0, context.attrs["axis"], context.attrs["size"])],
    )
)
