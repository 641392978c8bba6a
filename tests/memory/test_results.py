"""Memory of large results: used again only when nobody holds the result."""

import numpy as np
import pytest

import graphc as gc
from graphc.memory.results import ALIGNMENT, LARGE, ResultMemory

FLOATS = np.dtype(np.float32)
COUNT = LARGE // 4


def address(array: np.ndarray) -> int:
    return int(array.ctypes.data)


def test_a_dropped_result_makes_room_for_the_next() -> None:
    memory = ResultMemory()
    first = memory.take((COUNT,), FLOATS)
    where = address(first)
    assert where % ALIGNMENT == 0
    del first
    assert address(memory.take((4, COUNT // 4), FLOATS)) == where


@pytest.mark.parametrize("part", [slice(None), slice(3, 4), slice(None, None, -1)])
def test_a_view_keeps_the_memory(part: slice) -> None:
    memory = ResultMemory()
    first = memory.take((COUNT,), FLOATS)
    first[...] = 1
    view = first[part]
    del first
    second = memory.take((COUNT,), FLOATS)
    assert not np.shares_memory(second, view)
    second[...] = 2
    assert np.all(view == 1)


def test_small_results_own_their_memory() -> None:
    assert ResultMemory().take((10,), FLOATS).flags.owndata


def test_other_sizes_and_many_at_once() -> None:
    memory = ResultMemory()
    held = [memory.take((COUNT + k,), FLOATS) for k in range(5)]
    held += [memory.take((COUNT,), FLOATS) for _ in range(5)]
    assert len({address(array) for array in held}) == len(held)


def test_results_of_calls_stay_as_they_are() -> None:
    x = gc.placeholder("x", ("n",))
    f = gc.function([x], [x + 1, (x * 2).reshape((-1, 2))])
    feed = np.zeros(COUNT, np.float32)
    first, other = f(feed)
    kept = other[5:7]
    del other
    again = f(first)[0]
    assert np.all(first == 1) and np.all(again == 2) and np.all(kept == 0)
    chained = feed
    for _ in range(5):
        chained = f(chained)[0]
    assert np.all(chained == 5)
