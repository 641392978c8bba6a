"""Loops whose steps change or read a few entries of an array: microseconds a step, by its size.

python benchmarks/loop_entries.py [--sizes 100 10000 1000000]

A step that writes entries of its state, and the gradient by an array that every step reads entries
of, should cost what the entries cost. Beside jax.lax.scan where JAX is installed; candidates take
turns, medians.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

import graphc as gc

STEPS = 1000
Call = Callable[[], Any]


def written(state: Any, k: Any) -> tuple[Any, Any]:
    return state.at[k].set(state[k] * 0.5 + 1), None


def in_graphc(values: np.ndarray, places: np.ndarray) -> dict[str, Call]:
    x = gc.placeholder("x", values.shape)
    i = gc.placeholder("i", ("t",), "int64")
    final = gc.scan(written, x, i)[0]
    read = gc.scan(lambda c, k: ((n := gc.tanh(c + x[k])), n), x[0], i)[1]
    outputs = {
        "entries written": final,
        "its gradient": gc.grad(gc.sum(final * final), x),
        "gradient of entries read": gc.grad(gc.sum(read), x),
    }
    functions = {name: gc.function([x, i], output) for name, output in outputs.items()}
    return {name: lambda f=f: f(values, places) for name, f in functions.items()}


def in_jax(values: np.ndarray, places: np.ndarray) -> dict[str, Call]:
    jax: Any = import_module("jax")
    jnp: Any = import_module("jax.numpy")

    def final(x: Any, i: Any) -> Any:
        return jax.lax.scan(written, x, i)[0]

    def read(x: Any, i: Any) -> Any:
        return jax.lax.scan(lambda c, k: ((n := jnp.tanh(c + x[k])), n), x[0], i)[1]

    functions = {
        "entries written": final,
        "its gradient": jax.grad(lambda x, i: jnp.sum(final(x, i) ** 2)),
        "gradient of entries read": jax.grad(lambda x, i: jnp.sum(read(x, i))),
    }
    x, i = jnp.asarray(values), jnp.asarray(places)
    made = {name: jax.jit(function) for name, function in functions.items()}
    return {name: lambda f=f: f(x, i).block_until_ready() for name, f in made.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="*", default=[100, 10_000, 1_000_000])
    rng = np.random.default_rng(0)
    for size in parser.parse_args().sizes:
        values = rng.normal(size=size).astype("float32")
        places = rng.integers(0, size, STEPS)
        candidates = {"graphc": in_graphc(values, places)}
        if find_spec("jax"):
            candidates["jax"] = in_jax(values, places)
        for what in candidates["graphc"]:
            seconds: dict[str, list[float]] = {name: [] for name in candidates}
            for _ in range(12):
                for name, calls in candidates.items():
                    start = time.perf_counter()
                    calls[what]()
                    seconds[name].append(time.perf_counter() - start)
            cells = [
                f"{name} {statistics.median(times[2:]) / STEPS * 1e6:8.3f} us"
                for name, times in seconds.items()
            ]
            print(f"{size:>9}  {what:<26}{'   '.join(cells)}", flush=True)


if __name__ == "__main__":
    main()
