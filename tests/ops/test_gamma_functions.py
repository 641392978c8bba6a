"""gammaln, gamma, digamma, betaln: mpmath on wide ranges, poles, reflection, derivatives."""

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
    largest_error,
    logarithmic,
    ranges,
    uniform,
    value_of,
)

NAN, INF = float("nan"), float("inf")
TINY = 1e-310  # subnormal in float64, 0 in float32
POSITIVE = ranges(logarithmic(1e-30, 1e-2), logarithmic(1e-2, 20), logarithmic(10, 1e30))
INTEGERS = np.arange(1.0, 20.0)


def logarithm(x: Any) -> Any:
    return mp.loggamma(x) if x > 0 else mp.log(abs(mp.gamma(x)))


def test_gammaln() -> None:
    near_zeros = both_signs(logarithmic(1e-7, 0.5))
    assert_accurate(gc.gammaln, logarithm, ranges(POSITIVE, INTEGERS[2:] + 0.0))
    for zero in (1, 2):
        for dtype in ("float64", "float32"):
            assert largest_error(gc.gammaln, logarithm, dtype, zero + near_zeros) < 2e-6
        assert largest_error(gc.gammaln, logarithm, "float64", zero + near_zeros) < 1e-13


def test_gammaln_of_negative_numbers() -> None:
    """Between the zeros, which lie near -2.457, -2.748, -3.143, ..."""
    x = ranges(uniform(-2.3, 0), -logarithmic(1e-30, 0.1), uniform(-160, -20))
    assert_accurate(gc.gammaln, logarithm, x)
    tiny = np.array([-1e-45, -3e-45, -1e-44, -1e-40, -1e-30], "float32")  # some below normal
    np.testing.assert_allclose(value_of(gc.gammaln, tiny), -np.log(-tiny.astype("f8")), rtol=3e-7)
    zeros = uniform(-20, -2.3)
    expected = [float(logarithm(mp.mpf(v))) for v in zeros.tolist()]
    np.testing.assert_allclose(value_of(gc.gammaln, zeros), expected, rtol=1e-14, atol=3e-14)


def test_gammaln_at_special_arguments() -> None:
    poles = [
        (0.0, INF),
        (-0.0, INF),
        (-1.0, INF),
        (-2.0, INF),
        (-1e17, INF),
        (INF, INF),
        (-INF, INF),
    ]
    assert_values(gc.gammaln, [*poles, (1.0, 0.0), (2.0, 0.0), (NAN, NAN)])
    assert gc.run(gc.lgamma(gc.constant(3.0, "float64"))) == pytest.approx(np.log(2), rel=1e-15)


def test_gamma() -> None:
    x = ranges(logarithmic(1e-37, 1), uniform(-169, 171), uniform(-8, 9), INTEGERS)
    assert_accurate(gc.gamma, mp.gamma, x)


def test_gamma_at_special_arguments() -> None:
    poles = [(0.0, INF), (-0.0, -INF), (-1.0, NAN), (-2.0, NAN), (-1e17, NAN), (-INF, NAN)]
    assert_values(
        gc.gamma, [*poles, (INF, INF), (NAN, NAN), (1.0, 1), (2.0, 1), (3.0, 2), (200.0, INF)]
    )
    assert_values(gc.gamma, [(1e300, INF), (-200.5, -0.0), (-201.5, 0.0)])


def test_digamma() -> None:
    root = 1.4616321449683623
    x = ranges(POSITIVE, INTEGERS, root + both_signs(logarithmic(1e-7, 0.4)))
    assert_accurate(gc.digamma, mp.digamma, x)


def test_digamma_of_negative_numbers() -> None:
    x = -logarithmic(1e-30, 0.4)
    assert_accurate(gc.digamma, mp.digamma, x)
    x = uniform(-100, 0)
    expected = [float(mp.digamma(mp.mpf(v))) for v in x.tolist()]
    np.testing.assert_allclose(value_of(gc.digamma, x), expected, rtol=1e-13, atol=1e-13)


def test_digamma_at_special_arguments() -> None:
    poles = [(0.0, -INF), (-0.0, INF), (-1.0, NAN), (-7.0, NAN), (-1e17, NAN), (-INF, NAN)]
    assert_values(gc.digamma, [*poles, (INF, INF), (NAN, NAN)])


def beta_logarithm(x: Any, y: Any) -> Any:
    with mp.workdps(90):
        return mp.loggamma(x) + mp.loggamma(y) - mp.loggamma(x + y)


@pytest.mark.parametrize("low, high", [(1e-5, 1e-2), (0.01, 0.9), (1.1, 30), (10, 1e12)])
def test_betaln(low: float, high: float) -> None:
    """Without the loss of digits that three logarithms of gamma have; x1 = x2 = 1 is a zero."""
    x = logarithmic(low, high)
    assert_accurate(gc.betaln, beta_logarithm, x, logarithmic(1.5, 1e6))
    assert_accurate(gc.betaln, beta_logarithm, x, x[::-1].copy())


def test_betaln_at_special_arguments() -> None:
    x = np.array([0.0, 1.0, 0.0, INF, -1.5, NAN, 1.0, 1e300, TINY])
    y = np.array([2.0, 1.0, 0.0, 3.0, 2.0, 0.0, INF, 1e300, 2.0])
    found = value_of(gc.betaln, x, y)
    expected = [INF, 0, INF, -INF, NAN, NAN, -INF, -2 * np.log(2) * 1e300, -np.log(TINY)]
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("build", [gc.gammaln, gc.gamma, gc.digamma])
def test_derivatives(build: Any) -> None:
    assert_second_derivative(build, np.array([-2.6, -0.4, 0.3, 1.0, 1.5, 2.0, 6.9, 7.1]))


def test_derivatives_of_betaln() -> None:
    x, y = np.array([0.3, 1.0, 4.0, 9.5]), np.array([2.5, 0.7, 12.0, 1.1])
    gc.verify_grad(gc.betaln, [x, y])
    gc.verify_grad(lambda a, b: gc.grad(gc.sum(gc.betaln(a, b)), [a, b]), [x, y], rtol=3e-5)
