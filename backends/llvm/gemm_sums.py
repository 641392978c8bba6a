"""Sums of the rows of a matrix, each times an entry of a vector: some rows are added at a time."""

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

WIDTH = 16384  # bytes of neighbouring sums
TOGETHER = 8  # rows that are added before their sum is put back
AREA_ELEMENTS = 32768  # of a matrix in a chunk, at least
LEAST_ROWS = 64


class Sums(VectorProduct):
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
