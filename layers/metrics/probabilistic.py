"""Means of losses as metrics, and correlations."""

from typing import Any

import graphc as gc
from graphc.layers.losses import classification, embedding, regression
from graphc.layers.losses.base import EPSILON, matched
from graphc.layers.metrics.base import MeanOfValues, quotient
from graphc.records import dataclass

__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "ConcordanceCorrelation",
    "CosineSimilarity",
    "Hinge",
    "KLDivergence",
    "LogCoshError",
    "PearsonCorrelation",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
]


@dataclass(eq=False)
class BinaryCrossentropy(MeanOfValues):
    """The mean of `losses.binary_crossentropy`."""

    from_logits: bool = False
    label_smoothing: float = 0.0

    def values(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        return classification.binary_crossentropy(
            y_true, y_pred, self.from_logits, self.label_smoothing
        )


@dataclass(eq=False)
class CategoricalCrossentropy(MeanOfValues):
    """The mean of `losses.categorical_crossentropy`."""

    from_logits: bool = False
    label_smoothing: float = 0.0
    axis: int = -1

    def values(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        return classification.categorical_crossentropy(
            y_true, y_pred, self.from_logits, self.label_smoothing, self.axis
        )


@dataclass(eq=False)
class SparseCategoricalCrossentropy(MeanOfValues):
    """The mean of `losses.sparse_categorical_crossentropy`."""

    from_logits: bool = False
    ignore_class: int | None = None
    axis: int = -1

    def values(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        return classification.sparse_categorical_crossentropy(
            y_true, y_pred, self.from_logits, self.ignore_class, self.axis
        )


@dataclass(eq=False)
class KLDivergence(MeanOfValues):
    """The mean of `losses.kl_divergence`."""

    def values(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        return classification.kl_divergence(y_true, y_pred)


@dataclass(eq=False)
class Hinge(MeanOfValues):
    """The mean of `losses.hinge`."""

    def values(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        return classification.hinge(y_true, y_pred)


@dataclass(eq=False)
class SquaredHinge(MeanOfValues):
    """The mean of `losses.squared_hinge`."""

    def values(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        return classification.squared_hinge(y_true, y_pred)


@dataclass(eq=False)
class CategoricalHinge(MeanOfValues):
    """The mean of `losses.categorical_hinge`."""

    def values(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        return classification.categorical_hinge(y_true, y_pred)


@dataclass(eq=False)
class Poisson(MeanOfValues):
    """The mean of `losses.poisson`."""

    def values(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        return regression.poisson(y_true, y_pred)


@dataclass(eq=False)
class LogCoshError(MeanOfValues):
    """The mean of `losses.log_cosh`."""

    def __post_init__(self) -> None:
        self.name = self.name or "logcosh"
        super().__post_init__()

    def values(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        return regression.log_cosh(y_true, y_pred)


@dataclass(eq=False)
class CosineSimilarity(MeanOfValues):
    """The mean cosine of the angle along `axis`: 1 for the same direction; the loss is its
    negative."""

    axis: int = -1

    def values(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        return -embedding.cosine_similarity(y_true, y_pred, self.axis)


@dataclass(eq=False)
class PearsonCorrelation(MeanOfValues):
    """The mean of the correlations along `axis` (Pearson, 1895), 0 for what does not vary."""

    axis: int = -1

    def values(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        y, p = (one.astype("float64") for one in matched(str(self.name), y_true, y_pred))
        y, p = (one - gc.mean(one, axis=self.axis, keepdims=True) for one in (y, p))
        spreads = gc.mean(y * y, axis=self.axis) * gc.mean(p * p, axis=self.axis)
        return quotient(gc.mean(y * p, axis=self.axis), gc.sqrt(spreads))


@dataclass(eq=False)
class ConcordanceCorrelation(MeanOfValues):
    """The mean of 2 cov(y, p) / (var(y) + var(p) + (mean(y) - mean(p))^2) along `axis` (Lin,
    1989)."""

    axis: int = -1

    def values(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        y, p = (one.astype("float64") for one in matched(str(self.name), y_true, y_pred))
        means = [gc.mean(one, axis=self.axis, keepdims=True) for one in (y, p)]
        spreads = sum(
            gc.mean(gc.square(one - mean), axis=self.axis)
            for one, mean in zip((y, p), means, strict=True)
        )
        apart = gc.squeeze(gc.square(means[0] - means[1]), axis=self.axis)
        both = gc.mean((y - means[0]) * (p - means[1]), axis=self.axis)
        return 2 * both / (spreads + apart + EPSILON)
