"""Kernels of ops that go along an axis in order: running values, searching; sorting is in
`sorting`.

Each row is one iteration of the loops over the other axes. What a row keeps from element to
element lies in scratch memory, so every backend runs these kernels as it runs any other.
"""

from collections.abc import Mapping, Sequence

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
from graphc.loops.sorting import select_row, sort_row
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
    is_nan,
    le,
    lt,
    not_,
    or_,
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
    numbers: tuple[int, ...] = (0,)
    read: tuple[str, ...] = ("x",)
    if isinstance(lower, Cumulative):
        body = _running(node, lower, names)
    elif isinstance(lower, Search):
        read = ("x", "values")
        body = _search(node, names)
    else:
        numbers = tuple(n for n in range(2) if Tensor(node, n).key in buffers)
        written = tuple(("values", "positions")[n] for n in numbers)
        extents = axis_extents(node.inputs[0].shape, names)
        axis = names[node.attrs["axis"]]
        row = select_row if "count" in node.attrs else sort_row
        body = _around(row(node, names, written), extents, axis, "parallel")
    outputs = [Tensor(node, number) for number in numbers]
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
