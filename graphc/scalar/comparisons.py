"""Networks of comparisons: which places are compared depends on nothing but their number.

A comparison (i, j) puts the lower of two elements in place i, the higher one in place j.
"""


def sorting_network(size: int) -> list[tuple[int, int]]:
    """What puts any elements in order: Batcher's odd-even merge (1968), for any size."""
    found = []
    merged = 1
    while merged < size:
        step = merged
        while step >= 1:
            for first in range(step % merged, size - step, 2 * step):
                for i in range(first, min(first + step, size - step)):
                    if i // (2 * merged) == (i + step) // (2 * merged):
                        found.append((i, i + step))
            step //= 2
        merged *= 2
    return found


def bitonic_merge(size: int) -> list[tuple[int, int]]:
    """What puts elements in order that rise and then fall, or fall and then rise: the second half
    of Batcher's bitonic merge (1968). size: a power of two."""
    found = []
    step = size // 2
    while step >= 1:
        found += [(i, i + step) for i in range(size) if not i & step]
        step //= 2
    return found
