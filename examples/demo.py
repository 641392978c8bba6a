"""The main job: two models written as graphs, compiled to native code, trained on real digits.

Trains a logistic regression and a perceptron on scikit-learn's 8 x 8 images of digits, then shows
how the perceptron's training step was compiled, and how fast it is. `make demo` runs this.
"""

import argparse
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

# The matrices are small: threads in BLAS would cost more than they give, for everybody alike.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_digits

import graphc as gc
from graphc.benchmark import format_seconds

TRAINED_ON, BATCH = 1500, 20  # of 1797 images; the rest is for testing
LEARNING_RATE = 0.1

console = Console(markup=False, highlight=False, soft_wrap=True)


def main(quick: bool) -> None:
    images, digits = load_digits(return_X_y=True)
    images, digits = (images / 16).astype("float32"), digits.astype("int64")
    console.print(f"{len(images)} images of 8 x 8 pixels, {TRAINED_ON} of them to train on")

    heading("1  logistic regression, written naively: p = exp(z) / sum(exp(z)), cost = -log(p)")
    train, test = logistic_regression()
    error = fit(train, test, images, digits, epochs=2 if quick else 30)
    most = 0.16 if quick else 0.12
    check(error < most, f"the test error is {100 * error:.2f} %, expected below {100 * most:.0f} %")

    heading("2  perceptron, 64 - 500 - 10")
    train, test, parameters = perceptron()
    initial = [parameter.value for parameter in parameters]
    error = fit(train, test, images, digits, epochs=2 if quick else 50)
    check(
        quick or abs(100 * error - 9.09) <= 1,
        f"the test error is {100 * error:.2f} %, expected 9.09 %",
    )

    explain(train)
    race(train, parameters, initial, images, digits, seconds=0.5 if quick else 2.5)


# --- the models ----------------------------------------------------------------------------------


def logistic_regression() -> tuple[gc.Function, gc.Function]:
    """Softmax regression. Nothing here is numerically safe as written; the compiler makes it so."""
    x, y = gc.placeholder("x", ("n", 64)), gc.placeholder("y", ("n",), "int64")
    W = gc.variable(np.zeros((64, 10), "float32"), "W")
    b = gc.variable(np.zeros(10, "float32"), "b")
    z = x @ W + b
    p = gc.exp(z) / gc.sum(gc.exp(z), axis=1, keepdims=True)
    cost = -gc.mean(gc.sum(gc.one_hot(y, 10, dtype="float32") * gc.log(p), axis=1))
    errors = gc.mean(gc.not_equal(gc.argmax(p, axis=1), y))
    gradients = gc.grad(cost, [W, b])
    updates = [(v, v - LEARNING_RATE * g) for v, g in zip([W, b], gradients, strict=True)]
    return (
        gc.function([x, y], cost, updates=updates, name="train"),
        gc.function([x, y], errors, name="test"),
    )


def perceptron() -> tuple[gc.Function, gc.Function, list[gc.Variable]]:
    """One hidden layer of 500 tanh units, weight decay, and its training step."""
    rng = np.random.default_rng(1234)

    def glorot(n_in: int, n_out: int) -> np.ndarray:
        r = np.sqrt(6 / (n_in + n_out))
        return rng.uniform(-r, r, (n_in, n_out)).astype("float32")

    x, y = gc.placeholder("x", ("n", 64)), gc.placeholder("y", ("n",), "int64")
    W1, b1 = gc.variable(glorot(64, 500), "W1"), gc.variable(np.zeros(500, "float32"), "b1")
    W2 = gc.variable(np.zeros((500, 10), "float32"), "W2")
    b2 = gc.variable(np.zeros(10, "float32"), "b2")
    h = gc.tanh(x @ W1 + b1)
    logits = h @ W2 + b2
    nll = gc.mean(gc.nn.sparse_softmax_cross_entropy(logits, y))
    cost = nll + 0.0001 * (gc.sum(W1**2) + gc.sum(W2**2))
    errors = gc.mean(gc.not_equal(gc.argmax(logits, axis=1), y))
    parameters = [W1, b1, W2, b2]
    gradients = gc.grad(cost, parameters)
    updates = [(v, v - LEARNING_RATE * g) for v, g in zip(parameters, gradients, strict=True)]
    train = gc.function([x, y], cost, updates=updates, name="train")
    return train, gc.function([x, y], errors, name="test"), parameters


def fit(
    train: gc.Function,
    test: gc.Function,
    images: np.ndarray,
    digits: np.ndarray,
    epochs: int,
) -> float:
    """Train in batches and print what comes of it; the error on the images kept apart."""
    console.print(
        f"{'epoch':>7}{'cost':>10}{'train accuracy':>17}{'test accuracy':>16}", style="bold"
    )
    start = time.perf_counter()
    known, unknown = slice(0, TRAINED_ON), slice(TRAINED_ON, None)
    error = 1.0
    for epoch in range(1, epochs + 1):
        costs = [train(images[batch], digits[batch]) for batch in batches()]
        if epoch == 1 or epoch % 5 == 0 or epoch == epochs:
            error = float(test(images[unknown], digits[unknown]))
            right = 1 - float(test(images[known], digits[known]))
            bar = "█" * round(40 * (1 - error))
            console.print(
                f"{epoch:7}{np.mean(costs):10.4f}{100 * right:15.2f} %{100 - 100 * error:14.2f} %"
                f"  {bar}"
            )
    seconds = time.perf_counter() - start
    steps = epochs * TRAINED_ON // BATCH
    console.print(
        f"{steps} steps in {seconds:.1f} s, {format_seconds(seconds / steps)} each, "
        f"test error {100 * error:.2f} %"
    )
    return error


def batches() -> Iterator[slice]:
    return (slice(start, start + BATCH) for start in range(0, TRAINED_ON, BATCH))


# --- how it was compiled -------------------------------------------------------------------------


def explain(train: gc.Function) -> None:
    """Every stage of the training step. `graphc inspect` shows the same of any function."""
    stages = train.stages
    sizes = f"{len(stages.user_graph.nodes)} nodes became {len(stages.graph.nodes)}"
    heading(f"3  the training step after optimisation: {sizes}")
    console.print(train.graph_text().rstrip())

    heading(f"4  the rules that fired: {len(stages.log)} times")
    counts = Counter(stages.log.rules())
    first = {entry.rule: entry for entry in reversed(stages.log.entries)}
    for rule, count in sorted(counts.items(), key=lambda item: -item[1]):
        entry = first[rule]
        change = f"{shortened(entry.before)}  ->  {shortened(entry.after)}"
        console.print(f"{count:3} x {rule:<24} {change}   {entry.sources[0].short}")

    heading("5  kernels, with the lines of this file that they compute")
    console.print(train.kernels())

    heading("6  memory plan")
    console.print(train.memory_plan())

    heading("compile time")
    for stage, seconds in train.stats()["seconds"].items():
        console.print(f"{stage:<10}{format_seconds(seconds):>10}")


def shortened(text: str, limit: int = 44) -> str:
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


# --- how fast it is ------------------------------------------------------------------------------


def handwritten(parameters: list[np.ndarray]) -> Callable[[np.ndarray, np.ndarray], float]:
    """The same training step by hand, with its gradients worked out on paper."""
    W1, b1, W2, b2 = (array.copy() for array in parameters)
    rate, decay = np.float32(LEARNING_RATE), np.float32(0.0001)

    def step(x: np.ndarray, y: np.ndarray) -> float:
        rows = np.arange(len(x))
        h = np.tanh(x @ W1 + b1)
        logits = h @ W2 + b2
        shifted = logits - logits.max(axis=1, keepdims=True)
        e = np.exp(shifted)
        total = e.sum(axis=1, keepdims=True)
        cost = np.mean(np.log(total[:, 0]) - shifted[rows, y])
        cost += decay * (np.square(W1).sum() + np.square(W2).sum())
        d_logits = e / total
        d_logits[rows, y] -= 1
        d_logits /= np.float32(len(x))
        d_h = (d_logits @ W2.T) * (1 - h * h)
        steps = (
            (W1, x.T @ d_h + 2 * decay * W1),
            (b1, d_h.sum(axis=0)),
            (W2, h.T @ d_logits + 2 * decay * W2),
            (b2, d_logits.sum(axis=0)),
        )
        for parameter, gradient in steps:
            parameter -= rate * gradient
        return float(cost)

    return step


def race(
    train: gc.Function,
    parameters: list[gc.Variable],
    initial: list[np.ndarray],
    images: np.ndarray,
    digits: np.ndarray,
    seconds: float,
) -> None:
    """The same step on each backend and in numpy, timed in turns, at two batch sizes."""
    heading("7  the same training step on each backend, and in numpy by hand")
    graph = train.stages.user_graph
    steps: dict[str, Callable[..., Any]] = {"numpy, by hand": handwritten(initial)}
    for backend in ("llvm", "numba_cpu", "reference"):
        steps[backend] = gc.function(
            graph.inputs, graph.outputs[0], list(graph.updates), backend=backend, name="train"
        )
    first = slice(0, BATCH)
    costs = {}
    for name, step in steps.items():
        for parameter, value in zip(parameters, initial, strict=True):
            parameter.value = value
        costs[name] = float([step(images[first], digits[first]) for _ in range(3)][-1])
    spread = max(costs.values()) - min(costs.values())
    check(spread < 1e-5, f"after three steps the costs differ: {costs}")

    table = Table(box=None, header_style="bold")
    for column in ("batch", "", "median", "quartiles", "speed"):
        table.add_column(column, justify="left" if column == "" else "right")
    for size in (BATCH, 500):
        result = gc.compare(steps, images[:size], digits[:size], seconds=seconds)
        for name, timing in result.timings.items():
            quartiles = f"{format_seconds(timing.lower)} - {format_seconds(timing.upper)}"
            speed = f"{result.ratio(name):.2f} x"
            table.add_row(str(size), name, format_seconds(timing.median), quartiles, speed)
        table.add_section()
    console.print(table, soft_wrap=False)
    console.print("speed: how many times as fast as numpy by hand, measured in turns in this run")


# --- output --------------------------------------------------------------------------------------


def heading(title: str) -> None:
    width = min(console.width, 100) if console.is_terminal else 100
    console.print(f"\n── {title} {'─' * max(3, width - len(title) - 4)}", style="bold cyan")


def check(holds: bool, problem: str) -> None:
    if not holds:
        raise SystemExit(f"demo: {problem}")


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--quick", action="store_true", help="two epochs, short timings")
    main(options.parse_args().quick)
