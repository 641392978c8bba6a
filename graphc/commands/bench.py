"""`graphc bench`: one function on several backends, at several sizes, timed in turns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field

import numpy as np
from rich.console import Console

from graphc.backends.reference.interpreter import evaluate_tensors
from graphc.backends.registry import REFERENCE
from graphc.benchmark import Comparison, Timing, compare, format_seconds, preserved_variables
from graphc.commands.feeds import Range, random_feeds
from graphc.commands.terminal import UsageError, make_table, show_table
from graphc.dtypes import is_inexact, real_dtype
from graphc.errors import GraphcError, IndexOutOfRange
from graphc.function import Function, function
from graphc.ir.graph import Graph
from graphc.records import dataclass

NUMPY = "numpy"
# Relative to the largest value.
TOLERANCE = {
    "bfloat16": 8e-2,
    "float16": 1e-2,
    "float32": 1e-4,
    "float64": 1e-9,
}


@dataclass
class Candidates:
    """What is compared: a call of all inputs by name; `failed` says why others are not there."""

    functions: dict[str, Function] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def on_backends(original: Function, backends: Sequence[str], threads: int | None) -> Candidates:
    """The function's graph, as the user wrote it, compiled for every backend."""
    candidates = Candidates()
    for backend in backends:
        try:
            candidates.functions[backend] = recompile(original, backend, threads)
        except GraphcError as error:
            reason = "; ".join([error.message, *(line.strip() for line in error.details)])
            candidates.failed[backend] = f"[{error.code}] {reason}"
    return candidates


def recompile(original: Function, backend: str, threads: int | None = None) -> Function:
    """The same function on another backend; it shares the variables."""
    graph = original.stages.user_graph
    return function(
        graph.inputs,
        list(graph.outputs),
        list(graph.updates),
        backend=backend,
        name=graph.name,
        on_unused_input="ignore",
        threads=threads,
    )


def op_by_op(graph: Graph) -> Callable[..., list[np.ndarray]]:
    """The graph as the user wrote it, each op one numpy call; updates are computed, not kept."""

    def run(*arrays: np.ndarray) -> list[np.ndarray]:
        return evaluate_tensors(graph.results, dict(zip(graph.inputs, arrays, strict=True)))

    return run


# --- results -------------------------------------------------------------------------------------


def results_of(compiled: Function, feeds: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Outputs and new values of the updates of one call, which leaves no trace."""
    with preserved_variables([compiled]):
        outputs = compiled(*feeds)
        values = [variable.value for variable, _ in compiled.stages.user_graph.updates]
    return [*outputs, *values]


def largest_difference(got: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> float:
    """The largest deviation, relative to the largest value and to what its dtype allows.

    Above 1 is too much. Values that are not finite must be equal, integers and bool too.
    """
    worst = 0.0
    for one, other in zip(got, expected, strict=True):
        if one.shape != other.shape or one.dtype != other.dtype:
            return float("inf")
        if one.size == 0:
            continue
        if not is_inexact(one.dtype):
            worst = max(worst, 0.0 if np.array_equal(one, other) else float("inf"))
            continue
        finite = np.isfinite(one) & np.isfinite(other)
        if not np.array_equal(one[~finite], other[~finite], equal_nan=True):
            return float("inf")
        scale = float(np.abs(other[finite]).max(initial=0.0)) or 1.0
        difference = float(np.abs(one[finite] - other[finite]).max(initial=0.0))
        worst = max(worst, difference / scale / TOLERANCE.get(real_dtype(one.dtype).name, 1e-4))
    return worst


# --- the command ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Measured:
    """Timings at one combination of sizes, and how far results are from the reference."""

    sizes: Mapping[str, int]
    comparison: Comparison
    differences: Mapping[str, float]


def measure(
    original: Function,
    candidates: Mapping[str, Function],
    sizes: Mapping[str, int],
    ranges: Mapping[str, Range],
    against: str | None,
    seconds: float,
) -> Measured:
    """Check all candidates against the reference on random feeds, then time them in turns."""
    feeds = random_feeds(original, sizes, ranges)
    oracle = candidates.get(REFERENCE) or recompile(original, REFERENCE)
    try:
        expected = results_of(oracle, feeds)
    except IndexOutOfRange as error:
        hint = "say what the integer inputs may be, as in --range y=0:10"
        raise UsageError(f"random feeds do not fit: {error.message}", hint) from error
    differences = {
        name: largest_difference(results_of(compiled, feeds), expected)
        for name, compiled in candidates.items()
    }
    calls: dict[str, Callable[..., object]] = dict(candidates)
    if against == NUMPY:
        naive = op_by_op(original.stages.user_graph)
        calls[NUMPY] = naive
        differences[NUMPY] = largest_difference(naive(*feeds), expected)
    comparison = compare(calls, *feeds, seconds=seconds, baseline=against)
    return Measured(sizes, comparison, differences)


def show(console: Console, title: str, rows: Sequence[Measured], failed: Mapping[str, str]) -> bool:
    """The table of all measurements; whether all backends agreed with the reference."""
    baseline = rows[0].comparison.baseline
    symbols = list(rows[0].sizes)
    speed = f"speed ({baseline} = 1)"
    table = make_table(
        title,
        [*symbols, "backend", "median", "quartiles", speed, "result"],
        right=[*symbols, "median", "quartiles", speed],
    )
    agreed = True
    for number, row in enumerate(rows):
        if number:
            table.add_section()
        for name, timing in row.comparison.timings.items():
            equal = row.differences[name] <= 1
            agreed = agreed and (equal or name == NUMPY)
            sizes = [str(size) for size in row.sizes.values()]
            table.add_row(*sizes, name, *_cells(row.comparison, name, timing), verdict(name, equal))
    show_table(console, table)
    for name, reason in failed.items():
        console.print(f"{name}: not compiled: {reason}", style="red")
    return agreed and not failed


def _cells(comparison: Comparison, name: str, timing: Timing) -> tuple[str, str, str]:
    quartiles = f"{format_seconds(timing.lower)} - {format_seconds(timing.upper)}"
    return format_seconds(timing.median), quartiles, f"{comparison.ratio(name):.2f}x"


def verdict(name: str, equal: bool) -> str:
    if equal:
        return "equal"
    return "unoptimised, differs" if name == NUMPY else "DIFFERS"
