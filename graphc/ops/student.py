"""Logarithms of the density and the tail of Student's distribution, for any degrees of freedom k.

The incomplete beta function at k / (k + z^2) forgets z where k is large. With the density f and
c = (k + 1) / 2, the tail beyond z is

    1/2 - z int_0^1 f(z u) du                              for z <= min(1, sqrt(k) / 2)
    z f(z) int_0^inf exp(v - c log(1 + r (exp(2 v) - 1))) dv  for larger z and k >= 16

where r = z^2 / (k + z^2) and places are z exp(v). Both exponents are monotone and have no
singularity nearby. For k < 16 the incomplete beta function has all digits.
"""

import math
from typing import Any

import numpy as np

from graphc.dtypes import float64
from graphc.ir.opdef import Example, Generator
from graphc.ir.registry import Builder, public
from graphc.ir.tensor import Tensor
from graphc.ops.composed import register_composed, scipy_special
from graphc.ops.definition import floating, promote_inputs
from graphc.ops.series import FALL, integrals

__all__: list[str] = []

_MANY = 16
_FAR = 1e8  # of z / sqrt(k): 1 + its square is its square
_STEPS = 4
_LARGE = 256
# log(gamma((k + 1) / 2) / gamma(k / 2)) - log(k / 2) / 2 in 1 / k: Stirling's series of both
_SERIES = (-1 / 4, 1 / 24, -1 / 20, 17 / 112)


def _log_density(b: Builder, k: Tensor, z: Tensor) -> Tensor:
    """log((1 + z^2 / k)^-c / (sqrt(k) B(k / 2, 1 / 2)))"""
    ratio = b.abs(z) / b.sqrt(k)
    far = b.greater(ratio, _FAR)
    bend = b.where(
        far,
        2 * b.log(b.where(far, ratio, 1)),
        b.log1p(b.square(b.where(far, 1, ratio))),
    )
    return _log_factor(b, k) - (k + 1) * 0.5 * bend


def _log_factor(b: Builder, k: Tensor) -> Tensor:
    """-log(sqrt(k) B(k / 2, 1 / 2)); for large k a series about that of the normal distribution,
    whose derivative keeps its digits"""
    large = b.greater(k, _LARGE)
    inverse = b.reciprocal(b.where(large, k, _LARGE))
    series = inverse * b.polynomial(b.square(inverse), _SERIES) - 0.5 * math.log(2 * math.pi)
    k = b.where(large, 1, k)
    return b.where(large, series, -b.betaln(k * 0.5, b.ones_like(k) * 0.5) - 0.5 * b.log(k))


def _middle(b: Builder, k: Tensor, z: Tensor) -> Tensor:
    """log(1/2 - int_0^z f)"""
    k, z = (b.expand_dims(value, -1) for value in (k, z))

    def integrand(u: Tensor) -> tuple[Tensor, ...]:
        return (z * b.exp(_log_density(b, k, z * u)),)

    (value,) = integrals(b, b.ones_like(b.squeeze(z, axis=-1)), integrand)
    return b.log(0.5 - value)


def _outside(b: Builder, k: Tensor, z: Tensor) -> Tensor:
    """log(z f(z)) and that of the integral over v. The width is a fixed point: v falls towards it
    from a place beyond it."""
    c, log_place = (k + 1) * 0.5, b.log(z)
    # The share is 1 where z^2 / k is too large to add 1 to.
    ratio = b.minimum(z / b.sqrt(k), _FAR)
    share = b.square(ratio) / (1 + b.square(ratio))
    fall = FALL[float64]
    width = (fall - c * b.log(share)) / k
    for _ in range(_STEPS):
        width = 0.5 * b.log1p(b.expm1((fall + width) / c) / share)
    value = _log_density(b, k, z) + log_place
    c, share = b.expand_dims(c, -1), b.expand_dims(share, -1)

    def integrand(v: Tensor) -> tuple[Tensor, ...]:
        return (b.exp(v - c * b.log1p(share * b.expm1(2 * v))),)

    (integral,) = integrals(b, width, integrand)
    return value + b.log(integral)


def _few(b: Builder, k: Tensor, z: Tensor) -> Tensor:
    """log(I_x(k / 2, 1 / 2) / 2) with x = k / (k + z^2), of which one power is left far out"""
    ratio, half = z / b.sqrt(k), b.ones_like(k) * 0.5
    far = b.greater(ratio, _FAR)
    power = -b.log(k) - b.betaln(k * 0.5, half) - k * b.log(b.where(far, ratio, 1))
    near = b.betainc(k * 0.5, half, 1 / (1 + b.square(b.where(far, 1, ratio))))
    return b.where(far, power, b.log(0.5 * near))


def _log_tail(b: Builder, k: Tensor, z: Tensor) -> Tensor:
    inside = b.logical_and(b.greater(k, 0), b.greater_equal(z, 0))
    finite = b.logical_and(b.isfinite(k), b.isfinite(z))
    usual = b.logical_and(inside, finite)
    held_k, held_z = b.where(usual, k, 1), b.where(usual, z, 1)
    middle = b.less_equal(held_z, b.minimum(1, 0.5 * b.sqrt(held_k)))
    many = b.logical_and(b.greater_equal(held_k, _MANY), b.logical_not(middle))
    few = b.logical_not(b.logical_or(middle, many))
    value = b.where(
        middle,
        _middle(b, held_k, b.where(middle, held_z, 0)),
        b.where(
            many,
            _outside(b, b.where(many, held_k, _MANY), b.where(many, held_z, 2)),
            _few(b, b.where(few, held_k, 1), b.where(few, held_z, 2)),
        ),
    )
    normal = b.log_ndtr(-b.where(inside, z, 0))
    limit = b.where(b.isinf(z), -math.inf, normal)
    return b.where(usual, value, b.where(inside, limit, math.nan))


def _log_density_of_all(b: Builder, k: Tensor, z: Tensor) -> Tensor:
    usual = b.logical_and(b.greater(k, 0), b.isfinite(k))
    value = _log_density(b, b.where(usual, k, 1), z)
    normal = -0.5 * b.square(z) - 0.5 * math.log(2 * math.pi)
    return b.where(usual, value, b.where(b.greater(k, 0), normal, math.nan))


def _density_examples(rng: Generator) -> list[Example]:
    """One: it is a large graph."""
    k, z = np.array([0.4, 1.0, 3.5, 20.0, 300.0]), np.array([0.5, -0.3, 9.0, 2.5, -3.0])
    return [Example(student_log_density, (k, z))]


def _density_meaning(k: Any, z: Any) -> Any:
    norm = -scipy_special("betaln")(k / 2, 0.5) - 0.5 * np.log(k)
    return norm - (k + 1) / 2 * np.log1p(z * z / k)


@public
def student_log_density(df: Any, z: Any, /) -> Tensor:
    """The logarithm of the density of Student's distribution at z.

    df: degrees of freedom, > 0; inf is the normal distribution. Computed in float64.
    """
    return DENSITY(*(floating(t) for t in promote_inputs("student_log_density", df, z)))


DENSITY = register_composed(
    "student_log_density",
    build=_log_density_of_all,
    reference=_density_meaning,
    partials=None,
    examples=_density_examples,
)


def _examples(rng: Generator) -> list[Example]:
    """One: it is a large graph."""
    k = np.array([0.4, 1.0, 3.0, 3.5, 20.0, 20.0, 40.0])
    z = np.array([0.5, 0.3, 2.0, 9.0, 0.7, 2.5, 3.0])
    return [Example(student_log_tail, (k, z))]


def _meaning(k: Any, z: Any) -> Any:
    return np.log(scipy_special("stdtr")(k, -z))


@public
def student_log_tail(df: Any, z: Any, /) -> Tensor:
    """The logarithm of the probability that a number of Student's distribution is above z >= 0.

    df: degrees of freedom, > 0; inf is the normal distribution. Computed in float64.
    """
    return TAIL(*(floating(tensor) for tensor in promote_inputs("student_log_tail", df, z)))


TAIL = register_composed(
    "student_log_tail",
    build=_log_tail,
    reference=_meaning,
    partials=None,
    examples=_examples,
)
