"""RNN: a cell of any kind, repeated along a sequence."""

from typing import Any

import graphc as gc
from graphc.layers.cells import StackedRNNCells, Unit, cell_call, cell_zeros, checked_cell
from graphc.layers.context import CallContext
from graphc.layers.layer import InputSpec
from graphc.layers.sequence import SequenceLayer

__all__ = ["RNN"]


class RNN(SequenceLayer):
    """A cell repeated along [batch, steps, ...]: a layer with `state_size`, a whole number, a shape
    or a list of them, and `call(inputs, states)`, which returns the output and a list of the next
    states. A list of cells is StackedRNNCells.

    Outputs: what the cell returns; see SequenceLayer for which, and for masks and states that are
    carried on. With return_state the last states follow, those of stacked cells as lists.
    initial_state (of the call): in the form of these states; zeros by default, or what
    `cell.get_initial_state(batch_size)` returns. `training` is that of the call.

    Cells upon each other run one after the other along the whole sequence, which is the same, and
    LSTMCell, GRUCell and SimpleRNNCell take all inputs in one product as LSTM, GRU and SimpleRNN
    do.

    >>> class Minimal(Layer):
    ...     def __init__(self, units):
    ...         super().__init__()
    ...         self.units = self.state_size = units
    ...     def build(self, input_shape):
    ...         self.kernel = self.add_weight((input_shape[-1], self.units))
    ...         self.recurrent_kernel = self.add_weight((self.units, self.units))
    ...     def call(self, inputs, states):
    ...         h = inputs @ self.kernel + states[0] @ self.recurrent_kernel
    ...         return h, [h]
    >>> y = RNN(Minimal(32))(x)
    """

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool | int = False,
        zero_output_for_mask: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            zero_output_for_mask=zero_output_for_mask,
            **options,
        )
        whole = StackedRNNCells(cell) if isinstance(cell, list | tuple) else cell
        self.cell: Any = checked_cell("RNN", whole)
        self.input_spec = InputSpec(min_ndim=3)

    @property
    def state_size(self) -> Any:
        return self.cell.state_size

    def cells(self) -> list[Any]:
        """The cells from the first to the last."""
        stacked = isinstance(self.cell, StackedRNNCells)
        return list(self.cell.cells) if stacked else [self.cell]

    def build(self, input_shape: Any) -> None:
        step: Any = gc.placeholder("step", (input_shape[0], *input_shape[2:]), self.dtype)
        self.cell.ensure_built(step)
        for cell in self.cells():
            cell.ensure_built(step)
            if cell is not self.cells()[-1]:
                step, _ = _called(cell, step, cell_zeros(cell, input_shape[0], self.dtype))
        self.carry(input_shape[0])

    def zero_states(self, batch: Any, dtype: Any) -> list[Any]:
        zeros = [cell_zeros(cell, batch, dtype) for cell in self.cells()]
        return zeros if isinstance(self.cell, StackedRNNCells) else zeros[0]

    def call(
        self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False
    ) -> Any:
        states = self.start(initial_state, sequences.shape[0], sequences.dtype)
        cells = self.cells()
        parts = states if isinstance(self.cell, StackedRNNCells) else [states]
        sequences, mask = self.ordered(sequences, mask)
        last: list[Any] = []
        for number, (cell, own) in enumerate(zip(cells, parts, strict=True)):
            whole = self.return_sequences or number < len(cells) - 1
            run = self._products if isinstance(cell, Unit) else self._steps
            sequences, after = run(cell, sequences, tuple(own), mask, training, whole)
            last.append(list(after))
        self.remember(last)
        shown = last if isinstance(self.cell, StackedRNNCells) else last[0]
        return [sequences, *shown] if self.return_state else sequences

    def _products(
        self, cell: Unit, x: Any, states: Any, mask: Any, training: bool, whole: bool
    ) -> Any:
        """A cell of ours: what needs no state is computed for all steps at once."""
        kept: Any = None
        if training:
            x = cell.input_dropped(x, (x.shape[0], 1, x.shape[2]))
            kept = cell.state_mask(states[0].shape, x.dtype)

        def step(carry: Any, now: Any) -> Any:
            new = cell.step(carry, now, kept)
            return new[0], new

        return self.scanned(step, cell.projected(x), states, mask, whole=whole)

    def _steps(self, cell: Any, x: Any, states: Any, mask: Any, training: bool, whole: bool) -> Any:
        """A cell that is called at each step."""
        like = gc.placeholder("step", (x.shape[0], *x.shape[2:]), x.dtype)
        output, _ = _called(cell, like, states, training)

        def step(carry: Any, now: Any) -> Any:
            return _called(cell, now, carry, training)

        before = gc.zeros(output.shape, dtype=output.dtype)
        return self.scanned(step, x, states, mask, before, whole)


def _called(cell: Any, x: Any, states: Any, training: bool = False) -> tuple[Any, list[Any]]:
    """One step of a cell, in a context of its own: what is inside of a loop stays there."""
    with CallContext(training) as context:
        found = cell_call(cell, x, states)
    if context.losses or context.updates:
        raise cell.error(
            "a cell adds no losses and updates no variables: its steps are inside of a loop",
            fix="carry what changes as a state, and add losses outside of the RNN",
        )
    return found
