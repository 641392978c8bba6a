"""Images of another size: `gc.nn.resize` and `gc.nn.upsample`."""

from collections.abc import Sequence
from typing import Any

from graphc.dtypes import float32, is_half
from graphc.errors import ShapeError
from graphc.ir.registry import BUILDER, public
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ir.windows import channels_last, numbers, spatial_rank, window_sizes
from graphc.ops.definition import REAL, floating, one_input
from graphc.shapes import Size

__all__ = ["resize", "upsample"]

LINEAR = ("linear", "bilinear", "trilinear")  # by the number of spatial axes


def _input(name: str, x: Any, layout: str | None) -> tuple[Tensor, range]:
    """x and its spatial axes."""
    tensor = one_input(name, x, REAL)
    rank = spatial_rank(name, tensor.ndim, str(tensor.type))
    first = 1 if channels_last(name, layout, rank) else 2
    return tensor, range(first, first + rank)


def _is_linear(name: str, method: str, rank: int) -> bool:
    allowed = ("nearest", "linear", *({LINEAR[rank - 1]} - {"linear"}))
    if method not in allowed:
        raise ShapeError(
            f"{name}: method={method!r} for x with {rank} spatial axes",
            source=current_source(),
            fix=" or ".join(f'"{one}"' for one in allowed),
        )
    return method != "nearest"


@public
def resize(
    x: Any, size: Size | Sequence[Size], *, method: str = "nearest", layout: str | None = None
) -> Tensor:
    """x with other sizes along its spatial axes; entries are seen as areas, whose middles count.

    x: [batch, channels, 1 to 3 spatial axes], or as `layout` says; real numeric dtypes. size: one
    size >= 1 for each spatial axis, or one for all; symbolic ones too.

    An axis of size n becomes one of size m, whose entry i lies at c = (i + 1/2)*n/m - 1/2 in x.
    method "nearest": entry floor((i + 1/2)*n/m) of x, as in TensorFlow and JAX, and "nearest-exact"
    in PyTorch. "linear" ("bilinear" for two spatial axes, "trilinear" for three): between the
    entries around c, at the rim the entry there; as `align_corners=False` in PyTorch. Integers
    become float32. Where m < n no entries are averaged: `average_pool` does that.
    ShapeError for another method or size, and where x has no entries along a spatial axis.
    """
    tensor, axes = _input("resize", x, layout)
    wanted = window_sizes("resize", "size", size, len(axes))
    linear = _is_linear("resize", method, len(axes))
    return _resized("resize", floating(tensor) if linear else tensor, axes, wanted, linear)


@public
def upsample(
    x: Any,
    factor: int | Sequence[int] = 2,
    *,
    method: str = "nearest",
    layout: str | None = None,
) -> Tensor:
    """x with `factor` times as many entries along each spatial axis, as Keras' UpSampling layers.

    x, method: as for `resize`; "nearest" repeats every entry. factor: a whole number >= 1, or one
    for each spatial axis.
    """
    tensor, axes = _input("upsample", x, layout)
    factors = numbers("upsample", "factor", factor, len(axes))
    if _is_linear("upsample", method, len(axes)):
        wanted = [tensor.shape[axis] * k for axis, k in zip(axes, factors, strict=True)]
        return _resized("upsample", floating(tensor), axes, wanted, linear=True)
    return _repeated(tensor, axes, factors)


def _repeated(x: Tensor, axes: range, factors: Sequence[int]) -> Tensor:
    """Every entry `factors` times along each of the axes, in one step."""
    front, spatial = x.shape[: axes.start], [x.shape[axis] for axis in axes]
    apart: list[Size] = []
    spread: list[Size] = []
    for size, factor in zip(spatial, factors, strict=True):
        apart += [size, 1]
        spread += [size, factor]
    whole = [size * factor for size, factor in zip(spatial, factors, strict=True)]
    rest = x.shape[axes.stop :]
    x = BUILDER.broadcast_to(BUILDER.reshape(x, (*front, *apart, *rest)), (*front, *spread, *rest))
    return BUILDER.reshape(x, (*front, *whole, *rest))


def _resized(name: str, x: Tensor, axes: range, wanted: Sequence[Size], linear: bool) -> Tensor:
    dtype = x.dtype
    x = x.astype(float32) if linear and is_half(dtype) else x
    for axis, size in zip(axes, wanted, strict=True):
        if x.shape[axis] == 0 and size != 0:
            raise ShapeError(
                f"{name}: {x.type} has no entries along axis {axis}",
                source=current_source(),
                fix="give arrays with an entry or more along the axes that are resized",
            )
        if x.shape[axis] != size:
            x = (_between if linear else _nearest)(x, axis, size)
    return x.astype(dtype)


def _nearest(x: Tensor, axis: int, size: Size) -> Tensor:
    """Entry (2*i + 1)*n // (2*m): whole numbers, so that no rounding moves one."""
    middle = (BUILDER.arange(size) * 2 + 1) * x.shape[axis]
    return BUILDER.take(x, middle // (2 * size), axis=axis)


def _between(x: Tensor, axis: int, size: Size) -> Tensor:
    """c = ((2*i + 1)*n - m) / (2*m); below 0 it is 0, and behind the last entry that entry."""
    n = x.shape[axis]
    place = BUILDER.maximum((BUILDER.arange(size) * 2 + 1) * n - size, 0)
    low = place // (2 * size)
    part = (place - low * (2 * size)).astype(x.dtype) / (2 * size)
    part = BUILDER.reshape(part, (-1, *(1,) * (x.ndim - axis - 1)))
    first = BUILDER.take(x, low, axis=axis)
    second = BUILDER.take(x, BUILDER.minimum(low + 1, n - 1), axis=axis)
    return first + (second - first) * part
