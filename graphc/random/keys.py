"""Keys, and the bits that follow from them.

A key is a tensor uint64[]. Equal keys give equal numbers: `split` a key, or `fold_in` a number, to
get keys for independent numbers. All bits are Philox4x32-10, see graphc.ops.random_bits.
"""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from graphc.dtypes import DType, as_dtype, is_integer, uint32, uint64, unsigned_dtypes
from graphc.errors import DTypeError, ParameterError, ShapeError
from graphc.ir.arguments import ShapeLike, checked_shape
from graphc.ir.leaf import as_tensor, constant
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.bitwise import bitwise_xor
from graphc.ops.elementwise import add
from graphc.ops.random_bits import random_bits
from graphc.shapes import Dim, Shape, Size, format_shape
from graphc.surface import surface

__all__ = ["bits", "fold_in", "key", "split"]

MASK = (1 << 64) - 1
LEAST = -(1 << 63)  # of negative numbers, which stand for their 64 bits
# So that children of a key have nothing in common with the numbers drawn from it.
SPLIT_TWEAK = 0xA3EC647659359ACD
FOLD_TWEAK = 0xD1B54A32D192ED03


def as_word(value: int) -> Tensor:
    """A number as uint64[], modulo 2^64."""
    return constant(np.uint64(value & MASK))


class Draws:
    """The bits of distributions: array after array, each at an offset of its own.

    base: what the offsets are added to. numbers: where the offsets come from; iterators of ints
    give each to one thread alone.
    """

    def __init__(
        self, key: Tensor, base: Tensor | None = None, numbers: Iterator[int] | None = None
    ) -> None:
        self.key = key
        self.base = base
        self.numbers = itertools.count() if numbers is None else numbers

    def bits(self, shape: Shape, dtype: DType = uint32) -> Tensor:
        """Fresh bits, uint32 or uint64."""
        number = next(self.numbers, None)
        if number is None:
            raise ParameterError(
                "Stream: too many random arrays",
                source=current_source(),
                fix="make another stream with another seed",
            )
        offset = as_word(number)
        if self.base is not None:
            offset = add(self.base, offset)
        return random_bits(self.key, offset, shape, dtype)


# What the functions of this package take for `key`: streams pass their own position.
Key = Tensor | Draws


def draws_of(name: str, key: Key) -> Draws:
    """The draws from a key, from the first one on."""
    return key if isinstance(key, Draws) else Draws(checked_key(name, key))


def checked_key(name: str, key: Any) -> Tensor:
    if isinstance(key, Tensor) and key.dtype == uint64 and key.ndim == 0:
        return key
    got = str(key.type) if isinstance(key, Tensor) else f"{key!r:.60}, a {type(key).__name__}"
    raise DTypeError(
        f"{name}: the first argument is no key",
        code="E214",
        details=[f"got {got}, allowed: uint64[]"],
        source=current_source(),
        fix="make one with gc.random.key(seed), take one out of gc.random.split(key, n), or draw "
        "from a gc.random.Stream",
    )


def sizes_of(name: str, shape: ShapeLike) -> Shape:
    """A size or several as a tuple; none is negative."""
    sizes = checked_shape(name, shape)
    if any(isinstance(size, int) and size < 0 for size in sizes):
        raise ShapeError(
            f"{name}: negative size in {format_shape(sizes)}",
            source=current_source(),
            fix="sizes are ints >= 0 or symbolic, such as x.shape[0]",
        )
    return sizes


def _word_of(name: str, what: str, value: Any) -> Tensor:
    """An integer or an integer tensor of no axes as uint64[]."""
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        if not LEAST <= value <= MASK:
            raise ParameterError(
                f"{name}: {what} is {value!r:.60}",
                details=["allowed: -2**63 <= number < 2**64, as in integer tensors"],
                source=current_source(),
                fix="give a number in that range, such as one % 2**64",
            )
        return as_word(int(value))
    tensor = as_tensor(value) if isinstance(value, Tensor | Dim | np.ndarray) else None
    if tensor is None or not is_integer(tensor.dtype) or tensor.ndim:
        got = str(tensor.type) if tensor is not None else f"{value!r:.60}"
        raise DTypeError(
            f"{name}: {what} is no integer",
            code="E214",
            details=[f"got {got}, allowed: an int, or an integer tensor without axes"],
            source=current_source(),
            fix="give a whole number, such as 0; of one array element, its int(...)",
        )
    return tensor.astype(uint64)


@surface
def key(seed: Any) -> Tensor:
    """The key of a seed: an int, -2^63 <= seed < 2^64, or an integer tensor without axes. uint64[].

    A negative seed stands for its 64 bits. Raises ParameterError for larger ones, DTypeError for
    what is no integer.
    """
    return _word_of("key", "the seed", seed)


@surface
def split(key: Tensor, n: Size = 2) -> Tensor:
    """n new keys, independent of each other and of what is drawn from `key`: uint64[n].

    n: an int or a symbolic size. The first keys do not depend on n.

    >>> weights_key, noise_key = gc.random.split(gc.random.key(0))
    """
    parent = bitwise_xor(checked_key("split", key), as_word(SPLIT_TWEAK))
    return Draws(parent).bits(sizes_of("split", n), uint64)


@surface
def fold_in(key: Tensor, data: Any) -> Tensor:
    """A new key from a key and a number, such as the number of a step or layer: uint64[].

    data: an int or an integer tensor without axes, as the seed of `key`.
    """
    parent = bitwise_xor(checked_key("fold_in", key), as_word(FOLD_TWEAK))
    return random_bits(parent, _word_of("fold_in", "data", data), (), uint64)


@surface
def bits(key: Key, shape: ShapeLike = (), dtype: Any = uint32) -> Tensor:
    """Uniform bits. dtype: uint8, uint16, uint32 or uint64. Raises DTypeError for others."""
    target = as_dtype(dtype)
    if target not in unsigned_dtypes:
        raise DTypeError(
            f"bits: not for {target.name}",
            code="E214",
            details=["allowed: uint8, uint16, uint32, uint64"],
            source=current_source(),
            fix="gc.random.integers has all integer dtypes",
        )
    sizes = sizes_of("bits", shape)
    drawn = draws_of("bits", key).bits(sizes, uint64 if target == uint64 else uint32)
    return drawn.astype(target)
