"""Sums and extrema down the columns of an array, computed row by row.

    for j in m vector:               for t in ceil(m / 512) parallel:
      total = 0.0                      sums[512], part[512] scratch
      for i in n serial:               for j in 512 vector: sums[j] = 0.0
        total += x[i, j]        ->     for b in ceil(n / 256) serial:
      out[j] = total                     for j in 512 vector: part[j] = 0.0
                                         for i in min(256, n - 256*b) serial:
                                           for j in 512 vector: part[j] += x[256*b + i, 512*t + j]
                                         for j in 512 vector: sums[j] += part[j]
                                       for j in 512 vector: out[512*t + j] = sums[j]

The first form keeps its sums in registers, but touches a line or two of every row and comes back
for the rest when the row has left the cache. The second reads on along the rows. Long float32 sums
are made of sums over blocks of rows, as in all loops (see loops.py).
"""

from collections.abc import Sequence
from typing import NamedTuple

from graphc.backends.llvm.accumulate import Combination, identity_value
from graphc.backends.llvm.lanes import survey
from graphc.backends.llvm.loops import BLOCK
from graphc.backends.llvm.scalar_ops import memory_type, register_type
from graphc.loops.ir import Accumulate, Accumulator, For, Kernel, Let, Scratch, Statement, Store
from graphc.loops.tidy import loads_of, map_values
from graphc.scalar.expr import Call, Const, Expr, Index, Load, Local, transform
from graphc.shapes import Dim, Shape, Size, ceil_div, dim_min, floor_div, size_product, substitute

TILE = 512  # columns: their sums fit the first-level cache
WIDE = 256  # columns from which rows are read one after the other
FEWEST = 256  # rows
TOGETHER = 4  # rows that are added before their sum is put back
LIGHT = 14  # cost of a row's element up to which that pays
COMBINES = ("add", "mul", "maximum", "minimum")


def interchanged(kernel: Kernel, body: Sequence[Statement]) -> tuple[Statement, ...]:
    """The body of the kernel, with such loops turned round."""
    shapes = {parameter.name: parameter.shape for parameter in kernel.parameters}
    return tuple(_visited(item, shapes) for item in body)


def _visited(item: Statement, shapes: dict[str, Shape]) -> Statement:
    if not isinstance(item, For):
        return item
    if item.kind == "vector":
        columns = _matched(item, shapes)
        return item if columns is None else columns.turned()
    return For(item.axis, item.extent, item.kind, tuple(_visited(i, shapes) for i in item.body))


def _matched(lanes: For, shapes: dict[str, Shape]) -> "_Columns | None":
    """The loop taken apart, if it is of the first form, and is better in the second."""
    places = [n for n, item in enumerate(lanes.body) if isinstance(item, For)]
    if len(places) != 1:
        return None
    before, rows, after = (
        lanes.body[: places[0]],
        lanes.body[places[0]],
        lanes.body[places[0] + 1 :],
    )
    assert isinstance(rows, For)
    simple = all(isinstance(item, Let | Accumulate | Store) for item in rows.body)
    plain = all(isinstance(item, Let | Accumulator) for item in before)
    last = all(isinstance(item, Let | Store) for item in after)
    if rows.kind != "serial" or not (simple and plain and last):
        return None
    accumulators = tuple(item for item in before if isinstance(item, Accumulator))
    own = {one.name for one in accumulators}
    fed = {item.name for item in rows.body if isinstance(item, Accumulate)}
    if not accumulators or fed != own or not all(map(_is_plain, accumulators)):
        return None
    if any(isinstance(item, Store) and item.accumulate for item in (*rows.body, *after)):
        return None
    few = isinstance(rows.extent, int) and rows.extent < FEWEST
    if few or not any(_is_far(load, lanes, rows, shapes) for load in loads_of(rows.body)):
        return None
    lets = tuple(item for item in before if isinstance(item, Let))
    return _Columns(lanes, rows, accumulators, lets, tuple(after))


def _is_plain(one: Accumulator) -> bool:
    """Whether sums are the same in memory as in registers."""
    kept = memory_type(one.dtype) == register_type(one.dtype)
    return one.combine in COMBINES and one.position_name is None and kept


def _is_far(load: Load, lanes: For, rows: For, shapes: dict[str, Shape]) -> bool:
    """Whether neighbours lie side by side along the lanes, and the next row far away."""
    if load.buffer not in shapes:
        return False
    shape, position = shapes[load.buffer], 0
    total: Size = position
    for axis, item in enumerate(load.index):
        if not isinstance(item, Index):
            return False
        total = total + item.size * size_product(shape[axis + 1 :])
    if not isinstance(total, Dim) or total.coefficient(lanes.axis) != 1:
        return False
    stride = total.coefficient(rows.axis)
    return stride is not None and stride != 0 and (not isinstance(stride, int) or stride >= WIDE)


class _Columns(NamedTuple):
    """The first form, taken apart. lets: what stands before the loop over the rows."""

    lanes: For
    rows: For
    accumulators: tuple[Accumulator, ...]
    lets: tuple[Let, ...]
    after: tuple[Statement, ...]

    @property
    def is_whole(self) -> bool:
        """Whether one tile holds all columns."""
        return isinstance(self.lanes.extent, int) and self.lanes.extent <= TILE

    @property
    def blocked(self) -> bool:
        """Whether some sum is so long that it is made of sums over blocks of rows."""
        long = not isinstance(self.rows.extent, int) or self.rows.extent > 2 * BLOCK
        return long and any(
            Combination(a.combine, a.dtype).is_inexact_sum for a in self.accumulators
        )

    @property
    def tile(self) -> str:
        return f"{self.lanes.axis}_tile"

    def turned(self) -> Statement:
        width = self.lanes.extent if self.is_whole else TILE
        held = [Scratch(_name(one, "sums"), one.dtype, (width,)) for one in self.accumulators]
        steps: list[Statement] = [*held, self.columns(self.cleared("sums"))]
        if self.blocked:
            steps += [Scratch(_name(a, "part"), a.dtype, (width,)) for a in self.accumulators]
            steps.append(self.in_blocks())
        else:
            steps += self.some_rows("sums", 0, self.rows.extent)
        steps.append(self.columns([*self.lets, *map(self.with_sums, self.after)]))
        count = 1 if self.is_whole else ceil_div(self.lanes.extent, TILE)
        return For(self.tile, count, "parallel", tuple(steps))

    def in_blocks(self) -> Statement:
        block = f"{self.rows.axis}_block"
        first = Dim.symbol(block) * BLOCK
        extent = self.rows.extent
        length = dim_min(BLOCK, extent - first)
        if isinstance(extent, int) and extent % BLOCK == 0:
            length = BLOCK
        totals = [
            self.stored(one, "sums", self.combined(one, "sums", self.held(one, "part")))
            for one in self.accumulators
        ]
        rows = self.some_rows("part", first, length)
        body = (self.columns(self.cleared("part")), *rows, self.columns(totals))
        return For(block, ceil_div(extent, BLOCK), "serial", body)

    def some_rows(self, kind: str, first: Size, length: Size) -> list[Statement]:
        """The loops over rows `first` and so many behind it."""
        axis = Dim.symbol(self.rows.axis)
        together = TOGETHER if survey(self.rows.body).cost <= LIGHT else 1
        groups = floor_div(length, together)
        done = groups * together
        several = [first + axis * together + row for row in range(together)]
        loops = [For(self.rows.axis, groups, "serial", (self.added(kind, several),))]
        if length - done != 0:
            single = self.added(kind, [first + done + axis])
            loops.append(For(self.rows.axis, length - done, "serial", (single,)))
        return list(loops)

    def added(self, kind: str, rows: Sequence[Size]) -> For:
        """Every sum takes the elements of some rows."""
        by_name = {one.name: one for one in self.accumulators}
        statements: list[Statement] = [
            Let(_name(one, "now"), self.held(one, kind), one.sources) for one in self.accumulators
        ]
        statements += self.lets
        for place in rows:
            for item in self.rows.body:
                moved = _moved(item, self.rows.axis, place, set())
                if isinstance(moved, Accumulate):
                    one = by_name[moved.name]
                    now = Local(_name(one, "now"), one.dtype)
                    total = Call(one.combine, (now, moved.value), one.dtype)
                    moved = Let(now.name, total, one.sources)
                statements.append(moved)
        for one in self.accumulators:
            statements.append(self.stored(one, kind, Local(_name(one, "now"), one.dtype)))
        return self.columns(statements)

    # --- statements ----------------------------------------------------------------------------

    @property
    def column(self) -> tuple[Expr, ...]:
        return (Index(Dim.symbol(self.lanes.axis)),)

    def columns(self, statements: Sequence[Statement]) -> For:
        """The vector loop over the columns of a tile."""
        axis, extent = self.lanes.axis, self.lanes.extent
        if self.is_whole:
            return For(axis, extent, "vector", tuple(statements))
        first = Dim.symbol(self.tile) * TILE
        width: Size = dim_min(TILE, extent - first)
        if isinstance(extent, int) and extent % TILE == 0:
            width = TILE
        place = Dim.symbol(axis) + first
        own = {_name(one, kind) for one in self.accumulators for kind in ("sums", "part")}
        return For(axis, width, "vector", tuple(_moved(s, axis, place, own) for s in statements))

    def cleared(self, kind: str) -> list[Statement]:
        return [
            self.stored(one, kind, Const(identity_value(one.combine, one.dtype), one.dtype))
            for one in self.accumulators
        ]

    def held(self, one: Accumulator, kind: str) -> Expr:
        return Load(_name(one, kind), self.column, one.dtype)

    def combined(self, one: Accumulator, kind: str, value: Expr) -> Expr:
        return Call(one.combine, (self.held(one, kind), value), one.dtype)

    def stored(self, one: Accumulator, kind: str, value: Expr) -> Store:
        return Store(_name(one, kind), self.column, value, False, one.sources)

    def with_sums(self, item: Statement) -> Statement:
        """The statement with its sums read from memory."""
        by_name = {one.name: one for one in self.accumulators}

        def leaf(part: Expr) -> Expr | None:
            if isinstance(part, Local) and part.name in by_name:
                return self.held(by_name[part.name], "sums")
            return None

        return map_values(item, lambda value: transform(value, leaf))


def _name(one: Accumulator, kind: str) -> str:
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
