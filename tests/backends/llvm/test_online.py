"""Sums of exponentials and the maximum they need, in one pass over memory."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.special

import graphc as gc
from graphc.backends.llvm.chunks import in_chunks
from graphc.ir.graph import Graph
from graphc.ir.tensor import Tensor
from graphc.loops.ir import For, Kernel
from graphc.loops.lower import lower
from graphc.loops.printer import format_kernel
from graphc.passes.pipeline import optimize


def in_chunks_of(inputs: list[Tensor], outputs: list[Tensor]) -> Kernel:
    (kernel,) = lower(optimize(Graph(tuple(inputs), tuple(outputs)))[0], ("n",)).kernels
    return replace(kernel, body=in_chunks(kernel.body))


def passes(kernel: Kernel) -> list[int]:
    """How many loops the chunks of each long reduction have."""
    return [
        sum(isinstance(part, For) for part in item.body)
        for item in kernel.body
        if isinstance(item, For) and item.kind == "parallel"
    ]


TEXT = """\
  t1_partial: f32[123] scratch
  t6_partial: f32[123] scratch
  for i_chunk in 123 parallel:
    t1: f32 = -inf (maximum)
    for i in -max(8192*i_chunk - 1000000, -8192) vector:
      t1 max= x[i + 8192*i_chunk]
    t1_partial[i_chunk] = t1
    t3 = t1 if abs(t1) < inf else 0.0
    t6: f32 = 0.0 (add)
    for i in -max(8192*i_chunk - 1000000, -8192) vector:
      t6 += exp(x[i + 8192*i_chunk] - t3)
    t6_partial[i_chunk] = t6
  t1: f32 = -inf (maximum)
  for i_chunk in 123 serial:
    t1 max= t1_partial[i_chunk]
  t3 = t1 if abs(t1) < inf else 0.0
  t6_wide: f64 = 0.0 (add)
  for i_chunk in 123 serial:
    t6_wide += f64(t6_partial[i_chunk])*exp(f64(t1_partial[i_chunk]) - f64(t3))
  t6 = f32(t6_wide)
  out[0] = log(t6) + t3
"""


def test_text() -> None:
    x = gc.placeholder("x", (10**6,))
    text = format_kernel(in_chunks_of([x], [gc.logsumexp(x)]))
    rows = [row.partition("  test_online")[0].rstrip() for row in text.splitlines()[2:]]
    assert rows == TEXT.splitlines()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fires(dtype: str) -> None:
    x = gc.placeholder("x", ("n",), dtype)
    assert passes(in_chunks_of([x], [gc.logsumexp(x)])) == [2]
    assert passes(in_chunks_of([x], [gc.logsumexp(2 * x + 1), gc.sum(x)])) == [2]


def test_does_not_fire() -> None:
    x, y = gc.placeholder("x", ("n",)), gc.placeholder("y", ("n",))
    # A weight may be large: what a chunk adds up may overflow.
    weighted = gc.sum(y * gc.exp(x - gc.stop_gradient(gc.max(x))))
    # The maximum of something else does not bound the terms.
    other = gc.sum(gc.exp(x - gc.max(y)))
    # The exponentials are stored: each needs the maximum of all.
    for outputs in ([weighted], [other], [gc.nn.softmax(x)]):
        assert 2 not in passes(in_chunks_of([x, y], outputs))


LENGTHS = [1, 7, 8191, 8192, 8193, 100_003]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values(dtype: str) -> None:
    x = gc.placeholder("x", ("n",), dtype)
    one, two = (gc.function([x], [gc.logsumexp(x), gc.sum(x * x)], threads=k) for k in (1, 2))
    tolerance = 3e-7 if dtype == "float32" else 1e-14
    for n in LENGTHS:
        plain = np.random.default_rng(n).normal(size=n).astype(dtype)
        half, far = plain.copy(), plain - 1e30
        half[: n // 2] = -np.inf  # whole chunks without a finite element
        steep = np.linspace(0, 1e4, n, dtype=dtype)  # chunks that weigh nothing beside the last
        for values in (plain, 100 * plain, half, far, steep, steep[::-1].copy(), 0 * plain):
            wanted = scipy.special.logsumexp(values.astype(np.float64))
            got = one(values)
            np.testing.assert_allclose(got[0], wanted, rtol=tolerance, atol=tolerance)
            np.testing.assert_array_equal(two(values), got)


@pytest.mark.parametrize("special", [np.inf, -np.inf, np.nan])
def test_special_values(special: float) -> None:
    x = gc.placeholder("x", ("n",))
    f = gc.function([x], gc.logsumexp(x))
    for n in LENGTHS:
        values = np.random.default_rng(n).normal(size=n).astype(np.float32)
        values[n // 2] = special
        values[n // 3] = -np.inf
        wanted = scipy.special.logsumexp(values.astype(np.float64))
        np.testing.assert_allclose(f(values), wanted, rtol=3e-7, atol=3e-7)
        values[:] = special
        np.testing.assert_array_equal(f(values), np.float32(special))
