"""Random programs of one family each: what backends have an own way for, in forms nobody wrote.

A family draws expressions that a schedule of its own is meant for: recurrences in pieces, chains of
products in blocks of rows, products of views into parts of arrays, short rows side by side, new
values over the old ones, pooling. Values stay tame, so that right ways agree closely.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import graphc as gc

Rng = np.random.Generator


@dataclass
class RandomProgram:
    """A function in symbolic sizes, and feeds for several calls of it."""

    inputs: list[gc.Tensor]
    outputs: list[Any]
    calls: list[list[np.ndarray]]
    updates: list[tuple[gc.Variable, gc.Tensor]] = field(default_factory=list)
    tolerance: float = 2e-4


def pick(rng: Rng, choices: Sequence[Any]) -> Any:
    return choices[int(rng.integers(len(choices)))]


def numbers(rng: Rng, shape: Sequence[int], dtype: str) -> np.ndarray:
    return rng.uniform(-1, 1, tuple(shape)).astype(dtype)


def tolerance_of(dtype: str) -> float:
    return 3e-4 if dtype == "float32" else 1e-9


# --- recurrences ------------------------------------------------------------------------------

CELLS: tuple[Callable[[Any, Any, Any], Any], ...] = (
    lambda s, e, c: c * s + e,
    lambda s, e, c: gc.tanh(c * s + e),
    lambda s, e, c: gc.maximum(c * s, e),
    lambda s, e, c: gc.where(e > 0.25, e, c * s),
    lambda s, e, c: gc.abs(s - e),
    lambda s, e, c: s + 0.125 * (e - s),
    lambda s, e, c: gc.sin(s) * c + e,
    lambda s, e, c: gc.clip(s + e, -1.0, 1.0),
    lambda s, e, c: gc.sigmoid(s * e) - c * s,
    lambda s, e, c: c * s * s + e * 0.25,
)


def recurrences(rng: Rng) -> RandomProgram:
    """Scalar loops of one to three carries over one to three sequences, both ways."""
    dtype = pick(rng, ("float32", "float64"))
    width = pick(rng, (0, 0, 2, 3))  # numbers in an element of a sequence
    x = gc.placeholder("x", ("t", width) if width else ("t",), dtype)
    y = gc.placeholder("y", ("t",), dtype)
    count = pick(rng, (1, 1, 2, 3))
    cells = [pick(rng, CELLS) for _ in range(count)]
    factors = [float(rng.uniform(0.2, 0.9)) for _ in range(count)]
    reads = [pick(rng, range(max(width, 1))) for _ in range(count)]
    crossed, way = rng.random() < 0.4, int(rng.integers(4))

    def step(carry: Any, rows: Any) -> tuple[Any, Any]:
        row, other = rows
        following = []
        for n, (cell, factor) in enumerate(zip(cells, factors, strict=True)):
            element = (row[reads[n]] if width else row) if n % 2 == 0 else other
            state = carry[(n + 1) % count] if crossed else carry[n]
            following.append(cell(0.5 * (state + carry[n]), element, factor))
        kept: Any = None
        if way == 1:
            kept = carry[0]
        elif way == 2:
            kept = gc.stack([following[-1], carry[0] * other])
        elif way == 3:
            kept = (following[0] + other, gc.tanh(following[-1]))
        return tuple(following), kept

    start = tuple(gc.constant(np.asarray(rng.uniform(-1, 1), dtype)) for _ in range(count))
    last, stacked = gc.scan(step, start, (x, y), reverse=bool(rng.random() < 0.3))
    outputs = [*last, *(stacked if isinstance(stacked, tuple) else [stacked] * (way > 0))]
    if rng.random() < 0.3:
        cost = sum((gc.sum(output * output) for output in outputs), gc.zeros((), dtype))
        outputs += gc.grad(cost, [x, y], disconnected="zero")
    chosen = [pick(rng, (0, 1, 3, 17)), pick(rng, (2047, 2048, 2049, 2307))]  # pieces from 2048 on
    shapes = [((t, width) if width else (t,), (t,)) for t in chosen]
    calls = [[numbers(rng, a, dtype), numbers(rng, b, dtype)] for a, b in shapes]
    for a, b in calls[1:]:  # elements without end, and none: a state that is lost, or never left
        if rng.random() < 0.3 and b.size:
            b[int(rng.integers(b.size))] = pick(rng, (np.inf, np.nan, 1e30))
        if rng.random() < 0.2:
            a[...] = 0
    return RandomProgram([x, y], outputs, calls, tolerance=tolerance_of(dtype))


# --- chains of products ------------------------------------------------------------------------


def chains(rng: Rng) -> RandomProgram:
    """softmax(f(q @ k.T)) @ v over no, one or two batch axes: masks, layouts, what is around."""
    dtype = pick(rng, ("float32", "float32", "float64"))
    heads = pick(rng, (0, 1, 2))
    width, out_width = pick(rng, (1, 5, 8, 16)), pick(rng, (1, 3, 8, 17))
    batch: tuple[Any, ...] = ((), ("b",), ("b", pick(rng, (2, 3))))[heads]
    own_size = rng.random() < 0.5
    m = "m" if own_size else "n"
    q = gc.placeholder("q", (*batch, "n", width), dtype)
    k = gc.placeholder("k", (*batch, m, width), dtype)
    v = gc.placeholder("v", (*batch, m, out_width), dtype)
    scores = q @ k.mT * float(rng.uniform(0.2, 1.0))
    rows, columns = scores.shape[-2:]
    mask = int(rng.integers(6))
    extra: list[gc.Tensor] = []
    if mask == 1:
        scores = gc.where(gc.arange(rows)[:, None] >= gc.arange(columns), scores, -1e9)
    elif mask == 2:
        extra = [gc.placeholder("a", (rows, columns), dtype)]
        scores = scores + extra[0]
    elif mask == 3 and batch:
        extra = [gc.placeholder("a", ("b", *(1,) * (heads - 1), 1, columns), dtype)]
        scores = scores + extra[0] * 3
    elif mask == 4:
        scores = gc.tanh(scores) - gc.mean(scores, axis=-1, keepdims=True)
    weights = scores if rng.random() < 0.15 else gc.softmax(scores, axis=-1)
    if mask == 5:
        extra = [gc.placeholder("a", (rows, columns), dtype)]
        weights = weights * gc.where(extra[0] > 0.2, 2.0, 0.0).astype(dtype)
    found = weights @ v
    way = int(rng.integers(5))
    if way == 1:
        found = gc.nn.relu(found) + 0.5
    elif way == 2 and heads == 2:
        found = gc.reshape(gc.permute_dims(found, (0, 2, 1, 3)), (found.shape[0], rows, -1))
    elif way == 3:
        found = found @ gc.constant(numbers(rng, (out_width, 6), dtype))
    elif way == 4:
        found = found / gc.sqrt(gc.mean(found**2, axis=-1, keepdims=True) + 1.0)
    outputs: list[Any] = [found]
    if rng.random() < 0.2:
        outputs.append(weights)
    if rng.random() < 0.4:
        outputs += gc.grad(gc.sum(found * gc.sin(found)), [q, k, v])
    inputs, calls = [q, k, v, *extra], []
    for sizes in rng.permutation([(2, 5, 9), (1, 33, 70), (3, 130, 7), (1, 70, 131), (2, 1, 1)])[
        :3
    ]:
        b, n, other = (int(size) for size in sizes)
        found_sizes = {"b": b, "n": n, "m": other}
        calls.append([fed(rng, tensor, found_sizes, dtype) for tensor in inputs])
    return RandomProgram(inputs, outputs, calls, tolerance=tolerance_of(dtype))


def fed(rng: Rng, tensor: gc.Tensor, sizes: dict[str, int], dtype: str) -> np.ndarray:
    shape = [size if isinstance(size, int) else size.evaluate(sizes) for size in tensor.shape]
    return numbers(rng, shape, dtype)


# --- products of views -------------------------------------------------------------------------


def viewed(rng: Rng, x: gc.Tensor, rows: int, columns: int) -> gc.Tensor:
    """A matrix [rows, columns], perhaps of a batch, out of a larger array."""
    way = int(rng.integers(7))
    if way == 0:
        return x[0, 1 : 1 + rows, 2 : 2 + columns]
    if way == 1:
        return x[:, 1 : 1 + columns, 2 : 2 + rows].mT
    if way == 2:
        return gc.permute_dims(x, (1, 0, 2))[3 : 3 + rows, 1, :columns]
    if way == 3:
        return x[..., ::2][0, :rows, :columns]
    if way == 4:
        return gc.flip(x, axis=1)[:, :rows, 1 : 1 + columns]
    if way == 5:
        return gc.reshape(x[0], (-1,))[5 : 5 + rows * columns].reshape((rows, columns))
    return x[:, :rows, :columns] * 1.0


def placed(rng: Rng, found: Any, x: gc.Tensor) -> Any:
    """The product as a part of another array."""
    way, last = int(rng.integers(7)), found.ndim - 1
    if way == 0:
        return gc.concat([found, found[..., ::-1] * 2], axis=last)
    if way == 1:
        return gc.concat([gc.tanh(found), found], axis=last - 1)
    if way == 2:
        return gc.permute_dims(found, (*range(last - 1), last, last - 1)) + 0.0
    if way == 3:
        return gc.stack([found, found + 1], axis=int(rng.integers(0, last + 1)))
    if way == 4:
        return gc.pad(found, [(0, 0)] * (last - 1) + [(1, 0), (0, 2)])
    if way == 5 and found.ndim == 2:
        rows, columns = found.shape
        return gc.zeros((rows + 3, columns + 2), x.dtype).at[1 : 1 + rows, 2:].set(found)
    return gc.reshape(found, (-1,))


def views(rng: Rng) -> RandomProgram:
    """Products whose operands lie inside larger arrays, and so may their results."""
    dtype = pick(rng, ("float32", "float64"))
    x = gc.placeholder("x", ("b", 40, 44), dtype)
    y = gc.placeholder("y", ("b", 43, 48), dtype)
    m, k, n = (pick(rng, (1, 3, 8, 13, 16)) for _ in range(3))
    a, b = viewed(rng, x, m, k), viewed(rng, y, k, n)
    if pick(rng, (True, False)):
        b = viewed(rng, y, n, k).mT
    found = a @ b
    if rng.random() < 0.4:
        found = gc.tanh(found) + gc.constant(numbers(rng, (n,), dtype))
    outputs: list[Any] = [placed(rng, found, x)]
    if rng.random() < 0.4:
        outputs += gc.grad(gc.sum(outputs[0] ** 2), [x, y])
    calls = [[numbers(rng, (s, 40, 44), dtype), numbers(rng, (s, 43, 48), dtype)] for s in (2, 3)]
    return RandomProgram([x, y], outputs, calls, tolerance=tolerance_of(dtype))


# --- short rows --------------------------------------------------------------------------------


def short_rows(rng: Rng) -> RandomProgram:
    """Rows of a few elements: what is computed once a row, and sums over the rows."""
    dtype = pick(rng, ("float32", "float64"))
    length = int(rng.integers(1, 14))
    x = gc.placeholder("x", ("n", length), dtype)
    w = gc.placeholder("w", (length,), dtype)
    t = gc.placeholder("t", ("n",), dtype)
    once: Any = pick(
        rng,
        (
            lambda: x @ w - t,
            lambda: gc.sum((x - w) ** 2, axis=1),
            lambda: gc.max(x * w, axis=1) + t,
            lambda: gc.logsumexp(x + w, axis=1),
            lambda: t * gc.prod(gc.tanh(x), axis=1),
            lambda: gc.mean(x, axis=1) * gc.min(x, axis=1),
        ),
    )()
    again: Any = pick(
        rng,
        (
            lambda: gc.sum(once[:, None] * x, axis=0),
            lambda: x * gc.sigmoid(once)[:, None],
            lambda: gc.softmax(x * w, axis=1) + once[:, None],
            lambda: gc.max(x - once[:, None], axis=0),
            lambda: gc.sum(gc.where(once > 0, once * once, gc.abs(once))),
            lambda: (x - gc.mean(x, axis=1, keepdims=True)).T * t,
        ),
    )()
    outputs = [again, *([once] if rng.random() < 0.5 else [])]
    if rng.random() < 0.5:
        cost = gc.sum(gc.tanh(again)) + gc.sum(once * once)
        outputs += gc.grad(cost, [x, w, t], disconnected="zero")
    calls = [
        [numbers(rng, shape, dtype) for shape in ((n, length), (length,), (n,))]
        for n in (1, pick(rng, (31, 32, 33)), pick(rng, (2, 500, 1003)))
    ]
    return RandomProgram([x, w, t], outputs, calls, tolerance=tolerance_of(dtype))


# --- new values over the old ones -------------------------------------------------------------


def updates(rng: Rng) -> RandomProgram:
    """Variables of one shape, each updated by something of all old values."""
    dtype = pick(rng, ("float32", "float64"))
    shape = pick(rng, ((5, 7), (16, 16), (33, 8), (1, 40)))
    count = int(rng.integers(2, 5))
    held = [gc.variable(numbers(rng, shape, dtype), f"v{n}") for n in range(count)]
    x = gc.placeholder("x", ("n", shape[1]), dtype)
    i = gc.placeholder("i", (3,), "int64")
    kind = pick(rng, ("own", "own", "all", "failing"))

    def changed(n: int) -> Any:
        v, other = held[n], held[pick(rng, range(len(held)))]
        ways: tuple[Callable[[], Any], ...] = (
            lambda: v * 0.9 + gc.tanh(other),
            lambda: other,
            lambda: gc.flip(v, axis=0) + 0.5 * other,
            lambda: gc.roll(other, 1, axis=1),
            lambda: v - 0.1 * gc.mean(x, axis=0) * other,
            lambda: v - 0.1 * gc.sum(other, axis=0, keepdims=True) / shape[0],
            lambda: gc.tanh(v @ gc.tanh(other.T) @ v / shape[1]),
            lambda: v.at[0].set(other[-1]),
            lambda: gc.where(v > other, v, other * 0.5),
            lambda: v.T.T * 0.5 + gc.cumulative_sum(gc.tanh(other), axis=1) / shape[1],
        )
        # Each element of the old value is read for the last time where the new one is written.
        own: tuple[Callable[[], Any], ...] = (
            lambda: v * 0.9 + gc.tanh(gc.mean(x)),
            lambda: v - 0.1 * gc.mean(x, axis=0) * v,
            lambda: gc.where(v > 0.1, v, v * 0.5) + gc.sin(x[0]),
            lambda: gc.tanh(v) * 0.5 + 0.25 * gc.tanh(gc.ones((shape[0], x.shape[0]), dtype) @ x),
            lambda: v * 0.9 + 0.1 * other,
        )
        by_index: tuple[Callable[[], Any], ...] = (
            lambda: v.at[i].add(gc.mean(x) * 0.1),
            lambda: gc.take(v, gc.concat([i, i])[:1], axis=0) + other * 0.5,
        )
        if kind == "failing" and n == 0:
            return pick(rng, by_index)()
        return pick(rng, own if kind == "own" else ways)()

    pairs = [(v, changed(n)) for n, v in enumerate(held) if n == 0 or rng.random() < 0.8]
    outputs: list[Any] = [gc.sum(held[0] * held[-1])]
    if rng.random() < 0.5:
        outputs += [pairs[-1][1], held[0] + 1]
    calls = [
        [numbers(rng, (n, shape[1]), dtype), rng.integers(0, shape[0], 3)] for n in (4, 1, 4, 9)
    ]
    return RandomProgram([x, i], outputs, calls, pairs, tolerance=tolerance_of(dtype) * 3)


# --- pooling -----------------------------------------------------------------------------------


def pools(rng: Rng) -> RandomProgram:
    """Windows of what is computed before them, with gradients."""
    dtype = pick(rng, ("float32", "float32", "float64"))
    channels = pick(rng, (1, 3, 8))
    x = gc.placeholder("x", ("b", channels, "h", "w"), dtype)
    b = gc.placeholder("c", (channels, 1, 1), dtype)
    before: Any = pick(
        rng,
        (
            lambda: x,
            lambda: gc.nn.relu(x + b),
            lambda: gc.tanh(x) * b,
            lambda: gc.nn.relu(
                gc.nn.conv2d(x, numbers(rng, (4, channels, 3, 3), dtype), padding="same")
            ),
        ),
    )()
    window = pick(rng, (2, 2, 3, (2, 3)))
    options: dict[str, Any] = {"stride": pick(rng, (None, 1, 2)), "padding": "valid"}
    if rng.random() < 0.4:
        options["padding"] = "same"
    pool = pick(rng, (gc.nn.max_pool, gc.nn.max_pool, gc.nn.average_pool))
    y = pool(before, window, **{name: o for name, o in options.items() if o is not None})
    outputs: list[Any] = [gc.nn.relu(y) if rng.random() < 0.4 else y]
    if rng.random() < 0.6:
        outputs += gc.grad(gc.sum(gc.sin(outputs[0])), [x, b], disconnected="zero")
    calls = [
        [numbers(rng, (n, channels, h, w), dtype), numbers(rng, (channels, 1, 1), dtype)]
        for n, h, w in ((2, 8, 9), (1, 5, 17), (3, 4, 4))
    ]
    return RandomProgram([x, b], outputs, calls, tolerance=tolerance_of(dtype))


FAMILIES: dict[str, Callable[[Rng], RandomProgram]] = {
    "recurrences": recurrences,
    "chains": chains,
    "views": views,
    "short rows": short_rows,
    "updates": updates,
    "pools": pools,
}
