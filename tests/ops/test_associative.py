"""associative_scan on every backend beside a loop in numpy: structures, axes, sizes, errors."""

from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.errors import FeedError, FunctionError, ShapeError
from graphc.gradient_check import verify_grad
from graphc.ir.tensor import Tensor

BACKENDS = ("reference", "interpreter", "llvm", "numba_cpu")
each_backend = pytest.mark.parametrize("backend", BACKENDS)


def running(function: Any, x: np.ndarray, axis: int, reverse: bool) -> np.ndarray:
    """By the definition, for one array."""
    rows = list(np.moveaxis(x, axis, 0))
    rows = rows[::-1] if reverse else rows
    for number in range(1, len(rows)):
        rows[number] = function(rows[number - 1], rows[number])
    rows = rows[::-1] if reverse else rows
    return np.moveaxis(np.array(rows).reshape(np.moveaxis(x, axis, 0).shape), 0, axis)


@each_backend
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("length", [0, 1, 2, 7])
@pytest.mark.parametrize("static", [False, True])
def test_maxima(backend: str, reverse: bool, axis: int, length: int, static: bool) -> None:
    shape = [3, 4]
    shape[axis] = length
    values = np.random.default_rng(length).normal(size=shape)
    x = gc.placeholder("x", tuple(shape) if static else ("m", "n"), "float64")
    f = gc.function(
        [x], gc.associative_scan(gc.maximum, x, reverse=reverse, axis=axis), backend=backend
    )
    np.testing.assert_array_equal(f(values), running(np.maximum, values, axis, reverse))


@each_backend
@pytest.mark.parametrize("reverse", [False, True])
def test_products_of_matrices(backend: str, reverse: bool) -> None:
    values = np.random.default_rng(0).normal(size=(6, 2, 2))
    x = gc.placeholder("x", ("n", 2, 2), "float64")
    seen: list[Any] = []

    def product(left: Tensor, right: Tensor) -> Tensor:
        seen.append((left.shape, right.shape))
        return left @ right

    f = gc.function([x], gc.associative_scan(product, x, reverse), backend=backend)
    np.testing.assert_allclose(f(values), running(np.matmul, values, 0, reverse), rtol=1e-12)
    assert set(seen) == {((1, 2, 2), (1, 2, 2))}


def linear(left: dict[str, Tensor], right: dict[str, Tensor]) -> dict[str, Tensor]:
    a, b = left["a"], left["b"]
    return {"b": right["a"] * b + right["b"], "a": a * right["a"]}


@each_backend
def test_linear_recurrence_in_a_dict(backend: str) -> None:
    rng = np.random.default_rng(0)
    a, b = gc.placeholder("a", ("t", 3), "float64"), gc.placeholder("b", ("t", 3), "float64")
    found = gc.associative_scan(linear, {"a": a, "b": b})
    assert list(found) == ["a", "b"]
    assert found["b"].shape == b.shape
    f = gc.function([a, b], found["b"], backend=backend)
    for length in (5, 0, 1):
        one, two = rng.normal(size=(length, 3)), rng.normal(size=(length, 3))
        h, expected = np.zeros(3), []
        for t in range(length):
            h = one[t] * h + two[t]
            expected.append(h)
        np.testing.assert_allclose(f(one, two), np.array(expected).reshape(length, 3), rtol=1e-12)


@pytest.mark.parametrize("reverse", [False, True])
def test_gradient(reverse: bool) -> None:
    rng = np.random.default_rng(1)

    def build(a: Tensor, b: Tensor) -> Tensor:
        found: dict[str, Tensor] = gc.associative_scan(linear, {"a": a, "b": b}, reverse, axis=1)
        return found["b"] * found["a"]

    verify_grad(build, [rng.normal(size=(2, 5)), rng.normal(size=(2, 5))])


def test_gradient_with_symbolic_sizes() -> None:
    x = gc.placeholder("x", ("n",), "float64")
    total = gc.sum(gc.associative_scan(lambda a, b: a * b, x))
    f = gc.function([x], gc.grad(total, x))
    np.testing.assert_allclose(f(np.array([2.0, 3.0, 5.0])), [1 + 3 + 15, 2 + 10, 6])
    np.testing.assert_array_equal(f(np.array([7.0])), [1])
    assert f(np.zeros(0)).shape == (0,)


def test_batches() -> None:
    x = np.random.default_rng(0).normal(size=(4, 5, 2))
    p = gc.placeholder("x", ("b", 5, 2), "float64")
    f = gc.function([p], gc.vmap(lambda row: gc.associative_scan(gc.multiply, row))(p))
    np.testing.assert_allclose(f(x), np.cumprod(x, axis=1), rtol=1e-12)


def test_other_dtypes() -> None:
    x = gc.placeholder("x", ("n",), "bool")
    y = gc.placeholder("y", ("n",), "int32")
    found = gc.function(
        [x, y],
        gc.associative_scan(
            lambda a, b: (gc.logical_or(a[0], b[0]), gc.bitwise_xor(a[1], b[1])), (x, y)
        ),
    )
    one, two = found([False, True, False], np.array([1, 2, 3], "int32"))
    np.testing.assert_array_equal(one, [False, True, True])
    np.testing.assert_array_equal(two, np.array([1, 3, 0], "int32"))


def test_nothing_to_combine() -> None:
    assert gc.associative_scan(lambda a, b: a, ()) == ()


alone: Any = lambda a: a  # noqa: E731 - a function of one argument, whatever its type says


@pytest.mark.parametrize(
    ("build", "error", "text"),
    [
        (lambda x, y: gc.associative_scan(gc.add, x, axis=2), ShapeError, "axis 2"),
        (lambda x, y: gc.associative_scan(gc.add, 3.0), ShapeError, "no axis to run along"),
        (
            lambda x, y: gc.associative_scan(lambda a, b: a, (x, y)),
            ShapeError,
            "different sizes",
        ),
        (lambda x, y: gc.associative_scan(alone, x), FunctionError, "does not take 2"),
        (lambda x, y: gc.associative_scan(lambda a, b: (a, b), x), FunctionError, "structure"),
        (lambda x, y: gc.associative_scan(lambda a, b: gc.sum(a), x), FunctionError, "shape"),
    ],
)
def test_errors(build: Any, error: type[Exception], text: str) -> None:
    x, y = gc.placeholder("x", (3, 4)), gc.placeholder("y", (2, 4))
    with pytest.raises(error, match=text) as caught:
        build(x, y)
    assert "test_associative.py" in str(caught.value)


def test_sizes_that_differ_at_the_call() -> None:
    x, y = gc.placeholder("x", ("n",)), gc.placeholder("y", ("m",))
    f = gc.function([x, y], gc.associative_scan(lambda a, b: (a[0] + b[0], a[1] * b[1]), (x, y)))
    with pytest.raises(FeedError, match="sizes differ"):
        f(np.ones(3, "float32"), np.ones(4, "float32"))
