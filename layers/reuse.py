"""Which results of layers may be used again: those of calls that would give the same once more.

A model is built twice: as its outputs are those of prediction, and for the training step. A call
that asked nothing of its context (see `CallContext.touch`) is the same in both, if the layer has
not been changed since, and no code but that of this package decides what it does.
"""

from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np

import graphc as gc
from graphc.layers.calls import InputSpec
from graphc.layers.configured import Configured
from graphc.layers.late import PLAIN, UndecidedError, decided
from graphc.layers.parameters import Parameter, ParameterOwner
from graphc.layers.seeds import SeedGenerator
from graphc.shapes import Dim

_KNOWN = (gc.Variable, InputSpec, Parameter, SeedGenerator, np.dtype, Dim)
_UNUSED = frozenset({"_given", "_first_call"})  # what the constructor and the layer were given


def state_of(layer: Any) -> list[Any] | None:
    """All that decides what a layer and those inside it do; None if that cannot be told."""
    found: list[Any] = []
    waiting: list[Any] = [layer]
    seen: set[int] = set()
    while waiting:
        value = waiting.pop()
        kind = type(value)
        if kind in PLAIN or isinstance(value, _KNOWN):
            found.append(value)
        elif isinstance(value, ParameterOwner):
            found.append(value)
            if id(value) in seen:
                continue
            seen.add(id(value))
            if not _is_ours(kind):
                return None
            for name, attribute in vars(value).items():
                if name not in _UNUSED:
                    found.append(name)
                    waiting.append(attribute)
        elif kind is list or kind is tuple:
            found += (kind, len(value))
            waiting += value
        elif kind is FunctionType and _is_ours(value):
            found.append(value)
        elif not (isinstance(value, Configured) and _is_decided(value)):
            return None
        else:
            found.append(value)
    return found


def is_unchanged(old: list[Any], layer: Any) -> bool:
    """Whether a layer does what it did when `old` was its state."""
    new = state_of(layer)
    return (
        new is not None
        and len(new) == len(old)
        and all(
            a is b or (type(a) is type(b) and type(a) in PLAIN and a == b)
            for a, b in zip(old, new, strict=True)
        )
    )


def _is_ours(value: type | Callable[..., Any]) -> bool:
    return value.__module__.startswith("graphc.")


def _is_decided(value: Configured) -> bool:
    try:
        decided(value)
    except UndecidedError:
        return False
    return True
