"""One kernel for updates of one form, and all of its calls at once (loops.extents, launches)."""

import numpy as np
import pytest

import graphc as gc
from graphc.layers import updates
from graphc.loops.extents import EXTENT, LARGEST
from graphc.loops.ir import KernelCall, Program
from graphc.loops.launches import launches_in

SIZES = [(64, 33), (1,), (0,), (7,), (300,), (16, 16), (255,), (257,), (12000,)]


def program_of(f: gc.Function) -> Program:
    program = f.stages.program
    assert program is not None
    return program


def momentum(
    threads: int | None = None, backend: str = "auto"
) -> tuple[gc.Function, list[gc.Variable]]:
    """A step on weights of all of the sizes, three of each."""
    shapes = SIZES * 3
    weights = [gc.variable(np.ones(shape, "float32"), f"w{n}") for n, shape in enumerate(shapes)]
    gradients = [gc.placeholder(f"g{n}", shape) for n, shape in enumerate(shapes)]
    pairs = updates.momentum(gradients, weights, 0.1)
    f = gc.function(gradients, updates=pairs, threads=threads, backend=backend)
    return f, [variable for variable, _ in pairs.items()]


def gradients_of(f: gc.Function) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [rng.standard_normal(t.shape).astype("float32") for t in f.inputs]


def test_one_kernel_and_one_launch() -> None:
    program = program_of(momentum()[0])
    calls = [step for step in program.steps if isinstance(step, KernelCall)]
    common = [call for call in calls if call.kernel.sizes == (EXTENT,)]
    assert len({call.kernel.name for call in common}) == 1
    assert {call.sizes[0] for call in common} >= {7, 255, 256, 257, 300, 12000}
    launches = launches_in(program.steps, program)
    assert sum(map(len, launches.values())) >= len(common) - 3  # some may stand alone
    assert len(launches) <= 3


def test_same_bits_on_any_number_of_threads_and_as_interpreted() -> None:
    results = []
    for threads, backend in ((1, "llvm"), (2, "llvm"), (3, "llvm"), (None, "reference")):
        f, variables = momentum(threads, backend)
        for _ in range(4):
            f(*gradients_of(f))
        results.append([variable.value for variable in variables])
    for other in results[1:3]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, two)
    for one, two in zip(results[0], results[3], strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-6, atol=1e-6)


def test_a_call_that_reads_what_another_replaces_is_not_launched_with_it() -> None:
    variables = [gc.variable(np.full(40 + n, float(n)), f"v{n}") for n in range(6)]
    pairs = [(v, 0.5 * v + 1.0) for v in variables]
    rolled = [gc.variable(np.full(50, float(n)), f"r{n}") for n in range(6)]
    pairs += [(v, 0.5 * rolled[n - 1] + 1.0) for n, v in enumerate(rolled)]
    f = gc.function([], updates=pairs)
    program = program_of(f)
    old_of = {new: old for old, new in program.updates}
    for calls in launches_in(program.steps, program).values():
        for one in calls:
            for other in calls:
                if one is not other:
                    assert not {old_of[a] for a in one.arguments if a in old_of} & set(
                        other.arguments
                    )
    before = [v.value for v in rolled]
    f()
    for n, variable in enumerate(rolled):
        np.testing.assert_allclose(variable.value, 0.5 * before[n - 1] + 1.0)
    for n, variable in enumerate(variables):
        np.testing.assert_allclose(variable.value, np.full(40 + n, 0.5 * n + 1.0))


def test_written_over_old_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphc.loops.updates_last.REWRITTEN", 0)
    f, variables = momentum(2)
    g, other = momentum(1)
    for _ in range(5):
        f(*gradients_of(f))
        g(*gradients_of(g))
    for one, two in zip(variables, other, strict=True):
        np.testing.assert_array_equal(one.value, two.value)


def test_large_arrays_and_few_calls_keep_kernels_of_their_own() -> None:
    sizes = [LARGEST + 1, LARGEST + 2, LARGEST + 3, 10, 20]
    variables = [gc.variable(np.zeros(n, "float32"), f"v{k}") for k, n in enumerate(sizes)]
    f = gc.function([], updates=[(v, v + 1.0) for v in variables])
    kernels = program_of(f).kernels
    assert len(kernels) == len(sizes)
    assert all(EXTENT not in kernel.sizes for kernel in kernels)


def test_repeated_and_profiled() -> None:
    f, variables = momentum()
    g, other = momentum()
    feeds = gradients_of(f)
    f.repeat(5, *feeds)
    for _ in range(5):
        g(*feeds)
    for one, two in zip(variables, other, strict=True):
        np.testing.assert_array_equal(one.value, two.value)
    assert "new_w0" in str(f.profile(*feeds, seconds=0.01))


@pytest.mark.parametrize("dtype", ["float64", "int32"])
def test_other_dtypes(dtype: str) -> None:
    variables = [gc.variable(np.arange(n, dtype=dtype), f"v{n}") for n in (3, 40, 500, 6000)]
    f = gc.function([], updates=[(v, v * 3 + 1) for v in variables])
    f()
    f()
    for variable in variables:
        start = np.arange(variable.value.size, dtype=dtype)
        np.testing.assert_array_equal(variable.value, 9 * start + 4)
