"""Eigenvalues and eigenvectors of matrices that need not be symmetric, and Schur's form."""

from typing import Any, NamedTuple

import numpy as np

from graphc.dtypes import is_complex
from graphc.ir.batch import leading
from graphc.ir.lowering import Composite
from graphc.ir.node import Attributes, TensorType
from graphc.ir.opdef import Application, Example, Generator, Gradients, Inference, OpDef
from graphc.ir.parts import expanded
from graphc.ir.registry import BUILDER, Builder, public, register
from graphc.ir.tensor import Tensor
from graphc.ops.matrices import (
    adjoint,
    identity,
    matrix_examples,
    mT,
    of_complex,
    of_inner_products,
    of_pairs,
    pairs,
    routine,
    square_input,
    square_type,
)

__all__: list[str] = []  # public in the namespace graphc.linalg


class EigResult(NamedTuple):
    """What eig gives: x @ eigenvectors = eigenvectors * eigenvalues."""

    eigenvalues: Tensor
    eigenvectors: Tensor


class SchurResult(NamedTuple):
    """What schur gives: x = Z @ T @ Z.T."""

    T: Tensor
    Z: Tensor


# --- eigenvalues and eigenvectors ----------------------------------------------------------------
# outputs: real and imaginary parts of the eigenvalues, then of the eigenvectors.


def _infer_eig(call: Inference) -> tuple[TensorType, ...]:
    x = square_type(call)
    line = TensorType(x.dtype, x.shape[:-1])
    return line, line, x, x


def _reference_eig(attrs: Attributes, a: np.ndarray) -> tuple[np.ndarray, ...]:
    real, imag, rows = routine("geev", np.swapaxes(a, -1, -2), caller="eig")
    sign = imag[..., None]
    before, after = np.roll(rows, 1, axis=-2), np.roll(rows, -1, axis=-2)
    first = np.where(sign < 0, before, rows)
    second = np.where(sign > 0, after, np.where(sign < 0, -rows, np.zeros_like(rows)))
    return real, imag, np.swapaxes(first, -1, -2).copy(), np.swapaxes(second, -1, -2).copy()


def _build_eig(b: Builder, a: Tensor) -> tuple[Tensor, ...]:
    """LAPACK gives the vectors of two conjugate eigenvalues as real and imaginary part."""
    real, imag, rows = b.lapack("geev", mT(b, a), caller="eig")
    sign = b.expand_dims(imag, -1)
    before, after = b.roll(rows, 1, axis=-2), b.roll(rows, -1, axis=-2)
    falls, rises = b.less(sign, 0), b.greater(sign, 0)
    first = b.where(falls, before, rows)
    second = b.where(rises, after, b.where(falls, b.negative(rows), 0))
    return real, imag, mT(b, first), mT(b, second)


def _joined(b: Builder, real: Tensor | None, imag: Tensor | None) -> Tensor | None:
    """A complex gradient: that by the real part plus i times that by the imaginary one."""
    if real is None and imag is None:
        return None
    given = real if imag is None else imag
    assert given is not None
    zeros = b.zeros_like(given)
    return b.complex(zeros if real is None else real, zeros if imag is None else imag)


def _vjp_eig(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    """dA = V^-H (diag(dw) + (V^H dV - V^H V Re diag(V^H dV)) / E*) V^H, E[i, j] = w[j] - w[i],
    nothing of the quotient on the diagonal (Boeddeker et al. 2017, "On the computation of
    complex-valued gradients with application to statistically optimum beamforming", for vectors of
    length 1, as in torch and JAX)."""
    real, imag, *parts = a.outputs
    v, w = b.complex(*parts), b.complex(real, imag)
    value = _joined(b, gradients[0], gradients[1])
    vector = _joined(b, gradients[2], gradients[3])
    inner = _inner(b, w, v, value, vector, identity(b, a.inputs[0]))
    return [_of_left(b, parts, b.matmul(inner, adjoint(b, v)))]


def _inner(
    b: Builder, w: Tensor, v: Tensor, value: Tensor | None, vector: Tensor | None, unit: Tensor
) -> Tensor:
    """What stands between V^-H and V^H."""
    terms = []
    if value is not None:
        terms.append(b.multiply(b.expand_dims(value, -1), unit))
    if vector is not None:
        turned = b.matmul(adjoint(b, v), vector)
        length = b.expand_dims(b.real(b.diagonal(turned, 0, -2, -1)), -2)
        turned = b.subtract(turned, b.multiply(b.matmul(adjoint(b, v), v), length))
        gaps = b.subtract(b.expand_dims(w, -2), b.expand_dims(w, -1))
        same = b.not_equal(unit, 0)
        quotient = b.divide(turned, b.conj(b.where(same, 1, gaps)))
        terms.append(b.where(same, 0, quotient))
    inner: Tensor = terms[0] if len(terms) == 1 else b.add(*terms)
    return inner


def _of_left(b: Builder, parts: list[Tensor], product: Tensor) -> Tensor:
    """The real part of the X with V^H X = product, as a real system twice as large."""
    real, imag = (mT(b, part) for part in parts)
    above = b.concat([real, imag], axis=-1)
    below = b.concat([b.negative(imag), real], axis=-1)
    sides = b.concat([b.real(product), b.imag(product)], axis=-2)
    found = b.solve_system(b.concat([above, below], axis=-2), sides, caller="eig")
    return found[..., : real.shape[-1], :]


def _apart(x: Tensor) -> Tensor:
    """x as a matrix with real eigenvalues far from each other."""
    ramp = BUILDER.arange(x.shape[-1]).astype(x.dtype) * 2 + 1
    return BUILDER.add(BUILDER.multiply(x, 0.3), BUILDER.multiply(identity(BUILDER, x), ramp))


def _turning(x: Tensor) -> Tensor:
    """x as a matrix whose eigenvalues have imaginary parts, in even sizes."""
    unit = identity(BUILDER, x)
    around = BUILDER.subtract(BUILDER.roll(unit, 1, axis=-1), BUILDER.roll(unit, -1, axis=-1))
    ramp = BUILDER.arange(x.shape[-1]).astype(x.dtype)
    spread = BUILDER.add(BUILDER.multiply(BUILDER.triu(around), ramp + 1), BUILDER.tril(around))
    return BUILDER.add(BUILDER.multiply(x, 0.2), spread)


def _eig_examples(rng: Generator) -> list[Example]:
    def sizes(x: Tensor) -> list[Tensor]:
        """What the phases of the vectors do not matter to."""
        real, imag, one, two = EIG.apply((_turning(x),), {})
        return [real, imag, BUILDER.add(BUILDER.square(one), BUILDER.square(two))]

    plain = matrix_examples(lambda x: EIG.apply((_apart(x),), {}))(rng)
    return plain + matrix_examples(sizes, ((2, 2), (4, 4), (3, 3)))(rng)


# Of complex matrices: eigenvalues and eigenvectors.


def _infer_complex_eig(call: Inference) -> tuple[TensorType, ...]:
    x = square_type(call)
    return TensorType(x.dtype, x.shape[:-1]), x


def _reference_complex_eig(attrs: Attributes, a: np.ndarray) -> tuple[np.ndarray, ...]:
    values, rows = of_complex("geev_complex", np.swapaxes(a, -1, -2), caller="eig")
    return values, np.swapaxes(rows, -1, -2).copy()


def _build_complex_eig(b: Builder, a: Tensor) -> tuple[Tensor, ...]:
    values, rows = b.lapack("geev_complex", pairs(b, mT(b, a)), caller="eig")
    return of_pairs(b, values), mT(b, of_pairs(b, rows))


def _vjp_complex_eig(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    w, v = a.outputs
    inner = _inner(b, w, v, gradients[0], gradients[1], identity(b, b.real(a.inputs[0])))
    product = b.matmul(inner, adjoint(b, v))
    return [b.solve_system(adjoint(b, v), product, caller="eig")]


def _complex_eig_examples(rng: Generator) -> list[Example]:
    def build(x: Tensor) -> list[Tensor]:
        """What the phases of the vectors do not matter to."""
        turned = BUILDER.complex(_apart(x), BUILDER.multiply(mT(BUILDER, x), 0.3))
        w, v = COMPLEX_EIG.apply((turned,), {})
        sizes = BUILDER.real(BUILDER.multiply(v, BUILDER.conj(v)))
        return [BUILDER.real(w), BUILDER.imag(w), sizes]

    return matrix_examples(build, ((3, 3), (2, 2, 2), (1, 1), (0, 0)))(rng)


COMPLEX_EIG: OpDef = register(
    OpDef(
        "complex_eig",
        infer=_infer_complex_eig,
        reference=_reference_complex_eig,
        lower=Composite(_build_complex_eig),
        vjp=of_inner_products(_vjp_complex_eig),
        batch=leading,
        parts=expanded,
        examples=_complex_eig_examples,
    )
)


EIG: OpDef = register(
    OpDef(
        "eig",
        infer=_infer_eig,
        reference=_reference_eig,
        lower=Composite(_build_eig),
        vjp=_vjp_eig,
        batch=leading,
        examples=_eig_examples,
    )
)


@public
def eig(x: Any, /) -> EigResult:
    """(eigenvalues, eigenvectors) of square matrices (LAPACK geev).

    x: [..., n, n], floats of 4 and 8 bytes and complex numbers of them; integers and bool become
    float32. eigenvalues: [..., n],
    complex64 or complex128, in the order of LAPACK, also where all are real. Column i of
    eigenvectors [..., n, n] belongs to eigenvalue i; it has the length 1, and its largest entry is
    real where the eigenvalue is not.
    The gradient needs distinct eigenvalues: that through equal ones is inf or nan, or raises
    LinearAlgebraError (E406) where the eigenvectors are dependent. As in JAX and torch it is that
    of functions which do not depend on the phases of the vectors. For symmetric matrices use eigh.
    Raises ShapeError, DTypeError; LinearAlgebraError (E406) at the call where the iteration fails,
    as for nan.
    """
    a = square_input("eig", x)
    if is_complex(a.dtype):
        return EigResult(*COMPLEX_EIG.apply((a,), {}))
    real, imag, *parts = EIG.apply((a,), {})
    return EigResult(BUILDER.complex(real, imag), BUILDER.complex(*parts))


# --- eigenvalues alone ---------------------------------------------------------------------------


def _reference_eigvals(attrs: Attributes, a: np.ndarray) -> tuple[np.ndarray, ...]:
    return routine("geev_values", np.swapaxes(a, -1, -2), caller="eigvals")


def _vjp_eigvals(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    """dA = V^-H diag(dw) V^H"""
    *_, one, two = EIG.apply(a.inputs, {})
    value = _joined(b, gradients[0], gradients[1])
    assert value is not None
    scaled = b.multiply(b.expand_dims(value, -1), adjoint(b, b.complex(one, two)))
    return [_of_left(b, [one, two], scaled)]


EIGVALS: OpDef = register(
    OpDef(
        "eigvals",
        infer=lambda call: _infer_eig(call)[:2],
        reference=_reference_eigvals,
        lower=Composite(lambda b, a: tuple(b.lapack("geev_values", mT(b, a), caller="eigvals"))),
        vjp=_vjp_eigvals,
        batch=leading,
        examples=lambda rng: [
            *matrix_examples(lambda x: EIGVALS.apply((_apart(x),), {}))(rng),
            *matrix_examples(lambda x: EIGVALS.apply((_turning(x),), {}), ((4, 4), (3, 3)))(rng),
        ],
    )
)


@public
def eigvals(x: Any, /) -> Tensor:
    """The eigenvalues of square matrices: [..., n, n] -> complex [..., n]; see eig.

    The gradient takes the eigenvectors, and raises LinearAlgebraError (E406) where they are
    dependent.
    """
    a = square_input("eigvals", x)
    if is_complex(a.dtype):
        return COMPLEX_EIG.apply((a,), {})[0]
    return BUILDER.complex(*EIGVALS.apply((a,), {}))


# --- Schur's form --------------------------------------------------------------------------------


def _infer_schur(call: Inference) -> tuple[TensorType, TensorType]:
    x = square_type(call)
    return x, x


def _reference_schur(attrs: Attributes, a: np.ndarray) -> tuple[np.ndarray, ...]:
    found = routine("gees", np.swapaxes(a, -1, -2), caller="schur")
    return tuple(np.swapaxes(columns, -1, -2).copy() for columns in found)


SCHUR: OpDef = register(
    OpDef(
        "schur",
        infer=_infer_schur,
        reference=_reference_schur,
        lower=Composite(
            lambda b, a: tuple(mT(b, x) for x in b.lapack("gees", mT(b, a), caller="schur"))
        ),
        batch=leading,
        traits=frozenset({"nondifferentiable"}),
        examples=lambda rng: [
            Example(lambda x: schur(x), (rng.normal(size=shape),), differentiable=False)
            for shape in ((3, 3), (2, 4, 4), (1, 1), (0, 0))
        ],
    )
)


@public
def schur(x: Any, /) -> SchurResult:
    """(T, Z) with x = Z @ T @ Z.T, Z orthogonal, T upper triangular but for 2 x 2 blocks on the
    diagonal that belong to conjugate eigenvalues (LAPACK gees); scipy.linalg.schur, real.

    x: [..., n, n], as T and Z. float32 or float64; integers and bool become float32. No derivative.
    Raises ShapeError, DTypeError; LinearAlgebraError (E406) at the call where the iteration fails.
    """
    return SchurResult(*SCHUR.apply((square_input("schur", x),), {}))
