"""i0, i1, i0e, i1e: mpmath on wide ranges, overflow, symmetry, derivatives."""

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
)

NAN, INF = float("nan"), float("inf")
WIDE = ranges(uniform(-12, 12), uniform(-700, 712), both_signs(logarithmic(1e-30, 1)))


def bessel(order: int, scaled: bool) -> Any:
    def function(x: Any) -> Any:
        value = mp.besseli(order, x)
        return value * mp.exp(-abs(x)) if scaled else value

    return function


@pytest.mark.parametrize(
    "order, scaled, build",
    [
        (0, False, gc.i0),
        (1, False, gc.i1),
        (0, True, gc.i0e),
        (1, True, gc.i1e),
    ],
)
def test_values(order: int, scaled: bool, build: Any) -> None:
    assert_accurate(build, bessel(order, scaled), WIDE)


def test_scaled_functions_far_away() -> None:
    x = both_signs(logarithmic(1e2, 1e6))
    assert_accurate(gc.i0e, bessel(0, True), x)
    assert_accurate(gc.i1e, bessel(1, True), x)


def test_special_arguments() -> None:
    assert_values(gc.i0, [(0.0, 1), (-0.0, 1), (INF, INF), (-INF, INF), (NAN, NAN), (800.0, INF)])
    assert_values(
        gc.i1, [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -INF), (NAN, NAN), (-800.0, -INF)]
    )
    assert_values(gc.i0e, [(0.0, 1), (-0.0, 1), (INF, 0.0), (-INF, 0.0), (NAN, NAN)])
    assert_values(gc.i1e, [(0.0, 0.0), (-0.0, -0.0), (INF, 0.0), (-INF, -0.0), (NAN, NAN)])


@pytest.mark.parametrize("build", [gc.i0, gc.i1, gc.i0e, gc.i1e])
def test_derivatives(build: Any) -> None:
    assert_second_derivative(build, np.array([-9.0, -0.7, 0.2, 1.5, 7.9, 8.1]))


def test_derivatives_at_zero() -> None:
    assert gradient_at(gc.i0, [0.0]).tolist() == [0]
    assert gradient_at(gc.i1, [0.0]).tolist() == [0.5]
    assert gradient_at(gc.i0e, [0.0]).tolist() == [0]
    assert gradient_at(gc.i1e, [0.0]).tolist() == [0.5]


def test_slopes_of_scaled_functions_keep_their_digits_in_float32() -> None:
    """i0e' is about -1 / (2 sqrt(2 pi) x^1.5), the difference of two numbers x times larger."""
    x = [100.0, 1e4]
    with mp.workdps(40):
        expected = [
            float(mp.exp(-v) * (mp.besseli(1, v) - mp.besseli(0, v))) for v in map(mp.mpf, x)
        ]
    np.testing.assert_allclose(gradient_at(gc.i0e, x, "float32"), expected, rtol=2e-6)
