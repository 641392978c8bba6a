"""Input: where data enters a model."""

from collections.abc import Sequence
from typing import Any

import graphc as gc
from graphc.layers.configured import parameter_error
from graphc.layers.layer import Layer, LayerCall, LayerOutput
from graphc.layers.naming import automatic_name, identifier

__all__ = ["Input", "InputLayer"]


class InputLayer(Layer):
    """A placeholder [batch, *shape]. All inputs of a model have the same batch size.

    shape: of one example; None for a size of any number. batch_size: any by default. dtype:
    float32 by default.
    """

    def __init__(
        self,
        shape: Sequence[int | str | None] = (),
        batch_size: int | None = None,
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name or automatic_name("input"), dtype=dtype)
        self._automatic = name is None
        if isinstance(shape, int) or shape is None:
            raise parameter_error(
                f"Input: shape={shape!r} is no tuple", f"write Input(shape=({shape},))", code="E241"
            )
        self.shape = tuple(shape)
        self.batch_size = batch_size
        self.built = True
        first: Any = gc.dim("batch") if batch_size is None else batch_size
        tensor = gc.placeholder(identifier(self.name), (first, *self.shape), self.dtype)
        call = LayerCall(self, (), {})
        call.outputs = LayerOutput(tensor, call)
        self._first_call = call

    def call(self, inputs: Any) -> Any:
        return inputs


def Input(
    shape: Sequence[int | str | None] = (),
    batch_size: int | None = None,
    dtype: Any = None,
    name: str | None = None,
    *,
    batch_shape: Sequence[int | str | None] | None = None,
) -> LayerOutput:
    """A tensor [batch, *shape] that a model is fed: a placeholder, for any number of examples.

    shape: of one example, without the batch; None for a size of any number, such as the length of
    a sequence. dtype: float32 by default; the layers that follow take it on. batch_shape: the shape
    with the batch, in place of shape and batch_size.

    >>> x = Input((28, 28, 1))
    >>> model = Model(x, Dense(10)(Flatten()(x)))
    """
    if batch_shape is not None:
        if not batch_shape or shape or batch_size is not None:
            raise parameter_error(
                f"Input: batch_shape={batch_shape!r}",
                "give the batch and the sizes of an example, and neither shape nor batch_size",
            )
        first = batch_shape[0]
        shape, batch_size = tuple(batch_shape[1:]), first if isinstance(first, int) else None
    output: LayerOutput = InputLayer(shape, batch_size, dtype, name).output
    return output
