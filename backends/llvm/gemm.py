"""Matrix products of our own: packed panels, tiles in registers, blocks in the caches.

    void @product(ptr out, ptr a, ptr b, i64 m, i64 n, i64 k, ptr area, i64 threads)
    void @product.followed(the same, ptr epilogue, ptr frame)

out = a' @ b' for dense row-major matrices, a' = a or its transpose. Three loops around the tile:

    columns of b, as many as `AREA` holds packed      once for all rows (@pack)
      rows of a, in chunks                            independent of each other (@rows), so that
                                                      threads share them (parallel.py)
        k in equal steps of at most `STEP`            a panel of b stays in the first cache
          panels, tiles                               (@tile)

Rows that are done are handed to the epilogue, if there is one: epilogue(frame, begin, end).

A chunk writes its own rows of `out` and nothing else; chunks depend on the sizes alone, so that the
numbers are the same whoever computes which chunk. Rows of a that lie side by side are read where
they are; a transposed one is packed by each chunk into its own part of the area.
"""

from collections.abc import Callable
from dataclasses import replace

from graphc.backends.llvm.gemm_pack import PACK_PARAMETERS, pack_function
from graphc.backends.llvm.gemm_rows import (
    CHUNK_TILES,
    GAP,
    LOW,
    NONE,
    ROWS_PARAMETERS,
    STEP,
    Arithmetic,
    Layout,
    Names,
    chunk_rows,
    measured_rows,
    rows_function,
)
from graphc.backends.llvm.gemm_tile import Tile, tile_for, tile_function
from graphc.backends.llvm.parallel import Range, dividing_functions
from graphc.backends.llvm.scopes import Code
from graphc.backends.llvm.target import Target
from graphc.backends.llvm.text import FunctionText, Val
from graphc.dims import ceil_div, dim_max, dim_min
from graphc.shapes import Size

AREA = 4 << 20  # bytes of packed columns of b
DIRECT_TILES = 3  # up to which b is read where it is
WIDE = 256  # columns from which rows of a are copied that lie far apart in memory
FAR = 2048  # bytes
THREADS, EPILOGUE, FRAME = Val("%threads", "i64"), Val("%epilogue", "ptr"), Val("%held", "ptr")
MATRICES = tuple(Val(f"%{name}", "ptr") for name in ("out", "a", "b"))
SIZES = tuple(Val(f"%{name}", "i64") for name in ("m", "n", "k"))
AREA_POINTER = Val("%area", "ptr")
NARROW_PANELS = 2  # up to which columns of a are read where they are


def area_bytes(layout: Layout, target: Target, m: Size, n: Size, k: Size) -> Size:
    """Room for the packed operands of one product."""
    tile = tile_for(target, layout.type)
    columns = ceil_div(n, tile.columns) * tile.columns
    panel = k * tile.columns * tile.bytes
    size = dim_min(columns * k * tile.bytes, dim_max(AREA, panel))
    if layout.transpose_a or not (isinstance(n, int) and n < WIDE):
        rows = m + CHUNK_TILES * tile.rows
        size = size + rows * (dim_min(k, STEP // tile.bytes) * tile.bytes + GAP)
    return ceil_div(size, 64) * 64 + 64


def functions_of(layout: Layout, target: Target) -> dict[str, FunctionText]:
    """Every routine that the product needs, by name; those of different layouts overlap."""
    tile = tile_for(target, layout.type)
    names, attributes = Names(layout), target.function_attributes
    pack_b, rows = f"{names.pack_b}.range", f"{names.rows}.range"
    found = {
        names.tile: tile_function(names.tile, tile, target),
        names.low_tile: tile_function(names.low_tile, replace(tile, rows=LOW), target),
        pack_b: pack_function(pack_b, tile.columns, tile, target, across=layout.transpose_b),
        rows: rows_function(layout, tile, target),
    }
    if layout.transpose_a:
        found[names.pack_a] = pack_function(names.pack_a, tile.rows, tile, target, across=False)
    if layout.divides:
        measure = measured_rows(layout, tile)
        found[names.rows] = dividing_functions(names.rows, ROWS_PARAMETERS, measure, attributes)
        measure = _measured_panels(tile)
        found[names.pack_b] = dividing_functions(names.pack_b, PACK_PARAMETERS, measure, attributes)
    found[f"{layout.name}.followed"] = _product_function(layout, tile, target)
    found[layout.name] = _plain_function(layout, target)
    return found


def _measured_panels(tile: Tile) -> Callable[[Code], Range]:
    """Panels to be packed: an element is 8 units of work."""

    def measure(code: Code) -> Range:
        x = Arithmetic(code)
        count = Val("%count", "i64")
        work = x.mul(x.mul(Val("%k", "i64"), count), 2 * tile.bytes)
        return Range(x.ceil_div(count, tile.columns), work)

    return measure


def _product_function(layout: Layout, tile: Tile, target: Target) -> FunctionText:
    x = Arithmetic(Code(has_fma=target.has_fma))
    code, names, size = x.code, Names(layout), tile.bytes
    (out, a, b), (m, n, k), area = MATRICES, SIZES, AREA_POINTER
    zero, one = x.const(0), x.const(1)
    a_stride = x.mul(m if layout.transpose_a else k, size)
    b_stride = x.mul(k if layout.transpose_b else n, size)
    out_row = x.mul(n, size)
    depth = x.mul(x.extremum("smax", k, one), tile.columns * size)  # bytes of a panel
    most = x.mul(
        x.extremum("smax", code.operation("udiv", x.const(AREA), depth), one), tile.columns
    )
    room = x.mul(
        x.mul(x.extremum("smin", most, x.mul(x.ceil_div(n, tile.columns), tile.columns)), k), size
    )
    own = x.at(area, room)
    chunk = chunk_rows(x, tile, m)
    chunks = x.ceil_div(m, chunk)
    if layout.transpose_b:
        direct = Val("false", "i1")
    else:
        direct = x.compare("sle", m, x.const(DIRECT_TILES * tile.rows))

    if layout.transpose_a:
        copy = x.compare("sgt", n, x.const(NARROW_PANELS * tile.columns))
    else:
        wide, far = x.compare("sge", n, x.const(WIDE)), x.compare("sge", a_stride, x.const(FAR))
        copy = code.builder.and_(wide, far)

    turns = x.ceil_div(n, most)

    def columns(turn: Val, _: list[Val]) -> list[Val]:
        first = x.mul(turn, most)
        count = x.extremum("smin", most, x.sub(n, first))
        panels = x.ceil_div(count, tile.columns)
        source = x.at(b, x.mul(first, b_stride if layout.transpose_b else x.const(size)))
        whole = code.operation("udiv", count, x.const(tile.columns))
        sizes = (m, count, k, out_row, a_stride, b_stride)
        chunked = (direct, copy, chunk)
        pack = (area, source, k, count, b_stride)

        def pack_last() -> list[Val]:
            x.call(f"{names.pack_b}.range", (*pack, whole, panels))
            return []

        def pack_all() -> list[Val]:
            if layout.divides:
                x.call(names.pack_b, (*pack, THREADS))
            else:
                x.call(f"{names.pack_b}.range", (*pack, zero, panels))
            return []

        if layout.transpose_b:
            pack_all()
        else:
            code.branch(direct, [], pack_last)
            code.branch(code.builder.not_(direct), [], pack_all)
        is_last = x.compare("eq", x.add(turn, one), turns)
        follows = x.choose(is_last, EPILOGUE, NONE)
        given = (x.at(out, x.mul(first, size)), a, source, area, own, *sizes, *chunked)
        if layout.divides:
            x.call(names.rows, (*given, follows, FRAME, THREADS))
        else:
            x.call(f"{names.rows}.range", (*given, follows, FRAME, zero, chunks))
        return []

    def all_columns() -> list[Val]:
        return code.loop(zero, turns, 1, [], columns)

    builder = code.builder
    rows, empty = x.compare("sgt", m, zero), x.compare("sle", n, zero)
    if layout.vectors is not None:
        column, row = builder.icmp("eq", n, one), builder.icmp("eq", m, one)
        vector = builder.or_(column, row)
        matrix = builder.not_(vector)
        rows, empty = builder.and_(rows, matrix), builder.and_(empty, matrix)
        routine = layout.vectors

        def one_vector() -> list[Val]:
            x.call(routine, (out, a, b, m, n, k))
            _follow(x, m)
            return []

        code.branch(vector, [], one_vector)
    code.branch(rows, [], all_columns)

    def without_columns() -> list[Val]:
        _follow(x, m)
        return []

    code.branch(empty, [], without_columns)
    code.builder.line("ret void")
    given = (*MATRICES, *SIZES, AREA_POINTER, THREADS, EPILOGUE, FRAME)
    return x.function(f"{layout.name}.followed", given, target)


def _plain_function(layout: Layout, target: Target) -> FunctionText:
    """The product without an epilogue."""
    x = Arithmetic(Code(has_fma=target.has_fma))
    given = (*MATRICES, *SIZES, AREA_POINTER, THREADS)
    x.call(f"{layout.name}.followed", (*given, NONE, NONE))
    x.code.builder.line("ret void")
    return x.function(layout.name, given, target)


def _follow(x: Arithmetic, m: Val) -> None:
    """The epilogue on all rows at once, if there is one."""

    def run() -> list[Val]:
        x.code.builder.line(f"call void {EPILOGUE.text}(ptr {FRAME.text}, i64 0, i64 {m.text})")
        return []

    x.code.branch(x.compare("ne", EPILOGUE, NONE), [], run)
