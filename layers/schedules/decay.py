"""Learning rates that fall: exponentially, in steps, as a power of time, along a cosine."""

import math
from typing import Any

import graphc as gc
from graphc.layers.limits import flag, positive, real, within
from graphc.layers.schedules.base import LearningRateSchedule
from graphc.records import dataclass

__all__ = [
    "CosineDecay",
    "ExponentialDecay",
    "InverseSquareRootDecay",
    "InverseTimeDecay",
    "PolynomialDecay",
    "StepDecay",
]


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
class InverseSquareRootDecay(LearningRateSchedule):
    """initial sqrt(decay_steps / max(step, decay_steps)): constant, then falling as 1 / sqrt(step).

    Vaswani et al., Attention is all you need, 2017 (arXiv 1706.03762), after `WarmUp`.
    """

    initial_learning_rate: float
    decay_steps: int

    def __post_init__(self) -> None:
        within("InverseSquareRootDecay", initial_learning_rate=self.initial_learning_rate)
        positive("InverseSquareRootDecay", decay_steps=self.decay_steps)

    def rate(self, step: gc.Tensor) -> Any:
        share = self.decay_steps / gc.maximum(step, self.decay_steps)
        return self.initial_learning_rate * gc.sqrt(share)


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
