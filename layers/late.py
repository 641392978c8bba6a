"""The updates of an optimizer by name, so that a training step in the cache is found without them.

Gradients and updates follow from the loss, the weights and the settings of optimizer and
constraints. If all of these are plain values of this package's own classes, the settings are a key,
and nothing need be made for a step that is in the cache.
"""

import copy
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import graphc as gc
from graphc.late_updates import LateUpdates
from graphc.layers.configured import Configured
from graphc.layers.optimizers.base import Optimizer
from graphc.layers.parameters import Parameter

Pairs = dict[gc.Variable, Any]

_HELD = ("_rate", "iterations", "_state", "_average")  # variables of an optimizer, no settings
PLAIN = frozenset({int, float, str, bool, type(None)})


class UndecidedError(Exception):
    """A setting that may do anything: a function, a class or an object of the user's own."""


def late_updates(
    loss: gc.Tensor,
    optimizer: Any,
    parameters: Sequence[Parameter],
    early: Pairs,
    make: Callable[[Any], Pairs],
) -> LateUpdates | None:
    """The updates of a step, to be made where they are needed; None if no name says what they are.

    early: what is updated besides. make: all updates, by this optimizer. It is given a copy: what
    is set later is for other steps.
    """
    try:
        key = (settings_of(optimizer), [decided(one.constraint) for one in parameters])
    except UndecidedError:
        return None
    held = copy.copy(optimizer)
    params = [parameter.variable for parameter in parameters]
    rate = [] if held._rate is None else [held._rate]
    return LateUpdates(
        lambda: make(held),
        early,
        [loss, *params, held.iterations, *rate],
        key,
        lambda: held.state.recipe(params),
        lambda recipe: held.state.restore(recipe, params),
    )


def settings_of(optimizer: Any) -> Any:
    """All that decides an optimizer's rule, as plain values. UndecidedError if they cannot say."""
    if not isinstance(optimizer, Optimizer) or not _is_ours(optimizer) or optimizer.use_ema:
        raise UndecidedError  # the first moving means are the weights of that moment
    found = {name: value for name, value in vars(optimizer).items() if name not in _HELD}
    return (type(optimizer).__qualname__, optimizer._rate is None, decided(found))


def _is_ours(value: Any) -> bool:
    return type(value).__module__.startswith("graphc.layers.")


def decided(value: Any) -> Any:
    """A setting as plain values that are equal only for settings that do the same."""
    kind = type(value)
    if kind in PLAIN:
        return value
    if kind is list or kind is tuple:
        return kind(map(decided, value))
    if isinstance(value, Mapping) and kind is dict:
        return {name: decided(item) for name, item in value.items()}
    if isinstance(value, Configured) and dataclasses.is_dataclass(value) and _is_ours(value):
        names = [field.name for field in dataclasses.fields(value)]
        if set(getattr(value, "__dict__", {})) <= set(names):
            fields = {name: decided(getattr(value, name)) for name in names}
            return (f"{kind.__module__}.{kind.__qualname__}", fields)
    raise UndecidedError
