"""The gradient of max pooling whose windows share entries with their neighbours."""

import math
from collections.abc import Callable, Sequence
from itertools import product

from graphc.dtypes import int32
from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor
from graphc.ir.windows import Windows
from graphc.ops.windows import along
from graphc.shapes import Size, ceil_div, dim_max, size_product

PARTS = 9  # remainders by the strides


def overlap_a_little(windows: Windows, few: int) -> bool:
    """Whether windows are known and small, and share entries with their neighbours."""
    area = size_product(windows.kernel)
    reaches = [size - 1 for size in windows.kernel if isinstance(size, int)]
    return (
        isinstance(area, int)
        and area <= few
        and math.prod(windows.stride) <= PARTS
        and any(
            r * d >= s for r, d, s in zip(reaches, windows.dilation, windows.stride, strict=True)
        )
    )


def from_neighbours(
    b: Builder, x: Tensor, place: Tensor, g: Tensor, axes: Sequence[int], windows: Windows
) -> Tensor:
    """The gradient by x. place: under which tap each window has its largest entry; g: of windows.

    Every entry looks at the windows that it lies in: those of one remainder by the stride lie
    in as many windows, under the same taps. x[stride*i + r] is at window i - m under the tap
    r + stride*m, here along one axis and without dilation.
    """
    sizes = tuple(x.shape[axis] for axis in axes)
    whole = tuple(
        ceil_div(size, stride)
        for size, stride in zip(windows.padded(sizes), windows.stride, strict=True)
    )
    around: list[tuple[Size, Size]] = [(0, 0)] * x.ndim
    taps: list[list[tuple[int, int, int]]] = []  # by axis: number, remainder, windows before
    for number, axis in enumerate(axes):
        count, stride, gap = (
            windows.kernel[number],
            windows.stride[number],
            windows.dilation[number],
        )
        assert isinstance(count, int)
        taps.append([(k, k * gap % stride, k * gap // stride) for k in range(count)])
        after = whole[number] - g.shape[axis]
        around[axis] = taps[-1][-1][2], after if isinstance(after, int) else dim_max(after, 0)
    place = b.astype(place, int32)
    place, g = b.pad(place, around, constant_values=-1), b.pad(g, around)
    shape = along(x.shape, axes, whole)

    def part(remainders: tuple[int, ...]) -> Tensor:
        total: Tensor | None = None
        seen = [
            [tap for tap in own if tap[1] == r] for own, r in zip(taps, remainders, strict=True)
        ]
        for chosen in product(*seen):
            number = 0
            for (k, _, _), size in zip(chosen, windows.kernel, strict=True):
                assert isinstance(size, int)
                number = number * size + k
            back = tuple(own[-1][2] - tap[2] for own, tap in zip(taps, chosen, strict=True))
            starts = along((0,) * x.ndim, axes, back)
            won = b.equal(b.slice_within(place, starts, shape), number)
            term = b.where(won, b.slice_within(g, starts, shape), 0)
            total = term if total is None else b.add(total, term)
        return b.zeros(shape, dtype=g.dtype) if total is None else total

    found = interleaved(b, part, axes, windows.stride)
    starts: list[Size] = [0] * x.ndim
    for axis, (before, _) in zip(axes, windows.pairs(sizes), strict=True):
        starts[axis] = before
    return b.slice_within(found, starts, x.shape)


def interleaved(
    b: Builder,
    part: Callable[[tuple[int, ...]], Tensor],
    axes: Sequence[int],
    strides: Sequence[int],
    remainders: tuple[int, ...] = (),
) -> Tensor:
    """What has part(r)[i] at stride*i + r, along all axes."""
    if len(remainders) == len(axes):
        return part(remainders)
    axis, stride = axes[len(remainders)], strides[len(remainders)]
    parts = [interleaved(b, part, axes, strides, (*remainders, r)) for r in range(stride)]
    if stride == 1:
        return parts[0]
    x = b.stack(parts, axis=axis + 1)
    return b.reshape(x, (*x.shape[:axis], x.shape[axis] * stride, *x.shape[axis + 2 :]))
