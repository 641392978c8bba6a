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


FLOATS = [0.0, -0.0, 1.5, -2.25, np.inf, -np.inf, 6e-8, -3e-5, 1e-310, 65504.0, 1e300]


@pytest.mark.parametrize("backend", ["reference", "interpreter", "llvm", "numba_cpu"])
@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("float64", "int64"),
        ("float64", "uint64"),
        ("float32", "int32"),
        ("float32", "uint32"),
        ("float16", "uint16"),
        ("float16", "int16"),
        ("bfloat16", "uint16"),
        ("int32", "uint32"),
        ("uint8", "int8"),
        ("float16", "bfloat16"),
    ],
)
def test_bitcast(backend: str, source: str, target: str) -> None:
    """There and back, beside numpy's view; with something else done to the bits in the kernel."""
    one, other = gc.dtypes.as_dtype(source), gc.dtypes.as_dtype(target)
    with np.errstate(all="ignore"):
        values = np.array(FLOATS * 3).astype(one)
    x = gc.placeholder("x", ("n",), source)
    there = gc.bitcast(x, target)
    assert there.dtype == other
    f = gc.function([x], [there, gc.bitcast(there, source)], backend=backend)
    found, back = f(values)
    word = f"u{one.itemsize}"
    np.testing.assert_array_equal(found.view(word), values.view(word))
    np.testing.assert_array_equal(back.view(word), values.view(word))


def test_bitcast_in_a_kernel(compute: Compute) -> None:
    """The trick of the fast inverse square root."""
    x = np.linspace(0.1, 9, 37).astype("float32")
    found = compute(lambda x: gc.bitcast(0x5F3759DF - (gc.bitcast(x, "int32") >> 1), "float32"), x)
    np.testing.assert_allclose(found, 1 / np.sqrt(x), rtol=0.04)
    np.testing.assert_array_equal(found, (0x5F3759DF - (x.view("int32") >> 1)).view("float32"))


@pytest.mark.parametrize(
    ("source", "target", "text"),
    [
        ("float32", "int64", "widths"),
        ("bool", "uint8", "not for bool"),
        ("float64", "complex64", "not for complex64"),
    ],
)
def test_bitcast_refuses(source: str, target: str, text: str) -> None:
    x = gc.placeholder("x", (3,), source)
    with pytest.raises(DTypeError, match=text) as caught:
        gc.bitcast(x, target)
    assert "test_bitwise.py" in str(caught.value)


def test_bitcast_has_no_derivative() -> None:
    x = gc.placeholder("x", (3,))
    with pytest.raises(gc.GraphcError, match="bitcast"):
        gc.grad(gc.sum(gc.bitcast(gc.bitcast(x, "int32"), "float32")), x)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "uint32", "int64", "uint64"])
def test_bitwise_count(compute: Compute, dtype: str) -> None:
    ends = np.iinfo(dtype)
    x = np.random.default_rng(0).integers(ends.min, ends.max, 40, dtype=dtype, endpoint=True)
    x[:3] = ends.min, ends.max, 0
    found = compute(gc.bitwise_count, x)
    np.testing.assert_array_equal(found, np.bitwise_count(x))
    assert found.dtype == "uint8"
