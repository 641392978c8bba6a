"""compile, fit, evaluate, predict: what they compute, and what they say to bad data."""

import warnings
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import layers
from graphc.layers import Dense, Dropout, Input, Model, Sequential, callbacks, optimizers

RNG = np.random.default_rng(0)
X = RNG.normal(size=(100, 3)).astype("float32")
LABELS = (X[:, 0] > 0).astype("int64") + (X[:, 1] > 0)
TARGETS = X @ np.array([[1.0], [-2.0], [0.5]], "float32")


def linear(**options: Any) -> Sequential:
    model = Sequential([Input((3,)), Dense(1, kernel_initializer="zeros")])
    model.compile(**{"optimizer": optimizers.SGD(0.1), "loss": "mse", **options})
    return model


def classifier(*metrics: Any) -> Sequential:
    layers.set_random_seed(0)
    model = Sequential([Input((3,)), Dense(8, "tanh"), Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=list(metrics))
    return model


def test_one_step_by_hand() -> None:
    model = linear()
    loss = model.train_on_batch(X, TARGETS)
    assert loss == pytest.approx(float((TARGETS**2).mean()), rel=1e-5)
    gradient = -2 * X.T @ TARGETS / len(X)
    np.testing.assert_allclose(model.get_weights()[0], -0.1 * gradient, rtol=1e-4)
    assert model.test_on_batch(X, TARGETS) < loss


def test_fit_is_a_loop_over_batches() -> None:
    one, other = linear(), linear()
    history = one.fit(X, TARGETS, batch_size=32, epochs=2, shuffle=False, verbose=0)
    for _ in range(2):
        for start in range(0, 100, 32):
            other.train_on_batch(X[start : start + 32], TARGETS[start : start + 32])
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)
    assert len(history.history["loss"]) == 2


def test_steps_per_call_changes_nothing_but_speed() -> None:
    results = []
    for per_call in (1, 3, 50):
        layers.set_random_seed(1)
        model = Sequential([Input((3,)), Dense(8, "tanh"), Dropout(0.2), Dense(1)])
        model.compile("adam", "mse", metrics=["mae"])
        history = model.fit(X, TARGETS, batch_size=8, epochs=3, verbose=0, steps_per_call=per_call)
        results.append((model.get_weights(), history.history))
    for weights, history in results[1:]:
        for a, b in zip(weights, results[0][0], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(history["loss"], results[0][1]["loss"], rtol=1e-5)
        np.testing.assert_allclose(history["mae"], results[0][1]["mae"], rtol=1e-5)


def test_one_function_for_all_batch_sizes() -> None:
    model = linear()
    model.fit(X, TARGETS, batch_size=7, verbose=0)
    model.fit(X, TARGETS, batch_size=33, verbose=0)
    steps = model._steps
    assert steps is not None
    assert len([key for key in steps._functions if key[0] == "train"]) == 1


def test_metrics_and_validation() -> None:
    model = classifier("accuracy")
    model.optimizer.learning_rate = 0.05
    history = model.fit(X, LABELS, epochs=60, validation_split=0.2, verbose=0).history
    assert set(history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert history["accuracy"][-1] > 0.9
    values = model.evaluate(X[80:], LABELS[80:], return_dict=True)
    assert values["loss"] == pytest.approx(history["val_loss"][-1], rel=1e-4)
    assert values["accuracy"] == pytest.approx(history["val_accuracy"][-1])
    predicted = model.predict(X)
    assert (predicted.argmax(1) == LABELS).mean() == pytest.approx(
        model.evaluate(X, LABELS, batch_size=7)[1]
    )


def test_dropout_trains_and_does_not_predict() -> None:
    model = Sequential([Input((3,)), Dropout(0.5), Dense(1)])
    model.compile("sgd", "mse")
    np.testing.assert_array_equal(model.predict(X), model.predict(X))
    assert model.test_on_batch(X, TARGETS) == model.test_on_batch(X, TARGETS)
    still = optimizers.SGD(0.0)
    model.compile(still, "mse")
    assert model.train_on_batch(X, TARGETS) != model.train_on_batch(X, TARGETS)


def test_moving_averages_are_updated() -> None:
    norm = layers.BatchNormalization(momentum=0.0)
    model = Sequential([Input((3,)), norm, Dense(1)])
    model.compile("sgd", "mse")
    model.train_on_batch(X, TARGETS)
    np.testing.assert_allclose(norm.moving_mean.value, X.mean(0), rtol=1e-3, atol=1e-6)


def test_weights_of_samples_and_classes() -> None:
    model = linear(optimizer=optimizers.SGD(0.0))
    weights = np.arange(100, dtype="float32")
    wanted = float((TARGETS[:, 0] ** 2 * weights).mean())
    assert model.train_on_batch(X, TARGETS, weights) == pytest.approx(wanted, rel=1e-4)
    model = classifier()
    p = model.predict(X)[np.arange(100), LABELS]
    factors = np.array([1.0, 3.0, 0.5])[LABELS]
    loss = model.train_on_batch(X, LABELS, class_weight={1: 3.0, 2: 0.5})
    assert loss == pytest.approx(float((-np.log(p) * factors).mean()), rel=1e-4)


def test_penalties_and_constraints() -> None:
    dense = Dense(1, kernel_regularizer=layers.regularizers.L2(0.5), kernel_constraint="non_neg")
    model = Sequential([Input((3,)), dense])
    model.compile(optimizers.SGD(0.1), "mse")
    plain = float(((TARGETS - model.predict(X)) ** 2).mean())
    penalty = 0.5 * float((dense.kernel.value**2).sum())
    assert model.train_on_batch(X, TARGETS) == pytest.approx(plain + penalty, rel=1e-4)
    model.fit(X, TARGETS, epochs=5, verbose=0)
    assert (dense.kernel.value >= 0).all()


def test_several_inputs_and_outputs() -> None:
    a, b = Input((2,), name="a"), Input((1,), name="b")
    h = Dense(4, "tanh")(layers.Concatenate()([a, b]))
    value, kind = Dense(1, name="value")(h), Dense(3, "softmax", name="kind")(h)
    model = Model([a, b], [value, kind])
    model.compile(
        "adam",
        loss={"value": "mse", "kind": "sparse_categorical_crossentropy"},
        loss_weights={"value": 0.5, "kind": 2.0},
        metrics={"kind": ["accuracy"]},
    )
    inputs = {"a": X[:, :2], "b": X[:, 2:]}
    history = model.fit(inputs, [TARGETS, LABELS], epochs=2, verbose=0).history
    assert set(history) == {"loss", "value_loss", "kind_loss", "kind_accuracy"}
    total = 0.5 * history["value_loss"][1] + 2 * history["kind_loss"][1]
    assert history["loss"][1] == pytest.approx(total, rel=1e-5)
    first, second = model.predict([X[:, :2], X[:, 2:]])
    assert first.shape == (100, 1)
    assert second.shape == (100, 3)


def test_a_subclass_is_built_by_its_data() -> None:
    class Net(Model):
        def __init__(self) -> None:
            super().__init__()
            self.hidden, self.drop, self.head = Dense(8, "tanh"), Dropout(0.1), Dense(1)

        def call(self, inputs: Any) -> Any:
            return self.head(self.drop(self.hidden(inputs)))

    net = Net()
    net.compile("adam", "mse")
    losses = net.fit(X, TARGETS, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert len(net.weights) == 4
    lazy = Sequential([Dense(2, "tanh"), Dense(1)])
    assert lazy.predict(X).shape == (100, 1)


def test_generators() -> None:
    def batches() -> Iterator[Any]:
        while True:
            yield X[:10], TARGETS[:10], np.ones(10, "float32")

    model = linear()
    model.fit(batches(), epochs=2, steps_per_epoch=5, verbose=0)
    assert model.optimizer.iterations.value == 10
    listed = [(X[:10], TARGETS[:10]), (X[10:30], TARGETS[10:30])]
    model.fit(listed, epochs=2, verbose=0, validation_data=listed)
    assert model.optimizer.iterations.value == 14
    assert model.predict(iter([X[:10], X[10:15]])).shape == (15, 1)


def test_frozen_layers_and_compiling_again() -> None:
    model = Sequential([Input((3,)), Dense(4), Dense(1)])
    model.compile("sgd", "mse")
    model.train_on_batch(X, TARGETS)
    model.layers[0].trainable = False
    before = model.layers[0].get_weights()
    head = model.layers[1].get_weights()[0]
    model.train_on_batch(X, TARGETS)
    np.testing.assert_array_equal(before[0], model.layers[0].get_weights()[0])
    assert (head != model.layers[1].get_weights()[0]).any()


def test_a_callback_freezes_and_thaws_between_steps() -> None:
    model = Sequential([Input((3,)), Dense(4), Dense(1)])
    model.compile("sgd", "mse")
    kernels: list[np.ndarray] = []

    class Freezer(callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            kernels.append(model.layers[0].get_weights()[0])
            model.layers[0].trainable = batch not in (1, 2)

    model.fit(X, TARGETS, batch_size=20, verbose=0, callbacks=[Freezer()])
    moved = [bool((a != b).any()) for a, b in pairwise(kernels)]
    assert moved == [True, False, False, True]


def test_callbacks_hear_everything() -> None:
    heard: list[str] = []

    class Ear(callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            heard.append(f"train of {self.params['epochs']} on {self.model.name}")

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            heard.append(f"{epoch}: {sorted(logs)}")
            self.model.stop_training = epoch == 1

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            heard.append(str(batch))

    model = linear()
    model.fit(X, TARGETS, batch_size=50, epochs=5, verbose=0, callbacks=[Ear()])
    assert heard == [
        f"train of 5 on {model.name}",
        "0",
        "1",
        "0: ['loss']",
        "0",
        "1",
        "1: ['loss']",
    ]


def test_progress_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    linear().fit(X, TARGETS, epochs=2, verbose=2)
    text = capsys.readouterr().out
    assert "epoch 2/2" in text
    assert "loss" in text
    linear().fit(X, TARGETS, epochs=1, verbose=1)
    assert "4/4" in capsys.readouterr().out


# --- errors -----------------------------------------------------------------------------------


def test_missing_compile() -> None:
    model = Sequential([Input((3,)), Dense(1)])
    with pytest.raises(gc.FunctionError, match="was not compiled") as caught:
        model.fit(X, TARGETS)
    assert caught.value.code == "E243"
    assert "test_training.py" in str(caught.value)


@pytest.mark.parametrize("wrong", [3, -1])
def test_labels_out_of_range(wrong: int) -> None:
    model = classifier()
    before = model.get_weights()
    labels = LABELS.copy()
    labels[7] = wrong
    with pytest.raises(gc.FeedError, match=f"label {wrong} is out of range") as caught:
        model.fit(X, labels, verbose=0)
    assert caught.value.code == "E244"
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_loss_that_is_nan_changes_no_weight() -> None:
    model = linear()
    before = model.get_weights()
    broken = X.copy()
    broken[3, 0] = np.nan
    with pytest.raises(gc.NumericsError, match="step 1 of epoch 1") as caught:
        model.fit(broken, TARGETS, shuffle=False, verbose=0)
    assert caught.value.code == "E248"
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    model.fit(broken, TARGETS, verbose=0, callbacks=[callbacks.TerminateOnNaN()])
    assert model.stop_training


def test_softmax_into_logits_warns() -> None:
    model = Sequential([Input((3,)), Dense(3, "softmax")])
    loss = layers.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss)
    with pytest.warns(UserWarning, match="softmax"):
        model.fit(X, LABELS, verbose=0)
    fine = Sequential([Input((3,)), Dense(3)])
    fine.compile("sgd", loss)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fine.fit(X, LABELS, verbose=0)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((X[:, :2], TARGETS), "does not fit"),
        ((X, TARGETS[:50]), "different numbers of examples"),
        ((X,), "no targets"),
        (((X, X), TARGETS), "2 given"),
        ((X, [["a"]] * 100), "no array of numbers"),
        ((X.astype(object), TARGETS), "no array of numbers"),
        ((X[:0], TARGETS[:0]), "no data"),
    ],
)
def test_data_that_does_not_fit(arguments: Any, match: str) -> None:
    model = linear()
    x, y = (*arguments, None)[:2]
    with pytest.raises(gc.GraphcError, match=match) as caught:
        model.fit(x, y, verbose=0)
    assert caught.value.code == "E242"


def test_input_with_the_shape_of_all_data() -> None:
    model = Sequential([Input(shape=X.shape), Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(gc.ShapeError, match=r"Input\(shape=X.shape\[1:\]\)"):
        model.fit(X, TARGETS, verbose=0)
    with pytest.raises(gc.ShapeError, match=r"Input\(shape=X.shape\[1:\]\)"):
        model.predict(X)


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 0},
        {"steps_per_call": 0},
        {"validation_split": 1.5},
        {"validation_split": 0.001},
        {"class_weight": {0: 1.0}, "y": np.zeros((100, 2, 2))},
        {"class_weight": {0: "a"}},
        {"initial_epoch": -1},
        {"steps_per_epoch": 1.5},
        {"validation_steps": 0, "validation_data": (X, TARGETS)},
        {"validation_freq": 0},
        {"validation_batch_size": 0},
        {"validation_data": (X[:0], TARGETS[:0])},
    ],
)
def test_options_that_cannot_be(options: Any) -> None:
    model = linear()
    with pytest.raises(gc.GraphcError):
        model.fit(X, options.pop("y", TARGETS), verbose=0, **options)


def test_lists_of_numbers_and_lists_of_arrays() -> None:
    model = linear()
    expected = model.predict(X[:1])
    for given in ([X[0].tolist()], [X[:1]], (X[:1],)):
        np.testing.assert_array_equal(model.predict(given), expected)


def test_no_examples_to_predict() -> None:
    assert linear().predict(X[:0]).shape == (0, 1)


def test_no_examples_to_train_or_test_on() -> None:
    model = linear()
    for use in (model.train_on_batch, model.evaluate):
        with pytest.raises(gc.FeedError, match="one example at least"):
            use(X[:0], TARGETS[:0])
    with pytest.raises(gc.FeedError, match="yields nothing"):
        model.predict(iter([]))


def test_a_stream_without_an_end() -> None:
    endless = (X[:2] for _ in iter(int, 1))
    assert linear().predict(endless, steps=3).shape == (6, 1)


@pytest.mark.parametrize(
    ("use", "text"),
    [
        (lambda model: model.fit(X, TARGETS, verbose="x"), "verbose='x'"),
        (lambda model: model.predict(iter([X]), steps=0), "steps=0"),
        (lambda model: model.get_layer(index=9), "no layer number 9"),
        (lambda model: model.summary(5), "print_fn=5"),
        (lambda model: layers.load_model(5), "path=5"),  # type: ignore[arg-type]
        (lambda model: model(), "missing"),
        (lambda model: model.layers[-1](X, X), "positional"),
        (lambda model: model.layers[-1](X, twice=True), "twice"),
    ],
)
def test_what_the_methods_do_not_take(use: Any, text: str) -> None:
    with pytest.raises(gc.GraphcError) as caught:
        use(linear())
    assert text in str(caught.value) and "test_training.py" in str(caught.value)


def test_steps_of_a_class_are_refused() -> None:
    """Keras calls them; here nobody would, and the model trained by the usual step instead."""

    class Adversarial(Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = Dense(1)

        def call(self, inputs: Any) -> Any:
            return self.dense(inputs)

        def train_step(self, data: Any) -> Any:
            raise AssertionError("not called")

    model = Adversarial()
    model.compile("sgd", "mse")
    for train in (model.fit, model.train_on_batch):
        with pytest.raises(gc.FunctionError, match=r"Adversarial\.train_step is not called"):
            train(X, TARGETS)
    assert np.isfinite(model.evaluate(X, TARGETS))
    assert model.predict(X).shape == (100, 1)
