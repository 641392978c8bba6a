"""Kernels of ops that go along an axis in order: running values, sorting, searching.

Each row is one iteration of the loops over the other axes. What a row keeps from element to
element lies in scratch memory, so every backend runs these kernels as it runs any other.
"""

from collections.abc import Mapping, Sequence

from graphc.dtypes import bool_, float64, int64, is_floating
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
from graphc.loops.values import axis_extents, domain_index, root_of
from graphc.scalar.expr import (
    Expr,
    Index,
    Load,
    Local,
    add,
    and_,
    cast,
    constant,
    eq,
    is_nan,
    le,
    lt,
    minimum,
    not_,
    or_,
    select,
    shl,
    sub,
)
from graphc.shapes import Dim, Shape, Size, symbols_of

Key = tuple[int, int]

DOUBLINGS = 40  # passes over a row of symbolic size: enough for 2**40 elements


def row_kernel(
    node: Node, names: Sequence[str], buffers: Mapping[Key, str]
) -> tuple[Kernel, tuple[str, ...]]:
    """The kernel of a node with the lowering Cumulative, Sort or Search, and its arguments."""
    lower = node.op.lower
    written: tuple[str, ...] = ("out",)
    read: tuple[str, ...] = ("x",)
    if isinstance(lower, Cumulative):
        body = _running(node, lower, names)
    elif isinstance(lower, Search):
        read = ("x", "values")
        body = _search(node, names)
    else:
        written = ("values", "positions")
        body = _sort(node, names)
    outputs = [Tensor(node, number) for number in range(len(written))]
    parameters = [
        Parameter(name, tensor.dtype, tensor.shape, number < len(written))
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


def _along(axis: str, shape: Shape, number: int, body: list[Statement]) -> Statement:
    """The serial loop over the elements of a row."""
    return For(axis, shape[number], "serial", tuple(body))


# --- running values --------------------------------------------------------------------------


def _running(node: Node, lower: Cumulative, names: Sequence[str]) -> list[Statement]:
    """running = initial; for j: running = step(running, x[.., j, ..]); out[.., j, ..] = running.

    Where the axis is not the last, the lanes of a vector run along the last axis.
    """
    output, number = Tensor(node), node.attrs["axis"]
    shape, dtype, axis = output.shape, output.dtype, names[node.attrs["axis"]]
    working = float64 if lower.wide and is_floating(dtype) else dtype
    place, turn = list(domain_index(shape, names)), Index(Dim.symbol(axis))
    place[number] = sub(Index(shape[number] - 1), turn) if node.attrs["reverse"] else turn
    state = (Index(0),)
    element = cast(Load("x", tuple(place), node.inputs[0].dtype), working)
    value = lower.step(Load("running", state, working), element)
    start = constant(lower.initial(working), working)
    sources = node.sources
    body: list[Statement] = [
        Scratch("running", working, (1,)),
        Store("running", state, start, False, sources),
        _along(
            axis,
            shape,
            number,
            [
                Let("now", value, sources),
                Store("running", state, Local("now", working), False, sources),
                Store("out", tuple(place), cast(Local("now", working), dtype), False, sources),
            ],
        ),
    ]
    lanes = number != len(shape) - 1 and shape[-1] != 1
    return _around(body, axis_extents(shape, names), axis, "vector" if lanes else "parallel")


# --- order -----------------------------------------------------------------------------------


def comes_before(x: Expr, y: Expr, descending: bool = False) -> Expr:
    """Whether x surely stands before y in order: NaN comes after all numbers, either way."""
    ordered = lt(y, x) if descending else lt(x, y)
    if not is_floating(x.dtype):
        return ordered
    return or_(ordered, and_(is_nan(y), not_(is_nan(x))))


def _sort(node: Node, names: Sequence[str]) -> list[Statement]:
    """A stable merge sort from the bottom up; runs of 1, 2, 4, ... are merged in pairs.

    keys and places hold the row and the one that is being made of it in turn. Element e of the
    new row lies in a pair of runs [start, middle) and [middle, end); `taken` of its elements came
    from the left one.
    """
    x, number = node.inputs[0], node.attrs["axis"]
    shape, dtype, axis = x.shape, x.dtype, names[node.attrs["axis"]]
    size, turn, sources = shape[number], names[len(x.shape)], node.sources
    e, n, one = Index(Dim.symbol(axis)), Index(size), Index(1)
    place = list(domain_index(shape, names))
    place[number] = e
    side, taken = Load("state", (Index(0),), int64), Load("state", (one,), int64)
    passes = max(size - 1, 0).bit_length() if isinstance(size, int) else DOUBLINGS

    def put(buffer: str, index: tuple[Expr, ...], value: Expr) -> Store:
        return Store(buffer, index, value, False, sources)

    def number_named(name: str) -> Expr:
        return Local(name, int64)

    width, here, there = (number_named(name) for name in ("width", "here", "there"))
    offset, middle, end = (number_named(name) for name in ("offset", "middle", "end"))
    before, left, right = (number_named(name) for name in ("before", "left", "right"))
    left_at, right_at = minimum(left, sub(middle, one)), minimum(right, sub(n, one))
    a, b = Local("a", dtype), Local("b", dtype)
    from_right = Local("from_right", bool_)
    later = comes_before(b, a, node.attrs["descending"])
    merge: list[Statement] = [
        Let("offset", and_(e, sub(add(width, width), one))),
        Let("middle", minimum(add(sub(e, offset), width), n)),
        Let("end", minimum(add(middle, width), n)),
        Let("before", select(eq(offset, Index(0)), Index(0), taken)),
        Let("left", add(sub(e, offset), before)),
        Let("right", add(middle, sub(offset, before))),
        Let("left_at", left_at),
        Let("right_at", right_at),
        Let("a", Load("keys", (here, number_named("left_at")), dtype)),
        Let("b", Load("keys", (here, number_named("right_at")), dtype)),
        Let("from_right", and_(lt(right, end), or_(le(middle, left), later))),
        put("keys", (there, e), select(from_right, b, a)),
        Let("source", select(from_right, number_named("right_at"), number_named("left_at"))),
        put("places", (there, e), Load("places", (here, number_named("source")), int64)),
        put("state", (one,), select(from_right, before, add(before, one))),
    ]
    one_pass: list[Statement] = [
        Let("here", side),
        Let("there", sub(one, number_named("here"))),
        _along(axis, shape, number, merge),
        put("state", (Index(0),), there),
    ]
    body: list[Statement] = [
        Scratch("keys", dtype, (2, size)),
        Scratch("places", int64, (2, size)),
        Scratch("state", int64, (2,)),
        put("state", (Index(0),), Index(0)),
        put("state", (one,), Index(0)),
        _along(
            axis,
            shape,
            number,
            [
                put("keys", (Index(0), e), Load("x", tuple(place), dtype)),
                put("places", (Index(0), e), e),
            ],
        ),
        For(
            turn,
            passes,
            "serial",
            (
                Let("width", shl(one, Index(Dim.symbol(turn)))),
                If(lt(width, n), tuple(one_pass)),
            ),
        ),
        Let("last", side),
        _along(
            axis,
            shape,
            number,
            [
                put("values", tuple(place), Load("keys", (number_named("last"), e), dtype)),
                put("positions", tuple(place), Load("places", (number_named("last"), e), int64)),
            ],
        ),
    ]
    return _around(body, axis_extents(shape, names), axis, "parallel")


def _search(node: Node, names: Sequence[str]) -> list[Statement]:
    """For each value the number of elements that stand before it, found bit by bit."""
    x, values = node.inputs
    size, dtype, sources = x.shape[0], x.dtype, node.sources
    turn = names[len(values.shape)]
    place = domain_index(values.shape, names)
    steps = size.bit_length() if isinstance(size, int) else DOUBLINGS
    state = (Index(0),)
    value, probe = Local("value", dtype), Local("probe", int64)
    element = Load("x", (sub(probe, Index(1)),), dtype)
    if node.attrs["side"] == "left":
        passed = comes_before(element, value)
    else:
        passed = not_(comes_before(value, element))
    step = shl(Index(1), Index(steps - 1 - Dim.symbol(turn)))
    body: list[Statement] = [
        Scratch("found", int64, (1,)),
        Store("found", state, Index(0), False, sources),
        Let("value", Load("values", place, dtype), sources),
        For(
            turn,
            steps,
            "serial",
            (
                Let("probe", add(Load("found", state, int64), step), sources),
                If(
                    le(probe, Index(size)),
                    (If(passed, (Store("found", state, probe, False, sources),)),),
                ),
            ),
        ),
        Store("out", place, Load("found", state, int64), False, sources),
    ]
    return _around(body, axis_extents(values.shape, names), None, "parallel")
