"""Polynomials, sin and cos of pi x, sinc: exact zeros, series near 0, derivatives."""

import mpmath as mp
import numpy as np
import pytest

import graphc as gc
from graphc.ir.registry import BUILDER
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


@pytest.mark.parametrize("coefficients", [(3.0,), (1.0, -2.0), (0.5, 0.0, 2.0, -1.0)])
def test_polynomial(coefficients: tuple[float, ...]) -> None:
    x = uniform(-2, 2)
    found = value_of(lambda t: BUILDER.polynomial(t, coefficients), x)
    np.testing.assert_allclose(found, np.polyval(coefficients[::-1], x), rtol=1e-14, atol=1e-14)
    assert_second_derivative(lambda t: BUILDER.polynomial(t, coefficients), x[:5])


def test_sine_and_cosine_of_pi() -> None:
    x = ranges(uniform(-30, 30), both_signs(logarithmic(1e-20, 1)))
    assert_accurate(BUILDER.sinpi, mp.sinpi, x)
    assert_accurate(BUILDER.cospi, mp.cospi, x)
    for n in (0.0, 1.0, -3.0, 1e15):
        assert value_of(BUILDER.sinpi, np.array([n])) == [0]
        assert value_of(BUILDER.cospi, np.array([n + 0.5])) == [0]
    assert_values(BUILDER.sinpi, [(INF, NAN), (NAN, NAN), (0.5, 1), (-0.5, -1), (1.5, -1)])
    assert_values(BUILDER.cospi, [(-INF, NAN), (NAN, NAN), (0.0, 1), (1.0, -1), (2.0, 1)])


def test_sinc() -> None:
    assert_accurate(gc.sinc, mp.sincpi, ranges(uniform(-30, 30), both_signs(logarithmic(1e-20, 1))))
    for x in (0.0, -0.0):
        assert value_of(gc.sinc, np.array([x])) == [1]
    for x in (1.0, -2.0, 30.0, INF, -INF):
        assert value_of(gc.sinc, np.array([x])) == [0]


def test_slope_of_sinc() -> None:
    """Near 0 it is -pi^2 x / 3, the difference of two numbers near 1."""
    assert_second_derivative(gc.sinc, np.array([-2.5, -0.99, 0.0, 0.3, 1.01, 7.0]))
    for dtype in ("float64", "float32"):
        x = [0.0, 1e-9, -1e-3, 0.9, 1.1]
        expected = [float(mp.diff(mp.sincpi, v)) for v in x]
        np.testing.assert_allclose(gradient_at(gc.sinc, x, dtype), expected, rtol=2e-6, atol=1e-12)
