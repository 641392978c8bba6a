"""Rows that are asked for ahead: by which pass, and that numbers stay what they are."""

import re
from collections.abc import Callable

import numpy as np
import pytest

import graphc as gc
from graphc.ir.tensor import Tensor

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
    assert body.count("fmul") > 3  # exp, not max


def test_the_next_row_of_every_input() -> None:
    def both(x: Tensor) -> list[Tensor]:
        y = gc.exp(x[:, :64] * x[:, 64:])
        return [y / gc.sum(y, axis=1, keepdims=True)]

    assert asked(both, "n", 128) == 2 * asked(softmax, "n", 128)


def test_one_pass_and_long_or_short_rows_are_left_to_the_processor() -> None:
    assert asked(lambda x: [gc.exp(x) * x[:, :1]], "n", 1000) == 0
    assert asked(lambda x: [gc.sum(x, axis=1)], "n", 1000) == 0
    assert asked(softmax, "n", 100_000) == 0
    assert asked(softmax, "n", 10) == 0


def test_columns_and_what_is_written_are_not_asked_for() -> None:
    assert asked(lambda x: [gc.nn.softmax(x, axis=0)], "n", 1000) == 0


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
