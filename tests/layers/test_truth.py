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
    **{f"activation_{name}": lambda n=name: layers.Activation(n) for name in ACTIVATIONS},  # type: ignore[misc]
}
OPTIONS = {"attention_causal": {"use_causal_mask": True}}
FLIPPED = {"conv1d_transpose", "conv2d_transpose"}  # their kernels are [..., filters, channels]


def arrays_of(name: str) -> list[np.ndarray]:
    return [TRUTH[f"{name}.{number}"] for number in range(COUNTS[name])]


def test_every_case_has_a_layer() -> None:
    assert set(LAYERS) == set(COUNTS)


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name: str) -> None:
    arrays = arrays_of(name)
    inputs = arrays[: 2 if name == "attention" else 1]
    layer = LAYERS[name]()
    # Sizes are symbolic, but for the last one: one function serves all.
    placeholders = [
        gc.placeholder(f"x{n}", [f"s{n}_{k}" for k in range(a.ndim - 1)] + [a.shape[-1]], a.dtype)
        for n, a in enumerate(inputs)
    ]
    if name == "attention":
        shape = (placeholders[0].shape[0], "s", 6)
        placeholders[1] = gc.placeholder("x1", shape, "float64")
    if name == "layer_norm_axes":
        placeholders = [gc.placeholder("x0", (None, 2, 5), "float64")]
    with CallContext(training=name == "batch_norm") as context:
        y = layer(*placeholders, **OPTIONS.get(name, {}))
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
