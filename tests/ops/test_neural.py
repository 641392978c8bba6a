"""relu, softmax and the cross-entropies: extreme values, gradients, labels that name no class."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special

import graphc as gc
from graphc import nn
from graphc.backends.reference.interpreter import evaluate_tensors
from graphc.errors import DTypeError, IndexOutOfRange, ShapeError

Compute = Callable[..., Any]
NAN, INF = np.nan, np.inf


def gradient(build: Callable[..., Any], *arrays: Any) -> Any:
    """By the first argument, of the sum."""
    held = [np.asarray(array) for array in arrays]
    held = [a.astype(np.float32) if a.dtype == np.float64 else a for a in held]
    inputs = [gc.placeholder(f"x{n}", a.shape, a.dtype) for n, a in enumerate(held)]
    result = gc.grad(gc.sum(build(*inputs)), inputs[0])
    return evaluate_tensors([result], dict(zip(inputs, held, strict=True)))[0]


def test_relu(compute: Compute) -> None:
    x = [-2.0, -0.0, 0.0, 3.0, NAN, INF, -INF]
    np.testing.assert_array_equal(compute(gc.relu, x), [0, 0, 0, 3, NAN, INF, 0])
    assert gradient(gc.relu, [-1.0, 0.0, 2.0]).tolist() == [0, 0, 1]
    assert compute(gc.relu, np.array([-3, 3])).tolist() == [0, 3]


def test_softmax_at_extremes(compute: Compute) -> None:
    x = np.array([[1000, 1000, -INF], [0, -800, 0], [-1e30, 1e30, 0]], np.float32)
    plain, logs = compute(lambda x: (gc.softmax(x), nn.log_softmax(x)), x)
    np.testing.assert_allclose(
        plain, [[0.5, 0.5, 0.0], [0.5, 0.0, 0.5], [0.0, 1.0, 0.0]], rtol=1e-6
    )
    half = -np.log(2)
    expected = np.array([[half, half, -INF], [half, -800 + half, half], [-2e30, 0, -1e30]])
    np.testing.assert_allclose(logs, expected, rtol=1e-6)


def test_softmax_without_a_largest_element(compute: Compute) -> None:
    x = np.array([[-INF, -INF], [NAN, 0], [INF, INF]], np.float32)
    assert np.isnan(compute(gc.softmax, x)).all()


def test_softmax_over_another_axis_and_over_nothing(compute: Compute) -> None:
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    columns = compute(lambda x: gc.softmax(x, axis=0), x)
    np.testing.assert_allclose(columns, scipy.special.softmax(x, axis=0), rtol=1e-6)
    assert compute(gc.softmax, np.zeros((3, 0), np.float32)).shape == (3, 0)


def test_sparse_cross_entropy(compute: Compute) -> None:
    z = np.array([[0, 0], [1000, 0], [1000, 0], [-INF, 0]], np.float32)
    labels = np.array([1, 0, 1, 1])
    loss = compute(nn.sparse_softmax_cross_entropy, z, labels)
    np.testing.assert_allclose(loss, np.array([np.log(2), 0, 1000, 0]), rtol=1e-6)
    slope = gradient(nn.sparse_softmax_cross_entropy, z, labels)
    np.testing.assert_allclose(slope, [[0.5, -0.5], [0.0, 0.0], [1.0, -1.0], [0.0, 0.0]], atol=1e-7)


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8"])
def test_labels_of_any_integer_dtype(compute: Compute, dtype: str) -> None:
    z = np.random.default_rng(0).normal(size=(2, 3, 5)).astype(np.float32)
    labels = np.array([[0, 1, 2], [3, 4, 0]], dtype)
    loss = compute(nn.sparse_softmax_cross_entropy, z, labels)
    logs = scipy.special.log_softmax(z.astype(np.float64), axis=-1)
    expected = -np.take_along_axis(logs, labels[..., None].astype(int), axis=-1)[..., 0]
    np.testing.assert_allclose(loss, expected, rtol=2e-6)


def test_dense_cross_entropy(compute: Compute) -> None:
    z = np.array([[1000, 0], [0, -INF], [1, 2]], np.float32)
    y = np.array([[0.5, 0.5], [1, 0], [0, 2]], np.float32)
    loss = compute(nn.softmax_cross_entropy, z, y)
    np.testing.assert_allclose(loss, [500, 0, 2 * np.log(1 + np.exp(-1))], rtol=1e-6)
    slope = gradient(nn.softmax_cross_entropy, z, y)
    p = 1 / (1 + np.exp(-1))
    expected = np.array([[0.5, -0.5], [0, 0], [2 * (1 - p), 2 * p - 2]])
    np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-7)


def test_sigmoid_cross_entropy(compute: Compute) -> None:
    z, y = [1000.0, 1000.0, -1000.0, -1000.0, 0.0], [1.0, 0.0, 1.0, 0.0, 0.5]
    loss = compute(nn.sigmoid_cross_entropy, z, y)
    np.testing.assert_allclose(loss, np.array([0, 1000, 1000, 0, np.log(2)]), rtol=1e-6)
    assert gradient(nn.sigmoid_cross_entropy, z, y).tolist() == [0, 1, -1, 0, 0]


# --- labels ------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [-1, 3])
def test_labels_that_name_no_class(compute: Compute, bad: int) -> None:
    z, labels = np.zeros((2, 3), np.float32), np.array([0, bad])
    with pytest.raises(IndexOutOfRange, match=str(bad)) as caught:
        compute(nn.sparse_softmax_cross_entropy, z, labels)
    assert "test_neural.py:" in str(caught.value) or "conftest.py:" in str(caught.value)
    scores = gc.placeholder("scores", (2, 3))
    with pytest.raises(IndexOutOfRange, match=f"label {bad} is out of range") as static:
        nn.sparse_softmax_cross_entropy(scores, labels)
    assert "test_neural.py:" in str(static.value)


@pytest.mark.parametrize("bad", [-1, 3])
def test_the_gradient_alone_checks_labels(compute: Compute, bad: int) -> None:
    def slope(z: Any, labels: Any) -> Any:
        return gc.grad(gc.sum(nn.sparse_softmax_cross_entropy(z, labels)), z)

    with pytest.raises(IndexOutOfRange, match=str(bad)):
        compute(slope, np.zeros((2, 3), np.float32), np.array([0, bad]))


def test_errors_name_the_line() -> None:
    z, y = gc.placeholder("z", (2, 3)), gc.placeholder("y", (2,), "int64")
    cases: list[tuple[type[Exception], str, Callable[[], Any]]] = [
        (DTypeError, "class numbers", lambda: nn.sparse_softmax_cross_entropy(z, z[:, 0])),
        (ShapeError, "do not fit logits", lambda: nn.sparse_softmax_cross_entropy(z, y[0])),
        (ShapeError, "differ along axis 0", lambda: nn.sparse_softmax_cross_entropy(z[:1], y)),
        (ShapeError, "differ in rank", lambda: nn.softmax_cross_entropy(z, y)),
        (ShapeError, "differ along axis 1", lambda: nn.softmax_cross_entropy(z, z[:, :2])),
        (ShapeError, "axis 2 is out of range", lambda: gc.softmax(z, axis=2)),
        (ShapeError, "is a scalar", lambda: gc.softmax(gc.placeholder("s"))),
    ]
    for error, text, build in cases:
        with pytest.raises(error, match=text) as caught:
            build()
        assert "test_neural.py:" in str(caught.value)
