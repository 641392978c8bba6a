"""Convolutions as window products, or as matrix products for kernels of size 1."""

from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor
from graphc.ops.convolution_setting import (
    Setting,
    filter_taps_first,
    grouped,
    padded,
    per_group,
    product_of,
    with_channels_first,
)
from graphc.shapes import Shape, Size, size_product

LANES = 16  # output channels that lie side by side in a packed filter
REPAID = 64  # multiplications of an output element from which new orders of axes pay


def convolve(b: Builder, x: Tensor, w: Tensor, setting: Setting) -> Tensor:
    """out[n, o, y] = sum over c, p of x[n, c, stride*y + dilation*p] * w[o, c, p]"""
    windows, last = setting.windows, setting.channels_last
    count = windows.count(setting.spatial(x))
    x = padded(b, x, windows.pairs(setting.spatial(x)), last)
    if setting.is_pointwise:
        return pointwise(b, every(b, x, setting, count), w, setting)
    outputs = w.shape[-1] if last else w.shape[0]
    inner = w.shape[-2] if last else w.shape[1]
    outer = per_group(outputs, setting.groups)
    in_channels = last or _prefers_channels(setting, count, inner, outer)
    sizes: dict[str, Size] = {"n": x.shape[0]}
    if setting.groups != 1:
        sizes["g"] = setting.groups
    places = dict(zip(setting.places, count, strict=True))
    taps = dict(zip(setting.taps, windows.kernel, strict=True))
    read = setting.indices("c", setting.covered(), last)
    x = grouped(b, x, setting, last)
    shape = setting.shape(x.shape[0], outputs, count)
    if not in_channels:
        if setting.groups != 1:
            w = b.reshape(w, (setting.groups, outer, *w.shape[1:]))
        sizes |= {"o": outer, **places, "c": inner, **taps}
        result = f"n{setting.group}o{setting.places}"
        used = [*setting.group, "o", "c", *setting.taps]
        return b.reshape(product_of(x, read, w, used, result, sizes), shape)
    w = filter_taps_first(b, w, setting)
    sizes |= {**places, "o": outer}
    sizes |= {**taps, "c": inner} if last else {"c": inner, **taps}
    used = [*setting.taps, "c", *setting.group, "o"]
    result = f"n{setting.places}{setting.group}o"
    blocks = _channel_blocks(outputs, setting)
    if setting.groups != 1:
        w = b.reshape(w, (*w.shape[:-1], setting.groups, outer))
    elif blocks > 1:
        w = b.moveaxis(b.reshape(w, (*w.shape[:-1], blocks, LANES)), -2, 0)
        used, result = ["t", *used], f"n{setting.places}to"
        sizes = {"t": blocks, **sizes, "o": LANES}
    out = product_of(x, read, w, used, result, sizes)
    out = b.reshape(out, (out.shape[0], *count, outputs))
    return out if last else with_channels_first(b, out)


def _prefers_channels(setting: Setting, count: Shape, inner: Size, outer: Size) -> bool:
    """Whether lanes are better filled by output channels than by the windows of a row.

    That changes the order of axes of the result, which few multiplications do not repay.
    """
    width, work = count[-1], size_product((inner, *setting.windows.kernel))
    if not isinstance(outer, int) or outer < LANES // 4:
        return False
    if setting.windows.stride[-1] > 1:
        return True
    if not isinstance(width, int) or not isinstance(work, int):
        return False
    if outer % LANES == 0 and work >= REPAID:
        return True
    return _filled(outer) * 0.9 > _filled(width)


def _filled(size: int) -> float:
    """The part of the lanes of 8-wide vectors that a loop of this size uses."""
    return size / (-(-size // 8) * 8) if size else 1.0


def _channel_blocks(outputs: Size, setting: Setting) -> int:
    whole = isinstance(outputs, int) and outputs % LANES == 0 and setting.groups == 1
    return outputs // LANES if whole and isinstance(outputs, int) else 0


# --- kernels of size 1 -----------------------------------------------------------------------


def every(b: Builder, x: Tensor, setting: Setting, count: Shape) -> Tensor:
    """The entries that windows of size 1 stand at."""
    if all(stride == 1 for stride in setting.windows.stride):
        return x
    ones = setting.shape(1, 1, setting.windows.stride)
    shape = setting.shape(x.shape[0], setting.channels(x), count)
    return b.strided_slice(x, (0,) * x.ndim, shape, ones)


def pointwise(b: Builder, x: Tensor, w: Tensor, setting: Setting) -> Tensor:
    """A matrix product at every place."""
    spatial = setting.spatial(x)
    if setting.channels_last:
        w = b.reshape(w, w.shape[-2:])
        rows = b.reshape(x, (size_product(x.shape[:-1]), x.shape[-1]))
        return b.reshape(b.matmul(rows, w), (*x.shape[:-1], w.shape[-1]))
    w = b.reshape(w, w.shape[:2])
    columns = b.reshape(x, (*x.shape[:2], size_product(spatial)))
    return b.reshape(b.matmul(w, columns), (x.shape[0], w.shape[0], *spatial))
