"""Values and gradients of layers are those of PyTorch; truth_layers.npz is written by
make_layer_truth.py."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import layers
from graphc.layers import CallContext

TRUTH = np.load(Path(__file__).parent / "truth_layers.npz")
COUNTS: dict[str, int] = {}
for key in TRUTH.files:
    COUNTS[key.rsplit(".", 1)[0]] = COUNTS.get(key.rsplit(".", 1)[0], 0) + 1

ACTIVATIONS = [name.removeprefix("activation_") for name in COUNTS if "activation_" in name]
LAYERS: dict[str, Callable[[], Any]] = {
    "dense": lambda: layers.Dense(2, "tanh"),
    "embedding": lambda: layers.Embedding(4, 3, dtype="float64"),
    "prelu": layers.PReLU,
    "conv1d": lambda: layers.Conv1D(4, 3, dilation_rate=2),
    "conv2d_strides": lambda: layers.Conv2D(4, 3, strides=2),
    "conv2d_same": lambda: layers.Conv2D(4, 3, padding="same"),
    "conv2d_groups": lambda: layers.Conv2D(6, 2, groups=2),
    "conv3d": lambda: layers.Conv3D(3, 2),
    "conv1d_transpose": lambda: layers.Conv1DTranspose(2, 3, strides=2),
    "conv2d_transpose": lambda: layers.Conv2DTranspose(2, 3, strides=2),
    "depthwise": lambda: layers.DepthwiseConv2D(3, depth_multiplier=2),
    "separable": lambda: layers.SeparableConv2D(4, 2, depth_multiplier=2),
    "max_pool": lambda: layers.MaxPooling2D((2, 3), (2, 1)),
    "average_pool": lambda: layers.AveragePooling2D(2),
    "global_max": lambda: layers.GlobalMaxPooling2D(keepdims=True),
    "global_average": lambda: layers.GlobalAveragePooling2D(keepdims=True),
    "nearest": lambda: layers.UpSampling2D(2),
    "bilinear": lambda: layers.UpSampling2D((3, 2), interpolation="bilinear"),
    "zero_padding": lambda: layers.ZeroPadding2D(((1, 2), (0, 3))),
    "batch_norm": lambda: layers.BatchNormalization(momentum=0.9),
    "batch_norm_predict": layers.BatchNormalization,
    "group_norm": lambda: layers.GroupNormalization(2),
    "layer_norm": layers.LayerNormalization,
    "layer_norm_axes": lambda: layers.LayerNormalization(axis=(1, 2)),
    "rms_norm": layers.RMSNormalization,
    "simple_rnn": lambda: layers.SimpleRNN(5, return_sequences=True),
    "simple_rnn_last": lambda: layers.SimpleRNN(5),
    "lstm": lambda: layers.LSTM(5, return_sequences=True),
    "lstm_last": lambda: layers.LSTM(5),
    "gru": lambda: layers.GRU(5, return_sequences=True),
    "bidirectional": lambda: layers.Bidirectional(layers.LSTM(4, return_sequences=True)),
    "attention": lambda: layers.MultiHeadAttention(2, 3),
    "attention_causal": lambda: layers.MultiHeadAttention(2, 3),
    "transformer": lambda: layers.TransformerBlock(2, 8),
    "transformer_norm_first": lambda: layers.TransformerBlock(
        2, 8, activation="gelu", norm_first=True
    ),
    "conv1d_strides": lambda: layers.Conv1D(4, 3, strides=2),
    "conv1d_causal": lambda: layers.Conv1D(4, 3, padding="causal", dilation_rate=2),
    "conv2d_dilation": lambda: layers.Conv2D(2, 3, dilation_rate=(2, 1)),
    "conv2d_first": lambda: layers.Conv2D(4, 3, strides=2, data_format="channels_first"),
    "conv3d_strides": lambda: layers.Conv3D(3, 2, strides=(1, 2, 2)),
    "conv2d_transpose_more": lambda: layers.Conv2DTranspose(2, (2, 3), strides=(1, 3)),
    "conv3d_transpose": lambda: layers.Conv3DTranspose(3, 2, strides=2),
    "depthwise_strides": lambda: layers.DepthwiseConv2D(2, strides=2, use_bias=False),
    "residual_block": lambda: layers.ResidualBlock(4),
    "max_pool1d": lambda: layers.MaxPooling1D(3, 2),
    "average_pool1d": lambda: layers.AveragePooling1D(2, 1),
    "max_pool3d": lambda: layers.MaxPooling3D((2, 2, 3)),
    "average_pool3d": lambda: layers.AveragePooling3D(2, 1),
    "global_max1d": lambda: layers.GlobalMaxPooling1D(keepdims=True),
    "global_average3d": lambda: layers.GlobalAveragePooling3D(keepdims=True),
    "nearest1d": lambda: layers.UpSampling1D(3),
    "nearest3d": lambda: layers.UpSampling3D((1, 2, 2)),
    "cropping": lambda: layers.Cropping2D(((2, 0), (1, 2))),
    "padding1d": lambda: layers.ZeroPadding1D((2, 1)),
    "lstm_state": lambda: layers.LSTM(5, return_sequences=True),
    "lstm_backwards": lambda: layers.LSTM(5, return_sequences=True, go_backwards=True),
    "simple_rnn_relu": lambda: layers.SimpleRNN(4, "relu", use_bias=False, return_sequences=True),
    "attention_sizes": lambda: layers.MultiHeadAttention(2, 3, use_bias=False),
    "attention_padded": lambda: layers.MultiHeadAttention(2, 3, use_bias=False),
    "add": layers.Add,
    "subtract": layers.Subtract,
    "multiply": layers.Multiply,
    "average": layers.Average,
    "maximum": layers.Maximum,
    "minimum": layers.Minimum,
    "concatenate": layers.Concatenate,
    "dot": lambda: layers.Dot(1),
    "cosine": lambda: layers.Dot(1, normalize=True),
    "flatten": layers.Flatten,
    "permute": lambda: layers.Permute((2, 1)),
    "repeat_vector": lambda: layers.RepeatVector(3),
    "softmax_axis": lambda: layers.Softmax(axis=1),
    "leaky_relu": lambda: layers.LeakyReLU(0.3),
    "elu_layer": lambda: layers.ELU(0.7),
    "time_distributed": lambda: layers.TimeDistributed(layers.Dense(2)),
    "rbf": lambda: layers.RBF(2),
    **{f"activation_{name}": lambda n=name: layers.Activation(n) for name in ACTIVATIONS},  # type: ignore[misc]
}
MERGING = ("add", "subtract", "multiply", "average", "maximum", "minimum", "concatenate")
PAIRS = (*MERGING, "dot", "cosine")
INPUTS = dict.fromkeys(PAIRS, 2)
INPUTS |= {"attention": 2, "attention_sizes": 3, "attention_padded": 3, "lstm_state": 3}
SHOWN = np.array([[True, True, False, False], [True, False, True, True]])
CALLS: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(PAIRS, lambda layer, *given: layer(list(given))),
    "attention_causal": lambda layer, x: layer(x, use_causal_mask=True),
    "attention_padded": lambda layer, *given: layer(*given, value_mask=gc.constant(SHOWN)),
    "lstm_state": lambda layer, x, h, c: layer(x, initial_state=[h, c]),
}
# Sizes that weights or a constant mask depend on.
FIXED = {"layer_norm_axes", "attention_padded", "conv2d_first", "flatten"}
TRAINING = {"batch_norm", "residual_block"}


def arrays_of(name: str) -> list[np.ndarray]:
    return [TRUTH[f"{name}.{number}"] for number in range(COUNTS[name])]


def test_every_case_has_a_layer() -> None:
    assert set(LAYERS) == set(COUNTS)


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name: str) -> None:
    arrays = arrays_of(name)
    inputs = arrays[: INPUTS.get(name, 1)]
    layer = LAYERS[name]()
    # Sizes are symbolic, but for the last one: one function serves all. Batches are as long.
    placeholders = []
    for n, a in enumerate(inputs):
        sizes: list[Any] = ["batch", *(f"s{min(n, 1)}_{k}" for k in range(1, a.ndim - 1))]
        fixed = a.shape if name in FIXED else (*sizes, a.shape[-1])
        placeholders.append(gc.placeholder(f"x{n}", fixed, a.dtype))
    with CallContext(training=name in TRAINING) as context:
        y = CALLS[name](layer, *placeholders) if name in CALLS else layer(*placeholders)
    weights = layer.trainable_weights
    if name == "batch_norm_predict":
        weights = layer.weights
    start, stop = len(inputs), len(inputs) + len(weights)
    assert len(arrays) == stop + 1 + (inputs[0].dtype == np.float64) * start + len(weights)
    values, wanted, gradients = arrays[start:stop], arrays[stop], arrays[stop + 1 :]
    for variable, value in zip(weights, values, strict=True):
        variable.value = value
    c = gc.reshape(gc.cos(gc.arange(y.size).astype("float64")), y.shape)
    wrt = [t for t in placeholders if t.dtype == gc.float64] + weights
    f = gc.function(
        placeholders, [y, *gc.grad(gc.sum(y * c), wrt)], updates=context.updates, backend="llvm"
    )
    got, *found = f(*inputs)
    np.testing.assert_allclose(got, wanted, rtol=1e-8, atol=1e-8)
    for gradient, expected in zip(found, gradients, strict=True):
        np.testing.assert_allclose(gradient, expected, rtol=1e-8, atol=1e-8)
    if name == "batch_norm":
        mean, variance = arrays_of("batch_norm_predict")[3:5]
        np.testing.assert_allclose(layer.moving_mean.value, mean, atol=1e-12)
        # PyTorch remembers the variance divided by n - 1; Keras, and graphc, that by n.
        np.testing.assert_allclose(
            (layer.moving_variance.value - 0.9) * 16 / 15 + 0.9, variance, atol=1e-12
        )
