"""Contractions, concatenations and scatters as steps."""

import numpy as np
import pytest

import graphc as gc
from graphc.loops.ir import Contraction, Program
from tests.loops.programs import (
    check_values,
    kernel_calls,
    kernel_lines,
    lines,
    program_of,
    step_lines,
)

RNG = np.random.default_rng(0)


def tensors(*shapes: tuple[int | str, ...]) -> list[gc.Tensor]:
    return [gc.placeholder(name, shape) for name, shape in zip("abcd", shapes, strict=False)]


def array(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype("float32")


def contraction(program: Program) -> Contraction:
    (found,) = [step for step in program.steps if isinstance(step, Contraction)]
    return found


# --- contraction ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shapes", "text"),
    [
        ([("n", 3), (3, 4)], "out[n, 4] = a[n, 3] @ b[3, 4]"),
        ([(3,), (3,)], "out[1, 1] = a[1, 3] @ b[3, 1]"),
        ([(3,), (3, 4)], "out[1, 4] = a[1, 3] @ b[3, 4]"),
        ([("n", 3), (3,)], "out[n, 1] = a[n, 3] @ b[3, 1]"),
        # Matrices one after the other are one tall matrix.
        ([(5, "n", 3), (3, 4)], "out[5*n, 4] = a[5*n, 3] @ b[3, 4]"),
        (
            [(5, "n", 3), (5, 3, 4)],
            "out[5, n, 4] = a[5, n, 3] @ b[5, 3, 4]  strides (4*n) (3*n) (12)",
        ),
        # A batch of one size 1 is the same matrix every time.
        (
            [(1, "n", 3), (5, 3, 4)],
            "out[5, n, 4] = a[5, n, 3] @ b[5, 3, 4]  strides (4*n) (0) (12)",
        ),
        (
            [(2, 1, "n", 3), (5, 3, 4)],
            "out[2, 5, n, 4] = a[2, 5, n, 3] @ b[2, 5, 3, 4]  strides (20*n, 4*n) (3*n, 0) (0, 12)",
        ),
    ],
)
def test_contractions(shapes: list[tuple[int | str, ...]], text: str) -> None:
    a, b = tensors(*shapes)
    assert step_lines(program_of([a, b], a @ b, optimize=False)) == [text]
    sizes = [tuple(2 if size == "n" else int(size) for size in shape) for shape in shapes]
    check_values([a, b], [a @ b], [array(*size) for size in sizes])


def test_transposed_operands_are_read_as_they_lie() -> None:
    a, b = tensors((3, "n"), (4, 3))
    assert step_lines(program_of([a, b], a.T @ b.T)) == ["out[n, 4] = a[3, n].T @ b[4, 3].T"]
    check_values([a, b], [a.T @ b.T], [array(3, 2), array(4, 3)])


def test_operands_are_computed_before_results_after() -> None:
    a, b = tensors(("n", 3), (3, 4))
    y = gc.tanh(gc.reshape(a * 2.0, (-1, 3)) @ gc.exp(b) + 1.0)
    program = program_of([a, b], y)
    kinds = [type(step).__name__ for step in program.steps]
    assert kinds == ["KernelCall", "KernelCall", "Contraction", "KernelCall"]
    assert contraction(program).comment == "t3 = t1 @ t2"
    check_values([a, b], [y], [array(2, 3), array(3, 4)])


# --- concatenation -------------------------------------------------------------------------------


def test_inputs_of_one_shape_share_a_kernel() -> None:
    a, b, c = tensors(("n", 2), ("n", 2), ("n", 3))
    program = program_of([a, b, c], gc.concat([a, b, c, a], axis=1))
    assert step_lines(program) == [
        "out = k0(a, n, offset=0)",
        "out = k0(b, n, offset=2)",
        "out = k1(c, n, offset=4)",
        "out = k0(a, n, offset=7)",
    ]
    assert kernel_lines(program.kernels[0]) == [
        "  a: f32[n, 2], out: f32[n, 9] written",
        "  for i in n parallel:",
        "    for j in 2 vector:",
        "      out[i, j + offset] = a[i, j]",
    ]


def test_offsets_may_be_symbolic() -> None:
    a, b = tensors(("n", 2), ("m", 2))
    y = gc.concat([a, gc.sin(b), a], axis=0)
    calls = kernel_calls(program_of([a, b], y))
    offsets = [
        str(dict(zip(call.kernel.sizes, call.sizes, strict=True))["offset"]) for call in calls
    ]
    assert sorted(offsets) == ["0", "m + n", "n"]
    check_values([a, b], [y], [array(3, 2), array(0, 2)])


def test_empty_pieces_write_nothing() -> None:
    a, b = tensors((0, 2), ("n", 2))
    assert len(program_of([a, b], gc.concat([a, b, a], axis=0)).steps) == 1
    check_values([a, b], [gc.concat([a, b, a], axis=0)], [array(0, 2), array(3, 2)])
    check_values([a], [gc.concat([a, a], axis=0)], [array(0, 2)])


def test_row_values_and_sums_are_pieces_too() -> None:
    a, b = tensors(("n", 4), ("n",))
    total = gc.sum(a * a, axis=1)
    y = gc.stack([total, gc.sqrt(total), b], axis=1)
    check_values([a, b], [y], [array(3, 4), array(3)])
    check_values([a, b], [gc.concat([gc.sum(a, axis=1), b * 2.0], axis=0)], [array(3, 4), array(3)])


def test_a_piece_of_another_shape_is_copied() -> None:
    (a,) = tensors(("n", 4))
    e = gc.reshape(gc.exp(a), (-1, 2))
    y = gc.concat([e, e * 2.0], axis=0)
    check_values([a], [y], [array(3, 4)])


def test_two_pieces_of_one_kernel() -> None:
    (a,) = tensors(("n", 4))
    y = gc.concat([gc.sin(a), gc.cos(a)], axis=1)
    program = program_of([a], y)
    assert lines("\n".join(step_lines(program))) == ["out = k0(a, n, offset=0, offset_2=4)"]
    check_values([a], [y], [array(3, 4)])


# --- scatter -------------------------------------------------------------------------------------


def test_gradients_of_take_add_up_in_order() -> None:
    a = gc.placeholder("a", ("n", 3))
    first = gc.placeholder("first", ("m",), "int64")
    second = gc.placeholder("second", (2, 2), "int64")
    inputs = [a, first, second]
    cost = gc.sum(gc.exp(gc.take(a, first, axis=0))) + gc.sum(gc.take(a, second, axis=1) ** 2)
    gradient = gc.grad(cost, a)
    names = [kernel.name for kernel in program_of(inputs, gradient).kernels]
    assert len(set(names)) == len(names)
    arrays = [array(4, 3), np.array([0, 0, -1, 3]), np.array([[0, 1], [1, -1]])]
    check_values(inputs, [gradient], arrays)


def test_numbers_that_are_scattered_are_not_stored() -> None:
    """A number at every index is written in the kernel, broadcast or not."""
    a, i = gc.placeholder("a", ("n",)), gc.placeholder("i", ("m",), "int64")
    ones = gc.broadcast_to(gc.constant(1, "int64"), i.shape)
    outputs = [gc.scatter_add(i, ones, 0, 5), a.at[i].add(2.0), gc.zeros((7,)).at[i].set(3.0)]
    for output in outputs:
        program = program_of([a, i], output)
        (kernel,) = program.kernels
        assert not any(parameter.name == "values" for parameter in kernel.parameters)
    check_values([a, i], outputs, [array(5), np.array([0, 4, 0, -1])])
    check_values([a, i], outputs, [array(3), np.zeros(0, "int64")])
