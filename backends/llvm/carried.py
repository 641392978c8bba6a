"""Loops that hand numbers from step to step: the numbers stay in registers.

    define internal void @name(ptr buffers..., i64 sizes...)

A loop whose carries hold one element each, and whose body is a row of kernels without loops of
their own, becomes one function. What a step waits for is then the arithmetic between one state
and the next: no memory, no calls, and functions in their shortest form (`TextBuilder.waits`). Long
loops run in pieces side by side (speculative.py).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from graphc.backends.llvm.addresses import Array
from graphc.backends.llvm.loops import LoopEmitter
from graphc.backends.llvm.parallel import BEGIN, END, loads
from graphc.backends.llvm.scalar_ops import from_memory, memory_type, to_memory
from graphc.backends.llvm.speculative import (
    Chain,
    calling_function,
    chain,
    lanes_of,
    load_states,
    may_speculate,
    store_states,
    write_lanes,
)
from graphc.backends.llvm.target import Target
from graphc.backends.llvm.text import FunctionText, Val
from graphc.dtypes import is_half
from graphc.loops.ir import (
    Buffer,
    Carry,
    Kernel,
    KernelCall,
    Let,
    Loop,
    Program,
    Store,
    written_buffers,
)
from graphc.scalar.expr import Expr, Load, transform
from graphc.shapes import Dim, Size, size_product, symbols_of

NOWHERE = Val("null", "ptr")


class CarriedLoop(NamedTuple):
    """A function named @KERNEL of the pointers to `buffers` and the values of `sizes`, and what it
    calls. speculates: the routine of speculative.py is among that."""

    functions: tuple[FunctionText, ...]
    speculates: bool
    buffers: tuple[str, ...]
    sizes: tuple[str, ...]


def carried_loop(program: Program, step: Loop, target: Target) -> CarriedLoop | None:
    """The loop as a function, if its carries fit into registers."""
    calls = [item for item in step.body if isinstance(item, KernelCall)]
    values = _kernel_sizes(calls, (*program.sizes, *program.counts))
    if len(calls) < len(step.body) or not step.carries or values is None:
        return None
    buffers = program.buffers
    states = [name for carry in step.carries for name in (carry.state, carry.following)]
    if any(size_product(buffers[name].shape) != 1 for name in states):
        return None
    written = {name for call in calls for name in written_buffers(call)}
    if any(buffers[name].role == "heap" for name in written):
        return None
    if not all(carry.following in written for carry in step.carries):
        return None
    if any(_straight(call.kernel) is None for call in calls):
        return None
    stored = frozenset(written)
    if may_speculate(step, calls, stored, buffers):
        found = _Emitter(program, step, target, values).emit_pieces(calls, stored)
        if found is not None:
            return found
    return _Emitter(program, step, target, values).emit(calls, stored)


def _straight(kernel: Kernel) -> list[Let | Store] | None:
    """The statements of a kernel that only computes and stores."""
    plain = [
        item
        for item in kernel.body
        if isinstance(item, Let) or (isinstance(item, Store) and not item.accumulate)
    ]
    return plain if len(plain) == len(kernel.body) else None


def _kernel_sizes(calls: Sequence[KernelCall], symbols: Sequence[str]) -> dict[str, Size] | None:
    """What the names of the kernels' sizes stand for; None if kernels and program disagree."""
    values: dict[str, Size] = {}
    own = {name: Dim.symbol(name) for name in symbols}
    for call in calls:
        for name, size in zip(call.kernel.sizes, call.sizes, strict=True):
            if values.setdefault(name, size) != size or own.get(name, size) != size:
                return None
    return values


class _Emitter(LoopEmitter):
    def __init__(
        self, program: Program, step: Loop, target: Target, values: Mapping[str, Size]
    ) -> None:
        super().__init__(target)
        self.code.builder.waits = True
        self.program = program
        self.step = step
        self.values = values
        self.pointers: dict[str, Val] = {}
        self.rows: dict[str, Val] = {}  # where the views of the present step lie
        self.names = self._symbols()
        for name in self.names:
            self.sizes.symbols[name] = Val(f"%s{len(self.sizes.symbols)}", "i64")
        self.held = {name for carry in step.carries for name in (carry.state, carry.following)}

    def buffer(self, name: str) -> Buffer:
        return self.program.buffers[name]

    def pointer(self, name: str) -> Val:
        """The parameter that points to a buffer."""
        found = self.pointers.get(name)
        if found is None:
            found = self.pointers[name] = Val(f"%b{len(self.pointers)}", "ptr")
        return found

    def emit(self, calls: Sequence[KernelCall], written: frozenset[str]) -> CarriedLoop:
        """One step after the other."""
        builder, carries = self.code.builder, self.step.carries
        zero, length = self.code.constant(0, "i64"), self.sizes.first(self.step.length)
        initial = [self._initial(carry) for carry in carries]
        ends, _ = self._steps(calls, written, (zero, length), initial)
        for carry, value in zip(carries, ends, strict=True):
            stored = to_memory(builder, value, self.buffer(carry.final).dtype)
            builder.store(stored, self.pointer(carry.final).text)
        builder.line("ret void")
        parameters = ", ".join(f"{one.type} {one.text}" for one in self._words())
        function = self._function(f"@KERNEL({parameters})")
        return CarriedLoop((function,), False, tuple(self.pointers), self.names)

    def emit_pieces(
        self, calls: Sequence[KernelCall], written: frozenset[str]
    ) -> CarriedLoop | None:
        """In pieces side by side, if a step is short enough for that."""
        builder, step, buffers = self.code.builder, self.step, self.program.buffers
        dtypes = [buffers[carry.initial].dtype for carry in step.carries]
        initial = load_states(builder, 0, dtypes)
        ends, text = self._steps(calls, written, (BEGIN, END), initial)
        lanes = lanes_of(text.body)
        if not lanes:
            return None
        store_states(builder, 0, ends, dtypes)
        builder.line("ret void")
        parameters = "ptr %frame, ptr %state, i64 %begin, i64 %end"
        serial = self._function(f"@KERNEL.serial({parameters})")
        write_lanes(builder, text, lanes, dtypes)
        side_by_side = self._function(f"@KERNEL.lanes({parameters}, i64 %stride, i64 %keep)")
        whole, used = calling_function(
            step, tuple(self.pointers), self.names, lanes, buffers, self.target
        )
        return CarriedLoop((whole, serial, side_by_side), True, used, self.names)

    def _steps(
        self,
        calls: Sequence[KernelCall],
        written: frozenset[str],
        bounds: tuple[Val, Val],
        initial: Sequence[Val],
    ) -> tuple[list[Val], Chain]:
        """The loop: the last states, and its text."""
        step, code = self.step, self.code
        known = {name: self.sizes.first(size) for name, size in self.values.items()}
        length = self.sizes.first(step.length)
        last = code.operation("sub", length, code.constant(1, "i64"))
        widths = {view: self.sizes.first(self._bytes(view)) for view, _ in step.slices}
        given: list[Val] = []
        results: list[Val] = []

        def body(index: Val, states: list[Val]) -> list[Val]:
            row = code.operation("sub", last, index) if step.reverse else index
            for view, buffer in step.slices:
                start, offset = self.pointer(buffer), code.operation("mul", row, widths[view])
                self.rows[view] = code.gep("i8", start, offset)
            names = [carry.state for carry in step.carries]
            self.memory.registers = dict(zip(names, states, strict=True))
            self.sizes.symbols.update(known)
            for call in calls:
                self._kernel(call)
            given.extend((index, *states))
            results.extend(self.memory.registers[carry.following] for carry in step.carries)
            return results

        start, end = bounds
        runs = self._runs(step.length)
        ends = code.loop(start, end, 1, initial, body, stored=written, runs=runs)
        rows = [(self.rows[view], self._bytes(view)) for view, _ in step.slices if view in written]
        return ends, chain(code.builder.lines, given, results, rows)

    def _words(self) -> list[Val]:
        """What the function is given."""
        return [*self.pointers.values(), *(self.sizes.symbols[name] for name in self.names)]

    def _function(self, head: str) -> FunctionText:
        lines = self.code.builder.lines
        if "%frame" in head:
            lines[:0] = loads(self._words())
        safe = self.memory.safe_bytes
        if safe:
            lines.insert(0, f"  %safe = alloca [{safe} x i8], align 64")
        return self.code.builder.function(
            f"define internal void {head} {self.target.function_attributes}"
        )

    def _symbols(self) -> tuple[str, ...]:
        """The program's sizes that the loop needs."""
        sizes = [self.step.length, *(self._bytes(view) for view, _ in self.step.slices)]
        found = set[str]().union(*map(symbols_of, [*sizes, *self.values.values()]))
        return tuple(name for name in (*self.program.sizes, *self.program.counts) if name in found)

    def _bytes(self, name: str) -> Size:
        buffer = self.buffer(name)
        return size_product(buffer.shape) * buffer.dtype.itemsize

    def _initial(self, carry: Carry) -> Val:
        builder, dtype = self.code.builder, self.buffer(carry.initial).dtype
        start = self.pointer(carry.initial)
        return from_memory(builder, builder.load(start.text, memory_type(dtype)), dtype)

    def _kernel(self, call: KernelCall) -> None:
        """The statements of a kernel, whose parameters go by the names of the buffers."""
        buffers: dict[str, str] = {}
        for parameter, name in zip(call.kernel.parameters, call.arguments, strict=True):
            buffers[parameter.name] = name
            pointer = self.rows.get(name) or self._unless_held(name)
            self.memory.arrays[name] = Array(name, pointer, parameter.dtype, parameter.shape)

        def rename(expr: Expr) -> Expr | None:
            if not isinstance(expr, Load):
                return None
            index = tuple(transform(item, rename) for item in expr.index)
            return Load(buffers[expr.buffer], index, expr.dtype)

        for item in _straight(call.kernel) or ():
            value = self.expressions.value(transform(item.value, rename))
            if isinstance(item, Let):
                self.expressions.locals[item.name] = value
            else:
                index = tuple(transform(one, rename) for one in item.index)
                self._store(buffers[item.buffer], index, value)

    def _unless_held(self, name: str) -> Val:
        """The pointer to a buffer; of carries, which are in no memory, any."""
        return NOWHERE if name in self.held else self.pointer(name)

    def _store(self, name: str, index: Sequence[Expr], value: Val) -> None:
        builder, dtype = self.code.builder, self.buffer(name).dtype
        if name not in self.held:
            self.memory.store(name, index, value, accumulate=False)
        if size_product(self.buffer(name).shape) == 1:
            kept = from_memory(builder, to_memory(builder, value, dtype), dtype)
            self.memory.registers[name] = kept if is_half(dtype) else value
