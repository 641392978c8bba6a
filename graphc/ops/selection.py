"""Entries that a mask selects, and where they are. How many there are depends on data.

With `size=` the result has that many entries: the first ones, padded with `fill_value`. Without it
the result is padded to an upper bound, and what a function returns of it is trimmed when it is
called; such a result can only be an output.
"""

from typing import Any

import numpy as np

from graphc.dtypes import DType, int64, is_bool, is_integer, result_type
from graphc.errors import DTypeError, ShapeError
from graphc.ir.arguments import AxisLike, checked_axis, checked_size
from graphc.ir.leaf import CONSTANT, as_tensor, constant
from graphc.ir.registry import BUILDER, public
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ir.trimmed import Trimmed
from graphc.ops.definition import convert, is_weak
from graphc.shapes import Dim, Size, size_product

__all__ = [
    "argwhere",
    "boolean_mask",
    "compress",
    "count_nonzero",
    "extract",
    "flatnonzero",
    "nonzero",
]


@public
def true_places(mask: Tensor, size: Size) -> Tensor:
    """Where the first `size` true entries of a row are; the size of the row behind the last."""
    length = mask.shape[0]
    number = BUILDER.subtract(BUILDER.cumulative_sum(mask), 1)
    # All others go to one more place, which is dropped.
    slot = BUILDER.where(mask, BUILDER.minimum(number, size), size)
    none = BUILDER.broadcast_to(as_tensor(length, int64), (size + 1,))
    places = BUILDER.scatter(none, (slot,), BUILDER.arange(length))
    return BUILDER.slice_within(places, (0,), (size,))


@public
def picked_or_filled(x: Tensor, places: Tensor, fill_value: Any, axis: int = 0) -> Tensor:
    """x at `places` along an axis; fill_value where a place is the size of the axis."""
    edge = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
    fill = BUILDER.broadcast_to(_fitting(fill_value, x.dtype), edge)
    return BUILDER.take(BUILDER.concat([x, fill], axis), places, axis)


def _fitting(fill_value: Any, dtype: DType) -> Tensor:
    """In the dtype of what is filled; DTypeError for a fraction among integers."""
    given: Any = fill_value if is_weak(fill_value) else as_tensor(fill_value)
    kind: Any = given.dtype if isinstance(given, Tensor) else given
    coin = is_bool(dtype) and isinstance(given, int) and given in (0, 1)
    whole = (is_integer(dtype) or is_bool(dtype)) and not coin and not isinstance(given, Dim)
    if whole and result_type(dtype, kind) != dtype:
        raise DTypeError(
            f"fill_value={fill_value!r:.60} does not fit {dtype.name}",
            code="E214",
            source=current_source(),
            fix=f"fill with a value of {dtype.name}, or cast x first",
        )
    return convert(given, dtype)


@public
def picked_within(x: Tensor, places: Tensor, axis: int = 0) -> Tensor:
    """x at `places` along an axis; something where a place is the size of the axis. There are not
    more places than x has entries along it."""
    inside = BUILDER.where(BUILDER.less(places, x.shape[axis]), places, 0)
    return BUILDER.take(x, inside, axis)


@public
def count_nonzero(x: Any, *, axis: AxisLike | None = None, keepdims: bool = False) -> Tensor:
    """How many elements are not zero over `axis`: an int, several, or None for all; int64.

    x: any shape and dtype; NaN is not zero. keepdims: reduced axes stay, with size 1.
    Raises ShapeError for axes that x does not have.
    """
    return BUILDER.sum(BUILDER.not_equal(x, 0), axis=axis, keepdims=keepdims)


# --- where entries are ---------------------------------------------------------------------------


@public
def nonzero(
    x: Any, /, *, size: Size | None = None, fill_value: int | tuple[int, ...] = 0
) -> tuple[Any, ...]:
    """Where x is not zero, in row-major order: for each axis a row of indices, int64.

    x: at least one axis, any dtype. size: the length of the rows, symbolic ones too; without it
    they have as many entries as x has elements that are not zero, and can only be outputs of a
    function. fill_value: an int, or one for each axis, behind the last index.
    Raises ShapeError for a scalar, and for what is not a size.
    """
    tensor = as_tensor(x)
    if tensor.ndim == 0:
        raise ShapeError(
            f"nonzero: needs at least one axis, got {tensor.type}",
            source=current_source(),
            fix="a scalar has one place at most: gc.nonzero(gc.reshape(x, (1,)))",
        )
    if size is None and tensor.node.op is CONSTANT:
        return tuple(constant(row) for row in np.nonzero(tensor.node.attrs["value"]))
    fills = fill_value if isinstance(fill_value, tuple) else (fill_value,) * tensor.ndim
    if len(fills) != tensor.ndim:
        raise ShapeError(
            f"nonzero: {len(fills)} fill values for {tensor.type}",
            source=current_source(),
            fix="give one int, or one for each axis",
        )
    filled = [_fitting(fill, int64) for fill in fills]
    mask = _flat(BUILDER.not_equal(tensor, 0))
    bound = mask.shape[0] if size is None else checked_size("nonzero", size)
    places = true_places(mask, bound)
    found = BUILDER.less(places, mask.shape[0])
    rows: list[Any] = []
    for axis, extent in enumerate(tensor.shape):
        inner = size_product(tensor.shape[axis + 1 :])
        row = places if inner == 1 else BUILDER.floor_divide(places, inner)
        row = row if axis == 0 else BUILDER.remainder(row, extent)
        rows.append(BUILDER.where(found, row, filled[axis]))
    if size is None:
        count = count_nonzero(mask)
        return tuple(Trimmed("nonzero", row, count) for row in rows)
    return tuple(rows)


@public
def flatnonzero(x: Any, /, *, size: Size | None = None, fill_value: int = 0) -> Any:
    """Where the elements of x, counted in row-major order, are not zero: int64.

    size, fill_value: as for `nonzero`.
    """
    (row,) = nonzero(_flat(as_tensor(x)), size=size, fill_value=fill_value)
    return _named(row, "flatnonzero")


@public
def argwhere(x: Any, /, *, size: Size | None = None, fill_value: int | tuple[int, ...] = 0) -> Any:
    """Where x is not zero, in row-major order: a row of indices for each such element, int64.

    size, fill_value: as for `nonzero`.
    """
    rows = nonzero(x, size=size, fill_value=fill_value)
    if isinstance(rows[0], Trimmed):
        table = BUILDER.stack([row.padded for row in rows], axis=1)
        return Trimmed("argwhere", table, rows[0].count)
    return BUILDER.stack(rows, axis=1)


# --- what a mask selects -------------------------------------------------------------------------


@public
def boolean_mask(
    x: Any, mask: Any, /, *, axis: int = 0, size: Size | None = None, fill_value: Any = 0
) -> Any:
    """The entries of x where the mask is true, in row-major order: x[mask] for axis 0.

    mask: bool, of the sizes of the axes of x from `axis` on, at least one; a single axis of the
    result takes their place. size: its size, symbolic ones too; without it that is the number of
    true entries, and the result can only be an output of a function. fill_value: behind the last
    entry. The gradient goes to the selected entries.
    Raises ShapeError where the sizes differ; where they are symbolic that is checked at the call.
    """
    x, mask = as_tensor(x), _truth("boolean_mask", mask)
    if not 0 < mask.ndim <= x.ndim:
        raise _misfit("boolean_mask", x, mask)
    axis = checked_axis("boolean_mask", axis, x.ndim)
    last = axis + mask.ndim
    covered = x.shape[axis:last]
    if last > x.ndim:
        raise _misfit("boolean_mask", x, mask)
    for position, (extent, own) in enumerate(zip(covered, mask.shape, strict=True), axis):
        if own == 1 and extent != 1:  # a mask does not stretch
            if isinstance(extent, int):
                raise _misfit("boolean_mask", x, mask)
            x = BUILDER.expand_dims(BUILDER.squeeze(x, position), position)
        elif own != extent and isinstance(own, int) and isinstance(extent, int):
            raise _misfit("boolean_mask", x, mask)
    covered = x.shape[axis:last]
    if size is None and mask.node.op is CONSTANT:
        return BUILDER.getitem(x, (*(slice(None),) * axis, mask))
    flat = _flat(BUILDER.broadcast_to(mask, covered))
    rows = BUILDER.reshape(x, (*x.shape[:axis], flat.shape[0], *x.shape[last:]))
    if size is None:
        places = true_places(flat, flat.shape[0])
        picked = picked_within(rows, places, axis)
        return Trimmed("boolean_mask", picked, count_nonzero(flat), axis)
    places = true_places(flat, checked_size("boolean_mask", size))
    return picked_or_filled(rows, places, fill_value, axis)


@public
def compress(
    condition: Any,
    x: Any,
    /,
    *,
    axis: int | None = None,
    size: Size | None = None,
    fill_value: Any = 0,
) -> Any:
    """The slices of x along `axis` where the condition, of one axis, is true; without `axis` x is
    flattened first. size, fill_value: as for `boolean_mask`.
    """
    tensor, mask = as_tensor(x), _truth("compress", condition)
    if axis is None:
        tensor, axis = _flat(tensor), 0
    if mask.ndim != 1:
        raise _misfit("compress", tensor, mask)
    picked = boolean_mask(tensor, mask, axis=axis, size=size, fill_value=fill_value)
    return _named(picked, "compress")


@public
def extract(condition: Any, x: Any, /, *, size: Size | None = None, fill_value: Any = 0) -> Any:
    """The elements of x, in row-major order, where the condition, of the shape of x, is true.

    size, fill_value: as for `boolean_mask`.
    """
    tensor, mask = as_tensor(x), _truth("extract", condition)
    if tensor.ndim != mask.ndim:
        raise _misfit("extract", tensor, mask)
    if tensor.ndim == 0:
        tensor, mask = _flat(tensor), _flat(mask)
    picked = boolean_mask(tensor, mask, size=size, fill_value=fill_value)
    return _named(picked, "extract")


def _flat(x: Tensor) -> Tensor:
    return BUILDER.reshape(x, (-1,))


def _truth(name: str, condition: Any) -> Tensor:
    tensor = as_tensor(condition)
    return tensor if tensor.dtype.kind == "b" else BUILDER.not_equal(tensor, 0)


def _named(result: Any, name: str) -> Any:
    """A result that says in errors which function the user called."""
    if isinstance(result, Trimmed):
        return Trimmed(name, result.padded, result.count, result.axis)
    return result


def _misfit(name: str, x: Tensor, mask: Tensor) -> ShapeError:
    return ShapeError(
        f"{name}: the mask does not fit",
        details=[f"x: {x.type}    mask: {mask.type}"],
        source=current_source(),
        fix="a mask has the sizes of the axes that it covers",
    )
