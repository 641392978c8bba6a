"""Metrics of scores at thresholds: counts, and rates where another rate is large enough."""

from dataclasses import field
from typing import Any, ClassVar

import numpy as np

import graphc as gc
from graphc.layers.arguments import is_whole
from graphc.layers.configured import parameter_error
from graphc.layers.limits import is_real
from graphc.layers.losses.base import same_rank
from graphc.layers.metrics.base import Metric, Updates, quotient, weights_of
from graphc.records import dataclass

__all__ = [
    "FalseNegatives",
    "FalsePositives",
    "PrecisionAtRecall",
    "RecallAtPrecision",
    "SensitivityAtSpecificity",
    "SpecificityAtSensitivity",
    "TrueNegatives",
    "TruePositives",
]


def _above(
    metric: Metric, y_true: Any, y_pred: Any, weight: Any, limits: Any, class_id: int | None = None
) -> tuple[gc.Tensor, gc.Tensor]:
    """Weighted counts of what is positive, and of what is not, above each of the limits."""
    prediction = gc.as_tensor(y_pred)
    target = same_rank(str(metric.name), gc.as_tensor(y_true), prediction) > 0.5
    if class_id is not None:
        target, prediction = target[..., class_id], prediction[..., class_id]
    w = gc.reshape(weights_of(str(metric.name), weight, target), (-1,))
    y = gc.reshape(target, (-1,)).astype("float64")
    scores = gc.reshape(prediction, (-1,)).astype("float64")
    above = (scores[None, :] > gc.constant(limits)[:, None]).astype("float64")
    return above @ (w * y), above @ (w * (1 - y))


@dataclass(eq=False)
class _Count(Metric):
    """thresholds: a number, or several for as many counts; 0.5 by default."""

    thresholds: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not all(is_real(one) and 0 <= one <= 1 for one in self._several()):
            raise parameter_error(
                f"{self.name}: thresholds={self.thresholds!r:.60}", "use numbers from 0 to 1"
            )

    def _several(self) -> list[Any]:
        given = 0.5 if self.thresholds is None else self.thresholds
        return list(given) if isinstance(given, list | tuple) else [given]

    def counted(
        self, said: tuple[gc.Tensor, gc.Tensor], there: tuple[gc.Tensor, gc.Tensor]
    ) -> gc.Tensor:
        """The count, of positive and negative ones above the thresholds and in all."""
        raise TypeError(f"{type(self).__name__} does not define counted")

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Updates:
        limits = [-np.inf, *map(float, self._several())]
        right, wrong = _above(self, y_true, y_pred, sample_weight, limits)
        count = self.keep("count", (len(limits) - 1,))
        new = self.counted((right[1:], wrong[1:]), (right[0], wrong[0]))
        return {count: count + new}

    def result(self) -> gc.Tensor:
        limits = self._several()
        count = self.keep("count", (len(limits),))
        return count[0] if len(limits) == 1 else count * 1


@dataclass(eq=False)
class TruePositives(_Count):
    """How many positive ones are above the threshold. y_true, y_pred: [samples, ...]."""

    def counted(self, said: Any, there: Any) -> gc.Tensor:
        found: gc.Tensor = said[0]
        return found


@dataclass(eq=False)
class FalsePositives(_Count):
    """How many negative ones are above the threshold."""

    def counted(self, said: Any, there: Any) -> gc.Tensor:
        found: gc.Tensor = said[1]
        return found


@dataclass(eq=False)
class FalseNegatives(_Count):
    """How many positive ones are not above the threshold."""

    def counted(self, said: Any, there: Any) -> gc.Tensor:
        found: gc.Tensor = there[0] - said[0]
        return found


@dataclass(eq=False)
class TrueNegatives(_Count):
    """How many negative ones are not above the threshold."""

    def counted(self, said: Any, there: Any) -> gc.Tensor:
        found: gc.Tensor = there[1] - said[1]
        return found


@dataclass(eq=False)
class _AtPoint(Metric):
    """The largest rate at thresholds where another rate is large enough; 0 if it nowhere is."""

    given: ClassVar[str]
    num_thresholds: int = field(default=200, kw_only=True)
    class_id: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_real(self.value) or not 0 <= self.value <= 1:
            raise parameter_error(f"{self.name}: {self.given}={self.value!r}", "use 0 to 1")
        if not is_whole(self.num_thresholds) or self.num_thresholds < 1:
            raise parameter_error(f"{self.name}: num_thresholds={self.num_thresholds}", "use >= 1")

    @property
    def value(self) -> float:
        found: float = getattr(self, self.given)
        return found

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Updates:
        count = self.num_thresholds
        inner = np.linspace(0, 1, count) if count > 1 else np.array([0.5])
        limits = np.concatenate([[-np.inf], inner])
        right, wrong = _above(self, y_true, y_pred, sample_weight, limits, self.class_id)
        positives, negatives = (self.keep(role, (count + 1,)) for role in ("right", "wrong"))
        return {positives: positives + right, negatives: negatives + wrong}

    def rates(self) -> tuple[gc.Tensor, gc.Tensor, gc.Tensor]:
        """Recall or sensitivity, specificity and precision at the thresholds."""
        right, wrong = (self.keep(r, (self.num_thresholds + 1,)) for r in ("right", "wrong"))
        there, others, found, taken = right[0], wrong[0], right[1:], wrong[1:]
        return (
            quotient(found, there),
            quotient(others - taken, others),
            quotient(found, found + taken),
        )

    def best(self, rate: gc.Tensor, other: gc.Tensor) -> gc.Tensor:
        return gc.max(gc.where(other >= self.value, rate, 0))


@dataclass(eq=False)
class SensitivityAtSpecificity(_AtPoint):
    """The largest sensitivity where the specificity is `specificity` or more."""

    given = "specificity"
    specificity: float

    def result(self) -> gc.Tensor:
        sensitivity, specificity, _ = self.rates()
        return self.best(sensitivity, specificity)


@dataclass(eq=False)
class SpecificityAtSensitivity(_AtPoint):
    """The largest specificity where the sensitivity is `sensitivity` or more."""

    given = "sensitivity"
    sensitivity: float

    def result(self) -> gc.Tensor:
        sensitivity, specificity, _ = self.rates()
        return self.best(specificity, sensitivity)


@dataclass(eq=False)
class PrecisionAtRecall(_AtPoint):
    """The largest precision where the recall is `recall` or more."""

    given = "recall"
    recall: float

    def result(self) -> gc.Tensor:
        recall, _, precision = self.rates()
        return self.best(precision, recall)


@dataclass(eq=False)
class RecallAtPrecision(_AtPoint):
    """The largest recall where the precision is `precision` or more."""

    given = "precision"
    precision: float

    def result(self) -> gc.Tensor:
        recall, _, precision = self.rates()
        return self.best(recall, precision)
