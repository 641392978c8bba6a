"""Values that are wanted under a condition alone."""

from collections.abc import Callable

import numpy as np
import pytest

import graphc as gc
from graphc.backends.llvm.target import host
from graphc.ir.tensor import Tensor

SIZES = [(1, 2), (3, 15), (5, 16), (4, 17), (2, 31), (7, 33), (3, 64), (2, 257)]


def grad(loss: Tensor, x: Tensor) -> Tensor:
    (found,) = gc.grad(loss, [x])
    assert isinstance(found, Tensor)
    return found


def variation(x: Tensor) -> Tensor:
    return grad(gc.sum((x[:, 1:] - x[:, :-1]) ** 2), x)


def squares(x: Tensor) -> Tensor:
    return grad(gc.sum(x[:-1, 1:] ** 2) + gc.sum(x[1:, :-1] ** 3), x)


def every_other(x: Tensor) -> Tensor:
    return grad(gc.sum(x[:, ::2] ** 2), x)


def padded(x: Tensor) -> Tensor:
    return gc.pad(2 * x + 1, ((1, 2), (3, 4)))


def turned(x: Tensor) -> Tensor:
    return gc.pad(gc.transpose(x), ((2, 0), (0, 5)))


def stencil(x: Tensor) -> Tensor:
    """Places of neighbours are made of the place of the element itself."""
    y = gc.pad(x, 1)
    inner = y[1:-1, 1:-1]
    around = y[:-2, 1:-1] + y[1:-1, :-2] + y[1:-1, 2:]
    return y.at[1:-1, 1:-1].set(inner + around)


def replaced(x: Tensor) -> Tensor:
    """Several choices read what is computed under their conditions."""
    return grad(gc.sum(stencil(x) ** 2), x)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint8", "float16"])
@pytest.mark.parametrize("f", [variation, squares, every_other, padded, turned, stencil, replaced])
def test_values(f: Callable[[Tensor], Tensor], dtype: str) -> None:
    if dtype in ("int32", "uint8") and f not in (padded, turned, stencil):
        pytest.skip("integers have no gradients")
    x = gc.placeholder("x", ("n", "m"), dtype)
    function = gc.function([x], f(x))
    reference = gc.function([x], f(x), backend="reference")
    for shape in SIZES:
        values = np.random.default_rng(1).integers(0, 9, shape).astype(dtype)
        known = gc.placeholder("x", shape, dtype)
        np.testing.assert_array_equal(function(values), reference(values))
        np.testing.assert_array_equal(gc.function([known], f(known))(values), reference(values))


@pytest.mark.skipif(4 not in host().masked_sizes, reason="masked loads are slow here")
def test_neighbours_are_read_together() -> None:
    """An element for each lane was read alone, though neighbours were wanted."""
    x = gc.placeholder("x", (60, 60))
    inner = x[1:-1, 1:-1] + x[:-2, 1:-1] + x[1:-1, :-2]
    for y in (variation(x), padded(x), x.at[1:-1, 1:-1].set(inner)):
        text = gc.function([x], y, threads=1).llvm()
        assert "llvm.masked.load" in text
        assert "llvm.masked.gather" not in text
        assert text.count("insertelement") < 16


def test_values_of_values_are_not_written_out() -> None:
    """An integer squared again and again took longer to compile with each square."""
    x = gc.placeholder("x", ("n",), "int64")
    y = x
    for _ in range(40):
        y = y * y
    f = gc.function([x], gc.where(x > 1, y, x))
    np.testing.assert_array_equal(f(np.array([-1, 0, 1, 2])), [-1, 0, 1, 0])


def test_places_of_places_are_written_out_as_far_as_they_are_short() -> None:
    """Places that double again and again are not."""
    y = gc.arange(50)
    for _ in range(40):
        y = gc.minimum(y + y, 49)
    x = gc.placeholder("x", (50,))
    f = gc.function([x], gc.where(gc.arange(50) > 1, x[y], x))
    values = np.arange(50, dtype="float32")
    expected = np.where(values > 1, 49.0, values)
    np.testing.assert_array_equal(f(values), expected)
