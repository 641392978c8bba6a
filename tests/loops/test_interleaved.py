"""Inputs of a concatenation with one element each along the last axis, interleaved by a kernel."""

import numpy as np
import pytest

import graphc as gc

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int8", "bool"])
@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_values(dtype: str, count: int) -> None:
    inputs = [gc.placeholder(f"x{k}", ("n", "m"), dtype) for k in range(count)]
    outputs = [gc.stack(inputs, -1), gc.stack([inputs[0], inputs[0].mT.mT], -1)]
    one, two = (gc.function(inputs, outputs, threads=threads) for threads in (1, 2))
    slow = gc.function(inputs, outputs, backend="interpreter")
    for size in (0, 1, 3, 16, 17, 127):
        arrays = [(RNG.random((3, size)) * 9).astype(dtype) for _ in range(count)]
        wanted = np.stack(arrays, -1), np.stack([arrays[0]] * 2, -1)
        for f in (one, two, slow):
            for found, right in zip(f(*arrays), wanted, strict=True):
                np.testing.assert_array_equal(found, right)


def test_one_kernel_stores_neighbours() -> None:
    x, y = gc.placeholder("x", (8, 100)), gc.placeholder("y", (8, 100))
    f = gc.function([x, y], gc.stack([x, y], -1), backend="llvm")
    assert len(f.kernels().splitlines()) == 1 and "shufflevector <" in f.llvm()
    text = f.loops()
    assert "out[2*i] = x[i]" in text and "out[2*i + 1] = y[i]" in text
    z = gc.placeholder("z", (8, 100))
    three = gc.function([x, y, z], gc.stack([x, y, z], -1), backend="llvm")
    assert "out[3*i + 2]" in three.loops()
    assert "extractelement" not in three.llvm()
    # Other axes have a kernel for each input, and so have many inputs.
    assert "out[2*i" not in gc.function([x, y], gc.stack([x, y], 1)).loops()
    assert "6*i + offset" in gc.function([x, y], gc.stack([x, y] * 3, -1)).loops()


@pytest.mark.parametrize("channels", [(6, 1), (8, 8)])
@pytest.mark.parametrize("size", [8, 9, 17])
def test_gradients_with_a_stride(channels: tuple[int, int], size: int) -> None:
    """A convolution for every remainder by the stride; the results are interleaved."""
    outer, inner = channels
    groups = outer if inner == 1 else 1
    x = gc.placeholder("x", ("n", inner * groups, size, size), "float64")
    w = gc.placeholder("w", (outer, inner, 3, 3), "float64")
    out = gc.nn.conv2d(x, w, stride=2, padding=1, groups=groups)
    gradient = gc.grad(gc.sum(out * out), x)
    arrays = RNG.normal(size=(2, inner * groups, size, size)), RNG.normal(size=(outer, inner, 3, 3))
    found = gc.function([x, w], gradient, threads=1)(*arrays)
    np.testing.assert_array_equal(gc.function([x, w], gradient, threads=2)(*arrays), found)
    wanted = gc.function([x, w], gradient, backend="reference")(*arrays)
    np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-11)
