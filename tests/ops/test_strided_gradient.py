"""Gradients by the input of convolutions with strides, and transposed convolutions: one product."""

from typing import Any

import numpy as np
import pytest

import graphc as gc

LAYOUTS = {3: "NWC", 4: "NHWC", 5: "NDHWC"}


def random_case(rng: np.random.Generator) -> tuple[Any, Any, dict[str, Any], tuple[int, ...]]:
    """Images x, a filter w, the options of their convolution, and the image that it is of."""
    rank = int(rng.choice([1, 2, 2, 3]))
    kernel = rng.integers(1, 6 if rank < 3 else 4, rank)
    stride = rng.integers(1, 5, rank)
    dilation = np.where(rng.random(rank) < 0.2, 2, 1)
    reach = dilation * (kernel - 1)
    groups = int(rng.choice([1, 1, 1, 2, 3]))
    inner, outer = rng.choice([1, 2, 3, 5, 16, 32, 33], 2)
    spatial = reach + rng.integers(1, 11, rank)
    padding: Any = [(int(a), int(c)) for a, c in rng.integers(0, 4, (rank, 2))]
    if rng.random() < 0.2:
        padding = "same"
    options = {
        "stride": tuple(map(int, stride)),
        "dilation": tuple(map(int, dilation)),
        "padding": padding,
        "groups": groups,
    }
    x = rng.normal(size=(int(rng.integers(0, 4)), groups * inner, *spatial))
    w = rng.normal(size=(groups * outer, inner, *kernel))
    if rng.random() < 0.4:
        options["layout"] = LAYOUTS[rank + 2]
        x, w = np.moveaxis(x, 1, -1), np.moveaxis(w, (0, 1), (-1, -2))
    return x, w, options, x.shape


@pytest.mark.parametrize("seed", range(40))
def test_random_windows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, w, options, shape = random_case(rng)
    symbolic = seed % 4 == 0
    given = tuple([f"s{axis}" if rng.random() < 0.5 else size for axis, size in enumerate(shape)])
    inputs = [
        gc.placeholder("x", given if symbolic else shape, "float64"),
        gc.placeholder("w", w.shape, "float64"),
    ]
    out = gc.nn.conv(*inputs, **options)
    gradient = gc.grad(gc.sum(gc.sin(out)), inputs[0])
    wanted = gc.function(inputs, gradient, backend="reference")(x, w)
    first = gc.function(inputs, gradient, threads=1)(x, w)
    np.testing.assert_allclose(first, wanted, rtol=1e-10, atol=1e-10)
    np.testing.assert_array_equal(gc.function(inputs, gradient, threads=2)(x, w), first)


def test_the_whole_gradient_is_one_product() -> None:
    """Filters are packed once, padding is stored once, and no part is put beside another."""
    g, w = gc.placeholder("g", (8, 32, 4, 4)), gc.placeholder("w", (32, 16, 3, 3))
    options: dict[str, Any] = {"stride": 2, "padding": 1, "output_padding": 1}
    f = gc.function([g, w], gc.nn.conv_transpose2d(g, w, **options), backend="llvm")
    text = f.kernels()
    assert text.count("window_product(") == 1
    assert "concat" not in text.split("window_product(")[1]


@pytest.mark.parametrize("backend", ["interpreter", "numba_cpu"])
@pytest.mark.parametrize("channels", [3, 16])
def test_on_every_backend(channels: int, backend: str) -> None:
    rng = np.random.default_rng(channels)
    g, w = rng.normal(size=(2, 5, 3, 4)), rng.normal(size=(5, channels, 3, 2))
    inputs = [gc.placeholder("g", g.shape, "float64"), gc.placeholder("w", w.shape, "float64")]
    out = gc.nn.conv_transpose2d(*inputs, stride=(2, 3), padding=(1, 0))
    wanted = gc.function(inputs, out, backend="reference")(g, w)
    found = gc.function(inputs, out, backend=backend)(g, w)
    np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-11)
