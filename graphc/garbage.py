"""Python's garbage collector, held off while a graph grows.

A compiler makes many objects and drops few: the collector would look through all of them again and
again, and find nothing. It runs as before as soon as no thread compiles any more.

Python collects the oldest objects when a quarter as many have become old. It does not count those
that `age` makes old, so they are counted here: what dropped functions leave behind would stay.
Most of what becomes old goes by itself with its function, so all objects are looked through only
when a quarter more are there than the last look left.

A large graph leaves much behind that is no longer needed, all of it new: looking through what is
new alone finds it, however many objects the rest of the program has.
"""

import gc
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["uncollected"]

FEWEST = 50_000  # more objects than before, for which all are looked through
MANY = 20_000  # new objects of one compilation for which these are


def age() -> None:
    """Make all objects old, as the collector does with those that it has looked through.

    Else it would do so at once, and find nothing; the next full collection finds what is garbage.
    Objects that somebody froze would not stay so: then it is left alone.
    """
    if gc.get_freeze_count() == 0:
        gc.freeze()
        gc.unfreeze()


class _Holding:
    """How many are at work in this process; whether the collector was on before the first.

    new: objects that became old since they were last counted. limit: how many there may be before
    they are counted again. left: objects after the last look at all.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.count = 0
        self.was_on = False
        self.new = 0
        self.limit = FEWEST
        self.left = 0

    def begin(self) -> None:
        with self.lock:
            if self.count == 0:
                self.was_on = gc.isenabled()
                gc.disable()
            self.count += 1

    def end(self, stays: bool) -> None:
        with self.lock:
            self.count -= 1
            if self.count > 0 or not self.was_on:
                return
            young = 0 if stays else gc.get_count()[0]
            is_due = False
            if young <= MANY:
                self.new += young
                is_due = self.new > self.limit and self._is_due()
                age()
            gc.enable()
        # Without the lock: it runs code of others.
        if young > MANY:
            gc.collect(0)
        elif is_due:
            self.left -= gc.collect()

    def _is_due(self) -> bool:
        total = len(gc.get_objects())
        left = min(self.left, total)  # others drop objects, and collect
        most = left + max(FEWEST, left // 4)
        self.new, self.limit = 0, max(FEWEST, most - total)
        self.left = left if total <= most else total
        return total > most


_holding = _Holding()


@contextmanager
def uncollected(*, stays: bool = False) -> Iterator[None]:
    """No garbage collection inside, in any thread. Not a decorator: see `ir.source`.

    stays: what is made inside is never garbage.
    """
    mine = _holding
    mine.begin()
    try:
        yield
    finally:
        if mine is _holding:  # not a child that was forked inside
            mine.end(stays)


def _after_fork() -> None:
    """The other threads that compiled are not there in a child."""
    global _holding
    left, _holding = _holding, _Holding()
    if left.count and left.was_on:
        gc.enable()


os.register_at_fork(after_in_child=_after_fork)
