"""Fourier transforms of known length: microseconds a call, by shape; beside SciPy, and JAX.

python benchmarks/fourier.py [--threads 1]

Single precision, one function of one transform each; JAX where it is installed. Candidates take
turns: medians, and the share of a candidate's time that graphc takes. With `taskset -c 0` around it
JAX has one thread.
"""

import argparse
import time
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import scipy.fft

import graphc as gc

SECONDS = 0.3  # for each candidate
Case = tuple[str, tuple[int, ...], tuple[int, ...]]  # function, shape, axes
CASES: tuple[Case, ...] = (
    *(("fftn", (n,), (0,)) for n in (64, 1000, 4096, 65536, 1 << 20)),
    ("fftn", (256, 32), (1,)),
    ("fftn", (1000, 50), (1,)),
    ("fftn", (64, 1024), (1,)),
    ("fftn", (128, 100), (0,)),
    ("fftn", (64, 64), (0, 1)),
    ("fftn", (256, 256), (0, 1)),
    ("fftn", (32, 32, 32), (0, 1, 2)),
    *(("rfftn", (n,), (0,)) for n in (1024, 1 << 18)),
    ("rfftn", (100, 400), (1,)),
    ("rfftn", (512, 512), (0, 1)),
    ("irfftn", (513,), (0,)),
    ("irfftn", (64, 33), (0, 1)),
)


def drawn(function: str, shape: tuple[int, ...]) -> np.ndarray:
    rng = np.random.default_rng(0)
    real = rng.normal(size=shape)
    if function == "rfftn":
        return real.astype("float32")
    return (real + 1j * rng.normal(size=shape)).astype("complex64")


def candidates(case: Case, threads: int) -> tuple[dict[str, Callable[[], Any]], float]:
    """What is called, and the seconds that graphc compiles."""
    function, shape, axes = case
    array = drawn(function, shape)
    x = gc.placeholder("x", shape, array.dtype)
    start = time.perf_counter()
    transform = getattr(gc.fft, function)(x, axes=axes)
    compiled = gc.function([x], transform, threads=threads, cache=False)
    seconds = time.perf_counter() - start
    found: dict[str, Callable[[], Any]] = {
        "graphc": lambda: compiled(array),
        "scipy": lambda: getattr(scipy.fft, function)(array, axes=axes, workers=threads),
    }
    if find_spec("jax"):
        jax: Any = import_module("jax")
        there = jax.numpy.asarray(array)
        jitted = jax.jit(lambda x: getattr(jax.numpy.fft, function)(x, axes=axes))
        found["jax"] = lambda: jitted(there).block_until_ready()
    return found, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--threads", type=int, default=1)
    threads = parser.parse_args().threads
    gc.run(gc.ones((2,)))  # what the first compilation loads
    for case in CASES:
        calls, compiled = candidates(case, threads)
        found = gc.compare(calls, seconds=SECONDS * len(calls), baseline="graphc")
        cells = []
        for name, timing in found.timings.items():
            ratio = f"  {found.ratio(name):.2f}" if name != "graphc" else ""
            cells.append(f"{name} {timing.median * 1e6:9.1f} us{ratio}")
        function, shape, axes = case
        what = f"{function} {'x'.join(map(str, shape))} along {','.join(map(str, axes))}"
        print(f"{what:<28}{'   '.join(cells)}   compiled {compiled * 1e3:.0f} ms", flush=True)


if __name__ == "__main__":
    main()
