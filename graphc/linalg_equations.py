"""Equations in matrices by the names of scipy: Lyapunov's, triangular ones, Procrustes' problem."""

from typing import Any, Literal

from graphc.dtypes import is_complex
from graphc.errors import ParameterError
from graphc.ir.leaf import as_tensor
from graphc.ir.registry import BUILDER
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.contraction import matmul
from graphc.ops.decompositions import cholesky
from graphc.ops.matrices import identity, square_input
from graphc.ops.movement import matrix_transpose
from graphc.ops.solving import inv, solve, triangular_solve
from graphc.ops.spectra import svd
from graphc.ops.sylvester import solve_sylvester
from graphc.surface import surface

_TRANSPOSES = {0: "N", 1: "T", 2: "C"}


@surface
def solve_triangular(
    a: Any,
    b: Any,
    trans: int | Literal["N", "T", "C"] = 0,
    lower: bool = False,
    unit_diagonal: bool = False,
) -> Tensor:
    """The x with t @ x = b, t the upper triangle of a, or the lower one; with t.T for trans 1 or
    "T", and the conjugate transpose for 2 or "C"; scipy.linalg.solve_triangular.

    See triangular_solve, of which lower is the default. ParameterError for another trans.
    """
    letter = _TRANSPOSES.get(trans, trans) if isinstance(trans, int) else trans
    if letter not in ("N", "T", "C"):
        raise ParameterError(
            f"solve_triangular: trans is {trans!r:.40}",
            source=current_source(),
            fix='0 or "N", 1 or "T", 2 or "C"',
        )
    matrix = as_tensor(a)
    if letter == "C" and is_complex(matrix.dtype):
        matrix = BUILDER.conj(matrix)
    return triangular_solve(
        matrix, b, lower=lower, transpose=letter != "N", unit_diagonal=unit_diagonal
    )


@surface
def solve_continuous_lyapunov(a: Any, q: Any) -> Tensor:
    """The x with a @ x + x @ a.T = q: [..., n, n]; scipy.linalg.solve_continuous_lyapunov.

    See solve_sylvester.
    """
    matrix = square_input("solve_continuous_lyapunov", a)
    return solve_sylvester(matrix, matrix_transpose(matrix), q)


@surface
def solve_discrete_lyapunov(a: Any, q: Any) -> Tensor:
    """The x with a @ x @ a.T - x + q = 0: [..., n, n]; scipy.linalg.solve_discrete_lyapunov.

    As a continuous equation of (a - 1) (a + 1)^-1 (the bilinear transform), so that -1 must be no
    eigenvalue of a; see solve_sylvester for the others.
    """
    matrix = square_input("solve_discrete_lyapunov", a)
    one = identity(BUILDER, matrix)
    right = inv(matrix_transpose(matrix) + one)
    turned = matmul(matrix_transpose(matrix) - one, right)
    side = 2 * matmul(solve(matrix + one, q), right)
    return solve_continuous_lyapunov(matrix_transpose(turned), -side)


@surface
def orthogonal_procrustes(a: Any, b: Any) -> tuple[Tensor, Tensor]:
    """(r, scale) with the orthogonal, or unitary, r that makes |a @ r - b| smallest;
    scipy.linalg.orthogonal_procrustes.

    a, b: [..., m, n]. r: [..., n, n]. scale: [...], the sum of the singular values of a.T @ b.
    Schönemann 1966, "A generalized solution of the orthogonal Procrustes problem". See svd.
    """
    first = as_tensor(a)
    turned = matrix_transpose(BUILDER.conj(first) if is_complex(first.dtype) else first)
    u, s, vh = svd(matmul(turned, b))
    return matmul(u, vh), BUILDER.sum(s, axis=-1)


@surface
def cho_solve(c: Any, b: Any, *, lower: bool = True) -> Tensor:
    """The x with a @ x = b, from the factor c = cholesky(a), or cholesky(a, upper=True) if not
    lower; c may be the pair that `cho_factor` gives, which says itself what is lower, as in scipy.
    See triangular_solve, which is called twice."""
    if isinstance(c, tuple):
        c, lower = c
    factor = as_tensor(c)
    turned = BUILDER.conj(factor) if is_complex(factor.dtype) else factor
    if lower:
        first = triangular_solve(factor, b)
        return triangular_solve(turned, first, transpose=True)
    first = triangular_solve(turned, b, lower=False, transpose=True)
    return triangular_solve(factor, first, lower=False)


@surface
def cho_factor(x: Any, *, lower: bool = False) -> tuple[Tensor, bool]:
    """(c, lower) for `cho_solve((c, lower), b)`, c = cholesky(x, upper=not lower), with zeros
    in the other triangle; scipy.linalg.cho_factor. See cholesky."""
    return cholesky(x, upper=not lower), bool(lower)
