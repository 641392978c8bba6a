"""Tails of the skew normal distribution, 2 f(z) N(a z), with the normal one N, of density f.

With Owen's function T, int_0^a exp(-h^2 (1 + x^2) / 2) / (1 + x^2) dx / (2 pi), the tail beyond h
on the side of a is N(-h) + 2 T(h, a), a sum of positive terms. On the other side it is

    N(-h) - 2 T(h, a) = int_a^inf exp(-h^2 (1 + x^2) / 2) / (1 + x^2) dx / pi

and the difference cancels where a h > 1: there it is integrated over y = h (x - a).
"""

import math

from graphc.dtypes import float64
from graphc.ir.registry import BUILDER
from graphc.ir.tensor import Tensor
from graphc.ops.series import FALL, integrals
from graphc.stats.tails import LOG_ROOT

b = BUILDER
_ROOT = math.sqrt(0.5)


def _scaled_owen(h: Tensor, a: Tensor) -> Tensor:
    """T(h, a) exp(h^2 / 2) for h >= 0 and 0 <= a <= 1"""
    cut = math.sqrt(2 * FALL[float64])
    width = b.minimum(a, cut / b.maximum(h, cut))
    place = b.expand_dims(h, -1)

    def integrand(x: Tensor) -> tuple[Tensor, ...]:
        return (b.exp(-0.5 * b.square(place * x)) / (1 + b.square(x)),)

    (value,) = integrals(b, width, integrand)
    return value / (2 * math.pi)


def _log_heavy(h: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
    """log(N(-h) + 2 T(h, a)) for h, a >= 0, and the logarithm of what is left of 1.
    T(h, a) + T(a h, 1 / a) is (q + r) / 2 - q r, with the normal tails q and r beyond h and a h."""
    steep = b.greater(a, 1)
    inner = b.where(steep, a * h, h)
    slope = b.where(steep, 1 / b.where(steep, a, 1), a)
    own = _scaled_owen(inner, slope)
    fall = b.exp(0.5 * b.square(h) - 0.5 * b.square(inner))
    q, r = 0.5 * b.erfcx(h * _ROOT), 0.5 * b.erfcx(inner * _ROOT) * fall
    inner_part = b.erf(h * _ROOT)
    above = q + b.where(steep, q + r * inner_part - 2 * own * fall, 2 * own)
    scale = b.exp(-0.5 * b.square(inner))
    below = inner_part * b.ndtr(inner) + 2 * own * scale
    below = b.where(steep, below, 1 - (q + 2 * own) * scale)
    return b.log(above) - 0.5 * b.square(h), b.log(below)


def _log_light(h: Tensor, a: Tensor) -> Tensor:
    """log(N(-h) - 2 T(h, a)) for h, a >= 0"""
    c = a * h
    far = b.greater(c, 1)
    return b.where(far, _log_far(b.where(far, h, 1), b.where(far, c, 2)), _log_near(h, a, far))


def _log_far(h: Tensor, c: Tensor) -> Tensor:
    start, square = b.expand_dims(c, -1), b.expand_dims(b.square(h), -1)

    def integrand(y: Tensor) -> tuple[Tensor, ...]:
        fall = b.exp(-start * y - 0.5 * b.square(y))
        return (fall / (square + b.square(start + y)),)

    fall = 2 * FALL[float64]
    (value,) = integrals(b, fall / (c + b.sqrt(b.square(c) + fall)), integrand)
    return b.log(h * value / math.pi) - 0.5 * (b.square(h) + b.square(c))


def _log_near(h: Tensor, a: Tensor, far: Tensor) -> Tensor:
    h, a = b.where(far, 0, h), b.where(far, 1, a)
    steep = b.greater(a, 1)
    inner = b.where(steep, a * h, h)
    own = _scaled_owen(inner, b.where(steep, 1 / b.where(steep, a, 1), a))
    r = 0.5 * b.erfcx(inner * _ROOT)
    scaled = b.where(steep, 2 * own - r * b.erf(h * _ROOT), r - 2 * own)
    return b.log(scaled) - 0.5 * b.square(inner)


def skewnorm_log_density(z: Tensor, a: Tensor) -> Tensor:
    return math.log(2) - LOG_ROOT - 0.5 * b.square(z) + b.log_ndtr(a * z)


def skewnorm_log_upper(z: Tensor, a: Tensor) -> Tensor:
    """Left of 0 it is 1 less the tail on that side."""
    h, steepness = b.abs(z), b.abs(a)
    right, heavy = b.greater_equal(z, 0), b.equal(b.less(z, 0), b.less(a, 0))
    beyond, within = _log_heavy(b.where(heavy, h, 0), steepness)
    light = _log_light(b.where(heavy, 0, h), steepness)
    return b.where(
        heavy,
        b.where(right, beyond, within),
        b.where(right, light, b.log1p(-b.exp(b.where(right, -1, light)))),
    )


def skewnorm_log_lower(z: Tensor, a: Tensor) -> Tensor:
    return skewnorm_log_upper(-z, -a)


def skewnorm_slopes(z: Tensor, a: Tensor) -> list[tuple[Tensor, Tensor]]:
    one = 1 + b.square(a)
    return [(-1 / (math.pi * one), -0.5 * b.square(z) * one)]
