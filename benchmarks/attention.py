"""Attention, forward and with gradients: graphc and, where they are installed, torch and JAX.

    python benchmarks/attention.py [--threads 1] [--repeat 20]

Rows: batch, heads, length, size of a head; milliseconds of the fastest call, candidates in turn.
torch is asked for its fused attention (scaled_dot_product_attention), JAX compiles the formula.
"""

import argparse
import importlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import graphc as gc

SHAPES = [(8, 8, 128, 32), (1, 1, 64, 32), (32, 8, 65, 33), (4, 8, 512, 64), (1, 16, 1024, 128)]
Call = Callable[[], Any]


def attention(q: Any, k: Any, v: Any, softmax: Callable[..., Any]) -> Any:
    return softmax(q @ k.mT * q.shape[-1] ** -0.5, axis=-1) @ v


def graphc_calls(arrays: list[np.ndarray], threads: int) -> list[Call]:
    inputs = [gc.placeholder(name, array.shape) for name, array in zip("qkv", arrays, strict=True)]
    result = attention(*inputs, gc.softmax)
    forward = gc.function(inputs, result, threads=threads)
    back = gc.function(inputs, gc.grad(gc.sum(result * result), inputs), threads=threads)
    return [lambda: forward(*arrays), lambda: back(*arrays)]


def torch_calls(arrays: list[np.ndarray], threads: int) -> list[Call]:
    torch = importlib.import_module("torch")
    torch.set_num_threads(threads)
    fused = torch.nn.functional.scaled_dot_product_attention
    inputs = [torch.from_numpy(array) for array in arrays]
    tracked = [tensor.clone().requires_grad_() for tensor in inputs]
    return [
        lambda: fused(*inputs),
        lambda: torch.autograd.grad((fused(*tracked) ** 2).sum(), tracked),
    ]


def jax_calls(arrays: list[np.ndarray], threads: int) -> list[Call]:
    """JAX takes the threads that the process may run on: use taskset."""
    jax = importlib.import_module("jax")
    inputs = [jax.numpy.asarray(array) for array in arrays]
    forward = jax.jit(lambda *given: attention(*given, jax.nn.softmax))
    back = jax.jit(jax.grad(lambda *given: (forward(*given) ** 2).sum(), argnums=(0, 1, 2)))
    wait = jax.block_until_ready
    return [lambda: wait(forward(*inputs)), lambda: wait(back(*inputs))]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=20)
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    for shape in SHAPES:
        arrays = [rng.standard_normal(shape).astype("float32") for _ in range(3)]
        calls: dict[str, list[Call]] = {}
        for name, make in (("graphc", graphc_calls), ("torch", torch_calls), ("jax", jax_calls)):
            try:
                calls[name] = make(arrays, given.threads)
            except ImportError:
                continue
        for number, kind in enumerate(("forward", "gradients")):
            best = dict.fromkeys(calls, float("inf"))
            for turn in range(given.repeat + 1):
                for name, pair in calls.items():
                    start = time.perf_counter()
                    pair[number]()
                    if turn:
                        best[name] = min(best[name], time.perf_counter() - start)
            text = "  ".join(f"{name} {1e3 * seconds:8.3f}" for name, seconds in best.items())
            print(f"{shape!s:20} {kind:9}  {text}", flush=True)


if __name__ == "__main__":
    main()
