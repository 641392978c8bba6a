"""Kernels of ops that go along an axis in order: running values, searching; sorting is in
`sorting`, `selecting` and the files beside them.

Each row is one iteration of the loops over the other axes. What a row keeps from element to
element lies in scratch memory, so every backend runs these kernels as it runs any other.
"""

from collections.abc import Callable, Mapping, Sequence

from graphc.dtypes import float64, int64, is_floating
from graphc.ir.lowering import Cumulative, Search
from graphc.ir.node import Node
from graphc.ir.tensor import Tensor
from graphc.loops.ir import (
    For,
    If,
    Kernel,
    Let,
    LoopKind,
    Parameter,
    Scratch,
    Statement,
    Store,
)
from graphc.loops.selecting import select_row
from graphc.loops.selecting_lanes import rows_in_lanes
from graphc.loops.sorting import sort_row
from graphc.loops.values import axis_extents, root_of
from graphc.scalar.expr import (
    Call,
    Expr,
    Index,
    Load,
    Local,
    add,
    and_,
    cast,
    constant,
    is_nan,
    le,
    lt,
    not_,
    or_,
    select,
    shl,
    sub,
)
from graphc.shapes import Dim, Shape, Size, ceil_div, dim_min, size_product, symbols_of

Key = tuple[int, int]

COLUMNS = 512  # whose running values are kept at a time
ROWS = 32  # the same
NARROW = 16  # columns, if they are known to be so few, that stay in registers
SEARCHED = 256  # values that are searched for side by side
DOUBLINGS = 40  # passes over a row of symbolic size: enough for 2**40 elements


def row_kernel(
    node: Node, names: Sequence[str], buffers: Mapping[Key, str]
) -> tuple[Kernel, tuple[str, ...]]:
    """The kernel of a node with the lowering Cumulative, Sort or Search, and its arguments."""
    lower = node.op.lower
    written: tuple[str, ...] = ("out",)
    numbers: tuple[int, ...] = (0,)
    read: tuple[str, ...] = ("x",)
    views: dict[str, Shape] = {}
    if isinstance(lower, Cumulative):
        body, view = _running(node, lower, names)
        views = {"out": view, "x": view}
    elif isinstance(lower, Search):
        read = ("x", "values")
        body, count = _search(node, names)
        views = {"out": (count,), "values": (count,)}
    else:
        numbers = tuple(n for n in range(2) if Tensor(node, n).key in buffers)
        written = tuple(("values", "positions")[n] for n in numbers)
        extents = axis_extents(node.inputs[0].shape, names)
        axis = names[node.attrs["axis"]]
        several = rows_in_lanes(node, names, written)
        if several is not None:
            body, view, results = several
            views = {"x": view, **dict.fromkeys(written, results)}
        else:
            row = select_row if "count" in node.attrs else sort_row
            body = _around(row(node, names, written), extents, axis, "parallel")
    outputs = [Tensor(node, number) for number in numbers]
    parameters = [
        Parameter(name, tensor.dtype, views.get(name, tensor.shape), number < len(written))
        for number, (name, tensor) in enumerate(
            zip((*written, *read), (*outputs, *node.inputs), strict=True)
        )
    ]
    symbols: set[str] = set()
    for parameter in parameters:
        for size in parameter.shape:
            symbols |= symbols_of(size)
    kernel = Kernel(
        node.op.name,
        tuple(parameters),
        tuple(sorted(symbols)),
        tuple(body),
        node.sources,
        node.op.name,
    )
    arguments = [tensor.key for tensor in outputs]
    arguments += [root_of(tensor).key for tensor in node.inputs]
    return kernel, tuple(buffers[key] for key in arguments)


def _around(
    body: list[Statement], extents: dict[str, Size], skip: str | None, last: LoopKind
) -> list[Statement]:
    """The loops over all axes but `skip`; the innermost is of kind `last`."""
    kind = last
    for axis, extent in reversed(extents.items()):
        if axis != skip:
            body = [For(axis, extent, kind, tuple(body))]
            kind = "parallel"
    return body


# --- running values --------------------------------------------------------------------------


def _running(node: Node, lower: Cumulative, names: Sequence[str]) -> tuple[list[Statement], Shape]:
    """The loops over an array [before, j, behind], and its shape.

    running = initial; for j: running = step(running, x[.., j, ..]); out[.., j, ..] = running.

    The states of some columns are a row in memory, along which lanes run; those of a few rows where
    nothing lies behind the axis and a step takes long. Else a row has one state to itself.
    """
    output, number = Tensor(node), node.attrs["axis"]
    size, dtype, reverse = output.shape[number], output.dtype, node.attrs["reverse"]
    before, behind = size_product(output.shape[:number]), size_product(output.shape[number + 1 :])
    working = float64 if lower.wide and is_floating(dtype) else dtype
    (outer, axis), (lane, tile) = names[:2], names[-2:]  # a single axis needs two
    row, turn = Dim.symbol(outer), Dim.symbol(axis)
    along = size - 1 - turn if reverse else turn

    def steps(state: Size, place: tuple[Size, ...]) -> tuple[Statement, tuple[Statement, ...]]:
        """What comes before the elements, and what each of them does."""
        held, at = (Index(state),), tuple(map(Index, place))
        start = constant(lower.initial(working), working)
        old = Load("running", held, working)
        value = lower.step(old, cast(Load("x", at, node.inputs[0].dtype), working))
        return Store("running", held, start, False, node.sources), (
            Let("now", value, node.sources),
            Store("running", held, Local("now", working), False, node.sources),
            Store("out", at, cast(Local("now", working), dtype), False, node.sources),
        )

    def tiled(width: int, extent: Size, place: Callable[[Size], tuple[Size, ...]]) -> For:
        """Loops over so many lanes at a time."""
        is_whole = isinstance(extent, int) and extent <= width
        first = 0 if is_whole else Dim.symbol(tile) * width
        count = extent if is_whole else dim_min(width, extent - first)
        start, each = steps(Dim.symbol(lane), place(first + Dim.symbol(lane)))
        body = (
            Scratch("running", working, (width,)),
            For(lane, count, "vector", (start,)),
            For(axis, size, "serial", (For(lane, count, "vector", each),)),
        )
        return For(tile, ceil_div(extent, width), "parallel", body)

    if behind == 1:
        shape: Shape = (before, size)
        # Backwards through memory all the way, where rows are run through backwards.
        start, each = steps(0, (before - 1 - row if reverse else row, along))
        if before != 1 and not _is_cheap(each[0]):
            return [tiled(ROWS, before, lambda lane: (lane, along))], shape
        body = (Scratch("running", working, (1,)), start, For(axis, size, "serial", each))
        return [For(outer, before, "parallel", body)], shape
    shape = (before, size, behind)
    if isinstance(behind, int) and behind <= NARROW:
        start, each = steps(0, (row, along, Dim.symbol(lane)))
        body = (Scratch("running", working, (1,)), start, For(axis, size, "serial", each))
        return [For(outer, before, "parallel", (For(lane, behind, "vector", body),))], shape
    columns = tiled(COLUMNS, behind, lambda lane: (row, along, lane))
    return [For(outer, before, "parallel", (columns,))], shape


def _is_cheap(step: Statement) -> bool:
    """Whether backends may combine neighbours in a row before what came before them: sums, extrema,
    and products that are wider than the elements."""
    assert isinstance(step, Let) and isinstance(step.value, Call)
    state, element = step.value.args
    return isinstance(state, Load) and (step.value.op != "mul" or isinstance(element, Call))


# --- order -----------------------------------------------------------------------------------


def comes_before(x: Expr, y: Expr) -> Expr:
    """Whether x surely stands before y in order: NaN comes after all numbers."""
    ordered = lt(x, y)
    if not is_floating(x.dtype):
        return ordered
    return or_(ordered, and_(is_nan(y), not_(is_nan(x))))


def _search(node: Node, names: Sequence[str]) -> tuple[list[Statement], Size]:
    """For each value the number of elements that stand before it, found bit by bit; and how many
    values there are, in a row.

    Lanes run along some values, whose numbers so far are a row in memory; a step is the same for
    all of them, and those that are longer than the row are left out together.
    """
    x, values = node.inputs
    size, dtype, sources = x.shape[0], x.dtype, node.sources
    tile, turn, lane = names[0], names[-2], names[-1]
    count = size_product(values.shape)
    steps = size.bit_length() if isinstance(size, int) else DOUBLINGS
    first = Dim.symbol(tile) * SEARCHED
    many = dim_min(SEARCHED, count - first)
    state, place = (Index(Dim.symbol(lane)),), (Index(first + Dim.symbol(lane)),)
    value, element, probe = Local("value", dtype), Local("element", dtype), Local("probe", int64)
    if node.attrs["side"] == "left":
        passed = comes_before(element, value)
    else:
        passed = not_(comes_before(value, element))
    inside, found = le(probe, Index(size)), Load("found", state, int64)
    look: tuple[Statement, ...] = (
        Let("value", Load("values", place, dtype), sources),
        Let("probe", add(found, Local("step", int64)), sources),
        Let(
            "element", Load("x", (sub(select(inside, probe, Index(1)), Index(1)),), dtype), sources
        ),
        Store("found", state, select(and_(inside, passed), probe, found), False, sources),
    )
    body: tuple[Statement, ...] = (
        Scratch("found", int64, (SEARCHED,)),
        For(lane, many, "vector", (Store("found", state, Index(0), False, sources),)),
        For(
            turn,
            steps,
            "serial",
            (
                Let("step", shl(Index(1), Index(steps - 1 - Dim.symbol(turn))), sources),
                If(le(Local("step", int64), Index(size)), (For(lane, many, "vector", look),)),
            ),
        ),
        For(lane, many, "vector", (Store("out", place, found, False, sources),)),
    )
    return [For(tile, ceil_div(count, SEARCHED), "parallel", body)], count
