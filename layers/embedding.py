"""Embedding: a trained row for each integer. Masking: which steps of a sequence are padding."""

from typing import Any

import graphc as gc
from graphc.layers.arguments import checked_flag, checked_units
from graphc.layers.layer import InputSpec, Layer
from graphc.layers.limits import real

__all__ = ["Embedding", "Masking"]


class Embedding(Layer):
    """Integers in [0, input_dim) -> rows of a trained matrix [input_dim, output_dim].

    x: integers of any shape [...], or floats that hold integers. Result: [..., output_dim].
    IndexOutOfRange at the call for an integer outside of the matrix. mask_zero: 0 is padding, which
    the layers behind it, the loss and the metrics leave out.
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.input_dim = checked_units(self, input_dim, "input_dim")
        self.output_dim = checked_units(self, output_dim, "output_dim")
        self.embeddings_initializer = embeddings_initializer
        self.embeddings_regularizer = embeddings_regularizer
        self.embeddings_constraint = embeddings_constraint
        self.mask_zero = checked_flag(self, "mask_zero", mask_zero)
        self.supports_masking = self.mask_zero

    def build(self, input_shape: Any) -> None:
        self.embeddings = self.add_param(
            "embeddings",
            (self.input_dim, self.output_dim),
            self.embeddings_initializer,
            regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
        )

    def call(self, inputs: Any) -> Any:
        if not gc.isdtype(inputs.dtype, "integral"):
            inputs = inputs.astype("int64")
        return gc.take(self.embeddings, inputs, axis=0)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return gc.not_equal(inputs, 0) if self.mask_zero else None


class Masking(Layer):
    """Steps whose features all are `mask_value` are padding: layers behind it leave them out.

    x: [batch, steps, ..., features]. Result: x with 0 in the masked steps, and a mask.
    """

    def __init__(self, mask_value: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        real("Masking", mask_value=mask_value)
        self.mask_value = float(mask_value)
        self.input_spec = InputSpec(min_ndim=3)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return gc.any(gc.not_equal(inputs, self.mask_value), axis=-1)

    def call(self, inputs: Any) -> Any:
        return gc.where(gc.expand_dims(self.compute_mask(inputs), axis=-1), inputs, 0)
