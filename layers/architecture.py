"""The structure of models as plain values for JSON, and models from such values.

A tensor is {"tensor": [number of the call, number of its result]}: calls are listed in the order of
computation, the inputs among them.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import graphc as gc
from graphc.layers import configs
from graphc.layers.configured import written
from graphc.layers.functional import LayerGraph
from graphc.layers.input import InputLayer
from graphc.layers.layer import LayerOutput
from graphc.layers.structures import leaves

if TYPE_CHECKING:
    from graphc.layers.model import Model


def described_graph(model: "Model", graph: LayerGraph) -> dict[str, Any]:
    """Layers, calls, inputs and outputs. FunctionError (E247): expressions between layers."""
    for expression in graph.expressions:
        if expression.inputs:
            raise gc.FunctionError(
                f"{type(model).__name__} {model.name!r} cannot be saved: there is an expression "
                "between its layers",
                code="E247",
                details=[f"{expression.result.op.name}: written {expression.result.source}"],
                source=written(),
                fix="use a layer, such as layers.Add(), or a Layer subclass of your own; "
                "model.save_weights keeps the weights alone",
            )
    labels = {id(layer): label for label, layer in model.sublayers()}
    places: dict[tuple[int, int], list[int]] = {}
    calls = []
    for number, call in enumerate(graph.calls):
        for position, tensor in enumerate(leaves(call.outputs)):
            places[tensor.key] = [number, position]
    for call in graph.calls:
        calls.append(
            {
                "layer": labels[id(call.layer)],
                "args": [_argument(model, places, one) for one in call.args],
                "kwargs": {n: _argument(model, places, v) for n, v in call.kwargs.items()},
            }
        )
    return {
        "layers": [
            {"label": labels[id(layer)], "layer": type(layer).__name__, "config": _config(layer)}
            for layer in graph.layers
        ],
        "calls": calls,
        "inputs": _argument(model, places, graph.inputs),
        "outputs": _argument(model, places, graph.outputs),
    }


def _config(layer: Any) -> dict[str, Any]:
    config: dict[str, Any] = layer.get_config()
    if isinstance(layer, InputLayer):
        return input_config(layer.output)
    return config


def input_config(tensor: LayerOutput) -> dict[str, Any]:
    """The shape, batch_size, dtype and name of an Input."""
    layer: Any = tensor.call.layer
    return {
        "shape": list(layer.shape),
        "batch_size": layer.batch_size,
        "dtype": layer.dtype.name,
        "name": None if layer._automatic else layer.name,
    }


def _argument(model: Any, places: Mapping[tuple[int, int], list[int]], value: Any) -> Any:
    if isinstance(value, gc.Tensor):
        if value.key in places:
            return {"tensor": places[value.key]}
        if value.op.name == "constant":
            array = np.asarray(gc.run(value))
            return {"constant": array.tolist(), "dtype": array.dtype.name}
        raise gc.FunctionError(
            f"{type(model).__name__} {model.name!r} cannot be saved: {value.name or value.op.name} "
            "is no result of a layer",
            code="E247",
            details=[f"{value.type}, written {value.source}"],
            source=written(),
            fix="make inputs by layers.Input, and use variables inside of layers",
        )
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_argument(model, places, one) for one in value]}
    if isinstance(value, Mapping):
        return {"dict": {key: _argument(model, places, one) for key, one in value.items()}}
    return {"value": configs.described(model, "an argument", value)}


def restored_graph(config: Mapping[str, Any], custom: Mapping[str, Any]) -> tuple[Any, Any]:
    """Inputs and outputs of new layers, called as described."""
    layers = {
        one["label"]: configs.layer_from({"layer": one["layer"], "config": one["config"]}, custom)
        for one in config["layers"]
    }
    results: list[list[Any]] = []

    def value(described: Mapping[str, Any]) -> Any:
        if "tensor" in described:
            number, position = described["tensor"]
            return results[number][position]
        if "constant" in described:
            return gc.constant(np.array(described["constant"], described["dtype"]))
        if "list" in described:
            return [value(one) for one in described["list"]]
        if "tuple" in described:
            return tuple(value(one) for one in described["tuple"])
        if "dict" in described:
            return {key: value(one) for key, one in described["dict"].items()}
        return configs.restored(described["value"], custom)

    for call in config["calls"]:
        layer = layers[call["layer"]]
        if isinstance(layer, InputLayer):
            results.append([layer.output])
            continue
        kwargs = {name: value(one) for name, one in call["kwargs"].items()}
        results.append(leaves(layer(*(value(one) for one in call["args"]), **kwargs)))
    return value(config["inputs"]), value(config["outputs"])
