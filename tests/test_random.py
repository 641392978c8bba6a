"""gc.random: distributions, equal numbers on every backend, gradients, streams, errors."""

import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special, stats

import graphc as gc
from graphc.errors import DTypeError, GradientError, ParameterError, ShapeError

R = gc.random
COUNT = 20_000
SIGNIFICANT = 1e-4  # of a fixed seed: a failure is a defect, not chance

Build = Callable[[gc.Tensor, tuple[int, ...], str], gc.Tensor]


def value(tensor: Any, backend: str = "llvm") -> Any:
    return gc.function([], tensor, backend=backend)()


EDGES = np.linspace(-19.0, 21.0, 20001)
SIDE = 0.5 * np.sign(EDGES - 1) * stats.maxwell.cdf(np.abs(EDGES - 1) / 2)
DOUBLE_MAXWELL = np.diff(SIDE) / np.diff(EDGES), EDGES

# Name -> expression in the standard form, its distribution function, mean and variance.
CONTINUOUS: dict[str, tuple[Build, Any]] = {
    "uniform": (R.uniform, stats.uniform()),
    "uniform on an interval": (lambda k, s, d: R.uniform(k, s, d, -3, 5), stats.uniform(-3, 8)),
    "normal": (R.normal, stats.norm()),
    "normal with parameters": (lambda k, s, d: R.normal(k, s, d, 5, 0.5), stats.norm(5, 0.5)),
    "exponential": (R.exponential, stats.expon()),
    "exponential with scale": (lambda k, s, d: R.exponential(k, s, d, 3.0), stats.expon(0, 3)),
    "laplace": (lambda k, s, d: R.laplace(k, s, d, 1, 2), stats.laplace(1, 2)),
    "gumbel": (lambda k, s, d: R.gumbel(k, s, d, 1, 2), stats.gumbel_r(1, 2)),
    "logistic": (lambda k, s, d: R.logistic(k, s, d, 1, 2), stats.logistic(1, 2)),
    "cauchy": (lambda k, s, d: R.cauchy(k, s, d, 1, 2), stats.cauchy(1, 2)),
    "gamma below 1": (lambda k, s, d: R.gamma(k, s, 0.3, d), stats.gamma(0.3)),
    "gamma of 1": (lambda k, s, d: R.gamma(k, s, 1.0, d, 2.0), stats.gamma(1, 0, 2)),
    "gamma above 1": (lambda k, s, d: R.gamma(k, s, 42.0, d), stats.gamma(42)),
    "beta below 1": (lambda k, s, d: R.beta(k, s, 0.4, 0.7, d), stats.beta(0.4, 0.7)),
    "beta above 1": (lambda k, s, d: R.beta(k, s, 3.0, 9.0, d), stats.beta(3, 9)),
    "lognormal": (
        lambda k, s, d: R.lognormal(k, s, d, 0.5, 0.4),
        stats.lognorm(0.4, 0, 1.6487212707),
    ),
    "maxwell": (lambda k, s, d: R.maxwell(k, s, d, 1.0, 2.0), stats.maxwell(1, 2)),
    "double_sided_maxwell": (
        lambda k, s, d: gc.square(R.double_sided_maxwell(k, s, d)),
        stats.chi2(3),
    ),
    "double_sided_maxwell with parameters": (
        lambda k, s, d: R.double_sided_maxwell(k, s, d, 1.0, 2.0),
        stats.rv_histogram(DOUBLE_MAXWELL, density=True),
    ),
    "wald": (lambda k, s, d: R.wald(k, s, 2.0, d), stats.invgauss(2.0)),
    "wald with scale": (lambda k, s, d: R.wald(k, s, 0.5, d, 3.0), stats.invgauss(0.5 / 3, 0, 3)),
    "triangular": (
        lambda k, s, d: R.triangular(k, s, -1, 0.5, 3, d),
        stats.triang(1.5 / 4, -1, 4),
    ),
    "triangular that falls": (
        lambda k, s, d: R.triangular(k, s, 0, 0, 2, d),
        stats.triang(0, 0, 2),
    ),
    "triangular that rises": (
        lambda k, s, d: R.triangular(k, s, 0, 2, 2, d),
        stats.triang(1, 0, 2),
    ),
    "f": (lambda k, s, d: R.f(k, s, 3.0, 12.0, d), stats.f(3, 12)),
    "generalized_normal": (lambda k, s, d: R.generalized_normal(k, s, 3.0, d), stats.gennorm(3)),
    "generalized_normal below 1": (
        lambda k, s, d: R.generalized_normal(k, s, 0.7, d),
        stats.gennorm(0.7),
    ),
    "radius in a ball": (
        lambda k, s, d: gc.linalg.vector_norm(R.ball(k, 3, shape=s, dtype=d), axis=-1) ** 3,
        stats.uniform(),
    ),
    "angle in a ball": (
        lambda k, s, d: R.ball(k, 2, 1.0, s, d)[:, 1],
        stats.triang(0.5, -1, 2),
    ),
    "entries of orthogonal matrices": (
        lambda k, s, d: gc.square(R.orthogonal(k, 3, (s[0],), d)[:, 1, 2]),
        stats.beta(0.5, 1),
    ),
    "rayleigh": (lambda k, s, d: R.rayleigh(k, s, d, 2.0), stats.rayleigh(0, 2)),
    "weibull": (lambda k, s, d: R.weibull(k, s, 0.7, d, 3.0), stats.weibull_min(0.7, 0, 3)),
    "pareto": (lambda k, s, d: R.pareto(k, s, 5.0, d, 2.0), stats.pareto(5, 0, 2)),
    "chisquare": (lambda k, s, d: R.chisquare(k, s, 3.0, d), stats.chi2(3)),
    "loggamma": (lambda k, s, d: R.loggamma(k, s, 0.05, d), stats.loggamma(0.05)),
    "student_t": (lambda k, s, d: R.student_t(k, s, 1.7, d, 1, 2), stats.t(1.7, 1, 2)),
    "dirichlet": (
        lambda k, s, d: R.dirichlet(k, np.array([0.5, 1.5, 3.0]), s, d)[:, 0],
        stats.beta(0.5, 4.5),
    ),
    "truncated normal": (
        lambda k, s, d: R.truncated_normal(k, s, -1, 2, d),
        stats.truncnorm(-1, 2),
    ),
    "normal far out": (
        lambda k, s, d: R.truncated_normal(k, s, 8, np.inf, d),
        stats.truncnorm(8, np.inf),
    ),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CONTINUOUS)
def test_numbers_have_the_distribution(name: str, dtype: str) -> None:
    """Kolmogorov and Smirnov; and moments, where they exist."""
    build, distribution = CONTINUOUS[name]
    found = value(build(R.key(2024), (COUNT,), dtype))
    assert found.dtype == dtype and found.shape == (COUNT,)
    numbers = found.astype(np.float64)
    assert stats.kstest(numbers, distribution.cdf).pvalue > SIGNIFICANT
    if math.isfinite(distribution.var()):
        assert abs(numbers.mean() - distribution.mean()) < 4.5 * distribution.std() / COUNT**0.5
        assert numbers.std() == pytest.approx(distribution.std(), rel=0.08)


DISCRETE: dict[str, tuple[Callable[[gc.Tensor, int], gc.Tensor], Any]] = {
    "integers": (lambda k, n: R.integers(k, (n,), -3, 8), stats.randint(-3, 8)),
    "two integers": (lambda k, n: R.integers(k, (n,), 0, 2, "int8"), stats.randint(0, 2)),
    "bernoulli": (lambda k, n: R.bernoulli(k, (n,), 0.3).astype("int32"), stats.bernoulli(0.3)),
    "poisson of 0.1": (lambda k, n: R.poisson(k, (n,), 0.1), stats.poisson(0.1)),
    "poisson of 9.9": (lambda k, n: R.poisson(k, (n,), 9.9, "float32"), stats.poisson(9.9)),
    "poisson of 10": (lambda k, n: R.poisson(k, (n,), 10.0), stats.poisson(10)),
    "poisson of 300": (lambda k, n: R.poisson(k, (n,), 300.0), stats.poisson(300)),
    "binomial of few": (lambda k, n: R.binomial(k, (n,), 20, 0.15), stats.binom(20, 0.15)),
    "binomial of many": (lambda k, n: R.binomial(k, (n,), 70, 0.8), stats.binom(70, 0.8)),
    "geometric": (lambda k, n: R.geometric(k, (n,), 0.2), stats.geom(0.2)),
    "negative binomial": (
        lambda k, n: R.negative_binomial(k, (n,), 3.5, 0.4),
        stats.nbinom(3.5, 0.4),
    ),
    "multinomial": (
        lambda k, n: R.multinomial(k, 12, np.array([2.0, 1.0, 5.0, 0.0]), (n,))[:, 2],
        stats.binom(12, 5 / 8),
    ),
    "categorical": (
        lambda k, n: R.categorical(k, np.log(np.array([1, 2, 3, 4], "f4")), shape=(n,)),
        stats.rv_discrete(values=([0, 1, 2, 3], [0.1, 0.2, 0.3, 0.4])),
    ),
    "choice": (
        lambda k, n: R.choice(k, np.array([2, 3, 5]), (n,), p=[0.5, 0.25, 0.25]),
        stats.rv_discrete(values=([2, 3, 5], [0.5, 0.25, 0.25])),
    ),
    "equal choice": (lambda k, n: R.choice(k, 7, (n,)), stats.randint(0, 7)),
}


@pytest.mark.parametrize("name", DISCRETE)
def test_counts_have_the_distribution(name: str) -> None:
    """Chi-square over the values that are expected at least 8 times."""
    build, distribution = DISCRETE[name]
    found = value(build(R.key(7), COUNT)).astype(np.int64)
    low, high = int(found.min()), int(found.max())
    assert distribution.pmf(low) > 0 and distribution.pmf(high) > 0
    expected = distribution.pmf(np.arange(low, high + 1)) * COUNT
    observed = np.bincount(found - low, minlength=high - low + 1).astype(float)
    common = expected >= 8
    others = max(COUNT - expected[common].sum(), 1e-9)
    statistic = ((observed - expected)[common] ** 2 / expected[common]).sum()
    freedom = common.sum() - 1
    if others >= 8:
        statistic += (observed[~common].sum() - others) ** 2 / others
        freedom += 1
    assert stats.chi2.sf(statistic, freedom) > SIGNIFICANT


def test_rates_of_one_array_may_be_small_and_large() -> None:
    rate = np.array([[0.0], [0.5], [9.0], [11.0], [1e6]])
    given = gc.placeholder("rate", (None, 1), "float64")
    sample = R.poisson(R.key(3), (given.shape[0], 4000), given)
    found = gc.function([given], sample)(rate)
    assert (found[0] == 0).all()
    for row, mean in zip(found[1:], rate[1:, 0], strict=True):
        assert abs(row.mean() - mean) < 4.5 * (mean / 4000) ** 0.5
        assert row.var() == pytest.approx(mean, rel=0.12)


def test_normal_tails_are_there() -> None:
    """As many numbers beyond 3, 4 and 5 standard deviations as there should be."""
    count = 1 << 22
    for dtype in ("float32", "float64"):
        size = np.abs(value(R.normal(R.key(0), (count,), dtype)))
        for bound in (3, 4, 5):
            expected = 2 * stats.norm.sf(bound) * count
            assert abs((size > bound).sum() - expected) < 4.5 * expected**0.5


def test_smallest_and_largest_words_give_finite_numbers() -> None:
    """The formulas at the ends of their ranges, where logarithms meet 0."""
    from graphc.random.continuous import standard_gumbel, standard_normal
    from graphc.random.keys import Draws
    from graphc.random.uniforms import open_unit, unit

    class Fixed(Draws):
        def __init__(self, word: int) -> None:
            super().__init__(R.key(0))
            self.word = word

        def bits(self, shape: Any, dtype: Any = gc.uint32) -> gc.Tensor:
            return gc.full(shape, self.word, np.uint64).astype(dtype)

    for word in (0, 2**64 - 1):
        for dtype in (gc.float32, gc.float64):
            draws = Fixed(word)
            u, v = value([unit(draws, (3,), dtype), open_unit(draws, (3,), dtype)])
            assert u.min() >= 0 and u.max() < 1 and v.min() > 0 and v.max() <= 1
            found = [standard_gumbel(draws, (3,), dtype), standard_normal(draws, (3,), dtype)]
            found += [gc.random.logistic(draws, (3,), dtype), gc.random.laplace(draws, (3,), dtype)]
            found += [gc.random.cauchy(draws, (3,), dtype)]
            for numbers in value(found):
                assert np.isfinite(numbers).all()


# --- backends ----------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["interpreter", "llvm", "numba_cpu"])
def test_equal_bits_on_every_backend(backend: str) -> None:
    x = gc.placeholder("x", ("n", "m"))
    key = gc.placeholder("key", (), "uint64")
    keys = R.split(key, 4)
    outputs = [
        keys,
        R.bits(keys[0], x.shape),
        R.uniform(keys[1], x.shape),
        R.uniform(keys[1], x.shape, "float64", -0.3, 0.7),
        R.integers(keys[2], x.shape, -7, 11),
        R.integers(keys[3], x.shape, 0, 2**40 + 3),
        R.bernoulli(R.fold_in(key, 9), x.shape, 0.1),
    ]
    options: dict[str, Any] = {"on_unused_input": "ignore"}
    run = gc.function([key, x], outputs, backend=backend, check=True, **options)
    oracle = gc.function([key, x], outputs, backend="reference", **options)
    for shape in ((5, 21), (1, 1), (0, 4)):
        feeds = np.uint64(12345), np.zeros(shape, np.float32)
        for found, expected in zip(run(*feeds), oracle(*feeds), strict=True):
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", ["normal", "gumbel", "gamma below 1", "beta above 1", "cauchy"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_agree_with_the_reference(name: str, dtype: str) -> None:
    tensor = CONTINUOUS[name][0](R.key(4), (257,), dtype)
    precision = 3e-5 if dtype == "float32" else 1e-11
    np.testing.assert_allclose(
        value(tensor), value(tensor, "reference"), rtol=precision, atol=precision
    )


def test_numbers_do_not_depend_on_the_process() -> None:
    program = (
        "import graphc as gc; r = gc.random.Stream(5)\n"
        "f = gc.function([], [r.bits((3,)), r.integers((2,), 0, 10**6)]); f()\n"
        "print([a.tolist() for a in f()])"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "77")
    }
    rng = R.Stream(5)
    f = gc.function([], [rng.bits((3,)), rng.integers((2,), 0, 10**6)], backend="reference")
    f()
    assert outputs == {f"{[a.tolist() for a in f()]}\n"}


def test_graphs_with_random_numbers_read_back() -> None:
    """Before the passes, with the op; and after them, with its rounds and symbolic chunks."""
    from graphc.ir.parser import parse_graph
    from graphc.ir.printer import format_graph

    x = gc.placeholder("x", ("n", 4))
    f = gc.function([x], gc.sum(x * R.Stream(1, "noise").normal(x.shape)))
    for graph in (f.stages.user_graph, f.stages.graph):
        text = format_graph(graph)
        assert format_graph(parse_graph(text)) == text


# --- keys --------------------------------------------------------------------------------------


def test_keys_of_one_seed_are_equal_and_others_are_not() -> None:
    def numbers(key: gc.Tensor) -> np.ndarray:
        found: np.ndarray = value(R.bits(key, (64,)))
        return found

    parent = R.key(1)
    children = R.split(parent, 3)
    different = [
        R.key(0),
        parent,
        R.key(-1),
        children[0],
        children[2],
        R.fold_in(parent, 0),
        R.fold_in(parent, 1),
        R.fold_in(children[0], 0),
    ]
    arrays = [numbers(key) for key in different]
    for position, one in enumerate(arrays):
        for other in arrays[:position]:
            assert (one == other).mean() < 0.05
    np.testing.assert_array_equal(numbers(R.key(1)), arrays[1])
    np.testing.assert_array_equal(numbers(R.key(2**64 - 1)), arrays[2])
    np.testing.assert_array_equal(value(R.split(parent, 40))[:3], value(children))


def test_seeds_and_data_may_be_tensors() -> None:
    step = gc.placeholder("step", (), "int32")
    outputs = [R.key(step), R.fold_in(R.key(1), step)]
    found = gc.function([step], outputs)(np.int32(3))
    assert found[0] == 3 and found[1] == value(R.fold_in(R.key(1), 3))


def test_two_keys_unpack() -> None:
    one, other = R.split(R.key(0))
    assert value(one) != value(other) and one.shape == ()


# --- shapes and dtypes -------------------------------------------------------------------------

FUNCTIONS: dict[str, Callable[[gc.Tensor, Any], gc.Tensor]] = {
    "bits": R.bits,
    "uniform": R.uniform,
    "normal": R.normal,
    "bernoulli": R.bernoulli,
    "integers": lambda k, s: R.integers(k, s, 0, 9),
    "rademacher": R.rademacher,
    "exponential": R.exponential,
    "laplace": R.laplace,
    "gumbel": R.gumbel,
    "logistic": R.logistic,
    "cauchy": R.cauchy,
    "gamma": lambda k, s: R.gamma(k, s, 2.0),
    "beta": lambda k, s: R.beta(k, s, 2.0, 3.0),
    "poisson": lambda k, s: R.poisson(k, s, 3.0),
    "loggamma": lambda k, s: R.loggamma(k, s, 0.5),
    "lognormal": R.lognormal,
    "rayleigh": R.rayleigh,
    "maxwell": R.maxwell,
    "double_sided_maxwell": R.double_sided_maxwell,
    "wald": R.wald,
    "triangular": R.triangular,
    "f": lambda k, s: R.f(k, s, 3.0, 4.0),
    "generalized_normal": lambda k, s: R.generalized_normal(k, s, 1.5),
    "weibull": lambda k, s: R.weibull(k, s, 2.0),
    "pareto": lambda k, s: R.pareto(k, s, 2.0),
    "chisquare": lambda k, s: R.chisquare(k, s, 3.0),
    "student_t": lambda k, s: R.student_t(k, s, 3.0),
    "binomial": lambda k, s: R.binomial(k, s, 9, 0.3),
    "geometric": lambda k, s: R.geometric(k, s, 0.3),
    "negative_binomial": lambda k, s: R.negative_binomial(k, s, 2, 0.3),
    "truncated_normal": R.truncated_normal,
    "choice": lambda k, s: R.choice(k, 5, s),
    "categorical": lambda k, s: R.categorical(k, np.zeros(3, "f4"), shape=s),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_shapes(name: str) -> None:
    for shape in ((), (0,), (1,), (3, 0), (2, 3, 5)):
        assert value(FUNCTIONS[name](R.key(0), shape), "reference").shape == shape
    assert value(FUNCTIONS[name](R.key(0), 4), "reference").shape == (4,)


SEVERAL_FOR_EACH = {"gamma", "beta", "categorical", "loggamma", "chisquare", "student_t"}
SEVERAL_FOR_EACH |= {"negative_binomial", "f", "generalized_normal"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_symbolic_shapes(name: str) -> None:
    """Compiled once; an array of fixed size holds the same numbers."""
    x = gc.placeholder("x", ("n", 3))
    run = gc.function([x], FUNCTIONS[name](R.key(0), (x.shape[0], 2)), on_unused_input="ignore")
    for size in (0, 1, 33):
        found = run(np.zeros((size, 3), np.float32))
        assert found.shape == (size, 2)
        if name not in SEVERAL_FOR_EACH:
            expected = value(FUNCTIONS[name](R.key(0), (size, 2)))
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint32", "int64", "uint64"])
def test_integers_of_every_dtype_reach_both_ends(dtype: str) -> None:
    limits = np.iinfo(dtype)
    whole = value(R.integers(R.key(1), (5000,), int(limits.min), dtype=dtype))
    assert whole.dtype == dtype
    middle = (float(limits.max) + float(limits.min)) / 2
    assert 0.46 < (whole.astype(float) > middle).mean() < 0.54
    if limits.bits == 8:
        assert whole.min() == limits.min and whole.max() == limits.max
    few = value(R.integers(R.key(1), (300,), int(limits.max) - 2, int(limits.max) + 1, dtype))
    assert set(few.tolist()) == {limits.max - 2, limits.max - 1, limits.max}


def test_bounds_of_integers_may_be_tensors_and_sizes() -> None:
    low = gc.placeholder("low", (None,), "int64")
    wide = R.integers(R.key(0), None, low, low + 3)
    index = R.integers(R.key(0), (1000,), 0, low.shape[0])
    found, positions = gc.function([low], [wide, index])(np.array([-(2**62), -1, 0, 2**60]))
    assert (found >= [-(2**62), -1, 0, 2**60]).all()
    assert (found < [-(2**62) + 3, 2, 3, 2**60 + 3]).all()
    assert set(positions.tolist()) == {0, 1, 2, 3}


def test_half_precision() -> None:
    """Few values, so no test of distribution: ranges and moments."""
    u, z = value([R.uniform(R.key(1), (5000,), "float16"), R.normal(R.key(2), (5000,), "float16")])
    assert u.dtype == z.dtype == np.float16
    assert u.min() >= 0 and u.max() < 1 and abs(u.astype(float).mean() - 0.5) < 0.02
    assert abs(z.astype(float).mean()) < 0.06 and abs(z.astype(float).std() - 1) < 0.05


def test_float32_makes_float32() -> None:
    scale = gc.placeholder("scale", (3,), "float64")
    for tensor in (
        R.normal(R.key(0), (2, 3), scale=scale),
        R.uniform(R.key(0), (2, 3), maxval=scale),
        R.gamma(R.key(0), None, scale),
    ):
        assert tensor.dtype == np.float32


def test_parameters_broadcast() -> None:
    loc = np.array([0.0, 100.0, -50.0], np.float32)
    found = value(R.normal(R.key(0), (4000, 3), loc=loc, scale=np.float32(2)))
    np.testing.assert_allclose(found.mean(axis=0), loc, atol=0.2)
    assert value(R.bernoulli(R.key(0), p=np.array([0.0, 1.0, 0.5]))).tolist()[:2] == [False, True]
    assert value(R.beta(R.key(0), None, np.ones(3), np.ones((2, 1)))).shape == (2, 3)


WITH_PARAMETERS = {
    "normal": ("loc", "scale"),
    "laplace": ("loc", "scale"),
    "gumbel": ("loc", "scale"),
    "logistic": ("loc", "scale"),
    "cauchy": ("loc", "scale"),
    "lognormal": ("loc", "scale"),
    "maxwell": ("loc", "scale"),
    "double_sided_maxwell": ("loc", "scale"),
    "student_t": ("loc", "scale"),
    "truncated_normal": ("loc", "scale"),
    "uniform": ("minval", "maxval"),
    "gamma": ("a", "scale"),
    "weibull": ("a", "scale"),
    "pareto": ("a", "scale"),
    "wald": ("mean", "scale"),
    "beta": ("a", "b"),
    "exponential": ("scale",),
    "rayleigh": ("scale",),
    "poisson": ("rate",),
    "geometric": ("p",),
    "bernoulli": ("p",),
}


@pytest.mark.parametrize("name", WITH_PARAMETERS)
def test_the_shape_is_that_of_the_parameters(name: str) -> None:
    draw, parameters = getattr(R, name), WITH_PARAMETERS[name]
    shapes = [("n", 1), (3,)][: len(parameters)]
    given = [gc.placeholder(p, s) for p, s in zip(parameters, shapes, strict=True)]
    drawn = draw(R.key(0), **dict(zip(parameters, given, strict=True)))
    assert drawn.shape == ((gc.dim("n"), 3) if len(shapes) == 2 else (gc.dim("n"), 1))
    again = draw(R.key(0), drawn.shape, **dict(zip(parameters, given, strict=True)))
    arrays = [np.full((2, 1), 0.5), np.array([0.6, 0.75, 1.0])][: len(shapes)]
    first, second = gc.function(given, [drawn, again])(*(a.astype("f") for a in arrays))
    np.testing.assert_array_equal(first, second)
    assert draw(R.key(0)).shape == ()


def test_bounds_of_integers_have_a_shape() -> None:
    high = gc.placeholder("high", (3,), "int64")
    drawn = R.integers(R.key(0), low=-1, high=high)
    assert drawn.shape == (3,)
    assert gc.run(drawn, {high: [0, 0, 0]}).tolist() == [-1, -1, -1]


def test_streams_take_size_as_theano_and_numpy_do() -> None:
    x = gc.placeholder("x", ("n", 3))
    mask = R.Stream(1).binomial(size=x.shape, n=1, p=0.5, dtype=x.dtype)  # type: ignore[call-arg]
    assert mask.dtype == x.dtype
    again = R.Stream(1).binomial(x.shape, 1, 0.5, x.dtype)
    first, second = gc.function([x], [mask, again])(np.zeros((5, 3), "f"))
    np.testing.assert_array_equal(first, second)
    assert set(np.unique(first)) == {0, 1}
    with pytest.raises(gc.ArgumentError, match="use shape="):
        R.normal(R.key(0), size=(3,))  # type: ignore[call-arg]


@pytest.mark.parametrize("p", [0.0, 0.25, 1.0, [0.1, 0.9]])
def test_one_trial_is_a_coin(p: Any) -> None:
    shape = (20_000, 2)
    drawn = value(R.binomial(R.key(3), shape, 1, p, "float32"))
    np.testing.assert_array_equal(drawn, value(R.bernoulli(R.key(3), shape, p)))
    np.testing.assert_allclose(drawn.mean(axis=0), np.broadcast_to(p, 2), atol=0.02)


def test_categorical_takes_axis_and_batch() -> None:
    logits = np.full((3, 2), -np.inf, np.float32)
    logits[[2, 0], [0, 1]] = 0.0
    tensor = gc.constant(logits)
    assert value(R.categorical(R.key(0), tensor, axis=0)).tolist() == [2, 0]
    many = value(R.categorical(R.key(0), tensor, axis=0, shape=(5, 2)))
    assert many.tolist() == [[2, 0]] * 5
    rows = value(R.choice(R.key(0), np.arange(12.0).reshape(3, 4), (2, 5), axis=1))
    assert rows.shape == (3, 2, 5) and (rows[1] - rows[0] == 4).all()


def test_rademacher_is_a_sign() -> None:
    for dtype in ("float32", "int8"):
        found = value(R.rademacher(R.key(0), (4000,), dtype))
        assert set(found.tolist()) == {-1, 1} and abs(found.mean()) < 0.07


# --- gradients ---------------------------------------------------------------------------------


def test_gradients_of_location_and_scale() -> None:
    """d mean(mu + sigma z) = (1, mean z), with the z of the same key."""
    mu, sigma = gc.variable(0.5, "mu"), gc.variable(2.0, "sigma")
    for draw in (R.normal, R.laplace, R.gumbel, R.logistic):
        numbers = draw(R.key(3), (100,), loc=mu, scale=sigma)
        found = value(gc.grad(gc.mean(numbers), [mu, sigma]))
        assert found[0] == pytest.approx(1, rel=1e-5)
        assert found[1] == pytest.approx(value(draw(R.key(3), (100,))).mean(), rel=1e-3, abs=1e-6)
    numbers = R.exponential(R.key(3), (100,), scale=sigma)
    expected = value(R.exponential(R.key(3), (100,))).mean()
    assert value(gc.grad(gc.mean(numbers), sigma)) == pytest.approx(expected, rel=1e-5)
    low = gc.variable(-1.0, "low")
    u = value(R.uniform(R.key(3), (100,)))
    found = value(gc.grad(gc.mean(R.uniform(R.key(3), (100,), minval=low)), low))
    assert found == pytest.approx(1 - u.mean(), rel=1e-5)


def test_gradients_are_finite_differences() -> None:
    def path(mu: gc.Tensor, sigma: gc.Tensor) -> gc.Tensor:
        return gc.sum(gc.tanh(R.normal(R.key(1), (7, 3), "float64", mu, sigma)))

    gc.verify_grad(path, [np.array([0.1, -1.0, 2.0]), np.array(0.7)])

    def bounds(lower: gc.Tensor, upper: gc.Tensor) -> gc.Tensor:
        return gc.sum(gc.square(R.truncated_normal(R.key(1), (5,), lower, upper, "float64")))

    gc.verify_grad(bounds, [np.array(-0.4), np.array(1.3)])


def test_dropout_takes_one_pass_and_masks_its_gradient() -> None:
    x = gc.placeholder("x", ("n", 8))
    rng = R.Stream(0)
    keep = rng.bernoulli(x.shape, 0.8)
    dropped = gc.where(keep, x / 0.8, 0)
    gradient = gc.grad(gc.sum(dropped), x)
    run = gc.function([x], [dropped, gradient, keep])
    array = np.ones((50, 8), np.float32)
    found, slopes, mask = run(array)
    np.testing.assert_array_equal(found, np.where(mask, np.float32(1 / 0.8), 0))
    np.testing.assert_allclose(slopes, np.where(mask, np.float32(1 / 0.8), 0), rtol=1e-6)
    program = gc.function([x], dropped).stages.program
    assert (
        program is not None and len(program.kernels) == 4
    )  # blocks, words, the masked product, the stream's position


def test_no_gradient_flows_through_bits() -> None:
    p = gc.variable(0.5, "p")
    hits = gc.sum(R.bernoulli(R.key(0), (5,), p).astype("float32"))
    with pytest.raises(GradientError):
        gc.grad(hits, p)


def test_gradients_of_gamma_numbers() -> None:
    """By a: what the quantile function does at a fixed probability. Its mean is that of 1."""
    scale = gc.variable(2.0, "scale")
    numbers = R.gamma(R.key(0), (50,), 3.0, scale=scale)
    expected = value(R.gamma(R.key(0), (50,), 3.0)).mean()
    assert value(gc.grad(gc.mean(numbers), scale)) == pytest.approx(expected, rel=1e-5)
    a = gc.placeholder("a", (None,), "float64")
    drawn = R.gamma(R.key(1), None, a, "float64")
    run = gc.function([a], [drawn, gc.grad(gc.sum(drawn), a)])
    for given in (0.02, 0.6, 1.0, 5.0, 300.0):
        z, slope = run(np.full(2000, given))
        u, h = stats.gamma.cdf(z, given), 1e-4 * given
        near = stats.gamma.ppf(u, given + h) - stats.gamma.ppf(u, given - h)
        clear = (u > 1e-9) & (u < 1 - 1e-9) & (z > 1e-290)
        np.testing.assert_allclose(slope[clear], (near / (2 * h))[clear], rtol=1e-3)
        assert abs(slope.mean() - 1) < 4.5 * slope.std() / 2000**0.5


def test_gradients_of_what_is_made_of_gamma_numbers() -> None:
    """d mean / d parameter, by numbers of a fixed key."""
    p = gc.variable(np.array([0.7, 4.0]), "p")
    count = 20_000
    mean = gc.mean(R.beta(R.key(2), (count,), p[0], p[1], "float64"))
    found = value(gc.grad(mean, p))
    np.testing.assert_allclose(found, [4 / 4.7**2, -0.7 / 4.7**2], rtol=0.05)
    mean = gc.mean(R.dirichlet(R.key(2), p, (count,), "float64"), axis=0)
    np.testing.assert_allclose(value(gc.grad(mean[0], p)), [4 / 4.7**2, -0.7 / 4.7**2], rtol=0.05)
    square = gc.mean(gc.square(R.student_t(R.key(3), (count,), p[1] + 6, "float64")))
    assert value(gc.grad(square, p))[1] == pytest.approx(-2 / 8**2, rel=0.2)
    log_mean = gc.mean(R.loggamma(R.key(4), (count,), p[0], "float64"))
    assert value(gc.grad(log_mean, p))[0] == pytest.approx(special.polygamma(1, 0.7), rel=0.05)
    slope = value(gc.grad(gc.grad(log_mean, p)[0], p))
    assert slope[0] == pytest.approx(special.polygamma(2, 0.7), rel=0.05)


# --- streams -----------------------------------------------------------------------------------


def test_a_stream_goes_on_at_every_call() -> None:
    rng = R.Stream(3)
    f = gc.function([], [rng.bits((50,)), rng.bits((50,))])
    arrays = [array for _ in range(3) for array in f()]
    for position, one in enumerate(arrays):
        for other in arrays[:position]:
            assert (one == other).mean() < 0.05
    again = R.Stream(3)
    g = gc.function([], [again.bits((50,)), again.bits((50,))], backend="reference")
    repeated = [array for _ in range(3) for array in g()]
    np.testing.assert_array_equal(arrays, repeated)


def test_streams_of_two_seeds_and_the_key_of_the_seed_differ() -> None:
    arrays = [value(R.Stream(seed).bits((200,))) for seed in (0, 1)] + [
        value(R.bits(R.key(0), 200))
    ]
    for position, one in enumerate(arrays):
        for other in arrays[:position]:
            assert (one == other).mean() < 0.03


def test_an_expression_has_one_value_in_a_call() -> None:
    z = R.Stream(0).normal((4,))
    one, other = gc.function([], [z + 1, z * 2])()
    np.testing.assert_allclose((one - 1) * 2, other, rtol=1e-5)


def test_functions_share_a_stream() -> None:
    rng = R.Stream(0)
    first, second = rng.bits((20,)), rng.bits((20,))
    f, g = gc.function([], first), gc.function([], second)
    arrays = [f(), g(), f(), g()]
    assert len({array.tobytes() for array in arrays}) == 4


def test_state_is_saved_and_restored() -> None:
    rng = R.Stream(11, name="noise")
    f = gc.function([], rng.uniform((5,)))
    f()
    state = rng.state
    expected = [f(), f()]
    rng.state = state
    np.testing.assert_array_equal([f(), f()], expected)
    assert state.dtype == np.uint64 and state.shape == (2,) and rng.variable.name == "noise"
    other = R.Stream(99)
    g = gc.function([], other.uniform((5,)))
    other.state = state
    np.testing.assert_array_equal(g(), expected[0])
    with pytest.raises(ShapeError):
        rng.state = np.zeros(3, np.uint64)


def test_updates_may_be_passed_on_or_left_out() -> None:
    rng = R.Stream(0)
    numbers = rng.uniform((3,))
    explicit = gc.function([], numbers, updates=rng.updates())
    before = rng.state
    explicit()
    assert (rng.state - before).tolist() == [0, 1 << 16]
    frozen = gc.function([], numbers, default_updates=False)
    np.testing.assert_array_equal(frozen(), frozen())


def test_run_and_session_advance_too() -> None:
    rng = R.Stream(0)
    numbers = rng.uniform((3,))
    assert gc.run(numbers).tolist() != gc.run(numbers).tolist()
    with gc.Session() as session:
        assert session.run(numbers).tolist() != session.run(numbers).tolist()


def test_an_error_leaves_the_stream_where_it_was() -> None:
    rng = R.Stream(0)
    table = gc.constant([1.0, 2.0])
    index = gc.placeholder("index", (None,), "int64")
    total = gc.variable(0.0, "total")
    noisy = gc.take(table, index) + rng.normal((1,))
    f = gc.function([index], noisy, updates={total: total + gc.sum(noisy)})
    f(np.array([0]))
    state, held = rng.state, total.value
    with pytest.raises(gc.IndexOutOfRange):
        f(np.array([2]))
    np.testing.assert_array_equal(rng.state, state)
    assert total.value == held


def test_sites_of_a_stream_do_not_overlap() -> None:
    rng = R.Stream(0)
    keys = [rng.key() for _ in range(5)]
    pair = rng.normal((2,), "float64")  # two arrays of bits
    last = rng.key()
    values = gc.function([], [*keys, last, pair])()
    assert len({int(v) for v in values[:6]}) == 6
    again = R.Stream(0)
    numbers = [again.bits((), "uint64") for _ in range(8)]  # as many arrays as were drawn
    assert gc.function([], [numbers[0], numbers[7]])() == [values[0], values[5]]


@pytest.mark.parametrize("backend", ["reference", "llvm"])
def test_numbers_in_a_loop_come_from_folded_keys(backend: str) -> None:
    key = R.Stream(0).key()

    def step(total: gc.Tensor, t: gc.Tensor) -> tuple[gc.Tensor, gc.Tensor]:
        z = R.normal(R.fold_in(key, t), (3,))
        return total + z, z

    total, numbers = gc.scan(step, gc.zeros(3), gc.arange(5))
    f = gc.function([], [total, numbers], backend=backend)
    (found, rows), (_, others) = f(), f()
    np.testing.assert_allclose(found, rows.sum(axis=0), rtol=1e-5)
    assert len(set(np.concatenate([rows, others]).ravel().tolist())) == 30


def _drawn_in_bodies(rng: R.Stream) -> dict[str, gc.Tensor]:
    """The words that a stream gives to bodies of all kinds."""

    def word(*_: object) -> gc.Tensor:
        return rng.bits((), "uint64")

    def counted(carry: tuple[gc.Tensor, gc.Tensor]) -> tuple[gc.Tensor, gc.Tensor]:
        position, words = carry
        return position + 1, words.at[position].set(word())

    limit = gc.as_tensor(3) * 1
    return {
        "scan": gc.scan(lambda c, _: (c, word()), 0.0, length=4)[1],
        "reverse": gc.scan(lambda c, _: (c, word()), 0.0, length=4, reverse=True)[1],
        "segments": gc.scan(lambda c, _: (c, word()), 0.0, length=5, checkpoint_every=2)[1],
        "map in map": gc.map(lambda _: gc.map(word, gc.arange(3)), gc.arange(2)),
        "while": gc.while_loop(lambda c: c[0] < 3, counted, (0, gc.zeros(3, "uint64")))[1],
        "computed bound": gc.fori_loop(
            0, limit, lambda i, c: c.at[i].set(word()), gc.zeros(3, "uint64")
        ),
        "branch": gc.map(
            lambda i: gc.cond(i > 0, word, lambda: gc.as_tensor(0, "uint64")), gc.arange(3)
        ),
        "vmap": gc.vmap(word)(gc.arange(3)),
        "loop in vmap": gc.vmap(lambda _: gc.map(word, gc.arange(2)))(gc.arange(3)),
        "vmap in loop": gc.map(lambda _: gc.vmap(word)(gc.arange(2)), gc.arange(3)),
    }


@pytest.mark.parametrize("backend", ["reference", "interpreter", "llvm", "numba_cpu"])
def test_a_stream_gives_each_step_and_example_numbers_of_its_own(backend: str) -> None:
    f = gc.function([], _drawn_in_bodies(R.Stream(3)), backend=backend)
    words = [word for _ in range(2) for array in f().values() for word in array.ravel().tolist()]
    assert words.count(0) == 2  # of the branch that draws nothing
    assert len(set(words)) == len(words) - 1
    again = gc.function([], _drawn_in_bodies(R.Stream(3)), backend="reference")()
    assert [word for array in again.values() for word in array.ravel()] == words[: len(words) // 2]


def test_a_gradient_sees_the_numbers_that_the_loop_drew() -> None:
    rng = R.Stream(0)
    x = gc.placeholder("x", (), "float64")
    end, steps = gc.scan(lambda c, _: (c * (z := rng.uniform((), "float64")), z), x, length=5)
    value, slope, drawn = gc.function([x], [end, gc.grad(end, x), steps])(2.0)
    assert slope == pytest.approx(np.prod(drawn))
    assert value == pytest.approx(2 * np.prod(drawn))


def test_threads_draw_different_numbers_from_one_stream() -> None:
    from concurrent.futures import ThreadPoolExecutor

    rng = R.Stream(0)
    with ThreadPoolExecutor(8) as threads:
        words = list(threads.map(lambda _: rng.key(), range(200)))
    assert len({int(word) for word in gc.function([], words, backend="reference")()}) == 200


def test_a_stream_that_is_used_up_says_so() -> None:
    rng = R.Stream(0)
    for _ in range(1 << 16):
        next(rng._numbers)
    with pytest.raises(ParameterError, match="too many random arrays") as caught:
        rng.normal((3,))
    assert "test_random.py" in str(caught.value)


def test_methods_are_documented_like_the_functions() -> None:
    import inspect

    signature = inspect.signature(R.Stream.normal)
    assert list(signature.parameters) == ["self", "shape", "dtype", "loc", "scale"]
    assert R.Stream.normal.__doc__ == R.normal.__doc__
    drawn = {name for name in vars(R.Stream) if not name.startswith("_")}
    public = {name for name in vars(R) if callable(getattr(R, name)) and name[0] != "_"}
    assert public - drawn - {"Stream"} == {"split", "fold_in"}


# --- default updates ---------------------------------------------------------------------------


def test_a_variable_carries_an_update() -> None:
    calls = gc.variable(0, "calls")
    calls.default_update = lambda old: old + 1
    f = gc.function([], calls * 10)
    assert [int(f()) for _ in range(3)] == [0, 10, 20] and calls.value == 3
    gc.function([], calls * 1, updates={calls: calls + 5})()
    assert calls.value == 8
    gc.function([], calls * 1, default_updates=False)()
    gc.function([], gc.constant(1))()
    assert calls.value == 8
    calls.default_update = None
    gc.function([], calls * 1)()
    assert calls.value == 8


def test_default_updates_bring_their_own() -> None:
    step, speed = gc.variable(0.0, "step"), gc.variable(1.0, "speed")
    step.default_update = lambda old: old + speed
    speed.default_update = lambda old: old * 2
    f = gc.function([], step + 0)
    assert [float(f()) for _ in range(4)] == [0, 1, 3, 7]


def test_a_default_update_that_does_not_fit_names_the_line() -> None:
    v = gc.variable(np.zeros(3, np.float32), "v")
    v.default_update = lambda old: gc.sum(old)
    with pytest.raises(gc.FunctionError, match="the update of 'v' has another shape") as caught:
        gc.function([], v * 2)
    assert caught.value.code == "E208"


# --- errors ------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[type[Exception], str, Callable[[], Any]]] = {
    "no key": (DTypeError, "no key", lambda: R.normal((3,))),  # type: ignore[arg-type]
    "parameters as in numpy": (
        DTypeError,
        "normal: the dtype is 1.0",
        lambda: R.Stream(0).normal(0.0, 1.0, (3,)),  # type: ignore[arg-type]
    ),
    "a parameter as shape": (
        gc.ShapeError,
        "poisson: the shape is <Tensor",
        lambda: R.Stream(0).poisson(gc.constant([1.0, 2.0])),  # type: ignore[arg-type]
    ),
    "a name of numpy": (
        gc.ArgumentError,
        "use rate=",
        lambda: R.Stream(0).poisson(lam=2.0),  # type: ignore[call-arg]
    ),
    "a seed as key": (DTypeError, "no key", lambda: R.uniform(0, (3,))),  # type: ignore[arg-type]
    "several keys": (DTypeError, "no key", lambda: R.uniform(R.split(R.key(0)), (3,))),
    "a seed of 71 bits": (
        ParameterError,
        "the seed is 1180591620717411303424",
        lambda: R.key(2**70),
    ),
    "a seed below all": (ParameterError, r"2\*\*63", lambda: R.key(-(2**63) - 1)),
    "data of 65 bits": (ParameterError, "fold_in: data is", lambda: R.fold_in(R.key(0), 2**64)),
    "a float seed": (DTypeError, "seed is no integer", lambda: R.key(1.5)),
    "a stream's seed": (DTypeError, "seed is no int", lambda: R.Stream("a")),  # type: ignore[arg-type]
    "a negative seed": (ParameterError, "seed is -1", lambda: R.Stream(-1)),
    "a negative size": (ShapeError, "normal: negative size", lambda: R.normal(R.key(0), (3, -1))),
    "no size": (ShapeError, "uniform", lambda: R.uniform(R.key(0), (2.5,))),  # type: ignore[arg-type]
    "no float": (DTypeError, "normal: not for int32", lambda: R.normal(R.key(0), (), "int32")),
    "no integer": (DTypeError, "integers: not", lambda: R.integers(R.key(0), (), 0, 3, "float32")),
    "no bits": (DTypeError, "bits: not for int8", lambda: R.bits(R.key(0), (), "int8")),
    "low = high": (ParameterError, "low 3 is not below", lambda: R.integers(R.key(0), (), 3, 3)),
    "low > high somewhere": (
        ParameterError,
        "not below",
        lambda: R.integers(R.key(0), (2,), np.array([0, 5]), 5),
    ),
    "low outside the dtype": (
        ParameterError,
        "low is -1",
        lambda: R.integers(R.key(0), (), -1, 5, "uint8"),
    ),
    "minval > maxval": (ParameterError, "minval", lambda: R.uniform(R.key(0), (), minval=2.0)),
    "p > 1": (ParameterError, "p is 1.5", lambda: R.bernoulli(R.key(0), (3,), 1.5)),
    "p < 0 somewhere": (
        ParameterError,
        "p is -0.5",
        lambda: R.bernoulli(R.key(0), p=np.array([0.5, -0.5])),
    ),
    "p of NaN": (ParameterError, "p is nan", lambda: R.bernoulli(R.key(0), (3,), math.nan)),
    "scale < 0": (ParameterError, "scale is -1", lambda: R.normal(R.key(0), (3,), scale=-1)),
    "a = 0": (ParameterError, "a is 0", lambda: R.gamma(R.key(0), (3,), 0.0)),
    "rate < 0": (ParameterError, "rate is -2", lambda: R.poisson(R.key(0), (3,), -2.0)),
    "bounds": (ParameterError, "lower 2", lambda: R.truncated_normal(R.key(0), (), 2.0, 2.0)),
    "a name as scale": (DTypeError, "no number", lambda: R.normal(R.key(0), (), scale="1")),
    "loc too wide": (
        ShapeError,
        "loc does not broadcast",
        lambda: R.normal(R.key(0), (3,), loc=np.zeros((2, 3), "f4")),
    ),
    "n < 0": (ParameterError, "n is -1", lambda: R.binomial(R.key(0), (), -1, 0.5)),
    "n of no trials": (
        ParameterError,
        "n is 1.5",
        lambda: R.multinomial(R.key(0), 1.5, np.ones(2)),
    ),
    "p = 0": (ParameterError, "p is 0", lambda: R.geometric(R.key(0), (), 0.0)),
    "alpha < 0": (
        ParameterError,
        "alpha is -1",
        lambda: R.dirichlet(R.key(0), np.array([1, -1.0])),
    ),
    "no axis of components": (ShapeError, "has no axis", lambda: R.dirichlet(R.key(0), 1.0)),
    "no axis of outcomes": (ShapeError, "no axis", lambda: R.multinomial(R.key(0), 3, 0.5)),
    "too many": (
        ParameterError,
        "4 of 3 elements",
        lambda: R.choice(R.key(0), 3, (2, 2), replace=False),
    ),
    "too many with p > 0": (
        ParameterError,
        "2 of 1 elements",
        lambda: R.choice(R.key(0), 3, (2,), [0.0, 1.0, 0.0], replace=False),
    ),
    "a negative permutation": (ShapeError, "negative size", lambda: R.permutation(R.key(0), -1)),
    "no axis to permute": (ShapeError, "axis", lambda: R.permuted(R.key(0), 3.0)),
    "nothing to choose from": (ParameterError, "nothing", lambda: R.choice(R.key(0), 0, (3,))),
    "p for others": (ShapeError, "choice: p", lambda: R.choice(R.key(0), 3, (), p=[0.5, 0.5])),
    "no classes": (ShapeError, "nothing", lambda: R.categorical(R.key(0), np.zeros((2, 0), "f4"))),
    "batch": (
        ShapeError,
        "does not end",
        lambda: R.categorical(R.key(0), np.zeros((2, 3), "f4"), shape=(5,)),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_errors_name_the_line(case: str) -> None:
    kind, message, build = REFUSED[case]
    with pytest.raises(kind, match=message) as caught:
        build()
    assert isinstance(caught.value, gc.GraphcError)
    assert "test_random.py" in str(caught.value)


def test_ndtri_is_the_oracle_of_truncation() -> None:
    """At the ends of the unit interval the numbers are the bounds."""
    found = value(R.truncated_normal(R.key(0), (20000,), -0.5, 0.25, "float64"))
    assert -0.5 <= found.min() < -0.499 and 0.249 < found.max() <= 0.25
    inside = special.ndtr(0.1) - special.ndtr(-0.5)
    share = inside / (special.ndtr(0.25) - special.ndtr(-0.5))
    assert abs((found < 0.1).mean() - share) < 4.5 * 0.5 / 20000**0.5


# --- points and matrices -------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "m"), [(4, None), (5, 2), (2, 5), (1, 1), (0, None)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_orthogonal_matrices(n: int, m: int | None, dtype: str) -> None:
    found = value(R.orthogonal(R.key(3), n, (6,), dtype, m))
    columns = n if m is None else m
    assert found.shape == (6, n, columns) and found.dtype == dtype
    turned = found if columns <= n else np.swapaxes(found, -1, -2)
    product = np.swapaxes(turned, -1, -2) @ turned
    unit = np.broadcast_to(np.eye(min(n, columns)), product.shape)
    np.testing.assert_allclose(product, unit, atol=1e-5)


def test_orthogonal_matrices_of_symbolic_size() -> None:
    x = gc.placeholder("x", ("n",))
    f = gc.function([x], R.orthogonal(R.key(0), x.shape[0]), on_unused_input="ignore")
    found = f(np.zeros(7, "float32"))
    np.testing.assert_allclose(found @ found.T, np.eye(7), atol=1e-5)


@pytest.mark.parametrize("p", [0.5, 1.0, 2.0, 7.0])
def test_points_stay_in_their_ball(p: float) -> None:
    found = value(R.ball(R.key(5), 3, p, (2, 400), "float64"))
    assert found.shape == (2, 400, 3)
    size = np.sum(np.abs(found) ** p, axis=-1)
    assert 0.9 < size.max() <= 1.0
    np.testing.assert_allclose((size ** (1 / p) < 0.5).mean(), 1 / 8, atol=0.05)


def test_gradients_of_what_follows_from_uniform_and_normal_numbers() -> None:
    key, s = R.key(9), (5,)
    one = np.array([0.3, -0.2, 0.1, 0.0, 0.4])
    gc.verify_grad(
        lambda a, b, c: R.triangular(key, s, a, b, c, "float64"), [one, one + 0.5, one + 2]
    )
    gc.verify_grad(lambda a, b: R.maxwell(key, s, "float64", a, b), [one, one + 2])
    gc.verify_grad(lambda a, b: R.double_sided_maxwell(key, s, "float64", a, b), [one, one + 2])
    gc.verify_grad(lambda a, b: R.wald(key, s, a, "float64", b), [one + 1, one + 2])


def test_parameters_of_these_that_are_refused() -> None:
    key = R.key(0)
    with pytest.raises(ParameterError, match="not in order"):
        R.triangular(key, (3,), 2.0, 1.0, 3.0)
    with pytest.raises(ParameterError, match="mean is -1"):
        R.wald(key, (3,), -1.0)
    with pytest.raises(ParameterError, match="p is 0"):
        R.ball(key, 3, 0)
    with pytest.raises(ParameterError, match="dfden is -2"):
        R.f(key, (3,), 1.0, -2.0)
    with pytest.raises(DTypeError, match="orthogonal"):
        R.orthogonal(key, 3, dtype="int32")
