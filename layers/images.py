"""Resizing, CenterCrop; RandomFlip, RandomBrightness, RandomContrast, which change in training."""

from collections.abc import Sequence
from typing import Any

import graphc as gc
from graphc.layers.arguments import checked_choice, checked_flag, checked_units
from graphc.layers.configured import parameter_error
from graphc.layers.convolutional import LAYOUTS
from graphc.layers.layer import InputSpec
from graphc.layers.limits import is_real
from graphc.layers.noise import RandomLayer
from graphc.layers.preprocessing import Preparation

__all__ = ["CenterCrop", "RandomBrightness", "RandomContrast", "RandomFlip", "Resizing"]

Range = float | Sequence[float]


class _Images(Preparation):
    """[batch, height, width, channels], or with data_format="channels_first" [batch, channels,
    height, width]; integers become float32."""

    def __init__(self, data_format: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        given = data_format or "channels_last"
        self.data_format = checked_choice(self, "data_format", given, tuple(LAYOUTS))
        self.layout = LAYOUTS[self.data_format][2]
        self.height_axis = 1 if self.data_format == "channels_last" else 2
        self.input_spec = InputSpec(ndim=4)

    def sizes(self, x: gc.Tensor) -> tuple[int, int]:
        """Height and width, which are known."""
        axis = self.height_axis
        return self.known_size(x.shape, axis), self.known_size(x.shape, axis + 1)

    def middle(self, x: gc.Tensor, height: int, width: int) -> gc.Tensor:
        """The part of this size in the middle."""
        key: list[Any] = [slice(None)] * 4
        for number, (whole, part) in enumerate(zip(self.sizes(x), (height, width), strict=True)):
            first = (whole - part) // 2
            key[self.height_axis + number] = slice(first, first + part)
        return x[tuple(key)]

    def fitted(self, x: gc.Tensor, height: int, width: int) -> gc.Tensor:
        """The largest part in the middle whose sides are as height to width."""
        own = self.sizes(x)
        rows = min(own[0], max(1, int(own[1] * height / width)))
        columns = min(own[1], max(1, int(own[0] * width / height)))
        return self.middle(x, rows, columns)


class Resizing(_Images):
    """Images of another height and width.

    interpolation: "bilinear" or "nearest"; entries are areas, whose middles count, and none are
    averaged. crop_to_aspect_ratio: leave out what does not fit at two sides, in place of changing
    the ratio of height to width.
    """

    def __init__(
        self,
        height: int,
        width: int,
        interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False,
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(data_format, **options)
        self.height = checked_units(self, height, "height")
        self.width = checked_units(self, width, "width")
        allowed = ("bilinear", "nearest")
        self.interpolation = checked_choice(self, "interpolation", interpolation, allowed)
        self.crop = checked_flag(self, "crop_to_aspect_ratio", crop_to_aspect_ratio)

    def call(self, inputs: Any) -> Any:
        x = self.prepared(inputs)
        if self.crop:
            x = self.fitted(x, self.height, self.width)
        wanted = (self.height, self.width)
        return gc.nn.resize(x, wanted, method=self.interpolation, layout=self.layout)


class CenterCrop(_Images):
    """The middle of images; of smaller ones the largest part of the ratio, resized."""

    def __init__(
        self, height: int, width: int, data_format: str | None = None, **options: Any
    ) -> None:
        super().__init__(data_format, **options)
        self.height = checked_units(self, height, "height")
        self.width = checked_units(self, width, "width")

    def call(self, inputs: Any) -> Any:
        x = self.prepared(inputs)
        height, width = self.sizes(x)
        if height >= self.height and width >= self.width:
            return self.middle(x, self.height, self.width)
        part = self.fitted(x, self.height, self.width)
        wanted = (self.height, self.width)
        return gc.nn.resize(part, wanted, method="bilinear", layout=self.layout)


class _RandomImages(RandomLayer, _Images):
    """In training each image is changed in its own way, otherwise none is."""

    def __init__(
        self, data_format: str | None = None, seed: int | None = None, **options: Any
    ) -> None:
        super().__init__(seed, data_format=data_format, **options)

    def one_each(self, x: gc.Tensor) -> tuple[Any, ...]:
        """The shape of a number for each image."""
        return (x.shape[0], 1, 1, 1)

    def changed(self, x: gc.Tensor) -> gc.Tensor:
        """The images in training."""
        raise TypeError(f"{type(self).__name__} does not define changed(x)")

    def call(self, inputs: Any, training: bool = False) -> Any:
        x = self.prepared(inputs)
        return self.changed(x) if training else x


class RandomFlip(_RandomImages):
    """In training half of the images are mirrored.

    mode: "horizontal" (left and right), "vertical", or "horizontal_and_vertical", each of which is
    drawn by itself.
    """

    def __init__(
        self,
        mode: str = "horizontal_and_vertical",
        seed: int | None = None,
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(data_format, seed, **options)
        modes = ("horizontal", "vertical", "horizontal_and_vertical")
        self.mode = checked_choice(self, "mode", mode, modes)

    def changed(self, x: gc.Tensor) -> gc.Tensor:
        for number, name in enumerate(("vertical", "horizontal")):
            if name in self.mode:
                mirrored = gc.flip(x, axis=self.height_axis + number)
                chosen = gc.random.bernoulli(self.draw_key(), self.one_each(x), 0.5)
                x = gc.where(chosen, mirrored, x)
        return x


class _RandomValues(_RandomImages):
    """value_range: the least and the largest value, beyond which none is moved."""

    def __init__(
        self, factor: Range, value_range: Sequence[float] = (0, 255), **options: Any
    ) -> None:
        super().__init__(**options)
        given: Any = factor
        pair: Any = (-given, given) if is_real(given) else given
        if not isinstance(pair, list | tuple):
            pair = ()
        if len(pair) != 2 or not all(map(is_real, pair)) or pair[0] > pair[1]:
            raise parameter_error(
                f"{type(self).__name__}: factor={factor!r:.60}", "give a number, or (least, most)"
            )
        limits = value_range
        fits = isinstance(limits, list | tuple) and len(limits) == 2
        if not fits or not all(map(is_real, limits)) or limits[0] >= limits[1]:
            raise parameter_error(
                f"{type(self).__name__}: value_range={value_range!r:.60}", "give (least, most)"
            )
        self.low, self.high = float(pair[0]), float(pair[1])
        self.value_range = (float(limits[0]), float(limits[1]))

    def drawn(self, x: gc.Tensor, low: float, high: float) -> gc.Tensor:
        """A number for each image."""
        part = gc.random.uniform(self.draw_key(), self.one_each(x), dtype=x.dtype)
        return low + (high - low) * part


class RandomBrightness(_RandomValues):
    """In training a part of the range is added to all values of an image.

    factor: the part is drawn from -factor to factor, or from a pair of numbers from -1 to 1.
    """

    def __init__(
        self,
        factor: Range,
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(factor, value_range, seed=seed, **options)
        if self.low < -1 or self.high > 1:
            raise parameter_error(f"RandomBrightness: factor={factor!r:.60}", "use -1 to 1")

    def changed(self, x: gc.Tensor) -> gc.Tensor:
        least, most = self.value_range
        return gc.clip(x + self.drawn(x, self.low, self.high) * (most - least), least, most)


class RandomContrast(_RandomValues):
    """In training the distances from the mean of a channel are multiplied.

    factor: by a number from 1 - factor to 1 + factor, or of a pair from 1 - first to 1 + second.
    """

    def __init__(
        self,
        factor: Range,
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        **options: Any,
    ) -> None:
        several = isinstance(factor, list | tuple) and len(factor) == 2
        pair: Any = (-factor[0], factor[1]) if several else factor  # type: ignore[index]
        super().__init__(pair, value_range, seed=seed, **options)
        if self.low < -1:
            raise parameter_error(f"RandomContrast: factor={factor!r:.60}", "use 0 to 1")

    def changed(self, x: gc.Tensor) -> gc.Tensor:
        axes = (self.height_axis, self.height_axis + 1)
        mean = gc.mean(x, axis=axes, keepdims=True)
        times = self.drawn(x, 1 + self.low, 1 + self.high)
        return gc.clip((x - mean) * times + mean, *self.value_range)
