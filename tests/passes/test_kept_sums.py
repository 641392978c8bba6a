"""Sums that a later loop makes of stacked products are stacked themselves."""

from typing import Any

import numpy as np
import pytest

import graphc as gc

STEPS, BATCH, WIDTH = 5, 3, 4


def recurrent(act: Any, backend: str = "llvm") -> tuple[gc.Function, list[np.ndarray]]:
    """h' = act(x @ U + h @ W + b), and the gradients of the sum of squares of all h."""
    rng = np.random.default_rng(0)
    arrays = [
        rng.normal(size=shape).astype("float32")
        for shape in ((STEPS, BATCH, WIDTH), (WIDTH, WIDTH), (WIDTH, WIDTH), (WIDTH,))
    ]
    xs, u, w, b = inputs = [
        gc.placeholder(name, a.shape, a.dtype) for name, a in zip("xuwb", arrays, strict=True)
    ]
    _, hs = gc.scan(
        lambda h, x: (act(h, x @ u + h @ w + b),) * 2, gc.zeros((BATCH, WIDTH), "float32"), xs
    )
    loss = gc.sum(hs * hs)
    return gc.function(inputs, [loss, *gc.grad(loss, inputs)], backend=backend), arrays


def loops_of(f: gc.Function) -> tuple[Any, Any]:
    graph = f.stages.graph
    assert graph is not None
    forward, backward = [node for node in graph.nodes if node.op.name == "scan"]
    return forward, backward


@pytest.mark.parametrize(
    ("act", "kept"),
    [
        (lambda h, z: gc.tanh(z), 1),
        (lambda h, z: gc.relu(z) + h * gc.sigmoid(z), 1),  # two readers of the sum
    ],
)
def test_the_sum_is_stacked(act: Any, kept: int) -> None:
    f, arrays = recurrent(act)
    _, backward = loops_of(f)
    names = [tensor.name for tensor in backward.attrs["body"].inputs]
    assert sum(name is not None and name.startswith("sum") for name in names) == kept
    exact, _ = recurrent(act, backend="reference")
    for one, two in zip(f(*arrays), exact(*arrays), strict=True):
        np.testing.assert_allclose(one, two, rtol=2e-4, atol=1e-4)


def test_less_is_read_back() -> None:
    f, _ = recurrent(lambda h, z: gc.tanh(z))
    forward, backward = loops_of(f)
    read = [t for t in backward.inputs if t.node is forward and t.index >= 1]
    products = [t for t in backward.inputs if t.node.op.name == "matmul"]
    assert read and not products


def test_what_others_read_stays() -> None:
    """The stack is a result as well, so its elements are what they were."""
    rng = np.random.default_rng(1)
    a, b = (rng.normal(size=(STEPS, WIDTH)).astype("float32") for _ in range(2))
    x, y = gc.placeholder("x", a.shape), gc.placeholder("y", b.shape)
    zero = gc.zeros((WIDTH,), "float32")
    _, first = gc.scan(lambda s, e: (s + e, gc.sin(s + e)), zero, x)

    def later(s: Any, e: Any) -> Any:
        return s * 0.5 + gc.exp(e[0] + e[1]), s

    last, _ = gc.scan(later, zero, [first, y])
    alone, both = (
        gc.function([x, y], results, backend=backend)
        for results, backend in ((last, "llvm"), ([last, first], "llvm"))
    )
    expected = np.zeros(WIDTH)
    for stacked, one in zip(np.sin(np.cumsum(a.astype(float), 0)), b, strict=True):
        expected = 0.5 * expected + np.exp(stacked + one)
    np.testing.assert_allclose(alone(a, b), expected, rtol=1e-4)
    total, stack = both(a, b)
    np.testing.assert_allclose(total, expected, rtol=1e-4)
    np.testing.assert_allclose(stack, np.sin(np.cumsum(a, 0)), rtol=1e-4, atol=1e-5)


def test_loops_that_run_backwards() -> None:
    """Stacks lie in the order of the sequences, whichever way the loops run."""
    rng = np.random.default_rng(2)
    a, b = (rng.normal(size=(STEPS, WIDTH)).astype("float32") for _ in range(2))
    x, y = gc.placeholder("x", a.shape), gc.placeholder("y", b.shape)
    zero = gc.zeros((WIDTH,), "float32")
    _, first = gc.scan(lambda s, e: (s + e[0] * e[1],) * 2, zero, [x, y], reverse=True)
    last, _ = gc.scan(lambda s, e: (s * 0.5 + gc.exp(e[0] + e[1]), s), zero, [first, y])
    sums = np.cumsum((a * b).astype(float)[::-1], 0)[::-1]
    expected = np.zeros(WIDTH)
    for one, two in zip(sums, b, strict=True):
        expected = 0.5 * expected + np.exp(one + two)
    np.testing.assert_allclose(gc.function([x, y], last)(a, b), expected, rtol=1e-4)
