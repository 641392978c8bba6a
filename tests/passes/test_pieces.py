"""Arrays around a slice: put together of pieces where they are stored, else element by element."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.errors import IndexOutOfRange

RNG = np.random.default_rng(0)
Build = Callable[[Any], Any]


def inner(x: Any) -> Any:
    return x[1:-1, 1:-1] * 4 - x[:-2, 1:-1] - x[2:, 1:-1] - x[1:-1, :-2] - x[1:-1, 2:]


CASES: dict[str, Build] = {
    "assignment": lambda x: x.at[1:-1, 1:-1].set(gc.tanh(inner(x))),
    "addition": lambda x: x.at[1:-1, 1:-1].add(inner(x)) * 2,
    "every second": lambda x: x.at[::2, 1::2].set(x[::2, 1::2] ** 2),
    "backwards": lambda x: x.at[::-1].add(gc.arange(x.shape[1])),
    "one of these": lambda x: gc.grad(gc.sum(gc.sin(x[1:-1])), x),
    "stencil": lambda x: gc.grad(gc.sum(inner(x) ** 2), x),
    "differences": lambda x: gc.grad(gc.sum(gc.diff(x, axis=1) ** 3), x),
    "variation": lambda x: gc.grad(
        gc.sum(gc.abs(x[1:] - x[:-1])) + gc.sum(gc.abs(x[:, 1:] - x[:, :-1])), x
    ),
    "steps": lambda x: gc.grad(gc.sum(x[::2, 2::3] * x[::2, 2::3]), x) + x,
    "infinite": lambda x: gc.grad(gc.sum(x[1:] ** 2) * np.inf - gc.sum(x[:-1]), x),
    "ends": lambda x: gc.grad(gc.sum(gc.exp(x[:2])) + gc.sum(gc.exp(x[-2:])), x),
    "border": lambda x: gc.pad(gc.tanh(x), ((1, 2), (0, 1)), constant_values=3),
}


@pytest.mark.parametrize("backend", ["llvm", "interpreter", "numba_cpu"])
@pytest.mark.parametrize("name", CASES)
def test_values_at_any_size(name: str, backend: str) -> None:
    x = gc.placeholder("x", ("n", "m"), "float64")
    f = gc.function([x], CASES[name](x), backend=backend)
    meaning = gc.function([x], CASES[name](x), backend="reference")
    for shape in [(0, 0), (0, 4), (1, 1), (1, 5), (2, 1), (2, 2), (2, 7), (3, 2), (4, 3), (6, 19)]:
        values = RNG.normal(size=shape)
        np.testing.assert_allclose(f(values), meaning(values), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("backend", ["reference", "llvm", "interpreter", "numba_cpu"])
def test_values_that_do_not_fit_are_refused_before_anything_is_written(backend: str) -> None:
    v, x = gc.placeholder("v", ("n",)), gc.placeholder("x", ("m",))
    m = x.shape[0]
    for step, fitting in ((1, 4), (2, 2), (-1, 2)):
        placed = gc.slice_gradient(v, (m,), (1,), (step,))
        for y in (placed, placed + x):
            f = gc.function([v, x], y, backend=backend, on_unused_input="ignore")
            values = np.ones(fitting, "float32")
            assert f(values, np.zeros(5, "float32")).sum() == fitting
            assert f(values[:0], np.zeros(0, "float32")).shape == (0,)
            with pytest.raises(IndexOutOfRange, match="do not fit axis 0"):
                f(np.ones(fitting + 1, "float32"), np.zeros(5, "float32"))


def test_slices_are_known_to_fit() -> None:
    """No call checks what holds for all sizes."""
    x = gc.placeholder("x", ("n", "m"))
    half = x.shape[0] // 2
    ends: list[tuple[Any, Any, Any]] = [(1, -1, 1), (2, 5, 1), (-3, None, 1), (5, -5, 2)]
    ends += [(None, None, -1), (None, None, -2), (-1, 0, -3), (10, 2, -2)]
    ends += [(None, half, None), (half, None, None)]
    for key in (slice(*three) for three in ends):
        f = gc.function([x], gc.grad(gc.sum(x[key] ** 2), x) + x.at[key].set(1.0))
        assert "check" not in f.loops(), key


def test_values_of_unsigned_integers() -> None:
    x = gc.placeholder("x", ("n",), "uint8")
    n = x.shape[0]
    f = gc.function([x], gc.slice_gradient(-x[1:], (n,), (1,), (1,)) + x)
    for size in range(4):
        values = np.arange(3, 3 + size, dtype=np.uint8)
        np.testing.assert_array_equal(f(values), [3, 0, 0][:size])


@pytest.mark.parametrize("name", CASES)
def test_values_of_large_arrays_of_known_size(name: str) -> None:
    x = gc.placeholder("x", (70, 65), "float64")
    values = RNG.normal(size=x.shape)
    found = gc.function([x], CASES[name](x))(values)
    meaning = gc.function([x], CASES[name](x), backend="reference")
    np.testing.assert_allclose(found, meaning(values), rtol=1e-12, atol=1e-12)


def optimized(shape: tuple[Any, ...], build: Build) -> list[str]:
    x = gc.placeholder("x", shape)
    return [node.op.name for node in gc.function([x], build(x)).stages.graph.nodes]


@pytest.mark.parametrize("shape", [(100, 100), ("n", "m")])
def test_what_is_stored_is_computed_in_its_place(shape: tuple[Any, ...]) -> None:
    for name in ("assignment", "border"):
        found = optimized(shape, CASES[name])
        assert "concat" in found and not {"update_slice", "pad", "slice_gradient"} & {*found}
    x = gc.placeholder("x", shape)
    loops = gc.function([x], CASES["assignment"](x)).loops()
    assert " temporary" not in loops


def test_what_a_kernel_reads_on_its_way_is_not_stored() -> None:
    found = optimized((100, 100), lambda x: gc.sum(x.at[1:].set(gc.exp(x[1:])) * x, axis=1))
    assert "update_slice" in found and "concat" not in found
    assert "update_slice" in optimized((30, 30), CASES["assignment"])  # one launch


def test_multiples_of_one_value_are_stored_once() -> None:
    assert optimized(("n", "m"), CASES["stencil"]).count("concat") == 2  # one for each axis
    assert optimized(("n", "m"), CASES["variation"]).count("concat") == 2
    assert "concat" not in optimized((100, 100), CASES["stencil"])


def test_an_empty_slice_at_the_end() -> None:
    """There is no place for an entry more."""
    x = gc.placeholder("x", (4,), "float64")
    largest = gc.max(x, keepdims=True)
    cost = gc.sum(gc.tanh(gc.concat([-largest, largest[:0]])))
    slope = gc.grad(cost, x)
    f = gc.function([x], gc.grad(gc.sum(gc.sin(slope)), x))
    g = gc.function([x], gc.grad(gc.sum(gc.sin(slope)), x), backend="reference", optimize=False)
    np.testing.assert_allclose(f(np.arange(4.0)), g(np.arange(4.0)))
