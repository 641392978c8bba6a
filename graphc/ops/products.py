"""Products of vectors and matrices that sum over nothing: Kronecker's, and the cross product."""

from typing import Any

from graphc.errors import ShapeError
from graphc.ir.arguments import checked_axis
from graphc.ir.registry import BUILDER, public
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.definition import NUMERIC, check_dtype, promote_inputs

__all__ = ["cross", "kron"]


def _operands(name: str, x1: Any, x2: Any) -> tuple[Tensor, Tensor]:
    a, b = promote_inputs(name, x1, x2)
    check_dtype(name, a.dtype, NUMERIC)
    return a, b


@public
def kron(x1: Any, x2: Any) -> Tensor:
    """Every entry of x1 times all of x2: axis k of the result has size n1[k] * n2[k].

    x1, x2: numeric dtypes, which are promoted; the one of fewer axes gets axes of size 1 in front.
    DTypeError for bool.
    """
    a, b = _operands("kron", x1, x2)
    ndim = max(a.ndim, b.ndim)
    a = BUILDER.reshape(a, (1,) * (ndim - a.ndim) + a.shape)
    b = BUILDER.reshape(b, (1,) * (ndim - b.ndim) + b.shape)
    inner = BUILDER.expand_dims(a, tuple(range(1, 2 * ndim, 2)))
    outer = BUILDER.expand_dims(b, tuple(range(0, 2 * ndim, 2)))
    shape = tuple(n * m for n, m in zip(a.shape, b.shape, strict=True))
    return BUILDER.reshape(BUILDER.multiply(inner, outer), shape)


@public
def cross(x1: Any, x2: Any, axis: int = -1) -> Tensor:
    """The cross product of vectors of three entries along `axis`, counted in each operand.

    x1, x2: numeric dtypes, which are promoted; the other axes broadcast. ShapeError for another
    size along the axis; a symbolic one is checked at the call. DTypeError for bool.
    """
    vectors = []
    for operand in _operands("cross", x1, x2):
        place = checked_axis("cross", axis, operand.ndim)
        size = operand.shape[place]
        if isinstance(size, int) and size != 3:
            raise ShapeError(
                f"cross: axis {axis} of {operand.type} has size {size}, not 3",
                source=current_source(),
                fix="give vectors of three numbers along the axis",
            )
        moved = BUILDER.moveaxis(operand, place, -1)
        vectors.append(BUILDER.broadcast_to(moved, (*moved.shape[:-1], 3)))
    (a0, a1, a2), (b0, b1, b2) = ([one[..., k] for k in range(3)] for one in vectors)
    parts = [a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0]
    product = BUILDER.stack(parts, axis=-1)
    return BUILDER.moveaxis(product, -1, axis)
