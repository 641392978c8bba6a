"""Unsigned integers in the order of the elements that they stand for: what sorting compares.

For floats these are the bits, turned round below 0; NaN has the highest key, upwards and downwards.
"""

import numpy as np

from graphc.dtypes import DType, is_floating, is_signed
from graphc.scalar.expr import (
    Expr,
    bits,
    cast,
    constant,
    eq,
    from_bits,
    ge,
    is_nan,
    like,
    lt,
    not_,
    or_,
    select,
    xor,
)


def key_dtype(dtype: DType) -> DType:
    return np.dtype(f"u{dtype.itemsize}")


def sort_key(x: Expr, descending: bool, *, zeros_apart: bool = False) -> Expr:
    """The key of x. zeros_apart: -0.0 comes before 0.0, so that keys tell all but which NaN it was;
    else both have one key."""
    unsigned = key_dtype(x.dtype)
    top = constant(1 << 8 * x.dtype.itemsize - 1, unsigned)
    if not is_floating(x.dtype):
        key = xor(cast(x, unsigned), top) if is_signed(x.dtype) else x
        return not_(key) if descending else key
    zero = like(x, 0)
    pattern = bits(x if zeros_apart else select(eq(x, zero), zero, x))
    is_below = ge(pattern, top) if zeros_apart else lt(x, zero)
    key = select(is_below, not_(pattern), or_(pattern, top))
    key = not_(key) if descending else key
    return select(is_nan(x), constant((1 << 8 * x.dtype.itemsize) - 1, unsigned), key)


def of_sort_key(key: Expr, dtype: DType, descending: bool) -> Expr:
    """The element whose key it is; of keys that tell zeros apart, either zero."""
    key = not_(key) if descending else key
    top = like(key, 1 << 8 * dtype.itemsize - 1)
    if not is_floating(dtype):
        return cast(xor(key, top), dtype) if is_signed(dtype) else key
    return from_bits(select(ge(key, top), xor(key, top), not_(key)), dtype)
