"""Views of products that are read where they lie: slices, transposes, heads, column blocks.

    x[:, :k] @ w                       rows of x, of which k entries count
    (b, s, h, d) as (b, h, s, d)       rows of d entries, from row to row h*d
    x[:, j] @ w                        a column: rows of one entry

A product takes such an operand as a view: an offset, a distance per batch axis, a distance from
row to row; entries of a row lie side by side. Whatever else a product is given is copied first.
"""

import itertools
from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import replace

from graphc.ir.graph import Graph
from graphc.ir.leaf import scalar_value
from graphc.ir.lowering import Contraction, Elementwise, IndexMap
from graphc.ir.node import Node
from graphc.ir.tensor import Tensor
from graphc.loops.values import (
    FIRST,
    IndexTuple,
    Key,
    context_of,
    inputs_in_memory,
    is_view,
    root_of,
)
from graphc.ranges import at_least, simplify
from graphc.records import dataclass
from graphc.scalar.expr import Index, Read
from graphc.shapes import Dim, Shape, Size, lower_bound, size_product, symbols_of

MANY_ROWS = 256  # of each matrix of a batch, with which one product for all is no better


@dataclass(frozen=True, slots=True)
class View:
    """Element i of a value lies at `offset` + i . `strides` in the memory of `base`."""

    base: Tensor
    offset: Size
    strides: tuple[Size, ...]


@dataclass(frozen=True, slots=True)
class Matrices:
    """A batch of matrices in the memory of `base`, of `rows` x `columns` each as they are stored.

    transposed: they enter the product transposed. row: entries from row to row. strides: per batch
    axis, of the sizes in `batch`.
    """

    base: Tensor
    rows: Size
    columns: Size
    transposed: bool
    row: Size
    offset: Size
    batch: Shape
    strides: tuple[Size, ...]

    @property
    def turned(self) -> "Matrices":
        """The same, to enter the other way."""
        return replace(self, transposed=not self.transposed)


Views = Mapping[tuple[int, int], Matrices]  # by the identity of the product and the input


def dense_strides(shape: Sequence[Size]) -> tuple[Size, ...]:
    """Entries from one to the next along each axis, in row-major order."""
    strides: list[Size] = []
    step: Size = 1
    for size in reversed(shape):
        strides.append(step)
        step = step * size
    return tuple(reversed(strides))


class KnownViews:
    """Views by shapes and ops on the way to what they are views of: those of the equal layers of a
    deep network are worked out once."""

    def __init__(self) -> None:
        self.found: dict[Hashable, View | None] = {}

    def view(self, tensor: Tensor) -> View | None:
        """As `view_of`."""
        path: list[Hashable] = [tensor.shape]
        base = tensor
        while is_view(base) or _is_index_map(base.node):
            node = base.node
            if len(node.inputs) != 1:
                return view_of(tensor)
            base = node.inputs[0]
            path += [node.op, tuple(node.attrs.items()), base.shape]
        key = tuple(path)
        try:
            if key not in self.found:
                self.found[key] = view_of(tensor)
        except TypeError:  # an attribute has no hash
            return view_of(tensor)
        known = self.found[key]
        return None if known is None else View(base, known.offset, known.strides)


def _is_index_map(node: Node) -> bool:
    return isinstance(node.op.lower, IndexMap) and "view" in node.op.traits


def view_of(tensor: Tensor) -> View | None:
    """Where a value lies in the memory of what it is a view of; None where no distance tells."""
    extents, index = symbols_of_axes(tensor)
    base = tensor
    while True:
        node = base.node
        if is_view(base):
            inner = node.inputs[0]
            index = reshaped(index, base.shape, inner.shape, extents)
        elif _is_index_map(node):
            assert isinstance(node.op.lower, IndexMap)
            read = node.op.lower.expr(context_of(node), index)
            if not isinstance(read, Read):
                return None
            inner, index = node.inputs[read.input], read.index
        else:
            break
        if not all(isinstance(item, Index) for item in index):
            return None
        base = inner
    places = affine(address(index, base.shape), tensor.ndim, extents)
    return None if places is None else View(base, *places)


def symbols_of_axes(tensor: Tensor) -> tuple[dict[str, Size], IndexTuple]:
    """The sizes of axes that are not of size 1, by the name of a symbol, and an entry at those."""
    names = [f"view_{axis}" for axis in range(tensor.ndim)]
    extents = {name: size for name, size in zip(names, tensor.shape, strict=True) if size != 1}
    return extents, tuple([Index(Dim.symbol(name)) if name in extents else FIRST for name in names])


def affine(
    place: Size, axes: int, extents: Mapping[str, Size]
) -> tuple[Size, tuple[Size, ...]] | None:
    """(offset, distance for each axis), if that is what a place says of the symbols of the axes;
    None also where a distance may be below 0."""
    names = [f"view_{axis}" for axis in range(axes)]
    rest = place = simplify(place, extents)
    strides: list[Size] = []
    for name in names:
        factor: Size | None = 0
        if name in extents and isinstance(place, Dim):
            factor = place.coefficient(name)
        if factor is None or not symbols_of(factor).isdisjoint(names):
            return None
        if not at_least(factor, 0, extents):
            return None
        strides.append(factor)
        rest = rest - factor * Dim.symbol(name)
    if not symbols_of(rest).isdisjoint(names):
        return None
    return rest, tuple(strides)


def address(index: IndexTuple, shape: Shape) -> Size:
    """Of an entry in row-major order."""
    total: Size = 0
    for item, stride in zip(index, dense_strides(shape), strict=True):
        assert isinstance(item, Index)
        total = total + item.size * stride
    return total


def reshaped(
    index: IndexTuple, shape: Shape, inner: Shape, extents: Mapping[str, Size]
) -> IndexTuple:
    """The same entry under the shape before a reshape."""
    if 0 in inner:  # there is nothing to read
        return (FIRST,) * len(inner)
    rest = simplify(address(index, shape), extents)
    found: list[Index] = []
    for size, stride in zip(inner, dense_strides(inner), strict=True):
        if size == 1:
            found.append(FIRST)
            continue
        number = simplify(rest // stride, extents) if stride != 1 else rest
        found.append(Index(number))
        rest = simplify(rest - number * stride, extents)
    return tuple(found)


def as_matrices(tensor: Tensor, is_left: bool, transposed: bool, view: View) -> Matrices | None:
    """A value as an operand of a product; None where neither axis of its matrices has distance 1,
    or where rows overlap."""
    shape, strides = tensor.shape, view.strides
    if len(shape) == 1:
        shape, strides = ((1, *shape), (0, *strides)) if is_left else ((*shape, 1), (*strides, 0))
    (rows, columns), (down, across) = shape[-2:], strides[-2:]
    if columns != 1 and across != 1:
        if rows != 1 and down != 1:
            return None
        rows, columns, down, across = columns, rows, across, down
        transposed = not transposed
    row = columns if rows == 1 else down
    if not _fit(columns, row, tensor.shape):
        return None
    return Matrices(
        view.base, rows, columns, transposed, row, view.offset, shape[:-2], strides[:-2]
    )


def _fit(columns: Size, row: Size, shape: Shape) -> bool:
    """Whether rows of so many entries do not overlap, where no size is 0."""
    extents = {f"axis_{axis}": size for axis, size in enumerate(shape)}
    return row == columns or at_least(row - columns, 0, extents)


def dense_operand(tensor: Tensor, is_left: bool, transposed: bool) -> Matrices:
    """A value that lies in memory as it is."""
    shape = tensor.shape
    if len(shape) == 1:
        shape = (1, *shape) if is_left else (*shape, 1)
    return dense_matrices(root_of(tensor), shape[:-2], shape[-2], shape[-1], transposed)


def dense_matrices(
    base: Tensor, batch: Shape, rows: Size, columns: Size, transposed: bool = False
) -> Matrices:
    """Matrices one after the other."""
    strides = dense_strides((*batch, rows, columns))[:-2]
    moved = tuple([0 if n == 1 else stride for n, stride in zip(batch, strides, strict=True)])
    return Matrices(base, rows, columns, transposed, columns, 0, batch, moved)


# --- which operands are views --------------------------------------------------------------------


def strided_operands(graph: Graph, in_memory: Collection[Key]) -> Views:
    """The operands that products read through views. in_memory: values that lie there anyway."""
    found: dict[tuple[int, int], Matrices] = {}
    copied = set(in_memory)
    known = KnownViews()
    for node in graph.nodes:
        if isinstance(node.op.lower, Contraction):
            for number, tensor in enumerate(node.inputs):
                operand = _candidate(node, number, known)
                if operand is not None:
                    found[id(node), number] = operand
                else:
                    copied.add(root_of(tensor).key)
    if not found:
        return found
    nodes = {id(node): node for node in graph.nodes}
    read: dict[Key, dict[Key, Size]] = {}  # by base: what is read of it, and how much
    for (at, number), operand in found.items():
        root = root_of(nodes[at].inputs[number])
        read.setdefault(operand.base.key, {})[root.key] = size_product(root.shape)
    return {
        place: operand
        for place, operand in found.items()
        if root_of(nodes[place[0]].inputs[place[1]]).key not in copied
        and _lies_in_memory(operand.base, copied, list(read[operand.base.key].values()))
    }


def _candidate(node: Node, number: int, known: KnownViews) -> Matrices | None:
    """An operand as a view of another value, if it is one and the product may take it."""
    tensor = node.inputs[number]
    root = root_of(tensor)
    if not _is_index_map(root.node):
        return None
    view = known.view(tensor)
    if view is None or scalar_value(view.base) is not None:
        return None
    flag = node.attrs["transpose_b" if number else "transpose_a"]
    operand = as_matrices(tensor, number == 0, flag, view)
    if operand is None:
        return None
    if number == 0 and merges(node):
        rows = operand.columns if operand.transposed else operand.rows
        many = isinstance(rows, int) and rows >= MANY_ROWS
        if not many and joined_rows(operand) is None:
            return None
    return operand


def merges(node: Node) -> bool:
    """Whether the matrices of a batch are all multiplied by the same matrix from the right."""
    left, right = node.inputs
    flag = node.attrs["transpose_a"]
    return left.ndim > 2 >= right.ndim and not flag


def joined_rows(operand: Matrices) -> Matrices | None:
    """The matrices of a batch as one tall matrix, if that has one distance from row to row."""
    if operand.transposed:
        return None
    pairs = list(zip(operand.batch, operand.strides, strict=True))
    pairs = [pair for pair in (*pairs, (operand.rows, operand.row)) if pair[0] != 1]
    for (_, outer), (size, inner) in itertools.pairwise(pairs):
        if outer != size * inner:
            return None
    rows = size_product([size for size, _ in pairs])
    row = pairs[-1][1] if pairs else operand.columns
    if not _fit(operand.columns, row, (*operand.batch, operand.rows, operand.columns)):
        return None
    return Matrices(operand.base, rows, operand.columns, False, row, operand.offset, (), ())


def _lies_in_memory(base: Tensor, copied: Collection[Key], read: list[Size]) -> bool:
    """Whether a value lies in memory anyway, or at least as much is read of it as it holds."""
    if not isinstance(base.node.op.lower, Elementwise | IndexMap) or base.key in copied:
        return True
    spare = lower_bound(sum(read, 0) - size_product(base.shape))
    return spare is not None and spare >= 0


def operands_in_memory(node: Node, operands: Views) -> list[Tensor]:
    """The values that a structured step reads from memory."""
    if not isinstance(node.op.lower, Contraction):
        return inputs_in_memory(node)
    found = []
    for number, tensor in enumerate(node.inputs):
        operand = operands.get((id(node), number))
        found.append(root_of(tensor) if operand is None else operand.base)
    return found


def unread_values(graph: Graph, operands: Views) -> set[int]:
    """Nodes that nothing reads any more, now that products read through them."""
    if not operands:
        return set()
    readers = Counter(id(tensor.node) for node in graph.nodes for tensor in node.inputs)
    readers.update(id(tensor.node) for tensor in graph.results)
    for node in graph.nodes:
        for number, tensor in enumerate(node.inputs):
            operand = operands.get((id(node), number))
            if operand is not None:
                readers[id(tensor.node)] -= 1
                readers[id(operand.base.node)] += 1
    unread: set[int] = set()
    for node in reversed(graph.nodes):
        if readers[id(node)] == 0 and isinstance(node.op.lower, IndexMap):
            unread.add(id(node))
        if id(node) in unread or (readers[id(node)] == 0 and is_view(Tensor(node))):
            for tensor in node.inputs:
                readers[id(tensor.node)] -= 1
    return unread
