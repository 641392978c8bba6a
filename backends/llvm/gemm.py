"""Matrix products of our own: packed panels, tiles in registers, blocks in the caches.

    void @product(ptr out, ptr a, ptr b, i64 m, i64 n, i64 k, ptr area, i64 threads)

out = a' @ b' for dense row-major matrices, a' = a or its transpose. Three loops around the tile:

    columns of b, as many as `AREA` holds packed      once for all rows (@pack)
      rows of a, in chunks                            independent of each other (@rows), so that
                                                      threads share them (parallel.py)
        k in equal steps of at most `STEP`            a panel of b stays in the first cache
          panels, tiles                               (@tile)

A chunk writes its own rows of `out` and nothing else; chunks depend on the sizes alone, so that the
numbers are the same whoever computes which chunk. Rows of a that lie side by side are read where
they are; a transposed one is packed by each chunk into its own part of the area.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from graphc.backends.llvm.gemm_pack import pack_function
from graphc.backends.llvm.gemm_tile import Tile, tile_for, tile_function
from graphc.backends.llvm.parallel import Range, dividing_functions
from graphc.backends.llvm.scopes import Code
from graphc.backends.llvm.target import Target
from graphc.backends.llvm.text import FunctionText, Val
from graphc.dims import ceil_div, dim_max, dim_min
from graphc.dtypes import DType, float32
from graphc.shapes import Size

STEP = 256 * 4  # bytes of k in one step: a panel is then half of the first cache
AREA = 4 << 20  # bytes of packed columns of b
CHUNK_TILES = 16  # the most tiles in a chunk, one below the other: they fill the second cache
LEAST_TILES = 4
CHUNKS = 8  # how many of them there should be
DIRECT_TILES = 3  # up to which b is read where it is


@dataclass(frozen=True, slots=True)
class Layout:
    """What one routine serves: an element type, and which operands are transposed.

    vectors: the name of a routine of the same parameters, without the area, for m = 1 or n = 1.
    """

    dtype: DType
    transpose_a: bool
    transpose_b: bool
    vectors: str | None = None

    @property
    def type(self) -> str:
        return "float" if self.dtype == float32 else "double"

    @property
    def name(self) -> str:
        letters = ("t" if self.transpose_a else "n") + ("t" if self.transpose_b else "n")
        return f"gemm_{self.prefix}_{letters}{'_or_vector' if self.vectors else ''}"

    @property
    def prefix(self) -> str:
        return f"f{8 * self.dtype.itemsize}"


def area_bytes(layout: Layout, target: Target, m: Size, n: Size, k: Size) -> Size:
    """Room for the packed operands of one product."""
    tile = tile_for(target, layout.type)
    columns = ceil_div(n, tile.columns) * tile.columns
    panel = k * tile.columns * tile.bytes
    size = dim_min(columns * k * tile.bytes, dim_max(AREA, panel))
    if layout.transpose_a:
        rows = m + CHUNK_TILES * tile.rows
        size = size + rows * dim_min(k, STEP // tile.bytes) * tile.bytes
    return ceil_div(size, 64) * 64 + 64


def functions_of(layout: Layout, target: Target) -> dict[str, FunctionText]:
    """Every routine that the product needs, by name; those of different layouts overlap."""
    tile = tile_for(target, layout.type)
    names = _Names(layout)
    pack_b = pack_function(names.pack_b, tile.columns, tile, target, across=layout.transpose_b)
    found = {names.tile: tile_function(names.tile, tile, target), names.pack_b: pack_b}
    if layout.transpose_a:
        found[names.pack_a] = pack_function(names.pack_a, tile.rows, tile, target, across=False)
    found[f"{names.rows}.range"] = _rows_function(layout, tile, target)
    found[names.rows] = dividing_functions(
        names.rows, ROWS, lambda code: _chunks(code, layout), target.function_attributes
    )
    found[layout.name] = _product_function(layout, tile, target)
    return found


@dataclass(frozen=True, slots=True)
class _Names:
    layout: Layout

    @property
    def tile(self) -> str:
        return f"tile_{self.layout.prefix}"

    @property
    def pack_a(self) -> str:
        return f"pack_rows_{self.layout.prefix}"

    @property
    def pack_b(self) -> str:
        across = "across" if self.layout.transpose_b else "along"
        return f"pack_columns_{across}_{self.layout.prefix}"

    @property
    def rows(self) -> str:
        return f"rows_{self.layout.prefix}_{'t' if self.layout.transpose_a else 'n'}"


class _Arithmetic:
    """i64 arithmetic in a function under construction."""

    def __init__(self, target: Target) -> None:
        self.code = Code(has_fma=target.has_fma)

    def const(self, value: int) -> Val:
        return self.code.constant(value, "i64")

    def add(self, a: Val, b: Val) -> Val:
        return self.code.operation("add", a, b)

    def sub(self, a: Val, b: Val) -> Val:
        return self.code.operation("sub", a, b)

    def mul(self, a: Val, b: Val | int) -> Val:
        return self.code.operation("mul", a, self.const(b) if isinstance(b, int) else b)

    def extremum(self, op: str, a: Val, b: Val) -> Val:
        emit = self.code.builder.smin if op == "smin" else self.code.builder.smax
        return self.code.pure((op, a.text, b.text), (a, b), lambda: emit(a, b))

    def ceil_div(self, a: Val, b: Val | int) -> Val:
        """Of positive numbers."""
        divisor = self.const(b) if isinstance(b, int) else b
        above = self.add(a, self.sub(divisor, self.const(1)))
        return self.code.operation("udiv", above, divisor)

    def compare(self, predicate: str, a: Val, b: Val) -> Val:
        builder = self.code.builder
        key = (predicate, a.text, b.text)
        return self.code.pure(key, (a, b), lambda: builder.icmp(predicate, a, b))

    def choose(self, condition: Val, a: Val, b: Val) -> Val:
        builder = self.code.builder
        key = ("choose", condition.text, a.text, b.text)
        return self.code.pure(key, (condition, a, b), lambda: builder.select(condition, a, b))

    def at(self, pointer: Val, offset: Val) -> Val:
        return self.code.gep("i8", pointer, offset)

    def call(self, name: str, arguments: Sequence[Val]) -> None:
        passed = ", ".join(f"{one.type} {one.text}" for one in arguments)
        self.code.builder.line(f"call void @{name}({passed})")


def chunk_rows(arithmetic: _Arithmetic, tile: Tile, m: Val) -> Val:
    """Rows in a chunk: whole tiles, a number that depends on m alone."""
    wanted = arithmetic.ceil_div(arithmetic.ceil_div(m, CHUNKS), tile.rows)
    most = arithmetic.extremum("smin", wanted, arithmetic.const(CHUNK_TILES))
    return arithmetic.mul(
        arithmetic.extremum("smax", most, arithmetic.const(LEAST_TILES)), tile.rows
    )


ROWS_PARAMETERS = (
    "ptr noalias %out, ptr noalias readonly %a, ptr noalias readonly %b, "
    "ptr noalias readonly %panels, ptr noalias %own, i64 %m, i64 %n, i64 %k, i64 %out.row, "
    "i64 %a.stride, i64 %b.stride, i1 %direct, i64 %chunk, i64 %chunks, i64 %begin, i64 %end"
)


ROWS = [
    *(Val(f"%{name}", "ptr") for name in ("out", "a", "b", "panels", "own")),
    *(Val(f"%{name}", "i64") for name in ("m", "n", "k", "out.row", "a.stride", "b.stride")),
    Val("%direct", "i1"),
    Val("%chunk", "i64"),
    Val("%chunks", "i64"),
]


def _chunks(code: Code, layout: Layout) -> Range:
    """The chunks of rows, and what they take: a multiplication is about a unit of work."""
    m, n, k = (Val(f"%{name}", "i64") for name in ("m", "n", "k"))
    work = code.operation("mul", code.operation("mul", m, n), k)
    if layout.dtype != float32:
        work = code.operation("mul", work, code.constant(2, "i64"))
    return Range(Val("%chunks", "i64"), work)


def _rows_function(layout: Layout, tile: Tile, target: Target) -> FunctionText:
    """Chunks [begin, end) of rows, times n columns of b that are packed, or read directly.

    panels: the packed columns; of a b that is read directly only the last, incomplete panel.
    own: room for packed rows of a.
    """
    x = _Arithmetic(target)
    code, names, size = x.code, _Names(layout), tile.bytes
    m, n, k, out_row, a_stride, b_stride, chunk = (
        Val(f"%{name}", "i64")
        for name in ("m", "n", "k", "out.row", "a.stride", "b.stride", "chunk")
    )
    out, a, b, packed, own = (Val(f"%{name}", "ptr") for name in ("out", "a", "b", "panels", "own"))
    zero, one = x.const(0), x.const(1)
    steps = x.extremum("smax", x.ceil_div(k, STEP // size), one)
    step = x.extremum("smax", x.ceil_div(k, steps), one)
    count = x.ceil_div(n, tile.columns)

    def one_chunk(number: Val, _: list[Val]) -> list[Val]:
        first_row = x.mul(number, chunk)
        rows = x.extremum("smin", chunk, x.sub(m, first_row))
        c_rows = x.at(out, x.mul(first_row, out_row))

        def one_step(turn: Val, _: list[Val]) -> list[Val]:
            start = x.mul(turn, step)
            length = x.extremum("smin", step, x.sub(k, start))
            is_first = x.compare("eq", turn, zero)
            if layout.transpose_a:
                room = x.at(own, x.mul(x.mul(first_row, step), size))
                source = x.at(x.at(a, x.mul(start, a_stride)), x.mul(first_row, size))
                tiles = x.ceil_div(rows, tile.rows)
                x.call(names.pack_a, [room, source, length, rows, a_stride, zero, tiles])

            def panel(number: Val, _: list[Val]) -> list[Val]:
                column = x.mul(number, tile.columns)
                left = x.sub(n, column)
                columns = x.extremum("smin", left, x.const(tile.columns))
                complete = x.compare("sge", left, x.const(tile.columns))
                builder = code.builder
                reads = code.pure(
                    ("reads", complete.text),
                    (complete,),
                    lambda: builder.emit(f"and i1 %direct, {complete.text}", "i1"),
                )
                b_step = x.choose(reads, b_stride, x.const(tile.columns * size))
                place = x.choose(
                    reads,
                    x.at(b, x.mul(column, size)),
                    x.at(packed, x.mul(x.mul(column, k), size)),
                )
                place = x.at(place, x.mul(start, b_step))
                c_panel = x.at(c_rows, x.mul(column, size))

                def one_tile(row: Val, _: list[Val]) -> list[Val]:
                    height = x.extremum("smin", x.sub(rows, row), x.const(tile.rows))
                    if layout.transpose_a:
                        left_rows = x.at(room, x.mul(x.mul(row, length), size))
                        row_stride, a_step = x.const(size), x.const(tile.rows * size)
                    else:
                        top = x.mul(x.add(first_row, row), a_stride)
                        left_rows = x.at(x.at(a, x.mul(start, size)), top)
                        row_stride, a_step = a_stride, x.const(size)
                    strides = (row_stride, a_step, b_step)
                    c = x.at(c_panel, x.mul(row, out_row))
                    x.call(
                        names.tile,
                        (c, left_rows, place, length, out_row, *strides, height, columns, is_first),
                    )
                    return []

                code.loop(zero, rows, tile.rows, [], one_tile)
                return []

            code.loop(zero, count, 1, [], panel)
            return []

        code.loop(zero, steps, 1, [], one_step)
        return []

    code.loop(Val("%begin", "i64"), Val("%end", "i64"), 1, [], one_chunk)
    code.builder.line("ret void")
    attributes = target.function_attributes
    return code.builder.function(
        f"define internal void @{names.rows}.range({ROWS_PARAMETERS}) {attributes}"
    )


def _product_function(layout: Layout, tile: Tile, target: Target) -> FunctionText:
    x = _Arithmetic(target)
    code, names, size = x.code, _Names(layout), tile.bytes
    m, n, k = (Val(f"%{name}", "i64") for name in ("m", "n", "k"))
    out, a, b, area = (Val(f"%{name}", "ptr") for name in ("out", "a", "b", "area"))
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

    def columns(turn: Val, _: list[Val]) -> list[Val]:
        first = x.mul(turn, most)
        count = x.extremum("smin", most, x.sub(n, first))
        panels = x.ceil_div(count, tile.columns)
        source = x.at(b, x.mul(first, b_stride if layout.transpose_b else x.const(size)))
        whole = code.operation("udiv", count, x.const(tile.columns))
        sizes = (m, count, k, out_row, a_stride, b_stride)
        chunked = (direct, chunk, chunks, Val("%threads", "i64"))
        begin = zero if direct.text == "false" else x.choose(direct, whole, zero)
        x.call(names.pack_b, [area, source, k, count, b_stride, begin, panels])
        x.call(
            names.rows,
            (x.at(out, x.mul(first, size)), a, source, area, own, *sizes, *chunked),
        )
        return []

    def all_columns() -> list[Val]:
        return code.loop(zero, x.ceil_div(n, most), 1, [], columns)

    if layout.vectors is not None:
        builder = code.builder
        vector, matrix = builder.fresh_label("vector"), builder.fresh_label("matrix")
        column, row = builder.icmp("eq", n, one), builder.icmp("eq", m, one)
        builder.branch_if(builder.or_(column, row), vector, matrix)
        builder.block(vector)
        x.call(layout.vectors, [out, a, b, m, n, k])
        builder.line("ret void")
        builder.block(matrix)
    code.branch(x.compare("sgt", m, zero), [], all_columns)
    code.builder.line("ret void")
    parameters = (
        "ptr noalias %out, ptr noalias readonly %a, ptr noalias readonly %b, "
        "i64 %m, i64 %n, i64 %k, ptr noalias %area, i64 %threads"
    )
    return code.builder.function(
        f"define internal void @{layout.name}({parameters}) {target.function_attributes}"
    )
