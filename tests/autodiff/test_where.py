"""`where` lets nothing pass from the branch not taken, on graphs as they were written."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc

Run = Callable[..., Any]


@gc.custom_gradient
def custom_root(x: Any) -> Any:
    y = gc.sqrt(x)
    return y, lambda dy: dy / (2 * y)


ONES = np.ones((2, 2))

# name -> (expression of x that is infinite or NaN or has such a slope at 0, shape of x)
BRANCHES: dict[str, tuple[Callable[[Any], Any], tuple[int, ...]]] = {
    "sqrt": (lambda x: gc.sqrt(x), (2,)),
    "log": (lambda x: gc.log(x), (2,)),
    "reciprocal": (lambda x: 1 / x, (2,)),
    "nested functions": (lambda x: gc.exp(gc.log(gc.sqrt(x) * 2)), (2,)),
    "two uses": (lambda x: gc.sqrt(x) * gc.log(x), (2,)),
    "reshaped": (lambda x: gc.reshape(gc.sqrt(gc.reshape(x, (2, 1))), (2,)), (2,)),
    "reversed twice": (lambda x: gc.flip(gc.sqrt(gc.flip(x))), (2,)),
    "a slice": (lambda x: gc.sqrt(x)[:2], (2,)),
    "a slice inside": (lambda x: gc.sqrt(x[0:2]), (2,)),
    "a sum of roots": (lambda x: gc.sqrt(gc.reshape(x, (2, 1)) * ONES).sum(axis=1), (2,)),
    "a root of sums": (lambda x: gc.sqrt((gc.reshape(x, (2, 1)) * ONES).sum(axis=1)), (2,)),
    "a norm": (lambda x: gc.sqrt((gc.square(gc.reshape(x, (2, 1)))).sum(axis=1)), (2,)),
    "a product with a matrix": (lambda x: (gc.sqrt(gc.reshape(x, (2, 1))) @ ONES[:1])[:, 0], (2,)),
    "concatenation": (lambda x: gc.concat([gc.sqrt(x[:1]), gc.log(x[1:])]), (2,)),
    "a maximum": (lambda x: gc.max(gc.sqrt(gc.reshape(x, (2, 1)) * ONES), axis=1), (2,)),
    "a mean": (lambda x: gc.sqrt(gc.reshape(x, (2, 1)) * ONES).mean(axis=1), (2,)),
    "another where": (lambda x: gc.where(x < 5, gc.sqrt(x), gc.log(x)), (2,)),
    "a product": (lambda x: gc.prod(gc.log(gc.reshape(x, (2, 1)) * ONES[:, :1]), axis=1), (2,)),
    "a picked element": (lambda x: gc.take(gc.sqrt(x), np.array([0, 1])), (2,)),
    "a deviation": (lambda x: gc.std(gc.reshape(x, (2, 1)) * np.array([1.0, 3.0]), axis=1), (2,)),
    "a stack": (lambda x: gc.stack([gc.sqrt(x[0]), gc.log(x[1])]), (2,)),
    "roll": (lambda x: gc.roll(gc.sqrt(gc.roll(x, 1)), -1), (2,)),
    "a custom gradient": (lambda x: custom_root(gc.sqrt(x)), (2,)),
    "a power": (lambda x: x**0.5, (2,)),
}


@pytest.mark.parametrize("name", BRANCHES)
def test_nothing_leaks(name: str, run: Run) -> None:
    build, shape = BRANCHES[name]
    x = gc.placeholder("x", shape, "float64")
    cost = gc.where(x > 0, build(x), 0.0).sum()
    gradient = gc.grad(cost, x)
    at_zero, beside = run(gradient, {x: [0.0, 4.0]})
    assert at_zero == 0
    _, expected = run(gc.grad(build(x).sum(), x), {x: [4.0, 4.0]})
    np.testing.assert_allclose(beside, expected, rtol=1e-12)
    along = run(gc.jvp(cost, x, np.ones(shape)), {x: [0.0, 4.0]})
    np.testing.assert_allclose(along, expected, rtol=1e-12)


@pytest.mark.parametrize("name", BRANCHES)
def test_nothing_leaks_into_second_derivatives(name: str, run: Run) -> None:
    build, shape = BRANCHES[name]
    x = gc.placeholder("x", shape, "float64")
    cost = gc.where(x > 0, build(x), 0.0).sum()
    second = run(gc.grad(gc.grad(cost, x).sum(), x), {x: [0.0, 4.0]})
    product = run(gc.hvp(cost, x, np.ones(shape)), {x: [0.0, 4.0]})
    expected = run(gc.grad(gc.grad(build(x).sum(), x).sum(), x), {x: [4.0, 4.0]})
    np.testing.assert_allclose(second, [0, expected[1]], rtol=1e-12)
    np.testing.assert_allclose(product, [0, expected[1]], rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_root_at_zero(dtype: str, run: Run) -> None:
    x = gc.placeholder("x", dtype=dtype)
    gradient = gc.grad(gc.where(x > 0, gc.sqrt(x), 0.0), x)
    assert run(gradient, {x: 0.0}) == 0
    assert run(gradient, {x: 4.0}) == 0.25


def test_the_condition_broadcasts(run: Run) -> None:
    rows = gc.placeholder("rows", (2, 1), "bool")
    x = gc.placeholder("x", (2, 3), "float64")
    scale = gc.placeholder("scale", (3,), "float64")
    cost = gc.where(rows, gc.sqrt(x) * gc.log(scale), 0.0).sum()
    dx, dscale = gc.grad(cost, [x, scale])
    values = np.array([[0.0, 0, 0], [1, 4, 9]])
    at_x, at_scale = run([dx, dscale], {rows: [[False], [True]], x: values, scale: [1.0, 2, 4]})
    np.testing.assert_array_equal(at_x[0], 0)
    np.testing.assert_allclose(at_scale, [1, 1, 0.75])


def test_a_column_without_any_row_taken(run: Run) -> None:
    mask = gc.placeholder("mask", (2, 2), "bool")
    x = gc.placeholder("x", (2,), "float64")
    cost = gc.where(mask, gc.sqrt(x), 0.0).sum()
    gradient = gc.grad(cost, x)
    feeds = {mask: [[True, False], [True, False]], x: [4.0, 0.0]}
    np.testing.assert_allclose(run(gradient, feeds), [0.5, 0])


def test_both_branches(run: Run) -> None:
    x = gc.placeholder("x", (3,), "float64")
    cost = gc.where(x > 1, gc.log(x), x * gc.sqrt(1 - x)).sum()
    taken = run(gc.grad(cost, x), {x: [2.0, 0.5, 3.0]})
    expected = [1 / 2, np.sqrt(0.5) - 0.25 / np.sqrt(0.5), 1 / 3]
    np.testing.assert_allclose(taken, expected)


def test_a_nan_that_is_taken_is_kept(run: Run) -> None:
    x = gc.placeholder("x", (2,))
    gradient = gc.grad(gc.where(x > -1, gc.sqrt(x), 0.0).sum(), x)
    at = run(gradient, {x: [0.0, 1.0]})
    assert at[0] == np.inf
    outside = gc.grad((gc.where(x > 5, x, 0.0) + gc.sqrt(x) * 0.0).sum(), x)
    assert np.isnan(run(outside, {x: [0.0, 1.0]})[0])


def test_a_cotangent_that_happens_to_be_zero_blocks_nothing(run: Run) -> None:
    # d2/dx dy of sum(where(c, h(x) @ W, 0) * y) at y = 0 is not zero
    x = gc.placeholder("x", (2, 2), "float64")
    y = gc.placeholder("y", (2, 2), "float64")
    weights = np.array([[1.0, 2], [3, 4]])
    product = gc.where(x > 0, gc.sin(x) @ weights, 0.0)
    gradient = gc.grad((product * y).sum(), x)
    mixed = gc.vjp(gradient, y, np.ones((2, 2)))
    point = np.array([[1.0, 2.0], [3.0, 0.5]])
    found = run(mixed, {x: point, y: np.zeros((2, 2))})
    np.testing.assert_allclose(found, np.cos(point) @ weights, rtol=1e-12)


def test_a_masked_cross_entropy_stays_stable(run: Run) -> None:
    logits = gc.placeholder("logits", (3, 4), "float64")
    mask = gc.placeholder("mask", (3,), "bool")
    p = gc.exp(logits) / gc.exp(logits).sum(axis=1, keepdims=True)
    loss = gc.where(mask, -gc.log(p[:, 0]), 0.0).sum()
    gradient = gc.grad(loss, logits)
    values = np.zeros((3, 4))
    values[1] = np.inf
    found = run(gradient, {logits: values, mask: [True, False, True]})
    expected = np.full((3, 4), 0.25)
    expected[:, 0] -= 1
    expected[1] = 0
    np.testing.assert_allclose(found, expected)


def test_rows_that_are_masked_whole(run: Run) -> None:
    scores = gc.placeholder("scores", (2, 3), "float64")
    rows = gc.placeholder("rows", (2, 1), "bool")
    feeds = {scores: [[-np.inf] * 3, [0.0, 0.0, 0.0]], rows: [[False], [True]]}
    weights = np.array([1.0, 2.0, 3.0])
    for normalized in (
        gc.nn.softmax(scores),
        gc.nn.log_softmax(scores),
        scores - gc.logsumexp(scores, axis=1, keepdims=True),
    ):
        cost = (gc.where(rows, normalized, 0.0) * weights).sum()
        found = run(gc.grad(cost, scores), feeds)
        np.testing.assert_array_equal(found[0], 0)
        assert np.isfinite(found[1]).all()


def test_a_long_chain_of_wheres_is_linear(run: Run) -> None:
    x = gc.placeholder("x", dtype="float64")
    y = x
    for k in range(2_000):
        y = gc.where(x > k, gc.sqrt(y), y * 0.5)
    gradient = gc.grad(y, x)
    assert len(ops_of(gradient)) < 40 * 2_000
    assert np.isfinite(run(gradient, {x: 1.5}))


# --- what it costs -----------------------------------------------------------------------------


def ops_of(*tensors: Any) -> list[str]:
    graph = gc.Graph((), tensors)
    return [node.op.name for node in graph.nodes]


def test_graphs_without_where_pay_nothing() -> None:
    x = gc.placeholder("x", (3, 4))
    names = ops_of(gc.grad((gc.sqrt(x) @ np.ones((4, 2), np.float32)).sum(), x))
    assert not {"where", "isnan", "not_equal", "logical_or", "logical_not"}.intersection(names)


def test_one_selection_after_an_elementwise_chain() -> None:
    x = gc.placeholder("x", (3,))
    gradient = gc.grad(gc.where(x > 0, gc.sqrt(gc.exp(gc.sin(x))), 0.0).sum(), x)
    assert ops_of(gradient).count("where") == 1
    assert gradient.node.op.name == "where"


def test_a_hidden_layer_with_a_hand_written_relu_costs_one_selection() -> None:
    x = gc.placeholder("x", ("n", 3))
    w1, w2 = gc.placeholder("w1", (3, 5)), gc.placeholder("w2", (5, 2))
    z = x @ w1
    first = gc.where(z > 0, z, 0.0)
    y = first @ w2
    second = gc.where(y > 0, y, 0.0)
    names = ops_of(*gc.grad(second.sum(), [w1, w2]))
    assert names.count("where") == 3  # the first relu, and one in the gradient of each
    assert "isnan" not in names


def test_sums_of_what_is_taken_are_not_selected_again() -> None:
    x, b = gc.placeholder("x", ("n", 3)), gc.placeholder("b", (3,))
    keep = gc.placeholder("keep", ("n", 3), "bool")
    names = ops_of(gc.grad(gc.where(keep, gc.exp(x + b), 0.0).sum(), b))
    assert "any" not in names
    assert names.count("where") == 1
    names = ops_of(gc.grad(gc.where(keep[:, :, None], x[:, :, None] + b[:, None], 0.0).sum(), b))
    assert "any" not in names


def test_layers_of_leaky_relu_need_no_tests_for_nan() -> None:
    x = gc.placeholder("x", ("n", 3))
    weights = [gc.placeholder(f"w{k}", (3, 3)) for k in range(4)]
    y = x
    for w in weights:
        y = gc.nn.relu(gc.nn.leaky_relu(y @ w, 0.1) * -2.0)
    assert "isnan" not in ops_of(*gc.grad(y.sum(), weights))


def test_gates_of_both_branches_cancel() -> None:
    r = gc.placeholder("r", (3,))
    h = gc.sin(r)
    huber = gc.where(gc.abs(h) < 1, h * h, 2 * gc.abs(h))
    names = ops_of(gc.grad(huber.sum(), r))
    assert "logical_or" not in names
    assert names.count("where") <= 4


def test_many_wheres_over_one_input(run: Run) -> None:
    x = gc.placeholder("x")
    total = gc.add_n([gc.where(x > k, gc.sqrt(x), 0.0) for k in range(500)])
    assert run(gc.grad(total, x), {x: 100.5}) == pytest.approx(101 / (2 * np.sqrt(100.5)), rel=1e-4)
    assert run(gc.grad(total, x), {x: 0.0}) == 0


@pytest.mark.parametrize(
    ("entries", "expected"),
    [(slice(-3), [0, 0.25, 0, 0, 0]), (slice(1, -2), [0, 0.25, 0.25, 0, 0])],
)
def test_gates_pass_slices_that_may_be_empty(
    entries: slice, expected: list[float], run: Run
) -> None:
    x = gc.placeholder("x", ("n",), "float64")
    moved = gc.concat([x[:1], gc.sqrt(x[entries])])
    gradient = gc.grad(gc.where(moved > 0, moved, 0.0).sum(), x)
    np.testing.assert_allclose(run(gradient, {x: [0.0, 4.0, 4.0, 9.0, 9.0]}), expected)
