"""Whole programs: buffers, results, checks, names, loops."""

import numpy as np
import pytest

import graphc as gc
from graphc.loops.ir import IndexCheck, Program
from tests.loops.programs import (
    check_values,
    compiled,
    kernel_calls,
    program_of,
    step_lines,
    summary_lines,
)

RNG = np.random.default_rng(0)


def roles(program: Program) -> dict[str, str]:
    return {name: buffer.role for name, buffer in program.buffers.items()}


def test_a_layer() -> None:
    x = gc.placeholder("x", ("n", 3))
    w, b = gc.variable(np.ones((3, 4), "float32"), name="W"), gc.variable(np.zeros(4), name="b")
    program = program_of([x], {"h": gc.tanh(x @ w + gc.astype(b, "float32"))})
    assert summary_lines(program) == [
        "  0  matmul   t1 = x @ W  n x 3 x 4  t1: f32[n, 4]",
        "  1  k0       h = tanh(t1 + float32(b))  h: f32[n, 4]",
    ]
    assert roles(program) == {
        "x": "input",
        "W": "variable",
        "b": "variable",
        "h": "output",
        "t1": "temporary",
    }


def test_results_have_memory_of_their_own() -> None:
    x = gc.placeholder("x", ("n", 4))
    v = gc.variable(np.arange(4.0), name="v")
    y = gc.exp(x)
    outputs = [x, y, y, gc.reshape(y, (-1,)), v, gc.constant(np.arange(3)), y]
    program = program_of([x], outputs, {v: v})
    results = [*program.outputs, *(name for _, name in program.updates)]
    assert len(set(results)) == 8
    assert all(program.buffers[name].role in ("output", "update") for name in results)
    f = compiled([x], outputs, {v: v + 1.0})
    fed = RNG.normal(size=(2, 4)).astype("float32")
    found = f(fed)
    np.testing.assert_allclose(found[2], np.exp(fed), rtol=1e-6)
    np.testing.assert_array_equal(found[4], np.arange(4.0))
    np.testing.assert_array_equal(v.value, np.arange(4.0) + 1)


def test_updates_read_old_values() -> None:
    a = gc.variable(np.array([1.0, 2.0]), name="a")
    b = gc.variable(np.array([3.0, 4.0]), name="b")
    program = program_of([], [], {a: b, b: a})
    assert program.updates == (("a", "new_a"), ("b", "new_b"))
    compiled([], [], {a: b, b: a})()
    np.testing.assert_array_equal(a.value, [3.0, 4.0])
    np.testing.assert_array_equal(b.value, [1.0, 2.0])


def test_single_numbers_are_written_into_kernels_arrays_are_buffers() -> None:
    x = gc.placeholder("x", (3,))
    program = program_of([x], x * np.array([1, 2, 3], "float32") + np.full(3, 7, "float32"))
    assert [value.tolist() for value in program.constants.values()] == [[1.0, 2.0, 3.0]]


def test_a_uniform_constant_that_a_step_reads_is_in_memory() -> None:
    x = gc.placeholder("x", ("n", 3))
    y = x @ np.ones((3, 2), "float32")
    assert len(program_of([x], y, optimize=False).constants) == 1
    check_values([x], [y], [RNG.normal(size=(2, 3)).astype("float32")])


def test_names_come_from_the_user_then_from_the_printed_graph() -> None:
    x = gc.placeholder("x", ("n", 3))
    hidden = gc.tanh(x @ np.eye(3, dtype="float32"))
    hidden.name = "hidden"
    y = hidden @ np.ones((3, 3), "float32")
    f = compiled([x], gc.exp(y) + gc.sum(hidden))
    program = f.stages.program
    assert program is not None
    assert "hidden" in program.buffers
    printed = f.graph_text()
    for name, buffer in program.buffers.items():
        if buffer.role in ("temporary", "constant"):
            assert f" {name}" in printed


def test_names_that_mean_something_else() -> None:
    names = ["n", "i", "t1", "out", "k0", "v0", "acc_out", "offset", "row_t1", "exp"]
    inputs = [gc.placeholder(name, ("n", 3)) for name in names]
    total = gc.add_n(inputs)
    outputs = [gc.softmax(total), gc.concat([gc.exp(t) for t in inputs], axis=1)]
    check_values(inputs, outputs, [RNG.normal(size=(2, 3)).astype("float32") for _ in names])


def test_many_outputs_of_one_name() -> None:
    x = gc.placeholder("x", (2,))
    program = program_of([x], [x + float(number) for number in range(5)])
    assert program.outputs == ("out", "out_2", "out_3", "out_4", "out_5")


def test_equal_calls_share_a_kernel_and_keep_their_equations() -> None:
    x, y = gc.placeholder("x", ("n", 3)), gc.placeholder("y", ("n", 3))
    weights = np.eye(3, dtype="float32")
    program = program_of([x, y], [gc.tanh(x @ weights), gc.tanh(y @ weights)])
    calls = kernel_calls(program)
    assert calls[0].kernel is calls[1].kernel
    assert [call.comment for call in calls] == ["out = tanh(t1)", "out_2 = tanh(t3)"]


def test_indices_are_checked_once_and_first() -> None:
    x, i = gc.placeholder("x", ("n", 3)), gc.placeholder("i", ("m",), "int64")
    y = gc.take(gc.exp(x), i, axis=0) + gc.take(gc.sin(x), i, axis=0)
    program = program_of([x, i], y)
    checks = [step for step in program.steps if isinstance(step, IndexCheck)]
    assert len(checks) == 1 and program.steps[0] is checks[0]


@pytest.mark.parametrize(("size", "checks"), [(3, 0), ("n", 1)])
def test_constant_indices_are_checked_once_for_all(size: int | str, checks: int) -> None:
    x = gc.placeholder("x", (size,))
    program = program_of([x], x[gc.constant([2, 0, -1])])
    assert sum(isinstance(step, IndexCheck) for step in program.steps) == checks


def test_loops_share_kernels_and_names_with_what_is_around() -> None:
    x, w = gc.placeholder("x", ("t", 4)), gc.placeholder("w", (4, 4))
    final, _ = gc.scan(lambda h, row: (gc.tanh(h @ w + row), None), gc.zeros((4,)), x)
    f = compiled([x, w], [final, gc.tanh(x @ w + x)])
    program = f.stages.program
    assert program is not None
    names = [kernel.name for kernel in program.kernels]
    assert len(set(names)) == len(names)
    assert any(row.startswith("for t in") for row in step_lines(program))


def test_a_view_of_an_axis_of_size_one_is_free() -> None:
    x = gc.placeholder("x", ("n", 4))
    y = gc.expand_dims(x, 1) @ RNG.normal(size=(4, 2)).astype("float32")
    assert len(program_of([x], gc.squeeze(y, 1)).steps) == 1
    check_values([x], [gc.squeeze(y, 1)], [RNG.normal(size=(3, 4)).astype("float32")])
