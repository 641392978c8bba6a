"""Loops that hand numbers from step to step: the numbers stay in registers.

    define internal void @name(ptr buffers..., i64 sizes...)

A loop whose carries hold one element each, and whose body is a row of kernels without loops of
their own, becomes one function. What a step waits for is then the arithmetic between one state
and the next: no memory, no calls, and functions in their shortest form (`TextBuilder.waits`). Long
loops run in pieces side by side (speculative.py).
"""

from collections.abc import Sequence
from typing import NamedTuple

from graphc.backends.llvm.chain import FRAMED, ChainEmitter, straight
from graphc.backends.llvm.parallel import BEGIN, END
from graphc.backends.llvm.scalar_ops import from_memory, memory_type, to_memory
from graphc.backends.llvm.speculative import LanesEmitter, calling_function, may_speculate
from graphc.backends.llvm.target import Target
from graphc.backends.llvm.text import FunctionText, Val
from graphc.loops.ir import KernelCall, Loop, Program, written_buffers
from graphc.shapes import Dim, Size, size_product


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
    if any(carry.is_in_place for carry in step.carries):
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
    if any(straight(call.kernel) is None for call in calls):
        return None
    stored = frozenset(written)
    if may_speculate(step, calls, stored, buffers):
        chain = _SerialEmitter(program, step, target, values)
        lanes = LanesEmitter(program, step, target, values)
        serial = chain.emit_framed(calls, stored)
        lanes.pointers = chain.pointers  # one frame
        side_by_side = lanes.emit(calls, stored)
        if side_by_side is not None:
            framed = tuple(chain.pointers)
            whole, used = calling_function(step, framed, chain.names, buffers, target)
            return CarriedLoop((whole, serial, side_by_side), True, used, chain.names)
    return _SerialEmitter(program, step, target, values).emit(calls, stored)


def _kernel_sizes(calls: Sequence[KernelCall], symbols: Sequence[str]) -> dict[str, Size] | None:
    """What the names of the kernels' sizes stand for; None if kernels and program disagree."""
    values: dict[str, Size] = {}
    own = {name: Dim.symbol(name) for name in symbols}
    for call in calls:
        for name, size in zip(call.kernel.sizes, call.sizes, strict=True):
            if values.setdefault(name, size) != size or own.get(name, size) != size:
                return None
    return values


class _SerialEmitter(ChainEmitter):
    """One step after the other."""

    def emit(self, calls: Sequence[KernelCall], written: frozenset[str]) -> CarriedLoop:
        builder, carries = self.code.builder, self.step.carries
        initial = []
        for carry in carries:
            dtype, start = self.buffer(carry.initial).dtype, self.pointer(carry.initial)
            initial.append(
                from_memory(builder, builder.load(start.text, memory_type(dtype)), dtype)
            )
        bounds = self.code.constant(0, "i64"), self.sizes.first(self.step.length)
        ends = self.steps(calls, written, bounds, initial, self._runs(self.step.length))
        for carry, value in zip(carries, ends, strict=True):
            stored = to_memory(builder, value, self.buffer(carry.final).dtype)
            builder.store(stored, self.pointer(carry.final).text)
        builder.line("ret void")
        parameters = ", ".join(f"{one.type} {one.text}" for one in self.words())
        function = self.function("KERNEL", parameters)
        return CarriedLoop((function,), False, tuple(self.pointers), self.names)

    def emit_framed(self, calls: Sequence[KernelCall], written: frozenset[str]) -> FunctionText:
        """@KERNEL.serial: some of the steps, between states in memory."""
        builder = self.code.builder
        dtypes = [self.buffer(carry.initial).dtype for carry in self.step.carries]
        places = [
            Val(builder.value(f"getelementptr i64, ptr %state, i64 {number}"), "ptr")
            for number in range(len(dtypes))
        ]
        initial = [
            from_memory(builder, builder.load(at.text, memory_type(dtype)), dtype)
            for at, dtype in zip(places, dtypes, strict=True)
        ]
        ends = self.steps(calls, written, (BEGIN, END), initial, None)
        for at, value, dtype in zip(places, ends, dtypes, strict=True):
            builder.store(to_memory(builder, value, dtype), at.text)
        builder.line("ret void")
        return self.function("KERNEL.serial", FRAMED)
