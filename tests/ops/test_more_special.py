"""Bessel functions, trigonometric, exponential and Dawson's integrals: mpmath and scipy."""

from functools import cache
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from scipy import special

import graphc as gc
from tests.ops.accuracy import (
    assert_accurate,
    assert_values,
    both_signs,
    logarithmic,
    ranges,
    uniform,
    value_of,
)

NAN, INF = float("nan"), float("inf")


def assert_near(build: Any, oracle: Any, x: np.ndarray, limit: float = 2e-15) -> None:
    """Absolute errors, for functions with zeros."""
    found = value_of(build, x)
    with mp.workdps(50):
        expected = np.array([float(oracle(mp.mpf(float(value)))) for value in x])
    np.testing.assert_allclose(found, expected, rtol=limit, atol=limit)


def test_bessel_functions_that_oscillate() -> None:
    x = ranges(uniform(0, 8.5), uniform(8, 100), logarithmic(1e-6, 1), logarithmic(100, 1e4))
    for order, first, second in ((0, gc.j0, gc.y0), (1, gc.j1, gc.y1)):
        near = both_signs(x[x < 8])
        assert_accurate(first, lambda x, order=order: mp.besselj(order, x), near)
        assert_near(first, lambda x, order=order: mp.besselj(order, x), both_signs(x))
        assert_near(second, lambda x, order=order: mp.bessely(order, x), x, limit=4e-15)
    assert_values(gc.j0, [(0.0, 1.0), (INF, 0.0), (-INF, 0.0), (NAN, NAN)])
    assert_values(gc.j1, [(0.0, 0.0), (-0.0, -0.0), (INF, 0.0), (-INF, -0.0), (NAN, NAN)])
    for second in (gc.y0, gc.y1):
        assert_values(second, [(0.0, -INF), (INF, 0.0), (-1.0, NAN), (NAN, NAN)])


@cache
def decaying(order: int, x: Any) -> Any:
    """K of that order, in 50 digits: mpmath takes long."""
    return mp.besselk(order, x)


@pytest.mark.parametrize(
    ("name", "order", "scaled"), [("k0", 0, 0), ("k0e", 0, 1), ("k1", 1, 0), ("k1e", 1, 1)]
)
def test_bessel_functions_that_decay(name: str, order: int, scaled: int) -> None:
    x = ranges(logarithmic(1e-30, 1), uniform(0.5, 9), logarithmic(9, 700))
    assert_accurate(getattr(gc, name), lambda x: decaying(order, x) * mp.exp(scaled * x), x)
    assert_values(getattr(gc, name), [(0.0, INF), (INF, 0.0), (-1.0, NAN), (NAN, NAN)])


def test_expi() -> None:
    x = ranges(
        logarithmic(1e-30, 0.3), uniform(0.4, 60), logarithmic(50, 700), -logarithmic(1e-9, 80)
    )
    assert_accurate(gc.expi, mp.ei, x)
    assert_near(gc.expi, mp.ei, uniform(0.3, 0.45), limit=1e-15)
    assert_values(gc.expi, [(0.0, -INF), (INF, INF), (-INF, -0.0), (800.0, INF), (NAN, NAN)])
    gc.verify_grad(gc.expi, [np.array([-3.0, -0.2, 0.1, 2.0, 7.0])])


def test_dawsn_and_erfi() -> None:
    def dawson(x: Any) -> Any:
        return mp.sqrt(mp.pi) / 2 * mp.exp(-x * x) * mp.erfi(x)

    x = ranges(both_signs(logarithmic(1e-30, 2)), uniform(-10, 10), logarithmic(8, 60))
    assert_accurate(gc.dawsn, dawson, x)
    assert_values(gc.dawsn, [(0.0, 0.0), (-0.0, -0.0), (INF, 0.0), (-INF, -0.0), (NAN, NAN)])
    x = ranges(both_signs(logarithmic(1e-30, 2)), uniform(-26, 26))
    assert_accurate(gc.erfi, mp.erfi, x)
    ends = [(INF, INF), (-INF, -INF), (NAN, NAN), (27.0, INF)]
    assert_values(gc.erfi, [(0.0, 0.0), (-0.0, -0.0), *ends])
    slope = value_of(lambda x: gc.grad(gc.sum(gc.dawsn(x)), x), np.array([7.9, 8.1, 50.0, 1e6]))
    with mp.workdps(60):
        expected = [float(1 - 2 * mp.mpf(v) * dawson(mp.mpf(v))) for v in (7.9, 8.1, 50.0)]
    np.testing.assert_allclose(slope, [*expected, -0.5e-12], rtol=1e-11)


def test_sici() -> None:
    x = ranges(logarithmic(1e-9, 4), uniform(3, 30), logarithmic(30, 1e5))
    assert_accurate(lambda x: gc.sici(x)[0], mp.si, both_signs(x))
    assert_near(lambda x: gc.sici(x)[1], mp.ci, x)
    assert_values(lambda x: gc.sici(x)[0], [(INF, np.pi / 2), (-INF, -np.pi / 2), (NAN, NAN)])
    assert_values(lambda x: gc.sici(x)[1], [(0.0, -INF), (INF, 0.0), (-1.0, NAN), (NAN, NAN)])


def test_fresnel() -> None:
    x = both_signs(ranges(logarithmic(1e-9, 1), uniform(0.5, 6), logarithmic(6, 1e5)))
    assert_accurate(lambda x: gc.fresnel(x)[0], mp.fresnels, x)
    assert_accurate(lambda x: gc.fresnel(x)[1], mp.fresnelc, x)
    for part in (0, 1):
        assert_values(
            lambda x, part=part: gc.fresnel(x)[part], [(INF, 0.5), (-INF, -0.5), (NAN, NAN)]
        )
    large = np.array([1e9, 2.0**60, 1e300])
    np.testing.assert_allclose(value_of(lambda x: gc.fresnel(x)[0], large), 0.5, atol=1e-9)


def test_names_of_scipy() -> None:
    x = np.linspace(0.2, 12, 31)
    for name in ("j0", "j1", "y0", "y1", "k0", "k1", "k0e", "k1e", "expi", "dawsn", "erfi"):
        kept = x[x < 5] if name == "erfi" else x
        expected = getattr(special, name)(kept)
        np.testing.assert_allclose(
            value_of(getattr(gc, name), kept), expected, rtol=2e-13, atol=1e-15
        )


@pytest.mark.parametrize("name", ["boxcox", "boxcox1p", "inv_boxcox", "inv_boxcox1p"])
def test_box_cox(name: str) -> None:
    lmbda = np.array([-2.5, -1e-9, 0.0, 1e-12, 0.003, 0.5, 3.0])[:, None] + np.zeros((1, 5))
    x = np.array([1e-6, 0.04, 1.0, 0.3, 0.12]) + np.zeros((7, 1))
    build = getattr(gc, name)
    found = value_of(build, x.ravel(), lmbda.ravel())
    expected = getattr(special, name)(x, lmbda).ravel()
    np.testing.assert_allclose(found, expected, rtol=2e-12)
    gc.verify_grad(build, [np.array([0.5, 0.2, 0.9]), np.array([0.0, -0.4, 1.5])])


def test_box_cox_at_the_ends() -> None:
    x, lmbda = np.array([0.0, 0.0, 0.0, INF, INF, -1.0]), np.array([2.0, 0.0, -2.0, -2.0, 2.0, 0.5])
    with np.errstate(all="ignore"):
        expected = special.boxcox(x, lmbda)
    np.testing.assert_array_equal(value_of(gc.boxcox, x, lmbda), expected)
