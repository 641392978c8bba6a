"""Packing: temporaries side by side, so that the arena is hardly larger than what is alive.

Sizes that are multiples of one polynomial of the symbolic sizes share an area, which is counted in
units of that polynomial: 4*n, 64*n and 3136*n bytes are whole numbers of units for every n. So one
plan, found for whole numbers, serves all values of the symbols. Temporaries are placed one after
the other, the largest first, each into the tightest gap between those that live at the same time
(Pisarchyk and Lee, "Efficient memory management for deep neural net inference", 2020); where that
is not as good as can be, other orders are tried.
"""

from bisect import insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from math import gcd
from operator import itemgetter

from graphc.dims import content
from graphc.memory.lives import ALIGNMENT, Life
from graphc.records import dataclass
from graphc.shapes import Size, ceil_div

MOST = 1000  # temporaries: the work grows with the square
ERA = 64  # steps: most live in one, and meet only what does
WIDE = 1024  # bytes for each unit of the polynomial from which rounding up to a line costs little


@dataclass(frozen=True, slots=True)
class Area:
    """A piece of the arena: `count` units of `unit` bytes. starts: the first unit of each
    temporary."""

    unit: Size
    count: int
    starts: Mapping[str, int]

    @property
    def bytes(self) -> Size:
        return self.unit * self.count


@dataclass(frozen=True, slots=True)
class Block:
    """Temporaries that use one piece of memory after another; bytes: as they are, not rounded."""

    names: tuple[str, ...]
    bytes: Size
    life: Life


def pack(blocks: Iterable[Block]) -> list[Area]:
    """Areas for all blocks, in the order of their first blocks."""
    families: dict[tuple[Size, bool], list[tuple[int, Block]]] = {}
    for block in blocks:
        factor, polynomial = content(block.bytes)
        wide = factor >= WIDE or polynomial == 1
        families.setdefault((polynomial, wide), []).append((factor, block))
    return [
        _area(polynomial, is_wide, members) for (polynomial, is_wide), members in families.items()
    ]


def _area(polynomial: Size, is_wide: bool, members: Sequence[tuple[int, Block]]) -> Area:
    """Blocks of factor * polynomial bytes each, as intervals of one unit."""
    if is_wide:
        unit: Size = polynomial * ALIGNMENT
        lengths = [-(-factor // ALIGNMENT) for factor, _ in members]
    else:
        common = gcd(*(factor for factor, _ in members)) or 1
        unit = ceil_div(polynomial * common, ALIGNMENT) * ALIGNMENT
        lengths = [factor // common for factor, _ in members]
    starts, count = place(lengths, [block.life for _, block in members])
    named = {
        name: start
        for start, (_, block) in zip(starts, members, strict=True)
        for name in block.names
    }
    return Area(unit, count, named)


def place(lengths: Sequence[int], lives: Sequence[Life]) -> tuple[list[int], int]:
    """Where each interval starts, and where the last one ends; those that live at the same time
    lie apart. The best of a few orders."""
    least = _most_alive(lengths, lives)
    best: tuple[list[int], int] | None = None
    for order in _orders(lengths, lives):
        found = _place(order, lengths, lives)
        if best is None or found[1] < best[1]:
            best = found
        if best[1] <= least:
            break
    return best or ([], 0)


def _most_alive(lengths: Sequence[int], lives: Sequence[Life]) -> int:
    change: dict[int, int] = {}
    for length, life in zip(lengths, lives, strict=True):
        change[life.first] = change.get(life.first, 0) + length
        change[life.last + 1] = change.get(life.last + 1, 0) - length
    return max(accumulate(change[step] for step in sorted(change)), default=0)


def _orders(lengths: Sequence[int], lives: Sequence[Life]) -> Iterator[list[int]]:
    """The largest first; what takes most memory over time first; as they come; as they go."""
    every = range(len(lengths))
    spans = [life.last - life.first + 1 for life in lives]
    yield sorted(every, key=lambda k: (-lengths[k], lives[k].first))
    yield sorted(every, key=lambda k: (-lengths[k] * spans[k], lives[k].first))
    yield sorted(every, key=lambda k: (lives[k].first, -lengths[k]))
    yield sorted(every, key=lambda k: (-lives[k].last, -lengths[k]))
    yield sorted(every, key=lambda k: (-spans[k], -lengths[k]))


def _place(
    order: Sequence[int], lengths: Sequence[int], lives: Sequence[Life]
) -> tuple[list[int], int]:
    """Each in turn in the tightest gap that is free while it lives, else behind all."""
    starts = [0] * len(lengths)
    placed: list[tuple[int, int, int, int]] = []  # start, end, first and last step, by start
    eras: dict[int, list[tuple[int, int, int, int]]] = {}  # those that live in some steps
    extent = 0
    for k in order:
        length, first, last = lengths[k], lives[k].first, lives[k].last
        found, smallest, free = -1, 0, 0
        era, until = first // ERA, last // ERA
        for start, end, begun, ended in placed if era < until else eras.get(era, ()):
            if ended < first or last < begun:
                continue
            gap = start - free
            if gap >= length and (found < 0 or gap < smallest):
                found, smallest = free, gap
            if end > free:
                free = end
        if found < 0:
            found = free
        starts[k] = found
        extent = max(extent, found + length)
        new = found, found + length, first, last
        for beside in (placed, *(eras.setdefault(one, []) for one in range(era, until + 1))):
            insort(beside, new, key=itemgetter(0))
    return starts, extent
