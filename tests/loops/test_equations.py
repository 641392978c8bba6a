"""Equations of kernels."""

from collections.abc import Callable
from typing import Any

import pytest

import graphc as gc
from graphc.loops.ir import IndexCheck
from tests.loops.programs import program_of

X = ("n", 4)


def comments(*outputs: Any, optimize: bool = True) -> list[str]:
    inputs = [x, y, b]
    program = program_of(inputs, list(outputs), optimize=optimize)
    return [step.comment for step in program.steps if not isinstance(step, IndexCheck)]


x, y, b = gc.placeholder("x", X), gc.placeholder("y", X), gc.placeholder("b", (4,))


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: gc.tanh(x + b), "tanh(x + b)"),
        (lambda: (x + y) * b, "(x + y)*b"),
        (lambda: x + y * b, "x + y*b"),
        (lambda: x - (y - b), "x - (y - b)"),
        (lambda: x / (y / b), "x/(y/b)"),
        (lambda: -x * y, "-x*y"),
        (lambda: gc.where(x > y, x, 2.0), "where(x > y, x, 2.0)"),
        (lambda: gc.sum(x * y, axis=1), "sum(x*y, 1)"),
        (lambda: gc.sum(x * y), "sum(x*y)"),
        (lambda: gc.max(x, axis=0, keepdims=True) + y, "max(x, 0) + y"),
        (lambda: gc.astype(x, "int64"), "int64(x)"),
        (lambda: x[:, ::-1] * 2.0, "x[...]*2.0"),
        (lambda: gc.sin(x)[1:, 1:], "sin(x)[...]"),
        (lambda: gc.sin(x).T + 1.0, "sin(x).T + 1.0"),
        (lambda: gc.expand_dims(gc.reshape(x, (-1,)), 0) * 3.0, "x*3.0"),
        (lambda: gc.logical_not(x < y), "not(x < y)"),
        (lambda: gc.clip(x, -1.0, 1.0), "minimum(maximum(x, -1.0), 1.0)"),
    ],
)
def test_right_sides(build: Callable[[], Any], text: str) -> None:
    assert comments(build(), optimize=False) == [f"out = {text}"]


def test_long_right_sides_end_in_names_of_the_graph() -> None:
    z = x
    for _ in range(12):
        z = gc.sin(z * b) + y
    (comment,) = comments(z)
    assert len(comment) < 60
    assert "t" in comment


def test_few_of_many_results() -> None:
    outputs = [gc.sin(x * float(number + 2)) for number in range(20)]
    (comment,) = comments(*outputs)
    assert comment.startswith("out = sin(x*2.0), ") and comment.endswith(", ...")
    assert len(comment) < 120


def test_structured_steps() -> None:
    index = gc.constant([1, 0, 0])  # no slice
    assert comments(gc.tanh(x) @ gc.sin(y).T) == ["t1 = tanh(x)", "t2 = sin(y)", "out = t1 @ t2.T"]
    assert comments(gc.concat([x, y], axis=1)) == ["out = concat(x, y)"] * 2
    assert comments(gc.concat([gc.exp(x), gc.sum(y, keepdims=True) + y], axis=0)) == [
        "out[...] = exp(x)",
        "out[...] = sum(y) + y",
    ]
    assert comments(gc.take(b, index))[-1] == "out = take(b, c1)"
