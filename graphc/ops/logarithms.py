"""Logarithms of functions that overflow or vanish: what stabilising rules write in their place."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from graphc.ir.opdef import Application
from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor
from graphc.ops.definition import FLOATING, PartialRule
from graphc.ops.elementwise_definition import FLOAT, define_elementwise, wide
from graphc.scalar import expr as s
from graphc.scalar.expr import Expr

__all__: list[str] = []

LOG_2 = math.log(2)
FLAT = -40.0  # below, softplus(x) is exp(x) to all digits of float64


def _define(
    name: str,
    doc: str,
    reference: Callable[[np.ndarray], Any],
    expr: Callable[[Expr], Expr],
    partial: PartialRule,
    domain: tuple[float, float],
) -> Callable[..., Tensor]:
    def quiet(x: np.ndarray) -> Any:
        with np.errstate(all="ignore"):
            return reference(x)

    return define_elementwise(
        name,
        doc,
        arity=1,
        accepts=FLOATING,
        result=FLOAT,
        reference=wide(quiet),
        expr=expr,
        partials=(partial,),
        domain=domain,
    )


def _log_cosh(x: Expr) -> Expr:
    """log1p(2 sinh(|x| / 2)^2), and for larger |x| |x| + log1p(exp(-2|x|)) - log(2)"""
    size, one = s.abs_(x), s.like(x, 1)
    grown = s.expm1(s.mul(s.minimum(size, one), s.like(x, 0.5)))
    twice = s.add(grown, s.div(grown, s.add(grown, one)))  # 2 sinh
    near = s.log1p(s.mul(s.mul(twice, twice), s.like(x, 0.5)))
    rest = s.log1p(s.exp(s.mul(size, s.like(x, -2))))
    far = s.add(size, s.sub(rest, s.like(x, LOG_2)))
    return s.select(s.lt(size, one), near, far)


def _log_cosh_values(x: np.ndarray) -> Any:
    size = np.abs(x)
    near = np.log1p(2 * np.sinh(np.minimum(size, 1) / 2) ** 2)
    return np.where(size < 1, near, size + np.log1p(np.exp(-2 * size)) - LOG_2)


def _log1mexp(x: Expr) -> Expr:
    """log(-expm1(x)), and for smaller x log1p(-exp(x)): Maechler 2012, "Accurately computing
    log(1 - exp(-|a|))"."""
    near = s.log(s.neg(s.expm1(x)))
    return s.select(s.lt(x, s.like(x, -LOG_2)), s.log1p(s.neg(s.exp(x))), near)


def _log1mexp_slope(b: Builder, a: Application) -> Tensor:
    """-1 / expm1(-x)"""
    return b.divide(-1, b.expm1(b.negative(a.inputs[0])))


def _log_softplus(x: Expr) -> Expr:
    """log(log(1 + exp(x))), and x where exp(x) is all that is left"""
    held = s.maximum(x, s.like(x, FLAT))
    inner = s.add(s.maximum(held, s.like(x, 0)), s.log1p(s.exp(s.neg(s.abs_(held)))))
    return s.select(s.lt(x, s.like(x, FLAT)), x, s.log(inner))


def _log_softplus_values(x: np.ndarray) -> Any:
    return np.where(x < FLAT, x, np.log(np.logaddexp(0, np.where(x < FLAT, FLAT, x))))


def _log_softplus_slope(b: Builder, a: Application) -> Tensor:
    """sigmoid(x) / softplus(x), as a difference of logarithms: both vanish"""
    x = a.inputs[0]
    return b.exp(b.negative(b.add(b.softplus(b.negative(x)), a.output)))


log_cosh = _define(
    "log_cosh",
    "log(cosh(x)), without overflow, and with all digits near 0.",
    _log_cosh_values,
    _log_cosh,
    lambda b, a: b.tanh(a.inputs[0]),
    (-3.0, 3.0),
)
log1mexp = _define(
    "log1mexp",
    "log(1 - exp(x)), with all digits near 0 and far below; NaN for x > 0.",
    lambda x: np.where(x < -LOG_2, np.log1p(-np.exp(x)), np.log(-np.expm1(x))),
    _log1mexp,
    _log1mexp_slope,
    (-3.0, -0.1),
)
log_softplus = _define(
    "log_softplus",
    "log(softplus(x)), which is x far below 0.",
    _log_softplus_values,
    _log_softplus,
    _log_softplus_slope,
    (-3.0, 3.0),
)
