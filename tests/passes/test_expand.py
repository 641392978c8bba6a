"""Composites are replaced by their graphs, all the way down."""

import numpy as np
import pytest

import graphc as gc
from graphc.backends.reference.interpreter import evaluate_tensors
from graphc.ir.lowering import Composite
from graphc.ir.opdef import OpDef
from graphc.ir.printer import as_graph
from graphc.ir.registry import OPS, Builder
from graphc.ir.tensor import Tensor
from graphc.ir.verifier import verify
from graphc.passes.pipeline import expand
from tests.passes.parts import in_real_numbers

COMPOSITES = sorted(name for name, op in OPS.items() if isinstance(op.lower, Composite))


@pytest.mark.parametrize("name", COMPOSITES)
def test_nothing_composite_is_left_and_values_are_kept(name: str) -> None:
    op = OPS[name]
    assert op.examples is not None
    for example in op.examples(np.random.default_rng(0)):
        inputs = [gc.placeholder(f"x{k}", a.shape, a.dtype) for k, a in enumerate(example.inputs)]
        built = example.build(*inputs)
        graph = in_real_numbers(as_graph(built))
        simple = expand(graph)
        assert not any(isinstance(node.op.lower, Composite) for node in simple.nodes)
        verify(simple)
        feeds = dict(zip(inputs, example.inputs, strict=True))
        pairs = zip(
            evaluate_tensors(graph.outputs, feeds),
            evaluate_tensors(simple.outputs, feeds),
            strict=True,
        )
        for expected, value in pairs:
            np.testing.assert_allclose(value, expected, rtol=1e-12, atol=1e-14)


def test_composites_within_composites() -> None:
    """softmax_cross_entropy is made of log_softmax, which is made of simpler ops."""
    z, y = gc.placeholder("z", ("n", 3)), gc.placeholder("y", ("n", 3))
    graph = as_graph(gc.nn.softmax_cross_entropy(z, y))
    ops = {node.op.name for node in expand(graph).nodes}
    assert {"softmax_cross_entropy", "log_softmax"}.isdisjoint(ops)
    assert {"exp", "log", "max", "sum"} <= ops


def test_names_and_sources_are_kept() -> None:
    x = gc.placeholder("x", ("n", 3))
    p = gc.softmax(x)
    p.name = "p"
    (new,) = expand(as_graph([p])).outputs
    assert new.name == "p"
    assert new.sources == p.sources
    assert new.node.inputs[0].sources == p.sources


def test_several_results() -> None:
    def build(b: Builder, x: Tensor) -> tuple[Tensor, ...]:
        return b.exp(x), b.tanh(x)

    op = OpDef(
        "pair",
        infer=lambda call: (call.types[0], call.types[0]),
        reference=lambda attrs, x: (np.exp(x), np.tanh(x)),
        lower=Composite(build),
    )
    first, second = op.apply([gc.placeholder("x", (3,))], {})
    graph = expand(as_graph([second, first, second]))
    assert [t.op.name for t in graph.outputs] == ["tanh", "exp", "tanh"]


@pytest.mark.parametrize("keepdims", [False, True])
def test_logsumexp_below_a_maximum_needs_no_other(keepdims: bool) -> None:
    x = gc.placeholder("x", ("n", "m"))
    below = x - gc.max(x, axis=1, keepdims=True)
    built = [gc.logsumexp(below, axis=1, keepdims=keepdims)]
    graph = as_graph(built)
    simple = expand(graph)
    assert [node.op.name for node in simple.nodes].count("max") == 1
    values = np.random.default_rng(1).normal(0, 90, (6, 5)).astype(np.float32)
    values[1, 2], values[2, 3], values[3], values[4, 1] = np.inf, -np.inf, -np.inf, np.nan
    (expected,) = evaluate_tensors(graph.outputs, {x: values})
    (value,) = evaluate_tensors(simple.outputs, {x: values})
    np.testing.assert_allclose(value, expected, atol=2e-7)


def test_logsumexp_below_another_maximum_finds_its_own() -> None:
    x = gc.placeholder("x", ("n", "m"))
    below = x - gc.max(x, axis=0, keepdims=True)
    simple = expand(as_graph([gc.logsumexp(below, axis=1)]))
    assert [node.op.name for node in simple.nodes].count("max") == 2
