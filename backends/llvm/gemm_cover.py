"""Which tiles cover a matrix: whole ones, and smaller ones where it ends.

rows      6, 6, 4 for 16 of them: as few idle rows as can be
columns   whole tiles, then one that is half as wide, or a vector wide, or half a vector, or two of
          these; a few more are dot products (gemm_few.py)
"""

from dataclasses import replace

from graphc.backends.llvm.gemm_layout import Arithmetic, Names
from graphc.backends.llvm.gemm_tile import Tile
from graphc.backends.llvm.text import Val
from graphc.shapes import Size

LOW = 4  # rows of the tiles that come last
NARROW = 8  # rows of tiles that are a vector wide, or half of one
WIDEST = 64  # bytes of the largest vectors
HALVED = 4  # vectors of a tile for which there is one half as wide


def tiles_of(names: Names, tile: Tile) -> dict[str, Tile]:
    """Those that rows are computed by, by the names of their routines."""
    found = {
        names.tile: tile,
        names.low_tile: replace(tile, rows=LOW),
        names.narrow_tile: replace(tile, rows=NARROW, vectors=1),
    }
    if tile.vectors >= HALVED:
        found[names.half_tile] = replace(tile, vectors=tile.vectors // 2)
    if names.layout.slim:
        found[names.slim_tile] = slim_tile(tile)
    return found


def slim_tile(tile: Tile) -> Tile:
    """Half a vector wide."""
    return replace(tile, rows=NARROW, vectors=1, lanes=tile.lanes // 2)


def ends_slim(columns: Size, tile: Tile) -> bool:
    """Whether half a vector holds the last columns: of one with 64 bytes, halves take half the time
    on many processors, and never more."""
    if not isinstance(columns, int) or tile.lanes * tile.bytes < WIDEST or tile.narrow is not None:
        return False
    ends = (0, *[tile.columns // 2] * (tile.vectors >= HALVED))
    return any(0 < columns % tile.columns - end <= tile.lanes // 2 for end in ends)


def rows_before_low_tiles(x: Arithmetic, tile: Tile, rows: Val) -> Val:
    """How many of the rows are for whole tiles; the rest is for tiles of `LOW` rows.

    As few idle rows as can be: 6, 6, 4 for 16 rows, and 6, 4, 4 for 14.
    """
    left = x.code.operation("urem", rows, x.const(tile.rows))
    low = x.choose(x.compare("sle", left, x.const(LOW)), x.const(1), x.const(0))
    low = x.choose(x.compare("eq", left, x.const(0)), x.const(0), low)
    if tile.rows < 2 * LOW:  # two low tiles for one whole tile and what they hold beyond it
        beyond = x.compare("sle", left, x.const(2 * LOW - tile.rows))
        more = x.choose(x.compare("sgt", rows, x.const(tile.rows)), x.const(2), x.const(1))
        low = x.choose(beyond, x.choose(x.compare("eq", left, x.const(0)), low, more), low)
    most = x.extremum("smax", x.sub(rows, x.mul(low, LOW)), x.const(0))
    return x.extremum("smin", x.mul(x.ceil_div(most, tile.rows), tile.rows), rows)


def columns_of_tiles(columns: int, tile: Tile) -> int:
    """Of the tiles that columns are cut into, idle ones too."""
    whole, left = divmod(columns, tile.columns)
    half = tile.columns // 2 if tile.vectors >= HALVED else tile.columns
    return whole * tile.columns + (0 if left == 0 else half if left <= half else tile.columns)
