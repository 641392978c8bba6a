"""Signals along one axis: convolution, interpolation, integrals, phases without jumps."""

import math
from typing import Any, Literal

from graphc.dtypes import is_complex, is_integer
from graphc.errors import ParameterError, ShapeError
from graphc.ir.arguments import checked_axis
from graphc.ir.leaf import as_tensor
from graphc.ir.registry import BUILDER, public
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.definition import (
    ANY_REAL,
    NUMERIC,
    check_dtype,
    convert,
    floating,
    one_input,
    promote_inputs,
)
from graphc.shapes import Size, dim_max, dim_min

__all__ = ["convolve", "correlate", "cumulative_trapezoid", "interp", "trapezoid", "unwrap"]

Mode = Literal["full", "same", "valid"]

# --- convolution ---------------------------------------------------------------------------------


def _row(name: str, x: Tensor) -> Tensor:
    if x.ndim != 1 or x.shape[0] == 0:
        raise ShapeError(
            f"{name}: got {x.type}, allowed is one axis that is not empty",
            source=current_source(),
            fix="give vectors; gc.nn.conv takes batches, channels and more axes",
        )
    return x


def _borders(n: Size, m: Size, mode: str, correlates: bool) -> tuple[Size, Size]:
    """How many zeros stand before and behind n entries, so that windows of m give the result.

    Of the full result "same" begins at the entry (min(n, m) - 1) // 2. numpy's correlate exchanges
    its operands where the second is longer, and turns the result: then it is min(n, m) // 2.
    """
    if mode == "full":
        return m - 1, m - 1
    longer = dim_max(m - n, 0)
    if mode == "valid":
        return longer, longer
    odd = dim_min(longer, 1) if correlates else 0
    start = (dim_min(n, m) - 1 + odd) // 2
    return m - 1 - start, longer + start


def _slide(name: str, x1: Any, x2: Any, mode: str, turned: bool) -> Tensor:
    """Sums of products of a row and a window that slides along it; turned: the window is."""
    if mode not in ("full", "same", "valid"):
        raise ParameterError(
            f"{name}: mode={mode!r:.30}",
            source=current_source(),
            fix='mode is "full", "same" or "valid"',
        )
    a, b = promote_inputs(name, x1, x2)
    check_dtype(name, a.dtype, NUMERIC)
    a, b = _row(name, a), _row(name, b)
    if is_complex(a.dtype):
        (ar, ai), (br, bi) = ((BUILDER.real(x), BUILDER.imag(x)) for x in (a, b))
        real = _slide(name, ar, br, mode, turned) - _slide(name, ai, bi, mode, turned)
        imag = _slide(name, ar, bi, mode, turned) + _slide(name, ai, br, mode, turned)
        return BUILDER.complex(real, imag)
    n, m = a.shape[0], b.shape[0]
    if turned and isinstance(n, int) and isinstance(m, int) and m > n:
        a, b, n, m = b, a, m, n  # the shorter one is the window
    borders = [dim_max(width, 0) for width in _borders(n, m, mode, not turned)]
    padded = BUILDER.expand_dims(BUILDER.pad(a, [tuple(borders)]), (0, 1))
    found = BUILDER.conv1d(padded, BUILDER.expand_dims(b, (0, 1)), filter_flip=turned)
    return BUILDER.squeeze(found, (0, 1))


@public
def convolve(x1: Any, x2: Any, mode: Mode = "full") -> Tensor:
    """out[k] = sum over j of x1[j] x2[k - j], for all k at which the two overlap.

    x1, x2: one axis of n and m >= 1 entries, numeric dtypes, which are promoted. mode: "full" for
    all n + m - 1 entries, "same" for the max(n, m) in the middle, "valid" for those max(n, m) -
    min(n, m) + 1 where the shorter lies within the longer one. Raises ShapeError for other axes,
    DTypeError for bool, ParameterError for another mode. Where the window leads out of the other
    operand it meets zeros: NaN and infinities of the window make NaN there (numpy leaves them out).
    Long windows cost n m steps: products of `gc.fft` cost fewer.
    """
    return _slide("convolve", x1, x2, mode, turned=True)


@public
def correlate(x1: Any, x2: Any, mode: Mode = "valid") -> Tensor:
    """out[k] = sum over j of x1[j + k] conj(x2[j]), for all k at which the two overlap.

    Arguments and errors are those of `convolve`; k begins at 1 - m for "full".
    """
    second = one_input("correlate", x2)
    second = BUILDER.conj(second) if is_complex(second.dtype) else x2
    return _slide("correlate", x1, second, mode, turned=False)


# --- interpolation -------------------------------------------------------------------------------


def _points(xp: Any, fp: Any) -> tuple[Tensor, Tensor]:
    xs, ys = as_tensor(xp), floating(as_tensor(fp))
    sizes = (*xs.shape, *ys.shape)
    static = all(isinstance(size, int) for size in sizes)
    if xs.ndim != 1 or ys.ndim != 1 or xs.shape[0] == 0 or (static and xs.shape != ys.shape):
        raise ShapeError(
            f"interp: points at xp {xs.type} of values fp {ys.type}",
            source=current_source(),
            fix="give two vectors of one length, of at least one point",
        )
    return xs, BUILDER.broadcast_to(ys, xs.shape)


def _around(xs: Tensor, ys: Tensor, period: Any) -> tuple[Tensor, Tensor]:
    """The points in order within one period, and one more on either side."""
    xs = BUILDER.remainder(xs, period)
    order = BUILDER.argsort(xs)
    xs, ys = BUILDER.take(xs, order, 0), BUILDER.take(ys, order, 0)
    xs = BUILDER.concat([xs[-1:] - period, xs, xs[:1] + period])
    return xs, BUILDER.concat([ys[-1:], ys, ys[:1]])


@public
def interp(
    x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None
) -> Tensor:
    """Values at x of the lines that join the points (xp, fp); NaN where x is NaN.

    x: any shape. xp: one axis, in increasing order (with a period in any), at least one point; fp:
    as many values, complex ones too. x and xp are promoted; integers become float32. left, right:
    values below the first and above the last point, by default those of these points. period: of
    the line; left and right then have no meaning. Gradients go to x, xp and fp.
    Raises ShapeError for points that do not fit; that xp is in order is not checked.
    """
    xs, ys = _points(xp, fp)
    place, xs = (floating(value) for value in promote_inputs("interp", x, xs))
    check_dtype("interp", place.dtype, ANY_REAL)
    if period is not None:
        length = BUILDER.abs(convert(one_input("interp", period, ANY_REAL), place.dtype))
        place = BUILDER.remainder(place, length)
        xs, ys = _around(xs, ys, length)
        left = right = None
    last = xs.shape[0] - 1
    behind = BUILDER.searchsorted(xs, place, side="right")
    low, high = BUILDER.maximum(behind - 1, 0), BUILDER.minimum(behind, last)
    x0, x1 = (BUILDER.take(xs, index, 0) for index in (low, high))
    y0, y1 = (BUILDER.take(ys, index, 0) for index in (low, high))
    width = BUILDER.where(x1 > x0, x1 - x0, 1)  # there is none outside
    line = y0 + (y1 - y0) / width * (place - x0)
    at_point = BUILDER.equal(place, x0) | (place < xs[0]) | (place > xs[-1])
    value = BUILDER.where(at_point, y0, line)
    for outside, end in ((place < xs[0], left), (place > xs[-1], right)):
        if end is not None:
            value = BUILDER.where(outside, end, value)
    return value


# --- integrals and phases ------------------------------------------------------------------------


def _along(x: Tensor, axis: int, part: slice) -> Tensor:
    return BUILDER.getitem(x, (*(slice(None),) * axis, part))


@public
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Tensor:
    """The integral of y along `axis` by the trapezoidal rule: sum of (y[j] + y[j + 1]) / 2 d[j].

    y: at least one axis; integers and bool become float32. x: where y was taken, of one axis or of
    the shape of y; without it the distances are dx. Result: y without the axis; 0 for fewer than
    two entries. ShapeError for an axis that y does not have, and where x does not fit.
    """
    strips, axis = _strips("trapezoid", y, x, dx, axis)
    return BUILDER.sum(strips, axis)


@public
def cumulative_trapezoid(
    y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1, initial: Any = None
) -> Tensor:
    """The integral of y from the first entry to each other one along `axis`, by the trapezoidal
    rule; scipy.integrate's.

    y, x, dx: as of trapezoid. Result: of the shape of y with one entry less, or as many where
    `initial`, most often 0, stands before them. ShapeError as in trapezoid.
    """
    strips, axis = _strips("cumulative_trapezoid", y, x, dx, axis)
    sums = BUILDER.cumulative_sum(strips, axis=axis)
    if initial is None:
        return sums
    first = BUILDER.zeros_like(_along(floating(as_tensor(y)), axis, slice(0, 1))) + initial
    return BUILDER.concat([first.astype(sums.dtype), sums], axis=axis)


def _strips(name: str, y: Any, x: Any, dx: Any, axis: int) -> tuple[Tensor, int]:
    """The areas between neighbours, and the axis counted from 0."""
    values = (y,) if x is None else (y, x)
    tensors = [floating(value) for value in promote_inputs(name, *values)]
    tensor = tensors[0]
    axis = checked_axis(name, axis, tensor.ndim)
    means = (_along(tensor, axis, slice(1, None)) + _along(tensor, axis, slice(None, -1))) / 2
    if x is None:
        return means * dx, axis
    places = tensors[1]
    if places.ndim == 1:
        distances = BUILDER.diff(places)
        distances = BUILDER.reshape(distances, (-1, *(1,) * (tensor.ndim - axis - 1)))
    else:
        distances = BUILDER.diff(places, axis=axis)
    return means * distances, axis


@public
def unwrap(p: Any, discont: Any = None, axis: int = -1, *, period: Any = 2 * math.pi) -> Tensor:
    """p with multiples of `period` added, so that neighbours along `axis` differ by half of it at
    most; steps that are less than `discont` stay as they are.

    p: at least one axis, real dtypes; integers become float32 unless the period is one. discont: by
    default half of the period, and never less. ShapeError for an axis that p does not have.
    """
    tensor, turn = promote_inputs("unwrap", p, period)
    check_dtype("unwrap", tensor.dtype, ANY_REAL)
    axis = checked_axis("unwrap", axis, tensor.ndim)
    numbers = BUILDER.arange(tensor.shape[axis])
    is_first = BUILDER.reshape(BUILDER.equal(numbers, 0), (-1, *(1,) * (tensor.ndim - axis - 1)))
    step = BUILDER.where(is_first, 0, tensor - BUILDER.roll(tensor, 1, axis))
    half = turn // 2 if is_integer(turn.dtype) else turn / 2
    wrapped = BUILDER.remainder(step + half, turn) - half
    at_half = BUILDER.equal(wrapped, -half) & (step > 0)
    if is_integer(turn.dtype):
        at_half = at_half & BUILDER.equal(BUILDER.remainder(turn, 2), 0)
    wrapped = BUILDER.where(at_half, half, wrapped)
    least = turn / 2 if discont is None else discont
    stays = BUILDER.abs(step) < least
    correction = BUILDER.where(stays | is_first, 0, wrapped - step)
    return tensor + BUILDER.cumulative_sum(correction, axis=axis)
