"""Polynomials with fixed coefficients, as scalar expressions."""

from collections.abc import Sequence
from functools import cache

import numpy as np

from graphc.scalar.expr import Expr, add, like, mul


def horner(x: Expr, coefficients: Sequence[float]) -> Expr:
    """c[0] + x (c[1] + x (c[2] + ...)). The expression mentions x once for each c[k], k >= 1."""
    result = like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        result = add(mul(result, x), like(x, coefficient))
    return result


def derivative(coefficients: Sequence[float]) -> tuple[float, ...]:
    """The coefficients of the derivative; that of a constant is (0.0,)."""
    return tuple(k * c for k, c in enumerate(coefficients) if k) or (0.0,)


_SINGLE = 2.0**-26  # a quarter of what rounding to float32 may change


@cache
def economized(coefficients: tuple[float, ...], low: float, high: float) -> tuple[float, ...]:
    """Fewer coefficients, for float32: relative errors up to 2^-26 for low <= x <= high.

    The last terms of the series of Chebyshev polynomials are left out (C. Lanczos, "Applied
    Analysis", 1956, chapter 7: economization). The polynomial has no zero in the range.
    """
    full = np.polynomial.Polynomial(coefficients)
    series = full.convert(kind=np.polynomial.Chebyshev, domain=[low, high])
    least = float(np.abs(full(np.linspace(low, high, 257))).min())
    count, left_out = len(coefficients), 0.0
    while count > 1:
        left_out += abs(float(series.coef[count - 1]))
        if left_out > _SINGLE * least:
            break
        count -= 1
    kept = np.polynomial.Chebyshev(series.coef[:count], domain=[low, high])
    return tuple(float(c) for c in kept.convert(kind=np.polynomial.Polynomial).coef)
