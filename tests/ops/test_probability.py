"""logit, log_expit, xlogy, xlog1py, entr: mpmath, values at 0, derivatives."""

from typing import Any

import mpmath as mp
import numpy as np
import pytest
import scipy.special

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


def test_logit() -> None:
    p = ranges(uniform(0, 1), logarithmic(1e-30, 1), 0.5 + both_signs(logarithmic(1e-6, 0.4)))
    assert_accurate(gc.logit, lambda p: mp.log(p / (1 - p)), p)
    values = [
        (0.0, -INF),
        (-0.0, -INF),
        (1.0, INF),
        (0.5, 0.0),
        (-1.0, NAN),
        (2.0, NAN),
        (NAN, NAN),
        (INF, NAN),
    ]
    assert_values(gc.logit, values)


def test_log_expit() -> None:
    x = ranges(uniform(-80, 80), both_signs(logarithmic(1e-10, 1)))
    assert_accurate(gc.log_expit, lambda x: -mp.log1p(mp.exp(-x)), x)
    assert_values(gc.log_expit, [(-INF, -INF), (INF, 0.0), (NAN, NAN), (-1e30, -1e30)])


def test_entr() -> None:
    assert_accurate(gc.entr, lambda x: -x * mp.log(x), logarithmic(1e-30, 1e30))
    assert_values(
        gc.entr, [(0.0, 0.0), (1.0, -0.0), (-1.0, -INF), (INF, -INF), (-INF, -INF), (NAN, NAN)]
    )


@pytest.mark.parametrize("name", ["xlogy", "xlog1py"])
def test_products_with_a_logarithm(name: str) -> None:
    x = np.array([0, 0, 0, 0, 1, 1, 1, NAN, 0, INF, -2.5, 1e-3])
    y = np.array([0, -1, -2, INF, 0, -1, 2, 1, NAN, 3, 0.25, 1e30])
    with np.errstate(all="ignore"):
        expected = getattr(scipy.special, name)(x, y)
    for backend in ("reference", "llvm"):
        found = value_of(getattr(gc, name), x, y, backend=backend)
        np.testing.assert_allclose(found, expected, rtol=1e-14)


@pytest.mark.parametrize(
    "build",
    [
        gc.logit,
        gc.entr,
        gc.log_expit,
        lambda x: gc.xlogy(x, 2 * x),
        lambda x: gc.xlog1py(x, x * x),
    ],
)
def test_derivatives(build: Any) -> None:
    assert_second_derivative(build, np.array([0.1, 0.35, 0.5, 0.9]))


def test_gradients_at_zero() -> None:
    assert gradient_at(lambda y: gc.xlogy(0.0, y), [0.0, 2.0]).tolist() == [0, 0]
    assert gradient_at(lambda y: gc.xlog1py(0.0, y), [-1.0, 2.0]).tolist() == [0, 0]
    assert gradient_at(lambda x: gc.xlogy(x, x + 2), [0.0]).tolist() == [np.log(2)]
    assert gradient_at(gc.log_expit, [-1e3, 1e3]).tolist() == [1, 0]
