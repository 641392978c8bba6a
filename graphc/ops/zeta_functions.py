"""The Hurwitz zeta function, and the derivatives of digamma, which are zeta at integers.

Ten terms of the sum, and the formula of Euler and Maclaurin for the rest, as in S. Moshier's Cephes
library:
with a = q + 10,

    zeta(s, q) = sum_{k < 10} (q + k)^-s + a^(1 - s) / (s - 1) + a^-s / 2
               + sum_j B_2j / (2j)! s (s + 1) ... (s + 2j - 2) a^(1 - s - 2j)
"""

import math
from typing import Any

import numpy as np

from graphc.errors import DTypeError
from graphc.ir.opdef import Application, Example, Generator
from graphc.ir.registry import BUILDER, Builder, public
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.composed import composed_examples, register_composed, scipy_special
from graphc.ops.definition import floating, one_input, promote_inputs

__all__ = ["polygamma", "zeta"]

_TERMS = 10  # of the sum
# B_2j / (2j)!
_WEIGHTS = (
    *(1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160),
    *(-691 / 1307674368000, 1 / 74724249600, -3617 / 10670622842880000),
    *(43867 / 5109094217170944000, -174611 / 802857662698291200000),
    *(77683 / 14101100039391805440000, -236364091 / 1693824136731743669452800000),
)

# --- zeta(s, q) ----------------------------------------------------------------------------------


def _zeta(b: Builder, s: Tensor, q: Tensor) -> Tensor:
    total = b.pow(q, b.negative(s))
    for k in range(1, _TERMS):
        total = b.add(total, b.pow(b.add(q, k), b.negative(s)))
    a = b.add(q, _TERMS)
    last = b.pow(a, b.subtract(1, s))
    inverse = b.divide(1, a)
    series: Any = 0.0
    for j in reversed(range(len(_WEIGHTS))):
        # after term j, two more factors of s (s + 1) ... and of 1 / a
        more = b.multiply(b.add(s, 2 * j - 1), inverse) if j else 1.0
        factor = b.multiply(b.multiply(b.add(s, 2 * j), inverse), more)
        series = b.multiply(b.add(series, _WEIGHTS[j]), factor)
    rest = b.multiply(b.add(series, 0.5), inverse)
    rest = b.multiply(last, b.add(b.divide(1, b.subtract(s, 1)), rest))
    rest = b.where(b.equal(last, 0), 0, rest)
    value = b.where(b.equal(q, 0), math.inf, b.add(total, rest))
    value = b.where(b.isinf(q), 0, value)
    outside = b.logical_or(b.less(s, 1), b.less(q, 0))
    unknown = b.logical_or(b.isnan(s), b.isnan(q))
    value = b.where(b.logical_or(outside, unknown), math.nan, value)
    return b.where(b.logical_and(b.equal(s, 1), b.greater_equal(q, 0)), math.inf, value)


def _zeta_values(s: np.ndarray, q: np.ndarray) -> Any:
    """scipy's function, which for integers s also has values at q < 0, and NaN for large s."""
    value = scipy_special("zeta")(s, q)
    value = np.where((s > 1) & (q > 1) & np.isnan(value), 0.0, value)
    return np.where((q < 0) | np.isnan(s) | np.isnan(q), np.nan, value)


def _slope_by_s(b: Builder, s: Tensor, q: Tensor) -> Tensor:
    """The terms of `_zeta`, each differentiated by s."""
    total: Any = 0.0
    for k in range(_TERMS):
        term = b.add(q, k)
        total = b.subtract(total, b.multiply(b.log(term), b.pow(term, b.negative(s))))
    a = b.add(q, _TERMS)
    last = b.pow(a, b.subtract(1, s))
    inverse = b.divide(1, a)
    series: Any = 0.0
    slope: Any = 0.0
    for j in reversed(range(len(_WEIGHTS))):
        one = b.multiply(b.add(s, 2 * j), inverse)
        other = b.multiply(b.add(s, 2 * j - 1), inverse) if j else 1.0
        factor = b.multiply(one, other)
        change = b.multiply(inverse, b.add(one, other)) if j else inverse
        series = b.add(series, _WEIGHTS[j])
        slope = b.add(b.multiply(slope, factor), b.multiply(series, change))
        series = b.multiply(series, factor)
    pole = b.divide(1, b.subtract(s, 1))
    rest = b.add(pole, b.multiply(b.add(series, 0.5), inverse))
    change = b.subtract(b.multiply(slope, inverse), b.square(pole))
    rest = b.multiply(last, b.subtract(change, b.multiply(b.log(a), rest)))
    value = b.add(total, b.where(b.equal(last, 0), 0, rest))
    return b.where(b.isinf(q), 0, value)


def _zeta_slope_by_s(b: Builder, a: Application) -> Tensor:
    s, q = a.inputs
    wide = (b.astype(s, "float64"), b.astype(q, "float64"))
    value = b.astype(_slope_by_s(b, *wide), a.output.dtype)
    return b.where(b.logical_or(b.less(s, 1), b.less(q, 0)), math.nan, value)


def _zeta_slope(b: Builder, a: Application) -> Tensor:
    """-s zeta(s + 1, q)"""
    s, q = a.inputs
    return b.multiply(b.negative(s), b.zeta(b.add(s, 1), q))


def _zeta_examples(rng: Generator) -> list[Example]:
    fixed = [
        Example(lambda q, s=s: zeta(s, q), (rng.uniform(0.3, 12.0, size=shape),))
        for shape, s in (((), 1.5), ((0,), 3.0), ((3, 1, 5), 7.25))
    ]
    return [*composed_examples(zeta, rng, 2, (1.2, 9.0)), *fixed]


@public
def zeta(s: Any, q: Any, /) -> Tensor:
    """Hurwitz' zeta function, the sum of (q + k)**-s over k = 0, 1, 2, ...

    s, q: shapes that broadcast, any dtype; integers and bool become float32. Result: the promoted
    dtype. inf at s = 1 and at q = 0; NaN for s < 1 and for q < 0. zeta(s, 1) is Riemann's.
    Derivatives by both: by s, term by term.
    Raises ShapeError where the shapes do not broadcast.
    """
    return ZETA(*(floating(tensor) for tensor in promote_inputs("zeta", s, q)))


ZETA = register_composed(
    "zeta",
    build=_zeta,
    reference=_zeta_values,
    partials=(_zeta_slope_by_s, _zeta_slope),
    examples=_zeta_examples,
)

# --- polygamma -----------------------------------------------------------------------------------


def _integer_power(b: Builder, x: Tensor, n: int) -> Tensor:
    """x^n for n >= 1 by squaring"""
    power: Tensor | None = None
    while True:
        if n & 1:
            power = x if power is None else b.multiply(power, x)
        n >>= 1
        if n == 0:
            assert power is not None
            return power
        x = b.square(x)


def _cotangent_slope(n: int) -> tuple[float, ...]:
    """The polynomial P with P(cot(x)) = -d^n cot(x) / dx^n: P_0 = -c, P_n+1 = -(1 + c^2) P_n'."""
    found = [0, -1]
    for _ in range(n):
        slope = [k * c for k, c in enumerate(found)][1:]
        found = [0] * (len(slope) + 2)
        for k, c in enumerate(slope):
            found[k] -= c
            found[k + 2] -= c
    return tuple(float(c) for c in found)


def _polygamma(b: Builder, x: Tensor, n: int) -> Tensor:
    """(-1)^(n + 1) n! zeta(n + 1, x); at x < 0 reflected: (-1)^n psi_n(1 - x) = psi_n(x) + pi
    d^n cot(pi x) / dx^n"""
    x = b.maximum(x, -1e300)  # an integer: the limit at -inf is taken for what holds there
    below = b.less(x, 0)
    y = b.abs(b.where(below, b.subtract(1, x), x))
    total = None
    for k in range(_TERMS):
        term = _integer_power(b, b.divide(1, b.add(y, k)), n + 1)
        total = term if total is None else b.add(total, term)
    inverse = b.divide(1, b.add(y, _TERMS))
    rising = [math.prod(range(n + 1, n + 2 + 2 * j)) for j in range(len(_WEIGHTS))]
    series = b.polynomial(
        b.square(inverse), [w * factor for w, factor in zip(_WEIGHTS, rising, strict=True)]
    )
    rest = b.add(b.multiply(inverse, b.add(b.multiply(inverse, series), 0.5)), 1 / n)
    rest = b.multiply(_integer_power(b, inverse, n), rest)
    sign = (-1.0) ** (n + 1)
    value = b.multiply(b.add(total, rest), sign * math.factorial(n))
    sine = b.sinpi(x)
    cotangent = b.divide(b.cospi(x), sine)
    bend = b.multiply(b.polynomial(cotangent, _cotangent_slope(n)), math.pi ** (n + 1))
    reflected = b.add(b.multiply(value, (-1.0) ** n), bend)
    reflected = b.where(b.equal(sine, 0), sign * math.inf, reflected)
    return b.where(below, reflected, value)


def _polygamma_values(x: np.ndarray, n: int) -> Any:
    """scipy's function, with the reflection: scipy sums up to x > 0, which loses digits."""
    below, poles = x < 0, (x <= 0) & (x == np.floor(x))
    value = scipy_special("polygamma")(n, np.where(below, 1 - x, x))
    with np.errstate(all="ignore"):
        fraction = x - np.rint(x)
        cotangent = np.sin(np.pi * (0.5 - np.abs(fraction))) / np.sin(np.pi * fraction)
        bend = np.polynomial.polynomial.polyval(cotangent, _cotangent_slope(n))
    reflected = np.where(
        poles, -((-1.0) ** n) * np.inf, (-1) ** n * value + np.pi ** (n + 1) * bend
    )
    return np.where(below, reflected, value)


def _polygamma_examples(rng: Generator) -> list[Example]:
    return [
        Example(lambda x, n=n: polygamma(n, x), (rng.uniform(*domain, size=shape),))
        for n, shape, domain in (
            (1, (), (0.3, 12.0)),
            (1, (7,), (-3.8, -3.2)),
            (2, (3, 1, 5), (0.8, 12.0)),
            (2, (0,), (-3.8, -3.2)),
            (5, (9,), (2.5, 12.0)),
        )
    ]


POLYGAMMA = register_composed(
    "polygamma",
    build=_polygamma,
    reference=_polygamma_values,
    partials=(lambda b, a: b.polygamma(a.attrs["n"] + 1, a.inputs[0]),),
    examples=_polygamma_examples,
)


@public
def polygamma(n: int, x: Any, /) -> Tensor:
    """The n-th derivative of digamma(x).

    n: an int >= 0, fixed when the graph is built. x: any shape and dtype; integers and bool become
    float32. Result: the shape of x. inf at 0 and at negative integers, with the sign of
    (-1)**(n + 1). Relative precision but near the zeros that an even n has below 0, and to n = 20.
    Raises DTypeError for another n.
    """
    if not isinstance(n, int | np.integer) or isinstance(n, bool) or n < 0:
        raise DTypeError(
            f"polygamma: the order is an int >= 0, got {n!r:.40}",
            code="E215",
            source=current_source(),
            fix="the order comes first: gc.polygamma(1, x)",
        )
    tensor = floating(one_input("polygamma", x))
    return BUILDER.digamma(tensor) if n == 0 else POLYGAMMA(tensor, n=int(n))
