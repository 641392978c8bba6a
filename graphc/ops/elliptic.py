"""Complete elliptic integrals by the arithmetic-geometric mean (Abramowitz and Stegun 17.6)."""

import math

import numpy as np

from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor
from graphc.ops.composed import define_composed, double_partial, scipy_special

__all__ = ["ellipe", "ellipk"]

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
    value, share, ordinary = _integrals(b, m)
    edge = b.where(b.equal(m, 1), 1, b.where(b.less(m, 0), math.inf, math.nan))
    return b.where(ordinary, value * (1 - m * share), edge)


def _ellipk_slope(b: Builder, m: Tensor) -> Tensor:
    """(E - (1 - m) K) / (2 m (1 - m)) = K (1 - S) / (2 (1 - m))"""
    value, share, ordinary = _integrals(b, m)
    slope = value * (1 - share) * 0.5 / (1 - b.where(ordinary, m, 0))
    edge = b.where(b.equal(m, 1), math.inf, b.where(b.less(m, 0), 0, math.nan))
    return b.where(ordinary, slope, edge)


def _ellipe_slope(b: Builder, m: Tensor) -> Tensor:
    """(E - K) / (2 m) = -K S / 2"""
    value, share, ordinary = _integrals(b, m)
    edge = b.where(b.equal(m, 1), -math.inf, b.where(b.less(m, 0), 0, math.nan))
    return b.where(ordinary, value * share * -0.5, edge)


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
