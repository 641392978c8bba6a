"""Settings of layers as plain values that JSON can hold, and back."""

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

import graphc as gc
from graphc.layers import activations
from graphc.layers.configured import Configured, written


class Registry:
    """Classes of layers by name: what a file may name. Files hold names, never code."""

    def __init__(self) -> None:
        self.classes: dict[str, Any] = {}

    def layer(self, name: str, custom: Mapping[str, Any]) -> Any:
        found = custom.get(name) or self.classes.get(name)
        if found is None:
            raise gc.FunctionError(
                f"there is no layer class called {name!r}",
                code="E247",
                source=written(),
                fix=f"pass custom_objects={{{name!r}: ...}} with the class that the model was "
                "saved with",
            )
        return found


REGISTRY = Registry()


def arguments_of(owner: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a constructor by name, as plain values; those left out are left out."""
    bound = inspect.signature(type(owner).__init__).bind(owner, *args, **kwargs)
    named: dict[str, Any] = {}
    for name, parameter in list(bound.signature.parameters.items())[1:]:
        if name not in bound.arguments:
            continue
        value = bound.arguments[name]
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            named.update(value)
        elif parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            raise _unfit(owner, name, "settings without a name")
        else:
            named[name] = value
    return {name: described(owner, name, value) for name, value in named.items()}


def described(owner: Any, name: str, value: Any) -> Any:
    """A setting as a plain value. FunctionError (E247) for what no file can hold."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return {"array": value.tolist(), "dtype": value.dtype.name}
    if isinstance(value, np.dtype):
        return value.name
    if isinstance(value, list | tuple):
        return [described(owner, name, item) for item in value]
    if hasattr(value, "all_layers"):
        return {"layer": type(value).__name__, "config": value.get_config()}
    if isinstance(value, Configured) or hasattr(value, "get_config"):
        return {"class_name": type(value).__name__, "config": value.get_config()}
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {"dict": {key: described(owner, name, item) for key, item in value.items()}}
    known = activations.name_of(value) if callable(value) else None
    if known is not None:
        return known
    if isinstance(value, type):
        try:
            return gc.as_dtype(value).name
        except gc.DTypeError:
            pass
    raise _unfit(owner, name, f"a value of type {type(value).__name__}")


def _unfit(owner: Any, name: str, what: str) -> gc.FunctionError:
    return gc.FunctionError(
        f"{type(owner).__name__} {owner.name!r} cannot be saved: {name} is {what}",
        code="E247",
        source=written(),
        fix="use names of functions, or a Layer subclass with get_config in place of Python code; "
        "model.save_weights keeps the weights alone",
    )


def restored(value: Any, custom: Mapping[str, Any] | None = None) -> Any:
    """Plain values as settings again. Objects that are no layers stay dicts: `get` reads them."""
    custom = custom or {}
    if isinstance(value, list):
        return [restored(item, custom) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"array", "dtype"}:
        return np.array(value["array"], dtype=gc.as_dtype(value["dtype"]))
    if set(value) == {"dict"}:
        return {key: restored(item, custom) for key, item in value["dict"].items()}
    if set(value) == {"layer", "config"}:
        return layer_from(value, custom)
    if set(value) == {"class_name", "config"}:
        return value
    return {key: restored(item, custom) for key, item in value.items()}


def layer_from(description: Mapping[str, Any], custom: Mapping[str, Any] | None = None) -> Any:
    """The layer of {"layer", "config"}; its weights are new."""
    custom = custom or {}
    cls = REGISTRY.layer(description["layer"], custom)
    if "calls" in description["config"]:  # a model reads its layers itself
        return cls.from_config(description["config"], custom)
    return cls.from_config(restored(description["config"], custom))
