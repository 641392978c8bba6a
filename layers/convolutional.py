"""Convolutions along one, two or three axes, plain and transposed."""

from collections.abc import Sequence
from typing import Any, ClassVar

import graphc as gc
from graphc.layers import activations
from graphc.layers.arguments import checked_choice, checked_units, numbers
from graphc.layers.configured import parameter_error
from graphc.layers.kernels import KernelLayer
from graphc.layers.layer import InputSpec

__all__ = [
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Conv3DTranspose",
    "Convolution1D",
    "Convolution1DTranspose",
    "Convolution2D",
    "Convolution2DTranspose",
    "Convolution3D",
    "Convolution3DTranspose",
]

LAYOUTS = {
    "channels_last": {1: "NWC", 2: "NHWC", 3: "NDHWC"},
    "channels_first": {1: "NCW", 2: "NCHW", 3: "NCDHW"},
}
Sizes = int | Sequence[int]


class Convolution(KernelLayer):
    """What all convolutions share: settings, bias and activation."""

    rank: ClassVar[int] = 2
    paddings: ClassVar[tuple[str, ...]] = ("valid", "same")

    def __init__(
        self,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Sizes = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.kernel_size = numbers(self, "kernel_size", kernel_size, self.rank)
        self.strides = numbers(self, "strides", strides, self.rank)
        self.dilation_rate = numbers(self, "dilation_rate", dilation_rate, self.rank)
        self.padding = checked_choice(self, "padding", padding, self.paddings)
        given = data_format or "channels_last"
        self.data_format = checked_choice(self, "data_format", given, tuple(LAYOUTS))
        self.layout = LAYOUTS[self.data_format][self.rank]
        self.channel_axis = -1 if self.data_format == "channels_last" else 1
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer
        self.kernel_regularizer, self.bias_regularizer = kernel_regularizer, bias_regularizer
        self.kernel_constraint, self.bias_constraint = kernel_constraint, bias_constraint
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def channels(self, input_shape: Any) -> int:
        """The number of input channels, from now on demanded."""
        count = self.known_size(input_shape, self.channel_axis)
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={self.channel_axis: count})
        return count

    def laid_out(self, kernel: gc.Tensor) -> gc.Tensor:
        """[kernel..., a, b] as the layout wants it: [b, a, kernel...] with channels first."""
        if self.data_format == "channels_last":
            return kernel
        return gc.permute_dims(kernel, (self.rank + 1, self.rank, *range(self.rank)))

    @property
    def edges(self) -> Any:
        """The padding; of "causal" padding how many zeros stand before and after."""
        if self.padding != "causal":
            return self.padding
        return [(self.dilation_rate[0] * (self.kernel_size[0] - 1), 0)]

    def spread_bias(self, bias: gc.Tensor) -> gc.Tensor:
        """A bias of the channels, so that it broadcasts to the result."""
        first = self.data_format == "channels_first"
        return gc.reshape(bias, (-1, *(1,) * self.rank)) if first else bias

    def finished(self, result: gc.Tensor, bias: gc.Tensor | None) -> Any:
        return self.activation(result if bias is None else result + self.spread_bias(bias))


class _Conv(Convolution):
    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Sizes = 1,
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
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
            **options,
        )
        self.filters = checked_units(self, filters, "filters")
        self.groups = checked_units(self, groups, "groups")
        if self.filters % self.groups:
            raise parameter_error(
                f"{type(self).__name__}: {filters} filters do not fall into {groups} groups",
                "give a number of groups that divides the filters",
            )

    def build(self, input_shape: Any) -> None:
        channels = self.channels(input_shape)
        if channels % self.groups:
            raise self.error(
                f"{channels} channels do not fall into {self.groups} groups",
                fix="give a number of groups that divides the channels",
            )
        self.kernel = self.add_kernel((*self.kernel_size, channels // self.groups, self.filters))
        self.bias = self.add_bias((self.filters,))

    def call(self, inputs: Any) -> Any:
        result = gc.nn.conv(
            inputs,
            self.laid_out(self.kernel),
            stride=self.strides,
            padding=self.edges,
            dilation=self.dilation_rate,
            groups=self.groups,
            layout=self.layout,
        )
        return self.finished(result, self.bias)


class Conv1D(_Conv):
    """Filters slid over [batch, steps, channels]; "causal" padding looks at no later step.

    kernel: [size, channels / groups, filters]. Result: [batch, steps', filters].
    """

    rank = 1
    paddings = ("valid", "same", "causal")


class Conv2D(_Conv):
    """Filters slid over [batch, height, width, channels], or with data_format="channels_first"
    [batch, channels, height, width].

    kernel: [height, width, channels / groups, filters], bias: [filters]. padding: "valid", or
    "same" for ceil(size / stride) places.
    """

    rank = 2


class Conv3D(_Conv):
    """Filters slid over [batch, depth, height, width, channels]."""

    rank = 3


class _ConvTranspose(Convolution):
    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        output_padding: Sizes | None = None,
        data_format: str | None = None,
        dilation_rate: Sizes = 1,
        activation: Any = None,
        use_bias: bool = True,
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
            **options,
        )
        self.filters = checked_units(self, filters, "filters")
        self.output_padding = (
            None
            if output_padding is None
            else numbers(self, "output_padding", output_padding, self.rank, least=0)
        )

    def build(self, input_shape: Any) -> None:
        channels = self.channels(input_shape)
        shape = (*self.kernel_size, self.filters, channels)
        self.kernel = self.add_kernel(shape)
        self.bias = self.add_bias((self.filters,))

    def call(self, inputs: Any) -> Any:
        padding: Any = self.padding
        added: Any = self.output_padding
        if added is None:
            added = (0,) * self.rank
            if padding == "valid":  # every place of the result belongs to a window of its own
                spans = self._spans()
                added = tuple(
                    max(stride - span, 0) for stride, span in zip(self.strides, spans, strict=True)
                )
        elif padding == "same":
            padding = [(size // 2, size // 2) for size in self._spans()]
        result = gc.nn.conv_transpose(
            inputs,
            self.laid_out(self.kernel),
            stride=self.strides,
            padding=padding,
            dilation=self.dilation_rate,
            output_padding=added,
            layout=self.layout,
        )
        return self.finished(result, self.bias)

    def _spans(self) -> tuple[int, ...]:
        pairs = zip(self.kernel_size, self.dilation_rate, strict=True)
        return tuple((size - 1) * rate + 1 for size, rate in pairs)


class Conv1DTranspose(_ConvTranspose):
    """The transpose of Conv1D: every entry of [batch, steps, channels] is spread over a window."""

    rank = 1


class Conv2DTranspose(_ConvTranspose):
    """The transpose of Conv2D, also called a deconvolution.

    kernel: [height, width, filters, channels]. Result: n * stride places with padding="same", else
    n * stride + max(kernel - stride, 0); output_padding chooses other sizes, as in Keras.
    """

    rank = 2


class Conv3DTranspose(_ConvTranspose):
    """The transpose of Conv3D."""

    rank = 3


Convolution1D, Convolution2D, Convolution3D = Conv1D, Conv2D, Conv3D
Convolution1DTranspose = Conv1DTranspose
Convolution2DTranspose = Conv2DTranspose
Convolution3DTranspose = Conv3DTranspose
