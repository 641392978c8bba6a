"""Transforms of tiles, which the kernels of minimal filtering are written with.

Source of the matrices: A. Lavin, S. Gray, Fast Algorithms for Convolutional Neural Networks, 2016.
"""

from collections.abc import Callable, Sequence

from graphc.loops.ir import Let, Statement
from graphc.loops.kernel_writer import KernelWriter
from graphc.scalar.expr import Call, Expr, Local, constant

POINTS = 16  # of a tile, between the transforms


Row = tuple[tuple[int, float], ...]  # of a matrix: (number of a value, its factor)

# V = B^T d B, Y = A^T M A, A dY A^T, U = G w G^T and dw = G^T dU G
INPUT: tuple[Row, ...] = (
    ((0, 1), (2, -1)),
    ((1, 1), (2, 1)),
    ((2, 1), (1, -1)),
    ((1, 1), (3, -1)),
)
OUTPUT: tuple[Row, ...] = (((0, 1), (1, 1), (2, 1)), ((1, 1), (2, -1), (3, -1)))
SPREAD: tuple[Row, ...] = (((0, 1),), ((0, 1), (1, 1)), ((0, 1), (1, -1)), ((1, -1),))
FILTER: tuple[Row, ...] = (
    ((0, 1),),
    ((0, 0.5), (1, 0.5), (2, 0.5)),
    ((0, 0.5), (1, -0.5), (2, 0.5)),
    ((2, 1),),
)
TAPS: tuple[Row, ...] = (
    ((0, 1), (1, 0.5), (2, 0.5)),
    ((1, 0.5), (2, -0.5)),
    ((1, 0.5), (2, 0.5), (3, 1)),
)


class TileWriter(KernelWriter):
    def transformed(
        self,
        body: list[Statement],
        names: str,
        matrix: Sequence[Row],
        size: int,
        value: Callable[[int, int], Expr],
    ) -> list[list[Expr]]:
        """matrix @ values @ matrix^T of size times size values, as names in the body. names: a
        letter for the values, one for matrix @ values, and one for the results."""
        first, half, last = tuple(names)
        places, found = range(size), range(len(matrix))
        given = [[self.let(body, f"{first}{i}{j}", value(i, j)) for j in places] for i in places]
        columns = [
            [
                self.combined(body, f"{half}{i}{j}", matrix[i], [row[j] for row in given])
                for i in found
            ]
            for j in places
        ]
        return [
            [
                self.combined(body, f"{last}{i}{j}", matrix[j], [column[i] for column in columns])
                for j in found
            ]
            for i in found
        ]

    def combined(self, body: list[Statement], name: str, row: Row, values: Sequence[Expr]) -> Expr:
        """A row of a matrix times the values, as a name in the body."""
        total: Expr | None = None
        for number, factor in row:
            value = values[number]
            if abs(factor) != 1:
                value = Call("mul", (value, constant(abs(factor), self.dtype)), self.dtype)
            if total is None:
                total = value if factor > 0 else Call("neg", (value,), self.dtype)
            else:
                total = Call("add" if factor > 0 else "sub", (total, value), self.dtype)
        assert total is not None
        return self.let(body, name, total)

    def let(self, body: list[Statement], name: str, value: Expr) -> Expr:
        if isinstance(value, Local):
            return value
        body.append(Let(name, value, self.sources))
        return Local(name, value.dtype)
