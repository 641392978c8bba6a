"""LU factors of matrices of any shape, and systems that are solved with them."""

from typing import Any, NamedTuple

import numpy as np

from graphc.dtypes import int32, int64
from graphc.errors import ParameterError, ShapeError
from graphc.ir.batch import leading
from graphc.ir.leaf import as_tensor
from graphc.ir.lowering import Composite
from graphc.ir.node import Attributes, TensorType
from graphc.ir.opdef import Application, Generator, Gradients, Inference, OpDef
from graphc.ir.registry import BUILDER, Builder, public, register
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.matrices import (
    identity,
    in_one_batch,
    matrix_examples,
    matrix_input,
    matrix_inputs,
    mT,
    regular,
    require_square,
    routine,
)
from graphc.shapes import Shape, Size, dim_min

__all__: list[str] = []  # public in the namespace graphc.linalg


class LUFactorResult(NamedTuple):
    """What lu_factor gives: L below the diagonal and U from it on; the exchanges of rows."""

    lu: Tensor
    pivots: Tensor


class LUResult(NamedTuple):
    """What lu gives: x = P @ L @ U."""

    P: Tensor
    L: Tensor
    U: Tensor


# --- the op ------------------------------------------------------------------------------------
# outputs: both factors in one matrix; pivots, counted from 0; the permutation: row i of L @ U is
# row permutation[i] of the matrix.


def _infer_lu(call: Inference) -> tuple[TensorType, TensorType, TensorType]:
    (x,) = call.types
    *batch, m, n = x.shape
    return x, TensorType(int32, (*batch, dim_min(m, n))), TensorType(int64, (*batch, m))


def _reference_lu(attrs: Attributes, a: np.ndarray) -> tuple[np.ndarray, ...]:
    columns = np.ascontiguousarray(np.swapaxes(a, -1, -2))
    factors, exchanges, _ = routine("getrf_columns", columns, caller="lu")
    pivots = np.maximum(exchanges - 1, 0).astype(np.int32)
    permutation = np.tile(np.arange(a.shape[-2]), (*a.shape[:-2], 1))
    for matrix in np.ndindex(a.shape[:-2]):
        for step, other in enumerate(pivots[matrix]):
            permutation[matrix][[step, other]] = permutation[matrix][[other, step]]
    return np.swapaxes(factors, -1, -2).copy(), pivots, permutation


def _build_lu(b: Builder, a: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    factors, exchanges, _ = b.lapack("getrf_columns", mT(b, a), caller="lu")
    pivots = b.astype(b.maximum(b.subtract(exchanges, 1), 0), int32)
    return mT(b, factors), pivots, permutation_of(b, pivots, a.shape[-2])


def permutation_of(b: Builder, pivots: Tensor, rows: Size) -> Tensor:
    """Where each row comes from: [..., k] exchanges, one after the other -> [..., rows]."""
    places = b.arange(rows)
    start = b.broadcast_to(places, (*pivots.shape[:-1], rows))

    def exchange(line: Tensor, step: tuple[Tensor, Tensor]) -> tuple[Tensor, None]:
        one, other = b.equal(places, step[0]), b.equal(places, b.expand_dims(step[1], -1))
        first = b.sum(b.where(one, line, 0), axis=-1, keepdims=True)
        second = b.sum(b.where(other, line, 0), axis=-1, keepdims=True)
        return b.where(one, second, b.where(other, first, line)), None

    moves = b.moveaxis(b.astype(pivots, int64), -1, 0)
    line: Tensor = b.scan(exchange, start, (b.arange(pivots.shape[-1]), moves))[0]
    return line


def _squares(b: Builder, factors: Tensor) -> tuple[Tensor, Tensor]:
    """L [..., m, m] and U [..., n, n] as square triangles: ones where the diagonal has ended. Of L
    the diagonal and what is above are not set."""
    m, n = factors.shape[-2:]
    if m == n:
        return factors, factors
    batch = factors.shape[:-2]
    below = b.concat([factors, b.zeros((*batch, m, m), factors.dtype)], axis=-1)[..., :m]
    above = b.concat([factors, b.zeros((*batch, n, n), factors.dtype)], axis=-2)[..., :n, :]
    behind = b.greater_equal(b.arange(n), m)
    rest = b.multiply(identity(b, above), b.astype(behind, factors.dtype))
    return below, b.add(above, rest)


def _vjp_lu(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    """With A' = P^T A and dX = L^-1 dA' U^-1: dL = L tril(dX, -1), dU = triu(dX) U (de Hoog,
    Anderssen and Lukas 2011, "Differentiation of matrix functionals using triangular
    factorization"); L and U are made square by ones on the diagonal, as in JAX. Its transpose is

        dX = tril(L^T G, -1) + triu(G U^T)    dA' = L^-T dX U^-T
    """
    gradient = gradients[0]
    if gradient is None:
        return [None]
    factors, _, permutation = a.outputs
    below, above = _squares(b, factors)
    lower = b.add(b.tril(below, -1), identity(b, below))
    upper = b.triu(above)
    inner = b.add(
        b.tril(b.matmul(lower, gradient, transpose_a=True), -1),
        b.triu(b.matmul(gradient, upper, transpose_b=True)),
    )
    left = b.triangular_solve(lower, inner, transpose=True, unit_diagonal=True)
    whole = mT(b, b.triangular_solve(upper, mT(b, left), lower=False))
    return [_rows(b, whole, b.argsort(permutation, axis=-1))]


def _rows(b: Builder, x: Tensor, places: Tensor) -> Tensor:
    """Row i is row places[..., i] of x."""
    if places.ndim == 1:
        return b.take(x, places, axis=-2)
    spread = b.broadcast_to(b.expand_dims(places, -1), (*places.shape, x.shape[-1]))
    return b.take_along_axis(x, spread, axis=-2)


def _jvp_lu(b: Builder, a: Application, tangents: Gradients) -> Gradients:
    """The formula of `_vjp_lu`."""
    if tangents[0] is None:
        return [None, None, None]
    factors, _, permutation = a.outputs
    below, above = _squares(b, factors)
    lower = b.add(b.tril(below, -1), identity(b, below))
    upper = b.triu(above)
    left = b.triangular_solve(lower, _rows(b, tangents[0], permutation), unit_diagonal=True)
    inner = mT(b, b.triangular_solve(upper, mT(b, left), lower=False, transpose=True))
    moved = b.add(b.matmul(lower, b.tril(inner, -1)), b.matmul(b.triu(inner), upper))
    return [moved, None, None]


def _exchanged(x: Tensor) -> Tensor:
    """x as a matrix that is far from singular, once its rows are exchanged."""
    rows, columns = x.shape[-2:]
    shifted = BUILDER.roll(BUILDER.eye(rows, columns, dtype=x.dtype), 1, axis=-2)
    return BUILDER.add(BUILDER.multiply(x, 0.25), shifted * 3)


def _lu_examples(rng: Generator) -> list[Any]:
    square = matrix_examples(lambda x: lu_factor(regular(x)).lu)(rng)
    shapes = ((3, 3), (2, 4, 2), (2, 3), (0, 2), (2, 0))
    return square + matrix_examples(lambda x: lu_factor(_exchanged(x)).lu, shapes)(rng)


LU: OpDef = register(
    OpDef(
        "lu",
        infer=_infer_lu,
        reference=_reference_lu,
        lower=Composite(_build_lu),
        vjp=_vjp_lu,
        jvp=_jvp_lu,
        batch=leading,
        examples=_lu_examples,
    )
)

# --- what users call -----------------------------------------------------------------------------


@public
def lu_factor(x: Any, /) -> LUFactorResult:
    """(lu, pivots): the factors of `lu(x)` in one matrix, for `lu_solve` (LAPACK getrf);
    scipy.linalg.lu_factor.

    x: [..., m, n]; k = min(m, n). lu: [..., m, n], U from the diagonal on, below it L without its
    ones. pivots: int32 [..., k]: row i was exchanged with row pivots[i], one after the other.
    float32 or float64; integers and bool become float32. A singular matrix has factors, but the
    gradient of the factors raises LinearAlgebraError (E406) there. Raises ShapeError, DTypeError.
    """
    factors, pivots, _ = LU.apply((matrix_input("lu_factor", x),), {})
    return LUFactorResult(factors, pivots)


@public
def lu(x: Any, /) -> LUResult:
    """(P, L, U) with x = P @ L @ U: P exchanges rows, L has ones on its diagonal and zeros above,
    U zeros below (LAPACK getrf, partial pivoting); scipy.linalg.lu.

    x: [..., m, n]; k = min(m, n). P: [..., m, m], L: [..., m, k], U: [..., k, n]. float32 or
    float64; integers and bool become float32. P has no gradient; that of L and U needs the first k
    columns of x to be independent: else it raises LinearAlgebraError (E406) at the call. Raises
    ShapeError, DTypeError.
    """
    a = matrix_input("lu", x)
    factors, _, permutation = LU.apply((a,), {})
    m, n = a.shape[-2:]
    places = BUILDER.expand_dims(BUILDER.arange(m), -1)
    exchanges = BUILDER.equal(BUILDER.expand_dims(permutation, -2), places).astype(a.dtype)
    left, upper = factors, BUILDER.triu(factors)
    if m != n:
        k = dim_min(m, n)
        left, upper = left[..., :k], upper[..., :k, :]
    ones = BUILDER.eye(*left.shape[-2:], dtype=a.dtype)
    return LUResult(exchanges, BUILDER.add(BUILDER.tril(left, -1), ones), upper)


@public
def lu_solve(lu_and_pivots: Any, b: Any, trans: int = 0) -> Tensor:
    """The x with a @ x = b, from lu_and_pivots = lu_factor(a); scipy.linalg.lu_solve.

    lu_and_pivots: what lu_factor gave, of square matrices [..., n, n]. b: one axis [n], or
    [..., n, k]; batch axes broadcast. trans: 1 for a.T @ x = b. float32 or float64; integers and
    bool become float32. Raises ShapeError, DTypeError, ParameterError for another trans;
    LinearAlgebraError (E406) at the call for a singular matrix.
    """
    if trans not in (0, 1):
        raise ParameterError(
            f"lu_solve: trans is {trans!r:.40}",
            source=current_source(),
            fix="0 for a @ x = b, 1 for a.T @ x = b",
        )
    if not isinstance(lu_and_pivots, tuple | list) or len(lu_and_pivots) != 2:
        raise ParameterError(
            f"lu_solve: the first argument is {type(lu_and_pivots).__name__}",
            source=current_source(),
            fix="give the pair that lu_factor returned",
        )
    factors, rhs = matrix_inputs("lu_solve", lu_and_pivots[0], b)
    pivots = as_tensor(lu_and_pivots[1])
    require_square("lu_solve", factors)
    if rhs.ndim == 0 or pivots.ndim != factors.ndim - 1:
        raise ShapeError(
            "lu_solve: the operands do not fit",
            details=[f"lu: {factors.type}    pivots: {pivots.type}    b: {rhs.type}"],
            source=current_source(),
            fix="lu [..., n, n] and pivots [..., n] of lu_factor, b [n] or [..., n, k]",
        )
    places = permutation_of(BUILDER, pivots, factors.shape[-1])
    is_vector = rhs.ndim == 1
    a, columns = in_one_batch("lu_solve", factors, rhs[..., None] if is_vector else rhs)
    batch: Shape = a.shape[:-2]
    places = BUILDER.broadcast_to(places, (*batch, places.shape[-1]))
    if trans == 0:
        columns = _rows(BUILDER, columns, places)
        columns = BUILDER.triangular_solve(a, columns, unit_diagonal=True)
        columns = BUILDER.triangular_solve(a, columns, lower=False)
    else:
        columns = BUILDER.triangular_solve(a, columns, lower=False, transpose=True)
        columns = BUILDER.triangular_solve(a, columns, transpose=True, unit_diagonal=True)
        columns = _rows(BUILDER, columns, BUILDER.argsort(places, axis=-1))
    return columns[..., 0] if is_vector else columns
