"""Quantiles and medians: numbers between the elements of a row in order.

The position q (n - 1) is that of numpy's methods of these names (Hyndman and Fan 1996, definition
7, for "linear").
"""

import math
from typing import Any, Literal

import numpy as np

from graphc.dtypes import float32, float64, int64, is_floating, is_half
from graphc.errors import DTypeError, ParameterError, ShapeError
from graphc.ir.arguments import AxisLike, checked_axes
from graphc.ir.registry import BUILDER, public
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.definition import ANY_REAL, floating, one_input
from graphc.shapes import Shape, Size, reduced_shape, size_product

__all__ = ["median", "nanmedian", "nanquantile", "percentile", "quantile"]

Method = Literal["linear", "lower", "higher", "nearest", "midpoint"]
METHODS = ("linear", "lower", "higher", "nearest", "midpoint")


@public
def quantile(
    x: Any,
    q: Any,
    axis: AxisLike | None = None,
    keepdims: bool = False,
    *,
    method: Method = "linear",
) -> Tensor:
    """The number below which the share q of the elements over `axis` lies; NaN if one is NaN.

    x: any shape, real dtypes and bool. q: in [0, 1], a number or an array of any shape; tensors
    are checked at the call. axis: an int, several, or None for all; not empty. keepdims:
    reduced axes stay, with size 1. method: what is taken where q (n - 1) is not whole: "linear" and
    "midpoint" lie between the two neighbours, "lower", "higher" and "nearest" are one of them.
    Result: the shape of q, then that of x without the axes; the dtype of x, but float32 for
    integers and bool between neighbours. Gradients go to the neighbours, and with "linear" to q.
    ParameterError for q outside [0, 1] (a tensor: AssertionFailed) and another method; ShapeError
    for axes that x does not have and for empty ones, at the call IndexOutOfRange.
    """
    return _quantile("quantile", x, q, axis, keepdims, method)


@public
def percentile(
    x: Any,
    q: Any,
    axis: AxisLike | None = None,
    keepdims: bool = False,
    *,
    method: Method = "linear",
) -> Tensor:
    """quantile(x, q / 100, axis, keepdims, method=method)."""
    return _quantile("percentile", x, q, axis, keepdims, method)


@public
def median(x: Any, axis: AxisLike | None = None, keepdims: bool = False) -> Tensor:
    """The element in the middle over `axis`, or the mean of the two: quantile(x, 0.5)."""
    return _quantile("median", x, 0.5, axis, keepdims, "linear")


@public
def nanquantile(
    x: Any,
    q: Any,
    axis: AxisLike | None = None,
    keepdims: bool = False,
    *,
    method: Method = "linear",
) -> Tensor:
    """`quantile` of the elements that are not NaN over `axis`; NaN where all are."""
    return _quantile("nanquantile", x, q, axis, keepdims, method, skips=True)


@public
def nanmedian(x: Any, axis: AxisLike | None = None, keepdims: bool = False) -> Tensor:
    """`median` of the elements that are not NaN over `axis`; NaN where all are."""
    return _quantile("nanmedian", x, 0.5, axis, keepdims, "linear", skips=True)


def _quantile(
    name: str,
    x: Any,
    q: Any,
    axis: AxisLike | None,
    keepdims: bool,
    method: str,
    skips: bool = False,
) -> Tensor:
    """skips: whether NaN does not count."""
    if method not in METHODS:
        raise ParameterError(
            f"{name}: method={method!r:.30}",
            details=[f"allowed: {', '.join(METHODS)}"],
            source=current_source(),
            fix='method="linear" is the default',
        )
    tensor = one_input(name, x, ANY_REAL)
    shares = _shares(name, q)
    axes = tuple(sorted(checked_axes(name, axis, tensor.ndim)))
    kept = reduced_shape(tensor.shape, axes, bool(keepdims))
    rows, place = _one_axis(tensor, axes)
    if rows.shape[place] == 0:
        raise ShapeError(
            f"{name}: nothing stands in the middle of no elements",
            details=[f"got {tensor.type}, axis {axis}"],
            source=current_source(),
            fix="give an axis with at least one element",
        )
    ordered = BUILDER.sort(rows, place)
    flat = BUILDER.reshape(shares, (-1,))
    found = _between(name, ordered, flat, place, method, skips)
    return BUILDER.reshape(BUILDER.moveaxis(found, place, 0), (*shares.shape, *kept))


def _shares(name: str, q: Any) -> Tensor:
    """q as a tensor of float32 or float64, with all its elements in [0, 1]; from percents too."""
    most = 100 if name == "percentile" else 1
    if isinstance(q, Tensor):
        q = floating(one_input(name, q, ANY_REAL))
        q = q / 100 if most == 100 else q
        q = q.astype(float32) if is_half(q.dtype) else q
        inside = (q >= 0) & (q <= 1)
        result: Tensor = BUILDER.assert_(q, inside, f"q of {name} is within its range", q)
        return result
    try:
        if np.asarray(q).dtype.kind in "SU":
            raise TypeError
        values = np.asarray(q, float64) / most
    except (TypeError, ValueError):
        raise DTypeError(
            f"{name}: q={q!r:.60} is no array of numbers",
            code="E214",
            source=current_source(),
            fix="give numbers from 0 to 1, or a tensor: gc.stack([...])",
        ) from None
    if not ((values >= 0) & (values <= 1)).all():
        raise ParameterError(
            f"{name}: q={(values * most).tolist()!r:.60} is not from 0 to {most}",
            source=current_source(),
            fix=f"q goes from 0 to {most}; gc.percentile takes percents, gc.quantile fractions",
        )
    return BUILDER.as_tensor(values)


def _one_axis(x: Tensor, axes: tuple[int, ...]) -> tuple[Tensor, int]:
    """x with the axes as one, and where that is."""
    if len(axes) == 1:
        return x, axes[0]
    kept: Shape = tuple(size for axis, size in enumerate(x.shape) if axis not in axes)
    count: Size = size_product([x.shape[axis] for axis in axes])
    moved = BUILDER.moveaxis(x, axes, range(len(kept), x.ndim))
    return BUILDER.reshape(moved, (*kept, count)), len(kept)


def _between(
    name: str, ordered: Tensor, shares: Tensor, axis: int, method: str, skips: bool
) -> Tensor:
    """For each share, of one axis, what stands at its position along the axis of ordered rows."""
    size = ordered.shape[axis]
    has_nan = is_floating(ordered.dtype)
    last: Any = size - 1
    if skips and has_nan:
        count = BUILDER.sum(~BUILDER.isnan(ordered), axis, keepdims=True)
        last = BUILDER.maximum(count - 1, 0)
        behind = (1,) * (ordered.ndim - axis - 1)
        position = BUILDER.reshape(shares, (-1, *behind)) * last.astype(shares.dtype)
    else:
        position = shares * BUILDER.as_tensor(last, shares.dtype)

    def at(place: Tensor) -> Tensor:
        index = BUILDER.minimum(place.astype(int64), last)
        pick = BUILDER.take_along_axis if index.ndim == ordered.ndim else BUILDER.take
        return pick(ordered, index, axis)

    if method in ("linear", "midpoint"):
        floor, ceiling = BUILDER.floor(position), BUILDER.ceil(position)
        found = _mean(at(floor), at(ceiling), position - floor, method, ordered.ndim, axis)
    else:
        rounding = {"lower": BUILDER.floor, "higher": BUILDER.ceil, "nearest": BUILDER.round}
        found = at(rounding[method](position))
    if skips or not has_nan:
        return found
    # NaN is last in order.
    worst = BUILDER.take(ordered, [-1], axis)
    return BUILDER.where(BUILDER.isnan(worst), math.nan, found)


def _mean(low: Tensor, high: Tensor, weight: Tensor, method: str, ndim: int, axis: int) -> Tensor:
    """low (1 - weight) + high weight; equal neighbours as they are, infinite ones too."""
    dtype = floating(low).dtype
    wide = float32 if is_half(dtype) else dtype
    low, high = low.astype(wide), high.astype(wide)
    if method == "midpoint":
        share: Any = 0.5
    else:
        share = weight.astype(wide)
        if share.ndim != ndim:
            share = BUILDER.reshape(share, (-1, *(1,) * (ndim - axis - 1)))
    between = low * (1 - share) + high * share
    return BUILDER.where(BUILDER.equal(low, high), low, between).astype(dtype)
