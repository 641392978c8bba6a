"""The thread pool: every unit once, whoever calls, after forks, at the end of the process."""

import ctypes
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

import graphc as gc
from graphc.backends.llvm.jit import Library, Module, module_object
from graphc.backends.llvm.one_thread import PARALLEL, SHARED, one_thread_address
from graphc.backends.llvm.pool import LITTLE, parallel_address, pool_size
from graphc.backends.llvm.target import host
from tests.children import child_of

ROOT = Path(__file__).parent.parent.parent.parent

# Counts the calls for each unit, and keeps the highest number of a thread in the last word.
TASK = """
define void @mark(ptr %frame, i64 %begin, i64 %end, i64 %thread) {
entry:
  %last = getelementptr i64, ptr %frame, i64 1000
  %highest = atomicrmw max ptr %last, i64 %thread monotonic
  br label %head
head:
  %unit = phi i64 [ %begin, %entry ], [ %next, %body ]
  %more = icmp slt i64 %unit, %end
  br i1 %more, label %body, label %done
body:
  %at = getelementptr i64, ptr %frame, i64 %unit
  %old = atomicrmw add ptr %at, i64 1 monotonic
  %next = add i64 %unit, 1
  br label %head
done:
  ret void
}
"""

_RUN = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_int64] * 4)


@cache
def library() -> Library:
    return Library([module_object(Module(TASK), host())], ["mark"], {})


def marks(
    units: int, threads: int, times: int = 1, work: int = 1 << 40, grain: int = 1
) -> list[int]:
    """How often each of 1000 units was done, and the highest number of a thread."""
    counts = (ctypes.c_int64 * 1001)()
    run: Callable[..., None] = _RUN(parallel_address())
    for _ in range(times):
        run(library().address("mark"), ctypes.addressof(counts), units, work, grain, threads)
    return list(counts)


@pytest.fixture(autouse=True)
def ready() -> Iterator[None]:
    library()
    yield


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
def test_every_unit_is_done_once(threads: int) -> None:
    for units in (0, 1, 2, 3, 17, 255, 256, 257, 1000):
        for work in (0, SHARED, SHARED + 1, LITTLE, LITTLE + 1, 5 * LITTLE, 1 << 62):
            for grain in (1, 7, 256):
                *counts, highest = marks(units, threads, work=work, grain=grain)
                assert counts == [int(k < units) for k in range(1000)]
                assert highest < threads


def test_fewer_than_no_units() -> None:
    assert marks(-3, 2) == [0] * 1001


def test_many_regions_in_a_row() -> None:
    assert marks(9, 4, times=20_000)[:10] == [20_000] * 9 + [0]


def test_workers_are_started_when_they_are_wanted() -> None:
    marks(8, 4)
    before = pool_size()
    assert before >= 3
    marks(8, before + 2)
    assert pool_size() == before + 1
    marks(8, 2)
    assert pool_size() == before + 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_less_work_is_shared_with_those_who_are_awake() -> None:
    def call() -> None:
        assert marks(100, 3, times=20, work=2 * SHARED)[:101] == [20] * 100 + [0]
        assert pool_size() == 0  # nobody is hired for it
        marks(100, 3)
        assert pool_size() == 2
        for _ in range(20):
            assert marks(100, 3, times=50, work=2 * SHARED)[:101] == [50] * 100 + [0]

    child_of(call)


def test_many_callers_at_a_time() -> None:
    found: list[list[int]] = []

    def call() -> None:
        found.append(marks(100, 3, times=500)[:1000])

    callers = [threading.Thread(target=call) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert found == [[500] * 100 + [0] * 900] * 8


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_starts_its_own() -> None:
    marks(100, 3)

    def call() -> None:
        assert pool_size() == 0
        assert marks(100, 3, times=20)[:100] == [20] * 100
        assert pool_size() == 2

    for _ in range(5):
        child_of(call)
    assert marks(100, 3)[:100] == [1] * 100


@pytest.mark.parametrize("pause", [0.0, 0.05], ids=["spinning", "asleep"])
def test_the_end_of_a_process(pause: float) -> None:
    script = f"""
        import atexit, time
        import numpy as np
        import graphc as gc

        x = gc.placeholder("x", ("n",))
        f = gc.function([x], gc.exp(x), threads=4)
        feed = np.ones(1 << 20, "float32")
        atexit.register(lambda: f(feed))  # after the pool has stopped
        from graphc.backends.llvm.pool import pool_size
        f(feed)
        assert pool_size() == 3
        time.sleep({pause})
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_name_that_code_calls() -> None:
    assert PARALLEL == "graphc_parallel" and parallel_address() == parallel_address()


_TASK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)


@pytest.mark.parametrize("units", [-1, 0, 1, 2, 17, 255, 256, 257, 1000, 100_003])
def test_one_thread_has_the_chunks_of_the_pool(units: int) -> None:
    def chunks(address: int, work: int, grain: int) -> list[tuple[int, int, int]]:
        found: list[tuple[int, int, int]] = []
        task = _TASK(lambda frame, begin, end, thread: found.append((begin, end, thread)))
        at = ctypes.cast(task, ctypes.c_void_p)
        _RUN(address)(at, None, units, work, grain, 1)
        return found

    for work in (0, SHARED, SHARED + 1, LITTLE + 1, 5 * LITTLE, 1 << 62):
        for grain in (1, 7, 256):
            alone = chunks(one_thread_address(), work, grain)
            assert alone == chunks(parallel_address(), work, grain)
            assert all(thread == 0 for *_, thread in alone)


def test_calls_keep_workers_awake() -> None:
    """Within marks every unit is done once as well, also after a worker went to sleep."""
    run: Callable[..., None] = _RUN(parallel_address())
    for pause in (0.0, 1e-4, 3e-3):
        run(None, None, 1, 0, 0, 0)
        for _ in range(20):
            assert marks(9, 3)[:10] == [1] * 9 + [0]
            time.sleep(pause)
        run(None, None, -1, 0, 0, 0)
        assert marks(9, 3)[:10] == [1] * 9 + [0]


def test_programs_of_several_shared_steps_mark_their_calls() -> None:
    x, w = gc.placeholder("x", ("n", 64)), gc.placeholder("w", (64, 64))
    one, two = gc.function([x, w], x @ w), gc.function([x, w], (x @ w) @ (w + 1.0))
    assert str(one.llvm()).count("@steps(") == 0
    several = str(two.llvm())
    entry = several[several.index("define i64 @entry") :]
    calls = [line for line in entry.splitlines() if PARALLEL in line and "null" in line]
    assert [("i64 1" in line, "i64 -1" in line) for line in calls[:2]] == [
        (True, False),
        (False, True),
    ]
    assert entry.count("@steps(") == 2
