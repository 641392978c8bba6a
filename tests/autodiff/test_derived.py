"""jacobian, hessian and hvp against loops and against each other."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.ir.traversal import topological_order

Run = Callable[..., Any]


def test_jacobian_of_a_product(run: Run, rng: np.random.Generator) -> None:
    matrix = rng.normal(size=(3, 4))
    x = gc.placeholder("x", (4,), "float64")
    np.testing.assert_allclose(run(gc.jacobian(gc.matmul(matrix, x), x), {x: np.ones(4)}), matrix)


@pytest.mark.parametrize(
    ("y_of", "shape"),
    [
        (lambda x: gc.sin(x).sum(axis=0), (3, 2)),  # fewer rows: reverse
        (lambda x: gc.reshape(gc.sin(x), (3, 1)) * np.ones((1, 4)), (3,)),  # fewer columns
        (lambda x: (x * x).sum(), (2, 2)),
        (lambda x: gc.exp(x), ()),
        (lambda x: gc.exp(x), (2, 0)),
    ],
)
def test_jacobian_equals_a_loop(
    y_of: Callable[[Any], Any], shape: tuple[int, ...], run: Run, rng: np.random.Generator
) -> None:
    x = gc.placeholder("x", shape, "float64")
    y = y_of(x)
    point = rng.normal(size=shape)
    found = run(gc.jacobian(y, x), {x: point})
    assert found.shape == (*y.shape, *shape)
    value = run(y, {x: point})
    for j in np.ndindex(*shape):
        step = np.zeros(shape)
        step[j] = 1e-6
        up, down = run(y, {x: point + step}), run(y, {x: point - step})
        slope = found[(slice(None),) * value.ndim + j]
        np.testing.assert_allclose(slope, (up - down) / 2e-6, rtol=1e-6, atol=1e-8)


def test_jacobian_with_one_symbolic_side(run: Run) -> None:
    x = gc.placeholder("x", ("n",), "float64")
    y = gc.stack([x.sum(), (x * x).sum()])
    rows = run(gc.jacobian(y, x), {x: [1.0, 2, 3]})
    np.testing.assert_array_equal(rows, [[1, 1, 1], [2, 4, 6]])
    s = gc.placeholder("s", (2,), "float64")
    columns = run(gc.jacobian(x * s[0] + s[1], s), {x: [5.0, 6, 7], s: [1.0, 1]})
    np.testing.assert_array_equal(columns, [[5, 1], [6, 1], [7, 1]])


def test_jacobian_has_the_dtype_of_the_output() -> None:
    x = gc.placeholder("x", (3,), "float32")
    assert gc.jacobian(x.astype("float64").sum(), x).dtype == "float64"


def test_a_large_jacobian_is_a_small_graph(run: Run) -> None:
    x = gc.placeholder("x", (1500,), "float64")
    found = gc.jacobian(gc.exp(x), x)
    assert len(topological_order([found])) < 40
    np.testing.assert_allclose(run(found, {x: np.zeros(1500)}), np.eye(1500))


@pytest.mark.parametrize("size", [0, 1, 3])
def test_derivatives_of_symbolic_sizes(size: int, run: Run) -> None:
    x = gc.placeholder("x", ("n",), "float64")
    point = np.arange(1.0, 1 + size)
    both = [gc.jacobian(gc.exp(x) * x.sum(), x), gc.hessian((x * x * x).sum(), x)]
    first, second = run(both, {x: point})
    np.testing.assert_allclose(first, np.exp(point)[:, None] + np.diag(np.exp(point) * point.sum()))
    np.testing.assert_allclose(second, np.diag(6 * point))


def test_a_jacobian_through_a_loop_is_one_loop(run: Run, rng: np.random.Generator) -> None:
    x = gc.placeholder("x", (3,), "float64")
    matrix = rng.normal(size=(3, 3))
    last, _ = gc.scan(lambda h, _: (gc.tanh(h @ matrix), None), x, None, length=4)
    found = gc.jacobian(last, x)
    assert [n.op.name for n in topological_order([found])].count("scan") <= 2
    point = start = rng.normal(size=3)
    expected = np.eye(3)
    for _ in range(4):
        point = np.tanh(point @ matrix)
        expected = np.diag(1 - point**2) @ matrix.T @ expected
    np.testing.assert_allclose(run(found, {x: start}), expected, rtol=1e-12)


def rosenbrock(x: Any) -> Any:
    return (100 * gc.square(x[1:] - gc.square(x[:-1])) + gc.square(1 - x[:-1])).sum()


def test_hessian_of_rosenbrock(run: Run) -> None:
    x = gc.placeholder("x", (2,), "float64")
    found = run(gc.hessian(rosenbrock(x), x), {x: [-1.2, 1.0]})
    np.testing.assert_allclose(found, [[1330, 480], [480, 200]], rtol=1e-12)


def test_hvp_equals_the_hessian_times_the_vector(run: Run, rng: np.random.Generator) -> None:
    x = gc.placeholder("x", (5,), "float64")
    vector, point = rng.normal(size=5), rng.normal(size=5)
    cost = rosenbrock(x) + gc.sin(x).sum() * gc.exp(x[0])
    product, matrix = run([gc.hvp(cost, x, vector), gc.hessian(cost, x)], {x: point})
    np.testing.assert_allclose(product, matrix @ vector, rtol=1e-10)
    np.testing.assert_allclose(matrix, matrix.T, rtol=1e-10, atol=1e-12)


def test_blocks_of_several_inputs(run: Run) -> None:
    x, y = gc.placeholder("x", (2,), "float64"), gc.placeholder("y", dtype="float64")
    cost = (x * x).sum() * y + y * y * y
    (xx, xy), (yx, yy) = gc.hessian(cost, [x, y])
    values = run([xx, xy, yx, yy], {x: [1, 2], y: 3})
    np.testing.assert_allclose(values[0], 6 * np.eye(2))
    np.testing.assert_allclose(values[1], [2, 4])
    np.testing.assert_allclose(values[2], [2, 4])
    np.testing.assert_allclose(values[3], 18)
    along = run(gc.hvp(cost, [x, y], [np.array([1.0, 0]), 1.0]), {x: [1, 2], y: 3})
    np.testing.assert_allclose(along[0], [8, 4])
    np.testing.assert_allclose(along[1], 20)


def test_second_derivatives_of_a_linear_cost_are_zero(run: Run) -> None:
    x = gc.placeholder("x", (2,))
    cost = (3 * x).sum()
    assert run(gc.hvp(cost, x, 1.0)).tolist() == [0, 0]
    assert run(gc.hessian(cost, x)).tolist() == [[0, 0], [0, 0]]
