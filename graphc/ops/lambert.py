"""Lambert's W: the w with w exp(w) = x."""

import math

import numpy as np

from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor
from graphc.ops.composed import define_composed, double_partial, scipy_special

__all__ = ["lambertw"]

# exp(-1) as a sum of two numbers of float64.
_HIGH, _LOW = 0.36787944117144233, -1.2428753672788363e-17
# 1 + (y - 1) exp(y) over y^2: (k - 1) / k! from k = 2 on.
_NEAR = [(k - 1) / math.factorial(k) for k in range(2, 22)]
LARGE = 2.0
STEPS = 3


def _lambertw(b: Builder, x: Tensor) -> Tensor:
    """Halley's method: for y = w + 1 from the branch point to 2, for log(w) + w = log(x) above.

    There 1 + (y - 1) exp(y) = 1 + e x = t, whose left side is y^2 / 2 + ... near 0, and so y is
    found with all its digits where it is small.
    """
    t = (b.maximum(x, -1.0) + _HIGH + _LOW) * math.e
    t = b.where(b.equal(x, -_HIGH), 0, t)  # what is left is less than the spacing of x
    ordinary = b.logical_and(b.greater(t, 0), b.less_equal(x, LARGE))
    near = _below(b, b.where(ordinary, t, 1), b.where(ordinary, x, 0))
    finite = b.logical_and(b.greater(x, LARGE), b.less(x, math.inf))
    far = _above(b, b.where(finite, x, LARGE))
    edge = b.where(b.equal(t, 0), -1, b.where(b.less(t, 0), math.nan, x))
    return b.where(ordinary, near, b.where(finite, far, edge))


def _below(b: Builder, t: Tensor, x: Tensor) -> Tensor:
    p = b.sqrt(t * 2)
    logarithm = b.log1p(b.maximum(x, 0))
    outside = 1 + logarithm * (1 - b.log1p(logarithm) / (2 + logarithm))
    y = b.where(b.less(x, 0), p * (1 + p * (-1 / 3 + p * (11 / 72))), outside)
    for _ in range(STEPS):
        power = b.exp(y)
        small = b.less(y, 0.6)
        series = b.square(y) * b.polynomial(b.where(small, y, 0), _NEAR) - t
        left = b.where(small, series, (y - 1) * power - x * math.e)
        slope = y * power
        y = y - left / (slope - left * (1 + y) * power * 0.5 / slope)
    return _settled(b, y, x)


def _settled(b: Builder, y: Tensor, x: Tensor) -> Tensor:
    """w from y; near 0, where y loses its digits, by one step more from w."""
    w = y - 1
    power = b.exp(w)
    step = (w * power - x) / (power * (1 + w))
    return b.where(b.less(b.abs(x), 0.25), w - step, w)


def _above(b: Builder, x: Tensor) -> Tensor:
    logarithm = b.log(x)
    inside = b.log1p(x)
    w = inside * (1 - b.log1p(inside) / (2 + inside))
    for _ in range(STEPS):
        left = w + b.log(w) - logarithm
        slope = 1 + 1 / w
        w = w - left / (slope + left * 0.5 / (slope * b.square(w)))
    return w


def _slope(b: Builder, x: Tensor) -> Tensor:
    """exp(-w) / (1 + w)"""
    w = _lambertw(b, x)
    infinite = b.equal(w, math.inf)
    held = b.where(infinite, 0, w)
    return b.where(infinite, 0, b.exp(-held) / (1 + held))


def _reference(x: np.ndarray) -> np.ndarray:
    found = scipy_special("lambertw")(x)
    return np.asarray(np.where(x < -_HIGH, np.nan, np.where(x == -_HIGH, -1.0, found.real)))


lambertw = define_composed(
    "lambertw",
    "Lambert's W, the principal branch on the real line: the w >= -1 with w exp(w) = x.\n\n"
    "-1 at -1 / e, NaN below.",
    build=_lambertw,
    reference=_reference,
    partials=(double_partial(_slope),),
    domain=(-0.3, 6.0),
)
