"""Kernels and a bias, as dense layers, convolutions and attention have them."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

import graphc as gc
from graphc.layers import initializers
from graphc.layers.layer import Layer
from graphc.layers.seeds import new_generator


class KernelLayer(Layer):
    """A layer whose kernels share an initializer, a regularizer and a constraint, as biases do.

    A subclass sets use_bias, and kernel_ and bias_ initializer, regularizer and constraint.
    """

    use_bias: bool
    kernel_initializer: Any
    bias_initializer: Any
    kernel_regularizer: Any
    bias_regularizer: Any
    kernel_constraint: Any
    bias_constraint: Any

    def add_kernel(
        self, shape: Sequence[int], name: str = "kernel", initializer: Any = None
    ) -> gc.Variable:
        """A kernel; initializer: in place of the layer's."""
        return self.add_param(
            name,
            shape,
            self.kernel_initializer if initializer is None else initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )

    def add_matrix_kernel(
        self,
        shape: Sequence[int],
        rows: Sequence[int],
        columns: Sequence[int],
        name: str = "kernel",
    ) -> gc.Variable:
        """A kernel that acts as a matrix, for which its values are drawn.

        rows, columns: the axes that count as its inputs and its outputs; each axis is one of them.
        """
        start = self.kernel_initializer
        if not isinstance(start, gc.Variable):
            order = [*rows, *columns]
            matrix = [math.prod(shape[axis] for axis in axes) for axes in (rows, columns)]
            values = initializers.get(start)(matrix, self.dtype, new_generator())
            start = values.reshape([shape[axis] for axis in order]).transpose(np.argsort(order))
        return self.add_kernel(shape, name, start)

    def add_bias(
        self, shape: Sequence[int], name: str = "bias", initializer: Any = None
    ) -> gc.Variable | None:
        """A bias, which penalties of whole models leave out; None without use_bias."""
        if not self.use_bias:
            return None
        return self.add_param(
            name,
            shape,
            self.bias_initializer if initializer is None else initializer,
            regularizable=False,
            regularizer=self.bias_regularizer,
            constraint=self.bias_constraint,
        )
