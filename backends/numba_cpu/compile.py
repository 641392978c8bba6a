"""Python source -> native code by Numba; equal kernels are compiled once per process.

`parallel` code is made only for kernels that are called with enough work: Numba takes several
times longer to compile it, and starting its threads costs tens of microseconds.
"""

import hashlib
import linecache
import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba import prange, types

from graphc.backends.numba_cpu import functions
from graphc.dtypes import DType, is_half
from graphc.errors import BackendError
from graphc.loops.ir import Kernel
from graphc.loops.tidy import values_of
from graphc.scalar.foreign import foreign_operations

CACHE_SIZE = 512
_njit: Any = numba.njit  # its annotations lack some options
_config: Any = numba.config
_PARALLEL = {
    "prange": True,
    **dict.fromkeys(
        ("fusion", "comprehension", "reduction", "inplace_binop", "setitem", "numpy", "stencil"),
        False,
    ),
}
_cache: OrderedDict[tuple[str, bool], "CompiledKernel"] = OrderedDict()
_cache_lock = threading.Lock()
_parallel_lock = threading.RLock()  # Numba's thread pools are not re-entrant
_parallel_pid: list[int] = []  # the process that started Numba's threads; they do not survive fork


class CompiledKernel:
    """One kernel in native code, compiled at the first call."""

    def __init__(self, source: str, name: str, kernel: Kernel, parallel: bool) -> None:
        self.source = source
        self.name = name
        self.kernel = kernel
        self.parallel = parallel
        self._lock = threading.Lock()
        self._dispatcher: Callable[..., None] | None = None

    def dispatcher(self) -> Callable[..., None]:
        with self._lock:
            if self._dispatcher is None:
                self._dispatcher = self._compile()
            return self._dispatcher

    def _compile(self) -> Callable[..., None]:
        foreign = foreign_operations(values_of(self.kernel.body))
        own = {f"__{name}": op.dispatcher for name, op in foreign.items()}
        function = load_function(self.source, self.name, kernel_namespace() | own)
        try:
            compiled: Callable[..., None] = _njit(
                [kernel_signature(self.kernel)],
                nogil=True,
                error_model="numpy",
                boundscheck=False,
                fastmath=False,
                no_cfunc_wrapper=True,
                parallel=_PARALLEL if self.parallel else False,
            )(function)
        except numba.core.errors.NumbaError as error:
            raise BackendError(
                f"numba did not compile the kernel {self.kernel.name}",
                code="E502",
                details=[*str(error).splitlines()[:12], *self.source.splitlines()],
                source=self.kernel.sources[0] if self.kernel.sources else None,
                fix='use backend="llvm"',
            ) from error
        return compiled


def compiled_kernel(
    key: str, source: str, name: str, kernel: Kernel, *, parallel: bool
) -> CompiledKernel:
    """The kernel with this structure, shared by all programs of the process."""
    with _cache_lock:
        found = _cache.get((key, parallel))
        if found is None:
            found = _cache[key, parallel] = CompiledKernel(source, name, kernel, parallel)
        _cache.move_to_end((key, parallel))
        while len(_cache) > CACHE_SIZE:
            _cache.popitem(last=False)
        return found


def kernel_signature(kernel: Kernel) -> Any:
    """Row-major arrays of the parameters, then int64 sizes."""
    arrays = [
        types.Array(_element_type(item.dtype), max(len(item.shape), 1), "C")
        for item in kernel.parameters
    ]
    return types.void(*arrays, *(types.int64 for _ in kernel.sizes))


def _element_type(dtype: DType) -> Any:
    return numba.from_dtype(np.dtype(np.uint16) if is_half(dtype) else dtype)


def kernel_namespace() -> dict[str, Any]:
    """What generated kernels may name."""
    public = {name: value for name, value in vars(functions).items() if not name.startswith("_")}
    return public | {"np": np, "prange": prange}


def load_function(source: str, name: str, namespace: dict[str, Any]) -> Callable[..., Any]:
    """Run the definition of one function; tracebacks show its source while it lives."""
    digest = hashlib.sha256(source.encode()).hexdigest()[:12]
    filename = f"<graphc {name} {digest} {next_number()}>"
    exec(compile(source, filename, "exec"), namespace)
    function: Callable[..., Any] = namespace[name]
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    weakref.finalize(function, linecache.cache.pop, filename, None)
    return function


_numbers = iter(range(1 << 62))


def next_number() -> int:
    """Two functions of one text have files of their own."""
    return next(_numbers)


def may_run_parallel() -> bool:
    """False in a forked child of a process whose Numba threads had started."""
    return not _parallel_pid or _parallel_pid[0] == os.getpid()


def on_threads(dispatcher: Callable[..., None], threads: int) -> Callable[..., None]:
    """The parallel kernel on at most `threads` threads, one launch at a time."""
    count = max(1, min(threads, _config.NUMBA_NUM_THREADS))

    def launch(*arguments: Any) -> None:
        with _parallel_lock:
            if not _parallel_pid:
                _parallel_pid.append(os.getpid())
            before = numba.get_num_threads()
            numba.set_num_threads(count)
            try:
                dispatcher(*arguments)
            finally:
                numba.set_num_threads(before)

    return launch
