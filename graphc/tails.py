"""Distribution functions, and their inverses, where a plain formula loses digits: near 0 and 1."""

import math

from graphc.ir.registry import BUILDER
from graphc.ir.tensor import Tensor

b = BUILDER


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
