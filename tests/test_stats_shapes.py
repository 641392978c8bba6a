"""gc.stats at the edges of what shapes may be, second derivatives and places of all tails."""

from typing import Any

import numpy as np
import pytest
import scipy.stats

import graphc as gc

# Shapes for which a distribution turns into another one, or has an end that moves.
LIMITS: list[tuple[str, tuple[float, ...]]] = [
    ("genextreme", (0.0,)),
    ("genextreme", (1.0,)),
    ("genextreme", (-0.3,)),
    ("genpareto", (0.0,)),
    ("genpareto", (-1.0,)),
    ("genpareto", (0.7,)),
    ("genpareto", (1e-8,)),
    ("skewnorm", (0.0,)),
    ("skewnorm", (-6.0,)),
    ("gennorm", (2.0,)),
    ("gennorm", (0.5,)),
    ("truncnorm", (-np.inf, 1.5)),
    ("truncnorm", (0.5, np.inf)),
    ("truncnorm", (6.0, 8.0)),
    ("truncexpon", (1e-3,)),
    ("triang", (0.0,)),
    ("triang", (1.0,)),
    ("vonmises", (0.0,)),
    ("exponnorm", (0.01,)),
    ("invgauss", (30.0,)),
]


@pytest.mark.parametrize(("name", "shapes"), LIMITS)
def test_limits(name: str, shapes: tuple[float, ...]) -> None:
    ours, theirs = getattr(gc.stats, name), getattr(scipy.stats, name)
    x = np.array([-3.0, -0.4, 0.0, 1e-4, 0.3, 0.999, 1.0, 1.4, 6.5, 7.0])
    if name == "vonmises":
        x = x[np.abs(x) < np.pi]
    if name == "skewnorm":
        x = x[np.abs(x) < 2]  # scipy loses its tails
    q = np.array([1e-7, 0.01, 0.3, 0.5, 0.9, 0.999])
    place, share = (gc.placeholder(what, (what,), "float64") for what in ("x", "q"))
    constants = [gc.constant(np.float64(one)) for one in shapes]
    of_place, of_share = ("logpdf", "cdf", "sf", "logcdf", "logsf"), ("ppf", "isf")
    outputs = [getattr(ours, method)(place, *constants) for method in of_place]
    outputs += [getattr(ours, method)(share, *constants) for method in of_share]
    slopes = [
        gc.grad(gc.sum(output), wrt)
        for output, wrt in zip(outputs[1::5], (place, share), strict=False)
    ]
    found = gc.function([place, share], [*outputs, *slopes])(x, q)
    for method, value in zip((*of_place, *of_share), found, strict=False):
        with np.errstate(all="ignore"):
            expected = getattr(theirs, method)(x if method in of_place else q, *shapes)
        np.testing.assert_allclose(value, expected, rtol=2e-9, atol=1e-13, err_msg=method)
    inside = (x > theirs.ppf(0, *shapes)) & (x < theirs.ppf(1, *shapes))
    np.testing.assert_allclose(found[7][inside], theirs.pdf(x, *shapes)[inside], rtol=1e-8)


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("skewnorm", (1.7,)),
        ("exponnorm", (0.8,)),
        ("invgauss", (1.3,)),
        ("truncnorm", (-0.5, 2.5)),
        ("vonmises", (2.0,)),
    ],
)
def test_second_derivatives_of_tails_and_places(name: str, shapes: tuple[float, ...]) -> None:
    """Their first derivatives are given, and are differentiated in turn."""
    distribution = getattr(gc.stats, name)

    def slopes(method: str) -> Any:
        def function(x: Any, *given: Any) -> Any:
            return gc.grad(gc.sum(getattr(distribution, method)(x, *given)), [x, *given])

        return function

    arrays = [np.array(0.4), *map(np.array, shapes)]
    for method in ("logcdf", "sf", "ppf"):
        gc.verify_grad(slopes(method), arrays)


@pytest.mark.parametrize("name", ["skewnorm", "exponnorm", "invgauss", "truncnorm", "vonmises"])
def test_places_far_out(name: str) -> None:
    shapes = {"truncnorm": (-2.0, 60.0), "exponnorm": (0.4,), "vonmises": (80.0,)}.get(name, (1.9,))
    distribution = getattr(gc.stats, name)
    q = gc.placeholder("q", ("n",), "float64")
    logs = [
        distribution.logcdf(distribution.ppf(q, *shapes), *shapes),
        distribution.logsf(distribution.isf(q, *shapes), *shapes),
    ]
    probabilities = np.array([1e-250, 1e-60, 1e-9, 0.2, 0.5, 0.8])
    if name == "vonmises":
        probabilities = probabilities[1:]
    if name == "truncnorm":
        logs = logs[1:]
    for found in gc.function([q], logs)(probabilities):
        np.testing.assert_allclose(found, np.log(probabilities), rtol=1e-11)


def test_angles_beyond_a_turn() -> None:
    x = np.array([-7.0, -3.2, 3.1, 3.3, 9.0])
    place = gc.placeholder("x", ("n",), "float64")
    methods = ("logpdf", "cdf", "sf")
    found = gc.function([place], [getattr(gc.stats.vonmises, m)(place, 1.5) for m in methods])(x)
    for method, value in zip(methods, found, strict=True):
        np.testing.assert_allclose(value, getattr(scipy.stats.vonmises, method)(x, 1.5), rtol=1e-9)


def test_whole_numbers_of_many_shapes() -> None:
    """Sums of different lengths beside each other, and shapes that leave one number."""
    k, m = np.arange(-1.0, 8), np.array([[12.0], [7.0], [40.0]])
    n, drawn = np.array([[5.0], [7.0], [30.0]]), np.array([[9.0], [3.0], [11.0]])
    for method in ("pmf", "cdf", "sf"):
        found = gc.run(getattr(gc.stats.hypergeom, method)(k, m, n, drawn))
        expected = getattr(scipy.stats.hypergeom, method)(k, m, n, drawn)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-16, err_msg=method)
        a = np.array([[0.02], [3.0], [90.0]])
        found = gc.run(getattr(gc.stats.betabinom, method)(k, n, a, 0.3))
        expected = getattr(scipy.stats.betabinom, method)(k, n, a, 0.3)
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-15, err_msg=method)
    p = gc.placeholder("p", (), "float64")
    cdf = gc.stats.betabinom.cdf(gc.constant(np.float64(2)), 6.0, p, 1.2)
    slope = gc.run(gc.grad(cdf, p), {p: np.array(0.7)})
    ends = [scipy.stats.betabinom.cdf(2, 6, 0.7 + step, 1.2) for step in (1e-5, -1e-5)]
    np.testing.assert_allclose(slope, (ends[0] - ends[1]) / 2e-5, rtol=1e-8)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize(
    "name", ["skewnorm", "exponnorm", "invgauss", "truncnorm", "vonmises", "gennorm", "genextreme"]
)
def test_smaller_dtypes(name: str, dtype: str) -> None:
    shapes: dict[str, tuple[float, ...]] = {"truncnorm": (-0.5, 2.0), "genextreme": (0.25,)}
    given = [gc.constant(np.array(one, dtype)) for one in shapes.get(name, (1.5,))]
    x = np.array([0.125, 0.5, 1.5], dtype)
    place = gc.placeholder("x", (3,), dtype)
    for method in ("logpdf", "cdf", "logsf", "ppf"):
        y = getattr(getattr(gc.stats, name), method)(place * 0.5, *given)
        assert y.dtype == dtype
        expected = getattr(getattr(scipy.stats, name), method)(
            0.5 * x.astype("float64"), *shapes.get(name, (1.5,))
        )
        tolerance = 12 * float(gc.finfo(dtype).eps)
        np.testing.assert_allclose(
            gc.function([place], y)(x).astype("float64"), expected, rtol=tolerance, atol=tolerance
        )
