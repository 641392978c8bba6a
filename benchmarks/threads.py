"""Threads: what a divided region costs, and how kernels of each kind scale.

python benchmarks/threads.py [names] [--threads N] [--seconds S]

The first table has the time of a region in which there is nothing to do, from the call of the pool
to its return: with workers that are awake, as between the steps of a program. The second has one
function of each kind on 1, 2, 4, ... threads, calls in turns: the minimum in milliseconds on one
thread, and how many times faster more threads are. Only an idle machine tells anything. Results
are compared bit by bit.
"""

import argparse
import ctypes
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import graphc as gc
from graphc.backends.llvm.jit import Library, Module, module_object
from graphc.backends.llvm.one_thread import PARALLEL, SHARED
from graphc.backends.llvm.pool import LITTLE, parallel_address
from graphc.backends.llvm.target import host
from graphc.ir.tensor import Tensor
from graphc.threads import usable_cores

Array = np.ndarray[Any, Any]
REGIONS = 2000

# Regions one after the other, of a task that does nothing.
_REGIONS = f"""
declare void @{PARALLEL}(ptr, ptr, i64, i64, i64, i64)
define internal void @nothing(ptr %frame, i64 %begin, i64 %end, i64 %thread) {{
  ret void
}}
define void @regions(i64 %count, i64 %work, i64 %threads) {{
entry:
  br label %head
head:
  %i = phi i64 [ 0, %entry ], [ %next, %body ]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %body, label %done
body:
  call void @{PARALLEL}(ptr @nothing, ptr null, i64 %threads, i64 %work, i64 1, i64 %threads)
  %next = add i64 %i, 1
  br label %head
done:
  ret void
}}
"""


def region_costs(counts: Sequence[int]) -> None:
    """Nanoseconds of a region, by the work that it is said to have."""
    image = module_object(Module(_REGIONS), host())
    library = Library([image], ["regions"], {PARALLEL: parallel_address()})
    run = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 3)(library.address("regions"))
    kinds = {"one call": SHARED, "shared by those awake": 2 * SHARED, "shared": 2 * LITTLE}
    print(f"{'an empty region, ns':<26}" + "".join(f"{count:>9} thr" for count in counts))
    for name, work in kinds.items():
        best = dict.fromkeys(counts, float("inf"))
        for _ in range(30):
            for count in counts:
                start = time.perf_counter()
                run(REGIONS, work, count)
                best[count] = min(best[count], time.perf_counter() - start)
        cells = "".join(f"{1e9 * best[count] / REGIONS:13.0f}" for count in counts)
        print(f"{name:<26}{cells}")


def recurrent(x: Tensor, w: Tensor) -> Tensor:
    _, h = gc.scan(lambda h, row: (gc.tanh(row + h @ w),) * 2, x[0] * 0, x)
    return gc.sum(h * h)


def layer_norm(x: Tensor) -> Tensor:
    d = x - gc.mean(x, axis=-1, keepdims=True)
    return d / gc.sqrt(gc.mean(d * d, axis=-1, keepdims=True) + 1e-5)


Case = tuple[Callable[..., Any], list[tuple[int, ...]]]
CASES: dict[str, Case] = {
    "elementwise, memory": (lambda a, b: a * 2 + b, [(8_000_000,)] * 2),
    "elementwise, arithmetic": (lambda a: gc.exp(-a * a) * gc.tanh(a), [(1_000_000,)]),
    "elementwise, 16 us": (lambda a: gc.sigmoid(a) * gc.tanh(a), [(20_000,)]),
    "full sum": (lambda a: gc.sum(a * a), [(8_000_000,)]),
    "sums of columns": (lambda a: gc.sum(a, axis=0), [(4000, 1000)]),
    "softmax of rows": (lambda a: gc.nn.softmax(a), [(2000, 1000)]),
    "layer norm, gradient": (
        lambda a: gc.grad(gc.sum(layer_norm(a) ** 2), a),
        [(2000, 512)],
    ),
    "transpose": (lambda a: gc.permute_dims(a, (1, 0)) + 1, [(2000, 2000)]),
    "sort of rows": (lambda a: gc.sort(a), [(1000, 1000)]),
    "product": (lambda a, b: a @ b, [(700, 700)] * 2),
    "product, 32 rows": (lambda a, b: a @ b, [(32, 512), (512, 512)]),
    "batch of products": (lambda a, b: a @ b, [(500, 32, 32)] * 2),
    "convolution": (lambda a, b: gc.nn.conv2d(a, b), [(8, 16, 56, 56), (32, 16, 3, 3)]),
    "recurrent, gradient": (
        lambda x, w: gc.grad(recurrent(x, w * 0.01), w),
        [(64, 32, 256), (256, 256)],
    ),
    "batch of solves": (lambda a, b: gc.linalg.solve(a, b), [(2000, 16, 16), (2000, 16, 1)]),
    "batch of SVDs": (lambda a: gc.linalg.svd(a)[1], [(500, 16, 16)]),
}


def scaling(name: str, counts: Sequence[int], seconds: float) -> None:
    build, shapes = CASES[name]
    rng = np.random.default_rng(0)
    arrays: list[Array] = [rng.normal(size=shape).astype("float32") for shape in shapes]
    inputs = [gc.placeholder(f"x{n}", shape) for n, shape in enumerate(shapes)]
    functions = [gc.function(inputs, build(*inputs), threads=count) for count in counts]
    results = [f(*arrays) for f in functions]
    assert all(result.tobytes() == results[0].tobytes() for result in results), name
    best, until = [float("inf")] * len(counts), time.perf_counter() + seconds
    while time.perf_counter() < until:
        for n, f in enumerate(functions):
            start = time.perf_counter()
            for _ in range(3):  # the workers are awake from the second one on
                f(*arrays)
            best[n] = min(best[n], (time.perf_counter() - start) / 3)
    cells = "".join(f"{best[0] / one:11.2f} x" for one in best[1:])
    print(f"{name:<26}{1e3 * best[0]:10.3f} ms{cells}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of names")
    parser.add_argument("--threads", type=int, default=usable_cores(), help="at most")
    parser.add_argument("--seconds", type=float, default=2.0, help="of a row")
    options = parser.parse_args()
    counts = [1]
    while counts[-1] * 2 <= options.threads:
        counts.append(counts[-1] * 2)
    if not options.names:
        region_costs(counts)
        print()
    print(f"{'':<26}{'1 thread':>13}" + "".join(f"{count:>9} thr" for count in counts[1:]))
    for name in CASES:
        if not options.names or any(part in name for part in options.names):
            scaling(name, counts, options.seconds)


if __name__ == "__main__":
    main()
