"""How many rows are sorted at once: a lane for each, by comparisons that depend on nothing.

    held[e, r] is element e of row r, for as many rows as a vector has lanes
    every 8 elements    put in order, in registers
    runs of 8, 16, ...  merged two and two: the first element of both is compared with the last,
                        the second with the last but one, and so on; then those that lie half a
                        run apart, a quarter of it, ..., and the last 8 in registers

A comparison leaves the lower element in front: Batcher's bitonic merge (1968), with all
comparisons pointing one way. What is missing behind the last element would stay there, so that
comparisons with it alone are left out.

Elements are compared by keys: see `scalar.sort_keys`. Where positions are wanted, they are the last
digits of the keys, or a second array beside long ones; no two elements are equal then.
"""

from collections.abc import Sequence
from itertools import count

from graphc.dtypes import DType, int64, is_floating, uint32, uint64
from graphc.ir.node import Node
from graphc.loops.ir import For, If, Let, Scratch, Statement, Store
from graphc.scalar.comparisons import bitonic_merge, sorting_network
from graphc.scalar.expr import (
    Expr,
    Index,
    Load,
    Local,
    add,
    and_,
    bits,
    cast,
    constant,
    eq,
    le,
    like,
    lt,
    maximum,
    minimum,
    not_,
    or_,
    select,
    shl,
    shr,
    sub,
)
from graphc.scalar.sort_keys import key_dtype, of_sort_key, sort_key
from graphc.shapes import Dim, Shape, Size, ceil_div, dim_max, size_product

SHORTEST, LONGEST = 17, 8192  # elements of a row
DIGITS = 3
IN_REGISTERS = 1 << DIGITS  # elements of each row that are there at once
MOVED = 4  # elements of a row that are read or written together
VECTOR = 64  # bytes
FEWEST = {512: 2, LONGEST: 4}  # rows, by the most elements they may have
COLUMNS = 8  # elements behind the axis, from which lanes run along them

Entry = tuple[Expr, ...]  # an element as it is compared: the parts of its key


def sort_in_lanes(
    node: Node, names: Sequence[str], written: Sequence[str]
) -> tuple[list[Statement], Shape] | None:
    """The loops of a sort over arrays [before, elements, behind], and their shape; None where rows
    are sorted one by one. written: "values", "positions" or both."""
    shape, number = node.inputs[0].shape, node.attrs["axis"]
    size = shape[number]
    before, behind = size_product(shape[:number]), size_product(shape[number + 1 :])
    if not isinstance(size, int) or not SHORTEST <= size <= LONGEST:
        return None
    rows = before if behind == 1 else behind
    fewest = next(least for most, least in FEWEST.items() if size <= most)
    if isinstance(rows, int) and rows < (fewest if behind == 1 else COLUMNS):
        return None
    sort = _Sort(node, names, written, size, rows, behind == 1)
    tiles = For(sort.tile, ceil_div(rows, sort.lanes), "parallel", tuple(sort.statements()))
    if behind == 1:
        return [tiles], (before, size)
    return [For(sort.outer, before, "parallel", (tiles,))], (before, size, behind)


class _Sort:
    """The statements that sort a tile of rows. across: rows lie one behind the other."""

    def __init__(
        self,
        node: Node,
        names: Sequence[str],
        written: Sequence[str],
        size: int,
        rows: Size,
        across: bool,
    ) -> None:
        self.dtype = node.inputs[0].dtype
        self.descending = node.attrs["descending"]
        self.sources, self.written = node.sources, written
        self.size, self.rows, self.across = size, rows, across
        self.padded = 1 << (size - 1).bit_length()
        self.used = ceil_div(size, IN_REGISTERS) * IN_REGISTERS  # elements that are compared
        assert isinstance(self.used, int)
        self.outer, self.tile, self.lane = names[0], names[1], names[2]
        self.element, self.level = names[3], f"{names[3]}_level"
        self.round = f"{names[3]}_round"
        keys = key_dtype(self.dtype)
        self.parts: tuple[tuple[str, DType], ...] = (("held", keys),)
        self.low = 0  # bits below the key
        if "positions" in written and keys.itemsize == 8:
            self.parts += (("places", uint32),)
        elif "positions" in written:
            self.low = 32 if keys.itemsize == 4 else 16
            self.parts = (("held", uint64 if self.low == 32 else uint32),)
        self.lanes = VECTOR // self.parts[0][1].itemsize

    def statements(self) -> list[Statement]:
        arrays = [Scratch(name, dtype, (self.padded, self.lanes)) for name, dtype in self.parts]
        first = Dim.symbol(self.tile) * self.lanes
        left = self.rows - first
        is_whole = le(Index(first + self.lanes), Index(self.rows))
        whole, part = (self.read_whole, self.write_whole), (self.read_part, self.write_part)
        result: list[Statement] = [*arrays]
        for step, inside in ((0, self.in_order()), (1, [])):
            if isinstance(self.rows, int) and self.rows % self.lanes == 0:
                result += whole[step](first)
            elif isinstance(self.rows, int) and self.rows < self.lanes:
                result += part[step](first, left)
            else:
                result.append(If(is_whole, tuple(whole[step](first))))
                result.append(If(not_(is_whole), tuple(part[step](first, left))))
            result += inside
        return result

    # --- elements and what is compared --------------------------------------------------------

    def entry(self, x: Expr, position: Expr) -> Entry:
        """What is compared of element x of a row."""
        both = "positions" in self.written
        key = sort_key(x, self.descending, zeros_apart=not both)
        if not both:
            return (key,)
        # Equal zeros keep their order, and their signs in the last digit.
        place = shl(cast(position, uint32), constant(1, uint32))
        if is_floating(self.dtype):
            pattern = bits(x)
            sign = eq(pattern, like(pattern, 1 << 8 * self.dtype.itemsize - 1))
            place = or_(place, cast(sign, uint32))
        if len(self.parts) == 2:
            return key, place
        wide = self.parts[0][1]
        return (or_(shl(cast(key, wide), constant(self.low, wide)), cast(place, wide)),)

    def results(self, entry: Entry) -> dict[str, Expr]:
        """The element and its position."""
        if "positions" not in self.written:
            return {"values": of_sort_key(entry[0], self.dtype, self.descending)}
        if len(self.parts) == 2:
            key, place = entry
        else:
            low = like(entry[0], self.low)
            key = cast(shr(entry[0], low), key_dtype(self.dtype))
            place = and_(entry[0], like(entry[0], (1 << self.low) - 1))
        value = of_sort_key(key, self.dtype, self.descending)
        if is_floating(self.dtype):
            is_below = eq(and_(place, like(place, 1)), like(place, 1))
            is_zero = eq(value, like(value, 0))
            value = select(and_(is_below, is_zero), like(value, -0.0), value)
        return {"values": value, "positions": cast(shr(place, like(place, 1)), int64)}

    @property
    def highest(self) -> Entry:
        return tuple(constant((1 << 8 * dtype.itemsize) - 1, dtype) for _, dtype in self.parts)

    def held(self, element: Expr, lane: Size) -> Entry:
        place = (element, Index(lane))
        return tuple(Load(name, place, dtype) for name, dtype in self.parts)

    def hold(self, element: Expr, lane: Size, entry: Entry) -> list[Statement]:
        place = (element, Index(lane))
        return [
            Store(name, place, value, False, self.sources)
            for (name, _), value in zip(self.parts, entry, strict=True)
        ]

    def along_lanes(self, body: Sequence[Statement], extent: Size | None = None) -> For:
        return For(self.lane, self.lanes if extent is None else extent, "vector", tuple(body))

    # --- rows in and out -----------------------------------------------------------------------

    def at(self, row: Size, element: Size) -> tuple[Expr, ...]:
        """Where an element of a row lies."""
        if self.across:
            return Index(row), Index(element)
        return Index(Dim.symbol(self.outer)), Index(element), Index(row)

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
        return [
            self.fill(0),
            *self.one_by_one(left, tuple(self.read(first + lane, element, lane))),
        ]

    def write_whole(self, first: Size) -> list[Statement]:
        lane, element = Dim.symbol(self.lane), Dim.symbol(self.element)
        if not self.across:
            body = self.along_lanes(self.write(first + lane, element, lane))
            return [For(self.element, self.size, "parallel", (body,))]
        start = MOVED * lane
        parts = [self.write(first + start + k, element, start + k) for k in range(MOVED)]
        body = For(
            self.element, self.size, "vector", tuple(item for part in parts for item in part)
        )
        return [For(self.lane, self.lanes // MOVED, "parallel", (body,))]

    def write_part(self, first: Size, left: Size) -> list[Statement]:
        lane, element = Dim.symbol(self.lane), Dim.symbol(self.element)
        return self.one_by_one(left, tuple(self.write(first + lane, element, lane)))

    def one_by_one(self, left: Size, body: tuple[Statement, ...]) -> list[Statement]:
        """Loops over the rows that are left and their elements."""
        if self.across:
            inner = For(self.element, self.size, "parallel", body)
            return [For(self.lane, left, "parallel", (inner,))]
        return [For(self.element, self.size, "parallel", (self.along_lanes(body, left),))]

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
        groups = ceil_div(self.used, IN_REGISTERS)
        return For(self.element, groups, "parallel", (body,))

    def ends_with_starts(self) -> For:
        """Of two runs of two quarters each the first element with the last one, and so on; then
        those that lie a quarter apart."""
        one, pair = Index(1), Index(Dim.symbol(self.element))
        digits, start = Local("digits", int64), Local("start", int64)
        quarter, inside = Local("quarter", int64), Local("inside", int64)
        second, fourth = add(start, quarter), Local("last", int64)
        places = [
            add(start, inside),
            add(second, inside),
            sub(fourth, quarter),
            fourth,
        ]
        number = count()
        named: list[Statement] = [
            Let(f"place{next(number)}", place, self.sources) for place in places
        ]
        locals_ = [Local(f"place{k}", int64) for k in range(4)]
        order = [(0, 3), (1, 2), (0, 1), (2, 3)]
        body: list[Statement] = [
            Let("inside", and_(pair, sub(quarter, one)), self.sources),
            Let("last", sub(add(start, sub(shl(quarter, Index(2)), one)), inside), self.sources),
            *named,
            self.along_lanes(self.compared(locals_, order)),
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
        rounds = dim_max(0, Dim.symbol(self.level) - 1)
        return For(
            self.round,
            rounds,
            "serial",
            (
                Let(
                    "step_digits", Index(Dim.symbol(self.level) + (DIGITS - 2) - turn), self.sources
                ),
                Let("step", shl(one, digits), self.sources),
                pairs,
            ),
        )

    def compared(
        self, places: Sequence[Expr], comparisons: Sequence[tuple[int, int]]
    ) -> list[Statement]:
        """The entries at some places, compared in registers and put back."""
        lane = Dim.symbol(self.lane)
        statements: list[Statement] = []
        number = count()

        def named(value: Expr) -> Local:
            name = f"{'e' if value.dtype == self.parts[0][1] else 'p'}{next(number)}"
            statements.append(Let(name, value, self.sources))
            return Local(name, value.dtype)

        entries: list[Entry] = [tuple(map(named, self.held(place, lane))) for place in places]
        for i, j in comparisons:
            if len(self.parts) == 1:
                (first,), (second,) = entries[i], entries[j]
                lower, higher = minimum(first, second), maximum(first, second)
                entries[i], entries[j] = (named(lower),), (named(higher),)
                continue
            (key, place), (other, there) = entries[i], entries[j]
            is_tie = and_(eq(key, other), lt(there, place))
            statements.append(Let(f"swap{next(number)}", or_(lt(other, key), is_tie), self.sources))
            last = statements[-1]
            assert isinstance(last, Let)
            swap = Local(last.name, last.value.dtype)
            pairs = ((key, other), (place, there))
            entries[i] = tuple(named(select(swap, theirs, mine)) for mine, theirs in pairs)
            entries[j] = tuple(named(select(swap, mine, theirs)) for mine, theirs in pairs)
        for place, entry in zip(places, entries, strict=True):
            statements += self.hold(place, lane, entry)
        return statements
