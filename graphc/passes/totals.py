"""What a loop adds up is added up after it, from the values of all steps.

total + a_t.T @ b_t over all t = as.T @ bs       one product; so are outputs a_t @ W
total + a_t[:, None] * b_t     = as.T @ bs
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
from graphc.shapes import Shape, symbols_of

ONE_AXIS = frozenset({"expand_dims", "reshape", "permute_dims"})  # where others have size 1

Later = Callable[[Sequence[Tensor]], Tensor]


def postpone(body: Body) -> dict[Key, Later]:
    """What is computed after the loop: by the state of a dropped carry, or by output."""
    found = _Postponed(body)
    found.take_sums()
    found.take_products()
    return found.after


class _Postponed:
    """after: what is computed after the loop. stacked: values that the loop hands out for it."""

    def __init__(self, body: Body) -> None:
        self.body = body
        results = [*(following for _, _, following in body.carries), *body.outputs]
        order = topological_order(results)
        self.users = users_of(order)
        self.sequences = {inner.key: outer for inner, outer in body.sequences}
        self.shared = {inner.key: outer for inner, outer in body.shared}
        self.counted = {symbol for node in order if (symbol := counted_size(node)) is not None}
        self.read = {tensor.key for node in order for tensor in node.inputs}
        self.handed_out = {output.key for output in body.outputs}
        self.after: dict[Key, Later] = {}
        self.stacked: set[Key] = set()

    def whole(self, tensor: Tensor) -> Later:
        """All steps' values of a body tensor, stacked."""
        if tensor.key in self.sequences:
            return lambda stacked: self.sequences[tensor.key]
        self.stack(tensor)
        # Outputs are numbered when the loop is built, after some were dropped.
        return lambda stacked: stacked[self.body.stack(tensor)]

    def stack(self, tensor: Tensor) -> None:
        self.body.stack(tensor)
        self.stacked.add(tensor.key)

    def may_stack(self, value: Tensor) -> bool:
        """Whether the operands have the same shape in every step."""
        sizes = [size for tensor in value.node.inputs for size in tensor.shape]
        return self.counted.isdisjoint(symbol for size in sizes for symbol in symbols_of(size))

    def take_sums(self) -> None:
        """Carries that only add up."""
        kept: list[tuple[Tensor, Tensor, Tensor]] = []
        sums: list[Sum] = []
        for state, initial, following in self.body.carries:
            term = _added(state, following)
            alone = len(self.users.get(id(state.node), ())) == 1 and following.key not in self.read
            seen = not self.handed_out.isdisjoint((state.key, following.key))
            if term is None or not alone or seen:
                kept.append((state, initial, following))
                continue
            total = _total(term, self.whole) if self.may_stack(term) else None
            if total is not None:
                self.after[state.key] = total
            elif can_add(term):
                sums.append(Sum((state, initial, following), term))
            else:
                kept.append((state, initial, following))
        self.body.carries = kept
        if not sums:
            return
        numbers = NumberSums(self.body, sums)
        if numbers.pays():
            for tensor in numbers.stacked:
                self.stack(tensor)
            self.after.update({one.carry[0].key: numbers.after(one) for one in sums})
        else:
            self.body.carries = [*kept, *(one.carry for one in sums)]

    def take_products(self) -> None:
        """Outputs that are products with a matrix which is the same in every step."""
        for output in list(self.body.outputs):
            node = output.node
            product = isinstance(node.op.lower, Contraction) and is_floating(output.dtype)
            if not product or node.attrs["transpose_a"] or self.users.get(id(node)):
                continue
            if not self.may_stack(output):
                continue
            left, right = node.inputs
            if right.key not in self.shared or left.key in self.shared:
                continue
            if right.ndim == 2 and left.ndim >= 1:
                self.after[output.key] = _product(node, self.whole(left), self.shared[right.key])
        self.body.outputs = [
            one for one in self.body.outputs if one.key not in self.after or one.key in self.stacked
        ]


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
    vectors = _outer_product(term)
    if vectors is not None:
        columns, rows = (whole(vector) for vector in vectors)

        def outer_product(stacked: Sequence[Tensor]) -> Tensor:
            one, other = (
                BUILDER.reshape(values, (values.shape[0], size))
                for values, size in zip((columns(stacked), rows(stacked)), term.shape, strict=True)
            )
            return BUILDER.matmul(one, other, transpose_a=True)

        return outer_product
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


def _outer_product(term: Tensor) -> tuple[Tensor, Tensor] | None:
    """The vectors a and b of a[:, None] * b."""
    if term.op.name != "multiply" or term.ndim != 2 or not is_floating(term.dtype):
        return None
    one, other = term.node.inputs
    for column, row in ((one, other), (other, one)):
        vectors = _vector(column, (term.shape[0], 1)), _vector(row, (1, term.shape[1]))
        if vectors[0] is not None and vectors[1] is not None:
            return vectors[0], vectors[1]
    return None


def _vector(tensor: Tensor, shape: Shape) -> Tensor | None:
    """What has been given this shape, one axis beside another one of size 1, to be repeated."""
    fits = tensor.shape == shape or (shape[0] == 1 and tensor.shape == shape[1:])
    if not fits or shape.count(1) != 1:
        return None
    if tensor.shape == shape and tensor.op.name in ONE_AXIS:
        tensor = tensor.node.inputs[0]
    return tensor
