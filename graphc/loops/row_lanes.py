"""Rows side by side: a lane for each, and what is compared of their elements.

Elements are compared by keys: see `scalar.sort_keys`. Where positions are wanted, they are the last
digits of the keys, or a second array beside long ones; no two elements are equal then.
"""

from collections.abc import Iterable, Sequence
from itertools import count

from graphc.dtypes import DType, int64, is_floating, uint32, uint64
from graphc.ir.node import Node
from graphc.loops.ir import For, Let, Scratch, Statement, Store
from graphc.scalar.expr import (
    Expr,
    Index,
    Load,
    Local,
    and_,
    bits,
    cast,
    constant,
    eq,
    like,
    lt,
    maximum,
    minimum,
    or_,
    select,
    shl,
    shr,
)
from graphc.scalar.sort_keys import key_dtype, of_sort_key, sort_key
from graphc.shapes import Dim, Shape, Size, ceil_div, size_product

VECTOR = 64  # bytes
COLUMNS = 8  # elements behind the axis, from which lanes run along them

Entry = tuple[Expr, ...]  # an element as it is compared: the parts of its key


class RowLanes:
    """Rows of arrays [before, elements, behind], as many at a time as a vector has lanes.

    across: rows lie one behind the other, as nothing lies behind the axis. written: "values",
    "positions" or both.
    """

    def __init__(self, node: Node, names: Sequence[str], written: Sequence[str]) -> None:
        x, number = node.inputs[0], node.attrs["axis"]
        size = x.shape[number]
        assert isinstance(size, int)
        self.before = size_product(x.shape[:number])
        self.behind = size_product(x.shape[number + 1 :])
        self.size, self.across = size, self.behind == 1
        self.rows = self.before if self.across else self.behind
        self.dtype, self.descending = x.dtype, node.attrs["descending"]
        self.sources, self.written = node.sources, written
        self.outer, self.tile, self.lane, self.element = names[:4]
        keys = key_dtype(self.dtype)
        self.parts: tuple[tuple[str, DType], ...] = (("held", keys),)
        self.low = 0  # bits below the key
        if "positions" in written and keys.itemsize == 8:
            self.parts += (("places", uint32),)
        elif "positions" in written:
            self.low = 32 if keys.itemsize == 4 else 16
            self.parts = (("held", uint64 if self.low == 32 else uint32),)
        self.lanes = VECTOR // self.parts[0][1].itemsize

    def are_many(self, least: int) -> bool:
        """Whether there are so many rows that lanes pay."""
        return not isinstance(self.rows, int) or self.rows >= (least if self.across else COLUMNS)

    @property
    def has_room(self) -> bool:
        """Whether the last position and a sign fit below the key."""
        return "positions" not in self.written or 2 * self.size <= 1 << (self.low or 32)

    def view(self, size: Size) -> Shape:
        """The shape of an array with so many elements along the axis."""
        return (self.before, size) if self.across else (self.before, size, self.behind)

    def tiles(self, body: Sequence[Statement]) -> list[Statement]:
        """The loops around what is done for as many rows as there are lanes."""
        tiles = For(self.tile, ceil_div(self.rows, self.lanes), "parallel", tuple(body))
        return [tiles] if self.across else [For(self.outer, self.before, "parallel", (tiles,))]

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

    def arrays(self, elements: int) -> list[Statement]:
        """Memory for entries of all lanes."""
        return [Scratch(name, dtype, (elements, self.lanes)) for name, dtype in self.parts]

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

    def at(self, row: Size, element: Size) -> tuple[Expr, ...]:
        """Where an element of a row lies."""
        if self.across:
            return Index(row), Index(element)
        return Index(Dim.symbol(self.outer)), Index(element), Index(row)


class Registers:
    """Statements for entries in registers, with names of their own."""

    def __init__(self, lanes: RowLanes) -> None:
        self.lanes = lanes
        self.statements: list[Statement] = []
        self._numbers = count()

    def named(self, value: Expr) -> Local:
        first = value.dtype == self.lanes.parts[0][1]
        name = f"{'e' if first else 'p'}{next(self._numbers)}"
        self.statements.append(Let(name, value, self.lanes.sources))
        return Local(name, value.dtype)

    def entry(self, parts: Entry) -> Entry:
        return tuple(map(self.named, parts))

    def put_in_order(self, entries: list[Entry], comparisons: Iterable[tuple[int, int]]) -> None:
        for i, j in comparisons:
            if len(self.lanes.parts) == 1:
                (first,), (second,) = entries[i], entries[j]
                entries[i] = self.entry((minimum(first, second),))
                entries[j] = self.entry((maximum(first, second),))
                continue
            swap = self._is_before(entries[j], entries[i])
            pairs = list(zip(entries[i], entries[j], strict=True))
            entries[i] = self.entry(tuple(select(swap, theirs, mine) for mine, theirs in pairs))
            entries[j] = self.entry(tuple(select(swap, mine, theirs) for mine, theirs in pairs))

    def lower(self, one: Entry, other: Entry) -> Entry:
        if len(one) == 1:
            return self.entry((minimum(one[0], other[0]),))
        swap = self._is_before(other, one)
        pairs = zip(one, other, strict=True)
        return self.entry(tuple(select(swap, theirs, mine) for mine, theirs in pairs))

    def _is_before(self, one: Entry, other: Entry) -> Local:
        """Of entries in two parts."""
        (key, place), (other_key, other_place) = one, other
        is_tie = and_(eq(key, other_key), lt(place, other_place))
        name = f"swap{next(self._numbers)}"
        value = or_(lt(key, other_key), is_tie)
        self.statements.append(Let(name, value, self.lanes.sources))
        return Local(name, value.dtype)
