"""The gradient by the input of a convolution with strides: one window product.

    x[n, s*y + u] = sum over o, k of g[n, y - k, o] * w[o, u + before + s*k]     for u below s

Each remainder u of a place by the stride meets every s-th tap of the filter. Taps that a remainder
lacks are left out of its sums: of 3x3 taps with strides of 2 it is 1, 2, 2 and 4 that count.
"""

from dataclasses import replace

from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor
from graphc.ir.windows import Windows
from graphc.ops.convolution_setting import (
    Setting,
    filter_taps_first,
    per_group,
    product_of,
    with_channels_first,
    with_channels_last,
)
from graphc.ops.direct_convolution import (
    KEPT,
    LANES,
    arranged,
    channel_blocks,
    order_of,
)
from graphc.records import dataclass
from graphc.shapes import Shape, Size, ceil_div, dim_max, size_product

REMAINDERS = "uvw"


@dataclass(frozen=True, slots=True)
class _Axis:
    """places: multiples of the stride in x, rounded up. taps: what all remainders have together.
    zeros: before and after g. read: the index of the filter."""

    places: Size
    stride: int
    taps: int
    dilation: int
    zeros: tuple[Size, Size]
    read: str


def has_remainders(setting: Setting) -> bool:
    """Whether the gradient can be computed like that; else g is spread between zeros."""
    windows = setting.windows
    return all(
        isinstance(kernel, int) and kernel > 0 and (stride == 1 or dilation == 1)
        for kernel, stride, dilation in zip(
            windows.kernel, windows.stride, windows.dilation, strict=True
        )
    )


def _axis(setting: Setting, number: int, size: Size, before: Size, count: Size) -> _Axis:
    """Of x, from `before` entries of padding on. count: of windows."""
    windows = setting.windows
    stride, dilation = windows.stride[number], windows.dilation[number]
    kernel, tap = windows.kernel[number], setting.taps[number]
    assert isinstance(kernel, int) and isinstance(before, int)
    if stride == 1:  # x[y] = sum over k of g[y + before - dilation*k] * w[k], taps turned round
        front, taps = dilation * (kernel - 1) - before, kernel
        after = size + before - count
        return _Axis(size, 1, taps, dilation, (front, dim_max(after, 0)), f"{kernel - 1}-{tap}")
    places = ceil_div(size, stride)
    front, behind = max(0, (kernel - 1 - before) // stride), (stride - 1 + before) // stride
    zeros = front, dim_max(places + behind - count, 0)
    remainder = REMAINDERS[-setting.rank :][number]
    read = f"{remainder}+{before + stride * front}-{stride}{tap}"
    return _Axis(places, stride, front + behind + 1, 1, zeros, read)


def by_remainders(b: Builder, g: Tensor, w: Tensor, spatial: Shape, setting: Setting) -> Tensor:
    """x [batch, channels, spatial...], or with channels last."""
    windows, rank, last = setting.windows, setting.rank, setting.channels_last
    if last and setting.groups == 1 and w.shape[-2] == 1:  # one channel: rows fill the lanes
        first = replace(setting, channels_last=False)
        g, w = with_channels_first(b, g), b.permute_dims(w, (rank + 1, rank, *range(rank)))
        return with_channels_last(b, by_remainders(b, g, w, spatial, first))
    pairs, counts = windows.pairs(spatial), setting.spatial(g)
    starts: list[Size] = []
    axes: list[_Axis] = []
    for number, (before, after) in enumerate(pairs):
        # Padding that is not known, or reaches beyond the taps, is computed and cut off.
        reach = windows.span(number) - 1
        known = isinstance(before, int) and (windows.stride[number] > 1 or before <= reach)
        start, size = (0, spatial[number]) if known else (before, spatial[number] + before + after)
        axes.append(_axis(setting, number, size, before if known else 0, counts[number]))
        starts.append(start)
    plain = Windows(
        tuple([axis.taps for axis in axes]),
        (1,) * rank,
        tuple([axis.dilation for axis in axes]),
        tuple([axis.zeros for axis in axes]),
    )
    x = _product(b, g, w, axes, replace(setting, windows=plain))
    shape = setting.shape(x.shape[0], setting.channels(x), spatial)
    return b.slice_within(x, setting.shape(0, 0, tuple(starts)), shape)


def _product(b: Builder, g: Tensor, w: Tensor, axes: list[_Axis], setting: Setting) -> Tensor:
    """The sums for all places and remainders. setting: of g, as a convolution without strides."""
    last, groups, rank = setting.channels_last, setting.groups, setting.rank
    outer, inner = (w.shape[-1], w.shape[-2]) if last else w.shape[:2]
    outer = per_group(outer, groups)
    letters = REMAINDERS[-rank:]
    places = {place: axis.places for place, axis in zip(setting.places, axes, strict=True)}
    parts = {part: axis.stride for part, axis in zip(letters, axes, strict=True)}
    parts = {part: stride for part, stride in parts.items() if stride != 1}
    taps = {tap: axis.taps for tap, axis in zip(setting.taps, axes, strict=True)}
    used = [axis.read for axis in axes]
    over_channels = last or (isinstance(inner, int) and inner >= LANES // 4)
    g, read = arranged(b, g, order_of(setting, over_channels, outer, inner), setting)
    width = setting.places[-1]
    rows = {place: size for place, size in places.items() if place != width}
    sizes: dict[str, Size] = {"n": g.shape[0]} | ({"g": groups} if groups != 1 else {})
    spots = "".join(map("".join, zip(setting.places, letters, strict=True)))
    spots = "".join([spot for spot in spots if spot in places or spot in parts])
    blocks = channel_blocks(inner, setting) if over_channels else 0
    if blocks > 1:
        kept = size_product(w.shape)
        w, used, result = _packed(b, w, blocks, setting), ["t", *used, "c", "o"], f"n{spots}to"
        if isinstance(kept, int) and kept <= KEPT:
            sizes |= {**rows, **parts, "t": blocks}
        else:
            sizes = {"t": blocks, **parts, **sizes}  # threads share blocks: remainders differ
        sizes |= {**places, "o": LANES}
    elif over_channels:
        w = filter_taps_first(b, w, setting)
        w = w if groups == 1 else b.reshape(w, (*w.shape[:-1], groups, outer))
        w = b.moveaxis(w, rank, -1)
        used, result = [*used, *setting.group, "c", "o"], f"n{spots}{setting.group}o"
        sizes |= {**parts, **places, "o": inner}
    else:
        w = w if groups == 1 else b.reshape(w, (groups, outer, *w.shape[1:]))
        used = [*setting.group, "c", "o", *used]
        result = f"n{setting.group}o{spots.replace(width, '')}{width}"
        sizes |= {**rows, **parts, "o": inner, width: places[width]}
    sizes = {**sizes, **taps, "c": outer}
    x = product_of(g, read, w, used, result, sizes, pairs=setting.pairs)
    whole = [axis.places * axis.stride for axis in axes]
    channels = size_product((groups, inner))
    if over_channels:
        x = b.reshape(x, (x.shape[0], *whole, channels))
        return x if last else with_channels_first(b, x)
    if axes[-1].stride != 1:  # remainders beside each other, as neighbours in a row are
        x = b.swapaxes(x, -1, -2)
    return b.reshape(x, (x.shape[0], channels, *whole))


def _packed(b: Builder, w: Tensor, blocks: int, setting: Setting) -> Tensor:
    """The filter as [blocks, taps..., out, LANES], where the blocks are of channels in."""
    rank = setting.rank
    if setting.channels_last:
        w = b.reshape(w, (*w.shape[:rank], blocks, LANES, w.shape[-1]))
        return b.permute_dims(w, (rank, *range(rank), rank + 2, rank + 1))
    w = b.reshape(w, (w.shape[0], blocks, LANES, *w.shape[2:]))
    return b.permute_dims(w, (1, *range(3, w.ndim), 0, 2))
