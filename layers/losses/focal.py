"""Focal cross-entropies: examples that are right already count less (Lin et al., 2017).

arXiv 1708.02002. Each term of the cross-entropy is multiplied by (1 - p)^gamma, with p the
probability that the label had.
"""

from typing import Any

import graphc as gc
from graphc.layers.configured import parameter_error
from graphc.layers.limits import is_real, within
from graphc.layers.losses.base import EPSILON, Loss, floating, matched
from graphc.layers.losses.classification import along_softmax, check_smoothing, logits_of
from graphc.records import dataclass

__all__ = [
    "BinaryFocalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy",
    "binary_focal_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
]


def _focus(missed: gc.Tensor, gamma: float) -> gc.Tensor | float:
    """missed^gamma; for 0 it is 1, also in the gradient."""
    return 1.0 if gamma == 0 else gc.maximum(missed, 0) ** gamma


def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> gc.Tensor:
    """mean of -(1 - p_t)^gamma (y log(p) + (1 - y) log(1 - p)) over `axis`, p_t = y p + (1 - y)
    (1 - p).

    y_true, y_pred: [samples, ...] of one shape. y_pred: probabilities p, or with from_logits what
    the sigmoid is taken of. apply_class_balancing: times alpha y + (1 - alpha) (1 - y).
    label_smoothing: s makes y (1 - s) + s / 2 of y.
    """
    name = "binary_focal_crossentropy"
    target, prediction = matched(name, y_true, y_pred)
    logits = logits_of(name, gc.as_tensor(y_pred), "sigmoid", from_logits)
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / 2
    if logits is not None:
        p = gc.sigmoid(floating(logits))
        values = gc.nn.sigmoid_cross_entropy(floating(logits), target)
    else:
        p = prediction
        inside = gc.clip(p, EPSILON, 1 - EPSILON)
        values = -(target * gc.log(inside) + (1 - target) * gc.log(1 - inside))
    values = _focus(target * (1 - p) + (1 - target) * p, gamma) * values
    if apply_class_balancing:
        values = values * (target * alpha + (1 - target) * (1 - alpha))
    return gc.mean(values, axis=axis) if values.ndim > 1 else values


def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: Any = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> gc.Tensor:
    """-sum(alpha (1 - p)^gamma y log(p)) over `axis`, the classes, for rows y of class
    probabilities (one-hot).

    y_true, y_pred: [samples, ..., classes] of one shape. y_pred: probabilities, which are divided
    by their sum, or logits. alpha: a number, or one for each class along the last axis.
    label_smoothing: s makes y (1 - s) + s / classes of y.
    """
    name = "categorical_focal_crossentropy"
    given = gc.as_tensor(y_pred)
    target, prediction = matched(name, y_true, y_pred)
    logits = logits_of(name, given, "softmax", from_logits)
    if label_smoothing:
        classes = gc.as_tensor(given.shape[axis]).astype(target.dtype)
        target = target * (1 - label_smoothing) + label_smoothing / classes
    if logits is not None and along_softmax(given, logits, axis):
        logs = gc.nn.log_softmax(floating(logits), axis=axis)
        missed = -gc.expm1(logs)
    else:
        p = prediction / gc.sum(prediction, axis=axis, keepdims=True)
        p = gc.clip(p, EPSILON, 1 - EPSILON)
        logs, missed = gc.log(p), 1 - p
    weight = gc.as_tensor(alpha).astype(target.dtype)
    return -gc.sum(weight * _focus(missed, gamma) * target * logs, axis=axis)


def categorical_generalized_cross_entropy(y_true: Any, y_pred: Any, q: float = 0.5) -> gc.Tensor:
    """(1 - p^q) / q with the probability p of the class: less of an error in a label than the
    cross-entropy, which it is for q -> 0, makes of it (Zhang and Sabuncu, 2018, arXiv 1805.07836).

    y_true: class numbers [samples, ...]. y_pred: probabilities [samples, ..., classes]. 0 < q < 1.
    """
    prediction = floating(y_pred)
    labels = gc.as_tensor(y_true).astype("int64")
    if labels.ndim == prediction.ndim and labels.shape[-1] == 1:
        labels = gc.squeeze(labels, axis=-1)
    column = gc.expand_dims(labels, axis=-1)
    p = gc.squeeze(gc.take_along_axis(prediction, column, axis=-1), axis=-1)
    return (1 - p**q) / q


@dataclass(frozen=True)
class BinaryFocalCrossentropy(Loss):
    """`binary_focal_crossentropy` of each sample."""

    apply_class_balancing: bool = False
    alpha: float = 0.25
    gamma: float = 2.0
    from_logits: bool = False
    label_smoothing: float = 0.0
    axis: int = -1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_smoothing(self)
        within(type(self).__name__, gamma=self.gamma, alpha=self.alpha)

    def call(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        return binary_focal_crossentropy(
            y_true,
            y_pred,
            self.apply_class_balancing,
            self.alpha,
            self.gamma,
            self.from_logits,
            self.label_smoothing,
            self.axis,
        )


@dataclass(frozen=True)
class CategoricalFocalCrossentropy(Loss):
    """`categorical_focal_crossentropy` of each sample."""

    alpha: Any = 0.25
    gamma: float = 2.0
    from_logits: bool = False
    label_smoothing: float = 0.0
    axis: int = -1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_smoothing(self)
        several = self.alpha if isinstance(self.alpha, list | tuple) else [self.alpha]
        for one in several:
            within(type(self).__name__, gamma=self.gamma, alpha=one)

    def call(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        return categorical_focal_crossentropy(
            y_true,
            y_pred,
            self.alpha,
            self.gamma,
            self.from_logits,
            self.label_smoothing,
            self.axis,
        )


@dataclass(frozen=True)
class CategoricalGeneralizedCrossEntropy(Loss):
    """`categorical_generalized_cross_entropy` of each sample."""

    q: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_real(self.q) or not 0 < self.q < 1:
            raise parameter_error(f"{type(self).__name__}: q={self.q!r}", "use a number in (0, 1)")

    def call(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        return categorical_generalized_cross_entropy(y_true, y_pred, self.q)
