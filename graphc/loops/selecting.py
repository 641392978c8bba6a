"""How a few of many elements are selected from a row, and more of many.

    few          one pass, which keeps the best so far in order
    more         only those elements are sorted whose highest digit may be that of a wanted one

Elements are compared by the keys that rows are sorted by. Of equals the first comes first.
"""

import math
from collections.abc import Sequence

from graphc.dtypes import int64
from graphc.ir.node import Node
from graphc.loops.ir import For, If, Let, Scratch, Statement
from graphc.loops.sorting import DIGIT, Row
from graphc.scalar.expr import (
    Expr,
    Index,
    Load,
    Local,
    add,
    and_,
    cast,
    constant,
    eq,
    le,
    like,
    lt,
    minimum,
    not_,
    select,
    shr,
    xor,
)
from graphc.scalar.sort_keys import key_dtype
from graphc.shapes import Dim, Size, ceil_div, dim_min, floor_div

SELECTED = 32  # elements that are selected whatever the order is
# Times in one unit: to choose from a row, for each of its elements and in all; to let an element
# enter among those that are selected, beside their number.
CHOOSING, CHOOSING_AT_ALL = 9, 67_500
ENTERING = 30
LONG = 4096  # elements of a row of which those that matter are chosen before they are sorted
LANES = 12  # elements from which they move in lanes
BLOCK = 1024  # of them that are looked at or left out together
CHOSEN = Load("among", (Index(0),), int64)  # how many elements were chosen


def select_row(node: Node, names: Sequence[str], written: Sequence[str]) -> list[Statement]:
    """Statements for the first attrs["count"] elements of one row in order."""
    count = node.attrs["count"]
    row = _Selected(node, names, written)
    if row.is_rather_chosen(count):
        return [*row.all_keys(), *_Chosen(node, names, written).statements(count)]
    return row.statements(count)


class _Selected(Row):
    """Elements that are better than the last of the best enter among them."""

    def statements(self, count: int) -> list[Statement]:
        """best and origin are the keys so far, in order behind the lowest key of all, and where
        they stand. They are there twice: what enters makes the other one of the one that counts.

        Elements of the highest key never enter. Those that are wanted follow in a second pass.
        Where too many enter, as they do of a row in the wrong order, the row is sorted.
        """
        keys = key_dtype(self.dtype)
        highest, lowest = constant((1 << 8 * keys.itemsize) - 1, keys), constant(0, keys)
        j, zero, one = Dim.symbol(self.inner), Index(0), Index(1)
        key, entered = Local("key", keys), Load("entered", (zero,), int64)
        turn, following = Local("turn", int64), Local("following", int64)

        def best(row: Expr, at: Size) -> Load:
            return Load("best", (row, Index(at)), keys)

        def origin(row: Expr, at: Size) -> Load:
            return Load("origin", (row, Index(at)), int64)

        under, now = Local("under", keys), Local("now", keys)
        there, here = Local("there", int64), Local("here", int64)
        value = select(lt(key, under), under, select(lt(key, now), key, now))
        place = select(lt(key, under), there, select(lt(key, now), self.e, here))
        moved: list[Statement] = [
            Let("under", best(turn, j), self.sources),
            Let("now", best(turn, j + 1), self.sources),
            Let("there", origin(turn, j), self.sources),
            Let("here", origin(turn, j + 1), self.sources),
            self.put("best", (following, Index(j + 1)), value),
            self.put("origin", (following, Index(j + 1)), place),
        ]
        enter: list[Statement] = [
            Let("turn", and_(entered, one), self.sources),
            Let("following", xor(turn, one), self.sources),
            For(self.inner, count, "vector" if count >= LANES else "serial", tuple(moved)),
            self.put("last", (zero,), best(following, count)),
            self.put("entered", (zero,), add(entered, one)),
        ]
        read: list[Statement] = [Let("key", Load("keys", (self.e,), keys), self.sources)]
        is_better: Expr = lt(key, Load("last", (zero,), keys))
        limit = self.most_entries(count)
        if limit is not None:
            is_better = and_(is_better, lt(entered, limit))
        start = [
            self.put(array, (Index(row), Index(j)), first)
            for row in range(2)
            for array, first in (("best", highest), ("origin", zero))
        ]
        before: list[Statement] = [
            *self.all_keys(),
            Scratch("best", keys, (2, count + 1)),
            Scratch("origin", int64, (2, count + 1)),
            Scratch("last", keys, (1,)),
            Scratch("entered", int64, (1,)),
            For(self.inner, count + 1, "vector", tuple(start)),
            *(self.put("best", (Index(row), zero), lowest) for row in range(2)),
            self.put("last", (zero,), highest),
            self.put("entered", (zero,), zero),
            self.along([*read, If(is_better, tuple(enter))]),
        ]
        final, found = Local("final", int64), Load("found", (zero,), int64)
        last = and_(eq(key, highest), lt(found, Index(count)))
        follow: list[Statement] = [
            Let("free", add(found, one), self.sources),
            self.put("origin", (final, Local("free", int64)), self.e),
            self.put("found", (zero,), Local("free", int64)),
        ]
        to = Local("to", int64)
        given: dict[str, Expr] = {"values": Load("x", self.at(to), self.dtype), "positions": to}
        write = [self.put(name, self.at(Index(j)), given[name]) for name in self.written]
        behind: list[Statement] = [
            Let("final", and_(entered, one), self.sources),
            Scratch("found", int64, (1,)),
            self.put("found", (zero,), minimum(entered, Index(count))),
            If(lt(found, Index(count)), (self.along([*read, If(last, tuple(follow))]),)),
            For(
                self.inner,
                count,
                "serial",
                (Let("to", origin(final, j + 1), self.sources), *write),
            ),
        ]
        if limit is None:
            return before + behind
        few = lt(entered, limit)
        chosen = _Chosen(self.node, self.names, self.written).statements(count)
        return [*before, If(few, tuple(behind)), If(not_(few), tuple(chosen))]

    def most_entries(self, count: int) -> Expr | None:
        """So many elements may enter before choosing takes less time; None: that is never so."""
        if count <= SELECTED:
            return None
        return Index(floor_div(self.size * CHOOSING + CHOOSING_AT_ALL, ENTERING + count))

    def is_rather_chosen(self, count: int) -> bool:
        """Whether more elements of a row in no order would enter than that."""
        if not isinstance(self.size, int) or count <= SELECTED:
            return False
        entries = count * (1 + math.log(self.size / count))
        most = (self.size * CHOOSING + CHOOSING_AT_ALL) / (ENTERING + count)
        return 2 * entries > most


class _Chosen(Row):
    """Elements whose highest digit is not above that of the last one that is wanted are sorted."""

    wanted = 0  # how many of the sorted elements are stored
    is_chosen = False  # whether elements are those that `chosen` tells

    @property
    def position(self) -> Expr:
        return Load("chosen", (self.e,), int64) if self.is_chosen else self.e

    def along(self, body: Sequence[Statement]) -> For:
        if not self.is_chosen:
            return super().along(body)
        first = Dim.symbol(self.axis) * BLOCK
        each = If(lt(self.e, CHOSEN), tuple(body))
        block = For(self.inner, dim_min(self.size - first, BLOCK), "serial", (each,))
        blocks = ceil_div(self.size, BLOCK)
        return For(self.axis, blocks, "serial", (If(lt(Index(first), CHOSEN), (block,)),))

    def results(self, to: Expr, element: Expr, position: Expr) -> list[Statement]:
        stores = super().results(to, element, position)
        return [If(lt(to, Index(self.wanted)), tuple(stores))]

    def statements(self, count: int) -> list[Statement]:
        """The positions of elements whose highest digit is not above that of the element which
        `count - 1` others come before; these are sorted."""
        self.wanted = count
        keys = key_dtype(self.dtype)
        width = 8 * keys.itemsize
        if width <= DIGIT or (isinstance(self.size, int) and self.size < LONG):
            return self.by_digits()
        key, digit, more = Local("key", keys), Local("digit", int64), Local("more", int64)
        zero, one, d = Index(0), Index(1), Dim.symbol(self.inner)
        edge, found, marks = Load("edge", (zero,), int64), CHOSEN, Load("marks", (digit,), int64)
        read: list[Statement] = [
            Let("key", Load("keys", (self.e,), keys), self.sources),
            Let("digit", cast(shr(key, like(key, width - DIGIT)), int64), self.sources),
        ]
        passed: list[Statement] = [
            Let("more", add(found, Load("marks", (Index(d),), int64)), self.sources),
            self.put("among", (zero,), more),
            self.put("edge", (zero,), add(edge, cast(lt(more, Index(count)), int64))),
        ]
        keep: list[Statement] = [
            Let("free", found, self.sources),
            self.put("chosen", (Local("free", int64),), self.e),
            self.put("among", (zero,), add(Local("free", int64), one)),
        ]
        statements: list[Statement] = [
            *(Scratch(name, int64, (1,)) for name in ("edge", "among")),
            Scratch("marks", int64, (1 << DIGIT,)),
            Scratch("chosen", int64, (self.size,)),
            *(self.put(name, (zero,), zero) for name in ("edge", "among")),
            For(self.inner, 1 << DIGIT, "vector", (self.put("marks", (Index(d),), zero),)),
            self.along([*read, self.put("marks", (digit,), add(marks, one))]),
            For(self.inner, 1 << DIGIT, "serial", tuple(passed)),
            self.put("among", (zero,), zero),
            self.along([*read, If(le(digit, edge), tuple(keep))]),
        ]
        self.is_chosen = True
        self.e = Index(Dim.symbol(self.axis) * BLOCK + d)
        return statements + self.by_digits()
