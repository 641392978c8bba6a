"""Where the time of a call goes: a clock after every step of the native program."""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from graphc.backends.base import ProfilingBackend
from graphc.backends.registry import get_backend
from graphc.compiler import Stages
from graphc.errors import BackendError, ParameterError
from graphc.ir.source import current_source
from graphc.loops.ir import Contraction, KernelCall, Program, Step
from graphc.loops.printer import summary
from graphc.records import dataclass
from graphc.running import Arrays, ComplexRunner, ProgramRunner, Runner, Sizes
from graphc.shapes import Size, evaluate, symbols_of

WARM_CALLS = 2  # not counted: pages are touched, caches filled


@dataclass(frozen=True, slots=True)
class Lap:
    """One step: nanoseconds in all counted calls, and how often it ran in them."""

    nanoseconds: int
    runs: int


def measure(
    stages: Stages, backend: str, sizes: Sizes, arrays: Arrays, values: Arrays, seconds: float
) -> tuple[list[Lap], int]:
    """A lap per step, and the number of calls. The arrays are not changed.

    values: of the variables. BackendError (E501) where the backend has no clock.
    """
    chosen = None if stages.program is None else get_backend(backend)
    if stages.program is None or stages.plan is None or not isinstance(chosen, ProfilingBackend):
        raise BackendError(
            f"backend {backend!r} does not profile",
            code="E501",
            fix='compile with backend="llvm"',
        )
    threads = None if stages.executable is None else stages.executable.threads
    executable = chosen.profiled(stages.program, threads=threads)
    program = ProgramRunner(stages.program, stages.plan, executable)
    run: Runner = program
    if stages.complex_parts:
        run = ComplexRunner(stages.user_graph, program)
    spare = [np.empty(v.shape, v.dtype) for v, _ in stages.user_graph.updates]
    for _ in range(WARM_CALLS):
        run(sizes, arrays, values, spare)
    before = executable.laps()
    calls, end = 0, time.perf_counter() + seconds
    while not calls or time.perf_counter() < end:
        run(sizes, arrays, values, spare)
        calls += 1
    laps = [
        Lap(after[0] - start[0], after[1] - start[1])
        for after, start in zip(executable.laps(), before, strict=True)
    ]
    return laps, calls


def checked_seconds(name: str, seconds: Any) -> float:
    """A time to measure for; ParameterError (E404) for what is none, or has no end."""
    real = isinstance(seconds, int | float | np.integer | np.floating)
    if not real or isinstance(seconds, bool) or not 0 <= seconds < np.inf:
        raise ParameterError(
            f"{name}: seconds={seconds!r:.60}",
            code="E404",
            source=current_source(),
            fix="give a finite number >= 0",
        )
    return float(seconds)


def format_profile(program: Program, sizes: Mapping[str, int], laps: list[Lap], calls: int) -> str:
    """One row a step: its share, time a call, rate, and its row of `kernels()`."""
    whole = sum(lap.nanoseconds for lap in laps)
    shown = ", ".join(f"{name} = {value}" for name, value in sizes.items())
    head = f"profile of {program.name}: {format_time(whole / calls)} a call"
    lines = [f"{head}, {calls} calls{', ' + shown if shown else ''}"]
    for lap, step, row in zip(laps, program.all_steps, summary(program).splitlines(), strict=True):
        share = 100 * lap.nanoseconds / max(whole, 1)
        times = f"{lap.runs // calls} x" if lap.runs > calls else ""
        speed = rate(program, step, sizes, lap)
        cells = f"{share:5.1f} %  {format_time(lap.nanoseconds / calls):>8}  {times:>7}"
        lines.append(f"{cells}  {speed:>13}  {row}")
    return "\n".join(lines)


def rate(program: Program, step: Step, sizes: Mapping[str, int], lap: Lap) -> str:
    """Arithmetic of a product; of a kernel the bytes of the buffers it is given, each once."""
    if not lap.nanoseconds:
        return ""
    match step:
        case Contraction():
            work = _product((2, step.m, step.n, step.k, *step.batch), sizes)
            return "" if work is None else f"{work * lap.runs / lap.nanoseconds:.1f} GFLOP/s"
        case KernelCall():
            moved = 0
            for name in dict.fromkeys(step.arguments):
                buffer = program.buffers[name]
                size = _product((buffer.dtype.itemsize, *buffer.shape), sizes)
                if size is None:
                    return ""
                moved += size
            return f"{moved * lap.runs / lap.nanoseconds:.1f} GB/s"
    return ""


def _product(factors: tuple[Size, ...], sizes: Mapping[str, int]) -> int | None:
    """None where a size is known only while the program runs."""
    result = 1
    for factor in factors:
        if not symbols_of(factor) <= sizes.keys():
            return None
        result *= evaluate(factor, sizes)
    return result


def format_time(nanoseconds: float) -> str:
    for unit, width in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if nanoseconds >= width:
            return f"{nanoseconds / width:.3g} {unit}"
    return f"{nanoseconds:.0f} ns"
