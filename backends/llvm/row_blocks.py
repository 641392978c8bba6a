"""Short rows in blocks: each pass over all rows of a block, then the next pass.

    for i in n parallel:                   for i_block in (n + 15)//16 parallel:
      total = 0.0                            for i in min(16, n - 16*i_block) serial:
      for j in 37 vector:                      total = 0.0
        total += exp(x[i, j])                  for j in 37 vector:
      t = log(total)                             total += exp(x[16*i_block + i, j])
      for j in 37 vector:           ->         total_of[i] = total
        out[i, j] = x[i, j] - t              for i in min(16, n - 16*i_block) vector:
                                               t_of[i] = log(total_of[i])
                                             for i in min(16, n - 16*i_block) serial:
                                               for j in 37 vector:
                                                 out[...] = x[16*i_block + i, j] - t_of[i]

In the first form everything waits for the row: its sum for the last lane, the logarithm for the
sum, the next pass for the logarithm. In the second the rows of a pass do not wait for each other,
and what is computed once a row is computed for several rows at once. Numbers pass from loop to
loop through memory in the first cache. Rows that are read once alone are cut for the last reason.

Of rows of unknown length there are both forms, for short and for long ones. Where they are long, a
block is one row.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from graphc.backends.llvm.lanes import survey
from graphc.dtypes import float32, float64
from graphc.loops.ir import Accumulate, Accumulator, For, If, Let, Scratch, Statement, Store
from graphc.loops.tidy import loads_of, map_values, values_of, with_sizes
from graphc.scalar.expr import Call, Expr, Index, Load, Local, le, lt, transform, walk
from graphc.shapes import Dim, Size, ceil_div, dim_max, dim_min, symbols_of

ROWS = 16  # of a block
FEWEST = 32  # rows, where their number is known
LONGEST = 100  # elements of a row: blocks of several arrays stay in the first cache
WORTH = 16  # elements of a row that is read once, for each operation on its sum
FEWEST_COSTLY = 8  # rows of which only numbers are
DTYPES = (float32, float64)


def in_blocks(
    body: Sequence[Statement], around: frozenset[str] = frozenset()
) -> tuple[Statement, ...]:
    """The statements, with such loops over rows cut into blocks. around: axes of other loops."""
    result: list[Statement] = []
    for item in body:
        if isinstance(item, For) and item.kind != "vector":
            passes = _passes(item, around | {item.axis})
            if passes is not None:
                item = _Blocks(item, passes).loop()
            elif item.kind == "parallel":
                inner = in_blocks(item.body, around | {item.axis})
                item = For(item.axis, item.extent, item.kind, inner)
        result.append(item)
    return tuple(result)


class _Pass(NamedTuple):
    """Statements of a row that become a loop over the rows of a block.

    loop: over the elements, and then all else is accumulators that it feeds; None for numbers.
    """

    items: tuple[Statement, ...]
    loop: For | None

    @property
    def made(self) -> dict[str, Let | Accumulator]:
        """The numbers that it computes."""
        return {one.name: one for one in self.items if isinstance(one, Let | Accumulator)}

    @property
    def used(self) -> set[str]:
        inner = self.items if self.loop is None else self.loop.body
        values = [part for value in values_of(inner) for part in walk(value)]
        return {part.name for part in values if isinstance(part, Local)}


def _passes(rows: For, axes: frozenset[str]) -> list[_Pass] | None:
    """The passes over a row, if rows may be cut so, and that is better. axes: of no length."""
    found: list[_Pass] = []
    numbers: list[Statement] = []
    waiting: dict[str, Accumulator] = {}
    scratch = {item.name for item in rows.body if isinstance(item, Scratch)}
    for item in rows.body:
        match item:
            case Scratch(dtype=dtype) if dtype in DTYPES:
                pass
            case Accumulator(name=name, dtype=dtype, position_name=None) if dtype in DTYPES:
                waiting[name] = item
            case Let(value=value) if value.dtype in DTYPES:
                numbers.append(item)
            case Store(buffer=buffer, accumulate=False) if buffer not in scratch:
                numbers.append(item)
            case For(kind="vector", extent=extent) if not axes & symbols_of(extent):
                if not all(isinstance(one, Let | Accumulate | Store) for one in item.body):
                    return None
                fed = {one.name: None for one in item.body if isinstance(one, Accumulate)}
                if not fed.keys() <= waiting.keys():
                    return None
                if numbers:
                    found.append(_Pass(tuple(numbers), None))
                    numbers = []
                found.append(_Pass(tuple(waiting.pop(name) for name in fed), item))
            case _:
                return None
    if numbers:
        found.append(_Pass(tuple(numbers), None))
    return found if not waiting and _pays(rows, found) and _are_apart(rows) else None


def _longest(passes: Sequence[_Pass]) -> int:
    """Elements of the longest rows that are worth blocks; 0 if none are."""
    number = sum(one.loop is not None for one in passes)
    if number == 1:
        return WORTH * sum(survey(one.items).cost for one in passes if one.loop is None)
    return LONGEST if number else 0


def _pays(rows: For, passes: Sequence[_Pass]) -> bool:
    lengths = {one.loop.extent for one in passes if one.loop is not None}
    longest, fewest = _longest(passes), FEWEST
    if sum(one.loop is not None for one in passes) == 1:
        fewest = FEWEST_COSTLY
    if isinstance(rows.extent, int) and rows.extent < fewest:
        return False
    if any(isinstance(length, int) and length > longest for length in lengths) or not longest:
        return False
    return sum(isinstance(length, Dim) for length in lengths) < 2


def _are_apart(rows: For) -> bool:
    """Whether rows one after the other read nothing that any of them stores, but for sums over the
    rows. Those take one row after the other, as before. Parallel ones know nothing of each other.
    """
    scratch = {item.name for item in rows.body if isinstance(item, Scratch)}
    inner = [one for item in rows.body for one in (item.body if isinstance(item, For) else (item,))]
    stores = [one for one in inner if isinstance(one, Store) and one.buffer not in scratch]
    loads = [load.buffer for load in loads_of(inner)]
    stored = [one.buffer for one in stores]
    for one in stores:
        if stored.count(one.buffer) == 1 and _is_sum(one):
            loads.remove(one.buffer)
    if any(isinstance(one, Store) and one.accumulate for one in inner):
        return False
    if rows.kind == "parallel":
        return True
    # Of two stores to a place, in rows that follow each other, the last one counts.
    return len({*stored}) == len(stored) and not {*stored} & {*loads}


def _is_sum(one: Store) -> bool:
    """buffer[...] = buffer[...] (combine) value"""
    match one.value:
        case Call(_, (Load(buffer, index), _)):
            return (buffer, index) == (one.buffer, one.index)
    return False


class _Blocks:
    """A loop over rows, cut into blocks."""

    def __init__(self, rows: For, passes: list[_Pass]) -> None:
        self.rows, self.passes = rows, passes
        self.row = Index(Dim.symbol(rows.axis))
        self.scratch = {item.name: item for item in rows.body if isinstance(item, Scratch)}
        self.kept: dict[str, Scratch] = {}  # numbers that a later pass reads
        for number, one in enumerate(passes):
            later = {name for other in passes[number + 1 :] for name in other.used}
            for name, made in one.made.items():
                if name in later:
                    dtype = made.value.dtype if isinstance(made, Let) else made.dtype
                    self.kept[name] = Scratch(f"{name}.rows", dtype, (ROWS,))

    def loop(self) -> For:
        rows, block = self.rows, self.name()
        extents = [one.loop.extent for one in self.passes if one.loop is not None]
        length = next((extent for extent in extents if isinstance(extent, Dim)), None)
        if length is None:
            body = self.together(block, ROWS, {})
            return For(block, ceil_div(rows.extent, ROWS), rows.kind, tuple(body))
        longest = _longest(self.passes)
        is_short = dim_min(1, dim_max(0, longest + 1 - length))
        many = 1 + (ROWS - 1) * is_short
        short = self.together(block, many, {length: dim_min(length, longest)})
        alone = with_sizes(rows.body, {rows.axis: Dim.symbol(block)})
        either = (
            If(le(Index(length), Index(longest)), tuple(short)),
            If(lt(Index(longest), Index(length)), tuple(alone)),
        )
        return For(block, ceil_div(rows.extent, many), rows.kind, either)

    def together(self, block: str, many: Size, known: Mapping[Size, Size]) -> list[Statement]:
        """The passes over a block of so many rows. known: bounds of lengths."""
        rows = self.rows
        first = many * Dim.symbol(block)
        count = dim_min(many, rows.extent - first)
        shift: dict[str, Size] = {rows.axis: Dim.symbol(rows.axis) + first}
        arrays = [Scratch(s.name, s.dtype, (many, *s.shape)) for s in self.scratch.values()]
        body: list[Statement] = [*arrays, *self.kept.values()]
        for one in self.passes:
            if one.loop is None:
                body.append(For(rows.axis, count, "vector", tuple(self.numbers(one, shift))))
                continue
            bound = known.get(one.loop.extent, one.loop.extent)
            body.append(For(rows.axis, count, "serial", tuple(self.elements(one, bound, shift))))
        return body

    def name(self) -> str:
        """Of the loop over blocks: of no size and no axis around."""
        values = [value for one in self.passes for value in values_of(one.items)]
        values += [value for one in self.passes if one.loop for value in values_of(one.loop.body)]
        parts = [part.size for value in values for part in walk(value) if isinstance(part, Index)]
        known = {symbol for size in (self.rows.extent, *parts) for symbol in symbols_of(size)}
        name = f"{self.rows.axis}_block"
        while name in known:
            name += "_"
        return name

    def numbers(self, one: _Pass, shift: dict[str, Size]) -> list[Statement]:
        result: list[Statement] = []
        own: set[str] = set()
        leaf = self.reader(own, False)
        for item in with_sizes(one.items, shift):
            result.append(map_values(item, lambda value: transform(value, leaf)))
            if isinstance(item, Let):
                own.add(item.name)
                result += self.keep([item])
        return result

    def elements(self, one: _Pass, length: Size, shift: dict[str, Size]) -> list[Statement]:
        assert one.loop is not None
        leaf = self.reader(set(one.made), True)
        before = [
            Let(f"{name}.row", self.load(name)) for name in sorted(one.used & self.kept.keys())
        ]
        inner: list[Statement] = []
        for item in with_sizes(one.loop.body, shift):
            moved = map_values(item, lambda value: transform(value, leaf))
            if isinstance(moved, Store) and moved.buffer in self.scratch:
                place = (self.row, *moved.index)
                moved = Store(moved.buffer, place, moved.value, False, moved.sources)
            inner.append(moved)
        loop = For(one.loop.axis, length, "vector", tuple(inner))
        sums = [item for item in one.items if isinstance(item, Accumulator)]
        return [*before, *sums, loop, *self.keep(sums)]

    def reader(self, own: set[str], in_row: bool) -> Callable[[Expr], Expr | None]:
        """What reads numbers of earlier passes, and the rows of scratch arrays, in a pass.

        own: the numbers that the pass computes itself. in_row: whether it has read the others.
        """

        def leaf(part: Expr) -> Expr | None:
            if isinstance(part, Local) and part.name in self.kept and part.name not in own:
                return Local(f"{part.name}.row", part.dtype) if in_row else self.load(part.name)
            if isinstance(part, Load) and part.buffer in self.scratch:
                return Load(part.buffer, (self.row, *part.index), part.dtype)
            return None

        return leaf

    def keep(self, items: Iterable[Let | Accumulator]) -> list[Statement]:
        return [
            Store(kept.name, (self.row,), Local(item.name, kept.dtype), False, item.sources)
            for item in items
            if (kept := self.kept.get(item.name)) is not None
        ]

    def load(self, name: str) -> Load:
        kept = self.kept[name]
        return Load(kept.name, (self.row,), kept.dtype)
