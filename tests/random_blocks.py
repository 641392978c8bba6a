"""Random programs over arrays of three axes: batches of matrices, grids of channels, sequences.

What tables of two axes never draw: products in batches, statistics over several axes at once, axes
that trade places, stencils over two of three axes and what is written into their middle, halves of
a row that turn, loops over the first axis. Sizes lie on both sides of whole vectors, known and not.
"""

from collections.abc import Callable, Sequence
from typing import Any

import graphc as gc
from tests.random_programs import RandomProgram, Rng, fed, pick, tolerance_of
from tests.random_tables import BINARY, CHOICES, EXACT, EXTREMA, ORDERS, STATISTICS, UNARY, Value

SIZES = (
    (1, 2, 3, 5, 8, 17, 40),
    (1, 2, 3, 7, 16, 17, 33, 65, 128),
    (1, 2, 3, 4, 5, 8, 15, 16, 17, 31, 32, 33, 64, 100, 130, 257),
)
AXIS_NAMES = ("a", "b", "c")
MOST = 60_000  # elements of an input
LONGEST = 128  # of the axes of a product's operands
AXES = ((0,), (1,), (2,), (2,), (1, 2), (0, 1), (0, 2), (0, 1, 2))
TURNS = ((1, 0, 2), (0, 2, 1), (2, 1, 0), (1, 2, 0), (2, 0, 1))
# Of operands of one shape.
PRODUCTS = (
    "abc,adc->abd",
    "abc,dbc->adb",
    "abc,abd->acd",
    "abc,dbc->bad",
    "abc,adc->dab",
    "abc,abd->dca",
    "abc,abc->abc",
)


class Grower:
    def __init__(self, rng: Rng, dtype: str) -> None:
        self.rng, self.dtype = rng, dtype
        self.values: list[Value] = []
        self.steps: tuple[Callable[[Value], Value | None], ...] = (
            *(self.unary, self.binary, self.binary, self.binary, self.choice, self.statistic),
            *(self.statistic, self.centred, self.centred, self.order, self.extremum),
            *(self.turned, self.product, self.attended, self.rolled, self.stencil, self.middle),
            *(self.merged, self.halves, self.masked, self.running, self.looped, self.sorted),
            *(self.gathered, self.joined),
        )

    def add(self) -> None:
        """One more value, of the last ones as a rule."""
        late = self.values[-3:] if self.rng.random() < 0.7 else self.values
        found = pick(self.rng, self.steps)(pick(self.rng, late))
        if found is not None:
            self.values.append(found)

    def axis(self) -> int:
        return int(self.rng.integers(3))

    def partner(self, value: Value) -> Value | None:
        """A value whose shape goes together with that of another."""
        shape = value.tensor.shape

        def fits(other: tuple[Any, ...]) -> bool:
            return all(a == b or a == 1 or b == 1 for a, b in zip(shape, other, strict=True))

        fitting = [other for other in self.values if fits(other.tensor.shape)]
        return pick(self.rng, fitting) if fitting else None

    # --- element by element, and along axes ----------------------------------------------------

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

    def statistic(self, value: Value) -> Value:
        axes = pick(self.rng, AXES)
        return Value(pick(self.rng, STATISTICS)(value.tensor, axis=axes, keepdims=True), False)

    def extremum(self, value: Value) -> Value:
        axes = pick(self.rng, AXES)
        return Value(pick(self.rng, EXTREMA)(value.tensor, axis=axes, keepdims=True), value.exact)

    def order(self, value: Value) -> Value | None:
        if not value.exact:
            return None
        found = pick(self.rng, ORDERS)(value.tensor, axis=self.axis(), keepdims=True)
        return Value(gc.astype(found, self.dtype) * 0.001, False)

    def centred(self, value: Value) -> Value:
        """What is made of an array and its own statistics: batch, layer and instance norms."""
        x, axes, way = value.tensor, pick(self.rng, AXES), int(self.rng.integers(4))
        if way == 0:
            return Value(gc.softmax(x, axis=self.axis()) * 5, False)
        if way == 1:
            length = gc.sum(x * x, axis=axes, keepdims=True)
            return Value(x / gc.sqrt(length + 0.1), False)
        if way == 2:
            return Value(x - gc.logsumexp(x, axis=axes, keepdims=True), False)
        centred = x - gc.mean(x, axis=axes, keepdims=True)
        return Value(centred / gc.sqrt(gc.var(x, axis=axes, keepdims=True) + 0.1), False)

    def running(self, value: Value) -> Value:
        x, axis, reverse = value.tensor, self.axis(), bool(self.rng.random() < 0.3)
        if self.rng.random() < 0.4:
            scan = pick(self.rng, (gc.cumulative_max, gc.cumulative_min))
            return Value(scan(x, axis=axis, reverse=reverse), value.exact)
        return Value(gc.tanh(gc.cumulative_sum(x, axis=axis, reverse=reverse) * 0.05), False)

    def sorted(self, value: Value) -> Value | None:
        return Value(gc.sort(value.tensor, axis=self.axis()), True) if value.exact else None

    def looped(self, value: Value) -> Value:
        """A loop over the first axis; what it carries starts at 0."""
        x = value.tensor
        reverse = bool(self.rng.random() < 0.3)
        if self.rng.random() < 0.5:

            def step(carry: Any, row: Any) -> Any:
                following = gc.tanh(0.5 * carry + row)
                return following, following

        else:

            def step(carry: Any, row: Any) -> Any:
                following = 0.7 * carry + gc.mean(row, axis=-1, keepdims=True) - 0.1 * row
                return following, following * row

        _, stacked = gc.scan(step, gc.zeros_like(x[0]), x, reverse=reverse)
        return Value(stacked, False)

    # --- axes that trade places, and products ----------------------------------------------------

    def turned(self, value: Value) -> Value:
        turn = pick(self.rng, TURNS)
        found = gc.permute_dims(value.tensor, turn)
        if self.rng.random() < 0.5:
            return Value(found, value.exact)
        back = tuple(turn.index(place) for place in range(3))
        found = gc.tanh(found + gc.mean(found, axis=self.axis(), keepdims=True))
        return Value(gc.permute_dims(found, back), False)

    def product(self, value: Value) -> Value | None:
        other = self.partner(value)
        if other is None or other.tensor.shape != value.tensor.shape or self.is_large(value):
            return None
        found = gc.einsum(pick(self.rng, PRODUCTS), value.tensor, other.tensor)
        return Value(gc.tanh(found / 20), False)

    def attended(self, value: Value) -> Value | None:
        other = self.partner(value)
        if other is None or other.tensor.shape != value.tensor.shape or self.is_large(value):
            return None
        x, y = value.tensor, other.tensor
        weights = gc.softmax(x @ y.mT * 0.3, axis=-1)
        return Value(weights @ y, False)

    def is_large(self, value: Value) -> bool:
        """Whether products of it may be too large to be compared in a blink."""
        known = [size for size in value.tensor.shape if isinstance(size, int)]
        return any(size > LONGEST for size in known)

    # --- places ----------------------------------------------------------------------------------

    def rolled(self, value: Value) -> Value:
        x, shift = value.tensor, pick(self.rng, (1, -1, 2, -3))
        axis = self.axis()
        if self.rng.random() < 0.3:
            return Value(gc.flip(x, axis=axis), value.exact)
        if self.rng.random() < 0.5:
            around = gc.roll(x, shift, axis=axis) + gc.roll(x, -shift, axis=(axis + 1) % 3)
            return Value((around + x) * 0.4, False)
        return Value(gc.roll(x, shift, axis=axis), value.exact)

    def stencil(self, value: Value) -> Value:
        """Neighbours along two axes, with zeros or copies around."""
        x = value.tensor
        first, second = pick(self.rng, ((0, 1), (1, 2), (0, 2)))
        sides = [(1, 1) if axis in (first, second) else (0, 0) for axis in range(3)]
        wide = gc.pad(x, sides, mode=pick(self.rng, ("constant", "edge")))

        def part(**moves: int) -> Any:
            begins = [1 + moves.get(f"d{axis}", 0) for axis in range(3)]
            cut = [
                slice(begin, begin - 2 or None) if axis in (first, second) else slice(None)
                for axis, begin in enumerate(begins)
            ]
            return wide[tuple(cut)]

        found = part(**{f"d{first}": -1}) + part(**{f"d{first}": 1}) + part(**{f"d{second}": -1})
        return Value(0.2 * (found + part(**{f"d{second}": 1})) - 0.3 * x, False)

    def middle(self, value: Value) -> Value | None:
        """Other values in the middle, or a border of the others."""
        x, axis = value.tensor, self.axis()
        size = x.shape[axis]
        if not isinstance(size, int) or size < 3:
            return None
        cut = tuple(slice(1, -1) if place == axis else slice(None) for place in range(3))
        before = tuple(slice(None, -2) if place == axis else slice(None) for place in range(3))
        fresh = 0.5 * x[before] + 0.25 * x[cut]
        where = x.at[cut]
        return Value(where.set(fresh) if self.rng.random() < 0.5 else where.add(fresh), False)

    def merged(self, value: Value) -> Value:
        """Two axes as one."""
        x = value.tensor
        a, b, c = x.shape
        shape = pick(self.rng, ((a, b * c), (a * b, c)))
        flat, axis = gc.reshape(x, shape), int(self.rng.integers(2))
        way = int(self.rng.integers(4))
        if way == 0:
            return Value(gc.reshape(gc.softmax(flat, axis=axis) * 3, x.shape), False)
        if way == 1:
            return Value(gc.reshape(gc.roll(flat, 3, axis=axis), x.shape), value.exact)
        if way == 2:
            centred = flat - gc.mean(flat, axis=axis, keepdims=True)
            return Value(gc.reshape(centred, x.shape), False)
        return Value(gc.reshape(gc.flip(flat, axis=axis), x.shape), value.exact)

    def halves(self, value: Value) -> Value:
        """Halves that trade places, one of them with the other sign."""
        x, axis = value.tensor, pick(self.rng, (1, 2, 2))
        half = x.shape[axis] // 2
        first = x[:, :half] if axis == 1 else x[..., :half]
        last = x[:, half:] if axis == 1 else x[..., half:]
        if self.rng.random() < 0.5:
            return Value(gc.concat([-last, first], axis=axis), value.exact)
        return Value(gc.concat([gc.tanh(first), last * 0.5], axis=axis), False)

    def masked(self, value: Value) -> Value:
        """What is above a diagonal of the last two axes, or of places beyond a length."""
        x = value.tensor
        rows, columns = gc.arange(x.shape[1]), gc.arange(x.shape[2])
        if self.rng.random() < 0.5:
            return Value(gc.where(rows[:, None] >= columns, x, -0.5), value.exact)
        return Value(gc.where(columns < x.shape[2] - x.shape[2] // 3, x, 0.25), value.exact)

    def gathered(self, value: Value) -> Value:
        x, axis = value.tensor, self.axis()
        size = x.shape[axis]
        places = (gc.arange(size) * pick(self.rng, (3, 7)) + 1) % size
        if self.rng.random() < 0.5:
            return Value(gc.take(x, places, axis=axis), value.exact)
        first = gc.moveaxis(x, axis, 0)
        summed = gc.zeros_like(first).at[places // 2].add(first)
        return Value(gc.tanh(0.2 * gc.moveaxis(summed, 0, axis)), False)

    def joined(self, value: Value) -> Value | None:
        other = self.partner(value)
        if other is None or other.tensor.shape != value.tensor.shape:
            return None
        x, y, exact = value.tensor, other.tensor, value.exact and other.exact
        axis = self.axis()
        if self.rng.random() < 0.5:
            cut = [slice(None)] * 3
            cut[axis] = slice(1, None, 2)
            return Value(gc.concat([x, y], axis=axis)[tuple(cut)], exact)
        return Value(gc.max(gc.stack([x, y, x * 0.5], axis=axis), axis=axis), exact)


def sizes_of(rng: Rng) -> tuple[int, int, int]:
    a, b, c = (int(pick(rng, sizes)) for sizes in SIZES)
    b = min(b, max(1, MOST // (a * c)))
    return a, b, c


def leaves(rng: Rng, sizes: tuple[int, int, int], dtype: str, count: int) -> list[gc.Tensor]:
    """A whole array, and others that go with it; each size fixed or unknown."""
    shape: tuple[Any, ...] = tuple(
        name if rng.random() < 0.45 else size for name, size in zip(AXIS_NAMES, sizes, strict=True)
    )
    a, b, c = shape
    shapes = (shape, shape, (1, b, c), (1, 1, c), (a, 1, 1), (a, b, 1))
    others = (gc.placeholder(name, pick(rng, shapes), dtype) for name in "yz"[: count - 1])
    return [gc.placeholder("x", shape, dtype), *others]


def grow(rng: Rng, inputs: Sequence[gc.Tensor], dtype: str, count: int) -> list[gc.Tensor]:
    """So many values that are made of the inputs; fewer where little goes together."""
    grower = Grower(rng, dtype)
    grower.values = [Value(tensor, True) for tensor in inputs]
    for _ in range(10 * count):
        if len(grower.values) < len(inputs) + count:
            grower.add()
    return [value.tensor for value in grower.values[len(inputs) :]]


def blocks(rng: Rng) -> RandomProgram:
    """Chains over one to three arrays that share sizes, fixed or unknown."""
    dtype = pick(rng, ("float32", "float32", "float32", "float64"))
    sizes = [sizes_of(rng) for _ in range(3)]
    inputs = leaves(rng, sizes[0], dtype, int(rng.integers(1, 4)))
    grown = grow(rng, inputs, dtype, 2 + int(rng.integers(1, 8)))
    outputs: list[Any] = [grown[-1]]
    if rng.random() < 0.5:
        outputs.append(pick(rng, grown))
    if rng.random() < 0.5:
        cost = gc.sum(gc.tanh(outputs[0])) + gc.mean(outputs[-1])
        outputs += gc.grad(cost, inputs, disconnected="zero")
    calls = []
    for found in sizes:
        symbols = dict(zip(AXIS_NAMES, found, strict=True))
        calls.append([fed(rng, tensor, symbols, dtype) for tensor in inputs])
        if all(isinstance(size, int) for size in inputs[0].shape):
            break
    return RandomProgram(inputs, outputs, calls, tolerance=5 * tolerance_of(dtype))
