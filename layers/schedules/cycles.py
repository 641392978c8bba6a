"""Learning rates that rise and fall: cosines with restarts, one cycle, many cycles."""

import math
from typing import Any

import graphc as gc
from graphc.layers.configured import parameter_error
from graphc.layers.limits import flag, is_real, positive, real, within
from graphc.layers.schedules.base import LearningRateSchedule
from graphc.records import dataclass

__all__ = ["CosineDecayRestarts", "Cyclic", "OneCycle"]


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
class OneCycle(LearningRateSchedule):
    """From peak / div_factor up to the peak in the first pct_start of total_steps, and down to
    peak / (div_factor final_div_factor), which stays; each time along half a cosine, or on a
    straight line with anneal="linear".

    three_phase: down to peak / div_factor in pct_start of total_steps first, as in the paper.
    Smith and Topin, Super-convergence, 2018 (arXiv 1708.07120).
    """

    peak_learning_rate: float
    total_steps: int
    pct_start: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4
    anneal: str = "cosine"
    three_phase: bool = False

    def __post_init__(self) -> None:
        within("OneCycle", peak_learning_rate=self.peak_learning_rate)
        positive("OneCycle", total_steps=self.total_steps, pct_start=self.pct_start)
        positive("OneCycle", div_factor=self.div_factor, final_div_factor=self.final_div_factor)
        flag("OneCycle", three_phase=self.three_phase)
        most = 0.5 if self.three_phase else 1
        if not is_real(self.pct_start) or self.pct_start >= most:
            raise parameter_error(
                f"OneCycle: pct_start={self.pct_start!r:.60}",
                f"use a number above 0 and below {most}",
            )
        if not isinstance(self.anneal, str) or self.anneal not in ("cosine", "linear"):
            raise parameter_error(
                f"OneCycle: anneal={self.anneal!r:.60}", "use 'cosine' or 'linear'"
            )

    def rate(self, step: gc.Tensor) -> Any:
        peak, start = self.peak_learning_rate, self.peak_learning_rate / self.div_factor
        end = start / self.final_div_factor
        first = self.pct_start * self.total_steps
        rising = self._between(step, 0, first, start, peak)
        if not self.three_phase:
            falling = self._between(step, first, self.total_steps, peak, end)
            return gc.where(step < first, rising, falling)
        back = self._between(step, first, 2 * first, peak, start)
        falling = self._between(step, 2 * first, self.total_steps, start, end)
        return gc.where(step < first, rising, gc.where(step < 2 * first, back, falling))

    def _between(
        self, step: gc.Tensor, begin: float, end: float, low: float, high: float
    ) -> gc.Tensor:
        done = gc.clip((step - begin) / (end - begin), 0, 1)
        if self.anneal == "cosine":
            done = (1 - gc.cos(math.pi * done)) / 2
        return low + (high - low) * done


@dataclass(frozen=True)
class Cyclic(LearningRateSchedule):
    """From base to peak in step_size_up steps and back in step_size_down, again and again, on
    straight lines. decay: the height of each cycle as a multiple of that of the one before.

    step_size_down: step_size_up without it. Smith, Cyclical learning rates for training neural
    networks, 2017 (arXiv 1506.01186): decay 1 is its "triangular", 0.5 its "triangular2".
    """

    base_learning_rate: float
    peak_learning_rate: float
    step_size_up: int
    step_size_down: int | None = None
    decay: float = 1.0

    def __post_init__(self) -> None:
        within("Cyclic", base_learning_rate=self.base_learning_rate)
        within("Cyclic", peak_learning_rate=self.peak_learning_rate)
        positive("Cyclic", step_size_up=self.step_size_up, decay=self.decay)
        if self.step_size_down is not None:
            positive("Cyclic", step_size_down=self.step_size_down)

    def rate(self, step: gc.Tensor) -> Any:
        up = self.step_size_up
        down = up if self.step_size_down is None else self.step_size_down
        cycle = gc.floor(step / (up + down))
        within_cycle = step - cycle * (up + down)
        height = gc.where(within_cycle <= up, within_cycle / up, (up + down - within_cycle) / down)
        top = (self.peak_learning_rate - self.base_learning_rate) * self.decay**cycle
        return self.base_learning_rate + top * height
