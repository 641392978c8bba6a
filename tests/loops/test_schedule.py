"""Which axes become which loops."""

import numpy as np
import pytest

import graphc as gc
from tests.loops.programs import body_of, check_values, kernel_lines, program_of

RNG = np.random.default_rng(0)


def cube(name: str = "x") -> gc.Tensor:
    return gc.placeholder(name, ("n", 3, 4))


def test_axes_in_step_are_one_loop() -> None:
    x, y = cube(), cube("y")
    (kernel,) = program_of([x, y], gc.sin(x) + y).kernels
    assert kernel_lines(kernel) == [
        "  x: f32[12*n], y: f32[12*n], out: f32[12*n] written",
        "  for i in 12*n vector:",
        "    out[i] = sin(x[i]) + y[i]",
    ]


def test_axes_are_collapsed_as_far_as_all_accesses_allow() -> None:
    x, b, c = cube(), gc.placeholder("b", (3, 4)), gc.placeholder("c", (4,))
    assert body_of([x, b], x * b) == [
        "  for i in n parallel:",
        "    for j in 12 vector:",
        "      out[12*i + j] = x[12*i + j]*b[j]",
    ]
    assert body_of([x, c], x * c) == [
        "  for i in 3*n parallel:",
        "    for k in 4 vector:",
        "      out[4*i + k] = x[4*i + k]*c[k]",
    ]
    assert body_of([x], x + gc.permute_dims(gc.sin(gc.permute_dims(x, (1, 0, 2))), (1, 0, 2))) == [
        "  for i in 12*n vector:",
        "    v0 = x[i]",
        "    out[i] = v0 + sin(v0)",
    ]


def test_an_axis_used_as_a_number_stays() -> None:
    x = gc.placeholder("x", (3, 4), "int64")
    assert body_of([x], x + gc.arange(4)) == [
        "  for i in 3 parallel:",
        "    for j in 4 vector:",
        "      out[i, j] = x[i, j] + j",
    ]


def test_a_buffer_with_looked_up_indices_keeps_its_shape() -> None:
    x, index = gc.placeholder("x", ("n", 4)), gc.placeholder("index", ("n",), "int64")
    y = x + gc.take(x, index, axis=0)
    (kernel,) = program_of([x, index], y).kernels
    assert kernel_lines(kernel) == [
        "  x: f32[n, 4], index: i64[n], out: f32[n, 4] written",
        "  for i in n parallel:",
        "    v1 = index[i]",
        "    p0 = v1 + n if v1 < 0 else v1",
        "    for j in 4 vector:",
        "      out[i, j] = x[i, j] + x[p0, j]",
    ]
    check_values([x, index], [y], [RNG.normal(size=(3, 4)).astype("float32"), np.array([2, 0, -1])])


@pytest.mark.parametrize(
    ("axes", "loops"),
    [
        ((0,), ["for j in 12 vector:", "for i in n serial:"]),
        ((1,), ["for i in n parallel:", "for k in 4 vector:", "for j in 3 serial:"]),
        ((2,), ["for i in 3*n parallel:", "for k in 4 vector:"]),
        ((0, 1), ["for k in 4 vector:", "for i in 3*n serial:"]),
        ((0, 2), ["for j in 3 parallel:", "for i in n serial:", "for k in 4 vector:"]),
        ((1, 2), ["for i in n parallel:", "for j in 12 vector:"]),
        ((0, 1, 2), ["for i in 12*n vector:"]),
    ],
)
def test_loops_of_reductions(axes: tuple[int, ...], loops: list[str]) -> None:
    x = cube()
    body = body_of([x], gc.sum(x, axis=axes))
    assert [row.strip() for row in body if row.strip().startswith("for ")] == loops


def test_what_does_not_change_in_a_loop_is_computed_before_it() -> None:
    x, s, r = gc.placeholder("x", ("n", 4)), gc.placeholder("s", ()), gc.placeholder("r", ("n", 1))
    assert body_of([x, s, r], x * gc.exp(s) * (r + 1.0)) == [
        "  t1 = exp(s[])",
        "  for i in n parallel:",
        "    t3 = r[i, 0] + 1.0",
        "    for j in 4 vector:",
        "      out[i, j] = x[i, j]*t1*t3",
    ]


def test_no_axis_is_no_loop() -> None:
    x = gc.placeholder("x", (1, 1))
    assert body_of([x], gc.sum(gc.exp(x))) == ["  out[0, 0] = exp(x[0, 0])"]


def test_kernels_know_the_sizes_they_use() -> None:
    x = gc.placeholder("x", ("n", "m", 3))
    (kernel,) = program_of([x], gc.mean(x, axis=1)).kernels
    assert kernel.sizes == ("m", "n")
    (kernel,) = program_of([x], x[:, 1:, :] * 2.0).kernels
    assert kernel.sizes == ("m", "n")
