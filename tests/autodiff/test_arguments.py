"""What is differentiated by: tensors in lists, tuples and dicts, nested as the user likes."""

from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc

Run = Callable[..., Any]
Layer = namedtuple("Layer", "W b")


def parameters() -> tuple[Any, Any]:
    """[(W1, b1), (W2, b2)] of the sizes 2, 3 and 1, and a cost."""
    rng = np.random.default_rng(0)
    sizes = [(2, 3), (3, 1)]
    params = [(gc.variable(rng.normal(size=s)), gc.variable(rng.normal(size=s[1:]))) for s in sizes]
    h = gc.constant(rng.normal(size=(4, 2)))
    for W, bias in params:
        h = gc.tanh(h @ W + bias)
    return params, (h * h).mean()


def test_gradients_of_layers_are_layers(run: Run) -> None:
    params, cost = parameters()
    (W1, b1), (W2, b2) = params
    flat = run(gc.grad(cost, [W1, b1, W2, b2]))
    found = gc.grad(cost, params)
    assert [type(layer) for layer in found] == [tuple, tuple]
    for one, expected in zip([g for layer in found for g in layer], flat, strict=True):
        np.testing.assert_array_equal(run(one), expected)
    value, again = gc.value_and_grad(cost, {"first": list(params[0]), "second": Layer(W2, b2)})
    assert value is cost
    assert list(again) == ["first", "second"]
    assert type(again["first"]) is list
    assert type(again["second"]) is Layer
    np.testing.assert_array_equal(run(again["second"].b), flat[3])


def test_what_is_none_has_no_gradient() -> None:
    (first, (W, _)), cost = parameters()
    found = gc.grad(cost, [first, (W, None)])
    assert found[1][1] is None
    with pytest.raises(gc.GradientError, match=r"\[E306\] wrt must be tensors, got NoneType"):
        gc.grad(cost, None)  # type: ignore[arg-type]
    with pytest.raises(gc.GradientError, match=r"\[E306\] wrt must be tensors, got str"):
        gc.grad(cost, [first, (W, "b")])


def test_nothing_gives_nothing() -> None:
    _, cost = parameters()
    assert gc.grad(cost, []) == []
    assert gc.grad(cost, {"conv": (), "dense": []}) == {"conv": (), "dense": []}


def test_products_by_nested_vectors(run: Run) -> None:
    params, cost = parameters()
    flat = [one for layer in params for one in layer]
    vectors = [(np.ones((2, 3)), [1.0, 2.0, 3.0]), (0.5, 1)]
    straight = [one for layer in vectors for one in layer]
    along = gc.jvp(cost, params, vectors)
    np.testing.assert_allclose(run(along), run(gc.jvp(cost, flat, straight)))
    product = gc.hvp(cost, params, vectors)
    assert [type(layer) for layer in product] == [tuple, tuple]
    for one, expected in zip(
        [p for layer in product for p in layer], run(gc.hvp(cost, flat, straight)), strict=True
    ):
        np.testing.assert_allclose(run(one), expected)


def test_nested_outputs_and_cotangents(run: Run) -> None:
    x = gc.placeholder("x", (2,), "float64")
    outputs = {"a": x * x, "rest": [gc.exp(x), (x.sum(),)]}
    cotangents = {"rest": [[1.0, 2.0], (3.0,)], "a": 10.0}  # dicts go by their keys
    point = np.array([1.0, 2.0])
    expected = 20 * point + [1, 2] * np.exp(point) + 3
    np.testing.assert_allclose(run(gc.vjp(outputs, x, cotangents), {x: point}), expected)
    moved = gc.jvp(outputs, x, 1.0)
    assert list(moved) == ["a", "rest"]
    assert run(moved["rest"][1][0], {x: point}) == 2


def test_jacobian_and_hessian_of_nested_tensors(run: Run) -> None:
    x, y = gc.placeholder("x", (2,), "float64"), gc.placeholder("y", (), "float64")
    point = {x: np.array([1.0, 2.0]), y: 3.0}
    slopes = gc.jacobian(x * y, {"all": (x, [y])})
    np.testing.assert_array_equal(run(slopes["all"][0], point), 3 * np.eye(2))
    np.testing.assert_array_equal(run(slopes["all"][1][0], point), [1, 2])
    blocks = gc.hessian((x * y).sum(), (x, [y]))
    np.testing.assert_array_equal(run(blocks[0][1][0], point), [1, 1])
    np.testing.assert_array_equal(run(blocks[1][0][0], point), [1, 1])


@pytest.mark.parametrize(
    ("vectors", "text"),
    [
        ([1.0, 1.0, 1.0, 1.0], "got 4, expected 2"),
        ([(1.0, 1.0), 1.0], "got 1, expected 2"),
        ([(1.0, 1.0, 1.0), (1.0, 1.0)], "got 3, expected 2"),
    ],
)
def test_vectors_of_another_structure(vectors: Any, text: str) -> None:
    params, cost = parameters()
    with pytest.raises(gc.GradientError, match=rf"\[E307\] tangents for wrt: {text}"):
        gc.jvp(cost, params, vectors)
