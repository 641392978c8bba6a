"""New values in the memory of the old ones: which programs may do that."""

import sys
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.memory.rewriting import rewriting_steps


def steps_of(f: gc.Function) -> int:
    program = f.stages.program
    assert program is not None
    return len(rewriting_steps(program))


def variables(*names: str) -> list[gc.Variable]:
    return [gc.variable(np.ones((8, 8), "float32"), name) for name in names]


def test_element_by_element() -> None:
    (v, w), x = variables("v", "w"), gc.placeholder("x", (8, 8))
    assert steps_of(gc.function([x], updates={v: v + x})) == 1
    assert steps_of(gc.function([x], v @ w, updates={v: 0.9 * v + x, w: w - x * v})) == 1
    count = gc.variable(0.0, "count")
    grown = v - x / gc.sqrt(count + 1)
    assert steps_of(gc.function([x], updates={v: grown, count: count + 1})) >= 1


def test_a_check_before_the_first_new_value() -> None:
    (v,), i = variables("v"), gc.placeholder("i", (8,), "int64")
    assert steps_of(gc.function([i], updates={v: v + v[i] * 0 + 1})) == 0  # reads other elements
    (w,), y = variables("w"), gc.constant(np.ones((3, 8), "float32"))
    j = gc.placeholder("j", (8,), "int64")
    assert steps_of(gc.function([j], updates={w: w + y[j]})) == 1


CASES: list[tuple[bool | None, Any]] = [  # whether it may be; None where either is right
    (True, lambda v, w, x: {v: w, w: v}),  # small ones are copied at the end
    (None, lambda v, w, x: {v: w + v, w: v + x}),
    (None, lambda v, w, x: {v: w + v, w: w - gc.sum(v, axis=0)}),
    (False, lambda v, w, x: {v: v.T + x}),
    (True, lambda v, w, x: {v: v + gc.sum(v)}),
    (True, lambda v, w, x: {v: v + gc.sum(v * v, axis=1, keepdims=True), w: w * x}),
    (True, lambda v, w, x: {v: v - x.T @ x}),
    (True, lambda v, w, x: {v: v - x.T @ w, w: w - x.T @ x * 0.1}),
    (False, lambda v, w, x: {v: v - v.T @ x}),
    (False, lambda v, w, x: {v: v - x @ v}),
    (None, lambda v, w, x: {v: v - x @ w, w: w - v @ x}),
    (None, lambda v, w, x: {v: v - x @ w.T, w: w - gc.tanh(x) @ x}),
    (True, lambda v, w, x: {v: 0.9 * v + x.T @ x, w: w - (0.9 * v + x.T @ x)}),
    (True, lambda v, w, x: {v: v - gc.nn.softmax(x.T @ x, axis=-1)}),
    (False, lambda v, w, x: {v: v[::-1] + v}),
    (True, lambda v, w, x: {v: x}),
    (None, lambda v, w, x: {v: gc.cumulative_sum(v, axis=0)}),
    (None, lambda v, w, x: {v: gc.nn.softmax(v, axis=-1)}),
    (None, lambda v, w, x: {v: gc.where(x > 30, v, v + w), w: w + 1}),
    (False, lambda v, w, x: {v: v + 1, w: v + w[::-1]}),
]


@pytest.mark.parametrize(("may", "updates"), CASES)
@pytest.mark.parametrize("backend", ["llvm", "interpreter"])
def test_numbers_are_the_same(
    monkeypatch: pytest.MonkeyPatch, backend: str, may: bool | None, updates: Any
) -> None:
    for module in ("graphc.function", "graphc.loops.updates_last"):
        monkeypatch.setattr(sys.modules[module], "REWRITTEN", 0)
    (v, w), x = variables("v", "w"), gc.placeholder("x", (8, 8))
    v.value, w.value = (np.linspace(a, a + 1, 64, dtype="float32").reshape(8, 8) for a in (1, 7))
    pairs = updates(v, w, x)
    f = gc.function([x], updates=pairs, on_unused_input="ignore", backend=backend)
    values = list(pairs.values())
    wanted = gc.function([x], values, on_unused_input="ignore", backend="reference")
    if may is not None:
        assert bool(steps_of(f)) == may
    feed = np.arange(64, dtype="float32").reshape(8, 8)
    for _ in range(3):
        expected = wanted(feed)
        places = [variable.storage.array.ctypes.data for variable in pairs]
        f(feed)
        for variable, value in zip(pairs, expected, strict=True):
            np.testing.assert_allclose(variable.value, value, rtol=1e-5)
        stayed = places == [variable.storage.array.ctypes.data for variable in pairs]
        assert stayed == (backend == "llvm" and bool(steps_of(f)))
