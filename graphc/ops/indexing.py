"""Entries picked by integer tensors, and the transposes: rows added up where indices say.

Indices count from 0; negative ones count from the end of the axis. They are checked: constants
where the graph is built, all others before a kernel reads with them.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.dtypes import as_dtype, default_float
from graphc.errors import ShapeError
from graphc.ir.arguments import checked_axis, checked_size
from graphc.ir.batch import Batch, moved, shifted
from graphc.ir.indices import checked_indices, position_of, positions_of
from graphc.ir.leaf import CONSTANT, as_tensor
from graphc.ir.lowering import IndexCheck, IndexMap, LoweringContext, ScatterAdd
from graphc.ir.node import Attributes, TensorType
from graphc.ir.opdef import Application, Example, Generator, Gradients, Inference, OpDef
from graphc.ir.parts import partwise
from graphc.ir.registry import BUILDER, Builder, public, register
from graphc.ir.tensor import Tensor
from graphc.scalar import expr as s
from graphc.scalar.expr import Expr
from graphc.shapes import Size, size_product

__all__ = ["one_hot", "scatter_add", "take"]


# --- take --------------------------------------------------------------------------------------


def _infer_take(call: Inference) -> TensorType:
    (x, indices), axis = call.types, call.attrs["axis"]
    return TensorType(x.dtype, (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))


def _lower_take(context: LoweringContext, index: tuple[Expr, ...]) -> Expr:
    (x, indices), axis = context.inputs, context.attrs["axis"]
    end = axis + indices.ndim
    position = position_of(context.read(1, index[axis:end]), x.shape[axis])
    return context.read(0, (*index[:axis], position, *index[end:]))


def _vjp_take(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    (x, indices), axis = a.inputs, a.attrs["axis"]
    return [b.scatter_add(indices, gradients[0], axis, x.shape[axis]), None]


def _jvp_take(b: Builder, a: Application, tangents: Gradients) -> Gradients:
    if tangents[0] is None:
        return [None]
    return [TAKE(tangents[0], a.inputs[1], **a.attrs)]


def _float_indices(rng: Generator, size: int, shape: tuple[int, ...]) -> np.ndarray:
    return rng.integers(-size, size, size=shape).astype(np.float64)


def _take_examples(rng: Generator) -> list[Example]:
    cases: list[tuple[tuple[int, ...], int, Any]] = [
        ((5,), 0, 3),
        ((5,), 0, [0, -1, 3, 3]),
        ((4, 3), 0, [[1, 1], [-4, 2]]),
        ((4, 3), 1, [2, 0, 2, 1, 2]),
        ((2, 0, 3), 2, [1, 1]),
        ((2, 3, 5), 1, -3),
        ((1,), 0, [0, -1]),
        ((3, 2), 0, []),
        ((0,), 0, []),
    ]
    examples = [
        Example(lambda x, axis=axis, i=i: take(x, i, axis=axis), (rng.normal(size=shape),))
        for shape, axis, i in cases
    ]
    examples.append(
        Example(
            lambda x, i: take(x, i.astype("int32"), axis=1),
            (rng.normal(size=(3, 4, 2)), _float_indices(rng, 4, (5,))),
            differentiable=False,
        )
    )
    return examples


def _batch_take(batch: Batch) -> Sequence[Tensor]:
    (x, indices), axis = batch.inputs, batch.attrs["axis"]
    if not batch.mapped(1):
        return batch.apply([x, indices], axis=axis + 1)
    if not batch.mapped(0):
        return [moved(batch.apply([x, indices])[0], axis, 1, 0)]
    picked = BUILDER.gather(x, [batch.numbers(indices.ndim), indices], (0, axis + 1))
    return [moved(picked, 1, indices.ndim - 1, axis + 1)]


TAKE = register(
    OpDef(
        "take",
        infer=_infer_take,
        reference=lambda attrs, x, i: np.take(
            x, positions_of(i, x.shape[attrs["axis"]]), axis=attrs["axis"]
        ),
        lower=IndexMap(_lower_take),
        vjp=_vjp_take,
        jvp=_jvp_take,
        batch=_batch_take,
        parts=partwise,
        examples=_take_examples,
        index_checks=lambda context: [
            IndexCheck(1, context.attrs["axis"], context.inputs[0].shape[context.attrs["axis"]])
        ],
    )
)


@public
def take(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """The entries of x at `indices` along `axis`; without `axis` x is flattened first.

    indices: integers of any shape, which takes the place of the axis; in [-size, size).
    IndexOutOfRange, for constants while the graph is built, for all others at run time.
    """
    x = as_tensor(x)
    if axis is None:
        x, axis = BUILDER.reshape(x, (-1,)), 0
    axis = checked_axis("take", axis, x.ndim)
    tensor = checked_indices("take", indices, axis, x.shape[axis])
    if tensor.ndim == 0 and tensor.node.op is CONSTANT:  # a slice: a view with a cheap gradient
        key = (slice(None),) * axis + (int(tensor.node.attrs["value"]),)
        return BUILDER.getitem(x, key)
    return TAKE(x, tensor, axis=axis)


# --- scatter_add: the transpose of take --------------------------------------------------------


def _infer_scatter_add(call: Inference) -> TensorType:
    (indices, values), axis = call.types, call.attrs["axis"]
    if indices.ndim != 1 or not 0 <= axis < values.ndim:
        raise ShapeError(
            f"scatter_add: needs indices[j] and values[..., j, ...], axis {axis}",
            fix="give as many indices as values have entries along the axis",
        )
    call.require_equal(indices.shape[0], values.shape[axis], "indices and values differ in number")
    shape = (*values.shape[:axis], call.attrs["size"], *values.shape[axis + 1 :])
    return TensorType(values.dtype, shape)


def _reference_scatter_add(attrs: Attributes, indices: np.ndarray, values: np.ndarray) -> Any:
    axis, size = attrs["axis"], attrs["size"]
    result = np.zeros((*values.shape[:axis], size, *values.shape[axis + 1 :]), values.dtype)
    rows = np.moveaxis(values, axis, 0)
    np.add.at(np.moveaxis(result, axis, 0), positions_of(indices, size), rows)
    return result


def _vjp_scatter_add(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    return [None, b.take(gradients[0], a.inputs[0], axis=a.attrs["axis"])]


def _jvp_scatter_add(b: Builder, a: Application, tangents: Gradients) -> Gradients:
    if tangents[1] is None:
        return [None]
    return [SCATTER_ADD(a.inputs[0], tangents[1], **a.attrs)]


def _batch_scatter_add(batch: Batch) -> Sequence[Tensor]:
    """Where indices differ from example to example: added into zeros for all."""
    indices, axis, size = batch.inputs[0], batch.attrs["axis"], batch.attrs["size"]
    values = batch.whole(1)
    if not batch.mapped(0):
        return batch.apply([indices, values], axis=axis + 1)
    shape = (*values.shape[: axis + 1], size, *values.shape[axis + 2 :])
    zeros = BUILDER.zeros(shape, values.dtype)
    own = [batch.numbers(2), indices]
    return [BUILDER.scatter(zeros, own, moved(values, axis + 1, 1, 1), (0, axis + 1), mode="add")]


SCATTER_ADD = register(
    OpDef(
        "scatter_add",
        infer=_infer_scatter_add,
        reference=_reference_scatter_add,
        lower=ScatterAdd(),
        vjp=_vjp_scatter_add,
        jvp=_jvp_scatter_add,
        batch=_batch_scatter_add,
        parts=partwise,
        examples=lambda rng: [
            Example(lambda v: scatter_add([1, 0, 1, -1], v, 0, 3), (rng.normal(size=(4,)),)),
            Example(lambda v: scatter_add([2, 2], v, 1, 4), (rng.normal(size=(3, 2, 2)),)),
            Example(lambda v: scatter_add([], v, 0, 2), (rng.normal(size=(0, 3)),)),
            Example(lambda v: scatter_add([[0, 1], [1, 1]], v, 0, 2), (rng.normal(size=(2, 2)),)),
            Example(lambda v: scatter_add(2, v, 0, 3), (rng.normal(size=(2,)),)),
        ],
        index_checks=lambda context: [IndexCheck(0, context.attrs["axis"], context.attrs["size"])],
    )
)


@public
def scatter_add(indices: Any, values: Any, axis: int, size: Size) -> Tensor:
    """Zeros with `values[..., j, ...]` added at `indices[j]` along `axis`, in order of j.

    The result has `size` entries along `axis`. indices may have any shape I; values then have I in
    place of the axis. It is the transpose of `take`.
    ShapeError for another axis or size, and where values have not I there.
    """
    values = as_tensor(values)
    size = checked_size("scatter_add", size)
    tensor = checked_indices("scatter_add", indices, axis, size)
    axis = checked_axis("scatter_add", axis, max(values.ndim - tensor.ndim + 1, 0))
    if tensor.ndim != 1:
        before, after = values.shape[:axis], values.shape[axis + tensor.ndim :]
        values = BUILDER.broadcast_to(values, (*before, *tensor.shape, *after))
        count = size_product(tensor.shape)
        values = BUILDER.reshape(values, (*before, count, *after))
        tensor = BUILDER.reshape(tensor, (count,))
    return SCATTER_ADD(tensor, values, axis=axis, size=size)


# --- one_hot -----------------------------------------------------------------------------------


def _infer_one_hot(call: Inference) -> TensorType:
    (indices,), axis = call.types, call.attrs["axis"]
    shape = (*indices.shape[:axis], call.attrs["num_classes"], *indices.shape[axis:])
    return TensorType(call.attrs["dtype"], shape)


def _lower_one_hot(context: LoweringContext, index: tuple[Expr, ...]) -> Expr:
    attrs = context.attrs
    axis = attrs["axis"]
    label = context.read(0, (*index[:axis], *index[axis + 1 :]))
    return s.cast(s.eq(position_of(label, attrs["num_classes"]), index[axis]), attrs["dtype"])


def _reference_one_hot(attrs: Attributes, indices: np.ndarray) -> np.ndarray:
    axis, count = attrs["axis"], attrs["num_classes"]
    classes = np.arange(count).reshape((count,) + (1,) * (indices.ndim - axis))
    hot = np.expand_dims(positions_of(indices, count), axis) == classes
    return np.asarray(hot).astype(attrs["dtype"])


ONE_HOT = register(
    OpDef(
        "one_hot",
        infer=_infer_one_hot,
        reference=_reference_one_hot,
        lower=IndexMap(_lower_one_hot),
        batch=shifted("axis"),
        traits=frozenset({"nondifferentiable"}),
        examples=lambda rng: [
            Example(
                lambda i, axis=axis: one_hot(i.astype("int64"), 5, "float64", axis=axis),
                (_float_indices(rng, 5, shape),),
                differentiable=False,
            )
            for shape, axis in (((), -1), ((0,), 0), ((1,), -1), ((7,), 0), ((3, 4), 1))
        ],
        index_checks=lambda context: [
            IndexCheck(0, context.attrs["axis"], context.attrs["num_classes"])
        ],
    )
)


@public
def one_hot(indices: Any, num_classes: Size, dtype: Any = default_float, axis: int = -1) -> Tensor:
    """1 at the class that an index names, 0 elsewhere, along a new axis of size `num_classes`.

    indices: integers in [-num_classes, num_classes), of any shape. IndexOutOfRange as for `take`.
    """
    indices = as_tensor(indices)
    axis = checked_axis("one_hot", axis, indices.ndim + 1)
    num_classes = checked_size("one_hot", num_classes)
    tensor = checked_indices("one_hot", indices, axis, num_classes)
    return ONE_HOT(tensor, num_classes=num_classes, dtype=as_dtype(dtype), axis=axis)
