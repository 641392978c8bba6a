"""Loops: what scan, fori_loop and map compute on every backend, their gradients and errors."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.errors import FunctionError, IndexOutOfRange, ParameterError, ShapeError
from graphc.ir.printer import format_graph
from graphc.ir.tensor import Tensor
from graphc.shapes import evaluate

BACKENDS = ("reference", "interpreter", "llvm", "numba_cpu")
each_backend = pytest.mark.parametrize("backend", BACKENDS)


def cumulative(x: Tensor, **options: Any) -> tuple[Tensor, Tensor]:
    found: tuple[Tensor, Tensor] = gc.scan(lambda c, e: (c + e, c + e), x[0] * 0, x, **options)
    return found


@each_backend
@pytest.mark.parametrize("length", [1, 2, 5])
def test_cumulative_sum(backend: str, length: int) -> None:
    x = gc.placeholder("x", ("t", 3), "float64")
    f = gc.function([x], cumulative(x), backend=backend)
    values = np.random.default_rng(0).normal(size=(length, 3))
    total, sums = f(values)
    np.testing.assert_allclose(sums, np.cumsum(values, axis=0), rtol=1e-13)
    np.testing.assert_allclose(total, values.sum(0), rtol=1e-13)


@each_backend
def test_backwards(backend: str) -> None:
    x = gc.placeholder("x", ("t", 3), "float64")
    _, sums = cumulative(x, reverse=True)
    values = np.random.default_rng(0).normal(size=(4, 3))
    found = gc.function([x], sums, backend=backend)(values)
    np.testing.assert_allclose(found, np.cumsum(values[::-1], axis=0)[::-1], rtol=1e-13)


@each_backend
def test_no_steps_give_the_first_carry(backend: str) -> None:
    x = gc.placeholder("x", ("t", 2))
    start = gc.placeholder("start", (2,))
    f = gc.function([x, start], gc.scan(lambda c, e: (c * e, c), start, x), backend=backend)
    final, stacked = f(np.zeros((0, 2), "f4"), np.array([1, 2], "f4"))
    np.testing.assert_array_equal(final, [1, 2])
    assert stacked.shape == (0, 2)


@each_backend
def test_several_carries_and_structures(backend: str) -> None:
    x = gc.placeholder("x", (4,), "float64")
    one = gc.constant(1.0, "float64")

    def step(carry: dict[str, Tensor], e: tuple[Tensor, Tensor]) -> Any:
        a, b = carry["a"], carry["b"]
        return {"a": b, "b": a + b * e[0]}, [a - e[1], None]

    final, (differences, nothing) = gc.scan(step, {"a": one, "b": one * 2}, (x, x * 10))
    assert nothing is None
    f = gc.function([x], {**final, "differences": differences}, backend=backend)
    values = np.arange(4.0)
    a, b, expected = 1.0, 2.0, []
    for e in values:
        expected.append(a - 10 * e)
        a, b = b, a + b * e
    found = f(values)
    np.testing.assert_allclose(found["differences"], expected)
    assert (found["a"], found["b"]) == (a, b)


@each_backend
def test_loops_in_loops(backend: str) -> None:
    x = gc.placeholder("x", ("t", "n"), "float64")

    def outer(carry: Tensor, row: Tensor) -> tuple[Tensor, Tensor]:
        inner, _ = gc.scan(lambda c, e: (c * 0.5 + e * carry, None), row[0] * 0, row)
        return carry + inner, inner

    final, inners = gc.scan(outer, gc.constant(1.0, "float64"), x)
    values = np.random.default_rng(1).normal(size=(3, 4))
    carry, expected = 1.0, []
    for row in values:
        c = 0.0
        for e in row:
            c = c * 0.5 + e * carry
        carry += c
        expected.append(c)
    found, each = gc.function([x], [final, inners], backend=backend)(values)
    np.testing.assert_allclose(found, carry, rtol=1e-13)
    np.testing.assert_allclose(each, expected, rtol=1e-13)


@each_backend
def test_counting_loops(backend: str) -> None:
    x = gc.placeholder("x", ("n",), "float64")
    power = gc.fori_loop(0, 5, lambda i, c: c * x + i, x * 0 + 1)
    doubled = gc.map(lambda e: e * 2, x)
    positions = gc.fori_loop(0, x.shape[0], lambda i, c: c + i, gc.constant(0, "int64"))
    f = gc.function([x], [power, doubled, positions], backend=backend)
    values = np.array([0.5, 2.0, -1.0])
    expected = np.ones(3)
    for i in range(5):
        expected = expected * values + i
    found = f(values)
    np.testing.assert_allclose(found[0], expected)
    np.testing.assert_array_equal(found[1], values * 2)
    assert found[2] == 3


@each_backend
def test_a_bad_index_in_a_step_is_an_error_and_changes_nothing(backend: str) -> None:
    table = gc.variable(np.arange(4.0), "table")
    index = gc.placeholder("index", ("t",), "int64")
    total, _ = gc.scan(
        lambda c, i: (c + gc.take(table, i, axis=0), None), gc.constant(0.0, "float64"), index
    )
    f = gc.function([index], total, updates={table: table + total}, backend=backend)
    assert f(np.array([0, 3])) == 3
    before = table.value
    with pytest.raises(IndexOutOfRange, match="7 is out of range") as caught:
        f(np.array([1, 7]))
    assert "test_control.py" in str(caught.value)
    np.testing.assert_array_equal(table.value, before)


@pytest.mark.parametrize("backend", ["reference", "llvm"])
def test_gradient_of_a_recurrent_network(backend: str) -> None:
    def build(x: Tensor, w: Tensor, u: Tensor, h: Tensor) -> Tensor:
        def step(h: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
            h = gc.tanh(e @ w + h @ u)
            return h, h

        final, states = gc.scan(step, h, x)
        return gc.sum(final * final) + gc.mean(states * gc.sin(states))

    rng = np.random.default_rng(0)
    shapes = ((4, 2, 3), (3, 5), (5, 5), (2, 5))
    gc.verify_grad(build, [rng.normal(size=s) for s in shapes], backend=backend)


def test_one_function_serves_every_length() -> None:
    x = gc.placeholder("x", ("t", "b"), "float64")
    f = gc.function([x], cumulative(x)[0])
    for t, b in ((1, 1), (7, 3), (50, 2), (2, 9)):
        values = np.random.default_rng(t).normal(size=(t, b))
        np.testing.assert_allclose(f(values), values.sum(0), rtol=1e-12, atol=1e-13)


# --- segments ----------------------------------------------------------------------------------

SEGMENTS = [
    {"unroll": 3},
    {"checkpoint_every": 5, "unroll": 2},
    {"unroll": 12},
]


def recurrent(x: Tensor, w: Tensor, **options: Any) -> list[Tensor]:
    def step(carry: tuple[Tensor, Tensor], e: Tensor) -> Any:
        h, n = carry
        h = gc.tanh(h @ w + e)
        return (h, n + 1), h * n

    (h, n), rows = gc.scan(step, (gc.zeros((3,), dtype="float64"), 0), x, **options)
    cost = gc.sum(h * h) + gc.sum(gc.sin(rows))
    return [h, n, rows, *gc.grad(cost, [x, w]), gc.jvp(cost, [x, w], [x, w])]


@pytest.mark.parametrize("reverse", [False, True])
def test_segments_change_no_value(reverse: bool) -> None:
    x, w = gc.placeholder("x", ("t", 3), "float64"), gc.placeholder("w", (3, 3), "float64")
    rng = np.random.default_rng(0)
    rows, weights = rng.normal(size=(11, 3)), rng.normal(size=(3, 3))
    lengths = (0, 3, 8, 11)
    plain = gc.function([x, w], recurrent(x, w, reverse=reverse), backend="reference")
    expected = {t: plain(rows[:t], weights) for t in lengths}
    for options in SEGMENTS[: 2 if reverse else 3]:
        f = gc.function([x, w], recurrent(x, w, reverse=reverse, **options))
        for t in lengths:
            for one, other in zip(f(rows[:t], weights), expected[t], strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("backend", ["reference", "interpreter", "numba_cpu"])
def test_segments_on_every_backend(backend: str) -> None:
    x = gc.placeholder("x", ("t",), "float64")
    f = gc.function(
        [x],
        [
            gc.scan(lambda c, e: (c * e + 1, c), 0.5, x, unroll=2)[1],
            gc.scan(lambda c, e: (c * e + 1, c), 0.5, x, checkpoint_every=2)[1],
        ],
        backend=backend,
        check=True,
    )
    for t in (0, 4, 5):
        values, carry, expected = np.arange(t) * 0.5, 0.5, []
        for e in values:
            expected.append(carry)
            carry = carry * e + 1
        for found in f(values):
            np.testing.assert_allclose(found, expected, rtol=1e-14)


@pytest.mark.parametrize(("length", "part"), [(4096, 0.2), (4000, 0.8)])
def test_checkpoints_need_less_memory(length: int, part: float) -> None:
    """Where a rest is left over, the sequence is copied."""
    w = gc.variable(np.zeros((64, 64), "float32"), "w")

    def peak(**options: Any) -> int:
        x = gc.placeholder("x", (length, 64))
        h, _ = gc.scan(lambda h, e: (gc.tanh(h @ w + e), None), gc.zeros((64,)), x, **options)
        f = gc.function([x], gc.grad(gc.sum(h), w))
        assert f.stages.plan is not None and isinstance(f.stages.plan.peak, int)
        return f.stages.plan.peak

    assert peak(checkpoint_every="sqrt") < part * peak()


def test_a_checkpoint_is_computed_again() -> None:
    x, w = gc.placeholder("x", ("t", 8)), gc.variable(np.eye(8, dtype="float32") * 0.5, "w")

    def layers(a: Tensor) -> Tensor:
        for _ in range(6):
            a = gc.tanh(a @ w)
        return a

    def train(block: Any) -> gc.Function:
        y = block(block(block(x)))
        return gc.function([x], [gc.sum(y), gc.grad(gc.sum(y * y), w)], check=True)

    plain, checkpointed = train(layers), train(gc.checkpoint(layers))
    values = np.random.default_rng(0).normal(size=(20, 8)).astype("float32")
    for one, other in zip(checkpointed(values), plain(values), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4)
    peaks = [evaluate(f.stages.plan.peak, {"t": 1000}) for f in (plain, checkpointed)]  # type: ignore[union-attr]
    assert peaks[1] < 0.7 * peaks[0]


def test_checkpoint_hands_on_settings_and_refuses_what_is_no_function() -> None:
    x = gc.placeholder("x", ("t", 8))

    @gc.checkpoint
    def block(a: Tensor, scale: float, shift: Any = None) -> Any:
        return gc.tanh(a * scale) + shift

    y = block(x, scale=2.0, shift=x)
    f = gc.function([x], [y, gc.grad(gc.sum(y), x)])
    values = np.linspace(-1, 1, 24, dtype="float32").reshape(3, 8)
    value, slope = f(values)
    np.testing.assert_allclose(value, np.tanh(2 * values) + values, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(slope, 3 - 2 * np.tanh(2 * values) ** 2, rtol=1e-5)
    with pytest.raises(gc.ArgumentError, match=r"is not a function\n[\s\S]*f, not f\(x\)"):
        gc.checkpoint(x * 2)  # type: ignore[arg-type]


# --- bounds and types --------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["reference", "interpreter", "llvm"])
def test_bounds_may_be_sizes_or_computed(backend: str) -> None:
    x, n = gc.placeholder("x", ("t",), "float64"), gc.placeholder("n", (), "int32")
    by_size = gc.fori_loop(1, x.shape[0], lambda i, c: c * x[i] + i, x[0])
    by_value = gc.fori_loop(n - 2, n, lambda i, c: c * 1.5 + i, x[0])
    f = gc.function(
        [x, n], [by_size, gc.grad(by_size, x), by_value, gc.grad(by_value, x)], backend=backend
    )
    values = np.array([2.0, 3.0, 0.5])
    size, slope, value, other = f(values, 4)
    assert size == (2 * 3 + 1) * 0.5 + 2
    np.testing.assert_allclose(slope, [1.5, 1.0, 7.0])
    assert value == (2 * 1.5 + 2) * 1.5 + 3
    np.testing.assert_allclose(other, [2.25, 0, 0])


def test_dtypes_of_carries_unify() -> None:
    x, k = gc.placeholder("x", (3,), "float64"), gc.placeholder("k", (3,), "int32")
    single = gc.placeholder("s", (3,))

    def dtypes(step: Any, init: Any, xs: Tensor) -> list[str]:
        return [t.dtype.name for t in gc.scan(lambda c, e: (step(c, e), None), init, xs)[0]]

    assert dtypes(lambda c, e: (c[0] + e,), (0,), x) == ["float64"]
    assert dtypes(lambda c, e: (c[0] + e,), (0.0,), x) == ["float64"]
    assert dtypes(lambda c, e: (c[0] + e,), (0.0,), single) == ["float32"]
    assert dtypes(lambda c, e: (c[0] + e,), (gc.zeros(()),), x) == ["float64"]
    assert dtypes(lambda c, e: (c[1], c[0] + e), (k[0], 1), k) == ["int64", "int64"]
    assert dtypes(lambda c, e: (c[0] > e,), (True,), x) == ["bool"]
    assert dtypes(lambda c, e: (e,), (x[0],), single) == ["float64"]
    total = gc.scan(lambda c, e: (c + e, c), 0, x)
    found = gc.function([x], list(total))([1, 2, 3])
    np.testing.assert_array_equal(found[1], [0, 1, 3])


def test_gradients_pass_stopped_and_integer_carries() -> None:
    x = gc.placeholder("x", ("t",), "float64")

    def step(carry: tuple[Tensor, Tensor], e: Tensor) -> Any:
        c, n = carry
        return (c * e + gc.stop_gradient(c) * n, n + 1), gc.floor(e)

    (c, _), steps = gc.scan(step, (1.0, 0), x)
    values = np.array([0.5, 1.5, 2.5])
    slope = gc.function([x], gc.grad(c + gc.sum(steps), x))(values)
    carry, tangent = 1.0, np.zeros(3)
    for n, e in enumerate(values):
        tangent = tangent * e
        tangent[n] += carry
        carry = carry * e + carry * n
    np.testing.assert_allclose(slope, tangent)


def test_maps_over_structures_and_jit() -> None:
    @gc.jit
    def pairs(x: Tensor, y: Tensor) -> Any:
        return gc.map(lambda e: {"sum": gc.sum(e[0]) + e[1], "both": (e[0] * e[1], None)}, (x, y))

    x, y = np.arange(6.0).reshape(3, 2), np.array([1.0, 2.0, 3.0])
    found = pairs(x, y)
    np.testing.assert_allclose(found["sum"], x.sum(1) + y)
    np.testing.assert_allclose(found["both"][0], x * y[:, None])


OPERATIONS: list[Callable[[Any, Any, Any], Any]] = [
    lambda lib, p, q: p + q,
    lambda lib, p, q: p * q,
    lambda lib, p, q: lib.tanh(p) - q,
    lambda lib, p, q: lib.where(p > q, p, q * 0.5),
    lambda lib, p, q: lib.sin(p),
    lambda lib, p, q: p - lib.sum(q),
    lambda lib, p, q: lib.maximum(p, q),
]


@pytest.mark.parametrize("seed", range(5))
def test_random_loops_against_python(seed: int) -> None:
    """A random step of a few operations, on all backends, against the same step in numpy."""
    rng = np.random.default_rng(seed)
    plan = [(int(rng.integers(7)), int(rng.integers(4)), int(rng.integers(4))) for _ in range(6)]
    picks = rng.integers(0, 10, size=3)

    def step(lib: Any, carry: tuple[Any, Any], e: Any, w: Any) -> tuple[tuple[Any, Any], Any]:
        pool = [carry[0], carry[1], e, w]
        for op, a, b in plan:
            pool.append(OPERATIONS[op](lib, pool[-1 - a], pool[-1 - b]))
        one, two, three = (pool[k % len(pool)] for k in picks)
        return (lib.tanh(one), lib.tanh(two + carry[0])), three

    x, w = gc.placeholder("x", ("t", 3), "float64"), gc.placeholder("w", (3,), "float64")
    zero = gc.zeros((3,), dtype="float64")
    carry, rows = gc.scan(lambda c, e: step(gc, c, e, w), (zero, zero + 0.5), x)
    functions = [
        gc.function([x, w], [*carry, rows], backend=backend, on_unused_input="ignore")
        for backend in (*BACKENDS[:3], *BACKENDS[3:][: seed == 0])
    ]
    for t in (0, 1, 5):
        values, weights = rng.normal(size=(t, 3)), rng.normal(size=3)
        state, outputs = (np.zeros(3), np.full(3, 0.5)), np.empty((t, 3))
        for k, e in enumerate(values):
            state, outputs[k] = step(np, state, e, weights)
        for f in functions:
            for one, other in zip(f(values, weights), [*state, outputs], strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-12)


def test_the_text_of_nested_bodies_reads_back() -> None:
    x = gc.placeholder("x", ("t", 3))
    _, rows = gc.scan(
        lambda c, e: (gc.scan(lambda d, f: (d * f, None), c, e, unroll=2)[0], c + 1), 1.0, x
    )
    graph = gc.Graph((x,), (rows, gc.grad(gc.sum(rows), x)))
    text = format_graph(graph)
    assert format_graph(gc.parse_graph(text)) == text


# --- errors ------------------------------------------------------------------------------------


def test_a_carry_of_another_type_shows_both_types_and_the_line() -> None:
    x = gc.placeholder("x", (5, 3))
    with pytest.raises(FunctionError) as caught:
        gc.scan(lambda c, e: (c @ gc.ones((3, 2)), None), gc.zeros((3,)), x)
    text = str(caught.value)
    assert "E121" in text and "float32[2]" in text and "float32[3]" in text
    assert "test_control.py" in text


def test_other_mistakes_are_named() -> None:
    x = gc.placeholder("x", (5, 3))
    with pytest.raises(ShapeError, match="E120"):
        gc.scan(lambda c, e: (c, None), gc.zeros(()), None)
    with pytest.raises(ShapeError, match="E120"):
        gc.scan(lambda c, e: (c, None), gc.zeros(()), gc.placeholder("s"))
    with pytest.raises(FunctionError, match="E121"):
        gc.scan(lambda c, e: c, gc.zeros((3,)), x)
    with pytest.raises(ShapeError, match="length of sequence 1"):
        gc.scan(lambda c, e: (c, None), gc.zeros(()), (x, gc.placeholder("y", (4,))))
    for options in ({"unroll": 0}, {"unroll": True}, {"checkpoint_every": 0.5}):
        with pytest.raises(ParameterError, match="E404"):
            gc.scan(lambda c, e: (c, None), gc.zeros(()), x, **options)
    with pytest.raises(ParameterError, match="bound"):
        gc.fori_loop(0, gc.sum(x), lambda i, c: c, 0.0)


def test_carries_of_different_sizes_are_compared_at_the_call() -> None:
    h, x = gc.placeholder("h", ("n",)), gc.placeholder("x", ("t", "m"))
    f = gc.function([h, x], gc.scan(lambda c, e: (c * 0 + e, None), h, x)[0])
    np.testing.assert_array_equal(f([0, 0], [[1, 2], [3, 4]]), [3, 4])
    with pytest.raises(gc.FeedError):
        f([0, 0, 0], [[1, 2], [3, 4]])
