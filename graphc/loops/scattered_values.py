"""What a scatter adds is computed on the way, not stored before.

    for e in n parallel:                     for e in n serial:
      for j in m vector:                       for j in m vector:
        t[e, j] = w[e]*h[from[e], j]   ->        out[to[e], j] += w[e]*h[from[e], j]
    for e in n serial:
      for j in m vector:
        out[to[e], j] += t[e, j]

Messages along the edges of a graph, and their gradients, are rows that are gathered by one list of
indices and scattered by another: there are more of them than of anything else. Rows are scattered
one after the other, so that what is computed on the way is cheap, and nothing else may read it.
Scatters that begin with another array are left alone: a step of a loop may change that in place.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from graphc.ir.source import merge_sources
from graphc.loops.ir import Buffer, For, Kernel, KernelCall, Let, Parameter, Statement, Step, Store
from graphc.loops.order import uses
from graphc.loops.tidy import (
    fresh_name,
    loads_of,
    map_values,
    renamed,
    statements_of,
    with_body,
    with_sizes,
)
from graphc.scalar.expr import Expr, Index, Load, cost, transform
from graphc.shapes import Dim, Size, substitute, symbols_of

MOST = 12  # additions for an element

MakeCall = Callable[[Kernel, tuple[str, ...]], KernelCall]


def with_values_inside(
    steps: Sequence[Step], buffers: dict[str, Buffer], call: MakeCall
) -> list[Step]:
    """The steps, with such pairs of kernels as one. call: of a new kernel."""
    if not any(_scattered(step) for step in steps):
        return list(steps)
    readers = Counter(name for step in steps for name in uses(step)[0])
    found: list[Step | None] = list(steps)
    written: dict[str, int] = {}
    for number, step in enumerate(steps):
        name = _scattered(step)
        if name is not None and readers[name] == 1 and buffers[name].role == "temporary":
            producer = found[written[name]] if name in written else None
            if isinstance(producer, KernelCall) and isinstance(step, KernelCall):
                joined = _joined(producer, step, name)
                if joined is not None:
                    found[written[name]] = None
                    found[number] = call(*joined)
                    del buffers[name]
        written.update(dict.fromkeys(uses(step)[1], number))
    return [step for step in found if step is not None]


def _scattered(step: Step) -> str | None:
    """The buffer of rows that a kernel of structured.py scatters over numbers."""
    if not isinstance(step, KernelCall) or step.kernel.parameters[0].name != "out":
        return None
    names = [parameter.name for parameter in step.kernel.parameters]
    last = step.kernel.body[-1]
    if "x" in names or "values" not in names or not isinstance(last, For) or last.kind != "serial":
        return None
    rows = [item for item in statements_of([last]) if isinstance(item, For)]
    return step.arguments[names.index("values")] if rows[-1].kind == "vector" else None


def _joined(
    producer: KernelCall, scatter: KernelCall, name: str
) -> tuple[Kernel, tuple[str, ...]] | None:
    """One kernel for both calls, and its arguments; `name`: the buffer between them."""
    [values] = [p for p, a in _passed(scatter) if a == name]
    places = [load.index for load in loads_of(scatter.kernel.body) if load.buffer == values.name]
    store = _only_store(producer.kernel)
    if store is None or store.accumulate or len(places) != 1:
        return None
    [own] = [p for p, a in _passed(producer) if a == name]
    shapes = [
        tuple(_bound(size, call) for size in one.shape)
        for one, call in ((values, scatter), (own, producer))
    ]
    axes = _axes(store.index), _axes(places[0])
    if shapes[0] != shapes[1] or axes[0] is None or axes[1] is None:
        return None
    names = dict(zip(axes[0], axes[1], strict=True))
    taken = {parameter.name for parameter in scatter.kernel.parameters} | {*axes[1]}
    parameters = [p for p in scatter.kernel.parameters if p is not values]
    arguments = [a for a in scatter.arguments if a != name]
    for parameter, argument in _passed(producer):
        if parameter is not own:
            names[parameter.name] = fresh_name(parameter.name, taken)
            shape = tuple(_bound(size, producer) for size in parameter.shape)
            parameters.append(Parameter(names[parameter.name], parameter.dtype, shape))
            arguments.append(argument)
    for item in statements_of(producer.kernel.body):
        if isinstance(item, Let):
            names[item.name] = fresh_name(item.name, taken)
    made = renamed(with_sizes(producer.kernel.body, _sizes(producer)), names)
    body = with_sizes(scatter.kernel.body, _sizes(scatter))
    rows = _together(made, body[-1], values.name)
    if rows is None:
        return None
    body = [*body[:-1], *rows]
    used = [*_extents(body), *(size for parameter in parameters for size in parameter.shape)]
    kernel = Kernel(
        scatter.kernel.name,
        tuple(parameters),
        tuple(sorted({symbol for size in used for symbol in symbols_of(size)})),
        tuple(body),
        merge_sources(producer.sources, scatter.sources),
        f"{producer.comment}, {scatter.comment}",
    )
    return kernel, tuple(arguments)


def _passed(call: KernelCall) -> Iterator[tuple[Parameter, str]]:
    return zip(call.kernel.parameters, call.arguments, strict=True)


def _sizes(call: KernelCall) -> dict[str, Size]:
    return dict(zip(call.kernel.sizes, call.sizes, strict=True))


def _bound(size: Size, call: KernelCall) -> Size:
    return substitute(size, _sizes(call))


def _extents(body: Sequence[Statement]) -> Iterator[Size]:
    return (item.extent for item in statements_of(body) if isinstance(item, For))


def _only_store(kernel: Kernel) -> Store | None:
    """That of a kernel which computes one cheap value, in loops one in the other."""
    body, work = kernel.body, 0
    while not kernel.fused:
        *lets, last = body
        if not all(isinstance(item, Let) for item in lets):
            return None
        work += sum(cost(item.value) for item in lets if isinstance(item, Let))
        if isinstance(last, Store):
            return last if work + cost(last.value) <= MOST else None
        if not isinstance(last, For):
            return None
        body = last.body
    return None


def _axes(index: Sequence[Expr]) -> tuple[str, ...] | None:
    """The axes of a place that has one in each position."""
    found: list[str] = []
    for part in index:
        if not isinstance(part, Index) or not isinstance(part.size, Dim):
            return None
        names = symbols_of(part.size)
        if len(names) != 1 or part.size != Dim.symbol(*names) or not names.isdisjoint(found):
            return None
        found += names
    return tuple(found)


def _together(made: Sequence[Statement], scatter: Statement, values: str) -> list[Statement] | None:
    """The loops of a scatter, with the value that the others store in place of what it reads."""
    *before, last = made
    if isinstance(last, Store) and isinstance(scatter, Store):
        value = last.value

        def leaf(part: Expr) -> Expr | None:
            return value if isinstance(part, Load) and part.buffer == values else None

        return [*before, map_values(scatter, lambda whole: transform(whole, leaf), last.sources)]
    if not isinstance(last, For) or not isinstance(scatter, For):
        return None
    if (last.axis, last.extent) != (scatter.axis, scatter.extent):
        return None
    inner = _together(last.body, scatter.body[0], values)
    return None if inner is None else [*before, with_body(scatter, inner)]
