"""Long calls that update many variables (graphc.exchanges)."""

import sys
import threading
from collections.abc import Callable

import numpy as np
import pytest

import graphc as gc
from graphc.backends.llvm.direct_call import is_possible

pytestmark = pytest.mark.skipif(not is_possible(), reason="objects lie in memory otherwise")

COUNT = 20


@pytest.fixture(autouse=True)
def long_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """All calls count as long."""
    for name in ("LONGEST", "LONGEST_UPDATING"):
        monkeypatch.setattr(sys.modules["graphc.direct"], name, -1.0)


@pytest.fixture(params=[False, True], ids=["apart", "over"])
def momentum(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> tuple[gc.Function, list[gc.Variable]]:
    """Twenty weights and their means; new values in memory of their own, or over the old ones."""
    if request.param:
        monkeypatch.setattr(sys.modules["graphc.function"], "REWRITTEN", 0)
    sizes = [1 + 37 * number for number in range(COUNT)]
    weights = [gc.variable(np.zeros(n, "float32"), f"w{n}") for n in sizes]
    means = [gc.variable(np.zeros(n, "float32"), f"m{n}") for n in sizes]
    g = gc.placeholder("g", ())
    updates = [(m, 0.5 * m + g) for m in means]
    updates += [(w, w - (0.5 * m + g)) for w, m in zip(weights, means, strict=True)]
    return gc.function([g], 2 * g, updates=updates), weights + means


def test_new_values_replace_old_ones(
    momentum: tuple[gc.Function, list[gc.Variable]],
) -> None:
    f, variables = momentum
    weight = mean = np.float32(0)
    for step in range(8):
        g = np.float32(step)
        np.testing.assert_equal(f(g), 2 * g)
        mean = np.float32(0.5) * mean + g
        weight = weight - mean
        for place, variable in enumerate(variables):
            np.testing.assert_array_equal(
                variable.value, np.full(variable.shape, weight if place < COUNT else mean)
            )
    assert f._exchanges is not None
    assert f._exchanges._exchange is not None


def test_who_holds_an_array_keeps_its_values(
    momentum: tuple[gc.Function, list[gc.Variable]],
) -> None:
    f, variables = momentum
    held = []
    for step in range(8):
        f(np.float32(step))
        arrays = [variable.storage.read() for variable in variables[::7]]
        held.append((arrays, [array.copy() for array in arrays]))
    for arrays, copies in held:
        for array, copy in zip(arrays, copies, strict=True):
            np.testing.assert_array_equal(array, copy)


def test_memory_given_for_results(momentum: tuple[gc.Function, list[gc.Variable]]) -> None:
    f, variables = momentum
    out = np.empty((), "float32")
    bound = f.bind(np.float32(1), out=out)
    for _ in range(6):
        assert f(np.float32(1), out=out) is out
        assert bound() is out
        np.testing.assert_equal(out, np.float32(2))
    np.testing.assert_allclose(variables[-1].value, sum(0.5**k for k in range(12)))


def test_after_an_error_all_values_are_old() -> None:
    table = gc.variable(np.arange(10.0), "table")
    total, count = gc.variable(np.zeros(3), "total"), gc.variable(0, "count")
    i = gc.placeholder("i", ("n",), "int64")
    f = gc.function(
        [i],
        updates=[
            (total, total + gc.take(table, i).sum()),
            (count, count + 1),
            (table, table * 2),
        ],
    )
    for _ in range(4):
        f(np.array([1]))
    before = table.value, total.value, count.value
    for _ in range(3):
        with pytest.raises(gc.IndexOutOfRange):
            f(np.array([1, 10]))
        for variable, value in zip((table, total, count), before, strict=True):
            np.testing.assert_array_equal(variable.value, value)
    f(np.array([1]))
    assert int(count.value) == 5
    np.testing.assert_array_equal(total.value, np.full(3, 31.0))


def test_variables_trade_places() -> None:
    values = [np.full(5, float(number)) for number in range(3)]
    a, b, c = (gc.variable(value, name) for value, name in zip(values, "abc", strict=True))
    f = gc.function([], updates=[(a, b), (b, c), (c, a)])
    for step in range(1, 9):
        f()
        for place, variable in enumerate((a, b, c)):
            np.testing.assert_array_equal(variable.value, values[(place + step) % 3])


def test_other_functions_and_assignments_between_calls() -> None:
    a, b = gc.variable(np.zeros(100), "a"), gc.variable(np.zeros(100), "b")
    both = gc.function([], updates=[(a, a + 1), (b, b + a)])
    one = gc.function([], updates=[(a, a * 2)])
    first, second = np.zeros(100), np.zeros(100)
    for step in range(10):
        both()
        first, second = first + 1, second + first
        if step % 3 == 2:
            one()
            first = first * 2
        if step % 4 == 3:
            a.value = np.full(100, 7.0)
            first = np.full(100, 7.0)
        np.testing.assert_array_equal(a.value, first)
        np.testing.assert_array_equal(b.value, second)


def test_batches_of_several_sizes() -> None:
    total = gc.variable(np.zeros(4), "total")
    x = gc.placeholder("x", ("n", 4), "float64")
    f = gc.function([x], x.sum(), updates=[(total, total + x.sum(0))])
    expected = np.zeros(4)
    for n in (3, 0, 1, 7, 3, 100, 0, 1):
        batch = np.arange(4.0 * n).reshape(n, 4)
        np.testing.assert_allclose(f(batch), batch.sum())
        expected += batch.sum(0)
        np.testing.assert_allclose(total.value, expected)


def test_several_threads_update() -> None:
    variables = [gc.variable(np.zeros(2000, "int64"), f"v{n}") for n in range(10)]
    f = gc.function([], updates=[(v, v + 1) for v in variables])
    g = gc.function([], variables)
    wrong: list[str] = []

    def update() -> None:
        for _ in range(200):
            f()

    def read() -> None:
        for _ in range(200):
            seen = {int(number) for array in g() for number in (array[0], array[-1])}
            if len(seen) != 1:
                wrong.append(f"values of two moments: {seen}")

    work: list[Callable[[], None]] = [update, read, update, read]
    threads = [threading.Thread(target=one) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    for variable in variables:
        np.testing.assert_array_equal(variable.value, np.full(2000, 400))
