"""Matrix products and convolutions in half precision, in a graph that is float32 otherwise."""

from collections.abc import Sequence
from typing import Any

from graphc.dtypes import DType, as_dtype, float32, is_half
from graphc.errors import DTypeError
from graphc.ir.graph import Graph, map_graphs
from graphc.ir.leaf import as_tensor
from graphc.ir.node import Node
from graphc.ir.registry import BUILDER
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.passes.nested import rebuild
from graphc.structure import flatten
from graphc.surface import surface

__all__ = ["autocast"]

PRODUCTS = (
    "matmul",
    "einsum",
    "convolution",
    "convolution_input_gradient",
    "convolution_filter_gradient",
)


@surface
def autocast(outputs: Any, dtype: Any = "bfloat16") -> Any:
    """Expressions whose float32 matrix products and convolutions are computed in half precision.

    Their operands are rounded to `dtype`, bfloat16 or float16, and summed in float32; results are
    rounded as well, and float32 again for what follows. Variables and all else stay as they are.
    Products in loops and branches are among them, and so are those of a gradient that is taken
    afterwards. float16 has numbers up to 65504 alone.

    outputs: a tensor, or a list, tuple or dict of them, also nested; the result has the same
    structure. DTypeError for another dtype.

    >>> cost = gc.autocast(cost)
    >>> slopes = gc.grad(cost, weights)
    """
    half = as_dtype(dtype)
    if not is_half(half):
        raise DTypeError(
            f"autocast: {half.name} is no half precision",
            details=["allowed: bfloat16, float16"],
            source=current_source(),
            fix='give dtype="bfloat16"',
        )
    leaves, structure = flatten(outputs)
    graph = Graph((), tuple(as_tensor(leaf) for leaf in leaves))
    return structure.pack(list(_cast(graph, half).outputs))


def _cast(graph: Graph, half: DType) -> Graph:
    products = {id(node) for node in graph.nodes if _is_product(node)}

    def replace(node: Node, inputs: list[Tensor]) -> Sequence[Tensor]:
        if id(node) not in products:
            attrs = map_graphs(node.attrs, lambda body: _cast(body, half))
            return node.op.apply(inputs, attrs)
        narrow = [BUILDER.astype(one, half) for one in inputs]
        return [BUILDER.astype(node.op(*narrow, **node.attrs), float32)]

    return rebuild(graph, replace, products)


def _is_product(node: Node) -> bool:
    several = len(node.inputs) > 1
    return several and node.op.name in PRODUCTS and node.types[0].dtype == float32
