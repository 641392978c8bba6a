"""Where large arrays begin: each at another distance from the beginning of a memory page.

Arrays that fill pages begin at the same place of a page. A kernel that runs through several of them
then reads and writes at addresses that are equal in their last twelve bits, which processors take
for the same address at first: loads wait for stores that do not concern them. Adam on four million
weights takes three times as long. Places are at least 128 bytes apart, and far from the beginning,
where the arrays of callers are.
"""

from itertools import count

import numpy as np

LARGE = 1 << 20  # bytes from which memory comes fresh from the operating system, in whole pages
PAGE = 4096
LINE = 64
STEP = 2 * LINE
PLACES = 29  # a prime: every number of steps visits them all

_turn = count()


def next_place() -> int:
    """Bytes from the beginning of a page, a multiple of LINE, in turn."""
    return STEP * (2 + (PLACES // 2 + next(_turn) * 11) % PLACES)


def array_in(
    memory: np.ndarray, place: int, shape: tuple[int, ...], dtype: np.dtype[np.generic]
) -> np.ndarray:
    """The array that begins at `place` of a page; memory: bytes, PAGE - 1 more than it needs."""
    return np.ndarray(shape, dtype, memory, (place - memory.ctypes.data) % PAGE)


def fresh(shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> np.ndarray:
    """A dense array with whatever is in its memory."""
    size = dtype.itemsize
    for extent in shape:
        size *= extent
    if size < LARGE:
        return np.empty(shape, dtype)
    return array_in(np.empty(size + PAGE - 1, np.uint8), next_place(), shape, dtype)


def copied(array: np.ndarray, dtype: np.dtype[np.generic] | None = None) -> np.ndarray:
    """A dense copy."""
    if array.nbytes < LARGE:
        return np.array(array, dtype=dtype, order="C", copy=True)
    result = fresh(array.shape, array.dtype if dtype is None else dtype)
    result[...] = array
    return result
