"""Kernels at several sizes: time, and the share of the memory bandwidth of this machine.

python benchmarks/kernels.py [names] [--seconds S]

One thread. Every function is compiled once, for sizes that are symbols (all but the length of short
rows), and called at all the sizes, odd ones among them: nothing is tuned to a size. "GB/s" counts
the bytes that must move at least, inputs once and results once; "of triad" compares with a + 3*b
over arrays that no cache holds, measured in turns with the kernel. What fits a cache may pass 1;
arithmetic keeps exp, log and erf below it. Times are minima.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

import graphc as gc
from graphc.ir.tensor import Tensor

Shape = tuple[int, ...]
Symbols = tuple[str | int, ...]


@dataclass(frozen=True)
class Case:
    """inputs: shapes in symbols; sizes: values of the symbols; moved: least bytes of a call."""

    inputs: Sequence[Symbols]
    expression: Callable[..., list[Tensor]]
    sizes: Sequence[dict[str, int]]
    positive: bool = False


def vectors(*counts: int) -> list[dict[str, int]]:
    return [{"n": count} for count in counts]


def matrices(*shapes: tuple[int, int]) -> list[dict[str, int]]:
    return [{"n": n, "m": m} for n, m in shapes]


def black_scholes(s: Tensor, k: Tensor, t: Tensor) -> list[Tensor]:
    deviation = 0.3 * gc.sqrt(t)
    d1 = (gc.log(s / k) + 0.065 * t) / deviation
    below = 0.5 + 0.5 * gc.erf(d1 * 0.5**0.5)
    after = 0.5 + 0.5 * gc.erf((d1 - deviation) * 0.5**0.5)
    discounted = k * gc.exp(-0.02 * t)
    return [s * below - discounted * after, discounted * (1 - after) - s * (1 - below)]


def layer_norm(x: Tensor, gain: Tensor, bias: Tensor, g: Tensor) -> list[Tensor]:
    d = x - gc.mean(x, axis=-1, keepdims=True)
    out = d / gc.sqrt(gc.mean(d * d, axis=-1, keepdims=True) + 1e-5) * gain + bias
    return [out, *gc.grad(gc.sum(out * g), [x, gain, bias])]


def adam(p: Tensor, g: Tensor, m: Tensor, v: Tensor) -> list[Tensor]:
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
    return [p - 1e-3 * m / (gc.sqrt(v) + 1e-8), m, v]


def regression(x: Tensor, y: Tensor, w: Tensor) -> list[Tensor]:
    loss = gc.sum(gc.log1p(gc.exp(-y * (x @ w))))
    return [loss, gc.grad(loss, w)]


LONG = vectors(1 << 24, 10_000_019, 3_000_001, 100_003)
ROWS = matrices((4096, 1024), (4099, 1021), (20011, 129), (333, 9001))
SHORT = vectors(100_003, 10_007, 1009)  # rows of known length

CASES: dict[str, Case] = {
    "chain": Case([("n",)] * 4, lambda a, b, c, d: [gc.nn.relu(a * b + c) * d - 0.5 * a], LONG),
    "black_scholes": Case(
        [("n",)] * 3, black_scholes, vectors(1 << 23, 5_000_011, 1_000_003, 50_021), positive=True
    ),
    "adam": Case([("n",)] * 4, adam, vectors(1 << 22, 5_000_011, 1_000_003, 50_021)),
    "sum_squares": Case([("n",)], lambda x: [gc.sum(x * x), gc.logsumexp(x)], LONG),
    "softmax": Case([("n", "m")], lambda x: [gc.nn.softmax(x, axis=-1)], ROWS),
    "softmax_37": Case([("n", 37)], lambda x: [gc.nn.softmax(x, axis=-1)], SHORT),
    "log_softmax_10": Case([("n", 10)], lambda x: [gc.nn.log_softmax(x, axis=-1)], SHORT),
    "layer_norm_100": Case([("n", 100), (100,), (100,), ("n", 100)], layer_norm, SHORT),
    "layer_norm": Case([("n", "m"), ("m",), ("m",), ("n", "m")], layer_norm, ROWS),
    "column_sums": Case(
        [("n", "m")] * 2, lambda x, y: [gc.sum(x * y, axis=0), gc.sum(x, axis=0)], ROWS
    ),
    "transposed": Case([("n", "m")], lambda x: [gc.sum(x.T, axis=1), gc.argmax(x.T, axis=1)], ROWS),
    "positions": Case([("n", "m")], lambda x: [gc.argmax(x, axis=0)], ROWS),
    "column_softmax": Case([("n", "m")], lambda x: [gc.nn.softmax(x, axis=0)], ROWS),
    "running_sums": Case([("n",)], lambda x: [gc.cumulative_sum(x)], LONG),
    "running_rows": Case(
        [("n", "m")], lambda x: [gc.cumulative_sum(x, axis=1, reverse=True)], ROWS
    ),
    "running_columns": Case([("n", "m")], lambda x: [gc.cumulative_prod(x, axis=0)], ROWS),
    "running_logarithms": Case([("n", "m")], lambda x: [gc.cumulative_logsumexp(x, axis=1)], ROWS),
    "regression": Case(
        [("n", 9), ("n",), (9,)], regression, vectors(3_000_017, 100_003, 10_007, 1009)
    ),
    "nearest": Case(
        [("n", "k"), ("m", "k")],
        lambda x, y: [gc.argmin(gc.sum((x[:, None] - y[None]) ** 2, axis=-1), axis=1)],
        [{"n": n, "m": m, "k": k} for n, m, k in ((2000, 500, 16), (1999, 501, 17), (301, 999, 3))],
    ),
}


def seconds_of(run: Callable[[], object], limit: float) -> float:
    times: list[float] = []
    end = time.perf_counter() + limit
    while time.perf_counter() < end or len(times) < 3:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def triad() -> Callable[[], float]:
    """Measures the bandwidth, in bytes per second."""
    count = 1 << 24
    a, b = gc.placeholder("a", ("n",)), gc.placeholder("b", ("n",))
    f = gc.function([a, b], a + 3 * b, threads=1)
    x, y = (np.ones(count, np.float32) for _ in range(2))
    out = f(x, y)
    return lambda: 12 * count / seconds_of(lambda: f(x, y, out=out), 0.2)


def feeds(case: Case, sizes: dict[str, int]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    arrays = []
    for shape in case.inputs:
        numbers = rng.standard_normal([sizes[s] if isinstance(s, str) else s for s in shape])
        arrays.append((np.abs(numbers) + 0.1 if case.positive else numbers).astype(np.float32))
    return arrays


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("names", nargs="*", help=", ".join(CASES))
    parser.add_argument("--seconds", type=float, default=0.5, help="per kernel and size")
    options = parser.parse_args()
    bandwidth = triad()
    print(f"{'kernel':15} {'sizes':24} {'ms':>9} {'GB/s':>7} {'of triad':>9}")
    for name in options.names or CASES:
        case = CASES[name]
        inputs = [gc.placeholder(f"x{k}", shape) for k, shape in enumerate(case.inputs)]
        f = gc.function(inputs, case.expression(*inputs), threads=1)
        for sizes in case.sizes:
            arrays = feeds(case, sizes)
            results = f(*arrays)
            moved = sum(array.nbytes for array in (*arrays, *results))
            most = bandwidth()
            spent = seconds_of(lambda f=f, a=arrays, r=results: f(*a, out=r), options.seconds)
            shown = " x ".join(map(str, sizes.values()))
            rate = moved / spent
            print(
                f"{name:15} {shown:24} {spent * 1e3:9.3f} {rate / 1e9:7.1f} {rate / most:9.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
