"""The list of passes over whole graphs: values are kept, every pass ends valid, nothing is left."""

import numpy as np
import pytest

import graphc as gc
from graphc.backends.reference.interpreter import evaluate_tensors
from graphc.errors import VerificationError
from graphc.ir.graph import Graph
from graphc.ir.lowering import Composite
from graphc.ir.opdef import Example
from graphc.ir.printer import as_graph, format_expression
from graphc.ir.registry import OPS
from graphc.ir.tensor import Tensor
from graphc.passes.pipeline import PIPELINE, optimize
from graphc.rewrite.driver import rewrite
from graphc.rewrite.rule import RuleTable
from tests.passes.parts import in_real_numbers

WITH_EXAMPLES = sorted(name for name, op in OPS.items() if op.examples is not None)


def examples_of(name: str) -> list[Example]:
    examples = OPS[name].examples
    assert examples is not None
    return examples(np.random.default_rng(0))


def check_values(graph: Graph, feeds: dict[Tensor, np.ndarray]) -> Graph:
    optimized, _ = optimize(in_real_numbers(graph), check=True)
    assert not any(isinstance(node.op.lower, Composite) for node in optimized.nodes)
    pairs = zip(
        evaluate_tensors(graph.results, feeds),
        evaluate_tensors(optimized.results, feeds),
        strict=True,
    )
    for expected, value in pairs:
        assert value.dtype == expected.dtype
        np.testing.assert_allclose(value, expected, rtol=1e-11, atol=1e-13)
    return optimized


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_values_of_every_op(name: str) -> None:
    for example in examples_of(name):
        inputs = [gc.placeholder(f"x{k}", a.shape, a.dtype) for k, a in enumerate(example.inputs)]
        graph = as_graph(example.build(*inputs))
        check_values(graph, dict(zip(inputs, example.inputs, strict=True)))


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_values_of_every_derivative(name: str) -> None:
    for example in examples_of(name):
        inputs = [gc.placeholder(f"x{k}", a.shape, a.dtype) for k, a in enumerate(example.inputs)]
        built = example.build(*inputs)
        outputs = built if isinstance(built, tuple | list) else [built]
        costs = [gc.sum(gc.square(output)) for output in outputs if output.dtype.kind == "f"]
        by = [x for x in inputs if x.dtype.kind == "f"]
        if example.differentiable and costs and by:
            graph = as_graph(gc.grad(gc.add_n(costs), by, disconnected="zero"))
            check_values(graph, dict(zip(inputs, example.inputs, strict=True)))


def logistic_regression() -> tuple[Graph, list[Tensor]]:
    x, y = gc.placeholder("x", ("n", 5)), gc.placeholder("y", ("n",))
    w, b = gc.variable(np.ones(5, "float32"), "w"), gc.variable(0.5, "b")
    p = 1 / (1 + gc.exp(-(x @ w) - b))
    loss = gc.mean(-y * gc.log(p) - (1 - y) * gc.log(1 - p)) + 0.01 * gc.sum(w**2)
    by_w, by_b = gc.grad(loss, [w, b])
    updates = ((w, w - 0.1 * by_w), (b, b - 0.1 * by_b))
    return Graph((x, y), (loss,), updates, "train", ("loss",)), [x, y]


def test_a_training_step() -> None:
    graph, (x, y) = logistic_regression()
    optimized, log = optimize(graph, check=True)
    ops = [node.op.name for node in optimized.nodes]
    assert {"exp", "log", "matmul", "expand_composite"}.isdisjoint(ops)
    assert ops.count("sigmoid_cross_entropy") == 1
    assert ops.count("sigmoid") == 1
    assert {"sigmoid_of_inverse", "log_sigmoid", "sigmoid_cross_entropy"} <= set(log.rules())
    rng = np.random.default_rng(0)
    feeds = {
        x: rng.normal(size=(7, 5)).astype("float32"),
        y: rng.integers(0, 2, 7).astype("float32"),
    }
    pairs = zip(
        evaluate_tensors(graph.results, feeds),
        evaluate_tensors(optimized.results, feeds),
        strict=True,
    )
    for expected, value in pairs:
        np.testing.assert_allclose(value, expected, rtol=1e-5)
    assert (optimized.name, optimized.output_names) == ("train", ("loss",))
    assert optimized.inputs == graph.inputs


def test_optimizing_twice_changes_nothing() -> None:
    graph, _ = logistic_regression()
    once, _ = optimize(graph)
    twice, log = optimize(once)
    assert len(log) == 0
    assert twice.nodes == once.nodes


def test_gradient_noise_vanishes() -> None:
    x = gc.placeholder("x", ("n", 3))
    (value,) = optimize(as_graph(gc.grad(gc.sum(x), x)))[0].outputs
    assert format_expression(value) == "broadcast_to(1.0, shape=(n, 3))"
    (value,) = optimize(as_graph(gc.grad(gc.sum(x * x), x)))[0].outputs
    assert format_expression(value) == "x * 2.0"
    (value,) = optimize(as_graph(gc.grad(gc.sum(gc.exp(x)), x)))[0].outputs
    assert format_expression(value) == "exp(x)"


def test_every_pass_says_why_it_stands_where_it_does() -> None:
    assert len({one.name for one in PIPELINE}) == len(PIPELINE)
    assert all(one.reason.endswith(".") for one in PIPELINE)


def test_a_broken_graph_is_found_before_the_passes() -> None:
    x, y = gc.placeholder("x", (3,)), gc.placeholder("y", (3,))
    with pytest.raises(VerificationError, match="'y' is not an input"):
        optimize(Graph((x,), (x + y,)), check=True)


def test_common_subexpressions_become_one() -> None:
    x = gc.placeholder("x", ("n",))
    old = as_graph([gc.exp(x + 1), gc.exp(x + 1) * 2, gc.exp(x + -0.0), gc.exp(x + 0.0)])
    new = old.with_results(rewrite(old.results, RuleTable()))
    assert [node.op.name for node in new.nodes].count("exp") == 3
    alive = {id(node) for node in new.nodes}
    dead = [node.op.name for node in old.nodes if id(node) not in alive]
    assert dead == ["constant", "add", "exp", "multiply"]
