"""Rows that are read around their ends, cut where that begins.

    for j in 700 vector:                          for j in 1 vector:
      p = j + 699 if j < 1 else j - 1               out[i, j] = x[i, j + 699] + x[i, j + 1]
      q = j + 1 if j < 699 else j - 699           for j in 698 vector:
      out[i, j] = x[i, p] + x[i, q]         ->      out[i, j + 1] = x[i, j] + x[i, j + 2]
                                                  for j in 1 vector:
                                                    out[i, j + 699] = x[i, j + 698] + x[i, j]

In the first form the lanes of a vector may read at both ends of the row: each looks for its place
by itself. In the second all lanes of almost all vectors read neighbours.
"""

from collections.abc import Sequence
from itertools import pairwise

from graphc.dtypes import int64
from graphc.loops.ir import Accumulate, For, Let, Statement, Store
from graphc.loops.tidy import map_values, values_of, with_sizes
from graphc.scalar.expr import Call, Expr, Index, Local, transform, walk
from graphc.shapes import Dim

SHORTEST = 32  # elements of a row
MOST = 5  # pieces, each of which is code of its own


def unwrapped(body: Sequence[Statement], inside: bool = False) -> tuple[Statement, ...]:
    """The statements, with such rows cut. inside: of a loop; others are cut for threads."""
    result: list[Statement] = []
    for item in body:
        if isinstance(item, For) and item.kind == "vector":
            result += _cut(item) if inside else [item]
        elif isinstance(item, For):
            inner = unwrapped(item.body, True)
            result.append(For(item.axis, item.extent, item.kind, inner))
        else:
            result.append(item)
    return tuple(result)


def _cut(row: For) -> list[Statement]:
    extent = row.extent
    if not isinstance(extent, int) or extent < SHORTEST:
        return [row]
    if not all(isinstance(item, Let | Store | Accumulate) for item in row.body):
        return [row]
    found = {_turn(part, row.axis) for value in values_of(row.body) for part in walk(value)}
    turns = {turn for turn in found if turn is not None and 0 < turn < extent}
    if not turns or len(turns) >= MOST:
        return [row]
    return [_piece(row, *ends) for ends in pairwise(sorted({0, extent, *turns}))]


def _turn(part: Expr, axis: str) -> int | None:
    """The first element of the row that the second one of two places is for."""
    match part:
        case Call(
            op="select",
            args=(Call(op="lt", args=(Index(size=Dim() as size), Index(size=int(end)))), one, two),
        ) if part.dtype == int64 and isinstance(one, Index) and isinstance(two, Index):
            first = size - Dim.symbol(axis)
            return end - first if isinstance(first, int) else None
    return None


def _piece(row: For, start: int, stop: int) -> For:
    """The elements from start to stop, which lie on one side of every turn."""
    places: dict[str, Expr] = {}

    def leaf(part: Expr) -> Expr | None:
        if isinstance(part, Local):
            return places.get(part.name)
        turn = _turn(part, row.axis)
        if turn is None:
            return None
        assert isinstance(part, Call)
        return part.args[1] if stop <= turn else part.args[2]

    kept: list[Statement] = []
    for item in row.body:
        item = map_values(item, lambda value: transform(value, leaf))
        if isinstance(item, Let) and isinstance(item.value, Index):
            places[item.name] = item.value
        else:
            kept.append(item)
    moved = with_sizes(kept, {row.axis: Dim.symbol(row.axis) + start}) if start else kept
    return For(row.axis, stop - start, row.kind, tuple(moved))
