"""ZeroPadding, Cropping, UpSampling: spatial axes made larger or smaller."""

from collections.abc import Sequence
from typing import Any, ClassVar

import graphc as gc
from graphc.layers.arguments import checked_choice, is_whole, numbers
from graphc.layers.configured import parameter_error
from graphc.layers.pooling import Spatial

__all__ = [
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "UpSampling1D",
    "UpSampling2D",
    "UpSampling3D",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
]

Widths = int | Sequence[Any]


class _Edges(Spatial):
    """Widths at both ends of each spatial axis: a number, one for each axis, or pairs."""

    argument: ClassVar[str] = "padding"

    def widths(self, value: Widths) -> tuple[tuple[int, int], ...]:
        many: Any = value
        if is_whole(value):
            many = [value] * self.rank
        elif self.rank == 1 and len(many) == 2 and all(map(is_whole, many)):
            many = [many]
        pairs = [tuple(one) if isinstance(one, list | tuple) else (one, one) for one in many]
        wrong = any(
            len(pair) != 2 or not all(is_whole(width) and width >= 0 for width in pair)
            for pair in pairs
        )
        if len(pairs) != self.rank or wrong:
            raise parameter_error(
                f"{type(self).__name__}: {self.argument}={value!r:.60}",
                f"give a width, {self.rank} widths, or {self.rank} pairs (before, after)",
            )
        return tuple((int(before), int(after)) for before, after in pairs)

    @property
    def first(self) -> int:
        """The first spatial axis."""
        return 1 if self.data_format == "channels_last" else 2


class _ZeroPadding(_Edges):
    def __init__(self, padding: Widths = 1, data_format: str | None = None, **options: Any) -> None:
        super().__init__(data_format, **options)
        self.padding = self.widths(padding)

    def call(self, inputs: Any) -> Any:
        around = [(0, 0)] * inputs.ndim
        around[self.first : self.first + self.rank] = self.padding
        return gc.pad(inputs, around)


class ZeroPadding1D(_ZeroPadding):
    """Zeros before and after [batch, steps, channels]."""

    rank = 1


class ZeroPadding2D(_ZeroPadding):
    """Zeros around [batch, height, width, channels]."""

    rank = 2


class ZeroPadding3D(_ZeroPadding):
    """Zeros around [batch, depth, height, width, channels]."""

    rank = 3


class _Cropping(_Edges):
    argument = "cropping"

    def __init__(
        self, cropping: Widths = 1, data_format: str | None = None, **options: Any
    ) -> None:
        super().__init__(data_format, **options)
        self.cropping = self.widths(cropping)

    def call(self, inputs: Any) -> Any:
        key: list[Any] = [slice(None)] * inputs.ndim
        for number, (before, after) in enumerate(self.cropping):
            size = inputs.shape[self.first + number]
            if isinstance(size, int) and size < before + after:
                raise self.error(
                    f"{before + after} entries cannot be cut off an axis of size {size}",
                    details=[f"got     {inputs.type}"],
                )
            key[self.first + number] = slice(before, -after if after else None)
        return inputs[tuple(key)]


class Cropping1D(_Cropping):
    """[batch, steps, channels] without the first and last steps."""

    rank = 1


class Cropping2D(_Cropping):
    """[batch, height, width, channels] without its edges."""

    rank = 2


class Cropping3D(_Cropping):
    """[batch, depth, height, width, channels] without its edges."""

    rank = 3


class _UpSampling(_Edges):
    def __init__(
        self, size: int | Sequence[int] = 2, data_format: str | None = None, **options: Any
    ) -> None:
        super().__init__(data_format, **options)
        self.size = numbers(self, "size", size, self.rank)

    def call(self, inputs: Any) -> Any:
        for number, times in enumerate(self.size):
            inputs = _repeated(inputs, times, self.first + number)
        return inputs


def _repeated(x: gc.Tensor, times: int, axis: int) -> gc.Tensor:
    """Each entry `times` times, one after the other."""
    sizes = list(x.shape)
    apart = gc.expand_dims(x, axis=axis + 1)
    wide = gc.broadcast_to(apart, (*sizes[: axis + 1], times, *sizes[axis + 1 :]))
    return gc.reshape(wide, (*sizes[:axis], sizes[axis] * times, *sizes[axis + 1 :]))


def _interpolated(x: gc.Tensor, times: int, axis: int) -> gc.Tensor:
    """`times` as many entries, on straight lines between the old ones; pixels are areas."""
    size = x.shape[axis]
    last = gc.as_tensor(size) - 1
    place = (gc.arange(size * times).astype(x.dtype) + 0.5) / times - 0.5
    place = gc.clip(place, 0, last.astype(x.dtype))
    low = gc.floor(place).astype("int64")
    part = gc.reshape(place - low.astype(x.dtype), (-1, *(1,) * (x.ndim - axis - 1)))
    high = gc.minimum(low + 1, last)
    return gc.take(x, low, axis=axis) * (1 - part) + gc.take(x, high, axis=axis) * part


class UpSampling1D(_UpSampling):
    """Each step of [batch, steps, channels] `size` times."""

    rank = 1


class UpSampling2D(_UpSampling):
    """[batch, height, width, channels] made larger by whole factors.

    size: one or two factors. interpolation: "nearest" repeats rows and columns, "bilinear" draws
    straight lines between the centres of pixels.
    """

    rank = 2

    def __init__(
        self,
        size: int | Sequence[int] = 2,
        data_format: str | None = None,
        interpolation: str = "nearest",
        **options: Any,
    ) -> None:
        super().__init__(size, data_format, **options)
        allowed = ("nearest", "bilinear")
        self.interpolation = checked_choice(self, "interpolation", interpolation, allowed)

    def call(self, inputs: Any) -> Any:
        if self.interpolation == "nearest":
            return super().call(inputs)
        for number, times in enumerate(self.size):
            inputs = _interpolated(inputs, times, self.first + number)
        return inputs


class UpSampling3D(_UpSampling):
    """[batch, depth, height, width, channels] with every entry repeated."""

    rank = 3
