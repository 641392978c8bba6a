"""Products with a vector, chunk by chunk: what dots (gemm_dots.py) and sums (gemm_sums.py) share.

A routine cuts the sums into chunks, does the parts of each of them one after the other or on
several threads, and adds up what the chunks come to.
"""

from abc import ABC, abstractmethod

from graphc.backends.llvm.gemm_layout import Arithmetic, Layout
from graphc.backends.llvm.gemm_split import add_chunks
from graphc.backends.llvm.gemm_tile import Tile
from graphc.backends.llvm.masked import first_lanes
from graphc.backends.llvm.parallel import BEGIN, END, THREADS, Range
from graphc.backends.llvm.scopes import Code
from graphc.backends.llvm.target import Target
from graphc.backends.llvm.text import FunctionText, Val

PARTIAL = 1 << 18  # bytes of sums of chunks
MOST_CHUNKS = 256
PACE = 5  # a term takes as long as half so many units of work for each of its bytes

OUT, MATRIX, VECTOR = (Val(f"%{name}", "ptr") for name in ("out", "matrix", "vector"))
COUNT, K, OUT_STEP, ROW, VECTOR_STEP = (
    Val(f"%{name}", "i64") for name in ("count", "k", "out.step", "row", "vector.step")
)
PARTIALS = Val("%partial", "ptr")
GIVEN = (OUT, MATRIX, VECTOR, COUNT, K, OUT_STEP, ROW, VECTOR_STEP, PARTIALS)
ROOM = Val("%room", "ptr")
CHUNK, CHUNKS = Val("%chunk", "i64"), Val("%chunks", "i64")
PARAMETERS = (*GIVEN, CHUNK, CHUNKS)


def whole_name(kind: str, layout: Layout) -> str:
    return f"all_{kind}_{layout.prefix}" + "_divides" * layout.divides


class VectorProduct(ABC):
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
        return first_lanes(self.builder, left, self.tile.type, self.tile.lanes)

    @property
    def has_masks(self) -> bool:
        return self.tile.masks and self.tile.lanes > 1

    @abstractmethod
    def units(self, x: Arithmetic) -> Val:
        """How many parts the result has."""

    @abstractmethod
    def cut(self) -> Val:
        """The length of a chunk."""

    @abstractmethod
    def unit(self, part: Val, start: Val, length: Val, to: Val, step: Val) -> None:
        """One part of the result, over `length` terms from `start` on."""

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

        def combine() -> list[Val]:
            add_chunks(x, self.tile, PARTIALS, COUNT, chunks, self.put_result)
            return []

        self.code.branch(x.compare("sgt", chunks, one), [], combine)
        self.builder.line("ret void")
        name = whole_name(self.kind, self.layout)
        return x.function(name, (*GIVEN, THREADS), self.target, plain=False)

    def put_result(self, value: Val, first: Val) -> None:
        self.put(value, OUT, first, OUT_STEP)

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
