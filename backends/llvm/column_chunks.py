"""Reductions of few columns over many rows, in chunks of rows, which threads may share.

    for j in m vector:                partial: f32[chunks, m] scratch
      total = 0.0                     for c in chunks parallel:
      for i in n serial:                for j in m vector:
        total += x[i, j]                  total = 0.0
      out[j] = total / n      ->          for i in min(L, n - L*c) serial:
                                            total += x[i + L*c, j]
                                          partial[c, j] = total
                                      for j in m vector:
                                        total = 0.0
                                        for c in chunks serial:
                                          total += partial[c, j]
                                        out[j] = total / n

Of many columns threads take some each, of a single one chunks as well (chunks.py). L follows from
the work of a row alone, so that numbers do not depend on the number of threads. A chunk is so long
that what is done once for each, a few times as much as for a row, takes no time beside it. Several
loops over the rows, as of a variance, are cut one after the other; what one finds lies in scratch
memory for the next.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from graphc.backends.llvm.chunks import names_of
from graphc.backends.llvm.loops import BLOCK
from graphc.backends.llvm.one_thread import CHUNK
from graphc.backends.llvm.parallel import work_of
from graphc.backends.llvm.target import LINE
from graphc.dtypes import DType, int64, is_half
from graphc.loops.ir import Accumulate, Accumulator, For, Let, Scratch, Statement, Store
from graphc.loops.tidy import loads_of, with_sizes
from graphc.scalar.expr import Expr, Index, Load, Local
from graphc.shapes import Dim, Size, ceil_div, dim_min, floor_div

MOST_COLUMNS = 512  # more are cut into tiles, see columns.py
LENGTH = 4 * CHUNK  # work of a chunk
TOGETHER = 4  # narrow rows that are added to sums of their own


def in_column_chunks(body: Sequence[Statement]) -> tuple[Statement, ...]:
    """The body of a kernel, with such loops outside of all others in chunks."""
    result: list[Statement] = []
    names: set[str] = set()
    made = {item.name for item in body if isinstance(item, Scratch)}
    for item in body:
        parts = _taken_apart(item)
        if parts is None or all(_reads_only(rows, made) for _, _, rows in parts[0]):
            result.append(item)
        else:
            assert isinstance(item, For)
            names = names or names_of(body)
            result += _Columns(item, names).divided(*parts)
    return tuple(result)


_Pass = tuple[list[Let], list[Accumulator], For]


def _taken_apart(item: Statement) -> tuple[list[_Pass], list[Statement]] | None:
    """The loops over rows, each with what stands before it, and what follows the last."""
    if not isinstance(item, For) or item.kind != "vector":
        return None
    if not isinstance(item.extent, int) or not 1 < item.extent <= MOST_COLUMNS:
        return None
    passes: list[_Pass] = []
    lets: list[Let] = []
    accumulators: list[Accumulator] = []
    after: list[Statement] = []
    for one in item.body:
        match one:
            case Let():
                lets.append(one)
                after.append(one)
            case Accumulator():
                accumulators.append(one)
            case For(kind="serial") if _feeds(one, accumulators) and not _stores(after):
                if not _is_long(one, item.extent):
                    return None
                passes.append((lets, accumulators, one))
                lets, accumulators, after = [], [], []
            case Store(accumulate=False):
                after.append(one)
            case _:
                return None
    if not passes or accumulators:
        return None
    held: list[Accumulator | Let] = []
    for before, fed, _ in passes:
        held += [*before, *fed]
    return None if any(is_half(_dtype(one)) for one in held) else (passes, after)


def _reads_only(rows: For, made: set[str]) -> bool:
    """Whether rows are what other loops of the kernel left: few."""
    return all(one.buffer in made for one in loads_of(rows.body))


def _stores(items: Sequence[Statement]) -> bool:
    return any(isinstance(item, Store) for item in items)


def _feeds(rows: For, accumulators: Sequence[Accumulator]) -> bool:
    """Whether a loop feeds the accumulators before it and does nothing else."""
    if not all(isinstance(item, Let | Accumulate) for item in rows.body):
        return False
    fed = {item.name for item in rows.body if isinstance(item, Accumulate)}
    return bool(fed) and fed == {one.name for one in accumulators}


def _is_long(rows: For, columns: int) -> bool:
    length = _length(rows, columns)
    return length is not None and (not isinstance(rows.extent, int) or rows.extent >= 2 * length)


def _length(rows: For, columns: int) -> int | None:
    """Rows of a chunk, whole blocks of those whose sums are kept apart."""
    once = work_of(rows.body, vector=True)
    if not isinstance(once, int):
        return None
    return BLOCK * max(1, LENGTH // (BLOCK * columns * max(once, 1)))


class _Columns:
    def __init__(self, loop: For, names: set[str]) -> None:
        self.loop, self.names = loop, names
        self.column = Dim.symbol(loop.axis)

    def fresh(self, name: str) -> str:
        while name in self.names:
            name += "_"
        self.names.add(name)
        return name

    def columns(self, body: Sequence[Statement]) -> For:
        return For(self.loop.axis, self.loop.extent, "vector", tuple(body))

    def divided(self, passes: Sequence[_Pass], after: Sequence[Statement]) -> list[Statement]:
        assert isinstance(self.loop.extent, int)
        result: list[Statement] = []
        known: list[Statement] = list(passes[0][0])  # what comes before a pass, computed again
        for number, (_, accumulators, rows) in enumerate(passes):
            length = _length(rows, self.loop.extent)
            assert length is not None
            turn = self.fresh(f"{rows.axis}_chunk")
            chunks = ceil_div(rows.extent, length)
            partial = [self.array(one, "partial", chunks) for one in accumulators]
            place = (Index(Dim.symbol(turn)), Index(self.column))
            first = Dim.symbol(turn) * length
            some = dim_min(length, rows.extent - first)
            sums = self.some_rows(accumulators, rows, first, some)
            once = self.columns([*known, *sums, *_stored(accumulators, partial, place)])
            result += [scratch for arrays in partial for scratch in arrays]
            result.append(For(turn, chunks, "parallel", (once,)))
            takes = [
                Accumulate(one.name, *_loaded(one, arrays, place), one.sources)
                for one, arrays in zip(accumulators, partial, strict=True)
            ]
            totals: list[Statement] = [*accumulators, For(turn, chunks, "serial", tuple(takes))]
            if number == len(passes) - 1:
                result.append(self.columns([*known, *totals, *after]))
                continue
            lets = passes[number + 1][0]
            later: list[Statement] = [passes[number + 1][2], *after]
            for before, _, loop in passes[number + 2 :]:
                later += [*before, loop]
            used = names_of(later)
            kept: list[Accumulator | Let] = [
                one for one in accumulators if {one.name, one.position_name} & used
            ]
            kept += [one for one in lets if one.name in used]
            room = [self.array(one, "kept") for one in kept]
            column = (Index(self.column),)
            result += [scratch for own in room for scratch in own]
            result.append(self.columns([*known, *totals, *lets, *_stored(kept, room, column)]))
            for held, own in zip(kept, room, strict=True):
                value, position = _loaded(held, own, column)
                known.append(Let(held.name, value, held.sources))
                if isinstance(held, Accumulator) and held.position_name and position is not None:
                    known.append(Let(held.position_name, position, held.sources))
        return result

    def some_rows(
        self, accumulators: Sequence[Accumulator], rows: For, first: Size, count: Size
    ) -> list[Statement]:
        """What the accumulators find in rows from `first` on, of narrow rows several at a time: an
        addition waits for the one before."""
        row = Dim.symbol(rows.axis)
        together = TOGETHER if _are_narrow(self.loop, rows, accumulators) else 1
        groups = floor_div(count, together)
        chains = [
            {one.name: one.name if number == 0 else self.fresh(one.name) for one in accumulators}
            for number in range(together)
        ]
        several: list[Statement] = []
        for number, names in enumerate(chains):
            body = with_sizes(rows.body, {rows.axis: first + row * together + number})
            several += [_renamed(item, names) for item in body]
        result: list[Statement] = [
            *(replace(one, name=names[one.name]) for names in chains for one in accumulators),
            For(rows.axis, groups, "serial", tuple(several)),
        ]
        if together > 1:
            rest = with_sizes(rows.body, {rows.axis: first + groups * together + row})
            result.append(For(rows.axis, count - groups * together, "serial", tuple(rest)))
        for names in chains[1:]:
            for one in accumulators:
                value = Local(names[one.name], one.dtype)
                result.append(Accumulate(one.name, value, sources=one.sources))
        return result

    def array(self, one: Accumulator | Let, kind: str, *sizes: Size) -> list[Scratch]:
        """Room for a value for each column, and for its position."""
        shape = (*sizes, self.loop.extent)
        found = [Scratch(self.fresh(f"{one.name}_{kind}"), _dtype(one), shape)]
        if isinstance(one, Accumulator) and one.position_name is not None:
            found.append(Scratch(self.fresh(f"{one.position_name}_{kind}"), int64, shape))
        return found


def _dtype(one: Accumulator | Let) -> DType:
    return one.dtype if isinstance(one, Accumulator) else one.value.dtype


def _are_narrow(columns: For, rows: For, accumulators: Sequence[Accumulator]) -> bool:
    """Whether lanes read rows at once, one after the other, and their order may be changed."""
    if any(one.position_name is not None for one in accumulators):
        return False
    widest = max((one.dtype.itemsize for one in loads_of(rows.body)), default=1)
    return isinstance(columns.extent, int) and columns.extent * widest <= LINE


def _renamed(item: Statement, names: Mapping[str, str]) -> Statement:
    if isinstance(item, Accumulate):
        return replace(item, name=names[item.name])
    return item


def _stored(
    values: Sequence[Accumulator | Let], arrays: Sequence[list[Scratch]], place: tuple[Expr, ...]
) -> list[Store]:
    result: list[Store] = []
    for one, own in zip(values, arrays, strict=True):
        names = [one.name]
        if isinstance(one, Accumulator) and one.position_name is not None:
            names.append(one.position_name)
        for scratch, name in zip(own, names, strict=True):
            value = Local(name, scratch.dtype)
            result.append(Store(scratch.name, place, value, False, one.sources))
    return result


def _loaded(
    one: Accumulator | Let, arrays: list[Scratch], place: tuple[Expr, ...]
) -> tuple[Expr, Expr | None]:
    """The value, and its position."""
    value, *position = (Load(array.name, place, array.dtype) for array in arrays)
    return value, position[0] if position else None
