"""What all steps of an entry are written with: buffers, kernels, scratch memory."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace

from graphc.backends.llvm.emitter import FRAME
from graphc.backends.llvm.gemm_kept import Kept
from graphc.backends.llvm.heap import NO_MEMORY, HeapTable, use_grow
from graphc.backends.llvm.kernel_functions import Functions, heading
from graphc.backends.llvm.kernel_text import KernelText
from graphc.backends.llvm.parallel import THREADS, Range, divide
from graphc.backends.llvm.pool import LITTLE
from graphc.backends.llvm.scopes import Code
from graphc.backends.llvm.sizes import Sizes
from graphc.backends.llvm.target import Target
from graphc.backends.llvm.text import FunctionText, Val
from graphc.dtypes import DType
from graphc.loops.epilogues import Collapsed
from graphc.loops.extents import EXTENT
from graphc.loops.ir import Contraction, Kernel, KernelCall, Program, Step, written_buffers
from graphc.loops.overwritten import copy_alone, without_copy
from graphc.memory.products import ProductPlaces
from graphc.memory.rewriting import rewriting_steps
from graphc.shapes import Size, size_product, substitute, symbols_of


class StepEmitter(ABC):
    """The function that is being written, and what the whole program has so far."""

    def __init__(
        self,
        program: Program,
        target: Target,
        jitted: Mapping[int, str],
        profiled: bool,
    ) -> None:
        self.program = program
        self.profiled = profiled
        self.jitted = jitted
        self.target = target
        rewriting = rewriting_steps(program)
        kernels = [step.kernel for step in rewriting]
        kernels += [kernel for kernel in program.kernels if kernel.sizes == (EXTENT,)]  # small ones
        self.functions = Functions(target, frozenset(map(id, kernels)))
        self.places = ProductPlaces(program, rewriting)
        self.collapsed = Collapsed()
        self.uses: Mapping[str, int] | None = None  # how often each buffer stands in a step
        self.local: dict[str, Size] = {}  # temporaries without memory of their own
        # One product for large and for small matrices compiles faster than one for each.
        self.divides = any(
            isinstance(step, Contraction) and is_large(step) for step in program.all_steps
        )
        self.products: dict[str, FunctionText] = {}
        self.routines: dict[str, FunctionText] = {}
        self.loop_products: dict[Hashable, Kernel] = {}
        self.checks: dict[DType, tuple[Kernel, Kernel]] = {}
        self.kernels: dict[str, str] = {}
        self.areas: list[tuple[Size, Size]] = []
        self.kept: dict[int, Kept] = {}  # by the identity of the product
        self.kept_bytes = 0  # of the scratch area, for the loops around the present step
        self.code = Code(has_fma=target.has_fma)
        self.sizes = Sizes(self.code)
        self.frame_words = 0  # what the present function needs for calls of the pool
        self.position = 0  # of the step among all steps
        self.launches = 0  # so far
        self.heap = HeapTable(program)
        self.slots = {name: position for position, name in enumerate(program.buffers)}

    @abstractmethod
    def _steps(self, steps: Sequence[Step]) -> None:
        """Steps in order."""

    def _leave_if(self, condition: Val, status: int, fault: int | None = None) -> None:
        """Return a status at once where the condition holds."""
        builder = self.code.builder
        leave, stay = builder.fresh_label("leave"), builder.fresh_label("stay")
        builder.branch_if(condition, leave, stay)
        builder.block(leave)
        if fault is not None:
            builder.line(f"store i64 {fault}, ptr %fault, align 8")
        builder.line(f"ret i64 {status}")
        builder.block(stay)

    def _allocate(self, step: Step) -> None:
        """Room for what the step writes to the heap."""
        for name in written_buffers(step):
            if self.program.buffers[name].role == "heap":
                self._grow(name, self.sizes.first(self._bytes(name)))

    def _grow(self, name: str, count: Val) -> None:
        self._grow_pair((self.heap.places[name], self.heap.capacities[name]), count)

    def _grow_pair(self, places: tuple[int, int], count: Val) -> None:
        """Room for `count` bytes behind an address in the table, or the end of the call."""
        builder = self.code.builder
        use_grow(builder)
        slot, capacity = (
            builder.value(f"getelementptr ptr, ptr %table, i64 {place}") for place in places
        )
        account = builder.value(f"getelementptr i64, ptr %table, i64 {self.heap.account}")
        passed = f"ptr {slot}, ptr {capacity}, ptr {account}, i64 {count.text}"
        call = f"call i1 @graphc_grow({passed})"
        there = builder.emit(call, "i1")
        self._leave_if(builder.xor(there, builder.const(1, there)), NO_MEMORY)

    def _copy(self, target: str, source: str) -> None:
        """The elements of one buffer into another one of the same size."""
        builder = self.code.builder
        builder.declare("memcpy", "ptr @memcpy(ptr, ptr, i64)")
        width = self.sizes.first(self._bytes(target))
        to, start = self._buffer(target), self._buffer(source)
        builder.line(f"call ptr @memcpy(ptr {to.text}, ptr {start.text}, i64 {width.text})")

    def _bytes(self, name: str) -> Size:
        buffer = self.program.buffers[name]
        return size_product(buffer.shape) * buffer.dtype.itemsize

    def _point(self, name: str, pointer: Val) -> None:
        """Let the table say that a buffer lies at `pointer`."""
        builder = self.code.builder
        at = builder.value(f"getelementptr ptr, ptr %table, i64 {self.slots[name]}")
        builder.line(f"store ptr {pointer.text}, ptr {at}, align 8")

    def _buffer(self, name: str) -> Val:
        return self._slot(self.slots[name])

    def _slot(self, position: int) -> Val:
        """Read from the table at every use: nothing stays in a register over a call."""
        builder = self.code.builder
        at = builder.value(f"getelementptr ptr, ptr %table, i64 {position}")
        pointer = builder.emit(f"load ptr, ptr {at}, align 8", "ptr")
        self.code.levels[pointer.text] = self.code.depth
        return pointer

    def _call(self, name: str, args: list[Val]) -> None:
        passed = ", ".join(f"{arg.type} {arg.text}" for arg in args)
        self.code.builder.line(f"call void @{name}({passed})")

    def _kernel(self, step: KernelCall) -> None:
        entries = without_copy(step.kernel)
        if entries is not None:
            self._scatter(step, entries)
            return
        name, text = self.functions.kernel(step.kernel)
        self._remember(step, name, text)
        sizes = [self.sizes.first(size) for size in step.sizes]
        args = [self._buffer(argument) for argument in step.arguments] + sizes
        self._run(name, text, args, dict(zip(step.kernel.sizes, step.sizes, strict=True)))

    def _scatter(self, step: KernelCall, entries: Kernel) -> None:
        """Changes some entries of a copy; the copy may lie where the original does."""
        out, x = step.arguments[:2]
        copy = replace(step, kernel=copy_alone(step.kernel), arguments=(out, x))
        new, old = self._buffer(out), self._buffer(x)
        known = set(self.kernels)

        def run() -> list[Val]:
            self._kernel(copy)
            return []

        self.code.branch(self.code.builder.icmp("ne", new, old), [], run)
        others = (out, *step.arguments[2:])
        self._kernel(replace(step, kernel=entries, arguments=others))
        parts = [copy.kernel.name, entries.name]
        self.kernels[step.kernel.name] = "\n".join(self.kernels[name] for name in parts)
        for name in set(parts) - known:
            del self.kernels[name]  # no kernels of the program

    def _remember(self, step: KernelCall, name: str, text: KernelText) -> None:
        """The text of a kernel, for people."""
        if step.kernel.name not in self.kernels:
            self.kernels[step.kernel.name] = heading(step.kernel) + text.text_named(name)

    def _run(
        self, name: str, text: KernelText, arguments: Sequence[Val], values: Mapping[str, Size]
    ) -> None:
        """Call a kernel. arguments: pointers and sizes; values: of the sizes."""
        once, each = (substitute(size, values) for size in (text.area, text.thread_area))
        passed = [*arguments, *([self._area(once, each)] if (once, each) != (0, 0) else [])]
        if text.division is None:
            self._call(name, [*passed, *[THREADS] * text.divides])
            return
        if each != 0:
            passed.append(self.sizes.first(each))
        division = text.division
        self.frame_words = max(self.frame_words, len(passed))
        units, work = (
            self.sizes.first(substitute(size, values)) for size in (division.units, division.work)
        )
        what = Range(units, work, division.grain)
        divide(self.code.builder, name, FRAME, passed, what, THREADS)

    def _area(self, size: Size, each: Size = 0) -> Val:
        """The scratch area: `each` bytes for every thread, then `size` bytes.

        There is one for the whole call, but for sizes that a loop counts. It begins behind what
        loops keep there.
        """
        if symbols_of(size) | symbols_of(each) <= set(self.program.sizes):
            self.areas.append((size + self.kept_bytes, each))
            start = self._slot(len(self.slots))
            return self.code.gep("i8", start, self.code.constant(self.kept_bytes, "i64"))
        builder = self.code.builder
        count = self.sizes.first(size)
        if each != 0:
            count = builder.add(count, builder.mul(self.sizes.first(each), THREADS))
        room = builder.add(count, self.code.constant(63, "i64"))
        self._grow_pair(self.heap.scratch, room)
        held = self._slot(self.heap.scratch[0])
        number = builder.value(f"ptrtoint ptr {held.text} to i64")
        above = builder.value(f"add i64 {number}, 63")
        aligned = builder.value(f"and i64 {above}, -64")
        return builder.emit(f"inttoptr i64 {aligned} to ptr", "ptr")

    def _held(self, words: Sequence[Val], place: int) -> Val:
        """Where the words lie: in the frame of this function, behind `place` others."""
        builder = self.code.builder
        self.frame_words = max(self.frame_words, place + len(words))
        for number, word in enumerate(words):
            at = builder.value(f"getelementptr i64, ptr {FRAME}, i64 {place + number}")
            builder.line(f"store {word.type} {word.text}, ptr {at}, align 8")
        return Val(builder.value(f"getelementptr i64, ptr {FRAME}, i64 {place}"), "ptr")


def is_large(step: Contraction) -> bool:
    """Whether a product may be worth several threads."""
    work = step.m * step.n * step.k
    return not isinstance(work, int) or work > LITTLE
