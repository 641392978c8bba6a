"""Callbacks, told of epochs by hand: what they do to the model and what they write."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import layers
from graphc.layers import callbacks, optimizers


class Model:
    """What callbacks see of a model."""

    def __init__(self) -> None:
        self.stop_training = False
        self.weights = 0
        self.saved: list[str] = []
        self.optimizer = optimizers.SGD(1.0)

    def get_weights(self) -> int:
        return self.weights

    def set_weights(self, weights: int) -> None:
        self.weights = weights

    def save(self, path: str) -> None:
        self.saved.append(path)

    def save_weights(self, path: str) -> None:
        self.saved.append(f"weights {path}")


def train(callback: callbacks.Callback, values: Sequence[Any], name: str = "val_loss") -> Model:
    model = Model()
    every = callbacks.CallbackList([callback], add_history=True, model=model, epochs=len(values))
    every.on_train_begin()
    for epoch, value in enumerate(values):
        every.on_epoch_begin(epoch)
        every.on_train_batch_begin(0)
        model.weights = epoch
        every.on_train_batch_end(0, {"loss": value})
        every.on_epoch_end(epoch, {"loss": value, name: value})
        if model.stop_training:
            break
    every.on_train_end()
    assert every.history is not None
    model.saved.append(f"{len(every.history.epoch)} epochs")
    return model


def test_history() -> None:
    history = callbacks.History()
    train(history, [3.0, 2.0])
    assert history.history == {"loss": [3.0, 2.0], "val_loss": [3.0, 2.0]}
    assert history.epoch == [0, 1]


def test_early_stopping() -> None:
    stop = callbacks.EarlyStopping(patience=2, restore_best_weights=True)
    model = train(stop, [5.0, 3.0, 3.5, 3.2, 1.0])
    assert (stop.stopped_epoch, stop.best_epoch, stop.best, model.weights) == (3, 1, 3.0, 1)
    model = train(callbacks.EarlyStopping(patience=2), [5.0, 4.0, 4.5, 3.0, 2.0])
    assert not model.stop_training and model.weights == 4
    rising = callbacks.EarlyStopping("val_accuracy", patience=1)
    assert train(rising, [0.5, 0.6, 0.55, 0.9], "val_accuracy").saved == ["3 epochs"]
    assert train(callbacks.EarlyStopping(min_delta=1.0), [5.0, 4.5]).saved == ["2 epochs"]
    late = callbacks.EarlyStopping(start_from_epoch=3)
    assert train(late, [1.0, 2.0, 3.0, 0.5, 0.6]).saved == ["5 epochs"]
    low = callbacks.EarlyStopping(baseline=1.0, patience=2)
    assert train(low, [3.0, 2.0, 1.5]).saved == ["2 epochs"]


def test_checkpoints() -> None:
    best = callbacks.ModelCheckpoint("m{epoch:02d}-{val_loss:.1f}.gcx", save_best_only=True)
    assert train(best, [2.0, 3.0, 1.0]).saved[:-1] == ["m01-2.0.gcx", "m03-1.0.gcx"]
    every = callbacks.ModelCheckpoint(Path("w"), save_weights_only=True, save_freq=1)
    assert train(every, [2.0, 3.0]).saved[:-1] == ["weights w", "weights w"]
    bounded = callbacks.ModelCheckpoint("m", save_best_only=True, initial_value_threshold=1.5)
    assert train(bounded, [2.0, 1.0]).saved[:-1] == ["m"]
    with pytest.raises(gc.ParameterError, match="unknown name 'loss_'"):
        train(callbacks.ModelCheckpoint("{loss_}"), [1.0])
    with pytest.raises(gc.ParameterError, match="save_freq"):
        callbacks.ModelCheckpoint("m", save_freq=0)


def test_learning_rates() -> None:
    slower = callbacks.ReduceLROnPlateau(factor=0.5, patience=2, cooldown=1, min_lr=0.3)
    assert train(slower, [1.0] * 3).optimizer.learning_rate == 0.5
    assert train(slower, [1.0] * 4).optimizer.learning_rate == 0.5
    assert train(slower, [1.0] * 9).optimizer.learning_rate == 0.3
    plan = callbacks.LearningRateScheduler(lambda epoch, rate: rate / (1 + epoch))
    assert train(plan, [1.0] * 3).optimizer.learning_rate == 1 / 2 / 3
    with pytest.raises(gc.ParameterError, match="returned None"):
        train(callbacks.LearningRateScheduler(lambda epoch, rate: None), [1.0])  # type: ignore[arg-type, return-value]


def test_nan_ends_training(capsys: pytest.CaptureFixture[str]) -> None:
    assert train(callbacks.TerminateOnNaN(), [1.0, float("nan"), 1.0]).saved == ["2 epochs"]
    assert "the loss is nan" in capsys.readouterr().out


def test_csv(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    train(callbacks.CSVLogger(path), [0.1, 2.0])
    train(callbacks.CSVLogger(path, append=True), [3.0])
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["epoch", "loss", "val_loss"],
        ["0", "0.1", "0.1"],
        ["1", "2.0", "2.0"],
        ["0", "3.0", "3.0"],
    ]


def test_functions_as_hooks() -> None:
    seen: list[Any] = []
    own = callbacks.LambdaCallback(
        on_train_begin=lambda logs=None: seen.append("begin"),
        on_epoch_end=lambda epoch, logs: seen.append((epoch, logs["loss"])),
    )
    train(own, [4.0])
    assert seen == ["begin", (0, 4.0)]
    with pytest.raises(TypeError, match="on_epoch_ends"):
        callbacks.LambdaCallback(on_epoch_ends=print)


def test_a_metric_that_is_not_there() -> None:
    with pytest.raises(gc.ParameterError, match="only loss, other") as caught:
        train(callbacks.EarlyStopping(), [1.0], "other")
    assert "fit with validation data" in str(caught.value)


def test_prediction_is_heard() -> None:
    heard: list[str] = []
    own = callbacks.LambdaCallback()
    own.on_predict_begin = lambda logs=None: heard.append("begin")  # type: ignore[method-assign]
    own.on_predict_end = lambda logs=None: heard.append("end")  # type: ignore[method-assign]
    model = layers.Sequential([layers.Input((2,)), layers.Dense(1)])
    model.predict(np.ones((3, 2), "float32"), callbacks=[own])
    assert heard == ["begin", "end"]
