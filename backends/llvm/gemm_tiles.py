"""Tiles of one panel, one below the other.

    void @tiles(ptr routine, ptr fused, i1 follows, i64 top, i64 count, i64 most, ...)

`count` tiles of `most` rows, from row `top` on, by a routine of gemm_tile.py. Each asks for a share
of the next panel of b, in the steps of its loop or before it; `done` of its units are there before
the first. A tile is followed by nothing, by the epilogue, or `fused` is called in its place, which
does both.

The innermost loop over tiles is all that is worth good code: chunks, blocks, steps and panels
(gemm_rows.py) are loops around many tiles, and compiled quickly.
"""

from collections.abc import Sequence

from graphc.backends.llvm.gemm_chunks import NONE, ROOM, epilogue_call, room_bytes, values
from graphc.backends.llvm.gemm_layout import Arithmetic, Layout, Names
from graphc.backends.llvm.gemm_tile import PARTS, Tile
from graphc.backends.llvm.scopes import Code
from graphc.backends.llvm.target import LINE, Target
from graphc.backends.llvm.text import FunctionText, Val

_ROUTINE, _FUSED = values("ptr", "routine", "fused")
_FOLLOWS, _FIRST = values("i1", "follows", "first")
_TOP, _COUNT, _MOST, _DONE, _ALL, _UNITS, _SHARE = values(
    "i64", "top", "count", "most", "done", "rows", "units", "share"
)
_NEXT, _C, _A, _PANEL, _EPILOGUE, _HELD = values("ptr", "next", "c", "a", "b", "epilogue", "held")
_B_ROW, _C_ROW, _DOWN, _A_ROW, _A_STEP, _B_STEP = values(
    "i64", "b.row", "c.row", "a.down", "a.row", "a.step", "b.step"
)
_LENGTH, _COLUMNS, _BASE, _LEFT = values("i64", "length", "columns", "base", "left")
TILES_PARAMETERS = (
    *(_ROUTINE, _FUSED, _FOLLOWS, _TOP, _COUNT, _MOST, _DONE),
    *(_ALL, _UNITS, _SHARE, _NEXT, _B_ROW, _C, _C_ROW, _A, _DOWN, _A_ROW, _A_STEP),
    *(_PANEL, _B_STEP, _LENGTH, _COLUMNS, _FIRST, _EPILOGUE, _HELD, _BASE, _LEFT, ROOM),
)


def tiles_function(layout: Layout, tile: Tile, target: Target) -> FunctionText:
    """@tiles; see the beginning of this file."""
    x = Arithmetic(Code(has_fma=target.has_fma))
    code, builder = x.code, x.code.builder
    follows = code.operation("and", _FOLLOWS, x.compare("ne", _EPILOGUE, NONE))
    is_fused = x.compare("ne", _FUSED, NONE)
    alone = builder.not_(is_fused)

    def call(routine: Val, words: Sequence[Val]) -> None:
        passed = ", ".join(f"{one.type} {one.text}" for one in words)
        builder.line(f"call void {routine.text}({passed})")

    def one_tile(number: Val, carried: list[Val]) -> list[Val]:
        (done,) = carried
        row = x.add(_TOP, x.mul(number, _MOST))
        end = x.extremum("smin", x.add(done, _SHARE), _UNITS)
        ahead: tuple[Val, ...] = ()
        if tile.asked:
            ahead = _ahead(x, layout, tile, done, end)
        else:
            _prefetch(x, layout, tile, done, end)
        height = x.extremum("smin", x.sub(_ALL, row), _MOST)
        place, left_rows = x.at(_C, x.mul(row, _C_ROW)), x.at(_A, x.mul(row, _DOWN))
        strides = (_C_ROW, _A_ROW, _A_STEP, _B_STEP)
        given = (place, left_rows, _PANEL, _LENGTH, *strides, height, _COLUMNS, _FIRST, *ahead)
        first = x.add(_BASE, row)

        def both() -> list[Val]:
            call(_FUSED, (*given, _EPILOGUE, _HELD, first, _LEFT))
            return []

        def plain() -> list[Val]:
            call(_ROUTINE, given)
            return []

        def follow() -> list[Val]:
            part = (first, x.add(first, height), _LEFT, x.add(_LEFT, _COLUMNS))
            behind = x.at(ROOM, x.const(room_bytes(tile)))
            builder.line(epilogue_call(_EPILOGUE, _HELD, part, behind))
            return []

        code.branch(is_fused, [], both)
        code.branch(alone, [], plain)
        code.branch(follows, [], follow)
        return [end]

    code.loop(x.const(0), _COUNT, 1, [_DONE], one_tile)
    builder.line("ret void")
    return x.function(Names(layout).tiles, TILES_PARAMETERS, target, plain=False)


def _ahead(x: Arithmetic, layout: Layout, tile: Tile, begin: Val, end: Val) -> tuple[Val, ...]:
    """What a tile asks for: units [begin, end) of the next panel; see gemm_tile.py."""
    if layout.transpose_b:  # some lines of each column
        start, rows = x.at(_NEXT, x.mul(begin, LINE)), x.const(tile.columns)
        rows = x.choose(x.compare("slt", begin, end), rows, x.const(0))
    else:
        start, rows = x.at(_NEXT, x.mul(begin, _B_ROW)), x.sub(end, begin)
    start = x.at(start, x.const(LINE - 1))
    steps = x.extremum("smax", _LENGTH, x.const(1))
    return start, _B_ROW, x.code.operation("udiv", x.mul(rows, PARTS), steps)


def _prefetch(x: Arithmetic, layout: Layout, tile: Tile, begin: Val, end: Val) -> None:
    """Fetch units [begin, end) of the next panel."""
    builder = x.code.builder
    builder.declare("llvm.prefetch", "void @llvm.prefetch.p0(ptr, i32, i32, i32)")

    def fetch(at: Val) -> None:
        builder.line(f"call void @llvm.prefetch.p0(ptr {at.text}, i32 0, i32 3, i32 1)")

    def one(unit: Val, _: list[Val]) -> list[Val]:
        if layout.transpose_b:
            at = x.at(_NEXT, x.mul(unit, LINE))
            for _column in range(tile.columns):
                fetch(at)
                at = x.at(at, _B_ROW)
        else:
            at = x.at(_NEXT, x.mul(unit, _B_ROW))
            width = tile.columns * tile.bytes
            for line in range(0, width, LINE):
                fetch(x.at(at, x.const(min(line + LINE, width) - 1)))
        return []

    x.code.loop(begin, end, 1, [], one)
