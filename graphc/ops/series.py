"""Series, a quadrature and exp of squares, which special functions share.

Stirling's series are for arguments from 8 on (M. Abramowitz and I. Stegun, "Handbook of
Mathematical Functions", 6.1.40 and 6.3.18).
"""

import math
from collections.abc import Callable
from functools import cache

import numpy as np

from graphc.dtypes import DType, float32, float64
from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor

BERNOULLI = (
    *(1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510),
    *(43867 / 798, -174611 / 330),
)
# Stirling's series for log(gamma(x)), times x, in 1/x^2; and that for log(x) - 1/2x - digamma(x)
_STIRLING = tuple(c / (2 * k * (2 * k - 1)) for k, c in enumerate(BERNOULLI, 1))
_LOG_SLOPE = (0.0, *(c / (2 * k) for k, c in enumerate(BERNOULLI, 1)))


def stirling(b: Builder, x: Tensor) -> Tensor:
    """log(gamma(x)) - ((x - 1/2) log(x) - x + log(2 pi) / 2) for x >= 8"""
    inverse = b.divide(1, x)
    return b.multiply(inverse, b.polynomial(b.square(inverse), _STIRLING, within=(0, 1 / 64)))


def digamma_far(b: Builder, x: Tensor) -> Tensor:
    """digamma(x) for x >= 8"""
    inverse = b.divide(1, x)
    series = b.polynomial(b.square(inverse), _LOG_SLOPE)
    return b.subtract(b.subtract(b.log(x), b.multiply(inverse, 0.5)), series)


# --- what is left of exp and log where their first terms cancel ----------------------------------

_ODD = tuple(1 / (2 * k + 3) for k in range(14))
_EXPONENTIAL = tuple(1 / math.factorial(k + 2) for k in range(13))


def log1p_rest(b: Builder, x: Tensor) -> Tensor:
    """log1p(x) - x: with s = x / (2 + x), 2 (s^3 / 3 + s^5 / 5 + ...) - x s for -0.4 < x < 0.7"""
    near = b.logical_and(b.greater(x, -0.4), b.less(x, 0.7))
    held = b.where(near, x, 0)
    s = held / (held + 2)
    square = b.square(s)
    series = s * (square * b.polynomial(square, _ODD, within=(0, 0.07)) * 2 - held)
    return b.where(near, series, b.log1p(x) - x)


def expm1_rest(b: Builder, x: Tensor) -> Tensor:
    """exp(x) - 1 - x, by its Taylor series near 0"""
    limit = 0.5 if x.dtype == float64 else 1.0
    near = b.less(b.abs(x), limit)
    held = b.where(near, x, 0)
    series = b.square(held) * b.polynomial(held, _EXPONENTIAL, within=(-limit, limit))
    return b.where(near, series, b.expm1(x) - x)


# --- exp of squares ------------------------------------------------------------------------------


def gaussian(b: Builder, a: Tensor, factor: float) -> Tensor:
    """exp(factor a^2) for |a| < 64. The rounding error of a^2 would be amplified: it is h^2 + rest,
    and what the rounding of this sum has lost is made up for."""
    h = b.multiply(b.round(b.multiply(a, 16)), 1 / 16)
    whole = b.square(h)
    rest = b.multiply(b.subtract(a, h), b.add(a, h))
    square = b.add(whole, rest)
    lost = b.subtract(rest, b.subtract(square, whole))
    power = b.exp(b.multiply(square, factor))
    return b.multiply(power, b.add(b.multiply(lost, factor), 1))


# --- integrals over [0, width] by the points of Gauss and Legendre --------------------------------

# The positive half of 32 points in [-1, 1], and their weights; numpy's have errors of 30 ulp
_POINTS = (
    *(0.04830766568773832, 0.1444719615827965, 0.23928736225213706, 0.33186860228212767),
    *(0.42135127613063533, 0.5068999089322294, 0.5877157572407623, 0.6630442669302152),
    *(0.7321821187402897, 0.7944837959679424, 0.84936761373257, 0.8963211557660521),
    *(0.9349060759377397, 0.9647622555875064, 0.9856115115452684, 0.9972638618494816),
)
_WEIGHTS = (
    *(0.0965400885147278, 0.09563872007927486, 0.09384439908080457, 0.09117387869576389),
    *(0.08765209300440381, 0.08331192422694675, 0.07819389578707031, 0.0723457941088485),
    *(0.06582222277636185, 0.058684093478535544, 0.050998059262376175, 0.04283589802222668),
    *(0.03427386291302143, 0.02539206530926206, 0.01627439473090567, 0.007018610009470096),
)
POINTS = np.array([(1 - p) / 2 for p in reversed(_POINTS)] + [(1 + p) / 2 for p in _POINTS])
WEIGHTS = np.array([w / 2 for w in (*reversed(_WEIGHTS), *_WEIGHTS)])
# Integrands are cut off where they have fallen by exp(-FALL)
FALL = {float32: 20.0, float64: 42.0}


@cache
def _quadrature(dtype: DType) -> tuple[np.ndarray, np.ndarray]:
    """The points in [0, 1] and their weights: 32, for float32 16."""
    if dtype == float64:
        return POINTS, WEIGHTS
    points, weights = np.polynomial.legendre.leggauss(16)
    return (points + 1) / 2, weights / 2


def integrals(
    b: Builder, width: Tensor, integrands: Callable[[Tensor], tuple[Tensor, ...]]
) -> tuple[Tensor, ...]:
    """The integrals over [0, width] of functions of one argument.

    integrands: from points of the shape of width with one more axis to values there. Smooth
    functions that fall to exp(-FALL) have relative errors near 1e-15, in float32 3e-9 and what its
    numbers add. The width is a constant to derivatives: what is cut off does not count.
    """
    width = b.stop_gradient(width)
    positions, factors = (b.as_tensor(array, width.dtype) for array in _quadrature(width.dtype))
    points = b.expand_dims(width, -1) * positions
    return tuple(width * b.sum(value * factors, axis=-1) for value in integrands(points))
