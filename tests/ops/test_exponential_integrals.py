"""exp1, expn, exprel, spence, and combinations of gamma and error functions: mpmath and scipy."""

from typing import Any

import mpmath as mp
import numpy as np
import pytest
from scipy import special

import graphc as gc
from graphc.errors import DTypeError
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


def test_exponential_integrals() -> None:
    x = ranges(logarithmic(1e-30, 1), logarithmic(0.1, 80), uniform(0.4, 0.6))
    assert_accurate(gc.exp1, mp.e1, x)
    for n in (0, 2, 5, 40):
        assert_accurate(lambda x, n=n: gc.expn(n, x), lambda x, n=n: mp.expint(n, x), x)
    assert_values(gc.exp1, [(0.0, INF), (INF, 0.0), (-1.0, NAN), (NAN, NAN)])
    assert_values(lambda x: gc.expn(3, x), [(0.0, 0.5), (INF, 0.0), (-1.0, NAN), (NAN, NAN)])
    with pytest.raises(DTypeError, match="the order is an int"):
        gc.expn(1.5, 2.0)  # type: ignore[arg-type]


def test_exprel_and_spence() -> None:
    x = ranges(both_signs(logarithmic(1e-30, 1)), uniform(-80, 80))
    assert_accurate(gc.exprel, lambda x: mp.expm1(x) / x, x)
    assert_values(gc.exprel, [(0.0, 1), (-0.0, 1), (INF, INF), (-INF, 0.0), (NAN, NAN)])
    x = ranges(logarithmic(1e-30, 1e30), uniform(0.4, 2.5), 1 + both_signs(logarithmic(1e-7, 0.3)))
    assert_accurate(gc.spence, lambda x: mp.re(mp.polylog(2, 1 - x)), x)
    assert_values(gc.spence, [(0.0, np.pi**2 / 6), (INF, -INF), (-1.0, NAN), (NAN, NAN)])
    gc.verify_grad(gc.exprel, [np.array([-2.0, -0.3, 0.0, 0.4, 1.5])])
    gc.verify_grad(lambda x: gc.grad(gc.sum(gc.spence(x)), x), [np.array([0.3, 0.9, 1.4, 5.0])])


def test_erfcinv() -> None:
    x = ranges(logarithmic(1e-36, 1), uniform(0, 2))
    assert_accurate(gc.erfcinv, lambda x: mp.erfinv(1 - x) if x > 1e-9 else far(x), x)
    assert_values(gc.erfcinv, [(0.0, INF), (2.0, -INF), (1.0, 0.0), (-1.0, NAN), (2.5, NAN)])


def far(x: Any) -> Any:
    """The root of erfc(z) = x"""
    return mp.findroot(lambda z: mp.log(mp.erfc(z)) - mp.log(x), mp.sqrt(-mp.log(x)))


@pytest.mark.parametrize("name", ["rel_entr", "kl_div"])
def test_divergences(name: str) -> None:
    values = np.array([0.0, -0.0, -1.0, 0.3, 5.0, INF, NAN])
    x, y = (grid.ravel() for grid in np.meshgrid(values[:-2], values[:-2]))
    np.testing.assert_allclose(
        value_of(getattr(gc, name), x, y), getattr(special, name)(x, y), rtol=1e-14
    )


@pytest.mark.parametrize("name", ["rel_entr", "kl_div"])
def test_divergences_of_the_smallest_and_largest_numbers(name: str) -> None:
    """Where x / y is no normal number, and log(x / y) is."""
    divergence = getattr(gc, name)
    for dtype, least, most in (("float32", 1e-45, 3e38), ("float64", 5e-324, 1e308)):
        x = np.array([0.5, 26.0, least, least, most, 1e-30, least], dtype)
        y = np.array([least, least * 1000, 14.0, most, least, most, least], dtype)
        p, q = x.astype("longdouble"), y.astype("longdouble")
        ratio = np.log(p) - np.log(q)
        expected = p * ratio + (q - p if name == "kl_div" else 0)
        limit = 5e-6 if dtype == "float32" else 1e-13
        with np.errstate(over="ignore"):
            np.testing.assert_allclose(
                value_of(divergence, x, y), expected.astype(dtype), rtol=limit
            )
        found = value_of(lambda x, y: gc.grad(gc.sum(divergence(x, y)), x), x, y)
        np.testing.assert_allclose(found, ratio + (name == "rel_entr"), rtol=limit, atol=limit)


def test_rel_entr_near_equality() -> None:
    y = logarithmic(1e-3, 1e3)
    x = y * (1 + uniform(-0.1, 0.1))
    assert_accurate(gc.rel_entr, lambda x, y: x * mp.log(x / y), x, y)


def test_kl_div_near_equality() -> None:
    y = logarithmic(1e-3, 1e3)
    x = y * (1 + uniform(-0.1, 0.1))
    assert_accurate(gc.kl_div, lambda x, y: x * mp.log(x / y) - x + y, x, y)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_kl_div_slope_near_equality(dtype: str) -> None:
    x = gc.placeholder("x", ("n",), dtype)
    y = gc.placeholder("y", ("n",), dtype)
    slope = gc.function([x, y], gc.grad(gc.sum(gc.kl_div(x, y)), y))
    p = np.array([1.0, 1.75, 2.0, 3.0, 3.0], "float64")
    q = p * np.array([1.0078125, 0.984375, 1.0, 2.0, np.inf])
    q = gc.run(gc.constant(q).astype(dtype), {})
    found, wide = slope(p.astype(q.dtype), q), q.astype("float64")
    expected = np.where(np.isinf(wide), 1, (wide - p) / wide)
    np.testing.assert_allclose(found.astype("float64"), expected, rtol=float(gc.finfo(dtype).eps))


def test_combinations_of_gamma_functions() -> None:
    a, b = logarithmic(1e-3, 40), uniform(0.1, 40)
    np.testing.assert_allclose(value_of(gc.beta, a, b), special.beta(a, b), rtol=1e-12)
    np.testing.assert_allclose(value_of(gc.factorial, a), special.factorial(a), rtol=1e-13)
    np.testing.assert_allclose(value_of(gc.binom, a + b, a), special.binom(a + b, a), rtol=1e-12)
    found = value_of(lambda x: gc.multigammaln(x, 4), b + 1.5)
    expected = [special.multigammaln(v, 4) for v in b + 1.5]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)
    assert gc.run(gc.binom(5, 2)) == pytest.approx(10, rel=1e-6)
    n, k = np.array([4.0, 4, 4, 4, 0, 4.5]), np.array([5.0, 7, -1, -3, 1, 7])
    np.testing.assert_array_equal(value_of(gc.binom, n, k), [0, 0, 0, 0, 0, np.nan])
    with pytest.raises(DTypeError, match="dimension"):
        gc.multigammaln(3.0, 0)


def test_logsumexp_with_factors() -> None:
    x = np.array([[1000.0, 1001.0, -INF], [-INF, -INF, -INF], [3.0, 700.0, 2.0]])
    b = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 0.0], [1.0, 0.0, -0.1]])
    given = gc.placeholder("x", (3, 3), "float64")
    value = gc.logsumexp(given, axis=1, b=b)
    found = gc.function([given], value)(x)
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(found, special.logsumexp(x, axis=1, b=b), rtol=1e-14)
    gc.verify_grad(lambda x: gc.logsumexp(x, axis=0, keepdims=True, b=b[0]), [x[2:].repeat(2, 0)])
