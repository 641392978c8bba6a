"""The next row, asked for while passes over the present one compute.

    for i in n parallel:
      for j in m vector: most max= x[i, j]
      for j in m vector: total += exp(x[i, j] - most)      and asks for the lines of x[i + 1, j]
      ...

The first pass over a row would wait for memory while nothing is computed, and the others compute
while nothing is fetched: processors read ahead by themselves only once a row has begun. The pass
that computes most asks for the lines of the next row. Asking for an address that is not there does
nothing. Long rows are left to the processor: they would be gone from the cache when their turn
comes.

One pass alone asks, too, where rows do not follow each other without a gap, as parts of wider rows
do (the gates of a cell): the processor begins anew at each.

In the same way lanes that sum up products ask at their beginning for what they read when the sums
are complete.
"""

from collections.abc import Sequence
from functools import partial

from graphc.backends.llvm.access import Memory
from graphc.backends.llvm.accumulate import choose
from graphc.backends.llvm.addresses import index_polynomial
from graphc.backends.llvm.lanes import Survey
from graphc.backends.llvm.target import LINE
from graphc.loops.ir import For, If
from graphc.loops.tidy import values_of
from graphc.records import dataclass
from graphc.scalar.expr import Expr, Load, walk
from graphc.shapes import Dim, Size

LONGEST = 1 << 15  # bytes of a row


@dataclass(frozen=True, slots=True)
class Ahead:
    """An element of the present row that a vector loop reads; the next row is `stride` behind."""

    buffer: str
    index: tuple[Expr, ...]
    stride: Size


def next_rows(row: For, memory: Memory, survey: Survey) -> dict[int, list[Ahead]]:
    """For the vector loops of a loop over rows, by identity: what each is to ask for."""
    passes = [item for item in row.body if isinstance(item, For) and item.kind == "vector"]
    if not passes:
        return {}
    stored = survey(row.body).stored
    heaviest: dict[Ahead, tuple[int, int]] = {}
    for number, one in enumerate(passes):
        cost = survey(one.body).cost
        for load in _loads(one):
            ahead = None if load.buffer in stored else _ahead(load, row, one, memory)
            if ahead is None or (len(passes) == 1 and ahead.stride == one.extent):
                continue
            if ahead not in heaviest or heaviest[ahead][0] < cost:
                heaviest[ahead] = cost, number
    found: dict[int, list[Ahead]] = {}
    for ahead, (_, number) in heaviest.items():
        found.setdefault(id(passes[number]), []).append(ahead)
    return found


def read_last(lanes: For, memory: Memory) -> list[Ahead]:
    """What is read side by side when the loops inside are done."""
    inner = [number for number, item in enumerate(lanes.body) if isinstance(item, For)]
    if not inner:
        return []
    found: dict[Ahead, None] = {}
    for value in values_of([item for item in lanes.body[inner[-1] :] if not isinstance(item, For)]):
        for load in (part for part in walk(value) if isinstance(part, Load)):
            array = memory.arrays.get(load.buffer)
            if array is None or array.is_scratch or array.lanes > 1:
                continue
            position = index_polynomial(array, load.index)
            if isinstance(position, Dim) and position.coefficient(lanes.axis) == 1:
                found[Ahead(load.buffer, load.index, 0)] = None
    return list(found)


def _loads(loop: For) -> Sequence[Load]:
    """What each lane reads whatever it is; loops inside have indices that are not known where lanes
    begin."""
    outer = [item for item in loop.body if not isinstance(item, For | If)]
    found = (part for value in values_of(outer) for part in walk(value))
    return [part for part in found if isinstance(part, Load)]


def _ahead(load: Load, row: For, lanes: For, memory: Memory) -> Ahead | None:
    """What to ask for, if rows lie one behind the other and lanes side by side."""
    array = memory.arrays.get(load.buffer)
    if array is None or array.is_scratch or array.lanes > 1:
        return None
    position = index_polynomial(array, load.index)
    if not isinstance(position, Dim) or position.coefficient(lanes.axis) != 1:
        return None
    stride = position.coefficient(row.axis)
    if stride is None or stride == 0:
        return None
    if isinstance(stride, int) and not LINE <= stride * load.dtype.itemsize <= LONGEST:
        return None
    return Ahead(load.buffer, load.index, stride)


def ask(memory: Memory, wanted: Sequence[Ahead]) -> None:
    """Ask for what the lanes of the next row will read here."""
    code, builder = memory.code, memory.code.builder
    for ahead in wanted:
        array = memory.arrays[ahead.buffer]
        size = array.dtype.itemsize
        stride = memory.sizes.first(ahead.stride)
        if not isinstance(ahead.stride, int):
            limit = code.constant(LONGEST // size, "i64")
            key = ("short row", stride.text, limit.text)
            short = code.pure(key, (stride,), partial(builder.icmp, "slt", stride, limit))
            stride = choose(code, short, stride, code.constant(0, "i64"))
        pointer = code.gep(array.type, memory.place(array, ahead.index).pointer, stride)
        builder.declare("llvm.prefetch.p0", "void @llvm.prefetch.p0(ptr, i32, i32, i32)")
        for offset in range(0, memory.sizes.lanes * size, LINE):
            line = code.gep("i8", pointer, code.constant(offset, "i64"))
            builder.line(f"call void @llvm.prefetch.p0(ptr {line.text}, i32 0, i32 2, i32 1)")
