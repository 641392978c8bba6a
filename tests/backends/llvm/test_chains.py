"""Chains of products block by block: the same bits on any threads, no memory for what is local."""

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.backends.base import local_buffers, scratch_of
from graphc.shapes import evaluate

Array = np.ndarray[Any, Any]


def attention(q: gc.Tensor, k: gc.Tensor, v: gc.Tensor) -> gc.Tensor:
    return gc.softmax(q @ k.mT * 0.3, axis=-1) @ v


def causal(q: gc.Tensor, k: gc.Tensor, v: gc.Tensor) -> gc.Tensor:
    shown = gc.arange(q.shape[2])[:, None] >= gc.arange(k.shape[2])
    return gc.softmax(gc.where(shown, q @ k.mT, -1e9), axis=-1) @ v


def heads_last(q: gc.Tensor, k: gc.Tensor, v: gc.Tensor) -> gc.Tensor:
    return gc.reshape(gc.permute_dims(attention(q, k, v), (0, 2, 1, 3)), (q.shape[0], -1, 8))


def plain(q: gc.Tensor, k: gc.Tensor, v: gc.Tensor) -> gc.Tensor:
    """Without a kernel between the products."""
    return q @ k.mT @ v


def three(q: gc.Tensor, k: gc.Tensor, v: gc.Tensor) -> gc.Tensor:
    return gc.tanh(attention(q, k, v) @ gc.sigmoid(v.mT @ v)) + 1.0


FORMS: dict[str, Callable[[gc.Tensor, gc.Tensor, gc.Tensor], gc.Tensor]] = {
    "attention": attention,
    "causal": causal,
    "heads last": heads_last,
    "plain": plain,
    "three": three,
}
SIZES = [(2, 31, 47), (0, 3, 4), (2, 0, 5), (1, 1, 1), (3, 130, 7), (1, 300, 301)]


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_forward_and_back(name: str, dtype: str) -> None:
    q, k, v = (
        gc.placeholder(x, ("b", 2, size, 8), dtype) for x, size in zip("qkv", "nmm", strict=True)
    )
    result = FORMS[name](q, k, v)
    for results in ([result], [result, *gc.grad(gc.sum(result * result), [q, k, v])]):
        one, several, exact = (
            gc.function([q, k, v], results, backend=backend, threads=threads)
            for backend, threads in (("llvm", 1), ("llvm", 3), ("reference", None))
        )
        assert local_buffers(one.stages.executable)
        rng = np.random.default_rng(0)
        for b, n, m in SIZES:
            if name == "heads last" and 0 in (b, n):
                continue
            shapes = (b, 2, n, 8), (b, 2, m, 8), (b, 2, m, 8)
            arrays = [(0.5 * rng.normal(size=shape)).astype(dtype) for shape in shapes]
            found = zip(one(*arrays), several(*arrays), exact(*arrays), strict=True)
            for first, second, third in found:
                np.testing.assert_array_equal(first, second)
                np.testing.assert_allclose(first, third, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(1, 1, 700, 20), (4, 3, 129, 33), (1, 2, 260, 64)])
def test_known_sizes(shape: tuple[int, ...]) -> None:
    """Several blocks, the last of them lower; few and many matrices."""
    q, k, v = (gc.placeholder(name, shape) for name in "qkv")
    result = attention(q, k, v)
    results = [result, *gc.grad(gc.sum(result * result), [q, k, v])]
    rng = np.random.default_rng(1)
    arrays = [rng.normal(size=shape).astype("float32") for _ in range(3)]
    exact = gc.function([q, k, v], results, backend="reference")(*arrays)
    found = [gc.function([q, k, v], results, threads=threads)(*arrays) for threads in (1, 2, 5)]
    for one, two, five, wanted in zip(*found, exact, strict=True):
        np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(one, five)
        np.testing.assert_allclose(one, wanted, rtol=2e-4, atol=2e-4)


def test_scores_take_no_memory() -> None:
    """Of 64 heads with 1024 x 1024 scores each, a block for each thread."""
    q, k, v = (gc.placeholder(name, (8, 8, 1024, 32)) for name in "qkv")
    f = gc.function([q, k, v], attention(q, k, v), threads=1)
    assert f.stages.plan is not None
    assert f.stages.plan.peak == 0
    (room,) = scratch_of(f.stages.executable)
    assert evaluate(room, {}) < 2 << 20
    assert "0 temporaries" in str(f.memory_plan())


def test_scores_that_are_wanted() -> None:
    q, k, v = (gc.placeholder(name, ("b", 2, "n", 8)) for name in "qkv")
    weights = gc.softmax(q @ k.mT, axis=-1)
    given = [weights @ v, weights]
    f, exact = (gc.function([q, k, v], given, backend=name) for name in ("llvm", "reference"))
    rng = np.random.default_rng(2)
    arrays = [rng.normal(size=(3, 2, 50, 8)).astype("float32") for _ in range(3)]
    for found, wanted in zip(f(*arrays), exact(*arrays), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-5)


def test_in_loops() -> None:
    """Attention as the step of a loop: its length is known at the call."""
    x, w = gc.placeholder("x", ("b", 2, "n", 8)), gc.placeholder("w", ("t", 8))
    step = lambda h, row: (h + attention(h * row, h, h), gc.sum(h))  # noqa: E731
    last, sums = gc.scan(step, x, w)
    f, exact = (gc.function([x, w], [last, sums], backend=b) for b in ("llvm", "reference"))
    rng = np.random.default_rng(3)
    arrays = [rng.normal(size=shape).astype("float32") for shape in ((2, 2, 40, 8), (5, 8))]
    for found, wanted in zip(f(*arrays), exact(*arrays), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-3)


def test_as_a_c_function_and_from_the_cache() -> None:
    q, k, v = (gc.placeholder(name, (2, 2, 40, 8)) for name in "qkv")
    rng = np.random.default_rng(4)
    arrays = [rng.normal(size=(2, 2, 40, 8)).astype("float32") for _ in range(3)]
    first, second = (gc.function([q, k, v], attention(q, k, v), threads=1) for _ in range(2))
    np.testing.assert_array_equal(first(*arrays), second(*arrays))
    assert str(first.memory_plan()) == str(second.memory_plan())
    out = np.empty((2, 2, 40, 8), "float32")
    place = ctypes.POINTER(ctypes.c_float)
    pointers = [array.ctypes.data_as(place) for array in (*arrays, out)]
    assert first.ctypes(*pointers) == 0
    np.testing.assert_array_equal(out, first(*arrays))
