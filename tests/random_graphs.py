"""Random expression graphs: what hypothesis draws for the fuzz tests.

Values are kept tame (every op is bounded or of slow growth), so that two right ways to compute an
expression agree closely; what is discontinuous (comparisons, argmax, casts to integers) is applied
to exact values alone: those that took no rounding since the leaves.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from hypothesis import strategies as st

import graphc as gc
from graphc.ir.graph import Graph
from graphc.ir.leaf import Variable
from graphc.ir.printer import format_graph
from graphc.ir.tensor import Tensor
from graphc.shapes import Dim, Size, evaluate
from tests.random_steps import STEPS

Draw = Callable[[Any], Any]
Shape = tuple[int, ...]

STATIC_SIZES = (1, 2, 3, 5, 0)
MAX_ELEMENTS = 200
MAX_RANK = 4


@dataclass
class Value:
    """A tensor of the graph; `shape` as it will be at run time; exact: no rounding so far."""

    tensor: Tensor
    shape: Shape
    exact: bool

    @property
    def kind(self) -> str:
        return self.tensor.dtype.kind

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def count(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(eq=False)
class RandomGraph:
    """A function and arguments for it; prints as its graph."""

    inputs: list[Tensor]
    arrays: list[np.ndarray]
    outputs: list[Tensor]
    updates: list[tuple[Variable, Tensor]]
    sizes: dict[str, int]

    @property
    def variables(self) -> list[Variable]:
        return [variable for variable, _ in self.updates]

    @property
    def graph(self) -> Graph:
        return Graph(tuple(self.inputs), tuple(self.outputs), tuple(self.updates))

    @property
    def is_single(self) -> bool:
        """Whether some value is a float32: then nothing is more precise."""
        types = [declared for node in self.graph.nodes for declared in node.types]
        return any(declared.dtype == np.float32 for declared in types)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))

    def __repr__(self) -> str:
        graph = self.graph
        arrays = "\n".join(
            f"{t.name} = np.array({array.tolist()}, {array.dtype.name!r}).reshape({array.shape})"
            for t, array in zip(self.inputs, self.arrays, strict=True)
        )
        return f"\n{format_graph(graph)}\nsizes {self.sizes}\n{arrays}\n"


@st.composite
def random_graphs(draw: Draw, max_nodes: int = 15, min_nodes: int = 1) -> RandomGraph:
    grower = _Grower(draw)
    grower.add_leaves()
    for _ in range(draw(st.integers(min_nodes, max_nodes))):
        grower.add_node()
    outputs = grower.choose_outputs()
    if draw(st.integers(0, 3)) == 3:
        outputs += grower.gradients(outputs)
    return RandomGraph(grower.inputs, grower.arrays, outputs, grower.choose_updates(), grower.sizes)


@dataclass
class _Grower:
    draw: Draw
    inputs: list[Tensor] = field(default_factory=list)
    arrays: list[np.ndarray] = field(default_factory=list)
    variables: list[Variable] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)

    # --- leaves --------------------------------------------------------------------------------

    def add_leaves(self) -> None:
        self.rng = np.random.default_rng(self.draw(st.integers(0, 2**16)))
        for name in ("n", "m"):
            self.sizes[name] = self.draw(st.sampled_from((2, 3, 1, 4, 0)))
        for number in range(self.draw(st.integers(1, 4))):
            self.add_leaf(number)

    def add_leaf(self, number: int) -> None:
        choices: list[Size] = [*STATIC_SIZES, Dim.symbol("n"), Dim.symbol("m")]
        shape: list[Size] = self.draw(st.lists(st.sampled_from(choices), max_size=3))
        dtype = self.draw(st.sampled_from(("float64", "float32", "int64", "bool")))
        concrete = tuple(evaluate(size, self.sizes) for size in shape)
        array = self.elements(concrete, dtype)
        kind = self.draw(st.sampled_from(("placeholder", "placeholder", "variable", "constant")))
        tensor: Tensor
        if kind == "variable" and concrete == tuple(shape):
            variable = gc.variable(array, name=f"v{number}")
            self.variables.append(variable)
            tensor = variable
        elif kind == "constant" and concrete == tuple(shape):
            tensor = gc.constant(array)
        else:
            tensor = gc.placeholder(f"x{number}", tuple(shape), dtype)
            self.inputs.append(tensor)
            self.arrays.append(array)
        self.values.append(Value(tensor, concrete, True))

    def elements(self, shape: Shape, dtype: str) -> np.ndarray:
        """Multiples of 1/8 with ties and zeros among them."""
        array = self.rng.integers(-12, 13, shape)
        if dtype.startswith("float"):
            return np.asarray(array / 8, dtype)
        return np.asarray(array > 0) if dtype == "bool" else np.asarray(array, dtype)

    # --- growth --------------------------------------------------------------------------------

    def pick(self, wanted: Callable[[Value], bool] = lambda value: True) -> Value | None:
        """An earlier value, the latest the likeliest."""
        found = [value for value in self.values if wanted(value)]
        if not found:
            return None
        numbers: list[int] = [self.draw(st.integers(0, len(found) - 1)) for _ in range(2)]
        number = min(numbers)
        return found[len(found) - 1 - number]

    def add_node(self) -> None:
        make: Callable[[_Grower], Value | None] = self.draw(st.sampled_from(_OPS))
        value = make(self)
        if value is not None and value.count <= MAX_ELEMENTS and value.ndim <= MAX_RANK:
            assert tuple(evaluate(s, self.sizes) for s in value.tensor.shape) == value.shape
            self.values.append(value)

    def add(self, tensor: Tensor, exact: bool) -> Value:
        return Value(tensor, tuple(evaluate(s, self.sizes) for s in tensor.shape), exact)

    def axes(self, value: Value) -> tuple[int, ...]:
        picked = self.draw(st.sets(st.integers(0, value.ndim - 1))) if value.ndim else set()
        return tuple(sorted(picked))

    def floating(self) -> Value | None:
        return self.pick(lambda value: value.kind == "f")

    def choose_outputs(self) -> list[Tensor]:
        count = self.draw(st.integers(1, 6))
        chosen = [self.values[-1], *(self.pick() for _ in range(count - 1))]
        return [value.tensor for value in chosen if value is not None]

    def choose_updates(self) -> list[tuple[Variable, Tensor]]:
        pairs: list[tuple[Variable, Tensor]] = []
        for variable in self.variables:
            value = self.pick(partial(_same_type, variable))
            assert value is not None  # the variable itself, if nothing else
            pairs.append((variable, value.tensor))
        return pairs

    def gradients(self, outputs: Sequence[Tensor]) -> list[Tensor]:
        floating = [t for t in outputs if t.dtype.kind == "f"]
        wrt = [t for t in (*self.inputs, *self.variables) if t.dtype.kind == "f"]
        if not floating or not wrt:
            return []
        cost: Any = 0.0
        for position, tensor in enumerate(floating):
            cost = cost + gc.sum(tensor * gc.sin(tensor + 0.3 * (position + 1)))
        return list(gc.grad(cost, wrt, disconnected="zero"))


def _same_type(variable: Variable, value: Value) -> bool:
    return value.tensor.type == variable.type


def _compatible(a: Shape, b: Shape, symbolic_a: Sequence[Size], symbolic_b: Sequence[Size]) -> bool:
    """Whether the sizes agree, or one is a static 1 (only those stretch)."""
    for k in range(1, min(len(a), len(b)) + 1):
        if a[-k] != b[-k] and 1 not in (symbolic_a[-k], symbolic_b[-k]):
            return False
    return True


def _partner(grower: _Grower, value: Value) -> Value | None:
    return grower.pick(
        lambda other: (
            other.kind == value.kind
            and _compatible(value.shape, other.shape, value.tensor.shape, other.tensor.shape)
        )
    )


# --- ops: each picks operands and makes a value, or gives up --------------------------------------


def _unary(grower: _Grower) -> Value | None:
    value = grower.pick()
    if value is None:
        return None
    x = value.tensor
    if value.kind == "b":
        return grower.add(gc.logical_not(x), True)
    exact = [lambda: -x, lambda: gc.abs(x), lambda: gc.clip(x, -1, 1), lambda: gc.maximum(x, 0)]
    rounded = [
        lambda: gc.tanh(x),
        lambda: gc.sin(x),
        lambda: gc.cos(x),
        lambda: gc.sigmoid(x),
        lambda: gc.exp(gc.clip(x, -3.0, 3.0)),
        lambda: gc.exp(gc.minimum(x, 1.0)),
        lambda: gc.log(gc.abs(x) + 0.5),
        lambda: gc.log1p(gc.abs(x)),
        lambda: gc.sqrt(gc.abs(x) + 0.25),
        lambda: gc.erf(x),
        lambda: gc.nn.softplus(x),
        lambda: 1.0 / (gc.abs(x) + 1.0),
        lambda: x * 0.5 + 0.25,
    ]
    number = grower.draw(st.integers(0, len(exact) + len(rounded) - 1))
    if number < len(exact):
        return grower.add(exact[number](), value.exact)
    if value.kind != "f":
        return grower.add(gc.astype(x % 3, "float64"), value.exact)
    return grower.add(rounded[number - len(exact)](), False)


def _binary(grower: _Grower) -> Value | None:
    left = grower.pick()
    right = _partner(grower, left) if left is not None else None
    if left is None or right is None:
        return None
    x, y = left.tensor, right.tensor
    exact = left.exact and right.exact
    if left.kind == "b":
        op = grower.draw(st.sampled_from((gc.logical_and, gc.logical_or, gc.logical_xor)))
        return grower.add(op(x, y), exact)
    op = grower.draw(
        st.sampled_from(("add", "subtract", "multiply", "maximum", "minimum", "divide", "double"))
    )
    if op == "double":
        return grower.add(gc.clip(x + x, -40, 40), exact)
    if op in ("maximum", "minimum"):
        return grower.add(getattr(gc, op)(x, y), exact)
    if left.kind != "f":
        return (
            grower.add(gc.clip(getattr(gc, op)(x, y), -40, 40), exact) if op != "divide" else None
        )
    if op == "divide":
        return grower.add(x / (y * y + 1.0), False)
    if op == "multiply":
        x, y = gc.clip(x, -4.0, 4.0), gc.clip(y, -4.0, 4.0)
    return grower.add(getattr(gc, op)(x, y), False)


def _compare(grower: _Grower) -> Value | None:
    left = grower.pick(lambda value: value.exact)
    if left is None:
        return None
    right = grower.pick(
        lambda other: (
            other.exact
            and other.kind == left.kind
            and _compatible(left.shape, other.shape, left.tensor.shape, other.tensor.shape)
        )
    )
    op = grower.draw(st.sampled_from((gc.less, gc.less_equal, gc.equal, gc.not_equal)))
    if left.kind == "b" or right is None or grower.draw(st.booleans()):
        return grower.add(left.tensor > 0, True) if left.kind != "b" else None
    return grower.add(op(left.tensor, right.tensor), True)


def _where(grower: _Grower) -> Value | None:
    condition = grower.pick(lambda value: value.kind == "b")
    left = grower.pick()
    right = _partner(grower, left) if left is not None else None
    if condition is None or left is None or right is None:
        return None
    try:
        shape = np.broadcast_shapes(condition.shape, left.shape, right.shape)
    except ValueError:
        return None
    del shape
    pairs = ((condition, left), (condition, right), (left, right))
    if not all(_compatible(a.shape, b.shape, a.tensor.shape, b.tensor.shape) for a, b in pairs):
        return None
    return grower.add(
        gc.where(condition.tensor, left.tensor, right.tensor), left.exact and right.exact
    )


def _reduce(grower: _Grower) -> Value | None:
    value = grower.pick()
    if value is None:
        return None
    axes = grower.axes(value)
    keepdims = grower.draw(st.booleans())
    count = int(np.prod([value.shape[a] for a in axes], dtype=np.int64))
    x = value.tensor
    if value.kind == "b":
        op = grower.draw(st.sampled_from((gc.any, gc.all)))
        return grower.add(op(x, axis=axes, keepdims=keepdims), True)
    names = ["sum", "max", "min", "mean", "var", "logsumexp", "softmax", "log_softmax", "prod"]
    name = grower.draw(st.sampled_from(names))
    if count == 0 and name != "sum":
        return None
    if value.kind != "f" and name not in ("sum", "max", "min"):
        return None
    if name in ("softmax", "log_softmax"):
        if not value.ndim or 0 in value.shape:
            return None
        axis = grower.draw(st.integers(0, value.ndim - 1))
        return grower.add(getattr(gc.nn, name)(x, axis=axis), False)
    if name == "logsumexp" and 0 in value.shape:
        return None
    if name == "prod":
        x = gc.tanh(x)
    found = getattr(gc, name)(x, axis=axes, keepdims=keepdims)
    if name in ("max", "min"):
        return grower.add(found, value.exact)
    if value.kind != "f":
        return grower.add(gc.clip(found, -40, 40), value.exact)
    return grower.add(found, False)


def _arg_reduce(grower: _Grower) -> Value | None:
    value = grower.pick(lambda v: v.exact and v.kind != "b" and 0 not in v.shape and v.ndim > 0)
    if value is None:
        return None
    axis = grower.draw(st.none() | st.integers(0, value.ndim - 1))
    op = grower.draw(st.sampled_from((gc.argmax, gc.argmin)))
    keepdims = grower.draw(st.booleans())
    return grower.add(op(value.tensor, axis=axis, keepdims=keepdims), True)


def _move(grower: _Grower) -> Value | None:
    value = grower.pick(lambda v: v.ndim > 0)
    if value is None:
        return None
    x, rank = value.tensor, value.ndim
    axis = grower.draw(st.integers(0, rank - 1))
    name = grower.draw(st.sampled_from(("permute", "flip", "roll", "expand", "squeeze", "pad")))
    if name == "permute":
        order = tuple(grower.draw(st.permutations(range(rank))))
        return grower.add(gc.permute_dims(x, order), value.exact)
    if name == "flip":
        return grower.add(gc.flip(x, axis=axis), value.exact)
    if name == "roll":
        return grower.add(gc.roll(x, grower.draw(st.integers(-2, 3)), axis=axis), value.exact)
    if name == "expand":
        return grower.add(gc.expand_dims(x, axis), value.exact)
    if name == "squeeze":
        ones = tuple(k for k, size in enumerate(x.shape) if size == 1)
        return grower.add(gc.squeeze(x, axis=ones), value.exact) if ones else None
    widths = [
        (grower.draw(st.integers(0, 2)), grower.draw(st.integers(0, 1))) if k == axis else (0, 0)
        for k in range(rank)
    ]
    return grower.add(
        gc.pad(x, widths, constant_values=False if value.kind == "b" else 0), value.exact
    )


def _slice(grower: _Grower) -> Value | None:
    value = grower.pick(lambda v: v.ndim > 0)
    if value is None:
        return None
    key: list[Any] = []
    bound = st.none() | st.integers(-4, 4)
    for size in value.shape:
        if size and grower.draw(st.integers(0, 4)) == 4:
            key.append(grower.draw(st.integers(-size, size - 1)))
        else:
            step = grower.draw(st.sampled_from((None, 1, 2, -1, -2, 3)))
            key.append(slice(grower.draw(bound), grower.draw(bound), step))
    tensor = value.tensor[tuple(key)]
    return grower.add(tensor, value.exact)


def _reshape(grower: _Grower) -> Value | None:
    value = grower.pick()
    if value is None:
        return None
    x = value.tensor
    ways: list[Any] = [(-1,), (*x.shape, 1), (1, *x.shape)]
    if value.ndim >= 2:
        ways.append((x.shape[0] * x.shape[1], *x.shape[2:]))
        ways.append((*x.shape[:-2], x.shape[-2] * x.shape[-1]))
    if value.ndim >= 1 and isinstance(x.shape[-1], int) and x.shape[-1] % 2 == 0:
        ways.append((*x.shape[:-1], x.shape[-1] // 2, 2))
    return grower.add(gc.reshape(x, grower.draw(st.sampled_from(ways))), value.exact)


def _broadcast(grower: _Grower) -> Value | None:
    value = grower.pick(lambda v: v.count * 3 <= MAX_ELEMENTS)
    if value is None:
        return None
    lead = grower.draw(st.sampled_from((2, 3, 1, Dim.symbol("n"))))
    if isinstance(lead, Dim) and not any(lead in t.shape for t in grower.inputs):
        return None
    shape = [3 if size == 1 and grower.draw(st.booleans()) else size for size in value.tensor.shape]
    return grower.add(gc.broadcast_to(value.tensor, (lead, *shape)), value.exact)


def _concat(grower: _Grower) -> Value | None:
    first = grower.pick(lambda v: v.ndim > 0)
    if first is None:
        return None
    axis = grower.draw(st.integers(0, first.ndim - 1))

    def fits(other: Value) -> bool:
        return (
            other.kind == first.kind
            and other.tensor.dtype == first.tensor.dtype
            and other.ndim == first.ndim
            and all(k == axis or other.shape[k] == first.shape[k] for k in range(first.ndim))
        )

    parts = [first]
    for _ in range(grower.draw(st.integers(1, 3))):
        other = grower.pick(fits)
        if other is not None:
            parts.append(other)
    tensors = [part.tensor for part in parts]
    if grower.draw(st.booleans()) and all(part.shape == first.shape for part in parts):
        return grower.add(gc.stack(tensors, axis=axis), all(part.exact for part in parts))
    return grower.add(gc.concat(tensors, axis=axis), all(part.exact for part in parts))


def _matmul(grower: _Grower) -> Value | None:
    left = grower.pick(lambda v: v.kind == "f" and v.ndim > 0)
    if left is None:
        return None
    right = grower.pick(
        lambda v: (
            v.tensor.dtype == left.tensor.dtype
            and v.ndim > 0
            and v.shape[-2 if v.ndim > 1 else -1] == left.shape[-1]
            and _compatible(
                left.shape[:-2], v.shape[:-2], left.tensor.shape[:-2], v.tensor.shape[:-2]
            )
        )
    )
    if right is None:
        return None
    return grower.add(gc.tanh(left.tensor) @ right.tensor, False)


def _take(grower: _Grower) -> Value | None:
    value = grower.pick(lambda v: v.ndim > 0 and 0 not in v.shape)
    if value is None:
        return None
    axis = grower.draw(st.integers(0, value.ndim - 1))
    size = value.shape[axis]
    computed = grower.pick(lambda v: v.kind == "i" and v.exact)
    if computed is not None and grower.draw(st.booleans()):
        indices: Any = computed.tensor % size
    else:
        shape = grower.draw(st.sampled_from(((3,), (), (2, 2), (0,), (1,))))
        indices = gc.constant(grower.rng.integers(-size, size, shape))
    return grower.add(gc.take(value.tensor, indices, axis=axis), value.exact)


def _astype(grower: _Grower) -> Value | None:
    value = grower.pick()
    if value is None:
        return None
    dtype = grower.draw(st.sampled_from(("float64", "float32", "int64", "bool", "int32")))
    if not value.exact and not dtype.startswith("float"):
        return None
    exact = value.exact and not (dtype == "float32" and value.tensor.dtype == np.float64)
    return grower.add(gc.astype(value.tensor, dtype), exact)


def _create(grower: _Grower) -> Value | None:
    value = grower.pick()
    if value is None:
        return None
    size = value.tensor.shape[0] if value.ndim else 3
    way = grower.draw(st.integers(0, 2))
    if way == 0:
        return grower.add(gc.arange(size), True)
    if way == 1:
        return grower.add(gc.ones_like(value.tensor), True)
    return grower.add(gc.eye(size, dtype="float64"), True)


def _scan(grower: _Grower) -> Value | None:
    """A running sum of rows, clipped, with a reader of what is around the loop."""
    value = grower.pick(lambda v: v.ndim > 0 and v.kind == "f")
    outside = grower.pick(lambda v: v.ndim == 0 and v.kind == "f")
    if value is None:
        return None
    shift: Any = 0.5
    if outside is not None and outside.tensor.dtype == value.tensor.dtype:
        shift = gc.sin(outside.tensor)
    stacked = grower.draw(st.booleans())

    def step(carry: Any, row: Any) -> tuple[Any, Any]:
        following = gc.tanh(carry * shift + row)
        return following, following * row if stacked else None

    start = gc.zeros(value.tensor.shape[1:], value.tensor.dtype)
    final, rows = gc.scan(step, start, value.tensor, reverse=grower.draw(st.booleans()))
    if stacked:
        grower.values.append(grower.add(final, False))
        return grower.add(rows, False)
    return grower.add(final, False)


def _along_axis(grower: _Grower) -> Value | None:
    value = grower.pick(lambda v: v.ndim > 0 and v.kind == "f")
    if value is None:
        return None
    axis = grower.draw(st.integers(0, value.ndim - 1))
    if value.exact and grower.draw(st.booleans()):
        return grower.add(gc.sort(value.tensor, axis=axis), True)
    op = grower.draw(st.sampled_from((gc.cumulative_sum, gc.cumulative_prod)))
    return grower.add(op(gc.tanh(value.tensor), axis=axis), False)


def _scatter(grower: _Grower) -> Value | None:
    value = grower.pick(lambda v: v.ndim > 0 and v.kind == "f" and v.shape[0] > 0)
    if value is None:
        return None
    size = value.shape[0]
    indices = grower.rng.integers(-size, size, grower.draw(st.sampled_from(((3,), (), (2, 2)))))
    update = gc.tanh(gc.take(value.tensor, gc.constant(indices), axis=0))
    place = value.tensor.at[gc.constant(indices)]
    return grower.add(place.add(update), False)


def _arrange(grower: _Grower) -> Value | None:
    value = grower.pick(lambda v: v.ndim > 0 and v.count * 3 <= MAX_ELEMENTS)
    if value is None:
        return None
    axis = grower.draw(st.integers(0, value.ndim - 1))
    if grower.draw(st.booleans()):
        return grower.add(gc.repeat(value.tensor, 2, axis=axis), value.exact)
    counts = [1] * value.ndim
    counts[axis] = 3
    return grower.add(gc.tile(value.tensor, tuple(counts)), value.exact)


def _normalise(grower: _Grower) -> Value | None:
    """Several passes over rows or columns."""
    value = grower.pick(lambda v: v.ndim > 0 and v.kind == "f" and 0 not in v.shape)
    if value is None:
        return None
    x, axis = value.tensor, grower.draw(st.integers(0, value.ndim - 1))
    centred = x - gc.mean(x, axis=axis, keepdims=True)
    spread = gc.mean(centred * centred, axis=axis, keepdims=True)
    return grower.add(centred / gc.sqrt(spread + 1.0), False)


# The common ones several times.
_OPS: tuple[Any, ...] = (
    *(_unary, _binary, _reduce) * 3,
    *(_where, _compare, _move, _slice, _reshape, _broadcast, _concat, _matmul, _take) * 2,
    *(_astype, _create, _arg_reduce, _scan, _along_axis, _scatter, _arrange, _normalise),
    *STEPS,
)
