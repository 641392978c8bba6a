"""Losses of vectors that stand for things: cosine similarity, triplets and circles."""

from typing import Any

import graphc as gc
from graphc.layers.configured import parameter_error, written
from graphc.layers.limits import positive
from graphc.layers.losses.base import Loss, floating, matched
from graphc.records import dataclass

__all__ = ["Circle", "CosineSimilarity", "Triplet", "circle", "cosine_similarity", "triplet"]


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


def circle(
    y_true: Any,
    y_pred: Any,
    remove_diagonal: bool = True,
    gamma: float = 80.0,
    margin: float = 0.4,
) -> gc.Tensor:
    """softplus(logsumexp(gamma a s) + logsumexp(gamma b d)) of each sample, over those of its own
    class, with distances s, and those of others, with distances d (Sun et al., 2020, arXiv
    2002.10857): a = margin + s and b = 1 + margin - d, less the margins; a sample that has none of
    a kind costs 0.

    y_true: class numbers [samples] or [samples, 1]. y_pred: vectors of length 1 [samples,
    features]. Distances are 1 - cosine, at least 0. remove_diagonal: no sample is its own partner.
    """
    vectors, labels = floating(y_pred), gc.as_tensor(y_true)
    if labels.ndim == 2 and labels.shape[-1] == 1:
        labels = gc.squeeze(labels, axis=-1)
    if vectors.ndim != 2 or labels.ndim != 1:
        raise gc.ShapeError(
            "circle: labels are [samples], predictions [samples, features]",
            details=[f"y_true  {gc.as_tensor(y_true).type}", f"y_pred  {vectors.type}"],
            source=written(),
            fix="give one class number and one vector for each sample",
        )
    distance = gc.maximum(1 - vectors @ vectors.T, 0)
    same = gc.expand_dims(labels, axis=1) == labels
    other = gc.logical_not(same)
    if remove_diagonal:
        places = gc.arange(vectors.shape[0])
        same = same & (gc.expand_dims(places, axis=1) != places)
    near = -gamma * (margin + distance) * (margin - distance)
    far = gamma * gc.maximum(1 + margin - distance, 0) * (1 - margin - distance)
    never = gc.finfo(vectors.dtype).min / 4
    sums = [
        gc.logsumexp(gc.where(there, each, never), axis=1)
        for there, each in ((same, near), (other, far))
    ]
    both = gc.any(same, axis=1) & gc.any(other, axis=1)
    return gc.softplus(gc.where(both, sums[0] + sums[1], never))


@dataclass(frozen=True)
class Circle(Loss):
    """`circle` of each sample of a batch."""

    gamma: float = 80.0
    margin: float = 0.4
    remove_diagonal: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        positive("Circle", gamma=self.gamma)
        if not 0 <= self.margin <= 1:
            raise parameter_error(f"Circle: margin={self.margin!r}", "use a number from 0 to 1")

    def call(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        return circle(y_true, y_pred, self.remove_diagonal, self.gamma, self.margin)


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
