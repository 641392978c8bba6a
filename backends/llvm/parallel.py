"""Work that may be divided among threads: functions of a range, and what hands out the ranges.

    @name.range(parameters..., i64 begin, i64 end)   does the units of work from begin to end
    @name(parameters..., i64 threads)                does all of them: at once where there is little
                                                     to do, else in chunks, through the pool
    @name.task(frame, chunk, thread)                 one chunk, for the pool

How much there is to do is estimated from the sizes, and so is the length of a chunk: neither
depends on the number of threads, nor do the results. Work is counted in units of 1/64 ns.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from graphc.backends.llvm.pool import PARALLEL
from graphc.backends.llvm.scopes import Code
from graphc.backends.llvm.text import FunctionText, TextBuilder, Val
from graphc.dtypes import is_floating
from graphc.loops.epilogues import feeds_outside
from graphc.loops.ir import Accumulate, For, If, Let, Statement, Store
from graphc.scalar.expr import COST, UNKNOWN_COST, Call, Expr, Index, Load, walk
from graphc.shapes import Size, substitute

LITTLE = 1 << 21  # work that is not worth a second thread: 33 microseconds
CHUNK = 1 << 19  # work of one chunk, if there are not too many
MOST_CHUNKS = 256
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


# --- functions -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Range:
    """What is to be divided: units of work, how much work all of them are, the least chunk.

    stride: bytes of scratch memory of each thread, behind the last of the parameters.
    """

    units: Val
    work: Val
    grain: int = 1
    stride: Val | None = None


def dividing_functions(
    name: str, parameters: Sequence[Val], measure: Callable[[Code], Range], attributes: str
) -> FunctionText:
    """@name and @name.task around a given @name.range.

    measure: emits what the range is, of the parameters, which have the same names everywhere.
    """
    declared = ", ".join(f"{value.type} {value.text}" for value in parameters)
    code = Code(has_fma=True)
    builder = code.builder
    builder.line(f"%frame = alloca [{len(parameters) + 3} x i64], align 16")
    found = measure(code)
    zero, one = (code.constant(value, "i64") for value in (0, 1))
    alone, divided = builder.fresh_label("alone"), builder.fresh_label("divided")
    much = builder.icmp("sgt", found.work, code.constant(LITTLE, "i64"))
    builder.branch_if(much, divided, alone)
    builder.block(alone)
    builder.line(f"call void @{name}.range({declared}, i64 0, i64 {found.units.text})")
    builder.line("ret void")
    builder.block(divided)
    shift = code.constant(CHUNK.bit_length() - 1, "i64")
    wanted = builder.smin(builder.lshr(found.work, shift), code.constant(MOST_CHUNKS, "i64"))
    length = _ceil_div(builder, found.units, wanted)
    if found.grain > 1:
        up = builder.add(length, code.constant(found.grain - 1, "i64"))
        length = builder.and_(up, code.constant(-found.grain, "i64"))
    length = builder.smax(length, one)
    chunks = _ceil_div(builder, found.units, length)
    words = [length, found.units, found.stride or zero, *parameters]
    for place, word in enumerate(words):
        at = builder.value(f"getelementptr i64, ptr %frame, i64 {place}")
        builder.line(f"store {word.type} {word.text}, ptr {at}, align 8")
    builder.declare(PARALLEL, f"void @{PARALLEL}(ptr, ptr, i64, i64)")
    builder.line(
        f"call void @{PARALLEL}(ptr @{name}.task, ptr %frame, i64 {chunks.text}, i64 %threads)"
    )
    builder.line("ret void")
    whole = builder.function(f"define internal void @{name}({declared}, i64 %threads) {attributes}")
    task = _task(name, parameters, found.stride is not None, attributes)
    text = f"{whole.text}\n{task.text}"
    return FunctionText(text, whole.declarations | task.declarations, whole.definitions)


def _task(name: str, parameters: Sequence[Val], has_scratch: bool, attributes: str) -> FunctionText:
    builder = TextBuilder()
    loaded: list[Val] = []
    for place, type in enumerate(["i64", "i64", "i64", *(value.type for value in parameters)]):
        at = builder.value(f"getelementptr i64, ptr %frame, i64 {place}")
        loaded.append(builder.emit(f"load {type}, ptr {at}, align 8", type))
    length, units, stride, *arguments = loaded
    begin = builder.mul(Val("%chunk", "i64"), length)
    end = builder.smin(builder.add(begin, length), units)
    if has_scratch:
        offset = builder.mul(Val("%thread", "i64"), stride)
        moved = f"getelementptr i8, ptr {arguments[-1].text}, i64 {offset.text}"
        arguments[-1] = builder.emit(moved, "ptr")
    passed = ", ".join(f"{value.type} {value.text}" for value in (*arguments, begin, end))
    builder.line(f"call void @{name}.range({passed})")
    builder.line("ret void")
    parameters_text = "(ptr %frame, i64 %chunk, i64 %thread)"
    return builder.function(f"define internal void @{name}.task{parameters_text} {attributes}")


def _ceil_div(builder: TextBuilder, a: Val, b: Val) -> Val:
    """Of numbers that are not negative, by one that is positive."""
    below = builder.sub(builder.add(a, b), builder.const(1, b))
    return builder.udiv(below, b)
