"""Model: layers put together, from inputs to outputs or by subclassing."""

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import graphc as gc
from graphc.layers import saving, weight_files
from graphc.layers.architecture import described_graph, restored_graph
from graphc.layers.arguments import is_whole
from graphc.layers.configured import written
from graphc.layers.functional import LayerGraph
from graphc.layers.layer import Layer, Parameter
from graphc.layers.naming import snake_case, unique
from graphc.layers.picture import picture_of
from graphc.layers.structures import leaves, tensors_in
from graphc.layers.summary import summary_of
from graphc.layers.training import Trainer
from graphc.surface import surface

__all__ = ["Model"]


class Model(Trainer):
    """Several layers that act as one.

    `Model(inputs, outputs)`: what lies between these tensors; each side is a tensor, or a list or
    dict of them. Layers may be shared, and joined by any expressions. A subclass makes its layers
    in `__init__` and uses them in `call`. A model is a layer: models may contain models.

    `inputs` and `outputs` are ordinary tensors: compile, print and differentiate them as others.
    They are those of prediction; `model(x, training=True)` is the model in training.
    """

    takes_tensors: ClassVar[bool] = True
    supports_masking = True  # what the layers inside say holds

    def __init__(
        self, inputs: Any = None, outputs: Any = None, *, name: str | None = None, **options: Any
    ) -> None:
        super().__init__(name=name, **options)
        self._graph: LayerGraph | None = None
        if inputs is not None or outputs is not None:
            self._set_graph(LayerGraph(inputs, outputs))

    def _set_graph(self, graph: LayerGraph | None) -> None:
        self._graph = graph
        self._params = []
        if graph is None:
            self.built = False
            return
        self.built = True
        inner = {p.variable.key for layer in graph.layers for _, p in layer.parameters()}
        for expression in graph.expressions:
            for variable in expression.variables:
                if variable.key not in inner:
                    inner.add(variable.key)
                    self._params.append(_loose(variable))

    # --- what it is made of ---

    @property
    def graph(self) -> LayerGraph | None:
        """The calls between inputs and outputs; None if the model is a subclass or not built."""
        return self._graph

    @property
    def inputs(self) -> list[gc.Tensor]:
        """The tensors that the model is fed."""
        return [] if self._graph is None else tensors_in(self._graph.inputs)

    @property
    def outputs(self) -> list[gc.Tensor]:
        """The expressions of prediction."""
        return [] if self._graph is None else tensors_in(self._graph.outputs)

    @property
    def input(self) -> Any:
        return None if self._graph is None else self._graph.inputs

    @property
    def output(self) -> Any:
        return None if self._graph is None else self._graph.outputs

    @property
    def layers(self) -> list[Layer]:
        """The layers directly inside, in the order of computation."""
        return list({id(layer): layer for _, layer in self.sublayers()}.values())

    def _parts(self) -> list[Layer] | None:
        return None if self._graph is None else self._graph.layers

    def sublayers(self) -> Iterator[tuple[str, Layer]]:
        """The layers with names that are unique in this model, whatever else the process made."""
        parts = self._parts()
        found = list(super().sublayers())
        if parts is None:
            yield from found
            return
        names = unique(
            (
                snake_case(type(layer).__name__)
                if layer._automatic
                else layer.name.replace("/", "_"),
                not layer._automatic,
            )
            for layer in parts
        )
        yield from zip(names, parts, strict=True)
        known = {id(layer) for layer in parts}
        yield from ((name, layer) for name, layer in found if id(layer) not in known)

    @surface
    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """A layer by its name (or the name that it has in the summary), or by its position."""
        if index is not None:
            return self._layer_at(index)
        for label, layer in self.sublayers():
            if name in (label, layer.name):
                return layer
        raise gc.FunctionError(
            f"model {self.name!r} has no layer {name!r}",
            code="E231",
            details=["it has " + ", ".join(label for label, _ in self.sublayers())],
            source=written(),
            fix="give one of these names; model.summary() lists them",
        )

    def _layer_at(self, index: int) -> Layer:
        layers = self.layers
        if not is_whole(index) or not -len(layers) <= index < len(layers):
            raise gc.FunctionError(
                f"model {self.name!r} has no layer number {index!r:.60}",
                code="E231",
                source=written(),
                fix=f"it has {len(layers)} layers, which are counted from 0",
            )
        return layers[index]

    # --- the call ---

    def call(self, inputs: Any) -> Any:
        if self._graph is None:
            return super().call(inputs)
        return self._graph.replay(self._checked_inputs(inputs))

    def _checked_inputs(self, inputs: Any) -> list[gc.Tensor]:
        """One tensor for each input, of its rank and sizes."""
        declared = self.inputs
        if isinstance(inputs, dict):
            by_name = {str(key): value for key, value in inputs.items()}
            names = [str(getattr(getattr(t, "call", None), "layer", t).name) for t in declared]
            if set(names) <= set(by_name):
                inputs = [by_name[name] for name in names]
        given = [gc.as_tensor(leaf) for leaf in leaves(inputs)]
        if len(given) != len(declared):
            raise self.error(
                f"the model has {len(declared)} inputs and was given {len(given)}",
                details=[f"{t.name}: {t.type}" for t in declared],
                fix="give one tensor for each input, in their order",
                code="E242",
            )
        for tensor, wanted in zip(given, declared, strict=True):
            self.check_example(str(wanted.name), tensor.shape, wanted)
        return given

    def check_example(self, name: str, shape: tuple[Any, ...], wanted: gc.Tensor) -> None:
        """ShapeError (E242) if `shape` is none of the input `wanted`."""
        fits = len(shape) == wanted.ndim and all(
            a == b
            for a, b in zip(shape, wanted.shape, strict=True)
            if isinstance(a, int) and isinstance(b, int)
        )
        if fits:
            return
        example = tuple(s if isinstance(s, int) else None for s in wanted.shape[1:])
        got = tuple(s if isinstance(s, int) else None for s in shape)
        fix = f"feed arrays of shape (examples, {', '.join(map(str, example))})"
        if got == example or (len(got) == len(example) and got[1:] == example[1:]):
            fix = "the shape of Input is that of one example: Input(shape=X.shape[1:])"
        raise self.error(
            f"input {name!r} does not fit",
            details=[f"got     {got}", f"allowed {wanted.type}"],
            fix=fix,
            code="E242",
        )

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return None

    # --- files ---

    def get_config(self) -> dict[str, Any]:
        """Layers and calls as plain values, for JSON; of a subclass the constructor's arguments."""
        if type(self) is Model and self._graph is not None:
            return self.given_name() | described_graph(self, self._graph)
        return super().get_config()

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom: Mapping[str, Any] | None = None) -> Any:
        """A model with these layers; its weights are new."""
        if cls is Model and "calls" in config:
            inputs, outputs = restored_graph(config, custom or {})
            return cls(inputs, outputs, name=config.get("name"))
        return super().from_config(config)

    @surface
    def save(self, path: str | os.PathLike[str], include_optimizer: bool = True) -> None:
        """Write the model to one file: layers, weights, optimizer, random numbers.

        `load_model(path)` makes the same model of it, which goes on training bit by bit as this one
        would. The file is a zip of JSON and safetensors, without code; it appears whole or not at
        all. FunctionError (E247): Python functions in layers or losses, expressions between layers.
        """
        saving.save_model(self, path, include_optimizer)

    @surface
    def save_weights(self, path: str | os.PathLike[str]) -> None:
        """Write the weights to a .npz or .safetensors file, by name; whole or not at all."""
        weight_files.save_weights(self, path)

    @surface
    def load_weights(self, path: str | os.PathLike[str]) -> None:
        """Set the weights from a .npz, .safetensors or .gcx file, or from Keras's .h5 or .keras.

        ShapeError (E245): names or shapes that are not those of this model; nothing has changed.
        Files of Keras need the extra h5py: pip install 'graphc[keras]'.
        """
        weight_files.load_weights(self, path)

    # --- looks ---

    def plot(self, path: str | os.PathLike[str] | None = None) -> str:
        """A picture of the layers: Graphviz text, and a file .dot, .gv or .svg for a path."""
        return picture_of(self, path)

    @surface
    def summary(self, print_fn: Callable[[str], Any] = print) -> None:
        """Print the layers, the shapes of their results and the numbers of their weights."""
        print_fn(summary_of(self))


def _loose(variable: gc.Variable) -> Parameter:
    """A variable that an expression between layers uses, as a weight of the model."""
    trained = gc.isdtype(variable.dtype, "real floating") and variable.default_update is None
    tags = frozenset({"trainable", "regularizable"} if trained else ())
    return Parameter(str(variable.name), variable, trained, tags=tags)
