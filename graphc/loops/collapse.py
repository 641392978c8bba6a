"""Nests of independent loops as one loop over all of their iterations.

    for i in b parallel:                      for i in b*h*m parallel:
      for j in h parallel:                      ... with i // (h*m) in place of i,
        for k in m parallel:           ->           i // m - h*(i // (h*m)) in place of j,
          row of t[i, j, k]                         i - m*(i // m) in place of k

An element t[i, j, k, l] of a dense array is then t[n*i + l]: the divisions cancel, and are left
where something is broadcast along some of the loops, such as a mask for all heads.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from graphc.loops.ir import For, If, Kernel, Let, Parameter, Statement, Store
from graphc.loops.tidy import map_values, values_of, with_body, with_sizes
from graphc.scalar.expr import Expr, Index, Load, transform, walk
from graphc.shapes import Dim, Size, floor_div, size_product


def in_one_loop(kernel: Kernel, depth: int) -> Kernel | None:
    """The kernel with its `depth` outermost loops as one; None where one of them is not
    independent, or does something beside the next."""
    lets: list[Statement] = []
    loops: list[For] = []
    body: Sequence[Statement] = kernel.body
    while len(loops) < depth:
        if not body or not all(isinstance(item, Let) for item in body[:-1]):
            return None
        last = body[-1]
        if not isinstance(last, For) or last.kind != "parallel":
            return None
        lets += body[:-1]
        loops.append(last)
        body = last.body
    if any(loop.extent == 0 for loop in loops):
        return None  # there is no place to split
    whole = Dim.symbol(loops[0].axis)
    places: dict[str, Size] = {}
    inside: Size = 1  # iterations for one of the present loop
    for number, loop in reversed(list(enumerate(loops))):
        place = floor_div(whole, inside)
        if number:
            place = place - loop.extent * floor_div(whole, loop.extent * inside)
        places[loop.axis] = place
        inside = inside * loop.extent
    moved = with_sizes([*lets, *body], places)
    one = For(loops[0].axis, inside, "parallel", tuple(moved))
    return _dense(replace(kernel, body=(one,)))


def _dense(kernel: Kernel) -> Kernel:
    """Arrays seen as one long vector each, where they are read at polynomials alone."""
    kept = {name for name, index in _accesses(kernel.body) if not _is_plain(index)}
    shapes = {p.name: p.shape for p in kernel.parameters if p.name not in kept}

    def place(shape: Sequence[Size], index: Sequence[Expr]) -> tuple[Expr, ...]:
        at: Size = 0
        for size, part in zip(shape, index, strict=True):
            assert isinstance(part, Index)
            at = at * size + part.size
        return (Index(at),)

    def leaf(expr: Expr) -> Expr | None:
        if isinstance(expr, Load) and expr.buffer in shapes:
            return Load(expr.buffer, place(shapes[expr.buffer], expr.index), expr.dtype)
        return None

    def changed(body: Sequence[Statement]) -> list[Statement]:
        found: list[Statement] = []
        for item in body:
            if isinstance(item, For | If):
                inner = with_body(item, changed(item.body))
                if isinstance(inner, If):
                    inner = If(transform(inner.condition, leaf), inner.body)
                found.append(inner)
                continue
            if isinstance(item, Store) and item.buffer in shapes:
                item = replace(item, index=place(shapes[item.buffer], item.index))
            found.append(map_values(item, lambda value: transform(value, leaf)))
        return found

    parameters = tuple(
        Parameter(p.name, p.dtype, (size_product(p.shape),), p.written) if p.name in shapes else p
        for p in kernel.parameters
    )
    return replace(kernel, parameters=parameters, body=tuple(changed(kernel.body)))


def _is_plain(index: Sequence[Expr]) -> bool:
    return all(isinstance(part, Index) for part in index)


def _accesses(body: Sequence[Statement]) -> Iterator[tuple[str, Sequence[Expr]]]:
    pending = list(body)
    while pending:
        item = pending.pop()
        if isinstance(item, Store):
            yield item.buffer, item.index
        if isinstance(item, For | If):
            pending.extend(item.body)
    for value in values_of(body):
        for part in walk(value):
            if isinstance(part, Load):
                yield part.buffer, part.index
