"""gammainc, gammaincc, betainc: mpmath on wide ranges, limits, derivatives."""

from typing import Any

import mpmath as mp
import numpy as np
import pytest

import graphc as gc
from tests.ops.accuracy import assert_accurate, logarithmic, uniform, value_of

NAN, INF = float("nan"), float("inf")


def lower(a: Any, x: Any) -> Any:
    return mp.gammainc(a, 0, x, regularized=True)


def upper(a: Any, x: Any) -> Any:
    return mp.gammainc(a, x, mp.inf, regularized=True)


@pytest.mark.parametrize("build, oracle", [(gc.gammainc, lower), (gc.gammaincc, upper)])
def test_gammainc(build: Any, oracle: Any) -> None:
    a = logarithmic(1e-8, 3e3)
    near = a * (1 + uniform(-2, 2) / np.sqrt(a + 4))
    assert_accurate(
        build, oracle, np.tile(a, 2), np.concatenate([near, logarithmic(1e-9, 60)[::-1]])
    )


def test_gammainc_at_the_edges() -> None:
    a = np.array([0, 0, 1, 1, INF, INF, -1, 1, NAN, 1, 2])
    x = np.array([0, 1, 0, INF, 3, INF, 1, -1, 1, NAN, 0])
    below = [NAN, 1, 0, 1, 0, NAN, NAN, NAN, NAN, NAN, 0]
    np.testing.assert_array_equal(value_of(gc.gammainc, a, x), below)
    np.testing.assert_array_equal(value_of(gc.gammaincc, a, x), 1 - np.array(below))
    slopes = gc.grad(gc.gammainc(1.0, gc.constant(0.0)), gc.constant(0.0), disconnected="zero")
    assert gc.run(slopes) == 0


def test_betainc() -> None:
    a, b = logarithmic(0.01, 300), logarithmic(0.01, 300)[::-1].copy()
    assert_accurate(
        gc.betainc,
        lambda a, b, x: mp.betainc(a, b, 0, x, regularized=True),
        np.tile(a, 2),
        np.tile(b, 2),
        np.concatenate([uniform(0.001, 0.999), a / (a + b)]),
    )


def test_betainc_of_unequal_exponents() -> None:
    """A million beside 1.4, with x next to 0 or 1: nearly a gamma distribution."""
    a, b = np.array([1.4, 1.4, 9.0, 1e6]), np.array([1e6, 1e5, 1e7, 1.4])
    x = np.array([3e-4, 4e-3, 3e-5, 1 - 1e-4])
    expected = [5.4385292630469635e-130, 1.0642569763135626e-173, 8.567413486393245e-116]
    expected += [2.642718245212582e-43]
    arrays = (np.where(a < b, *pair) for pair in ((b, a), (a, b), (1 - x, x)))
    values = value_of(gc.betainc, *arrays)
    np.testing.assert_allclose(values, expected, rtol=1e-12)


def test_betaincc() -> None:
    a, b, x = logarithmic(0.01, 300), logarithmic(0.01, 300)[::-1].copy(), uniform(0.001, 0.999)
    assert_accurate(
        gc.betaincc, lambda a, b, x: mp.betainc(b, a, 0, 1 - x, regularized=True), a, b, x
    )


def test_betainc_at_the_edges() -> None:
    points = [(0, 1, 0.5, 1), (1, 0, 0.5, 0), (0, 0, 0.5, NAN), (INF, 1, 0.5, 0), (1, INF, 0.5, 1)]
    points += [(INF, INF, 0.5, NAN), (1, 2, 0, 0), (1, 2, 1, 1), (-1, 2, 0.5, NAN)]
    points += [(1, 2, 1.5, NAN), (NAN, 1, 0.5, NAN), (0, 1, 0, 0), (1, 0, 1, 1)]
    *inputs, expected = np.array(points, float).T.copy()
    np.testing.assert_array_equal(value_of(gc.betainc, *inputs), expected)
    np.testing.assert_array_equal(value_of(gc.betaincc, *inputs), 1 - expected)


def slopes_at(build: Any, *arrays: np.ndarray) -> list[np.ndarray]:
    inputs = [gc.placeholder(f"x{n}", ("n",), "float64") for n in range(len(arrays))]
    found: list[np.ndarray] = gc.function(inputs, gc.grad(gc.sum(build(*inputs)), inputs))(*arrays)
    return found


@pytest.mark.parametrize(
    "build, oracle, points",
    [
        (gc.gammainc, lower, [(1e-3, 2.0), (0.7, 0.3), (7.9, 8.5), (9, 4), (60, 61), (2, 30)]),
        (
            gc.betainc,
            lambda a, b, x: mp.betainc(a, b, 0, x, regularized=True),
            [(0.1, 2.0, 0.3), (3, 0.5, 0.9), (20, 30, 0.4), (9, 9, 0.5), (5, 80, 0.1)],
        ),
    ],
)
def test_derivatives(build: Any, oracle: Any, points: Any) -> None:
    with mp.workdps(60):
        for found, number in zip(
            slopes_at(build, *np.array(points).T.copy()), range(3), strict=False
        ):
            for slope, point in zip(found, points, strict=True):
                h = mp.mpf(10) ** -20
                sides = [
                    oracle(*(mp.mpf(v) + sign * h * (n == number) for n, v in enumerate(point)))
                    for sign in (1, -1)
                ]
                assert slope == pytest.approx(float((sides[0] - sides[1]) / (2 * h)), rel=1e-12)


def test_second_derivatives() -> None:
    a, x = np.array([0.4, 3.0, 11.0]), np.array([0.9, 2.0, 12.0])
    gc.verify_grad(lambda a, x: gc.grad(gc.sum(gc.gammainc(a, x)), [a, x]), [a, x], rtol=1e-5)
    gc.verify_grad(
        lambda a, b: gc.grad(gc.sum(gc.betainc(a, b, 0.3)), [a, b]), [a, x * 2 + 1], rtol=1e-5
    )
