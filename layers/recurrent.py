"""SimpleRNN, LSTM, GRU: a state carried from step to step of a sequence."""

from typing import Any, ClassVar

import numpy as np

import graphc as gc
from graphc.layers import activations
from graphc.layers.arguments import checked_rate, checked_units
from graphc.layers.layer import InputSpec
from graphc.layers.noise import RandomLayer, dropped

__all__ = ["GRU", "LSTM", "SimpleRNN"]


class Recurrent(RandomLayer):
    """What recurrent layers share. Input [batch, steps, features], any number of steps.

    Result: the last output [batch, units], or all of them [batch, steps, units] with
    return_sequences; with return_state also the last states. go_backwards: from the last step to
    the first. initial_state (of the call): tensors [batch, units], zeros by default. dropout,
    recurrent_dropout: of the inputs and of the state; one mask for all steps (Gal and Ghahramani,
    2015). unroll: how many steps are written out one after the other.
    """

    gates: ClassVar[int] = 1
    states: ClassVar[int] = 1

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        unroll: int = 1,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(seed, **options)
        self.units = checked_units(self, units)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = kernel_initializer
        self.recurrent_initializer = recurrent_initializer
        self.bias_initializer = bias_initializer
        self.kernel_regularizer = kernel_regularizer
        self.recurrent_regularizer = recurrent_regularizer
        self.bias_regularizer = bias_regularizer
        self.kernel_constraint = kernel_constraint
        self.recurrent_constraint = recurrent_constraint
        self.bias_constraint = bias_constraint
        self.dropout = checked_rate(self, dropout, "dropout")
        self.recurrent_dropout = checked_rate(self, recurrent_dropout, "recurrent_dropout")
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.unroll = max(1, int(unroll))
        self.input_spec = InputSpec(ndim=3)

    def build(self, input_shape: Any) -> None:
        features = self.known_size(input_shape)
        width = self.gates * self.units
        self.kernel = self.add_param(
            "kernel",
            (features, width),
            self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.recurrent_kernel = self.add_param(
            "recurrent_kernel",
            (self.units, width),
            self.recurrent_initializer,
            regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
        )
        self.bias: gc.Variable | None = None
        if self.use_bias:
            self.bias = self.add_param(
                "bias",
                self.bias_shape(),
                self.bias_start(),
                regularizable=False,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.input_spec = InputSpec(ndim=3, axes={-1: features})

    def bias_shape(self) -> tuple[int, ...]:
        return (self.gates * self.units,)

    def bias_start(self) -> Any:
        return self.bias_initializer

    def step(self, states: tuple[Any, ...], x: Any, mask: Any) -> tuple[Any, ...]:
        """The next states; the first is the output. x: [batch, gates * units], the inputs times
        the kernel plus the bias. mask: what the state is multiplied by before the product."""
        raise TypeError(f"{type(self).__name__} does not define step(states, x, mask)")

    def input_bias(self) -> Any:
        return self.bias

    def call(self, inputs: Any, initial_state: Any = None, training: bool = False) -> Any:
        batch = inputs.shape[0]
        states = self._start(initial_state, batch, inputs.dtype)
        if training and self.dropout:
            shape = (batch, 1, inputs.shape[2])
            inputs = dropped(inputs, self.draw_key(), self.dropout, shape)
        mask: Any = None
        if training and self.recurrent_dropout:
            ones = gc.ones((batch, self.units), dtype=inputs.dtype)
            mask = dropped(ones, self.draw_key(), self.recurrent_dropout)
        bias = self.input_bias()
        projected = inputs @ self.kernel
        projected = projected if bias is None else projected + bias
        sequence = gc.permute_dims(projected, (1, 0, 2))

        def body(carry: Any, x: Any) -> Any:
            new = self.step(carry, x, mask)
            return new, new[0] if self.return_sequences else None

        if self.go_backwards:
            sequence = gc.flip(sequence, axis=0)
        last, outputs = gc.scan(body, states, sequence, unroll=self.unroll)
        result = gc.permute_dims(outputs, (1, 0, 2)) if self.return_sequences else last[0]
        return [result, *last] if self.return_state else result

    def _start(self, given: Any, batch: Any, dtype: Any) -> tuple[gc.Tensor, ...]:
        if given is None:
            return tuple(gc.zeros((batch, self.units), dtype=dtype) for _ in range(self.states))
        states = tuple(given) if isinstance(given, list | tuple) else (given,)
        if len(states) != self.states or any(s.shape[-1] != self.units for s in states):
            raise self.error(
                f"{self.states} states of {self.units} units are needed",
                details=[f"got     {state.type}" for state in states],
                fix="pass initial_state=[...] with tensors [batch, units]",
            )
        return states


def _masked(state: Any, mask: Any) -> Any:
    return state if mask is None else state * mask


class SimpleRNN(Recurrent):
    """h' = activation(x @ kernel + h @ recurrent_kernel + bias) (Elman, 1990)."""

    def step(self, states: tuple[Any, ...], x: Any, mask: Any) -> tuple[Any, ...]:
        (h,) = states
        return (self.activation(x + _masked(h, mask) @ self.recurrent_kernel),)


class LSTM(Recurrent):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997; Gers et al., 2000).

    i, f, g, o = parts of x @ kernel + h @ recurrent_kernel + bias; c' = sigmoid(f) * c + sigmoid(i)
    * tanh(g); h' = sigmoid(o) * tanh(c'). States: h and c. unit_forget_bias: the bias of f is 1 at
    first (Jozefowicz et al., 2015). kernel: [features, 4 units].
    """

    gates, states = 4, 2

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        unit_forget_bias: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(units, activation, use_bias, **options)
        self.recurrent_activation = activations.get(recurrent_activation)
        self.unit_forget_bias = unit_forget_bias

    def bias_start(self) -> Any:
        if not self.unit_forget_bias or self.bias_initializer != "zeros":
            return self.bias_initializer
        return np.repeat([0.0, 1.0, 0.0, 0.0], self.units)

    def step(self, states: tuple[Any, ...], x: Any, mask: Any) -> tuple[Any, ...]:
        h, c = states
        z = x + _masked(h, mask) @ self.recurrent_kernel
        i, f, g, o = (z[:, n * self.units : (n + 1) * self.units] for n in range(4))
        gate = self.recurrent_activation
        c = gate(f) * c + gate(i) * self.activation(g)
        return gate(o) * self.activation(c), c


class GRU(Recurrent):
    """Gated recurrent unit (Cho et al., 2014).

    z, r, n = parts of the products; h' = z * h + (1 - z) * tanh(n), where the state enters n after
    the product, times r (reset_after, as cuDNN does it; bias: [2, 3 units]), or times r before it.
    kernel: [features, 3 units].
    """

    gates = 3

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        reset_after: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(units, activation, use_bias, **options)
        self.recurrent_activation = activations.get(recurrent_activation)
        self.reset_after = reset_after

    def bias_shape(self) -> tuple[int, ...]:
        width = 3 * self.units
        return (2, width) if self.reset_after else (width,)

    def input_bias(self) -> Any:
        return self.bias[0] if self.bias is not None and self.reset_after else self.bias

    def step(self, states: tuple[Any, ...], x: Any, mask: Any) -> tuple[Any, ...]:
        (h,) = states
        n = self.units
        kept = _masked(h, mask)
        gate = self.recurrent_activation
        if self.reset_after:
            inner = kept @ self.recurrent_kernel
            inner = inner if self.bias is None else inner + self.bias[1]
            z, r = gate(x[:, :n] + inner[:, :n]), gate(x[:, n : 2 * n] + inner[:, n : 2 * n])
            new = self.activation(x[:, 2 * n :] + r * inner[:, 2 * n :])
        else:
            inner = kept @ self.recurrent_kernel[:, : 2 * n]
            z, r = gate(x[:, :n] + inner[:, :n]), gate(x[:, n : 2 * n] + inner[:, n:])
            new = self.activation(x[:, 2 * n :] + (r * kept) @ self.recurrent_kernel[:, 2 * n :])
        return (z * h + (1 - z) * new,)
