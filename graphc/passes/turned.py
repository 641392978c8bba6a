"""Matrices that a loop multiplies with a vector in every step are transposed before it.

    h_t = tanh(W @ h)   in every step     =     V = W.T;  h_t = tanh(h @ V)   in every step

The sum of a row ends in one lane, and what is made of it waits there. Sums over rows of the
transposed matrix are taken for all its columns side by side. A matrix that the second cache holds
pays for the copy within a few steps; in a larger one, long rows are read faster.
"""

from collections.abc import Sequence

from graphc.dtypes import is_floating
from graphc.ir.graph import Graph
from graphc.ir.leaf import PLACEHOLDER
from graphc.ir.node import Node, TensorType
from graphc.ir.registry import BUILDER
from graphc.ir.tensor import Tensor
from graphc.ir.traversal import topological_order
from graphc.ops.bodies import substituted
from graphc.passes.loops import Body, is_loop
from graphc.passes.nested import rebuild
from graphc.shapes import size_product

LARGEST = 1 << 15  # elements
FEWEST = 8  # steps, where their number is known


def turn_matrices(graph: Graph) -> Graph:
    """The graph with such matrices transposed."""

    def replace(node: Node, inputs: list[Tensor]) -> Sequence[Tensor] | None:
        if not is_loop(node):
            return None
        length = node.attrs.get("length")
        if isinstance(length, int) and length < FEWEST:
            return None
        body = Body.of(node, inputs)
        return body.build() if _turn(body) else None

    return rebuild(graph, replace)


def _turn(body: Body) -> bool:
    tests = [] if body.test is None else [body.test]
    results = [*(following for _, _, following in body.carries), *body.outputs, *tests]
    readers: dict[tuple[int, int], list[tuple[Node, int]]] = {}
    for node in topological_order(results):
        for position, tensor in enumerate(node.inputs):
            readers.setdefault(tensor.key, []).append((node, position))
    returned = {tensor.key for tensor in results}
    turned: dict[tuple[int, int], Tensor] = {}
    for number, (inner, outer) in enumerate(body.shared):
        wanted = all(_reads_rows(*one) for one in readers.get(inner.key, ()))
        if inner.key in readers and wanted and inner.key not in returned and _is_small(inner):
            whole = BUILDER.matrix_transpose(outer)
            fresh = PLACEHOLDER(name=f"turned{number}", type=TensorType(whole.dtype, whole.shape))
            turned[inner.key] = BUILDER.matrix_transpose(fresh)
            body.shared[number] = (fresh, whole)
    if not turned:
        return False
    new = substituted(results, turned)
    count, until = len(body.carries), len(body.carries) + len(body.outputs)
    body.carries = [(s, i, f) for (s, i, _), f in zip(body.carries, new, strict=False)]
    body.outputs = new[count:until]
    body.test = new[until] if tests else None
    return True


def _is_small(matrix: Tensor) -> bool:
    size = size_product(matrix.shape)
    return matrix.ndim == 2 and isinstance(size, int) and size <= LARGEST


def _reads_rows(node: Node, position: int) -> bool:
    """Whether this is v @ W.T, and W stands at the position."""
    if node.op.name != "matmul" or position != 1 or not is_floating(node.types[0].dtype):
        return False
    transposed: bool = node.attrs["transpose_b"]
    return transposed and node.inputs[0].ndim == 1
