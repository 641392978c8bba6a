"""Running values against numpy: axes, dtypes, sizes, NaN, ties, derivatives, errors."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.errors import DTypeError, ShapeError
from graphc.gradient_check import verify_grad

NAN, INF = np.nan, np.inf
BACKENDS = ("reference", "interpreter", "llvm", "numba_cpu")
FUNCTIONS: dict[str, Callable[..., np.ndarray]] = {
    "cumulative_sum": np.cumsum,
    "cumulative_prod": np.cumprod,
    "cumulative_max": np.maximum.accumulate,
    "cumulative_min": np.minimum.accumulate,
    "cumulative_logsumexp": np.logaddexp.accumulate,
}


def run(backend: str, build: Callable[[Any], Any], array: np.ndarray, symbolic: bool = True) -> Any:
    shape = (None,) * array.ndim if symbolic else array.shape
    x = gc.placeholder("x", shape, array.dtype)
    return gc.function([x], build(x), backend=backend, check=True)(array)


def expected_of(name: str, array: np.ndarray, axis: int) -> np.ndarray:
    """In float64, rounded once."""
    wide = array.astype(np.float64) if array.dtype.kind == "f" else array
    result = np.asarray(FUNCTIONS[name](wide, axis=axis))
    return result.astype(array.dtype) if array.dtype.kind == "f" else result


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("backend", BACKENDS[:3])
def test_every_axis(backend: str, name: str) -> None:
    rng = np.random.default_rng(0)
    for shape in ((3, 4, 19), (2, 1, 5), (0, 3, 2)):
        array = rng.normal(size=shape).astype(np.float32)
        for axis in range(-3, 3):
            for symbolic in (True, False):
                build = functools.partial(getattr(gc, name), axis=axis)
                found = run(backend, build, array, symbolic)
                expected = expected_of(name, array, axis)
                np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-6, strict=True)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_numba(name: str) -> None:
    array = np.random.default_rng(0).normal(size=(3, 7)).astype(np.float32)
    found = run("numba_cpu", lambda x: [getattr(gc, name)(x, axis=a) for a in (0, 1)], array)
    for axis in (0, 1):
        expected = expected_of(name, array, axis)
        np.testing.assert_allclose(found[axis], expected, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_integers(backend: str) -> None:
    array = np.array([[100, 100, -7], [3, -100, 2]], np.int8)

    def build(x: Any) -> list[Any]:
        return [
            gc.cumulative_sum(x, axis=1),
            gc.cumulative_sum(x, axis=1, dtype="int8"),
            gc.cumulative_prod(x, axis=0, dtype="int16"),
            gc.cumulative_max(x, axis=1),
            gc.cumulative_min(x, axis=0),
        ]

    found = run(backend, build, array)
    expected = [
        np.cumsum(array, 1),
        np.cumsum(array, 1, dtype=np.int8),
        np.cumprod(array, 0, dtype=np.int16),
        np.maximum.accumulate(array, 1),
        np.minimum.accumulate(array, 0),
    ]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other, strict=True)


def test_result_dtypes() -> None:
    def dtype_of(name: str, dtype: str) -> str:
        return str(getattr(gc, name)(gc.placeholder("x", (3,), dtype)).dtype)

    assert dtype_of("cumulative_sum", "bool") == dtype_of("cumulative_prod", "int8") == "int64"
    assert dtype_of("cumulative_sum", "uint8") == "uint64"
    assert dtype_of("cumulative_max", "uint8") == "uint8"
    assert dtype_of("cumulative_logsumexp", "int32") == "float32"
    assert dtype_of("cumulative_sum", "float32") == "float32"


@pytest.mark.parametrize("backend", BACKENDS)
def test_nan_and_infinities(backend: str) -> None:
    array = np.array([[1, 3, NAN, 5], [-INF, -INF, 2, INF], [INF, INF, -INF, 0]], np.float32)
    names = ("cumulative_max", "cumulative_min", "cumulative_logsumexp")
    found = run(backend, lambda x: [getattr(gc, name)(x, axis=1) for name in names], array)
    with np.errstate(all="ignore"):
        for name, result in zip(names, found, strict=True):
            np.testing.assert_allclose(result, expected_of(name, array, 1), rtol=2e-6)


@pytest.mark.parametrize("backend", ["llvm", "reference"])
def test_initial_and_reverse(backend: str) -> None:
    array = np.array([[1.0, 2, 3], [4, 5, 6]])

    def build(x: Any) -> list[Any]:
        return [
            gc.cumulative_sum(x, axis=1, include_initial=True),
            gc.cumulative_prod(x, axis=0, include_initial=True),
            gc.cumulative_sum(x, axis=1, reverse=True),
            gc.cumulative_sum(x, axis=1, reverse=True, include_initial=True),
            gc.cumulative_max(x, axis=1, reverse=True),
            gc.cumulative_logsumexp(x, axis=1, include_initial=True)[:, 0],
        ]

    found = run(backend, build, array)
    expected = [
        [[0, 1, 3, 6], [0, 4, 9, 15]],
        [[1, 1, 1], [1, 2, 3], [4, 10, 18]],
        [[6, 5, 3], [15, 11, 6]],
        [[6, 5, 3, 0], [15, 11, 6, 0]],
        [[3, 3, 3], [6, 6, 6]],
        [-INF, -INF],
    ]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_long_float32_sums_are_accurate() -> None:
    array = np.full(200_000, 0.1, np.float32)
    found = run("llvm", gc.cumulative_sum, array)
    expected = np.cumsum(array, dtype=np.float64)
    np.testing.assert_allclose(found, expected, rtol=2e-7)


def test_logsumexp_of_large_numbers() -> None:
    array = np.array([1000.0, 1001.0, -1000.0, 999.0])
    found = run("llvm", lambda x: [gc.cumulative_logsumexp(x)], array)[0]
    np.testing.assert_allclose(found, np.logaddexp.accumulate(array), rtol=1e-15)
    x = gc.placeholder("x", (4,), "float64")
    slope = gc.grad(gc.cumulative_logsumexp(x)[-1], x)
    softmax = np.exp(array - 1001) / np.exp(array - 1001).sum()
    found = gc.function([x], slope, backend="llvm")(array)
    np.testing.assert_allclose(found, softmax, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("backend", ["llvm", "interpreter"])
def test_extrema_give_their_gradient_to_the_first_of_equals(backend: str) -> None:
    array = np.array([2.0, 2, 1, 3, 3, 0])

    def slopes(x: Any) -> list[Any]:
        weights = gc.constant(10.0 ** np.arange(6))
        costs = [
            gc.sum(weights * gc.cumulative_max(x)),
            gc.sum(weights * gc.cumulative_max(x, reverse=True)),
        ]
        return [gc.grad(cost, x) for cost in costs]

    forward, back = run(backend, slopes, array)
    np.testing.assert_array_equal(forward, [111, 0, 0, 111000, 0, 0])
    np.testing.assert_array_equal(back, [0, 0, 0, 0, 11111, 100000])


def test_derivatives_of_products_with_zeros() -> None:
    for values in ([2.0, 0, 3, -1], [0.0, 2, 3, 0], [1.5, 0, 0, 2], [0.0, 0, 1, 2]):
        verify_grad(gc.cumulative_prod, [np.array(values)])
    for values in ([2.0, 0, 3, -1], [0.0, 2, 3, 4]):
        verify_grad(lambda x: gc.grad(gc.sum(gc.sin(gc.cumulative_prod(x))), x), [np.array(values)])


def test_second_derivatives() -> None:
    array = np.random.default_rng(1).normal(size=(3, 4))
    for name in ("cumulative_sum", "cumulative_max", "cumulative_logsumexp"):
        verify_grad(
            lambda x, name=name: gc.grad(gc.sum(gc.sin(getattr(gc, name)(x, axis=1))), x), [array]
        )


@pytest.mark.parametrize("backend", ["llvm", "reference"])
def test_diff(backend: str) -> None:
    array = np.random.default_rng(2).normal(size=(3, 6)).astype(np.float32)

    def build(x: Any) -> list[Any]:
        return [
            gc.diff(x),
            gc.diff(x, axis=0),
            gc.diff(x, n=2),
            gc.diff(x, n=0),
            gc.diff(x, prepend=0, append=x[:, :1]),
            gc.diff(x > 0),
        ]

    expected = [
        np.diff(array),
        np.diff(array, axis=0),
        np.diff(array, n=2),
        array,
        np.diff(array, prepend=np.float32(0), append=array[:, :1]),
        np.diff(array > 0),
    ]
    for symbolic in (True, False):
        found = run(backend, build, array, symbolic)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6, strict=True)
    verify_grad(lambda x: gc.diff(x, n=2, prepend=1.0), [array.astype(np.float64)])


def test_errors() -> None:
    x = gc.placeholder("x", (3, 4))
    with pytest.raises(ShapeError, match="cumulative_sum: which axis"):
        gc.cumulative_sum(x)
    with pytest.raises(ShapeError, match="which axis"):
        gc.cumulative_max(gc.placeholder("y", ()))
    with pytest.raises(ShapeError, match="cumulative_prod"):
        gc.cumulative_prod(x, axis=2)
    with pytest.raises(DTypeError, match="cumulative_max"):
        gc.cumulative_max(gc.placeholder("b", (3,), "bool"))
    with pytest.raises(ShapeError, match="diff"):
        gc.diff(x, n=-1)
    with pytest.raises(ShapeError, match="diff"):
        gc.diff(gc.placeholder("z", ()))
