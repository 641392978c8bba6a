"""Loops whose carries are numbers: one function, nothing carried through memory, the same results
as on the graph interpreter."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.ir.tensor import Tensor

Array = np.ndarray[Any, Any]


def numbers(dtype: str, length: int) -> Array:
    values = np.random.default_rng(1).normal(size=length) * 3
    return np.asarray(values > 0 if dtype == "bool" else values.astype(dtype))


def first(dtype: str) -> Tensor:
    return gc.constant(np.zeros((), dtype))


def decayed(x: Tensor) -> Any:
    return gc.scan(lambda s, e: (0.9 * s + gc.tanh(e + 0.1 * s),) * 2, first(x.dtype.name), x)


def backwards(x: Tensor) -> Any:
    step = lambda s, e: (gc.sin(s) + e, s)  # noqa: E731 - what it returns before it adds
    return gc.scan(step, first(x.dtype.name), x, reverse=True)


def swapped(x: Tensor) -> Any:
    def step(carry: tuple[Tensor, Tensor], e: Tensor) -> Any:
        a, b = carry
        return (b, a - b * 2 + e), (a, a == b)

    return gc.scan(step, (first(x.dtype.name), x[0] * 0 + 1), x)


def flagged(x: Tensor) -> Any:
    """A bool, an integer and a number."""

    def step(carry: tuple[Tensor, Tensor, Tensor], e: Tensor) -> Any:
        seen, count, best = carry
        larger = e > best
        following = (seen | larger, count + gc.astype(larger, "int64"), gc.maximum(best, e))
        return following, following

    start = gc.constant(False), gc.constant(np.int64(0)), first(x.dtype.name)
    return gc.scan(step, start, x)


def with_rows(x: Tensor) -> Any:
    """Each step reads a row of two numbers and a table that stays; another leaves it alone."""
    rows, table = gc.stack([x, x * 2], axis=1), gc.cumulative_sum(x[:3])

    def step(s: Tensor, row: Tensor) -> Any:
        return row[0] - row[1] * gc.where(s > table[1], table[0], table[2]), s

    return gc.scan(step, first(x.dtype.name), rows)


def gradient(x: Tensor) -> Any:
    _, s = decayed(x)
    return gc.grad(gc.sum(s * s), x)


PROGRAMS: list[tuple[Callable[[Tensor], Any], Sequence[str]]] = [
    (decayed, ("float32", "float64", "float16", "bfloat16")),
    (backwards, ("float32", "float64")),
    (swapped, ("float32", "int32", "int8", "float16")),
    (flagged, ("float32", "int64")),
    (with_rows, ("float32", "float64")),
    (gradient, ("float32", "float64")),
]
CASES = [(program, dtype) for program, dtypes in PROGRAMS for dtype in dtypes]


@pytest.mark.parametrize(("program", "dtype"), CASES)
def test_like_the_reference(program: Callable[[Tensor], Any], dtype: str) -> None:
    x = gc.placeholder("x", ("t",), dtype)
    outputs = program(x)
    fast = gc.function([x], outputs, cache=False)
    slow = gc.function([x], outputs, backend="reference")
    least = 3 if program is with_rows else 1
    for length in (least, 4, 37):
        values = numbers(dtype, length)
        tolerance = {"float64": 1e-12, "float32": 2e-5, "float16": 2e-2, "bfloat16": 2e-1}
        for found, wanted in zip(flat(fast(values)), flat(slow(values)), strict=True):
            assert found.dtype == wanted.dtype
            np.testing.assert_allclose(
                np.asarray(found, "float64"),
                np.asarray(wanted, "float64"),
                rtol=tolerance.get(dtype, 0),
                atol=tolerance.get(dtype, 0),
            )


def flat(results: Any) -> list[Array]:
    if isinstance(results, tuple | list):
        return [array for result in results for array in flat(result)]
    return [results]


def test_no_steps() -> None:
    x = gc.placeholder("x", ("t",))
    start = gc.placeholder("start", ())
    f = gc.function([x, start], gc.scan(lambda s, e: (s * e, s), start, x), cache=False)
    final, stacked = f(np.zeros(0, "float32"), np.float32(2.5))
    assert final == 2.5
    assert stacked.shape == (0,)


def test_nothing_is_carried_through_memory() -> None:
    """One function with one loop; of the kernel for a step nothing is called."""
    x = gc.placeholder("x", (100,))
    text = gc.function([x], decayed(x), cache=False).llvm()
    assert text.count("call void @") == 1
    assert text.count("define") == 2
    body = text[text.index("\nbody") : text.index("\ndone")]
    assert body.count("store") == 1  # the stacked output
    assert "fdiv" not in body


def test_rows_of_several_numbers_are_read_where_they_are() -> None:
    x = gc.placeholder("x", ("t",))
    text = gc.function([x], with_rows(x)[0], cache=False).llvm()
    entry = text[text.index("@entry") :]
    assert "body" not in entry[: entry.index("ret i64")]


def test_larger_carries_stay_in_memory() -> None:
    x = gc.placeholder("x", ("t", 2))
    f = gc.function([x], gc.scan(lambda s, e: (s * e, s), x[0], x), cache=False)
    text = f.llvm()
    loop = text[text.index("@entry") :]
    assert "call void @k" in loop[loop.index("\nbody") : loop.index("\ndone")]
    found, _ = f(np.array([[2, 3], [4, 5]], "float32"))
    np.testing.assert_array_equal(found, [16, 45])


def test_a_step_of_several_kernels() -> None:
    """A reduction among the steps keeps its loop; numbers around it are right all the same."""
    x = gc.placeholder("x", ("t", 5), "float64")

    def step(s: Tensor, row: Tensor) -> Any:
        following = gc.sum(gc.tanh(row * s)) + 1
        return following, following

    outputs = gc.scan(step, first("float64"), x)
    values = np.random.default_rng(0).normal(size=(6, 5))
    for found, wanted in zip(
        gc.function([x], outputs, cache=False)(values),
        gc.function([x], outputs, backend="reference")(values),
        strict=True,
    ):
        np.testing.assert_allclose(found, wanted, rtol=1e-13)
