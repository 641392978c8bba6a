"""Products in loops by an operand that was packed before the loop."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.ir.tensor import Tensor

Array = np.ndarray[Any, Any]

KEEPS = "call void @keep_"


def recurrence(x: Tensor, W: Tensor, transposed: bool, gated: bool) -> Any:
    """h = x_t + h @ W, with or without a function of it behind the product."""

    def step(h: Tensor, xt: Tensor) -> Any:
        z = xt + h @ (W.T if transposed else W)
        h = gc.tanh(z) if gated else z
        return h, h

    return gc.scan(step, gc.sum(x, axis=0) * 0, x)


def data(length: int, rows: int, width: int, dtype: str) -> tuple[Array, Array]:
    rng = np.random.default_rng(rows + width)
    x = rng.normal(size=(length, rows, width))
    W = rng.normal(size=(width, width)) / np.sqrt(width)
    return x.astype(dtype), W.astype(dtype)


def wanted(x: Array, W: Array, transposed: bool, gated: bool) -> Array:
    h, found = np.zeros(x.shape[1:]), []
    for xt in x.astype("float64"):
        z = xt + h @ (W.T if transposed else W).astype("float64")
        h = np.tanh(z) if gated else z
        found.append(h)
    return np.array(found)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("gated", [False, True])
def test_any_number_of_rows(dtype: str, transposed: bool, gated: bool) -> None:
    """One function for all batch sizes, the same bits on one thread and on two."""
    for width in (33, 300):
        x = gc.placeholder("x", ("t", "n", width), dtype)
        W = gc.placeholder("W", (width, width), dtype)
        _, h = recurrence(x, W, transposed, gated)
        one = gc.function([x, W], h, threads=1, cache=False)
        two = gc.function([x, W], h, threads=2, cache=False)
        assert KEEPS in one.llvm()
        for rows in (1, 2, 11, 32, 97, 201):
            xs, w = data(3, rows, width, dtype)
            found = one(xs, w)
            tolerance = 2e-5 if dtype == "float32" else 1e-13
            scale = np.abs(found).max()
            exact = wanted(xs, w, transposed, gated)
            np.testing.assert_allclose(found, exact, rtol=tolerance, atol=tolerance * scale)
            assert two(xs, w).tobytes() == found.tobytes()
        none = one(np.zeros((0, 4, width), dtype), data(1, 4, width, dtype)[1])
        assert none.shape == (0, 4, width)
        none = one(np.zeros((3, 0, width), dtype), data(1, 4, width, dtype)[1])
        assert none.shape == (3, 0, width)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("columns", [2, 3, 4, 5, 8, 20, 70])
def test_weights_of_few_columns(columns: int, transposed: bool, dtype: str) -> None:
    """Dot products with columns that are copied once, or tiles half a vector wide."""
    rng = np.random.default_rng(columns)
    for inner in (50, 700):
        shape = (columns, inner) if transposed else (inner, columns)
        h, W = gc.placeholder("h", ("n", inner), dtype), gc.placeholder("W", shape, dtype)

        def step(i: Tensor, h: Tensor, W: Tensor = W) -> Tensor:
            return gc.tanh(h + gc.sum(h @ (W.T if transposed else W), axis=1, keepdims=True))

        last = gc.fori_loop(0, 3, step, h)
        one, two = (gc.function([h, W], last, threads=n, cache=False) for n in (1, 2))
        assert KEEPS in one.llvm()
        weights = (rng.normal(size=shape) / inner).astype(dtype)
        factor = weights.astype("float64").T if transposed else weights.astype("float64")
        for rows in (0, 1, 4, 30, 201):
            start = rng.normal(size=(rows, inner)).astype(dtype)
            found, exact = one(start, weights), start.astype("float64")
            for _ in range(3):
                exact = np.tanh(exact + (exact @ factor).sum(axis=1, keepdims=True))
            np.testing.assert_allclose(found, exact, atol=1e-5 if dtype == "float32" else 1e-13)
            assert two(start, weights).tobytes() == found.tobytes()


def results(outputs: Any, inputs: Sequence[Tensor], arrays: Sequence[Array]) -> None:
    found = gc.function(list(inputs), outputs, cache=False)(*arrays)
    exact = gc.function(list(inputs), outputs, backend="reference")(*arrays)
    for one, other in zip(found, exact, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10)


def test_gradient_and_several_weights() -> None:
    """Two weights in one body, one of them used twice, and the loop backwards."""
    width = 40
    x, W = (
        gc.placeholder("x", ("t", 6, width), "float64"),
        gc.placeholder("W", (width,) * 2, "float64"),
    )
    V = gc.placeholder("V", (width,) * 2, "float64")

    def step(carry: tuple[Tensor, Tensor], xt: Tensor) -> Any:
        h, c = carry
        h = gc.tanh(xt + h @ W + c @ V)
        return (h, gc.sigmoid(h @ V - c @ W)), h

    zero = x[0] * 0
    _, h = gc.scan(step, (zero, zero), x)
    loss = gc.sum(h * h)
    xs, w = data(5, 6, width, "float64")
    v = data(5, 7, width, "float64")[1]
    results([loss, *gc.grad(loss, [x, W, V])], [x, W, V], [xs, w, v])


def test_loops_in_loops() -> None:
    width = 36
    x, W = (
        gc.placeholder("x", (4, 5, width), "float64"),
        gc.placeholder("W", (width,) * 2, "float64"),
    )

    def inner(h: Tensor, xt: Tensor) -> Any:
        h = gc.sin(h @ W + xt)
        return h, h

    def outer(h: Tensor, factor: Tensor) -> Any:
        h, _ = gc.scan(inner, h @ W.T, x * factor)
        return h, h @ W

    xs, w = data(4, 5, width, "float64")
    results(gc.scan(outer, x[0], gc.constant(np.arange(1.0, 4.0))), [x, W], [xs, w])


def test_weights_that_change_are_not_kept() -> None:
    width = 34
    x, W = (
        gc.placeholder("x", (4, 5, width), "float64"),
        gc.placeholder("W", (width,) * 2, "float64"),
    )

    def step(V: Tensor, xt: Tensor) -> Any:
        h = xt @ V
        return V - 0.01 * (xt.T @ h), h

    outputs = gc.scan(step, W, x)
    assert KEEPS not in gc.function([x, W], outputs, cache=False).llvm()
    xs, w = data(4, 5, width, "float64")
    results(outputs, [x, W], [xs, w])
