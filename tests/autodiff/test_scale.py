"""Deep and wide graphs: linear work and no recursion."""

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import graphc as gc
from tests.work import steps

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def low_recursion_limit() -> Iterator[None]:
    before = sys.getrecursionlimit()
    depth = len(_frames())
    sys.setrecursionlimit(depth + 200)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def _frames() -> list[Any]:
    frames, frame = [], sys._getframe()
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back  # type: ignore[assignment]
    return frames


def chain(length: int) -> tuple[Any, Any]:
    x = gc.placeholder("x")
    y = x
    for _ in range(length):
        y = gc.sin(y)
    return x, y


def test_a_deep_chain_both_ways(run: Run) -> None:
    x, y = chain(20_000)
    expected, value = 1.0, 0.5
    for _ in range(20_000):
        expected, value = expected * np.cos(value), np.sin(value)
    assert run(gc.grad(y, x), {x: 0.5}) == pytest.approx(expected, rel=1e-2)
    assert run(gc.jvp(y, x, 1.0), {x: 0.5}) == pytest.approx(expected, rel=1e-2)


def test_building_a_gradient_is_linear() -> None:
    def work(length: int) -> int:
        x, y = chain(length)
        return steps(lambda: gc.grad(y, x))

    work(10)
    assert work(4_000) < 8 * 1.2 * work(500)


def test_a_wide_sum_of_one_input(run: Run) -> None:
    x = gc.placeholder("x")
    total = gc.add_n([x * float(k % 7) for k in range(5_000)])
    expected = sum(k % 7 for k in range(5_000))
    assert run(gc.grad(total, x), {x: 1}) == expected


def test_a_wide_sum_of_many_inputs(run: Run) -> None:
    inputs = [gc.placeholder() for _ in range(2_000)]
    gradients = gc.grad(gc.add_n(inputs), inputs)
    assert run(gradients[:3] + gradients[-3:]) == [1] * 6


def test_doubling_sixty_times(run: Run) -> None:
    x = gc.placeholder("x", dtype="float64")
    y = x
    for _ in range(60):
        y = y + y
    assert run(gc.grad(y, x), {x: 1}) == 2.0**60


def test_only_what_matters_is_differentiated() -> None:
    x, z = gc.placeholder("x"), gc.placeholder("z")
    side = z
    for _ in range(2_000):
        side = gc.sin(side)
    gradient = gc.grad(x * side, x)
    nodes = gc.Graph((x, z), (gradient,)).nodes
    assert all(node.op.name != "cos" for node in nodes)
    assert len(nodes) < 2_010
