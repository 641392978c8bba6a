"""Rows in order: microseconds a call, by shape; beside numpy, and JAX and PyTorch.

python benchmarks/sorting.py [--threads 1] [--dtype float32] [function ...]

sort, argsort (stable in all but numpy, whose quickest way counts), the median, the 4 largest with
their positions, and the gradient of the mean distance of two sorted arrays. One function of each;
JAX and PyTorch where they are installed, except that numpy has no gradients. Each peer takes turns
with graphc alone, as what runs before a call of a few hundred microseconds can double its time:
medians, and the share of the peer's time that graphc takes. With `taskset -c 0` around it JAX has
one thread.
"""

import argparse
import time
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

import graphc as gc

SECONDS = 0.2  # for each candidate
SHAPES = ((100_000, 8), (10_000, 32), (4000, 100), (1000, 256), (500, 1000), (100, 5000))
FUNCTIONS = ("sort", "argsort", "median", "top_k", "distance")
LARGEST = 4


def expression(function: str, x: gc.Tensor, y: gc.Tensor) -> Any:
    if function == "distance":
        return gc.grad(gc.mean(gc.abs(gc.sort(x) - gc.sort(y))), x)
    if function == "top_k":
        return list(gc.top_k(x, LARGEST))
    return gc.median(x, axis=-1) if function == "median" else getattr(gc, function)(x)


def with_numpy(function: str, x: np.ndarray) -> Callable[[], Any] | None:
    if function == "top_k":
        return lambda: np.argpartition(x, -LARGEST)[:, -LARGEST:]
    if function == "median":
        return lambda: np.median(x, axis=-1)
    return None if function == "distance" else lambda: getattr(np, function)(x)


def with_jax(function: str, x: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
    jax: Any = import_module("jax")
    jnp = jax.numpy

    def distance(x: Any, y: Any) -> Any:
        return jnp.mean(jnp.abs(jnp.sort(x) - jnp.sort(y)))

    formulas = {
        "sort": lambda x, y: jnp.sort(x),
        "argsort": lambda x, y: jnp.argsort(x),
        "median": lambda x, y: jnp.median(x, axis=-1),
        "top_k": lambda x, y: jax.lax.top_k(x, LARGEST),
        "distance": jax.grad(distance),
    }
    jitted = jax.jit(formulas[function])
    a, b = jnp.asarray(x), jnp.asarray(y)
    return lambda: jax.block_until_ready(jitted(a, b))


def with_torch(
    function: str, x: np.ndarray, y: np.ndarray, threads: int
) -> Callable[[], Any] | None:
    torch: Any = import_module("torch")
    torch.set_num_threads(threads)
    a, b = torch.from_numpy(x), torch.from_numpy(y)

    def distance() -> Any:
        given = a.detach().requires_grad_()
        (given.sort()[0] - b.sort()[0]).abs().mean().backward()
        return given.grad

    calls: dict[str, Callable[[], Any]] = {
        "sort": lambda: torch.sort(a),
        "argsort": lambda: torch.argsort(a, stable=True),
        "median": lambda: torch.quantile(a, 0.5, -1),
        "top_k": lambda: torch.topk(a, LARGEST),
        "distance": distance,
    }
    return calls[function]


def candidates(
    function: str, shape: tuple[int, int], dtype: str, threads: int
) -> tuple[dict[str, Callable[[], Any]], float]:
    """What is called, and the seconds that graphc compiles."""
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=shape).astype(dtype) for _ in range(2))
    x, y = (gc.placeholder(name, shape, dtype) for name in "xy")
    start = time.perf_counter()
    value = expression(function, x, y)
    inputs = [x, y] if function == "distance" else [x]
    compiled = gc.function(inputs, value, threads=threads, cache=False)
    seconds = time.perf_counter() - start
    given = (a, b)[: len(inputs)]
    found: dict[str, Callable[[], Any]] = {"graphc": lambda: compiled(*given)}
    others = {
        "numpy": with_numpy(function, a),
        "jax": with_jax(function, a, b) if find_spec("jax") else None,
        "torch": with_torch(function, a, b, threads) if find_spec("torch") else None,
    }
    return found | {name: call for name, call in others.items() if call is not None}, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("functions", nargs="*", help="sort argsort median top_k distance")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dtype", default="float32")
    chosen = parser.parse_args()
    if chosen.dtype == "float64" and find_spec("jax"):
        import_module("jax").config.update("jax_enable_x64", True)
    gc.run(gc.ones((2,)))  # what the first compilation loads
    for function in chosen.functions or FUNCTIONS:
        for shape in SHAPES:
            calls, compiled = candidates(function, shape, chosen.dtype, chosen.threads)
            own, cells = calls.pop("graphc"), []
            for name, call in calls.items():
                pair = {"graphc": own, name: call}
                found = gc.compare(pair, seconds=2 * SECONDS, baseline="graphc")
                mine, theirs = (found.timings[one].median * 1e6 for one in pair)
                cells.append(f"{mine:6.0f} : {theirs:6.0f} us {name} {found.ratio(name):.2f}")
            what = f"{function} {shape[0]}x{shape[1]}"
            print(f"{what:<20}{'   '.join(cells)}   compiled {compiled * 1e3:.0f} ms", flush=True)


if __name__ == "__main__":
    main()
