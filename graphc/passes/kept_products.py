"""Products that a loop computes anyway are kept, not computed again after it.

    hs = stack of h_t; in every step p_t = h_t @ W         hs @ W = stack of p_t

The gradient of a recurrent network asks for `hs @ W`: its loop goes backwards over saved states and
starts from what the forward step made of them. The stack of products takes the memory that the
product after the loop would take.
"""

from collections.abc import Sequence

from graphc.ir.graph import Graph
from graphc.ir.lowering import Contraction, Scan
from graphc.ir.node import Node
from graphc.ir.tensor import Tensor
from graphc.passes.loops import Body
from graphc.passes.nested import rebuild


def keep_products(graph: Graph) -> Graph:
    """The graph with such products as further outputs of their loops."""
    kept: dict[int, Tensor] = {}  # id of a product: what the body calls it
    asked: dict[int, list[Tensor]] = {}  # id of a loop: body values that it shall stack
    for node in graph.nodes:
        found = _made_in_loop(node)
        if found is not None:
            kept[id(node)] = found
            asked.setdefault(id(node.inputs[0].node), []).append(found)
    if not kept:
        return graph
    stacks: dict[int, dict[tuple[int, int], Tensor]] = {}  # id of a loop: body value, its stack

    def replace(node: Node, inputs: list[Tensor]) -> Sequence[Tensor] | None:
        if id(node) in asked:
            body = Body.of(node, inputs)
            numbers = {value.key: body.stack(value) for value in asked[id(node)]}
            values = body.build()
            count = len(body.carries)
            stacks[id(node)] = {key: values[count + number] for key, number in numbers.items()}
            return values[: len(node.types)]
        if id(node) in kept:
            return [stacks[id(node.inputs[0].node)][kept[id(node)].key]]
        return None

    return rebuild(graph, replace, kept.keys())


def _made_in_loop(node: Node) -> Tensor | None:
    """The body value that a product is the stack of."""
    if not isinstance(node.op.lower, Contraction) or node.attrs["transpose_a"]:
        return None
    left, right = node.inputs
    loop = left.node
    if not isinstance(loop.op.lower, Scan) or loop.attrs["local"] or right.ndim != 2:
        return None
    body, first = loop.attrs["body"], loop.attrs["carries"] + loop.attrs["sequences"]
    if left.index < loop.attrs["carries"]:
        return None
    value = body.outputs[left.index]
    shared = {
        inner.key
        for inner, outer in zip(body.inputs[first:], loop.inputs[first:], strict=True)
        if outer.key == right.key
    }
    for one in body.nodes:
        same = one.op is node.op and dict(one.attrs) == dict(node.attrs)
        if same and one.inputs[0].key == value.key and one.inputs[1].key in shared:
            whole = (left.shape[0], *one.types[0].shape)
            return Tensor(one) if node.types[0].shape == whole else None
    return None
