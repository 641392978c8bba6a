"""What all metrics share: sums that are kept over batches, weights of samples."""

from typing import Any

import numpy as np

import graphc as gc
from graphc.layers.configured import Configured, written
from graphc.layers.losses.base import fitting_weight, over_last
from graphc.layers.naming import snake_case
from graphc.records import dataclass
from graphc.surface import check_fields

Updates = dict[gc.Variable, gc.Tensor]


@dataclass(eq=False, kw_only=True)
class Metric(Configured):
    """Base of all metrics: sums over batches are kept in variables.

    `update(y_true, y_pred, sample_weight)` returns the updates of one batch for gc.function,
    `result()` the value as an expression of the variables, `reset()` begins anew. Called with
    arrays, `metric(y_true, y_pred)` is the value for these alone, and touches no variable.
    """

    name: str | None = None

    def __post_init__(self) -> None:
        if type(self).__module__.startswith("graphc.layers."):  # users may annotate as they like
            check_fields(self)
        self.name = self.name or snake_case(type(self).__name__)
        self._kept: dict[str, gc.Variable] = {}

    @property
    def variables(self) -> list[gc.Variable]:
        """What it keeps; complete after the first `update`."""
        return list(self._kept.values())

    def keep(self, role: str, shape: tuple[int, ...] = ()) -> gc.Variable:
        """The float64 variable of a role, 0 at first."""
        if role not in self._kept:
            label = str(self.name)
            label = label if label.isidentifier() and label[0] != "_" else "metric"
            self._kept[role] = gc.variable(np.zeros(shape), f"{label}_{role}")
        variable = self._kept[role]
        if variable.shape != shape:
            raise gc.ShapeError(
                f"{self.name}: predictions had a last axis that gave {variable.shape}, and now "
                f"{shape}",
                source=written(),
                fix="use one metric for each output",
            )
        return variable

    def kept_shape(self, role: str) -> tuple[int, ...]:
        """The shape of a variable, (1,) before the first update."""
        return self._kept[role].value.shape if role in self._kept else (1,)

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Updates:
        """The new values of the variables after one batch."""
        raise TypeError(f"{type(self).__name__} does not define update")

    def update_state(self, y_true: Any, y_pred: Any = None, sample_weight: Any = None) -> None:
        """Take in arrays now: what `update` describes is done."""
        gc.function([], [], updates=self.update(y_true, y_pred, sample_weight))()

    def result(self) -> gc.Tensor:
        """The value over all batches since the last reset."""
        raise TypeError(f"{type(self).__name__} does not define result")

    def reset(self) -> None:
        """Forget all batches."""
        for variable in self.variables:
            variable.value = np.zeros(variable.value.shape)

    reset_state = reset

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> np.ndarray:
        """The value for these arrays alone."""
        changes = self.update(y_true, y_pred, sample_weight)
        empty: dict[gc.Tensor, Any] = {v: np.zeros(v.value.shape) for v in changes}
        after = gc.function([], list(changes.values()), givens=empty)()
        values: dict[gc.Tensor, Any] = dict(zip(changes, after, strict=True))
        return np.asarray(gc.function([], self.result(), givens=values)())


def quotient(top: gc.Tensor, bottom: gc.Tensor) -> gc.Tensor:
    """top / bottom, and 0 where bottom is 0."""
    there = bottom != 0
    return gc.where(there, top / gc.where(there, bottom, 1), 0)


def weights_of(name: str, weight: Any, values: gc.Tensor) -> gc.Tensor:
    """A float64 weight for each value, 1 without weights."""
    if weight is None:
        return gc.ones(values.shape, dtype="float64")
    fitting = fitting_weight(name, weight, values.astype("float64"))
    return gc.broadcast_to(fitting, values.shape)


@dataclass(eq=False)
class MeanOfValues(Metric):
    """The weighted mean of one value for each sample, which a subclass defines in `values`."""

    def values(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        """One value for each sample."""
        raise TypeError(f"{type(self).__name__} does not define values")

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Updates:
        values = self.values(y_true, y_pred).astype("float64")
        weight = weights_of(str(self.name), sample_weight, values)
        total, count = self.keep("total"), self.keep("count")
        return {total: total + gc.sum(values * weight), count: count + gc.sum(weight)}

    def result(self) -> gc.Tensor:
        return quotient(self.keep("total"), self.keep("count"))


@dataclass(eq=False)
class _OfValues(Metric):
    def update_state(self, y_true: Any, y_pred: Any = None, sample_weight: Any = None) -> None:
        """Take in values now, and their weights: update_state(values, weights)."""
        super().update_state(None, y_true, y_pred if sample_weight is None else sample_weight)


@dataclass(eq=False)
class Sum(_OfValues):
    """The sum of values, times their weights: `update(None, values)`."""

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Updates:
        values = gc.as_tensor(y_pred).astype("float64")
        total, weight = self.keep("total"), weights_of(str(self.name), sample_weight, values)
        return {total: total + gc.sum(values * weight)}

    def result(self) -> gc.Tensor:
        return self.keep("total") * 1


@dataclass(eq=False)
class Mean(_OfValues):
    """The mean of values: `update(None, values)`."""

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Updates:
        values = gc.as_tensor(y_pred).astype("float64")
        weight = weights_of(str(self.name), sample_weight, values)
        total, count = self.keep("total"), self.keep("count")
        return {total: total + gc.sum(values * weight), count: count + gc.sum(weight)}

    def result(self) -> gc.Tensor:
        return quotient(self.keep("total"), self.keep("count"))


def sample_mean(values: gc.Tensor) -> gc.Tensor:
    """Truth values as the share of the last axis, for each sample."""
    return over_last(values.astype("float64"))
