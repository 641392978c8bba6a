"""The scalar operations that Python or Numba would compute otherwise, as small compiled functions.

Generated kernels import them by name. Each keeps the dtype of its first operand: functions of
float32 are computed in float64 and rounded once. float16 lives in float32 registers, rounded by
`half` after every operation, bfloat16 by `bfloat`; in memory they are their bits, as uint16.
"""

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import overload

_CASTS = {
    types.float32: np.float32,
    types.float64: np.float64,
    types.int8: np.int8,
    types.int16: np.int16,
    types.int32: np.int32,
    types.int64: np.int64,
    types.uint8: np.uint8,
    types.uint16: np.uint16,
    types.uint32: np.uint32,
    types.uint64: np.uint64,
}


def compiled(function: Callable[..., Any]) -> Any:
    """`function` for kernels: compiled once for each type of its arguments, not for each literal.

    Numba sees it as an overload of itself. It never raises, as numpy's scalars do not.
    """

    def choose(*arguments: Any) -> Any:
        return function

    choose.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    overload(function, jit_options={"error_model": "numpy", "nogil": True})(choose)
    return function


def like(x: Any, value: Any) -> Any:
    """`value` in the type of `x`, wrapping around or rounding."""
    return type(x)(value)


def _like(x: Any, value: Any) -> Any:
    cast = _CASTS[x]

    def convert(x: Any, value: Any) -> Any:
        return cast(value)

    return convert


overload(like)(_like)


# Integers


def _floor_divide(x: Any, y: Any) -> Any:
    """0 for a zero divisor; the lowest number by -1 wraps around instead of trapping."""
    if y == 0:
        return like(x, 0)
    if y == -1:
        return like(x, -x)
    return like(x, x // y)


def _remainder(x: Any, y: Any) -> Any:
    if y == 0 or y == -1:
        return like(x, 0)
    return like(x, x % y)


def _floor_divide_unsigned(x: Any, y: Any) -> Any:
    return like(x, 0) if y == 0 else like(x, x // y)


def _remainder_unsigned(x: Any, y: Any) -> Any:
    return like(x, 0) if y == 0 else like(x, x % y)


def _shift_left(x: Any, y: Any, width: Any) -> Any:
    """Shifts by the width or more, or by a negative amount, move every bit out."""
    return like(x, x << y) if 0 <= y < width else like(x, 0)


def _shift_right(x: Any, y: Any, width: Any) -> Any:
    if 0 <= y < width:
        return like(x, x >> y)
    return like(x, -1) if x < 0 else like(x, 0)


def _integer_power(x: Any, y: Any) -> Any:
    """By squaring, wrapping around; a negative exponent truncates 1 / x**-y."""
    zero, one = like(y, 0), like(y, 1)
    if y < zero and x != 1 and x != -1:
        return like(x, 0)
    left = y & one if y < zero else y
    result, square = like(x, 1), x
    while left != zero:
        if left & one != zero:
            result = like(x, result * square)
        square = like(x, square * square)
        left = like(y, left >> one)
    return result


floor_divide = compiled(_floor_divide)
remainder = compiled(_remainder)
floor_divide_unsigned = compiled(_floor_divide_unsigned)
remainder_unsigned = compiled(_remainder_unsigned)
shift_left = compiled(_shift_left)
shift_right = compiled(_shift_right)
integer_power = compiled(_integer_power)


# Choice


def _select(condition: Any, x: Any, y: Any) -> Any:
    """`x if condition else y`; as a call it costs Numba far less time to compile."""
    return x if condition else y


select = compiled(_select)


# Floats


def _float_divmod(x: Any, y: Any) -> Any:
    """Quotient and remainder as numpy computes them."""
    mod = like(x, np.fmod(x, y))
    if y == 0:
        return like(x, x / y), mod
    div = like(x, (x - mod) / y)
    if mod != 0:
        if (y < 0) != (mod < 0):
            mod = like(x, mod + y)
            div = like(x, div - like(x, 1))
    else:
        mod = like(x, math.copysign(like(x, 0), y))
    if div == 0:
        return like(x, math.copysign(like(x, 0), x / y)), mod
    floored = like(x, np.floor(div))
    if div - floored > like(x, 0.5):
        floored = like(x, floored + like(x, 1))
    return floored, mod


float_divmod = compiled(_float_divmod)


def _floor_divide_float(x: Any, y: Any) -> Any:
    return float_divmod(x, y)[0]


def _remainder_float(x: Any, y: Any) -> Any:
    return float_divmod(x, y)[1]


def _maximum(x: Any, y: Any) -> Any:
    """NaN if one of them is NaN."""
    return x if x > y or x != x else y


def _minimum(x: Any, y: Any) -> Any:
    return x if x < y or x != x else y


def _wins_argmax(value: Any, position: Any, best: Any, best_position: Any) -> Any:
    """Whether an element replaces the best so far; at position -1 there is none."""
    if best_position < 0:
        return True
    if value != value or best != best:
        return value != value and (best == best or position < best_position)
    return value > best or (value == best and position < best_position)


def _wins_argmin(value: Any, position: Any, best: Any, best_position: Any) -> Any:
    if best_position < 0:
        return True
    if value != value or best != best:
        return value != value and (best == best or position < best_position)
    return value < best or (value == best and position < best_position)


floor_divide_float = compiled(_floor_divide_float)
remainder_float = compiled(_remainder_float)
maximum = compiled(_maximum)
minimum = compiled(_minimum)
wins_argmax = compiled(_wins_argmax)
wins_argmin = compiled(_wins_argmin)


def _unary(function: Any) -> Any:
    return compiled(lambda x: like(x, function(np.float64(x))))


def _cube_root(x: Any) -> Any:
    # numba before 0.68 forgets the sign of zero
    return like(x, math.copysign(np.cbrt(np.float64(x)), np.float64(x)))


def _binary(function: Any) -> Any:
    return compiled(lambda x, y: like(x, function(np.float64(x), np.float64(y))))


floor, ceil, trunc, rint = _unary(np.floor), _unary(np.ceil), _unary(np.trunc), _unary(np.rint)
sqrt, cbrt, erf = _unary(np.sqrt), compiled(_cube_root), _unary(math.erf)
exp, exp2, expm1 = _unary(math.exp), _unary(np.exp2), _unary(math.expm1)
log, log2, log10, log1p = _unary(math.log), _unary(np.log2), _unary(math.log10), _unary(math.log1p)
sin, cos, tan = _unary(math.sin), _unary(math.cos), _unary(math.tan)
asin, acos, atan = _unary(math.asin), _unary(math.acos), _unary(math.atan)
sinh, cosh, tanh = _unary(math.sinh), _unary(math.cosh), _unary(math.tanh)
asinh, acosh, atanh = _unary(math.asinh), _unary(math.acosh), _unary(math.atanh)
atan2, copysign, power = _binary(math.atan2), _binary(math.copysign), _binary(math.pow)


float32_bits = compiled(lambda x: np.float32(x).view(np.uint32))
float64_bits = compiled(lambda x: np.float64(x).view(np.uint64))
float32_value = compiled(lambda bits: np.uint32(bits).view(np.float32))
float64_value = compiled(lambda bits: np.uint64(bits).view(np.float64))

# Casts


def _saturating(target: Any) -> Any:
    """Truncation of a float to an integer type; NaN becomes 0, out of range the nearest value."""
    limits = np.iinfo(target)
    lowest, highest = target(limits.min), target(limits.max)
    below, above = float(limits.min), float(int(limits.max) + 1)

    def truncate(x: Any) -> Any:
        value = np.float64(x)
        if value != value:
            return target(0)
        if value >= above:
            return highest
        return lowest if value <= below else target(np.trunc(value))

    return compiled(truncate)


to_int8, to_int16 = _saturating(np.int8), _saturating(np.int16)
to_int32, to_int64 = _saturating(np.int32), _saturating(np.int64)
to_uint8, to_uint16 = _saturating(np.uint8), _saturating(np.uint16)
to_uint32, to_uint64 = _saturating(np.uint32), _saturating(np.uint64)


# float16


def _half(x: Any) -> Any:
    """The float16 nearest to x (of ties the even one), as a float32."""
    value = np.float64(x)
    if value != value or value - value != 0:
        return np.float32(value)
    step = math.ldexp(1.0, max(math.frexp(value)[1] - 11, -24))
    rounded = np.rint(value / step) * step
    if abs(rounded) > 65504.0:
        return np.float32(math.copysign(np.inf, value))
    return np.float32(rounded)


def _half_bits(x: Any) -> Any:
    """The bits of a float32 that is a float16."""
    value = np.float64(x)
    sign = 0x8000 if math.copysign(1.0, value) < 0 else 0
    if value != value:
        return np.uint16(0x7E00)
    size = abs(value)
    if size > 65504.0:
        return np.uint16(sign | 0x7C00)
    if size < 2.0**-14:
        return np.uint16(sign | np.int64(size * 2.0**24))
    fraction, exponent = math.frexp(size)
    return np.uint16(sign | ((exponent + 14) << 10) | (np.int64(fraction * 2048.0) - 1024))


def _half_value(bits: Any) -> Any:
    """The float16 with these bits, as a float32."""
    number = np.int64(bits)
    exponent, fraction = (number >> 10) & 31, number & 1023
    if exponent == 31:
        size = np.inf if fraction == 0 else np.nan
    elif exponent == 0:
        size = fraction * 2.0**-24
    else:
        size = math.ldexp(1024.0 + fraction, int(exponent - 25))
    return np.float32(-size if number & 0x8000 else size)


half = compiled(_half)
half_bits = compiled(_half_bits)
half_value = compiled(_half_value)


# bfloat16: the upper half of a float32


def _bfloat_bits(x: Any) -> Any:
    """The bits of the bfloat16 nearest to x (of ties the even one); NaN becomes the quiet one."""
    value = np.float32(x)
    if value != value:
        return np.uint16(0x7FC0)
    bits = np.int64(value.view(np.uint32))
    return np.uint16((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16)


def _bfloat_value(bits: Any) -> Any:
    """The bfloat16 with these bits, as a float32."""
    return np.uint32(np.int64(bits) << 16).view(np.float32)


bfloat_bits = compiled(_bfloat_bits)
bfloat_value = compiled(_bfloat_value)


def _bfloat(x: Any) -> Any:
    """The bfloat16 nearest to x, as a float32."""
    return bfloat_value(bfloat_bits(x))


bfloat = compiled(_bfloat)


def _pair_product(a: Any, b: Any) -> Any:
    """Of pairs of bfloat16: the sum of both products, in float32."""
    high = bfloat_value(np.uint16(a >> 16)) * bfloat_value(np.uint16(b >> 16))
    return high + bfloat_value(np.uint16(a & 0xFFFF)) * bfloat_value(np.uint16(b & 0xFFFF))


pair_product = compiled(_pair_product)


# Checks


def _first_outside(indices: Any, minimum: Any, size: Any) -> Any:
    """The position of the first index outside [minimum, size); -1 if there is none."""
    for position in range(indices.size):
        if not minimum <= indices[position] < size:
            return position
    return -1


first_outside: Any = njit(_first_outside, error_model="numpy", nogil=True)
