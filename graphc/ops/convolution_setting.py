"""What convolutions and their gradients share when they become window products: sizes and layouts.

Letters of loop axes: n batch, g groups, c and o channels in and out of a group, z y x windows,
r p q taps of the filter, t blocks of output channels. Padding along rows is written out, along the
other axes taps that would read it are left out: every read is in range and no loop has a branch.
"""

from collections.abc import Sequence

from graphc.dims import divide
from graphc.ir.node import Attributes, TensorType
from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor
from graphc.ir.windows import Pairs, Windows
from graphc.ops.window_product import WINDOW_PRODUCT
from graphc.records import dataclass
from graphc.shapes import Shape, Size, dim_max, floor_div


def image_sizes(array: TensorType, last: bool) -> tuple[Size, Size, Shape]:
    """Batch, channels and spatial sizes."""
    if last:
        return array.shape[0], array.shape[-1], array.shape[1:-1]
    return array.shape[0], array.shape[1], array.shape[2:]


def image_shape(batch: Size, channels: Size, spatial: Shape, last: bool) -> Shape:
    return (batch, *spatial, channels) if last else (batch, channels, *spatial)


def filter_sizes(w: TensorType, last: bool) -> tuple[Size, Size, Shape]:
    """Channels out, channels in of one group, and the kernel."""
    if last:
        return w.shape[-1], w.shape[-2], w.shape[:-2]
    return w.shape[0], w.shape[1], w.shape[2:]


def windows_of(attrs: Attributes, kernel: Shape) -> Windows:
    return Windows(kernel, attrs["stride"], attrs["dilation"], attrs["padding"])


def per_group(channels: Size, groups: Size) -> Size:
    """Channels of one group. Without any group there are no channels either."""
    if isinstance(groups, int):
        return floor_div(channels, groups) if groups else 0
    quotient, rest = divide(channels, groups)
    return quotient if rest == 0 else floor_div(channels, dim_max(groups, 1))


@dataclass(frozen=True, slots=True)
class Setting:
    """What a convolution and its two gradients share.

    pairs: whether the operands hold pairs of bfloat16 along the axis that is summed, as uint32.
    """

    windows: Windows
    groups: Size
    channels_last: bool
    pairs: bool = False

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
        return "g" if self.groups != 1 else ""

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

    def covered(self) -> list[str]:
        """What a window reads: `2y+p` for a stride of 2."""
        return [
            f"{times(stride)}{place}+{times(dilation)}{tap}"
            for place, tap, stride, dilation in zip(
                self.places, self.taps, self.windows.stride, self.windows.dilation, strict=True
            )
        ]


def times(steps: int) -> str:
    return "" if steps == 1 else str(steps)


def product_of(
    left: Tensor,
    left_indices: list[str],
    right: Tensor,
    right_indices: list[str],
    result: str,
    sizes: dict[str, Size],
    outer: str = "",
    *,
    pairs: bool,
) -> Tensor:
    subscripts = f"{','.join(left_indices)};{','.join(right_indices)}->{','.join(result)}"
    return WINDOW_PRODUCT(
        left,
        right,
        subscripts=subscripts,
        axes="".join(sizes),
        sizes=tuple(sizes.values()),
        outer=outer,
        pairs=pairs,
    )


# --- layouts ---------------------------------------------------------------------------------


def padded(b: Builder, x: Tensor, pairs: Pairs, last: bool) -> Tensor:
    """Zeros around the spatial axes."""
    first = 1 if last else 2
    return padded_along(b, x, range(first, first + len(pairs)), pairs)


def padded_along(b: Builder, x: Tensor, axes: Sequence[int], pairs: Pairs) -> Tensor:
    """Zeros around some axes. Along the last axis of x they are put side by side with what is
    between them, which then is copied without a test of every entry."""
    around: list[tuple[Size, Size]] = [(0, 0)] * x.ndim
    for axis, pair in zip(axes, pairs, strict=True):
        around[axis] = not_negative(pair[0]), not_negative(pair[1])
    beside = around[-1]
    if isinstance(beside[0], int) and isinstance(beside[1], int):
        around[-1] = (0, 0)
    if any(pair != (0, 0) for pair in around):
        x = b.pad(x, around)
    if around[-1] == beside:
        return x
    zeros = [b.zeros((*x.shape[:-1], width), dtype=x.dtype) for width in beside]
    parts = [(zeros[0], beside[0]), (x, 1), (zeros[1], beside[1])]
    return b.concat([part for part, width in parts if width != 0], axis=x.ndim - 1)


def not_negative(width: Size) -> Size:
    """Symbolic widths depend on kernels, which have a tap at least."""
    return width if isinstance(width, int) else dim_max(width, 0)


def grouped(b: Builder, x: Tensor, setting: Setting, last: bool) -> Tensor:
    """The channel axis as two: groups and channels of a group."""
    if setting.groups == 1:
        return x
    axis = x.ndim - 1 if last else 1
    inner = per_group(x.shape[axis], setting.groups)
    return b.reshape(x, (*x.shape[:axis], setting.groups, inner, *x.shape[axis + 1 :]))


def with_channels_last(b: Builder, x: Tensor) -> Tensor:
    return b.permute_dims(x, (0, *range(2, x.ndim), 1))


def with_channels_first(b: Builder, x: Tensor) -> Tensor:
    return b.permute_dims(x, (0, x.ndim - 1, *range(1, x.ndim - 1)))


def filter_taps_first(b: Builder, w: Tensor, setting: Setting) -> Tensor:
    """The filter as [taps..., in, out]."""
    if setting.channels_last:
        return w
    return b.permute_dims(w, (*range(2, w.ndim), 1, 0))


def filter_in_layout(b: Builder, w: Tensor, setting: Setting) -> Tensor:
    """A filter [taps..., in, out] in the layout of the convolution."""
    if setting.channels_last:
        return w
    return b.permute_dims(w, (w.ndim - 1, w.ndim - 2, *range(w.ndim - 2)))
