"""A program at fixed sizes: its table of pointers, and calls of its entry."""

import ctypes
import sys
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from graphc.backends.llvm.heap import HeapTable, memory_limit, raise_stopped
from graphc.backends.llvm.host import HostCalls
from graphc.backends.llvm.repeat import repeat_routine
from graphc.loops.ir import INNER_ROLES, Fault, Program

SHORT, LONGER = 0.05, 8  # steps that take less seconds are followed by so many times as many


class Places:
    """Where a program's table has its pointers.

    temporaries, given: the positions of temporaries and of what a call gives, in the order of the
    buffers. counted: how many sizes loops bind.
    """

    __slots__ = ("count", "counted", "given", "temporaries")

    def __init__(self, program: Program) -> None:
        roles = [buffer.role for buffer in program.buffers.values()]
        self.count = len(roles)
        self.temporaries = [place for place, role in enumerate(roles) if role == "temporary"]
        self.given = [place for place, role in enumerate(roles) if role not in INNER_ROLES]
        self.counted = len(program.counts)


class Callee(Protocol):
    """What a bound program needs of its executable."""

    places: Places
    heap: HeapTable
    threads: int
    host_calls: HostCalls
    entry: Callable[..., int]
    address: int

    def limited(self, function: Callable[..., int]) -> Callable[..., int]: ...


class Bound:
    """A program with its table of pointers; what it points to lives as long as it does.

    arguments: of the entry. is_direct: whether nothing but the entry runs in a call.
    """

    __slots__ = (
        "_entry",
        "_executable",
        "_fault",
        "_host_calls",
        "_keep",
        "_piece",
        "_positions",
        "_table",
        "arguments",
        "is_direct",
    )

    def __init__(
        self,
        executable: Callee,
        entry: Callable[..., int],
        sizes: list[int],
        temporaries: list[np.ndarray],
        scratch: np.ndarray,
    ) -> None:
        places, heap = executable.places, executable.heap
        table = (ctypes.c_int64 * (places.count + 2 + heap.words))()
        for position, array in zip(places.temporaries, temporaries, strict=True):
            table[position] = data_pointer(array)
        table[places.count] = -(-data_pointer(scratch) // 64) * 64
        table[places.count + 1] = executable.threads
        if heap.words:
            table[heap.account + 1] = memory_limit()
        values = (ctypes.c_int64 * max(1, len(sizes) + places.counted))(*sizes)
        fault = ctypes.c_int64()
        self._table = table
        self._positions = places.given
        self._fault = fault
        self.arguments = tuple(ctypes.addressof(item) for item in (table, values, fault))
        self._entry = entry
        self.is_direct = entry is executable.entry
        self._host_calls = executable.host_calls
        self._executable = executable
        self._piece = 1  # steps of `repeat` between two looks at signals
        self._keep = (temporaries, scratch, values)

    def __call__(self, arrays: Sequence[np.ndarray]) -> None:
        self.point(arrays)
        self.run()

    def run(self) -> None:
        self._check(self._entry(*self.arguments))

    def repeat(
        self,
        count: int,
        arrays: Sequence[np.ndarray],
        moves: Sequence[tuple[int, int]],
        swaps: Sequence[tuple[int, int, np.ndarray]],
    ) -> None:
        """`count` steps in native code; see `repeat`. Positions are those among `arrays`.

        It comes back to Python several times a second, which may have a signal to raise.
        """
        self.point(arrays)
        places = self._positions
        words = [word for place, width in moves for word in (places[place], width)]
        for value, new, second in swaps:
            words += (places[value], places[new], data_pointer(second))
        lists = (ctypes.c_int64 * (len(words) + 1))(*words)
        start = ctypes.addressof(lists)
        routine = repeat_routine()
        if not self.is_direct:
            routine = self._executable.limited(routine)
        entry = self._executable.address
        lengths = (start, len(moves), start + 16 * len(moves), len(swaps))
        done = 0
        while done < count:
            end = min(count, done + self._piece)
            began = time.perf_counter()
            self._check(routine(entry, *self.arguments, done, end, *lengths))
            self._pace(end - done, time.perf_counter() - began)
            done = end

    def _pace(self, steps: int, seconds: float) -> None:
        """How many steps are to run at once, after some that took so long."""
        if seconds > LONGER * SHORT:
            self._piece = max(1, steps // LONGER)
        elif seconds < SHORT and steps == self._piece:
            self._piece *= LONGER

    def point_some(self, places: Sequence[int], arrays: Sequence[np.ndarray]) -> None:
        """The same for some of them. places: among those of a call."""
        table, positions = self._table, self._positions
        for place, array in zip(places, arrays, strict=True):
            table[positions[place]] = data_pointer(array)

    def point(self, arrays: Sequence[np.ndarray]) -> None:
        """Let the table say where the arrays lie: those of a call, in the order of `__call__`."""
        table = self._table
        for position, array in zip(self._positions, arrays, strict=True):
            table[position] = data_pointer(array)

    def _check(self, status: int) -> None:
        if status < 0:
            raise_stopped(status, self._fault.value)
        if status:
            error = self._host_calls.take_error(self.arguments[0])
            raise Fault(status - 1, self._fault.value, error)


def _pointer(array: np.ndarray) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def _field_pointer(array: np.ndarray) -> int:
    """The field `data` of numpy's array object, which follows the object's header."""
    return _word_at(id(array) + _DATA_FIELD).value


_DATA_FIELD = object.__basicsize__
_word_at = ctypes.c_int64.from_address


def _choose_pointer() -> Callable[[np.ndarray], int]:
    """The fast way, seven times as fast, where it is known to be right."""
    probes = [np.empty(size, dtype) for size, dtype in ((3, np.int8), (100, np.float64))]
    if sys.implementation.name == "cpython" and all(
        np.ndarray.__basicsize__ > _DATA_FIELD and _field_pointer(probe) == _pointer(probe)
        for probe in probes
    ):
        return _field_pointer
    return _pointer


data_pointer = _choose_pointer()
