"""Distribution functions, and their inverses, where a plain formula loses digits: near 0 and 1."""

import math

from graphc.ir.registry import BUILDER
from graphc.ir.tensor import Tensor

b = BUILDER
LOG_ROOT = 0.5 * math.log(2 * math.pi)


def bounded_exp(z: Tensor) -> Tensor:
    """exp(z), or a number y whose exp(-y) is 0: not infinity, which times 0 is NaN in slopes."""
    return b.exp(b.minimum(z, 80))


def bounded_power(z: Tensor, c: Tensor) -> Tensor:
    """z**c, or such a number as bounded_exp has."""
    far = b.greater(z**c, math.exp(80))
    return b.where(far, math.exp(80), b.where(far, 1, z) ** b.where(far, 1, c))


def log_complement(y: Tensor, log_y: Tensor | None = None) -> Tensor:
    """log(1 - exp(-y)) for y >= 0: log(y) where y is tiny, or too small for its dtype."""
    value = b.where(b.less(y, math.log(2)), b.log(-b.expm1(-y)), b.log1p(-b.exp(-y)))
    return value if log_y is None else b.where(b.less(y, 1e-18), log_y, value)


def log_of_one_and_square(z: Tensor) -> Tensor:
    """log(1 + z**2), whose square may be too large for its dtype."""
    far = b.greater(b.abs(z), 1e9)
    near = b.log1p(b.square(b.where(far, 1, z)))
    return b.where(far, 2 * b.log(b.where(far, b.abs(z), 1)), near)


def cauchy_quantile(p: Tensor) -> Tensor:
    """tan(pi (p - 1/2)): near an end one over the tangent of pi times the distance from it."""
    low, high = b.less(p, 0.25), b.greater(p, 0.75)
    edge = b.where(low, p, b.where(high, 1 - p, 0.25))
    steep = b.where(low, -1.0, 1.0) / b.tan(edge * math.pi)
    middle = b.tan(b.where(b.logical_or(low, high), 0, p - 0.5) * math.pi)
    return b.where(b.logical_or(low, high), steep, middle)


def _log_tail(z: Tensor, df: Tensor) -> Tensor:
    return b.student_log_tail(df, b.abs(z))


def student_cdf(z: Tensor, df: Tensor) -> Tensor:
    tail = b.exp(_log_tail(z, df))
    return b.where(b.less(z, 0), tail, 1 - tail)


def student_log_cdf(z: Tensor, df: Tensor) -> Tensor:
    log = _log_tail(z, df)
    return b.where(b.less(z, 0), log, b.log1p(-b.exp(log)))


def beta_log_survival(z: Tensor, p: Tensor, q: Tensor) -> Tensor:
    """Near 0, where 1 - z forgets z, by the other tail."""
    near = b.less(z, 0.01)
    value = b.log_betainc(b.where(near, p, q), b.where(near, q, p), b.where(near, z, 1 - z))
    return b.where(near, log_complement(-value), value)


def half_cauchy_quantile(p: Tensor, q: Tensor) -> Tensor:
    """tan(pi p / 2), with q = 1 - p"""
    low = b.less(p, 0.5)
    tangent = b.tan(b.where(low, p, q) * (0.5 * math.pi))
    return b.where(low, tangent, 1 / tangent)


def _beta_side(z: Tensor, k: Tensor, m: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    """For the quotient z of chi squared numbers over their degrees of freedom k and m: whether the
    place k z / (k z + m) of beta numbers is below 1/2; the exponents and the place, or the rest of
    1 with the exponents in the other order."""
    odds = z * (k / m)
    low = b.less(odds, 1)
    small = b.where(low, odds, 1 / b.where(low, 1, odds))
    return low, (b.where(low, k, m) / 2, b.where(low, m, k) / 2, small / (1 + small))


def quotient_tail(z: Tensor, k: Tensor, m: Tensor, *, upper: bool) -> Tensor:
    low, place = _beta_side(z, k, m)
    return b.where(b.not_equal(low, upper), b.betainc(*place), b.betaincc(*place))


def quotient_log_tail(z: Tensor, k: Tensor, m: Tensor, *, upper: bool) -> Tensor:
    low, place = _beta_side(z, k, m)
    own, log = b.not_equal(low, upper), b.log_betainc(*place)
    return b.where(own, log, log_complement(-b.where(own, -1, log)))


def laplace_log_cdf(z: Tensor) -> Tensor:
    tail = -b.abs(z) - math.log(2)
    return b.where(b.less(z, 0), tail, b.log1p(-b.exp(tail)))


def log_quotient(x: Tensor, y: Tensor) -> Tensor:
    """log(x / y) for positive x and y, whose quotient may be too large for its dtype"""
    ratio = x / y
    held = b.logical_and(b.greater(ratio, 0), b.isfinite(ratio))
    return b.where(held, b.log(b.where(held, ratio, 1)), b.log(x) - b.log(y))


def asymmetric_laplace_tail(z: Tensor, k: Tensor) -> Tensor:
    """The logarithm of what lies above z."""
    square = b.square(k)
    right = b.greater_equal(z, 0)
    far = -k * b.where(right, z, 0) - b.log1p(square)
    below = b.exp(b.where(right, -1, z) / k) * (square / (1 + square))
    return b.where(right, far, b.log1p(-below))


def asymmetric_laplace_place(q: Tensor, p: Tensor, k: Tensor) -> Tensor:
    """Above which q lies, p = 1 - q."""
    square = b.square(k)
    right = b.less_equal(q, 1 / (1 + square))
    return b.where(right, -b.log(q * (1 + square)) / k, k * b.log(p * (1 + 1 / square)))


def gennorm_log_cdf(z: Tensor, p: Tensor) -> Tensor:
    """In the middle by the slope there: the power of the place may have none."""
    middle = b.equal(z, 0)
    tail = b.log_gammaincc(1 / p, b.where(middle, 1, b.abs(z)) ** p) - math.log(2)
    flat = z * b.exp(-b.gammaln(1 + 1 / p)) - math.log(2)
    return b.where(middle, flat, b.where(b.less(z, 0), tail, b.log1p(-b.exp(tail))))


def gennorm_log_density(z: Tensor, p: Tensor) -> Tensor:
    middle = b.equal(z, 0)
    power = b.where(middle, 0, b.where(middle, 1, b.abs(z)) ** p)
    return b.log(0.5 * p) - b.gammaln(1 / p) - power


def gennorm_quantile(q: Tensor, p: Tensor) -> Tensor:
    """Near the middle by the share in it, which has more digits than that of the tails."""
    low = b.less(q, 0.5)
    tails = 2 * b.where(low, q, 1 - q)
    middle = b.greater(tails, 0.5)
    outer = b.gammainccinv(1 / p, b.where(middle, 0.5, tails))
    share = b.abs(b.where(middle, 2 * q - 1, 0.5))
    none = b.equal(share, 0)
    inner = b.gammaincinv(1 / p, b.where(none, 0.5, share))
    place = b.where(middle, inner, outer) ** (1 / p)
    flat = (2 * q - 1) * b.exp(b.gammaln(1 + 1 / p))  # the slope in the middle
    return b.where(none, flat, b.where(low, -place, place))


def moyal_log_survival(z: Tensor) -> Tensor:
    """log(erf(u)) with u = exp(-z / 2) / sqrt(2); far out that of 2 u / sqrt(pi)"""
    near, far = b.less(z, 1), b.greater(z, 50)
    low = b.log1p(-2 * b.ndtr(-bounded_exp(-0.5 * b.where(near, z, 1))))
    between = b.logical_or(near, far)
    middle = b.log(b.erf(b.exp(-0.5 * b.where(between, 1, z)) * math.sqrt(0.5)))
    return b.where(near, low, b.where(far, 0.5 * math.log(2 / math.pi) - 0.5 * z, middle))


# log(1 + u) / u
_LOG_RATIO = tuple((-1) ** k / (k + 1) for k in range(13))


def log_ratio_of_power(c: Tensor, z: Tensor) -> Tensor:
    """log(1 + c z) / c, which is z for c = 0"""
    u = b.where(b.equal(c, 0), 0, c) * b.where(b.equal(c, 0), 0, z)
    near = b.less(b.abs(u), 0.05)
    held = b.where(near, 1, c)
    far = b.log1p(b.where(near, 1, u)) / held
    series = b.polynomial(b.where(near, c * b.where(near, z, 0), 0), _LOG_RATIO)
    return b.where(near, z * series, far)


def power_ratio(c: Tensor, y: Tensor) -> Tensor:
    """(exp(c y) - 1) / c, which is y for c = 0"""
    return y * b.exprel(c * y)


def truncated_exponential_place(q: Tensor, end: Tensor) -> Tensor:
    far = -b.log(-q * b.expm1(-end) + b.exp(-end))
    return b.where(b.less(q, 0.5), far, -b.log1p((1 - q) * b.expm1(-end)))
