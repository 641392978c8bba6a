"""Losses of vectors that stand for things: cosine similarity and triplets."""

from typing import Any

import graphc as gc
from graphc.layers.configured import parameter_error, written
from graphc.layers.losses.base import Loss, floating, matched
from graphc.records import dataclass

__all__ = ["CosineSimilarity", "Triplet", "cosine_similarity", "triplet"]


def _unit(x: gc.Tensor, axis: int) -> gc.Tensor:
    """Vectors of length 1; those shorter than 1e-6 stay short, so that 0 has a gradient."""
    return x / gc.sqrt(gc.maximum(gc.sum(gc.square(x), axis=axis, keepdims=True), 1e-12))


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> gc.Tensor:
    """-cos(angle between y_true and y_pred) along `axis`: -1 for the same direction."""
    target, prediction = matched("cosine_similarity", y_true, y_pred)
    return -gc.sum(_unit(target, axis) * _unit(prediction, axis), axis=axis)


def triplet(
    anchor: Any, positive: Any, negative: Any, margin: float = 1.0, p: float = 2.0
) -> gc.Tensor:
    """max(|anchor - positive| - |anchor - negative| + margin, 0), with the norm of order p.

    All of shape [samples, ..., features]; result [samples, ...]. Differences get 1e-6 added, so
    that the norm has a gradient where two vectors are equal. Schroff, Kalenichenko and Philbin,
    FaceNet, 2015 (arXiv 1503.03832), with distances in place of their squares as is usual now.
    """
    near = _distance(floating(anchor) - floating(positive), p)
    far = _distance(floating(anchor) - floating(negative), p)
    return gc.maximum(near - far + margin, 0)


def _distance(difference: gc.Tensor, p: float) -> gc.Tensor:
    moved = difference + 1e-6
    if p == 2:
        return gc.sqrt(gc.sum(gc.square(moved), axis=-1))
    return gc.sum(gc.abs(moved) ** p, axis=-1) ** (1 / p)


@dataclass(frozen=True)
class CosineSimilarity(Loss):
    """`cosine_similarity` of each sample."""

    axis: int = -1

    def call(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        return cosine_similarity(y_true, y_pred, self.axis)


@dataclass(frozen=True)
class Triplet(Loss):
    """`triplet` of predictions [samples, 3, features]: anchors, positives, negatives.

    Targets are not read, and may be None.
    """

    margin: float = 1.0
    p: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.p >= 1:
            raise parameter_error(f"Triplet: p={self.p!r}", "use the order of a norm, >= 1")

    def call(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        vectors = gc.as_tensor(y_pred)
        if vectors.ndim != 3 or vectors.shape[1] != 3:
            raise gc.ShapeError(
                f"Triplet: predictions {vectors.type} are no triplets of vectors",
                source=written(),
                fix="stack anchors, positives and negatives: gc.stack([a, p, n], axis=1)",
            )
        return triplet(vectors[:, 0], vectors[:, 1], vectors[:, 2], self.margin, self.p)
