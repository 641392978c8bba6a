"""Distributions of whole numbers."""

import math

from graphc.ir.registry import BUILDER
from graphc.ir.tensor import Tensor
from graphc.stats.counts import (
    beta_binomial_log_pmf,
    beta_binomial_ratio,
    hypergeometric_log_pmf,
    hypergeometric_ratio,
    summed_tails,
)
from graphc.stats.distribution import DiscreteDistribution
from graphc.stats.tails import log_complement

b = BUILDER


def _is_probability(p: Tensor) -> Tensor:
    return b.logical_and(b.greater_equal(p, 0), b.less_equal(p, 1))


def _is_whole(n: Tensor) -> Tensor:
    known = b.logical_and(b.greater_equal(n, 0), b.isfinite(n))
    return b.logical_and(known, b.equal(n, b.floor(n)))


bernoulli = DiscreteDistribution(
    "bernoulli",
    ("p",),
    lambda k, p: b.xlogy(k, p) + b.xlog1py(1 - k, -p),
    lambda k, p: b.where(k >= 1, 1, 1 - p + k),
    survival=lambda k, p: p * (1 - k),
    quantile=lambda q, p: p,
    low=0,
    high=1,
    domain=lambda p: _is_probability(p),
    doc="1 with probability p, else 0.",
)
binom = DiscreteDistribution(
    "binom",
    ("n", "p"),
    lambda k, n, p: (
        (b.gammaln(n + 1) - b.gammaln(k + 1) - b.gammaln(n - k + 1))
        + (b.xlogy(k, p) + b.xlog1py(n - k, -p))
    ),
    lambda k, n, p: b.where(
        k >= n, b.ones_like(p), b.betainc(b.where(k >= n, 1, n - k), k + 1, 1 - p)
    ),
    log_cdf=lambda k, n, p: b.where(
        k >= n, b.zeros_like(p), b.log_betainc(b.where(k >= n, 1, n - k), k + 1, 1 - p)
    ),
    survival=lambda k, n, p: b.where(
        k >= n, b.zeros_like(p), b.betainc(k + 1, b.where(k >= n, 1, n - k), p)
    ),
    log_survival=lambda k, n, p: b.where(
        k >= n, -math.inf, b.log_betainc(k + 1, b.where(k >= n, 1, n - k), p)
    ),
    quantile=lambda q, n, p: n * p + b.ndtri(q) * b.sqrt(n * p * (1 - p)),
    low=0,
    high=lambda n, p: n,
    domain=lambda n, p: b.logical_and(_is_whole(n), _is_probability(p)),
    doc="How many of n trials succeed, each with probability p.",
)
geom = DiscreteDistribution(
    "geom",
    ("p",),
    lambda k, p: b.xlog1py(k - 1, -p) + b.log(p),
    lambda k, p: -b.expm1(b.xlog1py(k, -p)),
    log_cdf=lambda k, p: log_complement(-b.xlog1py(k, -p)),
    survival=lambda k, p: b.exp(b.xlog1py(k, -p)),
    log_survival=lambda k, p: b.xlog1py(k, -p),
    quantile=lambda q, p: b.log1p(-q) / b.log1p(-p),
    low=1,
    domain=lambda p: b.logical_and(b.greater(p, 0), b.less_equal(p, 1)),
    doc="The number of the first trial that succeeds, each with probability p.",
)
nbinom = DiscreteDistribution(
    "nbinom",
    ("n", "p"),
    lambda k, n, p: (
        (b.gammaln(n + k) - b.gammaln(k + 1) - b.gammaln(n)) + n * b.log(p) + b.xlog1py(k, -p)
    ),
    lambda k, n, p: b.betainc(n, k + 1, p),
    log_cdf=lambda k, n, p: b.log_betainc(n, k + 1, p),
    survival=lambda k, n, p: b.betainc(k + 1, n, 1 - p),
    log_survival=lambda k, n, p: b.log_betainc(k + 1, n, 1 - p),
    quantile=lambda q, n, p: (n * (1 - p) + b.ndtri(q) * b.sqrt(n * (1 - p))) / p,
    low=0,
    domain=lambda n, p: b.logical_and(
        b.greater(n, 0), b.logical_and(b.greater(p, 0), b.less_equal(p, 1))
    ),
    doc="How many trials fail before n have succeeded, each with probability p.",
)
poisson = DiscreteDistribution(
    "poisson",
    ("mu",),
    lambda k, mu: b.xlogy(k, mu) - b.gammaln(k + 1) - mu,
    lambda k, mu: b.gammaincc(k + 1, mu),
    log_cdf=lambda k, mu: b.log_gammaincc(k + 1, mu),
    log_survival=lambda k, mu: b.log_gammainc(k + 1, mu),
    survival=lambda k, mu: b.gammainc(k + 1, mu),
    quantile=lambda q, mu: mu + b.ndtri(q) * b.sqrt(mu),
    low=0,
    domain=lambda mu: b.greater_equal(mu, 0),
    doc="How many events happen where mu are expected: mu**k exp(-mu) / k!.",
)
betabinom = DiscreteDistribution(
    "betabinom",
    ("n", "a", "b"),
    beta_binomial_log_pmf,
    **summed_tails(
        beta_binomial_log_pmf, beta_binomial_ratio, lambda n, p, q: 0, lambda n, p, q: n
    ),
    quantile=lambda u, n, p, q: n * b.betaincinv(p, q, u),
    low=0,
    high=lambda n, p, q: n,
    domain=lambda n, p, q: b.logical_and(
        _is_whole(n), b.logical_and(b.greater(p, 0), b.greater(q, 0))
    ),
    doc="How many of n trials succeed, all with one probability that has the beta distribution.",
)
hypergeom = DiscreteDistribution(
    "hypergeom",
    ("M", "n", "N"),
    hypergeometric_log_pmf,
    **summed_tails(
        hypergeometric_log_pmf,
        hypergeometric_ratio,
        lambda m, n, k: b.maximum(0, k - (m - n)),
        lambda m, n, k: b.minimum(n, k),
    ),
    quantile=lambda u, m, n, k: k * n / m + b.ndtri(u) * b.sqrt(k * n / m * (1 - n / m)),
    low=lambda m, n, k: b.maximum(0, k - (m - n)),
    high=lambda m, n, k: b.minimum(n, k),
    domain=lambda m, n, k: b.logical_and(
        b.logical_and(_is_whole(n), _is_whole(k)),
        b.logical_and(_is_whole(m), b.less_equal(b.maximum(n, k), m)),
    ),
    doc="How many of n marked ones are among N drawn out of M, none of them twice.",
)
randint = DiscreteDistribution(
    "randint",
    ("low", "high"),
    lambda k, low, high: k * 0 - b.log(high - low),
    lambda k, low, high: (k + 1 - low) / (high - low),
    survival=lambda k, low, high: (high - 1 - k) / (high - low),
    quantile=lambda u, low, high: low + u * (high - low) - 1,
    low=lambda low, high: low,
    high=lambda low, high: high - 1,
    domain=lambda low, high: b.logical_and(
        b.less(low, high),
        b.logical_and(b.equal(low, b.floor(low)), b.equal(high, b.floor(high))),
    ),
    doc="Whole numbers from low to high - 1, all as probable.",
)
