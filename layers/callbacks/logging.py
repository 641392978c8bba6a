"""Callbacks that follow a plan or write what happened: learning rates by epoch, CSV files."""

import csv
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from graphc.layers.callbacks.base import Callback
from graphc.layers.configured import parameter_error

__all__ = ["CSVLogger", "LearningRateScheduler"]


class LearningRateScheduler(Callback):
    """Before each epoch the learning rate becomes schedule(epoch, rate)."""

    def __init__(self, schedule: Callable[[int, float], float], verbose: int | bool = 0) -> None:
        self.schedule, self.verbose = schedule, verbose

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        rate = self.schedule(epoch, self.model.optimizer.learning_rate)
        if isinstance(rate, bool) or not isinstance(rate, int | float | np.floating):
            raise parameter_error(f"schedule({epoch}, rate) returned {rate!r}", "return a number")
        self.model.optimizer.learning_rate = float(rate)
        if self.verbose:
            print(f"epoch {epoch + 1}: learning rate {rate:g}")


class CSVLogger(Callback):
    """A row for each epoch: its number, and the logs. append: goes on with a file that is there."""

    def __init__(
        self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False
    ) -> None:
        self.path, self.separator, self.append = Path(filename), separator, append
        self._file: IO[str] | None = None
        self._names: list[str] | None = None

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        self._names = None
        if self.append and self.path.exists():
            with self.path.open(newline="", encoding="utf-8") as file:
                header = next(csv.reader(file, delimiter=self.separator), None)
            self._names = header[1:] if header else None
        self._file = self.path.open("a" if self.append else "w", newline="", encoding="utf-8")

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        assert self._file is not None, "on_train_begin comes first"
        values = logs or {}
        writer = csv.writer(self._file, delimiter=self.separator)
        if self._names is None:
            self._names = list(values)
            writer.writerow(["epoch", *self._names])
        cells = (values.get(name, "") for name in self._names)
        writer.writerow(
            [epoch, *(repr(float(c)) if np.ndim(c) == 0 and c != "" else c for c in cells)]
        )
        self._file.flush()

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
