"""Bits and shifts against numpy, in every integer dtype."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.errors import DTypeError

Compute = Callable[..., Any]


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8", "uint32", "bool"])
def test_bits(compute: Compute, dtype: str) -> None:
    rng = np.random.default_rng(0)
    x, y = (rng.integers(0, 2 if dtype == "bool" else 120, 9).astype(dtype) for _ in range(2))
    both, either, one, flipped = compute(lambda x, y: (x & y, x | y, x ^ y, ~x), x, y)
    np.testing.assert_array_equal(both, x & y)
    np.testing.assert_array_equal(either, x | y)
    np.testing.assert_array_equal(one, x ^ y)
    np.testing.assert_array_equal(flipped, ~x)
    assert both.dtype == flipped.dtype == x.dtype


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8", "uint64"])
def test_shifts_of_any_count(compute: Compute, dtype: str) -> None:
    """Counts outside of the width move every bit out, as in numpy."""
    bits = np.iinfo(dtype).bits
    values = np.array([1, 100] + ([] if dtype.startswith("u") else [-100]), dtype)
    counts = np.array([0, 1, bits - 1, bits, bits + 1], dtype)
    x, y = (a.copy() for a in np.broadcast_arrays(values[:, None], counts))
    left, right = compute(lambda x, y: (x << y, x >> y), x, y)
    np.testing.assert_array_equal(left, x << y)
    np.testing.assert_array_equal(right, x >> y)


def test_floats_have_no_bits_here() -> None:
    x = gc.placeholder("x", (3,))
    builds: list[Callable[[Any], Any]] = [lambda x: x & 1, lambda x: ~x, lambda x: x << 1]
    for build in builds:
        with pytest.raises(DTypeError, match="not for float32") as caught:
            build(x)
        assert "test_bitwise.py:" in str(caught.value)
