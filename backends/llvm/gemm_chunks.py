"""What chunks of a matrix product are told, the steps that they take, and the memory they need."""

from collections.abc import Sequence

from graphc.backends.llvm.gemm_tile import Tile
from graphc.backends.llvm.text import Val

STEP = 256 * 4  # bytes of k in one step: a panel of AVX2 is then half of the first cache
MOST_TILES = 64  # in a chunk, one below the other, for which a panel of b is packed once
BLOCK = 1024 * 4  # bytes of a row of the result that are done, and followed, before the next
NONE = Val("null", "ptr")
GAP = 64  # bytes between copied rows, so that they do not compete for one place in the cache


def values(type: str, *names: str) -> tuple[Val, ...]:
    return tuple(Val(f"%{name}", type) for name in names)


SHAPE = values("i64", "m", "n", "k", "out.row", "a.row", "b.row")  # rows: from row to row, bytes
GRID = values("i64", "tall", "wide", "row.chunks", "chunks")
ROWS_PARAMETERS = (
    *values("ptr", "out", "a", "b"),
    *SHAPE,
    *GRID,
    *values("i1", "direct", "copy", "splits"),
    *values("ptr", "epilogue", "held", "finish"),
    *values("i64", "base"),
)
ROOM = Val("%area", "ptr")


def room_bytes(tile: Tile) -> int:
    """What a thread needs: a panel of b and the rows of a chunk, each for one step."""
    return tile.start_bytes + STEP * tile.columns + most_rows(tile) * (STEP + GAP)


def most_rows(tile: Tile) -> int:
    return MOST_TILES * tile.rows


def most_columns(tile: Tile) -> int:
    return max(1, BLOCK // (tile.columns * tile.bytes)) * tile.columns


def epilogue_call(epilogue: Val, frame: Val, part: Sequence[Val], area: Val) -> str:
    """part: rows from, to, columns from, to."""
    passed = ", ".join(f"i64 {one.text}" for one in part)
    return f"call void {epilogue.text}(ptr {frame.text}, {passed}, ptr {area.text})"
