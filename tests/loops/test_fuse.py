"""Which values are computed together."""

import numpy as np
import pytest

import graphc as gc
from graphc.ir.tensor import Tensor
from tests.loops.programs import body_of, check_values, kernel_calls, program_of, step_lines

RNG = np.random.default_rng(0)


def matrix(name: str = "x", dtype: str = "float32") -> Tensor:
    return gc.placeholder(name, ("n", 10), dtype)


def array(*shape: int, dtype: str = "float32") -> np.ndarray:
    return RNG.normal(size=shape).astype(dtype)


# --- elementwise ---------------------------------------------------------------------------------


def test_elementwise_chain_with_broadcasting_and_views_is_one_kernel() -> None:
    x, b, column = matrix(), gc.placeholder("b", (10,)), gc.placeholder("column", ("n", 1))
    y = gc.tanh(x * 2.0 + b) / (column + 1.0)
    y = gc.exp(y[:, ::-1]) + gc.sin(x).T[::-1].T
    assert len(program_of([x, b, column], y).steps) == 1
    check_values([x, b, column], [y], [array(3, 10), array(10), array(3, 1)])


def test_views_fold_into_index_expressions() -> None:
    x, w = matrix(), matrix("w")
    assert body_of([x, w], gc.flip(x, axis=1)[:, ::2] + w.T[::2].T) == [
        "  for i in n parallel:",
        "    for j in 5 vector:",
        "      out[i, j] = x[i, 9 - 2*j] + w[i, 2*j]",
    ]


def test_an_elementwise_chain_runs_through_reshapes() -> None:
    x, w = matrix(), gc.placeholder("w", (5,))
    y = gc.exp(gc.reshape(gc.exp(x), (-1,))) * 2.0
    assert body_of([x], gc.reshape(y, (-1, 5))) == [
        "  for i in 10*n vector:",
        "    out[i] = exp(exp(x[i]))*2.0",
    ]
    z = gc.reshape(gc.exp(x), (-1, 5)) * w  # w broadcasts: the kernel takes the new shape
    assert body_of([x, w], z) == [
        "  for i in 2*n parallel:",
        "    for j in 5 vector:",
        "      out[i, j] = exp(x[i, j])*w[j]",
    ]
    total = gc.sum(gc.reshape(gc.exp(x), (-1, 2, 5)), axis=1)
    assert len(program_of([x], total).steps) == 1
    both = [gc.sin(gc.exp(x) + w[0]), gc.reshape(gc.exp(x), (-1, 5)) * w, total]
    check_values([x, w], [y, z, *both], [array(3, 10), array(5)])


def test_a_reshape_of_broadcast_values_is_read_from_memory() -> None:
    x, w = matrix(), gc.placeholder("w", (5,))
    y = gc.reshape(x + x[:, :1], (-1, 5)) * w
    assert len(program_of([x, w], y).steps) == 2
    check_values([x, w], [y], [array(3, 10), array(5)])


def test_a_reshape_between_buffers_is_free() -> None:
    x, w = matrix(), gc.placeholder("w", (5, 3))
    program = program_of([x, w], gc.reshape(x, (-1, 5)) @ w)
    assert step_lines(program) == ["out[2*n, 3] = x[2*n, 5] @ w[5, 3]"]


def test_sixty_doublings_are_sixty_additions() -> None:
    x = gc.placeholder("x", ("n",), "int64")
    y = x
    for _ in range(60):
        y = y + y
    body = body_of([x], y)
    assert sum(row.count(" + ") for row in body) == 60
    check_values([x], [y], [np.arange(3)])


def test_an_expensive_value_with_two_readers_is_computed_once() -> None:
    x = matrix()
    y = x
    for _ in range(8):
        y = gc.exp(y * 0.1) + gc.sin(y)
    body = "\n".join(body_of([x], y))
    assert body.count("exp(") == 8 and body.count("sin(") == 8
    # Readers that cannot share a kernel share the memory.
    e = gc.exp(x)
    program = program_of([x], [gc.sum(e, axis=0), gc.sum(e, axis=1)])
    text = "\n".join("\n".join(map(str, kernel.body)) for kernel in program.kernels)
    assert text.count("'exp'") == 1


def test_independent_values_that_read_the_same_share_a_kernel() -> None:
    x = matrix()
    program = program_of([x], [gc.exp(x), gc.sin(x), gc.tanh(x + 1.0)])
    assert len(program.steps) == 1


def test_values_wait_for_a_step_that_does_not_read_them() -> None:
    x, w = matrix(), matrix("w")
    y = gc.exp(x) * gc.tanh(gc.sort(w, axis=1))
    assert len(program_of([x, w], y).steps) == 2, "sort, and the rest"
    e = gc.exp(x)
    read = e * gc.tanh(gc.sort(e, axis=1))
    assert len(program_of([x], read).steps) == 3, "the step between reads them"
    total = gc.sum(e, axis=1)
    check_values([x, w], [y, read, gc.sin(total) + gc.sort(total)], [array(3, 10), array(3, 10)])


def test_gradients_of_a_stencil_of_unknown_size_are_summed_where_they_lie() -> None:
    u = gc.placeholder("u", ("n", "m"))
    inner = u[1:-1, 1:-1]
    v = inner + 0.1 * (u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2] - 4 * inner)
    gradient = gc.grad(gc.sum(v * v), u)
    program = program_of([u], gradient)
    whole = [one for one in program.buffers.values() if one.shape == u.shape]
    assert [one.role for one in whole] == ["input", "output"]
    for shape in ((0, 5), (1, 1), (2, 7), (3, 3), (17, 31)):
        check_values([u], [gradient], [array(*shape)])


def test_axes_of_size_one() -> None:
    x, one = gc.placeholder("x", (1, "n", 1, 4)), gc.placeholder("one", (1, 1))
    y = gc.squeeze(gc.exp(x), (0, 2)) + one
    z = gc.expand_dims(gc.sum(gc.exp(x), axis=(0, 2, 3), keepdims=True), 0)
    assert len(program_of([x, one], y).steps) == 1
    assert len(program_of([x], [gc.exp(x), z]).steps) == 1
    check_values([x, one], [y, z], [array(1, 3, 1, 4), array(1, 1)])


def test_single_numbers_are_computed_once_before_the_loops() -> None:
    x, s = matrix(), gc.placeholder("s", ())
    assert body_of([s, x], gc.exp(s) * x) == [
        "  t1 = exp(s[])",
        "  for i in 10*n vector:",
        "    out[i] = t1*x[i]",
    ]
    assert body_of([s], gc.exp(s) * 2.0 + 1.0) == ["  out[] = exp(s[])*2.0 + 1.0"]


def test_a_long_chain_is_cut_into_equal_kernels() -> None:
    """After 128 values, and earlier where they are costly."""
    costly = cheap = x = gc.placeholder("x", ("n",))
    for _ in range(1000):
        costly = gc.sin(costly)
        cheap = gc.maximum(0.5 - cheap, cheap * 0.9) * cheap
    for y, kernels in ((costly, 32), (cheap, 16)):  # two values each
        program = program_of([x], y)
        assert len(program.steps) == kernels
        assert len({call.kernel.name for call in kernel_calls(program)}) <= 3
    y = x
    for _ in range(50):
        y = gc.sin(y)
    check_values([x], [y], [array(9)])


# --- reductions ----------------------------------------------------------------------------------


def rows(x: Tensor) -> dict[str, Tensor]:
    mean = gc.mean(x, axis=1, keepdims=True)
    variance = gc.mean((x - mean) ** 2, axis=1, keepdims=True)
    return {
        "sum of exp": gc.sum(gc.exp(x * 2.0), axis=1),
        "softmax": gc.softmax(x),
        "log_softmax": gc.nn.log_softmax(x),
        "logsumexp": gc.logsumexp(x, axis=1),
        "normalised": (x - mean) / gc.sqrt(variance + 1e-5),
        "var": gc.var(x, axis=1),
        "argmax of products": gc.argmax(x * x, axis=1),
        "distance to the largest": x - gc.max(x, axis=1, keepdims=True),
    }


@pytest.mark.parametrize("name", rows(matrix()))
def test_row_operations_are_one_kernel(name: str) -> None:
    x = matrix()
    y = rows(x)[name]
    assert len(program_of([x], y).steps) == 1
    check_values([x], [y], [array(3, 10)])


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp", "normalised", "var"])
def test_gradients_of_row_operations_are_one_kernel(name: str) -> None:
    x, w = matrix(), matrix("w")
    y = rows(x)[name]
    weight = w if y.ndim == 2 else w[:, 0]
    gradient = gc.grad(gc.sum(y * weight), x)
    assert len(program_of([x, w], gradient).steps) == 1
    check_values([x, w], [y, gradient], [array(3, 10), array(3, 10)])


def test_layer_norm_with_scale_and_shift() -> None:
    x, w, g, b = matrix(), matrix("w"), gc.placeholder("g", (10,)), gc.placeholder("b", (10,))
    y = rows(x)["normalised"] * g + b
    assert len(program_of([x, g, b], y).steps) == 1
    gradients = list(gc.grad(gc.sum(y * w), [x, g, b]))
    assert len(program_of([x, w, g, b], gradients).steps) == 1  # see test_columns.py
    check_values([x, w, g, b], [y, *gradients], [array(3, 10), array(3, 10), array(10), array(10)])


def test_batch_norm_over_two_axes() -> None:
    z = gc.placeholder("z", ("n", 5, 7))
    centred = z - gc.mean(z, axis=(0, 2), keepdims=True)
    y = centred / gc.sqrt(gc.mean(centred**2, axis=(0, 2), keepdims=True) + 1e-5)
    assert len(program_of([z], y).steps) == 1
    check_values([z], [y], [array(2, 5, 7)])


def test_independent_reductions_share_a_pass() -> None:
    x = matrix()
    outputs = [gc.max(x, axis=1), gc.min(x, axis=1), gc.sum(x, axis=1)]
    assert body_of([x], outputs) == [
        "  for i in n parallel:",
        "    acc_out: f32 = -inf (maximum)",
        "    acc_out_2: f32 = inf (minimum)",
        "    acc_out_3: f32 = 0.0 (add)",
        "    for j in 10 vector:",
        "      v0 = x[i, j]",
        "      acc_out max= v0",
        "      acc_out_2 min= v0",
        "      acc_out_3 += v0",
        "    out[i] = acc_out",
        "    out_2[i] = acc_out_2",
        "    out_3[i] = acc_out_3",
    ]
    assert len(program_of([x], [gc.mean(x, axis=1), gc.var(x, axis=1)]).steps) == 1


def test_reductions_of_two_inputs_meet_where_both_are_read() -> None:
    x, w = matrix(), matrix("w")
    y = gc.exp(x) * gc.sum(w, axis=1, keepdims=True) + gc.sum(gc.exp(x), axis=1, keepdims=True)
    assert len(program_of([x, w], y).steps) == 1
    check_values([x, w], [y], [array(3, 10), array(3, 10)])


def test_reductions_over_axes_in_between_take_another_pass() -> None:
    x = gc.placeholder("x", ("a", "b", "c"))
    assert len(program_of([x], [gc.sum(x, axis=1), gc.sum(x, axis=2)]).steps) == 2
    assert len(program_of([x], [gc.sum(x, axis=(0, 1)), gc.sum(x, axis=2)]).steps) == 1


@pytest.mark.parametrize("axis", [0, 1, 2, (0, 1), (0, 2), (1, 2), None])
def test_sums_over_any_axes(axis: int | tuple[int, ...] | None) -> None:
    z = gc.placeholder("z", ("n", 3, 4), "float64")
    outputs = [gc.sum(gc.exp(z), axis=axis), gc.max(z, axis=axis, keepdims=True)]
    assert len(program_of([z], outputs).steps) == 1
    check_values([z], outputs, [array(2, 3, 4, dtype="float64")])


def test_column_reductions_run_with_a_lane_per_column() -> None:
    x = matrix()
    assert body_of([x], gc.sum(gc.exp(x), axis=0)) == [
        "  for j in 10 vector:",
        "    acc_out: f32 = 0.0 (add)",
        "    for i in n serial:",
        "      acc_out += exp(x[i, j])",
        "    out[j] = acc_out",
    ]


def test_what_follows_a_full_reduction_joins_it() -> None:
    x = matrix()
    assert body_of([x], gc.sqrt(gc.sum(x * x))) == [
        "  t2: f32 = 0.0 (add)",
        "  for i in 10*n vector:",
        "    v0 = x[i]",
        "    t2 += v0*v0",
        "  out[] = sqrt(t2)",
    ]


# --- equal kernels -------------------------------------------------------------------------------


def perceptron(layers: int) -> tuple[list[Tensor], Tensor, list[gc.Variable]]:
    x, target = gc.placeholder("x", ("n", 8)), gc.placeholder("target", ("n",), "int64")
    h, parameters = x, []
    for layer in range(layers):
        w = gc.variable(array(8, 8), name=f"W{layer}")
        b = gc.variable(array(8), name=f"b{layer}")
        parameters += [w, b]
        h = gc.tanh(h @ w + b)
    cost = gc.mean(gc.nn.sparse_softmax_cross_entropy(h, target))
    return [x, target], cost, parameters


def test_equal_kernels_are_emitted_once() -> None:
    inputs, cost, parameters = perceptron(30)
    forward = program_of(inputs, cost)
    assert len(forward.kernels) <= 3
    assert len(kernel_calls(forward)) >= 30
    gradients = gc.grad(cost, parameters)
    updates = {p: p - 0.1 * g for p, g in zip(parameters, gradients, strict=True)}
    training = program_of(inputs, cost, updates)
    assert len(training.kernels) <= 8
    assert len(kernel_calls(training)) >= 90


# --- concatenation -------------------------------------------------------------------------------


def test_pieces_are_computed_in_place() -> None:
    x, w = matrix(), matrix("w")
    y = gc.concat([x * 2.0, gc.softmax(w), x], axis=1)
    program = program_of([x, w], y)
    assert [buffer.role for buffer in program.buffers.values()] == ["input", "input", "output"]
    assert len(program.steps) == 3
    check_values([x, w], [y], [array(3, 10), array(3, 10)])


def test_a_piece_that_others_read_has_memory_of_its_own() -> None:
    x = matrix()
    e = gc.exp(x)
    y = gc.concat([e, gc.sin(x)], axis=0)
    check_values([x], [y, gc.sum(e, axis=0)], [array(3, 10)])
    check_values([x], [y, e], [array(3, 10)])
    check_values([x], [gc.concat([e, e], axis=0), gc.stack([e, e, x], axis=1)], [array(3, 10)])


# --- what must not be fused ----------------------------------------------------------------------


def test_a_value_read_at_another_place_is_in_memory_first() -> None:
    x = gc.placeholder("x", (6, 6))
    e = gc.exp(x)
    assert len(program_of([x], e + e.T).steps) == 2
    assert len(program_of([x], e / gc.sum(e, axis=1)).steps) == 2  # divides column j by row sum j
    check_values([x], [e + e.T, e / gc.sum(e, axis=1), e + e[::-1]], [array(6, 6)])


def test_a_computed_index_is_checked_before_it_is_used() -> None:
    x, i = matrix(), gc.placeholder("i", ("n",), "int64")
    program = program_of([x, i], gc.take(x, i * i, axis=0))
    kinds = [type(step).__name__ for step in program.steps]
    assert kinds == ["KernelCall", "IndexCheck", "KernelCall"]
