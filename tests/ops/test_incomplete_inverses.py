"""Inverses of the incomplete gamma and beta functions: mpmath on wide ranges, limits, slopes."""

from typing import Any

import mpmath as mp
import numpy as np
import pytest

import graphc as gc
from graphc.ir.registry import BUILDER
from tests.ops.accuracy import logarithmic, uniform, value_of

NAN, INF = float("nan"), float("inf")
PROBABILITIES = np.concatenate([uniform(0, 1), logarithmic(1e-300, 1), 1 - logarithmic(1e-15, 1)])


def lower(a: Any, x: Any) -> Any:
    return mp.gammainc(a, 0, x, regularized=True)


def upper(a: Any, x: Any) -> Any:
    return mp.gammainc(a, x, mp.inf, regularized=True)


def beta_lower(a: Any, b: Any, x: Any) -> Any:
    """By the power series of the smaller tail: mpmath's own takes long for large a and b."""
    if x * (a + b) > a:
        return 1 - beta_lower(b, a, 1 - x)
    power = mp.exp(a * mp.log(x) + b * mp.log(1 - x) - mp.log(mp.beta(a, b)))
    term = total = 1 / a
    k = 0
    while term > total * mp.mpf(10) ** -45:
        term *= x * (a + b + k) / (a + 1 + k)
        total += term
        k += 1
    return power * total


def beta_upper(a: Any, b: Any, x: Any) -> Any:
    return 1 - beta_lower(a, b, x) if x * (a + b) <= a else beta_lower(b, a, 1 - x)


def distances(build: Any, oracle: Any, *arrays: np.ndarray) -> list[float]:
    """How far the results are from the exact places, in units of 1e-16 of x and of what an error of
    1e-16 (1 - log(p)) of the probability p makes of x."""
    found = value_of(build, *arrays)
    errors = []
    with mp.workdps(50):
        for value, *point in zip(found.tolist(), *arrays, strict=True):
            if value < 1e-290 or (value == 1 and oracle in (beta_lower, beta_upper)):
                continue
            *shapes, p = (mp.mpf(float(x)) for x in point)
            x, h = mp.mpf(value), mp.mpf(10) ** -20
            at, beside = (oracle(*shapes, x * (1 + side * h)) for side in (0, 1))
            slope = abs(mp.log(beside / at)) / h  # of log(p) by log(x)
            distance = abs(mp.log(at / p)) / slope
            errors.append(float(distance / (mp.mpf(1e-16) * (1 + (1 - mp.log(p)) / slope))))
    assert len(errors) > len(found) // 3
    return errors


@pytest.mark.parametrize("build, oracle", [(gc.gammaincinv, lower), (gc.gammainccinv, upper)])
@pytest.mark.parametrize("least, most", [(1e-3, 8.0), (8.0, 2e3)])
def test_gamma(build: Any, oracle: Any, least: float, most: float) -> None:
    a = np.resize(logarithmic(least, most), PROBABILITIES.shape)
    assert max(distances(build, oracle, a[::2].copy(), PROBABILITIES[::2].copy())) < 30


@pytest.mark.parametrize(
    "build, oracle", [(gc.betaincinv, beta_lower), (gc.betainccinv, beta_upper)]
)
@pytest.mark.parametrize("least, most", [(0.05, 8.0), (0.5, 300.0)])
def test_beta(build: Any, oracle: Any, least: float, most: float) -> None:
    a = np.resize(logarithmic(least, most), PROBABILITIES.shape)
    b = np.resize(logarithmic(least, most)[::-1], PROBABILITIES.shape)
    arrays = (array[::2].copy() for array in (a, b, PROBABILITIES))
    assert max(distances(build, oracle, *arrays)) < 30


def test_unequal_exponents_of_beta() -> None:
    """1e8 beside 1.4 makes a gamma distribution; b = 0.02 puts x next to 1."""
    a, b = np.array([1.4, 9e7, 0.3, 5e5, 1.4, 3e7]), np.array([9e7, 1.4, 0.02, 30.0, 9e7, 2e7])
    p = np.array([0.3, 1e-140, 0.9, 1e-200, 1 - 2.0**-50, 1e-9])
    odds = [7.085476093749539e-09, 277096.48069225316, 5.937220738868424e48]
    odds += [871.344541044558, 4.024852526407572e-07, 1.497405278209281]
    np.testing.assert_allclose(value_of(BUILDER.beta_odds, a, b, p), odds, rtol=1e-13)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_smaller_dtypes_are_rounded_once(dtype: str) -> None:
    a, b = uniform(0.3, 30).astype(dtype), uniform(0.5, 9)[::-1].astype(dtype)
    p = uniform(0.01, 0.99).astype(dtype)
    for build, arrays in ((gc.gammainccinv, (a, p)), (gc.betaincinv, (a, b, p))):
        found = value_of(build, *arrays)
        assert found.dtype == dtype
        wide = value_of(build, *(array.astype("float64") for array in arrays))
        np.testing.assert_array_equal(found, wide.astype(dtype))


def test_gamma_at_the_edges() -> None:
    points: list[tuple[float, ...]] = [
        (0, 0, 0),
        (0, 0.5, NAN),
        (0, 1, INF),
        (1, 0, 0),
        (1, 1, INF),
        (INF, 0, 0),
    ]
    points += [(INF, 0.5, NAN), (INF, 1, INF), (-1, 0.5, NAN), (-1, 0, NAN), (1, -0.1, NAN)]
    points += [(1, 1.1, NAN), (NAN, 0.5, NAN), (1, NAN, NAN), (1e-10, 0.5, 0)]
    a, p, expected = np.array(points, float).T.copy()
    np.testing.assert_array_equal(value_of(gc.gammaincinv, a, p), expected)
    np.testing.assert_array_equal(value_of(gc.gammainccinv, a, 1 - p), expected)


def test_beta_at_the_edges() -> None:
    points: list[tuple[float, ...]] = [
        (1, 2, 0, 0),
        (1, 2, 1, 1),
        (0, 1, 0.5, NAN),
        (1, 0, 0.5, NAN),
        (INF, 1, 0.5, 1),
    ]
    points += [(1, INF, 0.5, 0), (INF, INF, 0.5, NAN), (-1, 2, 0.5, NAN), (1, 2, 1.1, NAN)]
    points += [(1, 2, -0.1, NAN), (NAN, 1, 0.5, NAN), (1, 1, NAN, NAN), (INF, 1, 0, 0)]
    a, b, p, expected = np.array(points, float).T.copy()
    np.testing.assert_array_equal(value_of(gc.betaincinv, a, b, p), expected)
    np.testing.assert_array_equal(value_of(gc.betainccinv, a, b, 1 - p), expected)


def slopes_at(build: Any, *arrays: np.ndarray) -> list[np.ndarray]:
    inputs = [gc.placeholder(f"x{n}", ("n",), "float64") for n in range(len(arrays))]
    value = build(*inputs)
    found: list[np.ndarray] = gc.function(inputs, [value, *gc.grad(gc.sum(value), inputs)])(*arrays)
    return found


@pytest.mark.parametrize(
    "build, oracle, points",
    [
        (gc.gammaincinv, lower, [(0.03, 0.6), (0.7, 0.3), (9, 1e-30), (60, 0.7), (2, 0.999)]),
        (gc.gammainccinv, upper, [(0.03, 0.2), (0.7, 0.3), (9, 1e-30), (60, 0.7), (2, 0.999)]),
        (
            gc.betaincinv,
            beta_lower,
            [(0.1, 2, 0.3), (3, 0.5, 0.9), (20, 30, 1e-30), (9, 9, 0.5), (5, 80, 0.1)],
        ),
        (
            gc.betainccinv,
            beta_upper,
            [(0.1, 2, 0.3), (3, 0.5, 0.9), (20, 30, 1e-30), (9, 9, 0.5), (5, 80, 0.1)],
        ),
    ],
)
def test_derivatives(build: Any, oracle: Any, points: Any) -> None:
    found, *slopes = slopes_at(build, *np.array(points).T.copy())
    with mp.workdps(60):
        for n, (value, point) in enumerate(zip(found, points, strict=True)):
            place = [*map(mp.mpf, point[:-1]), mp.mpf(value)]
            h = mp.mpf(10) ** -20
            partials = []
            for k in range(len(place)):
                sides = [
                    oracle(*(v + s * h * v * (k == m) for m, v in enumerate(place)))
                    for s in (1, -1)
                ]
                partials.append((sides[0] - sides[1]) / (2 * h * place[k]))
            *by_shapes, by_x = partials
            for slope, exact in zip(
                slopes, [*(-d / by_x for d in by_shapes), 1 / by_x], strict=True
            ):
                assert slope[n] == pytest.approx(float(exact), rel=1e-11)


def test_derivatives_at_the_ends() -> None:
    a, p = np.array([0.5, 1.0, 2.0, 2.0]), np.array([0.0, 0.0, 0.0, 1.0])
    _, by_a, by_p = slopes_at(gc.gammaincinv, a, p)
    np.testing.assert_array_equal(by_a, np.zeros(4))
    np.testing.assert_array_equal(by_p, [0, 1, INF, INF])
    b = np.array([0.5, 4.0, 2.0, 0.5])
    _, by_a, by_b, by_p = slopes_at(gc.betaincinv, a, b, p)
    np.testing.assert_array_equal([by_a, by_b], np.zeros((2, 4)))
    np.testing.assert_array_equal(by_p, [0, 0.25, INF, 0])


def test_second_derivatives() -> None:
    a, p = np.array([0.4, 3.0, 11.0]), np.array([0.3, 0.6, 0.5])
    gc.verify_grad(lambda a, p: gc.grad(gc.sum(gc.gammaincinv(a, p)), [a, p]), [a, p], rtol=1e-5)
    gc.verify_grad(
        lambda a, p: gc.grad(gc.sum(gc.betaincinv(a, 2.5, p)), [a, p]), [a, p], rtol=1e-5
    )


def test_there_and_back() -> None:
    a, b, x = logarithmic(0.5, 5), uniform(0.5, 5), uniform(0.2, 0.8)
    gamma = value_of(lambda a, x: gc.gammaincinv(a, gc.gammainc(a, x)), a, x)
    beta = value_of(lambda a, b, x: gc.betainccinv(a, b, gc.betaincc(a, b, x)), a, b, x)
    np.testing.assert_allclose([gamma, beta], [x, x], rtol=1e-12)
