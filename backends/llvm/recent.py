"""Programs that this process has read from the cache of late: linked code and what belongs to it.

A function that is built again and again, as in a loop over settings, is neither read nor linked
again. The files decide: an entry counts as long as those that it was read from are what they were,
so that a cache that was cleared or damaged is seen at once.
"""

import os
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")
MOST = 64  # programs
LARGEST = 32 << 20  # bytes of their files
State = tuple[tuple[int, int, int], ...]


class _Entry(NamedTuple, Generic[T]):
    paths: tuple[Path, ...]
    state: State
    value: T


class Recent(Generic[T]):
    """What was read from files, by name; what was used longest ago goes first."""

    def __init__(self, most: int = MOST, largest: int = LARGEST) -> None:
        self.most, self.largest = most, largest
        self._entries: OrderedDict[str, _Entry[T]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.RLock()
        os.register_at_fork(
            before=self._lock.acquire,
            after_in_parent=self._lock.release,
            after_in_child=self._lock.release,
        )

    def find(self, name: str, folder: Path) -> T | None:
        """What was read under that name from that folder, if its files have not changed."""
        with self._lock:
            entry = self._entries.get(name)
            if entry is None or entry.paths[0].parent != folder:
                return None
            if state_of(entry.paths) == entry.state:
                self._entries.move_to_end(name)
                return entry.value
            self._drop(name)
        return None

    def add(self, name: str, paths: tuple[Path, ...], state: State, value: T) -> None:
        """state: of the files, from before they were read."""
        with self._lock:
            self._drop(name)
            self._entries[name] = _Entry(paths, state, value)
            self._bytes += _bytes(state)
            while self._entries and (len(self._entries) > self.most or self._bytes > self.largest):
                self._drop(next(iter(self._entries)))

    def _drop(self, name: str) -> None:
        entry = self._entries.pop(name, None)
        if entry is not None:
            self._bytes -= _bytes(entry.state)


def state_of(paths: tuple[Path, ...]) -> State | None:
    """What tells one content of the files from another; None if one of them is not there."""
    try:
        found = [os.stat(path) for path in paths]
    except OSError:
        return None
    return tuple((one.st_size, one.st_mtime_ns, one.st_ino) for one in found)


def _bytes(state: State) -> int:
    return sum(size for size, _, _ in state)
