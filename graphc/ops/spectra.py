"""Eigenvalues and eigenvectors of Hermitian matrices, singular values and vectors of any.

Of a symmetric matrix the lower triangle is read, and the gradient is that of a function of it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from graphc.dtypes import is_complex, real_dtype
from graphc.ir.batch import leading
from graphc.ir.lowering import Composite
from graphc.ir.node import Attributes, TensorType
from graphc.ir.opdef import Application, Generator, Gradients, Inference, OpDef
from graphc.ir.parts import expanded
from graphc.ir.registry import BUILDER, Builder, public, register
from graphc.ir.tensor import Tensor
from graphc.ops.matrices import (
    adjoint,
    complex_matrix,
    from_lower_triangle,
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
from graphc.shapes import Size, dim_min

__all__: list[str] = []  # public in the namespace graphc.linalg

# --- eigenvalues of symmetric matrices -----------------------------------------------------------


class EighResult(NamedTuple):
    """What eigh gives: x @ eigenvectors = eigenvectors * eigenvalues."""

    eigenvalues: Tensor
    eigenvectors: Tensor


def _infer_eigh(call: Inference) -> tuple[TensorType, TensorType]:
    x = square_type(call)
    return TensorType(real_dtype(x.dtype), x.shape[:-1]), x


def _reference_eigh(attrs: Attributes, a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if is_complex(a.dtype):
        values, rows = of_complex("heevd", a, caller="eigh")
        return values, np.swapaxes(rows, -1, -2).conj()
    values, rows = routine("syevd", a, caller="eigh")
    return values, np.swapaxes(rows, -1, -2).copy()


def _build_eigh(b: Builder, a: Tensor) -> tuple[Tensor, Tensor]:
    if is_complex(a.dtype):
        values, rows = b.lapack("heevd", pairs(b, a), caller="eigh")
        return values, adjoint(b, of_pairs(b, rows))
    values, rows = b.lapack("syevd", a, caller="eigh")
    return values, mT(b, rows)


def _reciprocal_gaps(b: Builder, values: Tensor) -> Tensor:
    """1 / (values[j] - values[i]), and 0 on the diagonal."""
    gaps = b.subtract(b.expand_dims(values, -2), b.expand_dims(values, -1))
    diagonal = b.eye(values.shape[-1], dtype="bool")
    # The diagonal is 1 before it is 0: derivatives divide by it.
    return b.where(diagonal, 0, b.divide(1, b.where(diagonal, 1, gaps)))


def _vjp_eigh(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    """dA = V (diag(dw) + F * (V^H dV)) V^H, F[i, j] = 1 / (w[j] - w[i]), 0 on the diagonal (Giles
    2008, 3.1)."""
    values, vectors = a.outputs
    terms = []
    if gradients[0] is not None:
        terms.append(b.multiply(b.expand_dims(gradients[0], -1), identity(b, vectors)))
    if gradients[1] is not None:
        turned = b.matmul(b.conj(vectors), gradients[1], transpose_a=True)
        terms.append(b.multiply(_reciprocal_gaps(b, values), turned))
    inner = terms[0] if len(terms) == 1 else b.add(*terms)
    whole = b.matmul(b.matmul(vectors, inner), b.conj(vectors), transpose_b=True)
    return [of_lower_triangle(b, b.multiply(b.add(whole, adjoint(b, whole)), 0.5))]


def _jvp_eigh(b: Builder, a: Application, tangents: Gradients) -> Gradients:
    if tangents[0] is None:
        return [None, None]
    values, vectors = a.outputs
    tangent = from_lower_triangle(b, tangents[0])
    turned = b.matmul(b.matmul(b.conj(vectors), tangent, transpose_a=True), vectors)
    moved = b.matmul(vectors, b.multiply(_reciprocal_gaps(b, values), turned))
    return [b.real(b.diagonal(turned, 0, -2, -1)), moved]


def _eigh_examples(rng: Generator) -> list[Any]:
    def of_complex_matrix(x: Tensor) -> list[Tensor]:
        """What does not depend on the phases of the vectors."""
        values, vectors = eigh(complex_matrix(positive(x), x))
        first = vectors[..., :, :1]
        product = BUILDER.matmul(first, adjoint(BUILDER, first))
        return [values, BUILDER.real(product), BUILDER.imag(product)]

    shapes = ((3, 3), (2, 2, 2), (1, 1), (0, 0))
    found = matrix_examples(lambda x: eigh(positive(x)))(rng)
    return found + matrix_examples(of_complex_matrix, shapes)(rng)


EIGH: OpDef = register(
    OpDef(
        "eigh",
        infer=_infer_eigh,
        reference=_reference_eigh,
        lower=Composite(_build_eigh),
        vjp=of_inner_products(_vjp_eigh),
        jvp=_jvp_eigh,
        batch=leading,
        parts=expanded,
        examples=_eigh_examples,
    )
)


@public
def eigh(x: Any, /) -> EighResult:
    """(eigenvalues, eigenvectors) of symmetric and Hermitian matrices (LAPACK syevd, heevd).

    x: [..., n, n]; the lower triangle is read, and the gradient is 0 above the diagonal.
    eigenvalues: [..., n], upwards; column i of eigenvectors [..., n, n] belongs to eigenvalue i.
    Floats of 4 and 8 bytes and complex numbers of them, whose eigenvalues are real; integers and
    bool become float32. The gradient of complex eigenvectors is that of functions which do not
    depend on their phases.
    Where eigenvalues are equal, the gradient through the eigenvectors is inf or nan; that through
    the eigenvalues alone is finite. Raises ShapeError, DTypeError; LinearAlgebraError (E406) at
    the call where the iteration fails, as for nan.
    """
    return EighResult(*EIGH.apply((square_input("eigh", x),), {}))


def _reference_eigvalsh(attrs: Attributes, a: np.ndarray) -> np.ndarray:
    if is_complex(a.dtype):
        return of_complex("heevd", a, caller="eigvalsh")[0]
    return routine("syevd_values", a, caller="eigvalsh")[0]


def _build_eigvalsh(b: Builder, a: Tensor) -> Tensor:
    values: Tensor
    if is_complex(a.dtype):
        values = b.lapack("heevd", pairs(b, a), caller="eigvalsh")[0]
    else:
        values = b.lapack("syevd_values", a, caller="eigvalsh")[0]
    return values


def _vjp_eigvalsh(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    """dA = V diag(dw) V^H (Giles 2008, 3.1)."""
    assert gradients[0] is not None
    _, vectors = EIGH.apply(a.inputs, {})
    scaled = b.multiply(vectors, b.expand_dims(gradients[0], -2))
    return [of_lower_triangle(b, b.matmul(scaled, b.conj(vectors), transpose_b=True))]


EIGVALSH: OpDef = register(
    OpDef(
        "eigvalsh",
        infer=lambda call: _infer_eigh(call)[0],
        reference=_reference_eigvalsh,
        lower=Composite(_build_eigvalsh),
        vjp=of_inner_products(_vjp_eigvalsh),
        batch=leading,
        parts=expanded,
        examples=matrix_examples(lambda x: eigvalsh(positive(x))),
    )
)


@public
def eigvalsh(x: Any, /) -> Tensor:
    """The eigenvalues of symmetric matrices, upwards: [..., n, n] -> [..., n]; see eigh.

    At equal eigenvalues the gradient is that of one choice of eigenvectors; symmetric functions
    of the eigenvalues have the right one.
    """
    return EIGVALSH(square_input("eigvalsh", x))


# --- singular values -----------------------------------------------------------------------------


class SVDResult(NamedTuple):
    """What svd gives: x = U * S @ Vh, for reduced factors."""

    U: Tensor
    S: Tensor
    Vh: Tensor


def _factor_sizes(shape: Any, full: bool) -> tuple[Size, Size]:
    m, n = shape[-2:]
    return (m, n) if full else (dim_min(m, n), dim_min(m, n))


def _infer_svd(call: Inference) -> tuple[TensorType, TensorType, TensorType]:
    (x,) = call.types
    *batch, m, n = x.shape
    p, q = _factor_sizes(x.shape, call.attrs["full_matrices"])
    return (
        TensorType(x.dtype, (*batch, m, p)),
        TensorType(real_dtype(x.dtype), (*batch, dim_min(m, n))),
        TensorType(x.dtype, (*batch, q, n)),
    )


def _reference_svd(attrs: Attributes, a: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    full = attrs["full_matrices"]
    p, q = _factor_sizes(a.shape, full)
    run, name = (of_complex, "gesdd_complex") if is_complex(a.dtype) else (routine, "gesdd")
    u, s, vh = run(name, a, caller=attrs["caller"], vectors="A" if full else "S", p=p, q=q)
    if full and s.shape[-1] == 0:
        u = u + np.eye(u.shape[-1], dtype=u.dtype)
        vh = vh + np.eye(vh.shape[-1], dtype=vh.dtype)
    return u, s, vh


def _build_svd(b: Builder, a: Tensor, full_matrices: bool, caller: str) -> tuple[Tensor, ...]:
    """LAPACK does not look at empty matrices; their full factors are identities."""
    p, q = _factor_sizes(a.shape, full_matrices)
    vectors = "A" if full_matrices else "S"
    sizes = {"vectors": vectors, "p": p, "q": q}
    if is_complex(a.dtype):
        left, s, right = b.lapack("gesdd_complex", pairs(b, a), caller=caller, **sizes)
        u, vh = of_pairs(b, left), of_pairs(b, right)
    else:
        u, s, vh = b.lapack("gesdd", a, caller=caller, **sizes)
    least = s.shape[-1]
    if full_matrices and not (isinstance(least, int) and least > 0):
        is_empty = b.astype(b.equal(least, 0), a.dtype)
        u = b.add(u, b.multiply(identity(b, u), is_empty))
        vh = b.add(vh, b.multiply(identity(b, vh), is_empty))
    return u, s, vh


def _vjp_svd(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    """Townsend 2016, "Differentiating the singular value decomposition":

        J = F * (U^H dU)   K = F * (V^H dV)   F[i, j] = 1 / (s[j]^2 - s[i]^2), 0 on the diagonal
        dA = U ((J + J^H) S + S (K + K^H) + diag(ds)) V^H
             + (I - U U^H) dU S^-1 V^H + U S^-1 dV^H (I - V V^H)

    and of complex matrices i imag(diag(U^H dU)) / s within the first brackets, for phases that U
    and V change together (Wan and Zhang 2019, "Automatic differentiation for complex valued SVD").
    Of full matrices the last columns are free to turn; they follow the others only as far as they
    must, to stay orthogonal.
    """
    x = a.inputs[0]
    s = a.outputs[1]
    k = s.shape[-1]
    left = _side(b, a.outputs[0], gradients[0], s)
    other = None if gradients[2] is None else adjoint(b, gradients[2])
    right = _side(b, adjoint(b, a.outputs[2]), other, s)
    inner = []
    if gradients[1] is not None:
        inner.append(b.multiply(b.expand_dims(gradients[1], -1), b.eye(k, dtype=s.dtype)))
    if is_complex(x.dtype) and gradients[0] is not None:
        own = b.matmul(b.conj(left.vectors), gradients[0][..., :k], transpose_a=True)
        phase = b.divide(b.imag(b.diagonal(own, 0, -2, -1)), s)
        whole = b.complex(b.zeros_like(phase), phase)
        inner.append(b.multiply(b.expand_dims(whole, -1), b.eye(k, dtype=s.dtype)))
    if left.turned is not None:
        inner.append(b.multiply(left.turned, b.expand_dims(s, -2)))
    if right.turned is not None:
        inner.append(b.multiply(right.turned, b.expand_dims(s, -1)))
    total = inner[0]
    for term in inner[1:]:
        total = b.add(total, term)
    result = b.matmul(left.vectors, total)
    if left.beside is not None:
        result = b.add(result, left.beside)
    result = b.matmul(result, b.conj(right.vectors), transpose_b=True)
    if right.beside is not None:
        result = b.add(result, b.matmul(left.vectors, b.conj(right.beside), transpose_b=True))
    return [result]


class _Side(NamedTuple):
    """Singular vectors of one side, what their gradient says inside of them, and beside them."""

    vectors: Tensor
    turned: Tensor | None
    beside: Tensor | None


def _side(b: Builder, vectors: Tensor, gradient: Tensor | None, s: Tensor) -> _Side:
    """turned: J + J^H; beside: (I - U U^H) dU S^-1, less what full matrices turn back."""
    rows, columns, k = vectors.shape[-2], vectors.shape[-1], s.shape[-1]
    first = vectors if columns == k else vectors[..., :k]
    if gradient is None:
        return _Side(first, None, None)
    own = gradient if columns == k else gradient[..., :k]
    turned = b.matmul(b.conj(first), own, transpose_a=True)
    inside = b.multiply(_reciprocal_gaps(b, b.square(s)), turned)
    inside = b.add(inside, adjoint(b, inside))
    if rows == k:
        return _Side(first, inside, None)
    beside = b.subtract(own, b.matmul(first, turned))
    if columns != k:
        rest, other = vectors[..., k:], gradient[..., k:]
        back = b.matmul(b.conj(other), first, transpose_a=True)
        beside = b.subtract(beside, b.matmul(rest, back))
    return _Side(first, inside, b.divide(beside, b.expand_dims(s, -2)))


def _spread(x: Tensor) -> Tensor:
    """x as a matrix with singular values far from each other and from 0."""
    rows, columns = x.shape[-2:]
    ramp = BUILDER.arange(columns).astype(x.dtype) + 2
    return BUILDER.add(BUILDER.multiply(x, 0.2), BUILDER.eye(rows, columns, dtype=x.dtype) * ramp)


def _svd_examples(rng: Generator) -> list[Any]:
    def invariant(full: bool) -> Callable[[Tensor], list[Tensor]]:
        """What does not depend on the signs of the vectors and on how the last ones are turned."""

        def build(x: Tensor) -> list[Tensor]:
            u, s, vh = svd(_spread(x), full_matrices=full)
            first, rest = u[..., :2], u[..., 2:]
            return [
                BUILDER.matmul(first, vh[..., :2, :]),
                BUILDER.matmul(rest, rest, transpose_b=True),
                s,
                BUILDER.matmul(vh[..., 2:, :], vh[..., 2:, :], transpose_a=True),
            ]

        return build

    def of_complex_matrix(x: Tensor) -> list[Tensor]:
        """What does not depend on the phases of the vectors."""
        turned = complex_matrix(_spread(x), BUILDER.flip(x, axis=-1) * 0.3, hermitian=False)
        u, s, vh = svd(turned, full_matrices=False)
        product = BUILDER.matmul(u[..., :1], vh[..., :1, :])
        return [s, BUILDER.real(product), BUILDER.imag(product)]

    found = matrix_examples(
        lambda x: svd(_spread(x), full_matrices=False),
        ((3, 3), (4, 2), (2, 4), (2, 3, 2), (0, 0), (0, 2)),
    )(rng)
    found += matrix_examples(invariant(True), ((2, 2), (4, 2), (2, 3)))(rng)
    found += matrix_examples(of_complex_matrix, ((3, 3), (4, 2), (2, 3), (2, 2, 2)))(rng)
    return found + matrix_examples(lambda x: svd(x), ((0, 2), (2, 0)))(rng)


SVD: OpDef = register(
    OpDef(
        "svd",
        infer=_infer_svd,
        reference=_reference_svd,
        lower=Composite(_build_svd),
        vjp=of_inner_products(_vjp_svd),
        batch=leading,
        parts=expanded,
        examples=_svd_examples,
        defaults={"full_matrices": True, "caller": "svd"},
    )
)


@public
def svd(x: Any, /, *, full_matrices: bool = True) -> SVDResult:
    """(U, S, Vh) with x = U @ diag(S) @ Vh, orthogonal U and Vh, unitary for complex x (LAPACK
    gesdd).

    x: [..., m, n]; k = min(m, n). S: [..., k], downwards. full_matrices: U [..., m, m] and Vh
    [..., n, n]; else [..., m, k] and [..., k, n]. Floats of 4 and 8 bytes and complex numbers of
    them; integers and bool become float32. The gradient of complex vectors is that of functions
    which do not depend on their phases.
    Where singular values are equal, the gradient through U and Vh is inf or nan, as where one is
    0 and x is not square; that through S alone is finite. The gradient of full matrices is right
    for functions of the space that their last vectors span. Raises ShapeError, DTypeError;
    LinearAlgebraError (E406) at the call where the iteration fails, as for nan.
    """
    a = matrix_input("svd", x)
    return SVDResult(*SVD.apply((a,), {"full_matrices": bool(full_matrices), "caller": "svd"}))


@public
def thin_svd(a: Tensor, caller: str) -> tuple[Tensor, ...]:
    """U, S and Vh without the vectors that a has no use for. caller: whom errors name."""
    return SVD.apply((a,), {"full_matrices": False, "caller": caller})


def _infer_svd_values(call: Inference) -> TensorType:
    (x,) = call.types
    return TensorType(real_dtype(x.dtype), (*x.shape[:-2], dim_min(x.shape[-2], x.shape[-1])))


def _reference_svdvals(attrs: Attributes, a: np.ndarray) -> np.ndarray:
    if is_complex(a.dtype):
        return _reference_svd({"full_matrices": False, "caller": "svdvals"}, a)[1]
    return routine("gesdd_values", a, caller="svdvals")[0]


def _build_svdvals(b: Builder, a: Tensor) -> Tensor:
    if is_complex(a.dtype):
        return _build_svd(b, a, False, "svdvals")[1]
    values: Tensor = b.lapack("gesdd_values", a, caller="svdvals")[0]
    return values


def _vjp_svdvals(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    """dA = U diag(ds) V^T (Giles 2008, 3.2)."""
    assert gradients[0] is not None
    u, _, vh = thin_svd(a.inputs[0], "svdvals")
    return [b.matmul(b.multiply(u, b.expand_dims(gradients[0], -2)), vh)]


SVDVALS: OpDef = register(
    OpDef(
        "svdvals",
        infer=_infer_svd_values,
        reference=_reference_svdvals,
        lower=Composite(_build_svdvals),
        vjp=of_inner_products(_vjp_svdvals),
        batch=leading,
        parts=expanded,
        examples=matrix_examples(
            lambda x: svdvals(_spread(x)), ((3, 3), (3, 2), (2, 2, 3), (0, 0), (0, 2))
        ),
    )
)


@public
def svdvals(x: Any, /) -> Tensor:
    """The singular values of matrices, downwards: [..., m, n] -> [..., min(m, n)]; see svd.

    At equal singular values the gradient is that of one choice of singular vectors; symmetric
    functions of the singular values have the right one.
    """
    return SVDVALS(matrix_input("svdvals", x))
