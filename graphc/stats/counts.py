"""Probabilities of counts whose tails are sums: of the beta-binomial and hypergeometric numbers."""

import math
from collections.abc import Callable
from typing import Any

from graphc.ir.registry import BUILDER
from graphc.ir.tensor import Tensor
from graphc.stats.places import joined_log

b = BUILDER
Formula = Callable[..., Tensor]


def beta_binomial_log_pmf(k: Tensor, n: Tensor, p: Tensor, q: Tensor) -> Tensor:
    choices = -b.log(n + 1) - b.betaln(n - k + 1, k + 1)
    return choices + b.betaln(k + p, n - k + q) - b.betaln(p, q)


def beta_binomial_ratio(k: Tensor, n: Tensor, p: Tensor, q: Tensor) -> Tensor:
    """pmf(k + 1) / pmf(k)"""
    return (n - k) * (k + p) / ((k + 1) * (n - k - 1 + q))


def _log_choose(n: Tensor, k: Tensor) -> Tensor:
    return -b.log(n + 1) - b.betaln(n - k + 1, k + 1)


def hypergeometric_log_pmf(k: Tensor, m: Tensor, n: Tensor, drawn: Tensor) -> Tensor:
    return _log_choose(n, k) + _log_choose(m - n, drawn - k) - _log_choose(m, drawn)


def hypergeometric_ratio(k: Tensor, m: Tensor, n: Tensor, drawn: Tensor) -> Tensor:
    """pmf(k + 1) / pmf(k)"""
    return (n - k) * (drawn - k) / ((k + 1) * (m - n - drawn + k + 1))


def summed_tails(
    log_pmf: Formula, ratio: Formula, low: Callable[..., Any], high: Callable[..., Any]
) -> dict[str, Any]:
    """cdf, log_cdf, survival and log_survival, by the names that DiscreteDistribution has for them.

    Sums of pmf(j) / pmf(k) from j = k down, and of pmf(j) / pmf(k + 1) from j = k + 1 up: as many
    steps as the longest sum has terms.
    """

    def log_sums(k: Tensor, shapes: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        first, last = (end(*shapes) + b.zeros_like(k) for end in (low, high))
        zero = b.zeros_like(first + last)
        k = k + zero

        def following(carry: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            step, down, up, below, above = carry
            lower, upper = k - step, k + 1 + step
            there, beyond = b.greater(lower, first), b.less(upper, last)
            fall = ratio(b.where(there, lower - 1, first), *shapes)
            rise = ratio(b.where(beyond, upper, first), *shapes)
            down = b.where(there, down / b.where(there, fall, 1), 0)
            up = b.where(beyond, up * b.where(beyond, rise, 1), 0)
            return step + 1, down, up, below + down, above + up

        longest = b.maximum(k - first, last - k - 1)
        longest = b.max(b.where(b.isnan(longest), 0, longest), initial=0)
        one = b.ones_like(zero)
        init = (b.zeros((), k.dtype), one, one, one, one)
        _, _, _, below, above = b.while_loop(lambda c: b.less(c[0], longest), following, init)
        ended = b.greater_equal(k, last)
        upper_log = log_pmf(b.where(ended, last, k + 1), *shapes) + b.log(above)
        return log_pmf(k, *shapes) + b.log(below), b.where(ended, -math.inf, upper_log)

    def log_cdf(k: Tensor, *shapes: Tensor) -> Tensor:
        return joined_log(*log_sums(k, shapes))

    def log_survival(k: Tensor, *shapes: Tensor) -> Tensor:
        below, above = log_sums(k, shapes)
        return joined_log(above, below)

    return {
        "cdf": lambda k, *shapes: b.exp(log_cdf(k, *shapes)),
        "log_cdf": log_cdf,
        "survival": lambda k, *shapes: b.exp(log_survival(k, *shapes)),
        "log_survival": log_survival,
    }
