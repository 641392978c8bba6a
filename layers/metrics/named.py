"""Metrics by their names."""

from collections.abc import Callable
from typing import Any

import graphc as gc
from graphc.layers import losses
from graphc.layers.configured import Names
from graphc.layers.metrics.accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
)
from graphc.layers.metrics.base import Mean, MeanOfValues, Metric, Sum
from graphc.layers.metrics.confusion import (
    AUC,
    ConfusionMatrix,
    F1Score,
    FBetaScore,
    Precision,
    Recall,
)
from graphc.layers.metrics.overlap import BinaryIoU, IoU, MeanIoU, OneHotIoU, OneHotMeanIoU
from graphc.layers.metrics.probabilistic import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    ConcordanceCorrelation,
    CosineSimilarity,
    Hinge,
    KLDivergence,
    LogCoshError,
    PearsonCorrelation,
    Poisson,
    SparseCategoricalCrossentropy,
    SquaredHinge,
)
from graphc.layers.metrics.regression import (
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    R2Score,
    RootMeanSquaredError,
)
from graphc.layers.metrics.thresholds import (
    FalseNegatives,
    FalsePositives,
    PrecisionAtRecall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
    TrueNegatives,
    TruePositives,
)
from graphc.records import dataclass

__all__ = ["LossMetric", "get"]


@dataclass(eq=False)
class LossMetric(MeanOfValues):
    """The mean of a loss: of a name, an object, or a function of (y_true, y_pred)."""

    loss: Any = "mean_squared_error"

    def __post_init__(self) -> None:
        self._loss = losses.get(self.loss)
        found = self.loss if isinstance(self.loss, str) else getattr(self.loss, "__name__", None)
        self.name = self.name or found
        super().__post_init__()

    def values(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        return self._loss.call(y_true, y_pred)


def _of_function(function: Callable[..., Any]) -> Metric:
    return LossMetric(function)


_CLASSES: list[type[Metric]] = [
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    TopKCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    Precision,
    Recall,
    F1Score,
    FBetaScore,
    AUC,
    ConfusionMatrix,
    TruePositives,
    TrueNegatives,
    FalsePositives,
    FalseNegatives,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
    PrecisionAtRecall,
    RecallAtPrecision,
    MeanIoU,
    IoU,
    BinaryIoU,
    OneHotIoU,
    OneHotMeanIoU,
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
    KLDivergence,
    Hinge,
    SquaredHinge,
    CategoricalHinge,
    Poisson,
    LogCoshError,
    CosineSimilarity,
    PearsonCorrelation,
    ConcordanceCorrelation,
    MeanSquaredError,
    RootMeanSquaredError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredLogarithmicError,
    R2Score,
    Mean,
    Sum,
    LossMetric,
]
_ALIASES: dict[str, type[Metric]] = {
    "acc": Accuracy,
    "f1": F1Score,
    "mse": MeanSquaredError,
    "rmse": RootMeanSquaredError,
    "mae": MeanAbsoluteError,
    "mape": MeanAbsolutePercentageError,
    "msle": MeanSquaredLogarithmicError,
    "r2": R2Score,
    "bce": BinaryCrossentropy,
    "kld": KLDivergence,
    "logcosh": LogCoshError,
    "log_cosh": LogCoshError,
    "top_k_accuracy": TopKCategoricalAccuracy,
}
_LOSSES = (
    "quadratic",
    "huber",
    "binary_focal_crossentropy",
    "categorical_focal_crossentropy",
    "dice",
    "tversky",
)
_names = Names("metric", Metric, _CLASSES, _ALIASES, _of_function)


def get(given: Any) -> Metric:
    """The metric of a name ("accuracy", "AUC", or that of a loss), a class, a config, an object, a
    loss, or a function of (y_true, y_pred) that returns one value for each sample."""
    if isinstance(given, str) and given in _LOSSES:
        return LossMetric(given)
    if isinstance(given, losses.Loss):
        return LossMetric(given)
    metric = _names.get(given)
    if isinstance(given, str):
        metric.name = given
    return metric
