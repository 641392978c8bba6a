"""What native code tells of calls that failed, where nobody waits for an exception.

A record is words of memory at a fixed address: how often it was written, twice (an odd number while
it is being written), the status of the call, a value that says more, and the sizes of the call.
Failing calls write it in any thread, without the interpreter's lock; one that finds another at it
leaves it alone.
"""

import ctypes

from graphc.records import dataclass

NO_MEMORY, DISAGREES, WRONG_LENGTH = -1, -3, -4  # statuses; others: 1 + the step that failed
STATUS, VALUE, SIZES = 1, 2, 3  # places of the words
TRIES = 1000


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed call, and its number among those that were told."""

    number: int
    status: int
    value: int
    sizes: tuple[int, ...]


class FailureRecord:
    """Where the calls of one C function tell of failures."""

    def __init__(self, sizes: int) -> None:
        self._words = (ctypes.c_int64 * (SIZES + sizes))()
        self.address = ctypes.addressof(self._words)

    @property
    def number(self) -> int:
        """How many failures have been told."""
        return int(self._words[0]) // 2

    def last(self) -> Failure | None:
        """The last failure; None if there is none, or if it is never seen whole."""
        for _ in range(TRIES):
            before, *words = self._words
            if before == 0:
                return None
            if before % 2 == 0 and before == self._words[0]:
                status, value, *sizes = words
                return Failure(before // 2, status, value, tuple(sizes))
        return None
