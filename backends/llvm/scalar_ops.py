"""The scalar operations of scalar.expr as instructions, with numpy's meaning at every corner.

Values of a dtype in registers: bool is i1, integers are iN, float16 and bfloat16 are floats that
are rounded after every operation, float32 is float, float64 is double. In memory bool is i8,
float16 and bfloat16 are i16.
"""

import math
from collections.abc import Callable, Sequence

from graphc.backends.llvm.foreign import emit_foreign
from graphc.backends.llvm.integer_ops import SIGNED, UNSIGNED, Table, icmp, identity
from graphc.backends.llvm.text import BITS, TextBuilder, Val, vector_type
from graphc.backends.llvm.vector_math import EMITTERS
from graphc.backends.llvm.vector_math.exponential import exp_of_negative
from graphc.dtypes import (
    DType,
    bfloat16,
    bool_,
    float16,
    float32,
    float64,
    is_bool,
    is_floating,
    is_half,
    is_signed,
)
from graphc.scalar.foreign import Foreign

EXP_OF_NEGATIVE = "exp of negative"  # exp where its argument is known not to be positive
_REGISTER = {
    bool_: "i1",
    float16: "float",
    bfloat16: "float",
    float32: "float",
    float64: "double",
}
_MEMORY = {bool_: "i8", float16: "i16", bfloat16: "i16", float32: "float", float64: "double"}


def register_type(dtype: DType) -> str:
    """The LLVM type of an element in a register."""
    return _REGISTER.get(dtype) or f"i{8 * dtype.itemsize}"


def memory_type(dtype: DType) -> str:
    """The LLVM type of an element in memory."""
    return _MEMORY.get(dtype) or f"i{8 * dtype.itemsize}"


def from_memory(b: TextBuilder, a: Val, dtype: DType) -> Val:
    """What was loaded, as a register value."""
    if is_bool(dtype):
        return b.icmp("ne", a, b.const(0, a))
    if dtype == float16:
        return _from_half(b, a)
    if dtype == bfloat16:
        high = b.zext(a, "i32")
        return b.bitcast(b.shl(high, b.const(16, high)), "float")
    return a


def to_memory(b: TextBuilder, a: Val, dtype: DType) -> Val:
    """A register value, as it is stored."""
    if is_bool(dtype):
        return b.zext(a, "i8")
    if dtype == float16:
        return _nearest_half(b, a)
    if dtype == bfloat16:
        nearest = _nearest_bfloat(b, a)
        return b.trunc(b.lshr(nearest, b.const(16, nearest)), "i16")
    return a


def _convert(op: str, a: Val, type: str) -> str:
    return f"{op} {a.ir_type} {a.text} to {vector_type(type, a.lanes)}"


def _same_bits(b: TextBuilder, a: Val, dtype: DType) -> Val:
    return b.bitcast(a, register_type(dtype))


def _from_half(b: TextBuilder, a: Val) -> Val:
    """The float of bits of a half; processors with fused products have an instruction for it."""
    if b.has_fma:
        half = b.emit(_convert("bitcast", a, "half"), "half", a.lanes)
        return b.emit(_convert("fpext", half, "float"), "float", a.lanes)
    wide = b.zext(a, "i32")
    sign = b.shl(b.and_(wide, b.const(0x8000, wide)), b.const(16, wide))
    size = b.and_(wide, b.const(0x7FFF, wide))
    # The float of these digits is too small by the difference of exponents, subnormal ones too.
    small = b.bitcast(b.shl(size, b.const(13, size)), "float")
    bits = b.bitcast(b.fmul(small, b.const(2.0**112, small)), "i32")
    infinite, missing = b.const(0x7F800000, bits), b.const(0x7FC00000, bits)
    top = b.const(0x7C00, size)
    beyond = b.select(b.icmp("ugt", size, top), missing, infinite)
    bits = b.or_(bits, b.select(b.icmp("uge", size, top), beyond, b.const(0, bits)))
    return b.bitcast(b.or_(bits, sign), "float")


def _nearest_half(b: TextBuilder, a: Val) -> Val:
    """The bits of the half nearest to a float, of ties the even one. NaN becomes the quiet one."""
    if b.has_fma:
        half = b.emit(_convert("fptrunc", a, "half"), "half", a.lanes)
        return b.emit(_convert("bitcast", half, "i16"), "i16", a.lanes)
    bits = b.bitcast(a, "i32")
    sign = b.and_(b.lshr(bits, b.const(16, bits)), b.const(0x8000, bits))
    size = b.and_(bits, b.const(0x7FFFFFFF, bits))
    odd = b.and_(b.lshr(size, b.const(13, size)), b.const(1, size))
    rounding = b.const(0xFFF - (112 << 23) & 0xFFFFFFFF, size)
    normal = b.lshr(b.add(b.add(size, rounding), odd), b.const(13, size))
    # Added to a half, what is left of a number are the digits of a subnormal one.
    half = b.const(126 << 23, size)
    subnormal = b.sub(
        b.bitcast(b.fadd(b.bitcast(size, "float"), b.bitcast(half, "float")), "i32"), half
    )
    found = b.select(b.icmp("ult", size, b.const(113 << 23, size)), subnormal, normal)
    infinite, missing = b.const(0x7C00, size), b.const(0x7E00, size)
    found = b.select(b.icmp("uge", size, b.const(143 << 23, size)), infinite, found)
    found = b.select(b.icmp("ugt", size, b.const(0x7F800000, size)), missing, found)
    return b.trunc(b.or_(found, sign), "i16")


def round_to(b: TextBuilder, a: Val, dtype: DType) -> Val:
    """A float value rounded to float16 or bfloat16 where that is the dtype."""
    if dtype == bfloat16:
        bits = _nearest_bfloat(b, a)
        return b.bitcast(b.and_(bits, b.const(0xFFFF0000, bits)), "float")
    if dtype != float16:
        return a
    return _from_half(b, _nearest_half(b, a))


def _nearest_bfloat(b: TextBuilder, a: Val) -> Val:
    """Bits of a float whose upper half is the bfloat16 nearest to a, of ties the even one.

    Adding just below half of the last digit, or half of it if that digit is odd, carries into the
    upper half where it has to be rounded up, up to infinity. NaN becomes the quiet one.
    """
    bits = b.bitcast(a, "i32")
    odd = b.and_(b.lshr(bits, b.const(16, bits)), b.const(1, bits))
    rounded = b.add(bits, b.add(odd, b.const(0x7FFF, bits)))
    return b.select(b.fcmp("uno", a, a), b.const(0x7FC00000, bits), rounded)


def emit_operation(
    b: TextBuilder, op: str, args: Sequence[Val], operand: DType, result: DType
) -> Val:
    """One operation on arguments of equal lanes; `operand` is the dtype of the last argument."""
    if isinstance(op, Foreign):
        return emit_foreign(b, op, args)
    if op == "cast":
        return emit_cast(b, args[0], operand, result)
    if op == "bits":
        half = is_half(operand)
        return to_memory(b, args[0], operand) if half else _same_bits(b, args[0], result)
    if op == "from_bits":
        half = is_half(result)
        return from_memory(b, args[0], result) if half else _same_bits(b, args[0], result)
    if op == "pair_product":
        (low, high), (other_low, other_high) = (halves_of_pair(b, one) for one in args)
        return b.fadd(b.fmul(high, other_high), b.fmul(low, other_low))
    if op == "select":
        return b.select(*args)
    if is_floating(operand):
        emit = exp_of_negative if op == EXP_OF_NEGATIVE else _FLOAT.get(op) or EMITTERS[op]
        value = emit(b, *args)
        return round_to(b, value, result) if is_floating(result) else value
    if is_bool(operand):
        return _BOOL[op](b, *args)
    return (SIGNED if is_signed(operand) else UNSIGNED)[op](b, *args)


def halves_of_pair(b: TextBuilder, pair: Val) -> tuple[Val, Val]:
    """Both bfloat16 that an integer holds, as float32."""
    low, high = b.shl(pair, b.const(16, pair)), b.and_(pair, b.const(0xFFFF0000, pair))
    return b.bitcast(low, "float"), b.bitcast(high, "float")


def add_pair_products(b: TextBuilder, total: Val, x: Val, y: Val, *, at_once: bool) -> Val:
    """The sum so far and both products, that of the elements which come second first.

    at_once: by one instruction, to which numbers below 1.2e-38 are zero.
    """
    lanes = total.lanes
    if not at_once or lanes not in (4, 8, 16, 32):
        (low, high), (other_low, other_high) = halves_of_pair(b, x), halves_of_pair(b, y)
        return b.fma(low, other_low, b.fma(high, other_high, total))
    if lanes == 32:  # two registers
        low, high = (
            add_pair_products(
                b, *(b.shuffle(one, one, half) for one in (total, x, y)), at_once=True
            )
            for half in (range(16), range(16, 32))
        )
        return b.shuffle(low, high, range(32))
    vector, pairs = total.ir_type, f"<{2 * lanes} x bfloat>"
    name = f"llvm.x86.avx512bf16.dpbf16ps.{32 * lanes}"
    b.declare(name, f"{vector} @{name}({vector}, {pairs}, {pairs})")
    given = [f"{vector} {total.text}"]
    for one in (y, x):
        given.append(f"{pairs} {b.value(f'bitcast {one.ir_type} {one.text} to {pairs}')}")
    return b.emit(f"call {vector} @{name}({', '.join(given)})", "float", lanes)


def add_quad_products(b: TextBuilder, total: Val, unsigned: Val, signed: Val) -> Val:
    """The sum so far and the products of the four bytes in each int32, modulo 2**32."""
    vector = total.ir_type
    name = f"llvm.x86.avx512.vpdpbusd.{32 * total.lanes}"
    b.declare(name, f"{vector} @{name}({vector}, {vector}, {vector})")
    passed = ", ".join(f"{vector} {one.text}" for one in (total, unsigned, signed))
    return b.emit(f"call {vector} @{name}({passed})", total.type, total.lanes)


# Casts


def emit_cast(b: TextBuilder, a: Val, source: DType, target: DType) -> Val:
    """numpy's astype; a float out of the integer's range gives the nearest one."""
    if source == target:
        return a
    type = register_type(target)
    if is_bool(target):
        if is_floating(source):
            return b.fcmp("une", a, b.const(0.0, a))
        return b.icmp("ne", a, b.const(0, a))
    if is_floating(target):
        if is_floating(source):
            return round_to(b, _resize_float(b, a, type), target)
        converted = b.sitofp(a, type) if is_signed(source) else b.uitofp(a, type)
        return round_to(b, converted, target)
    if is_floating(source):
        return _float_to_integer(b, a, target)
    bits = BITS[type]
    if BITS[a.type] == bits:
        return a
    if BITS[a.type] > bits:
        return b.trunc(a, type)
    return b.sext(a, type) if is_signed(source) else b.zext(a, type)


def _resize_float(b: TextBuilder, a: Val, type: str) -> Val:
    if a.type == type:
        return a
    return b.fpext(a, type) if type == "double" else b.fptrunc(a, type)


def _float_to_integer(b: TextBuilder, a: Val, target: DType) -> Val:
    """Toward zero; values out of range become the nearest integer of the type, NaN becomes 0."""
    type, signed = register_type(target), is_signed(target)
    bits = BITS[type]
    lowest, beyond = (-(1 << (bits - 1)), 1 << (bits - 1)) if signed else (0, 1 << bits)
    low, high = b.const(float(lowest), a), b.const(float(beyond), a)
    if bits < 32:
        converted = b.trunc(b.fptosi(a, "i32"), type)
    else:
        converted = b.fptosi(a, type) if signed else b.fptoui(a, type)
    above, below, nan = b.fcmp("oge", a, high), b.fcmp("olt", a, low), b.fcmp("uno", a, a)
    converted = b.select(above, b.constant(beyond - 1, type, a.lanes), converted)
    converted = b.select(below, b.constant(lowest, type, a.lanes), converted)
    return b.select(nan, b.constant(0, type, a.lanes), converted)


# Floating point


def _remainder(b: TextBuilder, x: Val, y: Val) -> Val:
    """fmod: the exact remainder of x / y rounded toward zero, with the sign of x.

    The rounded quotient is at most one too large. Below 2^22 (2^51) a fused product then gives
    the remainder, or the remainder - |y|, without error; the C library does the rest.
    """
    if not b.has_fma:
        return b.frem(x, y)
    zero, inf = b.const(0.0, x), b.const(math.inf, x)
    quotient, divisor = b.fdiv(x, y), b.fabs(y)
    close = b.fcmp("olt", b.fabs(quotient), b.const(2.0 ** (22 if x.type == "float" else 51), x))
    simple = b.and_(close, b.fcmp("olt", divisor, inf))
    rest = b.fma(b.fneg(b.ftrunc(quotient)), y, x)
    rest = b.fmul(b.copysign(b.const(1.0, x), x), rest)  # for x as if it were positive
    rest = b.select(b.fcmp("olt", rest, zero), b.fadd(rest, divisor), rest)
    (result,) = b.branch_if_any(b.not_(simple), [b.copysign(rest, x)], lambda: [b.frem(x, y)])
    return result


def _float_floordiv(b: TextBuilder, x: Val, y: Val) -> Val:
    """floor(x / y) from the exact remainder; x / y where y is 0."""
    zero, one, half = b.const(0.0, x), b.const(1.0, x), b.const(0.5, x)
    quotient = b.fdiv(x, y)
    remainder = _remainder(b, x, y)
    exact = b.fdiv(b.fsub(x, remainder), y)
    exact = b.select(_signs_differ(b, remainder, y), b.fsub(exact, one), exact)
    floor = b.floor(exact)
    floor = b.select(b.fcmp("ogt", b.fsub(exact, floor), half), b.fadd(floor, one), floor)
    signed_zero = b.copysign(zero, quotient)
    result = b.select(b.fcmp("une", exact, zero), floor, signed_zero)
    return b.select(b.fcmp("oeq", y, zero), quotient, result)


def _float_mod(b: TextBuilder, x: Val, y: Val) -> Val:
    """The remainder with the sign of y."""
    remainder = _remainder(b, x, y)
    adjusted = b.select(_signs_differ(b, remainder, y), b.fadd(remainder, y), remainder)
    is_zero = b.fcmp("oeq", remainder, b.const(0.0, x))
    return b.select(is_zero, b.copysign(b.const(0.0, x), y), adjusted)


def _signs_differ(b: TextBuilder, remainder: Val, y: Val) -> Val:
    """The remainder is not zero, and only one of it and y is negative."""
    zero = b.const(0.0, y)
    differ = b.xor(b.fcmp("olt", remainder, zero), b.fcmp("olt", y, zero))
    return b.and_(b.fcmp("une", remainder, zero), differ)


def _fcmp(predicate: str) -> Callable[..., Val]:
    return lambda b, x, y: b.fcmp(predicate, x, y)


B = TextBuilder

_FLOAT: Table = {
    "add": B.fadd,
    "sub": B.fsub,
    "mul": B.fmul,
    "div": B.fdiv,
    "floordiv": _float_floordiv,
    "mod": _float_mod,
    "neg": B.fneg,
    "abs": B.fabs,
    "maximum": B.maximum,
    "minimum": B.minimum,
    "floor": B.floor,
    "ceil": B.ceil,
    "trunc": B.ftrunc,
    "round": B.roundeven,
    "eq": _fcmp("oeq"),
    "ne": _fcmp("une"),
    "lt": _fcmp("olt"),
    "le": _fcmp("ole"),
    "sqrt": B.sqrt,
    "copysign": B.copysign,
    "fma": B.fma,  # contractions only: users' products and sums are rounded one by one
}

_BOOL: Table = {
    "add": B.or_,
    "mul": B.and_,
    "maximum": B.or_,
    "minimum": B.and_,
    "and": B.and_,
    "or": B.or_,
    "xor": B.xor,
    "not": B.not_,
    "abs": identity,
    "eq": lambda b, x, y: b.not_(b.xor(x, y)),
    "ne": B.xor,
    "lt": icmp("ult"),
    "le": icmp("ule"),
}
