"""Running sums, products and extrema: neighbours in a row are combined before what came before."""

import sys
from collections.abc import Iterator

import numpy as np
import pytest

import graphc as gc
from graphc.ir.tensor import Tensor
from tests.backends.llvm.fences import Fenced

LENGTHS = [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 127, 1021]
BUILD = (gc.cumulative_sum, gc.cumulative_max, gc.cumulative_min, gc.cumulative_prod)
EXPECTED = (np.cumsum, np.maximum.accumulate, np.minimum.accumulate, np.cumprod)


def running(x: Tensor, axis: int, reverse: bool) -> list[Tensor]:
    return [build(x, axis=axis, reverse=reverse) for build in BUILD]


def expected(x: np.ndarray, axis: int, reverse: bool) -> list[np.ndarray]:
    wide = x.astype(np.float64 if x.dtype.kind == "f" else np.int64)
    turned = np.flip(wide, axis) if reverse else wide
    found = [one(turned, axis=axis) for one in EXPECTED]
    return [np.flip(one, axis) if reverse else one for one in found]


def compare(got: list[np.ndarray], x: np.ndarray, axis: int, reverse: bool) -> None:
    for one, wanted in zip(got, expected(x, axis, reverse), strict=True):
        np.testing.assert_allclose(one, wanted, rtol=2e-6 if x.dtype == np.float32 else 1e-12)


@pytest.fixture
def fences() -> Iterator[list[Fenced]]:
    made: list[Fenced] = []
    yield made


def placed(fences: list[Fenced], values: np.ndarray, at_end: bool) -> np.ndarray:
    if values.size == 0:
        return values
    fences.append(Fenced(2 + values.nbytes // 4096))
    return fences[-1].array(values, at_end)


@pytest.mark.skipif(sys.platform == "win32", reason="needs mprotect")
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int8"])
def test_between_fences(dtype: str, axis: int, reverse: bool, fences: list[Fenced]) -> None:
    x = gc.placeholder("x", ("n", "m"), dtype)
    f = gc.function([x], running(x, axis, reverse))
    rng = np.random.default_rng(0)
    for length in LENGTHS:
        for others in (0, 1, 3):
            shape = (others, length) if axis else (length, others)
            values = rng.integers(-1, 3, shape).astype(dtype)
            empty = [one.astype(got.dtype) for one, got in zip(
                expected(values, axis, reverse), f(values), strict=True
            )]  # fmt: skip
            for at_end in (True, False):
                out = [placed(fences, np.zeros_like(one), at_end) for one in empty]
                f(placed(fences, values, at_end), out=out)
                compare(out, values, axis, reverse)
            del fences[:]


@pytest.mark.parametrize("shape", [(3, 1), (2, 5), (1, 8), (3, 13), (2, 16), (1, 67), (3, 600)])
@pytest.mark.parametrize("reverse", [False, True])
def test_known_sizes(shape: tuple[int, int], reverse: bool) -> None:
    values = np.random.default_rng(1).uniform(0.5, 1.5, shape).astype(np.float32)
    x = gc.placeholder("x", shape)
    for axis in (0, 1):
        compare(gc.function([x], running(x, axis, reverse))(values), values, axis, reverse)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_long_rows_of_every_float(dtype: str) -> None:
    """Elements of two bytes are combined in two halves of an iteration: nothing may lie between."""
    x = gc.placeholder("x", ("m",), dtype)
    found = gc.function([x], [gc.cumulative_min(x), gc.cumulative_max(x)])
    values = np.random.default_rng(4).normal(size=5000).astype(gc.as_dtype(dtype))
    low, high = found(values)
    np.testing.assert_array_equal(low, np.minimum.accumulate(values))
    np.testing.assert_array_equal(high, np.maximum.accumulate(values))


def test_columns_in_tiles() -> None:
    x = gc.placeholder("x", ("a", "n", "m"))
    f = gc.function([x], running(x, 1, False))
    for shape in ((2, 3, 511), (1, 2, 512), (2, 5, 513), (1, 3, 1201), (2, 0, 5), (2, 1, 17)):
        values = np.random.default_rng(1).uniform(0.5, 1.5, shape).astype(np.float32)
        compare(f(values), values, 1, False)


def test_infinities_and_nan() -> None:
    x = gc.placeholder("x", ("n", "m"), "float64")
    f = gc.function([x], running(x, 1, False))
    values = np.ones((4, 40))
    values[0, 17], values[1, 3], values[1, 20] = np.nan, np.inf, -np.inf
    values[2, :] = -0.0
    with np.errstate(invalid="ignore"):
        compare(f(values), values, 1, False)


@pytest.mark.parametrize("backend", ["interpreter", "llvm", "numba_cpu", "reference"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_sums_keep_the_sign_of_zeros(dtype: str, backend: str) -> None:
    """As numpy does, which begins with the first element."""
    values = np.full((3, 40), -0.0, dtype)
    values[1, 20], values[2, 0] = 0.0, 0.0
    x = gc.placeholder("x", ("n", "m"), dtype)
    for axis in (0, 1):
        found = gc.function([x], gc.cumulative_sum(x, axis=axis), backend=backend)(values)
        wanted = np.cumsum(values, axis=axis)
        np.testing.assert_array_equal(np.signbit(found), np.signbit(wanted))


def test_products_that_would_overflow_without_what_came_before() -> None:
    """Neighbours alone leave the range of float64, the products of all do not."""
    x = gc.placeholder("x", ("m",), "float64")
    f = gc.function([x], gc.cumulative_prod(x))
    values = np.array([1e-200, 1e200, 1e200, 1e-100, 1e-300, 1e-150, 1e150, 1e250, 1.0])
    np.testing.assert_allclose(f(values), np.cumprod(values), rtol=1e-12)
    x = gc.placeholder("x", ("m",))
    values = np.array([1e38, 1e38, 1e-38, 1e-38, *[1e-45] * 4, *[3e38] * 4], np.float32)
    with np.errstate(over="ignore"):
        wanted = np.cumprod(values.astype(np.float64)).astype(np.float32)
    np.testing.assert_allclose(gc.function([x], gc.cumulative_prod(x))(values), wanted, rtol=1e-6)


@pytest.mark.parametrize("axis", [0, 1])
def test_logarithms_of_sums(axis: int) -> None:
    x = gc.placeholder("x", ("n", "m"))
    f = gc.function([x], gc.cumulative_logsumexp(x, axis=axis))
    for shape in ((1, 9), (5, 7), (31, 3), (32, 4), (33, 5), (70, 2), (0, 3)):
        values = np.random.default_rng(2).normal(0, 100, shape).astype(np.float32)
        wanted = np.logaddexp.accumulate(values.astype(np.float64), axis=axis)
        np.testing.assert_allclose(f(values), wanted, rtol=1e-6)


def test_bits_do_not_depend_on_threads() -> None:
    x = gc.placeholder("x", ("n", "m"))
    values = np.random.default_rng(3).normal(size=(700, 1021)).astype(np.float32)
    for axis in (0, 1):
        alone, shared = (
            gc.function([x], running(x, axis, False), threads=threads)(values) for threads in (1, 2)
        )
        for one, other in zip(alone, shared, strict=True):
            np.testing.assert_array_equal(one, other)
