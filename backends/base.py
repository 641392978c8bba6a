"""The Backend protocol: what a backend gets and what it gives back."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np

from graphc.loops.ir import Program

# run(arrays): arrays for all buffers that are not temporaries, in the program's buffer order.
# Raises loops.ir.Fault if a check fails; nothing but outputs, updates and temporaries is written.
BoundProgram = Callable[[Sequence[np.ndarray]], None]


class Executable(Protocol):
    """A compiled program. Immutable; `bind` and the bound program may be used by any thread."""

    @property
    def texts(self) -> Mapping[str, str]:
        """What people may look at, by kind: `llvm`, `asm`, `source`; made on request."""
        ...

    def kernel_source(self, position: int) -> str:
        """The generated text of one kernel of the program."""
        ...

    def bind(self, sizes: Sequence[int], temporaries: Sequence[np.ndarray]) -> BoundProgram:
        """A program for fixed sizes.

        sizes: values of `program.sizes`, in order. temporaries: dense arrays (dtype and shape of
        the buffer, at these sizes) for the buffers of role temporary, in the program's buffer
        order; they may overlap as the memory plan allows. A bound program is not re-entrant.
        """
        ...


class Backend(Protocol):
    """One folder under graphc.backends provides one of these."""

    name: str

    def compile(self, program: Program, *, threads: int = 1) -> Executable: ...
