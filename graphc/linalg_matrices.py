"""Matrices of known entries, as `gc.linalg.hilbert`, `gc.linalg.dft`, `gc.linalg.hadamard`."""

import math
from typing import Any

import numpy as np

from graphc.errors import ParameterError
from graphc.ir.leaf import constant
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
