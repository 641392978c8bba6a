"""The callback that writes what TensorBoard shows."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import graphc as gc
from graphc.layers.callbacks.base import Callback
from graphc.layers.configured import parameter_error
from graphc.layers.tensorboard.events import EventWriter

__all__ = ["TensorBoard"]


class TensorBoard(Callback):
    """Event files in log_dir/train, and of validation in log_dir/validation.

    Each epoch: all logs as scalars "epoch_loss" and so on, and the learning rate. update_freq:
    "epoch", "batch", or every so many batches: logs of batches as well. histogram_freq: every so
    many epochs the distributions of the weights, and of what `gradients()` returns, arrays by name:
    for example a function compiled of gradients, called with some examples. write_graph: the
    graph of predictions.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        update_freq: str | int = "epoch",
        gradients: Callable[[], Mapping[str, Any]] | None = None,
    ) -> None:
        if update_freq not in ("epoch", "batch") and (
            not isinstance(update_freq, int) or update_freq < 1
        ):
            raise parameter_error(
                f"TensorBoard: update_freq={update_freq!r}", 'use "epoch", "batch" or an int >= 1'
            )
        self.folder = Path(log_dir)
        self.histogram_freq, self.write_graph = histogram_freq, write_graph
        frequencies = {"epoch": 0, "batch": 1}
        self.every = frequencies[update_freq] if isinstance(update_freq, str) else update_freq
        self.gradients = gradients
        self.batches = 0
        self._writers: dict[str, EventWriter] = {}

    def writer(self, part: str) -> EventWriter:
        """The writer of "train" or "validation"."""
        if part not in self._writers:
            self._writers[part] = EventWriter(self.folder / part)
        return self._writers[part]

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        outputs = list(getattr(self.model, "outputs", None) or ())
        if self.write_graph and outputs:
            self.writer("train").graph(gc.Graph(tuple(self.model.inputs), tuple(outputs)))

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        self.batches += 1
        if self.every and self.batches % self.every == 0:
            for name, value in (logs or {}).items():
                self.writer("train").scalar(f"batch_{name}", value, self.batches)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        for name, value in (logs or {}).items():
            part = "validation" if name.startswith("val_") else "train"
            self.writer(part).scalar(f"epoch_{name.removeprefix('val_')}", value, epoch)
        optimizer = getattr(self.model, "optimizer", None)
        if optimizer is not None:
            self.writer("train").scalar("epoch_learning_rate", optimizer.learning_rate, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            for number, weight in enumerate(getattr(self.model, "weights", ())):
                self.writer("train").histogram(_tag(weight, number), weight.value, epoch)
            for name, values in (self.gradients() if self.gradients else {}).items():
                self.writer("train").histogram(f"gradients/{name}", values, epoch)
        for writer in self._writers.values():
            writer.flush()

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers = {}


def _tag(weight: Any, number: int) -> str:
    return f"weights/{number}_{weight.name}"
