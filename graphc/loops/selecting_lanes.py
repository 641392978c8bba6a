"""How a few elements are selected from many rows at once, and which way is taken.

    best[k, r] are the best elements of row r so far, in order
    the next `KEPT` elements of the rows are put in order, in registers
    the first of them is compared with the last of the best, and so on: the lower ones stay
    these rise and then fall: they are put in order by a bitonic merge

`KEPT` is the power of two from the number that is wanted on.
"""

import math
from collections.abc import Sequence

from graphc.ir.node import Node
from graphc.loops.ir import For, Statement, Store
from graphc.loops.row_lanes import Entry, Registers, RowLanes
from graphc.loops.sorting_lanes import SortInLanes, is_sorted_in_lanes
from graphc.scalar.comparisons import bitonic_merge, sorting_network
from graphc.scalar.expr import Index, Load
from graphc.shapes import Dim, Shape, Size, dim_min

FEWEST, MOST = 4, 16  # elements that are kept in registers
TAKEN = 8  # elements of a row that are read together, at least
# Nanoseconds: for each element, and each comparison, of a row in lanes; for each comparison of a
# sort in lanes; for each element, each that enters, and each that moves for it, where rows are
# taken one by one. The first three are those of entries of eight bytes; long keys have two parts.
READ, COMPARED, SORTED = 0.2, 0.067, 0.033
LOOKED_AT, ENTERED, MOVED = 0.45, 10, 0.4
TWO_PARTS = 2.2


def rows_in_lanes(
    node: Node, names: Sequence[str], written: Sequence[str]
) -> tuple[list[Statement], Shape, Shape] | None:
    """The loops of a sort or selection, and the shapes of what is read and written; None where
    rows are taken one by one. written: "values", "positions" or both."""
    shape = node.inputs[0].shape
    if len(shape) == 1 or not isinstance(shape[node.attrs["axis"]], int):
        return None
    lanes = RowLanes(node, names, written)
    count = node.attrs.get("count", lanes.size)
    if not isinstance(count, int) or not lanes.has_room:
        return None
    sort = SortInLanes(node, names, written, count) if is_sorted_in_lanes(lanes) else None
    found: SortInLanes | SelectInLanes | None = sort
    if "count" in node.attrs:
        found = _quickest(lanes, count, sort, SelectInLanes(node, names, written, count))
    if found is None:
        return None
    return found.statements(), lanes.view(lanes.size), lanes.view(count)


class SelectInLanes(RowLanes):
    """The statements that put the first `count` elements of rows in order."""

    def __init__(
        self, node: Node, names: Sequence[str], written: Sequence[str], count: int
    ) -> None:
        super().__init__(node, names, written)
        self.count = count
        self.kept = max(FEWEST, 1 << (count - 1).bit_length())
        self.taken = max(self.kept, TAKEN)  # elements that are looked at together
        self.registers = Registers(self)

    @property
    def comparisons(self) -> float:
        """For each element."""
        several = len(sorting_network(self.kept)) + len(bitonic_merge(self.kept))
        return several / self.kept + 0.5

    def statements(self) -> list[Statement]:
        first, lane = Dim.symbol(self.tile) * self.lanes, Dim.symbol(self.lane)
        is_whole = isinstance(self.rows, int) and self.rows % self.lanes == 0
        extent = self.lanes if is_whole else dim_min(self.lanes, self.rows - first)
        row = first + lane
        start = self.size % self.taken or self.taken
        body = self.keep(self.best_of(row, 0, start))
        groups = (self.size - start) // self.taken
        body.append(For(self.element, groups, "serial", self.following(row, start)))
        for place in range(self.count):
            results = self.results(self.held(Index(place), lane))
            to = self.at(row, place)
            body += [Store(name, to, results[name], False, self.sources) for name in self.written]
        return self.tiles([*self.arrays(self.kept), self.along_lanes(body, extent)])

    def following(self, row: Size, start: int) -> tuple[Statement, ...]:
        """The best of those so far and of the elements that follow."""
        lane, first = Dim.symbol(self.lane), start + self.taken * Dim.symbol(self.element)
        found = self.best_of(row, first, self.taken)
        best = [self.registers.entry(self.held(Index(k), lane)) for k in range(self.kept)]
        return tuple(self.keep(self.merged(best, found)))

    def best_of(self, row: Size, first: Size, elements: int) -> list[Entry]:
        """Of so many elements from the first on, in order; the highest keys where there is none."""
        best: list[Entry] = []
        for start in range(0, elements, self.kept):
            group = [self.highest] * self.kept
            for k in range(min(self.kept, elements - start)):
                place = first + (start + k)
                x = self.registers.named(Load("x", self.at(row, place), self.dtype))
                group[k] = self.registers.entry(self.entry(x, Index(place)))
            self.registers.put_in_order(group, sorting_network(self.kept))
            best = self.merged(best, group) if best else group
        return best

    def merged(self, one: Sequence[Entry], other: Sequence[Entry]) -> list[Entry]:
        pairs = zip(one, reversed(other), strict=True)
        left = [self.registers.lower(a, b) for a, b in pairs]
        self.registers.put_in_order(left, bitonic_merge(self.kept))
        return left

    def keep(self, entries: Sequence[Entry]) -> list[Statement]:
        """All statements so far, and stores."""
        statements, self.registers.statements = self.registers.statements, []
        for k, entry in enumerate(entries):
            statements += self.hold(Index(k), Dim.symbol(self.lane), entry)
        return statements


def _quickest(
    lanes: RowLanes, count: int, sort: SortInLanes | None, selection: SelectInLanes
) -> SortInLanes | SelectInLanes | None:
    """None: rows are taken one by one."""
    wide = TWO_PARTS if len(lanes.parts) == 2 else 1
    size = lanes.size
    if not 0 < count <= size or not lanes.are_many(lanes.lanes // 2):
        return None
    entries = count * (1 + math.log(size / count))
    times: list[tuple[float, SortInLanes | SelectInLanes | None]] = [
        (LOOKED_AT * size + (ENTERED + MOVED * count) * entries, None)
    ]
    if sort is not None:
        levels = (size - 1).bit_length()
        times.append((wide * SORTED * (1 << levels) * levels**2, sort))
    if count <= MOST:
        each = READ + COMPARED * selection.comparisons
        times.append((wide * each * size, selection))
    return min(times, key=lambda one: one[0])[1]
