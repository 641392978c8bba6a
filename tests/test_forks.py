"""Children forked while threads call functions directly, in several sizes, on two threads.

Everything may be under way at the moment of the fork: a call of any size, a divided one in the
pool, an update, a compilation. Children call, update, compile and fork as if nothing was.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from numpy.testing import assert_allclose  # a child cannot finish what a thread imports

import graphc as gc
from tests.children import child_of

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]
SIZES = (1, 7, 64, 3_000, 400_000)  # more than are direct at the same time; the last is divided


@contextmanager
def running(*tasks: Callable[[], None]) -> Iterator[None]:
    """The tasks, over and over, each in a thread; what one of them raised is raised at the end."""
    done, wrong = threading.Event(), []

    def work(task: Callable[[], None]) -> None:
        try:
            while not done.is_set():
                task()
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert not wrong, wrong


class Workload:
    """Functions in use, and what their calls give."""

    def __init__(self) -> None:
        x, b = gc.placeholder("x", ("n",)), gc.placeholder("b", ("m", 96))
        w = gc.variable(np.linspace(-1, 1, 96 * 96, dtype="float32").reshape(96, 96), "w")
        self.rows = gc.function([x], [gc.tanh(x) * 2, gc.sum(x * x)], threads=2)
        self.layer = gc.function([b], gc.softmax(gc.tanh(b @ w), axis=1), threads=2)
        self.count = gc.variable(np.float64(0), "count")
        self.step = gc.function([], self.count, updates={self.count: self.count + 1})
        rng = np.random.default_rng(0)
        self.feeds = [rng.normal(size=size).astype("float32") for size in SIZES]
        self.batches = [rng.normal(size=(size, 96)).astype("float32") for size in (1, 33, 600)]
        self.wanted = self.results()
        for _ in range(8):
            assert self.results() == self.wanted

    def results(self) -> list[bytes]:
        pairs = [self.rows(feed) for feed in self.feeds]
        layers = [self.layer(batch) for batch in self.batches]
        return [part.tobytes() for pair in pairs for part in pair] + [a.tobytes() for a in layers]

    def call(self) -> None:
        assert self.results() == self.wanted

    def update(self) -> None:
        self.step()

    def compile(self) -> None:
        x = gc.placeholder("x", ("n",))
        factor = time.perf_counter() % 1
        f = gc.function([x], gc.sin(x) * factor, cache=False, threads=2)
        found = f(self.feeds[3])
        assert_allclose(found, np.sin(self.feeds[3]) * np.float32(factor), atol=1e-6)

    def in_child(self) -> None:
        first = self.count.value
        for _ in range(6):
            self.call()
            self.step()
        assert self.count.value == first + 6
        self.compile()
        with running(self.call, self.update):
            self.call()
            child_of(self.call)


def check(forks: int) -> None:
    work = Workload()
    child_of(work.in_child)
    with running(work.call, work.call, work.update, work.compile):
        for _ in range(forks):
            child_of(work.in_child)
    work.call()


def test_children_forked_in_the_middle_of_calls() -> None:
    check(3)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_many_children() -> None:
    check(100)
