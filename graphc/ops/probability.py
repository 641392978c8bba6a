"""Logarithms of probabilities: odds, entropy, and products with a logarithm that are 0 at 0."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc.ir.opdef import Application
from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor
from graphc.ops.composed import define_composed, scipy_special
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


def _rel_entr(x: Expr, y: Expr) -> Expr:
    zero = s.like(x, 0)
    value = s.mul(x, s.log(s.div(x, y)))
    value = s.select(s.and_(s.lt(zero, x), s.lt(zero, y)), value, s.like(x, math.inf))
    value = s.select(s.and_(s.eq(x, zero), s.le(zero, y)), zero, value)
    return s.select(s.or_(s.is_nan(x), s.is_nan(y)), s.add(x, y), value)


def _rel_entr_values(x: np.ndarray, y: np.ndarray) -> Any:
    value = np.where((x > 0) & (y > 0), x * np.log(x / y), np.inf)
    value = np.where((x == 0) & (y >= 0), 0.0, value)
    return np.where(np.isnan(x) | np.isnan(y), np.nan, value)


rel_entr = _define(
    "rel_entr",
    "x1 log(x1 / x2), the terms of a relative entropy: 0 for x1 = 0, inf outside of x1, x2 >= 0.",
    _rel_entr_values,
    _rel_entr,
    (
        lambda b, a: b.add(b.log(b.divide(a.inputs[0], a.inputs[1])), 1),
        lambda b, a: b.negative(b.divide(a.inputs[0], a.inputs[1])),
    ),
    domain=(0.2, 4.0),
)


def _kl_div(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    """Near x = y with t = x / y - 1: x (log(1 + t) - t) + (x - y) t, where nothing cancels"""
    inside = b.logical_and(b.greater(x, 0), b.greater(y, 0))
    p, q = b.where(inside, x, 1), b.where(inside, y, 1)
    t = (p - q) / q
    near = b.logical_and(b.greater(t, -0.4), b.less(t, 0.7))
    close = p * log1p_rest(b, b.where(near, t, 0)) + (p - q) * t
    value = b.where(near, close, p * b.log(p / q) + (q - p))
    zero = b.logical_and(b.equal(x, 0), b.greater_equal(y, 0))
    edge = b.where(zero, y, b.where(b.logical_or(b.isnan(x), b.isnan(y)), math.nan, math.inf))
    return b.where(inside, value, edge)


kl_div = define_composed(
    "kl_div",
    "x1 log(x1 / x2) - x1 + x2, convex in both: x2 for x1 = 0, inf outside of x1, x2 >= 0.",
    build=_kl_div,
    reference=scipy_special("kl_div"),
    partials=(
        lambda b, a: b.log(b.divide(a.inputs[0], a.inputs[1])),
        lambda b, a: b.subtract(1, b.divide(a.inputs[0], a.inputs[1])),
    ),
    domain=(0.2, 4.0),
    single=True,
)
