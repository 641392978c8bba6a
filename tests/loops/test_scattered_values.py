"""What scatters add is computed on the way, where nothing else reads it and it is cheap."""

import numpy as np
import pytest

import graphc as gc
from graphc.ir.tensor import Tensor
from graphc.loops.ir import KernelCall, Loop
from tests.loops.programs import compiled, program_of


def edges(width: int = 3) -> dict[str, Tensor]:
    start, end = (gc.placeholder(name, ("n",), "int64") for name in ("start", "end"))
    x = gc.placeholder("x", ("k", width), "float64")
    return {"start": start, "end": end, "x": x, "w": gc.placeholder("w", ("n",), "float64")}


def messages(given: dict[str, Tensor]) -> Tensor:
    start, end, x, w = given.values()
    return gc.scatter_add(end, x[start] * w[:, None], 0, 6)


def kernels(given: dict[str, Tensor], *outputs: Tensor) -> int:
    steps = program_of(list(given.values()), list(outputs)).steps
    return sum(isinstance(step, KernelCall) for step in steps)


def test_messages_along_edges_are_one_kernel() -> None:
    given = edges()
    assert kernels(given, messages(given)) == 1


def test_what_else_is_read_or_costs_much_is_stored() -> None:
    given = edges()
    start, end, x, w = given.values()
    values = x[start] * w[:, None]
    assert kernels(given, gc.scatter_add(end, values, 0, 6), values) == 2
    assert kernels(given, gc.scatter_add(end, gc.exp(values), 0, 6)) == 2
    scaled = x[start] * gc.exp(w)[:, None]
    assert kernels(given, gc.scatter_add(end, scaled, 0, 6)) == 2
    twice = gc.scatter_add(end, values, 0, 6) + gc.scatter_add(start, values, 0, 6)
    assert kernels(given, twice) == 4


def test_single_numbers_are_scattered_as_before() -> None:
    given = edges()
    start, end, _, w = given.values()
    assert kernels(given, gc.scatter_add(end, w[start], 0, 6)) == 2


def test_states_of_loops_are_changed_in_place() -> None:
    """A scatter over a state is left alone: it would read what it writes."""
    x, i = gc.placeholder("x", (6, 3), "float64"), gc.placeholder("i", ("t", 2), "int64")
    final, _ = gc.scan(lambda c, k: (c.at[k].add(c[k[::-1]] * 2), None), x, i)
    (loop,) = (s for s in program_of([x, i], [final]).steps if isinstance(s, Loop))
    assert all(not carry.spare for carry in loop.carries)


@pytest.mark.parametrize("backend", ["llvm", "numba_cpu", "interpreter"])
@pytest.mark.parametrize("width", [2, 3, 16, 33])
def test_values(backend: str, width: int) -> None:
    given = edges(width)
    start, end, x, w = given.values()
    sums = messages(given)
    cost = gc.sum(sums**2)
    most = gc.full((6, width), 0.0, dtype="float64").at[end].max(x[start] - w[:, None])
    outputs = [sums, *gc.grad(cost, [x, w]), most]
    if backend == "interpreter":
        function = compiled(list(given.values()), outputs)
    else:
        pytest.importorskip("numba") if backend == "numba_cpu" else None
        function = gc.function(list(given.values()), outputs, backend=backend)
    meaning = gc.function(list(given.values()), outputs, backend="reference", optimize=False)
    rng = np.random.default_rng(0)
    for count in (0, 1, 40):
        values = (
            rng.integers(-4, 4, count),
            rng.integers(-6, 6, count),
            rng.normal(size=(4, width)),
            rng.normal(size=count),
        )
        for found, expected in zip(function(*values), meaning(*values), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_an_index_out_of_range_is_refused_before_anything_is_written() -> None:
    given = edges()
    table = gc.variable(np.zeros((6, 3)), name="table")
    inputs = list(given.values())
    update = gc.function(inputs, [], updates={table: table + messages(given)})
    values = [np.array([0, 9]), np.array([1, 1]), np.ones((4, 3)), np.ones(2)]
    with pytest.raises(gc.IndexOutOfRange):
        update(*values)
    assert not table.value.any()
