"""Losses of classes: cross-entropies, Kullback-Leibler divergence, hinges.

Probabilities that are a sigmoid or a softmax are traced back to what went into it, so that the loss
and its gradient (p - y) are exact for confident models too. Other probabilities are kept between
1e-7 and 1 - 1e-7, as in Keras.
"""

import warnings
from typing import Any

import graphc as gc
from graphc.layers.configured import parameter_error, written
from graphc.layers.losses.base import EPSILON, Loss, floating, matched, over_last
from graphc.records import dataclass

__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "Hinge",
    "KLDivergence",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "binary_crossentropy",
    "categorical_crossentropy",
    "categorical_hinge",
    "hinge",
    "kl_divergence",
    "sparse_categorical_crossentropy",
    "squared_hinge",
]


def _is_linear(y_pred: gc.Tensor) -> bool:
    """Whether a prediction is the plain output of a dense layer: no probability."""
    inputs = y_pred.node.inputs if y_pred.op.name == "add" else ()
    return y_pred.op.name == "matmul" or any(given.op.name == "matmul" for given in inputs)


def logits_of(name: str, y_pred: gc.Tensor, activation: str, from_logits: bool) -> gc.Tensor | None:
    """What the activation was applied to, where that is known; warns of a wrong from_logits."""
    if from_logits:
        if y_pred.op.name in ("sigmoid", "softmax"):
            warnings.warn(
                f"{name}: from_logits=True, but the predictions are the output of "
                f"{y_pred.op.name}; leave out that activation, or from_logits",
                stacklevel=4,
            )
        return y_pred
    if _is_linear(y_pred):
        warnings.warn(
            f"{name} expects probabilities, but the predictions are a product without an "
            f"activation; end the model with {activation}, or give from_logits=True",
            stacklevel=4,
        )
    return y_pred.node.inputs[0] if y_pred.op.name == activation else None


def along_softmax(y_pred: gc.Tensor, logits: gc.Tensor | None, axis: int) -> bool:
    """Whether the softmax that was traced goes along the axis of the loss."""
    if logits is None or y_pred.op.name != "softmax" or logits is y_pred:
        return logits is not None
    along = y_pred.node.attrs.get("axis", -1)
    return bool(along % y_pred.ndim == axis % y_pred.ndim)


def binary_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> gc.Tensor:
    """mean of -(y log(p) + (1 - y) log(1 - p)) over `axis`, for labels y in [0, 1].

    y_true, y_pred: [samples, ...] of one shape. y_pred: probabilities p, or with from_logits what
    the sigmoid is taken of. label_smoothing: s makes y (1 - s) + s / 2 of y.
    """
    name = "binary_crossentropy"
    target, prediction = matched(name, y_true, y_pred)
    logits = logits_of(name, gc.as_tensor(y_pred), "sigmoid", from_logits)
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / 2
    if logits is not None:
        values = gc.nn.sigmoid_cross_entropy(floating(logits), target)
    else:
        p = gc.clip(prediction, EPSILON, 1 - EPSILON)
        values = -(target * gc.log(p) + (1 - target) * gc.log(1 - p))
    return gc.mean(values, axis=axis) if values.ndim > 1 else values


def categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> gc.Tensor:
    """-sum(y log(p)) over `axis`, the classes, for rows y of class probabilities (one-hot).

    y_true, y_pred: [samples, ..., classes] of one shape. y_pred: probabilities, which are divided
    by their sum, or logits. label_smoothing: s makes y (1 - s) + s / classes of y.
    """
    name = "categorical_crossentropy"
    given = gc.as_tensor(y_pred)
    if gc.as_tensor(y_true).ndim == given.ndim - 1 and given.shape[-1] != 1:
        raise gc.ShapeError(
            f"{name}: targets are no rows of class probabilities",
            details=[f"y_true  {gc.as_tensor(y_true).type}", f"y_pred  {given.type}"],
            source=written(),
            fix="use sparse_categorical_crossentropy for class numbers, or gc.one_hot",
        )
    target, prediction = matched(name, y_true, y_pred)
    logits = logits_of(name, given, "softmax", from_logits)
    if label_smoothing:
        classes = gc.as_tensor(given.shape[axis]).astype(target.dtype)
        target = target * (1 - label_smoothing) + label_smoothing / classes
    if logits is not None and along_softmax(given, logits, axis):
        return gc.nn.softmax_cross_entropy(floating(logits), target, axis=axis)
    p = prediction / gc.sum(prediction, axis=axis, keepdims=True)
    return -gc.sum(target * gc.log(gc.clip(p, EPSILON, 1 - EPSILON)), axis=axis)


def sparse_categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> gc.Tensor:
    """-log(p[y]) for class numbers y.

    y_true: [samples, ...] or [samples, ..., 1], whole numbers in [0, classes); others raise
    IndexOutOfRange at the call. y_pred: [samples, ..., classes], probabilities or logits.
    ignore_class: targets of this number cost nothing. axis: that of the classes.
    """
    name = "sparse_categorical_crossentropy"
    given = gc.as_tensor(y_pred)
    prediction = floating(given)
    logits = logits_of(name, given, "softmax", from_logits)
    if logits is not None and not along_softmax(given, logits, axis):
        logits = None
    labels = _class_numbers(name, y_true, prediction)
    source = prediction if logits is None else floating(logits)
    if axis not in (-1, prediction.ndim - 1):
        source = gc.moveaxis(source, axis, -1)
    known = None if ignore_class is None else gc.not_equal(labels, ignore_class)
    if known is not None:
        labels = gc.where(known, labels, 0)
    if logits is None:
        p = source / gc.sum(source, axis=-1, keepdims=True)
        source = gc.log(gc.clip(p, EPSILON, 1 - EPSILON))
        column = gc.expand_dims(labels, axis=-1)
        values = -gc.squeeze(gc.take_along_axis(source, column, axis=-1), axis=-1)
    else:
        values = gc.nn.sparse_softmax_cross_entropy(source, labels)
    return values if known is None else gc.where(known, values, 0)


def _class_numbers(name: str, y_true: Any, y_pred: gc.Tensor) -> gc.Tensor:
    labels = gc.as_tensor(y_true)
    if labels.ndim == y_pred.ndim and labels.shape[-1] == 1 and labels.ndim > 0:
        labels = gc.squeeze(labels, axis=-1)
    if labels.ndim != y_pred.ndim - 1:
        raise gc.ShapeError(
            f"{name}: targets are no class numbers for these predictions",
            details=[f"y_true  {labels.type}", f"y_pred  {y_pred.type}"],
            source=written(),
            fix="give one class number for each row of predictions; rows of class probabilities "
            "go to categorical_crossentropy",
        )
    return labels if gc.isdtype(labels.dtype, "integral") else labels.astype("int64")


def kl_divergence(y_true: Any, y_pred: Any) -> gc.Tensor:
    """sum(y log(y / p)) over the last axis: Kullback and Leibler, 1951. Both in [1e-7, 1]."""
    target, prediction = matched("kl_divergence", y_true, y_pred)
    y, p = gc.clip(target, EPSILON, 1), gc.clip(prediction, EPSILON, 1)
    return over_last(y * gc.log(y / p), gc.sum)


def _signs(target: gc.Tensor) -> gc.Tensor:
    """Labels -1 and 1; those of 0 and 1 are converted."""
    binary = gc.all((target == 0) | (target == 1))
    return gc.where(binary, 2 * target - 1, target)


def hinge(y_true: Any, y_pred: Any) -> gc.Tensor:
    """mean(max(1 - y p, 0)) over the last axis, for labels y of -1 and 1, or of 0 and 1."""
    target, prediction = matched("hinge", y_true, y_pred)
    return over_last(gc.maximum(1 - _signs(target) * prediction, 0))


def squared_hinge(y_true: Any, y_pred: Any) -> gc.Tensor:
    """mean(max(1 - y p, 0)^2) over the last axis, for labels y of -1 and 1, or of 0 and 1."""
    target, prediction = matched("squared_hinge", y_true, y_pred)
    return over_last(gc.square(gc.maximum(1 - _signs(target) * prediction, 0)))


def categorical_hinge(y_true: Any, y_pred: Any) -> gc.Tensor:
    """max(1 + the largest score of a wrong class - that of the right one, 0); one-hot labels."""
    target, prediction = matched("categorical_hinge", y_true, y_pred)
    right = gc.sum(target * prediction, axis=-1)
    wrong = gc.max((1 - target) * prediction, axis=-1)
    return gc.maximum(wrong - right + 1, 0)


@dataclass(frozen=True)
class BinaryCrossentropy(Loss):
    """`binary_crossentropy` of each sample."""

    from_logits: bool = False
    label_smoothing: float = 0.0
    axis: int = -1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_smoothing(self)

    def call(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        return binary_crossentropy(
            y_true, y_pred, self.from_logits, self.label_smoothing, self.axis
        )


@dataclass(frozen=True)
class CategoricalCrossentropy(Loss):
    """`categorical_crossentropy` of each sample."""

    from_logits: bool = False
    label_smoothing: float = 0.0
    axis: int = -1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_smoothing(self)

    def call(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        return categorical_crossentropy(
            y_true, y_pred, self.from_logits, self.label_smoothing, self.axis
        )


def check_smoothing(loss: Any) -> None:
    if not 0 <= loss.label_smoothing <= 1:
        raise parameter_error(
            f"{type(loss).__name__}: label_smoothing={loss.label_smoothing!r}",
            "use a number from 0 to 1",
        )


@dataclass(frozen=True)
class SparseCategoricalCrossentropy(Loss):
    """`sparse_categorical_crossentropy` of each sample."""

    from_logits: bool = False
    ignore_class: int | None = None
    axis: int = -1

    def call(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        return sparse_categorical_crossentropy(
            y_true, y_pred, self.from_logits, self.ignore_class, self.axis
        )


@dataclass(frozen=True)
class KLDivergence(Loss):
    """`kl_divergence` of each sample."""

    def call(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        return kl_divergence(y_true, y_pred)


@dataclass(frozen=True)
class Hinge(Loss):
    """`hinge` of each sample."""

    def call(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        return hinge(y_true, y_pred)


@dataclass(frozen=True)
class SquaredHinge(Loss):
    """`squared_hinge` of each sample."""

    def call(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        return squared_hinge(y_true, y_pred)


@dataclass(frozen=True)
class CategoricalHinge(Loss):
    """`categorical_hinge` of each sample."""

    def call(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        return categorical_hinge(y_true, y_pred)
