"""Distributions of positive numbers."""

import math

from graphc.ir.registry import BUILDER
from graphc.stats.distribution import Distribution
from graphc.stats.normal_tails import (
    invgauss_log_density,
    invgauss_log_lower,
    invgauss_log_upper,
    invgauss_slopes,
    invgauss_start,
)
from graphc.stats.places import quantiles, tails
from graphc.stats.tails import (
    LOG_ROOT,
    bounded_exp,
    bounded_power,
    half_cauchy_quantile,
    log_complement,
    log_of_one_and_square,
    log_ratio_of_power,
    power_ratio,
    quotient_log_tail,
    quotient_tail,
)

b = BUILDER

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
    lambda z: math.log(2) - LOG_ROOT - 0.5 * b.square(z),
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
    lambda z, s: -0.5 * b.square(b.log(z) / s) - b.log(s * z) - LOG_ROOT,
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
lomax = Distribution(
    "lomax",
    ("c",),
    lambda z, c: b.log(c) - (c + 1) * b.log1p(z),
    lambda z, c: -b.expm1(-c * b.log1p(z)),
    survival=lambda z, c: b.exp(-c * b.log1p(z)),
    log_cdf=lambda z, c: log_complement(c * b.log1p(z)),
    log_survival=lambda z, c: -c * b.log1p(z),
    quantile=lambda p, c: b.expm1(-b.log1p(-p) / c),
    upper_quantile=lambda q, c: b.expm1(-b.log(q) / c),
    low=0,
    doc="Pareto's distribution from 0 on, c / (1 + z)**(c + 1) for z >= 0.",
)
fisk = Distribution(
    "fisk",
    ("c",),
    lambda z, c: b.log(c) + b.xlogy(c - 1, z) - 2 * b.softplus(c * b.log(z)),
    lambda z, c: b.sigmoid(c * b.log(z)),
    log_cdf=lambda z, c: -b.softplus(-c * b.log(z)),
    survival=lambda z, c: b.sigmoid(-c * b.log(z)),
    log_survival=lambda z, c: -b.softplus(c * b.log(z)),
    quantile=lambda p, c: b.exp(b.logit(p) / c),
    upper_quantile=lambda q, c: b.exp(-b.logit(q) / c),
    low=0,
    doc="The log-logistic distribution, c z**(c - 1) / (1 + z**c)**2 for z >= 0.",
)
maxwell = Distribution(
    "maxwell",
    (),
    lambda z: math.log(2) - LOG_ROOT + 2 * b.log(z) - 0.5 * b.square(z),
    lambda z: b.gammainc(1.5, 0.5 * b.square(z)),
    log_cdf=lambda z: b.log_gammainc(1.5, 0.5 * b.square(z)),
    survival=lambda z: b.gammaincc(1.5, 0.5 * b.square(z)),
    log_survival=lambda z: b.log_gammaincc(1.5, 0.5 * b.square(z)),
    quantile=lambda p: b.sqrt(2 * b.gammaincinv(1.5, p)),
    upper_quantile=lambda q: b.sqrt(2 * b.gammainccinv(1.5, q)),
    low=0,
    doc="Maxwell's distribution, sqrt(2 / pi) z**2 exp(-z**2 / 2) for z >= 0.",
)
invgauss = Distribution(
    "invgauss",
    ("mu",),
    invgauss_log_density,
    **tails(invgauss_log_lower, invgauss_log_upper, invgauss_log_density, invgauss_slopes),
    **quantiles(
        invgauss_log_lower,
        invgauss_log_upper,
        invgauss_log_density,
        invgauss_slopes,
        invgauss_start,
        positive=True,
    ),
    low=0,
    open_low=True,
    doc="The inverse normal distribution, exp(-(z - mu)**2 / (2 z mu**2)) / sqrt(2 pi z**3) "
    "for z > 0; numpy's wald(mean, scale) is invgauss(mean / scale, scale=scale).",
)
genpareto = Distribution(
    "genpareto",
    ("c",),
    lambda z, c: b.where(b.equal(c, -1), 0, -(1 + c) * log_ratio_of_power(c, z)),
    lambda z, c: -b.expm1(-log_ratio_of_power(c, z)),
    survival=lambda z, c: b.exp(-log_ratio_of_power(c, z)),
    log_cdf=lambda z, c: log_complement(log_ratio_of_power(c, z)),
    log_survival=lambda z, c: -log_ratio_of_power(c, z),
    quantile=lambda p, c: power_ratio(c, -b.log1p(-p)),
    upper_quantile=lambda q, c: power_ratio(c, -b.log(q)),
    low=0,
    high=lambda c: b.where(c < 0, -1 / b.where(c < 0, c, -1), math.inf),
    inside=0.0,
    domain=lambda c: b.isfinite(c),
    doc="The generalized Pareto distribution, (1 + c z)**(-1 - 1 / c) for z >= 0, beyond a "
    "threshold. c of either sign; up to -1 / c where it is negative, exp(-z) where it is 0.",
)
genextreme = Distribution(
    "genextreme",
    ("c",),
    lambda z, c: (
        b.where(b.equal(c, 1), 0, (c - 1) * log_ratio_of_power(-c, z))
        - b.exp(-log_ratio_of_power(-c, z))
    ),
    lambda z, c: b.exp(-bounded_exp(-log_ratio_of_power(-c, z))),
    log_cdf=lambda z, c: -b.exp(-log_ratio_of_power(-c, z)),
    survival=lambda z, c: -b.expm1(-bounded_exp(-log_ratio_of_power(-c, z))),
    log_survival=lambda z, c: log_complement(
        bounded_exp(-log_ratio_of_power(-c, z)), -log_ratio_of_power(-c, z)
    ),
    quantile=lambda p, c: power_ratio(-c, -b.log(-b.log(p))),
    upper_quantile=lambda q, c: power_ratio(-c, -b.log(-b.log1p(-q))),
    low=lambda c: b.where(c < 0, 1 / b.where(c < 0, c, -1), -math.inf),
    high=lambda c: b.where(c > 0, 1 / b.where(c > 0, c, 1), math.inf),
    inside=0.0,
    domain=lambda c: b.isfinite(c),
    doc="The largest of many: exp(-y) y**(1 - c) with y = (1 - c z)**(1 / c). c of either sign, as "
    "scipy has it; up to 1 / c where it is positive, from 1 / c where negative, 0 is gumbel_r.",
)
