"""Kernels and programs as text, with the user's lines on the rows.

    kernel k0  p = sigmoid(x @ w + b)                                     train.py:12,13
      x: f32[n, 784], w: f32[784], out: f32[n] written
      for i in n parallel:
        acc: f32 = 0 (add)
        for j in 784 vector:
          acc += x[i, j]*w[j]                                             train.py:12
        out[i] = t3                                                       train.py:13

The text is a function of the structure alone, so that equal structures have equal text.
"""

from collections.abc import Iterator, Mapping, Sequence

from graphc.dtypes import short_name
from graphc.ir.source import Sources
from graphc.loops.accumulators import identity
from graphc.loops.ir import (
    Accumulate,
    Accumulator,
    Branch,
    Buffer,
    Carry,
    Contraction,
    For,
    HostCall,
    If,
    IndexCheck,
    Kernel,
    KernelCall,
    Lapack,
    Let,
    Loop,
    Parameter,
    Program,
    Scratch,
    Statement,
    Step,
    Store,
    While,
    bodies_of,
)
from graphc.scalar.printer import Dialect, constant_text
from graphc.shapes import Shape, format_shape

SOURCE_COLUMN = 72
_COMBINE_SIGN = {
    "add": "+=",
    "mul": "*=",
    "maximum": "max=",
    "minimum": "min=",
    "and": "and=",
    "or": "or=",
    "argmax": "argmax=",
    "argmin": "argmin=",
}
_PEOPLE = Dialect()


def format_sources(sources: Sources) -> str:
    """`train.py:12,13, model.py:4`"""
    lines: dict[str, list[int]] = {}
    for source in sources:
        lines.setdefault(source.short.rpartition(":")[0], []).append(source.line)
    return ", ".join(
        f"{name}:{','.join(map(str, sorted(set(numbers))))}" for name, numbers in lines.items()
    )


def _row(text: str, sources: Sources = ()) -> str:
    origin = format_sources(sources)
    return f"{text:<{SOURCE_COLUMN - 2}}  {origin}" if origin else text


def _shape(shape: Shape, dialect: Dialect) -> str:
    return f"[{', '.join(dialect.size(size)[0] for size in shape)}]"


def _parameter(parameter: Parameter, dialect: Dialect) -> str:
    written = " written" if parameter.written else ""
    shape = _shape(parameter.shape, dialect)
    return f"{dialect.buffer(parameter.name)}: {short_name(parameter.dtype)}{shape}{written}"


# Statements


def format_statement(
    statement: Statement, dialect: Dialect = _PEOPLE, combines: Mapping[str, str] | None = None
) -> str:
    """One line; of a loop or an If, its head. combines: the operation of each accumulator."""
    match statement:
        case For(axis, extent, kind, _):
            return f"for {dialect.symbol(axis)} in {dialect.size(extent)[0]} {kind}:"
        case If(condition, _):
            return f"if {dialect.text(condition)}:"
        case Let(name, value):
            return f"{dialect.local(name)} = {dialect.text(value)}"
        case Accumulator():
            return _accumulator(statement, dialect)
        case Accumulate(name, value, position):
            at = "" if position is None else f" at {dialect.text(position)}"
            sign = _COMBINE_SIGN.get((combines or {}).get(name, ""), "(+)=")
            return f"{dialect.local(name)} {sign} {dialect.text(value)}{at}"
        case Store(buffer, index, value, accumulate):
            sign = "+=" if accumulate else "="
            return f"{dialect.load(buffer, index, value.dtype)[0]} {sign} {dialect.text(value)}"
        case Scratch(name, dtype, shape):
            return f"{dialect.buffer(name)}: {short_name(dtype)}{_shape(shape, dialect)} scratch"


def _accumulator(statement: Accumulator, dialect: Dialect) -> str:
    combine, dtype = statement.combine, statement.dtype
    start = constant_text(identity(combine, dtype), dtype)
    name, type_name = dialect.local(statement.name), short_name(dtype)
    combine += ", fused" if statement.fused else ""
    if statement.position_name is None:
        return f"{name}: {type_name} = {start} ({combine})"
    position = dialect.local(statement.position_name)
    return f"{name}, {position}: {type_name}, i64 = {start}, 0 ({combine})"


def _rows(body: Sequence[Statement], dialect: Dialect) -> Iterator[str]:
    """The rows of a body and of all bodies inside it."""
    combines: dict[str, str] = {}
    pending = [iter(body)]
    while pending:
        statement = next(pending[-1], None)
        if statement is None:
            pending.pop()
            continue
        if isinstance(statement, Accumulator):
            combines[statement.name] = statement.combine
        indent = "  " * len(pending)
        if isinstance(dialect, _Canonical):
            dialect.define(statement, depth=len(pending))
        text = indent + format_statement(statement, dialect, combines)
        if isinstance(statement, For | If):
            pending.append(iter(statement.body))
            yield text
        elif dialect.exact or isinstance(statement, Scratch):
            yield text
        else:
            yield _row(text, statement.sources)


# Kernels


def format_kernel(kernel: Kernel) -> str:
    """The kernel for people."""
    title = f"kernel {kernel.name}  {one_line(kernel.comment)}".rstrip()
    head = [_row(title, kernel.sources), f"  {format_parameters(kernel)}"]
    return "\n".join([*head, *_rows(kernel.body, _PEOPLE)])


def format_parameters(kernel: Kernel, dialect: Dialect = _PEOPLE) -> str:
    """`x: f32[n, 784], out: f32[n] written`"""
    return ", ".join(_parameter(parameter, dialect) for parameter in kernel.parameters)


class _Canonical(Dialect):
    """Names by position: two kernels that differ in names alone have one text."""

    exact = True

    def __init__(self, kernel: Kernel) -> None:
        super().__init__()
        for number, size in enumerate(kernel.sizes):
            self.rename_symbol(size, f"s{number}")
        self.buffers = {item.name: f"p{number}" for number, item in enumerate(kernel.parameters)}
        self._count = 0

    def define(self, statement: Statement, depth: int) -> None:
        match statement:
            case For(axis, _, _, _):
                self.rename_symbol(axis, f"a{depth}")
            case Let(name, _):
                self.locals[name] = self._fresh("t")
            case Accumulator(name, _, _, position):
                self.locals[name] = self._fresh("t")
                if position is not None:
                    self.locals[position] = self._fresh("t")
            case Scratch(name, _, _):
                self.buffers[name] = self._fresh("r")

    def _fresh(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}{self._count}"


def kernel_key(kernel: Kernel) -> str:
    """What the kernel computes, free of names, comments and sources.

    Two kernels with the same key are one function of their parameters and sizes, by position.
    """
    dialect = _Canonical(kernel)
    head = f"{len(kernel.sizes)} sizes  {format_parameters(kernel, dialect)}"
    head += "  fused" if kernel.fused else ""
    return "\n".join([head, *_rows(kernel.body, dialect)])


# Programs


def format_step(step: Step) -> str:
    """One step: what is called on which buffers, of which shapes. Prints wrong steps as well."""
    match step:
        case KernelCall(kernel, arguments, sizes):
            read = [
                name
                for name, parameter in zip(arguments, kernel.parameters, strict=False)
                if not parameter.written
            ]
            written = [
                name
                for name, parameter in zip(arguments, kernel.parameters, strict=False)
                if parameter.written
            ]
            bound = "".join(
                f", {name}={value}" if str(value) != name else f", {name}"
                for name, value in zip(kernel.sizes, sizes, strict=False)
            )
            return f"{', '.join(written)} = {kernel.name}({', '.join(read)}{bound})"
        case Contraction():
            return _contraction(step)
        case IndexCheck(buffer, count, minimum, size, axis, op):
            return f"check {buffer}[{count}] in [{minimum}, {size})  axis {axis} of {op}"
        case HostCall():
            return _host_call(step)
        case Lapack():
            return _lapack(step)
        case Loop(length, reverse, _, carries, slices):
            order = f"{length} - 1 .. 0" if reverse else f"0 .. {length} - 1"
            views = [f"{view} = {buffer}[t]" for view, buffer in slices]
            handed = list(map(_handed, carries))
            return "; ".join([f"for t in {order}", *views, *handed])
        case While(count, holds):
            views = [f"{view} = {buffer}[t]" for view, buffer in step.tapes]
            handed = list(map(_handed, step.carries))
            limit = "" if step.most is None else f" (at most {step.most})"
            return "; ".join([f"{count} = steps while {holds}{limit}", *views, *handed])
        case Branch(selector, bodies, out):
            return f"{', '.join(out)} = branch {selector} of {len(bodies)}".removeprefix(" = ")


def _handed(carry: Carry) -> str:
    if carry.is_in_place:
        return f"{carry.state} in {carry.final} = {carry.initial}"
    return f"{carry.state} = {carry.initial} then {carry.following}, at last {carry.final}"


def step_sources(step: Step) -> Sources:
    """The user's lines that a step comes from."""
    if isinstance(step, KernelCall):
        return step.sources or step.kernel.sources
    return step.sources


def _contraction(step: Contraction) -> str:
    batch = "".join(f"{size}, " for size in step.batch)
    a = f"{step.a}[{batch}{step.m}, {step.k}]"
    b = f"{step.b}[{batch}{step.k}, {step.n}]"
    if step.transpose_a:
        a = f"{step.a}[{batch}{step.k}, {step.m}].T"
    if step.transpose_b:
        b = f"{step.b}[{batch}{step.n}, {step.k}].T"
    text = f"{step.out}[{batch}{step.m}, {step.n}] = {a} @ {b}"
    if step.operands is not None:
        text += f" in {step.dtype}"
    if step.batch:
        strides = ["(" + ", ".join(map(str, item)) + ")" for item in step.strides]
        text += f"  strides {' '.join(strides)}"
    if step.rows is not None:
        text += f"  rows {' '.join(map(str, step.rows))}"
    if step.offsets is not None:
        text += f"  from {' '.join(map(str, step.offsets))}"
    return text


def _host_call(step: HostCall) -> str:
    read, written = (
        ", ".join(f"{name}{format_shape(shape)}" for name, shape in pairs)
        for pairs in (step.inputs, step.outputs)
    )
    return f"{written} = python {step.op}({read}){'  effect' if step.effect else ''}"


def _lapack(step: Lapack) -> str:
    """`lu, pivots, status = getrf(a)  10 matrices, n = 4`"""
    options = "".join(f", {name}={letter}" for name, letter in step.options)
    sizes = ", ".join(f"{name} = {size}" for name, size in step.sizes)
    work = f"  in {', '.join(step.workspace)}" if step.workspace else ""
    call = f"{', '.join(step.outputs)} = {step.routine}({', '.join(step.inputs)}{options})"
    return f"{call}  {step.batch} matrices, {sizes}{work}"


def format_program(program: Program) -> str:
    """Buffers, steps in order, results, and each distinct kernel once."""
    rows = [f"program {one_line(program.name)}({', '.join(program.sizes)})"]
    for buffer in program.buffers.values():
        text = f"  {buffer.name}: {short_name(buffer.dtype)}{format_shape(buffer.shape)}"
        rows.append(_row(f"{text} {buffer.role}", buffer.sources))
    for number, (depth, label, step) in enumerate(nested_steps(program.steps)):
        text = f"  {number}: {'  ' * depth}{label}{format_step(step)}"
        rows.append(_row(text, step_sources(step)))
    rows += [f"  update {variable} = {value}" for variable, value in program.updates]
    rows.append(f"  return {', '.join(program.outputs)}".rstrip())
    for kernel in program.kernels:
        rows += ["", format_kernel(kernel)]
    return "\n".join(rows)


def summary(program: Program) -> str:
    """One line a step: name, equation, shapes of what it writes, the user's lines."""
    return "\n".join(
        _summary_row(number, "  " * depth + label, step, program.buffers)
        for number, (depth, label, step) in enumerate(nested_steps(program.steps))
    )


def nested_steps(
    steps: Sequence[Step], depth: int = 0, label: str = ""
) -> Iterator[tuple[int, str, Step]]:
    """All steps with their depth in loops and branches, and the number of the branch as `1: `."""
    for step in steps:
        yield depth, label, step
        for number, body in enumerate(bodies_of(step)):
            inner = f"{number}: " if isinstance(step, Branch) else ""
            if isinstance(step, While) and number == 0:
                inner = "? "  # the test
            yield from nested_steps(body, depth + 1, inner)


def _summary_row(number: int, indent: str, step: Step, buffers: Mapping[str, Buffer]) -> str:
    match step:
        case Loop():
            name, written = "loop", [c.final for c in step.carries]
            order = "backwards " if step.reverse else ""
            comment = f"{step.comment}  {step.length} steps {order}".rstrip()
        case While():
            name, written = "while", [c.final for c in step.carries]
            comment = f"{step.comment}  {step.count} steps".lstrip()
        case Branch():
            name, written = "branch", list(step.out)
            comment = f"{step.comment}  one of {len(step.bodies)} by {step.selector}".lstrip()
        case KernelCall(kernel, arguments, _):
            name, comment = kernel.name, step.comment or kernel.comment
            written = [
                argument
                for argument, parameter in zip(arguments, kernel.parameters, strict=False)
                if parameter.written
            ]
        case Contraction(out, comment=comment):
            name, written = "matmul", [out]
            sizes = f"{step.m} x {step.k} x {step.n}"
            comment = f"{comment}  {sizes}".lstrip()
        case Lapack():
            name, written, comment = step.routine, list(step.outputs), step.comment
        case IndexCheck():
            name, written = "check", []
            comment = format_step(step).removeprefix("check ")
        case HostCall(outputs=outputs, comment=comment):
            name, written = "python", [buffer for buffer, _ in outputs]
    types = ", ".join(
        f"{buffer}: {short_name(buffers[buffer].dtype)}{format_shape(buffers[buffer].shape)}"
        for buffer in written
    )
    parts = [part for part in (one_line(comment), types) if part]
    text = f"{number:3}  {indent}{name:<8} {'  '.join(parts)}"
    return _row(text, step_sources(step))


def one_line(text: str) -> str:
    """The user's text with everything unprintable escaped: it cannot leave its line."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
