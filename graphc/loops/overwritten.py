"""States of loops of which a step changes some entries: they are changed where they are.

    s' = s.at[i].set(v)         copy s to s' whole, then v into s'      ->      v into s

That costs what the entries cost, not the whole array. What reads the old state runs before, what
depends on the new one after it; where something needs both, there is a copy, as before.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from graphc.loops.ir import (
    Branch,
    Buffer,
    Carry,
    Contraction,
    For,
    HostCall,
    IndexCheck,
    Kernel,
    KernelCall,
    Lapack,
    Loop,
    Statement,
    Step,
    Store,
    While,
    flat_steps,
)
from graphc.loops.order import uses
from graphc.loops.tidy import loads_of
from graphc.scalar.expr import Load

AnyLoop = TypeVar("AnyLoop", bound=Loop | While)
Other = TypeVar("Other")


def with_states_in_place(
    loop: AnyLoop, buffers: dict[str, Buffer], shared: Callable[[Kernel], Kernel]
) -> AnyLoop:
    """The loop, with carries in place of those that it may write over; drops their buffers.

    shared: the kernel, or an equal one that is there already.
    """
    carries: list[Carry] = []
    rows = loop.slices if isinstance(loop, Loop) else loop.tapes
    following = [*(carry.following for carry in loop.carries), *(view for view, _ in rows)]
    handed = set(following)
    body = loop.body
    for carry in loop.carries:
        chain = _chain(carry, body)
        made = {call.arguments[0] for _, call in chain}
        others = handed - {carry.following}
        alone = made.isdisjoint(others) and following.count(carry.following) == 1
        changed = _in_place(carry, chain, body, shared) if alone else None
        if changed is None:
            carries.append(carry)
            continue
        body = changed
        carries.append(replace(carry, following=carry.state, spare=()))
        for name in (*made, *carry.spare):
            del buffers[name]
    return replace(loop, carries=tuple(carries), body=body)


def _in_place(
    carry: Carry,
    chain: Sequence[tuple[int, KernelCall]],
    body: Sequence[Step],
    shared: Callable[[Kernel], Kernel],
) -> tuple[Step, ...] | None:
    """The body with the state as what it becomes; None if it needs both."""
    new = {call.arguments[0]: carry.state for _, call in chain}
    places = [number for number, _ in chain]
    written: list[Step] = []
    for _, call in chain:
        kernel = without_copy(call.kernel)
        others = call.arguments[2:]
        if kernel is None or not {carry.state, *new}.isdisjoint(others):
            return None
        arguments = (call.arguments[0], *others)
        written.append(replace(call, kernel=shared(kernel), arguments=arguments))
    order = _order(body, places, set(new)) if written else []
    after = order[order.index(places[-1]) + 1 :] if order else []
    if not order or any(carry.state in names_in(body[number]) for number in after):
        return None
    changed = dict(zip(places, written, strict=True))
    return tuple(with_names(changed.get(number, body[number]), new) for number in order)


def _order(body: Sequence[Step], places: Sequence[int], made: set[str]) -> list[int]:
    """The steps at `places` behind all that do not depend on what they make; none if then some
    step would find other values: states that are in place already are written several times."""
    early: list[int] = []
    late: list[int] = []
    read: set[str] = set()  # by steps that come late
    for number, step in enumerate(body):
        reads, writes = uses(step)
        if number in places:
            read.update(reads)
        elif not read.isdisjoint(writes) or not made.isdisjoint(names_in(step)):
            late.append(number)
            made.update(writes)
            read.update(reads)
        else:
            early.append(number)
    order = [*early, *places, *late]
    return order if _writers(body, order) == _writers(body, range(len(body))) else []


def _writers(body: Sequence[Step], order: Sequence[int]) -> dict[int, list[int | None]]:
    """For each step who wrote last what it reads and writes."""
    last: dict[str, int] = {}
    found: dict[int, list[int | None]] = {}
    for number in order:
        reads, writes = uses(body[number])
        found[number] = [last.get(name) for name in (*reads, *writes)]
        last.update(dict.fromkeys(writes, number))
    return found


def _chain(carry: Carry, body: Sequence[Step]) -> list[tuple[int, KernelCall]]:
    """The calls that make the next state of this one, one of the other, with their places.

    Those in between are read by the next one alone: all can run where the last does.
    """
    chain: list[tuple[int, KernelCall]] = []
    name = carry.following
    while name != carry.state:
        places = [n for n, step in enumerate(body) if name in names_in(step)]
        writers = [n for n in places if name in uses(body[n])[1]]
        call = body[writers[0]] if len(writers) == 1 else None
        if not isinstance(call, KernelCall) or call.arguments[0] != name:
            return []
        if chain and places != [writers[0], chain[0][0]]:
            return []
        chain.insert(0, (writers[0], call))
        if len(call.arguments) < 2:
            return []
        name = call.arguments[1]
    return chain


def without_copy(kernel: Kernel) -> Kernel | None:
    """A scatter kernel for an output that is x already; None for another kernel."""
    named = [parameter.name for parameter in kernel.parameters]
    if named[:2] != ["out", "x"] or len(kernel.body) != 2 or not _copies(kernel.body[0]):
        return None
    if any(load.buffer == "x" for load in loads_of(kernel.body[1:])):
        return None
    out, _, *others = kernel.parameters
    return replace(
        kernel, name=f"{kernel.name}_in_place", parameters=(out, *others), body=kernel.body[1:]
    )


def copy_alone(kernel: Kernel) -> Kernel:
    """The rest of such a kernel."""
    return replace(
        kernel,
        name=f"{kernel.name}_copy",
        parameters=kernel.parameters[:2],
        body=kernel.body[:1],
    )


def _copies(statement: Statement) -> bool:
    """out[i, ...] = x[i, ...]"""
    while isinstance(statement, For) and len(statement.body) == 1:
        statement = statement.body[0]
    return (
        isinstance(statement, Store)
        and not statement.accumulate
        and isinstance(statement.value, Load)
        and (statement.buffer, statement.value.buffer) == ("out", "x")
        and statement.index == statement.value.index
    )


def names_in(step: Step) -> set[str]:
    """All buffers that stand in a step."""
    found: set[str] = set()

    def seen(name: str) -> str:
        found.add(name)
        return name

    _with_names(step, seen)
    return found


def with_names(step: Step, names: Mapping[str, str]) -> Step:
    """The step with other buffers."""
    if all(names.keys().isdisjoint(names_in(one)) for one in flat_steps([step])):
        return step
    return _with_names(step, lambda name: names.get(name, name))


def _with_names(step: Step, new: Callable[[str], str]) -> Step:
    def every(names: Sequence[str]) -> tuple[str, ...]:
        return tuple(map(new, names))

    def within(steps: Sequence[Step]) -> tuple[Step, ...]:
        return tuple(_with_names(one, new) for one in steps)

    def pairs(given: Sequence[tuple[str, Other]]) -> tuple[tuple[str, Other], ...]:
        return tuple((new(name), other) for name, other in given)

    def rows(given: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
        return tuple((new(view), new(buffer)) for view, buffer in given)

    def handed(carry: Carry) -> Carry:
        state, following = new(carry.state), new(carry.following)
        return Carry(state, following, new(carry.initial), new(carry.final), every(carry.spare))

    match step:
        case KernelCall():
            return replace(step, arguments=every(step.arguments))
        case Contraction():
            return replace(step, out=new(step.out), a=new(step.a), b=new(step.b))
        case IndexCheck():
            return replace(step, buffer=new(step.buffer))
        case HostCall():
            return replace(step, inputs=pairs(step.inputs), outputs=pairs(step.outputs))
        case Lapack():
            return replace(
                step,
                inputs=every(step.inputs),
                outputs=every(step.outputs),
                workspace=every(step.workspace),
            )
        case Loop():
            return replace(
                step,
                body=within(step.body),
                carries=tuple(map(handed, step.carries)),
                slices=rows(step.slices),
            )
        case While():
            return replace(
                step,
                holds=new(step.holds),
                test=within(step.test),
                body=within(step.body),
                carries=tuple(map(handed, step.carries)),
                tapes=rows(step.tapes),
            )
        case Branch():
            bodies = tuple(map(within, step.bodies))
            return replace(step, selector=new(step.selector), bodies=bodies, out=every(step.out))
