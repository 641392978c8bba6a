"""Philox4x32-10: published vectors, the layout of arrays, equal bits on every backend."""

import numpy as np
import pytest

import graphc as gc
from graphc.backends.reference.interpreter import evaluate_tensors
from graphc.errors import DTypeError, ShapeError
from graphc.ir.registry import BUILDER
from graphc.ops.random_bits import philox, philox_words, random_bits

# From the file kat_vectors of Random123, the authors' own implementation: philox4x32 10
VECTORS = [
    (
        (0, 0, 0, 0),
        (0, 0),
        (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8),
    ),
    (
        (0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF),
        (0xFFFFFFFF, 0xFFFFFFFF),
        (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
    ),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]
KEY, OFFSET = 0x9F3C_0000_1234_5678, 0x8000_0001_0000_0003
BACKENDS = ("interpreter", "llvm", "numba_cpu")


def word_pair(high: int, low: int) -> gc.Tensor:
    return gc.constant(np.uint64(high << 32 | low))


def drawn(
    shape: tuple[int, ...],
    dtype: str = "uint32",
    key: int = KEY,
    offset: int = OFFSET,
    backend: str = "reference",
) -> np.ndarray:
    tensor = random_bits(
        gc.constant(np.uint64(key)), gc.constant(np.uint64(offset)), shape, np.dtype(dtype)
    )
    value: np.ndarray = gc.function([], tensor, backend=backend)()
    return value


@pytest.mark.parametrize(("counter", "key", "expected"), VECTORS)
def test_published_vectors_by_the_reference(
    counter: tuple[int, ...], key: tuple[int, int], expected: tuple[int, ...]
) -> None:
    words = philox_words([np.array([c], np.uint64) for c in counter], key[1] << 32 | key[0])
    assert tuple(int(word[0]) for word in words) == expected


@pytest.mark.parametrize("backend", ["reference", "interpreter", "llvm"])
@pytest.mark.parametrize(("counter", "key", "expected"), VECTORS)
def test_published_vectors_by_the_rounds(
    counter: tuple[int, ...], key: tuple[int, int], expected: tuple[int, ...], backend: str
) -> None:
    inputs = [gc.placeholder(name, (), "uint64") for name in ("a", "c", "key")]
    halves = philox(BUILDER, *inputs)
    values = (counter[0] << 32 | counter[1], counter[2] << 32 | counter[3], key[1] << 32 | key[0])
    found = gc.function(inputs, list(halves), backend=backend)(*map(np.uint64, values))
    assert [int(half) for half in found] == [
        expected[0] << 32 | expected[1],
        expected[2] << 32 | expected[3],
    ]


def test_words_of_a_block_are_16_elements_apart() -> None:
    first = drawn((64,), key=0, offset=0)
    assert tuple(first[::16]) == VECTORS[0][2]
    pairs = drawn((32,), "uint64", key=0, offset=0)
    assert [int(pair) for pair in pairs[::16]] == [0x6627E8D5E169C58D, 0xBC57AC4C9B00DBD8]


def test_block_number_and_offset_are_the_counter() -> None:
    numbers = np.array([16 * 3 + 5], np.uint64)  # block 5 of the fourth chunk
    halves = [np.array([OFFSET >> shift & 0xFFFFFFFF], np.uint64) for shift in (0, 32)]
    words = philox_words([numbers, 0 * numbers, *halves], KEY)
    found = drawn((300,))
    assert [int(found[64 * 3 + 16 * w + 5]) for w in range(4)] == [int(w[0]) for w in words]


@pytest.mark.parametrize("dtype", ["uint32", "uint64"])
def test_a_longer_array_begins_with_the_shorter_one(dtype: str) -> None:
    whole = drawn((1000,), dtype)
    for size in (0, 1, 15, 16, 17, 63, 64, 65, 999):
        np.testing.assert_array_equal(drawn((size,), dtype), whole[:size])
    np.testing.assert_array_equal(drawn((4, 5, 6), dtype).ravel(), whole[:120])
    assert drawn((), dtype) == whole[0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_bits_are_those_of_the_reference(backend: str) -> None:
    """One compiled function for all sizes, keys and offsets."""
    x = gc.placeholder("x", ("n", "m"))
    key, offset = (gc.placeholder(name, (), "uint64") for name in ("key", "offset"))
    outputs = [random_bits(key, offset, x.shape, np.dtype(d)) for d in ("uint32", "uint64")]
    run = gc.function(
        [key, offset, x], outputs, backend=backend, on_unused_input="ignore", check=True
    )
    for shape in ((0, 3), (1, 1), (9, 17), (2, 32)):
        for number in (0, KEY, 2**64 - 1):
            words = (np.asarray(w, np.uint64) for w in (number, number ^ OFFSET))
            feeds: tuple[np.ndarray, ...] = (*words, np.zeros(shape, np.float32))
            found = run(*feeds)
            expected = evaluate_tensors(
                outputs,
                dict(zip((key, offset, x), feeds, strict=True)),
                {"n": shape[0], "m": shape[1]},
            )
            for one, other in zip(found, expected, strict=True):
                assert one.dtype == other.dtype
                np.testing.assert_array_equal(one, other)


def test_every_bit_is_fair_and_neighbours_are_independent() -> None:
    bits = np.unpackbits(drawn((1 << 16,), backend="llvm").view(np.uint8)).astype(np.int8)
    signs = 1.0 - 2.0 * bits.reshape(-1, 32)
    deviations = signs.mean(axis=0) * np.sqrt(len(signs))  # standard normal, all 32
    assert np.abs(deviations).max() < 4
    flat = signs.ravel()
    for distance in (1, 16, 32, 64, 512, 2048):
        correlation = (flat[distance:] * flat[:-distance]).mean() * np.sqrt(flat.size - distance)
        assert abs(correlation) < 4


def test_other_keys_and_offsets_have_other_bits() -> None:
    arrays = [
        drawn((256,), key=key, offset=offset)
        for key in (0, 1, 1 << 32)
        for offset in (0, 1, 1 << 32)
    ]
    for number, one in enumerate(arrays):
        for other in arrays[:number]:
            assert (one == other).mean() < 0.02


def test_generator_runs_once_for_many_readers() -> None:
    key, offset = (gc.placeholder(name, (), "uint64") for name in ("key", "offset"))
    bits = random_bits(key, offset, (64, 64), np.dtype("uint64"))
    number = bits.astype("float32")
    run = gc.function([key, offset], [gc.sum(number, axis=0), gc.max(number, axis=1), number * 2])
    assert run.stages.program is not None
    comments = [kernel.comment for kernel in run.stages.program.kernels]
    assert sum("= philox_round(" in comment for comment in comments) == 1
    assert (
        sum("philox" in comment for comment in comments) == 2
    )  # the other one puts words in order


def test_inputs_are_scalars_of_uint64() -> None:
    good = gc.constant(np.uint64(0))
    with pytest.raises(DTypeError, match="input 0 is int64"):
        random_bits(gc.constant(1), good, (3,))
    with pytest.raises(ShapeError, match="input 1 has the shape"):
        random_bits(good, gc.constant(np.zeros(2, np.uint64)), (3,))
