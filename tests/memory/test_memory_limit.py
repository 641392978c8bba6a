"""memory_limit: values are computed twice until a call keeps to it; the numbers stay the same."""

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import graphc as gc
from graphc.backends.registry import get_backend
from graphc.loops.verifier import verify_program
from graphc.memory.rematerialize import rematerialized
from graphc.running import ProgramRunner
from tests.random_graphs import RandomGraph, random_graphs

rng = np.random.default_rng(0)
WEIGHTS = [rng.normal(size=(24, 24)).astype("float32") / 5 for _ in range(4)]


def training(batch: Any) -> tuple[Any, list[Any], list[gc.Variable]]:
    x = h = gc.placeholder("x", (batch, 24))
    weights = [gc.variable(w, f"w{k}") for k, w in enumerate(WEIGHTS)]
    for w in weights:
        t = h @ w
        h = gc.softmax(t * gc.sigmoid(t), axis=1) * t + gc.tanh(t)
    cost = gc.mean(h * h)
    return x, [cost, *gc.grad(cost, weights)], weights


def needed(f: gc.Function, **sizes: int) -> tuple[int, int]:
    """Bytes of the arena and of a whole call."""
    assert f.stages.plan is not None
    arena = f.stages.plan.layout(sizes)[1]
    results = 4 + sum(w.nbytes for w in WEIGHTS)
    scratch: list[Any] = getattr(f.stages.executable, "scratch", [])
    most = max((s if isinstance(s, int) else s.evaluate(sizes) for s in scratch), default=0)
    return arena, arena + results + most


@pytest.mark.parametrize("backend", ["llvm", "interpreter"])
def test_the_limit_is_kept_with_the_same_results(backend: str) -> None:
    batch = 300 if backend == "llvm" else 5
    x, outputs, _ = training(batch)
    feed = rng.normal(size=(batch, 24)).astype("float32")
    plain = gc.function([x], outputs, backend=backend)
    arena, whole = needed(plain)
    wanted = plain(feed)
    for share in (0.15, 0.3):
        limit = whole - int(share * arena)
        f = gc.function([x], outputs, backend=backend, memory_limit=limit)
        assert needed(f)[1] <= limit
        assert f.stages.plan is not None and any("_again" in n for n in f.stages.plan.lives)
        for one, other in zip(f(feed), wanted, strict=True):
            np.testing.assert_array_equal(one, other)
    generous = gc.function([x], outputs, backend=backend, memory_limit=whole)
    assert str(generous.kernels()) == str(plain.kernels())


@pytest.mark.parametrize("backend", ["llvm", "interpreter"])
def test_readers_compute_what_one_kernel_would_store(backend: str) -> None:
    """All values of a chain are results of one kernel, and one other reads them all at once: no
    repeated step makes that less."""
    batch = 300 if backend == "llvm" else 3
    x = h = gc.placeholder("x", (batch, 24))
    w = gc.variable(WEIGHTS[0], "w")
    for k in range(8):
        h = gc.tanh(h) * h + gc.sin(h)
        h = h @ w if k == 3 else h
    cost = gc.mean(h * h)
    outputs = [cost, *gc.grad(cost, [x, w])]
    feed = rng.normal(size=(batch, 24)).astype("float32") / 4
    plain = gc.function([x], outputs, backend=backend)
    assert plain.stages.plan is not None
    arena = plain.stages.plan.layout({})[1]
    whole = needed(plain)[1] - sum(v.nbytes for v in WEIGHTS[1:]) + 4 * 24 * batch
    f = gc.function([x], outputs, backend=backend, memory_limit=whole - arena // 2)
    assert f.stages.plan is not None
    assert f.stages.plan.layout({})[1] <= arena // 2
    for one, other in zip(f(feed), plain(feed), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_symbolic_sizes_and_updates() -> None:
    x, (cost, *gradients), weights = training("n")
    plain = gc.function([x], [cost, *gradients])
    arena, whole = needed(plain, n=200)
    limit = whole - arena // 4
    updates = [(w, w - 0.1 * g) for w, g in zip(weights, gradients, strict=True)]
    steps = [
        gc.function([x], cost, updates),
        gc.function([x], cost, updates, memory_limit=(limit, {"n": 200})),
    ]
    assert steps[1].stages.plan is not None
    assert steps[1].stages.plan.layout({"n": 200})[1] <= arena - arena // 4
    found = []
    for step in steps:
        for w, value in zip(weights, WEIGHTS, strict=True):
            w.value = value
        draws = np.random.default_rng(1)
        costs = [step(draws.normal(size=(n, 24)).astype("float32")) for n in (200, 1, 7, 300)]
        found.append([*costs, *(w.value for w in weights)])
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_limit_that_cannot_be_kept() -> None:
    x, outputs, _ = training(300)
    with pytest.raises(gc.MemoryLimitError) as caught:
        gc.function([x], outputs, memory_limit=100_000)
    error = caught.value
    assert error.code == "E506" and isinstance(error, MemoryError)
    text = str(error)
    assert "the limit is 100000" in text and "float32[300, 24], 28800 bytes" in text
    assert "t = h @ w" in text and "gc.checkpoint" in text


def test_limits_that_say_nothing() -> None:
    x = gc.placeholder("x", ("n",))
    for wrong in (-1, 1.5, True, "1 GB", (100, 3), (100, {"n": -1}), (1, 2, 3)):
        with pytest.raises(gc.ParameterError, match="is no number of bytes") as caught:
            gc.function([x], gc.exp(x), memory_limit=wrong)  # type: ignore[arg-type]
        assert caught.value.code == "E404"
    sizes: Any
    for sizes in ({}, {"m": 3}, {"n": 3, "m": 3}):
        with pytest.raises(gc.MemoryLimitError, match="a value for each size"):
            gc.function([x], gc.exp(x), memory_limit=(10**9, sizes))
    with pytest.raises(gc.BackendError) as refused:
        gc.function([x], gc.exp(x), backend="reference", memory_limit=10)
    assert refused.value.code == "E501"


def test_errors_name_the_right_step() -> None:
    x, i = gc.placeholder("x", (300, 24)), gc.placeholder("i", (3,), "int64")
    h = x
    for value in WEIGHTS:
        t = h @ value
        h = gc.softmax(t * gc.sigmoid(t), axis=1) * t + gc.tanh(t)
    picked = gc.grad(gc.sum(h * h) + gc.sum(h[i]), x)
    plain = gc.function([x, i], picked)
    plan, executable = plain.stages.plan, plain.stages.executable
    assert plan is not None and executable is not None
    scratch: list[Any] = executable.scratch  # type: ignore[attr-defined]
    limit = plan.layout({})[1] + max(scratch) - 30_000 + 300 * 24 * 4
    f = gc.function([x, i], picked, memory_limit=limit)
    assert f.stages.plan is not None and len(f.stages.plan.lives) > len(plan.lives)
    feed = rng.normal(size=(300, 24)).astype("float32")
    np.testing.assert_array_equal(f(feed, [0, 1, 2]), plain(feed, [0, 1, 2]))
    with pytest.raises(gc.IndexOutOfRange, match="index 300") as caught:
        f(feed, [0, 300, 2])
    assert "h[i]" in str(caught.value)


@pytest.mark.timeout(400)
@settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(random_graphs(max_nodes=15))
def test_random_graphs_with_as_little_memory_as_possible(case: RandomGraph) -> None:
    f = gc.function(
        case.inputs, case.outputs, case.updates, backend="interpreter", on_unused_input="ignore"
    )
    run: Any = f._run
    if not isinstance(run, ProgramRunner):
        return
    program, plan = rematerialized(run.program, case.sizes, 0)
    if program is run.program:
        return
    verify_program(program)
    assert plan.layout(case.sizes)[1] < run.plan.layout(case.sizes)[1]
    old = [variable.value for variable in case.variables]
    found = []
    for runner in (run, ProgramRunner(program, plan, get_backend("interpreter").compile(program))):
        f._run = runner
        found.append([*f(*case.arrays), *(variable.value for variable in case.variables)])
        for variable, value in zip(case.variables, old, strict=True):
            variable.value = value
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)
