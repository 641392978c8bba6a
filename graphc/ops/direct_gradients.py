"""The gradients of convolutions as window products, or as matrix products for kernels of size 1."""

from dataclasses import replace

from graphc.dtypes import float32, is_half
from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor
from graphc.ir.windows import Windows
from graphc.ops.convolution_setting import (
    Setting,
    filter_in_layout,
    filter_taps_first,
    grouped,
    padded,
    per_group,
    product_of,
    with_channels_last,
)
from graphc.ops.depthwise_product import DEPTHWISE_PRODUCT, is_worth_it
from graphc.ops.direct_convolution import (
    LANES,
    arranged,
    channel_blocks,
    convolve,
    every,
    pointwise,
)
from graphc.ops.filtered_convolution import filtered, filtered_gradient, is_filtered
from graphc.ops.strided_gradient import by_remainders, has_remainders
from graphc.shapes import Shape, Size, dim_max, size_product

# --- the gradient by the filter --------------------------------------------------------------


def filter_gradient(b: Builder, x: Tensor, g: Tensor, setting: Setting) -> Tensor:
    """w[o, c, p] = sum over n, y of x[n, c, stride*y + dilation*p] * g[n, o, y]

    All but the last spatial axis are summed outside, in tiles: what a tile needs of g stays in the
    cache, where 16 channels out lie side by side. Threads share the blocks of channels out, or the
    taps along one axis.
    """
    windows, last, groups = setting.windows, setting.channels_last, setting.groups
    count = windows.count(setting.spatial(x))
    if setting.is_pointwise:
        x = padded(b, x, windows.pairs(setting.spatial(x)), last)
        return _pointwise_filter_gradient(b, every(b, x, setting, count), g, setting)
    inner = per_group(setting.channels(x), groups)
    if groups != 1 and inner == 1 and not last and _are_rows(x, count, setting):
        return _depthwise_filter_gradient(b, x, g, count, setting)
    outputs = setting.channels(g) if last else g.shape[1]
    if is_filtered(x, outputs, setting, count, learned=True):
        return filtered_gradient(b, x, g, setting, count)
    outer = per_group(outputs, groups)
    in_outputs = not (isinstance(outer, int) and outer < 8) or _least(outer, inner) != outer
    moved = not last and (not in_outputs or (groups != 1 and inner == 1))
    x, read = arranged(b, x, "channels" if moved or last else "plain", setting)
    given = ["n", *setting.places, *setting.group, "o"]
    places = dict(zip(setting.places, count, strict=True))
    blocks = channel_blocks(outputs, setting) if in_outputs else 0
    if blocks > 1:
        given = ["n", "t", *setting.places, "o"]
        g, outer = _packed(b, g, blocks, last), LANES
    else:
        g = g if last else with_channels_last(b, g)
    sizes: dict[str, Size] = {"t": blocks} if blocks > 1 else _most_taps(setting)
    sizes |= {"n": x.shape[0], **places}
    width = sizes.pop(setting.places[-1])
    sizes |= dict(zip(setting.taps, windows.kernel, strict=True))
    ends = {"c": inner, "o": outer}
    if groups != 1:
        ends = {"g": groups, **ends} if inner != 1 or outer != 1 else {**ends, "g": groups}
    if not in_outputs:
        ends["c"] = ends.pop("c")
    sizes |= {**ends, setting.places[-1]: width}
    front = "t" if blocks > 1 else ""
    result = "".join([front, *setting.taps, *ends])
    g = grouped(b, g, setting, last=True)
    outside = "n" + setting.places[:-1]
    found = product_of(x, read, g, given, result, sizes, outside, pairs=setting.pairs)
    axes = [result.index(axis) for axis in f"{setting.taps}c{setting.group}{front}o"]
    w = b.permute_dims(found, axes)
    w = b.reshape(w, (*windows.kernel, inner, outputs))
    return filter_in_layout(b, w, setting)


def _widened(b: Builder, x: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
    if not is_half(x.dtype):
        return x, g
    return b.astype(x, float32), b.astype(g, float32)


def _are_rows(x: Tensor, count: Shape, setting: Setting) -> bool:
    """Whether terms lie side by side in x and g, enough of them to be summed like that."""
    windows, before = setting.windows, _before(x, setting)
    sizes = (*setting.spatial(x), *count, *windows.kernel, *before)
    return all(isinstance(size, int) for size in sizes) and is_worth_it(
        windows.kernel, count, windows.stride, windows.dilation
    )


def _before(x: Tensor, setting: Setting) -> Shape:
    return tuple(width for width, _ in setting.windows.pairs(setting.spatial(x)))


def _depthwise_filter_gradient(
    b: Builder, x: Tensor, g: Tensor, count: Shape, setting: Setting
) -> Tensor:
    windows, groups = setting.windows, setting.groups
    outer = per_group(g.shape[1], groups)
    x, g = _widened(b, x, g)
    found = DEPTHWISE_PRODUCT(
        x,
        b.reshape(g, (g.shape[0], groups, outer, *count)),
        size=setting.spatial(x),
        count=count,
        kernel=windows.kernel,
        stride=windows.stride,
        dilation=windows.dilation,
        before=_before(x, setting),
    )
    return b.reshape(found, (g.shape[1], 1, *windows.kernel))


def _most_taps(setting: Setting) -> dict[str, Size]:
    """The axis with the most taps, and how many: the last axis only if no other has several."""
    taps = list(zip(setting.taps, setting.windows.kernel, strict=True))
    several = [(tap, size) for tap, size in taps if size != 1]
    if not several:
        return {}
    return dict([max(several[:-1] or several, key=lambda item: _known(item[1]))])


def _known(size: Size) -> int:
    return size if isinstance(size, int) else 0


def _packed(b: Builder, g: Tensor, blocks: int, last: bool) -> Tensor:
    """The gradient as [n, blocks, places..., LANES]"""
    if last:
        return b.moveaxis(b.reshape(g, (*g.shape[:-1], blocks, LANES)), -2, 1)
    return b.moveaxis(b.reshape(g, (g.shape[0], blocks, LANES, *g.shape[2:])), 2, -1)


def _least(a: Size, b: Size) -> Size:
    return min(a, b) if isinstance(a, int) and isinstance(b, int) else a


# --- the gradient by the input ---------------------------------------------------------------


def input_gradient(b: Builder, g: Tensor, w: Tensor, spatial: Shape, setting: Setting) -> Tensor:
    """x[n, c, i] = sum over o, p of g[n, o, y] * w[o, c, p] where i = stride*y + dilation*p

    Without stride that is a convolution of g with the filter turned round.
    """
    windows = setting.windows
    if setting.is_pointwise:
        return _pointwise_input_gradient(b, g, w, spatial, setting)
    if all(stride == 1 for stride in windows.stride):
        return _turned(b, g, w, spatial, setting)
    if has_remainders(setting):
        return by_remainders(b, g, w, spatial, setting)
    return _stuffed(b, g, w, spatial, setting)


def _swapped(b: Builder, w: Tensor, setting: Setting) -> Tensor:
    """The filter [taps..., out, in], for a convolution from output to input channels."""
    w = filter_taps_first(b, w, setting)
    if setting.groups == 1:
        return b.swapaxes(w, -1, -2)
    groups, taps = setting.groups, w.shape[:-2]
    inner, outer = w.shape[-2], per_group(w.shape[-1], groups)
    w = b.reshape(w, (*taps, inner, groups, outer))
    rank = setting.rank
    w = b.permute_dims(w, (*range(rank), rank + 2, rank + 1, rank))
    return b.reshape(w, (*taps, outer, groups * inner))


def _pointwise_input_gradient(
    b: Builder, g: Tensor, w: Tensor, spatial: Shape, setting: Setting
) -> Tensor:
    swapped = filter_in_layout(b, _swapped(b, w, setting), setting)
    x = pointwise(b, g, swapped, setting)
    pairs = setting.windows.pairs(spatial)
    batch, channels = x.shape[0], setting.channels(x)
    whole = setting.shape(batch, channels, setting.windows.padded(spatial))
    strides = setting.shape(1, 1, setting.windows.stride)
    if x.shape != whole:
        x = b.slice_gradient(x, whole, (0,) * x.ndim, strides)
    return _cropped(b, x, [before for before, _ in pairs], spatial, setting)


def _cropped(b: Builder, x: Tensor, starts: list[Size], spatial: Shape, setting: Setting) -> Tensor:
    shape = setting.shape(x.shape[0], setting.channels(x), spatial)
    return b.slice_within(x, setting.shape(0, 0, tuple(starts)), shape)


def _turned(b: Builder, g: Tensor, w: Tensor, spatial: Shape, setting: Setting) -> Tensor:
    windows, axes = setting.windows, range(setting.rank)
    pairs: list[tuple[Size, Size]] = []
    starts: list[Size] = []
    for axis, (before, after) in zip(axes, windows.pairs(spatial), strict=True):
        reach = windows.span(axis) - 1
        start, end = dim_max(before - reach, 0), dim_max(after - reach, 0)
        pairs.append((reach - before + start, reach - after + end))
        starts.append(start)
    if any(_is_unsure(width) for pair in pairs for width in pair):
        # Symbolic widths: as far as any window reaches, and the padding is cut off again.
        reaches = [windows.span(axis) - 1 for axis in axes]
        pairs = [(reach, reach) for reach in reaches]
        starts = [before for before, _ in windows.pairs(spatial)]
    around = Windows(windows.kernel, windows.stride, windows.dilation, tuple(pairs))
    plain = replace(setting, windows=around)
    count = plain.windows.count(plain.spatial(g))
    inner = w.shape[-2 if setting.channels_last else 1]
    if is_filtered(g, inner, plain, count):
        x = filtered(b, g, w, plain, count, turned=True)
    else:
        x = convolve(b, g, _turned_filter(b, w, setting), plain)
    return _cropped(b, x, starts, spatial, setting)


def _turned_filter(b: Builder, w: Tensor, setting: Setting) -> Tensor:
    """The filter with its taps turned round, for a convolution from output to input channels."""
    rank, last = setting.rank, setting.channels_last
    inner = w.shape[rank] if last else w.shape[1]
    blocks = channel_blocks(inner, setting)
    if blocks < 2:
        turned = b.flip(_swapped(b, w, setting), tuple(range(rank)))
        return filter_in_layout(b, turned, setting)
    # Channels are split before all else, so that blocks of them are packed in one step.
    if last:
        w = b.reshape(w, (*w.shape[:rank], blocks, LANES, w.shape[-1]))
        w = b.flip(b.moveaxis(w, -1, rank), tuple(range(rank)))
        return b.reshape(w, (*w.shape[:-2], inner))
    w = b.reshape(w, (w.shape[0], blocks, LANES, *w.shape[2:]))
    w = b.flip(b.moveaxis(w, 0, 2), tuple(range(3, rank + 3)))
    return b.reshape(w, (inner, *w.shape[2:]))


def _is_unsure(width: Size) -> bool:
    return not isinstance(width, int)


def _stuffed(b: Builder, g: Tensor, w: Tensor, spatial: Shape, setting: Setting) -> Tensor:
    """With zeros between the entries of g the stride is 1."""
    windows, kept = setting.windows, windows_shape(setting, spatial)
    shape = setting.shape(g.shape[0], setting.channels(g), kept)
    spread = b.slice_gradient(g, shape, (0,) * g.ndim, setting.shape(1, 1, windows.stride))
    one = Windows(windows.kernel, (1,) * setting.rank, windows.dilation, windows.pairs(spatial))
    return _turned(b, spread, w, spatial, replace(setting, windows=one))


def windows_shape(setting: Setting, spatial: Shape) -> Shape:
    """How many windows a stride of 1 would have."""
    windows = setting.windows
    return tuple(
        dim_max(size - windows.span(axis) + 1, 0)
        for axis, size in enumerate(windows.padded(spatial))
    )


def _pointwise_filter_gradient(b: Builder, x: Tensor, g: Tensor, setting: Setting) -> Tensor:
    ones = (1,) * setting.rank
    if setting.channels_last:
        rows = size_product(x.shape[:-1])
        x, g = b.reshape(x, (rows, x.shape[-1])), b.reshape(g, (rows, g.shape[-1]))
        product = b.matmul(x, g, transpose_a=True)
        return b.reshape(product, (*ones, *product.shape))
    area = size_product(x.shape[2:])
    x, g = b.reshape(x, (*x.shape[:2], area)), b.reshape(g, (*g.shape[:2], area))
    x, g = _widened(b, x, g)  # the sum is rounded, not what it adds
    product = b.sum(b.matmul(g, x, transpose_b=True), axis=0, dtype=x.dtype)
    return b.reshape(product, (*product.shape, *ones))
