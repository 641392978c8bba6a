"""Tails of distributions that are made of normal ones: logarithms without cancellation.

f is their density, and R(h) = exp(h^2 / 2) int_h^inf exp(-v^2 / 2) dv Mills' ratio.
"""

import math
from collections.abc import Callable
from typing import Any

from graphc.dtypes import float64
from graphc.ir.registry import BUILDER
from graphc.ir.tensor import Tensor
from graphc.ops.gradient_control import custom_gradient
from graphc.ops.series import FALL, integrals
from graphc.stats.places import Formula
from graphc.stats.tails import LOG_ROOT

b = BUILDER
_custom_gradient: Callable[[Callable[..., Any]], Formula] = custom_gradient
_HALF_ROOT = math.sqrt(math.pi / 2)


def _width(h: Tensor) -> Tensor:
    """Where h v + v^2 / 2 has risen to FALL."""
    fall = 2 * FALL[float64]
    return fall / (h + b.sqrt(b.square(h) + fall))


def log_normal_density(z: Tensor) -> Tensor:
    return -0.5 * b.square(z) - LOG_ROOT


def mills(h: Tensor) -> Tensor:
    return _HALF_ROOT * b.erfcx(h * math.sqrt(0.5))


def mills_drop(h: Tensor, d: Tensor) -> Tensor:
    """R(h) - R(h + d) for h, d >= 0: int_0^inf exp(-h v - v^2 / 2) (1 - exp(-d v)) dv where the two
    are close."""
    first, last = mills(h), mills(h + d)
    near = b.greater(last, 0.5 * first)
    start, step = (b.expand_dims(b.where(near, value, 1), -1) for value in (h, d))

    def integrand(v: Tensor) -> tuple[Tensor, ...]:
        return (-b.exp(-start * v - 0.5 * b.square(v)) * b.expm1(-step * v),)

    (drop,) = integrals(b, _width(b.where(near, h, 1)), integrand)
    return b.where(near, drop, first - last)


# --- between two bounds -------------------------------------------------------------------------


@_custom_gradient
def log_between(low: Tensor, high: Tensor) -> Any:
    """The logarithm of the probability of normal numbers between low and high, low < high. Float64
    of one shape; may be infinite. Intervals on one side of 0 are looked at from there, and short
    ones are integrated over."""

    def gradient(change: Tensor) -> list[Tensor]:
        value = log_between(low, high)
        by_low, by_high = (b.exp(log_normal_density(end) - value) for end in (low, high))
        return [-change * by_low, change * by_high]

    return _log_between(low, high), gradient


def _log_between(low: Tensor, high: Tensor) -> Tensor:
    across = b.logical_and(b.less(low, 0), b.greater(high, 0))
    mirrored = b.less_equal(high, 0)
    first, last = b.where(mirrored, -high, low), b.where(mirrored, -low, high)
    first, last = b.where(across, 1, first), b.where(across, 2, last)
    width = last - first
    long = b.greater(width * (first + 0.5 * width), 1)
    near, far = b.log_ndtr(-first), b.log_ndtr(-last)
    apart = near + b.log1p(-b.exp(b.where(long, far - near, -1)))
    start = b.expand_dims(b.where(long, 1, first), -1)

    def integrand(v: Tensor) -> tuple[Tensor, ...]:
        return (b.exp(-start * v - 0.5 * b.square(v)),)

    (close,) = integrals(b, b.where(long, 1, width), integrand)
    one_side = b.where(long, apart, log_normal_density(first) + b.log(close))
    below, above = b.where(across, low, -1), b.where(across, high, 1)
    root = math.sqrt(0.5)
    inner = 0.5 * (b.erf(above * root) + b.erf(-below * root))
    outer = b.ndtr(below) + b.ndtr(-above)
    both = b.where(b.less(inner, 0.5), b.log(inner), b.log1p(-outer))
    return b.where(across, both, one_side)


def truncated_log_lower(z: Tensor, low: Tensor, high: Tensor) -> Tensor:
    return log_between(low, z) - log_between(low, high)


def truncated_log_upper(z: Tensor, low: Tensor, high: Tensor) -> Tensor:
    return log_between(z, high) - log_between(low, high)


def truncated_log_density(z: Tensor, low: Tensor, high: Tensor) -> Tensor:
    return log_normal_density(z) - log_between(low, high)


def truncated_slopes(z: Tensor, low: Tensor, high: Tensor) -> list[tuple[Tensor, Tensor]]:
    """A bound that moves takes its density from the rest, of which a share lies beyond z."""
    minus = -b.ones_like(z)
    by_low = truncated_log_density(low, low, high) + truncated_log_upper(z, low, high)
    by_high = truncated_log_density(high, low, high) + truncated_log_lower(z, low, high)
    return [(minus, by_low), (minus, by_high)]


def truncated_start(p: Tensor, q: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """The quantile of the probability in between; beyond 5 that of an exponential distribution."""
    far_up, far_down = b.greater(low, 5), b.less(high, -5)
    middle = b.logical_not(b.logical_or(far_up, far_down))
    mirrored = b.greater(low, 0)
    first, last = b.where(mirrored, -high, low), b.where(mirrored, -low, high)
    first, last = b.where(middle, first, -1), b.where(middle, last, 1)
    share = b.ndtr(first) * b.where(mirrored, p, q) + b.ndtr(last) * b.where(mirrored, q, p)
    z = b.ndtri(b.clip(share, 1e-300, 1 - 1e-16))
    up = low - b.log(q) / b.where(far_up, low, 1)
    down = high - b.log(p) / b.where(far_down, high, -1)
    return b.where(far_up, up, b.where(far_down, down, b.where(mirrored, -z, z)))


# --- a normal number plus an exponential one ------------------------------------------------------


def exponnorm_log_density(z: Tensor, k: Tensor) -> Tensor:
    """log(exp(1 / 2 k^2 - z / k) N(z - 1 / k) / k), which is f(z) R(1 / k - z) / k"""
    y = 1 / k - z
    left = b.greater(y, 0)
    held = b.where(left, y, 1)
    near = log_normal_density(z) + b.log(mills(held))
    far = 0.5 * b.square(1 / k) - z / k + b.log_ndtr(-b.where(left, -1, y))
    return b.where(left, near, far) - b.log(k)


def exponnorm_log_lower(z: Tensor, k: Tensor) -> Tensor:
    """log(N(z) - exp(s) N(z - d)) with d = 1 / k and s = d^2 / 2 - d z: left of 0 by Mills' ratios,
    and where d is small or s negative N(z) - N(z - d) - expm1(s) N(z - d)"""
    left, d = b.less(z, 0), 1 / k
    drop = mills_drop(b.where(left, -z, 1), d)
    place = b.where(left, 1, z)
    power = 0.5 * b.square(d) - d * place
    gentle = b.logical_or(b.less(d, 1), b.less(power, 0))
    held = b.where(gentle, place, 1)
    last = held - b.where(gentle, d, 1)
    sum_ = b.exp(log_between(last, held)) - b.expm1(b.where(gentle, power, 0)) * b.ndtr(last)
    value = b.ndtr(place) - b.exp(exponnorm_log_density(place, k)) * k
    value = b.log(b.where(gentle, sum_, b.where(left, 1, value)))
    return b.where(left, log_normal_density(z) + b.log(drop), value)


def exponnorm_log_upper(z: Tensor, k: Tensor) -> Tensor:
    return b.logaddexp(b.log_ndtr(-z), exponnorm_log_density(z, k) + b.log(k))


def exponnorm_slopes(z: Tensor, k: Tensor) -> list[tuple[Tensor, Tensor]]:
    """f(z) (y R(y) - 1) / k^2 with y = 1 / k - z"""
    y = 1 / k - z
    left = b.greater(y, 0)
    held = b.where(left, y, 1)
    log = exponnorm_log_density(z, k) + b.log(k)
    above = y - b.exp(b.where(left, 0, log_normal_density(z) - log))
    factor = b.where(left, held * mills(held) - 1, above) / b.square(k)
    return [(factor, b.where(left, log_normal_density(z), log))]


# --- the inverse normal distribution --------------------------------------------------------------


def _ends(z: Tensor, mu: Tensor) -> tuple[Tensor, Tensor]:
    root = b.sqrt(z)
    return (z / mu - 1) / root, 2 / root


def invgauss_log_density(z: Tensor, mu: Tensor) -> Tensor:
    return -LOG_ROOT - 1.5 * b.log(z) - 0.5 * b.square((z / mu - 1) / b.sqrt(z))


def invgauss_log_lower(z: Tensor, mu: Tensor) -> Tensor:
    """log(N(u) + f(u) R(u + d)), with d = 2 / sqrt(z)"""
    u, d = _ends(z, mu)
    return b.logaddexp(b.log_ndtr(u), log_normal_density(u) + b.log(mills(u + d)))


def invgauss_log_upper(z: Tensor, mu: Tensor) -> Tensor:
    """log(f(u) (R(u) - R(u + d))), left of the mean log(N(-u) - exp(2 / mu) N(-u - d)): for large
    mu log(N(u + d) - N(u) - expm1(2 / mu) N(-u - d))"""
    u, d = _ends(z, mu)
    right = b.greater(u, 0)
    drop = log_normal_density(u) + b.log(mills_drop(b.where(right, u, 1), d))
    wide = b.greater(mu, 2)
    gap = b.exp(log_between(u, b.where(wide, u + d, u + 1)))
    close = gap - b.expm1(2 / b.where(wide, mu, 1)) * b.ndtr(-u - d)
    value = b.where(wide, close, b.ndtr(-u) - b.exp(log_normal_density(u)) * mills(u + d))
    return b.where(right, drop, b.log(b.where(right, 1, value)))


def invgauss_slopes(z: Tensor, mu: Tensor) -> list[tuple[Tensor, Tensor]]:
    u, d = _ends(z, mu)
    return [(-2 / b.square(mu), log_normal_density(u) + b.log(mills(u + d)))]


def invgauss_start(p: Tensor, q: Tensor, mu: Tensor) -> Tensor:
    """The logarithm of a place between the mean of a narrow one and the median of a wide one."""
    return b.log(mu / (1 + 0.5 * mu)) + 0 * p
