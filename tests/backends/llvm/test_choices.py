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


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint8", "float16"])
@pytest.mark.parametrize("f", [variation, squares, every_other, padded, turned])
def test_values(f: Callable[[Tensor], Tensor], dtype: str) -> None:
    if dtype in ("int32", "uint8") and f not in (padded, turned):
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
    x = gc.placeholder("x", (100, 100))
    for f in (variation, padded):
        text = gc.function([x], f(x), threads=1).llvm()
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
