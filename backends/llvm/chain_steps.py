"""Chains of products (loops.chains): matrix by matrix of the batch, or in blocks of rows.

    @chain(ptr frame, begin, end, thread)    a function of a range (parallel.py) over matrices, or
                                             over blocks, those of a matrix one after the other

For each it calls the products in turn, which run their epilogues. What nothing else touches lies
in scratch memory of the thread, as much as one matrix or one block needs. Blocks are as high as the
second cache allows; how they are cut decides no number. Where there are fewer matrices than threads
could do, and no blocks, each product divides itself instead.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from graphc.backends.llvm.batches import LARGE, moved_by, places_of
from graphc.backends.llvm.contraction import uses_gemm
from graphc.backends.llvm.emitter import FRAME
from graphc.backends.llvm.epilogues import WHOLE
from graphc.backends.llvm.gemm import area_bytes
from graphc.backends.llvm.gemm_chunks import NONE
from graphc.backends.llvm.gemm_layout import Arithmetic, Layout
from graphc.backends.llvm.kernel_functions import Part
from graphc.backends.llvm.parallel import (
    AREA,
    BEGIN,
    END,
    RANGE,
    STRIDE,
    THREADS,
    Range,
    divide,
    loads,
)
from graphc.backends.llvm.product_steps import ProductSteps, work_of_one
from graphc.backends.llvm.scopes import Code
from graphc.backends.llvm.target import LINE
from graphc.backends.llvm.text import Val
from graphc.dims import divide as quotient
from graphc.loops.chains import Chain, Link, chains_in
from graphc.loops.ir import Contraction, Step
from graphc.memory.lives import uses_of
from graphc.shapes import Size, ceil_div, dim_max, size_sum, symbols_of

BLOCK = 256 << 10  # bytes of a block of rows: half of the second cache
LEAST = 96  # rows of a block, if there are so many: panels of the other operand are packed for each
FEWEST = 48  # rows of a block where there is one for each thread
STEP = 12  # blocks are multiples of this many rows: whole tiles


class _Piece(NamedTuple):
    """A link as it is called: its routine, and its epilogue as a function of rows."""

    link: Link
    layout: Layout
    part: Part | None


class _Words:
    """What the frame holds: the name inside, and the value that is stored."""

    def __init__(self) -> None:
        self.inside: list[Val] = []
        self.outside: list[Val] = []

    def add(self, name: str, value: Val) -> Val:
        self.inside.append(Val(f"%{name}", value.type))
        self.outside.append(value)
        return self.inside[-1]


class ChainSteps(ProductSteps):
    """Chains of products."""

    def _chains(self, steps: Sequence[Step]) -> dict[int, Chain]:
        if not any(isinstance(step, Contraction) and step.batch for step in steps):
            return {}
        if self.uses is None:
            self.uses = uses_of(self.program)
        return chains_in(steps, self.program.buffers, self.uses, self.collapsed)

    def _chain(self, chain: Chain) -> bool:
        """Run a chain block by block, if that can be."""
        pieces = self._pieces(chain)
        if pieces is None:
            return False
        widths = _widths(chain) if chain.by_rows else None
        memory = self._memory(chain)
        mine = [name for name in chain.local if memory[name] == name]
        room: Size = 0
        for piece in pieces:
            area = 0 if piece.part is None else piece.part.area
            room = dim_max(room, area_bytes(piece.layout, self.target) + area)
        room = ceil_div(room, LINE) * LINE
        sizes = {name: self.program.buffers[name].dtype.itemsize for name in mine}
        row: Size = 0
        if widths is None:
            kept = size_sum([_padded(chain.local[name] * sizes[name]) for name in mine])
        else:
            row = size_sum([widths[name] * sizes[name] for name in mine])
            kept = _most_bytes(chain, row) + LINE * len(mine)
        text = _ChainText(self, chain, pieces, memory, widths)
        text.emit(mine, room, room + _padded(kept), _row_bytes(chain, row))
        self.local.update(chain.local)
        return True

    def _pieces(self, chain: Chain) -> list[_Piece] | None:
        pieces: list[_Piece] = []
        known = set(self.program.sizes)
        for link in chain.links:
            product = link.product
            if not uses_gemm(product) or not _sizes_of(link) <= known:
                return None
            part = None
            if link.epilogue is not None:
                part = self.functions.part(product, link.epilogue)
                if part is None:
                    return None
            pieces.append(_Piece(link, self._layout_of(product), part))
        return pieces

    def _memory(self, chain: Chain) -> dict[str, str]:
        """Where what is local lies: in memory of its own, or in that of its epilogue's result."""
        found: dict[str, str] = {}
        for link in chain.links:
            name = link.product.out
            if name not in chain.local or link.epilogue is None:
                continue
            assert self.uses is not None
            call = link.epilogue.call
            pairs = zip(call.kernel.parameters, call.arguments, strict=True)
            for target in (name for parameter, name in pairs if parameter.written):
                own, other = self.program.buffers[name], self.program.buffers[target]
                if (
                    self.uses[name] == 2
                    and own.dtype == other.dtype
                    and (target in chain.local or self.places.is_first(target, link.epilogue.call))
                    and self.places.donors.may_overwrite(call, name, target)
                ):
                    found[name] = target
                    break
        return {name: found.get(name, name) for name in chain.local}


class _ChainText:
    """The function of one chain, and its call."""

    def __init__(
        self,
        steps: ChainSteps,
        chain: Chain,
        pieces: Sequence[_Piece],
        memory: Mapping[str, str],
        widths: Mapping[str, Size] | None,
    ) -> None:
        self.steps, self.chain, self.pieces = steps, chain, pieces
        self.memory, self.widths = memory, widths
        self.words = _Words()
        self.x = Arithmetic(Code(has_fma=steps.target.has_fma))
        self.slots: dict[str, Val] = {}
        first = chain.links[0].product
        self.axes = [axis for axis, size in enumerate(first.batch) if size != 1]
        self.held: list[str] = []

    def emit(self, mine: Sequence[str], room: Size, area: Size, row: Size) -> None:
        """mine: what has scratch memory of its own, behind `room` bytes; area: bytes of all that;
        row: what a row takes of the cache."""
        steps, words, x = self.steps, self.words, self.x
        outer = Arithmetic(steps.code)
        size = steps.sizes.first
        first = self.chain.links[0].product
        counts = [size(first.batch[axis]) for axis in self.axes]
        matrices = counts[0]
        for count in counts[1:]:
            matrices = outer.mul(matrices, count)
        blocks, height = self._cut(outer, row, matrices)
        units = outer.mul(matrices, blocks)
        work = size(size_sum([work_of_one(p.link.product) * p.link.product.k for p in self.pieces]))
        inner, total = outer.const(1), outer.mul(work, matrices)
        if self.widths is None:
            few = outer.compare("slt", units, outer.mul(THREADS, 2))
            large = outer.compare("sgt", work, outer.const(LARGE))
            alone = steps.code.operation("and", few, large)
            inner = outer.choose(alone, THREADS, inner)
            total = outer.choose(alone, outer.const(0), total)
        own_counts = [words.add(f"count{n}", count) for n, count in enumerate(counts)]
        own_blocks, own_height = words.add("blocks", blocks), words.add("height", height)
        own_inner = words.add("inner", inner)
        at = words.add("room", size(room))
        sizes = {
            name: words.add(f"size{n}", size(self.chain.local[name]))
            for n, name in enumerate(mine)
            if self.widths is None
        }
        for name in mine:
            self.slots[name] = x.at(Val("%area", "ptr"), at)
            item = steps.program.buffers[name].dtype.itemsize
            if self.widths is None:
                bytes_ = x.mul(sizes[name], item)
            else:
                bytes_ = x.mul(x.mul(own_height, self._word("width", self.widths[name])), item)
            at = x.add(at, x.mul(x.ceil_div(bytes_, LINE), LINE))
        calls = [self._link(number, piece) for number, piece in enumerate(self.pieces)]

        def unit(index: Val, _: list[Val]) -> list[Val]:
            matrix = x.code.operation("udiv", index, own_blocks)
            block = x.sub(index, x.mul(matrix, own_blocks))
            places = places_of(x.code, matrix, own_counts)
            for call in calls:
                call.run(x, matrix, places, x.mul(block, own_height), own_height, own_inner)
            return []

        x.code.loop(BEGIN, END, 1, [], unit)
        x.code.builder.line("ret void")
        words.inside += [AREA, STRIDE]
        words.outside += [steps._area(0, area), size(area)]
        x.code.builder.lines[:0] = [*loads(words.inside), *self.held]
        attributes = steps.target.function_attributes
        function = x.code.builder.function(
            f"define internal void @KERNEL{RANGE} {attributes}", plain=True
        )
        name = steps.functions.named([function])
        steps.frame_words = max(steps.frame_words, len(words.outside))
        what = Range(units, total)
        divide(steps.code.builder, name, FRAME, words.outside, what, THREADS)

    def _word(self, name: str, value: Size) -> Val:
        return self.words.add(f"{name}{len(self.words.inside)}", self.steps.sizes.first(value))

    def _cut(self, x: Arithmetic, row: Size, matrices: Val) -> tuple[Val, Val]:
        """Blocks of a matrix, and their rows."""
        m = self.steps.sizes.first(self.chain.links[0].product.m)
        one = x.const(1)
        if self.widths is None:
            return one, m
        most = x.code.operation(
            "udiv", x.const(BLOCK), x.extremum("smax", self.steps.sizes.first(row), one)
        )
        steps = x.code.operation("udiv", most, x.const(STEP))
        most = x.extremum("smax", x.mul(steps, STEP), x.const(LEAST))
        wanted = x.choose(x.compare("sgt", THREADS, one), x.mul(THREADS, 2), one)
        each = x.ceil_div(wanted, x.extremum("smax", matrices, one))
        each = x.extremum("smin", each, x.ceil_div(m, FEWEST))
        blocks = x.extremum("smax", x.extremum("smax", x.ceil_div(m, most), each), one)
        height = x.mul(x.ceil_div(x.ceil_div(m, blocks), STEP), STEP)
        height = x.extremum("smax", height, x.const(STEP))
        return x.ceil_div(m, height), height

    def _link(self, number: int, piece: _Piece) -> "_Call":
        product, steps, words = piece.link.product, self.steps, self.words
        size = steps.sizes.first
        pointers: list[Val] = []
        strides: list[list[Val]] = []
        for operand, name in enumerate((product.out, product.a, product.b)):
            place = self.memory.get(name, name)
            if place in self.slots:
                pointers.append(self.slots[place])
                strides.append([])
                continue
            value = steps._matrix(product, operand) if place == name else steps._buffer(place)
            pointers.append(words.add(f"at{number}.{operand}", value))
            strides.append([self._word("stride", product.strides[operand][a]) for a in self.axes])
        sizes = [words.add(f"m{number}", size(product.m))]
        sizes += [self._word("size", one) for one in (product.n, product.k, *product.distances)]
        held: list[_Held] = []
        if piece.link.epilogue is not None:
            call = piece.link.epilogue.call
            held.append(_Held(self._word("units", piece.link.epilogue.units)))
            for name in call.arguments:
                place = self.memory.get(name, name)
                if place in self.slots:
                    back = self._word("length", self.chain.local[name])
                    width = None
                    if self.widths is not None:
                        width = self._word("width", self.widths[name])
                    item = steps.program.buffers[name].dtype.itemsize
                    held.append(_Held(self.slots[place], back, width, item))
                else:
                    held.append(_Held(words.add(f"held{len(words.inside)}", steps._buffer(place))))
            held += [_Held(self._word("given", one)) for one in call.sizes]
            self.held.append(f"  %frame.of.{number} = alloca [{len(held)} x i64], align 16")
        return _Call(number, piece, pointers, strides, sizes, held, self.widths is not None)


class _Held(NamedTuple):
    """A word of an epilogue's frame: a value, or memory of a block. That is given as where the
    first matrix would lie, `length` elements for each matrix and `width` for each row before."""

    value: Val
    length: Val | None = None
    width: Val | None = None
    item: int = 1


class _Call(NamedTuple):
    """A product with its epilogue, inside the function."""

    number: int
    piece: _Piece
    pointers: Sequence[Val]
    strides: Sequence[Sequence[Val]]
    sizes: Sequence[Val]
    held: Sequence[_Held]
    by_rows: bool

    def run(
        self,
        x: Arithmetic,
        matrix: Val,
        places: Sequence[Val],
        first: Val,
        height: Val,
        inner: Val,
    ) -> None:
        m, *others = self.sizes
        items = [dtype.itemsize for dtype in self.piece.link.product.dtypes]
        rows = m
        base = x.mul(matrix, m)
        if self.by_rows:
            rows = x.extremum("smin", height, x.sub(m, first))
            base = x.add(base, first)
        moved = []
        for operand, (pointer, strides) in enumerate(zip(self.pointers, self.strides, strict=True)):
            item = items[operand]
            place = (
                moved_by(x.code, f"i{8 * item}", pointer, places, strides) if strides else pointer
            )
            if self.by_rows and strides and operand < 2:
                place = x.at(place, x.mul(x.mul(first, others[2 + operand]), item))
            moved.append(place)
        epilogue, frame, splits = NONE, NONE, Val("true", "i1")
        if self.piece.part is not None:
            epilogue = Val(f"@{self.piece.part.name}.rows", "ptr")
            frame = Val(f"%frame.of.{self.number}", "ptr")
            splits = Val("false" if self.piece.part.kind == WHOLE else "true", "i1")
            for number, word in enumerate(self.held):
                value = word.value
                if word.length is not None:
                    before = x.mul(matrix, word.length)
                    if word.width is not None:
                        before = x.add(before, x.mul(first, word.width))
                    value = x.at(value, x.sub(x.const(0), x.mul(before, word.item)))
                at = x.code.builder.value(f"getelementptr i64, ptr {frame.text}, i64 {number}")
                x.code.builder.line(f"store {value.type} {value.text}, ptr {at}, align 8")
        own = (Val("%area", "ptr"), STRIDE, inner)
        given = (*moved, rows, *others, *own, epilogue, frame, splits, NONE, base)
        x.call(f"{self.piece.layout.name}.followed", given)


def _sizes_of(link: Link) -> set[str]:
    """All sizes that a link names."""
    product = link.product
    sizes = [product.m, product.n, product.k, *product.batch, *product.distances, *product.starts]
    sizes += [stride for strides in product.strides for stride in strides]
    if link.epilogue is not None:
        sizes += [link.epilogue.units, *link.epilogue.call.sizes]
    return {symbol for size in sizes for symbol in symbols_of(size)}


def _widths(chain: Chain) -> dict[str, Size] | None:
    """Elements of each local buffer for a row."""
    rows = chain.links[0].product.m
    found: dict[str, Size] = {}
    for name, length in chain.local.items():
        width, rest = quotient(length, rows) if rows != 0 else (0, 0)
        if rest != 0:
            return None
        found[name] = width
    return found


def _row_bytes(chain: Chain, row: Size) -> Size:
    """What a row takes of the cache: `row` bytes of what is local, else the results themselves."""
    products = [link.product for link in chain.links[:-1]]
    others = size_sum([product.n * product.dtype.itemsize for product in products])
    return others if row == 0 else row


def _most_bytes(chain: Chain, row: Size) -> Size:
    """Of a block, where a row of what is local has `row` bytes."""
    if not isinstance(row, int):
        return dim_max(BLOCK, row * LEAST)
    height: int = max(BLOCK // max(row, 1) // STEP * STEP, LEAST)
    rows = chain.links[0].product.m
    if isinstance(rows, int):
        height = min(height, -(-rows // STEP) * STEP)
    return height * row


def _padded(size: Size) -> Size:
    return ceil_div(size, LINE) * LINE
