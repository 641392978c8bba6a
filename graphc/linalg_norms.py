"""Norms and condition numbers, as `gc.linalg.norm`, `gc.linalg.cond` and more."""

import math
from typing import Any, Literal

import numpy as np

from graphc.dtypes import is_complex, real_dtype
from graphc.errors import ParameterError, ShapeError
from graphc.ir.arguments import AxisLike, checked_axes
from graphc.ir.leaf import as_tensor
from graphc.ir.registry import BUILDER
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.definition import floating, one_input, widened
from graphc.ops.matrices import matrix_input
from graphc.ops.solving import inv
from graphc.ops.spectra import svdvals
from graphc.surface import surface

Order = float | Literal["fro", "nuc"] | None


@surface
def vector_norm(
    x: Any,
    /,
    *,
    axis: AxisLike | None = None,
    keepdims: bool = False,
    ord: float = 2,
) -> Tensor:
    """The norm of the elements along `axis`, or of all: sum(abs(x) ** ord) ** (1 / ord).

    ord: any number; inf and -inf for the largest and the smallest, 0 for how many are not 0.
    x: floats or complex; integers and bool become float32. Where all elements are 0, the gradient
    for ord = 2 is 0. Raises ShapeError for axes that x does not have, ParameterError for another
    ord.
    """
    tensor = floating(one_input("vector_norm", x))
    axes = None if axis is None else checked_axes("vector_norm", axis, tensor.ndim)
    found = _norm(widened(tensor), _order(ord), {"axis": axes, "keepdims": keepdims})
    return found.astype(real_dtype(tensor.dtype))


def _norm(tensor: Tensor, ord: float, options: dict[str, Any]) -> Tensor:
    size = BUILDER.abs(tensor) if ord != 2 or is_complex(tensor.dtype) else tensor
    if ord == 2:
        return _root(BUILDER.sum(BUILDER.square(size), **options))
    if ord == math.inf:
        return BUILDER.max(size, **options)
    if ord == -math.inf:
        return BUILDER.min(size, **options)
    if ord == 0:
        return BUILDER.sum(BUILDER.not_equal(size, 0).astype(size.dtype), **options)
    if ord == 1:
        return BUILDER.sum(size, **options)
    return BUILDER.pow(BUILDER.sum(BUILDER.pow(size, ord), **options), 1 / ord)


def _order(ord: Any) -> float:
    """The order of a norm of vectors as a number of Python."""
    if isinstance(ord, np.ndarray) and not ord.ndim:
        ord = ord.item()
    try:
        if isinstance(ord, int | float | np.integer | np.floating):
            return float(ord)
    except OverflowError:  # beyond all floats
        pass
    raise ParameterError(
        f"vector_norm: ord is {ord!r:.40}",
        source=current_source(),
        fix="give a number, such as 1, 2 or float('inf')",
    )


def _root(total: Tensor) -> Tensor:
    """The square root, with a derivative of 0 at 0."""
    is_zero = BUILDER.equal(total, 0)
    return BUILDER.where(is_zero, 0, BUILDER.sqrt(BUILDER.where(is_zero, 1, total)))


@surface
def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Order = "fro") -> Tensor:
    """The norm of matrices: [..., m, n] -> [...], or [..., 1, 1] with keepdims.

    ord: "fro" the root of the sum of squares, "nuc" the sum of the singular values, 2 and -2 the
    largest and the smallest singular value, 1 and -1 the largest and smallest sum of a column's
    absolute values, inf and -inf of a row's. float32 or float64; integers and bool become
    float32; complex numbers where no singular values are needed. Raises ShapeError, DTypeError,
    ParameterError for another ord.
    """
    tensor = as_tensor(x)
    if is_complex(tensor.dtype) and ord not in ("nuc", 2, -2):
        tensor = BUILDER.abs(tensor)
    tensor = matrix_input("matrix_norm", tensor)
    both = (-2, -1)
    if ord is None or ord == "fro":
        return vector_norm(tensor, axis=both, keepdims=keepdims)
    if ord == "nuc" or ord in (2, -2):
        s = svdvals(tensor)
        reduce = {"nuc": BUILDER.sum, 2: BUILDER.max, -2: BUILDER.min}[ord]
        value = reduce(s, axis=-1)
        return BUILDER.expand_dims(BUILDER.expand_dims(value, -1), -1) if keepdims else value
    if ord in (1, -1, math.inf, -math.inf):
        summed, other = (-2, -1) if ord in (1, -1) else (-1, -2)
        sums = BUILDER.sum(BUILDER.abs(tensor), axis=summed, keepdims=True)
        extreme = BUILDER.max if ord > 0 else BUILDER.min
        value = extreme(sums, axis=other, keepdims=True)
        return value if keepdims else BUILDER.squeeze(value, axis=both)
    raise ParameterError(
        f"matrix_norm: ord is {ord!r:.40}",
        source=current_source(),
        fix='"fro", "nuc", 1, -1, 2, -2, inf or -inf',
    )


@surface
def norm(
    x: Any,
    ord: Order = None,
    axis: AxisLike | None = None,
    keepdims: bool = False,
) -> Tensor:
    """numpy's norm: of a vector along one axis, of a matrix along two, of all elements by default.

    Without `axis`, an `ord` asks for a tensor of one or two axes. See vector_norm and matrix_norm.
    """
    tensor = floating(one_input("norm", x))
    if axis is None and ord is None:
        return vector_norm(tensor, keepdims=keepdims)
    axes = tuple(range(tensor.ndim)) if axis is None else checked_axes("norm", axis, tensor.ndim)
    if len(axes) == 1:
        return vector_norm(tensor, axis=axes, keepdims=keepdims, ord=2 if ord is None else ord)  # type: ignore[arg-type]
    if len(axes) != 2:
        raise ShapeError(
            f"norm: {len(axes)} axes of {tensor.type}",
            source=current_source(),
            fix="a norm goes along one axis, two axes, or all of them without ord",
        )
    moved = BUILDER.moveaxis(tensor, axes, (-2, -1))
    result = matrix_norm(moved, keepdims=keepdims, ord=ord)
    return BUILDER.moveaxis(result, (-2, -1), axes) if keepdims else result


@surface
def cond(x: Any, p: Order = None) -> Tensor:
    """The condition number of matrices: norm(x, p) * norm(inv(x), p); inf of zeros.

    p: None or 2 for the largest singular value divided by the smallest, of matrices [..., m, n]; -2
    for the inverse of that; else an ord of `matrix_norm`, of square matrices, where a singular one
    raises LinearAlgebraError (E406). Raises ShapeError, DTypeError, ParameterError for another p.
    """
    tensor = matrix_input("cond", x)
    if p is None or p in (2, -2):
        values = svdvals(tensor)
        largest, smallest = BUILDER.max(values, axis=-1), BUILDER.min(values, axis=-1)
        ratio = BUILDER.divide(smallest, largest) if p == -2 else BUILDER.divide(largest, smallest)
    else:
        ratio = matrix_norm(tensor, ord=p) * matrix_norm(inv(tensor), ord=p)
    is_bad = BUILDER.any(BUILDER.isnan(tensor), axis=(-2, -1))
    return BUILDER.where(BUILDER.isnan(ratio) & ~is_bad, math.inf, ratio)
