"""Exponential integrals, the dilogarithm, and exp(x) - 1 over x.

E_n(x) = exp(-x) int_0^inf exp((1 - n) w - x (exp(w) - 1)) dw falls without a turn, so 32 points of
Gauss and Legendre have all digits but for E_1 at small x, which takes its power series (M.
Abramowitz and I. Stegun, "Handbook of Mathematical Functions", 5.1.4 and 5.1.11). The dilogarithm
is Debye's series in -log(x) for 1/2 <= x <= 2, where its reflections lead (27.7.3 to 27.7.6).
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

__all__ = ["exp1", "expn", "exprel", "spence"]

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
