"""grad, value_and_grad and vjp: values, structures, known gradients."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc

Run = Callable[..., Any]


def test_product_of_two_variables(run: Run) -> None:
    x, y = gc.placeholder("x"), gc.placeholder("y")
    f = (x + y) * (2 * x - 3)
    dx, dy = gc.grad(f, [x, y])
    assert run([f, dx, dy], {x: 1, y: 2}) == [-3, 5, -1]
    assert run(gc.vjp(f, [x, y], 1.0), {x: 1, y: 2}) == [5, -1]


def test_the_result_has_the_structure_of_wrt(run: Run) -> None:
    x, y = gc.placeholder("x"), gc.placeholder("y")
    f = x * y
    assert isinstance(gc.grad(f, x), type(f))
    assert isinstance(gc.grad(f, (x, y)), tuple)
    assert isinstance(gc.grad(f, [x]), list)
    named = gc.grad(f, {"x": x, "y": y})
    assert run([named["x"], named["y"]], {x: 2, y: 3}) == [3, 2]


def test_value_and_grad(run: Run) -> None:
    x = gc.placeholder("x", (3,))
    cost, gradient = gc.value_and_grad((x * x).sum(), x)
    value, slope = run([cost, gradient], {x: [1, 2, 3]})
    assert value == 14
    np.testing.assert_array_equal(slope, [2, 4, 6])


def test_shape_and_dtype_of_the_input() -> None:
    a = gc.placeholder("a", (4, 1), "float64")
    c = gc.placeholder("c", (3,), "float32")
    da, dc = gc.grad((a * c).sum(), [a, c])
    assert str(da.type) == "float64[4, 1]"
    assert str(dc.type) == "float32[3]"


@pytest.mark.parametrize(
    ("left", "right"),
    [((3, 4), (4,)), ((), (2, 3)), ((2, 1, 3), (4, 1)), ((1,), (1, 1)), ((0, 3), (1, 3))],
)
def test_broadcasting_is_undone(
    left: tuple[int, ...], right: tuple[int, ...], rng: np.random.Generator
) -> None:
    inputs = [rng.normal(size=left), rng.uniform(1, 2, size=right)]
    gc.verify_grad(lambda x, y: x / y + gc.exp(x) * y, inputs)


def test_broadcasting_of_symbolic_sizes(run: Run) -> None:
    x = gc.placeholder("x", ("n", 1))
    y = gc.placeholder("y", (1, "m"))
    dx, dy = gc.grad((x * y).sum(), [x, y])
    assert (dx.shape, dy.shape) == (x.shape, y.shape)
    slope_x, slope_y = run([dx, dy], {x: [[1], [2]], y: [[3, 4, 5]]})
    np.testing.assert_array_equal(slope_x, [[12], [12]])
    np.testing.assert_array_equal(slope_y, [[3, 3, 3]])


def test_axes_are_summed_in_one_reduction() -> None:
    """Of a scale for each channel: the sum joins others over the same axes in one kernel."""
    x, scale = gc.placeholder("x", ("n", 3, 4, 5)), gc.placeholder("scale", (3,))
    out = gc.sum(gc.tanh(x * scale[:, None, None]))
    text = gc.function([x, scale], gc.grad(out, scale)).graph_text()
    assert "axes=(0, 2, 3)" in text and text.count("sum(") == 1


def test_an_input_used_twice_by_one_op(run: Run) -> None:
    x = gc.placeholder("x")
    assert run(gc.grad(x * x, x), {x: 3}) == 6
    assert run(gc.grad(x + x, x), {x: 3}) == 2
    assert run(gc.grad(gc.add_n([x] * 40), x), {x: 3}) == 40


def test_the_gradient_of_a_value_by_itself_is_one(run: Run) -> None:
    x = gc.placeholder("x")
    h = gc.exp(x)
    assert run(gc.grad(h, h), {x: 1}) == 1


def test_wrt_may_lie_between(run: Run) -> None:
    x = gc.placeholder("x")
    h = x * x
    f = gc.sin(h) + x
    dh, dx = gc.grad(f, [h, x])
    at_h, at_x = run([dh, dx], {x: 0.5})
    np.testing.assert_allclose(at_h, np.cos(0.25), rtol=1e-6)
    np.testing.assert_allclose(at_x, 1 + 2 * 0.5 * np.cos(0.25), rtol=1e-6)


def test_gradients_of_gradients(run: Run) -> None:
    x = gc.placeholder("x", dtype="float64")
    derivative = gc.sin(x)
    for expected in (np.cos, lambda v: -np.sin(v), lambda v: -np.cos(v), np.sin):
        derivative = gc.grad(derivative, x)
        np.testing.assert_allclose(run(derivative, {x: 0.7}), expected(0.7), rtol=1e-12)


def test_integers_between_carry_no_gradient(run: Run) -> None:
    x = gc.placeholder("x", (3,))
    steps = x.astype("int32").astype("float32")
    np.testing.assert_array_equal(
        run(gc.grad((x * steps).sum(), x), {x: [1.5, 2.5, 3.5]}), [1, 2, 3]
    )


def test_gradients_carry_the_users_line() -> None:
    x = gc.placeholder("x")
    h = gc.exp(x)  # the line
    f = h * 2
    gradient = gc.grad(f, x)
    lines = {source.text for source in gradient.sources}
    assert any("# the line" in line for line in lines)


# --- what is differentiated --------------------------------------------------------------------


def test_the_cross_entropy_of_a_sigmoid_is_p_minus_y(run: Run) -> None:
    z, y = gc.placeholder("z", (4,)), gc.placeholder("y", (4,))
    p = 1 / (1 + gc.exp(-z))
    cost = gc.mean(-y * gc.log(p) - (1 - y) * gc.log(1 - p))
    gradient = gc.grad(cost, z)
    feeds = {z: [-800.0, 800.0, 0.0, 800.0], y: [1.0, 0.0, 1.0, 1.0]}
    np.testing.assert_array_equal(run(gradient, feeds), [-0.25, 0.25, -0.125, 0])
    nodes = gc.Graph((z, y), (gradient,)).nodes
    divided = [node for node in nodes if node.op.name == "divide"]
    assert all(not tensor.shape for node in divided for tensor in node.inputs)


def test_a_tensor_to_differentiate_by_survives_stabilisation(run: Run) -> None:
    z = gc.placeholder("z", dtype="float64")
    p = gc.sigmoid(z)
    by_p, by_z = gc.grad(gc.log(p), [p, z])
    assert run(by_p, {z: 0.0}) == pytest.approx(2)
    assert run(by_z, {z: 0.0}) == pytest.approx(0.5)


# --- known_grads -------------------------------------------------------------------------------


def test_known_gradients_without_a_cost(run: Run) -> None:
    x = gc.placeholder("x", (2,))
    h = x * x
    gradient = gc.grad(None, x, known_grads={h: np.array([1.0, 10.0])})
    np.testing.assert_array_equal(run(gradient, {x: [1, 2]}), [2, 40])


def test_a_known_gradient_replaces_what_the_cost_says(run: Run) -> None:
    x = gc.placeholder("x")
    h = x * x
    f = 1000 * h + x
    dx, dh = gc.grad(f, [x, h], known_grads={h: 1.0})
    assert run([dx, dh], {x: 3}) == [7, 1]


def test_known_gradients_of_two_values_on_one_path(run: Run) -> None:
    x = gc.placeholder("x")
    h = 3 * x
    k = h * h
    dx = gc.grad(None, x, known_grads=[(h, 1.0), (k, 100.0)])
    assert run(dx, {x: 1}) == 3  # what k passes to h is dropped


def test_a_known_gradient_of_the_wrong_shape() -> None:
    x = gc.placeholder("x", (2,))
    with pytest.raises(gc.GradientError, match=r"\[E307\].*\[3\] does not fit \[2\]"):
        gc.grad(None, x, known_grads={x * x: np.zeros(3)})


# --- vjp ---------------------------------------------------------------------------------------


def test_vjp_of_several_outputs(run: Run) -> None:
    x = gc.placeholder("x", (2,))
    outputs = [x * x, gc.exp(x)]
    result = gc.vjp(outputs, x, [np.array([1.0, 2.0]), 3.0])
    expected = [2 * 1 + 3 * np.exp(1), 2 * 2 * 2 + 3 * np.exp(2)]
    np.testing.assert_allclose(run(result, {x: [1, 2]}), expected, rtol=1e-6)


def test_vjp_wants_one_cotangent_per_output() -> None:
    x = gc.placeholder("x", (2,))
    with pytest.raises(gc.GradientError, match=r"\[E307\] cotangents .* got 1, expected 2"):
        gc.vjp([x, x * x], x, [1.0])


def test_what_simplifying_takes_away_has_zero_gradient() -> None:
    x = gc.placeholder("x", (3,), "float64")
    gradient = gc.grad(gc.sum(x**0), x)
    np.testing.assert_array_equal(gc.run(gradient, {x: np.arange(3.0)}), np.zeros(3))


# name -> a value made of x (3,): rules see what it is made of wherever it is not differentiated by
INTERMEDIATE: dict[str, Callable[[Any], Any]] = {
    "a broadcast": lambda x: gc.broadcast_to(x, (2, 3)),
    "a number everywhere": lambda x: gc.full((2, 3), gc.sum(x)),
    "a negative": lambda x: -gc.stack([x, x]),
    "a concatenation": lambda x: gc.concat([gc.stack([x]), gc.stack([2 * x])]),
    "a sum": lambda x: gc.sum(gc.broadcast_to(x, (4, 2, 3)), axis=0),
    "a constant": lambda x: gc.constant(np.arange(6.0).reshape(2, 3)),
}
COSTS: dict[str, Callable[[Any], Any]] = {
    "product": lambda y: gc.sum(y * gc.broadcast_to(gc.constant([1.0, 2.0, 4.0]), (2, 3))),
    "logarithm": lambda y: -gc.sum(gc.log(gc.sigmoid(y))),
    "slice": lambda y: gc.sum(gc.exp(y[1:, 1:])),
    "sum of sums": lambda y: gc.sum(gc.sum(y, axis=0) ** 2),
    "constants": lambda y: gc.sum(gc.exp(3.0 * y) * y),
}


@pytest.mark.parametrize("made", INTERMEDIATE)
@pytest.mark.parametrize("cost", COSTS)
def test_gradients_by_intermediate_values_are_those_by_inputs(
    made: str, cost: str, run: Run
) -> None:
    x, y = gc.placeholder("x", (3,), "float64"), gc.placeholder("y", (2, 3), "float64")
    between = INTERMEDIATE[made](x)
    feeds = {x: [0.5, -1.0, 2.0]}
    value = run(between, feeds)
    found = run(gc.grad(COSTS[cost](between), between), feeds)
    np.testing.assert_allclose(found, run(gc.grad(COSTS[cost](y), y), {y: value}), rtol=1e-12)
