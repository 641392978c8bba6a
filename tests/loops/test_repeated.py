"""Repeated groups: the program is the one that a lowering makes which builds every kernel."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.loops import repeated


def variables(*shapes: tuple[int, ...]) -> Iterator[gc.Variable]:
    for number, shape in enumerate(shapes):
        yield gc.variable(np.ones(shape, "float32"), f"w{number}")


def perceptron(x: Any) -> Any:
    weights = list(variables(*[(4, 4)] * 6))
    for w in weights:
        x = gc.tanh(x @ w) + gc.nn.softmax(x, axis=-1)
    return [x, *gc.grad(gc.mean(x**2), weights)]


def names(x: Any) -> Any:
    """A value with a name of the user's is not written into the expression that uses it."""
    for name, w in zip((None, "half", None, "third"), variables(*[(4, 4)] * 4), strict=True):
        inner = gc.exp(x) * 0.5
        inner.name = name
        x = (inner * inner + gc.sin(x)) @ w
    return x


def numbers(x: Any) -> Any:
    """0.0 and -0.0 are two constants."""
    for number, w in zip((0.0, -0.0, 0.0, 2.0), variables(*[(4, 4)] * 4), strict=True):
        x = gc.maximum(x, number) @ w
    return x


REPEATING: list[Callable[[Any], Any]] = [perceptron, names, numbers]
CASES: list[Callable[[Any], Any]] = [
    *REPEATING,
    lambda x: [gc.sum(x, axis=a) for a in (0, 1)],
    lambda x: [gc.cumulative_sum(x, axis=0), gc.sum(x**2), gc.max(x**2)],
    lambda x: [gc.sum(gc.exp(y), axis=1) for y in (x, x.T, x @ x.T, x.T)],
    lambda x: [gc.concat([gc.exp(x), gc.sin(x)]) + 1, gc.concat([gc.exp(x), gc.sin(x)])],
    lambda x: [gc.stack([gc.exp(x), gc.sin(x)], axis=-1), gc.exp(x) @ gc.sin(x.T)],
    lambda x: gc.scan(lambda s, r: (gc.tanh(s + r), gc.tanh(s - r)), x[0], x),
    lambda x: [gc.argmax(gc.exp(x) * n, axis=1) for n in (1.5, 1.5, 2.5)],
    lambda x: [gc.exp(gc.reshape(x, (-1, 2))) + 1, gc.exp(gc.reshape(x, (2, -1))) + 1],
    lambda x: [gc.astype(gc.exp(x), t) for t in ("int32", "float64", "int32")],
]


@pytest.mark.parametrize("number", range(len(CASES)))
def test_program_is_that_of_a_lowering_without_memory(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = CASES[number]
    found: list[bool] = []
    find = repeated.Repeated.find

    def counted(self: repeated.Repeated, outline: repeated.Outline) -> Any:
        answer = find(self, outline)
        found.append(answer is not None)
        return answer

    def program() -> str:
        x = gc.placeholder("x", ("n", 4))
        return str(gc.function([x], build(x), backend="interpreter", cache=False).loops())

    monkeypatch.setattr(repeated.Repeated, "find", counted)
    with_memory = program()
    assert any(found) or build not in REPEATING
    monkeypatch.setattr(repeated.Repeated, "find", lambda self, outline: None)
    assert with_memory == program()
