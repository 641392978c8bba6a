"""Memory of large results: used again only when nobody holds the result."""

import itertools

import numpy as np
import pytest

import graphc as gc
from graphc.memory.results import ResultMemory
from graphc.placement import LARGE, LINE, PAGE, PLACES, copied, fresh, next_place

FLOATS = np.dtype(np.float32)
COUNT = LARGE // 4


def address(array: np.ndarray) -> int:
    return int(array.ctypes.data)


def test_a_dropped_result_makes_room_for_the_next() -> None:
    memory = ResultMemory()
    first = memory.take((COUNT,), FLOATS)
    where = address(first)
    assert where % LINE == 0
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


def test_places_are_far_apart() -> None:
    places = sorted({next_place() for _ in range(3 * PLACES)})
    assert len(places) == PLACES and places[0] >= 2 * LINE and places[-1] + 2 * LINE <= PAGE
    assert min(b - a for a, b in itertools.pairwise(places)) >= 2 * LINE
    assert all(place % LINE == 0 for place in places)


def test_large_arrays_begin_at_different_places_of_a_page() -> None:
    arrays = [fresh((COUNT,), FLOATS) for _ in range(7)]
    assert len({address(array) % PAGE for array in arrays}) == 7
    v = gc.variable(np.zeros(COUNT, np.float32), "v")
    f = gc.function([], [v + 1, v + 2, v + 3], updates={v: v * 2})
    for _ in range(3):
        results = f()
        held = [*results, v.storage.array, v.storage.spare]
        assert len({address(array) % PAGE for array in held if array is not None}) == 5


def test_copies_are_dense_and_converted() -> None:
    for count in (0, 3, COUNT):
        source = np.arange(2 * count, dtype=np.float64)[::2]
        copy = copied(source, FLOATS)
        assert copy.dtype == FLOATS and copy.flags.c_contiguous
        np.testing.assert_array_equal(copy, source.astype(np.float32))
    assert copied(np.array(3.0)).shape == ()


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
