"""Timing: candidates take turns, and medians with quartiles are reported.

Running candidates one after the other would compare them under different clock speeds and caches;
here every round times each of them once, and every round begins with another one.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from graphc.errors import ArgumentError
from graphc.function import Function
from graphc.inspect.profile import checked_seconds
from graphc.records import dataclass
from graphc.surface import surface

__all__ = ["Comparison", "Timing", "benchmark", "compare", "preserved_variables"]

SAMPLE_SECONDS = 2e-4  # calls that are shorter are timed several at a time
FEWEST_ROUNDS = 5

Call = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds per call: the median and the quartiles of `samples` measurements."""

    median: float
    lower: float
    upper: float
    samples: int

    def __str__(self) -> str:
        return (
            f"{format_seconds(self.median)} per call, quartiles {format_seconds(self.lower)} "
            f"and {format_seconds(self.upper)}, {self.samples} samples"
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """Timings by name, measured in turns; `baseline` is what ratios refer to."""

    timings: Mapping[str, Timing]
    baseline: str

    def ratio(self, name: str) -> float:
        """How many times faster than the baseline: above 1 is faster."""
        return self.timings[self.baseline].median / self.timings[name].median

    def __str__(self) -> str:
        rows = [("", "median", "quartiles", f"speed, {self.baseline} = 1")]
        rows += [
            (
                name,
                format_seconds(timing.median),
                f"{format_seconds(timing.lower)} - {format_seconds(timing.upper)}",
                f"{self.ratio(name):.2f}",
            )
            for name, timing in self.timings.items()
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        return "\n".join(
            "  ".join(
                [row[0].ljust(widths[0]), *(row[k].rjust(widths[k]) for k in (1, 2, 3))]
            ).rstrip()
            for row in rows
        )


@surface
def benchmark(function: Callable[..., Any], *args: Any, seconds: float = 0.5) -> Timing:
    """The time of `function(*args)`. Variables keep the values they had before."""
    return compare({"function": function}, *args, seconds=seconds).timings["function"]


@surface
def compare(
    candidates: Mapping[str, Callable[..., Any]],
    *args: Any,
    seconds: float = 1.0,
    baseline: str | None = None,
) -> Comparison:
    """The times of several functions called with `args`, measured in turns.

    seconds: for all together; each is called at least five times. baseline: what ratios refer to,
    the first by default. Variables that compiled functions update keep the values they had before.
    """
    if not candidates:
        raise ArgumentError("compare: no candidates", fix='pass {"name": function, ...}')
    for name, function in candidates.items():
        if not callable(function):
            raise ArgumentError(f"compare: {name} is no function", fix="give functions to call")
    if baseline is None:
        baseline = next(iter(candidates))
    elif baseline not in candidates:
        raise ArgumentError(
            f"compare: baseline={baseline!r:.60} is no candidate",
            fix=f"it is one of {', '.join(map(str, candidates))}",
        )
    calls = {name: partial(function, *args) for name, function in candidates.items()}
    functions = [f for f in candidates.values() if isinstance(f, Function)]
    with preserved_variables(functions):
        samples = measure(calls, checked_seconds("compare", seconds))
    return Comparison({name: summarize(times) for name, times in samples.items()}, baseline)


def measure(calls: Mapping[str, Call], seconds: float) -> dict[str, list[float]]:
    """Seconds per call of each, sampled in rounds until `seconds` are over."""
    counts = {name: repetitions(call) for name, call in calls.items()}
    samples: dict[str, list[float]] = {name: [] for name in calls}
    order = list(calls)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(samples[order[0]]) < FEWEST_ROUNDS:
        for name in order:
            samples[name].append(sample(calls[name], counts[name]))
        order = [*order[1:], order[0]]
    return samples


def repetitions(call: Call) -> int:
    """How many calls make one sample; the first calls also warm up."""
    once = sample(call, 1)
    if once < 100 * SAMPLE_SECONDS:
        once = min(sample(call, 1) for _ in range(3))
    return max(1, min(10_000, round(SAMPLE_SECONDS / max(once, 1e-9))))


def sample(call: Call, count: int) -> float:
    """Seconds per call of `count` calls."""
    start = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - start) / count


def summarize(times: Sequence[float]) -> Timing:
    lower, median, upper = map(float, np.quantile(times, (0.25, 0.5, 0.75)))
    return Timing(median, lower, upper, len(times))


@contextmanager
def preserved_variables(functions: Sequence[Function]) -> Iterator[None]:
    """Variables that the functions update have their present values again afterwards."""
    updated = [variable for f in functions for variable, _ in f.stages.user_graph.updates]
    values = [variable.value for variable in updated]
    try:
        yield
    finally:
        # In reverse, so that a variable that is listed twice gets its first value.
        for variable, value in reversed(list(zip(updated, values, strict=True))):
            variable.value = value


def format_seconds(seconds: float) -> str:
    """`12.3 µs`: three digits and a unit."""
    for limit, scale, unit in ((1e-3, 1e6, "µs"), (1.0, 1e3, "ms")):
        if seconds < limit * 0.9995:
            return f"{three_digits(seconds * scale)} {unit}"
    return f"{three_digits(seconds)} s"


def three_digits(value: float) -> str:
    """`0.123`, `1.23`, `12.3`, `123`."""
    digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.3f}" if value < 0.9995 else f"{value:.{digits}f}"
