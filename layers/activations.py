"""Activation functions by name, as Keras names them."""

import difflib
from collections.abc import Callable
from typing import Any

import graphc as gc
from graphc.layers.configured import parameter_error

__all__ = [
    "celu",
    "elu",
    "exponential",
    "gelu",
    "get",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "heaviside",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "squareplus",
    "swish",
    "tanh",
    "tanh_shrink",
    "threshold",
]

Activation = Callable[[Any], gc.Tensor]


relu, sigmoid, tanh, softmax, softplus = gc.relu, gc.sigmoid, gc.tanh, gc.softmax, gc.softplus
celu, elu, selu, gelu, glu, mish = (
    gc.nn.celu,
    gc.nn.elu,
    gc.nn.selu,
    gc.nn.gelu,
    gc.nn.glu,
    gc.nn.mish,
)
silu = swish = gc.nn.silu
hard_silu = hard_swish = gc.nn.hard_silu
hard_sigmoid, hard_tanh, relu6 = gc.nn.hard_sigmoid, gc.nn.hard_tanh, gc.nn.relu6
log_sigmoid, log_softmax = gc.nn.log_sigmoid, gc.nn.log_softmax
softsign, squareplus = gc.nn.softsign, gc.nn.squareplus


def linear(x: Any) -> Any:
    """x itself."""
    return x


def leaky_relu(x: Any, negative_slope: float = 0.2) -> Any:
    """x above 0, else negative_slope * x; the slope is Keras's."""
    return gc.nn.leaky_relu(x, negative_slope)


def exponential(x: Any) -> Any:
    """exp(x)"""
    return gc.exp(x)


def hard_shrink(x: Any, threshold: float = 0.5) -> Any:
    """x outside of [-threshold, threshold], else 0."""
    return gc.where(gc.abs(x) > threshold, x, 0)


def soft_shrink(x: Any, threshold: float = 0.5) -> Any:
    """x brought nearer to 0 by the threshold, at most to 0."""
    return gc.where(x > threshold, x - threshold, gc.where(x < -threshold, x + threshold, 0))


def tanh_shrink(x: Any) -> Any:
    """x - tanh(x)"""
    return x - gc.tanh(x)


def threshold(x: Any, threshold: float, default_value: float) -> Any:
    """x above the threshold, else default_value."""
    return gc.where(x > threshold, x, default_value)


def sparse_plus(x: Any) -> Any:
    """0 up to -1, (x + 1)^2 / 4 up to 1, then x."""
    return gc.where(x <= -1, 0, gc.where(x < 1, gc.square(x + 1) / 4, x))


def sparse_sigmoid(x: Any) -> Any:
    """0 up to -1, (x + 1) / 2 up to 1, then 1."""
    return gc.clip((x + 1) / 2, 0, 1)


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
    "celu": celu,
    "glu": glu,
    "hard_swish": hard_silu,
    "hard_tanh": hard_tanh,
    "log_sigmoid": log_sigmoid,
    "squareplus": squareplus,
    "hard_shrink": hard_shrink,
    "soft_shrink": soft_shrink,
    "tanh_shrink": tanh_shrink,
    "sparse_plus": sparse_plus,
    "sparse_sigmoid": sparse_sigmoid,
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
