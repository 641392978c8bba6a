"""Slots: pieces of the arena that one temporary after another uses whole.

Fast, and good where temporaries have few sizes. Sizes are expressions in the symbolic sizes.
"""

from dataclasses import field
from heapq import heappop, heappush

from graphc.records import dataclass
from graphc.shapes import Size, dim_max, symbols_of


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
