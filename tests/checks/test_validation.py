"""check="passes" and gc.bisect find what was planted, and nothing else."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import graphc as gc
import graphc.compiler as compiler
import graphc.passes.pipeline as pipeline
from graphc.backends.llvm import scalar_ops
from graphc.errors import FunctionError, NumericsError, ValidationError
from graphc.ir.lowering import Elementwise
from graphc.ir.opdef import OpDef
from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor
from graphc.memory.packing import Area
from graphc.memory.plan import MemoryPlan, plan_memory
from graphc.passes.pipeline import Pass
from graphc.rewrite.pattern import P, var
from graphc.rewrite.rule import RuleTable, rule
from graphc.scalar import expr as s

X = var("x")


@rule(P.exp(P.log(X)))
def planted(b: Builder, x: Tensor) -> Tensor:
    """exp(log(x)) = x, which a slip of the pen makes x + 0.01"""
    return x + 0.01


@pytest.fixture(params=[0, 1, len(pipeline.PIPELINE)])
def wrong_rule(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule in a pass of its own: first, after simplify, last."""
    passes = list(pipeline.PIPELINE)
    passes.insert(request.param, Pass("planted pass", RuleTable(planted=[planted]), ""))
    monkeypatch.setattr(pipeline, "PIPELINE", tuple(passes))


def around(x: Any) -> Any:
    """The planted mistake among rewrites that are right."""
    return gc.sum(gc.exp(gc.log(x * 1 + gc.abs(x) * 0)) * 2, axis=0) - 1


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, "float32")


@pytest.mark.usefixtures("wrong_rule")
def test_passes_names_the_rule_the_numbers_and_the_line() -> None:
    x = gc.placeholder("x", ("n", 3))
    w = gc.variable(np.zeros(3, "float32"), "w")
    f = gc.function([x], around(x), {w: w + 1}, check="passes")
    with pytest.raises(ValidationError, match="rule planted changed a number") as caught:
        f(ones(2, 3) * 5)
    text = str(caught.value)
    assert caught.value.code == "E416" and "test_validation.py" in text
    assert "pass    planted pass" in text and "before  exp(log(" in text and "+ 0.01" in text
    assert "was      19.0" in text and "units in the last place" in text
    np.testing.assert_array_equal(w.value, np.zeros(3))


@pytest.mark.usefixtures("wrong_rule")
def test_passes_looks_into_loops() -> None:
    x = gc.placeholder("x", ("n", 3))
    total, _ = gc.scan(lambda c, row: (gc.exp(gc.log(c + row)), None), gc.zeros((3,)), x)
    f = gc.function([x], total, check="passes")
    with pytest.raises(ValidationError, match="rule planted") as caught:
        f(ones(2, 3))
    assert "exp(log(" in str(caught.value)


@pytest.mark.usefixtures("wrong_rule")
def test_bisect_names_the_rule() -> None:
    x = gc.placeholder("x", ("n", 3))
    y = around(x)
    found = gc.bisect(gc.function([x], y), ones(2, 3))
    assert found and found.stage == "passes" and found.culprit == "rule planted"
    assert "test_validation.py" in str(found)
    assert gc.bisect(gc.function([x], y, optimize=False), ones(2, 3)).stage == "nothing"


def test_what_is_right_passes() -> None:
    x = gc.placeholder("x", ("n", 3))
    w = gc.variable(np.full((3, 4), 0.5, "float32"), "w")
    hidden = gc.tanh(x @ w)
    cost = gc.mean(gc.log(1 + gc.exp(hidden))) + gc.logsumexp(hidden)
    f = gc.function(
        [x], cost, {w: w - 0.1 * gc.grad(cost, w)}, check=("nan", "passes", "ir"), backend="llvm"
    )
    value = w.value
    f(ones(5, 3))
    assert not np.array_equal(w.value, value)
    found = gc.bisect(f, ones(5, 3), backends=["llvm", "numba_cpu", "interpreter", "reference"])
    assert not found and "nothing differs" in repr(found)


@pytest.mark.parametrize("value", [100.0, -100.0, 0.0, 1e-8])
def test_stabilised_forms_are_no_mistakes(value: float) -> None:
    """As it is written this overflows or cancels out; what the passes make of it does not."""
    x = gc.placeholder("x", (3,))
    y = [gc.log(1 + gc.exp(x)), gc.log(gc.sum(gc.exp(x))), gc.exp(x) - 1, gc.log(gc.sigmoid(x))]
    f = gc.function([x], y, check="passes")
    assert np.isfinite(f(np.full(3, value, "float32"))[0]).all()


def slipped(lower: Callable[..., Any]) -> OpDef:
    return OpDef(
        "twice",
        infer=lambda call: call.types[0],
        reference=lambda attrs, x: x * 2,
        lower=Elementwise(lower),
        traits=frozenset({"custom"}),
    )


def test_a_wrong_lowering() -> None:
    twice = slipped(lambda context, x: s.mul(x, s.like(x, 3)))
    x = gc.placeholder("x", ("n",))
    y = gc.exp(twice(gc.sin(x)) + 1)
    found = gc.bisect(gc.function([x], y), ones(4))
    assert found.stage == "lowering" and found.culprit == "op twice: twice(sin(x))"
    assert "test_validation.py" in str(found)
    with pytest.raises(ValidationError, match="compiled by llvm, result 0 differs"):
        gc.function([x], y, check="passes")(ones(4))


def test_a_wrong_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    right = scalar_ops._FLOAT["sub"]
    monkeypatch.setitem(scalar_ops._FLOAT, "sub", lambda b, x, y: right(b, y, x))
    x = gc.placeholder("x", (4, 4))
    y = gc.exp(x @ x) + (gc.sum(x, axis=1) - 2)
    found = gc.bisect(gc.function([x], y), ones(4, 4), backends=["numba_cpu", "llvm"])
    assert found.stage == "kernel" and "llvm: " in found.culprit
    assert "sum(x" in str(found) and "test_validation.py" in str(found)


def test_a_wrong_memory_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_memory

    def overlapping(program: Any, local: Any) -> MemoryPlan:
        right = plan(program, local)
        whole = sum(area.bytes for area in right.areas)
        return replace(right, areas=(Area(whole, 1, dict.fromkeys(right.offsets, 0)),))

    monkeypatch.setattr(compiler, "plan_memory", overlapping)
    x = gc.placeholder("x", (4, 4))
    y = gc.exp(x @ x) @ (gc.sin(x) @ gc.cos(x))
    found = gc.bisect(gc.function([x], y), ones(4, 4))
    assert found.stage == "call" and "memory plan" in str(found)


def test_bisect_takes_graphs_and_refuses_the_rest() -> None:
    x = gc.placeholder("x", ("n",))
    assert not gc.bisect(gc.Graph((x,), (gc.exp(x),)), ones(3))
    with pytest.raises(FunctionError, match="bisect: ndarray") as caught:
        gc.bisect(ones(3))  # type: ignore[arg-type]
    assert caught.value.code == "E205"


def test_bisect_changes_no_variable() -> None:
    x = gc.placeholder("x", ())
    w = gc.variable(np.float32(1), "w")
    f = gc.function([x], w, {w: w + x})
    assert not gc.bisect(f, x=2.0)
    assert w.value == 1


def test_complex_numbers() -> None:
    z = gc.placeholder("z", ("n",), "complex64")
    w = gc.variable(np.complex64(1 + 2j), "w")
    y = gc.exp(z * w) + 1
    array = np.array([1 + 1j, 0.5j], "complex64")
    for backend in ("llvm", "reference"):
        f = gc.function([z], y, {w: w * 1}, check=("nan", "passes"), backend=backend)
        np.testing.assert_allclose(f(array), np.exp(array * (1 + 2j)) + 1, rtol=1e-5)
        assert not gc.bisect(f, array)
        with pytest.raises(NumericsError, match="first to give"):
            f(array * -1000)


@pytest.mark.parametrize("coarse", ["float16", gc.bfloat16, "float32"])
def test_numbers_that_were_few_digits_on_their_way(coarse: Any) -> None:
    """Rounded in another order, float64 at the end is no closer than what it was made of."""
    x = gc.placeholder("x", ("n", 64), coarse)
    w = gc.placeholder("w", (64,), coarse)
    total = gc.sum(gc.tanh(x * w) * x / 3, axis=1)

    def step(carry: gc.Tensor, row: gc.Tensor) -> tuple[gc.Tensor, None]:
        return gc.tanh(carry + gc.sum((row * w).astype("float64") / 7)), None

    last, _ = gc.scan(step, gc.constant(np.float64(0)), x)
    y = [gc.sin(total.astype("float64")) * 3, last]
    array = np.random.default_rng(8).normal(size=(5, 64)).astype(x.dtype)
    weights = array[0] * np.asarray(3, x.dtype)
    for f in (gc.function([x, w], y, check="passes"), gc.function([x, w], y)):
        f(array, weights)
        assert not gc.bisect(f, array, weights)


def test_loops_that_count_their_steps() -> None:
    x = gc.placeholder("x", ("n",))

    def halved(c: Any) -> Any:
        return gc.debug.callback(steps.append, c * c) / 2

    steps: list[np.ndarray] = []
    y = gc.while_loop(lambda c: gc.sum(c) > 1, halved, x, max_steps=100)
    f = gc.function([x], [y, gc.grad(gc.sum(y), x)], check=("nan", "passes"))
    f(ones(3))
    called = len(steps)
    assert not gc.bisect(gc.function([x], [y, gc.grad(gc.sum(y), x)]), ones(3))
    assert called > 0
