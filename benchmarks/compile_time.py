"""Cold compile time: from the cost to the compiled training step, each in a fresh process.

    python benchmarks/compile_time.py [--rounds 5]

`import` is the time of `import graphc` after numpy; `gradient` that of gc.grad; `compile` that of
gc.function, which includes loading LLVM the first time; `cached` is that of gc.function in a new
process that finds the function on disk. Medians over rounds, in milliseconds.
The `warm` columns are how one more function of the same kind compiles in the same process.
The second table is the processor time of the same things, the least of all rounds: on a machine
that is busy otherwise it is what can be compared.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

import numpy as np

GOALS = {  # milliseconds, gradient included
    "logistic regression": 150.0,
    "784-512-512-10": 400.0,
    "20 layers": 1000.0,
    "40 layers": None,
}
CHILD = "--child"


def perceptron(gc: Any, sizes: list[int]) -> tuple[Any, Any, Any, Any]:
    rng = np.random.default_rng(0)
    x, y = gc.placeholder("x", ("n", sizes[0])), gc.placeholder("y", ("n",), "int64")
    h, parameters = x, []
    for layer, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        scale = 1 / np.sqrt(inputs)
        weights = (rng.normal(size=(inputs, outputs)) * scale).astype("float32")
        w = gc.variable(weights, f"w{layer}")
        b = gc.variable(np.zeros(outputs, "float32"), f"b{layer}")
        parameters += [w, b]
        h = h @ w + b
        if layer < len(sizes) - 2:
            h = gc.tanh(h)
    return x, y, parameters, gc.mean(gc.nn.sparse_softmax_cross_entropy(h, y))


def logistic_regression(gc: Any) -> tuple[Any, Any, Any, Any]:
    x, y = gc.placeholder("x", ("n", 784)), gc.placeholder("y", ("n",))
    w = gc.variable(np.zeros(784, "float32"), "w")
    b = gc.variable(np.float32(0), "b")
    p = 1 / (1 + gc.exp(-(x @ w) - b))
    cost = gc.mean(-y * gc.log(p) - (1 - y) * gc.log(1 - p)) + 0.01 * gc.sum(w**2)
    return x, y, [w, b], cost


def now() -> Any:
    """Seconds by the clock, and of the processor."""
    return np.array([time.perf_counter(), time.process_time()])


def build(gc: Any, model: str) -> tuple[Any, Any, Any, Any]:
    if model == "logistic regression":
        return logistic_regression(gc)
    layers = {"784-512-512-10": [784, 512, 512, 10]}
    depth = int(model.split()[0]) if model not in layers else 0
    return perceptron(gc, layers.get(model, [256] * depth + [10]))


def child(model: str) -> None:
    """One cold measurement, printed as JSON."""
    start = now()
    import graphc as gc  # noqa: PLC0415

    result = {"import": now() - start}
    for turn in ("", "warm "):
        x, y, parameters, cost = build(gc, model)
        before = now()
        gradients = gc.grad(cost, parameters)
        middle = now()
        updates = [(p, p - 0.1 * g) for p, g in zip(parameters, gradients, strict=True)]
        gc.function([x, y], cost, updates=updates)
        result[f"{turn}gradient"] = middle - before
        result[f"{turn}compile"] = now() - middle
    print(json.dumps({key: list(spent) for key, spent in result.items()}))


def run_child(model: str, cache: str) -> dict[str, list[float]]:
    """Seconds by the clock, and of the processor."""
    command = [sys.executable, __file__, CHILD, model]
    environment = {**os.environ, "GRAPHC_CACHE": cache}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # nobody compiles Python at every start
    done = subprocess.run(command, capture_output=True, check=True, env=environment)
    found: dict[str, list[float]] = json.loads(done.stdout)
    return found


def measure(model: str, rounds: int) -> tuple[dict[str, float], dict[str, float]]:
    """Medians of the clock and the least processor times, in milliseconds."""
    samples = []
    with tempfile.TemporaryDirectory() as folder:
        run_child(model, folder)
        for _ in range(rounds):
            samples.append(run_child(model, "off"))
            samples[-1]["cached"] = run_child(model, folder)["compile"]
    clock = {key: 1e3 * statistics.median(s[key][0] for s in samples) for key in samples[0]}
    processor = {key: 1e3 * min(s[key][1] for s in samples) for key in samples[0]}
    return clock, processor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    columns = ("import", "gradient", "compile", "cached", "warm gradient", "warm compile")
    head = "".join(f"{column:>15}" for column in columns)
    print(f"{'milliseconds':<20}{head}{'total':>10}{'goal':>8}")
    totals, of_processor = {}, []
    for model, goal in GOALS.items():
        found, spent = measure(model, rounds)
        totals[model] = found["gradient"] + found["compile"]
        cells = "".join(f"{found[column]:>15.1f}" for column in columns)
        print(f"{model:<20}{cells}{totals[model]:>10.1f}{goal or '':>8}")
        cells = "".join(f"{spent[column]:>15.1f}" for column in columns)
        of_processor.append(f"{model:<20}{cells}{spent['gradient'] + spent['compile']:>10.1f}")
    print("\n".join(["", f"{'processor':<20}{head}{'total':>10}", *of_processor]))
    print(f"40 layers against 20: {totals['40 layers'] / totals['20 layers']:.2f} times (goal 2.3)")


if __name__ == "__main__":
    if sys.argv[1:2] == [CHILD]:
        child(sys.argv[2])
    else:
        main()
