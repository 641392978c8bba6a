"""What the ops of linear algebra share: checks, symmetric and Hermitian input, complex matrices."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc.conversion import complex_view, real_view
from graphc.dtypes import DType, is_complex, is_half
from graphc.errors import DTypeError, ShapeError
from graphc.ir.node import TensorType
from graphc.ir.opdef import Application, Example, Generator, Gradients, Inference
from graphc.ir.registry import BUILDER, OPS, Builder
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.lapack import ROUTINES
from graphc.ops.definition import floating, one_input, promote_inputs
from graphc.shapes import Shape, Size


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


def of_complex(name: str, *inputs: np.ndarray, **attrs: Any) -> tuple[np.ndarray, ...]:
    """A routine for complex matrices, on arrays: pairs of numbers go in and come out."""
    found = routine(name, *(real_view(np.ascontiguousarray(x)) for x in inputs), **attrs)
    operands = ROUTINES[name].outputs
    return tuple(
        complex_view(array) if operand.shape[-1:] == ("two",) else array
        for array, operand in zip(found, operands, strict=True)
    )


def mT(b: Builder, x: Tensor) -> Tensor:
    """x with rows and columns exchanged."""
    return b.matrix_transpose(x)


def adjoint(b: Builder, x: Tensor) -> Tensor:
    """The conjugate transpose; the transpose of real matrices."""
    return b.conj(mT(b, x))


def hermitian_of_lower(b: Builder, x: Tensor) -> Tensor:
    """The Hermitian matrix with this lower triangle; the diagonal counts without imaginary part."""
    below = b.tril(x, -1)
    return b.add(b.add(below, adjoint(b, below)), b.multiply(b.real(x), identity(b, b.real(x))))


VJP = Callable[[Builder, Application, Gradients], Gradients]


def of_inner_products(rule: VJP) -> VJP:
    """A rule in which gradients of complex numbers are those of inner products, as in books:
    dL = Re(conj(g) dz). Rules of ops have dL = Re(g dz)."""

    def vjp(b: Builder, a: Application, gradients: Gradients) -> Gradients:
        def turned(found: Gradients) -> list[Tensor | None]:
            return [None if one is None else b.conj(one) for one in found]

        return turned(rule(b, a, turned(gradients)))

    return vjp


# --- complex matrices as real ones twice as large ------------------------------------------------
# [[re, -im], [im, re]] of a product is the product of those of its factors.


def embedded(b: Builder, x: Tensor) -> Tensor:
    """Complex [..., m, n] as real [..., 2 m, 2 n]."""
    real, imag = b.real(x), b.imag(x)
    above = b.concat([real, b.negative(imag)], axis=-1)
    return b.concat([above, b.concat([imag, real], axis=-1)], axis=-2)


def columns_of(b: Builder, x: Tensor) -> Tensor:
    """The first columns of the embedding: complex [..., m, k] as real [..., 2 m, k]."""
    return b.concat([b.real(x), b.imag(x)], axis=-2)


def of_columns(b: Builder, x: Tensor, rows: Size) -> Tensor:
    """The complex matrix whose embedding has these first columns: [..., 2 rows, k]."""
    return b.complex(x[..., :rows, :], x[..., rows:, :])


def of_any(function: Callable[[Tensor], Tensor], a: Tensor) -> Tensor:
    """A function of real or complex matrices; f of the embedding is the embedding of f."""
    if not is_complex(a.dtype):
        return function(a)
    n = a.shape[-1]
    return of_columns(BUILDER, function(embedded(BUILDER, a))[..., :n], n)


def pairs(b: Builder, x: Tensor) -> Tensor:
    """Complex numbers as LAPACK takes them: real [..., 2]."""
    return b.stack([b.real(x), b.imag(x)], axis=-1)


def of_pairs(b: Builder, x: Tensor) -> Tensor:
    """The complex numbers of real [..., 2]."""
    return b.complex(x[..., 0], x[..., 1])


def identity(b: Builder, like: Tensor, size: Any = None) -> Tensor:
    """The identity matrix in the dtype of a tensor; by default of its number of columns."""
    return b.eye(like.shape[-1] if size is None else size, dtype=like.dtype)


def of_lower_triangle(b: Builder, gradient: Tensor) -> Tensor:
    """The gradient of a function that reads the lower triangle and takes the rest as symmetric, of
    complex matrices as Hermitian.

    gradient: that of all entries of the symmetric matrix. Two entries move with each one below the
    diagonal; those above do not matter.
    """
    diagonal = b.real(gradient)
    return b.add(
        b.tril(b.add(gradient, adjoint(b, gradient)), -1),
        b.multiply(diagonal, identity(b, diagonal)),
    )


def from_lower_triangle(b: Builder, tangent: Tensor) -> Tensor:
    """The transpose of of_lower_triangle: the symmetric matrix with this lower triangle."""
    if is_complex(tangent.dtype):
        return hermitian_of_lower(b, tangent)
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


def complex_matrix(real: Tensor, other: Tensor, hermitian: bool = True) -> Tensor:
    """A complex matrix; hermitian: with the antisymmetric part of `other` as imaginary parts."""
    if hermitian:
        other = BUILDER.multiply(BUILDER.subtract(other, mT(BUILDER, other)), 0.2)
    return BUILDER.complex(real, other)


def matrix_examples(
    build: Callable[[Tensor], Any],
    shapes: Sequence[tuple[int, ...]] = ((3, 3), (2, 2, 2), (1, 1), (0, 0), (0, 2, 2)),
) -> Callable[[Generator], list[Example]]:
    """Examples of one function on matrices of several shapes."""
    return lambda rng: [Example(build, (rng.uniform(-1, 1, size=s),)) for s in shapes]
