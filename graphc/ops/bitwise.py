"""Bits of integers and bool, shifts of integers, and the bits of floats."""

from typing import Any

import numpy as np

from graphc.dtypes import (
    DType,
    as_dtype,
    is_bool,
    is_complex,
    is_floating,
    is_signed,
    uint8,
    uint16,
    uint32,
    uint64,
)
from graphc.errors import DTypeError
from graphc.ir.lowering import Elementwise, LoweringContext
from graphc.ir.node import TensorType
from graphc.ir.opdef import Example, Generator, OpDef
from graphc.ir.registry import BUILDER, public, register
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.definition import INTEGER, INTEGRAL, one_input
from graphc.ops.elementwise_definition import define_elementwise
from graphc.scalar import expr as s
from graphc.scalar.expr import Expr

__all__ = [
    "bitcast",
    "bitwise_count",
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

# --- bits of floats ------------------------------------------------------------------------------

_WORDS = {1: uint8, 2: uint16, 4: uint32, 8: uint64}


def _lower_bitcast(context: LoweringContext, x: Expr) -> Expr:
    target: DType = context.attrs["dtype"]
    word = s.bits(x) if is_floating(x.dtype) else s.cast(x, _WORDS[x.dtype.itemsize])
    return s.from_bits(word, target) if is_floating(target) else s.cast(word, target)


def _bitcast_examples(rng: Generator) -> list[Example]:
    pairs = (("float64", "int64"), ("int64", "float64"), ("float64", "uint64"))
    narrow = (("float32", "int32"), ("uint32", "float32"), ("int8", "uint8"), ("int16", "float16"))
    return [
        Example(
            lambda x, one=one, other=other: bitcast(x.astype(one), other),
            (rng.integers(-(10**4), 10**4, size=shape) / 8,),
            differentiable=False,
        )
        for one, other in (*pairs, *narrow, ("float16", "uint16"), ("bfloat16", "int16"))
        for shape in ((), (0,), (3, 7))
    ]


BITCAST = register(
    OpDef(
        "bitcast",
        infer=lambda call: TensorType(call.attrs["dtype"], call.types[0].shape),
        reference=lambda attrs, x: np.ascontiguousarray(x).view(attrs["dtype"]).reshape(x.shape),
        lower=Elementwise(_lower_bitcast),
        traits=frozenset({"elementwise", "nondifferentiable"}),
        examples=_bitcast_examples,
    )
)


@public
def bitcast(x: Any, dtype: Any, /) -> Tensor:
    """x with the bits of its elements read as another dtype of the same width; numpy's
    `x.view(dtype)`, jax.lax.bitcast_convert_type.

    x: integers or floats, any shape. dtype: an integer or a float of as many bits. No derivative.
    Of a float16 or bfloat16 that is nan some nan's bits are given; other bits are exact. Raises
    DTypeError (E214) for another width, for bool and for complex numbers.
    """
    tensor, target = one_input("bitcast", x), as_dtype(dtype)
    for kind in (tensor.dtype, target):
        if is_bool(kind) or is_complex(kind):
            raise DTypeError(
                f"bitcast: not for {kind.name}",
                code="E214",
                details=[f"got {tensor.type} to be read as {target.name}"],
                source=current_source(),
                fix="take gc.real(x) and gc.imag(x)" if is_complex(kind) else "cast with x.astype",
            )
    if tensor.dtype.itemsize != target.itemsize:
        raise DTypeError(
            f"bitcast: {tensor.dtype.name} and {target.name} have different widths",
            code="E214",
            details=[f"got {tensor.type}, {8 * tensor.dtype.itemsize} bits an element"],
            source=current_source(),
            fix=f"a dtype of {8 * tensor.dtype.itemsize} bits; x.astype(...) converts values",
        )
    return tensor if tensor.dtype == target else BITCAST(tensor, dtype=target)


# --- counts --------------------------------------------------------------------------------------


@public
def bitwise_count(x: Any) -> Tensor:
    """How many bits of |x| are set: uint8, of the shape of x.

    x: integers, else DTypeError. Pairs, fours and bytes of bits are added side by side (H. Warren,
    "Hacker's Delight", 5-1).
    """
    tensor = one_input("bitwise_count", x, INTEGER)
    word = BUILDER.abs(tensor) if is_signed(tensor.dtype) else tensor
    width = 8 * word.dtype.itemsize
    bits = bitcast(word, _WORDS[word.dtype.itemsize])
    ones = (1 << width) - 1
    bits = bits - ((bits >> 1) & (ones // 3))
    bits = (bits & (ones // 5)) + ((bits >> 2) & (ones // 5))
    bits = (bits + (bits >> 4)) & (ones // 17)
    return ((bits * (ones // 255)) >> (width - 8)).astype(uint8)
