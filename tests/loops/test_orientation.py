"""Reductions of transposed arrays run along memory."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.ir.tensor import Tensor

CASES: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[np.ndarray], Any]]] = {
    "columns": (lambda x: gc.sum(x.T, axis=1), lambda x: x.T.sum(1)),
    "rows": (lambda x: gc.sum(x.T, axis=0), lambda x: x.T.sum(0)),
    "positions": (lambda x: gc.argmax(x.T, axis=1), lambda x: x.T.argmax(1)),
    "positions_of_all": (lambda x: gc.argmin(x.T), lambda x: x.T.argmin()),
    "all": (lambda x: gc.max(x.T * 2), lambda x: (x.T * 2).max()),
    "two_passes": (lambda x: gc.var(x.T, axis=1), lambda x: x.T.var(1)),
    "both_ways": (
        lambda x: gc.sum(x.T * gc.exp(x.T), axis=1),
        lambda x: (x.T * np.exp(x.T)).sum(1),
    ),
}
SHAPES = ((0, 3), (3, 1), (1, 7), (9, 8), (31, 17), (300, 5), (5, 601))


def kernel_text(x: Tensor, result: Tensor) -> str:
    """Of the graph as it is written: rules would move the transposes."""
    text = gc.function([x], result, name="f", optimize=False).loops()
    return "\n".join(line[:60].rstrip() for line in text.split("\n") if "for " in line)


def test_the_axis_along_memory_runs_innermost() -> None:
    x = gc.placeholder("x", ("n", "m"))
    assert kernel_text(x, gc.sum(x.T, axis=1)) == "  for i in m vector:\n    for j in n serial:"
    assert kernel_text(x, gc.sum(x.T, axis=0)) == "  for j in n parallel:\n    for i in m vector:"
    y = gc.placeholder("y", ("a", "b", "c"))
    turned = gc.sum(gc.permute_dims(y, (2, 0, 1)), axis=1)
    assert kernel_text(y, turned).endswith("    for j in a serial:")


def test_rows_across_memory_are_summed_for_neighbours_side_by_side() -> None:
    """sum(f(x[k, i], x[k, j])) over k: no operand has an element for each i, j and k."""
    x = gc.placeholder("x", ("n", "m"))
    apart = x.T[:, None, :] - x.T[None, :, :]
    f = gc.function([x], gc.sum(apart * apart, axis=-1))
    assert "for j in m vector" in f.loops() and "in n serial" in f.loops()
    for shape in SHAPES:
        values = np.random.default_rng(0).normal(size=shape).astype("float32")
        expected = ((values[:, :, None] - values[:, None, :]) ** 2).sum(0)
        np.testing.assert_allclose(f(values), expected, rtol=1e-4, atol=1e-5)


def test_what_reads_along_the_last_axis_too_stays() -> None:
    x, y = gc.placeholder("x", ("n", "m")), gc.placeholder("y", ("m", "n"))
    assert kernel_text(x, gc.sum(x, axis=1)) == "  for i in n parallel:\n    for j in m vector:"
    text = gc.function([x, y], gc.sum(x.T * y, axis=1)).loops()
    assert "for j in n vector" in text


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
def test_same_numbers(name: str, dtype: str) -> None:
    build, expected = CASES[name]
    x = gc.placeholder("x", ("n", "m"), dtype=dtype)
    f = gc.function([x], build(x))
    rng = np.random.default_rng(0)
    for shape in SHAPES:
        if 0 in shape and name in ("positions", "positions_of_all", "all", "two_passes"):
            continue
        values = rng.integers(-3, 4, shape).astype(dtype)
        fixed = gc.placeholder("fixed", shape, dtype=dtype)
        wanted = expected(values.astype("float64") if name == "both_ways" else values)
        for got in (f(values), gc.function([fixed], build(fixed))(values)):
            np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)


def test_nan_and_ties_as_in_numpy() -> None:
    x = gc.placeholder("x", ("n", "m"))
    f = gc.function([x], [gc.argmax(x.T, axis=1), gc.max(x.T, axis=1), gc.argmax(x.T)])
    values = np.random.default_rng(0).integers(0, 3, (41, 37)).astype(np.float32)
    values[7, 3] = values[9, 3] = values[2, 30] = np.nan
    positions, largest, of_all = f(values)
    np.testing.assert_array_equal(positions, values.T.argmax(1))
    np.testing.assert_array_equal(largest, values.T.max(1))
    assert of_all == values.T.argmax()


@pytest.mark.parametrize("axes", [(2, 0, 1), (2, 1, 0), (1, 0, 2), (0, 2, 1)])
@pytest.mark.parametrize("axis", [0, 1, 2, (0, 1), (1, 2), (0, 2)])
def test_three_axes(axes: tuple[int, ...], axis: int | tuple[int, ...]) -> None:
    x = gc.placeholder("x", ("a", "b", "c"))
    f = gc.function([x], gc.sum(gc.permute_dims(x, axes), axis=axis))
    for shape in ((3, 17, 9), (1, 8, 33), (0, 2, 3)):
        values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        expected = values.astype("float64").transpose(axes).sum(axis)
        np.testing.assert_allclose(f(values), expected, rtol=1e-4, atol=1e-5)
