"""jvp: values, structures, the default rule by transposing twice."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.autodiff.forward import transpose_twice
from graphc.ir.registry import OPS
from graphc.ir.tensor import Tensor

Run = Callable[..., Any]


def test_product_of_two_variables(run: Run) -> None:
    x, y = gc.placeholder("x"), gc.placeholder("y")
    f = (x + y) * (2 * x - 3)
    assert run(gc.jvp(f, [x, y], [1.0, 0.0]), {x: 1, y: 2}) == 5
    assert run(gc.jvp(f, [x, y], [0.0, 1.0]), {x: 1, y: 2}) == -1


def test_the_result_has_the_structure_of_outputs(run: Run) -> None:
    x = gc.placeholder("x", (2,))
    found = gc.jvp({"square": x * x, "sum": x.sum()}, x, np.ones(2))
    square, total = run([found["square"], found["sum"]], {x: [3, 4]})
    np.testing.assert_array_equal(square, [6, 8])
    assert total == 2


def test_shapes_of_broadcast_outputs(run: Run) -> None:
    x, y = gc.placeholder("x", (3, 1)), gc.placeholder("y", (2,))
    tangent = gc.jvp(x + y, y, 1.0)
    assert tangent.shape == (3, 2)
    np.testing.assert_array_equal(run(tangent, {x: np.ones((3, 1)), y: [1, 2]}), np.ones((3, 2)))


def test_wrt_may_lie_between(run: Run) -> None:
    x = gc.placeholder("x", dtype="float64")
    h = x * x
    f = gc.exp(h)
    tangent = gc.jvp(f, [x, h], [1.0, 10.0])
    assert run(tangent, {x: 0.5}) == pytest.approx(np.exp(0.25) * (1.0 + 10.0))


def test_what_does_not_depend_can_be_zero_or_none(run: Run) -> None:
    x, y = gc.placeholder("x"), gc.placeholder("y", (2,))
    zero = gc.jvp([x, y], x, 1.0, disconnected="zero")[1]
    assert run(zero).tolist() == [0, 0]
    assert gc.jvp([x, y], x, 1.0, disconnected="none")[1] is None


def test_flat_ops_have_zero_derivatives_both_ways(run: Run) -> None:
    x = gc.placeholder("x", (2,))
    assert run(gc.jvp(gc.floor(x), x, 1.0), {x: [1.5, 2.5]}).tolist() == [0, 0]
    assert run(gc.grad(gc.floor(x).sum(), x), {x: [1.5, 2.5]}).tolist() == [0, 0]


def test_jvp_and_vjp_are_transposes(run: Run, rng: np.random.Generator) -> None:
    x = gc.placeholder("x", (4,), "float64")
    y = gc.tanh(rng.normal(size=(3, 4)) @ gc.sin(x))
    t, u = rng.normal(size=4), rng.normal(size=3)
    along, back = run([gc.jvp(y, x, t), gc.vjp(y, x, u)], {x: rng.normal(size=4)})
    assert u @ along == pytest.approx(back @ t, rel=1e-12)


@pytest.mark.parametrize(
    ("build", "shapes"),
    [
        (lambda x: gc.exp(x), [(3,)]),
        (lambda x, y: x / y, [(3, 1), (4,)]),
        (lambda x, y: x @ y, [(2, 3), (3, 4)]),
        (lambda x: x.sum(axis=1), [(2, 3)]),
        (lambda x: gc.max(x, axis=0), [(4, 2)]),
        (lambda x: x[1:, ::-2], [(3, 5)]),
        (lambda x, y: gc.concat([x, y], axis=1), [(2, 3), (2, 1)]),
        (lambda x, y: gc.where(x > 0, x, y), [(5,), (5,)]),
    ],
)
def test_transposing_twice_equals_the_forward_rule(
    build: Callable[..., Any], shapes: list[Any], run: Run, rng: np.random.Generator
) -> None:
    inputs = [gc.placeholder(None, shape, "float64") for shape in shapes]
    output = build(*inputs)
    arrays = [rng.uniform(0.5, 2.0, size=shape) for shape in shapes]
    directions = [rng.normal(size=shape) for shape in shapes]
    by_shape = dict(zip((i.key for i in inputs), directions, strict=True))
    tangents = [
        gc.constant(by_shape[tensor.key]) if tensor.key in by_shape else None
        for tensor in output.node.inputs
    ]
    (twice,) = transpose_twice(output.node, tangents)
    assert isinstance(twice, Tensor)
    feeds = dict(zip(inputs, arrays, strict=True))
    expected = run(gc.jvp(output, inputs, directions), feeds)
    np.testing.assert_allclose(run(twice, feeds), expected, rtol=1e-12)


def test_a_rule_that_is_not_linear_is_refused() -> None:
    def squared(b: Any, application: Any, gradients: Any) -> Any:
        return [gradients[0] ** 2]

    broken = dataclasses.replace(OPS["exp"], name="broken", jvp=None, vjp=squared)
    x = gc.placeholder("x")
    with pytest.raises(gc.GradientError, match="not linear in the cotangent"):
        gc.jvp(broken(x), x, 1.0)


def test_an_op_without_any_rule_is_refused() -> None:
    silent = dataclasses.replace(
        OPS["exp"], name="silent", jvp=None, vjp=None, traits=frozenset({"elementwise"})
    )
    x = gc.placeholder("x")
    f = silent(x) * 2
    with pytest.raises(gc.GradientError, match=r"\[E304\] silent has no derivative"):
        gc.grad(f, x)
    with pytest.raises(gc.GradientError, match=r"\[E304\] silent has no derivative"):
        gc.jvp(f, x, 1.0)


def test_a_composite_op_without_rules_is_opened(run: Run) -> None:
    from graphc.ir.lowering import Composite

    composed = dataclasses.replace(
        OPS["multiply"],
        name="composed",
        jvp=None,
        vjp=None,
        traits=frozenset(),
        lower=Composite(lambda b, x, y: b.sin(x) * y * x),
    )
    x = gc.placeholder("x", dtype="float64")
    f = composed(x, x)  # sin(x) * x * x
    expected = np.cos(0.4) * 0.16 + np.sin(0.4) * 0.8
    assert run(gc.grad(f, x), {x: 0.4}) == pytest.approx(expected)
    assert run(gc.jvp(f, x, 1.0), {x: 0.4}) == pytest.approx(expected)
    h = x * x
    g = composed(h, x)  # sin(h) * x * h, one input computed from the other
    slope = np.cos(0.16) * 0.8 * 0.4 * 0.16 + np.sin(0.16) * 3 * 0.16
    assert run(gc.grad(g, x), {x: 0.4}) == pytest.approx(slope)
    assert run(gc.jvp(g, x, 1.0), {x: 0.4}) == pytest.approx(slope)
