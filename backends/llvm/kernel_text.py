"""What an emitted kernel is: its functions, its scratch memory, and how its work may be divided."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from graphc.backends.llvm.text import FunctionText
from graphc.shapes import Size


class Division(NamedTuple):
    """A function of a range: how many units, how much work all are, in the kernel's sizes."""

    units: Size
    work: Size
    grain: int


class KernelText(NamedTuple):
    """functions: named @KERNEL, see `named`, and what it calls. area: bytes of scratch memory, in
    the kernel's sizes; thread_area: of each thread, before the others. division: of a function of
    a range, which gets the pointers, the sizes, and, with a thread_area, its beginning and the
    bytes of one thread. divides: whether it takes a number of threads.
    """

    functions: tuple[FunctionText, ...]
    area: Size
    thread_area: Size = 0
    division: Division | None = None
    divides: bool = False

    @property
    def text(self) -> str:
        return "\n".join(function.text for function in self.functions)

    def named(self, name: str) -> list[FunctionText]:
        return renamed(self.functions, name)

    def text_named(self, name: str) -> str:
        return self.text.replace("@KERNEL", f"@{name}")


def renamed(functions: Sequence[FunctionText], name: str) -> list[FunctionText]:
    """Functions @KERNEL as functions of that name."""
    return [replace(one, text=one.text.replace("@KERNEL", f"@{name}")) for one in functions]
