"""Resized images against loops over the definition, derivatives, sizes and errors."""

from math import floor
from typing import Any

import numpy as np
import pytest

import graphc as gc

RNG = np.random.default_rng(0)


def resized(x: np.ndarray, axis: int, size: int, linear: bool) -> np.ndarray:
    """The definition along one axis, in float64."""
    n = x.shape[axis]
    rows = []
    for i in range(size):
        if not linear:
            rows.append(np.take(x, floor((i + 0.5) * n / size), axis))
            continue
        c = min(max((i + 0.5) * n / size - 0.5, 0), n - 1)
        low = floor(c)
        high = min(low + 1, n - 1)
        rows.append(np.take(x, low, axis) * (1 - c + low) + np.take(x, high, axis) * (c - low))
    return np.stack(rows, axis)


def run(build: Any, x: np.ndarray, symbolic: bool = False) -> np.ndarray:
    shape = tuple(f"n{axis}" for axis in range(x.ndim)) if symbolic else x.shape
    entry = gc.placeholder("x", shape, x.dtype)
    found: np.ndarray = gc.function([entry], build(entry))(x)
    return found


@pytest.mark.parametrize("symbolic", [False, True])
@pytest.mark.parametrize("method", ["nearest", "linear"])
@pytest.mark.parametrize(
    ("shape", "sizes"),
    [
        ((2, 3, 5), (8,)),
        ((1, 2, 7), (3,)),
        ((2, 1, 4, 5), (8, 7)),
        ((1, 2, 1, 6), (3, 1)),
        ((1, 1, 2, 3, 4), (3, 3, 9)),
        ((0, 2, 3), (5,)),
    ],
)
def test_resize(shape: Any, sizes: Any, method: str, symbolic: bool) -> None:
    x = RNG.normal(size=shape)
    expected = x
    for number, size in enumerate(sizes):
        expected = resized(expected, 2 + number, size, method == "linear")
    found = run(lambda x: gc.nn.resize(x, sizes, method=method), x, symbolic)
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-13)
    layout = {3: "NWC", 4: "NHWC", 5: "NDHWC"}[x.ndim]
    again = run(
        lambda x: gc.nn.resize(x, sizes, method=method, layout=layout),
        np.moveaxis(x, 1, -1),
        symbolic,
    )
    np.testing.assert_array_equal(np.moveaxis(again, -1, 1), found)


@pytest.mark.parametrize("symbolic", [False, True])
def test_upsample(symbolic: bool) -> None:
    x = np.array([[1, 2], [3, 4]], "int32")[None, None]
    found = run(lambda x: gc.nn.upsample(x, (1, 2)), x, symbolic)
    assert found.dtype == "int32" and found[0, 0].tolist() == [[1, 1, 2, 2], [3, 3, 4, 4]]
    y = RNG.normal(size=(2, 3, 4, 5))
    np.testing.assert_array_equal(
        run(gc.nn.upsample, y, symbolic), y.repeat(2, axis=2).repeat(2, axis=3)
    )
    found = run(lambda x: gc.nn.upsample(x, 3, method="bilinear"), y, symbolic)
    np.testing.assert_allclose(
        found, resized(resized(y, 2, 12, True), 3, 15, True), rtol=1e-13, atol=1e-13
    )


def test_dtypes() -> None:
    x = np.arange(6).reshape(1, 1, 6)
    assert run(lambda x: gc.nn.resize(x, 4), x).dtype == "int64"
    assert run(lambda x: gc.nn.resize(x, 4, method="linear"), x).dtype == "float32"
    half = run(lambda x: gc.nn.resize(x, 4, method="linear"), x.astype("float16"))
    assert half.dtype == "float16" and half[0, 0].tolist() == [0.25, 1.75, 3.25, 4.75]


@pytest.mark.parametrize(
    "build",
    [
        lambda x: gc.nn.upsample(x, 2),
        lambda x: gc.nn.resize(x, (3, 7), method="bilinear"),
        lambda x: gc.nn.resize(x, (5, 2)),
    ],
)
def test_gradients(build: Any) -> None:
    gc.verify_grad(lambda x: gc.tanh(build(x)), [RNG.normal(size=(2, 1, 4, 3))])


X = gc.placeholder("x", (1, 2, 4, 4))


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: gc.nn.resize(X, 0), "size=0"),
        (lambda: gc.nn.resize(X, (1, 2, 3)), "size=(1, 2, 3)"),
        (lambda: gc.nn.resize(X, 3, method="cubic"), "method='cubic'"),
        (lambda: gc.nn.resize(X, 3, method="trilinear"), '"nearest" or "linear" or "bilinear"'),
        (lambda: gc.nn.upsample(X, (0, 2)), "factor=(0, 2)"),
        (lambda: gc.nn.upsample(X[0, 0]), "x has 2 axes"),
        (lambda: gc.nn.resize(gc.zeros((1, 2, 0, 4)), 3), "no entries along axis 2"),
    ],
)
def test_errors_say_what_and_where(build: Any, text: str) -> None:
    with pytest.raises(gc.ShapeError) as caught:
        build()
    assert text in str(caught.value)
    assert "test_resizing.py" in str(caught.value)


def test_no_entries_at_the_call() -> None:
    x = gc.placeholder("x", (1, 1, "n"))
    f = gc.function([x], gc.nn.resize(x, 3))
    with pytest.raises(gc.GraphcError, match="take"):
        f(np.zeros((1, 1, 0), "float32"))
