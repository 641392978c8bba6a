"""diagonal, trace, tril, triu: numpy at all offsets, symbolic sizes, derivatives, errors."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.errors import ShapeError

Compute = Callable[..., Any]
SHAPES = [(4, 4), (3, 5), (5, 3), (1, 4), (2, 3, 3), (0, 3), (0, 0)]


def matrix(shape: tuple[int, ...]) -> np.ndarray:
    return np.arange(1, 1 + np.prod(shape, dtype=int), dtype=np.float32).reshape(shape)


@pytest.mark.parametrize("offset", [-9, -2, -1, 0, 1, 2, 9])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_values(compute: Compute, shape: tuple[int, ...], offset: int) -> None:
    x = matrix(shape)
    found = compute(
        lambda x: (
            gc.diagonal(x, offset),
            gc.trace(x, offset),
            gc.tril(x, offset),
            gc.triu(x, offset),
        ),
        x,
    )
    expected = [f(x, offset) for f in (np.diagonal, np.trace, np.tril, np.triu)]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_other_axes(compute: Compute) -> None:
    x = matrix((2, 3, 4, 5))
    for axes in ((1, 3), (3, 0), (-1, -2)):
        found = compute(lambda x, axes=axes: gc.diagonal(x, 1, *axes), x)
        np.testing.assert_array_equal(found, np.diagonal(x, 1, *axes))


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint8", "bool"])
def test_dtypes(compute: Compute, dtype: str) -> None:
    x = matrix((3, 3)).astype(dtype)
    lower, total = compute(lambda x: (gc.tril(x), gc.trace(x)), x)
    np.testing.assert_array_equal(lower, np.tril(x))
    assert lower.dtype == dtype and total == np.trace(x) and total.dtype == np.trace(x).dtype


def test_what_is_cut_off_leaks_nothing(compute: Compute) -> None:
    x = np.array([[1, np.inf], [2, np.nan]], np.float32)
    np.testing.assert_array_equal(
        compute(lambda x: gc.triu(gc.tril(x, -1), -1), x), [[0, 0], [2, 0]]
    )


@pytest.mark.parametrize("offset", [-2, 0, 1])
def test_derivatives(offset: int) -> None:
    x = np.random.default_rng(0).normal(size=(3, 4))
    for build in (gc.diagonal, gc.trace, gc.tril, gc.triu):
        gc.verify_grad(lambda t, f=build: gc.exp(f(t, offset)), [x])
        gc.verify_grad(lambda t, f=build: gc.grad(gc.sum(gc.exp(f(t, offset))), t), [x])


def test_gradient_of_an_empty_diagonal(compute: Compute) -> None:
    """With symbolic sizes nobody knows at build that the offset leads out of the matrix."""
    x = matrix((3, 4))
    found = compute(lambda x: gc.grad(gc.sum(gc.diagonal(x, 9) * 2), x), x)
    np.testing.assert_array_equal(found, np.zeros((3, 4)))


def test_an_offset_may_be_a_size() -> None:
    """The pairs of two halves of a batch, as contrastive losses pick them."""
    x, other = gc.placeholder("x", ("n", 4)), gc.placeholder("other", ("m",))
    n, both = x.shape[0], gc.concat([x, x + 1], axis=0)
    products = both @ both.T
    offsets = (n, -n, n - other.shape[0])
    f = gc.function(
        [x, other],
        [gc.diagonal(products, k) for k in offsets] + [gc.trace(both, -n)],
        on_unused_input="ignore",
    )
    value = matrix((3, 4))
    whole = np.concatenate([value, value + 1])
    for m in (2, 3, 5):
        *found, total = f(value, np.zeros(m, "float32"))
        for one, offset in zip(found, (3, -3, 3 - m), strict=True):
            np.testing.assert_array_equal(one, np.diagonal(whole @ whole.T, offset))
        np.testing.assert_array_equal(total, np.trace(whole, -3))


def test_errors() -> None:
    vector, square = gc.placeholder("v", (3,)), gc.placeholder("x", (3, 3))
    for build in (gc.diagonal, gc.trace, gc.tril, gc.triu):
        with pytest.raises(ShapeError, match="at least 2 axes"):
            build(vector)
    with pytest.raises(ShapeError):
        gc.diagonal(square, 0, 1, 1)
    with pytest.raises(ShapeError):
        gc.trace(square, 0, 0, 2)
