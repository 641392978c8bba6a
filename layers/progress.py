"""What training shows: a bar with the loss, metrics and the time left, or a line for each epoch."""

import sys
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from graphc.layers.configured import parameter_error


def verbosity(verbose: Any) -> int:
    """0: nothing, 1: a bar, 2: a line for each epoch. "auto": a bar in a terminal, else lines."""
    if isinstance(verbose, str) and verbose == "auto":
        return 1 if sys.stdout.isatty() else 2
    if not isinstance(verbose, int | np.integer) or verbose not in (0, 1, 2):
        raise parameter_error(f"verbose={verbose!r:.60}", 'use 0, 1, 2 or "auto"')
    return int(verbose)


def shown(logs: Mapping[str, Any]) -> str:
    """`loss 0.1234  accuracy 0.9876`"""
    return "  ".join(f"{name} {_number(value)}" for name, value in logs.items())


def _number(value: Any) -> str:
    try:
        return f"{float(value):.4g}"
    except (TypeError, ValueError):
        return "..."


class Display:
    """One epoch after the other on the screen."""

    def __init__(self, verbose: Any, epochs: int) -> None:
        self.level, self.epochs = verbosity(verbose), epochs
        self.bar: Progress | None = None
        self.console = Console(highlight=False)

    def begin(self, epoch: int, steps: int | None) -> None:
        self.started = time.perf_counter()
        self.title = f"epoch {epoch + 1}/{self.epochs}"
        if self.level == 1:
            self.bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=20),
                MofNCompleteColumn(),
                TimeRemainingColumn(compact=True),
                TextColumn("{task.fields[logs]}"),
                console=self.console,
                refresh_per_second=8,
            )
            self.task = self.bar.add_task(self.title, total=steps, logs="")
            self.bar.start()

    def step(self, done: int, logs: Mapping[str, Any]) -> None:
        if self.bar is not None:
            self.bar.update(self.task, completed=done, logs=shown(logs))

    def end(self, done: int, logs: Mapping[str, Any]) -> None:
        if self.bar is not None:
            self.bar.update(self.task, completed=done, total=done, logs=shown(logs))
        self.close()
        if self.level == 2:
            seconds = time.perf_counter() - self.started
            self.console.print(f"{self.title}  {seconds:.1f} s  {shown(logs)}", soft_wrap=True)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None
