"""Chunks of a matrix product, which do not depend on each other.

@rows.range(out, a, b, sizes ..., ptr area, i64 begin, i64 end)
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from graphc.backends.llvm.gemm_layout import Arithmetic, Layout, Names
from graphc.backends.llvm.gemm_tile import Tile
from graphc.backends.llvm.parallel import BEGIN, END
from graphc.backends.llvm.scopes import Code
from graphc.backends.llvm.target import Target
from graphc.backends.llvm.text import FunctionText, Val

STEP = 256 * 4  # bytes of k in one step: a panel is then half of the first cache
MOST_TILES = 64  # in a chunk, one below the other, for which a panel of b is packed once
BLOCK = 1024 * 4  # bytes of a row of the result that are done, and followed, before the next
LOW = 4  # rows of the tiles that come last
NARROW = 8  # rows of tiles that are a vector wide
LINE = 64  # bytes of a line of a cache
TOGETHER = 8  # rows of a transposed a that are packed for all tiles before the next ones
NONE = Val("null", "ptr")
GAP = 64  # bytes between copied rows, so that they do not compete for one place in the cache


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


SHAPE = _values("i64", "m", "n", "k", "out.row", "a.row", "b.row")  # rows: from row to row, bytes
GRID = _values("i64", "tall", "wide", "row.chunks", "chunks")
ROWS_PARAMETERS = (
    *_values("ptr", "out", "a", "b"),
    *SHAPE,
    *GRID,
    *_values("i1", "direct", "copy", "splits"),
    *_values("ptr", "epilogue", "held", "finish"),
    *_values("i64", "base"),
)
ROOM = Val("%area", "ptr")


def room_bytes(tile: Tile) -> int:
    """What a thread needs: a panel of b and the rows of a chunk, each for one step."""
    return STEP * tile.columns + most_rows(tile) * (STEP + GAP)


def narrow_tile(tile: Tile) -> Tile:
    """For matrices of no more columns than a vector has lanes."""
    return replace(tile, rows=NARROW, vectors=1)


def most_rows(tile: Tile) -> int:
    return MOST_TILES * tile.rows


def most_columns(tile: Tile) -> int:
    return max(1, BLOCK // (tile.columns * tile.bytes)) * tile.columns


def epilogue_call(epilogue: Val, frame: Val, part: Sequence[Val], area: Val) -> str:
    """part: rows from, to, columns from, to."""
    passed = ", ".join(f"i64 {one.text}" for one in part)
    return f"call void {epilogue.text}(ptr {frame.text}, {passed}, ptr {area.text})"


def rows_function(layout: Layout, tile: Tile, target: Target) -> FunctionText:
    """Chunks [begin, end) of the result: `tall` rows by `wide` columns, one below the other.

    direct: panels of b are read where they are, all but an incomplete one. copy: the rows of a
    are copied first: as panels if they lie transposed, else row by row. epilogue: null, or what is
    to be called with (frame, rows from, to, columns from, to) for what is done; splits: whether
    any columns will do, or all are wanted.
    """
    return _RowsEmitter(layout, tile, target).emit()


class _Step(NamedTuple):
    """Rows by columns of the result, and what is added to them in this turn.

    c: the corner; a: the rows of a, with the distances in bytes from tile to tile, from row to
    row, and from p to p + 1.
    """

    c: Val
    first: Val
    rows: Val
    low_rows: Val
    a: Val
    down: Val
    a_row: Val
    a_step: Val
    left: Val
    width: Val
    panels: Val
    turn: Val
    start: Val
    length: Val


class _RowsEmitter:
    def __init__(self, layout: Layout, tile: Tile, target: Target) -> None:
        self.layout, self.tile, self.target = layout, tile, target
        self.x = Arithmetic(Code(has_fma=target.has_fma))
        self.names = Names(layout)
        self.out, self.a, self.b = ROWS_PARAMETERS[:3]
        self.m, self.n, self.k, self.out_row, self.a_row, self.b_row = SHAPE
        self.tall, self.wide, self.row_chunks, _ = GRID
        self.direct, self.copy, self.splits, self.epilogue, self.frame = ROWS_PARAMETERS[-7:-2]
        self.finish, self.base = ROWS_PARAMETERS[-2:]
        x, size = self.x, tile.bytes
        self.steps = x.extremum("smax", x.ceil_div(self.k, STEP // size), x.const(1))
        self.step = x.extremum("smax", x.ceil_div(self.k, self.steps), x.const(1))
        self.apart = x.add(x.mul(self.step, size), x.const(GAP))  # copied rows
        self.own = x.at(ROOM, x.const(STEP * tile.columns))

    def emit(self) -> FunctionText:
        x = self.x
        x.code.loop(BEGIN, END, 1, [], self.chunk)
        x.code.builder.line("ret void")
        parameters = (*ROWS_PARAMETERS, ROOM, BEGIN, END)
        return x.function(f"{self.names.rows}.range", parameters, self.target, plain=False)

    def chunk(self, number: Val, _: list[Val]) -> list[Val]:
        x = self.x
        column_number = x.code.operation("udiv", number, self.row_chunks)
        row_number = x.sub(number, x.mul(column_number, self.row_chunks))
        first, left = x.mul(row_number, self.tall), x.mul(column_number, self.wide)
        rows = x.extremum("smin", self.tall, x.sub(self.m, first))
        columns = x.extremum("smin", self.wide, x.sub(self.n, left))
        block = most_columns(self.tile)

        def one_block(offset: Val, _: list[Val]) -> list[Val]:
            width = x.extremum("smin", x.const(block), x.sub(columns, offset))
            self.block(first, rows, x.add(left, offset), width)
            return []

        x.code.loop(x.const(0), columns, block, [], one_block)
        wants_all = x.compare("eq", self.splits, Val("false", "i1"))
        self.follow(wants_all, first, rows, x.const(0), self.n)
        return []

    def follow(self, when: Val, first: Val, rows: Val, left: Val, width: Val) -> None:
        """The epilogue, if there is one."""
        x = self.x

        def call() -> list[Val]:
            begin, right = x.add(self.base, first), x.add(left, width)
            part = (begin, x.add(begin, rows), left, right)
            behind = x.at(ROOM, x.const(room_bytes(self.tile)))
            x.code.builder.line(epilogue_call(self.epilogue, self.frame, part, behind))
            return []

        there = x.compare("ne", self.epilogue, NONE)
        x.code.branch(x.code.operation("and", there, when), [], call)

    def block(self, first: Val, rows: Val, left: Val, width: Val) -> None:
        """rows x width of the result, at (first, left)."""
        x = self.x
        low_rows = rows_before_low_tiles(x, self.tile, rows)
        if self.layout.transpose_a:  # copied panels are as high as a whole tile
            low_rows = x.choose(self.copy, rows, low_rows)
        c = x.at(x.at(self.out, x.mul(first, self.out_row)), x.mul(left, self.tile.bytes))
        panels = x.ceil_div(width, self.tile.columns)

        def one_step(turn: Val, _: list[Val]) -> list[Val]:
            start = x.mul(turn, self.step)
            length = x.extremum("smin", self.step, x.sub(self.k, start))
            rows_of_a = self.rows_of_a(first, rows, start, length)

            step = _Step(
                c, first, rows, low_rows, *rows_of_a, left, width, panels, turn, start, length
            )

            def panel(number: Val, _: list[Val]) -> list[Val]:
                self.panel(step, number)
                return []

            x.code.loop(x.const(0), panels, 1, [], panel)
            return []

        x.code.loop(x.const(0), self.steps, 1, [], one_step)
        together = x.code.operation("and", self.splits, x.compare("eq", self.finish, NONE))
        self.follow(together, first, rows, left, width)

    def rows_of_a(
        self, first: Val, rows: Val, start: Val, length: Val
    ) -> tuple[Val, Val, Val, Val]:
        """Where the rows of a begin, copied if they are to be; the distances in bytes from tile
        row to tile row, from row to row, and from p to p + 1."""
        x, size, copy = self.x, self.tile.bytes, self.copy
        code = x.code
        if self.layout.transpose_a:
            corner = x.at(x.at(self.a, x.mul(start, self.a_row)), x.mul(first, size))
            tiles = x.ceil_div(rows, self.tile.rows)
            row_bytes = self.tile.rows * size
            apart = x.mul(length, row_bytes)

            def copy_some(p: Val, _: list[Val]) -> list[Val]:
                to, origin = x.at(self.own, x.mul(p, row_bytes)), x.at(corner, x.mul(p, self.a_row))
                count = x.extremum("smin", x.const(TOGETHER), x.sub(length, p))
                sizes = (count, rows, self.a_row, apart, x.const(0), tiles)
                x.call(self.names.pack_a, (to, origin, *sizes))
                return []

            code.branch(copy, [], lambda: code.loop(x.const(0), length, TOGETHER, [], copy_some))
            source = x.choose(copy, self.own, corner)
            down = x.choose(copy, x.mul(length, size), x.const(size))
            step = x.choose(copy, x.const(self.tile.rows * size), self.a_row)
            return source, down, x.const(size), step
        corner = x.at(x.at(self.a, x.mul(first, self.a_row)), x.mul(start, size))
        width = x.mul(length, size)
        code.builder.declare("memcpy", "ptr @memcpy(ptr, ptr, i64)")

        def one_row(row: Val, _: list[Val]) -> list[Val]:
            to, origin = (
                x.at(self.own, x.mul(row, self.apart)),
                x.at(corner, x.mul(row, self.a_row)),
            )
            passed = f"ptr {to.text}, ptr {origin.text}, i64 {width.text}"
            code.builder.line(f"call ptr @memcpy({passed})")
            return []

        code.branch(copy, [], lambda: code.loop(x.const(0), rows, 1, [], one_row))
        down = x.choose(copy, self.apart, self.a_row)
        return x.choose(copy, self.own, corner), down, down, x.const(size)

    def panel(self, step: "_Step", number: Val) -> None:
        """All rows times one panel of b."""
        x, tile, size = self.x, self.tile, self.tile.bytes
        rows, start, length, panels = step.rows, step.start, step.length, step.panels
        is_first = x.compare("eq", step.turn, x.const(0))
        column, left, width = x.mul(number, tile.columns), step.left, step.width
        last = x.compare("eq", x.add(number, x.const(1)), panels)
        columns = x.extremum("smin", x.sub(width, column), x.const(tile.columns))
        corner = self.corner_of_b(x.add(left, column), start)
        code = x.code
        reads = self.reads(columns)

        def pack() -> list[Val]:
            sizes = (length, columns, self.b_row, x.const(0), x.const(0), x.const(1))
            x.call(self.names.pack_b, (ROOM, corner, *sizes))
            return []

        if self.layout.transpose_b:
            pack()
            place, b_step = ROOM, x.const(tile.columns * size)
        else:
            code.branch(code.builder.not_(reads), [], pack)
            place = x.choose(reads, corner, ROOM)
            b_step = x.choose(reads, self.b_row, x.const(tile.columns * size))
        following, next_length = self.following(left, column, last, start, length)
        units = self.units(next_length)
        share = x.ceil_div(units, x.ceil_div(rows, tile.rows))
        c_panel = x.at(step.c, x.mul(column, size))
        is_last = x.compare("eq", x.add(step.turn, x.const(1)), self.steps)
        finishes = x.code.operation("and", is_last, x.compare("ne", self.finish, NONE))

        def tiles(routine: str, most: int) -> Callable[[Val, list[Val]], list[Val]]:
            def one_tile(row: Val, carried: list[Val]) -> list[Val]:
                (done,) = carried
                end = x.extremum("smin", x.add(done, share), units)
                self.prefetch(following, done, end)
                height = x.extremum("smin", x.sub(rows, row), x.const(most))
                left_rows = x.at(step.a, x.mul(row, step.down))
                place_of = x.at(c_panel, x.mul(row, self.out_row))
                strides = (self.out_row, step.a_row, step.a_step, b_step)
                given = (place_of, left_rows, place, length, *strides, height, columns, is_first)
                self.tile_call(
                    routine, given, finishes, x.add(step.first, row), x.add(left, column)
                )
                return [end]

            return one_tile

        names, zero = self.names, x.const(0)
        narrow = x.compare("sle", self.n, x.const(tile.lanes))

        def high_tiles() -> list[Val]:
            most = narrow_tile(tile).rows
            code.loop(zero, rows, most, [zero], tiles(names.narrow_tile, most))
            return []

        def low_tiles() -> list[Val]:
            done = code.loop(zero, step.low_rows, tile.rows, [zero], tiles(names.tile, tile.rows))
            code.loop(step.low_rows, rows, LOW, done, tiles(names.low_tile, LOW))
            return []

        code.branch(narrow, [], high_tiles)
        code.branch(x.compare("sgt", self.n, x.const(tile.lanes)), [], low_tiles)

    def tile_call(
        self, routine: str, given: Sequence[Val], finishes: Val, row: Val, left: Val
    ) -> None:
        """A tile, whose first element is at (row, left) of the result. finishes: it is followed by
        the epilogue; whole tiles do both at once."""
        x = self.x
        height, columns = given[-3:-1]
        if routine != self.names.tile:
            x.call(routine, given)
            self.follow(finishes, row, height, left, columns)
            return
        plain = x.code.builder.not_(finishes)

        def finish() -> list[Val]:
            words = (*given, self.epilogue, self.frame, x.add(self.base, row), left)
            passed = ", ".join(f"{one.type} {one.text}" for one in words)
            x.code.builder.line(f"call void {self.finish.text}({passed})")
            return []

        def tile() -> list[Val]:
            x.call(routine, given)
            return []

        x.code.branch(finishes, [], finish)
        x.code.branch(plain, [], tile)

    def corner_of_b(self, column: Val, start: Val) -> Val:
        x, size = self.x, self.tile.bytes
        if self.layout.transpose_b:
            return x.at(x.at(self.b, x.mul(column, self.b_row)), x.mul(start, size))
        return x.at(x.at(self.b, x.mul(start, self.b_row)), x.mul(column, size))

    def reads(self, columns: Val) -> Val:
        """Whether a panel is read where it is."""
        x = self.x
        whole = x.compare("eq", columns, x.const(self.tile.columns))
        return x.code.operation("and", self.direct, whole)

    # The next panel of b is fetched while this one is used.

    def following(
        self, left: Val, column: Val, last: Val, start: Val, length: Val
    ) -> tuple[Val, Val]:
        """Where the next panel begins, and how long it is: in this step, or the first one of the
        next step; of no length at the end."""
        x, zero = self.x, self.x.const(0)
        ahead = x.choose(last, x.add(start, length), start)
        next_length = x.extremum("smin", self.step, x.sub(self.k, ahead))
        next_length = x.choose(last, x.extremum("smax", next_length, zero), length)
        next_column = x.choose(last, zero, x.add(column, x.const(self.tile.columns)))
        return self.corner_of_b(x.add(left, next_column), ahead), next_length

    def units(self, length: Val) -> Val:
        """What is fetched: rows of the panel, or, transposed, lines of each of its columns."""
        if not self.layout.transpose_b:
            return length
        return self.x.ceil_div(self.x.mul(length, self.tile.bytes), LINE)

    def prefetch(self, place: Val, begin: Val, end: Val) -> None:
        x, tile = self.x, self.tile
        builder = x.code.builder
        builder.declare("llvm.prefetch", "void @llvm.prefetch.p0(ptr, i32, i32, i32)")

        def fetch(at: Val) -> None:
            builder.line(f"call void @llvm.prefetch.p0(ptr {at.text}, i32 0, i32 3, i32 1)")

        def one(unit: Val, _: list[Val]) -> list[Val]:
            if self.layout.transpose_b:
                at = x.at(place, x.mul(unit, LINE))
                for _column in range(tile.columns):
                    fetch(at)
                    at = x.at(at, self.b_row)
            else:
                at = x.at(place, x.mul(unit, self.b_row))
                width = tile.columns * tile.bytes
                for line in range(0, width, LINE):
                    fetch(x.at(at, x.const(min(line + LINE, width) - 1)))
            return []

        x.code.loop(begin, end, 1, [], one)
