"""Statistics of tables, sums of neighbours on grids, large results: microseconds a call.

python benchmarks/tables.py [--threads 1] [name ...]

Functions of whole arrays, in one text for graphc, numpy and JAX (where it is installed). Columns of
tables of any number of rows; sums of neighbours on a grid whose edges meet; steps on grids whose
edges stay, and gradients of differences, of sizes known and unknown; calls whose results have a few
MiB, where what a call costs besides its work shows; the gradient of a mixture of normal
distributions. Each peer takes turns with graphc alone: medians, and the share of the peer's time
that graphc takes. With `taskset -c 0` around it JAX has one thread.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np

import graphc as gc

SECONDS = 0.2  # for each candidate
ROWS = 100_000

Function = Callable[..., Any]


class Case(NamedTuple):
    """formula: of a library and arrays of these shapes. unknown: the first sizes, which graphc does
    not know. gradient: by the arrays, of the sum of what the formula gives."""

    formula: Function
    shapes: Sequence[tuple[int, ...]]
    unknown: int = 0
    gradient: bool = False


def standardized(use: Any, x: Any) -> Any:
    return (x - use.mean(x, axis=0)) / use.std(x, axis=0)


def column_softmax(use: Any, x: Any) -> Any:
    e = use.exp(x - use.max(x, axis=0))
    return e / use.sum(e, axis=0)


def transposed(use: Any, x: Any) -> Any:
    """Each column less its mean, as a row."""
    rows = x.T
    return rows - use.mean(rows, axis=1, keepdims=True)


def covariances(use: Any, x: Any) -> Any:
    return use.cov(x.T)


def around(use: Any, x: Any) -> Any:
    """Each with its eight neighbours, on a grid whose edges meet."""
    lines = use.roll(x, 1, axis=0) + x + use.roll(x, -1, axis=0)
    return use.roll(lines, 1, axis=1) + lines + use.roll(lines, -1, axis=1)


def heat(use: Any, x: Any) -> Any:
    """A step in which the edges stay."""
    lines = x[:-2, 1:-1] + x[2:, 1:-1] + x[1:-1, :-2] + x[1:-1, 2:]
    change = 0.1 * (lines - 4 * x[1:-1, 1:-1])
    if use is not np:
        return x.at[1:-1, 1:-1].add(change)
    following = x.copy()
    following[1:-1, 1:-1] += change
    return following


def variation(use: Any, x: Any) -> Any:
    return use.sum(use.abs(x[1:] - x[:-1])) + use.sum(use.abs(x[:, 1:] - x[:, :-1]))


def laplacians(use: Any, x: Any) -> Any:
    """Their squares."""
    lines = x[:-2, 1:-1] + x[2:, 1:-1] + x[1:-1, :-2] + x[1:-1, 2:]
    return (lines - 4 * x[1:-1, 1:-1]) ** 2


def flow(use: Any, links: Any, rank: Any) -> Any:
    moved = links @ rank
    return 0.85 * moved / use.sum(moved) + 0.15


def mixture(use: Any, logits: Any, means: Any, scales: Any, y: Any) -> Any:
    top = use.max(logits, axis=1, keepdims=True)
    weights = logits - top - use.log(use.sum(use.exp(logits - top), axis=1, keepdims=True))
    terms = weights - scales - 0.5 * ((y[:, None] - means) * use.exp(-scales)) ** 2
    most = use.max(terms, axis=1)
    return most + use.log(use.sum(use.exp(terms - most[:, None]), axis=1))


def cases() -> dict[str, Case]:
    found: dict[str, Case] = {}
    for columns in (10, 40, 100, 200):
        shapes = [(ROWS, columns)]
        for name, formula in (
            ("mean", lambda use, x: use.mean(x, axis=0)),
            ("any", lambda use, x: use.any(x > 3, axis=0)),
            ("standardized", standardized),
            ("softmax", column_softmax),
        ):
            found[f"{name} of {columns} columns"] = Case(formula, shapes, unknown=1)
    for columns in (10, 40):
        found[f"centred rows of {columns} columns"] = Case(transposed, [(ROWS, columns)])
    found["covariances of 40 columns"] = Case(covariances, [(5000, 40)])
    for size in (128, 1000):
        found[f"around, {size} x {size}"] = Case(around, [(size, size)])
    for unknown, sizes in ((0, "known"), (2, "unknown")):
        for size in (100, 1000):
            grid = [(size, size)]
            found[f"heat, {size} x {size}, {sizes}"] = Case(heat, grid, unknown)
            for name, formula in (("variation", variation), ("laplacians", laplacians)):
                key = f"{name}, gradient, {size} x {size}, {sizes}"
                found[key] = Case(formula, grid, unknown, gradient=True)
    for count in (300_000, 1_000_000, 3_000_000):
        found[f"sum of {count} pairs"] = Case(lambda use, a, b: a + b, [(count,)] * 2)
    found["flow"] = Case(flow, [(1000, 1000), (1000,)])
    found["mixture, gradient"] = Case(mixture, [*[(5000, 10)] * 3, (5000,)], gradient=True)
    return found


def in_graphc(case: Case, arrays: Sequence[np.ndarray], threads: int) -> Callable[[], Any]:
    inputs = [
        gc.placeholder(f"x{n}", (*"nmk"[: case.unknown], *a.shape[case.unknown :]))
        for n, a in enumerate(arrays)
    ]
    value = case.formula(gc, *inputs)
    if case.gradient:
        value = gc.grad(gc.sum(value), inputs)
    compiled = gc.function(inputs, value, threads=threads)
    return lambda: compiled(*arrays)


def in_jax(case: Case, arrays: Sequence[np.ndarray]) -> Callable[[], Any]:
    jax: Any = import_module("jax")
    jnp = jax.numpy

    def formula(*given: Any) -> Any:
        value = case.formula(jnp, *given)
        return jnp.sum(value) if case.gradient else value

    places = tuple(range(len(arrays)))
    jitted = jax.jit(jax.grad(formula, places) if case.gradient else formula)
    given = [jnp.asarray(array) for array in arrays]
    return lambda: jax.block_until_ready(jitted(*given))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", help="parts of names, such as: softmax around")
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    for name, case in cases().items():
        if chosen.names and not any(part in name for part in chosen.names):
            continue
        rng = np.random.default_rng(0)
        arrays = [rng.normal(size=shape).astype(np.float32) for shape in case.shapes]
        own, cells = in_graphc(case, arrays, chosen.threads), []
        others: dict[str, Callable[[], Any]] = {}
        if not case.gradient:
            others["numpy"] = partial(case.formula, np, *arrays)
        if find_spec("jax"):
            others["jax"] = in_jax(case, arrays)
        for peer, call in others.items():
            pair = {"graphc": own, peer: call}
            found = gc.compare(pair, seconds=2 * SECONDS, baseline="graphc")
            mine, theirs = (found.timings[one].median * 1e6 for one in pair)
            cells.append(f"{mine:7.0f} : {theirs:7.0f} us {peer} {found.ratio(peer):.2f}")
        print(f"{name:<42}{'   '.join(cells)}", flush=True)


if __name__ == "__main__":
    main()
