"""From a draft to a kernel: which axes become which loops.

1. neighbouring axes that every access runs through as if they were one are collapsed;
2. rows become parallel loops, passes over reduced axes serial ones;
3. the last axis, the contiguous one, becomes the vector loop: of the passes if it is reduced,
   else of the rows (then reductions run serially with a lane per row).
"""

from collections.abc import Callable, Iterator, Sequence

from graphc.loops.ir import (
    Accumulate,
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
from graphc.loops.kernels import Draft, Phase
from graphc.loops.values import IndexTuple
from graphc.scalar.expr import Call, Expr, Index, Load, Local, transform, walk
from graphc.shapes import Dim, Shape, Size, size_product, substitute, symbols_of

Body = list[Statement | Phase]


def schedule(draft: Draft, name: str, comment: str = "") -> Kernel:
    """The kernel of a draft; `sizes` lists the symbolic sizes that it uses, sorted."""
    extents = {a: size for a, size in enumerate(draft.domain) if size != 1}
    axes = sorted(extents)
    current = axes.pop() if axes else 0
    while axes:  # from the right; an axis that was collapsed lives on in the one to its right
        left = axes.pop()
        same_kind = (left in draft.group_axes) == (current in draft.group_axes)
        if same_kind and collapse(draft, left, current, extents):
            extents[current] = extents.pop(left) * extents[current]
        else:
            current = left
    rows = [a for a in sorted(extents) if a not in draft.group_axes]
    passes = [a for a in sorted(extents) if a in draft.group_axes]
    lanes_in_rows = bool(rows) and (not passes or rows[-1] > passes[-1])
    body: list[Statement] = []
    for item in draft.body:
        if isinstance(item, Phase):
            inner = inline_single_loads(item.statements)
            last: LoopKind = "serial" if lanes_in_rows else "vector"
            body += wrap(inner, passes, draft, extents, "serial", last)
        else:
            body.append(item)
    body = inline_single_loads(body)
    last = "vector" if lanes_in_rows else "parallel"
    loops = wrap(body, rows, draft, extents, "parallel", last)
    parameters = tuple(draft.parameters.values())
    return Kernel(
        name,
        parameters,
        kernel_sizes(parameters, loops, draft),
        tuple(loops),
        draft.sources,
        comment,
    )


def wrap(
    body: list[Statement],
    axes: Sequence[int],
    draft: Draft,
    extents: dict[int, Size],
    kind: LoopKind,
    last: LoopKind,
) -> list[Statement]:
    for position, axis in enumerate(reversed(axes)):
        chosen = last if position == 0 else kind
        body = [For(draft.names[axis], extents[axis], chosen, tuple(body))]
    return body


# --- collapsing ------------------------------------------------------------------------------


def collapse(draft: Draft, left: int, right: int, extents: dict[int, Size]) -> bool:
    """Try to run through two neighbouring axes as one; rewrites the draft if that is possible.

    Possible if in the row-major position of every access the left axis counts exactly `extent of
    right` times what the right one does, and neither is used in any other way.
    """
    outer, inner = draft.names[left], draft.names[right]
    extent = extents[right]
    linear: dict[tuple[str, IndexTuple], Size] = {}
    for expression in expressions(draft.body):
        if any({outer, inner} & symbols_of(size) for size in _outside_accesses(expression)):
            return False
    for buffer, index in accesses(draft.body):
        mentions = any(
            {outer, inner} & symbols_of(sub.size)
            for part in index
            for sub in walk(part)
            if isinstance(sub, Index)
        )
        if buffer not in draft.parameters:  # scratch rows
            if mentions:
                return False
            continue
        position = linear_position(draft.parameters[buffer].shape, index)
        if position is None:
            if mentions:
                return False
            continue
        by_outer, by_inner = _coefficient(position, outer), _coefficient(position, inner)
        if by_outer is None or by_inner is None or by_outer != by_inner * extent:
            return False
        linear[(buffer, index)] = position
    _apply(draft, linear, outer)
    return True


def _coefficient(size: Size, axis: str) -> Size | None:
    return size.coefficient(axis) if isinstance(size, Dim) else 0


def _apply(draft: Draft, linear: dict[tuple[str, IndexTuple], Size], outer: str) -> None:
    """Flatten the parameters whose every access is linear; `outer` becomes part of the inner."""
    flattened = {
        name
        for name in draft.parameters
        if all((b, i) in linear for b, i in accesses(draft.body) if b == name)
    }
    for name in flattened:
        old = draft.parameters[name]
        shape: Shape = (size_product(old.shape),)
        draft.parameters[name] = Parameter(name, old.dtype, shape, old.written)

    def rewritten(buffer: str, index: IndexTuple) -> IndexTuple:
        if buffer in flattened:
            return (Index(substitute(linear[(buffer, index)], {outer: 0})),)
        return index

    draft.body[:] = [map_statement(item, rewritten) for item in draft.body]


def linear_position(shape: Shape, index: IndexTuple) -> Size | None:
    position: Size = 0
    for size, item in zip(shape, index, strict=True):
        if not isinstance(item, Index):
            return None
        position = position * size + item.size
    return position


# --- walks over draft bodies -----------------------------------------------------------------


def flat_statements(body: Sequence[Statement | Phase]) -> Iterator[Statement]:
    for item in body:
        if isinstance(item, Phase):
            yield from item.statements
        else:
            yield item


def expressions(body: Sequence[Statement | Phase]) -> Iterator[Expr]:
    """Values and positions; the index tuples of stores are given by `accesses`."""
    for item in flat_statements(body):
        match item:
            case Let(_, value) | Store(_, _, value):
                yield value
            case Accumulate(_, value, position):
                yield value
                if position is not None:
                    yield position
            case _:
                pass


def accesses(body: Sequence[Statement | Phase]) -> Iterator[tuple[str, IndexTuple]]:
    """(buffer, index) of every load and store, loads inside indices included."""
    for item in flat_statements(body):
        if isinstance(item, Store):
            yield item.buffer, item.index
            for part in item.index:
                yield from _loads(part)
    for expression in expressions(body):
        yield from _loads(expression)


def _loads(expression: Expr) -> Iterator[tuple[str, IndexTuple]]:
    for sub in walk(expression):
        if isinstance(sub, Load):
            yield sub.buffer, sub.index


def _outside_accesses(expression: Expr) -> Iterator[Size]:
    """Index polynomials used as values, as in `arange`, rather than to address memory."""
    if isinstance(expression, Index):
        yield expression.size
    elif isinstance(expression, Call):
        for arg in expression.args:
            yield from _outside_accesses(arg)


def map_statement(
    item: Statement | Phase, index_of: Callable[[str, IndexTuple], IndexTuple]
) -> "Statement | Phase":
    """Rewrite the index of every access."""

    def leaf(expression: Expr) -> Expr | None:
        if isinstance(expression, Load):
            index = index_of(expression.buffer, expression.index)
            return Load(
                expression.buffer, tuple(transform(i, leaf) for i in index), expression.dtype
            )
        return None

    match item:
        case Phase(statements):
            return Phase([_as_statement(map_statement(s, index_of)) for s in statements])
        case Let(name, value, sources):
            return Let(name, transform(value, leaf), sources)
        case Accumulate(name, value, position, sources):
            return Accumulate(name, transform(value, leaf), position, sources)
        case Store(buffer, index, value, accumulate, sources):
            moved = tuple(transform(part, leaf) for part in index_of(buffer, index))
            return Store(buffer, moved, transform(value, leaf), accumulate, sources)
        case _:
            return item


def _as_statement(item: Statement | Phase) -> Statement:
    assert not isinstance(item, Phase)
    return item


def inline_single_loads(body: Sequence[Statement]) -> list[Statement]:
    """Put a load that is used once where it is used, if nothing is stored in between.

    For the reader's sake: `acc += x[i, j] * w[j]` instead of three lines.
    """
    uses: dict[str, int] = {}
    for local in _locals(body):
        uses[local] = uses.get(local, 0) + 1
    result: list[Statement] = []
    pending: dict[str, Expr] = {}

    def leaf(expression: Expr) -> Expr | None:
        if isinstance(expression, Local):
            return pending.pop(expression.name, None)
        return None

    def flush() -> None:
        for name, value in pending.items():
            result.append(Let(name, value))
        pending.clear()

    for item in body:
        match item:
            case Let(name, Load() as value, _) if uses.get(name) == 1:
                pending[name] = transform(value, leaf)
            case Let(name, value, sources):
                result.append(Let(name, transform(value, leaf), sources))
            case Accumulate(name, value, position, sources):
                result.append(Accumulate(name, transform(value, leaf), position, sources))
            case Store(buffer, index, value, accumulate, sources):
                stored = transform(value, leaf)
                place = tuple(transform(part, leaf) for part in index)
                flush()
                result.append(Store(buffer, place, stored, accumulate, sources))
            case For() | If():
                flush()
                result.append(item)
            case _:
                result.append(item)
    flush()
    return result


def _locals(body: Sequence[Statement]) -> Iterator[str]:
    for item in body:
        if isinstance(item, For | If):
            yield from _locals(item.body)
            if isinstance(item, If):
                yield from (s.name for s in walk(item.condition) if isinstance(s, Local))
            continue
        for expression in expressions([item]):
            yield from (sub.name for sub in walk(expression) if isinstance(sub, Local))
        if isinstance(item, Store):
            for part in item.index:
                yield from (sub.name for sub in walk(part) if isinstance(sub, Local))


def kernel_sizes(
    parameters: Sequence[Parameter], body: Sequence[Statement], draft: Draft
) -> tuple[str, ...]:
    """The size symbols that shapes, extents and indices use: all symbols but the loop axes."""
    found: set[str] = set()
    axes: set[str] = set()

    def visit(items: Sequence[Statement]) -> None:
        for item in items:
            if isinstance(item, For):
                axes.add(item.axis)
                found.update(symbols_of(item.extent))
                visit(item.body)
            elif isinstance(item, If):
                visit(item.body)
            elif isinstance(item, Scratch):
                for size in item.shape:
                    found.update(symbols_of(size))
            for expression in expressions([item]):
                _collect(expression, found)
            if isinstance(item, Store):
                for part in item.index:
                    _collect(part, found)

    for parameter in parameters:
        for size in parameter.shape:
            found.update(symbols_of(size))
    visit(body)
    return tuple(sorted(found - axes))


def _collect(expression: Expr, found: set[str]) -> None:
    for item in walk(expression):
        if isinstance(item, Index):
            found.update(symbols_of(item.size))
