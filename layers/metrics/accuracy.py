"""How often predictions are right."""

from typing import Any

import graphc as gc
from graphc.layers.configured import parameter_error, written
from graphc.layers.losses.base import same_rank
from graphc.layers.metrics.base import MeanOfValues, sample_mean
from graphc.records import dataclass

__all__ = [
    "Accuracy",
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "SparseCategoricalAccuracy",
    "SparseTopKCategoricalAccuracy",
    "TopKCategoricalAccuracy",
    "class_numbers",
]


def class_numbers(name: str, y_true: Any, y_pred: gc.Tensor) -> gc.Tensor:
    """The class of each row of y_pred: [..., classes] as targets say it, in any of three forms:
    class numbers [...] or [..., 1], or rows of class probabilities [..., classes]."""
    target = gc.as_tensor(y_true)
    if target.ndim == y_pred.ndim and target.shape[-1] == y_pred.shape[-1] != 1:
        return gc.argmax(target, axis=-1)
    if target.ndim == y_pred.ndim and target.shape[-1] == 1:
        target = gc.squeeze(target, axis=-1)
    if target.ndim != y_pred.ndim - 1:
        raise gc.ShapeError(
            f"{name}: targets do not fit predictions of classes",
            details=[f"y_true  {target.type}", f"y_pred  {y_pred.type}"],
            source=written(),
            fix="give a class number or a row of class probabilities for each row of predictions",
        )
    return target.astype("int64")


def _predictions(name: str, y_pred: Any) -> gc.Tensor:
    prediction = gc.as_tensor(y_pred)
    if prediction.ndim < 2:
        raise gc.ShapeError(
            f"{name}: predictions {prediction.type} are no rows of class scores",
            source=written(),
            fix="give [samples, classes]; use binary_accuracy for one probability a sample",
        )
    return prediction


@dataclass(eq=False)
class BinaryAccuracy(MeanOfValues):
    """How often y_pred > threshold agrees with labels of 0 and 1; both [samples, ...]."""

    threshold: float = 0.5

    def values(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        prediction = gc.as_tensor(y_pred)
        target = same_rank(str(self.name), gc.as_tensor(y_true), prediction)
        return sample_mean((prediction > self.threshold) == (target > 0.5))


@dataclass(eq=False)
class SparseCategoricalAccuracy(MeanOfValues):
    """How often the largest score is that of the class number; y_pred: [samples, ..., classes]."""

    def values(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        prediction = _predictions(str(self.name), y_pred)
        right = gc.argmax(prediction, axis=-1) == class_numbers(str(self.name), y_true, prediction)
        return right.astype("float64")


@dataclass(eq=False)
class CategoricalAccuracy(SparseCategoricalAccuracy):
    """How often the largest score is at the largest target; one-hot targets."""


@dataclass(eq=False)
class Accuracy(MeanOfValues):
    """Whichever fits: classes for predictions [..., classes] of floats, else thresholds of 0.5 for
    probabilities, else equality of integers."""

    def values(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        prediction = gc.as_tensor(y_pred)
        if not gc.isdtype(prediction.dtype, "real floating"):
            target = same_rank(str(self.name), gc.as_tensor(y_true), prediction)
            return sample_mean(target.astype("int64") == prediction.astype("int64"))
        if prediction.ndim > 1 and prediction.shape[-1] != 1:
            return SparseCategoricalAccuracy(name=self.name).values(y_true, prediction)
        return BinaryAccuracy(name=self.name).values(y_true, prediction)


@dataclass(eq=False)
class SparseTopKCategoricalAccuracy(MeanOfValues):
    """How often fewer than k scores are larger than that of the right class."""

    k: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.k < 1:
            raise parameter_error(f"{self.name}: k={self.k!r}", "use an int >= 1")

    def values(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        prediction = _predictions(str(self.name), y_pred)
        labels = gc.expand_dims(class_numbers(str(self.name), y_true, prediction), axis=-1)
        own = gc.take_along_axis(prediction, labels, axis=-1)
        larger = gc.sum((prediction > own).astype("int64"), axis=-1)
        return (larger < self.k).astype("float64")


@dataclass(eq=False)
class TopKCategoricalAccuracy(SparseTopKCategoricalAccuracy):
    """The same for one-hot targets."""
