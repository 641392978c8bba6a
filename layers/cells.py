"""SimpleRNNCell, LSTMCell, GRUCell: one step of a recurrence. StackedRNNCells: one upon another.

A cell is a layer with `state_size`, a whole number or a list of them, and `call(inputs, states)`,
which returns the output and a list of the next states. `RNN` repeats cells along sequences.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

import graphc as gc
from graphc.layers import activations, initializers
from graphc.layers.arguments import checked_rate, checked_units, is_whole
from graphc.layers.configured import parameter_error
from graphc.layers.kernels import KernelLayer
from graphc.layers.layer import InputSpec, Layer
from graphc.layers.noise import RandomLayer, dropped
from graphc.layers.seeds import new_generator
from graphc.layers.sequence import SequenceLayer

__all__ = ["GRUCell", "LSTMCell", "SimpleRNNCell", "StackedRNNCells"]


class Gates(RandomLayer, KernelLayer):
    """What units and convolutions with a state share: a kernel for the state, and dropout.

    dropout, recurrent_dropout: of the inputs and of the state.
    """

    def __init__(
        self,
        *,
        recurrent_initializer: Any = "orthogonal",
        recurrent_regularizer: Any = None,
        recurrent_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(seed, **options)
        self.recurrent_initializer = recurrent_initializer
        self.recurrent_regularizer = recurrent_regularizer
        self.recurrent_constraint = recurrent_constraint
        self.dropout = checked_rate(self, dropout, "dropout")
        self.recurrent_dropout = checked_rate(self, recurrent_dropout, "recurrent_dropout")

    @property
    def differs_in_training(self) -> bool:
        return bool(self.dropout or self.recurrent_dropout)

    def add_recurrent_kernel(self, shape: Sequence[int]) -> gc.Variable:
        return self.add_param(
            "recurrent_kernel",
            shape,
            self.recurrent_initializer,
            regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
        )

    def input_dropped(self, inputs: gc.Tensor, shape: Any = None) -> gc.Tensor:
        """The inputs of a call in training; shape: of the mask."""
        if not self.dropout:
            return inputs
        return dropped(inputs, self.draw_key(), self.dropout, shape)

    def state_mask(self, shape: Any, dtype: Any) -> Any:
        """What the state of a call in training is multiplied by before the product; or None."""
        if not self.recurrent_dropout:
            return None
        return dropped(gc.ones(shape, dtype=dtype), self.draw_key(), self.recurrent_dropout)


class Unit(Gates):
    """Weights and one step of a recurrence, for cells and for layers that repeat it."""

    gates: ClassVar[int] = 1
    memories: ClassVar[int] = 1  # states

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
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
        self.units = checked_units(self, units)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer
        self.kernel_regularizer, self.bias_regularizer = kernel_regularizer, bias_regularizer
        self.kernel_constraint, self.bias_constraint = kernel_constraint, bias_constraint

    @property
    def state_size(self) -> Any:
        return self.units if self.memories == 1 else [self.units] * self.memories

    @property
    def output_size(self) -> int:
        return self.units

    def add_weights(self, features: int) -> None:
        """Kernels for inputs of so many features, and a bias."""
        width = self.gates * self.units
        self.kernel = self.add_kernel((features, width))
        self.recurrent_kernel = self.add_recurrent_kernel((self.units, width))
        self.bias = self.add_bias(self.bias_shape(), initializer=self.bias_start())

    def bias_shape(self) -> tuple[int, ...]:
        return (self.gates * self.units,)

    def bias_start(self) -> Any:
        return self.bias_initializer

    def input_bias(self) -> Any:
        return self.bias

    def projected(self, inputs: gc.Tensor) -> gc.Tensor:
        """The part of a step that needs no state, for one step or for all: [..., gates * units]"""
        bias = self.input_bias()
        products = inputs @ self.kernel
        return products if bias is None else products + bias

    def step(self, states: tuple[Any, ...], x: Any, kept: Any) -> tuple[Any, ...]:
        """The next states; the first is the output. x: what `projected` gave. kept: what the state
        is multiplied by before the product, or None."""
        raise TypeError(f"{type(self).__name__} does not define step(states, x, kept)")


def _kept(state: Any, mask: Any) -> Any:
    return state if mask is None else state * mask


class SimpleUnit(Unit):
    """h' = activation(x @ kernel + h @ recurrent_kernel + bias) (Elman, 1990)."""

    def __init__(
        self, units: int, activation: Any = "tanh", use_bias: bool = True, **options: Any
    ) -> None:
        super().__init__(units, activation, use_bias, **options)

    def step(self, states: tuple[Any, ...], x: Any, kept: Any) -> tuple[Any, ...]:
        (h,) = states
        return (self.activation(x + _kept(h, kept) @ self.recurrent_kernel),)


def forget_bias(unit: Any, size: int) -> Any:
    """First values of the bias of an LSTM, 1 for the forget gate (Jozefowicz et al., 2015)."""
    if not unit.unit_forget_bias or isinstance(unit.bias_initializer, gc.Variable):
        return unit.bias_initializer
    found = initializers.get(unit.bias_initializer)((4 * size,), unit.dtype, new_generator())
    return np.concatenate([found[:size], np.ones(size, found.dtype), found[2 * size :]])


def lstm_step(unit: Any, z: list[Any], c: Any) -> tuple[Any, Any]:
    """The next states of an LSTM, of the sums i, f, g, o and the cell state."""
    i, f, g, o = z
    gate = unit.recurrent_activation
    c = gate(f) * c + gate(i) * unit.activation(g)
    return gate(o) * unit.activation(c), c


class LongUnit(Unit):
    """Long short-term memory: see LSTM."""

    gates, memories = 4, 2

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
        return forget_bias(self, self.units)

    def step(self, states: tuple[Any, ...], x: Any, kept: Any) -> tuple[Any, ...]:
        h, c = states
        z = x + _kept(h, kept) @ self.recurrent_kernel
        parts = [z[:, n * self.units : (n + 1) * self.units] for n in range(4)]
        return lstm_step(self, parts, c)


class GatedUnit(Unit):
    """Gated recurrent unit: see GRU."""

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


# --- cells ----------------------------------------------------------------------------------------


class _UnitCell(Unit):
    """cell(inputs, states): inputs [batch, features], states a list of [batch, units]."""

    def build(self, input_shape: Any) -> None:
        features = self.known_size(input_shape)
        self.add_weights(features)
        self.input_spec = InputSpec(ndim=2, axes={-1: features})

    def get_initial_state(self, batch_size: Any = None) -> list[gc.Tensor]:
        """Zeros [batch_size, units], one for each state."""
        return [gc.zeros((batch_size, self.units), dtype=self.dtype) for _ in range(self.memories)]

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        given = tuple(states) if isinstance(states, list | tuple) else (states,)
        if len(given) != self.memories:
            raise self.error(
                f"it was called with {len(given)} states, and has {self.memories}",
                fix="write cell(inputs, states) with a list of tensors [batch, units]",
            )
        kept = None
        if training:
            inputs = self.input_dropped(inputs)
            kept = self.state_mask(given[0].shape, given[0].dtype)
        new = self.step(given, self.projected(inputs), kept)
        return new[0], list(new)


class SimpleRNNCell(SimpleUnit, _UnitCell):
    """One step of SimpleRNN: `output, [h] = cell(inputs, [h])`."""


class LSTMCell(LongUnit, _UnitCell):
    """One step of LSTM: `output, [h, c] = cell(inputs, [h, c])`."""


class GRUCell(GatedUnit, _UnitCell):
    """One step of GRU: `output, [h] = cell(inputs, [h])`."""


# --- cells of any kind ----------------------------------------------------------------------------


def checked_cell(owner: str, cell: Any) -> Layer:
    """A layer with `state_size`, and not one that repeats a step itself."""
    fits = isinstance(cell, Layer) and not isinstance(cell, SequenceLayer)
    if not fits or not hasattr(cell, "state_size"):
        raise parameter_error(
            f"{owner}: {cell!r:.60} is no cell",
            "a cell is a Layer with state_size and call(inputs, states), such as LSTMCell(32)",
        )
    found: Layer = cell
    return found


def cell_zeros(cell: Any, batch: Any, dtype: Any) -> list[Any]:
    """The states of a cell before the first step; those of stacked cells are lists in a list."""
    if hasattr(cell, "get_initial_state"):
        found = cell.get_initial_state(batch_size=batch)
        return list(found) if isinstance(found, list | tuple) else [found]
    sizes = cell.state_size if isinstance(cell.state_size, list | tuple) else [cell.state_size]
    shapes = [(size,) if is_whole(size) else tuple(size) for size in sizes]
    return [gc.zeros((batch, *shape), dtype=dtype) for shape in shapes]


def cell_call(cell: Any, inputs: Any, states: Any) -> tuple[Any, list[Any]]:
    """The output of a cell and its next states."""
    found = cell(inputs, list(states))
    if not isinstance(found, list | tuple) or len(found) != 2:
        raise cell.error(
            f"call returned {type(found).__name__}",
            fix="a cell returns the output and a list of the next states: return h, [h]",
        )
    output, new = found
    return output, list(new) if isinstance(new, list | tuple) else [new]


class StackedRNNCells(Layer):
    """Cells of which each takes the output of the one before. States: a list of those of each."""

    def __init__(self, cells: Sequence[Any], **options: Any) -> None:
        super().__init__(**options)
        if not isinstance(cells, list | tuple) or not cells:
            raise parameter_error(f"StackedRNNCells: cells={cells!r:.60}", "give a list of cells")
        self.cells = [checked_cell("StackedRNNCells", cell) for cell in cells]

    @property
    def state_size(self) -> list[Any]:
        return [cell.state_size for cell in self.cells]  # type: ignore[attr-defined]

    @property
    def output_size(self) -> Any:
        last: Any = self.cells[-1]
        size = getattr(last, "output_size", None)
        found = last.state_size if size is None else size
        return found[0] if isinstance(found, list | tuple) else found

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """Zeros [batch_size, units] for each state of each cell, in lists."""
        return [cell_zeros(cell, batch_size, self.dtype) for cell in self.cells]

    def call(self, inputs: Any, states: Any) -> Any:
        new = []
        for cell, own in zip(self.cells, states, strict=True):
            listed = own if isinstance(own, list | tuple) else [own]
            inputs, after = cell_call(cell, inputs, listed)
            new.append(after)
        return inputs, new
