"""Operands of a matrix product, copied into panels that a tile reads from end to end.

    void @pack(ptr panels, ptr matrix, i64 k, i64 count, i64 stride, i64 apart, i64 begin, i64 end)

A panel holds `width` neighbours of the `count` rows or columns that are kept apart in the result:
panel[p, j] = element (p, panel * width + j). `apart` counts bytes from panel to panel, `stride`:

    along    from p to p + 1; neighbours lie side by side
    across   from neighbour to neighbour; p runs side by side, blocks are transposed in registers

Neighbours beyond the last are zero or repeat the last. Only panels begin <= panel < end are made.
"""

from collections.abc import Callable
from functools import partial

from graphc.backends.llvm.gemm_tile import Tile
from graphc.backends.llvm.masked import masked_load
from graphc.backends.llvm.parallel import BEGIN, END
from graphc.backends.llvm.scopes import Code
from graphc.backends.llvm.target import Target
from graphc.backends.llvm.text import FunctionText, Val

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
        source = code.gep(self.tile.type, Val("%matrix", "ptr"), first)
        whole = builder.icmp("sge", left, self.const(self.width))
        code.levels[whole.text] = code.depth
        part = builder.icmp("slt", left, self.const(self.width))
        code.levels[part.text] = code.depth

        def rows(copy: Callable[[Val, Val], None]) -> list[Val]:
            def row(p: Val, _: list[Val]) -> list[Val]:
                start = code.gep("i8", source, code.operation("mul", p, self.stride))
                width = self.const(self.width * self.tile.bytes)
                target = code.gep("i8", place, code.operation("mul", p, width))
                copy(start, target)
                return []

            code.loop(self.const(0), self.k, 1, [], row)
            return []

        code.branch(whole, [], lambda: rows(self.copy_whole))
        code.branch(part, [], lambda: rows(lambda s, t: self.copy_part(s, t, left)))

    def pieces(self) -> list[tuple[int, int]]:
        """(start, lanes) of the vectors that a panel's row is made of."""
        lanes = min(self.tile.lanes, self.width)
        return [
            (start, min(lanes, self.width - start)) for start in range(0, self.width, max(1, lanes))
        ]

    def copy_whole(self, source: Val, target: Val) -> None:
        builder, type = self.code.builder, self.tile.type
        for start, lanes in self.pieces():
            offset = self.const(start)
            value = builder.load(self.code.gep(type, source, offset).text, type, lanes)
            builder.store(value, self.code.gep(type, target, offset).text)

    def copy_part(self, source: Val, target: Val, left: Val) -> None:
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
                value = masked_load(builder, type, code.gep(type, source, offset), mask)
                builder.store(value, code.gep(type, target, offset).text)
            return
        last = code.operation("sub", left, self.const(1))
        for j in range(self.width):
            near = code.pure(
                ("near", j, last.text), (last,), partial(builder.smin, self.const(j), last)
            )
            value = builder.load(code.gep(type, source, near).text, type)
            builder.store(value, code.gep(type, target, self.const(j)).text)

    # --- p side by side --------------------------------------------------------------------------

    def across(self, place: Val, first: Val, left: Val) -> None:
        """Square blocks through registers; the last few p one by one."""
        code, builder, type = self.code, self.code.builder, self.tile.type
        lanes = self.tile.lanes
        start = code.gep("i8", Val("%matrix", "ptr"), code.operation("mul", first, self.stride))
        last = code.operation("sub", left, self.const(1))
        blocks = code.operation(
            "mul",
            code.pure(
                ("blocks", self.k.text),
                (self.k,),
                lambda: builder.lshr(self.k, self.const(lanes.bit_length() - 1)),
            ),
            self.const(lanes),
        )

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

            def step(width: int) -> Body:
                def body(p: Val, _: list[Val]) -> list[Val]:
                    rows = [
                        builder.load(
                            builder.value(f"getelementptr {type}, ptr {s.text}, i64 {p.text}"),
                            type,
                            width,
                        )
                        for s in sources
                    ]
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
            code.loop(blocks, self.k, 1, [], step(1))
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
