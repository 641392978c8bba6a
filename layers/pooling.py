"""Pooling: the largest entry or the mean of windows, or of all places."""

from collections.abc import Sequence
from typing import Any, ClassVar

import graphc as gc
from graphc.layers.arguments import checked_choice, numbers
from graphc.layers.convolutional import LAYOUTS
from graphc.layers.layer import InputSpec, Layer

__all__ = [
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "AvgPool1D",
    "AvgPool2D",
    "AvgPool3D",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "GlobalAvgPool1D",
    "GlobalAvgPool2D",
    "GlobalAvgPool3D",
    "GlobalMaxPool1D",
    "GlobalMaxPool2D",
    "GlobalMaxPool3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
    "MaxPool1D",
    "MaxPool2D",
    "MaxPool3D",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
]


class Spatial(Layer):
    rank: ClassVar[int] = 2
    maximum: ClassVar[bool] = True

    def __init__(self, data_format: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        given = data_format or "channels_last"
        self.data_format = checked_choice(self, "data_format", given, tuple(LAYOUTS))
        self.layout = LAYOUTS[self.data_format][self.rank]
        self.input_spec = InputSpec(ndim=self.rank + 2)


class _Pooling(Spatial):
    """pool_size: of the window. strides: pool_size unless given. padding: "valid" or "same"."""

    def __init__(
        self,
        pool_size: int | Sequence[int] = 2,
        strides: int | Sequence[int] | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(data_format, **options)
        self.pool_size = numbers(self, "pool_size", pool_size, self.rank)
        self.strides = (
            self.pool_size if strides is None else numbers(self, "strides", strides, self.rank)
        )
        self.padding = checked_choice(self, "padding", padding, ("valid", "same"))

    def call(self, inputs: Any) -> Any:
        pool = gc.nn.max_pool if self.maximum else gc.nn.average_pool
        return pool(
            inputs, self.pool_size, stride=self.strides, padding=self.padding, layout=self.layout
        )


class MaxPooling1D(_Pooling):
    """The largest entry of each window of [batch, steps, channels]; the first one of equals has
    the gradient."""

    rank = 1


class MaxPooling2D(_Pooling):
    """The largest entry of each window of [batch, height, width, channels]."""

    rank = 2


class MaxPooling3D(_Pooling):
    """The largest entry of each window of [batch, depth, height, width, channels]."""

    rank = 3


class AveragePooling1D(_Pooling):
    """The mean of each window of [batch, steps, channels]; padding does not count."""

    rank, maximum = 1, False


class AveragePooling2D(_Pooling):
    """The mean of each window of [batch, height, width, channels]; padding does not count."""

    rank, maximum = 2, False


class AveragePooling3D(_Pooling):
    """The mean of each window of [batch, depth, height, width, channels]."""

    rank, maximum = 3, False


class _Global(Spatial):
    """keepdims: keep the spatial axes, with size 1."""

    def __init__(
        self, data_format: str | None = None, keepdims: bool = False, **options: Any
    ) -> None:
        super().__init__(data_format, **options)
        self.keepdims = keepdims

    def call(self, inputs: Any) -> Any:
        first = 1 if self.data_format == "channels_last" else 2
        axes = tuple(range(first, first + self.rank))
        reduce = gc.max if self.maximum else gc.mean
        return reduce(inputs, axis=axes, keepdims=self.keepdims)


class GlobalMaxPooling1D(_Global):
    """[batch, steps, channels] -> [batch, channels]: the largest entries."""

    rank = 1


class GlobalMaxPooling2D(_Global):
    """[batch, height, width, channels] -> [batch, channels]: the largest entries."""

    rank = 2


class GlobalMaxPooling3D(_Global):
    """[batch, depth, height, width, channels] -> [batch, channels]: the largest entries."""

    rank = 3


class GlobalAveragePooling1D(_Global):
    """[batch, steps, channels] -> [batch, channels]: means; of the steps that are not masked."""

    rank, maximum = 1, False

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return None

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            return super().call(inputs)
        axis = 1 if self.data_format == "channels_last" else 2
        shape = [inputs.shape[0], 1, 1]
        shape[axis] = inputs.shape[axis]
        weight = gc.reshape(mask, tuple(shape)).astype(inputs.dtype)
        total = gc.sum(inputs * weight, axis=axis, keepdims=self.keepdims)
        count = gc.sum(weight, axis=axis, keepdims=self.keepdims)
        return total / gc.maximum(count, 1)


class GlobalAveragePooling2D(_Global):
    """[batch, height, width, channels] -> [batch, channels]: means."""

    rank, maximum = 2, False


class GlobalAveragePooling3D(_Global):
    """[batch, depth, height, width, channels] -> [batch, channels]: means."""

    rank, maximum = 3, False


AvgPool1D, AvgPool2D, AvgPool3D = AveragePooling1D, AveragePooling2D, AveragePooling3D
MaxPool1D, MaxPool2D, MaxPool3D = MaxPooling1D, MaxPooling2D, MaxPooling3D
GlobalAvgPool1D, GlobalAvgPool2D, GlobalAvgPool3D = (
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalAveragePooling3D,
)
GlobalMaxPool1D, GlobalMaxPool2D, GlobalMaxPool3D = (
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    GlobalMaxPooling3D,
)
