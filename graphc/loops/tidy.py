"""Statements of a kernel made fewer and plainer, without a change of meaning.

hoist   what does not depend on a loop's axis is computed before the loop
share   two equal values become one; another name for a value goes
inline  a value that is used once, right there, is written where it is used
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from graphc.ir.source import Sources, merge_sources
from graphc.loops.facts import FactsOf
from graphc.loops.ir import Accumulate, Accumulator, For, If, Let, Scratch, Statement, Store
from graphc.records import dataclass
from graphc.scalar.expr import Call, Const, Expr, Index, Load, Local, transform, walk
from graphc.shapes import Dim, Size, substitute, symbols_of

INLINE_OPERATIONS = 6  # operations that one expression may come to hold

# --- hoisting ----------------------------------------------------------------------------------


def hoist(
    body: Sequence[Statement], axis: str, written: set[str], facts: FactsOf
) -> tuple[list[Statement], list[Statement]]:
    """(before, inside) a loop over `axis`: values that are the same in every iteration go before.

    Only arithmetic goes, with the loads it needs: a load by itself is read where it is used.
    """
    varying: set[str | None] = set()
    changing = set(written)
    fixed: dict[Size, bool] = {}  # whether an index may be computed before the loop
    invariant: dict[str, Let] = {}
    for item in body:
        if isinstance(item, Accumulator):
            varying |= {item.name, item.position_name}
        elif isinstance(item, Scratch):
            changing.add(item.name)
        elif isinstance(item, Let):
            found = facts(item.value)
            if (
                varying.isdisjoint(found.locals)
                and not any(buffer in changing for buffer, _ in found.loads)
                and all(_is_fixed(size, axis, fixed) for size in found.sizes)
            ):
                invariant[item.name] = item
            else:
                varying.add(item.name)
    wanted: set[str] = set()
    for name, let in reversed(invariant.items()):
        if isinstance(let.value, Call) or name in wanted:
            wanted |= {name, *facts(let.value).locals}
    if not wanted:
        return [], list(body)
    before: list[Statement] = [let for name, let in invariant.items() if name in wanted]
    inside = [item for item in body if not (isinstance(item, Let) and item.name in wanted)]
    return before, inside


def _is_fixed(size: Size, axis: str, fixed: dict[Size, bool]) -> bool:
    """Free of the axis; and of divisions, as one may be by a size that is 0 if no loop runs."""
    if isinstance(size, int):
        return True
    if size not in fixed:
        fixed[size] = axis not in symbols_of(size) and not size.has_division()
    return fixed[size]


def tidy(
    body: Sequence[Statement], written: set[str], named: set[str], facts: FactsOf
) -> list[Statement]:
    """Share, then inline. written: buffers whose loads may change; named: locals to keep."""
    shared = _Sharing(written, facts).run(body)
    return _Inlining(shared, written, named, facts).run(shared)


# --- sharing -----------------------------------------------------------------------------------

SharingKey = tuple[Expr, tuple[str, ...]]  # a value, and the signs of the zeros in it


class _Sharing:
    """Equal values under one name. other_name: what stands for a name that is gone."""

    def __init__(self, written: set[str], facts: FactsOf) -> None:
        self.facts = facts
        self.changing = set(written)
        self.other_name: dict[str, Expr] = {}
        self.held: dict[SharingKey, Local] = {}

    def run(self, body: Sequence[Statement]) -> list[Statement]:
        result: list[Statement] = []
        visible: list[SharingKey] = []
        for item in body:
            if isinstance(item, Let):
                kept = self.kept(item, visible)
                if kept is not None:
                    result.append(kept)
                continue
            if isinstance(item, Scratch):
                self.changing.add(item.name)
            elif isinstance(item, For | If):
                item = with_body(item, self.run(item.body))
            elif self.other_name:
                item = map_values(item, self.renamed)
            result.append(item)
        for key in visible:
            del self.held[key]
        return result

    def kept(self, let: Let, visible: list[SharingKey]) -> Let | None:
        """The statement, unless its value has a name already."""
        value = self.renamed(let.value)
        if isinstance(value, Local | Const | Index):
            self.other_name[let.name] = value
            return None
        facts = self.facts(value)
        key = (value, facts.zeros)
        held = self.held.get(key)
        if held is not None:
            self.other_name[let.name] = held
            return None
        if not any(buffer in self.changing for buffer, _ in facts.loads):
            self.held[key] = Local(let.name, value.dtype)
            visible.append(key)
        return let if value is let.value else Let(let.name, value, let.sources)

    def renamed(self, value: Expr) -> Expr:
        if self.other_name.keys().isdisjoint(self.facts(value).locals):
            return value
        return transform(
            value,
            lambda item: self.other_name.get(item.name) if isinstance(item, Local) else None,
        )


# --- inlining ----------------------------------------------------------------------------------


@dataclass(slots=True)
class _Waiting:
    """A value used once, by a statement still to come."""

    let: Let
    operations: int
    may_change: bool


class _Inlining:
    """Values that are used once, put where they are used."""

    def __init__(
        self, body: Sequence[Statement], written: set[str], named: set[str], facts: FactsOf
    ) -> None:
        self.facts = facts
        self.changing = set(written)
        self.named = named
        self.uses: dict[str, int] = {}
        for value in values_of(body):
            for name in facts(value).locals:
                self.uses[name] = self.uses.get(name, 0) + 1

    def run(self, body: Sequence[Statement]) -> list[Statement]:
        result: list[Statement] = []
        waiting: dict[str, _Waiting] = {}
        for item in body:
            if isinstance(item, For | If):
                result += [held.let for held in waiting.values()]
                waiting.clear()
                result.append(with_body(item, self.run(item.body)))
                continue
            if isinstance(item, Scratch):
                self.changing.add(item.name)
            item = self.filled_in(item, waiting, result)
            if (
                isinstance(item, Let)
                and self.uses.get(item.name) == 1
                and item.name not in self.named
            ):
                facts = self.facts(item.value)
                may_change = any(buffer in self.changing for buffer, _ in facts.loads)
                waiting[item.name] = _Waiting(item, facts.operations, may_change)
                continue
            if isinstance(item, Store):
                for name in [name for name, held in waiting.items() if held.may_change]:
                    result.append(waiting.pop(name).let)
            result.append(item)
        return [*result, *(held.let for held in waiting.values())]

    def filled_in(
        self, item: Statement, waiting: dict[str, _Waiting], result: list[Statement]
    ) -> Statement:
        """The statement with waiting values in it; those that would make it long go before it."""
        if not waiting:
            return item
        facts = [self.facts(value) for value in values_of([item])]
        used = [waiting.pop(name) for one in facts for name in one.locals if name in waiting]
        if not used:
            return item
        size = sum(one.operations for one in facts)
        inlined: dict[str, Let] = {}
        for held in sorted(used, key=lambda held: held.operations):
            size += held.operations
            if size <= INLINE_OPERATIONS or held.operations == 0:
                inlined[held.let.name] = held.let
            else:
                result.append(held.let)

        def leaf(expression: Expr) -> Expr | None:
            if isinstance(expression, Local) and expression.name in inlined:
                return inlined[expression.name].value
            return None

        sources = [let.sources for let in inlined.values()]
        return map_values(item, lambda value: transform(value, leaf), *sources)


# --- statements --------------------------------------------------------------------------------


def values_of(body: Sequence[Statement]) -> Iterator[Expr]:
    """All expressions, those of nested bodies included."""
    for item in body:
        match item:
            case Let():
                yield item.value
            case Accumulate():
                yield item.value
                if item.position is not None:
                    yield item.position
            case Store():
                yield from item.index
                yield item.value
            case If():
                yield item.condition
                yield from values_of(item.body)
            case For():
                yield from values_of(item.body)
            case _:
                pass


def loads_of(body: Sequence[Statement]) -> Iterator[Load]:
    """All loads, those of nested bodies and of indices included."""
    for value in values_of(body):
        for part in walk(value):
            if isinstance(part, Load):
                yield part


def statements_of(body: Sequence[Statement]) -> Iterator[Statement]:
    """All statements, those of nested bodies included, in no order."""
    pending = list(body)
    while pending:
        item = pending.pop()
        yield item
        if isinstance(item, For | If):
            pending += item.body


def accumulators_fed(body: Sequence[Statement]) -> set[str]:
    """The accumulators that a body feeds."""
    return {item.name for item in statements_of(body) if isinstance(item, Accumulate)}


def map_values(item: Statement, change: Callable[[Expr], Expr], *sources: Sources) -> Statement:
    """The statement with its expressions changed; `sources` are added to its own."""
    match item:
        case Let(name, value, own):
            return Let(name, change(value), merge_sources(own, *sources))
        case Accumulate(name, value, position, own):
            changed = None if position is None else change(position)
            return Accumulate(name, change(value), changed, merge_sources(own, *sources))
        case Store(buffer, index, value, accumulate, own):
            place = tuple(change(part) for part in index)
            return Store(buffer, place, change(value), accumulate, merge_sources(own, *sources))
        case _:
            return item


def with_body(item: For | If, body: Sequence[Statement]) -> For | If:
    if isinstance(item, For):
        return For(item.axis, item.extent, item.kind, tuple(body))
    return If(item.condition, tuple(body))


def with_sizes(body: Sequence[Statement], shift: Mapping[str, Size]) -> list[Statement]:
    """The statements with other sizes for some symbols, axes among them."""

    def leaf(expr: Expr) -> Expr | None:
        if isinstance(expr, Index) and symbols_of(expr.size) & shift.keys():
            return Index(substitute(expr.size, shift))
        return None

    result: list[Statement] = []
    for item in body:
        match item:
            case For(axis, extent, kind, inner):
                moved = substitute(extent, shift)
                result.append(For(axis, moved, kind, tuple(with_sizes(inner, shift))))
            case If(condition, inner):
                result.append(If(transform(condition, leaf), tuple(with_sizes(inner, shift))))
            case Scratch(name, dtype, shape):
                sizes = tuple(substitute(size, shift) for size in shape)
                result.append(Scratch(name, dtype, sizes))
            case _:
                result.append(map_values(item, lambda value: transform(value, leaf)))
    return result


def fresh_name(name: str, taken: set[str]) -> str:
    """The name, with a number if it is taken; it is taken from then on."""
    number, found = 2, name
    while found in taken:
        found, number = f"{name}_{number}", number + 1
    taken.add(found)
    return found


def renamed(body: Sequence[Statement], names: Mapping[str, str]) -> list[Statement]:
    """The statements, with other names for loops, values and arrays."""
    axes: dict[str, Size] = {old: Dim.symbol(new) for old, new in names.items()}

    def of(name: str) -> str:
        return names.get(name, name)

    def leaf(expr: Expr) -> Expr | None:
        match expr:
            case Index(size) if symbols_of(size) & names.keys():
                return Index(substitute(size, axes))
            case Local(name, dtype) if name in names:
                return Local(names[name], dtype)
            case Load(buffer, index, dtype) if buffer in names:
                return Load(names[buffer], tuple(transform(one, leaf) for one in index), dtype)
        return None

    result: list[Statement] = []
    for item in body:
        match item:
            case For(axis, extent, kind, inner):
                found = substitute(extent, axes)
                item = For(of(axis), found, kind, tuple(renamed(inner, names)))
            case If(condition, inner):
                item = If(transform(condition, leaf), tuple(renamed(inner, names)))
            case Scratch(name, dtype, shape):
                item = Scratch(of(name), dtype, tuple(substitute(size, axes) for size in shape))
            case Accumulator(name, combine, dtype, position, sources, fused):
                place = None if position is None else of(position)
                item = Accumulator(of(name), combine, dtype, place, sources, fused)
            case _:
                item = map_values(item, lambda value: transform(value, leaf))
                if isinstance(item, Let):
                    item = Let(of(item.name), item.value, item.sources)
                elif isinstance(item, Accumulate):
                    item = Accumulate(of(item.name), item.value, item.position, item.sources)
                elif isinstance(item, Store):
                    item = Store(
                        of(item.buffer), item.index, item.value, item.accumulate, item.sources
                    )
        result.append(item)
    return result
