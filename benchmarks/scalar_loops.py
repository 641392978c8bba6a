"""Recurrences of single numbers: nanoseconds a step.

python benchmarks/scalar_loops.py [--lengths 10 1000 100000] [--dtypes float32]

Each step waits for the one before, so that a step takes as long as the chain of operations from one
state to the next: latency, not throughput. Recurrences that forget where they began run in pieces
side by side (docs/recurrences.md); the others cannot. Beside graphc: the loop as one writes it for
Numba, and jax.lax.scan where JAX is installed. Minima; candidates take turns.
"""

import argparse
import importlib
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import graphc as gc

Array = np.ndarray[Any, Any]
# Steps from s and x; f makes a constant of their dtype.
FORGETTING = {
    "0.9 s + x": "f(0.9) * s + x",
    "0.99 s + x": "f(0.99) * s + x",
    "0.9 s + tanh(x + 0.1 s)": "f(0.9) * s + tanh(x + f(0.1) * s)",
    "tanh(x + s)": "tanh(x + s)",
    "sigmoid(x + s)": "f(1) / (f(1) + exp(-(x + s)))",
    "exp(-s^2) + x": "exp(-s * s) + x",
    "sin(s) + x": "sin(s) + x",
    "leaky relu(x + 0.8 s)": "where(x + f(0.8) * s > 0, f(1), f(0.01)) * (x + f(0.8) * s)",
    "s + x if s < 1 else 0": "where(s < f(1), s + x, f(0))",
}
LASTING = {
    "s + x": "s + x",
    "3.99 s (1 - s)": "f(3.99) * s * (f(1) - s) + f(0) * x",
    "LCG of int64": "s * 1664525 + x",
}
START = 0.3
ROUNDS = 10


def installed(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def in_graphc(text: str, values: Array) -> Callable[[], Any]:
    names = {name: getattr(gc, name) for name in ("tanh", "exp", "sin", "where")}
    step = eval(f"lambda s, x: {text}", {**names, "f": lambda number: number})
    x = gc.placeholder("x", values.shape, values.dtype.name)
    start = gc.constant(np.asarray(START).astype(values.dtype))
    f = gc.function([x], gc.scan(lambda s, e: (step(s, e),) * 2, start, x)[1])
    return lambda: f(values)


def in_numba(text: str, values: Array) -> Callable[[], Any] | None:
    numba = installed("numba")
    if numba is None:
        return None
    where = numba.njit(lambda condition, a, b: a if condition else b)
    names = {"tanh": math.tanh, "exp": math.exp, "sin": math.sin, "where": where}
    step = numba.njit(eval(f"lambda s, x: {text}", {**names, "f": values.dtype.type}))
    start = np.asarray(START).astype(values.dtype)[()]

    @numba.njit
    def loop(values: Any) -> Any:
        out, s = np.empty_like(values), start
        for t in range(len(values)):
            s = step(s, values[t])
            out[t] = s
        return out

    return lambda: loop(values)


def in_jax(text: str, values: Array) -> Callable[[], Any] | None:
    jax = installed("jax")
    if jax is None:
        return None
    jax.config.update("jax_enable_x64", True)
    names = {name: getattr(jax.numpy, name) for name in ("tanh", "exp", "sin", "where")}
    step = eval(f"lambda s, x: {text}", {**names, "f": values.dtype.type})
    start = np.asarray(START).astype(values.dtype)
    loop = jax.jit(lambda x: jax.lax.scan(lambda s, e: (step(s, e),) * 2, start, x)[1])
    return lambda: loop(values).block_until_ready()


CANDIDATES = {"graphc": in_graphc, "numba": in_numba, "jax": in_jax}


def fastest(runs: dict[str, Callable[[], Any]], seconds: float) -> dict[str, float]:
    """The least time of a call of each, in turns for so long, and at least ROUNDS times."""
    best = dict.fromkeys(runs, math.inf)
    for run in runs.values():
        run()
    end, rounds = time.perf_counter() + seconds, 0
    while time.perf_counter() < end or rounds < ROUNDS:
        rounds += 1
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            best[name] = min(best[name], time.perf_counter() - start)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lengths", type=int, nargs="+", default=[10, 1000, 100_000, 1_000_000])
    parser.add_argument("--dtypes", nargs="+", default=["float32", "float64"])
    parser.add_argument("--seconds", type=float, default=0.3, help="for each line")
    options = parser.parse_args()
    shown = {name: CANDIDATES[name] for name in CANDIDATES if name == "graphc" or installed(name)}
    for dtype in options.dtypes:
        for length in options.lengths:
            values = np.random.default_rng(0).normal(size=length).astype(dtype)
            print(f"{dtype}, {length} steps".ljust(28) + "".join(f"{n:>10}" for n in shown))
            for name, text in {**FORGETTING, **LASTING}.items():
                given = values.astype("int64") if name.endswith("int64") else values
                made = {key: make(text, given) for key, make in shown.items()}
                runs = {key: run for key, run in made.items() if run is not None}
                best = fastest(runs, options.seconds)
                figures = "".join(f"{1e9 * best[key] / length:10.2f}" for key in runs)
                print(f"  {name:<26}{figures}", flush=True)


if __name__ == "__main__":
    main()
