"""What users get wrong, and what they are told: the problem, what is allowed, how to mend it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.layers import LSTM, Dense, Input, Layer, Model, Sequential, losses

X = np.random.default_rng(0).normal(size=(20, 4)).astype("float32")
LABELS = (X[:, 0] > 0).astype("int64")
Case = tuple[Callable[[], Any], str, tuple[str, ...]]


def model(
    units: int = 2, activation: str = "softmax", loss: Any = "sparse_categorical_crossentropy"
) -> Sequential:
    made = Sequential([Input((4,)), Dense(units, activation, name="out")])
    made.compile("sgd", loss)
    return made


def fit(x: Any = X, y: Any = LABELS, **options: Any) -> Any:
    return model(**options).fit(x, y, verbose=0)


def wrong_features() -> Any:
    head = Dense(3, name="head")
    head(Input((4,)))
    return head(Input((5,), name="five"))


def broken() -> np.ndarray:
    values = X.copy()
    values[3, 1] = np.nan
    return values


CASES: dict[str, Case] = {
    "a tensor for settings": (
        lambda: Dense(Input((4,), name="hidden")),  # type: ignore[arg-type]
        "E240",
        ("Dense was given a tensor", "hidden: float32[batch, 4]", "Dense(units)(hidden)"),
    ),
    "a tensor for settings, LSTM": (
        lambda: LSTM(Input((None, 4), name="steps")),  # type: ignore[arg-type]
        "E240",
        ("LSTM was given a tensor", "LSTM(units)(steps)"),
    ),
    "the shape of all data": (
        lambda: Sequential([Input(X.shape), Dense(2)]).predict(X),
        "E242",
        ("got     (20, 4)", "allowed float32[batch, 20, 4]", "Input(shape=X.shape[1:])"),
    ),
    "another number of features": (
        wrong_features,
        "E241",
        ("Dense 'head': axis -1", "size 5", "got     float32[batch, 5]", "allowed size 4"),
    ),
    "data with other features": (
        lambda: fit(X[:, :3]),
        "E242",
        ("does not fit", "got     (20, 3)", "allowed float32[batch, 4]", "(examples, 4)"),
    ),
    "rows of different lengths": (
        lambda: model().predict([[1.0, 2.0, 3.0, 4.0], [1.0, 2.0]]),
        "E242",
        ("example 0 has length 4, example 1 length 2", "pad the shorter ones"),
    ),
    "arrays of different shapes": (
        lambda: fit([X[0], X[1, :3]]),
        "E242",
        ("example 0 has shape (4,), example 1 shape (3,)", "pad the shorter ones"),
    ),
    "a layer without call": (
        lambda: type("Double", (Layer,), {})()(Input((4,))),
        "E249",
        ("Double does not define call(self, inputs)", "add def call(self, inputs)"),
    ),
    "a loss without call": (
        lambda: fit(loss=type("Cost", (losses.Loss,), {})()),
        "E249",
        ("Cost does not define call(self, y_true, y_pred)",),
    ),
    "labels out of range": (
        lambda: fit(y=LABELS + 1),
        "E244",
        ("the label 2 is out of range", "2 classes", "allowed 0 to 1", "number the classes from 0"),
    ),
    "class numbers for rows": (
        lambda: fit(loss="categorical_crossentropy"),
        "E101",
        ("targets are no rows", "y_true  int64[batch]", "sparse_categorical_crossentropy"),
    ),
    "rows for class numbers": (
        lambda: fit(y=np.eye(2)[LABELS]),
        "E101",
        ("targets are no class numbers", "categorical_crossentropy"),
    ),
    "a loss that is NaN": (
        lambda: fit(broken()),
        "E248",
        ("NaN or infinite in step 1 of epoch 1", "clip gradients", "from before this step"),
    ),
    "not compiled": (
        lambda: Sequential([Input((4,)), Dense(1)]).fit(X, LABELS),
        "E243",
        ("was not compiled", 'model.compile(optimizer="adam", loss="mse")'),
    ),
    "weights of another shape": (
        lambda: model().set_weights([np.zeros((4, 3)), np.zeros(3)]),
        "E245",
        ("has another shape", "got     float64[4, 3]", "allowed float32[4, 2]"),
    ),
    "another number of weights": (
        lambda: model().set_weights([np.zeros((4, 2))]),
        "E245",
        ("has 2 weights, and was given 1 arrays", "out_bias: float32[2]"),
    ),
    "a layer that was not called": (
        lambda: Model(Input((4,)), Dense(2)),
        "E246",
        ("outputs must be tensors", "y = Dense(n)(x)"),
    ),
    "a misspelt loss": (lambda: model(loss="categorical_crosentropy"), "E231", ("did you mean",)),
    "a misspelt metric": (
        lambda: model().compile("sgd", "mse", metrics=["acuracy"]),
        "E231",
        ("there is no metric called 'acuracy'", "did you mean Accuracy"),
    ),
    "a misspelt activation": (
        lambda: model(activation="sofmax"),
        "E231",
        ("there is no activation called 'sofmax'", "did you mean softmax"),
    ),
    "targets of another length": (
        lambda: fit(y=LABELS[:7]),
        "E242",
        ("different numbers of examples", "x: [20, 4]"),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_message(name: str) -> None:
    act, code, parts = CASES[name]
    with pytest.raises(gc.GraphcError) as caught:
        act()
    text = str(caught.value)
    assert caught.value.code == code
    assert "test_messages.py" in text  # the user's own line
    for part in parts:
        assert part in text, text


def test_weights_in_a_file_of_another_shape(tmp_path: Path) -> None:
    model().save_weights(tmp_path / "w.npz")
    with pytest.raises(gc.ShapeError) as caught:
        model(3).load_weights(tmp_path / "w.npz")
    assert "got     float32[4, 2]" in str(caught.value)
    assert "allowed float32[4, 3]" in str(caught.value)


@pytest.mark.parametrize(
    ("activation", "loss", "match"),
    [
        ("softmax", losses.SparseCategoricalCrossentropy(from_logits=True), "output of softmax"),
        ("sigmoid", losses.BinaryCrossentropy(from_logits=True), "output of sigmoid"),
        ("linear", losses.BinaryCrossentropy(), "end the model with sigmoid"),
        ("linear", losses.SparseCategoricalCrossentropy(), "end the model with softmax"),
    ],
)
def test_losses_that_do_not_fit_the_activation(activation: str, loss: Any, match: str) -> None:
    units = 1 if isinstance(loss, losses.BinaryCrossentropy) else 2
    with pytest.warns(UserWarning, match=match):
        fit(units=units, activation=activation, loss=loss)
