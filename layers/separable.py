"""Depthwise and separable convolutions: channels by themselves, and then together."""

from typing import Any

import graphc as gc
from graphc.layers.arguments import checked_units
from graphc.layers.convolutional import Convolution, Sizes

__all__ = [
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "SeparableConv1D",
    "SeparableConv2D",
    "SeparableConvolution1D",
    "SeparableConvolution2D",
]


class _Depthwise(Convolution):
    def __init__(
        self,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Sizes = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(
            kernel_size,
            strides,
            padding,
            data_format,
            dilation_rate,
            activation,
            use_bias,
            depthwise_initializer,
            bias_initializer,
            depthwise_regularizer,
            bias_regularizer,
            depthwise_constraint,
            bias_constraint,
            **options,
        )
        self.depth_multiplier = checked_units(self, depth_multiplier, "depth_multiplier")

    def build(self, input_shape: Any) -> None:
        channels = self.channels(input_shape)
        self.kernel = self.add_kernel((*self.kernel_size, channels, self.depth_multiplier))
        self.bias = self.add_bias((channels * self.depth_multiplier,))

    def depthwise(self, inputs: gc.Tensor) -> gc.Tensor:
        flat = gc.reshape(self.kernel, (*self.kernel_size, 1, -1))
        return gc.nn.conv(
            inputs,
            self.laid_out(flat),
            stride=self.strides,
            padding=self.edges,
            dilation=self.dilation_rate,
            groups=self.kernel.shape[-2],
            layout=self.layout,
        )

    def call(self, inputs: Any) -> Any:
        return self.finished(self.depthwise(inputs), self.bias)


class DepthwiseConv1D(_Depthwise):
    """depth_multiplier filters for each channel of [batch, steps, channels].

    kernel: [size, channels, depth_multiplier]. Result: channels * depth_multiplier channels; those
    of the first channel come first.
    """

    rank = 1


class DepthwiseConv2D(_Depthwise):
    """depth_multiplier filters for each channel, which see no other channel.

    kernel: [height, width, channels, depth_multiplier]. Result: channels * depth_multiplier
    channels; those of the first channel come first.
    """


class _Separable(_Depthwise):
    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Sizes = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        pointwise_initializer: Any = "glorot_uniform",
        pointwise_regularizer: Any = None,
        pointwise_constraint: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(
            kernel_size,
            strides,
            padding,
            depth_multiplier,
            data_format,
            dilation_rate,
            activation,
            use_bias,
            **options,
        )
        self.filters = checked_units(self, filters, "filters")
        self.pointwise_initializer = pointwise_initializer
        self.pointwise_regularizer = pointwise_regularizer
        self.pointwise_constraint = pointwise_constraint

    def build(self, input_shape: Any) -> None:
        channels = self.channels(input_shape)
        self.kernel = self.add_kernel((*self.kernel_size, channels, self.depth_multiplier))
        self.pointwise_kernel = self.add_param(
            "pointwise_kernel",
            (*(1,) * self.rank, channels * self.depth_multiplier, self.filters),
            self.pointwise_initializer,
            regularizer=self.pointwise_regularizer,
            constraint=self.pointwise_constraint,
        )
        self.bias = self.add_bias((self.filters,))

    def call(self, inputs: Any) -> Any:
        kernel = self.laid_out(self.pointwise_kernel)
        result = gc.nn.conv(self.depthwise(inputs), kernel, layout=self.layout)
        return self.finished(result, self.bias)


class SeparableConv1D(_Separable):
    """A depthwise convolution along the steps, then one of size 1 over all channels.

    kernel: [size, channels, depth_multiplier]; pointwise_kernel: [1, channels * depth_multiplier,
    filters]. "causal" padding looks at no later step.
    """

    rank = 1
    paddings = ("valid", "same", "causal")


class SeparableConv2D(_Separable):
    """A depthwise convolution, then one of 1x1 over all channels (Chollet, 2016).

    kernel: [height, width, channels, depth_multiplier]; pointwise_kernel: [1, 1, channels *
    depth_multiplier, filters].
    """


SeparableConvolution1D, SeparableConvolution2D = SeparableConv1D, SeparableConv2D
