"""Learning rates that change with the step: `schedule(step)` is an expression of float64.

The step is the number of updates made before, 0 for the first. Names follow Keras.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import field
from typing import Any

import numpy as np

import graphc as gc
from graphc.layers.configured import Configured, Names, parameter_error
from graphc.layers.limits import flag, positive, real, within
from graphc.records import dataclass

__all__ = [
    "ConstantSchedule",
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "StepDecay",
    "WarmUp",
    "get",
]


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
class ExponentialDecay(LearningRateSchedule):
    """initial * decay_rate^(step / decay_steps); staircase: with that exponent rounded down."""

    initial_learning_rate: float
    decay_steps: int
    decay_rate: float
    staircase: bool = False

    def __post_init__(self) -> None:
        within("ExponentialDecay", initial_learning_rate=self.initial_learning_rate)
        flag("ExponentialDecay", staircase=self.staircase)
        positive("ExponentialDecay", decay_steps=self.decay_steps, decay_rate=self.decay_rate)

    def rate(self, step: gc.Tensor) -> Any:
        times = step / self.decay_steps
        times = gc.floor(times) if self.staircase else times
        return self.initial_learning_rate * self.decay_rate**times


@dataclass(frozen=True)
class StepDecay(LearningRateSchedule):
    """initial * factor^k after every k-th `every` steps: half of it every 1000, for example."""

    initial_learning_rate: float
    every: int
    factor: float = 0.5

    def __post_init__(self) -> None:
        within("StepDecay", initial_learning_rate=self.initial_learning_rate)
        positive("StepDecay", every=self.every, factor=self.factor)

    def rate(self, step: gc.Tensor) -> Any:
        return self.initial_learning_rate * self.factor ** gc.floor(step / self.every)


@dataclass(frozen=True)
class InverseTimeDecay(LearningRateSchedule):
    """initial / (1 + decay_rate step / decay_steps); staircase: with that quotient rounded down."""

    initial_learning_rate: float
    decay_steps: int
    decay_rate: float
    staircase: bool = False

    def __post_init__(self) -> None:
        within("InverseTimeDecay", initial_learning_rate=self.initial_learning_rate)
        flag("InverseTimeDecay", staircase=self.staircase)
        real("InverseTimeDecay", decay_rate=self.decay_rate)
        positive("InverseTimeDecay", decay_steps=self.decay_steps)

    def rate(self, step: gc.Tensor) -> Any:
        times = step / self.decay_steps
        times = gc.floor(times) if self.staircase else times
        return self.initial_learning_rate / (1 + self.decay_rate * times)


@dataclass(frozen=True)
class PolynomialDecay(LearningRateSchedule):
    """end + (initial - end) (1 - step / decay_steps)^power, and end after that.

    cycle: decay_steps becomes its next multiple instead, so that the rate jumps up again.
    """

    initial_learning_rate: float
    decay_steps: int
    end_learning_rate: float = 0.0001
    power: float = 1.0
    cycle: bool = False

    def __post_init__(self) -> None:
        within("PolynomialDecay", initial_learning_rate=self.initial_learning_rate)
        real("PolynomialDecay", end_learning_rate=self.end_learning_rate, power=self.power)
        flag("PolynomialDecay", cycle=self.cycle)
        positive("PolynomialDecay", decay_steps=self.decay_steps)

    def rate(self, step: gc.Tensor) -> Any:
        length: Any = self.decay_steps
        if self.cycle:
            length = length * gc.maximum(gc.ceil(step / length), 1)
        left = 1 - gc.minimum(step, length) / length
        fall = self.initial_learning_rate - self.end_learning_rate
        return self.end_learning_rate + fall * left**self.power


@dataclass(frozen=True)
class PiecewiseConstantDecay(LearningRateSchedule):
    """values[0] up to and including step boundaries[0], values[1] up to boundaries[1], ..."""

    boundaries: Sequence[int]
    values: Sequence[float]

    def __post_init__(self) -> None:
        for name, given in (("boundaries", self.boundaries), ("values", self.values)):
            if isinstance(given, str) or not isinstance(given, Sequence | np.ndarray):
                raise parameter_error(
                    f"PiecewiseConstantDecay: {name}={given!r:.60}", "use a list of numbers"
                )
            real("PiecewiseConstantDecay", **{f"{name}[{k}]": one for k, one in enumerate(given)})
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
class CosineDecay(LearningRateSchedule):
    """initial ((1 - alpha) (1 + cos(pi step / decay_steps)) / 2 + alpha), constant after that.

    With warmup_target the rate first goes from initial to it, in equal parts over warmup_steps, and
    decays from there. Loshchilov and Hutter, SGDR, 2017 (arXiv 1608.03983).
    """

    initial_learning_rate: float
    decay_steps: int
    alpha: float = 0.0
    warmup_target: float | None = None
    warmup_steps: int = 0

    def __post_init__(self) -> None:
        within("CosineDecay", initial_learning_rate=self.initial_learning_rate)
        real("CosineDecay", alpha=self.alpha)
        within("CosineDecay", warmup_steps=self.warmup_steps)
        if self.warmup_target is not None:
            within("CosineDecay", warmup_target=self.warmup_target)
        positive("CosineDecay", decay_steps=self.decay_steps)

    def rate(self, step: gc.Tensor) -> Any:
        start = self.initial_learning_rate
        if self.warmup_target is None:
            return self._decay(step, start)
        target, warm = self.warmup_target, self.warmup_steps
        rising = start + (target - start) * step / max(warm, 1)
        return gc.where(step < warm, rising, self._decay(step - warm, target))

    def _decay(self, step: gc.Tensor, top: float) -> gc.Tensor:
        done = gc.clip(step / self.decay_steps, 0, 1)
        cosine = (1 + gc.cos(math.pi * done)) / 2
        return top * ((1 - self.alpha) * cosine + self.alpha)


@dataclass(frozen=True)
class CosineDecayRestarts(LearningRateSchedule):
    """Cosine decay again and again: each time t_mul as long, from m_mul times the rate.

    Loshchilov and Hutter, SGDR: stochastic gradient descent with warm restarts, 2017.
    """

    initial_learning_rate: float
    first_decay_steps: int
    t_mul: float = 2.0
    m_mul: float = 1.0
    alpha: float = 0.0

    def __post_init__(self) -> None:
        within("CosineDecayRestarts", initial_learning_rate=self.initial_learning_rate)
        positive("CosineDecayRestarts", first_decay_steps=self.first_decay_steps)
        within("CosineDecayRestarts", low=1, t_mul=self.t_mul)
        real("CosineDecayRestarts", m_mul=self.m_mul, alpha=self.alpha)

    def rate(self, step: gc.Tensor) -> Any:
        done = step / self.first_decay_steps
        if self.t_mul == 1:
            cycle = gc.floor(done)
            within = done - cycle
        else:
            cycle = gc.floor(gc.log1p(done * (self.t_mul - 1)) / math.log(self.t_mul))
            begun = (self.t_mul**cycle - 1) / (self.t_mul - 1)
            within = (done - begun) / self.t_mul**cycle
        top = self.initial_learning_rate * self.m_mul**cycle
        return top * ((1 - self.alpha) * (1 + gc.cos(math.pi * within)) / 2 + self.alpha)


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
class _Function(LearningRateSchedule):
    function: Callable[[gc.Tensor], Any]

    def rate(self, step: gc.Tensor) -> Any:
        return self.function(step)


_CLASSES: list[type[LearningRateSchedule]] = [
    ConstantSchedule,
    ExponentialDecay,
    StepDecay,
    InverseTimeDecay,
    PolynomialDecay,
    PiecewiseConstantDecay,
    CosineDecay,
    CosineDecayRestarts,
    WarmUp,
]
_names = Names("schedule", LearningRateSchedule, _CLASSES, None, _Function)


def get(given: Any) -> LearningRateSchedule:
    """The schedule of a number, a config, an object, or a function of the step."""
    if isinstance(given, int | float) and not isinstance(given, bool):
        return ConstantSchedule(given)
    return _names.get(given)
