"""erf.

Method, float32: erf x = 1 - 2^q, x > 0, with q = log2(erfc x), a minimax polynomial weighted by
what an error in it does to the result. With n = round(q) that is (1 - 2^n) - 2^n*(2^(q-n) - 1),
where nothing cancels: for small x it is 1 - 2^q itself, as good as q and the polynomial of 2^q - 1.

Method, float64: a minimax polynomial in x^2 for |x| < 1; beyond, 1 - e^q with q a polynomial for
log(erfc|x|) (after N. Juffa's erff, which has this form). One of them serves up to where erf is 1.
"""

from graphc.backends.llvm.text import TextBuilder, Val
from graphc.backends.llvm.vector_math.arithmetic import (
    FLOAT32,
    as_int,
    flip_sign,
    horner,
    sign_bits,
)
from graphc.backends.llvm.vector_math.exponential import exp_in_range, power_of_two

# log2(erfc(x))/x + 2 in x, 0 <= x <= 4
LOG2_ERFC_FLOAT = (
    0.37209296226501465,
    -0.9184474349021912,
    -0.14827924966812134,
    0.027641525492072105,
    0.00021171907428652048,
    -0.0023835976608097553,
    0.0009005067986436188,
    -0.00016604838310740888,
    1.2927960597153287e-05,
)
# (2^r - 1)/r - 1 in r, |r| <= 1/2
EXP2M1_FLOAT = (
    -0.3068528175354004,
    0.24022649228572845,
    0.05550367385149002,
    0.009618311189115047,
    0.0013387383660301566,
    0.0001538208598503843,
)
# erf(x)/x - 1 in x^2, |x| <= 1
NEAR_DOUBLE = (
    0.12837916709551256,
    -0.3761263890318346,
    0.11283791670942668,
    -0.02686617064293325,
    0.005223977604950571,
    -0.0008548325882432185,
    0.00012055292365914772,
    -1.4924691766515769e-05,
    1.6446904245577503e-06,
    -1.6204732034885776e-07,
    1.3704701676325267e-08,
    -7.768623992348282e-10,
)
# log(erfc(x)) in x - 2, 0.99 <= x <= 6
FAR_DOUBLE = (
    -5.364941264616636,
    -4.418160805994417,
    -0.9237508418239686,
    -0.01646511813729991,
    0.003570756348405549,
    -0.000732399378243929,
    0.00013530932691691125,
    -2.0706471623080963e-05,
    1.952197636787777e-06,
    2.0373221813196316e-07,
    -1.7318703486657984e-07,
    5.768938352604395e-08,
    -1.397756502757506e-08,
    2.613041971440527e-09,
    -2.625977783030134e-10,
    -7.174237609654074e-11,
    3.780365899874154e-11,
    -5.1083176644187465e-12,
)
IS_ONE = {"float": 4.0, "double": 6.0}


def erf(b: TextBuilder, x: Val) -> Val:
    held = b.minimum(b.fabs(x), b.const(IS_ONE[x.type], x))  # NaN stays
    y = _erf_float(b, held) if x.type == "float" else _erf_double(b, held)
    return flip_sign(b, y, sign_bits(b, x))


def _erf_float(b: TextBuilder, x: Val) -> Val:
    """erf of 0 <= x <= 4."""
    one, shifter = b.const(1.0, x), b.const(FLOAT32.shifter + FLOAT32.bias, x)
    q = b.fma(x, horner(b, x, LOG2_ERFC_FLOAT), b.fmul(x, b.const(-2.0, x)))
    shifted = b.fadd(q, shifter)
    r = b.fsub(q, b.fsub(shifted, shifter))
    power = power_of_two(b, as_int(b, shifted))
    less = b.fma(r, horner(b, r, EXP2M1_FLOAT), r)  # 2^r - 1
    return b.fma(b.fneg(power), less, b.fsub(one, power))


def _erf_double(b: TextBuilder, x: Val) -> Val:
    """erf of 0 <= x <= 6."""
    near = b.fma(x, horner(b, b.fmul(x, x), NEAR_DOUBLE), x)
    exponent = horner(b, b.fsub(x, b.const(2.0, x)), FAR_DOUBLE)
    far = b.fsub(b.const(1.0, x), exp_in_range(b, exponent))
    return b.select(b.fcmp("olt", x, b.const(1.0, x)), near, far)
