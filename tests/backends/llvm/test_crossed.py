"""Every row of one array with every row of another."""

from collections.abc import Sequence

import numpy as np
import pytest

import graphc as gc
from graphc.ir.tensor import Tensor

SIZES = [(0, 20, 3), (9, 0, 3), (8, 16, 0), (8, 16, 1), (1, 40, 5), (9, 17, 16), (30, 15, 4)]
LARGER = [(33, 33, 31), (35, 257, 3), (50, 64, 600), (403, 99, 12), (1001, 130, 7)]


def distances(x: Tensor, y: Tensor) -> Tensor:
    return gc.sum((x[..., :, None, :] - y[..., None, :, :]) ** 2, axis=-1)


def found(x: Tensor, y: Tensor) -> list[Tensor]:
    squares = distances(x, y)
    apart = gc.abs(x[:, None, :] - y[None, :, :])
    return [
        gc.sqrt(squares),
        gc.exp(-squares) @ y,
        gc.max(apart, axis=-1) - gc.min(apart, axis=-1),
        gc.any(apart > 2, axis=-1),
    ]


def expected(x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    apart = np.abs(x[:, None, :].astype(np.float64) - y[None, :, :])
    squares = (apart**2).sum(-1)
    extent = apart.max(-1) - apart.min(-1) if x.shape[1] else np.full(squares.shape, -np.inf)
    return [np.sqrt(squares), np.exp(-squares) @ y, extent, (apart > 2).any(-1)]


def given(shape: Sequence[int], dtype: str, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def is_crossed(f: gc.Function) -> bool:
    return "scratch" in f.llvm()


def compare(got: Sequence[np.ndarray], wanted: Sequence[np.ndarray], dtype: str) -> None:
    tolerance = 2e-5 if dtype == "float32" else 1e-12
    for one, other in zip(got, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_symbolic_sizes(dtype: str) -> None:
    x, y = gc.placeholder("x", ("n", "k"), dtype), gc.placeholder("y", ("m", "k"), dtype)
    f = gc.function([x, y], found(x, y)[:2])
    for n, m, k in SIZES + LARGER:
        a, b = given((n, k), dtype, 1), given((m, k), dtype, 2)
        compare(f(a, b), expected(a, b)[:2], dtype)


@pytest.mark.parametrize("size", [one for one in SIZES + LARGER if one[1] and one[2]], ids=str)
def test_known_sizes(size: tuple[int, int, int]) -> None:
    n, m, k = size
    x, y = gc.placeholder("x", (n, k)), gc.placeholder("y", (m, k))
    a, b = given((n, k), "float32", 1), given((m, k), "float32", 2)
    bits = [gc.function([x, y], found(x, y), threads=threads)(a, b) for threads in (1, 2, 3)]
    compare(bits[0], expected(a, b), "float32")
    for one in bits[1:]:
        for got, wanted in zip(one, bits[0], strict=True):
            np.testing.assert_array_equal(got, wanted)


def test_nearest() -> None:
    x, y = gc.placeholder("x", ("n", 5)), gc.placeholder("y", ("m", 5))
    f = gc.function([x, y], [gc.argmin(distances(x, y), axis=1), gc.min(distances(x, y), axis=1)])
    for n, m in [(1, 1), (4, 16), (103, 40), (600, 301)]:
        a, b = given((n, 5), "float32", 1), given((m, 5), "float32", 2)
        apart = ((a[:, None, :].astype(np.float64) - b[None, :, :]) ** 2).sum(-1)
        place, least = f(a, b)
        np.testing.assert_array_equal(place, apart.argmin(1))
        np.testing.assert_allclose(least, apart.min(1), rtol=1e-5)


def test_batches() -> None:
    """The rows are laid across anew for each example of a batch."""
    x, y = gc.placeholder("x", ("b", "n", "k")), gc.placeholder("y", ("b", "m", "k"))
    f = gc.function([x, y], distances(x, y))
    for b, n, m, k in [(0, 3, 20, 4), (1, 17, 20, 4), (5, 9, 31, 6), (3, 40, 100, 20)]:
        p, q = given((b, n, k), "float32", 1), given((b, m, k), "float32", 2)
        wanted = ((p[:, :, None, :].astype(np.float64) - q[:, None, :, :]) ** 2).sum(-1)
        np.testing.assert_allclose(f(p, q), wanted, rtol=1e-5)


@pytest.mark.parametrize(
    ("n", "m", "k", "expected"),
    [(100, 64, 16, True), (100, 64, 300, False), (8, 64, 16, False), (100, 8, 16, False)],
)
def test_where_it_pays(n: int, m: int, k: int, expected: bool) -> None:
    x, y = gc.placeholder("x", (n, k)), gc.placeholder("y", (m, k))
    assert is_crossed(gc.function([x, y], distances(x, y), threads=1)) == expected


def test_sums_of_rows_stay() -> None:
    """Nothing is read again: rows are not laid across."""
    x = gc.placeholder("x", (50, 40, 64))
    f = gc.function([x], gc.sum(x * x, axis=-1), threads=1)
    a = given((50, 40, 64), "float32", 1)
    np.testing.assert_allclose(f(a), (a.astype(np.float64) ** 2).sum(-1), rtol=1e-5)
    assert not is_crossed(f)
