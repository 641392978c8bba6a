"""Random training steps: dense layers, images and sequences of sizes that product kernels split.

Each is a cost, its gradients and perhaps the updates that they go into, so that products meet what
the compiler draws into them: biases, activations, norms, residuals, masks, sums over the batch.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

import graphc as gc
from tests.random_programs import RandomProgram, Rng, fed, numbers, pick, tolerance_of

ACTIVATIONS: tuple[Callable[[Any], Any], ...] = (
    gc.tanh,
    gc.sigmoid,
    gc.nn.softplus,
    gc.nn.gelu,
    gc.nn.silu,
    gc.sin,
    lambda x: x,
)
WIDTHS = (1, 3, 8, 10, 16, 31, 48, 65, 100, 130, 257)


class Weights:
    """Variables of a network, and the placeholders beside them."""

    def __init__(self, rng: Rng, dtype: str) -> None:
        self.rng, self.dtype = rng, dtype
        self.held: list[gc.Variable] = []

    def __call__(self, *shape: Any) -> gc.Variable:
        scale = 1 / max(1.0, float(np.sqrt(np.prod(shape[:-1], dtype=float))))
        value = numbers(self.rng, shape, self.dtype) * np.asarray(scale, self.dtype)
        self.held.append(gc.variable(value, name=f"w{len(self.held)}"))
        return self.held[-1]


def program(
    rng: Rng, inputs: list[gc.Tensor], result: Any, weights: Weights, symbols: list[dict[str, int]]
) -> RandomProgram:
    """Cost, gradients and updates by one of the usual rules."""
    dtype = weights.dtype
    cost = gc.mean(gc.tanh(result)) + gc.mean(result * result) * 0.1
    outputs: list[Any] = [cost, result] if rng.random() < 0.5 else [cost]
    wanted = [*weights.held, inputs[0]] if rng.random() < 0.4 else list(weights.held)
    gradients = gc.grad(cost, wanted, disconnected="zero")
    pairs: list[tuple[gc.Variable, gc.Tensor]] = []
    way = int(rng.integers(4))
    if way == 0:
        outputs += gradients
    else:
        outputs += gradients[len(weights.held) :]
        for w, g in zip(weights.held, gradients, strict=False):
            if way == 1:
                pairs.append((w, w - 0.3 * g))
                continue
            speed = gc.variable(np.zeros_like(w.value), name=f"{w.name}_speed")
            faster = 0.9 * speed + g
            pairs += [(speed, faster), (w, w - 0.1 * (faster if way == 2 else 0.9 * faster + g))]
    calls = [[fed(rng, tensor, sizes, dtype) for tensor in inputs] for sizes in symbols]
    return RandomProgram(inputs, outputs, calls, pairs, tolerance=5 * tolerance_of(dtype))


# --- dense layers ------------------------------------------------------------------------------


def dense(rng: Rng) -> RandomProgram:
    """Layers of products: biases, norms, residuals, gates, several inputs, tied weights."""
    dtype = pick(rng, ("float32", "float32", "float32", "float64"))
    weights = Weights(rng, dtype)
    width = pick(rng, WIDTHS)
    rows: Any = pick(rng, ("n", "n", "n", 64, 33))
    x = gc.placeholder("x", (rows, width), dtype)
    z = gc.placeholder("z", (rows, pick(rng, WIDTHS)), dtype)
    h: Any = x
    for _ in range(int(rng.integers(1, 4))):
        wide, out = h.shape[1], pick(rng, WIDTHS)
        act = pick(rng, ACTIVATIONS)
        way = int(rng.integers(9))
        if way == 0:
            h = act(gc.concat([h, z], axis=1) @ weights(wide + z.shape[1], out))
        elif way == 1:
            w = weights(wide, out)
            h = act(act(h @ w) @ w.T)
        elif way == 2:
            h = act(h @ weights(wide, out) + weights(out)) * gc.sigmoid(h @ weights(wide, out))
        elif way == 3:
            h = h + act(h @ weights(wide, wide) + weights(wide))
        elif way == 4:
            y = h @ weights(wide, out)
            centred = y - gc.mean(y, axis=1, keepdims=True)
            h = centred / gc.sqrt(gc.mean(centred**2, axis=1, keepdims=True) + 0.1) * weights(out)
        elif way == 5:
            y = h @ weights(wide, out) + weights(out)
            h = act((y - gc.mean(y, axis=0)) / gc.sqrt(gc.var(y, axis=0) + 0.1) + weights(out))
        elif way == 6:
            h = gc.softmax(h @ weights(wide, out) * 3, axis=1) @ weights(out, wide)
        elif way == 7:
            h = act(gc.einsum("ni,nj,ijk->nk", h, z, weights(wide, z.shape[1], 3)))
        else:
            h = act(h @ weights(wide, out) + weights(out))
    symbols = [{"n": n} for n in pick(rng, ((1, 70, 200), (33, 128, 2), (400, 5, 96)))]
    return program(rng, [x, z], h, weights, symbols if rows == "n" else symbols[:1])


# --- images ------------------------------------------------------------------------------------


def images(rng: Rng) -> RandomProgram:
    """Convolutions of every kind with what stands around them."""
    dtype = pick(rng, ("float32", "float32", "float32", "float64"))
    weights = Weights(rng, dtype)
    channels = pick(rng, (1, 3, 8, 16, 24))
    fixed = rng.random() < 0.5
    side: tuple[Any, Any] = pick(rng, ((14, 14), (9, 21), (28, 28), (16, 33)))
    x = gc.placeholder("x", ("b", channels, *(side if fixed else ("h", "w"))), dtype)
    h: Any = x
    for _ in range(int(rng.integers(1, 4))):
        inside, out = h.shape[1], pick(rng, (1, 4, 8, 16, 20))
        act = pick(rng, ACTIVATIONS)
        way = int(rng.integers(8))
        if way == 0:
            h = act(gc.nn.conv2d(h, weights(inside, 1, 3, 3), padding="same", groups=inside))
        elif way == 1:
            h = act(gc.nn.conv2d(h, weights(out, inside, 1, 1)) + weights(out, 1, 1))
        elif way == 2:
            h = h + act(gc.nn.conv2d(h, weights(inside, inside, 3, 3), padding="same"))
        elif way == 3:
            kernel = pick(rng, ((3, 3), (2, 2), (1, 3), (5, 5)))
            stride = pick(rng, (1, 2))
            options = {"stride": stride, "padding": pick(rng, ("same", "valid"))}
            if min(s if isinstance(s, int) else 8 for s in h.shape[2:]) <= 5:
                options["padding"] = "same"
            h = act(gc.nn.conv2d(h, weights(out, inside, *kernel), **options))
        elif way == 4:
            h = gc.nn.conv2d(
                h, weights(out, inside, 3, 3), padding="same", dilation=pick(rng, (1, 2))
            )
            axes = (0, 2, 3)
            spread = gc.sqrt(gc.var(h, axis=axes, keepdims=True) + 0.1)
            h = act((h - gc.mean(h, axis=axes, keepdims=True)) / spread)
        elif way == 5:
            h = gc.nn.average_pool(act(h), 2, padding="same")
        elif way == 6 and inside % 2 == 0:
            h = act(gc.nn.conv2d(h, weights(out * 2, inside // 2, 3, 3), padding="same", groups=2))
        else:
            h = act(
                gc.nn.conv2d(h, weights(out, inside, 3, 3), padding="same") + weights(out, 1, 1)
            )
    if rng.random() < 0.4:
        h = gc.mean(h, axis=(2, 3)) @ weights(h.shape[1], 10)
    symbols = [{"b": b, "h": a, "w": c} for b, a, c in ((2, 12, 17), (1, 8, 9), (5, 20, 11))]
    return program(rng, [x], h, weights, symbols)


# --- sequences ---------------------------------------------------------------------------------

Step = Callable[[Any, Any], tuple[Any, Any]]


def plain(weights: Weights, wide: int, units: int) -> Step:
    w, u, b = weights(wide, units), weights(units, units), weights(units)

    def step(s: Any, row: Any) -> tuple[Any, Any]:
        new = gc.tanh(row @ w + s @ u + b)
        return new, new

    return step


def gated(weights: Weights, wide: int, units: int) -> Step:
    w, u, b = weights(wide, units), weights(units, units), weights(units)
    w_gate, u_gate = weights(wide, units), weights(units, units)

    def step(s: Any, row: Any) -> tuple[Any, Any]:
        gate = gc.sigmoid(row @ w_gate + s @ u_gate)
        new = gate * s + (1 - gate) * gc.tanh(row @ w + (gate * s) @ u + b)
        return new, new

    return step


def masked(weights: Weights, wide: int, units: int) -> Step:
    w, u, b = weights(wide, units), weights(units, units), weights(units)

    def step(s: Any, row: Any) -> tuple[Any, Any]:
        new = gc.where(row[:, :1] > 0, gc.tanh(row @ w + s @ u), s)
        return new, new * b

    return step


def reading(weights: Weights, wide: int, units: int) -> Step:
    w, b, memory = weights(wide, units), weights(units), weights(7, units)

    def step(s: Any, row: Any) -> tuple[Any, Any]:
        seen = gc.softmax((s + row @ w) @ memory.T, axis=1) @ memory
        return gc.tanh(seen + row @ w + b), s + seen

    return step


def lstm(weights: Weights, wide: int, units: int) -> Step:
    w, u, b = weights(wide, 4 * units), weights(units, 4 * units), weights(units)

    def step(s: Any, row: Any) -> tuple[Any, Any]:
        gates = gc.split(row @ w + s @ u, 4, axis=1)
        kept = gc.sigmoid(gates[0] + 1) * s + gc.sigmoid(gates[1]) * gc.tanh(gates[2])
        return gc.tanh(kept) * gc.sigmoid(gates[3]), kept + b

    return step


def turning(weights: Weights, wide: int, units: int) -> Step:
    w, u, b = weights(wide, units), weights(units, units), weights(units)

    def step(s: Any, row: Any) -> tuple[Any, Any]:
        new = s + 0.1 * gc.tanh(s @ (u - u.T) + row @ w + b)
        return new, gc.mean(new, axis=1, keepdims=True) * new

    return step


def sequences(rng: Rng) -> RandomProgram:
    """Scans whose steps hold products, over one another, both ways."""
    dtype = pick(rng, ("float32", "float32", "float32", "float64"))
    weights = Weights(rng, dtype)
    inside, units = pick(rng, (1, 5, 16, 40)), pick(rng, (1, 4, 16, 33, 64))
    x = gc.placeholder("x", (pick(rng, ("t", "t", 6)), "b", inside), dtype)
    start = gc.zeros((x.shape[1], units), dtype)
    h: Any = x
    for _ in range(int(rng.integers(1, 3))):
        cell = pick(rng, (plain, gated, masked, reading, lstm, turning))
        step = cell(weights, h.shape[2], units)
        last, h = gc.scan(step, start, h, reverse=bool(rng.random() < 0.3))
    result = last @ weights(units, 3) if rng.random() < 0.4 else h
    symbols = [
        {"t": t, "b": b} for t, b in pick(rng, (((5, 3), (1, 1), (9, 40)), ((7, 16), (2, 5))))
    ]
    return program(rng, [x], result, weights, symbols)


NETWORKS = {"dense": dense, "images": images, "sequences": sequences}
