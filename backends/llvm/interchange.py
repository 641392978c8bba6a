"""Sums and extrema down the columns of an array, computed row by row.

    for j in m vector:               for t in ceil(m / 512) parallel:
      total = 0.0                      sums[512], part[512] scratch
      for i in n serial:               for j in 512 vector: sums[j] = 0.0
        total += x[i, j]        ->     for b in ceil(n / 256) serial:
      out[j] = total                     for j in 512 vector: part[j] = 0.0
                                         for i in min(256, n - 256*b) serial:
                                           for j in 512 vector: part[j] += x[256*b + i, 512*t + j]
                                         for j in 512 vector: sums[j] += part[j]
                                       for j in 512 vector: out[512*t + j] = sums[j]

The first form keeps its sums in registers, but touches a line or two of every row and comes back
for the rest when the row has left the cache. The second reads on along the rows. Long float32 sums
are made of sums over blocks of rows, as in all loops (see loops.py). Several loops over the rows,
as in a softmax down the columns, become several such passes over a tile; what is computed between
them lies in scratch memory as the sums do. So do the positions of extrema. Truth values, of "any"
and "all", are extrema of bytes there.

Inside of other loops, rows of unknown width may be narrow: then there are both forms.
"""

from collections.abc import Sequence
from dataclasses import replace

from graphc.backends.llvm.columns import Columns, Pass
from graphc.backends.llvm.lanes import most_of
from graphc.backends.llvm.scalar_ops import memory_type, register_type
from graphc.dtypes import DType, bool_, uint8
from graphc.loops.accumulators import ARITHMETIC, POSITIONAL
from graphc.loops.ir import Accumulate, Accumulator, For, If, Kernel, Let, Statement, Store
from graphc.loops.tidy import loads_of, map_values, statements_of
from graphc.scalar.expr import Const, Expr, Index, Load, Local, cast, le, lt, ne, transform
from graphc.shapes import Dim, Shape, Size, dim_max, dim_min, size_product, symbols_of

WIDE = 1024  # bytes of a row from which rows are read one after the other, if there are many
NARROW = 128  # bytes of a row that lanes side by side read at once, as a rule
FEWEST = 32  # rows
MANY = 256  # rows for which that pays in any case; fewer, if they do not stay in the caches
LARGE, LARGE_WITH_POSITIONS = 1 << 20, 2 << 20  # bytes of all rows
OF_FLAGS = {"or": "maximum", "and": "minimum"}  # of the same values as bytes


def interchanged(kernel: Kernel, body: Sequence[Statement]) -> tuple[Statement, ...]:
    """The body of the kernel, with such loops turned round."""
    shapes = {parameter.name: parameter.shape for parameter in kernel.parameters}
    return tuple(one for item in body for one in _visited(item, shapes, frozenset()))


def _visited(item: Statement, shapes: dict[str, Shape], axes: frozenset[str]) -> list[Statement]:
    """axes: of the loops around it."""
    if not isinstance(item, For):
        return [item]
    if item.kind == "vector":
        columns = _matched(_of_bytes(item), shapes)
        if columns is None:
            return [item]
        most = _narrow(columns, axes, shapes) if axes else None
        return [columns.turned()] if most is None else _either(item, columns, most)
    inner = (one for i in item.body for one in _visited(i, shapes, axes | {item.axis}))
    return [For(item.axis, item.extent, item.kind, tuple(inner))]


def _narrow(columns: Columns, axes: frozenset[str], shapes: dict[str, Shape]) -> Size | None:
    """The bytes of the widest row, if it is unknown whether they are so many."""
    if len(columns.passes) > 1 or most_of(columns.lanes.extent) is not None:
        return None
    widest = dim_max(*_strides(columns.passes[0], columns.lanes, shapes))
    return None if isinstance(widest, int) or symbols_of(widest) & axes else widest


def _either(item: For, columns: Columns, widest: Size) -> list[Statement]:
    """Both forms. Where rows are not wide, there are not many lanes either."""
    row, wide = Index(widest), Index(WIDE)
    narrow = For(item.axis, dim_min(item.extent, WIDE), item.kind, item.body)
    return [If(lt(row, wide), (narrow,)), If(le(wide, row), (columns.turned(),))]


def _matched(lanes: For, shapes: dict[str, Shape]) -> Columns | None:
    """The loop taken apart, if it is of the first form, and is better in the second."""
    passes: list[Pass] = []
    before: list[Let | Accumulator] = []
    after: list[Let | Store] = []
    stores: list[Store] = []  # between the passes: they may as well come last
    for item in lanes.body:
        match item:
            case For(kind="serial"):
                stores += (one for one in after if isinstance(one, Store))
                if {one.buffer for one in stores} & _touched(item):
                    return None
                passes.append(Pass(tuple(before), item))
                before, after = [], []
            case Let():
                before.append(item)
                after.append(item)
            case Accumulator() if _is_plain(item):
                before.append(item)
            case Store(accumulate=False):
                after.append(item)
            case _:
                return None
    accumulators = [one for part in passes for one in part.accumulators]
    left = len(before) - sum(isinstance(item, Let) for item in after)  # that no loop feeds
    if not accumulators or left or not all(map(_is_simple, passes)):
        return None
    if not all(_pays(part, len(passes) > 1, lanes, shapes) for part in passes):
        return None
    found = Columns(lanes, tuple(passes), (*stores, *after))
    return found if all(_is_same_in_memory(let.value.dtype) for let in found.kept) else None


def _touched(loop: For) -> set[str]:
    """The arrays that a loop reads or writes."""
    stored = {one.buffer for one in statements_of(loop.body) if isinstance(one, Store)}
    return stored | {one.buffer for one in loads_of(loop.body)}


def _of_bytes(lanes: For) -> For:
    """The loop with accumulators of truth values, if there are any, as such of bytes."""
    flags: set[str] = set()
    items: list[Statement] = []
    for item in lanes.body:
        if isinstance(item, Accumulator) and item.dtype == bool_ and item.combine in OF_FLAGS:
            flags.add(item.name)
            item = replace(item, combine=OF_FLAGS[item.combine], dtype=uint8)
        items.append(item)
    if not flags:
        return lanes

    def leaf(part: Expr) -> Expr | None:
        if isinstance(part, Local) and part.name in flags:
            return ne(Local(part.name, uint8), Const(0, uint8))
        return None

    def changed(item: Statement) -> Statement:
        item = map_values(item, lambda value: transform(value, leaf))
        if isinstance(item, For):
            return For(item.axis, item.extent, item.kind, tuple(map(changed, item.body)))
        if isinstance(item, Accumulate) and item.name in flags:
            return Accumulate(item.name, cast(item.value, uint8), item.position, item.sources)
        return item

    return For(lanes.axis, lanes.extent, lanes.kind, tuple(map(changed, items)))


def _is_simple(part: Pass) -> bool:
    """Whether a loop feeds the accumulators before it and does nothing else."""
    body = part.rows.body
    simple = all(isinstance(item, Let | Accumulate | Store) for item in body)
    if not simple or any(isinstance(item, Store) and item.accumulate for item in body):
        return False
    fed = {item.name for item in body if isinstance(item, Accumulate)}
    return fed == {one.name for one in part.accumulators}


def _pays(part: Pass, several: bool, lanes: For, shapes: dict[str, Shape]) -> bool:
    """Whether it touches elements that lie far apart, and enough of them. several: passes."""
    far = _strides(part, lanes, shapes)
    extent = part.rows.extent
    narrow = all(isinstance(stride, int) and stride < WIDE for stride in far)
    if not far or not isinstance(extent, int) or (extent >= MANY and not narrow):
        return bool(far)
    if extent < FEWEST or several:
        return extent >= FEWEST
    positions = any(one.position_name is not None for one in part.accumulators)
    least = LARGE_WITH_POSITIONS if positions else LARGE
    return sum(stride for stride in far if isinstance(stride, int)) * extent >= least


def _strides(part: Pass, lanes: For, shapes: dict[str, Shape]) -> list[Size]:
    """Bytes from row to row, of what lies far apart."""
    touched: dict[Load, None] = dict.fromkeys(loads_of(part.rows.body))
    for one in part.rows.body:
        if isinstance(one, Store):
            touched[Load(one.buffer, one.index, one.value.dtype)] = None
    strides = (_stride(one, lanes, part.rows, shapes) for one in touched)
    return [stride for stride in strides if stride is not None]


def _is_plain(one: Accumulator) -> bool:
    """Whether sums are the same in memory as in registers."""
    return one.combine in (*ARITHMETIC, *POSITIONAL) and _is_same_in_memory(one.dtype)


def _is_same_in_memory(dtype: DType) -> bool:
    return memory_type(dtype) == register_type(dtype)


def _stride(one: Load, lanes: For, rows: For, shapes: dict[str, Shape]) -> Size | None:
    """Bytes from row to row, where neighbours lie side by side along the lanes, and rows are wider
    than what lanes take of them."""
    if one.buffer not in shapes:
        return None
    shape, position = shapes[one.buffer], 0
    total: Size = position
    for axis, item in enumerate(one.index):
        if not isinstance(item, Index):
            return None
        total = total + item.size * size_product(shape[axis + 1 :])
    if not isinstance(total, Dim) or total.coefficient(lanes.axis) != 1:
        return None
    stride = total.coefficient(rows.axis)
    if stride is None or stride == 0:
        return None
    stride = stride * one.dtype.itemsize
    return None if isinstance(stride, int) and stride <= NARROW else stride
