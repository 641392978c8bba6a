"""Results of products that are written where they are wanted.

    permute_dims(p @ v, (0, 2, 1, 3))     heads, back in the layout of the sequence
    concat([x @ w, y], axis=1)            a block of columns

The product's only reader moves its result, and what that makes lies in memory: the product writes
there, row by row, and nothing is copied.
"""

from collections.abc import Collection, Iterator

from graphc.ir.graph import Graph
from graphc.ir.lowering import Contraction, Pieces
from graphc.ir.node import Node
from graphc.ir.tensor import Tensor
from graphc.loops.inlining import readers_of
from graphc.loops.values import FIRST, IndexTuple, Key, is_view
from graphc.loops.views import (
    MANY_ROWS,
    Matrices,
    View,
    address,
    affine,
    as_matrices,
    joined_rows,
    merges,
    reshaped,
    symbols_of_axes,
)
from graphc.records import dataclass
from graphc.scalar.expr import Index
from graphc.shapes import Size


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a product writes. moved: the value that is made by that alone, if it is one; piece:
    else the concatenation and the number of its input. through: what is not computed."""

    matrices: Matrices
    moved: Tensor | None
    piece: tuple[int, int] | None
    through: frozenset[int]


Destinations = dict[int, Destination]  # by the identity of the product


def destinations(graph: Graph, in_memory: Collection[Key]) -> Destinations:
    """For the products that do not write matrices one after the other."""
    if not any(isinstance(node.op.lower, Contraction) for node in graph.nodes):
        return {}
    found: Destinations = {}
    users: dict[int, int] | None = None
    for end, wanted in _wanted(graph, in_memory):
        if users is None:
            users = {node: len(readers) for node, readers in readers_of(graph).items()}
        path = _path(end, users, wanted is None)
        if path is None or Tensor(path[0]).key in in_memory:
            continue
        matrices = _matrices(path, wanted)
        if matrices is None:
            continue
        moved = end if wanted is None else None
        piece = None if wanted is None else (id(wanted[0]), wanted[1])
        through = frozenset(id(node) for node in path[1:])
        found[id(path[0])] = Destination(matrices, moved, piece, through)
    return found


def _wanted(
    graph: Graph, in_memory: Collection[Key]
) -> Iterator[tuple[Tensor, tuple[Node, int] | None]]:
    """Values that lie in memory in another order than that of their input, and pieces."""
    for node in graph.nodes:
        if _permutes(node) and Tensor(node).key in in_memory:
            yield Tensor(node), None
        elif isinstance(node.op.lower, Pieces):
            for number, tensor in enumerate(node.inputs):
                yield tensor, (node, number)


def _permutes(node: Node) -> bool:
    return node.op.name == "permute_dims"


def _path(end: Tensor, users: dict[int, int], is_last: bool) -> list[Node] | None:
    """The nodes from a product of matrices to `end`, each read by the next one alone; the last
    one, if it is in memory itself, by anyone."""
    path: list[Node] = []
    node = end.node
    while True:
        if users[id(node)] != 1 and not (is_last and not path):
            return None
        path.append(node)
        if isinstance(node.op.lower, Contraction):
            matrices = all(tensor.ndim > 1 for tensor in node.inputs)
            return path[::-1] if matrices else None
        if not (_permutes(node) or is_view(Tensor(node))):
            return None
        node = node.inputs[0].node


def _matrices(path: list[Node], piece: tuple[Node, int] | None) -> Matrices | None:
    """Where the matrices of the product lie in the value at the end."""
    product = Tensor(path[0])
    extents, index = symbols_of_axes(product)
    value = product
    for node in path[1:]:
        following = Tensor(node)
        if _permutes(node):
            index = tuple([index[axis] for axis in node.attrs["axes"]])
        else:
            moved = reshaped(index, value.shape, following.shape, extents)
            index = moved
        value = following
    base = value
    if piece is not None:
        base, index = Tensor(piece[0]), _placed(index, *piece)
    places = affine(address(index, base.shape), product.ndim, extents)
    if places is None:
        return None
    found = as_matrices(product, True, False, View(base, *places))
    if found is None:
        return None
    rows = found.columns if found.transposed else found.rows
    many = isinstance(rows, int) and rows >= MANY_ROWS
    if merges(path[0]) and not many and joined_rows(found) is None:
        return None
    return found


def _placed(index: IndexTuple, pieces: Node, number: int) -> IndexTuple:
    """The entry of an input as that of the concatenation."""
    axis = pieces.attrs["axis"]
    offset: Size = 0
    for tensor in pieces.inputs[:number]:
        offset = offset + tensor.shape[axis]
    item = index[axis] if index else FIRST
    assert isinstance(item, Index)
    return (*index[:axis], Index(item.size + offset), *index[axis + 1 :])
