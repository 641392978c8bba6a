"""Schedules by their names, and those that are made of others."""

from collections.abc import Sequence
from dataclasses import field
from typing import Any

import graphc as gc
from graphc.layers.configured import Names, parameter_error
from graphc.layers.limits import positive, real
from graphc.layers.schedules.base import (
    ConstantSchedule,
    FunctionSchedule,
    LearningRateSchedule,
)
from graphc.layers.schedules.cycles import CosineDecayRestarts, Cyclic, OneCycle
from graphc.layers.schedules.decay import (
    CosineDecay,
    ExponentialDecay,
    InverseSquareRootDecay,
    InverseTimeDecay,
    PolynomialDecay,
    StepDecay,
)
from graphc.layers.schedules.piecewise import PiecewiseConstantDecay, PiecewiseLinear, numbers
from graphc.records import dataclass

__all__ = ["Joined", "WarmUp", "get"]


@dataclass(frozen=True)
class WarmUp(LearningRateSchedule):
    """From `initial` in equal parts to the first rate of `schedule`, which then begins.

    schedule: a number or a schedule.
    """

    schedule: Any
    warmup_steps: int
    initial: float = 0.0
    _after: LearningRateSchedule = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        real("WarmUp", initial=self.initial)
        positive("WarmUp", warmup_steps=self.warmup_steps)
        object.__setattr__(self, "_after", get(self.schedule))

    def rate(self, step: gc.Tensor) -> Any:
        after = self._after
        begin = after(0)
        rising = self.initial + (begin - self.initial) * step / self.warmup_steps
        return gc.where(
            step < self.warmup_steps, rising, after(gc.maximum(step - self.warmup_steps, 0))
        )


@dataclass(frozen=True)
class Joined(LearningRateSchedule):
    """schedules[0] before step boundaries[0], then schedules[1] before boundaries[1], ...

    Each counts its steps from its boundary on. A number is a constant rate.
    """

    schedules: Sequence[Any]
    boundaries: Sequence[int]
    _parts: tuple[LearningRateSchedule, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        numbers("Joined", boundaries=self.boundaries)
        bounds, given = list(self.boundaries), self.schedules
        if isinstance(given, str) or not isinstance(given, Sequence):
            raise parameter_error(f"Joined: schedules={given!r:.60}", "use a list of schedules")
        if len(given) != len(bounds) + 1 or bounds != sorted(bounds):
            raise parameter_error(
                f"Joined: boundaries {bounds} and {len(given)} schedules",
                "give rising boundaries, and one schedule more than there are boundaries",
            )
        object.__setattr__(self, "_parts", tuple(get(one) for one in given))

    def rate(self, step: gc.Tensor) -> Any:
        result = self._parts[0](step)
        for begin, part in zip(self.boundaries, self._parts[1:], strict=True):
            result = gc.where(step < begin, result, part(gc.maximum(step - begin, 0)))
        return result


_CLASSES: list[type[LearningRateSchedule]] = [
    ConstantSchedule,
    ExponentialDecay,
    StepDecay,
    InverseTimeDecay,
    InverseSquareRootDecay,
    PolynomialDecay,
    PiecewiseConstantDecay,
    PiecewiseLinear,
    CosineDecay,
    CosineDecayRestarts,
    OneCycle,
    Cyclic,
    WarmUp,
    Joined,
]
_names = Names("schedule", LearningRateSchedule, _CLASSES, None, FunctionSchedule)


def get(given: Any) -> LearningRateSchedule:
    """The schedule of a number, a config, an object, or a function of the step."""
    if isinstance(given, int | float) and not isinstance(given, bool):
        return ConstantSchedule(given)
    return _names.get(given)
