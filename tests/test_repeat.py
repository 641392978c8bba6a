"""f.repeat(k, ...) is k calls: the same results, one atomic step for the variables."""

import os
import signal
import sys
import threading
from typing import Any

import numpy as np
import pytest

import graphc as gc

BACKENDS = ("llvm", "numba_cpu", "interpreter", "reference")


def trained(backend: str = "llvm") -> tuple[gc.Function, gc.Variable, gc.Variable]:
    """A step of regression with momentum; the velocity is read and updated, so are the weights."""
    x, y = gc.placeholder("x", ("n", 3)), gc.placeholder("y", ("n",))
    rate = gc.placeholder("rate", ())
    w = gc.variable(np.zeros(3, "float32"), "w")
    v = gc.variable(np.zeros(3, "float32"), "v")
    cost = gc.mean((x @ w - y) ** 2)
    new = 0.9 * v - rate * gc.grad(cost, w)
    step = gc.function(
        [x, y, rate], {"cost": cost, "w": w}, {w: w + new, v: new}, backend=backend, name="step"
    )
    return step, w, v


def data(count: int, rows: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(count)
    x = rng.normal(size=(count, rows, 3)).astype("float32")
    return x, rng.normal(size=(count, rows)).astype("float32")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_it_equals_single_calls(backend: str, count: int) -> None:
    x, y = data(count)
    rate = np.float32(0.1)
    one, w1, v1 = trained(backend)
    many, w2, v2 = trained(backend)
    singles = [one(x[k], y[k], rate) for k in range(count)]
    together = many.repeat(count, x, y, rate)
    assert together["cost"].shape == (count,) and together["w"].shape == (count, 3)
    for k, single in enumerate(singles):
        np.testing.assert_array_equal(together["cost"][k], single["cost"])
        np.testing.assert_array_equal(together["w"][k], single["w"])
    np.testing.assert_array_equal(w1.value, w2.value)
    np.testing.assert_array_equal(v1.value, v2.value)
    np.testing.assert_array_equal(many(*data(1)[0], data(1)[1][0], rate)["w"], w1.value)


def test_every_input_may_have_rows_or_not() -> None:
    step, w, _ = trained()
    x, y = data(6)
    rates = np.linspace(0.1, 0.01, 6).astype("float32")
    expected, w2, _ = trained()
    for k in range(6):
        expected(x[0], y[k], rates[k])
    step.repeat(6, x[0], y, rate=rates)
    np.testing.assert_array_equal(w.value, w2.value)


def test_variables_that_change_places() -> None:
    a, b, c = (gc.variable(np.full(2, v, "float32"), n) for v, n in ((1, "a"), (2, "b"), (3, "c")))
    f = gc.function([], [a + 0, c + 0], updates={a: b, b: c, c: a})
    first, last = f.repeat(4)
    np.testing.assert_array_equal(first[:, 0], [1, 2, 3, 1])
    np.testing.assert_array_equal(last[:, 0], [3, 1, 2, 3])
    assert [v.value[0] for v in (a, b, c)] == [2, 3, 1]


def test_an_update_that_does_not_read_its_variable() -> None:
    x, last = gc.placeholder("x", ()), gc.variable(np.float32(0), "last")
    f = gc.function([x], updates={last: x * 2})
    f.repeat(3, np.arange(3, dtype="float32"))
    assert last.value == 4
    f.repeat(4, np.arange(4, dtype="float32"))
    assert last.value == 6


@pytest.mark.parametrize("backend", BACKENDS)
def test_all_steps_or_none(backend: str) -> None:
    i = gc.placeholder("i", (), "int64")
    w = gc.variable(np.zeros(3, "float32"), "w")
    f = gc.function([i], w[i], updates={w: w + 1 + w[i]}, backend=backend)
    with pytest.raises(gc.IndexOutOfRange, match="test_repeat"):
        f.repeat(4, np.array([0, 1, 3, 2]))
    np.testing.assert_array_equal(w.value, np.zeros(3))
    f.repeat(2, np.array([0, 1]))
    np.testing.assert_array_equal(w.value, np.full(3, 3))


def test_strided_rows_and_lists() -> None:
    x = gc.placeholder("x", ("n",))
    f = gc.function([x], x * 2)
    array = np.arange(12, dtype="float32").reshape(3, 4)
    np.testing.assert_array_equal(f.repeat(4, array.T), array.T * 2)
    np.testing.assert_array_equal(f.repeat(2, [[1, 2], [3, 4]]), [[2, 4], [6, 8]])
    np.testing.assert_array_equal(f.repeat(2, [1, 2]), [[2, 4], [2, 4]])


def test_large_products_and_loops() -> None:
    x, w = gc.placeholder("x", ("n", 200)), gc.variable(np.eye(200, dtype="float32"), "w")
    total, _ = gc.scan(lambda c, row: (c + row, None), gc.zeros((200,)), x @ w)
    f = gc.function([x], total, updates={w: w + x.T @ x / 200})
    array = np.random.default_rng(0).normal(size=(3, 300, 200)).astype("float32")
    found, after = f.repeat(3, array), w.value
    w.value = np.eye(200, dtype="float32")
    for k in range(3):
        np.testing.assert_array_equal(found[k], f(array[k]))
    np.testing.assert_array_equal(after, w.value)


@pytest.mark.parametrize("check", ["nan", "passes"])
def test_with_checks(check: str) -> None:
    x, w = gc.placeholder("x", ("n",)), gc.variable(np.float32(0), "w")
    f = gc.function([x], gc.sum(x) + w, updates={w: w + 1}, check=check)
    np.testing.assert_array_equal(f.repeat(3, np.ones((3, 2), "float32")), [2, 3, 4])
    assert w.value == 3


CASES: list[Any] = [
    ((3, np.ones((2, 4), "float32")), gc.FeedError, "2 rows for 3 steps"),
    ((-1, np.ones((2, 4), "float32")), gc.FeedError, "no number of steps"),
    ((2.0, np.ones((2, 4), "float32")), gc.FeedError, "no number of steps"),
    ((2, np.full((2, 4), 0.1)), gc.FeedTypeError, "float64"),
    ((2, np.ones((2, 4, 1), "float32")), gc.FeedError, "3-d"),
    ((2,), gc.FeedError, "not fed"),
]


@pytest.mark.parametrize(("arguments", "error", "text"), CASES)
def test_bad_input(arguments: Any, error: Any, text: str) -> None:
    x, w = gc.placeholder("x", ("n",)), gc.variable(np.float32(0), "w")
    f = gc.function([x], gc.sum(x), updates={w: w + 1})
    with pytest.raises(error, match=text):
        f.repeat(*arguments)
    assert w.value == 0


def test_results_of_unknown_size() -> None:
    x = gc.placeholder("x", ("n",))
    f = gc.function([x], [gc.nonzero(x)[0]])
    with pytest.raises(gc.FunctionError, match="depends on data"):
        f.repeat(2, np.ones((2, 3), "float32"))


def test_many_steps_are_those_of_calls() -> None:
    """They run in pieces, between which Python may raise what signals ask for."""
    a, b = (gc.variable(np.float32(value), name) for name, value in (("a", 1), ("b", 2)))
    x = gc.placeholder("x", ())
    f = gc.function([x], [a + x, b], updates={a: b + x, b: a * 0.5})
    rows = np.random.default_rng(0).normal(size=1000).astype("float32")
    expected = np.array([f(row) for row in rows])
    last = a.value, b.value
    a.value, b.value = np.float32(1), np.float32(2)
    parts = [f.repeat(count, rows[start : start + count]) for start, count in ((0, 1), (1, 999))]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1).T, expected)
    assert (a.value, b.value) == last


@pytest.mark.timeout(60)  # all the steps would take several minutes
@pytest.mark.skipif(sys.platform == "win32", reason="os.kill would end the process")
def test_a_long_run_is_interrupted_and_leaves_variables_as_they_were() -> None:
    w = gc.variable(np.zeros((64, 64), "float32"), "w")
    f = gc.function([], gc.sum(w), updates={w: w + 0 * (w @ w) + 1})
    f.repeat(3)
    old = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    try:
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            f.repeat(20_000_000)
    finally:
        timer.cancel()
        signal.signal(signal.SIGINT, old)
    assert (w.value == 3).all()
    f.repeat(3)
    assert (w.value == 6).all()
