"""Means of weights over steps of training, which often predict better than the last weights."""

from collections.abc import Mapping
from typing import Any

import numpy as np

import graphc as gc
from graphc.layers.configured import plain_number
from graphc.layers.limits import fraction, within
from graphc.layers.precision import precise
from graphc.layers.updates.state import State, Updates, fitting, rounded, weights

__all__ = ["ExponentialMovingAverage", "PolyakAverage"]


class WeightAverage:
    """Base of both: keeps a mean for each weight; `averages` maps weights to these variables."""

    def __init__(self, state: State | None = None) -> None:
        self._state = state or State()
        self.averages: dict[gc.Variable, gc.Variable] = {}
        self._swap: gc.Function | None = None

    def extend(self, updates: Mapping[gc.Variable, gc.Tensor], params: Any) -> Updates:
        """The updates, and those of the means, which see the new weights."""
        result = dict(updates)
        count = self._state.scalar("average_count", 0, "int64")
        result[count] = count + 1
        for w in weights(params):
            if w not in self.averages:
                self.averages[w] = self._state.slot(w, "average", np.asarray(w.value))
                self._swap = None
            average = self.averages[w]
            result[average] = self.next_mean(average, precise(result.get(w, w)), count)
        return result

    def next_mean(self, average: gc.Variable, new: gc.Tensor, count: gc.Variable) -> gc.Tensor:
        """The mean after this update; count is how many there were before."""
        raise TypeError(f"{type(self).__name__} does not define next_mean")

    def swap(self) -> None:
        """Weights and means change places, all at once: once to predict, once more to go on.

        Means of weights in half precision are float32, and come back as the weights held them.
        """
        if self._swap is None:
            pairs = self.averages.items()
            self._swap = gc.function([], updates=rounded(dict(pairs) | {a: w for w, a in pairs}))
        self._swap()


class ExponentialMovingAverage(WeightAverage):
    """mean <- decay mean + (1 - decay) w; the first is w itself."""

    def __init__(self, decay: float = 0.999, state: State | None = None) -> None:
        super().__init__(state)
        fraction("ExponentialMovingAverage", decay=decay)
        self.decay = plain_number(decay)

    def next_mean(self, average: gc.Variable, new: gc.Tensor, count: gc.Variable) -> gc.Tensor:
        return gc.where(count == 0, new, self.decay * average + (1 - self.decay) * new)


class PolyakAverage(WeightAverage):
    """The plain mean of the weights after each update from number `start` on, 0 for all.

    Polyak and Juditsky, Acceleration of stochastic approximation by averaging, 1992.
    """

    def __init__(self, start: int = 0, state: State | None = None) -> None:
        super().__init__(state)
        within("PolyakAverage", start=start)
        self.start = start

    def next_mean(self, average: gc.Variable, new: gc.Tensor, count: gc.Variable) -> gc.Tensor:
        number = fitting(gc.maximum(count - self.start, 0).astype("float64") + 1, new)
        return gc.add(average, (new - average) / number)
