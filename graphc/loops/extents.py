"""Kernels that differ only in how many elements they run through become one kernel.

    for i in 4096: m_new[i] = 0.9*m[i] + 0.1*g[i]         for i in extent: ...   called with 4096
    for i in 64:   m_new[i] = 0.9*m[i] + 0.1*g[i]    ->                          and with 64

A training step updates each of its weights by the same formula: one function serves all of them,
instead of one for each size. Kernels that follow a product stay as they are, and so do those inside
loops and branches, and those of many elements.
"""

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from graphc.loops.ir import (
    Contraction,
    For,
    Kernel,
    KernelCall,
    Let,
    Parameter,
    Statement,
    Step,
    Store,
    flat_steps,
)
from graphc.loops.printer import kernel_key
from graphc.loops.tidy import values_of
from graphc.scalar.expr import Index, Load, walk
from graphc.shapes import Dim

EXTENT = "extent"
LARGEST = 1 << 18  # elements of a kernel that knows how many it has
SEVERAL = 3  # calls, from which a kernel knows its extent only at run time


def with_common_extents(steps: Sequence[Step]) -> list[Step]:
    """The steps, with one kernel for those that are equal but for their extents."""
    inside = {id(one) for step in steps for one in flat_steps([step])} - {id(s) for s in steps}
    kept = {
        id(one.kernel)
        for step in steps
        for one in flat_steps([step])
        if isinstance(one, KernelCall) and id(one) in inside
    }
    for before, step in itertools.pairwise(steps):
        if isinstance(before, Contraction) and isinstance(step, KernelCall):
            kept.add(id(step.kernel))
    general: dict[int, tuple[Kernel, int, str]] = {}  # by kernel: it, its extent, its key
    for step in steps:
        if isinstance(step, KernelCall) and id(step.kernel) not in kept | general.keys():
            made = _general(step.kernel)
            if made is not None:
                key = kernel_key(made[0])
                general[id(step.kernel)] = (*made, key)
    calls = Counter(
        general[id(step.kernel)][2]
        for step in steps
        if isinstance(step, KernelCall) and id(step.kernel) in general
    )
    common: dict[str, Kernel] = {}
    result: list[Step] = []
    for step in steps:
        if isinstance(step, KernelCall) and id(step.kernel) in general:
            kernel, extent, key = general[id(step.kernel)]
            if calls[key] >= SEVERAL:
                kernel = common.setdefault(key, kernel)
                step = replace(step, kernel=kernel, sizes=(*step.sizes, extent))
        result.append(step)
    return result


def _general(kernel: Kernel) -> tuple[Kernel, int] | None:
    """The kernel for any extent, and which it has; None if it is no loop over arrays in step."""
    *before, loop = kernel.body
    if not isinstance(loop, For) or loop.kind != "vector" or not isinstance(loop.extent, int):
        return None
    if loop.extent > LARGEST:
        return None
    if EXTENT in kernel.sizes or not all(isinstance(item, Let) for item in before):
        return None
    if not all(isinstance(item, Let | Store) for item in loop.body):
        return None
    whole = (loop.extent,)
    here = (Index(Dim.symbol(loop.axis)),)
    along = {parameter.name for parameter in kernel.parameters if parameter.shape == whole}
    for store in loop.body:
        if isinstance(store, Store) and (store.accumulate or not _fits(store, along, here)):
            return None
    for value in values_of(kernel.body):
        for part in walk(value):
            if isinstance(part, Load) and not _fits(part, along, here):
                return None
    extent = Dim.symbol(EXTENT)
    parameters: list[Parameter] = [
        replace(parameter, shape=(extent,)) if parameter.name in along else parameter
        for parameter in kernel.parameters
    ]
    body: tuple[Statement, ...] = (*before, replace(loop, extent=extent))
    sizes = (*kernel.sizes, EXTENT)
    return replace(kernel, parameters=tuple(parameters), sizes=sizes, body=body), loop.extent


def _fits(access: Load | Store, along: set[str], here: tuple[Index, ...]) -> bool:
    """Whether it is at the place of the loop, or in an array whose shape is another."""
    return access.buffer not in along or access.index == here
