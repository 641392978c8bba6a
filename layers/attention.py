"""Attention: MultiHeadAttention, TransformerBlock, PositionalEncoding."""

import functools
import math
from typing import Any

import graphc as gc
from graphc.layers import activations
from graphc.layers.arguments import checked_rate, checked_units
from graphc.layers.core import Dense
from graphc.layers.kernels import KernelLayer
from graphc.layers.layer import InputSpec, Layer
from graphc.layers.limits import positive
from graphc.layers.masks import causal_mask, hidden, truth_of
from graphc.layers.noise import Dropout, RandomLayer, dropped
from graphc.layers.normalization import LayerNormalization

__all__ = ["MultiHeadAttention", "PositionalEncoding", "TransformerBlock"]


class MultiHeadAttention(RandomLayer, KernelLayer):
    """softmax(q k^T / sqrt(key_dim)) v for several heads, joined by a product.

    Vaswani et al., 2017 (arXiv 1706.03762). query: [batch, T, features], value and key:
    [batch, S, features]; key is value unless given. attention_mask: bool, broadcasts to
    [batch, heads, T, S], or [batch, T, S]: False hides a position. query_mask [batch, T],
    value_mask and key_mask [batch, S]: padded steps, by default those of the masks that the inputs
    carry; they are hidden too. use_causal_mask: no position sees a later one. Where all positions
    are hidden, weights are equal. Result: [batch, T, output_shape], the features of the query by
    default; with return_attention_scores also the weights [batch, heads, T, S]. dropout: of these
    weights.

    Kernels: query, key [features, heads, key_dim], value [features, heads, value_dim], output
    [heads, value_dim, features].
    """

    supports_masking = True

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: int | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(seed, **options)
        self.num_heads = checked_units(self, num_heads, "num_heads")
        self.key_dim = checked_units(self, key_dim, "key_dim")
        given = key_dim if value_dim is None else value_dim
        self.value_dim = checked_units(self, given, "value_dim")
        self.dropout = checked_rate(self, dropout, "dropout")
        self.use_bias = use_bias
        self.features = output_shape
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer
        self.kernel_regularizer, self.bias_regularizer = kernel_regularizer, bias_regularizer
        self.kernel_constraint, self.bias_constraint = kernel_constraint, bias_constraint
        self.input_spec = InputSpec(ndim=3)

    def ensure_built(self, *inputs: Any) -> None:
        if not self.built and len(inputs) > 1:
            key = inputs[2] if len(inputs) > 2 and inputs[2] is not None else inputs[1]
            self._others = (inputs[1].shape, key.shape)
        super().ensure_built(*inputs)

    def build(self, input_shape: Any) -> None:
        value_shape, key_shape = getattr(self, "_others", (input_shape, input_shape))
        heads = self.num_heads
        features = self.known_size(input_shape)
        self.query_kernel, self.query_bias = self._projection(
            "query", features, (heads, self.key_dim)
        )
        self.key_kernel, self.key_bias = self._projection(
            "key", self.known_size(key_shape), (heads, self.key_dim)
        )
        self.value_kernel, self.value_bias = self._projection(
            "value", self.known_size(value_shape), (heads, self.value_dim)
        )
        self.features = features if self.features is None else self.features
        self.output_kernel = self.add_matrix_kernel(
            (heads, self.value_dim, self.features), (0, 1), (2,), "output_kernel"
        )
        self.output_bias = self.add_bias((self.features,), "output_bias")
        self.input_spec = InputSpec(ndim=3, axes={-1: features})

    def _projection(self, name: str, features: int, shape: tuple[int, int]) -> Any:
        kernel = self.add_matrix_kernel((features, *shape), (0,), (1, 2), f"{name}_kernel")
        return kernel, self.add_bias(shape, f"{name}_bias")

    def _heads(self, x: gc.Tensor, kernel: gc.Tensor, bias: gc.Tensor | None) -> gc.Tensor:
        """[batch, T, features] -> [batch, heads, T, dim]"""
        _, heads, size = kernel.shape
        flat = x @ gc.reshape(kernel, (kernel.shape[0], -1))
        parts = gc.reshape(flat, (*x.shape[:2], heads, size))
        parts = parts if bias is None else parts + bias
        return gc.permute_dims(parts, (0, 2, 1, 3))

    @property
    def differs_in_training(self) -> bool:
        return self.dropout != 0

    def call(
        self,
        query: Any,
        value: Any = None,
        key: Any = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        training: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        value = query if value is None else value
        key = value if key is None else key
        q = self._heads(query, self.query_kernel, self.query_bias) * self.key_dim**-0.5
        k = self._heads(key, self.key_kernel, self.key_bias)
        v = self._heads(value, self.value_kernel, self.value_bias)
        scores = q @ gc.matrix_transpose(k)
        masks = [_at(query_mask, (1, 3)), _at(value_mask, (1, 2)), _at(key_mask, (1, 2))]
        if attention_mask is not None:
            mask = truth_of(attention_mask)
            masks.append(gc.expand_dims(mask, axis=1) if mask.ndim == 3 else mask)
        if use_causal_mask:
            masks.append(causal_mask(query.shape[1], key.shape[1]))
        shown = [mask for mask in masks if mask is not None]
        if shown:
            scores = hidden(scores, functools.reduce(gc.logical_and, shown))
        weights = gc.softmax(scores, axis=-1)
        used = weights
        if training and self.dropout:
            used = dropped(weights, self.draw_key(), self.dropout)
        joined = gc.permute_dims(used @ v, (0, 2, 1, 3))
        flat = gc.reshape(joined, (*query.shape[:2], self.num_heads * self.value_dim))
        result = flat @ gc.reshape(self.output_kernel, (-1, self.output_kernel.shape[2]))
        result = result if self.output_bias is None else result + self.output_bias
        return (result, weights) if return_attention_scores else result


def _at(mask: Any, axes: tuple[int, int]) -> gc.Tensor | None:
    """[batch, steps] with axes of size 1 for the heads and the other steps."""
    return None if mask is None else gc.expand_dims(truth_of(mask), axis=axes)


class TransformerBlock(Layer):
    """Self-attention and two dense layers, each with a shortcut and layer normalisation.

    x: [batch, steps, features]; the result too. num_heads divides the features, unless key_dim is
    given. ff_dim: units of the first dense layer. norm_first: normalise before attention and dense
    layers (Xiong et al., 2020) in place of after the sums (Vaswani et al., 2017). causal: no
    position sees a later one. A mask of the input hides padded steps. Equal to
    torch.nn.TransformerEncoderLayer.
    """

    supports_masking = True

    def __init__(
        self,
        num_heads: int,
        ff_dim: int,
        dropout: float = 0.0,
        activation: Any = "relu",
        key_dim: int | None = None,
        norm_first: bool = False,
        causal: bool = False,
        epsilon: float = 1e-5,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.num_heads = checked_units(self, num_heads, "num_heads")
        self.ff_dim = checked_units(self, ff_dim, "ff_dim")
        self.rate = checked_rate(self, dropout, "dropout")
        self.activation = activations.get(activation)
        positive(type(self).__name__, epsilon=epsilon)
        self.key_dim, self.epsilon = key_dim, epsilon
        self.norm_first, self.causal = norm_first, causal
        self.input_spec = InputSpec(ndim=3)

    def build(self, input_shape: Any) -> None:
        features = self.known_size(input_shape)
        if self.key_dim is None and features % self.num_heads:
            raise self.error(
                f"{features} features do not fall into {self.num_heads} heads",
                fix="give a number of heads that divides the features, or key_dim",
            )
        size = features // self.num_heads if self.key_dim is None else self.key_dim
        own = self.name
        self.attention = MultiHeadAttention(
            self.num_heads, size, dropout=self.rate, name=f"{own}_attention"
        )
        self.norm1 = LayerNormalization(epsilon=self.epsilon, name=f"{own}_norm1")
        self.norm2 = LayerNormalization(epsilon=self.epsilon, name=f"{own}_norm2")
        self.dense1 = Dense(self.ff_dim, self.activation, name=f"{own}_dense1")
        self.dense2 = Dense(features, name=f"{own}_dense2")
        self.dropouts = [Dropout(self.rate, name=f"{own}_dropout{n}") for n in range(3)]
        self.input_spec = InputSpec(ndim=3, axes={-1: features})

    def call(self, inputs: Any, attention_mask: Any = None, mask: Any = None) -> Any:
        if self.norm_first:
            h = inputs + self._attended(self.norm1(inputs), attention_mask, mask)
            return h + self._dense(self.norm2(h))
        h = self.norm1(inputs + self._attended(inputs, attention_mask, mask))
        return self.norm2(h + self._dense(h))

    def _attended(self, x: Any, attention_mask: Any, mask: Any) -> Any:
        found = self.attention(
            x, x, value_mask=mask, attention_mask=attention_mask, use_causal_mask=self.causal
        )
        return self.dropouts[0](found)

    def _dense(self, x: Any) -> Any:
        return self.dropouts[2](self.dense2(self.dropouts[1](self.dense1(x))))


class PositionalEncoding(Layer):
    """x + sines and cosines of the position (Vaswani et al., 2017, section 3.5).

    x: [batch, steps, features], an even number of them. Feature 2 i gets sin(position /
    max_wavelength^(2 i / features)), feature 2 i + 1 the cosine.
    """

    supports_masking = True

    def __init__(self, max_wavelength: float = 10000.0, **options: Any) -> None:
        super().__init__(**options)
        positive("PositionalEncoding", max_wavelength=max_wavelength)
        self.max_wavelength = float(max_wavelength)
        self.input_spec = InputSpec(ndim=3)

    def build(self, input_shape: Any) -> None:
        if self.known_size(input_shape) % 2:
            raise self.error("the number of features is odd", fix="use an even number of features")

    def call(self, inputs: Any) -> Any:
        _, steps, features = inputs.shape
        half = features // 2
        exponent = gc.arange(half).astype("float64") * (
            -2 / features * math.log(self.max_wavelength)
        )
        angle = gc.expand_dims(gc.arange(steps).astype("float64"), axis=1) * gc.exp(exponent)
        pairs = gc.stack([gc.sin(angle), gc.cos(angle)], axis=-1)
        return inputs + gc.reshape(pairs, (steps, features)).astype(inputs.dtype)
