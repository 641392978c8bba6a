"""Whole-batch minimisers on problems with known answers."""

import numpy as np
import pytest

import graphc as gc
from graphc.layers import whole_batch

METHODS = ["cg", "bfgs", "l-bfgs", "newton-cg"]


@pytest.mark.parametrize("method", METHODS)
def test_rosenbrock(method: str) -> None:
    x, y = gc.variable(np.float64(-1.2), "x"), gc.variable(np.array([1.0]), "y")
    loss = (1 - x) ** 2 + 100 * gc.sum(gc.square(y - x * x))
    seen: list[float] = []
    found = whole_batch.minimize(
        loss, [x, y], method=method, tolerance=1e-8, callback=lambda i, value: seen.append(value)
    )
    assert found.converged and found.loss < 1e-12
    assert np.allclose([x.value, y.value[0]], 1, atol=1e-5)
    assert len(seen) == found.iterations <= found.evaluations


@pytest.mark.parametrize("method", METHODS)
def test_least_squares_of_data(method: str) -> None:
    rng = np.random.default_rng(0)
    data, target = rng.normal(size=(50, 4)), rng.normal(size=(50, 2))
    x, y = gc.placeholder("x", ("n", 4), "float64"), gc.placeholder("y", ("n", 2), "float64")
    w, b = gc.variable(np.zeros((4, 2)), "w"), gc.variable(np.zeros(2), "b")
    loss = gc.mean(gc.square(x @ w + b - y))
    whole_batch.minimize(loss, [w, b], {x: data, y: target}, method=method, tolerance=1e-9)
    design = np.hstack([data, np.ones((50, 1))])
    expected = np.linalg.lstsq(design, target)[0]
    assert np.allclose(np.vstack([w.value, b.value]), expected, atol=1e-6)


def test_float32_and_limits() -> None:
    w = gc.variable(np.full(3, 5, "float32"), "w")
    found = whole_batch.minimize(gc.sum(w**4), w, max_iterations=1)
    assert found.iterations == 1 and not found.converged and w.value.dtype == np.float32


def test_errors_leave_the_weights() -> None:
    w, x = gc.variable(np.array([1.0]), "w"), gc.placeholder("x", ("n",), "float64")
    loss = gc.sum(w) * gc.sum(x)

    def stop(iteration: int, value: float) -> None:
        raise KeyError("stop")

    with pytest.raises(KeyError):
        whole_batch.minimize(gc.sum(w**2), w, callback=stop)
    with pytest.raises(gc.FeedError):
        whole_batch.minimize(loss, w, {x: np.zeros((2, 2))})
    with pytest.raises(gc.ParameterError, match="no method 'sgd'"):
        whole_batch.minimize(loss, w, method="sgd")
    with pytest.raises(gc.ShapeError, match="scalar"):
        whole_batch.minimize(w * 2, w)
    assert w.value == 1.0
