"""Arrays that hold another one in a slice: of pieces, or read element by element.

    slice_gradient(v)    zeros around v     concat([zeros, v, zeros])
    update_slice(x, v)   x around v         concat([x[:a], v, x[b:]])
    pad(v)               a number around v

On the left every element asks where it lies, in whatever kernel reads it; on the right v is
computed where it ends up, and nothing is asked: it is that where the whole array is stored anyway.

From values that may have no entries none can be read on the left: there it is the right side, or
values with zeros behind them that have one.
"""

from collections.abc import Sequence
from math import isfinite

from graphc.dtypes import is_floating
from graphc.ir.graph import Graph
from graphc.ir.leaf import constant, scalar_value
from graphc.ir.lowering import (
    DepthwiseProduct,
    Elementwise,
    IndexMap,
    MinimalFiltering,
    Reduction,
    WindowProduct,
)
from graphc.ir.node import Node
from graphc.ir.registry import BUILDER
from graphc.ir.source import source_scope
from graphc.ir.tensor import Tensor
from graphc.ir.traversal import users_of
from graphc.ops.slicing import has_entries, slice_within
from graphc.passes.nested import Key, rebuild
from graphc.shapes import Shape, Size, dim_max, dim_min, lower_bound, size_product

OPS = ("slice_gradient", "update_slice", "pad")
FEW = 1 << 12  # elements, which one kernel asks about sooner than three begin
SMALL = 4  # values of less than one part in so many
WINDOWS = WindowProduct | MinimalFiltering | DepthwiseProduct  # of pads in layouts of their own


def join_pieces(graph: Graph) -> Graph:
    """The graph with concatenations in the place of such arrays where these are better."""
    asked = [node for node in graph.nodes if node.op.name in OPS]
    if not asked:
        return graph
    users = users_of(graph.nodes)
    results = {tensor.key for tensor in graph.results}
    of_pieces: set[int] = set()
    filled: set[int] = set()
    for node in asked:
        readers, is_result = users.get(id(node), []), Tensor(node).key in results
        if not _has_entries(node):
            asks = node.op.name == "slice_gradient" and bool(readers) and not is_result
            asks = asks and 0 not in node.inputs[0].shape
            asks = asks and all(_reads_along(node, reader) for reader in readers)
            (filled if asks else of_pieces).add(id(node))
        elif _is_computed(node, users) and (is_result or _is_stored(readers)) and _is_large(node):
            of_pieces.add(id(node))
    if not (of_pieces or filled):
        return graph

    made: dict[tuple[Key, int], Tensor] = {}  # values with an entry more along an axis

    def replace(node: Node, inputs: list[Tensor]) -> Sequence[Tensor] | None:
        if id(node) in filled:
            return node.op.apply([_with_entries(inputs[0], node, made)], node.attrs)
        return [_pieces(node, inputs)] if id(node) in of_pieces else None

    return rebuild(graph, replace, of_pieces | filled)


# --- which it is ---------------------------------------------------------------------------------


def _place(node: Node) -> tuple[Tensor, Sequence[Size], Sequence[int]]:
    """The values, and at which steps from where they lie in the whole array."""
    values = node.inputs[-1]
    if node.op.name == "pad":
        return values, [before for before, _ in node.attrs["widths"]], (1,) * values.ndim
    return values, node.attrs["starts"], node.attrs["steps"]


def _has_entries(node: Node) -> bool:
    values, starts, steps = _place(node)
    return has_entries(values, node.types[0].shape, starts, steps)


def _reads_along(node: Node, reader: Node) -> bool:
    """Whether the reader is elementwise and reads every element once."""
    return isinstance(reader.op.lower, Elementwise) and reader.types[0].shape == node.types[0].shape


def _is_stored(readers: Sequence[Node]) -> bool:
    """Whether readers make that the array is in memory."""
    moving = [reader for reader in readers if isinstance(reader.op.lower, IndexMap)]
    fused = Elementwise | IndexMap | Reduction | WINDOWS
    return len(moving) > 1 or any(not isinstance(reader.op.lower, fused) for reader in readers)


def _is_computed(node: Node, users: dict[int, list[Node]]) -> bool:
    """Whether a kernel computes the values, for this array alone."""
    values, _, steps = _place(node)
    lower = values.node.op.lower
    alone = len(users.get(id(values.node), [])) == 1 and isinstance(lower, Elementwise)
    return alone and bool(values.node.inputs) and all(step == 1 for step in steps)


def _is_large(node: Node) -> bool:
    count, whole = (size_product(one.shape) for one in (node.inputs[-1], node.types[0]))
    if not isinstance(count, int) or not isinstance(whole, int):
        return True
    return whole > FEW and count * SMALL > whole


# --- pieces --------------------------------------------------------------------------------------


def _pieces(node: Node, inputs: Sequence[Tensor]) -> Tensor:
    values, whole = inputs[-1], node.types[0]
    _, starts, steps = _place(node)
    with source_scope(node.sources):
        if node.op.name != "update_slice":
            number = constant(node.attrs.get("value", 0), whole.dtype)
            for axis, size in enumerate(whole.shape):
                values = _around(values, axis, size, starts[axis], steps[axis], number)
            return values
        old = inputs[0]
        if all(step == 1 for step in steps):
            return _spliced(old, starts, values, range(old.ndim))
        inside = BUILDER.broadcast_to(constant(True), values.shape)
        no, zero = constant(False), constant(0, whole.dtype)
        for axis, size in enumerate(whole.shape):
            inside = _around(inside, axis, size, starts[axis], steps[axis], no)
            values = _around(values, axis, size, starts[axis], steps[axis], zero)
        return BUILDER.where(inside, values, old)


def _around(
    values: Tensor, axis: int, size: Size, start: Size, step: int, number: Tensor
) -> Tensor:
    """The number, as often as `size` along an axis, with the values at start, start + step, ..."""
    count, stride = values.shape[axis], abs(step)
    if (start, step, count) == (0, 1, size):
        return values
    lowest = start if step > 0 else start + (count - 1) * step
    if step < 0:
        values = BUILDER.flip(values, axis)
    if stride > 1:
        apart = BUILDER.concat(
            [
                BUILDER.expand_dims(values, axis + 1),
                _filled(values, (count, stride - 1), axis, number),
            ],
            axis + 1,
        )
        spread = (*values.shape[:axis], count * stride, *values.shape[axis + 1 :])
        values = BUILDER.reshape(apart, spread)
        count = dim_max(count * stride - (stride - 1), 0)
        kept = (*values.shape[:axis], count, *values.shape[axis + 1 :])
        values = slice_within(values, (0,) * values.ndim, kept)
    before = dim_max(dim_min(lowest, size), 0)  # no values: any place will do
    around = (_filled(values, (n,), axis, number) for n in (before, size - before - count))
    return BUILDER.concat([next(around), values, next(around)], axis)


def _filled(like: Tensor, sizes: Shape, axis: int, number: Tensor) -> Tensor:
    return BUILDER.broadcast_to(number, (*like.shape[:axis], *sizes, *like.shape[axis + 1 :]))


def _spliced(x: Tensor, starts: Sequence[Size], values: Tensor, axes: Sequence[int]) -> Tensor:
    """What is before the values along the first of the axes, the values, and what is behind."""
    if not axes:
        return values
    axis, *rest = axes
    size, count = x.shape[axis], values.shape[axis]
    if (starts[axis], count) == (0, size):
        return _spliced(x, starts, values, rest)
    start = dim_max(dim_min(starts[axis], size), 0)

    def part(first: Size, number: Size) -> Tensor:
        begin = [first if other == axis else 0 for other in range(x.ndim)]
        return slice_within(x, begin, (*x.shape[:axis], number, *x.shape[axis + 1 :]))

    middle = _spliced(part(start, count), starts, values, rest)
    return BUILDER.concat([part(0, start), middle, part(start + count, size - start - count)], axis)


def _with_entries(values: Tensor, node: Node, made: dict[tuple[Key, int], Tensor]) -> Tensor:
    """The values, with a zero behind them along every axis of the slice that may be empty."""
    factors: list[Tensor] = []
    while (scaled := _scaled(values)) is not None:  # several slices may show multiples of one value
        values, factor = scaled
        factors.append(factor)
    zero = constant(0, values.dtype)
    _, starts, steps = _place(node)
    for axis, (count, size) in enumerate(zip(values.shape, node.types[0].shape, strict=True)):
        is_whole = (starts[axis], steps[axis], count) == (0, 1, size)
        if is_whole or (lower_bound(count) or 0) >= 1:
            continue
        key = values.key, axis
        if key not in made:
            more = _filled(values, (1 - dim_min(count, 1),), axis, zero)
            made[key] = BUILDER.concat([values, more], axis)
        values = made[key]
    for factor in reversed(factors):
        values = BUILDER.multiply(values, factor)
    return values


def _scaled(values: Tensor) -> tuple[Tensor, Tensor] | None:
    """A value and the finite number that it is multiplied by."""
    if not is_floating(values.dtype):
        return None
    if values.op.name == "negative":
        return values.node.inputs[0], constant(-1, values.dtype)
    if values.op.name != "multiply":
        return None
    value, factor = values.node.inputs
    number = scalar_value(factor)
    same = value.type == values.type and factor.dtype == values.dtype
    return (value, factor) if same and number is not None and isfinite(number) else None
