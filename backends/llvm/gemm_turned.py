"""Products with few columns, such as gradients of a last layer: tiles of their transposes.

    out = a.T @ b        a: [k, m], b: [k, n], n a little above some whole vectors

A tile is as wide as two vectors of AVX2, of which a result of 10 columns fills two thirds. Its
transpose b.T @ a has 10 rows, which tiles of 6 and of 4 rows are made for: nothing is idle. It is
computed where the sums of chunks would lie otherwise (gemm_split.py), and stored column by column.
"""

from collections.abc import Callable

from graphc.backends.llvm.gemm_cover import LOW, columns_of_tiles
from graphc.backends.llvm.gemm_layout import Arithmetic
from graphc.backends.llvm.gemm_split import LONG, PARTIAL
from graphc.backends.llvm.gemm_split import MOST_ROWS as MOST_CUT
from graphc.backends.llvm.gemm_tile import Tile
from graphc.backends.llvm.text import Val
from graphc.dtypes import float32, float64
from graphc.loops.ir import Contraction

MOST_ROWS = 4096  # of the result: its epilogue runs on one thread
GAIN = 0.7  # work of the transpose over that of the product, at most
NARROW = 1.25  # cost of tiles that are one vector wide
TOGETHER = 4  # elements of a row of the transpose that are loaded at once


def is_turned(step: Contraction, tile: Tile) -> bool:
    """Whether the transpose of the product is computed, as far as it is known before it runs."""
    if not step.transpose_a or step.transpose_b or any(size != 1 for size in step.batch):
        return False
    if step.dtype not in (float32, float64) or step.operands is not None:
        return False
    m, n = step.m, step.n
    if not isinstance(m, int) or not isinstance(n, int) or not 1 < n < m <= MOST_ROWS:
        return False
    if n > MOST_CUT or m * n * tile.bytes > PARTIAL:
        return False  # no room for the transpose
    if isinstance(step.k, int) and step.k >= 2 * LONG:
        return False  # it is cut along k (gemm_split.py)
    wide = NARROW * tile.lanes if n <= tile.lanes else columns_of_tiles(n, tile)
    turned = rows_of_tiles(n, tile) * columns_of_tiles(m, tile)
    return turned <= GAIN * wide * m


def rows_of_tiles(rows: int, tile: Tile) -> int:
    """Of the tiles that rows are cut into, idle ones too; see `rows_before_low_tiles`."""
    whole, left = divmod(rows, tile.rows)
    if left == 0:
        return rows
    if whole and left <= 2 * LOW - tile.rows:
        return (whole - 1) * tile.rows + 2 * LOW
    return whole * tile.rows + (LOW if left <= LOW else tile.rows)


def store_columns(
    x: Arithmetic, tile: Tile, source: Val, result: tuple[Val, Val], sizes: tuple[Val, Val]
) -> None:
    """Store a dense matrix of n rows as the n columns of one of m rows, some elements at a time.

    result: where it begins, and its elements from row to row; sizes: m and n.
    """
    (out, out_row), (m, n) = result, sizes
    code, builder = x.code, x.code.builder

    def one_column(column: Val, _: list[Val]) -> list[Val]:
        origin = code.gep(tile.type, source, x.mul(column, m))
        to = code.gep(tile.type, out, column)

        def some(count: int) -> Callable[[Val, list[Val]], list[Val]]:
            def body(row: Val, _: list[Val]) -> list[Val]:
                values = builder.load(code.gep(tile.type, origin, row).text, tile.type, count)
                place = code.gep(tile.type, to, x.mul(row, out_row))
                for lane in range(count):
                    one = builder.lane(values, lane)
                    builder.store(one, place.text)
                    place = code.gep(tile.type, place, out_row)
                return []

            return body

        whole = code.operation("and", m, x.const(-TOGETHER))
        code.loop(x.const(0), whole, TOGETHER, [], some(TOGETHER))
        code.loop(whole, m, 1, [], some(1))
        return []

    code.loop(x.const(0), n, 1, [], one_column)
