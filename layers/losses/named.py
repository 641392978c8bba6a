"""Losses by their names."""

from typing import Any

from graphc.layers.configured import Names
from graphc.layers.losses.base import FunctionLoss, Loss
from graphc.layers.losses.classification import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    Hinge,
    KLDivergence,
    SparseCategoricalCrossentropy,
    SquaredHinge,
)
from graphc.layers.losses.ctc import CTC
from graphc.layers.losses.embedding import Circle, CosineSimilarity, Triplet
from graphc.layers.losses.focal import (
    BinaryFocalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalGeneralizedCrossEntropy,
)
from graphc.layers.losses.overlap import Dice, Tversky
from graphc.layers.losses.regression import (
    Huber,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    Quadratic,
)

__all__ = ["get"]

_CLASSES: list[type[Loss]] = [
    MeanSquaredError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredLogarithmicError,
    Quadratic,
    Huber,
    LogCosh,
    Poisson,
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
    KLDivergence,
    Hinge,
    SquaredHinge,
    CategoricalHinge,
    CosineSimilarity,
    Triplet,
    Circle,
    CTC,
    BinaryFocalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalGeneralizedCrossEntropy,
    Dice,
    Tversky,
]
_names = Names(
    "loss",
    Loss,
    _CLASSES,
    {
        "mse": MeanSquaredError,
        "mae": MeanAbsoluteError,
        "mape": MeanAbsolutePercentageError,
        "msle": MeanSquaredLogarithmicError,
        "bce": BinaryCrossentropy,
        "kld": KLDivergence,
        "cross_entropy": CategoricalCrossentropy,
    },
    FunctionLoss,
)


def get(given: Any) -> Loss:
    """The loss of a name ("mse", "BinaryCrossentropy"), a class, a config, or a function of
    (y_true, y_pred) that returns an expression. ParameterError [E231] for anything else."""
    return _names.get(given)
