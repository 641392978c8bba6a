"""Exponential integrals, the dilogarithm, and exp(x) - 1 over x.

E_n(x) = exp(-x) int_0^inf exp((1 - n) w - x (exp(w) - 1)) dw falls without a turn, so 32 points of
Gauss and Legendre have all digits but for E_1 at small x, which takes its power series (M.
Abramowitz and I. Stegun, "Handbook of Mathematical Functions", 5.1.4 and 5.1.11). The dilogarithm
is Debye's series in -log(x) for 1/2 <= x <= 2, where its reflections lead (27.7.3 to 27.7.6). Ei(x)
for x > 0 has polynomials of our own interpolation at Chebyshev points, in 60 digits.
"""

import math
from typing import Any

import numpy as np

from graphc.dtypes import float64
from graphc.errors import DTypeError
from graphc.ir.opdef import Application, Example, Generator
from graphc.ir.registry import Builder, public
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.composed import define_composed, double_partial, register_composed, scipy_special
from graphc.ops.definition import floating, one_input
from graphc.ops.series import BERNOULLI, FALL, expm1_rest, integrals

__all__ = ["exp1", "expi", "expn", "exprel", "spence"]

_SMALL = 0.5
# E_1(x) + log(x), less -gamma, over x: 1, -1 / 2 2!, 1 / 3 3!, ...
_SERIES = tuple((-1) ** k / ((k + 1) * math.factorial(k + 1)) for k in range(17))

# --- E_n -----------------------------------------------------------------------------------------


def _integral(b: Builder, x: Tensor, n: int) -> Tensor:
    """exp(x) E_n(x) for x > 0, n >= 1; for n = 1 at x >= 1/2"""
    gap = x + (n - 1.0)
    quadratic = (2 * FALL[float64]) / (gap + b.sqrt(b.square(gap) + x * (2 * FALL[float64])))
    width = b.minimum(quadratic, b.maximum(b.log((2 * FALL[float64]) / x), 2))
    gap, x = b.expand_dims(gap, -1), b.expand_dims(x, -1)
    (value,) = integrals(b, width, lambda w: (b.exp(-(gap * w) - x * expm1_rest(b, w)),))
    return value


def _expn(b: Builder, x: Tensor, n: int) -> Tensor:
    decay = b.exp(-x)
    if n == 0:
        value = decay / x
    else:
        held = b.maximum(b.where(b.isfinite(x), x, 1), 1e-300 if n > 1 else _SMALL)
        value = decay * _integral(b, held, n)
    if n == 1:
        near = b.minimum(b.maximum(x, 0), _SMALL)
        series = near * b.polynomial(near, _SERIES) - (b.log(near) + 0.5772156649015329)
        value = b.where(b.less(x, _SMALL), series, value)
    at_zero = 1 / (n - 1) if n > 1 else math.inf
    value = b.where(b.equal(x, 0), at_zero, b.where(b.isinf(x), 0, value))
    return b.where(b.logical_or(b.less(x, 0), b.isnan(x)), math.nan, value)


def _expn_values(x: np.ndarray, n: int) -> Any:
    return np.where(np.isnan(x), np.nan, scipy_special("expn")(n, x))


def _expn_slope(b: Builder, a: Application) -> Tensor:
    """-E_(n - 1), and for n = 0: -exp(-x) (1 + 1 / x) / x"""
    n, x = a.attrs["n"], a.inputs[0]
    if n == 0:
        return double_partial(lambda b, x, n: -b.exp(-x) * (1 + 1 / x) / x)(b, a)  # type: ignore
    return b.negative(b.expn(n - 1, x))


def _expn_examples(rng: Generator) -> list[Example]:
    x = np.array([0.2, 0.45, 0.8, 3.0, 15.0])
    return [Example(lambda x, n=n: expn(n, x), (x,)) for n in (0, 1, 3)]


EXPN = register_composed(
    "expn",
    build=_expn,
    reference=_expn_values,
    partials=(_expn_slope,),
    examples=_expn_examples,
)


@public
def expn(n: int, x: Any, /) -> Tensor:
    """The exponential integral E_n(x), the integral of exp(-x t) / t**n over t from 1 on.

    n: an int >= 0, fixed when the graph is built. x: any shape and dtype; integers and bool become
    float32. Result: the shape of x. At 0: 1 / (n - 1), inf for n <= 1; NaN for x < 0.
    Raises DTypeError for another n.
    """
    if not isinstance(n, int | np.integer) or isinstance(n, bool) or n < 0:
        raise DTypeError(
            f"expn: the order is an int >= 0, got {n!r:.40}",
            code="E215",
            source=current_source(),
            fix="the order comes first: gc.expn(1, x)",
        )
    return EXPN(floating(one_input("expn", x)), n=int(n))


@public
def exp1(x: Any, /) -> Tensor:
    """The exponential integral E_1(x), the integral of exp(-t) / t from x on: `expn(1, x)`."""
    return expn(1, x)


# --- Ei ------------------------------------------------------------------------------------------

_ROOT = (0.3725074107813666, 1.3140183414386028e-17)  # of Ei: the sum of the two
# (Ei(x) - log(x / root)) / (x - root) in x / 3 - 1, x <= 6
_EI_NEAR = (
    *(2.986772243435986, 3.8535675550242976, 3.434770585137441, 2.321720096290807),
    *(1.2664576815080542, 0.5800776053970588, 0.2292554580841337, 0.07974156050117809),
    *(0.02478045794110513, 0.0069618361322455295, 0.0017851254499828778, 0.0004210737592068845),
    *(9.197224255092271e-05, 1.8706970235171657e-05, 3.5604015678086112e-06),
    *(6.367638426877605e-07, 1.0742751836476303e-07, 1.714739969946709e-08),
    *(2.5855149639190038e-09, 3.7284264006836596e-10, 5.6375635584585926e-11),
    *(7.383085342518905e-12,),
)
# x exp(-x) Ei(x) in 24 / x - 3, 6 <= x <= 12
_EI_6 = (
    *(1.181847986987208, 0.09097863630348535, 0.010157308753614763, -0.003353388660169933),
    *(-0.0011258914511364348, 0.0003731384222116911, 4.205947124095871e-05),
    *(-4.5551153612048826e-05, 9.196638974233501e-06, 1.4333396049105469e-06),
    *(-1.445226056086111e-06, 4.245281684674432e-07, -2.9677343028512706e-08),
    *(-3.0560803155767544e-08, 1.6870984608693514e-08, -4.761318461134899e-09),
    *(5.39727792836452e-10, 2.7905920975081154e-10, -2.0540063216014856e-10),
    *(5.477524834971027e-11, -3.653804826894351e-12),
)
# in 48 / x - 3, 12 <= x <= 24
_EI_12 = (
    *(1.0723449766623854, 0.028391549978593562, 0.0019403040279314468, 0.00026840492461824934),
    *(3.961169113366068e-05, -5.372759752257855e-06, -5.1601824361671674e-06),
    *(-2.2547676789132504e-07, 4.922896188556825e-07, 4.03311720218822e-09),
    *(-4.963298665168637e-08, 7.121042278482026e-09, 3.672996343034101e-09),
    *(-1.5907404457407976e-09, 3.324341997909462e-11, 1.6705200142244416e-10),
    *(-5.11614520734133e-11, -6.270070028539071e-12, 5.141596420275945e-12),
)
# in 96 / x - 3, 24 <= x <= 48
_EI_24 = (
    *(1.033413564216241, 0.01194016356782411, 0.0002989258991367685, 1.2321136833327256e-05),
    *(7.585434701532688e-07, 6.788779655099351e-08, 8.96694938338075e-09, 1.6475838645236403e-09),
    *(2.9517898593754386e-10, 9.352099481023697e-13, -2.9013323864442337e-11),
    *(-9.334077582998792e-12, 5.602395706115298e-13, 7.696188819766061e-13),
    *(4.1966128574017654e-14,),
)
# and in 96 / x - 1
_EI_FAR = (
    *(1.0106407605200176, 0.010872249401677992, 0.0002392169180182909, 8.080245428428291e-06),
    *(3.7277226295293406e-07, 2.2041083990719416e-08, 1.6051629946667106e-09),
    *(1.4014122108901344e-10, 1.4362010221957771e-11, 1.705834523841805e-12),
    *(2.5439875413052795e-13, 4.084354147546263e-14),
)
_EI_PIECES = ((12, 24, _EI_6), (24, 48, _EI_12), (48, 96, _EI_24))


def _expi(b: Builder, x: Tensor) -> Tensor:
    """For x < 0 it is -E_1(-x)."""
    near = b.minimum(b.where(b.greater(x, 0), x, 1), 6)
    distance = near - _ROOT[0] - _ROOT[1]
    small = b.less(near, 0.2)  # further from the root than it is from 0
    quotient = b.where(small, 0, distance) / _ROOT[0]
    logarithm = b.where(small, b.log(near / _ROOT[0]), b.log1p(quotient))
    value = logarithm + distance * b.polynomial(near * (1 / 3) - 1, _EI_NEAR)
    inverse = 1 / b.maximum(x, 6)
    tail = b.polynomial(b.minimum(inverse, 1 / 48) * 96 - 1, _EI_FAR)
    for end, factor, table in _EI_PIECES[::-1]:
        held = b.clip(inverse, 1 / end, 2 / end)
        tail = b.where(b.less(x, end), b.polynomial(held * factor - 3, table), tail)
    half = b.exp(b.minimum(x, 800) * 0.5)  # exp(x) overflows before the function
    value = b.where(b.less(x, 6), value, half * (tail * inverse) * half)
    below = -b.expn(1, b.where(b.less(x, 0), -x, 1))
    value = b.where(b.less(x, 0), below, b.where(b.equal(x, 0), -math.inf, value))
    return b.where(b.equal(x, math.inf), x, b.where(b.isnan(x), x, value))


expi = define_composed(
    "expi",
    "The exponential integral Ei(x): the principal value of the integral of exp(t) / t over t from "
    "-inf to x.\n\n-inf at 0; -E_1(-x) below.",
    build=_expi,
    reference=scipy_special("expi"),
    partials=(double_partial(lambda b, x: b.exp(x) / x),),
    domain=(0.2, 9.0),
)

# --- (exp(x) - 1) / x ----------------------------------------------------------------------------


def _exprel(b: Builder, x: Tensor) -> Tensor:
    zero, infinite = b.equal(x, 0), b.equal(x, math.inf)
    return b.where(zero, 1, b.where(infinite, x, b.expm1(x) / b.where(zero, 1, x)))


def _exprel_slope(b: Builder, x: Tensor) -> Tensor:
    """(exp(x) - 1 - (exp(x) - 1 - x) / x) / x, and its Taylor series where that cancels"""
    near = b.less(b.abs(x), 0.5)
    held = b.where(near, x, 0)
    series = b.polynomial(held, [(k + 1) / math.factorial(k + 2) for k in range(15)])
    outside = b.where(near, 1, x)
    return b.where(near, series, (b.expm1(outside) - expm1_rest(b, outside) / outside) / outside)


exprel = define_composed(
    "exprel",
    "(exp(x) - 1) / x, 1 at 0.",
    build=_exprel,
    reference=scipy_special("exprel"),
    partials=(double_partial(_exprel_slope),),
)

# --- dilogarithm ---------------------------------------------------------------------------------

_DEBYE = tuple(c / math.factorial(2 * k + 1) for k, c in enumerate(BERNOULLI[:9], 1))


def _spence(b: Builder, x: Tensor) -> Tensor:
    """Li2(1 - x) = u - u^2 / 4 + B_2 u^3 / 3! + ... with u = -log(x), 1/2 <= x <= 2; below 1/2
    pi^2 / 6 - log(x) log(1 - x) - Li2(x), above 2 -log(x)^2 / 2 - Li2(1 - 1 / x)"""
    inside = b.logical_and(b.greater(x, 0), b.isfinite(x))
    held = b.where(inside, x, 1)
    large = b.greater(held, 2)
    y = b.where(large, 1 / held, held)
    small = b.less(y, 0.5)
    u = -b.where(small, b.log1p(-b.where(small, y, 0)), b.log(y))
    square = b.square(u)
    value = u * (1 + square * b.polynomial(square, _DEBYE)) - square * 0.25
    value = b.where(small, math.pi**2 / 6 + b.log(y) * u - value, value)
    value = b.where(large, b.square(b.log(held)) * -0.5 - value, value)
    edge = b.where(b.equal(x, 0), math.pi**2 / 6, b.where(b.less(x, 0), math.nan, -x))
    return b.where(inside, value, edge)


def _spence_slope(b: Builder, x: Tensor) -> Tensor:
    """log(x) / (1 - x), -1 at 1"""
    one = b.equal(x, 1)
    return b.where(one, -1, b.log(x) / b.where(one, 1, 1 - x))


spence = define_composed(
    "spence",
    "The dilogarithm of 1 - x: the integral of log(t) / (1 - t) over t from 1 to x.\n\n"
    "pi**2 / 6 at 0; NaN for x < 0.",
    build=_spence,
    reference=lambda x: np.where(np.isposinf(x), -np.inf, scipy_special("spence")(x)),
    partials=(double_partial(_spence_slope),),
    domain=(0.1, 6.0),
)
