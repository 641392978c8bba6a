"""From a draft to a kernel: which axes become which loops.

1. axes are ordered as they lie in memory (orientation.py), and neighbouring ones that every access
   runs through as if they were one become one (merged_axes.py);
2. rows become parallel loops, passes over reduced axes serial ones;
3. the last axis, the contiguous one, becomes the vector loop: of the passes if it is reduced,
   else of the rows (then reductions run serially with a lane per row);
4. what does not change in a loop is computed before it, equal values once (tidy.py).

Reductions over the rows are made along with them, in chunks of rows that may run at once:

    sums: f32[chunks, m] scratch
    for c in chunks parallel:
      for j in m vector: sums[c, j] = 0.0
      for i in min(32, n - 32*c) serial:
        ... passes over row 32*c + i, one of which does
        for j in m vector: sums[c, j] = sums[c, j] + dx[32*c + i, j]
    for j in m vector:
      total: f64 = 0.0 (add)
      for c in chunks serial: total += f64(sums[c, j])
      out[j] = f32(total)
"""

from collections.abc import Sequence

from graphc.loops.draft import Draft, Phase, plain
from graphc.loops.facts import FactsOf
from graphc.loops.ir import (
    Accumulator,
    For,
    If,
    Kernel,
    LoopKind,
    Parameter,
    Scratch,
    Statement,
    Store,
)
from graphc.loops.merged_axes import merge_axes
from graphc.loops.orientation import turned
from graphc.loops.tidy import hoist, map_values, tidy, values_of, with_body, with_sizes
from graphc.loops.values import IndexTuple
from graphc.scalar.expr import Expr, Index, Load, transform
from graphc.shapes import Dim, Size, ceil_div, dim_min, size_product, symbols_of

CHUNK = 32  # rows that are reduced to one, each chunk by one thread
MOST = 4 * CHUNK  # the same where there are so many rows that this leaves CHUNK chunks
LONGEST = 8 * CHUNK  # the same where rows are short,
WORTH = 4096  # so that a chunk has about so many elements
FEW, LITTLE = 128, 1 << 13  # rows and elements up to which there is one chunk


def schedule(draft: Draft, name: str, comment: str = "") -> Kernel:
    """The kernel of a draft; `sizes` lists the symbolic sizes that it uses, sorted."""
    facts = FactsOf()
    draft = turned(draft, facts)
    extents = dict(enumerate(draft.domain))
    merge_axes(draft, extents, facts)
    loops_of = _Loops(draft, extents, facts)
    rows = [a for a in sorted(extents) if a not in draft.group_axes]
    passes = [a for a in sorted(extents) if a in draft.group_axes]
    lanes_in_rows = bool(rows) and (not passes or rows[-1] > passes[-1])
    written = {p.name for p in draft.parameters.values() if p.written}
    body: list[Statement] = []
    for item in draft.body:
        if isinstance(item, Phase):
            last: LoopKind = "serial" if lanes_in_rows else "vector"
            body += loops_of.around(item.statements, passes, "serial", last, written)
        else:
            body.append(item)
    if draft.columns:
        loops = loops_of.in_chunks(body, rows, passes, written)
    else:
        last = "vector" if lanes_in_rows else "parallel"
        loops = loops_of.around(body, rows, "parallel", last, written)
    loops = tidy(loops, written, draft.named, facts)
    parameters = tuple(draft.parameters.values())
    axes = {draft.names[a] for a in (*extents, *[len(draft.domain)] * bool(draft.columns))}
    sizes = kernel_sizes(parameters, loops, facts) - axes
    return Kernel(name, parameters, tuple(sorted(sizes)), tuple(loops), draft.sources, comment)


class _Loops:
    """Wraps loops over axes of a draft around statements. extents: of the axes."""

    def __init__(self, draft: Draft, extents: dict[int, Size], facts: FactsOf) -> None:
        self.draft = draft
        self.extents = extents
        self.facts = facts

    def around(
        self,
        body: list[Statement],
        axes: Sequence[int],
        kind: LoopKind,
        last: LoopKind,
        changing: set[str],
    ) -> list[Statement]:
        """Loops over the axes around the body, each after what does not depend on it.

        last: the kind of the innermost one. changing: buffers whose loads may change.
        """
        for position, axis in enumerate(reversed(axes)):
            name = self.draft.names[axis]
            before, inside = hoist(body, name, changing, self.facts)
            chosen = last if position == 0 else kind
            body = [*before, For(name, self.extents[axis], chosen, tuple(inside))]
        return body

    def in_chunks(
        self,
        body: list[Statement],
        rows: Sequence[int],
        passes: Sequence[int],
        written: set[str],
    ) -> list[Statement]:
        """The passes over a row, the columns that they add to, and what becomes of these."""
        draft = self.draft
        axis = draft.names[rows[0]]
        chunk = draft.names[len(draft.domain)]  # a name that no axis has
        extent = self.extents[rows[0]]
        length = rows_of_chunk(extent, [self.extents[a] for a in (*rows[1:], *passes)])
        chunks = ceil_div(extent, length)
        number = Dim.symbol(chunk)
        partial = {column.partial for column in draft.columns}
        changing = written | partial

        def over_columns(items: list[Statement]) -> list[Statement]:
            loops = self.around(items, passes, "parallel", "vector", changing)
            return [in_array(item, partial, number) for item in loops]

        inner = self.around(body, rows[1:], "serial", "serial", changing)
        before, inside = hoist(inner, axis, changing, self.facts)
        first = number * length
        moved = [in_array(item, partial, number) for item in inside]
        moved = with_sizes(moved, {axis: Dim.symbol(axis) + first})
        some_rows = For(axis, dim_min(length, extent - first), "serial", tuple(moved))
        totals: list[Statement] = [
            Accumulator(c.total, c.combine, c.total_dtype, None, c.sources) for c in draft.columns
        ]
        totals.append(For(chunk, chunks, "serial", tuple(plain(draft.taken))))
        arrays = draft.arrays
        return [
            *(Scratch(c.partial, c.dtype, (chunks, *arrays[c.partial])) for c in draft.columns),
            *before,
            For(chunk, chunks, "parallel", (*over_columns(plain(draft.empty)), some_rows)),
            *over_columns([*totals, *plain(draft.foot)]),
        ]


def in_array(item: Statement, arrays: set[str], row: Size) -> Statement:
    """The statement with accesses to a row of these arrays instead of the whole."""

    def place(buffer: str, index: IndexTuple) -> IndexTuple:
        return (Index(row), *index) if buffer in arrays else index

    def leaf(expression: Expr) -> Expr | None:
        if isinstance(expression, Load) and expression.buffer in arrays:
            return Load(expression.buffer, (Index(row), *expression.index), expression.dtype)
        return None

    def visit(one: Statement) -> Statement:
        if isinstance(one, For | If):
            return with_body(one, [visit(inner) for inner in one.body])
        if isinstance(one, Store):
            value = transform(one.value, leaf)
            return Store(one.buffer, place(one.buffer, one.index), value, False, one.sources)
        return map_values(one, lambda value: transform(value, leaf))

    return visit(item)


def rows_of_chunk(rows: Size, others: Sequence[Size]) -> Size:
    """How many rows one chunk has: one chunk where all is little, else a fixed number."""
    count = size_product([rows, *others])
    if isinstance(rows, int) and isinstance(count, int) and rows <= FEW and count <= LITTLE:
        return max(rows, 1)
    length = size_product(others)
    if isinstance(length, int) and 0 < length < WORTH // CHUNK:
        return min(LONGEST, WORTH // length // CHUNK * CHUNK)
    if isinstance(rows, int):
        return max(CHUNK, min(MOST, -(-rows // CHUNK)))
    return CHUNK


# --- sizes -------------------------------------------------------------------------------------


def kernel_sizes(
    parameters: Sequence[Parameter], body: Sequence[Statement], facts: FactsOf
) -> set[str]:
    """The symbols that shapes, extents and indices use, loop axes among them."""
    sizes: set[Size] = {size for parameter in parameters for size in parameter.shape}
    for value in values_of(body):
        sizes.update(facts(value).sizes)
    pending = list(body)
    while pending:
        item = pending.pop()
        if isinstance(item, For):
            sizes.add(item.extent)
            pending += item.body
        elif isinstance(item, Scratch):
            sizes.update(item.shape)
    return {symbol for size in sizes for symbol in symbols_of(size)}
