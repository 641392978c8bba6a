"""Elementwise functions made of simpler ones: remainders with the sign of the dividend, extrema
that skip NaN, common divisors, polynomials, choices among several."""

import math
from collections.abc import Sequence
from typing import Any

from graphc.dtypes import is_floating, is_signed
from graphc.errors import ShapeError
from graphc.ir.leaf import as_tensor
from graphc.ir.registry import BUILDER, public
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.definition import (
    ANY_REAL,
    INTEGER,
    NUMERIC,
    REAL,
    Accepts,
    check_dtype,
    floating,
    one_input,
    promote_inputs,
)

__all__ = [
    "divmod",
    "fmax",
    "fmin",
    "fmod",
    "gcd",
    "heaviside",
    "lcm",
    "logaddexp2",
    "modf",
    "polyval",
    "select",
]

UNROLLED = 64  # terms of a polynomial that are written out; more are a loop


def _pair(name: str, x1: Any, x2: Any, accepts: Accepts) -> tuple[Tensor, Tensor]:
    a, b = promote_inputs(name, x1, x2)
    check_dtype(name, a.dtype, accepts)
    return a, b


# --- remainders and extrema ----------------------------------------------------------------------


@public
def fmod(x1: Any, x2: Any) -> Tensor:
    """x1 - trunc(x1 / x2) * x2: it has the sign of x1, as in C; `remainder` has that of x2.

    x1, x2: shapes that broadcast, real numeric dtypes (not bool), which are promoted. For integers
    and x2 = 0 it is 0, as in numpy. The gradient by x2 is -trunc(x1 / x2).
    """
    a, b = _pair("fmod", x1, x2, REAL)
    if is_floating(a.dtype):
        return BUILDER.copysign(BUILDER.remainder(BUILDER.abs(a), BUILDER.abs(b)), a)
    rest = BUILDER.remainder(a, b)
    if not is_signed(a.dtype):
        return rest
    differs = BUILDER.not_equal(rest, 0) & BUILDER.not_equal(rest < 0, a < 0)
    return BUILDER.where(differs, rest - b, rest)


def _without_nan(name: str, x1: Any, x2: Any) -> Tensor:
    a, b = _pair(name, x1, x2, REAL)
    found = (BUILDER.maximum if name == "fmax" else BUILDER.minimum)(a, b)
    if not is_floating(a.dtype):
        return found
    return BUILDER.where(BUILDER.isnan(a), b, BUILDER.where(BUILDER.isnan(b), a, found))


@public
def fmax(x1: Any, x2: Any) -> Tensor:
    """The larger of two; where one is NaN the other. Else as `maximum`."""
    return _without_nan("fmax", x1, x2)


@public
def fmin(x1: Any, x2: Any) -> Tensor:
    """The smaller of two; where one is NaN the other. Else as `minimum`."""
    return _without_nan("fmin", x1, x2)


@public
def heaviside(x1: Any, x2: Any) -> Tensor:
    """0 where x1 < 0, x2 where x1 = 0, 1 where x1 > 0, NaN where x1 is NaN.

    x1, x2: shapes that broadcast, real dtypes, which are promoted; integers and bool become
    float32. The gradient by x1 is 0, that by x2 passes where x1 = 0.
    """
    a, b = (floating(x) for x in _pair("heaviside", x1, x2, ANY_REAL))
    beside = BUILDER.where(a > 0, 1.0, BUILDER.where(a < 0, 0.0, math.nan)).astype(a.dtype)
    return BUILDER.where(BUILDER.equal(a, 0), b, beside)


# --- integers ------------------------------------------------------------------------------------


@public
def gcd(x1: Any, x2: Any) -> Tensor:
    """The greatest common divisor of |x1| and |x2|, by Euclid's algorithm; gcd(0, x) is |x|.

    x1, x2: shapes that broadcast, integer dtypes, which are promoted.
    """
    a, b = BUILDER.broadcast_arrays(*_pair("gcd", x1, x2, INTEGER))

    def step(pair: Any) -> tuple[Tensor, Tensor]:
        """(a, b) -> (b, a mod b), and (a, 0) stays."""
        a, b = pair
        done = BUILDER.equal(b, 0)
        return BUILDER.where(done, a, b), BUILDER.where(done, 0, BUILDER.remainder(a, b))

    found, _ = BUILDER.while_loop(
        lambda pair: BUILDER.any(BUILDER.not_equal(pair[1], 0)),
        step,
        (BUILDER.abs(a), BUILDER.abs(b)),
    )
    return BUILDER.abs(found)


@public
def lcm(x1: Any, x2: Any) -> Tensor:
    """The least common multiple of |x1| and |x2|; 0 where one is 0. It may wrap around.

    x1, x2: shapes that broadcast, integer dtypes, which are promoted.
    """
    a, b = _pair("lcm", x1, x2, INTEGER)
    divisor = gcd(a, b)
    product: Tensor = BUILDER.floor_divide(BUILDER.abs(a), divisor) * BUILDER.abs(b)
    return product


@public
def divmod(x1: Any, x2: Any) -> tuple[Tensor, Tensor]:
    """(floor_divide(x1, x2), remainder(x1, x2)). ShapeError where shapes do not broadcast."""
    return BUILDER.floor_divide(x1, x2), BUILDER.remainder(x1, x2)


@public
def modf(x: Any) -> tuple[Tensor, Tensor]:
    """(x - trunc(x), trunc(x)), both with the sign of x; of infinities 0 and the infinity.

    x: any shape; integers and bool become float32.
    """
    tensor = floating(one_input("modf", x, ANY_REAL))
    whole = BUILDER.trunc(tensor)
    rest = BUILDER.where(BUILDER.isinf(tensor), 0, tensor - whole)
    return BUILDER.copysign(rest, tensor), whole


@public
def logaddexp2(x1: Any, x2: Any) -> Tensor:
    """log2(2**x1 + 2**x2) without overflow.

    x1, x2: shapes that broadcast; integers and bool become float32. ShapeError where they do not.
    """
    a, b = (floating(x) for x in _pair("logaddexp2", x1, x2, ANY_REAL))
    return BUILDER.logaddexp(a * math.log(2), b * math.log(2)) * (1 / math.log(2))


# --- polynomials and choices ---------------------------------------------------------------------


@public
def polyval(p: Any, x: Any) -> Tensor:
    """p[0] x**(n - 1) + ... + p[n - 2] x + p[n - 1] by Horner's rule; 0 for no coefficients.

    p: one axis, numeric dtypes; the highest power first, as in numpy. x: any shape. Both are
    promoted. ShapeError where p has not one axis.
    """
    coefficients, place = _pair("polyval", p, x, NUMERIC)
    if coefficients.ndim != 1:
        raise ShapeError(
            f"polyval: coefficients {coefficients.type}",
            source=current_source(),
            fix="give a vector, the highest power first",
        )
    count = coefficients.shape[0]
    value = BUILDER.zeros_like(place)
    if isinstance(count, int) and count <= UNROLLED:
        for number in range(count):
            term = BUILDER.take(coefficients, number)
            value = value * place + term if number else BUILDER.broadcast_to(term, place.shape)
        return value
    value, _ = BUILDER.scan(lambda so_far, c: (so_far * place + c, None), value, coefficients)
    return value


@public
def select(conditions: Sequence[Any], choices: Sequence[Any], default: Any = 0) -> Tensor:
    """The first of `choices` whose condition holds, elementwise; else default.

    conditions: bool, as many as choices, at least one. choices, default: any dtypes, promoted
    together. All shapes broadcast. A choice that is not taken leaks nothing into values and
    gradients. ShapeError for lists of other lengths and for shapes that do not broadcast.
    """
    conditions, choices = list(conditions), list(choices)
    if len(conditions) != len(choices) or not choices:
        raise ShapeError(
            f"select: {len(conditions)} conditions for {len(choices)} choices",
            source=current_source(),
            fix="give a condition for each choice, and at least one; what remains is the default",
        )
    *branches, result = promote_inputs("select", *choices, default)
    tests = [as_tensor(condition) for condition in conditions]
    for test, branch in zip(reversed(tests), reversed(branches), strict=True):
        result = BUILDER.where(test, branch, result)
    return result
