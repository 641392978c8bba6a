"""Learning rates that are given at some steps: constant between them, or on straight lines."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

import graphc as gc
from graphc.layers.configured import parameter_error
from graphc.layers.limits import real
from graphc.layers.schedules.base import LearningRateSchedule
from graphc.records import dataclass

__all__ = ["PiecewiseConstantDecay", "PiecewiseLinear"]


def numbers(owner: str, **settings: Any) -> None:
    """Settings that are lists of finite numbers."""
    for name, given in settings.items():
        if isinstance(given, str) or not isinstance(given, Sequence | np.ndarray):
            raise parameter_error(f"{owner}: {name}={given!r:.60}", "use a list of numbers")
        real(owner, **{f"{name}[{k}]": one for k, one in enumerate(given)})


@dataclass(frozen=True)
class PiecewiseConstantDecay(LearningRateSchedule):
    """values[0] up to and including step boundaries[0], values[1] up to boundaries[1], ..."""

    boundaries: Sequence[int]
    values: Sequence[float]

    def __post_init__(self) -> None:
        numbers("PiecewiseConstantDecay", boundaries=self.boundaries, values=self.values)
        bounds = list(self.boundaries)
        if len(self.values) != len(bounds) + 1 or bounds != sorted(bounds):
            raise parameter_error(
                f"PiecewiseConstantDecay: boundaries {bounds} and {len(self.values)} values",
                "give rising boundaries, and one value more than there are boundaries",
            )

    def rate(self, step: gc.Tensor) -> Any:
        place = gc.sum((step > gc.constant(self.boundaries, "float64")).astype("int64"))
        return gc.constant(self.values, "float64")[place] if self.boundaries else self.values[0]


@dataclass(frozen=True)
class PiecewiseLinear(LearningRateSchedule):
    """values[k] at step boundaries[k], on straight lines between, and constant outside."""

    boundaries: Sequence[int]
    values: Sequence[float]

    def __post_init__(self) -> None:
        numbers("PiecewiseLinear", boundaries=self.boundaries, values=self.values)
        bounds = list(self.boundaries)
        rising = all(low < high for low, high in pairwise(bounds))
        if not bounds or len(self.values) != len(bounds) or not rising:
            raise parameter_error(
                f"PiecewiseLinear: boundaries {bounds} and {len(self.values)} values",
                "give rising boundaries, and as many values as there are boundaries",
            )

    def rate(self, step: gc.Tensor) -> Any:
        places = gc.constant(list(self.boundaries), "float64")
        return gc.interp(step, places, gc.constant(list(self.values), "float64"))
