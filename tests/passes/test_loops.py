"""What leaves loops, what is dropped and what is merged; told from the optimised graph."""

import numpy as np
import pytest

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


@pytest.mark.parametrize("of_known_size", [False, True])
def test_loops_that_share_numbers_are_one(of_known_size: bool) -> None:
    """Numbers are filled into every body, and uniform arrays are computed before derivatives."""
    x = gc.placeholder("x", (7,) if of_known_size else ("n",), "float64")
    weight = gc.ones_like(x) / 7
    rate = gc.as_tensor(0.3, "float64")

    def step(h: Tensor, _: None) -> tuple[Tensor, None]:
        return gc.tanh(h * weight + x) * gc.log(weight + rate), None

    final, _ = gc.scan(step, weight * (weight / 11), None, length=4)
    cost = gc.sum(final)
    assert len(loops(gc.function([x], [cost, gc.grad(cost, x)]))) == 2  # forwards and backwards


def test_loops_that_start_at_the_same_number_are_one() -> None:
    """The derivative is taken of numbers, not of what they are computed from in another order."""
    x = gc.placeholder("x", (180, 210))
    start = (gc.ones_like(x[:, 0]) / 180)[:, None] * (gc.ones_like(x[0]) / 210)[None]
    final, _ = gc.scan(lambda h, _: (gc.tanh(h + x), None), start, None, length=3)
    cost = gc.sum(final)
    assert len(loops(gc.function([x], [cost, gc.grad(cost, x)]))) == 2  # forwards and backwards


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


def vectors(cells: int = 5) -> list[Tensor]:
    shapes = {"x": ("t", 3), "h": (cells,), "w": (cells, 3), "u": (cells, cells)}
    return [gc.placeholder(name, shape, "float64") for name, shape in shapes.items()]


def test_a_matrix_times_a_vector_leaves_as_products_of_matrices_do() -> None:
    """W @ x_t before the loop, U @ h_t kept for the gradient, outer products summed after it."""
    x, h, w, u = vectors()
    final, states = gc.scan(lambda h, e: (gc.tanh(u @ h + w @ e), h), h, x)
    results = [gc.sum(states) + gc.sum(final)]
    results += gc.grad(results[0], [x, h, w, u])
    f = gc.function([x, h, w, u], results)
    forward, backward = loops(f)
    assert backward.attrs["carries"] == 1  # the totals of w and u are gone
    for loop in (forward, backward):
        sums = [node for node in loop.attrs["body"].nodes if node.op.name == "sum"]
        assert [node.attrs["axes"] for node in sums] == [(0,)]  # of columns: u is turned forwards
    assert products(f.stages.graph.nodes) == 4  # w @ x_t, and the gradients of x, w and u
    rng = np.random.default_rng(0)
    plain = gc.function([x, h, w, u], results, optimize=False, backend="reference")
    for steps in (0, 1, 9):
        values = [rng.normal(size=shape) for shape in ((steps, 3), (5,), (5, 3), (5, 5))]
        for got, wanted in zip(f(*values), plain(*values), strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-12)


def test_outer_products_of_any_orientation_are_summed_after_the_loop() -> None:
    a = gc.placeholder("a", ("t", 4), "float64")
    b = gc.placeholder("b", ("t", 1, 3), "float64")
    zero = gc.zeros((4, 3), dtype="float64")

    def step(
        totals: tuple[Tensor, ...], e: tuple[Tensor, Tensor]
    ) -> tuple[tuple[Tensor, ...], None]:
        one, other, wide = totals
        column, row = e
        wide = wide + row.T * gc.sin(column)
        return (one + column[:, None] * row, row * column[:, None] + other, wide), None

    totals, _ = gc.scan(step, (zero + 1, zero, gc.zeros((3, 4), dtype="float64")), (a, b))
    f = gc.function([a, b], totals)
    assert all(loop.attrs["carries"] == 0 for loop in loops(f))
    rng = np.random.default_rng(0)
    for steps in (0, 1, 7):
        left, right = rng.normal(size=(steps, 4)), rng.normal(size=(steps, 1, 3))
        one, other, wide = f(left, right)
        np.testing.assert_allclose(one, 1 + left.T @ right[:, 0], rtol=1e-12)
        np.testing.assert_allclose(other, left.T @ right[:, 0], rtol=1e-12)
        np.testing.assert_allclose(wide, right[:, 0].T @ np.sin(left), rtol=1e-12)


def test_a_product_with_one_number_is_no_outer_product() -> None:
    a, b = gc.placeholder("a", ("t", 4, 3), "float64"), gc.placeholder("b", ("t", 1), "float64")
    total, _ = gc.scan(lambda c, e: (c + e[0] * e[1], None), gc.zeros((4, 3), "float64"), (a, b))
    rng = np.random.default_rng(0)
    values = rng.normal(size=(5, 4, 3)), rng.normal(size=(5, 1))
    expected = np.sum(values[0] * values[1][:, None], axis=0)
    np.testing.assert_allclose(gc.function([a, b], total)(*values), expected, rtol=1e-12)


def test_small_matrices_are_turned_for_vectors() -> None:
    def axes(loop: Node) -> list[tuple[int, ...]]:
        """Those that the sums in a loop reduce."""
        nodes = loop.attrs["body"].nodes
        return [node.attrs["axes"] for node in nodes if node.op.name == "sum"]

    def repeated(cells: int, steps: int, twice: bool = False) -> list[tuple[int, ...]]:
        _, h, _, u = vectors(cells)

        def step(h: Tensor, _: None) -> tuple[Tensor, None]:
            return gc.tanh(u @ h) + (u[0] if twice else 0), None

        (loop,) = loops(gc.function([h, u], gc.scan(step, h, None, length=steps)[0]))
        return axes(loop)

    assert repeated(5, 9) == repeated(180, 9) == [(0,)]
    assert repeated(200, 9) == [(1,)], "long rows are read faster"
    assert repeated(10, 2) == [(1,)], "of few steps"

    _, h, _, u = vectors()
    until = gc.while_loop(lambda h: gc.sum(gc.abs(u @ h)) > 1, lambda h: gc.tanh(u @ h) / 2, h)
    f = gc.function([h, u], until)
    plain = gc.function([h, u], until, optimize=False, backend="reference")
    rng = np.random.default_rng(0)
    values = rng.normal(size=5), rng.normal(size=(5, 5))
    np.testing.assert_allclose(f(*values), plain(*values), rtol=1e-12)


def test_a_loop_of_complex_numbers_is_merged_with_that_of_its_gradient() -> None:
    """Bodies that share values do so after they have been split into real parts, inner ones too."""
    x = gc.placeholder("x", ("n",), "float64")
    turn = gc.exp(1j * x)

    def inner(c: Tensor, _: None) -> tuple[Tensor, None]:
        return c * turn, None

    def step(c: Tensor, _: None) -> tuple[Tensor, Tensor]:
        c = gc.scan(inner, c, None, length=3)[0] / 2
        return c, gc.sum(gc.abs(c))

    final, sums = gc.scan(step, x + 1j, None, length=5)
    cost = gc.sum(gc.abs(final - 1) ** 2)
    f = gc.function([x], [cost, sums, gc.grad(cost, x)])
    assert len(loops(f)) == 2  # forwards and backwards
    value, rows, slope = f([0.3, -1.2])
    z = (np.array([0.3, -1.2]) + 1j) * np.exp(1j * np.array([0.3, -1.2]) * 3) ** 5 / 2**5
    np.testing.assert_allclose(value, np.sum(np.abs(z - 1) ** 2))
    np.testing.assert_allclose(rows[-1], np.sum(np.abs(z)))
    for place in range(2):
        moved = np.array([0.3, -1.2]) + 1e-6 * (np.arange(2) == place)
        np.testing.assert_allclose((f(moved)[0] - value) / 1e-6, slope[place], rtol=1e-4)
