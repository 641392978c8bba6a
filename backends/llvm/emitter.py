"""A kernel as one LLVM function.

    define internal void @name(ptr parameters..., i64 sizes..., ptr %area)

`%area` is there if the kernel needs more scratch memory than the stack should hold. Everything in
a scalar context is scalar code. Inside a vector loop a value is a scalar as long as all lanes
agree on it, and becomes a vector where it meets one.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from graphc.backends.llvm.access import SAFE, Array
from graphc.backends.llvm.accumulate import Combination
from graphc.backends.llvm.expressions import Expressions
from graphc.backends.llvm.lanes import Body, Piece, pieces, survey
from graphc.backends.llvm.scalar_ops import emit_operation, memory_type
from graphc.backends.llvm.scopes import Code, is_constant
from graphc.backends.llvm.sizes import Sizes
from graphc.backends.llvm.target import Target
from graphc.backends.llvm.text import FunctionText, Val
from graphc.backends.llvm.tiling import tiled
from graphc.dtypes import DType
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
from graphc.scalar.expr import Expr
from graphc.shapes import Size, ceil_div, size_product

BLOCK = 256  # iterations of a loop whose float32 sum is kept apart from the total
STACK_BYTES = 32768  # of scratch memory; more comes from the area
AREA = Val("%area", "ptr")


@dataclass(frozen=True, slots=True)
class KernelText:
    """function: named @NAME, see `named`. area: bytes of scratch memory, in the kernel's sizes."""

    function: FunctionText
    area: Size

    def named(self, name: str) -> FunctionText:
        text = self.function.text.replace("@KERNEL(", f"@{name}(", 1)
        return FunctionText(text, self.function.declarations, self.function.definitions)


def emit_kernel(kernel: Kernel, target: Target) -> KernelText:
    return _KernelEmitter(kernel, target).emit()


class _KernelEmitter:
    def __init__(self, kernel: Kernel, target: Target) -> None:
        self.kernel = kernel
        self.target = target
        self.code = Code(has_fma=target.has_fma)
        self.sizes = Sizes(self.code)
        self.expressions = Expressions(self.code, self.sizes)
        self.value = self.expressions.value
        self.states = self.expressions.states
        self.memory = self.expressions.memory
        self.memory.add = self._add  # type: ignore[method-assign]
        self.memory.hardware_gather = target.vector_bytes == 64
        self.combinations: dict[str, Combination] = {}
        self.allocas: list[str] = []
        self.stack_bytes = 0
        self.area: Size = 0

    def emit(self) -> KernelText:
        parameters: list[str] = []
        for position, parameter in enumerate(self.kernel.parameters):
            pointer = Val(f"%{_identifier('p', parameter.name, position)}", "ptr")
            parameters.append(f"ptr {pointer.text}")
            self.memory.arrays[parameter.name] = Array(
                parameter.name, pointer, parameter.dtype, parameter.shape
            )
        for position, name in enumerate(self.kernel.sizes):
            size = Val(f"%{_identifier('s', name, position)}", "i64")
            parameters.append(f"i64 {size.text}")
            self.sizes.symbols[name] = size
        self.statements(tiled(self.kernel))
        self.code.builder.line("ret void")
        if self.memory.safe_bytes:
            self.allocas.append(f"  {SAFE.text} = alloca [{self.memory.safe_bytes} x i8], align 64")
        if self.area != 0:
            parameters.append(f"ptr {AREA.text}")
        self.code.builder.lines[:0] = self.allocas
        attributes = self.target.function_attributes
        signature = f"define internal void @KERNEL({', '.join(parameters)}) {attributes}"
        return KernelText(self.code.builder.function(signature), self.area)

    # Statements

    def statements(self, items: Sequence[Statement]) -> None:
        for item in items:
            match item:
                case Let(name=name, value=value):
                    self.expressions.locals[name] = self.value(value)
                case Store(buffer=buffer, index=index, value=value, accumulate=accumulate):
                    self.memory.store(buffer, index, self.value(value), accumulate)
                case Accumulator(name=name, combine=combine, dtype=dtype):
                    self._declare(name, combine, dtype, item.position_name)
                case Accumulate(name=name, value=value, position=position):
                    self._accumulate(name, value, position)
                case If(condition=condition, body=body):
                    self._if(self.value(condition), body)
                case Scratch(name=name, dtype=dtype):
                    self.memory.arrays[name] = self._scratch(item)
                case For(kind="vector"):
                    self._vector_loop(item)
                case For():
                    self._scalar_loop(item)

    def _declare(self, name: str, combine: str, dtype: DType, position_name: str | None) -> None:
        combination = Combination(combine, dtype)
        self.combinations[name] = combination
        self.states[name] = combination.identity(self.code, self.sizes.lanes)
        self.expressions.locals.pop(name, None)
        if position_name is not None:
            self.expressions.positions[position_name] = name
            self.expressions.locals.pop(position_name, None)

    def _accumulate(self, name: str, value: Expr, position: Expr | None) -> None:
        old = self.states[name]
        lanes = old[0].lanes
        element = self.code.splat(self.value(value), lanes)
        place = None if position is None else self.code.splat(self.value(position), lanes)
        combination = self.combinations[name]
        new = combination.step(self.code, old, element, place)
        self.states[name] = combination.masked(self.code, self.memory.lane_mask(), new, old)

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
            return self._flat(names)

        merged = self.code.branch(condition, self._flat(names), inside, stored=facts.stored)
        self._restore(names, merged)

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
        return Array(item.name, pointer, item.dtype, item.shape, lanes)

    # Loops

    def _flat(self, names: Sequence[str]) -> list[Val]:
        return [value for name in names for value in self.states[name]]

    def _restore(self, names: Sequence[str], values: list[Val]) -> None:
        position = 0
        for name in names:
            count = len(self.states[name])
            self.states[name] = values[position : position + count]
            position += count

    def _loop(
        self,
        start: Val,
        end: Val,
        step: int,
        facts: Body,
        names: Sequence[str],
        body: Callable[[Val], None],
        runs: Callable[[], Val] | None,
    ) -> None:
        """A loop around which the states of the accumulators `names` are carried."""

        def inside(index: Val, values: list[Val]) -> list[Val]:
            self._restore(names, values)
            body(index)
            return self._flat(names)

        values = self.code.loop(
            start, end, step, self._flat(names), inside, stored=facts.stored, runs=runs
        )
        self._restore(names, values)

    def _summing_loop(
        self,
        start: Val,
        end: Val,
        step: int,
        facts: Body,
        names: Sequence[str],
        body: Callable[[Val], None],
        runs: Callable[[], Val] | None,
        trips: int | None,
    ) -> None:
        """As `_loop`, but long float32 sums are made of sums over blocks of iterations."""
        sums = [name for name in names if self.combinations[name].is_inexact_sum]
        if not sums or (trips is not None and trips <= 2 * BLOCK):
            self._loop(start, end, step, facts, names, body, runs)
            return
        code = self.code

        def block(first: Val) -> None:
            totals = {name: self.states[name] for name in sums}
            for name in sums:
                self.states[name] = self.combinations[name].identity(code, totals[name][0].lanes)
            behind = code.operation("add", first, code.constant(BLOCK * step, "i64"))
            last = self.sizes.extremum("smin", behind, end)
            self._loop(first, last, step, facts, names, body, None)
            for name in sums:
                self.states[name] = self.combinations[name].merge(
                    code, totals[name], self.states[name]
                )

        self._loop(start, end, BLOCK * step, facts, names, block, runs)

    def _runs(self, extent: Size) -> Callable[[], Val] | None:
        """What tells whether a loop runs at all; None if it surely does."""
        if isinstance(extent, int):
            return None

        def emit() -> Val:
            n, zero = self.sizes.first(extent), self.code.constant(0, "i64")
            builder = self.code.builder
            return self.code.pure(("runs", n.text), (n,), lambda: builder.icmp("sgt", n, zero))

        return emit

    def _scalar_loop(self, loop: For) -> None:
        extent = loop.extent
        if isinstance(extent, int) and extent <= 0:
            return
        self.memory.extents[loop.axis] = extent
        zero = self.code.constant(0, "i64")
        if extent == 1:
            self.sizes.symbols[loop.axis] = zero
            self.statements(loop.body)
            return
        facts = survey(loop.body)
        names = [name for name in facts.accumulated if name in self.states]

        def body(index: Val) -> None:
            self.sizes.symbols[loop.axis] = index
            self.statements(loop.body)

        trips = extent if isinstance(extent, int) else None
        end = self.sizes.first(extent)
        self._summing_loop(zero, end, 1, facts, names, body, self._runs(extent), trips)

    def _vector_loop(self, loop: For) -> None:
        facts = survey(loop.body)
        names = [name for name in facts.accumulated if name in self.states]
        outer = {name: self.states[name] for name in names}
        cut = pieces(loop.extent, facts, self.target)
        if not cut:
            return
        self.memory.extents[loop.axis] = loop.extent
        self.sizes.vector_axis, self.sizes.lane_bytes = loop.axis, facts.element_bytes
        for name in names:
            self.states[name] = self.combinations[name].identity(self.code, cut[0].lanes)
        done = self.code.constant(0, "i64")
        for piece in cut:
            for name in names:
                self.states[name] = self.combinations[name].narrow(
                    self.code, self.states[name], piece.lanes
                )
            done = self._piece(loop, facts, names, piece, done)
        self.sizes.vector_axis, self.sizes.lanes = None, 1
        for name in names:
            combination = self.combinations[name]
            state = combination.narrow(self.code, self.states[name], 1)
            self.states[name] = combination.merge(self.code, outer[name], state)

    def _piece(self, loop: For, facts: Body, names: list[str], piece: Piece, done: Val) -> Val:
        """Emit one piece of a vector loop behind element `done`; returns its end."""
        self.sizes.lanes = piece.lanes
        extent = self.sizes.first(loop.extent)
        end, trips = self._end(piece, extent)

        def body(index: Val) -> None:
            self.sizes.symbols[loop.axis] = index
            if piece.masked:
                self.memory.tail = self._tail(index, extent)
            self.statements(loop.body)
            self.memory.tail = None

        if trips == 1:
            body(done)
            return end
        runs = self._runs(loop.extent)
        self._summing_loop(done, end, piece.lanes, facts, names, body, runs, trips)
        return end

    def _end(self, piece: Piece, extent: Val) -> tuple[Val, int | None]:
        """Where a piece ends, and how often it runs, if that is known."""
        if piece.stop is not None and piece.start is not None:
            trips = -(-(piece.stop - piece.start) // piece.lanes)
            return self.code.constant(piece.stop, "i64"), trips
        if piece.start is None:
            return extent, 0  # a few at most: no need for blocks
        whole = self.code.constant(-piece.lanes, "i64")
        return self.code.operation("and", extent, whole), None

    def _tail(self, index: Val, extent: Val) -> Val:
        """The mask of the lanes that lie before the end of the loop."""
        if is_constant(index) and is_constant(extent):
            left, lanes = int(extent.text) - int(index.text), self.sizes.lanes
            bits = ", ".join(f"i1 {str(k < left).lower()}" for k in range(lanes))
            return Val(f"<{bits}>", "i1", lanes)
        return self.sizes.lanes_where("slt", self.code.operation("sub", extent, index))

    def _add(self, dtype: DType, x: Val, y: Val) -> Val:
        return emit_operation(self.code.builder, "add", (x, y), dtype, dtype)


def _identifier(prefix: str, name: str, position: int) -> str:
    if re.fullmatch(r"[A-Za-z0-9_]+", name):
        return f"{prefix}.{name}"
    return f"{prefix}{position}"
