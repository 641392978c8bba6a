"""gradient and cumulative_trapezoid beside numpy's and scipy's."""

from typing import Any

import numpy as np
import pytest
import scipy.integrate

import graphc as gc
from graphc.errors import ParameterError, ShapeError

PLACES = np.array([0.0, 0.3, 0.4, 1.5, 2.5, 2.7])


def both(build: Any, *arrays: np.ndarray, symbolic: bool) -> Any:
    shapes = [tuple(f"n{s}" if symbolic else s for s in a.shape) for a in arrays]
    inputs = [gc.placeholder(None, s, a.dtype) for s, a in zip(shapes, arrays, strict=True)]
    return gc.function(inputs, build(*inputs))(*arrays)


@pytest.mark.parametrize("symbolic", [False, True])
@pytest.mark.parametrize("order", [1, 2])
def test_gradient(order: int, symbolic: bool) -> None:
    f = np.random.default_rng(0).normal(size=(6, 4))
    options: dict[str, Any] = {"edge_order": order}
    for spacing in ((), (0.5,), (0.5, 2.0), (PLACES, np.array([0.0, 1, 3, 3.5]))):
        found = both(lambda f, s=spacing: gc.gradient(f, *s, **options), f, symbolic=symbolic)
        expected = np.gradient(f, *spacing, **options)
        assert len(found) == 2
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-12)
    for axis in (0, -1):
        found = both(lambda f, a=axis: gc.gradient(f, axis=a, **options), f, symbolic=symbolic)
        np.testing.assert_allclose(found, np.gradient(f, axis=axis, **options), rtol=1e-12)
    found = both(lambda f, x: gc.gradient(f, x, axis=0, **options), f, PLACES, symbolic=symbolic)
    np.testing.assert_allclose(found, np.gradient(f, PLACES, axis=0, **options), rtol=1e-11)
    line = both(lambda f: gc.gradient(f, **options), f[:, 0].copy(), symbolic=symbolic)
    np.testing.assert_allclose(line, np.gradient(f[:, 0], **options), rtol=1e-12)


def test_gradient_of_gradient() -> None:
    f = np.random.default_rng(1).normal(size=6)
    gc.verify_grad(lambda f, x: gc.gradient(f, x, edge_order=2), [f, PLACES])
    gc.verify_grad(lambda f: gc.gradient(f, 0.5), [f])


@pytest.mark.parametrize(
    ("build", "error"),
    [
        (lambda x: gc.gradient(x, 1.0, 2.0, 3.0), ParameterError),
        (lambda x: gc.gradient(x, edge_order=3), ParameterError),
        (lambda x: gc.gradient(x[:, :1]), ShapeError),
        (lambda x: gc.gradient(x[:2], edge_order=2), ShapeError),
        (lambda x: gc.gradient(x, np.zeros(3), axis=0), ShapeError),
        (lambda x: gc.gradient(x, axis=2), ShapeError),
    ],
)
def test_gradient_refuses(build: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="gradient") as caught:
        build(gc.placeholder("x", (5, 4)))
    assert "test_slopes.py" in str(caught.value)


@pytest.mark.parametrize("initial", [None, 0])
def test_cumulative_trapezoid(initial: int | None) -> None:
    y = np.random.default_rng(0).normal(size=(6, 3))
    for axis in (0, 1):
        x = PLACES if axis == 0 else PLACES[:3]
        found = both(
            lambda y, x, a=axis: gc.cumulative_trapezoid(y, x, axis=a, initial=initial),
            y,
            x,
            symbolic=True,
        )
        expected = scipy.integrate.cumulative_trapezoid(y, x, axis=axis, initial=initial)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)
    found = both(lambda y: gc.cumulative_trapezoid(y, dx=0.5, initial=initial), y, symbolic=False)
    expected = scipy.integrate.cumulative_trapezoid(y, dx=0.5, initial=initial)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    gc.verify_grad(lambda y, x: gc.cumulative_trapezoid(y, x, axis=0, initial=initial), [y, PLACES])
