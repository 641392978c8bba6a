"""Gradients through recurrences of single numbers, by the numbers that all steps share.

python benchmarks/scalar_gradients.py [--lengths 1000 100000 1000000] [--seconds 1]

Nanoseconds a step of loss and gradients together, on one thread: graphc and, where it is installed,
JAX. Minima; candidates take turns.
"""

import argparse
import contextlib
import importlib
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import graphc as gc

Step = Callable[[Any, Sequence[Any], Any, Any], Any]  # (state, parameters, input, module)


def filtered(s: Any, p: Sequence[Any], u: Any, m: Any) -> Any:
    a, b = p
    return a * s + b * u


def logistic_map(s: Any, p: Sequence[Any], u: Any, m: Any) -> Any:
    return p[0] * s * (1 - s)


def garch(s: Any, p: Sequence[Any], u: Any, m: Any) -> Any:
    omega, alpha, beta = p
    return omega + alpha * u * u * s + beta * s


def gru(s: Any, p: Sequence[Any], u: Any, m: Any) -> Any:
    z = 0.5 + 0.5 * m.tanh(p[0] * u + p[1] * s + p[2])
    r = 0.5 + 0.5 * m.tanh(p[3] * u + p[4] * s + p[5])
    return (1 - z) * s + z * m.tanh(p[6] * u + p[7] * (r * s) + p[8])


MODELS: dict[str, tuple[Step, float, list[float]]] = {
    "a s + b u": (filtered, 0.0, [0.9, 0.1]),
    "r s (1 - s), r = 2.8": (logistic_map, 0.3, [2.8]),
    "r s (1 - s), r = 3.99": (logistic_map, 0.3, [3.99]),
    "w + a u^2 s + b s": (garch, 1.0, [0.1, 0.1, 0.85]),
    "GRU of one unit": (gru, 0.0, [0.5, -0.3, 0.1, 0.7, 0.2, -0.1, 0.9, 0.4, 0.0]),
}


def graphc_call(name: str, values: np.ndarray) -> Callable[[], Any]:
    step, start, numbers = MODELS[name]
    u = gc.placeholder("u", ("t",))
    p = [gc.variable(np.float32(number)) for number in numbers]
    states = gc.scan(lambda s, e: (step(s, p, e, gc),) * 2, start, u)[1]
    cost = gc.mean(states * states)
    f = gc.function([u], [cost, *gc.grad(cost, p)], threads=1)
    return lambda: f(values)


def jax_call(name: str, values: np.ndarray) -> Callable[[], Any]:
    """JAX takes the threads that the process may run on: use taskset."""
    jax = importlib.import_module("jax")
    step, start, numbers = MODELS[name]

    def cost(p: Any, u: Any) -> Any:
        first = jax.numpy.float32(start)
        states = jax.lax.scan(lambda s, e: (step(s, p, e, jax.numpy),) * 2, first, u)[1]
        return (states * states).mean()

    f = jax.jit(jax.value_and_grad(cost))
    p, u = [np.float32(number) for number in numbers], jax.numpy.asarray(values)
    return lambda: jax.block_until_ready(f(p, u))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lengths", type=int, nargs="+", default=[1000, 100_000, 1_000_000])
    parser.add_argument("--seconds", type=float, default=1, help="for each line")
    given = parser.parse_args()
    for length in given.lengths:
        values = np.random.default_rng(0).normal(size=length).astype("float32")
        print(f"{length} steps", flush=True)
        for name in MODELS:
            calls = {"graphc": graphc_call(name, values)}
            with contextlib.suppress(ImportError):
                calls["jax"] = jax_call(name, values)
            best = dict.fromkeys(calls, math.inf)
            for call in calls.values():
                call()
            end = time.perf_counter() + given.seconds
            while time.perf_counter() < end:
                for key, call in calls.items():
                    start = time.perf_counter()
                    call()
                    best[key] = min(best[key], time.perf_counter() - start)
            figures = "  ".join(f"{key} {1e9 * best[key] / length:8.2f}" for key in calls)
            print(f"  {name:<24}{figures}", flush=True)


if __name__ == "__main__":
    main()
