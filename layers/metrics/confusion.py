"""Metrics that count right and wrong answers: precision, recall, F1, confusion matrix, AUC."""

from typing import Any, ClassVar

import numpy as np

import graphc as gc
from graphc.layers.configured import parameter_error
from graphc.layers.limits import positive
from graphc.layers.losses.base import same_rank
from graphc.layers.metrics.accuracy import class_numbers
from graphc.layers.metrics.base import Metric, Updates, quotient, weights_of
from graphc.records import dataclass

__all__ = ["AUC", "ConfusionMatrix", "F1Score", "FBetaScore", "Precision", "Recall"]


def _decisions(
    metric: Metric, y_true: Any, y_pred: Any, threshold: float | None
) -> tuple[gc.Tensor, gc.Tensor]:
    """Targets and predictions as 0 and 1 in float64, of shape [samples, classes] or [samples].

    threshold None: the class of the largest score, or 0.5 for one probability a sample.
    """
    prediction = gc.as_tensor(y_pred)
    classes = prediction.shape[-1] if prediction.ndim > 1 else 1
    name = str(metric.name)
    if classes == 1:
        target = same_rank(name, gc.as_tensor(y_true), prediction) > 0.5
        level = 0.5 if threshold is None else threshold
        return target.astype("float64"), (prediction > level).astype("float64")
    if gc.as_tensor(y_true).ndim == prediction.ndim and threshold is not None:
        target = (same_rank(name, gc.as_tensor(y_true), prediction) > 0.5).astype("float64")
    else:
        target = _one_hot(class_numbers(name, y_true, prediction), classes)
    if threshold is None:
        return target, _one_hot(gc.argmax(prediction, axis=-1), classes)
    return target, (prediction > threshold).astype("float64")


def _one_hot(labels: gc.Tensor, classes: Any) -> gc.Tensor:
    return gc.one_hot(labels, classes).astype("float64")


def pairs_counted(
    target: gc.Tensor, prediction: gc.Tensor, count: int, weight: gc.Tensor
) -> gc.Tensor:
    """The weights of those with target i and prediction j, at [i, j]. All of one shape."""
    rows, columns = (
        _one_hot(gc.reshape(labels.astype("int64"), (-1,)), count)
        for labels in (target, prediction)
    )
    return (rows * gc.reshape(weight, (-1, 1))).T @ columns


def _checked_threshold(metric: Any, threshold: float | None) -> None:
    if threshold is not None and not 0 <= threshold <= 1:
        raise parameter_error(f"{metric.name}: threshold={threshold!r}", "use one from 0 to 1")


@dataclass(eq=False)
class _Counts(Metric):
    """One decision a value, and all of them counted together."""

    thresholds: float = 0.5
    class_id: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _checked_threshold(self, self.thresholds)

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Updates:
        y, p = _decisions(self, y_true, y_pred, self.thresholds)
        if self.class_id is not None:
            y, p = y[..., self.class_id], p[..., self.class_id]
        w = weights_of(str(self.name), sample_weight, y)
        right, said, there = self.keep("true_positives"), self.keep("said"), self.keep("there")
        return {
            right: right + gc.sum(w * y * p),
            said: said + gc.sum(w * p),
            there: there + gc.sum(w * y),
        }


@dataclass(eq=False)
class Precision(_Counts):
    """Of those that are said to be positive, y_pred > thresholds, how many are; 0 if none is said.

    y_pred: [samples] or [samples, classes], where all classes, or class_id alone, are counted.
    """

    def result(self) -> gc.Tensor:
        return quotient(self.keep("true_positives"), self.keep("said"))


@dataclass(eq=False)
class Recall(_Counts):
    """Of the positive ones, how many are said to be: y_pred > thresholds; 0 if there are none."""

    def result(self) -> gc.Tensor:
        return quotient(self.keep("true_positives"), self.keep("there"))


@dataclass(eq=False)
class _Score(Metric):
    average: str | None = None
    beta: ClassVar[Any] = 1.0
    threshold: ClassVar[Any] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(str(self.name), beta=self.beta)
        _checked_threshold(self, self.threshold)
        if self.average not in (None, "macro", "micro", "weighted"):
            raise parameter_error(
                f"{self.name}: average={self.average!r}",
                'use None, "macro", "micro" or "weighted"',
            )

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Updates:
        y, p = _decisions(self, y_true, y_pred, self.threshold)
        if y.ndim == 1:
            y, p = y[:, None], p[:, None]
        classes = int(y.shape[-1])
        w = weights_of(str(self.name), sample_weight, y)
        parts = {"true_positives": w * y * p, "said": w * p, "there": w * y}
        kept = {role: self.keep(role, (classes,)) for role in parts}
        return {
            kept[role]: kept[role] + gc.sum(gc.reshape(part, (-1, classes)), axis=0)
            for role, part in parts.items()
        }

    def result(self) -> gc.Tensor:
        size = self.kept_shape("there")
        right, said, there = (self.keep(r, size) for r in ("true_positives", "said", "there"))
        square = float(self.beta) ** 2
        top, bottom = (1 + square) * right, said + square * there
        if self.average == "micro":
            return quotient(gc.sum(top), gc.sum(bottom))
        score = quotient(top, bottom)
        if self.average == "weighted":
            return quotient(gc.sum(score * there), gc.sum(there))
        return score if self.average is None else gc.mean(score)


@dataclass(eq=False)
class FBetaScore(_Score):
    """(1 + beta^2) precision recall / (beta^2 precision + recall) of each class: recall counts beta
    times as much as precision.

    average: None for all classes, "macro" for their mean, "weighted" for that weighted by how often
    they are there, "micro" for one score of all counts. threshold: None for the class of the
    largest score. One probability a sample is one class, with threshold 0.5.
    """

    beta: float = 1.0  # type: ignore[misc]
    threshold: float | None = None  # type: ignore[misc]

    def __post_init__(self) -> None:
        self.name = self.name or "fbeta_score"
        super().__post_init__()


@dataclass(eq=False)
class F1Score(_Score):
    """The harmonic mean of precision and recall of each class, 2 tp / (2 tp + fp + fn).

    average, threshold: as of FBetaScore.
    """

    threshold: float | None = None  # type: ignore[misc]


@dataclass(eq=False)
class ConfusionMatrix(Metric):
    """How often class i was taken for class j, at row i and column j: float64 [classes, classes].

    y_pred: scores [samples, classes], or class numbers [samples].
    """

    num_classes: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_classes < 1:
            raise parameter_error(f"{self.name}: num_classes={self.num_classes}", "use >= 1")

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Updates:
        prediction, count = gc.as_tensor(y_pred), self.num_classes
        if gc.isdtype(prediction.dtype, "real floating") and prediction.ndim > 1:
            target = class_numbers(str(self.name), y_true, prediction)
            prediction = gc.argmax(prediction, axis=-1)
        else:
            target = same_rank(str(self.name), gc.as_tensor(y_true), prediction)
        w = weights_of(str(self.name), sample_weight, target)
        matrix = self.keep("matrix", (count, count))
        return {matrix: matrix + pairs_counted(target, prediction, count, w)}

    def result(self) -> gc.Tensor:
        return self.keep("matrix", (self.num_classes, self.num_classes)) * 1


@dataclass(eq=False)
class AUC(Metric):
    """The area under the curve of rates over num_thresholds thresholds from 0 to 1.

    curve: "ROC", true positives over false positives, by trapezoids; "PR", the average precision,
    the sum of precisions weighted by the gains in recall. Exact if no two different scores fall
    between the same thresholds. y_pred: probabilities, [samples] or [samples, 1].
    """

    num_thresholds: int = 200
    curve: str = "ROC"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_thresholds < 2:
            raise parameter_error(f"{self.name}: num_thresholds={self.num_thresholds}", "use >= 2")
        if self.curve not in ("ROC", "PR"):
            raise parameter_error(f"{self.name}: curve={self.curve!r}", 'use "ROC" or "PR"')

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Updates:
        prediction = gc.as_tensor(y_pred)
        target = same_rank(str(self.name), gc.as_tensor(y_true), prediction) > 0.5
        w = gc.reshape(weights_of(str(self.name), sample_weight, target), (-1,))
        y = gc.reshape(target, (-1,)).astype("float64")
        inner = np.linspace(0, 1, self.num_thresholds)[1:-1]
        limits = gc.constant(np.concatenate([[-np.inf], inner, [np.inf]]))
        scores = gc.reshape(prediction, (-1,)).astype("float64")
        above = (scores[None, :] > limits[:, None]).astype("float64")
        size = (self.num_thresholds,)
        right, wrong = self.keep("true_positives", size), self.keep("false_positives", size)
        return {right: right + above @ (w * y), wrong: wrong + above @ (w * (1 - y))}

    def result(self) -> gc.Tensor:
        size = (self.num_thresholds,)
        right, wrong = self.keep("true_positives", size), self.keep("false_positives", size)
        recall, false_rate = quotient(right, right[0]), quotient(wrong, wrong[0])
        if self.curve == "PR":
            precision = quotient(right, right + wrong)
            return gc.sum((recall[:-1] - recall[1:]) * precision[:-1])
        return gc.sum((false_rate[:-1] - false_rate[1:]) * (recall[:-1] + recall[1:]) / 2)
