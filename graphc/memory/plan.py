"""MemoryPlan: where each temporary lies in one arena, and how large the arena is.

Liveness is read off the steps. Temporaries share slots when their lives do not overlap; a slot's
size is an expression in the symbolic sizes, so one plan serves every value of them. A kernel may
write its result over an input that dies there, if it reads each element no later than it writes
the element at the same position.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

import numpy as np

from graphc.lapack import ROUTINES
from graphc.loops.epilogues import epilogue_at
from graphc.loops.ir import (
    Accumulate,
    Branch,
    Buffer,
    Contraction,
    For,
    HostCall,
    If,
    IndexCheck,
    Kernel,
    KernelCall,
    Lapack,
    Let,
    Loop,
    Program,
    Statement,
    Step,
    Store,
    While,
    bodies_of,
    flat_steps,
)
from graphc.scalar.expr import Expr, Load, walk
from graphc.shapes import (
    Size,
    ceil_div,
    dim_max,
    evaluate,
    size_product,
    size_sum,
    symbols_of,
)

ALIGNMENT = 64  # bytes: a cache line, and the widest vector register


@dataclass(frozen=True, slots=True)
class Life:
    """Steps of the first write and the last use of a temporary, both included."""

    first: int
    last: int


@dataclass(eq=False)
class Slot:
    """A piece of the arena, used by one temporary after another."""

    size: Size  # bytes, a multiple of the alignment
    turn: int = 0  # how many times memory was given out before it was given to the last holder
    held: list[str] = field(default_factory=list)


class Slots:
    """The arena while it is planned: which slots are free at a step, by size."""

    def __init__(self) -> None:
        self.all: list[Slot] = []
        self.free: dict[Size, list[Slot]] = {}
        self.busy: list[tuple[int, int, Slot]] = []  # a heap by the step after which it is free
        self.turn = 0

    def hold(self, slot: Slot, name: str, until: int) -> None:
        """Give a slot to a temporary, until a step."""
        self.turn += 1
        slot.turn = self.turn
        slot.held.append(name)
        heappush(self.busy, (until, slot.turn, slot))

    def take(self, size: Size, position: int) -> Slot:
        """The best free slot: one of exactly this size, else one that can be compared, else new."""
        while self.busy and self.busy[0][0] < position:
            _, turn, slot = heappop(self.busy)
            if slot.turn == turn:  # else another temporary took it over in place
                self.free.setdefault(slot.size, []).append(slot)
        chosen = self._choose(size)
        if chosen is None:
            slot = Slot(size)
            self.all.append(slot)
            return slot
        slots = self.free[chosen]
        slot = slots.pop()
        if not slots:
            del self.free[chosen]
        if slot.size != size:
            slot.size = dim_max(slot.size, size)
        return slot

    def _choose(self, size: Size) -> Size | None:
        """The size of the free slots to take from; None for a new slot."""
        if size in self.free:
            return size
        fitting = [other for other in self.free if _covers(other, size)]
        static = [other for other in fitting if isinstance(other, int)]
        if static:
            return min(static)
        if fitting:
            return fitting[0]
        return next((other for other in reversed(self.free) if _covers(size, other)), None)


def _covers(larger: Size, smaller: Size) -> bool:
    """Whether the one is surely as large as the other. Sizes of other symbols hardly are, and
    are not asked: a proof takes long."""
    return symbols_of(smaller) <= symbols_of(larger) and dim_max(larger, smaller) == larger


@dataclass(frozen=True)
class MemoryPlan:
    """offsets: byte offset in the arena of each temporary; peak: bytes of the arena.

    in_place: temporary -> the input whose memory it takes over. naive: bytes without any reuse.
    """

    offsets: Mapping[str, Size]
    sizes: Mapping[str, Size]
    lives: Mapping[str, Life]
    in_place: Mapping[str, str]
    peak: Size
    naive: Size
    slots: tuple[tuple[Size, tuple[str, ...]], ...]

    def layout(self, bindings: Mapping[str, int]) -> tuple[dict[str, int], int]:
        """The offset of each temporary and the bytes of the arena, for given sizes."""
        offsets: dict[str, int] = {}
        known: dict[Size, int] = {}
        offset = 0
        for size, names in self.slots:
            if size not in known:
                known[size] = evaluate(size, bindings)
            offsets.update(dict.fromkeys(names, offset))
            offset += known[size]
        return offsets, offset

    def live_bytes(self, bindings: Mapping[str, int]) -> int:
        """The most bytes of temporaries alive at one step, for given sizes: a lower bound."""
        last_step = max((life.last for life in self.lives.values()), default=-1)
        change = [0] * (last_step + 2)
        for name, life in self.lives.items():
            size = evaluate(self.sizes[name], bindings)
            start = life.first + (1 if name in self.in_place else 0)
            change[min(start, life.last + 1)] += size
            change[life.last + 1] -= size
        return max(np.cumsum(change).tolist(), default=0)


def plan_memory(program: Program) -> MemoryPlan:
    """The plan of a program; linear in the steps times the number of sizes of free slots."""
    lives = temporaries_lives(program)
    sizes = {name: padded_bytes(program.buffers[name]) for name in lives}
    born: dict[int, list[str]] = {}
    for name, life in lives.items():
        born.setdefault(life.first, []).append(name)
    slots = Slots()
    slot_of: dict[str, Slot] = {}
    donors = Donors(program, lives, sizes)
    steps = program.all_steps
    for position, step in enumerate(steps):
        before = steps[position - 1] if position else None
        # The step may be the epilogue of a product, whose operands are read in between.
        donors.kept = {before.a, before.b} if isinstance(before, Contraction) else set()
        for name in born.get(position, ()):
            donor = donors.find(step, name, position)
            slot = slots.take(sizes[name], position) if donor is None else slot_of[donor]
            slots.hold(slot, name, lives[name].last)
            slot_of[name] = slot
    offsets, peak = _lay_out(slots.all)
    return MemoryPlan(
        {name: offsets[id(slot)] for name, slot in slot_of.items()},
        sizes,
        lives,
        donors.found,
        peak,
        size_sum(list(sizes.values())),
        tuple((slot.size, tuple(slot.held)) for slot in slots.all),
    )


def padded_bytes(buffer: Buffer) -> Size:
    """Bytes of a buffer, rounded up to the alignment."""
    size = size_product(buffer.shape) * buffer.dtype.itemsize
    return ceil_div(size, ALIGNMENT) * ALIGNMENT


def temporaries_lives(program: Program) -> dict[str, Life]:
    """First write and last use of each temporary, by position among all steps.

    What was written before a loop and is used in it lives until the loop ends; so does what the
    loop itself holds: carries and stacked outputs. The operands of a product live until its
    epilogue has run.
    """
    lives: dict[str, Life] = {}

    def use(name: str, position: int, loops: Sequence[Life]) -> None:
        if program.buffers[name].role != "temporary":
            return
        first = lives[name].first if name in lives else position
        last = max(position, lives[name].last) if name in lives else position
        for loop in loops:
            if first <= loop.first:
                last = max(last, loop.last)
        lives[name] = Life(first, last)

    def visit(steps: Sequence[Step], start: int, loops: tuple[Life, ...]) -> int:
        position = start
        for number, step in enumerate(steps):
            if isinstance(step, Contraction) and epilogue_at(steps, number) is not None:
                for name in (step.a, step.b):
                    use(name, position + 1, loops)
            if isinstance(step, Loop | While):
                end = position - 1 + sum(1 for _ in flat_steps([step]))
                inside = (*loops, Life(position, end))
                for name in buffers_of(step):
                    use(name, position, inside)
                position += 1
                for body in bodies_of(step):
                    position = visit(body, position, inside)
                continue
            for name in buffers_of(step):
                use(name, position, loops)
            position += 1
            for body in bodies_of(step):
                position = visit(body, position, loops)
        return position

    visit(program.steps, 0, ())
    return lives


def buffers_of(step: Step) -> tuple[str, ...]:
    match step:
        case KernelCall():
            return step.arguments
        case Contraction():
            return (step.out, step.a, step.b)
        case IndexCheck():
            return (step.buffer,)
        case HostCall():
            return tuple(name for name, _ in (*step.outputs, *step.inputs))
        case Lapack():
            return (*step.outputs, *step.inputs, *step.workspace)
        case Loop():
            held = [name for c in step.carries for name in (c.initial, c.final, *c.spare)]
            return (*held, *(buffer for _, buffer in step.slices))
        case While():
            held = [name for c in step.carries for name in (c.initial, c.final, *c.spare)]
            return (step.holds, *held)
        case Branch():
            return (step.selector, *step.out)


def _lay_out(slots: Sequence[Slot]) -> tuple[dict[int, Size], Size]:
    offsets: dict[int, Size] = {}
    offset: Size = 0
    for slot in slots:
        offsets[id(slot)] = offset
        offset = offset + slot.size
    return offsets, offset


# --- in place --------------------------------------------------------------------------------


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
