"""Derivatives of linear algebra: finite differences in both modes, second order, corner cases."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.errors import LinearAlgebraError
from graphc.ir.tensor import Tensor

la = gc.linalg
RNG = np.random.default_rng(0)
SQUARE = RNG.uniform(-1, 1, size=(3, 3)) + 2 * np.eye(3)
SYMMETRIC = SQUARE + SQUARE.T
POSITIVE = SQUARE @ SQUARE.T + np.diag([1.0, 2, 3])
TALL, WIDE = RNG.uniform(-1, 1, size=(2, 4, 2)), RNG.uniform(-1, 1, size=(2, 4))
VECTOR, RIGHT = RNG.uniform(-1, 1, size=3), RNG.uniform(-1, 1, size=(3, 2))
BATCH = np.stack([SQUARE, SQUARE.T + np.eye(3)])

TURNING = np.array([[1.0, -2, 0.3], [2.5, 0.5, 0.1], [0.2, -0.4, 3]])

Build = Callable[..., Any]


def _parts(z: Tensor) -> list[Tensor]:
    return [gc.real(z), gc.imag(z)]


def _projections(x: Tensor) -> list[Tensor]:
    """v v^H of each eigenvector: the phases of the vectors do not matter."""
    v = la.eig(x).eigenvectors
    return _parts(gc.einsum("ik,jk->kij", v, gc.conj(v)))


SMOOTH: dict[str, tuple[Build, tuple[np.ndarray, ...]]] = {
    "solve": (la.solve, (SQUARE, RIGHT)),
    "solve vector": (la.solve, (SQUARE, VECTOR)),
    "solve one matrix": (la.solve, (SQUARE, RNG.uniform(-1, 1, size=(2, 3, 2)))),
    "solve broadcast": (la.solve, (BATCH, RIGHT)),
    "triangular": (la.triangular_solve, (SQUARE, RIGHT)),
    "triangular one matrix": (
        lambda a, b: la.triangular_solve(a, b, lower=False, transpose=True),
        (SQUARE, RNG.uniform(-1, 1, size=(2, 3, 1))),
    ),
    "inv": (la.inv, (BATCH,)),
    "det": (la.det, (BATCH,)),
    "slogdet": (lambda x: la.slogdet(x).logabsdet, (BATCH,)),
    "cholesky": (la.cholesky, (POSITIVE,)),
    "cholesky upper": (lambda x: la.cholesky(x, upper=True), (POSITIVE,)),
    "eigh": (la.eigh, (SYMMETRIC,)),
    "eigvalsh": (la.eigvalsh, (SYMMETRIC,)),
    "qr tall": (la.qr, (TALL,)),
    "qr wide": (la.qr, (WIDE,)),
    "qr q": (lambda x: la.qr(x).Q, (TALL,)),
    "qr r": (lambda x: la.qr(x).R, (WIDE,)),
    "svd tall": (lambda x: la.svd(x, full_matrices=False), (TALL,)),
    "svd wide": (lambda x: la.svd(x, full_matrices=False), (WIDE,)),
    "svd u": (lambda x: la.svd(x, full_matrices=False).U, (TALL,)),
    "svdvals": (la.svdvals, (TALL,)),
    "pinv tall": (la.pinv, (TALL,)),
    "pinv wide": (la.pinv, (WIDE,)),
    "lstsq": (lambda a, b: la.lstsq(a, b)[:2], (TALL, RNG.uniform(-1, 1, size=(4,)))),
    "expm": (la.expm, (SQUARE,)),
    "sqrtm": (la.sqrtm, (SQUARE,)),
    "lu": (la.lu, (BATCH,)),
    "lu tall": (lambda x: la.lu(x)[1:], (TALL,)),
    "lu wide": (lambda x: la.lu(x)[1:], (WIDE,)),
    "lu_factor": (lambda x: la.lu_factor(x).lu, (SQUARE[::-1],)),
    "lu_solve": (lambda a, b: la.lu_solve(la.lu_factor(a), b), (BATCH, RIGHT)),
    "lu_solve turned": (
        lambda a, b: la.lu_solve(la.lu_factor(a), b, trans=1),
        (SQUARE[::-1], VECTOR),
    ),
    "eigvals": (lambda x: _parts(la.eigvals(x)), (TURNING,)),
    "eigenvalues": (lambda x: _parts(la.eig(x).eigenvalues), (TURNING,)),
    "projections": (_projections, (TURNING,)),
    "polar": (la.polar, (SQUARE,)),
    "tensorinv": (lambda x: la.tensorinv(x, ind=1), (SQUARE,)),
    "matrix_power": (lambda x: la.matrix_power(x, 3), (SQUARE,)),
    "matrix_power -2": (lambda x: la.matrix_power(x, -2), (SQUARE,)),
    "nuclear norm": (lambda x: la.norm(x, "nuc"), (WIDE,)),
    "spectral norm": (lambda x: la.matrix_norm(x, ord=2), (TALL,)),
    "norm 3": (lambda x: la.vector_norm(x, ord=3, axis=-1), (TALL,)),
    "cho_solve": (lambda a, b: la.cho_solve(la.cholesky(a), b), (POSITIVE, VECTOR)),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_derivatives(name: str) -> None:
    function, arrays = SMOOTH[name]
    gc.verify_grad(function, arrays)


@pytest.mark.parametrize(
    "name", ["solve", "inv", "det", "cholesky", "eigh", "svd tall", "qr tall", "pinv tall", "expm"]
)
def test_second_derivatives(name: str) -> None:
    function, arrays = SMOOTH[name]

    def gradient(*inputs: Tensor) -> Any:
        built = function(*inputs)
        outputs = built if isinstance(built, tuple) else (built,)
        cost: Any = 0
        for output in outputs:
            cost = cost + gc.sum(gc.sin(output))
        return gc.grad(cost, list(inputs))

    gc.verify_grad(gradient, arrays, directions=1, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["svd", "qr"])
def test_full_factors_by_what_does_not_turn(name: str) -> None:
    def projector(x: Tensor) -> Tensor:
        q = la.svd(x).U if name == "svd" else la.qr(x, mode="complete").Q
        rest = q[..., 2:]
        return rest @ rest.mT

    gc.verify_grad(projector, [TALL])


@pytest.mark.parametrize("rank", [0, 1, 2, 3])
def test_gradient_of_det_at_singular_matrices(rank: int) -> None:
    x = SQUARE.copy()
    x[rank:] = x[:1] if rank else 0.0
    gc.verify_grad(la.det, [x], atol=1e-6)


def test_second_derivative_of_det_at_a_singular_matrix_is_an_error() -> None:
    x = gc.placeholder("x", (2, 2), "float64")
    (first,) = gc.grad(la.det(x), [x])
    (second,) = gc.grad(gc.sum(first * first), [x])
    f = gc.function([x], second)
    np.testing.assert_allclose(f(np.eye(2)), 2 * np.eye(2), atol=1e-12)
    with pytest.raises(LinearAlgebraError, match="det: the matrix is singular"):
        f(np.zeros((2, 2)))


def test_equal_eigenvalues() -> None:
    """Through the values alone the gradient is finite, through the vectors it is not."""
    x = gc.placeholder("x", (3, 3), "float64")
    total = gc.grad(gc.sum(la.eigvalsh(x)), x)
    through_values = gc.grad(gc.sum(gc.exp(la.eigh(x).eigenvalues)), x)
    through_vectors = gc.grad(gc.sum(gc.sin(la.eigh(x).eigenvectors)), x)
    f = gc.function([x], [total, through_values, through_vectors])
    found = f(np.eye(3))
    np.testing.assert_allclose(found[0], np.eye(3), atol=1e-14)
    np.testing.assert_allclose(found[1], np.e * np.eye(3), atol=1e-13)
    assert not np.isfinite(np.tril(found[2])).all()


def test_equal_singular_values() -> None:
    x = gc.placeholder("x", (3, 3), "float64")
    through_values = gc.grad(gc.sum(gc.square(la.svd(x).S)), x)
    through_vectors = gc.grad(gc.sum(gc.sin(la.svd(x).U)), x)
    f = gc.function([x], [through_values, through_vectors])
    found = f(np.eye(3))
    np.testing.assert_allclose(found[0], 2 * np.eye(3), atol=1e-13)
    assert not np.isfinite(found[1]).all()
    gc.verify_grad(la.pinv, [np.eye(3)])


def test_of_a_symmetric_matrix_one_triangle_counts() -> None:
    x = gc.placeholder("x", (3, 3), "float64")
    lower = gc.grad(gc.sum(la.cholesky(x)), x)
    upper = gc.grad(gc.sum(la.cholesky(x, upper=True)), x)
    values = gc.grad(gc.sum(gc.exp(la.eigvalsh(x))), x)
    found = gc.function([x], [lower, upper, values])(POSITIVE)
    assert (np.triu(found[0], 1) == 0).all() and (np.tril(found[1], -1) == 0).all()
    assert (np.triu(found[2], 1) == 0).all() and (np.tril(found[2], -1) != 0).any()


@pytest.mark.parametrize("name", ["cholesky", "svdvals", "expm"])
def test_derivatives_in_a_loop(name: str) -> None:
    function = getattr(la, name)

    def total(xs: Tensor) -> Any:
        step = lambda carry, x: (carry, function(x @ x.mT + gc.eye(2, dtype="float64")))  # noqa: E731
        return gc.scan(step, gc.zeros(()), xs)[1]

    gc.verify_grad(total, [RNG.uniform(-1, 1, size=(3, 2, 2))], backend="llvm", directions=1)
