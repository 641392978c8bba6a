"""Calls on several threads: the same bits as on one, whatever the sizes."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.threads import thread_count, usable_cores

THREADS = (1, 2, 3, 5)


def normal(*shape: int, dtype: str = "float32") -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(dtype)


def on_threads(build: Callable[[], tuple[list[gc.Tensor], Any]]) -> list[gc.Function]:
    """One function for each number of threads."""
    inputs, outputs = build()
    return [gc.function(inputs, outputs, threads=count, name="f") for count in THREADS]


def same_bits(functions: list[gc.Function], *feeds: np.ndarray) -> Any:
    """The result, after a look that all functions give the same one."""
    results = [f(*feeds) for f in functions]
    for result in results[1:]:
        for one, other in zip(flat(results[0]), flat(result), strict=True):
            assert one.tobytes() == other.tobytes()
    return results[0]


def flat(result: Any) -> list[np.ndarray]:
    return list(result) if isinstance(result, list) else [result]


SIZES = (0, 1, 255, 256, 257, 100_003, 1_000_001)


def test_elementwise() -> None:
    x, y = gc.placeholder("x", ("n",)), gc.placeholder("y", ("n",))
    functions = on_threads(lambda: ([x, y], [gc.exp(x) * y + 1, gc.cast(x > y, "int8")]))
    for n in SIZES:
        a, b = normal(n), normal(n) + 1
        first, second = same_bits(functions, a, b)
        np.testing.assert_allclose(first, np.exp(a) * b + 1, rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(second, a > b)


def test_a_large_static_size() -> None:
    x = gc.placeholder("x", (333_333,), "float64")
    functions = on_threads(lambda: ([x], gc.sin(x)))
    a = normal(333_333, dtype="float64")
    np.testing.assert_allclose(same_bits(functions, a), np.sin(a), rtol=1e-12)


def test_rows() -> None:
    x = gc.placeholder("x", ("n", "k"))
    functions = on_threads(lambda: ([x], gc.nn.softmax(x, axis=1)))
    for shape in ((0, 3), (1, 1), (5, 0), (3, 100_001), (1001, 777), (100_001, 3)):
        a = normal(*shape)
        if a.size:
            e = np.exp(a - a.max(1, keepdims=True))
            expected = e / e.sum(1, keepdims=True)
            np.testing.assert_allclose(same_bits(functions, a), expected, rtol=1e-4, atol=1e-7)
        elif shape[1]:
            assert same_bits(functions, a).shape == shape


def test_columns_transposes_and_gathers() -> None:
    x, i = gc.placeholder("x", ("n", "k")), gc.placeholder("i", ("m",), "int64")
    functions = on_threads(
        lambda: (
            [x, i],
            [
                gc.sum(x, axis=0),
                gc.transpose(x) * 2,
                gc.take(x, i, axis=0),
                gc.cumulative_sum(x, axis=1),
            ],
        )
    )
    for n, k in ((1, 1), (7, 100_003), (1001, 777), (100_003, 5)):
        a = normal(n, k)
        rows = np.random.default_rng(0).integers(0, n, 500_000 // k + 1)
        sums, turned, taken, running = same_bits(functions, a, rows)
        np.testing.assert_allclose(sums, a.sum(0, dtype="float64"), rtol=1e-3, atol=1e-2)
        np.testing.assert_array_equal(turned, a.T * 2)
        np.testing.assert_array_equal(taken, a[rows])
        np.testing.assert_allclose(running, a.cumsum(1, dtype="float64"), rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products(dtype: str) -> None:
    a, b = gc.placeholder("a", ("m", "k"), dtype), gc.placeholder("b", ("k", "n"), dtype)
    v = gc.placeholder("v", ("k",), dtype)
    g = gc.placeholder("g", ("m", "n"), dtype)
    functions = on_threads(lambda: ([a, b, v, g], [a @ b, a @ v, g @ b.T, a.T @ g]))
    tolerance = 1e-3 if dtype == "float32" else 1e-9
    for m, n, k in (
        (0, 3, 5),
        (1, 1, 1),
        (7, 5, 3),
        (301, 257, 129),
        (1000, 30, 500),
        (17, 900, 640),
    ):
        x, y, z, w = (normal(*s, dtype=dtype) for s in ((m, k), (k, n), (k,), (m, n)))
        found = same_bits(functions, x, y, z, w)
        for one, expected in zip(found, (x @ y, x @ z, w @ y.T, x.T @ w), strict=True):
            np.testing.assert_allclose(one, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_batches_of_products(dtype: str) -> None:
    a = gc.placeholder("a", ("p", "q", "m", "k"), dtype)
    b = gc.placeholder("b", ("q", "k", "n"), dtype)
    functions = on_threads(lambda: ([a, b], a @ b))
    small = gc.placeholder("s", ("p", 3, 4), dtype), gc.placeholder("t", ("p", 4, 2), dtype)
    little = on_threads(lambda: (list(small), small[0] @ small[1]))
    for p, q, m, n, k in (
        (0, 2, 3, 4, 5),
        (2, 3, 4, 5, 0),
        (3, 5, 70, 90, 31),
        (2, 1, 300, 280, 260),
    ):
        x, y = ((normal(*s) * 9).astype(dtype) for s in ((p, q, m, k), (q, k, n)))
        np.testing.assert_allclose(same_bits(functions, x, y), x @ y, rtol=1e-3, atol=1e-2)
    for p in (0, 1, 50_001):
        x, y = ((normal(*s) * 9).astype(dtype) for s in ((p, 3, 4), (p, 4, 2)))
        np.testing.assert_allclose(same_bits(little, x, y), x @ y, rtol=1e-3, atol=1e-2)


def test_scratch_memory_of_each_thread() -> None:
    x = gc.placeholder("x", ("n", "k"))
    functions = on_threads(lambda: ([x], gc.sort(x, axis=1)))
    for shape in ((1, 1), (7, 20_001), (5001, 77)):
        a = normal(*shape)
        np.testing.assert_array_equal(same_bits(functions, a), np.sort(a, axis=1))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_batches_of_matrices(dtype: str) -> None:
    """LAPACK: each thread has a workspace of its own."""
    x, b = gc.placeholder("x", ("k", "n", "n"), dtype), gc.placeholder("b", ("k", "n", 2), dtype)

    def build() -> tuple[list[gc.Tensor], Any]:
        solved, inverse = gc.linalg.solve(x, b), gc.linalg.inv(x)
        values, _ = gc.linalg.eigh(x)
        singular = gc.linalg.svd(x)[1]
        lower, triangle = gc.linalg.cholesky(x), gc.linalg.qr(x)[1]
        return [x, b], [solved, inverse, values, singular, lower, triangle]

    functions = on_threads(build)
    for k, n in ((0, 3), (1, 40), (37, 20), (500, 8), (3, 0)):
        a = normal(k, n, n, dtype=dtype)
        a = a @ np.swapaxes(a, 1, 2) + n * np.eye(n, dtype=dtype)
        right = normal(k, n, 2, dtype=dtype)
        solved, inverse, values, singular, lower, _ = same_bits(functions, a, right)
        close = 1e-3 if dtype == "float32" else 1e-9
        np.testing.assert_allclose(solved, np.linalg.solve(a, right), rtol=close, atol=close)
        np.testing.assert_allclose(inverse, np.linalg.inv(a), rtol=close, atol=close)
        np.testing.assert_allclose(values, np.linalg.eigvalsh(a), rtol=close, atol=close)
        np.testing.assert_allclose(singular, np.linalg.svd(a)[1], rtol=close, atol=close)
        np.testing.assert_allclose(lower @ np.swapaxes(lower, 1, 2), a, rtol=close, atol=close)


def test_the_first_matrix_that_fails() -> None:
    x = gc.placeholder("x", ("k", "n", "n"), "float64")
    functions = on_threads(lambda: ([x], gc.linalg.cholesky(x)))
    a = np.broadcast_to(np.eye(12), (400, 12, 12)).copy()
    a[[57, 58, 210, 399], 5, 5] = -1.0
    for f in functions:
        for _ in range(5):
            with pytest.raises(gc.GraphcError, match=r"matrix 57 of the batch .* order 6"):
                f(a)
    a[:] = np.eye(12)
    np.testing.assert_array_equal(same_bits(functions, a), a)


def test_loops() -> None:
    x, s = gc.placeholder("x", ("t", "n")), gc.placeholder("s", ("n",))

    def step(state: gc.Tensor, row: gc.Tensor) -> tuple[gc.Tensor, gc.Tensor]:
        new = gc.tanh(state * 0.9 + row)
        return new, new * 2

    final, outs = gc.scan(step, s, x)
    functions = on_threads(lambda: ([s, x], [final, outs]))
    for t, n in ((0, 5), (3, 1), (4, 300_001)):
        a, b = normal(n), normal(t, n)
        found, rows = same_bits(functions, a, b)
        for row in b:
            a = np.tanh(a * np.float32(0.9) + row)
        np.testing.assert_allclose(found, a, rtol=1e-4, atol=1e-5)
        assert rows.shape == (t, n)


def test_steps_of_a_loop_that_counts() -> None:
    x = gc.placeholder("x", ("n", 600))
    i, values = gc.while_loop(
        lambda carry: carry[0] < 5,
        lambda carry: (carry[0] + 1, gc.sort(-carry[1], axis=1)),
        (0, x),
    )
    functions = on_threads(lambda: ([x], [i, values]))
    a = normal(1000, 600)
    count, found = same_bits(functions, a)
    assert count == 5
    np.testing.assert_array_equal(found, -np.sort(a, axis=1)[:, ::-1])


# --- how many ------------------------------------------------------------------------------------


def test_where_the_number_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRAPHC_THREADS", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    x = gc.placeholder("x", ("n",))

    def threads(**options: Any) -> Any:
        return gc.function([x], x + 1, **options).stats()["threads"]

    assert threads() == usable_cores() and thread_count(None) is None
    assert threads(backend="numba_cpu") == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "3, 2")
    assert threads() == threads(backend="numba_cpu") == 3
    monkeypatch.setenv("GRAPHC_THREADS", " 5 ")
    assert threads() == 5
    assert threads(threads=2) == 2
    monkeypatch.setenv("GRAPHC_THREADS", "")
    assert threads() == 3


@pytest.mark.parametrize("wrong", [0, -1, 2.0, True, "2", 1 << 20])
def test_a_wrong_number(wrong: Any) -> None:
    x = gc.placeholder("x", ("n",))
    with pytest.raises(gc.FunctionError, match="no number of threads") as caught:
        gc.function([x], x + 1, threads=wrong)
    assert caught.value.code == "E205" and "as many as there are cores" in str(caught.value)


@pytest.mark.parametrize("name", ["GRAPHC_THREADS", "OMP_NUM_THREADS"])
@pytest.mark.parametrize("wrong", ["0", "-2", "two", "1.5", "99999"])
def test_a_wrong_variable(name: str, wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRAPHC_THREADS", raising=False)
    monkeypatch.setenv(name, wrong)
    x = gc.placeholder("x", ("n",))
    with pytest.raises(gc.GraphcError, match=name) as caught:
        gc.function([x], x + 1)
    assert caught.value.code == "E604"
    assert gc.function([x], x + 1, threads=2).stats()["threads"] == 2


def test_the_number_is_not_part_of_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    x = gc.placeholder("x", ("n",))
    texts = {gc.function([x], gc.exp(x), threads=count, name="f").llvm() for count in THREADS}
    assert len(texts) == 1


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity")
def test_cores_that_the_process_may_use() -> None:
    assert usable_cores() == len(os.sched_getaffinity(0))


# --- reductions ----------------------------------------------------------------------------------


def test_sums_of_everything() -> None:
    x, y = gc.placeholder("x", ("n",)), gc.placeholder("y", ("n",))
    functions = on_threads(
        lambda: (
            [x, y],
            [gc.sum(x), gc.mean(gc.exp(x) * y), gc.prod(1 + x * 1e-4), gc.max(x), gc.argmin(y)],
        )
    )
    for n in (1, 1023, 1025, 65_537, 1_000_003):
        a, b = normal(n), normal(n) + 1
        total, mean, product, largest, place = same_bits(functions, a, b)
        wide = a.astype("float64")
        assert total == pytest.approx(wide.sum(), rel=1e-5, abs=1e-2)
        assert mean == pytest.approx((np.exp(wide) * b).mean(), rel=1e-5)
        assert product == pytest.approx((1 + wide * 1e-4).prod(), rel=1e-2)
        assert largest == a.max() and place == b.argmin()
    empty = np.zeros(0, "float32")
    total = gc.function([x], [gc.sum(x), gc.prod(x), gc.any(x > 0)], threads=3)(empty)
    assert [one.item() for one in total] == [0.0, 1.0, False]


@pytest.mark.parametrize("dtype", ["float64", "int32", "uint8", "bool", "float16"])
def test_sums_of_other_dtypes(dtype: str) -> None:
    x = gc.placeholder("x", ("n",), dtype)
    functions = on_threads(
        lambda: ([x], [gc.sum(x), gc.max(x) if dtype != "bool" else gc.all(x), gc.argmax(x)])
    )
    a = (normal(777_777) * 3).astype(dtype)
    total, best, place = same_bits(functions, a)
    expected = a.sum(dtype="float64" if dtype[0] == "f" else None)
    np.testing.assert_allclose(total, expected.astype(total.dtype), rtol=1e-2, atol=10)
    assert best == (a.all() if dtype == "bool" else a.max())
    assert place == a.argmax()


def test_the_first_of_equals_and_nan() -> None:
    x = gc.placeholder("x", ("n",))
    functions = on_threads(lambda: ([x], [gc.argmax(x), gc.argmin(x), gc.max(x), gc.sum(x)]))
    a = np.zeros(500_000, "float32")
    assert same_bits(functions, a)[0] == 0
    a[[300_000, 400_000]] = 1
    a[[200_001, 450_000]] = -1
    assert [same_bits(functions, a)[k].item() for k in range(2)] == [300_000, 200_001]
    a[[350_000, 350_001]] = np.nan
    high, low, largest, total = same_bits(functions, a)
    assert high == low == 350_000 and np.isnan(largest) and np.isnan(total)
    a[:] = -np.inf
    assert same_bits(functions, a)[0] == 0


def test_several_passes_over_everything() -> None:
    x = gc.placeholder("x", ("n",))
    functions = on_threads(lambda: ([x], [gc.nn.softmax(x), gc.var(x), x / gc.sum(gc.abs(x))]))
    for n in (1, 1000, 300_007):
        a = normal(n)
        soft, variance, share = same_bits(functions, a)
        e = np.exp(a.astype("float64") - a.max())
        np.testing.assert_allclose(soft, e / e.sum(), rtol=1e-4, atol=1e-9)
        np.testing.assert_allclose(variance, a.var(dtype="float64"), rtol=1e-4, atol=1e-7)
        np.testing.assert_allclose(share, a / np.abs(a).sum(dtype="float64"), rtol=1e-4, atol=1e-9)


def test_sums_of_what_is_broadcast() -> None:
    x, w = gc.placeholder("x", ("n", "k")), gc.placeholder("w", ("k",))
    functions = on_threads(lambda: ([x, w], [gc.sum(gc.exp(x * w)), gc.argmax(gc.abs(x - w))]))
    for n, k in ((1, 1), (0, 4), (4, 0), (3, 200_003), (1001, 333), (200_003, 3)):
        a, b = normal(n, k), normal(k)
        if not a.size:
            total = functions[2]
            assert gc.function([x, w], gc.sum(x * w), threads=2)(a, b) == 0 and total
            continue
        total, place = same_bits(functions, a, b)
        assert total == pytest.approx(np.exp(a * b).sum(dtype="float64"), rel=1e-4)
        assert place == np.abs(a - b).argmax()


def test_gradients_of_a_loss() -> None:
    x, y, w = (
        gc.placeholder("x", ("n", 30)),
        gc.placeholder("y", ("n",)),
        gc.placeholder("w", (30,)),
    )
    loss = gc.mean(gc.square(gc.tanh(x @ w) - y))
    functions = on_threads(lambda: ([x, y, w], [loss, gc.grad(loss, w)]))
    a, b, c = normal(100_003, 30), normal(100_003), normal(30) / 5
    value, slope = same_bits(functions, a, b, c)
    t = np.tanh(a.astype("float64") @ c)
    assert value == pytest.approx(np.square(t - b).mean(), rel=1e-5)
    expected = (2 * (t - b) * (1 - t * t)) @ a / len(b)
    np.testing.assert_allclose(slope, expected, rtol=1e-3, atol=1e-5)
