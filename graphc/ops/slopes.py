"""Slopes of values on a grid, by finite differences: numpy's gradient."""

from collections.abc import Sequence
from typing import Any

from graphc.errors import ParameterError, ShapeError
from graphc.ir.arguments import AxisLike, checked_axes
from graphc.ir.leaf import as_tensor
from graphc.ir.registry import BUILDER, public
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.definition import floating, one_input

__all__ = ["gradient"]


@public
def gradient(
    f: Any, *spacing: Any, axis: AxisLike | None = None, edge_order: int = 1
) -> Tensor | list[Tensor]:
    """Slopes of values on a grid: differences of both neighbours, and of one side at the ends;
    numpy's gradient. For derivatives of expressions see `grad`.

    f: integers and bool become float32. spacing: nothing for distances of 1, a number for all axes,
    or for each axis a number or the places of its entries, one axis. axis: one or several, by
    default all. edge_order: 1 or 2, that of the error at the ends. Result: of the shape of f; a
    list of them for several axes, or for all axes of an f that has not one. B. Fornberg 1988,
    "Generation of finite difference formulas on arbitrarily spaced grids". Raises ShapeError for an
    axis that f does not have or with fewer than edge_order + 1 entries, and for places that do not
    fit; ParameterError for another edge_order or count of spacings.
    """
    tensor = floating(one_input("gradient", f))
    axes = (
        tuple(range(tensor.ndim)) if axis is None else checked_axes("gradient", axis, tensor.ndim)
    )
    if edge_order not in (1, 2) or len(spacing) not in (0, 1, len(axes)):
        raise ParameterError(
            f"gradient: {len(spacing)} spacings, {len(axes)} axes, edge_order {edge_order!r:.20}",
            source=current_source(),
            fix="give no spacing, one, or one for each axis; edge_order is 1 or 2",
        )
    widths = spacing if len(spacing) == len(axes) else (*(spacing or (1.0,)),) * len(axes)
    slopes = [_slope(tensor, a, h, edge_order) for a, h in zip(axes, widths, strict=True)]
    single = len(axes) == 1 and (axis is None or not isinstance(axis, Sequence))
    return slopes[0] if single else slopes


def _slope(f: Tensor, axis: int, width: Any, order: int) -> Tensor:
    """Along one axis, which is the last for the time being"""
    row = BUILDER.moveaxis(f, axis, -1)
    size = row.shape[-1]
    places = as_tensor(width)
    fits = not isinstance(size, int) or size > order
    if places.ndim == 1 and isinstance(size, int) and isinstance(places.shape[0], int):
        fits = fits and places.shape[0] == size
    if not fits or places.ndim > 1:
        raise ShapeError(
            f"gradient: axis {axis} of {f.type} with places {places.type}",
            source=current_source(),
            fix=f"an axis has {order + 1} entries or more, and as many places, if not a number",
        )
    if places.ndim == 0:
        distance: Any = places.astype(f.dtype) if isinstance(width, Tensor) else width
        inner = (row[..., 2:] - row[..., :-2]) / (distance * 2)
        before = after = distance
        first = last = distance
    else:
        steps = BUILDER.diff(places.astype(f.dtype))
        before, after = steps[:-1], steps[1:]
        inner = (
            row[..., 2:] * (before / (after * (before + after)))
            + row[..., 1:-1] * ((after - before) / (before * after))
            - row[..., :-2] * (after / (before * (before + after)))
        )
        first, last = steps[0], steps[-1]
        before, after = (steps[1], steps[-2]) if order == 2 else (first, last)
    if order == 1:
        start, end = (row[..., 1] - row[..., 0]) / first, (row[..., -1] - row[..., -2]) / last
    else:
        start = _end([row[..., k] for k in (0, 1, 2)], first, before)
        end = -_end([row[..., k] for k in (-1, -2, -3)], last, after)
    ends = [BUILDER.expand_dims(value, -1) for value in (start, end)]
    whole = BUILDER.concat([ends[0], inner, ends[1]], axis=-1)
    if whole.shape[-1] != size:
        whole = whole[..., :size]
    return BUILDER.moveaxis(whole, -1, axis)


def _end(values: Sequence[Tensor], near: Any, far: Any) -> Tensor:
    """The slope at the first of three values, whose distances are near and far."""
    both = near + far
    zero = values[0] * (-(near + both) / (near * both))
    result: Tensor = zero + values[1] * (both / (near * far)) - values[2] * (near / (far * both))
    return result
