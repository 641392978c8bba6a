"""The order of steps."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

import graphc as gc
from graphc.dtypes import float32, int64
from graphc.loops.ir import Buffer, Contraction, IndexCheck, Role
from graphc.loops.order import order_steps, uses
from graphc.memory.plan import plan_memory
from graphc.shapes import evaluate
from tests.loops.programs import compiled, program_of


def buffers(**roles: Role) -> dict[str, Buffer]:
    """Matrices of 8 by 8."""
    return {name: Buffer(name, float32, (8, 8), role) for name, role in roles.items()}


def product(out: str, a: str, b: str) -> Contraction:
    return Contraction(out, a, b, float32, 8, 8, 8)


def order(steps: Sequence[Contraction | IndexCheck], held: dict[str, Buffer]) -> list[str]:
    found = order_steps(steps, held)
    return [step.out if isinstance(step, Contraction) else "check" for step in found]


def test_a_step_that_frees_memory_runs_early() -> None:
    held = buffers(x="input", a="temporary", b="temporary", c="temporary", p="output", q="output")
    steps = [product("a", "x", "x"), product("b", "x", "x"), product("c", "x", "x")]
    steps += [product("p", "a", "b"), product("q", "c", "c")]
    # c is not computed before a and b are used.
    assert order(steps, held) == ["a", "b", "p", "c", "q"]


def test_a_step_runs_early_with_the_only_reader_of_its_result() -> None:
    held = buffers(x="input", a="temporary", b="temporary", c="temporary", p="output", q="output")
    steps = [product("a", "x", "x"), product("b", "x", "x"), product("c", "a", "x")]
    steps += [product("q", "b", "b"), product("p", "c", "c")]
    assert order(steps, held) == ["a", "c", "p", "b", "q"]


def test_without_gain_the_given_order_stays() -> None:
    held = buffers(x="input", a="output", b="output", c="output")
    steps = [product(name, "x", "x") for name in "cab"]
    assert order(steps, held) == ["c", "a", "b"]


def test_checks_run_before_all_readers() -> None:
    held = buffers(x="input", a="temporary", b="temporary", p="output", q="output", r="output")
    held["i"] = Buffer("i", int64, (8, 8), "temporary")
    make = replace(product("i", "x", "x"), dtype=int64)
    check = IndexCheck("i", 64, 0, 8, 0, "take")
    steps: list[Contraction | IndexCheck] = [product("a", "x", "x"), product("b", "x", "x")]
    steps += [make, check]
    steps += [product("p", "i", "a"), product("q", "b", "b"), product("r", "a", "a")]
    found = order(steps, held)
    assert found.index("i") < found.index("check") < found.index("p")


def test_uses() -> None:
    assert uses(product("c", "a", "b")) == (["a", "b"], ["c"])
    x = gc.placeholder("x", ("t", 4))
    final, stacked = gc.scan(
        lambda h, row: (h + row, h * row), gc.zeros((4,)) + gc.sum(x, axis=0), x
    )
    program = program_of([x], [final, stacked])
    loop = next(step for step in program.steps if type(step).__name__ == "Loop")
    reads, writes = uses(loop)
    assert set(program.outputs) <= set(writes) and "x" in reads


def training(layers: int) -> tuple[gc.Tensor, dict[gc.Variable, gc.Tensor]]:
    rng = np.random.default_rng(0)
    x = gc.placeholder("x", ("n", 16))
    weights = [
        gc.variable(rng.normal(size=(16, 16)).astype("float32") / 4, name=f"W{layer}")
        for layer in range(layers)
    ]
    h = x
    for w in weights:
        h = gc.tanh(h @ w)
    gradients = gc.grad(gc.sum(h * h), weights)
    return x, {w: w - 0.1 * g for w, g in zip(weights, gradients, strict=True)}


def test_training_keeps_activations_and_two_gradients() -> None:
    x, updates = training(20)
    program = program_of([x], [], updates)
    peak = plan_memory(program).peak
    n = 1000
    activation, weight = n * 16 * 4, 16 * 16 * 4
    # One per layer, one or two gradients of activations, a gradient of a weight or two.
    assert evaluate(peak, {"n": n}) <= 22 * activation + 2 * weight + 1024


def test_reordered_training_computes_the_same() -> None:
    fed = np.random.default_rng(1).normal(size=(3, 16)).astype("float32")
    results = []
    for backend in ("reference", "interpreter"):
        x, updates = training(4)
        gc.function([x], [], updates, backend=backend)(fed)
        results.append([variable.value for variable in updates])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_a_chain_is_left_as_it_is() -> None:
    x = gc.placeholder("x", ("n", 4))
    f = compiled([x], gc.sum(gc.softmax(gc.tanh(x) @ np.eye(4, dtype="float32"))))
    assert f.stages.program is not None
    steps = f.stages.program.steps
    assert order_steps(steps, f.stages.program.buffers) == list(steps)
