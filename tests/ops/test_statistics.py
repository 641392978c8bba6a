"""Mean, variance and log-sum-exp against numpy and at extreme values."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special

import graphc as gc
from graphc.backends.reference.interpreter import evaluate_tensors
from graphc.errors import ShapeError

Compute = Callable[..., Any]
NAN, INF = np.nan, np.inf


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2)])
def test_against_numpy(compute: Compute, axis: Any, keepdims: bool) -> None:
    x = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    options = {"axis": axis, "keepdims": keepdims}
    mean, var, std, unbiased, total = compute(
        lambda x: (
            gc.mean(x, **options),
            gc.var(x, **options),
            x.std(**options),
            gc.var(x, correction=1, **options),
            gc.logsumexp(x, **options),
        ),
        x,
    )
    wide = x.astype(np.float64)
    for actual, expected in (
        (mean, wide.mean(**options)),
        (var, wide.var(**options)),
        (std, wide.std(**options)),
        (unbiased, wide.var(ddof=1, **options)),
        (total, scipy.special.logsumexp(wide, **options)),
    ):
        assert actual.dtype == np.float32 and actual.shape == expected.shape
        np.testing.assert_allclose(actual, expected, rtol=2e-6, atol=1e-7)


def test_variance_of_large_numbers(compute: Compute) -> None:
    x = np.array([10000.0, 10001.0, 10002.0], np.float32)
    assert compute(gc.var, x) == pytest.approx(2 / 3, rel=1e-6)


def test_means_of_nothing_and_of_integers(compute: Compute) -> None:
    assert np.isnan(compute(gc.mean, np.zeros(0, np.float32)))
    assert np.isnan(compute(lambda x: gc.var(x, correction=1), np.ones(1, np.float32)))
    mean = compute(gc.mean, np.array([1, 2, 4], np.int64))
    assert mean.dtype == np.float32 and mean == np.float32(7 / 3)


def test_logsumexp_at_extremes(compute: Compute) -> None:
    x = np.array(
        [[1000, 1000], [-1000, -1000], [-INF, -INF], [INF, -INF], [-INF, 3], [NAN, 0], [INF, INF]],
        np.float32,
    )
    expected = [1000.6931, -999.30685, -INF, INF, 3, NAN, INF]
    np.testing.assert_allclose(compute(lambda x: gc.logsumexp(x, axis=1), x), expected, rtol=1e-7)
    assert compute(gc.logsumexp, np.zeros(0, np.float32)) == -INF


def gradient(build: Callable[..., Any], array: Any) -> Any:
    held = np.asarray(array, np.float32)
    x = gc.placeholder("x", [None] * held.ndim)
    return evaluate_tensors([gc.grad(gc.sum(build(x)), x)], {x: held})[0].tolist()


def test_gradients_at_extremes() -> None:
    assert gradient(gc.logsumexp, [1000, 1000]) == pytest.approx([0.5, 0.5], rel=1e-4)
    assert gradient(gc.logsumexp, [-INF, 0]) == [0, 1]
    assert gradient(gc.logsumexp, [-INF, -INF]) == [0, 0]
    assert gradient(gc.mean, [[1, 2], [3, 4]]) == [[0.25] * 2] * 2
    assert gradient(gc.var, [3, 3, 3]) == [0, 0, 0]


def test_errors_name_the_line() -> None:
    x = gc.placeholder("x", (3,))
    for build in (gc.mean, gc.var, gc.std, gc.logsumexp):
        with pytest.raises(ShapeError, match="axis 1 is out of range") as caught:
            build(x, axis=1)
        assert "test_statistics.py:" in str(caught.value)


@pytest.mark.parametrize("backend", ["reference", "llvm"])
def test_complex_numbers_have_a_real_variance(backend: str) -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(size=(3, 5)) + 1j * rng.normal(size=(3, 5)) + 7
    x = gc.placeholder("x", (None, 5), "complex128")
    results = [gc.var(x, axis=0, correction=1), gc.std(x, keepdims=True), gc.grad(gc.std(x), x)]
    variance, deviation, slope = gc.function([x], results, backend=backend)(values)
    np.testing.assert_allclose(variance, values.var(axis=0, ddof=1))
    np.testing.assert_allclose(deviation, values.std(keepdims=True))
    np.testing.assert_allclose(np.abs(slope), np.abs(values - values.mean()) / (15 * values.std()))
    assert gc.var(gc.placeholder("z", (2,), "complex64")).dtype == gc.float32
