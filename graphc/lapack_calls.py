"""Calls of LAPACK from Python, as the table of `graphc.lapack` says."""

import ctypes
from collections.abc import Callable, Mapping, Sequence
from functools import cache

import numpy as np

from graphc.dtypes import DType
from graphc.lapack import MOST, ROUTINES, Operand, Routine, encode, symbol_of
from graphc.late_imports import late_extension


@cache
def routine_address(symbol: str, library: str) -> int:
    """Where a routine lies in this process."""
    table = late_extension(f"scipy.linalg.cython_{library}").__pyx_capi__
    get_name = ctypes.pythonapi.PyCapsule_GetName
    get_name.restype, get_name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
    get_pointer.restype = ctypes.c_void_p
    get_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    address: int = get_pointer(table[symbol], get_name(table[symbol]))
    return address


@cache
def _function(symbol: str, library: str, count: int) -> Callable[..., None]:
    prototype = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * count)
    function: Callable[..., None] = prototype(routine_address(symbol, library))
    return function


def allocate(
    routine: Routine,
    dtype: DType,
    sizes: Mapping[str, int],
    operands: Sequence[Operand],
    batch: int,
) -> list[np.ndarray]:
    """Arrays for all matrices of a batch."""
    return [
        np.empty((batch, *(sizes[name] for name in operand.shape)), operand.dtype(dtype))
        for operand in operands
    ]


def run_routine(
    name: str,
    dtype: DType,
    inputs: Sequence[np.ndarray],
    outputs: Sequence[np.ndarray],
    batch: int,
    sizes: Mapping[str, int],
    options: Mapping[str, str],
) -> int:
    """The routine on every matrix of a batch; 0, or the code of the first failure.

    inputs, outputs: dense. sizes: all of one matrix.
    """
    routine = ROUTINES[name]
    inputs, outputs = (
        [
            array.reshape((batch, *(sizes[size] for size in operand.shape)), copy=False)
            for array, operand in zip(arrays, operands, strict=True)
        ]
        for arrays, operands in ((inputs, routine.inputs), (outputs, routine.outputs))
    )
    if any(sizes[size] == 0 for size in routine.required):
        for output in outputs:
            output[...] = 0
        return 0
    workspace = allocate(routine, dtype, sizes, routine.workspace, 1)
    numbers = {size: ctypes.c_int32(min(value, MOST)) for size, value in sizes.items()}
    letters = {option: ctypes.c_char(letter.encode()) for option, letter in options.items()}
    status = ctypes.c_int32()
    one = np.ones((), dtype)
    fixed = {key: ctypes.addressof(cell) for key, cell in numbers.items()}
    fixed |= {key: ctypes.addressof(cell) for key, cell in letters.items()}
    fixed |= {"one": one.ctypes.data, "info": ctypes.addressof(status)}
    fixed |= {f"work{number}": array.ctypes.data for number, array in enumerate(workspace)}
    quoted = {text: ctypes.c_char(text[1].encode()) for text in routine.arguments if text[0] == "'"}
    fixed |= {text: ctypes.addressof(cell) for text, cell in quoted.items()}
    call = _function(symbol_of(routine, dtype), routine.library, len(routine.arguments))
    arrays = {f"in{n}": array for n, array in enumerate(inputs)}
    arrays |= {f"out{n}": array for n, array in enumerate(outputs)}
    moving = {key: (array.ctypes.data, array.strides[0]) for key, array in arrays.items()}
    for matrix in range(batch):
        if routine.guard is not None and inputs[routine.guard][matrix] != 0:
            return encode(matrix, int(inputs[routine.guard][matrix]))
        for operand, target in zip(routine.outputs, outputs, strict=True):
            if operand.start is not None:
                target[matrix] = inputs[operand.start][matrix]
        for operand, target in zip(routine.workspace, workspace, strict=True):
            if operand.start is not None:
                target[0] = inputs[operand.start][matrix]
        at = {key: start + matrix * stride for key, (start, stride) in moving.items()}
        status.value = 0
        call(*(at[key] if key in at else fixed[key] for key in routine.arguments))
        if routine.status is not None:
            outputs[routine.status][matrix] = status.value
        elif status.value != 0:
            return encode(matrix, status.value)
    return 0
