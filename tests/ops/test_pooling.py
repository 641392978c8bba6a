"""Pooling against loops over its definition, derivatives, sizes and errors."""

from collections.abc import Callable
from functools import cache
from itertools import product
from math import ceil, floor
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.ops import pooling

IMAGE = np.array([[1, 2, 2, 4], [2, 5, 1, 8], [3, 0, 4, 4], [6, 1, 7, 6]], "float64")[None, None]
RNG = np.random.default_rng(0)


def run(build: Any, x: np.ndarray, symbolic: bool = False) -> np.ndarray:
    shape = tuple(f"n{axis}" for axis in range(x.ndim)) if symbolic else x.shape
    entry = gc.placeholder("x", shape, x.dtype)
    found: np.ndarray = gc.function([entry], build(entry))(x)
    return found


def loop(
    reduce: Callable[[np.ndarray], Any],
    x: np.ndarray,
    window: int,
    stride: int | None = None,
    padding: Any = "valid",
    dilation: int = 1,
) -> np.ndarray:
    """The definition; what lies in the padding is NaN, which `reduce` ignores."""
    stride = stride or window
    span = dilation * (window - 1) + 1
    pads = []
    for n in x.shape[2:]:
        if padding == "same":
            total = max(0, (ceil(n / stride) - 1) * stride + span - n)
            pads.append((total // 2, total - total // 2))
        else:
            pads.append((0, 0) if padding == "valid" else (padding, padding))
    x = np.pad(x, [(0, 0), (0, 0), *pads], constant_values=np.nan)
    counts = [(n - span) // stride + 1 for n in x.shape[2:]]
    out = np.zeros((*x.shape[:2], *counts))
    for place in product(*map(range, counts)):
        under: tuple[Any, ...] = tuple(
            slice(i * stride, i * stride + span, dilation) for i in place
        )
        index: Any = (slice(None), slice(None), *under)
        seen = x[index]
        spot: Any = (slice(None), slice(None), *place)
        out[spot] = reduce(seen.reshape(*x.shape[:2], -1))
    return out


def largest(x: np.ndarray) -> Any:
    return np.nanmax(x, axis=-1)


def mean(x: np.ndarray) -> Any:
    return np.nanmean(x, axis=-1)


def full_mean(x: np.ndarray) -> Any:
    return np.nan_to_num(x).mean(axis=-1)


def test_small_image() -> None:
    assert run(lambda x: gc.nn.max_pool(x, 2), IMAGE)[0, 0].tolist() == [[5, 8], [6, 7]]
    found = run(lambda x: gc.nn.average_pool(x, 2), IMAGE)
    assert found[0, 0].tolist() == [[2.5, 3.75], [2.5, 5.25]]


CASES: list[tuple[tuple[int, ...], int, dict[str, Any]]] = [
    ((2, 3, 9), 2, {}),
    ((2, 3, 9), 3, {"stride": 2, "padding": "same"}),
    ((2, 2, 7, 6), 3, {"stride": 1, "padding": 1}),
    ((1, 3, 6, 8), 2, {"stride": 3, "padding": "same"}),
    ((1, 2, 5, 4, 6), 2, {"stride": 1, "padding": 1}),
]


@pytest.mark.parametrize("symbolic", [False, True])
@pytest.mark.parametrize(("shape", "window", "options"), CASES)
def test_values_are_those_of_the_definition(
    shape: Any, window: int, options: Any, symbolic: bool
) -> None:
    x = RNG.normal(size=shape)
    layout = {3: "NWC", 4: "NHWC", 5: "NDHWC"}[x.ndim]
    pools: list[tuple[Any, Any, dict[str, Any]]] = [
        (gc.nn.max_pool, largest, {}),
        (gc.nn.average_pool, mean, {}),
        (gc.nn.average_pool, full_mean, {"count_include_pad": True}),
    ]
    for pool, reduce, more in pools:
        expected = loop(reduce, x, window, **options)
        found = run(lambda x, p=pool, m=more: p(x, window, **options, **m), x, symbolic)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)
        found = run(
            lambda x, p=pool, m=more: p(x, window, layout=layout, **options, **m),
            np.moveaxis(x, 1, -1),
            symbolic,
        )
        np.testing.assert_allclose(np.moveaxis(found, -1, 1), expected, rtol=1e-12, atol=1e-14)


def test_max_pool_with_dilation() -> None:
    x = RNG.normal(size=(1, 2, 9, 8))
    found = run(lambda x: gc.nn.max_pool(x, 3, stride=2, dilation=2, padding=1), x)
    np.testing.assert_array_equal(found, loop(largest, x, 3, 2, 1, 2))


def test_integers_and_nan() -> None:
    x = -np.arange(1, 10).reshape(1, 1, 9)
    found = run(lambda x: gc.nn.max_pool(x, 3, stride=2, padding="same"), x)
    assert found.dtype == x.dtype and found[0, 0].tolist() == [-1, -2, -4, -6, -8]
    y = np.array([1.0, np.nan, 2, 3]).reshape(1, 1, 4)
    found = run(lambda x: gc.nn.max_pool(x, 2), y)
    np.testing.assert_array_equal(found[0, 0], [np.nan, 3])
    assert run(lambda x: gc.nn.average_pool(x, 2), np.ones((1, 1, 4), "int32")).dtype == "float32"


def test_the_gradient_goes_to_the_first_of_the_largest() -> None:
    x = gc.placeholder("x", (1, 1, 5), "float64")
    by_x = gc.function([x], gc.grad(gc.sum(gc.nn.max_pool(x, 2, stride=1)), x))
    np.testing.assert_array_equal(by_x(np.array([[[1.0, 1, 2, 2, 0]]])), [[[1, 0, 2, 1, 0]]])


@pytest.mark.parametrize("backend", ["llvm", "interpreter"])
@pytest.mark.parametrize("shape", [(2, 3, 9, 8), (1, 2, 5, 1), ("a", "b", "c", "d")])
def test_small_windows_as_large_ones(
    shape: Any, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Entry by entry or as reductions: equal maxima and equal winners, whatever the entries are."""
    x = gc.placeholder("x", shape, "float64")
    sizes = (2, 3, 9, 8) if isinstance(shape[0], str) else shape
    values = RNG.choice([-np.inf, np.nan, -1.0, 0.0, -0.0, 2.0, 3.0, np.inf], size=sizes)
    found = []
    for few in (pooling.FEW, 0):
        monkeypatch.setattr(pooling, "FEW", few)
        pooled = gc.nn.max_pool(gc.nn.relu(x), (3, 2), stride=2, padding="same")
        cost = gc.sum(gc.where(pooled > -5, pooled * pooled, 0.0))
        outputs = [pooled, gc.grad(cost, x)]
        found.append(gc.function([x], outputs, backend=backend)(values))
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_activation_before_it_is_in_the_same_pass() -> None:
    x, b = gc.placeholder("x", ("n", 4, 12, 12)), gc.placeholder("b", (4, 1, 1))
    pooled = gc.nn.max_pool(gc.nn.relu(x + b), 2)
    assert len(gc.function([x, b], pooled).kernels().splitlines()) == 1
    # Forward with the winners, backward with the mask of the activation.
    g = gc.placeholder("g", pooled.shape)
    f = gc.function([x, b, g], [pooled, gc.grad(gc.sum(pooled * g), x)])
    assert len(f.kernels().splitlines()) == 2


def test_the_gradient_is_read_through_a_reshape() -> None:
    """Between convolutions whose results have another order of axes, for any number of images."""
    x = gc.placeholder("x", ("n", 1, 8, 8), "float64")
    w = [RNG.normal(size=(16, 1, 3, 3)), RNG.normal(size=(32, 16, 3, 3))]
    bias = gc.variable(np.zeros((16, 1, 1)), "bias")
    h = gc.nn.max_pool(gc.nn.conv2d(x, w[0], padding="same") + bias, 2)
    h = gc.nn.max_pool(gc.nn.conv2d(h, w[1], padding="same"), 2)
    slope = gc.grad(gc.sum(h * h), bias)
    compiled = gc.function([x], slope)
    meaning = gc.function([x], slope, backend="reference")
    for n in (3, 1, 0):
        images = RNG.normal(size=(n, 1, 8, 8))
        np.testing.assert_allclose(compiled(images), meaning(images), rtol=1e-10)


@pytest.mark.parametrize(
    "pool",
    [
        lambda x: gc.nn.max_pool(x, 3, stride=2, padding="same"),
        lambda x: gc.nn.average_pool(x, 3, stride=2, padding="same"),
        lambda x: gc.nn.average_pool(x, 2, stride=1, padding=1, count_include_pad=True),
        lambda x: gc.nn.global_max_pool(x),
        lambda x: gc.nn.global_average_pool(x, layout="NHWC"),
        lambda x: gc.nn.adaptive_max_pool(x, (2, 3)),
        lambda x: gc.nn.adaptive_average_pool(x, 3),
    ],
)
def test_gradients(pool: Any) -> None:
    x = RNG.permutation(np.linspace(-2, 2, 80)).reshape(2, 2, 4, 5)
    gc.verify_grad(lambda x: gc.tanh(pool(x)), [x])


@pytest.mark.parametrize("symbolic", [False, True])
@pytest.mark.parametrize("sizes", [(3, 4), (2, 5), (1, 1), (6, 10)])
def test_adaptive(sizes: tuple[int, int], symbolic: bool) -> None:
    x = RNG.normal(size=(2, 3, 6, 10))
    for pool, reduce in (
        (gc.nn.adaptive_max_pool, np.max),
        (gc.nn.adaptive_average_pool, np.mean),
    ):
        expected = np.zeros((2, 3, *sizes))
        for i, j in product(*map(range, sizes)):
            rows, columns = (
                slice(floor(k * n / size), ceil((k + 1) * n / size))
                for k, n, size in ((i, 6, sizes[0]), (j, 10, sizes[1]))
            )
            expected[:, :, i, j] = reduce(x[:, :, rows, columns], axis=(2, 3))
        found = run(lambda x, pool=pool: pool(x, sizes), x, symbolic)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)
        found = run(
            lambda x, pool=pool: pool(x, sizes, layout="NHWC"), np.moveaxis(x, 1, -1), symbolic
        )
        np.testing.assert_allclose(np.moveaxis(found, -1, 1), expected, rtol=1e-12, atol=1e-14)


def test_global() -> None:
    x = RNG.normal(size=(2, 3, 4, 5))
    np.testing.assert_array_equal(run(gc.nn.global_max_pool, x), x.max(axis=(2, 3)))
    found = run(lambda x: gc.nn.global_average_pool(x, keepdims=True), x)
    np.testing.assert_allclose(found, x.mean(axis=(2, 3), keepdims=True))


X = gc.placeholder("x", (2, 3, 8, 8), "float32")


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: gc.nn.max_pool(X, 9), "larger than what it slides over"),
        (lambda: gc.nn.max_pool(X, (2, 2, 2)), "window=(2, 2, 2)"),
        (lambda: gc.nn.max_pool(X, 0), "window=0"),
        (lambda: gc.nn.max_pool(X, 2, padding=2), "as large as the window"),
        (lambda: gc.nn.average_pool(gc.sum(X, axis=(2, 3)), 2), "x has 2 axes"),
        (lambda: gc.nn.adaptive_max_pool(X, -1), "size=-1"),
    ],
)
def test_errors_say_what_and_where(build: Any, text: str) -> None:
    with pytest.raises(gc.ShapeError) as caught:
        build()
    assert text in str(caught.value)
    assert "test_pooling.py" in str(caught.value)


def test_a_window_that_does_not_fit_at_the_call() -> None:
    x = gc.placeholder("x", (1, 1, "n"), "float32")
    pool = gc.function([x], gc.nn.max_pool(x, 4))
    assert pool(np.ones((1, 1, 4), "float32")).shape == (1, 1, 1)
    with pytest.raises(gc.GraphcError, match="no window fits"):
        pool(np.ones((1, 1, 3), "float32"))


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    ("window", "options"),
    [
        (3, {"stride": 2, "padding": 1}),
        (3, {"stride": 2}),
        (3, {"stride": 1, "padding": "same"}),
        ((2, 5), {"stride": (3, 2), "padding": ((0, 1), (2, 1))}),
        (3, {"stride": 2, "dilation": 2, "padding": 2}),
        (2, {"stride": 3, "dilation": 3}),
    ],
)
def test_gradient_of_windows_that_overlap(window: Any, options: Any, known: bool) -> None:
    """Against the derivative's definition, with equal entries and NaN; one function serves any
    size, or each has its own."""

    @cache
    def compiled(size: tuple[int | None, ...]) -> tuple[gc.Function, gc.Function]:
        given = gc.placeholder("x", size)
        y = gc.nn.max_pool(given, window, **options)
        slope = gc.grad(gc.sum(y * gc.reshape(gc.arange(y.size) + 1.0, y.shape)), given)
        return gc.function([given], slope), gc.function([given], y)

    for size in ((2, 3, 9, 11), (1, 1, 7, 8), (1, 2, 17, 16), (0, 2, 9, 9), (1, 2, 33, 5)):
        x = RNG.integers(-2, 3, size=size).astype("float32")
        if x.size > 20:
            x.flat[17] = np.nan
        f, pool = compiled(size if known else (None,) * 4)
        wanted = np.zeros_like(x)
        place = pool(x)
        kernel = (window, window) if isinstance(window, int) else window
        pads = [(p, p) if isinstance(p, int) else p for p in pads_of(options, size, kernel)]
        stride, gap = options.get("stride", window), options.get("dilation", 1)
        stride = (stride, stride) if isinstance(stride, int) else stride
        flat = (np.arange(place.size) + 1.0).reshape(place.shape)
        for spot in np.ndindex(place.shape):
            best = None
            for tap in np.ndindex(*kernel):
                at = [
                    s * st + t * gap - p[0]
                    for s, st, t, p in zip(spot[2:], stride, tap, pads, strict=True)
                ]
                if not all(0 <= i < n for i, n in zip(at, size[2:], strict=True)):
                    continue
                value = x[(*spot[:2], *at)]
                if best is None or value > x[best] or (np.isnan(value) and not np.isnan(x[best])):
                    best = (*spot[:2], *at)
            assert best is not None
            wanted[best] += flat[spot]
        np.testing.assert_array_equal(f(x), wanted)


def pads_of(options: Any, size: Any, kernel: Any) -> Any:
    """Widths around the two spatial axes."""
    padding = options.get("padding", 0)
    if padding == "same":
        total = [k - 1 for k in kernel]
        return [(t // 2, t - t // 2) for t in total]
    return (padding, padding) if isinstance(padding, int) else padding
