"""Gamma, its logarithm, the logarithmic derivative and the logarithm of beta, on the real line.

Arguments below 8 are shifted into [1, 2] by the recurrence Gamma(x + 1) = x Gamma(x), where a
polynomial (our own interpolation at Chebyshev points, in 60 digits) takes over; arguments from 8 on
take Stirling's series; negative ones are reflected. (M. Abramowitz and I. Stegun, "Handbook of
Mathematical Functions", 6.1.15, 6.1.17, 6.1.40, 6.3.5 to 6.3.18.)
"""

import math
from typing import Any

import numpy as np

from graphc.dtypes import float32, float64
from graphc.errors import DTypeError
from graphc.ir.registry import BUILDER, Builder, public
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.composed import define_composed, double_partial, scipy_special
from graphc.ops.definition import floating, one_input, promote_inputs
from graphc.ops.series import digamma_far, stirling

__all__ = [
    "beta",
    "betaln",
    "binom",
    "digamma",
    "factorial",
    "gamma",
    "gammaln",
    "lgamma",
    "multigammaln",
]

# log(gamma(1 + t)) / (t (t - 1)) in 2t - 1, 0 <= t <= 1
_LOG_GAMMA = (
    0.4831289505409809,
    -0.07297994795715297,
    0.01572785026864121,
    -0.003913560937631659,
    0.0010498186644508718,
    -0.0002945507014009265,
    8.510090378468051e-05,
    -2.509432984849446e-05,
    7.5113915317296576e-06,
    -2.274240971132041e-06,
    6.948440187550096e-07,
    -2.138843561161159e-07,
    6.623601939725099e-08,
    -2.057761163373013e-08,
    6.434152357291201e-09,
    -2.0732827842398214e-09,
    6.533268528434416e-10,
    -1.6393816009998903e-10,
    5.18198984494436e-11,
    -3.533898162275879e-11,
    1.1273354955165048e-11,
)
# digamma(1 + t) / (t - root) in 2t - 1, 0 <= t <= 1
_DIGAMMA = (
    0.951055876031833,
    -0.21181371064073026,
    0.06013562106019355,
    -0.018550615381738605,
    0.005936795278433826,
    -0.0019350666647832667,
    0.000636888028319074,
    -0.00021074841215733007,
    6.995020484160625e-05,
    -2.325823828431376e-05,
    7.741156881253708e-06,
    -2.578107848270217e-06,
    8.591324222417666e-07,
    -2.8628755280038686e-07,
    9.500926192924096e-08,
    -3.166618072027162e-08,
    1.10370884388543e-08,
    -3.6788868183645545e-09,
    8.668257373761658e-10,
    -2.889363639216111e-10,
    2.4765474440031764e-10,
    -8.25512972008104e-11,
)
_ROOT, _ROOT_REST = 0.46163214496836236, -1.5522348162858677e-17  # digamma(1 + root) = 0
_STEPS = 6  # of the recurrence
# Integers, whose gammaln is finite for +x: the limits at -inf are taken for what holds at integers
_LOWEST = {float32: -1e36, float64: -1e300}


def _distance(b: Builder, x: Tensor) -> Tensor:
    """v >= 0 such that the function is computed at 1 + v: -x, x or x - 1. Exact below 2^53."""
    return b.where(b.less(x, 0), b.negative(x), b.where(b.less(x, 1), x, b.subtract(x, 1)))


def _fraction(b: Builder, v: Tensor) -> Tensor:
    """t in [0, 1] with v - t an integer, for v < 7"""
    return b.subtract(v, b.minimum(b.floor(v), _STEPS))


def _factors(b: Builder, v: Tensor, otherwise: float) -> list[Tensor]:
    """v, v - 1, ..., t + 1 and then `otherwise`: gamma(1 + v) = v (v - 1) ... gamma(1 + t)"""
    return [
        b.where(b.greater_equal(v, step + 1), b.subtract(v, step), otherwise)
        for step in range(_STEPS)
    ]


def _product(b: Builder, v: Tensor) -> Tensor:
    first, *others = _factors(b, v, 1.0)
    for factor in others:
        first = b.multiply(first, factor)
    return first


def _log_near(b: Builder, t: Tensor) -> Tensor:
    """log(gamma(1 + t)), 0 <= t <= 1"""
    smooth = b.polynomial(b.subtract(b.multiply(t, 2), 1), _LOG_GAMMA, within=(-1, 1))
    return b.multiply(b.multiply(t, b.subtract(t, 1)), smooth)


def _gammaln(b: Builder, x: Tensor) -> Tensor:
    """At x < 0: log(pi / |sin(pi x)|) - log(gamma(1 - x)); at 0 < x < 1: less log(x)"""
    x = b.maximum(x, _LOWEST[x.dtype])
    v = _distance(b, x)
    near = b.add(b.log(_product(b, v)), _log_near(b, _fraction(b, v)))
    w = b.add(v, 1)
    main = b.multiply(b.subtract(w, 0.5), b.subtract(b.log(w), 1))
    far = b.add(b.add(main, math.log(2 * math.pi) / 2 - 0.5), stirling(b, w))
    value = b.where(b.less(w, 8), near, far)
    tiny = b.greater(x, -1e-30)  # pi x may have few digits there
    sine = b.log(b.abs(b.where(tiny, x, b.sinpi(x))))
    rest = b.negative(b.add(sine, value))
    reflected = b.where(tiny, rest, b.add(rest, math.log(math.pi)))
    shifted = b.where(b.less(x, 1), b.subtract(value, b.log(x)), value)
    return b.where(b.less(x, 0), reflected, shifted)


def _gamma(b: Builder, x: Tensor) -> Tensor:
    """x^(x - 1/2) overflows before gamma(x), so its root y enters twice."""
    x = b.maximum(x, _LOWEST[x.dtype])
    v = _distance(b, x)
    near = b.multiply(_product(b, v), b.exp(_log_near(b, _fraction(b, v))))
    a = b.minimum(b.abs(x), 200)
    y = b.pow(a, b.subtract(b.multiply(a, 0.5), 0.25))
    decay = b.multiply(b.exp(b.negative(a)), b.exp(stirling(b, a)))
    z = b.multiply(b.multiply(y, decay), math.sqrt(2 * math.pi))
    is_near, below = b.less(v, 7), b.less(x, 0)
    sine = b.sinpi(x)
    reflected = b.divide(math.pi, b.multiply(sine, b.where(is_near, near, a)))
    reflected = b.where(is_near, reflected, b.divide(b.divide(reflected, y), z))
    pole = b.equal(sine, 0)
    reflected = b.where(pole, math.nan, reflected)
    shifted = b.where(b.less(x, 1), b.divide(near, x), near)
    return b.where(below, reflected, b.where(is_near, shifted, b.multiply(y, z)))


def _digamma(b: Builder, x: Tensor) -> Tensor:
    """At x < 0: digamma(1 - x) - pi cot(pi x); at 0 < x < 1: digamma(1 + x) - 1 / x"""
    x = b.maximum(x, _LOWEST[x.dtype])
    v = _distance(b, x)
    t = _fraction(b, v)
    smooth = b.polynomial(b.subtract(b.multiply(t, 2), 1), _DIGAMMA, within=(-1, 1))
    root = _ROOT if x.dtype == float64 else float(np.float32(_ROOT))
    beside = b.subtract(b.subtract(t, root), _ROOT - root + _ROOT_REST)
    near = b.multiply(beside, smooth)
    for factor in _factors(b, v, math.inf):
        near = b.add(near, b.divide(1, factor))
    w = b.add(v, 1)
    value = b.where(b.less(w, 8), near, digamma_far(b, w))
    sine = b.sinpi(x)
    cotangent = b.where(b.equal(sine, 0), math.nan, b.divide(b.cospi(x), sine))
    reflected = b.subtract(value, b.multiply(cotangent, math.pi))
    shifted = b.where(b.less(x, 1), b.subtract(value, b.divide(1, x)), value)
    return b.where(b.less(x, 0), reflected, shifted)


def _betaln(b: Builder, x1: Tensor, x2: Tensor) -> Tensor:
    """log(gamma(p)) + log(gamma(q) / gamma(p + q)) for p <= q, the quotient by Stirling's series at
    q >= 8; a smaller q is raised by B(p, q) = B(p, q + 1) (p + q) / q"""
    p, q = b.minimum(x1, x2), b.maximum(x1, x2)
    small = b.less(q, 8)
    above, below = b.add(p, q), q
    for step in range(1, 8):
        above = b.multiply(above, b.add(b.add(p, q), step))
        below = b.multiply(below, b.add(q, step))
    raised = b.where(small, b.log(b.divide(above, below)), 0)
    q = b.where(small, b.add(q, 8), q)
    total = b.add(p, q)
    corrections = b.subtract(stirling(b, q), stirling(b, total))
    linear = b.multiply(p, b.subtract(1, b.log(total)))
    bend = b.multiply(b.subtract(q, 0.5), b.log1p(b.divide(p, q)))
    quotient = b.add(b.subtract(linear, bend), corrections)
    value = b.add(b.add(b.gammaln(p), quotient), raised)
    special = b.where(b.isinf(q), -math.inf, value)
    special = b.where(b.less_equal(p, 0), b.where(b.equal(p, 0), math.inf, math.nan), special)
    return b.where(b.logical_or(b.isnan(x1), b.isnan(x2)), math.nan, special)


# --- references ----------------------------------------------------------------------------------


def _gammaln_values(x: np.ndarray) -> Any:
    return np.where(x == -np.inf, np.inf, scipy_special("gammaln")(x))


def _betaln_values(x1: np.ndarray, x2: np.ndarray) -> Any:
    least, most = np.minimum(x1, x2), np.maximum(x1, x2)
    value = scipy_special("betaln")(x1, x2)
    value = np.where(np.isinf(most), -np.inf, value)
    value = np.where(least <= 0, np.where(least == 0, np.inf, np.nan), value)
    return np.where(np.isnan(x1) | np.isnan(x2), np.nan, value)


gammaln = define_composed(
    "gammaln",
    "log(|gamma(x)|); inf at 0, at negative integers and at infinities.\n\n"
    "Relative precision everywhere but at the zeros between negative integers.",
    build=_gammaln,
    reference=_gammaln_values,
    partials=(lambda b, a: b.digamma(a.inputs[0]),),
    domain=(0.3, 12.0),
    single=True,
)
gamma = define_composed(
    "gamma",
    "The gamma function; (x - 1)! at positive integers, inf of the sign of x at 0, NaN at negative "
    "integers.",
    build=_gamma,
    reference=scipy_special("gamma"),
    partials=(lambda b, a: b.multiply(a.output, b.digamma(a.inputs[0])),),
    domain=(0.3, 9.0),
)
digamma = define_composed(
    "digamma",
    "The derivative of log(gamma(x)); -inf at 0, inf at -0.0, NaN at negative integers.\n\n"
    "Relative precision everywhere but at the zeros between negative integers.",
    build=_digamma,
    reference=scipy_special("digamma"),
    partials=(lambda b, a: b.polygamma(1, a.inputs[0]),),
    domain=(0.3, 12.0),
    single=True,
)


def _betaln_slope(b: Builder, this: Tensor, other: Tensor) -> Tensor:
    return b.subtract(b.digamma(this), b.digamma(b.add(this, other)))


betaln = define_composed(
    "betaln",
    "log(gamma(x1) gamma(x2) / gamma(x1 + x2)); inf at 0, NaN below.\n\n"
    "Without the cancellation of three logarithms: after A. Didonato and A. Morris, Algorithm 708, "
    "ACM TOMS 18, 1992.",
    build=_betaln,
    reference=_betaln_values,
    partials=(
        double_partial(_betaln_slope),
        double_partial(lambda b, x1, x2: _betaln_slope(b, x2, x1)),
    ),
    domain=(0.3, 12.0),
    traits=("commutative",),
)


@public
def lgamma(x: Any, /) -> Tensor:
    """The same as gammaln(x), by its name in C."""
    return gammaln(x)


@public
def beta(a: Any, b: Any, /) -> Tensor:
    """gamma(a) gamma(b) / gamma(a + b) for a, b > 0: exp(betaln(a, b)).

    a, b: shapes that broadcast, any dtype; integers and bool become float32. inf at 0, NaN below.
    Raises ShapeError where the shapes do not broadcast.
    """
    return BUILDER.exp(betaln(a, b))


@public
def factorial(n: Any, /) -> Tensor:
    """gamma(n + 1), for numbers n that need not be whole.

    n: any shape and dtype; integers and bool become float32. NaN at negative integers.
    """
    return gamma(BUILDER.add(floating(one_input("factorial", n)), 1))


@public
def binom(n: Any, k: Any, /) -> Tensor:
    """The binomial coefficient: in how many ways k of n can be chosen, 0 <= k <= n.

    n, k: shapes that broadcast, numbers that need not be whole; integers and bool become float32.
    1 / ((n + 1) beta(n - k + 1, k + 1)). For k < 0 and k > n: 0 where n and k are whole, n >= 0;
    NaN elsewhere beyond -1 and n + 1.
    Raises ShapeError where the shapes do not broadcast.
    """
    b = BUILDER
    total, part = (floating(tensor) for tensor in promote_inputs("binom", n, k))
    whole = b.logical_and(b.equal(b.floor(part), part), b.equal(b.floor(total), total))
    outside = b.logical_or(b.less(part, 0), b.greater(part, total))
    none = b.logical_and(b.logical_and(outside, whole), b.greater_equal(total, 0))
    part = b.where(none, 0, part)
    logarithm = betaln(b.add(b.subtract(total, part), 1), b.add(part, 1))
    value = b.divide(b.exp(b.negative(logarithm)), b.add(total, 1))
    return b.where(none, 0, value)


@public
def multigammaln(a: Any, d: int, /) -> Tensor:
    """The logarithm of the multivariate gamma function of dimension d, for a > (d - 1) / 2.

    a: any shape and dtype; integers and bool become float32. d: an int >= 1. The sum of
    gammaln(a - j / 2) over j < d, and d (d - 1) / 4 log(pi). Raises DTypeError for another d.
    """
    if not isinstance(d, int | np.integer) or isinstance(d, bool) or d < 1:
        raise DTypeError(
            f"multigammaln: the dimension is an int >= 1, got {d!r:.40}",
            code="E215",
            source=current_source(),
            fix="give the dimension as an int",
        )
    tensor = floating(one_input("multigammaln", a))
    total = BUILDER.add(gammaln(tensor), int(d) * (int(d) - 1) / 4 * math.log(math.pi))
    for j in range(1, int(d)):
        total = BUILDER.add(total, gammaln(BUILDER.subtract(tensor, j / 2)))
    return total
