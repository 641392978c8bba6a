"""Modified Bessel functions of the second kind, of orders 0 and 1: k0, k1, k0e, k1e.

For x <= 2 the logarithmic term, -log(x / 2) i0(x) or log(x / 2) i1(x), and a polynomial in x**2 (M.
Abramowitz and I. Stegun, "Handbook of Mathematical Functions", 9.6.11); beyond, exp(-x) / sqrt(x)
times polynomials in 1 / x. Coefficients are of our own interpolation at Chebyshev points, in 60
digits.
"""

import math
from typing import Any

import numpy as np

from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor
from graphc.ops.composed import define_composed, double_partial, scipy_special

__all__ = ["k0", "k0e", "k1", "k1e"]

# k0(x) + log(x / 2) i0(x) in x^2 / 2 - 1, x <= 2
_K0_REST = (
    *(-0.3036207729157554, 0.3404973210133806, 0.07177701034240509, 0.005053392643196092),
    *(0.0001828055582791554, 4.054506619949891e-06, 6.093361894172114e-08, 6.623013272794453e-10),
    *(5.452564662772586e-12, 3.518631515854722e-14),
)
# x (k1(x) - log(x / 2) i1(x)) in x^2 / 2 - 1, x <= 2
_K1_REST = (
    *(0.8850882877295891, -0.3322409552403131, -0.2438385288677433, -0.02785423521977184),
    *(-0.001383168846618116, -3.891869064371633e-05, -7.081133691517408e-07),
    *(-9.032127501740678e-09, -8.533634168575142e-11, -6.214271617329577e-13),
)
# exp(x) sqrt(x) k0(x) in 16 / (3 x) - 5 / 3, 2 <= x <= 8
_K0_MIDDLE = (
    *(1.2110098987429048, -0.022229396684817705, 0.0015226342023096642, -0.00016611058835391408),
    *(2.347178141165668e-05, -3.931853541596083e-06, 7.445968581895666e-07),
    *(-1.5486222232662002e-07, 3.470172330153148e-08, -8.265927701413383e-09),
    *(2.071504348664776e-09, -5.424214982461524e-10, 1.4911217551788575e-10),
    *(-4.2120776919593484e-11, 1.0672299709258216e-11, -3.0666452743638155e-12),
    *(1.7482580180241352e-12, -5.697478241281735e-13),
)
# and in 16 / x - 1, x >= 8
_K0_FAR = (
    *(1.2438463520997634, -0.009162850479796071, 0.000287664144062425, -1.590079882861288e-05),
    *(1.232513845277996e-06, -1.2087144741702019e-07, 1.4153249351468433e-08),
    *(-1.907212231239498e-09, 2.884576231213875e-10, -4.80645455345978e-11),
    *(8.593016410662278e-12, -1.662091040930526e-12, 4.223381553168535e-13),
    *(-9.59154092800612e-14,),
)
_K1_MIDDLE = (
    *(1.388652384648141, 0.0755221424563886, -0.00284772706259996, 0.00025911160597900056),
    *(-3.34305747687039e-05, 5.297932983127535e-06, -9.661472452562958e-07),
    *(1.9548481085633462e-07, -4.289060691545943e-08, 1.0046941620878509e-08),
    *(-2.4837549094238526e-09, 6.430126499695253e-10, -1.7498960858894475e-10),
    *(4.901502633460134e-11, -1.2374385768363292e-11, 3.5352199980107207e-12),
    *(-1.987292016449051e-12, 6.443772604555452e-13),
)
_K1_FAR = (
    *(1.2821438724478937, 0.028311610653861247, -0.00049342894768066, 2.289515261682781e-05),
    *(-1.628785256136165e-06, 1.5175866671625994e-07, -1.7173420327363556e-08),
    *(2.2583083622482678e-09, -3.3532816455938773e-10, 5.5076792313170924e-11),
    *(-9.737491235674763e-12, 1.865870398656956e-12, -4.690323302783396e-13),
    *(1.0579498545965928e-13,),
)


def _near(b: Builder, x: Tensor, order: int) -> Tensor:
    """For 0 < x <= 2"""
    u = b.square(x) * 0.5 - 1
    logarithm = b.log(x * 0.5)
    if order:
        return logarithm * b.i1(x) + b.polynomial(u, _K1_REST) / x
    return b.polynomial(u, _K0_REST) - logarithm * b.i0(x)


def _far(b: Builder, x: Tensor, order: int) -> Tensor:
    """exp(x) times the function, x >= 2"""
    middle, beyond = (_K1_MIDDLE, _K1_FAR) if order else (_K0_MIDDLE, _K0_FAR)
    inverse = 1 / x
    value = b.where(
        b.less(x, 8),
        b.polynomial((b.maximum(inverse, 0.125) * 16 - 5) / 3, middle),
        b.polynomial(b.minimum(inverse, 0.125) * 16 - 1, beyond),
    )
    return value / b.sqrt(x)


def _second(b: Builder, x: Tensor, order: int, scaled: bool) -> Tensor:
    near, far = b.minimum(b.where(b.greater(x, 0), x, 1), 2), b.maximum(x, 2)
    value, tail = _near(b, near, order), _far(b, far, order)
    if scaled:
        value = value * b.exp(near)
    else:
        tail = tail * b.exp(-far)
    value = b.where(b.less_equal(x, 2), value, tail)
    value = b.where(b.equal(x, 0), math.inf, value)
    return b.where(b.logical_or(b.less(x, 0), b.isnan(x)), math.nan, value)


def _vanishing(name: str) -> Any:
    """scipy's function; it gives NaN at infinity for some."""

    def values(x: np.ndarray) -> Any:
        return np.where(np.isposinf(x), 0.0, scipy_special(name)(x))

    return values


k0 = define_composed(
    "k0",
    "The modified Bessel function of the second kind of order 0; inf at 0, NaN below.",
    build=lambda b, x: _second(b, x, 0, scaled=False),
    reference=_vanishing("k0"),
    partials=(lambda b, a: b.negative(b.k1(a.inputs[0])),),
    domain=(0.2, 12.0),
)
k1 = define_composed(
    "k1",
    "The modified Bessel function of the second kind of order 1; inf at 0, NaN below.",
    build=lambda b, x: _second(b, x, 1, scaled=False),
    reference=_vanishing("k1"),
    partials=(double_partial(lambda b, x: -b.k0(x) - b.k1(x) / x),),
    domain=(0.2, 12.0),
)
k0e = define_composed(
    "k0e",
    "exp(x) k0(x), which does not underflow.",
    build=lambda b, x: _second(b, x, 0, scaled=True),
    reference=_vanishing("k0e"),
    partials=(double_partial(lambda b, x: b.k0e(x) - b.k1e(x)),),
    domain=(0.2, 12.0),
)
k1e = define_composed(
    "k1e",
    "exp(x) k1(x), which does not underflow.",
    build=lambda b, x: _second(b, x, 1, scaled=True),
    reference=_vanishing("k1e"),
    partials=(double_partial(lambda b, x: b.k1e(x) - b.k0e(x) - b.k1e(x) / x),),
    domain=(0.2, 12.0),
)
