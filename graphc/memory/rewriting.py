"""Which programs may write the new values of variables over the old ones.

A call has new arrays for the new values, so that an error leaves the old ones. Where nothing can
fail once the first new value is written, and each old value is read for the last time by the kernel
that writes the new one, element by element, the same memory serves for both: half of it, and more
of what is left stays in the caches.
"""

from graphc.loops.ir import Contraction, KernelCall, Program
from graphc.memory.in_place import Donors
from graphc.memory.lives import buffers_of


def rewriting_steps(program: Program) -> tuple[KernelCall, ...]:
    """The steps that write new values, if all of them may lie where the old ones do; else none.

    Not found: new values that do not depend on the old one, such as a swap of two variables, and
    those that an epilogue of a matrix product computes, whose memory the product uses before.
    """
    steps = program.steps
    written: dict[str, list[int]] = {}
    used: dict[str, int] = {}  # the last step
    for position, step in enumerate(program.steps):
        for name in buffers_of(step):
            used[name] = position
        if isinstance(step, KernelCall):
            for parameter, name in zip(step.kernel.parameters, step.arguments, strict=True):
                if parameter.written:
                    written.setdefault(name, []).append(position)
    donors = Donors(program, {}, {})
    found: dict[int, KernelCall] = {}
    for old, new in program.updates:
        places = written.get(new, [])
        if len(places) != 1 or used.get(old) != places[0]:
            return ()
        step = steps[places[0]]
        assert isinstance(step, KernelCall)
        before = steps[places[0] - 1] if places[0] else None
        if isinstance(before, Contraction) and before.out in step.arguments:
            return ()
        if not donors.may_overwrite(step, old, new):
            return ()
        found[places[0]] = step
    if not found or not all(isinstance(s, KernelCall | Contraction) for s in steps[min(found) :]):
        return ()
    return tuple(found.values())
