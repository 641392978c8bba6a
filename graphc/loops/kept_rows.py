"""Rows that two kernels hand from one to the other: kept in the cache, not stored.

    for i in n parallel:                     for i in n parallel:
      for j in p parallel:                     row_t: f32[p] scratch
        total = 0.0                            for j in p parallel:
        for k in m vector:                       total = 0.0
          total += (x[i, k] - y[j, k])^2         for k in m vector:
        t[i, j] = total                ->          total += (x[i, k] - y[j, k])^2
    for i in n parallel:                         row_t[j] = total
      for j in p vector:                       for j in p vector:
        best min= t[i, j]                        best min= row_t[j]
      out[i] = best                            out[i] = best

A kernel holds one reduction over its rows (see groups.py); what is reduced of the results of
another reduction is a kernel of its own. Where both run along the same rows, and nothing else reads
what is between them, they become one: the nearest of many points needs no table of all distances.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from graphc.ir.source import merge_sources
from graphc.loops.ir import (
    Accumulator,
    Buffer,
    For,
    If,
    Kernel,
    KernelCall,
    Let,
    Parameter,
    Scratch,
    Statement,
    Step,
    Store,
)
from graphc.loops.order import uses
from graphc.loops.tidy import (
    fresh_name,
    loads_of,
    map_values,
    renamed,
    statements_of,
    with_sizes,
)
from graphc.records import dataclass
from graphc.scalar.expr import Expr, Index, Load, transform
from graphc.shapes import Dim, Shape, Size, substitute, symbols_of

FEWEST = 16  # rows, where their number is known: fewer are better shared along the row
SMALLEST = 4  # bytes of an element; smaller ones are computed in another format than stored

MakeCall = Callable[[Kernel, tuple[str, ...]], KernelCall]


def with_rows_kept(steps: Sequence[Step], buffers: dict[str, Buffer], call: MakeCall) -> list[Step]:
    """The steps, with such pairs of kernels as one. call: of a new kernel."""
    readers: Counter[str] | None = None
    found: list[Step] = []
    for step in steps:
        if found and isinstance(step, KernelCall) and isinstance(before := found[-1], KernelCall):
            between = set(uses(before)[1]) & set(uses(step)[0])
            if len(between) == 1 and _reduces_in_rows(before.kernel):
                (name,) = between
                if readers is None:
                    readers = Counter(name for one in steps for name in uses(one)[0])
                if readers[name] == 1 and buffers[name].role == "temporary":
                    joined = _joined(before, step, name)
                    if joined is not None:
                        found[-1] = call(*joined)
                        del buffers[name]
                        continue
        found.append(step)
    return found


def _reduces_in_rows(kernel: Kernel) -> bool:
    """Whether reductions stand inside two loops at least."""
    loop = kernel.body[-1] if kernel.body else None
    if not isinstance(loop, For) or loop.kind != "parallel" or kernel.fused:
        return False
    inner = [item for item in loop.body if isinstance(item, For)]
    return any(isinstance(item, Accumulator) for one in inner for item in one.body)


def _joined(
    first: KernelCall, second: KernelCall, name: str
) -> tuple[Kernel, tuple[str, ...]] | None:
    """One kernel for both calls, and its arguments; `name`: the buffer between them."""
    one, other = _Rows.of(first, name), _Rows.of(second, name)
    if one is None or other is None or one.own.dtype != other.own.dtype:
        return None
    extent = one.loop.extent
    if other.loop.extent != extent or one.shape != other.shape or len(one.shape) < 2:
        return None
    if one.shape[0] != extent or (isinstance(extent, int) and extent < FEWEST):
        return None
    if one.own.dtype.itemsize < SMALLEST or not (one.writes_its_row() and other.reads_its_row()):
        return None
    parameters, arguments = list(one.others()), list(one.arguments())
    taken = one.names() | {one.loop.axis} | {parameter.name for parameter in parameters}
    names: dict[str, str] = {}
    for parameter, argument in zip(other.others(), other.arguments(), strict=True):
        same = [p for p, a in zip(parameters, arguments, strict=True) if a == argument]
        if any(p.written for p in same) or (same and parameter.written):
            return None  # rows of what the other one writes
        if same and same[0].shape == parameter.shape:
            names[parameter.name] = same[0].name
            continue
        names[parameter.name] = fresh_name(parameter.name, taken)
        parameters.append(
            Parameter(names[parameter.name], parameter.dtype, parameter.shape, parameter.written)
        )
        arguments.append(argument)
    axes, shared = _axes(other.loop.body), _axes(one.loop.body) - {one.loop.axis}
    for inner in sorted(other.names()):
        if inner not in axes & shared:  # loops that follow each other may run along one axis
            names[inner] = fresh_name(inner, taken)
    names[other.loop.axis] = one.loop.axis
    row = fresh_name(f"row_{name}", taken)
    start = renamed([*other.lets], names)
    scratch = Scratch(row, one.own.dtype, one.shape[1:])
    body = (
        scratch,
        *_in_row(one.loop.body, one.own.name, row),
        *_in_row(renamed(other.loop.body, names), names.get(other.own.name, other.own.name), row),
    )
    loop = For(one.loop.axis, extent, "parallel", body)
    symbols = {
        symbol
        for size in (extent, *one.sizes, *other.sizes, *one.shape)
        for symbol in symbols_of(size)
    }
    kernel = Kernel(
        f"{first.kernel.name}_{second.kernel.name}",
        tuple(parameters),
        tuple(sorted(symbols)),
        (*one.lets, *start, loop),
        merge_sources(first.sources, second.sources),
        f"{first.comment}, {second.comment}",
    )
    return kernel, tuple(arguments)


@dataclass(frozen=True, slots=True)
class _Rows:
    """A kernel that is one loop over rows, in the sizes of the program.

    own: the parameter for the buffer between two kernels. lets: what is computed before the loop.
    """

    call: KernelCall
    own: Parameter
    shape: Shape
    lets: tuple[Statement, ...]
    loop: For
    sizes: tuple[Size, ...]
    bound: Mapping[str, Size]

    @staticmethod
    def of(call: KernelCall, name: str) -> "_Rows | None":
        kernel = call.kernel
        pairs = zip(kernel.parameters, call.arguments, strict=True)
        own = [parameter for parameter, argument in pairs if argument == name]
        *lets, last = kernel.body
        if not isinstance(last, For) or last.kind != "parallel" or kernel.fused or len(own) != 1:
            return None
        if not all(isinstance(item, Let) for item in lets):
            return None
        if any(load.buffer == own[0].name for load in loads_of(lets)):
            return None
        bound = dict(zip(kernel.sizes, call.sizes, strict=True))
        *start, loop = with_sizes(kernel.body, bound)
        assert isinstance(loop, For)
        shape = tuple(_bound(size, bound) for size in own[0].shape)
        return _Rows(call, own[0], shape, tuple(start), loop, call.sizes, bound)

    def others(self) -> Iterator[Parameter]:
        for one in self.call.kernel.parameters:
            if one is not self.own:
                shape = tuple(_bound(size, self.bound) for size in one.shape)
                yield Parameter(one.name, one.dtype, shape, one.written)

    def arguments(self) -> Iterator[str]:
        for one, argument in zip(self.call.kernel.parameters, self.call.arguments, strict=True):
            if one is not self.own:
                yield argument

    def names(self) -> set[str]:
        """Of loops, values and arrays inside the kernel, but for its loop over rows."""
        return {name for item in (*self.lets, *self.loop.body) for name in _names(item)}

    def _is_in_row(self, index: Sequence[Expr]) -> bool:
        return index[0] == Index(Dim.symbol(self.loop.axis))

    def writes_its_row(self) -> bool:
        stores = [item for item in statements_of(self.loop.body) if isinstance(item, Store)]
        own = [item for item in stores if item.buffer == self.own.name]
        read = any(load.buffer == self.own.name for load in loads_of(self.loop.body))
        return not read and all(self._is_in_row(s.index) and not s.accumulate for s in own)

    def reads_its_row(self) -> bool:
        own = [load for load in loads_of(self.loop.body) if load.buffer == self.own.name]
        return not self.own.written and all(self._is_in_row(load.index) for load in own)


def _bound(size: Size, sizes: Mapping[str, Size]) -> Size:
    return substitute(size, dict(sizes))


def _axes(body: Sequence[Statement]) -> set[str]:
    return {item.axis for item in statements_of(body) if isinstance(item, For)}


def _names(item: Statement) -> set[str]:
    found: set[str] = set()
    for one in statements_of([item]):
        match one:
            case For(axis=axis):
                found.add(axis)
            case Let(name=name) | Scratch(name=name):
                found.add(name)
            case Accumulator(name=name, position_name=position):
                found |= {name} if position is None else {name, position}
    return found


def _in_row(body: Sequence[Statement], buffer: str, row: str) -> list[Statement]:
    """The statements, with rows of the buffer in an array that has one."""

    def leaf(expr: Expr) -> Expr | None:
        if isinstance(expr, Load) and expr.buffer == buffer:
            return Load(row, tuple(transform(one, leaf) for one in expr.index[1:]), expr.dtype)
        return None

    result: list[Statement] = []
    for item in body:
        if isinstance(item, For):
            item = For(item.axis, item.extent, item.kind, tuple(_in_row(item.body, buffer, row)))
        elif isinstance(item, If):
            inside = tuple(_in_row(item.body, buffer, row))
            item = If(transform(item.condition, leaf), inside)
        else:
            item = map_values(item, lambda value: transform(value, leaf))
            if isinstance(item, Store) and item.buffer == buffer:
                item = Store(row, item.index[1:], item.value, item.accumulate, item.sources)
        result.append(item)
    return result
