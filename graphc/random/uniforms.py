"""Uniform numbers: floating point, integers, coins."""

from typing import Any

import numpy as np

from graphc.dtypes import (
    DType,
    as_dtype,
    bfloat16,
    float16,
    float32,
    float64,
    int64,
    is_floating,
    is_integer,
    is_signed,
    promote,
    uint32,
    uint64,
)
from graphc.errors import DTypeError, ParameterError
from graphc.ir.arguments import ShapeLike
from graphc.ir.leaf import as_tensor, constant
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.bitwise import bitwise_and, bitwise_right_shift
from graphc.ops.comparison import where
from graphc.random.keys import Draws, Key, as_word, draws_of, sizes_of
from graphc.random.parameters import (
    PROBABILITY,
    fixed,
    float_dtype,
    known_integer,
    parameter,
    shape_of,
    spread,
)
from graphc.shapes import Shape
from graphc.surface import surface

__all__ = ["bernoulli", "integers", "open_unit", "rademacher", "uniform", "unit"]


def unit(draws: Draws, shape: Shape, dtype: DType) -> Tensor:
    """k / 2^p with k uniform in [0, 2^p), p the bits of the mantissa: 8, 11, 24 or 53."""
    wide = dtype == float64
    words = draws.bits(shape, uint64 if wide else uint32)
    precision = {bfloat16: 8, float16: 11, float32: 24, float64: 53}[dtype]
    spare = (64 if wide else 32) - precision
    return bitwise_right_shift(words, spare).astype(dtype) * 2.0**-precision


def open_unit(draws: Draws, shape: Shape, dtype: DType) -> Tensor:
    """(k + 1/2) / 2^b, rounded, with k uniform in [0, 2^b), b = 32 for float32, 64 for float64.

    Never 0, with all digits near 0; 1 with probability 2^-25 or 2^-54.
    """
    size = 64 if dtype == float64 else 32
    words = draws.bits(shape, uint64 if dtype == float64 else uint32)
    return (words.astype(dtype) + 0.5) * 2.0**-size


@surface
def uniform(
    key: Key,
    shape: ShapeLike | None = None,
    dtype: Any = float32,
    minval: Any = 0.0,
    maxval: Any = 1.0,
) -> Tensor:
    """Uniform numbers in [minval, maxval): minval + u (maxval - minval).

    u is a multiple of 2^-24 (float32), 2^-53 (float64), 2^-11 (float16) or
    2^-8 (bfloat16) in [0, 1). Rounding of
    the sum can give maxval itself where minval is not 0. minval, maxval: numbers or tensors that
    broadcast to the shape (None: that of both together); gradients flow to them.
    Raises ParameterError where minval > maxval is known.
    """
    target, sizes = float_dtype("uniform", dtype), shape_of("uniform", shape, minval, maxval)
    low = parameter("uniform", "minval", minval, sizes, target)
    high = parameter("uniform", "maxval", maxval, sizes, target)
    if isinstance(low, float) and isinstance(high, float) and low > high:
        raise ParameterError(
            f"uniform: minval {low} is larger than maxval {high}",
            source=current_source(),
            fix="give minval <= maxval",
        )
    noise = unit(draws_of("uniform", key), sizes, target)
    width = high - low
    if isinstance(width, Tensor) or width != 1:
        noise = noise * width
    return noise if isinstance(low, float) and low == 0 else noise + low


# --- integers -------------------------------------------------------------------------------------


def _bound(what: str, value: Any, shape: Shape) -> Tensor:
    """A bound as uint64, modulo 2^64."""
    known = known_integer(value)
    if known is not None:
        return as_word(known)
    tensor = as_tensor(value)
    if not is_integer(tensor.dtype):
        raise DTypeError(
            f"integers: {what} is {tensor.dtype.name}",
            code="E214",
            source=current_source(),
            fix="bounds are ints, integer tensors or symbolic sizes",
        )
    return spread("integers", what, tensor.astype(uint64), shape)


def high_product(words: Tensor, count: Tensor) -> Tensor:
    """The high 64 bits of words * count."""
    low, half = as_word(0xFFFFFFFF), as_word(32)
    x0, x1 = bitwise_and(words, low), bitwise_right_shift(words, half)
    y0, y1 = bitwise_and(count, low), bitwise_right_shift(count, half)
    first = x1 * y0 + bitwise_right_shift(x0 * y0, half)
    second = x0 * y1 + bitwise_and(first, low)
    return x1 * y1 + bitwise_right_shift(first, half) + bitwise_right_shift(second, half)


def _check_bounds(low: Any, high: Any, dtype: DType) -> None:
    """What is known of the bounds fits together and fits the dtype."""
    limits = np.iinfo(dtype)
    known_low, known_high = known_integer(low), known_integer(high)
    for what, value, least, most in (
        ("low", known_low, int(limits.min), int(limits.max)),
        ("high", known_high, int(limits.min) + 1, int(limits.max) + 1),
    ):
        if value is not None and not least <= value <= most:
            raise ParameterError(
                f"integers: {what} is {value}",
                details=[f"allowed for {dtype.name}: {least} to {most}"],
                source=current_source(),
                fix="use another dtype, or bounds that it holds",
            )
    first, second = fixed(low), fixed(high)
    if first is not None and second is not None and np.any(np.greater_equal(first, second)):
        raise ParameterError(
            f"integers: low {low if known_low is None else known_low} is not below high "
            f"{high if known_high is None else known_high}",
            details=["allowed: low < high; high itself is never drawn"],
            source=current_source(),
            fix="give low < high; high is not among the numbers",
        )


@surface
def integers(
    key: Key, shape: ShapeLike | None = None, low: Any = 0, high: Any = None, dtype: Any = int64
) -> Tensor:
    """Uniform integers in [low, high).

    low, high: ints, symbolic sizes or integer tensors that broadcast to the shape (None: the shape
    of the two together); high = None: all integers of the dtype from low on. Each number is
    low + (w n >> 64) for 64 random bits w and n = high - low. So no probability differs from 1 / n
    by more than 2^-64, and none differs if n is a power of two. Where n = 0 at the call the result
    is low.
    Raises ParameterError where low >= high is known.
    """
    target = as_dtype(dtype)
    if not is_integer(target):
        raise DTypeError(
            f"integers: not for {target.name}",
            code="E214",
            details=["allowed: integer dtypes"],
            source=current_source(),
            fix="gc.random.uniform draws floating-point numbers, gc.random.bernoulli bool",
        )
    high = int(np.iinfo(target).max) + 1 if high is None else high
    _check_bounds(low, high, target)
    bounds = [0 if isinstance(value, int) else value for value in (low, high)]
    sizes = shape_of("integers", shape, *bounds)
    words = draws_of("integers", key).bits(sizes, uint64)
    known_low, known_high = known_integer(low), known_integer(high)
    first = _bound("low", low, sizes)
    if known_low is not None and known_high is not None and known_high - known_low == 1 << 64:
        return (words + first).astype(target)
    count = _bound("high", high, sizes) - first
    return (high_product(words, count) + first).astype(target)


# --- coins ----------------------------------------------------------------------------------------


@surface
def bernoulli(key: Key, shape: ShapeLike | None = None, p: Any = 0.5) -> Tensor:
    """True with probability p, else False.

    p: a number, or a tensor that broadcasts to the shape; shape = None: the shape of p. p counts
    in steps of 2^-24, or of 2^-53 if it is a float64 tensor. No gradient flows to p.
    Raises ParameterError for a known p outside of [0, 1].
    """
    sizes = shape_of("bernoulli", shape, p)
    is_array = isinstance(p, Tensor | np.ndarray | np.generic) and is_floating(p.dtype)
    dtype = promote(float32, p.dtype) if is_array else float32
    probability = parameter("bernoulli", "p", p, sizes, dtype, PROBABILITY)
    return unit(draws_of("bernoulli", key), sizes, dtype) < probability


@surface
def rademacher(key: Key, shape: ShapeLike = (), dtype: Any = float32) -> Tensor:
    """1 or -1, with equal probability. dtype: floating point or signed integer."""
    target, sizes = as_dtype(dtype), sizes_of("rademacher", shape)
    if not is_signed(target):
        raise DTypeError(
            f"rademacher: not for {target.name}",
            code="E214",
            source=current_source(),
            fix="use a dtype with negative numbers",
        )
    words = draws_of("rademacher", key).bits(sizes)
    one, minus = (constant(target.type(value)) for value in (1, -1))
    return where(bitwise_right_shift(words, 31) > 0, one, minus)
