"""Memory of large results, used again once nobody holds the result.

Fresh memory of the operating system costs more than filling it: every page is cleared first. So
the memory of the last large results is remembered, and given out again when the array that was
returned, and every view of it, is gone. Where results begin: see ir.placement.
"""

import sys
from collections import deque

import numpy as np

from graphc.ir.placement import LARGE, PAGE, array_in, next_place

KEPT = 2  # per result: `y = f(x)` drops the old y after the new one is there


def _references_of_a_local() -> int:
    array = np.empty(0)
    return sys.getrefcount(array)


_ALONE = _references_of_a_local()  # what getrefcount says where nobody else holds the array


class ResultMemory:
    """The memory of one result of a function; any thread may ask for it."""

    __slots__ = ("_kept", "_place")

    def __init__(self) -> None:
        self._place = next_place()
        self._kept: deque[np.ndarray] = deque(maxlen=KEPT)

    def take(self, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> np.ndarray:
        """An array with whatever is in its memory."""
        size = dtype.itemsize
        for extent in shape:
            size *= extent
        if size < LARGE:
            return np.empty(shape, dtype)
        memory = self._free(size + PAGE - 1)
        if memory is None:
            memory = np.empty(size + PAGE - 1, np.uint8)
        self._kept.append(memory)
        return array_in(memory, self._place, shape, dtype)

    def _free(self, size: int) -> np.ndarray | None:
        """Memory of this size that nobody holds; what is in use stays remembered."""
        for _ in range(len(self._kept)):
            try:
                memory = self._kept.popleft()
            except IndexError:  # another thread took it
                return None
            if sys.getrefcount(memory) > _ALONE:
                self._kept.append(memory)
            elif memory.nbytes == size:
                return memory
        return None
