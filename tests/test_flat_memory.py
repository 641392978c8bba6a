"""The memory of the process stays flat: over many calls of every kind, and over functions that are
compiled and dropped."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOLERANCE = 3.0  # MiB: what allocators keep for later

PROGRAM = """
    import gc as garbage, os, sys
    import numpy as np
    import graphc as gc

    def resident():
        garbage.collect()
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    kind, count = sys.argv[1], int(sys.argv[2])
    x = gc.placeholder("x", ("n",))
    feeds = [np.full(n, 0.5, "float32") for n in (3, 1000, 7, 200)]
    v = gc.variable(np.ones(1000, "float32"), "v")

    def plain():
        f = gc.function([x], [gc.tanh(x) + 1, gc.sum(x * x)])
        return lambda turn: f(feeds[turn % 4])

    def out():
        f = gc.function([x], {"y": gc.exp(x)})
        memory = [{"y": np.empty_like(feed)} for feed in feeds]
        return lambda turn: f(feeds[turn % 4], out=memory[turn % 4])

    def updates():
        f = gc.function([x], gc.sum(v), {v: v * 0.5 + gc.sum(x)})
        return lambda turn: f(feeds[turn % 4])

    def bound():
        f = gc.function([x], gc.exp(x))
        calls = [f.bind(feed) for feed in feeds]
        return lambda turn: calls[turn % 4]()

    def tape():
        def step(c, row):
            c = gc.tanh(c * 0.9 + row)
            return c, c
        rows = gc.scan(step, gc.constant(np.float32(0)), x)[1]
        f = gc.function([x], gc.grad(gc.sum(rows * rows), x))
        return lambda turn: f(feeds[turn % 4])

    def heap():
        y = gc.while_loop(lambda c: gc.sum(c) < 40, lambda c: c * 1.5 + gc.tanh(c), x[:1])
        f = gc.function([x], [gc.sum(y), gc.grad(gc.sum(y), x)])
        return lambda turn: f(feeds[turn % 4])

    def errors():
        i = gc.placeholder("i", ("k",), "int64")
        f = gc.function([x, i], x[i], {v: v + gc.sum(x[i])})
        def call(turn):
            try:
                f(feeds[turn % 4], [10_000] if turn % 2 else 3.5)
            except gc.GraphcError:
                return
            raise SystemExit("no error")
        return call

    def repeat():
        f = gc.function([x], gc.sum(x * v[0]), {v: v * 0.99})
        rows = np.ones((3, 50), "float32")
        return lambda turn: f.repeat(3, rows)

    def compiled(turn):
        f = gc.function([x], gc.exp(x) * float(turn) + v[0], cache=False)
        for _ in range(5):
            f(feeds[turn % 4])

    call = compiled if kind == "compiled" else globals()[kind]()
    for turn in range(max(300, count // 10) if kind != "compiled" else count):
        call(turn)
    before = resident()
    for turn in range(count):
        call(turn)
    print(resident() - before)
"""
KINDS = ("plain", "out", "updates", "bound", "tape", "heap", "errors", "repeat")


def growth(kind: str, count: int) -> float:
    """MiB that the process has grown by over so many calls, or compilations."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), kind, str(count)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.mark.parametrize("kind", ["heap", "errors"])
def test_some_calls(kind: str) -> None:
    assert growth(kind, 3_000) < TOLERANCE


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", KINDS)
def test_many_calls(kind: str) -> None:
    assert growth(kind, 100_000) < TOLERANCE


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_functions_that_are_dropped() -> None:
    assert growth("compiled", 400) < 2 * TOLERANCE
