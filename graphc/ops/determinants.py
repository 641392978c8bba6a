"""Determinants by the LU factorisation, their signs and logarithms, and matrices of cofactors.

Of matrices up to 3 x 3 by their formulas, for many of them side by side.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from graphc.dtypes import is_complex, real_dtype
from graphc.ir.batch import leading
from graphc.ir.lowering import Composite
from graphc.ir.node import Attributes, TensorType
from graphc.ir.opdef import Application, Gradients, Inference, OpDef
from graphc.ir.parts import expanded
from graphc.ir.registry import BUILDER, Builder, public, register
from graphc.ir.tensor import Tensor
from graphc.ops.matrices import (
    adjoint,
    complex_matrix,
    identity,
    matrix_examples,
    mT,
    of_complex,
    of_inner_products,
    of_pairs,
    pairs,
    regular,
    routine,
    square_input,
    square_type,
)

__all__: list[str] = []  # public in the namespace graphc.linalg

# --- determinant ---------------------------------------------------------------------------------


def _infer_det(call: Inference) -> TensorType:
    x = square_type(call)
    return TensorType(x.dtype, x.shape[:-2])


def _reference_det(attrs: Attributes, a: np.ndarray) -> np.ndarray:
    factors, exchanges = _reference_factors(a)
    pivots = np.diagonal(factors, axis1=-2, axis2=-1)
    return np.asarray(_parity_of(exchanges) * np.prod(pivots, axis=-1)).astype(a.dtype)


def _reference_factors(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    run, name = (of_complex, "getrf_complex") if is_complex(a.dtype) else (routine, "getrf")
    factors, exchanges, _ = run(name, a, caller="lu")
    return factors, exchanges


def _factors(b: Builder, a: Tensor) -> tuple[Tensor, Tensor]:
    """The triangular factors of a.T in one matrix, and the exchanged rows."""
    if is_complex(a.dtype):
        factors, exchanges, _ = b.lapack("getrf_complex", pairs(b, a), caller="lu")
        return of_pairs(b, factors), exchanges
    factors, exchanges, _ = b.lapack("getrf", a, caller="lu")
    return factors, exchanges


def _parity_of(exchanges: np.ndarray) -> np.ndarray:
    moved = np.sum(exchanges != np.arange(1, exchanges.shape[-1] + 1), axis=-1)
    return np.asarray(1 - 2 * (moved % 2))


def _parity(b: Builder, exchanges: Tensor, like: Tensor) -> Tensor:
    """1 or -1: an odd number of exchanged rows changes the sign."""
    places = b.add(b.arange(exchanges.shape[-1]), 1)
    moved = b.sum(b.astype(b.not_equal(exchanges.astype("int64"), places), "int64"), axis=-1)
    return b.astype(b.subtract(1, b.multiply(b.remainder(moved, 2), 2)), like.dtype)


def _build_det(b: Builder, a: Tensor) -> Tensor:
    if a.shape[-1] == 1:
        return a[..., 0, 0]
    if _is_small(a):
        first = _small_cofactors(a)[0]
        terms = [a[..., 0, j] * cofactor for j, cofactor in enumerate(first)]
        total = terms[0]
        for term in terms[1:]:
            total = b.add(total, term)
        return total
    factors, exchanges = _factors(b, a)
    pivots = b.diagonal(factors, 0, -2, -1)
    return b.multiply(_parity(b, exchanges, b.real(pivots)), b.prod(pivots, axis=-1))


def _vjp_det(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    """dA = g C, with C the matrix of cofactors, which for regular A is det(A) A^-T (Giles 2008,
    2.2.4). It exists for singular A too. Of complex A it is conj(det(A)) A^-H here."""
    assert gradients[0] is not None
    if is_complex(a.output.dtype):
        scaled = b.multiply(gradients[0], b.conj(a.output))
        inverse = b.inverse(a.inputs[0], "det")
        return [b.multiply(_as_matrix(b, scaled), adjoint(b, inverse))]
    return [b.multiply(_as_matrix(b, gradients[0]), COFACTORS(a.inputs[0]))]


def _as_matrix(b: Builder, x: Tensor) -> Tensor:
    """Numbers per matrix, to multiply matrices by."""
    return b.expand_dims(b.expand_dims(x, -1), -1)


def _of_complex(function: Callable[[Tensor], Any]) -> Callable[[Tensor], list[Tensor]]:
    """A function of regular complex matrices, as real and imaginary parts."""

    def build(x: Tensor) -> list[Tensor]:
        found = function(complex_matrix(regular(x), mT(BUILDER, x), hermitian=False))
        results = found if isinstance(found, tuple) else (found,)
        parts = [(BUILDER.real(one), BUILDER.imag(one)) for one in results]
        return [part for pair in parts for part in pair]

    return build


DET: OpDef = register(
    OpDef(
        "det",
        infer=_infer_det,
        reference=_reference_det,
        lower=Composite(_build_det),
        vjp=of_inner_products(_vjp_det),
        batch=leading,
        parts=expanded,
        examples=lambda rng: [
            *matrix_examples(lambda x: det(x))(rng),
            *matrix_examples(_of_complex(det), ((4, 4), (2, 2, 2), (0, 0)))(rng),
        ],
    )
)


@public
def det(x: Any) -> Tensor:
    """The determinant of square matrices: [..., n, n] -> [...]; of a 0 x 0 matrix it is 1.

    Floats of 4 and 8 bytes and complex numbers of them; integers and bool become float32. It
    overflows easily: see slogdet. The gradient of complex matrices needs regular ones, and raises
    LinearAlgebraError (E406) else. That of real matrices is the matrix of cofactors, right at
    singular matrices too; beyond 3 x 3 it takes a singular value decomposition. Second derivatives
    need regular matrices. Raises ShapeError, DTypeError.
    """
    return DET(square_input("det", x))


# --- cofactors -----------------------------------------------------------------------------------


def _reference_cofactors(attrs: Attributes, a: np.ndarray) -> np.ndarray:
    n = a.shape[-1]
    u, s, vh = routine("gesdd", a, caller="det", vectors="S", p=n, q=n)
    others = np.where(np.eye(n, dtype=bool), a.dtype.type(1), s[..., None, :])
    sign = _reference_det({}, u) * _reference_det({}, vh)
    scaled = u * (np.prod(others, axis=-1)[..., None, :] * np.sign(sign)[..., None, None])
    return np.asarray(scaled @ vh).astype(a.dtype)


def _is_small(a: Tensor) -> bool:
    return a.shape[-1] in (2, 3)


def _small_cofactors(a: Tensor) -> list[list[Tensor]]:
    """The determinants of what is left without row i and column j, with their signs."""
    n = int(a.shape[-1])

    def cofactor(i: int, j: int) -> Tensor:
        # Counted on from (i, j), round the matrix: the sign is in the order of the columns.
        if n == 3:
            (r, t), (c, d) = ((i + 1) % 3, (i + 2) % 3), ((j + 1) % 3, (j + 2) % 3)
            return a[..., r, c] * a[..., t, d] - a[..., r, d] * a[..., t, c]
        other = a[..., 1 - i, 1 - j]
        return other if i == j else -other

    return [[cofactor(i, j) for j in range(n)] for i in range(n)]


def _build_cofactors(b: Builder, a: Tensor) -> Tensor:
    """Of A = U S V^T: C = det(U) det(V) U S' V^T, S' the products of all singular values but one.

    The cofactors of an orthogonal matrix are its determinant times itself, and those of a product
    are the product of those of the factors.
    """
    n = a.shape[-1]
    if n == 1:
        return b.ones_like(a)
    if _is_small(a):
        rows = [b.stack(row, axis=-1) for row in _small_cofactors(a)]
        return b.stack(rows, axis=-2)
    u, s, vh = b.lapack("gesdd", a, caller="det", vectors="S", p=n, q=n)
    others = b.where(b.eye(n, dtype="bool"), b.ones((), a.dtype), b.expand_dims(s, -2))
    sign = b.sign(b.multiply(DET(u), DET(vh)))
    scale = b.multiply(b.expand_dims(b.prod(others, axis=-1), -2), _as_matrix(b, sign))
    return b.matmul(b.multiply(u, scale), vh)


def _vjp_cofactors(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    """Of C = det(A) A^-T: dA = (<G, C> I - C G^T) A^-T; A must be regular."""
    (gradient,) = gradients
    assert gradient is not None
    c = a.output
    total = _as_matrix(b, b.sum(b.multiply(gradient, c), axis=(-2, -1)))
    inner = b.subtract(b.multiply(total, identity(b, c)), b.matmul(c, gradient, transpose_b=True))
    return [b.matmul(inner, b.inverse(a.inputs[0], "det"), transpose_b=True)]


COFACTORS: OpDef = register(
    OpDef(
        "cofactors",
        infer=square_type,
        reference=_reference_cofactors,
        lower=Composite(_build_cofactors),
        vjp=_vjp_cofactors,
        batch=leading,
        examples=matrix_examples(lambda x: COFACTORS(regular(x)), ((3, 3), (2, 2, 2), (0, 0))),
    )
)


# --- sign and logarithm of the determinant -------------------------------------------------------


class SlogdetResult(NamedTuple):
    """What slogdet gives: det(x) = sign * exp(logabsdet)."""

    sign: Tensor
    logabsdet: Tensor


def _infer_slogdet(call: Inference) -> tuple[TensorType, TensorType]:
    result = _infer_det(call)
    return result, TensorType(real_dtype(result.dtype), result.shape)


def _reference_slogdet(attrs: Attributes, a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    factors, exchanges = _reference_factors(a)
    pivots = np.diagonal(factors, axis1=-2, axis2=-1)
    sign = _parity_of(exchanges) * np.prod(np.sign(pivots), axis=-1)
    logarithm = np.sum(np.log(np.abs(pivots)), axis=-1)
    return np.asarray(sign).astype(a.dtype), np.asarray(logarithm).astype(real_dtype(a.dtype))


def _build_slogdet(b: Builder, a: Tensor) -> tuple[Tensor, Tensor]:
    factors, exchanges = _factors(b, a)
    pivots = b.diagonal(factors, 0, -2, -1)
    sign = b.multiply(_parity(b, exchanges, b.real(pivots)), b.prod(b.sign(pivots), axis=-1))
    return sign, b.sum(b.log(b.abs(pivots)), axis=-1)


def _vjp_slogdet(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    """Of log|det A|: A^-H (Giles 2008, 2.2.4). The sign is constant but for its phase:
    i imag(ds conj(s)) A^-H."""
    scale = gradients[1]
    if is_complex(a.inputs[0].dtype) and gradients[0] is not None:
        phase = b.imag(b.multiply(gradients[0], b.conj(a.outputs[0])))
        scale = b.complex(b.zeros_like(phase) if scale is None else scale, phase)
    if scale is None:
        return [None]
    return [b.multiply(_as_matrix(b, scale), adjoint(b, b.inverse(a.inputs[0], "slogdet")))]


SLOGDET: OpDef = register(
    OpDef(
        "slogdet",
        infer=_infer_slogdet,
        reference=_reference_slogdet,
        lower=Composite(_build_slogdet),
        vjp=of_inner_products(_vjp_slogdet),
        batch=leading,
        parts=expanded,
        examples=lambda rng: [
            *matrix_examples(lambda x: slogdet(regular(x)))(rng),
            *matrix_examples(_of_complex(slogdet), ((4, 4), (2, 2, 2), (0, 0)))(rng),
        ],
    )
)


@public
def slogdet(x: Any) -> SlogdetResult:
    """Sign and logarithm of the absolute value of the determinant: [..., n, n] -> two of [...].

    Of a singular matrix 0 and -inf. Floats of 4 and 8 bytes and complex numbers of them, of which
    the sign has the length 1; integers and bool become float32. The gradient needs regular
    matrices. Raises ShapeError, DTypeError.
    """
    return SlogdetResult(*SLOGDET.apply((square_input("slogdet", x),), {}))
