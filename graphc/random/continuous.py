"""Distributions with a location and a scale: each is loc + scale * noise.

shape = None is the shape of the parameters together.

Gradients flow to loc and scale, and to nothing else. All but one use logarithms of numbers that
keep their digits near 0, so that tails reach as far as the bits: probability 2^-32 in float32 (and
float16, computed in float32), 2^-64 in float64.
"""

import math
from typing import Any

from graphc.dtypes import DType, float32, float64, int32, int64, uint32, uint64
from graphc.ir.arguments import ShapeLike
from graphc.ir.tensor import Tensor
from graphc.ops.bitwise import bitwise_invert, bitwise_right_shift
from graphc.ops.comparison import where
from graphc.ops.elementwise import minimum
from graphc.ops.power import sqrt
from graphc.ops.transcendental import log, log1p, sin, tan
from graphc.random.keys import Draws, Key, draws_of
from graphc.random.parameters import float_dtype, shape_of, shifted, working_dtype
from graphc.random.uniforms import open_unit
from graphc.shapes import Shape
from graphc.surface import surface

__all__ = [
    "cauchy",
    "exponential",
    "gumbel",
    "laplace",
    "logistic",
    "normal",
    "standard_gumbel",
    "standard_normal",
]


def _words(draws: Draws, shape: Shape, dtype: DType) -> tuple[Tensor, int]:
    """As many bits as numbers of the dtype have, and how many these are."""
    wide = dtype == float64
    return draws.bits(shape, uint64 if wide else uint32), 64 if wide else 32


def standard_normal(draws: Draws, shape: Shape, dtype: DType) -> Tensor:
    """sqrt(-2 log u) sin(angle), Box and Muller 1958. dtype: float32 or float64."""
    if dtype == float64:
        radius_words, angle_words = draws.bits(shape, uint64), draws.bits(shape, uint64)
        signed, size = int64, 64
    else:
        words = draws.bits(shape, uint64)
        radius_words = bitwise_right_shift(words, 32).astype(uint32)
        angle_words, signed, size = words.astype(uint32), int32, 32
    u = (radius_words.astype(dtype) + 0.5) * 2.0**-size
    angle = angle_words.astype(signed).astype(dtype) * (math.pi * 2.0 ** (1 - size))
    return sqrt(log(u) * -2.0) * sin(angle)


@surface
def normal(
    key: Key, shape: ShapeLike | None = None, dtype: Any = float32, loc: Any = 0.0, scale: Any = 1.0
) -> Tensor:
    """Normal (Gaussian) numbers of mean loc and standard deviation scale.

    By the method of Box and Muller, one number of two: it reaches 6.7 scale in float32, 9.4 in
    float64. loc, scale: numbers or tensors that broadcast to the shape; shape = None: that of both
    together.
    """
    target, sizes = float_dtype("normal", dtype), shape_of("normal", shape, loc, scale)
    noise = standard_normal(draws_of("normal", key), sizes, working_dtype(target))
    return shifted("normal", noise, loc, scale, target)


@surface
def exponential(
    key: Key, shape: ShapeLike | None = None, dtype: Any = float32, scale: Any = 1.0
) -> Tensor:
    """Exponential numbers of mean scale: -scale log(u)."""
    target, sizes = float_dtype("exponential", dtype), shape_of("exponential", shape, scale)
    noise = -log(open_unit(draws_of("exponential", key), sizes, working_dtype(target)))
    return shifted("exponential", noise, 0.0, scale, target)


@surface
def laplace(
    key: Key, shape: ShapeLike | None = None, dtype: Any = float32, loc: Any = 0.0, scale: Any = 1.0
) -> Tensor:
    """Laplace numbers, exponential on both sides of loc: a sign bit, and the logarithm of the
    others."""
    target, sizes = float_dtype("laplace", dtype), shape_of("laplace", shape, loc, scale)
    work = working_dtype(target)
    words, size = _words(draws_of("laplace", key), sizes, work)
    top = bitwise_right_shift(words, size - 1)
    rest = (words + words) // 2  # the top bit falls out
    length = log((rest.astype(work) + 0.5) * 2.0 ** (1 - size))
    return shifted("laplace", where(top > 0, length, -length), loc, scale, target)


def standard_gumbel(draws: Draws, shape: Shape, dtype: DType) -> Tensor:
    """-log(-log(1 - v)): log1p keeps the digits of small v, from which large numbers come."""
    v = minimum(open_unit(draws, shape, dtype), 1 - (2.0**-53 if dtype == float64 else 2.0**-24))
    return -log(-log1p(-v))


@surface
def gumbel(
    key: Key, shape: ShapeLike | None = None, dtype: Any = float32, loc: Any = 0.0, scale: Any = 1.0
) -> Tensor:
    """Gumbel numbers, the limit of maxima: -log(-log(u)). The largest is 22.9 in float32."""
    target, sizes = float_dtype("gumbel", dtype), shape_of("gumbel", shape, loc, scale)
    noise = standard_gumbel(draws_of("gumbel", key), sizes, working_dtype(target))
    return shifted("gumbel", noise, loc, scale, target)


@surface
def logistic(
    key: Key, shape: ShapeLike | None = None, dtype: Any = float32, loc: Any = 0.0, scale: Any = 1.0
) -> Tensor:
    """Logistic numbers: log(u) - log(1 - u), where u and 1 - u come from a word and its inverse."""
    target, sizes = float_dtype("logistic", dtype), shape_of("logistic", shape, loc, scale)
    work = working_dtype(target)
    words, size = _words(draws_of("logistic", key), sizes, work)
    sides = [(side.astype(work) + 0.5) * 2.0**-size for side in (words, bitwise_invert(words))]
    return shifted("logistic", log(sides[0]) - log(sides[1]), loc, scale, target)


@surface
def cauchy(
    key: Key, shape: ShapeLike | None = None, dtype: Any = float32, loc: Any = 0.0, scale: Any = 1.0
) -> Tensor:
    """Cauchy numbers: the cotangent of a uniform angle, so that large ones keep their digits."""
    target, sizes = float_dtype("cauchy", dtype), shape_of("cauchy", shape, loc, scale)
    work = working_dtype(target)
    words, size = _words(draws_of("cauchy", key), sizes, work)
    signed = words.astype(int64 if work == float64 else int32)
    angle = (signed.astype(work) + 0.5) * (math.pi * 2.0**-size)
    return shifted("cauchy", 1.0 / tan(angle), loc, scale, target)
