"""Work that may be divided among threads: functions of a range, and the calls of the pool.

    void @name(ptr frame, i64 begin, i64 end, i64 thread)

does the units of work from begin to end. What else it needs lies in the frame, a word each. The
pool (pool.py) decides from the amount of work how to cut it; neither that nor anything else that
decides a number depends on how many threads there are.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from graphc.backends.llvm.one_thread import PARALLEL, SHARED
from graphc.backends.llvm.scopes import Code
from graphc.backends.llvm.text import FunctionText, TextBuilder, Val
from graphc.dtypes import is_floating
from graphc.loops.epilogues import feeds_outside
from graphc.loops.ir import Accumulate, For, If, Let, Statement, Store
from graphc.scalar.expr import COST, UNKNOWN_COST, Call, Expr, Index, Load, walk
from graphc.shapes import Size, substitute

GRAIN = 256  # chunks of vector loops are multiples of this: whole vectors, whole cache lines
SCALAR = 16  # a scalar operation takes as long as so many lanes of a vector


# --- which loop, and how much work ---------------------------------------------------------------


def divisible_loop(body: Sequence[Statement]) -> For | None:
    """The loop whose iterations may run apart from each other, if it is all that a kernel does.

    Values may be computed before it: every chunk computes them again. Loops of one iteration
    around it do not count.
    """
    if not body or not all(isinstance(item, Let) for item in body[:-1]):
        return None
    last = body[-1]
    if not isinstance(last, For):
        return None
    if last.extent == 1 and last.kind != "vector":
        return divisible_loop(last.body)
    if last.kind == "parallel":
        return last
    return last if last.kind == "vector" and not feeds_outside(last.body) else None


def is_much(work: Size) -> bool:
    """Whether work may be worth a second thread."""
    return not isinstance(work, int) or work > SHARED


def work_of(body: Sequence[Statement], vector: bool = False) -> Size:
    """An estimate of the work of a body, in the kernel's sizes. What an If guards counts."""
    total: Size = 0
    for item in body:
        match item:
            case For(axis, extent, kind, inner):
                once = work_of(inner, vector or kind == "vector")
                total = total + extent * _at_start(once, axis)
            case If(condition, inner):
                total = total + _cost(condition, vector) + work_of(inner, vector)
            case Let() | Store() | Accumulate():
                for value in _values(item):
                    total = total + _cost(value, vector)
                if isinstance(item, Store):
                    total = total + _bytes(item.value, vector)
    return total


def _cost(value: Expr, vector: bool) -> int:
    total = 0
    for part in walk(value):
        if isinstance(part, Call):
            wide = 2 if is_floating(part.dtype) and part.dtype.itemsize == 8 else 1
            cost = 2 * wide * COST.get(part.op, UNKNOWN_COST)
            total += cost if vector else SCALAR * cost
        elif isinstance(part, Load):
            total += _bytes(part, vector)
    return total


def _values(item: Let | Store | Accumulate) -> Iterator[Expr]:
    yield item.value
    if isinstance(item, Store):
        yield from (part for part in item.index if not isinstance(part, Index))


def _bytes(value: Expr, vector: bool) -> int:
    """What it takes to move an element between a cache and a register."""
    width = value.dtype.itemsize
    return width + width // 2 + 1 if vector else 2 * SCALAR


def _at_start(size: Size, axis: str) -> Size:
    return size if isinstance(size, int) else substitute(size, {axis: 0})


# --- functions of a range and their calls --------------------------------------------------------

RANGE = "(ptr %frame, i64 %begin, i64 %end, i64 %thread)"
BEGIN, END = Val("%begin", "i64"), Val("%end", "i64")
AREA, STRIDE = Val("%area.first", "ptr"), Val("%area.stride", "i64")
THREADS = Val("%threads", "i64")  # how many may share the work


def loads(parameters: Sequence[Val]) -> list[str]:
    """The first lines of a function of a range: what the frame holds, by name.

    With AREA and STRIDE among the parameters, %area is the scratch memory of this thread.
    """
    lines: list[str] = []
    for place, value in enumerate(parameters):
        lines.append(f"  %frame.{place} = getelementptr i64, ptr %frame, i64 {place}")
        lines.append(f"  {value.text} = load {value.type}, ptr %frame.{place}, align 8")
    if STRIDE in parameters:
        lines.append(f"  %area.offset = mul i64 %thread, {STRIDE.text}")
        lines.append(f"  %area = getelementptr i8, ptr {AREA.text}, i64 %area.offset")
    return lines


class Range(NamedTuple):
    """What is to be divided: units, the work that all of them are, and the least chunk."""

    units: Val
    work: Val
    grain: int = 1


def divide(
    builder: TextBuilder, name: str, frame: str, words: Sequence[Val], what: Range, threads: Val
) -> None:
    """Have @name do all units. frame: room for the words."""
    for place, word in enumerate(words):
        at = builder.value(f"getelementptr i64, ptr {frame}, i64 {place}")
        builder.line(f"store {word.type} {word.text}, ptr {at}, align 8")
    builder.declare(PARALLEL, f"void @{PARALLEL}(ptr, ptr, i64, i64, i64, i64)")
    builder.line(
        f"call void @{PARALLEL}(ptr @{name}, ptr {frame}, i64 {what.units.text}, "
        f"i64 {what.work.text}, i64 {what.grain}, i64 {threads.text})"
    )


def marking_entry(parameters: str, threads: int, attributes: str) -> FunctionText:
    """@entry: @steps, between marks that keep workers awake. threads: the place of their number in
    the table."""
    builder = TextBuilder()
    builder.declare(PARALLEL, f"void @{PARALLEL}(ptr, ptr, i64, i64, i64, i64)")
    at = builder.value(f"getelementptr i64, ptr %table, i64 {threads}")
    several = builder.icmp("sgt", builder.load(at, "i64"), Val("1", "i64"))
    alone, shared = builder.fresh_label("alone"), builder.fresh_label("shared")
    builder.branch_if(several, shared, alone)
    builder.block(alone)
    status = builder.emit(f"call i64 @steps{parameters}", "i64")
    builder.line(f"ret i64 {status.text}")
    builder.block(shared)
    mark = f"call void @{PARALLEL}(ptr null, ptr null, i64 {{}}, i64 0, i64 0, i64 0)"
    builder.line(mark.format(1))
    status = builder.emit(f"call i64 @steps{parameters}", "i64")
    builder.line(mark.format(-1))
    builder.line(f"ret i64 {status.text}")
    return builder.function(f"define i64 @entry{parameters} {attributes}", plain=True)


def dividing_functions(
    name: str, parameters: Sequence[Val], measure: Callable[[Code], Range], attributes: str
) -> FunctionText:
    """@name(parameters..., i64 threads), which divides what @name.range(parameters..., begin, end)
    does, and @name.task, the same as a function of a range.

    measure: emits what the range is, of the parameters, which have the same names everywhere.
    """
    declared = ", ".join(f"{value.type} {value.text}" for value in parameters)
    code = Code(has_fma=True)
    code.builder.line(f"%frame = alloca [{len(parameters)} x i64], align 16")
    what = measure(code)
    divide(code.builder, f"{name}.task", "%frame", parameters, what, Val("%threads", "i64"))
    code.builder.line("ret void")
    whole = code.builder.function(
        f"define internal void @{name}({declared}, i64 %threads) {attributes}", plain=True
    )
    builder = TextBuilder()
    builder.lines += loads(parameters)
    builder.line(f"call void @{name}.range({declared}, i64 {BEGIN.text}, i64 {END.text})")
    builder.line("ret void")
    task = builder.function(f"define internal void @{name}.task{RANGE} {attributes}")
    text = f"{whole.text}\n{task.text}"
    declarations = whole.declarations | task.declarations
    return FunctionText(text, declarations, whole.definitions, plain=True)
