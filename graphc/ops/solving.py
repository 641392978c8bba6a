"""Equations in matrices: solve and inverse by the LU factorisation, and triangular ones.

Whatever needs the factors of one matrix shares them: each op is composed of the factorisation and
a step that uses it, and equal factorisations are one.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.dtypes import int32, is_complex
from graphc.errors import DTypeError, ShapeError
from graphc.ir.batch import Batch, leading
from graphc.ir.leaf import as_tensor
from graphc.ir.lowering import Composite
from graphc.ir.node import Attributes, TensorType
from graphc.ir.opdef import Application, Example, Generator, Gradients, Inference, OpDef
from graphc.ir.registry import BUILDER, Builder, public, register
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.matrices import (
    columns_of,
    embedded,
    identity,
    in_one_batch,
    matrix_examples,
    matrix_inputs,
    mT,
    of_any,
    of_columns,
    regular,
    require_square,
    routine,
    square_input,
    square_type,
)
from graphc.ops.small_matrices import (
    entries,
    is_small,
    solution,
    triangular_solution,
)
from graphc.shapes import size_product

__all__: list[str] = []  # public in the namespace graphc.linalg


def _operands(call: Inference) -> tuple[TensorType, TensorType]:
    """A square matrix and right-hand sides that fit."""
    square_type(call)
    a, b = call.types
    if a.dtype != b.dtype:
        raise DTypeError(f"{call.op}: got {a} and {b}")
    call.require_equal(a.shape[-1], b.shape[-2], f"columns of {a} and rows of {b}")
    return a, b


# --- solve ---------------------------------------------------------------------------------------


def _infer_solve(call: Inference) -> TensorType:
    """a[..., n, n] and b[..., n, k], with the same batch axes; or a without any."""
    a, b = _operands(call)
    if a.ndim > 2:
        for one, other in zip(a.shape[:-2], b.shape[:-2], strict=True):
            call.require_equal(one, other, f"batch axes of {a} and {b}")
    return b


def _reference_solve(attrs: Attributes, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    rows = np.swapaxes(b, -1, -2)
    factors = routine("getrf", a, caller="lu")
    held = rows if a.ndim > 2 else rows.reshape(int(np.prod(rows.shape[:-1])), rows.shape[-1])
    letter = "N" if attrs["transpose"] else "T"
    (found,) = routine("getrs", *factors, held, caller=attrs["caller"], transpose=letter)
    return np.swapaxes(found.reshape(rows.shape), -1, -2).copy()


def _build_solve(b: Builder, a: Tensor, rhs: Tensor, transpose: bool, caller: str) -> Tensor:
    """LAPACK takes right-hand sides as rows; with one matrix for all, those of the whole batch."""
    if is_small(a, rhs) and a.ndim == rhs.ndim:
        return solution(b, entries(a), entries(rhs), transpose, caller)
    rows = mT(b, rhs)
    shape = rows.shape
    if a.ndim == 2 and len(shape) > 2:
        rows = b.reshape(rows, (size_product(shape[:-1]), shape[-1]))
    factors = b.lapack("getrf", a, caller="lu")
    letter = "N" if transpose else "T"
    found = b.lapack("getrs", *factors, rows, caller=caller, transpose=letter)[0]
    return mT(b, b.reshape(found, shape) if found.shape != shape else found)


def _vjp_solve(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    """Of X = A^-1 B: dB = A^-T G and dA = -dB X^T (Giles 2008, "An extended collection of matrix
    derivative results for forward and reverse mode AD", 2.3.1), by the same factors."""
    assert gradients[0] is not None
    matrix, transpose = a.inputs[0], a.attrs["transpose"]
    right = SOLVE(matrix, gradients[0], transpose=not transpose, caller=a.attrs["caller"])
    if not a.wants(0):
        return [None, right]
    left, other = (a.output, right) if transpose else (right, a.output)
    return [b.negative(b.matmul(left, other, transpose_b=True)), right]


def _solve_examples(rng: Generator) -> list[Example]:
    shapes: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
        ((3, 3), (3,)),
        ((3, 3), (3, 2)),
        ((2, 2, 2), (2, 2, 3)),
        ((2, 2), (3, 2, 1)),
        ((0, 0), (0, 2)),
        ((2, 2), (2, 0)),
        ((0, 2, 2), (0, 2, 1)),
    ]
    plain = [
        Example(
            lambda a, b: solve(regular(a), b),
            (rng.uniform(-1, 1, size=one), rng.uniform(-1, 1, size=other)),
        )
        for one, other in shapes
    ]
    turned = Example(
        lambda a, b: SOLVE(regular(a), b, transpose=True, caller="solve"),
        (rng.uniform(-1, 1, size=(2, 3, 3)), rng.uniform(-1, 1, size=(2, 3, 2))),
    )
    return [*plain, turned]


def _batch_solve(batch: Batch) -> Sequence[Tensor]:
    """One matrix for all examples stays one, with the right-hand sides of all."""
    matrix, rhs = batch.node.inputs
    if not batch.mapped(0) and matrix.ndim == 2:
        return batch.apply(batch.inputs)
    if matrix.ndim == 2:  # for each example one matrix, for all of its right-hand sides
        own = batch.aligned(0, rhs.ndim)
        shape = (batch.size, *rhs.shape[:-2], *matrix.shape)
        return batch.apply([BUILDER.broadcast_to(own, shape), batch.whole(1)])
    return leading(batch)


SOLVE: OpDef = register(
    OpDef(
        "solve",
        infer=_infer_solve,
        reference=_reference_solve,
        lower=Composite(_build_solve),
        vjp=_vjp_solve,
        batch=_batch_solve,
        examples=_solve_examples,
        defaults={"transpose": False, "caller": "solve"},
    )
)


@public
def solve(x1: Any, x2: Any) -> Tensor:
    """The x with x1 @ x = x2, by the LU factorisation with partial pivoting (LAPACK getrf, getrs).

    x1: [..., n, n]. x2: one axis [n], or [..., n, k] with k right-hand sides; batch axes broadcast.
    Floats of 4 and 8 bytes and complex numbers of them; integers and bool become float32. Gradients
    solve with the same factors.
    Raises ShapeError, DTypeError; LinearAlgebraError (E406) at the call for a singular matrix,
    that is one whose factors have a pivot of exactly 0.
    """
    a, b = matrix_inputs("solve", x1, x2)
    require_square("solve", a)
    if b.ndim == 0:
        raise ShapeError(
            f"solve: the right-hand side is a scalar, {b.type}",
            source=current_source(),
            fix="give b as a vector or matrix with a row for each row of a",
        )
    if b.ndim > 1:
        return solve_system(a, b)
    return BUILDER.squeeze(solve_system(a, BUILDER.expand_dims(b, -1)), -1)


@public
def solve_system(a: Tensor, b: Tensor, transpose: bool = False, caller: str = "solve") -> Tensor:
    """The x with a @ x = b or a.T @ x = b, for matrices b; batch axes broadcast.

    caller: the function that errors name.
    """
    a, b = in_one_batch(caller, a, b)
    if not is_complex(a.dtype):
        return SOLVE(a, b, transpose=transpose, caller=caller)
    whole = embedded(BUILDER, mT(BUILDER, a) if transpose else a)
    found = SOLVE(whole, columns_of(BUILDER, b), transpose=False, caller=caller)
    return of_columns(BUILDER, found, b.shape[-2])


# --- inverse -------------------------------------------------------------------------------------


def _reference_inv(attrs: Attributes, a: np.ndarray) -> np.ndarray:
    factors = routine("getrf", a, caller="lu")
    rows = np.broadcast_to(np.eye(a.shape[-1], dtype=a.dtype), a.shape)
    return routine("getrs", *factors, rows, caller=attrs["caller"], transpose="N")[0]


def _build_inv(b: Builder, a: Tensor, caller: str) -> Tensor:
    """Row i of the inverse solves a.T @ row = e_i."""
    if is_small(a):
        unit = b.broadcast_to(identity(b, a), a.shape)
        return solution(b, entries(a), entries(unit), False, caller)
    rows = b.broadcast_to(identity(b, a), a.shape)
    factors = b.lapack("getrf", a, caller="lu")
    return b.lapack("getrs", *factors, rows, caller=caller, transpose="N")[0]


def _vjp_inv(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    """Of Y = A^-1: dA = -Y^T G Y^T (Giles 2008, 2.2.3)."""
    assert gradients[0] is not None
    y = a.output
    product = b.matmul(b.matmul(y, gradients[0], transpose_a=True), y, transpose_b=True)
    return [b.negative(product)]


def _jvp_inv(b: Builder, a: Application, tangents: Gradients) -> Gradients:
    if tangents[0] is None:
        return [None]
    return [b.negative(b.matmul(b.matmul(a.output, tangents[0]), a.output))]


INV: OpDef = register(
    OpDef(
        "inv",
        infer=square_type,
        reference=_reference_inv,
        lower=Composite(_build_inv),
        vjp=_vjp_inv,
        jvp=_jvp_inv,
        batch=leading,
        examples=matrix_examples(lambda x: inv(regular(x))),
        defaults={"caller": "inv"},
    )
)


@public
def inv(x: Any) -> Tensor:
    """The inverse of square matrices [..., n, n]. To multiply by it, `solve` is better; a product
    `inv(a) @ b` becomes one by itself.

    Floats of 4 and 8 bytes and complex numbers of them; integers and bool become float32. Raises
    ShapeError, DTypeError;
    LinearAlgebraError (E406) at the call for a singular matrix.
    """
    return inverse(square_input("inv", x))


@public
def inverse(a: Tensor, caller: str = "inv") -> Tensor:
    """The inverse of square matrices of floats. caller: the function that errors name."""
    return of_any(lambda x: INV(x, caller=caller), a)


# --- triangles -----------------------------------------------------------------------------------


def _reference_triangular(attrs: Attributes, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    zero = np.diagonal(a, axis1=-2, axis2=-1) == 0
    status = np.where(zero.any(-1), zero.argmax(-1) + 1 if zero.shape[-1] else 0, 0)
    if attrs["unit_diagonal"]:
        status = np.zeros_like(status)
    options = _triangle_options(attrs["lower"], attrs["transpose"], attrs["unit_diagonal"])
    (result,) = routine("trsm", a, status.astype(np.int32), b, caller="triangular_solve", **options)
    return result


def _triangle_options(lower: bool, transpose: bool, unit_diagonal: bool) -> dict[str, str]:
    """LAPACK sees the other triangle."""
    return {
        "triangle": "U" if lower else "L",
        "transpose": "T" if transpose else "N",
        "diagonal": "U" if unit_diagonal else "N",
    }


def _build_triangular(
    b: Builder, a: Tensor, rhs: Tensor, lower: bool, transpose: bool, unit_diagonal: bool
) -> Tensor:
    """Which diagonals have a 0, and where, is found beforehand: BLAS does not look."""
    if is_small(a, rhs):
        return triangular_solution(b, entries(a), entries(rhs), lower, transpose, unit_diagonal)
    if unit_diagonal or a.shape[-1] == 0:
        status = b.zeros(a.shape[:-2], int32)
    else:
        zero = b.equal(b.diagonal(a, 0, -2, -1), 0)
        first = b.add(b.argmax(zero.astype(int32), axis=-1), 1)
        status = b.where(b.any(zero, axis=-1), first, 0).astype(int32)
    options = _triangle_options(lower, transpose, unit_diagonal)
    return b.lapack("trsm", a, status, rhs, caller="triangular_solve", **options)[0]


def _infer_triangular(call: Inference) -> TensorType:
    a, b = _operands(call)
    for one, other in zip(a.shape[:-2], b.shape[:-2], strict=True):
        call.require_equal(one, other, f"batch axes of {a} and {b}")
    return b


def _vjp_triangular(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    """As solve's, of the triangle alone (Giles 2008, 2.3.1)."""
    assert gradients[0] is not None
    lower, transpose = a.attrs["lower"], a.attrs["transpose"]
    flags = {**a.attrs, "transpose": not transpose}
    right = TRIANGULAR_SOLVE(a.inputs[0], gradients[0], **flags)
    if not a.wants(0):
        return [None, right]
    left, other = (a.output, right) if transpose else (right, a.output)
    whole = b.negative(b.matmul(left, other, transpose_b=True))
    offset = int(a.attrs["unit_diagonal"])
    return [b.tril(whole, -offset) if lower else b.triu(whole, offset), right]


def _triangular_examples(rng: Generator) -> list[Example]:
    found = []
    for lower in (True, False):
        for transpose in (True, False):
            shapes: list[tuple[tuple[int, ...], tuple[int, ...]]] = [((3, 3), (3, 2))]
            if lower is transpose:
                shapes += [((2, 2, 2), (2, 2, 1)), ((0, 0), (0, 1))]
            found += [
                Example(
                    lambda a, b, lower=lower, transpose=transpose: triangular_solve(
                        regular(a), b, lower=lower, transpose=transpose
                    ),
                    (rng.uniform(-1, 1, size=one), rng.uniform(-1, 1, size=other)),
                )
                for one, other in shapes
            ]
    unit = Example(
        lambda a, b: triangular_solve(a, b, unit_diagonal=True),
        (rng.uniform(-1, 1, size=(3, 3)), rng.uniform(-1, 1, size=(3,))),
    )
    return [*found, unit]


def _batch_triangular(batch: Batch) -> Sequence[Tensor]:
    """One matrix for all examples: their right-hand sides are columns side by side."""
    if batch.mapped(0) or batch.node.inputs[0].ndim > 2:
        return leading(batch)
    matrix, rhs = batch.inputs
    size, rows, columns = rhs.shape
    beside = BUILDER.reshape(BUILDER.moveaxis(rhs, 0, 1), (rows, size_product((size, columns))))
    (found,) = batch.apply([matrix, beside])
    return [BUILDER.moveaxis(BUILDER.reshape(found, (rows, size, columns)), 1, 0)]


TRIANGULAR_SOLVE: OpDef = register(
    OpDef(
        "triangular_solve",
        infer=_infer_triangular,
        reference=_reference_triangular,
        lower=Composite(_build_triangular),
        vjp=_vjp_triangular,
        batch=_batch_triangular,
        examples=_triangular_examples,
        defaults={"lower": True, "transpose": False, "unit_diagonal": False},
    )
)


@public
def triangular_solve(
    x1: Any,
    x2: Any,
    *,
    lower: bool = True,
    transpose: bool = False,
    unit_diagonal: bool = False,
) -> Tensor:
    """The x with t @ x = x2, t the lower or upper triangle of x1 (BLAS trsm).

    x1: [..., n, n]; the other triangle is not read. x2: one axis [n], or [..., n, k]; batch axes
    broadcast. transpose: solve t.T @ x = x2. unit_diagonal: take the diagonal as ones, unread.
    Floats of 4 and 8 bytes and complex numbers of them; integers and bool become float32. Raises
    ShapeError, DTypeError;
    LinearAlgebraError (E406) at the call for a 0 on the diagonal.
    """
    a, b = matrix_inputs("triangular_solve", x1, as_tensor(x2))
    require_square("triangular_solve", a)
    if b.ndim == 0:
        raise ShapeError(
            f"triangular_solve: the right-hand side is a scalar, {b.type}",
            source=current_source(),
            fix="give b as a vector or matrix with a row for each row of a",
        )
    is_vector = b.ndim == 1
    a, b = in_one_batch("triangular_solve", a, BUILDER.expand_dims(b, -1) if is_vector else b)
    if a.ndim < b.ndim:
        a = BUILDER.broadcast_to(a, (*b.shape[:-2], *a.shape[-2:]))
    flags = {"lower": bool(lower), "transpose": bool(transpose)}
    if is_complex(a.dtype):
        result = _complex_triangular(a, b, **flags, unit_diagonal=bool(unit_diagonal))
        return BUILDER.squeeze(result, -1) if is_vector else result
    result = TRIANGULAR_SOLVE(a, b, **flags, unit_diagonal=bool(unit_diagonal))
    return BUILDER.squeeze(result, -1) if is_vector else result


def _complex_triangular(
    a: Tensor, b: Tensor, lower: bool, transpose: bool, unit_diagonal: bool
) -> Tensor:
    """By the general solver: the embedding of a triangle is none."""
    triangle = (BUILDER.tril if lower else BUILDER.triu)(a)
    if unit_diagonal:
        outside = (BUILDER.tril if lower else BUILDER.triu)(a, -1 if lower else 1)
        triangle = BUILDER.add(outside, identity(BUILDER, BUILDER.real(a)))
    return solve_system(triangle, b, transpose, "triangular_solve")
