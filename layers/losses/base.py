"""What all losses share: targets that fit predictions, weights of samples, the reduction."""

from collections.abc import Callable
from typing import Any

import graphc as gc
from graphc.layers.configured import Configured, parameter_error, undefined, written
from graphc.layers.masks import mask_of
from graphc.records import dataclass
from graphc.surface import check_fields

REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none", None)
EPSILON = 1e-7  # probabilities that may be 0 are kept this far from it, as in Keras


def floating(value: Any) -> gc.Tensor:
    """The tensor of a value; integers and bool become float32."""
    tensor = gc.as_tensor(value)
    return tensor if gc.isdtype(tensor.dtype, "real floating") else tensor.astype("float32")


def same_rank(name: str, y_true: gc.Tensor, y_pred: gc.Tensor) -> gc.Tensor:
    """Targets [n] for predictions [n, 1] get the missing axis, and the other way round.

    What would broadcast is an error: [n] against [n, 1] is n * n differences in numpy.
    """
    if y_true.ndim == y_pred.ndim - 1 and y_pred.shape[-1] == 1:
        y_true = gc.expand_dims(y_true, axis=-1)
    elif y_true.ndim == y_pred.ndim + 1 and y_true.shape[-1] == 1:
        y_true = gc.squeeze(y_true, axis=-1)
    unfit = y_true.ndim != y_pred.ndim or any(
        a != b and (1 in (a, b) or (isinstance(a, int) and isinstance(b, int)))
        for a, b in zip(y_true.shape, y_pred.shape, strict=True)
    )
    if unfit:
        raise gc.ShapeError(
            f"{name}: targets and predictions differ in shape",
            details=[f"y_true  {y_true.type}", f"y_pred  {y_pred.type}"],
            source=written(),
            fix="give targets of the shape of the predictions; class numbers go to the sparse "
            "losses and metrics",
        )
    return y_true


def matched(name: str, y_true: Any, y_pred: Any) -> tuple[gc.Tensor, gc.Tensor]:
    """Targets and predictions of one shape and one floating dtype, that of the predictions."""
    prediction = floating(y_pred)
    target = same_rank(name, gc.as_tensor(y_true), prediction)
    return target.astype(prediction.dtype), prediction


def over_last(values: gc.Tensor, reduce: Callable[..., gc.Tensor] = gc.mean) -> gc.Tensor:
    """One number for each sample: reduced over the last axis, unless that is the only one."""
    return reduce(values, axis=-1) if values.ndim > 1 else values


def fitting_weight(name: str, weight: Any, values: gc.Tensor) -> gc.Tensor:
    """Weights of samples with the axes of the values: [n] for values [n, t] become [n, 1]."""
    tensor = gc.as_tensor(weight).astype(values.dtype)
    while tensor.ndim < values.ndim and tensor.ndim > 0:
        tensor = gc.expand_dims(tensor, axis=-1)
    while tensor.ndim > values.ndim and tensor.shape[-1] == 1:
        tensor = gc.squeeze(tensor, axis=-1)
    if tensor.ndim > values.ndim:
        raise gc.ShapeError(
            f"{name}: sample_weight has more axes than there are losses",
            details=[f"sample_weight  {tensor.type}", f"losses         {values.type}"],
            source=written(),
            fix="give one weight for each sample",
        )
    return tensor


def reduced(name: str, values: gc.Tensor, weight: Any, reduction: str | None) -> gc.Tensor:
    """Losses of samples as one number, or as they are where the reduction is "none"."""
    if reduction == "mean_with_sample_weight" and weight is not None:
        factors = gc.broadcast_to(fitting_weight(name, weight, values), values.shape)
        return gc.sum(values * factors) / gc.sum(factors)
    if weight is not None:
        values = values * fitting_weight(name, weight, values)
    if reduction in ("none", None):
        return values
    return gc.sum(values) if reduction == "sum" else gc.mean(values)


def masked_weight(
    name: str, mask: gc.Tensor | None, weight: Any, values: gc.Tensor, reduction: str | None
) -> Any:
    """The weights of samples with those of masked steps 0; as in Keras, means are over the others.

    A mask with more axes than there are losses, such as one of sequences that have one loss each,
    says nothing of them.
    """
    if mask is None or mask.ndim > values.ndim:
        return weight
    found = mask.astype(values.dtype)
    if reduction in ("sum_over_batch_size", "mean"):
        count = gc.as_tensor(found.size).astype(values.dtype)
        found = found * (count / gc.maximum(gc.sum(found), 1))
    found = fitting_weight(name, found, values)
    return found if weight is None else found * fitting_weight(name, weight, values)


@dataclass(frozen=True, kw_only=True)
class Loss(Configured):
    """Base of all losses: `loss(y_true, y_pred, sample_weight=None)` is an expression.

    reduction: "sum_over_batch_size" (the default; also called "mean") is the sum of the weighted
    losses of samples, divided by how many there are; "sum"; "mean_with_sample_weight" divides by
    the sum of the weights; "none" or None leaves one loss for each sample. A subclass defines
    `call(y_true, y_pred)`, which returns one loss for each sample.
    """

    reduction: str | None = "sum_over_batch_size"
    name: str | None = None

    def __post_init__(self) -> None:
        if self.reduction not in REDUCTIONS:
            raise parameter_error(
                f"{type(self).__name__}: reduction={self.reduction!r}",
                f"use one of {REDUCTIONS}",
            )
        if type(self).__module__.startswith("graphc.layers."):  # users may annotate as they like
            check_fields(self)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> gc.Tensor:
        """The loss. y_true, y_pred: tensors or arrays. sample_weight: [samples], or of the shape
        of the losses of samples. Of predictions that carry a mask, padded steps cost nothing and
        do not count in the mean."""
        name = self.name or type(self).__name__
        values = self.call(y_true, y_pred)
        weight = masked_weight(name, mask_of(y_pred), sample_weight, values, self.reduction)
        return reduced(name, values, weight, self.reduction)

    def call(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        """One loss for each sample."""
        raise undefined(self, "call(self, y_true, y_pred)")


@dataclass(frozen=True)
class FunctionLoss(Loss):
    """A user's function of (y_true, y_pred)."""

    function: Callable[[Any, Any], Any]

    def call(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        return gc.as_tensor(self.function(gc.as_tensor(y_true), gc.as_tensor(y_pred)))
