"""Equations with banded matrices, given by their diagonals, one a row, as scipy has them."""

from typing import Any

from graphc.dtypes import is_complex
from graphc.errors import ParameterError, ShapeError
from graphc.ir.leaf import as_tensor
from graphc.ir.registry import BUILDER
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.linalg_equations import cho_solve
from graphc.ops.decompositions import cholesky
from graphc.ops.solving import solve
from graphc.shapes import whole_number
from graphc.surface import surface


def band_matrix(name: str, below: int, above: int, diagonals: Any) -> Tensor:
    """[n, n] with a[i, j] = diagonals[above + i - j, j] within the band, else 0.

    diagonals: [below + above + 1, n].
    """
    rows = as_tensor(diagonals)
    count = below + above + 1
    if rows.ndim != 2 or rows.shape[0] != count:
        raise ShapeError(
            f"{name}: ab is {rows.type}",
            details=[f"{below} diagonals below and {above} above make {count} rows of n entries"],
            source=current_source(),
            fix=f"give ab the shape [{count}, n]; entries that lie outside of a do not count",
        )
    size = rows.shape[1]
    row, column = BUILDER.arange(size)[:, None], BUILDER.arange(size)[None, :]
    place = above + row - column
    inside = BUILDER.logical_and(place >= 0, place < count)
    entries = BUILDER.gather(rows, (BUILDER.where(inside, place, 0), column), (0, 1))
    found: Tensor = BUILDER.where(inside, entries, 0)
    return found


def numbers_of_diagonals(name: str, l_and_u: Any) -> tuple[int, int]:
    """How many diagonals lie below and above; ParameterError for what are no such numbers."""
    numbers = tuple(map(whole_number, l_and_u)) if isinstance(l_and_u, tuple | list) else ()
    match numbers:
        case (int(below), int(above)) if below >= 0 and above >= 0:
            return below, above
    raise ParameterError(
        f"{name}: l_and_u is {l_and_u!r:.60}",
        source=current_source(),
        fix="give (l, u), the numbers of diagonals below and above the main one",
    )


def hermitian_band_matrix(name: str, diagonals: Any, lower: bool) -> Tensor:
    """The symmetric or Hermitian matrix of which one triangle's diagonals are given."""
    rows = as_tensor(diagonals)
    known = rows.shape[0] if rows.ndim else 0
    further = known - 1 if isinstance(known, int) and known else 0
    half = band_matrix(name, *((further, 0) if lower else (0, further)), rows)
    turned = BUILDER.matrix_transpose(half)
    turned = BUILDER.conj(turned) if is_complex(turned.dtype) else turned
    upper = BUILDER.triu(turned, 1) if lower else BUILDER.tril(turned, -1)
    both: Tensor = half + upper
    return both


@surface
def solve_banded(l_and_u: Any, ab: Any, b: Any) -> Tensor:
    """The x with a @ x = b for a banded matrix a; scipy.linalg.solve_banded.

    l_and_u: (l, u), the numbers of diagonals below and above the main one. ab: [l + u + 1, n], the
    diagonals of a: ab[u + i - j, j] = a[i, j]. b: [n] or [n, k]. a is made and solved whole, in
    n^2 numbers of memory. See solve.
    """
    below, above = numbers_of_diagonals("solve_banded", l_and_u)
    return solve(band_matrix("solve_banded", below, above, ab), b)


@surface
def solveh_banded(ab: Any, b: Any, *, lower: bool = False) -> Tensor:
    """The x with a @ x = b for a Hermitian positive definite banded matrix;
    scipy.linalg.solveh_banded.

    ab: [u + 1, n], the diagonals of the upper triangle, ab[u + i - j, j] = a[i, j], or, lower,
    those of the lower one, ab[i - j, j] = a[i, j]. b: [n] or [n, k]. By cholesky of all of a;
    LinearAlgebraError where that is not positive definite.
    """
    factor = cholesky(hermitian_band_matrix("solveh_banded", ab, lower))
    right = as_tensor(b)
    columns = right[:, None] if right.ndim == 1 else right
    x = cho_solve(factor, columns)
    return x[:, 0] if right.ndim == 1 else x
