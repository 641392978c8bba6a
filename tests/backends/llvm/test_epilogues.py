"""Products with an epilogue: the same as one after the other, at all sizes, on any threads."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.shapes import evaluate

Array = np.ndarray[Any, Any]
Expression = Callable[[gc.Tensor, gc.Tensor, gc.Tensor], list[gc.Tensor]]

EXPRESSIONS: dict[str, Expression] = {
    "bias and activation": lambda x, w, b: [gc.tanh(x @ w + b)],
    "both are wanted": lambda x, w, b: (lambda t: [t, gc.tanh(t + b)])(x @ w),
    "scaled": lambda x, w, b: [2.0 * (x @ w)],
    "residual": lambda x, w, b: (lambda h: [h + gc.tanh(h @ (w.T @ w))])(x @ w),
    "operand in the epilogue": lambda x, w, b: (lambda h: [h * gc.sigmoid(h @ (w.T @ w) + b)])(
        gc.exp(x @ w)
    ),
    "a sum of each row": lambda x, w, b: [gc.sum(gc.tanh(x @ w + b), axis=1)],
    "softmax of each row": lambda x, w, b: [gc.nn.softmax(x @ w + b, axis=1)],
    "other type": lambda x, w, b: [gc.astype(x @ w > 0.5, "int32")],
    "of a batch that is one matrix": lambda x, w, b: [
        gc.nn.relu(gc.reshape(x, (-1, 1, x.shape[1])) @ w + b)
    ],
}
SIZES = [(0, 3, 4), (5, 0, 6), (5, 6, 0), (1, 7, 5), (7, 5, 1), (1, 5, 0), (33, 40, 50)]
SIZES += [(200, 20, 70), (130, 300, 33)]


def arrays(n: int, k: int, m: int) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(n + k + m)
    x, w, b = (0.2 * rng.normal(size=size) for size in ((n, k), (k, m), (m,)))
    return x.astype("float32"), w.astype("float32"), b.astype("float32")


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_as_one_after_the_other(name: str) -> None:
    x, w = gc.placeholder("x", ("n", "k")), gc.placeholder("w", ("k", "m"))
    b = gc.placeholder("b", ("m",))
    results = EXPRESSIONS[name](x, w, b)
    f = gc.function([x, w, b], results, backend="llvm", on_unused_input="ignore")
    exact = gc.function([x, w, b], results, backend="reference", on_unused_input="ignore")
    assert ".rows, ptr %" in f.llvm()
    for sizes in SIZES:
        given = arrays(*sizes)
        if name == "of a batch that is one matrix" and 0 in sizes:
            continue
        for found, wanted in zip(f(*given), exact(*given), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-5, err_msg=str(sizes))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_update_in_the_memory_of_the_product(threads: int) -> None:
    """No temporary is touched for the gradient, and the number of threads shows nowhere."""
    rng = np.random.default_rng(0)
    first = rng.normal(size=(301, 203)).astype("float32")
    w = gc.variable(first, "w")
    x, d = gc.placeholder("x", ("n", 301)), gc.placeholder("d", ("n", 203))
    step = gc.function([x, d], None, updates=[(w, w - 0.1 * (x.T @ d))], threads=threads)
    exact = first
    for n in (128, 1, 300):
        a = rng.normal(size=(n, 301)).astype("float32")
        b = rng.normal(size=(n, 203)).astype("float32")
        step(a, b)
        exact = exact - np.float32(0.1) * (a.T @ b)
    np.testing.assert_allclose(w.value, exact, atol=1e-4)
    text = step.llvm()
    assert re.search(r"call void @gemm_f32_tn[\w.]*\(.*@e\d+\.rows", text)
    assert abs(float(np.sum(w.value)) - KNOWN.setdefault("sum", float(np.sum(w.value)))) == 0.0


KNOWN: dict[str, float] = {}


FINISHED: dict[str, Callable[..., gc.Tensor]] = {
    "update": lambda t, w, b, s: w - s * t,
    "bias": lambda t, w, b, s: gc.nn.relu(t + b),
    "gradient of an activation": lambda t, w, b, s: t * (1.0 - w * w),
    "rows scaled": lambda t, w, b, s: t * gc.expand_dims(w[:, 0], 1),
}


@pytest.mark.parametrize("name", FINISHED)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_in_registers(name: str, dtype: str) -> None:
    """Whole tiles and edges, one step over k and several, any threads: the same bits as by rows."""
    x, y = gc.placeholder("x", ("n", "k"), dtype), gc.placeholder("y", ("k", "m"), dtype)
    w, b = gc.placeholder("w", ("n", "m"), dtype), gc.placeholder("b", ("m",), dtype)
    s = gc.placeholder("s", (), dtype)
    given = [x, y, w, b, s]
    results = FINISHED[name](x @ y, w, b, s)
    f, g = (
        gc.function(given, results, backend="llvm", threads=threads, on_unused_input="ignore")
        for threads in (1, 3)
    )
    plain = gc.function([x, y], x @ y, backend="llvm", threads=1)
    t = gc.placeholder("t", ("n", "m"), dtype)
    after = gc.function(
        [t, *given[2:]], FINISHED[name](t, w, b, s), backend="llvm", on_unused_input="ignore"
    )
    assert re.search(r"define internal void @e\d+\.tile_\d_\d\(", f.llvm())
    rng = np.random.default_rng(0)
    for n, k, m in ((1, 3, 1), (5, 0, 6), (6, 7, 16), (13, 0, 130), (13, 300, 33), (260, 600, 70)):
        shapes = ((n, k), (k, m), (n, m), (m,), ())
        arrays = [np.asarray(rng.normal(size=shape)).astype(dtype) for shape in shapes]
        found = f(*arrays)
        wanted = after(plain(*arrays[:2]), *arrays[2:])
        np.testing.assert_array_equal(found, wanted, err_msg=str((n, k, m)))
        assert g(*arrays).tobytes() == found.tobytes()


def test_tiles_of_equal_text_are_one_function() -> None:
    x = gc.placeholder("x", (40, 48))
    weights = [gc.placeholder(f"w{n}", (48, n)) for n in (64, 128)]
    added = [gc.placeholder(f"b{n}", (40, n)) for n in (64, 128)]
    results = [gc.nn.relu(x @ w + b) for w, b in zip(weights, added, strict=True)]
    f = gc.function([x, *weights, *added], results, backend="llvm", threads=1)
    tiles = re.findall(r"define internal void @e\d+(\.tile_.*?\n}\n)", f.llvm(), re.DOTALL)
    assert tiles and len({*tiles}) == len(tiles)
    arrays = [np.ones(one.shape, "float32") for one in (x, *weights, *added)]
    for found in f(*arrays):
        np.testing.assert_array_equal(found, np.full(found.shape, 49, "float32"))


BATCHED: dict[str, Expression] = {
    "softmax": lambda q, k, b: [gc.nn.softmax(q @ k.mT * 0.3, axis=-1)],
    "bias and activation": lambda q, k, b: [gc.tanh(q @ k.mT + b)],
    "two results": lambda q, k, b: (lambda t: [t, gc.sum(gc.exp(t), axis=-1)])(q @ k.mT + b),
    "one matrix for all": lambda q, k, b: [gc.nn.relu(q.mT @ k[0, 0] + 1.0)],
    "cells": lambda q, k, b: [gc.tanh(q @ k.mT)],
}


@pytest.mark.parametrize("name", BATCHED)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_of_a_batch(name: str, dtype: str) -> None:
    """Matrices of a batch, small and large ones, on one thread and on several: the same bits."""
    q, k = (gc.placeholder(n, ("b", 2, s, "d"), dtype) for n, s in (("q", "n"), ("k", "m")))
    bias = gc.placeholder("bias", ("m",), dtype)
    results = BATCHED[name](q, k, bias)
    given = [q, k, bias]
    fs = [
        gc.function(given, results, backend=backend, threads=threads, on_unused_input="ignore")
        for backend, threads in (("llvm", 1), ("llvm", 3), ("reference", None))
    ]
    assert name == "one matrix for all" or "_followed(ptr %frame" in fs[0].llvm()
    rng = np.random.default_rng(0)
    for b, n, m, d in (
        (0, 3, 4, 5),
        (1, 1, 1, 1),
        (2, 31, 47, 5),
        (3, 7, 130, 19),
        (1, 600, 601, 64),
    ):
        if name == "one matrix for all" and (b == 0 or n != m):
            m = n
            b = max(b, 1)
        shapes = ((b, 2, n, d), (b, 2, m, d), (m,))
        arrays = [(0.3 * rng.normal(size=shape)).astype(dtype) for shape in shapes]
        one, several, exact = (f(*arrays) for f in fs)
        for first, second, third in zip(one, several, exact, strict=True):
            np.testing.assert_array_equal(first, second)
            np.testing.assert_allclose(first, third, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("kind", ["for all heads", "for all", "of columns", "causal"])
def test_mask_that_is_broadcast(kind: str) -> None:
    """Scores under a mask: the softmax follows the product, for any sizes, forward and back."""
    b, n = gc.dim("b"), gc.dim("n")
    shapes = {"for all heads": (b, 1, n, n), "for all": (n, n), "of columns": (b, 1, 1, n)}
    q, k = gc.placeholder("q", (b, 3, n, 8)), gc.placeholder("k", (b, 3, n, 8))
    inputs = [q, k]
    if kind == "causal":
        mask = gc.arange(n)[:, None] >= gc.arange(n)
    else:
        mask = gc.placeholder("mask", shapes[kind], "bool")
        inputs.append(mask)
    weights = gc.softmax(gc.where(mask, q @ k.mT, -1e9), axis=-1)
    results = [weights, *gc.grad(gc.sum(weights * weights), [q, k])]
    one, several, exact = (
        gc.function(inputs, results, backend=backend, threads=threads)
        for backend, threads in (("llvm", 1), ("llvm", 3), ("reference", None))
    )
    assert one.llvm().count(".rows, ptr %") >= 2
    rng = np.random.default_rng(0)
    for sizes in ((2, 31), (0, 3), (2, 0), (1, 1), (1, 130)):
        bound = {"b": sizes[0], "n": sizes[1]}
        arrays = []
        for tensor in inputs:
            shape = [evaluate(size, bound) for size in tensor.shape]
            made = rng.normal(size=shape)
            arrays.append(made > -1 if tensor.dtype == gc.bool else made.astype("float32"))
        found = zip(one(*arrays), several(*arrays), exact(*arrays), strict=True)
        for first, second, third in found:
            np.testing.assert_array_equal(first, second)
            np.testing.assert_allclose(first, third, rtol=2e-5, atol=2e-5)


def test_many_layers_share_routines() -> None:
    """Ten layers of one shape: one product, one epilogue."""
    x, h = gc.placeholder("x", (96, 80)), None
    h = x
    weights = [gc.placeholder(f"w{k}", (80, 80)) for k in range(10)]
    for w in weights:
        h = gc.tanh(h @ w)
    f = gc.function([x, *weights], h, backend="llvm")
    text = f.llvm()
    assert len(re.findall(r"define internal void @gemm_\w+\(", text)) == 1
    assert len(re.findall(r"define internal void @e\d+\.range\(", text)) == 1
    rng = np.random.default_rng(0)
    a = rng.normal(size=(96, 80)).astype("float32")
    values = [(0.1 * rng.normal(size=(80, 80))).astype("float32") for _ in weights]
    exact = a
    for value in values:
        exact = np.tanh(exact @ value)
    np.testing.assert_allclose(f(a, *values), exact, atol=1e-5)


def test_in_loops() -> None:
    """A recurrent step: the state is an operand, the epilogue writes the next state."""
    w = gc.placeholder("w", (40, 40))
    xs, start = gc.placeholder("xs", ("t", "n", 40)), gc.placeholder("h", ("n", 40))

    def step(h: gc.Tensor, x: gc.Tensor) -> tuple[gc.Tensor, gc.Tensor]:
        following = gc.tanh(h @ w + x)
        return following, following

    last, states = gc.scan(step, start, xs)
    f = gc.function([w, xs, start], [last, states], backend="llvm")
    rng = np.random.default_rng(0)
    for t, n in ((5, 33), (1, 1), (0, 4), (3, 0)):
        a = (0.2 * rng.normal(size=(40, 40))).astype("float32")
        b = rng.normal(size=(t, n, 40)).astype("float32")
        h = c = rng.normal(size=(n, 40)).astype("float32")
        rows = []
        for row in b:
            h = np.tanh(h @ a + row)
            rows.append(h)
        end, stacked = f(a, b, c)
        np.testing.assert_allclose(end, h, atol=1e-5)
        np.testing.assert_allclose(stacked, np.array(rows).reshape(b.shape), atol=1e-5)
