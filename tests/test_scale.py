"""Deep and wide graphs: linear work and no recursion, from building to running."""

import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.ir.traversal import path_to, topological_order
from tests.work import growth

ROOT = Path(__file__).parent.parent
THREE = np.arange(3, dtype="float32")


@pytest.fixture(autouse=True)
def low_recursion_limit() -> Iterator[None]:
    """200 frames on top of the test runner's own."""
    before, depth = sys.getrecursionlimit(), 0
    frame: Any = sys._getframe()
    while frame is not None:
        depth, frame = depth + 1, frame.f_back
    sys.setrecursionlimit(depth + 200)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def chain(length: int) -> tuple[gc.Tensor, gc.Tensor]:
    y = x = gc.placeholder("x", ("n",))
    for _ in range(length):
        y = y + 1.0
    return x, y


# --- building and walking -----------------------------------------------------------------------


@pytest.mark.parametrize("length", [20_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_building_and_walking_a_chain(length: int) -> None:
    x, y = chain(length)
    assert len(repr(y)) < 200
    order = topological_order([y])
    assert order[0] is x.node and order[-1] is y.node
    assert len(path_to(y, x)) == length + 1
    graph = gc.Graph((x,), (y,))
    assert len(graph.nodes) == len(order)
    del order, graph
    del x, y  # freeing it does not recurse either


@pytest.mark.parametrize("count", [10_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_building_and_walking_a_sum(count: int) -> None:
    inputs = [gc.placeholder(f"x{k}") for k in range(count)]
    for total in (sum(inputs), gc.add_n(inputs)):
        assert isinstance(total, gc.Tensor) and len(repr(total)) < 200
        leaves = [n for n in topological_order([total]) if n.op.name == "placeholder"]
        assert len(leaves) == count


# --- compiling and running ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("backend", "length"),
    [
        ("reference", 5_000),
        ("interpreter", 1_000),
        ("llvm", 2_000),
        ("numba_cpu", 200),
        pytest.param("reference", 100_000, marks=pytest.mark.slow),
        pytest.param("llvm", 100_000, marks=[pytest.mark.slow, pytest.mark.timeout(600)]),
    ],
)
def test_chains_run(backend: str, length: int) -> None:
    x, y = chain(length)
    f = gc.function([x], y, backend=backend)
    np.testing.assert_array_equal(f(THREE), THREE + length)
    assert len(repr(f)) < 200


def test_views_of_a_deep_function() -> None:
    x, y = chain(2_000)
    f = gc.function([x], y)
    for text in (f.graph_text("before"), f.graph_text(), f.kernels(), f.memory_plan(), f.loops()):
        assert text.count("\n") < 20_000
    assert "add" in f.rewrites() or f.rewrites() is not None


@pytest.mark.parametrize("summed", [sum, gc.add_n])
@pytest.mark.parametrize(
    ("backend", "count"),
    [
        ("reference", 5_000),
        ("llvm", 1_000),
        pytest.param("reference", 100_000, marks=pytest.mark.slow),
        pytest.param("llvm", 100_000, marks=[pytest.mark.slow, pytest.mark.timeout(900)]),
    ],
)
def test_wide_sums_run(backend: str, count: int, summed: Callable[..., Any]) -> None:
    inputs = [gc.placeholder(f"x{k}", (2,)) for k in range(count)]
    f = gc.function(inputs, summed(inputs), backend=backend)
    feeds = [np.array([k % 3, 1], "float32") for k in range(count)]
    np.testing.assert_array_equal(f(*feeds), np.sum(feeds, axis=0, dtype="float64"))


@pytest.mark.parametrize(
    ("backend", "length"),
    [
        ("reference", 1_000),
        ("llvm", 200),
        pytest.param("reference", 20_000, marks=pytest.mark.slow),
        pytest.param("llvm", 20_000, marks=[pytest.mark.slow, pytest.mark.timeout(900)]),
    ],
)
def test_gradients_of_long_chains(backend: str, length: int) -> None:
    x, v = gc.placeholder("x", ("n",)), gc.variable(np.float32(0.999), "v")
    y: Any = x
    for _ in range(length):
        y = gc.sin(y) * v
    f = gc.function([x], gc.grad(gc.sum(y), [x, v]), backend=backend)
    value, by_x, by_v = THREE.astype("float64"), np.ones(3), np.zeros(3)
    for _ in range(length):
        by_v = by_v * np.cos(value) * 0.999 + np.sin(value)
        by_x = by_x * np.cos(value) * 0.999
        value = np.sin(value) * 0.999
    found_x, found_v = f(THREE)
    np.testing.assert_allclose(found_x, by_x, rtol=1e-3, atol=1e-30)
    np.testing.assert_allclose(found_v, by_v.sum(), rtol=1e-3)


@pytest.mark.parametrize("backend", ["reference", "interpreter", "llvm", "numba_cpu"])
def test_sixty_doublings(backend: str) -> None:
    y = x = gc.placeholder("x", (), "float64")
    for _ in range(60):
        y = y + y
    f = gc.function([x], [y, gc.grad(y, x)], backend=backend)
    assert f(3) == [3 * 2.0**60, 2.0**60]
    assert len(f.stages.graph.nodes) < 200


@pytest.mark.parametrize("count", [500, pytest.param(5_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("backend", ["reference", "llvm"])
def test_joining_many_inputs(backend: str, count: int) -> None:
    inputs = [gc.placeholder(f"x{k}", (2,)) for k in range(count)]
    joined, stacked = gc.concat(inputs), gc.stack(inputs, axis=1)
    gradient = gc.grad(gc.sum(joined**2), inputs[-1])
    f = gc.function(inputs, [joined, stacked, gradient], backend=backend)
    feeds = [np.array([k, -k], "float32") for k in range(count)]
    found = f(*feeds)
    np.testing.assert_array_equal(found[0], np.concatenate(feeds))
    np.testing.assert_array_equal(found[1], np.stack(feeds, 1))
    np.testing.assert_array_equal(found[2], feeds[-1] * 2)


@pytest.mark.parametrize("count", [500, pytest.param(5_000, marks=pytest.mark.slow)])
def test_many_variables_and_outputs(count: int) -> None:
    variables = [gc.variable(np.full(2, k, "float32"), f"v{k}") for k in range(count)]
    x = gc.placeholder("x")
    f = gc.function([x], [v * x for v in variables], {v: v + x for v in variables})
    for call in range(2):
        found = f(2)
        assert [array[1] for array in found] == [2 * (k + 2 * call) for k in range(count)]
    assert variables[-1].value.tolist() == [count + 3] * 2


def test_a_failed_check_far_down_in_a_long_function() -> None:
    k, v = gc.placeholder("k", ("n",), "int64"), gc.variable(np.zeros(2, "float32"), "v")
    table = gc.constant(np.arange(8, dtype="float32"))
    chosen = k
    for _ in range(700):  # more steps than stand in one native function
        chosen = gc.astype(gc.take(table, chosen), "int64")
    shifted = chosen + k
    last = gc.take(table, shifted)
    f = gc.function([k], last, {v: v + gc.sum(last)})
    assert f([3, 1]).tolist() == [6, 2] and v.value.tolist() == [8, 8]
    with pytest.raises(gc.IndexOutOfRange, match="index 8 is out of range") as caught:
        f([3, 4])
    assert "last = gc.take(table, shifted)" in str(caught.value)
    with pytest.raises(gc.IndexOutOfRange, match="index 9 is out of range"):
        f([9])
    assert v.value.tolist() == [8, 8]


def test_a_true_limit_of_200_frames() -> None:
    program = """
        import sys
        import numpy as np
        import graphc as gc

        sys.setrecursionlimit(200)
        y = x = gc.placeholder("x", ("n", 2))
        w = gc.variable(np.eye(2, dtype="float32"), "w")
        for k in range(600):
            y = gc.tanh(y @ w) if k % 10 == 0 else y * 0.5 + x
        cost = gc.sum(y)
        train = gc.function([x], cost, {w: w - 0.1 * gc.grad(cost, w)}, check=True)
        same = gc.function([x], cost, backend="reference")
        feed = np.ones((3, 2), "float32")
        assert abs(same(feed) - train(feed)) < 1e-3
        for text in (train.graph_text("before"), train.graph_text(), train.kernels(), train.llvm()):
            assert text
        try:
            train()
        except gc.FeedError as error:
            assert "not fed" in str(error)
        print("done")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.stdout == "done\n", done.stderr[-3000:]


# --- linear work ----------------------------------------------------------------------------------


def layers(count: int) -> tuple[list[Any], Any]:
    y = x = gc.placeholder("x", ("n", 4))
    for _ in range(count):
        y = gc.tanh(y @ gc.variable(np.eye(4, dtype="float32")))
    return [x], y


def deep(count: int) -> tuple[list[Any], Any]:
    x, y = chain(count)
    return [x], y


def outputs(count: int) -> tuple[list[Any], Any]:
    x = gc.placeholder("x", ("n",))
    return [x], [x + k for k in range(count)]


def joined(count: int) -> tuple[list[Any], Any]:
    inputs = [gc.placeholder(f"x{k}", (2,)) for k in range(count)]
    return inputs, gc.concat(inputs)


def summed(count: int) -> tuple[list[Any], Any]:
    inputs = [gc.placeholder(f"x{k}", (2,)) for k in range(count)]
    return inputs, sum(inputs)


def stored(count: int) -> tuple[list[Any], Any]:
    y = x = gc.placeholder("x", (4, 6))
    for k in range(count):
        y = gc.reshape(y * 2, (6, 4) if k % 2 == 0 else (4, 6))
    return [x], y


def gradient(count: int) -> tuple[list[Any], Any]:
    y = x = gc.placeholder("x", ("n",))
    for _ in range(count):
        y = gc.tanh(y) * 0.9
    return [x], gc.grad(gc.sum(y), x)


@pytest.mark.parametrize("backend", ["reference", "llvm"])
@pytest.mark.parametrize("build", [deep, outputs, layers])
def test_compiling_is_linear(build: Callable[[int], Any], backend: str) -> None:
    def work(size: int) -> None:
        inputs, results = build(size)
        gc.function(inputs, results, backend=backend)

    assert growth(work, 100, 8) < 8 * 2


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("build", [deep, outputs, layers, joined, summed, stored, gradient])
def test_compiling_large_graphs_is_linear(build: Callable[[int], Any]) -> None:
    def work(size: int) -> None:
        inputs, results = build(size)
        gc.function(inputs, results)

    assert growth(work, 500, 8) < 8 * 1.5


@pytest.mark.parametrize("build", [outputs, layers])
def test_native_functions_have_a_limited_length(build: Callable[[int], Any]) -> None:
    """LLVM's work grows faster than the length of a function."""

    def lengths(count: int) -> list[int]:
        inputs, results = build(count)
        begins, calls, found = 0, False, []
        for number, line in enumerate(gc.function(inputs, results).llvm().splitlines()):
            if line.startswith("define"):
                begins, calls = number, "@steps(" in line  # compiled quickly, whatever its length
            elif line == "}" and not calls:
                found.append(number - begins)
        return found

    small, large = lengths(200), lengths(800)
    assert sum(large) < 4 * 1.2 * sum(small)
    assert max(large) < 1.5 * max(small)


def test_building_is_linear() -> None:
    assert growth(chain, 1_000, 10) < 10 * 1.2


def test_a_call_is_linear_in_inputs_and_variables() -> None:
    def calls(count: int) -> gc.Function:
        inputs = [gc.placeholder(f"x{k}") for k in range(count)]
        variables = [gc.variable(1.0) for _ in range(count)]
        updates = [(v, v + x) for v, x in zip(variables, inputs, strict=True)]
        return gc.function(inputs, updates=updates)

    compiled = {count: calls(count) for count in (50, 400)}

    def work(count: int) -> None:
        compiled[count](*[np.float32(1)] * count)

    work(400)
    assert growth(work, 50, 8) < 8 * 1.2
