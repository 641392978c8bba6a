"""How a row is sorted: by counting what stands before each element, or digit by digit.

Elements are compared by keys: see `scalar.sort_keys`. Both ways are stable, write no element twice,
and take the same time whatever the order was.

    up to 256 elements    the place of an element is the number of keys before it: two vector loops
    more                  radix sort from the lowest digit, of up to 11 bits, to the highest; of 8
                          bits in shorter rows, where it is the counts that take time
"""

from collections.abc import Sequence

from graphc.dtypes import int32, int64
from graphc.ir.node import Node
from graphc.loops.ir import (
    Accumulate,
    Accumulator,
    For,
    If,
    Let,
    LoopKind,
    Scratch,
    Statement,
    Store,
)
from graphc.loops.values import domain_index
from graphc.scalar.expr import (
    Expr,
    Index,
    Load,
    Local,
    add,
    and_,
    cast,
    le,
    like,
    lt,
    not_,
    shr,
)
from graphc.scalar.sort_keys import key_dtype, sort_key
from graphc.shapes import Dim, Size

FEW = 256
DIGIT = 11  # bits: the counts of a digit stay in the first-level cache
SHORT_DIGIT = 8
SHORT = {4: 1500, 8: 600}  # elements of so many bytes that are sorted by short digits


def sort_row(node: Node, names: Sequence[str], written: Sequence[str]) -> list[Statement]:
    """Statements for one row. written: "values", "positions" or both."""
    row = Row(node, names, written)
    size = row.size
    if isinstance(size, int):
        return row.by_counting() if size <= FEW else row.by_digits()
    is_short = le(Index(size), Index(FEW))
    return [If(is_short, tuple(row.by_counting())), If(not_(is_short), tuple(row.by_digits()))]


class Row:
    """The statements that sort one row of x into the buffers `written`."""

    def __init__(self, node: Node, names: Sequence[str], written: Sequence[str]) -> None:
        x = node.inputs[0]
        self.node, self.names = node, names
        self.number = node.attrs["axis"]
        self.size: Size = x.shape[self.number]
        self.dtype = x.dtype
        self.descending = node.attrs["descending"]
        self.sources = node.sources
        self.axis, self.inner = names[self.number], names[len(x.shape)]
        self.is_last = self.number == len(x.shape) - 1
        self.written = written
        self.place = domain_index(x.shape, names)
        self.e = Index(Dim.symbol(self.axis))

    # --- parts -------------------------------------------------------------------------------

    def at(self, position: Expr) -> tuple[Expr, ...]:
        """The index of an element of the row."""
        return (*self.place[: self.number], position, *self.place[self.number + 1 :])

    @property
    def position(self) -> Expr:
        """Where the elements stand that are sorted."""
        return self.e

    @property
    def element(self) -> Expr:
        return Load("x", self.at(self.position), self.dtype)

    def key(self, element: Expr) -> Expr:
        return sort_key(element, self.descending)

    def put(self, buffer: str, index: tuple[Expr, ...], value: Expr) -> Store:
        return Store(buffer, index, value, False, self.sources)

    def along(self, body: Sequence[Statement]) -> For:
        return For(self.axis, self.size, "serial", tuple(body))

    def results(self, to: Expr, element: Expr, position: Expr) -> list[Statement]:
        given = {"values": element, "positions": position}
        return [self.put(name, self.at(to), given[name]) for name in self.written]

    def all_keys(self) -> list[Statement]:
        """keys of the whole row, made side by side."""
        keys = key_dtype(self.dtype)
        fill = self.put("keys", (self.e,), self.key(Local("element", self.dtype)))
        body = (Let("element", self.element, self.sources), fill)
        kind: LoopKind = "vector" if self.is_last else "serial"
        return [
            Scratch("keys", keys, (self.size,)),
            For(self.axis, self.size, kind, body),
        ]

    # --- by counting -------------------------------------------------------------------------

    def by_counting(self) -> list[Statement]:
        """rank = how many earlier keys are not above, and how many later ones are below"""
        keys = key_dtype(self.dtype)
        count = int64 if keys.itemsize == 8 else int32
        mine, rank = Local("mine", keys), Local("rank", count)
        j = Dim.symbol(self.inner)
        e = Dim.symbol(self.axis)

        def counted(extent: Size, first: Size, above: bool) -> For:
            other = Load("keys", (Index(first + j),), keys)
            before = le(other, mine) if above else lt(other, mine)
            return For(
                self.inner,
                extent,
                "vector",
                (Accumulate("rank", cast(before, count), None, self.sources),),
            )

        return [
            *self.all_keys(),
            self.along(
                [
                    Let("mine", Load("keys", (self.e,), keys), self.sources),
                    Accumulator("rank", "add", count, None, self.sources),
                    counted(e, 0, above=True),
                    counted(self.size - 1 - e, e + 1, above=False),
                    Let("to", cast(rank, int64), self.sources),
                    *self.results(Local("to", int64), self.element, self.e),
                ]
            ),
        ]

    # --- by digits ---------------------------------------------------------------------------

    def by_digits(self) -> list[Statement]:
        """held and places are the row, in the order of the digits so far, and the next one."""
        width = 8 * self.dtype.itemsize
        is_short = isinstance(self.size, int) and self.size <= SHORT.get(self.dtype.itemsize, 0)
        passes = -(-width // (SHORT_DIGIT if is_short else DIGIT))
        digit = -(-width // passes)
        buckets = 1 << digit
        zero, one = Index(0), Index(1)

        def slot(turn: int, key: Expr) -> Expr:
            moved = shr(key, like(key, turn * digit)) if turn else key
            return add(cast(and_(moved, like(key, buckets - 1)), int64), Index(turn * buckets))

        def counts(index: Expr) -> Expr:
            return Load("counts", (index,), int64)

        d = Dim.symbol(self.inner)
        statements: list[Statement] = [
            Scratch("counts", int64, (passes * buckets,)),
            Scratch("before", int64, (passes,)),
        ]
        if passes > 1:
            rows = min(passes - 1, 2)
            statements.append(Scratch("held", self.dtype, (rows, self.size)))
            if "positions" in self.written:
                statements.append(Scratch("places", int64, (rows, self.size)))
        statements += [
            For(self.inner, passes * buckets, "vector", (self.put("counts", (Index(d),), zero),)),
            *(self.put("before", (Index(turn),), zero) for turn in range(passes)),
        ]
        key = Local("key", key_dtype(self.dtype))
        count: list[Statement] = [
            Let("element", self.element, self.sources),
            Let("key", self.key(Local("element", self.dtype)), self.sources),
        ]
        starts: list[Statement] = []
        for turn in range(passes):
            here = Local(f"slot{turn}", int64)
            count.append(Let(here.name, slot(turn, key), self.sources))
            count.append(self.put("counts", (here,), add(counts(here), one)))
            place = Index(d + turn * buckets)
            more, sum_of = Local(f"count{turn}", int64), Load("before", (Index(turn),), int64)
            starts.append(Let(more.name, counts(place), self.sources))
            starts.append(self.put("counts", (place,), sum_of))
            starts.append(self.put("before", (Index(turn),), add(sum_of, more)))
        statements += [self.along(count), For(self.inner, buckets, "serial", tuple(starts))]
        element, to = Local("element", self.dtype), Local("to", int64)
        here = Local("slot", int64)
        for turn in range(passes):
            row, following = Index((turn + 1) % 2), Index(turn % 2)
            origin = self.element if turn == 0 else Load("held", (row, self.e), self.dtype)
            position = self.position if turn == 0 else Load("places", (row, self.e), int64)
            body: list[Statement] = [
                Let("element", origin, self.sources),
                Let("slot", slot(turn, self.key(element)), self.sources),
                Let("to", counts(here), self.sources),
                self.put("counts", (here,), add(to, one)),
            ]
            if turn == passes - 1:
                body += self.results(to, element, position)
            else:
                body.append(self.put("held", (following, to), element))
                if "positions" in self.written:
                    body.append(self.put("places", (following, to), position))
            statements.append(self.along(body))
        return statements
