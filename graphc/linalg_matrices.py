"""Matrices of known entries, as `gc.linalg.hilbert`, `gc.linalg.dft`, `gc.linalg.companion`."""

import math
from typing import Any

import numpy as np

from graphc.errors import ParameterError, ShapeError
from graphc.ir.leaf import as_tensor, constant
from graphc.ir.registry import BUILDER
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.shapes import whole_number
from graphc.surface import surface


def _size(name: str, n: Any) -> int:
    size = whole_number(n)
    if size is None or size < 0:
        raise ParameterError(
            f"{name}: n is {n!r:.40}", source=current_source(), fix="use a whole number >= 0"
        )
    return size


@surface
def hilbert(n: int, *, dtype: Any = None) -> Tensor:
    """The matrix of 1 / (i + j + 1): [n, n], float32 or `dtype`; scipy.linalg.hilbert."""
    places = np.arange(_size("hilbert", n))
    return constant(1 / (places[:, None] + places + 1), dtype or "float32")


@surface
def hadamard(n: int, *, dtype: Any = None) -> Tensor:
    """Sylvester's matrix of 1 and -1 with orthogonal rows: [n, n], int64 or `dtype`;
    scipy.linalg.hadamard. ParameterError where n is no power of 2."""
    size = _size("hadamard", n)
    if size < 1 or size & (size - 1):
        raise ParameterError(
            f"hadamard: n is {size}", source=current_source(), fix="use a power of 2"
        )
    common = np.bitwise_and.outer(np.arange(size), np.arange(size))
    return constant(1 - 2 * (np.bitwise_count(common).astype("int64") % 2), dtype or "int64")


@surface
def dft(n: int, scale: str | None = None, *, dtype: Any = None) -> Tensor:
    """The matrix of the Fourier transform, exp(-2 pi i j k / n): complex64 [n, n] or `dtype`;
    scipy.linalg.dft. scale: "sqrtn" or "n" divides by it. `gc.fft.fft` is the fast transform."""
    size = _size("dft", n)
    if scale not in (None, "sqrtn", "n"):
        raise ParameterError(
            f"dft: scale is {scale!r:.40}", source=current_source(), fix='use None, "sqrtn" or "n"'
        )
    divisor = {None: 1.0, "sqrtn": math.sqrt(size), "n": size}[scale]
    # The product modulo n keeps the angle exact.
    turns = np.outer(np.arange(size), np.arange(size)) % max(size, 1) / max(size, 1)
    return constant(np.exp(-2j * np.pi * turns) / (divisor or 1), dtype or "complex64")


@surface
def companion(a: Any) -> Tensor:
    """The matrix whose eigenvalues are the roots of a polynomial: [n] -> [n - 1, n - 1];
    scipy.linalg.companion.

    a: coefficients, highest power first, of which the first is not 0; floats or complex numbers.
    Raises ShapeError for other axes and for fewer than two coefficients.
    """
    given = as_tensor(a)
    if given.ndim != 1 or (isinstance(given.shape[0], int) and given.shape[0] < 2):
        raise ShapeError(
            f"companion: got {given.type}, allowed is one axis of 2 or more",
            source=current_source(),
            fix="give the coefficients of a polynomial, highest power first",
        )
    first = BUILDER.negative(BUILDER.divide(given[1:], given[0]))
    size = first.shape[0]
    below = BUILDER.eye(size, k=-1, dtype=first.dtype)
    top = BUILDER.equal(BUILDER.arange(size), 0)[:, None]
    return BUILDER.where(top, first, below)
