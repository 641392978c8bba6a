"""Arrays laid out by a pattern: ramps with equal ratios, powers in columns, quarter turns, windows
of signals, positions in arrays."""

import math
from typing import Any

import numpy as np

from graphc.dtypes import as_dtype, default_float, float32, float64, int64, is_floating
from graphc.errors import DTypeError, ParameterError, ShapeError
from graphc.ir.arguments import ShapeLike, checked_axes, checked_shape, checked_size, checked_whole
from graphc.ir.leaf import as_tensor
from graphc.ir.registry import BUILDER, public
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.definition import ANY_REAL, is_weak, one_input
from graphc.shapes import Size

__all__ = [
    "bartlett",
    "blackman",
    "geomspace",
    "hamming",
    "hanning",
    "indices",
    "kaiser",
    "logspace",
    "rot90",
    "tri",
    "tril_indices",
    "triu_indices",
    "vander",
]


def _floating(name: str, dtype: Any, *ends: Any) -> Any:
    """The dtype of a ramp between real numbers."""
    for end in ends:
        one_input(name, end, ANY_REAL)
    target = default_float if dtype is None else as_dtype(dtype)
    if not is_floating(target):
        raise DTypeError(
            f"{name}: not for {target.name}",
            code="E214",
            source=current_source(),
            fix="use a floating-point dtype, and .astype after it",
        )
    return target


@public
def logspace(
    start: Any,
    stop: Any,
    num: Size = 50,
    *,
    endpoint: bool = True,
    base: Any = 10.0,
    dtype: Any = None,
) -> Tensor:
    """num numbers from base**start to base**stop whose logarithms are equally spaced.

    start, stop, base: numbers or scalar tensors. num: a size, symbolic ones too. endpoint: whether
    base**stop is the last. dtype: float32 by default; powers are computed in float64. Errors are
    those of `linspace`.
    """
    target = _floating("logspace", dtype, start, stop)
    exponents = BUILDER.linspace(start, stop, num, dtype=float64, endpoint=endpoint)
    return BUILDER.pow(as_tensor(base, float64), exponents).astype(target)


@public
def geomspace(
    start: Any, stop: Any, num: Size = 50, *, endpoint: bool = True, dtype: Any = None
) -> Tensor:
    """num numbers from start to stop, each the same multiple of the one before.

    start, stop: numbers or scalar tensors, both positive or both negative. num: a size, symbolic
    ones too. endpoint: whether stop is the last; both ends are exact. dtype: float32 by default;
    computed in float64. ParameterError for constants of different signs and 0 (tensors: NaN).
    """
    target = _floating("geomspace", dtype, start, stop)
    if is_weak(start) and is_weak(stop) and not start * stop > 0:
        raise ParameterError(
            f"geomspace: from {start} to {stop}",
            source=current_source(),
            fix="both ends are positive, or both negative",
        )
    first, last = as_tensor(start, float64), as_tensor(stop, float64)
    sign = BUILDER.sign(first)
    ends = (BUILDER.log(first * sign), BUILDER.log(last * sign))
    exponents = BUILDER.linspace(*ends, num, dtype=float64, endpoint=endpoint)
    size = exponents.shape[0]
    number = BUILDER.arange(size)
    values = BUILDER.exp(exponents) * sign
    if endpoint:
        values = BUILDER.where(BUILDER.equal(number, size - 1), last, values)
    return BUILDER.where(BUILDER.equal(number, 0), first, values).astype(target)


@public
def vander(x: Any, N: Size | None = None, increasing: bool = False) -> Tensor:
    """Powers of x in columns: x**(N - 1), ..., x, 1, or from 1 upwards if increasing.

    x: one axis, any dtype; integers are int64 or uint64, as in products. N: how many columns, a
    size; as many as x has entries by default. ShapeError where x has not one axis.
    """
    tensor = one_input("vander", x)
    if tensor.ndim != 1:
        raise ShapeError(
            f"vander: got {tensor.type}, allowed is one axis",
            source=current_source(),
            fix="flatten it: gc.reshape(x, (-1,))",
        )
    count = tensor.shape[0] if N is None else checked_size("vander", N)
    numbers = BUILDER.arange(count)
    factors = BUILDER.where(BUILDER.equal(numbers, 0), 1, BUILDER.expand_dims(tensor, 1))
    powers = BUILDER.cumulative_prod(factors.astype(tensor.dtype), axis=1)
    return powers if increasing else BUILDER.flip(powers, 1)


@public
def rot90(x: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Tensor:
    """x turned by k quarter turns, from the first of the axes towards the second.

    x: at least two axes, any dtype. Raises ShapeError for axes that x does not have, or twice one.
    """
    tensor = as_tensor(x)
    places = checked_axes("rot90", tuple(axes), tensor.ndim)
    if len(places) != 2:
        raise ShapeError(
            f"rot90: axes={axes!r:.40}",
            source=current_source(),
            fix="give two axes: those of the plane in which x is turned",
        )
    turns = checked_whole("rot90", "k", k) % 4
    if turns == 0:
        return tensor
    if turns == 2:
        return BUILDER.flip(tensor, places)
    if turns == 3:
        return BUILDER.flip(BUILDER.swapaxes(tensor, *places), places[1])
    return BUILDER.swapaxes(BUILDER.flip(tensor, places[1]), *places)


# --- windows of signals --------------------------------------------------------------------------


def _cosines(name: str, M: Size, dtype: Any, factors: tuple[float, ...]) -> Tensor:
    """The sum of factors[k] cos(2 pi k n / (M - 1)) for n < M; 1 for M = 1"""
    target, angle = _angles(name, M, dtype)
    value = BUILDER.zeros_like(angle) + factors[0]
    for number, factor in enumerate(factors[1:], 1):
        value = value + BUILDER.cos(angle * number) * factor
    return _unless_single(M, value).astype(target)


def _angles(name: str, M: Size, dtype: Any) -> tuple[Any, Tensor]:
    """The dtype, and 2 pi n / (M - 1) in float64."""
    target = as_dtype(dtype)
    if not is_floating(target):
        raise DTypeError(
            f"{name}: not for {target.name}",
            code="E214",
            source=current_source(),
            fix="give a floating dtype",
        )
    size = checked_size(name, M)
    last = BUILDER.maximum(as_tensor(size) - 1, 1).astype(float64)
    return target, BUILDER.arange(size).astype(float64) * (2 * math.pi) / last


def _unless_single(M: Size, value: Tensor) -> Tensor:
    return BUILDER.where(BUILDER.equal(as_tensor(M), 1), 1, value)


@public
def hanning(M: Size, dtype: Any = float32) -> Tensor:
    """Von Hann's window of M points, 1/2 - cos(2 pi n / (M - 1)) / 2: [M]. M: a size, also
    symbolic. dtype: floating, else DTypeError."""
    return _cosines("hanning", M, dtype, (0.5, -0.5))


@public
def hamming(M: Size, dtype: Any = float32) -> Tensor:
    """Hamming's window of M points, .54 - .46 cos(2 pi n / (M - 1)): [M]. See hanning."""
    return _cosines("hamming", M, dtype, (0.54, -0.46))


@public
def blackman(M: Size, dtype: Any = float32) -> Tensor:
    """Blackman's window of M points, .42 - .5 cos(2 pi n / (M - 1)) + .08 cos(4 pi n / (M - 1)):
    [M]. See hanning."""
    return _cosines("blackman", M, dtype, (0.42, -0.5, 0.08))


@public
def bartlett(M: Size, dtype: Any = float32) -> Tensor:
    """The triangular window of M points, 1 - |2 n / (M - 1) - 1|: [M]. See hanning."""
    target, angle = _angles("bartlett", M, dtype)
    return _unless_single(M, 1 - BUILDER.abs(angle / math.pi - 1)).astype(target)


@public
def kaiser(M: Size, beta: Any, dtype: Any = float32) -> Tensor:
    """Kaiser's window of M points, i0(beta sqrt(1 - (2 n / (M - 1) - 1)^2)) / i0(beta): [M].

    beta: a number or a scalar tensor; gradients flow to it. See hanning.
    """
    target, angle = _angles("kaiser", M, dtype)
    shape = as_tensor(beta, float64)
    inside = BUILDER.maximum(1 - BUILDER.square(angle / math.pi - 1), 0)
    edge = inside <= 0
    root = BUILDER.where(edge, 0, BUILDER.sqrt(BUILDER.where(edge, 1, inside)))
    value = BUILDER.i0(shape * root) / BUILDER.i0(shape)
    return _unless_single(M, value).astype(target)


# --- positions -----------------------------------------------------------------------------------


@public
def tri(N: Size, M: Size | None = None, k: int = 0, dtype: Any = float32) -> Tensor:
    """Ones at and below the diagonal that begins at column k of the first row, else 0: [N, M].

    N, M: sizes, also symbolic; M is N by default.
    """
    rows = checked_size("tri", N)
    columns = rows if M is None else checked_size("tri", M)
    return BUILDER.tril(BUILDER.ones((rows, columns), dtype), k)


@public
def tril_indices(n: int, k: int = 0, m: int | None = None) -> tuple[Tensor, Tensor]:
    """(rows, columns) of the entries of an n x m matrix at and below the diagonal that begins at
    column k: two int64 vectors, for `x[rows, columns]`.

    n, m: ints, m is n by default: how many there are depends on them. Raises ShapeError.
    """
    return _positions("tril_indices", np.tril, n, k, m)


@public
def triu_indices(n: int, k: int = 0, m: int | None = None) -> tuple[Tensor, Tensor]:
    """As tril_indices, at and above the diagonal."""
    return _positions("triu_indices", np.triu, n, k, m)


def _positions(name: str, part: Any, n: Any, k: Any, m: Any) -> tuple[Tensor, Tensor]:
    sizes = checked_size(name, n), checked_size(name, n if m is None else m)
    if not all(isinstance(size, int) for size in sizes):
        raise ShapeError(
            f"{name}: of a matrix of {sizes[0]} x {sizes[1]}",
            source=current_source(),
            fix="give ints; for symbolic sizes multiply with gc.tri(n, m, k)",
        )
    rows, columns = np.nonzero(part(np.ones(sizes, bool), checked_whole(name, "k", k)))
    return as_tensor(rows.astype(int64)), as_tensor(columns.astype(int64))


@public
def indices(dimensions: ShapeLike, dtype: Any = int64) -> Tensor:
    """For each entry of an array of these sizes its position along each axis: [n, *dimensions].

    dimensions: n sizes, also symbolic. numpy's indices.
    """
    shape = checked_shape("indices", dimensions)
    planes = []
    for axis, size in enumerate(shape):
        line = BUILDER.arange(size).astype(as_dtype(dtype))
        along = BUILDER.reshape(line, (*(1,) * axis, size, *(1,) * (len(shape) - axis - 1)))
        planes.append(BUILDER.broadcast_to(along, shape))
    return BUILDER.stack(planes) if planes else BUILDER.zeros((0,), dtype)
