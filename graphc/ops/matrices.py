"""What the ops of linear algebra share: checks of matrices, and gradients of symmetric input."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc.dtypes import DType, is_half
from graphc.errors import DTypeError, ShapeError
from graphc.ir.node import TensorType
from graphc.ir.opdef import Example, Generator, Inference
from graphc.ir.registry import BUILDER, OPS, Builder
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.definition import floating, one_input, promote_inputs
from graphc.shapes import Shape


def matrix_input(name: str, x: Any) -> Tensor:
    """x as float32 or float64 matrices: at least two axes. Integers and bool become float32."""
    return _checked(name, floating(one_input(name, x)))


def matrix_inputs(name: str, *values: Any) -> tuple[Tensor, ...]:
    """Operands of one floating dtype; of any rank."""
    return tuple(_floats(name, floating(tensor)) for tensor in promote_inputs(name, *values))


def square_input(name: str, x: Any) -> Tensor:
    """x as square matrices; sizes that are not known yet are compared at the call."""
    return require_square(name, matrix_input(name, x))


def require_square(name: str, x: Tensor) -> Tensor:
    """ShapeError where x is known not to be square."""
    _checked(name, x)
    rows, columns = x.shape[-2:]
    if isinstance(rows, int) and isinstance(columns, int) and rows != columns:
        raise ShapeError(
            f"{name}: needs square matrices, got {x.type}",
            source=current_source(),
            fix="the last two axes must have one size",
        )
    return x


def _floats(name: str, x: Tensor) -> Tensor:
    _check_width(name, x.dtype)
    return x


def _check_width(name: str, dtype: DType) -> None:
    if is_half(dtype):
        raise DTypeError(
            f"{name}: not for {dtype.name}",
            code="E214",
            details=[
                f"got {dtype.name}, allowed: float32, float64; integers and bool become float32"
            ],
            source=current_source(),
            fix='cast with x.astype("float32")',
        )


def _checked(name: str, x: Tensor) -> Tensor:
    if x.ndim < 2:
        raise ShapeError(
            f"{name}: needs at least 2 axes, got {x.type}",
            source=current_source(),
            fix="the last two axes are the rows and columns of the matrices",
        )
    return _floats(name, x)


def in_one_batch(name: str, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Both operands with the same batch axes; or a as one matrix for all."""
    rows, size = b.shape[-2], a.shape[-1]
    if isinstance(rows, int) and isinstance(size, int) and rows != size:
        raise ShapeError(
            f"{name}: the right-hand side has {rows} rows, the matrix {size}",
            details=[f"matrix: {a.type}    right-hand side: {b.type}"],
            source=current_source(),
            fix="a right-hand side of one axis is a vector; of several, its columns are solved",
        )
    batch_a, batch_b = a.shape[:-2], b.shape[:-2]
    if batch_a == batch_b or not batch_a:
        return a, b
    batch: Shape = BUILDER.add(_flags(batch_a), _flags(batch_b)).shape
    return (
        BUILDER.broadcast_to(a, (*batch, *a.shape[-2:])),
        BUILDER.broadcast_to(b, (*batch, *b.shape[-2:])),
    )


def _flags(shape: Shape) -> Tensor:
    """Something of this shape, to broadcast by the rules and errors of arithmetic."""
    return BUILDER.zeros(shape)


def square_type(call: Inference) -> TensorType:
    """The type of the first input, whose matrices must be square."""
    x = call.types[0]
    _check_width(call.op, x.dtype)
    call.require_equal(x.shape[-2], x.shape[-1], f"rows and columns of {x}")
    return x


def routine(name: str, *inputs: np.ndarray, **attrs: Any) -> tuple[np.ndarray, ...]:
    """A routine of LAPACK on arrays, for references."""
    outputs: tuple[np.ndarray, ...] = OPS[name].reference(attrs, *inputs)
    return outputs


def mT(b: Builder, x: Tensor) -> Tensor:
    """x with rows and columns exchanged."""
    return b.matrix_transpose(x)


def identity(b: Builder, like: Tensor, size: Any = None) -> Tensor:
    """The identity matrix in the dtype of a tensor; by default of its number of columns."""
    return b.eye(like.shape[-1] if size is None else size, dtype=like.dtype)


def of_lower_triangle(b: Builder, gradient: Tensor) -> Tensor:
    """The gradient of a function that reads the lower triangle and takes the rest as symmetric.

    gradient: that of all entries of the symmetric matrix. Two entries move with each one below the
    diagonal; those above do not matter.
    """
    return b.add(
        b.tril(b.add(gradient, mT(b, gradient)), -1),
        b.multiply(gradient, identity(b, gradient)),
    )


def from_lower_triangle(b: Builder, tangent: Tensor) -> Tensor:
    """The transpose of of_lower_triangle: the symmetric matrix with this lower triangle."""
    return b.add(b.tril(tangent), mT(b, b.tril(tangent, -1)))


# --- examples ------------------------------------------------------------------------------------


def regular(x: Tensor) -> Tensor:
    """x as a square matrix far from singular."""
    return BUILDER.add(BUILDER.multiply(x, 0.25), identity(BUILDER, x) * 3)


def positive(x: Tensor) -> Tensor:
    """x as a symmetric, positive definite matrix with eigenvalues far from each other."""
    ramp = BUILDER.arange(x.shape[-1]).astype(x.dtype) + 2
    spread = BUILDER.multiply(identity(BUILDER, x), ramp)
    return BUILDER.add(BUILDER.multiply(BUILDER.add(x, mT(BUILDER, x)), 0.1), spread)


def matrix_examples(
    build: Callable[[Tensor], Any],
    shapes: Sequence[tuple[int, ...]] = ((3, 3), (2, 2, 2), (1, 1), (0, 0), (0, 2, 2)),
) -> Callable[[Generator], list[Example]]:
    """Examples of one function on matrices of several shapes."""
    return lambda rng: [Example(build, (rng.uniform(-1, 1, size=s),)) for s in shapes]
