"""Pools over whole spatial axes, and over axes that are cut into a given number of parts."""

from typing import Any

from graphc.dtypes import lowest
from graphc.ir.registry import BUILDER, public
from graphc.ir.tensor import Tensor
from graphc.ir.windows import window_sizes
from graphc.ops.definition import floating, widened
from graphc.ops.pooling_setting import Sizes, checked_input
from graphc.shapes import Size

__all__ = [
    "adaptive_average_pool",
    "adaptive_max_pool",
    "global_average_pool",
    "global_max_pool",
]


@public
def global_max_pool(x: Any, *, keepdims: bool = False, layout: str | None = None) -> Tensor:
    """The largest entry over all spatial axes: [batch, channels]; keepdims: they stay, of size 1.

    x: as for `max_pool`. NaN where one is NaN; the gradient goes to the first of the largest.
    """
    tensor, axes = checked_input("global_max_pool", x, layout)
    return BUILDER.max(tensor, axis=axes, keepdims=keepdims)


@public
def global_average_pool(x: Any, *, keepdims: bool = False, layout: str | None = None) -> Tensor:
    """The mean over all spatial axes: [batch, channels]; keepdims: they stay, of size 1.

    x: as for `average_pool`.
    """
    tensor, axes = checked_input("global_average_pool", x, layout)
    return BUILDER.mean(tensor, axis=axes, keepdims=keepdims)


@public
def adaptive_max_pool(x: Any, size: Sizes, *, layout: str | None = None) -> Tensor:
    """The largest entries of windows that cut each spatial axis, of size n, into `size` parts.

    Window i holds the entries floor(i*n/size) to ceil((i + 1)*n/size) - 1, as in PyTorch: windows
    overlap where size does not divide n. x: as for `max_pool`. size: a number, or one for each
    spatial axis.
    """
    return _adaptive("adaptive_max_pool", x, size, layout, largest=True)


@public
def adaptive_average_pool(x: Any, size: Sizes, *, layout: str | None = None) -> Tensor:
    """The means of windows that cut each spatial axis into `size` parts: see `adaptive_max_pool`.

    Integers become float32.
    """
    return _adaptive("adaptive_average_pool", x, size, layout, largest=False)


def _adaptive(name: str, x: Any, size: Sizes, layout: str | None, largest: bool) -> Tensor:
    tensor, axes = checked_input(name, x, layout)
    tensor = tensor if largest else floating(tensor)
    wanted = window_sizes(name, "size", size, len(axes))
    pairs = list(zip(axes, wanted, strict=True))
    # From the last axis on: of equal entries the first in row-major order wins.
    found = tensor if largest else widened(tensor)
    for axis, count in reversed(pairs):
        found = _in_parts(found, axis, count, largest)
    return found.astype(tensor.dtype)


def _in_parts(x: Tensor, axis: int, count: Size, largest: bool) -> Tensor:
    """An axis cut into parts, each of which becomes one entry."""
    size = x.shape[axis]
    if isinstance(size, int) and isinstance(count, int) and size % count == 0 and size:
        shape = (*x.shape[:axis], count, size // count, *x.shape[axis + 1 :])
        parts = BUILDER.reshape(x, shape)
        return (BUILDER.max if largest else BUILDER.mean)(parts, axis=axis + 1)
    part = BUILDER.arange(count)
    start, end = part * size // count, ((part + 1) * size + (count - 1)) // count
    entry = BUILDER.arange(size)
    behind = [1] * (x.ndim - axis - 1)
    inside = BUILDER.logical_and(
        BUILDER.less_equal(BUILDER.reshape(start, (-1, 1)), entry),
        BUILDER.less(entry, BUILDER.reshape(end, (-1, 1))),
    )
    inside = BUILDER.reshape(inside, (count, size, *behind))
    spread = BUILDER.expand_dims(x, axis)
    if largest:
        return BUILDER.max(BUILDER.where(inside, spread, lowest(x.dtype)), axis=axis + 1)
    total = BUILDER.sum(BUILDER.where(inside, spread, 0), axis=axis + 1)
    return total / BUILDER.reshape(end - start, (count, *behind)).astype(x.dtype)
