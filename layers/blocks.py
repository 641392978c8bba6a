"""ResidualBlock: two convolutions and a shortcut around them."""

from typing import Any

from graphc.layers import activations
from graphc.layers.arguments import checked_units, numbers
from graphc.layers.convolutional import Conv2D
from graphc.layers.layer import InputSpec, Layer
from graphc.layers.normalization import BatchNormalization

__all__ = ["ResidualBlock"]


class ResidualBlock(Layer):
    """activation(x + normalised convolutions of x) (He et al., 2015, arXiv 1512.03385).

    x: [batch, height, width, channels]. Two convolutions with batch normalisation; the shortcut is
    x itself, or a convolution of 1x1 where the number of channels or the size changes.
    normalize: False leaves batch normalisation out, and gives the convolutions a bias.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int] = 3,
        strides: int | tuple[int, int] = 1,
        activation: Any = "relu",
        normalize: bool = True,
        kernel_initializer: Any = "he_normal",
        kernel_regularizer: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.filters = checked_units(self, filters, "filters")
        self.kernel_size = numbers(self, "kernel_size", kernel_size, 2)
        self.strides = numbers(self, "strides", strides, 2)
        self.activation = activations.get(activation)
        self.normalize = normalize
        self.kernel_initializer = kernel_initializer
        self.kernel_regularizer = kernel_regularizer
        self.input_spec = InputSpec(ndim=4)

    def build(self, input_shape: Any) -> None:
        channels = self.known_size(input_shape)
        self.conv1 = self._conv("conv1", self.kernel_size, self.strides)
        self.conv2 = self._conv("conv2", self.kernel_size, 1)
        self.norm1, self.norm2 = self._norm("norm1"), self._norm("norm2")
        self.shortcut = self.shortcut_norm = None
        if channels != self.filters or self.strides != (1, 1):
            self.shortcut = self._conv("shortcut", 1, self.strides)
            self.shortcut_norm = self._norm("shortcut_norm")
        self.input_spec = InputSpec(ndim=4, axes={-1: channels})

    def _conv(self, name: str, size: Any, strides: Any) -> Conv2D:
        return Conv2D(
            self.filters,
            size,
            strides,
            padding="same",
            use_bias=not self.normalize,
            kernel_initializer=self.kernel_initializer,
            kernel_regularizer=self.kernel_regularizer,
            name=f"{self.name}_{name}",
        )

    def _norm(self, name: str) -> BatchNormalization | None:
        return BatchNormalization(name=f"{self.name}_{name}") if self.normalize else None

    def call(self, inputs: Any) -> Any:
        h = self.activation(_applied(self.norm1, self.conv1(inputs)))
        h = _applied(self.norm2, self.conv2(h))
        around = inputs
        if self.shortcut is not None:
            around = _applied(self.shortcut_norm, self.shortcut(inputs))
        return self.activation(h + around)


def _applied(layer: Layer | None, x: Any) -> Any:
    return x if layer is None else layer(x)
