"""Short rows of known length side by side: a lane for each row, not for each element.

    sums[9] scratch                        sums[9] scratch
    for i in n serial:                     for j in 9: total_j = 0.0
      dot = 0.0                            for i in n vector:
      for j in 9 vector:                     dot = 0.0 + w[0]*x[i, 0] + ... + w[8]*x[i, 8]
        dot += w[j]*x[i, j]         ->       error = (y[i] - dot)/scale
      error = (y[i] - dot)/scale             total_0 += error*x[i, 0]
      for j in 9 vector:                     ...
        sums[j] = sums[j] + error*x[i, j]    total_8 += error*x[i, 8]
                                           for j in 9: sums[j] = sums[j] + total_j

In the first form a row fills a vector or two and part of another; what is computed once a row is
scalar code, and sums over the rows go through memory. In the second all of it is done for several
rows at once, and the sums stay in registers. Rows are read element by element then, so that it
pays for few light elements only.
"""

from collections.abc import Sequence
from typing import NamedTuple

from graphc.backends.llvm.accumulate import identity_value
from graphc.backends.llvm.lanes import survey
from graphc.dtypes import float32, float64, int32, int64, is_bool, is_floating, is_integer
from graphc.ir.source import Sources
from graphc.loops.accumulators import ARITHMETIC
from graphc.loops.ir import Accumulate, Accumulator, For, Let, Scratch, Statement, Store
from graphc.loops.tidy import values_of, with_sizes
from graphc.scalar.expr import (
    Call,
    Expr,
    Index,
    Load,
    Local,
    and_,
    constant,
    is_nan,
    le,
    lt,
    not_,
    select,
    transform,
    walk,
)
from graphc.shapes import Dim, symbols_of

LONGEST = 12  # elements of a row
FEWEST = 32  # rows, where their number is known
MOST = 96  # cost of all elements of a row
SPARSE = 2  # elements that fill so little of a vector that rows pay though no row computes once
FEW, MUCH = 4, 8  # the same of elements whose cost is higher than that
SUMS = 12  # over the rows, each in a register
CHAINS = 2  # partial sums of a row: an addition waits for the one before it
DTYPES = (float32, float64, int32, int64)

Cell = tuple[str, tuple[Expr, ...]]  # an element of an array


def side_by_side(body: Sequence[Statement]) -> tuple[Statement, ...]:
    """The statements, with such loops over rows turned into vector loops."""
    result: list[Statement] = []
    for item in body:
        if isinstance(item, For) and item.kind != "vector":
            rows = _matched(item)
            if rows is not None:
                result += rows.turned()
                continue
            item = For(item.axis, item.extent, item.kind, side_by_side(item.body))
        result.append(item)
    return tuple(result)


class _Sum(NamedTuple):
    """buffer[...] = buffer[...] (combine) value, at a place that is the same in every row."""

    buffer: str
    combine: str
    value: Expr
    store: Store

    def name(self, place: int) -> str:
        return f"{self.buffer}.{place}"


class _Rows(NamedTuple):
    """A loop over rows taken apart. sums: with the loop over elements in which each is fed."""

    loop: For
    sums: tuple[tuple[_Sum, For], ...]

    @property
    def number_of_sums(self) -> int:
        return sum(_length(elements) for _, elements in self.sums)

    def turned(self) -> list[Statement]:
        rows = _Unrolled({id(one.store): one for one, _ in self.sums})
        for item in self.loop.body:
            rows.add(item)
        before: list[Statement] = []
        after: list[Statement] = []
        for one, elements in self.sums:
            dtype, sources = one.value.dtype, one.store.sources
            for place in range(_length(elements)):
                own = Accumulator(one.name(place), one.combine, dtype, None, sources, True)
                [store] = with_sizes([one.store], {elements.axis: place})
                assert isinstance(store, Store)
                old = Load(store.buffer, store.index, dtype)
                total = Call(one.combine, (old, Local(own.name, dtype)), dtype)
                before.append(own)
                after.append(Store(store.buffer, store.index, total, False, sources))
        lanes = For(self.loop.axis, self.loop.extent, "vector", tuple(rows.statements))
        return [*before, lanes, *after]


class _Unrolled:
    """The statements of a row without loops, elements of arrays as locals.

    An accumulator is a new local with each element that it takes.
    """

    def __init__(self, sums: dict[int, _Sum]) -> None:
        self.sums = sums  # by the identity of their stores
        self.statements: list[Statement] = []
        self.now: dict[str | Cell, Expr] = {}  # what a local or an element stands for by now
        self.accumulators: dict[str, Accumulator] = {}
        self.arrays: set[str] = set()
        self.chains: dict[str, list[Expr]] = {}  # the parts of what an accumulator holds
        self.counts: dict[str, int] = {}

    def add(self, item: Statement) -> None:
        if not isinstance(item, For):
            self.one(item)
            return
        for place in range(_length(item)):
            moved = with_sizes(item.body, {item.axis: place})
            for before, inner in zip(item.body, moved, strict=True):
                if (total := self.sums.get(id(before))) is None:
                    self.one(inner)
                    continue
                assert isinstance(inner, Store) and isinstance(inner.value, Call)
                value = self.renamed(inner.value.args[1])
                self.statements.append(Accumulate(total.name(place), value, None, inner.sources))

    def one(self, item: Statement) -> None:
        match item:
            case Scratch(name=name):
                self.arrays.add(name)
            case Accumulator(name=name, combine=combine, dtype=dtype):
                self.accumulators[name] = item
                self.now[name] = constant(identity_value(combine, dtype), dtype)
                self.chains[name] = []
                if item.position_name is not None:
                    self.now[item.position_name] = Index(0)
            case Let(name, value, sources):
                self.let(name, name, self.renamed(value), sources)
            case Accumulate(name, value, _, sources) if name not in self.accumulators:
                self.statements.append(Accumulate(name, self.renamed(value), None, sources))
            case Accumulate(name, value, None, sources):
                self.feed(self.accumulators[name], self.renamed(value), sources)
            case Accumulate(name, value, position, sources):
                assert position is not None
                self.compare(self.accumulators[name], value, self.renamed(position), sources)
            case Store(buffer, index, value, _, sources) if buffer in self.arrays:
                self.let(buffer, (buffer, index), self.renamed(value), sources)
            case Store(buffer, index, value, _, sources):
                to = tuple(map(self.renamed, index))
                self.statements.append(Store(buffer, to, self.renamed(value), False, sources))

    def feed(self, own: Accumulator, value: Expr, sources: Sources) -> None:
        """One more element, to the parts of the total in turn."""
        chains = self.chains[own.name]
        if len(chains) < CHAINS:
            before = constant(identity_value(own.combine, own.dtype), own.dtype)
        else:
            before = chains.pop(0)
        is_product = isinstance(value, Call) and value.op == "mul" and is_floating(own.dtype)
        if own.combine == "add" and is_product:
            assert isinstance(value, Call)
            total = Call("fma", (*value.args, before), own.dtype)
        else:
            total = Call(own.combine, (before, value), own.dtype)
        count = self.counts[own.name] = self.counts.get(own.name, -1) + 1
        name = f"{own.name}.{count}"
        self.statements.append(Let(name, total, sources))
        chains.append(Local(name, own.dtype))
        now: Expr = chains[0]
        for other in chains[1:]:
            now = Call(own.combine, (now, other), own.dtype)
        self.now[own.name] = now

    def compare(self, own: Accumulator, value: Expr, position: Expr, sources: Sources) -> None:
        """One more element, which may be the best so far; NaN is better than numbers."""
        assert own.position_name is not None
        element, place = f"{own.name}.element", own.position_name
        self.let(element, element, self.renamed(value), sources)
        found, best = self.now[element], self.now[own.name]
        if own.combine == "argmax":
            better, worse = lt(best, found), le(found, best)
        else:
            better, worse = lt(found, best), le(best, found)
        if is_floating(own.dtype):
            better = and_(not_(worse), not_(is_nan(best)))
        if position == Index(0):  # the first element
            self.now[own.name], self.now[place] = found, position
            return
        self.let(f"{own.name}.better", f"{own.name}.better", better, sources)
        better = self.now[f"{own.name}.better"]
        self.let(own.name, own.name, select(better, found, best), sources)
        self.let(place, place, select(better, position, self.now[place]), sources)

    def let(self, name: str, key: "str | Cell", value: Expr, sources: Sources) -> None:
        count = self.counts[name] = self.counts.get(name, -1) + 1
        fresh = f"{name}.{count}" if count else name
        self.statements.append(Let(fresh, value, sources))
        self.now[key] = Local(fresh, value.dtype)

    def renamed(self, value: Expr) -> Expr:
        def leaf(part: Expr) -> Expr | None:
            if isinstance(part, Local):
                return self.now.get(part.name)
            if isinstance(part, Load) and part.buffer in self.arrays:
                return self.now[part.buffer, part.index]
            return None

        return transform(value, leaf)


def _length(elements: For) -> int:
    assert isinstance(elements.extent, int)
    return elements.extent


def _matched(loop: For) -> _Rows | None:
    """The loop taken apart, if rows may run side by side, and that is better."""
    if isinstance(loop.extent, int) and loop.extent < FEWEST:
        return None
    if not any(isinstance(item, For) for item in loop.body):
        return None
    cost, own = 0, {item.name for item in loop.body if isinstance(item, Accumulator)}
    for item in loop.body:
        inner, count = (item.body, item.extent) if isinstance(item, For) else ((item,), 1)
        if not isinstance(count, int) or not 0 < count <= LONGEST:
            return None
        if not all(_is_simple(one, own) for one in inner):
            return None
        if isinstance(item, For):
            cost += count * (survey(inner).cost + 1)
    elements = [item for item in loop.body if isinstance(item, For)]
    sparse = FEW if any(survey(item.body).cost > MUCH for item in elements) else SPARSE
    if cost > MOST or (_only_moves(loop) and max(map(_length, elements)) > sparse):
        return None
    rows = _Rows(loop, tuple((one, each) for each in elements for one in _sums(loop, each)))
    return rows if rows.number_of_sums <= SUMS and _are_apart(rows) else None


def _only_moves(loop: For) -> bool:
    """Whether nothing is computed once a row but where its elements lie."""
    return all(
        isinstance(item, For) or (isinstance(item, Let) and is_integer(item.value.dtype))
        for item in loop.body
    )


def _is_simple(item: Statement, own: set[str]) -> bool:
    """own: accumulators of the row. Those of all rows take one position in each row."""
    match item:
        case Let() | Scratch():
            return True
        case Accumulator(combine=combine, dtype=dtype):
            return dtype in DTYPES if combine not in ("and", "or") else is_bool(dtype)
        case Accumulate(name=name, value=value, position=position):
            is_known = value.dtype in DTYPES or is_bool(value.dtype)
            return is_known and (position is None or name in own)
        case Store(accumulate=accumulate):
            return not accumulate
    return False


def _sums(rows: For, elements: For) -> list[_Sum]:
    """The stores of a loop over elements that are sums over the rows."""
    found = []
    element = Index(Dim.symbol(elements.axis))
    for item in elements.body:
        if not isinstance(item, Store) or element not in item.index:
            continue
        if not _is_fixed(item.index, rows.axis):
            continue
        match item.value:
            case Call(op, (Load(buffer, index), value), dtype) if op in ARITHMETIC:
                if (buffer, index) == (item.buffer, item.index) and dtype in DTYPES:
                    found.append(_Sum(buffer, op, value, item))
    return found


def _are_apart(rows: _Rows) -> bool:
    """Whether rows share nothing but what they read and what they sum up."""
    totals = {id(one.store) for one, _ in rows.sums}
    summed = {one.buffer for one, _ in rows.sums}
    scratch = {item.name for item in rows.loop.body if isinstance(item, Scratch)}
    written: list[str] = []
    read: list[str] = []
    for item in rows.loop.body:
        elements = item if isinstance(item, For) else None
        inner = item.body if isinstance(item, For) else (item,)
        loads = [p for v in values_of(inner) for p in walk(v) if isinstance(p, Load)]
        stores = [one for one in inner if isinstance(one, Store) and id(one) not in totals]
        accesses: list[Load | Store] = [*loads, *stores]
        axis = "" if elements is None else elements.axis
        for access in accesses:
            if access.buffer in scratch and not _is_constant(access.index, axis):
                return False
        read += [load.buffer for load in loads]
        outside = [store for store in stores if store.buffer not in scratch]
        written += [store.buffer for store in outside]
        if not all(_is_own(store, rows.loop.axis, elements) for store in outside):
            return False
    if rows.loop.kind == "serial" and len(set(written)) < len(written):
        return False  # the places of two stores may meet in different rows, in another order
    once = all(read.count(buffer) == 1 for buffer in summed)  # by the sum itself
    return once and len(summed) == len(totals) and not {*written} & {*read, *summed}


def _is_constant(index: tuple[Expr, ...], axis: str) -> bool:
    """Whether the place is the same in every row, where `axis` counts elements."""
    return all(isinstance(part, Index) and symbols_of(part.size) <= {axis} for part in index)


def _is_fixed(index: tuple[Expr, ...], rows: str) -> bool:
    """Whether the place of an element does not depend on the row."""
    return all(isinstance(part, Index) and rows not in symbols_of(part.size) for part in index)


def _is_own(store: Store, rows: str, elements: For | None) -> bool:
    """Whether every row writes to places of its own."""
    length, axis = (1, "") if elements is None else (_length(elements), elements.axis)
    for part in store.index:
        if not isinstance(part, Index) or not isinstance(part.size, Dim):
            continue
        step, inside = part.size.coefficient(rows), part.size.coefficient(axis)
        if not isinstance(step, int) or not isinstance(inside, int):
            continue
        if abs(step) > abs(inside) * (length - 1):
            return True
    return False
