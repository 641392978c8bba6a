"""Rematerialisation: values are computed a second time where that keeps less memory alive.

    h = tanh(t)                            h = tanh(t)
    ... much memory in use, h among it     ... h is gone
    g = d * (1 - h*h)                      h' = tanh(t);  g = d * (1 - h'*h')

Values come from kernels that cost little: elementwise ones, short reductions, movement; products,
convolutions, LAPACK and host calls are never repeated. The copy of a step has the same operands
and the same code, so that results are the same to the bit. Values that a loop or a branch reads
are kept as they are. Greedy: in each round the copy that saves most for what it costs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from graphc.loops.epilogues import epilogue_at
from graphc.loops.ir import (
    Branch,
    Buffer,
    KernelCall,
    Loop,
    Program,
    Step,
    While,
    flat_steps,
    written_buffers,
)
from graphc.memory.lives import buffers_of, padded_bytes
from graphc.memory.plan import MemoryPlan, plan_memory
from graphc.memory.recompute import Recomputing, renamed
from graphc.records import dataclass
from graphc.shapes import evaluate

LASTING = ("input", "variable", "constant", "output", "update")  # there until the call ends
DEEPEST = 8  # values that are computed again for the sake of one


@dataclass(frozen=True, slots=True)
class Copy:
    """Compute `names` (operands first) again before a step, for it and all steps behind it."""

    names: tuple[str, ...]
    before: int
    gain: float


def rematerialized(
    program: Program, values: Mapping[str, int], limit: int
) -> tuple[Program, MemoryPlan]:
    """A program with the same results whose arena has at most `limit` bytes at these sizes, or the
    smallest that was found."""
    plan = plan_memory(program)
    best = program, plan
    smallest = plan.layout(values)[1]
    recomputing = Recomputing(values)
    for number in range(4 * len(plan.lives) + 16):
        if smallest <= limit:
            break
        now = _State(program, plan, values, limit, recomputing)
        copy = now.best_copy()
        if copy is None:
            break
        program = now.with_copy(copy, number)
        plan = plan_memory(program)
        size = plan.layout(values)[1]
        if size < smallest:
            best, smallest = (program, plan), size
    return best


class _State:
    """A program in one round: who uses what, and how much is alive at each step."""

    def __init__(
        self,
        program: Program,
        plan: MemoryPlan,
        values: Mapping[str, int],
        limit: int,
        recomputing: Recomputing,
    ) -> None:
        self.program, self.plan, self.recomputing = program, plan, recomputing
        self.live = np.array(plan.live_at(values), np.float64)
        most = float(self.live.max(initial=0))
        self.threshold = min(float(limit), most - 1)
        self.excess = self._excess(self.live)
        self.bytes = {name: evaluate(size, values) for name, size in plan.sizes.items()}
        self.room = {b.name: evaluate(padded_bytes(b), values) for b in fresh(program)}
        self.producers: dict[str, KernelCall | None] = {}
        self.starts: list[int] = []  # the position of each step among all steps
        self.uses: dict[str, list[int]] = {}
        self.writers: dict[str, list[Step]] = {}
        self.held: set[str] = set()  # by loops and branches
        position = 0
        for number, step in enumerate(program.steps):
            self.starts.append(position)
            for one in flat_steps([step]):
                position += 1
                names = buffers_of(one)
                for name in dict.fromkeys(names):
                    uses = self.uses.setdefault(name, [])
                    if not uses or uses[-1] != number:
                        uses.append(number)
                for name in written_buffers(one):
                    self.writers.setdefault(name, []).append(one)
                if isinstance(step, Loop | While | Branch):
                    self.held.update(names)
        self.starts.append(position)

    def _excess(self, live: np.ndarray) -> float:
        return float(np.maximum(live - self.threshold, 0).sum())

    def best_copy(self) -> Copy | None:
        """The copy that saves most bytes beyond the limit, over time, for what it costs."""
        full = np.flatnonzero(self.live > self.threshold)
        if not full.size:
            return None
        found: Copy | None = None
        for name in self.plan.lives:
            if self.producer(name) is None:
                continue
            uses = self.uses[name]
            for earlier, later in pairwise(uses):
                before = self._insertion(later)
                begin, end = self.starts[earlier + 1], self.starts[before]
                if begin >= end or not np.any((full >= begin) & (full < end)):
                    continue
                for again in (False, True):
                    copy = self._copy(name, begin, before, again)
                    if copy is not None and (found is None or copy.gain > found.gain):
                        found = copy
        return found

    def producer(self, name: str) -> KernelCall | None:
        """The call that computes a temporary and may be repeated."""
        if name not in self.producers:
            self.producers[name] = self._producer(name)
        return self.producers[name]

    def _producer(self, name: str) -> KernelCall | None:
        writers = self.writers.get(name, [])
        if len(writers) != 1 or name in self.held or name not in self.bytes:
            return None
        (call,) = writers
        if not isinstance(call, KernelCall) or self.uses[name][0] >= len(self.program.steps):
            return None
        if self.recomputing.cost(self.program, call) is None:
            return None
        return self.recomputing.only(call, name)

    def _insertion(self, later: int) -> int:
        """Before which step a value has to be there: a product and its epilogue stay together."""
        steps = self.program.steps
        return later - 1 if later and epilogue_at(steps, later - 1) is not None else later

    def _copy(self, name: str, begin: int, before: int, again: bool) -> Copy | None:
        """The effect of one copy. again: operands that are gone are computed again as well, where
        that is possible; else they are kept until then."""
        end = self.starts[before]
        live = self.live.copy()
        live[begin:end] -= self.bytes[name]
        order: list[str] = []
        cost = 0
        waiting = [name]
        while waiting:
            one = waiting.pop()
            if one in order:
                order.remove(one)  # operands stand before all who use them
            order.append(one)
            call = self.producer(one)
            if call is None or len(order) > DEEPEST:
                return None
            whole = self.recomputing.cost(self.program, self._writer(one))
            cost += whole or 1
            if one != name:
                live[end] += self.bytes[one]
            spare = beside(call, one)
            live[end] += sum(self.room[operand] for operand in spare)
            for operand in dict.fromkeys(call.arguments):
                role = self.program.buffers[operand].role
                if operand == one or operand in spare or role in LASTING:
                    continue
                if role != "temporary" or operand not in self.bytes:
                    return None
                last = self.plan.lives[operand].last
                if last >= end:
                    continue
                if again and self.producer(operand) is not None:
                    waiting.append(operand)
                    continue
                live[last + 1 : end + 1] += self.bytes[operand]
        if live.max() > self.live.max():
            return None
        gain = self.excess - self._excess(live)
        if gain <= 0:
            return None
        return Copy(tuple(reversed(order)), before, gain / cost)

    def _writer(self, name: str) -> KernelCall:
        (call,) = self.writers[name]
        assert isinstance(call, KernelCall)
        return call

    def with_copy(self, copy: Copy, number: int) -> Program:
        """The program with that copy; number: of the round, for the names of buffers."""
        program = self.program
        buffers = dict(program.buffers)
        new = {name: f"{name}_again{number}" for name in copy.names}
        calls: list[Step] = []
        for name in copy.names:
            buffers[new[name]] = replace(buffers[name], name=new[name])
            call = self.producer(name)
            assert call is not None
            spare = {other: f"{other}_beside{number}_{name}" for other in beside(call, name)}
            for other, own in spare.items():
                buffers[own] = replace(buffers[other], name=own, role="temporary")
            calls.append(renamed(call, {**new, **spare}))
        asked = {copy.names[-1]: new[copy.names[-1]]}
        behind = [
            step if isinstance(step, Loop | While | Branch) else renamed(step, asked)
            for step in program.steps[copy.before :]
        ]
        steps = (*program.steps[: copy.before], *calls, *behind)
        return replace(program, buffers=buffers, steps=tuple(steps))


def beside(call: KernelCall, name: str) -> list[str]:
    """What a call writes besides one result."""
    return [one for one in written_buffers(call) if one != name]


def fresh(program: Program) -> list[Buffer]:
    """The buffers that kernels write."""
    roles = ("temporary", "output", "update")
    return [buffer for buffer in program.buffers.values() if buffer.role in roles]


def largest_buffers(program: Program, values: Mapping[str, int], count: int) -> Sequence[str]:
    """Lines on the buffers of a call that take most memory, with the user's lines."""
    plan = plan_memory(program)
    live = plan.live_at(values)
    fullest = live.index(max(live)) if live else 0
    rows: list[tuple[int, str]] = []
    for buffer in fresh(program):
        life = plan.lives.get(buffer.name)
        if life is not None and not life.first <= fullest <= life.last:
            continue
        shape = [evaluate(size, values) for size in buffer.shape]
        size = int(np.prod(shape, dtype=np.int64)) * buffer.dtype.itemsize
        kind = {"temporary": "alive at the fullest step", "output": "a result"}
        where = f"  {buffer.sources[0].describe().strip()}" if buffer.sources else ""
        note = kind.get(buffer.role, "a new value of a variable")
        rows.append(
            (size, f"{buffer.name}: {buffer.dtype.name}{shape}, {size} bytes, {note}{where}")
        )
    rows.sort(key=lambda row: -row[0])
    return [text for _, text in rows[:count]]
