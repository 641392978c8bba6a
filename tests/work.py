"""Work counted, not timed: the count is the same on any machine, under any load."""

import gc as garbage
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any


def steps(work: Callable[[], object]) -> int:
    """How many lines of Python a call executes, in all of its threads.

    A turn of a loop counts as at least one, also within a comprehension. A loop in C, such as a
    copy of a list or a look-up in one, does not count by its length. Python's garbage collector
    rests, since it runs code of what other tests left behind.
    """
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += 1
        return trace

    before, beside = sys.gettrace(), threading.gettrace()
    garbage.disable()
    threading.settrace(trace)
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
        threading.settrace(beside)
        garbage.enable()
    return count


def growth(work: Callable[[int], object], small: int, factor: int) -> float:
    """How many times more steps work(small * factor) has than work(small).

    Linear work grows by no more than about the factor.
    """
    work(small)  # what is made once, for the first caller
    return steps(lambda: work(small * factor)) / steps(lambda: work(small))
