"""Distinct elements against numpy: padded to a size, or trimmed at the call."""

import numpy as np
import pytest

import graphc as gc

BACKENDS = ("reference", "interpreter", "llvm")
TABLES = [
    np.array([[3, 1, 3], [0, -1, 1]], np.float32),
    np.array([[np.nan, 2, np.nan], [2, 2, 1]], np.float32),
    np.zeros((2, 3), np.float32),
    np.zeros((0, 3), np.float32),
]


def distinct(x: np.ndarray) -> tuple[np.ndarray, ...]:
    return np.unique(x, return_index=True, return_inverse=True, return_counts=True, equal_nan=False)


@pytest.mark.parametrize("backend", BACKENDS)
def test_trimmed_at_the_call(backend: str) -> None:
    x = gc.placeholder("x", ("n", 3))
    f = gc.function([x], [gc.unique_all(x), gc.unique_values(x)], backend=backend)
    for table in TABLES:
        every, values = f(table)
        for one, other in zip(every, distinct(table), strict=True):
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype
        np.testing.assert_array_equal(values, every.values)


@pytest.mark.parametrize("backend", BACKENDS)
def test_padded_to_a_size(backend: str) -> None:
    x = gc.placeholder("x", ("n", 3))
    sizes = (0, 2, 8)
    outputs = [gc.unique_all(x, size=size, fill_value=9) for size in sizes]
    f = gc.function([x], outputs, backend=backend)
    for table in TABLES:
        values, indices, inverse, counts = distinct(table)
        for size, found in zip(sizes, f(table), strict=True):
            behind = np.zeros(size, int)
            held = np.concatenate([values, behind + 9])[:size]
            np.testing.assert_array_equal(found.values, held)
            np.testing.assert_array_equal(found.indices, np.concatenate([indices, behind])[:size])
            np.testing.assert_array_equal(found.inverse_indices, inverse)
            np.testing.assert_array_equal(found.counts, np.concatenate([counts, behind])[:size])


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "float64"])
def test_dtypes(dtype: str) -> None:
    x = gc.placeholder("x", ("n",), dtype)
    f = gc.function([x], [gc.unique_counts(x), gc.unique_inverse(x, size=3)])
    held = np.array([1, 0, 1, 1]).astype(dtype)
    (values, counts), inverse = f(held)
    assert values.dtype == inverse.values.dtype == held.dtype
    np.testing.assert_array_equal(values, [0, 1])
    np.testing.assert_array_equal(counts, [1, 3])
    np.testing.assert_array_equal(inverse.values, [0, 1, 0])
    np.testing.assert_array_equal(values[inverse.inverse_indices], held)


def test_the_gradient_goes_to_the_first_of_equals() -> None:
    x = gc.placeholder("x", ("n",))
    weighed = gc.unique_values(x, size=3) * gc.arange(1.0, 4.0)
    f = gc.function([x], gc.grad(gc.sum(weighed), x))
    np.testing.assert_array_equal(f([3, 1, 3, 2]), [3, 1, 0, 2])


@pytest.mark.parametrize("dtype", ["int32", "float32", "bool"])
@pytest.mark.parametrize("count", [0, 1, 5])
def test_isin(dtype: str, count: int) -> None:
    rng = np.random.default_rng(count)
    x, others = rng.integers(0, 9, (3, 4)).astype(dtype), rng.integers(0, 9, count).astype(dtype)
    if dtype == "float32":
        x[0, :2] = np.nan, np.inf
        others = np.concatenate([others, np.array([np.nan, -np.inf], dtype)]) if count else others
    one = gc.placeholder("x", ("n", 4), dtype)
    for other in (gc.placeholder("o", ("m",), dtype), gc.placeholder("o", others.shape, dtype)):
        both = [gc.isin(one, other), gc.isin(one, other, invert=True)]
        f = gc.function([one, other], both, on_unused_input="ignore")
        found, inverted = f(x, others)
        np.testing.assert_array_equal(found, np.isin(x, others))
        np.testing.assert_array_equal(inverted, ~np.isin(x, others))
