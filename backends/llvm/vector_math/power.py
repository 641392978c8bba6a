"""pow and cbrt."""

import math

from graphc.backends.llvm.text import TextBuilder, Val
from graphc.backends.llvm.vector_math import tabulated_power
from graphc.backends.llvm.vector_math.arithmetic import (
    FORMATS,
    as_float,
    as_int,
    fast_two_sum,
    horner,
    two_product,
)
from graphc.backends.llvm.vector_math.exponential import DOUBLE as EXPONENTIAL
from graphc.backends.llvm.vector_math.exponential import LOG2_E, clamp, power_of_two, scale
from graphc.backends.llvm.vector_math.logarithm import DOUBLE as LOGARITHM
from graphc.backends.llvm.vector_math.logarithm import split

# log2((1+s)/(1-s))/s in s^2, to 38 bits
LOG2_FOR_FLOAT = (
    2.8853900817913707,
    0.9617966716167072,
    0.5770839328739453,
    0.4116508818655538,
    0.3411497449053435,
)
# (2^r - 1)/r, to 28 bits
EXP2_FOR_FLOAT = (
    0.6931472151959539,
    0.2402265280081063,
    0.055503101129667304,
    0.009617690408832345,
    0.001340680184187466,
    0.0001559530597703623,
)
# low bits left out, and the guess for a = 2^-bias in units of the last bit kept
CUBE_ROOT_GUESS = {"float": (8, 5546746), "double": (32, 1430194684)}
# log((1+s)/(1-s)) = 2s + 2/3*s^3 + s^5*Q(s^2): 2/3 in two parts, and Q to 66 bits of the logarithm
TWO_THIRDS = (0.6666666666666666, 3.700743415417188e-17)
LOG_TAIL_FOR_DOUBLE = (
    0.40000000000002284,
    0.28571428570085605,
    0.22222222522540336,
    0.18181784127675724,
    0.15386768817337157,
    0.13256540238293069,
    0.1319899244339425,
)
BEYOND_ALL_POWERS = 1e20  # an exponent so large overflows or underflows every base but 1


def pow(b: TextBuilder, x: Val, y: Val) -> Val:
    """x to the power y; special cases as C99 annex F and numpy."""
    if b.has_avx512 and x.type == "float":
        return _with_sign(b, x, y, tabulated_power.power(b, x, y))
    ax = b.fabs(x)
    power = _power_float(b, ax, y) if x.type == "float" else _power_double(b, ax, y)
    return _with_special_cases(b, x, y, ax, power)


def _power_float(b: TextBuilder, x: Val, y: Val) -> Val:
    """2^(y*log2 x) in float64 arithmetic, rounded once to float32; 1 where x = 1 whatever y."""
    wide = b.fpext(x, "double")
    minus_k, m = split(b, wide, subnormals=False)
    one = b.const(1.0, wide)
    s = b.fdiv(b.fsub(m, one), b.fadd(m, one))
    z = b.fmul(s, s)
    logarithm = b.fma(s, horner(b, z, LOG2_FOR_FLOAT), b.fneg(minus_k))
    product = b.fmul(b.fpext(y, "double"), logarithm)
    zero = b.const(0.0, wide)
    product = b.select(b.fcmp("oeq", logarithm, zero), zero, product)
    product = clamp(b, product, -160.0, 130.0)
    shifter = b.const(FORMATS["double"].shifter + FORMATS["double"].bias, wide)
    shifted = b.fadd(product, shifter)
    r = b.fsub(product, b.fsub(shifted, shifter))
    p = horner(b, r, (1.0, *EXP2_FOR_FLOAT))
    return b.fptrunc(b.fmul(p, power_of_two(b, as_int(b, shifted))), "float")


def _power_double(b: TextBuilder, x: Val, y: Val) -> Val:
    """e^(y*log x) with log x and the product as sums of two numbers."""
    high, low = _log_two_parts(b, x)
    zero = b.const(0.0, x)
    y = clamp(b, y, -BEYOND_ALL_POWERS, BEYOND_ALL_POWERS)
    y = b.select(b.fcmp("oeq", high, zero), zero, y)
    product, rest = two_product(b, y, high)
    rest = b.fma(y, low, rest)
    held = clamp(b, product, -746.0, 710.0)
    rest = b.select(b.fcmp("oeq", held, product), rest, zero)
    shifter = b.const(FORMATS["double"].shifter + 2 * FORMATS["double"].bias, x)
    shifted = b.fma(held, b.const(LOG2_E, x), shifter)
    n = b.fsub(shifted, shifter)
    near = b.fma(n, b.const(-EXPONENTIAL.ln2[0], x), held)
    r, r_low = fast_two_sum(b, near, b.fma(n, b.const(-EXPONENTIAL.ln2[1], x), rest))
    # 1 + (r + small), where only the last two sums round by much: exact powers come out exact
    small = b.fma(b.fmul(r, r), horner(b, r, EXPONENTIAL.exp), b.fma(r_low, r, r_low))
    p = b.fadd(b.const(1.0, x), b.fadd(r, small))
    return scale(b, p, as_int(b, shifted), n)


def _log_two_parts(b: TextBuilder, x: Val) -> tuple[Val, Val]:
    """log x for float64 x > 0 as high + low, to about 65 bits.

    x = 2^k*m, s = (m-1)/(m+1): log m = 2s + s^3*(2/3 + s^2*Q(s^2)), where s, s^3 and the bracket
    are sums of two numbers.
    """
    minus_k, m = split(b, x)
    one = b.const(1.0, x)
    f = b.fsub(m, one)
    d = b.fadd(m, one)
    d_low = b.fsub(m, b.fsub(d, one))
    inverse = b.fdiv(one, d)
    s = b.fmul(f, inverse)
    sd, sd_low = two_product(b, s, d)
    remainder = b.fsub(b.fsub(f, sd), sd_low)
    s_low = b.fmul(b.fma(b.fneg(s), d_low, remainder), inverse)
    z, z_low = two_product(b, s, s)
    z_low = b.fma(b.fadd(s, s), s_low, z_low)
    tail = b.fmul(z, horner(b, z, LOG_TAIL_FOR_DOUBLE))
    bracket, bracket_low = fast_two_sum(b, b.const(TWO_THIRDS[0], x), tail)
    bracket_low = b.fadd(bracket_low, b.const(TWO_THIRDS[1], x))
    cube, cube_low = two_product(b, s, z)
    cube_low = b.fma(s, z_low, b.fma(s_low, z, cube_low))
    term, term_low = two_product(b, cube, bracket)
    term_low = b.fma(cube, bracket_low, b.fma(cube_low, bracket, term_low))
    k_high = b.fmul(minus_k, b.const(-LOGARITHM.ln2[0], x))
    high, low = fast_two_sum(b, k_high, b.fadd(s, s))
    high, more = fast_two_sum(b, high, term)
    low = b.fadd(b.fadd(low, more), b.fadd(b.fadd(s_low, s_low), term_low))
    low = b.fma(minus_k, b.const(-LOGARITHM.ln2[1], x), low)
    return fast_two_sum(b, high, low)


def _with_sign(b: TextBuilder, x: Val, y: Val, power: Val) -> Val:
    """From |x|^y: the sign of odd powers, and NaN for broken powers of negative numbers."""
    whole, odd = _parity(b, y)
    negative = b.and_(b.fcmp("olt", x, b.const(0.0, x)), b.fcmp("ogt", x, b.const(-math.inf, x)))
    result = b.select(b.and_(negative, b.not_(whole)), b.const(math.nan, x), power)
    return b.select(odd, b.copysign(result, x), result)


def _parity(b: TextBuilder, y: Val) -> tuple[Val, Val]:
    """Whether a number is whole, and whether it is odd."""
    whole = b.fcmp("oeq", b.ftrunc(y), y)
    y_half = b.fmul(y, b.const(0.5, y))
    return whole, b.and_(whole, b.fcmp("one", b.ftrunc(y_half), y_half))


def _with_special_cases(b: TextBuilder, x: Val, y: Val, ax: Val, power: Val) -> Val:
    """From |x|^y: the sign of odd powers, NaN for broken powers of negative numbers, and the
    bases 0, infinity and NaN."""
    zero = b.const(0.0, x)
    whole, odd = _parity(b, y)
    negative = b.fcmp("olt", x, zero)
    undefined = b.and_(negative, b.not_(whole))
    result = b.select(undefined, b.const(float("nan"), x), power)
    # a + a = a for 0 and infinity alone (or NaN): there |x|^y is |x| or its inverse
    limit = b.fcmp("ueq", b.fadd(ax, ax), ax)
    limit = b.and_(limit, b.fcmp("one", y, zero))
    inverse = b.fdiv(b.const(1.0, x), ax)
    at_limit = b.select(b.fcmp("olt", y, zero), inverse, ax)
    result = b.select(limit, at_limit, result)
    return b.select(odd, b.copysign(result, x), result)


def cbrt(b: TextBuilder, x: Val) -> Val:
    """The cube root by a division-free iteration for a^(-1/3), a = |x|.

    First guess: the bits of a, taken as a number, times -1/3 plus a constant (Kahan). One step
    of fourth order (float64: and one of third), then one Newton step for the root itself.
    """
    f = FORMATS[x.type]
    a = b.fabs(x)
    up = 24 if x.type == "float" else 54
    small = b.fcmp("olt", a, b.const(f.smallest_normal, x))
    a = b.select(small, b.fmul(a, b.const(2.0**up, x)), a)
    if not b.has_fma:  # the cube of a rounded root may be infinite
        large = b.fcmp("ogt", a, b.const(2.0 ** (f.bias - 1), x))
        a = b.select(large, b.fmul(a, b.const(2.0**-up, x)), a)
    y = _inverse_cube_root_guess(b, a)
    y = _inverse_cube_root_step(b, a, y, (1 / 3, 2 / 9, 14 / 81))
    if x.type == "double":
        y = _inverse_cube_root_step(b, a, y, (1 / 3, 2 / 9))
    square = b.fmul(y, y)
    root = b.fmul(a, square)
    error = b.fma(b.fneg(b.fmul(root, root)), root, a)
    root = b.fma(b.fmul(error, square), b.const(1 / 3, x), root)
    root = b.select(small, b.fmul(root, b.const(2.0 ** (-up // 3), x)), root)
    if not b.has_fma:
        root = b.select(large, b.fmul(root, b.const(2.0 ** (up // 3), x)), root)
    infinite = b.fcmp("oeq", a, b.const(float("inf"), x))
    return b.copysign(b.select(infinite, a, root), x)


def _inverse_cube_root_guess(b: TextBuilder, a: Val) -> Val:
    """a^(-1/3) to about 4%."""
    f = FORMATS[a.type]
    drop, constant = CUBE_ROOT_GUESS[a.type]
    base = 2.0**f.mantissa
    bits = as_int(b, a)
    power = b.const((f.mantissa + f.bias) << f.mantissa, bits)
    top = as_float(b, b.or_(b.lshr(bits, b.const(drop, bits)), power))
    top = b.fsub(top, b.const(base, a))
    guess = b.fma(top, b.const(-1 / 3, a), b.const(base + constant, a))
    return as_float(b, b.shl(as_int(b, guess), b.const(drop, bits)))


def _inverse_cube_root_step(b: TextBuilder, a: Val, y: Val, series: tuple[float, ...]) -> Val:
    """y * (1 - e)^(-1/3), e = 1 - a*y^3, the power by the first terms of its series."""
    product = b.fmul(b.fmul(a, y), y)
    e = b.fma(b.fneg(product), y, b.const(1.0, a))
    return b.fma(b.fmul(y, e), horner(b, e, series), y)
