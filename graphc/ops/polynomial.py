"""What special functions are made of: polynomials with fixed coefficients, sin and cos of pi x."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.ir.lowering import Elementwise
from graphc.ir.node import Attributes
from graphc.ir.opdef import Application, Example, OpDef
from graphc.ir.registry import Builder, public, register
from graphc.ir.tensor import Tensor
from graphc.ops.definition import (
    FLOAT,
    FLOATING,
    define_elementwise,
    floating,
    jvp_from_partials,
    one_input,
    vjp_from_partials,
    wide,
)
from graphc.scalar import expr as s
from graphc.scalar.expr import Expr
from graphc.scalar.polynomial import derivative, horner

__all__ = ["sinc"]


def _reference(attrs: Attributes, x: np.ndarray) -> Any:
    return wide(lambda x: np.polynomial.polynomial.polyval(x, attrs["coefficients"]))(x)


def _slope(b: Builder, a: Application) -> Tensor:
    return b.polynomial(a.inputs[0], derivative(a.attrs["coefficients"]))


POLYNOMIAL = register(
    OpDef(
        "polynomial",
        infer=lambda call: call.types[0],
        reference=_reference,
        lower=Elementwise(lambda context, x: horner(x, context.attrs["coefficients"])),
        vjp=vjp_from_partials((_slope,)),
        jvp=jvp_from_partials((_slope,)),
        traits=frozenset({"elementwise"}),
        examples=lambda rng: [
            Example(lambda x, c=c: polynomial(x, c), (rng.normal(size=shape),))
            for shape in ((), (0,), (1,), (3, 1, 5))
            for c in ((2.0,), (0.5, -1.0), (1.0, 2.0, 0.0, -0.25))
        ],
    )
)


@public
def polynomial(x: Any, coefficients: Sequence[float]) -> Tensor:
    """c[0] + c[1] x + c[2] x**2 + ... by Horner's rule.

    x: any shape; integers and bool become float32. coefficients: Python numbers, at least one.
    """
    tensor = floating(one_input("polynomial", x))
    return POLYNOMIAL(tensor, coefficients=tuple(float(c) for c in coefficients))


# --- sin and cos of pi x -------------------------------------------------------------------------


def _remainder(x: Expr) -> Expr:
    """x less the nearest even number, exactly: in [-1, 1]."""
    return s.sub(x, s.mul(s.round_(s.mul(x, s.like(x, 0.5))), s.like(x, 2)))


def _sin_pi(x: Expr) -> Expr:
    """With r = x mod 2: sin(pi r), as sin(pi (1 - r)) where |r| > 1/2, so that no zero is missed"""
    r = _remainder(x)
    far = s.lt(s.like(x, 0.5), s.abs_(r))
    folded = s.select(far, s.sub(s.copysign(s.like(x, 1), r), r), r)
    return s.sin(s.mul(folded, s.like(x, math.pi)))


def _cos_pi(x: Expr) -> Expr:
    """sin(pi (1/2 - |r|))"""
    return s.sin(s.mul(s.sub(s.like(x, 0.5), s.abs_(_remainder(x))), s.like(x, math.pi)))


def _sin_pi_values(x: np.ndarray) -> Any:
    r = x - 2 * np.rint(x / 2)
    return np.sin(np.pi * np.where(np.abs(r) > 0.5, np.copysign(1, r) - r, r))


def _cos_pi_values(x: np.ndarray) -> Any:
    return np.sin(np.pi * (0.5 - np.abs(x - 2 * np.rint(x / 2))))


def _in_reference(values: Any) -> Any:
    def reference(x: np.ndarray) -> Any:
        with np.errstate(invalid="ignore"):
            return values(x)

    return wide(reference)


sinpi = define_elementwise(
    "sinpi",
    "sin(pi x), exactly 0 at integers; NaN at infinities.",
    accepts=FLOATING,
    result=FLOAT,
    reference=_in_reference(_sin_pi_values),
    expr=_sin_pi,
    partials=(lambda b, a: b.multiply(b.cospi(a.inputs[0]), math.pi),),
)
cospi = define_elementwise(
    "cospi",
    "cos(pi x), exactly 0 halfway between integers; NaN at infinities.",
    accepts=FLOATING,
    result=FLOAT,
    reference=_in_reference(_cos_pi_values),
    expr=_cos_pi,
    partials=(lambda b, a: b.multiply(b.sinpi(a.inputs[0]), -math.pi),),
)

# sinc(x)' / x in x^2: the Taylor series
_SINC_SLOPE = tuple(
    2 * k * (-1) ** k * math.pi ** (2 * k) / math.factorial(2 * k + 1) for k in range(1, 16)
)


def _sinc(x: Expr) -> Expr:
    zero = s.eq(x, s.like(x, 0))
    scaled = s.mul(s.select(zero, s.like(x, 1), x), s.like(x, math.pi))
    infinite = s.eq(s.abs_(x), s.like(x, math.inf))
    value = s.select(infinite, s.like(x, 0), s.div(_sin_pi(x), scaled))
    return s.select(zero, s.like(x, 1), value)


def _sinc_values(x: np.ndarray) -> Any:
    with np.errstate(invalid="ignore"):
        value = _sin_pi_values(x) / (np.pi * np.where(x == 0, 1, x))
    return np.where(np.isinf(x), 0, np.where(x == 0, 1, value))


def _sinc_partial(b: Builder, a: Application) -> Tensor:
    """(cos(pi x) - sinc(x)) / x, and its series for |x| < 1, where that cancels"""
    x = a.inputs[0]
    near = b.less(b.abs(x), 1)
    held = b.where(near, x, 0)
    series = b.multiply(held, b.polynomial(b.square(held), _SINC_SLOPE))
    outside = b.where(near, 1, x)
    return b.where(near, series, b.divide(b.subtract(b.cospi(outside), b.sinc(outside)), outside))


sinc = define_elementwise(
    "sinc",
    "sin(pi x) / (pi x), 1 at 0, exactly 0 at other integers and at infinities.",
    accepts=FLOATING,
    result=FLOAT,
    reference=wide(_sinc_values),
    expr=_sinc,
    partials=(_sinc_partial,),
)
