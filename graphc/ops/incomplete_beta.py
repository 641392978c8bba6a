"""The incomplete beta function, with derivatives by all three arguments.

It is D = x^a (1 - x)^b / B(a, b) times an integral over the tail below x, in which the odds of t
are exp(-w) times those of x:

    I_x(a, b) = D int_0^inf exp(-a w - (a + b) log(1 - x (1 - exp(-w)))) dw    for x <= a / (a + b)

and above that 1 - I_(1 - x)(b, a). The exponent falls from 0 without a turn, so 32 points of Gauss
and Legendre have all digits for a from 8 on; smaller a are raised by 8 with I_x(a, b) = D / a +
I_x(a + 1, b). The derivatives by a and b have log(t) and log(1 - t) under the same integral.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from graphc.dtypes import float64
from graphc.ir.opdef import Example, Generator
from graphc.ir.registry import Builder, public
from graphc.ir.tensor import Tensor
from graphc.ops.composed import double_partial, register_composed, scipy_special
from graphc.ops.definition import floating, promote_inputs
from graphc.ops.series import FALL, integrals, log1p_rest, stirling

__all__ = ["betainc", "betaincc"]

_SHIFT = 8
_LEAST = 1e-300
_NEWTON_STEPS = 8


def _tail(b: Builder, p: Tensor, q: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
    """The integral for p >= 8 and x <= p / n, and those with log(t / x) and log((1 - t) / y) as
    factors. Near 1 the same exponent is q w - n log(1 + y (exp(w) - 1)), in which x is not."""
    n, low = p + q, b.less_equal(x, y)
    sign, share, rate = b.where(low, -1.0, 1.0), b.where(low, x, y), b.where(low, p, -q)
    width = _widest(b, p, q, x, y)
    for _ in range(_NEWTON_STEPS):  # from above, for the function is convex
        odds = share * b.expm1(sign * width)
        rest = rate * width + n * b.log1p(odds) - FALL[float64]
        width = width - rest / (rate + n * sign * share * b.exp(sign * width) / (1 + odds))
    n, sign, share, rate, late = (
        b.expand_dims(value, -1) for value in (n, sign, share, rate, b.where(low, 0.0, 1.0))
    )

    def integrands(w: Tensor) -> tuple[Tensor, ...]:
        bend = b.log1p(share * b.expm1(sign * w))
        value = b.exp(-(rate * w) - n * bend)
        return value, -(value * (w + bend - late * w)), -(value * (bend - late * w))

    return integrals(b, width, integrands)


def _widest(b: Builder, p: Tensor, q: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Where the exponent has fallen by FALL or more: it is below p w + n log(y), its tangent at 0,
    and its parabola there as far as odds of 1."""
    fall, n = FALL[float64], p + q
    width = (fall - n * b.log(y)) / p
    gap = p * y - q * x
    width = b.where(b.greater(gap * width, fall), fall / b.maximum(gap, _LEAST), width)
    parabola = b.sqrt(2 * fall / (n * x * y))
    reaches = b.less_equal(parabola, b.log(x) - b.log(y))
    return b.where(reaches, b.minimum(width, parabola), width)


def _exponents(
    b: Builder, p: Tensor, q: Tensor, x: Tensor, y: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Whether p and q are large; that of D = x^p y^q / B(p, q) where they are, of what is small
    where x is near p / n, with its factor p q / 2 pi n under a root; that where they are not."""
    low = b.less(x, 0.5)
    log_x = b.where(low, b.log(x), b.log1p(-y))
    few = p * log_x + q * b.where(low, b.log1p(-x), b.log(y)) - b.betaln(p, q)
    many = b.greater_equal(b.minimum(p, q), _SHIFT)
    p, q = b.where(many, p, _SHIFT), b.where(many, q, _SHIFT)
    n = p + q
    ahead = b.where(many, x * q - y * p, 0)
    bend = p * log1p_rest(b, ahead / p) + q * log1p_rest(b, -ahead / q)
    rest = bend + stirling(b, n) - stirling(b, p) - stirling(b, q)
    return many, rest, p * (q / n) * (0.5 / math.pi), few


def _density(b: Builder, p: Tensor, q: Tensor, x: Tensor, y: Tensor) -> Tensor:
    many, rest, factor, few = _exponents(b, p, q, x, y)
    return b.where(many, b.exp(rest) * b.sqrt(factor), b.exp(few))


def log_density(b: Builder, p: Tensor, q: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """log(D), for y = 1 - x"""
    many, rest, factor, few = _exponents(b, p, q, x, y)
    near = b.greater(x * (p + q), 0.5 * p)  # else x n / p is lost beside 1
    return b.where(b.logical_and(many, near), rest + 0.5 * b.log(factor), few)


def _parts(b: Builder, a: Tensor, c: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
    """Whether the tail is that below x, and then p, q, x, y = 1 - x, the raised p, and its
    integrals; those of y otherwise."""
    below = b.less_equal(x * (a + c), a)
    p, q = b.where(below, a, c), b.where(below, c, a)
    x, y = b.where(below, x, y), b.where(below, y, x)
    raised = b.where(b.less(p, _SHIFT), p + _SHIFT, p)
    return below, p, q, x, y, raised, *_tail(b, raised, q, x, y)


def _inside(b: Builder, a: Tensor, c: Tensor, x: Tensor) -> Tensor:
    """0 < a, c < inf and 0 < x < 1"""
    unit = b.logical_and(b.greater(x, 0), b.less(x, 1))
    positive = b.logical_and(b.greater(b.minimum(a, c), 0), b.isfinite(b.maximum(a, c)))
    return b.logical_and(unit, positive)


def _held(b: Builder, a: Tensor, c: Tensor, x: Tensor) -> tuple[Tensor, ...]:
    inside = _inside(b, a, c, x)
    a, c = (b.maximum(b.where(inside, value, 1), _LEAST) for value in (a, c))
    return inside, a, c, b.where(inside, x, 0.5)


def _smaller(b: Builder, p: Tensor, q: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
    """Whether the tail is that below x; its exponents, its place and the rest of 1; the integral"""
    below, p, q, left, right, _, first, *_ = _parts(b, p, q, x, y)
    lifted = first
    for k in reversed(range(_SHIFT)):
        lifted = (1 + left * (p + q + k) * lifted) / (p + k)
    return below, p, q, left, right, b.where(b.less(p, _SHIFT), lifted, first)


def log_tails(b: Builder, p: Tensor, q: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """log(I) and log(1 - I) for p, q > 0 and y = 1 - x, both > 0"""
    below, *place, first = _smaller(b, p, q, x, y)
    log = log_density(b, *place) + b.log(first)
    other = b.log1p(-_density(b, *place) * first)
    return b.where(below, log, other), b.where(below, other, log)


def _value(
    b: Builder, a: Tensor, c: Tensor, x: Tensor, logs: bool = False, upper: bool = False
) -> Tensor:
    """With the limits: 0 at x = 0, b = 0 and a = inf; 1 at x = 1, a = 0 and b = inf. logs: its
    logarithm. upper: 1 - I"""
    inside, p, q, held = _held(b, a, c, x)
    if logs:
        value = log_tails(b, p, q, held, 1 - held)[0]
    else:
        below, *place, first = _smaller(b, p, q, held, 1 - held)
        value = _density(b, *place) * first
        value = b.where(b.not_equal(below, upper), value, 1 - value)
    one = b.logical_or(b.equal(a, 0), b.isinf(c))
    zero = b.logical_or(b.equal(c, 0), b.isinf(a))
    limit = b.where(one, 1.0, b.where(zero, 0.0, x))
    limit = b.where(b.equal(x, 0), 0.0, b.where(b.equal(x, 1), 1.0, limit))
    limit = b.log(limit) if logs else 1 - limit if upper else limit
    unknown = b.logical_or(b.isnan(a + c), b.isnan(x))
    outside = b.logical_or(b.less(x, 0), b.greater(x, 1))
    wrong = b.logical_or(b.less(b.minimum(a, c), 0), b.logical_or(outside, unknown))
    wrong = b.logical_or(wrong, b.logical_and(one, zero))
    return b.where(inside, value, b.where(wrong, math.nan, limit))


# --- derivatives ---------------------------------------------------------------------------------


def exponent_share(
    b: Builder, a: Tensor, c: Tensor, x: Tensor, y: Tensor, by: int
) -> tuple[Tensor, ...]:
    """dI/da or dI/dc over D, for y = 1 - x, and what D depends on.

    It is H = (log(x) - digamma(p) + digamma(n)) J + dJ/dp for the integral J; raised: H(p) =
    (log(x) - digamma(p + 1) + digamma(n) + x n H(p + 1)) / p, and likewise by the other exponent.
    """
    below, p, q, x, y, raised, first, by_p, by_q = _parts(b, a, c, x, y)
    small, n = b.less(p, _SHIFT), p + q
    low = b.where(b.less(x, 0.5), b.log(x), b.log1p(-y))
    high = b.where(b.less(x, 0.5), b.log1p(-x), b.log(y))
    psi_n, psi_q, psi_p = (b.digamma(value) for value in (raised + q, q, raised))
    own = (low - psi_p + psi_n) * first + by_p
    other = (high - psi_q + psi_n) * first + by_q
    # one step at a time down from the raised p
    own_low, other_low = own, other
    for k in reversed(range(_SHIFT)):
        psi_n = psi_n - 1 / (n + k)
        grown = x * (n + k)
        own_low = (low - psi_p + psi_n + grown * own_low) / (p + k)
        other_low = (high - psi_q + psi_n + grown * other_low) / (p + k)
        psi_p = psi_p - 1 / (p + k)
    own, other = b.where(small, own_low, own), b.where(small, other_low, other)
    pair = (own, other) if by == 0 else (other, own)
    return b.where(below, pair[0], -pair[1]), p, q, x, y


def _slope(b: Builder, a: Tensor, c: Tensor, x: Tensor, by: int, logs: bool = False) -> Tensor:
    """dI/da or dI/dc; logs: that of log(I)"""
    inside, a, c, x = _held(b, a, c, x)
    share, *place = exponent_share(b, a, c, x, 1 - x, by)
    if logs:
        density = b.exp(log_density(b, *place) - b.log_betainc(a, c, x))
    else:
        density = _density(b, *place)
    return b.where(inside, density * share, 0)


def _by_x(b: Builder, a: Tensor, c: Tensor, x: Tensor) -> Tensor:
    inside, p, q, held = _held(b, a, c, x)
    power, other = b.where(b.less_equal(x, 0), a, c), b.where(b.less_equal(x, 0), c, a)
    edge = b.where(b.less(power, 1), math.inf, b.where(b.equal(power, 1), other, 0))
    value = _density(b, p, q, held, 1 - held) / (held * (1 - held))
    return b.where(inside, value, edge)


def _log_by_x(b: Builder, a: Tensor, c: Tensor, x: Tensor) -> Tensor:
    inside, p, q, held = _held(b, a, c, x)
    log = log_density(b, p, q, held, 1 - held) - b.log_betainc(p, q, held)
    edge = b.where(b.less_equal(x, 0), math.inf, _by_x(b, a, c, b.ones_like(x)))
    return b.where(inside, b.exp(log) / (held * (1 - held)), edge)


def _examples(function: Any) -> Callable[[Generator], list[Example]]:
    """One: it is a large graph."""
    a = np.array([0.3, 1.0, 2.5, 7.5, 9.0, 40.0])
    b = np.array([2.0, 0.4, 2.5, 30.0, 8.5, 41.0])
    x = np.array([0.05, 0.8, 0.3, 0.25, 0.5, 0.49])
    return lambda rng: [Example(function, (a, b, x))]


@public
def betainc(a: Any, b: Any, x: Any, /) -> Tensor:
    """The regularized incomplete beta function I_x(a, b), from 0 at x = 0 to 1 at x = 1.

    It is the probability of beta numbers of a and b up to x; 1 - betainc(a, b, x) is
    betainc(b, a, 1 - x).
    a, b, x: shapes that broadcast, any dtype; integers and bool become float32. Result: the
    promoted dtype. NaN where a < 0, b < 0 or x is outside of [0, 1]. Computed in float64, relative
    errors near 1e-14, in far tails and for large a and b 1e-16 times the logarithm of what is
    multiplied; absolute errors only where a or b is below 1e-2, in the derivatives by a and b too.
    Raises ShapeError where the shapes do not broadcast.
    """
    return BETAINC(*(floating(tensor) for tensor in promote_inputs("betainc", a, b, x)))


def _minus(rule: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda b, *inputs: -rule(b, *inputs)


_PARTIALS: tuple[Callable[..., Tensor], ...] = (
    lambda b, a, c, x: _slope(b, a, c, x, by=0),
    lambda b, a, c, x: _slope(b, a, c, x, by=1),
    _by_x,
)
BETAINC = register_composed(
    "betainc",
    build=_value,
    reference=scipy_special("betainc"),
    partials=tuple(map(double_partial, _PARTIALS)),
    examples=_examples(betainc),
)


@public
def betaincc(a: Any, b: Any, x: Any, /) -> Tensor:
    """The complement of the incomplete beta function, 1 - betainc(a, b, x).

    It keeps its digits where it is small. Arguments, result and errors as for betainc.
    """
    return BETAINCC(*(floating(tensor) for tensor in promote_inputs("betaincc", a, b, x)))


BETAINCC = register_composed(
    "betaincc",
    build=lambda b, a, c, x: _value(b, a, c, x, upper=True),
    reference=lambda a, c, x: scipy_special("betainc")(c, a, 1 - x),
    partials=tuple(double_partial(_minus(rule)) for rule in _PARTIALS),
    examples=_examples(betaincc),
)


@public
def log_betainc(a: Any, b: Any, x: Any, /) -> Tensor:
    """log(betainc(a, b, x)), also where that is too small for its dtype."""
    return LOG_BETAINC(*(floating(tensor) for tensor in promote_inputs("log_betainc", a, b, x)))


LOG_BETAINC = register_composed(
    "log_betainc",
    build=lambda b, a, c, x: _value(b, a, c, x, logs=True),
    reference=lambda a, c, x: np.log(scipy_special("betainc")(a, c, x)),
    partials=(
        double_partial(lambda b, a, c, x: _slope(b, a, c, x, by=0, logs=True)),
        double_partial(lambda b, a, c, x: _slope(b, a, c, x, by=1, logs=True)),
        double_partial(_log_by_x),
    ),
    examples=_examples(log_betainc),
)
