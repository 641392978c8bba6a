"""Every row of one array with every row of another: a lane for each row of the other.

                                               y_across[K, m] scratch
                                               for k in K parallel:
                                                 for j in m vector: y_across[k, j] = y[j, k]
    for i in n parallel:                       for i in n parallel:
      for j in m parallel:                       for j in m vector:
        total = 0.0                     ->         total = 0.0
        for k in K vector:                         for k in K serial:
          total += (x[i, k] - y[j, k])**2            total += (x[i, k] - y_across[k, j])**2
        d[i, j] = total                            d[i, j] = total

In the first form the lanes of each sum have to be added up, which takes longer than a short row
itself, and what becomes of a sum is computed number by number. In the second each lane has a sum of
its own. The rows of y are laid across once for all rows of x.
"""

from collections.abc import Collection, Sequence

from graphc.backends.llvm.tiling import tiled_nest
from graphc.dims import combine
from graphc.loops.accumulators import ARITHMETIC
from graphc.loops.ir import (
    Accumulate,
    Accumulator,
    For,
    If,
    Kernel,
    Let,
    Parameter,
    Scratch,
    Statement,
    Store,
)
from graphc.loops.tidy import map_values, renamed, statements_of, values_of, with_body, with_sizes
from graphc.scalar.expr import Expr, Index, Load, le, lt, transform, walk
from graphc.shapes import Dim, Size, ceil_div, size_product, symbols_of

FEWEST = 16  # rows of the other, where their number is known
REPEATED = 32  # rows of the one, which make it worth while
LONGEST = 256  # elements of a row: to add lanes up costs less than longer ones themselves
SMALL = 1 << 14  # elements that are copied row by row: more code would take longer to compile
TOGETHER = 4  # rows of the one that are computed at once


def crossed(kernel: Kernel, body: Sequence[Statement]) -> tuple[Statement, ...]:
    """The body of the kernel, with such loops turned round."""
    return tuple(_Crossed(kernel).visited(body, []))


class _Crossed:
    """Finds such loops of one kernel and turns them round."""

    def __init__(self, kernel: Kernel) -> None:
        self.parameters = {one.name: one for one in kernel.parameters if not one.written}
        self.names = {one.name for one in kernel.parameters}
        self.before: dict[str, list[Statement]] = {}  # what comes before the loop over an axis
        self.made: list[For] = []

    def visited(self, body: Sequence[Statement], around: Sequence[For]) -> list[Statement]:
        result: list[Statement] = []
        for item in body:
            if isinstance(item, For) and item.kind != "vector":
                turned = self.turned(item, around)
                if turned is None:
                    made = tuple(self.visited(item.body, (*around, item)))
                    turned = For(item.axis, item.extent, item.kind, made)
                result += self.before.pop(item.axis, [])
                first = next((one for one in turned.body if isinstance(one, For)), None)
                item = _in_blocks(turned, first) if first in self.made else turned
            result.append(item)
        return result

    def turned(self, rows: For, around: Sequence[For]) -> For | None:
        """The loop over the rows of the other, if it is of the first form."""
        inner = _elements(rows)
        if inner is None or not around or _is_below(rows.extent, FEWEST):
            return None
        if isinstance(inner.extent, int) and inner.extent > LONGEST:
            return None
        axes = {loop.axis for loop in (*around, rows)}
        if (symbols_of(inner.extent) | symbols_of(rows.extent)) & axes:
            return None
        loads = [part for value in values_of(rows.body) for part in walk(value)]
        laid: dict[Load, int] = {}
        for load in (part for part in loads if isinstance(part, Load)):
            place = self.place(load)
            slope = None if place is None else _slope(place, rows.axis)
            if place is None or slope is None:
                return None
            if slope in (0, 1):
                continue
            level = self.level(load, around)
            if level is None or _slope(place, inner.axis) != 1:
                return None
            laid[load] = level
        if not laid or not all(self.is_beside(item, rows.axis) for item in rows.body):
            return None
        across = {
            load: self.laid_across(load, level, rows, inner, around) for load, level in laid.items()
        }

        def leaf(part: Expr) -> Expr | None:
            return across.get(part) if isinstance(part, Load) else None

        def changed(item: Statement) -> Statement:
            if item is inner:
                summed = (map_values(one, lambda v: transform(v, leaf)) for one in inner.body)
                return For(inner.axis, inner.extent, "serial", tuple(summed))
            return item

        self.made.append(For(rows.axis, rows.extent, "vector", tuple(map(changed, rows.body))))
        return self.made[-1]

    def place(self, load: Load) -> Size | None:
        """The place in its array, where it is a polynomial, and nobody writes there."""
        if load.buffer not in self.parameters:
            return None
        shape = self.parameters[load.buffer].shape
        summands: list[tuple[Size, int]] = []
        for axis, item in enumerate(load.index):
            if not isinstance(item, Index):
                return None
            summands.append((item.size * size_product(shape[axis + 1 :]), 1))
        return combine(summands)

    def level(self, load: Load, around: Sequence[For]) -> int | None:
        """How many of the loops around decide which rows are meant; the others repeat them."""
        sizes = [item.size for item in load.index if isinstance(item, Index)]
        used = {name for size in sizes for name in symbols_of(size)}
        level = max((n + 1 for n, loop in enumerate(around) if loop.axis in used), default=0)
        times = size_product([loop.extent for loop in around[level:]])
        return None if level == len(around) or _is_below(times, REPEATED) else level

    def is_beside(self, item: Statement, axis: str) -> bool:
        """Whether lanes store their results side by side."""
        if not isinstance(item, Store):
            return True
        slopes = [_slope(i.size, axis) if isinstance(i, Index) else None for i in item.index]
        return not item.accumulate and slopes == [*[0] * (len(slopes) - 1), 1]

    def laid_across(
        self, load: Load, level: int, rows: For, inner: For, around: Sequence[For]
    ) -> Load:
        """The element in the copy, which is made before the outermost loop that repeats it."""
        name = f"{load.buffer}_across"
        while name in self.names:
            name += "_"
        self.names.add(name)
        place = (Index(Dim.symbol(inner.axis)), Index(Dim.symbol(rows.axis)))
        shape = (inner.extent, rows.extent)
        copied = Store(name, place, load, False, ())
        lanes = For(rows.axis, rows.extent, "vector", (copied,))
        nest: Statement = For(inner.axis, inner.extent, "parallel", (lanes,))
        if not _is_below(size_product(shape), SMALL):
            copy = Parameter(name, load.dtype, shape, written=True)
            nest = tiled_nest(nest, {load.buffer: self.parameters[load.buffer], name: copy})
        steps = self.before.setdefault(around[level].axis, [])
        steps += [Scratch(name, load.dtype, shape), nest]
        return Load(name, place, load.dtype)


def _in_blocks(rows: For, first: For) -> For:
    """The loop over the rows of the one around such a loop, which comes first in it: some rows at
    once, so that each element of the copy is read once for all of them."""
    if rows.kind != "parallel":
        return rows
    number = rows.body.index(first)
    before, after = rows.body[:number], rows.body[number + 1 :]
    if not all(isinstance(item, Scratch | Let) for item in before):
        return rows
    block, turn = f"{rows.axis}_block", f"{rows.axis}_row"
    start = TOGETHER * Dim.symbol(block)
    arrays = {item.name: item for item in before if isinstance(item, Scratch)}
    lets = [item for item in before if isinstance(item, Let)]
    names = [*(item.name for item in lets), *_names(first)]
    together: list[Statement] = []
    heads: list[Statement] = []
    sums: list[Statement] = []
    tails: list[Statement] = []
    loop: For | None = None
    for row in range(TOGETHER):
        own = {name: f"{name}_{row}" for name in names}
        moved = renamed(with_sizes([*lets, *first.body], {rows.axis: start + row}), own)
        moved = _of_row(moved, arrays, row)
        together += moved[: len(lets)]
        part = heads
        for item in moved[len(lets) :]:
            if isinstance(item, For):
                loop, part = item, tails
                sums += item.body
            else:
                part.append(item)
    assert loop is not None
    summed = For(loop.axis, loop.extent, "serial", tuple(sums))
    whole: list[Statement] = [
        *(Scratch(one.name, one.dtype, (TOGETHER, *one.shape)) for one in arrays.values()),
        *together,
        For(first.axis, first.extent, "vector", (*heads, summed, *tails)),
    ]
    if after:
        each = with_sizes([*lets, *after], {rows.axis: start + Dim.symbol(turn)})
        each = _of_row(each, arrays, Dim.symbol(turn))
        whole.append(For(turn, TOGETHER, "serial", tuple(each)))
    extent = rows.extent
    if not (isinstance(extent, int) and extent % TOGETHER == 0):
        end = Index(start + TOGETHER)
        single = with_sizes(rows.body, {rows.axis: start + Dim.symbol(rows.axis)})
        single = renamed(single, {name: f"{name}_alone" for name in _names(rows)})
        rest = For(rows.axis, extent - start, "serial", tuple(single))
        whole = [
            If(le(end, Index(extent)), tuple(whole)),
            If(lt(Index(extent), end), (rest,)),
        ]
    return For(block, ceil_div(extent, TOGETHER), "parallel", tuple(whole))


def _names(loop: For) -> list[str]:
    """Of all that the loop computes."""
    found: list[str] = []
    for item in statements_of(loop.body):
        if isinstance(item, Let | Accumulator):
            found.append(item.name)
        if isinstance(item, Accumulator) and item.position_name is not None:
            found.append(item.position_name)
    return found


def _of_row(body: Sequence[Statement], arrays: Collection[str], row: Size) -> list[Statement]:
    """The statements with such arrays, which now have several rows, at one of them."""

    def leaf(part: Expr) -> Expr | None:
        if isinstance(part, Load) and part.buffer in arrays:
            return Load(part.buffer, (Index(row), *part.index), part.dtype)
        return None

    result: list[Statement] = []
    for item in body:
        if isinstance(item, For | If):
            item = with_body(item, _of_row(item.body, arrays, row))
        else:
            item = map_values(item, lambda value: transform(value, leaf))
        if isinstance(item, Store) and item.buffer in arrays:
            place = (Index(row), *item.index)
            item = Store(item.buffer, place, item.value, item.accumulate, item.sources)
        result.append(item)
    return result


def _elements(rows: For) -> For | None:
    """The only loop inside, which feeds the accumulators before it and does nothing else."""
    found: For | None = None
    for item in rows.body:
        match item:
            case Let() | Store():
                pass
            case Accumulator(combine=combine, position_name=None) if combine in ARITHMETIC:
                pass
            case For(kind="vector", body=body) if found is None:
                if not all(isinstance(one, Let | Accumulate) for one in body):
                    return None
                found = item
            case _:
                return None
    return found


def _slope(place: Size, axis: str) -> Size | None:
    return place.coefficient(axis) if isinstance(place, Dim) else 0


def _is_below(size: Size, least: int) -> bool:
    return isinstance(size, int) and size < least
