"""Loops that run across the rows of an array, cut so that its cache lines are used whole.

    for i in n parallel:                for t in ceil(m / 64) * ceil(n / 512) parallel:
      for j in m vector:         ->       for i in 512//8 serial:
        out[i, j] = x[j, i]                 for j in 64 vector:
                                              out[8*i, j] = x[j, 8*i]
                                              ...
                                              out[8*i + 7, j] = x[j, 8*i + 7]

Lanes read x with a stride: every element from another line. In the second form (where the places of
a tile t are left out, and what remains of n and m) the 64 lines that a tile needs stay in the cache
while i runs along them, and what a lane reads for several rows lies side by side, so that it is
loaded together and transposed in registers (see neighbours.py).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from graphc.backends.llvm.lanes import survey
from graphc.backends.llvm.neighbours import loads_of_every_lane
from graphc.dims import combine
from graphc.loops.ir import For, Kernel, Let, Parameter, Statement, Store
from graphc.loops.tidy import renamed, with_sizes
from graphc.scalar.expr import Expr, Index, Load, walk
from graphc.shapes import Dim, Size, ceil_div, dim_max, dim_min, floor_div, size_product

TILE = 64
SMALL = 2 * TILE  # static extents up to this are not cut
LENGTH = 512  # rows of a tile
ROWS = 8  # rows that a lane reads together
LANES = 16  # lanes that read so
MOST = 64  # cost of an element of all of them
NARROW = (4, 8)  # bytes of elements that are loaded together

Access = tuple[str, tuple[Expr, ...]]


def tiled(kernel: Kernel) -> tuple[Statement, ...]:
    """The body of the kernel, with such loops cut."""
    shapes = {parameter.name: parameter for parameter in kernel.parameters}
    return tuple(tiled_nest(item, shapes) for item in kernel.body)


def tiled_nest(item: Statement, parameters: dict[str, Parameter]) -> Statement:
    """The loop, cut if it is of the first form."""
    nest, lets = nest_of(item)
    if len(nest) < 2 or any(loop.extent == 0 for loop in nest):
        return item
    *outer, lanes = nest
    together = 1
    rows = _rows_across(_narrow_loads(lanes.body), outer, lanes, parameters)
    if rows is not None:
        together = _rows_together(rows, lanes)
    else:
        rows = _rows_across(_accesses(lanes.body), outer, lanes, parameters)
    if rows is None or (together == 1 and not _is_large(lanes.extent)):
        return item
    others = [loop for loop in outer if loop is not rows]
    return _cut(others, replace(rows, body=tuple(lets)), lanes, together)


def _cut(outer: Sequence[For], rows: For, lanes: For, together: int) -> Statement:
    """The nest as one loop over tiles, which are some rows of some lanes each.

    rows: with what is computed once for each row as its body.
    """
    width = TILE if _is_large(lanes.extent) else lanes.extent
    length = LENGTH if _is_large(rows.extent, LENGTH) else rows.extent
    extents = [loop.extent for loop in outer]
    extents += [ceil_div(lanes.extent, width), ceil_div(rows.extent, length)]
    axis = Dim.symbol(f"{lanes.axis}_tile")
    count, places = size_product(extents), list[Size]()
    inside: Size = 1
    for number, extent in reversed(list(enumerate(extents))):
        place = floor_div(axis, inside)
        if number:
            place = place - extent * floor_div(axis, extent * inside)
        places.insert(0, place)
        inside = inside * extent
    *start, lane, row = places
    first_lane, first_row = lane * width, row * length
    moved: dict[str, Size] = {loop.axis: place for loop, place in zip(outer, start, strict=True)}
    moved[lanes.axis] = Dim.symbol(lanes.axis) + first_lane
    if not _is_whole(lanes.extent, width):
        width = dim_min(width, lanes.extent - first_lane)
    if not _is_whole(rows.extent, length):
        length = dim_min(length, rows.extent - first_row)
    strip = For(lanes.axis, width, "vector", tuple(with_sizes(lanes.body, moved)))
    rows = replace(rows, body=tuple(with_sizes(rows.body, moved)))
    body = _in_groups(rows, first_row, length, strip, together)
    return For(f"{lanes.axis}_tile", count, "parallel", body)


def _is_whole(extent: Size, tile: Size) -> bool:
    """Whether all tiles have that size: then no code is needed for what is left over."""
    if isinstance(extent, int) and isinstance(tile, int):
        return extent % tile == 0
    return extent == tile


def _rows_together(rows: For, lanes: For) -> int:
    """How many rows are computed in one loop over the lanes."""
    together, cost = ROWS, survey(lanes.body).cost
    while together > 1 and (
        together * cost > MOST or (isinstance(rows.extent, int) and together > rows.extent)
    ):
        together //= 2
    return together


def _in_groups(
    rows: For, first: Size, length: Size, strip: For, together: int
) -> tuple[Statement, ...]:
    """Loops over rows first to first + length around a vector loop: so many rows and LANES lanes
    together, and row by row what is left over of both."""
    row, lane = Dim.symbol(rows.axis), Dim.symbol(strip.axis)

    def at_row(place: Size, inner: For) -> tuple[Statement, ...]:
        return (*with_sizes(rows.body, {rows.axis: place}), inner)

    if together == 1:
        single = with_sizes(strip.body, {rows.axis: first + row})
        inner = For(strip.axis, strip.extent, "vector", tuple(single))
        return (For(rows.axis, length, "parallel", at_row(first + row, inner)),)
    groups, blocks = floor_div(length, together), floor_div(strip.extent, LANES)
    place = Dim.symbol(f"{strip.axis}_block") * LANES + lane
    own = [item.name for item in (*rows.body, *strip.body) if isinstance(item, Let)]

    def together_of(body: Sequence[Statement]) -> list[Statement]:
        return [
            item
            for k in range(together)
            for item in renamed(
                with_sizes(body, {rows.axis: first + row * together + k, strip.axis: place}),
                {name: f"{name}_{k}" for name in own},
            )
        ]

    vector = For(strip.axis, LANES, "vector", tuple(together_of(strip.body)))
    block = For(f"{strip.axis}_block", blocks, "parallel", (vector,))
    result = [For(rows.axis, groups, "parallel", (*together_of(rows.body), block))]
    left = strip.extent - blocks * LANES
    if length - groups * together != 0 or left != 0:
        behind = groups * together * dim_max(0, 1 - left)
        is_in_group = dim_min(1, dim_max(0, groups * together - behind - row))
        done = is_in_group * blocks * LANES
        moved = {rows.axis: first + behind + row, strip.axis: lane + done}
        single = with_sizes(strip.body, moved)
        rest = For(strip.axis, strip.extent - done, "vector", tuple(single))
        last = at_row(first + behind + row, rest)
        result.append(For(rows.axis, length - behind, "parallel", last))
    return tuple(result)


def nest_of(item: Statement) -> tuple[list[For], list[Statement]]:
    """Parallel loops, each around the next, and a vector loop without loops inside; and what is
    computed between them, the same for all lanes. No loops where there is anything else."""
    nest: list[For] = []
    lets: list[Statement] = []
    while isinstance(item, For):
        nest.append(item)
        if item.kind == "vector":
            simple = all(isinstance(inner, Let | Store) for inner in item.body)
            return (nest, lets) if simple else ([], [])
        *before, inside = item.body
        if item.kind != "parallel" or not all(isinstance(one, Let) for one in before):
            break
        lets += before
        item = inside
    return [], []


def _is_large(extent: Size, most: int = SMALL) -> bool:
    return not isinstance(extent, int) or extent > most


def _narrow_loads(body: Sequence[Statement]) -> Iterator[Access]:
    for load in loads_of_every_lane(body):
        if load.dtype.itemsize in NARROW:
            yield load.buffer, load.index


def _rows_across(
    accesses: Iterable[Access], outer: Sequence[For], lanes: For, parameters: dict[str, Parameter]
) -> For | None:
    """The loop along which some access has its neighbours, while lanes are far apart."""
    positions = [position_of(access, parameters) for access in accesses]
    apart = [
        place
        for place in positions
        if isinstance(place, Dim) and place.coefficient(lanes.axis) not in (0, 1, -1, None)
    ]
    for loop in reversed(outer):
        if any(place.coefficient(loop.axis) == 1 for place in apart):
            return loop
    return None


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


def position_of(access: Access, parameters: dict[str, Parameter]) -> Size | None:
    """The place in its array, where it is a polynomial."""
    buffer, index = access
    if buffer not in parameters:
        return None
    shape = parameters[buffer].shape
    summands: list[tuple[Size, int]] = []
    for axis, item in enumerate(index):
        if not isinstance(item, Index):
            return None
        summands.append((item.size * size_product(shape[axis + 1 :]), 1))
    return combine(summands)
