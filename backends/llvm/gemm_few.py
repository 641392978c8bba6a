"""The last few columns of a product, or all where it has no more, as dot products.

    void @few(what @tile gets)
    void @pack(what packing functions of gemm_pack.py get)

b holds the columns one behind the other, b.step bytes from one to the next; a.step is not used.
A tile that is a vector wide takes as long for one column as for a whole vector of them: the 257th
column would cost as much as the 16 before it. Rows of a times a column of b are summed in lanes,
some rows at a time, at the rate at which rows of a are read; times two columns of b, if there are
registers for the sums.
"""

from collections.abc import Callable, Sequence

from graphc.backends.llvm.gemm_cover import HALVED
from graphc.backends.llvm.gemm_layout import Arithmetic
from graphc.backends.llvm.gemm_pack import PACK_PARAMETERS
from graphc.backends.llvm.gemm_tile import Tile, tile_parameters
from graphc.backends.llvm.masked import first_lanes, masked_load
from graphc.backends.llvm.parallel import BEGIN, END
from graphc.backends.llvm.scopes import Code
from graphc.backends.llvm.target import Target
from graphc.backends.llvm.text import FunctionText, Val
from graphc.dtypes import is_floating
from graphc.loops.ir import Contraction

LEAST_ROWS = 24  # of a product, from which on columns are copied for it
LEAST_TERMS = 48  # of a sum: fewer do not pay for adding up lanes
LONG_TERMS = 256  # of a sum, from which on some more columns are few
FEW_STEP = 512 * 4  # bytes of k in one step: eight rows are half of the first cache
COPIED = 8  # entries of a column that are copied at once
PITCH = 64  # bytes between copied columns, so that they do not compete for one place in the cache

C, A, B = (Val(f"%{name}", "ptr") for name in ("c", "a", "b"))
K, C_ROW, A_ROW, B_STEP, ROWS, COLUMNS = (
    Val(f"%{name}", "i64") for name in ("k", "c.row", "a.row", "b.step", "rows", "columns")
)
FIRST = Val("%first", "i1")
PANEL, MATRIX, _, _, STRIDE, APART = PACK_PARAMETERS


def most_few(step: Contraction, tile: Tile) -> int:
    """Columns that are few, if the product has enough rows."""
    if step.transpose_a or not is_floating(step.dtype) or step.operands is not None:
        return 0
    if not isinstance(step.k, int):
        return tile.lanes // 4
    if step.k < LEAST_TERMS:
        return 0
    return 3 * tile.lanes // 8 if step.k >= LONG_TERMS else tile.lanes // 4


def rows_together(tile: Tile) -> int:
    """Rows whose sums are added up together."""
    return min(8, tile.lanes)


def columns_together(tile: Tile) -> int:
    """Columns that rows are multiplied by at a time."""
    return 2 if tile.vectors >= HALVED and tile.lanes > 4 else 1


def few_columns(step: Contraction, tile: Tile) -> int:
    """Columns that are few, at most, if some are left over, as far as that is known beforehand."""
    if not isinstance(step.n, int) or step.n < 2:
        return 0
    if isinstance(step.m, int) and step.m < LEAST_ROWS:
        return 0
    most = most_few(step, tile)
    ends = (0, tile.lanes, *[tile.columns // 2] * (tile.vectors >= HALVED))
    return most if any(0 < step.n % tile.columns - end <= most for end in ends) else 0


def few_function(name: str, tile: Tile, target: Target) -> FunctionText:
    return _FewEmitter(tile, target).emit(name)


def pack_few_function(name: str, tile: Tile, target: Target, *, across: bool) -> FunctionText:
    """Copies columns [begin, end) to `panel`, `apart` bytes from one to the next. stride: the bytes
    from entry to entry of a column, or, across, from column to column."""
    x = Arithmetic(Code(has_fma=target.has_fma))
    code, builder = x.code, x.code.builder

    def column(number: Val, _: list[Val]) -> list[Val]:
        column_step, step = (STRIDE, tile.bytes) if across else (tile.bytes, STRIDE)
        source, to = x.at(MATRIX, x.mul(number, column_step)), x.at(PANEL, x.mul(number, APART))

        def entries(count: int) -> Callable[[Val, list[Val]], list[Val]]:
            def body(p: Val, _: list[Val]) -> list[Val]:
                place, entry = x.at(source, x.mul(p, step)), code.gep(tile.type, to, p)
                values: list[Val] = []
                while len(values) < count:
                    values.append(builder.load(place.text, tile.type))
                    place = x.at(place, step if isinstance(step, Val) else x.const(step))
                for number, value in enumerate(values):
                    builder.store(value, code.gep(tile.type, entry, x.const(number)).text)
                return []

            return body

        whole = code.operation("and", K, x.const(-COPIED))
        code.loop(x.const(0), whole, COPIED, [], entries(COPIED))
        code.loop(whole, K, 1, [], entries(1))
        return []

    code.loop(BEGIN, END, 1, [], column)
    builder.line("ret void")
    return x.function(name, (*PACK_PARAMETERS, BEGIN, END), target, plain=False)


class _FewEmitter:
    def __init__(self, tile: Tile, target: Target) -> None:
        self.tile, self.target = tile, target
        self.x = Arithmetic(Code(has_fma=target.has_fma))
        self.code, self.builder = self.x.code, self.x.code.builder
        self.rows = rows_together(tile)

    def emit(self, name: str) -> FunctionText:
        x, builder = self.x, self.builder
        room = [Val(f"%room{column}", "ptr") for column in range(columns_together(self.tile))]
        for one in room:
            builder.line(f"{one.text} = alloca [{self.rows} x {self.tile.type}], align 64")
        last = x.sub(ROWS, x.const(1))
        starts = [A]
        for row in range(1, self.rows):  # rows beyond the last repeat it
            starts.append(x.at(A, x.mul(x.extremum("smin", x.const(row), last), A_ROW)))

        def some(together: int) -> Callable[[Val, list[Val]], list[Val]]:
            def body(j: Val, _: list[Val]) -> list[Val]:
                columns = [
                    x.at(B, x.mul(x.add(j, x.const(one)), B_STEP)) for one in range(together)
                ]
                for one, sums in enumerate(self.products(starts, columns)):
                    builder.store(self.summed(sums), room[one].text)
                self.put(x.at(C, x.mul(j, self.tile.bytes)), room[:together])
                return []

            return body

        done = x.const(0)
        if len(room) > 1:
            done = x.code.operation("and", COLUMNS, x.const(-len(room)))
            self.code.loop(x.const(0), done, len(room), [], some(len(room)))
        self.code.loop(done, COLUMNS, 1, [], some(1))
        builder.line("ret void")
        attributes = self.target.function_attributes
        signature = f"define internal void @{name}({tile_parameters(self.tile)}) {attributes}"
        return builder.function(signature)

    def put(self, place: Val, columns: Sequence[Val]) -> None:
        """Some columns of sums: stored, or added to what is there."""
        x, builder, tile = self.x, self.builder, self.tile

        def row(r: Val, _: list[Val]) -> list[Val]:
            line = x.at(place, x.mul(r, C_ROW))
            for number, column in enumerate(columns):
                to = x.at(line, x.const(number * tile.bytes))
                value = builder.load(self.code.gep(tile.type, column, r).text, tile.type)
                total = builder.fadd(builder.load(to.text, tile.type), value)
                builder.store(builder.select(FIRST, value, total), to.text)
            return []

        self.code.loop(x.const(0), ROWS, 1, [], row)

    def products(self, starts: list[Val], columns: list[Val]) -> list[list[Val]]:
        """A vector for each column and row, whose lanes add up to their product."""
        x, code, builder, tile = self.x, self.code, self.builder, self.tile
        whole = x.sub(K, code.operation("and", K, x.const(tile.lanes - 1)))
        count = len(starts)

        def add(load: Callable[[Val], Val], sums: list[Val]) -> list[Val]:
            entries, rows = [load(one) for one in columns], [load(one) for one in starts]
            pairs = ((row, entry) for entry in entries for row in rows)
            return [builder.fma(*pair, old) for pair, old in zip(pairs, sums, strict=True)]

        def vector(p: Val, sums: list[Val]) -> list[Val]:
            def load(start: Val) -> Val:
                return builder.load(code.gep(tile.type, start, p).text, tile.type, tile.lanes)

            return add(load, sums)

        zero = builder.constant(0.0, tile.type, tile.lanes)
        sums = code.loop(x.const(0), whole, tile.lanes, [zero] * count * len(columns), vector)

        def tail() -> list[Val]:
            mask = first_lanes(builder, x.sub(K, whole), tile.type, tile.lanes)

            def load(start: Val) -> Val:
                return masked_load(builder, tile.type, code.gep(tile.type, start, whole), mask)

            return add(load, sums)

        sums = code.branch(x.compare("slt", whole, K), sums, tail)
        return [sums[at : at + count] for at in range(0, len(sums), count)]

    def summed(self, values: list[Val]) -> Val:
        """A lane for each vector: the sum of its lanes. In each round two vectors become one, in
        which blocks of lanes, half as long, belong to one vector each."""
        block = self.tile.lanes
        while block > 1:
            half = block // 2
            if len(values) > 1:
                values = [
                    self.halves(a, b, half) for a, b in zip(values[::2], values[1::2], strict=True)
                ]
            else:
                values = [self.halves(values[0], None, half)]
            block = half
        return values[0]

    def halves(self, a: Val, b: Val | None, half: int) -> Val:
        """Lower plus upper halves of the blocks of a, then of those of b."""
        blocks = range(0, a.lanes * (1 if b is None else 2), 2 * half)
        low = [start + lane for start in blocks for lane in range(half)]
        high = [lane + half for lane in low]
        parts = (self.builder.shuffle(a, a if b is None else b, places) for places in (low, high))
        return self.builder.fadd(*parts)
