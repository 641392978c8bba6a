"""The pseudoinverse, and what is made of it: least squares."""

from typing import Any, NamedTuple

import numpy as np

from graphc.dtypes import is_complex, real_dtype
from graphc.errors import ShapeError
from graphc.ir.batch import leading
from graphc.ir.leaf import as_tensor
from graphc.ir.lowering import Composite
from graphc.ir.node import Attributes, TensorType
from graphc.ir.opdef import Application, Gradients, Inference, OpDef
from graphc.ir.registry import BUILDER, Builder, public, register
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.definition import convert
from graphc.ops.matrices import (
    embedded,
    matrix_examples,
    matrix_input,
    matrix_inputs,
    mT,
    of_columns,
    regular,
    routine,
)
from graphc.shapes import dim_max, dim_min

__all__: list[str] = []  # public in the namespace graphc.linalg


def default_tolerance(x: Tensor) -> Tensor:
    """max(m, n) times the precision of the dtype, as the Array API has it."""
    dtype = real_dtype(x.dtype)
    size = convert(dim_max(x.shape[-2], x.shape[-1]), dtype)
    return BUILDER.multiply(size, float(np.finfo(dtype).eps))


def tolerance(x: Tensor, rtol: Any) -> Tensor:
    """rtol as a tensor of the dtype of x, or of its real part."""
    if rtol is None:
        return default_tolerance(x)
    given, dtype = as_tensor(rtol), real_dtype(x.dtype)
    return given if given.dtype == dtype else given.astype(dtype)


def kept(b: Builder, s: Tensor, rtol: Tensor) -> Tensor:
    """Which singular values count: those above rtol times the largest, which comes first."""
    largest = b.sum(s[..., :1], axis=-1, keepdims=True)
    return b.greater(s, b.multiply(b.expand_dims(rtol, -1), largest))


def _infer_pinv(call: Inference) -> TensorType:
    x = call.types[0]
    return TensorType(x.dtype, (*x.shape[:-2], x.shape[-1], x.shape[-2]))


def _reference_pinv(attrs: Attributes, a: np.ndarray, rtol: np.ndarray) -> np.ndarray:
    least = min(a.shape[-2:])
    u, s, vh = routine("gesdd", a, caller=attrs["caller"], vectors="S", p=least, q=least)
    counts = s > rtol[..., None] * s[..., :1].sum(axis=-1, keepdims=True)
    inverse = np.where(counts, 1 / np.where(counts, s, 1), 0).astype(a.dtype)
    product = np.swapaxes(vh, -1, -2) @ (inverse[..., None] * np.swapaxes(u, -1, -2))
    return np.asarray(product).astype(a.dtype)


def _build_pinv(b: Builder, a: Tensor, rtol: Tensor, caller: str) -> Tensor:
    """V S^+ U^T"""
    least = dim_min(a.shape[-2], a.shape[-1])
    u, s, vh = b.lapack("gesdd", a, caller=caller, vectors="S", p=least, q=least)
    counts = kept(b, s, rtol)
    inverse = b.where(counts, b.divide(1, b.where(counts, s, 1)), 0)
    scaled = b.multiply(u, b.expand_dims(inverse, -2))
    return b.matmul(vh, scaled, transpose_a=True, transpose_b=True)


def _vjp_pinv(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    """Of P = A^+ at constant rank, by Golub and Pereyra 1973, "The differentiation of
    pseudo-inverses and nonlinear least squares problems whose variables separate":

        dP = -P dA P + P P^T dA^T (I - A P) + (I - P A) dA^T P^T P
    """
    (g,) = gradients
    assert g is not None
    x, p = a.inputs[0], a.output
    g_p = b.matmul(g, p, transpose_a=True)  # G^T P: [m, m]
    p_g = b.matmul(p, g, transpose_b=True)  # P G^T: [n, n]
    first = b.negative(b.matmul(mT(b, g_p), p, transpose_b=True))
    # (I - A P) G^T P P^T
    rows = b.subtract(g_p, b.matmul(x, b.matmul(p, g_p)))
    second = b.matmul(rows, p, transpose_b=True)
    # P^T P G^T (I - P A)
    columns = b.subtract(p_g, b.matmul(b.matmul(p_g, p), x))
    third = b.matmul(p, columns, transpose_a=True)
    return [b.add(first, b.add(second, third)), None]


def _wide(x: Tensor) -> Tensor:
    """x as a matrix of full rank, whatever its shape."""
    rows, columns = x.shape[-2:]
    return BUILDER.add(BUILDER.multiply(x, 0.25), 2 * BUILDER.eye(rows, columns, dtype=x.dtype))


def _deficient(x: Tensor) -> Tensor:
    """Of rank 2, for three rows or more."""
    return BUILDER.matmul(_wide(x), regular(x[..., :2, :]), transpose_b=True)


PINV: OpDef = register(
    OpDef(
        "pinv",
        infer=_infer_pinv,
        reference=_reference_pinv,
        lower=Composite(_build_pinv),
        vjp=_vjp_pinv,
        batch=leading,
        examples=lambda rng: [
            *matrix_examples(
                lambda x: pinv(_wide(x)), ((3, 3), (4, 2), (2, 4), (2, 3, 2), (0, 0), (0, 2))
            )(rng),
            *matrix_examples(lambda x: pinv(_deficient(x), rtol=1e-3), ((3, 2),))(rng),
        ],
        defaults={"caller": "pinv"},
    )
)


@public
def pinv(x: Any, /, *, rtol: Any = None) -> Tensor:
    """The Moore-Penrose pseudoinverse, by the singular value decomposition: [..., m, n] ->
    [..., n, m].

    rtol: singular values up to rtol times the largest count as 0; a number or a tensor of the batch
    axes, by default max(m, n) times the precision of the dtype. Floats of 4 and 8 bytes and complex
    numbers of them; integers and bool become float32. The gradient is right as long as the rank
    does not change, for equal singular values too. Raises ShapeError, DTypeError;
    LinearAlgebraError (E406) at the call where the iteration fails, as for nan.
    """
    a = matrix_input("pinv", x)
    return _pinv(a, tolerance(a, rtol), "pinv")


def _pinv(a: Tensor, rtol: Tensor, caller: str) -> Tensor:
    limit = BUILDER.broadcast_to(rtol, a.shape[:-2])
    if not is_complex(a.dtype):
        return PINV(a, limit, caller=caller)
    whole = PINV(embedded(BUILDER, a), limit, caller=caller)
    return of_columns(BUILDER, whole[..., : a.shape[-2]], a.shape[-1])


class LstsqResult(NamedTuple):
    """What lstsq gives."""

    x: Tensor
    residuals: Tensor
    rank: Tensor
    s: Tensor


@public
def lstsq(a: Any, b: Any, *, rtol: Any = None) -> LstsqResult:
    """(x, residuals, rank, s) with x the shortest of those that make |b - a @ x| smallest.

    a: [..., m, n]. b: one axis [m], or [..., m, k], each column a problem; batch axes broadcast.
    rtol: see pinv. x: [..., n] or [..., n, k]. residuals: the sums of squares of b - a @ x, always
    (numpy leaves them out where the rank is too low). rank: int64. s: the singular values of a.
    Floats of 4 and 8 bytes and complex numbers of them; integers and bool become float32. The
    gradient of x is right as long as the rank does not change. Raises ShapeError, DTypeError;
    LinearAlgebraError (E406).
    """
    left, right = matrix_inputs("lstsq", a, b)
    left = matrix_input("lstsq", left)
    rows = right.shape[-1 if right.ndim == 1 else -2] if right.ndim else None
    if rows is None or (
        isinstance(rows, int) and isinstance(left.shape[-2], int) and rows != left.shape[-2]
    ):
        raise ShapeError(
            f"lstsq: {left.type} and {right.type} do not fit",
            source=current_source(),
            fix="b needs as many rows as a",
        )
    is_vector = right.ndim == 1
    right = BUILDER.expand_dims(right, -1) if is_vector else right
    limit = tolerance(left, rtol)
    x = BUILDER.matmul(_pinv(left, limit, "lstsq"), right)
    rest = BUILDER.subtract(right, BUILDER.matmul(left, x))
    squares = BUILDER.real(BUILDER.multiply(rest, BUILDER.conj(rest)))
    residuals = BUILDER.sum(squares, axis=-2)
    if is_vector:
        x, residuals = BUILDER.squeeze(x, -1), BUILDER.squeeze(residuals, -1)
    _, s, _ = BUILDER.thin_svd(left, "lstsq")  # the same factors as the pseudoinverse's
    counts = kept(BUILDER, s, BUILDER.broadcast_to(limit, left.shape[:-2]))
    return LstsqResult(x, residuals, BUILDER.sum(counts.astype("int64"), axis=-1), s)


@public
def matrix_rank(x: Any, /, *, rtol: Any = None) -> Tensor:
    """How many singular values are larger than rtol times the largest: [..., m, n] -> int64 [...].

    rtol: see pinv. Raises ShapeError, DTypeError; LinearAlgebraError (E406).
    """
    a = matrix_input("matrix_rank", x)
    counts = kept(
        BUILDER, BUILDER.svdvals(a), BUILDER.broadcast_to(tolerance(a, rtol), a.shape[:-2])
    )
    return BUILDER.sum(counts.astype("int64"), axis=-1)
