"""What differentiation sees: stable forms, and the tensors it differentiates by as they are."""

import numpy as np
import pytest

import graphc as gc
from graphc.backends.reference.interpreter import evaluate_tensors
from graphc.ir.printer import format_expression
from graphc.passes.differentiable import prepare


def test_expressions_are_stable() -> None:
    x = gc.placeholder("x", ("n",))
    (value,) = prepare([gc.log(1 / (1 + gc.exp(-x)))], [x])
    assert format_expression(value) == "-softplus(-x)"


def test_barriers_survive_as_they_are() -> None:
    x = gc.placeholder("x", ("n",))
    p = 1 / (1 + gc.exp(-x))
    first, second = prepare([gc.log(p), p * 1], [p])
    assert first.node.inputs[0].node is p.node
    assert second.node is p.node
    assert format_expression(p) == "1.0 / (1.0 + exp(-x))"


def test_a_copy_of_a_barrier_is_not_the_barrier() -> None:
    x = gc.placeholder("x", ("n",))
    p, q = gc.tanh(x), gc.tanh(x)
    (total,) = prepare([p * q], [p])
    nodes = {tensor.node for tensor in total.node.inputs}
    assert p.node in nodes
    assert len(nodes) == 2


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_gradient_of_cross_entropy_is_p_minus_y(dtype: str) -> None:
    z, y = gc.placeholder("z", ("n",), dtype), gc.placeholder("y", ("n",), dtype)
    p = 1 / (1 + gc.exp(-z))
    loss = gc.sum(-y * gc.log(p) - (1 - y) * gc.log(1 - p))
    gradient = gc.grad(loss, z)
    (gradient,) = prepare([gradient], [])
    assert format_expression(gradient) == "sigmoid(z) - y"
    feeds = {z: np.array([-1000, 0, 1000], dtype), y: np.array([1, 0.5, 0], dtype)}
    np.testing.assert_array_equal(evaluate_tensors([gradient], feeds)[0], [-1, 0, 1])


def test_the_gradient_of_dense_cross_entropy_has_no_division() -> None:
    z, y = gc.placeholder("z", ("n", 3)), gc.placeholder("y", ("n", 3))
    p = gc.exp(z) / gc.sum(gc.exp(z), axis=1, keepdims=True)
    (gradient,) = prepare([gc.grad(-gc.sum(y * gc.log(p)), z)], [])
    assert format_expression(gradient) == (
        "(softmax(z, axis=1) * sum(y, axes=(1,), keepdims=True)) - y"
    )


def test_derivatives_at_the_edge() -> None:
    x = gc.placeholder("x", (3,), "float64")
    root = gc.grad(gc.sum(gc.sqrt(x * x)), x)
    entropy = gc.grad(gc.sum(x * gc.log(x)), x)
    feeds = {x: np.array([0.0, 1.0, 4.0])}
    first, second = evaluate_tensors([root, entropy], feeds)
    np.testing.assert_allclose(first, [0, 1, 1])
    np.testing.assert_allclose(second, [0, 1, 1 + np.log(4)])
