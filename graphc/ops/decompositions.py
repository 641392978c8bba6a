"""Triangular factors of matrices: Cholesky and QR.

Of a symmetric matrix one triangle is read, and the gradient is that of a function of it.
"""

from typing import Any, Literal, NamedTuple

import numpy as np

from graphc.dtypes import is_complex
from graphc.errors import ParameterError
from graphc.ir.batch import leading
from graphc.ir.lowering import Composite
from graphc.ir.node import Attributes, TensorType
from graphc.ir.opdef import Application, Generator, Gradients, Inference, OpDef
from graphc.ir.parts import expanded
from graphc.ir.registry import BUILDER, Builder, public, register
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.matrices import (
    adjoint,
    complex_matrix,
    from_lower_triangle,
    hermitian_of_lower,
    identity,
    matrix_examples,
    matrix_input,
    mT,
    of_complex,
    of_inner_products,
    of_lower_triangle,
    of_pairs,
    pairs,
    positive,
    routine,
    square_input,
    square_type,
)
from graphc.ops.small_matrices import cholesky_factor, is_small
from graphc.shapes import Size, dim_min

__all__: list[str] = []  # public in the namespace graphc.linalg

# --- Cholesky ------------------------------------------------------------------------------------


def _reference_cholesky(attrs: Attributes, a: np.ndarray) -> np.ndarray:
    return np.tril(routine("potrf", a, caller="cholesky")[0])


def _build_cholesky(b: Builder, a: Tensor) -> Tensor:
    if is_small(a):
        return cholesky_factor(b, a)
    return b.tril(b.lapack("potrf", a, caller="cholesky")[0])


def _halved(b: Builder, x: Tensor) -> Tensor:
    """The lower triangle with half the diagonal."""
    return b.subtract(b.tril(x), b.multiply(b.multiply(x, 0.5), identity(b, x)))


def _vjp_cholesky(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    """Of A = L L^T: dA = L^-T P(L^T G) L^-1, P the lower triangle with half the diagonal
    (Murray 2016, "Differentiation of the Cholesky decomposition", equation 10)."""
    assert gradients[0] is not None
    factor = a.output
    inner = _halved(b, b.matmul(factor, b.tril(gradients[0]), transpose_a=True))
    left = b.triangular_solve(factor, inner, transpose=True)
    both = mT(b, b.triangular_solve(factor, mT(b, left), transpose=True))
    symmetric = b.multiply(b.add(both, mT(b, both)), 0.5)
    return [of_lower_triangle(b, symmetric)]


def _jvp_cholesky(b: Builder, a: Application, tangents: Gradients) -> Gradients:
    """dL = L P(L^-1 dA L^-T) (Murray 2016, equation 8)."""
    if tangents[0] is None:
        return [None]
    factor = a.output
    left = b.triangular_solve(factor, from_lower_triangle(b, tangents[0]))
    both = mT(b, b.triangular_solve(factor, mT(b, left)))
    return [b.matmul(factor, _halved(b, both))]


CHOLESKY: OpDef = register(
    OpDef(
        "cholesky",
        infer=square_type,
        reference=_reference_cholesky,
        lower=Composite(_build_cholesky),
        vjp=_vjp_cholesky,
        jvp=_jvp_cholesky,
        batch=leading,
        examples=matrix_examples(lambda x: cholesky(positive(x))),
    )
)


@public
def cholesky(x: Any, /, *, upper: bool = False) -> Tensor:
    """The lower triangular L with L @ L^H = x, for symmetric or Hermitian, positive definite
    [..., n, n].

    upper: U = L^H instead. Only the lower triangle of x is read, or the upper one for U; the
    gradient is 0 in the other. Floats of 4 and 8 bytes and complex numbers of them; integers and
    bool become float32.
    Raises ShapeError, DTypeError; LinearAlgebraError (E406) at the call for a matrix that is not
    positive definite.
    """
    a = square_input("cholesky", x)
    if upper:
        return adjoint(BUILDER, cholesky(adjoint(BUILDER, a)))
    return _complex_cholesky(BUILDER, a) if is_complex(a.dtype) else CHOLESKY(a)


def _complex_cholesky(b: Builder, a: Tensor) -> Tensor:
    """With each number as [[re, -im], [im, re]] in its place, a triangular factor with a real
    diagonal is triangular as well."""
    a = hermitian_of_lower(b, a)
    *batch, n, _ = a.shape
    real, imag = b.real(a), b.imag(a)
    blocks = b.stack(
        [b.stack([real, b.negative(imag)], axis=-1), b.stack([imag, real], axis=-1)], axis=-3
    )
    whole = CHOLESKY(b.reshape(blocks, (*batch, 2 * n, 2 * n)))
    parts = b.reshape(whole, (*batch, n, 2, n, 2))[..., 0]
    return b.complex(parts[..., 0, :], b.tril(parts[..., 1, :], -1))


# --- QR ------------------------------------------------------------------------------------------


class QRResult(NamedTuple):
    """What qr gives: x = Q @ R."""

    Q: Tensor
    R: Tensor


_QR_ROUTINES = (("gelqf", "orglq", routine), ("gelqf_complex", "unglq", of_complex))


def _infer_qr(call: Inference) -> tuple[TensorType, TensorType]:
    (x,) = call.types
    *batch, m, n = x.shape
    p: Size = m if call.attrs["complete"] else dim_min(m, n)
    return TensorType(x.dtype, (*batch, m, p)), TensorType(x.dtype, (*batch, p, n))


def _reference_qr(attrs: Attributes, a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    m, n = a.shape[-2:]
    p = m if attrs["complete"] else min(m, n)
    first, second, run = _QR_ROUTINES[is_complex(a.dtype)]
    reflectors, scales = run(first, a, caller="qr")
    start = np.zeros((*a.shape[:-1], p), a.dtype)
    start[..., : min(n, p)] = reflectors[..., : min(n, p)]
    (q,) = run(second, start, scales, caller="qr")
    return q, np.triu(reflectors[..., :p, :])


def _build_qr(b: Builder, a: Tensor, complete: bool) -> tuple[Tensor, Tensor]:
    m, n = a.shape[-2:]
    least = dim_min(m, n)
    first, second, _ = _QR_ROUTINES[is_complex(a.dtype)]
    held = pairs(b, a) if is_complex(a.dtype) else a
    reflectors, scales = b.lapack(first, held, caller="qr")
    if is_complex(a.dtype):
        reflectors = of_pairs(b, reflectors)
    start = reflectors[..., :least]
    if complete and least != m:
        padding = [(0, 0)] * (a.ndim - 1) + [(0, m - least)]
        start = b.pad(start, padding)
    if is_complex(a.dtype):
        q = of_pairs(b, b.lapack(second, pairs(b, start), scales, caller="qr")[0])
    else:
        (q,) = b.lapack(second, start, scales, caller="qr")
    return q, b.triu(reflectors if complete else reflectors[..., :least, :])


def _vjp_qr(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    """Walter and Lehmann 2010, "Algorithmic differentiation of linear algebra functions with
    application in optimum experimental design"; for wide matrices Liao et al. 2019,
    "Differentiable programming tensor networks", with R = [U V] of x = [X Y]:

        dX = (dQ + Q s(M)) U^-H    M = U dU^H - dQ^H Q    s: the lower triangle, mirrored
        dY = Q dV, and dQ has Y dV^H added

    The mirror conjugates, and leaves out what is imaginary on the diagonal.
    Columns of a complete Q that span what is left are free to turn; they follow the others only
    as far as they must, to stay orthogonal.
    """
    x = a.inputs[0]
    q, r = a.outputs
    m, n = x.shape[-2:]
    k = dim_min(m, n)
    q1, u = q[..., :k], r[..., :k, :k]
    inner = None
    right = None
    if gradients[0] is not None:
        inner = gradients[0][..., :k]
    if gradients[1] is not None and k != n:
        upper = gradients[1][..., :k, k:]
        added = b.matmul(x[..., k:], b.conj(upper), transpose_b=True)
        inner = added if inner is None else b.add(inner, added)
        right = b.matmul(q1, upper)
    terms = []
    if gradients[1] is not None:
        moved = b.conj(b.triu(gradients[1][..., :k, :k]))
        terms.append(b.matmul(u, moved, transpose_b=True))
    if inner is not None:
        terms.append(b.negative(b.matmul(b.conj(inner), q1, transpose_a=True)))
    total = terms[0] if len(terms) == 1 else b.add(*terms)
    mirrored = from_lower_triangle(b, total)
    numerator = b.matmul(q1, mirrored)
    if inner is not None:
        numerator = b.add(numerator, inner)
    if gradients[0] is not None and q.shape[-1] != k:
        rest, moved = q[..., k:], gradients[0][..., k:]
        turned = b.matmul(rest, b.matmul(b.conj(moved), q1, transpose_a=True))
        numerator = b.subtract(numerator, turned)
    left = adjoint(b, b.triangular_solve(u, adjoint(b, numerator), lower=False))
    if k == n:
        return [left]
    if right is None:
        right = b.zeros((*x.shape[:-1], n - k), x.dtype)
    return [b.concat([left, right], axis=-1)]


def _qr_examples(rng: Generator) -> list[Any]:
    def stretched(x: Tensor) -> Tensor:
        """Far from having dependent columns, whatever x."""
        rows, columns = x.shape[-2:]
        return BUILDER.add(BUILDER.multiply(x, 0.25), 2 * BUILDER.eye(rows, columns, dtype=x.dtype))

    def of_complex_matrix(x: Tensor) -> list[Tensor]:
        q, r = qr(complex_matrix(stretched(x), BUILDER.flip(x, axis=-1) * 0.3, hermitian=False))
        return [part(one) for one in (q, r) for part in (BUILDER.real, BUILDER.imag)]

    shapes = ((3, 3), (4, 2), (2, 4), (2, 3, 2), (0, 0), (0, 2), (2, 0))
    found = matrix_examples(lambda x: qr(stretched(x)), shapes)(rng)
    found += matrix_examples(lambda x: qr(stretched(x), mode="complete"), ((2, 3), (3, 3)))(rng)
    found += matrix_examples(of_complex_matrix, ((3, 3), (4, 2), (2, 3), (2, 3, 2)))(rng)
    return found + matrix_examples(_complete_projector, ((3, 2), (2, 0)))(rng)


def _complete_projector(x: Tensor) -> list[Tensor]:
    """What does not depend on how the free columns of Q are turned."""
    rows, columns = x.shape[-2:]
    q, r = qr(x + 2 * BUILDER.eye(rows, columns, dtype=x.dtype), mode="complete")
    rest = q[..., columns:]
    return [q[..., :columns], BUILDER.matmul(rest, rest, transpose_b=True), r]


QR: OpDef = register(
    OpDef(
        "qr",
        infer=_infer_qr,
        reference=_reference_qr,
        lower=Composite(_build_qr),
        vjp=of_inner_products(_vjp_qr),
        batch=leading,
        parts=expanded,
        examples=_qr_examples,
        defaults={"complete": False},
    )
)


@public
def qr(x: Any, /, *, mode: Literal["reduced", "complete"] = "reduced") -> QRResult:
    """(Q, R) with x = Q @ R: Q has orthonormal columns, R is upper triangular (Householder's
    reflections, LAPACK gelqf of the transpose).

    x: [..., m, n]; k = min(m, n). "reduced": Q [..., m, k], R [..., k, n]. "complete": Q
    [..., m, m], R [..., m, n]. Floats of 4 and 8 bytes and complex numbers of them, with Q^H Q = 1
    and a real diagonal of R; integers and bool become float32.
    The gradient needs the first k columns of x to be independent: else it has inf or nan, or
    raises LinearAlgebraError (E406). That of a complete Q is right for functions of the space
    that its last columns span. Raises ShapeError, DTypeError, ParameterError for another mode.
    """
    if mode not in ("reduced", "complete"):
        raise ParameterError(
            f"qr: mode is {mode!r:.40}", source=current_source(), fix='"reduced" or "complete"'
        )
    return QRResult(*QR.apply((matrix_input("qr", x),), {"complete": mode == "complete"}))
