"""Settings that many layers have, checked when the layer is made."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from graphc.layers.configured import parameter_error
from graphc.layers.limits import is_real

if TYPE_CHECKING:
    from graphc.layers.layer import Layer


def is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def check_counts(least: int, **given: Any) -> None:
    """Whole numbers, `least` or more, or None."""
    for name, value in given.items():
        if value is not None and (not is_whole(value) or value < least):
            raise parameter_error(f"{name}={value!r:.60}", f"use a whole number >= {least}")


def checked_units(layer: "Layer", value: Any, name: str = "units", least: int = 1) -> int:
    """A whole number, `least` or more."""
    if not is_whole(value) or value < least:
        kind = type(layer).__name__
        raise parameter_error(
            f"{kind}: {name}={value!r:.60}", f"{name} is a whole number >= {least}: {kind}(10)"
        )
    return int(value)


def checked_flag(layer: "Layer", name: str, value: Any) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise parameter_error(f"{type(layer).__name__}: {name}={value!r:.60}", "use True or False")
    return bool(value)


def checked_rate(layer: "Layer", value: Any, name: str = "rate") -> float:
    """A probability, 0 <= value < 1."""
    if not is_real(value) or not 0 <= value < 1:
        raise parameter_error(
            f"{type(layer).__name__}: {name}={value!r:.60}",
            f"{name} is the part that is dropped, 0 <= {name} < 1",
        )
    return float(value)


def checked_choice(layer: "Layer", name: str, value: Any, allowed: Sequence[Any]) -> Any:
    if value not in allowed:
        shown = ", ".join(map(repr, allowed))
        raise parameter_error(
            f"{type(layer).__name__}: {name}={value!r:.60}", f"use one of {shown}"
        )
    return value


def numbers(layer: "Layer", name: str, value: Any, count: int, least: int = 1) -> tuple[int, ...]:
    """A whole number for each of `count` axes; one number stands for all."""
    given = value.tolist() if isinstance(value, np.ndarray) else value
    many = (given,) * count if is_whole(given) else given
    fits = isinstance(many, list | tuple) and len(many) == count
    if not fits or not all(is_whole(one) and one >= least for one in many):
        raise parameter_error(
            f"{type(layer).__name__}: {name}={value!r:.60}",
            f"give a whole number >= {least}, or {count} of them",
        )
    return tuple(int(one) for one in many)
