"""Linear algebra against numpy: the same matrices, calls taking turns, ratios.

python benchmarks/linear_algebra.py [float32]
"""

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np

import graphc as gc

SHAPES = ((64, 64), (512, 512), (1000, 8, 8), (1000, 4, 4))
SMALL = 4  # sizes up to here are known
rng = np.random.default_rng(0)


def cases(dtype: str) -> list[tuple[str, Callable[..., Any], Callable[..., Any], tuple[Any, ...]]]:
    """(name, compiled function, numpy's, arrays)"""
    found = []
    for shape in SHAPES:
        a = rng.normal(size=shape).astype(dtype)
        positive = (a @ np.swapaxes(a, -1, -2) + np.eye(shape[-1])).astype(dtype)
        right = rng.normal(size=(*shape[:-1], 1)).astype(dtype)
        size = shape[-1] if shape[-1] <= SMALL else "n"
        sizes = ("k", size, size)[-len(shape) :]
        x, b = gc.placeholder("x", sizes, dtype), gc.placeholder("b", (*sizes[:-1], 1), dtype)
        text = "x".join(map(str, shape))
        found += [
            (f"solve {text}", [x, b], gc.linalg.solve(x, b), np.linalg.solve, (a, right)),
            (f"inv {text}", [x], gc.linalg.inv(x), np.linalg.inv, (a,)),
            (f"cholesky {text}", [x], gc.linalg.cholesky(x), np.linalg.cholesky, (positive,)),
            (f"qr {text}", [x], list(gc.linalg.qr(x)), np.linalg.qr, (a,)),
            (f"eigh {text}", [x], list(gc.linalg.eigh(x)), np.linalg.eigh, (positive,)),
            (f"svd {text}", [x], list(gc.linalg.svd(x)), np.linalg.svd, (a,)),
        ]
    return [(n, gc.function(inputs, out), other, arrays) for n, inputs, out, other, arrays in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("dtype", nargs="?", default="float64", choices=("float32", "float64"))
    dtype = parser.parse_args().dtype
    print(f"{dtype:<22} {'graphc':>10} {'numpy':>10} {'numpy / graphc':>16}")
    for name, compiled, other, arrays in cases(dtype):
        result = gc.compare({"graphc": compiled, "numpy": other}, *arrays, seconds=1.0)
        mine, theirs = (result.timings[key].median for key in ("graphc", "numpy"))
        print(f"{name:<22} {mine * 1e3:8.3f}ms {theirs * 1e3:8.3f}ms {theirs / mine:15.2f}x")


if __name__ == "__main__":
    main()
