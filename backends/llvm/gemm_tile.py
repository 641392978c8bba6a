"""The innermost part of a matrix product: one tile of the result, held in registers.

    void @tile(ptr c, ptr a, ptr b, i64 k, i64 c.row, i64 a.row, i64 a.step, i64 b.step,
               i64 rows, i64 columns, i1 first [, ptr ahead, i64 ahead.row, i64 ahead.rate])

c[r, j] (= | +=) sum_p a[r, p] * b[p, j] for r < rows, j < columns, at most a whole tile. Strides
are in bytes: c.row, a.row from row to row, a.step, b.step from p to p + 1. The columns of b are
read as whole vectors, so b must have room for a whole tile's; rows of `a` beyond the last are not
read. `first`: c is overwritten, else added to. Where signs of a are flipped (`flips`), a row lies
before the first of b: what the sums start at.

Where the steps of the loop have time for it, they ask for what the tiles after this one will want:
some lines side by side (`asked`) of each row at `ahead`, ahead.rate rows with each step, in parts
of 2**32. All at once, in a loop of their own or in the first steps, these requests would fill the
processor's list of outstanding ones, and the sums would wait for their own.
"""

from collections.abc import Sequence

from graphc.backends.llvm.masked import masked_load, masked_store
from graphc.backends.llvm.scalar_ops import add_pair_products, add_quad_products
from graphc.backends.llvm.target import LINE, Target
from graphc.backends.llvm.text import BITS, FunctionText, TextBuilder, Val
from graphc.dtypes import DType, bfloat16, int8, int16, uint8
from graphc.records import dataclass

BYTES = (int8, uint8)
PAIRED_INTEGERS = (*BYTES, int16)  # held by int16
PARTS = 1 << 32  # of a row that is due, to count in


@dataclass(frozen=True, slots=True)
class Tile:
    """rows x (vectors * lanes) elements of an LLVM type.

    asked: lines of what comes next that a step asks for at once; none where it is not told. masks,
    masked_stores: whether masked loads and stores are one instruction each. Stores of AVX2 are many
    on processors of AMD. narrow: the dtype of the operands, where it is not that of the sums; they
    are widened as they are packed. parts: or some neighbours along k, each of this dtype, are one
    element of the tile, and an instruction adds all their products. other: the dtype of b where it
    is not that of a; both are as large.
    """

    type: str
    rows: int
    vectors: int
    lanes: int
    masks: bool
    masked_stores: bool
    asked: int
    narrow: DType | None = None
    parts: DType | None = None
    other: DType | None = None

    @property
    def asks(self) -> bool:
        """Whether it does so: a tile a vector wide has no registers left, and little to ask for."""
        return self.asked > 0 and self.vectors > 1

    @property
    def is_floating(self) -> bool:
        return self.type in ("float", "double")

    @property
    def columns(self) -> int:
        return self.vectors * self.lanes

    @property
    def bytes(self) -> int:
        """Of one element."""
        return BITS[self.type] // 8

    @property
    def read_bytes(self) -> int:
        """Of one element of the operands."""
        return self.bytes if self.narrow is None else self.narrow.itemsize

    @property
    def together(self) -> int:
        """Elements of an operand along k in one of the tile's."""
        return 1 if self.parts is None else self.bytes // self.parts.itemsize

    @property
    def flips(self) -> bool:
        """Whether signs of a are flipped, by 128 more or less: an instruction multiplies unsigned
        bytes by signed ones. Sums start at minus what 0 would come to, so that they are exact."""
        return self.parts in BYTES and self.other is None

    @property
    def start_bytes(self) -> int:
        """Of what the sums start at, before each panel of b."""
        return self.columns * self.bytes if self.flips else 0

    @property
    def reads_rows(self) -> bool:
        """Whether rows of a hold elements of the tile as they are."""
        return self.narrow in (None, self.parts) and not self.flips


def tile_for(
    target: Target, type: str, narrow: DType | None = None, other: DType | None = None
) -> Tile:
    """As many sums as the registers hold beside a row of b and one element of a.

    The columns are a power of two: most matrices have a multiple of it.
    """
    size = BITS[type] // 8
    read = size if narrow is None else narrow.itemsize
    lanes = target.native_lanes(size)
    x86 = target.triple.startswith(("x86_64", "i386", "i686"))
    wide = target.vector_bytes == 64 or not x86
    rows, vectors = (6, 4) if wide else (6, 2)
    masks = {size, read} <= target.masked_sizes
    asked = max(1, vectors * lanes * read // LINE) if wide else 0
    stores = size in target.masked_sizes and target.has_masked_stores
    parts = None
    if (narrow == bfloat16 and target.has_pairs) or (narrow in BYTES and target.has_quads):
        parts = narrow
    elif narrow in PAIRED_INTEGERS and x86:
        parts = int16
    return Tile(type, rows, vectors, lanes, masks, stores, asked, narrow, parts, other)


def multiply_add(builder: TextBuilder, tile: Tile, a: Val, b: Val, total: Val) -> Val:
    """Of parts all products are added, first those of the elements which come last."""
    if tile.parts is None:
        if tile.is_floating:
            return builder.fma(a, b, total)
        return builder.add(builder.mul(a, b), total)
    if tile.parts in BYTES:  # of two signed ones, those of a have become unsigned
        unsigned, signed = (a, b) if (tile.parts == int8) == tile.flips else (b, a)
        return add_quad_products(builder, total, unsigned, signed)
    vector, lanes = total.ir_type, total.lanes
    if tile.parts == bfloat16:
        return add_pair_products(builder, total, a, b, at_once=True)
    # As LLVM knows the instructions for it.
    halves = [
        builder.emit(f"bitcast {vector} {one.text} to <{2 * lanes} x i16>", "i16", 2 * lanes)
        for one in (a, b)
    ]
    products = builder.mul(*(builder.sext(one, "i32") for one in halves))
    even, odd = (
        builder.shuffle(products, products, range(first, 2 * lanes, 2)) for first in (0, 1)
    )
    return builder.add(builder.add(even, odd), total)


def tile_parameters(tile: Tile, result_is_other: str = "noalias ") -> str:
    """What each routine for a tile gets."""
    text = (
        f"ptr {result_is_other}%c, ptr noalias readonly %a, ptr noalias readonly %b, "
        "i64 %k, i64 %c.row, i64 %a.row, i64 %a.step, i64 %b.step, i64 %rows, i64 %columns, "
        "i1 %first"
    )
    return text + ", ptr %ahead, i64 %ahead.row, i64 %ahead.rate" * (tile.asked > 0)


def tile_function(name: str, tile: Tile, target: Target) -> FunctionText:
    return TileEmitter(name, tile, target, TextBuilder(has_fma=target.has_fma)).emit()


class TileEmitter:
    """extra: further parameters. result_is_other: the attribute of c, that nothing else is it."""

    def __init__(self, name: str, tile: Tile, target: Target, builder: TextBuilder) -> None:
        self.name, self.tile, self.target, self.builder = name, tile, target, builder
        self.extra: tuple[Val, ...] = ()
        self.result_is_other = "noalias "

    def emit(self) -> FunctionText:
        tile, builder = self.tile, self.builder
        builder.line(f"%room = alloca [{tile.rows * tile.columns} x {tile.type}], align 64")
        self._results(self._products())
        builder.block("done")
        builder.line("ret void")
        parameters = tile_parameters(tile, self.result_is_other)
        parameters += "".join(f", {one.type} {one.text}" for one in self.extra)
        attributes = self.target.function_attributes
        return builder.function(f"define internal void @{self.name}({parameters}) {attributes}")

    def _results(self, sums: list[Val]) -> None:
        """What is done with the sums; ends in a branch to `done`."""
        tile, builder = self.tile, self.builder
        rows_full = builder.value(f"icmp eq i64 %rows, {tile.rows}")
        columns_full = builder.value(f"icmp eq i64 %columns, {tile.columns}")
        full = builder.value(f"and i1 {rows_full}, {columns_full}")
        builder.line(f"br i1 {full}, label %whole, label %part")
        self._whole(sums)
        self._part(sums)
        builder.block("parted")
        self._parted()

    def _at(self, pointer: str, offset: str) -> str:
        return self.builder.value(f"getelementptr i8, ptr {pointer}, i64 {offset}")

    def _fetch_result(self) -> None:
        """Have the lines of c in the first cache when the sums are done."""
        self._fetch_rows("%c", "%c.row", writes=True)

    def _fetch_rows(self, start: str, row: str, *, writes: bool) -> None:
        """The lines of a tile at `start`, rows `row` bytes apart. What lies below the last row is
        asked for too: that does nothing."""
        for r in range(self.tile.rows):
            start = self._at(start, row) if r else start
            self._fetch_row(start, writes=writes)

    def _fetch_row(self, start: str, *, writes: bool) -> None:
        width = self.tile.columns * self.tile.bytes
        for line in range(0, width, LINE):
            self._fetch(self._at(start, str(min(line + LINE, width) - 1)), writes=writes)

    def _fetch(self, at: str, *, writes: bool) -> None:
        self.builder.declare("llvm.prefetch", "void @llvm.prefetch.p0(ptr, i32, i32, i32)")
        call = f"call void @llvm.prefetch.p0(ptr {at}, i32 {int(writes)}, i32 3, i32 1)"
        self.builder.line(call)

    def _fetch_ahead(self) -> list[str]:
        """Ask for some of what comes next; the phis for that."""
        for line in range(self.tile.asked):
            self._fetch(self._at("%ahead.at", str(line * LINE)), writes=False)
        rows = self._due("ahead")
        return [self._walk("ahead", "%ahead", "%ahead.row", rows), *self._phi_of_due("ahead")]

    def _due(self, name: str) -> str:
        """How many rows are to be asked for with the next step that were not before."""
        builder = self.builder
        builder.line(f"%{name}.sum = add i64 %{name}.part, %{name}.rate")
        builder.line(f"%{name}.rest = and i64 %{name}.sum, {PARTS - 1}")
        return builder.value(f"lshr i64 %{name}.sum, {PARTS.bit_length() - 1}")

    def _phi_of_due(self, name: str) -> list[str]:
        return [f"  %{name}.part = phi i64 [ 0, %begin ], [ %{name}.rest, %sum ]"]

    def _walk(self, name: str, start: str, row: str, rows: str) -> str:
        """Step so many rows down; the phi for that."""
        further = self.builder.value(f"mul i64 {rows}, {row}")
        self.builder.line(f"%{name}.next = getelementptr i8, ptr %{name}.at, i64 {further}")
        return f"  %{name}.at = phi ptr [ {start}, %begin ], [ %{name}.next, %sum ]"

    def _fetch_in_step(self) -> list[str]:
        """Ask for what is wanted after the sums, a little in each step; the phis for that."""
        return []

    def _products(self) -> list[Val]:
        """The sums over k, in registers. Rows beyond the last repeat it."""
        tile, builder = self.tile, self.builder
        last = builder.value("sub i64 %rows, 1")
        row_pointers = ["%a"]
        for r in range(1, tile.rows):
            row = builder.smin(Val(str(r), "i64"), Val(last, "i64"))
            row_pointers.append(self._at("%a", builder.value(f"mul i64 {row.text}, %a.row")))
        self._fetch_result()
        builder.branch("begin")  # what was fetched may have needed branches
        builder.block("begin")
        zero = "zeroinitializer" if tile.lanes > 1 else "0.0" if tile.is_floating else "0"
        starts, first = [zero] * tile.vectors, "%b"
        if tile.flips:
            starts, first = [one.text for one in self._row_of_b("%b")], self._at("%b", "%b.step")
        builder.line("%some = icmp sgt i64 %k, 0")
        builder.line("br i1 %some, label %sum, label %summed")
        builder.block("sum")
        start = len(builder.lines)
        vector = f"<{tile.lanes} x {tile.type}>" if tile.lanes > 1 else tile.type
        columns = self._row_of_b("%b.at")
        sums: list[Val] = []
        ends: list[str] = []
        phis = [
            "  %p = phi i64 [ 0, %begin ], [ %p.next, %sum ]",
            "  %a.at = phi i64 [ 0, %begin ], [ %a.next, %sum ]",
            f"  %b.at = phi ptr [ {first}, %begin ], [ %b.next, %sum ]",
        ]
        for r in range(tile.rows):
            one = builder.load(self._at(row_pointers[r], "%a.at"), tile.type)
            many = builder.splat(one, tile.lanes)
            for v in range(tile.vectors):
                total = Val(f"%s.{r}.{v}", tile.type, tile.lanes)
                result = multiply_add(builder, tile, many, columns[v], total)
                incoming = f"phi {vector} [ {starts[v]}, %begin ], [ {result.text}, %sum ]"
                phis.append(f"  {total.text} = {incoming}")
                sums.append(Val(f"%t.{r}.{v}", tile.type, tile.lanes))
                ends.append(f"{sums[-1].text} = {incoming}")
        phis += self._fetch_in_step()
        if tile.asks:
            phis += self._fetch_ahead()
        builder.lines[start:start] = phis
        builder.line("%p.next = add nuw nsw i64 %p, 1")
        builder.line("%a.next = add i64 %a.at, %a.step")
        builder.line("%b.next = getelementptr i8, ptr %b.at, i64 %b.step")
        builder.line("%more = icmp slt i64 %p.next, %k")
        builder.again_if("%more", "sum", "summed")
        builder.block("summed")
        for line in ends:
            builder.line(line)
        return sums

    def _row_of_b(self, start: str) -> list[Val]:
        tile, width = self.tile, self.tile.lanes * self.tile.bytes
        return [
            self.builder.load(
                self._at(start, str(v * width)) if v else start, tile.type, tile.lanes
            )
            for v in range(tile.vectors)
        ]

    def _add(self, a: Val, b: Val) -> Val:
        return self.builder.fadd(a, b) if self.tile.is_floating else self.builder.add(a, b)

    def _whole(self, sums: list[Val]) -> None:
        """What is done with the sums of a whole tile."""
        builder = self.builder
        builder.block("whole")
        builder.line("br i1 %first, label %write, label %update")
        builder.block("write")
        self._store(sums)
        builder.branch("done")
        builder.block("update")
        self._store([self._add(a, b) for a, b in zip(self._loaded(), sums, strict=True)])
        builder.branch("done")

    def _places_of_result(self) -> list[str]:
        """The address of each vector."""
        tile, row = self.tile, "%c"
        found: list[str] = []
        for r in range(tile.rows):
            row = self._at(row, "%c.row") if r else row
            starts = [v * tile.lanes * tile.bytes for v in range(tile.vectors)]
            found += [self._at(row, str(start)) if start else row for start in starts]
        return found

    def _loaded(self) -> list[Val]:
        tile = self.tile
        return [self.builder.load(at, tile.type, tile.lanes) for at in self._places_of_result()]

    def _store(self, values: list[Val]) -> None:
        for value, place in zip(values, self._places_of_result(), strict=True):
            self.builder.store(value, place)

    def _parted(self) -> None:
        """What follows the part of a tile at an edge."""
        self.builder.branch("done")

    def _part(self, sums: list[Val]) -> None:
        """Through memory, row by row, no further than the last row and column."""
        tile, builder = self.tile, self.builder
        builder.block("part")
        self._to_room(sums)
        pieces = [] if tile.masked_stores else self._pieces()
        builder.branch("row")
        builder.block("row")
        builder.line("%r = phi i64 [ 0, %part ], [ %r.next, %row.done ]")
        builder.line("%c.at = phi ptr [ %c, %part ], [ %c.next, %row.done ]")
        builder.line("%room.at = phi ptr [ %room, %part ], [ %room.next, %row.done ]")
        if tile.masked_stores:
            self._masked_row()
        else:
            self._row_in_pieces(pieces)
        builder.branch("row.done")
        builder.block("row.done")
        builder.line("%r.next = add nuw nsw i64 %r, 1")
        builder.line("%c.next = getelementptr i8, ptr %c.at, i64 %c.row")
        builder.line(
            f"%room.next = getelementptr i8, ptr %room.at, i64 {tile.columns * tile.bytes}"
        )
        builder.line("%r.more = icmp slt i64 %r.next, %rows")
        builder.line("br i1 %r.more, label %row, label %parted")

    def _to_room(self, sums: list[Val]) -> None:
        width = self.tile.lanes * self.tile.bytes
        for number, value in enumerate(sums):
            place = self._at("%room", str(number * width)) if number else "%room"
            self.builder.store(value, place)

    def _masked_row(self) -> None:
        tile, builder = self.tile, self.builder
        width = tile.lanes * tile.bytes
        index = f"i{8 * tile.bytes}"
        limit = "%columns" if index == "i64" else builder.value(f"trunc i64 %columns to {index}")
        many = builder.splat(Val(limit, index), tile.lanes)
        for v in range(tile.vectors):
            numbers = ", ".join(f"{index} {v * tile.lanes + k}" for k in range(tile.lanes))
            mask = builder.icmp("slt", Val(f"<{numbers}>", index, tile.lanes), many)
            value = builder.load(self._at("%room.at", str(v * width)), tile.type, tile.lanes)
            place = Val(self._at("%c.at", str(v * width)), "ptr")
            old = masked_load(builder, tile.type, place, mask)
            added = self._add(old, value)
            first = builder.value(
                f"select i1 %first, {value.ir_type} {value.text}, {value.ir_type} {added.text}"
            )
            masked_store(builder, Val(first, tile.type, tile.lanes), place, mask)

    def _pieces(self) -> list[tuple[int, str, str]]:
        """What a row of some columns is made of: whole vectors, half a vector, a quarter, ...

        Lanes of each, whether it is there, and where it begins, in bytes.
        """
        tile, value = self.tile, self.builder.value
        found: list[tuple[int, str, str]] = []
        for v in range(tile.vectors):
            there = value(f"icmp sge i64 %columns, {(v + 1) * tile.lanes}")
            found.append((tile.lanes, there, str(v * tile.lanes * tile.bytes)))
        lanes = tile.lanes // 2
        while lanes:
            bit = value(f"and i64 %columns, {lanes}")
            start = value(f"and i64 %columns, {-2 * lanes}")
            there = value(f"icmp ne i64 {bit}, 0")
            found.append((lanes, there, value(f"mul i64 {start}, {tile.bytes}")))
            lanes //= 2
        return found

    def _row_in_pieces(self, pieces: Sequence[tuple[int, str, str]]) -> None:
        builder, type = self.builder, self.tile.type
        for number, (lanes, there, start) in enumerate(pieces):
            builder.line(f"br i1 {there}, label %piece.{number}, label %piece.{number}.done")
            builder.block(f"piece.{number}")
            value = builder.load(self._at("%room.at", start), type, lanes)
            place = self._at("%c.at", start)
            added = self._add(builder.load(place, type, lanes), value)
            chosen = f"select i1 %first, {value.ir_type} {value.text}, {value.ir_type} {added.text}"
            builder.store(builder.emit(chosen, type, lanes), place)
            builder.branch(f"piece.{number}.done")
            builder.block(f"piece.{number}.done")
