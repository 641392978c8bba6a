"""A kernel as one LLVM function.

    define internal void @name(ptr parameters..., i64 sizes..., ptr %area, i64 %threads)

`%area` is there if the kernel needs more scratch memory than the stack should hold; `%threads` if
some of its loops may be divided: they are functions of their own. A kernel that is one such loop
becomes a function of a range (parallel.py).

The body is rewritten first, loops into faster loops (tiling.py, interchange.py, crossed.py, ...).
Everything in a scalar context is scalar code. Inside a vector loop a value is a scalar as long as
all lanes agree on it, and becomes a vector where it meets one.
"""

import itertools
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from graphc.backends.llvm import parallel
from graphc.backends.llvm.access import SAFE, Part
from graphc.backends.llvm.addresses import Array
from graphc.backends.llvm.choices import in_choices
from graphc.backends.llvm.chunks import in_chunks
from graphc.backends.llvm.column_chunks import in_column_chunks
from graphc.backends.llvm.crossed import crossed
from graphc.backends.llvm.interchange import interchanged
from graphc.backends.llvm.kernel_text import Division, KernelText
from graphc.backends.llvm.lanes import survey
from graphc.backends.llvm.longer_rows import with_longer_rows
from graphc.backends.llvm.loops import LoopEmitter
from graphc.backends.llvm.parallel import (
    GRAIN,
    THREADS,
    Range,
    divide,
    divisible_loop,
    is_much,
    work_of,
)
from graphc.backends.llvm.row_blocks import in_blocks
from graphc.backends.llvm.row_groups import in_row_groups
from graphc.backends.llvm.row_lengths import in_lengths
from graphc.backends.llvm.running import running_in_lanes
from graphc.backends.llvm.scalar_ops import memory_type, register_type
from graphc.backends.llvm.short_rows import side_by_side
from graphc.backends.llvm.streaming import Streaming, fence
from graphc.backends.llvm.target import Target
from graphc.backends.llvm.text import Val
from graphc.backends.llvm.tiling import tiled
from graphc.backends.llvm.wraps import unwrapped
from graphc.dtypes import DType, int64
from graphc.loops.epilogues import row_loop
from graphc.loops.ir import (
    Accumulate,
    Accumulator,
    For,
    If,
    Kernel,
    Let,
    Parameter,
    Scratch,
    Statement,
    Store,
)
from graphc.loops.tidy import values_of
from graphc.scalar.expr import Load, Local, walk
from graphc.shapes import Size, ceil_div, dim_max, size_product

STACK_BYTES = 32768  # of scratch memory; more comes from the area
AREA = Val("%area", "ptr")
FRAME = "%frame"
VECTOR = re.compile(r"<\d+ x ")
# Values of neighbours that are not complete: by the array, and where those of lane 0 begin.
Waiting = dict[tuple[str, Size], dict[int, Val]]


def emit_kernel(
    kernel: Kernel, target: Target, *, whole: bool = False, streams: bool = True
) -> KernelText:
    """whole: a function of the kernel that leaves it to others to divide work. streams: whether
    it may store past the cache."""
    streaming = Streaming(kernel, target) if streams else None
    return _KernelEmitter(kernel, target, streaming).emit(kernel, whole)


class _Part(NamedTuple):
    """A loop of a kernel that threads may share, as functions of its own.

    scratch: the arrays of the kernel around that it uses; live: the locals.
    """

    name: str
    text: KernelText
    scratch: tuple[str, ...]
    live: tuple[str, ...]

    @property
    def words(self) -> int:
        """Of the frame, beside the parameters and sizes of the kernel."""
        return len(self.scratch) + len(self.live) + 2


def _is_narrow(loop: For) -> bool:
    """Whether it makes one chunk, whatever it does."""
    return loop.kind == "vector" and isinstance(loop.extent, int) and loop.extent <= GRAIN


def emit_range(kernel: Kernel, target: Target) -> KernelText | None:
    """@KERNEL.range alone, over the outermost loop of the kernel; None if it has none to divide."""
    divided, whole = divisible_loop(tiled(kernel)), row_loop(kernel.body)
    if divided is None or whole is None:
        return None
    if (divided.axis, divided.extent) != (whole.axis, whole.extent):
        return None
    return _KernelEmitter(kernel, target, None).range_text(kernel)


class _KernelEmitter(LoopEmitter):
    """Writes one function, and has others written for the loops that threads may share."""

    def __init__(self, kernel: Kernel, target: Target, streaming: Streaming | None) -> None:
        super().__init__(target)
        self.fused = kernel.fused
        self.streaming = streaming
        self.allocas: list[str] = []
        self.stack_bytes = 0
        self.area: Size = 0
        self.area_start = AREA
        self.given: list[Val] = []
        self.parts: dict[int, _Part] = {}  # by the identity of their loops
        for position, parameter in enumerate(kernel.parameters):
            pointer = Val(f"%{_identifier('p', parameter.name, position)}", "ptr")
            self.given.append(pointer)
            self.memory.arrays[parameter.name] = Array(
                parameter.name, pointer, parameter.dtype, parameter.shape
            )
        for position, name in enumerate(kernel.sizes):
            size = Val(f"%{_identifier('s', name, position)}", "i64")
            self.given.append(size)
            self.sizes.symbols[name] = size
        self.symbols = dict(self.sizes.symbols)

    def emit(self, kernel: Kernel, whole: bool = False) -> KernelText:
        """The text of the kernel, see `emit_kernel`."""
        body = tiled(kernel)
        if not whole:
            body = in_column_chunks(with_longer_rows(kernel, body, self.target))
        body = crossed(kernel, interchanged(kernel, body))
        body = in_blocks(side_by_side(in_row_groups(kernel, body)))
        body = unwrapped(running_in_lanes(in_chunks(body)), True)
        body = in_choices(in_lengths(body, self.target), self.target.masked_sizes)
        if not whole:
            divided = divisible_loop(body)
            if divided is not None and is_much(work_of(body)):
                return self.divided_text("KERNEL", body, divided)
            self.parts = self.find_parts(kernel, body)
        thread_area: Size = 0
        for part in self.parts.values():
            thread_area = dim_max(thread_area, part.text.thread_area)
        if thread_area != 0:
            each = self.sizes.first(thread_area)
            offset = self.code.operation("mul", each, THREADS)
            self.area_start = self.code.gep("i8", AREA, offset)
        self.statements(body)
        self.finish()
        has_area = self.area != 0 or thread_area != 0
        parameters = [*self.given, *[AREA] * has_area, *[THREADS] * bool(self.parts)]
        builder = self.code.builder
        if self.parts:
            words = len(self.given) + max(part.words for part in self.parts.values())
            builder.lines.insert(0, f"  {FRAME} = alloca [{words} x i64], align 16")
        declared = ", ".join(f"{value.type} {value.text}" for value in parameters)
        function = builder.function(
            f"define internal void @KERNEL({declared}) {self.target.function_attributes}",
            plain=bool(self.parts) and self.is_short(body),
        )
        functions = [
            function,
            *(one for part in self.parts.values() for one in part.text.functions),
        ]
        return KernelText(tuple(functions), self.area, thread_area, divides=bool(self.parts))

    def is_short(self, body: Sequence[Statement]) -> bool:
        """Whether nothing is left, beside the parts, but to combine what they found in chunks."""
        loops = [item for item in body if isinstance(item, For) and id(item) not in self.parts]
        inner = [item for loop in loops for item in loop.body]
        partial = {item.name for item in body if isinstance(item, Scratch)}
        read = {
            part.buffer
            for value in values_of(inner)
            for part in walk(value)
            if isinstance(part, Load)
        }
        return (
            read <= partial
            and all(loop.kind == "serial" for loop in loops)
            and all(isinstance(item, Accumulate) for item in inner)
            and not VECTOR.search("\n".join(self.code.builder.lines))
        )

    def finish(self) -> None:
        """What stands at the end of a function, and at its beginning."""
        if self.streams:
            fence(self.memory, self.target)
        self.code.builder.line("ret void")
        if self.memory.safe_bytes:
            self.allocas.append(f"  {SAFE.text} = alloca [{self.memory.safe_bytes} x i8], align 64")
        for slot, size in enumerate(self.code.kept_bytes):
            self.allocas.append(f"  %kept.{slot} = alloca [{size} x i8], align 64")
        self.code.builder.lines[:0] = self.allocas

    def divided_text(self, name: str, body: Sequence[Statement], loop: For) -> KernelText:
        """@name, a function of a range of iterations of `loop`, which is all that takes time."""
        self.divided = loop
        self.statements(body)
        self.finish()
        words = [*self.given, *([parallel.AREA, parallel.STRIDE] if self.area != 0 else [])]
        self.code.builder.lines[:0] = parallel.loads(words)
        attributes = self.target.function_attributes
        text = self.code.builder.function(
            f"define internal void @{name}{parallel.RANGE} {attributes}"
        )
        grain = GRAIN if loop.kind == "vector" else 1
        division = Division(loop.extent, work_of(body), grain)
        return KernelText((text,), 0, self.area, division, divides=True)

    def range_text(self, kernel: Kernel) -> KernelText:
        """@KERNEL.range(parameters, sizes, area, i64 begin, i64 end)."""
        body = unwrapped(interchanged(kernel, tiled(kernel)))
        body = in_choices(body, self.target.masked_sizes)
        self.divided, self.in_tiles = divisible_loop(body), True
        self.statements(body)
        self.finish()
        parameters = [*self.given, *[AREA] * (self.area != 0), parallel.BEGIN, parallel.END]
        declared = ", ".join(f"{value.type} {value.text}" for value in parameters)
        signature = f"define internal void @KERNEL.range({declared})"
        text = self.code.builder.function(f"{signature} {self.target.function_attributes}")
        return KernelText((text,), self.area)

    # Parts

    def find_parts(self, kernel: Kernel, body: Sequence[Statement]) -> dict[int, _Part]:
        """The long loops that threads may share, outside of all other loops."""
        found: dict[int, _Part] = {}
        scratch: dict[str, Scratch] = {}
        known: dict[str, DType] = {}
        for item in body:
            match item:
                case Scratch(name=name):
                    scratch[name] = item
                case Let(name=name, value=value):
                    known[name] = value.dtype
                case Accumulator(name=name, dtype=dtype, position_name=position):
                    known[name] = dtype
                    if position is not None:
                        known[position] = int64
            if not isinstance(item, For) or divisible_loop([item]) is None:
                continue
            if not is_much(work_of([item])) or _is_narrow(item):
                continue
            arrays, locals_ = _used(item)
            arrays, locals_ = arrays & scratch.keys(), locals_ & known.keys()
            extra = [scratch[name] for name in scratch if name in arrays]
            parameters = [Parameter(s.name, s.dtype, s.shape, written=True) for s in extra]
            name = f"KERNEL.part{len(found)}"
            head = replace(kernel, parameters=(*kernel.parameters, *parameters))
            emitter = _KernelEmitter(head, self.target, self.streaming)
            live = [one for one in known if one in locals_]
            for number, one in enumerate(live):
                passed = Val(f"%live{number}", register_type(known[one]))
                emitter.given.append(passed)
                emitter.expressions.locals[one] = passed
            text = emitter.divided_text(name, [item], divisible_loop([item]) or item)
            found[id(item)] = _Part(name, text, tuple(s.name for s in extra), tuple(live))
        return found

    def call_part(self, part: _Part, loop: For) -> None:
        """The loop, by a function of its own."""
        count = len(self.symbols)
        pointers, sizes = (
            self.given[: len(self.given) - count],
            self.given[-count:] if count else [],
        )
        words = [*pointers, *(self.memory.arrays[name].pointer for name in part.scratch)]
        words += [*sizes, *(self.expressions.known(name) for name in part.live)]
        if part.text.thread_area != 0:
            words += [AREA, self.sizes.first(part.text.thread_area)]
        division = part.text.division
        assert division is not None
        units, work = self.sizes.first(division.units), self.sizes.first(division.work)
        what = Range(units, work, division.grain)
        divide(self.code.builder, part.name, FRAME, words, what, THREADS)
        for name in self.survey(loop.body).stored:
            self.memory.touch(name)

    # Statements

    def statements(self, items: Sequence[Statement]) -> None:
        waiting: Waiting = {}
        for number, item in enumerate(items):
            if isinstance(item, Store) and self._store_part(item, items[number + 1 :], waiting):
                continue
            match item:
                case Let(name=name, value=value):
                    self.expressions.locals[name] = self.expressions.value(value)
                case Store(buffer=buffer, index=index, value=value, accumulate=accumulate):
                    self.memory.store(buffer, index, self.expressions.value(value), accumulate)
                case Accumulator(name=name, combine=combine, dtype=dtype):
                    self.declare(name, combine, dtype, item.position_name)
                    if item.fused:
                        self.fused_sums.add(name)
                    else:  # the name may have been that of another one
                        self.fused_sums.discard(name)
                case Accumulate(name=name, value=value, position=position):
                    self.accumulate(name, value, position)
                case If(condition=condition, body=body):
                    self._if(self.expressions.value(condition), body)
                case Scratch(name=name, dtype=dtype):
                    self.memory.arrays[name] = self._scratch(item)
                case For() if id(item) in self.parts:
                    self.call_part(self.parts[id(item)], item)
                case For(kind="vector"):
                    self.vector_loop(item)
                case For():
                    self.scalar_loop(item)

    def _store_part(self, item: Store, following: Sequence[Statement], waiting: Waiting) -> bool:
        """Keep the value of one of the neighbours of each lane until the last one comes, and store
        all of them then."""
        part = self._part_of(item)
        if part is None:
            return False
        key = item.buffer, part.start
        others = waiting.get(key)
        if others is None:
            straight = itertools.takewhile(lambda s: isinstance(s, Let | Store), following)
            stores = [s for s in straight if isinstance(s, Store) and s.buffer == item.buffer]
            parts = [part, *map(self._part_of, stores[: part.number - 1])]
            found = {one.which for one in parts if one and one.start == part.start}
            if len(parts) != part.number or len(found) != part.number:
                return False
            others = waiting[key] = {}
        others[part.which] = self.expressions.value(item.value)
        if len(others) == part.number:
            values = [others[which] for which in range(part.number)]
            self.memory.store_parts(item.buffer, part.start, values)
            del waiting[key]
        return True

    def _part_of(self, item: Store) -> Part | None:
        if item.accumulate:
            return None
        return self.memory.part(self.memory.arrays[item.buffer], item.index)

    def _if(self, condition: Val, body: Sequence[Statement]) -> None:
        if condition.lanes > 1:
            self.memory.conditions.append(condition)
            self.statements(body)
            self.memory.conditions.pop()
            return
        facts = self.survey(tuple(body))
        names = [name for name in facts.accumulated if name in self.states]

        def inside() -> list[Val]:
            self.statements(body)
            return self.flat(names)

        known = [*self.states]
        merged = self.code.branch(condition, self.flat(names), inside, stored=facts.stored)
        self.restore(names, merged)
        for name in [*self.states]:
            if name not in known:  # another body may have one of that name
                del self.states[name]

    def _scratch(self, item: Scratch) -> Array:
        lanes = self.sizes.lanes
        count = size_product(item.shape) * lanes
        size = count * item.dtype.itemsize
        if isinstance(size, int) and self.stack_bytes + size <= STACK_BYTES:
            self.stack_bytes += size
            pointer = Val(self.code.builder.fresh("scratch"), "ptr")
            type = memory_type(item.dtype)
            self.allocas.append(f"  {pointer.text} = alloca [{count} x {type}], align 64")
        else:
            pointer = self.code.gep("i8", self.area_start, self.sizes.first(self.area))
            self.area = self.area + ceil_div(size, 64) * 64
        return Array(item.name, pointer, item.dtype, item.shape, lanes, is_scratch=True)


def _used(loop: For) -> tuple[set[str], set[str]]:
    """The arrays and the locals that a loop uses."""
    arrays, locals_ = set(survey(loop.body).stored), set()
    for value in values_of([loop]):
        for part in walk(value):
            if isinstance(part, Load):
                arrays.add(part.buffer)
            elif isinstance(part, Local):
                locals_.add(part.name)
    return arrays, locals_


def _identifier(prefix: str, name: str, position: int) -> str:
    if name.isascii() and name.replace("_", "0").isalnum():
        return f"{prefix}.{name}"
    return f"{prefix}{position}"
