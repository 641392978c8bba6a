"""Which results of a kernel or a loop may be written over one of its inputs.

A kernel may write its result over an input that dies there, if it reads each element no later than
it writes the element at the same position. A loop may write rows over the rows that it reads in
the same step, if a kernel of its body may do so with these rows.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import combinations

from graphc.lapack import ROUTINES
from graphc.loops.epilogues import extents_of, with_sizes
from graphc.loops.ir import (
    Accumulate,
    For,
    If,
    Kernel,
    KernelCall,
    Lapack,
    Let,
    Loop,
    Program,
    Statement,
    Step,
    Store,
    flat_steps,
)
from graphc.loops.overwritten import without_copy
from graphc.memory.lives import Life, buffers_of
from graphc.records import dataclass
from graphc.scalar.expr import Expr, Index, Load, walk
from graphc.shapes import Dim, Size, symbols_of


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
        candidates: Sequence[str] = ()
        end = position
        match step:
            case KernelCall():
                candidates = step.arguments
            case Lapack():
                candidates = step.inputs
            case Loop():
                end += sum(1 for _ in flat_steps(step.body))
                if self.lives[name].last > end:  # else a loop around this one may end here, too
                    candidates = [buffer for _, buffer in step.slices]
        for candidate in dict.fromkeys(candidates):
            if (
                candidate in self.lives
                and candidate != name
                and candidate not in self.taken
                and candidate not in self.kept
                and self.lives[candidate].last == end
                and self.lives[candidate].first < position
                and self.sizes[candidate] == self.sizes[name]
                and self._may_take(step, candidate, name)
            ):
                self.found[name] = candidate
                self.taken.add(candidate)
                return candidate
        return None

    def _may_take(self, step: Step, source: str, target: str) -> bool:
        match step:
            case KernelCall():
                return self.may_overwrite(step, source, target)
            case Lapack():
                return starts_as(step, source, target)
            case Loop():
                return self._may_overwrite_rows(step, source, target)
        return False

    def _may_overwrite_rows(self, loop: Loop, source: str, target: str) -> bool:
        """Whether one kernel alone reads the rows of the source, and is the first to write those of
        the target.

        Rows without a loop over their elements are left alone: steps of such loops may run several
        times.
        """
        rows = {buffer: view for view, buffer in loop.slices}
        held = [name for name in buffers_of(loop) if name in (source, target)]
        if len(held) > 2 or not {source, target} <= rows.keys():
            return False
        read, written = rows[source], rows[target]
        used = [name for step in loop.body for name in names_in(step)]
        if used.count(read) != 1 or not {source, target}.isdisjoint(used):
            return False
        first = next(step for step in loop.body if not {read, written}.isdisjoint(names_in(step)))
        return (
            isinstance(first, KernelCall)
            and {read, written} <= set(first.arguments)
            and all(isinstance(part, For) for part in first.kernel.body)
            and self.may_overwrite(first, read, written)
        )

    def may_overwrite(self, call: KernelCall, source: str, target: str) -> bool:
        """Whether writing `target` over `source` cannot destroy an element that is read later.

        Holds if both are seen under one shape by one parameter each, no iteration reaches the
        places of another, and no read of the source comes after the write of the target.
        """
        parameters = call.kernel.parameters
        read = [p for p, a in zip(parameters, call.arguments, strict=True) if a == source]
        written = [p for p, a in zip(parameters, call.arguments, strict=True) if a == target]
        if len(read) != 1 or len(written) != 1 or read[0].written or not written[0].written:
            return False
        if read[0].shape != written[0].shape:
            return False
        if read[0].dtype.itemsize != written[0].dtype.itemsize:
            return False
        if (read[0].name, written[0].name) == ("x", "out") and without_copy(call.kernel):
            return True  # it copies first, and then changes entries
        accesses = self.accesses_of(call.kernel)
        reads, writes = accesses.get(read[0].name, []), accesses.get(written[0].name, [])
        first_write = min((a.place for a in writes if a.is_store), default=math.inf)
        if any(access.place > first_write for access in reads):
            return False
        indices = {access.index for access in (*reads, *writes)}
        return len(indices) == 1 or _are_apart(call, indices)

    def accesses_of(self, kernel: Kernel) -> Mapping[str, list["Access"]]:
        """All accesses of a kernel, by parameter."""
        found = self.accesses.get(id(kernel))
        if found is None:
            found = self.accesses[id(kernel)] = {}
            for place, (buffer, index, is_store) in enumerate(accesses_in_order(kernel)):
                found.setdefault(buffer, []).append(Access(place, index, is_store))
        return found


def names_in(step: Step) -> Iterator[str]:
    """The buffers of a step and of all steps inside it."""
    return (name for one in flat_steps([step]) for name in buffers_of(one))


def _are_apart(call: KernelCall, indices: Collection[tuple[Expr, ...]]) -> bool:
    """Whether each iteration has places of its own: they are the same axes, each its own, moved by
    numbers, and two such moves differ by no less than an axis is long.

        read 0, 128, 256 + j, written 128, 0, 256 + j, j < 128
    """
    extents = extents_of(call.kernel.body)
    bound = dict(zip(call.kernel.sizes, call.sizes, strict=True))
    moves: dict[tuple[int, ...], None] = {}
    axes: set[tuple[str, ...]] = set()
    for index in indices:
        found = [_axis_and_move(part, extents, bound) for part in index]
        known = [one for one in found if one is not None]
        if len(known) < len(index):
            return False
        axes.add(tuple(axis for axis, _ in known))
        moves[tuple(move for _, move in known)] = None
    if len(axes) != 1:
        return False
    (names,) = axes
    if len(set(names)) < len(names) or set(names) != set(extents):
        return False
    if any(len(set(sizes)) > 1 for sizes in extents.values()):
        return False  # loops of several lengths over one axis
    lengths = [with_sizes(extents[name][0], bound) for name in names]
    return all(
        any(
            isinstance(length, int) and abs(a - b) >= length
            for a, b, length in zip(one, other, lengths, strict=True)
        )
        for one, other in combinations(moves, 2)
    )


def _axis_and_move(
    part: Expr, axes: Collection[str], bound: Mapping[str, Size]
) -> tuple[str, int] | None:
    """(axis, number) of an index that is the axis plus the number."""
    if not isinstance(part, Index):
        return None
    size = with_sizes(part.size, bound)
    for axis in symbols_of(size) & set(axes):
        move = size - Dim.symbol(axis)
        if isinstance(move, int):
            return axis, move
    return None


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
