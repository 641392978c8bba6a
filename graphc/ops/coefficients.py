"""Polynomials as vectors of coefficients, the highest power first: numpy's polyfit and its kin."""

from typing import Any

import numpy as np

from graphc.errors import ParameterError, ShapeError
from graphc.ir.registry import BUILDER, public
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.definition import floating, one_input, promote_inputs
from graphc.shapes import whole_number

__all__ = ["polyadd", "polyder", "polyfit", "polyint", "polymul", "polysub", "roots"]


def _vector(name: str, x: Any) -> Tensor:
    return _checked(name, one_input(name, x))


def _checked(name: str, tensor: Tensor) -> Tensor:
    if tensor.ndim != 1:
        raise ShapeError(
            f"{name}: coefficients {tensor.type}",
            source=current_source(),
            fix="give a vector, the highest power first",
        )
    return tensor


def _whole(name: str, what: str, value: Any) -> int:
    number = whole_number(value)
    if number is None or number < 0:
        raise ParameterError(
            f"{name}: {what} is {value!r:.40}",
            source=current_source(),
            fix="use a whole number >= 0",
        )
    return number


def _aligned(name: str, x1: Any, x2: Any) -> tuple[Tensor, Tensor]:
    """Both with as many coefficients: zeros before those of the shorter one."""
    first, second = (_checked(name, tensor) for tensor in promote_inputs(name, x1, x2))
    sizes = [one.shape[0] for one in (first, second)]
    if not all(isinstance(size, int) for size in sizes) and sizes[0] != sizes[1]:
        raise ShapeError(
            f"{name}: {first.type} and {second.type}",
            source=current_source(),
            fix="give vectors of known lengths, or of one symbolic length",
        )
    longest = max(size for size in sizes if isinstance(size, int)) if sizes[0] != sizes[1] else None
    if longest is None:
        return first, second
    return (
        BUILDER.pad(first, [(longest - first.shape[0], 0)]),
        BUILDER.pad(second, [(longest - second.shape[0], 0)]),
    )


@public
def polyadd(p: Any, q: Any) -> Tensor:
    """The sum of two polynomials: [m], [n] -> [max(m, n)]. Numeric dtypes. ShapeError for other
    axes, and for symbolic lengths that differ."""
    first, second = _aligned("polyadd", p, q)
    return first + second


@public
def polysub(p: Any, q: Any) -> Tensor:
    """The difference of two polynomials; see polyadd."""
    first, second = _aligned("polysub", p, q)
    return first - second


@public
def polymul(p: Any, q: Any) -> Tensor:
    """The product of two polynomials: [m], [n] -> [m + n - 1]. Numeric dtypes."""
    return BUILDER.convolve(_vector("polymul", p), _vector("polymul", q))


@public
def polyder(p: Any, m: int = 1) -> Tensor:
    """The m-th derivative of a polynomial: [n] -> [n - m], at least [0]."""
    result = _vector("polyder", p)
    for _ in range(_whole("polyder", "m", m)):
        count = result.shape[0]
        powers = BUILDER.flip(BUILDER.arange(count)).astype(result.dtype)
        result = (result * powers)[:-1]
    return result


@public
def polyint(p: Any, m: int = 1) -> Tensor:
    """The m-th integral of a polynomial, 0 at 0: [n] -> [n + m]; integers become float32."""
    result = floating(_vector("polyint", p))
    for _ in range(_whole("polyint", "m", m)):
        powers = BUILDER.flip(BUILDER.arange(result.shape[0]) + 1).astype(result.dtype)
        result = BUILDER.pad(result / powers, [(0, 1)])
    return result


@public
def roots(p: Any) -> Tensor:
    """The roots of a polynomial: [n] -> complex [n - 1], the eigenvalues of its companion matrix.

    p: the highest power first, floats or complex numbers; integers become float32. The first one
    must not be 0: numpy leaves zeros there out, and a size does not depend on values here. In the
    order of LAPACK. ShapeError for other axes and for fewer than two coefficients.
    """
    return BUILDER.eigvals(companion(p))


@public
def companion(a: Any) -> Tensor:
    """The matrix whose eigenvalues are the roots of a polynomial: [n] -> [n - 1, n - 1];
    scipy.linalg.companion.

    a: coefficients, highest power first, of which the first is not 0; floats or complex numbers,
    integers become float32. ShapeError for other axes and for fewer than two coefficients.
    """
    given = floating(_vector("companion", a))
    if isinstance(given.shape[0], int) and given.shape[0] < 2:
        raise ShapeError(
            f"companion: got {given.type}",
            source=current_source(),
            fix="give at least two coefficients, the highest power first",
        )
    count = given.shape[0] - 1
    row = BUILDER.negative(given[1:] / given[0])
    below = BUILDER.eye(count, k=-1, dtype=row.dtype)
    is_first = BUILDER.equal(BUILDER.arange(count), 0)
    return BUILDER.where(BUILDER.expand_dims(is_first, 1), row, below)


@public
def polyfit(x: Any, y: Any, deg: int, rcond: Any = None, *, w: Any = None) -> Tensor:
    """The polynomial of degree deg that comes nearest to y at the places x, in least squares:
    coefficients [deg + 1], the highest power first; numpy.polyfit.

    x: [n]. y: [n], or [n, k] for k of them at once: [deg + 1, k]. w: [n], weights of the
    differences (not of their squares). rcond: see `linalg.lstsq`, whose columns have length 1 here;
    n times the precision by default. float32 or float64; integers and bool become float32.
    Gradients flow to x, y and w. Raises ShapeError for other axes, ParameterError for another deg.
    """
    degree = _whole("polyfit", "deg", deg)
    given = (x, y) if w is None else (x, y, w)
    place, value, *weight = (floating(tensor) for tensor in promote_inputs("polyfit", *given))
    if place.ndim != 1 or value.ndim not in (1, 2) or any(one.ndim != 1 for one in weight):
        raise ShapeError(
            f"polyfit: x {place.type}, y {value.type}",
            details=[f"w {weight[0].type}"] if weight else [],
            source=current_source(),
            fix="x and w have one axis, y has one or two, all of them n long",
        )
    columns = BUILDER.vander(place, degree + 1)
    if weight:
        columns = columns * BUILDER.expand_dims(weight[0], 1)
        value = value * (weight[0] if value.ndim == 1 else BUILDER.expand_dims(weight[0], 1))
    scale = BUILDER.sqrt(BUILDER.sum(BUILDER.square(columns), axis=0))
    scale = BUILDER.where(BUILDER.equal(scale, 0), 1, scale)
    precision = BUILDER.as_tensor(place.shape[0], place.dtype) * float(np.finfo(place.dtype).eps)
    limit = precision if rcond is None else rcond
    found: Tensor = BUILDER.lstsq(columns / scale, value, rtol=limit)[0]
    return found / (scale if value.ndim == 1 else BUILDER.expand_dims(scale, 1))
