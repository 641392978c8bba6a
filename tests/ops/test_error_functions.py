"""erfc, erfcx, erfinv, ndtr, log_ndtr, ndtri: mpmath on wide ranges, both tails, derivatives."""

from typing import Any

import mpmath as mp
import numpy as np
import pytest

import graphc as gc
from tests.ops.accuracy import (
    assert_accurate,
    assert_second_derivative,
    assert_values,
    both_signs,
    gradient_at,
    logarithmic,
    ranges,
    uniform,
    value_of,
)

NAN, INF = float("nan"), float("inf")
SMALL = both_signs(logarithmic(1e-20, 1))


def scaled(x: Any) -> Any:
    """exp(x^2) erfc(x); the asymptotic series where mpmath's exp would overflow"""
    if x < 1e3:
        return mp.exp(x * x) * mp.erfc(x)
    v = 1 / (x * x)
    return (1 - v / 2 + 3 * v**2 / 4 - 15 * v**3 / 8) / (x * mp.sqrt(mp.pi))


def inverse_tail(q: Any) -> Any:
    """The y of erfc(y) = q, by Newton's method on the logarithms."""
    y = mp.sqrt(max(-mp.log(q), mp.mpf(0.5)))
    for _ in range(100):
        value = mp.erfc(y)
        step = (mp.log(value) - mp.log(q)) * value * mp.sqrt(mp.pi) / 2 * mp.exp(y * y)
        y += step
        if abs(step) < mp.mpf(10) ** -40:
            break
    return y


def normal(x: Any) -> Any:
    return mp.erfc(-x / mp.sqrt(2)) / 2


def log_normal(x: Any) -> Any:
    return mp.log1p(-normal(-x)) if x > 0 else mp.log(normal(x))


def normal_inverse(p: Any) -> Any:
    if mp.mpf("0.1") < p < mp.mpf("0.9"):
        return mp.sqrt(2) * mp.erfinv(2 * p - 1)
    tail = mp.sqrt(2) * inverse_tail(2 * min(p, 1 - p))
    return tail if p > mp.mpf("0.5") else -tail


def error_inverse(x: Any) -> Any:
    if abs(x) < mp.mpf("0.8"):
        return mp.erfinv(x)
    return mp.sign(x) * inverse_tail(1 - abs(x))


def test_erfc() -> None:
    assert_accurate(gc.erfc, mp.erfc, ranges(uniform(-6, 26), SMALL))
    assert_values(
        gc.erfc, [(0.0, 1), (-0.0, 1), (INF, 0), (-INF, 2), (NAN, NAN), (1e300, 0), (40.0, 0)]
    )


def test_erfcx() -> None:
    assert_accurate(gc.erfcx, scaled, ranges(uniform(-26, 30), SMALL, logarithmic(1, 1e300)))
    assert_values(gc.erfcx, [(0.0, 1), (-0.0, 1), (INF, 0), (-INF, INF), (NAN, NAN), (-30.0, INF)])


def test_erfinv() -> None:
    near_one = 1 - logarithmic(3e-16, 0.1)
    x = ranges(uniform(-1, 1), SMALL, both_signs(near_one))
    x = x[(np.abs(x.astype("float32")) < 1) & (np.abs(x) < 1)]
    assert_accurate(gc.erfinv, error_inverse, x)
    values = [
        (0.0, 0.0),
        (-0.0, -0.0),
        (1.0, INF),
        (-1.0, -INF),
        (1.5, NAN),
        (-2.0, NAN),
        (INF, NAN),
        (NAN, NAN),
    ]
    assert_values(gc.erfinv, values)


def test_erfinv_next_to_one_in_double_precision() -> None:
    x = 1 - 2.0 ** -np.arange(30, 54)
    expected = [float(error_inverse(mp.mpf(value))) for value in x.tolist()]
    np.testing.assert_allclose(value_of(gc.erfinv, x), expected, rtol=1e-15)


def test_ndtr() -> None:
    assert_accurate(gc.ndtr, normal, ranges(uniform(-37, 9), SMALL))
    assert_values(gc.ndtr, [(0.0, 0.5), (-0.0, 0.5), (INF, 1), (-INF, 0), (NAN, NAN), (-50.0, 0)])


def test_log_ndtr() -> None:
    assert_accurate(gc.log_ndtr, log_normal, ranges(uniform(-40, 35), -logarithmic(1e-10, 1e3)))
    assert_values(gc.log_ndtr, [(INF, -0.0), (-INF, -INF), (NAN, NAN), (-1e300, -INF)])


def test_ndtri() -> None:
    p = ranges(uniform(0, 1), logarithmic(1e-37, 1), 1 - logarithmic(1e-6, 0.1))
    assert_accurate(gc.ndtri, normal_inverse, p)
    values = [
        (0.5, 0.0),
        (0.0, -INF),
        (-0.0, -INF),
        (1.0, INF),
        (-1.0, NAN),
        (2.0, NAN),
        (NAN, NAN),
    ]
    assert_values(gc.ndtri, values)


def test_ndtri_of_the_smallest_numbers() -> None:
    p = np.array([1e-300, 2.3e-308, 1e-315, 5e-324])
    expected = [float(normal_inverse(mp.mpf(value))) for value in p.tolist()]
    np.testing.assert_allclose(value_of(gc.ndtri, p), expected, rtol=1e-15)


def test_inverses_invert() -> None:
    x = uniform(-5, 3)
    np.testing.assert_allclose(value_of(lambda t: gc.ndtri(gc.ndtr(t)), x), x, rtol=0, atol=1e-12)
    np.testing.assert_allclose(value_of(lambda t: gc.erf(gc.erfinv(t)), x / 6), x / 6, rtol=1e-14)


@pytest.mark.parametrize("build", [gc.erfc, gc.erfcx, gc.ndtr, gc.log_ndtr])
def test_derivatives(build: Any) -> None:
    assert_second_derivative(build, np.array([-2.5, -1.1, -0.3, 0.0, 0.4, 1.7, 3.0]))


@pytest.mark.parametrize("build", [gc.erfinv, lambda x: gc.ndtri((x + 1) / 2)])
def test_derivatives_of_inverses(build: Any) -> None:
    assert_second_derivative(build, np.array([-0.9, -0.5, 0.0, 0.2, 0.8]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_slope_of_erfcx_does_not_cancel(dtype: str) -> None:
    x = [0.5, 3.0, 15.9, 16.1, 100.0, 1e4, 1e30]
    expected = [float(mp.diff(scaled, v, h=mp.mpf("1e-12"))) for v in map(mp.mpf, x[:5])]
    expected += [-1 / np.sqrt(np.pi) / v**2 * (1 - 1.5 / v**2) for v in x[5:]]
    found = gradient_at(gc.erfcx, x, dtype)
    np.testing.assert_allclose(
        found, expected, rtol=1e-12 if dtype == "float64" else 2e-6, atol=1e-44
    )


def test_slopes_in_the_tails() -> None:
    """The slope of log_ndtr is density / ndtr, about -x, where both underflow."""
    np.testing.assert_allclose(gradient_at(gc.log_ndtr, [-1e3, -1e10]), [1000.001, 1e10], rtol=1e-8)
    assert gradient_at(gc.log_ndtr, [100.0, INF]).tolist() == [0, 0]
    assert gradient_at(gc.erfc, [INF, -INF]).tolist() == [0, 0]
    assert gradient_at(gc.erfcx, [INF]).tolist() == [0]


def test_integers_become_float32() -> None:
    assert gc.erfc(gc.constant(np.array([1, 2]))).dtype == np.float32


def test_far_beyond_in_single_precision() -> None:
    x = np.array([1e37, 2e38, 3.4e38], "float32")
    np.testing.assert_allclose(value_of(gc.erfcx, x), 1 / (x * np.sqrt(np.pi)), rtol=1e-6)
    x = np.array([-1.9e19, -2.6e19, -3e19], "float32")  # where x^2 is infinite, and x^2 / 2 not yet
    np.testing.assert_allclose(value_of(gc.log_ndtr, x), [-1.805e38, -3.38e38, -INF], 1e-6)


@pytest.mark.parametrize("build", [gc.erfc, gc.ndtr, gc.log_ndtr])
def test_derivatives_in_single_precision_hold_far_from_zero(build: Any) -> None:
    """x^2 / 2 is rounded there, and exp of it would keep few digits."""
    x = np.linspace(0, 9, 37)
    single = gradient_at(build, x.tolist(), "float32")
    np.testing.assert_allclose(single, gradient_at(build, x.tolist()), rtol=1e-6, atol=1e-36)
