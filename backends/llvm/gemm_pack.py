"""Operands of a matrix product, copied into panels that a tile reads from end to end.

    void @pack(ptr panels, ptr matrix, i64 k, i64 count, i64 stride, i64 apart, i64 begin, i64 end)

A panel holds `width` neighbours of the `count` rows or columns that are kept apart in the result:
panel[p, j] = element (p, panel * width + j). `apart` counts bytes from panel to panel, `stride`:

    along    from p to p + 1; neighbours lie side by side
    across   from neighbour to neighbour; p runs side by side, blocks are transposed in registers

Neighbours beyond the last are zero or repeat the last. Only panels begin <= panel < end are made.
Operands that are narrower than the sums are widened, or two neighbours along k become one element
of the panel; then an odd last one has zero beside it.
"""

from collections.abc import Callable, Sequence
from functools import partial

from graphc.backends.llvm.gemm_tile import Tile
from graphc.backends.llvm.masked import masked_load
from graphc.backends.llvm.parallel import BEGIN, END
from graphc.backends.llvm.scalar_ops import from_memory, memory_type
from graphc.backends.llvm.scopes import Code
from graphc.backends.llvm.target import Target
from graphc.backends.llvm.text import FunctionText, Val
from graphc.dtypes import is_half, is_signed

Body = Callable[[Val, list[Val]], list[Val]]

PACK_PARAMETERS = (
    Val("%panels", "ptr"),
    Val("%matrix", "ptr"),
    *(Val(f"%{name}", "i64") for name in ("k", "count", "stride", "apart")),
)


def pack_function(
    name: str, width: int, tile: Tile, target: Target, *, across: bool
) -> FunctionText:
    """`width`: the rows or the columns of a tile."""
    emitter = _Packer(width, tile, target)
    emitter.panels(emitter.across if across else emitter.along)
    emitter.code.builder.line("ret void")
    declared = ", ".join(f"{one.type} {one.text}" for one in (*PACK_PARAMETERS, BEGIN, END))
    signature = f"define internal void @{name}({declared}) {target.function_attributes}"
    return emitter.code.builder.function(signature)


class _Packer:
    """Writes a packing function: a loop over panels around `along` or `across`."""

    def __init__(self, width: int, tile: Tile, target: Target) -> None:
        self.width, self.tile = width, tile
        self.code = Code(has_fma=target.has_fma)
        self.k, self.count, self.stride = (Val(f"%{n}", "i64") for n in ("k", "count", "stride"))
        self.type = tile.type if tile.narrow is None else memory_type(tile.narrow)  # as it lies

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
            body(place, first, left)
            return []

        code.loop(BEGIN, END, 1, [], panel)

    # --- neighbours side by side ---------------------------------------------------------------

    def along(self, place: Val, first: Val, left: Val) -> None:
        code, builder = self.code, self.code.builder
        source = code.gep(self.type, Val("%matrix", "ptr"), first)
        whole = builder.icmp("sge", left, self.const(self.width))
        code.levels[whole.text] = code.depth
        part = builder.icmp("slt", left, self.const(self.width))
        code.levels[part.text] = code.depth

        pairs = self.whole_pairs()

        def rows(copy: Callable[[Sequence[Val], Val], None]) -> list[Val]:
            def row(together: int) -> Body:
                def body(p: Val, _: list[Val]) -> list[Val]:
                    number = code.operation("mul", p, self.const(self.tile.together))
                    start = code.gep("i8", source, code.operation("mul", number, self.stride))
                    starts = [start]
                    if together > 1:
                        starts.append(code.gep("i8", start, self.stride))
                    width = self.const(self.width * self.tile.bytes)
                    copy(starts, code.gep("i8", place, code.operation("mul", p, width)))
                    return []

                return body

            code.loop(self.const(0), pairs, 1, [], row(self.tile.together))
            if self.tile.together > 1:
                code.loop(pairs, self.steps(), 1, [], row(1))
            return []

        code.branch(whole, [], lambda: rows(self.copy_whole))
        code.branch(part, [], lambda: rows(lambda s, t: self.copy_part(s, t, left)))

    def pieces(self) -> list[tuple[int, int]]:
        """(start, lanes) of the vectors that a panel's row is made of."""
        lanes = min(self.tile.lanes, self.width)
        return [
            (start, min(lanes, self.width - start)) for start in range(0, self.width, max(1, lanes))
        ]

    def whole_pairs(self) -> Val:
        """Elements of a panel along k that are made of as many as there can be."""
        if self.tile.pairs is None:
            return self.k
        return self.code.pure(
            ("pairs", self.k.text),
            (self.k,),
            lambda: self.code.builder.lshr(self.k, self.const(1)),
        )

    def steps(self) -> Val:
        """Elements of a panel along k."""
        if self.tile.pairs is None:
            return self.k
        odd = self.code.operation("and", self.k, self.const(1))
        return self.code.operation("add", self.whole_pairs(), odd)

    def element(self, loaded: Sequence[Val]) -> Val:
        """Of a panel, from what it is made of."""
        builder, tile = self.code.builder, self.tile
        if tile.pairs is None:
            return self.widened(loaded[0], tile.type)
        first, *second = [self.widened(one, "i32") for one in loaded]
        if tile.type == "i32":  # a sign must not reach the other
            first = builder.and_(first, builder.const(0xFFFF, first))
        for one in second:
            first = builder.or_(first, builder.shl(one, builder.const(16, one)))
        return first if tile.type == "i32" else builder.bitcast(first, tile.type)

    def widened(self, a: Val, type: str) -> Val:
        """What was loaded as a value of a wider type, or the bits of a half as an integer."""
        builder, narrow = self.code.builder, self.tile.narrow
        if narrow is None:
            return a
        if is_half(narrow):
            return builder.zext(a, type) if type == "i32" else from_memory(builder, a, narrow)
        return builder.sext(a, type) if is_signed(narrow) else builder.zext(a, type)

    def neighbours(self, at: str, count: int, *, odd: bool) -> Val:
        """Elements of a panel that lie side by side along k. odd: one, of which half is there."""
        builder, tile = self.code.builder, self.tile
        if tile.pairs is None or odd:
            return self.element([builder.load(at, self.type, count)])
        if tile.reads_rows:
            return builder.load(at, tile.type, count)
        pairs = self.widened(builder.load(at, self.type, 2 * count), "i16")
        vector = f"<{count} x {tile.type}>" if count > 1 else tile.type
        text = f"bitcast {pairs.ir_type} {pairs.text} to {vector}"
        return builder.emit(text, tile.type, count)

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
        pairs = self.whole_pairs()
        blocks = code.operation("and", pairs, self.const(-lanes))

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

            def step(width: int, odd: bool = False) -> Body:
                def body(p: Val, _: list[Val]) -> list[Val]:
                    place = p
                    if self.tile.together > 1:
                        place = builder.mul(p, self.const(self.tile.together))
                    rows = []
                    for source in sources:
                        at = f"getelementptr {self.type}, ptr {source.text}, i64 {place.text}"
                        rows.append(self.neighbours(builder.value(at), width, odd=odd))
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
            code.loop(blocks, pairs, 1, [], step(1))
            if self.tile.together > 1:
                code.loop(pairs, self.steps(), 1, [], step(1, odd=True))
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
