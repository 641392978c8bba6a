"""Slices of an axis: where they start and how many entries they read, with symbolic sizes."""

from typing import Any

import numpy as np

from graphc.dtypes import is_integer
from graphc.errors import DTypeError, ShapeError, SymbolicValueError
from graphc.ir.leaf import as_tensor
from graphc.ir.linear_sums import difference, known_value
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.shapes import Dim, Size, ceil_div, dim_max, dim_min, lower_bound


def resolve_slice(item: slice, size: Size) -> tuple[Size, Size, int]:
    """Start, number and step of the entries that a slice reads from an axis of `size`.

    Bounds are clipped as numpy clips them: by the smaller and larger of sizes where they are
    symbolic.
    """
    step = 1 if item.step is None else _bound(item.step, "step")
    if not isinstance(step, int) or step == 0:
        raise ShapeError(
            f"a slice's step is an int other than 0, got {item.step}",
            source=current_source(),
            fix="write x[a:b:step] with a step such as 2 or -1",
        )
    start = None if item.start is None else _bound(item.start, "start")
    stop = None if item.stop is None else _bound(item.stop, "stop")
    if not any(isinstance(value, Dim) for value in (start, stop, size)):
        positions = range(*slice(start, stop, step).indices(size))
        return (positions.start if len(positions) else 0), len(positions), step
    # Each end is the largest or smallest of these.
    if step > 0:
        lows: list[Size] = [0] if start is None else [_to_clip(start, size, step), 0]
        highs: list[Size] = [size] if stop is None else [_to_clip(stop, size, step), size]
        spans = [high - low for high in highs for low in lows]
        return dim_max(*lows), dim_max(ceil_div(dim_min(*spans), step), 0), step
    tops: list[Size] = [size - 1] if start is None else [_to_clip(start, size, step), size - 1]
    floors: list[Size] = [-1] if stop is None else [_to_clip(stop, size, step), -1]
    spans = [top - floor for top in tops for floor in floors]
    return dim_min(*tops), dim_max(ceil_div(dim_min(*spans), -step), 0), step


def computed_slice(item: slice) -> tuple[Tensor, Size, slice] | slice:
    """A slice whose bounds are computed as its lowest position, the number of entries from there
    on, and the slice of these; other slices, also those with tensors of known values, as they are.

    x[i : i + 4] = x[from i: 4 entries][:]. SymbolicValueError where the number depends on values.
    """
    step = 1 if item.step is None else item.step
    first, end = _scalar(item.start, "start"), _scalar(item.stop, "stop")
    if not isinstance(first, Tensor) and not isinstance(end, Tensor):
        return slice(first, end, item.step)
    if first is None or end is None or not isinstance(step, int | np.integer) or step == 0:
        raise _length_unknown(item)
    start, stop = as_tensor(first), as_tensor(end)
    length: Size | None = difference(stop, start) if step > 0 else difference(start, stop)
    if length is None:
        raise _length_unknown(item)
    stride = abs(int(step))
    span = dim_max(ceil_div(length, stride) * stride - stride + 1, 0)
    lowest = start if step > 0 else start - span + 1
    return lowest, span, slice(None, None, int(step))


def _scalar(value: Any, what: str) -> Any:
    """A bound; a tensor whose value is known as that."""
    if not isinstance(value, Tensor):
        return value
    if value.ndim or not is_integer(value.dtype):
        raise DTypeError(
            f"a slice's {what} must be an integer scalar, got {value.type}",
            code="E214",
            source=current_source(),
            fix="cast it: i.astype('int64')" if not value.ndim else "take one of its entries",
        )
    known = known_value(value)
    return value if known is None else known


def _length_unknown(item: slice) -> SymbolicValueError:
    shown = [
        "" if end is None else "..." if isinstance(end, Tensor) else str(end)
        for end in (item.start, item.stop)
    ]
    return SymbolicValueError(
        f"how many entries [{shown[0]}:{shown[1]}] has depends on values",
        code="E215",
        details=["sizes must be known before the values; x[i : i + n] has n entries"],
        source=current_source(),
        fix="write the stop as the start plus a size; pick with gc.take(x, i*B + gc.arange(B), "
        "axis=0); or keep the shape: gc.where(gc.arange(n) < i, x, 0)",
    )


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


def _to_clip(value: Size, size: Size, step: int) -> Size:
    """A bound counted from the start of the axis, to be clipped to it."""
    # size - 1 is negative only where the axis is empty. size - 2 is -1 where its size is 1, and
    # means entry 0: on the way up -1 is clipped to that, on the way down it is the end.
    harmless = (-1, -2) if step > 0 else (-1,)
    return value if value - size in harmless else position_from_start(value, size)


def position_from_start(value: Size, size: Size) -> Size:
    """A position counted from the start of the axis; negative ones count from its end."""
    if isinstance(value, int):
        return value if value >= 0 else size + value
    least = lower_bound(value)
    if least is not None and least >= 0:
        return value
    negative = dim_min(dim_max(-value, 0), 1)  # 1 where value < 0, else 0
    return value + size * negative
