"""States of loops that are changed where they are: what is copied, and that values stay right."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.ir.tensor import Tensor

RNG = np.random.default_rng(0)
SIZE, STEPS = 7, 12
X = RNG.normal(size=SIZE).astype("float32")
M = RNG.normal(size=(SIZE, 3)).astype("float32")
W = RNG.normal(size=(SIZE, 8)).astype("float32")
PLACES = RNG.integers(-SIZE, SIZE, STEPS)
Step = Callable[[Any, Tensor], tuple[Any, Any]]


def both(step: Step, init: np.ndarray, *, gradient: bool = True) -> list[gc.Function]:
    """The final state and what is stacked, and their gradient; right on every backend."""
    x, i = gc.placeholder("x", init.shape), gc.placeholder("i", ("t",), "int64")
    final, stacked = gc.scan(step, x, i)
    results = [final] if stacked is None else [final, stacked]
    made = []
    cases = [results]
    if gradient:
        total = sum((gc.sum(gc.sin(one)) for one in results), gc.constant(0.0))
        cases.append([gc.grad(total, x)])
    for outputs in cases:
        functions = [
            gc.function([x, i], outputs, backend=backend)
            for backend in ("reference", "interpreter", "numba_cpu", "llvm")
        ]
        for indices in (PLACES, PLACES[:1], PLACES[:0]):
            expected, *others = (function(init, indices) for function in functions)
            for found in others:
                for a, b in zip(expected, found, strict=True):
                    np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)
        made.append(functions[-1])
    return made


def copies(function: gc.Function) -> int:
    """Scatter steps that write the whole array."""
    rows = [row for row in function.loops().splitlines() if row.lstrip()[:1].isdigit()]
    return sum(" = scatter" in row and "in_place" not in row for row in rows)


IN_PLACE: dict[str, tuple[Step, np.ndarray]] = {
    "set": (lambda c, k: (c.at[k].set(1.5), None), X),
    "of the old value": (lambda c, k: (c.at[k].set(c[k] * 0.5 + c[0]), None), X),
    "add": (lambda c, k: (c.at[k].add(0.5), None), X),
    "multiply": (lambda c, k: (c.at[k].multiply(0.5), None), X),
    "rows": (lambda c, k: (c.at[k].set(gc.tanh(c[k])), None), M),
    "columns": (lambda c, k: (c.at[:, k % 3].add(c[:, 0]), None), M),
    "several": (lambda c, k: (c.at[gc.stack([k, k, 0])].add(c[1:4]), None), X),
    "one entry": (lambda c, k: (c.at[k, k % 3].set(c[k, 0] + 1), None), M),
    "read afterwards": (lambda c, k: (n := c.at[k].set(c[k] + 1), n[0] * n[k]), X),
    "stacked": (lambda c, k: (n := c.at[k].add(1.0), n), X),
    "old value stacked": (lambda c, k: (c.at[k].add(1.0), c), X),
    "twice": (lambda c, k: (c.at[k].set(2.0).at[k * 0].add(c[k]), None), X),
    "a known place": (lambda c, k: (c.at[0].add(1.0), None), X),
    "known places": (lambda c, k: (c.at[-1, 1:7:4].set(c[0, 2:4]).at[k].add(1.0), None), W),
    "swap": (lambda c, k: (c.at[k].set(c[k * 0]).at[k * 0].set(c[k]), None), X),
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_entries_are_changed_where_they_are(name: str) -> None:
    step, init = IN_PLACE[name]
    forward, _ = both(step, init)
    assert "in_place" in forward.loops()
    assert copies(forward) == 0


COPIED: dict[str, tuple[Step, np.ndarray]] = {
    "needs old and new": (lambda c, k: (n := c.at[k].set(1.5), gc.sum(n * c)), X),
    "values are the state": (lambda c, k: (c.at[gc.arange(SIZE) * (k % 2)].add(c), None), X),
    "in between": (lambda c, k: (c.at[k].set(2.0)[::-1].at[k].add(1.0), None), X),
    "a known column": (lambda c, k: (c.at[k, 1].set(c[k, 0] + 1), c[0]), W),
    "a large slice": (lambda c, k: (c.at[0].add(1.0).at[1:3].set(c[k]), None), X),
    "size one": (lambda c, k: (c.at[0].add(1.0), None), X[:1]),
    "of something else": (lambda c, k: ((c * 0.5).at[k].set(1.0), None), X),
}


@pytest.mark.parametrize("name", COPIED)
def test_states_that_are_needed_stay(name: str) -> None:
    step, init = COPIED[name]
    both(step, init)


def test_several_states_and_loops_in_loops() -> None:
    def inner(c: Any, k: Tensor) -> tuple[Any, Any]:
        a, b = c
        return (a.at[k].set(b[k]), b.at[k].set(a[k] + 1)), None

    def outer(c: Any, k: Tensor) -> tuple[Any, Any]:
        (a, b), _ = gc.scan(inner, c, gc.stack([k, k * 0, k]))
        return (a.at[k].add(b[0]), b), gc.sum(a)

    x, i = gc.placeholder("x", (SIZE,)), gc.placeholder("i", ("t",), "int64")
    (a, b), sums = gc.scan(outer, (x, x * 2), i)
    outputs = [a, b, sums, gc.grad(gc.sum(a * b) + gc.sum(sums), x)]
    expected, *others = (
        gc.function([x, i], outputs, backend=backend)(X, PLACES)
        for backend in ("reference", "interpreter", "numba_cpu", "llvm")
    )
    for found in others:
        for one, other in zip(expected, found, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_a_state_that_another_becomes_and_old_ones_that_are_read_late() -> None:
    x, i = gc.placeholder("x", (SIZE,)), gc.placeholder("i", ("t",), "int64")

    def same(c: Any, k: Tensor) -> tuple[Any, Any]:
        new = c[0].at[k].add(c[1][k])
        return (new, new), None

    def late(c: Any, k: Tensor) -> tuple[Any, Any]:
        """The sum reads the old first state, and the new second one."""
        first, second = c
        changed = second.at[k].set(1.5)
        return (first.at[k].multiply(1.5), changed), gc.sum(changed * first)

    for step in (same, late):
        (a, b), sums = gc.scan(step, (x, x * 2), i)
        outputs = [a, b, *([] if sums is None else [sums])]
        expected, *others = (
            gc.function([x, i], outputs, backend=backend)(X, PLACES)
            for backend in ("reference", "interpreter", "numba_cpu", "llvm")
        )
        for found in others:
            for one, other in zip(expected, found, strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("backend", ["interpreter", "numba_cpu", "llvm"])
def test_a_state_that_changes_between_two_changes_of_another(backend: str) -> None:
    """The first change of the table adds the old row, the second one the new row."""

    def step(c: Any, r: Any) -> tuple[Any, Any]:
        row, table = c
        k, places = r
        changed = row.at[k].set(gc.astype(places[0], "float32"))
        return (changed, table.at[places].add(row).at[places].add(changed)), None

    row, table = gc.placeholder("row", (3,)), gc.placeholder("table", (SIZE,))
    k, places = gc.placeholder("k", ("t",), "int64"), gc.placeholder("places", ("t", 3), "int64")
    final, _ = gc.scan(step, (row, table), (k, places))
    f = gc.function([row, table, k, places], list(final), backend=backend)
    expected_row, expected = X[:3].copy(), X.copy()
    which, rows = PLACES % 3, np.random.default_rng(1).integers(0, SIZE, (STEPS, 3))
    for one, three in zip(which, rows, strict=True):
        np.add.at(expected, three, expected_row)
        expected_row[one] = three[0]
        np.add.at(expected, three, expected_row)
    found_row, found = f(X[:3], X, which, rows)
    np.testing.assert_array_equal(found_row, expected_row)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("backend", ["interpreter", "numba_cpu", "llvm"])
def test_loops_that_test(backend: str) -> None:
    """Primes by their sieve: a table that the loop marks."""
    n = 50

    def body(c: Any) -> Any:
        k, table = c
        multiples = gc.arange(n) * k
        marked = table.at[gc.where(multiples < n, multiples, 0)].set(False)
        return k + 1, gc.where(table[k], 1, 0) * 0 + k + 1, marked

    def step(c: Any) -> Any:
        k, table = c
        following, _, marked = body((k, table))
        return following, marked.at[k].set(table[k])

    start = gc.placeholder("start", (n,), "bool")
    k, table = gc.while_loop(lambda c: c[0] * c[0] < n, step, (gc.constant(2), start))
    f = gc.function([start], [k, table], backend=backend)
    begun = np.ones(n, "bool")
    begun[:2] = False
    count, found = f(begun)
    assert count == 8
    primes = [p for p in range(2, n) if all(p % d for d in range(2, p))]
    assert np.flatnonzero(found).tolist() == primes
    assert begun[2:].all()


def test_a_variable_and_an_index_out_of_range() -> None:
    v = gc.variable(X, "v")
    i = gc.placeholder("i", ("t",), "int64")
    final, _ = gc.scan(lambda c, k: (c.at[k].add(1.0), None), v, i)
    f = gc.function([i], gc.sum(final), updates={v: final})
    expected = X.copy()
    for turn in range(6):
        f(PLACES)
        np.add.at(expected, PLACES, 1)
        np.testing.assert_allclose(v.value, expected, rtol=1e-6)
        with pytest.raises(gc.IndexOutOfRange):
            f(np.append(PLACES, SIZE + turn))
        np.testing.assert_allclose(v.value, expected, rtol=1e-6)


def test_gradients_by_what_every_step_reads_from() -> None:
    """What a step adds to the gradient is what it read, not an array of the whole size."""
    x, m = gc.placeholder("x", (SIZE,)), gc.placeholder("m", (SIZE, 3))
    i = gc.placeholder("i", ("t",), "int64")

    def step(c: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        rows = m[gc.stack([k, k, k * 0])]
        c = gc.tanh(c * x[k] + gc.sum(rows * x[0]) + m[k, 1])
        return c, c

    _, stacked = gc.scan(step, gc.constant(0.5), i)
    gradients = gc.grad(gc.sum(stacked * stacked), [x, m])
    expected, *others = (
        gc.function([x, m, i], gradients, backend=backend)(X, M, PLACES)
        for backend in ("reference", "interpreter", "numba_cpu", "llvm")
    )
    for found in others:
        for one, other in zip(expected, found, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    f = gc.function([x, m, i], gradients)
    backward = f.loops().split("backwards")[0]
    assert "scatter_add" not in backward and f.loops().count("in_place") >= 3
    assert (
        gc.verify_grad(
            lambda a: gc.sum(
                gc.scan(lambda c, k: (gc.sin(c + a[k]), c * a[k]), a[0], i_fixed())[1]
            ),
            [X.astype("float64")],
        )
        is None
    )


def i_fixed() -> Tensor:
    return gc.constant(PLACES)


def test_texts_of_kernels_with_and_without_the_copy() -> None:
    x, i = gc.placeholder("x", (SIZE,)), gc.placeholder("i", ("t",), "int64")
    final, _ = gc.scan(lambda c, k: (c.at[k].set(1.5), None), x, i)
    alone = gc.tanh(x).at[i[0]].set(1.5)
    for outputs in ([final, alone], [alone, final]):
        f = gc.function([x, i], outputs)
        names = re.findall(r"^ +\d+ +(scatter_\w+)", f.kernels(), re.MULTILINE)
        assert sorted(name.endswith("_in_place") for name in names) == [False, True]
        assert all("store" in f.source(name) for name in names)
