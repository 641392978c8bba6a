"""Host calls from native code: one callback a program, which takes the GIL.

    void @graphc_host(i64 number, ptr table, ptr sizes, ptr answer)

number: of the step among all steps. The callback finds the buffers through the table, so it sees
what the loops around it have pointed there. It writes DONE to `answer` as the last thing; whatever
else stands there afterwards means that the call failed. What it raised is kept until the entry has
returned, under the address of the table, which belongs to one call at a time.
"""

import ctypes
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from graphc.dtypes import DType
from graphc.loops.host import run_host_call
from graphc.loops.ir import HostCall, Program
from graphc.shapes import Size, evaluate, size_product

SYMBOL = "graphc_host"
DONE = 1
_CALLBACK = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 4)
_word_at = ctypes.c_int64.from_address


class HostCalls:
    """The Python functions of a program. Holds no reference to what holds the callback."""

    def __init__(self, program: Program) -> None:
        self._names = (*program.sizes, *program.counts)
        slots = {name: 8 * position for position, name in enumerate(program.buffers)}

        def places(pairs: Any) -> list[tuple[int, DType, Size]]:
            buffers = [program.buffers[name] for name, _ in pairs]
            return [(slots[one.name], one.dtype, size_product(one.shape)) for one in buffers]

        self._calls = {
            number: (step, places(step.inputs), places(step.outputs))
            for number, step in enumerate(program.all_steps)
            if isinstance(step, HostCall)
        }
        self._errors: dict[int, BaseException] = {}

    def __bool__(self) -> bool:
        return bool(self._calls)

    def callback(self) -> Any:
        """The C function; valid as long as the object lives."""
        return _CALLBACK(self._call)

    def take_error(self, table: int) -> BaseException | None:
        """What the call with this table raised."""
        return self._errors.pop(table, None)

    def _call(self, number: int, table: int, sizes: int, answer: int) -> None:
        try:
            step, reads, writes = self._calls[number]
            bound = {
                name: _word_at(sizes + 8 * position).value
                for position, name in enumerate(self._names)
            }
            run_host_call(
                step,
                bound,
                [_array(table + slot, dtype, size, bound) for slot, dtype, size in reads],
                [_array(table + slot, dtype, size, bound) for slot, dtype, size in writes],
            )
            _word_at(answer).value = DONE
        except BaseException as error:
            self._errors[table] = error


def _array(at: int, dtype: DType, size: Size, sizes: Mapping[str, int]) -> np.ndarray:
    """The buffer whose pointer stands at `at`."""
    count = evaluate(size, sizes)
    if count == 0:
        return np.empty(0, dtype)
    memory = (ctypes.c_char * (count * dtype.itemsize)).from_address(_word_at(at).value)
    return np.frombuffer(memoryview(memory), dtype)


def address_of(callback: Callable[..., Any]) -> int:
    address = ctypes.cast(callback, ctypes.c_void_p).value  # type: ignore[arg-type]
    assert address is not None
    return address
