"""Layers of several inputs: sums, products, concatenation."""

import functools
from collections.abc import Sequence
from typing import Any

import graphc as gc
from graphc.layers.configured import undefined
from graphc.layers.layer import Layer

__all__ = [
    "Add",
    "Average",
    "Concatenate",
    "Dot",
    "Maximum",
    "Minimum",
    "Multiply",
    "Subtract",
    "add",
    "average",
    "concatenate",
    "dot",
    "maximum",
    "minimum",
    "multiply",
    "subtract",
]


class Merge(Layer):
    """Combines a list of two tensors or more, from left to right."""

    least = 2

    def ensure_built(self, *inputs: Any) -> None:
        given: Any = inputs[0] if inputs else None
        many = isinstance(given, list | tuple)
        if not many or len(given) < self.least or len(inputs) > 1:
            raise self.error(
                "takes one list of tensors",
                details=[f"got     {given!r:.60}"],
                fix=f"write {type(self).__name__}()([a, b])",
            )
        super().ensure_built(*inputs)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """True where a mask is, if all inputs have one."""
        if mask is None or any(one is None for one in mask):
            return None
        return functools.reduce(gc.logical_or, mask)

    def combine(self, left: Any, right: Any) -> Any:
        """Two of them as one."""
        raise undefined(self, "combine(self, left, right)")

    def call(self, inputs: Any) -> Any:
        result = inputs[0]
        for other in inputs[1:]:
            result = self.combine(result, other)
        return result


class Add(Merge):
    """The sum of tensors that broadcast."""

    def combine(self, left: Any, right: Any) -> Any:
        return left + right


class Subtract(Merge):
    """The difference of two tensors."""

    def combine(self, left: Any, right: Any) -> Any:
        return left - right


class Multiply(Merge):
    """The product of tensors that broadcast."""

    def combine(self, left: Any, right: Any) -> Any:
        return left * right


class Average(Merge):
    """The mean of tensors that broadcast."""

    def combine(self, left: Any, right: Any) -> Any:
        return left + right

    def call(self, inputs: Any) -> Any:
        return super().call(inputs) / len(inputs)


class Maximum(Merge):
    """The largest entry at each place; of equal ones the first has the gradient."""

    def combine(self, left: Any, right: Any) -> Any:
        return gc.maximum(left, right)


class Minimum(Merge):
    """The smallest entry at each place; of equal ones the first has the gradient."""

    def combine(self, left: Any, right: Any) -> Any:
        return gc.minimum(left, right)


class Concatenate(Merge):
    """Tensors one behind the other along an axis."""

    least = 1

    def __init__(self, axis: int = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = axis

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Masks one behind the other, or where all are True; an input without one is whole."""
        if mask is None:
            return None
        first = next(one for one in mask if one is not None)
        masks = [
            gc.ones(x.shape[: first.ndim], dtype="bool") if one is None else one
            for x, one in zip(inputs, mask, strict=True)
        ]
        axis = self.axis % inputs[0].ndim
        return (
            gc.concat(masks, axis=axis)
            if axis < first.ndim
            else functools.reduce(gc.logical_and, masks)
        )

    def call(self, inputs: Any) -> Any:
        return gc.concat(list(inputs), axis=self.axis)


class Dot(Merge):
    """Scalar products of two tensors for each example, summed over one axis of each.

    axes: one for both, or a pair; 0 is the batch. normalize: divide both by their norms first,
    which makes cosines.
    """

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.axes = (axes, axes) if isinstance(axes, int) else tuple(axes)
        self.normalize = normalize

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return None

    def call(self, inputs: Any) -> Any:
        left, right = inputs
        if self.normalize:
            left, right = (
                t * gc.rsqrt(gc.maximum(gc.sum(t * t, axis=a, keepdims=True), 1e-12))
                for t, a in zip((left, right), self.axes, strict=True)
            )
        left = gc.moveaxis(left, self.axes[0], -1)
        right = gc.moveaxis(right, self.axes[1], 1)
        if left.ndim == right.ndim == 2:
            return gc.sum(left * right, axis=1, keepdims=True)
        flat_left = gc.reshape(left, (left.shape[0], -1, left.shape[-1]))
        flat_right = gc.reshape(right, (right.shape[0], right.shape[1], -1))
        sizes = (left.shape[0], *left.shape[1:-1], *right.shape[2:])
        return gc.reshape(flat_left @ flat_right, sizes)


# --- called at once, as functions


def add(inputs: Sequence[Any], **options: Any) -> Any:
    """`Add(**options)(inputs)`"""
    return Add(**options)(inputs)


def average(inputs: Sequence[Any], **options: Any) -> Any:
    """`Average(**options)(inputs)`"""
    return Average(**options)(inputs)


def maximum(inputs: Sequence[Any], **options: Any) -> Any:
    """`Maximum(**options)(inputs)`"""
    return Maximum(**options)(inputs)


def minimum(inputs: Sequence[Any], **options: Any) -> Any:
    """`Minimum(**options)(inputs)`"""
    return Minimum(**options)(inputs)


def multiply(inputs: Sequence[Any], **options: Any) -> Any:
    """`Multiply(**options)(inputs)`"""
    return Multiply(**options)(inputs)


def subtract(inputs: Sequence[Any], **options: Any) -> Any:
    """`Subtract(**options)(inputs)`"""
    return Subtract(**options)(inputs)


def concatenate(inputs: Sequence[Any], axis: int = -1, **options: Any) -> Any:
    """`Concatenate(axis, **options)(inputs)`"""
    return Concatenate(axis, **options)(inputs)


def dot(
    inputs: Sequence[Any], axes: int | Sequence[int] = -1, normalize: bool = False, **options: Any
) -> Any:
    """`Dot(axes, normalize, **options)(inputs)`"""
    return Dot(axes, normalize, **options)(inputs)
