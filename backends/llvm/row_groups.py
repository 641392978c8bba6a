"""Short rows of known length that end in the middle of a vector: several rows as one.

                                       pattern: f32[48] scratch
                                       for r in 16 serial:
    for i in n parallel:                 for j in 3 vector: pattern[3*r + j] = c[j]*2
      for j in 3 vector:          ->   for i in n//16 parallel:
        out[i, j] =                      for j in 48 vector:
            tanh(x[i, j] - c[j]*2)         out[16*i, j] = tanh(x[16*i, j] - pattern[j])
                                       ... and the n % 16 rows that are left as before

In the first form a vector holds 3 numbers. In the second all of its lanes are used: neighbours in
memory are neighbours in a longer row, and what is the same in every row is repeated beside it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import gcd

from graphc.backends.llvm.tiling import nest_of, position_of
from graphc.dtypes import float32, float64, int32, int64
from graphc.loops.ir import For, Kernel, Let, Parameter, Scratch, Statement, Store
from graphc.loops.tidy import fresh_name, with_sizes
from graphc.scalar.expr import Expr, Index, Load, Local, children, transform
from graphc.shapes import Dim, Size, dim_min, floor_div

LANES = 16  # of the widest vectors
LONGEST = 3 * LANES  # elements of a row
WASTE = 1.25  # lanes of whole rows, to their elements: less does not pay
FEWEST = 8  # groups
DTYPES = (float32, float64, int32, int64)


def in_row_groups(kernel: Kernel, body: Sequence[Statement]) -> tuple[Statement, ...]:
    """The body of the kernel, with such loops outside of all others in groups of rows."""
    shapes = {parameter.name: parameter for parameter in kernel.parameters}
    names = {item.name for item in body if isinstance(item, Scratch)}
    result: list[Statement] = []
    for item in body:
        nest, lets = nest_of(item)
        grouped = None if len(nest) < 2 or lets else _Rows(nest, shapes).grouped(names)
        result += [item] if grouped is None else grouped
    return tuple(result)


class _Rows:
    """A nest of loops without anything between them, the last two over rows and their elements."""

    def __init__(self, nest: Sequence[For], parameters: dict[str, Parameter]) -> None:
        *self.outer, self.rows, self.row = nest
        self.parameters = parameters
        self.moving = {loop.axis for loop in (*self.outer, self.rows)}
        self.fixed: set[str] = set()  # locals that are the same in every row

    def grouped(self, taken: set[str]) -> list[Statement] | None:
        """The loops that do the same in groups of rows; None if that is not possible or no gain."""
        length, count = self.row.extent, self.rows.extent
        if not isinstance(length, int) or not 1 < length <= LONGEST:
            return None
        together = LANES // gcd(length, LANES)
        whole = -(-length // LANES) * LANES
        if whole < WASTE * length or (isinstance(count, int) and count < FEWEST * together):
            return None
        if not self.runs_along():
            return None
        patterns: list[Expr] = []
        once: list[Statement] = []
        main: list[Statement] = []
        element = Index(Dim.symbol(self.row.axis))

        def leaf(expr: Expr) -> Expr | None:
            if not self.is_fixed(expr) or not self.varies(expr):
                return expr if isinstance(expr, Load) else None
            if expr not in patterns:
                patterns.append(expr)
            return Load(names[patterns.index(expr)], (element,), expr.dtype)

        names = _Names(taken)
        for item in self.row.body:
            if isinstance(item, Let) and self.is_fixed(item.value):
                self.fixed.add(item.name)
                once.append(item)
            else:
                assert isinstance(item, Let | Store)
                main.append(replace(item, value=transform(item.value, leaf)))
        if any(pattern.dtype not in DTYPES for pattern in patterns):
            return None
        # Of few rows, what is repeated would take longer than they do.
        some = dim_min(1, floor_div(count, FEWEST * together))
        groups = floor_div(count, together) * some
        number, axis = Dim.symbol(self.rows.axis), Dim.symbol(self.row.axis)
        places = (Index(number * length + axis),)
        once += [Store(names[k], places, pattern, False, ()) for k, pattern in enumerate(patterns)]
        fill = For(self.row.axis, length, "vector", tuple(once))
        several = For(
            self.row.axis,
            length * together,
            "vector",
            tuple(with_sizes(main, {self.rows.axis: number * together})),
        )
        rest = with_sizes(self.row.body, {self.rows.axis: number + groups * together})
        single = For(self.row.axis, length, "vector", tuple(rest))
        result: list[Statement] = [
            Scratch(names[k], pattern.dtype, (length * together,))
            for k, pattern in enumerate(patterns)
        ]
        if patterns:
            result.append(For(self.rows.axis, together * some, "serial", (fill,)))
        result.append(self.around(For(self.rows.axis, groups, "parallel", (several,))))
        left = count - groups * together
        if left != 0:
            result.append(self.around(For(self.rows.axis, left, "parallel", (single,))))
        return result

    def around(self, rows: For) -> For:
        for loop in reversed(self.outer):
            rows = For(loop.axis, loop.extent, loop.kind, (rows,))
        return rows

    def runs_along(self) -> bool:
        """Whether everything is either one array element after the other or the same in every row,
        and all that is stored is the former."""
        for item in self.row.body:
            if isinstance(item, Store):
                place = position_of((item.buffer, item.index), self.parameters)
                if item.accumulate or place is None or not self.follows(place):
                    return False
        for value in _values(self.row.body):
            for part in _parts(value):
                place = self.place(part)
                if place is not None and not (self.follows(place) or self.is_same(place)):
                    return False
                if isinstance(part, Load) and place is None:
                    return False
        return True

    def place(self, part: Expr) -> Size | None:
        """Of a load in its array, or what an index counts."""
        if isinstance(part, Index):
            return part.size
        if isinstance(part, Load):
            return position_of((part.buffer, part.index), self.parameters)
        return None

    def follows(self, place: Size) -> bool:
        """Whether the last element of a row is followed by the first of the next."""
        if not isinstance(place, Dim):
            return False
        steps = [place.coefficient(loop.axis) for loop in (self.rows, self.row)]
        return steps == [self.row.extent, 1]

    def is_same(self, place: Size) -> bool:
        return not isinstance(place, Dim) or not place.symbols() & self.moving

    def is_fixed(self, expr: Expr) -> bool:
        """Whether a value is the same in every row."""
        for part in _parts(expr):
            if isinstance(part, Local) and part.name not in self.fixed:
                return False
            place = self.place(part)
            if place is not None and not self.is_same(place):
                return False
        return True

    def varies(self, expr: Expr) -> bool:
        """Whether it is another one for each element of a row."""
        for part in _parts(expr):
            place = self.place(part)
            if isinstance(place, Dim) and self.row.axis in place.symbols():
                return True
            if isinstance(part, Local):
                return True
        return False


def _values(body: Sequence[Statement]) -> Iterator[Expr]:
    for item in body:
        if isinstance(item, Let | Store):
            yield item.value


def _parts(expr: Expr) -> Iterator[Expr]:
    """What a value is made of; of a load the place counts, not how it is written."""
    pending = [expr]
    while pending:
        one = pending.pop()
        yield one
        if not isinstance(one, Load):
            pending += children(one)


class _Names(dict[int, str]):
    """Names of the arrays, as they are needed."""

    def __init__(self, taken: set[str]) -> None:
        super().__init__()
        self.taken = taken

    def __missing__(self, number: int) -> str:
        self[number] = fresh_name("pattern", self.taken)
        return self[number]
