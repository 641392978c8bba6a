"""Complete elliptic integrals by the arithmetic-geometric mean (Abramowitz and Stegun 17.6)."""

import math

import numpy as np

from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor
from graphc.ops.composed import define_composed, double_partial, scipy_special

__all__ = ["ellipe", "ellipk"]

_NEAR = 1e-4  # of 1 - m, whose fourth power is too small to count
STEPS = 12  # enough for quotients of 1e-150; eight are for 1 - m = 2**-53


def _integrals(b: Builder, m: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """K, S = (K - E) / (m K) and where m is ordinary, with other m held at 0.

    a[0], b[0] = 1, sqrt(1 - m); a[n] = (a + b) / 2, b[n] = sqrt(a b): both go to pi / (2 K). With
    c[1] = m / (2 (1 + b[0])), c[n] = c^2 / (4 a[n]), S = 1/2 + sum 2^(n - 1) c[n]^2 / m, in which
    nothing is divided by m.
    """
    ordinary = b.logical_and(b.less(m, 1), b.greater(m, -math.inf))
    held = b.where(ordinary, m, 0)
    one, other = b.ones_like(held), b.sqrt(1 - held)
    c = held * 0.5 / (1 + other)
    share = c * 0.5 / (1 + other)  # c^2 / m
    total = b.ones_like(held) * 0.5
    for step in range(STEPS):
        one, other = (one + other) * 0.5, b.sqrt(one * other)
        total = total + share * 2.0**step
        ratio = c * 0.25 / ((one + other) * 0.5)
        share, c = share * b.square(ratio), c * ratio
    return math.pi / 2 / one, total, ordinary


def _ellipk(b: Builder, m: Tensor) -> Tensor:
    value, _, ordinary = _integrals(b, m)
    edge = b.where(b.equal(m, 1), math.inf, b.where(b.less(m, 0), 0, math.nan))
    return b.where(ordinary, value, edge)


def _ellipe(b: Builder, m: Tensor) -> Tensor:
    """K (1 - m S), and where that cancels, or S has a long sum, `_near_one` of the same modulus or
    of E(m) = sqrt(1 - m) E(m / (m - 1)), whose other parameter is 1 / (1 - m)."""
    value, share, ordinary = _integrals(b, m)
    steep, deep = b.logical_and(ordinary, b.greater(m, 1 - _NEAR)), _is_deep(b, m)
    edge = b.where(b.equal(m, 1), 1, b.where(b.less(m, 0), math.inf, math.nan))
    value = b.where(ordinary, value * (1 - m * share), edge)
    rest = 1 - b.where(b.logical_or(steep, deep), m, 0)
    far = _near_one(b, b.where(deep, b.reciprocal(rest), rest))
    return b.where(steep, far, b.where(deep, b.sqrt(rest) * far, value))


def _is_deep(b: Builder, m: Tensor) -> Tensor:
    return b.logical_and(b.less(m, 1 - 1 / _NEAR), b.greater(m, -math.inf))


def _near_one(b: Builder, rest: Tensor) -> Tensor:
    """E(1 - rest) with L = log(4 / sqrt(rest)): DLMF 19.12.2, its first terms."""
    log = math.log(4) - 0.5 * b.log(rest)
    inner = (log - 13 / 12) * (3 / 16) + rest * ((log - 6 / 5) * (15 / 128))
    return 1 + rest * ((log - 0.5) * 0.5 + rest * inner)


def _ellipk_slope(b: Builder, m: Tensor) -> Tensor:
    """(E - (1 - m) K) / (2 m (1 - m)) = K (1 - S) / (2 (1 - m))"""
    value, share, ordinary = _integrals(b, m)
    slope = value * (1 - share) * 0.5 / (1 - b.where(ordinary, m, 0))
    edge = b.where(b.equal(m, 1), math.inf, b.where(b.less(m, 0), 0, math.nan))
    return b.where(ordinary, slope, edge)


def _ellipe_slope(b: Builder, m: Tensor) -> Tensor:
    """(E - K) / (2 m) = -K S / 2; the first where K is small beside E"""
    value, share, ordinary = _integrals(b, m)
    deep = _is_deep(b, m)
    held = b.where(deep, m, -1 / _NEAR)
    far = (_ellipe(b, held) - value) * 0.5 / held
    edge = b.where(b.equal(m, 1), -math.inf, b.where(b.less(m, 0), 0, math.nan))
    return b.where(deep, far, b.where(ordinary, value * share * -0.5, edge))


ellipk = define_composed(
    "ellipk",
    "The complete elliptic integral of the first kind, of 1 / sqrt(1 - x sin(t)**2) over t from 0\n"
    "to pi / 2. x is the parameter, the square of the modulus; infinity at 1, NaN above.",
    build=_ellipk,
    reference=lambda m: np.where(np.isneginf(m), 0.0, scipy_special("ellipk")(m)),
    partials=(double_partial(_ellipk_slope),),
    domain=(-4.0, 0.95),
)

ellipe = define_composed(
    "ellipe",
    "The complete elliptic integral of the second kind, of sqrt(1 - x sin(t)**2) over t from 0 to\n"
    "pi / 2. x is the parameter, the square of the modulus; 1 at 1, NaN above.",
    build=_ellipe,
    reference=lambda m: np.where(np.isneginf(m), np.inf, scipy_special("ellipe")(m)),
    partials=(double_partial(_ellipe_slope),),
    domain=(-4.0, 0.95),
)
