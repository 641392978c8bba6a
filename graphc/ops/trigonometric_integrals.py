"""Integrals of sin(t) / t and cos(t) / t, and Fresnel's, of sin(pi t**2 / 2) and cos(pi t**2 / 2).

Near 0 polynomials in x**2 or x**4; beyond, the auxiliary functions f and g, which do not oscillate,
times sine and cosine (M. Abramowitz and I. Stegun, "Handbook of Mathematical Functions", 5.2.8,
5.2.9, 7.3.9 and 7.3.10). Coefficients are of our own interpolation at Chebyshev points, in 60
digits. Near zeros of the cosine integral the absolute error is small.
"""

import math
from typing import Any

import numpy as np

from graphc.ir.registry import Builder, public
from graphc.ir.tensor import Tensor
from graphc.ops.composed import define_composed, double_partial, scipy_special

__all__ = ["fresnel", "sici"]

# Si(x) / x in x^2 / 8 - 1, x <= 4
_SI_NEAR = (
    *(0.6488924209268717, -0.26998630593421985, 0.06995436230262994, -0.010180919854579487),
    *(0.000926043940588566, -5.729510043974918e-05, 2.562902980424153e-06),
    *(-8.669329640074211e-08, 2.294707477809517e-09, -4.8820436536706355e-11),
    *(8.535034668454058e-13, -1.2465253208934712e-14),
)
# (Ci(x) - log(x) - gamma) / x^2 in x^2 / 8 - 1, x <= 4
_CI_NEAR = (
    *(-0.18000156259038463, 0.058041367082519175, -0.010676245460890443, 0.0011887255711436752),
    *(-8.738341186863486e-05, 4.535777665967924e-06, -1.7478633681168744e-07),
    *(5.19417924305832e-09, -1.2261802782427702e-10, 2.3558809712444187e-12),
    *(-3.7508546554971225e-14,),
)
# x f(x) in 128 / (3 x^2) - 5 / 3, 4 <= x <= 8
_F_MIDDLE = (
    *(0.9418119807878753, -0.027569764262193115, 0.002946843058103866, -0.0005093313348859532),
    *(0.00011368354121903397, -2.9775809983785832e-05, 8.707186092429508e-06),
    *(-2.7607566855068063e-06, 9.315013902696453e-07, -3.302366570648883e-07),
    *(1.2189978797035707e-07, -4.650158504348484e-08, 1.825536860641518e-08),
    *(-7.438589143373341e-09, 3.080120447977964e-09, -1.137839664488694e-09),
    *(4.597787207067849e-10, -3.6979460998476905e-10, 1.809749930207847e-10),
    *(3.95522575599146e-11, -2.573690368871168e-11, -3.6254841337888734e-11),
    *(1.804969166609233e-11,),
)
# and in 128 / x^2 - 1, x >= 8
_F_FAR = (
    *(0.9855904297170983, -0.013381738359286226, 0.0008826900462621366, -0.00011493614903560882),
    *(2.213496946301946e-05, -5.503309014522997e-06, 1.6383752706434879e-06),
    *(-5.577939096373204e-07, 2.1069195354368025e-07, -8.646386937294619e-08),
    *(3.8207799578185457e-08, -1.7963387282823495e-08, 7.693122433115904e-09),
    *(-3.166337540511731e-09, 5.441477355187312e-09, -5.0004070291870555e-09),
    *(-6.389290927144899e-09, 7.502270335672364e-09, 1.137958446556596e-08),
    *(-1.1825204772189706e-08, -1.1805215695981675e-08, 1.1774556997641421e-08),
    *(8.321244315477647e-09, -7.885734726889843e-09, -3.4107248827539086e-09),
    *(3.103301988864726e-09, 6.559261747994287e-10, -5.699721648464544e-10),
)
# x^2 g(x), so too
_G_MIDDLE = (
    *(0.849912766580565, -0.06306367239922105, 0.009640901941618527, -0.0020495387945546843),
    *(0.0005268883730371524, -0.00015339018925663287, 4.8775732893137495e-05),
    *(-1.657130108195783e-05, 5.928685326920294e-06, -2.211229222429485e-06),
    *(8.535261260054638e-07, -3.39170360046339e-07, 1.381400677050762e-07),
    *(-5.726614172183194e-08, 2.4216859884748296e-08, -1.0870583523026734e-08),
    *(4.84182691120322e-09, -1.5054522418143856e-09, 5.821642458414664e-10),
    *(-8.922913210174663e-10, 4.704925497848432e-10, 1.7742828390921808e-10),
    *(-1.063998711335268e-10, -9.354279541904322e-11, 4.820991618956592e-11),
)
_G_FAR = (
    *(0.9588269529985257, -0.0366144548928151, 0.003723833337121945, -0.0006274732868978245),
    *(0.00014418163356493249, -4.087592084946498e-05, 1.348979725735779e-05),
    *(-4.9953922119923544e-06, 2.0250117789679806e-06, -8.831117849894517e-07),
    *(4.1008152485361413e-07, -2.009023376253227e-07, 9.605494787979565e-08),
    *(-4.544109415154545e-08, 5.48768218860397e-08, -5.13643667440255e-08, -7.35398115630292e-08),
    *(9.968377365814097e-08, 1.9778690958202295e-07, -2.3349800160742138e-07),
    *(-3.272302470599558e-07, 3.6962723461297925e-07, 3.9858685525345777e-07),
    *(-4.283781692072987e-07, -3.3745949099169835e-07, 3.47962866608469e-07),
    *(1.9107840538101599e-07, -1.8957313664200742e-07, -6.489658695681148e-08),
    *(6.217737037681717e-08, 1.0165956896907338e-08, -9.406045792770638e-09),
)
# S(x) / x^3 in 32 x^4 / 81 - 1, x <= 3 / 2
_S_NEAR = (
    *(0.3317014537101536, -0.15462472879775477, 0.033158344302986954, -0.0038273603282742877),
    *(0.00027319592380436916, -1.3218316630193985e-05, 4.6177062499591426e-07),
    *(-1.2191997668511405e-08, 2.518325929404381e-10, -4.1824336065981076e-12),
    *(5.701683306944363e-14,),
)
# C(x) / x in 32 x^4 / 81 - 1, x <= 3 / 2
_C_NEAR = (
    *(0.5321015097925993, -0.33317978749623606, 0.11464907315830586, -0.0183018312057431),
    *(0.001665787205011, -9.786733752727695e-05, 4.019013747386435e-06, -1.2189463302692873e-07),
    *(2.8428199115550984e-09, -5.257682445125931e-11, 7.903992798368805e-13),
    *(-9.841734630350274e-15,),
)
# pi x f(x) in (162 / x^4 - 17) / 15, 3 / 2 <= x <= 3
_FRESNEL_F_MIDDLE = (
    *(0.974912381701569, -0.018273604785390106, 0.002372483165507189, -0.0005504065566966422),
    *(0.00017103499130968926, -6.34845448147804e-05, 2.65760704560374e-05),
    *(-1.2139951712537275e-05, 5.92682336202043e-06, -3.050029330954502e-06),
    *(1.6378404713005652e-06, -9.063322849622405e-07, 5.186266187830515e-07),
    *(-3.389812192787132e-07, 2.0910009139011603e-07, 4.202746750141572e-08),
    *(-4.826061099653483e-08, -5.933051018096893e-07, 4.4881010900033e-07, 1.4099825678013e-06),
    *(-1.0815119088977195e-06, -2.771080458296982e-06, 2.120321494640683e-06),
    *(3.955193030720281e-06, -3.0269297506835593e-06, -4.1526510443418455e-06),
    *(3.1765268157026324e-06, 3.098308313961841e-06, -2.369170756016261e-06),
    *(-1.5644499478870284e-06, 1.1955883007701594e-06, 4.799075610745031e-07),
    *(-3.665068196501003e-07, -6.837662034280504e-08, 5.2156030651737316e-08),
)
# and in 162 / x^4 - 1, x >= 3
_FRESNEL_F_FAR = (
    *(0.9981624730618779, -0.0018007954946875964, 3.486242041504266e-05, -1.7038297437492588e-06),
    *(1.4405849555329328e-07, -1.7608441189465798e-08, 2.8078405759097393e-09),
    *(-5.474608145737568e-10, 1.2479038733283795e-10, -3.226754926281059e-11),
    *(9.5939113520871e-12, -3.0934088208663818e-12, 6.744289523658261e-13, -1.85119068058951e-13),
    *(2.976551040487803e-13, -1.3515696352073832e-13),
)
# pi^2 x^3 g(x), so too
_FRESNEL_G_MIDDLE = (
    *(0.8920720400078009, -0.06985750989301895, 0.013866819318265168, -0.004053850727928632),
    *(0.001468611859272869, -0.000610306326845645, 0.0002791597148125509),
    *(-0.00013711242549818603, 7.116313169554838e-05, -3.860292563117393e-05),
    *(2.171216661108102e-05, -1.256595580164165e-05, 7.471795292503096e-06),
    *(-4.740613779633312e-06, 2.9701527732542035e-06, -6.197126429499799e-07),
    *(2.3440728950941462e-07, -6.113161265510539e-06, 4.6798017900437285e-06),
    *(1.8304578730088195e-05, -1.4319366126449064e-05, -4.928705510163446e-05),
    *(3.844248243774703e-05, 9.910039404750869e-05, -7.731851455633976e-05),
    *(-0.00015308186269570424, 0.00011940226176192292, 0.00017922187617936409),
    *(-0.00013976620020477167, -0.0001566203580656282, 0.0001221083644022689),
    *(9.898780060785385e-05, -7.715251763740967e-05, -4.282925305458862e-05),
    *(3.336889393943025e-05, 1.1372921752669618e-05, -8.856546158844988e-06),
    *(-1.4058124356229204e-06, 1.0939713325251124e-06),
)
_FRESNEL_G_FAR = (
    *(0.9909592910831274, -0.008725078110119577, 0.00029331582681259494, -1.984485065657444e-05),
    *(2.0968255825320636e-06, -3.023901225575158e-07, 5.48670439646177e-08),
    *(-1.187743452682452e-08, 2.957468495587567e-09, -8.261159614618525e-10),
    *(2.537740880476486e-10, -8.194374197681845e-11, 2.831862253524504e-11),
    *(-1.4225448904582773e-11, 6.473769873938613e-12, 5.381934921361754e-13),
    *(-6.862577021874133e-13, -1.2990287478785061e-12, 7.055183750218038e-13),
)

_EULER = 0.5772156649015329


def _auxiliary(b: Builder, a: Tensor) -> tuple[Tensor, Tensor]:
    """f and g for a >= 4"""
    inverse = 1 / a
    v = b.square(inverse)
    near, far = (b.maximum(v, 1 / 64) * 128 - 5) / 3, b.minimum(v, 1 / 64) * 128 - 1
    is_near = b.less(a, 8)
    f = b.where(is_near, b.polynomial(near, _F_MIDDLE), b.polynomial(far, _F_FAR))
    g = b.where(is_near, b.polynomial(near, _G_MIDDLE), b.polynomial(far, _G_FAR))
    return f * inverse, g * v


def _sine_integral(b: Builder, x: Tensor) -> Tensor:
    a = b.abs(x)
    near = b.minimum(a, 4)
    value = near * b.polynomial(b.square(near) * 0.125 - 1, _SI_NEAR)
    far = b.maximum(b.where(b.isfinite(a), a, 4), 4)
    f, g = _auxiliary(b, far)
    value = b.where(b.less(a, 4), value, math.pi / 2 - f * b.cos(far) - g * b.sin(far))
    value = b.where(b.isinf(a), math.pi / 2, b.where(b.isnan(a), a, value))
    return b.where(b.less(x, 0), -value, value)


def _cosine_integral(b: Builder, x: Tensor) -> Tensor:
    near = b.minimum(b.where(b.greater(x, 0), x, 1), 4)
    square = b.square(near)
    value = b.log(near) + _EULER + square * b.polynomial(square * 0.125 - 1, _CI_NEAR)
    far = b.maximum(b.where(b.isfinite(x), x, 4), 4)
    f, g = _auxiliary(b, far)
    value = b.where(b.less(x, 4), value, f * b.sin(far) - g * b.cos(far))
    value = b.where(b.equal(x, 0), -math.inf, b.where(b.isinf(x), 0, value))
    return b.where(b.logical_or(b.less(x, 0), b.isnan(x)), math.nan, value)


def _sinc(b: Builder, x: Tensor) -> Tensor:
    zero = b.equal(x, 0)
    return b.where(zero, 1, b.sin(x) / b.where(zero, 1, x))


SINE_INTEGRAL = define_composed(
    "sine_integral",
    "The integral of sin(t) / t over t from 0 to x: the first part of sici.",
    build=_sine_integral,
    reference=lambda x: scipy_special("sici")(x)[0],
    partials=(double_partial(_sinc),),
    domain=(-12.0, 12.0),
)
COSINE_INTEGRAL = define_composed(
    "cosine_integral",
    "gamma + log(x) + the integral of (cos(t) - 1) / t over t from 0 to x: the other part of sici.",
    build=_cosine_integral,
    reference=lambda x: np.where(x < 0, np.nan, scipy_special("sici")(x)[1]),
    partials=(double_partial(lambda b, x: b.cos(x) / x),),
    domain=(0.2, 12.0),
)


@public
def sici(x: Any, /) -> tuple[Tensor, Tensor]:
    """(Si(x), Ci(x)): the integral of sin(t) / t over t from 0 to x, and gamma + log(x) + that of
    (cos(t) - 1) / t.

    x: real, any shape; integers and bool become float32. Ci is -inf at 0, NaN below. Results: of
    the shape and dtype of x. Raises DTypeError for complex x.
    """
    return SINE_INTEGRAL(x), COSINE_INTEGRAL(x)


# --- Fresnel's integrals -------------------------------------------------------------------------


def _phase(b: Builder, a: Tensor) -> Tensor:
    """pi a^2 / 2 less a multiple of 2 pi, for a >= 0: with the whole number h nearest to a and the
    rest r, a^2 is h^2 + 2 h r + r^2, where h^2 is 0 or 1 modulo 4."""
    whole = b.round(a)
    rest = a - whole
    quarters = b.remainder(whole, 2) + b.fmod(whole * rest * 2, 4) + b.square(rest)
    return quarters * (math.pi / 2)


def _fresnel_far(b: Builder, a: Tensor, sine: bool) -> Tensor:
    """1/2 - f cos - g sin, or 1/2 + f sin - g cos, for a >= 3/2"""
    inverse = 1 / a
    v = b.square(inverse)
    w = b.square(v)
    near, far = (b.maximum(w, 1 / 81) * 162 - 17) / 15, b.minimum(w, 1 / 81) * 162 - 1
    is_near = b.less(a, 3)
    f = b.where(is_near, b.polynomial(near, _FRESNEL_F_MIDDLE), b.polynomial(far, _FRESNEL_F_FAR))
    g = b.where(is_near, b.polynomial(near, _FRESNEL_G_MIDDLE), b.polynomial(far, _FRESNEL_G_FAR))
    f, g = f * inverse * (1 / math.pi), g * (inverse * v) * (1 / math.pi**2)
    phase = _phase(b, a)
    if sine:
        return 0.5 - f * b.cos(phase) - g * b.sin(phase)
    return 0.5 + f * b.sin(phase) - g * b.cos(phase)


def _fresnel(b: Builder, x: Tensor, sine: bool) -> Tensor:
    a = b.abs(x)
    near = b.minimum(a, 1.5)
    u = b.square(b.square(near)) * (32 / 81) - 1
    if sine:
        value = near * b.square(near) * b.polynomial(u, _S_NEAR)
    else:
        value = near * b.polynomial(u, _C_NEAR)
    far = b.maximum(b.where(b.isfinite(a), a, 2), 1.5)
    value = b.where(b.less(a, 1.5), value, _fresnel_far(b, far, sine))
    value = b.where(b.isinf(a), 0.5, b.where(b.isnan(a), a, value))
    return b.where(b.less(x, 0), -value, value)


FRESNEL_SINE = define_composed(
    "fresnel_sine",
    "The integral of sin(pi t**2 / 2) over t from 0 to x: the first part of fresnel.",
    build=lambda b, x: _fresnel(b, x, sine=True),
    reference=lambda x: scipy_special("fresnel")(x)[0],
    partials=(double_partial(lambda b, x: b.sin(_phase(b, b.abs(x)))),),
    domain=(-4.0, 4.0),
)
FRESNEL_COSINE = define_composed(
    "fresnel_cosine",
    "The integral of cos(pi t**2 / 2) over t from 0 to x: the second part of fresnel.",
    build=lambda b, x: _fresnel(b, x, sine=False),
    reference=lambda x: scipy_special("fresnel")(x)[1],
    partials=(double_partial(lambda b, x: b.cos(_phase(b, b.abs(x)))),),
    domain=(-4.0, 4.0),
)


@public
def fresnel(x: Any, /) -> tuple[Tensor, Tensor]:
    """(S(x), C(x)): the integrals of sin(pi t**2 / 2) and cos(pi t**2 / 2) over t from 0 to x.

    x: real, any shape; integers and bool become float32. Results: of the shape and dtype of x.
    Raises DTypeError for complex x.
    """
    return FRESNEL_SINE(x), FRESNEL_COSINE(x)
