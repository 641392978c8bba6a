"""Complete elliptic integrals and Lambert's W, beside mpmath in 50 digits."""

import mpmath as mp
import numpy as np
import pytest

import graphc as gc
from tests.ops.accuracy import (
    assert_accurate,
    assert_values,
    largest_error,
    logarithmic,
    ranges,
    uniform,
    value_of,
)

NAN, INF = float("nan"), float("inf")


def test_elliptic_integrals() -> None:
    near = 1 - np.array([2.0**-k for k in range(1, 54)])
    m = ranges(uniform(-3, 1), logarithmic(1e-30, 0.9), -logarithmic(1e-30, 1e30), near)
    for function, oracle in ((gc.ellipk, mp.ellipk), (gc.ellipe, mp.ellipe)):
        assert_accurate(function, oracle, m[m.astype("float32") < 1])
    assert_values(gc.ellipk, [(0.0, np.pi / 2), (1.0, INF), (-INF, 0.0), (1.5, NAN), (NAN, NAN)])
    assert_values(gc.ellipe, [(0.0, np.pi / 2), (1.0, 1.0), (-INF, INF), (1.5, NAN), (NAN, NAN)])


@pytest.mark.parametrize("name", ["ellipk", "ellipe"])
def test_slopes_of_elliptic_integrals(name: str) -> None:
    function, oracle = getattr(gc, name), getattr(mp, name)
    m = gc.placeholder("m", ("n",), "float64")
    slope = gc.function([m], gc.grad(gc.sum(function(m)), m))
    places = np.array([-1e6, -3.0, -1e-9, 0.0, 1e-12, 1e-3, 0.5, 0.999])
    with mp.workdps(40):
        expected = [float(mp.diff(oracle, mp.mpf(float(x)))) for x in places]
    np.testing.assert_allclose(slope(places), expected, rtol=1e-12)
    gc.verify_grad(lambda x: gc.grad(gc.sum(function(x)), x), [np.array([-2.0, 0.1, 0.7])])


def test_lambertw() -> None:
    beyond = np.nextafter(-0.36787944117144233, 0) + np.array([0, 1e-16, 1e-12, 1e-6, 1e-3, 0.1])
    x = ranges(logarithmic(1e-300, 1e300), -logarithmic(1e-30, 0.36), uniform(-0.36, 4), beyond)
    assert largest_error(gc.lambertw, lambda x: mp.re(mp.lambertw(x)), "float64", x) < 1e-13
    x = ranges(logarithmic(1e-30, 1e30), -logarithmic(1e-30, 0.36), uniform(-0.36, 4))
    assert_accurate(gc.lambertw, lambda x: mp.re(mp.lambertw(x)), x)
    ends = [(INF, INF), (NAN, NAN), (-0.4, NAN), (-INF, NAN)]
    assert_values(gc.lambertw, [(0.0, 0.0), *ends])
    assert value_of(gc.lambertw, np.array([-0.36787944117144233]))[0] == -1.0
    gc.verify_grad(gc.lambertw, [np.array([-0.3, -0.1, 0.0, 0.2, 1.9, 2.1, 40.0])])
    gc.verify_grad(lambda x: gc.grad(gc.sum(gc.lambertw(x)), x), [np.array([-0.2, 0.3, 5.0])])
