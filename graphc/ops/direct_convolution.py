"""Convolutions as window products, or as matrix products for kernels of size 1."""

from collections.abc import Sequence

from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor
from graphc.ops.convolution_setting import (
    Setting,
    filter_taps_first,
    grouped,
    padded,
    padded_along,
    per_group,
    product_of,
    with_channels_first,
    with_channels_last,
)
from graphc.ops.filtered_convolution import filtered, is_filtered
from graphc.shapes import Shape, Size, size_product

LANES = 16  # output channels that lie side by side in a packed filter
REORDERED = 40.0  # multiplications that a new order of axes costs for each element of the result
FILLED_UP = 1.17  # channels out that are computed, for each that is wanted
SPARED = 0.1  # share of products with padding from which these are left out at any cost
KEPT = 1 << 18  # elements of a filter that stays in the second cache
PLACES = 512  # windows of an image from which that is done
SHARED = 200  # multiplications of an input element from which its rows are copied side by side


def convolve(b: Builder, x: Tensor, w: Tensor, setting: Setting) -> Tensor:
    """out[n, o, y] = sum over c, p of x[n, c, stride*y + dilation*p] * w[o, c, p]"""
    windows, last = setting.windows, setting.channels_last
    count = windows.count(setting.spatial(x))
    if setting.is_pointwise:
        x = padded(b, x, windows.pairs(setting.spatial(x)), last)
        return pointwise(b, every(b, x, setting, count), w, setting)
    outputs, inner = (w.shape[-1], w.shape[-2]) if last else w.shape[:2]
    outer = per_group(outputs, setting.groups)
    if is_filtered(x, outputs, setting, count):
        return filtered(b, x, w, setting, count)
    over_channels = last or _prefers_channels(setting, count, inner, outer)
    # One or two channels out that blocks of six leave over want blocks of rows.
    rest = 0 if over_channels or not isinstance(outer, int) else outer % 6
    clipped = _clipped(setting, setting.spatial(x), count, SPARED if rest in (1, 2) else 0.0)
    x, read = arranged(b, x, order_of(setting, over_channels, inner, outer), setting, clipped)
    sizes: dict[str, Size] = {"n": x.shape[0]}
    if setting.groups != 1:
        sizes["g"] = setting.groups
    places = dict(zip(setting.places, count, strict=True))
    if over_channels:
        return _over_channels(b, x, read, w, sizes, places, (outputs, outer, inner), setting)
    # Lanes are neighbours in a row.
    if setting.groups != 1:
        w = b.reshape(w, (setting.groups, outer, *w.shape[1:]))
    width = places.popitem()
    sizes |= {**places, "o": outer, width[0]: width[1]}
    taps = list(zip(setting.taps, windows.kernel, strict=True))
    sizes |= dict([taps[axis] for axis in clipped])
    sizes["c"] = inner
    # Blocks along y share the rows that neighbouring taps p read: p is the innermost loop.
    sizes |= dict([tap for tap in [taps[-1], *taps[:-1]] if tap[0] not in sizes])
    used = [*setting.group, "o", "c", *setting.taps]
    result = f"n{setting.group}o{setting.places}"
    out = product_of(x, read, w, used, result, sizes, pairs=setting.pairs)
    return b.reshape(out, (x.shape[0], outputs, *count))


def _over_channels(
    b: Builder,
    x: Tensor,
    read: list[str],
    w: Tensor,
    sizes: dict[str, Size],
    places: dict[str, Size],
    channels: tuple[Size, Size, Size],
    setting: Setting,
) -> Tensor:
    """Lanes are output channels, which filter and result have last. channels: out, out of one
    group, in of one group."""
    outputs, outer, inner = channels
    taps = dict(zip(setting.taps, setting.windows.kernel, strict=True))
    result = f"n{setting.places}{setting.group}o"
    blocks = filled_blocks(outputs, setting, tuple(places.values()))
    if blocks > 1:
        w = _filled_up(b, w, blocks, setting)
        used, result = ["t", *setting.taps, "c", "o"], f"n{setting.places}to"
        w = _packed(b, w, blocks, setting)
        outer = LANES
        kept = size_product((*setting.windows.kernel, inner, blocks * LANES))
        if isinstance(kept, int) and kept <= KEPT:
            # The whole filter stays in the cache: images are read once, row by row.
            sizes |= {axis: places[axis] for axis in setting.places[:-1]} | {"t": blocks}
        else:
            sizes = {"t": blocks, **sizes}
    else:
        used = [*setting.taps, "c", *setting.group, "o"]
        w = filter_taps_first(b, w, setting)
        if setting.groups != 1:
            w = b.reshape(w, (*w.shape[:-1], setting.groups, outer))
    sizes = {**sizes, **places, "o": outer, **taps, "c": inner}
    out = product_of(x, read, w, used, result, sizes, pairs=setting.pairs)
    if blocks > 1 and outputs != blocks * LANES:
        out = b.reshape(out, (out.shape[0], *places.values(), blocks * LANES))
        out = b.slice_within(out, (0,) * out.ndim, (*out.shape[:-1], outputs))
    else:
        out = b.reshape(out, (out.shape[0], *places.values(), outputs))
    return out if setting.channels_last else with_channels_first(b, out)


def _filled_up(b: Builder, w: Tensor, blocks: int, setting: Setting) -> Tensor:
    """The filter with channels out of zeros up to whole blocks."""
    axis = w.ndim - 1 if setting.channels_last else 0
    outputs = w.shape[axis]
    assert isinstance(outputs, int)
    if outputs == blocks * LANES:
        return w
    around = [(0, 0)] * w.ndim
    around[axis] = 0, blocks * LANES - outputs
    return b.pad(w, around)


def _packed(b: Builder, w: Tensor, blocks: int, setting: Setting) -> Tensor:
    """The filter as [blocks, taps..., in, LANES]"""
    if setting.channels_last:
        return b.moveaxis(b.reshape(w, (*w.shape[:-1], blocks, LANES)), -2, 0)
    w = b.reshape(w, (blocks, LANES, *w.shape[1:]))
    return b.permute_dims(w, (0, *range(3, w.ndim), 2, 1))


# --- the input in an order of axes that suits the loops --------------------------------------


def order_of(setting: Setting, over_channels: bool, inner: Size, outer: Size) -> str:
    """How the input of a convolution is laid out: "channels" last, "rows" of all channels side by
    side, or "plain"."""
    if over_channels:
        return "channels" if setting.channels_last or inner != 1 else "plain"
    work = size_product((outer, *setting.windows.kernel))
    return "rows" if inner != 1 and isinstance(work, int) and work >= SHARED else "plain"


def arranged(
    b: Builder, x: Tensor, order: str, setting: Setting, clipped: Sequence[int] = ()
) -> tuple[Tensor, list[str]]:
    """The padded input in such an order, and the indices at which it is read. clipped: the axes
    along which products with padding are left out, and the padding with them."""
    rank, covered, group = setting.rank, setting.covered(), list(setting.group)
    pairs = list(setting.windows.pairs(setting.spatial(x)))
    for axis in clipped:
        covered[axis] += f"-{pairs[axis][0]}"
        pairs[axis] = 0, 0
    if order == "channels":
        x = x if setting.channels_last else with_channels_last(b, x)
        x = padded(b, x, tuple(pairs), last=True)
        return grouped(b, x, setting, last=True), ["n", *covered, *group, "c"]
    if order == "plain":
        x = grouped(b, padded(b, x, tuple(pairs), last=False), setting, last=False)
        return x, ["n", *group, "c", *covered]
    x = b.moveaxis(x, 1, -2)
    x = padded_along(b, x, [*range(1, rank), rank + 1], tuple(pairs))
    if setting.groups != 1:
        inner = per_group(x.shape[-2], setting.groups)
        x = b.reshape(x, (*x.shape[:-2], setting.groups, inner, x.shape[-1]))
    return x, ["n", *covered[:-1], *group, "c", covered[-1]]


def _clipped(setting: Setting, spatial: Shape, count: Shape, least: float) -> list[int]:
    """The axes along which products with padding are left out, if known: those before the last one
    with several windows, which may run in the lanes. least: the share of the products along an axis
    that this must spare."""
    windows, found = setting.windows, []
    last = max((axis for axis, places in enumerate(count) if places != 1), default=len(count) - 1)
    for axis, pair in enumerate(windows.pairs(spatial)[:last]):
        kernel = windows.kernel[axis]
        if pair == (0, 0) or windows.dilation[axis] != 1:
            continue
        if not isinstance(kernel, int):
            continue
        widths = [width for width in pair if isinstance(width, int) and 0 <= width < kernel]
        places, spared = count[axis], sum(width * (width + 1) for width in widths) / 2
        enough = isinstance(places, int) and spared >= least * kernel * places
        if len(widths) == 2 and (least == 0 or enough):
            found.append(axis)
    return found


def _prefers_channels(setting: Setting, count: Shape, inner: Size, outer: Size) -> bool:
    """Whether lanes are better filled by output channels than by the windows of a row.

    That changes the order of axes of x and of the result, which few multiplications do not repay.
    """
    width, work = count[-1], size_product((inner, *setting.windows.kernel))
    if not isinstance(outer, int) or outer < LANES // 4:
        return False
    if setting.windows.stride[-1] > 1:
        return True
    if not isinstance(width, int) or not isinstance(work, int) or not width * work:
        return False
    by_rows = 6 * _filled(width) / outer * -(-outer // 6)
    blocks = filled_blocks(outer, setting, count)
    filled = 6 * blocks / outer if blocks > 1 else _filled(outer)
    by_channels = 6 * filled / width * -(-width // 6)
    return by_channels * (1 + REORDERED / work) < by_rows


def _filled(size: int) -> float:
    """Cycles for a step of six results in lanes of 8-wide vectors, for each of them; the less the
    better they are filled. Two vectors at once take 6 cycles, one takes 4 and under a mask 5."""
    whole, rest = divmod(size, 16)
    return (6 * whole + (4 if rest >= 8 else 0) + (5 if rest % 8 else 0)) / max(size, 1)


def channel_blocks(outputs: Size, setting: Setting) -> int:
    whole = isinstance(outputs, int) and outputs % LANES == 0 and setting.groups == 1
    return outputs // LANES if whole and isinstance(outputs, int) else 0


def filled_blocks(outputs: Size, setting: Setting, count: Shape) -> int:
    """The same where the last block may be filled up with channels that are not wanted.

    Of filter and result these channels are copied around, which few places do not repay.
    """
    whole = channel_blocks(outputs, setting)
    places = size_product(count)
    if whole or not isinstance(outputs, int) or setting.groups != 1:
        return whole
    blocks = -(-outputs // LANES)
    enough = isinstance(places, int) and places >= PLACES
    return blocks if enough and blocks * LANES <= FILLED_UP * outputs else 0


# --- kernels of size 1 -----------------------------------------------------------------------


def every(b: Builder, x: Tensor, setting: Setting, count: Shape) -> Tensor:
    """The entries that windows of size 1 stand at."""
    if all(stride == 1 for stride in setting.windows.stride):
        return x
    ones = setting.shape(1, 1, setting.windows.stride)
    shape = setting.shape(x.shape[0], setting.channels(x), count)
    return b.slice_within(x, (0,) * x.ndim, shape, ones)


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
