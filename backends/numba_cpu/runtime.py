"""What a generated driver calls besides kernels: views of arrays, checks of indices, LAPACK,
Python."""

import ctypes
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from graphc.backends.numba_cpu.functions import first_outside
from graphc.dtypes import is_half, uint64
from graphc.lapack import ROUTINES
from graphc.lapack_calls import run_routine
from graphc.loops.host import BoundHostCall
from graphc.loops.ir import Fault, HostCall, Program


def view(array: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """The array as a kernel takes it: of the kernel's shape, halves as bits."""
    shaped = array.reshape(shape, copy=False)
    if is_half(shaped.dtype):
        shaped = shaped.view(np.uint16)
    if shaped.flags.writeable and shaped.flags.aligned:
        return shaped
    return _accepted(shaped)


def _accepted(array: np.ndarray) -> np.ndarray:
    """Kernels are compiled for writable, aligned arrays; this one is only read."""
    if not array.flags.aligned or array.nbytes == 0:
        return array.copy()
    memory = (ctypes.c_char * array.nbytes).from_address(array.ctypes.data)
    return np.frombuffer(memoryview(memory), array.dtype).reshape(array.shape)


def row(array: np.ndarray, count: int, position: int, shape: Sequence[int]) -> np.ndarray:
    """Element `position` of `count` along the first axis, as an array of `shape`."""
    return array.reshape((count, *shape), copy=False)[position, ...]


def strided(
    array: np.ndarray, shape: Sequence[int], strides: Sequence[int], start: int = 0
) -> np.ndarray:
    """Matrices along batch axes; strides and where they begin in elements. Never reaches outside
    the array."""
    if 0 in shape:
        return np.empty(shape, array.dtype)
    steps = [stride * array.itemsize for stride in strides]
    return np.ndarray(shape, array.dtype, array, start * array.itemsize, steps)


def check(indices: np.ndarray, minimum: int, size: int, step: int) -> None:
    """Fault with the first index outside [minimum, size)."""
    flat = indices.reshape(-1)
    if flat.dtype == uint64:  # compared with int64, Numba would make both float64
        flat = np.minimum(flat, np.uint64(np.iinfo(np.int64).max)).astype(np.int64)
    position = first_outside(flat, minimum, size)
    if position >= 0:
        raise Fault(step, int(indices.reshape(-1)[position]))


Arrays = Sequence[np.ndarray]


def host_calls(program: Program) -> Callable[[int, Sequence[int], Arrays, Arrays], None]:
    """host(step, sizes, inputs, outputs): call the Python function of a step of the program."""
    calls = {n: step for n, step in enumerate(program.all_steps) if isinstance(step, HostCall)}
    names = (*program.sizes, *program.counts)

    def host(step: int, sizes: Sequence[int], inputs: Arrays, outputs: Arrays) -> None:
        bound = dict(zip(names, sizes, strict=True))
        dtypes = [array.dtype for array in outputs]
        BoundHostCall(calls[step], bound, dtypes).run_flat(inputs, outputs)

    return host


def lapack(
    name: str,
    inputs: Sequence[np.ndarray],
    outputs: Sequence[np.ndarray],
    batch: int,
    sizes: Mapping[str, int],
    options: Mapping[str, str],
    step: int,
) -> None:
    """The routine on every matrix of a batch; Fault for the first that it cannot handle."""
    routine = ROUTINES[name]
    real = next(a.dtype for a, o in zip(inputs, routine.inputs, strict=True) if not o.integer)
    code = run_routine(name, real, inputs, outputs, batch, sizes, options)
    if code != 0:
        raise Fault(step, code)
