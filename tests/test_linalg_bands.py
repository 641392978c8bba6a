"""Equations with banded matrices and with those that are constant along their diagonals."""

from typing import Any

import numpy as np
import pytest
import scipy.linalg

import graphc as gc

la = gc.linalg
RNG = np.random.default_rng(5)


def numbers(*shape: int, complex_: bool = False) -> np.ndarray:
    x = RNG.normal(size=shape)
    return x + 1j * RNG.normal(size=shape) if complex_ else x


@pytest.mark.parametrize("complex_", [False, True])
@pytest.mark.parametrize("bands", [(0, 0), (1, 1), (2, 1), (0, 3)])
@pytest.mark.parametrize("columns", [(), (3,)])
def test_banded(bands: tuple[int, int], columns: tuple[int, ...], complex_: bool) -> None:
    ab, b = numbers(sum(bands) + 1, 6, complex_=complex_), numbers(6, *columns)
    ab[bands[1]] += 6
    x = gc.placeholder("ab", (ab.shape[0], "n"), ab.dtype)
    y = gc.placeholder("b", ("n", *columns), "float64")
    found = gc.function([x, y], la.solve_banded(bands, x, y))(ab, b)
    np.testing.assert_allclose(found, scipy.linalg.solve_banded(bands, ab, b), rtol=1e-10)


@pytest.mark.parametrize("complex_", [False, True])
@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("columns", [(), (2,)])
def test_hermitian_banded(columns: tuple[int, ...], lower: bool, complex_: bool) -> None:
    ab, b = numbers(3, 5, complex_=complex_), numbers(5, *columns)
    main = 0 if lower else -1
    ab[main] = abs(ab[main]) + 9
    found = gc.run(la.solveh_banded(gc.constant(ab), b, lower=lower))
    expected = scipy.linalg.solveh_banded(ab, b, lower=lower)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_toeplitz() -> None:
    c, r, b = numbers(5) + 9 * np.eye(5)[0], numbers(5), numbers(5, 2)
    for given in (c, (c, r)):
        found = gc.run(la.solve_toeplitz(given, b))
        np.testing.assert_allclose(found, scipy.linalg.solve_toeplitz(given, b), rtol=1e-10)


def test_gradients_lie_on_the_diagonals() -> None:
    ab, b = numbers(3, 5) + 6 * np.eye(3)[:, 1:2], numbers(5)
    gc.verify_grad(lambda ab, b: la.solve_banded((1, 1), ab, b), [ab, b])
    gc.verify_grad(lambda ab, b: la.solveh_banded(ab[1:] + 0.0, b, lower=True), [ab, b])
    gc.verify_grad(lambda c, b: la.solve_toeplitz(c, b), [ab[1], b])


def test_what_does_not_fit() -> None:
    ab: Any = np.ones((3, 4))
    for bands in ((1,), (1, -1), 2, (1.5, 1)):
        with pytest.raises(gc.ParameterError, match="solve_banded: l_and_u is"):
            la.solve_banded(bands, ab, np.ones(4))
    with pytest.raises(gc.ShapeError, match=r"2 diagonals below and 1 above make 4 rows"):
        la.solve_banded((2, 1), ab, np.ones(4))
    with pytest.raises(gc.ShapeError, match=r"ab is float64\[4\]"):
        la.solveh_banded(np.ones(4), np.ones(4))
    with pytest.raises(gc.LinearAlgebraError):
        gc.run(la.solveh_banded(gc.constant(-ab), np.ones(4)))
