"""What leaves loops, what is dropped and what is merged; told from the optimised graph."""

import numpy as np

import graphc as gc
from graphc.function import Function
from graphc.ir.lowering import Contraction, Scan
from graphc.ir.node import Node
from graphc.ir.tensor import Tensor


def loops(f: Function) -> list[Node]:
    return [node for node in f.stages.graph.nodes if isinstance(node.op.lower, Scan)]


def products(nodes: tuple[Node, ...]) -> int:
    return sum(isinstance(node.op.lower, Contraction) for node in nodes)


def recurrent(x: Tensor, w: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    def step(h: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
        h = gc.tanh(e @ w + h @ u)
        return h, h

    found: tuple[Tensor, Tensor] = gc.scan(step, gc.zeros((x.shape[1], 5), dtype="float64"), x)
    return found


def network() -> tuple[Tensor, Tensor, Tensor]:
    x = gc.placeholder("x", ("t", "b", 3), "float64")
    w = gc.placeholder("w", (3, 5), "float64")
    u = gc.placeholder("u", (5, 5), "float64")
    return x, w, u


def test_the_product_of_the_sequence_is_done_before_the_loop() -> None:
    x, w, u = network()
    f = gc.function([x, w, u], recurrent(x, w, u)[0])
    (loop,) = loops(f)
    assert products(loop.attrs["body"].nodes) == 1
    assert products(f.stages.graph.nodes) == 1


def test_what_nothing_needs_is_dropped() -> None:
    x, w, u = network()
    final, _ = recurrent(x, w, u)
    f = gc.function([x, w, u], final)
    (loop,) = loops(f)
    assert len(loop.types) == 1

    def step(carry: tuple[Tensor, Tensor], e: Tensor) -> tuple[tuple[Tensor, Tensor], None]:
        return (carry[0] + e, carry[1] * e), None

    one = gc.ones((5,), dtype="float64")
    (total, _), _ = gc.scan(step, (one, one), u)
    (loop,) = loops(gc.function([u], total))
    assert loop.attrs["carries"] == 1


def test_the_gradient_shares_the_loop_and_sums_after_it() -> None:
    x, w, u = network()
    cost = gc.sum(recurrent(x, w, u)[0] ** 2)
    f = gc.function([x, w, u], [cost, *gc.grad(cost, [w, u])])
    forward, backward = loops(f)
    assert backward.attrs["carries"] == 1  # the totals of w and u are gone
    assert products(forward.attrs["body"].nodes) == 1
    assert products(backward.attrs["body"].nodes) == 1
    rng = np.random.default_rng(0)
    values = [rng.normal(size=shape) for shape in ((6, 2, 3), (3, 5), (5, 5))]
    expected = gc.function(
        [x, w, u], [cost, *gc.grad(cost, [w, u])], backend="reference", optimize=False
    )(*values)
    for one, other in zip(f(*values), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11)


def test_a_carry_that_is_read_stays() -> None:
    x = gc.placeholder("x", ("t",), "float64")
    zero = gc.constant(0.0, "float64")
    _, running = gc.scan(lambda c, e: (c + e, c * e), zero, x)
    f = gc.function([x], running)
    values = np.array([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(f(values), [0.0, 2.0, 9.0])
