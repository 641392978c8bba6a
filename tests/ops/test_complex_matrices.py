"""Linear algebra of complex matrices beside numpy, on every backend, with gradients."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import linalg as la
from tests.ops import of_any_shape

BACKENDS = ("reference", "interpreter", "llvm", "numba_cpu")


def numbers(*shape: int, seed: int = 0) -> Any:
    rng = np.random.default_rng([seed, *shape])
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


def positive(*shape: int) -> Any:
    a = numbers(*shape, shape[-1])
    return a @ adjoint(a) + np.eye(shape[-1])


def adjoint(a: Any) -> Any:
    return np.conj(np.swapaxes(a, -1, -2))


def run(build: Callable[..., Any], *arrays: Any, **options: Any) -> Any:
    """With symbolic sizes, as complex128 and as complex64."""
    wide, narrow = (
        of_any_shape.run(build, *(np.asarray(a).astype(dtype) for a in arrays), **options)
        for dtype in ("complex128", "complex64")
    )
    for one, other in zip(gc_leaves(wide), gc_leaves(narrow), strict=True):
        assert one.dtype.itemsize in (other.dtype.itemsize, 2 * other.dtype.itemsize)
    return wide


def gc_leaves(result: Any) -> list[np.ndarray]:
    return list(result) if isinstance(result, tuple | list) else [result]


def close(one: Any, other: Any, tolerance: float = 1e-12) -> None:
    np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", [(4, 4), (1, 1), (2, 3, 3), (0, 0)])
def test_square_matrices(shape: tuple[int, ...], backend: str) -> None:
    a, h = numbers(*shape), positive(*shape[:-1])
    n = shape[-1]
    b = numbers(*shape[:-1], 2, seed=1)
    close(run(la.solve, a, b, backend=backend), np.linalg.solve(a, b))
    close(run(la.inv, a, backend=backend), np.linalg.inv(a))
    close(run(la.det, a, backend=backend), np.linalg.det(a))
    for one, other in zip(run(la.slogdet, a, backend=backend), np.linalg.slogdet(a), strict=True):
        close(one, other)
    close(run(la.cholesky, h, backend=backend), np.linalg.cholesky(h))
    upper = run(la.cholesky, h, backend=backend, upper=True)
    close(upper, adjoint(np.linalg.cholesky(h)))
    values, vectors = run(la.eigh, h, backend=backend)
    close(values, np.linalg.eigvalsh(h))
    close(h @ vectors, vectors * values[..., None, :])
    close(adjoint(vectors) @ vectors, np.broadcast_to(np.eye(n), shape))
    close(run(la.eigvalsh, h, backend=backend), values)
    values, vectors = run(la.eig, a, backend=backend)
    close(a @ vectors, vectors * values[..., None, :])
    close(np.sort(run(la.eigvals, a, backend=backend)), np.sort(values))
    for lower in (True, False):
        factor = np.linalg.cholesky(h) if lower else adjoint(np.linalg.cholesky(h))
        found = run(la.cho_solve, factor, b, lower=lower)
        close(found, np.linalg.solve(h, b))
    close(run(la.triangular_solve, a, b, backend=backend), np.linalg.solve(np.tril(a), b))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", [(4, 2), (2, 4), (3, 3), (2, 3, 2), (3, 0), (0, 2)])
def test_matrices_of_any_shape(shape: tuple[int, ...], backend: str) -> None:
    a = numbers(*shape)
    k = min(shape[-2:])
    for full in (False, True):
        u, s, vh = run(la.svd, a, backend=backend, full_matrices=full)
        close((u[..., :k] * s[..., None, :]) @ vh[..., :k, :], a)
        close(s, np.linalg.svd(a, compute_uv=False))
        for unitary in (u, adjoint(vh)):
            unit = np.eye(unitary.shape[-1])
            close(adjoint(unitary) @ unitary, np.broadcast_to(unit, (*shape[:-2], *unit.shape)))
    close(run(la.svdvals, a, backend=backend), s)
    for mode in ("reduced", "complete"):
        q, r = run(la.qr, a, backend=backend, mode=mode)
        expected = np.linalg.qr(a, mode)
        assert q.shape == expected.Q.shape and r.shape == expected.R.shape
        close(q @ r, a)
        close(
            adjoint(q) @ q, np.broadcast_to(np.eye(q.shape[-1]), (*shape[:-2], *[q.shape[-1]] * 2))
        )
        assert np.array_equal(r, np.triu(r)) and not np.diagonal(r, 0, -2, -1).imag.any()
    close(run(la.pinv, a, backend=backend), np.linalg.pinv(a))
    rank = np.linalg.matrix_rank(a) if a.size else np.zeros(shape[:-2], int)
    assert np.array_equal(run(la.matrix_rank, a, backend=backend), rank)


def test_least_squares_and_rank() -> None:
    a, b = numbers(5, 3), numbers(5, 2, seed=1)
    x, residuals, rank, s = run(la.lstsq, a, b)
    expected = np.linalg.lstsq(a, b)
    close(x, expected[0])
    close(residuals, expected[1])
    assert rank == 3
    close(s, expected[3])
    low = a[:, :1] @ a[:1]
    assert run(la.matrix_rank, low) == 1
    close(run(la.pinv, low), np.linalg.pinv(low))


def test_functions_of_matrices() -> None:
    a, h = numbers(4, 4), positive(4)
    values, vectors = np.linalg.eig(a)
    close(run(la.expm, a), (vectors * np.exp(values)) @ np.linalg.inv(vectors))
    root = run(la.sqrtm, h)
    close(root @ root, h)
    u, p = run(la.polar, numbers(4, 3))
    close(u @ p, numbers(4, 3))
    close(adjoint(u) @ u, np.eye(3))
    close(p, adjoint(p))
    close(run(la.cond, a), np.linalg.cond(a), 1e-10)
    close(run(la.matrix_norm, a, ord="nuc"), np.linalg.norm(a, "nuc"))
    close(run(la.matrix_norm, a, ord=2), np.linalg.norm(a, 2))


def projector(columns: Any) -> Any:
    first = columns[..., :1]
    return first @ gc.conj(first).mT


GRADIENTS: dict[str, Callable[[Any], list[Any]]] = {
    "solve": lambda a: [la.solve(a, a[:, :1] * 2j)],
    "inv": lambda a: [la.inv(a)],
    "det": lambda a: [la.det(a)],
    "slogdet": lambda a: list(la.slogdet(a)),
    "cholesky": lambda a: [la.cholesky(a @ gc.conj(a).mT + np.eye(3))],
    "eigh": lambda a: [la.eigh(a)[0], projector(la.eigh(a)[1])],
    "eigvalsh": lambda a: [la.eigvalsh(a)],
    "svd": lambda a: [la.svd(a)[1], la.svd(a)[0][:, :1] @ la.svd(a)[2][:1]],
    "tall svd": lambda a: [projector(la.svd(a[:, :2], full_matrices=False)[0])],
    "svdvals": lambda a: [la.svdvals(a)],
    "qr": lambda a: list(la.qr(a)),
    "wide qr": lambda a: list(la.qr(a[:2])),
    "eig": lambda a: [la.eig(a)[0], gc.abs(la.eig(a)[1])],
    "eigvals": lambda a: [la.eigvals(a)],
    "pinv": lambda a: [la.pinv(a[:, :2])],
    "lstsq": lambda a: list(la.lstsq(a[:, :2], a[:, 2:])[:2]),
    "expm": lambda a: [la.expm(a)],
    "triangular_solve": lambda a: [la.triangular_solve(a, a, lower=False, transpose=True)],
    "unit diagonal": lambda a: [la.triangular_solve(a, a, unit_diagonal=True)],
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_are_finite_differences(name: str) -> None:
    x, y = (gc.placeholder(part, (3, 3), "float64") for part in "xy")
    outputs = GRADIENTS[name](gc.complex(x, y))
    rng = np.random.default_rng(5)
    parts = [part for one in outputs for part in (gc.real(one), gc.imag(one))]
    cost = gc.add_n([gc.sum(part * rng.normal(size=part.shape)) for part in parts])
    value = gc.function([x, y], cost)
    found = gc.function([x, y], gc.grad(cost, [x, y]))
    feeds = [rng.normal(size=(3, 3)) for _ in range(2)]
    for which, gradient in enumerate(found(*feeds)):
        for place in np.ndindex(3, 3):
            ends = []
            for sign in (1, -1):
                moved = [feed.copy() for feed in feeds]
                moved[which][place] += sign * 1e-6
                ends.append(value(*moved))
            numeric = (ends[0] - ends[1]) / 2e-6
            assert abs(numeric - gradient[place]) < 1e-6 * max(1, abs(numeric))


def test_of_hermitian_matrices_the_lower_triangle_is_read() -> None:
    h = positive(3)
    other = np.tril(h) + 7j * np.triu(np.ones((3, 3)))
    close(run(la.eigvalsh, other), np.linalg.eigvalsh(h))
    close(run(la.eigh, other)[0], np.linalg.eigvalsh(h))
    close(run(la.cholesky, other), np.linalg.cholesky(h))
    x = gc.placeholder("x", (3, 3), "complex128")
    for function in (la.eigvalsh, lambda a: gc.abs(la.cholesky(a))):
        gradient = gc.function([x], gc.grad(gc.sum(function(x)), x))(h)
        assert not np.triu(gradient, 1).any() and not np.diagonal(gradient).imag.any()


def test_many_at_once_and_failures() -> None:
    stack = numbers(3, 4, 4)
    x = gc.placeholder("x", ("b", 4, 4), "complex128")
    for function, plain in ((la.inv, np.linalg.inv), (la.det, np.linalg.det)):
        close(gc.function([x], gc.vmap(function)(x))(stack), plain(stack))
    values = gc.function([x], gc.vmap(lambda a: la.eigh(a)[0])(x))(positive(3, 4))
    close(values, np.linalg.eigvalsh(positive(3, 4)))
    singular = np.ones((2, 2), "complex128")
    assert run(la.det, singular) == 0
    sign, logarithm = run(la.slogdet, singular)
    assert sign == 0 and logarithm == -np.inf
    with pytest.raises(gc.LinearAlgebraError, match="solve: the matrix is singular"):
        run(la.solve, singular, singular)
    with pytest.raises(gc.LinearAlgebraError, match="not positive definite"):
        run(la.cholesky, -np.eye(2))
    with pytest.raises(gc.DTypeError, match="schur: not for complex128"):
        la.schur(gc.placeholder("a", (2, 2), "complex128"))
