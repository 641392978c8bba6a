"""Cholesky factors, equations and inverses of matrices up to 4 x 4, written out entry by entry."""

import itertools
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.errors import LinearAlgebraError

BACKENDS = ["llvm", "numba_cpu", "interpreter"]
RNG = np.random.default_rng(11)


def run(build: Any, *arrays: np.ndarray, backend: str = "llvm") -> Any:
    """build(*placeholders), the size of the batch symbolic."""
    inputs = [gc.placeholder(f"x{n}", ("b", *a.shape[1:]), a.dtype) for n, a in enumerate(arrays)]
    return gc.function(inputs, build(*inputs), backend=backend)(*arrays)


def close(found: np.ndarray, expected: np.ndarray) -> None:
    limit = 1e-11 if expected.dtype == np.float64 else 2e-4
    np.testing.assert_allclose(found, expected, rtol=limit, atol=limit * np.abs(expected).max())


SIZES_AND_BACKENDS = [
    # Numba takes ten seconds for the sizes 3 and 4, which differ in the number of lines alone.
    pytest.param(*case, marks=[pytest.mark.slow] if case == (3, "numba_cpu") else [])
    for case in itertools.product([1, 2, 3, 4], BACKENDS)
]


@pytest.mark.parametrize(("size", "backend"), SIZES_AND_BACKENDS)
def test_values(size: int, backend: str) -> None:
    for dtype in ("float32", "float64"):
        a = RNG.normal(size=(23, size, size)).astype(dtype)
        positive = (a @ a.swapaxes(1, 2) + np.eye(size)).astype(dtype)
        shifted = (a + 3 * np.eye(size)).astype(dtype)
        rhs = RNG.normal(size=(23, size, 2)).astype(dtype)
        close(run(gc.linalg.cholesky, positive, backend=backend), np.linalg.cholesky(positive))
        close(run(gc.linalg.inv, shifted, backend=backend), np.linalg.inv(shifted))
        close(run(gc.linalg.solve, shifted, rhs, backend=backend), np.linalg.solve(shifted, rhs))
        for lower, transpose, unit in np.ndindex(2, 2, 2):
            if backend == "numba_cpu" and (lower + transpose + unit + (dtype == "float32")) % 2:
                continue  # each in one dtype: a kernel takes numba a tenth of a second and more
            triangle = np.tril(shifted) if lower else np.triu(shifted)
            if unit:
                triangle[:, range(size), range(size)] = 1
            flags = {"lower": bool(lower), "transpose": bool(transpose)}
            found = run(
                lambda a, b, f=flags, u=unit: gc.linalg.triangular_solve(
                    a, b, unit_diagonal=bool(u), **f
                ),
                shifted,
                rhs,
                backend=backend,
            )
            turned = triangle.swapaxes(1, 2) if transpose else triangle
            close(found, np.linalg.solve(turned, rhs))


def test_pivots_are_exchanged() -> None:
    """Zeros and tiny numbers on the diagonal, in every order of the rows."""
    rows = np.array([[1e-20, 2.0, 1.0, 0.5], [3.0, 1.0, 0.0, 2.0], [0.0, 0.0, 5.0, 1.0]])
    rows = np.vstack([rows, [[1.0, 1.0, 1.0, 1e-18]]])
    orders = np.array([np.random.default_rng(n).permutation(4) for n in range(24)])
    a = rows[orders]
    close(run(gc.linalg.inv, a), np.linalg.inv(a))
    swap = np.array([[[0.0, 1.0], [1.0, 0.0]]])
    np.testing.assert_array_equal(run(gc.linalg.inv, swap), swap)


@pytest.mark.parametrize("backend", [*BACKENDS, "reference"])
def test_failures_name_the_matrix(backend: str) -> None:
    good = np.broadcast_to(np.eye(3), (9, 3, 3)).copy()
    bad = good.copy()
    bad[6, 1, 1] = -1.0
    bad[7, 0, 0] = np.nan
    with pytest.raises(LinearAlgebraError, match=r"matrix 6 of the batch .* order 2"):
        run(gc.linalg.cholesky, bad, backend=backend)
    bad = good.copy()
    bad[4, 2, 2] = 0.0
    for build in (gc.linalg.inv, lambda a: gc.linalg.solve(a, a[..., :1])):
        with pytest.raises(LinearAlgebraError, match=r"matrix 4 of the batch .*pivot 3"):
            run(build, bad, backend=backend)
    with pytest.raises(LinearAlgebraError, match=r"triangular_solve: matrix 4 .*pivot 3 is 0"):
        run(lambda a: gc.linalg.triangular_solve(a, a[..., :1]), bad, backend=backend)
    one = gc.placeholder("one", (2, 2))
    f = gc.function([one], gc.linalg.inv(one), backend=backend)
    with pytest.raises(LinearAlgebraError, match="inv: the matrix is singular"):
        f(np.ones((2, 2), "float32"))


@pytest.mark.parametrize("size", [1, 2, 4, 6])
def test_nan_propagates_whatever_the_size(size: int) -> None:
    a = np.stack([2 * np.eye(size), np.full((size, size), np.nan)])
    lower = np.tril(np.full((size, size), np.nan))
    for backend in (*BACKENDS, "reference"):
        found = run(gc.linalg.cholesky, a, backend=backend)[1]
        np.testing.assert_array_equal(found, lower)


def test_a_failure_leaves_variables_as_they_were() -> None:
    state = gc.variable(np.eye(2), name="state")
    step = gc.placeholder("step", (2, 2), "float64")
    update = gc.function([step], [], updates={state: gc.linalg.cholesky(state + step)})
    with pytest.raises(LinearAlgebraError):
        update(-4 * np.eye(2))
    np.testing.assert_array_equal(state.value, np.eye(2))
    update(3 * np.eye(2))
    np.testing.assert_array_equal(state.value, 2 * np.eye(2))


@pytest.mark.parametrize("size", [2, 4])
def test_derivatives(size: int) -> None:
    a = RNG.normal(size=(2, size, size)) * 0.3 + 2 * np.eye(size)
    rhs = RNG.normal(size=(2, size, 1))
    gc.verify_grad(lambda a: gc.linalg.cholesky(a @ a.mT), [a])
    gc.verify_grad(gc.linalg.inv, [a])
    gc.verify_grad(gc.linalg.solve, [a, rhs])
    gc.verify_grad(lambda a, b: gc.linalg.triangular_solve(a, b, transpose=True), [a, rhs])


def test_in_loops_and_maps() -> None:
    """A filter with a state of two numbers, for several series at once."""
    series = RNG.normal(size=(3, 20, 2))

    def filtered(rows: Any) -> Any:
        def step(carry: Any, row: Any) -> Any:
            mean, covariance = carry
            covariance = covariance * 1.1
            gain = covariance @ gc.linalg.inv(covariance + np.eye(2))
            mean = mean + gain @ (row - mean)
            covariance = covariance - gain @ covariance
            return (mean, covariance), mean

        start = (gc.zeros((2,), "float64"), gc.asarray(np.array([[2.0, 0.5], [0.5, 1.0]])))
        return gc.scan(step, start, rows)[1]

    x = gc.placeholder("x", ("series", 20, 2), "float64")
    found = gc.function([x], gc.vmap(filtered)(x))(series)
    for rows, result in zip(series, found, strict=True):
        mean, covariance = np.zeros(2), np.array([[2.0, 0.5], [0.5, 1.0]])
        for row, value in zip(rows, result, strict=True):
            covariance = covariance * 1.1
            gain = covariance @ np.linalg.inv(covariance + np.eye(2))
            mean = mean + gain @ (row - mean)
            covariance = covariance - gain @ covariance
            np.testing.assert_allclose(value, mean, rtol=1e-10)
