"""Sizes that are at most 1 whatever is fed, such as those of x[:, :1], beside larger ones.

numpy stretches what has size 1 when it is called. Sizes of a graph are expressions: min(m, 1) is
known to be 0 or 1, and stretches to m, for there is an entry wherever there is one to compute.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from graphc.dims import Dim, lower_bound
from graphc.ir.registry import OPS
from graphc.shapes import Shape, Size

if TYPE_CHECKING:
    from graphc.ir.tensor import Tensor


def at_most_one(size: Size) -> bool:
    """Whether a symbolic size is 0 or 1 for all values of its symbols."""
    if not isinstance(size, Dim):
        return False
    bound = lower_bound(1 - size)
    return bound is not None and bound >= 0


def stretched(tensors: Sequence["Tensor"]) -> tuple["Tensor", ...]:
    """The tensors, with axes of at most one entry stretched to the larger sizes beside them."""
    ndim = max(tensor.ndim for tensor in tensors)
    targets = [
        _target([t.shape[axis] for t in tensors if t.ndim >= -axis]) for axis in range(-ndim, 0)
    ]
    return tuple(_toward(tensor, targets[ndim - tensor.ndim :]) for tensor in tensors)


def stretched_to(tensor: "Tensor", shape: Shape) -> "Tensor":
    """The tensor, with axes of at most one entry stretched to the last sizes of `shape`."""
    if tensor.ndim > len(shape):
        return tensor
    return _toward(tensor, shape[len(shape) - tensor.ndim :])


def _target(sizes: Sequence[Size]) -> Size:
    """What axes of at most one entry stretch to; 1 where all of them are of that kind."""
    wide = [size for size in sizes if size != 1 and not at_most_one(size)]
    return next((size for size in wide if isinstance(size, int)), wide[0] if wide else 1)


def _toward(tensor: "Tensor", sizes: Sequence[Size]) -> "Tensor":
    shape = tuple(
        size if size not in (1, own) and at_most_one(own) else own
        for own, size in zip(tensor.shape, sizes, strict=True)
    )
    return tensor if shape == tensor.shape else OPS["stretch"](tensor, shape=shape)
