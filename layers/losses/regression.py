"""Losses of numbers: squared, absolute, relative, Huber's, log-cosh, Poisson's."""

import math
from typing import Any

import graphc as gc
from graphc.layers.configured import parameter_error
from graphc.layers.losses.base import EPSILON, Loss, matched, over_last
from graphc.records import dataclass

__all__ = [
    "Huber",
    "LogCosh",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "Quadratic",
    "huber",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "quadratic",
]


def mean_squared_error(y_true: Any, y_pred: Any) -> gc.Tensor:
    """mean((y_true - y_pred)^2) over the last axis; [samples, ...] of one shape."""
    target, prediction = matched("mean_squared_error", y_true, y_pred)
    return over_last(gc.square(prediction - target))


def mean_absolute_error(y_true: Any, y_pred: Any) -> gc.Tensor:
    """mean(|y_true - y_pred|) over the last axis. The gradient where they are equal is 0."""
    target, prediction = matched("mean_absolute_error", y_true, y_pred)
    return over_last(gc.abs(prediction - target))


def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> gc.Tensor:
    """100 mean(|(y_true - y_pred) / y_true|) over the last axis; |y_true| is at least 1e-7."""
    target, prediction = matched("mean_absolute_percentage_error", y_true, y_pred)
    scale = gc.maximum(gc.abs(target), EPSILON)
    return 100 * over_last(gc.abs(target - prediction) / scale)


def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> gc.Tensor:
    """mean((log(1 + y_true) - log(1 + y_pred))^2) over the last axis; both are at least 1e-7."""
    target, prediction = matched("mean_squared_logarithmic_error", y_true, y_pred)
    logs = [gc.log1p(gc.maximum(value, EPSILON)) for value in (target, prediction)]
    return over_last(gc.square(logs[0] - logs[1]))


def quadratic(y_true: Any, y_pred: Any) -> gc.Tensor:
    """sum((y_true - y_pred)^2) / 2 over the last axis: the quadratic cost, whose gradient by the
    prediction is y_pred - y_true (Nielsen, Neural Networks and Deep Learning, 2015, chapter 1)."""
    target, prediction = matched("quadratic", y_true, y_pred)
    return over_last(gc.square(prediction - target), gc.sum) / 2


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> gc.Tensor:
    """mean of e^2 / 2 where |e| <= delta, else delta |e| - delta^2 / 2, of e = y_true - y_pred.

    Huber, Robust estimation of a location parameter, 1964.
    """
    target, prediction = matched("huber", y_true, y_pred)
    size = gc.abs(prediction - target)
    small, large = gc.square(size) / 2, delta * size - delta * delta / 2
    return over_last(gc.where(size <= delta, small, large))


def log_cosh(y_true: Any, y_pred: Any) -> gc.Tensor:
    """mean(log(cosh(y_pred - y_true))) over the last axis; it does not overflow."""
    target, prediction = matched("log_cosh", y_true, y_pred)
    error = prediction - target
    return over_last(error + gc.softplus(-2 * error) - math.log(2))


def poisson(y_true: Any, y_pred: Any) -> gc.Tensor:
    """mean(y_pred - y_true log(y_pred + 1e-7)) over the last axis: counts y_true of rate y_pred."""
    target, prediction = matched("poisson", y_true, y_pred)
    return over_last(prediction - target * gc.log(prediction + EPSILON))


@dataclass(frozen=True)
class MeanSquaredError(Loss):
    """`mean_squared_error` of each sample."""

    def call(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        return mean_squared_error(y_true, y_pred)


@dataclass(frozen=True)
class MeanAbsoluteError(Loss):
    """`mean_absolute_error` of each sample."""

    def call(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        return mean_absolute_error(y_true, y_pred)


@dataclass(frozen=True)
class MeanAbsolutePercentageError(Loss):
    """`mean_absolute_percentage_error` of each sample."""

    def call(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        return mean_absolute_percentage_error(y_true, y_pred)


@dataclass(frozen=True)
class MeanSquaredLogarithmicError(Loss):
    """`mean_squared_logarithmic_error` of each sample."""

    def call(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        return mean_squared_logarithmic_error(y_true, y_pred)


@dataclass(frozen=True)
class Quadratic(Loss):
    """`quadratic` of each sample."""

    def call(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        return quadratic(y_true, y_pred)


@dataclass(frozen=True)
class Huber(Loss):
    """`huber` of each sample. delta: where the square becomes a line, > 0."""

    delta: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.delta > 0:
            raise parameter_error(f"Huber: delta={self.delta!r}", "use a number > 0")

    def call(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        return huber(y_true, y_pred, self.delta)


@dataclass(frozen=True)
class LogCosh(Loss):
    """`log_cosh` of each sample."""

    def call(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        return log_cosh(y_true, y_pred)


@dataclass(frozen=True)
class Poisson(Loss):
    """`poisson` of each sample."""

    def call(self, y_true: Any, y_pred: Any) -> gc.Tensor:
        return poisson(y_true, y_pred)
