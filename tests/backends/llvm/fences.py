"""Memory between pages without access."""

import ctypes
import mmap
from typing import Any

import numpy as np
import pytest

Array = np.ndarray[Any, Any]
PROT_NONE = 0


class Fenced:
    """Memory with a page without access on either side."""

    def __init__(self, pages: int) -> None:
        self.inside = pages * mmap.PAGESIZE
        self.map = mmap.mmap(-1, self.inside + 2 * mmap.PAGESIZE)
        self.start = ctypes.addressof(ctypes.c_char.from_buffer(self.map))
        libc = ctypes.CDLL(None, use_errno=True)
        for fence in (self.start, self.start + mmap.PAGESIZE + self.inside):
            if libc.mprotect(ctypes.c_void_p(fence), mmap.PAGESIZE, PROT_NONE) != 0:
                pytest.skip("mprotect failed")

    def array(self, values: Array, at_end: bool) -> Array:
        """A copy of values that touches the fence at the end or at the start."""
        offset = mmap.PAGESIZE + (self.inside - values.nbytes if at_end else 0)
        placed = np.frombuffer(self.map, values.dtype, values.size, offset).reshape(values.shape)
        placed[...] = values
        return placed
