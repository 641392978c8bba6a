"""Random expressions of complex and real tensors: backends against the interpreted graph."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc

Step = Callable[[gc.Tensor, gc.Tensor], gc.Tensor]
STEPS: tuple[Step, ...] = (
    lambda a, b: a * b,
    lambda a, b: a + b,
    lambda a, b: a - b.conj(),
    lambda a, b: a / (2 + abs(b)),
    lambda a, b: gc.exp(gc.complex(gc.tanh(a.real), a.imag)),
    lambda a, b: abs(a),
    lambda a, b: gc.where(a.real > 0, a, b),
    lambda a, b: gc.sum(a, axis=-1, keepdims=True),
    lambda a, b: a[..., ::-1],
    lambda a, b: a.mT @ b if a.ndim == b.ndim == 2 and a.shape[0] == b.shape[0] else a,
    lambda a, b: gc.concat([a, a.conj()], axis=-1)[..., : a.shape[-1]],
    lambda a, b: gc.sqrt(a * a + 1.5),
    lambda a, b: gc.mean(a, axis=0, keepdims=True),
    lambda a, b: gc.roll(a, 1, axis=-1) * 1j,
    lambda a, b: gc.cumulative_sum(a, axis=-1),
    lambda a, b: gc.fft.ifft(gc.fft.fft(a) * b),
)


def numbers(rng: np.random.Generator, shape: tuple[int, ...], of_complex: bool) -> Any:
    values = rng.normal(size=shape)
    if of_complex:
        return (values + 1j * rng.normal(size=shape)).astype("complex64")
    return values.astype("float32")


def check(seed: int, backend: str) -> None:
    rng = np.random.default_rng(seed)
    n, m = (int(size) for size in rng.integers(1, 20, size=2))
    shapes: list[tuple[int, ...]] = [(n, m), (m,), (n, 1)]
    feeds = [numbers(rng, s, k == 0 or rng.random() < 0.5) for k, s in enumerate(shapes)]
    leaves = [gc.placeholder(f"x{k}", a.shape, a.dtype) for k, a in enumerate(feeds)]
    values = list(leaves)
    for _ in range(rng.integers(3, 10)):
        a, b = (values[int(rng.integers(len(values)))] for _ in range(2))
        try:
            values.append(STEPS[int(rng.integers(len(STEPS)))](a, b))
        except gc.ShapeError:
            continue
    options: Any = {"on_unused_input": "ignore"}
    plain = gc.function(leaves, values[-3:], backend="reference", optimize=False, **options)
    compiled = gc.function(leaves, values[-3:], backend=backend, check=True, **options)
    for found, expected in zip(compiled(*feeds), plain(*feeds), strict=True):
        assert found.dtype == expected.dtype and found.shape == expected.shape
        scale = float(np.abs(expected).max(initial=0.0))
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * scale + 1e-6)


@pytest.mark.parametrize("seed", range(25))
def test_llvm(seed: int) -> None:
    check(seed, "llvm")


@pytest.mark.parametrize("seed", range(100, 104))
def test_interpreter(seed: int) -> None:
    check(seed, "interpreter")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 1200))
def test_more(seed: int) -> None:
    check(seed, "llvm")
