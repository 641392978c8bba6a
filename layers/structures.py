"""Nested lists, tuples and dicts around tensors."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import graphc as gc

_LEAVES = (gc.Tensor, str, int, float, np.ndarray)


def leaves(value: Any) -> list[Any]:
    """What is inside, in order; None is nothing."""
    if value is None:
        return []
    if isinstance(value, _LEAVES):  # most are: whether something is a Mapping takes long to say
        return [value]
    if isinstance(value, list | tuple):
        return [leaf for item in value for leaf in leaves(item)]
    if isinstance(value, dict | Mapping):
        return [leaf for item in value.values() for leaf in leaves(item)]
    return [value]


def tensors_in(value: Any) -> list[gc.Tensor]:
    """The tensors among the leaves."""
    return [leaf for leaf in leaves(value) if isinstance(leaf, gc.Tensor)]


def mapped(function: Callable[[Any], Any], value: Any) -> Any:
    """The same structure with function(leaf) in the place of each leaf."""
    if value is None:
        return None
    if isinstance(value, _LEAVES):
        return function(value)
    if isinstance(value, list | tuple):
        items = [mapped(function, item) for item in value]
        return items if isinstance(value, list) else tuple(items)
    if isinstance(value, dict | Mapping):
        return {key: mapped(function, item) for key, item in value.items()}
    return function(value)


def as_tensors(value: Any) -> Any:
    """Arrays become constants; everything else stays."""
    return mapped(lambda leaf: gc.constant(leaf) if isinstance(leaf, np.ndarray) else leaf, value)


def key_of(value: Any) -> Any:
    """A hashable key: equal for the same tensors in the same structure and equal other values."""
    if isinstance(value, gc.Tensor):
        return ("tensor", *value.key)
    if isinstance(value, list | tuple):
        return (type(value).__name__, *map(key_of, value))
    if isinstance(value, dict | Mapping):
        return ("dict", *((key, key_of(item)) for key, item in value.items()))
    try:
        hash(value)
    except TypeError:
        return ("object", id(value))
    return (type(value).__name__, value)
