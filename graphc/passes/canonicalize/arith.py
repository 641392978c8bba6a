"""Arithmetic in canonical form: constants on the right, negations outside, nothing idle.

Every rule keeps each IEEE result, signs of zeros, infinities and NaN included, or replaces two
roundings by one. What only holds for integers says so: x - x, x * 0 and x + 0.0 stay for floats.
"""

import math

import numpy as np

from graphc.dtypes import DType, finfo, is_floating, is_integer
from graphc.ir.leaf import CONSTANT, constant
from graphc.ir.opdef import OpDef
from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor
from graphc.rewrite.pattern import (
    CONSTANT_OPS,
    Number,
    P,
    any_op,
    commuted,
    const,
    uniform_value,
    var,
)
from graphc.rewrite.rule import rule

X, Y, C, D = var("x"), var("y"), const("c"), const("d")
NEG_X, NEG_Y = P.negative(X), P.negative(Y)

# Ties of maximum and minimum give their gradient to the first operand: the order has a meaning.
ORDERED = frozenset({"maximum", "minimum"})
# Ops whose values are never -0.0.
NEVER_NEGATIVE_ZERO = frozenset({"abs", "exp", "exp2", "sigmoid", "softplus", "square"})


def is_constant(tensor: Tensor) -> bool:
    """A constant, possibly broadcast."""
    return tensor.node.op is CONSTANT or uniform_value(tensor) is not None


def power_of_two(value: Number, dtype: DType) -> bool:
    """Whether x * value and x / value only change the exponent of x."""
    if not is_floating(dtype) or not value or not math.isfinite(value):
        return False
    return abs(math.frexp(value)[0]) == 0.5 and _normal(value, dtype) and _normal(1 / value, dtype)


def _normal(value: float, dtype: DType) -> bool:
    limits = finfo(dtype)
    return float(limits.tiny) <= abs(value) <= float(limits.max)


def _commutes(op: OpDef) -> bool:
    return "commutative" in op.traits and op.name not in ORDERED


# --- order -------------------------------------------------------------------------------------


@rule(any_op(_commutes, lambda names: names[0] in CONSTANT_OPS))
def constants_right(b: Builder, root: Tensor) -> Tensor | None:
    """c * x = x * c, and so for every commutative op"""
    first, second = root.node.inputs
    if not is_constant(first) or is_constant(second):
        return None
    return root.op(second, first, **root.node.attrs)


# --- idle operands -----------------------------------------------------------------------------


@rule(P.multiply(X, 1), P.divide(X, 1))
def multiply_by_one(b: Builder, x: Tensor) -> Tensor:
    """x * 1 = x;  x / 1 = x"""
    return x


@rule(P.multiply(X, -1), P.divide(X, -1))
def multiply_by_minus_one(b: Builder, x: Tensor) -> Tensor:
    """x * -1 = -x;  x / -1 = -x"""
    return b.negative(x)


@rule(P.subtract(X, 0), P.add(X, -0.0))
def subtract_zero(b: Builder, x: Tensor) -> Tensor:
    """x - 0 = x;  x + -0.0 = x"""
    return x


@rule(P.add(X, 0))
def add_zero(b: Builder, x: Tensor) -> Tensor | None:
    """x + 0 = x for integers, and for floats that are never -0.0 (-0.0 + 0.0 is 0.0)"""
    return x if not is_floating(x.dtype) or never_negative_zero(x) else None


def never_negative_zero(x: Tensor) -> bool:
    """Whether no element can be -0.0; sums round to 0.0, never to -0.0, unless both terms are."""
    if x.op.name == "add":
        term = uniform_value(x.node.inputs[1])
        return term is not None and not (term == 0 and math.copysign(1, term) < 0)
    return x.op.name in NEVER_NEGATIVE_ZERO


@rule(P.subtract(-0.0, X), P.subtract(0, X))
def subtract_from_zero(b: Builder, root: Tensor, x: Tensor) -> Tensor | None:
    """-0.0 - x = -x;  0 - x = -x for integers (0.0 - 0.0 is 0.0)"""
    zero = uniform_value(root.node.inputs[0])
    exact = is_integer(x.dtype) or (zero is not None and math.copysign(1, zero) < 0)
    return b.negative(x) if exact else None


@rule(P.multiply(X, 0))
def multiply_by_zero(b: Builder, x: Tensor) -> Tensor | None:
    """x * 0 = 0 for integers (inf * 0 and nan * 0 are nan)"""
    return constant(0, x.dtype) if is_integer(x.dtype) else None


@rule(P.subtract(X, X))
def subtract_self(b: Builder, x: Tensor) -> Tensor | None:
    """x - x = 0 for integers (inf - inf is nan)"""
    return constant(0, x.dtype) if is_integer(x.dtype) else None


@rule(P.floor_divide(X, 1))
def floor_divide_by_one(b: Builder, x: Tensor) -> Tensor | None:
    """x // 1 = x for integers"""
    return x if is_integer(x.dtype) else None


@rule(P.maximum(X, X), P.minimum(X, X), P.bitwise_and(X, X), P.bitwise_or(X, X))
def idempotent(b: Builder, x: Tensor) -> Tensor:
    """maximum(x, x) = x;  x & x = x"""
    return x


@rule(P.logical_and(X, X), P.logical_or(X, X))
def idempotent_logic(b: Builder, x: Tensor, root: Tensor) -> Tensor | None:
    """x and x = x"""
    return x if x.dtype == root.dtype else None


# --- signs -------------------------------------------------------------------------------------


@rule(P.negative(NEG_X))
def double_negative(b: Builder, x: Tensor) -> Tensor:
    """--x = x"""
    return x


@rule(P.subtract(X, NEG_Y))
def subtract_negative(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    """x - -y = x + y"""
    return b.add(x, y)


@rule(commuted(P.add(X, NEG_Y)))
def add_negative(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    """x + -y = x - y"""
    return b.subtract(x, y)


@rule(P.multiply(NEG_X, NEG_Y))
def multiply_negatives(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    """-x * -y = x * y"""
    return b.multiply(x, y)


@rule(P.divide(NEG_X, NEG_Y))
def divide_negatives(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    """-x / -y = x / y"""
    return b.divide(x, y)


@rule(P.multiply(NEG_X, Y), P.multiply(X, NEG_Y))
def multiply_negative(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    """-x * y = -(x * y);  x * -y = -(x * y)"""
    return b.negative(b.multiply(x, y))


@rule(P.divide(NEG_X, Y))
def divide_negative(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    """-x / y = -(x / y)"""
    return b.negative(b.divide(x, y))


@rule(P.divide(X, NEG_Y))
def divide_by_negative(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    """x / -y = -(x / y)"""
    return b.negative(b.divide(x, y))


@rule(P.negative(P.multiply(X, C)))
def negative_of_scaled(b: Builder, x: Tensor, c: Number) -> Tensor | None:
    """-(x * c) = x * -c"""
    return b.multiply(x, -c) if is_floating(x.dtype) else None


@rule(P.negative(P.divide(X, C)))
def negative_of_quotient(b: Builder, x: Tensor, c: Number) -> Tensor:
    """-(x / c) = x / -c"""
    return b.divide(x, -c)


@rule(P.negative(P.divide(C, X)))
def negative_of_inverse(b: Builder, x: Tensor, c: Number) -> Tensor:
    """-(c / x) = -c / x"""
    return b.divide(-c, x)


@rule(P.add(X, P.multiply(Y, C)), P.subtract(X, P.multiply(Y, C)))
def negative_factor(b: Builder, root: Tensor, x: Tensor, y: Tensor, c: Number) -> Tensor | None:
    """x + y * -c = x - y * c;  x - y * -c = x + y * c"""
    if not is_floating(x.dtype) or math.copysign(1, c) > 0 or c != c:
        return None
    scaled = b.multiply(y, -c)
    return b.subtract(x, scaled) if root.op.name == "add" else b.add(x, scaled)


@rule(P.abs(NEG_X), P.square(NEG_X), P.cosh(NEG_X), P.cos(NEG_X))
def even_function(b: Builder, root: Tensor, x: Tensor) -> Tensor:
    """f(-x) = f(x) for f = abs, square, cos, cosh"""
    return root.op(x)


# --- constants ---------------------------------------------------------------------------------


@rule(P.divide(X, C))
def divide_by_power_of_two(b: Builder, x: Tensor, c: Number) -> Tensor | None:
    """x / c = x * (1 / c) for powers of two"""
    return b.multiply(x, 1 / c) if power_of_two(c, x.dtype) else None


@rule(P.multiply(P.multiply(X, C), D))
def merge_factors(b: Builder, x: Tensor, c: Number, d: Number) -> Tensor | None:
    """(x * c) * d = x * (c * d) where c or d is a power of two, and for integers"""
    if is_integer(x.dtype):
        return b.multiply(x, constant(_wrapped(c * d, x.dtype), x.dtype))
    exact = power_of_two(c, x.dtype) or power_of_two(d, x.dtype)
    return b.multiply(x, c * d) if exact and _normal(c * d, x.dtype) else None


@rule(P.add(P.add(X, C), D))
def merge_terms(b: Builder, x: Tensor, c: Number, d: Number) -> Tensor | None:
    """(x + c) + d = x + (c + d) for integers"""
    return b.add(x, constant(_wrapped(c + d, x.dtype), x.dtype)) if is_integer(x.dtype) else None


@rule(P.subtract(X, C))
def subtract_constant(b: Builder, x: Tensor, c: Number) -> Tensor | None:
    """x - c = x + -c for integers"""
    return b.add(x, constant(_wrapped(-c, x.dtype), x.dtype)) if is_integer(x.dtype) else None


def _wrapped(value: Number, dtype: DType) -> int:
    """The integer that `value` is modulo the width of `dtype`."""
    limits = np.iinfo(dtype)
    return (int(value) - int(limits.min)) % (1 << limits.bits) + int(limits.min)


# --- products, quotients and powers --------------------------------------------------------------


@rule(P.multiply(X, X))
def multiply_self(b: Builder, x: Tensor) -> Tensor:
    """x * x = square(x)"""
    return b.square(x)


@rule(P.reciprocal(X))
def reciprocal(b: Builder, x: Tensor) -> Tensor:
    """reciprocal(x) = 1 / x"""
    return b.divide(1, x)


@rule(commuted(P.multiply(X, P.divide(1, Y))))
def multiply_by_inverse(b: Builder, root: Tensor, x: Tensor, y: Tensor) -> Tensor | None:
    """x * (1 / y) = x / y, with one rounding instead of two; not for a y of fewer elements, whose
    inverse is cheaper"""
    return b.divide(x, y) if y.shape == root.shape else None


@rule(P.pow(X, C), P.integer_pow(X, C))
def small_power(b: Builder, x: Tensor, c: Number) -> Tensor | None:
    """x ** 0 = 1;  x ** 1 = x;  x ** 2 = square(x);  x ** -1 = 1 / x"""
    if c == 0:
        return constant(1, x.dtype)
    if c == 1:
        return x
    if c == 2:
        return b.square(x)
    return b.divide(1, x) if c == -1 else None


@rule(P.abs(P.abs(X)), P.abs(P.square(X)), P.abs(P.exp(X)), P.abs(P.sigmoid(X)))
def abs_of_nonnegative(b: Builder, root: Tensor) -> Tensor | None:
    """abs(f(x)) = f(x) for f = abs, square, exp, sigmoid; not for the square of an integer, which
    may wrap around"""
    inner = root.node.inputs[0]
    return inner if is_floating(root.dtype) or inner.op.name == "abs" else None


@rule(P.square(P.abs(X)))
def square_of_abs(b: Builder, x: Tensor) -> Tensor:
    """square(abs(x)) = square(x)"""
    return b.square(x)


@rule(P.add_n(X), P.add_n(X, Y))
def short_sum(b: Builder, root: Tensor) -> Tensor:
    """add_n(x) = x;  add_n(x, y) = x + y"""
    return b.add_n(root.node.inputs)


ARITH = (
    constants_right,
    multiply_by_one,
    multiply_by_minus_one,
    subtract_zero,
    add_zero,
    subtract_from_zero,
    multiply_by_zero,
    subtract_self,
    floor_divide_by_one,
    idempotent,
    idempotent_logic,
    double_negative,
    subtract_negative,
    add_negative,
    multiply_negatives,
    divide_negatives,
    multiply_negative,
    divide_negative,
    divide_by_negative,
    negative_of_scaled,
    negative_of_quotient,
    negative_of_inverse,
    negative_factor,
    even_function,
    divide_by_power_of_two,
    merge_factors,
    merge_terms,
    subtract_constant,
    multiply_self,
    reciprocal,
    multiply_by_inverse,
    small_power,
    abs_of_nonnegative,
    square_of_abs,
    short_sum,
)
