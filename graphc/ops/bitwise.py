"""Bits of integers and bool, and shifts of integers."""

import numpy as np

from graphc.dtypes import is_signed
from graphc.ops.definition import INTEGER, INTEGRAL, define_elementwise
from graphc.scalar import expr as s
from graphc.scalar.expr import Expr

__all__ = [
    "bitwise_and",
    "bitwise_invert",
    "bitwise_left_shift",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
]

bitwise_and = define_elementwise(
    "bitwise_and",
    "x1 & x2, bit by bit.",
    arity=2,
    accepts=INTEGRAL,
    reference=np.bitwise_and,
    expr=s.and_,
    symbol="&",
    traits=("commutative",),
    domain=(-99, 99),
)
bitwise_or = define_elementwise(
    "bitwise_or",
    "x1 | x2, bit by bit.",
    arity=2,
    accepts=INTEGRAL,
    reference=np.bitwise_or,
    expr=s.or_,
    symbol="|",
    traits=("commutative",),
    domain=(-99, 99),
)
bitwise_xor = define_elementwise(
    "bitwise_xor",
    "x1 ^ x2, bit by bit.",
    arity=2,
    accepts=INTEGRAL,
    reference=np.bitwise_xor,
    expr=s.xor,
    symbol="^",
    traits=("commutative",),
    domain=(-99, 99),
)
bitwise_invert = define_elementwise(
    "bitwise_invert",
    "~x, bit by bit.",
    accepts=INTEGRAL,
    reference=np.bitwise_not,
    expr=s.not_,
    symbol="~",
    domain=(-99, 99),
)


def _in_width(x: Expr, count: Expr) -> Expr:
    """Whether a shift count is in [0, bits of x)."""
    fits = s.lt(count, s.like(count, 8 * x.dtype.itemsize))
    return s.and_(fits, s.le(s.like(count, 0), count)) if is_signed(count.dtype) else fits


def _shift_left(x: Expr, count: Expr) -> Expr:
    """x << count; 0 for counts outside the width, as in numpy."""
    fits, zero = _in_width(x, count), s.like(x, 0)
    return s.select(fits, s.shl(x, s.select(fits, count, zero)), zero)


def _shift_right(x: Expr, count: Expr) -> Expr:
    """x >> count; counts outside the width leave the sign alone (0 or -1), as in numpy."""
    last = s.like(count, 8 * x.dtype.itemsize - 1)
    fits = _in_width(x, count)
    shifted = s.shr(x, s.select(fits, count, last))
    return shifted if is_signed(x.dtype) else s.select(fits, shifted, s.like(x, 0))


bitwise_left_shift = define_elementwise(
    "bitwise_left_shift",
    "x1 << x2; 0 for x2 outside of [0, bits).",
    arity=2,
    accepts=INTEGER,
    reference=np.left_shift,
    expr=_shift_left,
    symbol="<<",
    domain=(-5, 70),
)
bitwise_right_shift = define_elementwise(
    "bitwise_right_shift",
    "x1 >> x2 with the sign kept; for x2 outside of [0, bits) 0, or -1 for x1 < 0.",
    arity=2,
    accepts=INTEGER,
    reference=np.right_shift,
    expr=_shift_right,
    symbol=">>",
    domain=(-70, 70),
)
