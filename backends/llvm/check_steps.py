"""Steps that may fail: routines of LAPACK, index checks, calls of Python."""

from graphc.backends.llvm.emitter import FRAME
from graphc.backends.llvm.host import DONE, SYMBOL
from graphc.backends.llvm.lapack import (
    routine_function,
    routine_name,
    task_function,
    workspace_bytes,
)
from graphc.backends.llvm.lapack import work_of as lapack_work
from graphc.backends.llvm.parallel import THREADS, Range, divide, is_much
from graphc.backends.llvm.steps import StepEmitter
from graphc.backends.llvm.text import Val
from graphc.dtypes import DType, bool_, int64
from graphc.lapack import ROUTINES
from graphc.loops.ir import (
    Accumulate,
    Accumulator,
    For,
    IndexCheck,
    Kernel,
    Lapack,
    Parameter,
    Store,
)
from graphc.scalar.expr import Expr, Index, Load, Local, cast, ge, lt, or_
from graphc.shapes import Dim, Size


class CheckSteps(StepEmitter):
    """Routines, checks and host calls."""

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
