"""Activation functions by name, as Keras names them."""

import difflib
from collections.abc import Callable
from typing import Any

import graphc as gc
from graphc.layers.configured import parameter_error

__all__ = ["get"]

Activation = Callable[[Any], gc.Tensor]


def linear(x: Any) -> Any:
    """x itself."""
    return x


def leaky_relu(x: Any, negative_slope: float = 0.2) -> Any:
    """x above 0, else negative_slope * x; the slope is Keras's."""
    return gc.nn.leaky_relu(x, negative_slope)


def exponential(x: Any) -> Any:
    """exp(x)"""
    return gc.exp(x)


def heaviside(x: Any) -> Any:
    """1 where x >= 0, else 0; its derivative is 0."""
    return (x >= 0).astype(x.dtype)


_NAMES: dict[str, Activation] = {
    "linear": linear,
    "relu": gc.relu,
    "relu6": gc.nn.relu6,
    "leaky_relu": leaky_relu,
    "elu": gc.nn.elu,
    "selu": gc.nn.selu,
    "gelu": gc.nn.gelu,
    "silu": gc.nn.silu,
    "swish": gc.nn.silu,
    "mish": gc.nn.mish,
    "sigmoid": gc.sigmoid,
    "hard_sigmoid": gc.nn.hard_sigmoid,
    "hard_silu": gc.nn.hard_silu,
    "tanh": gc.tanh,
    "softplus": gc.softplus,
    "softsign": gc.nn.softsign,
    "softmax": gc.softmax,
    "log_softmax": gc.nn.log_softmax,
    "exponential": exponential,
    "heaviside": heaviside,
}
_FUNCTIONS = {id(function): name for name, function in reversed(_NAMES.items())}


def get(given: Any) -> Activation:
    """The function of a name, of None (linear), or itself. ParameterError [E231] for others."""
    if given is None:
        return linear
    if isinstance(given, str):
        found = _NAMES.get(given.lower())
        if found is not None:
            return found
        near = difflib.get_close_matches(given.lower(), list(_NAMES), 1)
        raise parameter_error(
            f"there is no activation called {given!r}",
            ("did you mean " if near else "use one of ") + ", ".join(near or sorted(_NAMES)),
            code="E231",
        )
    if callable(given) and not isinstance(given, type | gc.Tensor):
        function: Activation = given
        return function
    raise parameter_error(
        f"{given!r:.60} is no activation",
        "pass a name, such as 'relu', or a function of a tensor",
        code="E231",
    )


def name_of(function: Activation) -> str | None:
    """The name that `get` knows the function by."""
    return _FUNCTIONS.get(id(function))
