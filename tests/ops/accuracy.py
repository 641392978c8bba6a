"""Elementwise functions against mpmath in 50 digits, on wide ranges of arguments."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import mpmath as mp
import numpy as np

import graphc as gc

LIMITS = {"float64": 1e-13, "float32": 2e-6}
COUNT = 60  # arguments of a range


def uniform(low: float, high: float) -> np.ndarray:
    return np.random.default_rng(7).uniform(low, high, COUNT)


def logarithmic(low: float, high: float) -> np.ndarray:
    return np.exp(np.random.default_rng(8).uniform(np.log(low), np.log(high), COUNT))


def both_signs(values: np.ndarray) -> np.ndarray:
    return np.concatenate([values, -values])


def ranges(*parts: np.ndarray) -> np.ndarray:
    return np.concatenate(parts)


def value_of(build: Callable[..., Any], *arrays: np.ndarray, backend: str = "llvm") -> np.ndarray:
    """build(*placeholders) at the arrays, whose length is symbolic."""
    dtypes = tuple(array.dtype for array in arrays)
    value: np.ndarray = compiled(build, dtypes, backend)(*arrays)
    return value


@lru_cache(8)
def compiled(build: Callable[..., Any], dtypes: tuple[np.dtype[Any], ...], backend: str) -> Any:
    """A test asks for the same function with many arguments."""
    inputs = [gc.placeholder(f"x{n}", ("n",), dtype) for n, dtype in enumerate(dtypes)]
    return gc.function(inputs, build(*inputs), backend=backend)


def largest_error(
    build: Callable[..., Any], oracle: Callable[..., Any], dtype: str, *arguments: np.ndarray
) -> float:
    """The largest relative error; infinite where overflow and underflow are not those of the
    oracle. A result below the normal numbers need only be small."""
    with np.errstate(over="ignore", under="ignore"):
        arrays = [array.astype(dtype) for array in arguments]
    found = value_of(build, *arrays)
    assert found.dtype == dtype
    smallest, largest = float(np.finfo(dtype).tiny), float(np.finfo(dtype).max)
    worst = 0.0
    with mp.workdps(50):
        for value, *point in zip(found.tolist(), *arrays, strict=True):
            expected = mp.mpf(oracle(*(mp.mpf(float(x)) for x in point)))
            if abs(expected) > largest:
                right = np.isinf(value) and (value > 0) == (expected > 0)
                worst = max(worst, 0.0 if right else np.inf)
            elif abs(expected) < smallest:
                worst = max(worst, 0.0 if abs(value) < 2 * smallest else np.inf)
            else:
                error = abs((mp.mpf(value) - expected) / expected)
                worst = max(worst, float(error) if np.isfinite(value) else np.inf)
    return worst


def assert_accurate(
    build: Callable[..., Any], oracle: Callable[..., Any], *arguments: np.ndarray
) -> None:
    for dtype, limit in LIMITS.items():
        error = largest_error(build, oracle, dtype, *arguments)
        assert error <= limit, f"{dtype}: relative error {error:.3g}"


def assert_values(
    build: Callable[..., Any], cases: Sequence[tuple[float, float]], backend: str = "llvm"
) -> None:
    """Exact values at pairs (argument, value), NaN and signs of zero included."""
    for dtype in LIMITS:
        with np.errstate(over="ignore", under="ignore"):
            x, expected = np.array(cases).T.astype(dtype).copy()
        found = value_of(build, x, backend=backend)
        np.testing.assert_array_equal(found, expected)
        zeros = expected == 0
        np.testing.assert_array_equal(np.signbit(found[zeros]), np.signbit(expected[zeros]))


def gradient_at(build: Callable[..., Any], x: list[float], dtype: str = "float64") -> np.ndarray:
    """The derivative at each point of x, by the reference."""
    point = gc.placeholder("x", (len(x),), dtype)
    gradient = gc.grad(gc.sum(build(point)), point)
    value: np.ndarray = gc.function([point], gradient, backend="reference")(np.array(x, dtype))
    return value


def assert_second_derivative(build: Callable[..., Any], x: np.ndarray) -> None:
    """verify_grad on the function and on its gradient."""
    gc.verify_grad(build, [x])
    gc.verify_grad(lambda t: gc.grad(gc.sum(build(t)), t), [x], rtol=3e-5)
