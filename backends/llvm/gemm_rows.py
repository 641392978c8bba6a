"""Rows of a matrix product: chunks that do not depend on each other.

@rows.range(out, a, b, panels, own, sizes ..., i64 begin, i64 end)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from graphc.backends.llvm.gemm_tile import Tile
from graphc.backends.llvm.parallel import BEGIN, END, Range
from graphc.backends.llvm.scopes import Code
from graphc.backends.llvm.target import Target
from graphc.backends.llvm.text import FunctionText, Val
from graphc.dtypes import DType, float32, float64

STEP = 256 * 4  # bytes of k in one step: a panel is then half of the first cache
CHUNK_TILES = 16  # the most tiles in a chunk, one below the other: they fill the second cache
LEAST_TILES = 4
LOW = 4  # rows of the tiles that come last
NONE = Val("null", "ptr")
GAP = 64  # bytes between copied rows, so that they do not compete for one place in the cache


@dataclass(frozen=True, slots=True)
class Layout:
    """What one routine serves: an element type, and which operands are transposed.

    vectors: the name of a routine (out, a, b, m, n, k) for m = 1 or n = 1. divides: whether there
    may be work for several threads.
    """

    dtype: DType
    transpose_a: bool
    transpose_b: bool
    vectors: str | None = None
    divides: bool = False

    @property
    def type(self) -> str:
        return "float" if self.dtype == float32 else "double"

    @property
    def name(self) -> str:
        letters = ("t" if self.transpose_a else "n") + ("t" if self.transpose_b else "n")
        words = [f"gemm_{self.prefix}_{letters}"]
        words += ["or_vector"] * (self.vectors is not None) + ["divides"] * self.divides
        return "_".join(words)

    @property
    def prefix(self) -> str:
        return {float32: "f32", float64: "f64"}.get(self.dtype, self.dtype.name)


@dataclass(frozen=True, slots=True)
class Names:
    layout: Layout

    @property
    def tile(self) -> str:
        return f"tile_{self.layout.prefix}"

    @property
    def low_tile(self) -> str:
        return f"{self.tile}_low"

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


class Arithmetic:
    """i64 arithmetic in a function under construction."""

    def __init__(self, code: Code) -> None:
        self.code = code

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

    def function(self, name: str, parameters: Sequence[Val], target: Target) -> FunctionText:
        declared = ", ".join(f"{one.type} {one.text}" for one in parameters)
        return self.code.builder.function(
            f"define internal void @{name}({declared}) {target.function_attributes}"
        )


def chunk_rows(x: Arithmetic, tile: Tile, m: Val) -> Val:
    """Rows in a chunk: whole tiles; an even number of chunks. It depends on m alone."""
    pairs = x.ceil_div(m, 2 * CHUNK_TILES * tile.rows)
    share = x.ceil_div(m, x.mul(x.extremum("smax", pairs, x.const(1)), 2))
    tiles = x.extremum("smax", x.ceil_div(share, tile.rows), x.const(LEAST_TILES))
    return x.mul(tiles, tile.rows)


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


def _values(type: str, *names: str) -> tuple[Val, ...]:
    return tuple(Val(f"%{name}", type) for name in names)


ROWS_PARAMETERS = (
    *_values("ptr", "out", "a", "b", "panels", "own"),
    *_values("i64", "m", "n", "k", "out.row", "a.stride", "b.stride"),
    *_values("i1", "direct", "copy"),
    *_values("i64", "chunk"),
    *_values("ptr", "epilogue", "held"),
)


def rows_function(layout: Layout, tile: Tile, target: Target) -> FunctionText:
    """Chunks [begin, end) of rows, times n columns of b that are packed, or read directly.

    panels: the packed columns; of a b that is read directly only the last, incomplete panel.
    copy: rows of a are copied to `own` first: as panels if they lie transposed, else row by row.
    epilogue: null, or what is to be called with (frame, begin, end) for rows that are done.
    """
    x = Arithmetic(Code(has_fma=target.has_fma))
    code, names, size = x.code, Names(layout), tile.bytes
    out, a, b, packed, own, m, n, k, out_row, a_stride, b_stride = ROWS_PARAMETERS[:11]
    copy, chunk, epilogue, frame = ROWS_PARAMETERS[12:]
    zero, one = x.const(0), x.const(1)
    steps = x.extremum("smax", x.ceil_div(k, STEP // size), one)
    step = x.extremum("smax", x.ceil_div(k, steps), one)
    count = x.ceil_div(n, tile.columns)
    apart = x.add(x.mul(step, size), x.const(GAP))  # copied rows

    def copied_rows(first_row: Val, rows: Val, start: Val, length: Val) -> Val:
        """The place of the copy; the copy if there is to be one."""
        if layout.transpose_a:
            room = x.at(own, x.mul(x.mul(first_row, step), size))
            source = x.at(x.at(a, x.mul(start, a_stride)), x.mul(first_row, size))
            tiles = x.ceil_div(rows, tile.rows)
            pack = [room, source, length, rows, a_stride, zero, tiles]

            def copy_panels() -> list[Val]:
                x.call(names.pack_a, pack)
                return []

            code.branch(copy, [], copy_panels)
            return room
        room = x.at(own, x.mul(first_row, apart))
        source = x.at(x.at(a, x.mul(start, size)), x.mul(first_row, a_stride))
        width = x.mul(length, size)
        code.builder.declare("memcpy", "ptr @memcpy(ptr, ptr, i64)")

        def one_row(row: Val, _: list[Val]) -> list[Val]:
            to, origin = x.at(room, x.mul(row, apart)), x.at(source, x.mul(row, a_stride))
            passed = f"ptr {to.text}, ptr {origin.text}, i64 {width.text}"
            code.builder.line(f"call ptr @memcpy({passed})")
            return []

        code.branch(copy, [], lambda: code.loop(zero, rows, 1, [], one_row))
        return room

    def one_chunk(number: Val, _: list[Val]) -> list[Val]:
        first_row = x.mul(number, chunk)
        rows = x.extremum("smin", chunk, x.sub(m, first_row))
        c_rows = x.at(out, x.mul(first_row, out_row))
        low_rows = rows_before_low_tiles(x, tile, rows)
        if layout.transpose_a:  # copied panels are as high as a whole tile
            low_rows = x.choose(copy, rows, low_rows)

        def one_step(turn: Val, _: list[Val]) -> list[Val]:
            start = x.mul(turn, step)
            length = x.extremum("smin", step, x.sub(k, start))
            is_first = x.compare("eq", turn, zero)
            room = copied_rows(first_row, rows, start, length)
            top = x.mul(first_row, size) if layout.transpose_a else x.mul(first_row, a_stride)
            corner = x.at(x.at(a, top), x.mul(start, a_stride if layout.transpose_a else size))
            source = x.choose(copy, room, corner)
            if layout.transpose_a:
                down = x.choose(copy, x.mul(length, size), x.const(size))
                row_stride = x.const(size)
                a_step = x.choose(copy, x.const(tile.rows * size), a_stride)
            else:
                down = row_stride = x.choose(copy, apart, a_stride)
                a_step = x.const(size)

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

                def tiles(routine: str, most: int) -> Callable[[Val, list[Val]], list[Val]]:
                    def one_tile(row: Val, _: list[Val]) -> list[Val]:
                        height = x.extremum("smin", x.sub(rows, row), x.const(most))
                        left_rows = x.at(source, x.mul(row, down))
                        c = x.at(c_panel, x.mul(row, out_row))
                        given = (c, left_rows, place, length, out_row, row_stride, a_step, b_step)
                        x.call(routine, (*given, height, columns, is_first))
                        return []

                    return one_tile

                code.loop(zero, low_rows, tile.rows, [], tiles(names.tile, tile.rows))
                code.loop(low_rows, rows, LOW, [], tiles(names.low_tile, LOW))
                return []

            code.loop(zero, count, 1, [], panel)
            return []

        code.loop(zero, steps, 1, [], one_step)

        def follow() -> list[Val]:
            arguments = f"ptr {frame.text}, i64 {first_row.text}, i64 {x.add(first_row, rows).text}"
            code.builder.line(f"call void {epilogue.text}({arguments})")
            return []

        code.branch(x.compare("ne", epilogue, NONE), [], follow)
        return []

    code.loop(BEGIN, END, 1, [], one_chunk)
    code.builder.line("ret void")
    return x.function(f"{names.rows}.range", (*ROWS_PARAMETERS, BEGIN, END), target)


def measured_rows(layout: Layout, tile: Tile) -> Callable[[Code], Range]:
    """How many chunks there are, and how much work: a multiplication and addition is 2 units."""

    def measure(code: Code) -> Range:
        x = Arithmetic(code)
        m, n, k, chunk = (Val(f"%{name}", "i64") for name in ("m", "n", "k", "chunk"))
        work = x.mul(x.mul(x.mul(m, n), k), tile.bytes // 2)
        return Range(x.ceil_div(m, chunk), work)

    return measure


def epilogue_function(kernel: str, types: Sequence[str], target: Target) -> FunctionText:
    """@kernel.rows: frame holds the units of the kernel's range for each row, and its arguments."""
    x = Arithmetic(Code(has_fma=target.has_fma))
    builder = x.code.builder
    held: list[Val] = []
    for place, type in enumerate(("i64", *types)):
        at = builder.value(f"getelementptr i64, ptr %frame, i64 {place}")
        held.append(builder.emit(f"load {type}, ptr {at}, align 8", type))
    units, *arguments = held
    x.call(f"{kernel}.range", [*arguments, x.mul(BEGIN, units), x.mul(END, units)])
    builder.line("ret void")
    return x.function(f"{kernel}.rows", (Val("%frame", "ptr"), BEGIN, END), target)
