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
    "f": (3.0, 5.5),
    "laplace": (),
    "logistic": (),
    "gumbel_l": (),
    "gumbel_r": (),
    "halfcauchy": (),
    "halfnorm": (),
    "invgamma": (1.6,),
    "lognorm": (0.7,),
    "pareto": (2.5,),
    "rayleigh": (),
    "t": (4.0,),
    "weibull_min": (1.8,),
    "exponnorm": (1.5,),
    "fisk": (2.4,),
    "genextreme": (0.2,),
    "gennorm": (1.4,),
    "genpareto": (-0.15,),
    "invgauss": (0.8,),
    "laplace_asymmetric": (1.6,),
    "loguniform": (0.05, 3.0),
    "lomax": (2.5,),
    "maxwell": (),
    "moyal": (),
    "powerlaw": (1.7,),
    "skewnorm": (1.3,),
    "triang": (0.4,),
    "truncexpon": (2.5,),
    "truncnorm": (-0.4, 2.0),
    "vonmises": (1.3,),
    "wrapcauchy": (0.4,),
}
DISCRETE: dict[str, tuple[float, ...]] = {
    "bernoulli": (0.3,),
    "binom": (6.0, 0.4),
    "geom": (0.3,),
    "nbinom": (3.0, 0.6),
    "poisson": (2.7,),
    "betabinom": (6.0, 1.4, 0.7),
    "hypergeom": (14.0, 5.0, 7.0),
    "randint": (1.0, 8.0),
}
VECTORS = (
    "dirichlet",
    "dirichlet_multinomial",
    "multinomial",
    "multivariate_normal",
    "multivariate_t",
)


def value(method: Any, x: Any, *shapes: Any, backend: str = "llvm", **options: Any) -> Any:
    place = gc.placeholder("x", ("n",), "float64")
    constants = [gc.constant(np.float64(one)) for one in shapes]
    return gc.function([place], method(place, *constants, **options), backend=backend)(x)


def at_places(distribution: Any, methods: Any, x: Any, shapes: Any, *options: Any) -> list[Any]:
    """The values of several methods, for each of the options loc, scale: compiled once."""
    place = gc.placeholder("x", ("n",), "float64")
    names = ("loc", "scale")[: len(options[0])]
    last = [gc.placeholder(name, (), "float64") for name in names]
    constants = [gc.constant(np.float64(one)) for one in shapes]
    outputs = [getattr(distribution, method)(place, *constants, *last) for method in methods]
    f = gc.function([place, *last], outputs)
    return [f(x, *map(float, option)) for option in options]


def test_all_are_tested() -> None:
    assert sorted((*CONTINUOUS, *DISCRETE, *VECTORS)) == gc.stats.__all__


@pytest.mark.parametrize("name", CONTINUOUS)
def test_continuous(name: str) -> None:
    ours, theirs = getattr(gc.stats, name), getattr(scipy.stats, name)
    shapes = CONTINUOUS[name]
    x = np.concatenate([np.linspace(-4, 9, 40), [0.3, 0.9, 1.0001, 30.0]])
    methods = ("logpdf", "pdf", "cdf", "sf", "logcdf", "logsf")
    places = [(0, 1), (0.5, 2.0)]
    for options, values in zip(places, at_places(ours, methods, x, shapes, *places), strict=True):
        for method, found in zip(methods, values, strict=True):
            with np.errstate(divide="ignore", invalid="ignore"):
                expected = getattr(theirs, method)(x, *shapes, *options)
            tolerance = 1e-9 if name == "skewnorm" else 1e-10  # scipy's logarithms of its tail
            np.testing.assert_allclose(found, expected, rtol=tolerance, atol=1e-13, err_msg=method)


@pytest.mark.parametrize("name", DISCRETE)
def test_discrete(name: str) -> None:
    ours, theirs = getattr(gc.stats, name), getattr(scipy.stats, name)
    shapes = DISCRETE[name]
    k = np.arange(-2.0, 12)
    methods = ("logpmf", "pmf", "cdf", "sf")
    places = [(0,), (2,)]
    for options, values in zip(places, at_places(ours, methods, k, shapes, *places), strict=True):
        for method, found in zip(methods, values, strict=True):
            expected = getattr(theirs, method)(k, *shapes, *options)
            np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12, err_msg=method)
    assert value(ours.logpmf, np.array([1.5]), *shapes)[0] == -np.inf
    broken = np.array([0.5, 3.2])
    expected = theirs.cdf(np.floor(broken), *shapes)  # hypergeom of scipy has NaN between
    np.testing.assert_allclose(value(ours.cdf, broken, *shapes), expected)


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
        if name in ("hypergeom", "randint"):
            continue  # whose shapes are whole numbers
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
    for method in (gc.stats.poisson.logpdf, gc.stats.poisson.pdf):
        with pytest.raises(AttributeError, match="use logpmf"):
            method(x, 1.0)
    assert repr(gc.stats.beta) == "<graphc distribution beta(a, b, loc, scale)>"


OUTSIDE: dict[str, list[tuple[float, ...]]] = {
    "bernoulli": [(-0.1,), (1.5,), (np.nan,)],
    "beta": [(0.0, 1.0), (1.0, -1.0), (np.nan, 1.0)],
    "binom": [(4.5, 0.3), (-1.0, 0.3), (5.0, 1.2), (np.nan, 0.2)],
    "chi2": [(0.0,), (-1.0,)],
    "f": [(0.0, 1.0), (2.0, -1.0)],
    "gamma": [(0.0,), (-1.0,)],
    "geom": [(0.0,), (1.1,)],
    "lognorm": [(0.0,), (-1.0,)],
    "nbinom": [(3.0, 0.0), (0.0, 0.3), (-1.0, 0.3), (2.0, np.nan)],
    "norm": [(0.0, 0.0), (0.0, -1.0), (0.0, np.nan), (np.nan, 1.0)],
    "pareto": [(0.0,), (-2.0,)],
    "poisson": [(-1.0,), (np.nan,)],
    "t": [(0.0,), (-1.0,)],
    "uniform": [(0.0, 0.0), (0.0, -1.0)],
    "betabinom": [(4.5, 1.0, 1.0), (-1.0, 1.0, 1.0), (4.0, 0.0, 1.0), (np.inf, 1.0, 1.0)],
    "genextreme": [(np.nan,), (np.inf,)],
    "hypergeom": [(9.0, 10.0, 3.0), (9.0, 2.5, 3.0), (9.0, 2.0, 10.0), (np.inf, 2.0, 1.0)],
    "invgauss": [(0.0,), (-1.0,)],
    "loguniform": [(0.0, 1.0), (2.0, 2.0), (-1.0, 2.0)],
    "randint": [(3.0, 3.0), (0.5, 3.0)],
    "skewnorm": [(np.nan,), (np.inf,)],
    "triang": [(-0.1,), (1.1,)],
    "truncnorm": [(1.0, 1.0), (2.0, -1.0), (np.nan, 1.0)],
    "vonmises": [(-0.1,), (np.nan,)],
    "wrapcauchy": [(0.0,), (1.0,)],
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
    methods = ("logpmf" if name in DISCRETE else "logpdf", "cdf", "sf", "logcdf", "logsf")
    (values,) = at_places(getattr(gc.stats, name), methods, np.array([np.nan]), shapes, ())
    for method, found in zip(methods, values, strict=True):
        assert np.isnan(found).all(), method


@pytest.mark.parametrize("name", ["norm", "expon", "logistic", "lognorm", "pareto", "geom"])
def test_far_tails(name: str) -> None:
    shapes = (CONTINUOUS | DISCRETE)[name]
    x = np.array([-30.0, 1.0, 40.0, 1e3, 1e10])
    with np.errstate(divide="ignore"):
        expected = getattr(scipy.stats, name).logsf(x, *shapes)
    found = value(getattr(gc.stats, name).logsf, x, *shapes)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-300)


CLOSED = [
    *("norm", "uniform", "expon", "cauchy", "laplace", "logistic", "gumbel_l", "gumbel_r"),
    *("halfcauchy", "halfnorm", "lognorm", "pareto", "rayleigh", "weibull_min"),
]


@pytest.mark.parametrize("name", CONTINUOUS)
def test_quantiles(name: str) -> None:
    ours, theirs, shapes = getattr(gc.stats, name), getattr(scipy.stats, name), CONTINUOUS[name]
    q = np.concatenate([10.0 ** -np.arange(1, 300, 13), np.linspace(0.02, 0.98, 25), [0.0, 1.0]])
    if name not in CLOSED:
        q = q[(q > 1e-12) | (q == 0)]  # scipy loses digits of some below
    least = 1e-14 if name == "vonmises" else 1e-300  # scipy's middle
    places: list[dict[str, Any]] = [{}, {"loc": 0.5, "scale": 2.0}]
    for options in places:
        for method in ("ppf", "isf"):
            lost = name == "halfnorm" and method == "ppf" and not options  # ndtri((1 + q) / 2)
            used = q[(q > 1e-3) | (q == 0)] if lost else q
            found = value(getattr(ours, method), used, *shapes, **options)
            expected = getattr(theirs, method)(used, *shapes, **options)
            np.testing.assert_allclose(found, expected, rtol=2e-12, atol=least, err_msg=method)
    wrong = np.array([-0.1, 1.1, np.nan, np.inf])
    assert np.isnan(value(ours.ppf, wrong, *shapes)).all()
    assert np.isnan(value(ours.isf, q, *shapes, scale=-1.0)).all()
    arrays = [np.array([0.01, 0.3, 0.8]), *map(np.array, shapes), np.array(0.1), np.array(1.2)]
    gc.verify_grad(lambda *a: ours.ppf(*a), arrays)
    gc.verify_grad(lambda *a: ours.isf(*a), arrays)


def test_half_normal_numbers_near_zero() -> None:
    p = np.array([1e-20, 1e-10])
    np.testing.assert_allclose(value(gc.stats.halfnorm.ppf, p), p * np.sqrt(np.pi / 2), rtol=1e-14)


@pytest.mark.parametrize("name", DISCRETE)
def test_quantiles_of_whole_numbers(name: str) -> None:
    ours, theirs, shapes = getattr(gc.stats, name), getattr(scipy.stats, name), DISCRETE[name]
    q = np.concatenate([np.linspace(0.013, 0.987, 40), [0, 1, 1e-9, 1 - 1e-9, -0.1, 1.1, np.nan]])
    places: list[dict[str, Any]] = [{}, {"loc": 3.0}]
    for options in places:
        for method in ("ppf", "isf"):
            found = value(getattr(ours, method), q, *shapes, **options)
            expected = getattr(theirs, method)(q, *shapes, **options)
            np.testing.assert_array_equal(found, expected, err_msg=method)
    k = np.arange(1.0, 6) if name != "bernoulli" else np.zeros(1)
    for dtype in ("float64", "float32"):
        constants = [np.array(one, dtype) for one in shapes]
        place = gc.placeholder("k", ("n",), dtype)
        there = ours.ppf(ours.cdf(place, *constants), *constants)
        np.testing.assert_array_equal(gc.function([place], there)(k.astype(dtype)), k)
    p, loc = gc.constant(np.array([0.3, 0.9])), gc.constant(np.float64(2.0))
    slopes = gc.grad(gc.sum(ours.ppf(p, *shapes, loc)), [p, loc], disconnected="zero")
    by_p, by_loc = gc.run(slopes)
    assert (by_p == 0).all() and by_loc == 2


def test_quantiles_of_many_whole_numbers() -> None:
    """Far from where the search begins, with shapes that broadcast."""
    q, mu = np.array([1e-200, 1e-5, 0.3, 1 - 1e-6]), np.array([[1e-3], [0.7], [900.0], [1e5]])
    p, shape = gc.placeholder("q", (4,), "float64"), gc.placeholder("mu", (4, 1), "float64")
    methods = [gc.stats.poisson.ppf(p, shape), gc.stats.nbinom.ppf(p, shape, 0.01)]
    poisson, negative = gc.function([p, shape], methods)(q, mu)
    np.testing.assert_array_equal(poisson, scipy.stats.poisson.ppf(q, mu))
    np.testing.assert_array_equal(negative[:3], scipy.stats.nbinom.ppf(q, mu[:3], 0.01))
    isf = value(gc.stats.poisson.isf, np.array([1e-300]), 2.0)
    assert scipy.stats.poisson.logsf(isf, 2.0) <= np.log(1e-300)
    assert scipy.stats.poisson.logsf(isf - 1, 2.0) > np.log(1e-300)


def test_missing_shapes() -> None:
    with pytest.raises(gc.FunctionError, match="got 1 arguments") as error:
        gc.stats.lognorm.isf(0.5)
    assert "isf(q, s, loc, scale)" in str(error.value)


@pytest.mark.parametrize("df", [0.3, 1.0, 4.0, 200.0, 1e7, np.inf])
def test_places_of_student(df: float) -> None:
    q = np.array([1e-40, 1e-20, 1e-3, 0.2, 0.499999, 0.5, 0.6, 0.999])
    p, k = gc.placeholder("q", (8,), "float64"), gc.placeholder("k", (), "float64")
    place = gc.stats.t.isf(p, k)
    back = gc.stats.t.logsf(place, k)
    by_p, by_k = gc.grad(gc.sum(place), [p, k])
    found, log, slope, _ = gc.function([p, k], [place, back, by_p, by_k])(q, df)
    np.testing.assert_allclose(log, np.log(q), rtol=1e-13)
    np.testing.assert_allclose(slope, -np.exp(-scipy.stats.t.logpdf(found, df)), rtol=1e-8)
    assert found[5] == 0


def test_slopes_far_out() -> None:
    """Where z**c overflows, and where the logarithm of a tail has no digits behind the point."""
    x = gc.placeholder("x", (3,), "float64")
    y = gc.stats.gamma.logsf(x, 2.3)
    slopes = gc.function([x], gc.grad(gc.sum(y), x))(np.array([1e9, 1e12, 1e200]))
    np.testing.assert_allclose(slopes, [-1 + 1.3e-9, -1 + 1.3e-12, -1], rtol=1e-15)
    c = gc.constant(np.float64(30.0))
    for method in ("cdf", "sf", "logcdf"):
        y = getattr(gc.stats.weibull_min, method)(x, c)
        for slope in gc.run(gc.grad(gc.sum(y), [x, c]), {x: np.array([1e9, 1e12, 1e200])}):
            np.testing.assert_array_equal(slope, np.zeros_like(slope))


# mpmath with 60 digits
FAR: list[tuple[str, str, float, tuple[float, ...], float]] = [
    ("cauchy", "logpdf", 1e300, (), -1382.695785682277),
    ("t", "logpdf", 1e300, (3.0,), -2761.905775865142),
    ("t", "logpdf", 1.5, (10000000000.0,), -2.04393853321561),
    ("t", "logsf", 1e160, (1.0,), -369.55834476489673),
    ("t", "logsf", 100000.0, (100.0,), -924.2580612772533),
    ("t", "logcdf", -50.0, (1000000.0,), -1253.2702122421226),
    ("t", "sf", 1.5, (10000000000.0,), 0.06680720128464303),
    ("t", "sf", 0.001, (10000000000.0,), 0.4996010577860989),
    ("gamma", "logsf", 3000.0, (2.3,), -2989.745478334238),
    ("gamma", "logcdf", 1e-200, (2.3,), -1060.1762413551558),
    ("gamma", "logcdf", 1000.0, (10000.0,), -14031.269698821252),
    ("chi2", "logsf", 5000.0, (3.0,), -2495.966994816902),
    ("chi2", "logcdf", 1e-300, (0.6,), -207.33242771412424),
    ("invgamma", "logcdf", 0.0001, (1.6,), -9994.361144015316),
    ("invgamma", "logsf", 1e300, (1.6,), -1105.598256500691),
    ("beta", "logcdf", 1e-250, (1.7, 0.8), -978.9008618840514),
    ("beta", "logsf", 1e-60, (1.7, 0.8), -7.391921623576509e-103),
    ("beta", "logcdf", 0.001, (400.0, 3.0), -2751.8068412656326),
    ("cauchy", "logcdf", 1e20, (), -3.1830988618379067e-21),
    ("laplace", "logcdf", -2000.0, (), -2000.69314718056),
    ("laplace", "logsf", -60.0, (), -4.37825538134826e-27),
    ("gumbel_r", "logsf", 900.0, (), -900.0),
    ("gumbel_l", "logcdf", -900.0, (), -900.0),
    ("gumbel_r", "logsf", -3.0, (), -1.8921786966284627e-09),
    ("expon", "logcdf", 50.0, (), -1.9287498479639178e-22),
    ("pareto", "logcdf", 10000000000.0, (2.5,), -1e-25),
    ("rayleigh", "logcdf", 1e-200, (), -921.7271843781782),
    ("weibull_min", "logcdf", 1e-250, (1.8,), -1036.1632918473206),
    ("halfnorm", "logsf", 1e-30, (), -7.978845608028654e-31),
    ("halfnorm", "logsf", 60.0, (), -1804.3204135000071),
    ("uniform", "logsf", 1e-40, (), -1e-40),
    ("poisson", "logsf", 3.0, (50.0,), -4.269159205144934e-18),
    ("poisson", "logcdf", 40.0, (2000.0,), -1806.2643490272062),
    ("poisson", "logsf", 2000.0, (2.0,), -11829.137245048107),
    ("nbinom", "logsf", 0.0, (40.0, 0.3), -1.2157665459056911e-21),
    ("binom", "logcdf", 45.0, (200.0, 0.1), -6.497064964104755e-08),
    ("binom", "logcdf", 3.0, (2000.0, 0.9), -4577.568898133931),
    ("geom", "logcdf", 100.0, (0.3,), -3.2344765096247636e-16),
    ("bernoulli", "logsf", 0.0, (1e-09,), -20.72326583694641),
    ("skewnorm", "logcdf", -3.0, (5.0,), -125.22228881458466),
    ("skewnorm", "logcdf", -30.0, (0.3,), -497.34332447947882),
    ("skewnorm", "logsf", 0.05, (-1000.0,), -1265.8789804992896),
    ("skewnorm", "logsf", 40.0, (2.0,), -803.91529483319384),
    ("exponnorm", "logcdf", -20.0, (30.0,), -210.32068891091561),
    ("exponnorm", "logcdf", 0.5, (10000.0,), -9.5702426000599816),
    ("exponnorm", "logsf", 60.0, (0.05,), -999.99999999999996),
    ("invgauss", "logcdf", 0.002, (2.0,), -252.83533450899031),
    ("invgauss", "logsf", 30.0, (0.3,), -171.09434238266455),
    ("invgauss", "logsf", 5000.0, (1000000.0,), -4.4845089083153125),
    ("vonmises", "logcdf", -2.0, (300.0,), -428.51851664657149),
    ("vonmises", "logsf", 0.4, (100000.0,), -7899.6329618714989),
    ("truncnorm", "logsf", 39.9, (30.0, 40.0), -346.30823020377826),
    ("truncnorm", "logsf", 2.00005, (2.0, 2.0001), -0.69319718305555638),
    ("truncnorm", "logsf", 49.5, (0.0, 50.0), -1229.253171728283),
    ("moyal", "logsf", 3000.0, (), -1500.2257913526447),
    ("gennorm", "logsf", 30.0, (1.4,), -119.24156559752065),
    ("genextreme", "logsf", 200.0, (1e-09,), -200.00002000000267),
    ("genpareto", "logsf", 20.0, (1e-12,), -19.9999999998),
    ("fisk", "logsf", 1e200, (3.0,), -1381.5510557964274),
    ("truncexpon", "logsf", 49.999, (50.0,), -56.907255237317802),
    ("hypergeom", "logsf", 80.0, (1000.0, 200.0, 100.0), -102.2856487752426),
    ("betabinom", "logcdf", 5.0, (300.0, 80.0, 3.0), -167.6650500424369),
]


@pytest.mark.parametrize("case", FAR)
def test_far_tails_keep_their_digits(
    case: tuple[str, str, float, tuple[float, ...], float],
) -> None:
    name, method, x, shapes, expected = case
    place = gc.placeholder("x", (), "float64")
    found = getattr(getattr(gc.stats, name), method)(place, *map(np.float64, shapes))
    value, slope = gc.function([place], [found, gc.grad(found, place)])(x)
    np.testing.assert_allclose(value, expected, rtol=3e-14)
    assert np.isfinite(slope)


def test_student_goes_to_normal() -> None:
    x, df = gc.placeholder("x", ("n",), "float64"), gc.placeholder("df", ("m", 1), "float64")
    methods = ("logpdf", "cdf", "sf", "logcdf", "logsf")
    student = [getattr(gc.stats.t, method)(x, df) for method in methods]
    normal = [getattr(gc.stats.norm, method)(x) for method in methods]
    places = np.array([-40.0, -0.3, 0.0, 0.7, 12.0, 300.0])
    found = gc.function([x, df], [*student, *normal])(places, [[np.inf], [1e18], [1e300]])
    for method, ours, theirs in zip(methods, found[:5], found[5:], strict=True):
        for row in ours:
            np.testing.assert_allclose(row, theirs, rtol=1e-11, atol=1e-300, err_msg=method)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_densities_of_infinite_places(name: str) -> None:
    found = value(getattr(gc.stats, name).logpdf, np.array([-np.inf, np.inf]), *CONTINUOUS[name])
    assert (found == -np.inf).all()


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize(
    "name", ["lognorm", "invgamma", "gumbel_l", "gumbel_r", "weibull_min", "rayleigh", "cauchy"]
)
def test_smaller_dtypes(name: str, dtype: str) -> None:
    """Values and slopes are those of float64, rounded: at the edge of the support and far off."""
    distribution, shapes = getattr(gc.stats, name), CONTINUOUS[name]
    methods = ("logpdf", "cdf", "sf", "logcdf", "logsf")
    tenths = 10.0 ** np.arange(-4.0, 5.0)
    x = np.concatenate([-tenths, [0.0], tenths])
    x = gc.run(gc.constant(x).astype(dtype), {})
    small = gc.run(gc.constant(np.array([*shapes, 1.0])).astype(dtype), {})[:-1]
    results = []
    for kind in (dtype, "float64"):
        place = gc.placeholder("x", ("n",), kind)
        constants = [
            gc.constant(one.astype(kind if kind == "float64" else one.dtype)) for one in small
        ]
        outputs = [getattr(distribution, method)(place, *constants) for method in methods]
        outputs += [gc.grad(gc.sum(y.astype("float64")), place) for y in outputs[::3]]
        results.append(gc.function([place], outputs)(x.astype(kind) if kind == "float64" else x))
    tolerance = 8 * float(gc.finfo(dtype).eps)
    for found, wide in zip(*results, strict=True):
        largest = float(gc.finfo(dtype).max)
        expected = np.where(np.abs(wide) > largest, np.copysign(np.inf, wide), wide)
        assert found.dtype == dtype
        np.testing.assert_allclose(
            found.astype("float64"), expected, rtol=tolerance, atol=tolerance / 8
        )
