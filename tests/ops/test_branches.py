"""Branches: what cond and switch compute on every backend, that only one runs, and their errors."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.errors import FunctionError, IndexOutOfRange
from graphc.ir.printer import format_graph
from graphc.ir.tensor import Tensor
from graphc.loops.ir import Branch, Loop, flat_steps

BACKENDS = ("reference", "interpreter", "llvm", "numba_cpu")
each_backend = pytest.mark.parametrize("backend", BACKENDS)


def scalar(name: str = "x") -> Tensor:
    return gc.placeholder(name, (), "float64")


@each_backend
def test_the_branch_that_the_predicate_selects(backend: str) -> None:
    x = gc.placeholder("x", ("n",), "float64")
    total = gc.sum(x)
    y = gc.cond(
        total > 0,
        lambda a: {"a": a * 2, "b": (x, None)},
        lambda a: {"b": (-x, None), "a": a},
        total,
    )
    f = gc.function([x], {"a": y["a"], "b": y["b"][0]}, backend=backend)
    for values in (np.array([1.0, 2]), np.array([-1.0]), np.zeros(0)):
        found, total_ = f(values), values.sum()
        assert found["a"] == (total_ * 2 if total_ > 0 else total_)
        np.testing.assert_array_equal(found["b"], values if total_ > 0 else -values)


@each_backend
def test_an_index_is_moved_into_range(backend: str) -> None:
    x, k = scalar(), gc.placeholder("k", (), "int32")
    f = gc.function([x, k], gc.switch(k, [gc.sin, gc.cos, gc.exp], x), backend=backend)
    for index, expected in ((-3, np.sin), (0, np.sin), (1, np.cos), (2, np.exp), (9, np.exp)):
        np.testing.assert_allclose(f(0.5, index), expected(0.5), rtol=1e-14)
    one = gc.function([x, k], gc.switch(k, [gc.sin], x), backend=backend)
    np.testing.assert_allclose(one(0.5, 4), np.sin(0.5))


@each_backend
@pytest.mark.parametrize("optimize", [True, False])
def test_only_the_branch_taken_runs(backend: str, optimize: bool) -> None:
    """An index that is out of range in the other branch does no harm, and changes nothing."""
    table = gc.variable(np.arange(3.0), "table")
    k = gc.placeholder("k", (), "int64")
    y = gc.cond(k < 3, lambda: gc.take(table, k), lambda: -1.0)
    f = gc.function(
        [k], y, updates={table: table + y}, backend=backend, optimize=optimize, check=True
    )
    assert (f(2), f(7)) == (2, -1)
    np.testing.assert_array_equal(table.value, [1, 2, 3])
    with pytest.raises(IndexOutOfRange, match="-4 is out of range") as caught:
        f(-4)
    assert "test_branches.py" in str(caught.value)
    np.testing.assert_array_equal(table.value, [1, 2, 3])


def test_what_one_branch_alone_needs_moves_into_it() -> None:
    x = gc.placeholder("x", ("n", "n"))
    heavy, shared = x @ x, gc.sum(x)
    y = gc.cond(shared > 0, lambda: gc.sum(heavy), lambda: shared)
    f = gc.function([x], y)
    assert f.stages.program is not None
    (branch,) = [step for step in f.stages.program.steps if isinstance(step, Branch)]
    assert len(list(flat_steps(branch.bodies[0]))) == 1
    assert any(type(step).__name__ == "Contraction" for step in branch.bodies[1])
    assert not any(type(step).__name__ == "Contraction" for step in f.stages.program.steps)
    kept = gc.function([x], [y, heavy]).stages.program
    assert kept is not None
    assert any(type(step).__name__ == "Contraction" for step in kept.steps)


def test_a_known_predicate_leaves_one_branch() -> None:
    x = scalar()
    f = gc.function([x], gc.cond(True, lambda: x * 2, lambda: gc.sin(x)))
    assert "cond" not in f.graph_text()
    assert f(3.0) == 6


@each_backend
def test_branches_in_branches_in_loops(backend: str) -> None:
    x = gc.placeholder("x", ("t",), "float64")

    def step(carry: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
        def inner() -> Any:
            return gc.scan(lambda c, _: (c * 0.5 + e, None), carry, None, length=3)[0]

        carry = gc.cond(
            e > 0, lambda: gc.cond(e > 1, inner, lambda: carry + e), lambda: carry - gc.sum(x)
        )
        return carry, carry * 2

    final, stacked = gc.scan(step, 0.0, x)
    gradient = gc.grad(final + gc.sum(stacked), x)
    f = gc.function([x], [final, stacked], backend=backend)
    values = np.array([0.5, 2.0, -1.0, 1.5, -0.1, 0.3])

    def plain(values: np.ndarray) -> tuple[float, list[float]]:
        carry, rows = 0.0, []
        for e in values:
            if e > 1:
                for _ in range(3):
                    carry = carry * 0.5 + e
            else:
                carry = carry + e if e > 0 else carry - values.sum()
            rows.append(carry * 2)
        return carry, rows

    for one in (values, values[:0], values[2:3]):
        found = f(one)
        expected = plain(one)
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-13)
        np.testing.assert_allclose(found[1], expected[1], rtol=1e-13)
    slope = gc.function([x], gradient, backend=backend)(values)
    for k in range(len(values)):
        moved = [values.copy(), values.copy()]
        moved[0][k] += 1e-6
        moved[1][k] -= 1e-6
        totals = [final + sum(rows) for final, rows in map(plain, moved)]
        np.testing.assert_allclose(slope[k], (totals[0] - totals[1]) / 2e-6, rtol=1e-5, atol=1e-8)


def both_sides(x: Tensor) -> Tensor:
    found: Tensor = gc.cond(
        gc.sum(x) > 0, lambda: gc.sum(gc.exp(x) * x), lambda: gc.prod(x) + gc.sum(x[1:] ** 3)
    )
    return found


@pytest.mark.parametrize("backend", ["reference", "llvm", "numba_cpu"])
@pytest.mark.parametrize("sign", [1, -1])
def test_derivatives(backend: str, sign: int) -> None:
    values = sign * np.array([0.5, 1.5, 0.7])
    gc.verify_grad(both_sides, [values], backend=backend)
    x = gc.placeholder("x", (3,), "float64")
    y = both_sides(x)
    direction = np.array([1.0, -2.0, 0.5])
    tangent = gc.jvp(y, x, direction)
    second = gc.grad(gc.sum(gc.grad(y, x) * direction), x)
    f = gc.function([x], [gc.grad(y, x), tangent, second], backend=backend)
    slope, moved, curved = f(values)
    np.testing.assert_allclose(moved, slope @ direction, rtol=1e-12)
    above, below = f(values + 1e-5 * direction)[0], f(values - 1e-5 * direction)[0]
    np.testing.assert_allclose(curved, (above - below) / 2e-5, rtol=1e-6)


@each_backend
def test_the_branch_not_taken_gives_no_nan(backend: str) -> None:
    """Neither from inside, nor through what was computed before."""
    x = scalar()
    before = gc.sqrt(x) + gc.log(x)
    y = gc.cond(x > 0, lambda: before * gc.log(x), lambda: x * 3)
    slope = gc.grad(y, x)
    f = gc.function([x], [y, slope, gc.grad(slope, x), gc.jvp(y, x, 1.0)], backend=backend)
    assert f(0.0) == [0, 3, 0, 3]
    assert f(-1.0) == [-3, 3, 0, 3]
    k = gc.placeholder("k", (), "int64")
    z = gc.switch(k, [lambda: before, lambda: x, lambda: x * before])
    assert gc.function([x, k], gc.grad(z, x), backend=backend)(0.0, 1) == 1


@each_backend
def test_types_unify(backend: str) -> None:
    n, x = gc.placeholder("n", (), "int32"), gc.placeholder("x", (), "float32")
    y = gc.cond(n > 0, lambda: (n, 1, x, True), lambda: (x, n, 0.5, False))
    assert [t.dtype.name for t in y] == ["float32", "int32", "float32", "bool"]
    f = gc.function([n, x], list(y), backend=backend)
    assert f(2, 0.25) == [2, 1, 0.25, True]
    assert f(-2, 0.25) == [0.25, -2, 0.5, False]
    wide = gc.cond(n > 0, lambda: x, lambda: x.astype("float64"))
    assert wide.dtype.name == "float64"


def test_the_text_reads_back() -> None:
    x = scalar()
    y = gc.cond(x > 0, lambda: gc.cond(x > 1, lambda: x, lambda: x * x), lambda: gc.sin(x))
    graph = gc.Graph((x,), (y,))
    text = format_graph(graph)
    assert format_graph(gc.parse_graph(text)) == text
    assert "branch" in gc.function([x], y).kernels()


def test_results_of_branches_are_whole_outputs_and_updates() -> None:
    """The same tensor twice, an input as it is, a view, an update."""
    v = gc.variable(np.arange(6.0), "v")
    p = gc.placeholder("p", (), "bool")
    a, b, c = gc.cond(
        p, lambda: (v, v, gc.reshape(v, (2, 3))), lambda: (v * 2, v + 1, gc.reshape(v, (2, 3)) + 1)
    )
    f = gc.function([p], [a, b, c], updates={v: b}, check=True)
    start = np.arange(6.0)
    for one, expected in zip(f(True), (start, start, start.reshape(2, 3)), strict=True):
        np.testing.assert_array_equal(one, expected)
    np.testing.assert_array_equal(f(False)[0], start * 2)
    np.testing.assert_array_equal(v.value, start + 1)


# --- errors ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "code", "words"),
    [
        (lambda x: gc.cond(x > 0, lambda: x, lambda: x), "E122", "bool[n]"),
        (lambda x: gc.cond(gc.sum(x), lambda: x, lambda: x), "E122", "float32[]"),
        (lambda x: gc.switch(gc.sum(x), [lambda: x]), "E122", "float32[]"),
        (lambda x: gc.switch(0, []), "E122", "no branch"),
        (lambda x: gc.cond(True, lambda: x, lambda: (x, x)), "E123", "(*, *)"),
        (lambda x: gc.cond(True, lambda: x, lambda: gc.sum(x)), "E123", "float32[n]"),
        (lambda x: gc.cond(True, lambda: x[:3], lambda: x[:2]), "E123", "test_branches.py"),
    ],
)
def test_errors_name_types_and_lines(build: Callable[[Tensor], Any], code: str, words: str) -> None:
    x = gc.placeholder("x", ("n",))
    with pytest.raises(FunctionError) as caught:
        build(gc.placeholder("x", (5,)) if "float32[n]" not in words and code == "E123" else x)
    assert code in str(caught.value)
    assert words in str(caught.value)
    assert "test_branches.py" in str(caught.value)


def test_sizes_of_results_are_compared_at_the_call() -> None:
    x, y = gc.placeholder("x", ("n",)), gc.placeholder("y", ("m",))
    f = gc.function([x, y], gc.cond(gc.sum(x) > 0, lambda: x, lambda: y))
    np.testing.assert_array_equal(f([1, 2], [3, 4]), [1, 2])
    with pytest.raises(gc.FeedError, match="result 0"):
        f([1, 2], [3, 4, 5])


def test_loops_in_a_branch_are_steps_of_it() -> None:
    x = gc.placeholder("x", ("t",))
    y = gc.cond(x[0] > 0, lambda: gc.scan(lambda c, e: (c * e, None), 1.0, x)[0], lambda: 0.0)
    program = gc.function([x], y).stages.program
    assert program is not None
    (branch,) = [step for step in program.steps if isinstance(step, Branch)]
    assert any(isinstance(step, Loop) for step in branch.bodies[1])
