"""Routines of LAPACK over a batch of matrices: a native loop around the call.

    i64 @potrf_f64(ptr in0, ptr out0, i64 n, i64 begin, i64 end)

Inputs, outputs, workspace, sizes, and which of the matrices. The result is 0, or the code of the
first failure (`lapack.encode`); nothing is called after that.

    void @potrf_f64.task(ptr frame, i64 begin, i64 end, i64 thread)

The same for threads that share a batch. Each has a workspace of its own in the scratch area; the
lowest code of a failure is left behind the frame.
"""

from graphc.backends.llvm.parallel import AREA, BEGIN, END, RANGE, STRIDE, loads
from graphc.backends.llvm.target import Target
from graphc.backends.llvm.text import FunctionText, TextBuilder, Val
from graphc.dtypes import DType
from graphc.lapack import MOST, ROUTINES, Operand, symbol_of
from graphc.loops.ir import Lapack, Program
from graphc.shapes import Size, ceil_div, size_product

MEMMOVE = "declare void @llvm.memmove.p0.p0.i64(ptr, ptr, i64, i1)"
MEMSET = "declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)"


def routine_name(step: Lapack) -> str:
    """The name of the function for a routine, a dtype and its options."""
    options = "".join(f"_{letter}" for _, letter in step.options)
    return f"{step.routine}_f{8 * step.dtype.itemsize}{options}"


def imported_names(program: Program) -> dict[str, str]:
    """The symbols of the routines that the program calls, and the libraries they come from."""
    found: dict[str, str] = {}
    for step in program.all_steps:
        if isinstance(step, Lapack):
            routine = ROUTINES[step.routine]
            found[symbol_of(routine, step.dtype)] = routine.library
    return found


def routine_function(step: Lapack, target: Target) -> FunctionText:
    return _RoutineEmitter(step, target).function()


class _RoutineEmitter:
    def __init__(self, step: Lapack, target: Target) -> None:
        self.step = step
        self.target = target
        self.routine = ROUTINES[step.routine]
        self.rows: list[str] = []
        self.operands: dict[str, Operand] = {
            f"{kind}{number}": operand
            for kind, operands in (
                ("in", self.routine.inputs),
                ("out", self.routine.outputs),
                ("work", self.routine.workspace),
            )
            for number, operand in enumerate(operands)
        }
        self.places: dict[str, str] = {}  # argument -> what holds its address

    def function(self) -> FunctionText:
        routine = self.routine
        symbol = symbol_of(routine, self.step.dtype)
        parameters = [f"ptr %{name}" for name in self.operands]
        parameters += [f"i64 %{name}" for name, _ in self.step.sizes]
        self.row("entry:")
        self.cells()
        for name, operand in self.operands.items():
            self.bytes_of(name, operand)
        self.choose()
        self.row("  ret i64 0")
        self.row("head:")
        self.row("  %i = phi i64 [%begin, %start], [%next, %advance]")
        self.row("  %more = icmp slt i64 %i, %end")
        self.row("  br i1 %more, label %body, label %done")
        self.row("done:", "  ret i64 0", "body:")
        self.matrix()
        self.row(f"  call void @{symbol}({', '.join(f'ptr {self.at(n)}' for n in self.arguments)})")
        self.check()
        head = (
            f"define internal i64 @{routine_name(self.step)}({', '.join(parameters)}, i64 %begin, "
            f"i64 %end) {self.target.function_attributes} {{"
        )
        text = "\n".join([head, *self.rows, "}", ""])
        pointers = ", ".join(["ptr"] * len(self.arguments))
        declarations = {f"declare void @{symbol}({pointers})", MEMMOVE, MEMSET}
        declarations.add("declare i64 @llvm.smin.i64(i64, i64)")
        return FunctionText(text, declarations, {}, plain=True)

    @property
    def arguments(self) -> tuple[str, ...]:
        return self.routine.arguments

    def row(self, *texts: str) -> None:
        self.rows += texts

    def at(self, argument: str) -> str:
        return self.places[argument]

    def cells(self) -> None:
        """Stack cells for what is passed by reference and is the same for all matrices."""
        options, sizes = dict(self.step.options), dict(self.step.sizes)
        self.row("  %info = alloca i32")
        self.places["info"] = "%info"
        for number, argument in enumerate(dict.fromkeys(self.arguments)):
            cell = f"%cell{number}"
            if argument[0] == "'" or argument in options:
                letter = argument[1] if argument[0] == "'" else options[argument]
                self.row(f"  {cell} = alloca i8", f"  store i8 {ord(letter)}, ptr {cell}")
            elif argument in sizes:
                self.row(
                    f"  {cell} = alloca i32",
                    f"  {cell}.most = call i64 @llvm.smin.i64(i64 %{argument}, i64 {MOST})",
                    f"  {cell}.number = trunc i64 {cell}.most to i32",
                    f"  store i32 {cell}.number, ptr {cell}",
                )
            elif argument == "one":
                real = _real(self.step.dtype)
                self.row(f"  {cell} = alloca {real}", f"  store {real} 1.0, ptr {cell}")
            else:
                continue
            self.places[argument] = cell

    def bytes_of(self, name: str, operand: Operand) -> None:
        """%name.bytes: of one matrix."""
        held = str(operand.dtype(self.step.dtype).itemsize)
        for number, size in enumerate(operand.shape):
            self.row(f"  %{name}.count{number} = mul i64 {held}, %{size}")
            held = f"%{name}.count{number}"
        self.row(f"  %{name}.bytes = add i64 {held}, 0")

    def choose(self) -> None:
        """Nothing is called for empty matrices: outputs are zeros."""
        some = "true"
        for size in self.routine.required:
            self.row(f"  %{size}.some = icmp sgt i64 %{size}, 0")
            self.row(f"  %{size}.all = and i1 {some}, %{size}.some")
            some = f"%{size}.all"
        self.row(f"  br i1 {some}, label %start, label %empty")
        self.row("start:", "  br label %head", "empty:", "  %batch = sub i64 %end, %begin")
        for number in range(len(self.routine.outputs)):
            name = f"out{number}"
            self.row(
                f"  %{name}.all = mul i64 %batch, %{name}.bytes",
                f"  %{name}.start = mul i64 %begin, %{name}.bytes",
                f"  %{name}.first = getelementptr i8, ptr %{name}, i64 %{name}.start",
                f"  call void @llvm.memset.p0.i64(ptr %{name}.first, i8 0, i64 %{name}.all, "
                "i1 false)",
            )

    def matrix(self) -> None:
        """Where the operands of matrix i lie, its guard, and copies."""
        for name in self.operands:
            if name.startswith("work"):
                self.places[name] = f"%{name}"
                continue
            self.row(
                f"  %{name}.offset = mul i64 %i, %{name}.bytes",
                f"  %{name}.at = getelementptr i8, ptr %{name}, i64 %{name}.offset",
            )
            self.places[name] = f"%{name}.at"
        if self.routine.guard is not None:
            self.row(
                f"  %guard = load i32, ptr {self.at(f'in{self.routine.guard}')}",
                "  %usable = icmp eq i32 %guard, 0",
                "  br i1 %usable, label %call, label %failed",
                "call:",
            )
        for name, operand in self.operands.items():
            if operand.start is not None:
                self.row(
                    f"  call void @llvm.memmove.p0.p0.i64(ptr {self.at(name)}, "
                    f"ptr {self.at(f'in{operand.start}')}, i64 %{name}.bytes, i1 false)"
                )
        if self.routine.status is not None:
            self.places["info"] = self.at(f"out{self.routine.status}")
        elif "info" in self.arguments:
            self.row("  store i32 0, ptr %info")

    def check(self) -> None:
        """The next matrix, or the code of the failure."""
        failures = []
        if self.routine.guard is not None:
            failures.append("[%guard, %body]")
        if "info" in self.arguments and self.routine.status is None:
            block = "%body" if self.routine.guard is None else "%call"
            failures.append(f"[%status, {block}]")
            self.row(
                "  %status = load i32, ptr %info",
                "  %good = icmp eq i32 %status, 0",
                "  br i1 %good, label %advance, label %failed",
            )
        else:
            self.row("  br label %advance")
        self.row("advance:", "  %next = add i64 %i, 1", "  br label %head")
        if failures:
            self.row(
                "failed:",
                f"  %bad = phi i32 {', '.join(failures)}",
                "  %low = zext i32 %bad to i64",
                "  %high = shl i64 %i, 32",
                "  %code = or i64 %high, %low",
                "  ret i64 %code",
            )


# --- threads -------------------------------------------------------------------------------------

CALL = 1 << 16  # work of any call: a microsecond
STEP = 8  # of an element of a matrix, for each row: a factorisation that takes its time


def work_of(step: Lapack) -> Size:
    """An estimate of the work of one matrix."""
    sizes = dict(step.sizes)
    work: Size = CALL
    for operand in ROUTINES[step.routine].inputs:
        if len(operand.shape) == 2:
            count = size_product([sizes[name] for name in operand.shape])
            work = work + STEP * count * sizes[operand.shape[0]]
    return work


def workspace_bytes(step: Lapack) -> list[Size]:
    """What each thread needs, operand by operand, each from the beginning of a line of a cache."""
    sizes, found = dict(step.sizes), []
    for operand in ROUTINES[step.routine].workspace:
        count = size_product([sizes[name] for name in operand.shape])
        found.append(ceil_div(count * operand.dtype(step.dtype).itemsize, 64) * 64)
    return found


def task_words(step: Lapack) -> list[Val]:
    """What the frame of the task holds. places: of the parts of the workspace, in bytes."""
    routine = ROUTINES[step.routine]
    pointers = [Val(f"%in{number}", "ptr") for number in range(len(routine.inputs))]
    pointers += [Val(f"%out{number}", "ptr") for number in range(len(routine.outputs))]
    sizes = [Val(f"%{name}", "i64") for name, _ in step.sizes]
    places = [Val(f"%place{number}", "i64") for number in range(len(routine.workspace))]
    area = [AREA, STRIDE] if places else []
    return [*pointers, *sizes, *places, *area, Val("%code.at", "ptr")]


def task_function(step: Lapack, target: Target) -> FunctionText:
    """The function of a range that threads share."""
    routine, words = ROUTINES[step.routine], task_words(step)
    builder = TextBuilder()
    builder.lines += loads(words)
    arguments = words[: len(routine.inputs) + len(routine.outputs)]
    for number in range(len(routine.workspace)):
        at = builder.value(f"getelementptr i8, ptr %area, i64 %place{number}")
        arguments.append(Val(at, "ptr"))
    arguments += [Val(f"%{name}", "i64") for name, _ in step.sizes]
    passed = ", ".join(f"{one.type} {one.text}" for one in (*arguments, BEGIN, END))
    code = builder.emit(f"call i64 @{routine_name(step)}({passed})", "i64")
    bad = builder.icmp("ne", code, builder.const(0, code))
    builder.branch_if(bad, "failed", "done")
    builder.block("failed")
    builder.line(f"%before = atomicrmw umin ptr %code.at, i64 {code.text} monotonic")
    builder.branch("done")
    builder.block("done")
    builder.line("ret void")
    name = f"{routine_name(step)}.task"
    signature = f"define internal void @{name}{RANGE} {target.function_attributes}"
    return builder.function(signature, plain=True)


def _real(dtype: DType) -> str:
    return "float" if dtype.itemsize == 4 else "double"
