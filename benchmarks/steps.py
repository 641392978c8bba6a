"""Compiled functions against numpy by hand: the same numbers, calls taking turns, ratios.

python benchmarks/steps.py
"""

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np

import graphc as gc

Candidate = Callable[..., Any]
Case = tuple[str, Candidate, Candidate, tuple[np.ndarray, ...]]

rng = np.random.default_rng(0)


def floats(*shape: int) -> np.ndarray:
    return rng.normal(size=shape).astype("float32")


def kernels() -> list[Case]:
    """Elementwise chains, reductions, rows, columns, transposes, products."""
    x, y = gc.placeholder("x", ("n",)), gc.placeholder("y", ("n",))
    m = gc.placeholder("m", ("n", "d"))
    vectors, matrix = (floats(1 << 20), floats(1 << 20)), floats(1024, 1024)

    def softmax(a: np.ndarray) -> np.ndarray:
        e = np.exp(a - a.max(1, keepdims=True))
        return e / e.sum(1, keepdims=True)

    def layer_norm(a: np.ndarray) -> np.ndarray:
        centred = a - a.mean(1, keepdims=True)
        return centred / np.sqrt(a.var(1, keepdims=True) + np.float32(1e-5))

    mean = gc.mean(m, axis=1, keepdims=True)
    normalised = (m - mean) / gc.sqrt(gc.var(m, axis=1, keepdims=True) + 1e-5)
    return [
        (
            "elementwise chain",
            gc.function([x, y], gc.tanh(x * y + 1) * gc.exp(-x * x)),
            lambda a, b: np.tanh(a * b + 1) * np.exp(-a * a),
            vectors,
        ),
        ("sum of squares", gc.function([x], gc.sum(x * x)), lambda a: np.sum(a * a), vectors[:1]),
        ("softmax of rows", gc.function([m], gc.softmax(m, axis=1)), softmax, (matrix,)),
        ("layer norm", gc.function([m], normalised), layer_norm, (matrix,)),
        ("sum of columns", gc.function([m], gc.sum(m, axis=0)), lambda a: a.sum(0), (matrix,)),
        (
            "argmax of rows",
            gc.function([m], gc.argmax(m, axis=1)),
            lambda a: a.argmax(1),
            (matrix,),
        ),
        (
            "transpose + 1",
            gc.function([m], m.T + 1),
            lambda a: np.add(a.T, np.float32(1), order="C"),
            (matrix,),
        ),
        ("matrix product", gc.function([m], m @ m), lambda a: a @ a, (matrix,)),
    ]


def logistic_regression() -> Case:
    x, y = gc.placeholder("x", ("n", 784)), gc.placeholder("y", ("n",))
    w, b = gc.variable(np.zeros(784, "float32"), "w"), gc.variable(np.float32(0), "b")
    p = 1 / (1 + gc.exp(-(x @ w) - b))
    cost = gc.mean(-y * gc.log(p) - (1 - y) * gc.log(1 - p))
    gw, gb = gc.grad(cost, [w, b])
    compiled = gc.function([x, y], cost, updates={w: w - 0.1 * gw, b: b - 0.1 * gb})
    state = {"w": np.zeros(784, "float32"), "b": np.float32(0)}

    def by_hand(x: np.ndarray, y: np.ndarray) -> Any:
        z = x @ state["w"] + state["b"]
        d = (1 / (1 + np.exp(-z)) - y) / np.float32(len(y))
        cost = np.mean(np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z))))
        state["w"] = state["w"] - np.float32(0.1) * (d @ x)
        state["b"] = state["b"] - np.float32(0.1) * d.sum()
        return cost

    labels = rng.integers(0, 2, 400).astype("float32")
    return "logistic regression step", compiled, by_hand, (floats(400, 784), labels)


def main() -> None:
    argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0]).parse_args()
    print(f"{'':<28}{'graphc':>12}{'numpy':>12}{'time ratio':>12}   (below 1: graphc is faster)")
    for name, compiled, by_hand, args in [*kernels(), logistic_regression()]:
        found = gc.compare({"graphc": compiled, "numpy": by_hand}, *args, seconds=1.0)
        times = {key: found.timings[key].median for key in ("graphc", "numpy")}
        ratio = times["graphc"] / times["numpy"]
        cells = "".join(f"{1e6 * times[key]:>10.1f}us" for key in ("graphc", "numpy"))
        print(f"{name:<28}{cells}{ratio:>12.3f}")


if __name__ == "__main__":
    main()
