"""Tiles of a matrix product that apply an epilogue to the sums while they are in registers.

    void @e0.tile_1_2(what @tile gets, ptr epilogue, ptr frame, i64 row, i64 left)

What the kernel reads beside the product, element by element, is fetched while the sums are made, a
row in every few steps where these have time for it.
The product itself is not stored. A tile at an edge goes through memory, and through the epilogue as
others call it (epilogues.py). row, left: which element of the result the tile begins with, as the
kernel counts.
"""

from collections.abc import Sequence

from graphc.backends.llvm.addresses import Array
from graphc.backends.llvm.epilogues import CELLS, INNER
from graphc.backends.llvm.gemm_tile import PARTS, Tile, TileEmitter
from graphc.backends.llvm.lanes import survey
from graphc.backends.llvm.loops import LoopEmitter
from graphc.backends.llvm.target import Target
from graphc.backends.llvm.text import FunctionText, Val
from graphc.loops.ir import For, Kernel, Let, Statement, Store
from graphc.loops.tidy import values_of
from graphc.records import dataclass
from graphc.scalar.expr import FLOAT_FUNCTIONS, Call, Expr, Index, Load, walk
from graphc.shapes import Dim

HEAVIEST = 32  # cost of the work on an element; more is done in a loop
EARLY = 2  # what the steps ask for has been asked for after one part in so many
MOST_OPERANDS = 1  # matrices beside the result
EPILOGUE, FRAME = Val("%epilogue", "ptr"), Val("%frame", "ptr")
ROW, LEFT = Val("%tile.row", "i64"), Val("%tile.left", "i64")


@dataclass(frozen=True, slots=True)
class Finish:
    """An epilogue as tiles apply it.

    kernel, kind: see `kernel_of_part`; result: the parameter that is the product; placed: the one
    that is written in its place, or the product, which then has memory of its own.
    """

    kernel: Kernel
    kind: str
    result: str
    placed: str

    @property
    def loop(self) -> For:
        """The loop whose iterations become lanes."""
        last = self.kernel.body[-1]
        assert isinstance(last, For)
        if self.kind == CELLS:
            return last
        inner = last.body[-1]
        assert isinstance(inner, For)
        return inner

    @property
    def places(self) -> list[tuple[str, tuple[Expr, ...]]]:
        """The arrays that have an element for each of the result, and where it is."""
        body = self.loop.body
        loads = [part for value in values_of(body) for part in walk(value)]
        found = [(part.buffer, tuple(part.index)) for part in loads if isinstance(part, Load)]
        found += [(item.buffer, tuple(item.index)) for item in body if isinstance(item, Store)]
        axes = {self.loop.axis}
        if self.kind == INNER:
            outer = self.kernel.body[-1]
            assert isinstance(outer, For)
            axes.add(outer.axis)
        mine = (self.result, self.placed)
        wide = [place for place in found if place[0] not in mine and axes <= _axes(place[1])]
        return list(dict.fromkeys(wide))

    @property
    def operands(self) -> int:
        """How many matrices there are beside the first that is written."""
        return len(self.places) - (self.placed == self.result)


def is_light(finish: Finish, tile: Tile) -> bool:
    """Whether tiles can apply the kernel: a few operations on neighbours of the tile's type.

    Not with several matrices beside the result: a tile would touch a few lines of each row of each,
    and rows from end to end are read faster.
    """
    kernel, loop = finish.kernel, finish.loop
    if (
        finish.operands > MOST_OPERANDS
        or loop.kind != "vector"
        or survey(loop.body).cost > HEAVIEST
    ):
        return False
    if not all(isinstance(item, Let) or _plain(item) for item in loop.body):
        return False
    arrays = {parameter.name: parameter for parameter in kernel.parameters}
    values = [part for value in values_of(loop.body) for part in walk(value)]
    if any(isinstance(part, Call) and part.op in FLOAT_FUNCTIONS for part in values):
        return False
    used = [(part.buffer, part.index) for part in values if isinstance(part, Load)]
    used += [(item.buffer, item.index) for item in loop.body if isinstance(item, Store)]
    return all(
        arrays[name].dtype.itemsize == tile.bytes and _is_straight(index, loop.axis)
        for name, index in used
    )


def _plain(item: Statement) -> bool:
    return isinstance(item, Store) and not item.accumulate


def _is_straight(index: Sequence[Expr], axis: str) -> bool:
    """Whether lanes read neighbours, or all the same element."""
    if not all(isinstance(item, Index) for item in index):
        return False
    sizes = [item.size for item in index if isinstance(item, Index)]
    moving = [isinstance(size, Dim) and axis in size.symbols() for size in sizes]
    if any(moving[:-1]):
        return False
    last = sizes[-1] if moving and moving[-1] else None
    return not isinstance(last, Dim) or last.coefficient(axis) == 1


def finishing_tile(name: str, tile: Tile, finish: Finish, target: Target) -> FunctionText:
    return _FinishingTile(name, tile, finish, target).emit()


class _FinishingTile(TileEmitter):
    """A tile that computes the epilogue of its sums while they are in registers."""

    def __init__(self, name: str, tile: Tile, finish: Finish, target: Target) -> None:
        self.loops = LoopEmitter(target)
        super().__init__(name, tile, target, self.loops.code.builder)
        self.finish = finish
        self.wanted: list[tuple[str, str, bool]] = []  # first row, bytes from row to row, writes
        self.extra = (EPILOGUE, FRAME, ROW, LEFT)
        self.result_is_other = ""  # the epilogue writes it as an array of its own
        self._words()

    def _words(self) -> None:
        """What the frame holds."""
        kernel, builder, loops = self.finish.kernel, self.builder, self.loops
        place = 0

        def word(type: str) -> Val:
            nonlocal place
            at = builder.value(f"getelementptr i64, ptr %frame, i64 {place}")
            place += 1
            return builder.emit(f"load {type}, ptr {at}, align 8", type)

        self.units = word("i64")
        for one in kernel.parameters:
            array = Array(one.name, word("ptr"), one.dtype, one.shape)
            loops.memory.arrays[one.name] = array
        names = kernel.sizes
        if self.finish.kind == INNER:  # the last two: the first column, and how many
            loops.sizes.symbols[names[-2]] = LEFT
            names = names[:-2]
        for name in names:
            loops.sizes.symbols[name] = word("i64")
        self._values(kernel.body[:-1])

    def _values(self, items: Sequence[Statement]) -> None:
        for item in items:
            assert isinstance(item, Let)
            self.loops.expressions.locals[item.name] = self.loops.expressions.value(item.value)

    # Where things are

    def _at_row(self, number: int) -> None:
        """number: of the row in the tile."""
        loops, finish = self.loops, self.finish
        loops.sizes.vector_axis, loops.sizes.lanes = None, 1
        if finish.kind == CELLS:
            cell = loops.code.operation("mul", ROW, self.units)
            self.first = loops.code.operation("add", cell, LEFT)
            for _ in range(number):
                self.first = loops.code.operation("add", self.first, self.units)
            return
        row = loops.code.operation("add", ROW, loops.code.constant(number, "i64"))
        outer = finish.kernel.body[-1]
        assert isinstance(outer, For)
        loops.sizes.symbols[outer.axis] = row
        self._values(outer.body[:-1])
        self.first = loops.code.constant(0, "i64")

    def _at_vector(self, number: int) -> None:
        loops, tile = self.loops, self.tile
        loops.sizes.vector_axis, loops.sizes.lanes = self.finish.loop.axis, tile.lanes
        loops.sizes.lane_bytes = tile.bytes
        moved = loops.code.constant(number * tile.lanes, "i64")
        loops.sizes.symbols[self.finish.loop.axis] = loops.code.operation("add", self.first, moved)

    # What is done there

    def _fetch_result(self) -> None:
        """Find what is read and written for each element of the result, and ask for it, unless
        the steps do."""
        stored = {item.buffer for item in self.finish.loop.body if isinstance(item, Store)}
        self.wanted = [("%c", "%c.row", True)]
        for name, index in self.finish.places:
            starts = [self._start(number, name, index) for number in range(2)]
            words = [self.builder.value(f"ptrtoint ptr {one} to i64") for one in starts]
            row = self.builder.value(f"sub i64 {words[1]}, {words[0]}")
            self.wanted.append((starts[0], row, name in stored))
        if not self.tile.asks:
            for start, row, writes in self.wanted:
                self._fetch_rows(start, row, writes=writes)
            return
        some = self.builder.smax(Val("%k", "i64"), Val("1", "i64"))
        rows = EARLY * self.tile.rows * PARTS
        self.builder.line(f"%wanted.rate = udiv i64 {rows}, {some.text}")

    def _fetch_in_step(self) -> list[str]:
        """A row of each matrix at a time: all at once would fill the list of outstanding requests
        while the sums wait for theirs. The rows below come last, those of the next tile."""
        if not self.tile.asks:
            return []
        phis = self._phi_of_due("wanted")
        for number, (_, _, writes) in enumerate(self.wanted):
            self._fetch_row(f"%wanted.{number}.at", writes=writes)
        rows = self._due("wanted")
        for number, (start, stride, _) in enumerate(self.wanted):
            phis.append(self._walk(f"wanted.{number}", start, stride, rows))
        return phis

    def _start(self, row: int, name: str, index: Sequence[Expr]) -> str:
        """Where the operand of the first element of a row lies."""
        self._at_row(row)
        self._at_vector(0)
        memory = self.loops.memory
        return memory.place(memory.arrays[name], index).pointer.text

    def _whole(self, sums: list[Val]) -> None:
        builder, tile = self.builder, self.tile
        builder.block("whole")
        builder.line("br i1 %first, label %ready, label %update")
        builder.block("update")
        added = [self._add(old, new) for old, new in zip(self._loaded(), sums, strict=True)]
        builder.branch("ready")
        builder.block("ready")
        totals = [
            builder.phi([(new, "whole"), (total, "update")])
            for new, total in zip(sums, added, strict=True)
        ]
        for r in range(tile.rows):
            self._at_row(r)
            for v in range(tile.vectors):
                self._at_vector(v)
                self._element(totals[r * tile.vectors + v])
        assert not self.loops.memory.safe_bytes
        builder.branch("done")

    def _element(self, total: Val) -> None:
        loops = self.loops
        loops.memory.registers[self.finish.result] = total
        for item in self.finish.loop.body:
            if isinstance(item, Let):
                self._values([item])
            elif isinstance(item, Store):
                value = loops.expressions.value(item.value)
                loops.memory.store(item.buffer, item.index, value, accumulate=False)

    def _parted(self) -> None:
        builder = self.builder
        rows, columns = (Val(f"%{name}", "i64") for name in ("rows", "columns"))
        below = builder.emit(f"add i64 {ROW.text}, {rows.text}", "i64")
        right = builder.emit(f"add i64 {LEFT.text}, {columns.text}", "i64")
        part = f"i64 {ROW.text}, i64 {below.text}, i64 {LEFT.text}, i64 {right.text}"
        builder.line(f"call void {EPILOGUE.text}(ptr %frame, {part}, ptr null)")
        builder.branch("done")


def _axes(index: Sequence[Expr]) -> set[str]:
    found: set[str] = set()
    for item in index:
        if isinstance(item, Index) and isinstance(item.size, Dim):
            found |= item.size.symbols()
    return found
