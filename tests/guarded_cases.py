"""Functions whose kernels have edges: products, convolutions, rows, scans, sorts, heaps, threads.

Each case makes one function in symbolic sizes and says which sizes to call it with.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import graphc as gc

EDGES = (0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 101)
FEW = (1, 5, 8, 17, 33)


@dataclass(frozen=True)
class Case:
    """inputs: (name, shape, dtype); sizes: of the dims, for each call; has_memory: whether
    results go into memory of the caller as well."""

    inputs: Sequence[tuple[str, tuple[Any, ...], str]]
    build: Callable[..., Any]
    sizes: Sequence[dict[str, int]]
    has_memory: bool = True


def along(*names: str, values: Sequence[int] = EDGES) -> list[dict[str, int]]:
    """Each size takes all values in turn, against a few of the others."""
    found = []
    for name in names:
        for number, value in enumerate(values):
            others = {other: FEW[(number + k) % len(FEW)] for k, other in enumerate(names)}
            found.append(others | {name: value})
    return found


def layer_norm(x: Any, gain: Any) -> Any:
    centred = x - gc.mean(x, axis=-1, keepdims=True)
    return centred / gc.sqrt(gc.mean(centred**2, axis=-1, keepdims=True) + 1e-5) * gain


def attention(q: Any, k: Any, v: Any) -> Any:
    return gc.softmax(q @ k.mT / 3.0, axis=-1) @ v


def heads(x: Any) -> Any:
    """(batch, length, 3*9) -> (batch, 3, length, 9)"""
    return gc.permute_dims(gc.reshape(x, (*x.shape[:-1], 3, 9)), (0, 2, 1, 3))


def network(x: Any, w: Any, b: Any, u: Any) -> list[Any]:
    h = gc.nn.relu(x @ w + b)
    cost = gc.mean(gc.tanh(h @ u) ** 2)
    return [cost, *gc.grad(cost, [x, w, b, u])]


def images(x: Any, w: Any, **options: Any) -> list[Any]:
    y = gc.nn.relu(gc.nn.conv2d(x, w, **options))
    return [y, *gc.grad(gc.sum(y * y), [x, w])]


def pooled(x: Any) -> list[Any]:
    y, z = gc.nn.max_pool(x, (2, 2)), gc.nn.average_pool(x, (3, 3), stride=1, padding="same")
    return [y, z, gc.grad(gc.sum(y * y) + gc.sum(z * z), x)]


def recurrent(x: Any, h: Any, w: Any, u: Any) -> list[Any]:
    def step(state: Any, row: Any) -> tuple[Any, Any]:
        new = gc.tanh(row @ u + state @ w)
        return new, new

    last, rows = gc.scan(step, h, x)
    return [last, rows, *gc.grad(gc.sum(rows * rows), [x, h, w, u])]


def running(x: Any) -> list[Any]:
    last, rows = gc.scan(lambda c, row: (0.9 * c + row, c), gc.constant(np.float32(0)), x)
    return [last, rows, gc.grad(gc.sum(rows), x)]


def pieces(x: Any, y: Any) -> list[Any]:
    """Loops of numbers in pieces side by side, both ways; rows of two, a state that is not
    forgotten."""
    last, pairs = gc.scan(
        lambda s, row: (gc.tanh(s * row[0] - row[1]), gc.stack([s, row[0] * s])), 0.0, x
    )
    _, states = gc.scan(lambda s, e: (0.5 * s + gc.tanh(e),) * 2, gc.zeros((), "float64"), y)
    _, lost = gc.scan(lambda s, e: (gc.abs(s - e), s), gc.zeros((), "float64"), y, reverse=True)
    return [last, pairs, states, lost, gc.grad(gc.sum(states * states), y)]


def orders(x: Any) -> list[Any]:
    return [
        gc.sort(x, axis=-1),
        gc.argsort(x, axis=0),
        gc.cumulative_sum(x, axis=0),
        gc.cumulative_max(x, axis=1),
        gc.roll(x, 3, axis=1),
        x[:, ::-2],
        gc.concat([x, x[:, ::-1], x + 1], axis=1),
        gc.pad(x, ((1, 2), (3, 1))),
        x.T + 1,
    ]


def reductions(x: Any) -> list[Any]:
    found = [gc.sum(x), gc.sum(x, axis=0), gc.sum(x, axis=1), gc.mean(x * x, axis=(0, 1))]
    found += [gc.any(x > 0, axis=0), gc.all(x > 0, axis=0)]
    return [*found, gc.logsumexp(gc.concat([x, x[:, :0] * 0, x], axis=1), axis=1)]


def picked(x: Any, i: Any) -> list[Any]:
    rows = gc.take(x, i % x.shape[0], axis=0)
    ahead = x[:, 1:] - x[:, :-1]
    gradients = [gc.grad(gc.sum(one * one), x) for one in (rows, ahead)]
    return [rows, *gradients, x.at[i[:1] * 0].add(rows[:1])]


def neighbours(x: Any, y: Any, z: Any) -> list[Any]:
    """Columns of short rows, side by side and apart."""
    pairs = x[:, 0] - x[:, 1] * x[:, 3] + x[:, 4] * x[:, 8]
    fours = y[:, 0] - y[:, 1] * y[:, 2] + y[:, 3] * y[:, 5] - y[:, 6]
    return [pairs, fours, z[:, 2] * z[:, 0] - z[:, 1]]


def regression(t: Any, x: Any, y: Any, i: Any) -> list[Any]:
    """Rows, levels of groups and their gradients: short sums, gathers and scatters."""
    error = y - t[:5][i] - t[5:10][i] * y - x @ t[10:]
    loss = gc.sum(error**2)
    return [loss, gc.grad(loss, t)]


def grown(x: Any) -> Any:
    return gc.while_loop(lambda v: gc.sum(v) < 50, lambda v: v * 1.5 + 0.1, gc.abs(x))


def tape(x: Any) -> list[Any]:
    y = gc.while_loop(lambda v: gc.sum(v) < 50, lambda v: v * 1.25 + gc.tanh(v) + 0.25, gc.abs(x))
    return [y, gc.grad(gc.sum(y), x)]


def matrices(dtype: str) -> Iterator[tuple[str, Case]]:
    inputs = [("a", ("m", "k"), dtype), ("b", ("k", "n"), dtype)]
    sizes = along("m", "n", "k")
    sizes += [
        {"m": 97, "n": 131, "k": 257},
        {"m": 259, "n": 67, "k": 515},
        {"m": 1, "n": 1, "k": 1},
    ]
    yield f"product {dtype}", Case(inputs, lambda a, b: [a @ b, gc.tanh(a @ b) + 1], sizes)
    turned = [("a", ("k", "m"), dtype), ("b", ("n", "k"), dtype)]
    yield f"product transposed {dtype}", Case(turned, lambda a, b: a.T @ b.T, sizes)
    yield (
        f"products over a batch {dtype}",
        Case(
            [("a", ("p", "m", "k"), dtype), ("b", ("p", "k", "n"), dtype)],
            lambda a, b: [a @ b, gc.nn.relu(a @ b)],
            along("p", "m", "n", "k"),
        ),
    )
    yield (
        f"products of blocks {dtype}",
        Case(
            [("a", ("m", 40), dtype), ("b", (40, "n"), dtype), ("c", ("n", 40), dtype)],
            lambda a, b, c: [a[:, 7:] @ b[7:], a[:, :21] @ c[:, 19:].T, a[2:].T @ a[:-2, 5:]],
            along("m", "n"),
        ),
    )
    yield (
        f"products of heads {dtype}",
        Case(
            [("q", ("p", "m", 27), dtype), ("k", ("p", "n", 27), dtype)],
            lambda q, k: [
                heads(q) @ heads(k).mT @ heads(k),
                gc.permute_dims(heads(q) @ heads(k).mT, (0, 2, 1, 3)),
                gc.concat([q[:, :, :9] @ k[:, :, 3:12].mT, q @ k.mT], axis=2),
            ],
            along("p", "m", "n", values=EDGES[:12]),
        ),
    )
    vectors = [("a", ("m", "k"), dtype), ("v", ("k",), dtype), ("u", ("m",), dtype)]
    yield (
        f"vectors {dtype}",
        Case(
            vectors,
            lambda a, v, u: [a @ v, u @ a, gc.outer(u, v), gc.vecdot(v, v)],
            [*along("m", "k"), {"m": 300, "k": 1001}],
        ),
    )


def convolutions() -> Iterator[tuple[str, Case]]:
    for name, kernel, options in (
        ("3x3", (5, 3, 3, 3), {"padding": 1}),
        ("strided", (5, 3, 3, 3), {"stride": 2, "padding": "same"}),
        ("1x1", (17, 3, 1, 1), {}),
        ("5x5 wide", (16, 3, 5, 5), {"padding": 2}),
        ("dilated", (4, 3, 3, 3), {"dilation": 2, "padding": 2}),
        ("strided, 17 channels", (17, 3, 3, 3), {"stride": 2}),
        ("strided, 32 channels", (32, 3, 3, 3), {"stride": 2, "padding": 1}),
    ):
        for dtype in ("float32", "bfloat16"):
            yield (
                f"convolution {name}" + " bfloat16" * (dtype == "bfloat16"),
                Case(
                    [("x", ("p", 3, "h", "w"), dtype), ("k", kernel, dtype)],
                    lambda x, k, options=options: images(x, k, **options),
                    [{"p": p, "h": h, "w": w} for p, h, w in ((1, 6, 7), (2, 9, 17), (3, 16, 33))],
                ),
            )
    yield (
        "pooling",
        Case(
            [("x", ("p", 3, "h", "w"), "float32")],
            pooled,
            [
                {"p": p, "h": h, "w": w}
                for p, h, w in ((0, 4, 4), (1, 4, 7), (2, 9, 17), (1, 31, 33))
            ],
        ),
    )


def static_rests(*inputs: Any) -> list[Any]:
    """Rests of a known number of lanes: forward, backward, and pairs of numbers."""
    found = []
    for x, y, z, w in zip(*(inputs[k::4] for k in range(4)), strict=True):
        found += [x[::-1] * gc.flip(y) + 1, z + w, gc.conj(z) * gc.flip(w)]
    return found


def all_cases() -> dict[str, Case]:
    x = [("x", ("m", "n"), "float32")]
    cases: dict[str, Case] = {}
    for dtype in ("float32", "float64", "float16", "bfloat16", "int8", "int32"):
        cases.update(matrices(dtype))
    cases.update(convolutions())
    wide = [*along("m", "n"), {"m": 3, "n": 1031}, {"m": 1031, "n": 3}]
    for dtype in ("float32", "float64", "int8", "float16"):
        x = [("x", ("m", "n"), dtype)]
        cases[f"orders {dtype}"] = Case(x, orders, wide)
    x = [("x", ("m", "n"), "float32")]
    cases |= {
        "softmax": Case(
            x,
            lambda x: [
                gc.softmax(x, axis=1),
                gc.softmax(x, axis=0),
                gc.nn.log_softmax(x * 3, axis=1),
            ],
            [s for s in wide if s["m"] and s["n"]],
        ),
        "layer norm": Case(
            [("x", ("m", "n"), "float32"), ("g", ("n",), "float32")],
            lambda x, g: [
                layer_norm(x, g),
                *gc.grad(gc.sum(layer_norm(x, g) * gc.sin(x)), [x, g]),
            ],
            [s for s in wide if s["n"]],
        ),
        "static rests": Case(
            [
                (f"{name}{count}", (count,), dtype)
                for count in (3, 5, 12, 17)
                for name, dtype in zip("xyzw", ["float32"] * 2 + ["complex64"] * 2, strict=True)
            ],
            static_rests,
            [{}],
        ),
        "reductions": Case(x, reductions, [s for s in wide if s["m"] and s["n"]]),
        "elementwise": Case(
            x, lambda x: [gc.exp(gc.sin(x)) * x + 1, gc.sqrt(gc.abs(x)) / 3, x > 0, x.T * 2], wide
        ),
        "broadcasting": Case(
            [("x", ("m", "n"), "float32"), ("r", ("n",), "float32"), ("c", ("m", 1), "float32")],
            lambda x, r, c: [x * r + c, gc.sum((x - r) * c, axis=0), gc.sum(x * r - c, axis=1)],
            wide,
        ),
        "distances": Case(
            [("a", ("m", "k"), "float32"), ("b", ("n", "k"), "float32")],
            lambda a, b: [
                gc.sum((a[:, None, :] - b[None, :, :]) ** 2, axis=2),
                gc.min(gc.sum((a[:, None, :] - b[None, :, :]) ** 2, axis=2), axis=1),
            ],
            [s for s in along("m", "n", "k") if s["n"]],
        ),
        "attention": Case(
            [(n, ("p", s, 9), "float32") for n, s in (("q", "m"), ("k", "n"), ("v", "n"))],
            attention,
            [s for s in along("p", "m", "n") if s["n"]],
        ),
        "attention gradients": Case(
            [(n, ("p", s, 8), "float32") for n, s in (("q", "m"), ("k", "n"), ("v", "n"))],
            lambda q, k, v: gc.grad(gc.sum(gc.sin(attention(q, k, v))), [q, k, v]),
            [s for s in along("p", "m", "n", values=(1, 7, 8, 17, 65)) if s["n"]],
        ),
        "network": Case(
            [
                *(("x", ("m", "n"), "float32"), ("w", ("n", "k"), "float32")),
                *(("b", ("k",), "float32"), ("u", ("k", 10), "float32")),
            ],
            network,
            [s for s in along("m", "n", "k") if s["m"]],
        ),
        "recurrent": Case(
            [
                *(("x", ("m", "p", 5), "float32"), ("h", ("p", 9), "float32")),
                *(("w", (9, 9), "float32"), ("u", (5, 9), "float32")),
            ],
            recurrent,
            along("m", "p"),
        ),
        "running": Case([("x", ("m",), "float32")], running, along("m")),
        "pieces": Case(
            [("x", ("m", 2), "float32"), ("y", ("m",), "float64")],
            pieces,
            [{"m": size} for size in (1, 2307)],
        ),
        "picked": Case(
            [("x", ("m", "n"), "float32"), ("i", ("k",), "int64")],
            picked,
            [s for s in along("m", "n", "k") if s["m"] and s["k"]],
        ),
        "neighbours": Case(
            [("x", ("m", 9), "float64"), ("y", ("m", 7), "float32"), ("z", ("m", "n"), "float32")],
            neighbours,
            [s | {"n": s["n"] + 3} for s in along("m", "n")],
        ),
        "regression": Case(
            [
                *(("t", (19,), "float64"), ("x", ("m", 9), "float64")),
                *(("y", ("m",), "float64"), ("i", ("m",), "int64")),
            ],
            regression,
            along("m"),
        ),
        "counted loop": Case([("x", ("m",), "float32")], grown, [s for s in along("m") if s["m"]]),
        "tape": Case([("x", ("m",), "float32")], tape, [s for s in along("m") if s["m"]]),
        "mask": Case(
            x,
            lambda x: [x[x > 0], gc.nonzero(x > 0.5)[0]],
            [s for s in wide if s["m"] and s["n"]],
            has_memory=False,
        ),
        "solve": Case(
            [("a", ("m", "m"), "float32"), ("b", ("m", "n"), "float32")],
            lambda a, b: gc.linalg.solve(a @ a.T + 3 * gc.eye(a.shape[0]), b),
            along("m", "n", values=(1, 2, 7, 8, 17)),
        ),
        "large": Case(
            [("x", ("m",), "float32")],
            lambda x: [gc.exp(x) + 1, gc.sum(x * x), gc.max(gc.tanh(x))],
            [{"m": 1_000_003}, {"m": 262_147}],
        ),
        "large half": Case(
            [("x", ("m",), "bfloat16")],
            lambda x: [gc.exp(x) + 1, gc.sum(x)],
            [{"m": 300_007}],
        ),
        "large matrix": Case(
            [("x", ("m", "n"), "float32")],
            lambda x: [gc.sum(x, axis=0), gc.softmax(x, axis=1), x.T + 1, gc.sum(x, axis=1)],
            [{"m": 513, "n": 517}, {"m": 3, "n": 70_001}, {"m": 70_001, "n": 3}],
        ),
    }
    return cases
