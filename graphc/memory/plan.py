"""MemoryPlan: where each temporary lies in one arena, and how large the arena is.

Liveness is read off the steps. Temporaries share memory when their lives do not overlap; sizes are
expressions in the symbolic sizes, so one plan serves every value of them. Two ways to lay out are
tried, slots and packing, and the smaller arena is taken.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

import numpy as np

from graphc.loops.ir import Contraction, Program
from graphc.memory.in_place import Donors
from graphc.memory.lives import Life, padded_bytes, temporaries_lives
from graphc.memory.packing import MOST, Area, Block, pack
from graphc.memory.slots import Slot, Slots
from graphc.records import dataclass
from graphc.shapes import Size, evaluate, size_product, size_sum, symbols_of

USUAL = 256  # the value of a symbolic size for which layouts are compared


@dataclass(frozen=True)
class MemoryPlan:
    """areas: pieces of the arena, one behind the other; sizes: bytes of each temporary, rounded up
    to cache lines; in_place: temporary -> the input whose memory it takes over.
    """

    sizes: Mapping[str, Size]
    lives: Mapping[str, Life]
    in_place: Mapping[str, str]
    areas: tuple[Area, ...]

    @property
    def peak(self) -> Size:
        """Bytes of the arena."""
        return size_sum([area.bytes for area in self.areas])

    @property
    def naive(self) -> Size:
        """Bytes without any reuse."""
        return size_sum(list(self.sizes.values()))

    @property
    def offsets(self) -> dict[str, Size]:
        """The offset of each temporary in the arena, in bytes."""
        found: dict[str, Size] = {}
        before: Size = 0
        for area in self.areas:
            for name, start in area.starts.items():
                found[name] = before + area.unit * start
            before = before + area.bytes
        return found

    def layout(self, bindings: Mapping[str, int]) -> tuple[dict[str, int], int]:
        """The offset of each temporary and the bytes of the arena, for given sizes."""
        offsets: dict[str, int] = {}
        known: dict[Size, int] = {}
        before = 0
        for area in self.areas:
            unit = known.get(area.unit)
            if unit is None:
                unit = known[area.unit] = evaluate(area.unit, bindings)
            for name, start in area.starts.items():
                offsets[name] = before + unit * start
            before += unit * area.count
        return offsets, before

    def live_at(self, bindings: Mapping[str, int]) -> list[int]:
        """Bytes of temporaries alive at each step, for given sizes."""
        last_step = max((life.last for life in self.lives.values()), default=-1)
        change = [0] * (last_step + 2)
        for name, life in self.lives.items():
            size = evaluate(self.sizes[name], bindings)
            change[self._first(name)] += size
            change[life.last + 1] -= size
        found: list[int] = np.cumsum(change)[:-1].tolist()
        return found

    def live_bytes(self, bindings: Mapping[str, int]) -> int:
        """The most bytes of temporaries alive at one step, for given sizes: a lower bound."""
        return max(self.live_at(bindings), default=0)

    def live_sizes(self, step: int) -> Size:
        """Bytes of temporaries alive at a step, as an expression in the sizes."""
        alive = [n for n, life in self.lives.items() if self._first(n) <= step <= life.last]
        return size_sum([self.sizes[name] for name in alive])

    def _first(self, name: str) -> int:
        """The first step at which it takes memory of its own, not that of its donor."""
        life, donor = self.lives[name], self.in_place.get(name)
        return life.first if donor is None else min(self.lives[donor].last + 1, life.last + 1)


def plan_memory(program: Program, local: Collection[str] = ()) -> MemoryPlan:
    """The plan of a program; linear in the steps times the number of sizes of free slots.

    local: temporaries for which the backend needs no memory beside its scratch area.
    """
    lives = temporaries_lives(program, local)
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
    plan = MemoryPlan(
        sizes,
        lives,
        donors.found,
        tuple(Area(slot.size, 1, dict.fromkeys(slot.held, 0)) for slot in slots.all),
    )
    return _smaller(program, plan)


def _smaller(program: Program, plan: MemoryPlan) -> MemoryPlan:
    """The plan, or one with the same temporaries packed if that takes less memory."""
    symbols = {symbol for size in plan.sizes.values() for symbol in symbols_of(size)}
    usual = dict.fromkeys(symbols, USUAL)
    now = evaluate(plan.peak, usual)
    if not len(plan.lives) - len(plan.in_place) <= MOST or now <= plan.live_bytes(usual):
        return plan
    packed = replace(plan, areas=tuple(pack(_blocks(program, plan))))
    return packed if evaluate(packed.peak, usual) < now else plan


def _blocks(program: Program, plan: MemoryPlan) -> Iterator[Block]:
    """Temporaries with those that are written over them, and so on."""
    chains: dict[str, list[str]] = {}
    first_of: dict[str, str] = {}
    for name in plan.lives:  # in order of their births
        donor = plan.in_place.get(name)
        first_of[name] = name if donor is None else first_of[donor]
        chains.setdefault(first_of[name], []).append(name)
    for first, names in chains.items():
        buffer = program.buffers[first]
        bytes_ = size_product(buffer.shape) * buffer.dtype.itemsize
        life = Life(plan.lives[first].first, max(plan.lives[name].last for name in names))
        yield Block(tuple(names), bytes_, life)
