"""The incomplete gamma functions, with derivatives by both arguments.

Both are D = x^a exp(-x) / gamma(a) times an integral over the smaller tail, in which t = x exp(w):

    P(a, x) = D int_0^inf exp(-a w + x (1 - exp(-w))) dw       for x <= a
    Q(a, x) = D int_0^inf exp( a w - x (exp(w) - 1)) dw        for x > a

The exponents fall from 0 without a turn and have no singularity nearby, so 32 points of Gauss and
Legendre (16 for float32) where they matter have all digits, for every a from 8 on. Smaller a in the
first integral are raised by 8 with P(a, x) = D / a + P(a + 1, x). The derivative by a has log(t)
under the same integral, and nothing in it cancels.
"""

import math
from typing import Any

import numpy as np

from graphc.dtypes import DType, float32, float64
from graphc.ir.opdef import Example, Generator
from graphc.ir.registry import Builder, public
from graphc.ir.tensor import Tensor
from graphc.ops.composed import double_partial, register_composed, scipy_special
from graphc.ops.definition import convert, floating, promote_inputs
from graphc.ops.series import (
    FALL,
    POINTS,
    WEIGHTS,
    digamma_far,
    expm1_rest,
    integrals,
    log1p_rest,
    stirling,
)

__all__ = ["gammainc", "gammaincc"]

_SHIFT = 8
_SMALL = 0.1  # up to here the first integral is taken whatever a is
_LEAST = {float32: 1e-30, float64: 1e-300}
# log(gamma(1 + a)) / a in a: -gamma, zeta(2) / 2, -zeta(3) / 3, ...; for a < 1/2
_NEAR_ONE = (
    *(-0.5772156649015329, 0.8224670334241132, -0.40068563438653143, 0.27058080842778454),
    *(-0.20738555102867398, 0.1695571769974082, -0.1440498967688461, 0.12550966952474304),
    *(-0.11133426586956469, 0.1000994575127818, -0.09095401714582904, 0.083353840546109),
    *(-0.0769325164113522, 0.07143294629536133, -0.06666870588242046, 0.06250095514121304),
    *(-0.058823978658684585, 0.055555767627403614, -0.05263167937961666, 0.05000004769810169),
    *((-1) ** k / k * (1 + 2.0**-k + 3.0**-k + 4.0**-k) for k in range(21, 44)),
)


def _tail(b: Builder, a: Tensor, x: Tensor, below: Tensor, dtype: DType) -> tuple[Tensor, Tensor]:
    """The integral, and that with log(t / x) as a factor, computed in dtype. below: which of the
    two; there x <= a."""
    gap = convert(b.abs(x - a), dtype)
    x = convert(b.maximum(x, _LEAST[dtype]), dtype)
    sign = convert(b.where(below, -1.0, 1.0), dtype)
    width = b.where(below, _fall_below(b, gap, x), _fall_above(b, gap, x))
    gap, x, sign = (b.expand_dims(value, -1) for value in (gap, x, sign))

    def integrands(w: Tensor) -> tuple[Tensor, Tensor]:
        w_signed = sign * w
        value = b.exp(-(gap * w) - x * expm1_rest(b, w_signed))
        return value, value * w_signed

    first, second = (convert(value, float64) for value in integrals(b, width, integrands))
    return first, second


def _fall_below(b: Builder, gap: Tensor, x: Tensor) -> Tensor:
    """w with gap w + x (w + exp(-w) - 1) >= FALL, from Bernstein's w + exp(-w) - 1 >=
    w^2 / (2 + 2/3 w)"""
    fall = FALL[x.dtype]
    square = gap * (2 / 3) + x
    half = gap - fall / 3
    root = b.sqrt(b.square(half) + square * (2 * fall))
    return b.where(b.greater(half, 0), (2 * fall) / (half + root), (root - half) / square)


def _fall_above(b: Builder, gap: Tensor, x: Tensor) -> Tensor:
    """w with gap w + x (exp(w) - 1 - w) near FALL and not below it: Newton's method from above,
    for the function is convex"""
    fall = FALL[x.dtype]
    quadratic = (2 * fall) / (gap + b.sqrt(b.square(gap) + x * (2 * fall)))
    w = b.minimum(quadratic, b.maximum(b.log((2 * fall) / x), 2))
    for _ in range(3):
        rest, slope = gap * w + x * expm1_rest(b, w) - fall, gap + x * b.expm1(w)
        w = w - rest / slope
    return w


def _is_below(b: Builder, a: Tensor, x: Tensor) -> Tensor:
    return b.logical_or(b.less_equal(x, a), b.less_equal(x, _SMALL))


def _raised(
    b: Builder, a: Tensor, x: Tensor, dtype: DType
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Which integral; whether a is raised; the raised a; the integrals there, computed in dtype."""
    below = _is_below(b, a, x)
    small = b.less(a, _SHIFT)
    raised = b.where(b.logical_and(below, small), a + _SHIFT, a)
    return below, small, raised, *_tail(b, raised, x, below, dtype)


def _exponents(b: Builder, a: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """That of D = x^a exp(-x) / gamma(a) for large a, about a (log(x / a) - x / a + 1), with its
    factor a / 2 pi under a root; that for small a."""
    far = b.maximum(a, _SHIFT)
    m = (x - far) / far
    near_one = b.less(b.abs(m), 0.3)
    apart = b.log(b.where(near_one, 1, x / far)) - m
    bend = b.where(near_one, log1p_rest(b, b.where(near_one, m, 0)), apart)
    few = b.minimum(a, _SHIFT)
    small = few * b.log(x) - x - b.gammaln(few)
    return far * bend - stirling(b, far), far * (0.5 / math.pi), small


def _density(b: Builder, a: Tensor, x: Tensor) -> Tensor:
    large, factor, small = _exponents(b, a, x)
    return b.where(b.less(a, _SHIFT), b.exp(small), b.exp(large) * b.sqrt(factor))


def log_density(b: Builder, a: Tensor, x: Tensor) -> Tensor:
    """log(D), for a > 0 and x > 0"""
    large, factor, small = _exponents(b, a, x)
    return b.where(b.less(a, _SHIFT), small, large + 0.5 * b.log(factor))


def _small_complement(b: Builder, a: Tensor, x: Tensor) -> Tensor:
    """Q for x <= 0.1 and a < 1/2: 1 - x^a / gamma(1 + a) (1 - a (x / (a + 1) - x^2 / 2 (a + 2)
    ...))"""
    power = a * (b.log(x) - b.polynomial(a, _NEAR_ONE))
    total = None
    for k in range(10, 0, -1):
        term = (-1) ** (k + 1) / math.factorial(k) / (a + k)
        total = x * (term if total is None else term + total)
    return b.exp(power) * (a * total) - b.expm1(power)


def _integral(b: Builder, a: Tensor, x: Tensor, dtype: DType) -> tuple[Tensor, Tensor]:
    """Whether P = D J, else Q = D J; the integral J"""
    below, small, _, first, _ = _raised(b, a, x, dtype)
    lifted = first
    for k in reversed(range(_SHIFT)):
        lifted = (1 + x * lifted) / (a + k)
    return below, b.where(b.logical_and(below, small), lifted, first)


def tails(
    b: Builder, a: Tensor, x: Tensor, dtype: DType, logs: bool = False
) -> tuple[Tensor, Tensor]:
    """P and Q for finite a, x > 0, with the digits of dtype; or their logarithms."""
    below, first = _integral(b, a, x, dtype)
    value = _density(b, a, x) * first
    tiny = b.logical_and(b.less_equal(x, _SMALL), b.less(a, 0.4))
    rest = b.where(tiny, _small_complement(b, b.minimum(a, 0.4), b.minimum(x, _SMALL)), 1 - value)
    if logs:
        log, other = log_density(b, a, x) + b.log(first), b.log1p(-value)
        few = b.logical_and(tiny, b.less(rest, 0.5))
        lower = b.where(below, b.where(few, b.log1p(-rest), log), other)
        return lower, b.where(below, b.where(few, b.log(rest), other), log)
    return b.where(below, value, 1 - value), b.where(below, rest, value)


def _value(b: Builder, a: Tensor, x: Tensor, upper: bool, logs: bool = False) -> Tensor:
    """With the limits: P = 0 at x = 0 and a = inf, P = 1 at x = inf and a = 0. The integral, most
    of the work, is computed in the dtype of the inputs, what is around it in float64."""
    dtype = x.dtype
    a, x = convert(a, float64), convert(x, float64)
    inside = b.logical_and(b.isfinite(a), b.isfinite(x))
    inside = b.logical_and(inside, b.logical_and(b.greater(a, 0), b.greater(x, 0)))
    held = b.maximum(b.where(inside, a, 1), _LEAST[float64])
    parts = tails(b, held, b.where(inside, x, 1), dtype, logs)
    none, all_ = (-math.inf, 0.0) if logs else (0.0, 1.0)
    ends = (all_, none) if upper else (none, all_)
    at_zero = b.logical_or(b.equal(x, 0), b.isinf(a))
    limit = b.where(at_zero, *ends)
    both = b.logical_or(
        b.logical_and(b.equal(x, 0), b.equal(a, 0)), b.logical_and(b.isinf(x), b.isinf(a))
    )
    wrong = b.logical_or(b.logical_or(b.less(a, 0), b.less(x, 0)), both)
    wrong = b.logical_or(wrong, b.logical_or(b.isnan(a), b.isnan(x)))
    return b.where(inside, parts[1] if upper else parts[0], b.where(wrong, math.nan, limit))


# --- the derivative by a -------------------------------------------------------------------------


def _slope(b: Builder, a: Tensor, log_x: Tensor) -> Tensor:
    """-(dP / da) / D, from H = (log(x) - digamma(a)) J + dJ/da for the integral J; raised: H(a) =
    (log(x) - digamma(a + 1) + x H(a + 1)) / a"""
    dtype = a.dtype
    a, log_x = convert(a, float64), convert(log_x, float64)
    x = b.exp(log_x)
    below, small, _, first, second = _raised(b, a, x, dtype)
    # digamma at a + 8 or a, whichever is wanted
    psi = digamma_far(b, b.where(small, a + _SHIFT, a))
    above_psi = psi
    for k in range(_SHIFT):
        above_psi = above_psi - b.where(small, 1 / (a + k), 0)
    plain = (log_x - above_psi) * first + second
    lifted = (log_x - psi) * first + second
    for k in reversed(range(_SHIFT)):
        lifted = (log_x - psi + x * lifted) / (a + k)
        psi = psi - 1 / (a + k)
    value = b.where(b.logical_and(below, small), lifted, plain)
    return b.where(below, -value, value)


def _slope_values(a: np.ndarray, log_x: np.ndarray) -> Any:
    """By the power series of P and, for x > a, by Q's integral with twice as many points."""
    a, log_x = np.broadcast_arrays(a, log_x)
    x, psi = np.exp(log_x), scipy_special("digamma")
    with np.errstate(all="ignore"):
        term = 1 / a
        total, n = term * (psi(a + 1) - log_x), 0
        while n < 100_000 and np.any((x <= a) & (term > 1e-18 * np.abs(total))):
            n += 1
            term = term * x / (a + n)
            total = total + term * (psi(a + n + 1) - log_x)
        width = np.minimum(10 / np.sqrt(x), np.maximum(np.log(90 / x), 2.0))[..., None]
        halves = [(POINTS + side) / 2 for side in (0, 1)]
        w = width * np.concatenate(halves)
        tail = np.exp(a[..., None] * w - x[..., None] * np.expm1(w))
        factor = (log_x - psi(a))[..., None] + w
        above = np.sum(width * tail * factor * np.concatenate([WEIGHTS, WEIGHTS]) / 2, axis=-1)
    return np.where((x <= a) | (x <= _SMALL), total, above)


def _slope_examples(rng: Generator) -> list[Example]:
    a = np.array([0.05, 0.7, 1.0, 3.0, 7.9, 8.1, 30.0])
    log_x = np.log(a) + np.array([-2.0, 0.3, -0.5, 0.4, -0.2, 0.1, 0.05])
    return [Example(gammainc_slope, (a, log_x))]


# d log(x) / da along P(a, x) = constant: how gamma numbers move with their shape parameter
# (M. Figurnov, S. Mohamed, A. Mnih, "Implicit reparameterization gradients", 2018). Inputs: a > 0
# and log(x), both finite.
SLOPE = register_composed(
    "gammainc_slope",
    build=_slope,
    reference=_slope_values,
    partials=None,
    examples=_slope_examples,
    single=True,
)


@public
def gammainc_slope(a: Any, log_x: Any, /) -> Tensor:
    """d log(x) / da along gammainc(a, x) = constant, for a > 0 and finite log_x."""
    return SLOPE(*(floating(tensor) for tensor in promote_inputs("gammainc_slope", a, log_x)))


def _by_a(sign: float) -> Any:
    def partial(b: Builder, a: Tensor, x: Tensor) -> Tensor:
        inside = b.logical_and(b.greater(x, 0), b.isfinite(x))
        held = b.where(inside, x, 1)
        value = _density(b, a, held) * b.gammainc_slope(a, b.log(held)) * sign
        return b.where(inside, value, 0)

    return double_partial(partial)


def _by_x(sign: float) -> Any:
    def partial(b: Builder, a: Tensor, x: Tensor) -> Tensor:
        zero, infinite = b.equal(x, 0), b.isinf(x)
        edge = b.where(b.less(a, 1), math.inf, b.where(b.equal(a, 1), 1.0, 0.0))
        held = b.where(b.logical_or(zero, infinite), 1, x)
        value = b.where(zero, edge, b.where(infinite, 0, _density(b, a, held) / held))
        return value * sign

    return double_partial(partial)


def _of_logarithm(function: Any, sign: float, by_a: bool) -> Any:
    """The derivative by a, or by x, of the logarithm of P (sign 1) or Q (sign -1)."""

    def partial(b: Builder, a: Tensor, x: Tensor) -> Tensor:
        inside = b.logical_and(b.greater(x, 0), b.isfinite(x))
        held = b.where(inside, x, 1)
        below, integral = _integral(b, a, held, float64)
        own = below if sign > 0 else b.logical_not(below)
        # far out the two logarithms are large, and their difference loses digits
        share = b.exp(log_density(b, a, held) - function(a, held))
        share = b.where(own, 1 / b.where(own, integral, 1), share) * sign
        if by_a:
            return b.where(inside, -share * b.gammainc_slope(a, b.log(held)), 0)
        power = b.where(b.less(a, 1), math.inf, b.where(b.equal(a, 1), 1.0, 0.0))
        at_zero, at_infinity = (math.inf, 0.0) if sign > 0 else (-power, -1.0)
        edge = b.where(b.equal(x, 0), at_zero, at_infinity)
        return b.where(inside, share / held, edge)

    return double_partial(partial)


# --- public functions ----------------------------------------------------------------------------


def _examples(function: Any) -> Any:
    """One: it is a large graph."""

    def examples(rng: Generator) -> list[Example]:
        a = np.array([0.3, 1.0, 2.5, 7.5, 9.0, 40.0])
        x = np.array([0.05, 1.7, 2.0, 9.0, 5.0, 44.0])
        return [Example(function, (a, x))]

    return examples


def _values(name: str) -> Any:
    def values(a: np.ndarray, x: np.ndarray) -> Any:
        value = scipy_special(name)(a, x)
        return np.where(np.isnan(a) | np.isnan(x), np.nan, value)

    return values


@public
def gammainc(a: Any, x: Any, /) -> Tensor:
    """The regularized lower incomplete gamma function P(a, x), from 0 at x = 0 to 1.

    It is the probability of gamma numbers of shape parameter a up to x.
    a, x: shapes that broadcast, any dtype; integers and bool become float32. Result: the promoted
    dtype. NaN where a < 0 or x < 0. Relative errors near 1e-14, in far tails 1e-16 times the
    logarithm; of float32 numbers 4e-7. Raises ShapeError where the shapes do not broadcast.
    """
    return LOWER(*(floating(tensor) for tensor in promote_inputs("gammainc", a, x)))


@public
def gammaincc(a: Any, x: Any, /) -> Tensor:
    """The regularized upper incomplete gamma function Q(a, x) = 1 - gammainc(a, x).

    It keeps its digits where it is small. Arguments, result and errors as for gammainc.
    """
    return UPPER(*(floating(tensor) for tensor in promote_inputs("gammaincc", a, x)))


LOWER = register_composed(
    "gammainc",
    build=lambda b, a, x: _value(b, a, x, upper=False),
    reference=_values("gammainc"),
    partials=(_by_a(-1.0), _by_x(1.0)),
    examples=_examples(gammainc),
    single=True,
)
UPPER = register_composed(
    "gammaincc",
    build=lambda b, a, x: _value(b, a, x, upper=True),
    reference=_values("gammaincc"),
    partials=(_by_a(1.0), _by_x(-1.0)),
    examples=_examples(gammaincc),
    single=True,
)


@public
def log_gammainc(a: Any, x: Any, /) -> Tensor:
    """log(gammainc(a, x)), also where that is too small for its dtype."""
    return LOG_LOWER(*(floating(tensor) for tensor in promote_inputs("log_gammainc", a, x)))


@public
def log_gammaincc(a: Any, x: Any, /) -> Tensor:
    """log(gammaincc(a, x)), also where that is too small for its dtype."""
    return LOG_UPPER(*(floating(tensor) for tensor in promote_inputs("log_gammaincc", a, x)))


def _log_values(name: str) -> Any:
    values = _values(name)
    return lambda a, x: np.log(values(a, x))


LOG_LOWER = register_composed(
    "log_gammainc",
    build=lambda b, a, x: _value(b, a, x, upper=False, logs=True),
    reference=_log_values("gammainc"),
    partials=tuple(_of_logarithm(log_gammainc, 1.0, by_a) for by_a in (True, False)),
    examples=_examples(log_gammainc),
    single=True,
)
LOG_UPPER = register_composed(
    "log_gammaincc",
    build=lambda b, a, x: _value(b, a, x, upper=True, logs=True),
    reference=_log_values("gammaincc"),
    partials=tuple(_of_logarithm(log_gammaincc, -1.0, by_a) for by_a in (True, False)),
    examples=_examples(log_gammaincc),
    single=True,
)
