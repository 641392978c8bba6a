"""Products of a matrix and a vector, known as such or found at run time.

    void @all_dots(ptr out, ptr matrix, ptr vector, i64 count, i64 k, i64 out.step, i64 row,
                   i64 vector.step, ptr partial, i64 threads)
    void @all_sums(the same)

    dots    out[i] = sum_p matrix[i, p] * vector[p], i < count: some rows at a time
    sums    out[j] = sum_p vector[p] * matrix[p, j], j < count: some rows are added at a time

Entries of a row lie side by side; row, out.step and vector.step are the distances in elements from
row to row and from entry to entry. Long sums are cut into chunks whose lengths follow from the
sizes alone; threads share them, and `partial` has room for what they come to, PARTIAL bytes. Then
the chunks are added in order: the bits of a result do not depend on the number of threads.
"""

from collections.abc import Callable, Sequence

from graphc.backends.llvm.gemm_layout import Arithmetic, Layout
from graphc.backends.llvm.gemm_tile import Tile
from graphc.backends.llvm.masked import masked_load
from graphc.backends.llvm.parallel import BEGIN, END, Range, dividing_functions
from graphc.backends.llvm.scopes import Code
from graphc.backends.llvm.target import Target
from graphc.backends.llvm.text import FunctionText, Val

PARTIAL = 1 << 18  # bytes of sums of chunks
MOST_CHUNKS = 256
GROUP = 4  # rows whose products with the vector are summed together
MANY_ROWS = 64  # from which on sums are not cut
PIECE = 8192  # bytes of a vector that are copied, if its entries lie apart, and summed
LONG = 16384  # terms of a sum in a chunk, at least
WIDTH = 4096  # bytes of neighbouring sums
TOGETHER = 8  # rows that are added before their sum is put back
AREA_ELEMENTS = 32768  # of a matrix in a chunk, at least
LEAST_ROWS = 64
PACE = 5  # a term takes as long as half so many units of work for each of its bytes

OUT, MATRIX, VECTOR = (Val(f"%{name}", "ptr") for name in ("out", "matrix", "vector"))
COUNT, K, OUT_STEP, ROW, VECTOR_STEP = (
    Val(f"%{name}", "i64") for name in ("count", "k", "out.step", "row", "vector.step")
)
PARTIALS, THREADS = Val("%partial", "ptr"), Val("%threads", "i64")
GIVEN = (OUT, MATRIX, VECTOR, COUNT, K, OUT_STEP, ROW, VECTOR_STEP, PARTIALS)
ROOM = Val("%room", "ptr")
CHUNK, CHUNKS = Val("%chunk", "i64"), Val("%chunks", "i64")
PARAMETERS = (*GIVEN, CHUNK, CHUNKS)


def vector_functions(layout: Layout, tile: Tile, target: Target) -> dict[str, FunctionText]:
    """The routines of @all_dots and @all_sums, by name."""
    found: dict[str, FunctionText] = {}
    for emitter in (_Dots(layout, tile, target), _Sums(layout, tile, target)):
        name = emitter.name
        found[f"{name}.range"] = emitter.range()
        if layout.divides:
            found[name] = dividing_functions(
                name, PARAMETERS, emitter.measure, target.function_attributes
            )
        found[whole_name(emitter.kind, layout)] = emitter.whole()
        emitter.reset()
    return found


def whole_name(kind: str, layout: Layout) -> str:
    return f"all_{kind}_{layout.prefix}" + "_divides" * layout.divides


class _Vector:
    """One of the two kinds."""

    kind: str
    room_bytes: int  # on the stack

    def __init__(self, layout: Layout, tile: Tile, target: Target) -> None:
        self.layout, self.tile, self.target = layout, tile, target
        self.name = f"{self.kind}_{layout.prefix}"
        self.reset()

    def reset(self) -> None:
        """Begin a function."""
        self.x = Arithmetic(Code(has_fma=self.target.has_fma))
        self.code, self.builder = self.x.code, self.x.code.builder

    # What is common to both

    def at(self, pointer: Val, element: Val) -> Val:
        return self.code.gep(self.tile.type, pointer, element)

    def load(self, place: Val, lanes: int = 1) -> Val:
        value = self.builder.load(place.text, self.tile.type, lanes)
        self.code.levels[value.text] = self.code.depth
        return value

    def zero(self, lanes: int = 1) -> Val:
        return self.builder.constant(0.0, self.tile.type, lanes)

    def whole_vectors(self, count: Val, vectors: int = 1) -> Val:
        """How many elements so many vectors at a time serve."""
        width = self.tile.lanes * vectors
        return self.x.sub(count, self.code.operation("and", count, self.x.const(width - 1)))

    def mask(self, left: Val) -> Val:
        """The first `left` lanes."""
        index, lanes, builder = f"i{8 * self.tile.bytes}", self.tile.lanes, self.builder
        limit = left if index == "i64" else builder.trunc(left, index)
        numbers = ", ".join(f"{index} {lane}" for lane in range(lanes))
        return builder.icmp("slt", Val(f"<{numbers}>", index, lanes), builder.splat(limit, lanes))

    @property
    def has_masks(self) -> bool:
        return self.tile.masks and self.tile.lanes > 1

    def units(self, x: Arithmetic) -> Val:
        raise NotImplementedError

    def cut(self) -> Val:
        """The length of a chunk."""
        raise NotImplementedError

    def unit(self, part: Val, start: Val, length: Val, to: Val, step: Val) -> None:
        """One part of the result, over `length` terms from `start` on."""
        raise NotImplementedError

    def measure(self, code: Code) -> Range:
        x = Arithmetic(code)
        work = x.mul(x.mul(COUNT, K), PACE * self.tile.bytes // 2)
        return Range(x.mul(self.units(x), CHUNKS), work)

    def range(self) -> FunctionText:
        """Units [begin, end): parts of the result, for one chunk after the other."""
        self.reset()
        x, code = self.x, self.code
        self.builder.line(f"{ROOM.text} = alloca [{self.room_bytes} x i8], align 64")
        parts, one = self.units(x), x.const(1)
        alone = x.compare("eq", CHUNKS, one)

        def one_unit(number: Val, _: list[Val]) -> list[Val]:
            chunk = code.operation("udiv", number, parts)
            part = x.sub(number, x.mul(chunk, parts))
            start = x.mul(chunk, CHUNK)
            length = x.extremum("smin", CHUNK, x.sub(K, start))
            own = self.at(PARTIALS, x.mul(chunk, COUNT))
            to, step = x.choose(alone, OUT, own), x.choose(alone, OUT_STEP, one)
            self.unit(part, start, length, to, step)
            return []

        code.loop(BEGIN, END, 1, [], one_unit)
        self.builder.line("ret void")
        return x.function(f"{self.name}.range", (*PARAMETERS, BEGIN, END), self.target, plain=False)

    def whole(self) -> FunctionText:
        self.reset()
        x = self.x
        one = x.const(1)
        wanted = x.extremum("smax", self.cut(), one)
        chunks = x.extremum("smax", x.ceil_div(K, wanted), one)
        given = (*GIVEN, wanted, chunks)
        if self.layout.divides:
            x.call(self.name, (*given, THREADS))
        else:
            x.call(f"{self.name}.range", (*given, x.const(0), x.mul(self.units(x), chunks)))
        self.code.branch(x.compare("sgt", chunks, one), [], lambda: self.combine(chunks))
        self.builder.line("ret void")
        name = whole_name(self.kind, self.layout)
        return x.function(name, (*GIVEN, THREADS), self.target, plain=False)

    def combine(self, chunks: Val) -> list[Val]:
        """out = the sums of the chunks, one after the other."""
        x, code, builder, zero = self.x, self.code, self.builder, self.x.const(0)

        def some(lanes: int) -> Callable[[Val, list[Val]], Sequence[Val]]:
            def body(first: Val, _: list[Val]) -> list[Val]:
                def add(chunk: Val, carried: list[Val]) -> list[Val]:
                    place = self.at(self.at(PARTIALS, first), x.mul(chunk, COUNT))
                    return [builder.fadd(carried[0], self.load(place, lanes))]

                start = self.load(self.at(PARTIALS, first), lanes)
                (total,) = code.loop(x.const(1), chunks, 1, [start], add)
                self.put(total, OUT, first, OUT_STEP)
                return []

            return body

        whole = self.whole_vectors(COUNT)
        if self.tile.lanes > 1:
            code.loop(zero, whole, self.tile.lanes, [], some(self.tile.lanes))
        code.loop(whole, COUNT, 1, [], some(1))
        return []

    def put(self, value: Val, to: Val, first: Val, step: Val) -> None:
        """Store lanes as entries `first` and on, `step` apart."""
        if value.lanes == 1:
            self.builder.store(value, self.at(to, self.x.mul(first, step)).text)
            return
        side = self.x.compare("eq", step, self.x.const(1))

        def together() -> list[Val]:
            self.builder.store(value, self.at(to, first).text)
            return []

        def apart() -> list[Val]:
            for lane in range(value.lanes):
                entry = self.x.mul(self.x.add(first, self.x.const(lane)), step)
                self.builder.store(self.builder.lane(value, lane), self.at(to, entry).text)
            return []

        self.code.branch(side, [], together)
        self.code.branch(self.x.compare("ne", step, self.x.const(1)), [], apart)


class _Dots(_Vector):
    kind, room_bytes = "dots", PIECE

    def units(self, x: Arithmetic) -> Val:
        return x.ceil_div(COUNT, GROUP)

    def cut(self) -> Val:
        x = self.x
        most = x.code.operation(
            "udiv", x.const(PARTIAL // self.tile.bytes), x.extremum("smax", COUNT, x.const(1))
        )
        most = x.extremum("smin", most, x.const(MOST_CHUNKS))
        wished = x.extremum("smin", x.ceil_div(K, LONG), most)
        few = x.compare("slt", COUNT, x.const(MANY_ROWS))
        chunks = x.extremum("smax", x.choose(few, wished, x.const(1)), x.const(1))
        piece = PIECE // self.tile.bytes
        return x.mul(x.ceil_div(x.ceil_div(K, chunks), piece), piece)

    def unit(self, part: Val, start: Val, length: Val, to: Val, step: Val) -> None:
        x, code = self.x, self.code
        first = x.mul(part, GROUP)
        rows = x.extremum("smin", x.sub(COUNT, first), x.const(GROUP))
        whole = x.compare("eq", rows, x.const(GROUP))

        def together() -> list[Val]:
            self.some_rows(first, GROUP, start, length, to, step)
            return []

        def apart() -> list[Val]:
            def one_row(row: Val, _: list[Val]) -> list[Val]:
                self.some_rows(row, 1, start, length, to, step)
                return []

            code.loop(first, x.add(first, rows), 1, [], one_row)
            return []

        code.branch(whole, [], together)
        code.branch(x.compare("ne", rows, x.const(GROUP)), [], apart)

    def some_rows(self, first: Val, rows: int, start: Val, length: Val, to: Val, step: Val) -> None:
        """Piece by piece, whose sums are added in order."""
        x, code, builder = self.x, self.code, self.builder
        piece = PIECE // self.tile.bytes
        corner = self.at(self.at(MATRIX, x.mul(first, ROW)), start)
        places = [self.at(corner, x.mul(ROW, row)) for row in range(rows)]
        origin = self.at(VECTOR, x.mul(start, VECTOR_STEP))
        apart = x.compare("ne", VECTOR_STEP, x.const(1))

        def one_piece(begin: Val, totals: list[Val]) -> list[Val]:
            count = x.extremum("smin", x.sub(length, begin), x.const(piece))
            source = self.at(origin, x.mul(begin, VECTOR_STEP))

            def copy() -> list[Val]:
                def entry(p: Val, _: list[Val]) -> list[Val]:
                    value = self.load(self.at(source, x.mul(p, VECTOR_STEP)))
                    builder.store(value, self.at(ROOM, p).text)
                    return []

                code.loop(x.const(0), count, 1, [], entry)
                return []

            code.branch(apart, [], copy)
            vector = x.choose(apart, ROOM, source)
            sums = self.products([self.at(place, begin) for place in places], vector, count)
            return [builder.fadd(old, new) for old, new in zip(totals, sums, strict=True)]

        totals = code.loop(x.const(0), length, piece, [self.zero()] * rows, one_piece)
        for row, total in enumerate(totals):
            self.put(total, to, x.add(first, x.const(row)), step)

    def products(self, places: list[Val], vector: Val, count: Val) -> list[Val]:
        """Of pieces of rows and a piece of the vector."""
        x, code, builder, lanes = self.x, self.code, self.builder, self.tile.lanes
        rows = len(places)
        together = 8 // rows  # vectors, so that there are enough sums for all that is under way

        def vectors(many: int) -> Callable[[Val, list[Val]], Sequence[Val]]:
            def body(p: Val, sums: list[Val]) -> list[Val]:
                found = list(sums)
                for number in range(many):
                    moved = x.add(p, x.const(number * lanes))
                    entries = self.load(self.at(vector, moved), lanes)
                    for row, place in enumerate(places):
                        at = number * rows + row
                        row_entries = self.load(self.at(place, moved), lanes)
                        found[at] = builder.fma(row_entries, entries, found[at])
                return found

            return body

        most = self.whole_vectors(count, together)
        whole = self.whole_vectors(count)
        sums = [self.zero(lanes)] * (rows * together)
        sums = code.loop(x.const(0), most, together * lanes, sums, vectors(together))
        half = together // 2
        while half:
            width = half * rows
            sums = [builder.fadd(a, b) for a, b in zip(sums[:width], sums[width:], strict=True)]
            half //= 2
        sums = code.loop(most, whole, lanes, sums, vectors(1))
        rest = x.compare("slt", whole, count)
        if self.has_masks:

            def tail() -> list[Val]:
                mask = self.mask(x.sub(count, whole))
                entries = masked_load(builder, self.tile.type, self.at(vector, whole), mask)
                return [
                    builder.fma(
                        masked_load(builder, self.tile.type, self.at(place, whole), mask),
                        entries,
                        total,
                    )
                    for place, total in zip(places, sums, strict=True)
                ]

            return [self.summed(total) for total in code.branch(rest, sums, tail)]
        totals = [self.summed(total) for total in sums]
        if lanes == 1:
            return totals

        def entry(p: Val, carried: list[Val]) -> list[Val]:
            one = self.load(self.at(vector, p))
            return [
                builder.fma(self.load(self.at(place, p)), one, total)
                for place, total in zip(places, carried, strict=True)
            ]

        return code.loop(whole, count, 1, totals, entry)

    def summed(self, value: Val) -> Val:
        """The sum over lanes, in halves."""
        builder, lanes = self.builder, value.lanes
        while lanes > 1:
            lanes //= 2
            order = ", ".join(f"i32 {(lane + lanes) % value.lanes}" for lane in range(value.lanes))
            other = builder.emit(
                f"shufflevector {value.ir_type} {value.text}, {value.ir_type} poison, "
                f"<{value.lanes} x i32> <{order}>",
                value.type,
                value.lanes,
            )
            value = builder.fadd(value, other)
        return builder.lane(value, 0)


class _Sums(_Vector):
    kind, room_bytes = "sums", WIDTH

    @property
    def width(self) -> int:
        return WIDTH // self.tile.bytes

    def units(self, x: Arithmetic) -> Val:
        return x.ceil_div(COUNT, self.width)

    def cut(self) -> Val:
        x, one = self.x, self.x.const(1)
        count = x.extremum("smax", COUNT, one)
        most = x.code.operation("udiv", x.const(PARTIAL // self.tile.bytes), count)
        most = x.extremum("smin", most, x.const(MOST_CHUNKS))
        wide = x.extremum("smin", count, x.const(self.width))
        elements = x.code.operation("udiv", x.mul(K, wide), x.const(AREA_ELEMENTS))
        rows = x.code.operation("udiv", K, x.const(LEAST_ROWS))
        chunks = x.extremum("smin", x.extremum("smin", elements, rows), most)
        chunks = x.extremum("smax", chunks, one)
        return x.mul(x.ceil_div(x.ceil_div(K, chunks), TOGETHER), TOGETHER)

    def unit(self, part: Val, start: Val, length: Val, to: Val, step: Val) -> None:
        x, code, builder, lanes = self.x, self.code, self.builder, self.tile.lanes
        zero = x.const(0)
        first = x.mul(part, self.width)
        columns = x.extremum("smin", x.sub(COUNT, first), x.const(self.width))
        whole = self.whole_vectors(columns)
        up = x.mul(x.ceil_div(columns, lanes), lanes)
        corner = self.at(self.at(MATRIX, first), x.mul(start, ROW))
        origin = self.at(VECTOR, x.mul(start, VECTOR_STEP))
        rest = x.compare("slt", whole, columns)
        mask = self.mask(x.sub(columns, whole)) if self.has_masks else None

        def clear(j: Val, _: list[Val]) -> list[Val]:
            builder.store(self.zero(lanes), self.at(ROOM, j).text)
            return []

        code.loop(zero, up, lanes, [], clear)

        def rows(count: int) -> Callable[[Val, list[Val]], Sequence[Val]]:
            def body(p: Val, _: list[Val]) -> list[Val]:
                row = self.at(corner, x.mul(p, ROW))
                places = [self.at(row, x.mul(ROW, number)) for number in range(count)]
                entry = self.at(origin, x.mul(p, VECTOR_STEP))
                entries = [
                    self.load(self.at(entry, x.mul(VECTOR_STEP, number))) for number in range(count)
                ]

                def add(j: Val, width: int, mask: Val | None) -> None:
                    factors = [code.splat(one, width) for one in entries]

                    def read(place: Val) -> Val:
                        at = self.at(place, j)
                        if mask is None:
                            return self.load(at, width)
                        return masked_load(builder, self.tile.type, at, mask)

                    held = self.at(ROOM, j)
                    total = self.added(self.load(held, width), places, factors, read)
                    builder.store(total, held.text)

                def vector(j: Val, _: list[Val]) -> list[Val]:
                    add(j, lanes, None)
                    return []

                def single(j: Val, _: list[Val]) -> list[Val]:
                    add(j, 1, None)
                    return []

                def tail() -> list[Val]:
                    add(whole, lanes, mask)
                    return []

                code.loop(zero, whole, lanes, [], vector)
                if self.has_masks:
                    code.branch(rest, [], tail)
                elif lanes > 1:
                    code.loop(whole, columns, 1, [], single)
                return []

            return body

        full = self.x.sub(length, code.operation("and", length, x.const(TOGETHER - 1)))
        code.loop(zero, full, TOGETHER, [], rows(TOGETHER))
        code.loop(full, length, 1, [], rows(1))

        def out(width: int) -> Callable[[Val, list[Val]], Sequence[Val]]:
            def body(j: Val, _: list[Val]) -> list[Val]:
                self.put(self.load(self.at(ROOM, j), width), to, x.add(first, j), step)
                return []

            return body

        if lanes > 1:
            code.loop(zero, whole, lanes, [], out(lanes))
        code.loop(whole, columns, 1, [], out(1))

    def added(
        self, total: Val, places: list[Val], factors: list[Val], read: Callable[[Val], Val]
    ) -> Val:
        """The total and its share of some rows, in two chains."""
        builder, half = self.builder, max(1, len(places) // 2)
        chains: list[Val] = []
        for start in range(0, len(places), half):
            chain: Val | None = None
            for place, factor in zip(
                places[start : start + half], factors[start : start + half], strict=True
            ):
                value = read(place)
                if chain is None:
                    chain = builder.fmul(value, factor)
                else:
                    chain = builder.fma(value, factor, chain)
            assert chain is not None
            chains.append(chain)
        if len(places) == 1:
            return builder.fadd(total, chains[0])
        return builder.fadd(total, builder.fadd(*chains))


def call_vector(
    x: Arithmetic,
    layout: Layout,
    matrices: Sequence[Val],
    sizes: Sequence[Val],
    rows: Sequence[Val],
    partial: Val,
    threads: Val,
) -> None:
    """The product, where m or n is 1. sizes: m, n, k; rows: in elements, of out, a and b."""
    (out, a, b), (m, n, k), (out_row, a_row, b_row) = matrices, sizes, rows
    one = x.const(1)

    def call(kind: str, matrix: Val, vector: Val, count: Val, steps: Sequence[Val]) -> None:
        to_step, row, step = steps
        given = (out, matrix, vector, count, k, to_step, row, step, partial, threads)
        x.call(whole_name(kind, layout), given)

    def by_row() -> list[Val]:
        """m is 1: a is the vector."""
        kind, step = "dots" if layout.transpose_b else "sums", a_row if layout.transpose_a else one
        call(kind, b, a, n, (one, b_row, step))
        return []

    step = one if layout.transpose_b else b_row

    def by_column() -> list[Val]:
        """n is 1: b is the vector."""
        kind = "sums" if layout.transpose_a else "dots"
        call(kind, a, b, m, (out_row, a_row, step))
        return []

    def by_number() -> list[Val]:
        """m and n are 1, and the entries of a lie side by side, though it is a column."""
        call("dots", a, b, one, (one, one, step))
        return []

    column = x.compare("eq", n, one)
    if layout.transpose_a:
        both = x.code.builder.and_(column, x.compare("eq", m, one))
        number = x.code.builder.and_(both, x.compare("eq", a_row, one))
        other = x.code.builder.not_(number)
        x.code.branch(number, [], by_number)
        x.code.branch(x.code.builder.and_(column, other), [], by_column)
    else:
        x.code.branch(column, [], by_column)
    x.code.branch(x.compare("ne", n, one), [], by_row)
