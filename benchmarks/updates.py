"""Updates of large variables and of many, and calls at sizes that are new.

python benchmarks/updates.py

The first table: one step of Adam, with new values in the memory of the old ones and in memory of
their own, taking turns. GB/s count 7 passes over the parameters, the fewest there can be. The
second: a step on a hundred parameters beside one on a single parameter with as many elements, and
how long it takes to compile. The last line: what a call at a new size costs beyond one at a size
that was there before.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import graphc as gc
from graphc.layers import updates

NEVER = 1 << 62
RULES: dict[str, Callable[..., Any]] = {"adam": updates.adam, "sgd": updates.sgd}


def adam(count: int, in_place: bool) -> Callable[[], object]:
    """A step on so many parameters, by the formula of Kingma and Ba, 2015."""
    p, m, v = (gc.variable(np.zeros(count, "float32"), name) for name in "pmv")
    t, g = gc.variable(np.float32(0), "t"), gc.placeholder("g", (count,))
    after, mean, square = t + 1, 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
    step = mean / (1 - 0.9**after) / (gc.sqrt(square / (1 - 0.999**after)) + 1e-8)
    module = sys.modules["graphc.function"]
    before = module.REWRITTEN  # type: ignore[attr-defined]
    module.REWRITTEN = 0 if in_place else NEVER  # type: ignore[attr-defined]
    pairs = [(t, after), (m, mean), (v, square), (p, p - 0.001 * step)]
    f = gc.function([g], updates=pairs)
    module.REWRITTEN = before  # type: ignore[attr-defined]
    gradient = np.ones(count, "float32")
    return lambda: f(gradient)


MANY = {
    "small": (64, 256, 1024, 512, 300, 128, 17, 2048, 64, 768),
    "mixed": (4096, 64, 10000, 300, 2048, 128, 6000, 512, 3000, 64),
    "large": (65536, 256, 12288, 64, 2541, 96, 16384, 1000, 4096, 32768),
}


def step_on(counts: Sequence[int], rule: str) -> tuple[Callable[[], object], float]:
    """A step by this rule on parameters of so many elements, for given gradients; and the seconds
    that it takes to compile, with nothing in the cache."""
    parameters = [gc.variable(np.zeros(n, "float32"), f"p{k}") for k, n in enumerate(counts)]
    gradients = [gc.placeholder(f"g{k}", (n,)) for k, n in enumerate(counts)]
    pairs = RULES[rule](gradients, parameters, 0.001)
    start = time.perf_counter()
    f = gc.function(gradients, updates=pairs, cache=False)
    seconds = time.perf_counter() - start
    return f.bind(*(np.ones(n, "float32") for n in counts)), seconds


def many() -> None:
    """A step on many parameters, beside one on a single parameter."""
    print(f"{'parameters':>12}{'rule':>10}{'many':>14}{'one':>14}{'ratio':>8}{'compile':>12}")
    for name, counts in MANY.items():
        counts = counts * 10
        for rule in RULES:
            (several, seconds), (one, _) = step_on(counts, rule), step_on([sum(counts)], rule)
            ours, flat = fastest([several, one])
            row = f"{name:>12}{rule:>10}{ours * 1e6:>11.1f} us{flat * 1e6:>11.1f} us"
            print(f"{row}{ours / flat:>8.2f}{seconds * 1e3:>9.0f} ms", flush=True)


def fastest(candidates: list[Callable[[], object]], seconds: float = 1.0) -> list[float]:
    """The shortest time of each; they take turns. The second of two calls counts."""
    best = [float("inf")] * len(candidates)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for place, call in enumerate(candidates):
            call()
            start = time.perf_counter()
            call()
            best[place] = min(best[place], time.perf_counter() - start)
    return best


def new_sizes() -> tuple[float, float]:
    """Seconds of a call at a new size, and of the next one at that size; means over 32 sizes."""
    x, w = gc.placeholder("x", ("n", 64)), gc.placeholder("w", (64, 64))
    weights, batches = (
        np.ones((64, 64), "float32"),
        [np.ones((n, 64), "float32") for n in range(32)],
    )
    first, second = [], []
    for _ in range(20):
        f = gc.function([x, w], gc.tanh(x @ w))
        for times in (first, second):
            start = time.perf_counter()
            for batch in batches:
                f(batch, weights)
            times.append(time.perf_counter() - start)
    return min(first) / 32, min(second) / 32


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    print(f"{'parameters':>12}{'in place':>12}{'apart':>12}{'ratio':>8}{'GB/s':>8}")
    for power in range(16, 25):
        count = 1 << power
        ours, apart = fastest([adam(count, True), adam(count, False)])
        row = f"{count:>12}{ours * 1e3:>9.3f} ms{apart * 1e3:>9.3f} ms"
        print(f"{row}{ours / apart:>8.2f}{28e-9 * count / ours:>8.1f}", flush=True)
    many()
    new, known = new_sizes()
    print(f"a call at a new size takes {1e6 * new:.1f} us, the next one {1e6 * known:.1f} us")


if __name__ == "__main__":
    main()
