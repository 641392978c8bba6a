"""Distributions on an interval."""

import math

from graphc.ir.registry import BUILDER
from graphc.stats.distribution import Distribution
from graphc.stats.normal_tails import (
    truncated_log_density,
    truncated_log_lower,
    truncated_log_upper,
    truncated_slopes,
    truncated_start,
)
from graphc.stats.places import quantiles, tails
from graphc.stats.tails import (
    beta_log_survival,
    log_complement,
    log_quotient,
    truncated_exponential_place,
)

b = BUILDER

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
triang = Distribution(
    "triang",
    ("c",),
    lambda z, c: (
        math.log(2) + b.where(b.equal(z, c), 0, b.log(b.where(z < c, z / c, (1 - z) / (1 - c))))
    ),
    lambda z, c: b.where(z < c, b.square(z) / c, 1 - b.square(1 - z) / b.where(c < 1, 1 - c, 1)),
    survival=lambda z, c: b.where(
        z < c, 1 - b.square(z) / c, b.square(1 - z) / b.where(c < 1, 1 - c, 1)
    ),
    quantile=lambda p, c: b.where(p < c, b.sqrt(p * c), 1 - b.sqrt((1 - p) * (1 - c))),
    upper_quantile=lambda q, c: b.where(q > 1 - c, b.sqrt((1 - q) * c), 1 - b.sqrt(q * (1 - c))),
    low=0,
    high=1,
    domain=lambda c: b.logical_and(b.greater_equal(c, 0), b.less_equal(c, 1)),
    doc="A triangle over 0 to 1 with its top at c.",
)
powerlaw = Distribution(
    "powerlaw",
    ("a",),
    lambda z, a: b.log(a) + b.xlogy(a - 1, z),
    lambda z, a: z**a,
    log_cdf=lambda z, a: a * b.log(z),
    survival=lambda z, a: -b.expm1(a * b.log(z)),
    log_survival=lambda z, a: log_complement(-a * b.log(z)),
    quantile=lambda p, a: p ** (1 / a),
    upper_quantile=lambda q, a: b.exp(b.log1p(-q) / a),
    low=0,
    high=1,
    doc="a z**(a - 1) from 0 to 1.",
)
loguniform = Distribution(
    "loguniform",
    ("a", "b"),
    lambda z, low, high: -b.log(z) - b.log(log_quotient(high, low)),
    lambda z, low, high: log_quotient(z, low) / log_quotient(high, low),
    survival=lambda z, low, high: log_quotient(high, z) / log_quotient(high, low),
    quantile=lambda p, low, high: low * b.exp(p * log_quotient(high, low)),
    upper_quantile=lambda q, low, high: high * b.exp(-q * log_quotient(high, low)),
    low=lambda low, high: low,
    high=lambda low, high: high,
    inside=lambda low, high: low,
    domain=lambda low, high: b.logical_and(b.greater(low, 0), b.less(low, high)),
    doc="1 / (z log(b / a)) from a to b, 0 < a < b: the logarithm is uniform.",
)
truncexpon = Distribution(
    "truncexpon",
    ("b",),
    lambda z, end: -z - b.log(-b.expm1(-end)),
    lambda z, end: b.expm1(-z) / b.expm1(-end),
    log_cdf=lambda z, end: log_complement(z) - log_complement(end),
    survival=lambda z, end: b.exp(-z) * b.expm1(z - end) / b.expm1(-end),
    log_survival=lambda z, end: log_complement(end - z) - z - log_complement(end),
    quantile=lambda p, end: -b.log1p(p * b.expm1(-end)),
    upper_quantile=lambda q, end: truncated_exponential_place(q, end),
    low=0,
    high=lambda end: end,
    inside=0.0,
    doc="The exponential distribution up to b, exp(-z) / (1 - exp(-b)) from 0 to b.",
)
truncnorm = Distribution(
    "truncnorm",
    ("a", "b"),
    truncated_log_density,
    **tails(truncated_log_lower, truncated_log_upper, truncated_log_density, truncated_slopes),
    **quantiles(
        truncated_log_lower,
        truncated_log_upper,
        truncated_log_density,
        truncated_slopes,
        truncated_start,
        lambda low, high: (low, high),
    ),
    low=lambda low, high: low,
    high=lambda low, high: high,
    inside=lambda low, high: b.clip(b.zeros_like(low), low, high),
    domain=lambda low, high: b.less(low, high),
    doc="The normal distribution between a and b, which count in scales from loc; may be infinite.",
)
