"""Fourier transforms down the columns of matrices, pass by pass.

    x[j] -> y[k] = scale * sum_j x[j] w^(jk),   w = exp(-2 pi i / n), its conjugate where inverse

One op with one structured form, which transforms of known length are expanded to (fourier_steps).
Complex numbers are pairs, and attrs["given"] and attrs["made"] say where those of x and of y are:

    first     [2, before, n, behind]
    middle    [before, n, 2, behind]     real numbers of which every other one is an imaginary part
    last      [before, n, behind, 2]     complex numbers at the borders of a program

A pass with radix r takes transforms of length m r apart into r transforms of length m: r numbers
become the r sums of a short transform, and all but the first are multiplied with powers of w. The
order in which passes store keeps the whole in its natural order (T. G. Stockham, "High-speed
convolution and correlation", 1966).
"""

import math
from typing import Any

import numpy as np

from graphc.dtypes import DType, complex_dtype, is_floating
from graphc.errors import DTypeError, ShapeError
from graphc.ir.lowering import ColumnFourier
from graphc.ir.node import Attributes, TensorType
from graphc.ir.opdef import Example, Generator, Inference, OpDef
from graphc.ir.parts import PARTS_AXIS, with_parts
from graphc.ir.registry import register
from graphc.ir.tensor import Tensor

PRIMES = (3, 5, 7, 11, 13)  # and 2


def radices_of(length: int) -> tuple[int, ...] | None:
    """The radices of the passes; None for a length with another prime factor."""
    odd: list[int] = []
    for prime in PRIMES:
        while length % prime == 0:
            odd.append(prime)
            length //= prime
    twos = length.bit_length() - 1
    if length != 1 << twos:
        return None
    eights, rest = divmod(twos, 3)
    if rest == 1 and eights:
        return (*[8] * (eights - 1), 4, 4, *odd)
    return (*[8] * eights, *[1 << rest] * (rest > 0), *odd)


def count_of_turns(radices: tuple[int, ...]) -> int:
    count, left = 1, math.prod(radices)
    for radix in radices[:-1]:
        left //= radix
        count += left * (radix - 1)
    return count


def turns(radices: tuple[int, ...], inverse: bool, dtype: DType) -> np.ndarray:
    """What passes multiply with, (count, 2): for each but the last, the powers 1 ... r - 1 of w^p,
    for each of the m values of p; 1 number at least."""
    length, found = math.prod(radices), [np.ones(1, complex)]
    for radix in radices[:-1]:
        powers = np.outer(np.arange(length // radix), np.arange(1, radix))
        found.append(np.exp((2j if inverse else -2j) * np.pi / length * powers).ravel())
        length //= radix
    whole = np.concatenate(found)
    return np.stack([whole.real, whole.imag], axis=-1).astype(dtype)


def _infer(call: Inference) -> TensorType:
    x, table = call.types
    if not is_floating(x.dtype) or x.dtype != table.dtype:
        raise DTypeError(f"{call.op}: {x} and {table}")
    if x.ndim != 4 or table.ndim != 2:
        raise ShapeError(f"{call.op}: {x} and {table}, allowed are 4 and 2 axes")
    where, radices = PARTS_AXIS[call.attrs["given"]], call.attrs["radices"]
    before, rows, behind = (*x.shape[:where], *x.shape[where + 1 :])
    call.require_equal(x.shape[where], 2, f"pairs along axis {where}")
    call.require_equal(rows, math.prod(radices), f"rows of radices {radices}")
    call.require_equal(table.shape[0], count_of_turns(radices), f"powers for radices {radices}")
    call.require_equal(table.shape[1], 2, "pairs of powers")
    return TensorType(x.dtype, with_parts(call.attrs["made"], (before, rows, behind), 2))


def _reference(attrs: Attributes, x: np.ndarray, table: np.ndarray) -> Any:
    real, imag = np.moveaxis(x, PARTS_AXIS[attrs["given"]], 0)
    found = (real + 1j * imag).astype(complex_dtype(x.dtype))
    if found.size:
        if attrs["inverse"]:
            found = np.fft.ifft(found, axis=1, norm="forward")
        else:
            found = np.fft.fft(found, axis=1)
    parts = np.stack([found.real, found.imag], axis=PARTS_AXIS[attrs["made"]])
    return parts.astype(x.dtype) * x.dtype.type(attrs["scale"])


def _examples(rng: Generator) -> list[Example]:
    def example(shape: tuple[int, ...], **attrs: Any) -> Example:
        where = PARTS_AXIS[attrs["given"]]
        radices = radices_of((*shape[:where], *shape[where + 1 :])[1])
        assert radices is not None
        table = turns(radices, attrs["inverse"], np.dtype("float64"))

        def build(x: Tensor, table: Tensor) -> Tensor:
            return COLUMN_FOURIER(x, table, radices=radices, **attrs)

        return Example(build, (rng.normal(size=shape), table))

    return [
        example((2, 2, 6, 3), inverse=False, scale=1.0, given="first", made="first"),
        example((1, 16, 2, 2), inverse=True, scale=0.25, given="middle", made="last"),
        example((3, 35, 1, 2), inverse=False, scale=1.0, given="last", made="middle"),
        example((2, 0, 8, 3), inverse=False, scale=1.0, given="first", made="last"),
    ]


COLUMN_FOURIER = register(
    OpDef(
        "column_fourier",
        infer=_infer,
        reference=_reference,
        lower=ColumnFourier(),
        traits=frozenset({"nondifferentiable"}),  # made after differentiation
        examples=_examples,
    )
)
