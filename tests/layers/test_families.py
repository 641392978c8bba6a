"""Layers that have no counterpart in PyTorch, random layers, and what users get wrong."""

from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import layers
from graphc.layers import CallContext, Input, Model


def data(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def run(layer: Any, *arrays: np.ndarray, training: bool = False, many: bool = False) -> Any:
    constants = [gc.constant(array) for array in arrays]
    y = layer(constants, training=training) if many else layer(*constants, training=training)
    return gc.run(y)


# --- random layers --------------------------------------------------------------------------------


def test_dropout() -> None:
    x = gc.placeholder("x", ("n", 50))
    layer = layers.Dropout(0.4, seed=1)
    values = np.ones((200, 50), "float32")
    assert (gc.run(layer(x), {x: values}) == 1).all()
    f = gc.function([x], layer(x, training=True))
    first, second = f(values), f(values)
    assert (first != second).any()
    assert set(np.unique(first.round(4))) == {0.0, np.float32(1 / 0.6).round(4)}
    assert abs((first == 0).mean() - 0.4) < 0.02
    assert abs(first.mean() - 1) < 0.04


def test_one_mask_within_a_context() -> None:
    x = Input((50,))
    layer = layers.Dropout(0.5)
    model = Model(x, layer(layers.Dense(50)(x)))
    with CallContext(training=True):
        one, same = model(x), model(x)
        other = layer(x)
    a, b, c = gc.run([one, same, other], {x: np.ones((4, 50), "float32")})
    np.testing.assert_array_equal(a, b)
    assert ((a == 0) != (c == 0)).any()


def test_masks_do_not_depend_on_how_often_the_graph_was_built() -> None:
    def masks(builds: int) -> np.ndarray:
        layer = layers.Dropout(0.5, seed=3)
        x = gc.placeholder("x", (8, 8))
        for _ in range(builds):
            y = layer(x, training=True)
        f = gc.function([x], y)
        f(np.ones((8, 8), "float32"))
        result: np.ndarray = f(np.ones((8, 8), "float32"))
        return result

    np.testing.assert_array_equal(masks(1), masks(4))


@pytest.mark.parametrize(
    ("layer", "shape", "axes"),
    [
        (layers.SpatialDropout1D(0.5), (4, 9, 6), (1,)),
        (layers.SpatialDropout2D(0.5), (4, 5, 5, 6), (1, 2)),
        (layers.SpatialDropout2D(0.5, data_format="channels_first"), (4, 6, 5, 5), (2, 3)),
        (layers.Dropout(0.5, noise_shape=(None, 1)), (30, 6), (1,)),
    ],
)
def test_masks_with_shared_axes(layer: Any, shape: tuple[int, ...], axes: tuple[int, ...]) -> None:
    y = run(layer, np.ones(shape, "float32"), training=True)
    assert (y.max(axes) == y.min(axes)).all()
    assert 0 < (y == 0).mean() < 1


def test_noise() -> None:
    x = np.zeros((400, 50), "float32")
    y = run(layers.GaussianNoise(0.5), x, training=True)
    assert abs(y.std() - 0.5) < 0.01
    assert (run(layers.GaussianNoise(0.5), x) == 0).all()
    y = run(layers.GaussianDropout(0.2), x + 1, training=True)
    assert abs(y.std() - 0.5) < 0.01
    y = run(layers.AlphaDropout(0.1), data(400, 50), training=True)
    assert abs(y.mean()) < 0.03
    assert abs(y.std() - 1) < 0.03


@pytest.mark.parametrize("rate", [-0.1, 1.0, 2, "half", True])
def test_rates(rate: Any) -> None:
    with pytest.raises(gc.ParameterError, match="rate"):
        layers.Dropout(rate)


# --- merging


def test_merging() -> None:
    a, b = data(3, 4), data(3, 4) + 1
    wanted = {
        layers.Add: a + b,
        layers.Subtract: a - b,
        layers.Multiply: a * b,
        layers.Average: (a + b) / 2,
        layers.Maximum: np.maximum(a, b),
        layers.Minimum: np.minimum(a, b),
        layers.Concatenate: np.concatenate([a, b], -1),
    }
    for cls, value in wanted.items():
        np.testing.assert_allclose(run(cls(), a, b, many=True), value, rtol=1e-6)
    dot = run(layers.Dot(1), a, b, many=True)
    np.testing.assert_allclose(dot, (a * b).sum(1, keepdims=True), rtol=1e-5)
    cosine = run(layers.Dot(1, normalize=True), a, a, many=True)
    np.testing.assert_allclose(cosine, np.ones((3, 1)), rtol=1e-5)
    left, right = data(2, 3, 5), data(2, 5, 4)
    product = run(layers.Dot((2, 1)), left, right, many=True)
    np.testing.assert_allclose(product, left @ right, rtol=1e-5)


def test_merging_wants_a_list() -> None:
    x = gc.placeholder("x", ("n", 3))
    for wrong in (x, [x]):
        with pytest.raises(gc.ShapeError, match=r"Add\(\)\(\[a, b\]\)"):
            layers.Add()(wrong)
    with pytest.raises(gc.ShapeError):
        layers.Add()([x, gc.placeholder("y", ("n", 4))])


# --- shapes


@pytest.mark.parametrize(
    ("layer", "given", "wanted"),
    [
        (layers.Conv1D(4, 3, padding="causal", dilation_rate=2), (2, 9, 3), (2, 9, 4)),
        (layers.Conv2D(4, 3, strides=2, padding="same"), (2, 9, 8, 3), (2, 5, 4, 4)),
        (layers.Conv2D(4, 3, data_format="channels_first"), (2, 3, 9, 8), (2, 4, 7, 6)),
        (layers.Conv2DTranspose(4, 3, strides=2, padding="same"), (2, 5, 4, 3), (2, 10, 8, 4)),
        (layers.Conv2DTranspose(4, 1, strides=3), (2, 5, 4, 3), (2, 15, 12, 4)),
        (layers.Conv2DTranspose(4, 3, 2, "same", output_padding=0), (2, 5, 4, 3), (2, 9, 7, 4)),
        (layers.DepthwiseConv2D(3, data_format="channels_first"), (2, 3, 9, 8), (2, 3, 7, 6)),
        (layers.MaxPooling1D(2), (2, 9, 3), (2, 4, 3)),
        (layers.MaxPooling3D(2, padding="same"), (2, 3, 4, 5, 3), (2, 2, 2, 3, 3)),
        (layers.AveragePooling1D(3, 1), (2, 9, 3), (2, 7, 3)),
        (layers.AveragePooling3D(2), (2, 3, 4, 5, 3), (2, 1, 2, 2, 3)),
        (layers.GlobalMaxPooling1D(), (2, 9, 3), (2, 3)),
        (layers.GlobalAveragePooling3D(), (2, 3, 4, 5, 3), (2, 3)),
        (layers.GlobalAveragePooling2D("channels_first"), (2, 3, 4, 5), (2, 3)),
        (layers.ZeroPadding1D((1, 2)), (2, 9, 3), (2, 12, 3)),
        (layers.ZeroPadding3D((1, 2, 0)), (2, 3, 4, 5, 3), (2, 5, 8, 5, 3)),
        (layers.Cropping1D(2), (2, 9, 3), (2, 5, 3)),
        (layers.Cropping2D(((1, 0), (0, 2))), (2, 9, 8, 3), (2, 8, 6, 3)),
        (layers.UpSampling1D(3), (2, 4, 3), (2, 12, 3)),
        (layers.UpSampling2D((2, 3), "channels_first"), (2, 3, 4, 4), (2, 3, 8, 12)),
        (layers.UpSampling3D(2), (2, 1, 2, 3, 3), (2, 2, 4, 6, 3)),
        (layers.TimeDistributed(layers.Dense(4)), (2, 5, 3), (2, 5, 4)),
        (layers.TimeDistributed(layers.Conv2D(4, 2)), (2, 5, 4, 4, 3), (2, 5, 3, 3, 4)),
        (layers.PositionalEncoding(), (2, 5, 4), (2, 5, 4)),
        (layers.ResidualBlock(4), (2, 5, 5, 4), (2, 5, 5, 4)),
        (layers.ResidualBlock(6, strides=2), (2, 5, 5, 4), (2, 3, 3, 6)),
        (layers.Bidirectional(layers.GRU(4), merge_mode="ave"), (2, 5, 3), (2, 4)),
        (layers.RBF(7), (2, 3), (2, 7)),
        (layers.Embedding(5, 4), (2, 3), (2, 3, 4)),
    ],
)
def test_shapes(layer: Any, given: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    values = np.zeros(given, "float32") if isinstance(layer, layers.Embedding) else data(*given)
    assert run(layer, values).shape == wanted
    assert layer.output_shape((None, *given[1:])) == (None, *wanted[1:])
    if not any(isinstance(inner, layers.BatchNormalization) for _, inner in layer.all_layers()):
        none = run(layer, values[:0])  # no examples at all
        assert none.shape == (0, *wanted[1:])


def test_channels_first_equals_channels_last() -> None:
    x = data(2, 6, 5, 3)
    last = layers.Conv2D(4, 3, strides=2, padding="same")
    first = layers.Conv2D(4, 3, strides=2, padding="same", data_format="channels_first")
    y = run(last, x)
    first.output_shape((None, 3, 6, 5))
    first.set_weights(last.get_weights())
    np.testing.assert_allclose(run(first, np.moveaxis(x, -1, 1)), np.moveaxis(y, -1, 1), atol=1e-5)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: layers.Conv2D(4, (3, 3, 3)), "kernel_size"),
        (lambda: layers.Conv2D(4, 3, padding="full"), "padding"),
        (lambda: layers.Conv2D(4, 3, groups=3), "groups"),
        (lambda: layers.Conv2D(4, 3, data_format="NHWC"), "data_format"),
        (lambda: layers.MaxPooling2D(0), "pool_size"),
        (lambda: layers.ZeroPadding2D((1, 2, 3)), "padding"),
        (lambda: layers.BatchNormalization(epsilon=0), "epsilon"),
        (lambda: layers.Bidirectional(layers.Dense(3)), "recurrent"),  # type: ignore[arg-type]
        (lambda: layers.TimeDistributed(3), "no layer"),  # type: ignore[arg-type]
        (lambda: layers.MultiHeadAttention(0, 4), "num_heads"),
        (lambda: layers.RBF(3, gamma=0), "gamma"),
    ],
)
def test_settings(make: Any, match: str) -> None:
    with pytest.raises(gc.ParameterError, match=match):
        make()


def test_inputs_that_do_not_fit() -> None:
    image, row = gc.placeholder("i", ("n", 8, 8, 3)), gc.placeholder("r", ("n", 6))
    for layer, x in (
        (layers.Conv2D(4, 3), row),
        (layers.LSTM(3), row),
        (layers.GroupNormalization(2), image),
        (layers.Conv2D(4, 3, groups=2), image),
        (layers.TransformerBlock(4, 8), gc.placeholder("s", ("n", "t", 6))),
        (layers.PositionalEncoding(), gc.placeholder("s", ("n", "t", 5))),
    ):
        with pytest.raises(gc.ShapeError) as caught:
            layer(x)
        assert caught.value.code == "E241"
        assert layer.name in str(caught.value)
        assert layer.weights == []


def test_embedding_rows_that_are_not_there() -> None:
    x = gc.placeholder("x", ("n",), "int64")
    f = gc.function([x], layers.Embedding(4, 2)(x))
    assert f([0, 3]).shape == (2, 2)
    with pytest.raises(gc.IndexOutOfRange):
        f([4])


# --- batch normalisation, recurrence, attention ---------------------------------------------------


def test_batch_normalization_in_a_model() -> None:
    x = Input((3,))
    norm = layers.BatchNormalization(momentum=0.5)
    model = Model(x, norm(x))
    with CallContext(training=True) as context:
        y = model(x)
    assert len(context.updates) == 2
    train = gc.function([x], y, updates=context.updates)
    values = data(50, 3) * 3 + 1
    out = train(values)
    np.testing.assert_allclose(out.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(norm.moving_mean.value, 0.5 * values.mean(0), rtol=1e-4)
    predicted = gc.run(model.output, {x: values})
    wanted = (values - norm.moving_mean.value) / np.sqrt(norm.moving_variance.value + 1e-3)
    np.testing.assert_allclose(predicted, wanted, rtol=1e-4)
    norm.trainable = False
    with CallContext(training=True) as context:
        model(x)
    assert context.updates == []


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_batch_normalization_in_half_precision(dtype: str) -> None:
    x = gc.placeholder("x", ("n", 2), dtype)
    norm = layers.BatchNormalization(momentum=0.999)
    with CallContext(training=True) as context:
        y = norm(x)
    train = gc.function([x], y, updates=context.updates, allow_downcast=True)
    values = data(20, 2) + 300  # whose squares are too large for float16
    assert np.abs(train(values).astype("float32").mean(0)).max() < 0.2
    for _ in range(50):
        train(values)
    assert norm.gamma is not None and norm.gamma.dtype == dtype
    assert norm.moving_mean.dtype == gc.float32
    np.testing.assert_allclose(norm.moving_mean.value, 300 * (1 - 0.999**51), rtol=0.01)
    assert norm(x).dtype == dtype


def test_a_shared_batch_normalization_sees_both() -> None:
    norm = layers.BatchNormalization(momentum=0.5)
    a, b = gc.placeholder("a", ("n", 2)), gc.placeholder("b", ("n", 2))
    with CallContext(training=True) as context:
        y = norm(a) + norm(b)
    f = gc.function([a, b], y, updates=context.updates)
    f(np.full((4, 2), 8, "float32"), np.full((4, 2), 4, "float32"))
    np.testing.assert_allclose(norm.moving_mean.value, (8 * 0.5) * 0.5 + 4 * 0.5)


def test_states_are_handed_on() -> None:
    x = gc.placeholder("x", ("n", "t", 3))
    layer = layers.LSTM(4, return_sequences=True, return_state=True)
    whole, h, c = layer(x)
    first, h1, c1 = layer(x[:, :2])
    rest, h2, c2 = layer(x[:, 2:], initial_state=[h1, c1])
    values = gc.run([whole, h, c, first, rest, h2, c2], {x: data(2, 5, 3)})
    np.testing.assert_allclose(values[0][:, :2], values[3], atol=1e-6)
    np.testing.assert_allclose(values[0][:, 2:], values[4], atol=1e-6)
    np.testing.assert_allclose(values[1], values[5], atol=1e-6)
    np.testing.assert_allclose(values[2], values[6], atol=1e-6)
    with pytest.raises(gc.ShapeError, match="2 states"):
        layer(x, initial_state=[h1])


def test_recurrent_dropout_has_one_mask() -> None:
    x = gc.placeholder("x", ("n", "t", 3))
    layer = layers.SimpleRNN(4, activation="linear", dropout=0.5, recurrent_dropout=0.5)
    f = gc.function([x], layer(x, training=True))
    assert (f(data(2, 5, 3)) != f(data(2, 5, 3))).any()
    assert gc.run(layer(x), {x: data(2, 0, 3)}).shape == (2, 4)  # no steps: the first state


def test_gru_before_the_product() -> None:
    x = data(2, 3, 2)
    layer = layers.GRU(3, reset_after=False)
    y = run(layer, x)
    kernel, recurrent, bias = layer.get_weights()
    h = np.zeros((2, 3))
    for step in range(3):
        z = x[:, step] @ kernel + bias
        gate = 1 / (1 + np.exp(-(z[:, :6] + h @ recurrent[:, :6])))
        update, reset = gate[:, :3], gate[:, 3:]
        h = update * h + (1 - update) * np.tanh(z[:, 6:] + (reset * h) @ recurrent[:, 6:])
    np.testing.assert_allclose(y, h, rtol=1e-4, atol=1e-6)


def test_attention_masks() -> None:
    x = gc.placeholder("x", ("n", "t", 6))
    layer = layers.MultiHeadAttention(2, 3)
    _, causal = layer(x, x, use_causal_mask=True, return_attention_scores=True)
    mask = np.tril(np.ones((1, 4, 4), bool))
    _, masked = layer(x, x, attention_mask=mask, return_attention_scores=True)
    a, b = gc.run([causal, masked], {x: data(3, 4, 6)})
    np.testing.assert_allclose(a, b, atol=1e-6)
    assert (np.triu(a[0, 0], 1) == 0).all()
    np.testing.assert_allclose(a.sum(-1), 1, rtol=1e-5)


def test_positions() -> None:
    y = run(layers.PositionalEncoding(), np.zeros((1, 3, 4), "float32"))[0]
    steps = np.arange(3)[:, None]
    wanted = np.stack([np.sin(steps), np.cos(steps), np.sin(steps / 100), np.cos(steps / 100)], 1)
    np.testing.assert_allclose(y, wanted[:, :, 0], atol=1e-6)


# --- units of the history -------------------------------------------------------------------------


def test_perceptron_rule() -> None:
    x, target = gc.placeholder("x", ("n", 3)), gc.placeholder("target", ("n", 2))
    unit = layers.Perceptron(2, use_bias=False, kernel_initializer="ones")
    updates = unit.updates(x, target, 0.1)
    f = gc.function([x, target], unit(x), updates=updates)
    np.testing.assert_array_equal(f([[1, 0.5, 1]], [[1, 0]]), [[1, 1]])
    wanted = np.array([[1, 1, 1], [0.9, 0.95, 0.9]]).T
    np.testing.assert_allclose(unit.kernel.value, wanted, rtol=1e-6)


def test_gates() -> None:
    inputs = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "float32")
    for weights, bias, wanted in (
        ([1, 1], -2, [0, 0, 0, 1]),
        ([1, 1], -1, [0, 1, 1, 1]),
        ([-1, -1], 1, [1, 1, 1, 0]),
    ):
        gate = layers.Perceptron(1, kernel_initializer=np.array([weights]).T, bias_initializer=bias)
        np.testing.assert_array_equal(run(gate, inputs)[:, 0], wanted)


def test_rbf() -> None:
    centers = data(4, 3)
    y = run(layers.RBF(4, gamma=0.5, centers_initializer=centers), data(5, 3))
    distance = ((data(5, 3)[:, None] - centers) ** 2).sum(-1)
    np.testing.assert_allclose(y, np.exp(-0.5 * distance), rtol=1e-5)


def test_rbm_learns_two_patterns() -> None:
    patterns = np.array([[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]], "float32")
    v = gc.placeholder("v", ("n", 6))
    layers.set_random_seed(0)
    rbm = layers.RBM(4, seed=1)
    cost = rbm.cost(v, steps=2)
    weights = rbm.trainable_weights
    updates = [(w, w - 0.2 * g) for w, g in zip(weights, gc.grad(cost, weights), strict=True)]
    train = gc.function([v], cost, updates=updates)
    batch = np.tile(patterns, (10, 1))
    for _ in range(300):
        train(batch)
    rebuilt, likely, unlikely = gc.run(
        [rbm.visible(rbm(v)), rbm.free_energy(v), rbm.free_energy(1 - v * 0.5)], {v: patterns}
    )
    np.testing.assert_allclose(rebuilt, patterns, atol=0.2)
    assert likely.max() < unlikely.min()
    assert set(np.unique(gc.run(rbm.gibbs(v, 3), {v: batch}))) <= {0, 1}


# --- configs --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "layer",
    [
        layers.Dense(3, activation="relu", kernel_initializer="he_normal", kernel_regularizer="l2"),
        layers.Conv2D(4, (3, 2), strides=2, padding="same", name="c"),
        layers.Bidirectional(layers.LSTM(3, return_sequences=True), merge_mode="sum"),
        layers.TimeDistributed(layers.Dense(2, kernel_constraint="non_neg")),
        layers.TransformerBlock(2, 8, 0.1, activation="gelu"),
        layers.Embedding(5, 3, embeddings_initializer=np.ones((5, 3))),
        layers.Sequential([layers.Dense(3), layers.Dropout(0.5)]),
    ],
)
def test_configs_make_the_same_layer(layer: Any) -> None:
    config = layer.get_config()
    again = type(layer).from_config(config)
    assert again.get_config() == config
    assert type(again) is type(layer)


def test_depthwise_kernels_have_settings_of_their_own() -> None:
    for layer in (
        layers.DepthwiseConv2D(2, depthwise_regularizer="l2", depthwise_constraint="non_neg"),
        layers.SeparableConv2D(4, 2, depthwise_initializer="ones", depthwise_regularizer="l2"),
    ):
        layer(gc.constant(data(1, 4, 4, 3)))
        assert len(layer.losses) == 1
