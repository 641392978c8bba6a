"""From a draft to a kernel: which axes become which loops.

1. axes are ordered as they lie in memory (orientation.py), and neighbouring ones that every access
   runs through as if they were one are collapsed;
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

from collections.abc import Iterator, Sequence

from graphc.loops.draft import Draft, Phase
from graphc.loops.facts import Access, FactsOf
from graphc.loops.ir import (
    Accumulate,
    Accumulator,
    For,
    If,
    Kernel,
    Let,
    LoopKind,
    Parameter,
    Scratch,
    Statement,
    Store,
)
from graphc.loops.orientation import turned
from graphc.loops.tidy import hoist, map_values, tidy, values_of, with_body, with_sizes
from graphc.loops.values import IndexTuple, is_plain, linear_position
from graphc.scalar.expr import Expr, Index, Load, transform
from graphc.shapes import (
    Dim,
    Shape,
    Size,
    ceil_div,
    dim_min,
    size_product,
    substitute,
    symbols_of,
)

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
    Collapse(draft, extents, facts).run()
    rows = [a for a in sorted(extents) if a not in draft.group_axes]
    passes = [a for a in sorted(extents) if a in draft.group_axes]
    lanes_in_rows = bool(rows) and (not passes or rows[-1] > passes[-1])
    written = {p.name for p in draft.parameters.values() if p.written}
    body: list[Statement] = []
    for item in draft.body:
        if isinstance(item, Phase):
            last: LoopKind = "serial" if lanes_in_rows else "vector"
            body += wrap(item.statements, passes, draft, extents, "serial", last, written, facts)
        else:
            body.append(item)
    if draft.columns:
        loops = in_chunks(body, rows, passes, draft, extents, written, facts)
    else:
        last = "vector" if lanes_in_rows else "parallel"
        loops = wrap(body, rows, draft, extents, "parallel", last, written, facts)
    loops = tidy(loops, written, draft.named, facts)
    parameters = tuple(draft.parameters.values())
    axes = {draft.names[a] for a in (*extents, *[len(draft.domain)] * bool(draft.columns))}
    sizes = kernel_sizes(parameters, loops, facts) - axes
    return Kernel(name, parameters, tuple(sorted(sizes)), tuple(loops), draft.sources, comment)


def wrap(
    body: list[Statement],
    axes: Sequence[int],
    draft: Draft,
    extents: dict[int, Size],
    kind: LoopKind,
    last: LoopKind,
    written: set[str],
    facts: FactsOf,
) -> list[Statement]:
    """Loops over the axes around the body, each after what does not depend on it."""
    for position, axis in enumerate(reversed(axes)):
        before, inside = hoist(body, draft.names[axis], written, facts)
        chosen = last if position == 0 else kind
        body = [*before, For(draft.names[axis], extents[axis], chosen, tuple(inside))]
    return body


# --- chunks of rows --------------------------------------------------------------------------


def in_chunks(
    body: list[Statement],
    rows: Sequence[int],
    passes: Sequence[int],
    draft: Draft,
    extents: dict[int, Size],
    written: set[str],
    facts: FactsOf,
) -> list[Statement]:
    """The passes over a row, the columns that they add to, and what becomes of these."""
    axis = draft.names[rows[0]]
    chunk = draft.names[len(draft.domain)]  # a name that no axis has
    extent = extents[rows[0]]
    length = rows_of_chunk(extent, [extents[a] for a in (*rows[1:], *passes)])
    chunks = ceil_div(extent, length)
    number = Dim.symbol(chunk)
    partial = {column.partial for column in draft.columns}
    changing = written | partial

    def over_columns(items: list[Statement]) -> list[Statement]:
        loops = wrap(items, passes, draft, extents, "parallel", "vector", changing, facts)
        return [in_array(item, partial, number) for item in loops]

    inner = wrap(body, rows[1:], draft, extents, "serial", "serial", changing, facts)
    before, inside = hoist(inner, axis, changing, facts)
    first = number * length
    moved = [in_array(item, partial, number) for item in inside]
    moved = with_sizes(moved, {axis: Dim.symbol(axis) + first})
    some_rows = For(axis, dim_min(length, extent - first), "serial", tuple(moved))
    totals: list[Statement] = [
        Accumulator(c.total, c.combine, c.total_dtype, None, c.sources) for c in draft.columns
    ]
    totals.append(For(chunk, chunks, "serial", tuple(plain(draft.taken))))
    return [
        *(Scratch(c.partial, c.dtype, (chunks, *draft.arrays[c.partial])) for c in draft.columns),
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


# --- collapsing ------------------------------------------------------------------------------


class Collapse:
    """Runs through neighbouring axes as one where every access allows it; rewrites the draft.

    It does if in the row-major position of every access the left axis counts exactly `extent of
    right` times what the right one does, and neither is used in any other way.
    """

    def __init__(self, draft: Draft, extents: dict[int, Size], facts: FactsOf) -> None:
        self.draft = draft
        self.extents = extents
        self.used_as_values: set[str] = set()
        self.touched: dict[Access, None] = {}
        for body in draft.bodies:
            for item in flat_statements(body):
                self.note(item, facts)
        # Position of each access in its buffer, for buffers that can be flattened: parameters of
        # which no index is looked up in memory. The axes that index others stay as they are.
        self.positions: dict[Access, Size] = {}
        self.fixed: set[str] = set()
        looked_up = {buffer for buffer, index in self.touched if not is_plain(index)}
        for buffer, index in self.touched:
            if not index:
                continue
            shape = self.shape_of(buffer)
            if shape is not None and buffer not in looked_up:
                self.positions[(buffer, index)] = linear_position(shape, index)
            else:
                for part in index:
                    for size in facts(part).sizes:
                        self.fixed |= symbols_of(size)

    def shape_of(self, buffer: str) -> Shape | None:
        parameter = self.draft.parameters.get(buffer)
        return self.draft.arrays.get(buffer) if parameter is None else parameter.shape

    def note(self, item: Statement, facts: FactsOf) -> None:
        """Accesses, and axes that are used otherwise than in accesses."""
        if isinstance(item, Store):
            self.touched[(item.buffer, item.index)] = None
        for value in values_of([item]):
            found = facts(value)
            self.touched.update(dict.fromkeys(found.loads))
            if not (isinstance(item, Store) and value is not item.value):
                for size in found.used_sizes:
                    self.used_as_values |= symbols_of(size)

    def run(self) -> None:
        axes = sorted(self.extents)
        while len(axes) > 1:  # from the right; a pair lives on in its left axis
            left, right = axes[-2:]
            if self.is_possible(left, right):
                self.merge(left, right)
            axes.pop()

    def is_possible(self, left: int, right: int) -> bool:
        if (left in self.draft.group_axes) != (right in self.draft.group_axes):
            return False
        outer, inner = self.draft.names[left], self.draft.names[right]
        if {outer, inner} & (self.used_as_values | self.fixed):
            return False
        for position in set(self.positions.values()):
            if not isinstance(position, Dim):
                continue
            by_outer, by_inner = position.coefficient(outer), position.coefficient(inner)
            if by_outer is None or by_inner is None or by_outer != by_inner * self.extents[right]:
                return False
        return True

    def merge(self, left: int, right: int) -> None:
        """The left axis takes over: it now counts what the right one did."""
        outer, inner = self.draft.names[left], self.draft.names[right]
        for name in {buffer for buffer, _ in self.positions}:
            old = self.draft.parameters.get(name)
            if old is None:
                self.draft.arrays[name] = (size_product(self.draft.arrays[name]),)
            elif len(old.shape) != 1:
                shape = (size_product(old.shape),)
                self.draft.parameters[name] = Parameter(name, old.dtype, shape, old.written)
        mapping: dict[str, Size] = {outer: 0, inner: Dim.symbol(outer)}
        renamed = {p: substitute(p, mapping) for p in set(self.positions.values())}
        moved: dict[Access, IndexTuple] = {}
        positions: dict[Access, Size] = {}
        for (buffer, index), position in self.positions.items():
            new = moved[(buffer, index)] = (Index(renamed[position]),)
            positions[(buffer, new)] = renamed[position]
        self.positions = positions
        self.extents[left] = self.extents[left] * self.extents.pop(right)
        for body in self.draft.bodies:
            for number, item in enumerate(body):
                if isinstance(item, Scratch):
                    body[number] = Scratch(item.name, item.dtype, self.draft.arrays[item.name])
                else:
                    body[number] = map_statement(item, moved)


# --- walks over draft bodies -----------------------------------------------------------------


def flat_statements(body: Sequence[Statement | Phase]) -> Iterator[Statement]:
    for item in body:
        if isinstance(item, Phase):
            yield from item.statements
        else:
            yield item


def map_statement(item: Statement | Phase, moved: dict[Access, IndexTuple]) -> Statement | Phase:
    """Give every access in `moved` its new index."""

    def leaf(expression: Expr) -> Expr | None:
        if isinstance(expression, Load):
            new = moved.get((expression.buffer, expression.index))
            index = new or tuple(transform(part, leaf) for part in expression.index)
            return Load(expression.buffer, index, expression.dtype)
        return None

    match item:
        case Phase(statements):
            return Phase(plain([map_statement(s, moved) for s in statements]))
        case Let(name, value, sources):
            return Let(name, transform(value, leaf), sources)
        case Accumulate(name, value, position, sources):
            return Accumulate(name, transform(value, leaf), position, sources)
        case Store(buffer, index, value, accumulate, sources):
            new = moved.get((buffer, index)) or tuple(transform(part, leaf) for part in index)
            return Store(buffer, new, transform(value, leaf), accumulate, sources)
        case _:
            return item


def plain(body: Sequence[Statement | Phase]) -> list[Statement]:
    return [_as_statement(item) for item in body]


def _as_statement(item: Statement | Phase) -> Statement:
    assert not isinstance(item, Phase)
    return item


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
