"""Convolutions with 3x3 windows by minimal filtering, and their gradients."""

from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.ops import filtered_convolution

RNG = np.random.default_rng(3)

# images, channels out, options: odd sizes, whole images in a block, parts of blocks, wide padding
CASES: list[tuple[tuple[int, ...], int, dict[str, Any]]] = [
    ((2, 16, 14, 14), 16, {"padding": 1}),
    ((3, 17, 15, 13), 19, {"padding": 1}),
    ((7, 16, 5, 6), 33, {"padding": 1}),  # three images in a block, of which the last has one
    ((1, 20, 30, 9), 64, {}),
    ((2, 40, 12, 17), 18, {"padding": ((2, 1), (0, 2))}),
    ((2, 17, 6, 123), 16, {"padding": 1}),  # parts of rows, of which the last has an odd end
    ((1, 18, 12, 11), 16, {"padding": 3}),  # windows of nothing but padding
    ((1, 260, 15, 15), 32, {"padding": 1}),  # narrow panels
    ((1, 130, 15, 15), 128, {"padding": 1}),  # several panels, and blocks of the filter's gradient
]


def case(
    shape: Any, outer: int, options: Any, dtype: str = "float64", last: bool = False, **known: Any
) -> Any:
    """Placeholders, results (the convolution and its gradients), and arrays."""
    shapes = [shape, (outer, shape[1], 3, 3)]
    if last:
        shapes = [(shape[0], *shape[2:], shape[1]), (3, 3, shape[1], outer)]
    arrays = [RNG.normal(size=one).astype(dtype) for one in shapes]
    inputs = [
        gc.placeholder("x", (known.get("batch", shape[0]), *shapes[0][1:]), dtype),
        gc.placeholder("w", shapes[1], dtype),
    ]
    out = gc.nn.conv2d(*inputs, layout="NHWC" if last else "NCHW", **options)
    weight = gc.sin(out)
    return inputs, [out, *gc.grad(gc.sum(out * weight), inputs)], arrays


def direct(results: Any, inputs: Any, arrays: Any) -> Any:
    return gc.function(inputs, results, backend="reference")(*arrays)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize(("shape", "outer", "options"), CASES)
def test_values_and_gradients(shape: Any, outer: int, options: Any, last: bool) -> None:
    inputs, results, arrays = case(shape, outer, options, last=last)
    f = gc.function(inputs, results, threads=1)
    assert f.loops().count("= minimal_filtering(") >= 2  # one kernel both ways, or two
    shared = gc.function(inputs, results, threads=2)(*arrays)
    for found, other, wanted in zip(
        f(*arrays), shared, direct(results, inputs, arrays), strict=True
    ):
        np.testing.assert_array_equal(found, other)
        np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("backend", ["interpreter", "numba_cpu"])
@pytest.mark.parametrize(
    ("shape", "outer", "options"),
    [((3, 2, 5, 6), 3, {"padding": 1}), ((1, 3, 7, 4), 2, {"padding": ((0, 1), (2, 0))})],
)
def test_so_on_every_backend(
    shape: Any, outer: int, options: Any, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small ones, which these take their time for."""
    monkeypatch.setattr(filtered_convolution, "CHANNELS", 1)
    monkeypatch.setattr(filtered_convolution, "TILES", 1)
    inputs, results, arrays = case(shape, outer, options)
    results = results[::2] if backend == "numba_cpu" else results
    f = gc.function(inputs, results, backend=backend)
    assert "= minimal_filtering(" in f.loops()
    for found, wanted in zip(f(*arrays), direct(results, inputs, arrays), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("batch", [0, 1, 2, 3, 7])
@pytest.mark.parametrize("size", [(14, 14), (13, 17), (5, 6)])
def test_one_function_serves_every_batch(
    size: Any, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filtered_convolution, "TILES", 1)
    inputs, results, arrays = case((batch, 16, *size), 24, {"padding": 1}, batch="n")
    f = gc.function(inputs, results)
    assert "= minimal_filtering(" in f.loops()
    for found, wanted in zip(f(*arrays), direct(results, inputs, arrays), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-10)


def test_float32_is_as_exact_as_sums_of_products() -> None:
    """Root mean square errors beside float64: of 576 products, and of 1568 in a filter."""
    shapes = [(2, 64, 28, 28), (64, 64, 3, 3), (2, 64, 28, 28)]
    arrays = [RNG.normal(size=shape).astype("float32") for shape in shapes]
    both = []
    for dtype, backend in (("float32", "llvm"), ("float64", "reference")):
        inputs = [gc.placeholder(name, s, dtype) for name, s in zip("xwr", shapes, strict=True)]
        out = gc.nn.conv2d(*inputs[:2], padding=1)
        results = [out, *gc.grad(gc.sum(out * inputs[2]), inputs[:2])]
        f = gc.function(inputs, results, backend=backend)
        both.append(f(*[array.astype(dtype) for array in arrays]))
    for found, exact in zip(*both, strict=True):
        assert np.sqrt(np.mean((found - exact) ** 2) / np.mean(exact**2)) < 4e-7


def test_an_infinity_stays_one_or_becomes_nan_and_stays_near() -> None:
    x = RNG.normal(size=(1, 16, 16, 16)).astype("float32")
    w = RNG.normal(size=(16, 16, 3, 3)).astype("float32")
    x[0, 5, 8, 8] = np.inf
    inputs = [gc.placeholder("x", x.shape), gc.placeholder("w", w.shape)]
    out = gc.function(inputs, gc.nn.conv2d(*inputs, padding=1))(x, w)[0]
    finite = np.isfinite(out).all(axis=0)
    assert not finite[7:10, 7:10].any()  # all windows that read it
    rows, columns = np.nonzero(~finite)
    assert rows.min() >= 6 and rows.max() <= 9 and columns.min() >= 6 and columns.max() <= 9


def test_what_is_computed_of_it_alone_is_computed_with_it() -> None:
    shapes = [(3, 16, 12, 14), (32, 16, 3, 3), (32,), (3, 32, 12, 14)]
    arrays = [RNG.normal(size=shape).astype("float32") for shape in shapes]
    inputs = [gc.placeholder(name, array.shape) for name, array in zip("xwbr", arrays, strict=True)]
    x, w, b, r = inputs
    out = gc.nn.relu(gc.nn.conv2d(x, w, padding=1) + b[:, None, None] + r)
    turned = gc.moveaxis(x, 1, -1), gc.permute_dims(w, (2, 3, 1, 0))
    last = gc.tanh(gc.nn.conv2d(*turned, padding=1, layout="NHWC") + b)
    results = [out, last]
    f = gc.function(inputs, results)
    kernels = [line for line in f.loops().splitlines() if line.startswith("kernel minimal")]
    assert sum("relu" in line or "tanh" in line for line in kernels) == 2
    for found, wanted in zip(f(*arrays), direct(results, inputs, arrays), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_filters_of_all_sizes_have_three_kernels() -> None:
    x = gc.placeholder("x", (2, 16, 14, 14), "float64")
    shapes = [(24, 16, 3, 3), (130, 24, 3, 3), (17, 130, 3, 3)]
    filters = [gc.placeholder(f"w{n}", shape, "float64") for n, shape in enumerate(shapes)]
    h = x
    for w in filters:
        h = gc.sin(gc.nn.conv2d(h, w, padding=1))
    inputs = [x, *filters]
    results = [h, *gc.grad(gc.sum(h), inputs)]
    f = gc.function(inputs, results)
    kernels = [line for line in f.loops().splitlines() if line.startswith("kernel filter")]
    assert len(kernels) == 3  # there, there with windows turned around, and back
    arrays = [RNG.normal(size=shape) / shape[1] for shape in [(2, 16, 14, 14), *shapes]]
    for found, wanted in zip(f(*arrays), direct(results, inputs, arrays), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("shape", "outer", "options", "kernel"),
    [
        ((1, 15, 28, 28), 16, {}, 3),  # few channels
        ((1, 16, 8, 8), 16, {}, 3),  # few tiles
        ((1, 16, 28, 28), 16, {"stride": 2}, 3),
        ((1, 16, 28, 28), 16, {"dilation": 2}, 3),
        ((1, 32, 28, 28), 32, {"groups": 2}, 3),
        ((1, 16, 28, 28), 16, {}, 5),
    ],
)
def test_others_are_direct(shape: Any, outer: int, options: Any, kernel: int) -> None:
    x = gc.placeholder("x", shape)
    w = gc.placeholder("w", (outer, shape[1] // options.get("groups", 1), kernel, kernel))
    f = gc.function([x, w], gc.nn.conv2d(x, w, **options))
    assert "minimal_filtering" not in f.loops()


def test_images_without_rows_are_direct() -> None:
    """All windows are of padding, and there is nothing that a tile could read."""
    x, w = gc.placeholder("x", ("n", 16, 0, 40)), gc.placeholder("w", (16, 16, 3, 3))
    f = gc.function([x, w], gc.nn.conv2d(x, w, padding=((3, 3), (1, 1))))
    assert "minimal_filtering" not in f.loops()
    found = f(np.ones((2, 16, 0, 40), "float32"), np.ones((16, 16, 3, 3), "float32"))
    np.testing.assert_array_equal(found, np.zeros((2, 16, 4, 40)))


def test_images_whose_sizes_are_not_known_are_direct() -> None:
    x, w = gc.placeholder("x", ("n", 16, "h", "w")), gc.placeholder("w", (16, 16, 3, 3))
    assert "minimal_filtering" not in gc.function([x, w], gc.nn.conv2d(x, w)).loops()


def test_only_what_may_lie_outside_is_asked_for() -> None:
    inputs, results, _ = case((2, 16, 14, 14), 16, {"padding": 1}, last=True)
    text = str(gc.function(inputs, results[0]).loops())
    asked = {word for word in ("is_row0", "is_row1", "is_row2", "is_row3") if f"{word} =" in text}
    assert asked == {"is_row0", "is_row3"}


@pytest.mark.parametrize(
    ("channels", "size", "count"),
    [
        (32, 8, 2),  # for one image already
        (32, 4, 1),  # the gradient alone: few learn from one image
        (272, 8, 1),  # so where the transform of the filter leaves the cache
        (272, 4, 0),
    ],
)
def test_what_an_unknown_number_of_images_repays(channels: int, size: int, count: int) -> None:
    x = gc.placeholder("x", ("n", channels, size, size))
    w = gc.placeholder("w", (channels, channels, 3, 3))
    out = gc.nn.conv2d(x, w, padding=1)
    f = gc.function([x, w], [out, gc.grad(gc.sum(out * out), w)])
    assert f.kernels().count(" = minimal_filtering") == count
