"""Memory of large results, used again once nobody holds the result.

Fresh memory of the operating system costs more than filling it: every page is cleared first. So
the memory of the last large results is remembered, and given out again when the array that was
returned, and every view of it, is gone. Where results begin: see placement.
"""

import sys

import numpy as np

from graphc.placement import LARGE, PAGE, array_in, next_place

KEPT = 2  # per result: `y = f(x)` drops the old y after the new one is there


def _references_of_a_local() -> int:
    array = np.empty(0)
    return sys.getrefcount(array)


_ALONE = _references_of_a_local()  # what getrefcount says where nobody else holds the array


class ResultMemory:
    """The memory of one result of a function; any thread may ask for it.

    kept: bytes of arrays, KEPT at most; what only this list refers to is free, and native code may
    use it as well. place: where arrays begin in a page. Whoever is to look at an element takes it
    out of the list, in one step, as nobody else finds it then.
    """

    __slots__ = ("kept", "place")

    def __init__(self) -> None:
        self.place = next_place()
        self.kept: list[np.ndarray] = []

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
        self._keep(memory)
        return array_in(memory, self.place, shape, dtype)

    def _free(self, size: int) -> np.ndarray | None:
        """Memory of this size that nobody holds; what is in use stays remembered."""
        for _ in range(len(self.kept)):
            memory = self._next()
            if memory is None:
                return None
            if sys.getrefcount(memory) > _ALONE:
                self._keep(memory)
            elif memory.nbytes == size:
                return memory
        return None

    def _next(self) -> np.ndarray | None:
        try:
            return self.kept.pop(0)
        except IndexError:  # another thread took it
            return None

    def _keep(self, memory: np.ndarray) -> None:
        self.kept.append(memory)
        while len(self.kept) > KEPT:
            self._next()
