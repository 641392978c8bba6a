"""Rows that belong together, by number: sums, products, means and extrema of segments."""

from typing import Any

from graphc.dtypes import highest, lowest
from graphc.errors import ShapeError
from graphc.ir.arguments import checked_size
from graphc.ir.indices import checked_indices
from graphc.ir.registry import BUILDER, public
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.definition import NUMERIC, REAL, Accepts, floating, one_input, widened
from graphc.shapes import Size

__all__ = ["segment_max", "segment_mean", "segment_min", "segment_prod", "segment_sum"]


@public
def segment_sum(x: Any, segment_ids: Any, num_segments: Size) -> Tensor:
    """result[k] = the sum of all rows x[j] with segment_ids[j] = k, in order of j; 0 where none is.

    x: numbers, its first axes those of segment_ids. segment_ids: integers in any order, a negative
    one counts from the end. num_segments: a size, symbolic ones too. Result: (num_segments, *rest),
    dtype of x; halves are summed in float32. It is what an aggregation of messages along the edges
    of a graph computes: `segment_sum(h[senders], receivers, nodes)`.
    ShapeError where x has not the axes of segment_ids; IndexOutOfRange at the call for an id that
    is num_segments or more.
    """
    values, ids, count = _checked("segment_sum", x, segment_ids, num_segments, NUMERIC)
    return _sum(values, ids, count)


@public
def segment_mean(x: Any, segment_ids: Any, num_segments: Size) -> Tensor:
    """result[k] = the mean of all rows x[j] with segment_ids[j] = k; 0 where none is.

    Arguments and errors as for segment_sum; integers give the default float.
    """
    values, ids, count = _checked("segment_mean", x, segment_ids, num_segments, NUMERIC)
    values = floating(values)
    wide = widened(values)
    ones = BUILDER.broadcast_to(BUILDER.as_tensor(1, wide.dtype), ids.shape)
    rows = BUILDER.maximum(_sum(BUILDER.real(ones), ids, count), 1)
    rest = range(1, values.ndim - ids.ndim + 1)
    mean: Tensor = _sum(wide, ids, count) / BUILDER.expand_dims(rows, tuple(rest))
    return mean.astype(values.dtype)


@public
def segment_prod(x: Any, segment_ids: Any, num_segments: Size) -> Tensor:
    """result[k] = the product of all rows x[j] with segment_ids[j] = k; 1 where none is.

    Arguments and errors as for segment_sum, but x is real.
    """
    values, ids, count = _checked("segment_prod", x, segment_ids, num_segments, REAL)
    wide = widened(values)
    product: Tensor = _rows(wide, ids, count, 1).at[ids].multiply(wide)
    return product.astype(values.dtype)


@public
def segment_max(x: Any, segment_ids: Any, num_segments: Size) -> Tensor:
    """result[k] = the largest of all rows x[j] with segment_ids[j] = k, element by element.

    Where there is none: -inf, or the least integer. Arguments and errors as for segment_sum,
    but x is real. NaN wins.
    """
    values, ids, count = _checked("segment_max", x, segment_ids, num_segments, REAL)
    found: Tensor = _rows(values, ids, count, lowest(values.dtype)).at[ids].max(values)
    return found


@public
def segment_min(x: Any, segment_ids: Any, num_segments: Size) -> Tensor:
    """result[k] = the smallest of all rows x[j] with segment_ids[j] = k, element by element.

    Where there is none: inf, or the largest integer. Arguments and errors as for segment_sum,
    but x is real. NaN wins.
    """
    values, ids, count = _checked("segment_min", x, segment_ids, num_segments, REAL)
    found: Tensor = _rows(values, ids, count, highest(values.dtype)).at[ids].min(values)
    return found


def _checked(
    name: str, x: Any, segment_ids: Any, num_segments: Size, allowed: Accepts
) -> tuple[Tensor, Tensor, Size]:
    values = one_input(name, x, allowed)
    count = checked_size(name, num_segments)
    ids = checked_indices(f"segment_ids of {name}", segment_ids, 0, count)
    first = zip(values.shape, ids.shape, strict=False)
    known = [(a, b) for a, b in first if isinstance(a, int) and isinstance(b, int)]
    if ids.ndim == 0 or values.ndim < ids.ndim or any(a != b for a, b in known):
        raise ShapeError(
            f"{name}: segment_ids {ids.type} for x {values.type}",
            source=current_source(),
            fix="give a segment for each row of x: segment_ids has the first axes of x",
        )
    return values, ids, count


def _sum(values: Tensor, ids: Tensor, count: Size) -> Tensor:
    total: Tensor = BUILDER.scatter_add(ids, widened(values), 0, count)
    return total.astype(values.dtype)


def _rows(values: Tensor, ids: Tensor, count: Size, start: float) -> Any:
    """What every segment begins with."""
    return BUILDER.full((count, *values.shape[ids.ndim :]), start, dtype=values.dtype)
