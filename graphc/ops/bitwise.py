"""Bits of integers and bool, and shifts of integers."""

import numpy as np

from graphc.ops.definition import INTEGER, INTEGRAL
from graphc.ops.elementwise_definition import define_elementwise
from graphc.scalar import expr as s

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


bitwise_left_shift = define_elementwise(
    "bitwise_left_shift",
    "x1 << x2; 0 for x2 outside of [0, bits).",
    arity=2,
    accepts=INTEGER,
    reference=np.left_shift,
    expr=s.shl,
    symbol="<<",
    domain=(-5, 70),
)
bitwise_right_shift = define_elementwise(
    "bitwise_right_shift",
    "x1 >> x2 with the sign kept; for x2 outside of [0, bits) 0, or -1 for x1 < 0.",
    arity=2,
    accepts=INTEGER,
    reference=np.right_shift,
    expr=s.shr,
    symbol=">>",
    domain=(-70, 70),
)
