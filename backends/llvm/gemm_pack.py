"""Operands of a matrix product, copied into panels that a tile reads from end to end.

    void @pack(ptr panels, ptr matrix, i64 k, i64 count, i64 stride, i64 apart, i64 begin, i64 end)

A panel holds `width` neighbours of the `count` rows or columns that are kept apart in the result:
panel[p, j] = element (p, panel * width + j). `apart` counts bytes from panel to panel, `stride`:

    along    from p to p + 1; neighbours lie side by side
    across   from neighbour to neighbour; p runs side by side, blocks are transposed in registers

Neighbours beyond the last are zero or repeat the last. Only panels begin <= panel < end are made.
Operands that are narrower than the sums are widened, or some neighbours along k become one element
of the panel; then the last ones may have zeros beside them. Where signs of a are flipped, a panel
of b begins with what sums start at: for each of its columns, minus the products with flipped zeros.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

from graphc.backends.llvm.gemm_tile import Tile, multiply_add
from graphc.backends.llvm.masked import masked_load
from graphc.backends.llvm.parallel import BEGIN, END
from graphc.backends.llvm.scalar_ops import from_memory, memory_type
from graphc.backends.llvm.scopes import Code
from graphc.backends.llvm.target import Target
from graphc.backends.llvm.text import FunctionText, Val
from graphc.dtypes import is_half, is_signed

Body = Callable[[Val, list[Val]], list[Val]]
FLIP = 0x80808080  # the signs of four bytes

PACK_PARAMETERS = (
    Val("%panels", "ptr"),
    Val("%matrix", "ptr"),
    *(Val(f"%{name}", "i64") for name in ("k", "count", "stride", "apart")),
)


def pack_function(
    name: str, operand: Literal["a", "b"], tile: Tile, target: Target, *, across: bool
) -> FunctionText:
    """Panels of a are as wide as a tile has rows, those of b as it has columns."""
    emitter = _Packer(operand, tile, target)
    emitter.panels(emitter.across if across else emitter.along)
    emitter.code.builder.line("ret void")
    declared = ", ".join(f"{one.type} {one.text}" for one in (*PACK_PARAMETERS, BEGIN, END))
    signature = f"define internal void @{name}({declared}) {target.function_attributes}"
    return emitter.code.builder.function(signature)


class _Packer:
    """Writes a packing function: a loop over panels around `along` or `across`."""

    def __init__(self, operand: str, tile: Tile, target: Target) -> None:
        self.width, self.tile = tile.rows if operand == "a" else tile.columns, tile
        self.flips, self.starts = tile.flips and operand == "a", tile.flips and operand == "b"
        self.code = Code(has_fma=target.has_fma)
        self.k, self.count, self.stride = (Val(f"%{n}", "i64") for n in ("k", "count", "stride"))
        self.narrow = tile.narrow if operand == "a" else tile.other or tile.narrow
        self.type = tile.type if self.narrow is None else memory_type(self.narrow)  # as it lies
        self.is_part = tile.parts is not None and tile.parts.itemsize == tile.read_bytes

    def const(self, value: int) -> Val:
        return self.code.constant(value, "i64")

    def panels(self, body: Callable[[Val, Val, Val], None]) -> None:
        """For each panel: where it lies, its first neighbour and how many there are."""
        code = self.code

        def panel(number: Val, _: list[Val]) -> list[Val]:
            first = code.operation("mul", number, self.const(self.width))
            start = code.operation("mul", number, Val("%apart", "i64"))
            place = code.gep("i8", Val("%panels", "ptr"), start)
            left = code.operation("sub", self.count, first)
            if self.starts:
                sums, place = place, code.gep("i8", place, self.const(self.tile.start_bytes))
            body(place, first, left)
            if self.starts:
                self.put_starts(sums, place)
            return []

        code.loop(BEGIN, END, 1, [], panel)

    def put_starts(self, starts: Val, place: Val) -> None:
        code, builder, tile = self.code, self.code.builder, self.tile
        zero, flips = (code.constant(value, tile.type, tile.lanes) for value in (0, FLIP))

        def add(p: Val, sums: list[Val]) -> list[Val]:
            row = code.gep("i8", place, code.operation("mul", p, self.const(tile.start_bytes)))
            parts = [
                builder.load(code.gep(tile.type, row, self.const(start)).text, tile.type, lanes)
                for start, lanes in self.pieces()
            ]
            return [
                multiply_add(builder, tile, flips, part, total)
                for part, total in zip(parts, sums, strict=True)
            ]

        sums = code.loop(self.const(0), self.steps(), 1, [zero] * tile.vectors, add)
        for (start, _), total in zip(self.pieces(), sums, strict=True):
            to = code.gep(tile.type, starts, self.const(start))
            builder.store(builder.sub(zero, total), to.text)

    # --- neighbours side by side ---------------------------------------------------------------

    def along(self, place: Val, first: Val, left: Val) -> None:
        code, builder = self.code, self.code.builder
        source = code.gep(self.type, Val("%matrix", "ptr"), first)
        whole = builder.icmp("sge", left, self.const(self.width))
        code.levels[whole.text] = code.depth
        part = builder.icmp("slt", left, self.const(self.width))
        code.levels[part.text] = code.depth

        whole_steps = self.whole_steps()

        def rows(copy: Callable[[Sequence[Val], Val], None]) -> list[Val]:
            def row(together: int) -> Body:
                def body(p: Val, _: list[Val]) -> list[Val]:
                    number = code.operation("mul", p, self.const(self.tile.together))
                    start = code.gep("i8", source, code.operation("mul", number, self.stride))
                    starts = [start]
                    while len(starts) < together:
                        starts.append(code.gep("i8", starts[-1], self.stride))
                    width = self.const(self.width * self.tile.bytes)
                    copy(starts, code.gep("i8", place, code.operation("mul", p, width)))
                    return []

                return body

            code.loop(self.const(0), whole_steps, 1, [], row(self.tile.together))
            self.rest(lambda count: row(count)(whole_steps, []))
            return []

        code.branch(whole, [], lambda: rows(self.copy_whole))
        code.branch(part, [], lambda: rows(lambda s, t: self.copy_part(s, t, left)))

    def pieces(self) -> list[tuple[int, int]]:
        """(start, lanes) of the vectors that a panel's row is made of."""
        lanes = min(self.tile.lanes, self.width)
        return [
            (start, min(lanes, self.width - start)) for start in range(0, self.width, max(1, lanes))
        ]

    def whole_steps(self) -> Val:
        """Elements of a panel along k that are made of as many as there can be."""
        together = self.tile.together
        if together == 1:
            return self.k
        return self.code.operation("udiv", self.k, self.const(together))

    def steps(self) -> Val:
        """Elements of a panel along k."""
        together = self.tile.together
        if together == 1:
            return self.k
        up = self.code.operation("add", self.k, self.const(together - 1))
        return self.code.operation("udiv", up, self.const(together))

    def rest(self, body: Callable[[int], list[Val]]) -> None:
        """What makes an element of so many as there are for the last one, if they are too few."""
        code, together = self.code, self.tile.together
        if together == 1:
            return
        left = code.operation("and", self.k, self.const(together - 1))
        for count in range(1, together):
            there = code.builder.icmp("eq", left, self.const(count))
            code.branch(there, [], partial(body, count))

    def element(self, loaded: Sequence[Val]) -> Val:
        """Of a panel, from what it is made of."""
        builder, tile = self.code.builder, self.tile
        if tile.parts is None:
            return self.widened(loaded[0], tile.type)
        found: Val | None = None
        for number, one in enumerate(loaded):
            part = builder.zext(self.part(one), "i32")
            part = builder.shl(part, builder.const(8 * number * tile.parts.itemsize, part))
            found = part if found is None else builder.or_(found, part)
        assert found is not None
        if self.flips:
            found = builder.xor(found, builder.const(FLIP, found))
        return found if tile.type == "i32" else builder.bitcast(found, tile.type)

    def part(self, a: Val) -> Val:
        """The bits of what was loaded as part of an element."""
        return a if self.is_part else self.widened(a, "i16")

    def widened(self, a: Val, type: str) -> Val:
        """What was loaded as a value of a wider type."""
        builder, narrow = self.code.builder, self.narrow
        if narrow is None:
            return a
        if is_half(narrow):
            return from_memory(builder, a, narrow)
        return builder.sext(a, type) if is_signed(narrow) else builder.zext(a, type)

    def neighbours(self, at: str, count: int) -> Val:
        """Elements of a panel that lie side by side along k."""
        builder, tile = self.code.builder, self.tile
        if tile.parts is None:
            return self.element([builder.load(at, self.type, count)])
        if self.is_part:
            return builder.load(at, tile.type, count)
        parts = self.widened(builder.load(at, self.type, tile.together * count), "i16")
        vector = f"<{count} x {tile.type}>" if count > 1 else tile.type
        return builder.emit(f"bitcast {parts.ir_type} {parts.text} to {vector}", tile.type, count)

    def last_neighbours(self, at: str, count: int) -> Val:
        """An element of a panel of which so many neighbours are there."""
        builder = self.code.builder
        places = [
            builder.value(f"getelementptr {self.type}, ptr {at}, i64 {p}") for p in range(count)
        ]
        return self.element([builder.load(place, self.type) for place in places])

    def copy_whole(self, sources: Sequence[Val], target: Val) -> None:
        builder = self.code.builder
        for start, lanes in self.pieces():
            offset = self.const(start)
            loaded = [
                builder.load(self.code.gep(self.type, source, offset).text, self.type, lanes)
                for source in sources
            ]
            builder.store(self.element(loaded), self.code.gep(self.tile.type, target, offset).text)

    def copy_part(self, sources: Sequence[Val], target: Val, left: Val) -> None:
        """What lies beyond the last neighbour is not read."""
        code, builder, type = self.code, self.code.builder, self.tile.type
        if self.tile.masks and self.width % self.tile.lanes == 0 and self.tile.lanes > 1:
            index = f"i{8 * self.tile.bytes}"
            limit = left
            if index != "i64":
                limit = code.pure(
                    ("narrow", left.text), (left,), lambda: builder.trunc(left, index)
                )
            many = code.splat(limit, self.tile.lanes)
            for start, lanes in self.pieces():
                numbers = ", ".join(f"{index} {start + lane}" for lane in range(lanes))
                mask = code.pure(
                    ("mask", start, limit.text),
                    (many,),
                    partial(builder.icmp, "slt", Val(f"<{numbers}>", index, lanes), many),
                )
                offset = self.const(start)
                loaded = [
                    masked_load(builder, self.type, code.gep(self.type, source, offset), mask)
                    for source in sources
                ]
                builder.store(self.element(loaded), code.gep(type, target, offset).text)
            return
        last = code.operation("sub", left, self.const(1))
        for j in range(self.width):
            near = code.pure(
                ("near", j, last.text), (last,), partial(builder.smin, self.const(j), last)
            )
            loaded = [
                builder.load(code.gep(self.type, source, near).text, self.type)
                for source in sources
            ]
            builder.store(self.element(loaded), code.gep(type, target, self.const(j)).text)

    # --- p side by side --------------------------------------------------------------------------

    def across(self, place: Val, first: Val, left: Val) -> None:
        """Square blocks through registers; the last few p one by one."""
        code, builder, type = self.code, self.code.builder, self.tile.type
        lanes = self.tile.lanes
        start = code.gep("i8", Val("%matrix", "ptr"), code.operation("mul", first, self.stride))
        last = code.operation("sub", left, self.const(1))
        whole_steps = self.whole_steps()
        blocks = code.operation("and", whole_steps, self.const(-lanes))

        def neighbour(j: Val) -> Val:
            near = builder.smin(j, last)
            return Val(
                builder.value(
                    f"getelementptr i8, ptr {start.text}, i64 {builder.mul(near, self.stride).text}"
                ),
                "ptr",
            )

        def group(number: Val, _: list[Val]) -> list[Val]:
            base = builder.mul(number, self.const(lanes))
            sources = [
                neighbour(builder.add(base, self.const(lane)) if lane else base)
                for lane in range(lanes)
            ]
            column = Val(
                builder.value(f"getelementptr {type}, ptr {place.text}, i64 {base.text}"), "ptr"
            )
            for value in (*sources, column):
                code.levels[value.text] = code.depth

            def step(width: int, parts: int = 0) -> Body:
                def body(p: Val, _: list[Val]) -> list[Val]:
                    place = p
                    if self.tile.together > 1:
                        place = builder.mul(p, self.const(self.tile.together))
                    rows = []
                    for source in sources:
                        at = f"getelementptr {self.type}, ptr {source.text}, i64 {place.text}"
                        place_of_row = builder.value(at)
                        rows.append(
                            self.last_neighbours(place_of_row, parts)
                            if parts
                            else self.neighbours(place_of_row, width)
                        )
                    if width > 1:
                        rows = transposed(code, rows)
                    else:
                        joined = Val("poison", type, lanes)
                        for lane, one in enumerate(rows):
                            joined = builder.emit(
                                f"insertelement {joined.ir_type} {joined.text}, "
                                f"{type} {one.text}, i64 {lane}",
                                type,
                                lanes,
                            )
                        rows = [joined]
                    below = builder.mul(p, self.const(self.width))
                    for number, row in enumerate(rows):
                        where = builder.add(below, self.const(number * self.width))
                        at = f"getelementptr {type}, ptr {column.text}, i64 {where.text}"
                        builder.store(row, builder.value(at))
                    return []

                return body

            if lanes > 1:
                code.loop(self.const(0), blocks, lanes, [], step(lanes))
            code.loop(blocks, whole_steps, 1, [], step(1))
            self.rest(lambda count: step(1, count)(whole_steps, []))
            return []

        code.loop(self.const(0), self.const(self.width // lanes), 1, [], group)


def transposed(code: Code, rows: list[Val]) -> list[Val]:
    """The columns of a square block of vectors; lanes are a power of two."""
    count = len(rows)
    half = count // 2
    while half:
        low = [k if not k & half else count + k - half for k in range(count)]
        high = [k + half if not k & half else count + k for k in range(count)]
        for first in range(count):
            if not first & half:
                a, b = rows[first], rows[first + half]
                rows[first] = code.builder.shuffle(a, b, low)
                rows[first + half] = code.builder.shuffle(a, b, high)
        half //= 2
    return rows
