"""Loops that run across the rows of an array, cut so that its cache lines are used whole.

    for i in n parallel:                for t in ceil(m / 64) parallel:
      for j in m vector:         ->       for i in n parallel:
        out[i, j] = x[j, i]                 for j in min(64, m - 64*t) vector:
                                              out[i, j + 64*t] = x[j + 64*t, i]

Lanes read x with a stride: every element from another line. In the second form the 64 lines that
a tile needs stay in the cache while i runs along them.
"""

from collections.abc import Iterable, Iterator, Sequence

from graphc.loops.ir import For, Kernel, Let, Parameter, Statement, Store
from graphc.scalar.expr import Expr, Index, Load, transform, walk
from graphc.shapes import Dim, Size, ceil_div, dim_min, size_product, substitute

TILE = 64
SMALL = 2 * TILE  # static extents up to this are not cut

Access = tuple[str, tuple[Expr, ...]]


def tiled(kernel: Kernel) -> tuple[Statement, ...]:
    """The body of the kernel, with such loops cut."""
    if not any(len(parameter.shape) > 1 for parameter in kernel.parameters):
        return kernel.body
    shapes = {parameter.name: parameter for parameter in kernel.parameters}
    return tuple(_tiled_nest(item, shapes) for item in kernel.body)


def _tiled_nest(item: Statement, parameters: dict[str, Parameter]) -> Statement:
    nest = _perfect_nest(item)
    if nest is None or not _is_large(nest[-1].extent):
        return item
    lanes, rows = nest[-1], nest[-2]
    accesses = list(_accesses(lanes.body))
    if not any(_runs_across(a, parameters, rows.axis, lanes.axis) for a in accesses):
        return item
    tile = f"{lanes.axis}_tile"
    first = Dim.symbol(tile) * TILE
    cut: Statement = For(
        lanes.axis,
        dim_min(TILE, lanes.extent - first),
        "vector",
        tuple(_moved(inner, lanes.axis, Dim.symbol(lanes.axis) + first) for inner in lanes.body),
    )
    for loop in reversed(nest[:-1]):
        cut = For(loop.axis, loop.extent, loop.kind, (cut,))
    return For(tile, ceil_div(lanes.extent, TILE), "parallel", (cut,))


def _perfect_nest(item: Statement) -> list[For] | None:
    """Parallel loops, each around the next alone, and a vector loop without loops inside."""
    nest: list[For] = []
    while isinstance(item, For):
        nest.append(item)
        if item.kind == "vector":
            simple = all(isinstance(inner, Let | Store) for inner in item.body)
            return nest if len(nest) > 1 and simple else None
        if item.kind != "parallel" or len(item.body) != 1:
            return None
        item = item.body[0]
    return None


def _is_large(extent: Size) -> bool:
    return not isinstance(extent, int) or extent > SMALL


def _accesses(body: Sequence[Statement]) -> Iterator[Access]:
    for item in body:
        expressions: Iterable[Expr] = ()
        match item:
            case Let(value=value):
                expressions = (value,)
            case Store(buffer=buffer, index=index, value=value):
                yield buffer, index
                expressions = (value, *index)
        for expression in expressions:
            for part in walk(expression):
                if isinstance(part, Load):
                    yield part.buffer, part.index


def _runs_across(access: Access, parameters: dict[str, Parameter], rows: str, lanes: str) -> bool:
    """Neighbours along the rows' axis lie side by side, along the lanes' axis far apart."""
    buffer, index = access
    if buffer not in parameters:
        return False
    shape = parameters[buffer].shape
    position: Size = 0
    for axis, item in enumerate(index):
        if not isinstance(item, Index):
            return False
        position = position + item.size * size_product(shape[axis + 1 :])
    if not isinstance(position, Dim):
        return False
    return position.coefficient(rows) == 1 and position.coefficient(lanes) not in (0, 1, -1, None)


def _moved(item: Statement, axis: str, place: Size) -> Statement:
    """The statement with an axis replaced."""

    def leaf(expr: Expr) -> Expr | None:
        if isinstance(expr, Index):
            return Index(substitute(expr.size, {axis: place}))
        return None

    match item:
        case Let(name, value, sources):
            return Let(name, transform(value, leaf), sources)
        case Store(buffer, index, value, accumulate, sources):
            moved = tuple(transform(part, leaf) for part in index)
            return Store(buffer, moved, transform(value, leaf), accumulate, sources)
        case _:
            raise AssertionError("only bodies of Let and Store are moved")
