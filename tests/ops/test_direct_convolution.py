"""Convolutions as window products: what is read of padding, and with how many threads."""

from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.errors import ShapeError
from graphc.ops.window_product import WINDOW_PRODUCT

RNG = np.random.default_rng(0)

# images, filters, options: kernels that reach beyond images, blocks left over, strides
PADDED: list[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
    ((3, 5, 7, 7), (32, 5, 3, 3), {"padding": 1}),
    ((2, 20, 12, 12), (50, 20, 5, 5), {}),
    ((2, 3, 2, 9), (16, 3, 5, 3), {"padding": (4, 1)}),
    ((1, 3, 1, 9), (16, 3, 4, 3), {"padding": ((3, 3), (1, 1))}),
    ((2, 6, 9, 8), (20, 6, 4, 2), {"padding": ((0, 3), (1, 0))}),
    ((2, 5, 10, 13), (17, 5, 3, 3), {"padding": 2, "stride": 2}),
    ((2, 8, 11, 24), (20, 4, 3, 3), {"padding": "same", "groups": 2}),
    ((2, 16, 6, 7), (16, 1, 3, 3), {"padding": "same", "groups": 16}),
    ((1, 4, 5, 6, 9), (12, 4, 3, 3, 3), {"padding": (1, 2, 1)}),
    ((2, 3, 33, 40), (18, 3, 3, 3), {"padding": 1}),
    ((2, 6, 20, 19), (16, 6, 3, 3), {"padding": ((2, 1), (1, 0)), "dilation": (1, 2)}),
    ((2, 3, 12, 1), (54, 3, 3, 3), {"padding": 1}),  # no columns beside the rows
    ((1, 1, 30, 1), (1, 1, 3, 1), {"padding": (1, 0)}),
    ((2, 3, 6, 7, 1), (16, 3, 3, 3, 1), {"padding": (1, 1, 0)}),
    ((2, 3, 0, 9), (16, 3, 4, 3), {"padding": (3, 1)}),  # nothing but rows of padding
    ((2, 3, 0, 9), (16, 3, 4, 3), {"padding": (2, 1)}),
]


def with_gradients(x: Any, w: Any, options: dict[str, Any], batch: Any, height: Any) -> Any:
    inputs = [
        gc.placeholder("x", (batch, x.shape[1], height, *x.shape[3:]), x.dtype),
        gc.placeholder("w", w.shape, w.dtype),
    ]
    out = gc.nn.conv(*inputs, **options)
    return inputs, [out, *gc.grad(gc.sum(out * out), inputs)]


@pytest.mark.parametrize("sizes", ["known", "symbolic"])
@pytest.mark.parametrize(("shape", "kernel", "options"), PADDED)
def test_rows_of_padding_are_left_out(shape: Any, kernel: Any, options: Any, sizes: str) -> None:
    x, w = RNG.normal(size=shape), RNG.normal(size=kernel)
    batch, height = (x.shape[0], x.shape[2]) if sizes == "known" else ("n", "h")
    inputs, outputs = with_gradients(x, w, options, batch, height)
    found = gc.function(inputs, outputs, threads=1)(x, w)
    shared = gc.function(inputs, outputs, threads=2)(x, w)
    meaning = gc.function(inputs, outputs, backend="reference")(x, w)
    for value, other, wanted in zip(found, shared, meaning, strict=True):
        np.testing.assert_array_equal(value, other)
        np.testing.assert_allclose(value, wanted, rtol=1e-11, atol=1e-10)


@pytest.mark.parametrize("backend", ["interpreter", "numba_cpu"])
@pytest.mark.parametrize(("shape", "kernel", "options"), PADDED[:6])
def test_so_on_every_backend(shape: Any, kernel: Any, options: Any, backend: str) -> None:
    x, w = RNG.normal(size=(1, *shape[1:])), RNG.normal(size=kernel)
    inputs, outputs = with_gradients(x, w, options, 1, x.shape[2])
    if backend == "interpreter":
        outputs = outputs[:1]
    found = gc.function(inputs, outputs, backend=backend)(x, w)
    meaning = gc.function(inputs, outputs, backend="reference")(x, w)
    for value, wanted in zip(found, meaning, strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-11, atol=1e-10)


@pytest.mark.parametrize(
    ("channels", "width", "stored"),
    [(64, 7, "[2, 9, 11, 64]"), (64, 32, "[2, 9, 64, 36]"), (4, 40, "[2, 4, 9, 44]")],
)
def test_padding_is_stored_beside_rows_alone(channels: int, width: int, stored: str) -> None:
    x = gc.placeholder("x", (2, channels, 9, width))
    w = gc.placeholder("w", (channels, channels, 5, 5))
    text = gc.function([x, w], gc.nn.conv2d(x, w, padding=2), backend="llvm").loops()
    assert f"f32{stored} temporary" in text
    assert "for p in min(y - 2, 0)" in text


def test_between_zeros_stand_indices_of_one_axis_that_is_summed() -> None:
    def product(subscripts: str, **sizes: int) -> gc.Tensor:
        return WINDOW_PRODUCT(
            gc.placeholder("x", (5, 4)),
            gc.placeholder("w", (3, 4, 8)),
            subscripts=subscripts,
            axes="".join(sizes),
            sizes=tuple(sizes.values()),
            pairs=False,
        )

    assert product("y+p-1,c;p,c,o->y,o", y=5, p=3, c=4, o=8).shape == (5, 8)
    for subscripts in ("y+p-1,c;y,c,o->o", "y-1,c;y,c,o->y,o"):
        with pytest.raises(ShapeError, match="between zeros"):
            product(subscripts, y=3, p=3, c=4, o=8)
    with pytest.raises(ValueError, match="no index"):
        product("yp,c;p,c,o->y,o", y=3, p=3, c=4, o=8)


@pytest.mark.parametrize("subscripts", ["y+p-1,c;p,c,o->o,y", "y+p-1,c;p,c,o->y,o"])
def test_zeros_may_lie_along_the_last_axis(subscripts: str) -> None:
    x, w = RNG.normal(size=(5, 4)), RNG.normal(size=(3, 4, 1))
    inputs = [gc.placeholder("x", x.shape, "float64"), gc.placeholder("w", w.shape, "float64")]
    sizes = {"y": 5, "p": 3, "c": 4, "o": 1}
    attrs = {"axes": "".join(sizes), "sizes": tuple(sizes.values()), "outer": "", "pairs": False}
    out = WINDOW_PRODUCT(*inputs, subscripts=subscripts, **attrs)
    around = np.pad(x, ((1, 1), (0, 0)))
    wanted = sum(around[p : p + 5] @ w[p] for p in range(3))
    found = gc.function(inputs, out)(x, w)
    np.testing.assert_allclose(found.ravel(), wanted.ravel(), rtol=1e-12)


@pytest.mark.parametrize("size", [1, 2])
def test_transposed_convolutions_without_results(size: int) -> None:
    x, w = gc.placeholder("x", ("n", 32, size)), gc.placeholder("w", (32, 32, 2))
    out = gc.nn.conv_transpose(x, w, padding=1)
    results = [out, *gc.grad(gc.sum(out * out), [x, w])]
    f = gc.function([x, w], results)
    arrays = [np.ones((3, 32, size), "float32"), np.ones((32, 32, 2), "float32")]
    wanted = gc.function([x, w], results, backend="reference")(*arrays)
    for found, value in zip(f(*arrays), wanted, strict=True):
        np.testing.assert_array_equal(found, value)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize(
    ("shape", "kernel", "options"),
    [
        ((2, 32, 7, 9), (5, 32, 3, 2), {"padding": (1, 0)}),
        ((1, 48, 20), (16, 48, 4), {}),
        ((1, 32, 3, 4, 8), (32, 32, 2, 1, 3), {"padding": (1, 0, 1)}),
        ((2, 32, 9, 9), (20, 32, 3, 3), {"padding": "same", "dilation": 2}),
    ],
)
def test_turned_filters_in_blocks_of_channels(
    shape: Any, kernel: Any, options: Any, last: bool
) -> None:
    x, w = RNG.normal(size=shape), RNG.normal(size=kernel)
    if last:
        x, w = np.moveaxis(x, 1, -1), np.moveaxis(w, (0, 1), (-1, -2))
        options = {**options, "layout": {3: "NWC", 4: "NHWC", 5: "NDHWC"}[x.ndim]}
    inputs = [gc.placeholder("x", x.shape, "float64"), gc.placeholder("w", w.shape, "float64")]
    out = gc.nn.conv(*inputs, **options)
    gradient = gc.grad(gc.sum(out * out), inputs[0])
    f = gc.function(inputs, gradient, threads=1)
    found = f(x, w)
    np.testing.assert_array_equal(gc.function(inputs, gradient, threads=2)(x, w), found)
    wanted = gc.function(inputs, gradient, backend="reference")(x, w)
    np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-10)


def test_a_turned_filter_is_packed_in_one_step() -> None:
    g, w = gc.placeholder("g", (1, 64, 5, 5)), gc.placeholder("w", (64, 64, 3, 3))
    x = gc.placeholder("x", (1, 64, 5, 5))
    gradient = gc.grad(gc.sum(gc.nn.conv2d(x, w, padding=1) * g), x)
    f = gc.function([w, g], gradient, backend="llvm")
    rows = f.kernels().splitlines()
    assert len(rows) == 3 and sum("flip(w" in row for row in rows) == 1


@pytest.mark.parametrize("batch", range(7))
def test_images_that_blocks_of_them_leave_over_share_loads_along_rows(batch: int) -> None:
    x, w = gc.placeholder("x", ("n", 32, 4, 7)), gc.placeholder("w", (336, 32, 5, 5))
    f = gc.function([x, w], gc.nn.conv2d(x, w, padding=2), threads=1)
    loops = f.loops()
    left_over = loops[loops.index("in n - 4*(n//4) parallel") :]
    assert [left_over.count(f"  t{number}: f32") for number in (4, 7, 8, 10)] == [1] * 4  # 4, 3
    shapes = (batch, 32, 4, 7), (336, 32, 5, 5)
    arrays = [RNG.normal(size=shape).astype("float32") for shape in shapes]
    meaning = gc.function([x, w], gc.nn.conv2d(x, w, padding=2), backend="reference")
    np.testing.assert_allclose(f(*arrays), meaning(*arrays), rtol=1e-4, atol=1e-4)
