"""Products of a matrix and a vector, known as such or found at run time.

    void @all_dots(ptr out, ptr matrix, ptr vector, i64 count, i64 k, i64 out.step, i64 row,
                   i64 vector.step, ptr partial, i64 threads)
    void @all_sums(the same)

    dots    out[i] = sum_p matrix[i, p] * vector[p], i < count: some rows at a time
    sums    out[j] = sum_p vector[p] * matrix[p, j], j < count: some rows are added at a time

Entries of a row lie side by side; row, out.step and vector.step are the distances in elements from
row to row and from entry to entry. Long sums are cut into chunks whose lengths follow from the
sizes alone; threads share them, and `partial` has room for what they come to, PARTIAL bytes. Then
the chunks are added in order: the bits of a result do not depend on the number of threads.
"""

from collections.abc import Sequence

from graphc.backends.llvm.gemm_dots import Dots
from graphc.backends.llvm.gemm_layout import Arithmetic, Layout
from graphc.backends.llvm.gemm_sums import Sums
from graphc.backends.llvm.gemm_tile import Tile
from graphc.backends.llvm.gemm_vector_chunks import PARAMETERS, whole_name
from graphc.backends.llvm.parallel import dividing_functions
from graphc.backends.llvm.target import Target
from graphc.backends.llvm.text import FunctionText, Val


def vector_functions(layout: Layout, tile: Tile, target: Target) -> dict[str, FunctionText]:
    """The routines of @all_dots and @all_sums, by name."""
    found: dict[str, FunctionText] = {}
    for emitter in (Dots(layout, tile, target), Sums(layout, tile, target)):
        name = emitter.name
        found[f"{name}.range"] = emitter.range()
        if layout.divides:
            found[name] = dividing_functions(
                name, PARAMETERS, emitter.measure, target.function_attributes
            )
        found[whole_name(emitter.kind, layout)] = emitter.whole()
    return found


def call_vector(
    x: Arithmetic,
    layout: Layout,
    matrices: Sequence[Val],
    sizes: Sequence[Val],
    rows: Sequence[Val],
    partial: Val,
    threads: Val,
) -> None:
    """The product, where m or n is 1. sizes: m, n, k; rows: in elements, of out, a and b."""
    (out, a, b), (m, n, k), (out_row, a_row, b_row) = matrices, sizes, rows
    one = x.const(1)

    def call(kind: str, matrix: Val, vector: Val, count: Val, steps: Sequence[Val]) -> None:
        to_step, row, step = steps
        given = (out, matrix, vector, count, k, to_step, row, step, partial, threads)
        x.call(whole_name(kind, layout), given)

    def by_row() -> list[Val]:
        """m is 1: a is the vector."""
        kind, step = "dots" if layout.transpose_b else "sums", a_row if layout.transpose_a else one
        call(kind, b, a, n, (one, b_row, step))
        return []

    step = one if layout.transpose_b else b_row

    def by_column() -> list[Val]:
        """n is 1: b is the vector."""
        kind = "sums" if layout.transpose_a else "dots"
        call(kind, a, b, m, (out_row, a_row, step))
        return []

    def by_number() -> list[Val]:
        """m and n are 1, and the entries of a lie side by side, though it is a column."""
        call("dots", a, b, one, (one, one, step))
        return []

    column = x.compare("eq", n, one)
    if layout.transpose_a:
        both = x.code.builder.and_(column, x.compare("eq", m, one))
        number = x.code.builder.and_(both, x.compare("eq", a_row, one))
        other = x.code.builder.not_(number)
        x.code.branch(number, [], by_number)
        x.code.branch(x.code.builder.and_(column, other), [], by_column)
    else:
        x.code.branch(column, [], by_column)
    x.code.branch(x.compare("ne", n, one), [], by_row)
