"""What need not be in a loop leaves it, to before or after it.

hoist        x_t @ W = (xs @ W)_t: one product over the whole sequence before the loop
change       s + scatter_add(i, v) = s.at[i].add(v): in place, whatever the size (entries.py)
postpone     sums over the steps, and products of what a step computes: after it (totals.py)
"""

from collections.abc import Sequence

from graphc.dtypes import is_floating
from graphc.ir.graph import Graph
from graphc.ir.leaf import PLACEHOLDER
from graphc.ir.lowering import Contraction, Scan
from graphc.ir.node import Node, TensorType
from graphc.ir.registry import BUILDER
from graphc.ir.tensor import Tensor
from graphc.ir.traversal import topological_order
from graphc.passes.entries import change_entries, is_zero
from graphc.passes.loops import Body
from graphc.passes.nested import rebuild
from graphc.passes.totals import postpone


def move_out(graph: Graph) -> Graph:
    """Products and sums over the steps leave the loops, to before or after them."""

    def replace(node: Node, inputs: list[Tensor]) -> Sequence[Tensor] | None:
        if not isinstance(node.op.lower, Scan) or node.attrs["local"]:
            return None
        body = Body.of(node, inputs)
        changed = change_entries(body) | hoist(body)
        own = list(body.outputs)
        after = postpone(body)
        if not changed and not after:
            return None
        order = {state.key: n for n, (state, _, _) in enumerate(body.carries)}
        values = body.build()
        count = len(body.carries)
        stacked = values[count:]
        results: list[Tensor] = []
        for state, initial in _states(node, inputs):
            postponed = after.get(state.key)
            if postponed is None:
                results.append(values[order[state.key]])
            else:
                total = postponed(stacked)
                results.append(total if is_zero(initial) else BUILDER.add(initial, total))
        for output in own:
            later = after.get(output.key)
            results.append(later(stacked) if later else stacked[body.stack(output)])
        return results

    return rebuild(graph, replace)


def _states(node: Node, inputs: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
    count = node.attrs["carries"]
    return list(zip(node.attrs["body"].inputs[:count], inputs, strict=False))


def hoist(body: Body) -> bool:
    """x_t @ W = (xs @ W)_t"""
    sequences = {inner.key: outer for inner, outer in body.sequences}
    shared = {inner.key: outer for inner, outer in body.shared}
    results = [*(following for _, _, following in body.carries), *body.outputs]
    replaced: dict[int, Tensor] = {}
    for node in topological_order(results):
        if not isinstance(node.op.lower, Contraction) or not is_floating(node.types[0].dtype):
            continue
        left, right = node.inputs
        fits = left.key in sequences and right.key in shared and right.ndim == 2
        if not fits or left.ndim == 0 or node.attrs["transpose_a"]:
            continue
        whole = node.op(sequences[left.key], shared[right.key], **node.attrs)
        element = PLACEHOLDER(
            name=f"product{len(body.sequences)}", type=TensorType(whole.dtype, whole.shape[1:])
        )
        body.sequences.append((element, whole))
        replaced[id(node)] = element
    if replaced:
        new = _substitute(results, replaced)
        count = len(body.carries)
        body.carries = [(s, i, f) for (s, i, _), f in zip(body.carries, new[:count], strict=True)]
        body.outputs = new[count:]
    return bool(replaced)


def _substitute(results: list[Tensor], replaced: dict[int, Tensor]) -> list[Tensor]:
    """The results with single-output nodes replaced."""
    made: dict[int, Tensor | Node] = dict(replaced)

    def new(tensor: Tensor) -> Tensor:
        value = made.get(id(tensor.node))
        if value is None:
            return tensor
        if isinstance(value, Tensor):
            return value
        return Tensor(value, tensor.index, tensor._name)

    for node in topological_order(results):
        if id(node) in made:
            continue
        inputs = tuple(new(tensor) for tensor in node.inputs)
        if any(one is not old for one, old in zip(inputs, node.inputs, strict=True)):
            made[id(node)] = Node(node.op, inputs, node.attrs, node.types, node.sources)
    return [new(tensor) for tensor in results]
