"""Pooling: the largest or the mean entry of each window of the spatial axes."""

from collections.abc import Callable
from functools import reduce
from itertools import product
from typing import Any

import numpy as np

from graphc.dtypes import int64, is_floating, lowest
from graphc.ir.batch import shifted
from graphc.ir.leaf import as_tensor
from graphc.ir.lowering import Composite
from graphc.ir.node import Attributes, TensorType
from graphc.ir.opdef import Application, Example, Generator, Gradients, Inference, OpDef
from graphc.ir.registry import BUILDER, Builder, public, register
from graphc.ir.tensor import Tensor
from graphc.ir.windows import Windows
from graphc.ops.definition import floating, widened
from graphc.ops.pooling_gradient import from_neighbours, overlap_a_little
from graphc.ops.pooling_setting import (
    Numbers,
    Sizes,
    attributes_of,
    checked_input,
    checked_windows,
    padded,
    sizes_at,
    under_windows,
    windows_of,
)
from graphc.ops.windows import OVERLAPPING_SUM, along, under
from graphc.shapes import Shape, Size, evaluate, size_product

__all__ = ["average_pool", "max_pool"]

FEW = 16  # entries of a window that are compared one after the other


# --- max -------------------------------------------------------------------------------------


def _infer_max(call: Inference) -> TensorType:
    (x,), axes = call.types, call.attrs["axes"]
    count = windows_of(call.attrs).check(call, sizes_at(x.shape, axes))
    return TensorType(x.dtype, along(x.shape, axes, count))


def _infer_position(call: Inference) -> TensorType:
    return TensorType(int64, _infer_max(call).shape)


def _taps(attrs: Attributes, x: np.ndarray) -> np.ndarray:
    """[taps in row-major order, out...]: what lies under each tap of all windows."""
    axes, windows = attrs["axes"], windows_of(attrs)
    count = [evaluate(size, {}) for size in windows.count(sizes_at(x.shape, axes))]
    widths = [(0, 0)] * x.ndim
    for axis, (before, after) in zip(axes, windows.pairs(sizes_at(x.shape, axes)), strict=True):
        widths[axis] = (evaluate(before, {}), evaluate(after, {}))
    x = np.pad(x, widths, constant_values=lowest(x.dtype))
    taps = product(*(range(evaluate(size, {})) for size in windows.kernel))
    return np.stack([x[under(attrs, tap, count, x.ndim)] for tap in taps])


def _few_taps(b: Builder, x: Tensor, attrs: Attributes) -> list[Tensor] | None:
    """What lies under each tap of all windows, first tap first, if windows are known and small."""
    axes, windows = attrs["axes"], windows_of(attrs)
    area = size_product(windows.kernel)
    if not isinstance(area, int) or not 0 < area <= FEW:
        return None
    count = windows.count(sizes_at(x.shape, axes))
    x = padded(b, x, windows, axes, lowest(x.dtype))
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
    seen = under_windows(b, x, attrs, lowest(x.dtype))
    return b.max(seen, axis=tuple(range(len(attrs["axes"]))), initial=lowest(x.dtype))


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
    seen, count = under_windows(b, x, attrs, lowest(x.dtype)), len(attrs["axes"])
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
    x, axes, windows = a.inputs[0], a.attrs["axes"], windows_of(a.attrs)
    sizes = sizes_at(x.shape, axes)
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
    seen = b.where(_winners(b, a), under_windows(b, tangents[0], a.attrs, 0), 0)
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
    tensor, axes = checked_input("max_pool", x, layout)
    windows = checked_windows("max_pool", len(axes), window, stride, padding, dilation)
    return MAX_POOL(tensor, **attributes_of(windows, axes))


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
    tensor, axes = checked_input(name, x, layout)
    tensor = floating(tensor)
    dtype, tensor = tensor.dtype, widened(tensor)
    windows = checked_windows(name, len(axes), window, stride, padding)
    sizes = sizes_at(tensor.shape, axes)
    seen = under_windows(BUILDER, tensor, attributes_of(windows, axes), 0)
    total = BUILDER.sum(seen, axis=tuple(range(len(axes))))
    if count_include_pad or all(pair == (0, 0) for pair in windows.pairs(sizes)):
        area = size_product(windows.kernel)
        count = float(area) if isinstance(area, int) else as_tensor(area, tensor.dtype)
        return (total / count).astype(dtype)
    for number, axis in enumerate(axes):
        total = total / _entries(windows, sizes, number, axis, total)
    return total.astype(dtype)


def _entries(windows: Windows, sizes: Shape, number: int, axis: int, total: Tensor) -> Tensor:
    """How many entries of x the windows hold along an axis, in the shape of total."""
    first = BUILDER.arange(total.shape[axis]) * windows.stride[number]
    first = first - windows.pairs(sizes)[number][0]
    end = BUILDER.minimum(first + windows.kernel[number], sizes[number])
    shape = [1] * total.ndim
    shape[axis] = -1
    return BUILDER.reshape(end - BUILDER.maximum(first, 0), shape).astype(total.dtype)
