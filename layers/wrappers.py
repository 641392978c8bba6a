"""Bidirectional and TimeDistributed: layers around other layers."""

from typing import Any

import graphc as gc
from graphc.layers import configs
from graphc.layers.arguments import checked_choice
from graphc.layers.configured import parameter_error
from graphc.layers.layer import InputSpec, Layer
from graphc.layers.sequence import SequenceLayer
from graphc.layers.structures import mapped

__all__ = ["Bidirectional", "TimeDistributed"]


class Bidirectional(Layer):
    """A recurrent layer that reads forwards, and another one that reads backwards.

    merge_mode: "concat" (along the features), "sum", "mul", "ave", or None for a list of both.
    backward_layer: one of the same class and settings, with weights of its own, unless given.
    """

    def __init__(
        self,
        layer: SequenceLayer,
        merge_mode: str | None = "concat",
        backward_layer: SequenceLayer | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if not isinstance(layer, SequenceLayer):
            raise parameter_error(
                f"Bidirectional: {layer!r:.60} is no recurrent layer", "give an LSTM, GRU, ..."
            )
        modes = ("concat", "sum", "mul", "ave", None)
        self.merge_mode = checked_choice(self, "merge_mode", merge_mode, modes)
        self.forward_layer = layer
        if backward_layer is None:
            config = layer.get_config()
            config |= {"go_backwards": not layer.go_backwards, "name": f"{layer.name}_backward"}
            parts = {type(inner).__name__: type(inner) for _, inner in layer.all_layers()}
            description = {"layer": type(layer).__name__, "config": config}
            backward_layer = configs.layer_from(description, parts)
        self.backward_layer = backward_layer
        for one in (layer, backward_layer):  # outputs of padded steps are 0 in both directions
            one.zero_output_for_mask = one.return_sequences
        self.input_spec = InputSpec(min_ndim=3)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        found = self.forward_layer.compute_mask(inputs, mask)
        return [found, found] if self.merge_mode is None else found

    def call(self, inputs: Any, initial_state: Any = None, mask: Any = None) -> Any:
        count = self.forward_layer.state_count
        states: list[Any] = [None, None]
        if initial_state is not None:
            states = [initial_state[:count], initial_state[count:]]
        ahead = self.forward_layer(inputs, initial_state=states[0], mask=mask)
        behind = self.backward_layer(inputs, initial_state=states[1], mask=mask)
        last: list[Any] = []
        if self.forward_layer.return_state:
            last = [*ahead[1:], *behind[1:]]
            ahead, behind = ahead[0], behind[0]
        if self.forward_layer.return_sequences:
            behind = gc.flip(behind, axis=1)
        merged = self._merged(ahead, behind)
        if not last:
            return merged
        return [*(merged if isinstance(merged, list) else [merged]), *last]

    def _merged(self, ahead: Any, behind: Any) -> Any:
        match self.merge_mode:
            case "concat":
                return gc.concat([ahead, behind], axis=-1)
            case "sum":
                return ahead + behind
            case "mul":
                return ahead * behind
            case "ave":
                return (ahead + behind) / 2
        return [ahead, behind]


class TimeDistributed(Layer):
    """A layer applied to each step of [batch, steps, ...], with the same weights."""

    supports_masking = True

    def __init__(self, layer: Layer, **options: Any) -> None:
        super().__init__(**options)
        if not isinstance(layer, Layer):
            raise parameter_error(
                f"TimeDistributed: {layer!r:.60} is no layer", "give a layer: Dense(10)"
            )
        self.layer = layer
        self.input_spec = InputSpec(min_ndim=3)

    def call(self, inputs: Any) -> Any:
        batch, steps = inputs.shape[:2]
        flat = gc.reshape(inputs, (batch * steps, *inputs.shape[2:]))
        return mapped(
            lambda leaf: gc.reshape(leaf, (batch, steps, *leaf.shape[1:])), self.layer(flat)
        )
