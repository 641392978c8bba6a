"""Subscripts: `x[key]` with numpy's meaning, and `x.at[key]` with new values there.

A key is read into a plan: the axes of which a stretch begins where a tensor says, a slice of every
axis, the axes that integer tensors pick from, the axes that ints drop and those that None adds.
Reading takes these steps in order; writing goes back.
"""

from collections.abc import Callable
from dataclasses import field
from typing import Any, NoReturn

import numpy as np

from graphc.dtypes import int64
from graphc.errors import DTypeError, IndexOutOfRange, SymbolicValueError
from graphc.ir.leaf import CONSTANT, as_tensor, constant
from graphc.ir.registry import BUILDER, public
from graphc.ir.slices import computed_slice, position_from_start, resolve_slice
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ir.trimmed import Trimmed
from graphc.records import dataclass
from graphc.shapes import Dim, Size

__all__ = ["getitem"]


@dataclass(slots=True)
class _Plan:
    """What a key says about the axes of `x`, read from left to right."""

    count: int  # the axes of the result that integer tensors make together
    moving: list[tuple[int, Tensor, Size]] = field(default_factory=list)  # axis, start, entries
    starts: list[Size] = field(default_factory=list)
    sizes: list[Size] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)  # axes of x that an int picks from
    added: list[int] = field(default_factory=list)  # new axes, counted without dropped ones
    taken: list[tuple[int, Tensor]] = field(default_factory=list)  # axis of x, integer tensor
    ndim: int = 0  # of the result
    moved: int = 0  # where the axes of the tensors are, if numpy puts them first

    def dropped_axes(self) -> tuple[int, ...]:
        """The dropped axes, counted after the integer tensors picked."""
        if not self.taken:
            return tuple(self.dropped)
        first = self.taken[0][0]
        axes = [axis for axis, _ in self.taken]
        return tuple(
            axis if axis < first else axis - sum(other < axis for other in axes) + self.count
            for axis in self.dropped
        )


@public
def getitem(x: Any, key: Any) -> Any:
    """x[key] with numpy's meaning, for ints, slices, `...`, None, integer tensors and masks.

    Bounds of slices may be symbolic sizes; ints and slices may be negative. Slices whose bounds are
    computed need a known length, as x[i * B : (i + 1) * B] has one, and all of it must lie in the
    axis: nothing is clipped, and a negative start does not count from the end. Integer tensors
    broadcast against each other and pick along their axes together (as `gather`). A mask that is
    known (a numpy array) counts as the indices of its true entries. With one that is computed the
    result can only be an output of a function (see `boolean_mask`); it may stand beside slices and
    ints. IndexOutOfRange if an index is known to lie outside its axis; where sizes or indices are
    symbolic that is checked at the call.
    """
    x = as_tensor(x)
    items = key if isinstance(key, tuple) else (key,)
    for at, item in enumerate(items):
        if _is_computed_mask(item):
            return _selected(x, list(items), at)
    plan = _plan(x, key)
    x = _stretch(x, plan)
    result: Tensor = BUILDER.slice_within(x, plan.starts, plan.sizes, plan.steps)
    if len(plan.taken) == 1:
        axis, indices = plan.taken[0]
        result = BUILDER.take(result, indices, axis=axis)
    elif plan.taken:
        axes, tensors = zip(*plan.taken, strict=True)
        result = BUILDER.gather(result, tensors, axes)
    if plan.dropped:
        result = BUILDER.squeeze(result, plan.dropped_axes())
    if plan.added:
        result = BUILDER.expand_dims(result, tuple(plan.added))
    if plan.moved:
        made = tuple(range(plan.count))
        result = BUILDER.moveaxis(result, tuple(plan.moved + axis for axis in made), made)
    return result


# --- computed masks ------------------------------------------------------------------------------


def _is_computed_mask(item: Any) -> bool:
    """Also a known one without axes, which no integer indices stand for."""
    if not isinstance(item, Tensor) or item.dtype.kind != "b":
        return False
    return item.node.op is not CONSTANT or item.ndim == 0


def _selected(x: Tensor, items: list[Any], at: int) -> Any:
    """x[items], where items[at] is a mask: the rest of the key first, then the mask."""
    mask = items[at]
    others = [item for number, item in enumerate(items) if number != at]
    # A mask without axes is one over a new axis of size 1.
    covered: list[Any] = [slice(None)] * mask.ndim or [None]
    rest = (*items[:at], *covered, *items[at + 1 :])
    for item in others:
        if not (item is None or item is Ellipsis or isinstance(item, slice | Dim | int)):
            _unsupported(x, "a computed mask beside another array", _BESIDE_MASK)
    used = sum(_axes_used(item) for item in rest)
    skipped = x.ndim - used  # axes that an ellipsis stands for
    axis = sum(
        skipped if item is Ellipsis else int(item is None or isinstance(item, slice))
        for item in items[:at]
    )
    mask = BUILDER.reshape(mask, (1,)) if mask.ndim == 0 else mask
    result = BUILDER.boolean_mask(getitem(x, rest), mask, axis=axis)
    picks = [n for n, item in enumerate(items) if n == at or isinstance(item, int | Dim)]
    if axis and picks[-1] - picks[0] + 1 != len(picks):  # numpy: see _plan
        return _moved_first(result, axis)
    return result


def _moved_first(result: Any, axis: int) -> Any:
    if isinstance(result, Tensor):
        return BUILDER.moveaxis(result, axis, 0)
    return Trimmed(result.name, BUILDER.moveaxis(result.padded, axis, 0), result.count)


# --- writing -----------------------------------------------------------------------------------

_COMBINE: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "add": lambda x, v: BUILDER.add(x, v),
    "multiply": lambda x, v: BUILDER.multiply(x, v),
    "min": lambda x, v: BUILDER.minimum(x, v),
    "max": lambda x, v: BUILDER.maximum(x, v),
}


@public
def update_at(x: Any, key: Any, values: Any, mode: str) -> Tensor:
    """x with the entries of x[key] set to `values`, or combined with them: what x.at[key] does.

    values: any shape that broadcasts to that of x[key], of a dtype that fits the dtype of x.
    mode: set, add, multiply, min, max; for integer tensors as `scatter`.
    """
    x = as_tensor(x)
    updates = BUILDER.fitting_updates(x, values, mode)
    mask = _symbolic_mask(x, key)
    if mask is not None:
        return _update_where(x, mask, updates, mode)
    plan = _plan(x, key)
    updates = BUILDER.broadcast_to(updates, getitem(x, key).shape)
    if plan.moved:
        made = tuple(range(plan.count))
        updates = BUILDER.moveaxis(updates, made, tuple(plan.moved + axis for axis in made))
    if plan.added:
        updates = BUILDER.squeeze(updates, tuple(plan.added))
    if plan.dropped:
        updates = BUILDER.expand_dims(updates, plan.dropped_axes())
    stretch = _stretch(x, plan)
    updated = _updated(stretch, plan, updates, mode)
    if not plan.moving:
        return updated
    axes, starts, _ = zip(*plan.moving, strict=True)
    return BUILDER.update_slice_at(x, updated, starts, axes)


def _stretch(x: Tensor, plan: _Plan) -> Tensor:
    """The entries of x that the slices of the plan read from."""
    if not plan.moving:
        return x
    axes, starts, sizes = zip(*plan.moving, strict=True)
    return BUILDER.slice_at(x, starts, sizes, axes)


def _updated(x: Tensor, plan: _Plan, updates: Tensor, mode: str) -> Tensor:
    region: Tensor = BUILDER.slice_within(x, plan.starts, plan.sizes, plan.steps)
    if plan.taken:
        axes, tensors = zip(*plan.taken, strict=True)
        updates = BUILDER.scatter(region, tensors, updates, axes, mode=mode)
    elif mode != "set":
        updates = _COMBINE[mode](region, updates)
    return _replaced(x, plan, region, updates)


def _replaced(x: Tensor, plan: _Plan, region: Tensor, values: Tensor) -> Tensor:
    """x with `values` where the region lies that the slices of the plan read."""
    if region is x:
        return values
    updated: Tensor = BUILDER.update_slice(x, values, plan.starts, plan.steps)
    return updated


def _symbolic_mask(x: Tensor, key: Any) -> Tensor | None:
    """The key, if it is one mask over the first axes whose values are not known."""
    return key if _is_computed_mask(key) and key.ndim <= x.ndim else None


def _update_where(x: Tensor, mask: Tensor, updates: Tensor, mode: str) -> Tensor:
    """As many entries are written as the mask has true ones: each gets the same values."""
    behind = x.ndim - mask.ndim
    if updates.ndim > behind:
        raise SymbolicValueError(
            f"values of {updates.ndim} axes where a mask of {mask.ndim} is set",
            code="E215",
            details=[f"x: {x.type}    mask: {mask.type}    values: {updates.type}"],
            source=current_source(),
            fix="one value for all entries, or gc.where(mask, values, x) for one at each place",
        )
    updates = BUILDER.broadcast_to(updates, x.shape[mask.ndim :])
    mask = BUILDER.broadcast_to(mask, x.shape[: mask.ndim])
    wide = BUILDER.reshape(mask, (*mask.shape, *(1,) * behind))
    return BUILDER.where(wide, updates if mode == "set" else _COMBINE[mode](x, updates), x)


# --- reading a key -----------------------------------------------------------------------------


def _plan(x: Tensor, key: Any) -> _Plan:
    items = _expand(x, key)
    tensors = [item for item in items if isinstance(item, Tensor)]
    plan = _Plan(max((tensor.ndim for tensor in tensors), default=0))
    position = 0
    for item in items:
        if isinstance(item, Tensor) and not plan.taken:
            position = plan.ndim
        _read_item(x, plan, item)
    # numpy: if ints and arrays are apart in the key, the axes of the arrays come first.
    picks = [k for k, item in enumerate(items) if isinstance(item, int | Dim | Tensor)]
    if plan.count and picks[-1] - picks[0] + 1 != len(picks):
        plan.moved = position
    return plan


def _expand(x: Tensor, key: Any) -> list[Any]:
    """The items of a key: int, Dim, slice, None, integer tensor; `...` as slices, if of any."""
    items = [_index_item(x, item) for item in (key if isinstance(key, tuple) else (key,))]
    ellipses = sum(item is Ellipsis for item in items)
    if ellipses > 1:
        raise IndexOutOfRange(
            "an index can hold only one ellipsis (...)",
            code="E403",
            source=current_source(),
            fix="leave one ... out",
        )
    used = sum(_axes_used(item) for item in items)
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
    plain: list[Any] = []
    axis = 0
    for item in items:
        plain += _true_entries(x, item, axis) if isinstance(item, np.ndarray) else [item]
        axis += _axes_used(item)
    return plain


def _axes_used(item: Any) -> int:
    """How many axes of x an item of a key is for."""
    if isinstance(item, np.ndarray):
        return item.ndim
    return 0 if item is None or item is Ellipsis else 1


def _true_entries(x: Tensor, mask: np.ndarray, axis: int) -> list[Tensor]:
    """A mask over some axes as the indices of its true entries, one tensor an axis."""
    covered = x.shape[axis : axis + mask.ndim]
    if covered != mask.shape:
        symbolic = not all(isinstance(size, int) for size in covered)
        raise IndexOutOfRange(
            f"a mask of shape {list(mask.shape)} for the axes of {x.type} from axis {axis} on",
            code="E403",
            source=current_source(),
            fix="index with np.nonzero(mask), whose range is checked at the call"
            if symbolic
            else "a mask has the sizes of the axes that it covers",
        )
    return [constant(indices, int64) for indices in np.nonzero(mask)]


def _index_item(x: Tensor, item: Any) -> Any:
    """int, Dim, slice, None, ... or integer tensor; a known mask as a numpy array."""
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
        if indices.node.op is CONSTANT and indices.ndim > 0:
            return indices.node.attrs["value"]
        _unsupported(x, "a mask that is computed, here", _BESIDE_MASK)
    if indices.dtype.kind not in "iu":
        raise DTypeError(
            f"an index must be of an integer dtype, got {indices.dtype.name}",
            code="E214",
            source=current_source(),
            fix="cast it: x[i.astype('int64')]",
        )
    if indices.node.op is CONSTANT and indices.ndim == 0:  # a slice, with a cheap gradient
        return int(indices.node.attrs["value"])
    return indices


_SUPPORTED = "an index holds ints, slices, ..., None, integer arrays and masks"
_BESIDE_MASK = "select in two steps, or keep the shape: gc.where(mask, x, other)"


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
        plan.added.append(plan.ndim)
        plan.ndim += 1
        return
    size = x.shape[axis]
    ends = computed_slice(item) if isinstance(item, slice) else item
    if isinstance(ends, tuple):
        plan.moving.append((axis, *ends[:2]))
        size, ends = ends[1:]
    start, count, step = _read_axis(axis, size, ends)
    plan.starts.append(start)
    plan.sizes.append(count)
    plan.steps.append(step)
    if isinstance(item, slice):
        plan.ndim += 1
    elif isinstance(item, Tensor):
        plan.ndim += 0 if plan.taken else plan.count
        plan.taken.append((axis, item))
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
    return position_from_start(item, size), 1, 1
