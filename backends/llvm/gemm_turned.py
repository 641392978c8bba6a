"""Products with few columns, such as gradients of a last layer: tiles of their transposes.

    out = a.T @ b        a: [k, m], b: [k, n], n a little above some whole vectors

A tile is as wide as two vectors, of which a result of 10 columns fills two thirds. Its transpose
b.T @ a has 10 rows, which tiles of 6 and of 4 rows are made for: nothing is idle. a and b stay
where they are; tiles store their rows as columns.
"""

from graphc.backends.llvm.gemm_rows import LOW
from graphc.backends.llvm.gemm_split import LONG
from graphc.backends.llvm.gemm_tile import Tile
from graphc.dtypes import float32, float64
from graphc.loops.ir import Contraction

MOST_ROWS = 4096  # of the result: its epilogue runs on one thread
GAIN = 0.7  # work of the transpose over that of the product, at most
NARROW = 1.25  # cost of tiles that are one vector wide


def is_turned(step: Contraction, tile: Tile) -> bool:
    """Whether the transpose of the product is computed, as far as it is known before it runs."""
    if not step.transpose_a or step.transpose_b or any(size != 1 for size in step.batch):
        return False
    if step.dtype not in (float32, float64):
        return False
    m, n = step.m, step.n
    if not isinstance(m, int) or not isinstance(n, int) or not 1 < n < m <= MOST_ROWS:
        return False
    if isinstance(step.k, int) and step.k >= 2 * LONG:
        return False  # it is cut along k (gemm_split.py)
    wide = NARROW * tile.lanes if n <= tile.lanes else -(-n // tile.columns) * tile.columns
    turned = rows_of_tiles(n, tile) * -(-m // tile.columns) * tile.columns
    return turned <= GAIN * wide * m


def rows_of_tiles(rows: int, tile: Tile) -> int:
    """Of the tiles that rows are cut into, idle ones too; see `rows_before_low_tiles`."""
    whole, left = divmod(rows, tile.rows)
    if left == 0:
        return rows
    if whole and left <= 2 * LOW - tile.rows:
        return (whole - 1) * tile.rows + 2 * LOW
    return whole * tile.rows + (LOW if left <= LOW else tile.rows)
