"""More of what is written naively and computed stably: logarithms, hyperbolic functions, tails.

Rules as in `passes.stabilize`, one equation each.
"""

import math

from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor
from graphc.passes.stabilize import opposites
from graphc.rewrite.pattern import P, const, uniform_value, var
from graphc.rewrite.rule import rule

X, Y = var("x"), var("y")
TAIL = -20.0  # below, log(1 + tanh(x)) is log(2) + 2x to all digits of float64


# --- sums of exponentials ------------------------------------------------------------------------


def is_sum_of_exponentials(x: Tensor) -> bool:
    """exp(..), sum(exp(..)), or two of these added: positive, but for under- and overflow."""
    if x.op.name == "add":
        return all(is_total(term) for term in x.node.inputs)
    return is_total(x)


def is_total(x: Tensor) -> bool:
    while x.op.name in ("sum", "broadcast_to", "reshape"):
        (x,) = x.node.inputs
    return x.op.name == "exp"


def is_positive(x: Tensor) -> bool:
    """A positive number, a size, or a sum of exponentials."""
    value = uniform_value(x)
    if value is not None:
        return value > 0
    if x.op.name == "astype":
        (x,) = x.node.inputs
    return x.op.name == "dim" or is_sum_of_exponentials(x)


@rule(P.log(P.divide(X, Y)))
def log_of_quotient(b: Builder, x: Tensor, y: Tensor) -> Tensor | None:
    """log(x / y) = log(x) - log(y) for sums of exponentials x, y or a positive number y"""
    if not is_sum_of_exponentials(x) or not is_positive(y):
        return None
    return b.subtract(b.log(x), b.log(y))


@rule(P.log(P.multiply(X, const("c"))))
def log_of_multiple(b: Builder, x: Tensor, c: float) -> Tensor | None:
    """log(x * c) = log(x) + log(c) for a sum of exponentials x and c > 0"""
    if not is_sum_of_exponentials(x) or not 0 < c < math.inf:
        return None
    return b.add(b.log(x), math.log(c))


@rule(P.log(P.add(X, Y)))
def log_of_totals(b: Builder, x: Tensor, y: Tensor) -> Tensor | None:
    """log(sum(exp(u)) + sum(exp(v))) = logaddexp(logsumexp(u), logsumexp(v))"""
    if not is_sum_of_exponentials(x) or not is_sum_of_exponentials(y):
        return None
    return b.logaddexp(b.log(x), b.log(y))


@rule(P.log1p(P.add(P.exp(X), P.exp(Y))), P.log(P.add(P.add(P.exp(X), 1), P.exp(Y))))
def log1p_of_exponentials(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    """log(exp(x) + exp(y) + 1) = softplus(logaddexp(x, y))"""
    return b.softplus(b.logaddexp(x, y))


@rule(P.log(P.subtract(P.exp(X), P.exp(Y))))
def log_of_difference(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    """log(exp(x) - exp(y)) = x + log(1 - exp(y - x)); equal infinities have no difference"""
    difference = b.where(b.equal(x, y), 0, b.subtract(y, x))
    return b.add(x, b.log1mexp(difference))


@rule(P.log(P.negative(P.expm1(X))), P.log1p(P.negative(P.exp(X))))
def log_of_complement(b: Builder, x: Tensor) -> Tensor:
    """log(1 - exp(x)) = log1mexp(x)"""
    return b.log1mexp(x)


@rule(P.divide(P.exp(X), P.add(P.exp(X), P.exp(Y))), P.divide(P.exp(X), P.add(P.exp(Y), P.exp(X))))
def softmax_of_two(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    """exp(x) / (exp(x) + exp(y)) = sigmoid(x - y)"""
    return b.sigmoid(b.subtract(x, y))


# --- sigmoid and softplus ------------------------------------------------------------------------


@rule(P.divide(P.sigmoid(X), P.sigmoid(Y)))
def odds(b: Builder, x: Tensor, y: Tensor) -> Tensor | None:
    """sigmoid(x) / sigmoid(-x) = exp(x)"""
    return b.exp(x) if opposites(x, y) else None


@rule(P.log(P.divide(1, P.sigmoid(X))))
def log_of_inverse_sigmoid(b: Builder, x: Tensor) -> Tensor:
    """log(1 / sigmoid(x)) = softplus(-x)"""
    return b.softplus(b.negative(x))


@rule(P.subtract(P.softplus(X), P.softplus(Y)))
def difference_of_softplus(b: Builder, x: Tensor, y: Tensor) -> Tensor | None:
    """softplus(x) - softplus(-x) = x"""
    return x if opposites(x, y) else None


@rule(P.log(P.softplus(X)))
def log_of_softplus(b: Builder, x: Tensor) -> Tensor:
    """log(softplus(x)) = log_softplus(x)"""
    return b.log_softplus(x)


# --- hyperbolic functions ------------------------------------------------------------------------


@rule(P.log(P.cosh(X)))
def log_of_cosh(b: Builder, x: Tensor) -> Tensor:
    """log(cosh(x)) = log_cosh(x)"""
    return b.log_cosh(x)


@rule(P.log(P.sinh(X)))
def log_of_sinh(b: Builder, x: Tensor) -> Tensor:
    """log(sinh(x)) = x - log(2) + log(1 - exp(-2x))"""
    return b.add(b.subtract(x, math.log(2)), b.log1mexp(b.multiply(x, -2)))


@rule(P.divide(P.sinh(X), P.cosh(X)))
def tanh_of_quotient(b: Builder, x: Tensor) -> Tensor:
    """sinh(x) / cosh(x) = tanh(x)"""
    return b.tanh(x)


@rule(P.divide(P.subtract(P.exp(X), P.exp(P.negative(X))), P.add(P.exp(X), P.exp(P.negative(X)))))
def tanh_of_exponentials(b: Builder, x: Tensor) -> Tensor:
    """(exp(x) - exp(-x)) / (exp(x) + exp(-x)) = tanh(x)"""
    return b.tanh(x)


@rule(P.divide(P.expm1(X), P.add(P.exp(X), 1)))
def tanh_of_half(b: Builder, x: Tensor) -> Tensor:
    """(exp(x) - 1) / (exp(x) + 1) = tanh(x / 2)"""
    return b.tanh(b.multiply(x, 0.5))


@rule(P.log1p(P.negative(P.square(P.tanh(X)))))
def log_of_tanh_slope(b: Builder, x: Tensor) -> Tensor:
    """log(1 - tanh(x)^2) = -2 log(cosh(x))"""
    return b.multiply(b.log_cosh(x), -2)


@rule(P.log1p(P.tanh(X)))
def log1p_tanh(b: Builder, x: Tensor) -> Tensor:
    """log(1 + tanh(x)) = -log1p(expm1(-2x) / 2), and log(2) + 2x in the tail"""
    twice = b.multiply(x, 2)
    held = b.maximum(twice, 2 * TAIL)
    near = b.negative(b.log1p(b.multiply(b.expm1(b.negative(held)), 0.5)))
    return b.where(b.less(x, TAIL), b.add(twice, math.log(2)), near)


@rule(P.log1p(P.negative(P.tanh(X))))
def log1p_minus_tanh(b: Builder, x: Tensor) -> Tensor:
    """log(1 - tanh(x)) = log(1 + tanh(-x))"""
    return b.log1p(b.tanh(b.negative(x)))


# --- the normal distribution ---------------------------------------------------------------------


@rule(P.log(P.ndtr(X)))
def log_of_ndtr(b: Builder, x: Tensor) -> Tensor:
    """log(ndtr(x)) = log_ndtr(x)"""
    return b.log_ndtr(x)


@rule(P.log(P.erfc(X)))
def log_of_erfc(b: Builder, x: Tensor) -> Tensor:
    """log(erfc(x)) = log_ndtr(-sqrt(2) x) + log(2)"""
    return b.add(b.log_ndtr(b.multiply(x, -math.sqrt(2))), math.log(2))


@rule(P.log(P.multiply(P.add(P.erf(X), 1), 0.5)))
def log_of_lower_tail(b: Builder, x: Tensor) -> Tensor:
    """log((1 + erf(x)) / 2) = log_ndtr(sqrt(2) x)"""
    return b.log_ndtr(b.multiply(x, math.sqrt(2)))


@rule(P.log(P.multiply(P.subtract(1, P.erf(X)), 0.5)))
def log_of_upper_tail(b: Builder, x: Tensor) -> Tensor:
    """log((1 - erf(x)) / 2) = log_ndtr(-sqrt(2) x)"""
    return b.log_ndtr(b.multiply(x, -math.sqrt(2)))


# --- powers, cosine ------------------------------------------------------------------------------


@rule(P.log(P.square(X)))
def log_of_square(b: Builder, x: Tensor) -> Tensor:
    """log(x^2) = 2 log(|x|)"""
    return b.multiply(b.log(b.abs(x)), 2)


@rule(P.log(P.sqrt(X)))
def log_of_sqrt(b: Builder, x: Tensor) -> Tensor:
    """log(sqrt(x)) = log(x) / 2"""
    return b.multiply(b.log(x), 0.5)


@rule(P.log(P.pow(X, const("c"))))
def log_of_power(b: Builder, x: Tensor, c: float) -> Tensor | None:
    """log(x^c) = c log(|x|) for even c but 0, c log(x) for odd c > 0"""
    if c % 2 == 0 and c != 0:
        return b.multiply(b.log(b.abs(x)), c)
    return b.multiply(b.log(x), c) if c % 2 == 1 and c > 0 else None


@rule(P.subtract(1, P.cos(X)))
def one_minus_cos(b: Builder, x: Tensor) -> Tensor:
    """1 - cos(x) = 2 sin(x / 2)^2"""
    return b.multiply(b.square(b.sin(b.multiply(x, 0.5))), 2)


@rule(P.subtract(P.cos(X), 1))
def cos_minus_one(b: Builder, x: Tensor) -> Tensor:
    """cos(x) - 1 = -2 sin(x / 2)^2"""
    return b.multiply(b.square(b.sin(b.multiply(x, 0.5))), -2)


STABILIZE_LOGARITHMS = (
    log_of_quotient,
    log_of_multiple,
    log_of_totals,
    log1p_of_exponentials,
    log_of_difference,
    log_of_complement,
    softmax_of_two,
    odds,
    log_of_inverse_sigmoid,
    difference_of_softplus,
    log_of_softplus,
    log_of_cosh,
    log_of_sinh,
    tanh_of_quotient,
    tanh_of_exponentials,
    tanh_of_half,
    log_of_tanh_slope,
    log1p_tanh,
    log1p_minus_tanh,
    log_of_ndtr,
    log_of_erfc,
    log_of_lower_tail,
    log_of_upper_tail,
    log_of_square,
    log_of_sqrt,
    log_of_power,
    one_minus_cos,
    cos_minus_one,
)
