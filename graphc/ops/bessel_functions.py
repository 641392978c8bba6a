"""Modified Bessel functions of the first kind, of orders 0 and 1.

For |x| <= 8 a polynomial in (x / 2)**2 with positive coefficients; beyond, exp(|x|) / sqrt(|x|)
times a polynomial in 16 / |x| - 1 (the ranges are those of S. Moshier's Cephes library, the
coefficients of our own interpolation at Chebyshev points, in 60 digits).
"""

from typing import Any

import numpy as np

from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor
from graphc.ops.composed import define_composed, double_partial, scipy_special

__all__ = ["i0", "i0e", "i1", "i1e"]

# i0(x) in (x/2)^2 for |x| <= 8
_I0_NEAR = (
    1.0,
    1.0,
    0.2500000000000001,
    0.027777777777777565,
    0.0017361111111113758,
    6.944444444424399e-05,
    1.9290123457790406e-06,
    3.936759885673581e-08,
    6.151187413177668e-10,
    7.594056846699174e-12,
    7.594079950279469e-14,
    6.275862820937522e-16,
    4.3600362269175774e-18,
    2.5698743857514957e-20,
    1.35095827969477e-22,
    4.940670282542572e-25,
    3.6454386812677436e-27,
)
# 2 i1(x) / x in (x/2)^2 for |x| <= 8
_I1_NEAR = (
    1.0,
    0.5000000000000001,
    0.08333333333333304,
    0.0069444444444450686,
    0.00034722222222153507,
    1.157407407453132e-05,
    2.7557319204030443e-07,
    4.920949921538654e-09,
    6.834651294492253e-11,
    7.594078567160322e-13,
    6.90345927367201e-15,
    5.231992159979275e-17,
    3.3410044697092935e-19,
    1.891028804078631e-21,
    7.413211040554544e-24,
    5.833651333188183e-26,
)
# exp(-x) sqrt(x) i0(x) in 16/x - 1 for x >= 8
_I0_FAR = (
    0.4021765094450081,
    0.003360551983667854,
    0.00013621607439232746,
    1.1143033791556743e-05,
    1.4838475473607391e-06,
    2.973598432479169e-07,
    8.87225351128584e-08,
    3.932602459703109e-08,
    2.1545177650836005e-08,
    7.553516470355896e-09,
    -6.729724111923548e-09,
    -1.3404241991980871e-08,
    -5.4685974495866e-09,
    7.540601378890834e-09,
    7.58022133915272e-09,
    -3.4857887470034955e-09,
    -6.188265090497361e-09,
    1.497880830187091e-09,
    3.881151253996067e-09,
    -5.562201990080394e-10,
    -1.7789375042917173e-09,
    1.4672236659214398e-10,
    5.181936971288284e-10,
    -1.9216763724933513e-11,
    -7.06893851181878e-11,
)
# exp(-x) sqrt(x) i1(x) in 16/x - 1 for x >= 8
_I1_FAR = (
    0.38939845902587233,
    -0.009749577193235728,
    -0.00021923576383430274,
    -1.5038547201176271e-05,
    -1.8349101134666435e-06,
    -3.483855609009937e-07,
    -1.0001323461066435e-07,
    -4.312935369971356e-08,
    -2.337059627111857e-08,
    -8.426622829598154e-09,
    6.715795128085017e-09,
    1.4029693589852716e-08,
    6.040877342160988e-09,
    -7.630751970065577e-09,
    -8.044231276166508e-09,
    3.406636130196794e-09,
    6.4870195719816896e-09,
    -1.4171698018664596e-09,
    -4.047785403711858e-09,
    5.146498826087142e-10,
    1.8513716745511988e-09,
    -1.342266320082222e-10,
    -5.388285995923524e-10,
    1.7502497778701306e-11,
    7.347992441734663e-11,
)
_INFINITE = 1000.0  # exp(x / 2)**2 overflows on the way


def _near(b: Builder, x: Tensor, odd: bool) -> Tensor:
    t = b.square(b.multiply(x, 0.5))
    if not odd:
        return b.polynomial(t, _I0_NEAR, within=(0, 16))
    return b.multiply(b.multiply(x, 0.5), b.polynomial(t, _I1_NEAR, within=(0, 16)))


def _far(b: Builder, a: Tensor, odd: bool) -> Tensor:
    """exp(-a) times the function, a >= 8"""
    table = _I1_FAR if odd else _I0_FAR
    smooth = b.polynomial(b.subtract(b.divide(16, a), 1), table, within=(-1, 1))
    return b.divide(smooth, b.sqrt(a))


def _signed(b: Builder, value: Tensor, x: Tensor, odd: bool) -> Tensor:
    return b.where(b.less(x, 0), b.negative(value), value) if odd else value


def _grown(b: Builder, x: Tensor, odd: bool) -> Tensor:
    a = b.abs(x)
    held = b.minimum(a, _INFINITE)
    root = b.exp(b.multiply(held, 0.5))  # exp(a) overflows before the function
    far = b.multiply(b.multiply(root, _far(b, held, odd)), root)
    return b.where(b.less(a, 8), _near(b, x, odd), _signed(b, far, x, odd))


def _scaled(b: Builder, x: Tensor, odd: bool) -> Tensor:
    a = b.abs(x)
    near = b.multiply(b.exp(b.negative(b.minimum(a, 8))), _near(b, x, odd))
    return b.where(b.less(a, 8), near, _signed(b, _far(b, a, odd), x, odd))


def _infinite(name: str, odd: bool) -> Any:
    """scipy's function, which gives NaN at infinities."""

    def values(x: np.ndarray) -> Any:
        limit = x if odd else np.abs(x)
        return np.where(np.isinf(x), limit, scipy_special(name)(x))

    return values


# --- derivatives ---------------------------------------------------------------------------------


def _quotient(b: Builder, top: Tensor, x: Tensor) -> Tensor:
    """i1(x) / x or i1e(x) / x: 1/2 at 0"""
    zero = b.equal(x, 0)
    return b.where(zero, 0.5, b.divide(top, b.where(zero, 1, x)))


def _i1_slope(b: Builder, x: Tensor) -> Tensor:
    return b.subtract(b.i0(x), _quotient(b, b.i1(x), x))


def _i0e_slope(b: Builder, x: Tensor) -> Tensor:
    return b.subtract(b.i1e(x), b.multiply(b.sign(x), b.i0e(x)))


def _i1e_slope(b: Builder, x: Tensor) -> Tensor:
    value = b.i1e(x)
    decay = b.multiply(b.sign(x), value)
    return b.subtract(b.subtract(b.i0e(x), _quotient(b, value, x)), decay)


i0 = define_composed(
    "i0",
    "The modified Bessel function of the first kind of order 0; inf at infinities.",
    build=lambda b, x: _grown(b, x, odd=False),
    reference=_infinite("i0", odd=False),
    partials=(lambda b, a: b.i1(a.inputs[0]),),
    domain=(-9.0, 9.0),
    single=True,
)
i1 = define_composed(
    "i1",
    "The modified Bessel function of the first kind of order 1; it has the sign of x.",
    build=lambda b, x: _grown(b, x, odd=True),
    reference=_infinite("i1", odd=True),
    partials=(double_partial(_i1_slope),),
    domain=(-9.0, 9.0),
    single=True,
)
i0e = define_composed(
    "i0e",
    "exp(-|x|) i0(x). The derivative at 0 is 0, the mean of those on both sides.",
    build=lambda b, x: _scaled(b, x, odd=False),
    reference=scipy_special("i0e"),
    partials=(double_partial(_i0e_slope),),
    domain=(0.3, 12.0),
    single=True,
)
i1e = define_composed(
    "i1e",
    "exp(-|x|) i1(x).",
    build=lambda b, x: _scaled(b, x, odd=True),
    reference=scipy_special("i1e"),
    partials=(double_partial(_i1e_slope),),
    domain=(0.3, 12.0),
    single=True,
)
