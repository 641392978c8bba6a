"""Sums that scatter along the same indices, in one loop.

    for i in n: a[ids[i]] += x[i]
    for i in n: b[ids[i]] += y[i]     ->     for i in n: a[ids[i]] += x[i]; b[ids[i]] += y[i]

An addition to a place waits for the one before it; two of them wait together. The order in which
each place is added to stays the same. Loops whose rows are vectors are left alone.
"""

from collections.abc import Sequence
from dataclasses import replace

from graphc.ir.source import merge_sources
from graphc.loops.ir import For, Kernel, KernelCall, Statement, Step, Store
from graphc.loops.order import uses
from graphc.loops.tidy import renamed, with_body

PARAMETERS = ("out", "indices", "values")  # of the kernels that structured.py makes
MOST = 8  # arrays that one loop adds to


def join_scatters(steps: Sequence[Step]) -> list[Step]:
    """The steps, with sums that scatter along the same indices done together, by the last one."""
    result: list[Step | None] = []
    waiting: dict[int, list[KernelCall]] = {}  # sums whose results nothing has read, by position
    for step in steps:
        reads, _ = uses(step)
        for place, calls in list(waiting.items()):
            if any(call.arguments[0] in reads for call in calls):
                del waiting[place]
        own = [step] if isinstance(step, KernelCall) and _adds_elements(step.kernel) else []
        for place, calls in waiting.items():
            if own and len(calls) < MOST and _alike(calls[0], own[0]):
                result[place] = None
                own = [*waiting.pop(place), *own]
                break
        if own:
            waiting[len(result)] = own
        result.append(_joined(own) if len(own) > 1 else step)
    return [step for step in result if step is not None]


def _adds_elements(kernel: Kernel) -> bool:
    """Whether it is a scatter_add of single elements."""
    if tuple(parameter.name for parameter in kernel.parameters) != PARAMETERS:
        return False
    loop = kernel.body[-1]
    while isinstance(loop, For) and loop.kind == "serial" and len(loop.body) == 1:
        loop = loop.body[0]
    return isinstance(loop, Store) and loop.accumulate


def _alike(a: KernelCall, b: KernelCall) -> bool:
    return a.kernel is b.kernel and a.sizes == b.sizes and a.arguments[1] == b.arguments[1]


def _joined(calls: Sequence[KernelCall]) -> KernelCall:
    kernel, sizes = calls[0].kernel, calls[0].sizes
    out, indices, values = kernel.parameters
    parameters, arguments = [indices], [calls[0].arguments[1]]
    bodies: list[Sequence[Statement]] = []
    for number, call in enumerate(calls):
        names = {one.name: f"{one.name}{number}" for one in (out, values)}
        parameters += [replace(one, name=names[one.name]) for one in (out, values)]
        arguments += [call.arguments[0], call.arguments[2]]
        bodies.append(renamed(kernel.body, names))
    sources = merge_sources(*(call.sources for call in calls))
    joined = Kernel(
        f"{kernel.name}_{len(calls)}",
        tuple(parameters),
        kernel.sizes,
        tuple(_together(bodies)),
        sources,
        kernel.comment,
    )
    comment = ", ".join(call.comment for call in calls)
    return KernelCall(joined, tuple(arguments), sizes, sources, comment)


def _together(bodies: Sequence[Sequence[Statement]]) -> list[Statement]:
    """Loops that differ in names of arrays alone as loops that do the work of all."""
    result: list[Statement] = []
    for items in zip(*bodies, strict=True):
        loops = [item for item in items if isinstance(item, For)]
        result += [with_body(loops[0], _together([o.body for o in loops]))] if loops else items
    return result
