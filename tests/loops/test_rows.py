"""Kernels that go along an axis in order: their loops, their names, and one for equal shapes."""

from collections.abc import Sequence

import graphc as gc
from graphc.ir.graph import Graph
from graphc.loops.ir import For, Kernel, Program, Statement
from graphc.loops.lower import lower
from graphc.loops.verifier import verify_program
from graphc.ops.sorting import ROW_SORT


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
    assert loops(last) == [("m*n", "parallel"), ("8", "serial")]


def test_states_of_some_columns_are_a_row() -> None:
    x = gc.placeholder("x", ("n", "m", 30))
    (kernel,) = program_of([x], [gc.cumulative_sum(x, axis=1)]).kernels
    lanes = ("30", "vector")
    assert loops(kernel) == [("n", "parallel"), ("1", "parallel"), lanes, ("m", "serial"), lanes]


def test_rows_of_what_takes_long_run_side_by_side() -> None:
    x = gc.placeholder("x", (40, "m"))
    (kernel,) = program_of([x], [gc.cumulative_logsumexp(x, axis=1)]).kernels
    lanes = ("-max(32*l - 40, -32)", "vector")  # min(32, 40 - 32*l)
    assert loops(kernel) == [("2", "parallel"), lanes, ("m", "serial"), lanes]


def test_equal_kernels_are_one() -> None:
    x, y = gc.placeholder("x", ("n", 8)), gc.placeholder("y", ("n", 8))
    outputs = [gc.cumulative_sum(x, axis=1), gc.cumulative_sum(y, axis=1)]
    assert len(program_of([x, y], outputs).kernels) == 1
    outputs = [gc.cumulative_sum(x, axis=1), gc.cumulative_sum(y, axis=0)]
    names = [kernel.name for kernel in program_of([x, y], outputs).kernels]
    assert len(set(names)) == 2


def row_sorted(x: gc.Tensor) -> list[gc.Tensor]:
    """Values and positions along the last axis, row by row."""
    return list(ROW_SORT.apply((x,), {"axis": x.ndim - 1, "descending": False}))


def test_short_rows_are_sorted_by_counting_and_long_ones_by_digits() -> None:
    def kinds(size: int | str, dtype: str) -> list[tuple[str, str]]:
        x = gc.placeholder("x", (3, size), dtype)
        (kernel,) = program_of([x], row_sorted(x)[:1]).kernels
        return loops(kernel)[1:]

    counting = [("8", "vector"), ("8", "serial"), ("j", "vector"), ("7 - j", "vector")]
    assert kinds(8, "float32") == counting
    long, short = ("1999", "serial"), ("999", "serial")
    assert kinds(1999, "float32") == [("6144", "vector"), long, ("2048", "serial"), *[long] * 3]
    assert kinds(999, "float32") == [("1024", "vector"), short, ("256", "serial"), *[short] * 4]
    assert len(kinds(999, "float64")) == 3 + 6 and len(kinds(999, "int8")) == 3 + 1
    assert len(kinds(599, "float64")) == 3 + 8
    assert len(kinds("n", "int16")) == 4 + 3 + 2


def test_what_nobody_reads_is_not_sorted() -> None:
    x = gc.placeholder("x", ("n",))
    for outputs, written in (
        (row_sorted(x)[:1], ["values"]),
        (row_sorted(x)[1:], ["positions"]),
        (list(gc.top_k(x, 1)), ["values", "positions"]),
    ):
        kernel = program_of([x], outputs).kernels[0]
        assert [item.name for item in kernel.parameters if item.written] == written
