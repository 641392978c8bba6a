"""Convolutions with 3x3 windows, and their filter gradients, by minimal filtering.

Of large layers the 16 products of a tile cost far more than its transforms. Sums are as exact as
those of a direct convolution; an infinity or a nan reaches all windows of the tiles that read it.
"""

from graphc.dtypes import is_floating
from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor
from graphc.ops.convolution_setting import (
    Setting,
    filter_sizes,
    with_channels_first,
    with_channels_last,
)
from graphc.ops.minimal_filtering import FILTER_TRANSFORM, MINIMAL_FILTERING
from graphc.shapes import Shape, Size, size_product

CHANNELS = 16  # in and out, at least: fewer do not repay the transforms of the tiles
LONG = 256  # channels in, beyond which narrow panels are read faster
NEAR = 1 << 16  # channels in times channels out: transforms of more leave the second cache
TILES = 16  # of all images: fewer do not repay the transform of the filter
MORE_TILES = 48  # where that is large, and read or written in a farther cache
EXAMPLES = 4  # that an unknown number of them is taken for where a filter is learned


def is_filtered(
    x: Tensor, outer: Size, setting: Setting, count: Shape, learned: bool = False
) -> bool:
    """Whether the convolution of x is better done like that. learned: the gradient by its filter
    instead."""
    windows = setting.windows
    if setting.rank != 2 or setting.groups != 1 or windows.kernel != (3, 3):
        return False
    if any(steps != 1 for steps in (*windows.stride, *windows.dilation)):
        return False
    if not is_floating(x.dtype) or x.dtype.itemsize < 4:
        return False
    channels = setting.channels(x), outer
    if not all(isinstance(size, int) and size >= CHANNELS for size in channels):
        return False
    spatial = setting.spatial(x)
    widths = [width for pair in windows.pairs(spatial) for width in pair]
    height, width = count
    if not isinstance(height, int) or not isinstance(width, int):
        return False
    if not all(isinstance(one, int) and one >= 0 for one in widths):
        return False
    if not all(isinstance(size, int) and size > 0 for size in spatial):
        return False  # beside what is there, tiles read an element that is
    unknown = not isinstance(x.shape[0], int)
    batch = (EXAMPLES if learned else 1) if unknown else x.shape[0]
    is_near = size_product(channels) <= NEAR or not (unknown or learned)
    least = TILES if is_near else MORE_TILES
    return min(height, width) > 2 and batch * _half(height) * _half(width) >= least


def filtered(
    b: Builder, x: Tensor, w: Tensor, setting: Setting, count: Shape, turned: bool = False
) -> Tensor:
    """The convolution, as `direct_convolution.convolve` makes it. turned: with the filter of the
    convolution that this one is the gradient of, by its input."""
    last, before = setting.channels_last, _before(x, setting)
    outer, inner, _ = filter_sizes(w.type, last)
    inner, outer = (outer, inner) if turned else (inner, outer)
    panel = panel_of(inner, outer)
    points = FILTER_TRANSFORM(w, panel=panel, channels_last=last, turned=turned, back=False)
    out = MINIMAL_FILTERING(
        x if last else with_channels_last(b, x),
        points,
        count=count,
        before=before,
        channels=(inner, outer),
        panel=panel,
        gradient=False,
    )
    return out if last else with_channels_first(b, out)


def panel_of(inner: Size, outer: Size) -> int:
    """How many channels out lie side by side, in panels of all channels in that stay in a near
    cache; all of them where they make no equal panels."""
    assert isinstance(inner, int)
    assert isinstance(outer, int)
    widths = (32, 48, 64) if inner > LONG else (64, 48, 32)
    return next((width for width in widths if outer % width == 0), outer)


def filtered_gradient(b: Builder, x: Tensor, g: Tensor, setting: Setting, count: Shape) -> Tensor:
    """The gradient by the filter, as `direct_gradients.filter_gradient` makes it."""
    before, last = _before(x, setting), setting.channels_last
    channels = setting.channels(x), setting.channels(g)
    if not last:
        x, g = with_channels_last(b, x), with_channels_last(b, g)
    points = MINIMAL_FILTERING(
        x, g, count=count, before=before, channels=channels, panel=0, gradient=True
    )
    return FILTER_TRANSFORM(points, panel=0, channels_last=last, turned=False, back=True)


def _half(size: Size) -> int:
    """How many tiles so many windows are."""
    assert isinstance(size, int)
    return -(-size // 2)


def _before(x: Tensor, setting: Setting) -> Shape:
    return tuple(width for width, _ in setting.windows.pairs(setting.spatial(x)))
