"""Recurrences of single numbers: nanoseconds a step, and how many additions that is.

python benchmarks/scalar_loops.py

Each step waits for the one before, so that a step takes as long as the chain of operations from one
state to the next: latency, not throughput. `s + x` is one addition (3 cycles on AMD's Zen 3, 4 on
many others) and the unit of the last column. 100,000 steps a call, short enough to run undisturbed;
minima.
"""

import time
from collections.abc import Callable

import numpy as np

import graphc as gc
from graphc.ir.tensor import Tensor

STEPS = 100_000
CALLS = 300
RECURRENCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "s + x": lambda s, x: s + x,
    "0.9 s + x": lambda s, x: 0.9 * s + x,
    "0.9 s + tanh(x + 0.1 s)": lambda s, x: 0.9 * s + gc.tanh(x + 0.1 * s),
    "tanh(x + s)": lambda s, x: gc.tanh(x + s),
    "sigmoid(x + s)": lambda s, x: gc.sigmoid(x + s),
    "exp(-s^2) + x": lambda s, x: gc.exp(-s * s) + x,
    "sin(s) + x": lambda s, x: gc.sin(s) + x,
    "s + x if s < 1 else 0": lambda s, x: gc.where(s < 1, s + x, 0.0),
}


def main() -> None:
    for dtype in ("float32", "float64"):
        x = gc.placeholder("x", (STEPS,), dtype)
        zero = gc.constant(np.zeros((), dtype))
        functions = {
            name: gc.function([x], gc.scan(lambda s, e, f=f: (f(s, e),) * 2, zero, x)[1])
            for name, f in RECURRENCES.items()
        }
        values = np.random.default_rng(0).normal(size=STEPS).astype(dtype)
        best = dict.fromkeys(functions, float("inf"))
        for _ in range(CALLS):
            for name, f in functions.items():
                start = time.perf_counter()
                f(values)
                best[name] = min(best[name], time.perf_counter() - start)
        addition = best["s + x"]
        print(f"{dtype:<28}{'ns a step':>12}{'additions':>12}")
        for name, seconds in best.items():
            print(f"  {name:<26}{1e9 * seconds / STEPS:12.2f}{seconds / addition:12.1f}")


if __name__ == "__main__":
    main()
