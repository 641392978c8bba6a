"""Shapes in canonical form: broadcasts as late as possible, reshapes composed.

An elementwise op computes on its operands before they are broadcast; the driver broadcasts the
result where that is needed. So gradients, which broadcast often, cost no more than what is in them.
"""

import numpy as np

from graphc.dtypes import DType
from graphc.ir.leaf import CONSTANT, constant
from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor
from graphc.rewrite.pattern import Number, P, any_op, attr, var
from graphc.rewrite.rule import rule

X = var("x")
Axes = tuple[int, ...]


BROADCASTS = frozenset({"broadcast_to", "expand_dims"})


@rule(any_op(lambda op: "elementwise" in op.traits, lambda names: not BROADCASTS.isdisjoint(names)))
def broadcast_operand(b: Builder, root: Tensor) -> Tensor | None:
    """f(broadcast_to(x, s), y) = f(x, y) for elementwise f; new leading axes go as well"""
    inputs = root.node.inputs
    bare = [_without_broadcast(tensor) for tensor in inputs]
    if all(new is old for new, old in zip(bare, inputs, strict=True)):
        return None
    return root.op(*bare, **root.node.attrs)


def _without_broadcast(tensor: Tensor) -> Tensor:
    name = tensor.op.name
    if name == "broadcast_to" or (name == "expand_dims" and _leading(tensor.node.attrs["axis"])):
        return tensor.node.inputs[0]
    return tensor


def _leading(axes: Axes) -> bool:
    """Whether new axes all come before the old ones, where broadcasting adds them by itself."""
    return axes == tuple(range(len(axes)))


@rule(P.broadcast_to(X))
def same_shape_broadcast(b: Builder, root: Tensor, x: Tensor) -> Tensor | None:
    """broadcast_to(x, shape of x) = x"""
    return x if x.shape == root.shape else None


@rule(P.broadcast_to(X))
def broadcast_of_one_number(b: Builder, root: Tensor, x: Tensor) -> Tensor | None:
    """broadcast_to([[c]], s) = broadcast_to(c, s)"""
    if x.op is not CONSTANT or x.ndim == 0 or x.node.attrs["value"].size != 1:
        return None
    return b.broadcast_to(constant(x.node.attrs["value"].reshape(())), root.shape)


@rule(P.broadcast_to(X))
def broadcast_adds_axes(b: Builder, root: Tensor, x: Tensor) -> Tensor | None:
    """broadcast_to(x, (1, 1, *shape of x)) = expand_dims(x, (0, 1))"""
    added = root.ndim - x.ndim
    if added == 0 or root.shape != (1,) * added + x.shape:
        return None
    return b.expand_dims(x, tuple(range(added)))


@rule(P.broadcast_to(P.broadcast_to(X)))
def broadcast_of_broadcast(b: Builder, root: Tensor, x: Tensor) -> Tensor:
    """broadcast_to(broadcast_to(x, s), t) = broadcast_to(x, t)"""
    return b.broadcast_to(x, root.shape)


@rule(P.broadcast_to(P.expand_dims(X, axis=attr("axis"))))
def broadcast_of_new_axes(b: Builder, root: Tensor, x: Tensor, axis: Axes) -> Tensor | None:
    """broadcast_to(expand_dims(x, 0), s) = broadcast_to(x, s)"""
    return b.broadcast_to(x, root.shape) if _leading(axis) else None


@rule(P.reshape(P.reshape(X)), P.reshape(P.expand_dims(X)), P.reshape(P.squeeze(X)))
def reshape_of_reshape(b: Builder, root: Tensor, x: Tensor) -> Tensor:
    """reshape(reshape(x, s), t) = reshape(x, t); new and dropped axes are reshapes too"""
    return b.reshape(x, root.shape)


@rule(P.reshape(X))
def same_shape_reshape(b: Builder, root: Tensor, x: Tensor) -> Tensor | None:
    """reshape(x, shape of x) = x"""
    return x if x.shape == root.shape else None


@rule(P.reshape(P.broadcast_to(X)), P.squeeze(P.broadcast_to(X)), P.expand_dims(P.broadcast_to(X)))
def reshape_of_broadcast(b: Builder, root: Tensor, x: Tensor) -> Tensor | None:
    """reshape(broadcast_to(x, s), t) = broadcast_to(x, t) for x of one element"""
    return b.broadcast_to(x, root.shape) if x.ndim == 0 else None


@rule(P.squeeze(P.expand_dims(X, axis=attr("axis")), axis=attr("axis")))
def squeeze_of_new_axes(b: Builder, x: Tensor) -> Tensor:
    """squeeze(expand_dims(x, a), a) = x"""
    return x


@rule(P.expand_dims(P.squeeze(X, axis=attr("axis")), axis=attr("axis")))
def new_axes_of_squeeze(b: Builder, root: Tensor, x: Tensor) -> Tensor | None:
    """expand_dims(squeeze(x, a), a) = x where the axes are known to be of size 1"""
    return x if x.shape == root.shape else None


@rule(P.expand_dims(P.expand_dims(X, axis=attr("inner")), axis=attr("outer")))
def new_axes_of_new_axes(b: Builder, root: Tensor, x: Tensor, inner: Axes, outer: Axes) -> Tensor:
    """expand_dims(expand_dims(x, a), b) = expand_dims(x, both)"""
    old = [axis for axis in range(root.ndim) if axis not in outer]
    return b.expand_dims(x, tuple(sorted((*outer, *(old[axis] for axis in inner)))))


@rule(P.squeeze(P.squeeze(X, axis=attr("inner")), axis=attr("outer")))
def squeeze_of_squeeze(b: Builder, x: Tensor, inner: Axes, outer: Axes) -> Tensor:
    """squeeze(squeeze(x, a), b) = squeeze(x, both)"""
    left = [axis for axis in range(x.ndim) if axis not in inner]
    return b.squeeze(x, tuple(sorted((*inner, *(left[axis] for axis in outer)))))


@rule(any_op(lambda op: op is CONSTANT))
def uniform_constant(b: Builder, root: Tensor) -> Tensor | None:
    """[c, c, ..., c] = broadcast_to(c, s)"""
    array: np.ndarray = root.node.attrs["value"]
    if array.size < 2 or "name" in root.node.attrs:
        return None
    flat = array.reshape(-1)
    first = flat[:1].tobytes()
    if (
        flat[-1:].tobytes() != first
        or flat[array.size // 2 : array.size // 2 + 1].tobytes() != first
    ):
        return None
    if array.tobytes() != first * array.size:
        return None
    return b.broadcast_to(constant(flat[0]), root.shape)


@rule(P.full(value=attr("value"), dtype=attr("dtype")))
def full(b: Builder, root: Tensor, value: Number, dtype: DType) -> Tensor:
    """full(s, c) = broadcast_to(c, s)"""
    return b.broadcast_to(constant(value, dtype), root.shape)


SHAPE = (
    uniform_constant,
    broadcast_operand,
    same_shape_broadcast,
    broadcast_of_one_number,
    broadcast_adds_axes,
    broadcast_of_broadcast,
    broadcast_of_new_axes,
    reshape_of_reshape,
    same_shape_reshape,
    reshape_of_broadcast,
    squeeze_of_new_axes,
    new_axes_of_squeeze,
    new_axes_of_new_axes,
    squeeze_of_squeeze,
    full,
)
