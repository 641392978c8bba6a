"""Transposes behind what is computed of elements and sums, where readers do them for nothing.

A matrix product reads its operands either way, a loop that stores a transpose works in tiles, and
two transposes are often none. What is computed of a transposed array from its own sums would read
memory across its lines, pass after pass.
"""

from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor
from graphc.passes.canonicalize.reduce import STEPWISE
from graphc.rewrite.pattern import any_op
from graphc.rewrite.rule import rule

Axes = tuple[int, ...]
REDUCTIONS = STEPWISE | {"var", "logsumexp"}
ALONG_AXES = frozenset({"softmax", "log_softmax"})


def _of_transposes(names: tuple[str, ...]) -> bool:
    return "permute_dims" in names


@rule(any_op(lambda op: "elementwise" in op.traits, _of_transposes))
def transposed_operands(b: Builder, root: Tensor) -> Tensor | None:
    """f(permute_dims(x, p), permute_dims(y, p), v) = permute_dims(f(x, y, v along its axis), p) for
    elementwise f and vectors v; not of products, which are transposed by themselves
    """
    turned = [tensor.node for tensor in root.node.inputs if tensor.op.name == "permute_dims"]
    orders: set[Axes] = {node.attrs["axes"] for node in turned}
    if len(orders) != 1 or any(node.inputs[0].op.name == "matmul" for node in turned):
        return None
    (order,) = orders
    if len(order) != root.ndim or all(len(_long_axes(node.inputs[0])) < 2 for node in turned):
        return None
    found = [_before(b, tensor, order) for tensor in root.node.inputs]
    plain = [tensor for tensor in found if tensor is not None]
    if len(plain) < len(found):
        return None
    return b.permute_dims(root.op(*plain, **root.node.attrs), order)


def _before(b: Builder, tensor: Tensor, order: Axes) -> Tensor | None:
    """What permute_dims(_, order) makes the operand of; None where that takes a copy."""
    if tensor.op.name == "permute_dims":
        return tensor.node.inputs[0]
    long = _long_axes(tensor)
    if not long:
        return tensor
    if len(long) > 1:
        return None
    short = tuple(axis for axis in range(tensor.ndim) if axis not in long)
    vector = b.squeeze(tensor, short) if short else tensor
    place = order[long[0] + len(order) - tensor.ndim]
    return b.expand_dims(vector, tuple(axis for axis in range(len(order)) if axis != place))


def _long_axes(tensor: Tensor) -> list[int]:
    return [axis for axis, size in enumerate(tensor.shape) if size != 1]


@rule(any_op(lambda op: op.name in REDUCTIONS, _of_transposes))
def reduction_of_transpose(b: Builder, root: Tensor) -> Tensor:
    """sum(permute_dims(x, p), a) = permute_dims(sum(x, p[a]), what is left of p);  likewise prod,
    max, min, any, all, var, logsumexp
    """
    (turned,) = root.node.inputs
    order, keepdims = turned.node.attrs["axes"], root.node.attrs["keepdims"]
    axes = tuple(sorted(order[axis] for axis in root.node.attrs["axes"]))
    reduced = root.op(turned.node.inputs[0], **{**root.node.attrs, "axes": axes})
    if keepdims:
        return b.permute_dims(reduced, order)
    kept = [axis for axis in order if axis not in axes]
    if kept == sorted(kept):
        return reduced
    return b.permute_dims(reduced, tuple(sorted(kept).index(axis) for axis in kept))


@rule(any_op(lambda op: op.name in ALONG_AXES, _of_transposes))
def softmax_of_transpose(b: Builder, root: Tensor) -> Tensor:
    """softmax(permute_dims(x, p), a) = permute_dims(softmax(x, p[a]), p);  likewise log_softmax"""
    (turned,) = root.node.inputs
    order = turned.node.attrs["axes"]
    axis = order[root.node.attrs["axis"]]
    return b.permute_dims(
        root.op(turned.node.inputs[0], **{**root.node.attrs, "axis": axis}), order
    )


TRANSPOSES = (transposed_operands, reduction_of_transpose, softmax_of_transpose)
