"""Logarithms of probabilities: odds, entropy, and products with a logarithm that are 0 at 0."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc.dtypes import float32, float64
from graphc.ir.opdef import Application
from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor
from graphc.ops.composed import define_composed, scipy_special, single_partial
from graphc.ops.definition import FLOATING, Over, PartialRule
from graphc.ops.elementwise_definition import FLOAT, define_elementwise, wide
from graphc.ops.series import log1p_rest
from graphc.scalar import expr as s
from graphc.scalar.expr import Expr

__all__ = ["entr", "kl_div", "log_expit", "logit", "rel_entr", "xlog1py", "xlogy"]


def _quiet(function: Callable[..., Any]) -> Callable[..., Any]:
    def reference(*arrays: np.ndarray) -> Any:
        with np.errstate(all="ignore"):
            return function(*arrays)

    return wide(reference)


def _define(
    name: str,
    doc: str,
    reference: Callable[..., Any],
    expr: Callable[..., Expr],
    partials: Sequence[PartialRule],
    domain: tuple[float, float],
) -> Callable[..., Tensor]:
    return define_elementwise(
        name,
        doc,
        arity=len(partials),
        accepts=FLOATING,
        result=FLOAT,
        reference=_quiet(reference),
        expr=expr,
        partials=partials,
        domain=domain,
    )


def _logit(x: Expr) -> Expr:
    """log(x / (1 - x)), and near 1/2 log1p((2x - 1) / (1 - x)), whose argument is small"""
    one = s.like(x, 1)
    rest = s.sub(one, x)
    near = s.and_(s.lt(s.like(x, 0.3), x), s.lt(x, s.like(x, 0.65)))
    close = s.log1p(s.div(s.sub(s.add(x, x), one), rest))
    return s.select(near, close, s.log(s.div(x, rest)))


def _logit_values(x: np.ndarray) -> Any:
    near = (x > 0.3) & (x < 0.65)
    return np.where(near, np.log1p((2 * x - 1) / (1 - x)), np.log(x / (1 - x)))


def _log_expit(x: Expr) -> Expr:
    """min(x, 0) - log1p(exp(-|x|))"""
    decay = s.exp(s.neg(s.abs_(x)))
    return s.sub(s.minimum(x, s.like(x, 0)), s.log1p(decay))


def _times_log(x: Expr, logarithm: Expr, y: Expr) -> Expr:
    """x log, and 0 for x = 0 unless y is NaN"""
    zero = s.and_(s.eq(x, s.like(x, 0)), s.not_(s.is_nan(y)))
    return s.select(zero, s.like(x, 0), s.mul(x, logarithm))


def _times_log_values(x: np.ndarray, logarithm: np.ndarray, y: np.ndarray) -> Any:
    return np.where((x == 0) & ~np.isnan(y), 0.0, x * logarithm)


def _entr(x: Expr) -> Expr:
    zero = s.like(x, 0)
    value = s.neg(s.mul(x, s.log(x)))
    value = s.select(s.eq(x, zero), zero, value)
    return s.select(s.lt(x, zero), s.like(x, -math.inf), value)


def _entr_values(x: np.ndarray) -> Any:
    value = np.where(x == 0, 0.0, -x * np.log(x))
    return np.where(x < 0, -np.inf, value)


def _quotient(shift: int) -> Callable[[Builder, Application], Tensor]:
    """x1 / (x2 + shift), and 0 for x1 = 0"""

    def partial(b: Builder, a: Application) -> Tensor:
        x, y = a.inputs
        zero = b.equal(x, 0)
        divisor = b.add(y, shift) if shift else y
        return b.where(zero, 0, b.divide(x, b.where(zero, 1, divisor)))

    return partial


logit = _define(
    "logit",
    "log(x / (1 - x)), the inverse of expit: -inf at 0, inf at 1, NaN outside of [0, 1].",
    _logit_values,
    _logit,
    (lambda b, a: Over(b.multiply(a.inputs[0], b.subtract(1, a.inputs[0]))),),
    domain=(0.05, 0.95),
)
log_expit = _define(
    "log_expit",
    "log(expit(x)) = -softplus(-x), without under- or overflow.",
    lambda x: np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x))),
    _log_expit,
    (lambda b, a: b.sigmoid(b.negative(a.inputs[0])),),
    domain=(-3.0, 3.0),
)
xlogy = _define(
    "xlogy",
    "x1 log(x2), and 0 for x1 = 0 unless x2 is NaN. The gradient by x2 is 0 there.",
    lambda x, y: _times_log_values(x, np.log(y), y),
    lambda x, y: _times_log(x, s.log(y), y),
    (lambda b, a: b.log(a.inputs[1]), _quotient(0)),
    domain=(0.2, 4.0),
)
xlog1py = _define(
    "xlog1py",
    "x1 log1p(x2), and 0 for x1 = 0 unless x2 is NaN. The gradient by x2 is 0 there.",
    lambda x, y: _times_log_values(x, np.log1p(y), y),
    lambda x, y: _times_log(x, s.log1p(y), y),
    (lambda b, a: b.log1p(a.inputs[1]), _quotient(1)),
    domain=(-0.7, 4.0),
)
entr = _define(
    "entr",
    "-x log(x), the terms of an entropy: 0 at 0, -inf below.",
    _entr_values,
    _entr,
    (lambda b, a: b.negative(b.add(b.log(a.inputs[0]), 1)),),
    domain=(0.1, 4.0),
)


def _log_ratio(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    """log(x / y) for x, y >= 0. Near x = y: log1p((x - y) / y), where x - y is exact. Where the
    ratio leaves the normal numbers: that of x and y scaled, which does not."""
    t = b.divide(b.subtract(x, y), y)
    near = b.logical_and(b.greater(t, -0.5), b.less(t, 1))
    least, shift = _SCALES[x.dtype]
    ratio = b.divide(x, y)
    low, high = b.less(ratio, least), b.greater(ratio, 1 / least)

    def scaled(tensor: Tensor, power: int) -> Tensor:
        larger, smaller = b.multiply(tensor, 2.0**power), b.multiply(tensor, 2.0**-power)
        return b.where(low, larger, b.where(high, smaller, tensor))

    far = b.log(b.divide(scaled(x, shift), scaled(y, -shift)))
    lost = 2 * shift * math.log(2)
    far = b.where(low, b.subtract(far, lost), b.where(high, b.add(far, lost), far))
    return b.where(near, b.log1p(b.where(near, t, 0)), far)


# Ratios below (or above one over it) are scaled; by these powers of two, once for x, once for y
_SCALES = {float32: (2.0**-125, 80), float64: (2.0**-1021, 540)}


def _rel_entr(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    inside = b.logical_and(b.greater(x, 0), b.greater(y, 0))
    p, q = b.where(inside, x, 1), b.where(inside, y, 1)
    zero = b.logical_and(b.equal(x, 0), b.greater_equal(y, 0))
    edge = b.where(b.logical_or(b.isnan(x), b.isnan(y)), math.nan, math.inf)
    return b.where(inside, b.multiply(p, _log_ratio(b, p, q)), b.where(zero, 0, edge))


rel_entr = define_composed(
    "rel_entr",
    "x1 log(x1 / x2), the terms of a relative entropy: 0 for x1 = 0, inf outside of x1, x2 >= 0.",
    build=_rel_entr,
    reference=scipy_special("rel_entr"),
    partials=(
        single_partial(lambda b, x, y: b.add(_log_ratio(b, x, y), 1)),
        lambda b, a: b.negative(b.divide(a.inputs[0], a.inputs[1])),
    ),
    domain=(0.2, 4.0),
    single=True,
)


def _kl_div(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    """Near x = y with t = x / y - 1: x (log(1 + t) - t) + (x - y) t, where nothing cancels"""
    inside = b.logical_and(b.greater(x, 0), b.greater(y, 0))
    p, q = b.where(inside, x, 1), b.where(inside, y, 1)
    t = (p - q) / q
    near = b.logical_and(b.greater(t, -0.4), b.less(t, 0.7))
    close = p * log1p_rest(b, b.where(near, t, 0)) + (p - q) * t
    value = b.where(near, close, p * _log_ratio(b, p, q) + (q - p))
    zero = b.logical_and(b.equal(x, 0), b.greater_equal(y, 0))
    edge = b.where(zero, y, b.where(b.logical_or(b.isnan(x), b.isnan(y)), math.nan, math.inf))
    return b.where(inside, value, edge)


def _kl_div_by_second(b: Builder, application: Application) -> Tensor:
    """1 - x / y, which keeps its digits near 0"""
    x, y = application.inputs
    return b.where(b.isinf(y), 1, (y - x) / y)


kl_div = define_composed(
    "kl_div",
    "x1 log(x1 / x2) - x1 + x2, convex in both: x2 for x1 = 0, inf outside of x1, x2 >= 0.",
    build=_kl_div,
    reference=scipy_special("kl_div"),
    partials=(
        single_partial(_log_ratio),
        _kl_div_by_second,
    ),
    domain=(0.2, 4.0),
    single=True,
)
