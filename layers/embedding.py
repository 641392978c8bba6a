"""Embedding: a trained row for each integer."""

from typing import Any

import graphc as gc
from graphc.layers.arguments import checked_units
from graphc.layers.layer import Layer

__all__ = ["Embedding"]


class Embedding(Layer):
    """Integers in [0, input_dim) -> rows of a trained matrix [input_dim, output_dim].

    x: integers of any shape [...], or floats that hold integers. Result: [..., output_dim].
    IndexOutOfRange at the call for an integer outside of the matrix.
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.input_dim = checked_units(self, input_dim, "input_dim")
        self.output_dim = checked_units(self, output_dim, "output_dim")
        self.embeddings_initializer = embeddings_initializer
        self.embeddings_regularizer = embeddings_regularizer
        self.embeddings_constraint = embeddings_constraint

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
