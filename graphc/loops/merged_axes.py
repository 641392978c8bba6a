"""Neighbouring axes of a draft become one, where every access runs through them as if they were.

They do if in the row-major position of every access the left axis counts exactly `extent of right`
times what the right one does, and neither is used in any other way.
"""

from collections.abc import Iterator, Sequence

from graphc.loops.draft import Draft, Phase, plain
from graphc.loops.facts import Access, FactsOf
from graphc.loops.ir import Accumulate, Let, Parameter, Scratch, Statement, Store
from graphc.loops.tidy import values_of
from graphc.loops.values import IndexTuple, is_plain, linear_position
from graphc.scalar.expr import Expr, Index, Load, transform
from graphc.shapes import Dim, Shape, Size, size_product, substitute, symbols_of


def merge_axes(draft: Draft, extents: dict[int, Size], facts: FactsOf) -> None:
    """Rewrites the draft and the extents of its axes; a pair lives on in its left axis."""
    _Merging(draft, extents, facts).run()


class _Merging:
    """What is known of the accesses of a draft, and which axes they allow to be one."""

    def __init__(self, draft: Draft, extents: dict[int, Size], facts: FactsOf) -> None:
        self.draft = draft
        self.extents = extents
        self.used_as_values: set[str] = set()
        self.touched: dict[Access, None] = {}
        for body in draft.bodies:
            for item in _flat_statements(body):
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
        while len(axes) > 1:  # from the right
            left, right = axes[-2:]
            if self.is_possible(left, right):
                self.merge(left, right)
            axes.pop()

    def is_possible(self, left: int, right: int) -> bool:
        """Whether the two may be one: see above."""
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
                    body[number] = _with_indices(item, moved)


def _flat_statements(body: Sequence[Statement | Phase]) -> Iterator[Statement]:
    for item in body:
        if isinstance(item, Phase):
            yield from item.statements
        else:
            yield item


def _with_indices(item: Statement | Phase, moved: dict[Access, IndexTuple]) -> Statement | Phase:
    """Give every access in `moved` its new index."""

    def leaf(expression: Expr) -> Expr | None:
        if isinstance(expression, Load):
            new = moved.get((expression.buffer, expression.index))
            index = new or tuple(transform(part, leaf) for part in expression.index)
            return Load(expression.buffer, index, expression.dtype)
        return None

    match item:
        case Phase(statements):
            return Phase(plain([_with_indices(s, moved) for s in statements]))
        case Let(name, value, sources):
            return Let(name, transform(value, leaf), sources)
        case Accumulate(name, value, position, sources):
            return Accumulate(name, transform(value, leaf), position, sources)
        case Store(buffer, index, value, accumulate, sources):
            new = moved.get((buffer, index)) or tuple(transform(part, leaf) for part in index)
            return Store(buffer, new, transform(value, leaf), accumulate, sources)
        case _:
            return item
