"""Products in loops whose right operand stays the same: it is packed once, before the loop.

    void @keep(ptr panels, ptr matrix, i64 k, i64 count, i64 stride, i64 apart, i64 threads)
    void @kept(ptr out, ptr a, ptr panels, i64 m, i64 n, i64 k, i64 out.row, i64 a.row,
               ptr epilogue, ptr held, i64 threads)

Per step such a product is small: to pack the weights of a recurrent layer takes as long as to
multiply by them. Entries of a row lie side by side; out.row and a.row are the distances in elements
from row to row. Chunks of rows are what threads share; they depend on
m alone.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from graphc.backends.llvm.contraction import uses_gemm
from graphc.backends.llvm.gemm_chunks import NONE, STEP
from graphc.backends.llvm.gemm_cover import LOW, NARROW, ends_slim, rows_before_low_tiles, tiles_of
from graphc.backends.llvm.gemm_few import (
    FEW_STEP,
    PITCH,
    few_function,
    most_few,
    pack_few_function,
    rows_together,
)
from graphc.backends.llvm.gemm_layout import Arithmetic, Layout, Names, layout_of
from graphc.backends.llvm.gemm_pack import PACK_PARAMETERS, pack_function
from graphc.backends.llvm.gemm_tile import Tile, tile_function
from graphc.backends.llvm.parallel import BEGIN, END, Range, dividing_functions
from graphc.backends.llvm.scopes import Code
from graphc.backends.llvm.target import Target
from graphc.backends.llvm.text import FunctionText, Val
from graphc.loops.ir import Contraction, Loop, Program, flat_steps, written_buffers

MOST_BYTES = 4 << 20  # of a packed operand
CHUNK_ROWS = 96  # the most rows in a chunk
EVEN = 2 * CHUNK_ROWS  # up to which rows are cut into two equal halves
LEAST_ROWS = 12  # of which two chunks are made

OUT, A, PANELS, EPILOGUE, HELD = (
    Val(f"%{name}", "ptr") for name in ("out", "a", "panels", "epilogue", "held")
)
M, N, K = (Val(f"%{name}", "i64") for name in ("m", "n", "k"))
OUT_ROW, A_ROW = Val("%out.row", "i64"), Val("%a.row", "i64")
PARAMETERS = (OUT, A, PANELS, M, N, K, OUT_ROW, A_ROW, EPILOGUE, HELD)


class Kept(NamedTuple):
    """A packed operand: its routine, and where it lies in the scratch area."""

    name: str
    offset: int


def kept_products(program: Program, step: Loop, target: Target) -> list[Contraction]:
    """The products in the body of a loop whose right operand may be packed before it."""
    if isinstance(step.length, int) and step.length < 2:
        return []
    written = {name for inner in flat_steps(step.body) for name in written_buffers(inner)}
    return [
        inner
        for inner in step.body
        if isinstance(inner, Contraction)
        and _fits(inner, target)
        and inner.b not in written
        and program.buffers[inner.b].role not in ("view", "heap")
    ]


def _fits(step: Contraction, target: Target) -> bool:
    if not uses_gemm(step) or step.transpose_a or 1 in (step.m, step.n):
        return False
    if not (isinstance(step.n, int) and isinstance(step.k, int)):
        return False
    tile = layout_of(step).tile(target)
    if not tile.reads_rows or step.k % tile.together != 0:
        return False  # rows of a would be copied in every step
    small = step.n * step.k * tile.read_bytes <= MOST_BYTES
    return small and all(size == 1 for size in step.batch)


def panel_bytes(step: Contraction, target: Target) -> int:
    """Room for the packed operand."""
    assert isinstance(step.n, int)
    assert isinstance(step.k, int)
    tile = layout_of(step).tile(target)
    panels = step.n if _is_few(step, tile) else -(-step.n // tile.columns)
    size = panels * panel_apart(step, target)
    return -(-size // 64) * 64 + 64


def panel_apart(step: Contraction, target: Target) -> int:
    """Bytes from panel to panel, or of a few columns from one to the next."""
    assert isinstance(step.k, int)
    tile = layout_of(step).tile(target)
    if _is_few(step, tile):
        return -(-step.k * tile.bytes // PITCH) * PITCH + PITCH
    return step.k // tile.together * tile.columns * tile.bytes


def _is_few(step: Contraction, tile: Tile) -> bool:
    """Whether all columns are dot products (gemm_few.py), which they are for any number of rows
    where none is copied any more."""
    return isinstance(step.n, int) and step.n <= most_few(step, tile)


def _layout(step: Contraction, target: Target) -> Layout:
    layout = layout_of(step)
    tile = layout.tile(target)
    if _is_few(step, tile):
        return replace(layout, few=most_few(step, tile))
    return replace(layout, slim=ends_slim(step.n, tile))


def kept_name(step: Contraction, target: Target) -> str:
    layout = _layout(step, target)
    return f"kept_{layout.prefix}" + "_few" * (layout.few > 0) + "_slim" * layout.slim


def keep_name(step: Contraction, target: Target) -> str:
    layout = _layout(step, target)
    along = "across" if step.transpose_b else "along"
    return f"keep_{along}_{layout.prefix}" + "_few" * (layout.few > 0)


def kept_functions(step: Contraction, target: Target) -> dict[str, FunctionText]:
    """The routines for a product, by name."""
    layout = _layout(step, target)
    tile, names, attributes = (
        layout.tile(target),
        Names(layout),
        target.function_attributes,
    )
    name, keep = kept_name(step, target), keep_name(step, target)
    if layout.few:
        packed = f"{keep}.range"
        return {
            names.few: few_function(names.few, tile, target),
            packed: pack_few_function(packed, tile, target, across=layout.transpose_b),
            keep: dividing_functions(keep, PACK_PARAMETERS, _measured_panels(tile, 1), attributes),
            f"{name}.range": _range_function(name, names, tile, target),
            name: dividing_functions(name, PARAMETERS, _measured_rows(tile), attributes),
        }
    columns = tile.columns
    return {
        **{one: tile_function(one, made, target) for one, made in tiles_of(names, tile).items()},
        f"{keep}.range": pack_function(
            f"{keep}.range", "b", tile, target, across=layout.transpose_b
        ),
        keep: dividing_functions(
            keep, PACK_PARAMETERS, _measured_panels(tile, columns), attributes
        ),
        f"{name}.range": _range_function(name, names, tile, target),
        name: dividing_functions(name, PARAMETERS, _measured_rows(tile), attributes),
    }


def _measured_panels(tile: Tile, columns: int) -> Callable[[Code], Range]:
    def measure(code: Code) -> Range:
        x = Arithmetic(code)
        count = Val("%count", "i64")
        work = x.mul(x.mul(K, count), 2 * tile.bytes)
        return Range(x.ceil_div(count, columns), work)

    return measure


def _chunk_rows(x: Arithmetic) -> Val:
    """Rows in a chunk: two equal halves, or many chunks of a size."""
    half = x.extremum("smax", x.ceil_div(M, 2), x.const(LEAST_ROWS))
    return x.choose(x.compare("sle", M, x.const(EVEN)), half, x.const(CHUNK_ROWS))


def _measured_rows(tile: Tile) -> Callable[[Code], Range]:
    def measure(code: Code) -> Range:
        x = Arithmetic(code)
        work = x.mul(x.mul(x.mul(M, N), K), tile.bytes // 2)
        return Range(x.ceil_div(M, _chunk_rows(x)), work)

    return measure


def _range_function(name: str, names: Names, tile: Tile, target: Target) -> FunctionText:
    """Chunks of rows: for each step of k the panels, one after the other, for each the tiles."""
    x = Arithmetic(Code(has_fma=target.has_fma))
    code, size, every = x.code, tile.bytes, tiles_of(names, tile)
    few = names.layout.few > 0
    zero, one, columns = x.const(0), x.const(1), x.const(tile.columns)
    chunk = _chunk_rows(x)
    k = x.ceil_div(K, tile.together) if tile.together > 1 else K  # in elements of the tiles
    steps = x.extremum("smax", x.ceil_div(k, (FEW_STEP if few else STEP) // size), one)
    length = x.extremum("smax", x.ceil_div(k, steps), one)
    panels, row_bytes = x.ceil_div(N, columns), x.mul(OUT_ROW, size)
    a_bytes = x.mul(A_ROW, tile.read_bytes)
    b_bytes = x.const(tile.columns * size)

    def one_chunk(number: Val, _: list[Val]) -> list[Val]:
        first = x.mul(number, chunk)
        rows = x.extremum("smin", chunk, x.sub(M, first))
        low_rows = rows_before_low_tiles(x, tile, rows)
        c, a = x.at(OUT, x.mul(first, row_bytes)), x.at(A, x.mul(first, a_bytes))

        def one_step(turn: Val, _: list[Val]) -> list[Val]:
            start = x.mul(turn, length)
            depth = x.extremum("smin", length, x.sub(k, start))
            is_first = x.compare("eq", turn, zero)
            source = x.at(a, x.mul(start, size))

            def few_rows(row: Val, _: list[Val]) -> list[Val]:
                height = x.extremum("smin", x.sub(rows, row), x.const(rows_together(tile)))
                to, left = x.at(c, x.mul(row, row_bytes)), x.at(source, x.mul(row, a_bytes))
                apart = x.mul(x.add(x.ceil_div(x.mul(k, size), PITCH), one), PITCH)
                strides = (row_bytes, a_bytes, x.const(size), apart)
                panel = x.at(PANELS, x.mul(start, size))
                ahead = (panel, zero, zero) * (tile.asked > 0)
                x.call(names.few, (to, left, panel, depth, *strides, height, N, is_first, *ahead))
                return []

            def one_panel(number: Val, _: list[Val]) -> list[Val]:
                column = x.mul(number, columns)
                width = x.extremum("smin", x.sub(N, column), columns)
                panel = x.at(PANELS, x.mul(x.mul(column, k), size))
                panel = x.at(panel, x.mul(start, b_bytes))
                corner = x.at(c, x.mul(column, size))

                def tiles(routine: str) -> Callable[[Val, list[Val]], list[Val]]:
                    used = every[routine]

                    def one_tile(row: Val, _: list[Val]) -> list[Val]:
                        height = x.extremum("smin", x.sub(rows, row), x.const(used.rows))
                        to = x.at(corner, x.mul(row, row_bytes))
                        left = x.at(source, x.mul(row, a_bytes))
                        strides = (row_bytes, a_bytes, x.const(size), b_bytes)
                        sizes = (depth, *strides, height, width)
                        ahead = (panel, zero, zero) * (used.asked > 0)
                        given = (to, left, panel, *sizes, is_first, *ahead)
                        x.call(routine, given)
                        return []

                    return one_tile

                def rows_of_tiles() -> list[Val]:
                    code.loop(zero, low_rows, tile.rows, [], tiles(names.tile))
                    code.loop(low_rows, rows, LOW, [], tiles(names.low_tile))
                    return []

                def narrow_tiles() -> list[Val]:
                    code.loop(zero, rows, NARROW, [], tiles(names.narrow_tile))
                    return []

                def slim_tiles() -> list[Val]:
                    code.loop(zero, rows, NARROW, [], tiles(names.slim_tile))
                    return []

                def half_tiles() -> list[Val]:
                    code.loop(zero, rows, tile.rows, [], tiles(names.half_tile))
                    return []

                narrow = x.compare("sle", width, x.const(tile.lanes))
                wide = code.builder.not_(narrow)
                if names.layout.slim:
                    slim = x.compare("sle", width, x.const(tile.lanes // 2))
                    code.branch(slim, [], slim_tiles)
                    narrow = code.builder.and_(narrow, code.builder.not_(slim))
                code.branch(narrow, [], narrow_tiles)
                if names.half_tile in every:
                    half = x.compare("sle", width, x.const(tile.columns // 2))
                    code.branch(code.builder.and_(wide, half), [], half_tiles)
                    wide = code.builder.and_(wide, code.builder.not_(half))
                code.branch(wide, [], rows_of_tiles)
                return []

            if few:
                code.loop(zero, rows, rows_together(tile), [], few_rows)
            else:
                code.loop(zero, panels, 1, [], one_panel)
            return []

        code.loop(zero, steps, 1, [], one_step)

        def follow() -> list[Val]:
            end = x.add(first, rows)
            passed = (
                f"ptr {HELD.text}, i64 {first.text}, i64 {end.text}, i64 0, i64 {N.text}, ptr null"
            )
            code.builder.line(f"call void {EPILOGUE.text}({passed})")
            return []

        code.branch(x.compare("ne", EPILOGUE, NONE), [], follow)
        return []

    code.loop(BEGIN, END, 1, [], one_chunk)
    code.builder.line("ret void")
    return x.function(f"{name}.range", (*PARAMETERS, BEGIN, END), target, plain=False)
