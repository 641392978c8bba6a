"""Updates behind the last reader of the old value."""

from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.loops.ir import Contraction, KernelCall, Program
from graphc.loops.order import uses
from graphc.memory.rewriting import rewriting_steps

WIDE = 1024  # two such matrices of float32 are large enough to be written over


def network(threads: int = 1) -> tuple[gc.Function, list[gc.Variable]]:
    """A step of two layers: the gradient of the first needs the old weights of the second."""
    rng = np.random.default_rng(0)
    weights = [
        gc.variable(rng.normal(size=(WIDE, WIDE)).astype("float32") / 32, f"W{n}") for n in range(2)
    ]
    x = gc.placeholder("x", (8, WIDE))
    value = gc.sum(gc.square(gc.tanh(x @ weights[0]) @ weights[1]))
    updates = []
    for one, gradient in zip(weights, gc.grad(value, weights), strict=True):
        velocity = gc.variable(np.zeros((WIDE, WIDE), "float32"), f"velocity_{one.name}")
        new = 0.9 * velocity + gradient
        updates += [(velocity, new), (one, one - 1e-3 * new)]
    f = gc.function([x], value, updates=updates, threads=threads)
    return f, [pair[0] for pair in updates]


def program_of(f: gc.Function) -> Program:
    program = f.stages.program
    assert program is not None
    return program


def test_old_values_are_read_before_new_ones_are_written() -> None:
    f, _ = network()
    program = program_of(f)
    old_of = {new: old for old, new in program.updates}
    written: set[str] = set()
    for step in program.steps:
        read, wrote = uses(step)
        assert not {name for name in read if name in {old_of[new] for new in written}}
        written |= {name for name in wrote if name in old_of}
    assert written == set(old_of)
    assert len(rewriting_steps(program)) == 2
    assert "in place of W1" in f.memory_plan()


def test_the_product_goes_with_its_update() -> None:
    f, _ = network()
    steps = program_of(f).steps
    updates = {new for _, new in program_of(f).updates}
    for number, step in enumerate(steps):
        if isinstance(step, KernelCall) and updates & set(uses(step)[1]):
            before = steps[number - 1]
            assert isinstance(before, Contraction) and before.out in uses(step)[0]


@pytest.mark.parametrize("threads", [1, 2])
def test_numbers(threads: int) -> None:
    f, variables = network(threads)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(8, WIDE)).astype("float32")
    velocities, weights = variables[::2], variables[1::2]
    old = [w.value.astype(float) for w in weights]
    moved = [np.zeros((WIDE, WIDE))] * 2
    for _ in range(3):
        f(x)
        h = np.tanh(x.astype(float) @ old[0])
        d = 2 * (h @ old[1])
        gradients = [x.T @ ((1 - h * h) * (d @ old[1].T)), h.T @ d]
        moved = [0.9 * m + g for m, g in zip(moved, gradients, strict=True)]
        old = [w - 1e-3 * m for w, m in zip(old, moved, strict=True)]
    for variable, exact in zip([*velocities, *weights], [*moved, *old], strict=True):
        np.testing.assert_allclose(variable.value, exact, rtol=1e-3, atol=1e-3)


def test_a_new_value_that_is_read_at_once_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """d reads the new v and the old w; w reads the new v."""
    monkeypatch.setattr("graphc.loops.updates_last.REWRITTEN", 0)
    v, w = (gc.variable(np.ones((8, 8), "float32"), name) for name in "vw")
    x = gc.placeholder("x", (8, 8))
    new = v - x.T @ x
    f: Any = gc.function([x], [new @ v, gc.sum(new, axis=0)], updates={v: new, w: w + new @ w})
    a = np.random.default_rng(0).normal(size=(8, 8)).astype("float32")
    for _ in range(2):
        before, other = v.value, w.value
        product, total = f(a)
        expected = before - a.T @ a
        np.testing.assert_allclose(product, expected @ before, rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(total, expected.sum(0), rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(v.value, expected, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(w.value, other + expected @ other, rtol=1e-4, atol=1e-3)


def test_small_variables_stay() -> None:
    v, x = gc.variable(np.ones((8, 8), "float32"), "v"), gc.placeholder("x", (8, 8))
    f = gc.function([x], gc.sum(x @ v.T), updates={v: v - x.T @ x})
    assert not rewriting_steps(program_of(f))


def trained_table() -> tuple[gc.Function, gc.Variable, gc.Variable]:
    """The new bias is made in a kernel before a check, the new table can only be the last."""
    table = gc.variable(np.ones((1 << 16, 16), "float32"), "table")
    bias = gc.variable(np.zeros(16, "float32"), "bias")
    i = gc.placeholder("i", ("n",), "int64")
    rows = gc.nn.softmax(table[i] + bias, axis=1)
    loss = gc.assert_(gc.sum(rows**2), gc.sum(rows) < 100, "many rows")
    slopes = gc.grad(gc.sum(rows**2), [table, bias])
    updates = {v: v - 0.5 * slope for v, slope in zip((table, bias), slopes, strict=True)}
    return gc.function([i], loss, updates=updates), table, bias


def test_small_new_values_are_copied_behind_all_checks() -> None:
    f, table, bias = trained_table()
    program = program_of(f)
    assert len(rewriting_steps(program)) == 2
    assert any(name.startswith("early_") for name in program.buffers)
    reference, other_table, other_bias = trained_table()
    reference = gc.function(
        reference.inputs, list(reference.stages.user_graph.results), backend="reference"
    )
    for rows in (np.array([1, 5, 1]), np.arange(40) * 7):
        expected = reference(rows)
        place = table.storage.array.ctypes.data
        np.testing.assert_allclose(f(rows), expected[0], rtol=1e-5)
        np.testing.assert_allclose(table.value, expected[1], rtol=1e-5)
        np.testing.assert_allclose(bias.value, expected[2], rtol=1e-4, atol=1e-6)
        assert table.storage.array.ctypes.data == place
        other_table.value, other_bias.value = table.value, bias.value
    before = table.value, bias.value
    for rows, error in (
        (np.arange(200), gc.AssertionFailed),
        (np.array([1 << 16]), gc.IndexOutOfRange),
    ):
        for _ in range(3):
            with pytest.raises(error):
                f(rows)
        np.testing.assert_array_equal(table.value, before[0])
        np.testing.assert_array_equal(bias.value, before[1])


def test_larger_ones_stay_in_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphc.loops.updates_last.SMALL", 0)
    f, *_ = trained_table()
    assert not rewriting_steps(program_of(f))
    assert not any(name.startswith("early_") for name in program_of(f).buffers)
