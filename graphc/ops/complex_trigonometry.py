"""Trigonometric and hyperbolic functions of complex numbers, and their inverses, in parts.

As in `complex_formulas`: z = x + iy, formulas that keep their digits, branch cuts and results at
infinity and NaN as in C99 and the Array API. "Kahan" is W. Kahan, "Branch cuts for complex
elementary functions, or much ado about nothing's sign bit" (1987).
"""

import math

from graphc.ir.parts import Parts
from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor
from graphc.ops.complex_formulas import kept, like, multiply, on_axis, over_i, sqrt, times_i


def sinh(b: Builder, z: Parts) -> Parts:
    """sinh x cos y + i cosh x sin y"""
    x, y = z
    real = kept(b, y, b.multiply(b.sinh(x), b.cos(y)), x)
    return Parts(real, on_axis(b, y, b.multiply(b.cosh(x), b.sin(y))))


def cosh(b: Builder, z: Parts) -> Parts:
    """cosh x cos y + i sinh x sin y"""
    x, y = z
    flat = b.multiply(y, b.copysign(1, x))
    across = kept(b, y, b.multiply(b.sinh(x), b.sin(y)), b.where(b.equal(x, 0), x, 1))
    real = b.multiply(b.cosh(x), b.cos(y))
    return Parts(
        kept(b, y, real, b.where(b.isinf(x), b.abs(x), 1)), b.where(b.equal(y, 0), flat, across)
    )


def sin(b: Builder, z: Parts) -> Parts:
    """-i sinh(iz)"""
    return over_i(b, sinh(b, times_i(b, z)))


def cos(b: Builder, z: Parts) -> Parts:
    """cosh(iz)"""
    return cosh(b, times_i(b, z))


def tanh(b: Builder, z: Parts) -> Parts:
    """With m = expm1(-2|x|) and e = m + 1, D = m^2 + 4 e cos^2 y: (-m (2 + m) + 4i e sin y cos y)
    / D, the real part with the sign of x. Nothing overflows, and nothing cancels near the poles.
    """
    x, y = z
    m = b.expm1(b.multiply(b.abs(x), -2))
    e, sine, cosine = b.add(m, 1), b.sin(y), b.cos(y)
    divisor = b.add(b.square(m), b.multiply(b.multiply(e, b.square(cosine)), 4))
    real = b.divide(b.multiply(b.negative(m), b.add(m, 2)), divisor)
    imag = b.divide(b.multiply(b.multiply(e, 4), b.multiply(sine, cosine)), divisor)
    far = b.isinf(x)
    real = b.copysign(b.where(far, 1, real), x)
    imag = b.where(far, b.copysign(b.zeros_like(y), y), on_axis(b, y, imag))
    nothing = b.logical_and(b.equal(x, 0), b.logical_not(b.isfinite(y)))
    return Parts(b.where(nothing, x, real), imag)


def tan(b: Builder, z: Parts) -> Parts:
    """-i tanh(iz)"""
    return over_i(b, tanh(b, times_i(b, z)))


def _roots(b: Builder, z: Parts) -> tuple[Parts, Parts]:
    """sqrt(1 - z) and sqrt(1 + z), with the signs of zeros that the branch cuts need."""
    lower = Parts(b.subtract(1, z.real), b.negative(z.imag))
    return sqrt(b, lower), sqrt(b, Parts(b.add(z.real, 1), z.imag))


def _conjugate_product(b: Builder, z: Parts, w: Parts) -> tuple[Tensor, Tensor]:
    """The parts of conj(z) w."""
    return (
        b.add(b.multiply(z.real, w.real), b.multiply(z.imag, w.imag)),
        b.subtract(b.multiply(z.real, w.imag), b.multiply(z.imag, w.real)),
    )


def _endless(b: Builder, z: Parts) -> tuple[Tensor, Tensor]:
    """(whether a part is infinite or NaN, infinity where one is infinite, else NaN)."""
    finite = b.logical_and(b.isfinite(z.real), b.isfinite(z.imag))
    infinite = b.logical_or(b.isinf(z.real), b.isinf(z.imag))
    return b.logical_not(finite), b.where(infinite, float("inf"), like(z.real, float("nan")))


def asin(b: Builder, z: Parts) -> Parts:
    """Kahan: atan2(x, Re(sqrt(1 - z) sqrt(1 + z))) + i asinh(Im(conj(sqrt(1 - z)) sqrt(1 + z)))"""
    x, y = z
    lower, upper = _roots(b, z)
    product = multiply(b, lower, upper).real
    angle = b.atan2(x, product)
    size = b.asinh(_conjugate_product(b, lower, upper)[1])
    beyond, far = _endless(b, z)
    turned = b.copysign(b.atan2(b.abs(x), b.abs(y)), x)
    return Parts(
        b.where(beyond, b.where(b.equal(x, 0), x, turned), angle),
        b.where(beyond, b.copysign(far, y), size),
    )


def acos(b: Builder, z: Parts) -> Parts:
    """Kahan: 2 atan2(Re sqrt(1 - z), Re sqrt(1 + z))
    + i asinh(Im(conj(sqrt(1 + z)) sqrt(1 - z)))"""
    x, y = z
    lower, upper = _roots(b, z)
    angle = b.multiply(b.atan2(lower.real, upper.real), 2)
    size = b.asinh(_conjugate_product(b, upper, lower)[1])
    beyond, far = _endless(b, z)
    turned = b.where(b.equal(x, 0), math.pi / 2, b.atan2(b.abs(y), x))
    return Parts(
        b.where(beyond, turned, angle),
        b.where(beyond, b.copysign(far, b.negative(y)), size),
    )


def asinh(b: Builder, z: Parts) -> Parts:
    """-i asin(iz)"""
    return over_i(b, asin(b, times_i(b, z)))


def acosh(b: Builder, z: Parts) -> Parts:
    """Kahan: asinh(Re(conj(sqrt(z - 1)) sqrt(z + 1))) + 2i atan2(Im sqrt(z - 1), Re sqrt(z + 1))"""
    x, y = z
    lower = sqrt(b, Parts(b.subtract(x, 1), y))
    upper = sqrt(b, Parts(b.add(x, 1), y))
    real = b.asinh(_conjugate_product(b, lower, upper)[0])
    angle = b.multiply(b.atan2(lower.imag, upper.real), 2)
    beyond, far = _endless(b, z)
    turned = b.where(b.equal(x, 0), math.pi / 2, b.atan2(b.abs(y), x))
    return Parts(b.where(beyond, far, real), b.where(beyond, b.copysign(turned, y), angle))


def atanh(b: Builder, z: Parts) -> Parts:
    """log1p(4|x| / h^2) / 4 with the sign of x, where h is the distance of |x| + iy from 1, and
    atan2(2y, (1 - |x|)(1 + |x|) - y^2) / 2."""
    x, y = z
    size = b.abs(x)
    gap = b.subtract(1, size)
    distance = b.hypot(gap, y)
    ratio = b.divide(b.divide(b.multiply(size, 4), distance), distance)
    real = b.multiply(b.log1p(ratio), 0.25)
    across = b.subtract(b.multiply(gap, b.add(size, 1)), b.square(y))
    imag = b.multiply(b.atan2(b.multiply(y, 2), across), 0.5)
    beyond, _ = _endless(b, z)
    nan = like(x, float("nan"))
    vanishes = b.logical_or(b.logical_or(b.isinf(x), b.isinf(y)), b.equal(x, 0))
    turned = b.logical_or(b.isinf(y), b.logical_and(b.isinf(x), b.logical_not(b.isnan(y))))
    real = b.where(beyond, b.where(vanishes, 0, nan), real)
    imag = b.where(beyond, b.copysign(b.where(turned, math.pi / 2, nan), y), imag)
    return Parts(b.copysign(real, x), imag)


def atan(b: Builder, z: Parts) -> Parts:
    """-i atanh(iz)"""
    return over_i(b, atanh(b, times_i(b, z)))
