"""Threads, forks, interrupts, and the life of compiled functions."""

import ctypes
import gc as garbage
import os
import subprocess
import sys
import textwrap
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.ir.storage import REPLACING, Storage, _counting
from tests.children import child_of
from tests.interrupts import at_every_moment

ROOT = Path(__file__).parent.parent
THREADS = 8
BACKENDS = ("reference", "interpreter", "llvm")


def in_threads(*tasks: Callable[[], Any], seconds: float = 100) -> list[Any]:
    """The results of all tasks, begun at the same time, each in a thread of its own."""
    results: list[Any] = [None] * len(tasks)
    errors: list[BaseException] = []
    barrier = threading.Barrier(len(tasks))

    def work(position: int, task: Callable[[], Any]) -> None:
        barrier.wait()
        try:
            results[position] = task()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=item, daemon=True) for item in enumerate(tasks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds)
    assert not any(thread.is_alive() for thread in threads), "a deadlock"
    if errors:
        raise errors[0]
    return results


# --- threads -------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_compiling_one_graph_in_many_threads(backend: str) -> None:
    x, v = gc.placeholder("x", ("n", 3)), gc.variable(np.ones(3, "float32"), "v")
    y = gc.tanh(x * v) @ gc.constant(np.eye(3, dtype="float32"))
    cost = gc.sum(y**2)
    feed = np.arange(6, dtype="float32").reshape(2, 3)

    def task() -> Any:
        return gc.function([x], [cost, gc.grad(cost, x)], backend=backend)(feed)

    (first, slope), *others = in_threads(*[task] * THREADS)
    assert first == pytest.approx(np.sum(np.tanh(feed) ** 2), rel=1e-6)
    for cost_found, slope_found in others:
        assert cost_found == first and slope_found.tobytes() == slope.tobytes()


@pytest.mark.parametrize("backend", BACKENDS)
def test_calling_one_function_with_different_feeds(backend: str) -> None:
    x = gc.placeholder("x", ("n", "n"))
    f = gc.function([x], [x @ x, gc.sum(gc.exp(x), axis=0), x + 1], backend=backend)
    calls = 5 if backend == "interpreter" else 200

    def task(number: int) -> Callable[[], None]:
        array = np.full((number + 1, number + 1), number / 10, "float32")

        def run() -> None:
            for _ in range(calls):
                product, sums, more = f(array)
                np.testing.assert_allclose(product, array @ array, rtol=1e-5)
                np.testing.assert_allclose(sums, np.exp(array).sum(0), rtol=1e-5)
                np.testing.assert_array_equal(more, array + 1)

        return run

    in_threads(*map(task, range(THREADS)))


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_update_is_lost(backend: str) -> None:
    x, v = gc.placeholder("x"), gc.variable(np.zeros(50, "int64"), "v")
    w = gc.variable(0, "w")
    amount = gc.cast(x, "int64")
    f = gc.function([x], w, {v: v + amount, w: w + amount}, backend=backend)
    g = gc.function([x], updates=[(w, w - amount)], backend=backend)
    calls = 10 if backend == "interpreter" else 200

    def add(amount: int) -> Callable[[], None]:
        def run() -> None:
            for _ in range(calls):
                f(amount)

        return run

    def subtract() -> None:
        for _ in range(calls):
            g(1)

    in_threads(*map(add, range(1, 6)), subtract, subtract, subtract)
    assert v.value.tolist() == [15 * calls] * 50 and w.value == 12 * calls


def test_a_call_sees_one_moment() -> None:
    a, b = (gc.variable(np.zeros(2000, "float32"), name) for name in "ab")
    step = gc.function([], updates={a: a + 1, b: b + 1})
    look = gc.function([], [gc.max(gc.abs(a - b)), gc.max(a) - gc.min(a)])
    stop = threading.Event()

    def write() -> None:
        for _ in range(500):
            step()
        stop.set()

    def read() -> int:
        calls = 0
        while not stop.is_set() or calls == 0:
            assert [found.item() for found in look()] == [0, 0]
            calls += 1
        return calls

    def peek() -> None:
        while not stop.is_set():
            value = a.value
            assert (value == value[0]).all()

    in_threads(write, read, read, peek)
    assert a.value[0] == b.value[0] == 500


def test_reading_goes_on_while_an_update_runs() -> None:
    v = gc.variable(1.0, "v")
    w = gc.variable(2.0, "w")
    look = gc.function([], v * 2)
    both = gc.function([], v + w)
    entered, leave = threading.Event(), threading.Event()
    step = gc.function([], updates={w: w + 1})
    original = step._run

    def slow(*args: Any) -> Any:
        entered.set()
        assert leave.wait(60)
        return original(*args)

    step._run = slow

    def reader() -> None:
        assert entered.wait(60)
        assert v.value == 1 and w.value == 2  # single values never wait
        leave.set()

    in_threads(step, reader)
    assert look() == 2 and both() == 4


def test_memory_that_is_being_read_is_not_written_over() -> None:
    storage = Storage(np.zeros(3))
    held = storage.array
    for _ in range(3):
        spare = storage.take_spare()
        assert spare is not held
        spare[:] = 1
        storage.array, storage.spare = spare, storage.array
    assert held.tolist() == [0, 0, 0]
    del held, spare
    free = storage.spare
    assert free is not None
    address = free.ctypes.data
    del free
    assert storage.take_spare().ctypes.data == address


def test_functions_that_share_variables_in_different_order() -> None:
    variables = [gc.variable(np.zeros(10, "float32"), f"v{k}") for k in range(4)]
    orders = [variables, variables[::-1], variables[1:], variables[2:] + variables[:2]]

    def task(order: list[gc.Variable]) -> Callable[[], None]:
        def run() -> None:
            for _ in range(5):
                following = [*order[1:], order[0]]
                f = gc.function(
                    [],
                    gc.add_n(order),
                    [(v, v + 0 * w + 1) for v, w in zip(order, following, strict=True)],
                    backend="reference",
                )
                for _ in range(20):
                    f()
                    order[0].value = order[0].value

        return run

    in_threads(*map(task, orders), *map(task, orders))


def test_variables_that_meet_while_a_call_waits() -> None:
    a, b = gc.variable(0, "a"), gc.variable(0, "b")
    add = gc.function([], updates={a: a + 1}, backend="reference")
    other = gc.function([], updates={b: b + 1}, backend="reference")

    def join() -> None:
        for _ in range(30):
            fresh = gc.variable(0, "fresh")
            both = gc.function([], updates={a: a + 1, b: b + 1, fresh: a}, backend="reference")
            both()

    def call(f: gc.Function) -> Callable[[], None]:
        def run() -> None:
            for _ in range(300):
                f()

        return run

    in_threads(join, join, call(add), call(add), call(other), call(other))
    assert a.value == b.value == 60 + 600


def test_threads_with_errors() -> None:
    k, v = gc.placeholder("k", ("n",), "int64"), gc.variable(np.zeros(3, "float32"), "v")
    f = gc.function([k], updates={v: v + gc.sum(gc.take(v * 0 + 1, k))})

    def task(good: bool) -> Callable[[], None]:
        def run() -> None:
            for _ in range(100):
                if good:
                    f([0])
                    continue
                with pytest.raises(gc.IndexOutOfRange):
                    f([5])

        return run

    in_threads(*[task(True)] * 4, *[task(False)] * 4)
    assert v.value.tolist() == [400] * 3


@pytest.mark.parametrize("rounds", [6, pytest.param(60, marks=pytest.mark.slow)])
def test_calls_of_one_function_while_others_are_compiled(
    rounds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each thread calls a shared function and compiles its own, some of them from the cache."""
    monkeypatch.setenv("GRAPHC_CACHE", str(tmp_path / "cache"))
    x = gc.placeholder("x", ("n",))
    v, w = gc.variable(np.zeros(100, "int64"), "v"), gc.variable(np.float32(2), "w")
    shared = gc.function([x], [gc.sum(x * w), v[0]], {v: v + 1})

    def task(number: int) -> Callable[[], None]:
        feed = np.arange(number + 1, dtype="float32")

        def run() -> None:
            for turn in range(rounds):
                own = gc.function([x], gc.tanh(x) * float((turn + number) % 5) + w)
                for _ in range(20):
                    assert shared(feed)[0] == 2 * feed.sum()
                    found = own(feed)
                wanted = np.tanh(feed) * ((turn + number) % 5) + 2
                np.testing.assert_allclose(found, wanted, rtol=1e-6)

        return run

    in_threads(*map(task, range(THREADS)), seconds=110)
    assert v.value.tolist() == [THREADS * rounds * 20] * 100


def divided() -> tuple[gc.Function, np.ndarray, np.ndarray]:
    """A function whose steps are divided among threads, what to feed it, and the answer."""
    x, w = gc.placeholder("x", (6, 40, 200)), gc.placeholder("w", (200, 200))
    _, h = gc.scan(lambda h, row: (gc.tanh(row + h @ w),) * 2, x[0] * 0, x)
    f = gc.function([x, w], [h, gc.exp(h), gc.sum(h, axis=0)], threads=2, name="f")
    rng = np.random.default_rng(0)
    values = rng.normal(size=(6, 40, 200)).astype("float32")
    weights = (rng.normal(size=(200, 200)) / 20).astype("float32")
    return f, values, weights


def test_divided_calls_while_others_are_compiled() -> None:
    """One pool for the calls of eight threads, each of which also compiles."""
    f, values, weights = divided()
    wanted = [array.tobytes() for array in f(values, weights)]
    x = gc.placeholder("x", ("n", "n"))

    def task(number: int) -> Callable[[], None]:
        def run() -> None:
            square = np.eye(150, dtype="float32") * number
            own = gc.function([x], x @ x * float(number) + 1, threads=2, cache=False)
            for _ in range(10):
                assert [array.tobytes() for array in f(values, weights)] == wanted
                np.testing.assert_array_equal(own(square), square @ square * number + 1)

        return run

    in_threads(*map(task, range(THREADS)), seconds=110)


def test_one_session_and_one_jit_in_many_threads() -> None:
    x = gc.placeholder("x", ("n",))
    session = gc.Session("reference")
    double = gc.jit(lambda x: x * 2, backend="reference")

    def task() -> None:
        for n in range(2, 20):
            array = np.ones(n, "float32")
            assert session.run(gc.sum(x), {x: array}) == n
            assert double(array).sum() == 2 * n

    in_threads(*[task] * THREADS)
    assert len(double.functions) == 1


# --- forks ---------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("backend", ["reference", "llvm"])
def test_a_forked_child_calls_and_compiles(backend: str) -> None:
    x, v = gc.placeholder("x", ("n",)), gc.variable(1.0, "v")
    f = gc.function([x], gc.sum(x * v), {v: v + 1}, backend=backend)
    assert f([1, 2]) == 3

    def task() -> None:
        assert f([1, 2, 3]) == 12
        assert v.value == 3
        g = gc.function([x], gc.exp(x) * 0 + v, {v: v * 2}, backend=backend)
        assert g([0, 0]).tolist() == [3, 3] and f([1]) == 6

    child_of(task)
    assert v.value == 2 and f([1]) == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_forked_after_the_pool_has_started() -> None:
    f, values, weights = divided()
    wanted = [array.tobytes() for array in f(values, weights)]
    x = gc.placeholder("x", ("n",))

    def task() -> None:
        assert [array.tobytes() for array in f(values, weights)] == wanted
        g = gc.function([x], gc.sin(x), threads=2, cache=False)
        many = np.linspace(0, 9, 400_000, dtype="float32")
        np.testing.assert_allclose(g(many), np.sin(many), atol=1e-6)
        assert [array.tobytes() for array in f(values, weights)] == wanted

    for _ in range(2):
        child_of(task)
    assert [array.tobytes() for array in f(values, weights)] == wanted


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_forked_during_a_call_in_another_thread() -> None:
    v = gc.variable(1.0, "v")
    f = gc.function([], v * 10, {v: v + 1}, backend="reference")
    double = gc.jit(lambda x: x * 2, backend="reference")
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with v.storage.lock(), double._compiling.current():
            entered.set()
            leave.wait(60)

    thread = threading.Thread(target=hold, daemon=True)
    thread.start()
    entered.wait(60)

    def task() -> None:
        assert f() == 10 and v.value == 2 and double(3) == 6
        v.value = 7
        assert f() == 70

    child_of(task)
    leave.set()
    thread.join(60)
    assert f() == 10


# --- interrupts ----------------------------------------------------------------------------------


def in_process(program: str, *args: str) -> str:
    """What a program prints in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *args],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


INTERRUPTED = """
    import random, signal, sys, threading
    import numpy as np
    import graphc as gc

    backend = sys.argv[1]
    variables = [gc.variable(np.full(5, k, "int64"), f"v{k}") for k in range(20)]
    following = [*variables[1:], variables[0]]
    step = gc.function([], updates=list(zip(variables, following)), backend=backend)
    for _ in range(20):
        step()
    random.seed(0)
    came = 0

    def interrupt(number, frame):
        global came
        came += 1
        raise KeyboardInterrupt  # which is lost where objects are deleted

    def until_it_comes(call):  # of a frame of its own: what is raised anywhere in it is caught
        signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, float(sys.argv[3])))
        while came == call:
            step()

    signal.signal(signal.SIGALRM, interrupt)
    for call in range(int(sys.argv[2])):
        try:
            until_it_comes(call)
        except KeyboardInterrupt:
            pass
        values = np.array([v.value for v in variables])
        first = values[0, 0]
        assert (values == ((first + np.arange(20)) % 20)[:, None]).all(), values
    # A call in another thread finds the lock free.
    thread = threading.Thread(target=step, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    assert variables[0].value[0] == (first + 1) % 20
    print("whole")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no interval timers")
@pytest.mark.parametrize(
    ("backend", "calls", "longest"), [("reference", 300, 0.004), ("llvm", 1000, 0.001)]
)
def test_variables_stay_whole_under_interrupts(backend: str, calls: int, longest: float) -> None:
    assert in_process(INTERRUPTED, backend, str(calls), str(longest)) == "whole"


@pytest.mark.parametrize("backend", ["reference", "llvm"])
def test_variables_stay_whole_whenever_an_interrupt_comes(backend: str) -> None:
    a, b = (gc.variable(np.full(3, k, "int64"), f"v{k}") for k in range(2))
    step = gc.function([], updates={a: b, b: a}, backend=backend)
    for moment in at_every_moment(step):
        first, second = int(a.value[0]), int(b.value[0])
        assert {first, second} == {0, 1}, moment
        in_threads(step)  # the lock is free
        assert [int(a.value[0]), int(b.value[0])] == [second, first], moment


def test_interrupted_calls_count_no_longer() -> None:
    v = gc.variable(np.zeros(3), "v")
    step = gc.function([], v + 1, updates={v: v + 1}, backend="reference")
    busy = ctypes.c_int64.from_address(REPLACING)
    for moment in at_every_moment(step):
        assert busy.value == 0, moment


def test_counts_of_calls_in_several_threads_are_not_lost() -> None:
    def count() -> None:
        for _ in range(20_000):
            _counting(1)()
            _counting(-1)()

    before, busy = sys.getswitchinterval(), ctypes.c_int64.from_address(REPLACING)
    sys.setswitchinterval(1e-6)
    try:
        in_threads(*[count] * 4)
    finally:
        sys.setswitchinterval(before)
    assert busy.value == 0


def test_an_exception_in_the_middle_of_a_call() -> None:
    a, b = gc.variable(1.0, "a"), gc.variable(2.0, "b")
    f = gc.function([], updates={a: b, b: a}, backend="interpreter")
    runner: Any = f._run
    bind = runner.executable.bind

    def broken(sizes: Any, temporaries: Any) -> Any:
        run = bind(sizes, temporaries)

        def call(arrays: Any) -> None:
            run(arrays)
            raise KeyboardInterrupt

        return call

    runner.executable.bind = broken
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            f()
        assert a.value == 1 and b.value == 2
    del runner.executable.bind
    for workspace in runner.idle:
        workspace.bound.clear()
    f()
    assert a.value == 2 and b.value == 1


# --- the life of functions -----------------------------------------------------------------------


@pytest.mark.parametrize("backend", (*BACKENDS, "numba_cpu"))
def test_dropped_functions_are_freed(backend: str) -> None:
    v = gc.variable(np.ones(3, "float32"), "v")

    def use() -> list[weakref.ref[Any]]:
        x = gc.placeholder("x", ("n", 3))
        cost = gc.sum(gc.tanh(x * v))
        f = gc.function([x], cost, {v: v - gc.grad(cost, v)}, backend=backend)
        f(np.ones((2, 3), "float32"))
        with pytest.raises(gc.FeedError):
            f(np.ones((2, 4), "float32"))
        parts = [f, x.node, cost.node, f.stages.program, f.stages.executable]
        return [weakref.ref(part) for part in parts if part is not None]

    references = use()
    garbage.collect()
    assert [reference() for reference in references] == [None] * len(references)
    assert v.value.shape == (3,)


MEMORY = """
    import gc as garbage, os, sys
    import numpy as np
    import graphc as gc

    def resident():
        garbage.collect()
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    backend, compiles, calls = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    v = gc.variable(np.ones(1000, "float32"), "v")

    def compile_and_call(seed):
        x = gc.placeholder("x", ("n", 1000))
        cost = gc.mean(gc.tanh(x * v + float(seed)) ** 2)
        f = gc.function([x], [cost, x], {v: v - gc.grad(cost, v)}, backend=backend)
        for n in range(1, 4):
            f(np.ones((n, 1000), "float32"))
        return f

    for seed in range(max(3, compiles // 5)):
        compile_and_call(seed)
    before = resident()
    for seed in range(compiles):
        compile_and_call(seed)
    print(resident() - before)
    f = compile_and_call(0)
    feeds = [np.ones((n, 1000), "float32") for n in range(1, 60)]
    for call in range(calls // 10):
        f(feeds[call % len(feeds)])
    before = resident()
    for call in range(calls):
        f(feeds[call % len(feeds)])
    print(resident() - before)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads /proc")
@pytest.mark.parametrize(
    ("backend", "compiles", "calls"),
    [
        ("reference", 20, 500),
        ("llvm", 10, 2000),
        pytest.param("llvm", 100, 20_000, marks=pytest.mark.slow),
    ],
)
def test_memory_stays_flat(backend: str, compiles: int, calls: int) -> None:
    grown = in_process(MEMORY, backend, str(compiles), str(calls)).split()
    assert float(grown[0]) < 4 + 0.1 * compiles, "MiB while compiling"
    assert float(grown[1]) < 4, "MiB while calling"
