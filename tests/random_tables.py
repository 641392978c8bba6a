"""Random programs over whole tables: statistics, neighbours, orders and products of many elements.

The graphs that hypothesis draws have a few elements, and schedules for long loops (columns read
row by row, rows that turn at their ends, parts for threads) never see them. A program here is a
chain of what people write over arrays, of sizes on both sides of where one schedule takes over from
another.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import graphc as gc
from tests.random_programs import RandomProgram, Rng, fed, pick, tolerance_of

ROWS = (1, 2, 5, 17, 64, 129, 257, 600, 1025, 2500)
COLUMNS = (1, 2, 3, 5, 16, 20, 33, 40, 64, 65, 100, 129, 200, 257, 600)
MOST = 160_000  # elements of an input
Unary = Callable[[Any], Any]


class Value(NamedTuple):
    """A table; exact: it took no rounding, so that its order is the same everywhere."""

    tensor: gc.Tensor
    exact: bool


UNARY: tuple[Unary, ...] = (
    gc.tanh,
    gc.sin,
    gc.sigmoid,
    lambda x: gc.exp(-gc.abs(x)),
    lambda x: gc.sqrt(gc.abs(x) + 0.1),
    lambda x: gc.log1p(x * x),
    lambda x: 1 / (1 + x * x),
)
EXACT: tuple[Unary, ...] = (
    gc.abs,
    gc.nn.relu,
    lambda x: -x,
    lambda x: gc.clip(x, -0.5, 0.75),
    lambda x: gc.where(x > 0.25, x, -x),
)
BINARY: tuple[Callable[[Any, Any], Any], ...] = (
    lambda x, y: x + y,
    lambda x, y: x - 0.5 * y,
    lambda x, y: x * gc.tanh(y),
    lambda x, y: x / (1.5 + gc.abs(y)),
)
CHOICES: tuple[Callable[[Any, Any], Any], ...] = (
    gc.maximum,
    gc.minimum,
    lambda x, y: gc.where(y > 0.1, x, y),
)
STATISTICS: tuple[Callable[..., Any], ...] = (
    gc.mean,
    gc.var,
    lambda x, **at: gc.sqrt(gc.var(x, **at) + 0.01),
    gc.logsumexp,
    lambda x, **at: gc.sum(gc.tanh(x), **at) / 50,
    lambda x, **at: gc.sum(x * x, **at) / 100,
    lambda x, **at: gc.prod(gc.tanh(x) * 0.01 + 1, **at),
)
EXTREMA: tuple[Callable[..., Any], ...] = (gc.max, gc.min)
ORDERS: tuple[Callable[..., Any], ...] = (
    lambda x, **at: gc.any(x > 0.9, **at),
    lambda x, **at: gc.all(x > -0.9, **at),
    lambda x, **at: gc.argmax(x, **at),
    lambda x, **at: gc.argmin(x, **at),
    lambda x, **at: gc.count_nonzero(x > 0, **at),
)


class Grower:
    def __init__(self, rng: Rng, dtype: str) -> None:
        self.rng, self.dtype = rng, dtype
        self.values: list[Value] = []
        self.steps: tuple[Callable[[Value], Value | None], ...] = (
            *(self.unary, self.unary, self.binary, self.binary, self.binary, self.choice),
            *(self.statistic, self.statistic, self.centred, self.extremum, self.order),
            *(self.running, self.rolled, self.rolled, self.moved, self.joined, self.shorter),
            *(self.sorted, self.product, self.gathered, self.scattered, self.windowed),
        )

    def add(self) -> None:
        """One more value, of the last ones as a rule."""
        late = self.values[-3:] if self.rng.random() < 0.7 else self.values
        found = pick(self.rng, self.steps)(pick(self.rng, late))
        if found is not None:
            self.values.append(found)

    def axis(self) -> int:
        return int(self.rng.integers(2))

    def where(self) -> dict[str, Any]:
        return {"axis": pick(self.rng, (0, 0, 1, 1, (0, 1))), "keepdims": True}

    def partner(self, value: Value) -> Value | None:
        """A value whose shape goes together with that of another."""
        shape = value.tensor.shape
        fitting = [
            other
            for other in self.values
            if all(
                a == b or a == 1 or b == 1 for a, b in zip(shape, other.tensor.shape, strict=True)
            )
        ]
        return pick(self.rng, fitting) if fitting else None

    # --- element by element ------------------------------------------------------------------

    def unary(self, value: Value) -> Value:
        if self.rng.random() < 0.4:
            return Value(pick(self.rng, EXACT)(value.tensor), value.exact)
        return Value(pick(self.rng, UNARY)(value.tensor), False)

    def binary(self, value: Value) -> Value | None:
        other = self.partner(value)
        return other and Value(pick(self.rng, BINARY)(value.tensor, other.tensor), False)

    def choice(self, value: Value) -> Value | None:
        other = self.partner(value)
        if other is None or not (value.exact and other.exact):
            return None
        return Value(pick(self.rng, CHOICES)(value.tensor, other.tensor), True)

    # --- along axes --------------------------------------------------------------------------

    def statistic(self, value: Value) -> Value:
        return Value(pick(self.rng, STATISTICS)(value.tensor, **self.where()), False)

    def centred(self, value: Value) -> Value:
        """What is made of a table and its own statistics."""
        x, axis = value.tensor, self.axis()
        if self.rng.random() < 0.5:
            return Value(gc.softmax(x, axis=axis) * 5, False)
        centred = x - gc.mean(x, axis=axis, keepdims=True)
        return Value(centred / gc.sqrt(gc.var(x, axis=axis, keepdims=True) + 0.1), False)

    def extremum(self, value: Value) -> Value:
        return Value(pick(self.rng, EXTREMA)(value.tensor, **self.where()), value.exact)

    def order(self, value: Value) -> Value | None:
        if not value.exact:
            return None
        found = pick(self.rng, ORDERS)(value.tensor, axis=self.axis(), keepdims=True)
        return Value(gc.astype(found, self.dtype) * 0.001, False)

    def running(self, value: Value) -> Value:
        x, axis, reverse = value.tensor, self.axis(), bool(self.rng.random() < 0.3)
        if self.rng.random() < 0.4:
            scan = pick(self.rng, (gc.cumulative_max, gc.cumulative_min))
            return Value(scan(x, axis=axis, reverse=reverse), value.exact)
        return Value(gc.tanh(gc.cumulative_sum(x, axis=axis, reverse=reverse) * 0.05), False)

    # --- places ------------------------------------------------------------------------------

    def rolled(self, value: Value) -> Value:
        x, shift = value.tensor, pick(self.rng, (1, -1, 2, -3, 7))
        if self.rng.random() < 0.2:
            return Value(gc.roll(x, (shift, 1), axis=(0, 1)), value.exact)
        axis = self.axis()
        if self.rng.random() < 0.5:
            around = gc.roll(x, shift, axis=axis) + gc.roll(x, -shift, axis=axis)
            return Value((around + x) * 0.4, False)
        return Value(gc.roll(x, shift, axis=axis), value.exact)

    def moved(self, value: Value) -> Value:
        x = value.tensor
        way = int(self.rng.integers(4))
        if way == 0:
            return Value(gc.flip(x, axis=self.axis()), value.exact)
        if way == 1:
            return Value(x.T, value.exact)
        if way == 2:
            flat = gc.roll(gc.reshape(x, (-1,)), int(self.rng.integers(1, 9)))
            return Value(gc.reshape(flat, x.shape), value.exact)
        mode = pick(self.rng, ("constant", "edge", "wrap"))
        far = 1 if mode == "wrap" else 2  # a border around the ends is as long as the axis at most
        sides = [(1, 1), (0, far)] if self.rng.random() < 0.5 else [(0, 0), (far, 1)]
        padded = gc.pad(x, sides, mode=mode)
        return Value(padded[tuple(slice(a, -b or None) for b, a in sides)], value.exact)

    def joined(self, value: Value) -> Value | None:
        other = self.partner(value)
        if other is None or other.tensor.shape != value.tensor.shape:
            return None
        x, y, exact = value.tensor, other.tensor, value.exact and other.exact
        axis = self.axis()
        if self.rng.random() < 0.5:
            joined = gc.concat([x, y], axis=axis)
            return Value(joined[::2] if axis == 0 else joined[:, 1::2], exact)
        return Value(gc.max(gc.stack([x, y, x * 0.5], axis=2), axis=2), exact)

    def shorter(self, value: Value) -> Value | None:
        """Without its first or its last rows or columns; no size falls below 1."""
        x, axis = value.tensor, self.axis()
        if not isinstance(x.shape[axis], int) or x.shape[axis] < 4:
            return None
        cut = pick(self.rng, (slice(1, None), slice(None, -1), slice(2, -1), slice(None, None, 2)))
        if cut.step is None and self.rng.random() < 0.4:
            return Value(gc.diff(x, axis=axis), False)
        return Value(x[cut] if axis == 0 else x[:, cut], value.exact)

    # --- orders, products, places by number --------------------------------------------------

    def sorted(self, value: Value) -> Value | None:
        if not value.exact:
            return None
        x, axis = value.tensor, self.axis()
        if self.rng.random() < 0.3 and isinstance(x.shape[axis], int) and x.shape[axis] > 2:
            return Value(gc.top_k(x, 2, axis=axis)[0], True)
        return Value(gc.sort(x, axis=axis), True)

    def product(self, value: Value) -> Value | None:
        other = self.partner(value)
        if other is None:
            return None
        x, y = value.tensor, other.tensor
        if x.shape[0] == y.shape[0] and self.rng.random() < 0.5:
            return Value(gc.tanh(x.T @ y / 50), False)
        if x.shape[1] == y.shape[1]:
            return Value(gc.tanh(x @ y.T / 50), False)
        return None

    def gathered(self, value: Value) -> Value:
        x, axis = value.tensor, self.axis()
        size = x.shape[axis]
        places = (gc.arange(size) * pick(self.rng, (3, 7)) + 1) % size
        return Value(gc.take(x, places, axis=axis), value.exact)

    def scattered(self, value: Value) -> Value:
        x = value.tensor
        rows = x.shape[0]
        places = (gc.arange(rows) * 5) % pick(self.rng, (1, 3, 40))
        found = gc.nn.one_hot(places % rows, rows, dtype=self.dtype) if rows == 1 else None
        if found is not None:
            return Value(found @ x, False)
        summed = gc.zeros_like(x).at[places % rows].add(x)
        return Value(gc.tanh(summed * 0.1), False)

    def windowed(self, value: Value) -> Value:
        """Sums of neighbours, as filters of signals and images write them."""
        x, axis = value.tensor, self.axis()
        sides = [(1, 1) if a == axis else (0, 0) for a in (0, 1)]
        wide = gc.pad(x, sides)
        if axis == 0:
            return Value(0.25 * wide[:-2] + 0.5 * wide[1:-1] - 0.25 * wide[2:], False)
        return Value(0.25 * wide[:, :-2] + 0.5 * wide[:, 1:-1] - 0.25 * wide[:, 2:], False)


def sizes_of(rng: Rng) -> tuple[int, int]:
    rows, columns = int(pick(rng, ROWS)), int(pick(rng, COLUMNS))
    return min(rows, MOST // columns), columns


def tables(rng: Rng) -> RandomProgram:
    """Chains over one to three tables that share sizes, fixed or unknown."""
    dtype = pick(rng, ("float32", "float32", "float32", "float64"))
    sizes = [sizes_of(rng) for _ in range(3)]
    rows: Any = "n" if rng.random() < 0.6 else sizes[0][0]
    columns: Any = "m" if rng.random() < 0.4 else sizes[0][1]
    shapes = [(rows, columns), (rows, columns), (1, columns), (rows, 1)]
    inputs = [gc.placeholder("x", shapes[0], dtype)]
    inputs += [gc.placeholder(name, pick(rng, shapes), dtype) for name in "yz"[: rng.integers(3)]]
    grower = Grower(rng, dtype)
    grower.values = [Value(tensor, True) for tensor in inputs]
    while len(grower.values) < len(inputs) + 2:
        grower.add()
    for _ in range(int(rng.integers(1, 9))):
        grower.add()
    outputs: list[Any] = [grower.values[-1].tensor]
    if rng.random() < 0.5:
        outputs.append(pick(rng, grower.values[len(inputs) :]).tensor)
    if rng.random() < 0.4:
        cost = gc.sum(gc.tanh(outputs[0])) + gc.mean(outputs[-1])
        outputs += gc.grad(cost, inputs, disconnected="zero")
    calls = []
    for n, m in sizes:
        symbols = {"n": n, "m": m}
        calls.append([fed(rng, tensor, symbols, dtype) for tensor in inputs])
        if not any(isinstance(size, str) for size in (rows, columns)):
            break
    return RandomProgram(inputs, outputs, calls, tolerance=5 * tolerance_of(dtype))
