"""Discrete Fourier transforms: `gc.fft`, the extension of the Array API standard of that name.

x[j] becomes y[k] = sum_j x[j] exp(-2 pi i jk / n); the inverse has the other sign and divides by
n. norm says which direction divides: "backward" (the inverse, by n), "forward" (the forward one, by
n), "ortho" (both, by sqrt(n)). Each function is one call of scipy.fft; float32 and complex64 are
computed in single precision. Sizes may be symbolic; derivatives are transforms again.
"""

from collections.abc import Sequence, Set
from typing import TYPE_CHECKING, Any

from graphc.dims import floor_div
from graphc.dtypes import as_dtype, complex_dtype, default_float, is_complex, is_floating
from graphc.errors import DTypeError, GraphcError, ParameterError, ShapeError
from graphc.ir.arguments import AxisLike, checked_axes, checked_axis, checked_device
from graphc.ir.leaf import as_tensor
from graphc.ir.registry import BUILDER
from graphc.ir.source import current_source
from graphc.ir.tensor import Tensor
from graphc.ops.fourier import fourier, half, hermitian_fourier, real_fourier
from graphc.other_names import missing
from graphc.shapes import Dim, Size, as_size
from graphc.surface import surface

__all__ = [
    "fft",
    "fftfreq",
    "fftn",
    "fftshift",
    "hfft",
    "ifft",
    "ifftn",
    "ifftshift",
    "ihfft",
    "irfft",
    "irfftn",
    "rfft",
    "rfftfreq",
    "rfftn",
]


def __dir__() -> list[str]:
    return __all__


if not TYPE_CHECKING:  # a checker of types is to find such names

    def __getattr__(name: str) -> object:
        raise missing("fft", name, __all__)


SCALES = {"backward": "one", "ortho": "root", "forward": "count"}
OTHER = {"one": "count", "root": "root", "count": "one"}


@surface
def fft(x: Any, /, *, n: Size | None = None, axis: int = -1, norm: str = "backward") -> Tensor:
    """The Fourier transform along an axis.

    x: at least one axis, any dtype; float32 and smaller become complex64, float64 complex128. n:
    how many points: x is cut, or zeros are put behind it; by default its own size. Result: complex,
    of the shape of x with n along the axis.
    Raises ShapeError: no such axis, n below 1 (also at the call); ParameterError: another norm.
    """
    return _complex("fft", x, n, axis, norm, inverse=False)


@surface
def ifft(x: Any, /, *, n: Size | None = None, axis: int = -1, norm: str = "backward") -> Tensor:
    """The inverse of `fft`; arguments, result and errors as there."""
    return _complex("ifft", x, n, axis, norm, inverse=True)


@surface
def fftn(
    x: Any,
    /,
    *,
    s: Sequence[Size] | None = None,
    axes: Sequence[int] | None = None,
    norm: str = "backward",
) -> Tensor:
    """The Fourier transform along several axes, by default all.

    s: points along each of the axes; without `axes` they are the last len(s) ones. Otherwise as
    `fft`. Raises ShapeError where s and axes differ in length, and for an axis that occurs twice.
    """
    return _complex_axes("fftn", x, s, axes, norm, inverse=False)


@surface
def ifftn(
    x: Any,
    /,
    *,
    s: Sequence[Size] | None = None,
    axes: Sequence[int] | None = None,
    norm: str = "backward",
) -> Tensor:
    """The inverse of `fftn`; arguments, result and errors as there."""
    return _complex_axes("ifftn", x, s, axes, norm, inverse=True)


@surface
def rfft(x: Any, /, *, n: Size | None = None, axis: int = -1, norm: str = "backward") -> Tensor:
    """The Fourier transform of real numbers: the first n // 2 + 1 points, which say all.

    x: at least one axis, real dtypes. n: points of x that are used, as in `fft`.
    Raises DTypeError for complex x, and what `fft` raises.
    """
    tensor = _real("rfft", x)
    axis = _axis("rfft", tensor, axis)
    tensor = _resized("rfft", tensor, axis, n)
    return real_fourier(tensor, axis, False, _scale("rfft", norm, False))


@surface
def irfft(x: Any, /, *, n: Size | None = None, axis: int = -1, norm: str = "backward") -> Tensor:
    """The inverse of `rfft`: real numbers from the first half of their transform.

    n: points of the result, by default 2 (m - 1) for m points of x: say it where it is odd.
    The imaginary part of the first point, and of the last for an even n, does not count.
    """
    return _to_real("irfft", x, n, axis, norm, inverse=True)


@surface
def rfftn(
    x: Any,
    /,
    *,
    s: Sequence[Size] | None = None,
    axes: Sequence[int] | None = None,
    norm: str = "backward",
) -> Tensor:
    """The Fourier transform of real numbers along several axes: `rfft` along the last of them,
    `fft` along the others. Arguments and errors as in `fftn` and `rfft`."""
    tensor = _real("rfftn", x)
    chosen, sizes = _axes("rfftn", tensor, s, axes)
    scale = _scale("rfftn", norm, False)
    for axis, size in zip(chosen, sizes, strict=True):
        tensor = _resized("rfftn", tensor, axis, size)
    spectrum = real_fourier(tensor, chosen[-1], False, scale)
    return fourier(spectrum, chosen[:-1], False, scale) if chosen[:-1] else spectrum


@surface
def irfftn(
    x: Any,
    /,
    *,
    s: Sequence[Size] | None = None,
    axes: Sequence[int] | None = None,
    norm: str = "backward",
) -> Tensor:
    """The inverse of `rfftn`: `ifft` along all axes but the last, and `irfft` along that."""
    tensor = _as_complex("irfftn", x)
    chosen, sizes = _axes("irfftn", tensor, s, axes)
    scale = _scale("irfftn", norm, True)
    for axis, size in zip(chosen[:-1], sizes[:-1], strict=True):
        tensor = _resized("irfftn", tensor, axis, size)
    if chosen[:-1]:
        tensor = fourier(tensor, chosen[:-1], True, scale)
    return _half_to_real("irfftn", tensor, sizes[-1], chosen[-1], True, scale)


@surface
def hfft(x: Any, /, *, n: Size | None = None, axis: int = -1, norm: str = "backward") -> Tensor:
    """The Fourier transform of numbers with x[n - j] = conj(x[j]), which is real.

    x: the first n // 2 + 1 of them. n: points of the result, by default 2 (m - 1) for m points of
    x. Otherwise as `fft`.
    """
    return _to_real("hfft", x, n, axis, norm, inverse=False)


@surface
def ihfft(x: Any, /, *, n: Size | None = None, axis: int = -1, norm: str = "backward") -> Tensor:
    """The inverse of `hfft`: the first n // 2 + 1 numbers from real ones. As `rfft` otherwise."""
    tensor = _real("ihfft", x)
    axis = _axis("ihfft", tensor, axis)
    tensor = _resized("ihfft", tensor, axis, n)
    return real_fourier(tensor, axis, True, _scale("ihfft", norm, True))


@surface
def fftfreq(n: Size, /, *, d: float = 1.0, dtype: Any = None, device: Any = None) -> Tensor:
    """The frequencies of the points of `fft`: [0, 1, ..., -2, -1] / (n d).

    n: a size, symbolic ones too. d: the distance of samples. dtype: float32 by default.
    Raises DTypeError for a dtype that is not floating, ShapeError for n below 1.
    """
    count, distance, target = _frequencies("fftfreq", n, d, dtype, device)
    b = BUILDER
    position = b.arange(count)
    wrapped = b.where(b.less(position, floor_div(count + 1, 2)), position, position - count)
    return b.divide(b.astype(wrapped, target), b.multiply(b.as_tensor(count, target), distance))


@surface
def rfftfreq(n: Size, /, *, d: float = 1.0, dtype: Any = None, device: Any = None) -> Tensor:
    """The frequencies of the points of `rfft`: [0, 1, ..., n // 2] / (n d). As `fftfreq`."""
    count, distance, target = _frequencies("rfftfreq", n, d, dtype, device)
    b = BUILDER
    position = b.astype(b.arange(half(count)), target)
    return b.divide(position, b.multiply(b.as_tensor(count, target), distance))


@surface
def fftshift(x: Any, /, *, axes: AxisLike | None = None) -> Tensor:
    """Frequency 0 moved to the middle, along `axes` or all of them: a roll by size // 2."""
    return _shifted("fftshift", x, axes, 1)


@surface
def ifftshift(x: Any, /, *, axes: AxisLike | None = None) -> Tensor:
    """The inverse of `fftshift`: a roll by -(size // 2)."""
    return _shifted("ifftshift", x, axes, -1)


# --- how they are made ---------------------------------------------------------------------------


def _complex(name: str, x: Any, n: Size | None, axis: int, norm: str, inverse: bool) -> Tensor:
    tensor = _as_complex(name, x)
    axis = _axis(name, tensor, axis)
    tensor = _resized(name, tensor, axis, n)
    return fourier(tensor, (axis,), inverse, _scale(name, norm, inverse))


def _complex_axes(
    name: str,
    x: Any,
    s: Sequence[Size] | None,
    axes: Sequence[int] | None,
    norm: str,
    inverse: bool,
) -> Tensor:
    tensor = _as_complex(name, x)
    chosen, sizes = _axes(name, tensor, s, axes)
    for axis, size in zip(chosen, sizes, strict=True):
        tensor = _resized(name, tensor, axis, size)
    return fourier(tensor, chosen, inverse, _scale(name, norm, inverse))


def _to_real(name: str, x: Any, n: Size | None, axis: int, norm: str, inverse: bool) -> Tensor:
    tensor = _as_complex(name, x)
    scale = _scale(name, norm, inverse)
    return _half_to_real(name, tensor, n, _axis(name, tensor, axis), inverse, scale)


def _half_to_real(
    name: str, x: Tensor, n: Size | None, axis: int, inverse: bool, scale: str
) -> Tensor:
    size = 2 * (x.shape[axis] - 1) if n is None else _points(name, n, axis)
    x = _resized(name, x, axis, None if n is None else half(size))
    return hermitian_fourier(x, axis, size, inverse, scale)


def _as_complex(name: str, x: Any) -> Tensor:
    tensor = _given(name, x)
    return tensor if is_complex(tensor.dtype) else tensor.astype(complex_dtype(tensor.dtype))


def _real(name: str, x: Any) -> Tensor:
    tensor = _given(name, x)
    if is_complex(tensor.dtype):
        raise DTypeError(
            f"{name}: not for {tensor.dtype.name}",
            code="E214",
            details=[f"got {tensor.type}, allowed: real dtypes"],
            source=current_source(),
            fix=f"use gc.fft.{name.replace('rfft', 'fft').replace('ihfft', 'ifft')}, "
            "or take gc.real(x)",
        )
    if is_floating(tensor.dtype) and tensor.dtype.itemsize >= default_float.itemsize:
        return tensor
    return tensor.astype(default_float)


def _given(name: str, x: Any) -> Tensor:
    try:
        return as_tensor(x)
    except GraphcError as error:
        error.message = f"{name}: {error.message}"
        raise


def _axis(name: str, x: Tensor, axis: int) -> int:
    return checked_axis(name, axis, x.ndim)


def _points(name: str, n: Any, axis: int) -> Size:
    size = as_size(n)
    if isinstance(size, int) and size < 1:
        raise ShapeError(
            f"{name}: {size} points along axis {axis}",
            source=current_source(),
            fix="a transform needs at least one point",
        )
    return size


def _resized(name: str, x: Tensor, axis: int, n: Size | None) -> Tensor:
    """x cut to n entries along the axis, or with zeros behind it."""
    if n is None or n == x.shape[axis]:
        return x
    size = _points(name, n, axis)
    cut = BUILDER.getitem(x, (*(slice(None),) * axis, slice(None, size)))
    missing = size - cut.shape[axis]
    if missing == 0:
        return cut
    widths: list[tuple[Size, Size]] = [(0, 0)] * x.ndim
    widths[axis] = (0, missing)
    return BUILDER.pad(cut, widths)


def _axes(
    name: str, x: Tensor, s: Sequence[Size] | None, axes: Sequence[int] | None
) -> tuple[tuple[int, ...], tuple[Size | None, ...]]:
    if axes is None:
        count = x.ndim if s is None else len(s)
        axes = tuple(range(-count, 0))
    chosen = tuple(checked_axes(name, tuple(axes), x.ndim))
    if not chosen or isinstance(s, Set) or (s is not None and len(s) != len(chosen)):
        raise ShapeError(
            f"{name}: s={s}, axes={axes} for {x.type}",
            source=current_source(),
            fix="give at least one axis, and in s one number of points for each",
        )
    return chosen, (None,) * len(chosen) if s is None else tuple(s)


def _scale(name: str, norm: str, inverse: bool) -> str:
    if norm not in SCALES:
        raise ParameterError(
            f"{name}: norm={norm!r}",
            source=current_source(),
            fix=f"norm is one of {', '.join(map(repr, SCALES))}",
        )
    scale = SCALES[norm]
    return OTHER[scale] if inverse else scale


def _frequencies(name: str, n: Any, d: Any, dtype: Any, device: Any) -> tuple[Size, Tensor, Any]:
    checked_device(name, device)
    distance = _given(name, d)
    if distance.ndim or is_complex(distance.dtype):
        raise ParameterError(
            f"{name}: d={d!r:.60}",
            details=[f"got {distance.type}, allowed: a real number"],
            source=current_source(),
            fix="give the distance of two samples as a number, or a real tensor of no axes",
        )
    target = default_float if dtype is None else as_dtype(dtype)
    if not is_floating(target):
        raise DTypeError(
            f"{name}: not for {target.name}",
            code="E214",
            details=[f"got {target.name}, allowed: real floating-point dtypes"],
            source=current_source(),
            fix='use dtype="float32" or "float64"',
        )
    if isinstance(d, Tensor | Dim):
        return _points(name, n, 0), distance.astype(target), target
    return _points(name, n, 0), as_tensor(float(d), target), target


def _shifted(name: str, x: Any, axes: AxisLike | None, direction: int) -> Tensor:
    tensor = _given(name, x)
    chosen = checked_axes(name, axes, tensor.ndim)
    if not chosen:
        return tensor
    middles = [floor_div(tensor.shape[axis], 2) * direction for axis in chosen]
    return BUILDER.roll(tensor, middles, chosen)
