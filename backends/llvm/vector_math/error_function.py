"""erf.

Method: a minimax polynomial in x^2 for |x| < 1; beyond, 1 - e^q with q a minimax polynomial for
log(erfc|x|), weighted by what an error in it does to the result (after N. Juffa's erff, which
has this form). One polynomial serves up to where erf is 1.
"""

from graphc.backends.llvm.text import TextBuilder, Val
from graphc.backends.llvm.vector_math.arithmetic import horner
from graphc.backends.llvm.vector_math.exponential import exp_in_range

# erf(x)/x - 1 in x^2, |x| <= 1
NEAR = {
    "float": (
        0.12837916612625122,
        -0.3761262595653534,
        0.1128358319401741,
        -0.026853691786527634,
        0.005188073962926865,
        -0.0008007878204807639,
        7.846108928788453e-05,
    ),
    "double": (
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
    ),
}
# log(erfc(x))/x in x, 0.9 <= x <= 4
FAR_FLOAT = (
    -1.1286370754241943,
    -0.6351980566978455,
    -0.10615896433591843,
    0.023694442585110664,
    -0.003610254731029272,
    0.0003148281539324671,
    -1.042912026605336e-05,
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
    a = b.fabs(x)
    near = b.fma(x, horner(b, b.fmul(x, x), NEAR[x.type]), x)
    held = b.minimum(a, b.const(IS_ONE[x.type], x))  # NaN stays
    if x.type == "float":
        exponent = b.fmul(held, horner(b, held, FAR_FLOAT))
    else:
        exponent = horner(b, b.fsub(held, b.const(2.0, x)), FAR_DOUBLE)
    far = b.fsub(b.const(1.0, x), exp_in_range(b, exponent))
    return b.copysign(b.select(b.fcmp("olt", a, b.const(1.0, x)), near, far), x)
