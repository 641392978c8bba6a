"""The loop interpreter as a backend: slow, and every access checked."""

from collections.abc import Mapping, Sequence

import numpy as np

from graphc.backends.base import BoundProgram, CallLayout
from graphc.loops.interpreter import run_program
from graphc.loops.ir import INNER_ROLES, Program
from graphc.loops.printer import format_kernel, format_program


class InterpreterExecutable:
    origin = "interpreted"

    threads = 1

    def __init__(self, program: Program) -> None:
        self.program = program

    @property
    def texts(self) -> Mapping[str, str]:
        return {"loops": format_program(self.program)}

    def kernel_source(self, position: int) -> str:
        return format_kernel(self.program.kernels[position])

    def direct_call(self, layout: CallLayout) -> None:
        """There is none."""

    def bind(self, sizes: Sequence[int], temporaries: Sequence[np.ndarray]) -> BoundProgram:
        program = self.program
        bound = dict(zip(program.sizes, sizes, strict=True))
        roles = {name: buffer.role for name, buffer in program.buffers.items()}
        given = [name for name, role in roles.items() if role not in INNER_ROLES]
        mine = [name for name, role in roles.items() if role == "temporary"]
        own = dict(zip(mine, temporaries, strict=True))

        def run(arrays: Sequence[np.ndarray]) -> None:
            named = zip(given, arrays, strict=True)
            run_program(program, bound, own | dict(named))

        return run


class InterpreterBackend:
    name = "interpreter"

    def compile(
        self, program: Program, *, threads: int | None = None, cache: bool = True
    ) -> InterpreterExecutable:
        """Iterations run one after the other, and there is nothing to keep."""
        return InterpreterExecutable(program)


def make_backend() -> InterpreterBackend:
    return InterpreterBackend()
