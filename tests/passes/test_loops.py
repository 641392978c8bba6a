"""What leaves loops, what is dropped and what is merged; told from the optimised graph."""

import numpy as np

import graphc as gc
from graphc.function import Function
from graphc.ir.graph import nested_nodes
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


def test_of_an_output_whose_last_row_is_read_only_that_row_is_kept() -> None:
    x = gc.placeholder("x", ("t", 3), "float64")
    zero = gc.zeros((3,), dtype="float64")
    values = np.random.default_rng(0).normal(size=(5, 3))
    for reverse, row in ((False, -1), (True, 0)):
        _, rows = gc.scan(lambda h, e: (gc.tanh(h + e), h * e), zero, x, reverse=reverse)
        f = gc.function([x], rows[row])
        (loop,) = loops(f)
        assert all(len(t.shape) == 1 for t in loop.types)
        plain = gc.function([x], rows[row], optimize=False, backend="reference")
        np.testing.assert_allclose(f(values), plain(values), rtol=1e-13)
        (loop,) = loops(gc.function([x], [rows[row], rows[1]]))
        assert any(len(t.shape) == 2 for t in loop.types)


def test_what_a_derivative_computes_from_outer_values_leaves_all_loops() -> None:
    x, w = gc.placeholder("x", ("t", 3), "float64"), gc.placeholder("w", (3,), "float64")

    def outer(h: Tensor, e: Tensor) -> tuple[Tensor, None]:
        return gc.scan(lambda c, _: (c / w + e, None), h, None, length=3)[0], None

    final, _ = gc.scan(outer, gc.zeros((3,), dtype="float64"), x)
    f = gc.function([x, w], gc.grad(gc.sum(final), w))
    for node in (one for loop in loops(f) for one in nested_nodes(loop.attrs["body"])):
        assert node.op.name not in ("square", "power", "exp")
    values = np.random.default_rng(0).uniform(1, 2, size=(2, 3)), np.array([1.0, 2.0, -3.0])
    plain = gc.function([x, w], gc.grad(gc.sum(final), w), optimize=False, backend="reference")
    np.testing.assert_allclose(f(*values), plain(*values), rtol=1e-11)


def test_products_of_the_step_are_kept_for_its_gradient() -> None:
    """The loop backwards needs h_t @ u, which the loop forwards has computed: nobody does again."""
    x, w, u = network()
    final, states = recurrent(x, w, u)
    f = gc.function([x, w, u], gc.grad(gc.sum(states) + gc.sum(final), [w, u]))
    forward, backward = loops(f)
    assert products(forward.attrs["body"].nodes) == products(backward.attrs["body"].nodes) == 1
    # x @ w before the loops, and the gradients of w and u after them
    assert products(f.stages.graph.nodes) == 3
    rng = np.random.default_rng(0)
    for steps in (0, 1, 4):
        arrays = [rng.normal(size=shape) for shape in ((steps, 2, 3), (3, 5), (5, 5))]
        expected = gc.function(
            [x, w, u], gc.grad(gc.sum(states) + gc.sum(final), [w, u]), backend="reference"
        )(*arrays)
        for got, wanted in zip(f(*arrays), expected, strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-12)
