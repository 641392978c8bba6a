"""Callbacks that watch a metric: stop, save, slow down."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from graphc.layers.callbacks.base import Callback
from graphc.layers.configured import parameter_error

__all__ = ["EarlyStopping", "ModelCheckpoint", "ReduceLROnPlateau", "TerminateOnNaN"]

_RISING = ("acc", "accuracy", "auc", "precision", "recall", "f1", "r2", "score")


class Watch:
    """The best value of a metric so far.

    monitor: its name in the logs. mode: "min", "max", or "auto", by the name. min_delta: by how
    much a value must be better to count.
    """

    def __init__(self, monitor: str, mode: str = "auto", min_delta: float = 0.0) -> None:
        if mode not in ("auto", "min", "max"):
            raise parameter_error(f"mode={mode!r}", 'use "auto", "min" or "max"')
        self.monitor = monitor
        rising = any(part in _RISING for part in monitor.lower().split("_"))
        self.sign = 1.0 if mode == "max" or (mode == "auto" and rising) else -1.0
        self.min_delta = abs(min_delta)
        self.best = -self.sign * np.inf

    def reset(self, best: float | None = None) -> None:
        self.best = -self.sign * np.inf if best is None else best

    def value(self, logs: Mapping[str, Any] | None) -> float:
        """The metric of an epoch; an error names those that there are."""
        found = (logs or {}).get(self.monitor)
        if found is None:
            names = ", ".join(logs or {}) or "none"
            hint = ", or fit with validation data" if self.monitor.startswith("val_") else ""
            raise parameter_error(
                f"there is no metric {self.monitor!r} to watch, only {names}",
                f"give monitor= one of these{hint}",
            )
        return float(found)

    def better(self, value: float) -> bool:
        return self.sign * (value - self.best) > self.min_delta

    def improves(self, value: float) -> bool:
        """Whether it is better than the best, which it becomes then."""
        if not self.better(value):
            return False
        self.best = value
        return True


class EarlyStopping(Callback):
    """Ends training when a metric has not improved for `patience` epochs.

    min_delta: what counts as better. baseline: a value that must be reached. restore_best_weights:
    whether the weights of the best epoch come back at the end. start_from_epoch: earlier ones do
    not count. Prechelt, Early stopping - but when?, 1998.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        verbose: int | bool = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        self.watch = Watch(monitor, mode, min_delta)
        self.patience, self.verbose, self.baseline = patience, verbose, baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self.wait, self.stopped_epoch, self.best_epoch = 0, 0, 0
        self.best_weights: Any = None

    @property
    def best(self) -> float:
        return float(self.watch.best)

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        self.wait, self.stopped_epoch, self.best_epoch = 0, 0, 0
        self.best_weights = None
        self.watch.reset()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        value = self.watch.value(logs)
        if epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self.best_weights, self.best_epoch = self.model.get_weights(), epoch
        self.wait += 1
        if self.watch.improves(value):
            self.best_epoch = epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self._beats_baseline(value):
                self.wait = 0
        if self.wait >= max(self.patience, 1) and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def _beats_baseline(self, value: float) -> bool:
        assert self.baseline is not None
        return self.watch.sign * (value - self.baseline) > self.watch.min_delta

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        if self.stopped_epoch and self.verbose:
            print(f"epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose:
                print(f"weights of epoch {self.best_epoch + 1} restored")
            self.model.set_weights(self.best_weights)


class ModelCheckpoint(Callback):
    """Saves the model after every epoch, or after every save_freq batches.

    filepath: may have {epoch:02d} and names of metrics in braces. save_best_only: only when the
    metric improves. save_weights_only: `model.save_weights` in place of `model.save`.
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int | bool = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        if save_freq != "epoch" and (not isinstance(save_freq, int) or save_freq < 1):
            raise parameter_error(f"save_freq={save_freq!r}", 'use "epoch" or an int >= 1')
        self.filepath, self.watch = os.fspath(filepath), Watch(monitor, mode)
        self.watch.reset(initial_value_threshold)
        self.verbose, self.save_freq = verbose, save_freq
        self.save_best_only, self.save_weights_only = save_best_only, save_weights_only
        self._epoch, self._batches = 0, 0

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._batches += 1
        if self.save_freq != "epoch" and self._batches % int(self.save_freq) == 0:
            self._save(self._epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        if self.save_freq == "epoch":
            self._save(epoch, logs)

    def _save(self, epoch: int, logs: Mapping[str, Any] | None) -> None:
        if self.save_best_only and not self.watch.improves(self.watch.value(logs)):
            return
        try:
            path = self.filepath.format(epoch=epoch + 1, **(logs or {}))
        except (KeyError, IndexError) as error:
            raise parameter_error(
                f"filepath {self.filepath!r} has the unknown name {error}",
                f"names are epoch, {', '.join(logs or {})}",
            ) from None
        (self.model.save_weights if self.save_weights_only else self.model.save)(path)
        if self.verbose:
            print(f"epoch {epoch + 1}: saved to {path}")


class ReduceLROnPlateau(Callback):
    """Multiplies the learning rate by `factor` when a metric stands still for `patience` epochs.

    cooldown: epochs after that in which nothing is counted. min_lr: the rate goes no lower.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int | bool = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        if not 0 < factor < 1:
            raise parameter_error(f"factor={factor!r}", "use a number between 0 and 1")
        self.watch = Watch(monitor, mode, min_delta)
        self.factor, self.patience, self.verbose = factor, patience, verbose
        self.cooldown, self.min_lr = cooldown, min_lr
        self.wait, self.cooldown_counter = 0, 0

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        self.wait, self.cooldown_counter = 0, 0
        self.watch.reset()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.wait = 0
        if self.watch.improves(self.watch.value(logs)):
            self.wait = 0
        elif self.cooldown_counter == 0:
            self.wait += 1
            old = self.model.optimizer.learning_rate
            if self.wait >= self.patience and old > self.min_lr:
                new = max(old * self.factor, self.min_lr)
                self.model.optimizer.learning_rate = new
                self.cooldown_counter, self.wait = self.cooldown, 0
                if self.verbose:
                    print(f"epoch {epoch + 1}: learning rate {new:g}")


class TerminateOnNaN(Callback):
    """Ends training when the loss is NaN or infinite."""

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is not None and not np.all(np.isfinite(loss)):
            print(f"batch {batch}: the loss is {loss}; training ends")
            self.model.stop_training = True
