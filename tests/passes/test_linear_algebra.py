"""Products with inverses become systems, logarithms of determinants do not overflow."""

from collections.abc import Callable

import numpy as np
import pytest

import graphc as gc
from graphc.errors import LinearAlgebraError
from graphc.ir.tensor import Tensor

la = gc.linalg
RNG = np.random.default_rng(0)
A = RNG.normal(size=(3, 3)) + 3 * np.eye(3)
BATCH = RNG.normal(size=(2, 3, 3)) + 3 * np.eye(3)

PRODUCTS: list[tuple[Callable[[Tensor, Tensor], Tensor], np.ndarray, np.ndarray]] = [
    (lambda a, x: la.inv(a) @ x, A, RNG.normal(size=(3, 2))),
    (lambda a, x: la.inv(a) @ x, A, RNG.normal(size=3)),
    (lambda a, x: la.inv(a).mT @ x, A, RNG.normal(size=(3, 2))),
    (lambda a, x: la.inv(a) @ x.mT, A, RNG.normal(size=(2, 3))),
    (lambda a, x: la.inv(a) @ x, BATCH, RNG.normal(size=(3, 2))),
    (lambda a, x: la.inv(a) @ x, A, RNG.normal(size=(2, 3, 2))),
    (lambda a, x: x @ la.inv(a), A, RNG.normal(size=(2, 3))),
    (lambda a, x: x @ la.inv(a), A, RNG.normal(size=3)),
    (lambda a, x: x @ la.inv(a).mT, BATCH, RNG.normal(size=(2, 2, 3))),
    (lambda a, x: x.mT @ la.inv(a), BATCH, RNG.normal(size=(3, 4))),
]


@pytest.mark.parametrize("number", range(len(PRODUCTS)))
def test_products_with_inverses_are_solved(number: int) -> None:
    build, a, x = PRODUCTS[number]
    inputs = [gc.placeholder("a", a.shape, "float64"), gc.placeholder("x", x.shape, "float64")]
    f = gc.function(inputs, build(*inputs), check=True)
    assert "solve(" in f.rewrites()
    assert "inv(" not in f.graph_text()
    plain = gc.function(inputs, build(*inputs), backend="reference", optimize=False)
    np.testing.assert_allclose(f(a, x), plain(a, x), rtol=1e-12, atol=1e-12)


def test_an_inverse_that_is_needed_is_not_solved() -> None:
    a = gc.placeholder("a", (3, 3), "float64")
    inverse = la.inv(a)
    f = gc.function([a], [inverse, inverse @ a])
    assert "solve" not in f.rewrites()
    np.testing.assert_allclose(f(A)[1], np.eye(3), atol=1e-14)


def test_errors_name_what_was_written() -> None:
    a = gc.placeholder("a", (2, 2))
    f = gc.function([a], la.inv(a) @ gc.ones((2,)))
    with pytest.raises(LinearAlgebraError, match=r"inv: the matrix is singular"):
        f(np.zeros((2, 2), "float32"))


def test_logarithms_of_determinants() -> None:
    a = gc.placeholder("a", ("n", "n"), "float64")
    f = gc.function([a], [gc.log(gc.abs(la.det(a))), gc.log(la.det(a))])
    assert "slogdet" in f.rewrites()
    large = 1e5 * np.eye(200)  # its determinant is 1e1000
    np.testing.assert_allclose(f(large), [200 * np.log(1e5)] * 2, rtol=1e-14)
    large[0, 0] *= -1
    size, signed = f(large)
    assert np.isfinite(size) and np.isnan(signed)
    np.testing.assert_array_equal(f(np.zeros((2, 2))), [-np.inf, -np.inf])
    gradient = gc.function([a], gc.grad(gc.log(la.det(a)), a))
    np.testing.assert_allclose(gradient(A), np.linalg.inv(A).T, rtol=1e-12)
