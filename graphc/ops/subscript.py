"""Subscripts: `x[key]` as slices, dropped and new axes, and `take`."""

from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from graphc.errors import DTypeError, IndexOutOfRange, ShapeError, SymbolicValueError
from graphc.ir.leaf import as_tensor
from graphc.ir.registry import BUILDER, public
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.shapes import Dim, Size, ceil_div, dim_max, dim_min, lower_bound

__all__ = ["getitem"]


@dataclass(slots=True)
class _Plan:
    """What a key says about the axes of `x`, read from left to right."""

    starts: list[Size]
    sizes: list[Size]
    steps: list[int]
    dropped: list[int]  # axes of x that an int picks from
    added: list[int]  # positions of new axes, counted without dropped ones
    taken: list[tuple[int, Tensor]]  # axis of x, integer tensor
    result_ndim: int = 0  # of the result, with 1 for each tensor index


@public
def getitem(x: Any, key: Any) -> Tensor:
    """x[key] with numpy's meaning, for ints, slices, `...`, None and one array of integers.

    Bounds of slices may be symbolic sizes; ints and slices may be negative; an integer tensor picks
    along its axis (as `take`). IndexOutOfRange if an index is known to lie outside its axis; where
    sizes or indices are symbolic that is checked at the call.
    """
    x = as_tensor(x)
    items = _expand(x, key)
    plan = _Plan([], [], [], [], [], [])
    for item in items:
        _read_item(x, plan, item)
    result: Tensor = BUILDER.strided_slice(x, plan.starts, plan.sizes, plan.steps)
    # From the last axis on, so that axes before it keep their numbers.
    for axis, indices in reversed(plan.taken):
        result = BUILDER.take(result, indices, axis=axis)
    return _reshape_axes(result, plan, items)


def _reshape_axes(result: Tensor, plan: _Plan, items: list[Any]) -> Tensor:
    """Drop the axes that ints picked from, add new ones, put the array's axes where numpy does."""
    array = next((t for t in plan.taken if t[1].ndim > 0), None)
    growth = {axis: indices.ndim - 1 for axis, indices in plan.taken}

    def shifted(axis: int) -> int:
        return axis + sum(more for other, more in growth.items() if other < axis)

    if plan.dropped:
        result = BUILDER.squeeze(result, tuple(shifted(axis) for axis in plan.dropped))
    if plan.added:
        result = BUILDER.expand_dims(result, tuple(plan.added))
    if array is None:
        return result
    # numpy: if ints and arrays are apart in the key, the axes of the array come first.
    picks = [k for k, item in enumerate(items) if isinstance(item, int | Dim | Tensor)]
    if picks[-1] - picks[0] + 1 == len(picks):
        return result
    first = _position_of_array(items)
    count = array[1].ndim
    return BUILDER.moveaxis(result, tuple(range(first, first + count)), tuple(range(count)))


def _position_of_array(items: list[Any]) -> int:
    """The first axis of the result that an array index makes."""
    position = 0
    for item in items:
        if isinstance(item, Tensor) and item.ndim > 0:
            break
        position += isinstance(item, slice) or item is None
    return position


def _expand(x: Tensor, key: Any) -> list[Any]:
    """The items of a key: int, Dim, slice, None, integer tensor; `...` as slices, if of any."""
    items = [_index_item(x, item) for item in (key if isinstance(key, tuple) else (key,))]
    ellipses = sum(item is Ellipsis for item in items)
    if ellipses > 1:
        raise IndexOutOfRange(
            "an index can hold only one ellipsis (...)", code="E403", source=current_source()
        )
    used = sum(item is not None and item is not Ellipsis for item in items)
    if used > x.ndim:
        raise IndexOutOfRange(
            f"too many indices: {used} for {x.type}",
            code="E403",
            source=current_source(),
            fix=f"a tensor of ndim {x.ndim} takes at most {x.ndim}",
        )
    if not ellipses:
        items.append(Ellipsis)
    at = next(k for k, item in enumerate(items) if item is Ellipsis)
    if used < x.ndim:  # else it stays: it still separates what stands beside it
        items[at : at + 1] = [slice(None)] * (x.ndim - used)
    arrays = [item for item in items if isinstance(item, Tensor) and item.ndim > 0]
    if len(arrays) > 1:
        _unsupported(
            x,
            "more than one array of indices",
            "index in steps, x[i][:, j]; or flatten: gc.reshape(x, (-1,))[i * columns + j]",
        )
    return items


def _index_item(x: Tensor, item: Any) -> Any:
    if item is None or item is Ellipsis or isinstance(item, slice | Dim):
        return item
    if isinstance(item, int | np.integer) and not isinstance(item, bool | np.bool_):
        return int(item)
    if isinstance(item, list | tuple) and len(item) == 0:
        return as_tensor(np.zeros(0, dtype=np.int64))
    if isinstance(item, bool | float | str | dict | set) or callable(item):
        _unsupported(x, f"{item!r} of type {type(item).__name__}", _SUPPORTED)
    indices = as_tensor(item)
    if indices.dtype.kind == "b":
        _unsupported(
            x,
            "a bool mask: the size of the result would depend on the values",
            "keep the shape with gc.where(mask, x, other), or reduce: gc.sum(gc.where(mask, x, 0))",
        )
    if indices.dtype.kind not in "iu":
        raise DTypeError(
            f"an index must be of an integer dtype, got {indices.dtype.name}",
            code="E214",
            source=current_source(),
            fix="cast it: x[i.astype('int64')]",
        )
    return indices


_SUPPORTED = "an index holds ints, slices, ..., None and at most one integer array"


def _unsupported(x: Tensor, what: str, fix: str) -> NoReturn:
    raise SymbolicValueError(
        f"cannot index with {what}",
        code="E215",
        details=[f"{x.name or x.node.op.name}: {x.type}", f"allowed: {_SUPPORTED}"],
        source=current_source(),
        fix=fix,
    )


def _read_item(x: Tensor, plan: _Plan, item: Any) -> None:
    axis = len(plan.starts)
    if item is Ellipsis:
        return
    if item is None:
        plan.added.append(plan.result_ndim)
        plan.result_ndim += 1
        return
    size = x.shape[axis]
    start, count, step = _read_axis(axis, size, item)
    plan.starts.append(start)
    plan.sizes.append(count)
    plan.steps.append(step)
    if isinstance(item, slice):
        plan.result_ndim += 1
    elif isinstance(item, Tensor):
        plan.taken.append((axis, item))
        plan.result_ndim += item.ndim
    else:
        plan.dropped.append(axis)


def _read_axis(axis: int, size: Size, item: Any) -> tuple[Size, Size, int]:
    """Start, number and step of the entries that an item reads from an axis."""
    if isinstance(item, Tensor):
        return 0, size, 1
    if isinstance(item, slice):
        return resolve_slice(item, size)
    if isinstance(item, int) and isinstance(size, int):
        if not -size <= item < size:
            raise IndexOutOfRange(
                f"index {item} is out of range for axis {axis} of size {size}",
                source=current_source(),
                fix=f"indices must be in [{-size}, {size})" if size else "the axis is empty",
            )
        return item % size, 1, 1
    return _from_start(item, size), 1, 1


def resolve_slice(item: slice, size: Size) -> tuple[Size, Size, int]:
    """Start, number and step of the entries that a slice reads from an axis of `size`.

    Bounds are clipped as numpy clips them: by the smaller and larger of sizes where they are
    symbolic.
    """
    step = 1 if item.step is None else _bound(item.step, "step")
    if not isinstance(step, int) or step == 0:
        raise ShapeError(
            f"a slice's step is an int other than 0, got {item.step}", source=current_source()
        )
    start = None if item.start is None else _bound(item.start, "start")
    stop = None if item.stop is None else _bound(item.stop, "stop")
    if not any(isinstance(value, Dim) for value in (start, stop, size)):
        positions = range(*slice(start, stop, step).indices(size))
        return (positions.start if len(positions) else 0), len(positions), step
    # Each end is the largest or smallest of these.
    if step > 0:
        lows: list[Size] = [0] if start is None else [_clipped_from_start(start, size), 0]
        highs: list[Size] = [size] if stop is None else [_clipped_from_start(stop, size), size]
        spans = [high - low for high in highs for low in lows]
        return dim_max(*lows), dim_max(ceil_div(dim_min(*spans), step), 0), step
    tops: list[Size] = [size - 1] if start is None else [_clipped_from_start(start, size), size - 1]
    floors: list[Size] = [-1] if stop is None else [_clipped_from_start(stop, size), -1]
    spans = [top - floor for top in tops for floor in floors]
    return dim_min(*tops), dim_max(ceil_div(dim_min(*spans), -step), 0), step


def _bound(value: Any, what: str) -> Size:
    if isinstance(value, Dim):
        return value
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return int(value)
    raise SymbolicValueError(
        f"a slice's {what} must be an int or a symbolic size, got {type(value).__name__}",
        code="E215",
        source=current_source(),
        fix="sizes must be known before the values: for positions that are computed use gc.take",
    )


def _clipped_from_start(value: Size, size: Size) -> Size:
    """A bound counted from the start of the axis, to be clipped to it."""
    # size - 1 and size - 2 are negative only where counting from the end is clipped to 0 as well.
    return value if value - size in (-1, -2) else _from_start(value, size)


def _from_start(value: Size, size: Size) -> Size:
    """A position counted from the start of the axis; negative ones count from its end."""
    if isinstance(value, int):
        return value if value >= 0 else size + value
    least = lower_bound(value)
    if least is not None and least >= 0:
        return value
    negative = dim_min(dim_max(-value, 0), 1)  # 1 where value < 0, else 0
    return value + size * negative
