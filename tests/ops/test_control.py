"""Loops: what scan, fori_loop and map compute on every backend, their gradients and errors."""

from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.errors import FunctionError, IndexOutOfRange, ShapeError
from graphc.ir.tensor import Tensor

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
