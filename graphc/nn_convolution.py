"""Convolutions as users call them: `gc.nn.conv2d`, `gc.nn.conv_transpose`, ..."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from graphc.errors import ArgumentError, ShapeError
from graphc.ir.registry import BUILDER, public
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ir.windows import (
    Padding,
    Windows,
    channels_last,
    checked_padding,
    numbers,
    spatial_rank,
)
from graphc.ops.convolution import CONVOLUTION, INPUT_GRADIENT
from graphc.ops.definition import REAL, check_dtype, promote_inputs
from graphc.shapes import Dim, Shape, Size, whole_number

__all__ = [
    "conv",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "depthwise_conv2d",
]

Numbers = int | Sequence[int]
F = TypeVar("F", bound=Callable[..., Any])


def _options_of(other: Callable[..., Any], *, but: str = "") -> Callable[[F], F]:
    """The signature that errors and editors show is that of `other`, but for an option."""

    def with_signature(function: F) -> F:
        signature = inspect.signature(other)
        kept = [one for one in signature.parameters.values() if one.name != but]
        setattr(function, "__signature__", signature.replace(parameters=kept))  # noqa: B010
        return function

    return with_signature


def _operands(
    name: str, x: Any, w: Any, layout: str | None, rank: int | None
) -> tuple[Tensor, Tensor, int, bool]:
    """x and w of one dtype, how many spatial axes they have, and whether channels come last."""
    x, w = promote_inputs(name, x, w)
    check_dtype(name, x.dtype, REAL)
    spatial = spatial_rank(name, x.ndim, str(x.type))
    if rank is not None and spatial != rank:
        raise ShapeError(
            f"{name}: x has {x.ndim} axes: {x.type}",
            source=current_source(),
            fix=f"x needs a batch axis, a channel axis and {rank} spatial axes",
        )
    if w.ndim != x.ndim:
        raise ShapeError(
            f"{name}: the filter {w.type} has {w.ndim} axes, x {x.type} has {x.ndim}",
            source=current_source(),
            fix="a filter has [out, in / groups, kernel...] or, with channels last, "
            "[kernel..., in / groups, out]",
        )
    return x, w, spatial, channels_last(name, layout, spatial)


def _checked_groups(name: str, groups: Size) -> Size:
    if isinstance(groups, Dim):
        return groups
    found = whole_number(groups)
    if found is None or found < 1:
        raise ShapeError(
            f"{name}: groups={groups!r}",
            source=current_source(),
            fix="give a whole number >= 1, or a symbolic size",
        )
    return found


def _checked_flip(name: str, filter_flip: Any) -> bool:
    known = isinstance(filter_flip, bool | np.bool_)
    if not known and not (type(filter_flip) is int and filter_flip in (0, 1)):
        raise ArgumentError(
            f"{name}: filter_flip={filter_flip!r:.60} is not True or False",
            source=current_source(),
            fix="pass True or False",
        )
    return bool(filter_flip)


def _kernel(w: Tensor, last: bool) -> Shape:
    return w.shape[:-2] if last else w.shape[2:]


def _turned(w: Tensor, last: bool) -> Tensor:
    """The filter reversed along its spatial axes."""
    axes = range(w.ndim - 2) if last else range(2, w.ndim)
    return BUILDER.flip(w, tuple(axes))


def _conv(
    name: str,
    rank: int | None,
    x: Any,
    w: Any,
    *,
    stride: Numbers = 1,
    padding: Any = "valid",
    dilation: Numbers = 1,
    groups: Size = 1,
    layout: str | None = None,
    filter_flip: bool = False,
) -> Tensor:
    x, w, spatial, last = _operands(name, x, w, layout, rank)
    return CONVOLUTION(
        x,
        _turned(w, last) if _checked_flip(name, filter_flip) else w,
        stride=numbers(name, "stride", stride, spatial),
        dilation=numbers(name, "dilation", dilation, spatial),
        padding=checked_padding(name, padding, spatial),
        groups=_checked_groups(name, groups),
        channels_last=last,
    )


@public
def conv(
    x: Any,
    w: Any,
    *,
    stride: Numbers = 1,
    padding: Any = "valid",
    dilation: Numbers = 1,
    groups: Size = 1,
    layout: str | None = None,
    filter_flip: bool = False,
) -> Tensor:
    """out[n, o, i] = sum over c, k of x[n, c, stride*i + dilation*k - before] * w[o, c, k].

    That is the cross-correlation that neural networks call a convolution; filter_flip: the filter
    is turned round first, which is the convolution of mathematics.

    x: [batch, channels, 1 to 3 spatial axes] ("NCW", "NCHW", "NCDHW", the default) or channels last
    ("NWC", "NHWC", "NDHWC"). w: [out, in / groups, kernel...], with channels last
    [kernel..., in / groups, out]. Real numeric dtypes, promoted to one. stride, dilation: a number,
    or one for each spatial axis. padding: "valid" for none, "same" for ceil(n/stride) entries (an
    odd entry of padding goes behind), a width, a width for each spatial axis, or a pair (before,
    after) for each; padding is 0, and products with it may be left out, so that inf or nan in a
    filter need not show at the edges; windows of 3x3 may be computed in tiles of 2x2 by minimal
    filtering (Lavin and Gray 2016), where an inf or nan reaches the whole tile. groups: channels in
    and out fall into so many equal parts, each of which sees the others not.

    Result: floor((n + before + after - dilation*(k - 1) - 1)/stride) + 1 entries along each spatial
    axis (Dumoulin and Visin 2016, arXiv 1603.07285). All sizes may be symbolic.
    ShapeError, at build or at the call: channels that do not fit, or no window that fits.
    """
    return _conv(
        "conv",
        None,
        x,
        w,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        layout=layout,
        filter_flip=filter_flip,
    )


@public
@_options_of(conv)
def conv1d(x: Any, w: Any, **options: Any) -> Tensor:
    """`conv` of x with one spatial axis: [batch, channels, width]; options are those of `conv`."""
    return _conv("conv1d", 1, x, w, **options)


@public
@_options_of(conv)
def conv2d(x: Any, w: Any, **options: Any) -> Tensor:
    """`conv` of x with two spatial axes: [batch, channels, height, width]."""
    return _conv("conv2d", 2, x, w, **options)


@public
@_options_of(conv)
def conv3d(x: Any, w: Any, **options: Any) -> Tensor:
    """`conv` of x with three spatial axes: [batch, channels, depth, height, width]."""
    return _conv("conv3d", 3, x, w, **options)


# --- transposed ------------------------------------------------------------------------------


def _transposed_sizes(windows: Windows, given: Shape, added: tuple[int, ...]) -> Shape:
    """The sizes that the windows of the convolution make `given` of."""
    found: list[Size] = []
    for axis, (count, more) in enumerate(zip(given, added, strict=True)):
        stride = windows.stride[axis]
        if isinstance(windows.padding, str):
            found.append(count * stride - more)
        else:
            before, after = windows.padding[axis]
            found.append((count - 1) * stride + windows.span(axis) - before - after + more)
    return tuple(found)


def _output_padding(name: str, value: Numbers, stride: tuple[int, ...], same: bool) -> Any:
    added = numbers(name, "output_padding", value, len(stride), least=0)
    if any(more and (same or more >= step) for more, step in zip(added, stride, strict=True)):
        raise ShapeError(
            f"{name}: output_padding={value!r} with stride {stride}",
            source=current_source(),
            fix='give widths below the stride, and none with padding="same"',
        )
    return added


def _conv_transpose(
    name: str,
    rank: int | None,
    x: Any,
    w: Any,
    *,
    stride: Numbers = 1,
    padding: Any = "valid",
    dilation: Numbers = 1,
    groups: Size = 1,
    layout: str | None = None,
    output_padding: Numbers = 0,
    filter_flip: bool = False,
) -> Tensor:
    x, w, spatial, last = _operands(name, x, w, layout, rank)
    found: Padding = checked_padding(name, padding, spatial)
    steps = numbers(name, "stride", stride, spatial)
    windows = Windows(_kernel(w, last), steps, numbers(name, "dilation", dilation, spatial), found)
    added = _output_padding(name, output_padding, steps, isinstance(found, str))
    given = x.shape[1:-1] if last else x.shape[2:]
    sizes = _transposed_sizes(windows, given, added)
    if any(isinstance(size, int) and size < 0 for size in sizes):
        raise ShapeError(
            f"{name}: the result would have the spatial sizes {sizes}",
            source=current_source(),
            details=["stride*(n - 1) + dilation*(k - 1) + 1 - before - after"],
            fix="make the padding smaller, or x larger",
        )
    return INPUT_GRADIENT(
        x,
        _turned(w, last) if _checked_flip(name, filter_flip) else w,
        spatial=sizes,
        stride=steps,
        dilation=windows.dilation,
        padding=found,
        groups=_checked_groups(name, groups),
        channels_last=last,
    )


@public
def conv_transpose(
    x: Any,
    w: Any,
    *,
    stride: Numbers = 1,
    padding: Any = "valid",
    dilation: Numbers = 1,
    groups: Size = 1,
    layout: str | None = None,
    output_padding: Numbers = 0,
    filter_flip: bool = False,
) -> Tensor:
    """The transpose of `conv` with these arguments, also called a deconvolution.

    It is the gradient of that convolution by its input: every entry of x is spread over a window.
    x: as for `conv`. w: the filter of that convolution, [channels of x, out / groups, kernel...],
    with channels last [kernel..., out / groups, channels of x].

    Result: stride*(n - 1) + dilation*(k - 1) + 1 - before - after + output_padding entries along
    each spatial axis of size n, n*stride with padding="same". output_padding, below the stride:
    which of the sizes that the convolution makes n of. ShapeError as for `conv`.
    """
    return _conv_transpose(
        "conv_transpose",
        None,
        x,
        w,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        layout=layout,
        output_padding=output_padding,
        filter_flip=filter_flip,
    )


@public
@_options_of(conv_transpose)
def conv_transpose1d(x: Any, w: Any, **options: Any) -> Tensor:
    """`conv_transpose` of x with one spatial axis."""
    return _conv_transpose("conv_transpose1d", 1, x, w, **options)


@public
@_options_of(conv_transpose)
def conv_transpose2d(x: Any, w: Any, **options: Any) -> Tensor:
    """`conv_transpose` of x with two spatial axes."""
    return _conv_transpose("conv_transpose2d", 2, x, w, **options)


@public
@_options_of(conv_transpose)
def conv_transpose3d(x: Any, w: Any, **options: Any) -> Tensor:
    """`conv_transpose` of x with three spatial axes."""
    return _conv_transpose("conv_transpose3d", 3, x, w, **options)


@public
@_options_of(conv, but="groups")
def depthwise_conv2d(x: Any, w: Any, *, layout: str | None = None, **options: Any) -> Tensor:
    """`conv2d` of every channel by itself: as many groups as x has channels.

    x: [batch, channels, height, width] or "NHWC". w: [channels * multiplier, 1, kernel...], with
    channels last [kernel..., 1, channels * multiplier].
    Output channel c * multiplier + m comes of channel c. options: those of `conv` but groups.
    """
    name = "depthwise_conv2d"
    x, w, _, last = _operands(name, x, w, layout, 2)
    channels = x.shape[-1] if last else x.shape[1]
    if channels == 0:
        raise ShapeError(
            f"{name}: x has no channels: {x.type}",
            source=current_source(),
            fix="x has a batch, channels and one axis or more to slide along",
        )
    return _conv(name, 2, x, w, groups=channels, layout=layout, **options)
