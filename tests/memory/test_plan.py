"""The memory plan: no two values share memory while both are needed."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import graphc as gc
from graphc.backends.llvm.direct_call import is_possible
from graphc.inspect.memory import format_bytes
from graphc.memory.lives import ALIGNMENT, Life
from graphc.memory.packing import place
from graphc.memory.plan import MemoryPlan
from graphc.shapes import evaluate
from tests.loops.programs import compiled
from tests.random_graphs import RandomGraph, random_graphs


def chain(x: Any, y: Any) -> Any:
    for number in range(300):
        x = gc.tanh(x) @ y if number % 7 == 0 else x * 0.5 + gc.sin(x)
    return x


def network(x: Any, y: Any) -> Any:
    h = x
    weights = [gc.variable(np.full((4, 4), 0.1, "float32")) for _ in range(6)]
    for w in weights:
        h = gc.softmax(gc.tanh(h @ w), axis=1)
    return gc.grad(gc.sum(h**2), weights)


def many_sizes(x: Any, y: Any) -> Any:
    parts = [gc.concat([gc.exp(x) @ y] * k) for k in range(1, 5)]
    return [gc.sum(gc.tanh(p) @ gc.tanh(y), axis=0) for p in parts]


def views(x: Any, y: Any) -> Any:
    for number in range(40):
        x = gc.reshape(gc.exp(gc.reshape(x, (4, -1)) * 0.01), x.shape) + x[::-1] * (number % 2)
    return x


def scatter(x: Any, y: Any) -> Any:
    index = gc.astype(gc.abs(x[:, 0]) * 0, "int64")
    return gc.grad(gc.sum(gc.take(gc.tanh(y), index, axis=0) ** 2), y)


def overlaps(plan: MemoryPlan, bindings: dict[str, int]) -> list[tuple[str, str]]:
    """Pairs that are alive together and share bytes, in-place pairs aside."""
    places = {
        name: (evaluate(offset, bindings), evaluate(plan.sizes[name], bindings))
        for name, offset in plan.offsets.items()
    }
    names = list(places)
    found = []
    for number, one in enumerate(names):
        for other in names[:number]:
            (start, size), (begin, length) = places[one], places[other]
            life, rival = plan.lives[one], plan.lives[other]
            together = life.first <= rival.last and rival.first <= life.last
            handed_over = plan.in_place.get(one) == other or plan.in_place.get(other) == one
            if together and not handed_over and start < begin + length and begin < start + size:
                found.append((one, other))
    return found


@pytest.mark.parametrize("build", [chain, network, many_sizes, views, scatter])
def test_values_that_live_together_lie_apart(build: Any) -> None:
    x, y = gc.placeholder("x", ("n", 4)), gc.placeholder("y", (4, 4))
    f = gc.function([x, y], build(x, y), backend="interpreter", on_unused_input="ignore")
    plan = f.stages.plan
    assert plan is not None
    for n in (0, 1, 4, 5, 100):
        bindings = {"n": n}
        assert overlaps(plan, bindings) == []
        peak = evaluate(plan.peak, bindings)
        assert plan.live_bytes(bindings) <= peak <= evaluate(plan.naive, bindings)
        for name, offset in plan.offsets.items():
            end = evaluate(offset, bindings) + evaluate(plan.sizes[name], bindings)
            assert end <= peak


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(random_graphs(max_nodes=25))
def test_plans_of_random_graphs(case: RandomGraph) -> None:
    plan = compiled(case.inputs, case.outputs, case.updates).stages.plan
    assert plan is not None
    for sizes in (case.sizes, {"n": 0, "m": 7}, {"n": 40, "m": 1}):
        assert overlaps(plan, sizes) == []
        assert all(evaluate(offset, sizes) % ALIGNMENT == 0 for offset in plan.offsets.values())
        peak = evaluate(plan.peak, sizes)
        assert plan.live_bytes(sizes) <= peak <= evaluate(plan.naive, sizes)


# --- how much memory -----------------------------------------------------------------------------


def plan_of(inputs: Any, outputs: Any) -> MemoryPlan:
    plan = compiled(inputs, outputs).stages.plan
    assert plan is not None
    return plan


def test_layers_take_turns_in_two_slots() -> None:
    x, w = gc.placeholder("x", ("n", 16)), gc.placeholder("w", (16, 16))
    h = x
    for _ in range(20):
        h = gc.tanh(h @ w)
    plan = plan_of([x, w], h)
    assert len(plan.offsets) == 39
    assert len(plan.areas) == 2
    assert len(plan.in_place) == 19  # tanh over its input
    assert str(plan.peak) == "128*n"


def test_slots_of_other_sizes() -> None:
    x = gc.placeholder("x", ("n", 16))
    wide, narrow = np.ones((16, 32), "float32"), np.ones((32, 16), "float32")
    h = x
    for _ in range(5):
        h = gc.tanh(gc.tanh(h @ wide) @ narrow)
    plan = plan_of([x], h)
    # The narrow ones fit into the slots of the wide ones.
    bound = evaluate(plan.peak, {"n": 100})
    assert bound <= 1.4 * plan.live_bytes({"n": 100}) + 20_000


def test_many_unrelated_sizes() -> None:
    """Slots of other symbols are not compared: each proof takes long."""
    inputs = [gc.placeholder(f"x{k}", (f"n{k}", f"m{k}")) for k in range(40)]
    outputs = [gc.sum(gc.tanh(x) @ gc.sin(x).T) for x in inputs]
    plan = plan_of(inputs, outputs)
    assert len(plan.areas) >= 40


def test_no_value_is_written_over_one_that_is_read_later() -> None:
    x = gc.placeholder("x", (6, 6))
    e, w = gc.exp(x), np.eye(6, dtype="float32")
    a = e @ w
    t = gc.tanh(a)
    t.name = "t"
    both = t + t.T  # reads t at two places
    plan = plan_of([x], (both @ w) + gc.sum(a))
    assert "t" in plan.offsets and "t" not in plan.in_place.values()
    softmax = gc.softmax(a + 1.0, axis=1) @ w  # reads a in three passes, writes in the last
    assert plan_of([x], softmax).in_place


def deep_training(batch: Any) -> tuple[Any, Any]:
    """A network whose layers and gradients have many sizes."""
    x, widths = gc.placeholder("x", (batch, 784)), (784, 250, 200, 150, 100, 50, 10)
    shapes = list(pairwise(widths))
    weights = [gc.variable(np.full(shape, 0.1, "float32")) for shape in shapes]
    h = x
    for w in weights:
        h = gc.tanh(h @ w)
    return [x], gc.grad(gc.sum(h * h), weights)


def test_temporaries_of_many_sizes_are_packed() -> None:
    plan = plan_of(*deep_training(64))
    assert isinstance(plan.peak, int)
    assert plan.peak <= 1.1 * plan.live_bytes({})
    plan = plan_of(*deep_training("n"))
    assert all(len(area.starts) > 1 for area in plan.areas)
    for n in (0, 1, 2, 3, 5, 64, 1000, 4097):
        assert overlaps(plan, {"n": n}) == []
        offsets, peak = plan.layout({"n": n})
        assert peak == evaluate(plan.peak, {"n": n})
        assert offsets == {name: evaluate(o, {"n": n}) for name, o in plan.offsets.items()}


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 12), st.integers(0, 6)), max_size=25))
def test_places_of_random_intervals(rows: list[tuple[int, int, int]]) -> None:
    lengths = [length for length, _, _ in rows]
    lives = [Life(first, first + more) for _, first, more in rows]
    starts, extent = place(lengths, lives)
    taken: dict[tuple[int, int], int] = {}
    for number, (start, length, life) in enumerate(zip(starts, lengths, lives, strict=True)):
        for step in range(life.first, life.last + 1):
            for unit in range(start, start + length):
                assert unit < extent and taken.setdefault((step, unit), number) == number
    assert extent <= sum(lengths)


def test_the_plan_at_given_sizes() -> None:
    inputs, outputs = deep_training("n")
    f = compiled(inputs, outputs)
    assert f.stages.plan is not None
    peak = evaluate(f.stages.plan.peak, {"n": 100})
    text = f.memory_plan(n=100)
    assert "at n=100" in text and f"  arena   {format_bytes(peak)}  " in text
    assert f"  bound   {format_bytes(f.stages.plan.live_bytes({'n': 100}))}  " in text
    for sizes in ({"m": 3}, {"n": -1}, {"n": 1.5}, {"n": 3, "m": 4}, {"n": 10**400}):
        with pytest.raises(gc.ParameterError) as caught:
            f.memory_plan(**sizes)
        assert caught.value.code == "E404"


def test_scratch_memory_is_shared_by_all_sizes() -> None:
    x, w = gc.placeholder("x", ("n", 300)), gc.placeholder("w", (300, 70))
    f = gc.function([x, w], gc.tanh(x @ w) + 1)
    weights = np.ones((300, 70), "float32")
    for n in (300, 1, 40, 0, 500, 3):  # what comes twice may be called directly
        np.testing.assert_array_equal(f(np.ones((n, 300), "float32"), weights), np.full((n, 70), 2))
    (workspace,) = f._run.idle  # type: ignore[attr-defined]
    assert len(workspace.bound) <= 7
    held = {id(run._keep[1]) for run, _ in workspace.bound.values()}
    assert held == {id(workspace.scratch)}


def test_the_plan_is_shown() -> None:
    x, w = gc.placeholder("x", ("n", 16)), gc.placeholder("w", (16, 16))
    text = compiled([x, w], gc.tanh(gc.tanh(x @ w) @ w)).memory_plan()
    assert "  arena   128*n bytes " in text and "  results 64*n bytes\n" in text
    assert "steps 1-3  in place of t1" in text  # an operand lives until the epilogue has run


def test_a_long_chain_needs_little_memory() -> None:
    x, y = gc.placeholder("x", ("n", 4)), gc.placeholder("y", (4, 4))
    f = gc.function([x, y], chain(x, y), backend="interpreter")
    assert f.stages.plan is not None
    assert len(f.stages.plan.offsets) > 40
    assert len(f.stages.plan.areas) <= 4


def test_results_written_over_a_dying_input_are_right() -> None:
    rng = np.random.default_rng(0)
    for build in (chain, many_sizes, views):
        x, y = gc.placeholder("x", ("n", 4)), gc.placeholder("y", (4, 4))
        results = build(x, y)
        options: dict[str, Any] = {"on_unused_input": "ignore"}
        plain = gc.function([x, y], results, backend="reference", **options)
        f = gc.function([x, y], results, backend="llvm", **options)
        for n in (1, 4, 9):
            a = rng.normal(size=(n, 4)).astype("float32")
            b = rng.normal(size=(4, 4)).astype("float32")
            for p, q in zip(np.atleast_2d(f(a, b)), np.atleast_2d(plain(a, b)), strict=True):
                np.testing.assert_allclose(p, q, rtol=1e-4, atol=1e-5)


def test_new_values_in_place_of_the_old_ones_are_not_counted() -> None:
    w, x = gc.variable(np.zeros((1024, 1024), "float32"), "w"), gc.placeholder("x", ("n", 1024))
    cost = gc.sum(gc.tanh(x @ w))
    f = gc.function([x], cost, updates={w: w - 0.1 * gc.grad(cost, w)}, threads=1)
    rows = f.memory_plan(n=8).splitlines()
    if f.backend == "llvm" and is_possible():
        assert "  updates 4 MiB  in place, over the old values" in rows
        assert "  results 4 bytes" in rows
        assert "  new_w: float32[1024, 1024]  in place of w" in rows
    small = gc.function([x], updates={w: gc.concat([w[1:], x[:1]])})
    assert any(row.endswith("swapped in at the end") for row in small.memory_plan(n=8).splitlines())


def test_a_product_that_is_computed_in_the_memory_of_a_result_is_no_temporary() -> None:
    x, w = gc.placeholder("x", ("n", 64)), gc.placeholder("w", (64, 64))
    f = gc.function([x, w], gc.tanh(x @ w), backend="llvm")
    assert "  arena   0 bytes" in f.memory_plan(n=100)
    values = np.random.default_rng(0).normal(size=(2, 64, 64)).astype("float32")
    for n in (0, 1, 64):
        expected = np.tanh(values[0][:n] @ values[1])
        np.testing.assert_allclose(f(values[0][:n], values[1]), expected, rtol=1e-4, atol=2e-5)
