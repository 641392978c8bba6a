"""SequenceLayer: a step repeated along a sequence, with masks and states that are carried on."""

from collections.abc import Callable
from typing import Any

import numpy as np

import graphc as gc
from graphc.layers.arguments import checked_flag
from graphc.layers.context import current_context
from graphc.layers.layer import Layer
from graphc.layers.masks import spread_mask
from graphc.layers.naming import identifier
from graphc.layers.structures import mapped, tensors_in

States = tuple[Any, ...]
Step = Callable[[States, Any], tuple[Any, States]]


class SequenceLayer(Layer):
    """What layers share that carry states from step to step of [batch, steps, ...].

    Result: the last output, or all of them [batch, steps, ...] with return_sequences; with
    return_state also the last states. go_backwards: from the last step to the first. unroll: how
    many steps are written out one after the other.

    mask (of the call, or of the input): bool[batch, steps]. At steps where it is False the states
    stay, and the output is the one before, or 0 with zero_output_for_mask. stateful: a call goes on
    with the last states of the call before, example by example, until `reset_states()`; the batch
    size must be known: Input(shape, batch_size=n). In functions of your own the states are among
    the `updates` of the CallContext.
    """

    supports_masking = True

    def __init__(
        self,
        *args: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool | int = 1,
        zero_output_for_mask: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.stateful = checked_flag(self, "stateful", stateful)
        self.unroll = max(1, int(unroll))
        self.zero_output_for_mask = zero_output_for_mask
        self._carried: tuple[gc.Variable, ...] = ()

    # --- the states -----------------------------------------------------------------------------

    def zero_states(self, batch: Any, dtype: Any) -> Any:
        """The states before the first step, for a layer that is built."""
        raise TypeError(f"{type(self).__name__} does not define zero_states(batch, dtype)")

    @property
    def state_count(self) -> int:
        """How many states a call takes and returns."""
        return len(self.zero_states(1, self.dtype))

    @property
    def carried(self) -> tuple[gc.Variable, ...]:
        return self._carried

    def carry(self, batch: Any) -> None:
        """Make the variables of a stateful layer; the last thing that `build` does."""
        if not self.stateful:
            return
        if not isinstance(batch, int):
            raise self.error(
                "stateful=True, and the batch size is not known",
                fix="write Input(shape, batch_size=n): each example of a batch has a state",
            )
        zeros = tensors_in(self.zero_states(batch, self.dtype))
        self._carried = tuple(
            gc.variable(np.zeros(zero.shape, zero.dtype), identifier(f"{self.name}_state_{n}"))
            for n, zero in enumerate(zeros)
        )

    def start(self, given: Any, batch: Any, dtype: Any) -> Any:
        """The states before the first step: given ones, those carried on, or zeros."""
        if given is None and self._carried:
            size = self._carried[0].shape[0]
            if batch != size:
                raise self.error(
                    f"it carries the states of {size} examples, and the batch has {batch}",
                    fix="use one batch size: Input(shape, batch_size=n)",
                )
            context = current_context()
            latest = iter(v if context is None else context.latest(v) for v in self._carried)
            return mapped(lambda _: next(latest), self.zero_states(batch, dtype))
        zeros = self.zero_states(batch, dtype)
        if given is None:
            return zeros
        states = list(given) if isinstance(given, list | tuple) else [given]
        found, wanted = tensors_in(states), tensors_in(zeros)
        if len(found) != len(wanted) or any(
            a.shape[1:] != b.shape[1:] for a, b in zip(found, wanted, strict=True)
        ):
            sizes = ", ".join(str(list(zero.shape[1:])) for zero in wanted)
            raise self.error(
                f"{len(wanted)} states of sizes {sizes} are needed",
                details=[f"got     {state.type}" for state in found],
                fix="pass initial_state=[...] with tensors [batch, *size]",
            )
        flat = iter(found)
        return mapped(lambda _: next(flat), zeros)

    def remember(self, last: Any) -> None:
        """The states after the last step are what a stateful layer goes on with."""
        context = current_context()
        if context is not None:
            for variable, value in zip(self._carried, tensors_in(last), strict=False):
                context.update(variable, gc.stop_gradient(value))

    # --- the steps ------------------------------------------------------------------------------

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return mask if self.return_sequences else None

    def ordered(self, sequence: gc.Tensor, mask: Any) -> tuple[gc.Tensor, Any]:
        """Both in the order in which the steps are taken."""
        if not self.go_backwards:
            return sequence, mask
        return gc.flip(sequence, axis=1), None if mask is None else gc.flip(mask, axis=1)

    def scanned(
        self,
        step: Step,
        sequence: gc.Tensor,
        states: States,
        mask: Any = None,
        output: gc.Tensor | None = None,
        whole: bool | None = None,
    ) -> tuple[Any, States]:
        """The output, or all outputs [batch, steps, ...], and the last states.

        step: (states, x) -> (output, states), with x: [batch, ...] of sequence: [batch, steps,
        ...], which is `ordered`, as is the mask. output: what stands for the output before the
        first step; None if the first state is the output. whole: whether all outputs are wanted; as
        return_sequences says.
        """
        wanted = self.return_sequences if whole is None else whole
        own = output is None
        given: Any = [gc.moveaxis(sequence, 1, 0)]
        if mask is not None:
            given.append(spread_mask(gc.permute_dims(mask, (1, 0)), 3))

        def body(carry: Any, now: Any) -> Any:
            x, *there = now
            result, after = step(carry if own else carry[1:], x)
            new = tuple(after) if own else (result, *after)
            for data in there:  # True where this step is no padding
                new = tuple(
                    gc.where(spread_mask(data, a.ndim), a, b)
                    for a, b in zip(new, carry, strict=True)
                )
            if not wanted:
                return new, None
            zero = bool(there) and self.zero_output_for_mask
            shown = spread_mask(there[0], new[0].ndim) if zero else None
            return new, new[0] if shown is None else gc.where(shown, new[0], 0)

        first = tuple(states) if own else (output, *states)
        last, outputs = gc.scan(body, first, given, unroll=self.unroll)
        result = gc.moveaxis(outputs, 0, 1) if wanted else last[0]
        return result, tuple(last if own else last[1:])
