"""SimpleRNN, LSTM, GRU: a state carried from step to step of a sequence."""

from typing import Any, ClassVar

import numpy as np

import graphc as gc
from graphc.layers import activations
from graphc.layers.arguments import checked_flag, checked_rate, checked_units
from graphc.layers.context import current_context
from graphc.layers.kernels import KernelLayer
from graphc.layers.layer import InputSpec
from graphc.layers.naming import identifier
from graphc.layers.noise import RandomLayer, dropped

__all__ = ["GRU", "LSTM", "SimpleRNN"]


class Recurrent(RandomLayer, KernelLayer):
    """What recurrent layers share. Input [batch, steps, features], any number of steps.

    Result: the last output [batch, units], or all of them [batch, steps, units] with
    return_sequences; with return_state also the last states. go_backwards: from the last step to
    the first. initial_state (of the call): tensors [batch, units], zeros by default. dropout,
    recurrent_dropout: of the inputs and of the state; one mask for all steps (Gal and Ghahramani,
    2015). unroll: how many steps are written out one after the other.

    mask (of the call, or of the input): bool[batch, steps]. At steps where it is False the state
    stays, and the output is the one before, or 0 with zero_output_for_mask. stateful: a call goes
    on with the last states of the call before, example by example, until `reset_states()`; the
    batch size must be known: Input(shape, batch_size=n). In functions of your own the states are
    among the `updates` of the CallContext.
    """

    supports_masking = True

    gates: ClassVar[int] = 1
    state_count: ClassVar[int] = 1

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
        stateful: bool = False,
        unroll: bool | int = 1,
        zero_output_for_mask: bool = False,
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
        self.stateful = checked_flag(self, "stateful", stateful)
        self.unroll = max(1, int(unroll))
        self.zero_output_for_mask = zero_output_for_mask
        self._carried: tuple[gc.Variable, ...] = ()
        self.input_spec = InputSpec(ndim=3)

    def build(self, input_shape: Any) -> None:
        features = self.known_size(input_shape)
        width = self.gates * self.units
        self.kernel = self.add_kernel((features, width))
        self.recurrent_kernel = self.add_param(
            "recurrent_kernel",
            (self.units, width),
            self.recurrent_initializer,
            regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
        )
        self.bias = self.add_bias(self.bias_shape(), initializer=self.bias_start())
        self.input_spec = InputSpec(ndim=3, axes={-1: features})
        if self.stateful:
            self._carried = self._new_states(input_shape[0])

    def _new_states(self, batch: Any) -> tuple[gc.Variable, ...]:
        if not isinstance(batch, int):
            raise self.error(
                "stateful=True, and the batch size is not known",
                fix="write Input(shape, batch_size=n): each example of a batch has a state",
            )
        zeros = np.zeros((batch, self.units), self.dtype)
        names = [identifier(f"{self.name}_state_{n}") for n in range(self.state_count)]
        return tuple(gc.variable(zeros, name) for name in names)

    @property
    def carried(self) -> tuple[gc.Variable, ...]:
        return self._carried

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return mask if self.return_sequences else None

    def bias_shape(self) -> tuple[int, ...]:
        return (self.gates * self.units,)

    def bias_start(self) -> Any:
        return self.bias_initializer

    def step(self, states: tuple[Any, ...], x: Any, kept: Any) -> tuple[Any, ...]:
        """The next states; the first is the output. x: [batch, gates * units], the inputs times
        the kernel plus the bias. kept: what the state is multiplied by before the product."""
        raise TypeError(f"{type(self).__name__} does not define step(states, x, kept)")

    def input_bias(self) -> Any:
        return self.bias

    def call(
        self, inputs: Any, initial_state: Any = None, mask: Any = None, training: bool = False
    ) -> Any:
        batch = inputs.shape[0]
        states = self._start(initial_state, batch, inputs.dtype)
        if training and self.dropout:
            shape = (batch, 1, inputs.shape[2])
            inputs = dropped(inputs, self.draw_key(), self.dropout, shape)
        kept: Any = None
        if training and self.recurrent_dropout:
            ones = gc.ones((batch, self.units), dtype=inputs.dtype)
            kept = dropped(ones, self.draw_key(), self.recurrent_dropout)
        bias = self.input_bias()
        projected = inputs @ self.kernel
        projected = projected if bias is None else projected + bias
        sequence: Any = [gc.permute_dims(projected, (1, 0, 2))]
        if mask is not None:
            sequence.append(gc.expand_dims(gc.permute_dims(mask, (1, 0)), axis=-1))
        if self.go_backwards:
            sequence = [gc.flip(one, axis=0) for one in sequence]

        def body(carry: Any, given: Any) -> Any:
            x, *there = given
            new = self.step(carry, x, kept)
            for data in there:  # True where this step is no padding
                new = tuple(gc.where(data, a, b) for a, b in zip(new, carry, strict=True))
            if not self.return_sequences:
                return new, None
            zero = bool(there) and self.zero_output_for_mask
            return new, gc.where(there[0], new[0], 0) if zero else new[0]

        last, outputs = gc.scan(body, states, sequence, unroll=self.unroll)
        self._remember(last)
        result = gc.permute_dims(outputs, (1, 0, 2)) if self.return_sequences else last[0]
        return [result, *last] if self.return_state else result

    def _remember(self, last: Any) -> None:
        context = current_context()
        if context is not None:
            for variable, value in zip(self._carried, last, strict=False):
                context.update(variable, gc.stop_gradient(value))

    def _start(self, given: Any, batch: Any, dtype: Any) -> tuple[gc.Tensor, ...]:
        if given is None and self._carried:
            size = self._carried[0].shape[0]
            if batch != size:
                raise self.error(
                    f"it carries the states of {size} examples, and the batch has {batch}",
                    fix="use one batch size: Input(shape, batch_size=n)",
                )
            context = current_context()
            return tuple(v if context is None else context.latest(v) for v in self._carried)
        if given is None:
            return tuple(
                gc.zeros((batch, self.units), dtype=dtype) for _ in range(self.state_count)
            )
        states = tuple(given) if isinstance(given, list | tuple) else (given,)
        if len(states) != self.state_count or any(s.shape[-1] != self.units for s in states):
            raise self.error(
                f"{self.state_count} states of {self.units} units are needed",
                details=[f"got     {state.type}" for state in states],
                fix="pass initial_state=[...] with tensors [batch, units]",
            )
        return states


def _kept(state: Any, mask: Any) -> Any:
    return state if mask is None else state * mask


class SimpleRNN(Recurrent):
    """h' = activation(x @ kernel + h @ recurrent_kernel + bias) (Elman, 1990)."""

    def step(self, states: tuple[Any, ...], x: Any, kept: Any) -> tuple[Any, ...]:
        (h,) = states
        return (self.activation(x + _kept(h, kept) @ self.recurrent_kernel),)


class LSTM(Recurrent):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997; Gers et al., 2000).

    i, f, g, o = parts of x @ kernel + h @ recurrent_kernel + bias; c' = sigmoid(f) * c + sigmoid(i)
    * tanh(g); h' = sigmoid(o) * tanh(c'). States: h and c. unit_forget_bias: the bias of f is 1 at
    first (Jozefowicz et al., 2015). kernel: [features, 4 units].
    """

    gates, state_count = 4, 2

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

    def step(self, states: tuple[Any, ...], x: Any, kept: Any) -> tuple[Any, ...]:
        h, c = states
        z = x + _kept(h, kept) @ self.recurrent_kernel
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

    def step(self, states: tuple[Any, ...], x: Any, kept: Any) -> tuple[Any, ...]:
        (h,) = states
        n = self.units
        used = _kept(h, kept)
        gate = self.recurrent_activation
        if self.reset_after:
            inner = used @ self.recurrent_kernel
            inner = inner if self.bias is None else inner + self.bias[1]
            z, r = gate(x[:, :n] + inner[:, :n]), gate(x[:, n : 2 * n] + inner[:, n : 2 * n])
            new = self.activation(x[:, 2 * n :] + r * inner[:, 2 * n :])
        else:
            inner = used @ self.recurrent_kernel[:, : 2 * n]
            z, r = gate(x[:, :n] + inner[:, :n]), gate(x[:, n : 2 * n] + inner[:, n:])
            new = self.activation(x[:, 2 * n :] + (r * used) @ self.recurrent_kernel[:, 2 * n :])
        return (z * h + (1 - z) * new,)
