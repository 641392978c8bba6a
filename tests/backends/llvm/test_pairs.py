"""Interleaved parts of complex numbers: one wide load and one wide store for both."""

from typing import Any

import numpy as np
import pytest

import graphc as gc


def numbers(size: int, dtype: str, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=size) + 1j * rng.normal(size=size)).astype(dtype)


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_every_length_of_the_rest(dtype: str) -> None:
    x, y = (gc.placeholder(name, ("n",), dtype) for name in "xy")
    outputs = [x * y, gc.where(gc.real(x) > 0, x, y.conj()), abs(x), gc.sum(x)]
    f = gc.function([x, y], outputs)
    for size in range(40):
        # The arrays end where their memory ends; what lies behind must stay as it is.
        a, b = numbers(size, dtype, 0), numbers(size, dtype, 1)
        product, chosen, length, total = f(a, b)
        np.testing.assert_allclose(product, a * b, rtol=1e-5)
        np.testing.assert_array_equal(chosen, np.where(a.real > 0, a, b.conj()))
        np.testing.assert_allclose(length, np.abs(a), rtol=1e-5)
        np.testing.assert_allclose(total, a.sum(), rtol=1e-5, atol=1e-5)


def test_halves_of_other_strides() -> None:
    """x[1::2] of an odd length ends in half a pair, which must not be read as a whole one."""
    x = gc.placeholder("x", ("n",))
    even, odd = x[::2], x[1::2]
    f = gc.function([x], [even * 2, odd * 2, gc.stack([x, x + 1], axis=-1)])
    for size in (0, 1, 2, 15, 16, 17, 33, 64, 65):
        a = np.arange(size, dtype="float32")
        found = f(a)
        np.testing.assert_array_equal(found[0], a[::2] * 2)
        np.testing.assert_array_equal(found[1], a[1::2] * 2)
        np.testing.assert_array_equal(found[2], np.stack([a, a + 1], axis=-1))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_pairs_of_halves(dtype: str) -> None:
    """They are rounded where they are stored, and interleaved behind that."""
    x, y = gc.placeholder("x", ("n", 2), dtype), gc.placeholder("y", (2, "m"), dtype)
    f = gc.function([x, y], [gc.stack([x[:, 1] * 2, x[:, 0]], axis=-1), y.T + 1])
    for size in (0, 1, 7, 8, 9, 33):
        a = np.arange(2 * size).reshape(size, 2).astype(gc.as_dtype(dtype))
        swapped, turned = f(a, a.T.copy())
        np.testing.assert_array_equal(swapped, a[:, ::-1] * np.array([2, 1], a.dtype))
        np.testing.assert_array_equal(turned, a + np.array(1, a.dtype))


def test_no_lane_is_loaded_or_stored_alone() -> None:
    x, y = (gc.placeholder(name, (64,), "complex64") for name in "xy")
    f = gc.function([x, y], x * y)
    text = f.llvm()
    assert "insertelement" not in text and "extractelement" not in text
    assert "shufflevector" in text
