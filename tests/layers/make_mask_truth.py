"""Writes truth_masks.npz: what Keras computes, in float64, for masked and stateful layers.

    python tests/layers/make_mask_truth.py        (needs keras; the tests do not)

For each case: weights, then the results for the sequences below.
"""

from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

keras.config.set_floatx("float64")
rng = np.random.default_rng(0)
CASES: dict[str, list[Any]] = {}
TOKENS = np.array([[3, 1, 2, 0, 0], [1, 4, 0, 0, 0], [2, 2, 1, 3, 4], [0, 0, 0, 0, 0]])
TARGETS = rng.normal(size=(4, 5, 3))
CLASSES = rng.integers(0, 3, (4, 5))
WEIGHTS = rng.uniform(0.5, 2, (4, 5))


def shaken(model: Any) -> Any:
    model.set_weights([w + 0.3 * rng.normal(size=w.shape) for w in model.get_weights()])
    return model


def embedded(*following: Any) -> Any:
    x = h = keras.Input((5,), dtype="int64")
    for layer in (layers.Embedding(5, 4, mask_zero=True), *following):
        h = layer(h)
    return shaken(keras.Model(x, h))


def case(name: str, model: Any) -> None:
    found = model(TOKENS)
    outputs = found if isinstance(found, list | tuple) else [found]
    CASES[name] = [*model.get_weights(), *(np.asarray(one) for one in outputs)]


def main() -> None:
    seq = {"return_sequences": True}
    case("lstm", embedded(layers.LSTM(3)))
    case("lstm_sequences", embedded(layers.LSTM(3, return_state=True, **seq)))
    case("gru_zero", embedded(layers.GRU(3, zero_output_for_mask=True, **seq)))
    case("rnn_backwards", embedded(layers.SimpleRNN(3, go_backwards=True, **seq)))
    case("stacked", embedded(layers.LSTM(4, **seq), layers.Dropout(0.5), layers.GRU(3)))
    case("bidirectional", embedded(layers.Bidirectional(layers.LSTM(3, **seq))))
    case("bidirectional_last", embedded(layers.Bidirectional(layers.GRU(3), merge_mode="sum")))
    case("pooled", embedded(layers.Dense(3, activation="tanh"), layers.GlobalAveragePooling1D()))
    case("time_distributed", embedded(layers.TimeDistributed(layers.Dense(2)), layers.LSTM(3)))
    x = keras.Input((5,), dtype="int64")
    h = layers.Embedding(5, 4, mask_zero=True)(x)
    attended = layers.MultiHeadAttention(2, 3)(h, h, use_causal_mask=True)
    pooled = layers.GlobalAveragePooling1D()(layers.Add()([h, attended]))
    case("attention", shaken(keras.Model(x, [attended, pooled])))
    x = keras.Input((5,), dtype="int64")
    h = layers.Embedding(5, 4, mask_zero=True)(x)
    joined = layers.Concatenate(axis=1)([h, layers.LayerNormalization()(h)])
    case("concatenated", shaken(keras.Model(x, layers.SimpleRNN(3)(joined))))

    sequences = rng.normal(size=(4, 5, 2))
    sequences[1, 2:] = sequences[3, 1:3] = -1.0
    model = keras.Sequential([keras.Input((5, 2)), layers.Masking(-1.0), layers.GRU(3)])
    shaken(model)
    CASES["masking"] = [*model.get_weights(), sequences, np.asarray(model(sequences))]

    model = embedded(layers.LSTM(3, **seq), layers.Dense(3))
    model.compile("sgd", "mse", metrics=["mae"], weighted_metrics=["mse"])
    plain = model.evaluate(TOKENS, TARGETS, verbose=0)
    weighted = model.evaluate(TOKENS, TARGETS, sample_weight=WEIGHTS, verbose=0)
    before = model.get_weights()
    model.train_on_batch(TOKENS, TARGETS)
    CASES["loss"] = [*before, TARGETS, WEIGHTS, plain, weighted, *model.get_weights()]
    model = embedded(layers.LSTM(3, **seq), layers.Dense(3, activation="softmax"))
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    values = model.evaluate(TOKENS, CLASSES, verbose=0)
    CASES["classes"] = [*model.get_weights(), CLASSES, values]

    x = keras.Input((5,), dtype="int64")
    norm = layers.BatchNormalization(momentum=0.5)
    model = shaken(keras.Model(x, norm(layers.Embedding(5, 4, mask_zero=True)(x))))
    norm.moving_variance.assign(np.abs(norm.moving_variance))
    before = model.get_weights()
    y = np.asarray(model(TOKENS, training=True))
    CASES["batch_norm"] = [*before, y, *model.get_weights()[-2:]]

    model = keras.Sequential([keras.Input((5, 2), batch_size=4), layers.LSTM(3, stateful=True)])
    shaken(model)
    outputs = [np.asarray(model(sequences)) for _ in range(3)]
    CASES["stateful"] = [*model.get_weights(), sequences, *outputs]

    arrays = {f"{name}.{n}": np.asarray(a) for name, c in CASES.items() for n, a in enumerate(c)}
    path = Path(__file__).parent / "truth_masks.npz"
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]
    print(f"{len(CASES)} cases, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
