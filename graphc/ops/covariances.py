"""Weighted means, and how variables vary together."""

import builtins
from typing import Any

import numpy as np

from graphc.dtypes import is_complex, real_dtype
from graphc.errors import ShapeError
from graphc.ir.arguments import AxisLike, checked_axes, checked_number
from graphc.ir.leaf import as_tensor
from graphc.ir.registry import BUILDER, public
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.definition import floating, promote_inputs, widened
from graphc.shapes import Dim

__all__ = ["average", "corrcoef", "cov"]


@public
def average(
    x: Any, axis: AxisLike | None = None, weights: Any = None, keepdims: bool = False
) -> Tensor:
    """The weighted mean over `axis`: sum(x weights) / sum(weights); without weights the mean.

    x: any shape and dtype; integers and bool become float32. axis: an int, several, or None for
    all. weights: the shape of x, or the sizes of the axes that are given, in their order. keepdims:
    reduced axes stay, with size 1. NaN or infinite where the weights add up to 0 (numpy raises an
    error). Raises ShapeError for other weights, and for axes that x does not have.
    """
    if weights is None:
        return BUILDER.mean(x, axis, keepdims)
    tensor, weighing = (floating(value) for value in promote_inputs("average", x, weights))
    axes = checked_axes("average", axis, tensor.ndim)
    weighing = _aligned(tensor, weighing, axes, axis is not None)
    dtype = tensor.dtype
    tensor, weighing = widened(tensor), widened(weighing)
    total = BUILDER.sum(weighing, axes, keepdims)
    return BUILDER.divide(BUILDER.sum(tensor * weighing, axes, keepdims), total).astype(dtype)


def _aligned(x: Tensor, weights: Tensor, axes: tuple[int, ...], given: bool) -> Tensor:
    """Weights in the shape of x."""
    if weights.ndim != x.ndim:
        if not given or weights.ndim != len(axes):
            raise _misfit(x, weights)
        weights = BUILDER.permute_dims(weights, tuple(int(k) for k in np.argsort(axes)))
        others = tuple(axis for axis in builtins.range(x.ndim) if axis not in axes)
        weights = BUILDER.expand_dims(weights, others)
        axes_seen = axes
    else:
        axes_seen = tuple(builtins.range(x.ndim))
    for axis in axes_seen:
        one, other = weights.shape[axis], x.shape[axis]
        if one != other and isinstance(one, int) and isinstance(other, int):
            raise _misfit(x, weights)
    return BUILDER.broadcast_to(weights, x.shape)


def _misfit(x: Tensor, weights: Tensor) -> ShapeError:
    return ShapeError(
        f"average: weights {weights.type} for x {x.type}",
        source=current_source(),
        fix="give weights of the shape of x, or axis= and a weight for each entry along it",
    )


# --- covariance ----------------------------------------------------------------------------------


def _centred(name: str, x: Tensor, rowvar: bool) -> Tensor:
    """Deviations from the means: variables in rows, or in columns."""
    if x.ndim > 2:
        raise ShapeError(
            f"{name}: got {x.type}, allowed are at most two axes",
            source=current_source(),
            fix="give variables in rows and observations in columns; gc.vmap goes over a stack",
        )
    if x.ndim < 2:
        x = BUILDER.reshape(x, (1, -1) if rowvar else (-1, 1))
    deviations: Tensor = x - BUILDER.mean(x, int(rowvar), keepdims=True)
    return deviations


def _products(a: Tensor, b: Tensor, rowvar: bool) -> Tensor:
    """sum over observations of a_i conj(b_j)"""
    other = BUILDER.conj(b) if is_complex(b.dtype) else b
    counts = (a.shape[int(rowvar)], b.shape[int(rowvar)])
    single = a.shape[int(not rowvar)] == b.shape[int(not rowvar)] == 1
    if single and (counts[0] == counts[1] or 1 not in counts):  # nothing is stored on the way
        return BUILDER.reshape(BUILDER.sum(a * other), (1, 1))
    return BUILDER.matmul(a, other, transpose_a=not rowvar, transpose_b=rowvar)


def _covariance(name: str, x: Any, y: Any, rowvar: bool, correction: float) -> Tensor:
    values = map(floating, promote_inputs(name, *((x,) if y is None else (x, y))))
    tables = [_centred(name, widened(value), rowvar) for value in values]
    table = tables[0]
    count = table.shape[int(rowvar)]
    found = _products(table, table, rowvar)
    if len(tables) > 1:
        more = tables[1]
        across = _products(table, more, rowvar)
        mirrored = BUILDER.conj(BUILDER.matrix_transpose(across))
        below = BUILDER.concat([mirrored, _products(more, more, rowvar)], axis=1)
        found = BUILDER.concat([BUILDER.concat([found, across], axis=1), below], axis=0)
    if not isinstance(count, Dim):
        return found / max(count - correction, 0.0)
    observations = as_tensor(count, real_dtype(table.dtype))
    return found / BUILDER.maximum(observations - correction, 0)


def _squeezed(matrix: Tensor) -> Tensor:
    """The variance of a single variable is a scalar."""
    return BUILDER.reshape(matrix, ()) if matrix.shape[0] == 1 else matrix


@public
def cov(x: Any, y: Any = None, rowvar: bool = True, *, correction: float = 1.0) -> Tensor:
    """The covariances of variables: mean of (x_i - mean x_i) conj(x_j - mean x_j).

    x: one variable (one axis), or one in each row; integers and bool become float32. y: more
    variables of as many observations, put below x. rowvar: False if each column is a variable.
    correction: sums are divided by the number of observations less this (ddof of numpy: 1 for the
    unbiased estimate). Result: [variables, variables]; a scalar for a single one.
    Raises ShapeError for more than two axes, and for numbers of observations that differ.
    """
    number = checked_number("cov", "correction", correction)
    return _squeezed(_covariance("cov", x, y, rowvar, number))


@public
def corrcoef(x: Any, y: Any = None, rowvar: bool = True) -> Tensor:
    """Pearson's correlations of variables: their covariances divided by their deviations.

    Arguments and errors are those of `cov`. Rounding does not lead out of [-1, 1]; NaN for
    variables that do not vary.
    """
    matrix = _covariance("corrcoef", x, y, rowvar, 0.0)
    deviation = BUILDER.sqrt(BUILDER.real(BUILDER.diagonal(matrix)))
    found = matrix / BUILDER.expand_dims(deviation, 1) / deviation
    if not is_complex(found.dtype):
        return _squeezed(BUILDER.clip(found, -1, 1))
    parts = (BUILDER.real(found), BUILDER.imag(found))
    return _squeezed(BUILDER.complex(*(BUILDER.clip(part, -1, 1) for part in parts)))
