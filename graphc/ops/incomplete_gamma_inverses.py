"""The inverses of the incomplete gamma functions by their second argument.

They start from the first term of P's power series or from the cube of a normal number (E. Wilson
and M. Hilferty, "The distribution of chi-square", 1931), and solve for the logarithm of the smaller
tail. P(a, x) <= x^a / gamma(a + 1) bounds the place from below.
"""

import math
from typing import Any

import numpy as np

from graphc.dtypes import float64
from graphc.ir.opdef import Example, Generator
from graphc.ir.registry import Builder, public
from graphc.ir.tensor import Tensor
from graphc.ops.composed import double_partial, register_composed, scipy_special
from graphc.ops.definition import floating, promote_inputs
from graphc.ops.incomplete_gamma import log_density, tails
from graphc.ops.tail_places import LEAST, tail_place

__all__ = ["gammainccinv", "gammaincinv"]

_LOG_LEAST = math.log(LEAST)


def _start(b: Builder, a: Tensor, below: Tensor, small: Tensor, log_bound: Tensor) -> Tensor:
    """small: the smaller tail, of which `below` says whether it is the lower one."""
    deviate = b.ndtri(small) * b.where(below, 1, -1)
    root = 1 - 1 / (9 * a) + deviate / (3 * b.sqrt(a))
    cube = a * b.where(b.greater(root, 0), root, 0) ** 3
    # Q is about x^(a - 1) exp(-x) / gamma(a) far out
    fall = -b.log(small) - b.gammaln(a)
    far = b.where(b.greater(fall, 1), fall + (a - 1) * b.log(b.maximum(fall, 1)), 0)
    found = b.where(b.less(a, 1), b.where(below, 0, far), cube)
    found = b.maximum(found, b.exp(log_bound))
    return b.where(below, b.minimum(found, a), found)


def _place(b: Builder, a: Tensor, p: Tensor, upper: bool) -> Tensor:
    """With the limits of scipy: 0 and inf at the ends for a >= 0, NaN for a = 0 and a = inf."""
    probable = b.logical_and(b.greater(p, 0), b.less(p, 1))
    inside = b.logical_and(probable, b.logical_and(b.greater(a, 0), b.isfinite(a)))
    held, q = b.where(inside, b.maximum(a, LEAST), 1), b.where(inside, p, 0.25)
    half = b.less_equal(q, 0.5)
    small = b.where(half, q, 1 - q)
    below = b.logical_not(half) if upper else half
    log_small = b.log(small)
    log_lower = b.where(below, log_small, b.log1p(-small))
    log_bound = (log_lower + b.gammaln(held + 1)) / held

    def tail(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logs = tails(b, held, x, float64, logs=True)
        value = b.where(below, *logs)
        share = b.exp(log_density(b, held, x) - value)
        slope = b.where(below, share, -share)
        return value, slope, slope * (held - x - slope)

    place = tail_place(b, tail, log_small, _start(b, held, below, small, log_bound))
    place = b.where(b.less(log_bound, _LOG_LEAST), b.exp(log_bound), place)
    ends = (math.inf, 0.0) if upper else (0.0, math.inf)
    edge = b.where(b.equal(p, 0), ends[0], b.where(b.equal(p, 1), ends[1], math.nan))
    return b.where(inside, place, b.where(b.greater_equal(a, 0), edge, math.nan))


def _by_probability(function: Any, sign: float) -> Any:
    """One over the density at the place"""

    def partial(b: Builder, a: Tensor, p: Tensor) -> Tensor:
        x = function(a, p)
        inside = b.logical_and(b.greater(x, 0), b.isfinite(x))
        held = b.where(inside, x, 1)
        slope = b.exp(b.log(held) - log_density(b, a, held))
        at_zero = b.where(b.less(a, 1), 0.0, b.where(b.equal(a, 1), 1.0, math.inf))
        return sign * b.where(inside, slope, b.where(b.equal(x, 0), at_zero, x))

    return double_partial(partial)


def _by_a(function: Any) -> Any:
    def partial(b: Builder, a: Tensor, p: Tensor) -> Tensor:
        x = function(a, p)
        inside = b.logical_and(b.greater(x, 0), b.isfinite(x))
        held = b.where(inside, x, 1)
        slope = held * b.gammainc_slope(b.where(inside, a, 1), b.log(held))
        return b.where(inside, slope, b.where(b.isnan(x), x, 0))

    return double_partial(partial)


def _examples(function: Any) -> Any:
    """One: it is a large graph."""

    def examples(rng: Generator) -> list[Example]:
        a = np.array([0.3, 0.9, 2.5, 7.5, 9.0, 40.0])
        p = np.array([0.2, 0.75, 0.45, 0.3, 0.6, 0.7])
        return [Example(function, (a, p))]

    return examples


@public
def gammaincinv(a: Any, p: Any, /) -> Tensor:
    """The x of gammainc(a, x) = p, from 0 at p = 0 to inf at p = 1.

    It is the place up to which gamma numbers of shape parameter a lie with probability p.
    a, p: shapes that broadcast, any dtype; integers and bool become float32. Result: the promoted
    dtype. NaN where a < 0, where p is outside of [0, 1], and between for a = 0 and a = inf.
    Computed in float64; a relative error of p near 1e-15 moves x by that over the slope of log(p)
    by log(x). Gradients by the implicit function theorem. Raises ShapeError where the shapes do
    not broadcast.
    """
    return LOWER(*(floating(tensor) for tensor in promote_inputs("gammaincinv", a, p)))


@public
def gammainccinv(a: Any, q: Any, /) -> Tensor:
    """The x of gammaincc(a, x) = q, from inf at q = 0 to 0 at q = 1.

    It keeps its digits for small q. Arguments, result and errors as for gammaincinv.
    """
    return UPPER(*(floating(tensor) for tensor in promote_inputs("gammainccinv", a, q)))


LOWER = register_composed(
    "gammaincinv",
    build=lambda b, a, p: _place(b, a, p, upper=False),
    reference=scipy_special("gammaincinv"),
    partials=(_by_a(gammaincinv), _by_probability(gammaincinv, 1.0)),
    examples=_examples(gammaincinv),
)
UPPER = register_composed(
    "gammainccinv",
    build=lambda b, a, p: _place(b, a, p, upper=True),
    reference=scipy_special("gammainccinv"),
    partials=(_by_a(gammainccinv), _by_probability(gammainccinv, -1.0)),
    examples=_examples(gammainccinv),
)
