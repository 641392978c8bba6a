"""sinh, cosh, tanh and their inverses, from exp and log1p; polynomials near 0."""

from graphc.backends.llvm.text import TextBuilder, Val
from graphc.backends.llvm.vector_math import tabulated
from graphc.backends.llvm.vector_math.arithmetic import flip_sign, horner, sign_bits
from graphc.backends.llvm.vector_math.exponential import exp, expm1_in_range
from graphc.backends.llvm.vector_math.logarithm import log1p_in_range

# (sinh(x)/x - 1) / x^2 in x^2, |x| <= 1
SINH = {
    "float": (
        0.1666666716337204,
        0.008333315141499043,
        0.00019841665925923735,
        2.7899839096789947e-06,
    ),
    "double": (
        0.16666666666666669,
        0.00833333333333297,
        0.00019841269841531248,
        2.7557319130350966e-06,
        2.5052126862314595e-08,
        1.605699993579756e-10,
        7.765917606255129e-13,
    ),
}
TANH_IS_ONE = {"float": 9.5, "double": 20.0}  # from here on
LARGE = {"float": 2.0**30, "double": 2.0**60}  # asinh x and acosh x are log(2x)


def _odd(b: TextBuilder, x: Val, coefficients: tuple[float, ...]) -> Val:
    z = b.fmul(x, x)
    return b.fma(b.fmul(x, z), horner(b, z, coefficients), x)


def _signed(b: TextBuilder, y: Val, x: Val) -> Val:
    """y >= 0 with the sign of x."""
    return flip_sign(b, y, sign_bits(b, x))


def sinh(b: TextBuilder, x: Val) -> Val:
    """(e^|x| - e^-|x|)/2 with the sign of x. e^|x|/2 is formed directly: it overflows last."""
    a = b.fabs(x)
    half = exp(b, a, halvings=1)
    far = b.fsub(half, b.fdiv(b.const(0.25, x), half))
    near = b.fcmp("olt", a, b.const(1.0, x))
    return _signed(b, b.select(near, _odd(b, a, SINH[x.type]), far), x)


def cosh(b: TextBuilder, x: Val) -> Val:
    """(e^|x| + e^-|x|)/2."""
    half = exp(b, b.fabs(x), halvings=1)
    return b.fadd(half, b.fdiv(b.const(0.25, x), half))


def tanh(b: TextBuilder, x: Val) -> Val:
    """g / (g + 2) with g = e^2|x| - 1, and the sign of x."""
    if b.waits and x.lanes in tabulated.LANES:
        return tabulated.tanh(b, x)
    held = b.minimum(b.fabs(x), b.const(TANH_IS_ONE[x.type], x))  # NaN stays
    grown = expm1_in_range(b, b.fadd(held, held))
    quotient = b.fdiv(grown, b.fadd(grown, b.const(2.0, x)))
    refined = b.fmul(b.fma(b.fneg(grown), quotient, grown), b.const(0.5, x))
    near = b.fcmp("olt", grown, b.const(1.0, x))
    return _signed(b, b.select(near, refined, quotient), x)


def _log1p_or_log_of_double(b: TextBuilder, a: Val, argument: Val) -> Val:
    """log(1 + argument), or log(2a) where a is large; infinity and NaN of a stay."""
    large = b.fcmp("ogt", a, b.const(LARGE[a.type], a))
    y = log1p_in_range(b, b.select(large, a, argument), doubled=large)
    return b.select(b.fcmp("olt", a, b.const(float("inf"), a)), y, a)


def asinh(b: TextBuilder, x: Val) -> Val:
    """log1p(a + a^2/(1 + sqrt(1 + a^2))) with the sign of x, a = |x|."""
    one = b.const(1.0, x)
    a = b.fabs(x)
    square = b.fmul(a, a)
    root = b.sqrt(b.fadd(square, one))
    argument = b.fadd(a, b.fdiv(square, b.fadd(root, one)))
    return _signed(b, _log1p_or_log_of_double(b, a, argument), x)


def acosh(b: TextBuilder, x: Val) -> Val:
    """log1p(t + sqrt(t*(t + 2))), t = x - 1; NaN for x < 1."""
    t = b.fsub(x, b.const(1.0, x))
    argument = b.fadd(t, b.sqrt(b.fmul(t, b.fadd(t, b.const(2.0, x)))))
    y = _log1p_or_log_of_double(b, x, argument)
    return b.select(b.fcmp("ult", x, b.const(1.0, x)), b.const(float("nan"), x), y)


def atanh(b: TextBuilder, x: Val) -> Val:
    """log1p(2a/(1 - a))/2 with the sign of x, a = |x|; infinity at 1, NaN beyond."""
    one = b.const(1.0, x)
    a = b.fabs(x)
    argument = b.fdiv(b.fadd(a, a), b.fsub(one, a))
    y = b.fmul(b.const(0.5, x), log1p_in_range(b, argument))
    beyond = b.select(b.fcmp("oeq", a, one), b.const(float("inf"), x), b.const(float("nan"), x))
    return _signed(b, b.select(b.fcmp("olt", a, one), y, beyond), x)
