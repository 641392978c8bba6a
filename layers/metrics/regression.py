"""Metrics of numbers: errors, and the share of the variance that is explained."""

from collections.abc import Callable
from typing import Any, ClassVar

import graphc as gc
from graphc.layers.configured import parameter_error
from graphc.layers.losses import regression as losses
from graphc.layers.losses.base import matched
from graphc.layers.metrics.base import MeanOfValues, Metric, Updates, quotient, weights_of
from graphc.records import dataclass

__all__ = [
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "R2Score",
    "RootMeanSquaredError",
]


@dataclass(eq=False)
class _Error(MeanOfValues):
    function: ClassVar[Callable[..., gc.Tensor]]

    def values(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        return type(self).function(y_true, y_pred)


@dataclass(eq=False)
class MeanSquaredError(_Error):
    """The mean of (y_true - y_pred)^2."""

    function = staticmethod(losses.mean_squared_error)


@dataclass(eq=False)
class RootMeanSquaredError(_Error):
    """The square root of the mean squared error."""

    function = staticmethod(losses.mean_squared_error)

    def result(self) -> gc.Tensor:
        return gc.sqrt(super().result())


@dataclass(eq=False)
class MeanAbsoluteError(_Error):
    """The mean of |y_true - y_pred|."""

    function = staticmethod(losses.mean_absolute_error)


@dataclass(eq=False)
class MeanAbsolutePercentageError(_Error):
    """100 times the mean of |y_true - y_pred| / |y_true|."""

    function = staticmethod(losses.mean_absolute_percentage_error)


@dataclass(eq=False)
class MeanSquaredLogarithmicError(_Error):
    """The mean of (log(1 + y_true) - log(1 + y_pred))^2."""

    function = staticmethod(losses.mean_squared_logarithmic_error)


@dataclass(eq=False)
class R2Score(Metric):
    """1 - sum((y - p)^2) / sum((y - mean(y))^2), the coefficient of determination.

    Several outputs, along the last axis: class_aggregation is "uniform_average", or None for all.
    Targets that are all the same give 1 if they are met, else 0, as in scikit-learn.
    """

    class_aggregation: str | None = "uniform_average"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.class_aggregation not in ("uniform_average", None):
            raise parameter_error(
                f"{self.name}: class_aggregation={self.class_aggregation!r}",
                'use "uniform_average" or None',
            )

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Updates:
        target, prediction = matched(str(self.name), y_true, y_pred)
        y, p = target.astype("float64"), prediction.astype("float64")
        w = weights_of(str(self.name), sample_weight, y)
        outputs = int(y.shape[-1]) if y.ndim > 1 else 1
        size = (outputs,)
        y, p, w = (gc.reshape(x, (-1, outputs)) for x in (y, p, w))
        count, mean = self.keep("count", size), self.keep("mean", size)
        spread, residual = self.keep("spread", size), self.keep("residual", size)
        # The means and spreads of two parts make those of the whole (Chan, Golub, LeVeque, 1983).
        new_count = gc.sum(w, axis=0)
        new_mean = quotient(gc.sum(w * y, axis=0), new_count)
        new_spread = gc.sum(w * gc.square(y - new_mean), axis=0)
        whole, apart = count + new_count, new_mean - mean
        return {
            count: whole,
            mean: mean + apart * quotient(new_count, whole),
            spread: spread + new_spread + gc.square(apart) * quotient(count * new_count, whole),
            residual: residual + gc.sum(w * gc.square(y - p), axis=0),
        }

    def result(self) -> gc.Tensor:
        size = self.kept_shape("spread")
        spread, residual = self.keep("spread", size), self.keep("residual", size)
        flat = gc.where(residual > 0, 0.0, 1.0)
        score = gc.where(spread > 0, 1 - residual / gc.where(spread > 0, spread, 1), flat)
        return score if self.class_aggregation is None else gc.mean(score)
