"""Costs of large weights: `regularizer(variable)` is a scalar expression to add to a loss."""

from collections.abc import Callable
from typing import Any

import graphc as gc
from graphc.layers.configured import Configured, Names, parameter_error, written
from graphc.layers.limits import within
from graphc.records import dataclass

__all__ = [
    "L1",
    "L1L2",
    "L2",
    "OrthogonalRegularizer",
    "Regularizer",
    "get",
    "l1",
    "l1_l2",
    "l2",
    "orthogonal_regularizer",
]


class Regularizer(Configured):
    """Base of all regularizers."""

    def __call__(self, variable: gc.Tensor) -> gc.Tensor:
        """The cost, a scalar of the variable's dtype."""
        raise TypeError(f"{type(self).__name__} does not define __call__(variable)")


@dataclass(frozen=True)
class L1(Regularizer):
    """l1 * sum(|w|): small weights become 0. The gradient at 0 is 0."""

    l1: float = 0.01

    def __post_init__(self) -> None:
        within("L1", l1=self.l1)

    def __call__(self, variable: gc.Tensor) -> gc.Tensor:
        return self.l1 * gc.sum(gc.abs(variable))


@dataclass(frozen=True)
class L2(Regularizer):
    """l2 * sum(w^2): weight decay. Books write lambda / (2 m) for l2, with m examples."""

    l2: float = 0.01

    def __post_init__(self) -> None:
        within("L2", l2=self.l2)

    def __call__(self, variable: gc.Tensor) -> gc.Tensor:
        return self.l2 * gc.sum(gc.square(variable))


@dataclass(frozen=True)
class L1L2(Regularizer):
    """l1 * sum(|w|) + l2 * sum(w^2): the elastic net (Zou and Hastie, 2005)."""

    l1: float = 0.0
    l2: float = 0.0

    def __post_init__(self) -> None:
        within("L1L2", l1=self.l1, l2=self.l2)

    def __call__(self, variable: gc.Tensor) -> gc.Tensor:
        return self.l1 * gc.sum(gc.abs(variable)) + self.l2 * gc.sum(gc.square(variable))


@dataclass(frozen=True)
class OrthogonalRegularizer(Regularizer):
    """factor * the mean |cosine| of pairs of rows, or of columns: they become orthogonal.

    mode: "rows" or "columns" of weights [rows, columns]; there are two of them or more.
    """

    factor: float = 0.01
    mode: str = "rows"

    def __post_init__(self) -> None:
        within("OrthogonalRegularizer", factor=self.factor)
        if self.mode not in ("rows", "columns"):
            raise parameter_error(
                f"OrthogonalRegularizer: mode={self.mode!r}", 'use "rows" or "columns"'
            )

    def __call__(self, variable: gc.Tensor) -> gc.Tensor:
        if variable.ndim != 2:
            raise gc.ShapeError(
                f"OrthogonalRegularizer: a weight {variable.type} has no rows and columns",
                source=written(),
                fix="use it for weights with two axes, such as those of Dense layers",
            )
        vectors = variable if self.mode == "rows" else variable.T
        length = gc.sum(gc.square(vectors), axis=1, keepdims=True)
        vectors = vectors * gc.rsqrt(gc.maximum(length, 1e-12))
        count = int(vectors.shape[0])
        products = (vectors @ vectors.T) * (1 - gc.eye(count, dtype=variable.dtype))
        return self.factor * gc.sum(gc.abs(products)) / max(count * (count - 1), 1)


l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer


@dataclass(frozen=True)
class _Function(Regularizer):
    function: Callable[[gc.Tensor], Any]

    def __call__(self, variable: gc.Tensor) -> gc.Tensor:
        return gc.as_tensor(self.function(variable))


_CLASSES: list[type[Regularizer]] = [L1, L2, L1L2, OrthogonalRegularizer]
_names = Names(
    "regularizer", Regularizer, _CLASSES, {"elastic": L1L2, "elastic_net": L1L2}, _Function
)


def get(given: Any) -> Regularizer:
    """The regularizer of a name, a class, a config, or a function of a variable."""
    return _names.get(given)
