"""Which programs may write the new values of variables over the old ones.

A call has new arrays for the new values, so that an error leaves the old ones. Where nothing can
fail once the first new value is written, and each old value is read for the last time by the kernel
that writes the new one, element by element, the same memory serves for both: half of it, and more
of what is left stays in the caches.

    t = x.T @ d          W_new = W - rate * t

The kernel may be the epilogue of a product, which then has memory of its own.
"""

from collections.abc import Collection, Sequence

from graphc.loops.chains import chains_in
from graphc.loops.epilogues import Collapsed
from graphc.loops.ir import Contraction, KernelCall, Program, Step, written_buffers
from graphc.loops.updates_last import is_large
from graphc.memory.in_place import Donors
from graphc.memory.lives import buffers_of, uses_of


def rewriting_steps(program: Program) -> tuple[KernelCall, ...]:
    """The steps that write new values, if all of them may lie where the old ones do; else none.

    Not found: a swap of two variables, which needs both old values; programs whose variables are
    too small for it, with an epilogue among these steps.
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
        if len(places) != 1 or used.get(old, -1) > places[0]:
            return ()
        step = steps[places[0]]
        assert isinstance(step, KernelCall)
        if old in step.arguments and not donors.may_overwrite(step, old, new):
            return ()
        found[places[0]] = step
    if not found or not all(isinstance(s, KernelCall | Contraction) for s in steps[min(found) :]):
        return ()
    following = [position for position in found if _follows(steps, position)]
    large = is_large(program.buffers, program.updates)
    if following and not (large and _may_follow(program, following)):
        return ()
    return tuple(found.values())


def _follows(steps: Sequence[Step], position: int) -> bool:
    """Whether the step reads what a product right before it computes."""
    step, before = steps[position], steps[position - 1] if position else None
    return isinstance(before, Contraction) and before.out in buffers_of(step)


def _may_follow(program: Program, following: Collection[int]) -> bool:
    """Whether steps that are epilogues may write over old values while their product runs.

    It must not read these; in a chain of products, any step may run before and after any other.
    """
    steps = program.steps
    for position in following:
        before, after = steps[position - 1], written_buffers(steps[position])
        over = {old for old, new in program.updates if new in after}
        if isinstance(before, Contraction) and over & {before.a, before.b}:
            return False
    chains = chains_in(steps, program.buffers, uses_of(program), Collapsed())
    inside = {p for start, chain in chains.items() for p in range(start, start + chain.count)}
    return inside.isdisjoint(following)
