"""Sylvester's and Lyapunov's equations, functions of matrices and named matrices beside scipy."""

from typing import Any

import numpy as np
import pytest
import scipy.linalg

import graphc as gc
from graphc import linalg as la
from tests.ops.of_any_shape import run

BACKENDS = ("reference", "interpreter", "llvm", "numba_cpu")


def numbers(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def regular(n: int, seed: int = 0) -> Any:
    return numbers(n, n, seed=seed) * 0.4 + 2 * np.eye(n)


def close(one: Any, other: Any, tolerance: float = 1e-11) -> None:
    np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("m", "n"), [(3, 2), (1, 4), (5, 5), (0, 2)])
def test_sylvester(m: int, n: int, backend: str) -> None:
    a, b, q = regular(m), regular(n, 1), numbers(m, n)
    x = run(la.solve_sylvester, a, b, q, backend=backend)
    close(a @ x + x @ b, q)
    if m:
        close(x, scipy.linalg.solve_sylvester(a, b, q))
    single = [array.astype("float32") for array in (a, b, q)]
    found = run(la.solve_sylvester, *single, backend=backend)
    assert found.dtype == np.float32
    close(found, x, 1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_lyapunov_and_procrustes(backend: str) -> None:
    a, q = regular(4), numbers(4, 4)
    x = run(la.solve_continuous_lyapunov, a, q, backend=backend)
    close(x, scipy.linalg.solve_continuous_lyapunov(a, q))
    stable = a * 0.2
    x = run(la.solve_discrete_lyapunov, stable, q, backend=backend)
    close(stable @ x @ stable.T - x + q, 0)
    r, scale = run(la.orthogonal_procrustes, numbers(5, 3), numbers(5, 3, seed=1), backend=backend)
    expected = scipy.linalg.orthogonal_procrustes(numbers(5, 3), numbers(5, 3, seed=1))
    close(r, expected[0])
    close(scale, expected[1])


@pytest.mark.filterwarnings("ignore:logm result may be inaccurate")
@pytest.mark.parametrize("backend", BACKENDS)
def test_functions_of_matrices(backend: str) -> None:
    for a in (regular(4), np.diag([1e-6, 1.0, 1e6]), numbers(3, 3) @ numbers(3, 3).T * 1e3):
        logarithm = run(la.logm, a, backend=backend)
        close(logarithm, scipy.linalg.logm(a), 1e-9)
    stack = np.stack([regular(3), np.eye(3), 1e4 * regular(3, 1)])
    close(run(la.logm, stack, backend=backend)[2], scipy.linalg.logm(stack[2]))
    assert not run(la.logm, stack, backend=backend)[1].any()
    assert np.isnan(run(la.logm, np.diag([1.0, -1.0]), backend=backend)).all()
    turned = regular(3) + 1j * numbers(3, 3)
    for ours, theirs in (
        (la.logm, scipy.linalg.logm),
        (la.cosm, scipy.linalg.cosm),
        (la.sinm, scipy.linalg.sinm),
    ):
        for matrix in (regular(3), turned):
            close(run(ours, matrix, backend=backend), theirs(matrix), 1e-9)


@pytest.mark.parametrize("trans", [0, 1, 2, "N", "T", "C"])
@pytest.mark.parametrize("lower", [True, False])
def test_solve_triangular(lower: bool, trans: Any) -> None:
    for a in (regular(3), regular(3) + 1j * numbers(3, 3)):
        for unit in (True, False):
            options = {"trans": trans, "lower": lower, "unit_diagonal": unit}
            b = numbers(3, 2).astype(a.dtype)
            found = run(la.solve_triangular, a, b, **options)
            close(found, scipy.linalg.solve_triangular(a, b, **options))


def test_named_matrices() -> None:
    for n in (0, 1, 4, 5):
        np.testing.assert_allclose(gc.run(la.hilbert(n)), scipy.linalg.hilbert(n), rtol=1e-7)
    for n in (1, 2, 8):
        assert np.array_equal(gc.run(la.hadamard(n)), scipy.linalg.hadamard(n))
    for scale in (None, "sqrtn", "n"):
        found = gc.run(la.dft(6, scale, dtype="complex128"))
        close(found, scipy.linalg.dft(6, scale))
    for a in (np.array([2.0, -3.0, 1.0, 5.0]), np.array([1j, 2.0]), np.array([4, 2, 1])):
        close(run(la.companion, a), scipy.linalg.companion(a), 1e-6)


def test_gradients() -> None:
    a, b, q = regular(3), regular(2, 1), numbers(3, 2)
    gc.verify_grad(la.solve_sylvester, [a, b, q])
    gc.verify_grad(la.solve_continuous_lyapunov, [a, numbers(3, 3)])
    gc.verify_grad(la.solve_discrete_lyapunov, [a * 0.2, numbers(3, 3)])
    gc.verify_grad(la.logm, [a])
    gc.verify_grad(la.cosm, [a])
    gc.verify_grad(la.companion, [np.array([2.0, -3.0, 1.0])])
    gc.verify_grad(lambda x: la.orthogonal_procrustes(x, b)[0], [regular(2, 3)])


@pytest.mark.parametrize(
    ("build", "error", "text"),
    [
        (lambda x: la.solve_sylvester(x, x, x[0]), gc.ShapeError, "q needs at least 2 axes"),
        (lambda x: la.solve_sylvester(x[:2], x, x), gc.ShapeError, "square"),
        (lambda x: la.solve_sylvester(x, x, x[:2]), gc.ShapeError, "rows of"),
        (lambda x: la.solve_sylvester(x * 1j, x, x), gc.DTypeError, "not for complex64"),
        (lambda x: la.solve_triangular(x, x, trans=3), gc.ParameterError, "trans is 3"),
        (lambda x: la.logm(x[0]), gc.ShapeError, "2 axes"),
        (lambda x: la.cosm(x[:2]), gc.ShapeError, "cosm: needs square"),
        (lambda x: la.hilbert(-1), gc.ParameterError, "n is -1"),
        (lambda x: la.hadamard(6), gc.ParameterError, "power of 2"),
        (lambda x: la.dft(3, "half"), gc.ParameterError, "scale is 'half'"),
        (lambda x: la.companion(x), gc.ShapeError, "coefficients float32"),
        (lambda x: la.companion(x[0, :1]), gc.ShapeError, "at least two"),
    ],
)
def test_refused(build: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text) as caught:
        build(gc.placeholder("x", (3, 3)))
    assert "test_matrix_equations.py" in str(caught.value)


def test_equations_without_a_single_solution() -> None:
    a = np.diag([1.0, 2.0])
    with pytest.raises(gc.LinearAlgebraError, match="a and -b have an eigenvalue in common"):
        run(la.solve_sylvester, a, -a, np.ones((2, 2)))
