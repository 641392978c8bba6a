"""gc.stats beside scipy.stats: values in and outside of the support, gradients, errors."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.stats

import graphc as gc

BACKENDS = ("reference", "llvm", "numba_cpu")
CONTINUOUS: dict[str, tuple[float, ...]] = {
    "norm": (),
    "uniform": (),
    "expon": (),
    "gamma": (2.3,),
    "beta": (1.7, 0.8),
    "chi2": (3.0,),
    "cauchy": (),
    "laplace": (),
    "logistic": (),
    "gumbel_r": (),
    "lognorm": (0.7,),
    "pareto": (2.5,),
    "t": (4.0,),
}
DISCRETE: dict[str, tuple[float, ...]] = {
    "bernoulli": (0.3,),
    "binom": (6.0, 0.4),
    "geom": (0.3,),
    "nbinom": (3.0, 0.6),
    "poisson": (2.7,),
}


def value(method: Any, x: Any, *shapes: Any, backend: str = "llvm", **options: Any) -> Any:
    place = gc.placeholder("x", ("n",), "float64")
    constants = [gc.constant(np.float64(one)) for one in shapes]
    return gc.function([place], method(place, *constants, **options), backend=backend)(x)


def test_all_are_tested() -> None:
    assert sorted((*CONTINUOUS, *DISCRETE)) == gc.stats.__all__


@pytest.mark.parametrize("name", CONTINUOUS)
def test_continuous(name: str) -> None:
    ours, theirs = getattr(gc.stats, name), getattr(scipy.stats, name)
    shapes = CONTINUOUS[name]
    x = np.concatenate([np.linspace(-4, 9, 40), [0.3, 0.9, 1.0001, 30.0]])
    places: list[dict[str, Any]] = [{}, {"loc": 0.5, "scale": 2.0}]
    for options in places:
        for method in ("logpdf", "pdf", "cdf", "sf", "logcdf", "logsf"):
            with np.errstate(divide="ignore"):
                expected = getattr(theirs, method)(x, *shapes, **options)
            found = value(getattr(ours, method), x, *shapes, **options)
            np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-13, err_msg=method)


@pytest.mark.parametrize("name", DISCRETE)
def test_discrete(name: str) -> None:
    ours, theirs = getattr(gc.stats, name), getattr(scipy.stats, name)
    shapes = DISCRETE[name]
    k = np.arange(-2.0, 12)
    places: list[dict[str, Any]] = [{}, {"loc": 2}]
    for options in places:
        for method in ("logpmf", "pmf", "cdf", "sf"):
            expected = getattr(theirs, method)(k, *shapes, **options)
            found = value(getattr(ours, method), k, *shapes, **options)
            np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12, err_msg=method)
    assert value(ours.logpmf, np.array([1.5]), *shapes)[0] == -np.inf
    broken = np.array([0.5, 3.2])
    np.testing.assert_allclose(value(ours.cdf, broken, *shapes), theirs.cdf(broken, *shapes))


@pytest.mark.parametrize("backend", BACKENDS)
def test_backends(backend: str) -> None:
    x = np.array([-0.5, 0.2, 0.7, 3.0])
    for name, shapes in CONTINUOUS.items():
        found = value(getattr(gc.stats, name).logpdf, x, *shapes, backend=backend)
        expected = getattr(scipy.stats, name).logpdf(x, *shapes)
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_gradients(name: str) -> None:
    distribution, shapes = getattr(gc.stats, name), CONTINUOUS[name]
    x = np.array([1.3, 1.9]) if name == "pareto" else np.array([0.2, 0.6])
    arrays = [x, *map(np.array, shapes), np.array(0.05), np.array(1.1)]
    gc.verify_grad(lambda *a: distribution.logpdf(*a), arrays)
    gc.verify_grad(lambda *a: distribution.cdf(*a), arrays)
    outside = gc.placeholder("x", (2,), "float64")
    density = gc.function([outside], gc.grad(gc.sum(distribution.pdf(outside, *shapes)), outside))
    assert np.isfinite(density(np.array([-7.0, 0.3]))).all()


def test_gradients_of_probabilities() -> None:
    k = gc.constant(np.array([0.0, 1.0]))
    for name, shapes in DISCRETE.items():
        distribution = getattr(gc.stats, name)
        places = k + 1 if name == "geom" else k
        fixed = shapes[:-1]
        gc.verify_grad(
            lambda p, d=distribution, q=places, f=fixed: d.logpmf(q, *f, p),
            [np.array(shapes[-1])],
        )


def test_dtypes_and_errors() -> None:
    x = gc.placeholder("x", ("n",))
    assert gc.stats.norm.logpdf(x, 0.5, scale=2).dtype == "float32"
    assert gc.stats.poisson.logpmf(gc.placeholder("k", (3,), "int64"), 2.5).dtype == "float32"
    calls: list[Callable[[], Any]] = [
        lambda: gc.stats.gamma.logpdf(x),
        lambda: gc.stats.norm.pdf(x, 0, 1, 2),
        lambda: gc.stats.norm.pdf(x, sigma=2),
        lambda: gc.stats.norm.pdf(x, 0, loc=2),
    ]
    for build in calls:
        with pytest.raises(gc.FunctionError, match=r"stats\.\w+\.\w+: got"):
            build()
    with pytest.raises(AttributeError, match="use logpmf"):
        gc.stats.poisson.logpdf(x, 1.0)
    assert repr(gc.stats.beta) == "<graphc distribution beta(a, b, loc, scale)>"


OUTSIDE: dict[str, list[tuple[float, ...]]] = {
    "bernoulli": [(-0.1,), (1.5,), (np.nan,)],
    "beta": [(0.0, 1.0), (1.0, -1.0), (np.nan, 1.0)],
    "binom": [(4.5, 0.3), (-1.0, 0.3), (5.0, 1.2), (np.nan, 0.2)],
    "chi2": [(0.0,), (-1.0,)],
    "gamma": [(0.0,), (-1.0,)],
    "geom": [(0.0,), (1.1,)],
    "lognorm": [(0.0,), (-1.0,)],
    "nbinom": [(3.0, 0.0), (0.0, 0.3), (-1.0, 0.3), (2.0, np.nan)],
    "norm": [(0.0, 0.0), (0.0, -1.0), (0.0, np.nan), (np.nan, 1.0)],
    "pareto": [(0.0,), (-2.0,)],
    "poisson": [(-1.0,), (np.nan,)],
    "t": [(0.0,), (-1.0,)],
    "uniform": [(0.0, 0.0), (0.0, -1.0)],
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_parameters_outside_of_their_domain(name: str) -> None:
    x = np.array([-np.inf, -2.5, 0.0, 0.5, 1.0, 4.0, np.inf])
    for parameters in OUTSIDE[name]:
        density = "logpmf" if name in DISCRETE else "logpdf"
        for method in (density, "cdf", "sf", "logcdf", "logsf"):
            found = value(getattr(getattr(gc.stats, name), method), x, *parameters)
            assert np.isnan(found).all(), (method, parameters)


@pytest.mark.parametrize("name", [*CONTINUOUS, *DISCRETE])
def test_unknown_places_stay_unknown(name: str) -> None:
    shapes = (CONTINUOUS | DISCRETE)[name]
    for method in ("logpmf" if name in DISCRETE else "logpdf", "cdf", "sf", "logcdf", "logsf"):
        found = value(getattr(getattr(gc.stats, name), method), np.array([np.nan]), *shapes)
        assert np.isnan(found).all(), method


@pytest.mark.parametrize("name", ["norm", "expon", "logistic", "lognorm", "pareto", "geom"])
def test_far_tails(name: str) -> None:
    shapes = (CONTINUOUS | DISCRETE)[name]
    x = np.array([-30.0, 1.0, 40.0, 1e3, 1e10])
    with np.errstate(divide="ignore"):
        expected = getattr(scipy.stats, name).logsf(x, *shapes)
    found = value(getattr(gc.stats, name).logsf, x, *shapes)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-300)
