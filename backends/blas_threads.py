"""How many threads numpy's BLAS, and the LAPACK of scipy, may use while compiled code runs.

Its threads spin while they wait for each other. Beside other work on the machine, small products
then take a hundred times as long; so calls run it on as many threads as the function asks for (one
by default) and give numpy its own number back.
"""

import ctypes
import importlib.util
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from types import TracebackType

import numpy as np

# Matrices up to which LAPACK runs on one thread in any case, as measured with OpenBLAS 0.3.30.
SMALL_MATRIX = 32
SMALL_MATRICES = {"getrf": 99, "getrs": 99, "potrf": 63}
SYSTEMS = ("getrs", "trsm")


def routine_may_use_threads(routine: str, sizes: Mapping[str, int]) -> bool:
    """Whether a routine of LAPACK may split one matrix among threads.

    Small ones it does not, nor the products inside of it; but systems do from two right-hand sides
    on, of any size.
    """
    matrix = [sizes[name] for name in ("m", "n", "k") if name in sizes]
    small = SMALL_MATRICES.get(routine, SMALL_MATRIX)
    return max(matrix) > small or (routine in SYSTEMS and min(matrix) > 1)


@cache
def openblas_paths() -> tuple[str, ...]:
    """The OpenBLAS libraries that came with numpy."""
    return _beside(np.__file__, "numpy.libs", "openblas64")


@cache
def scipy_paths() -> tuple[str, ...]:
    """The OpenBLAS libraries that came with scipy, where LAPACK's routines are."""
    found = importlib.util.find_spec("scipy")
    return _beside(found.origin, "scipy.libs", "openblas") if found and found.origin else ()


def _beside(module: str, libraries: str, word: str) -> tuple[str, ...]:
    """The libraries of a package with that word in their names, where wheels have them."""
    package = os.path.dirname(os.path.abspath(module))
    found: list[str] = []
    for folder in (os.path.join(os.path.dirname(package), libraries), f"{package}/.dylibs"):
        with suppress(OSError):
            found += (os.path.join(folder, name) for name in os.listdir(folder) if word in name)
    return tuple(sorted(found))


class _Limit:
    """The number of threads of one library. It belongs to the process: the first of several calls
    at a time sets it, the last one restores it.
    """

    def __init__(self, paths: Callable[[], tuple[str, ...]]) -> None:
        self.paths = paths
        self.lock = threading.Lock()
        self.running = 0
        self.before = 0
        self.found: Callable[[int], int] | None = None
        self.searched = False

    def search(self) -> Callable[[int], int] | None:
        """int (int): sets the number of threads and answers with the one before."""
        self.found, self.searched = _find_setter(self.paths()), True
        return self.found

    def enter(self, threads: int) -> None:
        setter = self.found if self.searched else self.search()
        if setter is None:
            return
        with self.lock:
            if self.running == 0:
                self.before = setter(threads)
            self.running += 1

    def leave(self) -> None:
        setter = self.found
        if setter is None:
            return
        with self.lock:
            self.running -= 1
            if self.running == 0:
                setter(self.before)

    def after_fork(self) -> None:
        """A child starts with no call running, whatever its parent was doing."""
        if self.running and self.found is not None:
            self.found(self.before)
        self.lock = threading.Lock()
        self.running = 0


def _find_setter(paths: Sequence[str]) -> Callable[[int], int] | None:
    for path in paths:
        try:
            function = ctypes.CDLL(path).openblas_set_num_threads_local
        except (OSError, AttributeError):
            continue
        function.argtypes, function.restype = [ctypes.c_int], ctypes.c_int
        setter: Callable[[int], int] = function
        return setter
    return None


_NUMPY, _SCIPY = _Limit(openblas_paths), _Limit(scipy_paths)


class BlasThreads:
    """A context in which libraries run on `threads` threads.

    products: numpy's BLAS; lapack: scipy's, which LAPACK calls.
    """

    def __init__(self, threads: int, products: bool = True, lapack: bool = False) -> None:
        self.threads = threads
        self.limits = tuple(limit for limit, used in ((_NUMPY, products), (_SCIPY, lapack)) if used)

    def __enter__(self) -> None:
        for limit in self.limits:
            limit.enter(self.threads)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for limit in self.limits:
            limit.leave()


def _after_fork() -> None:
    _NUMPY.after_fork()
    _SCIPY.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
