"""Rows that are read around their ends, cut where that begins.

    for j in 700 vector:                          for j in 1 vector:
      p = j + 699 if j < 1 else j - 1               out[i, j] = x[i, j + 699] + x[i, j + 1]
      q = j + 1 if j < 699 else j - 699           for j in 698 vector:
      out[i, j] = x[i, p] + x[i, q]         ->      out[i, j + 1] = x[i, j] + x[i, j + 2]
                                                  for j in 1 vector:
                                                    out[i, j + 699] = x[i, j + 698] + x[i, j]

In the first form the lanes of a vector may read at both ends of the row: each looks for its place
by itself. In the second all lanes of almost all vectors read neighbours. Of a row whose length is
not known the middle alone is such a loop; its ends, which may meet, stay as they are. So do many
rows with one such place: two loads, with masks, take little longer.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from graphc.dtypes import int64
from graphc.loops.ir import Accumulate, For, Let, Statement, Store
from graphc.loops.tidy import map_values, values_of, with_sizes
from graphc.scalar.expr import Call, Expr, Index, Local, transform, walk
from graphc.shapes import Dim, Size, dim_max, dim_min, evaluate, symbols_of

SHORTEST = 32  # elements of a row
MOST = 5  # pieces, each of which is code of its own
TYPICAL = 1 << 20  # a size, where it is not known: which turns are early in a row


def unwrapped(
    body: Sequence[Statement], inside: bool = False, around: frozenset[str] = frozenset()
) -> tuple[Statement, ...]:
    """The statements, with such rows cut. inside: also those in no other loop, which others cut for
    threads. around: the axes of the loops around."""
    result: list[Statement] = []
    for item in body:
        if not isinstance(item, For):
            result.append(item)
        elif item.kind == "vector":
            result += _cut(item, around) if inside else [item]
        else:
            inner = unwrapped(item.body, True, around | {item.axis})
            result.append(For(item.axis, item.extent, item.kind, inner))
    return tuple(result)


def _cut(row: For, around: frozenset[str]) -> list[Statement]:
    if not all(isinstance(item, Let | Store | Accumulate) for item in row.body):
        return [row]
    found = {_turn(part, row.axis) for value in values_of(row.body) for part in walk(value)}
    turns = [turn for turn in found if turn is not None]
    extent = row.extent
    if not turns or len(turns) >= MOST:
        return [row]
    moving = {symbol for turn in turns for symbol in symbols_of(turn) & around}
    if not moving <= symbols_of(extent):  # it would not be a chunk of a row
        return [row]
    if not isinstance(extent, int):
        shared = any(isinstance(i, Let) and _turn(i.value, row.axis) is not None for i in row.body)
        pays = shared or len(turns) > 1 or bool(moving) or not around
        return _around_middle(row, extent, turns, around) if pays else [row]
    if extent < SHORTEST or not all(isinstance(turn, int) for turn in turns):
        return [row]
    ends = {0, extent, *(turn for turn in turns if isinstance(turn, int) and 0 < turn < extent)}
    return [_piece(row, start, stop) for start, stop in pairwise(sorted(ends))]


def _around_middle(
    row: For, extent: Dim, turns: Sequence[Size], around: frozenset[str]
) -> list[Statement]:
    """The row in three parts, in the middle one of which it is known what is read. Of a chunk of a
    row, the parts may be empty."""
    sizes = dict.fromkeys(symbols_of(extent).union(*map(symbols_of, turns)), TYPICAL)
    sizes |= dict.fromkeys(around, 0)
    half = evaluate(extent, sizes) // 2
    early = {turn for turn in turns if evaluate(turn, sizes) <= half}
    start = dim_max(0, dim_min(extent, dim_max(0, *early)))
    stop = dim_max(start, dim_min(extent, *(turn for turn in turns if turn not in early)))
    middle = _piece(row, start, stop, {turn: turn not in early for turn in turns})
    return [_piece(row, 0, start, {}), middle, _piece(row, stop, extent, {})]


def _turn(part: Expr, axis: str) -> Size | None:
    """The first element of the row that the second one of two places is for."""
    match part:
        case Call(
            op="select",
            args=(Call(op="lt", args=(Index(size=Dim() as size), Index(size=end))), one, two),
        ) if part.dtype == int64 and isinstance(one, Index) and isinstance(two, Index):
            turn = end - (size - Dim.symbol(axis))
            return turn if axis not in symbols_of(turn) else None
    return None


def _piece(row: For, start: Size, stop: Size, is_before: Mapping[Size, bool] | None = None) -> For:
    """The elements from start to stop. is_before: whether they lie before a turn, where that is
    known; None if it follows from the numbers."""
    places: dict[str, Expr] = {}

    def leaf(part: Expr) -> Expr | None:
        if isinstance(part, Local):
            return places.get(part.name)
        turn = _turn(part, row.axis)
        if turn is None:
            return None
        before = _is_at_most(stop, turn) if is_before is None else is_before.get(turn)
        if before is None:
            return None
        assert isinstance(part, Call)
        return part.args[1] if before else part.args[2]

    kept: list[Statement] = []
    for item in row.body:
        item = map_values(item, lambda value: transform(value, leaf))
        if isinstance(item, Let) and isinstance(item.value, Index):
            places[item.name] = item.value
        else:
            kept.append(item)
    moved = with_sizes(kept, {row.axis: Dim.symbol(row.axis) + start}) if start != 0 else kept
    return For(row.axis, stop - start, row.kind, tuple(moved))


def _is_at_most(x: Size, y: Size) -> bool:
    assert isinstance(x, int) and isinstance(y, int)
    return x <= y
