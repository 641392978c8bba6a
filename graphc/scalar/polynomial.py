"""Polynomials with fixed coefficients, as scalar expressions."""

from collections.abc import Sequence

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
