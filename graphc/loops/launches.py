"""Calls of one kernel that may run at the same time.

    m0_new = k(m0, g0)        step p
    m1_new = k(m1, g1)        step p + 1
    ...

A backend may run all of them at once, and divide the elements of all arrays among threads: each
call by itself may be too short for that. None of them reads what another writes, nor the variable
whose new value another writes, as that may lie in the same memory. Temporaries are not written:
their memory may be that of one which an earlier call reads.
"""

from collections.abc import Sequence

from graphc.loops.extents import EXTENT
from graphc.loops.ir import KernelCall, Program, Step

ROLES = ("output", "update")


def launches_in(steps: Sequence[Step], program: Program) -> dict[int, list[KernelCall]]:
    """Calls of one kernel in a row, two or more, by the position of the first.

    Each of their kernels has one size, that of extents.py.
    """
    old_of = {new: old for old, new in program.updates}
    found: dict[int, list[KernelCall]] = {}
    start = 0
    run: list[KernelCall] = []
    read: set[str] = set()
    written: set[str] = set()
    for position, step in enumerate(steps):
        if not isinstance(step, KernelCall) or step.kernel.sizes != (EXTENT,):
            run = []
            continue
        pairs = list(zip(step.kernel.parameters, step.arguments, strict=True))
        own_read = {name for parameter, name in pairs if not parameter.written}
        results = {name for parameter, name in pairs if parameter.written}
        own_written = results | {old_of[name] for name in results if name in old_of}
        if not isinstance(step.sizes[0], int) or any(
            program.buffers[name].role not in ROLES for name in results
        ):
            run = []
            continue
        fits = run and step.kernel is run[0].kernel
        if fits and not own_read & written and not own_written & (read | written):
            run.append(step)
            read |= own_read
            written |= own_written
            found[start] = run
        else:
            start, run, read, written = position, [step], own_read, own_written
    return found
