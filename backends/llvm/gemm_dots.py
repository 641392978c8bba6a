"""Rows of a matrix times a vector: some rows at a time, their products summed in registers."""

from collections.abc import Callable, Sequence

from graphc.backends.llvm.gemm_layout import Arithmetic
from graphc.backends.llvm.gemm_vector_chunks import (
    COUNT,
    MATRIX,
    MOST_CHUNKS,
    PARTIAL,
    ROOM,
    ROW,
    VECTOR,
    VECTOR_STEP,
    K,
    VectorProduct,
)
from graphc.backends.llvm.masked import masked_load
from graphc.backends.llvm.text import Val

GROUP = 4  # rows whose products with the vector are summed together
MANY_ROWS = 64  # from which on sums are not cut
PIECE = 8192  # bytes of a vector that are copied, if its entries lie apart, and summed
LONG = 16384  # terms of a sum in a chunk, at least


class Dots(VectorProduct):
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
