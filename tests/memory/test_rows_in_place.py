"""Loops that write rows over the rows that they read in the same step."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from tests.loops.programs import compiled

STEPS, BATCH, WIDTH = 7, 3, 20
WEIGHTS = np.random.default_rng(1).normal(size=(WIDTH, WIDTH)).astype("float32") / 5
Step = Callable[[Any, Any], tuple[Any, Any]]


def stacks(step: Step, after: Callable[[Any, Any], Any]) -> tuple[Any, Any]:
    """What is made of exp(x) and of the stacked outputs of a scan over it."""
    x = gc.placeholder("x", (STEPS, BATCH, WIDTH))
    rows = gc.exp(x) @ WEIGHTS
    rows.name = "rows"
    _, stacked = gc.scan(step, gc.zeros((BATCH, WIDTH), "float32"), rows)
    stacked.name = "stacked"
    return x, after(rows, stacked)


def is_in_place(step: Step, after: Callable[[Any, Any], Any]) -> bool:
    """Whether stacked rows lie where others did; values are checked on all backends."""
    x, result = stacks(step, after)
    f = compiled([x], result)
    feed = np.random.default_rng(2).normal(size=x.shape).astype("float32")
    wanted = gc.function([x], result, backend="reference")(feed)
    for backend in ("interpreter", "llvm", "numba_cpu"):
        found = gc.function([x], result, backend=backend)(feed)
        np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-5, err_msg=backend)
    plan = f.stages.plan
    assert plan is not None
    return plan.in_place.get("stacked") == "rows"


def half(row: Any, number: int) -> Any:
    return row[:, number * WIDTH // 2 : (number + 1) * WIDTH // 2]


def cell(state: Any, row: Any) -> tuple[Any, Any]:
    following = gc.tanh(row + state @ WEIGHTS)
    return following, following * 2


def product(rows: Any, stacked: Any) -> Any:
    return stacked @ WEIGHTS


def test_rows_at_the_same_place() -> None:
    assert is_in_place(cell, product)


def test_halves_that_change_places() -> None:
    def step(state: Any, row: Any) -> tuple[Any, Any]:
        low, high = half(row, 0), half(row, 1)
        mixed = gc.tanh(low) * gc.tanh(high)
        return state + row, gc.concat([mixed + high, mixed * low], axis=1)

    assert is_in_place(lambda state, row: (state, step(state, row)[1]), product)


def test_windows_that_overlap() -> None:
    def step(state: Any, row: Any) -> tuple[Any, Any]:
        near, far = row[:, :-1], row[:, 1:]
        return state, gc.concat([near * far, far[:, -1:]], axis=1)

    assert not is_in_place(step, product)


def test_rows_that_are_wanted_later() -> None:
    assert not is_in_place(
        cell, lambda rows, stacked: stacked @ WEIGHTS + gc.sum(gc.tanh(rows) @ WEIGHTS)
    )


def test_rows_that_are_read_twice() -> None:
    def step(state: Any, row: Any) -> tuple[Any, Any]:
        following = gc.tanh(row + state @ WEIGHTS)
        return following, row * gc.tanh(following @ WEIGHTS)

    assert not is_in_place(step, product)


def test_rows_in_another_order() -> None:
    def step(state: Any, row: Any) -> tuple[Any, Any]:
        return state, gc.tanh(row[:, ::-1]) * row

    assert not is_in_place(step, product)


def test_rows_that_several_kernels_write() -> None:
    """The first of them writes where the second one has yet to read."""

    def step(state: Any, row: Any) -> tuple[Any, Any]:
        low, high = gc.tanh(half(state, 0)), half(row, 0) + half(row, 1)
        return gc.tanh(state), gc.concat([low, high], axis=1)

    assert not is_in_place(step, product)


def test_rows_that_an_inner_loop_writes() -> None:
    def step(state: Any, row: Any) -> tuple[Any, Any]:
        final, _ = gc.scan(lambda c, _: (gc.tanh(c + 1), None), state, length=3)
        return final + row, final

    assert not is_in_place(step, product)


def test_a_loop_inside_a_loop_leaves_what_comes_from_outside() -> None:
    """The rows are read again in each step of the outer loop."""
    x = gc.placeholder("x", (STEPS, BATCH, WIDTH))
    rows = gc.exp(x) @ WEIGHTS

    def outer(state: Any, _: Any) -> tuple[Any, Any]:
        final, stacked = gc.scan(cell, state, rows)
        return gc.tanh(final + stacked[0]), stacked

    last, all_stacked = gc.scan(outer, gc.zeros((BATCH, WIDTH), "float32"), length=3)
    outputs = [last, gc.sum(all_stacked, axis=0)]
    feed = np.random.default_rng(3).normal(size=x.shape).astype("float32")
    wanted = gc.function([x], outputs, backend="reference")(feed)
    for backend in ("interpreter", "llvm", "numba_cpu"):
        found = gc.function([x], outputs, backend=backend)(feed)
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-5, err_msg=backend)


@pytest.mark.parametrize("length", [1, 3, 40])
def test_gates_and_their_gradients(length: int) -> None:
    """The gates' rows, their sums and the derivatives by them are one and the same memory."""
    rng = np.random.default_rng(length)
    width, batch = 16, 5
    x = gc.placeholder("x", (length, batch, 8))
    wx, wh, b = (gc.placeholder(n, s) for n, s in (("wx", (8, 64)), ("wh", (16, 64)), ("b", (64,))))

    def step(state: Any, row: Any) -> tuple[Any, Any]:
        h, c = state
        z = row + h @ wh + b
        i, f, g, o = (z[:, k * width : (k + 1) * width] for k in range(4))
        c = gc.sigmoid(f) * c + gc.sigmoid(i) * gc.tanh(g)
        h = gc.sigmoid(o) * gc.tanh(c)
        return (h, c), h

    zeros = gc.zeros((batch, width), "float32")
    _, hs = gc.scan(step, (zeros, zeros), x @ wx)
    cost = gc.mean(hs**2)
    outputs = [cost, *gc.grad(cost, [wx, wh, b])]
    feeds = [rng.normal(size=one.shape).astype("float32") for one in (x, wx, wh, b)]
    wanted = gc.function([x, wx, wh, b], outputs, backend="reference")(*feeds)
    for backend in ("interpreter", "llvm", "numba_cpu"):
        f = gc.function([x, wx, wh, b], outputs, backend=backend)
        for one, other in zip(f(*feeds), wanted, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6, err_msg=backend)
    wide = [row for row in f.memory_plan().splitlines() if f"[{length}, 5, 64]" in row]
    assert len(wide) == 3
    assert sum("in place of" in row for row in wide) == 2
