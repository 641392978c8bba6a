"""Compiles expressions for tests of lowering: texts without source lines, values checked."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

import graphc as gc
from graphc.function import Function
from graphc.ir.tensor import Tensor
from graphc.loops.ir import Kernel, KernelCall, Program
from graphc.loops.printer import format_kernel, format_step, summary

SOURCES = re.compile(r" +\S+\.py:[\d,]+(, \S+\.py:[\d,]+)*$")


def compiled(inputs: Any, outputs: Any, updates: Any = None, optimize: bool = True) -> Function:
    """The function on the loop interpreter, every stage verified."""
    return gc.function(
        inputs,
        outputs,
        updates,
        backend="interpreter",
        optimize=optimize,
        check=True,
        on_unused_input="ignore",
    )


def program_of(inputs: Any, outputs: Any, updates: Any = None, optimize: bool = True) -> Program:
    program = compiled(inputs, outputs, updates, optimize).stages.program
    assert program is not None
    return program


def lines(text: str) -> list[str]:
    """Rows without the user's source lines."""
    return [SOURCES.sub("", row).rstrip() for row in text.splitlines()]


def kernel_lines(kernel: Kernel) -> list[str]:
    """Parameters and body of a kernel."""
    return lines(format_kernel(kernel))[1:]


def body_of(inputs: Any, outputs: Any, optimize: bool = True) -> list[str]:
    """The body of the one kernel that the outputs need."""
    program = program_of(inputs, outputs, optimize=optimize)
    (kernel,) = program.kernels
    return kernel_lines(kernel)[1:]


def step_lines(program: Program) -> list[str]:
    return lines("\n".join(format_step(step) for step in program.all_steps))


def summary_lines(program: Program) -> list[str]:
    return lines(summary(program))


def kernel_calls(program: Program) -> list[KernelCall]:
    return [step for step in program.all_steps if isinstance(step, KernelCall)]


SIZES: tuple[dict[str, int], ...] = (
    {"n": 5, "b": 2, "s": 3, "t": 6},
    {"n": 1, "b": 1, "s": 1, "t": 1},
    {},
)


def check_at_sizes(
    inputs: Sequence[Tensor], output: Tensor, shapes: Sequence[Sequence[int | str]]
) -> None:
    """`check_values` on random numbers, at some sizes, at size 1 and without elements."""
    rng = np.random.default_rng(7)
    for values in SIZES:
        sizes = [[values.get(n, 0) if isinstance(n, str) else n for n in s] for s in shapes]
        check_values(inputs, [output], [rng.normal(size=s).astype("float32") for s in sizes])


def check_values(
    inputs: Sequence[Tensor], outputs: Sequence[Tensor], arrays: Sequence[np.ndarray]
) -> None:
    """The loop interpreter agrees with the graph interpreter, optimised or not."""
    expected = gc.function(
        list(inputs), list(outputs), backend="reference", optimize=False, on_unused_input="ignore"
    )(*arrays)
    for optimize in (False, True):
        found = compiled(list(inputs), list(outputs), optimize=optimize)(*arrays)
        for one, other in zip(found, expected, strict=True):
            assert one.dtype == other.dtype and one.shape == other.shape
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
