"""A loop over columns with passes over the rows inside, and the same row by row in tiles.

See interchange.py, which finds such loops.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from graphc.backends.llvm.accumulate import Combination, identity_value
from graphc.backends.llvm.lanes import survey
from graphc.backends.llvm.loops import BLOCK
from graphc.dtypes import bool_, int64, is_floating
from graphc.loops.ir import Accumulate, Accumulator, For, Let, Scratch, Statement, Store
from graphc.loops.tidy import map_values
from graphc.scalar.expr import (
    Call,
    Const,
    Expr,
    Index,
    Load,
    Local,
    and_,
    is_nan,
    le,
    lt,
    not_,
    select,
    transform,
)
from graphc.shapes import Dim, Size, ceil_div, dim_min, floor_div, substitute

TILE = 512  # columns: their sums fit the first-level cache
TOGETHER = 4  # rows that are added before their sum is put back
LIGHT = 14  # cost of a row's element up to which that pays
SHORT = 64  # columns up to which it does where rows follow each other without a gap


class Pass(NamedTuple):
    """A loop over the rows, and what stands before it."""

    before: tuple[Let | Accumulator, ...]
    rows: For

    @property
    def accumulators(self) -> tuple[Accumulator, ...]:
        return tuple(item for item in self.before if isinstance(item, Accumulator))

    @property
    def lets(self) -> tuple[Let, ...]:
        return tuple(item for item in self.before if isinstance(item, Let))

    @property
    def blocked(self) -> bool:
        """Whether some sum is so long that it is made of sums over blocks of rows."""
        long = not isinstance(self.rows.extent, int) or self.rows.extent > 2 * BLOCK
        return long and any(
            Combination(a.combine, a.dtype).is_inexact_sum for a in self.accumulators
        )


class Columns(NamedTuple):
    """The first form, taken apart."""

    lanes: For
    passes: tuple[Pass, ...]
    after: tuple[Statement, ...]

    @property
    def accumulators(self) -> tuple[Accumulator, ...]:
        return tuple(one for part in self.passes for one in part.accumulators)

    @property
    def positional(self) -> tuple[Accumulator, ...]:
        return tuple(one for one in self.accumulators if one.position_name is not None)

    @property
    def kept(self) -> tuple[Let, ...]:
        """What is computed between two passes: it lies in memory then, as sums do."""
        return tuple(let for part in self.passes[1:] for let in part.lets)

    @property
    def is_whole(self) -> bool:
        """Whether one tile holds all columns."""
        return isinstance(self.lanes.extent, int) and self.lanes.extent <= TILE

    @property
    def reads_on(self) -> bool:
        """Whether rows are read whole: then a processor that fetches ahead is best left one place
        to read at, though an addition waits for the one before it."""
        return self.is_whole and isinstance(self.lanes.extent, int) and self.lanes.extent > SHORT

    @property
    def tile(self) -> str:
        return f"{self.lanes.axis}_tile"

    def turned(self) -> Statement:
        width = self.lanes.extent if self.is_whole else TILE
        steps: list[Statement] = [
            *(Scratch(_name(one, "sums"), one.dtype, (width,)) for one in self.accumulators),
            *(Scratch(_name(one, "sums_at"), int64, (width,)) for one in self.positional),
            *(Scratch(_name(one, "kept"), one.value.dtype, (width,)) for one in self.kept),
        ]
        for number, part in enumerate(self.passes):
            first = self.cleared(part, "sums")
            if number:
                first = [*self.with_lets(part.lets), *first]
            if first:
                steps.append(self.columns(first))
            if part.blocked:
                held = part.accumulators
                steps += [Scratch(_name(one, "part"), one.dtype, (width,)) for one in held]
                found = [one for one in held if one in self.positional]
                steps += [Scratch(_name(one, "part_at"), int64, (width,)) for one in found]
                steps.append(self.in_blocks(part))
            else:
                steps += self.some_rows(part, "sums", 0, part.rows.extent)
        last = [*self.passes[0].lets, *map(self.with_sums, self.after)]
        if self.after:
            steps.append(self.columns(last))
        count = 1 if self.is_whole else ceil_div(self.lanes.extent, TILE)
        return For(self.tile, count, "parallel", tuple(steps))

    def with_lets(self, lets: Sequence[Let]) -> list[Statement]:
        """Computed of sums, and kept."""
        result: list[Statement] = list(self.passes[0].lets)
        for let in lets:
            result.append(self.with_sums(let, {one.name for one in lets}))
            value = Local(let.name, let.value.dtype)
            result.append(Store(_name(let, "kept"), self.column, value, False, let.sources))
        return result

    def in_blocks(self, part: Pass) -> Statement:
        block = f"{part.rows.axis}_block"
        first = Dim.symbol(block) * BLOCK
        extent = part.rows.extent
        length = dim_min(BLOCK, extent - first)
        if isinstance(extent, int) and extent % BLOCK == 0:
            length = BLOCK
        totals = self.read(part.accumulators, "sums")
        for one in part.accumulators:
            place = Load(_name(one, "part_at"), self.column, int64)
            totals += _taken(one, self.held(one, "part"), place)
        totals += self.written(part.accumulators, "sums")
        rows = self.some_rows(part, "part", first, length)
        body = (self.columns(self.cleared(part, "part")), *rows, self.columns(totals))
        return For(block, ceil_div(extent, BLOCK), "serial", body)

    def some_rows(self, part: Pass, kind: str, first: Size, length: Size) -> list[Statement]:
        """The loops over rows `first` and so many behind it."""
        axis = Dim.symbol(part.rows.axis)
        light = part.accumulators and survey(part.rows.body).cost <= LIGHT
        together = TOGETHER if light and not self.reads_on else 1
        groups = floor_div(length, together)
        done = groups * together
        several = [first + axis * together + row for row in range(together)]
        loops = [For(part.rows.axis, groups, "serial", (self.added(part, kind, several),))]
        if length - done != 0:
            single = self.added(part, kind, [first + done + axis])
            loops.append(For(part.rows.axis, length - done, "serial", (single,)))
        return list(loops)

    def added(self, part: Pass, kind: str, rows: Sequence[Size]) -> For:
        """Every sum takes the elements of some rows."""
        by_name = {one.name: one for one in part.accumulators}
        statements = self.read(part.accumulators, kind)
        statements += self.passes[0].lets
        for place in rows:
            own = {item.name for item in part.rows.body if isinstance(item, Let)}
            for item in part.rows.body:
                moved = _moved(self.with_sums(item, own), part.rows.axis, place, self.own)
                if isinstance(moved, Accumulate):
                    one = by_name[moved.name]
                    statements += _taken(one, moved.value, moved.position)
                else:
                    statements.append(moved)
        statements += self.written(part.accumulators, kind)
        return self.columns(statements)

    # --- statements ----------------------------------------------------------------------------

    @property
    def column(self) -> tuple[Expr, ...]:
        return (Index(Dim.symbol(self.lanes.axis)),)

    @property
    def own(self) -> set[str]:
        """The arrays that are a tile themselves."""
        kinds = ("sums", "part", "sums_at", "part_at")
        sums = {_name(one, kind) for one in self.accumulators for kind in kinds}
        return sums | {_name(one, "kept") for one in self.kept}

    def columns(self, statements: Sequence[Statement]) -> For:
        """The vector loop over the columns of a tile."""
        axis, extent = self.lanes.axis, self.lanes.extent
        if self.is_whole:
            return For(axis, extent, "vector", tuple(statements))
        first = Dim.symbol(self.tile) * TILE
        width: Size = dim_min(TILE, extent - first)
        if isinstance(extent, int) and extent % TILE == 0:
            width = TILE
        place, own = Dim.symbol(axis) + first, self.own
        return For(axis, width, "vector", tuple(_moved(s, axis, place, own) for s in statements))

    def cleared(self, part: Pass, kind: str) -> list[Statement]:
        result: list[Statement] = []
        for one in part.accumulators:
            start = Const(identity_value(one.combine, one.dtype), one.dtype)
            result.append(Store(_name(one, kind), self.column, start, False, one.sources))
            if one in self.positional:
                name = _name(one, f"{kind}_at")
                result.append(Store(name, self.column, Const(0, int64), False, one.sources))
        return result

    def held(self, one: Accumulator, kind: str) -> Expr:
        return Load(_name(one, kind), self.column, one.dtype)

    def read(self, accumulators: Sequence[Accumulator], kind: str) -> list[Statement]:
        result: list[Statement] = []
        for one in accumulators:
            result.append(Let(_name(one, "now"), self.held(one, kind), one.sources))
            if one in self.positional:
                place = Load(_name(one, f"{kind}_at"), self.column, int64)
                result.append(Let(_name(one, "now_at"), place, one.sources))
        return result

    def written(self, accumulators: Sequence[Accumulator], kind: str) -> list[Statement]:
        result: list[Statement] = []
        for one in accumulators:
            now = Local(_name(one, "now"), one.dtype)
            result.append(Store(_name(one, kind), self.column, now, False, one.sources))
            if one in self.positional:
                at = Local(_name(one, "now_at"), int64)
                name = _name(one, f"{kind}_at")
                result.append(Store(name, self.column, at, False, one.sources))
        return result

    def with_sums(self, item: Statement, own: Collection[str] = ()) -> Statement:
        """The statement with what earlier passes found read from memory.

        own: locals that are computed beside it.
        """
        sums = {one.name: one for one in self.accumulators}
        places = {one.position_name: one for one in self.positional}
        kept = {one.name: one for one in self.kept if one.name not in own}

        def leaf(part: Expr) -> Expr | None:
            if isinstance(part, Local) and part.name in sums:
                return self.held(sums[part.name], "sums")
            if isinstance(part, Local) and part.name in places:
                return Load(_name(places[part.name], "sums_at"), self.column, int64)
            if isinstance(part, Local) and part.name in kept:
                return Load(_name(kept[part.name], "kept"), self.column, part.dtype)
            return None

        return map_values(item, lambda value: transform(value, leaf))


def _taken(one: Accumulator, value: Expr, position: Expr | None) -> list[Statement]:
    """`now` takes in one more value, which comes after those that it has met."""
    now, sources = Local(_name(one, "now"), one.dtype), one.sources
    if one.position_name is None:
        return [Let(now.name, Call(one.combine, (now, value), one.dtype), sources)]
    assert position is not None
    at = Local(_name(one, "now_at"), int64)
    new, better = Local(_name(one, "new"), one.dtype), Local(_name(one, "better"), bool_)
    sides = (new, now) if one.combine == "argmax" else (now, new)
    is_better = lt(sides[1], sides[0])
    if is_floating(one.dtype):  # nan is better than a number, and nothing is better than nan
        is_better = and_(not_(le(*sides)), not_(is_nan(now)))
    return [
        Let(new.name, value, sources),
        Let(better.name, is_better, sources),
        Let(at.name, select(better, position, at), sources),
        Let(now.name, select(better, new, now), sources),
    ]


def _name(one: Accumulator | Let, kind: str) -> str:
    return f"{one.name}_{kind}"


def _moved(item: Statement, axis: str, place: Size, own: set[str]) -> Statement:
    """The statement with an axis replaced, but for the arrays that are a tile themselves."""

    def leaf(part: Expr) -> Expr | None:
        if isinstance(part, Load) and part.buffer in own:
            return part
        if isinstance(part, Index):
            return Index(substitute(part.size, {axis: place}))
        return None

    if isinstance(item, Store) and item.buffer in own:
        return Store(item.buffer, item.index, transform(item.value, leaf), False, item.sources)
    return map_values(item, lambda value: transform(value, leaf))
