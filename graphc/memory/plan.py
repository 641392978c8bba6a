"""MemoryPlan: where each temporary lies in one arena, and how large the arena is.

Liveness is read off the steps. Temporaries share slots when their lives do not overlap; a slot's
size is an expression in the symbolic sizes, so one plan serves every value of them. A kernel may
write its result over an input that dies there, if it reads each element no later than it writes
the element at the same position.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from graphc.loops.ir import (
    Accumulate,
    Buffer,
    Contraction,
    For,
    If,
    IndexCheck,
    Kernel,
    KernelCall,
    Let,
    Loop,
    Program,
    Statement,
    Step,
    Store,
    flat_steps,
)
from graphc.scalar.expr import Expr, Load, walk
from graphc.shapes import Size, ceil_div, dim_max, evaluate, size_product, size_sum

ALIGNMENT = 64  # bytes: a cache line, and the widest vector register


@dataclass(frozen=True, slots=True)
class Life:
    """Steps of the first write and the last use of a temporary, both included."""

    first: int
    last: int


@dataclass
class Slot:
    """A piece of the arena, used by one temporary after another."""

    size: Size  # bytes, a multiple of the alignment
    free_after: int
    held: list[str] = field(default_factory=list)


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
    """The plan of a program; linear in the steps times the number of open slots."""
    lives = temporaries_lives(program)
    sizes = {name: padded_bytes(program.buffers[name]) for name in lives}
    born: dict[int, list[str]] = {}
    for name, life in lives.items():
        born.setdefault(life.first, []).append(name)
    slots: list[Slot] = []
    slot_of: dict[str, Slot] = {}
    in_place: dict[str, str] = {}
    for position, step in enumerate(program.all_steps):
        for name in born.get(position, ()):
            donor = _donor(program, step, name, position, lives, sizes, in_place)
            if donor is not None:
                slot = slot_of[donor]
                in_place[name] = donor
            else:
                slot = _free_slot(slots, sizes[name], position)
            slot.free_after = lives[name].last
            slot.held.append(name)
            slot_of[name] = slot
    offsets, peak = _lay_out(slots)
    return MemoryPlan(
        {name: offsets[id(slot)] for name, slot in slot_of.items()},
        sizes,
        lives,
        in_place,
        peak,
        size_sum(list(sizes.values())),
        tuple((slot.size, tuple(slot.held)) for slot in slots),
    )


def padded_bytes(buffer: Buffer) -> Size:
    """Bytes of a buffer, rounded up to the alignment."""
    size = size_product(buffer.shape) * buffer.dtype.itemsize
    return ceil_div(size, ALIGNMENT) * ALIGNMENT


def temporaries_lives(program: Program) -> dict[str, Life]:
    """First write and last use of each temporary, by position among all steps.

    What was written before a loop and is used in it lives until the loop ends; so does what the
    loop itself holds: carries and stacked outputs.
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
        for step in steps:
            if isinstance(step, Loop):
                end = position + sum(1 for _ in flat_steps(step.body))
                inside = (*loops, Life(position, end))
                for name in buffers_of(step):
                    use(name, position, inside)
                position = visit(step.body, position + 1, inside)
                continue
            for name in buffers_of(step):
                use(name, position, loops)
            position += 1
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
        case Loop():
            held = [name for c in step.carries for name in (c.initial, c.final, *c.spare)]
            return (*held, *(buffer for _, buffer in step.slices))


def _free_slot(slots: list[Slot], size: Size, position: int) -> Slot:
    """The best free slot: one of exactly this size, else one that can be compared, else new."""
    free = [slot for slot in slots if slot.free_after < position]
    for slot in free:
        if slot.size == size:
            return slot
    fitting = [slot for slot in free if dim_max(slot.size, size) == slot.size]
    static = [slot for slot in fitting if isinstance(slot.size, int)]
    if static:
        return min(static, key=lambda slot: slot.size if isinstance(slot.size, int) else 0)
    if fitting:
        return fitting[0]
    growable = [slot for slot in free if dim_max(slot.size, size) == size]
    if growable:
        growable[-1].size = size
        return growable[-1]
    slot = Slot(size, -1)
    slots.append(slot)
    return slot


def _lay_out(slots: Sequence[Slot]) -> tuple[dict[int, Size], Size]:
    offsets: dict[int, Size] = {}
    offset: Size = 0
    for slot in slots:
        offsets[id(slot)] = offset
        offset = offset + slot.size
    return offsets, offset


# --- in place --------------------------------------------------------------------------------


def _donor(
    program: Program,
    step: Step,
    name: str,
    position: int,
    lives: Mapping[str, Life],
    sizes: Mapping[str, Size],
    in_place: Mapping[str, str],
) -> str | None:
    """A temporary that dies at this kernel and whose memory the result may take over."""
    if not isinstance(step, KernelCall):
        return None
    taken = set(in_place.values())
    for candidate in dict.fromkeys(step.arguments):
        if (
            candidate in lives
            and candidate != name
            and candidate not in taken
            and lives[candidate].last == position
            and lives[candidate].first < position
            and sizes[candidate] == sizes[name]
            and may_overwrite(step, candidate, name)
        ):
            return candidate
    return None


def may_overwrite(call: KernelCall, source: str, target: str) -> bool:
    """Whether writing `target` over `source` cannot destroy an element that is still to be read.

    Holds if both are seen under one shape by one parameter each, every access to either is at one
    and the same index, and no read of the source comes after the write of the target.
    """
    kernel = call.kernel
    read = [p for p, a in zip(kernel.parameters, call.arguments, strict=True) if a == source]
    written = [p for p, a in zip(kernel.parameters, call.arguments, strict=True) if a == target]
    if len(read) != 1 or len(written) != 1 or read[0].written:
        return False
    if read[0].shape != written[0].shape or read[0].dtype.itemsize != written[0].dtype.itemsize:
        return False
    indices: set[tuple[Expr, ...]] = set()
    stored = False
    for buffer, index, is_store in accesses_in_order(kernel):
        if buffer not in (read[0].name, written[0].name):
            continue
        if stored and buffer == read[0].name:
            return False
        stored = stored or is_store
        indices.add(index)
    return len(indices) == 1


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
