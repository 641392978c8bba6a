"""Kernels that go along an axis in order: their loops, their names, and one for equal shapes."""

from collections.abc import Sequence

import graphc as gc
from graphc.ir.graph import Graph
from graphc.loops.ir import For, Kernel, Program, Statement
from graphc.loops.lower import lower
from graphc.loops.verifier import verify_program


def program_of(inputs: list[gc.Tensor], outputs: list[gc.Tensor]) -> Program:
    graph = Graph(tuple(inputs), tuple(outputs))
    program = lower(graph, ("n", "m"))
    verify_program(program)
    return program


def loops(kernel: Kernel) -> list[tuple[str, str]]:
    """(extent, kind) of all loops, in the order of the text."""
    found: list[tuple[str, str]] = []

    def visit(body: Sequence[Statement]) -> None:
        for item in body:
            if isinstance(item, For):
                found.append((str(item.extent), item.kind))
            visit(getattr(item, "body", ()))

    visit(kernel.body)
    return found


def test_lanes_run_along_the_last_axis() -> None:
    x = gc.placeholder("x", ("n", "m", 8))
    first, last = program_of(
        [x], [gc.cumulative_sum(x, axis=1), gc.cumulative_sum(x, axis=2)]
    ).kernels
    assert loops(first) == [("n", "parallel"), ("8", "vector"), ("m", "serial")]
    assert loops(last) == [("n", "parallel"), ("m", "parallel"), ("8", "serial")]


def test_equal_kernels_are_one() -> None:
    x, y = gc.placeholder("x", ("n", 8)), gc.placeholder("y", ("n", 8))
    outputs = [gc.cumulative_sum(x, axis=1), gc.cumulative_sum(y, axis=1)]
    assert len(program_of([x, y], outputs).kernels) == 1
    outputs = [gc.cumulative_sum(x, axis=1), gc.cumulative_sum(y, axis=0)]
    names = [kernel.name for kernel in program_of([x, y], outputs).kernels]
    assert len(set(names)) == 2


def test_sorting_takes_as_many_passes_as_the_size_asks_for() -> None:
    for size, passes in ((2, 1), (8, 3), (9, 4), ("n", 40)):
        x = gc.placeholder("x", ("m", size))
        (kernel,) = program_of([x], [gc.sort(x)]).kernels
        fill, turns, merge, write = loops(kernel)[1:]
        assert turns == (str(passes), "serial")
        assert fill == merge == write == (str(size), "serial")
