"""How often values occur: counts of integers, bins between edges, histograms."""

import builtins
import math
from typing import Any

import numpy as np

from graphc.dtypes import DType, float32, float64, int64, is_half, is_inexact, is_signed
from graphc.errors import ParameterError, ShapeError
from graphc.ir.arguments import checked_size
from graphc.ir.leaf import CONSTANT, as_tensor
from graphc.ir.registry import BUILDER, public
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.definition import ANY_REAL, INTEGRAL, floating, is_weak, one_input, promote_inputs
from graphc.shapes import Dim, Size, size_product, whole_number

__all__ = ["bincount", "digitize", "histogram", "histogram2d", "histogramdd"]


@public
def bincount(x: Any, weights: Any = None, *, length: Size | None = None) -> Tensor:
    """How often each of 0, 1, ..., length - 1 occurs in x; with weights, the sum of theirs.

    x: one axis, integers or bool, in [0, length). length: a size, symbolic ones too; it may be left
    out where x is a constant, and is then the largest value plus 1. weights: the shape of x.
    Result: int64; of float weights their dtype. The gradient goes to the weights.
    ShapeError for other axes, and where length is needed and not given; IndexOutOfRange at the call
    for a value that is length or more, AssertionFailed for a negative one.
    """
    values = one_input("bincount", x, INTEGRAL)
    if values.ndim != 1:
        raise ShapeError(
            f"bincount: got {values.type}, allowed is one axis",
            source=current_source(),
            fix="flatten it: gc.reshape(x, (-1,))",
        )
    values = values.astype(int64) if not is_signed(values.dtype) else values
    if length is None:
        length = _largest(values) + 1
    weighed = _weights("bincount", weights, values)
    totals = _totals(values, weighed, checked_size("bincount", length))
    return BUILDER.assert_(totals, values >= 0, "bincount counts no negative numbers")


def _largest(values: Tensor) -> int:
    if values.node.op is CONSTANT:
        return int(max(values.node.attrs["value"], default=-1))
    raise ShapeError(
        "bincount: the size of the result depends on values that are computed",
        source=current_source(),
        fix="give it: gc.bincount(x, length=...), one more than the largest value can be",
    )


def _weights(name: str, weights: Any, like: Tensor) -> Tensor:
    """What each element counts, in the shape of x; 1 by default."""
    if weights is None:
        return BUILDER.broadcast_to(as_tensor(1, int64), like.shape)
    tensor = as_tensor(weights)
    tensor = tensor if is_inexact(tensor.dtype) else tensor.astype(int64)
    sizes = zip(tensor.shape, like.shape, strict=False)
    known = [(a, b) for a, b in sizes if isinstance(a, int) and isinstance(b, int)]
    if tensor.ndim != like.ndim or any(a != b for a, b in known):
        raise ShapeError(
            f"{name}: weights {tensor.type} for x {like.type}",
            source=current_source(),
            fix="give a weight for each element of x",
        )
    return BUILDER.broadcast_to(tensor, like.shape)


def _totals(places: Tensor, weights: Tensor, length: Size) -> Tensor:
    """For each place the sum of the weights there. Halves are summed in float32."""
    wide = weights.astype(float32) if is_half(weights.dtype) else weights
    total: Tensor = BUILDER.scatter_add(places, wide, 0, length).astype(weights.dtype)
    return total


# --- between edges -------------------------------------------------------------------------------


def _edges(name: str, bins: Any) -> Tensor:
    """Edges of bins as a tensor of one axis."""
    tensor = one_input(name, bins, ANY_REAL)
    if tensor.ndim != 1:
        raise ShapeError(
            f"{name}: bins {tensor.type}",
            source=current_source(),
            fix="give the edges of the bins as an array of one axis, in order",
        )
    return tensor


def _rises(name: str, edges: Tensor, *, or_falls: bool = False) -> bool | None:
    """Whether constant edges go upwards; None for others, which are taken to be in order.

    ParameterError for edges that do not. or_falls: unless they go downwards.
    """
    if edges.node.op is not CONSTANT:
        return None
    steps = np.diff(edges.node.attrs["value"].astype(float64))
    rises = bool((steps >= 0).all())
    if not rises and not (or_falls and (steps <= 0).all()):
        raise ParameterError(
            f"{name}: the bins are not in order",
            source=current_source(),
            fix="sort them: np.sort(bins)",
        )
    return rises


@public
def digitize(x: Any, bins: Any, right: bool = False) -> Tensor:
    """The number of the bin of each element of x: how many edges are <= it; int64.

    x: any shape, real dtypes. bins: one axis, in order, upwards or downwards; downwards, the edges
    that are > it are counted. right: whether an element that is equal to an edge belongs below it.
    ShapeError where bins has not one axis; ParameterError for constant bins that are not in order:
    others are taken to be.
    """
    edges = _edges("digitize", bins)
    size = edges.shape[0]
    upwards: Any = _rises("digitize", edges, or_falls=True)
    side = "left" if right else "right"
    if upwards is True:
        return BUILDER.searchsorted(edges, x, side=side)
    row = BUILDER.flip(edges)
    if upwards is None:
        upwards = BUILDER.all(edges[1:] >= edges[:-1])
        row = BUILDER.where(upwards, edges, row)
    found = BUILDER.searchsorted(row, x, side=side)
    return BUILDER.where(upwards, found, size - found)


@public
def histogram(
    x: Any,
    bins: Any = 10,
    range: Any = None,
    *,
    weights: Any = None,
    density: bool = False,
) -> tuple[Tensor, Tensor]:
    """(counts, edges): how many elements of x lie in each bin, and the edges of the bins.

    x: any shape, real dtypes and bool. bins: how many, a size, symbolic ones too; or their edges,
    one axis, in order. A bin holds its lower edge, and the last one also its upper. range: (low,
    high) of the first and the last edge, by default the smallest and the largest element; 0 and 1
    where there are none, and half to either side where they are equal. weights: the shape of x;
    their sums take the place of counts. density: the counts divided by their sum and by the widths.
    Result: counts are int64, or of the dtype of float weights; found edges are of the dtype of x,
    float32 for integers, which are compared with them in float64. NaN lies in no bin.
    ParameterError for no bins, for constant edges that are not in order (others are taken to be),
    and for a range that ends below its start or is wider than the dtype holds; AssertionFailed at
    the call where the range is to be found and x holds NaN, an infinity, or numbers as far apart.
    """
    tensor = one_input("histogram", x, ANY_REAL)
    target = floating(tensor).dtype
    weighed = BUILDER.reshape(_weights("histogram", weights, tensor), (-1,))
    slot, count, edges, shown = _binned(tensor, bins, range)
    totals = BUILDER.getitem(_totals(slot, weighed, count + 1), slice(None, -1))
    if density:
        totals = totals if is_inexact(totals.dtype) else totals.astype(target)
        totals = totals / BUILDER.sum(totals) / BUILDER.diff(edges).astype(totals.dtype)
    return totals, shown


def _binned(tensor: Tensor, bins: Any, range: Any) -> tuple[Tensor, Size, Tensor, Tensor]:
    """The bin of each element, and one more for those in none; how many bins there are; their
    edges, exact and as they are shown."""
    target = floating(tensor).dtype
    flat = BUILDER.reshape(tensor.astype(_exact(tensor.dtype)), (-1,))
    if is_weak(bins) or whole_number(bins) is not None:
        count = _bin_count(bins)
        low, high = _range(flat, range)
        edges, place = _equal_bins(flat, low, high, count)
        shown = edges.astype(target)
    else:
        shown = _edges("histogram", bins)
        _rises("histogram", shown)
        flat, edges = promote_inputs("histogram", flat, shown)
        count = _bin_count(edges.shape[0] - 1)
        low, high = BUILDER.take(edges, 0), BUILDER.take(edges, -1)
        found = BUILDER.searchsorted(edges, flat, side="right") - 1
        place = BUILDER.minimum(found, count - 1)
    return BUILDER.where((flat >= low) & (flat <= high), place, count), count, edges, shown


@public
def histogramdd(
    sample: Any,
    bins: Any = 10,
    range: Any = None,
    *,
    weights: Any = None,
    density: bool = False,
) -> tuple[Tensor, list[Tensor]]:
    """(counts, edges) in bins of several coordinates: counts has an axis for each coordinate, and
    edges holds the edges along it.

    sample: [n, d], d a known number of coordinates, or a sequence of d vectors [n]; real dtypes and
    bool. bins, range: for all coordinates, or a sequence with one of each for every coordinate; see
    histogram. weights: [n]. density: the counts divided by their sum and by the sizes of the bins.
    Raises ShapeError for other axes, ParameterError as histogram does.
    """
    points = _coordinates(sample)
    several = isinstance(bins, list | tuple)
    if several and len(bins) != len(points):
        raise ParameterError(
            f"histogramdd: {len(bins)} bins for {len(points)} coordinates",
            source=current_source(),
            fix="give one number for all, or a list with bins for each coordinate",
        )
    ranges = [None] * len(points) if range is None else list(range)
    if len(ranges) != len(points):
        raise ParameterError(
            f"histogramdd: {len(ranges)} ranges for {len(points)} coordinates",
            source=current_source(),
            fix="give a pair (low, high) or None for each coordinate",
        )
    weighed = _weights("histogramdd", weights, points[0])
    found = [
        _binned(points[axis], bins[axis] if several else bins, ranges[axis])
        for axis in builtins.range(len(points))
    ]
    sizes = tuple(count for _, count, _, _ in found)
    place: Any = 0
    inside: Any = True
    for slot, count, _, _ in found:
        place, inside = place * count + slot, BUILDER.logical_and(inside, slot < count)
    total = size_product(sizes)
    slots = BUILDER.where(inside, place, total)
    totals = BUILDER.getitem(_totals(slots, weighed, total + 1), slice(None, -1))
    counts = BUILDER.reshape(totals, sizes)
    if density:
        target = floating(points[0]).dtype
        counts = counts if is_inexact(counts.dtype) else counts.astype(target)
        counts = counts / BUILDER.sum(counts)
        for axis, (_, _, edges, _) in enumerate(found):
            width = BUILDER.diff(edges).astype(counts.dtype)
            counts = counts / BUILDER.reshape(width, (-1, *(1,) * (len(sizes) - axis - 1)))
    return counts, [shown for _, _, _, shown in found]


def _coordinates(sample: Any) -> list[Tensor]:
    """One vector for each coordinate."""
    if isinstance(sample, list | tuple) and any(isinstance(one, Tensor) for one in sample):
        points = [one_input("histogramdd", one, ANY_REAL) for one in sample]
        if all(one.ndim == 1 for one in points):
            return points
        got = ", ".join(str(one.type) for one in points)
    else:
        whole = one_input("histogramdd", sample, ANY_REAL)
        if whole.ndim == 2 and isinstance(whole.shape[1], int) and whole.shape[1] > 0:
            return list(BUILDER.unstack(whole, axis=1))
        got = str(whole.type)
    raise ShapeError(
        f"histogramdd: sample is {got}",
        source=current_source(),
        fix="give [n, d] with a known d, or a list of d vectors",
    )


@public
def histogram2d(
    x: Any,
    y: Any,
    bins: Any = 10,
    range: Any = None,
    *,
    weights: Any = None,
    density: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """(counts, edges of x, edges of y): how many pairs lie in each rectangle, see histogramdd.

    x, y: [n]. bins: a number, a pair of numbers or of edges, or edges for both. Result: counts is
    [bins of x, bins of y].
    """
    pair = isinstance(bins, list | tuple) and len(bins) == 2
    both = [as_tensor(x), as_tensor(y)]
    counts, edges = histogramdd(
        both, bins if pair else [bins, bins], range, weights=weights, density=density
    )
    return counts, edges[0], edges[1]


def _exact(dtype: DType) -> DType:
    """What elements and edges are compared in: integers are not rounded."""
    if is_half(dtype):
        return float32
    return dtype if is_inexact(dtype) else float64


def _bin_count(bins: Any) -> Size:
    count = bins if isinstance(bins, Dim) else whole_number(bins)
    if count is None or (isinstance(count, int) and count < 1):
        raise ParameterError(
            f"histogram: {bins!r:.40} bins",
            source=current_source(),
            fix="give a whole number of bins, 1 or more, or an array of at least two edges",
        )
    return count


def _equal_bins(x: Tensor, low: Tensor, high: Tensor, count: Size) -> tuple[Tensor, Tensor]:
    """The edges of bins of equal width, as numpy computes them, and the bin of each element.

    A quotient finds the bin but for rounding; the edges around it decide.
    """
    bins = BUILDER.as_tensor(count, x.dtype)
    step = (high - low) / bins

    def edge(number: Tensor) -> Any:
        at_end = BUILDER.equal(number, bins)
        return BUILDER.where(at_end, high, number * step + low)

    inside = BUILDER.where((x >= low) & (x <= high), (x - low) / (high - low) * bins, 0)
    last = bins - 1
    guess = BUILDER.minimum(BUILDER.floor(inside), last)
    guess = BUILDER.where(x < edge(guess), guess - 1, guess)
    place = BUILDER.where((x >= edge(guess + 1)) & (guess < last), guess + 1, guess)
    numbers = BUILDER.arange(count + 1).astype(x.dtype)
    return edge(numbers), BUILDER.maximum(place, 0).astype(int64)


def _range(x: Tensor, given: Any) -> tuple[Tensor, Tensor]:
    """The first and the last edge."""
    if given is not None:
        pair = isinstance(given, list | tuple) and len(given) == 2
        low, high = given if pair else (0, -1)
        if is_weak(low) and is_weak(high) and not (low <= high and _is_finite(low, high, x.dtype)):
            raise ParameterError(
                f"histogram: range={given!r:.60}",
                source=current_source(),
                fix="give two finite numbers (low, high), low first",
            )
        low, high = as_tensor(low, x.dtype), as_tensor(high, x.dtype)
    else:
        low = BUILDER.min(x, initial=math.inf)
        high = BUILDER.max(x, initial=-math.inf)
        empty = low > high
        low, high = BUILDER.where(empty, 0, low), BUILDER.where(empty, 1, high)
        finite = BUILDER.isfinite(high - low)  # so are both
        low = BUILDER.assert_(low, finite, "histogram finds a finite range")
    half = BUILDER.where(BUILDER.equal(low, high), 0.5, 0)
    return low - half, high + half


def _is_finite(low: Any, high: Any, dtype: DType) -> bool:
    """Whether the numbers and what lies between them are in the range of the dtype."""
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            return bool(np.isfinite(dtype.type(high) - dtype.type(low)))
    except OverflowError:  # integers beyond all floats
        return False
