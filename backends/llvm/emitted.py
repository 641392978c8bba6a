"""What becomes of a program: functions, as text."""

from typing import NamedTuple

from graphc.backends.llvm.jit import Module
from graphc.backends.llvm.modules import heads, modules_of
from graphc.backends.llvm.text import FunctionText, module_text
from graphc.shapes import Size


class Emitted(NamedTuple):
    """The functions of a program, and the routines among them that are no program's own, by name.
    kernels: text by kernel name. areas: for each call that needs scratch memory, how many bytes
    once, and how many for each thread. local: temporaries without memory of their own.
    """

    functions: tuple[FunctionText, ...]
    shared: dict[str, FunctionText]
    kernels: dict[str, str]
    areas: tuple[tuple[Size, Size], ...]
    local: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """All of it as one module."""
        return module_text([*self.shared.values(), *self.functions])

    @property
    def modules(self) -> list[Module]:
        """The program's own functions, and what they need to know of the shared ones."""
        return modules_of(self.functions, heads(self.shared.values()))
