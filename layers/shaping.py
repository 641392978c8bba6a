"""Flatten, Reshape, Permute, RepeatVector: the same elements in another arrangement."""

from collections.abc import Sequence
from typing import Any

import graphc as gc
from graphc.layers.arguments import checked_units, is_whole
from graphc.layers.configured import parameter_error
from graphc.layers.layer import InputSpec, Layer

__all__ = ["Flatten", "Permute", "RepeatVector", "Reshape"]


class Flatten(Layer):
    """[batch, ...] -> [batch, all the rest]; [batch] -> [batch, 1]."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.input_spec = InputSpec(min_ndim=1)

    def call(self, inputs: Any) -> Any:
        features: Any = 1
        for size in inputs.shape[1:]:
            features = features * size
        return gc.reshape(inputs, (inputs.shape[0], features))


class Reshape(Layer):
    """[batch, ...] -> [batch, *target_shape]; one size may be -1, for what is left."""

    def __init__(self, target_shape: Sequence[int], **options: Any) -> None:
        super().__init__(**options)
        self.target_shape = tuple(target_shape)
        if not all(is_whole(size) and size >= -1 for size in self.target_shape):
            raise parameter_error(
                f"Reshape: target_shape={self.target_shape!r:.60}",
                "sizes are whole numbers, without the batch; one of them may be -1",
            )

    def call(self, inputs: Any) -> Any:
        known: Any = 1
        for size in self.target_shape:
            known = known * (1 if size == -1 else size)
        total: Any = 1
        for size in inputs.shape[1:]:
            total = total * size
        if isinstance(total, int) and (
            total % known if known and -1 in self.target_shape else total != known
        ):
            raise self.error(
                f"{total} elements of an example cannot have the shape {self.target_shape}",
                details=[f"got     {inputs.type}"],
                fix=f"give a target_shape with {total} elements, or -1 for one of its sizes",
            )
        sizes = [total // known if size == -1 else size for size in self.target_shape]
        return gc.reshape(inputs, (inputs.shape[0], *sizes))


class Permute(Layer):
    """The axes of an example in another order. dims: 1 is the first axis after the batch."""

    def __init__(self, dims: Sequence[int], **options: Any) -> None:
        super().__init__(**options)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise parameter_error(
                f"Permute: dims={self.dims!r}", "name each axis once, from 1 on: dims=(2, 1)"
            )
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def call(self, inputs: Any) -> Any:
        return gc.permute_dims(inputs, (0, *self.dims))


class RepeatVector(Layer):
    """[batch, features] -> [batch, n, features]: the same row n times."""

    def __init__(self, n: int, **options: Any) -> None:
        super().__init__(**options)
        self.n = checked_units(self, n, "n")
        self.input_spec = InputSpec(ndim=2)

    def call(self, inputs: Any) -> Any:
        batch, features = inputs.shape
        return gc.broadcast_to(gc.expand_dims(inputs, axis=1), (batch, self.n, features))
