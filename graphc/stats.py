"""Densities and distribution functions, as `gc.stats.norm.logpdf`: the names of scipy.stats.

Each distribution has methods of a place x, its shape parameters, then loc and scale, by position or
by name: `gc.stats.gamma.logpdf(x, a, scale=2.0)`; `ppf` and `isf` are of a probability. All of them
broadcast and have gradients; floats, and integers become float32. Outside of the support a density
is 0 and its logarithm -inf. All are NaN where x is, and where a parameter is outside of its domain:
scale=0, a probability of 2. To draw numbers, see `gc.random`.
"""

import math
from typing import TYPE_CHECKING

from graphc.distributions import DiscreteDistribution, Distribution
from graphc.ir.registry import BUILDER
from graphc.ir.tensor import Tensor
from graphc.other_names import missing
from graphc.tails import (
    beta_log_survival,
    bounded_exp,
    bounded_power,
    cauchy_quantile,
    half_cauchy_quantile,
    laplace_log_cdf,
    log_complement,
    log_of_one_and_square,
    quotient_log_tail,
    quotient_tail,
    student_cdf,
    student_log_cdf,
)

b = BUILDER

__all__ = [
    "bernoulli",
    "beta",
    "binom",
    "cauchy",
    "chi2",
    "expon",
    "f",
    "gamma",
    "geom",
    "gumbel_l",
    "gumbel_r",
    "halfcauchy",
    "halfnorm",
    "invgamma",
    "laplace",
    "logistic",
    "lognorm",
    "nbinom",
    "norm",
    "pareto",
    "poisson",
    "rayleigh",
    "t",
    "uniform",
    "weibull_min",
]

_LOG_ROOT = 0.5 * math.log(2 * math.pi)


def __dir__() -> list[str]:
    return __all__


if not TYPE_CHECKING:  # a checker of types is to find such names

    def __getattr__(name: str) -> object:
        raise missing("stats", name, __all__)


def _is_probability(p: Tensor) -> Tensor:
    return b.logical_and(b.greater_equal(p, 0), b.less_equal(p, 1))


norm = Distribution(
    "norm",
    (),
    lambda z: -0.5 * b.square(z) - _LOG_ROOT,
    lambda z: b.ndtr(z),
    log_cdf=lambda z: b.log_ndtr(z),
    survival=lambda z: b.ndtr(-z),
    log_survival=lambda z: b.log_ndtr(-z),
    quantile=lambda p: b.ndtri(p),
    upper_quantile=lambda q: -b.ndtri(q),
    doc="The normal distribution, exp(-z**2 / 2) / sqrt(2 pi).",
)
uniform = Distribution(
    "uniform",
    (),
    lambda z: z * 0,
    lambda z: z,
    log_survival=lambda z: b.log1p(-z),
    quantile=lambda p: p,
    upper_quantile=lambda q: 1 - q,
    low=0,
    high=1,
    doc="1 from 0 to 1.",
)
expon = Distribution(
    "expon",
    (),
    lambda z: -z,
    lambda z: -b.expm1(-z),
    log_cdf=lambda z: log_complement(z),
    survival=lambda z: b.exp(-z),
    log_survival=lambda z: -z,
    quantile=lambda p: -b.log1p(-p),
    upper_quantile=lambda q: -b.log(q),
    low=0,
    doc="The exponential distribution, exp(-z) for z >= 0.",
)
gamma = Distribution(
    "gamma",
    ("a",),
    lambda z, a: b.xlogy(a - 1, z) - z - b.gammaln(a),
    lambda z, a: b.gammainc(a, z),
    log_cdf=lambda z, a: b.log_gammainc(a, z),
    survival=lambda z, a: b.gammaincc(a, z),
    log_survival=lambda z, a: b.log_gammaincc(a, z),
    quantile=lambda p, a: b.gammaincinv(a, p),
    upper_quantile=lambda q, a: b.gammainccinv(a, q),
    low=0,
    doc="The gamma distribution, z**(a - 1) exp(-z) / gamma(a) for z >= 0.",
)
beta = Distribution(
    "beta",
    ("a", "b"),
    lambda z, p, q: b.xlogy(p - 1, z) + b.xlog1py(q - 1, -z) - b.betaln(p, q),
    lambda z, p, q: b.betainc(p, q, z),
    log_cdf=lambda z, p, q: b.log_betainc(p, q, z),
    survival=lambda z, p, q: b.betaincc(p, q, z),
    log_survival=lambda z, p, q: beta_log_survival(z, p, q),
    quantile=lambda p, a, c: b.betaincinv(a, c, p),
    upper_quantile=lambda q, a, c: b.betainccinv(a, c, q),
    low=0,
    high=1,
    doc="The beta distribution, z**(a - 1) (1 - z)**(b - 1) / beta(a, b) from 0 to 1.",
)
chi2 = Distribution(
    "chi2",
    ("df",),
    lambda z, k: b.xlogy(k / 2 - 1, z) - z / 2 - b.gammaln(k / 2) - k * (math.log(2) / 2),
    lambda z, k: b.gammainc(k / 2, z / 2),
    log_cdf=lambda z, k: b.log_gammainc(k / 2, z / 2),
    survival=lambda z, k: b.gammaincc(k / 2, z / 2),
    log_survival=lambda z, k: b.log_gammaincc(k / 2, z / 2),
    quantile=lambda p, k: 2 * b.gammaincinv(k / 2, p),
    upper_quantile=lambda q, k: 2 * b.gammainccinv(k / 2, q),
    low=0,
    doc="Chi squared: the sum of the squares of df normal numbers.",
)
f = Distribution(
    "f",
    ("dfn", "dfd"),
    lambda z, k, m: (
        (b.xlogy(k / 2, k / m) + b.xlogy(k / 2 - 1, z) - (k + m) / 2 * b.log1p(k * z / m))
        - b.betaln(k / 2, m / 2)
    ),
    lambda z, k, m: quotient_tail(z, k, m, upper=False),
    log_cdf=lambda z, k, m: quotient_log_tail(z, k, m, upper=False),
    survival=lambda z, k, m: quotient_tail(z, k, m, upper=True),
    log_survival=lambda z, k, m: quotient_log_tail(z, k, m, upper=True),
    quantile=lambda p, k, m: b.beta_odds(k / 2, m / 2, p) * (m / k),
    upper_quantile=lambda q, k, m: (m / k) / b.beta_odds(m / 2, k / 2, q),
    low=0,
    doc="The quotient of chi squared numbers of dfn and dfd, each over its degrees of freedom.",
)
cauchy = Distribution(
    "cauchy",
    (),
    lambda z: -log_of_one_and_square(z) - math.log(math.pi),
    lambda z: b.atan2(b.ones_like(z), -z) / math.pi,
    survival=lambda z: b.atan2(b.ones_like(z), z) / math.pi,
    quantile=lambda p: cauchy_quantile(p),
    upper_quantile=lambda q: -cauchy_quantile(q),
    doc="Cauchy's distribution, 1 / (pi (1 + z**2)).",
)
laplace = Distribution(
    "laplace",
    (),
    lambda z: -b.abs(z) - math.log(2),
    lambda z: b.where(z < 0, 0.5 * b.exp(-b.abs(z)), 1 - 0.5 * b.exp(-b.abs(z))),
    survival=lambda z: b.where(z > 0, 0.5 * b.exp(-b.abs(z)), 1 - 0.5 * b.exp(-b.abs(z))),
    log_cdf=lambda z: laplace_log_cdf(z),
    log_survival=lambda z: laplace_log_cdf(-z),
    quantile=lambda p: b.where(p < 0.5, b.log(2 * p), -b.log(2 * (1 - p))),
    upper_quantile=lambda q: b.where(q < 0.5, -b.log(2 * q), b.log(2 * (1 - q))),
    doc="Laplace's distribution, exp(-abs(z)) / 2.",
)
logistic = Distribution(
    "logistic",
    (),
    lambda z: -b.abs(z) - 2 * b.softplus(-b.abs(z)),
    lambda z: b.sigmoid(z),
    log_cdf=lambda z: -b.softplus(-z),
    survival=lambda z: b.sigmoid(-z),
    log_survival=lambda z: -b.softplus(z),
    quantile=lambda p: b.logit(p),
    upper_quantile=lambda q: -b.logit(q),
    doc="The logistic distribution, exp(-z) / (1 + exp(-z))**2.",
)
gumbel_r = Distribution(
    "gumbel_r",
    (),
    lambda z: -z - b.exp(-z),
    lambda z: b.exp(-bounded_exp(-z)),
    log_cdf=lambda z: -b.exp(-z),
    survival=lambda z: -b.expm1(-bounded_exp(-z)),
    log_survival=lambda z: log_complement(bounded_exp(-z), -z),
    quantile=lambda p: -b.log(-b.log(p)),
    upper_quantile=lambda q: -b.log(-b.log1p(-q)),
    doc="Gumbel's distribution of the largest of many, exp(-z - exp(-z)).",
)
gumbel_l = Distribution(
    "gumbel_l",
    (),
    lambda z: z - b.exp(z),
    lambda z: -b.expm1(-bounded_exp(z)),
    log_cdf=lambda z: log_complement(bounded_exp(z), z),
    survival=lambda z: b.exp(-bounded_exp(z)),
    log_survival=lambda z: -b.exp(z),
    quantile=lambda p: b.log(-b.log1p(-p)),
    upper_quantile=lambda q: b.log(-b.log(q)),
    doc="Gumbel's distribution of the smallest of many, exp(z - exp(z)).",
)
weibull_min = Distribution(
    "weibull_min",
    ("c",),
    lambda z, c: b.log(c) + b.xlogy(c - 1, z) - z**c,
    lambda z, c: -b.expm1(-bounded_power(z, c)),
    log_cdf=lambda z, c: log_complement(bounded_power(z, c), c * b.log(z)),
    survival=lambda z, c: b.exp(-bounded_power(z, c)),
    log_survival=lambda z, c: -(z**c),
    quantile=lambda p, c: (-b.log1p(-p)) ** (1 / c),
    upper_quantile=lambda q, c: (-b.log(q)) ** (1 / c),
    low=0,
    doc="Weibull's distribution, c z**(c - 1) exp(-z**c) for z >= 0.",
)
rayleigh = Distribution(
    "rayleigh",
    (),
    lambda z: b.log(z) - 0.5 * b.square(z),
    lambda z: -b.expm1(-0.5 * b.square(z)),
    log_cdf=lambda z: log_complement(0.5 * b.square(z), 2 * b.log(z) - math.log(2)),
    survival=lambda z: b.exp(-0.5 * b.square(z)),
    log_survival=lambda z: -0.5 * b.square(z),
    quantile=lambda p: b.sqrt(-2 * b.log1p(-p)),
    upper_quantile=lambda q: b.sqrt(-2 * b.log(q)),
    low=0,
    doc="Rayleigh's distribution, z exp(-z**2 / 2) for z >= 0.",
)
halfnorm = Distribution(
    "halfnorm",
    (),
    lambda z: math.log(2) - _LOG_ROOT - 0.5 * b.square(z),
    lambda z: b.erf(z * math.sqrt(0.5)),
    survival=lambda z: b.erfc(z * math.sqrt(0.5)),
    log_survival=lambda z: b.where(
        z < 1, b.log1p(-b.erf(z * math.sqrt(0.5))), b.log_ndtr(-z) + math.log(2)
    ),
    quantile=lambda p: b.erfinv(p) * math.sqrt(2),
    upper_quantile=lambda q: -b.ndtri(0.5 * q),
    low=0,
    doc="The absolute value of normal numbers, sqrt(2 / pi) exp(-z**2 / 2) for z >= 0.",
)
halfcauchy = Distribution(
    "halfcauchy",
    (),
    lambda z: math.log(2 / math.pi) - log_of_one_and_square(z),
    lambda z: b.atan(z) * (2 / math.pi),
    survival=lambda z: b.atan2(b.ones_like(z), z) * (2 / math.pi),
    quantile=lambda p: half_cauchy_quantile(p, 1 - p),
    upper_quantile=lambda q: half_cauchy_quantile(1 - q, q),
    low=0,
    doc="The absolute value of Cauchy's numbers, 2 / (pi (1 + z**2)) for z >= 0.",
)
invgamma = Distribution(
    "invgamma",
    ("a",),
    lambda z, a: -(a + 1) * b.log(z) - b.gammaln(a) - 1 / z,
    lambda z, a: b.gammaincc(a, 1 / z),
    log_cdf=lambda z, a: b.log_gammaincc(a, 1 / z),
    survival=lambda z, a: b.gammainc(a, 1 / z),
    log_survival=lambda z, a: b.log_gammainc(a, 1 / z),
    quantile=lambda p, a: 1 / b.gammainccinv(a, p),
    upper_quantile=lambda q, a: 1 / b.gammaincinv(a, q),
    low=0,
    open_low=True,
    doc="1 / y for gamma numbers y: z**(-a - 1) exp(-1 / z) / gamma(a) for z > 0.",
)
lognorm = Distribution(
    "lognorm",
    ("s",),
    lambda z, s: -0.5 * b.square(b.log(z) / s) - b.log(s * z) - _LOG_ROOT,
    lambda z, s: b.ndtr(b.log(z) / s),
    log_cdf=lambda z, s: b.log_ndtr(b.log(z) / s),
    survival=lambda z, s: b.ndtr(-b.log(z) / s),
    log_survival=lambda z, s: b.log_ndtr(-b.log(z) / s),
    quantile=lambda p, s: b.exp(s * b.ndtri(p)),
    upper_quantile=lambda q, s: b.exp(-s * b.ndtri(q)),
    low=0,
    open_low=True,
    doc="exp(s y) for normal y: exp(-log(z)**2 / (2 s**2)) / (s z sqrt(2 pi)) for z > 0.",
)
pareto = Distribution(
    "pareto",
    ("b",),
    lambda z, p: b.log(p) - (p + 1) * b.log(z),
    lambda z, p: -b.expm1(-p * b.log(z)),
    survival=lambda z, p: b.exp(-p * b.log(z)),
    log_cdf=lambda z, p: log_complement(p * b.log(z)),
    log_survival=lambda z, p: -p * b.log(z),
    quantile=lambda q, p: b.exp(-b.log1p(-q) / p),
    upper_quantile=lambda q, p: b.exp(-b.log(q) / p),
    low=1,
    inside=2,
    doc="Pareto's distribution, b / z**(b + 1) for z >= 1.",
)
t = Distribution(
    "t",
    ("df",),
    lambda z, k: b.student_log_density(k, z),
    lambda z, k: student_cdf(z, k),
    log_cdf=lambda z, k: student_log_cdf(z, k),
    survival=lambda z, k: student_cdf(-z, k),
    log_survival=lambda z, k: student_log_cdf(-z, k),
    quantile=lambda p, k: b.student_quantile(k, p),
    upper_quantile=lambda q, k: -b.student_quantile(k, q),
    doc="Student's distribution with df degrees of freedom; inf is the normal distribution.",
)
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
    domain=lambda n, p: b.logical_and(
        b.logical_and(b.greater_equal(n, 0), b.equal(n, b.floor(n))), _is_probability(p)
    ),
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
