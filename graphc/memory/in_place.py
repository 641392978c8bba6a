"""Which results of a kernel may be written over one of its inputs.

A kernel may write its result over an input that dies there, if it reads each element no later than
it writes the element at the same position.
"""

import math
from collections.abc import Iterator, Mapping, Sequence

from graphc.lapack import ROUTINES
from graphc.loops.ir import (
    Accumulate,
    For,
    If,
    Kernel,
    KernelCall,
    Lapack,
    Let,
    Program,
    Statement,
    Step,
    Store,
)
from graphc.memory.lives import Life
from graphc.records import dataclass
from graphc.scalar.expr import Expr, Load, walk
from graphc.shapes import Size


class Donors:
    """Finds temporaries that die at a kernel and whose memory one of its results may take over.

    found: result -> donor.
    """

    def __init__(
        self, program: Program, lives: Mapping[str, Life], sizes: Mapping[str, Size]
    ) -> None:
        self.program = program
        self.lives = lives
        self.sizes = sizes
        self.found: dict[str, str] = {}
        self.taken: set[str] = set()
        self.kept: set[str] = set()  # by the step that is looked at
        self.accesses: dict[int, dict[str, list[Access]]] = {}  # by kernel, by parameter

    def find(self, step: Step, name: str, position: int) -> str | None:
        """The donor for `name`, which is born at this step."""
        if not isinstance(step, KernelCall | Lapack):
            return None
        candidates = step.arguments if isinstance(step, KernelCall) else step.inputs
        for candidate in dict.fromkeys(candidates):
            if (
                candidate in self.lives
                and candidate != name
                and candidate not in self.taken
                and candidate not in self.kept
                and self.lives[candidate].last == position
                and self.lives[candidate].first < position
                and self.sizes[candidate] == self.sizes[name]
                and (
                    self.may_overwrite(step, candidate, name)
                    if isinstance(step, KernelCall)
                    else starts_as(step, candidate, name)
                )
            ):
                self.found[name] = candidate
                self.taken.add(candidate)
                return candidate
        return None

    def may_overwrite(self, call: KernelCall, source: str, target: str) -> bool:
        """Whether writing `target` over `source` cannot destroy an element that is read later.

        Holds if both are seen under one shape by one parameter each, every access to either is at
        one and the same index, and no read of the source comes after the write of the target.
        """
        parameters = call.kernel.parameters
        read = [p for p, a in zip(parameters, call.arguments, strict=True) if a == source]
        written = [p for p, a in zip(parameters, call.arguments, strict=True) if a == target]
        if len(read) != 1 or len(written) != 1 or read[0].written:
            return False
        if read[0].shape != written[0].shape:
            return False
        if read[0].dtype.itemsize != written[0].dtype.itemsize:
            return False
        accesses = self.accesses_of(call.kernel)
        reads, writes = accesses.get(read[0].name, []), accesses.get(written[0].name, [])
        first_write = min((a.place for a in writes if a.is_store), default=math.inf)
        if any(access.place > first_write for access in reads):
            return False
        return len({access.index for access in (*reads, *writes)}) == 1

    def accesses_of(self, kernel: Kernel) -> Mapping[str, list["Access"]]:
        """All accesses of a kernel, by parameter."""
        found = self.accesses.get(id(kernel))
        if found is None:
            found = self.accesses[id(kernel)] = {}
            for place, (buffer, index, is_store) in enumerate(accesses_in_order(kernel)):
                found.setdefault(buffer, []).append(Access(place, index, is_store))
        return found


def starts_as(step: Lapack, source: str, target: str) -> bool:
    """Whether an output starts as a copy of an input that has no other part in the step."""
    routine = ROUTINES[step.routine]
    if target not in step.outputs or step.inputs.count(source) > 1:
        return False
    start = routine.outputs[step.outputs.index(target)].start
    return start is not None and step.inputs[start] == source


@dataclass(frozen=True, slots=True)
class Access:
    """A load or store; place: its number in the order of the text."""

    place: int
    index: tuple[Expr, ...]
    is_store: bool


def accesses_in_order(kernel: Kernel) -> Iterator[tuple[str, tuple[Expr, ...], bool]]:
    """(parameter, index, is a store) of all accesses, in the order of the text."""

    def loads(expression: Expr) -> Iterator[tuple[str, tuple[Expr, ...], bool]]:
        for item in walk(expression):
            if isinstance(item, Load):
                yield item.buffer, item.index, False

    def visit(body: Sequence[Statement]) -> Iterator[tuple[str, tuple[Expr, ...], bool]]:
        for item in body:
            match item:
                case For(body=inner) | If(body=inner):
                    if isinstance(item, If):
                        yield from loads(item.condition)
                    yield from visit(inner)
                case Let(value=value):
                    yield from loads(value)
                case Accumulate(value=value, position=where):
                    yield from loads(value)
                    if where is not None:
                        yield from loads(where)
                case Store(buffer=buffer, index=index, value=value):
                    for part in index:
                        yield from loads(part)
                    yield from loads(value)
                    yield buffer, index, True
                case _:
                    pass

    return visit(kernel.body)
