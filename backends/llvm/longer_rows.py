"""Reductions of a few columns, whose rows follow each other: of rows some times as long, first.

    for j in 3 vector:                 for q in 48 vector:
      total = 0                          total = 0
      for i in n serial:                 for i in n // 16 serial:
        total += x[i, j]                   total += x[16*i, q]
      out[j] = total            ->       wide[q] = total
                                       for j in 3 vector:
                                         total = 0
                                         for r in 16 serial:
                                           total += wide[3*r + j]
                                         for i in n % 16 serial:
                                           total += x[i + n // 16 * 16, j]
                                         out[j] = total

A vector holds one row of the first form, and of bytes it is nearly empty. x[16*i, q] is what lies
q elements behind x[16*i, 0]: of a matrix that is dense, an element of one of 16 rows. Whole vectors
are read so, and each element of theirs belongs to the same column in every step.
"""

from collections.abc import Sequence
from dataclasses import replace

from graphc.backends.llvm.chunks import names_of
from graphc.backends.llvm.target import Target
from graphc.dtypes import is_floating, is_half
from graphc.loops.ir import Accumulate, Accumulator, For, Kernel, Let, Scratch, Statement, Store
from graphc.loops.tidy import loads_of, values_of, with_sizes
from graphc.scalar.expr import Expr, Index, Load, Local, transform
from graphc.shapes import Dim, Shape, Size, floor_div, symbols_of

MOST_COLUMNS = 7
WIDEST = 4  # bytes of an element
MOST_BYTES = 12  # of a row of floats, sums of which run at the rate of memory when it is longer
LEAST = 16  # longer rows, if it is known how many there are


def with_longer_rows(
    kernel: Kernel, body: Sequence[Statement], target: Target
) -> tuple[Statement, ...]:
    """The body of a kernel, with such loops outside of all others in two parts."""
    shapes = {parameter.name: parameter.shape for parameter in kernel.parameters}
    names: set[str] = set()
    result: list[Statement] = []
    for item in body:
        count = _rows_together(item, shapes, target)
        if count is None:
            result.append(item)
        else:
            assert isinstance(item, For)
            names = names or names_of(body)
            result += _in_two(item, count, names)
    return tuple(result)


def _rows_together(item: Statement, shapes: dict[str, Shape], target: Target) -> int | None:
    """How many rows become one."""
    if not isinstance(item, For) or item.kind != "vector" or not isinstance(item.extent, int):
        return None
    if not 1 < item.extent <= MOST_COLUMNS:
        return None
    rows = _loop_over_rows(item)
    if rows is None or not all(isinstance(one, Let | Accumulate) for one in rows.body):
        return None
    given = _accumulators(item, rows)
    if given is None:
        return None
    loads = list(loads_of(rows.body))
    sizes = {load.dtype.itemsize for load in loads}
    if len(sizes) != 1 or not all(_is_dense(load, rows, item, shapes) for load in loads):
        return None
    if any(_is_placed(value, {rows.axis, item.axis}) for value in values_of(rows.body)):
        return None
    (size,) = sizes
    if size > WIDEST:
        return None
    if any(is_floating(one.dtype) for one in given) and item.extent * size > MOST_BYTES:
        return None
    count = target.native_lanes(size)
    known = isinstance(rows.extent, int) and rows.extent < LEAST * count
    return None if known or count < 2 else count


def _loop_over_rows(item: For) -> For | None:
    """The only loop inside."""
    loops = [one for one in item.body if isinstance(one, For)]
    return loops[0] if len(loops) == 1 and loops[0].kind == "serial" else None


def _accumulators(item: For, rows: For) -> list[Accumulator] | None:
    """What stands before the loop over rows: accumulators that it feeds, and nothing else."""
    before = item.body[: item.body.index(rows)]
    found = [one for one in before if isinstance(one, Accumulator)]
    fed = {one.name for one in rows.body if isinstance(one, Accumulate)}
    if len(found) != len(before) or fed != {one.name for one in found}:
        return None
    if any(one.position_name is not None or is_half(one.dtype) for one in found):
        return None
    return found


def _is_dense(load: Load, rows: For, columns: For, shapes: dict[str, Shape]) -> bool:
    """Whether what is read lies in dense rows of so many columns."""
    shape = shapes.get(load.buffer)
    if shape is None or len(shape) != len(load.index):
        return False
    place: Size = 0
    for item, size in zip(load.index, shape, strict=True):
        if not isinstance(item, Index):
            return False
        place = place * size + item.size
    assert isinstance(columns.extent, int)
    rest = place - Dim.symbol(rows.axis) * columns.extent - Dim.symbol(columns.axis)
    return not symbols_of(rest) & {rows.axis, columns.axis}


def _is_placed(value: Expr, axes: set[str]) -> bool:
    """Whether the value depends on where it stands, other than by what is read there."""
    found: list[Expr] = []

    def leaf(expr: Expr) -> Expr | None:
        if isinstance(expr, Index) and symbols_of(expr.size) & axes:
            found.append(expr)
        return expr if isinstance(expr, Load) else None

    transform(value, leaf)
    return bool(found)


def _in_two(item: For, count: int, names: set[str]) -> list[Statement]:
    rows = _loop_over_rows(item)
    assert rows is not None
    assert isinstance(item.extent, int)
    at = item.body.index(rows)
    given = [one for one in item.body[:at] if isinstance(one, Accumulator)]

    def fresh(name: str) -> str:
        while name in names:
            name += "_"
        names.add(name)
        return name

    place, turn = fresh(f"{item.axis}_wide"), fresh(f"{rows.axis}_together")
    own = {one.name: fresh(f"{one.name}_longer") for one in given}
    wide = {one.name: fresh(f"{one.name}_wide") for one in given}
    width, groups = item.extent * count, floor_div(rows.extent, count)
    row, column = Dim.symbol(rows.axis), Dim.symbol(item.axis)
    longer = [
        replace(one, name=own[one.name]) if isinstance(one, Accumulate) else one
        for one in with_sizes(rows.body, {rows.axis: row * count, item.axis: Dim.symbol(place)})
    ]
    first: list[Statement] = [replace(one, name=own[one.name]) for one in given]
    first.append(For(rows.axis, groups, "serial", tuple(longer)))
    for one in given:
        sums = Local(own[one.name], one.dtype)
        first.append(Store(wide[one.name], (Index(Dim.symbol(place)),), sums))
    held = (Index(Dim.symbol(turn) * item.extent + column),)
    takes = [
        Accumulate(one.name, Load(wide[one.name], held, one.dtype), sources=one.sources)
        for one in given
    ]
    rest = with_sizes(rows.body, {rows.axis: row + groups * count})
    second: tuple[Statement, ...] = (
        *given,
        For(turn, count, "serial", tuple(takes)),
        For(rows.axis, rows.extent - groups * count, "serial", tuple(rest)),
        *item.body[at + 1 :],
    )
    return [
        *(Scratch(wide[one.name], one.dtype, (width,)) for one in given),
        For(place, width, "vector", tuple(first)),
        For(item.axis, item.extent, "vector", second),
    ]
