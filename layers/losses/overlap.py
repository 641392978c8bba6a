"""Losses of how far regions overlap: Dice's and Tversky's coefficients, for segmentation."""

from collections.abc import Sequence
from typing import Any

import graphc as gc
from graphc.layers.limits import within
from graphc.layers.losses.base import EPSILON, Loss, matched
from graphc.records import dataclass

__all__ = ["Dice", "Tversky", "dice", "tversky"]

Axes = int | Sequence[int] | None


def _along(axis: Axes) -> Any:
    return tuple(axis) if isinstance(axis, list | tuple) else axis


def dice(y_true: Any, y_pred: Any, axis: Axes = None) -> gc.Tensor:
    """1 - 2 sum(y p) / (sum(y) + sum(p)) over `axis`, over all entries without it (Dice, 1945).

    y_true, y_pred: of one shape, from 0 to 1.
    """
    target, prediction = matched("dice", y_true, y_pred)
    both = gc.sum(target * prediction, axis=_along(axis))
    either = gc.sum(target, axis=_along(axis)) + gc.sum(prediction, axis=_along(axis))
    return 1 - 2 * both / (either + EPSILON)


def tversky(
    y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: Axes = None
) -> gc.Tensor:
    """1 - both / (both + alpha missed + beta wrong) over `axis`, with both = sum(y p), missed =
    sum(y (1 - p)) and wrong = sum((1 - y) p) (Salehi et al., 2017, arXiv 1706.05721).

    y_true, y_pred: of one shape, from 0 to 1. alpha = beta = 0.5: `dice`.
    """
    target, prediction = matched("tversky", y_true, y_pred)
    both = gc.sum(target * prediction, axis=_along(axis))
    missed = gc.sum(target * (1 - prediction), axis=_along(axis))
    wrong = gc.sum((1 - target) * prediction, axis=_along(axis))
    return 1 - both / (both + alpha * missed + beta * wrong + EPSILON)


@dataclass(frozen=True)
class Dice(Loss):
    """`dice` of a batch; axis: what is summed, such as (1, 2, 3) for a loss for each image."""

    axis: Any = None

    def call(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        return dice(y_true, y_pred, self.axis)


@dataclass(frozen=True)
class Tversky(Loss):
    """`tversky` of a batch; axis: what is summed, such as (1, 2, 3) for a loss for each image."""

    alpha: float = 0.5
    beta: float = 0.5
    axis: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        within("Tversky", alpha=self.alpha, beta=self.beta)

    def call(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        return tversky(y_true, y_pred, self.alpha, self.beta, self.axis)
