"""Convolutions against loops over their definition, their derivatives, sizes and errors."""

from itertools import product
from math import ceil
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.loops import window_schedule

IMAGE = np.array([[1, 2, 2, 4], [2, 5, 1, 8], [3, 0, 4, 4], [6, 1, 7, 6]], "float64")[None, None]
RNG = np.random.default_rng(0)


def pads_of(n: int, k: int, stride: int, dilation: int, padding: Any, axis: int) -> tuple[int, int]:
    if padding == "valid":
        return 0, 0
    if padding == "same":
        total = max(0, (ceil(n / stride) - 1) * stride + dilation * (k - 1) + 1 - n)
        return total // 2, total - total // 2
    given = (padding,) * 3 if isinstance(padding, int) else padding
    pair = given[axis]
    return (pair, pair) if isinstance(pair, int) else pair


def loop(
    x: np.ndarray,
    w: np.ndarray,
    stride: int = 1,
    padding: Any = "valid",
    dilation: int = 1,
    groups: int = 1,
) -> np.ndarray:
    """The definition, channels first."""
    pads = [
        pads_of(n, k, stride, dilation, padding, axis)
        for axis, (n, k) in enumerate(zip(x.shape[2:], w.shape[2:], strict=True))
    ]
    x = np.pad(x, [(0, 0), (0, 0), *pads])
    counts = [
        (n - dilation * (k - 1) - 1) // stride + 1
        for n, k in zip(x.shape[2:], w.shape[2:], strict=True)
    ]
    out = np.zeros((x.shape[0], w.shape[0], *counts))
    inner, outer = w.shape[1], w.shape[0] // groups
    for o in range(w.shape[0]):
        channels = slice(o // outer * inner, (o // outer + 1) * inner)
        for place in product(*map(range, counts)):
            under: list[Any] = [
                slice(i * stride, i * stride + dilation * (k - 1) + 1, dilation)
                for i, k in zip(place, w.shape[2:], strict=True)
            ]
            index: Any = (slice(None), channels, *under)
            seen = x[index]
            spot: Any = (slice(None), o, *place)
            out[spot] = (seen * w[o]).sum(axis=tuple(range(1, x.ndim)))
    return out


def last(x: np.ndarray) -> np.ndarray:
    return np.moveaxis(x, 1, -1)


def filter_last(w: np.ndarray) -> np.ndarray:
    return np.moveaxis(w, (0, 1), (-1, -2))


def run(build: Any, *arrays: np.ndarray, symbolic: bool = False) -> np.ndarray:
    inputs = [
        gc.placeholder(
            f"x{i}", tuple(f"n{i}_{j}" for j in range(a.ndim)) if symbolic else a.shape, a.dtype
        )
        for i, a in enumerate(arrays)
    ]
    found: np.ndarray = gc.function(inputs, build(*inputs))(*arrays)
    return found


CASES: list[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
    ((2, 3, 9), (4, 3, 3), {}),
    ((2, 3, 9), (4, 3, 3), {"stride": 2, "padding": "same"}),
    ((2, 4, 8), (6, 2, 2), {"dilation": 3, "groups": 2, "padding": 1}),
    ((2, 3, 7, 6), (16, 3, 3, 2), {"padding": ((2, 0), (1, 3))}),
    ((1, 2, 9, 8), (5, 2, 3, 3), {"stride": 3, "padding": (1, 2)}),
    ((2, 2, 8, 9), (3, 2, 2, 3), {"stride": 2, "dilation": 2, "padding": "same"}),
    ((2, 4, 6, 5), (8, 1, 3, 3), {"groups": 4, "padding": "same"}),
    ((2, 3, 6, 5), (17, 3, 1, 1), {"stride": 2}),
    ((1, 2, 5, 4, 6), (3, 2, 2, 3, 2), {"stride": 2, "padding": 1}),
    ((1, 2, 5, 6, 5), (4, 1, 2, 2, 2), {"dilation": 2, "groups": 2}),
]


@pytest.mark.parametrize(("shape", "kernel", "options"), CASES)
def test_values_are_those_of_the_definition(shape: Any, kernel: Any, options: Any) -> None:
    x, w = RNG.normal(size=shape), RNG.normal(size=kernel)
    layout = {3: "NWC", 4: "NHWC", 5: "NDHWC"}[x.ndim]
    expected = loop(x, w, **options)
    found = run(lambda x, w: gc.nn.conv(x, w, **options), x, w)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    found = run(lambda x, w: gc.nn.conv(x, w, layout=layout, **options), last(x), filter_last(w))
    np.testing.assert_allclose(found, last(expected), rtol=1e-12, atol=1e-12)


LARGE: list[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
    ((2, 6, 9, 19), (20, 6, 3, 3), {"padding": "same"}),
    ((1, 5, 14, 17), (13, 5, 5, 5), {}),
    ((3, 16, 7, 7), (32, 16, 3, 3), {"padding": 1}),
    ((2, 9, 12, 11), (32, 9, 3, 3), {"stride": 2, "padding": "same"}),
    ((2, 32, 15, 30), (32, 1, 3, 3), {"padding": "same", "groups": 32}),
    ((2, 8, 10, 24), (20, 4, 3, 3), {"padding": "same", "groups": 2, "dilation": 2}),
    ((4, 12, 67), (18, 12, 7), {"padding": "same"}),
    ((1, 4, 6, 7, 18), (10, 4, 3, 3, 3), {"padding": "same"}),
]


@pytest.mark.parametrize("last_", [False, True])
@pytest.mark.parametrize(("shape", "kernel", "options"), LARGE)
def test_large_ones(shape: Any, kernel: Any, options: Any, last_: bool) -> None:
    """Sizes from which loops are cut into blocks and written out; symbolic numbers of images."""
    x, w = RNG.normal(size=shape), RNG.normal(size=kernel)
    expected = loop(x, w, **options)
    g = RNG.normal(size=expected.shape)
    if last_:
        options = {**options, "layout": {3: "NWC", 4: "NHWC", 5: "NDHWC"}[x.ndim]}
        x, w, g, expected = last(x), filter_last(w), last(g), last(expected)
    for batch in (x.shape[0], "n"):
        inputs = [
            gc.placeholder("x", (batch, *x.shape[1:]), "float64"),
            gc.placeholder("w", w.shape, "float64"),
            gc.placeholder("g", (batch, *g.shape[1:]), "float64"),
        ]
        out = gc.nn.conv(inputs[0], inputs[1], **options)
        outputs = [out, *gc.grad(gc.sum(out * inputs[2]), inputs[:2])]
        found = gc.function(inputs, outputs)(x, w, g)
        np.testing.assert_allclose(found[0], expected, rtol=1e-11, atol=1e-11)
        meaning = gc.function(inputs, outputs, backend="reference")(x, w, g)
        for value, wanted in zip(found[1:], meaning[1:], strict=True):
            np.testing.assert_allclose(value, wanted, rtol=1e-11, atol=1e-10)


@pytest.mark.parametrize("backend", ["llvm", "interpreter"])
@pytest.mark.parametrize(("shape", "kernel", "options"), CASES[1:10:2])
def test_schedules_of_large_ones_at_small_sizes(
    shape: Any, kernel: Any, options: Any, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window_schedule, "SMALL", 0)
    monkeypatch.setattr(window_schedule, "NEAR", 6)
    x, w = RNG.normal(size=shape), RNG.normal(size=kernel)
    inputs = [gc.placeholder("x", shape, "float64"), gc.placeholder("w", kernel, "float64")]
    out = gc.nn.conv(*inputs, **options)
    outputs = [out, *gc.grad(gc.sum(out * out), inputs)]
    found = gc.function(inputs, outputs, backend=backend)(x, w)
    meaning = gc.function(inputs, outputs, backend="reference")(x, w)
    for value, wanted in zip(found, meaning, strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(("shape", "kernel", "options"), CASES)
def test_transposed_is_the_adjoint(shape: Any, kernel: Any, options: Any) -> None:
    """<conv(x, w), g> = <x, conv_transpose(g, w)> where x has the size that it makes."""
    w = RNG.normal(size=kernel)
    count = loop(np.zeros(shape), w, **options).shape
    g = RNG.normal(size=count)
    back = run(lambda g, w: gc.nn.conv_transpose(g, w, **options), g, w)
    x = RNG.normal(size=back.shape)
    forward = loop(x, w, **options)
    assert forward.shape == g.shape
    np.testing.assert_allclose((forward * g).sum(), (x * back).sum(), rtol=1e-10)
    layout = {3: "NWC", 4: "NHWC", 5: "NDHWC"}[x.ndim]
    again = run(
        lambda g, w: gc.nn.conv_transpose(g, w, layout=layout, **options), last(g), filter_last(w)
    )
    np.testing.assert_allclose(again, last(back), rtol=1e-10, atol=1e-12)


def test_small_image() -> None:
    w = np.array([[1.0, 0], [0, -1]])[None, None]
    expected = [[-4, 1, -6], [2, 1, -3], [2, -7, -2]]
    assert run(gc.nn.conv2d, IMAGE, w)[0, 0].tolist() == expected
    turned = run(lambda x, w: gc.nn.conv2d(x, w, filter_flip=True), IMAGE, w)
    np.testing.assert_array_equal(turned, loop(IMAGE, w[:, :, ::-1, ::-1]))


@pytest.mark.parametrize(
    ("padding", "stride", "size"),
    [("same", 1, 100), ("same", 2, 50), ("valid", 1, 98), ("valid", 2, 49)],
)
def test_sizes(padding: str, stride: int, size: int) -> None:
    w = gc.constant(np.ones((1, 1, 3)))
    x = gc.placeholder("x", (1, 1, 100), "float64")
    assert gc.nn.conv(x, w, padding=padding, stride=stride).shape == (1, 1, size)
    assert gc.nn.max_pool(x, 3, padding=padding, stride=stride).shape == (1, 1, size)


@pytest.mark.parametrize("options", [{"stride": 2}, {"stride": 2, "dilation": 2, "padding": 1}])
def test_one_transposed_function_serves_all_sizes(options: dict[str, Any]) -> None:
    x = gc.placeholder("x", ("n", "c", "h"), "float64")
    w = gc.placeholder("w", ("c", "o", "k"), "float64")
    back = gc.nn.conv_transpose(x, w, **options)
    outputs = [back, *gc.grad(gc.sum(back * back), [x, w])]
    compiled = gc.function([x, w], outputs)
    meaning = gc.function([x, w], outputs, backend="reference")
    for n, c, h, o, k in ((2, 3, 5, 2, 3), (1, 2, 2, 1, 3), (0, 2, 4, 1, 3), (2, 2, 4, 17, 5)):
        arrays = RNG.normal(size=(n, c, h)), RNG.normal(size=(c, o, k))
        for found, expected in zip(compiled(*arrays), meaning(*arrays), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


def test_output_padding_chooses_among_sizes() -> None:
    g, w = RNG.normal(size=(1, 2, 4)), RNG.normal(size=(2, 3, 3))
    for more in (0, 1):
        back = run(
            lambda g, w, more=more: gc.nn.conv_transpose1d(g, w, stride=2, output_padding=more),
            g,
            w,
        )
        assert back.shape == (1, 3, 9 + more)
        x = RNG.normal(size=back.shape)
        np.testing.assert_allclose((loop(x, w, stride=2) * g).sum(), (x * back).sum())


def test_depthwise_is_one_group_for_each_channel() -> None:
    x, w = RNG.normal(size=(2, 3, 5, 6)), RNG.normal(size=(6, 1, 3, 2))
    expected = loop(x, w, padding="same", groups=3)
    found = run(lambda x, w: gc.nn.depthwise_conv2d(x, w, padding="same"), x, w)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_depthwise_with_any_number_of_channels(layout: str) -> None:
    last_ = layout == "NHWC"
    shape = ("n", "h", "v", "c") if last_ else ("n", "c", "h", "v")
    x = gc.placeholder("x", shape, "float64")
    w = gc.placeholder("w", (3, 2, 1, "o") if last_ else ("o", 1, 3, 2), "float64")
    out = gc.nn.depthwise_conv2d(x, w, padding="same", layout=layout)
    compiled = gc.function([x, w], [out, *gc.grad(gc.sum(out * out), [x, w])])
    for channels, multiplier in ((3, 1), (2, 3), (1, 2), (17, 1)):
        a = RNG.normal(size=(2, channels, 5, 6))
        b = RNG.normal(size=(channels * multiplier, 1, 3, 2))
        expected = loop(a, b, padding="same", groups=channels)
        given = (last(a), filter_last(b)) if last_ else (a, b)
        found, by_x, by_w = compiled(*given)
        np.testing.assert_allclose(
            found, last(expected) if last_ else expected, rtol=1e-12, atol=1e-12
        )
        # The cost is a square of a form that is linear in each of them.
        np.testing.assert_allclose((by_x * given[0]).sum(), 2 * (found**2).sum())
        np.testing.assert_allclose((by_w * given[1]).sum(), 2 * (found**2).sum())
    with pytest.raises(gc.GraphcError, match="equal groups"):
        wrong = RNG.normal(size=(2, 2, 5, 6)), RNG.normal(size=(3, 1, 3, 2))
        compiled(*((last(wrong[0]), filter_last(wrong[1])) if last_ else wrong))


@pytest.mark.parametrize("size", ["e", 3, 0])
@pytest.mark.parametrize("options", [{}, {"groups": 2, "stride": 2, "padding": "same"}])
def test_one_filter_for_each_example(size: Any, options: dict[str, Any]) -> None:
    """vmap makes groups of the examples; their number may be symbolic."""
    xs = gc.placeholder("xs", (size, 2, 4, 7), "float64")
    ws = gc.placeholder("ws", (size, 6, 4 // options.get("groups", 1), 3), "float64")
    out = gc.vmap(lambda x, w: gc.nn.conv1d(x, w, **options))(xs, ws)
    f = gc.function([xs, ws], [out, *gc.grad(gc.sum(out * out), [xs, ws])])
    assert "scan" not in f.graph_text()
    count = 3 if size == "e" else size
    a, b = RNG.normal(size=(count, 2, 4, 7)), RNG.normal(size=(count, *ws.shape[1:]))
    found, by_x, by_w = f(a, b)
    assert by_x.shape == a.shape and by_w.shape == b.shape
    for number in range(count):
        expected = loop(a[number], b[number], **options)
        np.testing.assert_allclose(found[number], expected, rtol=1e-12, atol=1e-12)
        for by, values in ((by_x, a), (by_w, b)):
            np.testing.assert_allclose((by[number] * values[number]).sum(), 2 * (expected**2).sum())


@pytest.mark.parametrize(
    "options",
    [{}, {"padding": "same"}, {"stride": 2, "padding": 1}, {"dilation": 2, "padding": "same"}],
)
def test_one_function_serves_all_sizes(options: dict[str, Any]) -> None:
    x = gc.placeholder("x", ("n", "c", "h", "v"), "float64")
    w = gc.placeholder("w", ("o", "c", "k", "l"), "float64")
    out = gc.nn.conv(x, w, **options)
    by_x, by_w = gc.grad(gc.sum(out), [x, w])
    compiled = gc.function([x, w], [out, by_x, by_w])
    for n, c, h, v, o, k, m in (
        (2, 3, 6, 5, 4, 3, 2),
        (1, 1, 7, 9, 1, 1, 3),
        (0, 2, 5, 5, 3, 2, 2),
    ):
        a, b = RNG.normal(size=(n, c, h, v)), RNG.normal(size=(o, c, k, m))
        value, by_a, by_b = compiled(a, b)
        np.testing.assert_allclose(value, loop(a, b, **options), rtol=1e-11, atol=1e-11)
        if not n:
            assert by_a.shape == a.shape and not by_b.any()
            continue
        # The sum is linear in each of them.
        np.testing.assert_allclose((by_a * a).sum(), value.sum(), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose((by_b * b).sum(), value.sum(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "options",
    [
        {"padding": "same"},
        {"stride": 2, "padding": ((1, 0), (0, 2))},
        {"groups": 2, "dilation": 2, "filter_flip": True},
    ],
)
def test_gradients(options: dict[str, Any]) -> None:
    x = RNG.normal(size=(2, 4, 4, 5))
    w = RNG.normal(size=(4, 4 // options.get("groups", 1), 2, 2))
    gc.verify_grad(lambda x, w: gc.tanh(gc.nn.conv2d(x, w, **options)), [x, w])
    options = {name: value for name, value in options.items() if name != "padding"}
    gc.verify_grad(lambda x, w: gc.tanh(gc.nn.conv_transpose2d(x, w, **options)), [x, w])


def test_second_order() -> None:
    def slope(x: gc.Tensor, w: gc.Tensor) -> gc.Tensor:
        cost = gc.sum(gc.tanh(gc.nn.conv1d(x, w, stride=2, padding="same")))
        by_x, by_w = gc.grad(cost, [x, w])
        return gc.sum(by_x * by_x) + gc.sum(gc.sin(by_w))

    gc.verify_grad(slope, [RNG.normal(size=(2, 2, 7)), RNG.normal(size=(3, 2, 3))])


@pytest.mark.parametrize("dtype", [gc.float16, gc.bfloat16])
def test_halves_are_summed_in_float32(dtype: Any) -> None:
    x, w = np.ones((1, 1, 2048), dtype), np.full((1, 1, 2048), 1.0, dtype)
    assert run(gc.nn.conv1d, x, w).item() == 2048


X = gc.placeholder("x", (2, 3, 8, 8), "float32")


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: gc.nn.conv(X, np.ones((4, 2, 3, 3), "float32")), "x has 3 channels, the filter"),
        (lambda: gc.nn.conv(X, np.ones((4, 3, 3), "float32")), "has 3 axes"),
        (lambda: gc.nn.conv1d(X, np.ones((4, 3, 3), "float32")), "1 spatial axes"),
        (
            lambda: gc.nn.conv(X, np.ones((4, 3, 9, 3), "float32")),
            "larger than what it slides over",
        ),
        (lambda: gc.nn.conv(X, np.ones((4, 1, 3, 3), "float32"), groups=3), "equal groups"),
        (lambda: gc.nn.conv(X, np.ones((4, 3, 3, 3), "float32"), groups=0), "groups=0"),
        (lambda: gc.nn.conv(X, np.ones((4, 3, 3, 3), "float32"), layout="NCW"), "layout 'NCW'"),
        (lambda: gc.nn.conv(X, np.ones((4, 3, 3, 3), "float32"), stride=0), "stride=0"),
        (lambda: gc.nn.conv(X, np.ones((4, 3, 3, 3), "float32"), padding="full"), "padding='full'"),
        (lambda: gc.nn.conv(X, np.ones((4, 3, 3, 3), "float32"), padding=-1), "padding=-1"),
        (lambda: gc.nn.conv_transpose(X, np.ones((4, 3, 3, 3), "float32")), "the filter 4"),
        (
            lambda: gc.nn.conv_transpose(X, np.ones((3, 4, 3, 3), "float32"), output_padding=1),
            "below the stride",
        ),
        (
            lambda: gc.nn.conv_transpose(X, np.ones((3, 4, 3, 3), "float32"), padding=9),
            "padding smaller",
        ),
    ],
)
def test_errors_say_what_and_where(build: Any, text: str) -> None:
    with pytest.raises(gc.ShapeError) as caught:
        build()
    assert text in str(caught.value)
    assert "test_convolution.py" in str(caught.value)


def test_bool_is_refused() -> None:
    with pytest.raises(gc.DTypeError, match="allowed: real numeric"):
        gc.nn.conv(np.ones((1, 1, 3), bool), np.ones((1, 1, 2), bool))


def test_errors_at_the_call_leave_the_state() -> None:
    x = gc.placeholder("x", ("n", "c", "h"), "float32")
    w = gc.variable(np.ones((2, 3, 4), "float32"), "w")
    step = gc.function([x], gc.nn.conv(x, w), updates={w: w * 2})
    for shape in ((1, 2, 8), (1, 3, 3)):
        with pytest.raises(gc.GraphcError, match="convolution"):
            step(np.ones(shape, "float32"))
        assert w.value.max() == 1


@pytest.mark.parametrize("backend", ["reference", "llvm"])
def test_an_empty_kernel_is_refused_at_the_call(backend: str) -> None:
    """Also by the transposed one, which has as many windows as a kernel without entries."""
    x = gc.placeholder("x", (2, 3, "h"), "float32")
    w = gc.placeholder("w", (3, 3, "k"), "float32")
    for result in (gc.nn.conv(x, w), gc.nn.conv_transpose(x, w, padding="same")):
        f = gc.function([x, w], result, backend=backend)
        with pytest.raises(gc.FeedError, match="the kernel is empty along spatial axis 0"):
            f(np.ones((2, 3, 5), "float32"), np.ones((3, 3, 0), "float32"))


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_gradients_of_nothing(dtype: str) -> None:
    x, w = gc.placeholder("x", (0, 0, 6, 5), dtype), gc.placeholder("w", (0, 0, 3, 3), dtype)
    gradients = gc.grad(gc.sum(gc.nn.conv(x, w, stride=2, padding="same") ** 2), [x, w])
    found = gc.function([x, w], gradients, check=True)(
        np.ones(x.shape, dtype), np.ones(w.shape, dtype)
    )
    assert [array.shape for array in found] == [x.shape, w.shape]


def test_sums_take_products_unrounded() -> None:
    x, w = gc.placeholder("x", (1, 8, 9, 16)), gc.placeholder("w", (16, 8, 3, 3))
    assert "@llvm.fm" in gc.function([x, w], gc.nn.conv2d(x, w), backend="llvm").llvm()
    # What the user multiplies and adds is rounded step by step.
    assert "@llvm.fm" not in gc.function([x], gc.sum(x * x), backend="llvm").llvm()


def test_threads_share_the_gradient_by_the_filter() -> None:
    x, g = RNG.normal(size=(4, 6, 24, 25)), RNG.normal(size=(4, 20, 22, 21))
    inputs = [gc.placeholder("x", x.shape, "float64"), gc.placeholder("g", g.shape, "float64")]
    w = gc.placeholder("w", (20, 6, 3, 5), "float64")
    gradient = gc.grad(gc.sum(gc.nn.conv2d(inputs[0], w) * inputs[1]), w)
    f = gc.function(inputs, gradient, threads=2)
    assert "for q in 5 parallel" in f.loops() or "for p in 3 parallel" in f.loops()
    alone = gc.function(inputs, gradient, threads=1)(x, g)
    np.testing.assert_array_equal(f(x, g), alone)
    meaning = gc.function(inputs, gradient, backend="reference")(x, g)
    np.testing.assert_allclose(alone, meaning, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("outputs", [29, 31, 43, 47, 60])
def test_channels_that_fill_up_a_block(outputs: int, layout: str) -> None:
    """With a bias behind it, and the gradients."""
    x, w = RNG.normal(size=(2, 3, 25, 24)), RNG.normal(size=(outputs, 3, 3, 3))
    b = RNG.normal(size=outputs)
    wanted = loop(x, w, padding=1) + b[:, None, None]
    if layout == "NHWC":
        x, w = np.moveaxis(x, 1, -1), np.transpose(w, (2, 3, 1, 0))
        wanted = np.moveaxis(wanted, 1, -1)
    inputs = [gc.placeholder(n, a.shape, "float64") for n, a in zip("xwb", (x, w, b), strict=True)]
    bias = inputs[2] if layout == "NHWC" else inputs[2][:, None, None]
    out = gc.nn.conv2d(*inputs[:2], padding=1, layout=layout) + bias
    outputs_ = [out, *gc.grad(gc.sum(out * out), inputs)]
    found = gc.function(inputs, outputs_)(x, w, b)
    np.testing.assert_allclose(found[0], wanted, atol=1e-12)
    meaning = gc.function(inputs, outputs_, backend="reference")(x, w, b)
    for one, other in zip(found, meaning, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)
