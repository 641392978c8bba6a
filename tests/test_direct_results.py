"""Direct calls with large results: in the memory of earlier ones, which nobody holds any more."""

import threading
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.backends.llvm.direct_call import is_possible
from graphc.memory.results import KEPT
from graphc.placement import LARGE, PAGE
from tests.direct_calls import is_direct, warm

pytestmark = pytest.mark.skipif(not is_possible(), reason="needs CPython with its lock")

COUNT = LARGE // 4  # floats that are a large array
DATA = np.arange(COUNT, dtype=np.float32)


def address(array: np.ndarray) -> int:
    return int(array.ctypes.data)


def doubled() -> gc.Function:
    x = gc.placeholder("x", ("n",))
    return gc.function([x], x + x, backend="llvm")


def test_results_take_the_memory_of_earlier_ones() -> None:
    f = warm(doubled(), DATA)
    result = f(DATA)
    places = set()
    for _ in range(12):
        result = f(DATA)
        places.add(address(result))
        assert is_direct(f, DATA)
    assert len(places) <= KEPT
    assert result.flags.carray and result.flags.writeable and result.dtype == np.float32
    np.testing.assert_array_equal(result, 2 * DATA)


def test_results_that_are_held_stay_as_they_are() -> None:
    f = warm(doubled(), DATA)
    held = [f(DATA + np.float32(k)) for k in range(3 * KEPT)]
    parts = [f(DATA + np.float32(k))[k : k + 9] for k in range(3 * KEPT)]
    views = [memoryview(f(DATA - np.float32(k))) for k in range(3 * KEPT)]
    assert len({address(one) for one in held}) == len(held)
    for k in range(3 * KEPT):
        np.testing.assert_array_equal(held[k], 2 * (DATA + np.float32(k)))
        np.testing.assert_array_equal(parts[k], 2 * (DATA[k : k + 9] + np.float32(k)))
        assert views[k][7] == 2 * (7 - k)
    del held, parts, views
    for _ in range(2 * KEPT + 2):
        f(DATA)
    assert is_direct(f, DATA)


def test_a_result_as_an_argument() -> None:
    f, x = warm(doubled(), DATA), np.ones(COUNT, np.float32)
    for _ in range(20):
        x = f(x)
    np.testing.assert_array_equal(x, np.full(COUNT, 2**20, np.float32))


def test_results_begin_apart_in_their_pages() -> None:
    x = gc.placeholder("x", ("n",))
    f = warm(gc.function([x], [x + 1, x + 2, x * 3], backend="llvm"), DATA)
    for _ in range(2 * KEPT + 2):
        results = f(DATA)
    assert is_direct(f, DATA)
    assert len({address(one) % PAGE for one in results}) == 3
    for found, expected in zip(results, (DATA + 1, DATA + 2, DATA * 3), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("outputs", [list, tuple, lambda ys: {"a": ys[0], "b": list(ys[1:])}])
def test_large_beside_small_beside_complex(outputs: Any) -> None:
    x = gc.placeholder("x", ("n",))
    values = [gc.max(x), gc.complex(x, -x), x + 1]
    f = warm(gc.function([x], outputs(values), backend="llvm"), DATA)
    for _ in range(2 * KEPT + 2):
        answer = f(DATA)
    assert is_direct(f, DATA)
    if isinstance(answer, dict):
        answer = [answer["a"], *answer["b"]]
    np.testing.assert_array_equal(answer[0], DATA[-1])
    np.testing.assert_array_equal(answer[1], DATA - 1j * DATA)
    np.testing.assert_array_equal(answer[2], DATA + 1)


def test_the_same_output_twice() -> None:
    x = gc.placeholder("x", ("n",))
    y = x + 1
    f = warm(gc.function([x], [y, y], backend="llvm"), DATA)
    for k in range(8):
        first, second = f(DATA + np.float32(k))
        np.testing.assert_array_equal(first, DATA + np.float32(k + 1))
        np.testing.assert_array_equal(second, first)


def test_sizes_in_turns() -> None:
    f = doubled()
    for turn in range(30):
        for size in (COUNT, COUNT + 7, 50, 2 * COUNT):
            data = np.arange(turn, size + turn, dtype=np.float32)
            np.testing.assert_array_equal(f(data), 2 * data)


def test_memory_for_results_is_taken_directly() -> None:
    f = warm(doubled(), DATA)
    memory = np.empty(COUNT, np.float32)
    assert is_direct(f, DATA, out=memory)
    assert f(DATA, out=memory) is memory
    np.testing.assert_array_equal(memory, 2 * DATA)


def test_bound_calls() -> None:
    call = doubled().bind(DATA)
    places = set()
    for _ in range(12):
        result = call()
        places.add(address(result))
        np.testing.assert_array_equal(result, 2 * DATA)
    assert type(call.__call__) is type(len) and len(places) <= KEPT + 1


def test_threads_have_results_of_their_own() -> None:
    f = warm(doubled(), DATA)
    wrong: list[int] = []

    def work(offset: int) -> None:
        own = DATA + np.float32(offset)
        last = f(own)
        for _ in range(30):
            result = f(own)
            if not (np.array_equal(result, 2 * own) and np.array_equal(last, result)):
                wrong.append(offset)
            last = result

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_memory_stays_flat() -> None:
    resource = pytest.importorskip("resource")
    f = warm(doubled(), DATA)
    for _ in range(20):
        f(DATA)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(300):
        f(DATA)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 * LARGE // 1024
