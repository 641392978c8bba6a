"""Sequential: layers one after the other."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import graphc as gc
from graphc.layers import configs
from graphc.layers.architecture import input_config
from graphc.layers.configured import written
from graphc.layers.context import outside_contexts
from graphc.layers.functional import LayerGraph
from graphc.layers.input import Input, InputLayer
from graphc.layers.layer import Layer, LayerOutput
from graphc.layers.model import Model

__all__ = ["Sequential"]


class Sequential(Model):
    """Layers of which each takes what the one before gives.

    layers: may begin with an Input, or with a layer that has input_shape=; then the model is built
    at once, else when it is first called or fitted.

    >>> model = Sequential([Input((64,)), Dense(30, "relu"), Dense(10, "softmax")])
    """

    takes_tensors: ClassVar[bool] = True

    def __init__(self, layers: Sequence[Any] = (), *, name: str | None = None) -> None:
        super().__init__(name=name)
        self._sequence: list[Layer] = []
        self._entry: LayerOutput | None = None
        for layer in layers:
            self._append(layer)
        self._rebuild()

    def add(self, layer: Any) -> None:
        """Add a layer at the end."""
        self._append(layer)
        self._rebuild()

    def pop(self) -> Layer:
        """Remove the last layer."""
        layer = self._sequence.pop()
        self._rebuild()
        return layer

    def _append(self, layer: Any) -> None:
        if isinstance(layer, LayerOutput) and isinstance(layer.call.layer, InputLayer):
            layer = layer.call.layer
        if isinstance(layer, InputLayer) and not self._sequence and self._entry is None:
            self._entry = layer.output
            return
        if not isinstance(layer, Layer) or isinstance(layer, InputLayer):
            raise gc.FunctionError(
                f"Sequential: {layer!r:.60} is no layer that can stand here",
                code="E246",
                source=written(),
                fix=f"make a layer of the class: {layer.__name__}(...)"
                if isinstance(layer, type) and issubclass(layer, Layer)
                else "give layers, not the results of calling them; an Input stands first",
            )
        if layer.example_shape is not None and not self._sequence and self._entry is None:
            self._entry = Input(layer.example_shape, dtype=layer._wanted_dtype)
        self._sequence.append(layer)

    def _parts(self) -> list[Layer]:
        return list({id(layer): layer for layer in self._sequence}.values())

    def _rebuild(self) -> None:
        if self._entry is None or not self._sequence:
            self._set_graph(None)
            return
        with outside_contexts():  # the first call may be one in training
            self._set_graph(LayerGraph(self._entry, self.call(self._entry)))

    def build(self, input_shape: Any) -> None:
        """Take on the shape of the first input that the model sees."""
        if self._entry is None and input_shape and isinstance(input_shape, tuple):
            sizes = [size if isinstance(size, int) else None for size in input_shape[1:]]
            self._entry = Input(sizes, dtype=self.dtype)
            self._rebuild()

    def get_config(self) -> dict[str, Any]:
        """The layers as plain values, for JSON."""
        entry = None if self._entry is None else input_config(self._entry)
        parts = [configs.described(self, "layers", layer) for layer in self._sequence]
        return self.given_name() | {"input": entry, "layers": parts}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom: Mapping[str, Any] | None = None) -> Any:
        """A model with these layers; its weights are new."""
        custom = custom or {}
        found = [
            configs.layer_from(one, custom) if isinstance(one, Mapping) else one
            for one in config["layers"]
        ]
        if config.get("input") is not None:
            found.insert(0, Input(**config["input"]))
        return cls(found, name=config.get("name"))

    def call(self, inputs: Any) -> Any:
        if self._graph is not None:
            (inputs,) = self._checked_inputs(inputs)
        for layer in self._sequence:
            inputs = layer(inputs)
        return inputs
