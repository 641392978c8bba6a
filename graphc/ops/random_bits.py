"""Random bits: Philox4x32-10, the counter-based generator of Salmon et al., "Parallel random
numbers: as easy as 1, 2, 3" (2011).

A block is a function of a 64-bit key and a 128-bit counter, and has four words of 32 bits. Counter
words 0 and 1 are the number of the block in its array, words 2 and 3 the offset. So equal (key,
offset, shape) give equal bits, and arrays of different offsets never share a block.

Elements are numbered in row-major order and laid out in chunks of 16 blocks, so that the lanes of
a vector register run 16 generators side by side and every word is used:

    uint32   element 64 c + 16 w + l   has word w of block 16 c + l
    uint64   element 32 c + 16 w + l   has words 2 w (high half) and 2 w + 1 of block 16 c + l

What an element holds does not depend on the size: a longer array begins with the shorter one.

In the graph a block is two 64-bit numbers a = c0 c1 and b = c2 c3, high half first. A round is then

    a' = (b >> 32) * M1  ^  a << 32  ^  k0 << 32
    b' = (a >> 32) * M0  ^  b << 32  ^  k1 << 32
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.dtypes import DType, uint32, uint64
from graphc.errors import DTypeError, ShapeError
from graphc.ir.batch import Batch
from graphc.ir.lowering import Composite, Elementwise, IndexMap, LoweringContext
from graphc.ir.node import Attributes, TensorType
from graphc.ir.opdef import Example, Generator, Inference, OpDef
from graphc.ir.registry import BUILDER, Builder, register
from graphc.ir.tensor import Tensor
from graphc.scalar import expr as s
from graphc.scalar.expr import Expr, Index
from graphc.shapes import Shape, Size, ceil_div, format_shape, size_product

__all__: list[str] = []

ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)  # M0, M1
INCREMENTS = (0x9E3779B9, 0xBB67AE85)  # what the two halves of the key grow by each round
LANES = 16
LOW, HALF = 0xFFFFFFFF, 32

_NO_DERIVATIVE = frozenset({"nondifferentiable"})


def _require(call: Inference, number: int, dtype: DType, ndim: int) -> None:
    """Input `number` has this dtype and rank."""
    given = call.types[number]
    if given.dtype != dtype:
        raise DTypeError(f"{call.op}: input {number} is {given.dtype.name}, not {dtype.name}")
    if given.ndim != ndim:
        raise ShapeError(
            f"{call.op}: input {number} has the shape {format_shape(given.shape)}, not {ndim} axes"
        )


# --- counters -----------------------------------------------------------------------------------


def _lower_counters(context: LoweringContext, index: tuple[Expr, ...]) -> Expr:
    number = s.cast(index[0], uint64)
    half = s.like(number, HALF)
    return s.or_(s.shl(number, half), s.shr(number, half))


def _counters_reference(attrs: Attributes) -> np.ndarray:
    numbers = np.arange(attrs["count"], dtype=uint64)
    return np.asarray(numbers << uint64.type(HALF) | numbers >> uint64.type(HALF))


def _counters_examples(rng: Generator) -> list[Example]:
    return [
        Example(lambda x: COUNTERS(count=x.shape[0]), (np.zeros(size),), differentiable=False)
        for size in (0, 1, 37)
    ]


COUNTERS = register(
    OpDef(
        "philox_counters",
        infer=lambda call: TensorType(uint64, (call.attrs["count"],)),
        reference=_counters_reference,
        lower=IndexMap(_lower_counters),
        traits=_NO_DERIVATIVE,
        examples=_counters_examples,
    )
)

# --- rounds -------------------------------------------------------------------------------------


def _infer_round(call: Inference) -> TensorType:
    for number in range(3):
        _require(call, number, uint64, call.types[number].ndim)
    return TensorType(uint64, call.broadcast())


def _round_key(attrs: Attributes) -> int:
    """What the key, in the high half, has grown by before this round."""
    number: int = attrs["round"]
    return (number * INCREMENTS[attrs["half"]] << HALF) % (1 << 64)


def _lower_round(context: LoweringContext, this: Expr, other: Expr, key: Expr) -> Expr:
    half = s.like(this, HALF)
    product = s.mul(s.shr(other, half), s.like(this, MULTIPLIERS[1 - context.attrs["half"]]))
    grown = s.add(key, s.like(key, _round_key(context.attrs)))
    return s.xor(s.xor(product, s.shl(this, half)), grown)


def _round_reference(
    attrs: Attributes, this: np.ndarray, other: np.ndarray, key: np.ndarray
) -> np.ndarray:
    product = (other >> uint64.type(HALF)) * uint64.type(MULTIPLIERS[1 - attrs["half"]])
    grown = np.add(key, uint64.type(_round_key(attrs)))  # numpy warns where scalars wrap around
    return np.asarray(product ^ (this << uint64.type(HALF)) ^ grown)


def _round_examples(rng: Generator) -> list[Example]:
    def draw(shape: tuple[int, ...]) -> np.ndarray:
        return rng.integers(0, 1 << 64, size=shape, dtype=np.uint64)

    return [
        Example(
            lambda a, b, k, half=half, number=number: ROUND(a, b, k, half=half, round=number),
            (draw(shape), draw(other), draw(())),
            differentiable=False,
        )
        for half, number in ((0, 0), (1, 9))
        for shape, other in (((), ()), ((0,), (0,)), ((5,), (1,)), ((3, 4), (3, 4)))
    ]


# One half of a round. this: the half that is computed anew, other: the other one, key: its half of
# the key, in the high half of the number. half: 0 for a, 1 for b.
ROUND = register(
    OpDef(
        "philox_round",
        infer=_infer_round,
        reference=_round_reference,
        lower=Elementwise(_lower_round),
        traits=frozenset({"elementwise", "nondifferentiable"}),
        examples=_round_examples,
    )
)

# --- words --------------------------------------------------------------------------------------


def _words_per_block(dtype: DType) -> int:
    return 4 if dtype == uint32 else 2


def _infer_words(call: Inference) -> TensorType:
    for number in range(2):
        _require(call, number, uint64, 2)
    left, right = call.types
    for one, other in zip(left.shape, right.shape, strict=True):
        call.require_equal(one, other, "the halves of the blocks differ in shape")
    dtype: DType = call.attrs["dtype"]
    return TensorType(dtype, (left.shape[0], _words_per_block(dtype), left.shape[1]))


def _lower_words(context: LoweringContext, index: tuple[Expr, ...]) -> Expr:
    chunk, word, lane = index
    a, b = (context.read(number, (chunk, lane)) for number in range(2))
    if context.output.dtype == uint64:
        return s.select(s.lt(word, Index(1)), a, b)
    pair = s.select(s.lt(word, Index(2)), a, b)
    high = s.or_(s.eq(word, Index(0)), s.eq(word, Index(2)))
    return s.cast(s.select(high, s.shr(pair, s.like(pair, HALF)), pair), uint32)


def _words_reference(attrs: Attributes, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    half = uint64.type(HALF)
    words = [a, b] if attrs["dtype"] == uint64 else [a >> half, a, b >> half, b]
    return np.stack(words, axis=1).astype(attrs["dtype"])


def _words_examples(rng: Generator) -> list[Example]:
    return [
        Example(
            lambda a, b, dtype=dtype: WORDS(a, b, dtype=dtype),
            tuple(rng.integers(0, 1 << 64, size=shape, dtype=np.uint64) for _ in range(2)),
            differentiable=False,
        )
        for dtype in (uint32, uint64)
        for shape in ((0, 16), (1, 16), (3, 16), (2, 1))
    ]


WORDS = register(
    OpDef(
        "philox_words",
        infer=_infer_words,
        reference=_words_reference,
        lower=IndexMap(_lower_words),
        traits=_NO_DERIVATIVE,
        examples=_words_examples,
    )
)

# --- the first elements in another shape ----------------------------------------------------------


def _lower_leading(context: LoweringContext, index: tuple[Expr, ...]) -> Expr:
    position: Expr = Index(0)
    for size, item in zip(context.output.shape, index, strict=True):
        position = s.add(s.mul(position, Index(size)), item)
    return context.read(0, (position,))


def _leading_reference(attrs: Attributes, x: np.ndarray) -> np.ndarray:
    return x[: math.prod(attrs["shape"])].reshape(attrs["shape"])


def _leading_examples(rng: Generator) -> list[Example]:
    return [
        Example(
            lambda x, shape=shape: LEADING(x, shape=shape),
            (rng.normal(size=size),),
            differentiable=False,
        )
        for size, shape in ((1, ()), (7, ()), (0, (0, 3)), (7, (2, 3)), (24, (2, 3, 4)))
    ]


# The input must have at least as many elements as the shape.
LEADING = register(
    OpDef(
        "leading_elements",
        infer=lambda call: TensorType(call.types[0].dtype, call.attrs["shape"]),
        reference=_leading_reference,
        lower=IndexMap(_lower_leading),
        traits=_NO_DERIVATIVE,
        examples=_leading_examples,
    )
)

# --- random bits ----------------------------------------------------------------------------------


def _infer_bits(call: Inference) -> TensorType:
    for number in range(2):
        _require(call, number, uint64, 0)
    return TensorType(call.attrs["dtype"], call.attrs["shape"])


def philox_words(counter: Sequence[np.ndarray], key: int) -> list[np.ndarray]:
    """The four words of blocks, as the paper states it. counter: four words, uint64 arrays."""
    mask, half = uint64.type(LOW), uint64.type(HALF)
    words, keys = list(counter), [key & LOW, key >> HALF & LOW]
    for _ in range(ROUNDS):
        left = words[0] * uint64.type(MULTIPLIERS[0])
        right = words[2] * uint64.type(MULTIPLIERS[1])
        words = [
            (right >> half) ^ words[1] ^ uint64.type(keys[0]),
            right & mask,
            (left >> half) ^ words[3] ^ uint64.type(keys[1]),
            left & mask,
        ]
        keys = [(k + step) & LOW for k, step in zip(keys, INCREMENTS, strict=True)]
    return words


def _bits_reference(attrs: Attributes, key: np.ndarray, offset: np.ndarray) -> np.ndarray:
    shape, dtype = attrs["shape"], attrs["dtype"]
    wanted = math.prod(shape)
    chunks = -(-wanted // (LANES * _words_per_block(dtype)))
    half, numbers = uint64.type(HALF), np.arange(chunks * LANES, dtype=uint64)
    counter = [numbers & uint64.type(LOW), numbers >> half]
    counter += [np.full_like(numbers, int(offset) >> shift & LOW) for shift in (0, HALF)]
    words = philox_words(counter, int(key))
    if dtype == uint64:
        words = [words[0] << half | words[1], words[2] << half | words[3]]
    in_chunks = np.stack([word.reshape(chunks, LANES) for word in words], axis=1)
    return in_chunks.ravel()[:wanted].reshape(shape).astype(dtype)


def philox(b: Builder, a: Tensor, c: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
    """The two halves of blocks, words 0 1 and words 2 3, from those of their counters."""
    low_key = b.bitwise_left_shift(key, b.as_tensor(HALF, uint64))
    high_key = b.bitwise_and(key, b.as_tensor(LOW << HALF, uint64))
    for number in range(ROUNDS):
        a, c = (
            ROUND(a, c, low_key, half=0, round=number),
            ROUND(c, a, high_key, half=1, round=number),
        )
    return a, c


def _turned(b: Builder, offset: Tensor) -> Tensor:
    """An offset with its halves exchanged, as counters have them."""
    half = b.as_tensor(HALF, uint64)
    return b.bitwise_or(b.bitwise_left_shift(offset, half), b.bitwise_right_shift(offset, half))


def _build_bits(b: Builder, key: Tensor, offset: Tensor, shape: Shape, dtype: DType) -> Tensor:
    per_chunk = LANES * _words_per_block(dtype)
    chunks: Size = ceil_div(size_product(shape), per_chunk)
    halves = philox(b, COUNTERS(count=chunks * LANES), _turned(b, offset), key)
    in_chunks = [b.reshape(part, (chunks, LANES)) for part in halves]
    words = b.reshape(WORDS(*in_chunks, dtype=dtype), (chunks * per_chunk,))
    return LEADING(words, shape=shape)


def _batch_bits(batch: Batch) -> Sequence[Tensor]:
    """A row of chunks for each example, cut to the elements that it needs."""
    shape, dtype = batch.attrs["shape"], batch.attrs["dtype"]
    per_chunk = LANES * _words_per_block(dtype)
    wanted, size = size_product(shape), batch.size
    chunks: Size = ceil_div(wanted, per_chunk)
    key, offset = (
        BUILDER.expand_dims(tensor, -1) if batch.mapped(number) else tensor
        for number, tensor in enumerate(batch.inputs)
    )
    halves = philox(BUILDER, COUNTERS(count=chunks * LANES), _turned(BUILDER, offset), key)
    whole = (BUILDER.broadcast_to(part, (size, chunks * LANES)) for part in halves)
    in_chunks = [BUILDER.reshape(part, (size * chunks, LANES)) for part in whole]
    words = BUILDER.reshape(WORDS(*in_chunks, dtype=dtype), (size, chunks * per_chunk))
    return [BUILDER.reshape(BUILDER.slice_within(words, (0, 0), (size, wanted)), (size, *shape))]


def _bits_examples(rng: Generator) -> list[Example]:
    def draw() -> tuple[np.ndarray, ...]:
        return tuple(rng.integers(0, 1 << 64, size=(), dtype=np.uint64) for _ in range(2))

    shapes = ((), (0,), (1,), (5,), (64,), (65,), (2, 0, 3), (13, 11), (2, 3, 4))
    return [
        Example(
            lambda key, offset, x, dtype=dtype: BITS(key, offset, shape=x.shape, dtype=dtype),
            (*draw(), np.zeros(shape)),
            differentiable=False,
        )
        for shape in shapes
        for dtype in (uint32, uint64)
    ]


BITS = register(
    OpDef(
        "random_bits",
        infer=_infer_bits,
        reference=_bits_reference,
        lower=Composite(_build_bits),
        batch=_batch_bits,
        traits=_NO_DERIVATIVE,
        examples=_bits_examples,
    )
)


def random_bits(key: Tensor, offset: Tensor, shape: Shape, dtype: Any = uint32) -> Tensor:
    """Independent uniform bits in an array.

    key, offset: uint64[]. shape: sizes >= 0, symbolic ones too. dtype: uint32 or uint64. Equal
    arguments give equal bits on every backend.
    """
    return BITS(key, offset, shape=shape, dtype=dtype)
