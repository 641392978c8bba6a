"""Exponentials, logarithms, trigonometry: special values, both tails of the stable functions."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special

import graphc as gc
from graphc.backends.reference.interpreter import evaluate_tensors
from graphc.ops.transcendental import sigmoid_slope

Compute = Callable[..., Any]
NAN, INF = np.nan, np.inf

ORACLES: dict[str, Callable[..., Any]] = {
    "exp": np.exp,
    "exp2": np.exp2,
    "expm1": np.expm1,
    "log": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "log1p": np.log1p,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "erf": scipy.special.erf,
    "sigmoid": scipy.special.expit,
    "expit": scipy.special.expit,
    "softplus": lambda x: np.logaddexp(x, 0),
}
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -30.0, 30.0, 100.0, -100.0, 1e-20, INF, -INF, NAN]


@pytest.mark.parametrize("name", ORACLES)
def test_special_values(compute: Compute, name: str) -> None:
    """Within 2e-6 of float64, rounded; the same infinities, NaN and signs of zero."""
    x = np.array(SPECIAL, np.float32)
    with np.errstate(all="ignore"):
        expected = ORACLES[name](x.astype(np.float64)).astype(np.float32)
    actual = compute(getattr(gc, name), x)
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, expected, rtol=2e-6, atol=0)
    zeros = expected == 0
    np.testing.assert_array_equal(np.signbit(actual[zeros]), np.signbit(expected[zeros]))


def test_tails_in_float32(compute: Compute) -> None:
    low, high, wide, big = compute(
        lambda x: (gc.sigmoid(-x), gc.sigmoid(x), gc.softplus(10 * x), gc.softplus(-x)), [100.0]
    )
    assert low[0] == pytest.approx(3.783506e-44, rel=0.05, abs=0)  # subnormal: few bits
    assert (high[0], wide[0]) == (1.0, 1000.0)
    assert big[0] == pytest.approx(math.exp(-100), rel=0.05, abs=0)


def test_small_arguments_keep_their_digits(compute: Compute) -> None:
    x = [1e-20, -1e-20]
    for build in (gc.expm1, gc.log1p, lambda x: gc.exp(x) - 1, lambda x: gc.log(1 + x)):
        np.testing.assert_allclose(compute(build, x), np.array(x, np.float32), rtol=1e-6)


def test_logaddexp_of_infinities(compute: Compute) -> None:
    x = [1000.0, INF, -INF, INF, -INF, 0.0, NAN]
    y = [1000.0, INF, -INF, -INF, 3.0, -1000.0, 0.0]
    with np.errstate(invalid="ignore"):
        expected = np.logaddexp(np.array(x), np.array(y)).astype(np.float32)
    np.testing.assert_allclose(compute(gc.logaddexp, x, y), expected, rtol=1e-6)


def test_atan2_in_all_quadrants(compute: Compute) -> None:
    y = [0.0, -0.0, 0.0, -0.0, 1.0, -1.0, INF, -INF, 1e30, NAN]
    x = [1.0, 1.0, -1.0, -1.0, 0.0, -0.0, -INF, INF, 1e30, 1.0]
    expected = np.arctan2(np.array(y), np.array(x)).astype(np.float32)
    actual = compute(gc.atan2, y, x)
    np.testing.assert_allclose(actual, expected, rtol=1e-6)
    np.testing.assert_array_equal(np.signbit(actual[:4]), np.signbit(expected[:4]))


def gradient(build: Callable[..., Any], *values: float) -> list[float]:
    inputs = [gc.placeholder(f"x{n}") for n in range(len(values))]
    gradients = gc.grad(build(*inputs), inputs)
    feeds = {x: np.array(v, np.float32) for x, v in zip(inputs, values, strict=True)}
    return [float(value) for value in evaluate_tensors(gradients, feeds)]


def test_slope_of_sigmoid(compute: Compute) -> None:
    """Of p and 1 - p, neither of which is lost in either tail."""
    x = np.array(SPECIAL, np.float32)
    wide = x.astype(np.float64)
    expected = (scipy.special.expit(wide) * scipy.special.expit(-wide)).astype(np.float32)
    np.testing.assert_allclose(compute(sigmoid_slope, x), expected, rtol=2e-6, atol=0)


def test_gradients_at_extremes() -> None:
    assert gradient(gc.softplus, 1000.0) == [1.0]
    assert gradient(gc.softplus, -100.0)[0] == pytest.approx(3.78e-44, rel=0.05, abs=0)
    assert gradient(gc.sigmoid, -100.0)[0] == pytest.approx(3.78e-44, rel=0.05, abs=0)
    assert gradient(gc.sigmoid, 100.0)[0] == pytest.approx(3.78e-44, rel=0.05, abs=0)
    assert gradient(sigmoid_slope, -100.0)[0] == pytest.approx(3.78e-44, rel=0.05, abs=0)
    assert gradient(sigmoid_slope, 0.0) == [0.0]
    assert gradient(gc.asinh, 1e30)[0] == pytest.approx(1e-30, rel=1e-5)
    assert gradient(gc.atan2, 3e20, 4e20) == pytest.approx([1.6e-21, -1.2e-21], rel=1e-5)
    assert gradient(gc.logaddexp, 1000.0, 1000.0) == [0.5, 0.5]
    assert gradient(gc.logaddexp, -INF, -INF) == [0.5, 0.5]
    assert gradient(gc.logaddexp, -INF, 0.0) == [0.0, 1.0]


def test_integers_become_float32() -> None:
    x = gc.placeholder("x", (3,), "int64")
    assert all(getattr(gc, name)(x).dtype == np.float32 for name in ORACLES)


@pytest.mark.parametrize("name", ["copysign", "atan2", "cbrt", "asin", "remainder", "tanh", "erf"])
def test_results_whose_sign_is_copied_become_halves(name: str) -> None:
    """float64 to float16: LLVM would do both in one step, with a function that is not there."""
    x, y = (gc.placeholder(one, ("n",), "float64") for one in "xy")
    inputs = [x, y] if name in ("copysign", "atan2", "remainder") else [x]
    function = getattr(gc, name)
    whole, half = function(*inputs), function(*inputs).astype("float16")
    data = [np.linspace(-0.9, 0.9, 37), np.linspace(2.0, -2.0, 37)][: len(inputs)]
    for n in (1, 37):
        arrays = [array[:n] for array in data]
        expected = gc.function(inputs, whole)(*arrays).astype("float16")
        np.testing.assert_array_equal(gc.function(inputs, half)(*arrays), expected)
