"""Integer tensors as indices: what is allowed, positions counted from the start of an axis, and
what several of them pick together.

Indices into the axes `axes` of x (in increasing order) broadcast to a shape I. What they pick has
I where the first of the axes was, and the axes of x that are not indexed in their order.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.dtypes import int64, is_integer, uint64
from graphc.errors import DTypeError, IndexOutOfRange, ShapeError
from graphc.ir.arguments import checked_axes
from graphc.ir.leaf import CONSTANT, as_tensor
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.scalar.expr import Expr, Index, add, cast, lt, select
from graphc.shapes import Shape, Size


def checked_indices(name: str, value: Any, axis: int, size: Size) -> Tensor:
    """`value` as an integer tensor; IndexOutOfRange for constants outside an axis of `size`."""
    empty = isinstance(value, list | tuple) and len(value) == 0
    indices = as_tensor(np.zeros(0, dtype=np.int64) if empty else value)
    if not is_integer(indices.dtype) or indices.dtype == uint64:
        raise DTypeError(
            f"{name}: indices must be of an integer dtype (not uint64), got {indices.dtype.name}",
            code="E214",
            source=current_source(),
            fix="cast them: i.astype('int64')",
        )
    if indices.node.op is CONSTANT and isinstance(size, int):
        values = indices.node.attrs["value"]
        bad = values[(values < -size) | (values >= size)]
        if bad.size:
            raise IndexOutOfRange(
                f"{name}: index {bad.flat[0]} is out of range for axis {axis} of size {size}",
                source=current_source(),
                fix=f"indices must be in [{-size}, {size})" if size else "the axis is empty",
            )
    return indices


def checked_index_group(
    name: str, x: Tensor, indices: Sequence[Any], axes: Sequence[int] | None
) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
    """One integer tensor for each of the axes (by default the first ones), and the axes."""
    fix = "give a list of integer arrays, one for each axis, the axes in increasing order"
    if not isinstance(indices, list | tuple):
        raise ShapeError(
            f"{name}: indices are {type(indices).__name__}, not a list of arrays",
            source=current_source(),
            fix=fix,
        )
    chosen = checked_axes(name, tuple(range(len(indices))) if axes is None else axes, x.ndim)
    if not chosen or len(chosen) != len(indices) or list(chosen) != sorted(set(chosen)):
        raise ShapeError(
            f"{name}: {len(indices)} indices for the axes {chosen}",
            source=current_source(),
            fix=fix,
        )
    tensors = tuple(
        checked_indices(name, index, axis, x.shape[axis])
        for index, axis in zip(indices, chosen, strict=True)
    )
    return tensors, chosen


def position_of(index: Expr, size: Size) -> Expr:
    """An index from the start of an axis of `size`."""
    index = cast(index, int64)
    return select(lt(index, Index(0)), add(index, Index(size)), index)


def positions_of(indices: np.ndarray, size: int) -> np.ndarray:
    """`position_of` for numpy."""
    wide = indices.astype(np.int64)
    return np.where(wide < 0, wide + size, wide)


def picked_shape(shape: Shape, axes: Sequence[int], indices: Shape) -> Shape:
    """The shape of what indices, broadcast to `indices`, pick from x of `shape`."""
    first = axes[0]
    rest = (size for axis, size in enumerate(shape) if axis > first and axis not in axes)
    return (*shape[:first], *indices, *rest)


def picked_entry(
    index: Sequence[Expr], axes: Sequence[int], count: int, positions: Sequence[Expr]
) -> tuple[Expr, ...]:
    """The index in x of the entry at `index` of what is picked.

    count: the rank of the broadcast indices; positions: where they point in each of the axes.
    """
    first = axes[0]
    entry = [*index[:first], *index[first + count :]]
    for axis, position in zip(axes, positions, strict=True):
        entry.insert(axis, position)
    return tuple(entry)
