"""Products of few elements with long sums: k is cut into chunks that threads share.

    void @split(ptr out, ptr a, ptr b, i64 m, i64 n, i64 k, i64 out.row, i64 a.row, i64 b.row,
                i1 direct, i1 copy, i64 chunk, i64 chunks, ptr area.first, i64 area.stride,
                i64 threads)

Such a result is too small to be cut into parts. The sums of the chunks lie at the end of the first
thread's area, which a product of few rows leaves free, and are added in order. How long a chunk is
follows from the sizes alone, so that the bits of the result do not depend on the number of threads.
Rows are in bytes; direct, copy: see gemm_rows.py.
"""

from collections.abc import Callable, Sequence

from graphc.backends.llvm.gemm_chunks import NONE, ROOM, ROWS_PARAMETERS, SHAPE, room_bytes
from graphc.backends.llvm.gemm_layout import Arithmetic, Layout, Names
from graphc.backends.llvm.gemm_tile import Tile
from graphc.backends.llvm.parallel import (
    AREA,
    BEGIN,
    END,
    RANGE,
    STRIDE,
    THREADS,
    Range,
    divide,
    loads,
)
from graphc.backends.llvm.scopes import Code
from graphc.backends.llvm.target import Target
from graphc.backends.llvm.text import FunctionText, TextBuilder, Val
from graphc.loops.ir import Contraction

PARTIAL = 1 << 18  # bytes of the sums of all chunks
MOST_ROWS = 96
LONG = 4096  # terms of a sum in a chunk, at least
MOST_CHUNKS = 64

OUT, A, B = ROWS_PARAMETERS[:3]
M, N, K, OUT_ROW, A_ROW, B_ROW = SHAPE
DIRECT, COPY = Val("%direct", "i1"), Val("%copy", "i1")
CHUNK, CHUNKS = Val("%chunk", "i64"), Val("%chunks", "i64")
OPERANDS = (OUT, A, B, *SHAPE, DIRECT, COPY, CHUNK, CHUNKS, AREA)
PARAMETERS = (*OPERANDS, STRIDE, THREADS)


def split_name(layout: Layout) -> str:
    return f"split_{layout.prefix}_{layout.letters}" + "_divides" * layout.divides


def may_be_long(step: Contraction) -> bool:
    """Whether the product may be cut along k, as far as that is known before it runs."""
    is_low = not isinstance(step.m, int) or step.m <= MOST_ROWS
    return is_low and (not isinstance(step.k, int) or step.k >= 2 * LONG)


def chunk_length(x: Arithmetic, tile: Tile) -> Val:
    """Terms of a sum in one chunk; all of them where the product is not to be cut."""
    one = x.const(1)
    elements = x.extremum("smax", x.mul(M, N), one)
    most = x.code.operation("udiv", x.const(PARTIAL // tile.bytes), elements)
    most = x.extremum("smin", most, x.const(MOST_CHUNKS))
    wished = x.code.operation("udiv", x.extremum("smax", K, one), x.const(LONG))
    low = x.compare("sle", M, x.const(MOST_ROWS))
    chunks = x.choose(low, x.extremum("smin", wished, most), one)
    length = x.extremum("smax", x.ceil_div(K, x.extremum("smax", chunks, one)), one)
    return x.mul(x.ceil_div(length, tile.together), tile.together) if tile.together > 1 else length


def split_functions(layout: Layout, tile: Tile, target: Target) -> dict[str, FunctionText]:
    """@split and what it calls, beside the routines for chunks of the result."""
    base = f"split_{layout.prefix}_{layout.letters}"
    found = {f"{base}.range": _range_function(f"{base}.range", layout, tile, target)}
    if layout.divides:
        found[f"{base}.task"] = _task_function(base, target)
    found[split_name(layout)] = _whole_function(base, layout, tile, target)
    return found


def _range_function(name: str, layout: Layout, tile: Tile, target: Target) -> FunctionText:
    """Chunks [begin, end), each into its part of what %area.first has room for."""
    x = Arithmetic(Code(has_fma=target.has_fma))
    size, zero, one = tile.bytes, x.const(0), x.const(1)
    tall = x.mul(x.ceil_div(M, tile.rows), tile.rows)
    wide = x.mul(x.ceil_div(N, tile.columns), tile.columns)
    row = x.mul(N, size)
    first = x.at(AREA, x.const(room_bytes(tile) - PARTIAL))

    def one_chunk(number: Val, _: list[Val]) -> list[Val]:
        start = x.mul(number, CHUNK)
        length = x.extremum("smin", CHUNK, x.sub(K, start))
        down, across = x.mul(start, A_ROW), x.mul(start, tile.read_bytes)
        a = x.at(A, down if layout.transpose_a else across)
        b = x.at(B, across if layout.transpose_b else x.mul(start, B_ROW))
        out = x.at(first, x.mul(x.mul(number, M), row))
        grid, true = (tall, wide, one, one), Val("true", "i1")
        given = (out, a, b, M, N, length, row, A_ROW, B_ROW, *grid, DIRECT, COPY, true)
        x.call(f"{Names(layout).rows}.range", (*given, NONE, NONE, NONE, zero, ROOM, zero, one))
        return []

    x.code.loop(BEGIN, END, 1, [], one_chunk)
    x.code.builder.line("ret void")
    return x.function(name, (*OPERANDS, ROOM, BEGIN, END), target, plain=True)


def _task_function(base: str, target: Target) -> FunctionText:
    """The same as a function of a range."""
    inner = TextBuilder()
    inner.lines += loads((*OPERANDS, STRIDE))
    passed = ", ".join(f"{v.type} {v.text}" for v in (*OPERANDS, ROOM, BEGIN, END))
    inner.line(f"call void @{base}.range({passed})")
    inner.line("ret void")
    task = inner.function(f"define internal void @{base}.task{RANGE} {target.function_attributes}")
    return FunctionText(task.text, task.declarations, task.definitions, plain=True)


def _whole_function(base: str, layout: Layout, tile: Tile, target: Target) -> FunctionText:
    x = Arithmetic(Code(has_fma=target.has_fma))
    builder, zero = x.code.builder, x.const(0)
    words = (*OPERANDS, STRIDE)
    builder.line(f"%frame = alloca [{len(words)} x i64], align 16")
    if layout.divides:
        work = x.mul(x.mul(x.mul(M, N), K), tile.bytes // 2)
        divide(builder, f"{base}.task", "%frame", words, Range(CHUNKS, work), THREADS)
    else:
        x.call(f"{base}.range", (*OPERANDS, AREA, zero, CHUNKS))
    first = x.at(AREA, x.const(room_bytes(tile) - PARTIAL))

    def put(total: Val, place: Val) -> None:
        builder.store(total, x.code.gep(tile.type, first, place).text)

    add_chunks(x, tile, first, x.mul(M, N), CHUNKS, put)
    width = x.mul(N, tile.bytes)
    builder.declare("memcpy", "ptr @memcpy(ptr, ptr, i64)")

    def one_row(row: Val, _: list[Val]) -> list[Val]:
        to, origin = x.at(OUT, x.mul(row, OUT_ROW)), x.at(first, x.mul(row, width))
        passed = f"ptr {to.text}, ptr {origin.text}, i64 {width.text}"
        builder.line(f"call ptr @memcpy({passed})")
        return []

    x.code.loop(zero, M, 1, [], one_row)
    builder.line("ret void")
    return x.function(split_name(layout), PARAMETERS, target, plain=False)


def add_chunks(
    x: Arithmetic,
    tile: Tile,
    first: Val,
    count: Val,
    chunks: Val,
    put: Callable[[Val, Val], None],
) -> None:
    """`count` sums of what chunks come to, which lie one after the other from `first` on.

    Chunks are added in order. put: takes a sum, or neighbouring ones as lanes, and its number.
    """

    def some(lanes: int) -> Callable[[Val, list[Val]], Sequence[Val]]:
        def body(place: Val, _: list[Val]) -> list[Val]:
            start = x.code.gep(tile.type, first, place)

            def load(at: Val) -> Val:
                value = x.code.builder.load(at.text, tile.type, lanes)
                x.code.levels[value.text] = x.code.depth
                return value

            def add(number: Val, carried: list[Val]) -> list[Val]:
                value = load(x.code.gep(tile.type, start, x.mul(number, count)))
                if tile.is_floating:
                    return [x.code.builder.fadd(carried[0], value)]
                return [x.code.builder.add(carried[0], value)]

            (total,) = x.code.loop(x.const(1), chunks, 1, [load(start)], add)
            put(total, place)
            return []

        return body

    whole = x.sub(count, x.code.operation("and", count, x.const(tile.lanes - 1)))
    if tile.lanes > 1:
        x.code.loop(x.const(0), whole, tile.lanes, [], some(tile.lanes))
    x.code.loop(whole, count, 1, [], some(1))
