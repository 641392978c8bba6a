"""New values of variables are written behind the last step that reads the old ones or may fail.

    t = h.T @ d                        e = d @ W.T
    W_new = W - rate * t        ->     t = h.T @ d
    e = d @ W.T                        W_new = W - rate * t

Then the new value may take the memory of the old one (memory/rewriting.py). What these steps read
lives longer for it: no more of it than the memory that is won. Where small variables stand in the
way, since a check follows what makes their new value or a step reads the old one later, that is
kept beside and copied at the end. If all variables are small nothing is done: a call has new memory
for them, and swaps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from graphc.loops.ir import (
    Buffer,
    Contraction,
    For,
    Kernel,
    KernelCall,
    LoopKind,
    Parameter,
    Statement,
    Step,
    Store,
)
from graphc.loops.order import nominal_bytes, uses
from graphc.loops.overwritten import with_names
from graphc.loops.tidy import fresh_name
from graphc.scalar.expr import Index, Load
from graphc.shapes import Dim, size_product

SMALL = 1 << 16  # bytes of a new value that is copied
REWRITTEN = 4 << 20  # bytes of variables from which new values take the memory of the old ones


def is_large(buffers: Mapping[str, Buffer], updates: Sequence[tuple[str, str]]) -> bool:
    """Whether old values may be written over, as far as the bytes of the variables tell."""
    return sum(_known_bytes(buffers[old]) for old, _ in updates) >= REWRITTEN


def with_updates_last(
    steps: Sequence[Step], buffers: dict[str, Buffer], updates: Sequence[tuple[str, str]]
) -> list[Step]:
    """The steps, those that write an update moved behind the last reader of the old value, and
    behind all that may fail.

    updates: buffers of the old and the new value of each variable.
    """
    if not is_large(buffers, updates):
        return list(steps)
    used = [uses(step) for step in steps]
    last: dict[str, int] = {}
    places: dict[str, list[int]] = {}
    for number, (read, written) in enumerate(used):
        for name in read:
            last[name] = number
        for name in {*read, *written}:
            places.setdefault(name, []).append(number)
    old_of = {new: old for old, new in updates}
    fallible = _last_that_may_fail(steps)
    left = sum(_known_bytes(buffers[old]) for old in old_of.values())
    moved: dict[int, list[Step]] = {}
    gone: set[int] = set()
    for number, (_, written) in enumerate(used):
        ours = [name for name in written if name in old_of]
        behind = max(
            (max(last.get(old_of[name], number), fallible) for name in ours), default=number
        )
        if behind <= number:
            continue
        first = number
        before = steps[number - 1] if number else None
        if isinstance(before, Contraction) and places[before.out] == [number - 1, number]:
            first -= 1
        results = {name for at in range(first, number + 1) for name in used[at][1]}
        if any(results.intersection(used[at][0]) for at in range(number + 1, behind + 1)):
            continue
        kept = {
            name
            for at in range(first, number + 1)
            for name in used[at][0]
            if name not in results and places[name][-1] < behind
        }
        left -= sum(nominal_bytes(buffers[name]) for name in kept if name in buffers)
        if left >= 0:
            moved.setdefault(behind, []).extend(steps[first : number + 1])
            gone.update(range(first, number + 1))
    order: list[Step] = []
    for number, step in enumerate(steps):
        if number not in gone:
            order.append(step)
        order += moved.get(number, [])
    return _with_copies(order, buffers, updates)


def _with_copies(
    steps: list[Step], buffers: dict[str, Buffer], updates: Sequence[tuple[str, str]]
) -> list[Step]:
    """The steps, with copies of small new values that would be written too early."""
    used = [uses(step) for step in steps]
    read = {name: number for number, (names, _) in enumerate(used) for name in names}
    written = {name: number for number, (_, names) in enumerate(used) for name in names}
    fallible = _last_that_may_fail(steps)
    beside: dict[str, str] = {}
    for old, new in updates:
        place = written.get(new)
        needed = max(fallible, read.get(old, -1))
        if place is None or place >= needed:
            continue
        if not 0 < _known_bytes(buffers[old]) <= SMALL or buffers[new].role != "update":
            return steps  # this one stays in the way
        beside[new] = fresh_name(f"early_{new}", set(buffers))
    for new, name in beside.items():
        buffers[name] = replace(buffers[new], name=name, role="temporary")
    copies = [_copy(buffers[name], new) for new, name in beside.items()]
    return [*(with_names(step, beside) for step in steps), *copies]


def _last_that_may_fail(steps: Sequence[Step]) -> int:
    """Its number, or -1: kernels and products do not."""
    numbered = enumerate(steps)
    return max((n for n, s in numbered if not isinstance(s, KernelCall | Contraction)), default=-1)


def _copy(source: Buffer, target: str) -> KernelCall:
    index = tuple(Index(Dim.symbol(f"i{axis}")) for axis in range(len(source.shape)))
    value = Load("x", index, source.dtype)
    body: Statement = Store("out", index, value, False, source.sources)
    for axis in reversed(range(len(source.shape))):
        kind: LoopKind = "vector" if axis == len(source.shape) - 1 else "parallel"
        body = For(f"i{axis}", source.shape[axis], kind, (body,))
    parameters = (
        Parameter("out", source.dtype, source.shape, True),
        Parameter("x", source.dtype, source.shape),
    )
    comment = f"{target} = {source.name}"
    kernel = Kernel(f"copy_{source.name}", parameters, (), (body,), source.sources, comment)
    return KernelCall(kernel, (target, source.name), (), source.sources, comment)


def _known_bytes(buffer: Buffer) -> int:
    size = size_product(buffer.shape)
    return size * buffer.dtype.itemsize if isinstance(size, int) else 0
