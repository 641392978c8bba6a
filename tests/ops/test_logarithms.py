"""log_cosh, log1mexp, log_softplus: mpmath, values at special points, derivatives."""

import mpmath as mp

from graphc.ops.logarithms import log1mexp, log_cosh, log_softplus
from tests.ops.accuracy import (
    assert_accurate,
    assert_second_derivative,
    assert_values,
    both_signs,
    logarithmic,
    ranges,
    uniform,
)

NAN, INF = float("nan"), float("inf")


def test_log_cosh() -> None:
    x = ranges(uniform(-5, 5), both_signs(logarithmic(1e-6, 1000)))
    assert_accurate(log_cosh, lambda x: mp.log(mp.cosh(x)), x)
    assert_values(log_cosh, [(0.0, 0.0), (-0.0, 0.0), (INF, INF), (-INF, INF), (NAN, NAN)])


def test_log1mexp() -> None:
    x = -ranges(uniform(0.1, 5), logarithmic(1e-10, 80))
    assert_accurate(log1mexp, lambda x: mp.log(-mp.expm1(x)), x)
    values = [(0.0, -INF), (-0.0, -INF), (1.0, NAN), (INF, NAN), (-INF, -0.0), (NAN, NAN)]
    assert_values(log1mexp, values)


def test_log_softplus() -> None:
    x = ranges(uniform(-60, 60), both_signs(logarithmic(1e-6, 1000)))
    x = x[abs(x - 0.5413) > 0.02]  # where the logarithm crosses 0
    assert_accurate(log_softplus, lambda x: mp.log(mp.log1p(mp.exp(x))), x)
    assert_values(log_softplus, [(-INF, -INF), (INF, INF), (NAN, NAN), (-1e30, -1e30)])


def test_second_derivatives() -> None:
    assert_second_derivative(log_cosh, uniform(-3, 3))
    assert_second_derivative(log1mexp, uniform(-3, -0.1))
    assert_second_derivative(log_softplus, uniform(-3, 3))
