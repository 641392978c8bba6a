"""A program as one LLVM module, and its entry.

    i64 @entry(ptr table, ptr sizes, ptr fault)

table: a pointer per buffer, in the program's order, then the scratch area and the number of
threads; sizes: the value of each of the program's sizes. Steps run in order. The result is 0, or
1 + the position of the step that failed: an index check, whose bad value is then in `fault`, a
LAPACK routine, with the code of its failure, or a host call. Nothing after that step has run.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from graphc.backends.llvm.batches import LARGE, batch_function, batch_name
from graphc.backends.llvm.blas import Blas
from graphc.backends.llvm.carried import CarriedLoop, carried_loop
from graphc.backends.llvm.contraction import (
    blas_function,
    blas_name,
    matrix_product,
    uses_blas,
    uses_gemm,
)
from graphc.backends.llvm.emitted import Emitted
from graphc.backends.llvm.emitter import (
    FRAME,
    THREADS,
    KernelText,
    emit_kernel,
    emit_range,
    renamed,
)
from graphc.backends.llvm.epilogues import INNER, WHOLE, epilogue_function, kernel_of_part
from graphc.backends.llvm.gemm import area_bytes, functions_of
from graphc.backends.llvm.gemm_half import half_area_bytes, half_functions
from graphc.backends.llvm.gemm_kept import (
    Kept,
    keep_name,
    kept_functions,
    kept_name,
    kept_products,
    panel_apart,
    panel_bytes,
)
from graphc.backends.llvm.gemm_layout import Layout
from graphc.backends.llvm.gemm_rows import NONE
from graphc.backends.llvm.heap import (
    INTERRUPTED,
    NO_MEMORY,
    HeapTable,
    freeing_entry,
    use_grow,
    use_interrupted,
)
from graphc.backends.llvm.host import DONE, SYMBOL
from graphc.backends.llvm.lapack import (
    routine_function,
    routine_name,
    task_function,
    workspace_bytes,
)
from graphc.backends.llvm.lapack import work_of as lapack_work
from graphc.backends.llvm.parallel import Range, divide, is_much
from graphc.backends.llvm.pool import LITTLE
from graphc.backends.llvm.profiling import lap, lap_function
from graphc.backends.llvm.scopes import Code
from graphc.backends.llvm.sizes import Sizes
from graphc.backends.llvm.target import Target
from graphc.backends.llvm.text import FunctionText, Val
from graphc.dtypes import DType, bool_, int64, is_floating, is_half
from graphc.lapack import ROUTINES
from graphc.loops.epilogues import Epilogue, epilogue_at
from graphc.loops.ir import (
    Accumulate,
    Accumulator,
    Branch,
    Contraction,
    For,
    HostCall,
    IndexCheck,
    Kernel,
    KernelCall,
    Lapack,
    Loop,
    Parameter,
    Program,
    Step,
    Store,
    While,
    flat_steps,
    written_buffers,
)
from graphc.memory.products import ProductPlaces
from graphc.scalar.expr import Expr, Index, Load, Local, cast, ge, lt, or_
from graphc.shapes import Dim, Size, ceil_div, size_product, substitute, symbols_of

BATCH_WORDS = 32  # of a frame for products over a batch, at most, beside four for each axis
PART = 256  # steps in one function: LLVM's time grows with the square of its length
PARAMETERS = "(ptr %table, ptr %sizes, ptr %fault)"


@dataclass(slots=True)
class _Functions:
    """Kernels that were emitted: equal texts get one function."""

    target: Target
    texts: dict[tuple[int, bool], KernelText] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)  # by text
    functions: list[FunctionText] = field(default_factory=list)
    keep: list[Kernel] = field(default_factory=list)
    parts: dict[Hashable, "_Part | None"] = field(default_factory=dict)
    part_names: dict[tuple[str, str], str] = field(default_factory=dict)  # by text and kind

    def kernel(self, kernel: Kernel, whole: bool = False) -> tuple[str, KernelText]:
        """whole: not to be divided."""
        text = self.texts.get((id(kernel), whole))
        if text is None:
            text = emit_kernel(kernel, self.target, whole=whole)
            self.texts[id(kernel), whole] = text
            self.keep.append(kernel)
        return self.named(text.functions), text

    def named(self, functions: Sequence[FunctionText]) -> str:
        """The name under which functions @KERNEL stand in the module."""
        text = "\n".join(function.text for function in functions)
        name = self.names.get(text)
        if name is None:
            name = self.names[text] = f"k{len(self.names)}"
            self.functions += renamed(functions, name)
        return name

    def part(self, product: Contraction, epilogue: Epilogue) -> "_Part | None":
        """The kernel as a function of a part, if it is one."""
        call = epilogue.call
        key = (id(call.kernel), *call.sizes, epilogue.units, product.n)
        if key not in self.parts:
            self.keep.append(call.kernel)
            kernel, kind = kernel_of_part(product, epilogue)
            text = emit_range(kernel, self.target)
            self.parts[key] = None
            if text is not None:
                known = (text.text, kind)
                if known not in self.part_names:
                    name = self.part_names[known] = f"e{len(self.part_names)}"
                    types = ["ptr"] * len(kernel.parameters) + ["i64"] * len(kernel.sizes)
                    if kind == INNER:
                        types = types[:-2]
                    self.functions += text.named(name)
                    has_area = text.area != 0
                    whole = epilogue_function(name, kind, types, has_area, self.target)
                    self.functions.append(whole)
                area = substitute(text.area, dict(zip(call.kernel.sizes, call.sizes, strict=True)))
                self.parts[key] = _Part(self.part_names[known], kind, area)
        return self.parts[key]


@dataclass(frozen=True, slots=True)
class _Part:
    """An epilogue: its name, its kind, and how many bytes of scratch memory it needs."""

    name: str
    kind: str
    area: Size


def emit_program(
    program: Program,
    target: Target,
    blas: Blas | None,
    jitted: Mapping[int, str] = MappingProxyType({}),
    profiled: bool = False,
) -> Emitted:
    """jitted: the symbols of host calls that need no Python, by the number of the step.
    profiled: with a clock; see `profiling`."""
    return _ProgramEmitter(program, target, blas, jitted, profiled).emit()


class _ProgramEmitter:
    def __init__(
        self,
        program: Program,
        target: Target,
        blas: Blas | None,
        jitted: Mapping[int, str],
        profiled: bool,
    ) -> None:
        self.program = program
        self.profiled = profiled
        self.jitted = jitted
        self.target = target
        self.blas = blas
        self.functions = _Functions(target)
        self.places = ProductPlaces(program)
        # One product for large and for small matrices compiles faster than one for each.
        self.divides = any(
            isinstance(step, Contraction) and _is_large(step) for step in program.all_steps
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
        self.heap = HeapTable(program)
        self.slots = {name: position for position, name in enumerate(program.buffers)}

    def emit(self) -> Emitted:
        steps = self.program.steps
        parts: list[FunctionText] = []
        has_heap = bool(self.program.counts)
        name = "internal i64 @run" if has_heap else "i64 @entry"
        if len(steps) <= PART:
            entry = self._function(name, steps)
        else:
            for start in range(0, len(steps), PART):
                header = f"internal i64 @part{len(parts)}"
                parts.append(self._function(header, steps[start : start + PART]))
            entry = self._entry_of_parts(name, len(parts))
        functions = [*self.functions.functions, *self.routines.values(), *parts, entry]
        if has_heap:
            attributes = self.target.function_attributes
            functions.append(freeing_entry(self.heap, PARAMETERS, attributes))
        if self.profiled:
            clock = lap_function(len(self.program.all_steps), self.target.function_attributes)
            functions.insert(0, clock)
        return Emitted(tuple(functions), self.products, self.kernels, tuple(self.areas))

    def _function(self, name: str, steps: Sequence[Step]) -> FunctionText:
        """A function that runs some of the steps."""
        self.code = Code(has_fma=self.target.has_fma)
        self.sizes = Sizes(self.code)
        builder = self.code.builder
        for position, size in enumerate((*self.program.sizes, *self.program.counts)):
            pointer = f"%size.at.{position}"
            builder.line(f"{pointer} = getelementptr i64, ptr %sizes, i64 {position}")
            self.sizes.symbols[size] = builder.load(pointer, "i64")
        builder.line(f"%at.threads = getelementptr i64, ptr %table, i64 {len(self.slots) + 1}")
        builder.line("%threads = load i64, ptr %at.threads, align 8")
        self._flags()
        if self.profiled:
            builder.line(lap(len(self.program.all_steps)))
        self.frame_words = 0
        self._steps(steps)
        if self.frame_words:
            builder.lines.insert(0, f"  {FRAME} = alloca [{self.frame_words} x i64], align 16")
        builder.line("ret i64 0")
        attributes = self.target.function_attributes
        return builder.function(f"define {name}{PARAMETERS} {attributes}", plain=True)

    def _entry_of_parts(self, name: str, count: int) -> FunctionText:
        """An entry that calls the parts until one reports a failed check."""
        self.code = Code(has_fma=self.target.has_fma)
        builder = self.code.builder
        failed = builder.fresh_label("failed")
        results = []
        for number in range(count):
            result = builder.emit(f"call i64 @part{number}{PARAMETERS}", "i64")
            results.append((result, builder.block_label))
            passed = builder.fresh_label("passed")
            bad = builder.icmp("ne", result, builder.const(0, result))
            builder.branch_if(bad, failed, passed)
            builder.block(passed)
        builder.line("ret i64 0")
        builder.block(failed)
        builder.line(f"ret i64 {builder.phi(results).text}")
        attributes = self.target.function_attributes
        return builder.function(f"define {name}{PARAMETERS} {attributes}", plain=True)

    # Steps

    def _steps(self, steps: Sequence[Step]) -> None:
        done = False  # with the step before it
        for number, step in enumerate(steps):
            position = self.position
            self.position += 1
            self._allocate(step)
            match step:
                case KernelCall():
                    if not done:
                        self._kernel(step)
                    done = False
                case Contraction():
                    done = self._with_epilogue(step, epilogue_at(steps, number))
                    if not done:
                        self._contraction(step)
                case IndexCheck():
                    self._check(position, step)
                case HostCall():
                    self._jitted_call(position)
                case Lapack():
                    self._routine(position, step)
                case Loop():
                    self._loop(step)
                case While():
                    self._while(position, step)
                case Branch():
                    self._branch(step)
            if self.profiled:
                self.code.builder.line(lap(position))

    def _loop(self, step: Loop) -> None:
        """Every iteration points the views to their rows, runs the body and hands over."""
        carried = carried_loop(self.program, step, self.target)
        if carried is not None:
            self._carried(step, carried)
            return
        code, builder = self.code, self.code.builder
        length, zero = self.sizes.first(step.length), code.constant(0, "i64")
        for carry in step.carries:
            self._point(carry.state, self._buffer(carry.initial))
        last = code.operation("sub", length, code.constant(1, "i64"))

        def body(index: Val, _: list[Val]) -> list[Val]:
            row = code.operation("sub", last, index) if step.reverse else index
            for view, buffer in step.slices:
                width = self.sizes.first(self._bytes(view))
                start = self._buffer(buffer)
                self._point(view, code.gep("i8", start, code.operation("mul", row, width)))
            for carry in step.carries:
                even, odd = (self._buffer(name) for name in carry.spare)
                turn = builder.icmp("ne", builder.and_(index, builder.const(1, index)), zero)
                spare = builder.select(turn, odd, even)
                ends = builder.icmp("eq", index, last)
                target = builder.select(ends, self._buffer(carry.final), spare)
                self._point(carry.following, target)
            self._steps(step.body)
            for carry in step.carries:
                self._point(carry.state, self._buffer(carry.following))
            return []

        before = self.kept_bytes
        self._keep(step)
        code.loop(zero, length, 1, [], body)
        self.kept_bytes = before
        self._hand_through(step, length)

    def _keep(self, step: Loop) -> None:
        """Pack what products in the loop multiply by, at the beginning of the scratch area."""
        packed: dict[Hashable, Kept] = {}
        for product in kept_products(self.program, step):
            key = (product.b, product.dtype, product.transpose_b, product.n, product.k)
            if key not in packed:
                self.products.update(kept_functions(product, self.target))
                offset, size = self.kept_bytes, panel_bytes(product, self.target)
                panels = self._area(size)
                self.kept_bytes += size
                packed[key] = Kept(kept_name(product), offset)
                count, k = self.sizes.first(product.n), self.sizes.first(product.k)
                along = product.k if product.transpose_b else product.n
                stride = self.sizes.first(along * product.dtype.itemsize)
                apart = self.code.constant(panel_apart(product, self.target), "i64")
                arguments = [panels, self._buffer(product.b), k, count, stride, apart, THREADS]
                self._call(keep_name(product), arguments)
            self.kept[id(product)] = packed[key]

    def _kept_product(self, step: Contraction, out: str, followed: list[Val]) -> None:
        """A product by what was packed before the loop. followed: the epilogue and its frame."""
        kept = self.kept[id(step)]
        start = self._slot(len(self.slots))
        panels = self.code.gep("i8", start, self.code.constant(kept.offset, "i64"))
        sizes = map(self.sizes.first, (step.m, step.n, step.k))
        matrices = [self._buffer(out), self._buffer(step.a), panels]
        self._call(kept.name, [*matrices, *sizes, *followed, THREADS])

    def _carried(self, step: Loop, loop: CarriedLoop) -> None:
        """A loop that is one function."""
        self.position += len(tuple(flat_steps(step.body)))
        name = self.functions.named((loop.function,))
        for call in step.body:
            assert isinstance(call, KernelCall)
            text = loop.function.text.replace("@KERNEL", f"@{name}")
            self.kernels.setdefault(call.kernel.name, _heading(call.kernel) + text)
        arguments = [self._buffer(one) for one in loop.buffers]
        self._call(name, [*arguments, *(self.sizes.symbols[size] for size in loop.sizes)])

    def _while(self, position: int, step: While) -> None:
        """Tests before every step; the number of steps is the value of a size afterwards."""
        code, builder = self.code, self.code.builder
        use_interrupted(builder)
        for carry in step.carries:
            self._point(carry.state, self._buffer(carry.initial))

        def test() -> Val:
            self._steps(step.test)
            holds = builder.load(self._buffer(step.holds).text, "i8")
            return builder.icmp("ne", holds, builder.const(0, holds))

        def body(index: Val) -> None:
            stopped = builder.emit("call i1 @graphc_interrupted(ptr %seen, ptr %fault)", "i1")
            self._leave_if(stopped, INTERRUPTED)
            if step.most is not None:
                limit = builder.const(step.most, index)
                self._leave_if(builder.icmp("sge", index, limit), position + 1, step.most)
            for view, buffer in step.tapes:
                width = self.sizes.first(self._bytes(view))
                start = builder.mul(index, width)
                self._grow(buffer, builder.add(start, width))
                at = builder.value(
                    f"getelementptr i8, ptr {self._buffer(buffer).text}, i64 {start.text}"
                )
                self._point(view, Val(at, "ptr"))
            for carry in step.carries:
                even, odd = (self._buffer(name) for name in carry.spare)
                bit = builder.and_(index, builder.const(1, index))
                turn = builder.icmp("ne", bit, builder.const(0, bit))
                self._point(carry.following, builder.select(turn, odd, even))
            self._steps(step.body)
            for carry in step.carries:
                self._point(carry.state, self._buffer(carry.following))

        count = code.repeat(test, body)
        self.sizes.symbols[step.count] = count
        place = len(self.program.sizes) + self.program.counts.index(step.count)
        at = builder.value(f"getelementptr i64, ptr %sizes, i64 {place}")
        builder.line(f"store i64 {count.text}, ptr {at}, align 8")
        for carry in step.carries:
            self._copy(carry.final, carry.state)
        for _, buffer in step.tapes:  # without any step
            self._grow(buffer, code.constant(0, "i64"))

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

    def _branch(self, step: Branch) -> None:
        """Tests one body after the other; the selector is read once, as a body may overwrite it."""
        code, builder = self.code, self.code.builder
        dtype = self.program.buffers[step.selector].dtype
        pointer = self._buffer(step.selector)
        selector = builder.load(pointer.text, "i8" if dtype == bool_ else "i64")
        code.levels[selector.text] = code.depth
        last = len(step.bodies) - 1
        for number, body in enumerate(step.bodies):
            limit = builder.const(number, selector)
            sign = "sle" if number == 0 else "sge" if number == last else "eq"
            taken = (
                builder.icmp("eq", selector, selector)
                if last == 0
                else builder.icmp(sign, selector, limit)
            )
            code.levels[taken.text] = code.depth

            def run(body: Sequence[Step] = body) -> list[Val]:
                self._steps(body)
                return []

            code.branch(taken, [], run)

    def _hand_through(self, step: Loop, length: Val) -> None:
        """Without any step the final carries are the initial ones."""
        builder = self.code.builder
        if not step.carries or (isinstance(step.length, int) and step.length > 0):
            return
        empty = builder.icmp("sle", length, self.code.constant(0, "i64"))

        def copy() -> list[Val]:
            for carry in step.carries:
                self._copy(carry.final, carry.initial)
            return []

        self.code.branch(empty, [], copy)

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
        name, text = self.functions.kernel(step.kernel)
        self.kernels.setdefault(step.kernel.name, _heading(step.kernel) + text.text_named(name))
        sizes = [self.sizes.first(size) for size in step.sizes]
        args = [self._buffer(argument) for argument in step.arguments] + sizes
        self._run(name, text, args, dict(zip(step.kernel.sizes, step.sizes, strict=True)))

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

    def _with_epilogue(self, step: Contraction, follower: Epilogue | None) -> bool:
        """Run the kernel behind a product on its rows as they are done, if that can be."""
        if follower is None or not uses_gemm(step) or is_half(step.dtype):
            return False
        call = follower.call
        part = self.functions.part(step, follower)
        if part is None or (part.area != 0 and id(step) in self.kept):
            return False
        self._allocate(call)
        place = self.places.place(step, call)
        buffers = {one: self._buffer(one) for one in (step.a, step.b, *call.arguments)}
        buffers[step.out] = self._buffer(place)
        matrices = [buffers[one] for one in (step.out, step.a, step.b)]
        words = [self.sizes.first(follower.units), *(buffers[one] for one in call.arguments)]
        words += [self.sizes.first(size) for size in call.sizes]
        epilogue = Val(f"@{part.name}.rows", "ptr")
        if id(step) in self.kept:
            self._kept_product(step, place, [epilogue, self._held(words, 0)])
        else:
            self._followed_product(step, matrices, epilogue, words, part)
        start = f"@{part.name}.range("
        text = next(one.text for one in self.functions.functions if start in one.text)
        self.kernels.setdefault(call.kernel.name, _heading(call.kernel) + text)
        return True

    def _followed_product(
        self,
        step: Contraction,
        matrices: list[Val],
        epilogue: Val,
        words: Sequence[Val],
        part: "_Part",
    ) -> None:
        """words: what the epilogue finds in its frame."""
        layout = self._layout_of(step)
        room = ceil_div(area_bytes(layout, self.target) + part.area, 64) * 64
        sizes = [*map(self.sizes.first, (*_dims(step), *_rows(step)))]
        splits = Val("false" if part.kind == WHOLE else "true", "i1")
        if all(size == 1 for size in step.batch):
            followed = [epilogue, self._held(words, 0), splits, self.code.constant(0, "i64")]
            area = [self._area(0, room), self.sizes.first(room), THREADS]
            self._call(f"{layout.name}.followed", [*matrices, *sizes, *area, *followed])
            return
        held = self._held(words, BATCH_WORDS + 4 * len(step.batch))
        followed = [epilogue, held, splits]
        work = _work_of_one(step) * step.k
        self._divided_batch(step, layout.name, matrices, sizes, work, room, followed)

    def _held(self, words: Sequence[Val], place: int) -> Val:
        """Where the words lie: in the frame of this function, behind `place` others."""
        builder = self.code.builder
        self.frame_words = max(self.frame_words, place + len(words))
        for number, word in enumerate(words):
            at = builder.value(f"getelementptr i64, ptr {FRAME}, i64 {place + number}")
            builder.line(f"store {word.type} {word.text}, ptr {at}, align 8")
        return Val(builder.value(f"getelementptr i64, ptr {FRAME}, i64 {place}"), "ptr")

    def _area_of(self, layout: Layout, step: Contraction) -> list[Val]:
        """What a call of our routine gets behind the sizes."""
        room = self._room_of(layout, step)
        return [self._area(0, room), self.sizes.first(room), THREADS]

    def _room_of(self, layout: Layout, step: Contraction) -> Size:
        if is_half(step.dtype):
            return half_area_bytes(layout, self.target, step.m, step.n, step.k)
        return area_bytes(layout, self.target)

    def _layout_of(self, step: Contraction) -> Layout:
        """What our routine for the product serves; the routine is emitted."""
        vectors = self._vectors(step) if uses_blas(step, self.blas) else None
        layout = Layout(step.dtype, step.transpose_a, step.transpose_b, vectors, self.divides)
        if layout.name not in self.products:
            make = half_functions if is_half(step.dtype) else functions_of
            self.products.update(make(layout, self.target))
        return layout

    def _vectors(self, step: Contraction) -> str:
        """The routine that calls BLAS."""
        assert self.blas is not None
        name = blas_name(step)
        if name not in self.products:
            self.products[name] = blas_function(step, self.blas, self.target)
        return name

    def _contraction(self, step: Contraction) -> None:
        if id(step) in self.kept:
            self._kept_product(step, step.out, [NONE, NONE])
            return
        buffers = [
            (step.out, step.strides[0]),
            (step.a, step.strides[1]),
            (step.b, step.strides[2]),
        ]
        pointers = [self._buffer(name) for name, _ in buffers]
        dims, rows = _dims(step), _rows(step)
        layout: Layout | None = None
        if uses_gemm(step):
            layout = self._layout_of(step)
            name, sizes = layout.name, [*map(self.sizes.first, (*dims, *rows))]
        elif uses_blas(step, self.blas):
            name, sizes = self._vectors(step), [*map(self.sizes.first, (*dims, *rows))]
        else:
            product = self._product(step)
            sizes = [self.sizes.first(dim) for dim in dims if not isinstance(dim, int)]
            if all(size == 1 for size in step.batch):
                values = {name: getattr(step, name) for name in product.sizes}
                name, text = self.functions.kernel(product)
                self._run(name, text, [*pointers, *sizes], values)
                return
            name, _ = self.functions.kernel(product, whole=True)
        strides = [strides for _, strides in buffers]
        one = _work_of_one(step)
        all_work = size_product(step.batch) * one * step.k
        if all(size == 1 for size in step.batch) or (
            isinstance(all_work, int) and all_work <= LITTLE
        ):
            if layout is not None:
                sizes += self._area_of(layout, step)
            self._batches(step, 0, name, pointers, strides, sizes)
            return
        room = 0 if layout is None else self._room_of(layout, step)
        self._divided_batch(step, name, pointers, sizes, one * step.k, room)

    def _divided_batch(
        self,
        step: Contraction,
        name: str,
        pointers: list[Val],
        sizes: list[Val],
        work: Size,
        room: Size,
        followers: Sequence[Val] = (),
    ) -> None:
        """Products over a batch, on threads; work: of one of them, room: what one needs."""
        axes = [axis for axis, size in enumerate(step.batch) if size != 1]
        own = batch_name(name, len(axes), bool(followers))
        divides = room != 0
        if own not in self.routines:
            self.routines[own] = batch_function(
                name,
                sizes,
                len(axes),
                step.dtype.itemsize,
                self.target,
                divides=divides,
                follows=bool(followers),
            )
        builder = self.code.builder
        one = self.sizes.first(work)
        counts = [self.sizes.first(step.batch[axis]) for axis in axes]
        units = counts[0]
        for count in counts[1:]:
            units = builder.mul(units, count)
        total = builder.mul(one, units)
        inner = self.code.constant(1, "i64")
        if divides:
            large = builder.icmp("sgt", one, self.code.constant(LARGE, "i64"))
            inner = builder.select(large, THREADS, inner)
            total = builder.select(large, self.code.constant(0, "i64"), total)
        words = [*pointers, *sizes, *counts]
        words += [self.sizes.first(lengths[axis]) for lengths in step.strides for axis in axes]
        words += [*followers, inner]
        if divides:
            words += [self._area(0, room), self.sizes.first(room)]
        self.frame_words = max(self.frame_words, len(words))
        divide(builder, own, FRAME, words, Range(units, total), THREADS)

    def _product(self, step: Contraction) -> Kernel:
        key = (step.dtype, step.m, step.n, step.k, step.transpose_a, step.transpose_b)
        if key not in self.loop_products:
            self.loop_products[key] = matrix_product(step)
        return self.loop_products[key]

    def _batches(
        self,
        step: Contraction,
        axis: int,
        name: str,
        pointers: list[Val],
        strides: list[tuple[Size, ...]],
        sizes: list[Val],
    ) -> None:
        """A loop per batch axis around the call."""
        code = self.code
        if axis == len(step.batch):
            self._call(name, [*pointers, *sizes])
            return
        if step.batch[axis] == 1:
            self._batches(step, axis + 1, name, pointers, strides, sizes)
            return
        lengths = [self.sizes.first(stride[axis]) for stride in strides]
        element = f"i{8 * step.dtype.itemsize}"

        def body(index: Val, _: list[Val]) -> list[Val]:
            moved = [
                code.gep(element, pointer, code.operation("mul", index, length))
                for pointer, length in zip(pointers, lengths, strict=True)
            ]
            self._batches(step, axis + 1, name, moved, strides, sizes)
            return []

        code.loop(code.constant(0, "i64"), self.sizes.first(step.batch[axis]), 1, [], body)

    # LAPACK

    def _routine(self, position: int, step: Lapack) -> None:
        name, builder = routine_name(step), self.code.builder
        if name not in self.routines:
            self.routines[name] = routine_function(step, self.target)
        batch, zero = self.sizes.first(step.batch), self.code.constant(0, "i64")
        if step.batch != 1 and is_much(step.batch * lapack_work(step)):
            code = self._shared_routine(step, name, batch)
        else:
            names = (*step.inputs, *step.outputs, *step.workspace)
            arguments = [self._buffer(one) for one in names]
            arguments += [self.sizes.first(size) for _, size in step.sizes]
            passed = ", ".join(f"{one.type} {one.text}" for one in (*arguments, zero, batch))
            code = builder.emit(f"call i64 @{name}({passed})", "i64")
        if ROUTINES[step.routine].never_fails:
            return
        failed, passed_on = builder.fresh_label("failed"), builder.fresh_label("passed")
        builder.branch_if(builder.icmp("ne", code, builder.const(0, code)), failed, passed_on)
        builder.block(failed)
        builder.line(f"store i64 {code.text}, ptr %fault")
        builder.line(f"ret i64 {position + 1}")
        builder.block(passed_on)

    def _shared_routine(self, step: Lapack, name: str, batch: Val) -> Val:
        """The matrices of a batch divided among threads; 0 or the code of the first failure."""
        task, builder = f"{name}.task", self.code.builder
        if task not in self.routines:
            self.routines[task] = task_function(step, self.target)
        words = [self._buffer(one) for one in (*step.inputs, *step.outputs)]
        words += [self.sizes.first(size) for _, size in step.sizes]
        room: Size = 0
        for part in workspace_bytes(step):
            words.append(self.sizes.first(room))
            room = room + part
        if step.workspace:
            words += [self._area(0, room), self.sizes.first(room)]
        number = len(words)  # the code lies behind the frame
        at = Val(builder.value(f"getelementptr i64, ptr {FRAME}, i64 {number + 1}"), "ptr")
        builder.line(f"store i64 -1, ptr {at.text}, align 8")
        words.append(at)
        self.frame_words = max(self.frame_words, number + 2)
        work = self.sizes.first(step.batch * lapack_work(step))
        divide(builder, task, FRAME, words, Range(batch, work), THREADS)
        code = builder.load(at.text, "i64")
        none = builder.icmp("eq", code, builder.const(-1, code))
        return builder.select(none, builder.const(0, code), code)

    # Index checks

    def _flags(self) -> None:
        """Stack slots: what the checks answer, and when signals were last looked at."""
        builder = self.code.builder
        if self.program.counts:
            builder.declare("time", "i64 @time(ptr)")
            builder.line("%seen = alloca i64")
            now = builder.value("call i64 @time(ptr null)")
            builder.line(f"store i64 {now}, ptr %seen, align 8")
        if any(isinstance(step, IndexCheck) for step in self.program.all_steps):
            self.code.builder.line("%flag = alloca i8")
            self.code.builder.line("%position = alloca i64")

    def _check(self, position: int, step: IndexCheck) -> None:
        """A fast scan for any bad value; only if there is one, a second scan finds the first."""
        builder = self.code.builder
        dtype = self.program.buffers[step.buffer].dtype
        if dtype not in self.checks:
            self.checks[dtype] = _check_kernels(dtype)
        any_name, text = self.functions.kernel(self.checks[dtype][0])
        own = (step.count, step.minimum, step.size)
        sizes = [self.sizes.first(size) for size in own]
        values = dict(zip(("count", "minimum", "size"), own, strict=True))
        data = self._buffer(step.buffer)
        self._run(any_name, text, [Val("%flag", "ptr"), data, *sizes], values)
        flag = builder.load("%flag", "i8")
        bad = builder.icmp("ne", flag, builder.const(0, flag))
        failed, passed = builder.fresh_label("failed"), builder.fresh_label("passed")
        builder.branch_if(bad, failed, passed)
        builder.block(failed)
        first_name, text = self.functions.kernel(self.checks[dtype][1])
        self._run(first_name, text, [Val("%fault", "ptr"), data, *sizes], values)
        builder.line(f"ret i64 {position + 1}")
        builder.block(passed)

    # Host calls

    def _jitted_call(self, position: int) -> None:
        """Without Python where that is possible; in Python if it is not or did not go well."""
        if position not in self.jitted:
            self._host_call(position)
            return
        builder = self.code.builder
        symbol = self.jitted[position]
        builder.declare(symbol, f"i64 @{symbol}(ptr, ptr)")
        answer = builder.emit(f"call i64 @{symbol}(ptr %table, ptr %sizes)", "i64")
        bad = builder.icmp("ne", answer, builder.const(0, answer))
        again, done = builder.fresh_label("again"), builder.fresh_label("done")
        builder.branch_if(bad, again, done)
        builder.block(again)
        self._host_call(position)
        builder.branch(done)
        builder.block(done)

    def _host_call(self, position: int) -> None:
        """Call back, and stop if that failed."""
        builder = self.code.builder
        builder.declare(SYMBOL, f"void @{SYMBOL}(i64, ptr, ptr, ptr)")
        builder.line("store i64 0, ptr %fault, align 8")
        builder.line(f"call void @{SYMBOL}(i64 {position}, ptr %table, ptr %sizes, ptr %fault)")
        answer = builder.load("%fault", "i64")
        bad = builder.icmp("ne", answer, builder.const(DONE, answer))
        failed, passed = builder.fresh_label("failed"), builder.fresh_label("passed")
        builder.branch_if(bad, failed, passed)
        builder.block(failed)
        builder.line(f"ret i64 {position + 1}")
        builder.block(passed)


def _is_large(step: Contraction) -> bool:
    """Whether a product may be worth several threads."""
    work = step.m * step.n * step.k
    return not isinstance(work, int) or work > LITTLE


def _work_of_one(step: Contraction) -> Size:
    """Of a sum of products of length one for each element."""
    return (2 * step.dtype.itemsize // 4 if is_floating(step.dtype) else 4) * step.m * step.n


def _dims(step: Contraction) -> tuple[Size, Size, Size]:
    return step.m, step.n, step.k


def _rows(step: Contraction) -> tuple[Size, Size, Size]:
    """From row to row of the result and the operands, in elements."""
    of_a = step.m if step.transpose_a else step.k
    of_b = step.k if step.transpose_b else step.n
    return step.n, of_a, of_b


def _heading(kernel: Kernel) -> str:
    """What a kernel computes and where that was written, as a comment above its text."""
    lines = " ".join(source.short for source in kernel.sources)
    words = f"{kernel.name}  {kernel.comment}  {lines}".split()
    return f"; {' '.join(words)}\n"


def _check_kernels(dtype: DType) -> tuple[Kernel, Kernel]:
    """Kernels of a buffer: (flag: is any value outside [minimum, size)), (the first such value)."""
    count, minimum, size, i = (Dim.symbol(name) for name in ("count", "minimum", "size", "i"))
    value: Expr = cast(Load("data", (Index(i),), dtype), int64)
    bad = or_(lt(value, Index(minimum)), ge(value, Index(size)))
    data = Parameter("data", dtype, (count,))
    names = ("count", "minimum", "size")
    any_bad = Kernel(
        "any_bad_index",
        (Parameter("flag", bool_, (), written=True), data),
        names,
        (
            Accumulator("bad", "or", bool_),
            For("i", count, "vector", (Accumulate("bad", bad),)),
            Store("flag", (), Local("bad", bool_)),
        ),
    )
    first = Local("first", int64)
    first_bad = Kernel(
        "first_bad_index",
        (Parameter("value", int64, (), written=True), data),
        names,
        (
            Accumulator("best", "argmax", bool_, "first"),
            For("i", count, "serial", (Accumulate("best", bad, Index(i)),)),  # rare: short code
            Store("value", (), cast(Load("data", (first,), dtype), int64)),
        ),
    )
    return any_bad, first_bad
