"""Distributions of vectors in gc.stats beside scipy.stats."""

import numpy as np
import pytest
import scipy.stats

import graphc as gc

RNG = np.random.default_rng(0)
COV = np.array([[2.0, 0.3, -0.2], [0.3, 1.0, 0.1], [-0.2, 0.1, 0.7]])
BACKENDS = ("reference", "llvm", "numba_cpu")


@pytest.mark.parametrize("backend", BACKENDS)
def test_multivariate_normal(backend: str) -> None:
    mean = np.array([0.5, -1.0, 2.0])
    for shape in ((3,), (5, 3), (2, 5, 3)):
        x = RNG.normal(size=shape)
        place = gc.placeholder("x", shape, "float64")
        for cov in (COV, np.array([0.5, 2.0, 1.5]), 0.7):
            y = gc.stats.multivariate_normal.logpdf(place, mean, cov)
            expected = scipy.stats.multivariate_normal.logpdf(x, mean, cov)
            found = gc.function([place], y, backend=backend)(x)
            np.testing.assert_allclose(found, expected, rtol=1e-12)
    one = gc.run(gc.stats.multivariate_normal.pdf(np.array([0.3, 2.0]), 1.0, 2.0))
    np.testing.assert_allclose(one, scipy.stats.norm.pdf([0.3, 2.0], 1, np.sqrt(2)), rtol=1e-12)
    wide = gc.run(gc.stats.multivariate_normal.logpdf(np.zeros(4)))
    np.testing.assert_allclose(wide, scipy.stats.multivariate_normal.logpdf(np.zeros(4)))


def test_many_covariances() -> None:
    x, mean = RNG.normal(size=(2, 3)), RNG.normal(size=(2, 3))
    cov = np.stack([COV, 2 * np.eye(3)])
    found = gc.run(gc.stats.multivariate_normal.logpdf(x, mean, cov))
    normal = scipy.stats.multivariate_normal.logpdf
    expected = [normal(x[i], mean[i], cov[i]) for i in (0, 1)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    found = gc.run(gc.stats.multivariate_t.logpdf(x, mean, cov, df=np.array([3.0, 0.5])))
    student = scipy.stats.multivariate_t.logpdf
    expected = [student(x[i], mean[i], cov[i], df) for i, df in enumerate((3.0, 0.5))]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    with pytest.raises(gc.LinearAlgebraError):
        gc.run(gc.stats.multivariate_normal.logpdf(x, mean, -cov))


def test_dirichlet() -> None:
    alpha = np.array([0.7, 2.0, 3.5])
    x = RNG.dirichlet(alpha, 4).T
    given = gc.placeholder("x", (3, "n"), "float64")
    found = gc.function([given], gc.stats.dirichlet.logpdf(given, alpha))(x)
    np.testing.assert_allclose(found, scipy.stats.dirichlet.logpdf(x, alpha), rtol=1e-12)
    short = gc.run(gc.stats.dirichlet.pdf(x[:2], alpha))
    np.testing.assert_allclose(short, scipy.stats.dirichlet.pdf(x, alpha), rtol=1e-10)
    outside = np.array([[0.5, 1.2, np.nan], [0.5, -0.1, 0.5], [0.5, -0.1, 0.5]])
    found = gc.run(gc.stats.dirichlet.logpdf(outside, alpha))
    np.testing.assert_array_equal(found, [-np.inf, -np.inf, np.nan])
    assert np.isnan(gc.run(gc.stats.dirichlet.logpdf(x, alpha - 1))).all()


def test_multinomial() -> None:
    p, x = np.array([0.2, 0.5, 0.3]), np.array([[1, 2, 3], [0, 6, 0], [2, 2, 1], [7, -1, 0]])
    counts = gc.placeholder("x", ("n", 3), "int64")
    y = gc.stats.multinomial.logpmf(counts, 6, p)
    found = gc.function([counts], y)(x)
    expected = scipy.stats.multinomial.logpmf(x, 6, p)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert (found[2:] == -np.inf).all()
    with_none = gc.run(gc.stats.multinomial.pmf(np.array([2.0, 0.0]), 2, np.array([1.0, 0.0])))
    assert with_none == 1
    for wrong in ([0.5, 0.2], [1.5, -0.5]):
        assert np.isnan(gc.run(gc.stats.multinomial.pmf([1.0, 1.0], 2, np.array(wrong))))
    alpha = np.array([0.4, 2.0, 1.1])
    found = gc.run(gc.stats.dirichlet_multinomial.logpmf(x, alpha, 6))
    expected = scipy.stats.dirichlet_multinomial.logpmf(x[:2], alpha, 6)
    np.testing.assert_allclose(found[:2], expected, rtol=1e-12)
    assert (found[2:] == -np.inf).all()
    assert np.isnan(gc.run(gc.stats.dirichlet_multinomial.pmf(x, -alpha, 6))).all()


def test_gradients() -> None:
    x, mean = RNG.normal(size=(4, 3)), RNG.normal(size=3)

    def spread(factor: gc.Tensor) -> gc.Tensor:
        return factor @ factor.T + COV

    gc.verify_grad(
        lambda x, m, c: gc.stats.multivariate_normal.logpdf(x, m, spread(c)), [x, mean, COV]
    )
    gc.verify_grad(
        lambda x, m, c, df: gc.stats.multivariate_t.logpdf(x, m, spread(c), df),
        [x, mean, COV, np.array(2.5)],
    )
    alpha = np.array([0.7, 2.0, 3.5])
    shares = np.array([[0.2, 0.5], [0.3, 0.1]])
    gc.verify_grad(lambda x, a: gc.stats.dirichlet.logpdf(x, a), [shares, alpha])
    counts = np.array([[1.0, 2.0, 3.0], [0.0, 6.0, 0.0]])
    gc.verify_grad(
        lambda z: gc.stats.multinomial.logpmf(counts, 6, gc.softmax(z)), [np.array([0.1, 0.4, -1])]
    )
    gc.verify_grad(lambda a: gc.stats.dirichlet_multinomial.logpmf(counts, a, 6.0), [alpha])


def test_dtypes_and_errors() -> None:
    x = gc.placeholder("x", ("n", 3))
    assert gc.stats.multivariate_normal.logpdf(x, cov=COV.astype("float32")).dtype == "float32"
    half = gc.placeholder("h", (2,), "float16")
    assert gc.stats.multinomial.logpmf(half, 2, half).dtype == "float16"
    with pytest.raises(gc.ShapeError, match="alpha is a number"):
        gc.stats.dirichlet.logpdf(x, 1.0)
    assert repr(gc.stats.dirichlet) == "<graphc distribution dirichlet(alpha)>"
