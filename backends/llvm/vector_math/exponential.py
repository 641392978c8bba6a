"""exp, exp2, expm1 and the logistic function.

Method: x = n*ln2 + r with |r| <= ln2/2 (Cody and Waite: ln2 in two parts, n times the first is
exact), a minimax polynomial for e^r, then a product with 2^n. n is rounded by adding a large
number, in whose low bits it stays: shifting these into the exponent field makes 2^n. The scaling
is done in two factors, so that results go gradually into the subnormals and up to the last
finite number; or by the one instruction that AVX-512 has for it, with the same bits.
"""

from collections.abc import Sequence

from graphc.backends.llvm.text import TextBuilder, Val
from graphc.backends.llvm.vector_math.arithmetic import (
    FORMATS,
    as_float,
    as_int,
    fills_register,
    horner,
)
from graphc.records import dataclass

LOG2_E = 1.4426950408889634


@dataclass(frozen=True, slots=True)
class _Tables:
    ln2: tuple[float, float]  # the first with trailing zeros
    exp: tuple[float, ...]  # (e^r - 1 - r) / r^2, relative to e^r
    exp2: tuple[float, ...]  # (2^r - 1) / r, relative to 2^r
    expm1: tuple[float, ...]  # (e^r - 1 - r) / r^2, relative to e^r - 1
    exp_range: tuple[float, float]  # beyond: 0 and infinity
    exp2_range: tuple[float, float]
    expm1_range: tuple[float, float]  # beyond: -1 and infinity
    expm1_tiny: float  # e^x - 1 rounds to x


# Minimax polynomials by the Remez exchange; each coefficient rounded with the later ones refitted.
FLOAT = _Tables(
    ln2=(0.693145751953125, 1.428606765330187e-06),
    exp=(
        0.4999999403953552,
        0.1666651964187622,
        0.04166824743151665,
        0.008368839509785175,
        0.0013822652399539948,
    ),
    exp2=(
        0.6931472420692444,
        0.24022656679153442,
        0.0555027537047863,
        0.009617199189960957,
        0.0013416779693216085,
        0.0001573472545715049,
    ),
    expm1=(
        0.4999999701976776,
        0.16666541993618011,
        0.04166749119758606,
        0.008366712369024754,
        0.0013865764485672116,
    ),
    exp_range=(-104.0, 90.0),
    exp2_range=(-151.0, 129.0),
    expm1_range=(-18.0, 89.0),
    expm1_tiny=2.0**-25,
)
DOUBLE = _Tables(
    ln2=(0.6931471804855391, 7.440617110012397e-11),
    exp=(
        0.5000000000000011,
        0.16666666666666413,
        0.041666666666526256,
        0.008333333333493278,
        0.0013888888944660293,
        0.0001984126951080213,
        2.4801492014791683e-05,
        2.7557581130947135e-06,
        2.763064297118394e-07,
        2.5002182250959858e-08,
    ),
    exp2=(
        0.6931471805599457,
        0.24022650695910097,
        0.05550410866478849,
        0.009618129107607181,
        0.0013333558153782858,
        0.00015403530441490752,
        1.5252727119945189e-05,
        1.3215442659365075e-06,
        1.0180739541822885e-07,
        7.072581179838263e-09,
        4.066377069813522e-10,
    ),
    expm1=(
        0.5000000000000006,
        0.1666666666666659,
        0.041666666666573204,
        0.008333333333388041,
        0.0013888888932595566,
        0.00019841269723464241,
        2.4801504115313294e-05,
        2.7557402489633674e-06,
        2.762648044846008e-07,
        2.5055715634149346e-08,
    ),
    exp_range=(-746.0, 711.0),
    exp2_range=(-1076.0, 1025.0),
    expm1_range=(-40.0, 710.0),
    expm1_tiny=2.0**-54,
)
TABLES = {"float": FLOAT, "double": DOUBLE}
# (e^r - 1 - r) / r^2 for -ln2/4 <= r <= 3/4 ln2, relative to e^r - 1, float64
EXPM1_ABOVE: tuple[float, ...] = (
    0.5,
    0.1666666666666668,
    0.041666666666666206,
    0.00833333333331308,
    0.0013888888889875557,
    0.00019841269919860559,
    2.480158146888262e-05,
    2.755731772255594e-06,
    2.7566437231548134e-07,
    2.4760032546526838e-08,
    2.4560683123826597e-09,
)
DOWN = {"float": 64, "double": 600}  # 2^(n + DOWN) is normal where 2^n, n <= 0, is a number


def clamp(b: TextBuilder, x: Val, low: float, high: float) -> Val:
    """x held between two numbers; NaN stays."""
    return b.minimum(b.maximum(x, b.const(low, x)), b.const(high, x))


def reduce_argument(b: TextBuilder, x: Val, bias: int, down: float = 0.0) -> tuple[Val, Val, Val]:
    """(bits whose low part is n + bias, n, r) with x = n*ln2 + r and |r - down*ln2| <= ln2/2."""
    f, tables = FORMATS[x.type], TABLES[x.type]
    shifter = b.const(f.shifter + bias, x)
    if down:
        shifted = b.fadd(b.fma(x, b.const(LOG2_E, x), b.const(-down, x)), shifter)
    else:
        shifted = b.fma(x, b.const(LOG2_E, x), shifter)
    n = b.fsub(shifted, shifter)
    r = b.fma(n, b.const(-tables.ln2[0], x), x)
    r = b.fma(n, b.const(-tables.ln2[1], x), r)
    return as_int(b, shifted), n, r


def power_of_two(b: TextBuilder, bits: Val) -> Val:
    """2^n where the low part of the integer bits is n + bias of the format, n normal."""
    mantissa = 23 if bits.type == "i32" else 52
    return as_float(b, b.shl(bits, b.const(mantissa, bits)))


def scales_at_once(b: TextBuilder, x: Val) -> bool:
    """Whether one instruction multiplies by 2^n whatever n. It takes longer than two products."""
    return fills_register(b, x) and not b.waits


def scale(b: TextBuilder, p: Val, bits: Val, n: Val) -> Val:
    """p * 2^n where the low part of bits is n + 2*bias: two factors, n beyond the normal range."""
    if scales_at_once(b, p):
        return b.scalef(p, n)
    half = b.lshr(bits, b.const(1, bits))
    rest = b.sub(bits, half)
    return b.fmul(b.fmul(p, power_of_two(b, half)), power_of_two(b, rest))


def takes_factors(b: TextBuilder, x: Val) -> bool:
    """Whether the last step of a polynomial takes a factor in: for float64 registers are short."""
    return x.type == "float" and not b.waits


def scaled(b: TextBuilder, r: Val, coefficients: Sequence[float], bits: Val, n: Val) -> Val:
    """The scaled value of a polynomial."""
    if scales_at_once(b, r) or not takes_factors(b, r):
        return scale(b, horner(b, r, coefficients), bits, n)
    half = b.lshr(bits, b.const(1, bits))
    p = horner(b, r, coefficients, power_of_two(b, half))
    return b.fmul(p, power_of_two(b, b.sub(bits, half)))


def exp_coefficients(type: str) -> tuple[float, ...]:
    """Of e^r for |r| <= ln2/2."""
    return (1.0, 1.0, *TABLES[type].exp)


def exp(b: TextBuilder, x: Val, halvings: int = 0) -> Val:
    """e^x / 2^halvings."""
    f, tables = FORMATS[x.type], TABLES[x.type]
    x = clamp(b, x, *tables.exp_range)
    bits, n, r = reduce_argument(b, x, 2 * f.bias - halvings)
    if halvings:
        n = b.fsub(n, b.const(halvings, n))
    return scaled(b, r, exp_coefficients(x.type), bits, n)


def exp_of_negative(b: TextBuilder, x: Val) -> Val:
    """e^x for x <= 0: the first factor is 2^(n + DOWN), the second is known."""
    f, tables = FORMATS[x.type], TABLES[x.type]
    down = DOWN[x.type]
    held = b.maximum(x, b.const(tables.exp_range[0], x))
    bits, n, r = reduce_argument(b, held, f.bias + down)
    if scales_at_once(b, x):
        return b.scalef(horner(b, r, exp_coefficients(x.type)), n)
    p = b.fmul(horner(b, r, exp_coefficients(x.type)), power_of_two(b, bits))
    return b.fmul(p, b.const(2.0**-down, x))


def exp_in_range(b: TextBuilder, x: Val) -> Val:
    """e^x for x where the result is a normal number: no clamp, one scaling."""
    bits, _, r = reduce_argument(b, x, FORMATS[x.type].bias)
    if takes_factors(b, x):
        return horner(b, r, exp_coefficients(x.type), power_of_two(b, bits))
    return b.fmul(horner(b, r, exp_coefficients(x.type)), power_of_two(b, bits))


def exp2(b: TextBuilder, x: Val) -> Val:
    """2^x: n = round(x), r = x - n is exact."""
    f, tables = FORMATS[x.type], TABLES[x.type]
    x = clamp(b, x, *tables.exp2_range)
    shifter = b.const(f.shifter + 2 * f.bias, x)
    shifted = b.fadd(x, shifter)
    n = b.fsub(shifted, shifter)
    return scaled(b, b.fsub(x, n), (1.0, *tables.exp2), as_int(b, shifted), n)


def expm1(b: TextBuilder, x: Val) -> Val:
    """e^x - 1 = 2*(2^(n-1)*(e^r - 1) + (2^(n-1) - 1/2)); for n = 0 that is e^r - 1 itself."""
    f, tables = FORMATS[x.type], TABLES[x.type]
    bits, _, r = reduce_argument(b, clamp(b, x, *tables.expm1_range), f.bias - 1)
    rest = b.fmul(b.fmul(r, r), horner(b, r, tables.expm1))  # e^r - 1 - r
    half_power = power_of_two(b, bits)
    y = b.fma(half_power, r, b.fsub(half_power, b.const(0.5, x)))
    y = b.fma(half_power, rest, y)
    y = b.fadd(y, y)
    tiny = b.fcmp("olt", b.fabs(x), b.const(tables.expm1_tiny, x))
    return b.select(tiny, x, y)  # keeps -0 and the last bit of subnormals


def expm1_in_range(b: TextBuilder, x: Val) -> Val:
    """e^x - 1 for x >= 0 where e^x is a finite number; exactly x where it rounds to that.

    In float64 -ln2/4 <= r <= 3/4 ln2, so that n > 0 only where the result is above 1/2: there it is
    a sum of rounded terms.
    """
    f = FORMATS[x.type]
    if x.type == "double":
        coefficients = EXPM1_ABOVE
        bits, _, r = reduce_argument(b, x, f.bias, down=0.25)
    else:
        coefficients = TABLES[x.type].expm1
        bits, _, r = reduce_argument(b, x, f.bias)
    rest = b.fmul(b.fmul(r, r), horner(b, r, coefficients))
    power = power_of_two(b, bits)
    return b.fma(power, rest, b.fma(power, r, b.fsub(power, b.const(1.0, x))))


def sigmoid(b: TextBuilder, x: Val) -> Val:
    """1 / (1 + e^-x), without overflow on either side: with e = e^-|x| it is 1/(1+e) or e/(1+e).

    The rounding error of 1+e is known (fast two-sum) and taken out of the quotient.
    """
    one = b.const(1.0, x)
    e = exp_of_negative(b, b.fneg(b.fabs(x)))
    total = b.fadd(one, e)
    lost = b.fsub(e, b.fsub(total, one))
    negative = b.fcmp("olt", x, b.const(0.0, x))
    quotient = b.fdiv(b.select(negative, e, one), total)
    return b.fma(b.fneg(quotient), lost, quotient)
