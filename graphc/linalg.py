"""Linear algebra, as `gc.linalg.solve`, `gc.linalg.svd`, ...: the names of the Array API's linalg.

Matrices are the last two axes of a tensor, and all axes before them count a batch. They are
computed by LAPACK in float32 or float64; integers and bool become float32. What cannot be computed
for some values raises LinearAlgebraError (E406) at the call, before anything is written.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from graphc.dtypes import is_complex
from graphc.errors import ParameterError, ShapeError
from graphc.ir.arguments import checked_axes
from graphc.ir.leaf import as_tensor
from graphc.ir.registry import BUILDER
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.linalg_bands import solve_banded, solveh_banded
from graphc.linalg_equations import (
    cho_factor,
    cho_solve,
    orthogonal_procrustes,
    solve_continuous_lyapunov,
    solve_discrete_lyapunov,
    solve_triangular,
)
from graphc.linalg_matrices import dft, hadamard, hilbert
from graphc.linalg_norms import cond, matrix_norm, norm, vector_norm
from graphc.ops.coefficients import companion
from graphc.ops.contraction import matmul, outer, tensordot, vecdot
from graphc.ops.decompositions import QRResult, cholesky, qr
from graphc.ops.definition import promote_inputs
from graphc.ops.determinants import SlogdetResult, det, slogdet
from graphc.ops.diagonals import diagonal as diagonal_of_axes
from graphc.ops.eigenvalues import EigResult, SchurResult, eig, eigvals, schur
from graphc.ops.lu_factors import LUFactorResult, LUResult, lu, lu_factor, lu_solve
from graphc.ops.matrices import matrix_input, square_input
from graphc.ops.matrix_functions import expm, sqrtm
from graphc.ops.matrix_logarithm import logm
from graphc.ops.movement import matrix_transpose
from graphc.ops.products import cross
from graphc.ops.pseudoinverse import LstsqResult, lstsq, matrix_rank, pinv
from graphc.ops.solving import inv, solve, triangular_solve
from graphc.ops.spectra import EighResult, SVDResult, eigh, eigvalsh, svd, svdvals
from graphc.ops.sylvester import solve_sylvester
from graphc.other_names import missing
from graphc.shapes import Size, size_product, whole_number
from graphc.surface import surface

__all__ = [
    # factors
    "cholesky",
    "cho_factor",
    "lu",
    "lu_factor",
    "polar",
    "qr",
    "schur",
    "eig",
    "eigvals",
    "eigh",
    "eigvalsh",
    "svd",
    "svdvals",
    # equations
    "solve",
    "triangular_solve",
    "cho_solve",
    "lu_solve",
    "tensorsolve",
    "inv",
    "tensorinv",
    "pinv",
    "lstsq",
    "orthogonal_procrustes",
    "solve_continuous_lyapunov",
    "solve_discrete_lyapunov",
    "solve_sylvester",
    "solve_banded",
    "solve_toeplitz",
    "solve_triangular",
    "solveh_banded",
    # functions
    "cosm",
    "expm",
    "logm",
    "sinm",
    "sqrtm",
    # numbers
    "det",
    "slogdet",
    "cond",
    "matrix_rank",
    "trace",
    "norm",
    "matrix_norm",
    "vector_norm",
    # products
    "cross",
    "matmul",
    "matrix_power",
    "multi_dot",
    "outer",
    "tensordot",
    "vecdot",
    # parts
    "block_diag",
    "circulant",
    "companion",
    "dft",
    "diagonal",
    "hadamard",
    "hankel",
    "hilbert",
    "matrix_transpose",
    "toeplitz",
    # results
    "EigResult",
    "EighResult",
    "LUFactorResult",
    "LUResult",
    "LstsqResult",
    "QRResult",
    "SVDResult",
    "SchurResult",
    "SlogdetResult",
]


def __dir__() -> list[str]:
    return __all__


if not TYPE_CHECKING:  # a checker of types is to find such names

    def __getattr__(name: str) -> object:
        raise missing("linalg", name, __all__)


@surface
def diagonal(x: Any, /, *, offset: Size = 0) -> Tensor:
    """The entries of matrices whose column is the row plus `offset`: [..., m, n] -> [..., k].

    Any dtype. Raises ShapeError for less than two axes.
    """
    return diagonal_of_axes(x, offset, -2, -1)


@surface
def trace(x: Any, /, *, offset: Size = 0, dtype: Any = None) -> Tensor:
    """The sum of `diagonal(x, offset=offset)`; integers narrower than int64 become int64.

    dtype: of the sum, by default that of x. Raises ShapeError for less than two axes.
    """
    entries = diagonal(x, offset=offset)
    return BUILDER.sum(entries, axis=-1, dtype=dtype)


@surface
def solve_toeplitz(c_or_cr: Any, b: Any) -> Tensor:
    """The x with toeplitz(c, r) @ x = b; scipy.linalg.solve_toeplitz.

    c_or_cr: the first column c, [n], or a tuple (c, r) with the first row; r is conj(c) by default.
    b: [n] or [n, k]. By solve, not by recursion: also where leading submatrices are singular.
    """
    pair = c_or_cr if isinstance(c_or_cr, tuple) else (c_or_cr,)
    return solve(toeplitz(*pair), b)


@surface
def cosm(x: Any, /) -> Tensor:
    """The cosine of square matrices: [..., n, n]; scipy.linalg.cosm. See expm."""
    return _turning("cosm", x)[0]


@surface
def sinm(x: Any, /) -> Tensor:
    """The sine of square matrices: [..., n, n]; scipy.linalg.sinm. See expm."""
    return _turning("sinm", x)[1]


def _turning(name: str, x: Any) -> tuple[Tensor, Tensor]:
    """cos and sin: of real matrices the parts of exp(i x), of others half sums with exp(-i x)."""
    matrix = square_input(name, x)
    if not is_complex(matrix.dtype):
        found = expm(BUILDER.complex(BUILDER.zeros_like(matrix), matrix))
        return BUILDER.real(found), BUILDER.imag(found)
    forth, back = expm(matrix * 1j), expm(matrix * -1j)
    return (forth + back) / 2, (forth - back) / 2j


@surface
def polar(x: Any, side: Literal["right", "left"] = "right") -> tuple[Tensor, Tensor]:
    """(U, P) with x = U @ P, or P @ U for the left side: U has orthonormal columns or rows, P is
    symmetric or Hermitian with no eigenvalue below 0; by the singular value decomposition;
    scipy.linalg.polar.

    x: [..., m, n], U: [..., m, n], P: [..., n, n], or [..., m, m] for the left. Floats of 4 and 8
    bytes and complex numbers of them; integers and bool become float32. Raises ShapeError,
    DTypeError, ParameterError for another side; see svd for gradients.
    """
    if side not in ("right", "left"):
        raise ParameterError(
            f"polar: side is {side!r:.40}", source=current_source(), fix='"right" or "left"'
        )
    u, s, vh = svd(matrix_input("polar", x), full_matrices=False)
    if side == "right":
        factor = matmul(BUILDER.conj(matrix_transpose(vh)), BUILDER.expand_dims(s, -1) * vh)
    else:
        factor = matmul(u * BUILDER.expand_dims(s, -2), BUILDER.conj(matrix_transpose(u)))
    return matmul(u, vh), factor


@surface
def tensorsolve(a: Any, b: Any, axes: Sequence[int] | None = None) -> Tensor:
    """The x with tensordot(a, x, x.ndim) = b; numpy.linalg.tensorsolve.

    a: [*b.shape, *x.shape], with as many entries in both parts. axes: of a, moved to its end
    before. float32 or float64; integers and bool become float32. Raises ShapeError, DTypeError;
    LinearAlgebraError (E406) for a singular a.
    """
    tensor, rhs = as_tensor(a), as_tensor(b)
    if axes is not None:
        own = checked_axes("tensorsolve", tuple(axes), tensor.ndim)
        rest = [axis for axis in range(tensor.ndim) if axis not in own]
        tensor = BUILDER.permute_dims(tensor, (*rest, *own))
    shape = tensor.shape[rhs.ndim :]
    flat = BUILDER.reshape(tensor, (rhs.size, size_product(shape)))
    return BUILDER.reshape(solve(flat, BUILDER.reshape(rhs, (-1,))), shape)


@surface
def tensorinv(x: Any, ind: int = 2) -> Tensor:
    """The y with tensordot(y, tensordot(x, z, z.ndim), ind) = z; numpy.linalg.tensorinv.

    x: the product of its first `ind` sizes is that of the others. Result: [*x.shape[ind:],
    *x.shape[:ind]]. float32 or float64; integers and bool become float32. Raises ShapeError,
    DTypeError, ParameterError for an ind below 1; LinearAlgebraError (E406) for a singular x.
    """
    tensor, first = as_tensor(x), whole_number(ind)
    if first is None or first < 1:
        raise ParameterError(
            f"tensorinv: ind is {ind!r:.40}", source=current_source(), fix="an int above 0"
        )
    before, behind = tensor.shape[:first], tensor.shape[first:]
    flat = BUILDER.reshape(tensor, (size_product(before), size_product(behind)))
    return BUILDER.reshape(inv(flat), (*behind, *before))


@surface
def matrix_power(x: Any, n: int, /) -> Tensor:
    """The product of n factors x, for square matrices [..., m, m]; of the inverse if n < 0.

    n: an int; 0 gives identities. Floats; integers and bool become float32. The number of
    products is at most twice the logarithm of n. Raises ShapeError, DTypeError, ParameterError
    where n is not an int; LinearAlgebraError (E406) for a singular matrix if n < 0.
    """
    base = square_input("matrix_power", x)
    exponent = whole_number(n)
    if exponent is None:
        raise ParameterError(
            f"matrix_power: the exponent is {n!r:.40}", source=current_source(), fix="give an int"
        )
    n = exponent
    if n == 0:
        unit = BUILDER.eye(base.shape[-1], dtype=base.dtype)
        return BUILDER.broadcast_to(unit, base.shape)
    if n < 0:
        base, n = inv(base), -n
    result: Tensor | None = None
    while True:
        if n & 1:
            result = base if result is None else matmul(result, base)
        n >>= 1
        if n == 0:
            assert result is not None
            return result
        base = matmul(base, base)


@surface
def multi_dot(arrays: Sequence[Any]) -> Tensor:
    """The product of several matrices; the first and the last may be vectors.

    The compiler multiplies in the order that takes the least work. Raises ShapeError.
    """
    if len(arrays) == 0:
        raise ShapeError(
            "multi_dot: there is nothing to multiply",
            source=current_source(),
            fix="pass a list of two matrices or more",
        )
    result = as_tensor(arrays[0])
    for array in arrays[1:]:
        result = matmul(result, array)
    return result


@surface
def toeplitz(c: Any, r: Any = None) -> Tensor:
    """The matrix that is constant along its diagonals: c is its first column, r its first row.

    c, r: vectors of m and n entries, any dtypes, which are promoted; r[0] does not count, and r is
    conj(c) by default. Result: [m, n]. Raises ShapeError for other axes.
    """
    column, row = promote_inputs("toeplitz", c, BUILDER.conj(as_tensor(c)) if r is None else r)
    for vector in (column, row):
        _require_vector("toeplitz", vector)
    if is_complex(column.dtype):
        parts = (toeplitz(part(column), part(row)) for part in (BUILDER.real, BUILDER.imag))
        return BUILDER.complex(*parts)
    line = BUILDER.concat([BUILDER.flip(column), row[1:]])
    return BUILDER.flip(BUILDER.sliding_windows(line, column.shape[0]), 0)


@surface
def hankel(c: Any, r: Any = None) -> Tensor:
    """The matrix that is constant along its antidiagonals: c is its first column, r its last row.

    c, r: vectors of m and n entries, any dtypes, which are promoted; r[0] does not count, and r is
    zeros by default. Result: [m, n]. Raises ShapeError for other axes.
    """
    column, row = promote_inputs("hankel", c, BUILDER.zeros_like(as_tensor(c)) if r is None else r)
    for vector in (column, row):
        _require_vector("hankel", vector)
    return BUILDER.flip(toeplitz(BUILDER.flip(column), BUILDER.concat([column[-1:], row[1:]])), 0)


@surface
def circulant(c: Any) -> Tensor:
    """The square matrix whose first column is c, each next one turned down by one.

    c: [n], any dtype. Result: [n, n]. Raises ShapeError for other axes.
    """
    column = as_tensor(c)
    _require_vector("circulant", column)
    return toeplitz(column, BUILDER.roll(BUILDER.flip(column), 1))


def _require_vector(name: str, vector: Tensor) -> None:
    if vector.ndim != 1:
        raise ShapeError(
            f"{name}: got {vector.type}, allowed is one axis",
            source=current_source(),
            fix="give a vector",
        )


@surface
def block_diag(*arrays: Any) -> Tensor:
    """The matrix with these matrices along its diagonal, and zeros elsewhere; scipy's block_diag.

    arrays: of at most two axes, of any dtypes, which are promoted; vectors are rows. Result:
    [sum of rows, sum of columns]. Raises ShapeError for more axes, ParameterError for no arrays.
    """
    if not arrays:
        raise ParameterError(
            "block_diag: got no arrays", source=current_source(), fix="give at least one"
        )
    blocks = []
    for tensor in promote_inputs("block_diag", *arrays):
        if tensor.ndim > 2:
            raise ShapeError(
                f"block_diag: got {tensor.type}, allowed are two axes at most",
                source=current_source(),
                fix="give matrices",
            )
        while tensor.ndim < 2:
            tensor = BUILDER.expand_dims(tensor, 0)
        blocks.append(tensor)
    rows = []
    for place, block in enumerate(blocks):
        line = [
            block if other == place else BUILDER.zeros((block.shape[0], one.shape[1]), block.dtype)
            for other, one in enumerate(blocks)
        ]
        rows.append(BUILDER.concat(line, axis=1))
    return BUILDER.concat(rows, axis=0)
