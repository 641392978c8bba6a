"""The interpreter's view of memory: who wrote each byte last, and in which iteration.

Buffers may share memory as the memory plan decides. A byte belongs to the buffer that wrote it
last: reading it through any other buffer, or before anything was written, is an error; so is
meeting, in one parallel or vector loop, what another iteration wrote.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from graphc.errors import VerificationError

# The loop run and iteration of every parallel or vector loop around an access, outermost first.
Iteration = tuple[tuple[int, int], ...]


class Region:
    """A stretch of memory that buffers share."""

    def __init__(self, size: int) -> None:
        self.owners = bytearray(4 * size)  # for every byte the number of its owner, 0 for none
        self.writers: dict[int, Iteration] = {}  # by address, within the step that runs now


class Array:
    """A buffer's elements in row-major order, every access checked. `number` is never 0."""

    def __init__(self, name: str, data: np.ndarray, number: int, region: Region, start: int):
        assert data.flags.c_contiguous
        self.name = name
        self.flat = data.reshape(-1)
        self._region = region
        self._start = 4 * start
        self._step = 4 * data.itemsize
        self._mark = number.to_bytes(4, "little") * data.itemsize

    def read(self, position: int, iteration: Iteration = ()) -> Any:
        place = self._start + position * self._step
        if self._region.owners[place : place + self._step] != self._mark:
            raise VerificationError(
                f"reads element {position} of {self.name}, never written or overwritten since"
            )
        self._check_race(place, iteration)
        return self.flat[position]

    def write(self, position: int, value: Any, iteration: Iteration = ()) -> None:
        place = self._start + position * self._step
        self._check_race(place, iteration)
        self._region.owners[place : place + self._step] = self._mark
        self._region.writers[place] = iteration
        self.flat[position] = value

    def _check_race(self, place: int, iteration: Iteration) -> None:
        writer = self._region.writers.get(place, ())
        for (loop, mine), (other_loop, other) in zip(iteration, writer, strict=False):
            if loop != other_loop:
                return
            if mine != other:
                raise VerificationError(
                    f"iterations {other} and {mine} of a parallel loop meet in {self.name}"
                )

    def read_range(self, start: int, count: int) -> np.ndarray:
        if self._region.owners[self._range(start, count)] != self._mark * count:
            raise VerificationError(
                f"reads elements of {self.name} never written or overwritten since"
            )
        return self.flat[start : start + count]

    def write_range(self, start: int, values: np.ndarray) -> None:
        self._region.owners[self._range(start, values.size)] = self._mark * values.size
        self.flat[start : start + values.size] = values.reshape(-1)

    def _range(self, start: int, count: int) -> slice:
        if start < 0 or start + count > self.flat.size:
            raise VerificationError(
                f"elements {start} to {start + count} of {self.name}, which has {self.flat.size}"
            )
        place = self._start + start * self._step
        return slice(place, place + count * self._step)

    def part(self, start: int, count: int) -> "Array":
        """Some of the elements as an array of its own, in the same memory."""
        self._range(start, count)
        mine = object.__new__(Array)
        mine.name, mine.flat = self.name, self.flat[start : start + count]
        mine._region, mine._mark = self._region, self._mark
        mine._step, mine._start = self._step, self._start + start * self._step
        return mine

    def fill_owner(self) -> None:
        """The buffer's present content counts as written."""
        self._region.owners[self._range(0, self.flat.size)] = self._mark * self.flat.size

    def begin_step(self) -> None:
        self._region.writers.clear()


def fresh_array(name: str, data: np.ndarray) -> Array:
    """An array on memory of its own, nothing written yet."""
    return Array(name, data, 1, Region(data.nbytes), 0)


def read_only_array(name: str, data: np.ndarray) -> Array:
    """An array that counts as written; what else shares its memory does not matter."""
    array = fresh_array(name, data)
    array.fill_owner()
    return array


def track(arrays: Mapping[str, np.ndarray]) -> dict[str, Array]:
    """Arrays that are to be written; those that overlap in memory share a region."""
    tracked: dict[str, Array] = {}
    for group in _overlapping(arrays):
        low = _span(arrays[group[0]])[0]
        region = Region(max(_span(arrays[name])[1] for name in group) - low)
        for number, name in enumerate(group, 1):
            start = _span(arrays[name])[0] - low
            tracked[name] = Array(name, arrays[name], number, region, start)
    return tracked


def _span(data: np.ndarray) -> tuple[int, int]:
    start = int(data.__array_interface__["data"][0])
    return start, start + data.nbytes


def _overlapping(arrays: Mapping[str, np.ndarray]) -> list[list[str]]:
    """Names in groups of connected memory, each in order of address."""
    groups: list[list[str]] = []
    end = -1
    for name in sorted(arrays, key=lambda name: _span(arrays[name])):
        start, stop = _span(arrays[name])
        if start >= end:
            groups.append([])
        groups[-1].append(name)
        end = max(end, stop)
    return groups
