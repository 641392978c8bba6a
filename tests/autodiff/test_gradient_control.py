"""stop_gradient and custom_gradient."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc

Run = Callable[..., Any]


def test_stop_gradient_is_the_value_and_a_constant(run: Run) -> None:
    x = gc.placeholder("x", (2,))
    f = gc.stop_gradient(x) * x
    value, slope, along = run([f, gc.grad(f.sum(), x), gc.jvp(f, x, 1.0)], {x: [2, 3]})
    np.testing.assert_array_equal(value, [4, 9])
    np.testing.assert_array_equal(slope, [2, 3])
    np.testing.assert_array_equal(along, [2, 3])


def test_stop_gradient_blocks_and_says_so() -> None:
    x = gc.placeholder("x")
    with pytest.raises(gc.DisconnectedError, match="blocked by stop_gradient"):
        gc.grad(gc.stop_gradient(x * 2), x)


# --- consider_constant -------------------------------------------------------------------------


def test_nothing_flows_through_what_is_considered_constant(run: Run) -> None:
    x = gc.placeholder("x")
    h = x * x
    cost = h * x
    assert run(gc.grad(cost, x), {x: 3}) == 27
    assert run(gc.grad(cost, x, consider_constant=h), {x: 3}) == 9
    value, slope = gc.value_and_grad(cost, [x], consider_constant=[h])
    assert run([value, *slope], {x: 3}) == [27, 9]
    with pytest.raises(gc.ArgumentError, match="use consider_constant="):
        gc.grad(cost, x, stop_gradients=[h])  # type: ignore[call-arg]
    with pytest.raises(gc.GradientError, match="consider_constant must be tensors, got float"):
        gc.grad(cost, x, consider_constant=[1.0])


def test_partial_derivatives_by_tensors_of_each_other(run: Run) -> None:
    a = gc.placeholder("a")
    b = 2 * a
    assert run(gc.grad(a + b, [a, b]), {a: 1}) == [3, 1]
    assert run(gc.grad(a + b, [a, b], consider_constant=[a, b]), {a: 1}) == [1, 1]
    assert run(gc.vjp(a * b, {"a": a, "b": b}, 1.0, consider_constant=(b,))["a"], {a: 3}) == 6


def test_one_output_of_a_loop_is_constant(run: Run) -> None:
    x = gc.placeholder("x", dtype="float64")
    last, all_ = gc.scan(lambda c, _: (c * x, c * x), gc.constant(1.0, "float64"), length=3)
    assert run(gc.grad(last + gc.sum(all_), x), {x: 2}) == 12 + 1 + 4 + 12
    assert run(gc.grad(last + gc.sum(all_), x, consider_constant=[last]), {x: 2}) == 17
    assert run(gc.grad(last + gc.sum(all_), x, consider_constant=[all_]), {x: 2}) == 12


def test_an_adjoint_equation_takes_partial_derivatives(run: Run) -> None:
    """The state was computed from w in earlier steps; only this step counts."""
    w = gc.placeholder("w", (2, 2), "float64")

    def slope(state: Any) -> Any:
        y, a = state[:2], state[2:4]
        f = w @ gc.tanh(y)
        by_y, by_w = gc.vjp(f, [y, w], a, consider_constant=[y, w])
        return gc.concat([-f, by_y, by_w.reshape(4)])

    weights, state = np.array([[-0.1, 2.0], [-2.0, -0.1]]), gc.constant(np.linspace(-1, 1, 8))
    expected = np.linspace(-1, 1, 8)
    for _ in range(3):
        state = state + 0.1 * slope(state)
        y, a = expected[:2], expected[2:4]
        t = np.tanh(y)
        parts = [-weights @ t, (weights.T @ a) * (1 - t**2), np.outer(a, t).ravel()]
        expected = expected + 0.1 * np.concatenate(parts)
    np.testing.assert_allclose(run(state, {w: weights}), expected)


@gc.custom_gradient
def doubled_slope(x: Any) -> Any:
    y = gc.sin(x)
    return y, lambda dy: 2 * dy * gc.cos(x)


def test_the_users_gradient_is_used(run: Run) -> None:
    x = gc.placeholder("x", (3,), "float64")
    y = doubled_slope(x)
    points = np.array([0.1, 0.2, 0.3])
    np.testing.assert_allclose(run(y, {x: points}), np.sin(points))
    np.testing.assert_allclose(run(gc.grad(y.sum(), x), {x: points}), 2 * np.cos(points))


def test_its_second_derivative_and_its_forward_mode(run: Run) -> None:
    x = gc.placeholder("x", dtype="float64")
    y = doubled_slope(x)
    second = gc.grad(gc.grad(y, x), x)
    assert run(second, {x: 0.3}) == pytest.approx(-2 * np.sin(0.3))
    assert run(gc.jvp(y, x, 10.0), {x: 0.3}) == pytest.approx(20 * np.cos(0.3))


def test_several_arguments_and_outputs(run: Run) -> None:
    @gc.custom_gradient
    def swap(x: Any, y: Any) -> Any:
        return (y, x), lambda dy, dx: (10 * dx, 100 * dy)

    x, y = gc.placeholder("x"), gc.placeholder("y")
    first, second = swap(x, y)
    assert run([first, second], {x: 1, y: 2}) == [2, 1]
    assert run(gc.grad(2 * first + 3 * second, [x, y]), {x: 1, y: 2}) == [30, 200]
    assert run(gc.grad(first, [x, y]), {x: 1, y: 2}) == [0, 100]
    assert run(gc.jvp([first, second], [x, y], [1.0, 1.0]), {x: 1, y: 2}) == [100, 10]


def test_none_means_no_gradient() -> None:
    @gc.custom_gradient
    def first_only(x: Any, y: Any) -> Any:
        return x * y, lambda dz: (dz * y, None)

    x, y = gc.placeholder("x"), gc.placeholder("y")
    f = first_only(x, y)
    assert gc.grad(f, [x, y], disconnected="none")[1] is None
    with pytest.raises(gc.DisconnectedError, match="blocked by custom_gradient"):
        gc.grad(f, y)


def test_under_where_nothing_leaks(run: Run) -> None:
    @gc.custom_gradient
    def root(x: Any) -> Any:
        y = gc.sqrt(x)
        return y, lambda dy: dy / (2 * y)

    x = gc.placeholder("x", (2,), "float64")
    gradient = gc.grad(gc.where(x > 0, root(gc.sqrt(x)), 0.0).sum(), x)
    np.testing.assert_allclose(run(gradient, {x: [0.0, 1.0]}), [0, 0.25])


def test_mistakes_in_a_custom_gradient() -> None:
    x = gc.placeholder("x", (2,))
    with pytest.raises(gc.GradientError, match=r"must return \(outputs, gradient function\)"):
        gc.custom_gradient(lambda x: x * x)(x)
    wrong_count = gc.custom_gradient(lambda x: (x * x, lambda dy: (dy, dy)))(x)
    with pytest.raises(gc.GradientError, match="2 gradients for 1 arguments") as caught:
        gc.grad(wrong_count.sum(), x)
    assert "test_gradient_control.py:" in str(caught.value)
    wrong_shape = gc.custom_gradient(lambda x: (x * x, lambda dy: gc.reshape(dy, (1, 1, 2))))(x)
    with pytest.raises(gc.GradientError, match=r"gradient 0 is float32\[1, 1, 2\]"):
        gc.grad(wrong_shape.sum(), x)


@gc.custom_gradient
def _spike(v: gc.Tensor) -> Any:
    return (v > 0).astype(v.dtype), lambda dy: dy / (1 + 10 * gc.abs(v)) ** 2


@gc.custom_gradient
def _root(v: gc.Tensor) -> Any:
    y = gc.sqrt(v)
    return y, lambda dy: dy * 0.5 / y


def test_custom_gradients_in_bodies() -> None:
    """What `gradient` uses was built outside of the body that the op becomes part of."""
    rng = np.random.default_rng(0)
    weights, inputs = rng.normal(size=(3, 4)), rng.normal(size=(5, 2, 3))
    w, x = gc.placeholder("w", (3, 4), "float64"), gc.placeholder("x", ("t", 2, 3), "float64")

    def step(v: gc.Tensor, i: gc.Tensor) -> Any:
        v = 0.9 * v + i @ w
        spikes = _spike(v - 1.0)
        return v - spikes, spikes

    _, spikes = gc.scan(step, gc.zeros((2, 4), "float64"), x)
    found = gc.function([w, x], gc.grad(gc.sum(spikes * spikes), [w, x]))(weights, inputs)

    v, states, fired = np.zeros((2, 4)), [], []
    for i in inputs:
        states.append(0.9 * v + i @ weights)
        fired.append((states[-1] > 1).astype(float))
        v = states[-1] - fired[-1]
    dv, dw, dx = np.zeros((2, 4)), np.zeros((3, 4)), np.zeros_like(inputs)
    for t in range(4, -1, -1):
        slope = 1 / (1 + 10 * np.abs(states[t] - 1)) ** 2
        ds = dv + (2 * fired[t] - dv) * slope
        dw, dx[t] = dw + inputs[t].T @ ds, ds @ weights.T
        dv = 0.9 * ds
    np.testing.assert_allclose(found[0], dw, rtol=1e-12)
    np.testing.assert_allclose(found[1], dx, rtol=1e-12)


def test_custom_gradients_in_loops_of_other_kinds() -> None:
    """Beside the plain functions: in scan, while_loop, cond, map, checkpoint, and vmap of these."""

    def kinds(f: Any) -> list[Any]:
        return [
            lambda w: gc.scan(lambda c, _: (f(c * w + 2), None), w, length=3)[0],
            lambda w: gc.while_loop(lambda c: gc.max(c) < 9, lambda c: c + f(c * w + 1), w),
            lambda w: gc.cond(gc.sum(w) > 0, lambda: f(w * 2) * w, lambda: w),
            lambda w: gc.sum(gc.map(lambda c: f(c * w + 3) * w, gc.stack([w, w * w])), axis=0),
            lambda w: gc.checkpoint(lambda c: f(c * w) * c)(w + 1),
            lambda w: gc.vmap(lambda c: gc.scan(lambda s, _: (f(s * c + 2), None), c, length=2)[0])(
                w
            ),
        ]

    value = np.array([0.4, 0.7, 1.2])
    w = gc.placeholder("w", (3,), "float64")
    for ours, plain in zip(kinds(_root), kinds(gc.sqrt), strict=True):
        results = []
        for make in (ours, plain):
            slope = gc.grad(gc.sum(make(w) ** 2), w)
            results.append(gc.function([w], [slope, gc.grad(gc.sum(slope), w)])(value))
        for found, expected in zip(*results, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-12)
        forward = [gc.jvp(make(w), w, gc.ones_like(w)) for make in (ours, plain)]
        found, expected = gc.function([w], forward)(value)
        np.testing.assert_allclose(found, expected, rtol=1e-12)
