"""Convolutions and their gradients as window products, or as matrix products for kernels of size 1.

Letters of loop axes: n batch, g groups, c and o channels in and out of a group, z y x windows,
r p q taps of the filter, t blocks of output channels. Padding is written out, so that every read is
in range and no loop has a branch.
"""

from dataclasses import dataclass

from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor
from graphc.ir.windows import Pairs, Windows
from graphc.ops.window_product import WINDOW_PRODUCT
from graphc.shapes import Shape, Size, ceil_div, dim_max, floor_div, size_product

LANES = 16  # output channels that lie side by side in a packed filter
REPAID = 64  # multiplications of an output element from which new orders of axes pay


@dataclass(frozen=True, slots=True)
class Setting:
    """What a convolution and its two gradients share."""

    windows: Windows
    groups: int
    channels_last: bool

    @property
    def rank(self) -> int:
        return len(self.windows.kernel)

    @property
    def places(self) -> str:
        return "zyx"[-self.rank :]

    @property
    def taps(self) -> str:
        return "rpq"[-self.rank :]

    @property
    def group(self) -> str:
        return "g" if self.groups > 1 else ""

    @property
    def is_pointwise(self) -> bool:
        return self.groups == 1 and all(size == 1 for size in self.windows.kernel)

    def spatial(self, x: Tensor) -> Shape:
        return x.shape[1:-1] if self.channels_last else x.shape[2:]

    def channels(self, x: Tensor) -> Size:
        return x.shape[-1 if self.channels_last else 1]

    def kernel(self, w: Tensor) -> Shape:
        return w.shape[: self.rank] if self.channels_last else w.shape[2:]

    def shape(self, batch: Size, channels: Size, spatial: Shape) -> Shape:
        if self.channels_last:
            return (batch, *spatial, channels)
        return (batch, channels, *spatial)

    def indices(self, channel: str, spatial: list[str], last: bool) -> list[str]:
        """The indices of a batch of images whose channels are split into groups."""
        split = [*self.group, channel]
        return ["n", *spatial, *split] if last else ["n", *split, *spatial]

    def covered(self) -> list[str]:
        """What a window reads: `2y+p` for a stride of 2."""
        return [
            f"{_times(stride)}{place}+{_times(dilation)}{tap}"
            for place, tap, stride, dilation in zip(
                self.places, self.taps, self.windows.stride, self.windows.dilation, strict=True
            )
        ]


def _times(steps: int) -> str:
    return "" if steps == 1 else str(steps)


def _product(
    left: Tensor,
    left_indices: list[str],
    right: Tensor,
    right_indices: list[str],
    result: str,
    sizes: dict[str, Size],
    outer: str = "",
) -> Tensor:
    subscripts = f"{','.join(left_indices)};{','.join(right_indices)}->{','.join(result)}"
    return WINDOW_PRODUCT(
        left,
        right,
        subscripts=subscripts,
        axes="".join(sizes),
        sizes=tuple(sizes.values()),
        outer=outer,
    )


# --- layouts ---------------------------------------------------------------------------------


def padded(b: Builder, x: Tensor, pairs: Pairs, last: bool) -> Tensor:
    """Zeros around the spatial axes."""
    if all(pair == (0, 0) for pair in pairs):
        return x
    held = [tuple(_not_negative(width) for width in pair) for pair in pairs]
    around = ((0, 0), *held, (0, 0)) if last else ((0, 0), (0, 0), *held)
    return b.pad(x, around)


def _not_negative(width: Size) -> Size:
    """Symbolic widths depend on kernels, which have a tap at least."""
    return width if isinstance(width, int) else dim_max(width, 0)


def _grouped(b: Builder, x: Tensor, setting: Setting, last: bool) -> Tensor:
    """The channel axis as two: groups and channels of a group."""
    if setting.groups == 1:
        return x
    axis = x.ndim - 1 if last else 1
    inner = floor_div(x.shape[axis], setting.groups)
    return b.reshape(x, (*x.shape[:axis], setting.groups, inner, *x.shape[axis + 1 :]))


def _with_channels_last(b: Builder, x: Tensor) -> Tensor:
    return b.permute_dims(x, (0, *range(2, x.ndim), 1))


def _with_channels_first(b: Builder, x: Tensor) -> Tensor:
    return b.permute_dims(x, (0, x.ndim - 1, *range(1, x.ndim - 1)))


def _filter_taps_first(b: Builder, w: Tensor, setting: Setting) -> Tensor:
    """The filter as [taps..., in, out]."""
    if setting.channels_last:
        return w
    return b.permute_dims(w, (*range(2, w.ndim), 1, 0))


def _filter_in_layout(b: Builder, w: Tensor, setting: Setting) -> Tensor:
    """A filter [taps..., in, out] in the layout of the convolution."""
    if setting.channels_last:
        return w
    return b.permute_dims(w, (w.ndim - 1, w.ndim - 2, *range(w.ndim - 2)))


# --- forward ---------------------------------------------------------------------------------


def convolve(b: Builder, x: Tensor, w: Tensor, setting: Setting) -> Tensor:
    """out[n, o, y] = sum over c, p of x[n, c, stride*y + dilation*p] * w[o, c, p]"""
    windows, last = setting.windows, setting.channels_last
    count = windows.count(setting.spatial(x))
    x = padded(b, x, windows.pairs(setting.spatial(x)), last)
    if setting.is_pointwise:
        return _pointwise(b, _every(b, x, setting, count), w, setting)
    outputs = w.shape[-1] if last else w.shape[0]
    inner, per_group = w.shape[-2] if last else w.shape[1], floor_div(outputs, setting.groups)
    in_channels = last or _prefers_channels(setting, count, inner, per_group)
    sizes: dict[str, Size] = {"n": x.shape[0]}
    if setting.groups > 1:
        sizes["g"] = setting.groups
    places = dict(zip(setting.places, count, strict=True))
    taps = dict(zip(setting.taps, windows.kernel, strict=True))
    read = setting.indices("c", setting.covered(), last)
    x = _grouped(b, x, setting, last)
    shape = setting.shape(x.shape[0], outputs, count)
    if not in_channels:
        if setting.groups > 1:
            w = b.reshape(w, (setting.groups, per_group, *w.shape[1:]))
        sizes |= {"o": per_group, **places, "c": inner, **taps}
        result = f"n{setting.group}o{setting.places}"
        used = [*setting.group, "o", "c", *setting.taps]
        return b.reshape(_product(x, read, w, used, result, sizes), shape)
    w = _filter_taps_first(b, w, setting)
    sizes |= {**places, "o": per_group}
    sizes |= {**taps, "c": inner} if last else {"c": inner, **taps}
    used = [*setting.taps, "c", *setting.group, "o"]
    result = f"n{setting.places}{setting.group}o"
    blocks = _channel_blocks(outputs, setting)
    if setting.groups > 1:
        w = b.reshape(w, (*w.shape[:-1], setting.groups, per_group))
    elif blocks > 1:
        w = b.moveaxis(b.reshape(w, (*w.shape[:-1], blocks, LANES)), -2, 0)
        used, result = ["t", *used], f"n{setting.places}to"
        sizes = {"t": blocks, **sizes, "o": LANES}
    out = _product(x, read, w, used, result, sizes)
    out = b.reshape(out, (out.shape[0], *count, outputs))
    return out if last else _with_channels_first(b, out)


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


def _every(b: Builder, x: Tensor, setting: Setting, count: Shape) -> Tensor:
    """The entries that windows of size 1 stand at."""
    if all(stride == 1 for stride in setting.windows.stride):
        return x
    ones = setting.shape(1, 1, setting.windows.stride)
    shape = setting.shape(x.shape[0], setting.channels(x), count)
    return b.strided_slice(x, (0,) * x.ndim, shape, ones)


def _pointwise(b: Builder, x: Tensor, w: Tensor, setting: Setting) -> Tensor:
    """A matrix product at every place."""
    spatial = setting.spatial(x)
    if setting.channels_last:
        w = b.reshape(w, w.shape[-2:])
        rows = b.reshape(x, (size_product(x.shape[:-1]), x.shape[-1]))
        return b.reshape(b.matmul(rows, w), (*x.shape[:-1], w.shape[-1]))
    w = b.reshape(w, w.shape[:2])
    columns = b.reshape(x, (*x.shape[:2], size_product(spatial)))
    return b.reshape(b.matmul(w, columns), (x.shape[0], w.shape[0], *spatial))


def _pointwise_filter_gradient(b: Builder, x: Tensor, g: Tensor, setting: Setting) -> Tensor:
    ones = (1,) * setting.rank
    if setting.channels_last:
        rows = size_product(x.shape[:-1])
        x, g = b.reshape(x, (rows, x.shape[-1])), b.reshape(g, (rows, g.shape[-1]))
        product = b.matmul(x, g, transpose_a=True)
        return b.reshape(product, (*ones, *product.shape))
    area = size_product(x.shape[2:])
    x, g = b.reshape(x, (*x.shape[:2], area)), b.reshape(g, (*g.shape[:2], area))
    product = b.sum(b.matmul(g, x, transpose_b=True), axis=0, dtype=x.dtype)
    return b.reshape(product, (*product.shape, *ones))


# --- the gradient by the filter --------------------------------------------------------------


def filter_gradient(b: Builder, x: Tensor, g: Tensor, setting: Setting) -> Tensor:
    """w[o, c, p] = sum over n, y of x[n, c, stride*y + dilation*p] * g[n, o, y]

    All but the last spatial axis are summed outside: rows of x and g then stay in the cache.
    """
    windows, last, groups = setting.windows, setting.channels_last, setting.groups
    count = windows.count(setting.spatial(x))
    x = padded(b, x, windows.pairs(setting.spatial(x)), last)
    if setting.is_pointwise:
        return _pointwise_filter_gradient(b, _every(b, x, setting, count), g, setting)
    inner = floor_div(setting.channels(x), groups)
    outer = floor_div(setting.channels(g), groups)
    in_outputs = not (isinstance(outer, int) and outer < 8) or _least(outer, inner) != outer
    moved = not last and (not in_outputs or (groups > 1 and inner == 1))
    if moved:
        x = _with_channels_last(b, x)
    if not last:
        g = _with_channels_last(b, g)
    read = setting.indices("c", setting.covered(), last or moved)
    given = ["n", *setting.places, *setting.group, "o"]
    places = dict(zip(setting.places, count, strict=True))
    sizes: dict[str, Size] = {"n": x.shape[0], **places}
    width = sizes.pop(setting.places[-1])
    sizes |= dict(zip(setting.taps, windows.kernel, strict=True))
    ends = {"c": inner, "o": outer}
    if groups > 1:
        ends = {"g": groups, **ends} if inner != 1 or outer != 1 else {**ends, "g": groups}
    if not in_outputs:
        ends["c"] = ends.pop("c")
    sizes |= {**ends, setting.places[-1]: width}
    result = "".join([*setting.taps, *ends])
    x, g = _grouped(b, x, setting, last or moved), _grouped(b, g, setting, True)
    found = _product(x, read, g, given, result, sizes, "n" + setting.places[:-1])
    order = [*range(setting.rank), *(result.index(axis) for axis in f"c{setting.group}o")]
    w = b.permute_dims(found, order)
    w = b.reshape(w, (*windows.kernel, inner, outer * groups))
    return _filter_in_layout(b, w, setting)


def _least(a: Size, b: Size) -> Size:
    return min(a, b) if isinstance(a, int) and isinstance(b, int) else a


# --- the gradient by the input ---------------------------------------------------------------


def input_gradient(b: Builder, g: Tensor, w: Tensor, spatial: Shape, setting: Setting) -> Tensor:
    """x[n, c, i] = sum over o, p of g[n, o, y] * w[o, c, p] where i = stride*y + dilation*p

    Without stride that is a convolution of g with the filter turned round. With stride every
    remainder of i by the stride is a convolution of its own, with every stride-th tap.
    """
    windows = setting.windows
    if setting.is_pointwise:
        return _pointwise_input_gradient(b, g, w, spatial, setting)
    if all(stride == 1 for stride in windows.stride):
        return _turned(b, g, w, spatial, setting)
    if any(s > 1 and d > 1 for s, d in zip(windows.stride, windows.dilation, strict=True)):
        return _stuffed(b, g, w, spatial, setting)
    return _by_remainders(b, g, w, spatial, setting)


def _swapped(b: Builder, w: Tensor, setting: Setting) -> Tensor:
    """The filter [taps..., out, in], for a convolution from output to input channels."""
    w = _filter_taps_first(b, w, setting)
    if setting.groups == 1:
        return b.swapaxes(w, -1, -2)
    groups, taps = setting.groups, w.shape[:-2]
    inner, outer = w.shape[-2], floor_div(w.shape[-1], groups)
    w = b.reshape(w, (*taps, inner, groups, outer))
    rank = setting.rank
    w = b.permute_dims(w, (*range(rank), rank + 2, rank + 1, rank))
    return b.reshape(w, (*taps, outer, groups * inner))


def _pointwise_input_gradient(
    b: Builder, g: Tensor, w: Tensor, spatial: Shape, setting: Setting
) -> Tensor:
    swapped = _filter_in_layout(b, _swapped(b, w, setting), setting)
    x = _pointwise(b, g, swapped, setting)
    pairs = setting.windows.pairs(spatial)
    batch, channels = x.shape[0], setting.channels(x)
    whole = setting.shape(batch, channels, setting.windows.padded(spatial))
    strides = setting.shape(1, 1, setting.windows.stride)
    if x.shape != whole:
        x = b.slice_gradient(x, whole, (0,) * x.ndim, strides)
    return _cropped(b, x, [before for before, _ in pairs], spatial, setting)


def _cropped(b: Builder, x: Tensor, starts: list[Size], spatial: Shape, setting: Setting) -> Tensor:
    shape = setting.shape(x.shape[0], setting.channels(x), spatial)
    return b.strided_slice(x, setting.shape(0, 0, tuple(starts)), shape)


def _turned(b: Builder, g: Tensor, w: Tensor, spatial: Shape, setting: Setting) -> Tensor:
    windows, axes = setting.windows, range(setting.rank)
    turned = b.flip(_swapped(b, w, setting), tuple(axes))
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
    plain = Setting(
        Windows(windows.kernel, windows.stride, windows.dilation, tuple(pairs)),
        setting.groups,
        setting.channels_last,
    )
    x = convolve(b, g, _filter_in_layout(b, turned, setting), plain)
    return _cropped(b, x, starts, spatial, setting)


def _is_unsure(width: Size) -> bool:
    return not isinstance(width, int)


def _stuffed(b: Builder, g: Tensor, w: Tensor, spatial: Shape, setting: Setting) -> Tensor:
    """With zeros between the entries of g the stride is 1."""
    windows, kept = setting.windows, windows_shape(setting, spatial)
    shape = setting.shape(g.shape[0], setting.channels(g), kept)
    spread = b.slice_gradient(g, shape, (0,) * g.ndim, setting.shape(1, 1, windows.stride))
    one = Windows(windows.kernel, (1,) * setting.rank, windows.dilation, windows.pairs(spatial))
    return _turned(b, spread, w, spatial, Setting(one, setting.groups, setting.channels_last))


def windows_shape(setting: Setting, spatial: Shape) -> Shape:
    """How many windows a stride of 1 would have."""
    windows = setting.windows
    return tuple(
        dim_max(size - windows.span(axis) + 1, 0)
        for axis, size in enumerate(windows.padded(spatial))
    )


def _by_remainders(b: Builder, g: Tensor, w: Tensor, spatial: Shape, setting: Setting) -> Tensor:
    """i = stride*y + u: x[n, y, u, c] = sum over o, p of g[n, y - p, o] * w[stride*p + u, c, o]

    Taps are filled up to a multiple of the stride with zeros and turned round; g gets as many
    zeros in front as there are turned taps but one.
    """
    windows, last = setting.windows, setting.channels_last
    w = _swapped(b, w, setting)
    sizes: dict[str, Size] = {"n": g.shape[0]}
    if setting.groups > 1:
        sizes["g"] = setting.groups
    remainders = "uvw"[-setting.rank :]
    quotients: list[Size] = []
    pairs: list[tuple[Size, Size]] = []
    taps: list[Size] = []
    shape: list[Size] = []
    counts = setting.spatial(g)
    for axis, size in enumerate(windows.padded(spatial)):
        stride, kernel = windows.stride[axis], windows.kernel[axis]
        turns, quotient = ceil_div(kernel, stride), ceil_div(size, stride)
        reach = (turns - 1) * windows.dilation[axis]
        filled: list[tuple[Size, Size]] = [(0, 0)] * w.ndim
        filled[axis] = (0, _not_negative(turns * stride - kernel))
        w = w if filled[axis] == (0, 0) else b.pad(w, filled)
        taps.append(turns)
        shape += [turns, stride]
        quotients.append(quotient)
        pairs.append((reach, dim_max(quotient - counts[axis], 0)))
    w = b.reshape(w, (*shape, *w.shape[-2:]))
    w = b.flip(w, tuple(range(0, 2 * setting.rank, 2)))
    outer, inner = w.shape[-2], floor_div(w.shape[-1], setting.groups)
    if setting.groups > 1:
        w = b.reshape(w, (*w.shape[:-1], setting.groups, inner))
    used = [letter for pair in zip(setting.taps, remainders, strict=True) for letter in pair]
    used += ["o", *setting.group, "c"]
    g = _grouped(b, padded(b, g, tuple(pairs), last), setting, last)
    covered = [
        f"{place}+{_times(dilation)}{tap}"
        for place, tap, dilation in zip(setting.places, setting.taps, windows.dilation, strict=True)
    ]
    read = setting.indices("o", covered, last)
    sizes |= dict(zip(remainders, windows.stride, strict=True))
    sizes |= dict(zip(setting.places, quotients, strict=True))
    sizes |= {"c": inner, "o": outer, **dict(zip(setting.taps, taps, strict=True))}
    spots = "".join(map("".join, zip(setting.places, remainders, strict=True)))
    x = _product(g, read, w, used, f"n{spots}{setting.group}c", sizes)
    whole = [q * stride for q, stride in zip(quotients, windows.stride, strict=True)]
    x = b.reshape(x, (x.shape[0], *whole, inner * setting.groups))
    x = x if last else _with_channels_first(b, x)
    return _cropped(b, x, [before for before, _ in windows.pairs(spatial)], spatial, setting)
