"""Pooling: the largest or the mean entry of each window of the spatial axes."""

from collections.abc import Callable, Sequence
from functools import reduce
from itertools import product
from typing import Any

import numpy as np

from graphc.dtypes import DType, int64, is_floating
from graphc.errors import ShapeError
from graphc.ir.batch import shifted
from graphc.ir.leaf import as_tensor
from graphc.ir.lowering import Composite
from graphc.ir.node import Attributes, TensorType
from graphc.ir.opdef import Application, Example, Generator, Gradients, Inference, OpDef
from graphc.ir.registry import BUILDER, Builder, public, register
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ir.windows import (
    Windows,
    channels_last,
    checked_padding,
    numbers,
    spatial_rank,
    window_sizes,
)
from graphc.ops.definition import REAL, floating, one_input
from graphc.ops.pooling_gradient import from_neighbours, overlap_a_little
from graphc.ops.windows import OVERLAPPING_SUM, SLIDING_WINDOWS, along, under
from graphc.shapes import Shape, Size, evaluate, format_shape, size_product

__all__ = [
    "adaptive_average_pool",
    "adaptive_max_pool",
    "average_pool",
    "global_average_pool",
    "global_max_pool",
    "max_pool",
]

FEW = 16  # entries of a window that are compared one after the other

Sizes = Size | Sequence[Size]
Numbers = int | Sequence[int]

# --- what all pools share --------------------------------------------------------------------


def _spatial_axes(ndim: int, last: bool) -> tuple[int, ...]:
    return tuple(range(1, ndim - 1)) if last else tuple(range(2, ndim))


def _input(name: str, x: Any, layout: str | None) -> tuple[Tensor, tuple[int, ...]]:
    """x and its spatial axes."""
    tensor = one_input(name, x, REAL)
    rank = spatial_rank(name, tensor.ndim, str(tensor.type))
    return tensor, _spatial_axes(tensor.ndim, channels_last(name, layout, rank))


def _arguments(
    name: str, rank: int, window: Any, stride: Any, padding: Any, dilation: Any = 1
) -> Windows:
    kernel = window_sizes(name, "window", window, rank)
    gaps = numbers(name, "dilation", dilation, rank)
    if stride is None and not all(isinstance(size, int) for size in kernel):
        raise ShapeError(
            f"{name}: a stride is a number, and the window {format_shape(kernel)} is none",
            source=current_source(),
            fix="give stride=...",
        )
    steps = numbers(name, "stride", kernel if stride is None else stride, rank)
    windows = Windows(kernel, steps, gaps, checked_padding(name, padding, rank))
    for axis, pair in enumerate(() if isinstance(windows.padding, str) else windows.padding):
        span = windows.span(axis)
        if isinstance(span, int) and any(isinstance(w, int) and w >= span for w in pair):
            raise ShapeError(
                f"{name}: padding {pair} is as large as the window, which spans {span}",
                source=current_source(),
                fix="some windows would hold nothing but padding: make it smaller",
            )
    return windows


def _attributes(windows: Windows, axes: tuple[int, ...]) -> dict[str, Any]:
    return {
        "kernel": windows.kernel,
        "stride": windows.stride,
        "dilation": windows.dilation,
        "padding": windows.padding,
        "axes": axes,
    }


def _windows(attrs: Attributes) -> Windows:
    return Windows(attrs["kernel"], attrs["stride"], attrs["dilation"], attrs["padding"])


def _at(shape: Shape, axes: Sequence[int]) -> Shape:
    return tuple(shape[axis] for axis in axes)


def _lowest(dtype: DType) -> float:
    """What padding holds: it never wins."""
    return float("-inf") if is_floating(dtype) else int(np.iinfo(dtype).min)


def _padded(b: Builder, x: Tensor, windows: Windows, axes: Sequence[int], value: float) -> Tensor:
    widths: list[tuple[Size, Size]] = [(0, 0)] * x.ndim
    for axis, pair in zip(axes, windows.pairs(_at(x.shape, axes)), strict=True):
        widths[axis] = pair
    if all(pair == (0, 0) for pair in widths):
        return x
    return b.pad(x, widths, constant_values=value)


def _seen(b: Builder, x: Tensor, attrs: Attributes, value: float) -> Tensor:
    """The windows of x, with their axes first; padding holds the value."""
    windows, axes = _windows(attrs), attrs["axes"]
    return SLIDING_WINDOWS(
        _padded(b, x, windows, axes, value),
        axes=axes,
        kernel=windows.kernel,
        stride=windows.stride,
        dilation=windows.dilation,
        may_be_none=windows.padding == "same",
    )


# --- max -------------------------------------------------------------------------------------


def _infer_max(call: Inference) -> TensorType:
    (x,), axes = call.types, call.attrs["axes"]
    count = _windows(call.attrs).check(call, _at(x.shape, axes))
    return TensorType(x.dtype, along(x.shape, axes, count))


def _infer_position(call: Inference) -> TensorType:
    return TensorType(int64, _infer_max(call).shape)


def _taps(attrs: Attributes, x: np.ndarray) -> np.ndarray:
    """[taps in row-major order, out...]: what lies under each tap of all windows."""
    axes, windows = attrs["axes"], _windows(attrs)
    count = [evaluate(size, {}) for size in windows.count(_at(x.shape, axes))]
    widths = [(0, 0)] * x.ndim
    for axis, (before, after) in zip(axes, windows.pairs(_at(x.shape, axes)), strict=True):
        widths[axis] = (evaluate(before, {}), evaluate(after, {}))
    x = np.pad(x, widths, constant_values=_lowest(x.dtype))
    taps = product(*(range(evaluate(size, {})) for size in windows.kernel))
    return np.stack([x[under(attrs, tap, count, x.ndim)] for tap in taps])


def _few_taps(b: Builder, x: Tensor, attrs: Attributes) -> list[Tensor] | None:
    """What lies under each tap of all windows, first tap first, if windows are known and small."""
    axes, windows = attrs["axes"], _windows(attrs)
    area = size_product(windows.kernel)
    if not isinstance(area, int) or not 0 < area <= FEW:
        return None
    count = windows.count(_at(x.shape, axes))
    x = _padded(b, x, windows, axes, _lowest(x.dtype))
    strides = along((1,) * x.ndim, axes, windows.stride)
    shape = along(x.shape, axes, count)
    found = []
    for tap in product(*(range(size) for size in windows.kernel if isinstance(size, int))):
        start = tuple(k * gap for k, gap in zip(tap, windows.dilation, strict=True))
        starts = along((0,) * x.ndim, axes, start)
        found.append(b.slice_within(x, starts, shape, strides))
    return found


def _lower_max(b: Builder, x: Tensor, **attrs: Any) -> Tensor:
    taps = _few_taps(b, x, attrs)
    if taps is not None:
        return reduce(b.maximum, taps)
    seen = _seen(b, x, attrs, _lowest(x.dtype))
    return b.max(seen, axis=tuple(range(len(attrs["axes"]))), initial=_lowest(x.dtype))


def _lower_position(b: Builder, x: Tensor, **attrs: Any) -> Tensor:
    """Of few taps one after the other, with the maximum so far: in one pass with the maximum."""
    taps = _few_taps(b, x, attrs)
    if taps is not None:
        largest, position = taps[0], b.zeros(taps[0].shape, dtype=int64)
        for number, tap in enumerate(taps[1:], 1):
            # Of numbers a larger one wins, and the first NaN over all that came before.
            wins = b.logical_not(b.less_equal(tap, largest))
            if is_floating(x.dtype):
                wins = b.logical_and(wins, b.equal(largest, largest))
            position = b.where(wins, number, position)
            largest = b.maximum(largest, tap)
        return position
    seen, count = _seen(b, x, attrs, _lowest(x.dtype)), len(attrs["axes"])
    area = size_product(attrs["kernel"])
    return b.argmax(b.reshape(seen, (area, *seen.shape[count:])), axis=0)


def _winners(b: Builder, a: Application) -> Tensor:
    """Whether a tap holds the first of the largest entries: [window..., out...]"""
    kernel, place = a.attrs["kernel"], POSITION(a.inputs[0], **a.attrs)
    number: Tensor | None = None
    for axis, size in enumerate(kernel):
        behind = range(1, len(kernel) - axis + place.ndim)
        along = b.expand_dims(b.arange(size), tuple(behind))
        number = along if number is None else b.add(b.multiply(number, size), along)
    assert number is not None
    return b.equal(number, place)


def _vjp_max(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    """To the first of the largest entries of each window; an entry may be that of several."""
    x, axes, windows = a.inputs[0], a.attrs["axes"], _windows(a.attrs)
    sizes = _at(x.shape, axes)
    gradient = gradients[0]
    if gradient is not None and overlap_a_little(windows, FEW):
        return [from_neighbours(b, x, POSITION(x, **a.attrs), gradient, axes, windows)]
    found = OVERLAPPING_SUM(
        b.where(_winners(b, a), gradient, 0),
        axes=axes,
        sizes=windows.padded(sizes),
        stride=windows.stride,
        dilation=windows.dilation,
    )
    starts: list[Size] = [0] * x.ndim
    for axis, (before, _) in zip(axes, windows.pairs(sizes), strict=True):
        starts[axis] = before
    return [b.slice_within(found, starts, x.shape)]


def _jvp_max(b: Builder, a: Application, tangents: Gradients) -> Gradients:
    if tangents[0] is None:
        return [None]
    seen = b.where(_winners(b, a), _seen(b, tangents[0], a.attrs, 0), 0)
    return [b.sum(seen, axis=tuple(range(len(a.attrs["axes"]))), dtype=seen.dtype)]


Cases = tuple[tuple[tuple[int, ...], Any, dict[str, Any]], ...]

CASES: Cases = (
    ((2, 1, 6), 2, {}),
    ((1, 2, 4, 5), (2, 3), {"stride": 1, "padding": (1, 0)}),
    ((2, 7, 5, 2), 3, {"stride": 2, "padding": "same", "layout": "NHWC"}),
    ((1, 1, 7, 6), 2, {"dilation": 2, "stride": 1}),
    ((1, 2, 2, 4, 3), (1, 2, 2), {"stride": (1, 2, 1)}),
    ((0, 2, 4), 2, {}),
)


def _examples(positions: bool) -> Callable[[Generator], list[Example]]:
    def examples(rng: Generator) -> list[Example]:
        def example(shape: tuple[int, ...], window: Any, options: dict[str, Any]) -> Example:
            def build(x: Tensor) -> Tensor:
                pooled = max_pool(x, window, **options)
                return POSITION(pooled.node.inputs[0], **pooled.node.attrs) if positions else pooled

            values = rng.permutation(np.linspace(-2, 2, int(np.prod(shape)))) + 0.01  # no ties
            return Example(build, (values.reshape(shape),), not positions)

        return [example(*case) for case in CASES]

    return examples


@public
def max_pool(
    x: Any,
    window: Sizes,
    *,
    stride: Numbers | None = None,
    padding: Any = "valid",
    dilation: Numbers = 1,
    layout: str | None = None,
) -> Tensor:
    """The largest entry of each window; NaN where one is NaN.

    x: [batch, channels, 1 to 3 spatial axes], or as `layout` says; numeric dtypes. window, stride,
    dilation: a number, or one for each spatial axis; the stride is that of the window by default.
    padding: as for `conv`; it never wins, and a window must reach out of it. Result: x's shape with
    floor((n + before + after - dilation*(window - 1) - 1)/stride) + 1 windows along each spatial
    axis, ceil(n/stride) for "same". The gradient goes to the first of the largest entries, in
    row-major order. ShapeError, at build or at the call, where no window fits.
    """
    tensor, axes = _input("max_pool", x, layout)
    windows = _arguments("max_pool", len(axes), window, stride, padding, dilation)
    return MAX_POOL(tensor, **_attributes(windows, axes))


MAX_POOL = register(
    OpDef(
        "max_pool",
        infer=_infer_max,
        reference=lambda attrs, x: _taps(attrs, x).max(axis=0),
        lower=Composite(_lower_max),
        batch=shifted("axes"),
        vjp=_vjp_max,
        jvp=_jvp_max,
        examples=_examples(positions=False),
    )
)
POSITION = register(
    OpDef(
        "max_pool_position",
        infer=_infer_position,
        reference=lambda attrs, x: _taps(attrs, x).argmax(axis=0),
        lower=Composite(_lower_position),
        batch=shifted("axes"),
        traits=frozenset({"nondifferentiable"}),
        examples=_examples(positions=True),
    )
)

# --- average ---------------------------------------------------------------------------------


@public
def average_pool(
    x: Any,
    window: Sizes,
    *,
    stride: Numbers | None = None,
    padding: Any = "valid",
    count_include_pad: bool = False,
    layout: str | None = None,
) -> Tensor:
    """The mean of each window.

    As `max_pool`, without dilation; integers become float32. Padding does not count: the sum is
    divided by the number of entries of x that lie in the window, as Keras and TensorFlow do.
    count_include_pad: it is divided by the size of the window, as PyTorch does by default.
    """
    name = "average_pool"
    tensor, axes = _input(name, x, layout)
    tensor = floating(tensor)
    windows = _arguments(name, len(axes), window, stride, padding)
    sizes = _at(tensor.shape, axes)
    seen = _seen(BUILDER, tensor, _attributes(windows, axes), 0)
    total = BUILDER.sum(seen, axis=tuple(range(len(axes))))
    if count_include_pad or all(pair == (0, 0) for pair in windows.pairs(sizes)):
        area = size_product(windows.kernel)
        return total / (float(area) if isinstance(area, int) else as_tensor(area, tensor.dtype))
    for number, axis in enumerate(axes):
        total = total / _entries(windows, sizes, number, axis, total)
    return total


def _entries(windows: Windows, sizes: Shape, number: int, axis: int, total: Tensor) -> Tensor:
    """How many entries of x the windows hold along an axis, in the shape of total."""
    first = BUILDER.arange(total.shape[axis]) * windows.stride[number]
    first = first - windows.pairs(sizes)[number][0]
    end = BUILDER.minimum(first + windows.kernel[number], sizes[number])
    shape = [1] * total.ndim
    shape[axis] = -1
    return BUILDER.reshape(end - BUILDER.maximum(first, 0), shape).astype(total.dtype)


# --- global and adaptive ---------------------------------------------------------------------


@public
def global_max_pool(x: Any, *, keepdims: bool = False, layout: str | None = None) -> Tensor:
    """The largest entry over all spatial axes: [batch, channels]; keepdims: they stay, of size 1.

    x: as for `max_pool`. NaN where one is NaN; the gradient goes to the first of the largest.
    """
    tensor, axes = _input("global_max_pool", x, layout)
    return BUILDER.max(tensor, axis=axes, keepdims=keepdims)


@public
def global_average_pool(x: Any, *, keepdims: bool = False, layout: str | None = None) -> Tensor:
    """The mean over all spatial axes: [batch, channels]; keepdims: they stay, of size 1.

    x: as for `average_pool`.
    """
    tensor, axes = _input("global_average_pool", x, layout)
    return BUILDER.mean(tensor, axis=axes, keepdims=keepdims)


@public
def adaptive_max_pool(x: Any, size: Sizes, *, layout: str | None = None) -> Tensor:
    """The largest entries of windows that cut each spatial axis, of size n, into `size` parts.

    Window i holds the entries floor(i*n/size) to ceil((i + 1)*n/size) - 1, as in PyTorch: windows
    overlap where size does not divide n. x: as for `max_pool`. size: a number, or one for each
    spatial axis.
    """
    return _adaptive("adaptive_max_pool", x, size, layout, largest=True)


@public
def adaptive_average_pool(x: Any, size: Sizes, *, layout: str | None = None) -> Tensor:
    """The means of windows that cut each spatial axis into `size` parts: see `adaptive_max_pool`.

    Integers become float32.
    """
    return _adaptive("adaptive_average_pool", x, size, layout, largest=False)


def _adaptive(name: str, x: Any, size: Sizes, layout: str | None, largest: bool) -> Tensor:
    tensor, axes = _input(name, x, layout)
    tensor = tensor if largest else floating(tensor)
    wanted = window_sizes(name, "size", size, len(axes))
    pairs = list(zip(axes, wanted, strict=True))
    # From the last axis on: of equal entries the first in row-major order wins.
    for axis, count in reversed(pairs):
        tensor = _in_parts(tensor, axis, count, largest)
    return tensor


def _in_parts(x: Tensor, axis: int, count: Size, largest: bool) -> Tensor:
    """An axis cut into parts, each of which becomes one entry."""
    size = x.shape[axis]
    if isinstance(size, int) and isinstance(count, int) and size % count == 0 and size:
        shape = (*x.shape[:axis], count, size // count, *x.shape[axis + 1 :])
        parts = BUILDER.reshape(x, shape)
        return (BUILDER.max if largest else BUILDER.mean)(parts, axis=axis + 1)
    part = BUILDER.arange(count)
    start, end = part * size // count, ((part + 1) * size + (count - 1)) // count
    entry = BUILDER.arange(size)
    behind = [1] * (x.ndim - axis - 1)
    inside = BUILDER.logical_and(
        BUILDER.less_equal(BUILDER.reshape(start, (-1, 1)), entry),
        BUILDER.less(entry, BUILDER.reshape(end, (-1, 1))),
    )
    inside = BUILDER.reshape(inside, (count, size, *behind))
    spread = BUILDER.expand_dims(x, axis)
    if largest:
        return BUILDER.max(BUILDER.where(inside, spread, _lowest(x.dtype)), axis=axis + 1)
    total = BUILDER.sum(BUILDER.where(inside, spread, 0), axis=axis + 1)
    return total / BUILDER.reshape(end - start, (count, *behind)).astype(x.dtype)
