"""Entries picked by several integer tensors together: numpy's x[i, j].

Indices count from 0; negative ones count from the end of the axis. They broadcast against each
other, and are checked: constants where the graph is built, all others before a kernel reads.
"""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from graphc.ir.batch import Batch, moved
from graphc.ir.indices import (
    checked_index_group,
    picked_entry,
    picked_shape,
    position_of,
    positions_of,
)
from graphc.ir.leaf import as_tensor
from graphc.ir.lowering import IndexCheck, IndexMap, LoweringContext
from graphc.ir.node import Attributes, TensorType
from graphc.ir.opdef import Application, Example, Generator, Gradients, Inference, OpDef
from graphc.ir.parts import partwise
from graphc.ir.registry import Builder, public, register
from graphc.ir.tensor import Tensor
from graphc.scalar.expr import Expr

__all__ = ["gather"]


def _infer_gather(call: Inference) -> TensorType:
    (x, *indices), axes = call.types, call.attrs["axes"]
    picked = call.broadcast([index.shape for index in indices])
    return TensorType(x.dtype, picked_shape(x.shape, axes, picked))


def _reference_gather(attrs: Attributes, x: np.ndarray, *indices: np.ndarray) -> np.ndarray:
    axes = attrs["axes"]
    # Every axis gets an index: numpy's rule of where the picked axes go is not needed.
    picked = np.broadcast_shapes(*(index.shape for index in indices))
    shape = cast(tuple[int, ...], picked_shape(x.shape, axes, picked))
    grid = list(np.indices(shape, sparse=True))
    entry = [*grid[: axes[0]], *grid[axes[0] + len(picked) :]]
    after = len(shape) - axes[0] - len(picked)
    for axis, index in zip(axes, indices, strict=True):
        entry.insert(axis, positions_of(index, x.shape[axis])[(..., *(None,) * after)])
    return np.broadcast_to(x[tuple(entry)], shape).copy()


def _lower_gather(context: LoweringContext, index: tuple[Expr, ...]) -> Expr:
    (x, *indices), axes = context.inputs, context.attrs["axes"]
    count = max(index.ndim for index in indices)
    own = index[axes[0] : axes[0] + count]
    positions = [
        position_of(context.read_broadcast(number, own), x.shape[axis])
        for number, axis in enumerate(axes, 1)
    ]
    return context.read(0, picked_entry(index, axes, count, positions))


def _vjp_gather(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    x, *indices = a.inputs
    total = b.scatter(b.zeros_like(x), indices, gradients[0], a.attrs["axes"], mode="add")
    return [total, *(None for _ in indices)]


def _jvp_gather(b: Builder, a: Application, tangents: Gradients) -> Gradients:
    if tangents[0] is None:
        return [None]
    return [GATHER(tangents[0], *a.inputs[1:], **a.attrs)]


def _gather_examples(rng: Generator) -> list[Example]:
    cases: list[tuple[tuple[int, ...], tuple[int, ...], tuple[Any, ...]]] = [
        ((4, 3), (0, 1), ([0, -1, 3, 3], [1, 0, -3, 2])),
        ((4, 3), (0, 1), ([[0], [2]], [1, 0, 1])),
        ((4, 3), (0, 1), (2, -1)),
        ((2, 4, 3), (0, 2), ([1, 1, 0], [2, -1, 0])),
        ((2, 4, 3), (1, 2), ([[3], [-1]], 1)),
        ((2, 1, 3), (0, 1), ([1, 0], [0, -1])),
        ((3, 0, 2), (0, 2), ([1, 2], [0, 1])),
        ((3, 2), (0, 1), ([], [])),
        ((5,), (0,), ([1, 1, -2],)),
    ]
    examples = [
        Example(lambda x, i=i, axes=axes: gather(x, i, axes), (rng.normal(size=shape),))
        for shape, axes, i in cases
    ]

    def indices(x: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return gather(x, (i.astype("int32"), j.astype("int64")), (0, 2))

    drawn = [rng.integers(-size, size, size=5).astype(np.float64) for size in (3, 2)]
    examples.append(Example(indices, (rng.normal(size=(3, 4, 2)), *drawn), differentiable=False))
    return examples


def _checks(context: LoweringContext) -> list[IndexCheck]:
    shape = context.inputs[0].shape
    return [IndexCheck(n, axis, shape[axis]) for n, axis in enumerate(context.attrs["axes"], 1)]


def _batch_gather(batch: Batch) -> Sequence[Tensor]:
    """Where indices differ from example to example, so does the entry of the first axis."""
    axes = batch.attrs["axes"]
    numbers = range(1, len(batch.inputs))
    if not any(map(batch.mapped, numbers)):
        return batch.apply(batch.inputs, axes=tuple(axis + 1 for axis in axes))
    count = max(batch.node.inputs[number].ndim for number in numbers)
    indices = [batch.aligned(number, count) for number in numbers]
    if not batch.mapped(0):
        return [moved(batch.apply([batch.inputs[0], *indices])[0], axes[0], 1, 0)]
    own = (0, *(axis + 1 for axis in axes))
    picked = GATHER(batch.inputs[0], batch.numbers(count + 1), *indices, axes=own)
    return [moved(picked, 1, count, axes[0] + 1)]


GATHER = register(
    OpDef(
        "gather",
        infer=_infer_gather,
        reference=_reference_gather,
        lower=IndexMap(_lower_gather),
        vjp=_vjp_gather,
        jvp=_jvp_gather,
        batch=_batch_gather,
        parts=partwise,
        examples=_gather_examples,
        index_checks=_checks,
    )
)


@public
def gather(x: Any, indices: Sequence[Any], axes: Sequence[int] | None = None) -> Tensor:
    """x[i, j, ...]: the entries of x at `indices`, one integer array for each of `axes`.

    axes: the first ones by default, else in increasing order. indices: integers in [-size, size)
    of shapes that broadcast to I. Result: the shape of x with I in place of the first of the axes
    and without the others. IndexOutOfRange as for `take`; ShapeError where shapes do not broadcast.
    """
    x = as_tensor(x)
    tensors, chosen = checked_index_group("gather", x, indices, axes)
    return GATHER(x, *tensors, axes=chosen)
