"""Sums that scatter along the same indices share a loop."""

import numpy as np
import pytest

import graphc as gc
from graphc.ir.tensor import Tensor
from graphc.loops.ir import KernelCall
from tests.loops.programs import compiled, program_of


def inputs() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    i, j = (gc.placeholder(name, ("n",), "int64") for name in "ij")
    x, y = (gc.placeholder(name, ("n",), "float64") for name in "xy")
    return i, j, x, y


def scatters(given: list[Tensor], outputs: list[Tensor]) -> list[int]:
    """How many arrays each scattering kernel adds to."""
    steps = program_of(given, outputs).steps
    calls = [step for step in steps if isinstance(step, KernelCall)]
    return [
        sum(parameter.written for parameter in call.kernel.parameters)
        for call in calls
        if call.kernel.name.startswith("scatter_add")
    ]


def test_sums_along_the_same_indices_share_a_loop() -> None:
    i, _, x, y = inputs()
    outputs = [gc.scatter_add(i, v, 0, 5) for v in (x, y, x * y)]
    assert scatters([i, x, y], outputs) == [3]


def test_other_indices_and_other_sizes_have_their_own() -> None:
    i, j, x, y = inputs()
    assert scatters([i, j, x, y], [gc.scatter_add(i, x, 0, 5), gc.scatter_add(j, y, 0, 5)]) == [
        1,
        1,
    ]
    assert scatters([i, x, y], [gc.scatter_add(i, x, 0, 5), gc.scatter_add(i, y, 0, 6)]) == [1, 1]


def test_a_sum_that_the_other_is_made_of_comes_before() -> None:
    i, _, x, _ = inputs()
    first = gc.scatter_add(i, x, 0, 5)
    second = gc.scatter_add(i, x * first[i], 0, 5)
    assert scatters([i, x], [first, second]) == [1, 1]
    assert scatters([i, x], [first, gc.scatter_add(i, first[i], 0, 5), second]) == [1, 2]


def test_rows_stay_apart() -> None:
    i = gc.placeholder("i", ("n",), "int64")
    x, y = (gc.placeholder(name, ("n", 3), "float64") for name in "xy")
    assert scatters([i, x, y], [gc.scatter_add(i, x, 0, 5), gc.scatter_add(i, y, 0, 5)]) == [1, 1]


@pytest.mark.parametrize("backend", ["llvm", "numba_cpu", "interpreter"])
def test_values(backend: str) -> None:
    i, _, x, y = inputs()
    outputs = [gc.scatter_add(i, v, 0, 4) for v in (x, y, x * y)]
    if backend == "interpreter":
        f = compiled([i, x, y], outputs)
    else:
        pytest.importorskip("numba") if backend == "numba_cpu" else None
        f = gc.function([i, x, y], outputs, backend=backend)
    rng = np.random.default_rng(0)
    for size in (0, 1, 3, 17, 101):
        places, a, b = rng.integers(-4, 4, size), rng.normal(size=size), rng.normal(size=size)
        for found, values in zip(f(places, a, b), (a, b, a * b), strict=True):
            wanted = np.zeros(4)
            np.add.at(wanted, places, values)
            np.testing.assert_array_equal(found, wanted)  # added in the same order
