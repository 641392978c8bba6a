"""Floats as a fraction and a power of 2: frexp and ldexp."""

from typing import Any

from graphc.dtypes import as_dtype, float32, int32, is_half
from graphc.ir.registry import BUILDER, public
from graphc.ir.tensor import Tensor
from graphc.ops.definition import INTEGRAL, REAL, check_dtype, floating, one_input

__all__ = ["frexp", "ldexp"]

# By the width of the dtype: the integers of its bits, digits of the fraction, bias of the exponent.
_FORMATS = {4: ("int32", 23, 127), 8: ("int64", 52, 1023)}


def _wide(name: str, x: Any) -> tuple[Tensor, Any]:
    """x in float32 or float64, and the dtype of the result."""
    tensor = one_input(name, x)
    check_dtype(name, tensor.dtype, REAL)
    tensor = floating(tensor)
    return (tensor.astype(float32) if is_half(tensor.dtype) else tensor), tensor.dtype


@public
def ldexp(x1: Any, x2: Any) -> Tensor:
    """x1 * 2**x2, exact as long as the result is, and rounded once where it is subnormal.

    x1: floats; integers become float32. x2: integers; they broadcast. Result: the dtype of x1. The
    gradient by x1 is 2**x2. Raises DTypeError for other dtypes.
    """
    value, dtype = _wide("ldexp", x1)
    power = one_input("ldexp", x2)
    check_dtype("ldexp", power.dtype, INTEGRAL)
    return _scaled(value, power).astype(dtype)


def _scaled(value: Tensor, power: Tensor) -> Tensor:
    """Three factors reach all exponents. Each factor down is larger than it might be by the digits
    of a fraction, so that only the last product can be subnormal, and is rounded."""
    kind, digits, bias = _FORMATS[value.dtype.itemsize]
    left = BUILDER.clip(power.astype("int64"), -4 * bias, 4 * bias).astype(as_dtype(kind))
    up, down = bias, digits + 2 - bias
    for _ in range(2):
        part = BUILDER.where(left > bias, up, BUILDER.where(left < 1 - bias, down, 0))
        part = part.astype(left.dtype)
        value, left = value * _power_of_2(part), left - part
    return value * _power_of_2(BUILDER.clip(left, 1 - bias, bias))


def _power_of_2(power: Tensor) -> Tensor:
    """2**power of normal numbers, from its bits."""
    _, digits, bias = _FORMATS[power.dtype.itemsize]
    bits = BUILDER.bitwise_left_shift(power + bias, digits)
    return BUILDER.bitcast(bits, f"float{8 * power.dtype.itemsize}")


@public
def frexp(x: Any, /) -> tuple[Tensor, Tensor]:
    """(fraction, exponent) with x = fraction * 2**exponent, 0.5 <= abs(fraction) < 1.

    x: floats; integers become float32. fraction: the dtype of x; exponent: int32. Of 0, infinities
    and nan the fraction is x and the exponent 0. The gradient of the fraction is 2**-exponent.
    Raises DTypeError for complex numbers and bool.
    """
    value, dtype = _wide("frexp", x)
    kind, digits, bias = _FORMATS[value.dtype.itemsize]
    size = BUILDER.abs(value)
    is_tiny = size < 2.0 ** (1 - bias)
    lifted = BUILDER.where(is_tiny, size * 2.0 ** (digits + 1), size)
    raw = BUILDER.bitwise_right_shift(BUILDER.bitcast(lifted, kind), digits)
    exponent = raw - (bias - 1) - BUILDER.where(is_tiny, digits + 1, 0).astype(as_dtype(kind))
    ordinary = BUILDER.isfinite(value) & BUILDER.not_equal(value, 0)
    exponent = BUILDER.where(ordinary, exponent, 0).astype(int32)
    return _scaled(value, -exponent).astype(dtype), exponent
