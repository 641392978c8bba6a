"""What pools share: their arguments, and the windows of a tensor with padding around it."""

from collections.abc import Sequence
from typing import Any

from graphc.errors import ShapeError
from graphc.ir.node import Attributes
from graphc.ir.registry import Builder
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
from graphc.ops.definition import REAL, one_input
from graphc.ops.windows import SLIDING_WINDOWS
from graphc.shapes import Shape, Size, format_shape

Sizes = Size | Sequence[Size]
Numbers = int | Sequence[int]


def _spatial_axes(ndim: int, last: bool) -> tuple[int, ...]:
    return tuple(range(1, ndim - 1)) if last else tuple(range(2, ndim))


def checked_input(name: str, x: Any, layout: str | None) -> tuple[Tensor, tuple[int, ...]]:
    """x and its spatial axes."""
    tensor = one_input(name, x, REAL)
    rank = spatial_rank(name, tensor.ndim, str(tensor.type))
    return tensor, _spatial_axes(tensor.ndim, channels_last(name, layout, rank))


def checked_windows(
    name: str, rank: int, window: Any, stride: Any, padding: Any, dilation: Any = 1
) -> Windows:
    """The windows that the caller asks for; ShapeError where an argument is wrong."""
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


def attributes_of(windows: Windows, axes: tuple[int, ...]) -> dict[str, Any]:
    """Of the node that pools in these windows; `windows_of` reads them back."""
    return {
        "kernel": windows.kernel,
        "stride": windows.stride,
        "dilation": windows.dilation,
        "padding": windows.padding,
        "axes": axes,
    }


def windows_of(attrs: Attributes) -> Windows:
    return Windows(attrs["kernel"], attrs["stride"], attrs["dilation"], attrs["padding"])


def sizes_at(shape: Shape, axes: Sequence[int]) -> Shape:
    return tuple(shape[axis] for axis in axes)


def padded(b: Builder, x: Tensor, windows: Windows, axes: Sequence[int], value: float) -> Tensor:
    """x as the windows see it: padding holds the value; where it must not win, the lowest."""
    widths: list[tuple[Size, Size]] = [(0, 0)] * x.ndim
    for axis, pair in zip(axes, windows.pairs(sizes_at(x.shape, axes)), strict=True):
        widths[axis] = pair
    if all(pair == (0, 0) for pair in widths):
        return x
    return b.pad(x, widths, constant_values=value)


def under_windows(b: Builder, x: Tensor, attrs: Attributes, value: float) -> Tensor:
    """The windows of x, with their axes first; padding holds the value."""
    windows, axes = windows_of(attrs), attrs["axes"]
    return SLIDING_WINDOWS(
        padded(b, x, windows, axes, value),
        axes=axes,
        kernel=windows.kernel,
        stride=windows.stride,
        dilation=windows.dilation,
        may_be_none=windows.padding == "same",
    )
