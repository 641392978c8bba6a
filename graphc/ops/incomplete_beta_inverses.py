"""The inverses of the incomplete beta function and its complement by their third argument.

The places are found as odds x / (1 - x), which lose no digits near 1. They start from a normal
number (M. Abramowitz and I. Stegun, "Handbook of Mathematical Functions", 26.5.22) or from the two
powers at the ends, and solve for the logarithm of the smaller tail. With odds s, I <= s^a / a B(a,
b) bounds them from below and 1 - I <= s^-b / b B(a, b) from above.
"""

import math
from typing import Any

import numpy as np

from graphc.ir.opdef import Example, Generator
from graphc.ir.registry import Builder, public
from graphc.ir.tensor import Tensor
from graphc.ops.composed import double_partial, register_composed, scipy_special
from graphc.ops.definition import floating, promote_inputs
from graphc.ops.incomplete_beta import exponent_share, log_density, log_tails
from graphc.ops.tail_places import LEAST, MOST, tail_place

__all__ = ["betainccinv", "betaincinv"]

_LOG_LEAST = math.log(LEAST)


def _shares(b: Builder, odds: Tensor) -> tuple[Tensor, Tensor]:
    """x and 1 - x, both above 0"""
    rest = 1 / (1 + odds)
    return odds * rest, rest


def _log_start(b: Builder, a: Tensor, c: Tensor, p: Tensor, log_lower: Any, log_upper: Any) -> Any:
    """The logarithm of odds near the place of the lower tail p."""
    twice_a, twice_c = 2 * b.maximum(a, 1) - 1, 2 * b.maximum(c, 1) - 1
    y = -b.ndtri(p)
    level = (b.square(y) - 3) / 6
    h = 2 / (1 / twice_a + 1 / twice_c)
    w = y * b.sqrt(b.maximum(h + level, 0)) / h
    w = w - (1 / twice_c - 1 / twice_a) * (level + 5 / 6 - 2 / (3 * h))
    many = b.log(a) - b.log(c) - 2 * w
    # I is near x^a / a w below, 1 - I near (1 - x)^c / c w above: Press et al., "Numerical Recipes"
    low = a * (b.log(a) - b.log(a + c)) - b.log(a)
    high = c * (b.log(c) - b.log(a + c)) - b.log(c)
    both = b.logaddexp(low, high)
    near_zero = b.minimum((b.log(a) + both + log_lower) / a, -LEAST)
    near_one = b.minimum((b.log(c) + both + log_upper) / c, -LEAST)
    few = b.where(
        b.less(log_lower, low - both),
        near_zero - b.log(-b.expm1(near_zero)),
        b.log(-b.expm1(near_one)) - near_one,
    )
    return b.where(b.greater(b.minimum(a, c), 1), many, few)


def _odds(b: Builder, a: Tensor, c: Tensor, p: Tensor) -> Tensor:
    """With the limits: 0 at p = 0, inf at p = 1; 0 for b = inf and inf for a = inf."""
    probable = b.logical_and(b.greater(p, 0), b.less(p, 1))
    positive = b.logical_and(b.greater(b.minimum(a, c), 0), b.isfinite(b.maximum(a, c)))
    inside = b.logical_and(probable, positive)
    a_held, c_held = (b.where(inside, b.maximum(value, LEAST), 1) for value in (a, c))
    q = b.where(inside, p, 0.25)
    below = b.less_equal(q, 0.5)
    small = b.where(below, q, 1 - q)
    log_small, log_rest = b.log(small), b.log1p(-small)
    log_lower, log_upper = b.where(below, log_small, log_rest), b.where(below, log_rest, log_small)
    log_beta = b.betaln(a_held, c_held)
    least = (log_lower + b.log(a_held) + log_beta) / a_held
    most = -(log_upper + b.log(c_held) + log_beta) / c_held

    def tail(odds: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, y = _shares(b, odds)
        value = b.where(below, *log_tails(b, a_held, c_held, x, y))
        share = b.exp(log_density(b, a_held, c_held, x, y) - value)
        slope = b.where(below, share, -share)
        return value, slope, slope * (a_held * y - c_held * x - slope)

    log_start = _log_start(b, a_held, c_held, q, log_lower, log_upper)
    start = b.exp(b.minimum(b.maximum(log_start, least), most))
    odds = tail_place(b, tail, log_small, start)
    odds = b.where(b.less(least, _LOG_LEAST), b.exp(least), odds)
    odds = b.where(b.greater(most, -_LOG_LEAST), b.exp(most), odds)
    valid = b.logical_and(b.greater(b.minimum(a, c), 0), b.isfinite(b.minimum(a, c)))
    between = b.where(b.isinf(a), math.inf, b.where(b.isinf(c), 0.0, math.nan))
    edge = b.where(b.equal(p, 0), 0.0, b.where(b.equal(p, 1), math.inf, between))
    known = b.logical_and(valid, b.logical_and(b.greater_equal(p, 0), b.less_equal(p, 1)))
    return b.where(inside, odds, b.where(known, edge, math.nan))


def _held(b: Builder, a: Tensor, c: Tensor, p: Tensor) -> tuple[Tensor, ...]:
    """Whether the odds are inside of their range; they, a and b held there; the odds."""
    odds = b.beta_odds(a, c, p)
    inside = b.logical_and(b.greater(odds, LEAST), b.less(odds, MOST))
    held = (b.where(inside, value, 1) for value in (odds, a, c))
    return inside, *held, odds


def _pace(b: Builder, odds: Tensor, bounded: bool) -> Tensor:
    """How fast the odds, or x, move with the logarithm of the odds"""
    x, y = _shares(b, odds)
    return x * y if bounded else odds


def _by_probability(b: Builder, a: Tensor, c: Tensor, p: Tensor, bounded: bool = False) -> Tensor:
    inside, held, a_held, c_held, odds = _held(b, a, c, p)
    pace = b.log(_pace(b, held, bounded))
    slope = b.exp(pace - log_density(b, a_held, c_held, *_shares(b, held)))
    at_zero = _end_slope(b, a, c)
    at_one = _end_slope(b, c, a) if bounded else math.inf
    edge = b.where(b.less(odds, 1), at_zero, b.where(b.isnan(odds), odds, at_one))
    return b.where(inside, slope, edge)


def _end_slope(b: Builder, a: Tensor, c: Tensor) -> Tensor:
    """dx/dp at p = 0, where p is near x^a / a B(a, b)"""
    slope = b.where(b.less(a, 1), 0.0, b.where(b.equal(a, 1), 1 / c, math.inf))
    return b.where(b.isinf(c), 0.0, slope)


def _by_exponent(
    b: Builder, a: Tensor, c: Tensor, p: Tensor, by: int, bounded: bool = False
) -> Tensor:
    inside, held, a_held, c_held, odds = _held(b, a, c, p)
    share, *_ = exponent_share(b, a_held, c_held, *_shares(b, held), by)
    slope = -_pace(b, held, bounded) * share
    return b.where(inside, slope, b.where(b.isnan(odds), odds, 0))


def _examples(function: Any) -> Any:
    """One: it is a large graph."""

    def examples(rng: Generator) -> list[Example]:
        a = np.array([0.3, 1.0, 2.5, 7.5, 9.0, 40.0])
        c = np.array([2.0, 1.7, 2.5, 30.0, 8.5, 41.0])
        p = np.array([0.4, 0.3, 0.75, 0.25, 0.5, 0.6])
        return [Example(function, (a, c, p))]

    return examples


def _meaning(a: np.ndarray, c: np.ndarray, p: np.ndarray) -> Any:
    with np.errstate(divide="ignore"):
        return 1 / (1 / scipy_special("betaincinv")(a, c, p) - 1)


@public
def beta_odds(a: Any, b: Any, p: Any, /) -> Tensor:
    """x / (1 - x) for the x of betainc(a, b, x) = p, with all digits also where x is near 1."""
    return ODDS(*(floating(tensor) for tensor in promote_inputs("beta_odds", a, b, p)))


ODDS = register_composed(
    "beta_odds",
    build=_odds,
    reference=_meaning,
    partials=(
        double_partial(lambda b, a, c, p: _by_exponent(b, a, c, p, by=0)),
        double_partial(lambda b, a, c, p: _by_exponent(b, a, c, p, by=1)),
        double_partial(_by_probability),
    ),
    examples=_examples(beta_odds),
)


# --- public functions ----------------------------------------------------------------------------


def _lower(b: Builder, a: Tensor, c: Tensor, p: Tensor) -> Tensor:
    """odds / (1 + odds)"""
    odds = b.beta_odds(a, c, p)
    large = b.greater(odds, 1)
    above = 1 / (1 + 1 / b.where(large, odds, 1))
    return b.where(large, above, odds / (1 + b.where(large, 1, odds)))


def _upper(b: Builder, a: Tensor, c: Tensor, q: Tensor) -> Tensor:
    """1 - x is the place of the lower tail q for exponents in the other order."""
    return 1 / (1 + b.beta_odds(c, a, q))


@public
def betaincinv(a: Any, b: Any, p: Any, /) -> Tensor:
    """The x of betainc(a, b, x) = p, from 0 at p = 0 to 1 at p = 1.

    It is the place up to which beta numbers of a and b lie with probability p.
    a, b, p: shapes that broadcast, any dtype; integers and bool become float32. Result: the
    promoted dtype. NaN where a <= 0, b <= 0 or p is outside of [0, 1]. Computed in float64; a
    relative error of p near 1e-14 moves x by that over the slope of log(p) by log(x), more where a
    or b is below 1e-2. Gradients by the implicit function theorem. Raises ShapeError where the
    shapes do not broadcast.
    """
    return LOWER(*(floating(tensor) for tensor in promote_inputs("betaincinv", a, b, p)))


@public
def betainccinv(a: Any, b: Any, q: Any, /) -> Tensor:
    """The x of betaincc(a, b, x) = q, from 1 at q = 0 to 0 at q = 1.

    It keeps its digits for small q. Arguments, result and errors as for betaincinv.
    """
    return UPPER(*(floating(tensor) for tensor in promote_inputs("betainccinv", a, b, q)))


LOWER = register_composed(
    "betaincinv",
    build=_lower,
    reference=scipy_special("betaincinv"),
    partials=(
        double_partial(lambda b, a, c, p: _by_exponent(b, a, c, p, 0, bounded=True)),
        double_partial(lambda b, a, c, p: _by_exponent(b, a, c, p, 1, bounded=True)),
        double_partial(lambda b, a, c, p: _by_probability(b, a, c, p, bounded=True)),
    ),
    examples=_examples(betaincinv),
)
UPPER = register_composed(
    "betainccinv",
    build=_upper,
    reference=scipy_special("betainccinv"),
    partials=(
        double_partial(lambda b, a, c, q: -_by_exponent(b, c, a, q, 1, bounded=True)),
        double_partial(lambda b, a, c, q: -_by_exponent(b, c, a, q, 0, bounded=True)),
        double_partial(lambda b, a, c, q: -_by_probability(b, c, a, q, bounded=True)),
    ),
    examples=_examples(betainccinv),
)
