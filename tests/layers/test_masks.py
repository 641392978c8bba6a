"""Masks of padded steps and states that are carried on; truth_masks.npz is written by
make_mask_truth.py, with Keras."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import layers
from graphc.layers import CallContext, Dense, Embedding, Input, Model, Sequential

TRUTH = np.load(Path(__file__).parent / "truth_masks.npz")
TOKENS = np.array([[3, 1, 2, 0, 0], [1, 4, 0, 0, 0], [2, 2, 1, 3, 4], [0, 0, 0, 0, 0]])


def truth(name: str) -> list[np.ndarray]:
    count = sum(key.rsplit(".", 1)[0] == name for key in TRUTH.files)
    return [TRUTH[f"{name}.{number}"] for number in range(count)]


def embedded(*following: Any, steps: int | None = None) -> Model:
    """Any number of steps: one model serves all."""
    x = h = Input((steps,), dtype="int64")
    for layer in (Embedding(5, 4, mask_zero=True, dtype="float64"), *following):
        h = layer(h)
    return Model(x, h)


def attention() -> Model:
    x = Input((None,), dtype="int64")
    h = Embedding(5, 4, mask_zero=True, dtype="float64")(x)
    attended = layers.MultiHeadAttention(2, 3)(h, h, use_causal_mask=True)
    return Model(x, [attended, layers.GlobalAveragePooling1D()(layers.Add()([h, attended]))])


def concatenated() -> Model:
    x = Input((None,), dtype="int64")
    h = Embedding(5, 4, mask_zero=True, dtype="float64")(x)
    joined = layers.Concatenate(axis=1)([h, layers.LayerNormalization()(h)])
    return Model(x, layers.SimpleRNN(3)(joined))


SEQUENCES: dict[str, Any] = {"return_sequences": True}
MODELS: dict[str, Callable[[], Model]] = {
    "lstm": lambda: embedded(layers.LSTM(3)),
    "lstm_sequences": lambda: embedded(layers.LSTM(3, return_state=True, **SEQUENCES)),
    "gru_zero": lambda: embedded(layers.GRU(3, zero_output_for_mask=True, **SEQUENCES)),
    "rnn_backwards": lambda: embedded(layers.SimpleRNN(3, go_backwards=True, **SEQUENCES)),
    "stacked": lambda: embedded(
        layers.LSTM(4, **SEQUENCES), layers.Dropout(0.5), layers.GRU(3, unroll=2)
    ),
    "bidirectional": lambda: embedded(layers.Bidirectional(layers.LSTM(3, **SEQUENCES))),
    "bidirectional_last": lambda: embedded(layers.Bidirectional(layers.GRU(3), merge_mode="sum")),
    "pooled": lambda: embedded(Dense(3, activation="tanh"), layers.GlobalAveragePooling1D()),
    "time_distributed": lambda: embedded(layers.TimeDistributed(Dense(2)), layers.LSTM(3)),
    "attention": attention,
    "concatenated": concatenated,
}


@pytest.mark.parametrize("name", MODELS)
def test_results_are_those_of_keras(name: str) -> None:
    model, arrays = MODELS[name](), truth(name)
    model.set_weights(arrays[: len(model.weights)])
    found = model.predict(TOKENS)
    for got, wanted in zip(
        found if isinstance(found, list) else [found], arrays[len(model.weights) :], strict=True
    ):
        # The mean of no steps is 0; Keras has NaN.
        np.testing.assert_allclose(got, np.nan_to_num(wanted), rtol=1e-7, atol=1e-8)
    longer = np.pad(TOKENS, ((0, 0), (0, 3)))  # more padding changes nothing
    if name in ("lstm", "stacked", "pooled", "time_distributed"):
        np.testing.assert_allclose(model.predict(longer), found, rtol=1e-12)


def test_padding_has_no_gradient() -> None:
    model = attention()
    x = gc.placeholder("x", ("n", "steps"), "int64")
    cost = gc.sum(model(x)[1] ** 2)
    table = model.trainable_weights[0]
    (gradient,) = gc.function([x], [gc.grad(cost, table)])(TOKENS)
    assert np.isfinite(gradient).all() and np.abs(gradient[1:]).min() > 0
    alone = gc.function([x], gc.grad(cost, table))(np.zeros((2, 5), "int64"))
    assert np.isfinite(alone).all()


def test_masking() -> None:
    arrays = truth("masking")
    model = Sequential([Input((None, 2), dtype="float64"), layers.Masking(-1.0), layers.GRU(3)])
    model.set_weights(arrays[:3])
    np.testing.assert_allclose(model.predict(arrays[3]), arrays[4], rtol=1e-9)


def test_losses_and_metrics_leave_padding_out() -> None:
    arrays = truth("loss")
    targets, weights, plain, weighted = arrays[6:10]
    model = embedded(layers.LSTM(3, return_sequences=True), Dense(3))
    model.compile("sgd", "mse", metrics=["mae"], weighted_metrics=["mse"])
    model.set_weights(arrays[:6])
    names = ("loss", "mae", "mse")
    got = model.evaluate(TOKENS, targets, return_dict=True)
    np.testing.assert_allclose([got[n] for n in names], plain, rtol=1e-6)
    got = model.evaluate(TOKENS, targets, sample_weight=weights, return_dict=True)
    np.testing.assert_allclose([got[n] for n in names], weighted, rtol=1e-6)
    model.train_on_batch(TOKENS, targets)
    for got, wanted in zip(model.get_weights(), arrays[10:], strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-8)

    arrays = truth("classes")
    head = Dense(3, activation="softmax")
    model = embedded(layers.LSTM(3, return_sequences=True), head)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.set_weights(arrays[:6])
    np.testing.assert_allclose(model.evaluate(TOKENS, arrays[6]), arrays[7], rtol=1e-6)


def test_batch_norm_measures_data_only() -> None:
    arrays = truth("batch_norm")
    norm = layers.BatchNormalization(momentum=0.5)
    model = embedded(norm)
    model.set_weights(arrays[:5])
    with CallContext(training=True) as context:
        y = model(gc.constant(TOKENS))
    got = gc.function([], y, updates=context.updates)()
    np.testing.assert_allclose(got, arrays[5], rtol=3e-7)  # Keras has some constants in float32
    np.testing.assert_allclose(norm.moving_mean.value, arrays[6], rtol=3e-7)
    np.testing.assert_allclose(norm.moving_variance.value, arrays[7], rtol=3e-7)


def test_masks_of_ones_own() -> None:
    x = Input((None, 4))
    mask = gc.placeholder("mask", ("batch", x.shape[1]), "bool")
    y = layers.LSTM(3)(x, mask=mask)
    values = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("float32")
    f = gc.function([x, mask], y)
    short = f(values[:, :2], np.ones((2, 2), bool))
    np.testing.assert_allclose(f(values, np.array([[True, True, False]] * 2)), short, rtol=1e-6)

    class Shifted(layers.Layer):
        def call(self, inputs: Any) -> Any:
            return inputs[:, 1:]

        def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
            return None if mask is None else mask[:, 1:]

    h = Shifted()(Embedding(5, 4, mask_zero=True)(Input((None,), dtype="int64")))
    assert h.mask is not None and h.mask.ndim == 2
    h = layers.Lambda(lambda t: t * 2, mask=lambda inputs, mask: mask)(h)
    assert h.mask is not None
    assert layers.Softmax()(h, mask=gc.ones(h.shape, dtype="bool")).shape == h.shape


def test_softmax_with_a_mask() -> None:
    x = gc.constant(np.zeros((2, 3)))
    mask = gc.constant(np.array([[True, True, False], [False, False, False]]))
    got = gc.run(layers.Softmax()(x, mask=mask))
    np.testing.assert_allclose(got, [[0.5, 0.5, 0], [1 / 3] * 3])


def test_a_dropped_mask_is_told() -> None:
    h = Embedding(5, 4, mask_zero=True)(Input((6,), dtype="int64"))
    with pytest.warns(UserWarning, match="Flatten 'flat' was given a mask"):
        layers.Flatten(name="flat")(h)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layers.Dense(2)(layers.Dropout(0.5)(h))


# --- states that are carried on -------------------------------------------------------------------


def stateful(cell: Any = layers.LSTM, **options: Any) -> Sequential:
    entry = Input((None, 2), batch_size=4, dtype="float64")
    return Sequential([entry, cell(3, stateful=True, **options)])


def test_states_are_carried_on() -> None:
    arrays = truth("stateful")
    model = stateful()
    model.set_weights(arrays[:3])
    for wanted in arrays[4:]:
        np.testing.assert_allclose(model.predict(arrays[3]), wanted, rtol=1e-9)
    model.reset_states()
    np.testing.assert_allclose(model.predict(arrays[3]), arrays[4], rtol=1e-9)
    assert len(model.get_weights()) == 3  # the states are no weights


@pytest.mark.parametrize("cell", [layers.SimpleRNN, layers.GRU, layers.LSTM])
def test_parts_of_a_sequence(cell: Any) -> None:
    """Piece by piece is the same as all at once, in training too."""
    sequence = np.random.default_rng(1).normal(size=(4, 9, 2))
    model = stateful(cell)
    free = Sequential([Input((None, 2), dtype="float64"), cell(3)])
    free.set_weights(model.get_weights())
    for part in np.split(sequence, 3, axis=1):
        last = model.predict(part)
    np.testing.assert_allclose(last, free.predict(sequence), rtol=1e-9)
    model.reset_states()
    model.compile("sgd", "mse")
    model.optimizer.learning_rate = 0.0
    for part in np.split(sequence[:, :6], 2, axis=1):
        model.train_on_batch(part, np.zeros((4, 3)))
    np.testing.assert_allclose(model.predict(sequence[:, 6:]), free.predict(sequence), rtol=1e-9)


def test_states_in_functions_and_files(tmp_path: Path) -> None:
    layer = layers.Bidirectional(layers.GRU(3, stateful=True))
    x = gc.placeholder("x", (2, "steps", 4))
    with CallContext() as context:
        y = layer(x)
    f = gc.function([x], y, updates=context.updates)
    data = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("float32")
    first, second = f(data), f(data)
    assert (first != second).all()
    layer.reset_states()
    np.testing.assert_array_equal(f(data), first)

    model = stateful()
    sequence = np.random.default_rng(1).normal(size=(4, 3, 2))
    model.predict(sequence)
    model.save(tmp_path / "m.gcx")
    again = layers.load_model(tmp_path / "m.gcx")
    np.testing.assert_array_equal(again.predict(sequence), model.predict(sequence))


def test_batches_of_the_size_that_the_input_has() -> None:
    model = Sequential([Input(batch_shape=(5, None, 2)), layers.GRU(3, stateful=True), Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.ones((20, 4, 2), "float32"), np.ones((20, 1), "float32")
    history = model.fit(x, y, epochs=2, shuffle=False, verbose=0, steps_per_call=2)
    assert len(history.history["loss"]) == 2 and model.optimizer.iterations.value == 8
    assert model.predict(x).shape == (20, 1) and model.evaluate(x, y) >= 0
    with pytest.raises(gc.FeedError, match="17 examples do not fall into batches of 5") as caught:
        model.predict(x[:17])
    assert caught.value.code == "E242"
    with pytest.raises(gc.FeedError, match="no other batch_size"):
        model.fit(x, y, batch_size=10, verbose=0)
    with pytest.raises(gc.ParameterError, match="batch_shape"):
        Input((2,), batch_shape=(5, 2))


def test_stateful_needs_one_batch_size() -> None:
    with pytest.raises(gc.ShapeError, match=r"Input\(shape, batch_size=n\)") as caught:
        layers.LSTM(3, stateful=True)(Input((None, 2)))
    assert caught.value.code == "E241"
    layer = layers.LSTM(3, stateful=True, name="memory")
    layer(Input((None, 2), batch_size=4))
    with pytest.raises(gc.ShapeError, match="carries the states of 4 examples"):
        layer(Input((None, 2), batch_size=5))
