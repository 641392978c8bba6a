"""Numbers that loops add up: which sums are made after the loop, and that they are the same."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.function import Function
from graphc.ir.lowering import Scan
from graphc.ir.node import Node
from graphc.ir.tensor import Tensor

Array = Any  # of numpy, or a number of it


def loops(f: Function) -> list[Node]:
    return [node for node in f.stages.graph.nodes if isinstance(node.op.lower, Scan)]


def carries(f: Function) -> list[int]:
    return [loop.attrs["carries"] for loop in loops(f)]


def check(f: Function, plain: Function, *arrays: Array, rtol: float = 1e-12) -> None:
    for got, expected in zip(f(*arrays), plain(*arrays), strict=True):
        assert got.dtype == expected.dtype and got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=rtol, atol=1e-12)


def filtered(a: Tensor, b: Tensor, u: Tensor) -> Tensor:
    start = gc.constant(0.5, u.dtype)
    states: Tensor = gc.scan(lambda s, e: (gc.tanh(a * s + b * e),) * 2, start, u)[1]
    return gc.mean(states * states)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_gradients_by_what_all_steps_share_are_summed_after_the_loop(dtype: str) -> None:
    a, b = gc.placeholder("a", (), dtype), gc.placeholder("b", (), dtype)
    u = gc.placeholder("u", ("t",), dtype)
    cost = filtered(a, b, u)
    results = [cost, *gc.grad(cost, [a, b])]
    f = gc.function([a, b, u], results)
    plain = gc.function([a, b, u], results, optimize=False, backend="reference")
    assert carries(f) == [1, 1]
    assert len(loops(f)[1].types) == 2  # a carry, and one stack for both sums
    for length in (0, 1, 7, 300):
        values = np.random.default_rng(0).normal(size=length)
        given = [np.asarray(x).astype(dtype) for x in (0.5, 0.3, values)]
        check(f, plain, *given, rtol={"float64": 1e-11, "float32": 1e-4, "float16": 2e-2}[dtype])


SUMS: dict[str, tuple[int, Callable[[Any, Tensor], tuple[Any, Any]]]] = {
    # how many carries are left, and a step of two carries
    "of the sequence": (1, lambda c, e: ((gc.sin(c[0] + e), c[1] + gc.exp(e)), c[0])),
    "of the other state": (1, lambda c, e: ((gc.sin(c[0] + e), c[0] + c[1]), None)),
    "of the new state": (1, lambda c, e: ((gc.sin(c[0] + e), c[1] + gc.sin(c[0] + e)), None)),
    "of a number": (1, lambda c, e: ((gc.sin(c[0] + e), c[1] + 0.25), c[0])),
    "of a product of rows": (1, lambda c, e: ((gc.sin(c[0] + e), c[1] + e * c[0] / 3), c[0])),
    "that is read": (2, lambda c, e: ((gc.sin(c[1] + e), c[1] + e), c[0])),
    "that is handed out": (2, lambda c, e: ((gc.sin(c[0] + e), c[1] + e), c[1] + e)),
    "handed out before": (2, lambda c, e: ((gc.sin(c[0] + e), c[1] + e), c[1])),
    "that another value needs": (2, lambda c, e: ((gc.sin(c[0] + e), c[1] + e), 2 * (c[1] + e))),
    "of a sum": (1, lambda c, e: ((c[0] + e, c[1] + c[0]), None)),
}


@pytest.mark.parametrize("name", SUMS)
@pytest.mark.parametrize("reverse", [False, True])
def test_which_sums_leave_the_loop(name: str, reverse: bool) -> None:
    left, step = SUMS[name]
    x = gc.placeholder("x", ("t",), "float64")
    start = (gc.constant(0.1, "float64"), gc.constant(2.0, "float64"))
    (one, other), rows = gc.scan(step, start, x, reverse=reverse)
    results = [one, other] if rows is None else [one, other, rows]
    f = gc.function([x], results)
    plain = gc.function([x], results, optimize=False, backend="reference")
    assert carries(f) == [left]
    for length in (0, 1, 2, 100):
        check(f, plain, np.random.default_rng(1).normal(size=length))


def test_a_loop_that_only_adds_is_no_loop() -> None:
    x = gc.placeholder("x", ("t",), "float64")
    total = gc.scan(lambda s, e: (s + gc.tanh(e) * e, None), gc.constant(1.0, "float64"), x)[0]
    f = gc.function([x], total)
    assert not loops(f)
    values = np.random.default_rng(2).normal(size=1000)
    np.testing.assert_allclose(f(values), 1 + np.sum(np.tanh(values) * values), rtol=1e-12)


def test_sums_of_row_sums_may_be_handed_out() -> None:
    x = gc.placeholder("x", ("t", 3), "float64")
    start = gc.constant(1.0, "float64")
    values = np.random.default_rng(3).normal(size=(5, 3))
    after = 1 + np.cumsum(values.sum(axis=1))
    last, sums = gc.scan(lambda s, e: (s + gc.sum(e),) * 2, start, x)
    for got, expected in zip(
        gc.function([x], [last, sums])(values), (after[-1], after), strict=True
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-12)
    _, double = gc.scan(lambda s, e: (s + gc.sum(e), 2 * (s + gc.sum(e))), start, x)
    np.testing.assert_allclose(gc.function([x], double)(values), 2 * after, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8"])
def test_integers_wrap_as_they_do_in_the_loop(dtype: str) -> None:
    x = gc.placeholder("x", ("t",), dtype)
    start = (gc.constant(3, dtype), gc.constant(1, dtype))
    (one, total), _ = gc.scan(lambda c, e: ((c[0] * e, c[1] + c[0] * c[0]), None), start, x)
    f = gc.function([x], [one, total])
    assert carries(f) == [1]
    values = np.random.default_rng(4).integers(1, 100, size=50).astype(dtype)
    check(f, gc.function([x], [one, total], optimize=False, backend="reference"), values)


def test_numbers_of_any_rank_are_added() -> None:
    x, w = gc.placeholder("x", ("t", 1), "float64"), gc.placeholder("w", (1, 1), "float64")
    start = (gc.zeros((1, 1), dtype="float64"), gc.ones((1,), dtype="float64"))

    def step(c: Any, e: Tensor) -> Any:
        s = gc.tanh(w * c[0] + e)
        return (s, c[1] + gc.reshape(s, (1,)) * e), None

    (last, total), _ = gc.scan(step, start, x)
    f = gc.function([x, w], [last, total])
    assert carries(f) == [1]
    plain = gc.function([x, w], [last, total], optimize=False, backend="reference")
    check(f, plain, np.random.default_rng(5).normal(size=(20, 1)), np.full((1, 1), 0.5))


def test_memory_does_not_grow_with_the_steps_for_a_sum() -> None:
    s = gc.placeholder("s", (), "float64")
    start = (s, gc.constant(0.0, "float64"))
    (_, total), _ = gc.scan(lambda c, e: ((gc.sin(c[0]), c[0] + c[1]), None), start, length=10_000)
    f = gc.function([s], total)
    assert carries(f) == [2]
    arena = int(f.memory_plan().split("arena")[1].split()[0])
    assert arena < 1000


def test_sums_stay_in_loops_over_arrays() -> None:
    x = gc.placeholder("x", ("t", 3), "float64")
    start = (gc.zeros((3,), dtype="float64"), gc.constant(0.0, "float64"))
    (_, total), _ = gc.scan(lambda c, e: ((gc.sin(c[0] + e), c[1] + c[0][0]), None), start, x)
    assert carries(gc.function([x], total)) == [2]


@pytest.mark.parametrize("every", [None, 3, "sqrt"])
def test_gradients_of_loops_in_segments_and_in_loops(every: Any) -> None:
    a, x = gc.placeholder("a", (), "float64"), gc.placeholder("x", ("t", "n"), "float64")

    def outer(s: Tensor, row: Tensor) -> tuple[Tensor, Tensor]:
        last, _ = gc.scan(lambda c, e: (gc.tanh(a * c + e), None), s, row, checkpoint_every=every)
        return last, last

    _, rows = gc.scan(outer, gc.constant(0.0, "float64"), x)
    cost = gc.sum(rows * rows)
    slope = gc.grad(cost, a)
    f = gc.function([a, x], [cost, slope, gc.grad(slope, a)])
    plain = gc.function([a, x], [cost, slope, gc.grad(slope, a)], optimize=False)
    for shape in ((0, 3), (2, 0), (3, 7), (5, 10)):
        values = np.random.default_rng(6).normal(size=shape)
        check(f, plain, np.float64(0.7), values, rtol=1e-9)


def test_gradients_of_a_loop_that_counts_its_steps() -> None:
    a, x = gc.placeholder("a", (), "float64"), gc.placeholder("x", (), "float64")
    last = gc.while_loop(lambda s: s < 100, lambda s: a * s + 1, x)
    results = [last, *gc.grad(last, [a, x])]
    f = gc.function([a, x], results)
    plain = gc.function([a, x], results, optimize=False)
    for start in (200.0, 99.0, 1.0):
        check(f, plain, np.float64(1.1), np.float64(start), rtol=1e-10)
    assert carries(f) == [1]


def test_the_same_bits_on_any_number_of_threads() -> None:
    a, b, u = (
        gc.variable(np.float32(0.9)),
        gc.variable(np.float32(0.1)),
        gc.placeholder("u", ("t",)),
    )
    cost = filtered(a, b, u)
    results = [cost, *gc.grad(cost, [a, b])]
    values = np.random.default_rng(7).normal(size=300_000).astype("float32")
    found = [gc.function([u], results, threads=threads)(values) for threads in (1, 2, 3)]
    for other in found[1:]:
        for one, same in zip(found[0], other, strict=True):
            assert one.tobytes() == same.tobytes()


def test_a_number_that_is_added_to_an_array_is_summed_after_the_loop() -> None:
    x, n = gc.placeholder("x", (5,)), gc.placeholder("n", ("t",))

    def step(c: gc.Tensor, e: gc.Tensor) -> tuple[gc.Tensor, gc.Tensor]:
        c = c * 0.9 + gc.sum(x[1:4] * c) + e
        return c, c

    gradient = gc.grad(gc.sum(gc.scan(step, gc.constant(0.5), n)[1]), x)
    values = np.linspace(-1, 1, 5).astype("float32"), np.arange(4, dtype="float32")
    expected = gc.function([x, n], gradient, backend="reference")(*values)
    np.testing.assert_allclose(gc.function([x, n], gradient)(*values), expected, rtol=1e-5)
