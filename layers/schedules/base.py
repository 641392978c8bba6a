"""What all schedules share, and those that are a number or a function of the user."""

from collections.abc import Callable
from typing import Any

import graphc as gc
from graphc.layers.configured import Configured
from graphc.layers.limits import within
from graphc.records import dataclass

__all__ = ["ConstantSchedule", "FunctionSchedule", "LearningRateSchedule"]


class LearningRateSchedule(Configured):
    """Base of all schedules."""

    def __call__(self, step: Any) -> gc.Tensor:
        """The learning rate, a float64 scalar. step: an integer scalar, tensor or number."""
        return gc.as_tensor(self.rate(gc.as_tensor(step).astype("float64"))).astype("float64")

    def rate(self, step: gc.Tensor) -> Any:
        """The learning rate of a float64 step. Subclasses define it."""
        raise TypeError(f"{type(self).__name__} does not define rate(step)")

    def value(self, step: int) -> float:
        """The learning rate as a number."""
        return float(gc.function([], self(step), backend="reference")())


@dataclass(frozen=True)
class ConstantSchedule(LearningRateSchedule):
    """Always the same rate."""

    learning_rate: float

    def __post_init__(self) -> None:
        within("ConstantSchedule", learning_rate=self.learning_rate)

    def rate(self, step: gc.Tensor) -> Any:
        return gc.full((), self.learning_rate, dtype="float64")


@dataclass(frozen=True)
class FunctionSchedule(LearningRateSchedule):
    """A function of the step, a float64 scalar."""

    function: Callable[[gc.Tensor], Any]

    def rate(self, step: gc.Tensor) -> Any:
        return self.function(step)
