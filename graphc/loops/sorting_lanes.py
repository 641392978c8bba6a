"""How many rows are sorted at once: a lane for each, by comparisons that depend on nothing.

    held[e, r] is element e of row r, for as many rows as a vector has lanes
    every 8 elements    put in order, in registers
    runs of 8, 16, ...  merged two and two: the first element of both is compared with the last,
                        the second with the last but one, and so on; then those that lie half a
                        run apart, a quarter of it, ..., and the last 8 in registers

A comparison leaves the lower element in front: Batcher's bitonic merge (1968), with all
comparisons pointing one way. What is missing behind the last element would stay there, so that
comparisons with it alone are left out.
"""

from collections.abc import Sequence

from graphc.dtypes import int64
from graphc.ir.node import Node
from graphc.loops.ir import For, If, Let, Statement, Store
from graphc.loops.row_lanes import Registers, RowLanes
from graphc.scalar.comparisons import bitonic_merge, sorting_network
from graphc.scalar.expr import Expr, Index, Load, Local, add, and_, le, lt, not_, shl, shr, sub
from graphc.shapes import Dim, Size, dim_max

SHORTEST, LONGEST = 17, 8192  # elements of a row
DIGITS = 3
IN_REGISTERS = 1 << DIGITS  # elements of each row that are there at once
MOVED = 4  # elements of a row that are read or written together
FEWEST = {512: 2, LONGEST: 4}  # rows, by the most elements they may have


def is_sorted_in_lanes(lanes: RowLanes) -> bool:
    """Whether rows are of such a length, and enough of them."""
    if not SHORTEST <= lanes.size <= LONGEST:
        return False
    return lanes.are_many(next(least for most, least in FEWEST.items() if lanes.size <= most))


class SortInLanes(RowLanes):
    """The statements that sort rows, or put the first `count` elements of them in order."""

    def __init__(
        self, node: Node, names: Sequence[str], written: Sequence[str], count: int | None = None
    ) -> None:
        super().__init__(node, names, written)
        self.count = self.size if count is None else count
        self.padded = 1 << (self.size - 1).bit_length()
        # Elements that are compared.
        self.used = -(-self.size // IN_REGISTERS) * IN_REGISTERS
        self.level, self.round = f"{self.element}_level", f"{self.element}_round"

    def statements(self) -> list[Statement]:
        first = Dim.symbol(self.tile) * self.lanes
        left = self.rows - first
        return self.tiles(
            [
                *self.arrays(self.padded),
                *self.either(self.read_whole(first), self.read_part(first, left)),
                *self.in_order(),
                *self.either(self.write_whole(first), [self.write_part(first, left)]),
            ]
        )

    def either(self, whole: list[Statement], part: list[Statement]) -> list[Statement]:
        """What is done with a tile that has a row for each lane, and with the last one."""
        if isinstance(self.rows, int) and self.rows % self.lanes == 0:
            return whole
        if isinstance(self.rows, int) and self.rows < self.lanes:
            return part
        last = Index(Dim.symbol(self.tile) * self.lanes + self.lanes)
        is_whole = le(last, Index(self.rows))
        return [If(is_whole, tuple(whole)), If(not_(is_whole), tuple(part))]

    # --- rows in and out -----------------------------------------------------------------------

    def read(self, row: Size, element: Size, lane: Size, number: int = 0) -> list[Statement]:
        x = Local(f"x{number}", self.dtype)
        return [
            Let(x.name, Load("x", self.at(row, element), self.dtype), self.sources),
            *self.hold(Index(element), lane, self.entry(x, Index(element))),
        ]

    def write(self, row: Size, element: Size, lane: Size) -> list[Statement]:
        results = self.results(self.held(Index(element), lane))
        place = self.at(row, element)
        return [Store(name, place, results[name], False, self.sources) for name in self.written]

    def fill(self, first: int) -> For:
        """The highest key where there is no element: it stays behind all others."""
        place = Index(first + Dim.symbol(self.element))
        inner = self.along_lanes(self.hold(place, Dim.symbol(self.lane), self.highest))
        return For(self.element, self.padded - first, "parallel", (inner,))

    def read_whole(self, first: Size) -> list[Statement]:
        lane, element = Dim.symbol(self.lane), Dim.symbol(self.element)
        moved = MOVED if self.across else 1

        def some(start: Size, number: int) -> For:
            parts = [self.read(first + lane, start + k, lane, k) for k in range(number)]
            return self.along_lanes([item for part in parts for item in part])

        groups, rest = divmod(self.size, moved)
        result: list[Statement] = [
            For(self.element, groups, "parallel", (some(moved * element, moved),))
        ]
        if rest:
            result.append(some(moved * groups, rest))
        return [*result, self.fill(self.size)]

    def read_part(self, first: Size, left: Size) -> list[Statement]:
        lane, element = Dim.symbol(self.lane), Dim.symbol(self.element)
        read = self.read(first + lane, element, lane)
        return [self.fill(0), self.one_by_one(left, self.size, read)]

    def write_whole(self, first: Size) -> list[Statement]:
        lane, element = Dim.symbol(self.lane), Dim.symbol(self.element)
        if not self.across:
            body = self.along_lanes(self.write(first + lane, element, lane))
            return [For(self.element, self.count, "parallel", (body,))]
        start = MOVED * lane
        parts = [self.write(first + start + k, element, start + k) for k in range(MOVED)]
        items = tuple(item for part in parts for item in part)
        body = For(self.element, self.count, "vector", items)
        return [For(self.lane, self.lanes // MOVED, "parallel", (body,))]

    def write_part(self, first: Size, left: Size) -> Statement:
        lane, element = Dim.symbol(self.lane), Dim.symbol(self.element)
        return self.one_by_one(left, self.count, self.write(first + lane, element, lane))

    def one_by_one(self, left: Size, elements: int, body: list[Statement]) -> For:
        """Loops over the rows that are left and their elements."""
        if self.across:
            inner = For(self.element, elements, "parallel", tuple(body))
            return For(self.lane, left, "parallel", (inner,))
        return For(self.element, elements, "parallel", (self.along_lanes(body, left),))

    # --- order -----------------------------------------------------------------------------------

    def in_order(self) -> list[Statement]:
        levels = (self.padded // IN_REGISTERS).bit_length() - 1
        merge: list[Statement] = [
            Let("digits", Index(Dim.symbol(self.level) + (DIGITS - 1)), self.sources),
            self.ends_with_starts(),
            self.apart(),
            self.in_registers(bitonic_merge(IN_REGISTERS)),
        ]
        return [
            self.in_registers(sorting_network(IN_REGISTERS)),
            For(self.level, levels, "serial", tuple(merge)),
        ]

    def in_registers(self, comparisons: Sequence[tuple[int, int]]) -> For:
        first = IN_REGISTERS * Dim.symbol(self.element)
        places = [Index(first + k) for k in range(IN_REGISTERS)]
        body = self.along_lanes(self.compared(places, comparisons))
        return For(self.element, self.used // IN_REGISTERS, "parallel", (body,))

    def compared(
        self, places: Sequence[Expr], comparisons: Sequence[tuple[int, int]]
    ) -> list[Statement]:
        """The entries at some places, compared in registers and put back."""
        lane, registers = Dim.symbol(self.lane), Registers(self)
        entries = [registers.entry(self.held(place, lane)) for place in places]
        registers.put_in_order(entries, comparisons)
        for place, entry in zip(places, entries, strict=True):
            registers.statements += self.hold(place, lane, entry)
        return registers.statements

    def ends_with_starts(self) -> For:
        """Of two runs of two quarters each the first element with the last one, and so on; then
        those that lie a quarter apart."""
        one, pair = Index(1), Index(Dim.symbol(self.element))
        digits, start = Local("digits", int64), Local("start", int64)
        quarter, inside = Local("quarter", int64), Local("inside", int64)
        places = [Local(f"place{number}", int64) for number in range(4)]
        first, second, third, fourth = places
        last = sub(add(start, shl(quarter, Index(2))), one)
        body: list[Statement] = [
            Let("inside", and_(pair, sub(quarter, one)), self.sources),
            Let(first.name, add(start, inside), self.sources),
            Let(second.name, add(first, quarter), self.sources),
            Let(fourth.name, sub(last, inside), self.sources),
            Let(third.name, sub(fourth, quarter), self.sources),
            self.along_lanes(self.compared(places, [(0, 3), (1, 2), (0, 1), (2, 3)])),
        ]
        both = add(start, shl(quarter, one))
        return For(
            self.element,
            self.padded // 4,
            "parallel",
            (
                Let("quarter", shl(one, digits), self.sources),
                Let("start", shl(shr(pair, digits), add(digits, Index(2))), self.sources),
                If(lt(both, Index(self.used)), tuple(body)),
            ),
        )

    def apart(self) -> For:
        """Elements that lie half a quarter apart, a quarter of it, ..., IN_REGISTERS."""
        one, pair = Index(1), Index(Dim.symbol(self.element))
        digits, start = Local("step_digits", int64), Local("start", int64)
        step, upper = Local("step", int64), Local("place0", int64)
        body: list[Statement] = [
            Let("place0", add(start, and_(pair, sub(step, one))), self.sources),
            Let("place1", add(upper, step), self.sources),
            self.along_lanes(self.compared([upper, Local("place1", int64)], [(0, 1)])),
        ]
        pairs = For(
            self.element,
            self.padded // 2,
            "parallel",
            (
                Let("start", shl(shr(pair, digits), add(digits, one)), self.sources),
                If(lt(add(start, step), Index(self.used)), tuple(body)),
            ),
        )
        turn = Dim.symbol(self.round)
        level = Dim.symbol(self.level)
        each = (
            Let("step_digits", Index(level + (DIGITS - 2) - turn), self.sources),
            Let("step", shl(one, digits), self.sources),
            pairs,
        )
        return For(self.round, dim_max(0, level - 1), "serial", each)
