"""Bessel functions of the first and second kind, of orders 0 and 1: j0, j1, y0, y1.

For x <= 8 polynomials in x**2 times the zeros of the function there, and the logarithmic term of
the second kind; beyond, amplitude and phase (M. Abramowitz and I. Stegun, "Handbook of Mathematical
Functions", 9.1.13, 9.2.5 and 9.2.6). Coefficients are of our own interpolation at Chebyshev points,
in 60 digits. Near zeros beyond 8, and near all zeros of y0 and y1, the absolute error is small.
"""

import math
from typing import Any

import numpy as np

from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor
from graphc.ops.composed import define_composed, double_partial, scipy_special

__all__ = ["j0", "j1", "y0", "y1"]

# j0(x) / (x^2 - a^2) / (x^2 - b^2) in x^2 / 32 - 1, a and b the zeros up to 8
_J0_NEAR = (
    *(0.0011434937743762545, -0.002119794289479692, 0.0015636431645931661),
    *(-0.0006415390646406127, 0.00016977200713997844, -3.157342540223125e-05),
    *(4.3669323246406834e-06, -4.677128021500441e-07, 3.998839345472477e-08),
    *(-2.7948629190183006e-09, 1.62764894918064e-10, -8.023536504698471e-12),
    *(3.39232989371049e-13, -1.2440365199268069e-14, 4.006894801365682e-16),
    *(-1.1360491593488979e-17,),
)
# j1(x) / x, so too
_J1_NEAR = (
    *(0.00019498936985895625, -0.0002697522746716368, 0.00015860016799369874),
    *(-5.408003239085506e-05, 1.224217365301561e-05, -1.989093515914257e-06),
    *(2.442522260752042e-07, -2.352192254577852e-08, 1.8268547695321333e-09),
    *(-1.1696932521783476e-10, 6.284733827929608e-12, -2.875530868558852e-13),
    *(1.1343125416873482e-14, -3.910422882613337e-16, 1.1811464627239423e-17),
)
# sqrt(pi x / 2) times the part in phase in 128 / x^2 - 1, x >= 8
_P0 = (
    *(0.9994572757882519, -0.0005363673192129672, 6.137416080109498e-06, -2.052744826117064e-07),
    *(1.280376144079619e-08, -1.2121098178971231e-09, 1.5500565498677118e-10),
    *(-2.49114653501214e-11, 4.786995781526937e-12, -1.0157485067475624e-12),
    *(2.453177653864264e-13, -1.0251789882710734e-13, 3.339451060353344e-14),
)
# and x times the other part
_Q0 = (
    *(-0.12444091103610815, 0.000546651927947511, -1.1817110661200891e-05, 5.684971887600464e-07),
    *(-4.5349728374996837e-08, 5.146225288518414e-09, -7.5763304162005e-10),
    *(1.362650428332602e-10, -2.870723492078504e-11, 6.878291492715701e-12),
    *(-1.8736054921125315e-12, 5.567148812645025e-13, -1.314009599009115e-13),
    *(3.7712889190589617e-14, -4.0566682543830486e-14, 1.7103209627178458e-14),
)
_P1 = (
    *(1.0009070262780821, 0.0008988049416705183, -7.9596946984383e-06, 2.4536766333666894e-07),
    *(-1.470851299127033e-08, 1.3602969253898614e-09, -1.7131074855071583e-10),
    *(2.7234512678030558e-11, -5.191157963135289e-12, 1.0954826527581138e-12),
    *(-2.6335764393406657e-13, 1.0923713476020825e-13, -3.545560497731081e-14),
)
_Q1 = (
    *(0.3742149922195918, -0.0007697167057643706, 1.4569614809851325e-05, -6.63356856105171e-07),
    *(5.136105997213349e-08, -5.720890888113782e-09, 8.316077263758752e-10),
    *(-1.4816589168896445e-10, 3.1003673254748755e-11, -7.465100237389389e-12),
    *(2.00269199748065e-12, -4.915774809373563e-13, 1.399895660151511e-13),
    *(-1.0759109633858381e-13, 4.2748483643704317e-14),
)
# y0(x) - 2 / pi log(x / 2) j0(x) in x^2 / 32 - 1
_Y0_REST = (
    *(-0.36202734323714525, -0.4179207423206952, 1.3609456599655456, -0.21245999442065944),
    *(-0.6193407826303358, 0.4482460446356314, -0.15453679652310554, 0.03380285696399606),
    *(-0.005235027670798993, 0.0006104345643799194, -5.5818304627065164e-05),
    *(4.1220543483587725e-06, -2.5144107029169115e-07, 1.2898070896458873e-08),
    *(-5.646268915099188e-10, 2.144060805263636e-11, -7.073366667072138e-13),
)
# (y1(x) - 2 / pi (log(x / 2) j1(x) - 1 / x)) / x in x^2 / 32 - 1
_Y1_REST = (
    *(0.045102662068694954, -0.20760857842830602, 0.09022750636730927, 0.12052035426888161),
    *(-0.12641995056569705, 0.054390116307946296, -0.014131923394262676, 0.0025271340466828155),
    *(-0.0003337225700557392, 3.4063633753164045e-05, -2.7765056994330986e-06),
    *(1.8524201840512754e-07, -1.031524835818152e-08, 4.871020798645333e-10),
    *(-1.985054673060364e-11, 6.992898282316325e-13),
)

# Zeros, each as the sum of two numbers.
_ZEROS = (
    ((2.404825557695773, -1.176691651530894e-16), (5.520078110286311, 8.088597146146722e-17)),
    ((3.8317059702075125, -1.5269184090088067e-16), (7.015586669815619, -9.414165653410389e-17)),
)
_ROOT = math.sqrt(1 / math.pi)  # sqrt(2 / pi) sqrt(1 / 2)


def _first_near(b: Builder, a: Tensor, order: int) -> Tensor:
    """j0 or j1 for 0 <= a <= 8"""
    u = b.square(a) * (1 / 32) - 1
    value = b.polynomial(u, _J1_NEAR if order else _J0_NEAR)
    for high, low in _ZEROS[order]:
        value = value * ((a - high - low) * (a + high))
    return value * a if order else value


def _far(b: Builder, a: Tensor, order: int, second: bool) -> Tensor:
    """For a >= 8: sqrt(2 / (pi a)) (P cos c - Q sin c), and of the second kind P sin c + Q cos c,
    with c = a - pi / 4 or a - 3 pi / 4."""
    u = b.square(8 / a) * 2 - 1
    p = b.polynomial(u, _P1 if order else _P0)
    q = b.polynomial(u, _Q1 if order else _Q0) / a
    plus, minus = b.sin(a) + b.cos(a), b.sin(a) - b.cos(a)
    cosine, sine = (minus, -plus) if order else (plus, minus)
    value = p * sine + q * cosine if second else p * cosine - q * sine
    return value * _ROOT / b.sqrt(a)


def _first(b: Builder, x: Tensor, order: int) -> Tensor:
    a = b.abs(x)
    far = b.maximum(b.where(b.isfinite(a), a, 8), 8)
    value = b.where(
        b.less(a, 8), _first_near(b, b.minimum(a, 8), order), _far(b, far, order, False)
    )
    value = b.where(b.isinf(a), 0, b.where(b.isnan(a), a, value))
    return b.where(b.signbit(x), -value, value) if order else value


def _second(b: Builder, x: Tensor, order: int) -> Tensor:
    far = b.maximum(b.where(b.isfinite(x), x, 8), 8)
    near = b.where(b.logical_and(b.greater(x, 0), b.less(x, 8)), x, 1)
    u = b.square(near) * (1 / 32) - 1
    grown = b.log(near * 0.5) * _first_near(b, near, order)
    if order:
        value = (grown - 1 / near) * (2 / math.pi) + near * b.polynomial(u, _Y1_REST)
    else:
        value = grown * (2 / math.pi) + b.polynomial(u, _Y0_REST)
    value = b.where(b.less(x, 8), value, _far(b, far, order, True))
    value = b.where(b.equal(x, 0), -math.inf, b.where(b.isinf(x), 0, value))
    return b.where(b.logical_or(b.less(x, 0), b.isnan(x)), math.nan, value)


def _quotient(b: Builder, top: Tensor, x: Tensor) -> Tensor:
    """j1(x) / x: 1/2 at 0"""
    zero = b.equal(x, 0)
    return b.where(zero, 0.5, top / b.where(zero, 1, x))


def _finite(name: str, limit: float) -> Any:
    """scipy's function, with its limit at infinity."""

    def values(x: np.ndarray) -> Any:
        return np.where(np.isposinf(x), limit, scipy_special(name)(x))

    return values


j0 = define_composed(
    "j0",
    "The Bessel function of the first kind of order 0.",
    build=lambda b, x: _first(b, x, 0),
    reference=lambda x: np.where(np.isinf(x), 0.0, scipy_special("j0")(x)),
    partials=(lambda b, a: b.negative(b.j1(a.inputs[0])),),
    domain=(-12.0, 12.0),
)
j1 = define_composed(
    "j1",
    "The Bessel function of the first kind of order 1; j1(-x) = -j1(x).",
    build=lambda b, x: _first(b, x, 1),
    reference=lambda x: np.where(np.isinf(x), 0.0, scipy_special("j1")(x)),
    partials=(double_partial(lambda b, x: b.j0(x) - _quotient(b, b.j1(x), x)),),
    domain=(-12.0, 12.0),
)
y0 = define_composed(
    "y0",
    "The Bessel function of the second kind of order 0; -inf at 0, NaN below.",
    build=lambda b, x: _second(b, x, 0),
    reference=_finite("y0", 0.0),
    partials=(lambda b, a: b.negative(b.y1(a.inputs[0])),),
    domain=(0.3, 12.0),
)
y1 = define_composed(
    "y1",
    "The Bessel function of the second kind of order 1; -inf at 0, NaN below.",
    build=lambda b, x: _second(b, x, 1),
    reference=_finite("y1", 0.0),
    partials=(double_partial(lambda b, x: b.y0(x) - b.y1(x) / x),),
    domain=(0.3, 12.0),
)
