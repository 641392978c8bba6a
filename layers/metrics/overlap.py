"""Intersections over unions of regions that are said to be, and are, of a class."""

from collections.abc import Sequence
from dataclasses import field
from typing import Any

import graphc as gc
from graphc.layers.arguments import is_whole
from graphc.layers.configured import parameter_error
from graphc.layers.losses.base import same_rank
from graphc.layers.metrics.base import Metric, Updates, quotient, weights_of
from graphc.layers.metrics.confusion import pairs_counted
from graphc.records import dataclass

__all__ = ["BinaryIoU", "IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU"]


@dataclass(eq=False)
class _Overlap(Metric):
    """true positives / (true positives + false positives + false negatives), the mean over classes
    that occur."""

    num_classes: int
    ignore_class: int | None = field(default=None, kw_only=True)
    axis: int = field(default=-1, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_whole(self.num_classes) or self.num_classes < 1:
            raise parameter_error(f"{self.name}: num_classes={self.num_classes!r}", "use >= 1")
        for one in self.targets():
            if not is_whole(one) or not 0 <= one < self.num_classes:
                raise parameter_error(
                    f"{self.name}: target_class_ids={self.targets()!r:.60}",
                    f"give class numbers from 0 to {self.num_classes - 1}",
                )

    def targets(self) -> Sequence[int]:
        """The classes that count."""
        return range(self.num_classes)

    def labels(self, y_true: Any, y_pred: Any) -> tuple[gc.Tensor, gc.Tensor]:
        """Class numbers of targets and predictions, of one shape."""
        raise TypeError(f"{type(self).__name__} does not define labels")

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Updates:
        target, prediction = self.labels(y_true, y_pred)
        target = same_rank(str(self.name), target, prediction).astype("int64")
        prediction = prediction.astype("int64")
        count = self.num_classes
        known = (target >= 0) & (target < count) & (prediction >= 0) & (prediction < count)
        if self.ignore_class is not None:
            known = known & (target != self.ignore_class)
        weight = gc.where(known, weights_of(str(self.name), sample_weight, target), 0)
        matrix = self.keep("matrix", (count, count))
        labels = (gc.where(known, target, 0), gc.where(known, prediction, 0))
        return {matrix: matrix + pairs_counted(*labels, count, weight)}

    def result(self) -> gc.Tensor:
        matrix = self.keep("matrix", (self.num_classes, self.num_classes))
        right = gc.diagonal(matrix)
        either = gc.sum(matrix, axis=0) + gc.sum(matrix, axis=1) - right
        chosen = gc.constant(list(self.targets()), dtype="int64")
        each, there = (gc.take(x, chosen, axis=0) for x in (quotient(right, either), either > 0))
        return quotient(gc.sum(each), gc.sum(there.astype("float64")))


@dataclass(eq=False)
class _Numbers(_Overlap):
    sparse_y_true: bool = field(default=True, kw_only=True)
    sparse_y_pred: bool = field(default=True, kw_only=True)

    def labels(self, y_true: Any, y_pred: Any) -> tuple[gc.Tensor, gc.Tensor]:
        target, prediction = gc.as_tensor(y_true), gc.as_tensor(y_pred)
        if not self.sparse_y_true:
            target = gc.argmax(target, axis=self.axis)
        if not self.sparse_y_pred:
            prediction = gc.argmax(prediction, axis=self.axis)
        return target, prediction


@dataclass(eq=False)
class MeanIoU(_Numbers):
    """The mean over classes of intersection / union, for class numbers [samples, ...].

    sparse_y_true, sparse_y_pred: False for one-hot rows or scores of classes along `axis`. Numbers
    that name no class are left out, and targets of ignore_class. Classes that are neither there nor
    said to be do not count.
    """


@dataclass(eq=False)
class IoU(_Numbers):
    """`MeanIoU` of the classes target_class_ids."""

    target_class_ids: Any = ()

    def targets(self) -> Sequence[int]:
        return tuple(self.target_class_ids)


@dataclass(eq=False)
class BinaryIoU(_Overlap):
    """`IoU` of two classes, for labels of 0 and 1 and probabilities, which are 1 from `threshold`
    on."""

    num_classes: int = field(default=2, init=False)
    target_class_ids: Any = (0, 1)
    threshold: float = 0.5

    def targets(self) -> Sequence[int]:
        return tuple(self.target_class_ids)

    def labels(self, y_true: Any, y_pred: Any) -> tuple[gc.Tensor, gc.Tensor]:
        return gc.as_tensor(y_true), gc.as_tensor(y_pred) >= self.threshold


@dataclass(eq=False)
class _OneHot(_Overlap):
    sparse_y_pred: bool = field(default=False, kw_only=True)

    def labels(self, y_true: Any, y_pred: Any) -> tuple[gc.Tensor, gc.Tensor]:
        target, prediction = gc.argmax(gc.as_tensor(y_true), axis=self.axis), gc.as_tensor(y_pred)
        return target, prediction if self.sparse_y_pred else gc.argmax(prediction, axis=self.axis)


@dataclass(eq=False)
class OneHotMeanIoU(_OneHot):
    """`MeanIoU` for one-hot targets, and for scores of classes unless sparse_y_pred."""


@dataclass(eq=False)
class OneHotIoU(_OneHot):
    """`IoU` for one-hot targets, and for scores of classes unless sparse_y_pred."""

    target_class_ids: Any = ()

    def targets(self) -> Sequence[int]:
        return tuple(self.target_class_ids)
