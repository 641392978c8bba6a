"""ConvLSTM1D, 2D, 3D: LSTMs whose products are convolutions, for sequences of rows and images."""

from typing import Any

import graphc as gc
from graphc.layers import activations
from graphc.layers.arguments import checked_units
from graphc.layers.cells import Gates, forget_bias, lstm_step
from graphc.layers.configured import parameter_error
from graphc.layers.convolutional import Convolution, Sizes
from graphc.layers.layer import InputSpec
from graphc.layers.sequence import SequenceLayer

__all__ = ["ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"]


class _ConvLSTM(SequenceLayer, Gates, Convolution):
    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Sizes = 1,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        unit_forget_bias: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(
            kernel_size=kernel_size,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            activation=activation,
            use_bias=use_bias,
            **options,
        )
        self.filters = checked_units(self, filters, "filters")
        self.recurrent_activation = activations.get(recurrent_activation)
        self.unit_forget_bias = unit_forget_bias
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise parameter_error(
                f"{type(self).__name__}: strides={self.strides}, "
                f"dilation_rate={self.dilation_rate}",
                "one of them must be 1",
            )
        self.input_spec = InputSpec(ndim=self.rank + 3)

    def build(self, input_shape: Any) -> None:
        step = (input_shape[0], *input_shape[2:])
        sizes = {axis: self.known_size(input_shape, axis) for axis in range(2, len(input_shape))}
        channels = self.channels(step)
        self.kernel = self.add_kernel((*self.kernel_size, channels, 4 * self.filters))
        shape = (*self.kernel_size, self.filters, 4 * self.filters)
        self.recurrent_kernel = self.add_recurrent_kernel(shape)
        self.bias = self.add_bias((4 * self.filters,), initializer=forget_bias(self, self.filters))
        sums = self._sums(gc.placeholder("step", step, self.dtype))
        state = list(sums.shape)
        state[self.channel_axis] = self.filters
        self._state_shape = tuple(state[1:])
        self.carry(input_shape[0])
        self.input_spec = InputSpec(ndim=self.rank + 3, axes=sizes)

    def zero_states(self, batch: Any, dtype: Any) -> tuple[gc.Tensor, ...]:
        zeros = gc.zeros((batch, *self._state_shape), dtype=dtype)
        return zeros, zeros

    def _sums(self, x: gc.Tensor) -> gc.Tensor:
        """The part of the sums that needs no state. x: [batch, ...], without steps."""
        sums = gc.nn.conv(
            x,
            self.laid_out(self.kernel),
            stride=self.strides,
            padding=self.padding,
            dilation=self.dilation_rate,
            layout=self.layout,
        )
        return sums if self.bias is None else sums + self.spread_bias(self.bias)

    def _part(self, z: gc.Tensor, number: int) -> gc.Tensor:
        channels = slice(number * self.filters, (number + 1) * self.filters)
        return z[..., channels] if self.channel_axis == -1 else z[:, channels]

    def call(
        self, inputs: Any, initial_state: Any = None, mask: Any = None, training: bool = False
    ) -> Any:
        batch, steps, *sizes = inputs.shape
        states = self.start(initial_state, batch, inputs.dtype)
        kept: Any = None
        if training:
            inputs = self.input_dropped(inputs, (batch, 1, *sizes))
            kept = self.state_mask(states[0].shape, inputs.dtype)
        sums = self._sums(gc.reshape(inputs, (batch * steps, *sizes)))
        sums = gc.reshape(sums, (batch, steps, *sums.shape[1:]))
        kernel = self.laid_out(self.recurrent_kernel)

        def step(carry: Any, x: Any) -> Any:
            h, c = carry
            used = h if kept is None else h * kept
            z = x + gc.nn.conv(used, kernel, padding="same", layout=self.layout)
            new = lstm_step(self, [self._part(z, number) for number in range(4)], c)
            return new[0], new

        sequence, mask = self.ordered(sums, mask)
        result, last = self.scanned(step, sequence, states, mask)
        self.remember(last)
        return [result, *last] if self.return_state else result


class ConvLSTM1D(_ConvLSTM):
    """ConvLSTM2D for [batch, steps, size, channels]."""

    rank = 1


class ConvLSTM2D(_ConvLSTM):
    """An LSTM whose products are convolutions (Shi et al., 2015, arXiv 1506.04214).

    x: [batch, steps, height, width, channels], or with data_format="channels_first" [batch, steps,
    channels, height, width]; all sizes but those of batch and steps are known. Outputs and states:
    as Conv2D gives them, with `filters` channels. See SequenceLayer for what is returned, and for
    masks and states that are carried on. strides, padding, dilation_rate: of the convolution of the
    input; that of the state keeps sizes. kernel: [height, width, channels, 4 filters],
    recurrent_kernel: [height, width, filters, 4 filters].
    """


class ConvLSTM3D(_ConvLSTM):
    """ConvLSTM2D for [batch, steps, depth, height, width, channels]."""

    rank = 3
