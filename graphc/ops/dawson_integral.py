"""Dawson's integral, and the error function of imaginary numbers that is made of it.

x times a polynomial in x**2 for |x| <= 2, beyond 1 / (2 x) times polynomials in 1 / x**2: of our
own interpolation at Chebyshev points, in 60 digits.
"""

import math

from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor
from graphc.ops.composed import define_composed, double_partial, scipy_special
from graphc.ops.series import gaussian

__all__ = ["dawsn", "erfi"]

# D(x) / x in x^2 / 2 - 1, |x| <= 2
_DAWSON_NEAR = (
    *(0.3199940372827045, -0.29998509320676114, 0.20497987582912758, -0.10747975160585002),
    *(0.0452947205434806, -0.01589123606419454, 0.004765804899072691, -0.001246695644740535),
    *(0.00028899985344161465, -6.012301940925074e-05, 1.1341501288794971e-05),
    *(-1.9566107179783314e-06, 3.109377090461078e-07, -4.579941427010526e-08),
    *(6.285498274359073e-09, -8.062635004406057e-10, 9.736711106101349e-11),
    *(-1.1700751531205269e-11, 1.2578314611454283e-12),
)
# 2 x D(x) in (32 / x^2 - 5) / 3, 2 <= x <= 4
_DAWSON_2 = (
    *(1.1115991204942623, 0.09506088654968885, 0.011177316418651875, -0.012863579339857744),
    *(-0.0023219425040596616, 0.0038267515047633043, -0.0009420436421851855),
    *(-0.0005898697526808573, 0.0006338936637358557, -0.0002498607620773021),
    *(-1.2572802023409543e-05, 8.735315009581286e-05, -6.635706120431272e-05),
    *(2.761813642131468e-05, -2.4707167502167535e-06, -6.7786146331387015e-06),
    *(6.962505519846356e-06, -4.1401093265121785e-06, 1.5039201959375153e-06),
    *(-1.7624580615594627e-07, -1.8973749561977316e-07, 4.6019116235541717e-07),
    *(-5.811955671689196e-07, 1.346532337015497e-07, 2.495392109387371e-07),
    *(-1.9252946534520575e-08, -1.9539157039771062e-07, 1.6816235008929665e-08),
    *(1.0944918312384302e-07, -3.2579647387776396e-08, -2.0148299593256912e-08),
    *(8.558938764283598e-09,),
)
# and in (128 / x^2 - 5) / 3, 4 <= x <= 8
_DAWSON_4 = (
    *(1.0208061735711274, 0.013340973981177309, 0.0005803940681565609, 4.788765100899389e-05),
    *(6.609454834902267e-06, 1.4949132739804007e-06, 4.727657764072574e-07),
    *(1.0800131482615653e-07, -4.8369173781146576e-08, -6.174214897259067e-08),
    *(-1.1518659276121664e-08, 1.598016925005657e-08, 6.156395225700912e-09),
    *(-4.739458843019972e-09, -1.8919165757621327e-09, 1.6818459139165398e-09),
    *(4.237232683953561e-10, -5.637218276411726e-10, -5.897754132729091e-11),
    *(1.36869471153736e-10, 3.1610620838874263e-12, -1.6736742460210362e-11),
)
# and in 128 / x^2 - 1 from 8 on
_DAWSON_FAR = (
    *(1.0039529457824727, 0.004000587265283784, 4.861445093902486e-05, 1.0012643540121934e-06),
    *(2.9372918322272883e-08, 1.127672071527779e-09, 5.388329780865937e-11),
    *(3.100390062203271e-12, 2.136384925671078e-13, 1.684487548803434e-14),
)

# 1 - 2 x D(x), the asymptotic series in 1 / x^2
_SLOPE = tuple(-math.prod(range(1, 2 * k, 2)) / 2**k for k in range(1, 21))


def _dawsn(b: Builder, x: Tensor) -> Tensor:
    a = b.abs(x)
    near, far = b.minimum(a, 2), b.maximum(a, 2)
    value = near * b.polynomial(b.square(near) * 0.5 - 1, _DAWSON_NEAR)
    inverse = 1 / far
    v = b.square(inverse)
    two = b.polynomial((b.maximum(v, 1 / 16) * 32 - 5) / 3, _DAWSON_2)
    four = b.polynomial((b.clip(v, 1 / 64, 1 / 16) * 128 - 5) / 3, _DAWSON_4)
    beyond = b.polynomial(b.minimum(v, 1 / 64) * 128 - 1, _DAWSON_FAR)
    tail = b.where(b.less(a, 4), two, b.where(b.less(a, 8), four, beyond)) * inverse * 0.5
    value = b.where(b.less(a, 2), value, tail)
    return b.where(b.isnan(x), x, b.copysign(value, x))


def _dawsn_slope(b: Builder, x: Tensor) -> Tensor:
    """1 - 2 x D(x), and its asymptotic series from 8 on, where that cancels"""
    far = b.greater(b.abs(x), 8)
    v = b.square(1 / b.where(far, x, 8))
    near = b.where(far, 0, x)
    return b.where(far, v * b.polynomial(v, _SLOPE), 1 - near * b.dawsn(near) * 2)


def _erfi(b: Builder, x: Tensor) -> Tensor:
    """2 / sqrt(pi) exp(x^2) D(x), where exp(x^2) alone would overflow first"""
    a = b.minimum(b.abs(x), 27)
    half = gaussian(b, a, 0.5)
    grown = half * (b.dawsn(a) * (2 / math.sqrt(math.pi))) * half
    value = b.where(b.greater(b.abs(x), 26.7), math.inf, grown)
    return b.where(b.isnan(x), x, b.copysign(value, x))


def _erfi_slope(b: Builder, x: Tensor) -> Tensor:
    return gaussian(b, b.minimum(b.abs(x), 27), 1.0) * (2 / math.sqrt(math.pi))


dawsn = define_composed(
    "dawsn",
    "Dawson's integral: exp(-x**2) times the integral of exp(t**2) over t from 0 to x.",
    build=_dawsn,
    reference=scipy_special("dawsn"),
    partials=(double_partial(_dawsn_slope),),
    domain=(-6.0, 6.0),
)
erfi = define_composed(
    "erfi",
    "-i erf(i x) = 2 / sqrt(pi) times the integral of exp(t**2) over t from 0 to x.",
    build=_erfi,
    reference=scipy_special("erfi"),
    partials=(double_partial(_erfi_slope),),
)
