"""Long reductions in chunks of fixed length, which threads may share.

    total: f32 = 0 (add)               partial: f32[chunks] scratch
    for i in n vector:            ->   for c in chunks parallel:
      total += x[i]                      total: f32 = 0 (add)
                                         for i in min(32768, n - 32768*c) vector:
                                           total += x[i + 32768*c]
                                         partial[c] = total
                                       total: f64 = 0 (add)
                                       for c in chunks serial:
                                         total += partial[c]

The length follows from the work of one iteration. It is the same for every number of threads, and
so is the order in which the partial results are combined: numbers do not depend on threads.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from graphc.backends.llvm.one_thread import CHUNK
from graphc.backends.llvm.online import pairs
from graphc.backends.llvm.parallel import work_of
from graphc.backends.llvm.pool import LITTLE
from graphc.dtypes import DType, float64, int64, is_floating
from graphc.loops.epilogues import feeds_outside
from graphc.loops.ir import Accumulate, Accumulator, For, If, Let, Scratch, Statement, Store
from graphc.loops.tidy import accumulators_fed, statements_of, values_of, with_sizes
from graphc.scalar.expr import Expr, Index, Load, Local, cast, walk
from graphc.shapes import Dim, Size, ceil_div, dim_max, floor_div, symbols_of

SHORTEST, LONGEST = 1 << 10, 1 << 16  # iterations of a vector loop that make a chunk


def in_chunks(body: Sequence[Statement]) -> tuple[Statement, ...]:
    """The body of a kernel, with the long reductions outside of all other loops in chunks."""
    made = _Chunks(body)
    return tuple(made.run(body)) if made.loops else tuple(body)


class _Cell(NamedTuple):
    """An accumulator, and the names of the arrays of its partial values and positions."""

    accumulator: Accumulator
    values: str
    positions: str

    @property
    def arrays(self) -> list[tuple[str, DType, str]]:
        """(array, its dtype, the local whose values it holds)"""
        found = [(self.values, self.accumulator.dtype, self.accumulator.name)]
        if self.accumulator.position_name is not None:
            found.append((self.positions, int64, self.accumulator.position_name))
        return found

    def value(self, turn: str) -> Expr:
        """The partial value of a chunk."""
        return Load(self.values, (Index(Dim.symbol(turn)),), self.accumulator.dtype)


class _Chunks:
    """The long reductions of one body, in chunks."""

    def __init__(self, body: Sequence[Statement]) -> None:
        self.accumulators = {s.name: s for s in body if isinstance(s, Accumulator)}
        feeders: dict[str, int] = {}
        for item in body:
            if isinstance(item, For | If | Accumulate):
                for name in accumulators_fed([item]):
                    feeders[name] = feeders.get(name, 0) + 1
        self.loops = {
            id(item): fed
            for item in body
            if isinstance(item, For)
            and (fed := [name for name in self.accumulators if name in accumulators_fed([item])])
            and all(feeders[name] == 1 for name in fed)
            and _is_long(item)
        }
        self.names = names_of(body) if self.loops else set()
        self.moved = {name for fed in self.loops.values() for name in fed}
        self.pairs = pairs(body, self.loops, self.accumulators)
        self.done: dict[int, list[Statement]] = {}  # loops of pairs: what combines their results

    def fresh(self, name: str) -> str:
        while name in self.names:
            name += "_"
        self.names.add(name)
        return name

    def run(self, body: Sequence[Statement]) -> list[Statement]:
        result: list[Statement] = []
        for item in body:
            if isinstance(item, Accumulator) and item.name in self.moved:
                continue  # declared where it is combined
            if id(item) in self.done:
                result += self.done[id(item)]
            elif id(item) in self.loops:
                assert isinstance(item, For)
                result += self.divided(item)
            else:
                result.append(item)
        return result

    def divided(self, loop: For) -> list[Statement]:
        """A loop in chunks, and what combines their results; of a pair, both loops in chunks."""
        pair = self.pairs.get(id(loop))
        turn = self.fresh(f"{loop.axis}_chunk")
        length = _length([loop] if pair is None else [loop, pair.second])
        chunks = ceil_div(loop.extent, length)
        first = Dim.symbol(turn) * length
        cells = self.cells(loop)
        once = _part(loop, cells, turn, first, length)
        totals = [item for cell in cells for item in _combined(cell, turn, chunks)]
        if pair is not None:
            later = self.cells(pair.second)
            once += [pair.subtracted, *_part(pair.second, later, turn, first, length)]
            (most,) = (cell for cell in cells if cell.accumulator == pair.most)
            weight = partial(pair.weighted, most=most.value(turn))
            self.done[id(pair.second)] = [
                item for cell in later for item in _combined(cell, turn, chunks, weight)
            ]
            cells += later
        before = [Scratch(array, dtype, (chunks,)) for c in cells for array, dtype, _ in c.arrays]
        return [*before, For(turn, chunks, "parallel", tuple(once)), *totals]

    def cells(self, loop: For) -> list[_Cell]:
        return [
            _Cell(
                self.accumulators[name],
                self.fresh(f"{name}_partial"),
                self.fresh(f"{name}_places"),
            )
            for name in self.loops[id(loop)]
        ]


def _part(
    loop: For, cells: Sequence[_Cell], turn: str, first: Size, length: Size
) -> list[Statement]:
    """What a chunk does of a loop: iterations from `first`, and its results kept."""
    shift = {loop.axis: Dim.symbol(loop.axis) + first}
    extent = -dim_max(-length, first - loop.extent)  # the smaller one
    part = For(loop.axis, extent, loop.kind, tuple(with_sizes(loop.body, shift)))
    place = (Index(Dim.symbol(turn)),)
    arrays = [array for cell in cells for array in cell.arrays]
    return [
        *(cell.accumulator for cell in cells),
        part,
        *(Store(array, place, Local(name, dtype)) for array, dtype, name in arrays),
    ]


def _combined(
    cell: _Cell, turn: str, chunks: Size, weight: Callable[[Expr], Expr] | None = None
) -> list[Statement]:
    """Partial results as one, in their order; short sums of long ones in float64."""
    own, place = cell.accumulator, (Index(Dim.symbol(turn)),)
    value = cell.value(turn) if weight is None else weight(cell.value(turn))
    if own.combine == "add" and is_floating(own.dtype) and own.dtype.itemsize < 8:
        name = f"{own.name}_wide"
        wide = Accumulator(name, "add", float64, sources=own.sources)
        take = Accumulate(name, cast(value, float64), sources=own.sources)
        narrow = Let(own.name, cast(Local(name, float64), own.dtype), own.sources)
        return [wide, For(turn, chunks, "serial", (take,)), narrow]
    position = None if own.position_name is None else Load(cell.positions, place, int64)
    take = Accumulate(own.name, value, position, own.sources)
    return [own, For(turn, chunks, "serial", (take,))]


def _is_long(loop: For) -> bool:
    """Whether a loop that feeds accumulators around it is worth chunks, and may be cut."""
    if loop.kind == "serial":
        # Its iterations are in order. They are independent if they do nothing but accumulate.
        pending: list[Statement] = list(loop.body)
        has_vectors = False
        while pending:
            item = pending.pop()
            if isinstance(item, Store | Scratch):
                return False
            if isinstance(item, For | If):
                pending += item.body
            has_vectors |= isinstance(item, For) and item.kind == "vector"
        if not has_vectors:  # scalar code was chosen because it is short
            return False
    elif loop.kind != "vector" or not feeds_outside(loop.body):
        return False
    work = work_of([loop])
    return not isinstance(work, int) or work > 2 * LITTLE


def _length(loops: Sequence[For]) -> Size:
    """Iterations in one chunk of loops that run one after the other."""
    loop = loops[0]
    body = [item for one in loops for item in one.body]
    once = work_of(body, vector=loop.kind == "vector")
    if not isinstance(once, int):
        return dim_max(1, floor_div(CHUNK, dim_max(1, once)))
    wanted = 1 << (max(CHUNK // max(once, 1), 1).bit_length() - 1)
    if loop.kind == "serial":
        return wanted
    return max(SHORTEST, min(LONGEST, wanted))


def names_of(body: Sequence[Statement]) -> set[str]:
    """Every name that a body uses, of whatever kind."""
    names: set[str] = set()
    for value in values_of(body):
        for part in walk(value):
            if isinstance(part, Local):
                names.add(part.name)
            elif isinstance(part, Load):
                names.add(part.buffer)
    for item in statements_of(body):
        match item:
            case For(axis, extent):
                names |= {axis, *symbols_of(extent)}
            case Let(name) | Accumulator(name) | Scratch(name):
                names.add(name)
            case Store(buffer):
                names.add(buffer)
    return names
