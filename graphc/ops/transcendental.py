"""Exponentials, logarithms, trigonometric and hyperbolic functions, and their stable composites.

Integers and bool become float32. Derivatives are the textbook ones; where a naive form would
overflow or lose digits, a note says which form is used.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc.dtypes import is_complex
from graphc.ir.opdef import Application
from graphc.ir.registry import Builder, public
from graphc.ir.tensor import Tensor
from graphc.ops import complex_formulas as formulas
from graphc.ops import complex_trigonometry as trigonometry
from graphc.ops.definition import FLOATING, Over, Partial, PartialRule
from graphc.ops.elementwise_definition import FLOAT, define_elementwise, wide
from graphc.scalar import expr as s
from graphc.scalar.expr import Expr

__all__ = [
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cos",
    "cosh",
    "erf",
    "exp",
    "exp2",
    "expit",
    "expm1",
    "log",
    "log10",
    "log1p",
    "log2",
    "logaddexp",
    "sigmoid",
    "sin",
    "sinh",
    "softplus",
    "tan",
    "tanh",
]


def _define(
    name: str,
    doc: str,
    reference: Callable[..., Any],
    expr: Callable[..., Expr],
    *partials: PartialRule,
    domain: tuple[float, float] = (-3.0, 3.0),
    traits: Sequence[str] = (),
    parts: formulas.Function | None = None,
) -> Callable[..., Tensor]:
    return define_elementwise(
        name,
        doc,
        arity=len(partials),
        accepts=FLOATING,
        result=FLOAT,
        reference=wide(reference),
        expr=expr,
        partials=partials,
        domain=domain,
        traits=traits,
        parts=None if parts is None else formulas.of_one(parts),
    )


# Exponentials and logarithms

exp = _define("exp", "e to the power x.", np.exp, s.exp, lambda b, a: a.output, parts=formulas.exp)
exp2 = _define(
    "exp2",
    "2 to the power x.",
    np.exp2,
    s.exp2,
    lambda b, a: b.multiply(a.output, math.log(2)),
    parts=formulas.exp2,
)


def _expm1_reference(x: np.ndarray) -> Any:
    """numpy's, but for complex numbers with infinite or undefined parts, and the sign of 0 + 0j."""
    value = np.expm1(x)
    if not is_complex(x.dtype):
        return value
    grown = np.exp(x)
    beyond = ~np.isfinite(x)
    real = np.where(beyond, grown.real - 1, np.where(x.real == 0, value.real + 0, value.real))
    result = np.empty(x.shape, x.dtype)
    result.real, result.imag = real, np.where(beyond, grown.imag, value.imag)
    return result


expm1 = _define(
    "expm1",
    "exp(x) - 1, exact near 0.",
    _expm1_reference,
    s.expm1,
    lambda b, a: b.add(a.output, 1),
    parts=formulas.expm1,
)
log = _define(
    "log",
    "The natural logarithm; -inf at 0, NaN below.",
    np.log,
    s.log,
    lambda b, a: Over(a.inputs[0]),
    domain=(0.2, 4.0),
    parts=formulas.log,
)
log2 = _define(
    "log2",
    "The logarithm to base 2; -inf at 0, NaN below.",
    np.log2,
    s.log2,
    lambda b, a: Over(b.multiply(a.inputs[0], math.log(2))),
    domain=(0.2, 4.0),
    parts=formulas.log_to_base(2),
)
log10 = _define(
    "log10",
    "The logarithm to base 10; -inf at 0, NaN below.",
    np.log10,
    s.log10,
    lambda b, a: Over(b.multiply(a.inputs[0], math.log(10))),
    domain=(0.2, 4.0),
    parts=formulas.log_to_base(10),
)
log1p = _define(
    "log1p",
    "log(1 + x), exact near 0; -inf at -1, NaN below.",
    np.log1p,
    s.log1p,
    lambda b, a: Over(b.add(a.inputs[0], 1)),
    domain=(-0.7, 4.0),
    parts=formulas.log1p,
)

# Trigonometric functions


def _one_minus_square(b: Builder, x: Tensor) -> Tensor:
    """(1 - x)(1 + x), which keeps its digits near 1 and -1."""
    return b.multiply(b.subtract(1, x), b.add(x, 1))


def _by_hypot(number: int, sign: int) -> Callable[[Builder, Application], Partial]:
    """x / (x1^2 + x2^2) as x / h / h with h = hypot(x1, x2): no overflow."""

    def partial(b: Builder, application: Application) -> Partial:
        length = b.hypot(*application.inputs)
        value = b.divide(b.divide(application.inputs[number], length), length)
        return value if sign == 1 else b.negative(value)

    return partial


sin = _define(
    "sin",
    "The sine of x in radians.",
    np.sin,
    s.sin,
    lambda b, a: b.cos(a.inputs[0]),
    parts=trigonometry.sin,
)
cos = _define(
    "cos",
    "The cosine of x in radians.",
    np.cos,
    s.cos,
    lambda b, a: b.negative(b.sin(a.inputs[0])),
    parts=trigonometry.cos,
)
tan = _define(
    "tan",
    "The tangent of x in radians.",
    np.tan,
    s.tan,
    lambda b, a: b.add(b.square(a.output), 1),
    domain=(-1.2, 1.2),
    parts=trigonometry.tan,
)
asin = _define(
    "asin",
    "The angle in [-pi/2, pi/2] whose sine is x; NaN outside of [-1, 1].",
    np.arcsin,
    s.asin,
    lambda b, a: b.rsqrt(_one_minus_square(b, a.inputs[0])),
    domain=(-0.8, 0.8),
    parts=trigonometry.asin,
)
acos = _define(
    "acos",
    "The angle in [0, pi] whose cosine is x; NaN outside of [-1, 1].",
    np.arccos,
    s.acos,
    lambda b, a: b.negative(b.rsqrt(_one_minus_square(b, a.inputs[0]))),
    domain=(-0.8, 0.8),
    parts=trigonometry.acos,
)
atan = _define(
    "atan",
    "The angle in [-pi/2, pi/2] whose tangent is x.",
    np.arctan,
    s.atan,
    lambda b, a: Over(b.add(b.square(a.inputs[0]), 1)),
    parts=trigonometry.atan,
)
atan2 = _define(
    "atan2",
    "The angle of the point (x2, x1) in [-pi, pi], with the signs of zeros as in C.",
    np.arctan2,
    s.atan2,
    _by_hypot(1, 1),
    _by_hypot(0, -1),
    domain=(0.3, 3.0),
)

# Hyperbolic functions

sinh = _define(
    "sinh",
    "(exp(x) - exp(-x)) / 2",
    np.sinh,
    s.sinh,
    lambda b, a: b.cosh(a.inputs[0]),
    parts=trigonometry.sinh,
)
cosh = _define(
    "cosh",
    "(exp(x) + exp(-x)) / 2",
    np.cosh,
    s.cosh,
    lambda b, a: b.sinh(a.inputs[0]),
    parts=trigonometry.cosh,
)


def _tanh_reference(x: np.ndarray) -> Any:
    """numpy's; far from 0 the imaginary part of a complex result has the sign of that of x."""
    value = np.asarray(np.tanh(x))
    if is_complex(x.dtype):
        value.imag = np.where(np.isinf(x.real), np.copysign(0, x.imag), value.imag)
    return value


tanh = _define(
    "tanh",
    "sinh(x) / cosh(x)",
    _tanh_reference,
    s.tanh,
    lambda b, a: b.subtract(1, b.square(a.output)),
    parts=trigonometry.tanh,
)


def _asinh_partial(b: Builder, application: Application) -> Partial:
    x = application.inputs[0]
    return b.rsqrt(b.add(b.square(x), 1)) if is_complex(x.dtype) else Over(b.hypot(x, 1))


asinh = _define(
    "asinh",
    "The x of sinh(x). The derivative is 1 / hypot(x, 1), which does not overflow.",
    np.arcsinh,
    s.asinh,
    _asinh_partial,
    parts=trigonometry.asinh,
)
acosh = _define(
    "acosh",
    "The x >= 0 of cosh(x); NaN below 1. The derivative is 1 / (sqrt(x - 1) sqrt(x + 1)).",
    np.arccosh,
    s.acosh,
    lambda b, a: b.multiply(b.rsqrt(b.subtract(a.inputs[0], 1)), b.rsqrt(b.add(a.inputs[0], 1))),
    domain=(1.3, 4.0),
    parts=trigonometry.acosh,
)
atanh = _define(
    "atanh",
    "The x of tanh(x); inf at 1, NaN outside of [-1, 1].",
    np.arctanh,
    s.atanh,
    lambda b, a: Over(_one_minus_square(b, a.inputs[0])),
    domain=(-0.8, 0.8),
    parts=trigonometry.atanh,
)

# Stable composites. e = exp(-|x|) is at most 1, so nothing overflows.

_erf = np.frompyfunc(math.erf, 1, 1)


def _erf_reference(x: np.ndarray) -> np.ndarray:
    return np.asarray(_erf(x)).astype(np.float64)


def _decay(x: Expr) -> Expr:
    """exp(-|x|)"""
    return s.exp(s.neg(s.abs_(x)))


def _sigmoid(x: Expr) -> Expr:
    """1 / (1 + e) for x >= 0, e / (1 + e) below"""
    one, decay = s.like(x, 1), _decay(x)
    return s.div(s.select(s.lt(x, s.like(x, 0)), decay, one), s.add(one, decay))


def _sigmoid_reference(x: np.ndarray) -> np.ndarray:
    decay = np.exp(-np.abs(x))
    return np.asarray(np.where(x < 0, decay, 1) / (1 + decay))


def _sigmoid_slope(x: Expr) -> Expr:
    """e / (1 + e)**2"""
    decay = _decay(x)
    whole = s.add(s.like(x, 1), decay)
    return s.div(decay, s.mul(whole, whole))


def _sigmoid_slope_reference(x: np.ndarray) -> np.ndarray:
    decay = np.exp(-np.abs(x))
    return np.asarray(decay / (1 + decay) ** 2)


def _softplus(x: Expr) -> Expr:
    """max(x, 0) + log1p(e)"""
    return s.add(s.maximum(x, s.like(x, 0)), s.log1p(_decay(x)))


def _logaddexp(x: Expr, y: Expr) -> Expr:
    """max(x, y) + log1p(exp(-|x - y|)); equal infinities have no difference."""
    same = s.eq(x, y)
    difference = s.select(same, s.like(x, 0), s.sub(x, y))
    return s.add(s.maximum(x, y), s.log1p(_decay(difference)))


def _logaddexp_partial(number: int) -> Callable[[Builder, Application], Partial]:
    """sigmoid(x1 - x2), and 1/2 at equal infinities."""

    def partial(b: Builder, application: Application) -> Partial:
        this, other = application.inputs[number], application.inputs[1 - number]
        undefined = b.logical_and(b.isinf(this), b.equal(this, other))
        return b.sigmoid(b.where(undefined, 0, b.subtract(this, other)))

    return partial


erf = _define(
    "erf",
    "The error function, 2 / sqrt(pi) times the integral of exp(-t**2) from 0 to x.",
    _erf_reference,
    s.erf,
    lambda b, a: b.multiply(b.exp(b.negative(b.square(a.inputs[0]))), 2 / math.sqrt(math.pi)),
)
sigmoid = _define(
    "sigmoid",
    "The logistic function 1 / (1 + exp(-x)), exact in both tails.",
    _sigmoid_reference,
    _sigmoid,
    lambda b, a: b.sigmoid_slope(a.inputs[0]),
)
sigmoid_slope = _define(
    "sigmoid_slope",
    "The derivative of sigmoid, p (1 - p) with p = sigmoid(x), exact in both tails.",
    _sigmoid_slope_reference,
    _sigmoid_slope,
    lambda b, a: b.negative(b.multiply(a.output, b.tanh(b.multiply(a.inputs[0], 0.5)))),
)
softplus = _define(
    "softplus",
    "log(1 + exp(x)), computed as max(x, 0) + log1p(exp(-|x|)).",
    lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
    _softplus,
    lambda b, a: b.sigmoid(a.inputs[0]),
)
logaddexp = _define(
    "logaddexp",
    "log(exp(x1) + exp(x2)) without overflow.",
    np.logaddexp,
    _logaddexp,
    _logaddexp_partial(0),
    _logaddexp_partial(1),
    traits=("commutative",),
)


@public
def expit(x: Any, /) -> Tensor:
    """The same as sigmoid(x), by its name in scipy.special."""
    return sigmoid(x)
