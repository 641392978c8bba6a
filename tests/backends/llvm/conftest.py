"""Running hand-written kernels: one kernel as a program, its buffers given as arrays."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from graphc.backends.llvm.backend import make_backend
from graphc.loops.ir import Buffer, Kernel, KernelCall, Program
from graphc.shapes import Dim

Run = Callable[[Kernel, Mapping[str, np.ndarray], Mapping[str, int]], None]


def program_of(kernel: Kernel) -> Program:
    """A program that calls one kernel; written parameters are its outputs."""
    buffers = {
        p.name: Buffer(p.name, p.dtype, p.shape, "output" if p.written else "input")
        for p in kernel.parameters
    }
    sizes = tuple(Dim.symbol(name) for name in kernel.sizes)
    return Program(
        kernel.name,
        kernel.sizes,
        buffers,
        (KernelCall(kernel, tuple(buffers), sizes),),
        tuple(p.name for p in kernel.parameters if p.written),
    )


@pytest.fixture
def run() -> Run:
    """run(kernel, arrays by parameter, sizes by name), compiled once a kernel."""
    compiled = {}

    def run_kernel(
        kernel: Kernel, arrays: Mapping[str, np.ndarray], sizes: Mapping[str, int]
    ) -> None:
        if id(kernel) not in compiled:
            compiled[id(kernel)] = (kernel, make_backend().compile(program_of(kernel)))
        executable = compiled[id(kernel)][1]
        bound = executable.bind([sizes[name] for name in kernel.sizes], [])
        for parameter in kernel.parameters:
            array = arrays[parameter.name]
            assert array.dtype == parameter.dtype and array.flags.c_contiguous
        bound([arrays[p.name] for p in kernel.parameters])

    return run_kernel
