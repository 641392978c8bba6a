"""SimpleRNN, LSTM, GRU: a state carried from step to step of a sequence."""

from typing import Any

import graphc as gc
from graphc.layers.cells import GatedUnit, LongUnit, SimpleUnit, Unit
from graphc.layers.layer import InputSpec
from graphc.layers.sequence import SequenceLayer

__all__ = ["GRU", "LSTM", "SimpleRNN"]


class Recurrent(SequenceLayer, Unit):
    """What recurrent layers share. Input [batch, steps, features], any number of steps.

    Outputs and states: [batch, units]; see SequenceLayer for what is returned, and for masks and
    states that are carried on. initial_state (of the call): tensors [batch, units], zeros by
    default. dropout, recurrent_dropout: of the inputs and of the state; one mask for all steps (Gal
    and Ghahramani, 2015).
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.input_spec = InputSpec(ndim=3)

    def build(self, input_shape: Any) -> None:
        features = self.known_size(input_shape)
        self.add_weights(features)
        self.carry(input_shape[0])
        self.input_spec = InputSpec(ndim=3, axes={-1: features})

    def zero_states(self, batch: Any, dtype: Any) -> tuple[gc.Tensor, ...]:
        return tuple(gc.zeros((batch, self.units), dtype=dtype) for _ in range(self.memories))

    def call(
        self, inputs: Any, initial_state: Any = None, mask: Any = None, training: bool = False
    ) -> Any:
        batch = inputs.shape[0]
        states = self.start(initial_state, batch, inputs.dtype)
        kept: Any = None
        if training:
            inputs = self.input_dropped(inputs, (batch, 1, inputs.shape[2]))
            kept = self.state_mask((batch, self.units), inputs.dtype)

        def step(carry: Any, x: Any) -> Any:
            new = self.step(carry, x, kept)
            return new[0], new

        sequence, mask = self.ordered(self.projected(inputs), mask)
        result, last = self.scanned(step, sequence, states, mask)
        self.remember(last)
        return [result, *last] if self.return_state else result


class SimpleRNN(SimpleUnit, Recurrent):
    """h' = activation(x @ kernel + h @ recurrent_kernel + bias) (Elman, 1990)."""


class LSTM(LongUnit, Recurrent):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997; Gers et al., 2000).

    i, f, g, o = parts of x @ kernel + h @ recurrent_kernel + bias; c' = sigmoid(f) * c + sigmoid(i)
    * tanh(g); h' = sigmoid(o) * tanh(c'). States: h and c. unit_forget_bias: the bias of f is 1 at
    first (Jozefowicz et al., 2015). kernel: [features, 4 units].
    """


class GRU(GatedUnit, Recurrent):
    """Gated recurrent unit (Cho et al., 2014).

    z, r, n = parts of the products; h' = z * h + (1 - z) * tanh(n), where the state enters n after
    the product, times r (reset_after, as cuDNN does it; bias: [2, 3 units]), or times r before it.
    kernel: [features, 3 units].
    """
