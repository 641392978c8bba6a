"""What a loop adds up is added up after it, from the values of all steps.

total + a_t.T @ b_t over all t = as.T @ bs       one product; so are outputs a_t @ W
total + sum(a_t)               = sum(as)
total + f(a_t, b_t), a number  = sum(f(as, bs))  see number_sums.py
"""

from collections.abc import Callable, Sequence

from graphc.dtypes import is_floating
from graphc.ir.graph import counted_size
from graphc.ir.lowering import Contraction, Reduction
from graphc.ir.node import Node
from graphc.ir.registry import BUILDER
from graphc.ir.tensor import Tensor
from graphc.ir.traversal import topological_order, users_of
from graphc.passes.loops import Body
from graphc.passes.nested import Key
from graphc.passes.number_sums import NumberSums, Sum, can_add
from graphc.shapes import symbols_of

Later = Callable[[Sequence[Tensor]], Tensor]


def postpone(body: Body) -> dict[Key, Later]:
    """What is computed after the loop: by the state of a dropped carry, or by output."""
    results = [*(following for _, _, following in body.carries), *body.outputs]
    order = topological_order(results)
    users = users_of(order)
    sequences = {inner.key: outer for inner, outer in body.sequences}
    shared = {inner.key: outer for inner, outer in body.shared}
    counted = {symbol for node in order if (symbol := counted_size(node)) is not None}
    read = {tensor.key for node in order for tensor in node.inputs}
    handed_out = {output.key for output in body.outputs}
    after: dict[Key, Later] = {}
    kept: list[tuple[Tensor, Tensor, Tensor]] = []
    sums: list[Sum] = []
    stacked_keys: set[Key] = set()

    def whole(tensor: Tensor) -> Later:
        """All steps' values of a body tensor, stacked."""
        if tensor.key in sequences:
            return lambda stacked: sequences[tensor.key]
        body.stack(tensor)
        stacked_keys.add(tensor.key)
        # Outputs are numbered when the loop is built, after some were dropped.
        return lambda stacked: stacked[body.stack(tensor)]

    def may_stack(value: Tensor) -> bool:
        """Whether the operands have the same shape in every step."""
        sizes = [size for tensor in value.node.inputs for size in tensor.shape]
        return counted.isdisjoint(symbol for size in sizes for symbol in symbols_of(size))

    for state, initial, following in body.carries:
        term = _added(state, following)
        alone = len(users.get(id(state.node), ())) == 1 and following.key not in read
        if term is None or not alone or not handed_out.isdisjoint((state.key, following.key)):
            kept.append((state, initial, following))
            continue
        total = _total(term, whole) if may_stack(term) else None
        if total is not None:
            after[state.key] = total
        elif can_add(term):
            sums.append(Sum((state, initial, following), term))
        else:
            kept.append((state, initial, following))
    body.carries = kept
    if sums:
        numbers = NumberSums(body, sums)
        if numbers.pays():
            for tensor in numbers.stacked:
                body.stack(tensor)
                stacked_keys.add(tensor.key)
            after.update({one.carry[0].key: numbers.after(one) for one in sums})
        else:
            body.carries = [*kept, *(one.carry for one in sums)]
    for output in list(body.outputs):
        node = output.node
        product = isinstance(node.op.lower, Contraction) and is_floating(output.dtype)
        if not product or node.attrs["transpose_a"] or users.get(id(node)) or not may_stack(output):
            continue
        left, right = node.inputs
        if right.key in shared and right.ndim == 2 and left.ndim >= 1 and left.key not in shared:
            after[output.key] = _product(node, whole(left), shared[right.key])
    body.outputs = [one for one in body.outputs if one.key not in after or one.key in stacked_keys]
    return after


def _product(node: Node, values: Later, outer: Tensor) -> Later:
    return lambda stacked: node.op(values(stacked), outer, **node.attrs)


def _added(state: Tensor, following: Tensor) -> Tensor | None:
    """The term of following = state + term."""
    if following.op.name != "add":
        return None
    left, right = following.node.inputs
    if left.key == state.key and right.key != state.key:
        return right
    return left if right.key == state.key else None


def _total(term: Tensor, whole: Callable[[Tensor], Later]) -> Later | None:
    """The sum of a term over all steps, from the stacked values of what it is made of."""
    node = term.node
    if isinstance(node.op.lower, Contraction) and is_floating(term.dtype):
        left, right = node.inputs
        flags = (node.attrs["transpose_a"], node.attrs["transpose_b"])
        if left.ndim == 2 and right.ndim == 2 and flags == (True, False):
            a, c = whole(left), whole(right)

            def product(stacked: Sequence[Tensor]) -> Tensor:
                one, other = a(stacked), c(stacked)
                rows = one.shape[0] * one.shape[1]
                return node.op(
                    BUILDER.reshape(one, (rows, one.shape[2])),
                    BUILDER.reshape(other, (rows, other.shape[2])),
                    **node.attrs,
                )

            return product
    if isinstance(node.op.lower, Reduction) and node.op.lower.combine == "add":
        source = node.inputs[0]
        if is_floating(source.dtype) and not node.attrs["keepdims"]:
            values = whole(source)
            axes = (0, *(axis + 1 for axis in node.attrs["axes"]))
            return lambda stacked: BUILDER.sum(values(stacked), axis=axes)
    return None
