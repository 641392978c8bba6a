"""Fourier transforms of known length, in steps that backends compile.

Their lengths have no prime factor above 13; scipy.fft does the others. Each transform runs down the
columns of an array (column_fourier), which wants columns side by side:

    few columns, short     the axes before the transform are put behind it, and back
    few columns, long      n = n1 n2: transforms down the rows of matrices [n1, n2], products with
                           powers of w, transforms down the rows of the transposed matrices
    real numbers           n / 2 complex ones; the spectrum is taken apart into that of those with
                           even and that of those with odd numbers
"""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from graphc.dtypes import DType
from graphc.ir.leaf import constant
from graphc.ir.parts import PARTS_AXIS, Parts, pairs_of, with_parts
from graphc.ir.registry import Builder
from graphc.ir.tensor import Tensor
from graphc.ops.column_fourier import COLUMN_FOURIER, radices_of, turns
from graphc.shapes import Shape, Size, size_product

LONGEST = 256  # rows of columns that are transformed at once: they stay in the first cache
SHORT = 64  # rows for which axes change places
LANES = 8  # columns side by side; fewer are few

SCALES: Mapping[str, Callable[[int], float]] = {
    "one": lambda count: 1.0,
    "root": lambda count: count**-0.5,
    "count": lambda count: 1 / count,
}


def has_steps(length: Size) -> bool:
    """Whether transforms of this length are compiled."""
    return isinstance(length, int) and length >= 1 and radices_of(length) is not None


class _Columns(NamedTuple):
    """Pairs, in four axes; layout: see column_fourier."""

    values: Tensor
    layout: str

    @property
    def extents(self) -> tuple[Size, ...]:
        """(before, n, behind)"""
        axis, shape = PARTS_AXIS[self.layout], self.values.shape
        return (*shape[:axis], *shape[axis + 1 :])

    def in_order(self, b: Builder, layout: str) -> "_Columns":
        """In another layout."""
        if layout == self.layout:
            return self
        if self.extents[2] == 1 and "first" not in (layout, self.layout):
            place = with_parts(layout, self.extents, 2)
            return _Columns(b.reshape(self.values, place), layout)
        axes = list(range(4))
        axes.insert(PARTS_AXIS[layout], axes.pop(PARTS_AXIS[self.layout]))
        return _Columns(b.permute_dims(self.values, axes), layout)


def complex_steps(b: Builder, x: Parts, axes: tuple[int, ...], inverse: bool, scale: str) -> Parts:
    """The op `fourier`."""
    shape = x.real.shape
    whole, layout = pairs_of(x), "last"
    if whole is None:
        whole, layout = b.stack([x.real, b.broadcast_to(x.imag, shape)], axis=0), "first"
    factor = SCALES[scale](math.prod(_length(shape[axis]) for axis in axes))
    for axis in axes:
        given = _Columns(b.reshape(whole, with_parts(layout, _around(shape, axis), 2)), layout)
        layout = "last" if axis == axes[-1] else "first"
        whole, factor = _columns(b, given, layout, inverse, factor), 1.0
    found = b.reshape(whole, (*shape, 2))
    return Parts(found[..., 0], found[..., 1])


def real_steps(b: Builder, x: Tensor, axis: int, inverse: bool, scale: str) -> Parts:
    """The op `real_fourier`."""
    before, size, behind = _around(x.shape, axis)
    length = _length(size)
    factor = SCALES[scale](length)
    if length % 2:
        rows = b.reshape(x, (before, length, behind))
        whole = _Columns(b.stack([rows, b.zeros_like(rows)], axis=0), "first")
        columns = _columns(b, whole, "first", False, factor)[:, :, : length // 2 + 1]
        found = Parts(columns[0], columns[1])
    else:
        pairs = _Columns(b.reshape(x, (before, length // 2, 2, behind)), "middle")
        found = _taken_apart(b, _columns(b, pairs, "first", False, 1.0), factor)
    if inverse:
        found = Parts(found.real, b.negative(found.imag))
    shape = (*x.shape[:axis], length // 2 + 1, *x.shape[axis + 1 :])
    return Parts(b.reshape(found.real, shape), b.reshape(found.imag, shape))


def hermitian_steps(
    b: Builder, x: Parts, axis: int, size: Size, inverse: bool, scale: str
) -> Tensor:
    """The op `hermitian_fourier`."""
    length = _length(size)
    shape = x.real.shape
    before, _, behind = _around(shape, axis)
    real, imag = (
        b.reshape(part, (before, length // 2 + 1, behind))
        for part in (x.real, b.broadcast_to(x.imag, shape))
    )
    alone = constant((np.arange(length // 2 + 1) * 2 % length == 0)[:, None])
    imag = b.where(alone, 0, imag if inverse else b.negative(imag))
    factor = SCALES[scale](length)
    if length % 2:
        rest = [b.flip(part[:, 1:], axis=1) for part in (real, imag)]
        whole = b.stack(
            [b.concat([real, rest[0]], axis=1), b.concat([imag, b.negative(rest[1])], axis=1)],
            axis=0,
        )
        found = _columns(b, _Columns(whole, "first"), "first", True, factor)[0]
    else:
        whole = _put_together(b, Parts(real, imag), length // 2)
        found = _columns(b, _Columns(whole, "first"), "middle", True, factor)
    return b.reshape(found, (*shape[:axis], length, *shape[axis + 1 :]))


def _length(size: Size) -> int:
    assert isinstance(size, int)
    return size


def _around(shape: Shape, axis: int) -> tuple[Size, Size, Size]:
    return size_product(shape[:axis]), shape[axis], size_product(shape[axis + 1 :])


def _powers(count: int, numbers: np.ndarray, inverse: bool, dtype: DType) -> tuple[Tensor, Tensor]:
    """exp(-2 pi i numbers / count), or its conjugate: real and imaginary parts."""
    whole = np.exp((2j if inverse else -2j) * np.pi / count * (numbers % count))
    whole.imag[numbers * 2 % count == 0] = 0
    return constant(whole.real.astype(dtype)), constant(whole.imag.astype(dtype))


# --- complex numbers -----------------------------------------------------------------------------


def _columns(b: Builder, x: _Columns, made: str, inverse: bool, factor: float) -> Tensor:
    """The transforms down the columns, times a factor, in the layout `made`."""
    before, size, behind = x.extents
    length = _length(size)
    columns = behind if isinstance(behind, int) else LANES
    if length > LONGEST or (length > SHORT and columns < LANES):
        return _matrices(b, x, made, inverse, factor)
    if columns >= LANES or before == 1:
        return _passes(b, x, made, inverse, factor)
    rows = b.reshape(_rows_first(b, x), (1, length, 2, before * behind))
    found = _passes(b, _Columns(rows, "middle"), "middle", inverse, factor)
    found = b.permute_dims(b.reshape(found, (length, 2, before, behind)), (2, 0, 1, 3))
    return _Columns(found, "middle").in_order(b, made).values


def _rows_first(b: Builder, x: _Columns) -> Tensor:
    """[n, 2, before, behind]"""
    return b.permute_dims(x.in_order(b, "middle").values, (1, 2, 0, 3))


def _passes(b: Builder, x: _Columns, made: str, inverse: bool, factor: float) -> Tensor:
    radices = radices_of(_length(x.extents[1]))
    assert radices is not None
    if not radices:
        whole = x.in_order(b, made).values
        return whole if factor == 1 else b.multiply(whole, factor)
    table = constant(turns(radices, inverse, x.values.dtype))
    attrs = {"given": x.layout, "made": made, "inverse": inverse, "scale": factor}
    return COLUMN_FOURIER(x.values, table, radices=radices, **attrs)


def _matrices(b: Builder, x: _Columns, made: str, inverse: bool, factor: float) -> Tensor:
    """n = n1 n2, j = n2 j1 + j2, k = k1 + n1 k2:

    y[k] = sum_j2 w2^(j2 k2) w^(j2 k1) sum_j1 w1^(j1 k1) x[j]
    """
    before, size, behind = x.extents
    length = _length(size)
    many = _near_root(length)
    few = length // many
    if x.layout == "middle":
        x = x.in_order(b, "last" if behind == 1 else "first")
    split = with_parts(x.layout, (before, many, few * behind), 2)
    inner = _columns(b, _Columns(b.reshape(x.values, split), x.layout), "first", inverse, 1.0)
    turned = b.permute_dims(b.reshape(inner, (2, before, many, few, behind)), (0, 1, 3, 2, 4))
    numbers = np.outer(np.arange(few), np.arange(many))[:, :, None]
    c, s = _powers(length, numbers, inverse, inner.dtype)
    real, imag = turned[0], turned[1]
    moved = b.stack([real * c - imag * s, real * s + imag * c], axis=0)
    moved = b.reshape(moved, (2, before, few, many * behind))
    last = made if made != "middle" else "last" if behind == 1 else "first"
    found = _columns(b, _Columns(moved, "first"), last, inverse, factor)
    found = b.reshape(found, with_parts(last, (before, length, behind), 2))
    return _Columns(found, last).in_order(b, made).values


def _near_root(length: int) -> int:
    """The least divisor that is no less than the square root."""
    return next(d for d in range(math.isqrt(length - 1) + 1, length + 1) if length % d == 0)


# --- real numbers --------------------------------------------------------------------------------


def _taken_apart(b: Builder, columns: Tensor, factor: float) -> Parts:
    """The first half of the spectrum of x, and its middle, from that of x[2 j] + i x[2 j + 1]:

    X[k] = E + w^k O,  2 E = Z[k] + conj(Z[n - k]),  2 O = -i (Z[k] - conj(Z[n - k])),  Z[n] = Z[0]
    """
    count = _length(columns.shape[2])
    c, s = _powers(2 * count, np.arange(count + 1)[:, None], False, columns.dtype)
    here = b.concat([columns, columns[:, :, :1]], axis=2)
    there, half = b.flip(here, axis=2), factor / 2
    even_real, odd_imag = (here[0] + there[0]) * half, (there[0] - here[0]) * half
    even_imag, odd_real = (here[1] - there[1]) * half, (here[1] + there[1]) * half
    real = even_real + c * odd_real - s * odd_imag
    return Parts(real, even_imag + s * odd_real + c * odd_imag)


def _put_together(b: Builder, x: Parts, count: int) -> Tensor:
    """Z = E + i O with E = X[k] + conj(X[n - k]) and O = w^(-k) (X[k] - conj(X[n - k]))."""
    c, s = _powers(2 * count, np.arange(count)[:, None], True, x.real.dtype)
    real, imag = (part[:, :count] for part in x)
    real_there, imag_there = (b.flip(part[:, 1:], axis=1) for part in x)
    even_real, even_imag = real + real_there, imag - imag_there
    odd_real, odd_imag = real - real_there, imag + imag_there
    return b.stack(
        [
            even_real - (c * odd_imag + s * odd_real),
            even_imag + (c * odd_real - s * odd_imag),
        ],
        axis=0,
    )
