"""Scalar operations of users: functions that Numba compiles, called by every backend.

A `Foreign` is the `op` of a `Call`. It is its name, which no other one in the process has, and the
function. Native code calls it by address, for several elements at once:

    void name(ptr in0, ptr in1, ..., ptr out, i64 count)

Numba is loaded with the first of them.
"""

import ctypes
import itertools
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from graphc.dtypes import DType, is_bool
from graphc.errors import CustomOpError
from graphc.late_imports import late_module
from graphc.scalar.expr import Call, Expr, walk

_numbers = itertools.count(1)
_lock = threading.Lock()


class Foreign(str):
    """function(scalars of the operands' dtypes) -> a scalar of the result's dtype."""

    function: Callable[..., Any]
    operands: tuple[DType, ...]
    result: DType

    def __new__(
        cls,
        name: str,
        function: Callable[..., Any],
        operands: tuple[DType, ...],
        result: DType,
    ) -> "Foreign":
        made = super().__new__(cls, f"{name}_{next(_numbers)}")
        made.function, made.operands, made.result = function, operands, result
        return made

    @cached_property
    def dispatcher(self) -> Any:
        """The function as other functions that Numba compiles can call it."""
        if hasattr(self.function, "py_func"):
            return self.function
        return late_module("numba").njit(error_model="numpy")(self.function)

    @cached_property
    def compiled(self) -> Any:
        """The loop over elements. CustomOpError (E413) if Numba does not take the function."""
        numba = late_module("numba")
        source = _loop_source(self.operands, self.result)
        pointers = [
            numba.types.CPointer(numba.from_dtype(_in_memory(dtype)))
            for dtype in (*self.operands, self.result)
        ]
        signature = numba.types.void(*pointers, numba.types.int64)
        try:
            namespace = {"function": self.dispatcher, "convert": _conversion(self.result)}
            exec(source, namespace)
            with _lock:
                return numba.cfunc(signature, error_model="numpy")(namespace["run"])
        except Exception as error:  # what it has no form for, it asserts
            raise CustomOpError(
                f"{self}: numba does not compile the function for "
                f"{', '.join(map(str, self.operands))}",
                details=[line for line in str(error).splitlines() if line.strip()][:8],
                fix="write a function of numbers: scalar arithmetic, math.*, np.sin and the like, "
                "and calls of other jitted functions compile",
            ) from error

    @property
    def address(self) -> int:
        """Of the compiled loop; valid as long as this lives."""
        address: int = self.compiled.address
        return address

    def evaluate(self, *arrays: Any) -> np.ndarray:
        """The function of all elements, broadcast as numpy does."""
        given = np.broadcast_arrays(*(np.asarray(array) for array in arrays))
        shape = given[0].shape
        flat = [
            np.ascontiguousarray(a, d).ravel() for a, d in zip(given, self.operands, strict=True)
        ]
        out = np.empty(flat[0].size, self.result)
        call = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * (len(flat) + 1), ctypes.c_int64)
        call(self.address)(*(array.ctypes.data for array in (*flat, out)), out.size)
        return out.reshape(shape)


def _in_memory(dtype: DType) -> DType:
    return np.dtype(np.uint8) if is_bool(dtype) else dtype


def _conversion(dtype: DType) -> Any:
    return bool if is_bool(dtype) else dtype.type


def _loop_source(operands: Sequence[DType], result: DType) -> str:
    names = [f"a{number}" for number in range(len(operands))]
    elements = [
        f"{name}[i] != 0" if is_bool(dtype) else f"{name}[i]"
        for name, dtype in zip(names, operands, strict=True)
    ]
    value = f"convert(function({', '.join(elements)}))"
    if is_bool(result):
        value = f"1 if {value} else 0"
    return (
        f"def run({', '.join(names)}, out, count):\n"
        "    for i in range(count):\n"
        f"        out[i] = {value}\n"
    )


def foreign_operations(expressions: Iterable[Expr]) -> dict[str, Foreign]:
    """The foreign operations in expressions, by name."""
    return {
        str(item.op): item.op
        for expression in expressions
        for item in walk(expression)
        if isinstance(item, Call) and isinstance(item.op, Foreign)
    }
