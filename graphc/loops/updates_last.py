"""New values of variables are written behind the last step that reads the old ones.

    t = h.T @ d                        e = d @ W.T
    W_new = W - rate * t        ->     t = h.T @ d
    e = d @ W.T                        W_new = W - rate * t

Then the new value may take the memory of the old one (memory/rewriting.py). What these steps read
lives longer for it: no more of it than the memory that is won. Small variables stay where they are:
a call has new memory for them, and swaps.
"""

from collections.abc import Mapping, Sequence

from graphc.loops.ir import Buffer, Contraction, Step
from graphc.loops.order import nominal_bytes, uses
from graphc.shapes import size_product

REWRITTEN = 4 << 20  # bytes of variables from which new values take the memory of the old ones


def is_large(buffers: Mapping[str, Buffer], updates: Sequence[tuple[str, str]]) -> bool:
    """Whether old values may be written over, as far as the bytes of the variables tell."""
    return sum(_known_bytes(buffers[old]) for old, _ in updates) >= REWRITTEN


def with_updates_last(
    steps: Sequence[Step], buffers: Mapping[str, Buffer], updates: Sequence[tuple[str, str]]
) -> list[Step]:
    """The steps, those that write an update moved behind the last reader of the old value.

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
    left = sum(_known_bytes(buffers[old]) for old in old_of.values())
    moved: dict[int, list[Step]] = {}
    gone: set[int] = set()
    for number, (_, written) in enumerate(used):
        ours = [name for name in written if name in old_of]
        behind = max((last.get(old_of[name], number) for name in ours), default=number)
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
    return order


def _known_bytes(buffer: Buffer) -> int:
    size = size_product(buffer.shape)
    return size * buffer.dtype.itemsize if isinstance(size, int) else 0
