"""The kernels of fused groups: passes over the reduced axes, scratch rows, names."""

import numpy as np
import pytest

import graphc as gc
from graphc.loops.draft import Names
from graphc.loops.ir import Scratch, Statement
from tests.loops.programs import body_of, check_values, kernel_lines, program_of

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(3, 10)).astype("float32")


def matrix(name: str = "x", columns: int = 10) -> gc.Tensor:
    return gc.placeholder(name, ("n", columns))


def test_softmax_has_three_passes_and_keeps_the_exponentials() -> None:
    x = matrix()
    assert body_of([x], gc.softmax(x)) == [
        "  for i in n parallel:",
        "    row_t5: f32[10] scratch",
        "    t1: f32 = -inf (maximum)",
        "    for j in 10 vector:",
        "      t1 max= x[i, j]",
        "    t6: f32 = 0.0 (add)",
        "    t3 = t1 if abs(t1) < inf else 0.0",
        "    for j in 10 vector:",
        "      t5 = exp(x[i, j] - t3)",
        "      row_t5[j] = t5",
        "      t6 += t5",
        "    for j in 10 vector:",
        "      out[i, j] = row_t5[j]/t6",
    ]


def test_layer_norm_computes_the_deviations_again() -> None:
    x = matrix()
    mean = gc.mean(x, axis=1, keepdims=True)
    variance = gc.mean((x - mean) ** 2, axis=1, keepdims=True)
    assert body_of([x], (x - mean) / gc.sqrt(variance + 1e-5)) == [
        "  for i in n parallel:",
        "    t1: f32 = 0.0 (add)",
        "    for j in 10 vector:",
        "      t1 += x[i, j]",
        "    t5: f32 = 0.0 (add)",
        "    t2 = t1/10.0",
        "    for j in 10 vector:",
        "      t3 = x[i, j] - t2",
        "      t5 += t3*t3",
        "    t8 = sqrt(t5/10.0 + 1e-05)",
        "    for j in 10 vector:",
        "      out[i, j] = (x[i, j] - t2)/t8",
    ]


def has_scratch(body: tuple[Statement, ...]) -> bool:
    return any(isinstance(item, Scratch) or has_scratch(getattr(item, "body", ())) for item in body)


@pytest.mark.parametrize(("columns", "kept"), [(1 << 18, True), ((1 << 18) + 1, False)])
def test_long_rows_are_computed_again(columns: int, kept: bool) -> None:
    x = matrix(columns=columns)
    (kernel,) = program_of([x], gc.softmax(x)).kernels
    assert has_scratch(kernel.body) == kept


def test_columns_are_computed_again() -> None:
    x = matrix()
    y = gc.softmax(x, axis=0)
    (kernel,) = program_of([x], y).kernels
    assert not has_scratch(kernel.body)
    check_values([x], [y], [ROWS])


def test_a_stored_value_of_an_earlier_pass_is_loaded() -> None:
    x = matrix()
    e = gc.tanh(x)
    outputs = [e, e / gc.sum(e, axis=1, keepdims=True)]
    assert body_of([x], outputs) == [
        "  for i in n parallel:",
        "    t2: f32 = 0.0 (add)",
        "    for j in 10 vector:",
        "      v_out = tanh(x[i, j])",
        "      out[i, j] = v_out",
        "      t2 += v_out",
        "    for j in 10 vector:",
        "      out_2[i, j] = out[i, j]/t2",
    ]
    check_values([x], outputs, [ROWS])


def test_reductions_of_equal_values_share_an_accumulator() -> None:
    x = matrix()
    outputs = [gc.mean(x, axis=1), x - gc.mean(x, axis=1, keepdims=True)]
    body = body_of([x], outputs)
    assert sum("(add)" in row for row in body) == 1
    check_values([x], outputs, [ROWS])


def test_values_of_rows_wait_for_their_reductions() -> None:
    x, w = matrix(), gc.placeholder("w", ("n",))
    scaled = gc.exp(gc.max(x, axis=1)) * w
    outputs = [scaled, gc.sum(gc.exp(x - scaled[:, None]), axis=1)]
    assert len(program_of([x, w], outputs).steps) == 1
    check_values([x, w], outputs, [ROWS, np.ones(3, "float32")])


@pytest.mark.parametrize("op", [gc.argmax, gc.argmin])
@pytest.mark.parametrize("axis", [0, 1, None])
def test_positions_count_along_the_reduced_axes(op: object, axis: int | None) -> None:
    x = gc.placeholder("x", ("n", 4), "int64")
    assert callable(op)
    check_values([x], [op(x, axis=axis)], [RNG.integers(0, 3, (3, 4))])


def test_argmax_over_two_axes_of_three() -> None:
    x = gc.placeholder("x", (2, 3, 4), "int64")
    flat = gc.argmax(gc.reshape(x, (6, 4)), axis=0)
    check_values([x], [flat], [RNG.integers(0, 3, (2, 3, 4))])


def test_reductions_over_no_elements_hold_the_identity() -> None:
    x = gc.placeholder("x", ("n", "m"))
    outputs = [gc.sum(x, axis=1), gc.prod(x, axis=1), gc.sum(gc.exp(x)), gc.all(x > 0.0, axis=0)]
    for shape in ((3, 0), (0, 3), (0, 0)):
        check_values([x], outputs, [np.zeros(shape, "float32")])


def test_reductions_over_axes_of_size_one() -> None:
    x = gc.placeholder("x", ("n", 1, 4))
    outputs = [gc.sum(x, axis=1), gc.max(gc.exp(x), axis=(0, 1)), gc.sum(x, axis=1, keepdims=True)]
    check_values([x], outputs, [RNG.normal(size=(3, 1, 4)).astype("float32")])


# --- names ---------------------------------------------------------------------------------------


def test_names_of_the_user_are_seen_in_the_loops() -> None:
    x = matrix()
    shifted = x - gc.max(x, axis=1, keepdims=True)
    shifted.name = "shifted"
    y = gc.sum(gc.exp(shifted) * shifted, axis=1)
    y.name = "y"
    body = body_of([x], y)
    assert any(row.strip().startswith("shifted = ") for row in body)
    assert body[-1] == "    y[i] = acc_y"


def test_axes_make_way_for_names() -> None:
    i, j = gc.placeholder("i", ("n", "k")), gc.placeholder("j", ("k",))
    (kernel,) = program_of([i, j], gc.sin(i) + j).kernels
    assert kernel_lines(kernel) == [
        "  i: f32[n, k], j: f32[k], out: f32[n, k] written",
        "  for l in n parallel:",
        "    for m in k vector:",
        "      out[l, m] = sin(i[l, m]) + j[m]",
    ]


def test_names_are_unique() -> None:
    names = Names(reserved={"x"})
    assert [names.fresh("x"), names.fresh("x"), names.fresh("y")] == ["x_2", "x_3", "y"]
    assert [names.numbered("v"), names.numbered("v"), names.fresh("v0")] == ["v0", "v1", "v0_2"]


def test_pieces_of_larger_arrays_are_kept_for_later_passes() -> None:
    """They were looked for again and again: compiling did not end."""
    x = gc.placeholder("x", ("n", 9))
    y = gc.sigmoid(gc.tanh(gc.exp(x)))
    outputs = [gc.concat([y, x], axis=1), y - gc.sum(y, axis=1, keepdims=True)]
    f = gc.function([x], outputs, check=True)
    assert "row_" in f.loops()
    a = np.linspace(-3, 1, 36, dtype=np.float32).reshape(4, 9)
    b = 1 / (1 + np.exp(-np.tanh(np.exp(a))))
    joined, apart = f(a)
    np.testing.assert_allclose(joined, np.concatenate([b, a], axis=1), rtol=1e-5)
    np.testing.assert_allclose(apart, b - b.sum(1, keepdims=True), rtol=1e-5)
