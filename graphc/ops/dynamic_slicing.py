"""Slices that begin where integer tensors say: a known number of entries from there on.

x[i * B : (i + 1) * B] reads such a slice, and `x.at[...]` writes one. Of the starts, one number for
each slice is read and checked, not one for each entry as `take` does it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graphc.dtypes import int64, is_integer
from graphc.errors import DTypeError, GraphcError, IndexOutOfRange, ShapeError
from graphc.ir.arguments import checked_axis, checked_shape
from graphc.ir.batch import Batch
from graphc.ir.leaf import as_tensor
from graphc.ir.lowering import Composite, IndexCheck, IndexMap, LoweringContext
from graphc.ir.node import Attributes, TensorType
from graphc.ir.opdef import Application, Example, Generator, Gradients, Inference, OpDef
from graphc.ir.parts import partwise
from graphc.ir.registry import BUILDER, Builder, public, register
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.scalar import expr as s
from graphc.scalar.expr import Expr
from graphc.shapes import Shape, Size, evaluate, symbols_of

__all__ = [
    "dynamic_slice",
    "dynamic_slice_in_dim",
    "dynamic_update_slice",
    "dynamic_update_slice_in_dim",
]


# --- reading -----------------------------------------------------------------------------------


def _check_starts(call: Inference, starts: Sequence[TensorType], axes: Sequence[int]) -> None:
    if len(starts) != len(axes) or any(start != TensorType(int64, ()) for start in starts):
        raise DTypeError(f"{call.op}: needs an int64 scalar for each of the axes {axes}")


def _infer_slice_at(call: Inference) -> TensorType:
    (x, *starts), axes, sizes = call.types, call.attrs["axes"], call.attrs["sizes"]
    _check_starts(call, starts, axes)
    shape = list(x.shape)
    for axis, size in zip(axes, sizes, strict=True):
        _check_fit(call.op, axis, x.shape[axis], size)
        shape[axis] = size
    return TensorType(x.dtype, tuple(shape))


def _check_fit(op: str, axis: int, size: Size, count: Size) -> None:
    if isinstance(size, int) and isinstance(count, int) and count > size:
        raise _outside(axis, None, count, size)


def _outside(axis: int, start: int | None, count: Size, size: Size) -> IndexOutOfRange:
    where = "" if start is None else f" from {start} on"
    last = size - count
    possible = not isinstance(last, int) or last >= 0
    return IndexOutOfRange(
        f"a slice of {count} entries{where} is out of range for axis {axis} of size {size}",
        code="E402" if start is not None else "E401",
        source=current_source() if start is None else None,
        fix=f"start in [0, {last}]; what a last, shorter batch lacks can be padded or left out"
        if possible
        else "take fewer entries",
    )


def _slice_checks(context: LoweringContext) -> list[IndexCheck]:
    shape, attrs = context.inputs[0].shape, context.attrs
    return [
        _start_check(number, axis, shape[axis], count)
        for number, (axis, count) in enumerate(zip(attrs["axes"], attrs["sizes"], strict=True), 1)
    ]


def _start_check(number: int, axis: int, size: Size, count: Size) -> IndexCheck:
    def error(start: int, sizes: Mapping[str, int]) -> GraphcError:
        known = [
            evaluate(one, sizes) if symbols_of(one) <= sizes.keys() else one
            for one in (count, size)
        ]
        return _outside(axis, start, *known)

    return IndexCheck(number, axis, size - count + 1, 0, error)


def _reference_slice_at(attrs: Attributes, x: np.ndarray, *starts: np.ndarray) -> np.ndarray:
    key = [slice(None)] * x.ndim
    for axis, size, start in zip(attrs["axes"], attrs["sizes"], starts, strict=True):
        key[axis] = slice(int(start), int(start) + size)
    return x[tuple(key)].copy()


def _lower_slice_at(context: LoweringContext, index: tuple[Expr, ...]) -> Expr:
    entry = list(index)
    for number, axis in enumerate(context.attrs["axes"], 1):
        entry[axis] = s.add(context.read(number, ()), index[axis])
    return context.read(0, tuple(entry))


def _vjp_slice_at(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    x, *starts = a.inputs
    total = b.update_slice_at(b.zeros_like(x), gradients[0], starts, a.attrs["axes"])
    return [total, *(None for _ in starts)]


def _jvp_slice_at(b: Builder, a: Application, tangents: Gradients) -> Gradients:
    if tangents[0] is None:
        return [None]
    return [SLICE_AT(tangents[0], *a.inputs[1:], **a.attrs)]


def _batch_slice_at(batch: Batch) -> Sequence[Tensor]:
    """Where starts differ from example to example, entries are picked one by one."""
    axes, sizes = batch.attrs["axes"], batch.attrs["sizes"]
    further = tuple(axis + 1 for axis in axes)
    numbers = range(1, len(batch.inputs))
    if not any(map(batch.mapped, numbers)):
        return batch.apply(batch.inputs, axes=further)
    x = batch.whole(0)
    picks = [batch.numbers(len(axes) + 1)]
    for place, number in enumerate(numbers):
        positions = _positions(batch.whole(number), x.shape[further[place]], sizes[place])
        picks.append(_along(positions, 1 + place, len(axes) + 1))
    picked = BUILDER.gather(x, picks, (0, *further))
    return [BUILDER.moveaxis(picked, tuple(range(1, len(axes) + 1)), further)]


def _positions(starts: Tensor, size: Size, count: Size) -> Tensor:
    """starts[..., None] + 0, 1, ..., count - 1; outside the axis where a start is negative."""
    known = BUILDER.where(starts < 0, size, starts)
    return BUILDER.expand_dims(known, -1) + BUILDER.arange(count)


def _along(positions: Tensor, axis: int, ndim: int) -> Tensor:
    """Positions, whose last axis becomes `axis` of `ndim`; one before it stays the first."""
    shape: list[Size] = [1] * ndim
    shape[axis] = positions.shape[-1]
    if positions.ndim == 2:
        shape[0] = positions.shape[0]
    return BUILDER.reshape(positions, shape)


def _start(value: int) -> Tensor:
    return as_tensor(np.int64(value))


def _slice_at_examples(rng: Generator) -> list[Example]:
    cases: list[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]] = [
        ((5,), (1,), (3,), (0,)),
        ((5, 3), (2,), (2,), (0,)),
        ((5, 3), (0, 1), (4, 2), (0, 1)),
        ((2, 4, 3), (1, 2), (2, 1), (1, 2)),
        ((3,), (3,), (0,), (0,)),
    ]
    constant = [
        Example(
            lambda x, p=places, n=sizes, axes=axes: slice_at(x, list(map(_start, p)), n, axes),
            (rng.normal(size=shape),),
        )
        for shape, places, sizes, axes in cases
    ]
    computed = Example(
        lambda x, i: slice_at(x, [i.astype("int64")], (3,), (1,)),
        (rng.normal(size=(2, 7, 2)), np.array(4.0)),
        differentiable=False,
    )
    return [*constant, computed]


SLICE_AT = register(
    OpDef(
        "slice_at",
        infer=_infer_slice_at,
        reference=_reference_slice_at,
        lower=IndexMap(_lower_slice_at),
        vjp=_vjp_slice_at,
        jvp=_jvp_slice_at,
        batch=_batch_slice_at,
        parts=partwise,
        examples=_slice_at_examples,
        index_checks=_slice_checks,
    )
)


@public
def slice_at(x: Any, starts: Sequence[Any], sizes: Sequence[Size], axes: Sequence[int]) -> Tensor:
    """`sizes[k]` entries of x from `starts[k]` on along `axes[k]`, the axes in increasing order.

    starts: integer scalars; IndexOutOfRange at the call if a slice does not lie in its axis.
    """
    return SLICE_AT(as_tensor(x), *_int64(starts), axes=tuple(axes), sizes=tuple(sizes))


def _int64(starts: Sequence[Any]) -> list[Tensor]:
    return [BUILDER.astype(as_tensor(start), int64) for start in starts]


# --- writing -----------------------------------------------------------------------------------


def _infer_update(call: Inference) -> TensorType:
    (x, values, *starts), axes = call.types, call.attrs["axes"]
    _check_starts(call, starts, axes)
    if values.dtype != x.dtype or values.ndim != x.ndim or any(axis >= x.ndim for axis in axes):
        raise ShapeError(f"{call.op}: values {values} for a slice of {x}")
    for axis, (count, size) in enumerate(zip(values.shape, x.shape, strict=True)):
        if axis in axes:
            _check_fit(call.op, axis, size, count)
        else:
            call.require_equal(count, size, f"values and x, axis {axis}")
    return x


def _reference_update(
    attrs: Attributes, x: np.ndarray, values: np.ndarray, *starts: np.ndarray
) -> np.ndarray:
    result, key = x.copy(), [slice(None)] * x.ndim
    for axis, start in zip(attrs["axes"], starts, strict=True):
        first, count, size = int(start), values.shape[axis], x.shape[axis]
        if count and not 0 <= first <= size - count:
            raise _outside(axis, first, count, size)
        key[axis] = slice(first, first + count)
    result[tuple(key)] = values
    return result


def _lower_update(
    b: Builder, x: Tensor, values: Tensor, *starts: Tensor, axes: tuple[int, ...]
) -> Tensor:
    """As a scatter, which loops do where their state lies."""
    picks = [
        _along(_positions(start, x.shape[axis], values.shape[axis]), place, len(axes))
        for place, (start, axis) in enumerate(zip(starts, axes, strict=True))
    ]
    own = tuple(range(axes[0], axes[0] + len(axes)))
    return b.scatter(x, picks, b.moveaxis(values, axes, own), axes)


def _vjp_update(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    (_, values, *starts), axes, gradient = a.inputs, a.attrs["axes"], gradients[0]
    sizes = [values.shape[axis] for axis in axes]
    by_x = by_values = None
    if a.wants(0):
        by_x = b.update_slice_at(gradient, b.zeros_like(values), starts, axes)
    if a.wants(1):
        by_values = b.slice_at(gradient, starts, sizes, axes)
    return [by_x, by_values, *(None for _ in starts)]


def _jvp_update(b: Builder, a: Application, tangents: Gradients) -> Gradients:
    (x, values, *starts), (of_x, of_values, *_) = a.inputs, tangents
    if of_x is None and of_values is None:
        return [None]
    of_x = b.zeros_like(x) if of_x is None else of_x
    of_values = b.zeros_like(values) if of_values is None else of_values
    return [b.update_slice_at(of_x, of_values, starts, a.attrs["axes"])]


def _update_examples(rng: Generator) -> list[Example]:
    cases: list[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]] = [
        ((5,), (3,), (1,), (0,)),
        ((5, 3), (2, 3), (3,), (0,)),
        ((5, 3), (4, 2), (0, 1), (0, 1)),
        ((2, 4, 3), (1, 4, 2), (1, 1), (0, 2)),
        ((3, 2), (0, 2), (1,), (0,)),
    ]
    return [
        Example(
            lambda x, v, p=places, axes=axes: update_slice_at(x, v, list(map(_start, p)), axes),
            (rng.normal(size=shape), rng.normal(size=part)),
        )
        for shape, part, places, axes in cases
    ]


UPDATE_SLICE_AT = register(
    OpDef(
        "update_slice_at",
        infer=_infer_update,
        reference=_reference_update,
        lower=Composite(_lower_update),
        vjp=_vjp_update,
        jvp=_jvp_update,
        parts=partwise,
        examples=_update_examples,
    )
)


@public
def update_slice_at(x: Any, values: Any, starts: Sequence[Any], axes: Sequence[int]) -> Tensor:
    """x with `values`, of its dtype, where `slice_at` would read them."""
    return UPDATE_SLICE_AT(as_tensor(x), as_tensor(values), *_int64(starts), axes=tuple(axes))


# --- by the names of JAX -----------------------------------------------------------------------


@public
def dynamic_slice(x: Any, start_indices: Any, slice_sizes: Sequence[Size]) -> Tensor:
    """`slice_sizes[k]` entries of each axis k from `start_indices[k]` on, moved into the axis.

    start_indices: an integer scalar for each axis, tensors or ints, or an integer tensor [x.ndim].
    Negative ones count from the end of the axis; then a start becomes
    clip(start, 0, x.shape[k] - slice_sizes[k]), as in JAX: nothing is ever out of range.
    `x[i : i + n]` raises instead. Result: x's dtype, shape `slice_sizes`.
    ShapeError for another number of starts or sizes, IndexOutOfRange for sizes larger than x.

    >>> gc.dynamic_slice(x, (i, 0), (10, 3))
    """
    tensor = as_tensor(x)
    sizes = checked_shape("dynamic_slice", slice_sizes)
    starts = _clamped("dynamic_slice", tensor.shape, start_indices, sizes)
    axes = tuple(axis for axis, size in enumerate(sizes) if size != tensor.shape[axis])
    if not axes:
        return tensor
    return slice_at(tensor, [starts[axis] for axis in axes], [sizes[axis] for axis in axes], axes)


@public
def dynamic_update_slice(x: Any, update: Any, start_indices: Any) -> Tensor:
    """x with `update` in the place that `dynamic_slice` would read a slice of its shape from.

    update: x.ndim axes, none longer than that of x, of a dtype that fits that of x.
    start_indices: as for `dynamic_slice`, moved into range in the same way. The result has the
    shape and dtype of x; in a loop whose state x is, it is written in place.
    """
    x = as_tensor(x)
    values: Tensor = BUILDER.fitting_updates(x, update, "set")
    starts = _clamped("dynamic_update_slice", x.shape, start_indices, values.shape)
    axes = tuple(axis for axis, size in enumerate(values.shape) if size != x.shape[axis])
    if not axes:
        return values
    return update_slice_at(x, values, [starts[axis] for axis in axes], axes)


@public
def dynamic_slice_in_dim(x: Any, start_index: Any, slice_size: Size, axis: int = 0) -> Tensor:
    """`dynamic_slice` along one axis, the others whole."""
    x = as_tensor(x)
    axis = checked_axis("dynamic_slice_in_dim", axis, x.ndim)
    starts = [start_index if one == axis else 0 for one in range(x.ndim)]
    return dynamic_slice(x, starts, (*x.shape[:axis], slice_size, *x.shape[axis + 1 :]))


@public
def dynamic_update_slice_in_dim(x: Any, update: Any, start_index: Any, axis: int) -> Tensor:
    """`dynamic_update_slice` along one axis, the others whole."""
    x = as_tensor(x)
    axis = checked_axis("dynamic_update_slice_in_dim", axis, x.ndim)
    starts = [start_index if one == axis else 0 for one in range(x.ndim)]
    return dynamic_update_slice(x, update, starts)


def _clamped(name: str, shape: Shape, starts: Any, sizes: Sequence[Size]) -> list[Tensor]:
    """The starts as int64 tensors, moved so that the slices lie in their axes."""
    if isinstance(starts, Tensor | np.ndarray):
        tensor = as_tensor(starts)
        starts = (
            [tensor[k] for k in range(len(shape))] if tensor.shape == (len(shape),) else [tensor]
        )
    elif not isinstance(starts, Sequence):
        starts = [starts]
    if not len(starts) == len(sizes) == len(shape):
        raise ShapeError(
            f"{name}: {len(starts)} starts and {len(sizes)} sizes for {len(shape)} axes",
            source=current_source(),
            fix="give one start and one size for each axis; 0 and x.shape[k] for a whole one",
        )
    found: list[Tensor] = []
    for axis, (start, size, count) in enumerate(zip(starts, shape, sizes, strict=True)):
        _check_fit(name, axis, size, count)
        place = as_tensor(start)
        if place.ndim or not is_integer(place.dtype):
            raise DTypeError(
                f"{name}: start {axis} must be an integer scalar, got {place.type}",
                code="E214",
                source=current_source(),
                fix="cast it: i.astype('int64')",
            )
        place = BUILDER.astype(place, int64)
        place = BUILDER.where(place < 0, place + size, place)
        found.append(BUILDER.maximum(BUILDER.minimum(place, size - count), 0))
    return found
