"""Ops that lay out whole arrays anew: repeated, reversed, rotated, with more axes."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc.dtypes import is_integer
from graphc.errors import DTypeError, ShapeError
from graphc.ir.arguments import AxisLike, checked_axes, checked_axis, checked_shape, checked_size
from graphc.ir.batch import shifted
from graphc.ir.leaf import CONSTANT, as_tensor
from graphc.ir.lowering import IndexMap, LoweringContext
from graphc.ir.opdef import Example, OpDef
from graphc.ir.parts import partwise
from graphc.ir.registry import BUILDER, public, register
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.definition import linear_jvp
from graphc.scalar import expr as s
from graphc.scalar.expr import Expr, Index
from graphc.shapes import Shape, Size, dim_max, format_shape, size_sum

__all__ = ["atleast_1d", "atleast_2d", "atleast_3d", "flip", "ix_", "repeat", "roll", "tile"]

SHAPES: tuple[tuple[int, ...], ...] = ((0,), (1,), (7,), (2, 0, 3), (3, 1, 5))


@public
def tile(x: Any, repetitions: AxisLike) -> Tensor:
    """x laid out `repetitions[k]` times along axis `k`; the shorter of the two gets leading 1s."""
    x = as_tensor(x)
    counts = _counts("tile", repetitions)
    ndim = max(x.ndim, len(counts))
    counts = (1,) * (ndim - len(counts)) + counts
    shape: Shape = (1,) * (ndim - x.ndim) + x.shape
    apart: list[Size] = []
    for count, size in zip(counts, shape, strict=True):
        apart += (count, size)
    spread = BUILDER.expand_dims(BUILDER.reshape(x, shape), tuple(range(0, 2 * ndim, 2)))
    whole = tuple(count * size for count, size in zip(counts, shape, strict=True))
    return BUILDER.reshape(BUILDER.broadcast_to(spread, tuple(apart)), whole)


@public
def repeat(
    x: Any, repeats: Any, axis: int | None = None, *, size: Size | None = None, fill_value: Any = 0
) -> Tensor:
    """Each entry along `axis` `repeats` times in a row; without `axis` x is flattened first.

    repeats: an int, or a count for each entry along the axis. Counts that are computed need
    size=, the size of the result along the axis: what is more is cut off, what is missing is
    fill_value; a negative count is none. Raises ShapeError for counts that do not fit.
    """
    x = as_tensor(x)
    if axis is None:
        x, axis = BUILDER.reshape(x, (-1,)), 0
    axis = checked_axis("repeat", axis, x.ndim)
    if isinstance(repeats, Tensor | np.ndarray | list | tuple):
        counts = _whole("repeat", as_tensor(repeats))
        known = counts.node.attrs["value"] if counts.node.op is CONSTANT else None
        if known is None or known.size != 1 or size is not None:
            return _repeated_each(x, axis, counts, size, fill_value)
        repeats = int(known.item())
    (count,) = _counts("repeat", repeats)
    shape = (*x.shape[: axis + 1], count, *x.shape[axis + 1 :])
    whole = (*x.shape[:axis], x.shape[axis] * count, *x.shape[axis + 1 :])
    return BUILDER.reshape(BUILDER.broadcast_to(BUILDER.expand_dims(x, axis + 1), shape), whole)


def _repeated_each(
    x: Tensor, axis: int, counts: Tensor, size: Size | None, fill_value: Any
) -> Tensor:
    length = x.shape[axis]
    if counts.node.op is CONSTANT and size is None:
        known = counts.node.attrs["value"].reshape(-1)
        if length != len(known):  # infer says what is wrong, or checks it at the call
            x = BUILDER.broadcast_to(x, (*x.shape[:axis], len(known), *x.shape[axis + 1 :]))
        _counts("repeat", known.tolist())
        return BUILDER.take(x, np.repeat(np.arange(len(known)), known), axis=axis)
    if size is None:
        raise ShapeError(
            "repeat: the size of the result depends on counts that are computed",
            source=current_source(),
            fix="give it: gc.repeat(x, repeats, axis=..., size=...), or give constant counts",
        )
    counts = BUILDER.broadcast_to(counts, (length,))
    ends = BUILDER.cumulative_sum(BUILDER.maximum(counts, 0))
    numbers = BUILDER.arange(checked_size("repeat", size), dtype=ends.dtype)
    places = BUILDER.searchsorted(ends, numbers, side="right")
    return BUILDER.picked_or_filled(x, places, fill_value, axis)


def _whole(name: str, counts: Tensor) -> Tensor:
    if is_integer(counts.dtype):
        return counts
    raise DTypeError(
        f"{name}: counts of {counts.dtype.name}",
        code="E214",
        source=current_source(),
        fix="cast them: counts.astype('int64')",
    )


def _counts(name: str, counts: AxisLike) -> tuple[int, ...]:
    sizes = checked_shape(name, counts)
    if not all(isinstance(size, int) and size >= 0 for size in sizes):
        raise ShapeError(
            f"{name}: counts are ints >= 0, got {format_shape(sizes)}",
            source=current_source(),
            fix="give counts of 0 or more",
        )
    return tuple(size for size in sizes if isinstance(size, int))


# --- flip and roll ---------------------------------------------------------------------------


def _lower_flip(context: LoweringContext, index: tuple[Expr, ...]) -> Expr:
    shape, axes = context.output.shape, context.attrs["axis"]
    return context.read(
        0,
        tuple(
            s.sub(Index(shape[axis] - 1), item) if axis in axes else item
            for axis, item in enumerate(index)
        ),
    )


FLIP = register(
    OpDef(
        "flip",
        infer=lambda call: call.types[0],
        reference=lambda attrs, x: np.flip(x, attrs["axis"]),
        lower=IndexMap(_lower_flip),
        vjp=lambda b, a, gradients: [b.flip(gradients[0], a.attrs["axis"])],
        jvp=linear_jvp,
        batch=shifted("axis"),
        traits=frozenset({"linear", "view"}),
        parts=partwise,
        examples=lambda rng: [
            *(Example(lambda x: flip(x), (rng.normal(size=shape),)) for shape in SHAPES),
            Example(lambda x: flip(x, (0, -1)), (rng.normal(size=(3, 2, 5)),)),
        ],
    )
)


@public
def flip(x: Any, axis: AxisLike | None = None) -> Tensor:
    """The order of the entries reversed along `axis`, or along all axes."""
    x = as_tensor(x)
    axes = tuple(sorted(checked_axes("flip", axis, x.ndim)))
    return FLIP(x, axis=axes) if axes else x


def _lower_roll(context: LoweringContext, index: tuple[Expr, ...]) -> Expr:
    picked = list(index)
    for axis, shift in zip(context.attrs["axis"], context.attrs["shift"], strict=True):
        size = context.output.shape[axis]
        offset = Index(shift % dim_max(size, 1))  # an empty axis has no entries to find
        if shift == 1 and not isinstance(size, int):
            offset = Index(1)  # which wraps around an axis of one entry as 0 does
        moved = s.sub(index[axis], offset)
        wraps = s.lt(index[axis], offset)
        picked[axis] = s.select(wraps, s.add(moved, Index(size)), moved)
    return context.read(0, tuple(picked))


ROLL = register(
    OpDef(
        "roll",
        infer=lambda call: call.types[0],
        reference=lambda attrs, x: np.roll(x, attrs["shift"], attrs["axis"]),
        lower=IndexMap(_lower_roll),
        vjp=lambda b, a, gradients: [
            b.roll(gradients[0], tuple(-shift for shift in a.attrs["shift"]), a.attrs["axis"])
        ],
        jvp=linear_jvp,
        batch=shifted("axis"),
        traits=frozenset({"linear"}),
        parts=partwise,
        examples=lambda rng: [
            *(Example(lambda x: roll(x, 3), (rng.normal(size=shape),)) for shape in SHAPES),
            Example(lambda x: roll(x, (-4, 1), (0, -1)), (rng.normal(size=(3, 2, 5)),)),
        ],
    )
)


@public
def roll(x: Any, shift: Any, axis: AxisLike | None = None) -> Tensor:
    """Entries moved `shift` places on along `axis`; what leaves at the end enters at the start.

    shift: an int or a size, an integer tensor without axes, or a list of these, one for each axis.
    Without `axis` x is rolled as if it were flat. Raises ShapeError for another number of shifts,
    DTypeError for shifts that are no integers.
    """
    moved = as_tensor(x)
    if axis is None:
        return BUILDER.reshape(roll(BUILDER.reshape(moved, (-1,)), shift, 0), moved.shape)
    axes = tuple(checked_axis("roll", one, moved.ndim) for one in _listed(axis))
    shifts = tuple(_listed(shift.tolist() if isinstance(shift, np.ndarray) else shift))
    places = axes * len(shifts) if len(axes) == 1 else axes
    if len(shifts) == 1:
        shifts = shifts * len(places)
    if len(shifts) != len(places) or len(set(axes)) != len(axes):
        raise ShapeError(
            f"roll: {len(shifts)} shifts for axes {axes}",
            source=current_source(),
            fix="give one shift, or one for each axis, and each axis once",
        )
    computed = [
        (one, place) for one, place in zip(shifts, places, strict=True) if _is_computed(one)
    ]
    for one, place in computed:
        moved = _moved(moved, one, place)
    if computed and len(computed) == len(shifts):
        return moved
    known = checked_shape("roll", tuple(0 if _is_computed(one) else one for one in shifts))
    return ROLL(moved, shift=(size_sum(known),) if len(axes) == 1 else known, axis=axes)


def _is_computed(shift: Any) -> bool:
    return isinstance(shift, Tensor)


def _moved(x: Tensor, shift: Tensor, axis: int) -> Tensor:
    """x rolled by a number that is computed."""
    if not is_integer(shift.dtype):
        raise DTypeError(
            f"roll: the shift is {shift.type}",
            code="E214",
            source=current_source(),
            fix="cast it: shift.astype('int64')",
        )
    if shift.ndim:
        raise ShapeError(
            f"roll: the shift is {shift.type}",
            source=current_source(),
            fix="give a list of tensors without axes, one for each axis of x: [s[0], s[1]]",
        )
    size = x.shape[axis]
    places = BUILDER.arange(size) - BUILDER.astype(shift, "int64")
    return BUILDER.take(x, BUILDER.remainder(places, dim_max(size, 1)), axis)


def _listed(one: Any) -> Sequence[Any]:
    return one if isinstance(one, Sequence) and not isinstance(one, str) else (one,)


# --- more axes -----------------------------------------------------------------------------------


def _each(function: Callable[[Tensor], Tensor], tensors: tuple[Any, ...]) -> Any:
    found = tuple(function(as_tensor(tensor)) for tensor in tensors)
    return found[0] if len(found) == 1 else found


@public
def atleast_1d(*tensors: Any) -> Any:
    """Each with at least one axis; one tensor for one, else a tuple of them."""
    return _each(lambda x: x if x.ndim else BUILDER.expand_dims(x, 0), tensors)


@public
def atleast_2d(*tensors: Any) -> Any:
    """Each with at least two axes, new ones in front: a vector is a row."""
    return _each(lambda x: BUILDER.reshape(x, (1,) * (2 - x.ndim) + x.shape), tensors)


@public
def atleast_3d(*tensors: Any) -> Any:
    """Each with at least three axes: a vector becomes [1, n, 1], a matrix [m, n, 1]."""

    def deep(x: Tensor) -> Tensor:
        behind = (1,) * (3 - x.ndim - (x.ndim < 2))
        return BUILDER.reshape(x, (*((1,) * (x.ndim < 2)), *x.shape, *behind))

    return _each(deep, tensors)


@public
def ix_(*indices: Any) -> tuple[Tensor, ...]:
    """Vectors as indices of an open mesh: x[gc.ix_(rows, columns)] has a row for each of `rows`.

    indices: integer vectors, or masks that are known. ShapeError for other ranks.
    """
    found: list[Tensor] = []
    for place, given in enumerate(indices):
        index = as_tensor(given)
        if index.ndim != 1:
            raise ShapeError(
                f"ix_: argument {place} is {index.type}, not a vector",
                source=current_source(),
                fix="give one vector of indices for each axis",
            )
        if index.dtype.kind == "b":
            (index,) = BUILDER.nonzero(index)
        before, behind = (1,) * place, (1,) * (len(indices) - place - 1)
        found.append(BUILDER.reshape(index, (*before, index.shape[0], *behind)))
    return tuple(found)
