"""Axes and shapes as arguments of building functions; errors name the op and the user's line."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.errors import ArgumentError, FunctionError, ShapeError
from graphc.ir.source import current_source
from graphc.ir.tensor import CPU
from graphc.shapes import Shape, Size, as_size, normalize_axes, whole_number

ShapeLike = Size | Sequence[Size]
AxisLike = int | Sequence[int]
FAR = 1 << 62  # no array has so many rows


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
        if isinstance(shape, np.ndarray) and shape.ndim == 1:
            shape = shape.tolist()
        if isinstance(shape, Sequence) and not isinstance(shape, str | bytes | bytearray):
            return tuple(as_size(size) for size in shape)
        return (as_size(shape),)
    except ShapeError as error:
        raise _located(name, error) from None


def checked_size(name: str, size: Any) -> Size:
    """A size, symbolic ones too."""
    (checked,) = checked_shape(name, (size,))
    if isinstance(checked, int) and checked < 0:
        raise ShapeError(
            f"{name}: size={checked}", source=current_source(), fix="a size is an int >= 0"
        )
    return checked


def checked_whole(name: str, what: str, value: Any) -> int:
    """A whole number: 1.5 is not rounded."""
    number = whole_number(value)
    if number is None:
        raise ArgumentError(
            f"{name}: {what}={value!r:.60} is not an integer",
            source=current_source(),
            fix="pass an integer",
        )
    return number


def checked_diagonal(name: str, what: str, value: Any) -> int:
    """The number of a diagonal, as far as any matrix reaches."""
    return max(-FAR, min(checked_whole(name, what, value), FAR))


def checked_number(name: str, what: str, value: Any) -> float:
    """A real number that float64 holds: text is none."""
    if isinstance(value, np.ndarray) and not value.ndim:
        value = value.item()
    try:
        if isinstance(value, int | float | np.integer | np.floating):
            return float(value)
    except OverflowError:  # an integer beyond all floats
        pass
    raise ArgumentError(
        f"{name}: {what}={value!r:.60} is not a number",
        source=current_source(),
        fix="pass a number",
    )


def checked_device(name: str, device: Any) -> None:
    """Where a function runs is said where it is compiled; expressions know the CPU alone."""
    if device is not None and not (isinstance(device, str) and device == CPU):
        raise FunctionError(
            f"{name}: there is no device {device!r:.40}",
            code="E205",
            source=current_source(),
            fix=f"leave it out, or give {CPU!r}; gc.function(..., backend=...) says what runs it",
        )


def _located(name: str, error: ShapeError) -> ShapeError:
    return type(error)(
        f"{name}: {error.message}",
        code=error.code,
        details=error.details,
        source=current_source(),
        fix=error.fix,
    )
