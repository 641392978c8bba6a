"""The memory plan: no two values share memory while both are needed."""

from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.memory.plan import MemoryPlan
from graphc.shapes import evaluate


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
            handed_over = plan.in_place.get(one) == other and rival.last == life.first
            handed_over |= plan.in_place.get(other) == one and life.last == rival.first
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


def test_a_long_chain_needs_little_memory() -> None:
    x, y = gc.placeholder("x", ("n", 4)), gc.placeholder("y", (4, 4))
    f = gc.function([x, y], chain(x, y), backend="interpreter")
    assert f.stages.plan is not None
    assert len(f.stages.plan.offsets) > 40
    assert len(f.stages.plan.slots) <= 4


def test_results_written_over_a_dying_input_are_right() -> None:
    rng = np.random.default_rng(0)
    for n in (1, 4, 9):
        a = rng.normal(size=(n, 4)).astype("float32")
        b = rng.normal(size=(4, 4)).astype("float32")
        for build in (chain, many_sizes, views):
            x, y = gc.placeholder("x", ("n", 4)), gc.placeholder("y", (4, 4))
            results = build(x, y)
            options: dict[str, Any] = {"on_unused_input": "ignore"}
            wanted = gc.function([x, y], results, backend="reference", **options)(a, b)
            found = gc.function([x, y], results, backend="llvm", **options)(a, b)
            for p, q in zip(np.atleast_2d(found), np.atleast_2d(wanted), strict=True):
                np.testing.assert_allclose(p, q, rtol=1e-4, atol=1e-5)
