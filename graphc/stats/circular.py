"""Distributions of angles."""

import math

from graphc.ir.registry import BUILDER
from graphc.ir.tensor import Tensor
from graphc.ops.series import integrals
from graphc.stats.distribution import Distribution
from graphc.stats.places import Formula, quantiles, tails

b = BUILDER
_TURN = 2 * math.pi
_FALL = 42.0


def _log_density(z: Tensor, k: Tensor) -> Tensor:
    """k (cos(z) - 1) - log(2 pi I0(k) exp(-k))"""
    return -2 * k * b.square(b.sin(0.5 * z)) - b.log(_TURN * b.i0e(k))


def _tail(h: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
    """The integrals from h to pi of exp(k (cos(v) - cos(h))), and of that times cos(v) less its
    mean, I1(k) / I0(k), for 0 <= h <= pi."""
    reach = b.sqrt(b.square(b.sin(0.5 * h)) + 0.5 * _FALL / b.where(b.greater(k, 0), k, 1e-300))
    width = b.where(b.less(reach, 1), 2 * b.asin(b.minimum(reach, 1)), math.pi) - h
    start, narrow = b.expand_dims(h, -1), b.expand_dims(k, -1)
    mean = b.expand_dims(b.i1e(k) / b.i0e(k), -1)

    length = b.expand_dims(b.maximum(width, 0), -1)

    def integrands(share: Tensor) -> tuple[Tensor, ...]:
        v = length * share  # where it ends at pi the width has a derivative
        fall = b.exp(-2 * narrow * b.sin(start + 0.5 * v) * b.sin(0.5 * v))
        bend = 1 - mean - 2 * b.square(b.sin(0.5 * (start + v)))
        return length * fall, length * fall * bend

    value, slope = integrals(b, b.ones_like(width), integrands)
    return value, slope


def _log_lower(z: Tensor, k: Tensor) -> Tensor:
    value, _ = _tail(b.minimum(b.abs(z), math.pi), k)
    log = b.log(value) + _log_density(z, k)
    return b.where(b.less(z, 0), log, b.log1p(-b.exp(log)))


def _log_upper(z: Tensor, k: Tensor) -> Tensor:
    return _log_lower(-z, k)


def _slopes(z: Tensor, k: Tensor) -> list[tuple[Tensor, Tensor]]:
    _, slope = _tail(b.minimum(b.abs(z), math.pi), k)
    return [(b.where(b.less(z, 0), slope, -slope), _log_density(z, k))]


def _start(p: Tensor, q: Tensor, k: Tensor) -> Tensor:
    normal = b.ndtri(p) / b.sqrt(b.maximum(k, 1e-300))
    even = math.pi * (p - q)
    return b.where(b.less(p, q), b.maximum(normal, even), b.minimum(normal, even))


_vonmises: dict[str, Formula] = tails(_log_lower, _log_upper, _log_density, _slopes)


def _turns(z: Tensor) -> tuple[Tensor, Tensor]:
    """How many turns z is from 0, and the angle in [-pi, pi]."""
    count = b.round(z / _TURN)
    return count, z - _TURN * count


def _vonmises_cdf(z: Tensor, k: Tensor) -> Tensor:
    count, angle = _turns(z)
    return count + _vonmises["cdf"](angle, k)


def _vonmises_survival(z: Tensor, k: Tensor) -> Tensor:
    count, angle = _turns(z)
    return _vonmises["survival"](angle, k) - count


vonmises = Distribution(
    "vonmises",
    ("kappa",),
    _log_density,
    _vonmises_cdf,
    survival=_vonmises_survival,
    log_cdf=lambda z, k: _beside_turns(z, k, "log_cdf", 1),
    log_survival=lambda z, k: _beside_turns(z, k, "log_survival", -1),
    domain=lambda k: b.logical_and(b.greater_equal(k, 0), b.isfinite(k)),
    doc="Von Mises' distribution of angles, exp(kappa cos(z)) / (2 pi I0(kappa)) from -pi to pi. "
    "The density has that period; cdf gains 1 with each turn.",
    **quantiles(
        _log_lower,
        _log_upper,
        _log_density,
        _slopes,
        _start,
        lambda k: (-math.pi, math.pi),
    ),
)


def _beside_turns(z: Tensor, k: Tensor, method: str, sign: int) -> Tensor:
    """Within the first turn the logarithm of the tail, else that of a number which turns change."""
    count, angle = _turns(z)
    log = _vonmises[method](angle, k)
    first = b.equal(count, 0)
    return b.where(first, log, b.log(b.where(first, 1, sign * count) + b.exp(log)))


def _wrapped_place(p: Tensor, c: Tensor) -> Tensor:
    """2 atan(tan(pi p) (1 - c) / (1 + c)), which goes on beyond p = 1 / 2"""
    return 2 * b.atan2((1 - c) * b.sin(math.pi * p), (1 + c) * b.cos(math.pi * p))


wrapcauchy = Distribution(
    "wrapcauchy",
    ("c",),
    lambda z, c: (
        b.log1p(-c)
        + b.log1p(c)
        - math.log(_TURN)
        - b.log(b.square(1 - c) + 4 * c * b.square(b.sin(0.5 * z)))
    ),
    lambda z, c: b.atan2((1 + c) * b.sin(0.5 * z), (1 - c) * b.cos(0.5 * z)) / math.pi,
    survival=lambda z, c: b.atan2((1 + c) * b.sin(0.5 * z), (c - 1) * b.cos(0.5 * z)) / math.pi,
    quantile=lambda p, c: _wrapped_place(p, c),
    upper_quantile=lambda q, c: _TURN - _wrapped_place(q, c),
    low=0,
    high=_TURN,
    domain=lambda c: b.logical_and(b.greater(c, 0), b.less(c, 1)),
    doc="Cauchy's distribution wrapped around a circle, "
    "(1 - c**2) / (2 pi (1 + c**2 - 2 c cos(z))) from 0 to 2 pi, 0 < c < 1.",
)
