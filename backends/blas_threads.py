"""How many threads numpy's BLAS may use while compiled code runs.

Its threads spin while they wait for each other. Beside other work on the machine, small products
then take a hundred times as long; so calls run it on as many threads as the function asks for (one
by default) and give numpy its own number back.
"""

import ctypes
import glob
import os
import threading
from collections.abc import Callable
from functools import cache
from types import TracebackType

import numpy as np

# Products of less work run on one thread in any case (OpenBLAS: interface/gemm.c, gemv.c).
THREADED_PRODUCT = 1 << 17
THREADED_VECTOR_PRODUCT = 1 << 13


def may_use_threads(m: int, n: int, k: int) -> bool:
    """Whether BLAS may split a product of an m x k and a k x n matrix among threads."""
    least = THREADED_VECTOR_PRODUCT if min(m, n) == 1 else THREADED_PRODUCT
    return m * n * k >= least


@cache
def openblas_paths() -> tuple[str, ...]:
    """The OpenBLAS libraries that came with numpy."""
    folder = os.path.dirname(os.path.abspath(np.__file__))
    places = (
        os.path.join(os.path.dirname(folder), "numpy.libs", "*openblas64*"),
        os.path.join(folder, ".dylibs", "*openblas64*"),
    )
    return tuple(sorted(path for place in places for path in glob.glob(place)))


@cache
def _setter() -> Callable[[int], int] | None:
    """int (int): sets the number of threads and answers with the one before."""
    for path in openblas_paths():
        try:
            function = ctypes.CDLL(path).openblas_set_num_threads_local
        except (OSError, AttributeError):
            continue
        function.argtypes, function.restype = [ctypes.c_int], ctypes.c_int
        setter: Callable[[int], int] = function
        return setter
    return None


class BlasThreads:
    """A context in which BLAS runs on `threads` threads.

    The number belongs to the process: the first of several calls at a time sets it, the last one
    restores it.
    """

    _lock = threading.Lock()
    _running = 0
    _before = 0

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.setter = _setter()

    def __enter__(self) -> None:
        if self.setter is None:
            return
        with BlasThreads._lock:
            if BlasThreads._running == 0:
                BlasThreads._before = self.setter(self.threads)
            BlasThreads._running += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.setter is None:
            return
        with BlasThreads._lock:
            BlasThreads._running -= 1
            if BlasThreads._running == 0:
                self.setter(BlasThreads._before)


def _after_fork() -> None:
    """A child starts with no call running, whatever its parent was doing."""
    setter = _setter()
    if BlasThreads._running and setter is not None:
        setter(BlasThreads._before)
    BlasThreads._lock = threading.Lock()
    BlasThreads._running = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
