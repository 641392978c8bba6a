"""Distributions on the whole line."""

import math

from graphc.ir.registry import BUILDER
from graphc.stats.distribution import Distribution
from graphc.stats.normal_tails import (
    exponnorm_log_density,
    exponnorm_log_lower,
    exponnorm_log_upper,
    exponnorm_slopes,
)
from graphc.stats.places import quantiles, tails
from graphc.stats.skew_tails import (
    skewnorm_log_density,
    skewnorm_log_lower,
    skewnorm_log_upper,
    skewnorm_slopes,
)
from graphc.stats.tails import (
    LOG_ROOT,
    asymmetric_laplace_place,
    asymmetric_laplace_tail,
    bounded_exp,
    cauchy_quantile,
    gennorm_log_cdf,
    gennorm_log_density,
    gennorm_quantile,
    laplace_log_cdf,
    log_complement,
    log_of_one_and_square,
    moyal_log_survival,
    student_cdf,
    student_log_cdf,
)

b = BUILDER

norm = Distribution(
    "norm",
    (),
    lambda z: -0.5 * b.square(z) - LOG_ROOT,
    lambda z: b.ndtr(z),
    log_cdf=lambda z: b.log_ndtr(z),
    survival=lambda z: b.ndtr(-z),
    log_survival=lambda z: b.log_ndtr(-z),
    quantile=lambda p: b.ndtri(p),
    upper_quantile=lambda q: -b.ndtri(q),
    doc="The normal distribution, exp(-z**2 / 2) / sqrt(2 pi).",
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
gennorm = Distribution(
    "gennorm",
    ("beta",),
    lambda z, p: gennorm_log_density(z, p),
    lambda z, p: b.exp(gennorm_log_cdf(z, p)),
    log_cdf=lambda z, p: gennorm_log_cdf(z, p),
    survival=lambda z, p: b.exp(gennorm_log_cdf(-z, p)),
    log_survival=lambda z, p: gennorm_log_cdf(-z, p),
    quantile=lambda q, p: gennorm_quantile(q, p),
    upper_quantile=lambda q, p: -gennorm_quantile(q, p),
    doc="The generalized normal distribution, beta exp(-abs(z)**beta) / (2 gamma(1 / beta)).",
)
laplace_asymmetric = Distribution(
    "laplace_asymmetric",
    ("kappa",),
    lambda z, k: -b.log(k + 1 / k) - b.where(z < 0, -z / k, z * k),
    lambda z, k: b.exp(asymmetric_laplace_tail(-z, 1 / k)),
    log_cdf=lambda z, k: asymmetric_laplace_tail(-z, 1 / k),
    survival=lambda z, k: b.exp(asymmetric_laplace_tail(z, k)),
    log_survival=lambda z, k: asymmetric_laplace_tail(z, k),
    quantile=lambda p, k: -asymmetric_laplace_place(p, 1 - p, 1 / k),
    upper_quantile=lambda q, k: asymmetric_laplace_place(q, 1 - q, k),
    doc="exp(-kappa z) for z >= 0 and exp(z / kappa) below, over kappa + 1 / kappa.",
)
moyal = Distribution(
    "moyal",
    (),
    lambda z: -0.5 * (z + b.exp(-z)) - LOG_ROOT,
    lambda z: 2 * b.ndtr(-bounded_exp(-0.5 * z)),
    log_cdf=lambda z: b.log_ndtr(-b.exp(-0.5 * z)) + math.log(2),
    survival=lambda z: b.erf(bounded_exp(-0.5 * z) * math.sqrt(0.5)),
    log_survival=lambda z: moyal_log_survival(z),
    quantile=lambda p: -2 * b.log(-b.ndtri(0.5 * p)),
    upper_quantile=lambda q: -2 * b.log(b.erfinv(q)) - math.log(2),
    doc="Moyal's distribution, exp(-(z + exp(-z)) / 2) / sqrt(2 pi).",
)
skewnorm = Distribution(
    "skewnorm",
    ("a",),
    skewnorm_log_density,
    **tails(skewnorm_log_lower, skewnorm_log_upper, skewnorm_log_density, skewnorm_slopes),
    **quantiles(
        skewnorm_log_lower,
        skewnorm_log_upper,
        skewnorm_log_density,
        skewnorm_slopes,
        lambda p, q, a: b.where(p < q, b.ndtri(p), -b.ndtri(q)),
    ),
    domain=lambda a: b.isfinite(a),
    doc="The skew normal distribution, 2 times its density times ndtr(a z); a of either sign.",
)
exponnorm = Distribution(
    "exponnorm",
    ("K",),
    exponnorm_log_density,
    **tails(exponnorm_log_lower, exponnorm_log_upper, exponnorm_log_density, exponnorm_slopes),
    **quantiles(
        exponnorm_log_lower,
        exponnorm_log_upper,
        exponnorm_log_density,
        exponnorm_slopes,
        lambda p, q, k: b.where(p < q, b.ndtri(p), -b.ndtri(q)) * b.sqrt(1 + b.square(k)) + k,
    ),
    doc="A normal number plus an exponential one of mean K.",
)
