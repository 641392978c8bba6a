"""Host calls from native code: one callback a program, which takes the GIL.

    void @graphc_host(i64 number, ptr table, ptr sizes, ptr answer)

number: of the step among all steps. The callback finds the buffers through the table, so it sees
what the loops around it have pointed there. It writes DONE to `answer` as the last thing; whatever
else stands there afterwards means that the call failed. What it raised is kept until the entry has
returned, under the address of the table, which belongs to one call at a time.

Calls without Python (direct_call.py) may make host calls that compute and nothing else. One that
failed is made again the long way, which tells what was wrong; an interrupt is raised at once.
"""

import ctypes
import math
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from graphc.dtypes import DType
from graphc.loops.host import BoundHostCall
from graphc.loops.ir import HostCall, Program
from graphc.shapes import Shape

SYMBOL = "graphc_host"
DONE = 1
KEPT_SIZES = 64  # bound calls of recent sizes
_CALLBACK = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 4)
_word_at = ctypes.c_int64.from_address


class HostCalls:
    """The Python functions of a program. Holds no reference to what holds the callback."""

    def __init__(self, program: Program) -> None:
        self._names = (*program.sizes, *program.counts)
        self._buffers = program.buffers
        self._offsets = {name: 8 * position for position, name in enumerate(program.buffers)}
        self._steps = {
            n: step for n, step in enumerate(program.all_steps) if isinstance(step, HostCall)
        }
        self._bound: dict[tuple[int, bytes], _Bound] = {}
        self._errors: dict[int, BaseException] = {}
        self._direct: dict[int, int] = {}  # threads in which direct calls failed, by table
        self.are_pure = not any(step.owned or step.effect for step in self._steps.values())

    def __bool__(self) -> bool:
        return bool(self._steps)

    def callback(self) -> Any:
        """The C function; valid as long as the object lives."""
        return _CALLBACK(self._call)

    def take_error(self, table: int) -> BaseException | None:
        """What the call with this table raised."""
        return self._errors.pop(table, None)

    def go_direct(self, table: int) -> None:
        """Direct calls will have this table."""
        self._direct.setdefault(table, 0)

    def after_direct(self, slow: Callable[..., Any]) -> Callable[..., Any]:
        """The long way after a direct call: it begins with the interrupt of that, if it had one."""
        errors, direct = self._errors, self._direct

        def again(*args: Any, **named: Any) -> Any:
            if errors:
                own = threading.get_ident()
                for table in [table for table, thread in direct.items() if thread == own]:
                    direct[table] = 0
                    error = errors.pop(table, None)
                    if error is not None and not isinstance(error, Exception):
                        raise error
            return slow(*args, **named)

        return again

    def _call(self, number: int, table: int, sizes: int, answer: int) -> None:
        try:
            key = number, ctypes.string_at(sizes, 8 * len(self._names))
            bound = self._bound.get(key)
            if bound is None:
                bound = self._bind(number, key)
            bound.call.run(
                [place.array(table) for place in bound.reads],
                [place.array(table) for place in bound.writes],
            )
            _word_at(answer).value = DONE
        except BaseException as error:
            self._errors[table] = error
            if table in self._direct:
                self._direct[table] = threading.get_ident()

    def _bind(self, number: int, key: tuple[int, bytes]) -> "_Bound":
        """The call for these sizes; remembered, unless sizes change all the time."""
        step = self._steps[number]
        sizes = dict(zip(self._names, np.frombuffer(key[1], np.int64).tolist(), strict=True))
        call = BoundHostCall(step, sizes, [self._buffers[name].dtype for name, _ in step.outputs])

        def places(
            pairs: Sequence[tuple[str, Shape]], shapes: Sequence[tuple[int, ...]]
        ) -> list[_Place]:
            return [
                _Place(self._offsets[name], self._buffers[name].dtype, shape)
                for (name, _), shape in zip(pairs, shapes, strict=True)
            ]

        reads = places(step.inputs, call.shapes)
        writes = places(step.outputs, [shape for _, shape in call.expected])
        if len(self._bound) >= KEPT_SIZES:
            self._bound.clear()
        bound = self._bound[key] = _Bound(call, reads, writes)
        return bound


class _Place:
    """Where the table has the pointer to a buffer, and what lies there."""

    __slots__ = ("dtype", "memory", "offset", "shape")

    def __init__(self, offset: int, dtype: DType, shape: tuple[int, ...]) -> None:
        self.offset = offset
        self.dtype = dtype
        self.shape = shape
        self.memory: Any = ctypes.c_char * (math.prod(shape) * dtype.itemsize)

    def array(self, table: int) -> np.ndarray:
        if 0 in self.shape:
            return np.empty(self.shape, self.dtype)
        memory = self.memory.from_address(_word_at(table + self.offset).value)
        return np.ndarray(self.shape, self.dtype, memory)


class _Bound(NamedTuple):
    """A host call for fixed sizes, and where its arrays are."""

    call: BoundHostCall
    reads: list[_Place]
    writes: list[_Place]


def address_of(callback: Callable[..., Any]) -> int:
    address = ctypes.cast(callback, ctypes.c_void_p).value  # type: ignore[arg-type]
    assert address is not None
    return address
