"""Large variables take their new values in the memory of the old ones, and nobody can tell."""

import os
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.backends.llvm.direct_call import is_possible
from graphc.saving import values_of
from tests.children import child_of
from tests.interrupts import at_every_moment

pytestmark = pytest.mark.skipif(not is_possible(), reason="needs CPython with its lock")

N = 1 << 20  # elements: 4 MiB of float32
X = np.ones(N, "float32")


def counter(size: int = N) -> tuple[gc.Function, gc.Variable]:
    v, x = gc.variable(np.zeros(size, "float32"), "v"), gc.placeholder("x", (size,))
    return gc.function([x], v[:3], updates={v: v + x}), v


def place(v: gc.Variable) -> int:
    return v.storage.array.ctypes.data


def test_the_memory_stays_and_there_is_no_second() -> None:
    f, v = counter()
    at = place(v)
    for turn in range(5):
        np.testing.assert_array_equal(f(X), np.full(3, turn))
        assert place(v) == at and v.storage.spare is None
        value = v.value
        assert value.ctypes.data != at and value.min() == value.max() == turn + 1
    assert not v.storage.rewritten
    small, w = counter(100)
    at = place(w)
    small(X[:100])
    assert place(w) != at


def test_a_value_that_somebody_holds_stays() -> None:
    f, v = counter()
    held = v.storage.array
    f(X)
    assert held.max() == 0 and v.value.min() == 1 and place(v) != held.ctypes.data
    del held
    at = place(v)
    f(X)
    assert place(v) == at and v.value.min() == 2


@pytest.mark.parametrize("mode", ["set", "add", "multiply"])
def test_entries_are_written_where_they_are(mode: str) -> None:
    """The array is not copied: what lies between the entries is not touched."""
    v = gc.variable(np.ones((N // 8, 8), "float32"), "v")
    i, d = gc.placeholder("i", ("k",), "int64"), gc.placeholder("d", ("k", 8))
    f = gc.function([i, d], gc.sum(v[i]), updates={v: getattr(v.at[i], mode)(d)})
    expected = v.value
    at = place(v)
    for turn in range(8):
        rows = np.array([3, N // 8 - 1, turn, -5])
        values = np.full((4, 8), 2.0 + turn, "float32")
        assert f(rows, values) == expected[rows].sum()
        if mode == "set":
            expected[rows] = values
        else:
            (np.add if mode == "add" else np.multiply).at(expected, rows, values)
        np.testing.assert_array_equal(v.value, expected)
        assert place(v) == at
    for _ in range(3):
        with pytest.raises(gc.IndexOutOfRange):
            f(np.array([0, N // 8]), values[:2])
        np.testing.assert_array_equal(v.value, expected)


def test_adam_against_the_reference() -> None:
    def build(backend: str) -> tuple[gc.Function, list[gc.Variable]]:
        p, m, v = (
            gc.variable(np.full(N, k, "float32"), n) for k, n in ((1, "p"), (0, "m"), (0, "v"))
        )
        t, g = gc.variable(np.float32(0), "t"), gc.placeholder("g", (N,))
        after, mean, square = t + 1, 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        step = mean / (1 - 0.9**after) / (gc.sqrt(square / (1 - 0.999**after)) + 1e-8)
        updates = [(t, after), (m, mean), (v, square), (p, p - 0.01 * step)]
        return gc.function([g], updates=updates, backend=backend), [t, m, v, p]

    gradient = np.linspace(-1, 1, N, dtype="float32")
    found: list[list[np.ndarray]] = []
    for backend in ("llvm", "reference"):
        f, variables = build(backend)
        addresses = [place(v) for v in variables]
        for _ in range(3):
            f(gradient)
        assert (addresses == [place(v) for v in variables]) == (backend == "llvm")
        found.append([v.value for v in variables])
    for ours, wanted in zip(*found, strict=True):
        np.testing.assert_allclose(ours, wanted, rtol=1e-5, atol=1e-6)


def test_epilogues_of_products() -> None:
    """w - rate * (x.T @ d), also with momentum: the product lies elsewhere until it is done."""

    def build(backend: str, threads: int = 1) -> tuple[gc.Function, list[gc.Variable]]:
        rng = np.random.default_rng(0)
        shapes = ((300, 1024), (1024, 1024), (1024, 300))
        weights = [
            gc.variable((rng.normal(size=s) / 32).astype("float32"), f"w{n}")
            for n, s in enumerate(shapes)
        ]
        speeds = [gc.variable(np.zeros(s, "float32"), f"v{n}") for n, s in enumerate(shapes)]
        x = gc.placeholder("x", ("b", 300))
        h: gc.Tensor = x
        for w in weights:
            h = gc.tanh(h @ w)
        cost = gc.mean((h - x) ** 2)
        updates = []
        for w, v, slope in zip(weights, speeds, gc.grad(cost, weights), strict=True):
            speed = 0.9 * v + slope
            updates += [(v, speed), (w, w - 10 * speed)]
        f = gc.function([x], cost, updates=updates, backend=backend, threads=threads)
        return f, [*weights, *speeds]

    feeds = [np.random.default_rng(n).normal(size=(n, 300)).astype("float32") for n in (37, 1, 70)]
    found: list[list[np.ndarray]] = []
    for backend, threads in (("llvm", 1), ("llvm", 2), ("reference", 1)):
        f, variables = build(backend, threads)
        addresses = [place(v) for v in variables]
        for feed in feeds:
            f(feed)
        assert (addresses == [place(v) for v in variables]) == (backend == "llvm")
        found.append([v.value for v in variables])
    for one, two, wanted in zip(*found, strict=True):
        assert one.tobytes() == two.tobytes()
        np.testing.assert_allclose(one, wanted, rtol=2e-4, atol=1e-5)


def test_complex_variables() -> None:
    v, x = gc.variable(np.zeros(N, "complex64"), "v"), gc.placeholder("x", (N,), "complex64")
    f, at = gc.function([x], updates={v: v + x * 1j}), place(v)
    for _ in range(2):
        f(X.astype("complex64"))
    assert place(v) == at
    np.testing.assert_array_equal(v.value[[0, -1]], [2j, 2j])


def test_a_failed_check_changes_nothing() -> None:
    v, x = gc.variable(np.zeros((2, N), "float32"), "v"), gc.placeholder("i", (2,), "int64")
    table = gc.constant(np.ones((3, 1), "float32"))
    f = gc.function([x], updates={v: v + table[x]})
    f(np.array([0, 2]))
    with pytest.raises(gc.IndexOutOfRange):
        f(np.array([0, 3]))
    assert v.value.min() == v.value.max() == 1


def test_many_steps_are_all_or_none() -> None:
    v, x = gc.variable(np.zeros(N, "float32"), "v"), gc.placeholder("i", (1,), "int64")
    f = gc.function([x], updates={v: v + gc.constant(np.ones(3, "float32"))[x]})
    f.repeat(3, np.array([[0], [1], [2]]))
    assert v.value.min() == v.value.max() == 3
    with pytest.raises(gc.IndexOutOfRange):
        f.repeat(3, np.array([[0], [1], [3]]))
    assert v.value.min() == v.value.max() == 3


def in_threads(*tasks: Callable[[], None]) -> None:
    failures: list[BaseException] = []

    def guarded(task: Callable[[], None]) -> None:
        try:
            task()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(task,), daemon=True) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    if failures:
        raise failures[0]


def test_nobody_sees_half_of_a_new_value() -> None:
    f, v = counter()
    ends = gc.function([], gc.concat([v[:4], v[-4:]]))
    whole = gc.function([], [gc.max(v), gc.min(v)])
    for _ in range(20):
        ends()
    stop = threading.Event()

    def write() -> None:
        try:
            for _ in range(60):
                f(X)
        finally:
            stop.set()

    def until_then(look: Callable[[], Any]) -> Callable[[], None]:
        def task() -> None:
            last = 0.0
            while not stop.is_set():
                seen = np.asarray(look())
                assert seen.min() == seen.max() >= last
                last = seen.max()

        return task

    readers: list[Callable[[], Any]] = [lambda: v.value, ends, whole, lambda: values_of([v])[0]]
    in_threads(write, write, *map(until_then, readers))
    assert v.value.min() == v.value.max() == 120


def test_code_that_reads_unseen_keeps_the_memory_apart() -> None:
    v, x = gc.variable(np.zeros(N), "v"), gc.placeholder("x", (), "float64")
    gc.function([x], v[0] + x).ctypes  # noqa: B018 - it makes a C function
    f = gc.function([x], updates={v: v + x})
    at = place(v)
    f(1.0)
    assert place(v) != at and v.value.min() == 1


def test_interrupts_leave_it_whole() -> None:
    f, v = counter()
    for _ in range(4):
        f(X)
    moments = 0
    for moment in at_every_moment(lambda: f(X)):
        value = v.value
        assert value.min() == value.max() and not v.storage.rewritten, moment
        in_threads(lambda: f(X))  # the lock is free; the error may hold the old memory
        at = place(v)
        f(X)
        assert place(v) == at, moment
        moments += 1
    assert moments > 50


def test_interrupts_of_first_calls_leave_it_whole() -> None:
    f, v = counter(100_000)
    feed = X[:100_000]
    for moment in at_every_moment(lambda: f(feed)):
        value = v.value
        assert value.min() == value.max() and not v.storage.rewritten, moment
    in_threads(lambda: f(feed))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_forked_during_a_call_finds_it_whole() -> None:
    f, v = counter()
    f(X)
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            f(X)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()

    def look() -> None:
        value = v.value
        assert value.min() == value.max() and not v.storage.rewritten

    try:
        for _ in range(5):
            time.sleep(0.003)
            child_of(look)
    finally:
        stop.set()
        thread.join(60)
