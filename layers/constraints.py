"""Bounds of weights: `constraint(expression)` is what an updated weight is replaced by."""

from collections.abc import Callable, Sequence
from typing import Any

import graphc as gc
from graphc.layers.arguments import is_whole
from graphc.layers.configured import Configured, Names, parameter_error, undefined
from graphc.layers.limits import positive, within
from graphc.records import dataclass

__all__ = [
    "Constraint",
    "MaxNorm",
    "MinMaxNorm",
    "NonNeg",
    "UnitNorm",
    "get",
    "max_norm",
    "min_max_norm",
    "non_neg",
    "unit_norm",
]


class Constraint(Configured):
    """Base of all constraints."""

    def __call__(self, weight: gc.Tensor) -> gc.Tensor:
        """The nearest weight that is allowed, of the same shape and dtype."""
        raise undefined(self, "__call__(self, weight)")


Axes = int | Sequence[int]


def _check_axis(owner: str, axis: Any) -> None:
    """One axis, or several."""
    several = axis if isinstance(axis, list | tuple) else (axis,)
    if not all(map(is_whole, several)):
        raise parameter_error(f"{owner}: axis={axis!r:.60}", "use an integer, or a list of them")


def _norms(weight: gc.Tensor, axis: Axes) -> gc.Tensor:
    along = axis if isinstance(axis, int) else tuple(axis)
    return gc.sqrt(gc.sum(gc.square(weight), axis=along, keepdims=True))


def _rescaled(weight: gc.Tensor, norms: gc.Tensor, wanted: Any) -> gc.Tensor:
    """Vectors of the wanted norms; those of norm 0 have no direction and stay."""
    return weight * gc.where(norms > 0, wanted / gc.where(norms > 0, norms, 1), 1)


@dataclass(frozen=True)
class MaxNorm(Constraint):
    """Vectors along `axis` that are longer than max_value are scaled back to it.

    axis: 0 for the inputs of each unit of a dense weight [in, out]; (1, 2, 3) for the kernels
    [out, in, height, width] of gc.nn.conv2d. Srivastava et al., Dropout, 2014.
    """

    max_value: float = 2.0
    axis: Axes = 0

    def __post_init__(self) -> None:
        _check_axis("MaxNorm", self.axis)
        within("MaxNorm", max_value=self.max_value)

    def __call__(self, weight: gc.Tensor) -> gc.Tensor:
        norms = _norms(weight, self.axis)
        return gc.where(norms > self.max_value, _rescaled(weight, norms, self.max_value), weight)


@dataclass(frozen=True)
class NonNeg(Constraint):
    """Negative weights become 0."""

    def __call__(self, weight: gc.Tensor) -> gc.Tensor:
        return gc.maximum(weight, 0)


@dataclass(frozen=True)
class UnitNorm(Constraint):
    """Vectors along `axis` get length 1; those of length 0 stay."""

    axis: Axes = 0

    def __post_init__(self) -> None:
        _check_axis("UnitNorm", self.axis)

    def __call__(self, weight: gc.Tensor) -> gc.Tensor:
        return _rescaled(weight, _norms(weight, self.axis), 1)


@dataclass(frozen=True)
class MinMaxNorm(Constraint):
    """Vectors along `axis` get a length between two bounds; with rate < 1 only nearly."""

    min_value: float = 0.0
    max_value: float = 1.0
    rate: float = 1.0
    axis: Axes = 0

    def __post_init__(self) -> None:
        _check_axis("MinMaxNorm", self.axis)
        within("MinMaxNorm", min_value=self.min_value, max_value=self.max_value)
        positive("MinMaxNorm", rate=self.rate)
        if not 0 <= self.min_value <= self.max_value:
            raise parameter_error(
                f"MinMaxNorm: bounds {self.min_value!r} and {self.max_value!r}",
                "use 0 <= min_value <= max_value",
            )
        if not 0 < self.rate <= 1:
            raise parameter_error(f"MinMaxNorm: rate={self.rate!r}", "use a number in (0, 1]")

    def __call__(self, weight: gc.Tensor) -> gc.Tensor:
        norms = _norms(weight, self.axis)
        bounded = gc.clip(norms, self.min_value, self.max_value)
        wanted = self.rate * bounded + (1 - self.rate) * norms
        return _rescaled(weight, norms, wanted)


@dataclass(frozen=True)
class _Function(Constraint):
    function: Callable[[gc.Tensor], Any]

    def __call__(self, weight: gc.Tensor) -> gc.Tensor:
        return gc.as_tensor(self.function(weight))


max_norm, min_max_norm, non_neg, unit_norm = MaxNorm, MinMaxNorm, NonNeg, UnitNorm

_CLASSES: list[type[Constraint]] = [MaxNorm, NonNeg, UnitNorm, MinMaxNorm]
_names = Names("constraint", Constraint, _CLASSES, {"non_negative": NonNeg}, _Function)


def get(given: Any) -> Constraint:
    """The constraint of a name, a class, a config, or a function of a weight."""
    return _names.get(given)
