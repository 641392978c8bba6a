"""The memory of variables, and the locks under which functions read and change it.

Ctrl-C may come at any moment, and leaves no lock taken and no flag set. Python handles signals
between steps of its interpreter, also right after a call has returned, so that a function of ours
that takes a lock, as that of a context manager, may never hand it over. Locks are therefore taken
by `with lock:` where they are needed; and what else is undone in the end is one call of a C
function, which has been prepared before the beginning (`_in_one_step`).
"""

import ctypes
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from functools import cache, partial
from itertools import repeat
from operator import attrgetter, call
from typing import Any, TypeVar

import numpy as np

from graphc.placement import fresh

Lock = AbstractContextManager[bool]
Result = TypeVar("Result")
Step = Callable[[], object]  # one step of the interpreter


def _references_of_a_local() -> int:
    array = np.empty(0)
    return sys.getrefcount(array)


_ALONE = _references_of_a_local()  # what getrefcount says where nobody else holds the array
_array_of = attrgetter("array")


class ProcessLock:
    """A re-entrant lock that a forked child finds free, whoever held it in the parent."""

    __slots__ = ("_of_process",)

    def __init__(self) -> None:
        self._of_process: dict[int, Lock] = {}

    def current(self) -> Lock:
        """The lock of this process."""
        process = os.getpid()
        lock = self._of_process.get(process)
        return self._of_process.setdefault(process, threading.RLock()) if lock is None else lock


class LockGroup:
    """One lock for the variables that some function uses together.

    So a call takes one lock however many variables it has, and no two calls wait for each other
    in a circle. Groups only grow: joining makes one point to the other.
    """

    __slots__ = ("joined", "lock")

    def __init__(self) -> None:
        self.lock = ProcessLock()
        self.joined: LockGroup | None = None

    def root(self) -> "LockGroup":
        group = self
        while group.joined is not None:
            group = group.joined
        return group


class Storage:
    """The memory of one variable. `array` is never handed out: reads and writes copy.

    A whole new array is swapped in at the end of a call, and only under the lock. Who has read
    `array` may go on using it without the lock: its memory is reused only when nobody holds it.
    The exception: see `_rewriting`.
    default_update: see `Variable.default_update`. rewritten: whether a call may be writing over
    the present value. pinned: whether there is code that reads the value at any time, unseen.
    """

    __slots__ = (
        "__weakref__",
        "array",
        "default_update",
        "group",
        "pinned",
        "rewritten",
        "spare",
    )

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self.spare: np.ndarray | None = None
        self.default_update: Callable[[Any], Any] | None = None
        self.group = LockGroup()
        self.rewritten = False
        self.pinned = False

    def read(self) -> np.ndarray:
        """The present array. It waits only where a call writes over that."""
        array = self.array  # first hold it, then look: see `_rewriting`
        if not self.rewritten:
            return array
        del array
        return under_lock(self, lambda: self.array)

    def pin(self) -> None:
        """From now on the array may be read at any time: it is never written over."""

        def set_it() -> None:
            self.pinned = True

        under_lock(self, set_it)

    def lock(self) -> Lock:
        """The lock of this variable now; see `holding`."""
        group = self.group.root()
        self.group = group  # next time the way is short
        return group.lock.current()

    def take_spare(self) -> np.ndarray:
        """Memory for a new value: that of the value before the present one, if nobody reads it."""
        spare, self.spare = self.spare, None
        if spare is None or sys.getrefcount(spare) > _ALONE:
            return fresh(self.array.shape, self.array.dtype)
        return spare


def under_lock(storage: Storage, action: Callable[[], Result]) -> Result:
    """Do it while no call runs that uses the variable or one of its group."""
    while True:
        lock = storage.lock()
        with lock:
            if storage.lock() is lock:  # else its group has joined another one meanwhile
                return action()


_joining = ProcessLock()


def share_lock(storages: Sequence[Storage]) -> None:
    """From now on all these variables have one lock. Waits for calls that use them."""
    if not storages:
        return
    with _joining.current():
        first, *others = dict.fromkeys(storage.group.root() for storage in storages)
        for other in others:
            with first.lock.current(), other.lock.current():
                other.joined = first


def replace_arrays(storages: Sequence[Storage], arrays: Sequence[np.ndarray]) -> None:
    """Make `arrays` the values: all of them or none, even if Ctrl-C comes at this moment.

    Signals are handled between steps of the Python interpreter; this is one step.
    """
    old = list(map(_array_of, storages))
    _set_all(storages, "array", arrays)
    _set_all(storages, "spare", old)


def _set_all(storages: Sequence[Storage], name: str, values: Iterable[Any]) -> None:
    """Set an attribute of all in one step."""
    _setting(storages, name, values)()


def _setting(storages: Sequence[Storage], name: str, values: Iterable[Any]) -> Step:
    return partial(deque, map(setattr, storages, repeat(name), values), 0)


def _in_one_step(*steps: Step) -> Step:
    """All of them, which are C functions. For one call."""
    return partial(deque, map(call, steps), 0)


# --- new values in the memory of the old ones ----------------------------------------------------

_is_pinned = attrgetter("pinned")
_LISTED = max(map(sys.getrefcount, [np.empty(0)]))  # the same for an array in a list, by `map`
_ONCE = 1 << 32  # what a call that does so counts for among those that replace variables
_rewriters: set[int] = set()  # threads
_forking = False


def _rewriting(storages: Sequence[Storage]) -> tuple[Step, Step]:
    """What begins to write over the arrays, and what ends it, in any case.

    What writes over them cannot fail once it has begun, and calls no Python. Readers hold an array
    and then look at `rewritten`; here it is set first, and then who holds the array is looked at
    (`_alone`). So one of the two sees the other, as long as one thread at a time runs Python. In
    the same way one of a fork and a call sees the other.
    """
    thread = threading.get_ident()
    begin = _in_one_step(
        partial(_rewriters.add, thread),
        _setting(storages, "rewritten", repeat(True)),
        _counting(_ONCE),
    )
    end = _in_one_step(
        _counting(-_ONCE),
        _setting(storages, "rewritten", repeat(False)),
        partial(_rewriters.discard, thread),
    )
    return begin, end


def _may_rewrite(storages: Sequence[Storage]) -> bool:
    nested = threading.get_ident() in _rewriters
    return not nested and _one_at_a_time() and not any(map(_is_pinned, storages))


def _alone(arrays: list[np.ndarray]) -> bool:
    """Beside the list, and those who count, only the storages hold the arrays; and no fork."""
    return not _forking and max(map(sys.getrefcount, arrays)) <= _LISTED + 1


def _one_at_a_time() -> bool:
    enabled = getattr(sys, "_is_gil_enabled", None)
    return sys.implementation.name == "cpython" and (enabled is None or enabled())


def _before_fork() -> None:
    """A child must not find half of a new value: calls in other threads end first."""
    global _forking
    _forking = True
    own = threading.get_ident()
    while any(thread != own for thread in tuple(_rewriters)):
        time.sleep(1e-5)


def _after_fork() -> None:
    global _forking
    _forking = False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork
    )


# --- calls ----------------------------------------------------------------------------------------

# run(values of variables, arrays that new values may take): outputs, and new values.
Run = Callable[
    [Sequence[np.ndarray], Sequence[np.ndarray]], tuple[list[np.ndarray], list[np.ndarray]]
]


def snapshot(storages: Sequence[Storage]) -> list[np.ndarray]:
    """The present values of variables that share a lock, none of them from another moment."""
    if not storages:
        return []
    first = storages[0]
    while True:
        lock = first.lock()
        with lock:
            if first.lock() is lock:  # else it was replaced while we waited
                return list(map(_array_of, storages))


def replaced_by(
    run: Run, variables: Sequence[Storage], updated: Sequence[Storage], rewrites: bool
) -> list[np.ndarray]:
    """The outputs of `run`, whose new values become those of `updated` as the last thing.

    rewrites: whether new values may be written over the old ones. Then they are there as soon as
    `run` returns, all of them.
    """

    def over(arrays: list[np.ndarray]) -> list[np.ndarray]:
        return run(list(map(_array_of, variables)), arrays)[0]

    def beside() -> list[np.ndarray]:
        old = list(map(_array_of, variables))
        spare = [storage.take_spare() for storage in updated]
        outputs, values = run(old, spare)
        replace_arrays(updated, values)
        return outputs

    return _updating(updated, rewrites, over, beside)


def exchanged_by(run: Callable[[bool], bool], updated: Sequence[Storage], rewrites: bool) -> bool:
    """Have `run` replace the values of these variables as the last thing; False if it does not.

    It reads and sets `array` and `spare` where `references` says; run(True) writes over `array`.
    rewrites: whether it may, as for `replaced_by`.
    """
    return _updating(updated, rewrites, lambda _: run(True), lambda: run(False))


def _updating(
    updated: Sequence[Storage],
    rewrites: bool,
    over: Callable[[list[np.ndarray]], Result],
    beside: Callable[[], Result],
) -> Result:
    """Under the lock: `over` of the arrays if they may be written over, `beside` them if not."""
    first = updated[0]
    while True:
        lock = first.lock()
        with lock:
            if first.lock() is not lock:  # its group has joined another one meanwhile
                continue
            if rewrites and _may_rewrite(updated):
                begin, end = _rewriting(updated)
                try:
                    begin()
                    arrays = list(map(_array_of, updated))
                    if _alone(arrays):
                        return over(arrays)
                    del arrays
                finally:
                    end()
            # While a call reads variables that it will replace, other writers must take the lock.
            begin, end = _counting(1), _counting(-1)
            try:
                begin()
                return beside()
            finally:
                end()


# --- for calls that do not pass through Python ------------------------------------------------
# They hold the interpreter's lock from beginning to end, and take no other. See backends.llvm.

# Calls that are about to replace variables, and _ONCE for each that writes over their values.
_replacing = np.zeros(1, np.int64)
REPLACING: int = _replacing.ctypes.data
os.register_at_fork(after_in_child=lambda: _replacing.fill(0))


def _counting(calls: int) -> Step:
    """One step, since numpy keeps the interpreter's lock while it adds so little."""
    return partial(np.add, _replacing, calls, _replacing)


def references(storage: Storage) -> tuple[int, int]:
    """The addresses at which the object keeps its references to `array` and to `spare`."""
    array, spare = _offsets()
    return id(storage) + array, id(storage) + spare


@cache
def _offsets() -> tuple[int, int]:
    """Where a Storage keeps them: found in an example."""
    probe = Storage(np.empty(1))
    probe.spare = np.empty(1)
    words = (ctypes.c_int64 * (Storage.__basicsize__ // 8)).from_address(id(probe))
    array, spare = (list(words).index(id(item)) * 8 for item in (probe.array, probe.spare))
    return array, spare
