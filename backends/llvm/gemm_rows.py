"""Chunks of a matrix product, which do not depend on each other.

@rows.range(out, a, b, sizes ..., ptr area, i64 begin, i64 end)
"""

from typing import NamedTuple

from graphc.backends.llvm.gemm_chunks import (
    GAP,
    GRID,
    NONE,
    ROOM,
    ROWS_PARAMETERS,
    SHAPE,
    STEP,
    epilogue_call,
    most_columns,
    room_bytes,
)
from graphc.backends.llvm.gemm_cover import LOW, NARROW, rows_before_low_tiles, tiles_of
from graphc.backends.llvm.gemm_few import FEW_STEP, PITCH, rows_together
from graphc.backends.llvm.gemm_layout import Arithmetic, Layout, Names
from graphc.backends.llvm.gemm_tile import Tile
from graphc.backends.llvm.parallel import BEGIN, END
from graphc.backends.llvm.scopes import Code
from graphc.backends.llvm.target import LINE, Target
from graphc.backends.llvm.text import FunctionText, Val

TOGETHER = 8  # rows of a transposed a that are packed for all tiles before the next ones


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
    row, and from p to p + 1. cut: a column at which a panel begins even if the one before it is
    not whole, or the width.
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
    cut: Val
    panels: Val
    turn: Val
    start: Val
    length: Val


class _RowsEmitter:
    """Writes the loops of a chunk: blocks of columns, steps of k, panels, tiles."""

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
        # k is counted in elements of the tiles from here on; `rows_of_k` are those of the operands.
        self.rows_of_k = self.k
        self.k = x.ceil_div(self.k, tile.together) if tile.together > 1 else self.k
        self.step_bytes = tile.read_bytes * tile.together
        most = x.const(STEP // size)
        if layout.few:  # sums of lanes are added up as rarely as can be
            alone = x.compare("sle", self.n, x.const(layout.few))
            most = x.choose(alone, x.const(FEW_STEP // size), most)
        self.steps = x.extremum("smax", x.ceil_div(self.k, most), x.const(1))
        self.step = x.extremum("smax", x.ceil_div(self.k, self.steps), x.const(1))
        self.apart = x.add(x.mul(self.step, size), x.const(GAP))  # copied rows
        self.own = x.at(ROOM, x.const(tile.start_bytes + STEP * tile.columns))

    def emit(self) -> FunctionText:
        x = self.x
        x.code.loop(BEGIN, END, 1, [], self.chunk)
        x.code.builder.line("ret void")
        parameters = (*ROWS_PARAMETERS, ROOM, BEGIN, END)
        return x.function(f"{self.names.rows}.range", parameters, self.target)

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
        panels, cut = x.ceil_div(width, self.tile.columns), width
        if self.names.half_tile in tiles_of(self.names, self.tile) and not self.layout.transpose_a:
            half, whole = self.tile.columns // 2, x.mul(panels, self.tile.columns)
            end = x.sub(whole, x.const(half))  # of a tile half as wide, if a vector holds the rest
            rest = x.sub(width, end)
            above = x.compare("sgt", rest, x.const(0))
            cuts = x.code.operation("and", above, x.compare("sle", rest, x.const(self.tile.lanes)))
            panels, cut = (
                x.choose(cuts, x.add(panels, x.const(1)), panels),
                x.choose(cuts, end, width),
            )

        def one_step(turn: Val, _: list[Val]) -> list[Val]:
            start = x.mul(turn, self.step)
            length = x.extremum("smin", self.step, x.sub(self.k, start))
            rows_of_a = self.rows_of_a(first, rows, start, length)

            step = _Step(
                c, first, rows, low_rows, *rows_of_a, left, width, cut, panels, turn, start, length
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
        x, size, copy, together = self.x, self.tile.bytes, self.copy, self.tile.together
        code, read = x.code, self.tile.read_bytes
        if self.layout.transpose_a:
            above = x.mul(x.mul(start, together), self.a_row)
            corner = x.at(x.at(self.a, above), x.mul(first, read))
            rows_of_k = self.rows_from(start, length)
            tiles = x.ceil_div(rows, self.tile.rows)
            row_bytes = self.tile.rows * size
            apart = x.mul(length, row_bytes)

            def copy_some(p: Val, _: list[Val]) -> list[Val]:
                to, row = x.at(self.own, x.mul(p, row_bytes)), x.mul(p, together)
                origin = x.at(corner, x.mul(row, self.a_row))
                count = x.extremum("smin", x.const(TOGETHER * together), x.sub(rows_of_k, row))
                sizes = (count, rows, self.a_row, apart, x.const(0), tiles)
                x.call(self.names.pack_a, (to, origin, *sizes))
                return []

            code.branch(copy, [], lambda: code.loop(x.const(0), length, TOGETHER, [], copy_some))
            source = x.choose(copy, self.own, corner)
            down = x.choose(copy, x.mul(length, size), x.const(size))
            step = x.choose(copy, x.const(self.tile.rows * size), self.a_row)
            return source, down, x.const(size), step
        corner = x.at(x.at(self.a, x.mul(first, self.a_row)), x.mul(start, self.step_bytes))
        count = self.rows_from(start, length)
        code.builder.declare("memcpy", "ptr @memcpy(ptr, ptr, i64)")

        def one_row(row: Val, _: list[Val]) -> list[Val]:
            to, origin = (
                x.at(self.own, x.mul(row, self.apart)),
                x.at(corner, x.mul(row, self.a_row)),
            )
            if together > 1:  # the last one may have zeros beside it
                end = x.at(to, x.mul(x.sub(length, x.const(1)), size))
                code.builder.store(Val("0", "i32"), end.text)
            if not self.tile.reads_rows:
                x.call(self.names.widen, (to, origin, count))
                return []
            width = x.mul(count, read)
            passed = f"ptr {to.text}, ptr {origin.text}, i64 {width.text}"
            code.builder.line(f"call ptr @memcpy({passed})")
            return []

        code.branch(copy, [], lambda: code.loop(x.const(0), rows, 1, [], one_row))
        down = x.choose(copy, self.apart, self.a_row)
        return x.choose(copy, self.own, corner), down, down, x.const(size)

    def rows_from(self, start: Val, length: Val) -> Val:
        """Elements of the operands along k in `length` of the tiles'."""
        if self.tile.parts is None:
            return length
        x, together = self.x, self.tile.together
        left = x.sub(self.rows_of_k, x.mul(start, together))
        return x.extremum("smin", x.mul(length, together), left)

    def panel(self, step: "_Step", number: Val) -> None:
        """All rows times one panel of b."""
        x, tile = self.x, self.tile
        column = x.extremum("smin", x.mul(number, tile.columns), step.cut)
        end = x.choose(x.compare("slt", column, step.cut), step.cut, step.width)
        columns = x.extremum("smin", x.sub(end, column), x.const(tile.columns))
        if not self.layout.few:
            self.columns(step, number, column, columns)
            return
        before = self.before_few(columns)

        def most() -> list[Val]:
            self.columns(step, number, column, before)
            return []

        def few() -> list[Val]:
            self.few(step, x.add(column, before), x.sub(columns, before))
            return []

        x.code.branch(x.compare("sgt", before, x.const(0)), [], most)
        x.code.branch(x.compare("slt", before, columns), [], few)

    def before_few(self, columns: Val) -> Val:
        """How many columns of a panel are not dot products: for every number of threads the same,
        since their sums are not those of tiles."""
        x, tile, zero = self.x, self.tile, self.x.const(0)
        before = columns
        for end in map(x.const, (0, tile.lanes)):
            left = x.sub(columns, end)
            above = x.compare("sgt", left, zero)
            are_few = x.compare("sle", left, x.const(self.layout.few))
            before = x.choose(x.code.operation("and", above, are_few), end, before)
        return before

    def few(self, step: "_Step", column: Val, columns: Val) -> None:
        """All rows times a few columns of b, which are copied if they do not lie in rows."""
        x, names, zero = self.x, self.names, self.x.const(0)
        place, apart = self.corner_of_b(x.add(step.left, column), step.start), self.b_row
        if not self.layout.transpose_b:
            source, place, apart = place, ROOM, x.const(FEW_STEP + PITCH)
            x.call(
                names.pack_few,
                (place, source, step.length, columns, self.b_row, apart, zero, columns),
            )
        most = x.const(rows_together(self.tile))
        shared = self.shared(step, column, columns, (zero, zero, place), (place, apart))
        follows = self.finishes(step)
        count = x.ceil_div(step.rows, most)
        few = _address(names.few)
        x.call(names.tiles, (few, NONE, follows, zero, count, most, zero, *shared))

    def finishes(self, step: "_Step") -> Val:
        """Whether the epilogue follows."""
        is_last = self.x.compare("eq", self.x.add(step.turn, self.x.const(1)), self.steps)
        return self.x.code.operation("and", is_last, self.x.compare("ne", self.finish, NONE))

    def shared(
        self,
        step: "_Step",
        column: Val,
        columns: Val,
        ahead: tuple[Val, Val, Val],
        panel: tuple[Val, Val],
    ) -> tuple[Val, ...]:
        """What @tiles gets behind the routines and numbers of rows.

        ahead: units to ask for, those for each tile, and where they begin; panel: the columns, and
        the distance from row to row, or from column to column.
        """
        x = self.x
        return (
            *(step.rows, *ahead, self.b_row),
            *(x.at(step.c, x.mul(column, self.tile.bytes)), self.out_row),
            *(step.a, step.down, step.a_row, step.a_step),
            *(*panel, step.length, columns, x.compare("eq", step.turn, x.const(0))),
            *(self.epilogue, self.frame, x.add(self.base, step.first)),
            *(x.add(step.left, column), ROOM),
        )

    def columns(self, step: "_Step", number: Val, column: Val, columns: Val) -> None:
        """All rows times the first columns of a panel, in tiles."""
        x, tile, size = self.x, self.tile, self.tile.bytes
        rows, start, length = step.rows, step.start, step.length
        left = step.left
        last = x.compare("eq", x.add(number, x.const(1)), step.panels)
        corner = self.corner_of_b(x.add(left, column), start)
        code = x.code
        reads = self.reads(columns)

        def pack() -> list[Val]:
            count = self.rows_from(start, length)
            sizes = (count, columns, self.b_row, x.const(0), x.const(0), x.const(1))
            x.call(self.names.pack_b, (ROOM, corner, *sizes))
            return []

        def pack_slim() -> list[Val]:
            sizes = (length, columns, self.b_row, x.const(0), x.const(0), x.const(1))
            x.call(self.names.pack_slim, (ROOM, corner, *sizes))
            return []

        # Copied panels of a transposed a are as high as a whole tile: then none is narrow.
        fewest, b_step = (
            self.n if self.layout.transpose_a else columns,
            x.const(tile.columns * size),
        )
        packs = code.builder.not_(reads)
        if self.layout.slim:
            slim = x.compare("sle", fewest, x.const(tile.lanes // 2))
            code.branch(code.builder.and_(packs, slim), [], pack_slim)
            packs = code.builder.and_(packs, code.builder.not_(slim))
            b_step = x.choose(slim, x.const(tile.lanes // 2 * size), b_step)
        code.branch(packs, [], pack)
        place = x.choose(reads, corner, ROOM)
        b_step = x.choose(reads, self.b_row, b_step)
        following, next_length = self.following(step, column, last)
        units = self.units(next_length)
        share = x.ceil_div(units, x.ceil_div(rows, tile.rows))
        if tile.asked and self.layout.transpose_b:  # some lines of a column at once
            share = x.mul(x.ceil_div(share, tile.asked), tile.asked)
        finishes = self.finishes(step)
        names, zero = self.names, x.const(0)
        shared = self.shared(step, column, columns, (units, share, following), (place, b_step))
        # Whole tiles and then low ones, or half ones, or narrow ones.
        narrow = x.compare("sle", fewest, x.const(tile.lanes))
        if self.layout.transpose_a and tile.narrow is not None:  # always copied
            narrow = Val("false", "i1")
        small, routine = narrow, _address(names.tile)
        if names.half_tile in tiles_of(names, tile):
            half = x.compare("sle", columns, x.const(tile.columns // 2))
            small = code.operation("or", narrow, half)
            routine = x.choose(half, _address(names.half_tile), routine)
        routine = x.choose(narrow, _address(names.narrow_tile), routine)
        if self.layout.slim:
            routine = x.choose(slim, _address(names.slim_tile), routine)
        end = x.choose(small, rows, step.low_rows)
        most = x.choose(narrow, x.const(NARROW), x.const(tile.rows))
        count = x.ceil_div(end, most)
        fused = x.choose(small, NONE, x.choose(finishes, self.finish, NONE))
        follows = x.code.operation("and", finishes, small)
        x.call(names.tiles, (routine, fused, follows, zero, count, most, zero, *shared))

        def low_tiles() -> list[Val]:
            done = x.extremum("smin", x.mul(count, share), units)
            left_over = x.ceil_div(x.sub(rows, end), LOW)
            low = (_address(names.low_tile), NONE, finishes, end, left_over, x.const(LOW), done)
            x.call(names.tiles, (*low, *shared))
            return []

        code.branch(x.compare("slt", end, rows), [], low_tiles)

    def corner_of_b(self, column: Val, start: Val) -> Val:
        x, tile = self.x, self.tile
        if self.layout.transpose_b:
            return x.at(x.at(self.b, x.mul(column, self.b_row)), x.mul(start, self.step_bytes))
        above = x.mul(x.mul(start, tile.together), self.b_row)
        return x.at(x.at(self.b, above), x.mul(column, tile.read_bytes))

    def reads(self, columns: Val) -> Val:
        """Whether a panel is read where it is."""
        x, tile = self.x, self.tile
        if self.layout.transpose_b or tile.narrow is not None:
            return Val("false", "i1")
        whole = x.compare("eq", columns, x.const(tile.columns))
        found = x.code.operation("and", self.direct, whole)
        if self.layout.slim:  # a matrix that is no wider
            half = tile.lanes // 2
            alone = x.compare("eq", self.b_row, x.const(half * tile.bytes))
            alone = x.code.operation("and", alone, x.compare("eq", columns, x.const(half)))
            found = x.code.operation("or", found, alone)
        return found

    # The next panel of b is fetched while this one is used.

    def following(self, step: "_Step", column: Val, last: Val) -> tuple[Val, Val]:
        """Where the next panel begins, and how long it is: in this step, or the first one of the
        next step; of no length at the end."""
        x, zero, start, length = self.x, self.x.const(0), step.start, step.length
        ahead = x.choose(last, x.add(start, length), start)
        next_length = x.extremum("smin", self.step, x.sub(self.k, ahead))
        next_length = x.choose(last, x.extremum("smax", next_length, zero), length)
        next_column = x.extremum("smin", x.add(column, x.const(self.tile.columns)), step.cut)
        next_column = x.choose(last, zero, next_column)
        return self.corner_of_b(x.add(step.left, next_column), ahead), next_length

    def units(self, length: Val) -> Val:
        """What is fetched: rows of the panel, or, transposed, lines of each of its columns."""
        if not self.layout.transpose_b:
            return self.x.mul(length, self.tile.together)
        return self.x.ceil_div(self.x.mul(length, self.step_bytes), LINE)


def _address(name: str) -> Val:
    return Val(f"@{name}", "ptr")
