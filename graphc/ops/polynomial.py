"""What special functions are made of: polynomials with fixed coefficients, sin and cos of pi x."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc.dtypes import float32
from graphc.ir.lowering import Elementwise
from graphc.ir.node import Attributes
from graphc.ir.opdef import Application, Example, OpDef
from graphc.ir.registry import Builder, public, register
from graphc.ir.tensor import Tensor
from graphc.ops.composed import define_composed
from graphc.ops.definition import floating, jvp_from_partials, one_input, vjp_from_partials
from graphc.ops.elementwise_definition import wide
from graphc.scalar.polynomial import derivative, economized, horner

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
def polynomial(
    x: Any, coefficients: Sequence[float], within: tuple[float, float] | None = None
) -> Tensor:
    """c[0] + c[1] x + c[2] x**2 + ... by Horner's rule.

    x: any shape; integers and bool become float32. coefficients: Python numbers, at least one.
    within: the range of x, in which the polynomial has no zero; then float32 takes only as many
    coefficients as it needs.
    """
    tensor = floating(one_input("polynomial", x))
    numbers = tuple(float(c) for c in coefficients)
    if within is not None and tensor.dtype == float32:
        numbers = economized(numbers, *within)
    return POLYNOMIAL(tensor, coefficients=numbers)


# --- sin and cos of pi x -------------------------------------------------------------------------

# sin(pi r) / r in r^2 for |r| <= 1/2: our own interpolation at Chebyshev points, in 60 digits
_SINE = (
    3.141592653589793,
    -5.167712780049969,
    2.5501640398773007,
    -0.5992645293189447,
    0.0821458865731029,
    -0.007370430505916944,
    0.0004662998161898394,
    -2.1903497074626018e-05,
    7.697826768224191e-07,
)


def _sine(b: Builder, r: Tensor) -> Tensor:
    """sin(pi r) for |r| <= 1/2"""
    return b.multiply(r, b.polynomial(b.square(r), _SINE, within=(0, 0.25)))


def _remainder(b: Builder, x: Tensor) -> Tensor:
    """x less the nearest even number, exactly: in [-1, 1]"""
    return b.subtract(x, b.multiply(b.round(b.multiply(x, 0.5)), 2))


def _sin_pi(b: Builder, x: Tensor) -> Tensor:
    """With r = x mod 2: sin(pi r), as sin(pi (1 - r)) where |r| > 1/2, so that no zero is missed"""
    r = _remainder(b, x)
    mirrored = b.subtract(b.copysign(1.0, r), r)
    return _sine(b, b.where(b.greater(b.abs(r), 0.5), mirrored, r))


def _cos_pi(b: Builder, x: Tensor) -> Tensor:
    """sin(pi (1/2 - |r|))"""
    return _sine(b, b.subtract(0.5, b.abs(_remainder(b, x))))


def _sin_pi_values(x: np.ndarray) -> Any:
    r = x - 2 * np.rint(x / 2)
    return np.sin(np.pi * np.where(np.abs(r) > 0.5, np.copysign(1, r) - r, r))


def _cos_pi_values(x: np.ndarray) -> Any:
    return np.sin(np.pi * (0.5 - np.abs(x - 2 * np.rint(x / 2))))


def _quiet(values: Callable[[np.ndarray], Any]) -> Callable[[np.ndarray], Any]:
    def reference(x: np.ndarray) -> Any:
        with np.errstate(invalid="ignore"):
            return values(x)

    return reference


sinpi = define_composed(
    "sinpi",
    "sin(pi x), exactly 0 at integers; NaN at infinities.",
    build=_sin_pi,
    reference=_quiet(_sin_pi_values),
    partials=(lambda b, a: b.multiply(b.cospi(a.inputs[0]), math.pi),),
    single=True,
)
cospi = define_composed(
    "cospi",
    "cos(pi x), exactly 0 halfway between integers; NaN at infinities.",
    build=_cos_pi,
    reference=_quiet(_cos_pi_values),
    partials=(lambda b, a: b.multiply(b.sinpi(a.inputs[0]), -math.pi),),
    single=True,
)

# sinc(x)' / x in x^2: the Taylor series
_SINC_SLOPE = tuple(
    2 * k * (-1) ** k * math.pi ** (2 * k) / math.factorial(2 * k + 1) for k in range(1, 16)
)


def _sinc(b: Builder, x: Tensor) -> Tensor:
    zero, infinite = b.equal(x, 0), b.isinf(x)
    value = b.divide(b.sinpi(x), b.multiply(b.where(zero, 1, x), math.pi))
    return b.where(zero, 1, b.where(infinite, 0, value))


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


sinc = define_composed(
    "sinc",
    "sin(pi x) / (pi x), 1 at 0, exactly 0 at other integers and at infinities.",
    build=_sinc,
    reference=_sinc_values,
    partials=(_sinc_partial,),
    single=True,
)
