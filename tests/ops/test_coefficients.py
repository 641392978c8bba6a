"""Polynomials, histograms of several coordinates and parts of floats, beside numpy."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc

BACKENDS = ("reference", "interpreter", "llvm", "numba_cpu")


def run(build: Callable[..., Any], *arrays: Any, backend: str = "llvm", **sizes: Any) -> Any:
    arrays = tuple(map(np.asarray, arrays))
    inputs = [gc.placeholder(f"x{n}", a.shape, a.dtype) for n, a in enumerate(arrays)]
    return gc.function(inputs, build(*inputs), backend=backend)(*arrays)


@pytest.mark.parametrize("backend", BACKENDS)
def test_arithmetic_of_polynomials(backend: str) -> None:
    p, q = np.array([2.0, -1.0, 0.5, 3.0]), np.array([1.0, 4.0])
    for name in ("polyadd", "polysub", "polymul"):
        for one, other in ((p, q), (q, p), (p, p)):
            found = run(getattr(gc, name), one, other, backend=backend)
            np.testing.assert_allclose(found, getattr(np, name)(one, other), rtol=1e-14)
    for m in (0, 1, 2, 3):
        found = run(lambda x, m=m: gc.polyder(x, m), p, backend=backend)
        np.testing.assert_allclose(found, np.polyder(p, m), rtol=1e-14)
        found = run(lambda x, m=m: gc.polyint(x, m), p, backend=backend)
        np.testing.assert_allclose(found, np.polyint(p, m), rtol=1e-14)
    for coefficients in (p, np.array([1j, 2, 3]), np.array([1, -3, 2])):
        found = run(gc.roots, coefficients, backend=backend)
        np.testing.assert_allclose(np.sort(found), np.sort(np.roots(coefficients)), rtol=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_polyfit(backend: str) -> None:
    rng = np.random.default_rng(0)
    x, y, w = rng.uniform(-1, 3, 12), rng.normal(size=(12, 2)), rng.uniform(0.5, 2, 12)
    for deg in (0, 1, 3):
        found = run(lambda x, y, d=deg: gc.polyfit(x, y, d), x, y, backend=backend)
        np.testing.assert_allclose(found, np.polyfit(x, y, deg), rtol=1e-10, atol=1e-12)
    found = run(lambda x, y, w: gc.polyfit(x, y, 2, w=w), x, y[:, 0], w, backend=backend)
    np.testing.assert_allclose(found, np.polyfit(x, y[:, 0], 2, w=w), rtol=1e-10)
    n = gc.placeholder("x", ("n",), "float64"), gc.placeholder("y", ("n",), "float64")
    f = gc.function(list(n), gc.polyfit(*n, 2), backend=backend)
    for count in (3, 7):
        expected = np.polyfit(x[:count], y[:count, 0], 2)
        np.testing.assert_allclose(f(x[:count], y[:count, 0]), expected, rtol=1e-9)


def test_gradients_of_polynomials() -> None:
    rng = np.random.default_rng(1)
    x, y, w = rng.uniform(-1, 2, 6), rng.normal(size=6), rng.uniform(0.5, 2, 6)
    gc.verify_grad(lambda x, y, w: gc.polyfit(x, y, 2, w=w), [x, y, w])
    gc.verify_grad(lambda p, q: gc.polymul(gc.polyadd(p, q), gc.polyint(p)), [y[:4], x[:2]])
    gc.verify_grad(lambda p: gc.real(gc.roots(p)), [np.array([1.0, -6.0, 11.0, -6.5])])


@pytest.mark.parametrize("backend", BACKENDS)
def test_histograms_of_several_coordinates(backend: str) -> None:
    rng = np.random.default_rng(2)
    sample, w = rng.normal(size=(60, 3)), rng.uniform(size=60)
    cases: list[dict[str, Any]] = [
        {},
        {"bins": 4},
        {"bins": [2, 3, 4], "range": [(-1, 1), None, (-2, 0.5)]},
        {"bins": [np.array([-1.0, 0.0, 2.0]), 3, 4], "density": True},
    ]
    for case in cases:
        expected = np.histogramdd(sample, **case)
        found = run(lambda s, c=case: gc.histogramdd(s, **c), sample, backend=backend)
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-12)
        for one, other in zip(found[1], expected[1], strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)
    found = run(lambda s, w: gc.histogramdd(s, 3, weights=w), sample, w, backend=backend)
    np.testing.assert_allclose(found[0], np.histogramdd(sample, 3, weights=w)[0], rtol=1e-12)
    x, y = sample[:, 0], sample[:, 1]
    for bins in (5, [3, 4], np.array([-1.0, 0.0, 1.0])):
        planar = run(lambda x, y, b=bins: gc.histogram2d(x, y, b), x, y, backend=backend)
        for one, other in zip(planar, np.histogram2d(x, y, bins), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_parts_of_floats(dtype: str, backend: str) -> None:
    info = np.finfo(dtype)
    ordinary = [0.0, -0.0, 1, -1, 0.5, 3.7, -1e-3, 1e30, np.inf, -np.inf, np.nan, info.max]
    small = info.smallest_subnormal * np.array([1, -3, 1000])
    values = np.array([*ordinary, -info.tiny, *small, info.tiny / 2], dtype)
    fraction, exponent = run(gc.frexp, values, backend=backend)
    expected = np.frexp(values)
    np.testing.assert_array_equal(fraction, expected[0])
    np.testing.assert_array_equal(np.signbit(fraction), np.signbit(expected[0]))
    finite = np.isfinite(values)
    np.testing.assert_array_equal(exponent[finite], expected[1][finite])
    assert exponent.dtype == np.int32 and fraction.dtype == dtype
    limit = 2300 if dtype == "float64" else 320
    powers = np.arange(-limit, limit + 1, 7, dtype="int32")
    grid = np.array([1.0, 0.7, -1.3e-5, info.max, info.smallest_subnormal * 5, 1e-37], dtype)
    with np.errstate(over="ignore", under="ignore"):
        scaled = np.ldexp(grid[:, None], powers)
    found = run(lambda x, n: gc.ldexp(x[:, None], n), grid, powers, backend=backend)
    np.testing.assert_array_equal(found, scaled)
    whole = run(lambda x, n: gc.ldexp(x, n), grid, np.full(6, 3, "int64"), backend=backend)
    assert whole.dtype == dtype


def test_gradients_of_parts() -> None:
    x = np.array([0.3, -5.0, 100.0])
    gc.verify_grad(lambda x: gc.frexp(x)[0], [x])
    gc.verify_grad(lambda x: gc.ldexp(x, np.array([3, -2, 0])), [x])


@pytest.mark.parametrize(
    ("build", "error", "text"),
    [
        (lambda x: gc.polyadd(x[None], x), gc.ShapeError, "coefficients"),
        (lambda x: gc.polyder(x, -1), gc.ParameterError, "m is -1"),
        (lambda x: gc.roots(x[:1]), gc.ShapeError, "at least two"),
        (lambda x: gc.polyfit(x[None], x, 1), gc.ShapeError, "x float32"),
        (lambda x: gc.polyfit(x, x, -1), gc.ParameterError, "deg is -1"),
        (lambda x: gc.histogramdd(x), gc.ShapeError, "known d"),
        (lambda x: gc.histogramdd([x, x], [3]), gc.ParameterError, "1 bins for 2"),
        (lambda x: gc.histogram2d(x, x, range=[(0, 1)]), gc.ParameterError, "1 ranges for 2"),
        (lambda x: gc.ldexp(x, x), gc.DTypeError, "ldexp"),
        (lambda x: gc.frexp(x * 1j), gc.DTypeError, "frexp"),
    ],
)
def test_refused(build: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text) as caught:
        build(gc.placeholder("x", (3,)))
    assert "test_coefficients.py" in str(caught.value)
