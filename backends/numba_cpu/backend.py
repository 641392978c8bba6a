"""The Numba backend for CPUs: Program -> readable Python -> native code."""

import threading
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from graphc.backends.base import BoundProgram, CallLayout
from graphc.backends.blas_threads import BlasThreads
from graphc.backends.numba_cpu.compile import (
    CompiledKernel,
    compiled_kernel,
    load_function,
    may_run_parallel,
    on_threads,
)
from graphc.backends.numba_cpu.driver import driver_source, kernel_names
from graphc.backends.numba_cpu.python_source import can_split, kernel_source
from graphc.backends.numba_cpu.runtime import check, host_calls, lapack, row, strided, view
from graphc.backends.numba_cpu.work import kernel_work
from graphc.loops.ir import Contraction, Fault, For, Kernel, KernelCall, Lapack, Program
from graphc.loops.printer import kernel_key, one_line
from graphc.records import dataclass
from graphc.shapes import evaluate

PARALLEL_WORK = 1 << 18  # additions below which threads cost more than they save


@dataclass(frozen=True)
class _KernelText:
    kernel: Kernel
    name: str
    source: str
    key: str
    splits: bool  # has an outermost loop that threads may share

    def compiled(self, parallel: bool) -> CompiledKernel:
        return compiled_kernel(self.key, self.source, self.name, self.kernel, parallel=parallel)


class NumbaExecutable:
    """Kernels are compiled by the first `bind` that calls them."""

    origin = "compiled by the first call"

    def __init__(self, program: Program, threads: int) -> None:
        self.program = program
        self.threads = threads
        names = kernel_names(program)
        self.kernels = [self._text(kernel, names[kernel.name]) for kernel in program.kernels]
        self.driver = driver_source(program)
        self._lock = threading.Lock()
        self._bind: Callable[..., BoundProgram] | None = None

    def _text(self, kernel: Kernel, name: str) -> _KernelText:
        split = self.threads > 1
        source = kernel_source(kernel, name, split=split)
        splits = split and any(
            isinstance(statement, For) and can_split(statement) for statement in kernel.body
        )
        return _KernelText(kernel, name, source, f"{split} {kernel_key(kernel)}", splits)

    @property
    def texts(self) -> Mapping[str, str]:
        return {"source": self.source}

    @property
    def source(self) -> str:
        """The whole program as one Python module."""
        head = [
            f"# {one_line(self.program.name)}",
            "# Each kernel is compiled by numba.njit(nogil=True, error_model='numpy').",
            "import numpy as np",
            "from numba import prange",
            "from graphc.backends.numba_cpu.functions import *",
            "from graphc.backends.numba_cpu.runtime import (",
            "    check, host_calls, lapack, row, strided, view",
            ")",
        ]
        texts = ["\n".join(head) + "\n", *(text.source for text in self.kernels), self.driver]
        return "\n\n".join(texts)

    def kernel_source(self, position: int) -> str:
        return self.kernels[position].source

    def direct_call(self, layout: CallLayout) -> None:
        """There is none."""

    def bind(self, sizes: Sequence[int], temporaries: Sequence[np.ndarray]) -> BoundProgram:
        callables = [self._callable(text, sizes) for text in self.kernels]
        run = self._bind_function()(sizes, temporaries, callables)
        steps = self.program.all_steps
        if not any(isinstance(step, Contraction | Lapack) for step in steps):
            return run
        limit = BlasThreads(self.threads, lapack=any(isinstance(step, Lapack) for step in steps))

        def limited(arrays: Sequence[np.ndarray]) -> None:
            with limit:
                run(arrays)

        return limited

    def _callable(self, text: _KernelText, sizes: Sequence[int]) -> Callable[..., None]:
        """Native code for one kernel: on threads if some call of it has enough work."""
        parallel = text.splits and may_run_parallel() and self._work(text, sizes) >= PARALLEL_WORK
        dispatcher = text.compiled(parallel).dispatcher()
        return on_threads(dispatcher, self.threads) if parallel else dispatcher

    def _work(self, text: _KernelText, sizes: Sequence[int]) -> int:
        # What loops count is not known yet; a small number keeps such kernels serial.
        bound = dict.fromkeys(self.program.counts, 1)
        bound |= dict(zip(self.program.sizes, sizes, strict=True))
        return max(
            kernel_work(text.kernel, [evaluate(size, bound) for size in step.sizes])
            for step in self.program.all_steps
            if isinstance(step, KernelCall) and step.kernel.name == text.kernel.name
        )

    def _bind_function(self) -> Callable[..., BoundProgram]:
        with self._lock:
            if self._bind is None:
                namespace = {
                    "np": np,
                    "view": view,
                    "strided": strided,
                    "check": check,
                    "row": row,
                    "lapack": lapack,
                    "Fault": Fault,
                    "host": host_calls(self.program),
                }
                self._bind = load_function(self.driver, "bind", namespace)
            return self._bind


class NumbaBackend:
    name = "numba_cpu"

    def compile(
        self, program: Program, *, threads: int | None = None, cache: bool = True
    ) -> NumbaExecutable:
        """One thread unless more are asked for: parallel code takes Numba seconds to compile."""
        return NumbaExecutable(program, 1 if threads is None else threads)


def make_backend() -> NumbaBackend:
    return NumbaBackend()
