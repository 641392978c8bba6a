"""Rows that are asked for ahead: by which pass, and that numbers stay what they are."""

import re
from collections.abc import Callable

import numpy as np
import pytest

import graphc as gc
from graphc.backends.llvm.compiling import compiled_program
from graphc.backends.llvm.target import host
from graphc.dtypes import float32
from graphc.ir.tensor import Tensor
from graphc.loops.ir import Accumulate, Accumulator, For, If, Kernel, Parameter, Store
from graphc.scalar import expr as s
from graphc.scalar.expr import Index, Load, Local
from graphc.shapes import Dim, Size
from tests.backends.llvm.conftest import program_of

Build = Callable[[Tensor], list[Tensor]]


def softmax(x: Tensor) -> list[Tensor]:
    return [gc.nn.softmax(x, axis=-1)]


def asked(build: Build, *shape: int | str) -> int:
    """How often the kernel of the expression asks for a line."""
    x = gc.placeholder("x", shape)
    return len(re.findall("call void @llvm.prefetch", gc.function([x], build(x)).llvm()))


def test_the_pass_that_computes_most_asks() -> None:
    x = gc.placeholder("x", ("n", 1000))
    text = gc.function([x], softmax(x)).llvm()
    place = text.index("call void @llvm.prefetch")
    body = text[text.rindex("\nbody", 0, place) : text.index("\nbody", place)]
    assert body.count("llvm.prefetch") == text.count("call void @llvm.prefetch")
    assert body.count("@llvm.fma") + body.count("fmul") > 3  # exp, not max


def test_the_next_row_of_every_input() -> None:
    def both(x: Tensor) -> list[Tensor]:
        y = gc.exp(x[:, :128] * x[:, 128:])
        return [y / gc.sum(y, axis=1, keepdims=True)]

    assert asked(both, "n", 256) == 2 * asked(softmax, "n", 256) > 0


def test_one_pass_and_long_or_short_rows_are_left_to_the_processor() -> None:
    assert asked(lambda x: [gc.exp(x) * x[:, :1]], "n", 1000) == 0
    assert asked(lambda x: [gc.sum(x, axis=1)], "n", 1000) == 0
    assert asked(softmax, "n", 100_000) == 0
    assert asked(softmax, "n", 10) == 0


def test_one_pass_over_parts_of_wider_rows_asks_for_each_part() -> None:
    gate = asked(lambda x: [x[:, :128] * gc.sigmoid(x[:, 128:])], "n", 256)
    assert gate == 2 * asked(lambda x: [gc.sigmoid(x[:, 128:])], "n", 256) > 0


def test_asking_does_not_keep_a_long_body_in_one_piece() -> None:
    def gates(x: Tensor) -> list[Tensor]:
        i, f, g, o = (x[:, k * 256 : (k + 1) * 256] for k in range(4))
        state = gc.sigmoid(i) * f + gc.tanh(g)
        return [gc.sigmoid(o) * gc.tanh(state)]

    x = gc.placeholder("x", ("n", 1024))
    text = gc.function([x], gates(x)).llvm()
    assert "llvm.prefetch" in text
    assert "strips" in text


def test_tiles_of_columns_are_parts_of_wider_rows() -> None:
    assert asked(lambda x: [gc.sum(x, axis=0)], "n", 1000) > 0
    assert asked(lambda x: [gc.sum(x, axis=0)], "n", 100_000) == 0


@pytest.mark.parametrize("static", [False, True])
def test_values(static: bool) -> None:
    """Sizes from no element to rows that are longer than what is asked for ahead."""
    sizes = [(0, 5), (3, 0), (1, 1), (2, 17), (7, 129), (33, 1021), (5, 9001)]
    x = gc.placeholder("x", ("n", "m"))
    f = gc.function([x], softmax(x))
    for n, m in sizes:
        if static:
            x = gc.placeholder("x", (n, m))
            f = gc.function([x], softmax(x))
        data = np.random.default_rng(0).normal(size=(n, m)).astype("float32")
        (found,) = f(data)
        wide = np.exp(data.astype("float64") - data.max(axis=1, keepdims=True, initial=-100))
        expected = wide / wide.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_loops_under_a_condition_in_the_lanes() -> None:
    """Their index is not known where lanes begin: what they read is not asked for."""
    n, m, i, j, k = (Dim.symbol(name) for name in "nmijk")

    def x(*place: Size) -> Load:
        return Load("x", tuple(map(Index, place)), float32)

    total = Local("total", float32)
    lanes = (
        Accumulator("total", "add", float32),
        If(
            s.gt(x(i, j), s.constant(0.0, float32)),
            (For("k", 2, "serial", (Accumulate("total", x(i, j + k)),)),),
        ),
        Store("out", (Index(i), Index(j)), s.add(total, Local("largest", float32))),
    )
    passes = (
        Accumulator("largest", "maximum", float32),
        For("j", m, "vector", (Accumulate("largest", x(i, j)),)),
        For("j", m, "vector", lanes),
    )
    kernel = Kernel(
        "guarded",
        (Parameter("x", float32, (n, m + 2)), Parameter("out", float32, (n, m), written=True)),
        ("m", "n"),
        (For("i", n, "parallel", passes),),
    )
    data = np.random.default_rng(0).normal(size=(5, 39)).astype("float32")
    out = np.zeros((5, 37), "float32")
    compiled_program(program_of(kernel), host(), 1).bind([37, 5], [])([data, out])
    pairs = data[:, :37] + data[:, 1:38]
    largest = data[:, :37].max(axis=1, keepdims=True)
    expected = np.where(data[:, :37] > 0, pairs, 0) + largest
    np.testing.assert_allclose(out, expected, rtol=1e-6)
