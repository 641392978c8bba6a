"""What an accumulator holds: its identity, and how it takes in a value."""

from typing import Any

import numpy as np

from graphc.dtypes import DType, float64, highest, is_floating, lowest

ARITHMETIC = ("add", "mul", "maximum", "minimum")
POSITIONAL = ("argmax", "argmin")
COMBINES = (*ARITHMETIC, "and", "or", *POSITIONAL)


def identity(combine: str, dtype: DType) -> bool | int | float:
    """What an accumulator that met no element holds."""
    if combine in ("maximum", "argmax"):
        return lowest(dtype)
    if combine in ("minimum", "argmin"):
        return highest(dtype)
    if combine in ("and", "or"):
        return combine == "and"
    one = 1 if combine == "mul" else 0
    return float(one) if is_floating(dtype) else one


def working_dtype(combine: str, dtype: DType) -> DType:
    """Sums and products of floats are formed in float64 and rounded once, when they are read."""
    return float64 if combine in ("add", "mul") and is_floating(dtype) else dtype


class Cell:
    """One accumulator at run time: numpy scalars taken in one at a time."""

    def __init__(self, combine: str, dtype: DType) -> None:
        self.combine = combine
        self.dtype = dtype
        self._working = working_dtype(combine, dtype)
        self._value = self._working.type(identity(combine, dtype))
        self._position = np.int64(0)
        self._empty = True

    @property
    def value(self) -> Any:
        return self.dtype.type(self._value)

    @property
    def position(self) -> Any:
        return self._position

    def take(self, value: Any, position: Any = None) -> None:
        if self.combine in POSITIONAL:
            self._take_best(value, position)
            return
        value = self._working.type(value)
        match self.combine:
            case "add":
                self._value = self._value + value
            case "mul":
                self._value = self._value * value
            case "maximum":
                self._value = np.maximum(self._value, value)
            case "minimum":
                self._value = np.minimum(self._value, value)
            case "and":
                self._value = self._value & value
            case "or":
                self._value = self._value | value

    def _take_best(self, value: Any, position: Any) -> None:
        """NaN beats all numbers; of equals (and of NaNs) the smallest position wins."""
        if self._empty or self._beats(value, position):
            self._value, self._position, self._empty = value, position, False

    def _beats(self, value: Any, position: Any) -> bool:
        is_nan, best_is_nan = value != value, self._value != self._value
        if is_nan != best_is_nan:
            return bool(is_nan)
        if is_nan or value == self._value:
            return bool(position < self._position)
        return bool(value > self._value if self.combine == "argmax" else value < self._value)
