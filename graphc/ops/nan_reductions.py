"""Reductions that take no notice of NaN: what is NaN does not count and has no gradient."""

import math
from typing import Any

from graphc.dtypes import is_complex, is_inexact, real_dtype
from graphc.ir.arguments import AxisLike, checked_number
from graphc.ir.registry import BUILDER, public
from graphc.ir.tensor import Tensor
from graphc.ops.definition import ANY_REAL, REAL, floating, one_input, widened

__all__ = [
    "nanargmax",
    "nanargmin",
    "nanmax",
    "nanmean",
    "nanmin",
    "nanprod",
    "nanstd",
    "nansum",
    "nanvar",
]


def _replaced(name: str, x: Any, fill_value: float) -> Tensor:
    """x with a value in place of NaN that changes nothing; integers and bool have no NaN."""
    tensor = one_input(name, x)
    if not is_inexact(tensor.dtype):
        return tensor
    return BUILDER.where(BUILDER.isnan(tensor), fill_value, tensor)


# --- sums and products ---------------------------------------------------------------------------


@public
def nansum(
    x: Any, axis: AxisLike | None = None, keepdims: bool = False, *, dtype: Any = None
) -> Tensor:
    """The sum of the elements that are not NaN over `axis`; 0 where there are none.

    Arguments, dtypes and errors are those of `sum`.
    """
    return BUILDER.sum(_replaced("nansum", x, 0), axis, keepdims, dtype=dtype)


@public
def nanprod(
    x: Any, axis: AxisLike | None = None, keepdims: bool = False, *, dtype: Any = None
) -> Tensor:
    """The product of the elements that are not NaN over `axis`; 1 where there are none.

    Arguments, dtypes and errors are those of `prod`.
    """
    return BUILDER.prod(_replaced("nanprod", x, 1), axis, keepdims, dtype=dtype)


# --- means and variances -------------------------------------------------------------------------


def _count(x: Tensor, axis: AxisLike | None, keepdims: bool) -> Tensor:
    """How many elements are not NaN: a number of the dtype of x."""
    counted = BUILDER.logical_not(BUILDER.isnan(x))
    count = BUILDER.sum(counted, axis, keepdims)
    return count.astype(real_dtype(x.dtype))


def _square(x: Tensor) -> Tensor:
    """|x|^2"""
    if not is_complex(x.dtype):
        return BUILDER.square(x)
    return BUILDER.add(BUILDER.square(BUILDER.real(x)), BUILDER.square(BUILDER.imag(x)))


@public
def nanmean(x: Any, axis: AxisLike | None = None, keepdims: bool = False) -> Tensor:
    """The mean of the elements that are not NaN over `axis`; NaN where there are none.

    x: any shape and dtype; integers and bool become float32. axis: an int, several, or None for
    all. keepdims: reduced axes stay, with size 1. Raises ShapeError for axes that x does not have.
    """
    tensor = one_input("nanmean", x)
    if not is_inexact(tensor.dtype):
        return BUILDER.mean(tensor, axis, keepdims)
    values = widened(tensor)
    total = BUILDER.sum(_replaced("nanmean", values, 0), axis, keepdims)
    return BUILDER.divide(total, _count(values, axis, keepdims)).astype(tensor.dtype)


@public
def nanvar(
    x: Any, axis: AxisLike | None = None, keepdims: bool = False, *, correction: float = 0.0
) -> Tensor:
    """The variance of the n elements that are not NaN over `axis`: sum((x - mean)^2) / (n - c).

    Arguments, dtypes and errors are those of `var`; c is the correction. NaN where n <= c, as in
    numpy.
    """
    tensor = one_input("nanvar", x)
    if not is_inexact(tensor.dtype):
        return BUILDER.var(tensor, axis, keepdims, correction=correction)
    values = widened(tensor)
    deviation = values - nanmean(values, axis, keepdims=True)
    squares = _square(BUILDER.where(BUILDER.isnan(values), 0, deviation))
    freedom = _count(values, axis, keepdims) - checked_number("nanvar", "correction", correction)
    divisor = BUILDER.where(freedom > 0, freedom, math.nan)
    variance = BUILDER.divide(BUILDER.sum(squares, axis, keepdims), divisor)
    return variance.astype(real_dtype(tensor.dtype))


@public
def nanstd(
    x: Any, axis: AxisLike | None = None, keepdims: bool = False, *, correction: float = 0.0
) -> Tensor:
    """sqrt(nanvar(x, axis, keepdims, correction=correction)).

    The gradient is not finite where all elements that are not NaN are equal.
    """
    tensor = floating(one_input("nanstd", x))
    variance = nanvar(widened(tensor), axis, keepdims, correction=correction)
    return BUILDER.sqrt(variance).astype(real_dtype(tensor.dtype))


# --- extrema -------------------------------------------------------------------------------------


def _extremum(name: str, x: Any, axis: AxisLike | None, keepdims: bool, lowest: float) -> Tensor:
    tensor = one_input(name, x, REAL)
    reduce = BUILDER.max if name == "nanmax" else BUILDER.min
    found = reduce(_replaced(name, tensor, lowest), axis, keepdims)
    if not is_inexact(tensor.dtype):
        return found
    return BUILDER.where(BUILDER.all(BUILDER.isnan(tensor), axis, keepdims), math.nan, found)


@public
def nanmax(x: Any, axis: AxisLike | None = None, keepdims: bool = False) -> Tensor:
    """The largest of the elements that are not NaN over `axis`; NaN where all are.

    Arguments, dtypes and errors are those of `max`: an empty axis is an error.
    """
    return _extremum("nanmax", x, axis, keepdims, -math.inf)


@public
def nanmin(x: Any, axis: AxisLike | None = None, keepdims: bool = False) -> Tensor:
    """The smallest of the elements that are not NaN over `axis`; NaN where all are.

    Arguments, dtypes and errors are those of `min`: an empty axis is an error.
    """
    return _extremum("nanmin", x, axis, keepdims, math.inf)


def _position(name: str, x: Any, axis: int | None, keepdims: bool, lowest: float) -> Tensor:
    tensor = one_input(name, x, ANY_REAL)
    find = BUILDER.argmax if name == "nanargmax" else BUILDER.argmin
    found = find(_replaced(name, tensor, lowest), axis, keepdims)
    if not is_inexact(tensor.dtype):
        return found
    return BUILDER.where(BUILDER.all(BUILDER.isnan(tensor), axis, keepdims), -1, found)


@public
def nanargmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Where the largest element not NaN is along `axis`, or in x flattened for None: int64.

    -1 where all are NaN (numpy raises an error there). As in numpy, a NaN that stands before
    nothing but -inf and NaN is found in place of -inf. Arguments and errors are those of `argmax`.
    """
    return _position("nanargmax", x, axis, keepdims, -math.inf)


@public
def nanargmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Where the smallest element not NaN is along `axis`, or in x flattened for None: int64.

    -1 where all are NaN (numpy raises an error there). As in numpy, a NaN that stands before
    nothing but inf and NaN is found in place of inf. Arguments and errors are those of `argmin`.
    """
    return _position("nanargmin", x, axis, keepdims, math.inf)
