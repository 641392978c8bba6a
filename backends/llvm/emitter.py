"""A kernel as one LLVM function.

    define internal void @name(ptr parameters..., i64 sizes..., ptr %area, i64 %threads)

`%area` is there if the kernel needs more scratch memory than the stack should hold; `%threads` if
its work may be divided, which is then done by functions of their own (parallel.py). Everything in
a scalar context is scalar code. Inside a vector loop a value is a scalar as long as all lanes
agree on it, and becomes a vector where it meets one.
"""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from graphc.backends.llvm.access import SAFE
from graphc.backends.llvm.addresses import Array
from graphc.backends.llvm.interchange import interchanged
from graphc.backends.llvm.lanes import survey
from graphc.backends.llvm.loops import BEGIN, END, LoopEmitter
from graphc.backends.llvm.parallel import (
    GRAIN,
    LITTLE,
    Range,
    dividing_functions,
    divisible_loop,
    work_of,
)
from graphc.backends.llvm.scalar_ops import memory_type
from graphc.backends.llvm.scopes import Code
from graphc.backends.llvm.sizes import Sizes
from graphc.backends.llvm.streaming import Streaming, fence
from graphc.backends.llvm.target import Target
from graphc.backends.llvm.text import FunctionText, Val
from graphc.backends.llvm.tiling import tiled
from graphc.loops.epilogues import row_loop
from graphc.loops.ir import (
    Accumulate,
    Accumulator,
    For,
    If,
    Kernel,
    Let,
    Scratch,
    Statement,
    Store,
)
from graphc.shapes import Size, ceil_div, size_product

STACK_BYTES = 32768  # of scratch memory; more comes from the area
AREA = Val("%area", "ptr")


@dataclass(frozen=True, slots=True)
class KernelText:
    """function: named @KERNEL, see `named`. area: bytes of scratch memory, in the kernel's sizes,
    of each thread. divides: whether the work may be divided among threads.
    """

    function: FunctionText
    area: Size
    divides: bool = False

    def named(self, name: str) -> FunctionText:
        text = self.function.text.replace("@KERNEL", f"@{name}")
        return FunctionText(text, self.function.declarations, self.function.definitions)


def emit_kernel(kernel: Kernel, target: Target) -> KernelText:
    return _KernelEmitter(kernel, target).emit()


def emit_range(kernel: Kernel, target: Target) -> KernelText | None:
    """@KERNEL.range alone, over the outermost loop of the kernel; None if it has none to divide."""
    divided, whole = divisible_loop(tiled(kernel)), row_loop(kernel.body)
    if divided is None or whole is None:
        return None
    if (divided.axis, divided.extent) != (whole.axis, whole.extent):
        return None
    return _KernelEmitter(kernel, target).emit(alone=True)


class _KernelEmitter(LoopEmitter):
    def __init__(self, kernel: Kernel, target: Target) -> None:
        super().__init__(target)
        self.kernel = kernel
        self.streaming: Streaming | None = Streaming(kernel, target)
        self.allocas: list[str] = []
        self.stack_bytes = 0
        self.area: Size = 0

    def emit(self, alone: bool = False) -> KernelText:
        """alone: the function of a range, and none that calls it. Its arrays are in the cache."""
        if alone:
            self.streaming = None
        parameters: list[Val] = []
        for position, parameter in enumerate(self.kernel.parameters):
            pointer = Val(f"%{_identifier('p', parameter.name, position)}", "ptr")
            parameters.append(pointer)
            self.memory.arrays[parameter.name] = Array(
                parameter.name, pointer, parameter.dtype, parameter.shape
            )
        for position, name in enumerate(self.kernel.sizes):
            size = Val(f"%{_identifier('s', name, position)}", "i64")
            parameters.append(size)
            self.sizes.symbols[name] = size
        given = dict(self.sizes.symbols)
        body = interchanged(self.kernel, tiled(self.kernel))
        work = work_of(body)
        if alone or not isinstance(work, int) or work > LITTLE:
            self.divided = divisible_loop(body)
        self.statements(body)
        if self.streams:
            fence(self.memory, self.target)
        self.code.builder.line("ret void")
        if self.memory.safe_bytes:
            self.allocas.append(f"  {SAFE.text} = alloca [{self.memory.safe_bytes} x i8], align 64")
        if self.area != 0:
            parameters.append(AREA)
        self.code.builder.lines[:0] = self.allocas
        attributes = self.target.function_attributes
        if self.divided is None:
            signature = f"define internal void @KERNEL({_declared(parameters)}) {attributes}"
            return KernelText(self.code.builder.function(signature), self.area)
        declared = _declared([*parameters, BEGIN, END])
        signature = f"define internal void @KERNEL.range({declared}) {attributes}"
        ranged = self.code.builder.function(signature)
        if alone:
            return KernelText(ranged, self.area, divides=True)
        whole = dividing_functions(
            "KERNEL", parameters, lambda code: self._measure(code, given, work), attributes
        )
        text = FunctionText(
            f"{ranged.text}\n{whole.text}",
            ranged.declarations | whole.declarations,
            ranged.definitions | whole.definitions,
        )
        return KernelText(text, self.area, divides=True)

    def _measure(self, code: Code, given: dict[str, Val], work: Size) -> Range:
        assert self.divided is not None
        sizes = Sizes(code)
        sizes.symbols.update(given)
        return Range(
            sizes.first(self.divided.extent),
            sizes.first(work),
            GRAIN if self.divided.kind == "vector" else 1,
            None if self.area == 0 else sizes.first(self.area),
        )

    # Statements

    def statements(self, items: Sequence[Statement]) -> None:
        waiting: dict[tuple[str, Size], tuple[int, Val]] = {}  # halves whose pair is not complete
        for number, item in enumerate(items):
            if isinstance(item, Store) and self._store_half(item, items[number + 1 :], waiting):
                continue
            match item:
                case Let(name=name, value=value):
                    self.expressions.locals[name] = self.expressions.value(value)
                case Store(buffer=buffer, index=index, value=value, accumulate=accumulate):
                    self.memory.store(buffer, index, self.expressions.value(value), accumulate)
                case Accumulator(name=name, combine=combine, dtype=dtype):
                    self.declare(name, combine, dtype, item.position_name)
                case Accumulate(name=name, value=value, position=position):
                    self.accumulate(name, value, position)
                case If(condition=condition, body=body):
                    self._if(self.expressions.value(condition), body)
                case Scratch(name=name, dtype=dtype):
                    self.memory.arrays[name] = self._scratch(item)
                case For(kind="vector"):
                    self.vector_loop(item)
                case For():
                    self.scalar_loop(item)

    def _store_half(
        self,
        item: Store,
        following: Sequence[Statement],
        waiting: dict[tuple[str, Size], tuple[int, Val]],
    ) -> bool:
        """Keep the value of half a pair until the other half comes, and store both then."""
        half = self._half_of(item)
        if half is None:
            return False
        start, side = half
        other = waiting.pop((item.buffer, start), None)
        if other is None:
            straight = itertools.takewhile(lambda s: isinstance(s, Let | Store), following)
            stores = [s for s in straight if isinstance(s, Store) and s.buffer == item.buffer]
            halves = [self._half_of(one) for one in stores[:1]]
            if halves != [(start, 1 - side)]:
                return False
            waiting[(item.buffer, start)] = side, self.expressions.value(item.value)
            return True
        values = {side: self.expressions.value(item.value), other[0]: other[1]}
        self.memory.store_pair(item.buffer, start, (values[0], values[1]))
        return True

    def _half_of(self, item: Store) -> tuple[Size, int] | None:
        if item.accumulate:
            return None
        return self.memory.half(self.memory.arrays[item.buffer], item.index)

    def _if(self, condition: Val, body: Sequence[Statement]) -> None:
        if condition.lanes > 1:
            self.memory.conditions.append(condition)
            self.statements(body)
            self.memory.conditions.pop()
            return
        facts = survey(tuple(body))
        names = [name for name in facts.accumulated if name in self.states]

        def inside() -> list[Val]:
            self.statements(body)
            return self.flat(names)

        merged = self.code.branch(condition, self.flat(names), inside, stored=facts.stored)
        self.restore(names, merged)

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
            pointer = self.code.gep("i8", AREA, self.sizes.first(self.area))
            self.area = self.area + ceil_div(size, 64) * 64
        return Array(item.name, pointer, item.dtype, item.shape, lanes, is_scratch=True)


def _declared(parameters: Sequence[Val]) -> str:
    return ", ".join(f"{value.type} {value.text}" for value in parameters)


def _identifier(prefix: str, name: str, position: int) -> str:
    if re.fullmatch(r"[A-Za-z0-9_]+", name):
        return f"{prefix}.{name}"
    return f"{prefix}{position}"
