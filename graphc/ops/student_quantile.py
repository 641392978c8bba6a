"""Places of Student's distribution: with k degrees of freedom the share k / (k + t^2) of beta
numbers of k / 2 and 1 / 2 has the probability of both tails beyond t. Its odds are k / t^2."""

import math
from typing import Any

import numpy as np

from graphc.ir.opdef import Example, Generator
from graphc.ir.registry import Builder, public
from graphc.ir.tensor import Tensor
from graphc.ops.composed import double_partial, register_composed, scipy_special
from graphc.ops.definition import floating, promote_inputs
from graphc.ops.incomplete_beta import exponent_share

__all__: list[str] = []

_FAR = -600.0  # of the logarithm of odds: the tail is a power of t


def _held(b: Builder, k: Tensor, p: Tensor) -> tuple[Tensor, ...]:
    """Whether k and p are inside of their ranges; k held there, and both tails beyond the place"""
    inside = b.logical_and(b.greater(k, 0), b.isfinite(k))
    inside = b.logical_and(inside, b.logical_and(b.greater(p, 0), b.less(p, 1)))
    inside = b.logical_and(inside, b.not_equal(p, 0.5))
    q = b.where(inside, p, 0.25)
    return inside, b.where(inside, k, 1), 2 * b.where(b.less(q, 0.5), q, 1 - q)


def _quantile(b: Builder, k: Tensor, p: Tensor) -> Tensor:
    inside, held, tails = _held(b, k, p)
    half = b.ones_like(held) * 0.5
    log_odds = (b.log(tails) + b.log(0.5 * held) + b.betaln(0.5 * held, half)) / (0.5 * held)
    far = b.less(log_odds, _FAR)
    odds = b.beta_odds(0.5 * held, half, b.where(far, 0.5, tails))
    log_far = 0.5 * (b.log(held) - b.where(far, log_odds, 0))
    place = b.where(far, b.exp(log_far), b.sqrt(held / odds))
    place = b.where(b.less(p, 0.5), -place, place)
    # Of infinite k the normal distribution, which has the same places 0 and infinity.
    normal = b.where(b.equal(p, 0.5), 0, b.ndtri(p))
    return b.where(inside, place, b.where(b.greater(k, 0), normal, math.nan))


def _by_degrees(b: Builder, k: Tensor, p: Tensor) -> Tensor:
    """t / 2 (1 / k - d log(odds) / dk); log(odds) moves with a = k / 2 by -(dI/da) / D. At p = 1/2
    t is (p - 1/2) over the density at 0."""
    t = b.student_quantile(k, p)
    inside, _, _ = _held(b, k, p)
    inside = b.logical_and(inside, b.isfinite(t))
    middle = b.equal(p, 0.5)
    valid = b.logical_or(
        inside, b.logical_and(middle, b.logical_and(b.greater(k, 0), b.isfinite(k)))
    )
    held = b.where(valid, k, 1)
    a, half = 0.5 * held, b.ones_like(held) * 0.5
    log_odds = b.log(held) - 2 * b.log(b.abs(b.where(inside, t, 1)))
    far = b.less(log_odds, _FAR)
    odds = b.exp(b.where(far, 0, log_odds))
    rest = 1 / (1 + odds)
    share, *_ = exponent_share(b, a, half, odds * rest, rest, by=0)
    # The limits: far out log(odds) = (log(tails) + log(a B(a, 1/2))) / a.
    ratio = b.digamma(a) - b.digamma(a + 0.5)
    by_a = b.where(far, (1 / a + ratio - log_odds) / a, -share)
    pace = b.where(middle, 1 / held + ratio, 1 / held - 0.5 * by_a)
    slope = 0.5 * b.where(valid, t, 0) * b.where(valid, pace, 0)
    return b.where(b.isnan(t), t, slope)


def _by_probability(b: Builder, k: Tensor, p: Tensor) -> Tensor:
    t = b.student_quantile(k, p)
    inside = b.isfinite(t)
    slope = b.exp(-b.student_log_density(k, b.where(inside, t, 0)))
    return b.where(inside, slope, b.abs(t))


def _examples(rng: Generator) -> list[Example]:
    """One: it is a large graph."""
    k = np.array([0.7, 1.0, 3.0, 3.5, 20.0, 40.0])
    p = np.array([0.35, 0.6, 0.5, 0.25, 0.7, 0.4])
    return [Example(student_quantile, (k, p))]


def _meaning(k: Any, p: Any) -> Any:
    value = np.where(p == 0, -math.inf, scipy_special("stdtrit")(k, p))  # scipy's 0 has inf
    return np.where(k > 0, value, math.nan)


@public
def student_quantile(df: Any, p: Any, /) -> Tensor:
    """The place up to which numbers of Student's distribution lie with probability p.

    df: degrees of freedom, > 0; inf is the normal distribution. Computed in float64.
    """
    return QUANTILE(*(floating(tensor) for tensor in promote_inputs("student_quantile", df, p)))


QUANTILE = register_composed(
    "student_quantile",
    build=_quantile,
    reference=_meaning,
    partials=(double_partial(_by_degrees), double_partial(_by_probability)),
    examples=_examples,
)
