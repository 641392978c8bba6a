"""Axes and shapes as arguments of building functions; errors name the op and the user's line."""

from collections.abc import Sequence

from graphc.errors import ShapeError
from graphc.ir.source import current_source
from graphc.shapes import Shape, Size, as_size, normalize_axes

ShapeLike = Size | Sequence[Size]
AxisLike = int | Sequence[int]


def checked_axes(name: str, axis: AxisLike | None, ndim: int) -> tuple[int, ...]:
    """Axes counted from 0, in the order given; None means all."""
    try:
        return normalize_axes(axis, ndim)
    except ShapeError as error:
        raise _located(name, error) from None


def checked_axis(name: str, axis: int, ndim: int) -> int:
    """One axis counted from 0."""
    return checked_axes(name, (axis,), ndim)[0]


def checked_shape(name: str, shape: ShapeLike) -> Shape:
    """A size or several as a tuple."""
    try:
        return tuple(as_size(size) for size in (shape if isinstance(shape, Sequence) else (shape,)))
    except ShapeError as error:
        raise _located(name, error) from None


def _located(name: str, error: ShapeError) -> ShapeError:
    return ShapeError(
        f"{name}: {error.message}",
        code=error.code,
        details=error.details,
        source=current_source(),
        fix=error.fix,
    )
