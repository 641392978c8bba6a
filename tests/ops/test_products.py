"""kron and cross: numpy, broadcasting, symbolic sizes, derivatives, errors."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.errors import DTypeError, FeedError, ShapeError

Compute = Callable[..., Any]


def draw(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(-9, 9, size=shape).astype(np.float32) for shape in shapes]


@pytest.mark.parametrize(
    "shapes", [((2, 3), (4, 2)), ((3,), (2, 2)), ((2, 1, 3), (2,)), ((), (3,)), ((0, 2), (3, 3))]
)
def test_kron(compute: Compute, shapes: tuple[tuple[int, ...], ...]) -> None:
    a, b = draw(*shapes)
    np.testing.assert_array_equal(compute(gc.kron, a, b), np.kron(a, b))


@pytest.mark.parametrize(
    "shapes, axis",
    [(((3,), (3,)), -1), (((4, 3), (3,)), -1), (((2, 1, 3), (5, 3)), -1), (((3, 4), (3, 4)), 0)],
)
def test_cross(compute: Compute, shapes: tuple[tuple[int, ...], ...], axis: int) -> None:
    a, b = draw(*shapes)
    found = compute(lambda x, y: gc.cross(x, y, axis), a, b)
    np.testing.assert_array_equal(found, np.cross(a, b, axis=axis))


def test_derivatives() -> None:
    for build, shapes in ((gc.kron, ((2, 3), (3, 2))), (gc.cross, ((2, 3), (3,)))):
        gc.verify_grad(lambda x, y, f=build: gc.sin(f(x, y)), [a / 9 for a in draw(*shapes)])


def test_errors() -> None:
    with pytest.raises(ShapeError, match="has size 2, not 3"):
        gc.cross(gc.placeholder("x", (4, 2)), gc.placeholder("y", (3,)))
    with pytest.raises(DTypeError, match="kron"):
        gc.kron(gc.placeholder("x", (2,), "bool"), gc.placeholder("y", (2,), "bool"))
    x = gc.placeholder("x", (None,))
    f = gc.function([x], gc.cross(x, gc.constant(np.ones(3, "float32"))))
    with pytest.raises(FeedError, match="sizes differ"):
        f(np.ones(4, "float32"))
