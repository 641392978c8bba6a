"""What a call costs by how its arguments are given; beside jax.jit and torch where installed.

python benchmarks/calls.py

A function of four numbers does next to nothing: what is left is the call. The same arguments go to
every candidate in turns. JAX takes numpy's arrays, as graphc does; torch makes tensors of them, in
less than a microsecond.
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

ROUNDS, CALLS = 40, 200
X = np.arange(4, dtype="float32")
NUMBER = np.float32(0.5)
RATE = np.asarray(NUMBER)


def graphc_scale() -> Callable[..., Any]:
    x, rate = gc.placeholder("x", ("n",)), gc.placeholder("rate", ())
    return gc.function([x, rate], x * rate, defaults={"rate": 0.5})


def jax_scale() -> Callable[..., Any]:
    jax: Any = import_module("jax")

    def scale(x: Any, rate: Any = 0.5) -> Any:
        return x * rate

    compiled = jax.jit(scale)
    return lambda *args, **named: compiled(*args, **named).block_until_ready()


def torch_scale() -> Callable[..., Any]:
    torch: Any = import_module("torch")

    def scale(x: Any, rate: Any = 0.5) -> Any:
        if isinstance(rate, np.ndarray):
            rate = torch.from_numpy(rate)
        return torch.from_numpy(x) * rate

    return scale


WAYS: dict[str, Callable[[Callable[..., Any]], Any]] = {
    "arrays": lambda f: f(X, RATE),
    "a float": lambda f: f(X, 0.5),
    "an int": lambda f: f(X, 2),
    "a numpy number": lambda f: f(X, NUMBER),
    "by name": lambda f: f(x=X, rate=0.5),
    "a default": lambda f: f(X),
}


def main() -> None:
    argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0]).parse_args()
    candidates = {"graphc": graphc_scale()}
    if find_spec("jax"):
        candidates["jax"] = jax_scale()
    if find_spec("torch"):
        candidates["torch"] = torch_scale()
    print("microseconds a call" + "".join(f"{name:>12}" for name in candidates))
    for way, call in WAYS.items():
        seconds: dict[str, list[float]] = {name: [] for name in candidates}
        for _ in range(ROUNDS):
            for name, function in candidates.items():
                start = time.perf_counter()
                for _ in range(CALLS):
                    call(function)
                seconds[name].append((time.perf_counter() - start) / CALLS)
        cells = [f"{statistics.median(times) * 1e6:12.2f}" for times in seconds.values()]
        print(f"{way:<19}" + "".join(cells))


if __name__ == "__main__":
    main()
